"""The wire: what is the same for all operations, once, in this order: path and method, body, who asks, answer."""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.identity import errors
from entrepot.dialects.identity.errors import Refusal
from entrepot.dialects.identity.operations import ROWS, Call, Row, Told
from entrepot.dialects.sign_in import SignIn, note_project
from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, read_body
from entrepot.http.messages import Request, Response
from entrepot.model.errors import (
    Denied,
    RateLimited,
    RegistryError,
    Unauthenticated,
    Unavailable,
)
from entrepot.model.identities import ProjectUnknown
from entrepot.model.tenancy import Instance

MAX_BODY: Final = 64 * 1024
_log = structlog.get_logger(__name__)


class Identity:
    """The handler that the chain calls for `/v3/` and `/v3.0/`."""

    def __init__(
        self,
        ctx: Context,
        audit: AuditLog,
        *,
        count: Callable[[str, str, str], None],
        on_login: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`count` is told of every call: API, operation, outcome; `on_login` what came of each password: good, refused, throttled."""
        self._ctx = ctx
        self._audit = audit
        self._count = count
        self._on_login = on_login
        self._sign_in = SignIn(ctx, audit)

    async def __call__(self, request: Request, _instance: Instance) -> Response:
        """Answer one request; raises nothing of ours."""
        row, values = _find(request)
        outcome = "done"
        try:
            if row is None:
                raise Refusal(errors.PATH_UNKNOWN, "nothing is served at this path")
            return await self._answer(request, row, values)
        except Refusal as error:
            outcome = error.code.code
            return errors.answer(error, request.id, None)
        except RegistryError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", request_id=request.id, error=str(error))
            refusal = errors.refusal_of(error)
            outcome = refusal.code.code
            return errors.answer(refusal, request.id, error)
        except ClientDisconnected:
            outcome = "gone"
            raise
        except Exception:  # noqa: BLE001  (logged, and answered in this API's form)
            _log.exception("unexpected error", request_id=request.id)
            outcome = errors.UNEXPECTED.code
            return errors.answer(
                Refusal(errors.UNEXPECTED, errors.UNEXPECTED.words), request.id, None
            )
        finally:
            self._count("identity", "unknown" if row is None else row.name, outcome)

    async def _answer(self, request: Request, row: Row, values: tuple[str, ...]) -> Response:
        body = await self._body(request)
        signed = None
        if row.needs_login:
            signed = await self._sign_in.authenticate(request, body, f"identity:{row.name}")
        call = Call(self._ctx, request, body, values, signed)
        try:
            told = await (row.answer(call) if row.needs_login else self._logging_in(row, call))
        except Denied as error:
            if not error.noted and signed is not None:
                operation = signed.caller.operation
                self._audit.denied(
                    signed.caller, operation, "identity", request=request, error=error
                )
            raise
        except ProjectUnknown as error:
            if signed is not None:
                note_project(self._audit, signed.caller, error, request)
            raise
        headers = [*errors.HEADERS, (b"x-iam-trace-id", request.id.encode()), *told.headers]
        return Response(told.status, headers, msgspec.json.encode(told.body))

    async def _logging_in(self, row: Row, call: Call) -> Told:
        outcome = "refused"
        try:
            told = await row.answer(call)
            outcome = "good"
        except RateLimited:
            outcome = "throttled"
            raise
        except Unauthenticated as error:
            raise Refusal(errors.WRONG_PASSWORD, errors.WRONG_PASSWORD.words) from error
        finally:
            self._on_login(outcome)
        return told

    async def _body(self, request: Request) -> bytes:
        try:
            body = await read_body(request.scope, request.receive, MAX_BODY, self._ctx.pool)
        except BodyTooLarge as error:
            told = f"a body has at most {MAX_BODY} bytes"
            raise Refusal(errors.TOO_LARGE, told) from error
        request.received += len(body)
        return body


def _find(request: Request) -> tuple[Row | None, tuple[str, ...]]:
    """The row of a path, with what it names; one slash at the end more does not matter."""
    method = "GET" if request.method == "HEAD" else request.method
    parts = request.path.removesuffix(b"/").split(b"/")
    for row in ROWS:
        wanted = row.path.encode().split(b"/")
        if row.method != method or len(wanted) != len(parts):
            continue
        if all(want in (part, b"{}") for want, part in zip(wanted, parts, strict=True)):
            pairs = zip(wanted, parts, strict=True)
            return row, tuple(_decoded(part) for want, part in pairs if want == b"{}")
    return None, ()


def _decoded(part: bytes) -> str:
    """No id has what is not text."""
    return unquote_to_bytes(part).decode("ascii", "replace").replace("\0", "\ufffd")
