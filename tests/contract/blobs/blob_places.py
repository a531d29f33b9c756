"""Every store there is, with what is behind it."""

from dataclasses import dataclass
from pathlib import Path

from fake_s3 import FakeS3, Faults

from entrepot.ports.blobs import BlobStore
from entrepot.storage.local import LocalStore
from entrepot.storage.memory import MemoryStore
from entrepot.storage.parted import PartedStore
from entrepot.storage.parted_state import PartSizes
from entrepot.storage.patience import Patience

KINDS = ("local", "memory", "parted", "parted_faulty")
EXCLUSIVE = ("local", "memory")

# S3's proportions a thousand times smaller: part 1-3 of 8 KiB, 4-6 of 16 KiB, ...
SMALL = PartSizes(minimum_bytes=5 << 10, first_bytes=8 << 10, parts_per_size=3, short_parts=20)
NO_WAIT = Patience(sleep=lambda _seconds: None)


@dataclass
class Place:
    """A store and what is behind it."""

    kind: str
    store: BlobStore
    root: Path | None = None
    service: FakeS3 | None = None

    def leftovers(self) -> list[str]:
        """Whatever is there, by the backend's own word."""
        if self.root is not None:
            return [str(path) for path in self.root.rglob("*") if path.is_file()]
        if self.service is not None:
            return [*self.service.objects, *self.service.multiparts]
        assert isinstance(self.store, MemoryStore)
        return list(self.store.objects)

    def sweep(self) -> None:
        """Remove all that the listings show; what then remains is a leak."""
        for upload in list(self.store.list_uploads()):
            self.store.abandon(upload.key, state=b"")
        for found in list(self.store.list()):
            self.store.delete(found.key)


def make_place(kind: str, folder: Path, *, seed: int = 7) -> Place:
    if kind == "local":
        return Place(kind, LocalStore(folder / "store"), root=folder / "store")
    if kind == "memory":
        return Place(kind, MemoryStore())
    faults = Faults(seed) if kind == "parted_faulty" else None
    service = FakeS3(part_minimum=SMALL.minimum_bytes, faults=faults)
    return Place(kind, PartedStore(service, patience=NO_WAIT, sizes=SMALL), service=service)
