"""end-2 and end-10: blobs."""

from entrepot.capabilities.content import deleting, pulling
from entrepot.distribution.errors import error_response
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.parameters import digest_of, range_of
from entrepot.http.messages import Answer, BlobResponse, Headers, Response
from entrepot.model.content import Blob
from entrepot.model.errors import RangeInvalid


def _described(blob: Blob) -> Headers:
    return [
        (b"docker-content-digest", blob.digest.encode()),
        (b"etag", f'"{blob.digest}"'.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, max-age=31536000, immutable"),
    ]


async def head(x: Exchange) -> Response:
    """HEAD blobs/<digest>: opens nothing."""
    blob = await pulling.confirm_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    if x.not_modified(blob.digest):
        return Response(304, _described(blob))
    headers = [
        *_described(blob),
        (b"content-type", b"application/octet-stream"),
    ]
    return Response(200, headers, told_length=blob.size)


async def get(x: Exchange) -> Answer:
    """GET blobs/<digest>, whole or one range."""
    blob = await pulling.find_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    headers = _described(blob)
    if x.not_modified(blob.digest):
        return Response(304, headers)
    headers.append((b"content-type", b"application/octet-stream"))
    asked = x.request.header(b"range") if x.range_applies(blob.digest) else ""
    try:
        part = range_of(asked, blob.size) if asked else None
    except RangeInvalid as error:
        answer = error_response(error, [(b"content-range", f"bytes */{blob.size}".encode())])
        answer.status = 416
        return answer
    start, length = (0, blob.size) if part is None else (part.start, part.length)
    if part is not None:
        headers.append((b"content-range", part.content_range))
    status = 200 if part is None else 206
    content = await pulling.small_content(x.ctx, blob)
    if content is not None:
        return Response(status, headers, content[start : start + length])
    reader = await pulling.open_blob(x.ctx, blob, start=start, length=length)
    return BlobResponse(status, headers, reader, start, length)


async def delete(x: Exchange) -> Response:
    """DELETE blobs/<digest>."""
    await deleting.delete_blob(x.ctx, x.caller, x.place, digest_of(x.path.argument))
    return Response(202)
