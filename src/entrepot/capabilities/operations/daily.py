"""The deployment's own schedules: what runs once a day, at night by UTC. The rows are made by the first worker that misses them."""

from typing import Final

from entrepot.capabilities.operations.counting import RECOUNT
from entrepot.capabilities.operations.reconcile import RECONCILE
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import schedules
from entrepot.metadata.database import Connection
from entrepot.metadata.schedules import Schedule

PLAN = "operations.plan"
DAILY: Final = {RECONCILE: "17 3 * * *", RECOUNT: "47 3 * * *"}


def _is_wanted(conn: Connection) -> bool:
    return any(schedules.get(conn, kind, "") is None for kind in DAILY)


async def _plan(job: JobContext) -> Summary:
    def write(conn: Connection) -> None:
        for kind, cron in DAILY.items():
            schedules.upsert(conn, Schedule(kind, "", cron), {})

    await job.write(write)
    return {"schedules": len(DAILY)}


PLAN_HANDLER = Handler(kind=PLAN, run=_plan, concurrency=1)
PLAN_WATCH = Watch(PLAN, every_seconds=3600.0, wanted=_is_wanted)
