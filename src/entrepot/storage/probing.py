"""The one question of health that every store answers the same way."""

import secrets

from entrepot.model.errors import StorageUnavailable
from entrepot.ports.blobs import BlobStore, ObjectKey


def new_probe_key() -> ObjectKey:
    """A key like any other, so that a probe killed half-way leaves something that `list` shows and the sweeper takes."""
    return ObjectKey("probe" + secrets.token_hex(12))


def probe(store: BlobStore) -> None:
    """Write, read back and remove a small object by the store's own doors. Raises what they raise."""
    key = new_probe_key()
    text = key.encode()
    upload = store.begin(key)
    try:
        upload.write(memoryview(text))
        upload.finish()
    except BaseException:
        upload.close()
        store.abandon(key, state=b"")
        raise
    upload.close()
    with store.open(key) as reader:
        found = b"".join(bytes(piece) for piece in reader.chunks())
    store.delete(key)
    if found != text:
        raise StorageUnavailable("probing: other bytes came back than were written")
