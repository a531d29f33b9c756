"""Errors as problem documents (RFC 9457), by one table from domain error to status and code; a test proves it complete."""

from dataclasses import dataclass
from typing import Final

import msgspec

from entrepot.capabilities.instances.requested import RegionUnknown
from entrepot.http.messages import Headers, Response
from entrepot.model import (
    certificates,
    clusters,
    errors,
    identities,
    instances,
    network_access,
    syncing,
)
from entrepot.model.errors import RegistryError

CONTENT_TYPE: Final = b"application/problem+json"
_HEADERS: Final = (
    (b"content-type", CONTENT_TYPE),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
CHALLENGE: Final = (b"www-authenticate", b'Basic realm="entrepot"')


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem."""

    status: int
    code: str
    title: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document. `code` is for programs and does not change; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


@dataclass(eq=False)
class Refusal(Exception):
    """What the wire itself refuses. `detail` must hold no secret."""

    kind: Kind
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


MALFORMED: Final = Kind(400, "malformed-request", "The request cannot be read")
PATH_UNKNOWN: Final = Kind(404, "path-unknown", "Nothing is served at this path")
METHOD_UNKNOWN: Final = Kind(405, "method-not-allowed", "The path does not take this method")
BODY_TOO_LARGE: Final = Kind(413, "body-too-large", "The body is too large")
MEDIA_TYPE: Final = Kind(415, "media-type-unsupported", "The body must be JSON")
UNEXPECTED: Final = Kind(500, "internal-error", "Something went wrong here")
OF_WIRE: Final = (
    MALFORMED,
    PATH_UNKNOWN,
    METHOD_UNKNOWN,
    BODY_TOO_LARGE,
    MEDIA_TYPE,
    UNEXPECTED,
)

_UNAVAILABLE: Final = Kind(503, "unavailable", "Temporarily unavailable, try again")
TABLE: Final[dict[type[RegistryError], Kind]] = {
    errors.InvalidInput: Kind(400, "invalid", "The request cannot be understood"),
    errors.NameInvalid: Kind(400, "name-invalid", "The name breaks its rule"),
    errors.ValueInvalid: Kind(400, "value-invalid", "A value is outside what it may be"),
    errors.ManifestTooLarge: Kind(413, "too-large", "It is larger than the limit"),
    errors.BlobTooLarge: Kind(413, "too-large", "It is larger than the limit"),
    instances.NameReserved: Kind(400, "name-reserved", "The name is kept for the deployment"),
    certificates.CertificateInvalid: Kind(
        400, "certificate-invalid", "The certificate cannot be used"
    ),
    clusters.KubeconfigInvalid: Kind(400, "kubeconfig-invalid", "The kubeconfig cannot be used"),
    errors.Unknown: Kind(404, "unknown", "It is not there"),
    errors.TenantUnknown: Kind(404, "tenant-unknown", "No such tenant"),
    errors.UserUnknown: Kind(404, "user-unknown", "No such user"),
    errors.GroupUnknown: Kind(404, "group-unknown", "No such group"),
    errors.KeyUnknown: Kind(404, "key-unknown", "No such access key"),
    errors.AccountUnknown: Kind(404, "account-unknown", "No such token or service account"),
    errors.InstanceUnknown: Kind(404, "instance-unknown", "No such instance"),
    errors.NamespaceUnknown: Kind(404, "namespace-unknown", "No such namespace"),
    errors.RepositoryUnknown: Kind(404, "repository-unknown", "No such repository"),
    identities.PolicyUnknown: Kind(404, "policy-unknown", "No such policy, or not attached there"),
    identities.GrantUnknown: Kind(404, "grant-unknown", "The user has no such grant"),
    network_access.NetworkUnknown: Kind(404, "network-unknown", "No such private network"),
    syncing.PeerUnknown: Kind(404, "peer-unknown", "No such peer"),
    clusters.ClusterUnknown: Kind(404, "cluster-unknown", "No such cluster"),
    certificates.CertificateUnknown: Kind(404, "certificate-unknown", "No such certificate"),
    RegionUnknown: Kind(404, "region-unknown", "The region is not served here"),
    errors.ObjectMissing: Kind(404, "unknown", "It is not there"),
    errors.Conflict: Kind(409, "conflict", "It does not fit the present state"),
    errors.NameTaken: Kind(409, "name-taken", "Something living has that name already"),
    errors.NotEmpty: Kind(409, "not-empty", "It still contains something"),
    errors.Protected: Kind(409, "protected", "It is built in, or protected"),
    instances.InstanceNotRunning: Kind(409, "instance-not-running", "The instance does not run"),
    instances.EditionTooSmall: Kind(
        409, "edition-too-small", "The edition allows less than the instance uses"
    ),
    network_access.NetworkLinked: Kind(409, "in-use", "Something uses it"),
    syncing.PeerUsed: Kind(409, "in-use", "Something uses it"),
    certificates.CertificateUsed: Kind(409, "in-use", "Something uses it"),
    errors.Denied: Kind(403, "forbidden", "The caller may not"),
    errors.Forbidden: Kind(403, "forbidden", "The caller may not"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "Credentials are missing, wrong or over"),
    errors.Exhausted: Kind(403, "limit-reached", "A limit is reached"),
    errors.QuotaExceeded: Kind(403, "quota-exceeded", "A quota would be exceeded"),
    errors.RateLimited: Kind(429, "rate-limited", "Too many attempts; try again later"),
    errors.Unavailable: _UNAVAILABLE,
    errors.StorageFull: Kind(507, "storage-full", "The registry's storage is full"),
    errors.OperationUnsupported: Kind(400, "unsupported", "It is not served here"),
}


def kind_of(error: type[RegistryError]) -> Kind:
    """The row of the nearest class in the error's tree."""
    for ancestor in error.__mro__:
        row = TABLE.get(ancestor)
        if row is not None:
            return row
    return UNEXPECTED


def problem(error: RegistryError, request_id: str) -> Response:
    """The answer for an error of a use case."""
    kind = kind_of(type(error))
    headers: Headers = []
    if isinstance(error, errors.RateLimited):
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    elif kind.status == 401:
        headers.append(CHALLENGE)
    elif kind.status == 503:
        headers.append((b"retry-after", b"1"))
    return answer(kind, _detail(error, kind), request_id, headers)


def answer(kind: Kind, detail: str, request_id: str, headers: Headers) -> Response:
    """A problem document."""
    said = Problem(
        type=f"urn:entrepot:problem:{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        code=kind.code,
        request_id=request_id,
    )
    return Response(kind.status, [*_HEADERS, *headers], msgspec.json.encode(said))


def _detail(error: RegistryError, kind: Kind) -> str:
    """For people; what is wrong inside stays in the log."""
    match error:
        case errors.Unavailable():
            return kind.title
        case errors.ValueInvalid(field=name, reason=reason):
            return f"{name}: {reason}"
        case errors.NameInvalid(name=name, rule=rule):
            return f"{name!r}: {rule}"
        case errors.Unauthenticated(reason=reason):
            return reason
        case errors.Forbidden(permission=permission, resource=resource):
            return f"not permitted: {permission} ({resource})"
        case _:
            return str(error)
