"""The OCI specifications as pure values: bytes in, records out. Imports nothing of ours, does no I/O."""
