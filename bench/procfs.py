"""CPU seconds and resident memory of a server's whole process tree, from /proc."""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/<pid>/stat (proc(5)) that we use; `cpu_ticks` counts reaped children too."""

    pid: int
    parent: int
    session: int
    cpu_ticks: int
    resident_pages: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes over one process tree. `pss` shares common pages fairly, `rss_max` is the largest process."""

    rss: int
    rss_max: int
    pss: int
    pss_max: int
    processes: int


def parse_stat(text: str) -> Stat:
    """Read one stat line. The command (field 2) may hold spaces and parentheses, so count from its last ')'."""
    opening, closing = text.index("("), text.rindex(")")
    rest = text[closing + 2 :].split()
    return Stat(
        pid=int(text[:opening]),
        parent=int(rest[1]),
        session=int(rest[3]),
        cpu_ticks=sum(int(field) for field in rest[11:15]),
        resident_pages=int(rest[21]),
    )


def parse_pss(text: str) -> int:
    """Bytes of the `Pss:` line of /proc/<pid>/smaps_rollup; 0 where there is none."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def members(stats: Iterable[Stat], root: int) -> list[Stat]:
    """The tree of `root`: its descendants, and whatever runs in the session that it leads."""
    table = {stat.pid: stat for stat in stats}
    inside = {pid for pid, stat in table.items() if pid == root or stat.session == root}
    grown = True
    while grown:
        new = {pid for pid, stat in table.items() if stat.parent in inside} - inside
        inside |= new
        grown = bool(new)
    return [table[pid] for pid in sorted(inside)]


def tree(root: int) -> list[Stat]:
    """The living processes of the tree of `root`."""
    stats = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stats.append(parse_stat((entry / "stat").read_text()))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return members(stats, root)


def cpu_seconds(root: int) -> float:
    """User and system time the tree has used so far, with the children it has reaped."""
    return sum(stat.cpu_ticks for stat in tree(root)) / TICKS


def parse_busy_ticks(text: str) -> int:
    """Ticks all cores have been busy, out of the first line of /proc/stat: all but idle, iowait and the guests'."""
    fields = [int(field) for field in text.splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def busy_seconds() -> float:
    """CPU time the whole machine has used so far."""
    return parse_busy_ticks((PROC / "stat").read_text()) / TICKS


def leads(pid: int, session: int) -> bool:
    """Whether `pid` still runs and belongs to the session (so a reused id is never taken for it)."""
    try:
        stat = parse_stat((PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.session == session


def memory(root: int) -> Memory:
    """What the tree holds resident now."""
    stats = tree(root)
    pss = []
    for stat in stats:
        try:
            pss.append(parse_pss((PROC / str(stat.pid) / "smaps_rollup").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    rss = [stat.resident_pages * PAGE for stat in stats]
    return Memory(sum(rss), max(rss, default=0), sum(pss), max(pss, default=0), len(stats))


class MemoryPeak:
    """Samples a tree in a thread while the block runs; `peak` then holds the largest of each figure."""

    def __init__(self, root: int, *, interval_seconds: float = 0.2) -> None:
        self._root = root
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = memory(root)
        self.samples = 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        now, old = memory(self._root), self.peak
        self.samples += 1
        self.peak = Memory(
            max(now.rss, old.rss),
            max(now.rss_max, old.rss_max),
            max(now.pss, old.pss),
            max(now.pss_max, old.pss_max),
            max(now.processes, old.processes),
        )
