"""First start: region, shared default instance, root tenant and user, first keys. Made once, whoever comes first.

Its secrets are kept, sealed, until somebody says that they were shown: a start that was killed in between leaves them to the next.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from entrepot.capabilities.access.identities.keys import store_key
from entrepot.capabilities.access.identities.tenants import found_tenant
from entrepot.capabilities.access.sealing import SealBroken
from entrepot.capabilities.access.secrets import AccessKey, new_access_key, new_secret
from entrepot.capabilities.access.signing import load_key_ring
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import found_shared_instance
from entrepot.capabilities.instances.regions import found_region
from entrepot.capabilities.operations.trail import note
from entrepot.config import Settings
from entrepot.metadata import epochs, tenants, unshown
from entrepot.metadata.database import Connection
from entrepot.model.access import SYSTEM
from entrepot.model.identities import MINIMUM_PASSWORD

ROOT_TENANT: Final = "root"
_CONTEXT: Final = "first-start"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class FirstStart:
    """What to show, and then to `shown`. None: preset by the operator, who knows it."""

    user: str
    password: str | None
    access_key: str
    secret_key: str | None


async def first_start(ctx: Context) -> FirstStart | None:
    """Make what a deployment begins with, in one transaction. None where it is there and shown, which costs one read.

    Processes that start at once make it once; each that comes before `shown` gets the same secrets. Raises Unavailable, RateLimited.
    """
    root_tenant, kept = await ctx.db.read(lambda c: (tenants.root_tenant(c), unshown.find(c)))
    if root_tenant is not None:
        return _opened(ctx, kept)
    root = ctx.settings.root
    preset = None if root.password is None else root.password.reveal()
    if preset is not None and len(preset) < MINIMUM_PASSWORD:
        log.warning("root.password is short", least=MINIMUM_PASSWORD)
    password = preset or new_secret()
    password_hash = await ctx.access.passwords.hash(password)
    pair = _pair(ctx.settings)
    first = FirstStart(
        user=root.user,
        password=None if preset is not None else password,
        access_key=pair.id,
        secret_key=None if root.secret_key is not None else pair.secret,
    )
    kept = await ctx.access.change(
        lambda conn: _make(ctx, conn, first, password_hash=password_hash, pair=pair)
    )
    await load_key_ring(ctx.db, ctx.access.sealer)  # makes the first key of bearer tokens
    return _opened(ctx, kept)


async def shown(ctx: Context) -> None:
    """The secrets were shown: no later start shows them, and nothing keeps them any more. Raises Unavailable."""
    await ctx.db.write(unshown.forget)


def _opened(ctx: Context, kept: bytes | None) -> FirstStart | None:
    if kept is None:
        return None
    try:
        return msgspec.json.decode(ctx.access.sealer.open(kept, _CONTEXT), type=FirstStart)
    except SealBroken:
        log.warning("the first start's secrets cannot be unsealed; set new ones")
        return None


def _make(
    ctx: Context, conn: Connection, first: FirstStart, *, password_hash: str, pair: AccessKey
) -> bytes | None:
    """Unless another process was quicker. What is to be shown."""
    if tenants.root_tenant(conn) is not None:
        return unshown.find(conn)
    region = found_region(conn, ctx.settings)
    found_shared_instance(conn, region)
    tenant, user = found_tenant(
        conn, ROOT_TENANT, owner=ctx.settings.root.user, password_hash=password_hash, is_root=True
    )
    store_key(conn, ctx.access.sealer, user.id, pair)
    for scope in (epochs.ROUTING, epochs.of_tenant(tenant.id)):
        ctx.access.raise_epoch(conn, scope)
    note(conn, SYSTEM, "deployment.start", tenant.name, tenant=tenant.id, user=user.name)
    kept = ctx.access.sealer.seal(msgspec.json.encode(first), _CONTEXT)
    unshown.keep(conn, kept)
    return kept


def _pair(settings: Settings) -> AccessKey:
    """The preset pair, or a new one."""
    root = settings.root
    if root.access_key is not None and root.secret_key is not None:
        return AccessKey(root.access_key.reveal(), root.secret_key.reveal())
    return new_access_key()
