"""From a domain error to the vendor's code, by one table; a test proves it complete. The code's first digits are the status.

Synonyms of the vendor's list are settled here (swr-behaviour section 6). Operations may call an error differently (`Operation.codes`).
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from entrepot.capabilities.instances.requested import RegionUnknown
from entrepot.dialects.swr.refusal import Refusal
from entrepot.http.messages import Response
from entrepot.model import errors, identities, instances, retention, syncing, triggers
from entrepot.model.errors import RegistryError

NO_PERMISSION: Final = "4039002"
NO_PERMISSION_ON_REPOSITORY: Final = "4037020"
FOREIGN_ACCOUNT: Final = "4011064"
NOT_YOURS: Final = "4039001"
ORGANIZATION_MISSING: Final = "4040058"
PATH_UNKNOWN: Final = "4040083"
BODY_TOO_LARGE: Final = "4131001"
TOO_MANY: Final = "4031042"
UNEXPECTED: Final = "5000007"
AWAY: Final = "5001038"

CODES: Final[dict[type[RegistryError], str]] = {
    RegistryError: UNEXPECTED,
    errors.InvalidInput: "4000014",
    errors.ManifestTooLarge: "4130025",
    errors.BlobTooLarge: "4130025",
    errors.PageInvalid: "4000056",
    instances.NameReserved: "4001028",
    errors.Unknown: "4040083",
    errors.TenantUnknown: "4001041",
    errors.UserUnknown: "4001067",
    errors.NamespaceUnknown: "4040058",
    errors.RepositoryUnknown: "4040010",
    errors.ManifestUnknown: "4041056",
    RegionUnknown: "4000014",
    identities.GrantUnknown: "4040078",
    identities.ProjectUnknown: NOT_YOURS,
    triggers.TriggerUnknown: "4040200",  # this and the next in a range that the vendor leaves free
    retention.RetentionUnknown: "4040201",
    syncing.SyncRuleUnknown: "4040202",  # likewise
    errors.Conflict: "4090060",
    errors.NotEmpty: "4060074",
    errors.Denied: NO_PERMISSION,
    errors.Unauthenticated: "4010000",
    errors.Exhausted: "4000097",
    errors.RateLimited: TOO_MANY,
    errors.Unavailable: AWAY,
    errors.StorageFull: "5070070",
    errors.ObjectMissing: "4041056",
    errors.OperationUnsupported: "4040083",
}
_QUOTAS: Final = {"namespaces": "4000097", "repositories": "4000098", "tags": "4000099"}
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class One(msgspec.Struct, frozen=True, rename="camel"):
    """An error as the vendor's appendix writes it."""

    error_code: str
    error_message: str
    detail: str


class Everywhere(msgspec.Struct, frozen=True):
    """An error for every reader: the list, the vendor's own spelling, and the one its SDK finds codes by."""

    errors: list[One]
    errorCode: str  # noqa: N815  (as it is read)
    errorMessage: str  # noqa: N815
    detail: str
    error_code: str
    error_msg: str


def code_of(kind: type[RegistryError], own: Mapping[type[RegistryError], str] | None = None) -> str:
    """What errors of that kind are called. `own`: the operation's words."""
    for ancestor in kind.__mro__:
        if own is not None and ancestor in own:
            return own[ancestor]
        if ancestor in CODES:
            return CODES[ancestor]
    return UNEXPECTED


def refusal_of(
    error: RegistryError,
    own: Mapping[type[RegistryError], str] | None = None,
    *,
    names_repository: bool,
) -> Refusal:
    """The answer for an error of a use case. `names_repository`: whether the request is about one."""
    if isinstance(error, errors.QuotaExceeded) and error.resource in _QUOTAS:
        return Refusal(_QUOTAS[error.resource], str(error))
    if isinstance(error, errors.Forbidden) and names_repository:
        return Refusal(NO_PERMISSION_ON_REPOSITORY, str(error))
    return Refusal(code_of(type(error), own), _told(error))


def _told(error: RegistryError) -> str:
    """For people; what is wrong inside stays in the log."""
    return "temporarily unavailable" if isinstance(error, errors.Unavailable) else str(error)


def answer(refusal: Refusal, request_id: str, *, as_array: bool) -> Response:
    """`as_array`: the bare array of the vendor's appendix, which its SDK does not read codes from."""
    one = One(refusal.full_code, refusal.message, f"request {request_id}")
    document: Any = [one]
    if not as_array:
        document = Everywhere(
            errors=[one],
            errorCode=one.error_code,
            errorMessage=one.error_message,
            detail=one.detail,
            error_code=one.error_code,
            error_msg=one.error_message,
        )
    return Response(refusal.status, list(_HEADERS), msgspec.json.encode(document))
