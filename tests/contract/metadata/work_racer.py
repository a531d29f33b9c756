"""A process of its own that claims and finishes until nothing is left: `python work_racer.py URL`. Prints the ids it finished.

Every seventh first attempt it drops unfinished, as if it had been killed. In each claiming transaction it checks the limits.
"""

import sys

import sqlalchemy as sa

from entrepot.metadata import leases, schedules, work
from entrepot.metadata.database import Database
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schema import tasks

OFFER = Offer("copy", lease_seconds=1.0, concurrency=5, per_target=2)


def claim(conn):
    schedules.start_due(conn)
    leases.recover(conn)
    claimed = leases.claim(conn, [OFFER], limit=3)
    query = sa.select(tasks.c.target, sa.func.count()).where(tasks.c.status == "running")
    running = {target: n for target, n in conn.execute(query.group_by(tasks.c.target))}  # noqa: C416 (rows)
    assert sum(running.values()) <= 5, running
    assert max(running.values(), default=0) <= 2, running
    return claimed


def main() -> None:
    db = Database.open(sys.argv[1])
    claims = 0
    finished = []
    while db.read_sync(is_unfinished):
        for task in db.write_sync(claim):
            claims += 1
            if claims % 7 or task.attempts > 1:
                try:
                    db.write_sync(lambda conn, task=task: leases.finish(conn, task, Succeeded()))
                    finished.append(task.id)
                except work.LeaseLost:
                    pass
    print(*finished)
    db.close_sync()


def is_unfinished(conn) -> bool:
    query = sa.select(sa.exists().where(tasks.c.status.in_(["pending", "running"])))
    return bool(conn.execute(query).scalar())


if __name__ == "__main__":
    main()
