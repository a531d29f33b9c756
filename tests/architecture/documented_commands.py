"""Pages with commands: their blocks, and how shown output is compared with what was printed.

A block is fenced as ```console, and its lines are commands (`$ `, continued by `> `) and what they print. Words after
`console` say how to run it:

- `serves`: the command stays; the next block runs when the registry is ready. A page without such a block gets a registry of its own.
- `stopped`: the registry is stopped before the block, and started again after it.
- `fails`: the last command ends with an error.
- `needs=PROGRAM,…`: run by `make test-all` only, where the programs are.

In shown output `…` stands for any text, and alone on its line for any number of lines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

_FENCE = re.compile(r"^```console *(.*)$")
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<hex>"),
    (re.compile(r"\b(sha256:)?[0-9a-f]{12,}\b"), "<hex>"),
    (re.compile(r"\bAKID\w*…?"), "<key>"),
    (re.compile(r"\b\d{9,}\b"), "<number>"),
    (re.compile(r"\b\d+([.,]\d+)? ?([kMG]i?B(/s)?|ms|s)\b"), "<measure>"),
    (re.compile("[─━]+"), "─"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, and the lines a page shows for it. `line`: where its output begins in the page, from 0."""

    text: str
    shown: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """One fence."""

    marks: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()
    commands: tuple[Command, ...] = field(default=())


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order. Raises ValueError where one does not begin with a command."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        number += 1
        if fence is None:
            continue
        end = lines.index("```", number)
        found.append(_block(fence[1].split(), lines[number:end], number))
        number = end + 1
    return found


def _block(words: Sequence[str], lines: Sequence[str], first: int) -> Block:
    needs = [word.removeprefix("needs=") for word in words if word.startswith("needs=")]
    marks = frozenset(word for word in words if not word.startswith("needs="))
    if marks - {"serves", "stopped", "fails"}:
        raise ValueError(f"unknown marks: {marks}")
    commands: list[Command] = []
    for number, line in enumerate(lines, first):
        if line.startswith("$ "):
            commands.append(Command(line[2:], (), number + 1))
        elif not commands:
            raise ValueError(f"a block does not begin with a command: {line!r}")
        elif (line == ">" or line.startswith("> ")) and not commands[-1].shown:
            last = commands[-1]
            commands[-1] = replace(last, text=f"{last.text}\n{line[2:]}", line=number + 1)
        else:
            last = commands[-1]
            commands[-1] = replace(last, shown=(*last.shown, line))
    return Block(marks, tuple(",".join(needs).split(",")) if needs else (), tuple(commands))


def plain(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return " ".join(line.split())


def difference(shown: Sequence[str], printed: Sequence[str]) -> str | None:
    """What a page shows that was not printed, or the other way round; None if they agree."""
    wanted = [plain(line) for line in shown if line.strip()]
    got = [plain(line) for line in printed if line.strip()]
    if _agree(wanted, got):
        return None
    return "\n".join(["shown:", *wanted, "printed:", *got])


def _agree(wanted: Sequence[str], got: Sequence[str]) -> bool:
    if not wanted:
        return not got
    head, rest = wanted[0], wanted[1:]
    if head == "…":
        return any(_agree(rest, got[skipped:]) for skipped in range(len(got) + 1))
    if not got:
        return False
    pattern = ".*".join(map(re.escape, head.split("…")))
    return re.fullmatch(pattern, got[0]) is not None and _agree(rest, got[1:])
