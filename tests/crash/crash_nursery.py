"""A process that has everything imported and forks a child for each deployment to kill, since starting Python takes a second.

Reads requests as JSON lines, answers each with how its child ended. It has one thread and opens nothing, so forking is safe.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import crash_child
import crash_first

import entrepot.metadata.migrations
import entrepot.metadata.postgresql  # noqa: F401  (so that children need not)
from entrepot.metadata import sqlite

CHILD_SECONDS = 60
ROLES = {
    role.__name__: role
    for role in (
        crash_child.prepare,
        crash_child.act,
        crash_child.look,
        crash_first.start,
        crash_first.start_again,
    )
}


def run(request: dict[str, object]) -> None:
    signal.alarm(CHILD_SECONDS)
    role = ROLES[str(request.pop("role"))]
    folder = Path(str(request.pop("folder")))
    with asyncio.Runner() as runner:
        runner.run(role(folder, **request))


def share_compiled_statements() -> None:
    """One dialect and one cache of compiled statements for all SQLite engines, so that children inherit them."""
    make, engines = sqlite.make_engine, []

    def sharing(*args: object, **kwargs: object) -> object:
        engine = make(*args, **kwargs)
        engines.append(engine)
        engine.dialect = engine.pool._dialect = engines[0].dialect
        engine._compiled_cache = engines[0]._compiled_cache
        return engine

    sqlite.make_engine = sharing


def warm_up() -> None:
    """Do everything once, so that the children find it imported and compiled."""
    with tempfile.TemporaryDirectory(prefix="entrepot-crash-") as name:
        (Path(name) / "data").mkdir()
        (Path(name) / "told").touch()
        url = f"sqlite:///{name}/data/metadata.db"
        for role in ("prepare", "look"):
            run({"role": role, "folder": name, "url": url, "scenario": "manifests"})
    signal.alarm(0)


def main() -> None:
    share_compiled_statements()
    warm_up()
    for line in sys.stdin:
        assert threading.active_count() == 1
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                os.dup2(2, 1)  # what is logged is no answer
                run(request)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


main()
