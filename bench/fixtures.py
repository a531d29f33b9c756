"""What is stored before a line is measured: one image of ordinary shape, and blobs of known size."""

import json
import os
from dataclasses import dataclass

from bench.client import MANIFEST_TYPE, Client, digest_of
from bench.httpline import BadAnswer, connect, read_body, read_head, request_head

NAMESPACE = "bench"
IMAGE = f"{NAMESPACE}/image"
LARGE = f"{NAMESPACE}/large"
_LAYERS = 8
_BLOB = 1024
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """An image in `bench/image` under `latest`, and its first layer of 1 KiB."""

    manifest: bytes
    digest: str
    layer: bytes
    layer_digest: str


def push_image(client: Client, repository: str, *tags: str) -> Image:
    """Push a configuration, eight layers of 1 KiB and their manifest (about 1.6 KB)."""
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    layers = [os.urandom(_BLOB) for _ in range(_LAYERS)]
    for content in (config, *layers):
        client.push_blob(repository, content)
    described = [
        _descriptor("application/vnd.oci.image.layer.v1.tar+gzip", each) for each in layers
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": described,
        }
    ).encode()
    digest = client.push_manifest(repository, manifest, *tags)
    return Image(manifest, digest, layers[0], digest_of(layers[0]))


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def push_large(client: Client, repository: str, size: int) -> str:
    """Push `size` bytes, one random MiB repeated with a running number; returns the digest."""
    base = os.urandom(_PIECE - 8)
    whole = b"".join(base + number.to_bytes(8) for number in range(-(-size // _PIECE)))[:size]
    return client.push_blob(repository, whole)


def probe(request: bytes, client: Client, *, content: bytes | None, size: int) -> None:
    """Send a line's request once and compare what comes: status 200, the length, and the bytes when they are given.

    Raises:
        BadAnswer: the server does not answer what the line counts on.
    """
    target = client.target
    with connect(target.host, target.port, authority=target.authority) as connection:
        connection.sendall(request)
        answer = read_head(connection)
        if answer.status != 200 or answer.length != size:
            raise BadAnswer(f"probe: {answer.status}, {answer.length} bytes for {size}")
        if content is not None and read_body(connection, answer) != content:
            raise BadAnswer("probe: other content than was pushed")


def get(client: Client, repository: str, target: str, method: str = "GET") -> bytes:
    """A line's request: /v2/<repository>/<target>, with a fresh token where the server wants one."""
    headers = {"Accept": MANIFEST_TYPE}
    authorization = client.authorization(repository, "pull")
    if authorization is not None:
        headers["Authorization"] = authorization
    return request_head(method, f"/v2/{repository}/{target}", client.target.netloc, **headers)
