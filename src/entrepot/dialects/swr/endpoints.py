"""Which method and path does which operation, and how a request's path finds it (swr-behaviour section 1).

The raw path is split at `/` before anything is decoded. A repository's name has `$` or `%2F` where it has a slash.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import unquote_to_bytes

from entrepot.dialects.operation import Operation

C = TypeVar("C")
R = TypeVar("R")
AnyEndpoint: TypeAlias = "Endpoint[Any, Any]"

REPOSITORY: Final = "{repository}"
BODIED: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods whose body is read. GET's is ignored."""
MAX_BODY: Final = 256 * 1024
"""Bytes of a body, where a row says nothing else: the longest list of grants and the longest description are below, and far
below the 12 MB that the vendor takes of signed requests."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[C, R]):
    """One row of the API.

    `path`: with `{names}` of the request's fields. `status`: of success; 204 has no body. `action`: what identity policies call it.
    `array`: the request's field that the whole body is. `filters`: keys that the combined `filter` parameter may have.
    `wrong`: codes for values of fields that have one of their own. `in_query`: parameters of a POST that come there. `most`: bytes of its body.
    `gives`: the repository whose manifests an answer tells, empty where it tells none: that is a pull.
    """

    method: str
    path: str
    operation: Operation[C, R]
    action: str
    status: int = 200
    array: str = ""
    filters: frozenset[str] = frozenset()
    wrong: Mapping[str, str] = field(default_factory=dict)
    in_query: bool = False
    most: int = MAX_BODY
    gives: Callable[[R], str] = field(default=lambda _: "")

    @property
    def names(self) -> tuple[str, ...]:
        """The request's fields that the path says."""
        return tuple(part[1:-1] for part in _parts(self.path) if _is_name(part))

    @property
    def group(self) -> str:
        """The module it is in: what it is about."""
        return self.operation.request.__module__.rpartition(".")[2]


@dataclass(slots=True)
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    named: "_Node | None" = None
    name: str = ""
    here: dict[str, AnyEndpoint] = field(default_factory=dict)  # by method


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path. `values`: of its names, in their order."""

    by_method: Mapping[str, AnyEndpoint]
    values: tuple[str, ...]


class Paths:
    """Where each path leads. A word of the API goes before a name."""

    def __init__(self, endpoints: Iterable[AnyEndpoint]) -> None:
        """Raises ValueError where two rows have the same method and path, or call the same place by two names."""
        self._root = _Node()
        for endpoint in endpoints:
            node = self._root
            for part in _parts(endpoint.path):
                node = _below(node, part)
            if endpoint.method in node.here:
                raise ValueError(f"{endpoint.method} {endpoint.path} is there twice")
            node.here[endpoint.method] = endpoint

    def find(self, path: bytes) -> Found | None:
        """What is at a request's path, encoded as it was sent; None: nothing."""
        node: _Node | None = self._root
        values: list[str] = []
        for raw in path.split(b"/")[1:]:
            part = _decoded(raw)
            if node is None or not part:
                return None
            following = node.literal.get(part)
            if following is None:
                following = node.named
                values.append(
                    part.replace("$", "/") if following and following.name == REPOSITORY else part
                )
            node = following
        return Found(node.here, tuple(values)) if node is not None and node.here else None


def _parts(path: str) -> list[str]:
    return path.split("/")[1:]


def _is_name(part: str) -> bool:
    return part.startswith("{")


def _below(node: _Node, part: str) -> _Node:
    if not _is_name(part):
        return node.literal.setdefault(part, _Node())
    if node.named is None:
        node.named = _Node(name=part)
    if node.named.name != part:
        raise ValueError(f"{part} and {node.named.name} are in the same place")
    return node.named


def _decoded(raw: bytes) -> str | None:
    """None for what is no text, and for what no name has."""
    try:
        part = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in part else part
