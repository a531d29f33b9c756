"""From a domain error to the vendor's code: for each kind of error the codes that fit, the finest first.

An answer carries the first of them that the action's page lists, or the common list. So each row ends in a common code, and no action
says what it does not document. Errors without a row take their parent's; a test walks them all.
"""

from collections.abc import Mapping
from typing import Any, Final

from entrepot.capabilities.instances.requested import RegionUnknown
from entrepot.dialects.operation import Operation
from entrepot.dialects.tcr.book import BOOK, COMMON
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.signing import AuthFailure, SigningError
from entrepot.model import errors, identities
from entrepot.model.errors import RegistryError
from entrepot.model.instances import (
    EditionTooSmall,
    FeatureMissing,
    InstanceNotRunning,
    NameReserved,
)
from entrepot.model.network_access import LinkNamed, LinkTaken

_MISSING: Final = ("ResourceNotFound.TcrResourceNotFound", "ResourceNotFound")
_INVALID: Final = ("InvalidParameter.ErrorTcrInvalidParameter", "InvalidParameter")
_TAKEN: Final = (
    "FailedOperation.ErrorTcrResourceConflict",
    "InternalError.ErrorTcrResourceConflict",
    "InternalError.ErrorConflict",
    "InternalError.ErrConflict",
    "ResourceInUse",
)
_STATE: Final = ("FailedOperation.PreconditionFailed", "OperationDenied", "FailedOperation")
_AWAY: Final = ("InternalError.DbError", "FailedOperation.DbError", "ServiceUnavailable")
_LIMIT: Final = ("OperationDenied.QuotaOverLimit", "InternalError.ErrorOverLimit", "LimitExceeded")

CODES: Final[dict[type[RegistryError], tuple[str, ...]]] = {
    RegistryError: ("InternalError",),
    errors.InvalidInput: _INVALID,
    errors.NameInvalid: ("InvalidParameter.ErrorNameIllegal", *_INVALID),
    errors.Unknown: _MISSING,
    RegionUnknown: ("UnsupportedRegion",),
    errors.Conflict: _STATE,
    InstanceNotRunning: (
        "ResourceInsufficient.ErrorInstanceNotRunning",
        "OperationDenied",
        "UnsupportedOperation",
    ),
    NameReserved: ("InvalidParameter.ErrorNameReserved", "InvalidParameter"),
    EditionTooSmall: ("OperationDenied", "UnsupportedOperation"),
    FeatureMissing: ("OperationDenied", "UnsupportedOperation"),
    errors.NameTaken: ("InvalidParameter.ErrorNameExists", *_TAKEN),
    errors.NotEmpty: _STATE,
    LinkTaken: _TAKEN,
    LinkNamed: ("ResourceInsufficient.ErrorVpcDnsStatus", "ResourceInsufficient"),
    errors.Protected: ("OperationDenied", "UnsupportedOperation"),
    errors.LeaseLost: ("ResourceUnavailable",),
    errors.Denied: ("AuthFailure.UnauthorizedOperation",),
    errors.Unauthenticated: ("AuthFailure.SecretIdNotFound",),
    identities.KeyRefused: ("AuthFailure.SecretIdNotFound",),
    identities.KeyKindWrong: ("AuthFailure.InvalidSecretId",),
    identities.SessionTokenWrong: ("AuthFailure.TokenFailure",),
    identities.SignatureWrong: ("AuthFailure.SignatureFailure",),
    identities.RequestReplayed: ("AuthFailure.SignatureExpire",),
    errors.Exhausted: _LIMIT,
    errors.QuotaExceeded: _LIMIT,
    errors.RateLimited: ("RequestLimitExceeded",),
    errors.Unavailable: ("ServiceUnavailable",),
    errors.StorageUnavailable: _AWAY,
    errors.StorageFull: _AWAY,
    errors.ObjectMissing: ("InternalError.ErrorTcrInternal", "InternalError"),
    errors.OperationUnsupported: ("UnsupportedOperation",),
}
_NO_KEY: Final = "no access key of that id is accepted"  # whether there is one is nobody's business
_SIGNING: Final = {
    AuthFailure.UNSIGNED: "MissingParameter",
    AuthFailure.SKEW: "AuthFailure.SignatureExpire",
    AuthFailure.DATE: "AuthFailure.SignatureFailure",
    AuthFailure.AMBIGUOUS: "InvalidParameter",
    AuthFailure.TOO_MANY: "InvalidParameter",
    AuthFailure.ENCODING: "InvalidParameter",
    AuthFailure.NONCE: "InvalidParameter",
}
_REQUIRED: Final = frozenset({"SecretId", "Signature", "Timestamp", "Nonce", "X-TC-Timestamp"})
"""What a scheme asks of every request, and is told like any other parameter that is not there."""


def code_of(
    kind: type[RegistryError], action: str, own: Mapping[type[RegistryError], str] | None = None
) -> str:
    """What the action answers for an error of that kind. `own`: the action's own word for it."""
    entry = BOOK.get(action)
    listed = COMMON if entry is None else COMMON | entry.codes
    for ancestor in kind.__mro__:
        if own is not None and ancestor in own:
            return own[ancestor]
        for code in CODES.get(ancestor, ()):
            if code in listed:
                return code
    return "InternalError"


def codes_of(operation: Operation[Any, Any]) -> frozenset[str]:
    """All that the action may answer for errors of use cases."""
    return frozenset(code_of(kind, operation.name, operation.codes) for kind in CODES)


def refusal_of(
    error: RegistryError, action: str, own: Mapping[type[RegistryError], str] | None = None
) -> Refusal:
    """The answer for an error of a use case."""
    said = _NO_KEY if isinstance(error, identities.KeyRefused) else str(error)
    return Refusal(code_of(type(error), action, own), said)


def refusal_of_signing(error: SigningError) -> Refusal:
    """The answer for a signature that cannot be checked."""
    if error.reason is AuthFailure.MISSING and error.what in _REQUIRED:
        return Refusal("MissingParameter", str(error))
    return Refusal(_SIGNING.get(error.reason, "AuthFailure.InvalidAuthorization"), str(error))
