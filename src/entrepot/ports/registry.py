"""RemoteRegistry: a registry elsewhere that images are copied to, over the OCI distribution protocol.

All methods are coroutines and never block the loop. Names are full repository names there. Errors, from any method:
RemoteUnavailable (no connection, silence, a 5xx, an answer that breaks the protocol) and RateLimited may succeed later unchanged;
RemoteRefused (it says no) and AddressForbidden (the operator does) do not. No error and no log line holds the credentials.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

Network = IPv4Network | IPv6Network
Content = Callable[[int], AsyncGenerator[bytes, None]]
"""The bytes of a blob from an offset on, in pieces of at most 1 MiB. Called anew for every attempt."""


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """Where a registry is and who we are there. `url`: scheme, host, port. `username` empty: nobody. `authorities`: PEM of those
    that may vouch for its certificate; empty: those this machine trusts."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    authorities: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """What the operator says about connections: addresses never to connect to, private ones that answers may lead to (`onward`), and
    patience in seconds."""

    forbidden: tuple[Network, ...] = ()
    onward: tuple[Network, ...] = ()
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0  # neither a byte taken nor one sent


@dataclass(frozen=True, slots=True)
class BlobToSend:
    """A blob to upload. `origins`: repositories there that may have it, to be mounted from."""

    digest: str
    size: int
    content: Content
    origins: tuple[str, ...] = ()


class RemoteRegistry(Protocol):
    """One registry, as one of its users. Several calls may run at once."""

    async def digest_of(self, repository: str, reference: str) -> str | None:
        """The digest of the manifest that a tag means or that has the digest; None if there is none, or no such repository."""

    async def put_manifest(
        self, repository: str, reference: str, *, media_type: str, payload: bytes
    ) -> None:
        """Store the document under a tag or its digest. Idempotent. RemoteAltered where the registry reports another digest."""

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository there has the blob."""

    async def send_blob(
        self, repository: str, blob: BlobToSend, *, sent: Callable[[int], None]
    ) -> bool:
        """Let the repository there have the blob: mounted from one of its origins (or wherever that registry finds it), else sent,
        going on where a broken attempt ended if the registry knows. False: no byte had to be sent. `sent` is told of every piece
        (negative where an attempt begins again). Idempotent; the registry checks the digest and refuses other bytes."""


RegistryOpener = Callable[[RegistryAddress], AbstractAsyncContextManager[RemoteRegistry]]
"""Makes a client; no connection is opened before its first call. Connections close with it. ValueError for a URL that is none."""
