"""TLS for listeners: contexts whose certificate can be replaced while they serve."""

import ssl
from pathlib import Path


class ServerContext(ssl.SSLContext):
    """A server context. Connections made before a reload keep the certificate they began with."""

    def reload(self, certificate: Path, key: Path) -> None:
        """Serve this pair from the next handshake on.

        The pair is tried on a context of its own first: when it is unreadable or does not
        match, `ssl.SSLError` or `OSError` is raised and the old pair stays in use.
        """
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        self.load_cert_chain(certificate, key)


def tls_context(certificate: Path, key: Path) -> ServerContext:
    """A context for TLS 1.2 and later that speaks only HTTP/1.1.

    Raises `ssl.SSLError` or `OSError` when the PEM files are unreadable or do not match.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No renegotiation: it would let a client make a write wait for reads at its will.
    context.options |= (
        ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context
