"""Fixtures every test may use. They live in plugin modules by subject."""

pytest_plugins = ["databases"]
