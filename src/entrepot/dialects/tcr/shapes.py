"""Shapes that many actions share: names, paging, tags, filters, and an answer that says nothing."""

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from entrepot.capabilities.content.place import Place
from entrepot.dialects.operation import Asked
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.model.errors import NameInvalid, ValueInvalid
from entrepot.oci.reference import NameSyntaxError, RepositoryName

Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
Limit: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)] | None
Offset: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)] | None
MAX_FILTERS = 10
MAX_FILTER_VALUES = 50


class Asks(Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """What a client sends. A field without default is required."""


class Answers(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a client gets."""


class OfRegistry(Asks, frozen=True, kw_only=True):
    """A request about one instance: the wire finds it, and refuses what is not there for this tenant."""

    registry_id: Text


class Nothing(Answers, frozen=True, kw_only=True):
    """Done, and nothing to say."""

    @classmethod
    def of(cls, _result: Any, _asked: Asked) -> "Nothing":
        """Whatever the use case gave."""
        return cls()


class Echo(Answers, frozen=True, kw_only=True):
    """Done; the instance's id again."""

    registry_id: str

    @classmethod
    def of(cls, _result: Any, asked: Asked) -> "Echo":
        """Whatever the use case gave."""
        return cls(registry_id=asked.instance.public_id)


class Tag(Struct, frozen=True, rename="pascal"):
    """A key and value that people put on things."""

    key: Text
    value: Text


class TagSpecification(Struct, frozen=True, rename="pascal"):
    """Tags of a thing of the kind `resource_type`."""

    resource_type: Text
    tags: list[Tag]

    def pairs(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Keys and values, if they are for things of that kind."""
        if self.resource_type != kind:
            raise ValueInvalid("TagSpecification.ResourceType", f"expected {kind}")
        pairs = tuple((tag.key, tag.value) for tag in self.tags)
        if len(dict(pairs)) != len(pairs):
            raise ValueInvalid("TagSpecification.Tags", "a key is given twice")
        return pairs


def specification(kind: str, pairs: tuple[tuple[str, str], ...]) -> TagSpecification:
    """Tags as they are told."""
    return TagSpecification(kind, [Tag(key, value) for key, value in pairs])


class Filter(Struct, frozen=True, rename="pascal"):
    """One of the values must hold."""

    name: Text
    values: Annotated[list[Text], Meta(max_length=MAX_FILTER_VALUES)]


Filters: TypeAlias = Annotated[list[Filter], Meta(max_length=MAX_FILTERS)] | None


def filters(given: list[Filter] | None, known: frozenset[str]) -> dict[str, list[str]]:
    """Values by filter name. Raises Refusal for a filter that is not known."""
    found: dict[str, list[str]] = {}
    for one in given or ():
        if one.name not in known:
            names = ", ".join(sorted(known))
            raise Refusal("InvalidParameter", f"no filter is called {one.name[:100]!r}: {names}")
        found.setdefault(one.name, []).extend(one.values)
    return found


def tag_pair(text: str) -> tuple[str, str]:
    """`key:value` of a filter for tags."""
    key, colon, value = text.partition(":")
    if not colon:
        raise ValueInvalid("Filters.Tags", "expected key:value")
    return key, value


def place(asked: Asked, namespace: str, repository: str) -> Place:
    """The repository's address in the instance asked for. Raises NameInvalid for what no repository is called."""
    name = f"{namespace}/{repository}"
    try:
        parsed = RepositoryName.parse(name)
    except NameSyntaxError as error:
        raise NameInvalid(name[:300], "namespace and repository name, lower case") from error
    if parsed.namespace != namespace:
        raise NameInvalid(namespace[:300], "a namespace's name has no slash")
    return Place(asked.instance, parsed)
