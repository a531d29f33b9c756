"""The jobs a generator process can be given, and what it reports. Sizes in bytes, durations in seconds."""

from typing import Literal

import msgspec

Style = Literal["patch", "stream", "put"]


class Target(msgspec.Struct, frozen=True):
    """Where to connect; `authority` names the CA's file when the server speaks TLS."""

    host: str
    port: int
    authority: str | None = None

    @property
    def netloc(self) -> str:
        """The Host header's value."""
        return f"{self.host}:{self.port}"


class Requests(msgspec.Struct, frozen=True, tag="requests"):
    """Send `request` again and again on each of `connections`, each answer to be 200 with `body` bytes after its head.

    `variants`: sent in its place, one after the other, each once; the turn ends with the last of them if time is not up before.
    """

    target: Target
    request: str
    body: int
    connections: int
    seconds: float
    variants: list[str] = []


class Pull(msgspec.Struct, frozen=True, tag="pull"):
    """Fetch a body of `size` again and again until time is up; `discard` lets the kernel drop it (MSG_TRUNC)."""

    target: Target
    request: str
    size: int
    connections: int
    seconds: float
    discard: bool = False


class Push(msgspec.Struct, frozen=True, tag="push"):
    """`clients` at once upload `each` blobs of `size` random bytes, one after the other.

    patch: POST, one PATCH with a length, PUT. stream: the same with chunked transfer coding, as Docker Engine sends.
    put: POST, then everything in the PUT.
    """

    target: Target
    repository: str
    authorization: str | None
    size: int
    clients: int
    each: int
    style: Style


class Crowd(msgspec.Struct, frozen=True, tag="crowd"):
    """`clients` connect at the same moment and fetch one body of `size` each; what lasts past `limit_seconds` failed."""

    target: Target
    request: str
    size: int
    clients: int
    limit_seconds: float


Job = Requests | Pull | Push | Crowd


class Outcome(msgspec.Struct, frozen=True):
    """What one process did between `go` and its end.

    `units`: requests answered, or bytes moved. `histogram`: latency in buckets of 10 µs (for the crowd, of 10 ms,
    whole transfers). `note`: what was negotiated, where that matters. `digests`: what was stored.
    """

    units: int
    seconds: float
    cpu_seconds: float
    errors: int = 0
    first_error: str = ""
    reconnects: int = 0
    histogram: dict[int, int] = {}
    extra: dict[str, float] = {}
    note: str = ""
    digests: list[str] = []
