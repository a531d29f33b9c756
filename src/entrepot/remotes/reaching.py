"""Connections that are opened only after the name is resolved and the address looked at, so that no name leads to a forbidden place.

The connection goes to the very address that was checked; TLS and the Host header speak of the name (TLS of another, where the
request's extension `sni_hostname` asks for it).

A client is made for one host, its home, which somebody who may wrote down. Its home is where it answered first, for as long as the
client lives: a name that means another machine a moment later does not take there what the first one's answers say. Any other host
is one that an answer named, so it is to be public, or home's own machine, or in a network that the operator lists.
"""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

import httpx

from entrepot.model.outbound import AddressForbidden, is_forbidden, is_public, is_within
from entrepot.model.syncing import RemoteUnavailable

_MOST_HOSTS: Final = 16  # names that one client may be sent to
_MOST_CONNECTIONS: Final = 8
_TRIED: Final = 3  # addresses of one name

# Name servers of strangers may be slow on purpose; threads that wait for them are none that anything else waits for.
_RESOLVERS: Final = ThreadPoolExecutor(8, thread_name_prefix="resolve")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a client may go. `home`: the host it is made for; `forbidden`: never; `onward`: private networks that answers may lead to.
    `connect_seconds`: the longest a name may take."""

    home: str
    forbidden: tuple[IPv4Network | IPv6Network, ...]
    onward: tuple[IPv4Network | IPv6Network, ...] = ()
    connect_seconds: float = 10.0

    def admits(self, address: str, host: str, home_address: str | None) -> bool:
        """Whether a connection to the address of the host may be made. `home_address`: where home is, once it has answered."""
        if is_forbidden(address, self.forbidden):
            return False
        return (
            host == self.home
            or address == home_address
            or is_public(address)
            or is_within(address, self.onward)
        )


class CheckedTransport(httpx.AsyncBaseTransport):
    """A transport of httpx. Each host name has its own connections: none that was opened for another is used for it.

    Raises AddressForbidden, RemoteUnavailable (no such name) besides httpx's own errors.
    """

    def __init__(self, reach: Reach, *, context: ssl.SSLContext) -> None:
        self._reach = reach
        self._context = context
        self._by_host: dict[tuple[str, int | None], httpx.AsyncHTTPTransport] = {}
        self._home_address: str | None = None  # where home answered
        self._finding_home = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Resolve, look, connect, send."""
        if request.url.host != self._reach.home:
            return await self._sent(request, await self._addresses(request.url))
        if self._home_address is None:
            async with self._finding_home:
                if self._home_address is None:
                    addresses = await self._addresses(request.url)
                    answer = await self._sent(request, addresses)
                    self._home_address = request.url.host
                    return answer
        return await self._sent(request, [self._home_address])

    async def _sent(self, request: httpx.Request, addresses: list[str]) -> httpx.Response:
        """To the first of the addresses that takes a connection; the request's URL has that one then."""
        url = request.url
        transport = self._transport(url.host, url.port)
        request.extensions = {"sni_hostname": url.host, **request.extensions}
        for address in addresses[:-1]:
            request.url = url.copy_with(host=address)
            try:
                return await transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent yet
        request.url = url.copy_with(host=addresses[-1])
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._by_host.values():
            await transport.aclose()

    async def _addresses(self, url: httpx.URL) -> list[str]:
        host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._reach.connect_seconds):
                found = await _resolved(host, port)
        except (OSError, UnicodeError) as error:  # TimeoutError is one
            raise RemoteUnavailable(host, "its name is not known") from error
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        home = self._home_address
        allowed = [one for one in addresses if self._reach.admits(one, host, home)]
        if not allowed:
            raise AddressForbidden(host)
        return allowed[:_TRIED]

    def _transport(self, host: str, port: int | None) -> httpx.AsyncHTTPTransport:
        found = self._by_host.get((host, port))
        if found is None:
            if len(self._by_host) >= _MOST_HOSTS:
                raise RemoteUnavailable(host, "one host too many to be sent to")
            limits = httpx.Limits(max_connections=_MOST_CONNECTIONS, keepalive_expiry=15.0)
            found = httpx.AsyncHTTPTransport(verify=self._context, limits=limits, trust_env=False)
            self._by_host[host, port] = found
        return found


async def _resolved(host: str, port: int) -> list[Any]:
    ask = socket.getaddrinfo
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_RESOLVERS, ask, host, port, 0, socket.SOCK_STREAM)
