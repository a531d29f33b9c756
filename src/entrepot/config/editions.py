"""Editions of instances as a setting says them: `premium namespaces=500 replicas=10 signatures`."""

import re
from dataclasses import dataclass
from typing import Final, Self

RESOURCES: Final = (
    "namespaces",
    "repositories",
    "tokens",
    "accounts",
    "triggers",
    "rules",
    "links",
    "allow_list_entries",
    "domains",
    "replicas",
)
"""What an edition can limit, counted in one instance."""

FEATURES: Final = ("replication", "signatures", "acceleration")
"""What an edition can bring."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LIMIT: Final = re.compile(r"([a-z_]+)=([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Edition:
    """What an instance may have, as (resource, limit) pairs and features. A resource without a limit is unlimited; 0 allows none."""

    name: str
    limits: tuple[tuple[str, int], ...] = ()
    features: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a malformed name, and for words that are no resource, no feature or said twice."""
        name, *words = text.split() or [""]
        if _NAME.fullmatch(name) is None:
            raise ValueError("expected an edition such as: basic namespaces=50 tokens=100")
        limits: dict[str, int] = {}
        features: set[str] = set()
        for word in words:
            resource, limit = _limit(word)
            if resource in limits or resource in features:
                raise ValueError(f"expected {resource} once")
            if limit is None:
                features.add(resource)
            else:
                limits[resource] = limit
        return cls(name, tuple(limits.items()), frozenset(features))

    def limit(self, resource: str) -> int | None:
        """Of a name in `RESOURCES`; None: unlimited."""
        return next((limit for name, limit in self.limits if name == resource), None)

    def __str__(self) -> str:
        limits = [f"{resource}={limit}" for resource, limit in self.limits]
        return " ".join([self.name, *limits, *(f for f in FEATURES if f in self.features)])


def _limit(word: str) -> tuple[str, int | None]:
    """A resource with its limit, or a feature."""
    match = _LIMIT.fullmatch(word)
    if match is not None and match[1] in RESOURCES:
        return match[1], int(match[2])
    if word in FEATURES:
        return word, None
    raise ValueError(
        f"expected limits of {', '.join(RESOURCES)} and features out of {', '.join(FEATURES)}"
    )
