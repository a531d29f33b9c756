"""The sections of the tree, a module for each group of them. A field's description is its documentation: meaning, unit, bounds."""
