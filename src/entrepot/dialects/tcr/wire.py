"""The wire: a signed request in, an envelope out. What is the same for all actions happens here, once, in the order of ADR 10."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.signed import KeyAttempt, authenticate_key
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import running
from entrepot.capabilities.instances.requested import Requested, find_requested
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.operation import Addresses, Asked, Operation
from entrepot.dialects.rates import SHARED
from entrepot.dialects.tcr import envelope, parameters
from entrepot.dialects.tcr.book import BOOK, WITHDRAWN
from entrepot.dialects.tcr.errors import refusal_of, refusal_of_signing
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.regions import NAMES
from entrepot.dialects.tcr.signing import (
    SKEW_SECONDS,
    Claim,
    SignedRequest,
    SigningError,
    read_claim,
    read_pairs,
    require_fresh,
)
from entrepot.dialects.tcr.table import SERVICES, TABLE, Service
from entrepot.http.bodies import BodyTooLarge, read_body
from entrepot.http.messages import Request, Response
from entrepot.model.errors import Denied, RegistryError, Unauthenticated, Unavailable
from entrepot.model.tenancy import Instance

MAX_QUERY: Final = 32 * 1024
MAX_FORM: Final = 1024 * 1024
MAX_JSON: Final = 10 * 1024 * 1024
_INLINE: Final = 64 * 1024  # bytes hashed on the event loop
_LARGE_AT_ONCE: Final = 8  # bodies above that, in one process
_UNLISTED_PER_SECOND: Final = 20  # of actions that only newer clients know

_OPERATIONS: Final = frozenset(
    f"{service.name}:{name}" for service in SERVICES for name in service.table
)

_log = structlog.get_logger(__name__)


class Tcr:
    """The handler that the chain calls for `/` of the API's host."""

    def __init__(
        self, ctx: Context, audit: AuditLog, *, count: Callable[[str, str, str], None]
    ) -> None:
        """`count` is told of every call: API, operation, outcome."""
        self._ctx = ctx
        self._audit = audit
        self._count = count
        self._large = 0  # large bodies being read
        self._suffix = str(ctx.settings.http.suffix)
        self._aliases = NAMES if ctx.settings.api.vendor_regions else frozenset[str]()

    async def __call__(self, request: Request, _instance: Instance) -> Response:
        """Answer one request; raises nothing of ours."""
        if not is_meant(request):
            return Response(404, [(b"content-type", b"text/plain")], b"not found\n")
        request.id = request_id = envelope.new_request_id()  # one id in log, audit trail and answer
        try:
            answer = envelope.success(await self._outputs(request, request_id), request_id)
            outcome = "done"
        except Refusal as refusal:
            answer, outcome = envelope.failure(refusal, request_id), refusal.code
        operation = "" if request.caller is None else request.caller.operation
        self._count("tcr", operation if operation in _OPERATIONS else "unknown", outcome)
        return answer

    async def _outputs(self, request: Request, request_id: str) -> object:
        try:
            signed = await self._read(request)
            claim = await self._claim(signed)
        except SigningError as error:
            raise refusal_of_signing(error) from error
        try:
            request.caller = caller = await self._caller(request, request_id, claim)
            return await self._perform(request, caller, claim, signed=signed)
        except RegistryError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", request_id=request_id, error=str(error))
            own = TABLE[claim.action].codes if claim.action in TABLE else None
            raise refusal_of(error, claim.action, own) from error
        except Refusal:
            raise
        except Exception as error:
            _log.exception("unexpected error", request_id=request_id, action=claim.action[:100])
            raise Refusal("InternalError", "internal error") from error

    # -- who ----------------------------------------------------------------------------------------------------------

    async def _read(self, request: Request) -> SignedRequest:
        headers = {
            name.decode("latin-1"): value.decode("latin-1").strip()
            for name, value in request.scope["headers"]
        }
        if request.method not in ("GET", "POST"):
            raise Refusal(
                "UnsupportedProtocol", f"{request.method} is not served, GET and POST are"
            )
        query: bytes = request.scope["query_string"]
        if len(query) > MAX_QUERY:
            raise Refusal("RequestSizeLimitExceeded", f"a query has at most {MAX_QUERY} bytes")
        body = b""
        if request.method == "POST":
            limit = MAX_JSON if "authorization" in headers else MAX_FORM
            body = await self._body(request, headers, limit)
        if headers.get("content-type", "").startswith("multipart/"):
            raise Refusal("UnsupportedOperation", "no action here takes multipart/form-data")
        return SignedRequest(request.method, headers.get("host", ""), query, headers, body)

    async def _body(self, request: Request, headers: Mapping[str, str], limit: int) -> bytes:
        """The body. Large ones wait in memory before anybody is known, so there are few at a time; hardly any request needs one."""
        told = headers.get("content-length", "")
        is_small = told.isdecimal() and len(told) < 10 and int(told) <= _INLINE
        if not is_small and self._large >= _LARGE_AT_ONCE:
            raise Refusal("RequestLimitExceeded", "too many large requests at once; try again")
        self._large += not is_small
        try:
            body = await read_body(request.scope, request.receive, limit, self._ctx.pool)
        except BodyTooLarge as error:
            raise Refusal(
                "RequestSizeLimitExceeded", f"a body has at most {limit} bytes"
            ) from error
        finally:
            self._large -= not is_small
        request.received += len(body)
        return body

    async def _claim(self, signed: SignedRequest) -> Claim:
        if len(signed.body) > _INLINE:
            claim = await self._ctx.blocking(lambda: read_claim(signed))
        else:
            claim = read_claim(signed)
        require_fresh(claim, time.time())
        return claim

    async def _caller(self, request: Request, request_id: str, claim: Claim) -> LoggedIn:
        try:
            return await authenticate_key(self._ctx, self._attempt(request, request_id, claim))
        except Unauthenticated as error:
            if not error.noted:
                self._audit.denied(None, "login", "deployment", request=request, error=error)
            raise

    @staticmethod
    def _attempt(request: Request, request_id: str, claim: Claim) -> KeyAttempt:
        return KeyAttempt(
            access_key_id=claim.access_key_id,
            session_token=claim.session_token,
            signed_at=claim.timestamp,
            window_seconds=SKEW_SECONDS,
            proves=claim.proves,
            weight=claim.weight,
            nonce=claim.nonce,
            source=request.client,
            request_id=request_id,
            operation=f"{_name(claim)}:{claim.action}"[:100],
        )

    # -- what ---------------------------------------------------------------------------------------------------------

    async def _perform(
        self, request: Request, caller: LoggedIn, claim: Claim, *, signed: SignedRequest
    ) -> object:
        operation = _operation(_service(claim), claim.action)
        asked = _parsed(operation, claim, signed)
        named: str | None = getattr(asked, "registry_id", None)
        found = await find_requested(self._ctx, caller, claim.region, named, aliases=self._aliases)
        self._admit(found, claim.action)
        if found.instance is not None and operation.needs_running:
            running(found.instance)
        where = self._asked(request, caller, found)
        try:
            result = await operation.use_case(self._ctx, caller, asked.to_command(where))
        except Denied as error:
            if not error.noted:
                resource = str(where.place.public_id if where.place else "tenant")
                self._audit.denied(
                    caller, f"tcr:{operation.name}", resource, request=request, error=error
                )
            raise
        return operation.response.of(result, where)

    def _admit(self, found: Requested, action: str) -> None:
        """Counted by what the region is, not by what it was called."""
        factor = self._ctx.settings.api.rate_percent
        if not factor:
            return
        entry = BOOK.get(action)
        listed = _UNLISTED_PER_SECOND if entry is None else entry.per_second
        limit = max(1, listed * factor // 100)
        key = f"{found.tenant.id}/{found.region.id}/{action}"
        if not SHARED.admits(key, limit, int(time.time())):
            raise Refusal(
                "RequestLimitExceeded", f"{action} is limited to {limit} requests a second"
            )

    def _asked(self, request: Request, caller: LoggedIn, found: Requested) -> Asked:
        return Asked(
            caller=caller,
            tenant=found.tenant.id,
            uin=found.tenant.uin,
            region=found.region,
            addresses=Addresses(self._suffix, _port(request)),
            place=found.instance,
        )


def is_meant(request: Request) -> bool:
    """Whether it shows any sign of this API; `/` of a bare address has other visitors too."""
    return (
        bool(request.header(b"x-tc-action"))
        or request.header(b"authorization").startswith("TC3")
        or b"Action=" in request.scope["query_string"]
        or (request.method == "POST" and "x-www-form-urlencoded" in request.header(b"content-type"))
    )


def _port(request: Request) -> str:
    """What follows host names in this client's eyes."""
    _, colon, port = request.authority.rpartition(":")
    if not colon or not port.isdecimal() or port in ("80", "443"):
        return ""
    return f":{port}"


def _name(claim: Claim) -> str:
    """The service's, as policies call it; only TC3 says it itself."""
    return next((one.name for one in SERVICES if one.version == claim.version), SERVICES[0].name)


def _service(claim: Claim) -> Service:
    if not claim.version:
        raise Refusal("MissingParameter", "no version is given")
    for service in SERVICES:
        if service.version == claim.version and claim.service in (None, service.name):
            return service
    versions = ", ".join(f"{service.name} {service.version}" for service in SERVICES)
    raise Refusal("NoSuchVersion", f"{claim.version[:40]!r} is not served: {versions}")


def _operation(service: Service, action: str) -> Operation[Any, Any]:
    if not action:
        raise Refusal("MissingParameter", "no action is given")
    found = service.table.get(action)
    if found is not None:
        return found
    if action in WITHDRAWN:
        raise Refusal("ActionOffline", f"{action} was withdrawn")
    raise Refusal("InvalidAction", f"{action[:100]!r} is not served")


def _parsed(operation: Operation[Any, Any], claim: Claim, signed: SignedRequest) -> Any:
    if claim.parameters is not None:
        pairs = list(claim.parameters)
    elif signed.method == "GET":
        try:
            pairs = read_pairs(signed.raw_query)
        except SigningError as error:
            raise refusal_of_signing(error) from error
    else:
        return parameters.read(
            operation.request, _json(signed.body), is_flat=False, ignored=operation.ignores
        )
    return parameters.read(
        operation.request, parameters.nest(pairs), is_flat=True, ignored=operation.ignores
    )


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        decoded = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("InvalidParameter", f"the body is no JSON: {error}"[:300]) from error
    if not isinstance(decoded, dict):
        raise Refusal("InvalidParameter", "the body must be a JSON object")
    return decoded
