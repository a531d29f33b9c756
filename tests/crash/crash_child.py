"""What a forked process does with a deployment: prepare it, act until it dies, or look at it after the restart.

What it finds out goes into `told` of the deployment's folder, a JSON line each, so that it outlives a SIGKILL.
"""

import json
import os
from pathlib import Path
from typing import Any

from crash_scenarios import SCENARIOS, Scenario
from crash_steps import Steps
from crash_world import World, open_world

from entrepot.model.errors import UploadUnknown

# What nobody refers to yet, or any more; what the collector had before it; the counts of a repository that is going, which
# nobody sees.
AFTER_A_CRASH = frozenset(
    {"object-unknown", "upload-unknown", "condemned", "count-wrong", "collector-behind"}
)


class Teller:
    """Appends JSON lines."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, **what: Any) -> None:
        os.write(self._file, json.dumps(what).encode() + b"\n")


async def prepare(folder: Path, url: str, scenario: str) -> None:
    async with open_world(folder, url) as world:
        await SCENARIOS[scenario].prepare(world)


async def act(folder: Path, url: str, scenario: str, *, deadly: int | None, power: bool) -> None:
    """Do the acts; die at the step. With none to die at, tell the steps and what is served after each act."""
    teller = Teller(folder)
    steps = Steps(deadly, power=power)
    steps.install()
    async with open_world(folder, url) as world:
        if deadly is None:
            teller.tell(served=await world.served())
        for one in SCENARIOS[scenario].acts:
            steps.arm()
            value = await one.do(world)
            steps.reach("not acknowledged")
            steps.disarm()
            world.memory[one.name] = value if isinstance(value, str) else None
            teller.tell(done=one.name, value=world.memory[one.name])
            if deadly is None:
                teller.tell(served=await world.served())
        if deadly is None:
            teller.tell(steps=steps.names)


async def look(folder: Path, url: str, scenario: str, *, power: bool = False) -> None:
    """After a restart: what is served and whether it is whole; then finish what was begun, clean up, and look again.

    Only power loss may have taken an upload session: the client then begins anew.
    """
    told = [json.loads(line) for line in (folder / "told").read_text().splitlines()]
    done = {line["done"]: line["value"] for line in told if "done" in line}
    teller = Teller(folder)
    course = SCENARIOS[scenario]
    async with open_world(folder, url) as world:
        world.memory.update(done)
        world.lost = course.lost if len(done) < len(course.acts) else frozenset()
        teller.tell(restarted=await world.served())
        await world.pull_everything()
        teller.tell(faults=await world.faults(allowed=AFTER_A_CRASH | course.findings))
        try:
            await _go_on(world, course, done=len(done))
        except UploadUnknown:
            if not power:
                raise
            await _go_on(world, course, done=0)
        world.lost = frozenset()
        teller.tell(finished=await world.served())
        await world.clean_up()
        teller.tell(swept=await world.served(), faults=await world.leftovers())
        await world.pull_everything()
        teller.tell(faults=await world.faults())


async def _go_on(world: World, scenario: Scenario, *, done: int) -> None:
    for number, one in enumerate(scenario.acts[done:]):
        try:
            world.memory[one.name] = await one.do(world)
        except one.done_by:
            assert number == 0  # only of the one that was under way
