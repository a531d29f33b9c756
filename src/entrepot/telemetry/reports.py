"""What each process reports about itself: one small file each in `<data>/run/metrics`, written over every second.

Any process can add them all up, so any may answer for the deployment's machine. A process that starts again under its name takes the
counters on from its predecessor's file: they never fall while the supervisor lives. A dead process's gauges are not shown.
The file is written in place, without fsync: nothing of it outlives the machine, and a file system is not made to flush every second.
It has two slots, written in turn: a process killed in the middle of one write leaves the other whole.
"""

import errno
import os
import time
import zlib
from pathlib import Path
from typing import Final

import msgspec

from entrepot.telemetry.metrics import Times, Totals

STALE_SECONDS: Final = 10.0
_SLOT_BYTES: Final = (
    1 << 19
)  # the families and their labels are closed sets: a report has some tens of KiB
_MAGIC: Final = b"entrepot-report 1 "


class Report(msgspec.Struct, frozen=True):
    """Who reports, when (Unix seconds), and the numbers."""

    process: str
    pid: int
    started_at: float
    written_at: float
    version: str
    counters: list[tuple[str, tuple[str, ...], float]]
    gauges: list[tuple[str, tuple[str, ...], float]]
    histograms: list[tuple[str, tuple[str, ...], list[float], float]]

    @property
    def is_alive(self) -> bool:
        """Whether the process is there and has reported lately."""
        if time.time() - self.written_at > STALE_SECONDS:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def totals(self) -> Totals:
        """The numbers; gauges only of the living."""
        totals = Totals({(name, labels): value for name, labels, value in self.counters})
        for name, labels, buckets, seconds in self.histograms:
            totals.histograms[name, labels] = Times(list(buckets), seconds)
        if self.is_alive:
            totals.gauges = {(name, labels): value for name, labels, value in self.gauges}
        return totals


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Report)


class ReportFile:
    """One process's file. `open` reads what a predecessor of the same name left."""

    def __init__(self, folder: Path, process: str, version: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.process = process
        self.before = Totals()
        self._version = version
        self._started_at = time.time()
        path = folder / process
        newest = _newest_slot(path)
        if newest is not None:
            self.before = newest[1].totals()
            self.before.gauges = {}
        self._slot = 0 if newest is None else 1 - newest[0]  # what was just read is spared
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, totals: Totals) -> None:
        """Write over the older slot. Raises OSError (no room, too long); the last report stays readable then."""
        totals.add(self.before)
        report = Report(
            process=self.process,
            pid=os.getpid(),
            started_at=self._started_at,
            written_at=time.time(),
            version=self._version,
            counters=[(name, labels, value) for (name, labels), value in totals.counters.items()],
            gauges=[(name, labels, value) for (name, labels), value in totals.gauges.items()],
            histograms=[
                (name, labels, times.buckets, times.seconds)
                for (name, labels), times in totals.histograms.items()
            ],
        )
        body = _encoder.encode(report)
        whole = _MAGIC + b"%d %d\n" % (len(body), zlib.crc32(body)) + body
        if len(whole) > _SLOT_BYTES:
            raise OSError(errno.EFBIG, "a report too long for its slot")
        os.pwrite(self._fd, whole, self._slot * _SLOT_BYTES)
        self._slot = 1 - self._slot

    def close(self) -> None:
        """Let go of the file; what it says stays."""
        os.close(self._fd)


def read_report(path: Path) -> Report | None:
    """A process's last whole report; None where there is none."""
    newest = _newest_slot(path)
    return None if newest is None else newest[1]


def _newest_slot(path: Path) -> tuple[int, Report] | None:
    try:
        with path.open("rb") as file:
            slots = [os.pread(file.fileno(), _SLOT_BYTES, at) for at in (0, _SLOT_BYTES)]
    except OSError:
        return None
    found = [(n, report) for n in (0, 1) if (report := _report_in(slots[n])) is not None]
    return max(found, key=lambda slot: slot[1].written_at, default=None)


def _report_in(slot: bytes) -> Report | None:
    head, _, rest = slot.partition(b"\n")
    numbers = head.removeprefix(_MAGIC).split()
    if len(numbers) != 2 or not numbers[0].isdigit():
        return None
    body = rest[: int(numbers[0])]
    if b"%d" % zlib.crc32(body) != numbers[1]:
        return None
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:  # of another program version
        return None


def read_reports(folder: Path) -> list[Report]:
    """Every process's last report, by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return []
    return [report for path in paths if (report := read_report(path)) is not None]


def forget_reports(folder: Path, processes: list[str]) -> None:
    """Remove the files of these processes: for a supervisor that starts, so that counts begin with it."""
    for process in processes:
        (folder / process).unlink(missing_ok=True)
