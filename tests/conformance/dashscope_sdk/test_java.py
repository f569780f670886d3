"""What only the vendor's Java SDK sends, as plain requests: its constant and its fields."""

from typing import Any

import pytest
from dashscope import Messages, Runs, Threads
from dashscope.threads.messages.files import Files as MessageFiles
from dashscope_sdk.calls import INVALID, error_of, ids_of, new_assistant, new_thread
from wire import Answer, Wire

HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Accept": "application/json; charset=utf-8",
    "user-agent": "dashscope/2.22.0; java/17.0.12; platform/Linux; processor/amd64",
}
CONSTANT = {"response_format": "json_object"}
FIELDS = {
    "truncation_strategy": {"type": "last_messages", "last_messages": 3},
    "max_prompt_tokens": 1000,
    "max_completion_tokens": 500,
    "tool_choice": "auto",
    **CONSTANT,
}
MORE = [
    {"role": "user", "content": "一", "metadata": {"a": "b"}},
    {"role": "assistant", "content": "two", "file_ids": ["f"]},
    {"role": "user", "content": "/say three"},
]


def post(wire: Wire, path: str, **body: Any) -> Answer:
    """A request as the Java SDK makes it, which is taken."""
    answer = wire.call("POST", path, body, HEADERS)
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.parametrize("new", [False, True], ids=["thread", "new thread"])
def test_constant_of_every_run_is_taken(new: bool, wire: Wire) -> None:
    """The Java SDK sends `response_format` with every run, in its streams too; the run keeps it."""
    body = {"assistant_id": new_assistant().id, **CONSTANT}
    thread = Threads.create().id
    path = "/threads/runs" if new else f"/threads/{thread}/runs"
    made = post(wire, path, stream=False, **body).json
    run = Runs.wait(made["id"], thread_id=made["thread_id"])
    assert (run.status, run.response_format) == ("completed", "json_object")
    streamed = post(wire, path, stream=True, **body)
    assert "text/event-stream" in streamed.content_type
    assert [name for name, _ in streamed.frames][-2:] == ["thread.run.completed", "done"]


def test_fields_of_a_run_are_kept(wire: Wire) -> None:
    """What only the Java SDK has a name for is in the run that is read and in the list."""
    thread = new_thread("hello").id
    body = {"assistant_id": new_assistant().id, "parallel_tool_calls": True, **FIELDS}
    made = post(wire, f"/threads/{thread}/runs", **body).json
    for found in (Runs.get(made["id"], thread_id=thread), Runs.list(thread).data[0]):
        assert {name: found[name] for name in FIELDS} == FIELDS


def test_fields_reach_the_wire_from_python() -> None:
    """The Python SDK has no name for these fields, but `extra_body`."""
    made = Runs.create_thread_and_run(assistant_id=new_assistant().id, extra_body=FIELDS)
    run = Runs.get(made.id, thread_id=made.thread_id)
    assert {name: run[name] for name in FIELDS} == FIELDS


@pytest.mark.parametrize("new", [False, True], ids=["thread", "new thread"])
def test_additional_messages_come_before_the_run(new: bool) -> None:
    """They are added to the thread in their order, and the newest of the user is answered."""
    ids = {"assistant_id": new_assistant().id, "extra_body": {"additional_messages": MORE}}
    if new:
        messages = [{"role": "user", "content": "first"}]
        made = Runs.create_thread_and_run(thread={"messages": messages}, **ids)
    else:
        made = Runs.create(new_thread("first").id, **ids)
    assert Runs.wait(made.id, thread_id=made.thread_id).status == "completed"
    data = Messages.list(made.thread_id, order="asc").data
    assert [(item.role, item.content[0].text.value) for item in data] == [
        ("user", "first"),
        *((item["role"], item["content"]) for item in MORE),
        ("assistant", "three"),
    ]
    assert data[1].metadata == {"a": "b"}
    assert ids_of(MessageFiles.list(data[2].id, thread_id=made.thread_id)) == ["f"]


@pytest.mark.parametrize(
    "field",
    [
        {"parallel_tool_calls": "yes"},
        {"max_prompt_tokens": "many"},
        {"max_completion_tokens": [1]},
        {"truncation_strategy": "last_messages"},
        {"additional_messages": [{"role": "user", "content": ""}]},
        {"additional_messages": [{"role": "user"}]},
        {"additional_messages": [{"role": "system", "content": "x"}]},
        {"additional_messages": {"role": "user", "content": "x"}},
    ],
    ids=str,
)
def test_field_of_the_wrong_kind_begins_no_run(field: dict[str, Any]) -> None:
    """These fields are read: one that cannot be is a 400, and leaves the thread as it was."""
    thread = new_thread("hello").id
    refused = Runs.create(thread, assistant_id=new_assistant().id, extra_body=field)
    assert error_of(refused)[:2] == (400, INVALID)
    assert Runs.list(thread).data == []
    assert len(Messages.list(thread).data) == 1


@pytest.mark.parametrize("field", ["parallel_tool_calls", *FIELDS, "additional_messages"])
def test_null_field_was_not_sent(field: str) -> None:
    """A null is as good as nothing here, too."""
    made = Runs.create_thread_and_run(assistant_id=new_assistant().id, extra_body={field: None})
    assert made.status_code == 200
