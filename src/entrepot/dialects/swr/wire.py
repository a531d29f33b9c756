"""The wire: what is the same for all operations, once, in this order: who asks, path, parameters, place, use case, answer.

Whoever is not known learns nothing, not even which paths there are. Then errors go 400, 403, 404, 409.
"""

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
from entrepot.dialects.sign_in import SignedIn, SignIn, note_project
from entrepot.dialects.swr import errors, parameters
from entrepot.dialects.swr.endpoints import AnyEndpoint, Paths
from entrepot.dialects.swr.openapi import PATH as OPENAPI
from entrepot.dialects.swr.openapi import document
from entrepot.dialects.swr.refusal import UNSIGNED, Refusal
from entrepot.dialects.swr.shapes import OfOrganization, OfRepository
from entrepot.dialects.swr.table import PATHS
from entrepot.dialects.swr.versions import version_answer
from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, read_body
from entrepot.http.messages import Request, Response
from entrepot.model.errors import Denied, NamespaceUnknown, RegistryError, Unavailable, Unknown
from entrepot.model.identities import CredentialsMissing, Project, ProjectUnknown
from entrepot.model.tenancy import Instance

MAX_BODY: Final = 12 * 1024 * 1024
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_log = structlog.get_logger(__name__)


class SignsIn(Protocol):
    """Learns who sends a request. See `SignIn`, which is the usual one."""

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
        body = await self._body(request)
        signed = await self._signed(request, body, instance)
        endpoint, values = _endpoint(self._paths, request)
        request.caller = caller = replace(signed.caller, operation=endpoint.action)
        asked = parameters.read(endpoint, values, request.scope["query_string"], body)
        try:
            where = await self._asked(request, caller, signed.project)
        except RegistryError as error:
            raise _refusal(error, endpoint, asked) from error
        try:
            operation = endpoint.operation
            result = await operation.use_case(self._ctx, caller, asked.to_command(where))
            return _told(endpoint, operation.response.of(result, where))
        except RegistryError as error:
            raise await self._failed(request, endpoint, error, asked=asked, where=where) from error

    # -- who ----------------------------------------------------------------------------------------------------------

    async def _body(self, request: Request) -> bytes:
        try:
            body = await read_body(request.scope, request.receive, MAX_BODY, self._ctx.pool)
        except BodyTooLarge as error:
            told = f"a body has at most {MAX_BODY} bytes"
            raise Refusal(errors.BODY_TOO_LARGE, told) from error
        request.received += len(body)
        return body

    async def _signed(self, request: Request, body: bytes, instance: Instance) -> SignedIn:
        try:
            return await self._sign_in.authenticate(request, body, instance=instance)
        except CredentialsMissing as error:
            raise Refusal(UNSIGNED, "neither a token nor a signature is given") from error
        except RegistryError as error:
            raise errors.refusal_of(error, names_repository=False) from error

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


def _endpoint(paths: Paths, request: Request) -> tuple[AnyEndpoint, tuple[str, ...]]:
    found = paths.find(request.path)
    if found is None:
        raise Refusal(errors.PATH_UNKNOWN, "nothing is served at this path")
    endpoint = found.by_method.get(request.method)
    if endpoint is None:
        allowed = ", ".join(sorted(found.by_method))
        raise Refusal(errors.PATH_UNKNOWN, f"this path takes {allowed}")
    return endpoint, found.values


def _told(endpoint: AnyEndpoint, answer: Any) -> Response:
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
