"""What clients say in query and headers, parsed at the edge: digests, pages, ranges, chunks."""

import re
from dataclasses import dataclass
from functools import lru_cache

from entrepot.capabilities.content.pulling import Page
from entrepot.capabilities.content.uploading import Chunk
from entrepot.http.messages import BadQuery, Request
from entrepot.model.errors import (
    DigestInvalid,
    PageInvalid,
    RangeInvalid,
    TagInvalid,
    ValueInvalid,
)
from entrepot.oci.digest import Algorithm, Digest, DigestSyntaxError, parse_algorithm
from entrepot.oci.reference import TagSyntaxError, parse_reference, parse_tag

_BYTE_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CHUNK = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?")
_NUMBER = re.compile(r"[0-9]{1,9}")
MAX_TAGS = 100


def query_of(request: Request) -> dict[str, list[str]]:
    """The parameters. Raises ValueInvalid."""
    try:
        return request.query
    except BadQuery as error:
        raise ValueInvalid("query", str(error)) from error


@lru_cache(maxsize=4096)
def digest_of(text: str) -> Digest:
    """Raises DigestInvalid."""
    try:
        return Digest.parse(text)
    except DigestSyntaxError as error:
        raise DigestInvalid(text[:200]) from error


@lru_cache(maxsize=4096)
def reference_of(text: str) -> Digest | str:
    """A digest or a tag. Raises DigestInvalid, TagInvalid."""
    try:
        return parse_reference(text)
    except DigestSyntaxError as error:
        raise DigestInvalid(text[:200]) from error
    except TagSyntaxError as error:
        raise TagInvalid(text[:200]) from error


def tags_of(values: list[str]) -> list[str]:
    """The tags of a multi-tag push, each once, in order. Raises TagInvalid, ValueInvalid."""
    if len(values) > MAX_TAGS:
        raise ValueInvalid("tag", f"more than {MAX_TAGS} tags")
    try:
        return list(dict.fromkeys(parse_tag(value) for value in values))
    except TagSyntaxError as error:
        raise TagInvalid(str(error)) from error


def algorithm_of(values: list[str] | None) -> Algorithm:
    """The `digest-algorithm` of a new session; sha256 if it is not said. Raises DigestInvalid."""
    if not values:
        return Algorithm.SHA256
    algorithm = parse_algorithm(values[0])
    if algorithm is None:
        raise DigestInvalid(values[0][:200])
    return algorithm


def page_of(query: dict[str, list[str]], most: int) -> Page:
    """`n` and `last`; `n` above the limit is cut to it. Raises PageInvalid."""
    last = query.get("last", [""])[0]
    if len(last) > 512:
        raise PageInvalid("last", last[:100])
    text = query.get("n", [str(most)])[0]
    if not _NUMBER.fullmatch(text):
        raise PageInvalid("n", text[:100])
    return Page(limit=min(int(text), most), after=last)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from `start` of a body of `total`."""

    start: int
    length: int
    total: int

    @property
    def content_range(self) -> bytes:
        """As the header says it."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.total}".encode()


def range_of(value: str, total: int) -> ByteRange | None:
    """A single byte range (RFC 9110, 14.2). None: none asked for, several, or malformed, so the whole body is sent.

    Raises RangeInvalid if it cannot be satisfied.
    """
    found = _BYTE_RANGE.fullmatch(value.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        length = min(int(last), total)
        start, end = total - length, total - 1
    else:
        start, end = int(first), min(int(last) if last else total - 1, total - 1)
        if last and int(last) < start:
            return None
    if start >= total or end < start:
        raise RangeInvalid(value[:100])
    return ByteRange(start, end - start + 1, total)


def chunk_of(request: Request) -> Chunk | None:
    """Content-Range of a chunk: `<start>-<end>`, inclusive (the specification's own form, or RFC 9110's). Raises RangeInvalid."""
    value = request.header(b"content-range")
    if not value:
        return None
    found = _CHUNK.fullmatch(value)
    if found is None:
        raise RangeInvalid(value[:100])
    start, end = int(found.group(1)), int(found.group(2))
    if end < start:
        raise RangeInvalid(value[:100])
    return Chunk(start, end - start + 1)
