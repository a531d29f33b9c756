"""A chroot that stands for a stranger's fresh Debian 12, with this machine's way to the package index.

Whatever this machine needs to reach the index (pip's configuration, variables, certificates, name
resolution) is copied as it is; nothing else of the machine is visible inside.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from programs import REPOSITORY_ROOT

_VARIABLES = (
    "PIP_",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_CERTIFICATE_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_FILES = (
    Path("/etc/resolv.conf"),
    Path("/etc/hosts"),
    Path("/etc/pip.conf"),
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path.home() / ".config/pip/pip.conf",
    Path.home() / ".pip/pip.conf",
)
_SOURCE = "/srv/entrepot.git"
CLONE = "/home/entrepot"


class FreshMachine:
    """The unpacked root at `root` and what runs in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def unpack(cls, archive: Path, root: Path) -> "FreshMachine":
        root.mkdir()
        subprocess.run(["tar", "--numeric-owner", "-C", root, "-xf", archive], check=True)
        machine = cls(root)
        for path in (*_FILES, *machine._certificates()):
            machine._copy(path)
        return machine

    def _certificates(self) -> list[Path]:
        named = (os.environ.get(name) for name in _CERTIFICATE_FILES)
        return [Path(value) for value in named if value and Path(value).is_absolute()]

    def _copy(self, path: Path) -> None:
        if not path.is_file():
            return
        inside = self.root / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.unlink(missing_ok=True)
        shutil.copyfile(path, inside)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k.startswith(_VARIABLES)}
        trust = {k: v for k in _CERTIFICATE_FILES if (v := os.environ.get(k))}
        own = {
            "HOME": "/root",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "CI": "true",
        }
        return kept | trust | own | dict(settings)

    def command(self, *words: str, folder: str = "/") -> list[str]:
        """The words as run inside `folder` of the root; its mounts end with the program."""
        script = (
            'mount -t proc proc "$0/proc" && mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm" && '
            'exec chroot "$0" /bin/sh -c \'cd "$0" && exec "$@"\' "$@"'
        )
        make_mount_point = self.root / "dev/shm"
        make_mount_point.mkdir(parents=True, exist_ok=True)
        return [
            "unshare", "--mount", "sh", "-c", script, str(self.root), folder, *words
        ]  # fmt: skip

    def run(self, words: Sequence[str], *, folder: str = "/", timeout_seconds: float) -> str:
        """Run a program that must succeed; its output, both streams."""
        done = subprocess.run(
            self.command(*words, folder=folder),
            env=self.environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout

    def clone(self) -> None:
        """Clone what is committed, inside, as a stranger would."""
        bare = self.root / _SOURCE.lstrip("/")
        subprocess.run(
            ["git", "clone", "-q", "--bare", f"file://{REPOSITORY_ROOT}", str(bare)], check=True
        )
        self.run(["git", "clone", "-q", _SOURCE, CLONE], timeout_seconds=100)
