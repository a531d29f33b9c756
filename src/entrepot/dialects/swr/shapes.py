"""Shapes that many operations share: what is asked, lists, moments, and an answer that says nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeAlias

from msgspec import Meta, Struct

from entrepot.capabilities.content.place import Place
from entrepot.dialects.operation import Asked
from entrepot.http.messages import Headers
from entrepot.model.errors import NameInvalid
from entrepot.model.ids import Micros
from entrepot.oci.reference import NameSyntaxError, RepositoryName

Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
Switch: TypeAlias = Annotated[str, Meta(pattern="^(asc|desc)$")]


class Asks(Struct, frozen=True, kw_only=True):
    """What a client sends: the path's names, and the query's or the body's. A field without default is required."""

    def __repr__(self) -> str:
        """Nothing of what is in it."""
        return type(self).__name__


class OfOrganization(Asks, frozen=True, kw_only=True):
    """A request about a namespace of the shared instance."""

    namespace: str


class OfRepository(OfOrganization, frozen=True, kw_only=True):
    """A request about a repository. `repository`: with slashes."""

    repository: str

    def place(self, asked: Asked) -> Place:
        """Its address. Raises NameInvalid for what no repository is called."""
        return place(asked, self.namespace, self.repository)


class Answers(Struct, frozen=True, kw_only=True):
    """What a client gets. `whole`: the field that the document is; `beside`: fields that are not in the document."""

    whole: ClassVar[str] = ""
    beside: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Nothing of what is in it: some tell secrets."""
        return type(self).__name__

    def body(self) -> Any:
        """What becomes the JSON document."""
        return self

    def headers(self) -> Headers:
        """What is said beside it."""
        return []


class Nothing(Answers, frozen=True, kw_only=True):
    """Done, and nothing to say: `{}`, since one client wants a document."""

    @classmethod
    def of(cls, _result: Any, _asked: Asked) -> "Nothing":
        """Whatever the use case gave."""
        return cls()


class Rows(Answers, frozen=True, kw_only=True):
    """A bare array, and where it is in the whole: `Content-Range: <offset>-<rows here>/<all>`."""

    whole: ClassVar[str] = "rows"
    is_ranged: ClassVar[bool] = True
    rows: Sequence[Any]
    offset: int = 0
    total: int = 0

    def body(self) -> Any:
        """The rows."""
        return self.rows

    def headers(self) -> Headers:
        """The range."""
        if not self.is_ranged:
            return []
        said = f"{self.offset}-{len(self.rows)}/{self.total}"
        return [(b"content-range", said.encode())]


def place(asked: Asked, namespace: str, repository: str) -> Place:
    """The repository's address in the shared instance. Raises NameInvalid for what no repository is called."""
    name = f"{namespace}/{repository}"
    try:
        parsed = RepositoryName.parse(name)
    except NameSyntaxError as error:
        raise NameInvalid(name[:300], "organization and repository name, lower case") from error
    if parsed.namespace != namespace:
        raise NameInvalid(namespace[:300], "an organization's name has no slash")
    return Place(asked.instance, parsed)


def shown(at: Micros) -> str:
    """A moment in UTC, RFC 3339 with fraction and `Z`."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1_000_000:06d}Z"
