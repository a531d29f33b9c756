"""Events: written with their fan-out task, or not at all."""

from dataclasses import replace

import pytest

from entrepot.metadata import events, executions, leases
from entrepot.metadata.leases import Offer
from entrepot.model.errors import ValueInvalid
from entrepot.model.events import Event, EventKind

PUSH = Event(
    kind=EventKind.MANIFEST_PUSHED,
    actor="alice",
    happened_at=1_700_000_000_000_000,
    tenant=3,
    instance=1,
    namespace=5,
    repository=7,
    repository_name="team/app",
    digest="sha256:" + "a" * 64,
    tag="v1",
    details={"size": 12, "platforms": ["linux/amd64"]},
)


def test_a_recorded_event_comes_back_through_its_fan_out_task(migrated_database):
    db = migrated_database
    db.write_sync(lambda conn: events.record(conn, PUSH))

    (task,) = db.write_sync(lambda c: leases.claim(c, [Offer(events.FANOUT, 60)], limit=5))

    assert db.read_sync(lambda c: events.get(c, task.arguments["event"])) == PUSH


def test_many_events_have_a_fan_out_task_each(migrated_database):
    db = migrated_database
    told = [replace(PUSH, tag=f"v{number:03}") for number in range(120)]
    db.write_sync(lambda conn: events.record_all(conn, told))
    db.write_sync(lambda conn: events.record_all(conn, []))

    claimed = db.write_sync(lambda c: leases.claim(c, [Offer(events.FANOUT, 60)], limit=500))

    found = [db.read_sync(lambda c, t=t: events.get(c, t.arguments["event"])) for t in claimed]
    assert sorted(found, key=lambda event: event.tag) == told


def test_of_many_events_those_without_consumers_have_no_task(migrated_database):
    db = migrated_database
    gone = replace(PUSH, kind=EventKind.TAG_DELETED, tag="v0")
    db.write_sync(lambda conn: events.record_all(conn, [gone, PUSH, gone]))
    db.write_sync(lambda conn: events.record(conn, gone))

    (task,) = db.write_sync(lambda c: leases.claim(c, [Offer(events.FANOUT, 60)], limit=5))

    assert db.read_sync(lambda c: events.get(c, task.arguments["event"])) == PUSH
    assert db.write_sync(lambda c: events.purge(c, 2**60)) == 4


def test_an_event_without_a_place_keeps_its_gaps(migrated_database):
    db = migrated_database
    bare = Event(EventKind.MANIFEST_PUSHED, "root", 5)
    db.write_sync(lambda conn: events.record(conn, bare))

    (task,) = db.write_sync(lambda c: leases.claim(c, [Offer(events.FANOUT, 60)], limit=5))

    assert db.read_sync(lambda c: events.get(c, task.arguments["event"])) == bare


def test_neither_event_nor_task_remains_of_a_change_that_fails(migrated_database):
    def change(conn):
        events.record(conn, PUSH)
        raise ValueInvalid("tag", "later in the transaction")

    with pytest.raises(ValueInvalid):
        migrated_database.write_sync(change)

    assert migrated_database.read_sync(executions.count_tasks) == {}
    assert not migrated_database.read_sync(lambda c: events.is_purge_wanted(c, 2**60))


def test_purge_forgets_the_oldest_in_batches(migrated_database):
    db = migrated_database
    for at in (10, 20, 30):
        db.write_sync(lambda c, at=at: events.record(c, Event(EventKind.RESTORED, "", at)))

    assert db.write_sync(lambda c: events.purge(c, 30, limit=1)) == 1
    assert db.read_sync(lambda c: events.is_purge_wanted(c, 30))
    assert db.write_sync(lambda c: events.purge(c, 30, limit=5)) == 1
    assert not db.read_sync(lambda c: events.is_purge_wanted(c, 30))
    assert db.read_sync(lambda c: events.is_purge_wanted(c, 31))
