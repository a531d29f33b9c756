"""An API server of Kubernetes as far as a trigger sees it, over real TLS: workloads of apps/v1, read and patched.

It is strict where the real one is: who asks (bearer token or client certificate of its own authority), where they may, method, path,
content type, the version a patch was made for, merging of lists by name, and objects that would not be valid.
"""

import base64
import contextlib
import copy
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "a-service-account-token"
STRATEGIC = "application/strategic-merge-patch+json"
KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
DEAF_SECONDS = 20.0


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """Issues certificates. What it gives is PEM."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.certificate = self._sign("authority of a test", self.key.public_key(), is_ca=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, common_name: str, *names: x509.GeneralName) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign(common_name, key.public_key(), names=names)
        return made.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def _sign(self, common_name, public_key, *, is_ca=False, names=()) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(_name("authority of a test"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        return made.sign(self.key, hashes.SHA256())


def workload(*containers: tuple[str, str], inits: tuple[tuple[str, str], ...] = ()) -> dict:
    """What a test puts into the cluster: containers by name and image."""
    pods = {"containers": [{"name": n, "image": i, "args": ["--keep"]} for n, i in containers]}
    if inits:
        pods["initContainers"] = [{"name": n, "image": i} for n, i in inits]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pods}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"generation": 1}, "spec": spec}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that do not trust us, or have gone."""


class Reached:
    """What a test asks of a cluster, whichever answers."""

    def kubeconfig(self, *, user: dict[str, Any] | None = None, **cluster: Any) -> str:
        """What an administrator of the cluster hands out."""

        def data(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        reached = {"server": self.url, "certificate-authority-data": data(self.authority.pem)}
        listed = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "here", "user": "robot"}}],
            "clusters": [{"name": "here", "cluster": reached | cluster}],
            "users": [{"name": "robot", "user": {"token": TOKEN} if user is None else user}],
        }
        return json.dumps(listed)  # which is YAML, too

    def images(self, name: str = "web", kind: str = "deployments") -> dict[str, str]:
        """By container, of a workload in the namespace `default`."""
        pods = self.get(kind, "default", name)["spec"]["template"]["spec"]
        listed = [*pods.get("initContainers", ()), *pods["containers"]]
        return {one["name"]: one["image"] for one in listed}

    def restarted_at(self, name: str = "web", kind: str = "deployments") -> str | None:
        template = self.get(kind, "default", name)["spec"]["template"]
        return template["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt")


class Kubernetes(Reached):
    """A running one. `troubles`: what the next requests meet instead of an answer, one after another: a status, `deaf` or `moved`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.authority = Authority()
        self.clients = Authority()
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.closed_namespaces: set[str] = set()
        self.troubles: list[int | str] = []
        self.requests: list[tuple[str, str]] = []
        self._versions = 100
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server((host, 0), self._handler())
        address = x509.IPAddress(ipaddress.ip_address(host))
        pair = self.authority.issue("server", address, x509.DNSName("localhost"))
        file = folder / "kubernetes.pem"
        file.write_text("".join(pair))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.load_verify_locations(cadata=self.clients.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"https://{host}:{port}"

    def client_pair(self) -> dict[str, str]:
        """A user of a kubeconfig by client certificate."""
        certificate, key = self.clients.issue("robot")
        return {
            "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
            "client-key-data": base64.b64encode(key.encode()).decode(),
        }

    def put(self, kind: str, namespace: str, name: str, content: dict[str, Any]) -> None:
        with self._lock:
            self._versions += 1
            metadata = {**content["metadata"], "name": name, "namespace": namespace}
            metadata["resourceVersion"] = str(self._versions)
            self.objects[kind, namespace, name] = {
                "apiVersion": "apps/v1",
                "kind": KINDS[kind],
                **content,
                "metadata": metadata,
            }

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        with self._lock:
            return copy.deepcopy(self.objects[kind, namespace, name])

    # -- how it answers -----------------------------------------------------------------------------------------------

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(*cluster._serve(self, b""))

            def do_PATCH(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                self._answer(*cluster._serve(self, body))

            def _answer(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        path, _, query = handler.path.partition("?")
        with self._lock:
            self.requests.append((handler.command, handler.path))
            trouble = self.troubles.pop(0) if self.troubles else None
        if trouble == "deaf":
            self._stopping.wait(DEAF_SECONDS)
        if isinstance(trouble, int):
            return _status(trouble, "a trouble of the test")
        if not self._knows(handler):
            return _status(401, "Unauthorized")
        parts = path.split("/")
        if parts[:5] != ["", "apis", "apps", "v1", "namespaces"] or len(parts) != 8:
            return _status(404, "the server could not find the requested resource")
        _, _, _, _, _, namespace, kind, name = parts
        if kind not in KINDS:
            return _status(404, "the server could not find the requested resource")
        if namespace in self.closed_namespaces:
            verb = handler.command.lower()
            said = (
                f'{kind}.apps "{name}" is forbidden: User "robot" cannot {verb} resource "{kind}"'
            )
            return _status(403, said)
        with self._lock:
            found = self.objects.get((kind, namespace, name))
            if found is None:
                return _status(404, f'{kind}.apps "{name}" not found')
            if handler.command == "GET":
                answer = copy.deepcopy(found)
                if trouble == "moved":
                    self._touch(found)
                return 200, answer
            if handler.headers.get("content-type") != STRATEGIC or "fieldManager=" not in query:
                return _status(415, "the body of the request was in an unknown format")
            return self._patch(found, body)

    def _knows(self, handler: BaseHTTPRequestHandler) -> bool:
        given = handler.headers.get("authorization")
        if given is not None:
            return given == f"Bearer {TOKEN}"
        return bool(handler.connection.getpeercert())

    def _touch(self, found: dict[str, Any]) -> None:
        self._versions += 1
        found["metadata"]["resourceVersion"] = str(self._versions)

    def _patch(self, found: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            patch = json.loads(body)
        except ValueError:
            return _status(400, "error decoding patch")
        version = patch.get("metadata", {}).pop("resourceVersion", None)
        if version not in (None, found["metadata"]["resourceVersion"]):
            return _status(409, "the object has been modified; please apply your changes")
        merged = _merge(copy.deepcopy(found), patch)
        pods = merged["spec"]["template"]["spec"]
        for one in [*pods["containers"], *pods.get("initContainers", ())]:
            if not one.get("image"):
                return _status(422, f"spec.template.spec.containers[{one['name']}].image: Required")
        if merged["spec"] != found["spec"]:
            merged["metadata"]["generation"] += 1
        found.clear()
        found.update(merged)
        self._touch(found)
        return 200, copy.deepcopy(found)

    @contextlib.contextmanager
    def running(self) -> Iterator["Kubernetes"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)


def _merge(into: Any, patch: Any) -> Any:
    """A strategic merge: maps by key (null removes), lists of containers by name, other lists replaced."""
    if isinstance(into, dict) and isinstance(patch, dict):
        for key, value in patch.items():
            if value is None:
                into.pop(key, None)
            elif key in ("containers", "initContainers"):
                into[key] = _merge_named(into.get(key, []), value)
            else:
                into[key] = _merge(into[key], value) if key in into else value
        return into
    return patch


def _merge_named(into: list[dict[str, Any]], patch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_name = {one["name"]: one for one in into}
    for one in patch:
        by_name[one["name"]] = _merge(by_name.get(one["name"], {}), one)
    return list(by_name.values())


def _status(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "code": code,
    }
