"""What a client may take of the server: bytes, seconds, connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server. Sizes are bytes, times seconds.

    Times are checked by a sweep, so they are exceeded by up to a second (or a quarter of the
    shortest one, when that is less).
    """

    header_bytes: int = 65536
    """Request line and headers together, else 431. Also bounds trailers."""
    header_count: int = 128
    target_bytes: int = 49152
    """Path and query, else 414. Signed calls of an API carry their parameters here, up to 32 KiB."""
    header_seconds: float = 20.0
    """From the first byte of a request (or from connecting) to the end of its headers."""
    handshake_seconds: float = 20.0
    idle_seconds: float = 75.0
    """Between two requests of one connection."""
    body_seconds: float = 60.0
    """How long a body may stand still while the server waits for the client, either way."""
    minimum_rate: int = 1024
    """Bytes per second, averaged over the time spent waiting for the client in one request,
    either way, once that time passes `rate_grace_seconds`."""
    rate_grace_seconds: float = 30.0
    connections: int = 10000
    """Above it, new connections wait in the listen queue."""
    read_ahead: int = 65536
    """Of a body nobody reads yet, and of pipelined requests."""
    write_buffer: int = 65536
    """Largest piece handed to the socket or the cipher at once by the event loop."""
    linger_bytes: int = 16 * 1024 * 1024
    """Of an unread body that are thrown away so that the client sees the early answer."""
    linger_seconds: float = 5.0

    @property
    def sweep_seconds(self) -> float:
        """How often the times above are checked."""
        shortest = min(
            self.header_seconds, self.handshake_seconds, self.idle_seconds,
            self.body_seconds, self.rate_grace_seconds, self.linger_seconds,
        )  # fmt: skip
        return max(0.01, min(1.0, shortest / 4))
