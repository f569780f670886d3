"""A run's steps and messages as they are written: in which order, and what is kept of them."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from aiodashassist.core.events import (
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
)
from aiodashassist.core.models import (
    LastError,
    Message,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
)
from aiodashassist.core.tooling import PluginCall, ToolCall
from aiodashassist.errors import LocalProtocolError
from aiodashassist.server.engines import UsePlugin
from aiodashassist.server.store import Store
from aiodashassist.server.writing import EventLog, Writer

RUN = Run(id="run_1", thread_id="thread_1", assistant_id="asst_1")
SEARCH = UsePlugin(type="quark_search", arguments='{"query":"杭州天气"}', output='{"n":"晴"}')
WHOLE = ToolCall(
    type="quark_search",
    plugin=PluginCall(arguments='{"query":"杭州天气"}', output='{"n":"晴"}'),
)
BEGUN = ["step created", "step in_progress"]


class Desk:
    """A writer with its store and log."""

    def __init__(self) -> None:
        self.store = Store()
        self.log = EventLog()
        self.writer = Writer(self.store, "ws", RUN, self.log)

    async def events(self) -> list[Event]:
        """All events so far."""
        async with aclosing(self.log.follow(0)) as following:
            return [await anext(following) for _ in range(len(self.log))]

    async def outline(self) -> list[str]:
        """What the events say, in short."""
        return [told(event) for event in await self.events()]

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """The steps that are kept."""
        return self.store.all("ws", RunStep, RUN.id)


def told(event: Event) -> str:
    """An event in short."""
    match event:
        case StepEvent(name=name, status=status):
            return f"step {name or status}"
        case MessageEvent(name=name, status=status):
            return f"message {name or status}"
        case MessageDelta(text=text):
            return f"text {text}"
        case StepDelta():
            return "growing"
    raise AssertionError(event)


async def test_a_plugin_shows_its_call_growing() -> None:
    """Arguments in short pieces, then the whole output, then an empty one (§5.4)."""
    desk = Desk()
    await desk.writer.use(SEARCH)
    events = await desk.events()

    deltas = [event for event in events if isinstance(event, StepDelta)]
    assert [told(event) for event in events] == [
        *BEGUN,
        *["growing"] * len(deltas),
        "step completed",
    ]
    calls = [call for delta in deltas for call in delta.tool_calls]
    plugins = [call.plugin for call in calls if call.plugin is not None]
    assert {(call.id, call.type) for call in calls} == {("", "quark_search")}
    *arguments, output, late = plugins
    assert len(arguments) > 2
    assert "".join(piece.arguments or "" for piece in arguments) == SEARCH.arguments
    assert [piece.output for piece in arguments] == [None] * len(arguments)
    assert (output, late) == (PluginCall(output=SEARCH.output), PluginCall(output=""))


@pytest.mark.parametrize("kind", ["code_interpreter", "text_to_image", "calculator"])
async def test_these_plugins_grow_too(kind: str) -> None:
    """The documents name four plugins that stream (§5.4)."""
    desk = Desk()
    await desk.writer.use(UsePlugin(type=kind, arguments="", output="x"))

    assert await desk.outline() == [*BEGUN, "growing", "growing", "step completed"]


@pytest.mark.parametrize("kind", ["github_search", "generate_qrcode", "rag", "my_plugin"])
async def test_other_plugins_come_whole(kind: str) -> None:
    """Any other has its step, and no deltas."""
    desk = Desk()
    await desk.writer.use(UsePlugin(type=kind, arguments="1", output="2"))

    assert await desk.outline() == [*BEGUN, "step completed"]
    (step,) = desk.steps
    call = ToolCall(type=kind, plugin=PluginCall(arguments="1", output="2"))
    assert step.step_details == StepDetails(type="tool_calls", tool_calls=(call,))


async def test_the_step_of_a_plugin_is_kept() -> None:
    """It begins without calls, and is completed with the whole call and its time."""
    desk = Desk()
    await desk.writer.use(SEARCH)
    first, last = (await desk.events())[0], (await desk.events())[-1]
    (step,) = desk.steps

    assert isinstance(first, StepEvent)
    assert isinstance(last, StepEvent)
    assert first.step.step_details == StepDetails(type="tool_calls")
    assert step == last.step
    assert (step.id, step.type, step.status) == (first.step.id, "tool_calls", "completed")
    assert step.step_details == StepDetails(type="tool_calls", tool_calls=(WHOLE,))
    assert step.completed_at is not None
    assert (step.run_id, step.thread_id, step.assistant_id) == ("run_1", "thread_1", "asst_1")


async def test_a_plugin_ends_the_open_message_and_text_begins_another() -> None:
    """Each message has a step of its own, and a plugin stands between them."""
    desk = Desk()
    desk.writer.say("one")
    await desk.writer.use(UsePlugin(type="my_plugin", arguments="", output=""))
    desk.writer.say("two")
    desk.writer.close("completed")

    message = [*BEGUN, "message created", "message in_progress"]
    done = ["text ", "message completed", "step completed"]
    assert await desk.outline() == [
        *message, "text one", *done, *BEGUN, "step completed", *message, "text two", *done,
    ]  # fmt: skip
    kinds = ["message_creation", "tool_calls", "message_creation"]
    assert [step.type for step in desk.steps] == kinds
    assert [m.text for m in desk.store.all("ws", Message, "thread_1")] == ["one", "two"]
    assert desk.writer.words == 2


@pytest.mark.parametrize(
    ("status", "message", "step", "stamp"),
    [
        ("completed", "completed", "completed", "completed_at"),
        ("failed", "incomplete", "failed", "failed_at"),
        ("cancelled", "incomplete", "cancelled", "cancelled_at"),
        ("expired", "incomplete", "expired", "expired_at"),
        ("incomplete", "incomplete", "completed", "completed_at"),
    ],
)
async def test_what_is_open_ends_as_the_run_does(
    status: str, message: str, step: str, stamp: str
) -> None:
    """First the message, then its step, with the time of that ending and the error."""
    desk, error = Desk(), LastError(code="c")
    desk.writer.say("x")
    desk.writer.close(status, error)

    assert (await desk.outline())[-2:] == [f"message {message}", f"step {step}"]
    (kept,) = desk.steps
    assert (kept.status, kept.last_error) == (step, error)
    stamps = ("completed_at", "failed_at", "cancelled_at", "expired_at")
    assert [name for name in stamps if getattr(kept, name) is not None] == [stamp]


async def test_nothing_open_is_nothing_to_close() -> None:
    """Closing twice writes once."""
    desk = Desk()
    desk.writer.close("completed")
    assert len(desk.log) == 0

    desk.writer.open_calls()
    desk.writer.close("expired")
    desk.writer.close("expired")
    assert await desk.outline() == [*BEGUN, "step expired"]


@pytest.mark.parametrize("status", ["cancelled", "failed", "expired"])
async def test_a_plugin_under_way_ends_with_its_run(status: str) -> None:
    """A run that ends while a plugin's call grows ends its step, without a call."""
    desk = Desk()
    using = asyncio.get_running_loop().create_task(desk.writer.use(SEARCH))
    while len(desk.log) < 4:
        await asyncio.sleep(0)
    using.cancel()
    desk.writer.close(status)
    await asyncio.wait([using])

    assert using.cancelled()
    assert await desk.outline() == [*BEGUN, "growing", "growing", f"step {status}"]
    (step,) = desk.steps
    assert (step.status, step.step_details) == (status, StepDetails(type="tool_calls"))
    assert step.completed_at is None


async def test_readers_come_to_their_turn_while_a_call_grows() -> None:
    """A reader that waits has each delta before the next one is written."""
    desk = Desk()

    async def read() -> int:
        """Whether it has all that is written at each delta; how many deltas there were."""
        deltas = 0
        async with aclosing(desk.log.follow(0)) as following:
            for index in range(1, 1000):
                event = await anext(following)
                if isinstance(event, StepDelta):
                    assert index == len(desk.log)
                    deltas += 1
                elif told(event) == "step completed":
                    break
        return deltas

    reading = asyncio.get_running_loop().create_task(read())
    await desk.writer.use(SEARCH)
    async with asyncio.timeout(10):
        assert await reading > 3


def test_the_log_takes_only_what_the_protocol_allows() -> None:
    """A jump of status that the table does not have is refused, and no reader sees it."""
    log = EventLog()
    with pytest.raises(LocalProtocolError):
        log.append(RunEvent(status="completed", run=RUN))

    assert len(log) == 0


async def read_on(log: EventLog, start: int, *, through: bool) -> list[str]:
    """The statuses of a run that a reader is told; it has to come to an end by itself."""
    async with asyncio.timeout(10):
        events = [event async for event in log.follow(start, through=through)]
    return [event.status for event in events if isinstance(event, RunEvent)]


async def test_a_reader_follows_to_the_rest_or_through_to_the_end() -> None:
    """A run that waits for outputs is at rest, and not at its end."""
    log = EventLog()
    calls = SubmitToolOutputs(tool_calls=(ToolCall(id="c"),))
    asks = replace(RUN, required_action=RequiredAction(submit_tool_outputs=calls))
    log.append(RunEvent(status="queued", run=RUN, name="created"))
    for status in ("queued", "in_progress", "requires_action"):
        log.append(RunEvent(status=status, run=asks))
    through = asyncio.create_task(read_on(log, 0, through=True))
    first = ["queued", "queued", "in_progress", "requires_action"]

    assert await read_on(log, 0, through=False) == first
    assert await read_on(log, 3, through=False) == ["requires_action"]
    assert not through.done()

    for status in ("queued", "in_progress", "completed"):
        log.append(RunEvent(status=status, run=RUN))
    rest = ["queued", "in_progress", "completed"]
    assert await through == [*first, *rest]
    assert await read_on(log, 4, through=False) == await read_on(log, 4, through=True) == rest
    assert await read_on(log, 0, through=False) == first


async def test_the_answer_is_the_last_message_that_was_completed() -> None:
    """One that is open, or was left, is no answer; a later one takes the place of an earlier."""
    writer = Desk().writer
    assert writer.answer is None
    writer.say("one")
    assert writer.answer is None
    await writer.use(UsePlugin(type="my_plugin", arguments="", output=""))
    assert writer.answer is not None
    assert (writer.answer.text, writer.answer.type) == ("one", "message")
    first = writer.answer.message.message_id

    writer.say("two ")
    writer.say("words")
    writer.close("completed")
    assert writer.answer.text == "two words"
    assert writer.answer.message.message_id not in ("", first)


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired", "incomplete"])
async def test_a_message_that_was_left_is_no_answer(status: str) -> None:
    """What is written when the run ends badly is incomplete, and what was before does not count."""
    writer = Desk().writer
    writer.say("one")
    await writer.use(UsePlugin(type="my_plugin", arguments="", output=""))
    writer.say("two")
    writer.close(status)

    assert writer.answer is None
