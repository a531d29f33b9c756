"""Where a store of a million tags comes from: loaders that write one offline, faster than any wire could.

To have `start-million` measured for a product, and the list lines at that size, register its loader in LOADERS.
The peers keep tags as files, about five inodes each, and have none.
"""

from collections.abc import Mapping
from typing import Protocol

from bench.products import Launch


class BulkLoader(Protocol):
    """Fills the store of a stopped server that has been started once (so that its schema and namespace exist)."""

    def load(self, launch: Launch, *, namespace: str, repository: str, tags: int) -> None:
        """Give `<namespace>/<repository>` one manifest and `tags` tags on it, named `t0000000` and so on."""
        ...


LOADERS: Mapping[str, BulkLoader] = {}
MILLION = 1_000_000
