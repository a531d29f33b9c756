"""Access keys of users: with them programs sign requests. A secret is told once, in the answer that makes the key."""

from typing import Final

from entrepot.capabilities.access.identities import keys
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    on,
    shown,
    shown_end,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.identities import UserKey


class OfOwner(OfTenant, frozen=True, kw_only=True):
    """A request about the keys of a user of the tenant, by name."""

    user: str

    def owner(self, asked: Asked) -> keys.KeysOf:
        """The user."""
        return keys.KeysOf(asked.tenant, self.user)


class OfKey(OfTenant, frozen=True, kw_only=True):
    """A request about an access key of the tenant, by its id."""

    key: str


class ListKeys(OfOwner, frozen=True, kw_only=True):
    """List a user's access keys, without their secrets."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[keys.KeysOf]:
        """By name."""
        return on(self, self.owner(asked))


class CreateKey(OfOwner, frozen=True, kw_only=True):
    """Make an access key for a user, who may have two."""

    def to_command(self, asked: Asked) -> keys.KeysOf:
        """By name."""
        return self.owner(asked)


class CreateTemporaryKey(OfOwner, frozen=True, kw_only=True):
    """Make an access key with a session token that ends after 15 minutes to 36 hours. It does not count among the two."""

    lifetime_seconds: int

    def to_command(self, asked: Asked) -> keys.CreateTemporaryKey:
        """By name."""
        return keys.CreateTemporaryKey(asked.tenant, self.user, self.lifetime_seconds)


class EnableKey(OfKey, frozen=True, kw_only=True):
    """Accept a key, or refuse it within a second."""

    enabled: bool

    def to_command(self, asked: Asked) -> keys.EnableKey:
        """By id."""
        return keys.EnableKey(asked.tenant, self.key, self.enabled)


class DeleteKey(OfKey, frozen=True, kw_only=True):
    """Delete a key; its secret is forgotten."""

    def to_command(self, asked: Asked) -> keys.NamedKey:
        """By id."""
        return keys.NamedKey(asked.tenant, self.key)


class KeyShown(Answers, frozen=True, kw_only=True):
    """An access key. `expires`: of temporary ones."""

    access_key_id: str
    enabled: bool
    created: Moment
    expires: Moment | None = None

    @classmethod
    def of(cls, result: UserKey, _asked: Asked) -> "KeyShown":
        """As it is."""
        return cls(
            access_key_id=result.access_key_id,
            enabled=result.enabled,
            created=shown(result.created_at),
            expires=shown_end(result.expires_at),
        )


class KeyCreated(Answers, frozen=True, kw_only=True):
    """A new key with its secret, and of a temporary one its session token."""

    key: KeyShown
    secret_access_key: str
    session_token: str | None = None

    @classmethod
    def of(cls, result: keys.KeyMade, asked: Asked) -> "KeyCreated":
        """The secrets, this once."""
        return cls(
            key=KeyShown.of(result.key, asked),
            secret_access_key=result.secret,
            session_token=result.session_token,
        )


class KeyList(Answers, frozen=True, kw_only=True):
    """A page of access keys."""

    items: list[KeyShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[UserKey], asked: Asked) -> "KeyList":
        """By id."""
        return cls(items=[KeyShown.of(row, asked) for row in result.rows], next=result.next)


_OF_USER: Final = "/tenants/{tenant}/users/{user}"
_ONE: Final = "/tenants/{tenant}/keys/{key}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        f"{_OF_USER}/keys",
        Operation(
            "ListKeys", ListKeys, windowed(keys.list_keys, lambda k: k.access_key_id), KeyList
        ),
    ),
    Endpoint(
        "POST",
        f"{_OF_USER}/keys",
        Operation("CreateKey", CreateKey, keys.create_key, KeyCreated, changes=True),
        201,
    ),
    Endpoint(
        "POST",
        f"{_OF_USER}/temporary-keys",
        Operation(
            "CreateTemporaryKey",
            CreateTemporaryKey,
            keys.create_temporary_key,
            KeyCreated,
            changes=True,
        ),
        201,
    ),
    Endpoint(
        "PATCH", _ONE, Operation("EnableKey", EnableKey, keys.enable_key, KeyShown, changes=True)
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeleteKey", DeleteKey, keys.delete_key, Nothing, changes=True),
        204,
    ),
)
