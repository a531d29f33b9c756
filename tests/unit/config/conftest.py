import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def folder():
    """A folder with a short path: that of a Unix socket in it must fit into 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="cfg") as path:
        yield Path(path).resolve()
