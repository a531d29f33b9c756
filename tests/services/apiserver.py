"""A real API server of Kubernetes with its etcd, both throw-away processes on 127.0.0.1: what `services.kubernetes` imitates.

The programs are looked for where `make test-all` puts them, in $ENTREPOT_TEST_KUBERNETES (a folder) and in $PATH: `kube-apiserver`,
which `build-kube-apiserver` here builds, and `etcd`, which Debian packages as etcd-server. No kubelet and no controller run: what is
asked is what the server keeps.
"""

import contextlib
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509

from services.kubernetes import KINDS, TOKEN, Authority, Reached

VARIABLE = "ENTREPOT_TEST_KUBERNETES"
ADMIN = "the-administrators-token"
READY_SECONDS = 90.0
_BUILT = Path(__file__).parents[2] / ".cache" / "blackbox" / "bin"


def find(program: str) -> str | None:
    places = [os.environ.get(VARIABLE), str(_BUILT), os.environ.get("PATH")]
    return shutil.which(program, path=os.pathsep.join(filter(None, places)))


def is_here() -> bool:
    return all(map(find, ("kube-apiserver", "etcd")))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ApiServer(Reached):
    """Users by token: an administrator, and `robot`, who may read and patch workloads of the namespace `default` only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.authority = Authority()
        self._started: list[subprocess.Popen[bytes]] = []
        context = ssl.create_default_context(cadata=self.authority.pem)
        self.admin = httpx.Client(
            base_url=self.url, verify=context, headers={"authorization": f"Bearer {ADMIN}"}
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def put(self, kind: str, namespace: str, name: str, content: dict[str, Any]) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/{kind}"
        self.admin.delete(f"{path}/{name}")
        made = {
            "apiVersion": "apps/v1",
            "kind": KINDS[kind],
            "metadata": {"name": name},
            "spec": content["spec"],
        }
        self.admin.post(path, json=made).raise_for_status()

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        found = self.admin.get(f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}")
        found.raise_for_status()
        return found.json()

    def start(self) -> None:
        etcd, peer = _free_port(), _free_port()
        self._spawn(
            find("etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate, key = self.authority.issue("server", address, x509.DNSName("localhost"))
        public, signer = self.authority.issue("service accounts")
        files = {"tls.crt": certificate, "tls.key": key, "sa.crt": public, "sa.key": signer}
        files["tokens.csv"] = f'{ADMIN},admin,1,"system:masters"\n{TOKEN},robot,2\n'
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self._spawn(
            find("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self.folder / 'tls.crt'}",
            f"--tls-private-key-file={self.folder / 'tls.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            f"--service-account-key-file={self.folder / 'sa.crt'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--cert-dir={self.folder}",
        )
        self._wait()
        self._allow_robot()

    def _spawn(self, *command: str | None) -> None:
        words = [word for word in command if word is not None]
        log = (self.folder / f"{Path(words[0]).name}.log").open("wb")
        with log:
            self._started.append(subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder))

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for process in self._started:
                assert process.poll() is None, "a program ended; its log is in the test's folder"
            with contextlib.suppress(httpx.HTTPError):
                if (
                    self.admin.get("/readyz").status_code == 200
                    and self.admin.get("/api/v1/namespaces/default").status_code == 200
                ):
                    return
            time.sleep(0.2)
        raise AssertionError("the API server is not ready")

    def _allow_robot(self) -> None:
        path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
        group = "rbac.authorization.k8s.io"
        rules = [
            {
                "apiGroups": ["apps"],
                "resources": ["deployments", "statefulsets"],
                "verbs": ["get", "patch"],
            }
        ]
        role = {"metadata": {"name": "deployer"}, "rules": rules}
        self.admin.post(f"{path}/roles", json=role).raise_for_status()
        binding = {
            "metadata": {"name": "robot"},
            "subjects": [{"kind": "User", "name": "robot", "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": "deployer", "apiGroup": group},
        }
        self.admin.post(f"{path}/rolebindings", json=binding).raise_for_status()

    def stop(self) -> None:
        self.admin.close()
        for process in reversed(self._started):  # the server before what it keeps things in
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    @contextlib.contextmanager
    def running(self) -> Iterator["ApiServer"]:
        try:
            self.start()
            yield self
        finally:
            self.stop()
