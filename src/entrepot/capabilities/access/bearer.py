"""Bearer tokens of `/service/token`: signed with our key, for one instance, minutes long (RFC 7519, RFC 8037).

A token says who logged in and with what, which rights were found, and at which epoch.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from entrepot.capabilities.access import jws
from entrepot.capabilities.access.callers import (
    SCOPE_ACTIONS,
    Credential,
    CredentialKind,
    LoggedIn,
    RepositoryScope,
    TokenCaller,
)
from entrepot.capabilities.access.jws import MAX_TOKEN
from entrepot.capabilities.access.signing import KeyRing
from entrepot.model.errors import Unauthenticated, ValueInvalid
from entrepot.model.ids import AccountId, InstanceId, Micros, RepositoryId, TenantId, UserId

ISSUER: Final = "entrepot"
KIND: Final = "JWT"  # the header's `typ`
_LEEWAY_SECONDS: Final = 10  # of `nbf` and `iat` only: clocks of replicas differ a little
_CACHED: Final = 4096


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the claim `access`, in the form of the registry token specification, with the repository's id."""

    type: str
    name: str
    actions: list[str]
    id: int | None = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: str
    iat: int
    nbf: int
    exp: int
    jti: str
    epo: int
    cred: str
    name: str
    tenant: int | None
    access: list[Access]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a token begins and how long it lasts."""

    issued_at: Micros
    seconds: int


def sign(
    ring: KeyRing,
    caller: LoggedIn,
    *,
    instance: InstanceId,
    access: Iterable[Access],
    lifetime: Lifetime,
) -> str:
    """A token for the caller, whose `epoch` is the one at which `access` was found. Raises ValueInvalid beyond 8 KiB."""
    issued = lifetime.issued_at // 1_000_000
    claims = _Claims(
        iss=ISSUER,
        aud=str(instance),
        sub=caller.subject,
        iat=issued,
        nbf=issued,
        exp=issued + lifetime.seconds,
        jti=secrets.token_urlsafe(12),
        epo=caller.epoch,
        cred=str(caller.credential),
        name=caller.name,
        tenant=caller.tenant,
        access=list(access),
    )
    token = jws.sign(ring, msgspec.to_builtins(claims), kind=KIND)
    if len(token) > MAX_TOKEN:
        raise ValueInvalid("scope", "too many or too long scopes for one token")
    return token


class Verifier:
    """Verifies tokens with a key ring; remembers good ones. Not shared among threads."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self._good: OrderedDict[bytes, TokenCaller] = OrderedDict()

    def replace_keys(self, ring: KeyRing) -> None:
        """Use other keys from now on; what the former ones verified is verified again."""
        self.ring = ring
        self._good.clear()

    def verify(self, token: str, instance: InstanceId, now: Micros) -> TokenCaller:
        """The caller a token speaks of. Raises Unauthenticated for anything but a token of ours, of this instance, valid now.

        Says nothing about rights at this moment: see `AccessState.permits`.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            raise Unauthenticated("no token of ours")
        digest = hashlib.sha256(token.encode()).digest()
        caller = self._good.get(digest)
        if caller is None:
            caller = self._read(token, now)
            self._good[digest] = caller
            if len(self._good) > _CACHED:
                self._good.popitem(last=False)
        else:
            self._good.move_to_end(digest)
        if caller.instance != instance:
            raise Unauthenticated("token of another instance")
        if now >= caller.expires_at:
            del self._good[digest]
            raise Unauthenticated("token expired")
        return caller

    def _read(self, token: str, now: Micros) -> TokenCaller:
        payload = jws.claims_of(self.ring, token, now, kind=KIND)
        try:
            claims = msgspec.convert(payload, _Claims)
            caller = _caller(claims)
        except (msgspec.ValidationError, ValueError) as error:
            raise Unauthenticated("no token of ours") from error
        latest = now // 1_000_000 + _LEEWAY_SECONDS
        if claims.iss != ISSUER or claims.nbf > latest or claims.iat > latest:
            raise Unauthenticated("token not valid yet")
        return caller


def _caller(claims: _Claims) -> TokenCaller:
    credential = Credential.parse(claims.cred)
    kind, _, number = claims.sub.partition(":")
    is_account = credential.kind is CredentialKind.ACCOUNT
    return TokenCaller(
        subject=claims.sub,
        name=claims.name,
        tenant=None if claims.tenant is None else TenantId(claims.tenant),
        user=UserId(int(number)) if kind == "user" else None,
        account=AccountId(credential.id) if is_account else None,
        credential=credential,
        epoch=claims.epo,
        instance=InstanceId(int(claims.aud)),
        expires_at=Micros(claims.exp * 1_000_000),
        token_id=claims.jti,
        repositories=_scopes(claims.access),
        may_list=any(a.type == "registry" and a.name == "catalog" for a in claims.access),
    )


def _scopes(access: Iterable[Access]) -> Mapping[str, RepositoryScope]:
    scopes: dict[str, RepositoryScope] = {}
    for entry in access:
        if entry.type != "repository":
            continue
        permissions = frozenset(p for a in entry.actions for p in SCOPE_ACTIONS.get(a, ()))
        number = None if entry.id is None else RepositoryId(entry.id)
        scope = RepositoryScope(permissions, number)
        before = scopes.get(entry.name)
        if before is not None:
            scope = replace(scope, permissions=permissions | before.permissions)
        scopes[entry.name] = scope
    return scopes
