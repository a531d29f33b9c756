"""One run: its settings, its servers, and the turns; alternating, so that each median sees the same weather."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import procfs
from bench.driver import DriverFailed, Total, drive
from bench.figures import GIB, MIB, Reading
from bench.fixtures import NAMESPACE
from bench.httpline import BadAnswer
from bench.lines import Line
from bench.load.jobs import Job
from bench.products import Product, Unavailable
from bench.servers import Certificate, Server, StartFailed

FAULTS = (OSError, BadAnswer, DriverFailed, StartFailed, Unavailable, KeyError, ValueError)
CORES = os.cpu_count() or 1
_MACHINE, _WALL = "the machine", "the wall clock"


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes in bytes, times in seconds. `QUICK` is a smoke test whose figures mean nothing.

    Lists have `tags`, `repositories` and `referrers` where a bulk loader makes them, else at most `pushed` of each.
    """

    rounds: int = 3
    seconds: float = 3.0
    connections: int = 32
    large: int = 512 * MIB
    upload: int = 256 * MIB
    crowd_clients: int = 1000
    crowd_size: int = 64 * MIB
    crowd_rounds: int = 1
    crowd_limit_seconds: float = 900
    tags: int = 1_000_000
    repositories: int = 100_000
    referrers: int = 10_000
    pushed: int = 1000
    idle_seconds: float = 3.0


QUICK = Settings(
    rounds=1,
    seconds=0.4,
    large=32 * MIB,
    upload=16 * MIB,
    crowd_clients=50,
    crowd_size=2 * MIB,
    crowd_limit_seconds=20,
    tags=2000,
    repositories=500,
    referrers=300,
    pushed=10,
    idle_seconds=0.5,
)


@dataclass(slots=True)
class Run:
    """What a run shares. `readings`, `configurations` and `notes` fill up as it goes."""

    settings: Settings
    products: Sequence[Product]
    lines: Sequence[Line]
    folder: Path
    certificate: Certificate
    readings: list[Reading] = field(default_factory=list)
    configurations: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _made: int = 0

    def of_group(self, group: str) -> list[Line]:
        """The chosen lines of a group."""
        return [line for line in self.lines if line.group == group]

    def servers(self, *, tls: bool = False, processes: Iterable[int] = (CORES,)) -> list[Server]:
        """A new server, not started, of every product; of ours one for each number of processes."""
        made = []
        for product in self.products:
            for count in processes if product.name == "entrepot" else (1,):
                self._made += 1
                folder = self.folder / f"{self._made:03}-{product.name}"
                server = Server(
                    product, folder, processes=count, tls=self.certificate if tls else None
                )
                kind = f"{server.label}{', TLS' if tls else ''}"
                self.configurations.setdefault(kind, server.launch.configuration)
                made.append(server)
        return made

    def add(self, reading: Reading) -> None:
        """Keep a reading and say it."""
        self.readings.append(reading)
        said = ", ".join(f"{name} {value:.5g}" for name, value in reading.values.items())
        text = reading.failure or said
        print(f"  {reading.line:18} {reading.server:22} {text}", file=sys.stderr, flush=True)

    def note_once(self, note: str) -> None:
        """Keep a remark for the report."""
        if note not in self.notes:
            self.notes.append(note)

    def guarded(
        self, line: Line, server: Server, turn: int, measure: Callable[[], Mapping[str, float]]
    ) -> None:
        """Add what `measure` returns, or the fault it raises."""
        try:
            self.add(Reading(line.name, server.label, turn, measure()))
        except FAULTS as fault:
            self.add(
                Reading(line.name, server.label, turn, failure=f"{type(fault).__name__}: {fault}")
            )

    @contextmanager
    def standing(
        self,
        servers: Iterable[Server],
        lines: Iterable[Line],
        prepare: Callable[[Server], None],
    ) -> Iterator[list[Server]]:
        """Start and prepare them all, yield those that came up, stop and wipe them at the end.

        One that fails is reported under each of the lines.
        """
        with ExitStack() as stack:
            up = []
            for server in servers:
                stack.callback(server.wipe)
                stack.callback(server.stop)
                try:
                    server.start()
                    server.make_namespace(NAMESPACE)
                    prepare(server)
                    up.append(server)
                except FAULTS as fault:
                    for line in lines:
                        failure = f"{type(fault).__name__}: {fault}"
                        self.add(Reading(line.name, server.label, 0, failure=failure))
            os.sync()
            yield up

    def turns(
        self, lines: Sequence[Line], servers: Sequence[Server]
    ) -> Iterator[tuple[Line, Server, int]]:
        """Line by line, round by round, server by server."""
        for line in lines:
            for turn in range(self.settings.rounds):
                for server in servers:
                    yield line, server, turn


def shares(count: int) -> list[int]:
    """`count` connections over at most one generator process a core."""
    processes = min(count, CORES)
    return [count // processes + (index < count % processes) for index in range(processes)]


@dataclass(frozen=True, slots=True)
class Measured:
    """A turn's outcome with what the server used for it, and what idle neighbours used meanwhile.

    `others_share` is the part of all cores' time (0 to 1) that went to anything else than server, neighbours and
    generator: the kernel's own threads, and whatever disturbs the measurement.
    """

    total: Total
    cpu_seconds: float
    neighbours_cpu_seconds: float
    others_share: float

    def company(self) -> dict[str, float]:
        """Who else used the cores, as measures."""
        return {"neighbours_cpu_s": self.neighbours_cpu_seconds, "others_share": self.others_share}


def measured(
    jobs: Sequence[Job], server: Server, neighbours: Sequence[Server], limit_seconds: float
) -> Measured:
    """Drive the jobs against one server and watch all of them."""

    def clocks() -> dict[str, float]:
        busy = {_MACHINE: procfs.busy_seconds(), _WALL: time.perf_counter()}
        return busy | {each.label: each.cpu_seconds() for each in {server, *neighbours}}

    outcome, before, after = drive(jobs, limit_seconds=limit_seconds, measured=clocks)
    used = {name: after[name] - before[name] for name in before}
    machine, wall, own = used.pop(_MACHINE), used.pop(_WALL), used.pop(server.label)
    rest = machine - own - sum(used.values()) - outcome.cpu_seconds
    return Measured(outcome, own, sum(used.values()), max(0.0, rest) / (wall * CORES))


def memory_values(peak: procfs.Memory) -> dict[str, float]:
    """Memory as measures, MiB."""
    return {
        "rss_mib": peak.rss / MIB,
        "rss_process_mib": peak.rss_max / MIB,
        "pss_mib": peak.pss / MIB,
        "pss_process_mib": peak.pss_max / MIB,
    }


def byte_values(result: Measured) -> dict[str, float]:
    """Rate and CPU of a turn that moved bytes.

    Raises:
        BadAnswer: there were errors, or nothing moved.
    """
    total = result.total
    if total.errors or not total.units:
        raise BadAnswer(f"{total.errors} errors, the first: {total.first_error}")
    return {
        "rate": total.units / MIB / total.seconds,
        "cpu_s_per_gib": result.cpu_seconds / (total.units / GIB),
        "generator_cpu_s_per_gib": total.cpu_seconds / (total.units / GIB),
        **result.company(),
    }
