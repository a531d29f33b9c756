"""The operator's listener: a short list of endpoints that clients of the registry must never see, and nothing else.

On a Unix socket the file's mode says who may come; on a TCP address a bearer token does. It is an ASGI application of its own, on the
same kind of server as the registry, with limits of its own: a busy registry does not shut its operator out.
"""

import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog

from entrepot.http.bodies import ClientDisconnected, Receive, Scope, Send
from entrepot.http.messages import CURRENT_REQUEST, Headers, Request, Response

Endpoint: TypeAlias = Callable[[Request, bytes], Awaitable[Response]]  # is given the body, too
Endpoints: TypeAlias = Mapping[bytes, Mapping[str, Endpoint]]  # by path and method

MAX_BODY: Final = 1024
_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_log = structlog.get_logger(__name__)


class AdminApplication:
    """Serves the endpoints. `token` None: whoever can connect may ask."""

    def __init__(self, endpoints: Endpoints, *, token: str | None) -> None:
        self._endpoints = endpoints
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Without the right token every path looks the same."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive, request_id=secrets.token_hex(8))
        CURRENT_REQUEST.set(request)
        try:
            answer = await self._answer(request)
        except ClientDisconnected:
            return
        except Exception:  # noqa: BLE001  (the last catch: logged, answered with 500)
            _log.exception("admin_error", path=request.path[:200].decode("latin-1"))
            answer = text(500, "internal error")
        headers = [*answer.headers, (b"cache-control", b"no-store")]
        if answer.status != 204:
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: Request) -> Response:
        if not self._may(request):
            return text(401, "a bearer token is needed", [(b"www-authenticate", b"Bearer")])
        methods = self._endpoints.get(request.path)
        if methods is None:
            return text(404, "not found")
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = methods.get(method)
        if endpoint is None:
            return text(405, "not served here", [(b"allow", ", ".join(methods).encode())])
        body = await _body(request) if method in ("PUT", "POST") else b""
        if body is None:
            return text(413, f"at most {MAX_BODY} bytes")
        return await endpoint(request, body)

    def _may(self, request: Request) -> bool:
        """Compared in a time that does not depend on how much is right."""
        if self._token is None:
            return True
        kind, _, told = request.header(b"authorization").partition(" ")
        shown = told.strip().encode("latin-1")
        if kind.lower() == "basic":
            shown = _password(shown)
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(shown, self._token)


def text(status: int, line: str, headers: Headers | None = None) -> Response:
    """An answer of one line."""
    return Response(status, [_PLAIN, *(headers or ())], f"{line}\n".encode())


def _password(shown: bytes) -> bytes:
    """Of a Basic login, whoever it is for: some clients can say no more than a URL holds."""
    try:
        return base64.b64decode(shown, validate=True).partition(b":")[2]
    except ValueError:
        return b""


async def _body(request: Request) -> bytes | None:
    """The whole body; None if it is too long."""
    body = b""
    while True:
        event = await request.receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        piece: bytes = event.get("body", b"")
        body += piece
        if len(body) > MAX_BODY:
            return None
        if not event.get("more_body", False):
            return body
