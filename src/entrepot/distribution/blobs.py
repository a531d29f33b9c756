"""end-2 and end-10: blobs."""

from entrepot.capabilities.content import deleting, pulling
from entrepot.distribution.described import of_blob, of_unchanged_blob
from entrepot.distribution.errors import error_response
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.parameters import digest_of, range_of
from entrepot.http.messages import Answer, BlobResponse, Response
from entrepot.model.errors import RangeInvalid


async def head(x: Exchange) -> Response:
    """HEAD blobs/<digest>: opens nothing."""
    blob = await pulling.confirm_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    if x.not_modified(blob.digest):
        return Response(304, shared=of_unchanged_blob(blob.digest))
    return Response(200, told_length=blob.size, shared=of_blob(blob.digest))


async def get(x: Exchange) -> Answer:
    """GET blobs/<digest>, whole or one range."""
    blob = await pulling.find_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    if x.not_modified(blob.digest):
        return Response(304, shared=of_unchanged_blob(blob.digest))
    asked = x.request.header(b"range")
    try:
        part = range_of(asked, blob.size) if asked and x.range_applies(blob.digest) else None
    except RangeInvalid as error:
        answer = error_response(error, [(b"content-range", f"bytes */{blob.size}".encode())])
        answer.status = 416
        return answer
    start, length = (0, blob.size) if part is None else (part.start, part.length)
    headers = [] if part is None else [(b"content-range", part.content_range)]
    status, shared = 200 if part is None else 206, of_blob(blob.digest)
    content = pulling.kept_content(x.ctx, blob)
    if content is None:
        content = await pulling.small_content(x.ctx, blob)
    if content is not None:
        return Response(status, headers, content[start : start + length], shared=shared)
    reader = await pulling.open_blob(x.ctx, blob, start=start, length=length)
    return BlobResponse(status, headers, reader, start, length, shared=shared)


async def delete(x: Exchange) -> Response:
    """DELETE blobs/<digest>."""
    await deleting.delete_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    return Response(202)
