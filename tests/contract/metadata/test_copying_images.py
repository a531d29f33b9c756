"""Images as they are copied within the deployment: found and given by rows, whole or, of referrers, as many as there is room for."""

import asyncio
import json

import pytest
import sqlalchemy as sa

from entrepot.capabilities.content.copying import DuplicateImage, duplicate_image
from entrepot.capabilities.content.whole import Bounds, whole_image
from entrepot.capabilities.operations import doctor
from entrepot.capabilities.operations.collector import collect
from entrepot.metadata.schema import events, manifest_references, manifests, quotas, reviews
from entrepot.model.access import SYSTEM
from entrepot.model.errors import QuotaExceeded, ReferencesUnknown, ValueInvalid
from entrepot.oci.digest import Digest
from registry_in_memory import index, open_registry

MANY = 1010


@pytest.fixture
def run(migrated_database, tmp_path):
    """Runs a scenario against an open registry; whatever was copied, counts are right in the end."""

    def play(scenario):
        async def body():
            async with open_registry(migrated_database, tmp_path) as registry:
                await scenario(registry)
                report = await doctor.examine(registry.ctx, settle_seconds=0)
                assert "count-wrong" not in {finding.code for finding in report.findings}

        asyncio.run(body())

    return play


async def copy(registry, tag, target, target_tag="copy", source="app", **options):
    command = DuplicateImage(
        registry.place(source), tag, registry.place(target), target_tag, **options
    )
    await duplicate_image(registry.ctx, SYSTEM, command)


async def whole(registry, tag, **bounds):
    repository = await registry.ctx.hot.repository(registry.instance.id, "team/app")
    return await registry.ctx.db.read(
        lambda conn: whole_image(conn, repository.id, tag, Bounds(**bounds))
    )


async def refer(registry, subject: bytes, number: int) -> None:
    """So many referrers, as rows: pushing them takes longer."""

    def write(conn):
        model = conn.execute(sa.select(manifests).order_by(manifests.c.id.desc()).limit(1)).one()
        values = {**model._mapping, "subject_digest": str(Digest.of(subject))}
        del values["id"]
        some = [
            {**values, "digest": f"sha256:{one:064x}", "pushed_at": one + 1}
            for one in range(number)
        ]
        conn.execute(sa.insert(manifests), some)

    await registry.ctx.db.write(write)


def digests(*documents: bytes) -> set[str]:
    return {str(Digest.of(one)) for one in documents}


def test_a_name_in_the_same_repository_asks_for_nothing_but_the_manifest(run):
    async def scenario(registry):
        payload = await registry.push_image("app", [b"layer"], "v1")
        await refer(registry, payload, MANY)
        await copy(registry, "v1", "app")

        assert await registry.pull("app", "copy") == payload
        await registry.ctx.db.write(
            lambda conn: conn.execute(
                sa.delete(manifests).where(manifests.c.subject_digest.is_not(None))
            )
        )

    run(scenario)


def test_of_too_many_referrers_the_newest_are_copied(run):
    async def scenario(registry):
        payload = await registry.push_image("app", [b"layer"], "v1")
        await refer(registry, payload, MANY)
        signature = await registry.push_image("app", [b"signature"], subject=payload)
        name = str(Digest.of(payload)).replace(":", "-") + ".sig"
        cosign = await registry.push_image("app", [b"cosign"], name)

        found = await whole(registry, "v1")
        assert found.is_cut
        assert len(found.parts) == 1000
        here = [part.digest for part in found.parts]
        assert digests(payload, signature, cosign) <= set(here)
        assert f"sha256:{MANY - 1:064x}" in here
        assert f"sha256:{0:064x}" not in here
        await copy(registry, "v1", "other")
        told = await registry.ctx.db.read(
            lambda conn: conn.scalars(
                sa.select(events.c.details).where(events.c.tag == "copy")
            ).all()
        )
        assert [one["reason"] for one in told] == ["copy, of its referrers the newest"]
        rows = (manifests.c.repository_id == 1, manifests.c.digest.like("sha256:000000000000%"))
        await registry.ctx.db.write(lambda conn: conn.execute(sa.delete(manifests).where(*rows)))
        assert not (await whole(registry, "v1")).is_cut

    run(scenario)


def test_referrers_beyond_any_bound_are_left_and_the_image_is_not(run):
    async def scenario(registry):
        base = await registry.push_image("app", [b"layer"], "v1")
        small = await registry.push_image("app", [b"layer"], subject=base)
        await registry.push_image("app", [b"%d" % n for n in range(9)], subject=base)
        for bounds in (
            {"references": 6},  # two of the image, three of the small one
            {"documents": len(base) + len(small)},
        ):
            found = await whole(registry, "v1", **bounds)
            assert {part.digest for part in found.parts} == digests(base, small)
            assert found.is_cut
        for bounds in ({"references": 1}, {"documents": len(base) - 1}, {"manifests": 0}):
            with pytest.raises(ValueInvalid):
                await whole(registry, "v1", **bounds)

    run(scenario)


def test_an_index_comes_whole_or_not_at_all(run):
    async def scenario(registry):
        children = [await registry.push_image("app", [b"%d" % n]) for n in range(4)]
        listing = index(children)
        await registry.push_manifest("app", listing, "v1")
        found = await whole(registry, "v1", manifests=5)
        assert [part.digest for part in found.parts][-1] == str(Digest.of(listing))
        assert {part.digest for part in found.parts} == digests(listing, *children)
        with pytest.raises(ValueInvalid):
            await whole(registry, "v1", manifests=4)

    run(scenario)


def test_a_child_that_is_listed_ten_thousand_times_is_read_once(run):
    async def scenario(registry):
        child = await registry.push_image("app", [b"layer"])
        many = json.loads(index([child]))
        many["manifests"] *= 10_000
        await registry.push_manifest("app", json.dumps(many).encode(), "v1")

        found = await whole(registry, "v1")
        before = registry.ctx.db.statistics.counts()
        await whole(registry, "v1")
        assert (registry.ctx.db.statistics.counts() - before).statements < 25
        assert len(found.parts) == 2

    run(scenario)


def test_signatures_of_signatures_and_nested_indexes_stand_behind_what_they_name(run):
    async def scenario(registry):
        child = await registry.push_image("app", [b"layer"])
        inner = index([child])
        await registry.push_manifest("app", inner)
        outer = index([inner, child])
        await registry.push_manifest("app", outer, "v1")
        signature = await registry.push_image("app", [b"s"], subject=child)
        above = await registry.push_image("app", [b"t"], subject=signature)

        order = [part.digest for part in (await whole(registry, "v1")).parts]
        places = {
            one: order.index(str(Digest.of(one))) for one in (child, inner, outer, signature, above)
        }
        assert places[child] < places[inner] < places[outer]
        assert places[child] < places[signature] < places[above]

    run(scenario)


def test_what_is_copied_is_as_if_it_had_been_pushed(run):
    async def scenario(registry):
        layers = [b"%d" % number for number in range(90)]
        payload = await registry.push_image("app", layers, "v1", note="said")
        signature = await registry.push_image("app", [b"s"], subject=payload, note="of it")
        await registry.push_image("other", layers[:30], "v1")
        before = registry.ctx.db.statistics.counts()
        await copy(registry, "v1", "other")
        assert (registry.ctx.db.statistics.counts() - before).statements < 50

        assert await registry.pull("other", "copy") == payload
        assert await registry.pull("other", str(Digest.of(signature))) == signature

        def rows(conn):
            columns = (
                "digest",
                "media_type",
                "artifact_type",
                "subject_digest",
                "annotations",
                "layers_size",
            )
            query = sa.select(*(manifests.c[name] for name in columns)).where(
                manifests.c.digest.in_(digests(payload, signature))
            )
            named = sa.select(manifest_references.c.digest, sa.func.count()).where(
                manifest_references.c.role == "layer"
            )
            counted = dict(map(tuple, conn.execute(named.group_by(manifest_references.c.digest))))
            waiting = conn.scalar(sa.select(sa.func.count()).where(reviews.c.kind == "blob"))
            return [tuple(row) for row in conn.execute(query)], counted, waiting

        found, counted, waiting = await registry.ctx.db.read(rows)
        assert sorted(map(str, found[:2])) == sorted(map(str, found[2:]))
        assert counted[str(Digest.of(b"89"))] == 2
        assert waiting == 92  # each blob once
        await registry.delete_repository("app")
        await registry.age(30 * 24 * 3600)
        await collect(registry.ctx)
        assert await registry.pull("other", "copy") == payload

    run(scenario)


def test_a_copy_that_is_too_large_or_not_whole_leaves_nothing(run):
    async def scenario(registry):
        payload = await registry.push_image("app", [b"layer", b"another"], "v1")
        values = {
            "subject_kind": "namespace",
            "subject_id": registry.namespace,
            "resource": "bytes",
        }
        held = len(payload) + len(b"layeranother{}")

        async def limit(number):
            def write(conn):
                conn.execute(sa.delete(quotas))
                conn.execute(sa.insert(quotas).values(**values, limit=number))

            await registry.ctx.db.write(write)

        await limit(2 * held - 1)
        with pytest.raises(QuotaExceeded):
            await copy(registry, "v1", "other")
        assert await registry.ctx.hot.repository(registry.instance.id, "team/other") is None
        await limit(2 * held)
        await copy(registry, "v1", "other")
        await registry.ctx.db.write(
            lambda conn: conn.execute(
                sa.text("DELETE FROM repository_blobs WHERE repository_id = 1")
            )
        )
        with pytest.raises(ReferencesUnknown) as refused:
            await copy(registry, "v1", "third")
        assert set(refused.value.digests) == digests(b"layer", b"another", b"{}")
        await doctor.repair(registry.ctx, await doctor.examine(registry.ctx, settle_seconds=0))

    run(scenario)
