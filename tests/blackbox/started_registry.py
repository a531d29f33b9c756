"""Registries that the clients talk to: Entrepot, or Debian's docker-registry as a stand-in.

The stand-in (`ENTREPOT_BLACKBOX_STANDIN=1`) tells whether a client or the registry is at fault. It
has no namespaces, no token service and no referrers: what needs those is skipped there.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from private_authority import Certificates
from programs import Surroundings

HOST_NAME = "registry.entrepot.test"
"""containerd and helm speak plain HTTP to `localhost` and 127.x whatever they are told; TLS needs a name."""

USER = "root"
PASSWORD = "blackbox-Passw0rd"
STANDIN = os.environ.get("ENTREPOT_BLACKBOX_STANDIN", "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Registry:
    """A started registry as a client sees it."""

    host: str
    """Name and port, as image references begin."""
    tls: bool
    certificates: Certificates
    log: Path
    create_namespace: Callable[[str], None]
    administer: Callable[..., str]
    """Runs an `entrepot` command in the deployment; what it prints."""
    user: str = USER
    password: str = PASSWORD
    namespace: str = "blackbox"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def credentials(self) -> str:
        return f"{self.user}:{self.password}"

    def reference(self, repository: str, tag: str) -> str:
        return f"{self.host}/{self.namespace}/{repository}:{tag}"

    def trusting(self, surroundings: Surroundings) -> Surroundings:
        """For clients written in Go or on `requests`, which read their trust from the environment."""
        authority = str(self.certificates.authority)
        return surroundings.with_variables(
            SSL_CERT_FILE=authority, REQUESTS_CA_BUNDLE=authority, CURL_CA_BUNDLE=authority
        )

    def answer(self, path: str) -> int:
        """The status of an anonymous GET; 0 when nothing listens."""
        trust = ssl.create_default_context(cafile=str(self.certificates.authority))
        try:
            with urllib.request.urlopen(self.url + path, timeout=5, context=trust) as response:
                return int(response.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code
        except OSError:
            return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], *, log: Path, environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A background program in a process group of its own, stopped as a group at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    log: Path,
    patience_seconds: float = 30,
) -> None:
    """Wait for a background program; fail with the end of its log when it dies or takes too long."""
    deadline = time.monotonic() + patience_seconds
    while not ready():
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            state = f"ended with {ended}" if ended is not None else "is not ready"
            tail = log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"{process.args!r} {state}; its log ends:\n{tail}")
        time.sleep(0.05)


@contextmanager
def entrepot(
    folder: Path, certificates: Certificates, *, tls: bool, settings: Mapping[str, str]
) -> Iterator[Registry]:
    """Entrepot on a free port with an empty data folder and the namespace `blackbox`."""
    port = free_port()
    environment = _settings(folder, port, certificates=certificates, tls=tls) | dict(settings)
    log = folder / "entrepot.log"

    def administer(*words: str) -> str:
        command = [sys.executable, "-m", "entrepot", *words]
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def create_namespace(name: str) -> None:
        administer("namespace", "create", name)

    host = f"{HOST_NAME if tls else '127.0.0.1'}:{port}"
    registry = Registry(host, tls, certificates, log, create_namespace, administer)
    serve = [sys.executable, "-m", "entrepot", "serve"]
    with running(serve, log=log, environment=environment, folder=folder) as process:
        wait_until(lambda: registry.answer("/readyz") == 200, process, log=log)
        registry.create_namespace(registry.namespace)
        yield registry
        assert process.poll() is None, f"the registry died:\n{log.read_text()[-4000:]}"
    assert process.returncode == 0, f"a stop is not clean:\n{log.read_text()[-4000:]}"
    assert "Traceback" not in log.read_text(), f"an unexpected error is logged in {log}"


def _settings(folder: Path, port: int, *, certificates: Certificates, tls: bool) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ENTREPOT_")}
    own = {
        "ENTREPOT_DATA": str(folder / "data"),
        "ENTREPOT_LISTEN": f"127.0.0.1:{port}",
        "ENTREPOT_ROOT_PASSWORD": PASSWORD,
        "ENTREPOT_HTTP_DEFAULT_HOSTS": HOST_NAME,
        "ENTREPOT_QUOTA_SWR_ORGANIZATIONS": "0",
    }
    if tls:
        own["ENTREPOT_HTTP_TLS_CERTIFICATE"] = str(certificates.certificate)
        own["ENTREPOT_HTTP_TLS_KEY"] = str(certificates.key)
    return inherited | own


def _no_command(*_words: str) -> str:
    pytest.skip("the stand-in has no commands")


@contextmanager
def standin(folder: Path, certificates: Certificates, *, tls: bool) -> Iterator[Registry]:
    """docker-registry 2.8 with Basic logins; needs `htpasswd` and `docker-registry`."""
    port = free_port()
    passwords = folder / "htpasswd"
    made = subprocess.run(
        ["htpasswd", "-Bbn", USER, PASSWORD], capture_output=True, text=True, check=True
    )
    passwords.write_text(made.stdout)
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}"}
    if tls:
        http["tls"] = {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    configuration = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": http,
        "auth": {"htpasswd": {"realm": "standin", "path": str(passwords)}},
    }
    # JSON is YAML.
    (folder / "config.yml").write_text(json.dumps(configuration))
    log = folder / "standin.log"
    host = f"{HOST_NAME if tls else '127.0.0.1'}:{port}"
    registry = Registry(host, tls, certificates, log, lambda _name: None, _no_command)
    serve = ["docker-registry", "serve", str(folder / "config.yml")]
    with running(serve, log=log, environment=os.environ, folder=folder) as process:
        wait_until(lambda: registry.answer("/v2/") == 401, process, log=log)
        yield registry
