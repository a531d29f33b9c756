"""The HTTP/1.1 ASGI server (ADR 0002). The wires know only ASGI; bootstrap starts this."""

from entrepot.http.server.limits import Limits
from entrepot.http.server.listener import bind
from entrepot.http.server.server import Server
from entrepot.http.server.tls import ServerContext, pem_context, tls_context

__all__ = ["Limits", "Server", "ServerContext", "bind", "pem_context", "tls_context"]
