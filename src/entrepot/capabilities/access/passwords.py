"""Passwords of people: argon2id with 19 MiB, two passes, one lane (OWASP's first choice for argon2id).

A hash costs memory and tens of milliseconds, so few run at once and few wait; whoever comes then is told to come back.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from entrepot.model.errors import RateLimited, ValueInvalid

T = TypeVar("T")

MAX_PASSWORD_BYTES: Final = 1024
_WAITING_EACH: Final = 16  # at some 30 ms each nobody waits longer than half a second
_MEMORY_KIB: Final = 19 * 1024


class Passwords:
    """Hashes and checks passwords in threads of its own. One a process; `close` it at the end."""

    def __init__(self, parallel: int = 2) -> None:
        self._hasher = PasswordHasher(
            time_cost=2, memory_cost=_MEMORY_KIB, parallelism=1, hash_len=32, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="entrepot-passwords")
        self._room = parallel * (1 + _WAITING_EACH)
        self._nobodys = (
            f"$argon2id$v=19$m={_MEMORY_KIB},t=2,p=1${_random_text(16)}${_random_text(32)}"
        )

    async def hash(self, password: str) -> str:
        """The text to store. Raises ValueInvalid beyond 1024 bytes or empty, RateLimited when too many are waiting."""
        if not 0 < len(_encoded(password)) <= MAX_PASSWORD_BYTES:
            raise ValueInvalid("password", f"1 to {MAX_PASSWORD_BYTES} bytes")
        return await self._run(lambda: self._hasher.hash(_encoded(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password. None (nobody of that name, or no password) takes as long and is False. Raises RateLimited."""
        if len(_encoded(password)) > MAX_PASSWORD_BYTES:
            password = ""
            stored = None

        def check() -> bool:
            try:
                return self._hasher.verify(stored or self._nobodys, _encoded(password))
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(check) and stored is not None

    def close(self) -> None:
        """Finish what runs."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _run(self, job: Callable[[], T]) -> T:
        if self._room <= 0:
            raise RateLimited(1)
        self._room -= 1
        future = self._threads.submit(job)
        # Room is given back when the thread is done, not when an impatient client has gone.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._room += 1


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(callback)


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")


def _random_text(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
