"""Whether a client is too slow: only the time that the server spends waiting for it counts."""

from entrepot.http.server.limits import Limits


class Pace:
    """Bytes and waiting time of one request, either direction."""

    __slots__ = ("_bytes", "_limits", "_moved", "_still_seconds", "_waited_seconds")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._moved = 0
        self.reset()

    def reset(self) -> None:
        """A new request begins."""
        self._bytes = 0
        self._still_seconds = self._waited_seconds = 0.0

    def too_slow(self, moved: int, elapsed: float, *, waits: bool) -> bool:
        """Judge after `elapsed` seconds more. `moved` is the connection's byte counter; `waits`
        whether the server waits for the client now."""
        gained, self._moved = max(0, moved - self._moved), max(self._moved, moved)
        if gained or not waits:
            self._still_seconds = 0.0
        else:
            self._still_seconds += elapsed
        if waits:
            self._waited_seconds += elapsed
            self._bytes += gained
        limits, waited = self._limits, self._waited_seconds
        if self._still_seconds >= limits.body_seconds:
            return True
        return waited > limits.rate_grace_seconds and self._bytes < limits.minimum_rate * waited
