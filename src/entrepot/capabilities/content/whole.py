"""An image whole: its manifest, what an index lists, what refers to any of these (signatures, SBOMs), and tags that signers make.

Referrers are found by their subject, and by the tags of those who cannot (`sha256-<hex>`, with `.sig`, `.att`, `.sbom` behind it).
It is found by rows: no document is read, whatever its pusher wrote into it. What an index lists belongs to it, and an image with more
of that than `Bounds` is refused; referrers anybody may push, so of too many the newest are taken, those with a signer's tag first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

from entrepot.metadata import images, tags
from entrepot.metadata.database import Connection
from entrepot.metadata.images import Part
from entrepot.model.errors import ManifestUnknown, ValueInvalid
from entrepot.model.ids import RepositoryId

_MAX_DEPTH: Final = 8  # indexes in indexes, signatures of signatures
_SIGNERS: Final = ("", ".sig", ".att", ".sbom")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one image may have at most. `references`: things its documents name; `documents`: bytes of them."""

    manifests: int = 1000
    references: int = 50_000
    documents: int = 32 * 1024 * 1024


BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Whole:
    """`parts`: each behind what it lists, referrers behind their subjects; `root` is among them. `tags`: of signers, with digests.
    `is_cut`: there are more referrers."""

    root: Part
    parts: tuple[Part, ...]
    tags: tuple[tuple[str, str], ...] = ()
    is_cut: bool = False


def tagged_root(conn: Connection, repository: RepositoryId, tag: str) -> Whole:
    """In a transaction: what the tag means, without anything that belongs to it. Raises ManifestUnknown."""
    number = tags.current(conn, repository, tag)
    root = None if number is None else images.part(conn, number)
    if root is None:
        raise ManifestUnknown(tag[:300])
    return Whole(root, (root,))


def whole_image(
    conn: Connection, repository: RepositoryId, tag: str, bounds: Bounds = BOUNDS
) -> Whole:
    """In a transaction: what the tag means, whole. Raises ManifestUnknown, ValueInvalid (more than can be copied at once)."""
    root = tagged_root(conn, repository, tag).root
    gathering = _Gathering(conn, repository, bounds)
    gathering.run(root)
    found = gathering.parts
    names = sorted(gathering.tags.items())
    parts = tuple(_ordered(conn, list(found.values())))
    return Whole(root, parts, tuple(names), is_cut=gathering.is_cut)


def signers_tags(digest: str) -> list[str]:
    """Tags that signers give to what refers to the manifest."""
    return [f"{digest.replace(':', '-')}{suffix}" for suffix in _SIGNERS]


class _Gathering:
    """Walks one repository, each manifest once."""

    def __init__(self, conn: Connection, repository: RepositoryId, bounds: Bounds) -> None:
        self.conn = conn
        self.repository = repository
        self.bounds = bounds
        self.parts: dict[str, Part] = {}
        self.references = 0
        self.tags: dict[str, str] = {}
        self.is_cut = False

    def run(self, root: Part) -> None:
        """Take the root and what it lists, then what refers to what was taken."""
        fresh = self._take([root])
        if not fresh:
            bounds = self.bounds
            raise ValueInvalid(
                "tag",
                f"an image has at most {bounds.manifests} manifests that name {bounds.references} things, "
                f"with {bounds.documents} bytes together, in indexes no deeper than {_MAX_DEPTH}",
            )
        for _ in range(_MAX_DEPTH):
            if not fresh:
                return
            fresh = self._referrers([part.digest for part in fresh])
        self.is_cut = self.is_cut or bool(fresh)

    def _take(self, roots: Sequence[Part]) -> list[Part]:
        """Take them and all that they list, or nothing where that is too much. What is new of it."""
        found: dict[str, Part] = {}
        level = list(roots)
        for _ in range(_MAX_DEPTH + 1):
            level = [
                one for one in level if one.digest not in found and one.digest not in self.parts
            ]
            if not level:
                break
            found.update((one.digest, one) for one in level)
            if not self._have_room(found.values()):
                return []
            numbers = [one.id for one in level]
            limit = self.bounds.manifests + 1
            level = images.listed(self.conn, self.repository, numbers, limit=limit)
        else:
            return []
        self.parts.update(found)
        self.references += images.references(self.conn, [one.id for one in found.values()])
        return list(found.values())

    def _take_some(self, waiting: Sequence[Part]) -> Iterator[Part]:
        """Take as many of them as there is room for, the first before the others: together, else by halves. What is new."""
        fresh = self._take(waiting)
        yield from fresh
        if not fresh and len(waiting) > 1:
            middle = len(waiting) // 2
            yield from self._take_some(waiting[:middle])
            yield from self._take_some(waiting[middle:])

    def _have_room(self, found: Iterable[Part]) -> bool:
        """Whether they fit beside what was taken: what is cheap to know is asked first."""
        bounds = self.bounds
        more = list(found)
        if len(self.parts) + len(more) > bounds.manifests:
            return False
        if sum(one.size for one in (*self.parts.values(), *more)) > bounds.documents:
            return False
        named = images.references(self.conn, [one.id for one in more])
        return self.references + named <= bounds.references

    def _referrers(self, digests: Sequence[str]) -> list[Part]:
        """Take what refers to these manifests, as much of it as there is room for. What is new of it."""
        names = [name for one in digests for name in signers_tags(one)]
        named = images.tagged(self.conn, self.repository, names)
        limit = self.bounds.manifests + 1
        newest = images.referring(self.conn, self.repository, digests, limit=limit)
        wanted = {one.digest: one for one in (*named.values(), *newest)}
        waiting = [one for digest, one in wanted.items() if digest not in self.parts]
        fresh = list(self._take_some(waiting))
        self.tags.update(
            (name, one.digest) for name, one in named.items() if one.digest in self.parts
        )
        self.is_cut = self.is_cut or any(one.digest not in self.parts for one in waiting)
        return fresh


def _ordered(conn: Connection, parts: Sequence[Part]) -> Iterator[Part]:
    """Each behind what its document names: digests make no circles."""
    by_id = {part.id: part.digest for part in parts}
    by_digest = {part.digest: part for part in parts}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(by_digest, ()))
    for number, named in images.edges(conn, list(by_id)):
        if named in by_digest:
            order.add(by_id[number], named)
    return (by_digest[digest] for digest in order.static_order())
