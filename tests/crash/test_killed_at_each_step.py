"""Each scenario is run once to count its steps and to see what is served after each act; then once for each step, killed there.

After the restart everything that was acknowledged is served with the right bytes, the act that was under way has happened wholly or
not at all, and a client that goes on gets to the same end; once time has passed nothing is left over.
"""

import json

import pytest
from crash_course import Told, spread, telling
from crash_scenarios import SCENARIOS

pytestmark = pytest.mark.crash


ATTEMPTS = 5
QUICK = ("blob in one request", "manifests", "push of what is being collected")
"""Of these some steps in `make test`."""
AS_LONG_AS_THERE_IS_TIME = pytest.mark.parametrize(
    "most",
    [
        pytest.param(6, marks=pytest.mark.broad, id="some"),
        pytest.param(10_000, marks=pytest.mark.soak, id="every"),
    ],
)
"""Of every scenario on both engines some more in `make test-all`, and all of them in `make soak`."""


class Course:
    """A scenario on one engine: prepared, and run once without a kill."""

    def __init__(self, nursery, deployments, name: str) -> None:
        self.nursery, self.deployments, self.name = nursery, deployments, name
        self.prepared = deployments.new()
        self._run("prepare", self.prepared)
        unharmed = deployments.new(self.prepared)
        self._run("act", unharmed, deadly=None, power=False)
        told = Told(unharmed[0])
        self.served, (self.steps,) = told.all("served"), told.all("steps")
        self._run("look", unharmed)
        told = Told(unharmed[0])
        assert told.all("faults") == [[], [], []]
        (self.end,), (self.swept,) = told.all("finished"), told.all("swept")

    def _child(self, role: str, deployment, **more) -> int:
        return self.nursery.run(role, *deployment, scenario=self.name, **more)

    def _run(self, role: str, deployment, **more) -> None:
        code = self._child(role, deployment, **more)
        assert code == 0, f"{role} ended with {code}:\n{self.nursery.log()}"

    def kill(self, step: int, *, power: bool) -> list[str]:
        """Run it again, killed at the step; what was wrong afterwards.

        Writes that wait for each other may share a commit or not, so a run can have a step less and end before this one: then again.
        """
        for _ in range(ATTEMPTS):
            deployment = self.deployments.new(self.prepared)
            code = self._child("act", deployment, deadly=step, power=power)
            if code != 0:
                break
            self.deployments.drop(deployment)
        if code != -9:
            return [f"ended with {code}: {self.nursery.log()}"]
        done = len(Told(deployment[0]).all("done"))
        code = self._child("look", deployment, power=power)
        if code:
            return [f"the restart ended with {code}: {self.nursery.log()}"]
        wrong = self._wrong(Told(deployment[0]), done)
        self.deployments.drop(deployment)
        return wrong

    def _wrong(self, told: Told, done: int) -> list[str]:
        wrong = [fault for faults in told.all("faults") for fault in faults]
        (restarted,), (finished,), (swept,) = map(told.all, ("restarted", "finished", "swept"))
        is_whole = restarted in (self.served[done], self.served[done + 1])
        if not (is_whole or SCENARIOS[self.name].acts[done].in_steps):
            wrong.append(f"served neither as before nor as after: {restarted}")
        if finished != self.end:
            wrong.append(f"another end: {finished}")
        if swept != self.swept:
            wrong.append(f"another state after cleaning up: {swept}")
        return wrong


def broken_by_kills(course: Course, steps: list[int], *, power: bool = False) -> str:
    """What was wrong after which kill; empty if nothing was."""
    broken = {}
    for step in steps:
        if wrong := course.kill(step, power=power):
            broken[f"{step} {course.steps[step - 1]}"] = wrong
    return json.dumps(broken, indent=1) if broken else ""


@pytest.mark.parametrize("name", QUICK)
def test_a_kill_at_one_of_many_steps_loses_nothing_acknowledged(nursery, sqlite_deployments, name):
    course = Course(nursery, sqlite_deployments, name)
    assert broken_by_kills(course, spread(telling(course.steps), SCENARIOS[name].quick_steps)) == ""


@AS_LONG_AS_THERE_IS_TIME
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_any_step_loses_nothing_acknowledged(nursery, deployments, name, most):
    course = Course(nursery, deployments, name)
    assert broken_by_kills(course, spread(telling(course.steps), most)) == ""


@AS_LONG_AS_THERE_IS_TIME
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_power_failure_at_any_step_loses_nothing_acknowledged(
    nursery, sqlite_deployments, name, most
):
    course = Course(nursery, sqlite_deployments, name)
    steps = list(range(1, len(course.steps) + 1))
    assert broken_by_kills(course, spread(steps, most), power=True) == ""
