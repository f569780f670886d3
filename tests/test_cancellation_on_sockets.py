"""Cancelled, or closed, at every suspension point while real sockets are open.

The local server has faults; time is virtual but where files are written, which takes threads.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import AppBuilder, DashScope, LocalProtocolError, Thread, TransportError
from aiodashassist.core.models import TERMINAL, Run
from aiodashassist.server import Cut, Fault, LocalServer, Lose, Refuse, Slow, Stall
from tests.cancelling import WAYS, done, the_loop, walk
from tests.recovery import PROVIDERS, Client, Kind, Made, assistant_of, tools
from tests.scenes import CANCEL, TOOLS
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work

STRIDE = 7  # points, in the usual suite
PIECE = b"\n".join(b"%d" % i for i in range(50_000))

FAULTS: dict[str, Callable[[], list[Fault]]] = {
    "whole": lambda: [],
    "cut": lambda: [Cut(stream=True, after_events=5)],
    "reset": lambda: [Cut(stream=True, after_bytes=1500, reset=True)],
    "cut before the first event": lambda: [Cut(operation="CreateRun", after_events=0)],
    "lost": lambda: [Lose(every=2, times=4, reset=True)],
    "stalled": lambda: [Stall(operation="CreateRun", after_events=4)],
    "refused": lambda: [Refuse(operation="CreateRun", times=1, retry_after="30")],
    "slow": lambda: [Slow(operation="CreateRun", seconds=20)],
}
EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
EACH_FAULT = pytest.mark.parametrize("fault", FAULTS)


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No warning, by whomever."""
    yield
    assert [one.getMessage() for one in caplog.get_records("call")] == []


def runs_of(server: LocalServer) -> list[Run]:
    """All runs that there are."""
    threads = server.store.all("", Thread)
    return [run for one in threads for run in server.store.all("", Run, one.id)]


async def left_alone(client: Client, tasks: int, patience: float) -> None:
    """Wait until nothing is at work that was not before; no connection is in use."""
    until = the_loop().time() + patience
    while tasks_at_work() > tasks or held(client):
        assert the_loop().time() < until, "a task or a connection is left"
        await asyncio.sleep(0.01)


async def struck_once(kind: Kind, fault: str, *, closes: bool) -> bool:
    """Ask, be cancelled or have the client closed meanwhile, and look at what is left."""
    points, made = the_loop().points, Made()
    async with LocalServer() as server, server.client(kind) as client:
        assistant_id = await assistant_of(client)
        tasks = tasks_at_work()
        server.faults.add(*FAULTS[fault]())
        asking = client.ask(TOOLS.question, assistant_id=assistant_id, tools=tools, deps=made)
        closing: list[asyncio.Task[None]] = []

        def close() -> None:
            closing.append(asyncio.create_task(client.close()))

        task = await done(asking, close if closes else None)
        if points.struck is None:
            assert task.result().text == TOOLS.text
            return points.reached
        assert the_loop().time() - points.struck <= CANCEL
        if closes:
            assert isinstance(task.exception(), LocalProtocolError | TransportError | None)
            await closing[0]
        else:
            assert task.cancelled()
            await left_alone(client, tasks, CANCEL)
        assert [run.status for run in runs_of(server) if run.status not in TERMINAL] == []
        assert len(runs_of(server)) <= 1
        assert max(made.values(), default=0) <= 1
        server.faults.clear()
        if not closes:
            answer = await client.ask("/say still here", assistant_id=assistant_id)
            assert answer.text == "still here"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return True
