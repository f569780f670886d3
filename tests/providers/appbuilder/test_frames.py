"""The stream as it comes: transcripts of outside origin, every type of event, every quirk."""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    UnknownEvent,
)
from aiodashassist.core.machine import CallTools, Finished, RunMachine
from aiodashassist.core.models import Content, LastError, Message, Run, StepDetails, Text
from aiodashassist.core.result import RunResult
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.errors import DecodeError
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.frames import StreamReader
from tests.core.scaling import growth
from tests.providers.appbuilder.damage import (
    CALL,
    EVENTS,
    RUN,
    SAY,
    STEP,
    WHY,
    chunk,
    frame,
    status,
)
from tests.transcripts.appbuilder import APPBUILDER

FILES = sorted(APPBUILDER.glob("*.sse"))
every_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


class Heard(Struct):
    """What a stream came to, all the way through machine and snapshot."""

    events: list[Event]
    actions: list[CallTools | Finished]
    result: RunResult | None


def heard(*chunks: bytes, mode: ChunkMode = "auto") -> Heard:
    """A stream that comes in these chunks; every round of calls is answered as it comes."""
    parser, reader, machine, snapshot = SSEParser(), StreamReader(mode), RunMachine(), Snapshot()
    all_heard = Heard([], [], None)
    for piece in chunks:
        for framed in parser.feed(piece):
            for event in reader.read(framed):
                all_heard.events.append(event)
                machine.receive(event)
                snapshot.receive(event)
                action = machine.next_action()
                if action is not None:
                    all_heard.actions.append(action)
                if isinstance(action, CallTools):
                    machine.answered()
    all_heard.result = snapshot.result()
    return all_heard


def transcript(name: str) -> Heard:
    """What a transcript comes to."""
    return heard((APPBUILDER / f"{name}.sse").read_bytes())


def said(*bodies: tuple[str, Any], mode: ChunkMode = "auto") -> list[Event]:
    """The events of a stream of these frames."""
    reader = StreamReader(mode, "req-1")
    return [event for name, body in bodies for event in reader.read(frame(name, body))]


def one(*bodies: tuple[str, Any]) -> Event:
    """The one event that the last of these frames is."""
    reader = StreamReader("auto", "req-1")
    for name, body in bodies[:-1]:
        reader.read(frame(*(name, body)))
    (event,) = reader.read(frame(*bodies[-1]))
    return event


def outline(events: Iterable[Event]) -> list[str]:
    """Kind and status of events, and the text of deltas."""
    told = []
    for event in events:
        kind = type(event).__name__.removesuffix("Event")
        told.append(f"{kind} {getattr(event, 'status', None) or getattr(event, 'text', '')}")
    return told


def named(events: Sequence[Event]) -> list[tuple[str, str]]:
    """The same, each with the wire's own name."""
    return [(event.name, told) for event, told in zip(events, outline(events), strict=True)]


BEGIN = ("status", status("run_begin", "queued", run_object={"id": "r", "thread_id": "t"}))
STEP_1 = {"id": "s1", "run_id": "r"}
STEP_BEGIN = ("status", status("tool_step_begin", "in_progress", run_step_object=STEP_1))
STEP_END = ("status", status("tool_step_end", "completed", run_step_object=STEP_1))
ASKED = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = ("status", status("tool_calls", "requires_action", tool_calls=[ASKED]))
TAKEN = ("status", status("tool_submitted_output", "in_progress", tool_calls=[ASKED]))
CREATION = (
    "status",
    status("message_creation", "in_progress", message_creation={"message_id": "m"}),
)
END = ("status", status("run_end", "completed", run_object={"id": "r"}))


def text(value: str, message_id: str = "m") -> tuple[str, Any]:
    """A frame with text of a message."""
    return "message", chunk(value, message_id)


# --- transcripts ---


@every_file
def test_a_transcript_says_where_it_is_from(path: Path) -> None:
    """The first line of a transcript is a comment with its origin."""
    first = path.read_bytes().split(b"\n", 1)[0]

    assert first.startswith((b":origin OBS ", b":origin REC "))


@every_file
def test_bytes_one_by_one_say_the_same(path: Path) -> None:
    """A transcript fed byte by byte comes to what the whole does."""
    whole = path.read_bytes()

    assert heard(*(whole[index : index + 1] for index in range(len(whole)))) == heard(whole)


@every_file
@given(data=st.data())
@settings(max_examples=25)
def test_any_cuts_say_the_same(path: Path, data: st.DataObject) -> None:
    """A transcript cut anywhere, inside a character too, comes to what the whole does."""
    whole = path.read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]

    assert heard(*pieces) == heard(whole)


@every_file
def test_a_cut_inside_every_character_says_the_same(path: Path) -> None:
    """No cut inside a Chinese character changes what is read."""
    whole = path.read_bytes()
    inside = [index for index, byte in enumerate(whole) if byte & 0xC0 == 0x80]

    assert inside
    pieces = [whole[start:end] for start, end in pairwise([0, *inside, len(whole)])]
    assert heard(*pieces) == heard(whole)


@every_file
@pytest.mark.parametrize("ends", [b"\r\n", b"\r"])
def test_other_line_ends_say_the_same(path: Path, ends: bytes) -> None:
    """The official parser takes all three line ends (§5.2)."""
    whole = path.read_bytes()

    assert heard(whole.replace(b"\n", ends), ends) == heard(whole)


@every_file
def test_ids_and_comments_change_nothing(path: Path) -> None:
    """`id:` and `retry:` lines and comments are borne, and no space after a colon too (§5.2)."""
    whole = path.read_bytes()
    noisy = whole.replace(b"\nevent: ", b"\n: keep\nid: 7\nretry: 5\nevent:")

    assert noisy != whole
    assert heard(noisy) == heard(whole)


@every_file
def test_the_events_names_may_be_left_out(path: Path) -> None:
    """Without an `event:` line each event is known by what it holds (§5.2)."""
    whole = path.read_bytes()
    nameless = whole.replace(b"event: status\n", b"").replace(b"event: message\n", b"")

    assert nameless != whole
    assert heard(nameless) == heard(whole)


@every_file
def test_a_closing_mark_of_another_wire_says_nothing(path: Path) -> None:
    """There is no `[DONE]`; one that comes all the same is no event, and no fault (§5.2)."""
    whole = path.read_bytes()

    assert heard(whole, b"data: [DONE]\n\n") == heard(whole)


LOG = "da681a8c-3f52-4c0e-9d17-7b6e5a4f2c10"


def test_a_plain_answer_reads_as_observed() -> None:
    """Order, statuses, text and the completed run of a plain answer (§5.4, §11.1)."""
    told = transcript("plain_answer")

    answer = "你好！我是人工智能助手，有什么可以帮您？"
    assert named(told.events) == [
        ("run_begin", "Run queued"),
        ("tool_step_begin", "Step in_progress"),
        ("message_creation", "Message in_progress"),
        ("message", f"MessageDelta {answer}"),
        ("", "Message completed"),
        ("tool_step_end", "Step completed"),
        ("run_end", "Run completed"),
    ]  # fmt: skip
    result = told.result
    assert result is not None
    assert (result.text, result.message is not None and result.message.text) == (answer, answer)
    run = result.run
    assert (run.status, run.is_terminal, run.completed_at) == ("completed", True, 1713122942400)
    assert run.thread_id == "thread_06e3c1a29b7d4f58a0c6e4d2b8f9137a"
    assert run.model == "qf-assistant-api3-latest"
    assert (run.expired_at, run.failed_at, run.last_error, run.extra) == (None, None, None, {})
    assert told.actions == [Finished(status="completed", run=run)]
    (step,) = result.steps
    assert (step.id, step.status, step.completed_at) == ("step-1", "completed", 1713122942400)


def test_the_instructions_outlive_their_mask() -> None:
    """The clear text of the begin is kept where the end masks it (§3.9, §7 #16)."""
    result = transcript("plain_answer").result

    assert result is not None
    assert result.run.instructions == "你是一个乐于助人的助手"


def test_the_log_id_is_taken_from_the_words() -> None:
    """The service's own id of a run stands in the text of its begin and end (§5.3)."""
    events = transcript("plain_answer").events

    assert [event.run.log_id for event in events if isinstance(event, RunEvent)] == [LOG, LOG]


def test_a_message_belongs_to_its_run() -> None:
    """The wire tells only a message's id; the rest is known (§5.3)."""
    events = transcript("plain_answer").events

    (message,) = [
        event.message
        for event in events
        if isinstance(event, MessageEvent) and event.status == "completed"
    ]
    assert message.role == "assistant"
    assert message.run_id == "run_d3224b6f8e0a4c1db5937a6e2f1c8d09"
    assert message.thread_id == "thread_06e3c1a29b7d4f58a0c6e4d2b8f9137a"
    assert message.assistant_id == "asst_82907e1f5c4b4d0e9a6b3c2d1e0f4a5b"


def test_a_function_call_goes_on_in_the_same_stream() -> None:
    """One round, whole, then its outputs, the step's end, and the answer (§5.5, §11.2)."""
    told = transcript("function_call")

    assert outline(told.events) == [
        "Run queued",
        "Step in_progress",
        "Step in_progress",
        "Run requires_action",
        "Run in_progress",
        "Step completed",
        "Step in_progress",
        "Message in_progress",
        "MessageDelta 今天北京的气温是30摄氏度。",
        "Message completed",
        "Step completed",
        "Run completed",
    ]
    rounds = [action for action in told.actions if isinstance(action, CallTools)]
    ((call,),) = [action.calls for action in rounds]
    assert call.name == "get_cur_whether"
    assert json.loads(call.arguments) == {"location": "北京", "unit": "摄氏度"}
    assert call.id.startswith("call-thread_")
    assert call.call_id == call.id
    assert call.output is None
    result = told.result
    assert result is not None
    assert [step.type for step in result.steps] == ["tool_calls", None]
    (made,) = result.tool_calls
    assert made.output == "北京 的当前温度是30 摄氏度"
    assert result.run.required_action is None


def test_a_failing_run_tells_why() -> None:
    """`last_error` and `failed_at` of a run that fails (§11.3)."""
    told = transcript("run_failed")

    last = told.events[-1]
    assert isinstance(last, RunEvent)
    assert last.status == last.run.status == "failed"
    assert last.run.last_error == LastError(type="server_error", message="model call failed")
    assert (last.run.failed_at, last.run.completed_at) == (1713122940000, None)


def test_a_cancelled_run_leaves_its_message_incomplete() -> None:
    """What was being written ends before the run does, as far as it came (§5.7, §11.3)."""
    told = transcript("run_cancelled")

    assert outline(told.events)[3:] == [
        "MessageDelta 从前",
        "Run cancelling",
        "Message incomplete",
        "Run cancelled",
    ]
    incomplete, ended = told.events[-2:]
    assert isinstance(incomplete, MessageEvent)
    assert (incomplete.name, incomplete.message.text) == ("", "从前")
    assert isinstance(ended, RunEvent)
    assert ended.run.cancelled_at == 1713122935000


# --- events, type by type ---


def test_every_type_of_event_is_read() -> None:
    """The types of §5.3 and what each becomes, in one stream."""
    names = [name for name in EVENTS if name not in ("ping", "error", "of_tomorrow", "tomorrow")]
    events = said(*(EVENTS[name] for name in names))

    assert named(events) == [
        ("run_begin", "Run queued"),
        ("tool_step_begin", "Step in_progress"),
        ("", "Step in_progress"),
        ("tool_calls", "Run requires_action"),
        ("tool_submitted_output", "Run in_progress"),
        ("tool_step_end", "Step completed"),
        ("message_creation", "Message in_progress"),
        ("message", "MessageDelta hi"),
        ("run_cancelling", "Run cancelling"),
        ("", "Message incomplete"),
        ("run_end", "Run failed"),
    ]  # fmt: skip


def test_every_object_bears_the_streams_request_id() -> None:
    """The id is in a header of the stream alone (§1.4)."""
    events = said(BEGIN, STEP_BEGIN, CREATION, text("x"), STEP_END, END)

    objects = [
        getattr(event, kind, None) for event in events for kind in ("run", "step", "message")
    ]
    found = {getattr(obj, "request_id", None) for obj in objects if obj is not None}
    assert found == {"req-1"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("run_begin", "queued"), ("run_cancelling", "cancelling"), ("run_end", "completed")],
)
def test_a_status_that_is_not_told_is_that_of_the_type(kind: str, expected: str) -> None:
    """Neither the event nor its object names one: the type does."""
    event = one(("status", {"event_type": kind, "details": {"run_object": {"id": "r"}}}))

    assert isinstance(event, RunEvent)
    assert (event.status, event.run.status) == (expected, expected)


def test_an_end_with_an_error_has_failed() -> None:
    """Where neither the event nor its object says how the run ended."""
    details = {"run_object": {"id": "r"}, "error_info": WHY}
    event = one(("status", {"event_type": "run_end", "details": details}))

    assert isinstance(event, RunEvent)
    assert event.status == "failed"
    assert event.run.last_error == LastError(type="server_error", message="no")


def test_the_events_status_wins_over_the_objects() -> None:
    """Believe the event; without one, its object."""
    both = one(("status", status("run_end", "expired", run_object={"id": "r", "status": "x"})))
    alone = one(
        ("status", {"event_type": "run_end", "details": {"run_object": {"id": "r", "status": "x"}}})
    )

    assert isinstance(both, RunEvent)
    assert isinstance(alone, RunEvent)
    assert (both.status, both.run.status, alone.status) == ("expired", "expired", "x")


def test_a_run_event_without_its_object_is_that_of_the_known_run() -> None:
    """What `run_cancelling` holds nobody has seen (§5.3)."""
    event = one(BEGIN, ("status", {"event_type": "run_cancelling", "status": "cancelling"}))

    assert isinstance(event, RunEvent)
    assert (event.status, event.run.id, event.run.thread_id) == ("cancelling", "r", "t")


def test_what_a_later_object_leaves_out_is_kept() -> None:
    """Ids, times, model and tools of the begin complete the end."""
    begin = ("status", status("run_begin", "queued", run_object={**RUN, "required_action": None}))
    event = one(begin, ("status", status("run_end", "completed", run_object={"id": "r"})))

    assert isinstance(event, RunEvent)
    run = event.run
    assert (run.assistant_id, run.thread_id, run.created_at) == ("a", "t", 1713122932350)
    assert (run.started_at, run.model, run.instructions) == (1, "m", "i")
    assert len(run.tools) == 1
    assert run.log_id == "l"


def test_another_run_is_not_completed_from_this_one() -> None:
    """An event of another run tells only what it tells."""
    event = one(BEGIN, ("status", status("run_end", "completed", run_object={"id": "r2"})))

    assert isinstance(event, RunEvent)
    assert (event.run.id, event.run.thread_id) == ("r2", None)


def test_masked_instructions_alone_stay_masked() -> None:
    """Where the begin did not tell them there is nothing better."""
    end = ("status", status("run_end", "completed", run_object={"id": "r", "instructions": "***"}))
    event = one(BEGIN, end)

    assert isinstance(event, RunEvent)
    assert event.run.instructions == "***"


def test_error_info_is_the_runs_error() -> None:
    """It is there instead of `last_error`, or says the same (§5.3, §11.3)."""
    told: dict[str, Any] = {"id": "r", "last_error": {"type": "t", "message": "own"}}
    alone = one(
        BEGIN, ("status", status("run_end", "failed", run_object={"id": "r"}, error_info=WHY))
    )
    both = one(BEGIN, ("status", status("run_end", "failed", run_object=told, error_info=WHY)))

    assert isinstance(alone, RunEvent)
    assert isinstance(both, RunEvent)
    assert alone.run.last_error == LastError(type="server_error", message="no")
    assert both.run.last_error == LastError(type="t", message="own")


def test_the_reason_of_a_step_is_that_of_its_run() -> None:
    """Where the run's end tells none, and only if the run did not complete."""
    failed = ("status", status("tool_step_end", "failed", run_step_object=STEP_1, error_info=WHY))
    told = {**STEP_1, "last_error": WHY}
    shown = ("status", status("tool_step_end", "failed", run_step_object=told))
    why = LastError(type="server_error", message="no")

    for step_end in (failed, shown):
        step, *_ = said(BEGIN, STEP_BEGIN, step_end)[2:]
        assert isinstance(step, StepEvent)
        assert step.step.last_error == why
        for state, error in (("failed", why), ("expired", why), ("completed", None)):
            ended = {"id": "r", "status": state}
            end = ("status", status("run_end", state, run_object=ended))
            event = one(BEGIN, STEP_BEGIN, step_end, end)
            assert isinstance(event, RunEvent)
            assert event.run.last_error == error


def test_a_run_that_is_told_to_wait_keeps_its_calls() -> None:
    """An object that waits for tools names them itself (§3.9)."""
    waits = {"id": "r", "required_action": {"submit_tool_outputs": {"tool_calls": [ASKED]}}}
    event = one(BEGIN, ("status", status("run_paused", "requires_action", run_object=waits)))

    assert isinstance(event, RunEvent)
    assert [call.id for call in event.run.tool_calls] == ["c"]


def test_a_step_takes_its_status_from_the_nearest() -> None:
    """The event's, else the object's, else that of the type."""
    told = {"event_type": "tool_step_end", "details": {"run_step_object": STEP_1}}
    failed = {**STEP_1, "status": "failed"}

    ends = one(("status", told))
    fails = one(("status", {**told, "details": {"run_step_object": failed}}))
    begins = one(("status", {**told, "event_type": "tool_step_begin"}))
    assert [e.status for e in (ends, fails, begins) if isinstance(e, StepEvent)] == [
        "completed", "failed", "in_progress",
    ]  # fmt: skip


def test_a_step_names_the_run_whose_begin_was_missed() -> None:
    """Then calls and messages are of that run."""
    calls, message = said(STEP_BEGIN, CALLS)[2], said(STEP_BEGIN, CREATION)[1]

    assert isinstance(calls, RunEvent)
    assert calls.run.id == "r"
    assert isinstance(message, MessageEvent)
    assert message.message.run_id == "r"


def test_details_of_a_step_that_come_are_believed() -> None:
    """A step that shows what it did is not completed from the calls seen before."""
    shown = {**STEP, "id": "s1"}
    end = ("status", status("tool_step_end", "completed", run_step_object=shown))
    event = one(BEGIN, STEP_BEGIN, CALLS, end)

    assert isinstance(event, StepEvent)
    assert event.step.step_details is not None
    assert [call.output for call in event.step.step_details.tool_calls] == ["o"]
    assert event.step.type == "tool_calls"


def test_a_step_of_calls_is_known_once_they_come() -> None:
    """Its begin says nothing of it; its calls and its end do (§5.3)."""
    begin, _, known, waits, end = said(STEP_BEGIN, BEGIN, CALLS, STEP_END)

    call = ToolCall(id="c", function=FunctionCall(name="f", arguments="{}"))
    details = StepDetails(type="tool_calls", tool_calls=(call,))
    assert isinstance(begin, StepEvent)
    assert isinstance(known, StepEvent)
    assert isinstance(waits, RunEvent)
    assert isinstance(end, StepEvent)
    assert (begin.step.type, known.step.type, end.step.type) == (None, "tool_calls", "tool_calls")
    assert (known.name, known.step.step_details, end.step.step_details) == ("", details, details)
    assert waits.run.tool_calls == (call,)


def test_calls_outside_of_a_step_are_calls() -> None:
    """A run waits also where no step was told to have begun."""
    events = said(BEGIN, CALLS)

    assert outline(events) == ["Run queued", "Run requires_action"]


# --- rounds ---


def rounds(*bodies: tuple[str, Any]) -> list[list[str]]:
    """The ids of the calls of each round that the machine finds, each answered as it comes."""
    machine, found = RunMachine(), []
    for event in said(*bodies):
        machine.receive(event)
        action = machine.next_action()
        if isinstance(action, CallTools):
            found.append([call.id for call in action.calls])
            machine.answered()
    return found


SECOND_STEP = ("status", status("tool_step_begin", "in_progress", run_step_object={"id": "s2"}))
OTHERS = ("status", status("tool_calls", "requires_action", tool_calls=[{**ASKED, "id": "c2"}]))
NAMELESS = ("status", status("tool_calls", "requires_action", tool_calls=[{**ASKED, "id": ""}]))


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([BEGIN, STEP_BEGIN, CALLS], [["c"]]),
        ([BEGIN, STEP_BEGIN, CALLS, CALLS], [["c"]]),
        ([BEGIN, STEP_BEGIN, CALLS, TAKEN, CALLS], [["c"]]),
        ([BEGIN, STEP_BEGIN, CALLS, TAKEN, STEP_END, END], [["c"]]),
        ([BEGIN, STEP_BEGIN, CALLS, TAKEN, STEP_END, SECOND_STEP, OTHERS], [["c"], ["c2"]]),
        ([BEGIN, STEP_BEGIN, CALLS, STEP_END, SECOND_STEP, OTHERS], [["c"], ["c2"]]),
        ([BEGIN, STEP_BEGIN, CALLS, STEP_END, SECOND_STEP, CALLS], [["c"]]),
        ([BEGIN, STEP_BEGIN, NAMELESS, STEP_END, SECOND_STEP, NAMELESS], [[""], [""]]),
        ([BEGIN, CALLS, TAKEN], [["c"]]),
        ([BEGIN, STEP_BEGIN, TAKEN], []),
    ],
    ids=["once", "twice", "after its outputs", "whole", "two steps", "untold outputs",
         "the same call in another step", "no ids", "no step", "outputs alone"],
)  # fmt: skip
def test_a_step_is_one_round(bodies: list[tuple[str, Any]], expected: list[list[str]]) -> None:
    """Calls that come again, and the outputs that repeat them, are no new round (§5.5)."""
    assert rounds(*bodies) == expected


def calls(*call_ids: str, kind: str = "tool_calls", output: str | None = None) -> tuple[str, Any]:
    """A frame that asks for these calls, or that tells their outputs."""
    state = "requires_action" if kind == "tool_calls" else "in_progress"
    function = {"name": "f", "arguments": "{}", "output": output}
    told = [{"id": call_id, "type": "function", "function": function} for call_id in call_ids]
    return "status", status(kind, state, tool_calls=told)


def outputs(*call_ids: str) -> tuple[str, Any]:
    """A frame that tells the outputs of these calls."""
    return calls(*call_ids, kind="tool_submitted_output", output="o")


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([calls("a"), calls("b")], [["a"], ["b"]]),
        ([calls("a"), calls("a", "b")], [["a"], ["b"]]),
        ([calls("a"), outputs("a"), calls("b"), outputs("b")], [["a"], ["b"]]),
        ([calls("a"), calls("a"), calls("b"), calls("a", "b")], [["a"], ["b"]]),
        ([calls("a", "b"), outputs("a"), outputs("b")], [["a", "b"]]),
        ([calls("a", "b"), outputs("b"), calls("a", "b"), outputs("a")], [["a", "b"]]),
        ([calls("a", "b"), outputs(), calls("b")], [["a", "b"]]),
    ],
    ids=["one by one", "a growing list", "in turn", "repeated", "outputs in turn",
         "repeated between outputs", "outputs untold"],
)  # fmt: skip
@pytest.mark.parametrize("step", [[STEP_BEGIN], []], ids=["step", "no step"])
def test_no_call_of_a_step_is_asked_for_twice(
    step: list[tuple[str, Any]], bodies: list[tuple[str, Any]], expected: list[list[str]]
) -> None:
    """Calls that were not asked for before are another round, and only they (§8)."""
    assert rounds(BEGIN, *step, *bodies) == expected


def test_a_run_waits_until_all_its_outputs_came() -> None:
    """The calls that are left are told, as of the same round."""
    events = said(BEGIN, STEP_BEGIN, calls("a", "b"), outputs("b"), outputs("a"), STEP_END)

    asked, some, all_came = [event for event in events if isinstance(event, RunEvent)][1:]
    assert (asked.status, some.status, all_came.status) == (
        "requires_action", "requires_action", "in_progress",
    )  # fmt: skip
    assert [call.id for call in some.run.tool_calls] == ["a"]
    assert some.round == asked.round
    ended = events[-1]
    assert isinstance(ended, StepEvent)
    assert ended.step.step_details is not None
    made = ended.step.step_details.tool_calls
    assert [(call.id, call.output) for call in made] == [("a", "o"), ("b", "o")]


def test_submitted_outputs_become_the_steps_calls() -> None:
    """What the event shows is what the step did; where it shows nothing, its calls stay."""
    shown = ("status", status("tool_submitted_output", "in_progress", tool_calls=[CALL]))
    silent = ("status", {"event_type": "tool_submitted_output", "status": "in_progress"})

    for taken, output in ((shown, "o"), (silent, None)):
        event = one(BEGIN, STEP_BEGIN, CALLS, taken, STEP_END)
        assert isinstance(event, StepEvent)
        assert event.step.step_details is not None
        assert [(call.id, call.output) for call in event.step.step_details.tool_calls] == [
            ("c", output)
        ]


def test_outputs_outside_of_a_step_let_the_run_go_on() -> None:
    """The run is in progress and waits for nothing."""
    event = one(BEGIN, CALLS, TAKEN)

    assert isinstance(event, RunEvent)
    assert (event.status, event.run.required_action) == ("in_progress", None)


# --- messages ---


def completed(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Ids and texts of the messages that were completed, in order."""
    return [
        (event.message.id, event.message.text)
        for event in events
        if isinstance(event, MessageEvent) and event.status != "in_progress"
    ]


@pytest.mark.parametrize("last", [STEP_END, END])
def test_a_message_is_completed_before_its_step_or_its_run_ends(last: tuple[str, Any]) -> None:
    """The wire does not say that it is; its text is that of its deltas."""
    events = said(BEGIN, STEP_BEGIN, CREATION, text("你"), text("好"), last)

    *_, done, ended = events
    assert isinstance(done, MessageEvent)
    assert (done.status, done.name) == ("completed", "")
    assert done.message.content == (Content(text=Text(value="你好")),)
    assert isinstance(ended, StepEvent | RunEvent)


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
def test_a_message_of_a_step_that_ends_badly_is_incomplete(state: str) -> None:
    """What was said is in it all the same."""
    end = ("status", status("tool_step_end", state, run_step_object=STEP_1))
    events = said(BEGIN, STEP_BEGIN, CREATION, text("hi"), end)

    assert [event.status for event in events if isinstance(event, MessageEvent)] == [
        "in_progress", "incomplete",
    ]  # fmt: skip
    assert completed(events) == [("m", "hi")]


def test_a_message_ends_once() -> None:
    """The step's end ends it, the run's does not again."""
    assert completed(said(BEGIN, STEP_BEGIN, CREATION, text("x"), STEP_END, END)) == [("m", "x")]


def test_a_message_without_text_is_empty() -> None:
    """A message that was only begun is completed without content."""
    events = said(BEGIN, STEP_BEGIN, CREATION, END)

    (_, ended) = [event for event in events if isinstance(event, MessageEvent)]
    assert (ended.status, ended.message.content) == ("completed", ())


def test_text_begins_a_message_that_was_not_told() -> None:
    """Its id is all that is needed."""
    events = said(BEGIN, text("x", "m9"), END)

    assert outline(events)[1:4] == ["Message in_progress", "MessageDelta x", "Message completed"]
    assert completed(events) == [("m9", "x")]


def test_two_messages_of_a_step_are_two_messages() -> None:
    """Both are open until their step ends, or their run."""
    second = status("message_creation", "in_progress", message_creation={"message_id": "n"})
    events = said(BEGIN, CREATION, text("one"), ("status", second), text("two", "n"), END)

    assert completed(events) == [("m", "one"), ("n", "two")]
    assert outline(events)[-3:] == ["Message completed", "Message completed", "Run completed"]


def test_interleaved_messages_keep_their_texts_apart() -> None:
    """Chunks of two messages in turn: in the end each has its own, whole."""
    events = said(BEGIN, text("a", "m"), text("x", "n"), text("b", "m"), text("y", "n"), END)

    assert dict(completed(events)) == {"m": "ab", "n": "xy"}
    snapshot = Snapshot()
    for event in events:
        snapshot.receive(event)
    assert (snapshot.text_of("m"), snapshot.text_of("n")) == ("ab", "xy")


def test_a_creation_told_twice_begins_one_message() -> None:
    """Also where the text came first: it is begun, and completed, once."""
    for bodies in ([CREATION, CREATION, text("x")], [text("x"), CREATION], [CREATION, text("x")]):
        events = said(BEGIN, *bodies, END)
        assert [event.status for event in events if isinstance(event, MessageEvent)] == [
            "in_progress", "completed",
        ]  # fmt: skip


ODD_CONTENTS: dict[str, tuple[Any, str]] = {
    "a list": ([SAY], "hi"),
    "two parts": ([SAY, SAY], "hihi"),
    "one object": (SAY, "hi"),
    "nothing": ([], ""),
    "null": (None, ""),
    "a part of null": ([{"type": "text", "text": None}], ""),
    "nulls inside": ([{"type": None, "text": {"value": "hi", "annotations": None}}], "hi"),
    "a null value": ([{"type": "text", "text": {"value": None}}], ""),
    "another part": ([{"type": "image", "url": "u"}, SAY], "hi"),
    "annotations": ([{"type": "text", "text": {"value": "hi", "annotations": [{"a": 1}]}}], "hi"),
    "more fields": ([{**SAY, "index": 0}], "hi"),
}


@pytest.mark.parametrize("content", ODD_CONTENTS)
def test_the_content_of_a_chunk_has_many_shapes(content: str) -> None:
    """A list or one object, nulls, other types of parts: the text is read (§3.9, §5.3)."""
    given, expected = ODD_CONTENTS[content]
    delta = one(BEGIN, CREATION, ("message", {**chunk(""), "content": given}))

    assert isinstance(delta, MessageDelta)
    assert (delta.message_id, delta.text) == ("m", expected)
    assert "".join(part.text.value for part in delta.content if part.text) == expected


def test_a_chunk_without_content_adds_nothing() -> None:
    """It may be only the mark of an end; what it is otherwise is not read."""
    delta = one(BEGIN, CREATION, ("message", {"message_id": "m", "is_end": 1, "message_index": 3}))

    assert isinstance(delta, MessageDelta)
    assert (delta.text, delta.content) == ("", ())


@pytest.mark.parametrize("message_id", [None, ""])
def test_a_chunk_without_an_id_is_of_the_open_message(message_id: Any) -> None:
    """The one that began last; without one it cannot be read."""
    body = {**chunk("hi"), "message_id": message_id}
    delta = one(BEGIN, CREATION, ("message", body))

    assert isinstance(delta, MessageDelta)
    assert (delta.message_id, delta.text) == ("m", "hi")
    with pytest.raises(DecodeError, match="no message id"):
        said(BEGIN, ("message", body))


def test_annotations_of_a_chunk_are_kept() -> None:
    """What the vendor notes about a text comes with it."""
    noted = [{"type": "text", "text": {"value": "hi", "annotations": ["a"]}}]
    delta = one(BEGIN, CREATION, ("message", {**chunk(""), "content": noted}))

    assert isinstance(delta, MessageDelta)
    assert delta.content == (Content(text=Text(value="hi", annotations=["a"])),)


@pytest.mark.parametrize(
    ("mode", "chunks", "expected"),
    [
        ("delta", ["01234567", "012345678"], ["01234567", "012345678"]),
        ("cumulative", ["ab", "abc", "abc"], ["ab", "c", ""]),
        ("auto", ["01234567", "0123456789"], ["01234567", "89"]),
        ("auto", ["01234567", "89"], ["01234567", "89"]),
    ],
)
def test_chunks_are_taken_as_the_mode_says(
    mode: ChunkMode, chunks: list[str], expected: list[str]
) -> None:
    """A delta's text and content are what is new, whichever way they came (§5.3)."""
    events = said(BEGIN, *map(text, chunks), END, mode=mode)

    deltas = [event for event in events if isinstance(event, MessageDelta)]
    assert [delta.text for delta in deltas] == expected
    for delta in deltas:
        assert "".join(part.text.value for part in delta.content if part.text) == delta.text
    assert completed(events) == [("m", "".join(expected))]


def test_each_message_is_judged_by_itself() -> None:
    """One cumulative message says nothing of the next."""
    events = said(
        text("01234567", "m"), text("0123456789", "m"), text("abcdefgh", "n"), text("ij", "n"),
        text("0123456789!", "m"),
    )  # fmt: skip

    assert [event.text for event in events if isinstance(event, MessageDelta)] == [
        "01234567", "89", "abcdefgh", "ij", "!",
    ]  # fmt: skip


TEXTS = st.lists(st.text('ab你\n"\\\U0001f600', max_size=12), max_size=6)


@given(TEXTS, st.sampled_from(["auto", "delta", "cumulative"]))
def test_a_completed_message_is_its_deltas(texts: list[str], mode: ChunkMode) -> None:
    """Whatever comes and however it is taken, the whole equals the joined deltas."""
    events = said(BEGIN, CREATION, *map(text, texts), END, mode=mode)

    deltas = [event.text for event in events if isinstance(event, MessageDelta)]
    assert completed(events) == [("m", "".join(deltas))]


@pytest.mark.slow
def test_reading_deltas_is_linear() -> None:
    """Twice the chunks of a message take twice the time."""
    framed = frame("message", chunk("word "))

    def work(count: int) -> None:
        reader = StreamReader("delta")
        for _ in range(count):
            reader.read(framed)

    assert growth(work, 20_000) <= 2.3


# --- what says nothing, and what nobody knows ---


@pytest.mark.parametrize("data", [b"", b"{}", b'{"a":1}', b"null", b"pong", b"\xff"])
def test_a_ping_says_nothing(data: bytes) -> None:
    """With or without data, whatever it is (§5.2)."""
    assert StreamReader().read(Frame("ping", data)) == ()


def test_a_ping_without_data_is_no_frame() -> None:
    """The event stream format drops it, so it resets no clock."""
    assert heard(b"event: ping\n\n").events == []


@pytest.mark.parametrize(
    ("name", "data", "read"),
    [
        ("tomorrow", b'{"more":[1]}', {"more": [1]}),
        ("tomorrow", b"plain text", "plain text"),
        ("tomorrow", b"[1]", [1]),
        ("tomorrow", b"", ""),
        ("tomorrow", b"\xff", "\ufffd"),
        ("tomorrow", b'"x"', "x"),
        ("tomorrow", b"null", None),
    ],
)
def test_an_event_of_an_unknown_name_is_kept(name: str, data: bytes, read: Any) -> None:
    """Its JSON, or its text."""
    assert StreamReader().read(Frame(name, data)) == (UnknownEvent(name=name, data=read),)


@pytest.mark.parametrize("details", [{}, None, {"type": "thought", "thought": {"a": 1}}])
def test_a_status_of_an_unknown_type_is_kept(details: Any) -> None:
    """A type that came after this was written is no fault."""
    body = {"status": "thinking", "event_type": "thought", "details": details}

    assert one(BEGIN, ("status", body)) == UnknownEvent(name="thought", data=body)


def test_a_status_without_type_and_details_is_kept() -> None:
    """Under the name of its frame."""
    assert one(("status", {"x": 1})) == UnknownEvent(name="status", data={"x": 1})


@pytest.mark.parametrize(
    ("state", "details", "kind"),
    [
        ("completed", {"run_object": {"id": "r"}}, RunEvent),
        ("completed", {"run_step_object": {"id": "s"}}, StepEvent),
        ("requires_action", {"tool_calls": [ASKED]}, RunEvent),
        ("in_progress", {"message_creation": {"message_id": "m"}}, MessageEvent),
        ("in_progress", {"tool_calls": [ASKED]}, UnknownEvent),
        ("failed", {"error_info": WHY}, ErrorEvent),
    ],
)
@pytest.mark.parametrize("kind_told", ["tool_call_v2", "", None])
def test_an_unknown_type_is_read_by_what_it_holds(
    kind_told: Any, state: str, details: Any, kind: type[Event]
) -> None:
    """Only calls of a run that does not wait for them are nothing to be done."""
    event = one(BEGIN, ("status", {"status": state, "event_type": kind_told, "details": details}))

    assert isinstance(event, kind)
    assert event.name == (kind_told or "status")


# --- errors ---


@pytest.mark.parametrize(
    ("name", "data", "code", "message"),
    [
        ("error", b'{"error":{"code":"c","message":"m","type":"t","param":null}}', "c", "m"),
        ("status", b'{"error":{"code":"c","message":"m"}}', "c", "m"),
        ("message", b'{"error":{"type":"t","message":"m"}}', "t", "m"),
        ("tomorrow", b'{"error":{"message":"m"}}', "", "m"),
        ("message", b'{"error":"out of order"}', "", "out of order"),
        ("error", b'{"code":"c","message":"m"}', "c", "m"),
        ("error", b'{"code":429,"message":"m"}', "429", "m"),
        ("message", b'{"code":"c","message":"m"}', "c", "m"),
        ("status", b'{"code":"c","message":"m"}', "c", "m"),
        ("error", b"out of order", "", "out of order"),
        ("error", b'"out of order"', "", "out of order"),
        ("error", b"{}", "", ""),
        ("error", b"", "", ""),
        ("error", b'{"error":null,"message":null}', "", ""),
        ("error", b"[1]", "", "[1]"),
        ("error", b"null", "", "null"),
        ("error", b"5", "", "5"),
        ("error", b"\xff", "", "\ufffd"),
    ],
)
def test_an_error_of_any_shape_is_an_error(name: str, data: bytes, code: str, message: str) -> None:
    """Under its own name or under another, as an object, a text or anything (§6.1, §6.5)."""
    (event,) = StreamReader("auto", "req-1").read(Frame(name, data))

    assert event == ErrorEvent(code=code, message=message, request_id="req-1", name=name)


def test_an_errors_own_request_id_wins() -> None:
    """The flat shape names the request (§6.1)."""
    event = one(("error", {"code": "c", "message": "m", "requestId": "q"}))

    assert isinstance(event, ErrorEvent)
    assert event.request_id == "q"


@pytest.mark.parametrize(
    ("info", "code", "message"),
    [(WHY, "server_error", "no"), ({"code": "c"}, "c", ""), ("broken", "", "broken")],
)
def test_error_info_of_an_unknown_type_is_an_error(info: Any, code: str, message: str) -> None:
    """Which event carries it nobody has seen (§5.3)."""
    event = one(("status", status("run_error", "failed", error_info=info)))

    assert event == ErrorEvent(code=code, message=message, request_id="req-1", name="run_error")


# --- what cannot be read ---

BROKEN: dict[str, tuple[str, bytes]] = {
    "no JSON": ("status", b"{"),
    "nothing": ("status", b""),
    "not UTF-8": ("status", b'{"status":"\xff"}'),
    "too deep": ("status", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a list": ("status", b"[]"),
    "null": ("status", b"null"),
    "a text": ("status", b'"x"'),
    "details of text": ("status", b'{"event_type":"run_end","details":"x"}'),
    "details of a list": ("status", b'{"event_type":"run_end","details":[1]}'),
    "a run of text": ("status", b'{"event_type":"run_end","details":{"run_object":"x"}}'),
    "a run without id": ("status", b'{"event_type":"run_end","details":{"run_object":{"a":1}}}'),
    "a time of text": (
        "status", b'{"event_type":"run_end","details":{"run_object":{"id":"r","created_at":"x"}}}',
    ),
    "no step": ("status", b'{"event_type":"tool_step_begin","details":{}}'),
    "a step of null": (
        "status", b'{"event_type":"tool_step_end","details":{"run_step_object":null}}',
    ),
    "calls of text": ("status", b'{"event_type":"tool_calls","details":{"tool_calls":"x"}}'),
    "calls of texts": ("status", b'{"event_type":"tool_calls","details":{"tool_calls":["x"]}}'),
    "no creation": ("status", b'{"event_type":"message_creation","details":{}}'),
    "a creation without id": (
        "status", b'{"event_type":"message_creation","details":{"message_creation":{}}}',
    ),
    "a creation with an empty id": (
        "status",
        b'{"event_type":"message_creation","details":{"message_creation":{"message_id":""}}}',
    ),
    "a creation with a number": (
        "status",
        b'{"event_type":"message_creation","details":{"message_creation":{"message_id":5}}}',
    ),
    "a chunk without id": ("message", b'{"content":[]}'),
    "a chunk with an empty id": ("message", b'{"message_id":"","content":[]}'),
    "a chunk with a number": ("message", b'{"message_id":5,"content":[]}'),
    "a chunk of text": ("message", b'{"message_id":"m","content":"hi"}'),
    "a chunk of texts": ("message", b'{"message_id":"m","content":["hi"]}'),
    "a value of a number": (
        "message", b'{"message_id":"m","content":[{"text":{"value":{}}}]}',
    ),
    "a message of nothing": ("message", b"{}"),
    "an empty message": ("message", b""),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_read_is_told(what: str) -> None:
    """Never silence, and never the event before it once more (§6.5)."""
    reader = StreamReader()
    reader.read(frame(*BEGIN))
    name, data = BROKEN[what]

    with pytest.raises(DecodeError):
        reader.read(Frame(name, data))


@pytest.mark.parametrize("name", ["status", "message"])
def test_an_unreadable_event_is_named(name: str) -> None:
    """The error says of which event it is."""
    with pytest.raises(DecodeError, match=f"event {name}: not JSON"):
        StreamReader().read(Frame(name, b"{"))


@pytest.mark.parametrize(
    "bodies",
    [
        [CALLS],
        [TAKEN],
        [("status", {"event_type": "run_cancelling", "status": "cancelling"})],
        [("status", {"event_type": "run_end", "details": {"run_object": None}})],
    ],
    ids=["calls", "outputs", "cancelling", "end"],
)
def test_an_event_of_no_run_is_told(bodies: list[tuple[str, Any]]) -> None:
    """It names none, and none was begun: there is nothing to say it of."""
    with pytest.raises(DecodeError, match="names no run"):
        said(*bodies)


def test_the_reader_goes_on_after_what_cannot_be_read() -> None:
    """One broken frame takes nothing from what was known before."""
    reader = StreamReader()
    reader.read(frame(*BEGIN))
    with pytest.raises(DecodeError):
        reader.read(Frame("message", b"{"))

    (begun, delta) = reader.read(frame(*text("x")))
    assert isinstance(begun, MessageEvent)
    assert begun.message == Message(id="m", role="assistant", thread_id="t", run_id="r")
    assert isinstance(delta, MessageDelta)


def test_a_message_without_a_run_is_of_none() -> None:
    """Nothing is made up where no event told the run."""
    (begun, _) = said(text("x"))

    assert isinstance(begun, MessageEvent)
    assert (begun.message.run_id, begun.message.thread_id) == (None, None)


@pytest.mark.parametrize("created", [0, None, "", -1])
def test_times_that_are_none(created: Any) -> None:
    """0 is "not happened" (§3.0)."""
    event = one(
        ("status", status("run_begin", "queued", run_object={"id": "r", "created_at": created}))
    )

    assert isinstance(event, RunEvent)
    assert event.run == Run(id="r", status="queued", log_id="log-1", request_id="req-1")
