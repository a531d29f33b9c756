"""Every answered request, once: counts, the access line, a span where traces are on. It runs on the event loop for each request, so it
is short: one look-up by where, how and with what result, a few additions, one line handed to the log's thread.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from entrepot.config import Settings
from entrepot.http.messages import Request
from entrepot.telemetry.catalog import SECONDS
from entrepot.telemetry.logs import LEVELS, LOG
from entrepot.telemetry.metrics import Metrics, Sample, Times
from entrepot.telemetry.rendering import AccessLine
from entrepot.telemetry.tracing import Tracer, open_tracer

_USUAL: Final = 512  # bytes: longer paths are not remembered
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLASSES: Final = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
# The last path component but one says which endpoint of /v2/ it is (distribution-spec, "Endpoints").
_ENDPOINTS: Final = {
    b"manifests": "manifest",
    b"blobs": "blob",
    b"uploads": "upload",
    b"tags": "tags",
    b"referrers": "referrers",
}
_WHOLE: Final = {
    b"/v2/": ("distribution", "base"),
    b"/v2/_catalog": ("distribution", "catalog"),
    b"/service/token": ("token", "token"),
    b"/": ("tcr", "tcr"),
    b"/healthz": ("health", "health"),
    b"/readyz": ("health", "health"),
}


@dataclass(slots=True)
class Cell:
    """Requests of one endpoint, method and class of status."""

    wire: str
    endpoint: str
    method: str
    status: str
    requests: int = 0
    received: int = 0
    sent: int = 0
    seconds: float = 0.0
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(SECONDS) + 1))
    level: str = field(init=False)  # of the lines of its requests
    level_number: int = field(init=False)

    def __post_init__(self) -> None:
        is_health = self.endpoint == "health"
        self.level = "error" if self.status == "5xx" else "debug" if is_health else "info"
        self.level_number = LEVELS[self.level]

    def samples(self) -> Iterator[Sample]:
        """What it counted, by the catalog's names."""
        where = (self.wire, self.endpoint, self.method)
        yield Sample("requests", self.requests, (*where, self.status))
        yield Sample("received_bytes", self.received, (self.endpoint,))
        yield Sample("sent_bytes", self.sent, (self.endpoint,))
        yield Sample("request_seconds", Times(list(self.buckets), self.seconds), where)
        if self.status == "2xx" and (event := _EVENTS.get((self.endpoint, self.method))):
            yield Sample(event, self.requests)


_EVENTS: Final = {
    ("manifest", "GET"): "manifests_pulled",
    ("manifest", "PUT"): "manifests_pushed",
    ("blob", "GET"): "blobs_pulled",
}


class Telemetry:
    """Is told of every answered request of this process."""

    def __init__(self, settings: Settings, *, process: str = "server") -> None:
        self.process = process
        self.metrics = Metrics()
        self.tracer: Tracer | None = open_tracer(settings, process=process)
        self._cells: dict[tuple[tuple[str, str], str, str], Cell] = {}
        self._by_status: dict[tuple[tuple[str, str], str, int], Cell] = {}  # the same cells
        self._is_counting = settings.metrics.enabled
        self.metrics.sample(self._samples)

    def observe(self, request: Request, *, status: int, size: int, seconds: float) -> None:
        """One line a request, at info; at error from 500 on, at debug where it is only about health."""
        where = endpoint_of(request.path)
        cell = self._by_status.get((where, request.method, status))
        if cell is None:
            cell = self._cell(where, request.method, status)
        if self._is_counting:
            cell.requests += 1
            cell.sent += size
            cell.received += request.received
            cell.seconds += seconds
            cell.buckets[bisect_left(SECONDS, seconds)] += 1
            if status == 429:
                self.metrics.count("throttled", where[1])
            elif status == 201 and where[1] == "upload":
                self.metrics.count("blobs_pushed")
        if cell.level_number >= LOG.threshold:
            self._write(request, cell.level, status=status, size=size, seconds=seconds)
        if self.tracer is not None:
            self.tracer.request(request, where[1], status=status, size=size, seconds=seconds)

    def _cell(self, where: tuple[str, str], method: str, status: int) -> Cell:
        """The cell of a known method; all foreign words share one, so that no client can make many."""
        known = method if method in _METHODS else "other"
        kind = "499" if status == 499 else _CLASSES[status // 100 if 0 < status < 600 else 5]
        cell = self._cells.setdefault((where, known, kind), Cell(*where, known, kind))
        if method in _METHODS:
            self._by_status[where, method, status] = cell
        return cell

    def _samples(self) -> Iterator[Sample]:
        if self._is_counting:
            for cell in list(self._cells.values()):
                yield from cell.samples()

    @staticmethod
    def _write(request: Request, level: str, *, status: int, size: int, seconds: float) -> None:
        caller = request.caller
        line = AccessLine(
            LOG.at(),
            level,
            "request",
            request.method[:32],
            request.path[:500].decode("latin-1"),
            status,
            size,
            request.received,
            round(seconds, 6),
            request.client,
            request.authority[:200],
            "" if caller is None else caller.name,
            request.header(b"user-agent")[:200],
            request.id,
            LOG.process,
            "" if caller is None else caller.operation,
        )
        writer = LOG.writer
        if writer is not None:
            writer.put_access(line)
        else:
            LOG.put(line)


def endpoint_of(path: bytes) -> tuple[str, str]:
    """Wire and endpoint of a path; a closed set, whatever a client asks for."""
    return _known(path) if len(path) <= _USUAL else _endpoint(path)


def _endpoint(path: bytes) -> tuple[str, str]:
    whole = _WHOLE.get(path)
    if whole is not None:
        return whole
    if path.startswith(b"/api/v1/"):
        return ("native", "api")
    if not path.startswith(b"/v2/"):
        return ("other", "other")
    parts = path.rsplit(b"/", 2)
    return _V2.get(parts[-2], _OTHER_V2)


_known = lru_cache(maxsize=4096)(_endpoint)
_V2: Final = {name: ("distribution", endpoint) for name, endpoint in _ENDPOINTS.items()}
_OTHER_V2: Final = ("distribution", "other")
