"""Sizes that manifests state are anybody's to say: they stop no count, no push and no list."""

import asyncio
import json

import pytest

from entrepot.capabilities.operations.counting import correct
from entrepot.capabilities.operations.reconcile import COUNTED
from entrepot.metadata import counters, manifests
from entrepot.metadata.schema import manifests as rows
from entrepot.oci.descriptor import OCI_CONFIG, OCI_MANIFEST
from registry_in_memory import descriptor, index, open_registry

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"


@pytest.fixture
def run(migrated_database, tmp_path):
    """Runs a scenario against an open registry."""

    def play(scenario):
        async def body():
            async with open_registry(migrated_database, tmp_path) as registry:
                await registry.push_blob("app", b"{}")
                await scenario(registry)

        asyncio.run(body())

    return play


def stating(size: int, note: str) -> bytes:
    """A manifest of two layers of that size, whose bytes are elsewhere."""
    layers = [
        {"mediaType": FOREIGN, "digest": f"sha256:{number:064x}", "size": size} for number in (1, 2)
    ]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, b"{}"),
            "layers": layers,
            "annotations": {"note": note},
        }
    ).encode()


async def tagged_bytes(registry) -> int:
    repository = await registry.ctx.hot.repository(registry.instance.id, "team/app")
    return await registry.ctx.db.read(
        lambda conn: counters.value(conn, "repository", repository.id, "tagged_bytes")
    )


def test_layers_that_are_elsewhere_weigh_nothing_however_large_they_say_they_are(run):
    async def scenario(registry):
        first, second = stating(2**62, "1"), stating(2**62, "2")
        await registry.push_manifest("app", first, "a", "b")
        await registry.push_manifest("app", second, "c")
        await registry.push_manifest("app", index([first, second]), "d", "e")

        assert await tagged_bytes(registry) == 7 * len(b"{}")

    run(scenario)


def test_rows_that_say_more_than_a_database_counts_are_counted_up_to_the_bound(run):
    async def scenario(registry):
        db = registry.ctx.db
        payloads = [stating(1, str(number)) for number in range(3)]
        for number, payload in enumerate(payloads):
            await registry.push_manifest("app", payload, f"v{number}")
        await db.write(lambda conn: conn.execute(rows.update().values(layers_size=2**63 - 1)))
        await registry.push_manifest("app", payloads[0], "w0", "w1", "w2")
        await registry.push_manifest("app", index(payloads), "whole")
        tagged = next(one for one in COUNTED if one.name == "tagged_bytes")

        await db.write(lambda conn: correct(conn, tagged, 1))
        await db.write(counters.fold)

        assert await tagged_bytes(registry) == counters.MOST
        found = await db.read(lambda conn: conn.execute(rows.select().order_by(rows.c.id)).all())
        assert found[-1].layers_size == manifests.MOST_SIZE

    run(scenario)
