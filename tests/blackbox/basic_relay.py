"""A relay that adds a Basic login to every request.

Clients follow the challenge, so against a registry that offers tokens none of them would ever send
Basic to `/v2/`. Behind this relay every endpoint meets it.
"""

import base64
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from started_registry import Registry

_PIECE = 1 << 16
_LONGEST_HEAD = 1 << 16


class _Relay(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        name, _, port = registry.host.rpartition(":")
        self.target = (name, int(port))
        pair = base64.b64encode(registry.credentials.encode()).decode()
        # One request a connection: then no body has to be parsed to find the next head.
        self.added = f"Authorization: Basic {pair}\r\nConnection: close\r\n".encode()


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        head, rest = self._head()
        if not head:
            return
        first, _, others = head.partition(b"\r\n")
        kept = b"".join(
            line + b"\r\n"
            for line in others.split(b"\r\n")
            if line and not line.lower().startswith((b"authorization:", b"connection:"))
        )
        with socket.create_connection(self.server.target, timeout=60) as upstream:
            upstream.sendall(first + b"\r\n" + kept + self.server.added + b"\r\n" + rest)
            upward = threading.Thread(target=_pump, args=(self.request, upstream), daemon=True)
            upward.start()
            _pump(upstream, self.request)
            # Ends the other pump, which waits for a client that has nothing more to say.
            _quietly_shut(self.request)
            upward.join(10)

    def _head(self) -> tuple[bytes, bytes]:
        seen = b""
        while b"\r\n\r\n" not in seen and len(seen) < _LONGEST_HEAD:
            piece = self.request.recv(_PIECE)
            if not piece:
                return b"", b""
            seen += piece
        head, _, rest = seen.partition(b"\r\n\r\n")
        return head, rest


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    except OSError:
        return  # one of the two has gone: so has the exchange


def _quietly_shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@contextmanager
def basic_relay(registry: Registry) -> Iterator[str]:
    """Host and port of a relay to a plain registry; every request through it is the registry's user's."""
    with _Relay(registry) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)
