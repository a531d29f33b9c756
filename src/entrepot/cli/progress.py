"""A bar on standard error for what takes longer than a second, where somebody is looking."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 1.0


class Bar:
    """`with Bar("reading") as bar: bar.show(3, 10)`. Costs nothing to call often."""

    def __init__(self, label: str, *, in_bytes: bool = False) -> None:
        self._label = label
        self._in_bytes = in_bytes
        self._since = time.monotonic()
        self._is_watched = sys.stderr.isatty()
        self._drawn: tuple[Progress, TaskID] | None = None

    def show(self, done: int, total: int | None = None, *, label: str | None = None) -> None:
        """So much of the whole is done (total None: nobody knows how much there is)."""
        if not self._is_watched or time.monotonic() - self._since < PATIENCE_SECONDS:
            return
        progress, task = self._drawn or self._draw()
        progress.update(
            task, completed=done, total=total, description=label or self._label, done=done
        )

    def _draw(self) -> "tuple[Progress, TaskID]":
        from rich import progress as parts  # noqa: PLC0415  (slow to import, seldom needed)
        from rich.console import Console  # noqa: PLC0415

        columns: list[parts.ProgressColumn] = [
            parts.TextColumn("{task.description}"),
            parts.BarColumn(),
        ]
        if self._in_bytes:
            columns += [parts.DownloadColumn(binary_units=True), parts.TransferSpeedColumn()]
        else:
            columns.append(parts.TextColumn("{task.fields[done]}"))
        columns.append(parts.TimeElapsedColumn())
        made = parts.Progress(*columns, console=Console(stderr=True), transient=True)
        made.start()
        self._drawn = made, made.add_task(self._label, total=None, done=0)
        return self._drawn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn is not None:
            self._drawn[0].stop()
