"""The wire of /v2/: path -> caller -> handler -> answer, with every refusal in the specification's words.

The table below is the whole of the wire (distribution-spec 1.1 and 1.2-dev, "Endpoints").
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from entrepot.capabilities.content.feeding import FeedBroken
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.distribution import blobs, lists, manifests, uploads
from entrepot.distribution.credentials import Credentials
from entrepot.distribution.described import COMMON
from entrepot.distribution.errors import error_body, error_response
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.paths import Kind, Path, parse_path
from entrepot.http.bodies import ClientDisconnected
from entrepot.http.fields import NONE
from entrepot.http.messages import Answer, Headers, Request, Response
from entrepot.model.content import StoredManifest
from entrepot.model.errors import Denied, OffsetMismatch, RegistryError, Unauthenticated
from entrepot.model.tenancy import Instance

Handler: TypeAlias = Callable[[Exchange], Awaitable[Answer]]


async def base(x: Exchange) -> Response:
    """end-1, GET /v2/: is this a registry, and who am I to it?"""
    if x.caller.is_anonymous:
        raise Unauthenticated("no credentials")
    return Response(200, [(b"content-type", b"application/json")], b"{}")


ENDPOINTS: Final[dict[Kind, dict[str, Handler]]] = {
    Kind.BASE: {"GET": base, "HEAD": base},
    Kind.CATALOG: {"GET": lists.catalog, "HEAD": lists.catalog},
    Kind.TAGS: {"GET": lists.tags, "HEAD": lists.tags},
    Kind.REFERRERS: {"GET": lists.referrers, "HEAD": lists.referrers},
    Kind.MANIFEST: {
        "GET": manifests.get,
        "HEAD": manifests.get,
        "PUT": manifests.put,
        "DELETE": manifests.delete,
    },
    Kind.BLOB: {"GET": blobs.get, "HEAD": blobs.head, "DELETE": blobs.delete},
    Kind.UPLOADS: {"POST": uploads.start},
    Kind.UPLOAD: {
        "GET": uploads.status,
        "HEAD": uploads.status,
        "PATCH": uploads.patch,
        "PUT": uploads.put,
        "DELETE": uploads.cancel,
    },
}
# What a client is asked to get a token for, by method; everything about uploads is pushing.
_SCOPES: Final = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Distribution:
    """The handler that the chain calls for /v2/."""

    def __init__(
        self,
        ctx: Context,
        credentials: Credentials,
        *,
        on_pull: Callable[[StoredManifest], None],
        audit: AuditLog,
    ) -> None:
        self._ctx = ctx
        self._credentials = credentials
        self._on_pull = on_pull
        self._audit = audit

    async def __call__(self, request: Request, instance: Instance) -> Answer:
        """Answer one request; raises nothing of ours."""
        path: Path | None = None
        try:
            path = parse_path(request.path)
            handler = None if path is None else ENDPOINTS[path.kind].get(request.method)
            if path is None or handler is None:
                answer: Answer = _not_served(request, path)
            else:
                caller = self._credentials.known(request, instance)
                if caller is None:
                    caller = await self._credentials.caller(request, instance)
                request.caller = caller
                exchange = Exchange(
                    self._ctx, request, instance, path=path, caller=caller, on_pull=self._pulled
                )
                answer = await handler(exchange)
        except FeedBroken as error:
            raise ClientDisconnected from error
        except Denied as error:
            self._denied(request, instance, path, error=error)
            challenge = [self._challenge(request, path)]
            answer = error_response(error, challenge if isinstance(error, Unauthenticated) else [])
        except OffsetMismatch as error:
            answer = error_response(error, _where(request, path, error))
        except RegistryError as error:
            answer = error_response(error)
        if answer.shared is NONE:
            answer.shared = COMMON
        return answer

    def _pulled(self, x: Exchange, manifest: StoredManifest) -> None:
        self._on_pull(manifest)
        resource = f"{x.instance.public_id}/{x.place.name}@{manifest.digest}"
        self._audit.pulled(x.caller, resource, request=x.request)

    def _denied(
        self, request: Request, instance: Instance, path: Path | None, *, error: Denied
    ) -> None:
        """For the trail: refusals of callers that showed something. A client without credentials is only asked for some, and what
        became of a user name and password the login wrote down."""
        shown = request.header(b"authorization")[:7].lower()
        if path is not None and (request.caller or shown == "bearer ") and shown:
            action = f"{path.kind.value}.{request.method.lower()}"
            resource = (
                instance.public_id if path.name is None else f"{instance.public_id}/{path.name}"
            )
            self._audit.denied(request.caller, action, resource, request=request, error=error)

    def _challenge(self, request: Request, path: Path | None) -> tuple[bytes, bytes]:
        scope = ""
        if path is not None and path.name is not None:
            is_upload = path.kind in (Kind.UPLOADS, Kind.UPLOAD)
            actions = "pull,push" if is_upload else _SCOPES.get(request.method, "pull,push")
            scope = f"repository:{path.name}:{actions}"
        elif path is not None and path.kind is Kind.CATALOG:
            scope = "registry:catalog:*"
        return self._credentials.challenge(request, scope)


def _not_served(request: Request, path: Path | None) -> Response:
    if path is None:
        return error_body(404, "UNSUPPORTED", "no such endpoint")
    answer = error_body(405, "UNSUPPORTED", f"{request.method} is not served here")
    answer.headers.append((b"allow", ", ".join(ENDPOINTS[path.kind]).encode()))
    return answer


def _where(request: Request, path: Path | None, error: OffsetMismatch) -> Headers:
    """Where the session really ends, so that the client can go on from there."""
    end = max(error.offset - 1, 0)
    upload = b"" if path is None else path.argument.encode()
    return [
        (b"range", f"0-{end}".encode()),
        (b"location", request.path),
        (b"docker-upload-uuid", upload),
    ]
