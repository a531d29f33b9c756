"""File bodies (`http.response.zerocopysend`): from the page cache to the socket.

Plain sockets: `os.sendfile` on the event loop, one slice a turn, so that many downloads share
it. A slice that is not in the page cache would stop the loop for a disk read; it is sent from a
pool thread instead. TLS: a pool thread reads and encrypts as long as the socket takes it. In
both cases the waiting for a slow client is the loop's, and costs no thread and no buffer.
"""

import asyncio
import os
import threading
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, NoReturn

from entrepot.http.bodies import ClientDisconnected
from entrepot.http.server.stream import WOULD_BLOCK, Stream

_SLICE: Final = 1024 * 1024
_TLS_SLICE: Final = 4 * 1024 * 1024
_TLS_PIECE: Final = 128 * 1024
_local = threading.local()


class FileTruncated(RuntimeError):
    """The file ended before the bytes that the application announced."""


@dataclass(slots=True)
class FileRange:
    """`count` bytes of `fd` from `offset`; both move as bytes are sent."""

    fd: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What one attempt sent, and why it ended if not for its own bound."""

    sent: int
    blocked: OSError | None = None
    failure: Exception | None = None


async def send_file(stream: Stream, part: FileRange, pool: Executor) -> None:
    """Send the range, waiting for the client. Raises ClientDisconnected, FileTruncated."""
    send = _encrypt if stream.tls else _sendfile
    while part.count:
        if stream.closed:
            raise ClientDisconnected
        size = min(part.count, _SLICE)
        if not stream.tls and in_page_cache(part.fd, part.offset, size):
            progress = send(stream, part)
        else:
            progress = await stream.in_pool(pool, send, stream, part)
        stream.moved += progress.sent
        part.offset += progress.sent
        part.count -= progress.sent
        if progress.failure is not None:
            _fail(stream, progress.failure)
        if progress.blocked:
            stream.blocked_by(progress.blocked)
            await stream.writable()
        else:
            await asyncio.sleep(0)


def _fail(stream: Stream, failure: Exception) -> NoReturn:
    if isinstance(failure, OSError):
        stream.lost()
        raise ClientDisconnected from None
    raise failure


def in_page_cache(fd: int, offset: int, count: int) -> bool:
    """Whether reading the range would not wait for the disk: first and last byte stand for it.

    True where the kernel or the file system cannot tell.
    """
    probe = bytearray(1)
    try:
        for position in (offset, offset + count - 1):
            os.preadv(fd, [probe], position, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _sendfile(stream: Stream, part: FileRange) -> Progress:
    """One slice, in the kernel."""
    size = min(part.count, _SLICE)
    try:
        sent = os.sendfile(stream.fd, part.fd, part.offset, size)
    except BlockingIOError as blocked:
        return Progress(0, blocked=blocked)
    except OSError as error:
        return Progress(0, failure=error)
    if sent == 0:
        return Progress(0, failure=FileTruncated(part.offset))
    return Progress(sent)


def _encrypt(stream: Stream, part: FileRange) -> Progress:
    """As much as the socket takes, up to a few MiB, through this thread's own buffer.

    After "would block" OpenSSL wants the same bytes again: the next call reads them again from
    the same offset, with the same length.
    """
    buffer = _buffer()
    total = 0
    while total < min(part.count, _TLS_SLICE):
        size = min(part.count - total, len(buffer))
        try:
            size = os.preadv(part.fd, [buffer[:size]], part.offset + total)
            if size == 0:
                return Progress(total, failure=FileTruncated(part.offset + total))
            total += stream.sock.send(buffer[:size])
        except WOULD_BLOCK as blocked:
            return Progress(total, blocked=blocked)
        except OSError as error:
            return Progress(total, failure=error)
    return Progress(total)


def _buffer() -> memoryview:
    buffer: memoryview | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = memoryview(bytearray(_TLS_PIECE))
    return buffer
