"""Requests to one registry: as ourselves there, as nobody elsewhere, with every failure of the way in our own words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import httpx

from entrepot.model.errors import RegistryError
from entrepot.model.syncing import RemoteUnavailable
from entrepot.ports.registry import RegistryAddress
from entrepot.remotes.credentials import Credentials

CALL_SECONDS: Final = 60.0  # of a request and its answer, beside the time for the request's body
LEAST_SPEED: Final = (
    8192.0  # bytes of a body in a second; over a whole request, not at every moment
)

Body = Callable[[], AsyncIterator[bytes]]


class Requests:
    """The one who asks. `base`: scheme, host and port of the registry."""

    def __init__(
        self, client: httpx.AsyncClient, address: RegistryAddress, base: httpx.URL
    ) -> None:
        self._client = client
        self.base = base
        self._credentials = Credentials(address, base, self.bare)

    def url(self, path: str) -> httpx.URL:
        """A path of the registry. Names, tags and digests hold nothing that would have to be quoted but the colon's kin."""
        return self.base.copy_with(raw_path=quote(path, safe="/:@+-._~").encode())

    def is_here(self, url: httpx.URL) -> bool:
        """Whether it is the registry itself, by scheme, host and port."""
        ours = self.base
        return (url.scheme, url.host, url.port) == (ours.scheme, ours.host, ours.port)

    def leads_to(self, answer: httpx.Response) -> httpx.URL:
        """Where the `Location` of an answer leads. Raises RemoteUnavailable where it is none, or gives up TLS."""
        try:
            # Not from the request's own URL, which has an address in place of the name.
            url = self.base.join(answer.headers["location"])
        except (KeyError, httpx.InvalidURL, ValueError):
            raise RemoteUnavailable(self.base.host, "its Location cannot be read") from None
        if url.scheme not in {"https", self.base.scheme} or not url.host or url.userinfo:
            raise RemoteUnavailable(self.base.host, "its Location cannot be used")
        return url

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        url: httpx.URL,
        *,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """A request as ourselves at the registry, as nobody elsewhere; after a 401 once more with what it asks for."""
        here = self.is_here(url)
        for is_last in (False, True):
            sent = dict(headers or {})
            login = await self._credentials.header(scopes) if here else None
            if login:
                sent["authorization"] = login
            async with self.bare(method, url, headers=sent, body=body) as answer:
                is_refused = here and answer.status_code == 401
                if is_last or not (is_refused and self._credentials.challenged(answer, scopes)):
                    yield answer
                    return

    @asynccontextmanager
    async def bare(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """A request with nothing added. Whatever goes wrong on the way is RemoteUnavailable, and so is one that is not answered and read
        in the time that its body gives it: a side that moves a byte now and then holds nobody up for hours."""
        content = None if body is None else body()
        seconds = CALL_SECONDS + int(headers.get("content-length", "0")) / LEAST_SPEED
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, headers=headers, content=content) as answer,
            ):
                yield answer
        except RegistryError:
            raise
        except TimeoutError as error:
            detail = f"{method}: not answered within {seconds:.0f} s"
            raise RemoteUnavailable(url.host, detail) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            # Its text may hold parts of URLs with secrets in them; its type says enough.
            raise RemoteUnavailable(url.host, f"{method}: {type(error).__name__}") from error


def pull_scopes(repository: str) -> tuple[str, ...]:
    """What looking needs."""
    return (f"repository:{repository}:pull",)


def push_scopes(repository: str, origin: str = "") -> tuple[str, ...]:
    """What a push needs, and a mount from `origin`."""
    scopes = (f"repository:{repository}:pull,push",)
    return (*scopes, f"repository:{origin}:pull") if origin else scopes
