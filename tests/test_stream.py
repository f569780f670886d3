"""Streams against the local server on a real socket, and against servers that misbehave."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import aiohttp
import msgspec
import pytest

from aiodashassist import (
    APIError,
    AssistError,
    CallInfo,
    ConnectError,
    DashScope,
    DecodeError,
    ErrorEvent,
    Event,
    FirstEventTimeout,
    IdleTimeout,
    InvalidArgument,
    Limits,
    LocalProtocolError,
    MessageDelta,
    MessageEvent,
    OutcomeUnknown,
    RateLimited,
    RemoteProtocolError,
    ResponseTooLarge,
    Run,
    RunCancelled,
    RunEvent,
    RunExpired,
    RunFailed,
    RunIncomplete,
    ServerError,
    StreamInterrupted,
    Timeouts,
    ToolCall,
    ToolContext,
    ToolFinished,
    ToolOutput,
    ToolRoundsExceeded,
    ToolStarted,
    TotalTimeout,
    UnknownEvent,
    tool,
)
from aiodashassist.calls import Session
from aiodashassist.config import Config
from aiodashassist.core.models import TERMINAL
from aiodashassist.server import LocalServer
from aiodashassist.session import Wire
from tests import virtual_time
from tests.raw_server import (
    END,
    STREAM,
    Answer,
    RawServer,
    Received,
    Writer,
    answering,
    chunk,
    whole,
)
from tests.retrying import AT_ONCE, ONCE

SECRET = "hunter2-token"


@tool
async def echo(text: str) -> str:
    """Give back the text."""
    return text


async def status_of(client: DashScope, run: Run) -> str:
    """The run's status as the server has it."""
    return (await client.threads.runs.retrieve(run.thread_id or "", run.id)).status


def reached(session: Session, **options: Any) -> Config:
    """Have a session reach its service in another way from now on; how it was before."""
    before = session.config
    vars(session).update(vars(session.configured(msgspec.structs.replace(before, **options))))
    return before


def names(events: list[Event]) -> list[str]:
    """The wire's names, and the classes of our own events."""
    return [event.name or type(event).__name__ for event in events]


MESSAGE = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


async def test_a_plain_run_has_the_order_of_the_wire(client: DashScope, assistant_id: str) -> None:
    """Events come in the order of dashscope.md §5.5; the text is the joined deltas."""
    async with client.stream("你好😀", assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    begin = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert names(events) == begin + MESSAGE
    assert result.text == "你好😀"
    assert result.run.status == "completed"
    assert len(result.steps) == 1


async def test_one_iteration_spans_every_tool_round(client: DashScope, assistant_id: str) -> None:
    """Started and finished tools stand between the streams of the rounds, in one iteration."""
    question = '/call echo {"text": "a"}\n/then\n/call echo {"text": "b"}'
    async with client.stream(question, assistant_id=assistant_id, tools=[echo]) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    round_ = [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.requires_action",
        "ToolStarted",
        "ToolFinished",
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
    ]
    begin = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert [n for n in names(events) if n != "thread.message.delta"] == [
        n for n in begin + round_ + round_ + MESSAGE if n != "thread.message.delta"
    ]
    assert [call.output for call in result.tool_calls] == ["a", "b"]
    assert len(set(result.request_ids)) == 3


async def test_create_and_stream_begins_with_the_thread(
    client: DashScope, assistant_id: str
) -> None:
    """A thread and a run in one request: `thread.created` comes first."""
    async with client.threads.create_and_stream(
        assistant_id=assistant_id,
        thread={"messages": [{"role": "user", "content": "hi"}], "metadata": {"k": "v"}},
    ) as stream:
        events = [event async for event in stream]
        thread = stream.snapshot.thread

    assert names(events)[:2] == ["thread.created", "thread.run.created"]
    assert thread is not None
    assert thread.metadata == {"k": "v"}


@pytest.mark.parametrize("empty", [True, False])
async def test_identical_rounds_are_two_executions(empty: bool) -> None:
    """Two identical rounds in a row run twice, with empty call ids too; ids stay unique."""
    made: list[str] = []

    @tool
    def note(ctx: ToolContext[list[str]], text: str) -> str:
        """Note the call."""
        ctx.deps.append(ctx.call_id)
        return text

    async with (
        LocalServer(empty_call_ids=empty) as server,
        server.client(DashScope) as client,
    ):
        assistant = await client.assistants.create(model="qwen-max")
        question = '/call note {"text": "x"}\n/then\n/call note {"text": "x"}'
        result = await client.ask(question, assistant_id=assistant.id, tools=[note], deps=made)

    assert len(made) == len(set(made)) == 2
    assert all(made)
    assert [call.output for call in result.tool_calls] == ["x", "x"]
    assert all((call.id == "") is empty for call in result.tool_calls)


async def test_every_failing_tool_gives_one_short_output_and_the_run_completes(
    server: LocalServer, client: DashScope, assistant_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Bad arguments, unknown tools, crashes and timeouts become text; no secret is on the wire."""

    @tool
    def crash() -> str:
        """Crash."""
        raise RuntimeError(SECRET)

    @tool(timeout=0.01)
    async def slow() -> str:
        """Take too long."""
        await asyncio.Event().wait()
        return "never"

    calls = ['echo {"text": 1}', "echo {broken", "nobody {}", "crash", "slow"]
    question = "\n".join(f"/call {call}" for call in calls)
    with caplog.at_level(logging.ERROR):
        async with client.stream(
            question, assistant_id=assistant_id, tools=[echo, crash, slow]
        ) as stream:
            finished = [event async for event in stream if isinstance(event, ToolFinished)]
            result = await stream.result()

    outputs = {event.call.call_id: event.output.output for event in finished}
    assert len(outputs) == len(calls)
    lines = result.text.split("\n")
    assert "Expected `str`, got `int`" in lines[0]
    assert "invalid arguments" in lines[1]
    assert "there is no tool 'nobody'" in lines[2]
    assert lines[3] == 'crash -> {"error":"crash failed"}'
    assert "timed out after 0.01 s" in lines[4]
    stored = repr(server.store.__dict__)
    assert "nobody" in stored
    assert SECRET not in stored
    errors = [str(event.error) for event in finished if event.call.name == "crash"]
    assert errors == [SECRET]
    assert SECRET in caplog.text


@pytest.mark.parametrize("where", ["async tool", "plain tool", "approve", "plain approve"])
async def test_a_generator_s_end_is_a_crash_like_any_other(
    client: DashScope, assistant_id: str, where: str
) -> None:
    """`GeneratorExit` of a tool or an approval gives one error output, and the run completes."""

    def end() -> str:
        raise GeneratorExit(SECRET)

    async def end_later() -> str:
        raise GeneratorExit(SECRET)

    def refuse(_call: ToolCall) -> bool:
        raise GeneratorExit(SECRET)

    async def refuse_later(_call: ToolCall) -> bool:
        raise GeneratorExit(SECRET)

    approvals: dict[str, Any] = {"approve": refuse_later, "plain approve": refuse}
    function = end_later if where == "async tool" else end
    act = tool(name="act", approve=approvals.get(where))(function)
    async with client.stream("/call act {}", assistant_id=assistant_id, tools=[act]) as stream:
        async with asyncio.timeout(10):
            result = await stream.result()

    assert [call.output for call in result.tool_calls] == ['{"error":"act failed"}']
    assert result.text == 'act -> {"error":"act failed"}'


async def test_calls_are_left_to_the_user_who_has_no_tools(
    client: DashScope, assistant_id: str
) -> None:
    """The iteration ends with `pending_calls`; after `submit` it goes on to the end."""
    question = '/call a {"n": 1}\n/call b {}\n/then\n/call c {}'
    async with client.stream(question, assistant_id=assistant_id, tools=None) as stream:
        first = [event async for event in stream]
        a, b = stream.pending_calls
        with pytest.raises(InvalidArgument):
            await stream.submit([ToolOutput(output="only one")])
        await stream.submit(
            [
                ToolOutput(tool_call_id=b.call_id, output="B"),
                ToolOutput(tool_call_id=a.id, output="A"),
            ]
        )
        second = [event async for event in stream]
        await stream.submit([ToolOutput(output="C")])
        result = await stream.result()

    assert names(first)[-1] == names(second)[-1] == "thread.run.requires_action"
    assert [(call.name, call.output) for call in result.tool_calls] == [
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
    ]
    assert result.text == "c -> C"


async def test_a_run_that_waits_for_its_user_is_not_cancelled(
    client: DashScope, assistant_id: str
) -> None:
    """Leaving a stream with pending calls leaves the run waiting."""
    async with client.stream("/call a {}", assistant_id=assistant_id) as stream:
        result = await stream.result()

    assert await status_of(client, result.run) == "requires_action"


@pytest.mark.parametrize(("on_exit", "expected"), [("cancel", True), ("leave", False)])
async def test_leaving_early_cancels_the_remote_run(
    client: DashScope,
    assistant_id: str,
    on_exit: Any,
    expected: bool,
) -> None:
    """Leaving the block cancels the run, unless `on_exit="leave"`."""
    async with client.stream(
        "/say begun\n/wait 30", assistant_id=assistant_id, on_exit=on_exit
    ) as stream:
        async for text in stream.text_stream:
            assert text == "begu"
            break
        run = stream.snapshot.run
    assert run is not None

    assert (await status_of(client, run) == "cancelled") is expected


async def test_leaving_during_a_round_cancels_its_tools(
    client: DashScope, assistant_id: str
) -> None:
    """Tools at work are cancelled and waited for when the block is left."""
    ended: list[str] = []

    @tool
    async def endless() -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return ""

    async with client.stream("/call endless", assistant_id=assistant_id, tools=[endless]) as s:
        async for event in s:
            if isinstance(event, ToolStarted):
                break
        run = s.snapshot.run
        await asyncio.sleep(0)
    assert run is not None

    assert ended == ["endless"]
    assert await status_of(client, run) == "cancelled"


async def test_cancel_ends_the_stream_with_its_event(client: DashScope, assistant_id: str) -> None:
    """`cancel()` is the run's end, not the stream's: the events still come; `result` raises."""
    async with client.stream("/say x\n/wait 30", assistant_id=assistant_id) as stream:
        statuses = []
        async for event in stream:
            if isinstance(event, MessageDelta):
                await stream.cancel()
            if isinstance(event, RunEvent):
                statuses.append(event.status)
        with pytest.raises(RunCancelled) as caught:
            await stream.result()

    assert statuses[-2:] == ["cancelling", "cancelled"]
    assert caught.value.text == "x"


@pytest.mark.parametrize(
    ("line", "kind", "status"),
    [("/expire", RunExpired, "expired"), ("/incomplete", RunIncomplete, "incomplete")],
)
async def test_iterating_tells_an_ending_and_result_raises_it(
    client: DashScope, assistant_id: str, line: str, kind: type[Exception], status: str
) -> None:
    """Iterating never raises a RunError; `result` does, with the text."""
    async with client.stream(f"/say so far\n{line}", assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        with pytest.raises(kind) as caught:
            await stream.result()

    assert isinstance(events[-1], RunEvent)
    assert events[-1].status == status
    assert caught.value.text == "so far"  # type: ignore[attr-defined]


async def test_outputs_that_never_come_expire_the_run() -> None:
    """A run waits for its outputs only so long; the submission is then refused."""
    async with (
        LocalServer(expire_after=0) as server,
        server.client(DashScope) as client,
    ):
        assistant = await client.assistants.create(model="qwen-max")
        async with client.stream("/call a {}", assistant_id=assistant.id) as stream:
            async for _ in stream:
                pass
            run = stream.snapshot.run
            assert run is not None
            while await status_of(client, run) not in TERMINAL:
                await asyncio.sleep(0)
            with pytest.raises(Exception, match="expired"):
                await stream.submit([ToolOutput(output="late")])


async def test_rounds_are_bounded(client: DashScope, assistant_id: str) -> None:
    """More rounds than `max_rounds` end the iteration; the run is cancelled, `result` raises."""
    question = '/call echo {"text": "a"}\n/then\n/call echo {"text": "b"}'
    async with client.stream(
        question, assistant_id=assistant_id, tools=[echo], max_rounds=1
    ) as stream:
        with pytest.raises(ToolRoundsExceeded, match="1 rounds"):
            await stream.result()
        run = stream.snapshot.run
    assert run is not None

    assert await status_of(client, run) == "cancelled"


async def test_entered_iterated_and_closed_in_three_tasks(
    client: DashScope, assistant_id: str
) -> None:
    """No scope is bound to a task: web frameworks enter, iterate and close in different ones."""
    question = '/call echo {"text": "a"}\n/say 完'
    stream = client.stream(question, assistant_id=assistant_id, tools=[echo])
    await asyncio.create_task(stream.__aenter__())

    async def some(count: int) -> list[Event]:
        return [await anext(stream) for _ in range(count)]

    head = await asyncio.create_task(some(7))
    tail: list[Event] = []
    while not (tail and isinstance(tail[-1], RunEvent) and tail[-1].status == "completed"):
        tail.append(await asyncio.wait_for(anext(stream), 5))
    await asyncio.create_task(stream.close())

    assert isinstance(head[-1], ToolStarted)
    assert names(tail)[0] == "ToolFinished"


@pytest.mark.parametrize("question", ["/say x\n/wait 30", "/say x\n/call endless"])
async def test_closing_from_another_task_ends_the_iteration(
    client: DashScope, assistant_id: str, question: str
) -> None:
    """A stream that is closed while another task waits in it ends there, without an error."""
    at_work = asyncio.Event()

    @tool
    async def endless() -> str:
        """Wait for ever."""
        at_work.set()
        await asyncio.Event().wait()
        return ""

    async with client.stream(question, assistant_id=assistant_id, tools=[endless]) as stream:
        reading = asyncio.create_task(_collect(stream))
        while not stream.snapshot.text:
            await asyncio.sleep(0)
        if "call" in question:
            await at_work.wait()
            await asyncio.sleep(0.02)
        await stream.close()
        await asyncio.wait_for(reading, 5)
        with pytest.raises((LocalProtocolError, RunCancelled), match=r"closed before|cancelled"):
            await stream.result()


async def test_closing_ends_the_iteration_of_a_run_that_is_polled(
    client: DashScope, assistant_id: str
) -> None:
    """Whoever waits for the next look at a run is let go as soon as the stream is closed."""
    thread = await client.threads.create()
    await client.threads.messages.create(thread.id, "/wait 30")
    run = await client.threads.runs.create(thread.id, assistant_id=assistant_id)
    async with client.threads.runs.attach(thread.id, run.id, tools=None) as stream:
        reading = asyncio.create_task(_collect(stream))
        while stream.snapshot.run is None:
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        await stream.close()
        await asyncio.wait_for(reading, 5)


async def test_closing_while_outputs_travel_ends_the_iteration() -> None:
    """A submission that hangs does not hold whoever closes, or whoever reads."""
    streams = [STREAM + chunk(BEGIN + CALL) + END]

    async def answer(request: Received, writer: Writer) -> None:
        if "submit" in request.line:
            submitted.set()
            await asyncio.Event().wait()
        writer.write(streams.pop() if streams else whole(RUN))

    submitted = asyncio.Event()
    async with (
        RawServer(answer) as raw,
        DashScope("sk-x", base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a", tools=[echo]) as stream,
    ):
        reading = asyncio.create_task(_collect(stream))
        await submitted.wait()
        await stream.close()
        await asyncio.wait_for(reading, 5)


async def test_a_stream_that_opens_when_nobody_waits_is_closed_with_the_rest() -> None:
    """The answer to a submission comes while the caller is away: its connection is not lost."""
    streams = [STREAM + chunk(BEGIN + CALL) + END]
    gate = asyncio.Event()

    async def answer(request: Received, writer: Writer) -> None:
        if "submit" in request.line:
            await gate.wait()
            writer.write(STREAM + chunk(BEGIN))
            return
        writer.write(streams.pop() if streams else whole(RUN))

    async with RawServer(answer) as raw, DashScope("sk-x", base_url=raw.url) as client:
        async with client.threads.runs.stream("t", assistant_id="a", tools=[echo]) as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_collect(stream), 0.2)
            gate.set()
            await asyncio.sleep(0.05)
        connector: Any = client._session.pool.http().connector
        assert not connector._acquired


async def test_a_submission_that_fails_can_be_made_again(
    client: DashScope, assistant_id: str
) -> None:
    """The calls stay pending, nothing counts as called, and the error says where."""
    async with client.stream("/call a", assistant_id=assistant_id, tools=None) as stream:
        async for _ in stream:
            pass
        good = reached(client._session, base_url="http://127.0.0.1:9", retry=ONCE)
        with pytest.raises(ConnectError) as caught:
            await stream.submit([ToolOutput(output="1")])
        reached(client._session, base_url=good.base_url)
        assert len(stream.pending_calls) == 1
        assert stream.snapshot.tool_calls == ()
        await stream.submit([ToolOutput(output="1")])
        result = await stream.result()

    assert result.text == "a -> 1"
    assert caught.value.run_id == result.run.id


async def test_outputs_that_did_not_arrive_can_be_given_to_whoever_takes_the_run_up(
    client: DashScope, assistant_id: str
) -> None:
    """They are the `completed_outputs`, each by its call: no tool runs twice."""
    session, ran = client._session, list[str]()
    good = session.config.base_url

    async with RawServer(answering(close=True)) as cutting:

        @tool
        async def once(text: str) -> str:
            """Count it, and have the connection cut that its output travels on."""
            ran.append(text)
            reached(session, base_url=cutting.url + "/api/v1", retry=ONCE)
            return text.upper()

        question = '/call once {"text": "a"}\n/call once {"text": "b"}'
        stream = client.stream(question, assistant_id=assistant_id, tools=[once], on_exit="leave")
        async with stream:
            with pytest.raises(OutcomeUnknown) as caught:
                await stream.result()
            assert stream.pending_calls == ()
        reached(session, base_url=good)
    assert [request.line.split("/")[-2] for request in cutting.requests] == [
        "submit_tool_outputs HTTP"
    ]
    kept = stream.completed_outputs
    assert [output.output for output in kept] == ["A", "B"]
    run_id, thread_id = caught.value.run_id or "", caught.value.thread_id or ""
    async with client.threads.runs.attach(
        thread_id, run_id, tools=[once], outputs=kept
    ) as attached:
        result = await attached.result()
        assert attached.completed_outputs == ()

    assert ran == ["a", "b"]
    assert [call.output for call in result.tool_calls] == ["A", "B"]
    assert result.run.id == run_id


async def test_outputs_that_arrived_are_not_kept(client: DashScope, assistant_id: str) -> None:
    """After a round that went well there is nothing left to be given again."""
    question = '/call echo {"text": "a"}'
    async with client.stream(question, assistant_id=assistant_id, tools=[echo]) as stream:
        assert (await stream.result()).tool_calls[0].output == "a"
        assert stream.completed_outputs == ()


NO_OUTPUTS: list[Any] = [
    5, None, "text", [{}], ["text"], [{"tool_call_id": "c", "output": "x"}],
    ToolOutput(output="x"), [ToolOutput(output=cast("Any", 5))],
    [ToolOutput(output=cast("Any", None))], [ToolOutput(output="\ud800")],
    [ToolOutput(output="x", tool_call_id=cast("Any", 5))],
]  # fmt: skip


@pytest.mark.parametrize("outputs", NO_OUTPUTS, ids=ascii)
async def test_what_is_no_output_is_refused_before_anything_is_sent(
    server: LocalServer, outputs: Any
) -> None:
    """Of a stream that waits, of one that attaches, of a run by its id; the run still waits."""
    told: list[CallInfo] = []
    async with server.client(DashScope, on_request=told.append) as client:
        made = await client.assistants.create(model="qwen-max")
        async with client.stream("/call a", assistant_id=made.id, tools=None) as stream:
            waiting = (await stream.result()).run
            before = len(told)
            runs, ids = client.threads.runs, (waiting.thread_id or "", waiting.id)
            with pytest.raises(InvalidArgument, match="outputs") as caught:
                await stream.submit(outputs)
            with pytest.raises(InvalidArgument, match="outputs"):
                runs.attach(*ids, tools=None, outputs=outputs)
            with pytest.raises(InvalidArgument, match="tool_outputs"):
                await runs.submit_tool_outputs(*ids, tool_outputs=outputs)

            assert len(told) == before
            assert caught.value.run_id == waiting.id
            assert len(stream.pending_calls) == 1
            await stream.submit([ToolOutput(output="1")])
            assert (await stream.result()).text == "a -> 1"


@pytest.mark.parametrize("tools", [True, False])
async def test_cancelling_while_calls_wait_ends_with_the_event(
    client: DashScope, assistant_id: str, tools: bool
) -> None:
    """With no stream open to say so, `cancel` says it: tools end, `cancelled` comes last."""
    at_work = asyncio.Event()

    @tool
    async def endless() -> str:
        """Wait for ever."""
        at_work.set()
        await asyncio.Event().wait()
        return ""

    given = [endless] if tools else None
    async with client.stream("/call endless", assistant_id=assistant_id, tools=given) as stream:
        reading = asyncio.create_task(_collect(stream))
        if tools:
            await at_work.wait()
            await asyncio.sleep(0.02)
        else:
            await reading
        await stream.cancel()
        events = await reading if tools else await _collect(stream)
        with pytest.raises(RunCancelled):
            await stream.result()

    assert isinstance(events[-1], RunEvent)
    assert events[-1].status == "cancelled"


@pytest.mark.parametrize("tools", [True, False])
async def test_cancelling_on_seeing_that_calls_wait_runs_none(
    client: DashScope, assistant_id: str, tools: bool
) -> None:
    """A cancel in answer to `requires_action`, twice even: no tool runs, `cancelled` comes once."""
    given = [echo] if tools else None
    question = '/call echo {"text": "a"}'
    async with client.stream(question, assistant_id=assistant_id, tools=given) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if isinstance(event, RunEvent) and event.status == "requires_action":
                await stream.cancel()
                await stream.cancel()
        with pytest.raises(RunCancelled):
            await stream.result()

    statuses = [event.status for event in events if isinstance(event, RunEvent)]
    assert statuses[-2:] == ["requires_action", "cancelled"]
    assert not [event for event in events if isinstance(event, ToolStarted)]
    assert stream.pending_calls == ()


async def test_a_submission_that_was_cancelled_and_failed_can_be_made_again(
    client: DashScope, assistant_id: str
) -> None:
    """The iteration tells that it failed; after another submission it goes on."""
    async with client.stream("/call a", assistant_id=assistant_id, tools=None) as stream:
        async for _ in stream:
            pass
        good = reached(client._session, base_url="http://127.0.0.1:9", retry=ONCE)
        task = asyncio.create_task(stream.submit([ToolOutput(output="1")]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectError):
            await anext(stream)
        reached(client._session, base_url=good.base_url)
        await stream.submit([ToolOutput(output="1")])
        result = await stream.result()

    assert result.text == "a -> 1"


async def test_a_stream_that_was_abandoned_at_work_ends_with_its_client(
    server: LocalServer,
) -> None:
    """Entered, never closed, and dropped: the client ends its tools and cancels its run."""
    ended: list[str] = []

    @tool
    async def endless() -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return ""

    client = server.client(DashScope)
    made = await client.assistants.create(model="m")

    async def abandon() -> Run:
        stream = client.stream("/call endless", assistant_id=made.id, tools=[endless])
        await stream.__aenter__()
        while not isinstance(await anext(stream), ToolStarted):
            pass
        await asyncio.sleep(0.01)
        assert stream.snapshot.run is not None
        return stream.snapshot.run

    run = await abandon()
    gc.collect()
    await client.close()

    assert ended == ["endless"]
    async with server.client(DashScope) as other:
        assert await status_of(other, run) == "cancelled"


async def test_text_that_came_without_deltas_is_handed_out_as_one() -> None:
    """A message completed with more than its deltas said: the rest comes first, once."""
    body = b'{"id":"m","content":[{"type":"text","text":{"value":"so far, so good"}}]}'
    completed = b"event:thread.message.completed\ndata:" + body + b"\n\n"
    other = completed.replace(b'"id":"m"', b'"id":"n"')
    events = await played(BEGIN + DELTA + completed + other + DONE)
    texts = [event.text for event in events if isinstance(event, MessageDelta)]

    assert texts == ["so far", ", so good", "so far, so good"]
    assert [type(event) for event in events].count(MessageEvent) == 2


async def _collect(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_a_cancelled_next_loses_nothing(client: DashScope, assistant_id: str) -> None:
    """Cancelling `anext` at any moment, tools and all, loses no event."""
    question = '/say 甲乙丙丁\n/call echo {"text": "a"}\n/call echo {"text": "b"}\n/say 完'
    async with client.stream(question, assistant_id=assistant_id, tools=[echo]) as stream:
        events: list[Event] = []
        turns = 0
        while True:
            task = asyncio.ensure_future(anext(stream, None))
            turns += 1
            for _ in range(turns % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                event = await task
            except asyncio.CancelledError:
                continue
            if event is None:
                break
            events.append(event)
        result = await stream.result()

    assert result.text == "甲乙丙丁完"
    assert names(events).count("ToolFinished") == 2
    assert names(events)[-1] == "thread.run.completed"


async def test_misuse_is_told(client: DashScope, assistant_id: str) -> None:
    """Iterating before entering, entering twice, two readers, and submitting nothing."""
    stream = client.stream("/wait 30", assistant_id=assistant_id)
    with pytest.raises(LocalProtocolError, match="async with"):
        await anext(stream)
    with pytest.raises(LocalProtocolError, match="async with"):
        await stream.result()
    await stream.close()
    async with client.stream("/wait 30", assistant_id=assistant_id) as stream:
        with pytest.raises(LocalProtocolError, match="once"):
            await stream.__aenter__()
        with pytest.raises(LocalProtocolError, match="no calls"):
            await stream.submit([])
        with pytest.raises(LocalProtocolError, match="before its first event"):
            await stream.cancel()
        while not isinstance(await anext(stream), MessageEvent | RunEvent):
            pass
        async for _ in stream:
            break
        async for _ in stream:
            break
        reader = asyncio.create_task(_collect(stream))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="another task"):
            await anext(stream)
    await reader


async def test_a_refused_run_is_told_on_entering(client: DashScope) -> None:
    """A run that cannot begin raises where the block is entered."""
    with pytest.raises(Exception, match="assistant has been deleted or does not exist"):
        async with client.stream("x", assistant_id="nobody"):
            pass


# --- bytes on the wire ----------------------------------------------------------------------

Play = Callable[[bytes], Awaitable[list[Event]]]


async def recorded(server: LocalServer, question: str) -> bytes:
    """The bytes of a real stream of the local server."""
    headers = {"Authorization": "Bearer x"}
    async with aiohttp.ClientSession(server.dashscope_url + "/", headers=headers) as http:
        async with http.post("assistants", json={"model": "qwen-max"}) as answer:
            assistant = (await answer.json())["id"]
        thread = {"messages": [{"role": "user", "content": question}]}
        body = {"assistant_id": assistant, "thread": thread, "stream": True}
        async with http.post("threads/runs", json=body) as answer:
            return await answer.read()


async def played(*pieces: bytes, **options: Any) -> list[Event]:
    """The events of a stream that consists of these HTTP chunks."""
    parts = [STREAM, *map(chunk, pieces), END]
    async with (
        RawServer(answering(*parts)) as raw,
        DashScope("sk-x", base_url=raw.url, **options) as client,
        client.threads.runs.stream("t", assistant_id="a", on_exit="leave") as stream,
    ):
        return [event async for event in stream]


async def test_a_stream_chopped_into_bytes_gives_the_same_events(server: LocalServer) -> None:
    """Chinese and emoji included, one byte to an HTTP chunk changes nothing."""
    data = await recorded(server, "你好，世界😀\n第二行")
    unchopped = await played(data)
    chopped = await played(*(data[i : i + 1] for i in range(len(data))))

    assert unchopped == chopped
    assert (
        "".join(e.text for e in unchopped if isinstance(e, MessageDelta)) == "你好，世界😀\n第二行"
    )


RUN = b'{"id":"run_1","thread_id":"t","status":"in_progress","request_id":"req"}'
BEGIN = b"event:thread.run.in_progress\ndata:" + RUN + b"\n\n"
DELTA = (
    b'event:thread.message.delta\ndata:{"id":"m","delta":{"content":'
    b'[{"type":"text","text":{"value":"so far"}}]}}\n\n'
)
CALL = (
    b'event:thread.run.requires_action\ndata:{"id":"run_1","thread_id":"t","required_action":'
    b'{"submit_tool_outputs":{"tool_calls":[{"id":"c","type":"function","function":'
    b'{"name":"echo","arguments":"{\\"text\\":\\"a\\"}"}}]}}}\n\n'
)
DONE = b'event:thread.run.completed\ndata:{"id":"run_1","thread_id":"t"}\n\n'


def unreadable(stream: Answer) -> Answer:
    """Answers a run with this stream, and refuses to have it read back."""
    refused = answering(whole(b'{"code":"InvalidParameter","message":"no"}', "400 Bad"))

    async def answer(request: Received, writer: Writer) -> None:
        await (refused if request.line.startswith("GET ") else stream)(request, writer)

    return answer


async def broken(*parts: bytes, close: bool = False, **options: Any) -> Any:
    """The error that a raw stream ends in whose run cannot be read back."""
    async with (
        RawServer(unreadable(answering(STREAM, *parts, close=close))) as raw,
        DashScope("sk-x", base_url=raw.url, **options) as client,
        client.threads.runs.stream("t", assistant_id="a", on_exit="leave") as stream,
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (the caller says which)
            async for _ in stream:
                pass
        with pytest.raises(type(caught.value)):
            await stream.result()
        return caught.value


@pytest.mark.parametrize(
    "parts",
    [(END,), (chunk(b"event:done\ndata:[DONE]\n\n"), END), (), (chunk(DONE[:30]), END)],
    ids=["end", "done", "cut", "half an event"],
)
async def test_an_early_end_is_an_interruption_with_the_text_so_far(
    parts: tuple[bytes, ...],
) -> None:
    """Ended, cut, or done without a resting status: never a short success.

    If the run cannot be read back it is StreamInterrupted.
    """
    error = await broken(chunk(BEGIN), chunk(DELTA), *parts, close=not parts)

    assert isinstance(error, StreamInterrupted)
    assert (error.text, error.run_id, error.thread_id) == ("so far", "run_1", "t")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"event:thread.run.completed\ndata:{broken\n\n", DecodeError),
        (b"event:thread.run.queued\ndata:" + b"[" * 9999 + b"\n\n", DecodeError),
        (b'event:thread.run.queued\ndata:{"id":"run_2"}\n\n', RemoteProtocolError),
        (DONE + BEGIN, RemoteProtocolError),
        (b"data:" + b"x" * 5000, ResponseTooLarge),
        (b"event:x\ndata:" + b"x" * 5000 + b"\n\n", ResponseTooLarge),
        (b'event:error\ndata:{"code":"InternalError","message":"boom"}\n\n', ServerError),
    ],
)
async def test_a_bad_event_is_told_with_the_text_so_far(
    data: bytes, kind: type[AssistError]
) -> None:
    """An unreadable, foreign, late or huge event, or a reported error: no silent end."""
    limits = Limits(max_event_bytes=4096)
    if b"[[[[" in data:
        limits = Limits()
    error = await broken(chunk(BEGIN), chunk(DELTA), chunk(data), END, limits=limits)

    assert isinstance(error, kind)
    assert (error.text, error.run_id) == ("so far", "run_1")


async def test_an_error_frame_is_handed_out_before_it_is_raised() -> None:
    """The ErrorEvent comes first, with its code; it is raised if the run cannot be read back."""
    data = b'event:error\ndata:{"code":"Throttling","message":"slow","request_id":"r9"}\n\n'
    seen: list[Event] = []
    async with (
        RawServer(unreadable(answering(STREAM, chunk(BEGIN + data), END))) as raw,
        DashScope("sk-x", base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a", on_exit="leave") as stream,
    ):
        seen.append(await anext(stream))
        seen.append(await anext(stream))
        with pytest.raises(RateLimited, match="Throttling: slow") as caught:
            await anext(stream)

    assert isinstance(seen[-1], ErrorEvent)
    assert caught.value.request_id == "r9"


async def test_unknown_events_come_through_even_at_the_end() -> None:
    """Nothing unknown breaks a stream; comments and pings are passed over."""
    data = b":ping\n\nevent:thread.usage\ndata:{}\n\n"
    events = await played(data + BEGIN + data + DONE + data)

    assert [type(event) for event in events].count(UnknownEvent) == 3


async def test_a_closing_done_is_not_required_and_a_lingering_stream_is_left() -> None:
    """After its last event a stream that does not end is not waited for without limit."""
    async with (
        RawServer(answering(STREAM, chunk(BEGIN + DELTA + DONE))) as raw,
        DashScope("sk-x", base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a") as stream,
    ):
        result = await asyncio.wait_for(stream.result(), 5)

    assert result.text == "so far"


async def rested(request: Received, writer: Writer, *frames: bytes) -> None:
    """These frames, and then a named heartbeat for ever; an end for whoever submits."""
    if "submit" in request.line:
        writer.write(STREAM + chunk(BEGIN + DELTA + DONE) + END)
        return
    writer.write(STREAM + b"".join(chunk(frame) for frame in frames))
    while True:
        writer.write(chunk(b"event: ping\ndata: {}\n\n"))
        await writer.drain()
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("frames", [(BEGIN, DELTA, DONE), (BEGIN, CALL)])
async def test_heartbeats_after_the_end_do_not_hold_it(frames: tuple[bytes, ...]) -> None:
    """A stream that has said all is left although it goes on beating; outputs are sent."""

    async def answer(request: Received, writer: Writer) -> None:
        await rested(request, writer, *frames)

    async with (
        RawServer(answer) as raw,
        DashScope("sk-x", base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a", tools=[echo]) as stream,
    ):
        result = await asyncio.wait_for(stream.result(), 10)

    assert result.text == "so far"


async def test_an_error_after_the_end_does_not_hide_it() -> None:
    """A run that is known to have failed is RunFailed, whatever the stream says after it."""
    failed = b'event:thread.run.failed\ndata:{"id":"run_1","last_error":{"code":"c"}}\n\n'
    data = b'event:error\ndata:{"code":"InternalError","message":"x"}\n\n'
    async with (
        RawServer(answering(STREAM, chunk(BEGIN + failed + data), END)) as raw,
        DashScope("sk-x", base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a") as stream,
    ):
        with pytest.raises(RunFailed):
            await stream.result()


async def test_a_key_in_a_last_error_is_not_shown() -> None:
    """A service that quotes the key in a run's last error does not get it printed."""
    key = "sk-very-secret-0123456789"
    last = b'{"code":"c","message":"bad %b"}' % key.encode()
    failed = b'event:thread.run.failed\ndata:{"id":"run_1","last_error":%b}\n\n' % last
    async with (
        RawServer(answering(STREAM, chunk(BEGIN + failed), END)) as raw,
        DashScope(key, base_url=raw.url) as client,
        client.threads.runs.stream("t", assistant_id="a") as stream,
    ):
        with pytest.raises(RunFailed, match=r"bad \*\*\*") as caught:
            await stream.result()

    assert key not in repr(caught.value)


async def pinging(_request: Received, writer: Writer) -> None:
    """One event, then pings for ever."""
    writer.write(STREAM + chunk(BEGIN + DELTA))
    while True:
        writer.write(chunk(b":ping\n\n"))
        await writer.drain()
        await asyncio.sleep(0.005)


async def test_pings_do_not_hide_silence() -> None:
    """`Timeouts.idle` counts events: a stream of pings is silent."""
    async with (
        RawServer(unreadable(pinging)) as raw,
        DashScope("sk-x", base_url=raw.url, timeouts=Timeouts(idle=0.05)) as client,
        client.threads.runs.stream("t", assistant_id="a", on_exit="leave") as stream,
    ):
        with pytest.raises(IdleTimeout, match=r"0\.05 s") as caught:
            await stream.result()

    assert caught.value.text == "so far"


async def test_a_slow_consumer_is_not_silence(client: DashScope, assistant_id: str) -> None:
    """The time between two `anext` does not count for the idle clock."""
    timeouts = Timeouts(idle=0.5)
    config = client._session.config
    async with (
        DashScope("x", base_url=config.base_url, timeouts=timeouts) as patient,
        patient.stream("甲乙丙丁戊己庚辛", assistant_id=assistant_id) as stream,
    ):
        events = [await anext(stream)]
        await asyncio.sleep(0.6)
        events += [event async for event in stream]

    assert names(events)[-1] == "thread.run.completed"


async def test_no_event_at_all_is_a_first_event_timeout() -> None:
    """A stream that begins but says nothing ends by `Timeouts.first_event`."""
    timeouts = Timeouts(first_event=0.05)
    error = await broken(chunk(b":hello\n\n"), timeouts=timeouts, retry=ONCE)

    assert type(error) is FirstEventTimeout


@pytest.mark.parametrize("question", ["/say x\n/wait 30", "/call endless"])
async def test_total_bounds_the_run_with_its_tools(
    server: LocalServer, assistant_id: str, question: str
) -> None:
    """`Timeouts.total` ends a stream that waits for the service, or for a tool."""

    @tool
    async def endless() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    timeouts = Timeouts(total=1)
    async with (
        server.client(DashScope, timeouts=timeouts) as client,
        client.stream(question, assistant_id=assistant_id, tools=[endless]) as stream,
    ):
        with pytest.raises(TotalTimeout, match="1 s"):
            await stream.result()
        run = stream.snapshot.run
    assert run is not None

    async with server.client(DashScope) as other:
        assert await status_of(other, run) == "cancelled"


async def test_a_failed_submission_is_told(client: DashScope, assistant_id: str) -> None:
    """Outputs that the service refuses end the iteration with its error."""

    @tool
    async def cancel_it(ctx: ToolContext[DashScope]) -> str:
        """Cancel the run that asks."""
        await ctx.deps.threads.runs.cancel(ctx.thread_id or "", ctx.run_id)
        return "done"

    async with client.stream(
        "/call cancel_it", assistant_id=assistant_id, tools=[cancel_it], deps=client
    ) as stream:
        with pytest.raises(Exception, match="does not wait for tool outputs") as caught:
            await stream.result()

    assert caught.value.run_id is not None  # type: ignore[attr-defined]


def test_outputs_on_their_way_when_the_time_is_over_are_kept() -> None:
    """`Timeouts.total` may ring while nobody knows whether they arrive: they can be read after."""

    async def main() -> None:
        silent = RawServer(answering())
        clocks = Timeouts(total=60, first_event=None)
        async with (
            LocalServer() as server,
            silent,
            server.client(DashScope, timeouts=clocks) as client,
        ):
            session = client._session

            @tool
            async def once() -> str:
                """Have the output travel to where nobody answers."""
                url = silent.url + "/api/v1"
                config = msgspec.structs.replace(session.config, base_url=url)
                session._wire = Wire(session.provider, config, session.pool)
                return "done"

            made = await client.assistants.create(model="m")
            stream = client.stream(
                "/call once", assistant_id=made.id, tools=[once], on_exit="leave"
            )
            with pytest.raises(TotalTimeout):
                async with stream:
                    await stream.result()
            assert [output.output for output in stream.completed_outputs] == ["done"]

    virtual_time.run(main())


async def test_a_key_of_the_users_own_is_not_in_an_error_inside_a_stream() -> None:
    """Also where the service quotes an `Authorization` header of this one request."""
    frame = b'event:error\ndata:{"code":"InternalError","message":"Bearer sk-tenant-987654"}\n\n'

    answer = answering(STREAM + chunk(frame) + END)
    async with (
        RawServer(answer) as raw,
        DashScope("sk-x", base_url=raw.url, retry=AT_ONCE) as client,
    ):
        headers = {"Authorization": "Bearer sk-tenant-987654"}
        stream = client.threads.runs.stream("t", assistant_id="a", extra_headers=headers)
        async with stream:
            with pytest.raises(APIError) as caught:
                await stream.result()
    assert "sk-tenant" not in str(caught.value)
    assert "***" in str(caught.value)
