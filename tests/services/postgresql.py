"""A throw-away PostgreSQL server in a temporary folder, for `make test-all`.

    python tests/services/postgresql.py COMMAND [ARGUMENT...]     run a command with ENTREPOT_TEST_POSTGRESQL set, then stop
    with running() as url: ...                                    the same from Python

Binaries are looked for in $PATH and where Debian puts them. PostgreSQL refuses to run as root: then it runs as user postgres, or
nobody. It listens on 127.0.0.1 and forgets everything at the end.
"""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "ENTREPOT_TEST_POSTGRESQL"


def find_binaries() -> Path:
    """The folder with initdb and pg_ctl of the newest PostgreSQL here. FileNotFoundError in words if there is none."""
    installed = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    if installed:
        return max(installed, key=lambda p: int(re.sub(r"\D", "", p.parent.name) or 0))
    found = shutil.which("pg_ctl")
    if found is None:
        raise FileNotFoundError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(found).resolve().parent


def _unprivileged() -> dict[str, object]:
    """Who runs the server: keyword arguments for subprocess."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*, fsync: bool = False) -> Iterator[str]:
    """Start a server; the URL of its superuser. `fsync=True` for measurements and power-loss tests."""
    binaries = find_binaries()
    who = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="entrepot-postgresql-") as name:
        folder = Path(name)
        if who:
            os.chown(folder, int(str(who["user"])), int(str(who["group"])))
        data, port = folder / "data", _free_port()

        def run(program: str, *arguments: str) -> None:
            command = [str(binaries / program), *arguments]
            with (folder / "commands.log").open("ab") as log:
                done = subprocess.run(
                    command,
                    check=False,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    **who,  # type: ignore[call-overload]  # keyword arguments of subprocess by name
                )
            if done.returncode:
                raise RuntimeError(f"{program} failed:\n{(folder / 'commands.log').read_text()}")

        run(
            "initdb",
            "-D",
            str(data),
            "-U",
            "entrepot",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "on" if fsync else "off",
            "shared_buffers": "64MB",
        }
        options = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        run(
            "pg_ctl",
            "-D",
            str(data),
            "-w",
            "-t",
            "60",
            "-l",
            str(folder / "server.log"),
            "-o",
            options,
            "start",
        )
        try:
            yield f"postgresql://entrepot@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


def main() -> int:
    """Run the command given as arguments beside a server; its exit status."""
    with running(fsync="--fsync" in sys.argv[1:2]) as url:
        command = [part for part in sys.argv[1:] if part != "--fsync"]
        return subprocess.run(command, check=False, env={**os.environ, VARIABLE: url}).returncode


if __name__ == "__main__":
    sys.exit(main())
