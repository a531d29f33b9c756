"""Names that clients must be able to look up: there is no name service in a test, so `/etc/hosts` has them."""

import fcntl
import os
from pathlib import Path

import pytest

HOSTS = Path("/etc/hosts")


def needed_name(name: str) -> None:
    """Let the name mean loopback; the line is added once and stays. Skips the test where that cannot be done."""
    if os.access(HOSTS, os.W_OK):
        _know(name)
    elif not _is_known(HOSTS.read_text(), name):
        pytest.skip(f"{HOSTS} does not know {name} and cannot be written (not root)")


def _know(name: str) -> None:
    with HOSTS.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not _is_known(file.read(), name):
            file.write(f"127.0.0.1 {name}\n")


def _is_known(text: str, name: str) -> bool:
    return any(name in line.split("#")[0].split()[1:] for line in text.splitlines())
