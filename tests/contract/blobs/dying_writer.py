"""Uploads one object after the other, each in a forked process that kills itself (SIGKILL) just before its n-th system call that
changes the disk; n grows until one gets through.

Argument: root. Prints a line `<key> <how it ended, as waitpid says>` for each. Run by test_blob_local.py.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from entrepot.ports.blobs import ObjectKey
from entrepot.storage.local import LocalStore

CALLS = ("pwrite", "rename", "fsync", "ftruncate", "mkdir", "unlink", "open")


def write(root: Path, key: ObjectKey, left: int) -> None:
    store = LocalStore(root)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapped

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
    upload = store.begin(key)
    upload.write(memoryview(b"first"))
    upload.save()
    upload.close()
    upload = store.resume(key, state=b"", offset=3)
    upload.write(memoryview(b"second"))
    upload.finish()
    upload.close()


def main() -> None:
    root = Path(sys.argv[1])
    for step in range(1, 60):
        key = ObjectKey(f"{step:02d}" + "0" * 18)
        pid = os.fork()
        if not pid:
            write(root, key, step)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(key, os.waitstatus_to_exitcode(status), flush=True)
        if not status:
            return


main()
