"""Cancelled at every suspension point, in every way: nothing leaks, runs end, the client goes on.

See `tests/cancelling.py` for what a point is, and `tests/scenes.py` for what is cut short. Each
walk prints how many points there were.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from aiodashassist import AppBuilder, AssistError, DashScope, LocalProtocolError, TransportError
from aiodashassist.core.models import TERMINAL
from aiodashassist.core.operations import CancelRun
from aiodashassist.server import Cut, Drop, Faults, LocalServer, Lose, Refuse, Stall
from tests import cancelling
from tests.cancelling import CANCELS, WAYS, Way, done, the_loop
from tests.recovery import PROVIDERS, Kind, assistant_of, named, tools
from tests.scenes import CANCEL, SCENES, TOOLS, Scene, Stage, staged
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work

STRIDE = 5  # points, in the usual suite
TODAY = 0 if "CI" in os.environ else date.today().toordinal()  # noqa: DTZ011 (any number does)
MOMENT = 1e-6  # virtual seconds; nothing takes as long without a pause

Point: TypeAlias = Callable[[], Awaitable[bool]]
"""Plays once, and is struck at the point that was aimed at; whether there is such a point."""

EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
EACH_SCENE = pytest.mark.parametrize("name", SCENES)


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No warning, such as of a run that could not be ended in time."""
    yield
    assert [one.getMessage() for one in caplog.get_records("call")] == []


def walk(point: Point, *, late: bool, stride: int = 1, capsys: Any, title: str) -> None:
    """Strike at each point in turn, or at each `stride`-th, and say how many these were."""

    async def main() -> int:
        struck, at = 0, 1 + TODAY % stride
        while True:
            the_loop().points.aim(at, late=late)
            with named(f"struck at point {at}"):
                if not await point():
                    return struck
            struck, at = struck + 1, at + stride

    struck = cancelling.run(main())
    with capsys.disabled():
        print(f"\n{title}{', late' if late else ''}: {struck} points, each {stride}")
    assert struck


# --- cancelled ---


async def cancelled_once(kind: Kind, play: Scene, way: Way) -> bool:
    """Play a scene, have it cancelled, and look at what is left."""
    points = the_loop().points
    async with staged(kind, play) as stage:
        work = await play.begin(stage)
        tasks, before = asyncio.all_tasks(), stage.runs
        sent = len(stage.ours.harness.exchanges)
        task = await way(work)
        if points.struck is None:
            task.result()
            return points.reached
        check_end(task, way)
        took = the_loop().time() - points.struck
        assert took <= play.takes + MOMENT, f"it took {took} s"
        await quiet(stage, tasks, 0 if way in AT_ONCE else CANCEL)
        check_runs(stage, play, before)
        if play.leaves:
            asked = [type(one.operation) for one in stage.ours.harness.exchanges[sent:]]
            assert CancelRun not in asked
        assert max(stage.made.values(), default=0) <= 1
        await check_usable(stage)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return True
