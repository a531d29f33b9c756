"""Connections that are opened only after the name is resolved and the address looked at, so that no name leads to a forbidden place.

The connection goes to the very address that was checked; TLS and the Host header speak of the name (TLS of another, where the
request's extension `sni_hostname` asks for it).
"""

import asyncio
import socket
import ssl
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import httpx

from entrepot.model.outbound import AddressForbidden, is_forbidden
from entrepot.model.syncing import RemoteUnavailable

_MOST_HOSTS: Final = 16  # names that one client may be sent to
_MOST_CONNECTIONS: Final = 8
_TRIED: Final = 3  # addresses of one name


class CheckedTransport(httpx.AsyncBaseTransport):
    """A transport of httpx. Each host name has its own connections: none that was opened for another is used for it.

    Raises AddressForbidden, RemoteUnavailable (no such name) besides httpx's own errors.
    """

    def __init__(
        self,
        forbidden: tuple[IPv4Network | IPv6Network, ...],
        *,
        context: ssl.SSLContext,
    ) -> None:
        self._forbidden = forbidden
        self._context = context
        self._by_host: dict[tuple[str, int | None], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Resolve, look, connect, send."""
        host, url = request.url.host, request.url
        addresses = await self._addresses(host, url.port or (443 if url.scheme == "https" else 80))
        transport = self._transport(host, url.port)
        request.extensions = {"sni_hostname": host, **request.extensions}
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

    async def _addresses(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RemoteUnavailable(host, "its name is not known") from error
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        allowed = [one for one in addresses if not is_forbidden(one, self._forbidden)]
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
