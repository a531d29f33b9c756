"""A finished local file, open for reading. The open descriptor keeps the bytes even when the name is deleted."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from entrepot.model.errors import StorageUnavailable
from entrepot.storage import files


class LocalReader:
    """See BlobReader. Owns the descriptor."""

    __slots__ = ("_descriptor", "_end", "_start", "size")

    def __init__(self, descriptor: int, size: int, *, start: int, end: int) -> None:
        self.size = size
        self._descriptor: int | None = descriptor
        self._start = start
        self._end = end

    def fileno(self) -> int | None:
        return self._descriptor

    def chunks(self) -> Iterator[memoryview]:
        if self._descriptor is None:
            raise StorageUnavailable("reading an object: the reader is closed")
        return files.pieces(self._descriptor, start=self._start, end=self._end)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
