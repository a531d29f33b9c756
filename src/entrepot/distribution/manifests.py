"""end-3 and end-7, end-9: manifests."""

from entrepot.capabilities.content import deleting, pulling, pushing
from entrepot.capabilities.content.place import for_push
from entrepot.capabilities.content.pushing import PushManifest
from entrepot.distribution.described import of_manifest, of_unchanged_manifest
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.parameters import query_of, reference_of, tags_of
from entrepot.http.messages import Response
from entrepot.model.errors import ManifestTooLarge, MediaTypeUnsupported, ValueInvalid
from entrepot.oci.digest import Digest


async def get(x: Exchange) -> Response:
    """GET, HEAD manifests/<reference>."""
    reference = reference_of(x.path.argument)
    manifest = await pulling.get_manifest(x.ctx, x.caller, x.place, reference)
    if x.request.method == "GET":
        x.pulled(manifest)
    if x.not_modified(manifest.digest):
        return Response(304, shared=of_unchanged_manifest(manifest.digest))
    shared = of_manifest(manifest.digest, manifest.media_type)
    return Response(200, body=manifest.payload, shared=shared)


async def put(x: Exchange) -> Response:
    """PUT manifests/<reference>[?tag=…&tag=…]."""
    reference = reference_of(x.path.argument)
    extra = tags_of(query_of(x.request).get("tag", []))
    if extra and not isinstance(reference, Digest):
        raise ValueInvalid("tag", "several tags are pushed by digest")
    # Nobody who may not push makes us take in megabytes, or learns what else is wrong with the request.
    target = await for_push(x.ctx, x.caller, x.place)
    media_type = x.request.header(b"content-type").partition(";")[0].strip()
    if not media_type:
        raise MediaTypeUnsupported("")
    payload = await x.body(int(x.ctx.settings.http.manifest_limit), ManifestTooLarge)
    command = PushManifest(
        media_type=media_type,
        payload=payload,
        digest=reference if isinstance(reference, Digest) else None,
        tags=extra if isinstance(reference, Digest) else [reference],
    )
    pushed = await pushing.push_to(x.ctx, x.caller, target, command)
    digest = str(pushed.digest)
    headers = [
        (b"location", f"/v2/{x.place.name}/manifests/{digest}".encode()),
        (b"docker-content-digest", digest.encode()),
    ]
    if pushed.subject is not None:
        headers.append((b"oci-subject", str(pushed.subject).encode()))
    headers.extend((b"oci-tag", tag.encode()) for tag in extra)
    return Response(201, headers)


async def delete(x: Exchange) -> Response:
    """DELETE manifests/<reference>: a tag is untagged, a digest is deleted with its tags."""
    reference = reference_of(x.path.argument)
    if isinstance(reference, Digest):
        await deleting.delete_manifest(x.ctx, x.caller, x.place, reference)
    else:
        await deleting.delete_tag(x.ctx, x.caller, x.place, reference)
    return Response(202)
