"""The least of a docker client: pushes an image with one layer, pulls a manifest."""

import hashlib
import http.client
import json
from dataclasses import dataclass

import transport

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Pushed:
    """An image. `size`: of config and layers."""

    digest: str
    payload: bytes
    config_digest: str
    size: int


def push_image(port: int, name: str, tag: str, basic: str, *, seed: str) -> Pushed:
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    layer = f"layer of {seed} ".encode() * 50
    parts = []
    for media_type, content in ((_CONFIG, config), (_LAYER, layer)):
        digest = digest_of(content)
        start = _send(port, "POST", f"/v2/{name}/blobs/uploads/?digest={digest}", basic, content)
        assert start.status == 201, start.status
        parts.append({"mediaType": media_type, "size": len(content), "digest": digest})
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": parts[0],
        "layers": parts[1:],
    }
    payload = json.dumps(document).encode()
    put_manifest(port, name, tag, basic, payload, MANIFEST)
    return Pushed(digest_of(payload), payload, parts[0]["digest"], len(config) + len(layer))


def push_index(port: int, name: str, tag: str, basic: str, children: list[Pushed]) -> str:
    """Of manifests that are there; its digest."""
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {"mediaType": MANIFEST, "size": len(one.payload), "digest": one.digest}
            for one in children
        ],
    }
    payload = json.dumps(document).encode()
    put_manifest(port, name, tag, basic, payload, INDEX)
    return digest_of(payload)


def push_large(port: int, name: str, tag: str, basic: str, *, size: int) -> None:
    """An index of nothing whose document has that many bytes."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    payload = json.dumps({**document, "annotations": {"a": ""}}).encode()
    filled = payload.replace(b'"a": ""', b'"a": "%s"' % (b"x" * (size - len(payload))))
    put_manifest(port, name, tag, basic, filled, INDEX)


def put_manifest(
    port: int, name: str, tag: str, basic: str, payload: bytes, media_type: str
) -> None:
    done = _send(port, "PUT", f"/v2/{name}/manifests/{tag}", basic, payload, media_type)
    assert done.status == 201, (done.status, done.read())


def pull(port: int, name: str, reference: str, basic: str = "") -> int:
    """The status of a manifest's pull."""
    return _send(port, "GET", f"/v2/{name}/manifests/{reference}", basic).status


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _send(
    port: int, method: str, path: str, basic: str, body: bytes = b"", media_type: str = ""
) -> http.client.HTTPResponse:
    connection = transport.connect(port)
    headers = {"Accept": f"{MANIFEST}, {INDEX}"}
    if basic:
        headers["Authorization"] = basic
    if media_type:
        headers["Content-Type"] = media_type
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer
