"""What one instance has of each thing that its edition limits."""

from collections.abc import Callable, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import quotas
from entrepot.metadata.schema import (
    accounts,
    allow_list,
    instance_hosts,
    namespaces,
    private_links,
)
from entrepot.model.access import AccountKind
from entrepot.model.ids import InstanceId


def used(conn: Connection, instance: InstanceId, resource: str) -> int:
    """How many there are now. Of things that are not counted, 0."""
    count = _COUNTS.get(resource)
    return 0 if count is None else count(conn, instance)


def _count(conn: Connection, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(table).where(*which)).scalar_one()


def _namespaces(conn: Connection, instance: InstanceId) -> int:
    return _count(
        conn, namespaces, namespaces.c.instance_id == instance, namespaces.c.deleted_at.is_(None)
    )


def _repositories(conn: Connection, instance: InstanceId) -> int:
    return quotas.usage(conn, "instance", instance, "repositories")


def _accounts(conn: Connection, instance: InstanceId, kind: AccountKind) -> int:
    return _count(
        conn,
        accounts,
        accounts.c.instance_id == instance,
        accounts.c.kind == kind.value,
        accounts.c.deleted_at.is_(None),
    )


def _tokens(conn: Connection, instance: InstanceId) -> int:
    return _accounts(conn, instance, AccountKind.LONGTERM)


def _service_accounts(conn: Connection, instance: InstanceId) -> int:
    return _accounts(conn, instance, AccountKind.SERVICE)


def _links(conn: Connection, instance: InstanceId) -> int:
    return _count(conn, private_links, private_links.c.instance_id == instance)


def _entries(conn: Connection, instance: InstanceId) -> int:
    return _count(conn, allow_list, allow_list.c.instance_id == instance)


def _domains(conn: Connection, instance: InstanceId) -> int:
    """Further hosts that came with a certificate; those that only an operator gave are nobody's use of an edition."""
    return _count(
        conn,
        instance_hosts,
        instance_hosts.c.instance_id == instance,
        instance_hosts.c.certificate_id.is_not(None),
    )


_COUNTS: Final[Mapping[str, Callable[[Connection, InstanceId], int]]] = {
    "namespaces": _namespaces,
    "repositories": _repositories,
    "tokens": _tokens,
    "accounts": _service_accounts,
    "links": _links,
    "allow_list_entries": _entries,
    "domains": _domains,
}
