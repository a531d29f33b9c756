"""Wire: the `entrepot` command."""
