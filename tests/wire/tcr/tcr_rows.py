"""Rows by the hundred, as the operator's database functions put them there; over the wire each would be a request."""

import json
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from account import Account

from entrepot.capabilities.access.secrets import fingerprint
from entrepot.metadata import accounts, counters, instances, manifests, namespaces, tags
from entrepot.metadata.accounts import NewAccount
from entrepot.metadata.database import Connection, now
from entrepot.metadata.schema import namespaces as namespace_rows
from entrepot.metadata.schema import repositories as repository_rows
from entrepot.model.access import AccountKind
from entrepot.model.content import Repository
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Instance, InstanceKind, Namespace
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


def names(first: int, last: int, prefix: str = "row") -> list[str]:
    """Of rows `first` to `last` (without it): their order is the numbers'."""
    return [f"{prefix}-{number:03}" for number in range(first, last)]


def instance_of(account: Account, registry: str) -> Instance:
    def read(conn: Connection) -> Instance:
        found = instances.find_instance(conn, registry)
        assert found is not None
        return found

    return account.operator.read(read)


def dedicated(account: Account, *wanted: str) -> list[str]:
    """Instances of the account that run; their public ids."""

    def write(conn: Connection) -> list[str]:
        region = instances.default_instance(conn)
        assert region is not None
        number = conn.scalar(sa.text("SELECT min(id) FROM regions"))
        made = [
            instances.insert_instance(
                conn,
                InstanceKind.DEDICATED,
                name,
                tenant=account.tenant.id,
                region=int(number or 0),
                edition="premium",
            )
            for name in wanted
        ]
        return [one.public_id for one in made]

    return account.operator.ctx.db.write_sync(write)


def namespace_rows_of(account: Account, registry: str, wanted: Sequence[str]) -> None:
    place = instance_of(account, registry)

    def write(conn: Connection) -> None:
        for name in wanted:
            namespaces.insert_namespace(
                conn, place.id, account.tenant.id, name=name, is_public=False, created_by=None
            )

    account.operator.ctx.db.write_sync(write)


def _namespace(conn: Connection, place: Instance, name: str) -> Namespace:
    found = namespaces.find_namespace(conn, place.id, name)
    assert found is not None
    return found


def _repository(conn: Connection, place: Instance, full_name: str) -> Repository:
    found = namespaces.find_repository(conn, place.id, full_name)
    assert found is not None
    return found


def repository_rows_of(
    account: Account, registry: str, namespace: str, wanted: Sequence[str]
) -> None:
    place = instance_of(account, registry)

    def write(conn: Connection) -> None:
        inside = _namespace(conn, place, namespace)
        for name in wanted:
            namespaces.insert_repository(conn, inside, name, created_by=None)
        counters.add(conn, "namespace", inside.id, "repositories", len(wanted))

    account.operator.ctx.db.write_sync(write)


def image_rows_of(account: Account, registry: str, repository: str, wanted: Sequence[str]) -> str:
    """Tags of one new manifest whose blobs are not there; its digest."""
    place = instance_of(account, registry)
    payload = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{uuid.uuid4().hex * 2}",
                "size": 2,
            },
            "layers": [],
        }
    ).encode()
    digest = Digest.of(payload)

    def write(conn: Connection) -> None:
        found, at = _repository(conn, place, repository), Micros(now(conn))
        number = manifests.insert(
            conn, found.id, digest, manifest=parse(MEDIA_TYPE, payload), payload=payload, at=at
        )
        for name in wanted:
            tags.set_tag(conn, found.id, name, manifest=number, at=at, actor="test")
        counters.add(conn, "repository", found.id, "tags", len(wanted))

    account.operator.ctx.db.write_sync(write)
    return str(digest)


def account_rows_of(
    account: Account, registry: str, kind: AccountKind, wanted: Sequence[str]
) -> None:
    """Long-term tokens that `wanted` describes, or service accounts that it names."""
    place = instance_of(account, registry)

    def write(conn: Connection) -> None:
        owner = accounts.owner_of(conn, account.tenant.id)
        assert owner is not None
        for name in wanted:
            is_service = kind is AccountKind.SERVICE
            new = NewAccount(
                public_id=str(uuid.uuid4()),
                kind=kind,
                instance=place.id,
                tenant=account.tenant.id,
                user=owner,
                username=f"tcr${name}" if is_service else account.tenant.uin,
                secret_sha256=fingerprint(uuid.uuid4().hex),
                description=name,
            )
            accounts.insert(conn, new)

    account.operator.ctx.db.write_sync(write)


def repository_times(account: Account, registry: str, times: dict[str, tuple[int, int]]) -> None:
    """Set when these repositories were created and changed, in microseconds."""
    place = instance_of(account, registry)

    def write(conn: Connection) -> None:
        for name, (created_at, updated_at) in times.items():
            conn.execute(
                sa.update(repository_rows)
                .where(
                    repository_rows.c.instance_id == place.id,
                    repository_rows.c.full_name == name,
                )
                .values(created_at=created_at, updated_at=updated_at)
            )

    account.operator.ctx.db.write_sync(write)


def namespace_number(account: Account, registry: str, name: str) -> int:
    """As its instance counts it."""
    place = instance_of(account, registry)

    def read(conn: Connection) -> int:
        query = sa.select(namespace_rows.c.number).where(
            namespace_rows.c.instance_id == place.id, namespace_rows.c.name == name
        )
        return int(conn.execute(query).scalar_one())

    return account.operator.read(read)
