"""A run's events, as the local server streams them: frame by frame, and read back as the same."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
    UnknownEvent,
)
from aiodashassist.core.machine import CallTools, Finished, RunMachine
from aiodashassist.core.models import (
    TERMINAL,
    Content,
    LastError,
    Message,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Thread,
)
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.sse import SSEParser
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.frames import StreamReader
from aiodashassist.providers.appbuilder.writer import PING, StreamWriter, WrittenChunks
from aiodashassist.server.engines import CallFunctions, End, Move, Say, UsePlugin
from tests.providers.appbuilder.values import NEW_RUN, answered, played, rounds_of, statuses

CALL = ToolCall(id="c", function=FunctionCall(name="f", arguments="{}"))
WAITS = Run(
    id="r",
    status="requires_action",
    required_action=RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=(CALL,))),
)
STEP = RunStep(id="s", run_id="r", thread_id="t", assistant_id="a", created_at=5)
MESSAGE = Message(id="m", role="assistant")


def written(*events: Event, chunks: WrittenChunks = "delta") -> list[tuple[str, Any]]:
    """The frames of a stream of these events."""
    writer = StreamWriter(chunks, "req-1")
    stream = b"".join(map(writer.write, events))
    return [(frame.event, json.loads(frame.data)) for frame in SSEParser().feed(stream)]


def kinds(frames: Sequence[tuple[str, Any]]) -> list[str]:
    """The types of `status` events, the names of others."""
    return [body.get("event_type") or name for name, body in frames]


def texts(frames: Sequence[tuple[str, Any]]) -> list[str]:
    """The texts of `message` events."""
    return [body["content"][0]["text"]["value"] for name, body in frames if name == "message"]


# --- frames ---


def test_an_event_is_two_lines_and_a_blank_one() -> None:
    """A space after each colon, UTF-8 as it is, and no line break inside (§5.2)."""
    writer = StreamWriter("delta", "req-1")

    assert (
        writer.write(MessageDelta(message_id="m", text="天\n"))
        == (
            'event: message\ndata: {"status":"completed","is_end":0,"message_id":"m",'
            '"message_index":"","content":[{"type":"text","text":{"value":"天\\n","annotations":[]}}],'
            '"send_id":1}\n\n'
        ).encode()
    )


def test_a_ping_has_no_data() -> None:
    """Its payload is unknown, and the official parser bears it (§5.2)."""
    assert PING == b"event: ping\n\n"
    assert SSEParser().feed(PING) == []


def test_events_are_counted_from_one() -> None:
    """One counter for all of them (§5.3)."""
    frames = written(
        RunEvent(status="queued", run=NEW_RUN),
        StepEvent(status="in_progress", step=STEP, name="created"),
        MessageDelta(message_id="m", text="a"),
        MessageDelta(message_id="m", text="b"),
        RunEvent(status="completed", run=NEW_RUN),
    )

    assert [body["send_id"] for _, body in frames] == [1, 2, 3, 4, 5]


def test_a_run_begins_once_as_queued() -> None:
    """However it is: the official handler needs its object, the tests its status (§5.3)."""
    begun = [RunEvent(status=status, run=NEW_RUN) for status in ("queued", "in_progress")]
    ((name, body),) = written(*begun, *begun)

    assert (name, body["event_type"], body["status"]) == ("status", "run_begin", "queued")
    assert body["message"] == "begin to run. logId:req-1"
    details = body["details"]
    assert details["type"] == "run_object"
    assert (details["run_object"]["id"], details["run_object"]["status"]) == ("run_1", "queued")
    assert details["run_object"]["instructions"] == "clear"


def test_a_stream_that_goes_on_with_a_run_begins_it_again() -> None:
    """The continued stream is another one (§5.5)."""
    (frame,) = written(RunEvent(status="in_progress", run=NEW_RUN))

    assert kinds([frame]) == ["run_begin"]
    assert frame[1]["details"]["run_object"]["status"] == "queued"


def test_a_run_that_waits_tells_its_calls() -> None:
    """Right under the details, without outputs (§5.3)."""
    (frame,) = written(RunEvent(status="requires_action", run=WAITS))

    assert kinds([frame]) == ["tool_calls"]
    assert frame[1]["status"] == "requires_action"
    assert frame[1]["details"] == {
        "type": "tool_calls",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }


def test_a_run_about_to_be_cancelled_says_so() -> None:
    """With its object (§5.3, reconstructed)."""
    (frame,) = written(RunEvent(status="cancelling", run=Run(id="r", status="cancelling")))

    assert (kinds([frame]), frame[1]["status"]) == (["run_cancelling"], "cancelling")
    assert frame[1]["details"]["run_object"]["id"] == "r"


ENDS = [("completed", "completed"), ("cancelled", "cancelled"), ("expired", "expired"),
        ("failed", "failed"), ("incomplete", "failed")]  # fmt: skip


@pytest.mark.parametrize(("status", "told"), ENDS)
def test_a_run_ends(status: str, told: str) -> None:
    """With its status and object; instructions are masked, and none is incomplete (§4, §5.3)."""
    (frame,) = written(RunEvent(status=status, run=Run(id="r", status=status, instructions="i")))

    name, body = frame
    assert (name, body["event_type"], body["status"]) == ("status", "run_end", told)
    assert body["message"] == "run end. logId:req-1"
    run = body["details"]["run_object"]
    assert (run["status"], run["instructions"]) == (told, "***")
    assert body["details"]["type"] == "run_object"


def test_a_run_that_fails_tells_why_twice() -> None:
    """In its object, and as `error_info` (§5.3, §11.3)."""
    error = LastError(code="c", message="m")
    failed = RunEvent(status="failed", run=Run(id="r", status="failed", last_error=error))
    ((_, body),) = written(failed)
    ((_, fine),) = written(RunEvent(status="completed", run=Run(id="r", status="completed")))

    why = {"type": "c", "message": "m"}
    assert (body["details"]["error_info"], body["details"]["run_object"]["last_error"]) == (
        why,
        why,
    )
    assert "error_info" not in fine["details"]


def test_a_step_begins_and_ends() -> None:
    """It is told once that it is in progress (§5.3)."""
    frames = written(
        StepEvent(status="in_progress", step=STEP, name="created"),
        StepEvent(status="in_progress", step=STEP),
        StepEvent(status="cancelled", step=STEP),
    )

    assert kinds(frames) == ["tool_step_begin", "tool_step_end"]
    assert [body["status"] for _, body in frames] == ["in_progress", "cancelled"]
    assert [body["message"] for _, body in frames] == ["begin to run step", "step end"]
    for _, body in frames:
        assert body["details"]["type"] == "run_step_object"
        assert body["details"]["run_step_object"]["id"] == "s"


def test_outputs_come_before_the_end_of_their_step() -> None:
    """With their calls; a vendor's plugin has none (§11.2, reconstructed)."""
    made = answered([CALL])
    step = RunStep(id="s", step_details=StepDetails(type="tool_calls", tool_calls=made))
    frames = written(StepEvent(status="completed", step=step))

    assert kinds(frames) == ["tool_submitted_output", "tool_step_end"]
    _, taken = frames[0]
    assert taken["status"] == "in_progress"
    assert taken["details"]["tool_calls"][0]["function"]["output"] == "out f"
    plugin = RunStep(
        id="s", step_details=StepDetails(type="tool_calls", tool_calls=(ToolCall(type="search"),))
    )
    assert kinds(written(StepEvent(status="completed", step=plugin))) == ["tool_step_end"]


def test_a_message_is_told_when_it_begins() -> None:
    """Its id; nothing says that it is in progress, or complete (§5.3)."""
    frames = written(
        MessageEvent(status="in_progress", message=MESSAGE, name="created"),
        MessageEvent(status="in_progress", message=MESSAGE),
        MessageEvent(status="completed", message=MESSAGE),
    )

    ((_, body),) = frames
    assert (body["event_type"], body["status"]) == ("message_creation", "in_progress")
    assert body["details"] == {"type": "message_creation", "message_creation": {"message_id": "m"}}


def message(message_id: str, *pieces: str) -> list[Event]:
    """The events of a message that is said in these pieces."""
    whole = Message(id=message_id, content=(Content(text=Text(value="".join(pieces))),))
    return [
        MessageEvent(status="in_progress", message=Message(id=message_id), name="created"),
        *(MessageDelta(message_id=message_id, text=piece) for piece in (*pieces, "")),
        MessageEvent(status="completed", message=whole),
    ]


SAID = [*message("m", "你", "好"), *message("n", "a", "b")]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ("delta", ["你", "好", "a", "b"]),
        ("cumulative", ["你", "你好", "a", "ab"]),
        ("whole", ["你好", "ab"]),
    ],
)
def test_a_message_is_cut_as_it_is_asked_for(chunks: WrittenChunks, expected: list[str]) -> None:
    """What is new, all so far, or all at once (§5.3)."""
    assert texts(written(*SAID, chunks=chunks)) == expected


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_whole_message_is_told_at_its_end(status: str) -> None:
    """Also of one that is not complete; an empty one is told nowhere."""
    whole = Message(id="m", content=(Content(text=Text(value="hi")),))

    assert texts(written(MessageEvent(status=status, message=whole), chunks="whole")) == ["hi"]
    assert written(MessageEvent(status=status, message=MESSAGE), chunks="whole") == []


def test_what_this_wire_does_not_say_is_not_written() -> None:
    """Threads, and how a plugin's call grows."""
    assert written(ThreadEvent(thread=Thread(id="t")), StepDelta(step_id="s")) == []


@pytest.mark.parametrize(
    ("event", "name", "body"),
    [
        (
            ErrorEvent(code="c", message="m"), "error",
            {"error": {"code": "c", "message": "m", "type": "c"}},
        ),
        (UnknownEvent(name="new", data={"a": 1}), "new", {"a": 1}),
        (UnknownEvent(name="new", data=[1]), "new", {"data": [1]}),
    ],
)  # fmt: skip
def test_errors_and_other_events_are_told(event: Event, name: str, body: Any) -> None:
    """Under their own names."""
    assert written(event) == [(name, {**body, "send_id": 1})]


# --- there and back ---

PIECES = st.text('ab你好 \n"', min_size=1, max_size=12)
SAYS = st.lists(PIECES.map(Say), max_size=4)
PLUGINS = st.builds(UsePlugin, type=st.just("search"), arguments=st.just("{}"), output=st.just("o"))
FUNCTIONS = st.builds(FunctionCall, name=st.sampled_from(["f", "g"]), arguments=st.just('{"x":1}'))
ROUNDS = st.lists(FUNCTIONS, min_size=1, max_size=3).map(lambda calls: CallFunctions(tuple(calls)))
BAD_ENDS = st.builds(
    End,
    status=st.sampled_from(["failed", "expired", "incomplete"]),
    code=st.just("c"),
    message=st.just("m"),
)


@st.composite
def scripts(draw: st.DrawFn) -> list[list[Move]]:
    """Turns of a run: texts, plugins, rounds of calls, and an end."""
    turns: list[list[Move]] = [
        [*draw(SAYS), *draw(st.lists(PLUGINS, max_size=1)), draw(ROUNDS)]
        for _ in range(draw(st.integers(0, 2)))
    ]
    last: list[Move] = [*draw(SAYS), *draw(st.lists(PLUGINS, max_size=1)), *draw(SAYS)]
    return [*turns, [*last, *draw(st.lists(BAD_ENDS, max_size=1))]]


WAYS = pytest.mark.parametrize(
    ("chunks", "mode"),
    [
        ("delta", "delta"),
        ("cumulative", "cumulative"),
        ("whole", "delta"),
        ("whole", "auto"),
        ("whole", "cumulative"),
    ],
)


def read_back(events: Sequence[Event], chunks: WrittenChunks, mode: ChunkMode) -> list[Event]:
    """Events over the wire."""
    writer, reader = StreamWriter(chunks, "req-1"), StreamReader(mode)
    stream = b"".join(map(writer.write, events))
    return [event for frame in SSEParser().feed(stream) for event in reader.read(frame)]


def messages_of(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Id, status and text of each message that ended.

    The step of a run that is incomplete is completed, so its message is, too: this wire does not
    know better.
    """
    last = events[-1]
    vague = isinstance(last, RunEvent) and last.status == "incomplete"
    return [
        (event.message.id, "completed" if vague else event.status, event.message.text)
        for event in events
        if isinstance(event, MessageEvent) and event.status != "in_progress"
    ]


def check_read(events: list[Event], got: list[Event], rounds: Any) -> None:
    """That the events that were read tell the same as those that were written."""
    machine, snapshot, asked = RunMachine(), Snapshot(), []
    for event in got:
        machine.receive(event)
        snapshot.receive(event)
        action = machine.next_action()
        if isinstance(action, CallTools):
            asked.append([(call.name, call.arguments) for call in action.calls])
            machine.answered()
    assert asked == rounds
    assert isinstance(machine.next_action(), Finished)

    whole = Snapshot()
    for event in events:
        whole.receive(event)
    assert snapshot.text == whole.text
    assert messages_of(got) == messages_of(events)
    ended = [event for event in events if isinstance(event, StepEvent) and event.status in TERMINAL]
    read = [event for event in got if isinstance(event, StepEvent) and event.status in TERMINAL]
    assert [(e.step.id, e.status) for e in read] == [(e.step.id, e.status) for e in ended]
    functions = [call for call in whole.tool_calls if call.function is not None]
    assert [(call.id, call.output) for call in snapshot.tool_calls] == [
        (call.id, call.output) for call in functions
    ]


@WAYS
@given(script=scripts())
@settings(max_examples=20, deadline=None)
def test_a_run_reads_back_as_it_was(
    chunks: WrittenChunks, mode: ChunkMode, script: list[list[Move]]
) -> None:
    """Texts, calls, outputs, steps and the end of any run, however it is cut (§5)."""
    events = played(script)
    got = read_back(events, chunks, mode)

    check_read(events, got, rounds_of(script))
    last, ended = events[-1], got[-1]
    assert isinstance(last, RunEvent)
    assert isinstance(ended, RunEvent)
    assert ended.status == ("failed" if last.status == "incomplete" else last.status)
    waits = ["requires_action", "in_progress"] * len(rounds_of(script))
    assert statuses(got) == ["queued", *waits, ended.status]
    assert ended.run.instructions == "clear"
    assert ended.run.log_id == "req-1"
    error = ended.run.last_error
    assert (error is None) == (ended.status in ("completed", "expired"))


@WAYS
def test_a_cancelled_run_reads_back(chunks: WrittenChunks, mode: ChunkMode) -> None:
    """By way of `cancelling`; what was being asked for stays unanswered (§5.7)."""
    script: list[list[Move]] = [
        [Say("a"), CallFunctions((FunctionCall(name="f", arguments="{}"),))]
    ]
    events = played(script, cancel=True)
    got = read_back(events, chunks, mode)

    assert statuses(got) == ["queued", "requires_action", "cancelling", "cancelled"]
    check_read(events, got, rounds_of(script))


def test_a_stream_from_the_middle_reads_back() -> None:
    """One that goes on after the outputs begins the run again (§5.5)."""
    script: list[list[Move]] = [[CallFunctions((FunctionCall(name="f"),))], [Say("hi")]]
    events = played(script)
    start = next(i for i, e in enumerate(events) if getattr(e, "status", "") == "requires_action")
    (answered_step,) = events[start + 1 : start + 2]
    assert isinstance(answered_step, StepEvent)

    begin = RunEvent(status="queued", run=NEW_RUN)
    got = read_back([begin, *events[start + 1 :]], "delta", "delta")
    assert statuses(got) == ["queued", "in_progress", "completed"]
    assert messages_of(got) == messages_of(events)
