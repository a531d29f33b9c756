"""The supervisor where things fail around it. Each runs in a process of its own, since it forks."""

import os
import subprocess
import sys
import time

COMMON = """
import errno, os, signal, sys, time
from multiprocessing.context import ForkProcess
from entrepot.bootstrap.supervisor import Child, Supervisor

def body(link):
    link.ready()
    os.read(link.life, 1)  # until whoever started it is gone

supervisor = Supervisor(grace_seconds=1)
child = Child("worker", body)
supervisor.add([child])
"""


def run(program: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", COMMON + program]
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(command, timeout=60, check=False, text=True, env=surroundings, **options)


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110  (no file system)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_fork_that_fails_is_tried_again():
    done = run(
        """
starts, real = [], ForkProcess.start
def start(self):
    starts.append(self)
    if len(starts) == 2:
        raise OSError(errno.EAGAIN, "no more processes")
    real(self)
ForkProcess.start = start
assert supervisor.start(child)
os.kill(child.process.pid, signal.SIGKILL)
deadline = time.monotonic() + 30
while len(starts) < 3 or not child.is_ready:
    assert time.monotonic() < deadline
    supervisor._listen(0.05)
    supervisor._look_after(child)
assert supervisor.stop() == 0
""",
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "no more processes" in done.stderr


def test_a_first_fork_that_fails_is_a_start_that_failed():
    done = run(
        """
def start(self):
    raise OSError(errno.ENOMEM, "no memory")
ForkProcess.start = start
sys.exit(3 if not supervisor.start(child) else 0)
""",
        capture_output=True,
    )
    assert done.returncode == 3


def test_a_supervisor_that_fails_ends_and_so_do_its_children():
    done = run(
        """
assert supervisor.start(child)
print(child.process.pid, flush=True)
raise RuntimeError("whatever it is")
""",
        capture_output=True,
    )
    assert done.returncode == 1
    assert ended(int(done.stdout))


def test_nobody_need_read_what_it_says():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(
            """
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
assert supervisor.start(child)
first = child.process.pid
os.kill(first, signal.SIGKILL)
deadline = time.monotonic() + 30
while child.process is None or child.process.pid == first or not child.is_ready:
    assert time.monotonic() < deadline
    supervisor._listen(0.05)
    supervisor._look_after(child)
sys.exit(supervisor.stop() or 5)
""",
            stderr=writing,
        )
    finally:
        os.close(writing)
    assert done.returncode == 5
