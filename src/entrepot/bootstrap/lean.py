"""Imports that a server can do without, kept out of every process' memory. Import this before anything that logs.

structlog loads rich, and with it pygments and the html entities, for tracebacks in colour, if it finds it; ours are JSON or plain. That
is 3 MiB, once in each process that writes beside them. Commands that draw tables find rich as ever.
"""

import importlib
import sys


def _without(name: str, *, load: str) -> None:
    """Import `load` as if `name` were not installed, unless one of them is there already."""
    if name in sys.modules or load in sys.modules:
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the import system's own word for "not to be had"
    try:
        importlib.import_module(load)
    finally:
        del sys.modules[name]


_without("rich", load="structlog")
