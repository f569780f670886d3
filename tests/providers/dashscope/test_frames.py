"""The wire as it comes: transcripts of outside origin, every event and delta, every quirk."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
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
from aiodashassist.core.models import (
    LastError,
    Message,
    Run,
    RunStep,
    StepDetails,
    Thread,
    Usage,
)
from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.core.tooling import FunctionCall, FunctionTool, PluginCall, ToolCall
from aiodashassist.errors import DecodeError
from aiodashassist.providers.dashscope import frames
from tests.providers.dashscope.damage import JSON, SAY, damaged
from tests.transcripts import DASHSCOPE

FILES = sorted(DASHSCOPE.glob("*.sse"))
every_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def heard(*chunks: bytes) -> list[Event]:
    """The events of a stream that comes in these chunks."""
    parser = SSEParser()
    return [
        event
        for chunk in chunks
        for frame in parser.feed(chunk)
        for event in frames.read_frame(frame)
    ]


def transcript(name: str) -> list[Event]:
    """The events of a transcript."""
    return heard((DASHSCOPE / f"{name}.sse").read_bytes())


def one(name: str, data: Any) -> Event:
    """The one event of a frame."""
    (event,) = frames.read_frame(Frame(name, json.dumps(data).encode()))
    return event


def outline(events: Sequence[Event]) -> list[str]:
    """The names of events, the same ones in a row told once."""
    names = [event.name for event in events]
    return [name for index, name in enumerate(names) if names[index - 1 : index] != [name]]


# --- transcripts ---


@every_file
def test_a_transcript_says_where_it_is_from(path: Path) -> None:
    """The first line of a transcript is a comment with its origin."""
    first = path.read_bytes().split(b"\n", 1)[0]

    assert first.startswith((b":origin OBS ", b":origin REC "))


@every_file
def test_bytes_one_by_one_say_the_same(path: Path) -> None:
    """A transcript fed byte by byte gives the events of the whole."""
    whole = path.read_bytes()

    assert heard(*(whole[index : index + 1] for index in range(len(whole)))) == heard(whole)


@every_file
@given(data=st.data())
@settings(max_examples=25)
def test_any_cuts_say_the_same(path: Path, data: st.DataObject) -> None:
    """A transcript cut anywhere, inside a character too, gives the events of the whole."""
    whole = path.read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]

    assert heard(*pieces) == heard(whole)


@every_file
def test_a_space_after_the_colon_changes_nothing(path: Path) -> None:
    """One document shows a space after each colon; it reads the same (§7.4)."""
    whole = path.read_bytes()
    spaced = whole.replace(b"\nevent:", b"\nevent: ").replace(b"\ndata:", b"\ndata: ")

    assert spaced != whole
    assert heard(spaced) == heard(whole)


def test_other_services_lines_change_nothing() -> None:
    """`id:` and `status:` lines, comments and heartbeats are borne (§5.2)."""
    whole = (DASHSCOPE / "plain_text.sse").read_bytes()
    noisy = whole.replace(b"\nevent:", b"\n:HTTP_STATUS/200\nid:7\nstatus:200\nevent:")

    assert heard(b":heartbeat\n\n", noisy) == heard(whole)


PLAIN = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


def test_a_plain_answer_reads_as_documented() -> None:
    """Order, statuses, text and usage of a plain answer (§11.1)."""
    events = transcript("plain_text")

    begin = ["thread.created", *(f"thread.run.{s}" for s in ("created", "queued", "in_progress"))]
    assert outline(events) == [*begin, *PLAIN]
    texts = [event.text for event in events if isinstance(event, MessageDelta)]
    assert texts == ["Hel", "lo", ""]
    (completed,) = [e for e in events if isinstance(e, MessageEvent) and e.status == "completed"]
    assert completed.message.text == "Hello"
    assert completed.message.completed_at == 1714448104154
    last = events[-1]
    assert isinstance(last, RunEvent)
    assert (last.status, last.run.status, last.run.is_terminal) == ("completed", "completed", True)
    assert last.run.usage == Usage(input_tokens=419, output_tokens=16, total_tokens=435)
    assert last.run.completed_at is None
    assert last.run.extra == {}


def test_a_function_call_stops_the_run() -> None:
    """The calls of a run that waits are whole, with the wire's empty id (§11.2)."""
    events = transcript("function_call_1")

    call = ToolCall(
        function=FunctionCall(name="get_current_weather", arguments='{"location": "Xi\'an"}')
    )
    last = events[-1]
    assert isinstance(last, RunEvent)
    assert last.status == "requires_action"
    assert last.run.tool_calls == (call,)
    (tool,) = last.run.tools
    assert isinstance(tool, FunctionTool)
    assert tool.function.description == "查询天气"
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert [(event.status, event.step.type) for event in steps] == [
        ("in_progress", "tool_calls")
    ] * 2
    assert steps[0].step.step_details == StepDetails(type="tool_calls")


def test_the_second_stream_begins_with_the_answered_step() -> None:
    """After the outputs the tool step comes first, with its output and no time (§11.2)."""
    events = transcript("function_call_2")

    names = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress", *PLAIN]
    assert outline(events) == names
    first = events[0]
    assert isinstance(first, StepEvent)
    assert first.step.completed_at is None
    assert first.step.step_details is not None
    assert [call.output for call in first.step.step_details.tool_calls] == ["rain"]
    text = "".join(event.text for event in events if isinstance(event, MessageDelta))
    assert text == "It rains in Xi'an 西安."


def test_a_failing_run_tells_why() -> None:
    """A failed step and run have their error (§11.3 a)."""
    events = transcript("run_failed")

    why = LastError(code="server_error", message="The model stopped working.")
    step, run = events
    assert isinstance(step, StepEvent)
    assert isinstance(run, RunEvent)
    assert (step.status, step.step.last_error, step.step.failed_at) == (
        "failed", why, 1714448104999,
    )  # fmt: skip
    assert (run.status, run.run.last_error, run.run.failed_at) == ("failed", why, None)


def test_an_error_frame_is_an_event() -> None:
    """Code, message and request id of an `error` frame (§11.3 b)."""
    (event,) = transcript("error_frame")

    assert event == ErrorEvent(
        code="InternalError",
        message="An internal error has occured, please try again later or contact service support.",
        request_id="0f4c0f3e-5a86-9c1b-8d3b-6f1f7a2b9c04",
        name="error",
    )


def test_a_plugin_shows_what_it_does() -> None:
    """Arguments in pieces, the output whole, then deltas without a type (§11.4, §7.8)."""
    events = transcript("plugin_deltas")

    calls = [call for e in events if isinstance(e, StepDelta) for call in e.tool_calls]
    assert [(call.type, call.plugin) for call in calls] == [
        ("quark_search", PluginCall(arguments='{"query": "')),
        ("quark_search", PluginCall(arguments='weather"}')),
        ("quark_search", PluginCall(output='{"success": true, "results": ["晴"]}')),
        ("quark_search", PluginCall(output="")),
    ]
    last = events[-1]
    assert isinstance(last, StepEvent)
    assert (last.status, last.step.status) == ("completed", "in_progress")
    assert last.step.step_details is not None
    (whole,) = last.step.step_details.tool_calls
    assert whole.arguments == calls[0].arguments + calls[1].arguments
    assert whole.output == calls[2].output


def grown(events: Sequence[Event], step_id: str) -> list[tuple[str, PluginCall | None]]:
    """What the deltas of a step say."""
    deltas = [event for event in events if isinstance(event, StepDelta)]
    return [
        (call.type, call.plugin)
        for delta in deltas
        if delta.step_id == step_id
        for call in delta.tool_calls
    ]


def test_a_run_with_a_plugin_reads_as_documented() -> None:
    """The plugin's step comes before the message's; its object lags behind its event (§5.5)."""
    events = transcript("plugin_run")

    step = [f"thread.run.step.{name}" for name in ("created", "in_progress")]
    begin = ["thread.created", *(f"thread.run.{s}" for s in ("created", "queued", "in_progress"))]
    used = [*step, "thread.run.step.delta", "thread.run.step.completed"]
    assert outline(events) == [*begin, *used, *PLAIN]
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert [(event.status, event.step.status) for event in steps] == [
        ("in_progress", "in_progress"),
        ("in_progress", "in_progress"),
        ("completed", "in_progress"),
        ("in_progress", "in_progress"),
        ("in_progress", "in_progress"),
        ("completed", "completed"),
    ]
    assert steps[0].step.step_details == StepDetails(type="tool_calls")
    assert steps[2].step.completed_at is None
    assert steps[2].step.step_details is not None
    (whole,) = steps[2].step.step_details.tool_calls
    plugins = [plugin for _, plugin in grown(events, "step_P") if plugin is not None]
    assert {kind for kind, _ in grown(events, "step_P")} == {"quark_search"}
    assert [plugin.arguments for plugin in plugins] == [
        "",
        '{"query": "',
        "杭州天气",
        '"}',
        *[None] * 3,
    ]
    assert "".join(plugin.output or "" for plugin in plugins) == whole.output
    assert "".join(plugin.arguments or "" for plugin in plugins) == whole.arguments
    assert (whole.id, whole.name) == ("", "quark_search")
    text = "".join(event.text for event in events if isinstance(event, MessageDelta))
    assert text == "杭州今天晴。"


@pytest.mark.parametrize(
    ("step_id", "kind", "late", "arguments", "output"),
    [
        ("step_1", "code_interpreter", "code_interpreter", '{"code": "print(6*7)"}', "42\n"),
        (
            "step_2", "text_to_image", "plugin_name", '{"prompt": "一只猫"}',
            '{"images": ["https://example.invalid/cat.png"]}',
        ),
        (
            "step_3", "calculator", "calculator", '{"payload__input__text": "1+1"}',
            '{"equations": ["1+1"], "results": [2]}',
        ),
        ("step_4", "area_to_weather_date", None, '{"area": "西安"}', '{"weather": "雨"}'),
    ],
)  # fmt: skip
def test_every_kind_of_plugin_is_read(
    step_id: str, kind: str, late: str | None, arguments: str, output: str
) -> None:
    """Their deltas make up their whole call, under another key too; one has no deltas (§7.11).

    A late delta has no type: then it has the name of the key it is under.
    """
    events = transcript("plugin_kinds")
    ends = [e for e in events if isinstance(e, StepEvent) and e.step.id == step_id]

    assert [event.status for event in ends] == ["in_progress", "in_progress", "completed"]
    assert ends[-1].step.step_details is not None
    assert ends[-1].step.step_details.tool_calls == (
        ToolCall(type=kind, plugin=PluginCall(arguments=arguments, output=output)),
    )
    said = grown(events, step_id)
    if late is None:
        assert said == []
        return
    *pieces, whole, last = said
    assert {name for name, _ in pieces} == {kind}
    assert "".join(plugin.arguments or "" for _, plugin in pieces if plugin) == arguments
    assert whole == (kind, PluginCall(output=output))
    assert last == (late, PluginCall(output=""))


# --- events by name ---

RUN: dict[str, Any] = {"id": "run_1", "object": "thread.run", "status": "cancelling"}
STEP: dict[str, Any] = {"id": "step_1", "object": "thread.run.step", "status": "expired"}
MESSAGE: dict[str, Any] = {"id": "message_1", "object": "thread.message", "status": "incomplete"}


@pytest.mark.parametrize(
    "status",
    [
        "queued", "in_progress", "requires_action", "completed", "failed", "cancelling",
        "cancelled", "expired", "incomplete",
    ],
)  # fmt: skip
def test_a_run_event_has_the_status_of_its_name(status: str) -> None:
    """The name of the event is believed over the object's own status (§7.8, §7.15)."""
    name = f"thread.run.{status}"

    assert one(name, RUN) == RunEvent(
        status=status, run=Run(id="run_1", status="cancelling"), name=name
    )


@pytest.mark.parametrize("status", ["in_progress", "completed", "failed", "cancelled", "expired"])
def test_a_step_event_has_the_status_of_its_name(status: str) -> None:
    """A completed step may still say `in_progress` inside (§7.8)."""
    name = f"thread.run.step.{status}"

    assert one(name, {**STEP, "status": "in_progress"}) == StepEvent(
        status=status, step=RunStep(id="step_1", status="in_progress"), name=name
    )


@pytest.mark.parametrize("status", ["in_progress", "completed", "incomplete"])
def test_a_message_event_has_the_status_of_its_name(status: str) -> None:
    """A message in a stream has no status of its own; its event has."""
    name = f"thread.message.{status}"

    assert one(name, {"id": "message_1"}) == MessageEvent(
        status=status, message=Message(id="message_1"), name=name
    )


def test_a_thread_event_has_the_thread() -> None:
    """`thread.created` is taken in any stream (§7.5)."""
    event = one("thread.created", {"id": "thread_1", "created_at": 5, "metadata": {"a": 1}})

    thread = Thread(id="thread_1", created_at=5, metadata={"a": 1})
    assert event == ThreadEvent(thread=thread, name="thread.created")


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("thread.run.created", RUN, "cancelling"),
        ("thread.run.created", {"id": "run_1"}, "queued"),
        ("thread.run.step.created", STEP, "expired"),
        ("thread.run.step.created", {"id": "step_1", "status": ""}, "in_progress"),
        ("thread.message.created", MESSAGE, "incomplete"),
        ("thread.message.created", {"id": "message_1", "status": {}}, "in_progress"),
    ],
)
def test_a_beginning_has_the_status_of_its_object(name: str, data: Any, status: str) -> None:
    """`created` is no status: the object tells, or it is the first one there is."""
    event = one(name, data)

    assert isinstance(event, RunEvent | StepEvent | MessageEvent)
    assert (event.status, event.name) == (status, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [("done", b"[DONE]"), ("done", b""), ("done", b"{"), ("message", b"[DONE]")],
)
def test_the_closing_mark_says_nothing(name: str, data: bytes) -> None:
    """`done`, whose data is not JSON, is no event."""
    assert frames.read_frame(Frame(name, data)) == ()


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("thread.paused", b'{"id":"t"}', {"id": "t"}),
        ("thread.run.step.paused", b"[1]", [1]),
        ("message", b"pong", "pong"),
        ("ping", b"\xff", "�"),
        ("thread.deleted", b"[" * 100_000, "[" * 100_000),
    ],
    ids=["object", "list", "text", "no text", "too deep"],
)
def test_an_unknown_event_is_kept(name: str, data: bytes, value: Any) -> None:
    """An event of no known name never breaks a stream; its JSON, or its text, can be read."""
    assert frames.read_frame(Frame(name, data)) == (UnknownEvent(name=name, data=value),)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b'{"code":"Throttling","message":"wait"}', ErrorEvent(code="Throttling", message="wait")),
        (b'{"code":null,"message":7}', ErrorEvent(message="7")),
        (b'{"request_id":""}', ErrorEvent()),
        (b"Bad Gateway", ErrorEvent(message="Bad Gateway")),
        (b'["x"]', ErrorEvent(message='["x"]')),
        (
            b'{"error":{"code":"Throttling","message":"wait"},"requestId":"r"}',
            ErrorEvent(code="Throttling", message="wait", request_id="r"),
        ),
    ],
    ids=["usual", "odd", "empty", "text", "list", "wrapped"],
)
def test_an_error_frame_of_any_shape_is_an_event(data: bytes, event: ErrorEvent) -> None:
    """Whatever an `error` frame holds, it ends in an ErrorEvent that keeps its words (§6.1)."""
    (got,) = frames.read_frame(Frame("error", data))

    assert isinstance(got, ErrorEvent)
    assert (got.code, got.message, got.request_id, got.name) == (
        event.code, event.message, event.request_id, "error",
    )  # fmt: skip


# --- deltas ---


@pytest.mark.parametrize(
    ("delta", "text", "parts"),
    [
        ({"content": [SAY]}, "hi", 1),
        ({"content": [SAY, SAY]}, "hihi", 2),
        ({"content": SAY}, "hi", 1),
        ({"content": [{"text": {"value": "hi"}}]}, "hi", 1),
        ({"content": [{"type": "text", "text": {"value": "hi", "annotations": None}}]}, "hi", 1),
        ({"content": [{"type": "text", "text": {"value": None}}]}, "", 1),
        ({"content": [{"type": "text", "text": None}]}, "", 1),
        ({"content": {"type": None, "text": {"value": "hi"}}}, "hi", 1),
        ({"content": [], "role": None, "file_ids": None}, "", 0),
        ({"content": None}, "", 0),
        ({"content": ""}, "", 0),
        ({"content": [SAY], "role": 5}, "hi", 1),
        ({}, "", 0),
        (None, "", 0),
        ("", "", 0),
        ({"content": [{"type": "image_file", "image_file": {"file_id": "f"}}]}, "", 1),
    ],
)
def test_a_message_delta_of_any_known_shape_is_read(delta: Any, text: str, parts: int) -> None:
    """A list or a single object (§7.3), nulls anywhere, no content at all."""
    name = "thread.message.delta"
    event = one(name, {"id": "message_1", "object": name, "delta": delta, "request_id": "r"})

    assert isinstance(event, MessageDelta)
    assert (event.message_id, event.text, len(event.content)) == ("message_1", text, parts)
    assert event.name == name


def test_a_part_reads_the_same_either_way() -> None:
    """A part without a type is the same in a usual frame and in one with something odd in it."""
    body = {"id": "message_1", "delta": {"content": [{"image_file": {"file_id": "f"}}]}}
    usual = one("thread.message.delta", body)
    odd = one("thread.message.delta", {**body, "request_id": 5})

    assert usual == odd


@pytest.mark.parametrize(
    ("call", "read"),
    [
        (
            {"type": "calculator", "calculator": {"input": "1+1"}},
            ToolCall(type="calculator", plugin=PluginCall(arguments="1+1")),
        ),
        (
            {"type": "calculator", "calculator": {"arguments": "1", "input": "2", "output": None}},
            ToolCall(type="calculator", plugin=PluginCall(arguments="1")),
        ),
        (
            {"type": "quark_search", "plugin_name": {"output": "x"}},
            ToolCall(type="quark_search", plugin=PluginCall(output="x")),
        ),
        ({"my_plugin": {"output": "x"}}, ToolCall(type="my_plugin", plugin=PluginCall(output="x"))),
        ({"type": "my_plugin"}, ToolCall(type="my_plugin", plugin=PluginCall())),
        (
            {"id": None, "index": 0, "type": "function", "function": {"name": "f"}},
            ToolCall(function=FunctionCall(name="f")),
        ),
        (
            {"id": "c", "function": {"name": "f", "arguments": None, "output": "x"}},
            ToolCall(id="c", function=FunctionCall(name="f", output="x")),
        ),
        ({}, ToolCall(function=FunctionCall())),
    ],
)
def test_a_call_is_found_under_any_key(call: Any, read: ToolCall) -> None:
    """`arguments` or `input`, the plugin's own key or another, with or without a type (§7.11)."""
    details = {"type": "tool_calls", "tool_calls": [call]}
    name = "thread.run.step.delta"
    event = one(name, {"id": "step_1", "delta": {"step_details": details}})

    assert event == StepDelta(step_id="step_1", tool_calls=(read,), name=name)


@pytest.mark.parametrize(
    "delta",
    [
        None,
        {},
        "",
        {"step_details": None},
        {"step_details": {}},
        {"step_details": {"tool_calls": None}},
    ],
)
def test_a_step_delta_can_be_empty(delta: Any) -> None:
    """A delta with nothing in it is a delta without calls."""
    event = one("thread.run.step.delta", {"id": "step_1", "delta": delta})

    assert event == StepDelta(step_id="step_1", name="thread.run.step.delta")


# --- what cannot be read ---


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("thread.run.queued", b""),
        ("thread.run.queued", b"{"),
        ("thread.run.queued", b"null"),
        ("thread.run.queued", b"[]"),
        ("thread.run.queued", b"{}"),
        ("thread.run.queued", b'{"id":null}'),
        ("thread.run.queued", b'{"id":""}'),
        ("thread.run.queued", b'{"id":5}'),
        ("thread.run.queued", b'{"id":"\xff"}'),
        ("thread.run.queued", b'{"id":"r","created_at":"soon"}'),
        ("thread.run.queued", b'{"id":"r","created_at":' + b"9" * 5000 + b"}"),
        ("thread.run.queued", b'{"id":"r","tools":{}, "metadata":' + b"[" * 100_000),
        ("thread.run.queued", b'{"id":"r","tools":[5]}'),
        ("thread.run.queued", b'{"id":"r","tools":"search"}'),
        ("thread.run.queued", b'{"id":"r","usage":[1]}'),
        ("thread.run.queued", b'{"id":"r","last_error":[1]}'),
        ("thread.run.queued", b'{"id":"r","required_action":[1]}'),
        ("thread.run.step.created", b'{"id":"s","step_details":"none"}'),
        ("thread.run.step.created", b'{"id":"s","step_details":{"tool_calls":[1]}}'),
        ("thread.run.step.created", b'{"id":"s","step_details":{"tool_calls":[{"type":[]}]}}'),
        ("thread.run.step.created", b'{"id":"s","step_details":{"tool_calls":[{"type":{}}]}}'),
        ("thread.run.step.created", b'{"id":"s","step_details":{"tool_calls":[{"id":5}]}}'),
        ("thread.run.step.delta", b"{}"),
        ("thread.run.step.delta", b'{"id":5}'),
        ("thread.run.step.delta", b'{"id":"s","delta":{"step_details":{"tool_calls":5}}}'),
        (
            "thread.run.step.delta",
            b'{"id":"s","delta":{"step_details":{"tool_calls":[{"x":{"output":{}}}]}}}',
        ),
        (
            "thread.run.step.delta",
            b'{"id":"s","delta":{"step_details":{"tool_calls":[{"function":{"name":5}}]}}}',
        ),
        ("thread.message.delta", b"[DONE]"),
        ("thread.message.delta", b"{}"),
        ("thread.message.delta", b'{"id":null,"delta":{}}'),
        ("thread.message.delta", b'{"id":"m","delta":{"content":"hi"}}'),
        ("thread.message.delta", b'{"id":"m","delta":{"content":[{"text":"hi"}]}}'),
        ("thread.message.delta", b'{"id":"m","delta":{"content":[{"text":{"value":5}}]}}'),
        ("thread.message.delta", b'{"id":"\xff","delta":{}}'),
        ("thread.message.delta", b"[" * 100_000),
        ("thread.message.created", b'{"id":"m","content":"hi"}'),
        ("thread.created", b'"thread_1"'),
    ],
    ids=lambda value: value[:70],
)
def test_a_broken_frame_is_a_decode_error(name: str, data: bytes) -> None:
    """A frame that cannot be read ends in a DecodeError and nothing else."""
    with pytest.raises(DecodeError):
        frames.read_frame(Frame(name, data))


def samples() -> list[Frame]:
    """A frame of each name, of all the transcripts."""
    parser = SSEParser()
    whole = b"".join(path.read_bytes() for path in FILES)
    kinds = {(frame.event, frame.data[:60]): frame for frame in parser.feed(whole)}
    return [frame for frame in kinds.values() if frame.event != "done"]


FRAMES = samples()


@given(st.sampled_from(FRAMES), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_frame_is_read_or_a_decode_error(frame: Frame, data: st.DataObject) -> None:
    """Any JSON in any field: an event, or a DecodeError; never another exception."""
    body = json.dumps(damaged(data, json.loads(frame.data))).encode()
    try:
        (event,) = frames.read_frame(Frame(frame.event, body))
    except DecodeError:
        return
    assert event.name == frame.event


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_a_decode_error(data: bytes) -> None:
    """Whatever a frame of any name holds, nothing but a DecodeError comes of it."""
    for name in (*frames.EVENTS, "thread.message.delta", "error", "done", "message", "new"):
        try:
            events = frames.read_frame(Frame(name, data))
        except DecodeError:
            assert name not in ("error", "done", "message", "new")
        else:
            assert all(event.name == name for event in events)
