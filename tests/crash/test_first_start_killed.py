"""The very first start, killed at each of its steps: the next one comes up, whoever reads what was shown can log in, and nothing is
made twice or left over.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crash_clients import basic, check_doctor
from crash_course import Told, spread, telling
from started import Started, free_port
from transport import connect

pytestmark = pytest.mark.crash
QUICK_STEPS = 6  # in `make test`
BANNER = "This is the first start."


class FirstStart:
    """The first start on one engine, made once without a kill."""

    def __init__(self, nursery, deployments) -> None:
        self.nursery, self.deployments = nursery, deployments
        unharmed = self._empty()
        assert self._start(unharmed, deadly=None) == 0, nursery.log()
        told = Told(unharmed[0])
        (self.steps,) = told.all("steps")
        self.made = self._look(unharmed)
        assert [bool(lines) for lines in Told(unharmed[0]).all("shown")] == [True, False, False]

    def _empty(self) -> tuple[Path, str]:
        """Nothing but an empty database, and on SQLite not even that."""
        deployment = self.deployments.new()
        (deployment[0] / "data").rmdir()
        return deployment

    def _start(self, deployment, *, deadly: int | None) -> int:
        return self.nursery.run("start", *deployment, deadly=deadly)

    def _look(self, deployment) -> dict[str, int]:
        """After the start that follows. What was made, by table."""
        (deployment[0] / "told").touch()
        code = self.nursery.run("start_again", *deployment)
        assert code == 0, self.nursery.log()
        told = Told(deployment[0])
        assert told.all("faults") == [[]]
        *shown, last = told.all("shown")
        assert any(shown)
        assert not last
        (made,) = told.all("made")
        return made

    def kill(self, step: int) -> Told:
        """Killed at the step, and started again; what was told."""
        deployment = self._empty()
        code = self._start(deployment, deadly=step)
        assert code == -9, self.nursery.log()
        assert self._look(deployment) == self.made
        told = Told(deployment[0])
        self.deployments.drop(deployment)
        return told


def broken_by_kills(course: FirstStart, steps: list[int]) -> str:
    """What was wrong after which kill; empty if nothing was."""
    broken = {}
    for step in steps:
        try:
            course.kill(step)
        except AssertionError as error:
            broken[f"{step} {course.steps[step - 1]}"] = str(error)
    return json.dumps(broken, indent=1) if broken else ""


def test_a_first_start_killed_at_one_of_many_steps_is_made_good(nursery, sqlite_deployments):
    course = FirstStart(nursery, sqlite_deployments)
    assert broken_by_kills(course, spread(telling(course.steps), QUICK_STEPS)) == ""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "most",
    [
        pytest.param(6, marks=pytest.mark.broad, id="some"),
        pytest.param(10_000, marks=pytest.mark.soak, id="every"),
    ],
)
def test_a_first_start_killed_at_any_step_is_made_good(nursery, deployments, most):
    course = FirstStart(nursery, deployments)
    assert broken_by_kills(course, spread(telling(course.steps), most)) == ""


@pytest.mark.broad
def test_secrets_that_were_never_shown_are_shown_by_the_next_start(nursery, sqlite_deployments):
    course = FirstStart(nursery, sqlite_deployments)
    told = course.kill(course.steps.index("not shown") + 1)
    assert [bool(lines) for lines in told.all("shown")] == [True, False]


@pytest.mark.broad
def test_no_copy_of_the_master_key_is_left_beside_it(nursery, sqlite_deployments):
    course = FirstStart(nursery, sqlite_deployments)
    made = ("fsync", "link", "unlink", "rename")
    steps = [number for number, name in enumerate(course.steps, 1) if name in made]
    assert {step: course.kill(step).all("strays") for step in steps} == {s: [[]] for s in steps}


# -- as it runs -------------------------------------------------------------------------------------------------------


class FirstRun(Started):
    """A registry whose root password nobody has set."""

    @property
    def environment(self) -> dict[str, str]:
        preset = Started.environment.fget(self)
        return {name: preset[name] for name in preset if name != "ENTREPOT_ROOT_PASSWORD"}

    def start_and_kill(self, when: str) -> None:
        """Kill all its processes as soon as there is that file, or those words in the log."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "entrepot", "serve"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=self.environment, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 40
        while not ((self.folder / when).exists() or when.encode() in self.log.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def password(self) -> str:
        """The one shown: by every banner, where one was killed before it could say that it was there."""
        _, *banners = self.log.read_text().split(BANNER)
        lines = "".join(banners).splitlines()
        (found,) = {line.split()[1] for line in lines if "    password " in line}
        return found


@pytest.mark.blackbox  # seconds each
@pytest.mark.parametrize("when", ["data", "data/entrepot.db", "docker pull"])
def test_a_registry_killed_in_its_first_start_is_there_after_the_next(tmp_path, when):
    registry = FirstRun(tmp_path, {}, free_port())
    registry.start_and_kill(when)
    registry.start()
    try:
        connection = connect(registry.port)
        secret = basic("root", registry.password())
        connection.request("GET", "/v2/", headers={"authorization": secret})
        assert connection.getresponse().status == 200
        connection.close()
        check_doctor(registry)
    finally:
        code = registry.stop()
    assert code == 0
