"""Tenants, regions, and the projects where the two meet."""

import secrets
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.clusters import tombstone_clusters
from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    access_keys,
    accounts,
    grants,
    groups,
    namespaces,
    policies,
    policy_attachments,
    projects,
    regions,
    repositories,
    shares,
    tenants,
    users,
)
from entrepot.model.identities import Project, Region
from entrepot.model.ids import Micros, TenantId
from entrepot.model.tenancy import Tenant


def new_public_id() -> str:
    """32 random hex digits, as Huawei's ids."""
    return secrets.token_hex(16)


def new_uin(conn: Connection) -> str:
    """12 decimal digits that no tenant and no user, living or not, ever had."""

    def is_taken(uin: str) -> bool:
        return any(
            conn.execute(sa.select(table.c.id).where(table.c.uin == uin)).first() is not None
            for table in (tenants, users)
        )

    return _unused(lambda: f"100{secrets.randbelow(10**9):09d}", is_taken)


def _new_app_id(conn: Connection) -> str:
    def is_taken(app_id: str) -> bool:
        query = sa.select(tenants.c.id).where(tenants.c.app_id == app_id)
        return conn.execute(query).first() is not None

    return _unused(lambda: f"13{secrets.randbelow(10**8):08d}", is_taken)


def _unused(make: Callable[[], str], is_taken: Callable[[str], bool]) -> str:
    while is_taken(value := make()):
        pass
    return value


# -- tenants ----------------------------------------------------------------------------------------------------------


def insert_tenant(conn: Connection, name: str, *, is_root: bool = False) -> Tenant:
    """A new tenant with identifiers of its own. The name's uniqueness is the caller's to check and the index's to enforce."""
    values = {
        "public_id": new_public_id(),
        "uin": new_uin(conn),
        "app_id": _new_app_id(conn),
        "name": name,
        "is_root": is_root,
        "created_at": now(conn),
    }
    return _tenant_of(
        conn.execute(sa.insert(tenants).values(**values).returning(tenants)).one(),
    )


def find_tenant(conn: Connection, name: str) -> Tenant | None:
    """The living tenant of that name."""
    return _one_tenant(conn, tenants.c.name == name)


def get_tenant(conn: Connection, tenant: TenantId) -> Tenant | None:
    """The living tenant of that id."""
    return _one_tenant(conn, tenants.c.id == tenant)


def root_tenant(conn: Connection) -> Tenant | None:
    """The tenant whose administrators run the deployment; None before the first start."""
    return _one_tenant(conn, tenants.c.is_root)


def list_tenants(conn: Connection, *, after: str = "", limit: int = 1000) -> list[Tenant]:
    """Living tenants in name order, behind `after`."""
    query = (
        sa.select(tenants)
        .where(tenants.c.deleted_at.is_(None), tenants.c.name > after)
        .order_by(tenants.c.name)
        .limit(limit)
    )
    return [_tenant_of(row) for row in conn.execute(query)]


def has_repositories(conn: Connection, tenant: TenantId) -> bool:
    """Whether a living namespace of the tenant holds a living repository."""
    query = (
        sa.select(repositories.c.id)
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .where(
            namespaces.c.tenant_id == tenant,
            namespaces.c.deleted_at.is_(None),
            repositories.c.deleted_at.is_(None),
        )
        .limit(1)
    )
    return conn.execute(query).first() is not None


def tombstone_tenant(conn: Connection, tenant: TenantId, at: Micros) -> None:
    """Mark it deleted with its users, groups, policies, keys and accounts; its namespaces and instances are the caller's."""
    its_users = sa.select(users.c.id).where(users.c.tenant_id == tenant)
    conn.execute(sa.delete(grants).where(grants.c.user_id.in_(its_users)))
    for table in (shares, policy_attachments):  # what it received, and what capped it
        conn.execute(sa.delete(table).where(table.c.tenant_id == tenant))
    _end(conn, access_keys, access_keys.c.user_id.in_(its_users), at)
    for table in (accounts, policies, groups, users):
        _end(conn, table, table.c.tenant_id == tenant, at)
    tombstone_clusters(conn, tenant)
    _end(conn, tenants, tenants.c.id == tenant, at)


def _end(conn: Connection, table: sa.Table, which: sa.ColumnElement[bool], at: Micros) -> None:
    conn.execute(sa.update(table).where(which, table.c.deleted_at.is_(None)).values(deleted_at=at))


def _one_tenant(conn: Connection, which: sa.ColumnElement[bool]) -> Tenant | None:
    row = conn.execute(sa.select(tenants).where(which, tenants.c.deleted_at.is_(None))).first()
    return None if row is None else _tenant_of(row)


def _tenant_of(row: Any) -> Tenant:
    return Tenant(
        id=TenantId(row.id),
        public_id=row.public_id,
        uin=row.uin,
        app_id=row.app_id,
        name=row.name,
        is_root=bool(row.is_root),
        created_at=Micros(row.created_at),
    )


# -- regions and projects ---------------------------------------------------------------------------------------------


def insert_region(
    conn: Connection, number: int, name: str, *, display_name: str, is_local: bool, is_default: bool
) -> Region:
    """A new region. Number and name are unique."""
    values = {
        "number": number,
        "name": name,
        "display_name": display_name,
        "kind": "local" if is_local else "peer",
        "is_default": is_default,
        "created_at": now(conn),
    }
    return _region_of(conn.execute(sa.insert(regions).values(**values).returning(regions)).one())


def list_regions(conn: Connection) -> list[Region]:
    """All regions, the default one first, then by number."""
    query = sa.select(regions).order_by(regions.c.is_default.desc(), regions.c.number)
    return [_region_of(row) for row in conn.execute(query)]


def _region_of(row: Any) -> Region:
    return Region(
        id=row.id,
        number=row.number,
        name=row.name,
        display_name=row.display_name,
        is_local=row.kind == "local",
        is_default=bool(row.is_default),
        created_at=Micros(row.created_at),
    )


def insert_project(conn: Connection, tenant: TenantId, region: Region) -> Project:
    """The tenant's project in the region, named after it as Huawei's first projects are."""
    project = Project(new_public_id(), tenant, region.name, region.name)
    conn.execute(
        sa.insert(projects).values(
            tenant_id=tenant,
            region_id=region.id,
            public_id=project.public_id,
            name=project.name,
            created_at=now(conn),
        )
    )
    return project


def insert_projects(conn: Connection, region: Region) -> int:
    """A project in a new region for each living tenant; how many."""
    query = sa.select(tenants.c.id).where(tenants.c.deleted_at.is_(None))
    living = list(conn.execute(query).scalars())
    for tenant in living:
        insert_project(conn, TenantId(tenant), region)
    return len(living)


def find_project(conn: Connection, tenant: TenantId, public_id: str) -> Project | None:
    """The tenant's project of that id."""
    found = (one for one in list_projects(conn, tenant) if one.public_id == public_id)
    return next(found, None)


def project_number(conn: Connection, tenant: TenantId, name: str) -> int | None:
    """The row id of the tenant's project of that name."""
    return conn.scalar(
        sa.select(projects.c.id).where(projects.c.tenant_id == tenant, projects.c.name == name)
    )


def list_projects(conn: Connection, tenant: TenantId) -> list[Project]:
    """The tenant's projects, by name."""
    query = (
        sa.select(projects.c.public_id, projects.c.name, regions.c.name.label("region"))
        .join(regions, regions.c.id == projects.c.region_id)
        .where(projects.c.tenant_id == tenant)
        .order_by(projects.c.name)
    )
    return [Project(row.public_id, tenant, row.region, row.name) for row in conn.execute(query)]
