"""Threads: every call of the SDK."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from dashscope import Messages, Runs, Steps, Threads
from dashscope.threads.messages.files import Files as MessageFiles
from dashscope_sdk.calls import INVALID, error_of, finish, gone, new_assistant, new_thread
from wire import UUID, Wire

CREATE = pytest.mark.parametrize("create", [Threads.create, Threads.call])


@CREATE
def test_thread_needs_nothing(create: Callable[..., Any]) -> None:
    """A thread is made by a call without parameters, for which the SDK sends an empty text."""
    made = create()
    assert (made.status_code, made.object, made.metadata) == (200, "thread", {})
    assert re.fullmatch(f"thread_{UUID}", made.id)
    assert re.fullmatch(UUID, made.request_id)
    assert len(str(made.created_at)) == 13
    assert Messages.list(made.id).data == []


@CREATE
def test_thread_begins_with_messages(create: Callable[..., Any]) -> None:
    """The messages of a new thread are there, in their order, with their own metadata."""
    made = create(
        messages=[
            {"role": "user", "content": "one", "metadata": {"a": "b"}},
            {"role": "assistant", "content": "二"},
        ],
        metadata={"k": "v"},
    )
    assert made.metadata == {"k": "v"}
    first, second = Messages.list(made.id, order="asc").data
    assert (first.role, first.content[0].text.value) == ("user", "one")
    assert first.metadata == {"a": "b"}
    assert (second.role, second.content[0].text.value) == ("assistant", "二")


def test_thread_with_an_empty_message_is_not_made() -> None:
    """A message without content is refused with the documented words, inside a thread, too."""
    refused = Threads.create(messages=[{"role": "user", "content": ""}])
    assert error_of(refused) == (400, INVALID, "The messages information cannot be empty.")


@pytest.mark.parametrize("retrieve", [Threads.retrieve, Threads.get])
def test_thread_is_read_back_as_made(retrieve: Callable[..., Any]) -> None:
    """Reading a thread gives what creating it gave."""
    made = Threads.create(metadata={"k": "v"})
    read = retrieve(made.id)
    assert (read.status_code, read.id, read.object) == (200, made.id, "thread")
    assert (read.created_at, read.metadata) == (made.created_at, {"k": "v"})


def test_update_replaces_metadata_and_a_null_keeps_it() -> None:
    """An update with metadata replaces it; without, the SDK sends a null, which keeps it."""
    made = Threads.create(metadata={"k": "v"})
    assert Threads.update(made.id, metadata={"a": "b"}).metadata == {"a": "b"}
    assert Threads.update(made.id).metadata == {"a": "b"}
    assert Threads.get(made.id).metadata == {"a": "b"}
    assert Threads.update(made.id, metadata={}).metadata == {}


def test_deleted_thread_is_gone_with_all_that_was_in_it() -> None:
    """Deleting a thread takes its messages, runs and steps along."""
    run = finish("hello")
    message = Messages.list(run.thread_id).data[0].id
    deleted = Threads.delete(run.thread_id)
    assert (deleted.status_code, deleted.id, deleted.deleted) == (200, run.thread_id, True)
    assert deleted.object == "thread.deleted"
    for answer in (
        Threads.get(run.thread_id),
        Messages.list(run.thread_id),
        Messages.get(message, thread_id=run.thread_id),
        Runs.get(run.id, thread_id=run.thread_id),
        Steps.list(run.id, thread_id=run.thread_id),
    ):
        assert error_of(answer) == gone("thread")


@pytest.mark.parametrize(
    "call",
    [
        Threads.retrieve,
        Threads.get,
        Threads.update,
        Threads.delete,
        Messages.list,
        lambda thread: Messages.create(thread, content="x"),
        lambda thread: Messages.get("message_x", thread_id=thread),
        lambda thread: Messages.update("message_x", thread_id=thread, metadata={}),
        lambda thread: MessageFiles.list("message_x", thread_id=thread),
        lambda thread: MessageFiles.get("file_x", message_id="message_x", thread_id=thread),
        Runs.list,
        lambda thread: Runs.create(thread, assistant_id=new_assistant().id),
        lambda thread: Runs.get("run_x", thread_id=thread),
        lambda thread: Runs.update("run_x", thread_id=thread, metadata={}),
        lambda thread: Runs.cancel("run_x", thread_id=thread),
        lambda thread: Steps.list("run_x", thread_id=thread),
        lambda thread: Steps.get("step_x", run_id="run_x", thread_id=thread),
    ],
)
def test_unknown_thread_is_a_400(call: Callable[..., Any]) -> None:
    """Every call below a thread that does not exist says so, and nothing else."""
    assert error_of(call("thread_none")) == gone("thread")


def test_objects_belong_to_their_thread() -> None:
    """A message or a run is not found below another thread."""
    run = finish("hello")
    message = Messages.list(run.thread_id).data[0].id
    other = new_thread("hi").id
    assert error_of(Messages.get(message, thread_id=other)) == gone("message")
    assert error_of(Runs.get(run.id, thread_id=other)) == gone("run")


@pytest.mark.parametrize("create", [Runs.create_thread_and_run, Threads.create_and_run])
def test_thread_and_run_are_made_by_one_call(create: Callable[..., Any]) -> None:
    """One call makes the thread with its messages, and begins a run on it."""
    assistant = new_assistant(instructions="old", metadata={"not": "the run's"})
    made = create(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "hello"}], "metadata": {"t": "1"}},
        model="qwen-max",
        instructions="new",
        additional_instructions="more",
        tools=[{"type": "code_interpreter"}],
        metadata={"r": "2"},
    )
    assert (made.status_code, made.object, made.status) == (200, "thread.run", "in_progress")
    assert (made.assistant_id, made.model) == (assistant.id, "qwen-max")
    assert (made.instructions, made.metadata) == ("new\nmore", {"r": "2"})
    assert [tool.type for tool in made.tools] == ["code_interpreter"]
    assert Threads.get(made.thread_id).metadata == {"t": "1"}
    assert Runs.wait(made.id, thread_id=made.thread_id).status == "completed"
    texts = [item.content[0].text.value for item in Messages.list(made.thread_id).data]
    assert texts == ["hello", "hello"]


@pytest.mark.parametrize("create", [Runs.create_thread_and_run, Threads.create_and_run])
def test_thread_and_run_need_only_an_assistant(create: Callable[..., Any]) -> None:
    """Without a thread the run is on an empty one; the assistant has to exist."""
    made = create(assistant_id=new_assistant().id)
    assert Runs.wait(made.id, thread_id=made.thread_id).status == "completed"
    assert error_of(create(assistant_id="asst_none")) == gone("assistant")


@pytest.mark.parametrize(
    "thread",
    [
        {"messages": None},
        {"metadata": None},
        {"messages": [{"role": "user", "content": "x", "metadata": None, "file_ids": None}]},
    ],
    ids=["messages", "metadata", "of a message"],
)
def test_nulls_inside_a_thread_are_as_good_as_nothing(thread: dict[str, Any]) -> None:
    """A field that is null was not sent, at any depth: programs pass on what they have."""
    made = Runs.create_thread_and_run(assistant_id=new_assistant().id, thread=thread)
    assert made.status_code == 200
    assert Threads.create(**thread).status_code == 200


def test_threads_create_and_run_cannot_stream(wire: Wire) -> None:
    """`Threads.create_and_run` does not ask for the stream and fails on its own generator.

    The wire streams when it is asked to, and begins with the thread.
    """
    assistant = new_assistant().id
    thread = {"messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(TypeError, match="generator"):
        Threads.create_and_run(assistant_id=assistant, thread=thread, stream=True)
    body = {"assistant_id": assistant, "thread": thread, "stream": True}
    frames = wire.call("POST", "/threads/runs", body).frames
    assert frames[0][0] == "thread.created"
    assert frames[-2][0] == "thread.run.completed"


@pytest.mark.parametrize(
    ("create", "lost"),
    [
        (Runs.create_thread_and_run, {"temperature": 0.5, "top_p": 0.5, "top_k": 7}),
        (Runs.create_thread_and_run, {"max_tokens": 9}),
        (Threads.create_and_run, {"temperature": 0.5, "max_tokens": 9}),
        (Threads.create_and_run, {"extra_body": {"top_k": 7}}),
    ],
    ids=["sampling", "length", "older sampling", "older extra body"],
)
def test_sdk_swallows_what_it_does_not_know(
    create: Callable[..., Any], lost: dict[str, Any], wire: Wire
) -> None:
    """The calls that make both take any keyword and drop it, also those that `Runs.create` has.

    The wire takes them with the thread as without.
    """
    assistant = new_assistant().id
    made = create(assistant_id=assistant, **lost)
    fields = lost.get("extra_body", lost)
    run = Runs.wait(made.id, thread_id=made.thread_id)
    assert [run[name] for name in fields] == [None] * len(fields)
    sent = wire.call("POST", "/threads/runs", {"assistant_id": assistant, **fields}).json
    read = wire.call("GET", f"/threads/{sent['thread_id']}/runs/{sent['id']}").json
    assert {name: read[name] for name in fields} == fields
