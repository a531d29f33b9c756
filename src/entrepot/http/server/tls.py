"""TLS for listeners: contexts whose certificates can be replaced while they serve, and chosen by the name that a client asks for."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path


class ServerContext(ssl.SSLContext):
    """A server context. Connections made before a change keep the certificate they began with."""

    _named: Mapping[str, ssl.SSLContext]

    def reload(self, certificate: Path, key: Path) -> None:
        """Serve this pair from the next handshake on.

        The pair is tried on a context of its own first: when it is unreadable or does not
        match, `ssl.SSLError` or `OSError` is raised and the old pair stays in use.
        """
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        self.load_cert_chain(certificate, key)

    def serve_names(self, contexts: Mapping[str, ssl.SSLContext]) -> None:
        """From the next handshake on, clients that ask for one of these names (lower case) get its certificate, others our own."""
        self._named = dict(contexts)
        self.sni_callback = self._choose

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _ours: ssl.SSLContext
    ) -> None:
        """SNI: called within the handshake."""
        named = None if name is None else self._named.get(name.lower())
        if named is not None:
            connection.context = named


def tls_context(certificate: Path, key: Path) -> ServerContext:
    """A context for TLS 1.2 and later that speaks only HTTP/1.1.

    Raises `ssl.SSLError` or `OSError` when the PEM files are unreadable or do not match.
    """
    context = _context()
    context.load_cert_chain(certificate, key)
    return context


def pem_context(pem: str) -> ServerContext:
    """The same for a chain and its key as one text, which no disk sees. Raises `ssl.SSLError`."""
    context = _context()
    # OpenSSL's wrapper loads from files alone: this one lives in memory, until it is closed.
    descriptor = os.memfd_create("entrepot-certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def _context() -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No renegotiation: it would let a client make a write wait for reads at its will.
    context.options |= (
        ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_alpn_protocols(["http/1.1"])
    return context
