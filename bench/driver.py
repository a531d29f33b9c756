"""Starts generator processes, releases them together, and adds up what they report."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO, TypeVar

import msgspec

from bench.figures import merged
from bench.load.jobs import Job, Outcome

PREPARE_LIMIT_SECONDS = 120
T = TypeVar("T")


class DriverFailed(Exception):
    """A generator process ended early or said nothing in time; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Total:
    """The outcomes of one turn's processes taken together."""

    units: int
    seconds: float
    cpu_seconds: float
    errors: int
    first_error: str
    reconnects: int
    histogram: dict[int, int]
    extra: dict[str, float]
    note: str
    digests: tuple[str, ...]


def total(outcomes: Sequence[Outcome]) -> Total:
    """Units and errors are summed; the time is the longest, as all start together."""
    return Total(
        units=sum(each.units for each in outcomes),
        seconds=max(each.seconds for each in outcomes),
        cpu_seconds=sum(each.cpu_seconds for each in outcomes),
        errors=sum(each.errors for each in outcomes),
        first_error=next((each.first_error for each in outcomes if each.first_error), ""),
        reconnects=sum(each.reconnects for each in outcomes),
        histogram=merged(each.histogram for each in outcomes),
        extra={
            name: max(each.extra.get(name, 0.0) for each in outcomes)
            for name in dict.fromkeys(name for each in outcomes for name in each.extra)
        },
        note=outcomes[0].note,
        digests=tuple(digest for each in outcomes for digest in each.digests),
    )


def drive(
    jobs: Sequence[Job], *, limit_seconds: float, measured: Callable[[], T]
) -> tuple[Total, T, T]:
    """Run one process for each job and call `measured` right before the start and right after the end.

    Raises:
        DriverFailed: a process died, or was not done after `limit_seconds`.
    """
    processes = [_start(job) for job in jobs]
    try:
        for process in processes:
            if _out(process).readline().strip() != "ready":
                raise DriverFailed(_last_words(process))
        before = measured()
        for process in processes:
            _in(process).write("go\n")
            _in(process).flush()
        outcomes = [_outcome(process, limit_seconds) for process in processes]
        return total(outcomes), before, measured()
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def _start(job: Job) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _in(process).write(msgspec.json.encode(job).decode() + "\n")
    _in(process).flush()
    return process


def _outcome(process: subprocess.Popen[str], limit_seconds: float) -> Outcome:
    try:
        out, error = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired as expired:
        raise DriverFailed(f"the generator was not done after {limit_seconds:g} s") from expired
    if process.returncode:
        raise DriverFailed(_last_line(error))
    return msgspec.json.decode(out, type=Outcome)


def _last_words(process: subprocess.Popen[str]) -> str:
    return _last_line(process.communicate(timeout=10)[1])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "the generator ended without a word"


def _in(process: subprocess.Popen[str]) -> TextIO:
    if process.stdin is None:
        raise DriverFailed("no pipe to the generator")
    return process.stdin  # type: ignore[return-value]  # text=True makes it one; typeshed says IO[str]


def _out(process: subprocess.Popen[str]) -> TextIO:
    if process.stdout is None:
        raise DriverFailed("no pipe from the generator")
    return process.stdout  # type: ignore[return-value]  # as above
