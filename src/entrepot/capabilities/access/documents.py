"""Policy documents: what is stored as written, read into statements the evaluator understands.

A dialect brings a `Vocabulary`: how its documents are read, what it calls our permissions, and how it names a resource. Bootstrap
gives all of them to `Vocabularies`. A document that cannot be read denies its user everything: a policy may be a prohibition.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from entrepot.capabilities.access.conditions import (
    ALWAYS,
    NO_FACTS,
    NO_NEEDS,
    Condition,
    Conditions,
    Need,
)
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.model.access import NO_NAMES, Fact, Naming, Permission, Resource
from entrepot.model.ids import Micros

MAX_DOCUMENT = 64 * 1024  # characters
MAX_STATEMENTS = 256
_CACHED_DOCUMENTS = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


class DocumentInvalid(ValueError):
    """The policy document cannot be read; the text says why and where."""


def read_json(text: str) -> Any:
    """What a document says. Raises DocumentInvalid: it is too long, no JSON, says a thing twice (of two effects a reader could choose),
    or has half a character, which nobody could be shown."""
    if len(text) > MAX_DOCUMENT:
        raise DocumentInvalid(f"a policy document is at most {MAX_DOCUMENT} characters")
    try:
        read = json.loads(text, object_pairs_hook=_once)
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DocumentInvalid("it has half of a surrogate pair, which is no character") from None
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(str(error)) from error
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentInvalid("a member of an object is there twice")
    return found


class Effect(StrEnum):
    """What a statement does where it applies."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of a document, with the words of its own dialect."""

    effect: Effect
    actions: tuple[Wildcard, ...]
    resources: tuple[Wildcard, ...]
    conditions: Condition = ALWAYS


@dataclass(frozen=True, slots=True)
class Preset:
    """A policy that every tenant has from the start; nobody changes or deletes it."""

    name: str
    dialect: str
    document: str
    description: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A dialect's words as data.

    `parse` raises DocumentInvalid; so does `check`, which looks at what only the tenant can tell. `resources`: the names of a resource
    under an operation ("" for none), any of which may match.

    `actions`: what the dialect calls each permission. A denial takes a permission if it matches any of the words, an allowance gives it
    if it matches any, or with `needs_all` all of them. A permission without words cannot be given or taken by such documents. Where the
    caller's operation begins with `prefix`, it is the only word that counts, whatever the permission. `denials`: further words by which a
    denial takes a permission.

    `is_caseless`: patterns and words are in lower case, and operations are put so. `needs_names`: `resources` reads the `Naming`.
    """

    dialect: str
    parse: Callable[[str], tuple[Statement, ...]]
    actions: Mapping[Permission, tuple[str, ...]]
    resources: Callable[[Resource, Naming, str], Iterable[str]]
    check: Callable[[tuple[Statement, ...], Naming], None] = lambda _statements, _naming: None
    prefix: str = ""
    denials: Mapping[Permission, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    needs_all: bool = False
    is_caseless: bool = False
    needs_names: bool = False
    presets: tuple[Preset, ...] = ()

    def names(self, operation: str) -> bool:
        """Whether the operation is one of the dialect's own."""
        return bool(self.prefix) and operation.startswith(self.prefix)

    def words(self, permission: Permission, operation: str, effect: Effect) -> tuple[str, ...]:
        """What a statement must name, to speak of this permission in this operation."""
        if self.names(operation):
            return (operation.lower() if self.is_caseless else operation,)
        words = self.actions.get(permission, ())
        return words if effect is Effect.ALLOW else words + self.denials.get(permission, ())


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """A statement with the vocabulary that says what its words mean. `region`: it counts only there; "": everywhere."""

    statement: Statement
    vocabulary: Vocabulary
    region: str = ""

    def is_about(
        self,
        permission: Permission,
        operation: str = "",
        published: frozenset[Fact] = NO_FACTS,
    ) -> bool:
        """Whether its actions name this permission. `published`: what the request makes public; a denial that asks for that is about it
        whatever is done, unless the dialect itself has a name for what is done."""
        effect = self.statement.effect
        if published and effect is Effect.DENY and not self.vocabulary.names(operation):
            asks = self.statement.conditions.about
            if not asks.isdisjoint(published):
                return True
        words = self.vocabulary.words(permission, operation, effect)
        named = [any(p.matches(word) for p in self.statement.actions) for word in words]
        if self.vocabulary.needs_all and effect is Effect.ALLOW:
            return bool(named) and all(named)
        return any(named)

    def is_on(self, names: Iterable[str]) -> bool:
        """Whether its resources name a thing that is called by any of these names."""
        return any(p.matches(name) for name in names for p in self.statement.resources)


# -- our own dialect --------------------------------------------------------------------------------------------------


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    effect: Effect
    actions: list[str]
    resources: list[str]
    source: list[str] = []
    not_before: datetime | None = None
    not_after: datetime | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    statements: list[_Rule]


def parse_native(text: str) -> tuple[Statement, ...]:
    """Read `{"statements": [{"effect", "actions", "resources", "source"?, "not_before"?, "not_after"?}]}`.

    Actions are names of `Permission`, resources `namespace`, `namespace/repository` or `*` for the whole tenant, all with `*`;
    `source` lists networks, the times are RFC 3339 with a zone. Unknown fields and actions that match nothing are errors: a
    misspelt prohibition must not be silently void. Raises DocumentInvalid.
    """
    try:
        document = msgspec.convert(read_json(text), _Document)
        if len(document.statements) > MAX_STATEMENTS:
            raise DocumentInvalid(f"a policy has at most {MAX_STATEMENTS} statements")
        return tuple(_statement(rule) for rule in document.statements)
    except (msgspec.ValidationError, ValueError) as error:
        raise DocumentInvalid(str(error)) from error


def _statement(rule: _Rule) -> Statement:
    actions = tuple(map(Wildcard.parse, rule.actions))
    for action in actions:
        if not any(action.matches(permission) for permission in Permission):
            raise DocumentInvalid(f"no action is called {action}")
    return Statement(
        effect=rule.effect,
        actions=actions,
        resources=tuple(map(Wildcard.parse, rule.resources)),
        conditions=Conditions(
            sources=tuple(map(ip_network, rule.source)),
            not_before=_moment(rule.not_before),
            not_after=_moment(rule.not_after),
        ),
    )


def _moment(value: datetime | None) -> Micros | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise DocumentInvalid("a time needs its zone, such as 2026-01-31T00:00:00Z")
    return Micros((value - _EPOCH) // timedelta(microseconds=1))


def _native_resources(resource: Resource, _naming: Naming, _operation: str) -> tuple[str, ...]:
    if resource.namespace_name and resource.path:
        return (f"{resource.namespace_name}/{resource.path}",)
    return (resource.namespace_name,)  # empty for a tenant: only "*" matches it


NATIVE = Vocabulary(
    dialect="entrepot",
    parse=parse_native,
    actions=MappingProxyType({permission: (permission.value,) for permission in Permission}),
    resources=_native_resources,
)


# -- all dialects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of documents says.

    `is_readable` False: at least one could not be read, so everything is denied. `needs`: what must be looked up before it is judged.
    """

    statements: tuple[BoundStatement, ...] = ()
    is_readable: bool = True
    needs: frozenset[Need] = NO_NEEDS

    def __add__(self, other: "Reading") -> "Reading":
        return Reading(
            self.statements + other.statements,
            self.is_readable and other.is_readable,
            self.needs | other.needs,
        )

    def only_in(self, region: str) -> "Reading":
        """The same, counting only there."""
        here = tuple(replace(bound, region=region) for bound in self.statements)
        return Reading(here, self.is_readable, self.needs | {Need.NAMES})


NO_POLICIES = Reading()


@dataclass(frozen=True)
class Vocabularies:
    """Every dialect this process can read; parsed documents are remembered."""

    vocabularies: tuple[Vocabulary, ...] = (NATIVE,)
    _parsed: Callable[[str, str], Reading] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {vocabulary.dialect: vocabulary for vocabulary in self.vocabularies}

        @lru_cache(maxsize=_CACHED_DOCUMENTS)
        def parsed(dialect: str, document: str) -> Reading:
            vocabulary = by_name.get(dialect)
            if vocabulary is None:
                log.error("policy unreadable", dialect=dialect, reason="unknown dialect")
                return Reading(is_readable=False)
            try:
                statements = vocabulary.parse(document)
            except DocumentInvalid as error:
                log.error("policy unreadable", dialect=dialect, reason=str(error)[:300])  # noqa: TRY400
                return Reading(is_readable=False)
            needs = NO_NEEDS.union(*(statement.conditions.needs for statement in statements))
            if vocabulary.needs_names and any(map(_names_something, statements)):
                needs |= {Need.NAMES}
            return Reading(tuple(BoundStatement(s, vocabulary) for s in statements), needs=needs)

        object.__setattr__(self, "_parsed", parsed)

    def read(self, documents: Iterable[tuple[str, str]]) -> Reading:
        """The statements of all (dialect, document) pairs."""
        return sum((self._parsed(*document) for document in documents), NO_POLICIES)

    def check(self, dialect: str, document: str, naming: Naming = NO_NAMES) -> None:
        """Whether a document may be stored, by a tenant of these names. Raises DocumentInvalid."""
        for vocabulary in self.vocabularies:
            if vocabulary.dialect == dialect:
                vocabulary.check(vocabulary.parse(document), naming)
                return
        raise DocumentInvalid(f"no policy dialect is called {dialect}")

    @cached_property
    def presets(self) -> dict[str, Preset]:
        """Every dialect's presets, by name."""
        return {preset.name: preset for v in self.vocabularies for preset in v.presets}


def _names_something(statement: Statement) -> bool:
    return any(str(pattern) != "*" for pattern in statement.resources)
