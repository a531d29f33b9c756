"""Pushing, pulling, listing and deleting what a repository holds."""
