"""Executions and tasks: rows that say what is to be done, is being done, and was done."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from entrepot.model.ids import ExecutionId, Micros, TaskId, TenantId


class Status(StrEnum):
    """Of tasks and executions. pending -> running -> succeeded | failed | cancelled; running -> pending on retry or lost lease."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # dead letter: kept, can be retried by hand
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be deferred in the transaction of the change that causes it.

    `unique_key`: while one is pending with the same key, deferring again does nothing (its run_after stays); with `renews` it gives the
    one that waits all its attempts again and lets it run no later than this one would. `delay_seconds` from the database's now.
    `tenant`: who waits for it; long work of one tenant leaves room for that of others.
    """

    kind: str
    target: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    execution: ExecutionId | None = None
    priority: int = 0
    delay_seconds: float = 0
    unique_key: str | None = None
    max_attempts: int = 8
    renews: bool = False
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed task: `lease_token` must still stand in the row whenever the holder writes."""

    id: TaskId
    kind: str
    target: str
    arguments: dict[str, Any]
    execution: ExecutionId | None
    attempts: int
    max_attempts: int
    lease_token: str
    created_at: Micros
    tenant: TenantId | None = None
