"""Where clients and operators reach the server."""

from pathlib import Path
from typing import Annotated

from entrepot.config.sections.base import Section, setting
from entrepot.config.types import (
    ByteSize,
    Duration,
    HostName,
    Listen,
    Network,
    Secret,
    TcpAddress,
    Url,
)


class Http(Section, frozen=True, kw_only=True):
    """The listener of the registry and its APIs."""

    listen: Annotated[
        Listen,
        setting(
            "Address and port, or `unix:/path`. Beyond loopback it needs TLS, a trusted proxy or `http.insecure`."
        ),
    ] = TcpAddress("127.0.0.1", 5000)
    workers: Annotated[int, setting("Server processes.", least="1", most="64")] = 1
    external_url: Annotated[
        Url | None,
        setting(
            "Scheme, host and port by which clients reach the default instance, where a proxy hides them. Empty: taken from the request."
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[Network, ...],
        setting(
            "Networks of the proxies whose `X-Forwarded-*` headers are believed; from anybody else they are ignored."
        ),
    ] = ()
    insecure: Annotated[
        bool,
        setting(
            "Accept logins over plain HTTP from other machines: passwords can be read on the way."
        ),
    ] = False
    tls_certificate: Annotated[
        Path | None,
        setting(
            "PEM file of the certificate and its chain. Set together with `http.tls_key`. Empty: plain HTTP."
        ),
    ] = None
    tls_key: Annotated[Path | None, setting("PEM file of the certificate's private key.")] = None
    suffix: Annotated[
        HostName, setting("Domain of the host names: an instance answers at `<name>.<suffix>`.")
    ] = HostName("entrepot.localhost")
    default_hosts: Annotated[
        tuple[HostName, ...],
        setting("Host names that mean the default instance, besides IP literals and `localhost`."),
    ] = ()
    max_connections: Annotated[
        int, setting("Open connections a process; further ones wait.", least="1", most="1000000")
    ] = 8192
    header_timeout: Annotated[
        Duration,
        setting(
            "From a request's first byte to the end of its headers.", least="100ms", most="10m"
        ),
    ] = Duration.parse("10s")
    idle_timeout: Annotated[
        Duration,
        setting("How long a connection may wait for its next request.", least="100ms", most="1h"),
    ] = Duration.parse("75s")
    body_timeout: Annotated[
        Duration,
        setting("The longest silence within a body, sent or received.", least="100ms", most="1h"),
    ] = Duration.parse("1m")
    minimum_rate: Annotated[
        ByteSize,
        setting(
            "Bytes a second, on average over `http.body_timeout`, below which a body is cut off. 0: no minimum."
        ),
    ] = ByteSize.parse("1KiB")
    header_limit: Annotated[
        ByteSize,
        setting(
            "Request line and headers together; the line may have three quarters of it.",
            least="8KiB",
            most="1MiB",
        ),
    ] = ByteSize.parse("64KiB")
    manifest_limit: Annotated[
        ByteSize,
        setting(
            "The largest manifest accepted. The specification asks for 4MiB; with less, large indexes are refused.",
            least="4KiB",
            most="4MiB",
        ),
    ] = ByteSize.parse("4MiB")
    page_limit: Annotated[
        int,
        setting(
            "The most entries a page of the tag list and of the catalog has, whatever `n` asks.",
            least="1",
            most="100000",
        ),
    ] = 1000
    grace: Annotated[
        Duration,
        setting(
            "How long a stop waits for running requests and tasks before it cuts them off.",
            least="0s",
            most="1h",
        ),
    ] = Duration.parse("30s")


class Admin(Section, frozen=True, kw_only=True):
    """The operator's listener: metrics and other endpoints that clients must not see."""

    listen: Annotated[
        Listen | None,
        setting(
            "`unix:/path` or a loopback address with port. Empty: `<data folder>/run/admin.sock`."
        ),
    ] = None
    token: Annotated[
        Secret | None,
        setting(
            "Bearer token asked for on a TCP address, at least 16 characters; needed there.",
            least="16",
        ),
    ] = None
