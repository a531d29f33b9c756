"""What one process holds for logins and rights: epochs, signing keys, sealer, password threads, throttle, remembered logins."""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import structlog
from msgspec.structs import replace

from entrepot.capabilities.access.bearer import Verifier
from entrepot.capabilities.access.callers import TokenCaller
from entrepot.capabilities.access.documents import Vocabularies
from entrepot.capabilities.access.epochs import Epochs
from entrepot.capabilities.access.jws import KeyNotHere
from entrepot.capabilities.access.passwords import Passwords
from entrepot.capabilities.access.remembered import RememberedLogins
from entrepot.capabilities.access.rights import Judge, Listing, of_repository
from entrepot.capabilities.access.sealing import Sealer, load_master_keys
from entrepot.capabilities.access.signing import KeyRing, load_key_ring
from entrepot.capabilities.access.throttle import Throttle
from entrepot.config import Settings
from entrepot.metadata import epochs as epoch_rows
from entrepot.metadata.database import Connection, Database
from entrepot.model.access import ANONYMOUS, Caller, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Unauthenticated
from entrepot.model.ids import InstanceId, Micros

T = TypeVar("T")

log = structlog.get_logger(__name__)

_RELOAD_SECONDS: Final = 1.0  # unknown key ids cannot make us read more often


class AccessState:
    """One a process. `start` before the first request, `stop` after the last; all methods on one event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        sealer: Sealer,
        *,
        vocabularies: Vocabularies | None = None,
        aliases: AbstractSet[str] = frozenset(),
    ) -> None:
        """`aliases`: names of regions elsewhere that mean the default one here, where logins speak of projects."""
        auth = settings.auth
        self.aliases = aliases
        self.db = db
        self.sealer = sealer
        self.vocabularies = vocabularies or Vocabularies()
        self.judge = Judge(self.vocabularies, anonymous_pull=auth.anonymous_pull)
        self.epochs = Epochs(db)
        self.passwords = Passwords(auth.argon2_parallel)
        self.throttle = Throttle(auth.throttle_failures, auth.throttle_window.seconds)
        self.remembered = RememberedLogins(self.epochs, auth.basic_cache.seconds)
        self.anonymous_pull = auth.anonymous_pull
        self.token_seconds = int(auth.token_lifetime.seconds)
        self._verifier: Verifier | None = None
        self._reloaded_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def open(
        cls,
        settings: Settings,
        db: Database,
        *,
        vocabularies: Vocabularies | None = None,
        aliases: AbstractSet[str] = frozenset(),
    ) -> "AccessState":
        """With the master key the settings name; blocks. Raises MasterKeyUnusable."""
        keys = load_master_keys(
            key_file=settings.key_file,
            key_command=settings.data.key_command,
            data_folder=settings.data.folder,
        )
        return cls(settings, db, Sealer.of(keys), vocabularies=vocabularies, aliases=aliases)

    async def start(self) -> None:
        """Read epochs and keys, making the first signing key, and keep reading. Raises Unavailable."""
        await self._load_keys()
        await self.epochs.refresh()
        self.epochs.on_raise(self._raised)
        self._task = asyncio.create_task(self.epochs.run(), name="entrepot-epochs")
        self._task.add_done_callback(_report)

    async def stop(self) -> None:
        """End what `start` began. A second call does nothing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await asyncio.to_thread(self.passwords.close)

    # -- rights -------------------------------------------------------------------------------------------------------

    def require(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> None:
        """In a transaction: return if the caller may. Raises Unauthenticated, Forbidden."""
        self.judge.require(conn, caller, permission, resource)

    def allowed(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> bool:
        """In a transaction: whether the caller may."""
        return self.judge.allowed(conn, caller, permission, resource)

    def visible_repositories(
        self,
        conn: Connection,
        caller: Caller,
        *,
        include_public: bool,
        instance: InstanceId | None = None,
    ) -> Listing:
        """In a transaction: what a list may show to the caller. `instance`: the one that is listed, None: several of the tenant's."""
        return self.judge.listing(conn, caller, include_public=include_public, instance=instance)

    def at_once(self, caller: Caller, permission: Permission, resource: Resource) -> bool | None:
        """The answer where no SQL is needed: for tokens whose scope decides, for anonymous callers, for jobs. None: ask `permits`.

        Raises RightsStale where epochs could not be read lately.
        """
        if not isinstance(caller, TokenCaller):
            if caller.is_anonymous:
                return permission is Permission.PULL and resource.is_public and self.anonymous_pull
            return True if caller.is_system else None
        if permission is Permission.CATALOG:
            return None
        scope = caller.scope(permission, resource)
        if scope is None:
            return False
        self.epochs.fresh()
        epoch = self.epochs.of_tenant(caller.tenant)
        if resource.tenant != caller.tenant:
            epoch = max(epoch, self.epochs.of_tenant(resource.tenant))
        if scope.id == resource.repository and epoch <= caller.epoch:
            return True
        return None

    async def permits(
        self, caller: Caller, permission: Permission, on: Repository | Resource
    ) -> bool:
        """Whether the caller may, outside a transaction: by a token's scope while nothing changed since it was made, else by the
        rights as they are now. Raises RightsStale."""
        resource = of_repository(on) if isinstance(on, Repository) else on
        answer = self.at_once(caller, permission, resource)
        if answer is not None:
            return answer
        return await self.db.read(lambda conn: self.allowed(conn, caller, permission, resource))

    # -- changes ------------------------------------------------------------------------------------------------------

    def raise_epoch(self, conn: Connection, scope: str) -> None:
        """In the transaction of a change of rights (scopes: `metadata.epochs.of_tenant`, `ROUTING`, `KEYS`)."""
        self.epochs.raise_epoch(conn, scope)

    async def change(self, fn: Callable[[Connection], T]) -> T:
        """`db.write` for functions that raise an epoch: when this returns, this process knows it too."""
        result = await self.db.write(fn)
        await self.epochs.refresh()
        return result

    # -- callers ------------------------------------------------------------------------------------------------------

    def anonymous(self, source: str = "", request_id: str = "") -> Caller:
        """Who comes without credentials. Raises Unauthenticated where `auth.anonymous_pull` is off."""
        if not self.anonymous_pull:
            raise Unauthenticated("login required")
        return replace(ANONYMOUS, source=source, request_id=request_id)

    def bearer(
        self, token: str, instance: InstanceId, *, source: str = "", request_id: str = ""
    ) -> TokenCaller:
        """The caller of a bearer token at this instance, with the keys that are here. Raises KeyNotHere, Unauthenticated."""
        caller = self.verifier.verify(token, instance, _now())
        if caller.is_anonymous and not self.anonymous_pull:
            raise Unauthenticated("login required")
        return caller.at(source, request_id)

    async def authenticate_bearer(
        self, token: str, instance: InstanceId, *, source: str = "", request_id: str = ""
    ) -> TokenCaller:
        """Likewise; keys that another process made are read. Raises Unauthenticated."""
        return await self.with_keys(
            lambda: self.bearer(token, instance, source=source, request_id=request_id)
        )

    async def with_keys(self, check: Callable[[], T]) -> T:
        """What `check` says of a signed token with the keys that are here, else with those that another process made. Raises KeyNotHere."""
        try:
            return check()
        except KeyNotHere:
            if time.monotonic() - self._reloaded_at < _RELOAD_SECONDS:
                raise
        await self._load_keys()
        return check()

    def turn(self, source: str, account: str) -> asyncio.Lock:
        """Held while one login of this source for this account is checked."""
        return self._turns.setdefault((source, account[:256]), asyncio.Lock())

    # -- keys ---------------------------------------------------------------------------------------------------------

    @property
    def verifier(self) -> Verifier:
        """Verifies tokens. Only after `start`."""
        if self._verifier is None:
            raise RuntimeError("AccessState is not started")
        return self._verifier

    @property
    def ring(self) -> KeyRing:
        """The keys in use. Only after `start`."""
        return self.verifier.ring

    async def _raised(self, scope: str) -> None:
        if scope == epoch_rows.KEYS:
            await self._load_keys()

    async def _load_keys(self) -> None:
        self._reloaded_at = time.monotonic()
        ring = await load_key_ring(self.db, self.sealer)
        if self._verifier is None:
            self._verifier = Verifier(ring)
        else:
            self._verifier.replace_keys(ring)


def _report(task: asyncio.Task[None]) -> None:
    """A reader of epochs that died is a fault of ours; within 5 s nothing remembered is trusted any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("epochs are read no more", exc_info=error)


def _now() -> Micros:
    return Micros(time.time_ns() // 1000)
