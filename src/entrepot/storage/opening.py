"""From a setting to a store. Called by bootstrap alone."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from entrepot.model.errors import ValueInvalid
from entrepot.ports.blobs import BlobStore
from entrepot.storage.local import LocalStore
from entrepot.storage.memory import MemoryStore


def open_store(url: str) -> BlobStore:
    """The store that `storage.url` names: `file:///absolute/path`, or `memory:` for tests.

    Raises ValueInvalid for any other text, StorageUnavailable or StorageFull if the folders cannot be made.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueInvalid("storage.url", "takes no query and no fragment")
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ValueInvalid(
                "storage.url", "a file URL names an absolute path on this machine: file:///path"
            )
        return LocalStore(Path(unquote(parts.path)))
    if url == "memory:":
        return MemoryStore()
    raise ValueInvalid("storage.url", "starts with file: or memory:")
