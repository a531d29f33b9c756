"""Running an application without a task for as long as it does not wait.

Most answers of a registry are made without waiting for anything: a token known already, a point read, some bytes. A task for each costs
more than its answer (CPython 3.11 has no eager tasks yet), so a coroutine begins at once, in the caller's turn of the loop, and gets
its task only at the first real wait.

Before that wait there is no current task: `asyncio.timeout` and `TaskGroup` do not work there. Applications that need them first
`await asyncio.sleep(0)`.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any


def begin(
    coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
) -> "asyncio.Task[None] | None":
    """Run up to the first wait, in a context of its own. The task that does the rest; None if there is no rest."""
    context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration:
        return None
    return loop.create_task(_finish(coroutine, awaited), context=context)


async def _finish(coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _Rest(coroutine, awaited)


class _Rest:
    """What is left of a begun coroutine, for `await`. Whoever drives it sees every wait, the first one included."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, awaited = self._coroutine, self._awaited
        while True:
            failure: BaseException | None = None
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001  (a cancellation, or what was awaited failed: it belongs inside)
                failure = error
            try:
                awaited = coroutine.send(sent) if failure is None else coroutine.throw(failure)
            except StopIteration:
                return
            finally:
                failure = None  # its traceback holds this frame
