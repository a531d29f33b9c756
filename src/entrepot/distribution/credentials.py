"""Who sent a data-plane request: Bearer token, Basic, or nobody; and the challenge that asks for a token."""

from collections.abc import Callable
from typing import Final

from entrepot.capabilities.access.jws import KeyNotHere
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.context import Context
from entrepot.http.basic import read_pair
from entrepot.http.messages import Request
from entrepot.model.access import Caller
from entrepot.model.errors import RateLimited, Unauthenticated
from entrepot.model.tenancy import Instance

SERVICE: Final = "entrepot"
MAX_AUTHORIZATION: Final = 12_288


class Credentials:
    """Reads the Authorization header."""

    def __init__(self, ctx: Context, *, on_login: Callable[[str], None] = lambda _: None) -> None:
        """`on_login` is told what came of each user name and password: good, refused, throttled."""
        self._ctx = ctx
        self._on_login = on_login

    def known(self, request: Request, instance: Instance) -> Caller | None:
        """Who asks, where that needs no waiting: nobody, or a bearer token signed with a key that is here. Raises Unauthenticated."""
        header = request.header(b"authorization")
        if not header:
            return self._ctx.access.anonymous(request.client, request.id)
        if header[:7].lower() != "bearer " or len(header) > MAX_AUTHORIZATION:
            return None
        try:
            return self._ctx.access.bearer(
                header[7:].strip(), instance.id, source=request.client, request_id=request.id
            )
        except KeyNotHere:
            return None

    async def caller(self, request: Request, instance: Instance) -> Caller:
        """Who asks. Raises Unauthenticated for credentials that are no good, RateLimited."""
        known = self.known(request, instance)
        if known is not None:
            return known
        kind, _, value = request.header(b"authorization").partition(" ")
        if len(value) <= MAX_AUTHORIZATION - 7 and kind.lower() == "bearer":
            return await self._ctx.access.authenticate_bearer(
                value.strip(), instance.id, source=request.client, request_id=request.id
            )
        return await self.basic(request, instance)

    async def basic(self, request: Request, instance: Instance) -> Caller:
        """Who asks, by Basic or not at all. Raises Unauthenticated, RateLimited."""
        header = request.header(b"authorization")
        if not header:
            return self._ctx.access.anonymous(request.client, request.id)
        kind, _, value = header.partition(" ")
        if len(header) > MAX_AUTHORIZATION or kind.lower() != "basic":
            raise Unauthenticated("unknown authentication scheme")
        return await self.check(request, instance, *read_pair(value.strip()))

    async def check(
        self, request: Request, instance: Instance, username: str, password: str
    ) -> Caller:
        """Who this user name and password are. Raises Unauthenticated, RateLimited."""
        outcome = "refused"
        try:
            caller = await authenticate_basic(
                self._ctx.access,
                instance,
                username,
                password,
                source=request.client,
                request_id=request.id,
            )
            outcome = "good"
        except RateLimited:
            outcome = "throttled"
            raise
        finally:
            self._on_login(outcome)
        return caller

    def challenge(self, request: Request, scope: str) -> tuple[bytes, bytes]:
        """WWW-Authenticate: the token service on the registry's own host and port."""
        value = f'Bearer realm="{request.base_url}/service/token",service="{SERVICE}"'
        if scope:
            value += f',scope="{scope}"'
        return b"www-authenticate", value.encode()
