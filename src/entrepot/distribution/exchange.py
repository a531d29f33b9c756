"""One request under /v2/ with everything its handler needs."""

from collections.abc import Callable

from entrepot.capabilities.content.feeding import FeedBroken, FeedTooLong, Sink
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.context import Context
from entrepot.distribution.paths import Path
from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, body_to_sink
from entrepot.http.messages import Request
from entrepot.model.access import Caller
from entrepot.model.content import StoredManifest
from entrepot.model.errors import RegistryError
from entrepot.model.tenancy import Instance


class _Gathered:
    """A sink in memory, for manifests."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: memoryview) -> None:
        self.content += data


class Exchange:
    """A parsed request of a known caller. `on_pull` is told of each manifest given out."""

    __slots__ = ("_on_pull", "caller", "ctx", "instance", "path", "place", "request")

    def __init__(
        self,
        ctx: Context,
        request: Request,
        instance: Instance,
        *,
        path: Path,
        caller: Caller,
        on_pull: Callable[["Exchange", StoredManifest], None],
    ) -> None:
        self.ctx = ctx
        self.request = request
        self.instance = instance
        self.path = path
        self.caller = caller
        self._on_pull = on_pull
        if path.name is not None:
            self.place = Place(instance, path.name)

    def pulled(self, manifest: StoredManifest) -> None:
        """Count a pull (in memory; written in batches)."""
        self._on_pull(self, manifest)

    async def feed(self, sink: Sink, limit: int | None) -> int:
        """The request body as a feed of `capabilities.content.feeding`."""
        return await _feed(self.ctx, self.request, sink, limit)

    async def body(self, limit: int, too_large: Callable[[int], RegistryError]) -> bytes:
        """The whole body, at most `limit` bytes; raises `too_large(limit)` otherwise."""
        return await read_body(self.ctx, self.request, limit, too_large)

    def not_modified(self, digest: str) -> bool:
        """Whether If-None-Match holds the digest (RFC 9110, 13.1.2)."""
        asked = self.request.header(b"if-none-match")
        if not asked or self.request.method not in ("GET", "HEAD"):
            return False
        tags = {tag.strip().removeprefix("W/").strip('"') for tag in asked.split(",")}
        return "*" in tags or digest in tags

    def range_applies(self, digest: str) -> bool:
        """Whether a Range header counts (RFC 9110, 13.1.5: If-Range)."""
        condition = self.request.header(b"if-range")
        return not condition or condition.strip('"') == digest


async def read_body(
    ctx: Context, request: Request, limit: int, too_large: Callable[[int], RegistryError]
) -> bytes:
    """A whole body of at most `limit` bytes. Raises `too_large(limit)`, FeedBroken."""
    gathered = _Gathered()
    try:
        await _feed(ctx, request, gathered, limit)
    except FeedTooLong as error:
        raise too_large(limit) from error
    return bytes(gathered.content)


async def _feed(ctx: Context, request: Request, sink: Sink, limit: int | None) -> int:
    try:
        size = await body_to_sink(request.scope, request.receive, sink, limit=limit, pool=ctx.pool)
    except BodyTooLarge as error:
        raise FeedTooLong from error
    except ClientDisconnected as error:
        raise FeedBroken from error
    request.received += size
    return size
