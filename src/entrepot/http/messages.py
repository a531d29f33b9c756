"""A request as the wires see it, and the answers they give. Thin over ASGI: the hot path makes one of each."""

import ipaddress
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from entrepot.http.bodies import Receive, Scope
from entrepot.http.fields import NONE, RECEIVED, WHOLE_ANSWER, Received, Shared, WholeAnswer
from entrepot.model.access import Caller
from entrepot.ports.blobs import BlobReader

Headers: TypeAlias = list[tuple[bytes, bytes]]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadQuery(ValueError):
    """The query string is not UTF-8 or has too many parameters."""


MAX_PARAMETERS = 200
_NO_EXTENSIONS: dict[str, Any] = {}


class Request:
    """One request. `client`, `scheme` and `authority` are what a trusted proxy says, else what the connection says.

    `caller` (once a wire knows who asks) and `received` (bytes of the body that were read) are for the log and the counts.
    """

    __slots__ = (
        "authority",
        "caller",
        "client",
        "header",
        "id",
        "method",
        "path",
        "receive",
        "received",
        "scheme",
        "scope",
        "whole_answer",
    )

    def __init__(self, scope: Scope, receive: Receive, *, request_id: str) -> None:
        self.scope = scope
        self.receive = receive
        self.id = request_id
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path") or scope["path"].encode()
        extensions = scope.get("extensions") or _NO_EXTENSIONS
        fields: Received | None = extensions.get(RECEIVED)
        if fields is None:
            fields = Received(dict(scope["headers"]))
        self.header: Callable[[bytes], str] = fields.text
        """The header's value (names in lower case), "" if it is absent."""
        self.whole_answer: WholeAnswer | None = extensions.get(WHOLE_ANSWER)
        client = scope.get("client")
        self.client: str = client[0] if client else ""
        self.scheme: str = scope.get("scheme", "http")
        self.authority: str = self.header(b"host")
        self.caller: Caller | None = None
        self.received = 0

    @property
    def host(self) -> str:
        """The authority without its port, lower case."""
        return split_host(self.authority)

    @property
    def base_url(self) -> str:
        """Scheme and authority by which this client reached us."""
        return f"{self.scheme}://{self.authority}"

    @property
    def query(self) -> dict[str, list[str]]:
        """Decoded parameters in order. Raises BadQuery."""
        return parse_query(self.scope["query_string"])

    def believe(self, proxies: Iterable[Network]) -> None:
        """Take client, scheme and authority from X-Forwarded-* if the connection comes from a trusted proxy."""
        networks = tuple(proxies)
        if not _inside(self.client, networks):
            return
        for hop in reversed(self.header(b"x-forwarded-for").split(",")):
            address = hop.strip()
            if not address:
                continue
            self.client = address
            if not _inside(address, networks):
                break
        scheme = self.header(b"x-forwarded-proto").lower()
        if scheme in ("http", "https"):
            self.scheme = scheme
        self.authority = self.header(b"x-forwarded-host") or self.authority


CURRENT_REQUEST: ContextVar[Request | None] = ContextVar("entrepot_request", default=None)
"""The request that this task answers: its id goes into every log line written meanwhile."""


class Response(Struct):
    """An answer with a body in memory. content-length is added when it is sent: the body's, or of a body that is only told of (HEAD).

    `shared`: fields besides `headers` that other answers have, too.
    """

    status: int
    headers: Headers = []  # each its own
    body: bytes = b""
    told_length: int | None = None
    shared: Shared = NONE

    @property
    def length(self) -> int:
        """What content-length says, in bytes."""
        return len(self.body) if self.told_length is None else self.told_length


class BlobResponse(Struct):
    """An answer whose body is `length` bytes of a blob from `start`. The chain closes the reader."""

    status: int
    headers: Headers
    reader: BlobReader
    start: int
    length: int
    shared: Shared = NONE


Answer: TypeAlias = Response | BlobResponse


def split_host(authority: str) -> str:
    """Host of `host`, `host:port` or `[v6]:port`, lower case, without a trailing dot. A scheme in front of it does not count."""
    if "://" in authority:
        authority = authority.partition("://")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Form-encoded parameters: `+` and `%20` are blanks. Raises BadQuery."""
    found: dict[str, list[str]] = {}
    if not raw:
        return found
    pairs = raw.split(b"&")
    if len(pairs) > MAX_PARAMETERS:
        raise BadQuery(f"more than {MAX_PARAMETERS} parameters")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        if name:
            found.setdefault(_decode(name), []).append(_decode(value))
    return found


def _decode(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise BadQuery("a parameter is not UTF-8") from error


def _inside(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
