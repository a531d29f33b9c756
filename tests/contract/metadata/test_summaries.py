"""What lists tell of many repositories at once, on both engines: names of tags within bounds, the newest first, and at what cost."""

import pytest
import sqlalchemy as sa
from access_world import add_repository

from entrepot.metadata import browsing, counters, summaries
from entrepot.metadata.schema import manifests, repositories, tags
from entrepot.model.ids import Micros


def add_tags(world, repository: int, count: int) -> None:
    """`t0` is the oldest; each is pushed one microsecond later."""

    def write(conn):
        manifest = conn.execute(
            sa.insert(manifests).values(
                repository_id=repository,
                digest=f"sha256:{repository:064}",
                media_type="x",
                annotations={},
                size=0,
                layers_size=0,
                pushed_at=1,
                payload=b"",
            )
        ).inserted_primary_key[0]
        rows = [
            {"repository_id": repository, "name": f"t{number}", "manifest_id": manifest, "valid_from": 1, "set_by": "x", "pushed_at": 10 + number}
            for number in range(count)
        ]  # fmt: skip
        if rows:
            conn.execute(sa.insert(tags), rows)
        counters.add(conn, "repository", repository, "tags", count)

    world.db.write_sync(write)


def told(world, ids, *, with_tags=True):
    def read(conn):
        return summaries.summaries(conn, browsing.details_of(conn, ids), with_tags=with_tags)

    return world.db.read_sync(read)


@pytest.fixture
def three(world):
    ids = [add_repository(world, f"team/{name}") for name in ("none", "few", "many")]
    for number, count in zip(ids, (0, 3, 40), strict=True):
        add_tags(world, number, count)
    return ids


def test_all_tags_are_told_where_they_are_few(world, three):
    none, few, many = told(world, three)
    assert (none.tags, few.tags) == ((), ("t2", "t1", "t0"))
    assert many.tags == tuple(f"t{number}" for number in reversed(range(40)))
    assert many.tag_count == 40
    assert [one.tags for one in told(world, three, with_tags=False)] == [(), (), ()]


def test_what_few_leave_is_for_the_many_and_those_tell_their_newest(world, three, monkeypatch):
    monkeypatch.setattr(summaries, "MAX_NAMES", 10)
    none, few, many = told(world, three)
    assert (none.tags, few.tags) == ((), ("t2", "t1", "t0"))
    assert (many.tags, many.tag_count) == (tuple(f"t{n}" for n in range(39, 32, -1)), 40)


def test_no_repository_tells_more_than_its_most(world, three, monkeypatch):
    monkeypatch.setattr(summaries, "MAX_TAGS_TOLD", 5)
    assert [len(one.tags) for one in told(world, three)] == [0, 3, 5]


def test_long_lists_tell_how_descriptions_begin(world):
    ids = [add_repository(world, f"team/long{number}") for number in range(3)]

    def write(conn):
        said = sa.update(repositories).where(repositories.c.id.in_(ids))
        conn.execute(said.values(description="ä" * 5000, updated_at=Micros(1)))

    world.db.write_sync(write)
    (whole,) = world.db.read_sync(lambda conn: browsing.details_of(conn, ids[:1]))
    assert len(whole.description) == 5000
    many = ids * (browsing.MOST_WHOLE // 3 + 1)
    lengths = {len(one.description) for one in world.db.read_sync(lambda conn: browsing.details_of(conn, many))}  # fmt: skip
    assert lengths == {1000}
