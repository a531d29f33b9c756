"""Listening sockets: where they are bound, and what is accepted from them."""

import asyncio
import errno
import socket
import ssl
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from entrepot.http.server.connection import Address, Connection
from entrepot.http.server.serving import Serving, log

_BACKLOG: Final = 4096
_ACCEPTS_PER_TURN: Final = 64
_PAUSE_SECONDS: Final = 0.5
_EXHAUSTED: Final = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])


def bind(listen: str, *, reuse_port: bool) -> socket.socket:
    """A listening socket for `host:port`, `[v6]:port`, `:port` (all addresses) or `unix:/path`.

    `reuse_port` lets several processes share the port. A Unix socket that a dead process left
    is replaced. Raises ValueError when `listen` is malformed, OSError when it cannot be bound.
    """
    if listen.startswith("unix:"):
        return _bind_unix(Path(listen[5:]))
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"{listen!r} is neither host:port nor unix:/path")
    found = socket.getaddrinfo(
        host.strip("[]") or None,
        int(port),
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV,
    )
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
            path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class Listener:
    """Accepts from one socket until closed; pauses while the server is full."""

    def __init__(
        self, serving: Serving, sock: socket.socket, *, tls: ssl.SSLContext | None
    ) -> None:
        sock.settimeout(0)
        self._serving = serving
        self._sock = sock
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._accepting = False
        self.resume()

    def resume(self) -> None:
        """Accept again, if there is room."""
        full = len(self._serving.connections) >= self._serving.limits.connections
        if not (self._closed or self._accepting or full):
            self._accepting = True
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._sock.fileno())

    def close(self) -> None:
        """Stop listening; accepted connections live on."""
        if not self._closed:
            self.pause()
            self._closed = True
            self._sock.close()

    def _accept(self) -> None:
        serving = self._serving
        for _ in range(_ACCEPTS_PER_TURN):
            if len(serving.connections) >= serving.limits.connections:
                self.pause()
                return
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._not_accepted(error)
                return
            self._connect(sock, peer)

    def _not_accepted(self, error: OSError) -> None:
        """Out of descriptors or memory: try again a little later, others may be freed."""
        if error.errno not in _EXHAUSTED:
            log.warning("accept failed: %s", error)
            return
        log.error("cannot accept connections: %s", error)
        self.pause()
        self._loop.call_later(_PAUSE_SECONDS, self.resume)

    def _connect(self, sock: socket.socket, peer: object) -> None:
        try:
            sock.settimeout(0)
            own = sock.getsockname()
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()  # the client was gone before we looked
            return
        Connection(self._serving, sock, client=_address(peer), address=_address(own))


def _address(name: object) -> Address | None:
    """ASGI's form: (host, port), (path, None) for our Unix socket, None for its client."""
    match name:
        case (str(host), int(port), *_):
            return host, port
        case str(path) if path:
            return path, None
        case _:
            return None
