"""The wire: what is the same for all operations, once, in this order: path and method, who asks, body, parameters, place, use case, answer."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from entrepot.capabilities.access.callers import CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.tenants import get_tenant
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import NamedInstance, find_instance
from entrepot.capabilities.instances.requested import find_requested
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.native import parameters, problems
from entrepot.dialects.native.endpoints import PREFIX, AnyEndpoint
from entrepot.dialects.native.openapi import document
from entrepot.dialects.native.problems import Refusal
from entrepot.dialects.native.shapes import OWN
from entrepot.dialects.native.table import PATHS
from entrepot.dialects.operation import Addresses, Asked
from entrepot.dialects.sign_in.passwords import log_in, pair_of
from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, read_body
from entrepot.http.messages import Request, Response
from entrepot.model.errors import (
    Denied,
    Forbidden,
    RegistryError,
    Unavailable,
)
from entrepot.model.tenancy import Instance

MAX_BODY: Final = 256 * 1024
OPENAPI: Final = f"{PREFIX}/openapi.json".encode()
_NOWHERE: Final = Addresses("", "")
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_log = structlog.get_logger(__name__)


class Native:
    """The handler that the chain calls for `/api/v1/`."""

    def __init__(
        self, ctx: Context, audit: AuditLog, *, on_login: Callable[[str], None] = lambda _: None
    ) -> None:
        """`on_login` is told what came of each user name and password: good, refused, throttled."""
        self._ctx = ctx
        self._audit = audit
        self._on_login = on_login

    async def __call__(self, request: Request, instance: Instance) -> Response:
        """Answer one request; raises nothing of ours."""
        try:
            return await self._answer(request, instance)
        except Refusal as refusal:
            headers = list(refusal.headers)
            return problems.answer(refusal.kind, refusal.detail, request.id, headers)
        except RegistryError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", request_id=request.id, error=str(error))
            return problems.problem(error, request.id)
        except ClientDisconnected:
            raise
        except Exception:  # noqa: BLE001  (logged, and answered in this API's form)
            _log.exception("unexpected error", request_id=request.id)
            return problems.answer(problems.UNEXPECTED, "internal error", request.id, [])

    async def _answer(self, request: Request, instance: Instance) -> Response:
        if request.path == OPENAPI and request.method in ("GET", "HEAD"):
            return Response(200, list(_HEADERS), document())
        endpoint, values = _endpoint(request)
        caller = await self._caller(request, instance)
        request.caller = caller = replace(caller, operation=_action(endpoint))
        try:
            _require_person(caller)
            asked = parameters.read(
                endpoint,
                values,
                request.scope["query_string"],
                body=await self._body(request),
                content_type=request.header(b"content-type"),
            )
            return await self._perform(caller, endpoint, asked)
        except Denied as error:
            if not error.noted:
                self._audit.denied(caller, caller.operation, "api", request=request, error=error)
            raise

    # -- who ----------------------------------------------------------------------------------------------------------

    async def _caller(self, request: Request, instance: Instance) -> LoggedIn:
        return await log_in(
            self._ctx, request, instance, pair=pair_of(request), on_login=self._on_login
        )

    # -- what ---------------------------------------------------------------------------------------------------------

    async def _body(self, request: Request) -> bytes:
        try:
            body = await read_body(request.scope, request.receive, MAX_BODY, self._ctx.pool)
        except BodyTooLarge as error:
            told = f"a body has at most {MAX_BODY} bytes"
            raise Refusal(problems.BODY_TOO_LARGE, told) from error
        request.received += len(body)
        return body

    async def _perform(self, caller: LoggedIn, endpoint: AnyEndpoint, asked: Any) -> Response:
        where = await self._asked(caller, asked)
        operation = endpoint.operation
        result = await operation.use_case(self._ctx, caller, asked.to_command(where))
        if endpoint.status == 204:
            return Response(204, list(_HEADERS[1:]))
        answer = operation.response.of(result, where)
        return Response(endpoint.status, list(_HEADERS), msgspec.json.encode(answer))

    async def _asked(self, caller: LoggedIn, asked: Any) -> Asked:
        """The tenant and the instance that the path names. Raises Denied, TenantUnknown, InstanceUnknown."""
        found = await find_requested(self._ctx, caller, "", None, aliases=frozenset())
        tenant, place = found.tenant, None
        named: str = getattr(asked, "tenant", OWN)
        if named not in (OWN, tenant.name):
            tenant = await get_tenant(self._ctx, caller, named)
        instance: str | None = getattr(asked, "instance", None)
        if instance is not None:
            wanted = NamedInstance("" if instance == OWN else instance, tenant.id)
            place = await find_instance(self._ctx, caller, wanted)
        return Asked(
            caller=caller,
            tenant=tenant.id,
            uin=tenant.uin,
            region=found.region,
            addresses=_NOWHERE,
            place=place,
            tenant_name=tenant.name,
        )


def _endpoint(request: Request) -> tuple[AnyEndpoint, tuple[str, ...]]:
    found = PATHS.find(request.path)
    if found is None:
        raise Refusal(problems.PATH_UNKNOWN, f"see {OPENAPI.decode()} for what is served")
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = found.by_method.get(method)
    if endpoint is None:
        allow = (b"allow", found.allowed.encode())
        raise Refusal(problems.METHOD_UNKNOWN, f"this path takes {found.allowed}", (allow,))
    return endpoint, found.values


def _action(endpoint: AnyEndpoint) -> str:
    """What audit and policies call it."""
    return f"entrepot:{endpoint.operation.name}"


def _require_person(caller: LoggedIn) -> None:
    """Tokens, service accounts and derived logins lie about in clients' configuration files: they push and pull, no more. Raises Forbidden."""
    if caller.credential.kind is not CredentialKind.USER:
        raise Forbidden("api", "the management API with a token: log in with a user's password")
