"""An image whole: its manifest, what an index lists, what refers to any of these (signatures, SBOMs), and tags that signers make.

Referrers are found by their subject, and by the tags of those who cannot (`sha256-<hex>`, with `.sig`, `.att`, `.sbom` behind it).
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from entrepot.metadata import manifests, tags
from entrepot.metadata.database import Connection
from entrepot.model.content import StoredManifest
from entrepot.model.errors import ManifestUnknown, ValueInvalid
from entrepot.model.ids import ManifestId, RepositoryId
from entrepot.oci.manifest import Manifest, parse

MAX_MANIFESTS: Final = 1000  # of one image
_MAX_DEPTH: Final = 8  # indexes in indexes, signatures of signatures
_SIGNERS: Final = ("", ".sig", ".att", ".sbom")


@dataclass(frozen=True, slots=True)
class Part:
    """A manifest of an image. Its document is read when it is wanted."""

    id: ManifestId
    digest: str
    media_type: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Whole:
    """`parts`: each behind what it lists, referrers behind their subjects; `root` is among them. `tags`: of signers, with digests."""

    root: Part
    parts: tuple[Part, ...]
    tags: tuple[tuple[str, str], ...]


def whole_image(conn: Connection, repository: RepositoryId, tag: str) -> Whole:
    """In a transaction: what the tag means, whole. Raises ManifestUnknown, ValueInvalid (more than can be copied at once)."""
    number = tags.current(conn, repository, tag)
    found = None if number is None else manifests.get(conn, number)
    if found is None:
        raise ManifestUnknown(tag[:300])
    gathering = _Gathering(conn, repository)
    gathering.run(found)
    parts = gathering.parts
    return Whole(parts[found.digest], tuple(_ordered(parts)), tuple(gathering.tags.items()))


class _Gathering:
    """Walks one repository, each manifest once."""

    def __init__(self, conn: Connection, repository: RepositoryId) -> None:
        self.conn = conn
        self.repository = repository
        self.parts: dict[str, Part] = {}
        self.tags: dict[str, str] = {}

    def run(self, root: StoredManifest) -> None:
        """Take the root, and all that belongs to what was taken."""
        waiting = deque([(root, 0)])
        while waiting:
            found, depth = waiting.popleft()
            if found.digest in self.parts:
                continue
            if depth > _MAX_DEPTH or len(self.parts) >= MAX_MANIFESTS:
                raise ValueInvalid("tag", f"an image has at most {MAX_MANIFESTS} manifests")
            manifest = parse(found.media_type, found.payload)
            self.parts[found.digest] = Part(found.id, found.digest, found.media_type, manifest)
            waiting.extend((one, depth + 1) for one in self._listed(manifest))
            waiting.extend((one, depth + 1) for one in self._referrers(found.digest))

    def _listed(self, manifest: Manifest) -> Iterator[StoredManifest]:
        for child in manifest.manifests:
            found = manifests.find(self.conn, self.repository, str(child.descriptor.digest))
            if found is not None:  # else a sparse index, which stays one
                yield found

    def _referrers(self, digest: str) -> Iterator[StoredManifest]:
        for number in manifests.referring(
            self.conn, self.repository, digest, limit=MAX_MANIFESTS + 1
        ):
            found = manifests.get(self.conn, number)
            if found is not None:
                yield found
        base = digest.replace(":", "-")
        names = [f"{base}{suffix}" for suffix in _SIGNERS]
        for name, number in tags.currents(self.conn, self.repository, names).items():
            found = manifests.get(self.conn, number)
            if found is not None:
                self.tags[name] = found.digest
                yield found


def _ordered(parts: Mapping[str, Part]) -> Iterator[Part]:
    """Each behind what its document names: digests make no circles."""
    done: set[str] = set()

    def visit(part: Part) -> Iterator[Part]:
        if part.digest in done:
            return
        done.add(part.digest)
        for reference in part.manifest.references:
            named = parts.get(str(reference.descriptor.digest))
            if named is not None:
                yield from visit(named)
        yield part

    for part in parts.values():
        yield from visit(part)
