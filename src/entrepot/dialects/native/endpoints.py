"""Which method and path does which operation, and how a request's path finds it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import unquote_to_bytes

from entrepot.dialects.operation import Operation

C = TypeVar("C")
R = TypeVar("R")
AnyEndpoint: TypeAlias = "Endpoint[Any, Any]"

PREFIX: Final = "/api/v1"
BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose parameters come in a body; the others have them in the query."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[C, R]):
    """One row of the API. `path`: below the prefix, with `{names}` of the request's fields; `status`: of success, 204 says nothing."""

    method: str
    path: str
    operation: Operation[C, R]
    status: int = 200

    @property
    def names(self) -> tuple[str, ...]:
        """The request's fields that the path says."""
        return tuple(_name(part) for part in _parts(self.path) if _is_name(part))

    @property
    def group(self) -> str:
        """The module it is in: what it is about."""
        return self.operation.request.__module__.rpartition(".")[2]


@dataclass(slots=True)
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    named: "_Node | None" = None
    here: dict[str, AnyEndpoint] = field(default_factory=dict)  # by method


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path. `values`: of its names, in their order."""

    by_method: Mapping[str, AnyEndpoint]
    values: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What an `Allow` field says."""
        heads = {"HEAD"} if "GET" in self.by_method else set()
        return ", ".join(sorted({*self.by_method, *heads}))


class Paths:
    """Where each path leads."""

    def __init__(self, endpoints: Iterable[AnyEndpoint]) -> None:
        """Raises ValueError where two rows have the same method and path."""
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
        for raw in path.removeprefix(PREFIX.encode()).split(b"/")[1:]:
            part = _decoded(raw)
            if not part or node is None:
                return None
            following = node.literal.get(part)
            if following is None:
                following = node.named
                values.append(part)
            node = following
        return Found(node.here, tuple(values)) if node is not None and node.here else None


def _parts(path: str) -> list[str]:
    return path.split("/")[1:]


def _is_name(part: str) -> bool:
    return part.startswith("{")


def _name(part: str) -> str:
    return part[1:-1]


def _below(node: _Node, part: str) -> _Node:
    if not _is_name(part):
        return node.literal.setdefault(part, _Node())
    node.named = node.named or _Node()
    return node.named


def _decoded(raw: bytes) -> str:
    """Empty for what is no text."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return ""
