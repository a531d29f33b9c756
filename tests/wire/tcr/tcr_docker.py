"""A container client that reaches an instance by its host name: logs in at the token service, pushes, pulls."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from account import Account

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


@dataclass(frozen=True)
class Docker:
    """`host`: what the image's name begins with; `user` and `password` empty: anonymous; `bearer`: a token to be used as it is."""

    http: httpx.Client
    host: str
    user: str = ""
    password: str = ""
    bearer: str = ""

    def as_(self, user: str, password: str) -> "Docker":
        return Docker(self.http, self.host, user, password)

    def with_bearer(self, token: str) -> "Docker":
        return Docker(self.http, self.host, bearer=token)

    def anonymous(self) -> "Docker":
        return Docker(self.http, self.host)

    def _login(self) -> tuple[str, str] | None:
        return (self.user, self.password) if self.user else None

    def ask_token(self, *scopes: str) -> httpx.Response:
        return self.http.get(
            "/service/token",
            params={"service": "entrepot", "scope": list(scopes)},
            headers={"host": self.host},
            auth=self._login(),
        )

    def token(self, *scopes: str) -> str:
        answer = self.ask_token(*scopes)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def basic(self) -> int:
        """The status of /v2/ with the login as it is."""
        answer = self.http.get("/v2/", headers={"host": self.host}, auth=self._login())
        return answer.status_code

    def request(self, method: str, path: str, scope: str, **options: Any) -> httpx.Response:
        headers = {"host": self.host, **options.pop("headers", {})}
        token = self.bearer or self.token(scope)
        headers["authorization"] = f"Bearer {token}"
        return self.http.request(method, path, headers=headers, **options)

    def get(self, repository: str, reference: str) -> httpx.Response:
        return self.request(
            "GET",
            f"/v2/{repository}/manifests/{reference}",
            f"repository:{repository}:pull",
            headers={"accept": f"{MANIFEST}, {INDEX}"},
        )

    def blob(self, repository: str, digest: str) -> httpx.Response:
        return self.request(
            "GET", f"/v2/{repository}/blobs/{digest}", f"repository:{repository}:pull"
        )

    def push_blob(self, repository: str, content: bytes) -> httpx.Response:
        return self.request(
            "POST",
            f"/v2/{repository}/blobs/uploads/",
            f"repository:{repository}:pull,push",
            params={"digest": digest_of(content)},
            content=content,
        )

    def push_manifest(self, repository: str, reference: str, payload: bytes) -> httpx.Response:
        return self.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            f"repository:{repository}:pull,push",
            content=payload,
            headers={"content-type": json.loads(payload)["mediaType"]},
        )

    def push(self, repository: str, tag: str, content: bytes) -> bytes:
        """An image of one layer; the manifest as sent."""
        config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        for blob in (config, content):
            assert self.push_blob(repository, blob).status_code == 201
        payload = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described(CONFIG, config),
                "layers": [described(LAYER, content)],
            },
            indent=1,
        ).encode()
        answer = self.push_manifest(repository, tag, payload)
        assert answer.status_code == 201, answer.text
        return payload

    def push_index(self, repository: str, tag: str, *contents: bytes) -> bytes:
        """An index of images that have no tags; it as sent."""
        children = []
        for content in contents:
            payload = self.push(repository, digest_of(content).partition(":")[2], content)
            children.append(described(MANIFEST, payload))
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        payload = json.dumps(index, indent=1).encode()
        answer = self.push_manifest(repository, tag, payload)
        assert answer.status_code == 201, answer.text
        return payload


@contextmanager
def docker(account: Account, host: str, address: str = "127.0.0.1") -> Iterator[Docker]:
    """A client at an address of its own. `host`: with the port, as PublicDomain says it."""
    transport = httpx.HTTPTransport(local_address=address, retries=1)
    url = f"http://127.0.0.1:{account.registry.port}"
    with httpx.Client(base_url=url, transport=transport, timeout=20, trust_env=False) as http:
        yield Docker(http, host)
