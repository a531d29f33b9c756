"""One accepted socket on the event loop: reads when asked to, writes with back-pressure.

Works on the socket itself (`add_reader`, `add_writer`), not on a transport: bodies are received
straight into their buffers, `os.sendfile` needs no second descriptor, and TLS keeps no buffer
of ours (ADR 0002). The same code serves plain sockets and `ssl.SSLSocket`.
"""

import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from entrepot.http.bodies import ClientDisconnected

WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PIECES_BEFORE_YIELD: Final = 8
ResultT = TypeVar("ResultT")


class Stream:
    """A non-blocking socket. Subclasses say what to do when it is readable.

    `moved` counts bytes in both directions; `waits_to_write` is true while the client does not
    take what we have. The sweep of the server judges slow clients by the two.
    """

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, *, piece_bytes: int
    ) -> None:
        self.sock = sock
        self.loop = loop
        self.fd = sock.fileno()
        self.tls = isinstance(sock, ssl.SSLSocket)
        self.closed = False
        self.moved = 0
        self._reading = False
        self._writer: asyncio.Future[None] | None = None
        self._write_needs_read = False
        self._borrowed = False
        self.piece_bytes = piece_bytes

    def on_readable(self) -> None:
        """The socket has bytes, an end, or an error."""
        raise AssertionError  # subclasses override; a Stream alone is never registered

    def lost(self) -> None:
        """The socket is unusable: whoever waits for it must be told."""
        self.close()

    # Reading

    def resume_reading(self) -> None:
        if self._reading or self.closed:
            return
        self._reading = True
        self.loop.add_reader(self.fd, self.on_readable)
        self.read_deciphered()

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.loop.remove_reader(self.fd)

    @property
    def reading(self) -> bool:
        return self._reading

    @property
    def waits_to_write(self) -> bool:
        return self._writer is not None

    def read_deciphered(self) -> None:
        """Come back for bytes that OpenSSL already holds: they make no socket readable."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            self.loop.call_soon(self._on_deciphered)

    def _on_deciphered(self) -> None:
        if self._reading and not self.closed:
            self.on_readable()

    # Writing

    def send_now(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Give the kernel what it takes at once; returns how much. Raises ClientDisconnected."""
        if self.closed:
            raise ClientDisconnected
        try:
            sent = self.sock.send(data, flags) if flags else self.sock.send(data)
        except WOULD_BLOCK as blocked:
            self.blocked_by(blocked)
            return 0
        except OSError:
            self.lost()
            raise ClientDisconnected from None
        self.moved += sent
        return sent

    async def write_rest(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send all of `data`, waiting for the client. Raises ClientDisconnected.

        At most one caller at a time. No copy is kept: the caller waits until the kernel has it.
        `more`: a file follows at once, so the kernel may wait for it before it sends a packet.
        """
        rest = memoryview(data)
        pieces = 0
        flags = socket.MSG_MORE if more and not self.tls else 0
        while rest:
            sent = self.send_now(rest[: self.piece_bytes], flags)
            if sent:
                rest = rest[sent:]
                pieces += 1
                if pieces % _PIECES_BEFORE_YIELD == 0:
                    await asyncio.sleep(0)
            else:
                await self.writable()

    def blocked_by(self, error: OSError) -> None:
        """Remember what `writable` must wait for."""
        self._write_needs_read = isinstance(error, ssl.SSLWantReadError)

    async def writable(self) -> None:
        """Wait until the socket takes bytes again. Raises ClientDisconnected."""
        if self.closed:
            raise ClientDisconnected
        self._writer = self.loop.create_future()
        if self._write_needs_read:
            # TLS wants to read before it writes (a key update): on_readable wakes us.
            was_reading = self._reading
            self.resume_reading()
        else:
            self.loop.add_writer(self.fd, self._on_writable)
        try:
            await self._writer
        finally:
            self._writer = None
            if not self.closed:
                if self._write_needs_read and not was_reading:
                    self.pause_reading()
                self.loop.remove_writer(self.fd)
            self._write_needs_read = False

    def _on_writable(self) -> None:
        self.loop.remove_writer(self.fd)
        self.wake_writer()

    def wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def unsent(self) -> int:
        """Bytes in the kernel that the client has not taken yet; with TLS, enciphered."""
        answer = bytearray(4)
        try:
            fcntl.ioctl(self.fd, termios.TIOCOUTQ, answer)
        except OSError:
            return 0
        return int.from_bytes(answer, sys.byteorder)

    def was_reset(self) -> bool:
        """Whether the kernel has an error for us that nobody took.

        uvloop tells of a reset once and then watches the socket no more: where bytes came together with it and only they were read,
        nothing calls us again.
        """
        return socket.socket.getsockopt(self.sock, socket.SOL_SOCKET, socket.SO_ERROR) != 0

    # Threads

    async def in_pool(
        self, pool: Executor, work: Callable[..., ResultT], *arguments: object
    ) -> ResultT:
        """Run `work`, which uses the socket, on a pool thread.

        The descriptor stays open until the thread is done, whatever happens meanwhile, so that
        the thread can never write to another client's socket under a reused number. A TLS
        connection is not read meanwhile: OpenSSL objects serve one thread at a time.
        """
        was_reading = self._reading
        if self.tls:
            self.pause_reading()
        self._borrowed = True
        job = self.loop.run_in_executor(pool, work, *arguments)
        job.add_done_callback(self._given_back)
        result = await asyncio.shield(job)
        if was_reading:
            self.resume_reading()
        return result

    def _given_back(self, _job: "asyncio.Future[ResultT]") -> None:
        self._borrowed = False
        if self.closed:
            self.sock.close()

    # Ending

    def finish_writing(self) -> None:
        """Tell the client that nothing follows; it may still be sending."""
        with suppress(OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.unwrap()
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self.closed:
            return
        self.pause_reading()
        self.loop.remove_writer(self.fd)
        self.closed = True
        self.wake_writer()
        if self._borrowed:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        else:
            self.sock.close()

    def abort(self) -> None:
        """Close so that the client cannot take what it has for the whole answer (a reset)."""
        if not self.closed:
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.lost()
