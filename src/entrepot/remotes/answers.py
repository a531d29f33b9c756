"""Answers of other registries: read within limits, and what they mean when they are no success."""

import re
from typing import Any, Final

import httpx
import msgspec

from entrepot.model.errors import RateLimited, RegistryError
from entrepot.model.syncing import RemoteRefused, RemoteUnavailable

_MOST_BODY: Final = 1 << 20  # of JSON
_LONGEST_WAIT: Final = 3600
_MOST_DIGITS: Final = 9
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


async def body_of(answer: httpx.Response, most: int = _MOST_BODY) -> bytes:
    """The whole body. Raises RemoteUnavailable where it is longer than `most`, httpx's errors where it breaks off."""
    taken = bytearray()
    async for piece in answer.aiter_raw(64 * 1024):
        taken += piece
        if len(taken) > most:
            raise RemoteUnavailable(host_of(answer), f"its answer is longer than {most} bytes")
    return bytes(taken)


async def json_of(answer: httpx.Response) -> Any:
    """The body as JSON. Raises RemoteUnavailable where it is none."""
    try:
        return msgspec.json.decode(await body_of(answer))
    except msgspec.DecodeError as error:
        raise RemoteUnavailable(host_of(answer), "its answer is no JSON") from error


async def failure(answer: httpx.Response, action: str) -> RegistryError:
    """What an answer that is no success means; its body is read as far as the error's code."""
    status, host = answer.status_code, host_of(answer)
    wait = _wait_seconds(answer)
    if status == 429 or (status == 503 and wait):
        return RateLimited(wait or 10)
    if status >= 500 or status == 408:
        return RemoteUnavailable(host, f"{action}: status {status}")
    return RemoteRefused(host, action, status, await _code(answer))


async def _code(answer: httpx.Response) -> str:
    """The first code of a distribution-spec error body; empty where there is none."""
    try:
        code = (await json_of(answer))["errors"][0]["code"]
    except (RemoteUnavailable, httpx.HTTPError, KeyError, IndexError, TypeError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _wait_seconds(answer: httpx.Response) -> int:
    text = answer.headers.get("retry-after", "")
    if not (text.isascii() and text.isdigit()):
        return 0
    return min(int(text[:_MOST_DIGITS]), _LONGEST_WAIT)  # thousands of digits would be an error


def host_of(answer: httpx.Response) -> str:
    """The host that was asked, as the caller named it."""
    return str(answer.request.headers.get("host", answer.request.url.host))
