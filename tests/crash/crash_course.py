"""What the processes of a deployment told, and which of its steps are worth a kill."""

import json
from pathlib import Path
from typing import Any


class Told:
    """What the processes of a deployment told."""

    def __init__(self, folder: Path) -> None:
        file = folder / "told"
        text = file.read_text() if file.exists() else ""
        self._lines = [json.loads(line) for line in text.splitlines()]

    def all(self, name: str) -> list[Any]:
        return [line[name] for line in self._lines if name in line]


def telling(steps: list[str]) -> list[int]:
    """Without steps before which nothing changed on the disk since the step before: killed there, the same is left."""
    return [
        number
        for number, name in enumerate(steps, 1)
        if name != "before the transaction" or number in (1, len(steps))
        if (name, steps[number - 2 : number - 1]) != ("pwrite", ["pwrite half done"])
    ]


def spread(steps: list[int], most: int) -> list[int]:
    """So many of them, evenly."""
    return steps[:: max(1, -(-len(steps) // most))]
