"""Wire: OCI Distribution under /v2/, and its token service. Translates; decides nothing."""
