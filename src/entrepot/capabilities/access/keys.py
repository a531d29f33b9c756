"""Rotation of what signs and what seals, for the operator: root tenant's administrators, or the command line."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access import signing
from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.access.secrets import key_context
from entrepot.capabilities.context import Context
from entrepot.metadata import access_seals, audit
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource

_GRACE_SECONDS: Final = 60  # beyond the lifetime of the last token: clocks differ


@dataclass(frozen=True, slots=True)
class RotateSigningKey:
    """A new key signs bearer tokens. `at_once`: tokens signed before end now, else with their lifetime."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many secrets were sealed anew, and the rows whose secret no present master key opens."""

    count: int
    lost: tuple[str, ...]


async def rotate_signing_key(ctx: Context, caller: Caller, command: RotateSigningKey) -> str:
    """The new key's id. Raises Forbidden."""
    keep = 0 if command.at_once else ctx.access.token_seconds + _GRACE_SECONDS

    def change(conn: Connection) -> str:
        _require(ctx, conn, caller)
        key = signing.rotate(conn, ctx.access.sealer, keep_seconds=keep)
        _record(conn, caller, "signing-key.rotate", resource=f"signing key {key}")
        return key

    return await ctx.access.change(change)


async def reseal_secrets(ctx: Context, caller: Caller) -> Resealed:
    """Seal everything with the newest master key, so that older ones can be removed. Raises Forbidden. May be repeated."""

    def change(conn: Connection) -> Resealed:
        _require(ctx, conn, caller)
        done = _reseal_access_keys(conn, ctx.access.sealer)
        count = done.count + signing.reseal_keys(conn, ctx.access.sealer)
        _record(conn, caller, "secrets.reseal", resource=f"{count} secrets")
        return Resealed(count, done.lost)

    return await ctx.db.write(change)


def _reseal_access_keys(conn: Connection, sealer: Sealer) -> Resealed:
    count, lost = 0, []
    for key_id, sealed in access_seals.list_sealed(conn):
        if sealer.is_newest(sealed):
            continue
        try:
            access_seals.set_sealed(conn, key_id, sealer.reseal(sealed, key_context(key_id)))
        except SealBroken:
            lost.append(key_id)
            continue
        count += 1
    return Resealed(count, tuple(lost))


def _require(ctx: Context, conn: Connection, caller: Caller) -> None:
    ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(tenant=None))


def _record(conn: Connection, caller: Caller, action: str, *, resource: str) -> None:
    entry = AuditEntry(
        actor=caller.name,
        action=action,
        resource=resource,
        outcome=Outcome.DONE,
        tenant=caller.tenant,
        source=caller.source,
        request_id=caller.request_id,
    )
    audit.record(conn, entry)
