"""Messages: every call of the SDK."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dashscope import Messages, Runs, Threads
from dashscope.common.error import InputRequired
from dashscope_sdk.calls import INVALID, check_paging, error_of, finish, gone, new_thread
from wire import UUID, Wire

CREATE = pytest.mark.parametrize("create", [Messages.create, Messages.call])


@CREATE
def test_created_message_has_what_was_given(create: Callable[..., Any]) -> None:
    """Every parameter of the SDK comes back in the message that it made."""
    thread = Threads.create()
    made = create(
        thread.id, content="Hello, 你好!", role="user", file_ids=["f"], metadata={"a": "b"}
    )
    assert (made.status_code, made.object, made.role) == (200, "thread.message", "user")
    assert re.fullmatch(f"message_{UUID}", made.id)
    assert re.fullmatch(UUID, made.request_id)
    assert len(str(made.created_at)) == 13
    assert (made.thread_id, made.file_ids, made.metadata) == (thread.id, ["f"], {"a": "b"})
    (part,) = made.content
    assert (part.type, part.text.value, part.text.annotations) == ("text", "Hello, 你好!", [])


@CREATE
def test_message_of_the_user_has_no_run(create: Callable[..., Any]) -> None:
    """What is not there is spelled as the live service does it."""
    made = create(Threads.create().id, content="x")
    assert (made.assistant_id, made.run_id, made.role) == ("", "", "user")
    assert (made.file_ids, made.metadata) == ([], {})
    assert (made.completed_at, made.incomplete_at, made.incomplete_details) == (None, None, {})
    assert (made.name, made.plugin_call, made.tool_calls, made.status) == ("", {}, [], "")


@CREATE
def test_message_can_be_the_assistants(create: Callable[..., Any]) -> None:
    """Both roles are taken; another is refused."""
    thread = Threads.create().id
    assert create(thread, content="x", role="assistant").role == "assistant"
    assert error_of(create(thread, content="x", role="system"))[:2] == (400, INVALID)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"role": "user", "content": ""}, "The messages information cannot be empty."),
        ({"role": "user"}, None),
        ({"role": "user", "content": 7}, None),
        ({"role": "user", "content": [{"type": "text"}]}, None),
    ],
    ids=["empty", "none", "number", "parts"],
)
def test_message_needs_a_text(body: dict[str, Any], message: str | None, wire: Wire) -> None:
    """The SDK asks for content before it sends; the wire refuses what is no text."""
    thread = Threads.create().id
    with pytest.raises(InputRequired):
        Messages.create(thread, content="")
    answer = wire.call("POST", f"/threads/{thread}/messages", body)
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    assert message in (answer.json["message"], None)


@pytest.mark.parametrize("retrieve", [Messages.retrieve, Messages.get])
def test_message_is_read_back_as_made(retrieve: Callable[..., Any]) -> None:
    """Reading a message gives what creating it gave."""
    thread = Threads.create().id
    made = Messages.create(thread, content="x", metadata={"a": "b"})
    read = retrieve(made.id, thread_id=thread)
    assert (read.status_code, read.id, read.thread_id) == (200, made.id, thread)
    assert (read.content[0].text.value, read.metadata) == ("x", {"a": "b"})


def test_update_replaces_metadata_and_a_null_keeps_it() -> None:
    """An update with metadata replaces it; without, the SDK sends a null, which keeps it."""
    thread = Threads.create().id
    made = Messages.create(thread, content="x", metadata={"a": "b"})
    assert Messages.update(made.id, thread_id=thread, metadata={"c": "d"}).metadata == {"c": "d"}
    kept = Messages.update(made.id, thread_id=thread)
    assert (kept.status_code, kept.metadata) == (200, {"c": "d"})
    assert Messages.get(made.id, thread_id=thread).content[0].text.value == "x"


@pytest.mark.parametrize("call", [Messages.retrieve, Messages.get, Messages.update])
def test_unknown_message_is_a_400(call: Callable[..., Any]) -> None:
    """An id that does not exist is a bad request with the documented words."""
    assert error_of(call("message_none", thread_id=Threads.create().id)) == gone("message")


def test_messages_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    thread = Threads.create().id
    made = [Messages.create(thread, content=text).id for text in "abc"]
    check_paging(lambda **query: Messages.list(thread, **query), made)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 0}, "Limit must be between 1 and 100"),
        ({"limit": 101}, "Limit must be between 1 and 100"),
        ({"order": "ASC"}, "Order must be 'asc' or 'desc'"),
        ({"after": "message_none"}, gone("message")[2]),
    ],
    ids=str,
)
def test_bad_list_query_is_refused(query: dict[str, Any], message: str) -> None:
    """A limit, an order or a cursor that cannot be is a 400 with the documented words."""
    assert error_of(Messages.list(Threads.create().id, **query)) == (400, INVALID, message)


def test_answer_of_a_run_is_the_newest_message() -> None:
    """A run leaves a message of the assistant that names the run and is complete."""
    run = finish("Hello, 你好!")
    answer, question = Messages.list(run.thread_id).data
    assert (answer.role, answer.content[0].text.value) == ("assistant", "Hello, 你好!")
    assert (answer.run_id, answer.assistant_id) == (run.id, run.assistant_id)
    assert answer.completed_at >= answer.created_at >= question.created_at
    assert question.role == "user"


def test_newest_message_is_the_one_that_is_answered() -> None:
    """A thread is a conversation: a second run answers its second question."""
    run = finish("one")
    Messages.create(run.thread_id, content="two")
    again = Runs.create(run.thread_id, assistant_id=run.assistant_id)
    assert Runs.wait(again.id, thread_id=run.thread_id).status == "completed"
    texts = [item.content[0].text.value for item in Messages.list(run.thread_id).data]
    assert texts == ["two", "two", "one", "one"]


def test_single_message_is_both_ends_of_its_page() -> None:
    """A page of one item begins and ends with it."""
    thread = new_thread("x").id
    page = Messages.list(thread)
    assert page.first_id == page.last_id == page.data[0].id
    assert page.has_more is False


def test_thread_noted_on_the_class_is_not_used(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    """`Messages.create` leaves its thread in the class, for all callers; each still has its own.

    Nothing of it is on the wire: many threads that are written to side by side do not mix.
    """
    monkeypatch.setattr(Messages, "SUB_PATH", "messages")
    threads = [Threads.create().id for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda thread: Messages.create(thread, content=thread), threads * 4))
    assert Messages.SUB_PATH in {f"{thread}/messages" for thread in threads}
    for thread in threads:
        data = wire.call("GET", f"/threads/{thread}/messages").json["data"]
        assert [item["content"][0]["text"]["value"] for item in data] == [thread] * 4
