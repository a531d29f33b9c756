"""From a domain error to the service's status and code, by one table; a test proves it complete. Messages are our own."""

from dataclasses import dataclass
from typing import Final

import msgspec

from entrepot.http.messages import Headers, Response
from entrepot.model import errors, identities
from entrepot.model.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Code:
    """A status, the code that goes with it, and words for people (empty: the error's own)."""

    status: int
    code: str
    words: str = ""


@dataclass(eq=False)
class Refusal(Exception):
    """What the wire itself refuses. `detail` must hold no secret."""

    code: Code
    detail: str


class Failure(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error_msg: str
    error_code: str


UNEXPECTED: Final = Code(500, "IAM.0006", "something went wrong here")
PATH_UNKNOWN: Final = Code(404, "IAM.0004")
MALFORMED: Final = Code(400, "IAM.0011")
PARAMETER: Final = Code(400, "IAM.0007")
TOO_LARGE: Final = Code(413, "IAM.0011")
NOBODY: Final = Code(401, "IAM.0001")
WRONG_PASSWORD: Final = Code(401, "IAM.0062", "wrong user name or password")
_DENIED: Final = Code(403, "IAM.0002", "the caller may not do this")
_UNKNOWN: Final = Code(404, "IAM.0004")

CODES: Final[dict[type[RegistryError], Code]] = {
    RegistryError: UNEXPECTED,
    errors.InvalidInput: PARAMETER,
    errors.Unknown: _UNKNOWN,
    errors.Conflict: Code(409, "IAM.0005"),
    errors.Denied: _DENIED,
    errors.Unauthenticated: NOBODY,
    identities.IdentityTokenRefused: Code(401, "IAM.0063"),
    errors.Exhausted: Code(429, "IAM.0012"),
    errors.Unavailable: Code(503, "IAM.0006", "temporarily unavailable, try again"),
    errors.ObjectMissing: UNEXPECTED,
    errors.OperationUnsupported: PATH_UNKNOWN,
}
HEADERS: Final = (
    (b"content-type", b"application/json;charset=utf8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def code_of(kind: type[RegistryError]) -> Code:
    """What errors of that kind are called."""
    return next(CODES[ancestor] for ancestor in kind.__mro__ if ancestor in CODES)


def refusal_of(error: RegistryError) -> Refusal:
    """The answer for an error of a use case."""
    code = code_of(type(error))
    return Refusal(code, code.words or str(error))


def answer(refusal: Refusal, request_id: str, error: BaseException | None) -> Response:
    """`error`: what it came from, which may say when to come again."""
    headers: Headers = [*HEADERS, (b"x-iam-trace-id", request_id.encode())]
    if isinstance(error, errors.RateLimited):
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    body = msgspec.json.encode(Failure(refusal.detail, refusal.code.code))
    return Response(refusal.code.status, headers, body)
