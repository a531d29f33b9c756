"""Pages of tags with their documents, on both engines: in order, each document read once, and never too much of them."""

import pytest
import sqlalchemy as sa
from access_world import add_repository

from entrepot.metadata import counters, tag_rows
from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import manifest_references, manifests, tags
from entrepot.metadata.tag_rows import TagOrder

SIZE = 1000


@pytest.fixture
def repository(world) -> int:
    """`t0` is the oldest of six tags; even ones mean one document, odd ones another."""
    number = add_repository(world, "team/rows")

    def write(conn):
        ids = []
        for name in (b"a", b"b"):
            payload = name * SIZE
            values = {"repository_id": number, "digest": f"sha256:{name.hex() * 32}", "media_type": "x", "annotations": {}, "size": SIZE, "layers_size": 7, "pushed_at": 1, "payload": payload}  # fmt: skip
            ids.append(conn.execute(sa.insert(manifests).values(values)).inserted_primary_key[0])
        config = {"manifest_id": ids[0], "position": 0, "repository_id": number, "role": "config", "digest": "sha256:cc", "size": 1, "media_type": "x"}  # fmt: skip
        conn.execute(sa.insert(manifest_references).values(config))
        rows = [
            {"repository_id": number, "name": f"t{at}", "manifest_id": ids[at % 2], "valid_from": 1, "set_by": "x", "pushed_at": 10 + at}
            for at in range(6)
        ]  # fmt: skip
        conn.execute(sa.insert(tags), rows)
        counters.add(conn, "repository", number, "tags", len(rows))

    world.db.write_sync(write)
    return number


def page(world, asked: TagOrder, window: Slice | None = None):
    return world.db.read_sync(lambda conn: tag_rows.tag_rows(conn, asked, window or Slice()))


def test_a_page_is_in_order_and_has_what_each_tag_means(world, repository):
    rows, total = page(world, TagOrder(repository))
    assert ([one.name for one in rows], total) == (["t5", "t4", "t3", "t2", "t1", "t0"], 6)
    assert [one.payload[:1] for one in rows] == [b"b", b"a"] * 3
    assert {(one.size, one.config_digest) for one in rows} == {(7, ""), (7, "sha256:cc")}
    assert rows[1].payload is rows[3].payload  # read once
    rows, total = page(world, TagOrder(repository, sort="name", descending=False), Slice(1, 2))
    assert ([one.name for one in rows], total) == (["t1", "t2"], 6)


@pytest.mark.parametrize(("room", "count"), [(1, 1), (SIZE, 1), (3 * SIZE, 3), (6 * SIZE, 6)])
def test_it_ends_where_the_documents_are_too_much(world, repository, monkeypatch, room, count):
    monkeypatch.setattr(tag_rows, "MAX_PAYLOADS", room)
    rows, total = page(world, TagOrder(repository))
    assert (len(rows), total) == (count, 6)
    without, total = page(world, TagOrder(repository, with_payload=False))
    assert (len(without), total, {one.payload for one in without}) == (6, 6, {b""})


def test_one_is_found_by_name(world, repository):
    assert [one.name for one in page(world, TagOrder(repository, name="t3"))[0]] == ["t3"]
    assert page(world, TagOrder(repository, name="nothing")) == ([], 0)
