"""The envelope of every answer: HTTP 200 and `{"Response": {…, "RequestId": …}}`, also for errors.

The vendor's SDKs look for `Error` only where the content type is exactly `application/json`, and lose the code of any other status.
"""

import uuid
from typing import Final

import msgspec

from entrepot.dialects.tcr.refusal import Refusal
from entrepot.http.messages import Response

_ENCODER: Final = msgspec.json.Encoder()
_HEADERS: Final = ((b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff"))


class Said(msgspec.Struct, rename="pascal"):
    """What an error says."""

    code: str
    message: str


class Failure(msgspec.Struct, rename="pascal"):
    """An error: no other output stands beside it."""

    error: Said


def new_request_id() -> str:
    """A fresh lower-case UUID."""
    return str(uuid.uuid4())


def success(outputs: object, request_id: str) -> Response:
    """The outputs of an action: a struct."""
    return Response(200, list(_HEADERS), _wrapped(outputs, request_id))


def failure(refusal: Refusal, request_id: str) -> Response:
    """An error."""
    said = Failure(Said(refusal.code, refusal.message))
    return Response(200, list(_HEADERS), _wrapped(said, request_id))


def _wrapped(outputs: object, request_id: str) -> bytes:
    encoded = _ENCODER.encode(outputs)
    comma = b"" if encoded == b"{}" else b","
    return b'{"Response":%s%s"RequestId":"%s"}}' % (encoded[:-1], comma, request_id.encode())
