"""The identity service (swr-behaviour 5.1 and 5.2): tokens, projects and users for clients of SWR."""
