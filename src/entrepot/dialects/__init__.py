"""The vendors' APIs over our use cases. An operation is a row (`operation.py`); each dialect is a table of rows and what it does to all alike."""
