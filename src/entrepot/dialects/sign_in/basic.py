"""Basic logins instead of signatures, for the older paths of SWR."""

from collections.abc import Callable

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.identities.projects import find_place
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.sign_in.sign_in import SignedIn, note_login
from entrepot.http.basic import read_pair
from entrepot.http.messages import Request
from entrepot.model.errors import RateLimited, Unauthenticated
from entrepot.model.identities import CredentialsMissing
from entrepot.model.tenancy import Instance

_MAX_AUTHORIZATION = 12_288


class BasicSignIn:
    """Users, tokens and pairs of keys, as docker logs in at the registry of the region that is asked."""

    def __init__(
        self, ctx: Context, audit: AuditLog, *, on_login: Callable[[str], None] = lambda _: None
    ) -> None:
        """`on_login` is told what came of each user name and password: good, refused, throttled."""
        self._ctx = ctx
        self._audit = audit
        self._on_login = on_login

    async def needs_body(self, _request: Request) -> bool:
        """Never."""
        return False

    async def authenticate(self, request: Request, _body: bytes, *, instance: Instance) -> SignedIn:
        """The caller. Raises CredentialsMissing, Unauthenticated, RateLimited."""
        try:
            username, password = _pair(request)
        except Unauthenticated as error:
            note_login(self._audit, error, request)
            raise
        request.caller = caller = await self._checked(request, instance, username, password)
        place = await find_place(self._ctx, caller, "")
        return SignedIn(caller, place.tenant, place.project)

    async def _checked(
        self, request: Request, instance: Instance, username: str, password: str
    ) -> LoggedIn:
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


def _pair(request: Request) -> tuple[str, str]:
    """User name and password. Raises CredentialsMissing, Unauthenticated."""
    header = request.header(b"authorization")
    scheme, _, value = header.partition(" ")
    if not header:
        raise CredentialsMissing("no Authorization")
    if scheme.lower() != "basic" or len(header) > _MAX_AUTHORIZATION:
        raise Unauthenticated("only Basic is taken here")
    return read_pair(value.strip())
