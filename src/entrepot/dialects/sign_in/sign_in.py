"""The one place where both wires learn who asks."""

import time
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.identities.projects import find_place
from entrepot.capabilities.access.identity_tokens import check_identity_token
from entrepot.capabilities.access.signed import KeyAttempt, authenticate_key
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.sign_in.signature import (
    WINDOW_SECONDS,
    Claim,
    SignedRequest,
    is_signed,
    read_claim,
)
from entrepot.http.messages import Request
from entrepot.model.errors import Forbidden, Unauthenticated
from entrepot.model.identities import CredentialsMissing, Project, ProjectUnknown
from entrepot.model.tenancy import Instance, Tenant

_INLINE: Final = 65_536  # bytes hashed on the event loop


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who asks. `project`: the one that X-Project-Id names, else the token's, else none."""

    caller: LoggedIn
    tenant: Tenant
    project: Project | None


class SignIn:
    """Authenticates requests by signature or X-Auth-Token. One a wire."""

    def __init__(self, ctx: Context, audit: AuditLog) -> None:
        self._ctx = ctx
        self._audit = audit

    async def authenticate(
        self,
        request: Request,
        body: bytes,
        operation: str = "",
        *,
        instance: Instance | None = None,  # noqa: ARG002  (who signs does so everywhere)
    ) -> SignedIn:
        """The caller, whose rights count. `operation`: see `Caller`.

        Raises CredentialsMissing, any other Unauthenticated for credentials that are no good (IdentityTokenRefused, SignatureUnreadable,
        KeyRefused, SignatureWrong, SessionTokenWrong and so on), RateLimited, and ProjectUnknown for a project that is not the tenant's, or
        not the one that the token is for.
        """
        try:
            caller, bound = await self._caller(request, body, operation)
        except Unauthenticated as error:
            note_login(self._audit, error, request)
            raise
        request.caller = caller
        named = request.header(b"x-project-id").strip()
        try:
            if bound and named not in ("", bound):
                raise ProjectUnknown(named[:100])
            place = await find_place(self._ctx, caller, named or bound)
        except ProjectUnknown as error:
            note_project(self._audit, caller, error, request)
            raise
        return SignedIn(caller, place.tenant, place.project)

    async def needs_body(self, request: Request) -> bool:
        """Whether the body is part of what proves the caller: where it is signed. Nothing of a body was read yet.

        Raises CredentialsMissing, SignatureUnreadable for what no body makes good.
        """
        try:
            if is_signed(request.header(b"authorization")):
                await self._claim(request, b"")
                return True
            if not request.header(b"x-auth-token").strip():
                raise CredentialsMissing("neither Authorization nor X-Auth-Token")
        except Unauthenticated as error:
            note_login(self._audit, error, request)
            raise
        return False

    async def _caller(self, request: Request, body: bytes, operation: str) -> tuple[LoggedIn, str]:
        """Who it is, and the project that their token is for, if any."""
        if is_signed(request.header(b"authorization")):
            claim = await self._claim(request, body)
            return await authenticate_key(self._ctx, _attempt(request, claim, operation)), ""
        token = request.header(b"x-auth-token").strip()
        if not token:
            raise CredentialsMissing("neither Authorization nor X-Auth-Token")
        login = await check_identity_token(
            self._ctx,
            token,
            source=request.client,
            request_id=request.id,
            operation=operation,
        )
        return login.caller, login.project

    async def _claim(self, request: Request, body: bytes) -> Claim:
        signed = SignedRequest(
            method=request.method,
            path=request.path,
            query=request.scope["query_string"],
            headers=request.scope["headers"],
            body=body,
        )
        if len(body) > _INLINE:
            return await self._ctx.blocking(lambda: read_claim(signed, time.time()))
        return read_claim(signed, time.time())


def note_login(audit: AuditLog, error: Unauthenticated, request: Request) -> None:
    """That credentials were no good, unless the trail has it."""
    if not error.noted:
        audit.denied(None, "login", "deployment", request=request, error=error)
        error.noted = True


def note_project(
    audit: AuditLog, caller: LoggedIn, error: ProjectUnknown, request: Request
) -> None:
    """That somebody named a project that is not theirs."""
    denied = Forbidden("project", error.name)
    audit.denied(caller, "project.enter", f"project {error.name}", request=request, error=denied)


def _attempt(request: Request, claim: Claim, operation: str) -> KeyAttempt:
    return KeyAttempt(
        access_key_id=claim.access_key_id,
        session_token=claim.session_token,
        signed_at=claim.signed_at,
        window_seconds=WINDOW_SECONDS,
        proves=claim.proves,
        source=request.client,
        request_id=request.id,
        operation=operation,
    )
