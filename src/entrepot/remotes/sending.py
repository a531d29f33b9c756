"""One blob on its way: mounted if it can be, else sent, going on where a broken attempt ended (end-4, end-5, end-6, end-11, end-13).

A small blob is one PUT. A larger one goes in PATCHes of bounded length, so that a lost connection costs no more than one of them
even at a registry that drops what it was taking.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Final

import httpx

from entrepot.model.errors import RegistryError
from entrepot.model.syncing import RemoteUnavailable
from entrepot.ports.registry import BlobToSend
from entrepot.remotes.answers import failure
from entrepot.remotes.requests import Requests, push_scopes

WHOLE: Final = 8 << 20  # bytes that are sent in one PUT
PIECE: Final = 64 << 20  # bytes of one PATCH
ATTEMPTS: Final = 5  # in a row that get no byte further
PAUSE_SECONDS: Final = 0.5  # after the first of them, twice as much after each further one
_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d{1,19})")
_MOST_ORIGINS: Final = 3


@dataclass(slots=True)
class Sending:
    """One blob to one repository of one registry."""

    requests: Requests
    repository: str
    blob: BlobToSend
    sent: Callable[[int], None]
    location: httpx.URL | None = None  # of the open upload session
    offset: int = 0  # bytes that the session has
    furthest: int = 0  # bytes that any session had

    async def run(self) -> bool:
        """False: it was mounted. Raises what RemoteRegistry says."""
        if await self._open():
            return False
        failures = 0
        while True:
            before = self.furthest
            try:
                await self._send()
            except RemoteUnavailable:
                # Not the session's own progress: one that is forgotten again and again gets from 0 to the same place for ever.
                failures = 1 if self.furthest > before else failures + 1
                if failures >= ATTEMPTS:
                    raise
                await asyncio.sleep(
                    PAUSE_SECONDS * 2 ** (failures - 1) * random.uniform(0.5, 1)  # noqa: S311 (jitter)
                )
                await self._take_up()
            else:
                return True

    # -- the session --------------------------------------------------------------------------------------------------

    async def _open(self) -> bool:
        """Begin a session; True: it was mounted instead."""
        for origin in self.blob.origins[:_MOST_ORIGINS]:
            if await self._begin(mount=True, origin=origin):
                return True
            await self._drop()
        return await self._begin(mount=True, origin="")

    async def _begin(self, *, mount: bool, origin: str) -> bool:
        """POST. Without an origin a registry that can looks in all repositories we may read; the others open a session."""
        query = {"mount": self.blob.digest} if mount else {}
        if origin:
            query["from"] = origin
        url = self.requests.url(f"/v2/{self.repository}/blobs/uploads/").copy_merge_params(query)
        async with self._ask("POST", url, origin=origin, headers={"content-length": "0"}) as answer:
            if answer.status_code == 201 and mount:
                return True
            if answer.status_code != 202:
                raise await failure(answer, "begin an upload")
            self.location = self.requests.leads_to(answer)
        self._at(0)
        return False

    async def _drop(self) -> None:
        """End the session that a mount opened in vain; one that stays ends by itself some day. At the registry alone: nobody's answer
        makes us delete something elsewhere."""
        location, self.location = self.location, None
        if location is None or not self.requests.is_here(location):
            return
        try:
            async with self._ask("DELETE", location):
                pass
        except RegistryError:
            pass

    async def _take_up(self) -> None:
        """After a failure: how far the session got, or a new one."""
        if self.location is not None:
            async with self._ask("GET", self.location) as answer:
                if answer.status_code == 204:
                    if "location" in answer.headers:
                        self.location = self.requests.leads_to(answer)
                    self._at(self._taken(answer))
                    return
                if answer.status_code not in {404, 400, 405, 410, 416}:
                    raise await failure(answer, "look at an upload")
        await self._begin(mount=False, origin="")

    def _taken(self, answer: httpx.Response) -> int:
        """Bytes that the session has, by its `Range`. `0-0` is what some say of an empty one: one byte more or less to send again."""
        match = _RANGE.fullmatch(answer.headers.get("range", ""))
        end = int(match[1]) + 1 if match is not None else 0
        return 0 if end <= 1 or end > self.blob.size else end

    def _at(self, offset: int) -> None:
        self.sent(offset - self.offset)
        self.offset = offset
        self.furthest = max(self.furthest, offset)

    # -- the bytes ----------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        if self.location is None:
            await self._begin(mount=False, origin="")
        if self.blob.size > WHOLE or self.offset:
            while self.offset < self.blob.size:
                await self._patch()
        await self._finish()

    async def _patch(self) -> None:
        start, end = self.offset, min(self.offset + PIECE, self.blob.size)
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(end - start),
            "content-range": f"{start}-{end - 1}",
        }
        body = self._bytes(start, end)
        assert self.location is not None  # noqa: S101  (`_send` has seen to it)
        async with self._ask("PATCH", self.location, headers=headers, body=body) as answer:
            if answer.status_code == 416:
                raise RemoteUnavailable(self.requests.base.host, "it is at another offset")
            if answer.status_code not in {202, 204}:
                raise await failure(answer, "send a blob")
            self.location = self.requests.leads_to(answer)
        self._at(end)

    async def _finish(self) -> None:
        start, end = self.offset, self.blob.size
        headers = {"content-length": str(end - start)}
        if end > start:
            headers["content-type"] = "application/octet-stream"
        assert self.location is not None  # noqa: S101  (`_send` has seen to it)
        url = self.location.copy_merge_params({"digest": self.blob.digest})
        body = self._bytes(start, end)
        async with self._ask("PUT", url, headers=headers, body=body) as answer:
            if answer.status_code == 404:  # it ended while we sent
                self.location = None
                raise RemoteUnavailable(self.requests.base.host, "its upload session is gone")
            if answer.status_code == 416:
                raise RemoteUnavailable(self.requests.base.host, "it is at another offset")
            if answer.status_code not in {201, 204}:
                raise await failure(answer, "finish a blob")
        self._at(end)

    def _bytes(self, start: int, end: int) -> Callable[[], AsyncIterator[bytes]]:
        """A body that can be made anew; it is never longer than was announced."""

        async def pieces() -> AsyncIterator[bytes]:
            left = end - start
            if not left:
                return
            async with aclosing(self.blob.content(start)) as content:
                async for piece in content:
                    yield piece[:left]
                    left -= len(piece)
                    if left <= 0:
                        return

        return pieces

    def _ask(
        self,
        method: str,
        url: httpx.URL,
        *,
        origin: str = "",
        headers: dict[str, str] | None = None,
        body: Callable[[], AsyncIterator[bytes]] | None = None,
    ) -> AbstractAsyncContextManager[httpx.Response]:
        scopes = push_scopes(self.repository, origin)
        return self.requests.ask(method, url, scopes=scopes, headers=headers, body=body)
