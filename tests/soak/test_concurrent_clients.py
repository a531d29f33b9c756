"""Two hundred clients push and pull images of mixed sizes at once; nothing fails, and every byte is what was pushed."""

import hashlib
import http.client
import json
import math
import os
import random
import shutil
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from bench import procfs
from bench.client import MANIFEST_TYPE, Client, digest_of
from bench.figures import GIB, MIB
from bench.httpline import BadAnswer

CLIENTS = int(os.environ.get("ENTREPOT_SOAK_CLIENTS", "200"))
SECONDS = float(os.environ.get("ENTREPOT_SOAK_SECONDS", "120"))
SMALLEST, LARGEST = 1 << 10, 32 * MIB
STORED_LIMIT = 8 * GIB  # from then on only small layers are pushed
SPARE_DISK = 2 * GIB

_BASE = memoryview(os.urandom(LARGEST))
_CONFIG = b"{}"


@dataclass(frozen=True, slots=True)
class _Image:
    repository: str
    tag: str
    manifest: str


@dataclass(slots=True)
class _Shared:
    """What all clients see: the images that were acknowledged, and what went wrong."""

    images: list[_Image] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pushed: int = 0
    pulled: int = 0
    pushed_bytes: int = 0
    pulled_bytes: int = 0
    reconnects: int = 0
    throttled: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Client(threading.Thread):
    """One client: three pulls of anybody's images to each push of its own."""

    def __init__(self, number: int, client: Client, shared: _Shared, deadline: float) -> None:
        super().__init__(daemon=True)
        self._number, self._client, self._shared, self._deadline = number, client, shared, deadline
        self._random = random.Random(number)
        self._repository = f"soak/client-{number:03}"
        self._count = 0

    def run(self) -> None:
        try:
            with closing(self._client):
                self._push()
                while time.monotonic() < self._deadline and not self._shared.errors:
                    if self._random.random() < 0.25:
                        self._push()
                    else:
                        self._pull()
        except (OSError, http.client.HTTPException, BadAnswer, AssertionError, KeyError) as error:
            with self._shared.lock:
                self._shared.errors.append(
                    f"client {self._number}: {type(error).__name__}: {error}"
                )
        with self._shared.lock:
            self._shared.reconnects += self._client.reconnects
            self._shared.throttled += self._client.throttled

    def _size(self) -> int:
        largest = LARGEST if self._shared.pushed_bytes < STORED_LIMIT else 64 << 10
        power = self._random.uniform(math.log(SMALLEST), math.log(largest))
        return int(math.exp(power))

    def _push(self) -> None:
        client, size = self._client, self._size()
        prefix = f"{self._number}:{self._count}:".encode()
        hasher = hashlib.sha256(prefix)
        hasher.update(_BASE[: size - len(prefix)])
        layer = "sha256:" + hasher.hexdigest()
        pieces = (prefix, _BASE[: size - len(prefix)])
        client.push_pieces(self._repository, pieces, digest=layer, size=size)
        client.push_blob(self._repository, _CONFIG)
        manifest = _manifest(layer, size)
        tag = f"v{self._count}"
        digest = client.push_manifest(self._repository, manifest, tag)
        self._count += 1
        with self._shared.lock:
            self._shared.images.append(_Image(self._repository, tag, digest))
            self._shared.pushed += 1
            self._shared.pushed_bytes += size

    def _pull(self) -> None:
        client, image = self._client, self._random.choice(self._shared.images)
        base = f"/v2/{image.repository}"
        headers = client.headers(image.repository, {"Accept": MANIFEST_TYPE})
        reply = client.expect(200, client.send("GET", f"{base}/manifests/{image.tag}", headers))
        assert digest_of(reply.body) == image.manifest, f"{image} has another manifest"
        (layer,) = json.loads(reply.body)["layers"]
        fetched = client.fetch(f"{base}/blobs/{layer['digest']}", headers)
        expected = (200, layer["digest"], layer["size"])
        assert (fetched.status, fetched.digest, fetched.size) == expected, f"{image}: {fetched}"
        with self._shared.lock:
            self._shared.pulled += 1
            self._shared.pulled_bytes += fetched.size


def _manifest(layer: str, size: int) -> bytes:
    config_type = "application/vnd.oci.image.config.v1+json"
    layer_type = "application/vnd.oci.image.layer.v1.tar"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": config_type, "digest": digest_of(_CONFIG), "size": len(_CONFIG)},
        "layers": [{"mediaType": layer_type, "digest": layer, "size": size}],
    }
    return json.dumps(manifest).encode()


@pytest.mark.soak
def test_two_hundred_clients_push_and_pull_mixed_sizes_without_an_error(server, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    if free < STORED_LIMIT + SPARE_DISK:
        needed = (STORED_LIMIT + SPARE_DISK) / GIB
        pytest.skip(f"{free / GIB:.1f} GiB free under {tmp_path}, {needed:.1f} needed")
    shared, started = _Shared(), time.monotonic()
    clients = [
        _Client(number, server.client(), shared, started + SECONDS) for number in range(CLIENTS)
    ]
    with procfs.MemoryPeak(server.pid) as sampler:
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    seconds = time.monotonic() - started
    print(
        f"\n{CLIENTS} clients, {seconds:.0f} s: {shared.pushed} images pushed "
        f"({shared.pushed_bytes / MIB / seconds:.0f} MiB/s), {shared.pulled} pulled "
        f"({shared.pulled_bytes / MIB / seconds:.0f} MiB/s), {shared.reconnects} connections closed early, "
        f"{shared.throttled} logins told to wait; "
        f"resident peak {sampler.peak.rss / MIB:.0f} MiB, largest process {sampler.peak.rss_max / MIB:.0f} MiB"
    )
    assert shared.errors == []
    assert shared.reconnects == 0
    assert shared.pushed >= CLIENTS
    assert shared.pulled > 0
