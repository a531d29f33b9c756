"""One generator process: `python -m bench.load`, a job on standard input."""

import sys
from collections.abc import Callable

import msgspec

from bench.load import crowd, pulls, pushes, requests
from bench.load.jobs import Crowd, Job, Outcome, Pull, Push, Requests


def _gate() -> None:
    """Say that everything is prepared, and wait for the start."""
    print("ready", flush=True)
    if sys.stdin.readline().strip() != "go":
        sys.exit("the starter is gone")


def _run(job: Job, gate: Callable[[], None]) -> Outcome:
    match job:
        case Requests():
            return requests.run(job, gate)
        case Pull():
            return pulls.run(job, gate)
        case Push():
            return pushes.run(job, gate)
        case Crowd():
            return crowd.run(job, gate)


if __name__ == "__main__":
    task = msgspec.json.decode(sys.stdin.readline(), type=Job)
    print(msgspec.json.encode(_run(task, _gate)).decode(), flush=True)
