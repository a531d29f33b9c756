"""A registry's client for tests: says what it sends, checks nothing by itself."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from transport import TLS, connect, trust

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ABSENT = "sha256:" + "ab" * 32
TIMEOUT = 20


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    algorithm = more.pop("algorithm", "sha256")
    of = {"mediaType": media_type, "digest": digest_of(content, algorithm), "size": len(content)}
    return {**of, **more}


def image(blobs: Iterable[bytes], *, config: bytes = b"{}", **more: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, content) for content in blobs],
    }
    return json.dumps({**document, **more}).encode()


def index(children: Iterable[bytes], **more: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor(json.loads(child)["mediaType"], child) for child in children],
    }
    return json.dumps({**document, **more}).encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(slots=True)
class Client:
    """One client of one registry. `authorization`: the header it sends; empty: none."""

    url: str
    authorization: str = ""
    host: str = ""
    http: httpx.Client = field(default=None)  # type: ignore[assignment]  # made in __post_init__

    def __post_init__(self) -> None:
        if self.http is None:
            self.http = httpx.Client(
                base_url=self.url, timeout=TIMEOUT, trust_env=False, transport=_transport()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def with_basic(self, user: str, password: str) -> "Client":
        """The same connections, logged in by Basic."""
        return Client(self.url, basic(user, password), self.host, self.http)

    def with_bearer(self, token: str) -> "Client":
        return Client(self.url, f"Bearer {token}", self.host, self.http)

    def anonymous(self) -> "Client":
        return Client(self.url, "", self.host, self.http)

    def at(self, host: str) -> "Client":
        """The same client, asking by another host name."""
        return Client(self.url, self.authorization, host, self.http)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", None) or {})
        if self.authorization:
            headers.setdefault("authorization", self.authorization)
        if self.host:
            headers["host"] = self.host
        return self.http.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def raw(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """The path exactly as given, which httpx would tidy up."""
        connection = connect(int(self.url.rpartition(":")[2]), tls=self.url.startswith("https:"))
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            if self.authorization:
                connection.putheader("Authorization", self.authorization)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    # -- what a client does -------------------------------------------------------------------------------------------

    def token(self, *scopes: str) -> str:
        """A token by GET with this client's login."""
        answer = self.get("/service/token", params={"service": "entrepot", "scope": list(scopes)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def bearer(self, *scopes: str) -> "Client":
        """This client's login exchanged for a token."""
        return self.with_bearer(self.token(*scopes))

    def start_upload(self, name: str, **params: str) -> str:
        """The new session's path."""
        answer = self.post(f"/v2/{name}/blobs/uploads/", params=params)
        assert answer.status_code == 202, (answer.status_code, answer.text)
        return answer.headers["location"]

    def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(content, algorithm)
        answer = self.post(f"/v2/{name}/blobs/uploads/", params={"digest": digest}, content=content)
        assert answer.status_code == 201, (answer.status_code, answer.text)
        return digest

    def push_manifest(self, name: str, reference: str, payload: bytes) -> httpx.Response:
        media_type = json.loads(payload)["mediaType"]
        return self.put(
            f"/v2/{name}/manifests/{reference}",
            content=payload,
            headers={"content-type": media_type},
        )

    def push_image(
        self, name: str, *layers: bytes, tag: str = "latest", config: bytes = b"{}", **more: Any
    ) -> bytes:
        """Blobs and manifest; the manifest's bytes."""
        for content in {*layers, config}:
            self.push_blob(name, content)
        payload = image(layers, config=config, **more)
        answer = self.push_manifest(name, tag, payload)
        assert answer.status_code == 201, (answer.status_code, answer.text)
        return payload

    def push_index(self, name: str, *children: bytes, tag: str = "latest", **more: Any) -> bytes:
        payload = index(children, **more)
        answer = self.push_manifest(name, tag, payload)
        assert answer.status_code == 201, (answer.status_code, answer.text)
        return payload


def _transport() -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=32)
    # Where there is no TLS, there is nothing to load.
    return httpx.HTTPTransport(verify=trust() if TLS else False, limits=limits, retries=1)


def code_of(answer: httpx.Response | bytes) -> str:
    """The error code of an answer; empty where it has none."""
    body = answer if isinstance(answer, bytes) else answer.content
    try:
        return str(json.loads(body)["errors"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
