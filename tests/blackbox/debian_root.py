"""A Debian 12 root with nothing but what `make run` needs, made once by debootstrap and kept as a tar file."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from programs import CACHE, Surroundings, needed, needed_root

PACKAGES = ("python3", "python3-venv", "make", "git")
"""The whole of what README asks for, and git to clone with."""


def debian_tar() -> Path:
    """The tar file of the root; debootstrap makes it at the first call (about a minute).

    Skips, with the reason, where debootstrap cannot run or reaches no mirror.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / "debian-bookworm.tar"
    with (CACHE / "debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _make(path)
    return path


def _make(path: Path) -> None:
    needed("debootstrap")
    needed_root()
    work = Path(tempfile.mkdtemp(prefix="debootstrap-", dir=CACHE))
    root = work / "root"
    try:
        include = f"--include={','.join(PACKAGES)}"
        done = Surroundings(work).attempt(
            "debootstrap", "--variant=minbase", include, "bookworm", root, timeout_seconds=500
        )
        if done.status != 0:
            pytest.skip(f"debootstrap failed: {done.output[-300:]}")
        for cached in (root / "var/cache/apt/archives").glob("*.deb"):
            cached.unlink()
        unfinished = work / "root.tar"
        subprocess.run(
            ["tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", unfinished, "."],
            check=True,
            timeout=200,
        )
        unfinished.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
