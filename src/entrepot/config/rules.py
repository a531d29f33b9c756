"""What settings must hold together: each rule is one question to the whole tree."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from entrepot.config.settings import Settings
from entrepot.config.types import TcpAddress, UnixAddress, Url

METADATA_SCHEMES: Final = ("sqlite", "postgresql")
STORAGE_SCHEMES: Final = ("file",)
_SOCKET_PATH_LIMIT: Final = 107  # bytes of sun_path on Linux, without the closing zero


@dataclass(frozen=True, slots=True)
class Rule:
    """`complaint` says what is wrong and what to do, or None. `about` names the settings it looks at, the one to change first."""

    about: tuple[str, ...]
    complaint: Callable[[Settings], str | None]


def _exposed(settings: Settings) -> str | None:
    http = settings.http
    if http.listen.is_loopback or http.insecure or http.trusted_proxies or http.tls_certificate:
        return None
    return (
        f"{http.listen} can be reached by other machines without TLS: set http.tls_certificate and"
        " http.tls_key, or http.trusted_proxies, or accept it with http.insecure = true"
    )


def _tls_pair(settings: Settings) -> str | None:
    if (settings.http.tls_certificate is None) == (settings.http.tls_key is None):
        return None
    return "http.tls_certificate and http.tls_key are set together or not at all"


def _tls_certificate_file(settings: Settings) -> str | None:
    return _missing(settings.http.tls_certificate)


def _tls_key_file(settings: Settings) -> str | None:
    return _missing(settings.http.tls_key)


def _missing(path: Path | None) -> str | None:
    if path is None or (os.path.isfile(path) and os.access(path, os.R_OK)):  # noqa: PTH113 - no exception for a closed folder
        return None
    return f"{path} is not a file that can be read"


def _external_url(settings: Settings) -> str | None:
    url = settings.http.external_url
    return None if url is None else _web_origin(url)


def _web_origin(url: Url) -> str | None:
    parts = urlsplit(url.reveal())
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme in {"http", "https"} and parts.hostname and bare:
        return None
    return "expected http:// or https://, a host and perhaps a port, and nothing after"


def _admin_is_local(settings: Settings) -> str | None:
    if settings.admin_listen.is_loopback:
        return None
    return "the admin listener must be unix:/path or a loopback address"


def _admin_token(settings: Settings) -> str | None:
    if isinstance(settings.admin_listen, UnixAddress) or settings.admin.token:
        return None
    return "a TCP admin listener needs a token: set ENTREPOT_ADMIN_TOKEN"


def _two_listeners(settings: Settings) -> str | None:
    return "the admin listener needs an address of its own" if _collide(settings) else None


def _collide(settings: Settings) -> bool:
    http, admin = settings.http.listen, settings.admin_listen
    if isinstance(http, TcpAddress) and isinstance(admin, TcpAddress):
        everywhere = not http.is_loopback
        return http.port == admin.port != 0 and (everywhere or http.host == admin.host)
    return http == admin


def _socket_path(path: Path) -> str | None:
    if len(bytes(path)) <= _SOCKET_PATH_LIMIT:
        return None
    return f"the socket path {path} is longer than the {_SOCKET_PATH_LIMIT} bytes the system allows"


def _admin_socket(settings: Settings) -> str | None:
    listen = settings.admin_listen
    return _socket_path(listen.path) if isinstance(listen, UnixAddress) else None


def _http_socket(settings: Settings) -> str | None:
    listen = settings.http.listen
    return _socket_path(listen.path) if isinstance(listen, UnixAddress) else None


def _one_key(settings: Settings) -> str | None:
    if settings.data.key_file is None or not settings.data.key_command:
        return None
    return "the master key comes from data.key_file or from data.key_command, not from both"


def _key_outside(settings: Settings) -> str | None:
    if not settings.key_file.resolve().is_relative_to(settings.data.folder.resolve()):
        return None
    return "the master key must lie outside the data folder, or every copy of the data has its key"


def _data_folder(settings: Settings) -> str | None:
    folder = str(settings.data.folder)
    if settings.data.folder == Path(settings.data.folder.anchor):
        return "the data folder cannot be the root of the file system"
    if settings.metadata.url is None and any(c in folder for c in "?#%"):
        return "the data folder's path cannot hold ?, # or %: it becomes part of the database's URL"
    return None


def _metadata_url(settings: Settings) -> str | None:
    url = settings.metadata_url
    if url.scheme not in METADATA_SCHEMES:
        return "expected sqlite:////absolute/path or postgresql://user:password@host:port/name"
    if url.scheme == "sqlite" and not _is_absolute_sqlite(url):
        return (
            "expected an absolute path after three slashes: sqlite:////var/lib/entrepot/entrepot.db"
        )
    return None


def _is_absolute_sqlite(url: Url) -> bool:
    parts = urlsplit(url.reveal())
    return parts.netloc == "" and parts.path.startswith("//") and len(parts.path) > 2


def _storage_url(settings: Settings) -> str | None:
    parts = urlsplit(settings.storage_url.reveal())
    if parts.scheme in STORAGE_SCHEMES and parts.netloc == "" and len(parts.path) > 1:
        return None
    return "expected file:///absolute/path"


def _root_pair(settings: Settings) -> str | None:
    if (settings.root.access_key is None) == (settings.root.secret_key is None):
        return None
    return "root.access_key and root.secret_key are set together or not at all"


def _lease(settings: Settings) -> str | None:
    if settings.jobs.lease.micros >= 2 * settings.jobs.poll.micros:
        return None
    return "a lease must last at least twice as long as jobs.poll"


def _tracing(settings: Settings) -> str | None:
    url = settings.tracing.endpoint
    if url is None or (url.scheme in {"http", "https"} and urlsplit(url.reveal()).hostname):
        return None
    return "expected an http:// or https:// endpoint"


def _editions(settings: Settings) -> str | None:
    names = [edition.name for edition in settings.instances.editions]
    if not names:
        return "expected at least one edition"
    if len(set(names)) < len(names):
        return "expected editions of different names"
    return None


RULES: Final = (
    Rule(("data.folder", "metadata.url"), _data_folder),
    Rule(("data.key_file", "data.key_command"), _one_key),
    Rule(("data.key_file", "data.folder"), _key_outside),
    Rule(
        (
            "http.listen",
            "http.insecure",
            "http.trusted_proxies",
            "http.tls_certificate",
            "http.tls_key",
        ),
        _exposed,
    ),
    Rule(("http.listen",), _http_socket),
    Rule(("http.tls_certificate", "http.tls_key"), _tls_pair),
    Rule(("http.tls_certificate",), _tls_certificate_file),
    Rule(("http.tls_key",), _tls_key_file),
    Rule(("http.external_url",), _external_url),
    Rule(("admin.listen", "data.folder"), _admin_is_local),
    Rule(("admin.token", "admin.listen"), _admin_token),
    Rule(("admin.listen", "http.listen", "data.folder"), _two_listeners),
    Rule(("admin.listen", "data.folder"), _admin_socket),
    Rule(("metadata.url", "data.folder"), _metadata_url),
    Rule(("storage.url", "data.folder"), _storage_url),
    Rule(("root.access_key", "root.secret_key"), _root_pair),
    Rule(("jobs.lease", "jobs.poll"), _lease),
    Rule(("instances.editions",), _editions),
    Rule(("tracing.endpoint",), _tracing),
)
