"""Two tenants with users, namespaces and repositories, written as plain rows; and started access states on it."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from argon2 import PasswordHasher

from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.secrets import key_context
from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.context import Context
from entrepot.config import Settings
from entrepot.metadata import schema
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.metadata.namespaces import find_namespace, find_repository
from entrepot.model.access import Caller
from entrepot.model.ids import InstanceId, Micros, TenantId, UserId
from entrepot.model.tenancy import Instance, InstanceKind

SEALER = Sealer.of(MasterKeys((b"k" * 32,)))
CHEAP = PasswordHasher(
    time_cost=1, memory_cost=8, parallelism=1
)  # verifying reads its cost from the text
HASHES = {name: CHEAP.hash(f"{name}-password") for name in ("root", "alice", "bob", "carl", "dora")}
SECRET_KEY = "secret-key-of-alice"
ROOT_UIN, ACME_UIN = "100000000001", "100000000002"


@dataclass
class World:
    """What was written: ids by name."""

    db: Database
    url: str
    tenants: dict[str, TenantId] = field(default_factory=dict)
    users: dict[str, UserId] = field(default_factory=dict)
    shared: Instance = None
    own: Instance = None

    conn: sa.Connection = None  # while it is built, in one transaction

    def insert(self, table, **values) -> int:
        statement = sa.insert(table).values(**values)
        if self.conn is not None:
            return self.conn.execute(statement).inserted_primary_key[0]
        return self.db.write_sync(lambda conn: conn.execute(statement).inserted_primary_key[0])

    def set(self, table, number, **values) -> None:
        statement = sa.update(table).where(table.c.id == number).values(**values)
        self.db.write_sync(lambda conn: conn.execute(statement))

    def select(self, *columns, where=None) -> list:
        query = sa.select(*columns)
        query = query if where is None else query.where(where)
        return self.db.read_sync(lambda conn: conn.execute(query).all())

    def caller(self, name: str, **more) -> Caller:
        tenant = self.tenants["root"] if name in ("root", "alice", "bob") else self.tenants["acme"]
        number = self.users[name]
        return Caller(f"user:{number}", name, tenant=tenant, user=number, **more)

    def repository(self, full_name: str, instance: Instance | None = None):
        where = (instance or self.shared).id
        return self.db.read_sync(lambda conn: find_repository(conn, where, full_name))

    def namespace(self, name: str, instance: Instance | None = None):
        where = (instance or self.shared).id
        if self.conn is not None:
            return find_namespace(self.conn, where, name)
        return self.db.read_sync(lambda conn: find_namespace(conn, where, name))

    def grant(self, user: str, name: str, level: int) -> int:
        repository = self.repository(name) if "/" in name else None
        namespace = self.namespace(name.partition("/")[0])
        return self.insert(
            schema.grants,
            user_id=self.users[user],
            namespace_id=namespace.id,
            repository_id=repository and repository.id,
            level=level,
            created_at=1,
        )

    def policy(self, user: str, *statements: dict, dialect: str = "entrepot", group=None) -> int:
        tenant = self.caller(user).tenant
        name = f"p{len(self.select(schema.policies.c.id))}"
        number = self.insert(
            schema.policies,
            tenant_id=tenant,
            public_id=name,
            name=name,
            dialect=dialect,
            document=json.dumps({"statements": list(statements)}),
            description="",
            created_at=1,
        )
        self.insert(
            schema.policy_attachments,
            policy_id=number,
            user_id=None if group else self.users[user],
            group_id=group,
        )
        return number


def allow(actions, resources, effect="allow"):
    return {"effect": effect, "actions": [actions], "resources": [resources]}


def build(db: Database, url: str) -> World:
    def write(conn):
        world = World(db, url, conn=conn)
        _fill(world)
        return replace(world, conn=None)

    return db.write_sync(write)


def _fill(world: World) -> None:
    region = world.insert(
        schema.regions,
        number=1,
        name="local-1",
        display_name="",
        kind="local",
        is_default=True,
        created_at=1,
    )
    for name, uin in (("root", ROOT_UIN), ("acme", ACME_UIN)):
        world.tenants[name] = world.insert(
            schema.tenants,
            public_id=name,
            uin=uin,
            app_id=uin[2:],
            name=name,
            is_root=name == "root",
            created_at=1,
        )
    _users(world)
    world.shared = _instance(world, region, None)
    world.own = _instance(world, region, world.tenants["acme"])
    _content(world)


def _users(world: World) -> None:
    members = {
        "root": ("root", "owner"),
        "alice": ("root", "member"),
        "bob": ("root", "member"),
        "carl": ("acme", "owner"),
        "dora": ("acme", "member"),
    }
    for number, (name, (tenant, role)) in enumerate(members.items()):
        world.users[name] = world.insert(
            schema.users,
            tenant_id=world.tenants[tenant],
            public_id=name,
            uin=f"20000000000{number}",
            name=name,
            role=role,
            password_hash=HASHES[name],
            credential_version=1,
            enabled=True,
            created_at=1,
        )
    world.insert(
        schema.access_keys,
        user_id=world.users["alice"],
        access_key_id="AKIDALICE",
        secret_sealed=SEALER.seal(SECRET_KEY.encode(), key_context("AKIDALICE")),
        enabled=True,
        created_at=1,
    )


def _instance(world: World, region: int, tenant: TenantId | None) -> Instance:
    kind = InstanceKind.SHARED if tenant is None else InstanceKind.DEDICATED
    public_id = f"tcr-{kind}"
    number = world.insert(
        schema.instances,
        public_id=public_id,
        kind=kind.value,
        tenant_id=tenant,
        region_id=region,
        name=kind.value,
        is_default=tenant is None,
        created_at=1,
    )
    return Instance(InstanceId(number), public_id, kind, tenant, kind.value, tenant is None)


def _content(world: World) -> None:
    for name, tenant, public in (
        ("team", "root", False),
        ("open", "root", True),
        ("theirs", "acme", False),
        ("fair", "acme", True),
    ):
        add_namespace(world, name, tenant=tenant, public=public)
    for full_name in ("team/app", "team/web", "open/app", "theirs/app", "fair/app"):
        add_repository(world, full_name)


def add_namespace(world: World, name: str, *, tenant: str, public=False, instance=None) -> int:
    return world.insert(
        schema.namespaces,
        instance_id=(instance or world.shared).id,
        tenant_id=world.tenants[tenant],
        name=name,
        is_public=public,
        created_at=1,
    )


def add_repository(world: World, full_name: str, *, instance=None, is_public=None) -> int:
    instance = instance or world.shared
    namespace, _, name = full_name.partition("/")
    return world.insert(
        schema.repositories,
        namespace_id=world.namespace(namespace, instance).id,
        instance_id=instance.id,
        name=name,
        full_name=full_name,
        is_public=is_public,
        description="",
        created_at=1,
        updated_at=1,
    )


def delete_repository(world: World, full_name: str) -> None:
    world.set(schema.repositories, world.repository(full_name).id, deleted_at=Micros(2))


@asynccontextmanager
async def started(world: World, settings: Settings | None = None):
    """A started access state on the world's database."""
    access = AccessState(settings or Settings(), world.db, SEALER)
    await access.start()
    try:
        yield access
    finally:
        await access.stop()


@asynccontextmanager
async def elsewhere(world: World):
    """An access state as another process would have it, with its own connections."""
    db = Database.open(world.url)
    access = AccessState(Settings(), db, SEALER)
    await access.start()
    try:
        yield access
    finally:
        await access.stop()
        await db.close()


def context(access: AccessState) -> Context:
    """What use cases of accounts need of a context."""
    return Context(
        settings=Settings(),
        db=access.db,
        blobs=None,
        pool=None,
        access=access,
        hot=HotReads(access.db),
        hashers=None,
    )
