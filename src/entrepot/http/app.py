"""THE CHAIN: every request goes through `Application.__call__`, top to bottom, and nowhere else.

request id, client address -> host -> route -> wire -> answer -> log and metrics. ASGI 3: right on any server; with
`http.response.zerocopysend` blobs leave without passing through Python.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import structlog

from entrepot.capabilities.context import Context
from entrepot.http.bodies import ClientDisconnected, Event, Receive, Scope, Send
from entrepot.http.fields import encode_with_id
from entrepot.http.messages import (
    CURRENT_REQUEST,
    Answer,
    BlobResponse,
    Request,
    Response,
    split_host,
)
from entrepot.http.routing import HostKind, HostTable, Wire, find_route
from entrepot.model.errors import Unavailable
from entrepot.model.tenancy import Instance

WireHandler: TypeAlias = Callable[[Request, Instance], Awaitable[Answer]]
_USUAL: Final = 255  # characters of an authority; more is not remembered
_MOST_PLACES: Final = 1024
_WITHOUT_LENGTH: Final = frozenset({204, 304})
_log = structlog.get_logger(__name__)


class Observer(Protocol):
    """Is told of every answered request: access log, metrics, tracing."""

    def __call__(self, request: Request, *, status: int, size: int, seconds: float) -> None:
        """Must be cheap and never raise."""


class Hosts(Protocol):
    """The host table as it is now."""

    def known(self) -> HostTable | None:
        """It, unless it must be read again."""

    async def table(self) -> HostTable:
        """Read again when instances or their names changed."""


class Application:
    """The ASGI application of one process."""

    def __init__(
        self,
        ctx: Context,
        hosts: Hosts,
        wires: Mapping[Wire, WireHandler],
        *,
        observe: Observer,
        ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self._ctx = ctx
        self._hosts = hosts
        self._wires = wires
        self._observe = observe
        self._ready = ready
        self._proxies = tuple(ctx.settings.http.trusted_proxies)
        url = ctx.settings.http.external_url
        self._table: HostTable | None = None
        self._places: dict[str, tuple[HostKind, Instance | None]] = {}  # by authority
        self._external = None if url is None else _scheme_and_authority(url.reveal())
        # Request ids: unique among processes by their random half, cheap by the counted one.
        self._prefix = secrets.token_hex(5)
        self._numbers = itertools.count(secrets.randbelow(1 << 16))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Lifespan belongs to bootstrap; websockets are not spoken."""
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        began = time.perf_counter()
        request = Request(scope, receive, request_id=f"{self._prefix}{next(self._numbers):08x}")
        CURRENT_REQUEST.set(request)
        if self._proxies:
            request.believe(self._proxies)
        status, size = 499, 0
        try:
            try:
                table = self._hosts.known() or await self._hosts.table()
                found = self._route(request, table)
                answer = found if isinstance(found, Response) else await found
            except (ClientDisconnected, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001  (the last catch of the chain)
                answer = _failed(request, error)
            status = answer.status
            whole = request.whole_answer
            if whole is not None and isinstance(answer, Response):
                body = b"" if request.method == "HEAD" else answer.body
                lines = encode_with_id(answer.shared, answer.headers, request.id)
                rest = whole(status, lines, _told_length(answer), body=body)
                if rest is not None:
                    await rest
                size = len(body)
            else:
                size = await _send(answer, request, send, self._ctx)
        except ClientDisconnected:
            _log.debug("client went away", request_id=request.id)
        finally:
            self._observe(request, status=status, size=size, seconds=time.perf_counter() - began)

    def _route(self, request: Request, table: HostTable) -> Response | Awaitable[Answer]:
        kind, instance = self._place(table, request.authority)
        wire = find_route(kind, request.path)
        if wire is Wire.HEALTH:
            return self._health(request)
        if wire is None or instance is None:
            return _not_served(request, kind)
        if (refusal := table.admissions.refusal(request, instance)) is not None:
            return refusal
        if kind is HostKind.DEFAULT and self._external is not None:
            request.scheme, request.authority = self._external
        return self._wires[wire](request, instance)

    def _place(self, table: HostTable, authority: str) -> tuple[HostKind, Instance | None]:
        """What the table says of the authority's host: remembered as long as the table is this one."""
        if table is not self._table:
            self._table, self._places = table, {}
        place = self._places.get(authority)
        if place is None:
            place = table.resolve(split_host(authority))
            if len(authority) <= _USUAL and len(self._places) < _MOST_PLACES:
                self._places[authority] = place
        return place

    async def _health(self, request: Request) -> Response:
        fine = request.path == b"/healthz" or await self._ready()
        text = b"ok\n" if fine else b"not ready\n"
        return Response(200 if fine else 503, [(b"content-type", b"text/plain")], text)


def _failed(request: Request, error: Exception) -> Response:
    """Logged and answered, whatever it is."""
    if isinstance(error, Unavailable):
        _log.warning("unavailable", request_id=request.id, error=str(error))
        headers = [(b"content-type", b"text/plain"), (b"retry-after", b"1")]
        return Response(503, headers, b"temporarily unavailable, try again\n")
    _log.error("unexpected error", request_id=request.id, path=_shown(request.path), exc_info=error)
    return Response(500, [(b"content-type", b"text/plain")], b"internal error\n")


def _scheme_and_authority(url: str) -> tuple[str, str]:
    """How clients reach the default instance, whatever the proxy in between tells."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _not_served(request: Request, kind: HostKind) -> Response:
    if kind is HostKind.UNKNOWN:
        text = f"nothing is served at host {request.host[:200]!r} (see http.default_hosts)\n"
    else:
        text = "not found\n"
    return Response(404, [(b"content-type", b"text/plain; charset=utf-8")], text.encode())


def _shown(path: bytes) -> str:
    return path[:300].decode("latin-1")


async def _send(answer: Answer, request: Request, send: Send, ctx: Context) -> int:
    """Send the answer; how many body bytes it has."""
    length = _told_length(answer)
    if isinstance(answer, Response):
        body = b"" if request.method == "HEAD" else answer.body
        await send(_start(answer, request, length))
        await send({"type": "http.response.body", "body": body})
        return len(body)
    try:
        await send(_start(answer, request, length))
        return await _send_blob(answer, request, send, ctx)
    finally:
        await ctx.blocking(answer.reader.close)


def _told_length(answer: Answer) -> int | None:
    """What content-length says; None for statuses that have none."""
    return None if answer.status in _WITHOUT_LENGTH else answer.length


def _start(answer: Answer, request: Request, length: int | None) -> Event:
    headers = [*answer.shared.pairs, *answer.headers]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    headers.append((b"x-request-id", request.id.encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _send_blob(answer: BlobResponse, request: Request, send: Send, ctx: Context) -> int:
    if request.method == "HEAD" or answer.length == 0:
        await send({"type": "http.response.body", "body": b""})
        return 0
    file = answer.reader.fileno()
    if file is not None and "http.response.zerocopysend" in (request.scope.get("extensions") or {}):
        event: dict[str, Any] = {
            "type": "http.response.zerocopysend",
            "file": file,
            "offset": answer.start,
            "count": answer.length,
            "more_body": False,
        }
        await send(event)
        return answer.length
    pieces = answer.reader.chunks()
    sent = 0
    while (piece := await ctx.blocking(lambda: next(pieces, None))) is not None:
        await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})
        sent += len(piece)
    await send({"type": "http.response.body", "body": b""})
    return sent


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{event['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "websocket.close", "code": 1000})
