"""Basic logins instead of signatures, for the older paths of SWR."""

from entrepot.capabilities.access.identities.projects import find_place
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.context import Context
from entrepot.dialects.sign_in.sign_in import SignedIn
from entrepot.http.basic import read_pair
from entrepot.http.messages import Request
from entrepot.metadata.instances import default_instance
from entrepot.model.errors import Unauthenticated
from entrepot.model.identities import CredentialsMissing

_MAX_AUTHORIZATION = 12_288


class BasicSignIn:
    """Users, tokens and pairs of keys, as docker logs in at the default instance."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def authenticate(self, request: Request, _body: bytes) -> SignedIn:
        """The caller. Raises CredentialsMissing, Unauthenticated, RateLimited."""
        header = request.header(b"authorization")
        scheme, _, value = header.partition(" ")
        if not header:
            raise CredentialsMissing("no Authorization")
        if scheme.lower() != "basic" or len(header) > _MAX_AUTHORIZATION:
            raise Unauthenticated("only Basic is taken here")
        instance = await self._ctx.db.read(default_instance)
        if instance is None:
            raise Unauthenticated("there is nothing to log in to")
        username, password = read_pair(value.strip())
        caller = await authenticate_basic(
            self._ctx.access,
            instance,
            username,
            password,
            source=request.client,
            request_id=request.id,
        )
        request.caller = caller
        place = await find_place(self._ctx, caller, "")
        return SignedIn(caller, place.tenant, place.project)
