"""end-4, end-5, end-6, end-11, end-13, end-14: upload sessions and mounts."""

from entrepot.capabilities.content import linking, uploading
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.parameters import algorithm_of, chunk_of, digest_of, query_of
from entrepot.http.messages import Headers, Response
from entrepot.model.content import Blob, UploadSession
from entrepot.model.errors import DigestInvalid, NameInvalid, UploadUnknown
from entrepot.model.ids import UploadId
from entrepot.oci.digest import Digest
from entrepot.oci.reference import NameSyntaxError, RepositoryName


async def start(x: Exchange) -> Response:
    """POST blobs/uploads/: a session; with `digest` a whole blob; with `mount` a blob of another repository."""
    query = query_of(x.request)
    mount = query.get("mount", [""])[0]
    if mount:
        digest = digest_of(mount)
        source = _source(query.get("from", [""])[0])
        blob = await linking.mount_blob(x.ctx, x.caller, x.place, digest, source)
        if blob is not None:
            return _created(x, blob)
        return _accepted(
            x, await uploading.start_upload(x.ctx, x.caller, x.place, digest.algorithm)
        )
    if "digest" in query:
        return await _whole(x, digest_of(query["digest"][0]))
    algorithm = algorithm_of(query.get("digest-algorithm"))
    return _accepted(x, await uploading.start_upload(x.ctx, x.caller, x.place, algorithm))


async def _whole(x: Exchange, digest: Digest) -> Response:
    length = x.request.header(b"content-length")
    blob = await uploading.upload_whole(
        x.ctx,
        x.caller,
        x.place,
        digest=digest,
        feed=x.feed,
        length=int(length) if length.isascii() and length.isdigit() else None,
    )
    return _created(x, blob)


async def status(x: Exchange) -> Response:
    """GET blobs/uploads/<id>."""
    session = await uploading.get_upload(x.ctx, x.caller, x.place, _upload(x))
    return Response(204, _progress(x, session))


async def patch(x: Exchange) -> Response:
    """PATCH blobs/uploads/<id>: one chunk, or a stream without Content-Range."""
    upload = _upload(x)
    session = await uploading.append(
        x.ctx, x.caller, x.place, upload, feed=x.feed, chunk=chunk_of(x.request)
    )
    return _accepted(x, session)


async def put(x: Exchange) -> Response:
    """PUT blobs/uploads/<id>?digest=…, with or without the last chunk."""
    upload = _upload(x)
    values = query_of(x.request).get("digest")
    if not values:
        raise DigestInvalid("")
    blob = await uploading.commit(
        x.ctx,
        x.caller,
        x.place,
        upload,
        digest=digest_of(values[0]),
        feed=x.feed,
        chunk=chunk_of(x.request),
    )
    return _created(x, blob)


async def cancel(x: Exchange) -> Response:
    """DELETE blobs/uploads/<id>."""
    await uploading.cancel(x.ctx, x.caller, x.place, _upload(x))
    return Response(204)


def location_of(x: Exchange, upload: str) -> bytes:
    """Where the session goes on: relative to the host, so that no proxy can spoil it."""
    return f"/v2/{x.place.name}/blobs/uploads/{upload}".encode()


def _upload(x: Exchange) -> UploadId:
    if not x.path.argument:
        raise UploadUnknown("malformed id")
    return UploadId(x.path.argument)


def _source(text: str) -> RepositoryName | None:
    if not text:
        return None
    try:
        return RepositoryName.parse(text)
    except NameSyntaxError as error:
        raise NameInvalid(text[:300], "from: a repository name") from error


def _progress(x: Exchange, session: UploadSession) -> Headers:
    # The field's form: `0-0` also for an empty session, since an inclusive range cannot say nothing.
    end = max(session.offset - 1, 0)
    return [
        (b"location", location_of(x, session.id)),
        (b"range", f"0-{end}".encode()),
        (b"docker-upload-uuid", session.id.encode()),
    ]


def _accepted(x: Exchange, session: UploadSession) -> Response:
    return Response(202, _progress(x, session))


def _created(x: Exchange, blob: Blob) -> Response:
    return Response(
        201,
        [
            (b"location", f"/v2/{x.place.name}/blobs/{blob.digest}".encode()),
            (b"docker-content-digest", blob.digest.encode()),
        ],
    )
