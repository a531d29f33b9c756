"""Who is in the started registry, and what it holds: two tenants, everybody a right could be about, and looks into the rows."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from registry_client import Client
from started import Operator, Started

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.identities.users import CreateUser, create_user
from entrepot.capabilities.access.service_accounts import (
    CreateServiceAccount,
    create_service_account,
)
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import instances, schema
from entrepot.model.access import Level, Permission
from entrepot.model.tenancy import Instance, Tenant

PASSWORD = "a-good-Passw0rd"


@dataclass(slots=True)
class World:
    """Tenants `acme` (owner, reader, writer, manager, denied) and `others` (owner); namespaces `acme`, `open` (public) of acme, `others`."""

    registry: Started
    operator: Operator
    client: Client
    shared: Instance = field(init=False)
    acme: Tenant = field(init=False)
    others: Tenant = field(init=False)
    accounts: dict[str, Client] = field(default_factory=dict)

    def fill(self) -> None:
        self.shared = self.operator.read(instances.default_instance)
        self.acme = self.tenant("acme")
        self.others = self.tenant("others")
        self.namespace("acme", self.acme)
        self.namespace("open", self.acme, is_public=True)
        self.namespace("others", self.others)
        for name, level in (
            ("reader", Level.READ),
            ("writer", Level.EDIT),
            ("manager", Level.MANAGE),
            ("denied", Level.MANAGE),
        ):
            self.user(self.acme, name)
            self.grant("acme", name, level)
        self.deny("denied", "acme/*")
        self.service_account("puller", Permission.PULL)
        self.service_account(
            "pusher", Permission.PULL, Permission.PUSH, Permission.REPOSITORY_CREATE
        )

    @property
    def root(self) -> Client:
        return self.client.with_basic("root", self.registry_password)

    @property
    def registry_password(self) -> str:
        return self.registry.environment["ENTREPOT_ROOT_PASSWORD"]

    @property
    def owner(self) -> Client:
        """Of tenant acme."""
        return self.accounts["acme/owner"]

    @property
    def stranger(self) -> Client:
        """The owner of the other tenant."""
        return self.accounts["others/owner"]

    def repository(self, namespace: str = "acme") -> str:
        """A name nobody has used yet."""
        return f"{namespace}/r{secrets.token_hex(5)}"

    def tenant(self, name: str) -> Tenant:
        made = self.operator.run(create_tenant, CreateTenant(name, password=PASSWORD))
        self.accounts[f"{name}/owner"] = self.client.with_basic(f"{name}/owner", PASSWORD)
        return made.tenant

    def namespace(
        self,
        name: str,
        tenant: Tenant,
        *,
        is_public: bool = False,
        instance: Instance | None = None,
    ) -> None:
        where = (instance or self.shared).id
        self.operator.run(create_namespace, CreateNamespace(where, tenant.id, name, is_public))

    def user(self, tenant: Tenant, name: str) -> Client:
        self.operator.run(create_user, CreateUser(tenant.id, name, password=PASSWORD))
        made = self.client.with_basic(f"{tenant.name}/{name}", PASSWORD)
        self.accounts[name] = made
        return made

    def new_member(self, level: Level | None = None) -> tuple[str, Client]:
        """A member of acme that no other test knows."""
        name = f"u{secrets.token_hex(4)}"
        client = self.user(self.acme, name)
        if level is not None:
            self.grant("acme", name, level)
        return name, client

    def target(self, name: str) -> Target:
        namespace, _, path = name.partition("/")
        return Target(self.shared.id, namespace, path or None)

    def grant(self, name: str, user: str, level: Level) -> None:
        self.operator.run(set_grant, SetGrant(self.target(name), user, level))

    def deny(self, user: str, resource: str) -> None:
        rule = {"effect": "deny", "actions": ["*"], "resources": [resource]}
        document = json.dumps({"statements": [rule]})
        name = f"deny-{user}"
        self.operator.run(create_policy, WritePolicy(self.acme.id, name, document))
        self.operator.run(attach_policy, AttachPolicy(self.acme.id, name, user))

    def service_account(self, name: str, *permissions: Permission) -> Client:
        command = CreateServiceAccount(
            self.shared, name, {"acme": permissions}, tenant=self.acme.id
        )
        made = self.operator.run(create_service_account, command)
        client = self.client.with_basic(f"tcr${name}", made.secret)
        self.accounts[name] = client
        return client

    # -- what is there ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything a refused request must not change: rows of content, and the stored files."""

        def read(conn: sa.Connection) -> dict[str, Any]:
            columns = {
                "repositories": (schema.repositories.c.full_name, schema.repositories.c.deleted_at),
                "manifests": (schema.manifests.c.id, schema.manifests.c.deleted_at),
                "tags": (schema.tags.c.id, schema.tags.c.valid_until),
                "links": (
                    schema.repository_blobs.c.repository_id,
                    schema.repository_blobs.c.blob_id,
                ),
                "blobs": (schema.blobs.c.digest, schema.blobs.c.state),
                "sessions": (schema.upload_sessions.c.id, schema.upload_sessions.c.offset),
            }
            rows = {
                name: sorted(map(str, conn.execute(sa.select(*wanted)).all()))
                for name, wanted in columns.items()
            }
            keys = conn.execute(sa.select(schema.upload_sessions.c.object_key)).scalars()
            return {**rows, "strays": sorted(unfinished(self.registry.data) - set(keys))}

        return {**self.operator.read(read), "files": finished(self.registry.data)}


def finished(data: Path) -> list[str]:
    """The stored objects with their sizes."""
    return sorted(f"{path.name} {path.stat().st_size}" for path in data.glob("blobs/blobs/*/*"))


def unfinished(data: Path) -> set[str]:
    """Keys under which bytes are still arriving."""
    return {path.name for path in data.glob("blobs/uploads/*")}


def make_world(registry: Started, operator: Operator) -> Iterator[World]:
    with Client(registry.url) as client:
        world = World(registry, operator, client)
        world.fill()
        yield world
