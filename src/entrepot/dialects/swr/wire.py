"""The wire: what is the same for all operations, once, in this order: who asks, path, parameters, place, use case, answer.

Whoever is not known learns nothing, not even which paths there are, and no body is read of whoever cannot become known. Then errors go
400, 403, 404, 409.
"""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import NamedNamespace, owner_of
from entrepot.capabilities.instances.requested import find_shared
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.operation import Addresses, Asked
from entrepot.dialects.rates import SHARED
from entrepot.dialects.sign_in import SignedIn, SignIn, note_project
from entrepot.dialects.swr import errors, parameters, receiving
from entrepot.dialects.swr.endpoints import MAX_BODY, AnyEndpoint, Found, Paths
from entrepot.dialects.swr.openapi import PATH as OPENAPI
from entrepot.dialects.swr.openapi import document
from entrepot.dialects.swr.refusal import UNSIGNED, Refusal
from entrepot.dialects.swr.shapes import OfOrganization, OfRepository
from entrepot.dialects.swr.table import PATHS
from entrepot.dialects.swr.versions import version_answer
from entrepot.http.bodies import ClientDisconnected
from entrepot.http.messages import Request, Response
from entrepot.model.errors import (
    Denied,
    NamespaceUnknown,
    RegistryError,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from entrepot.model.identities import CredentialsMissing, Project, ProjectUnknown
from entrepot.model.tenancy import Instance

_MANY: Final = 200  # rows of an answer that is not made on the event loop
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_log = structlog.get_logger(__name__)


class SignsIn(Protocol):
    """Learns who sends a request. See `SignIn`, which is the usual one."""

    async def needs_body(self, request: Request) -> bool:
        """Whether the body proves who sends it. Raises CredentialsMissing, Unauthenticated where none could help."""

    async def authenticate(self, request: Request, body: bytes, *, instance: Instance) -> SignedIn:
        """`instance`: the one that the route found. Raises CredentialsMissing, any other Unauthenticated, RateLimited, ProjectUnknown."""


class Swr:
    """The handler that the chain calls for the API's paths."""

    def __init__(
        self,
        ctx: Context,
        audit: AuditLog,
        *,
        count: Callable[[str, str, str], None],
        paths: Paths = PATHS,
        sign_in: SignsIn | None = None,
    ) -> None:
        """`count` is told of every call: API, operation, outcome. `sign_in`: instead of signatures and tokens."""
        self._ctx = ctx
        self._audit = audit
        self._paths = paths
        self._sign_in = SignIn(ctx, audit) if sign_in is None else sign_in
        self._count = count
        self._suffix = str(ctx.settings.http.suffix)
        self._as_array = ctx.settings.api.swr_error_arrays
        self._rate = ctx.settings.api.swr_rate * ctx.settings.api.rate_percent // 100
        self._bodies = receiving.Bodies(ctx)

    async def __call__(self, request: Request, instance: Instance) -> Response:
        """Answer one request; raises nothing of ours."""
        told = version_answer(request)
        if told is not None:
            return told
        if request.method == "GET" and request.path == OPENAPI:
            return Response(200, list(_HEADERS), document())
        outcome = "done"
        try:
            return await self._answer(request, instance)
        except Refusal as refusal:
            outcome = refusal.full_code
            return errors.answer(refusal, request.id, as_array=self._as_array)
        except ClientDisconnected:
            raise
        except Exception:  # noqa: BLE001  (logged, and answered in this API's form)
            _log.exception("unexpected error", request_id=request.id)
            outcome = errors.UNEXPECTED
            unexpected = Refusal(errors.UNEXPECTED, "internal error")
            return errors.answer(unexpected, request.id, as_array=self._as_array)
        finally:
            operation = "" if request.caller is None else request.caller.operation
            self._count("swr", operation or "unknown", outcome)

    async def _answer(self, request: Request, instance: Instance) -> Response:
        found = self._paths.find(request.path)
        most = _most(found, request.method)
        signed, body = await self._known(request, instance, most)
        endpoint, values = _endpoint(found, request)
        request.caller = caller = replace(signed.caller, operation=endpoint.action)
        asked = await self._read(request, endpoint, values, body)
        try:
            where = await self._asked(request, caller, signed.project)
        except RegistryError as error:
            raise _refusal(error, endpoint, asked) from error
        self._admit(endpoint, where)
        try:
            result = await endpoint.operation.use_case(self._ctx, caller, asked.to_command(where))
            if endpoint.gives(result):
                resource = f"{where.instance.public_id}/{endpoint.gives(result)}"
                self._audit.pulled(caller, resource, request=request)
            return await self._told(endpoint, result, where)
        except RegistryError as error:
            raise await self._failed(request, endpoint, error, asked=asked, where=where) from error

    async def _read(
        self, request: Request, endpoint: AnyEndpoint, values: tuple[str, ...], body: bytes
    ) -> Any:
        query = request.scope["query_string"]
        if len(body) <= receiving.INLINE:
            return parameters.read(endpoint, values, query, body)
        return await self._ctx.blocking(lambda: parameters.read(endpoint, values, query, body))

    def _admit(self, endpoint: AnyEndpoint, where: Asked) -> None:
        if not self._rate:
            return
        key = f"swr/{where.tenant}/{where.region.id}/{endpoint.operation.name}"
        if not SHARED.admits(key, self._rate, int(time.time())):
            told = f"{endpoint.operation.name} is limited to {self._rate} requests a second"
            raise Refusal(errors.TOO_MANY, told)

    async def _told(self, endpoint: AnyEndpoint, result: Any, where: Asked) -> Response:
        if _rows_in(result) <= _MANY:
            return _response(endpoint, endpoint.operation.response.of(result, where))
        return await self._ctx.blocking(
            lambda: _response(endpoint, endpoint.operation.response.of(result, where))
        )

    # -- who ----------------------------------------------------------------------------------------------------------

    async def _known(
        self, request: Request, instance: Instance, most: int
    ) -> tuple[SignedIn, bytes]:
        """Who asks, and the body: read first only where it proves something."""
        if not receiving.may_be(request):
            return await self._signed(request, b"", instance), b""
        try:
            comes_first = await self._sign_in.needs_body(request)
        except Unauthenticated as error:
            raise _unknown(error) from error
        if comes_first:
            body = await self._bodies.read(request, most)
            return await self._signed(request, body, instance), body
        signed = await self._signed(request, b"", instance)
        return signed, await self._bodies.read(request, most)

    async def _signed(self, request: Request, body: bytes, instance: Instance) -> SignedIn:
        try:
            return await self._sign_in.authenticate(request, body, instance=instance)
        except RegistryError as error:
            raise _unknown(error) from error

    # -- where --------------------------------------------------------------------------------------------------------

    async def _asked(self, request: Request, caller: LoggedIn, project: Project | None) -> Asked:
        region = _region(request, self._suffix) if project is None else project.region
        found = await find_shared(self._ctx, caller, region)
        addresses = Addresses(self._suffix, _port(request))
        registry = request.authority
        if _is_under(request.host, self._suffix):
            registry = addresses.of("", found.region.name, is_shared=True)
        return Asked(
            caller=caller,
            tenant=found.tenant.id,
            uin=found.tenant.uin,
            region=found.region,
            addresses=addresses,
            place=found.instance,
            tenant_name=found.tenant.name,
            tenant_public_id=found.tenant.public_id,
            registry=registry,
            project=project,
        )

    # -- what went wrong ----------------------------------------------------------------------------------------------

    async def _failed(
        self,
        request: Request,
        endpoint: AnyEndpoint,
        error: RegistryError,
        *,
        asked: Any,
        where: Asked,
    ) -> Refusal:
        """Things of other accounts are said to be so, unless the caller may read them; that an organization is missing is told to everybody
        who is known: names are unique."""
        if isinstance(error, Unavailable):
            _log.warning("unavailable", request_id=request.id, error=str(error))
        if isinstance(error, ProjectUnknown):
            note_project(self._audit, where.caller, error, request)
        if isinstance(error, Denied) and not error.noted:
            resource = getattr(asked, "namespace", "tenant")
            self._audit.denied(
                where.caller, endpoint.action, str(resource)[:300], request=request, error=error
            )
        if isinstance(error, Denied | Unknown) and isinstance(asked, OfOrganization):
            named = NamedNamespace(where.instance.id, asked.namespace)
            owner = await owner_of(self._ctx, named)
            if owner is None:
                told = f"no organization is called {asked.namespace[:100]!r}"
                return Refusal(errors.ORGANIZATION_MISSING, told)
            if owner != where.tenant and isinstance(error, Denied | NamespaceUnknown):
                return Refusal(errors.FOREIGN_ACCOUNT, "it belongs to another account")
        return _refusal(error, endpoint, asked)


def _refusal(error: RegistryError, endpoint: AnyEndpoint, asked: Any) -> Refusal:
    codes = endpoint.operation.codes
    return errors.refusal_of(error, codes, names_repository=isinstance(asked, OfRepository))


def _unknown(error: RegistryError) -> Refusal:
    if isinstance(error, CredentialsMissing):
        return Refusal(UNSIGNED, "neither a token nor a signature is given")
    return errors.refusal_of(error, names_repository=False)


def _most(found: Found | None, method: str) -> int:
    """Bytes that a body there may have; what is not served takes as little."""
    endpoint = None if found is None else found.by_method.get(method)
    return MAX_BODY if endpoint is None else endpoint.most


def _endpoint(found: Found | None, request: Request) -> tuple[AnyEndpoint, tuple[str, ...]]:
    if found is None:
        raise Refusal(errors.PATH_UNKNOWN, "nothing is served at this path")
    endpoint = found.by_method.get(request.method)
    if endpoint is None:
        allowed = ", ".join(sorted(found.by_method))
        raise Refusal(errors.PATH_UNKNOWN, f"this path takes {allowed}")
    return endpoint, found.values


def _rows_in(result: Any) -> int:
    """How many rows a use case gave, where it gave a list or a page."""
    rows = getattr(getattr(result, "page", result), "rows", result)
    return len(rows) if isinstance(rows, list | tuple) else 1


def _response(endpoint: AnyEndpoint, answer: Any) -> Response:
    headers = answer.headers()
    if endpoint.status == 204:
        return Response(204, [*_HEADERS[1:], *headers])
    return Response(endpoint.status, [*_HEADERS, *headers], msgspec.json.encode(answer.body()))


def _is_under(host: str, suffix: str) -> bool:
    return host.endswith(f".{suffix.lower()}")


def _region(request: Request, suffix: str) -> str:
    """The region in the host's name; empty: the default one."""
    label, _, rest = request.host.partition(".")
    if label != "swr-api" or not _is_under(rest, suffix):
        return ""
    return rest.removesuffix(f".{suffix.lower()}")


def _port(request: Request) -> str:
    """What follows host names in this client's eyes."""
    _, colon, port = request.authority.rpartition(":")
    if not colon or not port.isdecimal() or port in ("80", "443"):
        return ""
    return f":{port}"
