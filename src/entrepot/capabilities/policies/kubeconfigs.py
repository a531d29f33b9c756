"""Kubeconfigs as people bring them: read as plain data, and only what names no file, no program and no other machine is taken.

What counts is one server, the authorities its certificate is held against, and one credential. Everything else of the file is left
out, so what is kept needs no second look.
"""

import base64
import ipaddress
import re
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from entrepot.capabilities.instances.pairs import check_client_pair
from entrepot.config import HostName
from entrepot.model.certificates import CertificateInvalid
from entrepot.model.clusters import KubeconfigInvalid
from entrepot.model.network_access import Network
from entrepot.model.outbound import is_forbidden
from entrepot.ports.cluster import ClusterAccess

MAX_BYTES: Final = 256 * 1024
MAX_SERVER: Final = 512  # characters
MAX_TOKEN: Final = 16 * 1024
_MAX_NODES: Final = 20_000  # lists, maps and texts of the file
_MAX_DEPTH: Final = 20
_MAX_AUTHORITIES: Final = 100
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~:@!$&'()*+,;=-]*)*")
_DOTS: Final = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")

# Fields of a cluster and of a user that would make us read files, run programs, ask others or believe anybody.
_NEVER: Final[Mapping[str, str]] = {
    "certificate-authority": "names a file: give certificate-authority-data",
    "client-certificate": "names a file: give client-certificate-data",
    "client-key": "names a file: give client-key-data",
    "tokenFile": "names a file: give token",
    "exec": "names a program: give a token or a client certificate",
    "auth-provider": "is not taken: give a token or a client certificate",
    "username": "is not taken: give a token or a client certificate",
    "password": "is not taken: give a token or a client certificate",
    "proxy-url": "is not taken",
    "as": "is not taken",
    "as-uid": "is not taken",
    "as-groups": "is not taken",
    "as-user-extra": "is not taken",
}


def read_kubeconfig(text: str, *, forbidden: Sequence[Network]) -> ClusterAccess:
    """The server and the credential of its present context. Some milliseconds of computing. Raises KubeconfigInvalid, which repeats
    no secret."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise KubeconfigInvalid(f"it has at most {MAX_BYTES // 1024} KiB")
    config = _mapping(_plain(text), "the file")
    context = _mapping(_named(config, "context", _present(config)), "the context")
    cluster = _mapping(_named(config, "cluster", _text(context, "cluster")), "the cluster")
    user_name = _text(context, "user", needed=False)
    user = _mapping(_named(config, "user", user_name), "the user") if user_name else {}
    for part in (cluster, user):
        _check_fields(part)
    certificate, key = _pair(user)
    server, token = _server(_text(cluster, "server"), forbidden), _token(user)
    if token and not server.startswith("https:"):
        raise KubeconfigInvalid("server is http://, so the token would go in clear")
    return ClusterAccess(
        server=server,
        authorities=_authorities(cluster),
        token=token,
        certificate=certificate,
        key=key,
        tls_name=_tls_name(cluster),
    )


def pack(access: ClusterAccess) -> bytes:
    """As bytes to be sealed."""
    return msgspec.json.encode(access)


def unpack(data: bytes) -> ClusterAccess:
    """What `pack` made."""
    return msgspec.json.decode(data, type=ClusterAccess)


# -- the file ---------------------------------------------------------------------------------------------------------


def _plain(text: str) -> Any:
    """The document as texts, lists and maps. No tag of YAML is followed, and no alias: a few of those make a file of any size."""
    import yaml  # noqa: PLC0415  (only who brings a kubeconfig needs it)

    try:
        depth = nodes = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent):
                raise KubeconfigInvalid("aliases are not taken")
            nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH or nodes > _MAX_NODES:
                raise KubeconfigInvalid("it is nested too deep, or has too many entries")
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  (it makes texts, lists and maps only)
    except (yaml.YAMLError, ValueError, TypeError):  # of lists as keys, of bytes that are no text
        raise KubeconfigInvalid("it is no YAML document") from None


def _present(config: Mapping[str, Any]) -> str:
    named = _text(config, "current-context", needed=False)
    if named:
        return named
    contexts = config.get("contexts")
    if isinstance(contexts, list) and len(contexts) == 1 and isinstance(contexts[0], dict):
        return _text(contexts[0], "name")
    raise KubeconfigInvalid("current-context names none of its contexts")


def _named(config: Mapping[str, Any], kind: str, name: str) -> Any:
    """The entry of that name in one of the file's three lists."""
    listed = config.get(f"{kind}s")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry.get(kind)
    raise KubeconfigInvalid(f"it has no {kind} {name[:100]!r}")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise KubeconfigInvalid(f"{what} is no map")
    return value


def _text(part: Mapping[str, Any], field: str, *, needed: bool = True) -> str:
    value = part.get(field, "")
    if not isinstance(value, str) or (needed and not value):
        raise KubeconfigInvalid(f"{field} is missing, or no text")
    return value


# -- what counts of it ------------------------------------------------------------------------------------------------


def _check_fields(part: Mapping[str, Any]) -> None:
    for field, reason in _NEVER.items():
        if part.get(field):
            raise KubeconfigInvalid(f"{field} {reason}")
    insecure = part.get("insecure-skip-tls-verify", "")
    if insecure and (not isinstance(insecure, str) or insecure.lower() != "false"):
        raise KubeconfigInvalid("insecure-skip-tls-verify is not taken")


def _server(text: str, forbidden: Sequence[Network]) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise KubeconfigInvalid("server is no URL") from None
    host = parts.hostname or ""
    if (
        len(text) > MAX_SERVER
        or parts.scheme not in {"http", "https"}
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or port == 0
        or not _PATH.fullmatch(parts.path)
        or _DOTS.search(parts.path)
    ):
        raise KubeconfigInvalid("server must be http:// or https://, a host, perhaps port and path")
    address = _address(host)
    if address is not None and is_forbidden(address, forbidden):
        raise KubeconfigInvalid(f"the operator forbids connections to {address}")
    shown = f"[{address}]" if address and ":" in address else address or _host(host)
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _host(text: str) -> str:
    try:
        return str(HostName.parse(text))
    except ValueError:
        raise KubeconfigInvalid("server has no host name") from None


def _authorities(cluster: Mapping[str, Any]) -> str:
    pem = _decoded(cluster, "certificate-authority-data")
    if not pem:
        return ""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        found = []
    if not 1 <= len(found) <= _MAX_AUTHORITIES:
        raise KubeconfigInvalid("certificate-authority-data holds no certificates in PEM")
    return pem


def _pair(user: Mapping[str, Any]) -> tuple[str, str]:
    certificate = _decoded(user, "client-certificate-data")
    key = _decoded(user, "client-key-data")
    if not certificate and not key:
        return "", ""
    try:
        pair = check_client_pair(certificate, key)
    except CertificateInvalid as error:
        raise KubeconfigInvalid(f"client certificate: {error.reason}") from None
    return pair.chain, pair.key


def _token(user: Mapping[str, Any]) -> str:
    token = _text(user, "token", needed=False)
    if token and (len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token)):
        raise KubeconfigInvalid("token has characters that no token has, or too many of them")
    return token


def _tls_name(cluster: Mapping[str, Any]) -> str:
    name = _text(cluster, "tls-server-name", needed=False)
    return (_address(name) or _host(name)) if name else ""


def _decoded(part: Mapping[str, Any], field: str) -> str:
    text = _text(part, field, needed=False)
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (Base64Error, ValueError):
        raise KubeconfigInvalid(f"{field} is no base64 of PEM text") from None
