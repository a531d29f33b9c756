"""Domain errors as distribution-spec codes: one table, resolved along the class tree; a test proves it complete."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from entrepot.http.messages import Headers, Response
from entrepot.model import errors as e
from entrepot.model.errors import RegistryError


@dataclass(frozen=True, slots=True)
class WireError:
    """Code and status; `message` makes the text a client shows its user."""

    code: str
    status: int
    message: Callable[[Any], str] = str


def _namespace(error: e.NamespaceUnknown) -> str:
    return f"namespace {error.name} does not exist; create it with: entrepot namespace create {error.name}"


def _media_type(error: e.MediaTypeUnsupported) -> str:
    if "manifest.v1+" in error.media_type:
        return "Docker image manifest schema 1 is not supported; push schema 2 or OCI"
    return f"manifest media type {error.media_type!r} is not supported"


def _references(error: e.ReferencesUnknown) -> str:
    shown = ", ".join(error.digests[:5])
    more = f" and {len(error.digests) - 5} more" if len(error.digests) > 5 else ""
    return f"not in this repository: {shown}{more}"


def _indexed(error: e.ManifestIndexed) -> str:
    return f"{error.digest} is listed by the tagged index {error.index}; delete or untag that first"


def _in_use(error: e.BlobInUse) -> str:
    return f"{error.digest} is used by a manifest of this repository; delete that first"


def _quota(error: e.QuotaExceeded) -> str:
    return f"quota of {error.resource} reached (limit {error.limit})"


TABLE: Final[dict[type[RegistryError], WireError]] = {
    e.InvalidInput: WireError("UNSUPPORTED", 400),
    e.DigestInvalid: WireError("DIGEST_INVALID", 400),
    e.NameInvalid: WireError("NAME_INVALID", 400, lambda x: f"invalid name {x.name!r}: {x.rule}"),
    e.TagInvalid: WireError("TAG_INVALID", 400, lambda x: f"invalid tag {x.text!r}"),
    e.ManifestInvalid: WireError("MANIFEST_INVALID", 400, lambda x: x.reason),
    e.ManifestTooLarge: WireError("SIZE_INVALID", 413),
    e.MediaTypeUnsupported: WireError("MANIFEST_INVALID", 400, _media_type),
    e.PageInvalid: WireError("PAGINATION_NUMBER_INVALID", 400),
    e.RangeInvalid: WireError("BLOB_UPLOAD_INVALID", 400),
    e.SizeMismatch: WireError("SIZE_INVALID", 400),
    e.BlobTooLarge: WireError("SIZE_INVALID", 413),
    e.Unknown: WireError("NAME_UNKNOWN", 404),
    e.NamespaceUnknown: WireError("NAME_UNKNOWN", 404, _namespace),
    e.RepositoryUnknown: WireError("NAME_UNKNOWN", 404),
    e.ManifestUnknown: WireError("MANIFEST_UNKNOWN", 404),
    e.BlobUnknown: WireError("BLOB_UNKNOWN", 404),
    e.ObjectMissing: WireError("BLOB_UNKNOWN", 404, lambda _: "the stored bytes are missing"),
    e.UploadUnknown: WireError("BLOB_UPLOAD_UNKNOWN", 404),
    e.ReferencesUnknown: WireError("MANIFEST_BLOB_UNKNOWN", 404, _references),
    e.Conflict: WireError("DENIED", 409),
    e.DigestMismatch: WireError("DIGEST_INVALID", 400),
    e.OffsetMismatch: WireError("BLOB_UPLOAD_INVALID", 416),
    e.UploadHeld: WireError("BLOB_UPLOAD_INVALID", 409),
    e.LeaseLost: WireError("BLOB_UPLOAD_INVALID", 409),
    e.ManifestIndexed: WireError("DENIED", 409, _indexed),
    e.BlobInUse: WireError("DENIED", 409, _in_use),
    e.Unauthenticated: WireError("UNAUTHORIZED", 401, lambda _: "authentication required"),
    e.Forbidden: WireError(
        "DENIED", 403, lambda x: f"requested access to {x.resource} is denied ({x.permission})"
    ),
    e.QuotaExceeded: WireError("DENIED", 403, _quota),
    e.Exhausted: WireError("TOOMANYREQUESTS", 429),
    e.RateLimited: WireError("TOOMANYREQUESTS", 429),
    e.Unavailable: WireError("UNAVAILABLE", 503, lambda _: "temporarily unavailable, try again"),
    e.StorageFull: WireError("UNAVAILABLE", 507, lambda _: "the registry's storage is full"),
    e.OperationUnsupported: WireError("UNSUPPORTED", 405),
}
UNEXPECTED: Final = WireError("UNKNOWN", 500, lambda _: "internal error")


def wire_error(error: RegistryError) -> WireError:
    """The row of the nearest class in the error's tree."""
    for kind in type(error).__mro__:
        row = TABLE.get(kind)
        if row is not None:
            return row
    return UNEXPECTED


def error_response(error: RegistryError, headers: Headers | None = None) -> Response:
    """The specification's error body (distribution-spec, "Error Codes")."""
    row = wire_error(error)
    answer = error_body(row.status, row.code, row.message(error))
    answer.headers.extend(headers or ())
    if isinstance(error, e.RateLimited):
        answer.headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    elif row.status == 503:
        answer.headers.append((b"retry-after", b"1"))
    if isinstance(error, e.ReferencesUnknown):
        detail = [{"digest": digest} for digest in error.digests[:100]]
        answer.body = _body(row.code, row.message(error), detail)
    return answer


def error_body(status: int, code: str, message: str) -> Response:
    """An error of one code."""
    return Response(status, [(b"content-type", b"application/json")], _body(code, message, None))


def _body(code: str, message: str, detail: object) -> bytes:
    return msgspec.json.encode({"errors": [{"code": code, "message": message, "detail": detail}]})
