"""Client programs: where they are found, in what surroundings they run, and what is skipped without them."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY_ROOT / ".cache" / "blackbox"
"""What `run-all` installs that is not a Debian package: programs in `bin`, Python clients in `venv`."""

# A machine may export these for its own package index. They would win over what a test says of its
# own certificate authority, so no client inherits them.
_TRUST_VARIABLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind; `output` is both streams, for messages."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return f"{self.stdout}\n{self.stderr}".strip()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A folder of its own and an environment for every client a test starts."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in _TRUST_VARIABLES}
        search = f"{CACHE / 'bin'}:{CACHE / 'venv' / 'bin'}:{kept.get('PATH', '')}:/usr/sbin:/sbin"
        search += f":{CACHE / 'tccli' / 'bin'}"  # last: it has a Python of its own
        return kept | {"PATH": search, "HOME": str(self.folder)} | dict(self.variables)

    def with_variables(self, **variables: str) -> "Surroundings":
        return Surroundings(self.folder, {**self.variables, **variables})

    def attempt(
        self,
        *command: str | Path,
        stdin: str = "",
        timeout_seconds: float = 100,
        folder: Path | None = None,
    ) -> Finished:
        """Run a program to its end, whatever its status."""
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env=self.environment(),
            cwd=folder or self.folder,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def run(
        self,
        *command: str | Path,
        stdin: str = "",
        timeout_seconds: float = 100,
        folder: Path | None = None,
    ) -> str:
        """Run a program that must succeed; answer its standard output without the last newline."""
        done = self.attempt(*command, stdin=stdin, timeout_seconds=timeout_seconds, folder=folder)
        assert done.status == 0, f"{_shown(command)} ended with {done.status}:\n{done.output}"
        return done.stdout.rstrip("\n")


def _shown(command: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in command)


def found(program: str) -> Path | None:
    """The program as the clients would find it, or None."""
    search = Surroundings(Path("/")).environment()["PATH"]
    path = shutil.which(program, path=search)
    return Path(path) if path else None


def needed(*names: str) -> None:
    """Skip the test, with the reason, when one of the programs is not on this machine."""
    missing = [name for name in names if found(name) is None]
    if missing:
        pytest.skip(
            f"not installed: {', '.join(missing)} (`make test-all` installs it where it can)"
        )


def needed_root() -> None:
    """Skip the test where container engines and chroot cannot work."""
    if os.geteuid() != 0:
        pytest.skip("needs root: engines mount file systems and chroot")


def client_python() -> Path:
    """The interpreter of the environment that holds the Python clients; skips without it."""
    path = CACHE / "venv" / "bin" / "python"
    if not path.exists():
        pytest.skip("the Python clients are not installed (`make test-all` does it)")
    return path
