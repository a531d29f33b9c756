"""Trying again where a service gives no usable answer, for a bounded time, and our errors for what remains.

A call that gave no answer may have been carried out. Each caller of `call` therefore gives an act that may be done twice.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from entrepot.model.errors import StorageFull, StorageUnavailable
from entrepot.storage.objects import ServiceBusy, ServiceFull, ServiceRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is made and how long is waited in between: doubling, with full jitter."""

    attempts: int = 6
    first_seconds: float = 0.1
    longest_seconds: float = 3.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def call(self, doing: str, act: Callable[[], T]) -> T:
        """The act's result. Raises StorageUnavailable, StorageFull, and whatever else of ServiceError the act raises."""
        return self.counted(doing, act)[0]

    def counted(self, doing: str, act: Callable[[], T]) -> tuple[T, int]:
        """The act's result, and how many calls it took: more than one means that it may have been done more than once."""
        pause = self.first_seconds
        for attempt in range(1, self.attempts + 1):
            try:
                return act(), attempt
            except ServiceBusy as error:
                if attempt == self.attempts:
                    raise StorageUnavailable(f"{doing}: {error}") from error
            except ServiceFull as error:
                raise StorageFull(f"{doing}: {error}") from error
            except ServiceRefused as error:
                raise StorageUnavailable(f"{doing}: {error}") from error
            self.sleep(pause * self.jitter())
            pause = min(pause * 2, self.longest_seconds)
        raise AssertionError("a patience of no attempts")
