"""The native API, `/api/v1`: everything the command line manages, over HTTP and JSON, by rows of `table.py`."""
