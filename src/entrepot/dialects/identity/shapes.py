"""What the service takes and gives. Fields of ours that the vendor has none for are left out; ones we have nothing for are empty."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

from entrepot.capabilities.access.identity_tokens import Holder, Validity
from entrepot.model.access import Role
from entrepot.model.identities import Project, User
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Tenant

_NO_NUL = r"\A[^\x00]*\Z"  # no database keeps one in a text
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=512, pattern=_NO_NUL)]
Secret: TypeAlias = Annotated[str, msgspec.Meta(max_length=1024)]

# -- asked ------------------------------------------------------------------------------------------------------------


class NamedDomain(msgspec.Struct, frozen=True):
    """A tenant, by one of the two."""

    id: Text = ""
    name: Text = ""


class NamedUser(msgspec.Struct, frozen=True):
    """A user by id, or by name in a tenant; and a password."""

    password: Secret
    id: Text = ""
    name: Text = ""
    domain: NamedDomain = NamedDomain()

    def __repr__(self) -> str:
        return "NamedUser(***)"


class OfUser(msgspec.Struct, frozen=True):
    """The password method."""

    user: NamedUser


class Identity(msgspec.Struct, frozen=True):
    """How somebody proves to be somebody."""

    methods: Annotated[list[Text], msgspec.Meta(max_length=8)]
    password: OfUser | None = None


class NamedProject(msgspec.Struct, frozen=True):
    """A project by id, or by name in the user's tenant."""

    id: Text = ""
    name: Text = ""
    domain: NamedDomain = NamedDomain()


class AskedScope(msgspec.Struct, frozen=True):
    """What a token is for. A project goes before a tenant."""

    project: NamedProject | None = None
    domain: NamedDomain | None = None


class Auth(msgspec.Struct, frozen=True):
    """The request for a token. Without a scope it is for the user's tenant."""

    identity: Identity
    scope: AskedScope = AskedScope()


class AskedToken(msgspec.Struct, frozen=True):
    """The whole body."""

    auth: Auth


# -- told -------------------------------------------------------------------------------------------------------------


class Links(msgspec.Struct, frozen=True):
    """Of one thing, or of a list that has only one page."""

    self: str
    previous: str | None = None
    next: str | None = None


class ProjectShown(msgspec.Struct, frozen=True):
    """A project; its parent is the tenant."""

    id: str
    name: str
    domain_id: str
    parent_id: str
    links: Links
    is_domain: bool = False
    enabled: bool = True
    description: str = ""

    @classmethod
    def of(cls, project: Project, tenant: Tenant, at: str) -> "ProjectShown":
        """`at`: where projects are."""
        links = Links(f"{at}/{project.public_id}")
        return cls(project.public_id, project.name, tenant.public_id, tenant.public_id, links)


class ProjectList(msgspec.Struct, frozen=True):
    """All that were asked for."""

    projects: list[ProjectShown]
    links: Links


class OneProject(msgspec.Struct, frozen=True):
    """The one that was asked for."""

    project: ProjectShown


class DomainShown(msgspec.Struct, frozen=True):
    """A tenant."""

    id: str
    name: str
    links: Links
    enabled: bool = True
    description: str = ""


class DomainList(msgspec.Struct, frozen=True):
    """The caller's."""

    domains: list[DomainShown]
    links: Links


class UserShown(msgspec.Struct, frozen=True):
    """A user in the service's own form."""

    id: str
    name: str
    domain_id: str
    enabled: bool
    pwd_status: bool
    is_domain_owner: bool
    create_time: str
    links: Links
    access_mode: str = "default"
    description: str = ""
    email: str = ""
    areacode: str = ""
    phone: str = ""
    xuser_id: str = ""
    xuser_type: str = ""

    @classmethod
    def of(cls, user: User, tenant: Tenant, at: str) -> "UserShown":
        """`at`: where it was found."""
        return cls(
            id=user.public_id,
            name=user.name,
            domain_id=tenant.public_id,
            enabled=user.enabled,
            pwd_status=user.has_password,
            is_domain_owner=user.role is Role.OWNER,
            create_time=_moment(user.created_at).strftime("%Y-%m-%d %H:%M:%S.0"),
            links=Links(at),
        )


class OneUser(msgspec.Struct, frozen=True):
    """The one that was asked for."""

    user: UserShown


class Named(msgspec.Struct, frozen=True):
    """A tenant or a role as tokens tell it."""

    id: str
    name: str


class TokenUser(msgspec.Struct, frozen=True):
    """Whose token it is."""

    id: str
    name: str
    domain: Named
    password_expires_at: str = ""


class TokenProject(msgspec.Struct, frozen=True):
    """What a token is for."""

    id: str
    name: str
    domain: Named


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service is in a region."""

    id: str
    region: str
    region_id: str
    url: str
    interface: str = "public"


class Service(msgspec.Struct, frozen=True):
    """An entry of the catalog."""

    id: str
    name: str
    type: str
    endpoints: list[Endpoint]

    @classmethod
    def at(cls, name: str, places: Sequence[tuple[str, str]]) -> "Service":
        """`places`: regions and addresses."""
        endpoints = [Endpoint(_id(name, region), region, region, url) for region, url in places]
        return cls(_id(name), name, name, endpoints)


class Catalog(msgspec.Struct, frozen=True):
    """What is served, and where."""

    catalog: list[Service]
    links: Links


class TokenShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token without itself, which is in a header."""

    expires_at: str
    issued_at: str
    methods: tuple[str, ...]
    user: TokenUser
    roles: list[Named]
    catalog: list[Service]
    project: TokenProject | None = None
    domain: Named | None = None

    @classmethod
    def of(cls, holder: Holder, validity: Validity, catalog: list[Service]) -> "TokenShown":
        """Administrators have the role that the vendor gives them; what others may do is no role's matter here."""
        user, tenant, project = holder.user, holder.place.tenant, holder.place.project
        domain = Named(tenant.public_id, tenant.name)
        is_member = user.role is Role.MEMBER
        return cls(
            expires_at=_to_the_micro(validity.expires_at),
            issued_at=_to_the_micro(validity.issued_at),
            methods=("password",),
            user=TokenUser(user.public_id, user.name, domain),
            roles=[] if is_member else [Named("0", "te_admin")],
            catalog=catalog,
            project=TokenProject(project.public_id, project.name, domain) if project else None,
            domain=domain if project is None else None,
        )


class OneToken(msgspec.Struct, frozen=True):
    """The one that was made or asked about."""

    token: TokenShown


def _moment(at: Micros) -> datetime:
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


def _to_the_micro(at: Micros) -> str:
    return _moment(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _id(*names: str) -> str:
    """32 hex digits that stay the same."""
    return hashlib.sha256("/".join(names).encode()).hexdigest()[:32]
