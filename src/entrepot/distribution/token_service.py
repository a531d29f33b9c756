"""`/service/token` on the registry's own host and port: who asks, what for, and the token or the refusal."""

from entrepot.capabilities.access.issuing import authenticate_refresh, issue_token
from entrepot.capabilities.context import Context
from entrepot.distribution.credentials import Credentials
from entrepot.distribution.errors import error_response
from entrepot.distribution.exchange import read_body
from entrepot.distribution.token import (
    MAX_REQUEST,
    TokenRequest,
    parse_token_request,
    render_token,
)
from entrepot.http.messages import Request, Response
from entrepot.model.access import Caller
from entrepot.model.errors import RegistryError, Unauthenticated, ValueInvalid
from entrepot.model.tenancy import Instance


class TokenService:
    """The handler that the chain calls for the token endpoint."""

    def __init__(self, ctx: Context, credentials: Credentials) -> None:
        self._ctx = ctx
        self._credentials = credentials

    async def __call__(self, request: Request, instance: Instance) -> Response:
        """A token with as much of the asked scope as the caller may have; 401 for wrong credentials."""
        try:
            return await self._answer(request, instance)
        except Unauthenticated as error:
            return error_response(error, [(b"www-authenticate", b'Basic realm="entrepot"')])
        except RegistryError as error:
            return error_response(error)

    async def _answer(self, request: Request, instance: Instance) -> Response:
        body = b""
        if request.method == "POST":
            body = await read_body(self._ctx, request, MAX_REQUEST, _too_large)
        asked = parse_token_request(
            request.method,
            request.scope["query_string"],
            body,
            content_type=request.header(b"content-type"),
        )
        request.caller = caller = await self._caller(request, instance, asked)
        issued = await issue_token(self._ctx.access, instance, caller, asked.asked)
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        return Response(200, headers, render_token(issued))

    async def _caller(self, request: Request, instance: Instance, asked: TokenRequest) -> Caller:
        if asked.login is not None:
            return await self._credentials.check(request, instance, *asked.login)
        if asked.refresh_token is not None:
            return await authenticate_refresh(
                self._ctx.access,
                instance,
                asked.refresh_token,
                source=request.client,
                request_id=request.id,
            )
        return await self._credentials.basic(request, instance)


def _too_large(limit: int) -> RegistryError:
    return ValueInvalid("request", f"at most {limit} bytes")
