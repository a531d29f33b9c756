"""Where a store of a million tags comes from: loaders that write it offline, faster than any wire could.

The first of each kind is pushed over the wire; a loader then multiplies it in the stopped server's own store. To have
`start-million` measured for a product, and the list lines at full size, register its loader in LOADERS. The peers keep tags as
files, about five inodes each, and have none.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bench.entrepot_rows import EntrepotRows
from bench.products import Launch


class BulkLoader(Protocol):
    """Adds to the store of a stopped server what thousands of pushes would have added. Names are those of `bench.numbered`."""

    def multiply_tag(self, launch: Launch, repository: str, *, count: int) -> None:
        """`repository` (full name) has the tag of number 0; give its manifest all tags below `count`."""
        ...

    def multiply_repository(self, launch: Launch, namespace: str, *, count: int) -> None:
        """The namespace has the repository of number 0; make all below `count`, with the same content."""
        ...

    def add_referrers(
        self, launch: Launch, repository: str, subject: str, *, count: int
    ) -> Sequence[str]:
        """Store `count` artifacts whose subject is the image `subject` (a digest); returns their digests."""
        ...


LOADERS: Mapping[str, BulkLoader] = {"entrepot": EntrepotRows()}
