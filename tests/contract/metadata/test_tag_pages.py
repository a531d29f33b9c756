"""Pages of tags at any offset, on both engines: the same as of a plain list, whatever was remembered and changed between."""

import random

import pytest
from access_world import add_repository

from entrepot.metadata import counters, manifests, namespaces, tag_pages, tag_places, tags
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import now
from entrepot.metadata.tag_pages import TagFilter, tags_page
from entrepot.metadata.tag_rows import TagOrder, tag_rows
from entrepot.model.ids import Micros, RepositoryId
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse

TYPE = "application/vnd.oci.image.index.v1+json"


class Book:
    """A repository's tags, and the plain list they ought to be."""

    def __init__(self, world) -> None:
        self.db = world.db
        self.repository = RepositoryId(add_repository(world, "team/book"))
        self.names: set[str] = set()
        self.pushed: list[str] = []
        self.numbers = [self._manifest(payload) for payload in (b"", b" ")]

    def _manifest(self, padding):
        payload = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % TYPE.encode() + padding
        self.digest = str(Digest.of(payload))

        def write(conn):
            return manifests.insert(
                conn,
                self.repository,
                Digest.of(payload),
                manifest=parse(TYPE, payload),
                payload=payload,
                at=Micros(now(conn)),
            )

        return self.db.write_sync(write)

    def add(self, *wanted, manifest=0):
        """As a push does it."""

        def write(conn):
            at = Micros(now(conn))
            for name in wanted:
                number = self.numbers[manifest]
                tags.set_tag(conn, self.repository, name, manifest=number, at=at, actor="t")
            new = len(set(wanted) - self.names)
            counters.add(conn, "repository", self.repository, "tags", new)
            namespaces.touch_repository(conn, self.repository, at)

        self.db.write_sync(write)
        self.names |= set(wanted)
        self.pushed = [name for name in self.pushed if name not in wanted] + sorted(wanted)

    def remove(self, name):
        def write(conn):
            tags.end(conn, self.repository, name, Micros(now(conn)))
            counters.add(conn, "repository", self.repository, "tags", -1)

        self.db.write_sync(write)
        self.names.remove(name)
        self.pushed.remove(name)

    def page(self, offset, limit, **asked):
        wanted = TagFilter(self.repository, **asked)
        rows, total = self.db.read_sync(lambda conn: tags_page(conn, wanted, Slice(offset, limit)))
        return [row.name for row in rows], total

    def pushes(self, offset, limit, *, descending):
        wanted = TagOrder(self.repository, descending=descending)
        rows, total = self.db.read_sync(lambda conn: tag_rows(conn, wanted, Slice(offset, limit)))
        assert total == len(self.names)
        return [row.name for row in rows]

    def expected(self, offset, limit, part=""):
        found = sorted(name for name in self.names if part in name)
        if part in found:
            found.remove(part)
            found.insert(0, part)
        return found[offset : offset + limit], len(found)


@pytest.fixture
def book(world, monkeypatch):
    """With bounds so small that everything about long lists happens."""
    for name, value in (("_LONG", 20), ("_STRIDE", 5), ("_PLACES", 12)):
        monkeypatch.setattr(tag_places, name, value)
    monkeypatch.setattr(tag_pages, "_AT_ONCE", 15)
    return Book(world)


@pytest.mark.parametrize("seed", range(4))
def test_pages_are_those_of_a_plain_list_whatever_happens_between(book, seed):
    chance = random.Random(seed)
    pool = [f"{letter}{number:03}" for letter in "abc" for number in range(60)]
    book.add(*chance.sample(pool, 90))
    for _ in range(120):
        match chance.randrange(7):
            case 0:
                book.add(chance.choice(pool), manifest=chance.randrange(2))
            case 1 if book.names:
                gone = chance.choice(sorted(book.names))
                book.remove(gone)
                if chance.random() < 0.5:  # as many as before
                    book.add(chance.choice(sorted(set(pool) - book.names)))
            case 2:
                part = chance.choice(["a", "b0", "00", "c01", "1", "x", min(book.names)])
                offset, limit = chance.randrange(40), chance.randrange(1, 30)
                assert book.page(offset, limit, name=part) == book.expected(offset, limit, part)
            case 3:
                offset, limit = chance.randrange(len(book.names) + 5), chance.randrange(1, 15)
                for descending in (True, False):
                    order = book.pushed[::-1] if descending else book.pushed
                    found = book.pushes(offset, limit, descending=descending)
                    assert found == order[offset : offset + limit]
            case _:
                offset, limit = chance.randrange(len(book.names) + 5), chance.randrange(1, 15)
                assert book.page(offset, limit) == book.expected(offset, limit)


def test_a_loop_in_either_direction_sees_each_row_once(book):
    book.add(*(f"t{number:04}" for number in range(300)))
    for order in (range(0, 300, 7), range(294, -1, -7)):
        pages = {offset: book.page(offset, 7)[0] for offset in order}
        assert [name for offset in sorted(pages) for name in pages[offset]] == sorted(book.names)
    assert book.page(0, 2**31) == (sorted(book.names), 300)
    assert book.page(300, 7) == ([], 300)
    assert book.page(10**9, 7) == ([], 300)


def test_a_page_behind_a_known_place_is_not_counted_from_the_start(book, monkeypatch):
    walked = []
    forward = tag_places._Walk.forward

    def counted(walk, conn, size, *, start, skip):
        walked.append(skip)
        return forward(walk, conn, size, start=start, skip=skip)

    monkeypatch.setattr(tag_places._Walk, "forward", counted)
    monkeypatch.setattr(tag_places, "_PLACES", 100)
    book.add(*(f"t{number:04}" for number in range(300)))
    for offset in range(0, 120, 4):
        book.page(offset, 4)

    assert max(walked) <= 5 + 4


def test_the_exact_match_is_the_first_of_its_page_only(book):
    book.add("1.0", "0-1.0", "1.0-rc", "2.0")
    for limit in (1, 2, 5):
        rows, total = [], 3
        for offset in range(0, 4, limit):
            page, said = book.page(offset, limit, name="1.0")
            assert said == total
            rows += page
        assert rows == ["1.0", "0-1.0", "1.0-rc"]
    assert book.page(0, 5, name="1.0", is_exact=True) == (["1.0"], 1)
    assert book.page(1, 5, name="1.0", is_exact=True) == ([], 1)
    assert book.page(0, 5, name="1.", is_exact=True) == ([], 0)


def test_digests_are_asked_for_with_and_without_a_name(book):
    book.add("a", "ab", "abc")
    book.add("b", "bab", manifest=1)
    assert book.page(0, 9, digest=book.digest) == (["b", "bab"], 2)
    assert book.page(0, 9, digest=book.digest, name="ab") == (["bab"], 1)
    assert book.page(0, 9, digest=book.digest, name="a", is_exact=True) == ([], 0)
    assert book.page(1, 1, digest=book.digest) == (["bab"], 2)
