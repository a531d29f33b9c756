"""Steps at which a process can die, found by wrapping the product from outside: nothing in it knows of this.

A step is just before each call of the blob store, of the database's file and of the master key's that changes the disk (and in the
middle of each write of the store), before each transaction begins, before it commits, and after its commit before anybody is answered. Steps are counted; at the chosen one the process kills
itself with SIGKILL. With `power=True` it first takes away what was never fsynced, as a power failure would.
"""

# Plain os calls: they are what is wrapped.
# ruff: noqa: PTH102, PTH104, PTH108, PTH115, PTH116, PTH120

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from entrepot.capabilities.access import sealing
from entrepot.metadata import sqlite_file
from entrepot.metadata.database import Database
from entrepot.storage import files, local, local_upload, locks

CHANGING = ("pwrite", "rename", "fsync", "ftruncate", "mkdir", "unlink", "open", "link")


class Steps:
    """Counts from `arm` on. `deadly`: the number of the step to die at (1 is the first); None: never."""

    def __init__(self, deadly: int | None = None, *, power: bool = False) -> None:
        self.names: list[str] = []
        self._deadly = deadly
        self._power = power
        self._armed = False
        self._lock = threading.RLock()
        self._unsynced: dict[tuple[int, int], str] = {}  # files by device and inode: a path
        self._renamed: dict[str, str] = {}  # new name to old, where the folder was not fsynced

    def arm(self) -> None:
        """Count from here on."""
        self._armed = True

    def disarm(self) -> None:
        """What follows is harmless."""
        self._armed = False

    def reach(self, name: str) -> None:
        """A step. Does not return if it is the deadly one."""
        if not self._armed:
            return
        with self._lock:
            self.names.append(name)
            if len(self.names) == self._deadly:
                self._die()

    def _die(self) -> None:
        if self._power:
            for path in self._unsynced.values():
                os.truncate(path, 0)
            for new, old in reversed(self._renamed.items()):
                os.rename(new, old)
        os.kill(os.getpid(), signal.SIGKILL)

    # -- the store's system calls -------------------------------------------------------------------------------------

    def install(self) -> None:
        """Wrap the store's system calls and the database's writes, in this process for good."""
        calls = _Calls(self)
        for module in (files, local, local_upload, locks, sqlite_file, sealing):
            module.os = calls  # type: ignore[attr-defined]  # the module's own name for it
        self._wrap_paths()
        self._wrap_database()

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        self.reach("pwrite")
        with self._lock:
            status = os.fstat(descriptor)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self._unsynced[status.st_dev, status.st_ino] = path
        half = len(data) // 2
        if half and self._armed:
            os.pwrite(descriptor, data[:half], offset)
            self.reach("pwrite half done")
        return os.pwrite(descriptor, data, offset)

    def fsync(self, descriptor: int) -> None:
        self.reach("fsync")
        os.fsync(descriptor)
        with self._lock:
            status = os.fstat(descriptor)
            self._unsynced.pop((status.st_dev, status.st_ino), None)
            folder = os.readlink(f"/proc/self/fd/{descriptor}")
            for new in [one for one in self._renamed if os.path.dirname(one) == folder]:
                del self._renamed[new]

    def rename(self, source: str, target: str) -> None:
        self.reach("rename")
        os.rename(source, target)
        with self._lock:
            status = os.stat(target)
            if (status.st_dev, status.st_ino) in self._unsynced:
                self._unsynced[status.st_dev, status.st_ino] = target
            if self._renamed.pop(source, None) != target:
                self._renamed[target] = source

    def unlink(self, path: str) -> None:
        self.reach("unlink")
        with self._lock:
            status = os.lstat(path)
            os.unlink(path)
            self._unsynced.pop((status.st_dev, status.st_ino), None)
            self._renamed.pop(path, None)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self.reach("create")
        return os.open(path, flags, mode)

    def ftruncate(self, descriptor: int, length: int) -> None:
        self.reach("ftruncate")
        os.ftruncate(descriptor, length)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self.reach("mkdir")
        os.mkdir(path, mode)

    def link(self, source: Path, target: Path) -> None:
        self.reach("link")
        os.link(source, target)

    def _wrap_paths(self) -> None:
        """What the first start uses."""

        def stepping(name: str, method: Callable[..., None]) -> Callable[..., None]:
            def changing(path: Path, *args: Any, **options: Any) -> None:
                self.reach(name)
                method(path, *args, **options)

            return changing

        Path.mkdir = stepping("mkdir", Path.mkdir)  # type: ignore[method-assign]  # from outside, in a process that is there to die
        Path.unlink = stepping("unlink", Path.unlink)  # type: ignore[method-assign]  # likewise

    # -- transactions -------------------------------------------------------------------------------------------------

    def _wrap_database(self) -> None:
        submit, write, change = Database._write, Database.write, Database.change_schema

        def dying(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
            @functools.wraps(fn, assigned=())
            def inside(conn: Any) -> Any:
                value = fn(conn)
                self.reach("before the commit")
                return value

            return inside

        def submitting(db: Database, fn: Callable[[Any], Any]) -> Any:
            self.reach("before the transaction")
            return submit(db, dying(fn))

        async def writing(db: Database, fn: Callable[[Any], Any]) -> Any:
            value = await write(db, fn)
            await asyncio.sleep(0)
            self.reach("committed, not answered")
            return value

        def changing(db: Database, fn: Callable[[Any], Any]) -> Any:
            self.reach("before the schema changes")
            value = change(db, dying(fn))
            self.reach("the schema has changed")
            return value

        Database._write = submitting  # type: ignore[method-assign]  # from outside, in a process that is there to die
        Database.write = writing  # type: ignore[method-assign]  # likewise
        Database.change_schema = changing  # type: ignore[method-assign]  # likewise


class _Calls:
    """The module `os` as the store sees it."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._steps if name in CHANGING else os, name)
