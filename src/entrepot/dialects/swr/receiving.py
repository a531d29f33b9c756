"""Bodies of requests: how large they may be, and how many large ones wait in memory at once, since signed ones prove who sends them."""

from typing import Final

from entrepot.capabilities.context import Context
from entrepot.dialects.swr import errors
from entrepot.dialects.swr.refusal import Refusal
from entrepot.http.bodies import BodyTooLarge, read_body
from entrepot.http.messages import Request

INLINE: Final = 64 * 1024
"""Bytes of a body that are read on the event loop; what is above is large."""
_LARGE_AT_ONCE: Final = 8  # in one process


class Bodies:
    """Those of one process."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._large = 0  # being read

    async def read(self, request: Request, most: int) -> bytes:
        """The whole body, at most `most` bytes. Raises Refusal, ClientDisconnected."""
        length = request.header(b"content-length")
        is_small = length.isdecimal() and len(length) < 10 and int(length) <= INLINE
        if not is_small and self._large >= _LARGE_AT_ONCE:
            raise Refusal(errors.TOO_MANY, "too many large requests at once; try again")
        self._large += not is_small
        try:
            body = await read_body(request.scope, request.receive, most, self._ctx.pool)
        except BodyTooLarge as error:
            told = f"a body has at most {most} bytes here"
            raise Refusal(errors.BODY_TOO_LARGE, told) from error
        finally:
            self._large -= not is_small
        request.received += len(body)
        return body


def may_be(request: Request) -> bool:
    """Whether there may be a body: HTTP/1 announces one."""
    is_announced = request.header(b"content-length") not in ("", "0")
    is_plain = str(request.scope.get("http_version", "1.1")).startswith("1")
    return is_announced or bool(request.header(b"transfer-encoding")) or not is_plain
