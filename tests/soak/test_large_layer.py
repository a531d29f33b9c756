"""A layer of many gigabytes goes up and comes down while the server's memory stays where it was."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from bench import procfs
from bench.client import Client, digest_of
from bench.figures import GIB, MIB

REPOSITORY = "soak/large"
SIZE = int(float(os.environ.get("ENTREPOT_SOAK_GIB", "20")) * GIB)
CHUNK = GIB  # one PATCH
ALLOWED_GROWTH = 64 * MIB
SPARE_DISK = 2 * GIB

_BASE = os.urandom(MIB - 8)
_CONFIG = b"{}"


def _pieces(start: int, end: int, hasher: "hashlib._Hash") -> Iterator[bytes]:
    """The layer's bytes from start to end (whole MiB): never stored, no two MiB alike, hashed on their way."""
    for number in range(start // MIB, end // MIB):
        piece = number.to_bytes(8) + _BASE
        hasher.update(piece)
        yield piece


def _upload(client: Client) -> str:
    place, hasher = client.begin(REPOSITORY), hashlib.sha256()
    for start in range(0, SIZE, CHUNK):
        end = min(start + CHUNK, SIZE)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{start}-{end - 1}",
            "Content-Length": str(end - start),
        }
        pieces = _pieces(start, end, hasher)
        reply = client.send("PATCH", place, client.headers(REPOSITORY, headers), pieces)
        client.expect(202, reply)
        assert reply.headers["range"] == f"0-{end - 1}"
        place = client.location(reply)
    digest = "sha256:" + hasher.hexdigest()
    place += f"{'&' if '?' in place else '?'}digest={digest}"
    headers = client.headers(REPOSITORY, {"Content-Length": "0"})
    client.expect(201, client.send("PUT", place, headers, b""))
    return digest


def _push_manifest(client: Client, layer: str) -> None:
    config_type = "application/vnd.oci.image.config.v1+json"
    layer_type = "application/vnd.oci.image.layer.v1.tar"
    client.push_blob(REPOSITORY, _CONFIG)
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": config_type, "digest": digest_of(_CONFIG), "size": len(_CONFIG)},
        "layers": [{"mediaType": layer_type, "digest": layer, "size": SIZE}],
    }
    client.push_manifest(REPOSITORY, json.dumps(manifest).encode(), "latest")


def _warm(client: Client) -> None:
    """Everything a first request loads: login, upload, download."""
    content = os.urandom(8 * MIB)
    digest = client.push_blob(REPOSITORY, content)
    path = f"/v2/{REPOSITORY}/blobs/{digest}"
    assert client.fetch(path, client.headers(REPOSITORY, {})).digest == digest


@pytest.mark.soak
def test_a_layer_of_many_gigabytes_goes_up_and_comes_down_in_flat_memory(server, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    if free < SIZE + SPARE_DISK:
        pytest.skip(
            f"{free / GIB:.1f} GiB free under {tmp_path}, {(SIZE + SPARE_DISK) / GIB:.1f} needed"
        )
    with closing(server.client()) as client:
        _warm(client)
        time.sleep(1)
        idle = procfs.memory(server.pid)
        started = time.monotonic()
        with procfs.MemoryPeak(server.pid) as sampler:
            layer = _upload(client)
            uploaded = time.monotonic()
            _push_manifest(client, layer)
            begun = time.monotonic()
            path = f"/v2/{REPOSITORY}/blobs/{layer}"
            fetched = client.fetch(path, client.headers(REPOSITORY, {}))
            downloaded = time.monotonic()
    peak = sampler.peak
    print(
        f"\n{SIZE / GIB:g} GiB up {SIZE / MIB / (uploaded - started):.0f} MiB/s, "
        f"down {SIZE / MIB / (downloaded - begun):.0f} MiB/s (the client hashes both ways); "
        f"resident idle {idle.rss / MIB:.1f}, peak {peak.rss / MIB:.1f} MiB over {peak.processes} processes, "
        f"largest process {peak.rss_max / MIB:.1f} MiB, {sampler.samples} samples"
    )
    assert (fetched.status, fetched.size, fetched.digest) == (200, SIZE, layer)
    assert peak.rss - idle.rss <= ALLOWED_GROWTH
