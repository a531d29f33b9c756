"""What a run says: the comparison, every figure behind it, the machine, and each server's configuration."""

import datetime as dt
import os
import platform
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.figures import Reading, Row, ratio, rows
from bench.lines import GOAL_PEER, LINES, Line
from bench.run import Run

OURS = "entrepot"
GENERATOR = (
    "Generator: bench.load (Python, raw sockets, own processes on the same cores). Small requests: one epoll loop, 32 "
    "connections, closed loop. Large bodies: recv_into a reused 1 MiB buffer, dropped; the `discard` line lets the kernel drop them "
    "(MSG_TRUNC). TLS: Python's ssl reads and decrypts. Uploads: distinct random bytes in memory, sendfile. Crowd: epoll, all connect at once."
)
FAIRNESS = (
    "Entrepot checks a token on every request, with audit and metrics on, on SQLite. The peers run without authentication, "
    "without access log and with their in-memory descriptor cache, which is in their favour. All stores lie on the same disk; "
    "`left_dirty_mib` shows what a server had not yet written out when it acknowledged the last upload."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of ours beside one peer. `met` is None where there is no goal or a figure is missing."""

    line: str
    server: str
    peer: str
    ours: float | None
    theirs: float | None
    ratio: float | None
    cpu_ratio: float | None
    goal: float | None
    met: bool | None


def machine() -> dict[str, str]:
    """The facts a figure needs beside it."""
    model = "unknown"
    for row in Path("/proc/cpuinfo").read_text().splitlines():
        if row.startswith("model name"):
            model = row.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cores": str(os.cpu_count()),
        "cpu": model,
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def processes_of(label: str) -> int:
    """How many processes a label of ours names ("entrepot, 2 processes")."""
    return int(label.split(", ")[1].split(maxsplit=1)[0])


def comparisons(table: Sequence[Row], lines: Iterable[Line] = LINES) -> list[Comparison]:
    """Each of our rows beside each peer's row of the same line."""
    found = []
    for line in lines:
        here = [row for row in table if row.line == line.name]
        for ours in (row for row in here if row.server.startswith(OURS)):
            for peer in (row for row in here if not row.server.startswith(OURS)):
                found.append(_compare(line, ours, peer))
    return found


def _compare(line: Line, ours: Row, peer: Row) -> Comparison:
    mine, theirs = ours.values.get(line.measure), peer.values.get(line.measure)
    speed, cpu = ratio(mine, theirs), None
    if line.cpu_measure is not None:
        cpu = ratio(ours.values.get(line.cpu_measure), peer.values.get(line.cpu_measure))
    goal = line.goal(processes_of(ours.server)) if peer.server == GOAL_PEER else None
    met = None
    if goal is not None and speed is not None:
        met = speed >= goal
        if line.cpu_goal is not None:
            met = met and cpu is not None and cpu <= line.cpu_goal
    return Comparison(line.name, ours.server, peer.server, mine, theirs, speed, cpu, goal, met)


@dataclass(frozen=True, slots=True)
class Bound:
    """A measure of ours beside the absolute bound of its line."""

    line: str
    server: str
    measure: str
    value: float
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the value is within it."""
        return self.value <= self.limit


def bounds(table: Iterable[Row]) -> list[Bound]:
    """Our rows beside the absolute bounds of their lines; a missing figure has none."""
    lines = {line.name: line for line in LINES}
    return [
        Bound(row.line, row.server, measure, row.values[measure], limit)
        for row in table
        if row.server.startswith(OURS)
        for measure, limit in lines[row.line].limits.items()
        if measure in row.values
    ]


def number(value: float | None) -> str:
    """Three to four digits, which is what such a measurement is worth."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def overview(table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a row for each line, a column for each server, and our ratios beside the goal's peer."""
    servers = list(dict.fromkeys(row.server for row in table))
    cells = {(row.line, row.server): row for row in table}
    ratios = [found for found in comparisons(table) if found.peer == GOAL_PEER]
    limits = bounds(table)
    body = []
    for line in LINES:
        if not any(row.line == line.name for row in table):
            continue
        figures = [_figure(line, cells.get((line.name, server))) for server in servers]
        body.append([line.title, line.unit, *figures, _verdict(line, ratios, limits)])
    return ["line", "unit", *servers, f"us / {GOAL_PEER} (goal)"], body


def _figure(line: Line, row: Row | None) -> str:
    if row is None:
        return ""
    value = row.values.get(line.measure)
    if value is None:
        return "skipped" if all(each.startswith("skipped") for each in row.failures) else "failed"
    cpu = row.values.get(line.cpu_measure) if line.cpu_measure else None
    text = number(value) if cpu is None else f"{number(value)} ({number(cpu)})"
    if "errors" in row.values:
        text += f", {row.values['errors']:.0f} errors, {number(row.values['rss_mib'])} MiB"
    return text


def _verdict(line: Line, ratios: Sequence[Comparison], limits: Sequence[Bound]) -> str:
    said = []
    for found in (each for each in ratios if each.line == line.name):
        text = f"{processes_of(found.server)}p {number(found.ratio)}"
        if found.cpu_ratio is not None:
            text += f", CPU {number(found.cpu_ratio)}"
        if found.met is not None:
            wanted = f"{found.goal:g}" + (f", CPU {line.cpu_goal:g}" if line.cpu_goal else "")
            text += f" ({wanted}: {'met' if found.met else 'MISSED'})"
        said.append(text)
    for bound in (each for each in limits if each.line == line.name):
        verdict = "kept" if bound.kept else f"{number(bound.value)}, MISSED"
        said.append(f"{processes_of(bound.server)}p {bound.measure} ≤ {bound.limit:g}: {verdict}")
    return "; ".join(said)


def markdown(run: Run, versions: Mapping[str, str], facts: Mapping[str, str], command: str) -> str:
    """The whole report as one page."""
    table = rows(run.readings)
    header, body = overview(table)
    page = [f"# Benchmark of {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC", ""]
    page += [f"`{command}`", ""]
    page += [f"- {name}: {value}" for name, value in {**facts, **versions}.items()] + [""]
    page += [
        f"Medians of {run.settings.rounds} alternating rounds of {run.settings.seconds:g} s. {GENERATOR}",
        "",
    ]
    page += [FAIRNESS, "", "In parentheses: server CPU, µs per request or s per GiB.", ""]
    page += _table(header, body)
    page += ["", "## Every figure (medians)", ""]
    page += _table(
        ["line", "server", "figures"],
        [[row.line, row.server, _figures(row)] for row in table],
    )
    page += ["", "## Notes", "", *(f"- {note}" for note in run.notes), "", "## Configuration", ""]
    for label, configuration in run.configurations.items():
        page += [f"### {label}", "", "```", configuration.rstrip(), "```", ""]
    return "\n".join(page)


def _figures(row: Row) -> str:
    said = [f"{name} {number(value)}" for name, value in row.values.items()]
    return ", ".join([*said, *(f"FAILED: {failure}" for failure in row.failures)])


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return (
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        )

    return [line(header), line("---" for _ in header), *(line(cells) for cells in body)]


class Document(msgspec.Struct, frozen=True):
    """The JSON file: every reading of every round, so that other figures can be drawn from it."""

    finished_at: str
    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, float]
    notes: list[str]
    configurations: dict[str, str]
    readings: list[Reading]
    medians: list[Row]
    comparisons: list[Comparison]
    bounds: list[Bound]


def document(run: Run, versions: dict[str, str], facts: dict[str, str], command: str) -> bytes:
    """The run as JSON."""
    table = rows(run.readings)
    settings = {name: float(getattr(run.settings, name)) for name in run.settings.__slots__}
    whole = Document(
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command,
        facts,
        versions,
        settings,
        run.notes,
        run.configurations,
        run.readings,
        table,
        comparisons(table),
        bounds(table),
    )
    return msgspec.json.format(msgspec.json.encode(whole))
