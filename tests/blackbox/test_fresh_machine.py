"""A stranger's first quarter of an hour: fresh Debian 12, clone, `make run`, push, pull, `make test`.

ENTREPOT_SKIP_FRESH=1 leaves it out: it takes minutes, for it runs the whole of `make test` again.
"""

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from debian_root import debian_tar
from fresh_machine import CLONE, FreshMachine
from oci_layout import Layout, digest_of
from programs import Surroundings, needed, needed_root
from started_registry import free_port, running, wait_until

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(1500)]

_USUAL_PORT = 5000


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[FreshMachine]:
    if os.environ.get("ENTREPOT_SKIP_FRESH", "") not in ("", "0"):
        pytest.skip("ENTREPOT_SKIP_FRESH is set")
    needed_root()
    needed("skopeo", "git", "unshare")
    root = tmp_path / "root"
    yield FreshMachine.unpack(debian_tar(), root)
    shutil.rmtree(root, ignore_errors=True)


class FirstDay:
    """`make run` in the clone, and what it says."""

    def __init__(self, machine: FreshMachine, log: Path) -> None:
        self._machine = machine
        self._log = log
        self._port = _USUAL_PORT if _is_free(_USUAL_PORT) else free_port()
        self.host = f"127.0.0.1:{self._port}"

    @contextmanager
    def started(self, *, patience_seconds: float) -> Iterator[float]:
        """Run until ready; gives the seconds it took."""
        usual = self._port == _USUAL_PORT
        settings = {} if usual else {"ENTREPOT_LISTEN": self.host}
        before = time.monotonic()
        with running(
            self._machine.command("make", "run", folder=CLONE),
            log=self._log,
            environment=self._machine.environment(settings),
            folder=self._machine.root,
        ) as process:
            wait_until(self._ready, process, log=self._log, patience_seconds=patience_seconds)
            yield time.monotonic() - before

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def password(self) -> str:
        """The generated password, as the banner of the first start shows it."""
        found = re.findall(r"(?im)^.*\bpassword\b[\s:=|]+([^\s|]{12,})", self.said)
        assert found, f"no password in:\n{self.said[-4000:]}"
        return str(found[0])


def _is_free(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return False
    except OSError:
        return True
    return False


def test_a_stranger_clones_runs_pushes_pulls_and_tests(
    machine: FreshMachine, client: Surroundings, multi_image: Layout, tmp_path: Path
) -> None:
    machine.clone()
    day = FirstDay(machine, tmp_path / "make-run.log")

    with day.started(patience_seconds=400) as seconds:
        print(f"first `make run` to ready: {seconds:.1f} s")
        password = day.password()
        assert day.host in day.said
        for command in ("login", "namespace create", "push", "pull"):
            assert command in day.said, f"the banner lacks {command!r}:\n{day.said[-4000:]}"
        machine.run(
            [".venv/bin/entrepot", "namespace", "create", "mine"], folder=CLONE, timeout_seconds=60
        )
        push_and_check(client, multi_image, day.host, password)

    with day.started(patience_seconds=60) as seconds:
        print(f"second `make run` to ready: {seconds:.1f} s")
        assert seconds < 15
        assert password not in day.said
        assert not re.search(r"(?i)\bpassword\b[\s:=|]+\S{12,}|secret key\b[\s:=|]+\S", day.said)
        assert pulled_digest(client, day.host, password) == multi_image.digest

    said = machine.run(["make", "test"], folder=CLONE, timeout_seconds=900)
    closing = said.strip().splitlines()[-1]
    print(f"`make test` inside: {closing}")
    assert re.search(r"\d+ passed", closing), said[-3000:]


def push_and_check(client: Surroundings, layout: Layout, host: str, password: str) -> None:
    name = f"docker://{host}/mine/hello:v1"
    login = ["skopeo", "login", "--tls-verify=false", "-u", "root", "--password-stdin", host]
    client.run(*login, stdin=password)
    client.run("skopeo", "copy", "--all", "--dest-tls-verify=false", layout.skopeo_reference, name)
    client.run(
        "skopeo", "copy", "--all", "--src-tls-verify=false", name, f"oci:{client.folder}/back:v1"
    )
    pushed, pulled = (
        {path.name for path in (folder / "blobs" / "sha256").iterdir()}
        for folder in (layout.folder, client.folder / "back")
    )
    assert pushed == pulled
    assert pulled_digest(client, host, password) == layout.digest


def pulled_digest(client: Surroundings, host: str, password: str) -> str:
    raw = client.attempt(
        "skopeo", "inspect", "--raw", "--tls-verify=false", "--creds", f"root:{password}",
        f"docker://{host}/mine/hello:v1",
    )  # fmt: skip
    assert raw.status == 0, raw.output
    return digest_of(raw.stdout)


def test_the_root_holds_nothing_but_what_the_readme_asks_for(machine: FreshMachine) -> None:
    present = [
        name
        for name in ("gcc", "node", "go", "docker", "curl", "pip", "uv", "psql")
        if subprocess.run(
            machine.command("sh", "-c", f"command -v {name}"),
            env=machine.environment({}),
            capture_output=True,
            check=False,
        ).returncode
        == 0
    ]

    assert present == []
    assert "3.11" in machine.run(["python3", "--version"], timeout_seconds=20)
