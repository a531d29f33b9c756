"""The audit trail: what the batched writer keeps, how it is searched, and when it is forgotten."""

import asyncio
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from entrepot.capabilities.operations import auditing
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.metadata import audit
from entrepot.metadata.audit import AuditEntry, Outcome, Search
from entrepot.metadata.database import now
from entrepot.metadata.schema import audit as table
from entrepot.model.access import ANONYMOUS, Caller
from entrepot.model.errors import Forbidden, StorageUnavailable, Unauthenticated
from entrepot.model.ids import Micros, TenantId

ALICE = Caller("user:5", "alice", TenantId(3), source="10.0.0.1")
DAY = 86_400_000_000


@dataclass
class Asked:
    client: str = "10.0.0.1"
    id: str = "r1"


@pytest.fixture
def trail(migrated_database):
    return migrated_database


def entries(db, **search):
    return [r.entry for r in db.read_sync(lambda conn: audit.find(conn, Search(**search)))]


def test_equal_pulls_of_an_interval_are_one_row_that_says_how_many(trail):
    async def scenario():
        log = AuditLog(trail, pulls=True)
        for number in range(1000):
            log.pulled(ALICE, "i/a@sha256:1", request=Asked(id=f"r{number}"))
        log.pulled(ALICE, "i/b@sha256:2", request=Asked())
        await log.flush()
        return log

    log = asyncio.run(scenario())
    found = {entry.resource: entry for entry in entries(trail)}
    assert len(found) == log.written == 2
    assert found["i/a@sha256:1"].details == {"times": 1000}
    assert found["i/a@sha256:1"].request_id == "r0"
    assert found["i/b@sha256:2"].details == {}
    assert (found["i/b@sha256:2"].tenant, found["i/b@sha256:2"].actor) == (3, "alice")


def test_pulls_are_kept_only_where_they_are_wanted(trail):
    async def scenario():
        log = AuditLog(trail, pulls=False)
        log.pulled(ALICE, "i/a@sha256:1", request=Asked())
        log.denied(
            ALICE, "manifest.put", "a", request=Asked(), error=Forbidden("repository:push", "a")
        )
        log.denied(None, "blob.get", "b", request=Asked(), error=Unauthenticated("expired"))
        await log.flush()
        return log

    log = asyncio.run(scenario())
    found = {entry.action: entry for entry in entries(trail)}
    assert set(found) == {"manifest.put", "blob.get"}
    assert {entry.outcome for entry in found.values()} == {Outcome.DENIED}
    assert found["manifest.put"].details == {"reason": "repository:push"}
    assert (found["blob.get"].actor, found["blob.get"].tenant) == ("unknown", None)
    assert log.denials == {"unauthenticated": 1, "forbidden": 1}


def test_what_waits_is_written_within_the_interval_and_at_the_end(trail):
    async def scenario():
        log = AuditLog(trail, pulls=True, every_seconds=0.05)
        running = asyncio.create_task(log.run())
        log.pulled(ALICE, "first", request=Asked())
        async with asyncio.timeout(5):
            while not log.written:
                await asyncio.sleep(0.01)
        log.pulled(ALICE, "second", request=Asked())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert {entry.resource for entry in entries(trail)} == {"first", "second"}


def test_a_full_batch_does_not_wait_for_the_interval(trail):
    async def scenario():
        log = AuditLog(trail, pulls=True, every_seconds=60, batch=10)
        running = asyncio.create_task(log.run())
        await asyncio.sleep(0)
        for number in range(10):
            log.pulled(ALICE, f"r{number}", request=Asked())
        async with asyncio.timeout(5):
            while log.written < 10:
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())


def test_where_too_many_wait_the_oldest_go_and_are_counted(trail):
    async def scenario():
        log = AuditLog(trail, pulls=True, most=3)
        log.pulled(ALICE, "r0", request=Asked())
        for number in range(5):
            log.pulled(ALICE, f"r{number}", request=Asked())
        await log.flush()
        return log

    log = asyncio.run(scenario())
    assert log.lost == 3  # r0 twice, r1
    assert {entry.resource for entry in entries(trail)} == {"r2", "r3", "r4"}


def test_what_the_database_does_not_take_is_kept_and_added_to(trail):
    class Away:
        async def write(self, fn):
            raise StorageUnavailable("away")

    async def scenario():
        log = AuditLog(Away(), pulls=True)
        log.pulled(ALICE, "a", request=Asked())
        with pytest.raises(StorageUnavailable):
            await log.flush()
        log.pulled(ALICE, "a", request=Asked())
        log._db = trail
        await log.flush()

    asyncio.run(scenario())
    (entry,) = entries(trail)
    assert entry.details == {"times": 2}


def test_a_resource_of_any_length_is_cut(trail):
    async def scenario():
        log = AuditLog(trail, pulls=True)
        log.pulled(ANONYMOUS, "x" * 5000, request=Asked())
        await log.flush()

    asyncio.run(scenario())
    (entry,) = entries(trail)
    assert len(entry.resource) == 300


def fill(db):
    """Ten entries a day apart, the newest now."""

    def write(conn):
        moment = now(conn)
        for age in range(10):
            audit.record(
                conn,
                AuditEntry(
                    actor=f"a{age}",
                    action="namespace.create" if age % 2 else "login",
                    resource="r",
                    outcome=Outcome.DENIED if age == 4 else Outcome.DONE,
                    tenant=TenantId(age % 3),
                    happened_at=Micros(moment - age * DAY),
                ),
            )
        return moment

    return db.write_sync(write)


def actors(db, **search):
    return [entry.actor for entry in entries(db, **search)]


def test_the_trail_is_searched_newest_first(trail):
    moment = fill(trail)

    assert actors(trail, limit=3) == ["a0", "a1", "a2"]
    assert actors(trail, since=Micros(moment - 2 * DAY)) == ["a0", "a1", "a2"]
    assert actors(trail, until=Micros(moment - 8 * DAY + 1)) == ["a8", "a9"]
    assert actors(trail, tenant=TenantId(1)) == ["a1", "a4", "a7"]
    assert actors(trail, outcome=Outcome.DENIED) == ["a4"]
    assert actors(trail, action="login") == ["a0", "a2", "a4", "a6", "a8"]
    assert actors(trail, action="namespace.*", limit=2) == ["a1", "a3"]
    assert actors(trail, action="%*") == []


def test_entries_past_their_time_are_forgotten_in_bounded_steps(trail):
    moment = fill(trail)
    horizon = Micros(moment - 4 * DAY)

    assert trail.read_sync(lambda conn: audit.is_purge_wanted(conn, horizon))
    assert trail.write_sync(lambda conn: audit.purge(conn, horizon, limit=3)) == 3
    assert trail.write_sync(lambda conn: audit.purge(conn, horizon, limit=3)) == 2
    assert not trail.read_sync(lambda conn: audit.is_purge_wanted(conn, horizon))
    assert actors(trail) == ["a0", "a1", "a2", "a3", "a4"]


def test_entries_are_kept_for_ninety_days(trail):
    def write(conn):
        moment = now(conn)
        for age in (89, 91):
            entry = AuditEntry("a", "login", f"{age}", Outcome.DONE)
            audit.record(conn, entry)
            conn.execute(
                sa.update(table)
                .where(table.c.resource == f"{age}")
                .values(happened_at=moment - age * DAY)
            )

    trail.write_sync(write)
    assert trail.read_sync(auditing.PURGE_WATCH.wanted)
    trail.write_sync(lambda conn: audit.purge(conn, auditing._horizon(conn)))
    assert [entry.resource for entry in entries(trail)] == ["89"]
    assert not trail.read_sync(auditing.PURGE_WATCH.wanted)
