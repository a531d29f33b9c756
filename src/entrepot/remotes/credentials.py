"""Logging in to a registry by what it asks for: Basic, or Bearer tokens of the service it names (distribution token protocol).

Credentials go to the registry and to the token service that it names: at the registry's own host as the registry is spoken to,
elsewhere by TLS alone, for what comes back is shown to the registry as ours.
"""

import base64
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from entrepot.model.syncing import RemoteUnavailable
from entrepot.ports.registry import RegistryAddress
from entrepot.remotes.answers import failure, json_of

_SCHEME: Final = re.compile(r"(?:^|,)\s*(basic|bearer)(?=\s|$|,)", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'([a-z_]+)\s*=\s*"([^"]{0,2000})"', re.IGNORECASE)
_MOST_HEADER: Final = 8192
_SHORTEST_LIFE: Final = 60.0  # seconds a token without a stated life is good for
_LONGEST_LIFE: Final = 86_400.0  # believed
_EARLY: Final = 0.8  # of its life, then another is fetched

Stream = Callable[..., AbstractAsyncContextManager[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 asks for. `realm` empty: Basic."""

    realm: str = ""
    service: str = ""

    @classmethod
    def read(cls, header: str) -> "Challenge | None":
        """The first challenge that can be met; None if there is none."""
        header = header[:_MOST_HEADER]
        for match in _SCHEME.finditer(header):
            if match[1].lower() == "basic":
                return cls()
            found = {k.lower(): v for k, v in _PARAMETER.findall(header[match.end() :])}
            if "realm" in found:
                return cls(found["realm"], found.get("service", ""))
        return None


@dataclass(slots=True)
class Credentials:
    """Who we are at one registry, and the tokens we hold there. `stream` sends a request with nothing added."""

    address: RegistryAddress
    base: httpx.URL
    stream: Stream
    challenge: Challenge | None = None  # the last one; None: nothing was asked for yet
    _tokens: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict, repr=False)

    async def header(self, scopes: tuple[str, ...]) -> str | None:
        """What to say under `Authorization` for a request that needs these scopes; None: nothing."""
        if self.challenge is None:
            return None
        if not self.challenge.realm:
            return self._basic()
        held = self._tokens.get(scopes)
        if held is None or held[1] < time.monotonic():
            held = await self._fetch(self.challenge, scopes)
            self._tokens[scopes] = held
        return f"Bearer {held[0]}"

    def challenged(self, answer: httpx.Response, scopes: tuple[str, ...]) -> bool:
        """Take note of a 401; whether asking again may help."""
        found = Challenge.read(answer.headers.get("www-authenticate", ""))
        if found is None or (not found.realm and not self.address.username):
            return False
        self.challenge = found
        self._tokens.pop(scopes, None)
        return True

    def _basic(self) -> str | None:
        if not self.address.username:
            return None
        pair = f"{self.address.username}:{self.address.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    async def _fetch(self, asked: Challenge, scopes: tuple[str, ...]) -> tuple[str, float]:
        realm = self._realm(asked)
        query: dict[str, str | list[str]] = {"scope": list(scopes)}
        if asked.service:
            query["service"] = asked.service
        basic = self._basic()
        headers = {"authorization": basic} if basic else {}
        url = realm.copy_merge_params(query)
        async with self.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                raise await failure(answer, "log in")
            return _token(await json_of(answer), self.base.host)

    def _realm(self, asked: Challenge) -> httpx.URL:
        try:
            realm = httpx.URL(asked.realm)
        except (httpx.InvalidURL, ValueError):
            realm = httpx.URL()
        is_ours = realm.host == self.base.host and realm.scheme == self.base.scheme
        if not (is_ours or realm.scheme == "https") or not realm.host or realm.userinfo:
            raise RemoteUnavailable(self.base.host, "its token service's address cannot be used")
        return realm


def _token(body: Any, host: str) -> tuple[str, float]:
    """The token, and the monotonic moment from which another is to be fetched."""
    fields = body if isinstance(body, dict) else {}
    token = fields.get("token") or fields.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RemoteUnavailable(host, "its token service gives no token")
    life = fields.get("expires_in")
    if not isinstance(life, int | float) or life <= 0:
        life = _SHORTEST_LIFE
    seconds = float(min(life, _LONGEST_LIFE))  # an integer may be too large for a float
    return token, time.monotonic() + _EARLY * seconds
