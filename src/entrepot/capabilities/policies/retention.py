"""Which tags a retention policy removes: pure, from tags and rules to a verdict on each.

A tag goes when any rule removes it. A rule judges the tags that it does not exempt, by when each was last set: the newest so many,
or those of the last so many days, stay. Where two were set at the same moment the name decides, so the answer is always the same.

Tags that cosign, and clients of registries without a referrers list, name after a digest are not judged and not counted: they live as
long as what they are named after. Where no tag means that any more, nothing can go with it, so their own age decides; they are not
counted then, either. A tag that people chose is judged as its own, whatever subject the manifest states: any pusher may state one.

`Measure` remembers no more than the rules keep. Shown the tags from the newest on, it has soon seen enough; what goes is then among
the oldest. So a repository of a million tags of which few go costs little.
"""

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from entrepot.model.ids import Micros
from entrepot.model.patterns import Pattern, compile_pattern
from entrepot.model.retention import Keep, Rule, SelectorKind, TaggedImage

DAY: Final = 86_400_000_000  # microseconds
_FOLLOWER: Final = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")
_SUFFIXES: Final = ("", ".sig", ".att", ".sbom")


class Reason(StrEnum):
    """Why a tag stays or goes."""

    FOLLOWS = "follows"  # stays as long as its subject
    EXEMPT = "exempt"  # stays: every rule exempts it
    KEPT = "kept"  # stays: no rule removes it
    SURPLUS = "surplus"  # goes: there are enough newer ones
    OLD = "old"  # goes: it was not set in the last days


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one tag. `rule`: what removes it; None: it stays."""

    rule: Rule | None
    reason: Reason

    @property
    def removes(self) -> bool:
        """Whether the tag goes."""
        return self.rule is not None


Key: TypeAlias = tuple[Micros, str]
"""When a tag was set, and its name: the order in which rules keep."""


@dataclass(frozen=True, slots=True)
class _Exempt:
    """A rule's selectors, read once."""

    names: frozenset[str]
    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, rule: Rule) -> "_Exempt":
        texts: dict[SelectorKind, list[str]] = {kind: [] for kind in SelectorKind}
        for selector in rule.exempt:
            texts[selector.kind].append(selector.text)
        patterns = map(compile_pattern, texts[SelectorKind.PATTERN])
        return cls(frozenset(texts[SelectorKind.NAME]), tuple(patterns))

    def covers(self, tag: str) -> bool:
        return tag in self.names or any(one.matches_whole(tag) for one in self.patterns)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A rule, and the least of what it keeps; None: it keeps all."""

    rule: Rule
    exempt: _Exempt
    least: Key | None

    def removes(self, image: TaggedImage) -> bool:
        return self.least is not None and (image.set_at, image.tag) < self.least


@dataclass(frozen=True, slots=True)
class Judge:
    """What `Measure` made of the tags it saw: a verdict on any of them."""

    cuts: tuple[_Cut, ...]

    @property
    def end(self) -> Key | None:
        """Every tag that goes was set before this place; None: none goes."""
        return max((cut.least for cut in self.cuts if cut.least is not None), default=None)

    def verdict(self, image: TaggedImage, *, is_orphan: bool = False) -> Verdict:
        """Whether the tag stays. The first rule that removes it is named. `is_orphan`: it is named after what no tag means any more."""
        if not is_orphan and is_follower_name(image.tag):
            return Verdict(None, Reason.FOLLOWS)
        reason = Reason.EXEMPT
        for cut in self.cuts:
            if cut.exempt.covers(image.tag):
                continue
            if cut.removes(image):
                is_count = cut.rule.keep is Keep.NEWEST
                return Verdict(cut.rule, Reason.SURPLUS if is_count else Reason.OLD)
            reason = Reason.KEPT
        return Verdict(None, reason)

    def exempts(self, rule: Rule, tag: str) -> bool:
        """Whether the rule lets the tag alone: asked of what would go with another."""
        return any(cut.rule == rule and cut.exempt.covers(tag) for cut in self.cuts)


@dataclass(slots=True)
class Measure:
    """Looks at the tags of one repository, each once, in any order. Remembers as many as the rules keep by number."""

    rules: Sequence[Rule]
    now: Micros
    _exempt: list[_Exempt] = field(init=False)
    _newest: list[list[Key]] = field(init=False)  # of each rule, the least first

    def __post_init__(self) -> None:
        """Raises PatternInvalid."""
        self._exempt = [_Exempt.of(rule) for rule in self.rules]
        self._newest = [[] for _ in self.rules]

    @property
    def is_full(self) -> bool:
        """Whether older tags than those that were seen change nothing."""
        return all(
            len(newest) == rule.number
            for rule, newest in zip(self.rules, self._newest, strict=True)
            if rule.keep is Keep.NEWEST
        )

    def see(self, images: Iterable[TaggedImage]) -> None:
        """Count what the rules count."""
        counting = [
            (rule.number, exempt, newest)
            for rule, exempt, newest in zip(self.rules, self._exempt, self._newest, strict=True)
            if rule.keep is Keep.NEWEST
        ]
        for image in images:
            if is_follower_name(image.tag):
                continue
            for number, exempt, newest in counting:
                if not exempt.covers(image.tag):
                    _remember(newest, (image.set_at, image.tag), number)

    def judge(self) -> Judge:
        """For the tags that were seen."""
        measured = zip(self.rules, self._exempt, self._newest, strict=True)
        return Judge(
            tuple(
                _Cut(rule, exempt, self._least(rule, newest)) for rule, exempt, newest in measured
            )
        )

    def _least(self, rule: Rule, newest: list[Key]) -> Key | None:
        if rule.keep is Keep.RECENT:
            return (Micros(self.now - rule.number * DAY), "")
        return newest[0] if len(newest) == rule.number else None


def _remember(newest: list[Key], key: Key, number: int) -> None:
    if len(newest) < number:
        heapq.heappush(newest, key)
    elif key > newest[0]:
        heapq.heapreplace(newest, key)


def judge(images: Sequence[TaggedImage], rules: Sequence[Rule], now: Micros) -> list[Verdict]:
    """A verdict on each tag of a repository, in the order given. Raises PatternInvalid."""
    measure = Measure(rules, now)
    measure.see(images)
    found = measure.judge()
    return [found.verdict(image) for image in images]


def is_follower_name(tag: str) -> bool:
    """Whether the tag is named after a digest."""
    return _FOLLOWER.fullmatch(tag) is not None


def subject_of(tag: str) -> str | None:
    """The digest that the tag is named after; None: it is not."""
    match = _FOLLOWER.fullmatch(tag)
    return None if match is None else f"sha256:{match[1]}"


def follower_tags(digest: str) -> tuple[str, ...]:
    """Tags that are named after a manifest; none for a digest that they cannot tell."""
    name = digest.replace(":", "-", 1)
    return tuple(name + end for end in _SUFFIXES) if _FOLLOWER.fullmatch(name) else ()
