"""What the SDK hides of the wire: fields, nulls, headers and frames, by plain requests."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    CALL,
    INVALID,
    SDK,
    WEATHER,
    begin,
    new_assistant,
    new_thread,
    upload,
)
from wire import UUID, Wire

ASSISTANT = [
    "id", "name", "description", "instructions", "tools", "created_at", "thought_instructions",
    "chat_instructions", "response_format", "file_ids", "metadata",
]  # fmt: skip
THREAD = ["id", "object", "created_at", "metadata"]
MESSAGE = [
    "id", "object", "role", "content", "created_at", "thread_id", "assistant_id", "run_id",
    "file_ids",
]  # fmt: skip
FILE = ["id", "bytes", "object", "purpose", "create_at", "filename", "classification_id"]
TIMES = ["created_at", "started_at", "expired_at", "cancelled_at", "failed_at", "completed_at"]
RESULT = [
    "id", "object", "status", "log_id", "assistant_id", "thread_id", *TIMES, "required_action",
    "final_answer", "last_error",
]  # fmt: skip
RUN = [
    "id", "object", "assistant_id", "thread_id", "model", "instructions", "thought_instructions",
    "chat_instructions", "tools", "file_ids", "status", "required_action", "last_error",
    "final_answer", *TIMES,
]  # fmt: skip
STEP = [
    "id", "object", "assistant_id", "thread_id", "run_id", "status", *TIMES, "last_error",
]  # fmt: skip


def answer_to(wire: Wire, path: str, **body: Any) -> dict[str, Any]:
    """The body of an answer that is no error, and names its request in a header only."""
    answer = wire.post(f"/v2{path}", body)
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "application/json")
    assert re.fullmatch(UUID, answer.headers["x-appbuilder-request-id"])
    told: dict[str, Any] = answer.json
    assert not {"error", "request_id", "requestId"} & set(told)
    return told


def events_of(wire: Wire, text: str, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    """The frames of a run on a thread of its own."""
    given = {"assistant_id": new_assistant().id, "thread_id": new_thread(text), "stream": True}
    answer = wire.post("/v2/threads/runs", {**given, **body})
    assert answer.status == 200
    return [(name, json.loads(data)) for name, data in answer.spaced_frames]


def test_assistant_has_the_documented_fields(wire: Wire) -> None:
    """Made, changed, read and listed, it has them all, and none of them is left out."""
    made = answer_to(wire, "/assistants", model="m", name="n")
    assert made["object"] == "assistant"
    changed = answer_to(wire, "/assistants/update", assistant_id=made["id"])
    assert changed["model"] == "m"
    read = answer_to(wire, "/assistants/query", assistant_id=made["id"])
    (listed,) = answer_to(wire, "/assistants/list", limit=1)["data"]
    for found in (made, changed, read, listed):
        assert set(ASSISTANT) <= set(found)
    assert (made["metadata"], made["tools"], made["file_ids"]) == (None, [], [])


def test_thread_and_message_have_the_documented_fields(wire: Wire) -> None:
    """No more and no less, in every answer."""
    made = answer_to(wire, "/threads", messages=[{"content": "x"}])
    ids = {"thread_id": made["id"]}
    for thread in (made, answer_to(wire, "/threads/query", **ids)):
        assert set(thread) == set(THREAD)
        assert (thread["object"], thread["metadata"]) == ("thread", {})
    message = answer_to(wire, "/threads/messages", content="x", **ids)
    ids["message_id"] = message["id"]
    (newest,) = answer_to(wire, "/threads/messages/list", limit=1, **ids)["data"]
    for found in (
        message,
        newest,
        answer_to(wire, "/threads/messages/query", **ids),
        answer_to(wire, "/threads/messages/update", content="x", **ids),
    ):
        assert set(found) == set(MESSAGE)
        assert found["content"] == [{"type": "text", "text": {"value": "x", "annotations": []}}]


def test_file_has_the_documented_fields(wire: Wire, tmp_path: Path) -> None:
    """A new one has no audit and no type yet; read and listed it has."""
    made = wire.send_form("/v2/storage/files", [], [("file", ("a.png", b"x"))]).json
    assert set(made) == set(FILE)
    read = answer_to(wire, "/storage/files/query", file_id=made["id"])
    listed = answer_to(wire, "/storage/files/list")["data"]
    assert set(read) == {*FILE, "censored", "file_type"}
    assert read in listed


def test_files_of_others_have_the_documented_fields(wire: Wire, tmp_path: Path) -> None:
    """A mounted file names its assistant, a message's file its message, and both the file."""
    file = upload(tmp_path).id
    ids = {"assistant_id": new_assistant().id}
    mounted = answer_to(wire, "/assistants/files", file_id=file, **ids)
    assert answer_to(wire, "/assistants/files/list", **ids)["data"] == [mounted]
    assert mounted == {**mounted, "id": file, **ids}
    assert set(mounted) == {"id", "object", "created_at", "assistant_id"}
    ids = {"thread_id": new_thread()}
    message = SDK.threads.messages.create(ids["thread_id"], "x", file_ids=[file]).id
    (of_message,) = answer_to(wire, "/threads/messages/files/list", message_id=message, **ids)[
        "data"
    ]
    assert of_message == {**of_message, "id": file, "message_id": message}
    assert set(of_message) == {"id", "object", "created_at", "message_id"}


def test_run_is_answered_in_its_own_flavour(wire: Wire) -> None:
    """The result of a call has a log's id and an answer, and not what the run was given."""
    ids = {"assistant_id": new_assistant().id, "thread_id": new_thread("你好")}
    made = answer_to(wire, "/threads/runs", **ids, stream=False)
    assert set(made) == set(RESULT)
    assert (made["object"], bool(made["log_id"])) == ("run.result", True)
    (part,) = made["final_answer"]["message"]["content"]
    assert part == {"type": "text", "text": {"value": "你好", **part["text"]}}
    waiting = answer_to(wire, "/threads/runs", **ids, thread={"messages": [{"content": CALL}]})
    (call,) = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert waiting["required_action"]["type"] == "submit_tool_outputs"
    function = {"name": "get_weather", "arguments": '{"city":"杭州"}'}
    assert call == {"id": call["id"], "type": "function", "function": function}
    assert waiting["final_answer"] is None


def test_read_run_and_step_have_the_documented_fields(wire: Wire) -> None:
    """Read and listed, none is left out; what the SDK calls `step_datail` is spelled so."""
    run = begin("hello")
    ids = {"thread_id": run.thread_id, "run_id": run.id}
    read = answer_to(wire, "/threads/runs/query", **ids)
    (listed,) = answer_to(wire, "/threads/runs/list", **ids)["data"]
    assert set(RUN) == set(read) == set(listed)
    assert (read["object"], read["tools"], listed["tools"]) == ("thread.run", [], None)
    (step,) = answer_to(wire, "/threads/runs/steps/list", **ids)["data"]
    found = answer_to(wire, "/threads/runs/steps/query", step_id=step["id"], **ids)
    for item in (step, found):
        assert set(item) == {*STEP, "type", "step_datail"}
        assert (item["last_error"], item["type"]) == ("", None)
    assert (step["assistant_id"], found["assistant_id"]) == (run.assistant_id, None)


def test_lists_say_where_they_begin_and_end(wire: Wire) -> None:
    """The envelope is the same for all lists but that of files; with nothing in it as well."""
    thread = new_thread()
    page = answer_to(wire, "/threads/messages/list", thread_id=thread)
    assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
    assert (page["object"], page["data"], page["has_more"]) == ("list", [], False)
    assert not page["first_id"]
    assert not page["last_id"]


@pytest.mark.parametrize("nothing", [None, ""], ids=repr)
def test_null_and_empty_are_as_good_as_absent(nothing: Any, wire: Wire) -> None:
    """A cursor, a thread's id or an output's run that is empty was not given."""
    thread = new_thread("one")
    page = {"thread_id": thread, "limit": None, "order": None, "after": nothing, "before": nothing}
    assert len(answer_to(wire, "/threads/messages/list", **page)["data"]) == 1
    made = new_assistant().id
    nulls = dict.fromkeys(
        ("model", "instructions", "tools", "metadata", "model_parameters", "tool_output",
         "user_info", "user_loc", "response_format", "stream")
    )  # fmt: skip
    message = {"content": "x", "role": None, "file_ids": None}
    run = answer_to(
        wire, "/threads/runs", assistant_id=made, thread_id=nothing,
        thread={"messages": [message], "metadata": None}, **nulls,
    )  # fmt: skip
    assert (run["status"], run["thread_id"] != thread) == ("completed", True)


def test_stream_is_asked_for_by_the_body_alone(wire: Wire) -> None:
    """No header asks for it; the answer says that it is one, and which request it answers."""
    ids = {"assistant_id": new_assistant().id, "thread_id": new_thread("x")}
    answer = wire.post("/v2/threads/runs", {**ids, "stream": True}, Accept="application/json")
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/event-stream")
    assert re.fullmatch(UUID, answer.headers["x-appbuilder-request-id"])


def test_frames_are_those_of_the_notes(wire: Wire) -> None:
    """Two names of frames, compact JSON that is not escaped, and no closing mark."""
    ids = {"assistant_id": new_assistant().id, "thread_id": new_thread("你好")}
    answer = wire.post("/v2/threads/runs", {**ids, "stream": True})
    names = [name for name, _ in answer.spaced_frames]
    assert names == ["status", "status", "status", "message", "status", "status"]
    assert "你好" in answer.body.decode()
    assert b"[DONE]" not in answer.body
    for _, data in answer.spaced_frames:
        assert data == json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":"))


def test_message_frame_is_as_observed(wire: Wire) -> None:
    """Never the end, an index that is a text, and the text in a list of parts."""
    (frame,) = [body for name, body in events_of(wire, "hey") if name == "message"]
    assert frame == {
        "status": "completed",
        "send_id": 4,
        "is_end": 0,
        "message_id": frame["message_id"],
        "message_index": "",
        "content": [{"type": "text", "text": {"value": "hey", **frame["content"][0]["text"]}}],
    }


def test_status_frames_are_as_observed(wire: Wire) -> None:
    """Five fields, and details whose type names the member that is there."""
    for name, body in events_of(wire, "/say Hel\n/fail server_error broke"):
        if name == "message":
            continue
        assert set(body) == {"status", "send_id", "message", "event_type", "details"}
        details = {key for key, value in body["details"].items() if value is not None} - {"type"}
        assert body["details"]["type"] in details
        expected = {body["details"]["type"]}
        if body["event_type"] == "run_end":
            expected.add("error_info")
        assert details == expected


def test_streamed_objects_have_the_documented_fields(wire: Wire) -> None:
    """A run in a stream has what a read one has; a step has neither type nor details."""
    for _, body in events_of(wire, "hello", instructions="i"):
        for kind, expected in (("run_object", RUN), ("run_step_object", STEP)):
            found = body.get("details", {}).get(kind)
            if found is not None:
                assert set(found) == set(expected)
                assert found["last_error"] is None


def test_texts_of_events_name_the_log(wire: Wire) -> None:
    """The first and the last event name the same log, as observed."""
    events = events_of(wire, "hello")
    texts = {body["event_type"]: body["message"] for name, body in events if name == "status"}
    (log,) = {re.search(f"logId:({UUID})", texts[kind])[1] for kind in ("run_begin", "run_end")}
    assert log
    assert (texts["run_begin"].startswith("begin to run"), texts["tool_step_begin"]) == (
        True,
        "begin to run step",
    )
    assert (texts["message_creation"], texts["tool_step_end"]) == ("message created", "step end")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/assistants/list", {"limit": "x"}, "limit"),
        ("/assistants/list", {"limit": 1.5}, "limit"),
        ("/assistants/list", {"limit": True}, "limit"),
        ("/assistants/list", {"order": "down"}, "order"),
        ("/assistants/list", {"after": 7}, "after"),
        ("/assistants/query", {}, "assistant_id"),
        ("/assistants/query", {"assistant_id": 7}, "assistant_id"),
        ("/assistants", {"name": "n"}, "model"),
        ("/assistants", {"model": 7, "name": "n"}, "model"),
        ("/threads/messages", {"thread_id": "t"}, "content"),
        ("/threads/runs/query", {"thread_id": "t"}, "run_id"),
        ("/threads/runs", {"assistant_id": "a", "thread": {"messages": 7}}, "messages"),
        ("/storage/files/query", {}, "file_id"),
        ("/storage/files/query", {"file_id": 7}, "file_id"),
    ],
    ids=str,
)
def test_wrong_values_are_refused(path: str, body: dict[str, Any], field: str, wire: Wire) -> None:
    """What is missing or of another kind is told by its name."""
    answer = wire.post(f"/v2{path}", body)
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
    assert field in answer.json["error"]["message"]


def test_name_of_an_assistant_is_optional_on_the_wire(wire: Wire) -> None:
    """The SDK wants one; the HTTP document does not."""
    made = answer_to(wire, "/assistants", model="m", tools=[WEATHER])
    assert SDK.assistants.query(made["id"]).tools[0].function.name == "get_weather"


def test_fields_that_nobody_knows_are_passed_over(wire: Wire) -> None:
    """A newer client may send more."""
    made = answer_to(wire, "/threads", messages=[], nobody_knows=[1])
    assert made["object"] == "thread"
