"""`runs.attach`: following a run that is under way, or done, against the real local server."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from aiodashassist import (
    BadRequest,
    CallInfo,
    DashScope,
    Event,
    InvalidArgument,
    LocalProtocolError,
    MessageDelta,
    MessageEvent,
    NotFound,
    PauseRun,
    Run,
    RunCancelled,
    RunEvent,
    RunExpired,
    RunFailed,
    RunIncomplete,
    RunStream,
    StepEvent,
    Timeouts,
    ToolArgumentsError,
    ToolContext,
    ToolFinished,
    ToolOutput,
    ToolRoundsExceeded,
    Toolset,
    ToolStarted,
    TotalTimeout,
    UnsupportedParameter,
    tool,
)
from aiodashassist.server import LocalServer, execution, writing
from tests import virtual_time
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work

Scenario = Callable[["World"], Coroutine[Any, Any, None]]

ROUNDS = """\
/say 先看看
/call look {"what": "a"}
/call look {"what": "b"}
/then
/call look {"what": "c"}
/then
/say 完"""
SLOW = "/say 一\n/wait 30\n/say 二"


@tool
async def look(what: str) -> str:
    """Look at it."""
    await asyncio.sleep(0)
    return f"{what}!"


class World:
    """A server with a client and an assistant; notes what the client asks."""

    def __init__(self, server: LocalServer, client: DashScope, assistant_id: str) -> None:
        self.server = server
        self.client = client
        self.assistant_id = assistant_id

    async def begun(self, question: str, *, until: str | None = None) -> tuple[str, str]:
        """The ids of a new run on a new thread, once it has come to a status."""
        thread = await self.client.threads.create(messages=[{"role": "user", "content": question}])
        run = await self.client.threads.runs.create(thread.id, assistant_id=self.assistant_id)
        while until is not None and (await self.read(thread.id, run.id)).status != until:
            await asyncio.sleep(0)
        return thread.id, run.id

    async def read(self, thread_id: str, run_id: str) -> Run:
        """The run as the server has it."""
        return await self.client.threads.runs.retrieve(thread_id, run_id)

    async def written(self, thread_id: str) -> str:
        """All that assistants wrote on a thread, as the server has it."""
        messages = self.client.threads.messages.list(thread_id, order="asc")
        return "".join([m.text async for m in messages if m.role == "assistant"])

    def attach(self, ids: tuple[str, str], **handling: Any) -> RunStream:
        """Attach to a run."""
        return self.client.threads.runs.attach(*ids, **handling)


def in_world(
    main: Scenario, *, told: list[CallInfo] | None = None, timeouts: Timeouts | None = None,
    **options: Any,
) -> None:  # fmt: skip
    """Play a scenario in virtual time; nothing may be left of it."""

    async def play() -> None:
        async with (
            LocalServer(**options) as server,
            server.client(
                DashScope,
                timeouts=timeouts or Timeouts(),
                on_request=None if told is None else told.append,
            ) as client,
        ):
            made = await client.assistants.create(model="qwen-max")
            await main(World(server, client, made.id))
            assert not held(client)
        assert len(asyncio.all_tasks()) == 1

    virtual_time.run(play())


def deltas(events: list[Event]) -> str:
    """The text that was handed out."""
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


@pytest.mark.parametrize(
    ("question", "status", "error"),
    [
        ("/say 好", "completed", None),
        ("/say 好\n/fail server_error too warm", "failed", RunFailed),
        ("/say 好\n/expire", "expired", RunExpired),
        ("/say 好\n/incomplete", "incomplete", RunIncomplete),
    ],
)
def test_a_run_that_is_done_is_told_as_if_it_were_streamed(
    question: str, status: str, error: type[Exception] | None
) -> None:
    """Its text as deltas, its messages, its steps, its ending; and `result` is that of a stream."""

    async def main(world: World) -> None:
        ids = await world.begun(question, until=status)
        async with world.attach(ids) as stream:
            events = [event async for event in stream]
            assert [type(event) for event in events] == [
                MessageDelta, MessageEvent, StepEvent, RunEvent,
            ]  # fmt: skip
            assert isinstance(events[-1], RunEvent)
            assert events[-1].status == status
            assert stream.snapshot.text == deltas(events) == await world.written(ids[0]) == "好"
            if error is None:
                result = await stream.result()
                assert (result.text, result.thread_id, result.run.id) == ("好", *ids)
                assert result.usage is not None
                return
            with pytest.raises(error) as caught:
                await stream.result()
            at = (getattr(caught.value, name) for name in ("text", "thread_id", "run_id"))
            assert tuple(at) == ("好", *ids)

    in_world(main)


def test_a_run_that_was_cancelled_is_told_as_such() -> None:
    """What it said until then included."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        await asyncio.sleep(1)
        await world.client.threads.runs.cancel(*ids)
        async with world.attach(ids) as stream:
            with pytest.raises(RunCancelled) as caught:
                await stream.result()
        assert caught.value.text == "一"

    in_world(main)


def test_a_run_that_is_under_way_is_followed_to_its_end() -> None:
    """Text comes once, when the run rests, and is what the server has."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        async with world.attach(ids) as stream:
            events = [event async for event in stream]
        statuses = [event.status for event in events if isinstance(event, RunEvent)]
        assert statuses == ["in_progress", "completed"]
        assert deltas(events) == await world.written(ids[0]) == "一二"

    in_world(main)


@pytest.mark.parametrize("options", [{}, {"empty_call_ids": True}])
def test_a_run_that_waits_has_its_tools_called_over_all_rounds(options: dict[str, Any]) -> None:
    """After the first round its stream goes on live; text and calls are those of the whole run."""

    async def main(world: World) -> None:
        ids = await world.begun(ROUNDS, until="requires_action")
        async with world.attach(ids, tools=[look]) as stream:
            events = [event async for event in stream]
            result = await stream.result()
        begun = [event.call.call_id for event in events if isinstance(event, ToolStarted)]
        assert len(set(begun)) == 3
        assert all(begun)
        assert [call.output for call in result.tool_calls] == ["a!", "b!", "c!"]
        assert [call.call_id for call in result.tool_calls] == begun
        assert deltas(events) == result.text == await world.written(ids[0]) == "先看看完"
        assert (await world.read(*ids)).status == "completed"

    in_world(main, **options)


@pytest.mark.parametrize("ids", ["given", "empty", "repeated"])
def test_calls_have_the_same_ids_in_every_stream_of_a_run(
    ids: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs of one stream find their calls in the next, also in a later round."""
    made_up = writing.new_id
    if ids == "repeated":
        monkeypatch.setattr(
            execution, "new_id", lambda kind: "call_1" if kind == "call" else made_up(kind)
        )

    @tool
    async def stop(what: str) -> str:
        """Leave it to somebody else."""
        raise PauseRun(what)

    more = '/call look {"what": "c"}\n/call stop {"what": "d"}\n/call look {"what": "e"}'
    question = ROUNDS.replace('/call look {"what": "c"}', more)

    async def main(world: World) -> None:
        at = await world.begun(question)
        async with world.attach(at, tools=[look, stop]) as first:
            paused = await first.result()
        assert [output.output for output in paused.completed_outputs] == ["c!", "e!"]
        async with world.attach(at, tools=None, outputs=paused.completed_outputs) as second:
            waiting = await second.result()
            assert waiting.pending_calls == paused.pending_calls
            assert waiting.completed_outputs == paused.completed_outputs
            await second.submit([ToolOutput(output="d!")])
            done = await second.result()
        assert [call.output for call in done.tool_calls] == ["a!", "b!", "c!", "d!", "e!"]
        assert [call.call_id for call in done.tool_calls[:3]] == [
            call.call_id for call in paused.tool_calls[:3]
        ]
        assert done.text == "先看看完"

    in_world(main, empty_call_ids=ids == "empty")


def test_calls_are_left_to_the_caller_without_tools() -> None:
    """Without handlers they are `pending_calls`; `submit` lets the run go on, live."""

    async def main(world: World) -> None:
        ids = await world.begun(ROUNDS)
        async with world.attach(ids) as stream:
            assert len((await stream.result()).pending_calls) == 2
            await stream.submit([ToolOutput(output="1"), ToolOutput(output="2")])
            assert len((await stream.result()).pending_calls) == 1
        assert (await world.read(*ids)).status == "requires_action"  # left as it is
        async with world.attach(ids, tools=[look]) as stream:
            result = await stream.result()
        assert [call.output for call in result.tool_calls] == ["1", "2", "c!"]

    in_world(main)


async def test_the_clients_tools_serve_runs_that_are_attached_to(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """`tools=` not given means the client's; deps and approvals are those of the call."""

    @tool
    async def owe(ctx: ToolContext[str], what: str) -> str:
        """Use what was given with the run."""
        return f"{ctx.deps} {ctx.thread_id} {what}"

    handy = client.with_options(tools=Toolset(owe, look))
    world = World(server, handy, assistant_id)
    ids = await world.begun('/call owe {"what": "x"}\n/call look {"what": "y"}')
    stream = world.attach(ids, deps="mine", approve=lambda call: call.name == "owe" or "not that")
    async with stream:
        result = await stream.result()

    outputs = [call.output for call in result.tool_calls]
    assert outputs == [f"mine {ids[0]} x", '{"error":"not that"}']


def test_rounds_are_bounded() -> None:
    """`max_rounds` counts the rounds that this stream answers."""

    async def main(world: World) -> None:
        ids = await world.begun(ROUNDS)
        async with world.attach(ids, tools=[look], max_rounds=1) as stream:
            with pytest.raises(ToolRoundsExceeded):
                await stream.result()

    in_world(main)


def test_bad_arguments_are_told_to_the_model() -> None:
    """A call that was made up before anybody attached is as any other."""

    async def main(world: World) -> None:
        ids = await world.begun("/call look {}")
        async with world.attach(ids, tools=[look]) as stream:
            ended = [event async for event in stream if isinstance(event, ToolFinished)]
        assert isinstance(ended[0].error, ToolArgumentsError)

    in_world(main)


def test_a_thread_with_many_older_messages_is_read_back_to_the_run_only() -> None:
    """300 messages before the run cost no request more, and none of them is told."""
    told: list[CallInfo] = []

    async def main(world: World) -> None:
        old: Any = [{"role": "user", "content": str(number)} for number in range(300)]
        thread = await world.client.threads.create(messages=old)
        before = await world.client.ask(
            "/say 旧", assistant_id=world.assistant_id, thread_id=thread.id
        )
        run = await world.client.threads.runs.create(
            thread.id, assistant_id=world.assistant_id,
            additional_messages=[{"role": "user", "content": "/say 新"}],
        )  # fmt: skip
        told.clear()
        async with world.attach((thread.id, run.id)) as stream:
            result = await stream.result()
        assert (before.text, result.text) == ("旧", "新")
        assert [message.run_id for message in result.messages] == [run.id]
        assert [call.operation for call in told].count("ListMessages") == 1

    in_world(main, told=told)


def test_plugin_steps_are_among_what_is_told() -> None:
    """A vendor's tool that was used before is in its step, in the calls and in the order."""

    async def main(world: World) -> None:
        question = '/plugin quark_search {"input": "天气"} {"output": "晴"}\n/say 好\n' + ROUNDS
        ids = await world.begun(question, until="requires_action")
        async with world.attach(ids, tools=[look]) as stream:
            result = await stream.result()
        names = [(call.name, call.output) for call in result.tool_calls]
        assert names == [("quark_search", "晴"), ("look", "a!"), ("look", "b!"), ("look", "c!")]
        assert result.text == await world.written(ids[0])

    in_world(main)


@pytest.mark.parametrize("thread", [True, False])
def test_a_run_that_there_is_not_is_not_found(thread: bool) -> None:
    """The error names what was asked for; it is raised when the run is first read."""

    async def main(world: World) -> None:
        known, _ = await world.begun("x")
        ids = (known if thread else "thread_x", "run_x")
        async with world.attach(ids) as stream:
            for _ in range(2):
                with pytest.raises(NotFound) as caught:
                    await anext(stream)
                assert (caught.value.thread_id, caught.value.run_id) == ids

    in_world(main)


@pytest.mark.parametrize(("ids", "name"), [(("", "r"), "thread_id"), (("t", ""), "run_id")])
@pytest.mark.parametrize("odd", [None, 5])
async def test_an_id_that_cannot_be_one_is_refused_at_once(
    ids: tuple[str, str], name: str, odd: Any
) -> None:
    """Empty, or no text: no stream is made."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match=name):
            client.threads.runs.attach(*ids)
        with pytest.raises(InvalidArgument, match=name):
            client.threads.runs.attach(*(part or odd for part in ids))


async def test_what_is_no_option_of_attaching_is_refused() -> None:
    """A run that is under way takes no parameters, and a slip of the pen is none."""
    options: Any = {"assistant_id": "a"}
    async with DashScope("sk-x") as client:
        with pytest.raises(UnsupportedParameter, match="assistant_id"):
            client.threads.runs.attach("t", "r", **options)
        with pytest.raises(InvalidArgument, match="on_exit"):
            client.threads.runs.attach("t", "r", on_exit="stay")  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="outputs"):
            client.threads.runs.attach("t", "r", outputs=["x"])  # type: ignore[list-item]


def test_outputs_must_answer_calls_of_the_round() -> None:
    """One that names no call is an error before any tool runs; the run is left as it is."""

    async def main(world: World) -> None:
        ids = await world.begun(ROUNDS, until="requires_action")
        outputs = [ToolOutput(tool_call_id="nobody", output="x")]
        async with world.attach(ids, tools=[look], outputs=outputs) as stream:
            with pytest.raises(InvalidArgument, match="nobody"):
                await stream.result()
        assert (await world.read(*ids)).status == "requires_action"

    in_world(main)


def test_outputs_of_all_calls_are_sent_and_nothing_is_run() -> None:
    """Given outputs have no events here; a run that is done has no use for them."""

    async def main(world: World) -> None:
        ids = await world.begun("/call f {}\n/call g {}", until="requires_action")
        calls = (await world.read(*ids)).tool_calls
        outputs = [ToolOutput(tool_call_id=call.id, output=call.name) for call in calls]
        for _ in range(2):
            async with world.attach(ids, tools=[], outputs=outputs) as stream:
                events = [event async for event in stream]
                result = await stream.result()
            assert not any(isinstance(event, ToolStarted | ToolFinished) for event in events)
            assert result.text == "f -> f\ng -> g"

    in_world(main)


LEAVING = [
    (SLOW, "in_progress"),
    (ROUNDS, "requires_action"),
    ("/say x", "completed"),
]


@pytest.mark.parametrize("events", [0, 1])
@pytest.mark.parametrize(("question", "status"), LEAVING)
@pytest.mark.parametrize("on_exit", ["cancel", "leave", None])
def test_leaving_early_leaves_the_run_unless_told_otherwise(
    on_exit: str | None, question: str, status: str, events: int
) -> None:
    """The default is to leave it; "cancel" cancels it, whatever was read before."""

    async def main(world: World) -> None:
        ids = await world.begun(question, until=status)
        await asyncio.sleep(1)
        handling = {} if on_exit is None else {"on_exit": on_exit}
        async with world.attach(ids, tools=[look], **handling) as stream:
            for _ in range(events):
                await anext(stream)
        ends = on_exit == "cancel" and status != "completed"
        assert (await world.read(*ids)).status == ("cancelled" if ends else status)
        with contextlib.suppress(BadRequest):
            await world.client.threads.runs.cancel(*ids)

    in_world(main)


@pytest.mark.parametrize("on_exit", ["cancel", "leave"])
@pytest.mark.parametrize("after", [0, 0.1, 20])
def test_closing_does_not_wait_for_a_pause_or_a_poll(on_exit: str, after: float) -> None:
    """A stream that is closed while somebody reads it closes in no time, and ends the reading."""

    async def main(world: World) -> None:
        ids = await world.begun("/wait 500")
        loop = asyncio.get_running_loop()
        async with world.attach(ids, on_exit=on_exit) as stream:
            reading = asyncio.create_task(_read_all(stream))
            if after:
                await asyncio.sleep(after)
            else:
                await asyncio.sleep(0)  # the first poll has just been sent
            began = loop.time()
            await stream.close()
            assert loop.time() == began
            await reading
        assert (await world.read(*ids)).status == (
            "cancelled" if on_exit == "cancel" else "in_progress"
        )
        with contextlib.suppress(BadRequest):
            await world.client.threads.runs.cancel(*ids)

    in_world(main)


async def _read_all(stream: RunStream) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("on_exit", ["cancel", "leave"])
@pytest.mark.parametrize(
    ("question", "cancel", "least"),
    [(ROUNDS, at_suspension, 5), (ROUNDS, at_turn, 15), ("/wait 9\n" + ROUNDS, at_suspension, 8)],
)
def test_attached_and_cancelled_anywhere_leaves_nothing_behind(
    question: str,
    cancel: Callable[[int, Coroutine[Any, Any, None]], Awaitable[bool]],
    least: int,
    on_exit: str,
) -> None:
    """At each moment in turn: no task and no connection is left, and others can go on."""

    async def main(world: World) -> None:
        await world.client.ask("warm up", assistant_id=world.assistant_id)
        until = "requires_action" if question is ROUNDS else None
        tasks = tasks_at_work()
        at, reached, endings = 1, True, set()
        while reached:
            ids = await world.begun(question, until=until)

            async def attached(ids: tuple[str, str] = ids) -> None:
                async with world.attach(ids, tools=[look], on_exit=on_exit) as stream:
                    assert (await stream.result()).text == "先看看完"

            reached = await cancel(at, attached())
            assert not held(world.client), f"cancelled at {at}: a connection is still held"
            status = (await world.read(*ids)).status
            endings.add(status)
            if on_exit == "leave" and status != "cancelled":
                async with world.attach(ids, tools=[look]) as stream:
                    assert (await stream.result()).text == "先看看完"
            else:
                assert status in ("cancelled", "completed", "requires_action")
                with contextlib.suppress(BadRequest):
                    await world.client.threads.runs.cancel(*ids)
            await settled(tasks)
            at += 1
        assert at > least
        assert "completed" in endings
        assert ("cancelled" in endings) == (on_exit == "cancel")

    in_world(main)


def test_the_whole_time_is_bounded() -> None:
    """`Timeouts.total` ends the waiting, with all that is known of the run, which goes on."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        began = asyncio.get_running_loop().time()
        async with world.attach(ids) as stream:
            with pytest.raises(TotalTimeout, match="10") as caught:
                await stream.result()
            assert asyncio.get_running_loop().time() == pytest.approx(began + 10)
        assert (caught.value.thread_id, caught.value.run_id) == ids
        assert (await world.read(*ids)).status == "in_progress"

    in_world(main, timeouts=Timeouts(total=10))


def test_silence_is_no_fault_of_a_run_that_is_polled() -> None:
    """Neither the idle clock nor that of the first event watches it."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        async with world.attach(ids) as stream:
            assert (await stream.result()).text == "一二"

    in_world(main, timeouts=Timeouts(idle=1, first_event=1))


@pytest.mark.parametrize("after_an_event", [True, False])
def test_cancelling_while_it_is_polled_ends_with_the_cancelled_event(after_an_event: bool) -> None:
    """`cancel` works as on a stream, also before the first event: the run was known before."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        async with world.attach(ids) as stream:
            if after_an_event:
                assert isinstance(await anext(stream), RunEvent)
            assert (await stream.cancel()).status == "cancelled"
            events = [event async for event in stream]
            with pytest.raises(RunCancelled):
                await stream.result()
        assert isinstance(events[-1], RunEvent)
        assert events[-1].status == "cancelled"

    in_world(main)


def test_cancelling_while_tools_are_at_work_ends_them() -> None:
    """The round is dropped, its outputs are not sent."""
    ended = []

    @tool
    async def sleep() -> str:
        """Sleep for long."""
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)
        return "awake"

    async def main(world: World) -> None:
        ids = await world.begun("/call sleep {}", until="requires_action")
        async with world.attach(ids, tools=[sleep]) as stream:
            async for event in stream:
                if isinstance(event, ToolStarted):
                    await stream.cancel()
            with pytest.raises(RunCancelled):
                await stream.result()
        assert ended == [True]
        assert (await world.read(*ids)).status == "cancelled"

    in_world(main)


def test_two_can_follow_a_run_beside_the_stream_that_began_it() -> None:
    """Each hears all of it, once, while the others go on."""

    async def main(world: World) -> None:
        async with world.client.stream(SLOW, assistant_id=world.assistant_id) as stream:
            await anext(stream)
            run = stream.snapshot.run
            assert run is not None
            ids = (run.thread_id or "", run.id)
            async with world.attach(ids) as one, world.attach(ids) as two:
                results = (followed.result() for followed in (stream, one, two))
                texts = [result.text for result in await asyncio.gather(*results)]
        assert texts == ["一二"] * 3

    in_world(main)


def test_of_two_that_answer_one_is_told_that_it_came_too_late() -> None:
    """Both call the tools, for neither knows of the other; the service takes one answer."""

    async def main(world: World) -> None:
        ids = await world.begun('/call look {"what": "x"}', until="requires_action")

        async def answer() -> str:
            async with world.attach(ids, tools=[look]) as stream:
                return (await stream.result()).text

        said = await asyncio.gather(answer(), answer(), return_exceptions=True)
        errors = [error for error in said if isinstance(error, BadRequest)]
        assert "look -> x!" in said
        assert len(errors) == 1
        assert "does not wait" in str(errors[0])
        assert (errors[0].thread_id, errors[0].run_id) == ids
        assert (await world.read(*ids)).status == "completed"

    in_world(main)


def test_the_text_alone_can_be_followed() -> None:
    """`text_stream` gives all the run's text, that before the attachment included."""

    async def main(world: World) -> None:
        ids = await world.begun(ROUNDS)
        async with world.attach(ids, tools=[look]) as stream:
            assert "".join([text async for text in stream.text_stream]) == "先看看完"
            assert stream.snapshot.run is not None
            assert stream.snapshot.run.id == ids[1]

    in_world(main)


def test_closing_the_client_closes_what_is_attached() -> None:
    """A stream that nobody closed ends with its client; its run is left."""

    async def main(world: World) -> None:
        ids = await world.begun(SLOW)
        async with world.server.client(DashScope) as other:
            stream = other.threads.runs.attach(*ids)
            await stream.__aenter__()
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert (await world.read(*ids)).status == "in_progress"

    in_world(main)


def test_an_attachment_wants_its_block() -> None:
    """Iterated without `async with` it says so, and asks nothing."""

    async def main(world: World) -> None:
        with pytest.raises(LocalProtocolError, match="async with"):
            await anext(world.attach(("t", "r")))

    in_world(main)
