"""Schedules: what starts by the clock."""

import pytest

from entrepot.metadata import executions, leases, schedules
from entrepot.metadata.database import now
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schedules import Schedule
from entrepot.metadata.schema import schedules as rows
from entrepot.metadata.schema import tenants
from entrepot.model.errors import ValueInvalid
from entrepot.model.work import Status


def tenant(conn) -> int:
    row = {"public_id": "a" * 32, "uin": "1" * 12, "app_id": "1" * 10, "name": "acme"}
    return conn.execute(
        tenants.insert().values(**row, is_root=False, created_at=1).returning(tenants.c.id)
    ).scalar_one()


def overdue(conn) -> None:
    conn.execute(rows.update().values(next_at=1))


def test_a_due_schedule_of_a_tenant_starts_an_execution_once(migrated_database):
    db = migrated_database
    who = db.write_sync(tenant)
    db.write_sync(
        lambda c: schedules.upsert(
            c, Schedule("retain", "rule:7", "0 3 * * *", "Asia/Shanghai", who), {"rule": 7}
        )
    )
    assert not db.read_sync(schedules.is_due)
    db.write_sync(overdue)
    assert db.read_sync(schedules.is_due)

    assert db.write_sync(schedules.start_due) == 1
    assert db.write_sync(schedules.start_due) == 0

    ((run,), total) = db.read_sync(lambda c: executions.find_executions(c, target="rule:7"))
    assert (total, run.trigger, run.tenant, run.status) == (1, "schedule", who, Status.PENDING)
    (task,) = db.write_sync(lambda c: leases.claim(c, [Offer("retain", 60)], limit=5))
    assert task.arguments == {"rule": 7}
    shown = db.read_sync(lambda c: schedules.get(c, "retain", "rule:7"))
    assert shown.last_at is not None
    assert shown.next_at > db.read_sync(now)


def test_a_schedule_whose_last_run_is_not_over_skips_its_turn(migrated_database):
    db = migrated_database
    who = db.write_sync(tenant)
    db.write_sync(
        lambda c: schedules.upsert(c, Schedule("retain", "", "0 3 * * *", tenant=who), {})
    )
    db.write_sync(overdue)
    assert db.write_sync(schedules.start_due) == 1
    db.write_sync(overdue)
    assert db.write_sync(schedules.start_due) == 0

    (task,) = db.write_sync(lambda c: leases.claim(c, [Offer("retain", 60)], limit=5))
    db.write_sync(lambda c: leases.finish(c, task, Succeeded()))
    db.write_sync(overdue)
    assert db.write_sync(schedules.start_due) == 1


def test_the_deployments_own_schedule_leaves_no_execution(migrated_database):
    db = migrated_database
    db.write_sync(lambda c: schedules.upsert(c, Schedule("scrub", "", "0 3 * * *"), {}))
    for _ in range(3):
        db.write_sync(overdue)
        db.write_sync(schedules.start_due)

    assert db.read_sync(executions.find_executions) == ([], 0)
    assert db.read_sync(executions.count_tasks) == {Status.PENDING: 1}


def test_a_disabled_schedule_does_not_start_and_begins_anew_when_enabled(migrated_database):
    db = migrated_database

    def put(conn, *, enabled):
        return schedules.upsert(conn, Schedule("scrub", "", "0 3 * * *", enabled=enabled), {})

    db.write_sync(lambda c: put(c, enabled=False))
    db.write_sync(overdue)
    assert not db.read_sync(schedules.is_due)
    assert db.write_sync(schedules.start_due) == 0

    assert db.write_sync(lambda c: put(c, enabled=True)) > db.read_sync(now)


def test_an_unchanged_time_keeps_its_overdue_run(migrated_database):
    db = migrated_database

    def put(conn, cron):
        return schedules.upsert(conn, Schedule("scrub", "", cron), {"pace": 1})

    db.write_sync(lambda c: put(c, "0 3 * * *"))
    db.write_sync(overdue)

    assert db.write_sync(lambda c: put(c, "0 3 * * *")) == 1
    assert db.write_sync(lambda c: put(c, "0 4 * * *")) > db.read_sync(now)


def test_a_removed_schedule_is_gone(migrated_database):
    db = migrated_database
    db.write_sync(lambda c: schedules.upsert(c, Schedule("scrub", "", "0 3 * * *"), {}))

    assert db.write_sync(lambda c: schedules.remove(c, "scrub", ""))
    assert not db.write_sync(lambda c: schedules.remove(c, "scrub", ""))
    assert db.read_sync(lambda c: schedules.get(c, "scrub", "")) is None


def test_a_bad_expression_is_refused_and_changes_nothing(migrated_database):
    db = migrated_database
    with pytest.raises(ValueInvalid):
        db.write_sync(lambda c: schedules.upsert(c, Schedule("scrub", "", "61 * * * *"), {}))

    assert db.read_sync(lambda c: schedules.get(c, "scrub", "")) is None
