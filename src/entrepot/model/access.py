"""Who asks, and what may be asked for. Structs, since each request makes them anew."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType

from msgspec import Struct

from entrepot.model.ids import AccountId, InstanceId, NamespaceId, RepositoryId, TenantId, UserId


class Permission(StrEnum):
    """What a use case asks for. Each dialect maps its own action names onto these."""

    PULL = "repository:pull"  # read manifests, blobs, tags, referrers
    PUSH = "repository:push"  # write manifests, blobs, tags
    DELETE = "repository:delete"  # delete tags, manifests, blobs
    REPOSITORY_CREATE = "repository:create"  # also by a first push
    REPOSITORY_EDIT = "repository:edit"  # change or delete the repository itself
    REPOSITORY_MANAGE = "repository:manage"  # give others rights on it
    CHART_PULL = "chart:pull"  # read charts of the classic repository
    CHART_PUSH = "chart:push"
    CATALOG = "instance:catalog"  # list the repositories one may read
    INSTANCE_CREATE = "instance:create"
    INSTANCE_READ = "instance:read"
    INSTANCE_MANAGE = "instance:manage"  # change, renew, delete, restore
    NAMESPACE_CREATE = "namespace:create"
    NAMESPACE_READ = "namespace:read"
    NAMESPACE_MANAGE = "namespace:manage"  # change, delete, grant
    ACCOUNT_MANAGE = "account:manage"  # tokens and service accounts of others
    IDENTITY_MANAGE = "identity:manage"  # users, groups, keys, policies of the tenant
    QUOTA_MANAGE = "quota:manage"  # deployment
    DEPLOYMENT_MANAGE = (
        "deployment:manage"  # tenants, collector, scrub, undelete: root tenant's administrators
    )


class Level(IntEnum):
    """SWR's grants: bit sets, each including the lesser."""

    NONE = 0
    READ = 1
    EDIT = 3
    MANAGE = 7


class Role(StrEnum):
    """A user's standing in the tenant."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    MEMBER = "member"


class AccountKind(StrEnum):
    """What logs in to an instance besides users."""

    TEMPORARY = "temporary"
    LONGTERM = "longterm"
    SERVICE = "service"
    LOGIN = "login"


class Caller(Struct, frozen=True):
    """Who asks.

    `user` is whose rights count: for tokens and keys the user who made them (DESIGN section 7); None for anonymous callers and
    for service accounts, whose rights are their own rows. `name` is for people (audit, events), `subject` for comparing.
    `operation` is what a signed request calls what it does (`<service>:<action>`), for policies that speak of such names.
    """

    subject: str  # `anonymous`, `user:5`, `account:9`, `system`
    name: str
    tenant: TenantId | None = None
    user: UserId | None = None
    account: AccountId | None = None
    source: str = ""  # client address, as connection or trusted proxy tell it
    request_id: str = ""
    operation: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody logged in."""
        return self.subject == "anonymous"

    @property
    def is_system(self) -> bool:
        """Whether it is a job or the operator at the command line, who may do everything."""
        return self.subject == "system"


ANONYMOUS = Caller("anonymous", "anonymous")
SYSTEM = Caller("system", "system")


class Fact(StrEnum):
    """What a request says beside the name of the thing it is about, for policies' conditions."""

    TARGET_TENANT = "target tenant"  # public id of the one it is shared with
    TARGET_REGION = "target region"  # name of the one it is copied to
    PUBLIC = "public"  # `true` or `false`: whether a repository is to be public
    PUBLIC_NAMESPACE = "public namespace"  # likewise


def to_be_public(what: Fact, is_public: bool) -> Mapping[Fact, str]:  # noqa: FBT001  (it is the thing said)
    """What a request says that makes a thing public, or keeps it private."""
    return {what: "true" if is_public else "false"}


class Principal(Struct, frozen=True):
    """Who asks, as policies' conditions know people. Empty: no user, or (of a tenant) nobody of one. `is_owner`: of the tenant."""

    user_id: str = ""  # public ids
    user_name: str = ""
    tenant_id: str = ""
    tenant_name: str = ""
    is_owner: bool = False


NO_PRINCIPAL = Principal()


class Resource(Struct, frozen=True):
    """What a permission is asked on, with the facts that the decision needs.

    `tenant` owns it. For a repository that is not there yet `repository` is None and `path` its name-to-be.
    A whole deployment has tenant None. `region` matters only for an instance that is not there yet: where it is to be.
    `about`: what else the request says.
    """

    tenant: TenantId | None
    instance: InstanceId | None = None
    namespace: NamespaceId | None = None
    namespace_name: str = ""
    repository: RepositoryId | None = None
    path: str = ""
    is_public: bool = False
    region: str = ""
    about: Mapping[Fact, str] = MappingProxyType({})

    def __str__(self) -> str:
        if self.namespace_name and self.path:
            return f"{self.namespace_name}/{self.path}"
        return self.namespace_name or (
            "deployment" if self.tenant is None else f"tenant {self.tenant}"
        )


class InstanceNames(Struct, frozen=True):
    """What an instance is called in policies that speak of it by name."""

    public_id: str
    region: str
    is_shared: bool = False


class Naming(Struct, frozen=True):
    """By what names policies know a tenant (public id, two account numbers) and instances."""

    tenant: TenantId | None = None
    uin: str = ""
    app_id: str = ""
    instances: Mapping[InstanceId, InstanceNames] = MappingProxyType({})
    public_id: str = ""

    def region(self, resource: Resource) -> str:
        """Where the thing is or is to be; "" where that is not known."""
        place = None if resource.instance is None else self.instances.get(resource.instance)
        return resource.region if place is None else place.region


NO_NAMES = Naming()
