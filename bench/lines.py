"""The catalogue: every line that is measured, its unit, and the goal of DESIGN §10 beside distribution v3.1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

GOAL_PEER = "distribution-v3"
ANY = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    `measure` names the value that is compared; `goals` maps our number of processes (ANY: whichever) to the ratio to
    reach beside GOAL_PEER (at least it where higher is better); `cpu_goal` is the ratio CPU must not pass;
    `limits` maps measures to absolute bounds for us.
    """

    name: str
    group: str
    title: str
    measure: str
    unit: str
    higher_is_better: bool = True
    cpu_measure: str | None = None
    goals: Mapping[int, float] = field(default_factory=dict)
    cpu_goal: float | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def goal(self, processes: int) -> float | None:
        """The ratio that this number of our processes has to reach."""
        return self.goals.get(processes, self.goals.get(ANY))


def _requests(name: str, title: str, goals: Mapping[int, float]) -> Line:
    return Line(name, "small", title, "rate", "requests/s", cpu_measure="cpu_us", goals=goals)


def _bytes(
    name: str, group: str, title: str, goal: float | None, cpu_goal: float | None = None
) -> Line:
    return Line(
        name,
        group,
        title,
        "rate",
        "MiB/s",
        cpu_measure="cpu_s_per_gib",
        goals={} if goal is None else {ANY: goal},
        cpu_goal=cpu_goal,
    )


def _crowd(name: str, title: str) -> Line:
    bounds = {"errors": 0.0, "rss_process_mib": 150.0}
    return Line(name, "crowd", title, "rate", "MiB/s", cpu_measure="cpu_s_per_gib", limits=bounds)


def _pages(name: str, title: str) -> tuple[Line, ...]:
    """First, middle and last page; DESIGN §5 bounds the slowest of a hundred."""
    return tuple(
        Line(
            f"{name}-{position}",
            "lists",
            f"{title}, {position} page of 100",
            "p50_ms",
            "ms (p50)",
            higher_is_better=False,
            cpu_measure="cpu_us",
            limits={"p99_ms": 50},
        )
        for position in ("first", "middle", "last")
    )


def _calls(name: str, title: str) -> Line:
    return Line(name, "api", title, "rate", "requests/s", cpu_measure="cpu_us")


def _million(name: str, title: str, bound: float) -> Line:
    return Line(
        name,
        "api",
        title,
        "p50_ms",
        "ms (p50)",
        higher_is_better=False,
        cpu_measure="cpu_us",
        limits={"p99_ms": bound},
    )


LINES: tuple[Line, ...] = (
    _requests("manifest-tag", "manifest GET by tag", {1: 4.0, 2: 5.0}),
    _requests("manifest-digest", "manifest GET by digest", {1: 4.0, 2: 5.0}),
    _requests("manifest-head", "manifest HEAD by tag", {1: 4.0, 2: 5.0}),
    _requests("blob-head", "blob HEAD", {1: 3.0}),
    _requests("blob-1k", "blob GET 1 KiB", {1: 10.0}),
    _bytes("large-1", "large", "large blob GET x1", 0.95, 0.85),
    _bytes("large-4", "large", "large blob GET x4", 1.0, 0.6),
    _bytes("large-16", "large", "large blob GET x16", 1.0, 0.6),
    _bytes(
        "large-16-discard", "large", "large blob GET x16, discarded in the client's kernel", None
    ),
    _bytes("tls-1", "tls", "large blob GET x1, TLS", 1.0),
    _bytes("tls-4", "tls", "large blob GET x4, TLS", 1.0),
    _bytes("tls-16", "tls", "large blob GET x16, TLS", 1.0),
    _bytes("upload-patch-1", "upload", "upload POST PATCH PUT x1", 1.4, 0.75),
    _bytes("upload-patch-4", "upload", "upload POST PATCH PUT x4", 1.4, 0.75),
    _bytes("upload-put-1", "upload", "upload POST PUT x1", 1.4, 0.75),
    _bytes("upload-put-4", "upload", "upload POST PUT x4", 1.4, 0.75),
    _bytes("upload-stream-1", "upload", "upload as Docker Engine (chunked coding) x1", 1.4, 0.75),
    _crowd("crowd", "crowd pull, plain"),
    _crowd("crowd-tls", "crowd pull, TLS"),
    Line(
        "start-empty",
        "start",
        "start to first answer, empty",
        "seconds",
        "s",
        False,
        limits={"seconds": 1.5},
    ),
    Line(
        "start-again",
        "start",
        "start to first answer, with data",
        "seconds",
        "s",
        False,
        limits={"seconds": 1.5},
    ),
    Line(
        "start-million",
        "start",
        "start to first answer, 1 M tags",
        "seconds",
        "s",
        False,
        limits={"seconds": 1.5},
    ),
    Line(
        "memory-idle",
        "start",
        "memory, idle (PSS, all processes)",
        "pss_mib",
        "MiB",
        False,
        limits={"pss_mib": 80},
    ),
    *_pages("tags", "tags/list"),
    *_pages("catalog", "catalog"),
    *_pages("referrers", "referrers"),
    _calls("api-images", "TCR DescribeImages, 20 a page"),
    _calls("api-repositories", "TCR DescribeRepositories, 20 a page"),
    _calls("api-namespace", "TCR CreateNamespace"),
    _calls("api-swr-tags", "SWR ListRepositoryTags, 20 a page"),
    _calls("api-swr-repositories", "SWR ListReposDetails, 20 a page"),
    _million("images-first", "DescribeImages at a million tags, first page", 50),
    _million("images-middle", "DescribeImages at a million tags, middle page", 50),
    _million("images-last", "DescribeImages at a million tags, last page", 50),
    _million("images-few", "DescribeImages at a million tags, substring that 20 have", 300),
    _million(
        "images-half", "DescribeImages at a million tags, substring that half of them have", 300
    ),
    _million("swr-tags-first", "ListRepositoryTags at a million tags, first page of 100", 50),
    _million("swr-tags-middle", "ListRepositoryTags at a million tags, middle page of 100", 50),
    _million("swr-tags-last", "ListRepositoryTags at a million tags, last page of 100", 50),
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(line.group for line in LINES))


def chosen(patterns: str) -> list[Line]:
    """The lines that a comma-separated list of names, groups or shell patterns names; all of them for an empty one.

    Raises:
        ValueError: a pattern names nothing.
    """
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    for pattern in wanted:
        if not any(_named(line, pattern) for line in LINES):
            raise ValueError(f"no line {pattern!r}; groups: {', '.join(GROUPS)}")
    return [line for line in LINES if not wanted or any(_named(line, each) for each in wanted)]


def _named(line: Line, pattern: str) -> bool:
    return line.group == pattern or fnmatchcase(line.name, pattern)
