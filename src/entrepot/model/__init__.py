"""Our nouns as frozen records, and the errors every wire maps to its own codes. Imports only oci."""
