"""Long work of one tenant leaves room for others, and a task that is wanted anew while it waits has all its attempts: on both engines."""

import pytest

from entrepot.metadata import executions, leases, tenants, work
from entrepot.metadata.database import Database
from entrepot.metadata.leases import Failed, Offer, Succeeded
from entrepot.metadata.schema import tasks
from entrepot.model.work import NewTask

LONG = Offer("copy", 60, per_tenant=2), Offer("run", 60, per_tenant=2)
SHORT = Offer("fold", 60)


@pytest.fixture
def db(migrated_database) -> Database:
    return migrated_database


@pytest.fixture
def theirs(db):
    """Two tenants."""
    return db.write_sync(
        lambda conn: [tenants.insert_tenant(conn, name).id for name in ("one", "two")]
    )


def put(db: Database, *new: NewTask) -> list[int]:
    return db.write_sync(lambda conn: [work.defer(conn, task) for task in new])


def claim(db: Database, *offers: Offer, limit: int = 10, **more):
    return db.write_sync(lambda conn: leases.claim(conn, offers, limit=limit, **more))


def change(db: Database, **values) -> None:
    db.write_sync(lambda conn: conn.execute(tasks.update().values(**values)))


def show(db: Database, task: int):
    return db.read_sync(lambda conn: executions.get_task(conn, task))


# -- shares -----------------------------------------------------------------------------------------------------------


def test_long_tasks_of_a_tenant_are_few_at_once_whatever_their_kind(db, theirs):
    one, two = theirs
    first = put(db, *[NewTask("copy", f"c{i}", tenant=one) for i in range(60)])
    second = put(db, NewTask("run", "r", tenant=one), NewTask("copy", "c", tenant=two))

    assert [task.id for task in claim(db, *LONG)] == first[:2]
    assert [task.id for task in claim(db, *LONG)] == [second[1]]
    assert claim(db, *LONG) == []


def test_the_end_of_one_lets_another_begin(db, theirs):
    put(db, *[NewTask("copy", str(i), tenant=theirs[0]) for i in range(3)])
    running, _ = claim(db, *LONG)

    db.write_sync(lambda conn: leases.finish(conn, running, Succeeded()))

    assert [task.target for task in claim(db, *LONG)] == ["2"]


def test_long_tasks_leave_a_worker_room_for_short_ones(db, theirs):
    put(db, *[NewTask("copy", str(i), tenant=owner) for i in range(2) for owner in theirs])
    (short,) = put(db, NewTask("fold"))

    assert len(claim(db, *LONG, SHORT, most_long=1, limit=3)) == 2
    assert claim(db, *LONG, SHORT, most_long=0) == []
    assert show(db, short).status.value == "running"


def test_what_nobody_waits_for_is_nobodys_share(db, theirs):
    put(db, *[NewTask("copy", str(i)) for i in range(3)])
    put(db, *[NewTask("copy", str(i), tenant=theirs[0]) for i in range(3)])

    assert len(claim(db, *LONG)) == 5


# -- wanted anew ------------------------------------------------------------------------------------------------------


def test_what_is_wanted_anew_has_all_its_attempts_and_is_due_at_once(db):
    task = NewTask("copy", unique_key="k", renews=True)
    (number,) = put(db, task)
    change(db, attempts=7, run_after=10**17)

    assert put(db, task) == [None]

    (claimed,) = claim(db, Offer("copy", 60))
    assert (claimed.id, claimed.attempts) == (number, 1)


def test_what_is_wanted_anew_later_keeps_its_turn(db):
    put(db, NewTask("copy", unique_key="k", renews=True))

    put(db, NewTask("copy", unique_key="k", renews=True, delay_seconds=3600))

    assert len(claim(db, Offer("copy", 60))) == 1


def test_one_that_does_not_renew_keeps_what_is_left(db):
    task = NewTask("copy", unique_key="k")
    put(db, task)
    change(db, attempts=7)
    put(db, task)

    (claimed,) = claim(db, Offer("copy", 60))
    assert claimed.attempts == 8


def test_a_twin_that_renews_inherits_the_wait_and_no_attempts(db):
    task = NewTask("copy", unique_key="k", renews=True)
    put(db, task)
    change(db, attempts=6)
    (running,) = claim(db, Offer("copy", 60))
    (twin,) = put(db, task)

    failed = Failed("it does not answer", may_retry=True)
    db.write_sync(lambda conn: leases.finish(conn, running, failed))

    assert claim(db, Offer("copy", 60)) == []
    change(db, run_after=0)
    (claimed,) = claim(db, Offer("copy", 60))
    assert (claimed.id, claimed.attempts) == (twin, 1)


def test_whose_it_is_its_runner_knows(db, theirs):
    put(db, NewTask("copy", tenant=theirs[1]))

    (claimed,) = claim(db, *LONG)
    assert claimed.tenant == theirs[1]
