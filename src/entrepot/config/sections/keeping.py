"""What is kept where, and for how long."""

from pathlib import Path
from typing import Annotated

from entrepot.config.sections.base import Section, setting
from entrepot.config.types import ByteSize, Duration, Url


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
