"""Calls that are approved, refused or paused, and runs that are gone on with by somebody else."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from aiodashassist import DashScope, Run, RunStream, ToolContext, ToolOutput, tool
from aiodashassist.core.events import Event, ToolFinished, ToolProgress, ToolStarted
from aiodashassist.core.models import TERMINAL
from aiodashassist.core.operations import SubmitOutputs
from aiodashassist.core.tooling import ToolCall
from aiodashassist.errors import (
    BadRequest,
    InvalidArgument,
    LocalProtocolError,
    PauseRun,
    RunCancelled,
    ToolError,
    ToolRoundsExceeded,
)
from aiodashassist.jobs import Bench
from aiodashassist.server import LocalServer
from aiodashassist.stream import StreamOptions
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Toolset
from tests.scripted import ScriptedSession, opening
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work
from tests.test_loop import run_frame, step_frame, text_frame

QUESTION = """\
/call note {"text": "a"}
/call pay {"amount": 5}
/call note {"text": "b"}
"""
ANSWER = "note -> a\npay -> paid\nnote -> b"


class Ledger:
    """What the tools of a test did."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.asked: list[ToolCall] = []


@tool
async def note(ctx: ToolContext[Ledger], text: str) -> str:
    """Note a text."""
    ctx.deps.notes.append(text)
    return text


@tool
async def pay(ctx: ToolContext[Ledger], amount: int) -> str:
    """Pay, which somebody must agree to: later."""
    raise PauseRun(f"{amount} for {ctx.run_id}")


@tool(name="pay")
def pay_at_once(ctx: ToolContext[Ledger], amount: int) -> str:
    """Pay."""
    ctx.deps.notes.append(f"paid {amount}")
    return "paid"


@tool
async def echo(text: str) -> str:
    """Give back the text."""
    return text


@pytest.fixture(name="ids", params=["wire's ids", "empty ids"])
async def fixture_ids(request: pytest.FixtureRequest) -> AsyncIterator[LocalServer]:
    """A server that gives its calls ids, or leaves them empty as the live service does."""
    async with LocalServer(empty_call_ids=request.param == "empty ids") as server:
        yield server


async def assistant_of(client: DashScope) -> str:
    """An assistant on a fresh server."""
    return (await client.assistants.create(model="qwen-max")).id


async def status_of(client: DashScope, run: Run) -> str:
    """The run's status as the server has it."""
    return (await client.threads.runs.retrieve(run.thread_id or "", run.id)).status


def answers(outputs: Sequence[ToolOutput]) -> list[tuple[bool, str]]:
    """Whether outputs name a call, and what they are."""
    return [(bool(output.tool_call_id), output.output) for output in outputs]


def ours(events: list[Event]) -> list[Event]:
    """The events of tools."""
    kinds = ToolStarted | ToolProgress | ToolFinished
    return [event for event in events if isinstance(event, kinds)]


async def paused(client: DashScope, question: str, tools: list[Any], **more: Any) -> Any:
    """What `ask` gives of a run that pauses."""
    return await client.ask(
        question, assistant_id=await assistant_of(client), tools=tools, deps=Ledger(), **more
    )


# Pauses


async def test_a_pause_leaves_the_run_waiting(
    ids: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Siblings finish, nothing is submitted or cancelled, and nothing is logged as wrong."""
    async with ids.client(DashScope) as client:
        with caplog.at_level(logging.WARNING):
            result = await paused(client, QUESTION, [note, pay])
        stored = await client.threads.runs.retrieve(result.thread_id, result.run.id)

    assert [(call.name, bool(call.call_id)) for call in result.pending_calls] == [("pay", True)]
    assert answers(result.completed_outputs) == [(True, "a"), (True, "b")]
    assert [call.output for call in result.tool_calls] == ["a", "b"]
    assert result.run.status == stored.status == "requires_action"
    assert len({output.tool_call_id for output in result.completed_outputs}) == 2
    assert not caplog.records


async def test_a_paused_stream_goes_on_with_what_was_missing(ids: LocalServer) -> None:
    """`submit` takes the pending calls' outputs; the completed ones travel with them, in order."""
    async with (
        ids.client(DashScope) as client,
        client.stream(
            QUESTION, assistant_id=await assistant_of(client), tools=[note, pay], deps=Ledger()
        ) as stream,
    ):
        events = [event async for event in stream]
        (call,) = stream.pending_calls
        assert answers(stream.completed_outputs) == [(True, "a"), (True, "b")]
        await stream.submit([ToolOutput(tool_call_id=call.call_id, output="paid")])
        assert stream.pending_calls == ()
        assert stream.completed_outputs == ()
        result = await stream.result()

    kinds = {(type(event).__name__, event.call.name) for event in ours(events)}  # type: ignore[union-attr]
    assert ("ToolStarted", "pay") in kinds
    assert ("ToolFinished", "pay") not in kinds
    assert result.text == ANSWER
    assert [made.output for made in result.tool_calls] == ["a", "paid", "b"]
    assert [made.name for made in result.tool_calls] == ["note", "pay", "note"]
    assert (result.pending_calls, result.completed_outputs) == ((), ())


@pytest.mark.parametrize("count", [0, 2, 3])
async def test_only_what_is_pending_can_be_submitted(
    client: DashScope, assistant_id: str, count: int
) -> None:
    """Outputs for all calls of the round, or for too few, are refused; the calls stay pending."""
    async with client.stream(
        QUESTION, assistant_id=assistant_id, tools=[note, pay], deps=Ledger()
    ) as stream:
        async for _ in stream:
            pass
        with pytest.raises(InvalidArgument, match=f"1 tool outputs are expected, not {count}"):
            await stream.submit([ToolOutput(output="x")] * count)
        assert len(stream.pending_calls) == 1
        await stream.submit([ToolOutput(output="paid")])
        assert (await stream.result()).text == ANSWER
        with pytest.raises(LocalProtocolError, match="no calls wait"):
            await stream.submit([ToolOutput(output="paid")])


async def test_what_is_pending_can_be_read_after_the_block(
    client: DashScope, assistant_id: str
) -> None:
    """Pending calls and completed outputs outlive the stream, to be stored; it takes no more."""
    async with client.stream(
        QUESTION, assistant_id=assistant_id, tools=[note, pay], deps=Ledger()
    ) as stream:
        result = await stream.result()
    assert stream.pending_calls == result.pending_calls
    assert stream.completed_outputs == result.completed_outputs
    with pytest.raises(LocalProtocolError, match="no calls wait"):
        await stream.submit([ToolOutput(output="paid")])


async def test_a_paused_run_can_be_cancelled(client: DashScope, assistant_id: str) -> None:
    """After `cancel()` the calls are nobody's, and the stream ends with the run."""
    async with client.stream(
        QUESTION, assistant_id=assistant_id, tools=[note, pay], deps=Ledger()
    ) as stream:
        async for _ in stream:
            pass
        await stream.cancel()
        assert (stream.pending_calls, stream.completed_outputs) == ((), ())
        with pytest.raises(RunCancelled):
            await stream.result()


async def test_a_second_round_may_pause_too(client: DashScope, assistant_id: str) -> None:
    """The outputs of a round are those of that round, however often a run pauses."""
    question = f"{QUESTION}/then\n" + QUESTION.replace('"a"', '"c"')
    async with client.stream(
        question, assistant_id=assistant_id, tools=[note, pay], deps=Ledger()
    ) as stream:
        for expected in (["a", "b"], ["c", "b"]):
            async for _ in stream:
                pass
            assert [output.output for output in stream.completed_outputs] == expected
            await stream.submit([ToolOutput(output="paid")])
        result = await stream.result()
    assert result.text == ANSWER.replace("-> a", "-> c")
    assert len(result.tool_calls) == len({call.call_id for call in result.tool_calls}) == 6


# Outputs made elsewhere


async def test_another_process_goes_on_without_repeating_anything(ids: LocalServer) -> None:
    """What was completed is given back: only the paused call runs, and all outputs arrive."""
    async with ids.client(DashScope) as client:
        result = await paused(client, QUESTION, [note, pay])
    ledger = Ledger()
    async with (
        ids.client(DashScope) as other,
        other.threads.runs.attach(
            result.thread_id,
            result.run.id,
            tools=[note, pay_at_once],
            deps=ledger,
            outputs=result.completed_outputs,
        ) as stream,
    ):
        events = [event async for event in stream]
        gone_on = await stream.result()

    assert ledger.notes == ["paid 5"]
    called = [(type(event).__name__, event.call.name) for event in ours(events)]  # type: ignore[union-attr]
    assert called == [("ToolStarted", "pay"), ("ToolFinished", "pay")]
    assert gone_on.text == ANSWER
    assert [(call.name, call.output) for call in gone_on.tool_calls] == [
        ("note", "a"),
        ("pay", "paid"),
        ("note", "b"),
    ]


@pytest.mark.parametrize("rounds", [0, 1, 2])
async def test_call_ids_are_the_same_for_whoever_takes_a_run_up(
    ids: LocalServer, rounds: int
) -> None:
    """However many rounds were answered before, a call has one `call_id` in every process."""
    question = '/call echo {"text": "x"}\n/call echo {"text": "y"}\n/then\n' * rounds + QUESTION
    async with ids.client(DashScope) as client:
        result = await paused(client, question, [echo, note, pay])
    async with (
        ids.client(DashScope) as other,
        other.threads.runs.attach(result.thread_id, result.run.id, tools=None) as stream,
    ):
        seen = await stream.result()

    outputs = {output.tool_call_id for output in result.completed_outputs}
    pending = {call.call_id for call in result.pending_calls}
    assert {call.call_id for call in seen.pending_calls} == outputs | pending
    earlier = [(call.call_id, call.output) for call in seen.tool_calls]
    assert earlier == [(call.call_id, call.output) for call in result.tool_calls[: 2 * rounds]]
    assert len(earlier) == 2 * rounds


async def test_given_outputs_without_tools_leave_the_rest(ids: LocalServer) -> None:
    """With `tools=None` the given outputs are the completed ones, and the rest is the caller's."""
    async with ids.client(DashScope) as client:
        result = await paused(client, QUESTION, [note, pay])
        async with client.threads.runs.attach(
            result.thread_id, result.run.id, tools=None, outputs=result.completed_outputs
        ) as stream:
            async for _ in stream:
                pass
            assert stream.pending_calls == result.pending_calls
            assert stream.completed_outputs == result.completed_outputs
            given = [(call.name, call.output) for call in stream.snapshot.tool_calls]
            await stream.submit([ToolOutput(output="paid")])
            gone_on = await stream.result()
    assert given == [("note", "a"), ("note", "b")]
    assert gone_on.text == ANSWER
    assert [call.output for call in gone_on.tool_calls] == ["a", "paid", "b"]


@pytest.mark.parametrize("tools", [None, [note, pay_at_once]])
async def test_when_all_outputs_are_given_they_are_sent_at_once(
    ids: LocalServer, tools: list[Any] | None
) -> None:
    """Nothing is left to run or to ask for: the run goes on."""
    ledger = Ledger()
    async with ids.client(DashScope) as client:
        result = await paused(client, QUESTION, [note, pay])
        (call,) = result.pending_calls
        paid = ToolOutput(tool_call_id=call.call_id, output="paid")
        async with client.threads.runs.attach(
            result.thread_id,
            result.run.id,
            tools=tools,
            deps=ledger,
            outputs=[paid, *result.completed_outputs],
        ) as stream:
            events = [event async for event in stream]
            gone_on = await stream.result()
    assert gone_on.text == ANSWER
    assert ledger.notes == []
    assert ours(events) == []


async def test_an_output_of_no_call_is_refused_before_anything_runs(
    client: DashScope,
) -> None:
    """The iteration raises, each time, and names the output; no tool ran, the run still waits."""
    result = await paused(client, QUESTION, [note, pay])
    ledger = Ledger()
    outputs = [*result.completed_outputs, ToolOutput(tool_call_id="call_other", output="x")]
    async with client.threads.runs.attach(
        result.thread_id, result.run.id, tools=[note, pay_at_once], deps=ledger, outputs=outputs
    ) as stream:
        for _ in range(2):
            with pytest.raises(InvalidArgument, match="'call_other'") as caught:
                await stream.result()
        assert caught.value.run_id == result.run.id
    assert ledger.notes == []
    assert await status_of(client, result.run) == "requires_action"


async def test_a_run_that_is_over_has_no_use_for_outputs(
    client: DashScope, assistant_id: str
) -> None:
    """An ended run waits for nothing: its events come, whatever outputs are given."""
    done = await client.ask("hello", assistant_id=assistant_id)
    given = [ToolOutput(tool_call_id="call_1", output="x")]
    async with client.threads.runs.attach(
        done.thread_id or "", done.run.id, tools=None, outputs=given
    ) as stream:
        assert (await stream.result()).text == "hello"


async def test_given_outputs_are_for_the_first_round_only(client: DashScope) -> None:
    """The round after it is run as ever, though it asks for the same."""
    result = await paused(client, f"{QUESTION}/then\n{QUESTION}", [note, pay])
    ledger = Ledger()
    async with client.threads.runs.attach(
        result.thread_id,
        result.run.id,
        tools=[note, pay_at_once],
        deps=ledger,
        outputs=result.completed_outputs,
    ) as stream:
        await stream.result()
    assert ledger.notes[0] == "paid 5"
    assert sorted(ledger.notes[1:]) == ["a", "b", "paid 5"]


async def test_no_round_may_be_answered_is_stronger_than_a_pause(
    client: DashScope, assistant_id: str
) -> None:
    """A run that asks for more rounds than allowed exceeds them, given outputs or not."""
    async with client.stream(
        QUESTION, assistant_id=assistant_id, tools=[note, pay], deps=Ledger(), max_rounds=0
    ) as stream:
        with pytest.raises(ToolRoundsExceeded):
            await stream.result()
        assert stream.pending_calls == ()


# Approval, over the wire


async def test_a_runs_approval_decides_each_call(client: DashScope, assistant_id: str) -> None:
    """`approve=` of `ask`: one call runs, one is refused with a reason, one without."""
    ledger = Ledger()

    def approve(call: ToolCall) -> bool | str:
        ledger.asked.append(call)
        text = json.loads(call.arguments)["text"]
        return {"yes": True, "no": False}.get(text, "ask me tomorrow")

    question = "\n".join('/call note {"text": "%s"}' % text for text in ("yes", "no", "maybe"))  # noqa: UP031
    result = await client.ask(
        question, assistant_id=assistant_id, tools=[note], deps=ledger, approve=approve
    )
    assert ledger.notes == ["yes"]
    assert len({call.call_id for call in ledger.asked}) == 3
    assert result.text.split("\n") == [
        "note -> yes",
        'note -> {"error":"the call was refused"}',
        'note -> {"error":"ask me tomorrow"}',
    ]


async def test_a_refused_call_was_never_started(client: DashScope, assistant_id: str) -> None:
    """A refusal is a `ToolFinished` of its own, with the error that it is."""
    question = '/call note {"text": "a"}'
    async with client.stream(
        question, assistant_id=assistant_id, tools=[note], deps=Ledger(), approve=lambda _: "no"
    ) as stream:
        events = [event async for event in stream]
    (finished,) = ours(events)
    assert isinstance(finished, ToolFinished)
    assert isinstance(finished.error, ToolError)
    assert finished.output.output == '{"error":"no"}'


async def test_an_approval_may_pause_the_run(client: DashScope, assistant_id: str) -> None:
    """The web's case: ask, store, and go on when somebody has agreed, in another request."""

    async def approve(call: ToolCall) -> bool:
        if call.name == "pay":
            raise PauseRun
        return True

    async with client.stream(
        QUESTION,
        assistant_id=assistant_id,
        tools=[note, pay_at_once],
        deps=Ledger(),
        approve=approve,
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    assert {event.call.name for event in ours(events)} == {"note"}  # type: ignore[union-attr]
    ledger = Ledger()
    async with client.threads.runs.attach(
        result.thread_id or "",
        result.run.id,
        tools=[note, pay_at_once],
        deps=ledger,
        approve=lambda call: call.name == "pay",
        outputs=result.completed_outputs,
    ) as stream:
        gone_on = await stream.result()
    assert gone_on.text == ANSWER
    assert ledger.notes == ["paid 5"]


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_closing_does_not_wait_for_an_approval(
    client: DashScope, assistant_id: str, kind: str
) -> None:
    """A stream that is left while somebody is asked is closed at once; the run is cancelled."""
    loop, asked, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    ended: list[str] = []

    async def on_the_loop(_call: ToolCall) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("async")
        return True

    def in_a_thread(_call: ToolCall) -> bool:
        loop.call_soon_threadsafe(asked.set)
        return release.wait(30)

    ledger = Ledger()
    stream = client.stream(
        '/call note {"text": "a"}',
        assistant_id=assistant_id,
        tools=[note],
        deps=ledger,
        approve=on_the_loop if kind == "async" else in_a_thread,
    )
    async with stream:
        reading = asyncio.create_task(_collect(stream))
        await asked.wait()
        await asyncio.wait_for(stream.close(), 10)
        assert not release.is_set()
        assert ours(await asyncio.wait_for(reading, 10)) == []
        run = stream.snapshot.run
    release.set()
    assert run is not None
    assert await status_of(client, run) == "cancelled"
    assert ended == (["async"] if kind == "async" else [])
    assert ledger.notes == []


async def _collect(stream: RunStream) -> list[Event]:
    return [event async for event in stream]


@tool(approve=lambda _: True)
async def look(what: str) -> str:
    """Look, when somebody agreed in a thread."""
    if what == "later":
        raise PauseRun
    return what


async def _agree(_call: ToolCall) -> bool:
    await asyncio.sleep(0)
    return True


async def _pausing(client: DashScope, assistant_id: str, runs: list[Run]) -> None:
    """A run that is approved, pauses, and goes on; notes the run as soon as it is known."""
    question = '/call look {"what": "a"}\n/call look {"what": "later"}'
    async with client.stream(
        question, assistant_id=assistant_id, tools=[look], approve=_agree
    ) as stream:
        async for _ in stream:
            if stream.snapshot.run is not None and not runs:
                runs.append(stream.snapshot.run)
        for _ in range(50):  # somebody thinks; a run that is left here waits
            await asyncio.sleep(0)
        await stream.submit([ToolOutput(output="b")])
        assert (await stream.result()).text == "look -> a\nlook -> b"


@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 8), (at_turn, 30)])
async def test_a_pausing_stream_cancelled_anywhere_leaves_nothing_behind(
    client: DashScope, assistant_id: str, cancel: Any, least: int
) -> None:
    """At each moment in turn: tasks end, and every run has ended or waits for its user."""
    await client.ask("warm up", assistant_id=assistant_id)
    tasks = tasks_at_work()
    at, statuses, reached = 1, [], True
    while reached:
        runs: list[Run] = []
        reached = await cancel(at, _pausing(client, assistant_id, runs))
        for run in runs:
            statuses.append(await status_of(client, run))
            assert statuses[-1] in TERMINAL | {"requires_action"}, f"cancelled at {at}"
            if statuses[-1] == "requires_action":
                await client.threads.runs.cancel(run.thread_id or "", run.id)
        await settled(tasks)
        assert not held(client), f"cancelled at {at}: a connection is still held"
        at += 1 + at // 50
    assert statuses[-1] == "completed"
    assert {"cancelled", "requires_action"} <= set(statuses)
    assert at >= least


# Progress, over the wire


async def test_progress_is_an_event_of_the_stream(client: DashScope, assistant_id: str) -> None:
    """What tools emit stands between the start and the end of their calls, in order."""

    @tool
    async def load(ctx: ToolContext[None], count: int) -> str:
        """Load, on the loop."""
        for done in range(count):
            await ctx.emit({"done": done})
        return "loaded"

    @tool
    def store(ctx: ToolContext[None], count: int) -> str:
        """Store, in a thread."""
        for done in range(count):
            ctx.emit_from_thread({"done": done})
        return "stored"

    question = '/call load {"count": 3}\n/call store {"count": 3}'
    async with client.stream(question, assistant_id=assistant_id, tools=[load, store]) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    for name in ("load", "store"):
        told = [event for event in ours(events) if event.call.name == name]  # type: ignore[union-attr]
        assert [type(event) for event in told] == [ToolStarted, *[ToolProgress] * 3, ToolFinished]
        data = [event.data for event in told if isinstance(event, ToolProgress)]
        assert data == [{"done": done} for done in range(3)]
    assert [call.output for call in result.tool_calls] == ["loaded", "stored"]


# A stream that stays open


async def a() -> str:
    """Give an answer."""
    return "A"


async def wait() -> str:
    """Leave it to the caller."""
    raise PauseRun


def scripted(session: ScriptedSession, *outputs: ToolOutput) -> RunStream:
    """A stream over the scripted session, with both tools."""
    bench = Bench(tools=Toolset(a, wait), threads=WorkerThreads(1))
    options = StreamOptions(bench=bench, outputs=outputs)
    return RunStream(session.typed(), opening, options)


async def test_a_pause_on_a_stream_that_stays_open() -> None:
    """The iteration ends with the stream open, and `submit` lets the same one go on."""
    session = ScriptedSession()
    session.body.feed(step_frame("in_progress", "s1"), run_frame("requires_action", "a", "wait"))
    async with scripted(session) as stream:
        async for _ in stream:
            pass
        assert [call.call_id for call in stream.pending_calls] == ["s1:1"]
        assert stream.completed_outputs == (ToolOutput(tool_call_id="s1:0", output="A"),)
        assert not session.body.closed
        await stream.submit([ToolOutput(tool_call_id="s1:1", output="W")])
        session.body.feed(run_frame("in_progress"), text_frame("ok"), run_frame("completed"), b"")
        result = await stream.result()
    (sent,) = [asked for asked in session.asked if isinstance(asked, SubmitOutputs)]
    expected = [ToolOutput(output="A"), ToolOutput(output="W")]
    assert list(sent.tool_outputs) == expected
    assert result.text == "ok"
    assert [call.output for call in result.tool_calls] == ["A", "W"]
    assert not session.cancelled


async def test_a_paused_stream_that_stays_open_is_at_rest() -> None:
    """Leaving it closes the stream and cancels nothing."""
    session = ScriptedSession()
    session.body.feed(run_frame("requires_action", "a", "wait"))
    async with scripted(session) as stream:
        async for _ in stream:
            pass
    assert session.body.closed
    assert not session.cancelled
    assert session.submissions == []


async def test_what_was_read_is_handed_out_before_the_pause() -> None:
    """Text that came while the tools were at work does not wait for the caller's answer."""
    session = ScriptedSession()
    gate = asyncio.Event()

    async def later() -> str:
        """Pause when the gate is open."""
        await gate.wait()
        raise PauseRun

    async def now() -> str:
        """Give an answer when the gate is open."""
        await gate.wait()
        return "now"

    session.body.feed(run_frame("requires_action", "later", "now"))
    bench = Bench(tools=Toolset(later, now), threads=WorkerThreads(1))
    async with RunStream(session.typed(), opening, StreamOptions(bench=bench)) as stream:
        for _ in range(3):
            await anext(stream)
        waiting = asyncio.create_task(anext(stream))
        for _ in range(5):  # until the stream is read beside the tools
            await asyncio.sleep(0)
        gate.set()
        assert isinstance(await asyncio.wait_for(waiting, 5), ToolFinished)
        session.body.feed(text_frame("meanwhile"))
        for _ in range(5):  # it is read while the caller looks at what came before
            await asyncio.sleep(0)
        async for _ in stream:
            pass
        assert stream.snapshot.text == "meanwhile"
        assert len(stream.pending_calls) == 1


async def test_a_submission_that_fails_leaves_all_as_it_was() -> None:
    """Pending calls and completed outputs are there again, and can be sent once more."""
    session = ScriptedSession()
    session.body.feed(run_frame("requires_action", "a", "wait"))
    async with scripted(session) as stream:
        async for _ in stream:
            pass
        before = (stream.pending_calls, stream.completed_outputs)
        session.error = BadRequest("not now", status=400)
        with pytest.raises(BadRequest):
            await stream.submit([ToolOutput(output="W")])
        assert (stream.pending_calls, stream.completed_outputs) == before
        assert [event async for event in stream] == []
        session.error = None
        await stream.submit([ToolOutput(output="W2")])
        session.body.feed(run_frame("completed"), b"")
        result = await stream.result()
    assert session.submissions == [["A", "W"], ["A", "W2"]]
    assert [call.output for call in result.tool_calls] == ["A", "W2"]


async def test_a_run_that_ends_before_the_pause_is_over() -> None:
    """A run that expires while one call is paused and another works pauses nobody."""
    session = ScriptedSession()

    async def endless() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    session.body.feed(run_frame("requires_action", "wait", "endless"))
    bench = Bench(tools=Toolset(wait, endless), threads=WorkerThreads(1))
    async with RunStream(session.typed(), opening, StreamOptions(bench=bench)) as stream:
        for _ in range(3):
            await anext(stream)
        session.body.feed(run_frame("expired"), b"")
        rest = [event async for event in stream]
        assert stream.pending_calls == ()
    assert [event.name for event in rest] == ["thread.run.expired"]


async def test_a_run_that_goes_on_by_itself_pauses_nobody() -> None:
    """Where somebody else has answered meanwhile, tools are stopped and the stream is read on."""
    session = ScriptedSession()
    at_work, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> str:
        """Wait for ever."""
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    session.body.feed(run_frame("requires_action", "wait", "endless"))
    bench = Bench(tools=Toolset(wait, endless), threads=WorkerThreads(1))
    async with RunStream(session.typed(), opening, StreamOptions(bench=bench)) as stream:
        reading = asyncio.create_task(_collect(stream))
        await at_work.wait()
        session.body.feed(run_frame("in_progress"))
        await asyncio.wait_for(ended.wait(), 5)
        session.body.feed(text_frame("ok"), run_frame("completed"), b"")
        await asyncio.wait_for(reading, 5)
        result = await stream.result()
    assert result.text == "ok"
    assert session.submissions == []


async def test_given_outputs_on_a_stream_that_stays_open() -> None:
    """The call whose output is given does not run; the outputs are posted beside the stream."""
    session = ScriptedSession()
    given = ToolOutput(tool_call_id="s1:1", output="W")
    session.body.feed(step_frame("in_progress", "s1"), run_frame("requires_action", "a", "wait"))
    async with scripted(session, given) as stream:
        reading = asyncio.create_task(_collect(stream))
        await asyncio.wait_for(session.submitted.wait(), 5)
        session.body.feed(run_frame("in_progress"), run_frame("completed"), b"")
        events = await asyncio.wait_for(reading, 5)
    assert {event.call.name for event in ours(events)} == {"a"}  # type: ignore[union-attr]
    assert session.submissions == [["A", "W"]]
