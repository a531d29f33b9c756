"""Basic logins instead of signatures, for the older paths of SWR."""

from collections.abc import Callable

from entrepot.capabilities.access.identities.projects import find_place
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.sign_in.passwords import log_in, pair_of
from entrepot.dialects.sign_in.sign_in import SignedIn, note_login
from entrepot.http.messages import Request
from entrepot.model.errors import Unauthenticated
from entrepot.model.tenancy import Instance


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
            pair = pair_of(request)
        except Unauthenticated as error:
            note_login(self._audit, error, request)
            raise
        request.caller = caller = await log_in(
            self._ctx, request, instance, pair=pair, on_login=self._on_login
        )
        place = await find_place(self._ctx, caller, "")
        return SignedIn(caller, place.tenant, place.project)
