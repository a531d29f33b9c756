"""Quotas: limits per tenant, instance and namespace, checked in the transaction that would exceed them (DESIGN section 9).

Resources: `instances` (tenant), `namespaces` (tenant, instance), `repositories`, `tags` and `bytes` (logical: linked blobs and
manifests), and what only an instance has (`IN_INSTANCE`).
Without a row nothing is limited, but for SWR organizations a tenant (`quota.swr_organizations`).
"""

from typing import Final

from entrepot.metadata import counters, instance_usage, namespaces, quotas
from entrepot.metadata.database import Connection
from entrepot.model.content import Repository
from entrepot.model.errors import QuotaExceeded
from entrepot.model.ids import InstanceId, NamespaceId, TenantId
from entrepot.model.tenancy import Namespace

EDITION: Final = (
    "edition"  # subject kind of the limits that an instance's edition brings (`editions.py`)
)
IN_INSTANCE: Final = ("tokens", "accounts", "links", "allow_list_entries", "domains")
RESOURCES: Final = ("instances", "namespaces", "repositories", "tags", "bytes", *IN_INSTANCE)
SUBJECTS: Final = ("tenant", "instance", "namespace")


def admit(conn: Connection, namespace: Namespace, resource: str, amount: int) -> None:
    """Raises QuotaExceeded if `amount` more would pass a limit of the namespace, its tenant or its instance."""
    _admit(
        conn,
        namespace.tenant,
        namespace.instance,
        namespace=namespace.id,
        resource=resource,
        amount=amount,
    )


def admit_bytes(conn: Connection, repository: Repository, amount: int) -> None:
    """Likewise for the logical bytes of a repository's namespace."""
    _admit(
        conn,
        repository.tenant,
        repository.instance,
        namespace=repository.namespace,
        resource="bytes",
        amount=amount,
    )


def admit_tag(conn: Connection, repository: Repository, *, others: int = 0) -> None:
    """Raises QuotaExceeded if one more tag would pass the namespace's limit of tags in one repository. `others`: not counted yet."""
    subject = ("namespace", int(repository.namespace))
    limit = quotas.limits(conn, [subject], "tags").get(subject)
    if limit is None:
        return
    if counters.value(conn, "repository", repository.id, "tags") + others + 1 > limit:
        raise QuotaExceeded("tags", limit)


def admit_namespace(
    conn: Connection, tenant: TenantId, instance: InstanceId, *, default: int | None
) -> None:
    """Raises QuotaExceeded if the tenant may have no more namespaces in the instance (`default`: without a limit of its own)."""
    subjects = [("tenant", int(tenant)), ("instance", int(instance)), (EDITION, int(instance))]
    found = quotas.limits(conn, subjects, "namespaces")
    limit = found.get(subjects[0], default)
    if limit is not None and namespaces.count_namespaces(conn, instance, tenant) + 1 > limit:
        raise QuotaExceeded("namespaces", limit)
    whole = found.get(subjects[1], found.get(subjects[2]))
    if whole is not None and namespaces.count_namespaces(conn, instance, None) + 1 > whole:
        raise QuotaExceeded("namespaces", whole)


def default_of_shared(setting: int) -> int | None:
    """How many namespaces a tenant may have in a shared instance without a limit of its own; 0 is no limit."""
    return setting if setting > 0 else None


def admit_in_instance(
    conn: Connection, instance: InstanceId, resource: str, amount: int = 1
) -> None:
    """Raises QuotaExceeded if the instance may not have so many more of what its edition, or an operator, limits."""
    whole = [("instance", int(instance)), (EDITION, int(instance))]
    found = quotas.limits(conn, whole, resource)
    limit = found.get(whole[0], found.get(whole[1]))
    if limit is not None and instance_usage.used(conn, instance, resource) + amount > limit:
        raise QuotaExceeded(resource, limit)


def _admit(
    conn: Connection,
    tenant: TenantId,
    instance: InstanceId,
    *,
    namespace: NamespaceId,
    resource: str,
    amount: int,
) -> None:
    subjects = [
        ("namespace", int(namespace)),
        ("tenant", int(tenant)),
        ("instance", int(instance)),
        (EDITION, int(instance)),
    ]
    found = quotas.limits(conn, subjects, resource)
    by_edition = found.pop(subjects[3], None)
    if by_edition is not None:
        found.setdefault(subjects[2], by_edition)
    for (kind, number), limit in found.items():
        if quotas.usage(conn, kind, number, resource) + amount > limit:
            raise QuotaExceeded(resource, limit)
