"""Once a second: how late the event loop is, what this process counted, and whether an operator changed the log level."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from entrepot import __version__
from entrepot.telemetry.logs import LEVELS, LOG
from entrepot.telemetry.metrics import Metrics, Sample, Totals
from entrepot.telemetry.reports import ReportFile

EVERY_SECONDS: Final = 1.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_log = structlog.get_logger(__name__)


class Reporter:
    """Writes this process's report. `level_file` holds a level while an operator overrides the settings'. Blocks while made."""

    def __init__(self, metrics: Metrics, folder: Path, process: str, *, level_file: Path) -> None:
        self._metrics = metrics
        self._file = ReportFile(folder, process, __version__)
        self._process = process
        self._level_file = level_file
        self._usual_level = LOG.level
        self._started_at = time.time()
        self._delay = 0.0
        self._has_failed = False
        metrics.sample(self._samples)

    async def run(self) -> None:
        """For ever; when cancelled, once more."""
        loop = asyncio.get_running_loop()
        reporting: asyncio.Task[None] | None = None
        try:
            while True:
                reporting = asyncio.ensure_future(self._report())
                await asyncio.shield(reporting)
                due = loop.time() + EVERY_SECONDS
                await asyncio.sleep(EVERY_SECONDS)
                self._delay = max(0.0, loop.time() - due)
        finally:
            if reporting is not None:
                await reporting
            await self._report()
            self._file.close()

    async def _report(self) -> None:
        totals = self._metrics.take()
        self._follow(await asyncio.to_thread(self._write_and_look, totals))

    def _write_and_look(self, totals: Totals) -> str:
        """In a thread. The level that the operator asks for."""
        try:
            self._file.write(totals)
        except OSError as error:
            if not self._has_failed:  # once, not every second
                _log.warning("metrics_not_written", error=str(error))
            self._has_failed = True
        else:
            self._has_failed = False
        try:
            asked = self._level_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return self._usual_level
        return asked if asked in LEVELS else self._usual_level

    def _follow(self, level: str) -> None:
        if level != LOG.level:
            LOG.set_level(level)
            _log.warning("log_level_changed", level_now=level)

    def _samples(self) -> Iterator[Sample]:
        name = (self._process,)
        yield Sample("process_start_time_seconds", self._started_at, name)
        yield Sample("resident_memory_bytes", resident_bytes(), name)
        yield Sample("open_files", _open_files(), name)
        yield Sample("loop_delay_seconds", self._delay, name)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield Sample("cpu_seconds", usage.ru_utime + usage.ru_stime)
        if LOG.writer is not None:
            yield Sample("log_lines_lost", LOG.writer.lost)


def resident_bytes() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (no file system: the kernel answers from memory)
        return float(file.read().split()[1]) * _PAGE


def _open_files() -> float:
    return float(len(os.listdir("/proc/self/fd"))) - 1  # noqa: PTH208  (as above)
