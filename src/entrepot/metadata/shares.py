"""Repositories shared with other tenants: point reads for the evaluator, and pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy import Connection

from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.browsing import Slice, contains, details_of
from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    counter_deltas,
    counters,
    namespaces,
    repositories,
    shares,
    tenants,
    users,
)
from entrepot.model.content import Repository, RepositoryDetails
from entrepot.model.ids import InstanceId, Micros, RepositoryId, TenantId, UserId
from entrepot.model.shares import Share

SORTS: Final = ("updated_at", "name", "tag_count", "namespace", "tenant")
_OWNER = tenants.alias("owner")


@dataclass(frozen=True, slots=True)
class Received:
    """A share that has not ended. `ends_at` None: it never does."""

    ends_at: Micros | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a share says. `ends_at`: what `deadline` means, None: never."""

    permit: str
    deadline: str
    ends_at: Micros | None
    description: str


# -- one --------------------------------------------------------------------------------------------------------------

_RECEIVED = sa.select(shares.c.ends_at).where(
    shares.c.repository_id == sa.bindparam("repository"),
    shares.c.tenant_id == sa.bindparam("tenant"),
)


def received(conn: Connection, repository: RepositoryId, tenant: TenantId) -> Received | None:
    """The share of the repository with the tenant, if there is one that counts now."""
    row = conn.execute(_RECEIVED, {"repository": repository, "tenant": tenant}).first()
    if row is None or (row.ends_at is not None and now(conn) >= row.ends_at):
        return None
    return Received(None if row.ends_at is None else Micros(row.ends_at))


def insert_share(
    conn: Connection,
    repository: RepositoryId,
    tenant: TenantId,
    *,
    terms: Terms,
    created_by: UserId | None,
) -> None:
    """A new share; that there is none yet is the caller's to check and the index's to enforce."""
    at = now(conn)
    conn.execute(
        sa.insert(shares).values(
            repository_id=repository,
            tenant_id=tenant,
            **_columns(terms),
            created_by=created_by,
            created_at=at,
            updated_at=at,
        )
    )


def update_share(
    conn: Connection, repository: RepositoryId, tenant: TenantId, *, terms: Terms
) -> bool:
    """Replace what it says; False if there is none."""
    done = conn.execute(
        sa.update(shares)
        .where(*_one(repository, tenant))
        .values(**_columns(terms), updated_at=now(conn))
    )
    return done.rowcount > 0


def delete_share(conn: Connection, repository: RepositoryId, tenant: TenantId) -> bool:
    """End it; False if there is none."""
    return conn.execute(sa.delete(shares).where(*_one(repository, tenant))).rowcount > 0


def shares_of(
    conn: Connection, repository: Repository, *, tenant: TenantId | None = None
) -> list[Share]:
    """Shares of the repository with living tenants, or with that one, newest first; ended ones too."""
    query = (
        sa.select(
            shares,
            tenants.c.name.label("receiver_name"),
            users.c.public_id.label("creator_id"),
            users.c.name.label("creator_name"),
        )
        .join(tenants, tenants.c.id == shares.c.tenant_id)
        .outerjoin(users, users.c.id == shares.c.created_by)
        .where(shares.c.repository_id == repository.id, tenants.c.deleted_at.is_(None))
        .order_by(shares.c.updated_at.desc(), shares.c.id.desc())
    )
    if tenant is not None:
        query = query.where(shares.c.tenant_id == tenant)
    return [_share_of(repository, row) for row in conn.execute(query)]


def _columns(terms: Terms) -> dict[str, Any]:
    return {
        "permit": terms.permit,
        "deadline": terms.deadline,
        "ends_at": terms.ends_at,
        "description": terms.description,
    }


def _one(repository: RepositoryId, tenant: TenantId) -> tuple[sa.ColumnElement[bool], ...]:
    return shares.c.repository_id == repository, shares.c.tenant_id == tenant


def _share_of(repository: Repository, row: Any) -> Share:
    return Share(
        repository=repository,
        receiver=TenantId(row.tenant_id),
        receiver_name=row.receiver_name,
        permit=row.permit,
        deadline=row.deadline,
        ends_at=None if row.ends_at is None else Micros(row.ends_at),
        description=row.description,
        creator_id=row.creator_id or "",
        creator_name=row.creator_name or "",
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at),
    )


# -- pages ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SharedFilter:
    """Repositories of others that are shared with the tenant, or (`is_own`) its own that are shared with anybody.

    `namespace`: its name; `name`: a part of the repository's; `owner`: name of the tenant it belongs to; `is_valid`: of received ones,
    None: all. `visibility`: of own ones. `sort`: one of `SORTS`; what is equal in that is in order of names.
    """

    tenant: TenantId
    instance: InstanceId
    is_own: bool
    namespace: str = ""
    name: str = ""
    owner: str = ""
    is_valid: bool | None = None
    sort: str = "updated_at"
    descending: bool = True
    visibility: Visibility = field(default_factory=lambda: Visibility(everything=True))


@dataclass(frozen=True, slots=True)
class SharedRepository:
    """A repository in such a list. `is_valid`: received, and the share has not ended; `has_ended`: received, and it has.

    Then it tells its names, and of everything else what the share knows: the repository lives on without those who received it.
    """

    details: RepositoryDetails
    is_valid: bool
    has_ended: bool = False


def shared_page(
    conn: Connection, asked: SharedFilter, window: Slice
) -> tuple[list[SharedRepository], int]:
    """A page of them, and how many there are in all."""
    moment = now(conn)
    order = _sort(asked.sort)
    if asked.is_own:
        found = _own(asked)
    else:
        found, order = _received(asked, moment), _sort_received(asked.sort, order, moment)
    found = found.where(
        repositories.c.instance_id == asked.instance, repositories.c.deleted_at.is_(None)
    )
    if asked.namespace:
        found = found.where(namespaces.c.name == asked.namespace)
    if asked.name:
        found = found.where(contains(conn, repositories.c.name, asked.name))
    if asked.owner:
        found = found.where(_OWNER.c.name == asked.owner)
    total = int(conn.scalar(sa.select(sa.func.count()).select_from(found.subquery())) or 0)
    page = found.order_by(
        order.desc() if asked.descending else order.asc(),
        repositories.c.full_name,
        repositories.c.id,
    )
    rows = conn.execute(page.offset(window.offset).limit(window.limit)).all()
    if asked.is_own:
        every = details_of(conn, [row.id for row in rows])
        return [SharedRepository(one, is_valid=False) for one in every], total
    return _received_of(conn, rows, moment), total


def _base(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(repositories.c.id, *columns)
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .join(_OWNER, _OWNER.c.id == namespaces.c.tenant_id)
    )


def _own(asked: SharedFilter) -> sa.Select[Any]:
    shared = repositories.c.id.in_(sa.select(shares.c.repository_id))
    return _base().where(namespaces.c.tenant_id == asked.tenant, shared, visible(asked.visibility))


def _received(asked: SharedFilter, moment: int) -> sa.Select[Any]:
    found = (
        _base(shares.c.ends_at, shares.c.created_at, shares.c.updated_at)
        .join(shares, shares.c.repository_id == repositories.c.id)
        .where(shares.c.tenant_id == asked.tenant)
    )
    if asked.is_valid is None:
        return found
    return found.where(sa.not_(_ended(moment)) if asked.is_valid else _ended(moment))


def _ended(moment: int) -> sa.ColumnElement[bool]:
    return sa.and_(shares.c.ends_at.is_not(None), shares.c.ends_at <= moment)


def _sort_received(name: str, order: sa.ColumnElement[Any], moment: int) -> sa.ColumnElement[Any]:
    """By what the rows tell: no order either shows what has become of a repository since the share ended."""
    told: dict[str, Any] = {"updated_at": shares.c.updated_at, "tag_count": 0}
    return sa.case((_ended(moment), told[name]), else_=order) if name in told else order


def _sort(name: str) -> sa.ColumnElement[Any]:
    columns: dict[str, sa.ColumnElement[Any]] = {
        "updated_at": repositories.c.updated_at,
        "name": repositories.c.name,
        "namespace": namespaces.c.name,
        "tenant": _OWNER.c.name,
    }
    return _tag_count() if name == "tag_count" else columns[name]


def _tag_count() -> sa.ColumnElement[int]:
    """As `counters.value` has it."""
    folded, fresh = (
        sa.select(amount)
        .where(
            table.c.subject_kind == "repository",
            table.c.subject_id == repositories.c.id,
            table.c.name == "tags",
        )
        .correlate(repositories)
        .scalar_subquery()
        for table, amount in (
            (counters, counters.c.value),
            (counter_deltas, sa.func.sum(counter_deltas.c.delta)),
        )
    )
    return sa.func.coalesce(folded, 0) + sa.func.coalesce(fresh, 0)


def _received_of(conn: Connection, rows: Sequence[Any], moment: int) -> list[SharedRepository]:
    found = {row.id: row for row in rows}
    return [_told(one, found[one.repository.id], moment) for one in details_of(conn, list(found))]


def _told(details: RepositoryDetails, row: Any, moment: int) -> SharedRepository:
    if row.ends_at is None or moment < row.ends_at:
        return SharedRepository(details, is_valid=True)
    little = RepositoryDetails(
        replace(details.repository, is_public=False),
        brief="",
        description="",
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at),
    )
    return SharedRepository(little, is_valid=False, has_ended=True)
