"""What a run asks while it holds the writer is found by indexes, however many tags the repository has."""

import re
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from retention_runs_harness import Retention, cosign, digest, push

from entrepot.metadata import retention_tags
from entrepot.metadata.schema import manifest_references, manifests, tags


@contextmanager
def watched(conn):
    """Statements that are executed meanwhile, with their parameters."""
    seen = []

    def note(_conn, _cursor, statement, parameters, _context, _many):
        seen.append((statement, parameters))

    sa.event.listen(conn, "before_cursor_execute", note)
    yield seen
    sa.event.remove(conn, "before_cursor_execute", note)


def plans(conn, statements):
    """How each is carried out, in lines."""
    is_sqlite = conn.dialect.name == "sqlite"
    if not is_sqlite:  # tables this small are read whole otherwise
        for way in ("seqscan", "bitmapscan"):
            conn.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    found = []
    for statement, parameters in statements:
        rows = conn.exec_driver_sql(explain + statement, parameters).all()
        found += [str(row[-1]).strip() for row in rows]
    return found


def asked(conn, repository, pushed):
    """What removing some asks."""
    subject = digest(pushed["v1"])
    found = retention_tags.named(conn, repository, [cosign(pushed["v1"]), "v1", "v2"])
    numbers = {tag.manifest for tag in found}
    retention_tags.held(conn, repository, [subject, digest(pushed["v2"])])
    retention_tags.left_untagged(conn, numbers)
    retention_tags.parts(conn, numbers)
    retention_tags.end_as_read(conn, repository, found, 1)


def many(conn, repository):
    """Images with a tag each, in an index each."""
    first = (conn.scalar(sa.select(sa.func.max(manifests.c.id))) or 0) + 1
    at = {"repository_id": repository, "media_type": "application/m", "size": 1}
    image = {**at, "annotations": {}, "layers_size": 0, "pushed_at": 1, "payload": b"{}"}
    tag = {"repository_id": repository, "set_by": "", "valid_from": 1, "pushed_at": 1}
    listed = {**at, "position": 0, "role": "manifest"}
    numbers = range(first, first + 600)
    conn.execute(
        sa.insert(manifests), [{**image, "id": n, "digest": f"sha256:{n}"} for n in numbers]
    )
    conn.execute(sa.insert(tags), [{**tag, "name": f"t{n}", "manifest_id": n} for n in numbers])
    rows = [{**listed, "manifest_id": n, "digest": f"sha256:{n - 1}"} for n in numbers]
    conn.execute(sa.insert(manifest_references), rows)


class _Undone(Exception):
    pass


@pytest.mark.parametrize("analyzed", [False, True])
def test_what_is_asked_in_a_transaction_looks_at_no_other_tags(retaining, analyzed):
    async def scenario(found: Retention):
        pushed = await push(found, "v1", "v2")
        await found.registry.push_image("app", [b"sig"], cosign(pushed["v1"]), note="of it")
        repository = await found.repository()

        def fill(conn):
            many(conn, repository)
            if analyzed or conn.dialect.name == "postgresql":
                conn.execute(sa.text("ANALYZE")).close()

        await found.db.write(fill)

        def look(conn):
            with watched(conn) as seen:
                asked(conn, repository, pushed)
            statements = [one for one in seen if one[0].lstrip().startswith("SELECT")]
            raise _Undone(plans(conn, statements))

        with pytest.raises(_Undone) as undone:
            await found.db.write(look)
        return undone.value.args[0]

    lines = retaining(scenario)
    assert len(lines) >= 6
    for line in lines:
        assert not re.match(r"SCAN (tags|manifests|manifest_references)\b", line), lines
        assert not line.startswith("Seq Scan"), lines
        assert not re.match(r"SEARCH tags .*\(repository_id=\?\)$", line), lines
        assert not re.match(r"Index Cond: \(repository_id = \d+\)$", line), lines
