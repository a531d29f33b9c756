"""The whole tree, and what follows from it: the defaults that depend on the data folder."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from entrepot.config.problems import Origin
from entrepot.config.tree import (
    Admin,
    Api,
    Audit,
    Auth,
    Data,
    Gc,
    History,
    Http,
    Instances,
    Jobs,
    Log,
    Manifests,
    Metadata,
    Metrics,
    Outbound,
    Quota,
    Region,
    Root,
    Storage,
    Tracing,
    Uploads,
)
from entrepot.config.types import Listen, UnixAddress, Url


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting, checked, with paths made absolute; made by `config.load`."""

    data: Data = field(default_factory=Data)
    http: Http = field(default_factory=Http)
    admin: Admin = field(default_factory=Admin)
    metadata: Metadata = field(default_factory=Metadata)
    storage: Storage = field(default_factory=Storage)
    root: Root = field(default_factory=Root)
    region: Region = field(default_factory=Region)
    auth: Auth = field(default_factory=Auth)
    uploads: Uploads = field(default_factory=Uploads)
    manifests: Manifests = field(default_factory=Manifests)
    gc: Gc = field(default_factory=Gc)
    history: History = field(default_factory=History)
    jobs: Jobs = field(default_factory=Jobs)
    instances: Instances = field(default_factory=Instances)
    api: Api = field(default_factory=Api)
    quota: Quota = field(default_factory=Quota)
    outbound: Outbound = field(default_factory=Outbound)
    log: Log = field(default_factory=Log)
    audit: Audit = field(default_factory=Audit)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=Tracing)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """By path (`section.key`): who set it. A path that is not here has its default."""
    file: Path | None = None
    """The file that was read."""

    @property
    def key_file(self) -> Path:
        """The master key's file, whether or not it is used (see `data.key_command`)."""
        folder = self.data.folder
        return self.data.key_file or folder.with_name(f"{folder.name}.key")

    @property
    def metadata_url(self) -> Url:
        """`reveal()` it for SQLAlchemy; `str()` masks a password."""
        return self.metadata.url or Url(f"sqlite:///{self.data.folder / 'entrepot.db'}")

    @property
    def storage_url(self) -> Url:
        """Where blobs are kept; a `file` URL has its path percent-encoded."""
        return self.storage.url or Url((self.data.folder / "blobs").as_uri())

    @property
    def run_folder(self) -> Path:
        """Sockets and other files that live no longer than the processes."""
        return self.data.folder / "run"

    @property
    def admin_listen(self) -> Listen:
        """Where operators reach this server."""
        return self.admin.listen or UnixAddress(self.run_folder / "admin.sock")

    @property
    def region_display_name(self) -> str:
        """The first region's name for people."""
        return self.region.display_name or self.region.name
