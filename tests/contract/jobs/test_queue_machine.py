"""The queue as a state machine: whatever workers do, die of or sleep through, no task is lost and none succeeds twice."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from entrepot.metadata import executions, leases, work
from entrepot.metadata.database import Database
from entrepot.metadata.leases import Cancelled, Failed, HandedBack, Offer, Succeeded
from entrepot.metadata.schema import SCHEMA, tasks
from entrepot.metadata.schema import executions as execution_rows
from entrepot.model.errors import LeaseLost
from entrepot.model.work import NewTask, Status, Task

OFFER = Offer("job", lease_seconds=60, concurrency=4, per_target=2)


class Queue(RuleBasedStateMachine):
    """Claims that nobody ends are paused or dead workers; `lapse` lets their leases run out; late ends are their return."""

    folder: "tempfile.TemporaryDirectory[str]"
    db: Database

    def __init__(self) -> None:
        super().__init__()
        self.put: set[int] = set()
        self.claims: list[Task] = []  # all ever made, standing or not
        self.ended: list[Task] = []
        self.succeeded: list[int] = []
        self.write(lambda conn: conn.execute(tasks.delete()))
        self.write(lambda conn: conn.execute(execution_rows.delete()))
        self.execution = self.write(
            lambda conn: work.start_execution(
                conn, "job", target="", trigger="manual", actor="", tenant=None, tasks=[]
            )
        )

    def write(self, fn):
        return self.db.write_sync(fn)

    def statuses(self) -> dict[int, Status]:
        query = tasks.select()
        rows = self.db.read_sync(lambda conn: conn.execute(query).all())
        return {row.id: Status(row.status) for row in rows}

    @rule(
        where=st.sampled_from(["a", "b"]),
        key=st.sampled_from([None, None, "k"]),
        attempts=st.integers(1, 3),
        in_execution=st.booleans(),
    )
    def defer(self, where, key, attempts, in_execution):
        execution = self.execution if in_execution else None
        new = NewTask("job", where, execution=execution, unique_key=key, max_attempts=attempts)
        written = self.write(lambda conn: work.defer(conn, new))
        if written is not None:
            assert written not in self.put
            self.put.add(written)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit):
        claimed = self.write(lambda conn: leases.claim(conn, [OFFER], limit=limit))
        assert len(claimed) <= limit
        self.claims += claimed

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def end(self, data):
        """Any claim ever made ends, also one that was lost long ago."""
        task = data.draw(st.sampled_from(self.claims))
        outcome = data.draw(
            st.sampled_from(
                [
                    Succeeded({"n": 1}),
                    Succeeded({"n": 1}),
                    Failed("again", may_retry=True),
                    Failed("never", may_retry=False),
                    Cancelled(),
                    HandedBack(),
                ]
            )
        )
        try:
            self.write(lambda conn: leases.finish(conn, task, outcome))
        except LeaseLost:
            return
        self.check_it_stood(task)
        self.ended.append(task)
        if isinstance(outcome, Succeeded):
            assert task.id not in self.succeeded
            self.succeeded.append(task.id)

    def check_it_stood(self, task):
        """Only the newest claim of a task may write, and only until it has ended."""
        assert task not in self.ended
        assert task == [claim for claim in self.claims if claim.id == task.id][-1]

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def beat(self, data):
        task = data.draw(st.sampled_from(self.claims))
        try:
            self.write(lambda conn: leases.heartbeat(conn, task, lease_seconds=60))
            self.check_it_stood(task)
        except LeaseLost:
            assert self.statuses()[task.id] is not Status.RUNNING or any(
                other.id == task.id and other.lease_token != task.lease_token
                for other in self.claims
            )

    @precondition(lambda self: self.claims)
    @rule(limit=st.integers(0, 4))
    def fall_silent(self, limit):
        """All who hold a task are paused for longer than their lease; somebody else takes over up to `limit`."""

        def take_over(conn):
            conn.execute(tasks.update().values(run_after=0))
            conn.execute(tasks.update().where(tasks.c.status == "running").values(lease_until=1))
            leases.recover(conn)
            return leases.claim(conn, [OFFER], limit=limit)

        self.claims += self.write(take_over)

    @precondition(lambda self: self.put)
    @rule(data=st.data())
    def cancel(self, data):
        task = data.draw(st.sampled_from(sorted(self.put)))
        self.write(lambda conn: work.cancel_task(conn, task))

    @precondition(lambda self: self.put)
    @rule(data=st.data())
    def retry(self, data):
        task = data.draw(st.sampled_from(sorted(self.put)))
        self.write(lambda conn: work.retry(conn, task))

    @invariant()
    def nothing_is_lost_or_done_twice(self):
        statuses = self.statuses()
        assert set(statuses) == self.put
        done = {key for key, status in statuses.items() if status is Status.SUCCEEDED}
        assert done == set(self.succeeded)

    @invariant()
    def limits_hold_and_the_execution_is_what_its_tasks_are(self):
        rows = self.db.read_sync(lambda conn: conn.execute(tasks.select()).all())
        running = [row.target for row in rows if row.status == "running"]
        assert all(running.count(target) <= 2 for target in running)
        waiting = [row.unique_key for row in rows if row.status == "pending" and row.unique_key]
        assert len(waiting) == len(set(waiting))
        mine = [Status(row.status) for row in rows if row.execution_id is not None]
        shown = self.db.read_sync(lambda c: executions.get_execution(c, self.execution))
        assert shown.status.is_final == all(status.is_final for status in mine)
        if shown.status.is_final:
            assert (shown.status is Status.SUCCEEDED) == (set(mine) <= {Status.SUCCEEDED})

    def teardown(self):
        """Good workers return: everything comes to an end."""
        for _ in range(100):
            before = len(self.claims)
            self.fall_silent(limit=10)
            claimed = self.claims[before:]
            for task in claimed:
                self.write(lambda conn, task=task: leases.finish(conn, task, Succeeded()))
                self.succeeded.append(task.id)
            if all(status.is_final for status in self.statuses().values()):
                break
        self.nothing_is_lost_or_done_twice()
        assert all(status.is_final for status in self.statuses().values())
        assert len(self.succeeded) == len(set(self.succeeded))


class TestQueue(Queue.TestCase):
    settings = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    @classmethod
    def setUpClass(cls):
        Queue.folder = tempfile.TemporaryDirectory()
        Queue.db = Database.open(f"sqlite:///{Path(Queue.folder.name) / 'metadata.db'}")
        Queue.db.change_schema(SCHEMA.create_all)

    @classmethod
    def tearDownClass(cls):
        Queue.db.close_sync()
        Queue.folder.cleanup()
