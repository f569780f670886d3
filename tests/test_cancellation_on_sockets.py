"""Cancelled, or closed, at every suspension point while real sockets are open.

The local server has faults; time is virtual but where files are written, which takes threads.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import AppBuilder, DashScope, LocalProtocolError, Run, Thread, TransportError
from aiodashassist.core.models import TERMINAL
from aiodashassist.server import Cut, Fault, LocalServer, Lose, Refuse, Slow, Stall
from tests.cancelling import done, run, the_loop, walk
from tests.recovery import PROVIDERS, Kind, Made, assistant_of, tools
from tests.scenes import CANCEL, TOOLS
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work

STRIDE = 29  # points, in the usual suite
PIECE = b"\n".join(b"%d" % i for i in range(50_000))

FAULTS: dict[str, Callable[[], list[Fault]]] = {
    "whole": list,
    "cut": lambda: [Cut(stream=True, after_events=5)],
    "reset": lambda: [Cut(stream=True, after_bytes=1500, reset=True)],
    "cut before the first event": lambda: [Cut(operation="CreateRun", after_events=0)],
    "lost": lambda: [Lose(every=2, times=4, reset=True)],
    "stalled": lambda: [Stall(operation="CreateRun", after_events=4, ping=30)],
    "refused": lambda: [Refuse(operation="CreateRun", times=1, retry_after="30")],
    "slow": lambda: [Slow(operation="CreateRun", seconds=3)],
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


async def left_alone(client: Any, tasks: int, patience: float) -> None:
    """Wait until nothing is at work that was not before; no connection is in use."""
    until = the_loop().time() + patience
    while tasks_at_work() > tasks or held(client):
        assert the_loop().time() < until, "a task or a connection is left"
        await asyncio.sleep(0.01)


async def struck_once(kind: Kind, fault: str, *, closes: bool) -> None:
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
            return
        assert the_loop().time() - points.struck <= CANCEL
        server.faults.clear()  # the server goes on, and sees that it is alone
        if closes:
            assert isinstance(task.exception(), LocalProtocolError | TransportError | None)
            await closing[0]
        else:
            assert task.cancelled()
            await left_alone(client, tasks, CANCEL)
        assert [run.status for run in runs_of(server) if run.status not in TERMINAL] == []
        assert len(runs_of(server)) <= 1
        assert max(made.values(), default=0) <= 1
        if not closes:
            answer = await client.ask("/say still here", assistant_id=assistant_id)
            assert answer.text == "still here"
    assert asyncio.all_tasks() == {asyncio.current_task()}


@EACH_FAULT
@EACH_KIND
def test_whoever_is_cancelled_leaves_no_connection(
    kind: Kind, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No connection in use, no task, no run; the client goes on. At some points of each fault."""
    point = partial(struck_once, kind, fault, closes=False)
    walk(point, f"{kind.__name__}, {fault}, cancelled", capsys, stride=STRIDE)


@EACH_FAULT
@EACH_KIND
def test_a_close_leaves_no_connection(
    kind: Kind, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is at work is told so with an error of ours, as soon as the run has been ended."""
    point = partial(struck_once, kind, fault, closes=True)
    walk(point, f"{kind.__name__}, {fault}, closed", capsys, stride=STRIDE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_FAULT
@EACH_KIND
@pytest.mark.parametrize("closes", [False, True], ids=["cancelled", "closed"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_whoever_is_struck_anywhere_leaves_no_connection(
    kind: Kind, fault: str, *, closes: bool, late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at every point."""
    point = partial(struck_once, kind, fault, closes=closes)
    how = ("closed" if closes else "cancelled") + ", late" * late
    walk(point, f"{kind.__name__}, {fault}, {how}", capsys, late=late)


def test_a_run_that_cannot_be_found_in_time_is_left_and_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An answer that takes longer than `Timeouts.cancel`: whoever leaves does not wait for it."""

    async def main() -> None:
        async with LocalServer() as server, server.client(DashScope) as client:
            assistant_id = await assistant_of(client)
            server.faults.add(Slow(operation="CreateRun", seconds=60))
            task = asyncio.create_task(client.ask("/wait 100", assistant_id=assistant_id))
            await asyncio.sleep(1)
            task.cancel()
            began = the_loop().time()
            await asyncio.wait({task})
            assert task.cancelled()
            assert the_loop().time() - began == pytest.approx(CANCEL)
            assert not held(client)
            assert [run.status for run in runs_of(server)] == ["in_progress"]

    run(main())
    (record,) = caplog.get_records("call")
    assert "not all could be ended within Timeouts.cancel" in record.getMessage()
    caplog.clear()


# --- files ---


Cancel = Callable[[int, Coroutine[Any, Any, None]], Any]


@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 3), (at_turn, 15)])
@pytest.mark.parametrize("taken", ["download", "content", "upload"])
async def test_a_file_on_its_way_is_whole_or_not_there(
    tmp_path: Path, server: LocalServer, cancel: Cancel, least: int, taken: str
) -> None:
    """At each moment in turn: nothing of a file is left here, no task, no connection in use."""
    source, folder = tmp_path / "source.txt", tmp_path / "there"
    source.write_bytes(PIECE)
    folder.mkdir()
    client: Any
    async with server.client(AppBuilder) as client:
        file_id = (await client.files.create(source)).id

        async def work() -> None:
            if taken == "download":
                await client.files.download(file_id, to=folder)
            elif taken == "content":
                await client.files.content(file_id)
            else:
                await client.files.create(source)

        await work()
        tasks, at, reached = tasks_at_work(), 0, True
        while reached:
            for path in folder.iterdir():
                path.unlink()
            at += 1 + at // 20
            reached = await cancel(at, work())
            await settled(tasks)
            assert not held(client), f"cancelled at {at}"
            whole = [path.read_bytes() for path in folder.iterdir()]
            assert whole == [PIECE] * len(whole), f"cancelled at {at}"
            assert not whole or not reached
        assert (await client.files.content(file_id)).data == PIECE
        assert at >= least
