"""Tags that people put on things: key and value, by kind of thing and its name there.

Kinds and names: `instance` by its public id, `namespace` by `<instance's public id>#<namespace>`. Whose they are is in each row.
"""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import resource_tags
from entrepot.metadata.upsert import insert_or_set
from entrepot.model.ids import TenantId

PART = "part"  # of an instance: named `<instance's public id>#<what the client calls it>`
_KEY = ("kind", "resource", "key")
_BATCH = 400


def tags_of(conn: Connection, kind: str, resource: str) -> dict[str, str]:
    """By key, in key order."""
    return tags_of_all(conn, kind, [resource]).get(resource, {})


def tags_of_all(conn: Connection, kind: str, resources: Sequence[str]) -> dict[str, dict[str, str]]:
    """By resource, then by key; resources without any are left out."""
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(resources), _BATCH):
        query = (
            sa.select(resource_tags.c.resource, resource_tags.c.key, resource_tags.c.value)
            .where(
                resource_tags.c.kind == kind,
                resource_tags.c.resource.in_(resources[start : start + _BATCH]),
            )
            .order_by(resource_tags.c.resource, resource_tags.c.key)
        )
        for row in conn.execute(query):
            found.setdefault(row.resource, {})[row.key] = row.value
    return found


def set_tags(
    conn: Connection, kind: str, resource: str, tags: Mapping[str, str], *, tenant: TenantId
) -> None:
    """Add these, or give them these values; others stay."""
    for key, value in tags.items():
        row = {"kind": kind, "resource": resource, "key": key, "value": value, "tenant_id": tenant}
        insert_or_set(conn, resource_tags, row, key=_KEY, set_={"value": value})


def replace_tags(
    conn: Connection, kind: str, resource: str, tags: Mapping[str, str], *, tenant: TenantId
) -> None:
    """These and no others."""
    forget(conn, kind, resource)
    set_tags(conn, kind, resource, tags, tenant=tenant)


def remove_tags(conn: Connection, kind: str, resource: str, keys: Iterable[str]) -> None:
    """Take the keys away; those that are not there already are."""
    conn.execute(
        sa.delete(resource_tags).where(
            resource_tags.c.kind == kind,
            resource_tags.c.resource == resource,
            resource_tags.c.key.in_(list(keys)),
        )
    )


def forget(conn: Connection, kind: str, resource: str) -> None:
    """Take all away, as when the thing is deleted."""
    conn.execute(
        sa.delete(resource_tags).where(
            resource_tags.c.kind == kind, resource_tags.c.resource == resource
        )
    )


def forget_inside(conn: Connection, kind: str, resource: str) -> None:
    """Take away those of everything in the resource: of `<resource>#...`."""
    conn.execute(
        sa.delete(resource_tags).where(
            resource_tags.c.kind == kind,
            resource_tags.c.resource >= f"{resource}#",
            resource_tags.c.resource < f"{resource}$",  # the character behind "#"
        )
    )


def find_tagged(
    conn: Connection, tenant: TenantId, kind: str, *, key: str, value: str | None = None
) -> list[str]:
    """The tenant's resources that have the key (and value), by name."""
    query = (
        sa.select(resource_tags.c.resource)
        .where(
            resource_tags.c.tenant_id == tenant,
            resource_tags.c.kind == kind,
            resource_tags.c.key == key,
        )
        .order_by(resource_tags.c.resource)
    )
    if value is not None:
        query = query.where(resource_tags.c.value == value)
    return list(conn.scalars(query))
