"""What we need of the outside, as protocols whose docstrings are the contracts. Imports model and oci."""
