"""The sections of the tree. A field's description is its documentation: meaning, unit, bounds.

`setting(...)` bounds are texts in the field's own type; `config.load` checks them. Inside the program
a `Settings` is right by construction: nobody checks again.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

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


def setting(
    description: str,
    *,
    least: str | None = None,
    most: str | None = None,
    pattern: str | None = None,
) -> Meta:
    """What a field means, and its bounds (inclusive; `pattern` for the whole of a text)."""
    bounds = {"least": least, "most": most, "pattern": pattern}
    return Meta(description=description, extra={k: v for k, v in bounds.items() if v is not None})


class LogLevel(StrEnum):
    """From the most to the least talkative."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """One JSON object a line, or lines for a person."""

    JSON = "json"
    CONSOLE = "console"


class Section(Struct, frozen=True, kw_only=True):
    """A table of the file."""


class Data(Section, frozen=True, kw_only=True):
    """The data folder, and the master key that seals what must be recovered (kept out of that folder and of backups)."""

    folder: Annotated[
        Path,
        setting(
            "Folder of everything this server keeps. Holds `entrepot.toml` if no other file is named; that file cannot move the folder."
        ),
    ] = Path("data")
    key_file: Annotated[
        Path | None,
        setting(
            "File (mode 0600) of the master key, outside the data folder; made at first start. Empty: beside the folder, as `<folder>.key`."
        ),
    ] = None
    key_command: Annotated[
        str,
        setting(
            "Command that prints the master key, split into words as a shell would, run without one. Empty: the key is read from its file."
        ),
    ] = ""


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
        ByteSize, setting("All headers of a request together.", least="8KiB", most="1MiB")
    ] = ByteSize.parse("32KiB")
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


class Metadata(Section, frozen=True, kw_only=True):
    """The database."""

    url: Annotated[
        Url | None,
        setting(
            "`postgresql://user:password@host:port/name`, or `sqlite:////absolute/path` (four slashes). Empty: SQLite in `<data folder>/entrepot.db`."
        ),
    ] = None
    pool: Annotated[
        int,
        setting(
            "Connections to PostgreSQL a process; SQLite does not use it.", least="2", most="200"
        ),
    ] = 10


class Storage(Section, frozen=True, kw_only=True):
    """Where the bytes of blobs are kept."""

    url: Annotated[
        Url | None, setting("`file:///absolute/path`. Empty: the folder `<data folder>/blobs`.")
    ] = None


class Root(Section, frozen=True, kw_only=True):
    """Presets for the first start; later starts do not read them. What is not preset is made up and shown once."""

    user: Annotated[
        str, setting("Name of the first user.", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
    ] = "root"
    password: Annotated[Secret | None, setting("Password of the first user.")] = None
    access_key: Annotated[
        Secret | None,
        setting(
            "Access key id of the first key pair. Set together with `root.secret_key`.",
            pattern="[A-Za-z0-9_-]{4,128}",
        ),
    ] = None
    secret_key: Annotated[Secret | None, setting("Secret key of the first key pair.")] = None


class Region(Section, frozen=True, kw_only=True):
    """The first region; more are added by command. Read at the first start only."""

    name: Annotated[
        str, setting("Name, as clients send it.", pattern="[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
    ] = "local-1"
    id: Annotated[int, setting("Numeric id.", least="1", most="2147483647")] = 1
    display_name: Annotated[str, setting("Name for people. Empty: `region.name`.")] = ""


class Auth(Section, frozen=True, kw_only=True):
    """Logins and tokens of the registry."""

    token_lifetime: Annotated[
        Duration, setting("How long a token of `/service/token` is valid.", least="60s", most="1h")
    ] = Duration.parse("5m")
    basic_cache: Annotated[
        Duration,
        setting(
            "How long a good Basic login is remembered, so that not every request costs a password hash; revocation still takes effect. 0: not at all.",
            most="10m",
        ),
    ] = Duration.parse("1m")
    throttle_failures: Annotated[
        int,
        setting(
            "Failed logins of one source for one account within `auth.throttle_window` before 429.",
            least="1",
            most="10000",
        ),
    ] = 10
    throttle_window: Annotated[
        Duration, setting("The span in which failed logins are counted.", least="1s", most="1d")
    ] = Duration.parse("5m")
    argon2_parallel: Annotated[
        int,
        setting(
            "Passwords hashed at once in a process, 19 MiB each; further logins get 429.",
            least="1",
            most="64",
        ),
    ] = 2
    anonymous_pull: Annotated[
        bool, setting("Whether public namespaces and repositories can be pulled without a login.")
    ] = True


class Uploads(Section, frozen=True, kw_only=True):
    """Upload sessions."""

    expire_after: Annotated[
        Duration,
        setting("A session that nobody touched for so long is removed with its bytes.", least="1s"),
    ] = Duration.parse("7d")
    max_blob: Annotated[ByteSize | None, setting("The largest blob accepted.", least="1KiB")] = None
    max_sessions: Annotated[
        int,
        setting("Open sessions a repository; a further one gets 429.", least="1", most="1000000"),
    ] = 1000


class Manifests(Section, frozen=True, kw_only=True):
    """What manifests may be pushed and deleted."""

    allow_sparse: Annotated[
        bool,
        setting(
            "Accept an index whose manifests, or some of them, are not in the repository. Never applies to layers."
        ),
    ] = False
    protect_indexed: Annotated[
        bool, setting("Refuse to delete by digest a manifest that a tagged index lists.")
    ] = True


class Gc(Section, frozen=True, kw_only=True):
    """The collector and the scrub."""

    delay: Annotated[
        Duration,
        setting(
            "How long bytes that nothing refers to are kept, so that a push under way finds its blobs."
        ),
    ] = Duration.parse("24h")
    untagged_after: Annotated[
        Duration | None,
        setting(
            "Manifests without a tag (and in no index) go after so long. Clusters run images by digest: think twice."
        ),
    ] = None
    batch: Annotated[int, setting("Reviews a transaction.", least="1", most="10000")] = 100
    scrub_rate: Annotated[
        ByteSize, setting("Bytes a second that the scrub reads and hashes again.", least="64KiB")
    ] = ByteSize.parse("16MiB")
    scrub_every: Annotated[
        Duration | None, setting("How often each blob is hashed again.", least="1m")
    ] = Duration.parse("30d")


class History(Section, frozen=True, kw_only=True):
    """What `entrepot undelete` can bring back."""

    keep: Annotated[
        Duration, setting("How long former tags and deleted repositories are remembered.")
    ] = Duration.parse("7d")


class Jobs(Section, frozen=True, kw_only=True):
    """Background tasks."""

    embedded: Annotated[
        bool,
        setting(
            "Whether `serve` starts a worker process beside itself; false where `entrepot worker` runs instead."
        ),
    ] = True
    concurrency: Annotated[int, setting("Tasks at once in a worker.", least="1", most="256")] = 4
    lease: Annotated[
        Duration,
        setting("A worker silent for so long loses its tasks to another.", least="2s", most="1h"),
    ] = Duration.parse("1m")
    poll: Annotated[
        Duration,
        setting(
            "How often a worker looks for tasks when nothing wakes it.", least="50ms", most="1m"
        ),
    ] = Duration.parse("1s")


class Quota(Section, frozen=True, kw_only=True):
    """Defaults for tenants without a quota of their own."""

    swr_organizations: Annotated[
        int, setting("SWR organizations a tenant. 0: unlimited.", least="0", most="1000000")
    ] = 5


class Log(Section, frozen=True, kw_only=True):
    """The log, on standard error."""

    level: Annotated[LogLevel, setting("The least important lines written.")] = LogLevel.INFO
    format: Annotated[LogFormat, setting("One JSON object a line, or lines for people.")] = (
        LogFormat.JSON
    )


class Audit(Section, frozen=True, kw_only=True):
    """The audit trail. Changes, denials and logins are always in it."""

    pulls: Annotated[bool, setting("Record pulls too, in batches.")] = True


class Metrics(Section, frozen=True, kw_only=True):
    """Prometheus metrics."""

    enabled: Annotated[
        bool, setting("Collect metrics and serve `/metrics` on the admin listener.")
    ] = True


class Tracing(Section, frozen=True, kw_only=True):
    """OpenTelemetry traces; needs the `tracing` extra."""

    endpoint: Annotated[
        Url | None,
        setting("OTLP endpoint over HTTP, such as `http://127.0.0.1:4318`. Empty: no traces."),
    ] = None
