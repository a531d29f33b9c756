"""Names, tags and references: grammar and limits of distribution-spec 1.1, "Pulling manifests".

The name grammar of an instance may be stricter (DESIGN section 1); that is a rule of `model.naming`.
"""

import re

from msgspec import Struct

from entrepot.oci.digest import Digest

NAME_PATTERN = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
TAG_PATTERN = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
MAX_NAME_LENGTH = 255


class NameSyntaxError(ValueError):
    """The text is no repository name."""


class TagSyntaxError(ValueError):
    """The text is no tag."""


class RepositoryName(Struct, frozen=True):
    """`<namespace>/<path>`: the first component is the namespace, the rest the repository inside it."""

    namespace: str
    path: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.path}"

    @classmethod
    def parse(cls, text: str) -> "RepositoryName":
        """Split and check. Raises NameSyntaxError, also for a name of a single component."""
        if len(text) > MAX_NAME_LENGTH or NAME_PATTERN.fullmatch(text) is None:
            raise NameSyntaxError(text[:300])
        namespace, slash, path = text.partition("/")
        if not slash:
            raise NameSyntaxError(text[:300])
        return cls(namespace, path)


def parse_tag(text: str) -> str:
    """`text` if it is a tag. Raises TagSyntaxError."""
    if TAG_PATTERN.fullmatch(text) is None:
        raise TagSyntaxError(text[:200])
    return text


def parse_reference(text: str) -> Digest | str:
    """A digest if the text has a colon, else a tag. Raises DigestSyntaxError or TagSyntaxError."""
    return Digest.parse(text) if ":" in text else parse_tag(text)
