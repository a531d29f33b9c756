"""The service's operations, each a row with what answers it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from entrepot.capabilities.access.identities.projects import (
    ListOwnProjects,
    find_place,
    list_own_projects,
)
from entrepot.capabilities.access.identities.users import get_user_by_id
from entrepot.capabilities.access.identity_tokens import (
    IssueToken,
    Scope,
    check_identity_token,
    holder_of,
    issue_identity_token,
)
from entrepot.capabilities.access.login import Person
from entrepot.capabilities.context import Context
from entrepot.dialects.identity import errors, shapes
from entrepot.dialects.identity.errors import Refusal
from entrepot.dialects.sign_in import SignedIn
from entrepot.http.messages import BadQuery, Headers, Request, parse_query
from entrepot.model.errors import Forbidden, Unauthenticated
from entrepot.model.identities import Project


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose sender is known, unless it needs none. `values`: of the names in the path."""

    ctx: Context
    request: Request
    body: bytes
    values: tuple[str, ...]
    signed: SignedIn | None

    @property
    def who(self) -> SignedIn:
        """Who asks. Only of operations that need to know."""
        if self.signed is None:
            raise Unauthenticated("nobody is known here")
        return self.signed

    def at(self, path: str) -> str:
        """An address of this service as this client reaches it."""
        return f"{self.request.base_url}{path}"

    def query(self, name: str) -> str:
        """A parameter; empty where it is not there. Raises Refusal."""
        try:
            return parse_query(self.request.scope["query_string"]).get(name, [""])[-1]
        except BadQuery as error:
            raise Refusal(errors.PARAMETER, str(error)) from error


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. `headers`: more of them."""

    body: msgspec.Struct
    status: int = 200
    headers: Headers = field(default_factory=list)


# -- tokens -----------------------------------------------------------------------------------------------------------


async def create_token(call: Call) -> Told:
    """A token for whoever shows a user's password."""
    asked = _read(call.body).auth
    if asked.identity.methods != ["password"] or asked.identity.password is None:
        raise Refusal(errors.PARAMETER, "only the method password is served")
    user = asked.identity.password.user
    if not user.id and not (user.name and (user.domain.name or user.domain.id)):
        raise Refusal(errors.PARAMETER, "a user is an id, or a name and a domain")
    command = IssueToken(
        Person(user.name, user.domain.name, user.domain.id, user.id),
        user.password,
        _scope(asked.scope),
    )
    issued = await issue_identity_token(
        call.ctx, command, source=call.request.client, request_id=call.request.id
    )
    catalog = _services(call, issued.holder.projects)
    shown = shapes.TokenShown.of(issued.holder, issued.validity, catalog)
    return Told(shapes.OneToken(shown), 201, [(b"x-subject-token", issued.token.encode())])


async def show_token(call: Call) -> Told:
    """What X-Subject-Token is, for its user."""
    token = call.request.header(b"x-subject-token").strip()
    if not token:
        raise Refusal(errors.PARAMETER, "X-Subject-Token names the token")
    login = await check_identity_token(
        call.ctx, token, source=call.request.client, request_id=call.request.id
    )
    if login.caller.user != call.who.caller.user:
        raise Forbidden("identity:manage", "tokens of others")
    holder = await holder_of(call.ctx, login)
    shown = shapes.TokenShown.of(holder, login.validity, _services(call, holder.projects))
    return Told(shapes.OneToken(shown), 200, [(b"x-subject-token", token.encode("latin-1"))])


async def show_catalog(call: Call) -> Told:
    """The services of the project that the request is in, or of all."""
    projects: Sequence[Project] = [call.who.project] if call.who.project else []
    if not projects:
        projects = await list_own_projects(call.ctx, call.who.caller, ListOwnProjects())
    return Told(
        shapes.Catalog(_services(call, projects), shapes.Links(call.at("/v3/auth/catalog")))
    )


def _read(body: bytes) -> shapes.AskedToken:
    try:
        return msgspec.json.decode(body, type=shapes.AskedToken)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(errors.MALFORMED, f"the body: {error}"[:300]) from None


def _scope(asked: shapes.AskedScope) -> Scope:
    project, domain = asked.project, asked.domain or shapes.NamedDomain()
    if project is None:
        return Scope(tenant_id=domain.id, tenant=domain.name)
    if not project.id and not project.name:
        raise Refusal(errors.PARAMETER, "a project is an id or a name")
    return Scope(
        project_id=project.id,
        project=project.name,
        tenant_id=project.domain.id,
        tenant=project.domain.name,
    )


# -- what there is ----------------------------------------------------------------------------------------------------


async def list_projects(call: Call) -> Told:
    """The tenant's projects; other tenants' do not exist."""
    tenant = call.who.tenant
    found: list[Project] = []
    if call.query("domain_id") in ("", tenant.public_id):
        command = ListOwnProjects(call.query("name"))
        found = await list_own_projects(call.ctx, call.who.caller, command)
    at = call.at("/v3/projects")
    rows = [shapes.ProjectShown.of(one, tenant, at) for one in found]
    return Told(shapes.ProjectList(rows, shapes.Links(at)))


async def show_project(call: Call) -> Told:
    """One of them."""
    place = await find_place(call.ctx, call.who.caller, call.values[0])
    if place.project is None:
        raise Refusal(errors.PATH_UNKNOWN, "a project has an id")
    at = call.at("/v3/projects")
    return Told(shapes.OneProject(shapes.ProjectShown.of(place.project, place.tenant, at)))


async def list_domains(call: Call) -> Told:
    """The caller's tenant."""
    tenant, at = call.who.tenant, call.at("/v3/domains")
    shown = shapes.DomainShown(
        tenant.public_id, tenant.name, shapes.Links(f"{at}/{tenant.public_id}")
    )
    return Told(shapes.DomainList([shown], shapes.Links(call.at("/v3/auth/domains"))))


async def show_user(call: Call) -> Told:
    """Oneself, or for who manages the tenant's people anybody of them."""
    user = await get_user_by_id(call.ctx, call.who.caller, call.values[0])
    at = call.at(f"/v3.0/OS-USER/users/{user.public_id}")
    return Told(shapes.OneUser(shapes.UserShown.of(user, call.who.tenant, at)))


# -- catalog ----------------------------------------------------------------------------------------------------------


def _services(call: Call, projects: Sequence[Project]) -> list[shapes.Service]:
    """Registries at their own hosts where this service is reached by its own, else all at the address the client uses."""
    request, suffix = call.request, str(call.ctx.settings.http.suffix).lower()
    base = request.base_url
    registries = [(one.region, base) for one in projects]
    if request.host == f"iam.{suffix}":
        port = request.authority[len(request.host) :]
        registries = [
            (one.region, f"{request.scheme}://swr-api.{one.region}.{suffix}{port}")
            for one in projects
        ]
    return [shapes.Service.at("swr", registries), shapes.Service.at("iam", [("*", f"{base}/v3")])]


# -- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """An operation. `path`: with `{}` for what a request names. `needs_login`: whether it must be known who asks."""

    name: str
    method: str
    path: str
    answer: Callable[[Call], Awaitable[Told]]
    needs_login: bool = True


ROWS: Final = (
    Row("CreateToken", "POST", "/v3/auth/tokens", create_token, needs_login=False),
    Row("ShowToken", "GET", "/v3/auth/tokens", show_token),
    Row("ShowCatalog", "GET", "/v3/auth/catalog", show_catalog),
    Row("ListAuthProjects", "GET", "/v3/auth/projects", list_projects),
    Row("ListAuthDomains", "GET", "/v3/auth/domains", list_domains),
    Row("ListProjects", "GET", "/v3/projects", list_projects),
    Row("ShowProject", "GET", "/v3/projects/{}", show_project),
    Row("ShowUser", "GET", "/v3.0/OS-USER/users/{}", show_user),
)
