"""Pages of the catalog and of referrers, on both engines: what they show, in which order, and what they cost."""

import asyncio
from itertools import product

import pytest
import sqlalchemy as sa
from access_world import add_repository
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.capabilities.content import pulling
from entrepot.capabilities.content.pulling import Page
from entrepot.metadata import catalog, manifests
from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.namespaces import repository_of, select_repositories
from entrepot.metadata.schema import manifests as manifest_table
from entrepot.metadata.schema import namespaces, repositories
from entrepot.model.access import SYSTEM
from entrepot.oci.digest import Digest
from registry_in_memory import open_registry

# "a-b/x" and "a.b/x" come before "a/x", "a0/x" and "aa/x" behind it.
NAMESPACES = ["".join(parts) for parts in product("ab", ["", "-", ".", "_", "0", "a"], ["", "-b", ".", "0", "aa"])]  # fmt: skip
MORE = [f"a-{number:03}" for number in range(110)]  # more than are read at once
LAST = ["zz", "zz-", "zz-."]
PATHS = ["a", "a-b", "a.b", "a/b", "a-b/a", "a0"]


def _add(conn, table, rows):
    conn.execute(sa.insert(table), rows)


@pytest.fixture
def stock(world):
    """Two tenants' namespaces with names that sort strangely; some repositories deleted, some public; another instance beside."""

    def write(conn):
        owners = sorted(world.tenants.values())
        for instance, some in ((world.shared.id, [*NAMESPACES, *MORE, *LAST]), (world.own.id, ["a", "a-b"])):  # fmt: skip
            spaces = [
                {
                    "instance_id": instance,
                    "tenant_id": owners[number % 3 == 0 or name in MORE + LAST],
                    "number": 100 + number,
                    "name": name,
                    "is_public": number % 5 == 0,
                    "created_at": 1,
                }
                for number, name in enumerate(dict.fromkeys(some))
            ]
            _add(conn, namespaces, spaces)
        rows = conn.execute(
            sa.select(namespaces.c.id, namespaces.c.instance_id, namespaces.c.name).where(
                namespaces.c.name.not_in(["team", "open", "theirs", "fair"])
            )
        ).all()
        _add(
            conn,
            repositories,
            [
                {
                    "namespace_id": row.id,
                    "instance_id": row.instance_id,
                    "name": path,
                    "full_name": f"{row.name}/{path}",
                    "is_public": (None, True, False)[(number + row.id) % 3],
                    "description": "",
                    "created_at": 1,
                    "updated_at": 1,
                    "deleted_at": 5 if (number + row.id) % 7 == 0 else None,
                }
                for row in rows
                for number, path in enumerate(PATHS[: 0 if row.id % 11 == 0 else row.id % 7])
            ],
        )

    world.db.write_sync(write)
    return world


def by_filter(conn, instance, visibility, *, after, limit):
    """The model: every repository is looked at."""
    query = select_repositories().where(
        repositories.c.instance_id == instance,
        repositories.c.full_name > after,
        repositories.c.deleted_at.is_(None),
        visible(visibility),
    )
    rows = conn.execute(query.order_by(repositories.c.full_name).limit(limit))
    return [repository_of(row) for row in rows]


def _visibilities(world):
    spaces = [n for (n,) in world.select(namespaces.c.id)]
    held = [n for (n,) in world.select(repositories.c.id)]
    some = st.frozensets
    return st.builds(
        Visibility,
        everything=st.integers(0, 9).map(lambda n: n == 0),
        tenants=some(st.sampled_from(sorted(world.tenants.values())), max_size=2),
        namespaces=some(st.sampled_from(spaces), max_size=12),
        repositories=some(st.sampled_from(held), max_size=6),
        public=st.integers(0, 4).map(lambda n: n == 0),
    )


def _places(world):
    names = [n for (n,) in world.select(repositories.c.full_name)]
    near = st.builds(
        lambda name, cut, more: name[: len(name) - cut] + more,
        st.sampled_from(names),
        st.integers(0, 4),
        st.sampled_from(["", "/", "-", ".", "0", "~", "/~", "//"]),
    )
    return st.one_of(st.just(""), near, st.text("ab-./0", max_size=6))


def test_a_page_of_the_catalog_is_what_the_filter_over_all_repositories_gives(stock):
    for owner in stock.tenants.values():
        seen = stock.select(namespaces.c.id, where=namespaces.c.tenant_id == owner)
        assert len(seen) > 30

    @settings(max_examples=150, deadline=None, database=None)
    @given(
        _visibilities(stock),
        _places(stock),
        st.integers(1, 40),
        st.sampled_from([stock.shared, stock.own]),
    )
    def check(visibility, after, limit, instance):
        def read(conn):
            wanted = by_filter(conn, instance.id, visibility, after=after, limit=limit)
            where = {"after": after, "limit": limit}
            return (
                wanted,
                catalog.names_page(conn, instance.id, visibility, **where),
                catalog.repositories_page(conn, instance.id, visibility, **where),
            )

        wanted, names, found = stock.db.read_sync(read)
        assert names == [one.full_name for one in wanted]
        assert found == wanted

    check()


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_behind_one_another_name_each_visible_repository_once(stock, limit):
    tenant = frozenset({stock.tenants["acme"]})
    one = frozenset({stock.repository("team/app").id})
    visibility = Visibility(tenants=tenant, repositories=one)

    def read(conn):
        names, page = [], [""]
        while page:
            page = catalog.names_page(
                conn, stock.shared.id, visibility, after=page[-1], limit=limit
            )
            names += page
        wanted = by_filter(conn, stock.shared.id, visibility, after="", limit=10_000)
        return names, [repository.full_name for repository in wanted]

    names, wanted = stock.db.read_sync(read)
    assert names == wanted
    assert len(names) > 100
    assert names == sorted(names, key=str.encode)


def test_a_namespace_that_waits_for_more_others_than_are_read_at_once_is_not_lost(stock):
    """All of "a-000" to "a-109" come before "a"."""
    for name in ("a", "a0", *LAST):
        add_repository(stock, f"{name}/edge")
    tenant = frozenset({stock.tenants["acme"]})

    def read(conn, after):
        where = {"after": after, "limit": 10_000}
        return catalog.names_page(conn, stock.shared.id, Visibility(tenants=tenant), **where)

    for after in ("", "a-", "a-108/~", "a-109"):
        names = stock.db.read_sync(lambda conn, after=after: read(conn, after))
        behind = [name for name in names if name.startswith("a/")]
        assert "a/edge" in behind
        assert all(name < "a/" for name in names[: names.index(behind[0])])
        assert names == sorted(names)
        assert {f"{name}/edge" for name in ("a0", *LAST)} <= set(names)


def test_a_page_of_the_catalog_does_not_look_at_what_it_does_not_show(stock):
    """Counted, not timed: a few statements for a caller of one namespace, at the end of the catalog too."""
    (number,) = stock.select(namespaces.c.id, where=namespaces.c.name == "theirs")[0]
    visibility = Visibility(namespaces=frozenset({number}))
    before = stock.db.statistics.counts()

    names = stock.db.read_sync(
        lambda conn: catalog.names_page(conn, stock.shared.id, visibility, after="a", limit=100)
    )

    assert names == ["theirs/app"]
    assert (stock.db.statistics.counts() - before).statements == 2


# -- referrers --------------------------------------------------------------------------------------------------------

SUBJECT, OTHER = "sha256:subject", "sha256:other"
TYPES = ["application/x", "application/x", "application/xy", None, "application/w"]


@pytest.fixture
def referring(world):
    """Referrers of two subjects in two repositories, of several types, some deleted."""
    rows = [
        {
            "repository_id": world.repository(name).id,
            "digest": f"sha256:{number * 7919 % 1000:04}",
            "media_type": "application/m",
            "artifact_type": TYPES[number % len(TYPES)],
            "subject_digest": (SUBJECT, OTHER, SUBJECT, None)[number % 4],
            "annotations": {"n": str(number)} if number % 2 else {},
            "size": number,
            "layers_size": 0,
            "pushed_at": 1,
            "deleted_at": 3 if number % 6 == 0 else None,
            "payload": b"",
        }
        for name in ("team/app", "team/web")
        for number in range(120)
    ]
    world.db.write_sync(lambda conn: _add(conn, manifest_table, rows))
    return world


@pytest.mark.parametrize("kind", [None, "application/x", "application/xy", "application/", "z"])
@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_referrers_come_in_digest_order_page_by_page_of_one_type_or_all(referring, kind, limit):
    repository = referring.repository("team/app").id
    columns = manifest_table.c
    rows = referring.select(
        columns.digest,
        columns.size,
        columns.artifact_type,
        columns.annotations,
        where=sa.and_(
            columns.repository_id == repository,
            columns.subject_digest == SUBJECT,
            columns.deleted_at.is_(None),
        ),
    )
    wanted = sorted(tuple(row) for row in rows if kind in (None, row.artifact_type))

    async def pages():
        found, after = [], ""
        while page := await manifests.referrers(
            referring.db, repository, SUBJECT, artifact_type=kind, after=after, limit=limit
        ):
            found += page
            after = page[-1].digest
        return found

    found = asyncio.run(pages())
    assert [(r.digest, r.size, r.artifact_type, r.annotations) for r in found] == wanted
    assert bool(found) == (kind in (None, *TYPES))
    assert {row.media_type for row in found} <= {"application/m"}


@pytest.mark.parametrize("analyzed", [False, True])
def test_pages_of_referrers_are_read_from_their_indexes_and_not_sorted(referring, analyzed):
    db = referring.db
    if analyzed or db.dialect == "postgresql":  # that one does it by itself before long
        db.write_sync(lambda conn: conn.execute(sa.text("ANALYZE")).close())
    values = {"repository": 1, "subject": SUBJECT, "value": SUBJECT, "after": "", "limit": 5}

    def plan(conn, select):
        prepared = select.prepared(conn.dialect)
        if conn.dialect.name == "postgresql":  # a table this small is read whole otherwise
            for way in ("seqscan", "bitmapscan"):
                conn.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
        rows = conn.exec_driver_sql(explain + prepared.sql, prepared.bind(values)).all()
        return "\n".join(str(row[-1]) for row in rows)

    every = db.read_sync(lambda conn: plan(conn, manifests.REFERRERS))
    typed = db.read_sync(lambda conn: plan(conn, manifests.REFERRERS_OF_TYPE))
    assert "ix_manifests_subject " in every
    assert "ix_manifests_subject_type " in typed
    for words in (every, typed):
        assert "Sort" not in words
        assert "TEMP B-TREE" not in words


# -- what they cost ---------------------------------------------------------------------------------------------------


def test_a_page_of_tags_or_referrers_costs_the_repository_and_one_read(migrated_database, tmp_path):
    async def scenario():
        async with open_registry(migrated_database, tmp_path) as registry:
            image = await registry.push_image("app", [b"layer"], *(f"v{n}" for n in range(5)))
            await registry.push_image("app", [b"layer"], subject=image, note="about it")
            place, page = registry.place("app"), Page(3, "v0")
            subject = Digest.of(image)
            statistics = registry.ctx.db.statistics
            before = statistics.counts()
            tags = await pulling.list_tags(registry.ctx, SYSTEM, place, page)
            spent = statistics.counts() - before
            found = await pulling.list_referrers(
                registry.ctx, SYSTEM, place, subject, artifact_type=None, page=Page(3)
            )
            return tags, spent, found

    tags, spent, found = asyncio.run(scenario())
    assert tags == ["v1", "v2", "v3"]
    assert (spent.reads, spent.points, spent.statements) == (1, 1, 2)
    assert [row.annotations for row in found] == [{"note": "about it"}]
