"""Clients that push images over the wire while processes are killed: they try again until they are answered, and remember what they
were told. And what of it must be there in the end.
"""

import base64
import hashlib
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from started import ROOT_PASSWORD, Started
from transport import connect

from entrepot.oci.descriptor import OCI_MANIFEST
from entrepot.oci.digest import Digest
from registry_in_memory import image

PATIENCE_SECONDS = 60


def basic(user: str, password: str) -> str:
    """The header of a login."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


BASIC = basic("root", ROOT_PASSWORD)


@dataclass(slots=True)
class Connection:
    """A kept connection that is made again when it breaks."""

    port: int
    _inner: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request. OSError, HTTPException: no answer."""
        if self._inner is None:
            self._inner = connect(self.port)
        sent = {"authorization": BASIC, "content-length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._inner.request(method, path, body=body, headers=sent)
            answer = self._inner.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def insist(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """Ask until there is an answer that is not "later"."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self.ask(method, path, body, **headers)
                if answer[0] not in (429, 503):
                    return answer
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path}: {answer}")
            time.sleep(0.05)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None


@dataclass
class Pusher(threading.Thread):
    """Pushes one image after the other into a repository of its own until `stop`."""

    port: int
    number: int
    stop: threading.Event
    tags: dict[str, bytes] = field(default_factory=dict)  # acknowledged: manifest by tag
    layers: dict[str, bytes] = field(default_factory=dict)  # acknowledged: content by digest
    resumed: int = 0
    error: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._random = random.Random(self.number)
        self._connection = Connection(self.port)
        self._base = f"/v2/team/client-{self.number}"

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        count = 0
        try:
            while not self.stop.is_set():
                count += 1
                self._push_image(count)
        except BaseException as error:
            self.error = error
        finally:
            self._connection.close()

    def _push_image(self, count: int) -> None:
        layer = self._random.randbytes(self._random.randrange(1, 200_000))
        for content in (layer, b"{}"):
            if self._random.random() < 0.5:
                self._push_whole(content)
            else:
                self._push_in_chunks(content)
            self.layers[str(Digest.of(content))] = content
        manifest = image([layer], note=f"{self.number}/{count}")
        for tag in (f"v{count}", "latest"):
            status, _, text = self._connection.insist(
                "PUT", f"{self._base}/manifests/{tag}", manifest, content_type=OCI_MANIFEST
            )
            assert status == 201, text
            self.tags[tag] = manifest

    def _push_whole(self, content: bytes) -> None:
        path = f"{self._base}/blobs/uploads/?digest={Digest.of(content)}"
        status, _, text = self._connection.insist("POST", path, content)
        assert status == 201, text

    def _push_in_chunks(self, content: bytes) -> None:
        """Whenever there is no answer, go on where the server says; where it knows the session no more, see whether it is done."""
        digest, session = Digest.of(content), self._begin()
        while True:
            status, headers, _ = self._connection.insist("GET", session)
            if status == 404:
                if self._connection.insist("HEAD", f"{self._base}/blobs/{digest}")[0] == 200:
                    return
                session = self._begin()
                continue
            assert status == 204
            offset = self._offset(headers)
            self.resumed += offset > 0
            assert offset <= len(content)
            if self._send_rest(session, content, offset, digest=digest):
                return

    def _begin(self) -> str:
        status, headers, text = self._connection.insist("POST", f"{self._base}/blobs/uploads/")
        assert status == 202, text
        return headers["location"]

    @staticmethod
    def _offset(headers: dict[str, str]) -> int:
        end = int(headers["range"].partition("-")[2])
        return end + 1 if end else 0  # `0-0` is also what an empty session says

    def _send_rest(self, session: str, content: bytes, offset: int, *, digest: Digest) -> bool:
        try:
            while offset < len(content):
                part = content[offset : offset + 60_000]
                span = f"{offset}-{offset + len(part) - 1}"
                status, _, _ = self._connection.ask("PATCH", session, part, content_range=span)
                if status != 202:
                    return False
                offset += len(part)
            status, _, text = self._connection.ask("PUT", f"{session}?digest={digest}")
        except (OSError, http.client.HTTPException):
            return False
        assert status in (201, 404, 416, 429, 503), text
        return bool(status == 201)


def check_everything_acknowledged(registry: Started, pushers: list[Pusher]) -> None:
    """All of it is served, with the right bytes, by tag and by digest."""
    connection = Connection(registry.port)
    for pusher in pushers:
        base = f"/v2/team/client-{pusher.number}"
        for tag, manifest in pusher.tags.items():
            for reference in (tag, str(Digest.of(manifest))):
                status, _, found = connection.insist("GET", f"{base}/manifests/{reference}")
                assert (status, found) == (200, manifest), f"{base}:{reference}"
            assert set(_references(manifest)) <= pusher.layers.keys()
        for digest, content in pusher.layers.items():
            status, _, found = connection.insist("GET", f"{base}/blobs/{digest}")
            assert status == 200, f"{base}@{digest}: {found!r}"
            assert hashlib.sha256(found).digest() == hashlib.sha256(content).digest()
    connection.close()


def check_doctor(registry: Started) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "entrepot", "doctor", "--json"],
        env=registry.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["sound"], done.stdout


def _references(manifest: bytes) -> list[str]:
    document = json.loads(manifest)
    return [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]
