"""Which fields each answer and frame has, in which order, and how it says "none"."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core.decoding import parse
from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
    ToolStarted,
    UnknownEvent,
)
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    ImageFile,
    LastError,
    Message,
    MessageCreation,
    Model,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Thread,
    TruncationStrategy,
    Usage,
)
from aiodashassist.core.tooling import FunctionCall, PluginCall, ToolCall
from aiodashassist.providers.dashscope import codec
from aiodashassist.providers.dashscope.spelling import SHORT_RUN, spell, spell_event, spell_item
from tests.providers.dashscope.values import OBJECTS, short_runs

FUNCTION = ToolCall(function=FunctionCall(name="f", arguments="{}"))
SPELLED_FUNCTION = {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PLUGIN = ToolCall(id="c", type="calc", plugin=PluginCall(arguments="1", output=""))
SPELLED_PLUGIN = {"id": "c", "type": "calc", "calc": {"arguments": "1", "output": ""}}
TEXT = Content(text=Text(value="hi"))
SPELLED_TEXT = {"type": "text", "text": {"value": "hi", "annotations": []}}

# The bare object of each kind as the wire has it, in the wire's own order.
ASSISTANT: dict[str, Any] = {
    "id": "a", "object": "assistant", "created_at": None, "model": None, "name": "",
    "description": "", "instructions": "", "tools": (), "file_ids": (), "metadata": {},
    "temperature": None, "top_p": None, "top_k": None, "max_tokens": None,
}  # fmt: skip
THREAD: dict[str, Any] = {"id": "t", "object": "thread", "created_at": None, "metadata": {}}
STREAM_MESSAGE: dict[str, Any] = {
    "id": "m", "object": "thread.message", "created_at": None, "thread_id": None,
    "incomplete_details": None, "completed_at": None, "incomplete_at": None, "role": None,
    "content": [], "assistant_id": None, "run_id": None, "file_ids": (), "metadata": {},
}  # fmt: skip
READ_MESSAGE: dict[str, Any] = {
    **STREAM_MESSAGE, "incomplete_details": {}, "assistant_id": "", "run_id": "", "name": "",
    "plugin_call": {}, "tool_calls": [], "status": "",
}  # fmt: skip
STREAM_RUN: dict[str, Any] = {
    "id": "r", "object": "thread.run", "created_at": None, "thread_id": None,
    "assistant_id": None, "status": "queued", "required_action": None, "last_error": None,
    "expires_at": None, "started_at": None, "cancelled_at": None, "failed_at": None,
    "completed_at": None, "model": None, "instructions": "", "tools": (), "file_ids": (),
    "metadata": {}, "usage": None, "temperature": None, "top_p": None, "top_k": None,
    "max_tokens": None, "truncation_strategy": None,
}  # fmt: skip
READ_RUN: dict[str, Any] = {
    **STREAM_RUN, "required_action": {}, "last_error": {}, "expires_at": 0, "started_at": 0,
    "cancelled_at": 0, "failed_at": 0, "completed_at": 0,
}  # fmt: skip
STEP: dict[str, Any] = {
    "id": "s", "object": "thread.run.step", "created_at": None, "assistant_id": None,
    "thread_id": None, "run_id": None, "type": None, "status": None, "step_details": None,
    "last_error": None, "expired_at": None, "cancelled_at": None, "failed_at": None,
    "completed_at": None, "metadata": {}, "usage": None,
}  # fmt: skip
LISTED_STEP: dict[str, Any] = {
    **STEP, "last_error": {"code": "", "message": ""}, "expired_at": 0, "cancelled_at": -1,
    "failed_at": -1, "completed_at": -1, "usage": {},
}  # fmt: skip
DELETED: dict[str, Any] = {"id": "t", "object": "thread.deleted", "deleted": True}

BARE_RUN = Run(id="r", status="queued")


@pytest.mark.parametrize(
    ("obj", "read", "listed"),
    [
        (Assistant(id="a"), ASSISTANT, ASSISTANT),
        (Thread(id="t"), THREAD, THREAD),
        (Message(id="m"), READ_MESSAGE, READ_MESSAGE),
        (BARE_RUN, READ_RUN, READ_RUN),
        (RunStep(id="s"), STEP, LISTED_STEP),
        (Deleted(id="t", object="thread.deleted"), DELETED, DELETED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_is_said_as_the_call_says_it(
    obj: Model, read: dict[str, Any], listed: dict[str, Any]
) -> None:
    """A read object and a listed one have these fields, in this order, with these "none"s (§3)."""
    assert list(spell(obj).items()) == list(read.items())
    assert list(spell_item(obj).items()) == list(listed.items())


@pytest.mark.parametrize(
    ("event", "name", "body"),
    [
        (ThreadEvent(thread=Thread(id="t")), "thread.created", THREAD),
        (RunEvent(status="queued", run=BARE_RUN), "thread.run.queued", STREAM_RUN),
        (StepEvent(status="completed", step=RunStep(id="s")), "thread.run.step.completed", STEP),
        (
            MessageEvent(status="completed", message=Message(id="m", name="n", status="x")),
            "thread.message.completed",
            STREAM_MESSAGE,
        ),
    ],
)
def test_nothing_is_null_in_a_stream(event: Event, name: str, body: dict[str, Any]) -> None:
    """In a stream "none" is null, but for instructions; a message has fewer fields (§3.4, §7.6)."""
    spelled_name, spelled = spell_event(event)

    assert spelled_name == name
    assert list(spelled.items()) == list(body.items())


def test_a_new_run_is_answered_short() -> None:
    """The first answer to a run has no times, no action and no usage (§3.5)."""
    assert spell(Run(id="r", status="queued", failed_at=1), SHORT_RUN) == {
        "id": "r", "object": "thread.run", "created_at": None, "thread_id": None,
        "assistant_id": None, "status": "queued", "model": None, "instructions": "",
        "tools": (), "metadata": {},
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "time"), [("tool_calls", None), ("message_creation", 5)])
def test_an_answered_step_has_no_time_in_a_stream(kind: str, time: int | None) -> None:
    """A step of tools completes without a time in a stream (§5.5); when read it has one."""
    step = RunStep(id="s", type=kind, completed_at=5)

    assert spell_event(StepEvent(status="completed", step=step))[1]["completed_at"] == time
    assert spell(step)["completed_at"] == 5


STAMPED = Run(
    id="r", status="queued", expires_at=1, started_at=2, cancelled_at=3, failed_at=4, completed_at=5
)


def test_a_run_in_a_stream_has_no_times() -> None:
    """Times are null in a stream even when the run has completed; an answer has them (§3.5)."""
    assert spell_event(RunEvent(status="queued", run=STAMPED))[1] == STREAM_RUN
    times = ("expires_at", "started_at", "cancelled_at", "failed_at", "completed_at")
    assert [spell(STAMPED)[name] for name in times] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("change", "spelled"),
    [
        ({"last_error": LastError(code="c")}, {"code": "c", "message": ""}),
        ({"last_error": LastError(message="m")}, {"code": "", "message": "m"}),
        (
            {"usage": Usage(input_tokens=1, output_tokens=2, total_tokens=3, prompt_tokens=1)},
            {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        ),
        (
            {"required_action": RequiredAction(
                submit_tool_outputs=SubmitToolOutputs(tool_calls=(FUNCTION,)))},
            {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {"tool_calls": [SPELLED_FUNCTION]},
            },
        ),
        ({"temperature": 0.5}, 0.5),
        ({"truncation_strategy": TruncationStrategy()}, TruncationStrategy()),
    ],
)  # fmt: skip
def test_a_field_of_a_run_is_spelled(change: dict[str, Any], spelled: Any) -> None:
    """Errors, usage and calls have the wire's shape in answers and streams alike."""
    (field,) = change
    run = Run(id="r", **change)

    assert spell(run)[field] == spelled
    assert spell_event(RunEvent(status="queued", run=run))[1][field] == spelled


@pytest.mark.parametrize(
    ("details", "spelled"),
    [
        (
            StepDetails(type="message_creation", message_creation=MessageCreation(message_id="m")),
            {"type": "message_creation", "message_creation": {"message_id": "m"}},
        ),
        (StepDetails(type="tool_calls"), {"type": "tool_calls", "tool_calls": []}),
        (
            StepDetails(type="tool_calls", tool_calls=(FUNCTION, PLUGIN)),
            {"type": "tool_calls", "tool_calls": [SPELLED_FUNCTION, SPELLED_PLUGIN]},
        ),
    ],
)
def test_details_of_a_step_are_spelled(details: StepDetails, spelled: Any) -> None:
    """A message or calls; a plugin's call is under the plugin's own name (§3.6)."""
    step = RunStep(id="s", step_details=details)

    assert spell(step)["step_details"] == spelled
    assert spell_item(step)["step_details"] == spelled
    assert spell_event(StepEvent(status="completed", step=step))[1]["step_details"] == spelled


def test_a_message_has_its_parts_and_calls() -> None:
    """Text and images as parts, calls as calls."""
    image = Content(type="image_file", image_file=ImageFile(file_id="f"))
    body = spell(Message(id="m", content=(TEXT, image), tool_calls=(PLUGIN,), role="user"))

    spelled_image = {"type": "image_file", "image_file": {"file_id": "f"}}
    assert body["content"] == [SPELLED_TEXT, spelled_image]
    assert (body["tool_calls"], body["role"]) == ([SPELLED_PLUGIN], "user")


@pytest.mark.parametrize(
    ("event", "content"),
    [
        (MessageDelta(message_id="m", text="hi"), [SPELLED_TEXT]),
        (MessageDelta(message_id="m", text="hihi", content=(TEXT, TEXT)), [SPELLED_TEXT] * 2),
        (
            MessageDelta(message_id="m"),
            [{"type": "text", "text": {"value": "", "annotations": []}}],
        ),
    ],
)
def test_a_message_delta_has_a_list_of_parts(event: MessageDelta, content: list[Any]) -> None:
    """The content is always a list, or the official SDK fails; the last text is empty (§5.3)."""
    assert spell_event(event) == (
        "thread.message.delta",
        {
            "id": "m",
            "object": "thread.message.delta",
            "delta": {"role": "assistant", "content": content, "file_ids": []},
        },
    )


def test_a_step_delta_has_its_calls() -> None:
    """The growing call of a plugin, under the plugin's own name (§5.4)."""
    assert spell_event(StepDelta(step_id="s", tool_calls=(PLUGIN,))) == (
        "thread.run.step.delta",
        {
            "id": "s",
            "object": "thread.run.step.delta",
            "delta": {"step_details": {"type": "tool_calls", "tool_calls": [SPELLED_PLUGIN]}},
        },
    )


@pytest.mark.parametrize(
    ("plugin", "spelled"),
    [
        (PluginCall(arguments="1"), {"type": "calc", "calc": {"arguments": "1"}}),
        (PluginCall(arguments=""), {"type": "calc", "calc": {"arguments": ""}}),
        (PluginCall(output="2"), {"type": "calc", "calc": {"output": "2"}}),
        (PluginCall(output=""), {"calc": {"output": ""}}),
    ],
)
def test_a_growing_call_says_only_what_is_new(plugin: PluginCall, spelled: Any) -> None:
    """No id, no nulls; what follows the output, an empty one, has no type either (§5.4)."""
    call = ToolCall(type="calc", plugin=plugin)
    _, body = spell_event(StepDelta(step_id="s", tool_calls=(call,)))

    assert body["delta"]["step_details"]["tool_calls"] == [spelled]


WITH_PLUGIN = RunStep(
    id="s",
    type="tool_calls",
    status="completed",
    completed_at=5,
    step_details=StepDetails(type="tool_calls", tool_calls=(PLUGIN,)),
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "in_progress"),
        ({"status": "in_progress"}, "in_progress"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "failed"}, "failed"),
        ({"step_details": None}, "completed"),
        ({"step_details": StepDetails(type="tool_calls", tool_calls=(FUNCTION,))}, "completed"),
        ({"step_details": StepDetails(type="tool_calls")}, "completed"),
        ({"type": "message_creation"}, "completed"),
    ],
)
def test_a_completed_plugin_is_in_progress_in_a_stream(change: dict[str, Any], status: str) -> None:
    """Only a plugin's completed step disagrees with its event (§5.5, §7.8); read, it does not."""
    step = msgspec.structs.replace(WITH_PLUGIN, **change)

    name, body = spell_event(StepEvent(status=step.status or "", step=step))
    assert (name, body["status"]) == (f"thread.run.step.{step.status}", status)
    assert spell(step)["status"] == spell_item(step)["status"] == step.status


@pytest.mark.parametrize(
    ("kind", "plugin", "read", "listed"),
    [
        (
            "quark_search",
            PluginCall(arguments="1", output="2"),
            {"arguments": "1", "output": "2"},
            {"input": "1", "output": "2"},
        ),
        ("quark_search", PluginCall(output="2"), {"output": "2"}, {"output": "2"}),
        (
            "calculator",
            PluginCall(arguments="1", output="2"),
            {"arguments": "1", "output": "2"},
            {"arguments": "1", "output": "2"},
        ),
    ],
)
def test_a_listed_search_has_its_input(
    kind: str, plugin: PluginCall, read: dict[str, str], listed: dict[str, str]
) -> None:
    """Of what plugins are given, only a search's is called `input`, and in lists (§3.6, §7.11)."""
    details = StepDetails(type="tool_calls", tool_calls=(ToolCall(type=kind, plugin=plugin),))
    step = RunStep(id="s", step_details=details)

    def inner(body: dict[str, Any]) -> list[Any]:
        (call,) = body["step_details"]["tool_calls"]
        assert (call["id"], call["type"]) == ("", kind)
        return list(call[kind].items())

    assert inner(spell(step)) == list(read.items())
    assert inner(spell_item(step)) == list(listed.items())
    assert inner(spell_event(StepEvent(status="failed", step=step))[1]) == list(read.items())


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (RunEvent(status="queued", run=BARE_RUN, name="created"), "thread.run.created"),
        (RunEvent(status="queued", run=BARE_RUN, name="thread.run.created"), "thread.run.created"),
        (RunEvent(status="failed", run=BARE_RUN), "thread.run.failed"),
        (StepEvent(status="in_progress", step=RunStep(id="s"), name="created"),
         "thread.run.step.created"),
        (StepEvent(status="expired", step=RunStep(id="s")), "thread.run.step.expired"),
        (MessageEvent(status="in_progress", message=Message(id="m"), name="created"),
         "thread.message.created"),
        (MessageEvent(status="incomplete", message=Message(id="m")), "thread.message.incomplete"),
        (ThreadEvent(thread=Thread(id="t"), name="anything"), "thread.created"),
    ],
)  # fmt: skip
def test_an_event_has_the_wires_name(event: Event, name: str) -> None:
    """The wire's own name is kept; else the name is made of the kind and what it came to."""
    assert spell_event(event)[0] == name


@pytest.mark.parametrize(
    ("event", "name", "body"),
    [
        (
            ErrorEvent(code="InternalError", message="no", request_id="r"),
            "error",
            {"code": "InternalError", "message": "no"},
        ),
        (UnknownEvent(name="x", data={"a": 1}), "x", {"a": 1}),
        (UnknownEvent(name="x", data=[1]), "x", {"data": [1]}),
        (UnknownEvent(name="x"), "x", {"data": None}),
    ],
)
def test_other_events_are_objects_too(event: Event, name: str, body: dict[str, Any]) -> None:
    """An error, and an event of no known kind, are JSON objects."""
    assert spell_event(event) == (name, body)


def test_an_event_of_ours_is_not_of_this_wire() -> None:
    """What this library adds to a stream cannot be served."""
    with pytest.raises(TypeError, match="ToolStarted"):
        spell_event(ToolStarted(call=FUNCTION))


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_spelled_object_reads_back(kind: type[Model], data: st.DataObject) -> None:
    """What is spelled, read or listed, decodes into the same object (before it is JSON)."""
    obj = data.draw(OBJECTS[kind])

    assert codec.model(kind, plain(spell(obj))) == obj
    assert codec.model(kind, plain(spell_item(obj))) == obj


@given(short_runs)
@settings(max_examples=20, deadline=None)
def test_a_short_run_reads_back(run: Run) -> None:
    """The short answer says all that a run has at its beginning."""
    assert codec.model(Run, plain(spell(run, SHORT_RUN))) == run


def plain(body: dict[str, Any]) -> Any:
    """A spelled object as it comes out of JSON."""
    return parse(msgspec.json.encode(body))
