"""The wire itself, where the SDK hides it or cannot ask: fields, framing, refusals."""

import json
import re
from typing import Any

import pytest
from dashscope import Runs
from dashscope_sdk.calls import (
    INVALID,
    KINDS,
    begin,
    finish,
    new_assistant,
    new_thread,
    outputs_for,
)
from wire import UUID, Wire

RUN = [
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "required_action",
    "last_error", "expires_at", "started_at", "cancelled_at", "failed_at", "completed_at", "model",
    "instructions", "tools", "file_ids", "metadata", "usage", "temperature", "top_p", "top_k",
    "max_tokens", "truncation_strategy", "request_id",
]  # fmt: skip
STEP = [
    "id", "object", "created_at", "assistant_id", "thread_id", "run_id", "type", "status",
    "step_details", "last_error", "expired_at", "cancelled_at", "failed_at", "completed_at",
    "metadata", "usage", "request_id",
]  # fmt: skip
MESSAGE = [
    "id", "object", "created_at", "thread_id", "incomplete_details", "completed_at",
    "incomplete_at", "role", "content", "assistant_id", "run_id", "file_ids", "metadata",
    "request_id",
]  # fmt: skip
FIELDS = {
    "thread.created": ["id", "object", "created_at", "metadata", "request_id"],
    "thread.message.delta": ["id", "object", "delta", "request_id"],
    "thread.message": MESSAGE,
    "thread.run.step": STEP,
    "thread.run": RUN,
}
Frames = list[tuple[str, dict[str, Any]]]


def frames_of(wire: Wire, path: str, body: dict[str, Any]) -> Frames:
    """The frames of a stream before its closing one."""
    answer = wire.call("POST", path, {**body, "stream": True})
    assert answer.status == 200
    *frames, closing = answer.frames
    assert closing == ("done", "[DONE]")
    return [(name, json.loads(data)) for name, data in frames]


def run_frames(wire: Wire, text: str) -> Frames:
    """The frames of a run on a thread of its own."""
    path = f"/threads/{new_thread(text).id}/runs"
    return frames_of(wire, path, {"assistant_id": new_assistant().id})


def test_stream_says_what_it_is(wire: Wire) -> None:
    """The content type names an event stream; nobody has to ask for one in a header."""
    body = {"assistant_id": new_assistant().id, "stream": True}
    answer = wire.call("POST", "/threads/runs", body, {"Accept": "application/json"})
    assert answer.status == 200
    assert "text/event-stream" in answer.content_type


def test_frames_are_compact_and_close_with_done(wire: Wire) -> None:
    """One event line, one data line, no space after the colons, text that is not escaped."""
    body = {
        "assistant_id": new_assistant().id,
        "thread": {"messages": [{"role": "user", "content": "你好"}]},
        "stream": True,
    }
    answer = wire.call("POST", "/threads/runs", body)
    assert answer.frames[-1] == ("done", "[DONE]")
    for _, data in answer.frames[:-1]:
        assert data == json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":"))
    assert "你好" in answer.body.decode()


def test_fields_of_every_frame_are_those_observed(wire: Wire) -> None:
    """Each object in a stream has the observed fields, in their order."""
    thread = {"messages": [{"role": "user", "content": "/say Hel\n/call f {}"}]}
    body = {"assistant_id": new_assistant().id, "thread": thread}
    for name, data in frames_of(wire, "/threads/runs", body):
        expected = next(FIELDS[kind] for kind in FIELDS if name.startswith(kind))
        assert list(data) == expected, name


def test_every_frame_carries_the_id_of_its_request(wire: Wire) -> None:
    """One request has one id, in all its frames."""
    (request_id,) = {data["request_id"] for _, data in run_frames(wire, "hello")}
    assert re.fullmatch(UUID, request_id)


def test_streamed_run_spells_none_as_null(wire: Wire) -> None:
    """In a stream times are null, also when the run has completed, and so is what is not set."""
    body = {"assistant_id": new_assistant(instructions="i").id}
    for name, data in frames_of(wire, "/threads/runs", body):
        if data["object"] != "thread.run":
            continue
        nulls = [key for key in RUN if data[key] is None]
        usage = [] if name == "thread.run.completed" else ["usage"]
        assert nulls == [*RUN[6:13], *usage, *RUN[-6:-1]]


def test_run_without_instructions_has_an_empty_text(wire: Wire) -> None:
    """Instructions are a text in every run, as in the assistant that has none."""
    assistant = new_assistant().id
    frames = frames_of(wire, "/threads/runs", {"assistant_id": assistant})
    run = frames[-1][1]
    read = wire.call("GET", f"/threads/{run['thread_id']}/runs/{run['id']}").json
    created = wire.call("POST", "/threads/runs", {"assistant_id": assistant}).json
    assert [data["instructions"] for data in (run, read, created)] == ["", "", ""]


def test_delta_is_a_list_of_parts(wire: Wire) -> None:
    """The content of a delta is a list, or the SDK fails; the last one has no text."""
    deltas = [data for name, data in run_frames(wire, "hello") if name == "thread.message.delta"]
    assert {delta["object"] for delta in deltas} == {"thread.message.delta"}
    for delta in deltas:
        (part,) = delta["delta"]["content"]
        assert delta["delta"] == {"role": "assistant", "content": [part], "file_ids": []}
        assert part == {"type": "text", "text": {"value": part["text"]["value"], "annotations": []}}
    assert deltas[-1]["delta"]["content"][0]["text"]["value"] == ""


def test_required_action_has_no_output_yet(wire: Wire) -> None:
    """A call that waits has id, type, name and arguments; the output comes with the step."""
    name, run = run_frames(wire, '/call f {"a": 1}')[-1]
    (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert name == "thread.run.requires_action"
    function = {"name": "f", "arguments": '{"a": 1}'}
    assert call == {"id": call["id"], "type": "function", "function": function}
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
    name, step = frames_of(wire, path, outputs)[0]
    assert name == "thread.run.step.completed"
    assert step["step_details"] == {
        "type": "tool_calls",
        "tool_calls": [{**call, "function": {**function, "output": "rain"}}],
    }


def test_created_run_is_answered_short(wire: Wire) -> None:
    """The answer to a creation has eleven fields; the rest comes when the run is read."""
    body = {"assistant_id": new_assistant().id, "stream": False}
    answer = wire.call("POST", f"/threads/{new_thread('hi').id}/runs", body)
    assert answer.content_type.startswith("application/json")
    assert list(answer.json) == [*RUN[:6], *RUN[13:16], "metadata", "request_id"]


def test_read_run_spells_none_as_empty(wire: Wire) -> None:
    """A run that is read has `{}` and 0 for none, and the nulls of what is not set.

    While it waits it tells when it expires, which is 0 before and after.
    """
    run = finish("/call f {}")
    read = wire.call("GET", f"/threads/{run.thread_id}/runs/{run.id}").json
    assert list(read) == RUN
    assert read["last_error"] == {}
    assert read["expires_at"] > read["created_at"]
    ended = finish("hi")
    over = wire.call("GET", f"/threads/{ended.thread_id}/runs/{ended.id}").json
    assert over["expires_at"] == 0
    assert [read[key] for key in RUN[9:13]] == [0] * 4
    assert read["usage"] is None


def test_submitted_outputs_answer_with_the_action_still_there(wire: Wire) -> None:
    """The plain answer to outputs is the run in progress, its action filled, its usage null."""
    run = finish("/call f {}")
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
    answer = wire.call("POST", path, {"tool_outputs": outputs_for(run, "rain")}).json
    assert (answer["status"], answer["last_error"], answer["usage"]) == ("in_progress", {}, None)
    (call,) = answer["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert call["function"]["name"] == "f"
    assert [answer[key] for key in RUN[8:13]] == [0] * 5


def test_cancelling_needs_no_body(wire: Wire) -> None:
    """The SDK cancels by a POST without body and without content type."""
    run = begin("/wait 60")
    answer = wire.call("POST", f"/threads/{run.thread_id}/runs/{run.id}/cancel")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    assert list(answer.json) == RUN


@pytest.mark.parametrize("body", [b"", b'""', b"{}", b"  "], ids=repr)
def test_thread_is_made_of_nothing(body: bytes, wire: Wire) -> None:
    """A body that says nothing is none; the SDK sends an empty JSON text."""
    answer = wire.call("POST", "/threads", body)
    assert (answer.status, answer.json["metadata"]) == (200, {})


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"7", b'"x"', b"\xff", b"[" * 100_000, b'{"metadata": []}', b'{"messages": 1}'],
    ids=lambda body: repr(body[:20]),
)
def test_body_that_cannot_be_read_is_refused(body: bytes, wire: Wire) -> None:
    """What is no JSON object, or has a field of the wrong kind, is a 400."""
    answer = wire.call("POST", "/threads", body)
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    assert re.fullmatch(UUID, answer.json["request_id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/"),
        ("GET", "/assistants/a/b/c"),
        ("POST", "/threads/t/runs/r/nothing"),
        ("GET", "/threads/t/messages/m/n/o"),
    ],
)
def test_unknown_path_is_a_400(method: str, path: str, wire: Wire) -> None:
    """A path that leads nowhere is refused with the documented words."""
    answer = wire.call(method, path)
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    assert answer.json["message"] == "Invalid URL provided in your request."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/threads"),
        ("PUT", "/assistants/a"),
        ("PATCH", "/threads/t"),
        ("DELETE", "/threads/t/messages/m"),
        ("DELETE", "/threads/t/runs/r"),
        ("GET", "/threads/t/runs/r/cancel"),
        ("POST", "/threads/t/runs/r/steps"),
    ],
)
def test_wrong_method_is_a_400(method: str, path: str, wire: Wire) -> None:
    """There is no such call: updates are POST, and only assistants and threads are deleted."""
    answer = wire.call(method, path)
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    assert answer.json["message"] == f"Request method '{method}' is not supported."


def test_error_has_three_fields(wire: Wire) -> None:
    """An error is flat: code, message and the request's id."""
    answer = wire.call("GET", "/assistants/none")
    assert answer.content_type.startswith("application/json")
    assert list(answer.json) == ["code", "message", "request_id"]


def test_requests_have_ids_of_their_own(wire: Wire) -> None:
    """No two answers carry the same request id."""
    ids = {wire.call("GET", "/assistants").json["request_id"] for _ in range(3)}
    assert len(ids) == 3


def test_ids_are_read_unquoted(wire: Wire) -> None:
    """A quoted id in a path is the id."""
    made = new_assistant().id
    assert wire.call("GET", f"/assistants/{made.replace('_', '%5F')}").json["id"] == made


@pytest.mark.parametrize("value", ["yes", 1, "true"], ids=repr)
def test_stream_is_a_bool(value: Any, wire: Wire) -> None:
    """`stream` is true or false, and nothing that looks like it."""
    body = {"assistant_id": new_assistant().id, "stream": value}
    answer = wire.call("POST", f"/threads/{new_thread('hi').id}/runs", body)
    assert (answer.status, answer.json["code"]) == (400, INVALID)


def test_nulls_are_as_good_as_nothing(wire: Wire) -> None:
    """A field that is null was not sent."""
    nulls = dict.fromkeys(("model", "instructions", "tools", "metadata", "stream", "top_p"))
    body = {"assistant_id": new_assistant(instructions="kept").id, **nulls}
    answer = wire.call("POST", f"/threads/{new_thread('hi').id}/runs", body)
    assert (answer.status, answer.json["instructions"]) == (200, "kept")


def test_frames_can_be_converted_by_hand(wire: Wire) -> None:
    """`Runs.convert_stream_object`, which is public, makes of each frame what the SDK yields."""
    for name, data in run_frames(wire, "/say Hel\n/call f {}"):
        made = Runs.convert_stream_object(name, data)
        expected = next(KINDS[kind] for kind in KINDS if name.startswith(kind))
        assert type(made) is expected
        assert made.id == data["id"]
    assert Runs.convert_stream_object(event="thread.run.cancelling", item=data) is data
