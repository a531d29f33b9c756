"""Good Basic logins, remembered for a minute so that not every request costs a password hash.

Kept under a keyed hash whose key never leaves this process; void as soon as the tenant's epoch moves.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.epochs import Epochs
from entrepot.model.ids import InstanceId

_MAX_ENTRIES: Final = 4096


class RememberedLogins:
    """At most 4096 logins, each for `seconds`. Zero seconds: none."""

    def __init__(
        self, epochs: Epochs, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._epochs = epochs
        self._seconds = seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, tuple[LoggedIn, float]] = OrderedDict()

    def find(self, instance: InstanceId, username: str, password: str) -> LoggedIn | None:
        """The login, if it was good lately and nothing changed in its tenant. Raises RightsStale when that cannot be told."""
        key = self._hash(instance, username, password)
        found = self._good.get(key)
        if found is None:
            return None
        caller, until = found
        self._epochs.fresh()
        if until <= self._clock() or self._epochs.of_tenant(caller.tenant) > caller.epoch:
            del self._good[key]
            return None
        return caller

    def add(
        self,
        instance: InstanceId,
        username: str,
        password: str,
        *,
        caller: LoggedIn,
        most_seconds: float | None,
    ) -> None:
        """Remember a good login; no longer than `most_seconds` where the credential itself expires."""
        seconds = self._seconds if most_seconds is None else min(self._seconds, most_seconds)
        if seconds <= 0:
            return
        key = self._hash(instance, username, password)
        self._good[key] = (caller, self._clock() + seconds)
        self._good.move_to_end(key)
        while len(self._good) > _MAX_ENTRIES:
            self._good.popitem(last=False)

    def _hash(self, instance: InstanceId, username: str, password: str) -> bytes:
        parts = [str(instance), username, password]
        message = b"".join(
            len(data).to_bytes(4, "big") + data
            for data in (part.encode("utf-8", "surrogatepass") for part in parts)
        )
        return hashlib.blake2b(message, key=self._key, digest_size=32).digest()
