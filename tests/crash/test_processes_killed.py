"""`entrepot serve` as it runs, and SIGKILL for its supervisor, its worker, one of its servers, or all of them at random moments."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from crash_clients import Pusher, check_doctor, check_everything_acknowledged
from started import Started, operating

from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.operations import scrub
from entrepot.metadata import instances, tenants, work
from entrepot.metadata.schema import blobs, tasks
from entrepot.model.work import NewTask

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]
SETTINGS = {
    "ENTREPOT_HTTP_WORKERS": "2",
    "ENTREPOT_JOBS_LEASE": "2s",
    "ENTREPOT_GC_SCRUB_RATE": "64KiB",
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Started]:
    """Not started yet; its database is made, with the namespace `team`."""
    made = Started(tmp_path, dict(SETTINGS))
    with operating(made.environment) as operator:
        hosts = operator.read(instances.load_hosts)
        tenant = operator.read(tenants.root_tenant)
        operator.run(create_namespace, CreateNamespace(hosts.default.id, tenant.id, "team"))
    yield made
    if made.process is not None:
        made.kill()


def children(registry: Started, kind: str = "") -> list[int]:
    """Process ids of the supervisor's living children."""
    pid = registry.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    short = kind.replace("server", "srv")
    return [int(child) for child in found if _command(int(child)).startswith(f"entrepot {short}")]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_for(what: Callable[[], Any], *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def pushing(registry: Started, clients: int) -> tuple[list[Pusher], threading.Event]:
    stop = threading.Event()
    pushers = [Pusher(registry.port, number, stop) for number in range(clients)]
    for pusher in pushers:
        pusher.start()
    return pushers, stop


def finished(pushers: list[Pusher], stop: threading.Event) -> None:
    stop.set()
    for pusher in pushers:
        pusher.join(120)
        assert not pusher.is_alive()
        if pusher.error is not None:
            raise pusher.error


def test_the_children_of_a_killed_supervisor_end_and_the_next_starts_at_once(registry):
    registry.start()
    pushers, stop = pushing(registry, 2)
    wait_for(lambda: all(pusher.tags for pusher in pushers))
    orphans = wait_for(lambda: len(found := children(registry)) == 3 and found)

    os.kill(registry.process.pid, signal.SIGKILL)
    registry.process.wait()
    registry.start()

    wait_for(lambda: not any(_command(pid).startswith("entrepot ") for pid in orphans))
    finished(pushers, stop)
    check_everything_acknowledged(registry, pushers)
    check_doctor(registry)
    assert registry.stop() == 0


@pytest.mark.broad
def test_a_task_of_a_killed_worker_runs_again(registry):
    registry.start()
    pushers, stop = pushing(registry, 1)
    wait_for(lambda: sum(map(len, pushers[0].layers.values())) > 300_000)
    finished(pushers, stop)  # the scrub needs seconds for so much
    with operating(registry.environment) as operator:
        long_ago = sa.update(blobs).values(created_at=0)  # nobody has read them for years
        operator.ctx.db.write_sync(lambda conn: conn.execute(long_ago).rowcount)
        operator.ctx.db.write_sync(lambda conn: work.defer(conn, NewTask(scrub.SCRUB)))

        def scrubbing() -> int | None:
            """Ours, or the one that the worker began by itself: one runs at a time."""
            query = sa.select(tasks.c.id).where(
                tasks.c.kind == scrub.SCRUB, tasks.c.status == "running"
            )
            return operator.read(lambda conn: conn.execute(query).scalar())

        task = wait_for(scrubbing)

        def attempts(status: str) -> int:
            query = sa.select(tasks.c.attempts).where(tasks.c.id == task, tasks.c.status == status)
            return operator.read(lambda conn: conn.execute(query).scalar()) or 0

        for pid in children(registry, "worker"):
            os.kill(pid, signal.SIGKILL)

        wait_for(lambda: attempts("running") + attempts("succeeded") > 1)
    assert registry.stop() == 0


def test_a_killed_server_takes_nothing_with_it_that_was_acknowledged(registry):
    registry.start()
    pushers, stop = pushing(registry, 4)
    wait_for(lambda: all(pusher.tags for pusher in pushers))
    for pid in children(registry, "server"):  # one after the other
        before = sum(len(pusher.tags) for pusher in pushers)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda before=before: sum(len(p.tags) for p in pushers) > before + 4)
        wait_for(lambda pid=pid: len(children(registry, "server")) == 2 and not _command(pid))
    finished(pushers, stop)

    check_everything_acknowledged(registry, pushers)
    check_doctor(registry)
    assert registry.stop() == 0


def kill_at_random(registry: Started, seconds: float) -> int:
    """Every 0.3 s or so of serving, one process or all of them. How often."""
    chance, kills, until = random.Random(7), 0, time.monotonic() + seconds
    while kills < 4 or time.monotonic() < until:
        time.sleep(chance.uniform(0.05, 0.55))
        kills += 1
        if chance.random() < 0.5 and (found := children(registry)):
            os.kill(chance.choice(found), signal.SIGKILL)
            continue
        registry.kill()
        registry.start()
    return kills


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(10, marks=pytest.mark.blackbox),  # half a minute: for `make test-all`
        pytest.param(180, marks=pytest.mark.soak),
    ],
)
def test_random_kills_under_pushing_clients_lose_nothing_acknowledged(registry, seconds):
    registry.start()
    pushers, stop = pushing(registry, 8)
    wait_for(lambda: all(pusher.tags for pusher in pushers))
    kills = kill_at_random(registry, seconds)
    finished(pushers, stop)

    check_everything_acknowledged(registry, pushers)
    registry.kill()
    registry.start()
    check_everything_acknowledged(registry, pushers)
    check_doctor(registry)
    assert registry.stop() == 0
    images = sum(len(pusher.tags) for pusher in pushers)
    print(f"{kills} kills, {images} images, {sum(p.resumed for p in pushers)} uploads gone on with")
