"""A page at work: a copy of the checkout, a registry on a free port, and the page's commands in a shell there.

`instead` of a session: what pages say, and what it is here.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from documented_commands import Block, Command, difference
from source_files import ROOT

PORT = "5000"
SHOWN_FOLDER = "/opt/entrepot"
READY_SECONDS = 60
COMMAND_SECONDS = 90
_LEFT_OUT = (
    ".git",
    ".venv",
    ".*_cache",
    ".cache",
    ".hypothesis",
    "__pycache__",
    "data",
    "data.key",
    "out",
    "results",
)
_SECRET = re.compile(
    r"(password: +|password  +|secret_key: +|secret_access_key: +|secret key  +|token: +|_password: +|access key  +|AKID)(?!yes$|no$)(\S+)$"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Session:
    """Runs blocks one after another. `written` gathers what was not as shown, by the line of the page where it belongs."""

    def __init__(
        self, folder: Path, variables: dict[str, str], instead: dict[str, str] | None = None
    ) -> None:
        self._folder = folder / "entrepot"
        self._port = str(_free_port())
        self._instead = {SHOWN_FOLDER: str(self._folder), **(instead or {})}
        self.variables = self._surroundings(folder) | variables
        self._server: subprocess.Popen[bytes] | None = None
        self._log = folder / "server.log"
        self._serve = "entrepot serve"
        self._begins = 0  # where the running registry's lines begin in the log
        self.serves_itself = False  # a page that shows how the registry is started gets none before
        self.written: dict[int, tuple[int, list[str]]] = {}
        shutil.copytree(ROOT, self._folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        (self._folder / ".venv").symlink_to(ROOT / ".venv")
        for needed in ("pyproject.toml", "requirements/run.lock", "requirements/dev.lock"):
            os.utime(
                self._folder / needed, (0, 0)
            )  # or make would install into the shared .venv again

    def _surroundings(self, folder: Path) -> dict[str, str]:
        home = folder / "home"
        home.mkdir()
        (folder / "auth.json").write_text("{}")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ENTREPOT_", "LC_"))}
        for name in ("PYTHONPATH", "CI", "MAKEFLAGS", "MAKELEVEL"):
            kept.pop(name, None)
        return kept | {
            "PATH": f"{ROOT / '.venv/bin'}:{kept['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "120",
            "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
            "DOCKER_CONFIG": str(home / ".docker"),
            "XDG_RUNTIME_DIR": str(home),
            "ENTREPOT_LISTEN": f"127.0.0.1:{self._port}",
        }

    def run(self, block: Block) -> None:
        """Run one block. AssertionError where it does something else than the page shows."""
        if "serves" in block.marks:
            (command,) = block.commands
            self._serve, self.serves_itself = command.text, False
            self.stop()
            self._start()
            self._compare(command, self._log.read_text()[self._begins :].splitlines())
            return
        if "stopped" in block.marks:
            self.stop()
        elif self._server is None and not self.serves_itself:
            self._start()
        for number, command in enumerate(block.commands, 1):
            failing = "fails" in block.marks and number == len(block.commands)
            self._type(command, failing=failing)

    def _type(self, command: Command, *, failing: bool) -> None:
        if command.text.startswith("read -rs "):
            self.variables[command.text.split()[-1]] = self._password()
            return
        done = subprocess.run(
            ["bash", "-c", f"exec 2>&1\n{self._inside(command.text)}"],
            cwd=self._folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) == failing, f"$ {command.text}\n{done.stdout}"
        self._compare(command, done.stdout.splitlines())

    def _compare(self, command: Command, printed: Sequence[str]) -> None:
        lines = [self._outside(line) for line in printed]
        wrong = difference(command.shown, lines)
        if wrong is not None:
            self.written[command.line] = (len(command.shown), lines)
            writing = os.environ.get("ENTREPOT_DOCS_WRITE", "") not in ("", "0")
            assert writing, f"$ {command.text}\n{wrong}"

    def _inside(self, text: str) -> str:
        text = re.sub(rf":{PORT}\b", f":{self._port}", text)
        for shown, real in self._instead.items():
            text = text.replace(shown, real)
        return text

    def _outside(self, text: str) -> str:
        text = text.replace(str(self._folder), SHOWN_FOLDER).replace(f":{self._port}", f":{PORT}")
        return _SECRET.sub(r"\1…", text.replace(str(ROOT), SHOWN_FOLDER)).rstrip()

    def _password(self) -> str:
        found = re.search(r"^ +password +(?!yes$|no$)(\S+)$", self._log.read_text(), re.MULTILINE)
        assert found is not None, "the page's registry has shown no password"
        return found[1]

    def _start(self) -> None:
        before = len(self._log.read_text()) if self._log.exists() else 0
        self._begins = before
        with self._log.open("ab") as output:
            self._server = subprocess.Popen(
                ["bash", "-c", self._inside(self._serve)],
                cwd=self._folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while "entrepot is listening" not in self._log.read_text()[before:]:
            log = self._log.read_text()[before:]
            assert self._server.poll() is None, f"$ {self._serve}\n{log}"
            assert time.monotonic() < deadline, f"$ {self._serve}\n{log}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the registry, if it runs, as an operator would."""
        if self._server is None:
            return
        server, self._server = self._server, None
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
