"""Artifacts about an image, as signatures and bills of materials are: manifests with a subject, without layers."""

import json

from bench.client import MANIFEST_TYPE, digest_of

ARTIFACT_TYPE = "application/vnd.example.signature"


def artifact(image: bytes, number: int) -> bytes:
    """The `number`-th artifact about the image manifest `image`; it shares the image's configuration blob."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": json.loads(image)["config"],
        "layers": [],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": digest_of(image), "size": len(image)},
        "annotations": {"org.example.number": str(number)},
    }
    return json.dumps(document).encode()
