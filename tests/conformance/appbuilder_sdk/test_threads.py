"""Threads: every call of the SDK."""

import re
from pathlib import Path
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    GONE,
    INVALID,
    SDK,
    answer_of,
    begin,
    new_assistant,
    new_thread,
    refused,
    upload,
)
from wire import UUID, Wire


def texts_of(thread: str) -> list[str]:
    """The texts of a thread's messages, oldest first."""
    messages = SDK.threads.messages.list(thread, order="asc").data
    return [message.content[0].text.value for message in messages]


def test_thread_needs_nothing() -> None:
    """A thread is made by a call without parameters."""
    made = SDK.threads.create()
    assert isinstance(made, SDK.type.ThreadCreateResponse)
    assert (made.object, made.metadata) == ("thread", {})
    assert re.fullmatch(f"thread_{UUID}", made.id)
    assert len(str(made.created_at)) == 13
    assert texts_of(made.id) == []


def test_thread_begins_with_messages(tmp_path: Path) -> None:
    """The messages of a new thread are there, in their order, whether objects or plain."""
    file = upload(tmp_path).id
    one = SDK.type.AssistantMessage(content="一", file_ids=[file])
    made = SDK.threads.create(messages=[one, {"content": "two", "role": "user"}])
    assert texts_of(made.id) == ["一", "two"]
    first = SDK.threads.messages.list(made.id, order="asc").data[0]
    assert (first.role, first.file_ids) == ("user", [file])


def test_messages_are_a_list() -> None:
    """The SDK refuses a single message."""
    with pytest.raises(ValueError, match="must be a list"):
        SDK.threads.create(SDK.type.AssistantMessage(content="hello"))


def test_thread_is_read_back_as_made() -> None:
    """Reading a thread gives what creating it gave."""
    made = SDK.threads.create([{"content": "hello"}])
    read = SDK.threads.query(thread_id=made.id)
    assert isinstance(read, SDK.type.ThreadQueryResponse)
    assert read.model_dump() == made.model_dump()


def test_sdk_drops_the_metadata_of_an_update(wire: Wire) -> None:
    """`threads.update` checks the metadata and sends `{}`; on the wire it is kept."""
    made = new_thread()
    changed = SDK.threads.update(thread_id=made, metadata={"k": "v"})
    assert isinstance(changed, SDK.type.ThreadUpdateResponse)
    assert (changed.id, SDK.threads.query(made).metadata) == (made, {})
    answer = wire.post("/v2/threads/update", {"thread_id": made, "metadata": {"键": "值"}})
    assert (answer.status, answer.json["metadata"]) == (200, {"键": "值"})
    assert SDK.threads.query(made).metadata == {"键": "值"}


def test_empty_metadata_keeps_what_is_there(wire: Wire) -> None:
    """The `{}` that the SDK always sends says nothing, as was observed."""
    made = wire.post("/v2/threads", {"messages": [], "metadata": {"k": "v"}}).json
    assert made["metadata"] == {"k": "v"}
    SDK.threads.update(made["id"])
    assert SDK.threads.query(made["id"]).metadata == {"k": "v"}


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        (123, TypeError),
        ({"k" * 65: "v"}, ValueError),
        ({"k": "v" * 513}, ValueError),
    ],
    ids=["no dict", "key", "value"],
)
def test_metadata_has_limits(metadata: Any, error: type[Exception], wire: Wire) -> None:
    """The SDK checks them for threads only; the wire has the same ones."""
    made = new_thread()
    with pytest.raises(error):
        SDK.threads.update(made, metadata)
    answer = wire.post("/v2/threads/update", {"thread_id": made, "metadata": metadata})
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
    assert "metadata" in answer.json["error"]["message"]


def test_deleted_thread_is_gone_with_all_that_was_in_it() -> None:
    """Deleting a thread takes its messages, runs and steps along."""
    run = begin("hello")
    thread = run.thread_id
    message = SDK.threads.messages.list(thread).data[0].id
    deleted = SDK.threads.delete(thread_id=thread)
    assert isinstance(deleted, SDK.type.ThreadDeleteResponse)
    assert (deleted.id, deleted.deleted) == (thread, True)
    for call in (
        lambda: SDK.threads.query(thread),
        lambda: SDK.threads.delete(thread),
        lambda: SDK.threads.messages.list(thread),
        lambda: SDK.threads.messages.query(thread, message),
        lambda: SDK.threads.runs.query(thread, run.id),
        lambda: SDK.threads.runs.steps.list(thread, run.id),
    ):
        assert refused(call)[0] == GONE


@pytest.mark.parametrize(
    "call",
    [
        lambda thread: SDK.threads.query(thread_id=thread),
        lambda thread: SDK.threads.update(thread_id=thread),
        lambda thread: SDK.threads.delete(thread_id=thread),
        lambda thread: SDK.threads.messages.create(thread, "x"),
        lambda thread: SDK.threads.messages.list(thread_id=thread),
        lambda thread: SDK.threads.messages.query(thread, "message_x"),
        lambda thread: SDK.threads.messages.update(thread, "message_x", "x"),
        lambda thread: SDK.threads.messages.files(thread, "message_x"),
        lambda thread: SDK.threads.runs.run(new_assistant().id, thread),
        lambda thread: SDK.threads.runs.list(thread_id=thread),
        lambda thread: SDK.threads.runs.query(thread, "run_x"),
        lambda thread: SDK.threads.runs.cancel("run_x", thread),
        lambda thread: SDK.threads.runs.submit_tool_outputs("run_x", thread, [{"output": ""}]),
        lambda thread: SDK.threads.runs.steps.list(thread, "run_x"),
        lambda thread: SDK.threads.runs.steps.query(thread, "run_x", "step_x"),
    ],
)
def test_unknown_thread_is_not_found(call: Any) -> None:
    """Every call below a thread that does not exist says so, and nothing else."""
    code, message = refused(call, "thread_none")
    assert (code, "thread" in message) == (GONE, True)


def test_objects_belong_to_their_thread() -> None:
    """A message, a run or a step is not found below another thread."""
    run = begin("hello")
    message = SDK.threads.messages.list(run.thread_id).data[0].id
    step = SDK.threads.runs.steps.list(run.thread_id, run.id).data[0].id
    other = new_thread("hi")
    assert refused(SDK.threads.messages.query, other, message)[0] == GONE
    assert refused(SDK.threads.runs.query, other, run.id)[0] == GONE
    assert refused(SDK.threads.runs.steps.query, other, run.id, step)[0] == GONE


def test_thread_is_made_with_its_run() -> None:
    """A run without the id of a thread begins a new one, with the message that it brings."""
    thread = SDK.type.AssistantThread(messages=[{"content": "你好"}])
    run = SDK.threads.runs.run(assistant_id=new_assistant().id, thread=thread)
    assert (run.status, answer_of(run)) == ("completed", "你好")
    assert SDK.threads.query(run.thread_id).id == run.thread_id
    assert texts_of(run.thread_id) == ["你好", "你好"]


def test_message_of_a_run_joins_the_thread() -> None:
    """What a run brings is added to what the thread has."""
    thread = new_thread("one")
    more = {"messages": [{"content": "two"}]}
    run = SDK.threads.runs.run(new_assistant().id, thread, thread=more)
    assert (run.thread_id, answer_of(run)) == (thread, "two")
    assert texts_of(thread) == ["one", "two", "two"]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"content": "one"}, {"content": "two"}],
        [{"content": "one", "role": "assistant"}],
    ],
    ids=["none", "two", "of the assistant"],
)
def test_run_brings_one_message_of_the_user(messages: list[Any]) -> None:
    """More than one round, or another role, is refused, and makes no thread."""
    thread = new_thread("hi")
    for given in ({"thread_id": thread}, {}):
        code, _ = refused(
            SDK.threads.runs.run, new_assistant().id, thread={"messages": messages}, **given
        )
        assert code == INVALID
    assert texts_of(thread) == ["hi"]
