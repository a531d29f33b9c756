"""Which versions of the API there are: told to anybody, at `/` and `/v2`."""

from typing import Final

import msgspec

from entrepot.http.messages import Request, Response

_VERSION: Final = "2.26"
_UPDATED: Final = "2020-07-09T00:00:00Z"
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
)


class Link(msgspec.Struct, frozen=True):
    """Where the version is served."""

    href: str
    rel: str = "self"


class VersionDetail(msgspec.Struct, frozen=True):
    """A version. `links` is an object: the vendor's SDK reads nothing from an array."""

    id: str
    links: Link
    version: str
    status: str
    updated: str
    min_version: str


def version_answer(request: Request) -> Response | None:
    """The answer to a request for versions; None for any other."""
    if request.method != "GET" or request.path not in (b"/", b"/v2"):
        return None
    link = Link(f"{request.base_url}/v2/")
    detail = VersionDetail("v2", link, _VERSION, "CURRENT", _UPDATED, "2.0")
    document = {"versions": [detail]} if request.path == b"/" else {"version": detail}
    return Response(200, list(_HEADERS), msgspec.json.encode(document))
