"""A step of an instance's life that may fail for good: then the instance says so."""

from collections.abc import Awaitable, Callable

from entrepot.capabilities.operations.work import JobCancelled, JobContext
from entrepot.metadata import instance_details
from entrepot.model.errors import LeaseLost, RegistryError
from entrepot.model.ids import InstanceId
from entrepot.model.instances import MOVES
from entrepot.model.tenancy import InstanceStatus


def instance_of(job: JobContext) -> InstanceId:
    """What the task is about."""
    return InstanceId(job.task.arguments["instance"])


async def or_fail(
    job: JobContext, body: Callable[[JobContext], Awaitable[None]], *, to: InstanceStatus
) -> None:
    """Run the body; when it fails for the last time, the instance is `to`, where that may follow its status. The kind of error
    is the reason that is shown: its words may hold secrets."""
    try:
        await body(job)
    except (JobCancelled, LeaseLost):
        raise
    except Exception as error:
        if _is_last(job, error):
            among = [status for status, after in MOVES.items() if to in after]
            reason = type(error).__name__
            await job.write(
                lambda conn: instance_details.set_status(
                    conn, instance_of(job), to, among=among, reason=reason
                )
            )
        raise


def _is_last(job: JobContext, error: Exception) -> bool:
    is_final = isinstance(error, RegistryError) and not error.retryable
    return is_final or job.task.attempts >= job.task.max_attempts
