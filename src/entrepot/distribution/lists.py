"""end-8 and end-12, and the catalog: lists with `n`, `last` and Link."""

from urllib.parse import quote

import msgspec

from entrepot.capabilities.content import pulling
from entrepot.capabilities.content.pulling import Page
from entrepot.distribution.exchange import Exchange
from entrepot.distribution.parameters import digest_of, page_of, query_of
from entrepot.http.messages import Headers, Response
from entrepot.model.content import ReferrerRow
from entrepot.oci.descriptor import OCI_INDEX

REFERRERS_BYTES = (
    3 * 1024 * 1024
)  # a page of referrers stays below the 4 MiB that clients accept of an index


async def tags(x: Exchange) -> Response:
    """GET tags/list."""
    page = page_of(query_of(x.request), x.ctx.settings.http.page_limit)
    names = await pulling.list_tags(x.ctx, x.caller, x.place, _one_more(page))
    shown, headers = _cut(x, names, page)
    return _json({"name": str(x.place.name), "tags": shown}, headers)


async def catalog(x: Exchange) -> Response:
    """GET /v2/_catalog: what the caller may pull."""
    page = page_of(query_of(x.request), x.ctx.settings.http.page_limit)
    names = await pulling.list_repositories(x.ctx, x.caller, x.instance, _one_more(page))
    shown, headers = _cut(x, names, page)
    return _json({"repositories": shown}, headers)


async def referrers(x: Exchange) -> Response:
    """GET referrers/<digest>, filtered by `artifactType`."""
    query = query_of(x.request)
    subject = digest_of(x.path.argument)
    # A media type has no blanks: one that came was a plus sign which the client did not encode.
    artifact_type = query.get("artifactType", [""])[0].replace(" ", "+") or None
    page = page_of(query, x.ctx.settings.http.page_limit)
    rows = await pulling.list_referrers(
        x.ctx,
        x.caller,
        x.place,
        subject,
        artifact_type=artifact_type,
        page=_one_more(page),
    )
    shown, more = _fitting(rows, page.limit)
    headers: Headers = []
    if artifact_type is not None:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if more:
        keep = {} if artifact_type is None else {"artifactType": artifact_type}
        headers.append(_link(x, page, shown[-1]["digest"], keep))
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": shown}
    return _json(body, headers, OCI_INDEX)


def _fitting(rows: list[ReferrerRow], limit: int) -> tuple[list[dict[str, object]], bool]:
    """As many rows as a page may have, and whether there are more."""
    shown: list[dict[str, object]] = []
    size = 0
    for row in rows[:limit]:
        entry = _descriptor(row)
        size += len(msgspec.json.encode(entry))
        if shown and size > REFERRERS_BYTES:
            return shown, True
        shown.append(entry)
    return shown, len(rows) > limit and bool(shown)


def _descriptor(row: ReferrerRow) -> dict[str, object]:
    entry: dict[str, object] = {
        "mediaType": row.media_type,
        "digest": row.digest,
        "size": row.size,
    }
    if row.artifact_type is not None:
        entry["artifactType"] = row.artifact_type
    if row.annotations:
        entry["annotations"] = row.annotations
    return entry


def _one_more(page: Page) -> Page:
    """One row more than asked tells whether there is a next page."""
    return Page(page.limit + 1, page.after)


def _cut(x: Exchange, names: list[str], page: Page) -> tuple[list[str], Headers]:
    shown = names[: page.limit]
    if len(names) <= page.limit or not shown:
        return shown, []
    return shown, [_link(x, page, shown[-1], {})]


def _link(x: Exchange, page: Page, last: object, keep: dict[str, str]) -> tuple[bytes, bytes]:
    path = x.request.path.decode("latin-1")
    extra = "".join(f"&{name}={quote(value, safe='')}" for name, value in keep.items())
    target = f"{path}?last={quote(str(last), safe='')}&n={page.limit}{extra}"
    return b"link", f'<{target}>; rel="next"'.encode()


def _json(body: object, headers: Headers, media_type: str = "application/json") -> Response:
    return Response(
        200, [(b"content-type", media_type.encode()), *headers], msgspec.json.encode(body)
    )
