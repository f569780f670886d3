"""Cancelled at every suspension point in turn: nothing leaks, and the client stays usable."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from aiodashassist import DashScope, Run, tool
from aiodashassist.core.models import TERMINAL

QUESTION = """\
/say 先看看
/call look {"what": "a"}
/call stare {"what": "b"}
/then
/call look {"what": "c"}
/then
/say 完
"""


@tool
async def look(what: str) -> str:
    """Look, for a moment."""
    await asyncio.sleep(0)
    return what


@tool
def stare(what: str) -> str:
    """Look from a thread."""
    return what


class CancelAt:
    """Awaits a coroutine and cancels the task that does, at the coroutine's k-th suspension."""

    def __init__(self, work: Coroutine[Any, Any, None], at: int) -> None:
        self.suspensions = 0
        self._work = work
        self._at = at

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        error: BaseException | None = None
        while True:
            try:
                waited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration:
                return
            self.suspensions += 1
            if self.suspensions == self._at:
                task.cancel()
            error = None
            try:
                yield waited
            except BaseException as caught:  # noqa: BLE001 (handed on to the coroutine)
                error = caught


async def streamed(client: DashScope, assistant_id: str, runs: list[Run]) -> None:
    """A run with two rounds of tools; notes the run as soon as it is known."""
    async with client.stream(QUESTION, assistant_id=assistant_id, tools=[look, stare]) as stream:
        async for _ in stream:
            run = stream.snapshot.run
            if run is not None and not runs:
                runs.append(run)
        assert (await stream.result()).text == "先看看完"


async def at_suspension(at: int, work: Coroutine[Any, Any, None]) -> bool:
    """Cancel it at its k-th suspension; whether it came so far."""
    awaitable = CancelAt(work, at)

    async def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await awaitable

    await asyncio.create_task(run())
    return awaitable.suspensions >= at


async def at_turn(at: int, work: Coroutine[Any, Any, None]) -> bool:
    """Cancel it after so many turns of the loop; whether it was still at work then."""
    task = asyncio.create_task(work)
    for _ in range(at):
        await asyncio.sleep(0)
    reached = task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return reached


def tasks_at_work() -> int:
    """How many tasks there are, the server's runs included; not its open connections."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return len([name for name in names if name != "RequestHandler.start"])


def held(client: DashScope) -> object:
    """The connections that somebody still uses."""
    connector: Any = client._session.pool.http().connector
    return connector._acquired


async def settled(count: int) -> None:
    """Wait until no more tasks than this are at work."""
    async with asyncio.timeout(5):
        while tasks_at_work() > count:
            await asyncio.sleep(0)


@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 8), (at_turn, 30)])
async def test_a_stream_cancelled_anywhere_leaves_nothing_behind(
    client: DashScope,
    assistant_id: str,
    cancel: Callable[[int, Coroutine[Any, Any, None]], Awaitable[bool]],
    least: int,
) -> None:
    """At each moment in turn: tasks end, every run at the service ends, the client goes on."""
    await client.ask("warm up", assistant_id=assistant_id)
    tasks = tasks_at_work()
    at, statuses, reached = 1, [], True
    while reached:
        runs: list[Run] = []
        reached = await cancel(at, streamed(client, assistant_id, runs))
        await settled(tasks)
        assert not held(client), f"cancelled at {at}: a connection is still held"
        for run in runs:
            status = (await client.threads.runs.retrieve(run.thread_id or "", run.id)).status
            assert status in TERMINAL, f"cancelled at {at}: the run is {status}"
            statuses.append(status)
        at += 1 + at // 50  # tools in threads take many turns of the loop

    assert statuses[-1] == "completed"
    assert statuses.count("cancelled") >= least // 4
    assert at >= least
    assert (await client.ask("still here", assistant_id=assistant_id)).text == "still here"


@pytest.mark.parametrize("waits", [1, 5, 25])
async def test_an_abandoned_generator_ends_its_run(
    client: DashScope, assistant_id: str, waits: int
) -> None:
    """An async generator over a stream that is closed early closes the stream with it."""
    runs: list[Run] = []

    async def events() -> Any:
        async with client.stream(
            QUESTION, assistant_id=assistant_id, tools=[look, stare]
        ) as stream:
            async for event in stream:
                assert stream.snapshot.run is not None
                runs.append(stream.snapshot.run)
                yield event

    generator = events()
    for _ in range(waits):
        await anext(generator)
    await generator.aclose()
    run = await client.threads.runs.retrieve(runs[0].thread_id or "", runs[0].id)

    assert run.status == "cancelled"
