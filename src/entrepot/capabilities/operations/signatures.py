"""Tags that signers gave, and that went when the image's last tag did: an image that comes back without them is one nobody signed."""

from collections.abc import Sequence

from entrepot.capabilities.content.whole import BOUNDS, signers_tags
from entrepot.metadata import images, restoring
from entrepot.metadata.database import Connection
from entrepot.metadata.restoring import FormerTag
from entrepot.model.ids import ManifestId, Micros, RepositoryId

_MAX_DEPTH = 8  # indexes in indexes, signatures of signatures


def lost_signatures(
    conn: Connection, repository: RepositoryId, manifest: ManifestId, at: Micros
) -> list[FormerTag]:
    """Tags of signers about a living manifest, about what it lists, and about such signatures: those that meant something at the
    moment and mean nothing now, each behind what it is about."""
    found: dict[str, FormerTag] = {}
    about = _digests(conn, repository, manifest)
    for _ in range(_MAX_DEPTH):
        names = [name for digest in about for name in signers_tags(digest) if name not in found]
        fresh = restoring.ended_since(conn, repository, at, names)
        found.update((one.name, one) for one in fresh)
        about = [one.digest for one in fresh]
        if not about:
            break
    return list(found.values())


def _digests(conn: Connection, repository: RepositoryId, manifest: ManifestId) -> Sequence[str]:
    """Its own, and those of what it lists at any depth."""
    root = images.part(conn, manifest)
    level = [] if root is None else [root]
    found: dict[str, ManifestId] = {}
    for _ in range(_MAX_DEPTH):
        level = [one for one in level if one.digest not in found]
        found.update((one.digest, one.id) for one in level)
        if not level or len(found) >= BOUNDS.manifests:
            break
        ids = [one.id for one in level]
        level = images.listed(conn, repository, ids, limit=BOUNDS.manifests)
    return list(found)
