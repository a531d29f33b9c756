"""Basic logins of APIs: a user name and a password in one header, counted by what came of them."""

from collections.abc import Callable
from typing import Final

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.context import Context
from entrepot.http.basic import read_pair
from entrepot.http.messages import Request
from entrepot.model.errors import RateLimited, Unauthenticated
from entrepot.model.identities import CredentialsMissing
from entrepot.model.tenancy import Instance

MAX_AUTHORIZATION: Final = 12_288
"""Bytes of the header."""


def pair_of(request: Request) -> tuple[str, str]:
    """User name and password. Raises CredentialsMissing, Unauthenticated."""
    header = request.header(b"authorization")
    scheme, _, value = header.partition(" ")
    if not header:
        raise CredentialsMissing("a user name and a password are needed")
    if scheme.lower() != "basic" or len(header) > MAX_AUTHORIZATION:
        raise Unauthenticated("only Basic is taken here: a user name and a password")
    return read_pair(value.strip())


async def log_in(
    ctx: Context,
    request: Request,
    instance: Instance,
    *,
    pair: tuple[str, str],
    on_login: Callable[[str], None],
) -> LoggedIn:
    """Whose they are. `on_login` is told good, refused or throttled. Raises Unauthenticated, RateLimited."""
    outcome = "refused"
    try:
        caller = await authenticate_basic(
            ctx.access, instance, *pair, source=request.client, request_id=request.id
        )
        outcome = "good"
    except RateLimited:
        outcome = "throttled"
        raise
    finally:
        on_login(outcome)
    return caller
