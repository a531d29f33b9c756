"""Deletions over /v2/ are in the audit trail, with who and from where; pushes are not."""

import sqlalchemy as sa
from registry_client import digest_of

from entrepot.metadata.schema import audit


def test_deletions_are_in_the_trail_and_pushes_are_not(world, repository):
    client = world.accounts["manager"]
    payload = client.push_image(repository, b"layer", tag="v1")
    assert client.delete(f"/v2/{repository}/manifests/v1").status_code == 202
    assert client.delete(f"/v2/{repository}/manifests/{digest_of(payload)}").status_code == 202

    query = sa.select(audit).where(audit.c.resource.startswith(repository)).order_by(audit.c.id)
    rows = world.operator.read(lambda conn: conn.execute(query).all())
    assert [(row.action, row.resource) for row in rows] == [
        ("tag.delete", f"{repository}:v1"),
        ("manifest.delete", f"{repository}@{digest_of(payload)}"),
    ]
    assert {(row.actor, row.source, row.outcome) for row in rows} == {
        ("manager", "127.0.0.1", "done")
    }
    assert all(row.request_id for row in rows)
