"""A world of two tenants on both engines, and use cases run in it as their callers would."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from entrepot.capabilities.access import passwords
from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.documents import NATIVE, Vocabularies
from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.identities.users import CreateUser, create_user
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.content.hashers import LiveHashers
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.capabilities.operations.first_start import first_start
from entrepot.config import Source, load
from entrepot.dialects.swr.policies import SWR
from entrepot.dialects.tcr.policies import TCR
from entrepot.metadata import identities, instances, tenants
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.metadata.schema import audit, epochs
from entrepot.model.access import SYSTEM, Caller, Role
from entrepot.model.errors import Forbidden
from entrepot.model.identities import User
from entrepot.model.tenancy import Instance, Tenant
from entrepot.storage.memory import MemoryStore

OPERATOR = replace(SYSTEM, name="operator:test")


@dataclass(frozen=True)
class Request:
    """As far as the trail wants to know it."""

    client: str = ""
    id: str = ""


class World:
    """An opened context, the loop it lives on, and who is in it."""

    def __init__(self, ctx: Context, runner: asyncio.Runner) -> None:
        self.ctx = ctx
        self.runner = runner
        self.operator = OPERATOR
        self.trail = AuditLog(ctx.db, pulls=False)

    def run(self, use_case, caller: Caller, *arguments):
        """Run a use case to its end. A change that is denied is noted as wires do."""
        try:
            return self.runner.run(use_case(self.ctx, caller, *arguments))
        except Forbidden as error:
            if error.action and not error.noted:
                self.trail.denied(caller, "", "", request=Request(caller.source), error=error)
            raise

    def do(self, awaitable):
        """Run anything else that is awaited."""
        return self.runner.run(awaitable)

    def read(self, fn):
        """Look into the database."""
        return self.ctx.db.read_sync(fn)

    @property
    def root(self) -> Tenant:
        """The root tenant."""
        return self.read(tenants.root_tenant)

    @property
    def shared(self) -> Instance:
        """The default instance."""
        return self.read(instances.default_instance)

    def caller(self, user: User, kind: CredentialKind = CredentialKind.USER) -> LoggedIn:
        """The user, logged in with a password now."""
        version = self.read(lambda conn: identities.password_of(conn, user.id))[1]
        return LoggedIn(
            subject=f"user:{user.id}",
            name=user.name,
            tenant=user.tenant,
            user=user.id,
            credential=Credential(kind, user.id, version),
        )

    def user(self, tenant: Tenant, name: str, role: Role = Role.MEMBER) -> User:
        """A new user without a password."""
        return self.run(create_user, OPERATOR, CreateUser(tenant.id, name, role)).user

    def tenant(self, name: str) -> tuple[Tenant, User]:
        """A new tenant and its owner."""
        made = self.run(create_tenant, OPERATOR, CreateTenant(name, password="of the owner"))
        return made.tenant, made.owner

    def epoch(self, scope: str) -> int:
        """The epoch of a scope, as the database has it."""
        query = sa.select(epochs.c.value).where(epochs.c.scope == scope)
        return self.read(lambda conn: conn.execute(query).scalar()) or 0

    def audited(self, action: str) -> list[tuple[str, str, str]]:
        """(actor, resource, outcome) of the audit rows of an action, in order; of denials since the last time, behind the others."""
        self.do(self.trail.flush())
        query = (
            sa.select(audit.c.actor, audit.c.resource, audit.c.outcome)
            .where(audit.c.action == action)
            .order_by(audit.c.id)
        )
        return [tuple(row) for row in self.read(lambda conn: conn.execute(query).all())]


@dataclass(frozen=True)
class Cast:
    """Who plays: two tenants, `acme` with everybody a permission could be about."""

    acme: Tenant
    owner: LoggedIn
    admin: LoggedIn
    member: LoggedIn
    disabled: LoggedIn
    stranger: LoggedIn  # owner of another tenant
    root: LoggedIn  # owner of the root tenant


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is the matter of tests/unit/access."""
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)


@pytest.fixture
def settings(database_url, tmp_path):
    """Settings of a deployment on this database, with quick passwords to come."""
    flags = {
        "data.folder": str(tmp_path / "data"),
        "metadata.url": database_url,
        "region.name": "here-1",
    }
    return load(Source(None, flags, {"ENTREPOT_ROOT_PASSWORD": "a preset password"}))


@pytest.fixture
def empty_world(settings, migrated_database: Database):
    """Before the first start."""
    pool = ThreadPoolExecutor(2)
    with asyncio.Runner() as runner:
        access = AccessState(
            settings,
            migrated_database,
            Sealer.of(MasterKeys((b"k" * 32,))),
            vocabularies=Vocabularies((NATIVE, TCR, SWR)),
        )
        ctx = Context(
            settings=settings,
            db=migrated_database,
            blobs=MemoryStore(),
            pool=pool,
            access=access,
            hot=HotReads(migrated_database),
            hashers=LiveHashers(),
        )
        yield World(ctx, runner)
        runner.run(access.stop())
    pool.shutdown()


@pytest.fixture
def world(empty_world: World) -> World:
    """After the first start."""
    empty_world.do(first_start(empty_world.ctx))
    return empty_world


@pytest.fixture
def cast(world: World) -> Cast:
    """Tenants and callers."""
    acme, owner = world.tenant("acme")
    _, stranger = world.tenant("others")
    admin = world.user(acme, "admin", Role.ADMINISTRATOR)
    member = world.user(acme, "member")
    disabled = world.user(acme, "disabled", Role.ADMINISTRATOR)
    world.ctx.db.write_sync(lambda conn: identities.set_enabled(conn, disabled.id, enabled=False))
    tenant = world.root
    root = world.read(lambda conn: identities.find_user(conn, tenant.id, "root"))
    return Cast(
        acme,
        *(world.caller(user) for user in (owner, admin, member, disabled, stranger, root)),
    )
