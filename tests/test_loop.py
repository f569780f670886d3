"""The loop with a provider whose stream stays open across tool calls.

The reopening way is in `test_stream.py`, on real sockets.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from aiodashassist import (
    BadRequest,
    IdleTimeout,
    MessageDelta,
    RunCancelled,
    RunEvent,
    StreamInterrupted,
    ToolFinished,
    ToolOutput,
    Toolset,
    ToolStarted,
    TotalTimeout,
)
from aiodashassist.core.operations import ListMessages, SubmitOutputs
from aiodashassist.jobs import Bench
from aiodashassist.stream import RunStream, StreamOptions
from aiodashassist.threads import WorkerThreads
from tests.scripted import ScriptedSession, opening


def run_frame(status: str, *calls: str, **more: Any) -> bytes:
    """A run event; `calls` are names of functions it waits for."""
    body: dict[str, Any] = {"id": "run_1", "thread_id": "thread_1", "status": status, **more}
    if calls:
        wanted = [{"id": "", "function": {"name": name, "arguments": "{}"}} for name in calls]
        body["required_action"] = {"submit_tool_outputs": {"tool_calls": wanted}}
    return frame(f"thread.run.{status}", body)


def step_frame(status: str, step_id: str) -> bytes:
    """An event of a tool_calls step."""
    body = {"id": step_id, "run_id": "run_1", "type": "tool_calls", "status": status}
    return frame(f"thread.run.step.{status}", body)


def text_frame(text: str) -> bytes:
    """A piece of the answer."""
    content = [{"type": "text", "text": {"value": text}}]
    return frame("thread.message.delta", {"id": "m", "delta": {"content": content}})


def frame(name: str, body: dict[str, Any]) -> bytes:
    """An event, framed."""
    return b"event:%b\ndata:%b\n\n" % (name.encode(), msgspec.json.encode(body))


def stream_of(
    session: ScriptedSession, *functions: Callable[..., Any], on_exit: Any = "cancel"
) -> RunStream:
    """A stream over the scripted session, with these tools; none leaves calls to the user."""
    bench = Bench(tools=Toolset(*functions), threads=WorkerThreads(2)) if functions else None
    return RunStream(session.typed(), opening, StreamOptions(bench=bench, on_exit=on_exit))


async def a() -> str:
    """Tool a."""
    return "A"


async def b() -> str:
    """Tool b."""
    return "B"


async def test_one_stream_goes_on_across_rounds() -> None:
    """Outputs are posted beside the stream, which is read on; each round once."""
    session = ScriptedSession()

    async def service() -> None:
        session.body.feed(run_frame("in_progress"), step_frame("in_progress", "s1"))
        session.body.feed(run_frame("requires_action", "a", "b"))
        await session.submitted.wait()
        session.submitted.clear()
        session.body.feed(step_frame("completed", "s1"), run_frame("in_progress"))
        session.body.feed(step_frame("in_progress", "s2"), run_frame("requires_action", "a"))
        await session.submitted.wait()
        session.body.feed(run_frame("in_progress"), text_frame("完"), run_frame("completed"), b"")

    serving = asyncio.create_task(service())
    async with stream_of(session, a, b) as stream:
        result = await stream.result()
    await serving

    assert session.submissions == [["A", "B"], ["A"]]
    assert result.text == "完"
    assert [call.name for call in result.tool_calls] == ["a", "b", "a"]


async def test_events_come_while_tools_are_at_work() -> None:
    """A stream that stays open is read while its tools run."""
    session = ScriptedSession()
    gate = asyncio.Event()

    async def wait() -> str:
        """Wait for the gate."""
        await gate.wait()
        return "through"

    session.body.feed(run_frame("requires_action", "wait"), text_frame("meanwhile"))
    async with stream_of(session, wait) as stream:
        events = [await anext(stream) for _ in range(3)]
        gate.set()
        finished = await anext(stream)
        session.body.feed(run_frame("in_progress"), run_frame("completed"), b"")
        rest = [event async for event in stream]

    assert {type(event) for event in events} == {RunEvent, ToolStarted, MessageDelta}
    assert isinstance(finished, ToolFinished)
    assert isinstance(rest[-1], RunEvent)
    assert session.submissions == [["through"]]


async def test_a_run_that_ends_during_its_tools_ends_the_stream() -> None:
    """A run that expires while tools work does not wait for them; nothing is submitted."""
    session = ScriptedSession()
    ended = asyncio.Event()

    async def endless() -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    session.body.feed(run_frame("requires_action", "endless"))
    async with stream_of(session, endless) as stream:
        await anext(stream)
        assert isinstance(await anext(stream), ToolStarted)
        session.body.feed(run_frame("expired"), b"")
        rest = [event async for event in stream]

    assert isinstance(rest[-1], RunEvent)
    assert ended.is_set()
    assert session.submissions == []
    assert not session.cancelled


@pytest.mark.parametrize("data", [b"", None])
async def test_a_stream_that_ends_during_its_tools_is_interrupted(data: bytes | None) -> None:
    """With a run that cannot be read back it is StreamInterrupted; the run is cancelled."""
    session = ScriptedSession()
    session.error = BadRequest("no such call", status=400)

    async def endless() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    session.body.feed(run_frame("requires_action", "endless"))
    async with stream_of(session, endless) as stream:
        await anext(stream)
        if data is None:
            session.body.close()
        else:
            session.body.feed(data)
        with pytest.raises(StreamInterrupted) as caught:
            await stream.result()

    assert caught.value.run_id == "run_1"
    assert session.cancelled


@pytest.mark.parametrize("data", [b"", None])
async def test_tools_go_on_when_the_stream_ends_during_them(
    data: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is read back meanwhile; the outputs are sent once, and the run goes to its end."""
    monkeypatch.setattr("aiodashassist.polling.pauses", lambda: itertools.repeat(0))
    session = ScriptedSession()
    gate, looked, answer = asyncio.Event(), asyncio.Event(), session.call

    async def wait() -> str:
        """Wait for the gate."""
        await gate.wait()
        return "through"

    async def call(operation: Any) -> Any:
        if isinstance(operation, SubmitOutputs):
            session.run = msgspec.structs.replace(session.run, status="completed")
        elif isinstance(operation, ListMessages):
            looked.set()
        return await answer(operation)

    session.call = call  # type: ignore[method-assign]
    session.body.feed(step_frame("in_progress", "s1"), run_frame("requires_action", "wait"))
    async with stream_of(session, wait) as stream:
        while not isinstance(event := await anext(stream), ToolStarted):
            if isinstance(event, RunEvent):
                session.run = event.run
        if data is None:
            session.body.close()
        else:
            session.body.feed(data)
        reading = asyncio.create_task(stream.result())
        await looked.wait()
        gate.set()
        result = await asyncio.wait_for(reading, 5)

    assert result.run.status == "completed"
    assert session.submissions == [["through"]]
    assert not session.cancelled


async def test_closing_while_tools_work_ends_the_iteration() -> None:
    """On a stream that stays open, too, whoever reads is not left waiting."""
    session = ScriptedSession()
    at_work = asyncio.Event()

    async def endless() -> str:
        """Wait for ever."""
        at_work.set()
        await asyncio.Event().wait()
        return ""

    async def read() -> None:
        async for _ in stream:
            pass

    session.body.feed(run_frame("requires_action", "endless"))
    async with stream_of(session, endless) as stream:
        reading = asyncio.create_task(read())
        await at_work.wait()
        await stream.close()
        await asyncio.wait_for(reading, 5)

    assert session.cancelled


async def test_cancelling_while_tools_work_is_told_by_the_stream() -> None:
    """A stream that stays open says itself that the run was cancelled; nothing is made up."""
    session = ScriptedSession()
    at_work = asyncio.Event()

    async def endless() -> str:
        """Wait for ever."""
        at_work.set()
        await asyncio.Event().wait()
        return ""

    session.body.feed(run_frame("requires_action", "endless"))
    async with stream_of(session, endless) as stream:
        await anext(stream)
        await anext(stream)
        await at_work.wait()
        await stream.cancel()
        session.body.feed(run_frame("cancelled"), b"")
        rest = [event async for event in stream]

    assert [event.name for event in rest] == ["thread.run.cancelled"]
    assert session.submissions == []


async def test_total_before_the_first_event_still_cancels_the_run() -> None:
    """A run whose first event comes too late is found when the block is left, and cancelled."""
    session = ScriptedSession(total=0.02)
    first = run_frame("in_progress")
    asyncio.get_running_loop().call_later(0.05, session.body.feed, first)
    with pytest.raises(TotalTimeout):
        async with stream_of(session) as stream:
            await stream.result()

    assert session.cancelled


async def test_closing_while_another_task_waits_for_the_first_event_cancels_the_run() -> None:
    """Whoever closes reads on until the run is known; whoever read before is let go."""
    session = ScriptedSession()
    stream = stream_of(session)
    await stream.__aenter__()
    reading = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(stream.close())
    assert await asyncio.wait_for(reading, 5) is None
    session.body.feed(run_frame("in_progress"))
    await asyncio.wait_for(closing, 5)

    assert session.cancelled


async def test_outputs_of_a_cancelled_run_are_not_sent() -> None:
    """A tool that is done between the cancel and the event that tells of it is not submitted."""
    session = ScriptedSession()
    gate = asyncio.Event()

    async def wait() -> str:
        """Wait for the gate."""
        await gate.wait()
        return "through"

    session.body.feed(run_frame("requires_action", "wait"))
    async with stream_of(session, wait) as stream:
        await anext(stream)
        assert isinstance(await anext(stream), ToolStarted)
        await stream.cancel()
        gate.set()
        await asyncio.sleep(0.01)
        session.body.feed(run_frame("cancelled"), b"")
        rest = [event async for event in stream]

    assert session.submissions == []
    assert [event.name for event in rest] == ["thread.run.cancelled"]


async def test_pending_calls_of_a_cancelled_run_are_nobodys() -> None:
    """On a stream that stays open the iteration goes on to the event that tells of the cancel."""
    session = ScriptedSession()
    session.body.feed(run_frame("requires_action", "a"))
    async with stream_of(session) as stream:
        async for _ in stream:
            pass
        await stream.cancel()
        assert stream.pending_calls == ()
        session.body.feed(run_frame("cancelled"), b"")
        with pytest.raises(RunCancelled):
            await stream.result()


async def test_outputs_after_the_total_time_are_not_sent() -> None:
    """The calls stay pending, and the run that waits for its user is not cancelled."""
    session = ScriptedSession(total=0.3)
    session.body.feed(run_frame("requires_action", "a"))
    async with stream_of(session) as stream:
        async for _ in stream:
            pass
        await asyncio.sleep(0.4)
        with pytest.raises(TotalTimeout):
            await stream.submit([ToolOutput(output="late")])
        assert len(stream.pending_calls) == 1

    assert session.submissions == []
    assert not session.cancelled


async def test_a_run_that_ended_in_time_is_not_overdue() -> None:
    """The total time ends with the run's last event, however long the caller looks at it."""
    session = ScriptedSession(total=0.3)
    session.body.feed(run_frame("in_progress"), run_frame("completed"))
    async with stream_of(session) as stream:
        await anext(stream)
        await anext(stream)
        await asyncio.sleep(0.4)
        session.body.feed(b"event:thread.run.queued\ndata:{broken\n\n", b"")
        result = await stream.result()

    assert result.run.status == "completed"


async def test_a_refused_submission_ends_the_stream() -> None:
    """An error of the submission is raised from the iteration."""
    session = ScriptedSession()
    session.error = BadRequest("no", status=400)
    session.body.feed(run_frame("requires_action", "a"))
    async with stream_of(session, a, on_exit="leave") as stream:
        with pytest.raises(BadRequest):
            await stream.result()


async def test_calls_left_to_the_user_keep_the_stream_open() -> None:
    """`submit` posts the outputs, and the same stream goes on."""
    session = ScriptedSession()
    session.body.feed(run_frame("requires_action", "a"))
    async with stream_of(session) as stream:
        async for _ in stream:
            pass
        assert [call.name for call in stream.pending_calls] == ["a"]
        assert not session.body.closed
        await stream.submit([ToolOutput(output="mine")])
        session.body.feed(run_frame("in_progress"), text_frame("ok"), run_frame("completed"), b"")
        result = await stream.result()

    assert session.submissions == [["mine"]]
    assert result.text == "ok"


async def test_a_cancelled_submission_still_arrives() -> None:
    """Cancelling `submit` does not lose what was being sent; the iteration goes on with it."""
    session = ScriptedSession()
    session.body.feed(run_frame("requires_action", "a"))
    async with stream_of(session) as stream:
        async for _ in stream:
            pass
        task = asyncio.create_task(stream.submit([ToolOutput(output="mine")]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        session.body.feed(run_frame("completed"), b"")
        await stream.result()

    assert session.submissions == [["mine"]]


async def test_silence_is_borne_while_tools_work_and_not_after() -> None:
    """The service waits for our outputs: only its silence after them counts."""
    session = ScriptedSession(idle=0.05)

    async def slow() -> str:
        """Take longer than the idle clock."""
        await asyncio.sleep(0.15)
        return "late"

    session.body.feed(run_frame("requires_action", "slow"))
    async with stream_of(session, slow) as stream:
        with pytest.raises(IdleTimeout):
            await stream.result()

    assert session.submissions == [["late"]]


async def test_opening_that_is_cancelled_leaves_nothing() -> None:
    """A cancelled entry cancels the opening and closes the stream."""
    session = ScriptedSession()
    begun = asyncio.Event()

    async def endless() -> Any:
        begun.set()
        await asyncio.Event().wait()

    stream = RunStream(session.typed(), endless, StreamOptions())
    task = asyncio.create_task(stream.__aenter__())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(asyncio.all_tasks()) == 1


async def test_a_tool_that_ignores_its_cancellation_does_not_hold_the_close() -> None:
    """Closing waits for tools only as long as `Timeouts.cancel`."""
    session = ScriptedSession(cancel=0.02)
    release = asyncio.Event()

    async def stubborn() -> str:
        """Ignore every cancellation."""
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "done"

    session.body.feed(run_frame("requires_action", "stubborn"))
    async with stream_of(session, stubborn) as stream:
        await anext(stream)
        await anext(stream)
        await asyncio.sleep(0)

    assert session.cancelled
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_the_remote_run_is_cancelled_before_tools_are_waited_for() -> None:
    """A tool that takes its time to end does not delay the cancel."""
    session = ScriptedSession(cancel=30)

    async def careful() -> str:
        """End only when the run is known to be cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            while not session.cancelled:
                await asyncio.sleep(0)
        return ""

    session.body.feed(run_frame("requires_action", "careful"))
    stream = stream_of(session, careful)
    await stream.__aenter__()
    await anext(stream)
    await anext(stream)
    await asyncio.sleep(0)
    await asyncio.wait_for(stream.close(), 10)

    assert session.cancelled


async def test_a_service_that_does_not_cancel_is_left_in_peace() -> None:
    """An error of the remote cancel is not the caller's; leaving is quiet."""
    session = ScriptedSession()
    session.error = BadRequest("no such endpoint", status=400)
    session.body.feed(run_frame("in_progress"))
    async with stream_of(session) as stream:
        await anext(stream)

    assert session.cancelled


async def test_closing_is_finished_even_if_the_caller_is_cancelled_twice() -> None:
    """The remote run is cancelled although whoever closes is cancelled while it happens."""
    session = ScriptedSession()
    gate = asyncio.Event()
    answer = session.call

    async def slowly(operation: Any) -> Any:
        await gate.wait()
        return await answer(operation)

    session.call = slowly  # type: ignore[method-assign]
    session.body.feed(run_frame("in_progress"))
    stream = stream_of(session)
    await stream.__aenter__()
    await anext(stream)
    closing = asyncio.create_task(stream.close())
    for _ in range(2):
        await asyncio.sleep(0)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    gate.set()
    await session.duties.finish(1)

    assert session.cancelled
