"""One task in a worker: its body, why it was interrupted, and what came of it."""

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum, auto

import structlog

from entrepot.capabilities.operations.work import Handler, JobCancelled, JobContext, Summary
from entrepot.jobs.failures import failure, place
from entrepot.metadata.leases import Cancelled, Failed, HandedBack, Outcome, Succeeded
from entrepot.metadata.work import lease_name
from entrepot.model.errors import LeaseLost

_log = structlog.get_logger(__name__)


class Interrupt(Enum):
    """Why the worker ended a body."""

    LOST = auto()  # the lease is somebody else's
    CANCELLED = auto()
    TIMEOUT = auto()
    STOPPING = auto()


@dataclass(slots=True, eq=False)
class Run:
    """A claimed task that runs here."""

    handler: Handler
    ctx: JobContext
    lease_seconds: float
    held_at: float  # monotonic moment the lease was last confirmed
    body: "asyncio.Task[Summary | None] | None" = None
    interrupted: Interrupt | None = None
    cancel_at: float | None = None  # monotonic moment a body that was asked to stop is interrupted
    _interruption: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_beat_due(self) -> bool:
        """Whether a third of the lease has gone, or there is progress to show."""
        return self.ctx.is_news or time.monotonic() > self.held_at + self.lease_seconds / 3

    def interrupt(self, why: Interrupt) -> None:
        """End the body at its next await. The first reason counts, except that a lost lease outdoes any."""
        is_first = self.interrupted is None
        if is_first or why is Interrupt.LOST:
            self.interrupted = why
        self._interruption.set()
        if (
            is_first and self.body is not None
        ):  # once: a second one would break the body's cleaning up
            self.body.cancel()

    def ask_to_stop(self, *, grace_seconds: float) -> None:
        """Tell the body that it was cancelled; interrupt it when it has not ended after the grace."""
        if self.cancel_at is None:
            self.ctx.is_cancelled = True
            self.cancel_at = time.monotonic() + grace_seconds
        if time.monotonic() >= self.cancel_at:
            self.interrupt(Interrupt.CANCELLED)

    async def outcome(self, *, unwind_seconds: float) -> Outcome | None:
        """Run the body to its end. None: there is nothing to write (finished by itself, lease lost, or it would not end)."""
        self.body = asyncio.ensure_future(self._body())
        try:
            await self._end_of(self.body, unwind_seconds=unwind_seconds)
        finally:
            if self.interrupted is None:
                self.body.cancel()  # the worker itself was cancelled; else the body is over
        if not self.body.done():
            _log.error("job_does_not_end", task=self.ctx.task.id, kind=self.ctx.task.kind)
            self.body.add_done_callback(_forget)
            return None
        return self._verdict(self.body)

    async def _end_of(self, body: "asyncio.Task[Summary | None]", *, unwind_seconds: float) -> None:
        interruption = asyncio.ensure_future(self._interruption.wait())
        try:
            await asyncio.wait(
                {body, interruption},
                timeout=self.handler.timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            interruption.cancel()
        if not body.done():
            if self.interrupted is None:
                self.interrupt(Interrupt.TIMEOUT)
            await asyncio.wait({body}, timeout=unwind_seconds)

    async def _body(self) -> Summary | None:
        return await self.handler.run(self.ctx)

    def _verdict(self, body: "asyncio.Task[Summary | None]") -> Outcome | None:
        if self.ctx.is_finished or self.interrupted is Interrupt.LOST:
            _forget(body)
            return None
        if body.cancelled():
            return self._interrupted()
        error = body.exception()
        return Succeeded(body.result() or {}) if error is None else self._failed(error)

    def _failed(self, error: BaseException) -> Outcome | None:
        task = self.ctx.task
        if isinstance(error, LeaseLost) and error.name == lease_name(task):
            return None
        if isinstance(error, JobCancelled):
            return Cancelled()
        if self.interrupted is Interrupt.STOPPING:  # it broke while it was being stopped
            return HandedBack()
        _log.warning("job_failed", task=task.id, kind=task.kind, error=place(error))
        return failure(error)

    def _interrupted(self) -> Outcome:
        match self.interrupted:
            case Interrupt.CANCELLED:
                return Cancelled()
            case Interrupt.STOPPING:
                return HandedBack()
            case Interrupt.TIMEOUT:
                limit = self.handler.timeout_seconds
                return Failed(f"not done within {limit:g} s", may_retry=True)
            case _:
                return Failed("it cancelled itself", may_retry=True)


def _forget(body: "asyncio.Task[Summary | None]") -> None:
    """Take note of an outcome nobody waits for."""
    if not body.cancelled():
        body.exception()
