"""Messages: every call of the SDK."""

import re
from pathlib import Path
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    GONE,
    INVALID,
    SDK,
    begin,
    check_paging,
    ids_of,
    new_thread,
    refused,
    upload,
)
from pydantic import ValidationError
from wire import UUID, Wire


def text_in(message: Any) -> str:
    """The text of a message, which is one part."""
    (part,) = message.content
    assert (part.type, part.text.annotations) == ("text", [])
    return str(part.text.value)


@pytest.mark.parametrize("text", ["hello world", "你好, 世界 👩‍💻", "line\n\n\tline", '"\\u4f60"'])
def test_message_is_whole(text: str, tmp_path: Path) -> None:
    """A message of the user is answered, read back and listed as it was sent."""
    thread, file = new_thread(), upload(tmp_path).id
    made = SDK.threads.messages.create(thread_id=thread, content=text, role="user", file_ids=[file])
    assert isinstance(made, SDK.type.AssistantMessageCreateResponse)
    assert (made.object, made.role, made.thread_id) == ("thread.message", "user", thread)
    assert (text_in(made), made.file_ids) == (text, [file])
    assert (made.assistant_id, made.run_id) == ("", "")
    assert re.fullmatch(f"message_{UUID}", made.id)
    assert len(str(made.created_at)) == 13
    read = SDK.threads.messages.query(thread_id=thread, message_id=made.id)
    assert isinstance(read, SDK.type.AssistantMessageQueryResponse)
    page = SDK.threads.messages.list(thread)
    assert isinstance(page, SDK.type.AssistantMessageListResponse)
    (listed,) = page.data
    assert made.model_dump() == read.model_dump() == listed.model_dump()


def test_answer_is_a_message_of_the_assistant() -> None:
    """What a run said is in the thread, and names the run and the assistant."""
    run = begin("hello")
    answer, question = SDK.threads.messages.list(run.thread_id).data
    assert (answer.role, text_in(answer)) == ("assistant", "hello")
    assert (answer.run_id, answer.assistant_id) == (run.id, run.assistant_id)
    assert (question.role, question.run_id) == ("user", "")
    assert answer.id == run.final_answer.message.message_id


def test_role_is_the_users(wire: Wire) -> None:
    """The SDK lets the assistant's role pass, too; the service's document does not."""
    thread = new_thread()
    code, message = refused(SDK.threads.messages.create, thread, "x", role="assistant")
    assert (code, "role" in message) == (INVALID, True)
    refusal = refused(SDK.threads.create, [{"content": "x", "role": "assistant"}])
    assert refusal[0] == INVALID
    answer = wire.post("/v2/threads/messages", {"thread_id": thread, "content": "x"})
    assert answer.json["role"] == "user"


def test_sdk_counts_its_own_errors() -> None:
    """Of two bad values the SDK tells both, and sends nothing."""
    thread = new_thread()
    with pytest.raises(ValidationError) as caught:
        SDK.threads.messages.create(thread, "hello", role="custom", file_ids=["file_id"] * 11)
    assert caught.value.error_count() == 2
    assert SDK.threads.messages.list(thread).data == []


@pytest.mark.parametrize(
    "fields",
    [
        {"content": None},
        {"content": 7},
        {"content": [{"type": "text", "text": {"value": "x"}}]},
        {"role": "system"},
        {"file_ids": ["f"] * 11},
        {"file_ids": "f"},
    ],
    ids=str,
)
def test_wire_takes_no_other_message(fields: dict[str, Any], wire: Wire) -> None:
    """Content is a plain text, files are ten at most: the SDK cannot send these."""
    body = {"thread_id": new_thread(), "role": "user", "content": "x"}
    answer = wire.post("/v2/threads/messages", {**body, **fields})
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
    assert next(iter(fields)) in answer.json["error"]["message"]


def test_messages_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    thread = new_thread("one", "two", "three")
    made = ids_of(SDK.threads.messages.list(thread, order="asc"))
    check_paging(lambda **query: SDK.threads.messages.list(thread_id=thread, **query), made)


def test_twenty_messages_are_listed() -> None:
    """That is the most, and what comes where nothing is said."""
    thread = new_thread(*map(str, range(21)))
    for query in ({}, {"limit": 20}):
        page = SDK.threads.messages.list(thread, **query)
        assert [text_in(message) for message in page.data] == [str(i) for i in range(20, 0, -1)]
        assert page.has_more is True
    (oldest,) = SDK.threads.messages.list(thread, after=page.last_id).data
    assert text_in(oldest) == "0"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, INVALID),
        ({"limit": 21}, INVALID),
        ({"limit": -20}, INVALID),
        ({"after": "message_none"}, GONE),
        ({"before": "message_none"}, GONE),
    ],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit from 1 to 20, and cursors that exist."""
    assert refused(SDK.threads.messages.list, new_thread("x"), **query)[0] == code


def test_update_replaces_content_and_files(tmp_path: Path) -> None:
    """An update has the text, and the files or none; all else stays."""
    thread, files = new_thread(), [upload(tmp_path).id for _ in range(3)]
    made = SDK.threads.messages.create(thread, "old", file_ids=files[:2])
    changed = SDK.threads.messages.update(
        thread_id=thread, message_id=made.id, content="你好", file_ids=files[2:]
    )
    assert isinstance(changed, SDK.type.AssistantMessageUpdateResponse)
    assert (text_in(changed), changed.file_ids) == ("你好", files[2:])
    for name in ("id", "object", "role", "created_at", "thread_id", "run_id", "assistant_id"):
        assert getattr(changed, name) == getattr(made, name)
    read = SDK.threads.messages.query(thread, made.id)
    assert read.model_dump() == changed.model_dump()
    assert ids_of(SDK.threads.messages.files(thread, made.id)) == files[2:]
    assert SDK.threads.messages.update(thread, made.id, "x").file_ids == []
    assert ids_of(SDK.threads.messages.files(thread, made.id)) == []


def test_run_reads_the_message_as_it_was_updated() -> None:
    """The next run answers the new text."""
    thread = new_thread("old")
    (message,) = ids_of(SDK.threads.messages.list(thread))
    SDK.threads.messages.update(thread, message, "new")
    run = begin("", thread_id=thread)
    assert run.final_answer.message.content[0].text.value == "new"


def test_files_of_a_message_are_listed_page_by_page(tmp_path: Path) -> None:
    """A message's file has the file's own id, and names its message."""
    thread, files = new_thread(), [upload(tmp_path).id for _ in range(3)]
    message = SDK.threads.messages.create(thread, "x", file_ids=files).id
    ids = {"thread_id": thread, "message_id": message}
    page = SDK.threads.messages.files(**ids)
    assert isinstance(page, SDK.type.AssistantMessageFilesResponse)
    assert [item.message_id for item in page.data] == [message] * 3
    assert all(item.object and len(str(item.created_at)) == 13 for item in page.data)
    check_paging(lambda **query: SDK.threads.messages.files(**ids, **query), files)


@pytest.mark.parametrize(
    ("query", "code"),
    [({"limit": 0}, INVALID), ({"after": "file_none"}, GONE), ({"before": "file_none"}, GONE)],
    ids=str,
)
def test_bad_page_of_files_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit of at least one, and cursors that exist."""
    thread = new_thread("x")
    (message,) = ids_of(SDK.threads.messages.list(thread))
    assert refused(SDK.threads.messages.files, thread, message, **query)[0] == code


def test_unknown_message_is_not_found() -> None:
    """Every call for a message that does not exist says so."""
    thread = new_thread("x")
    for call in (
        lambda: SDK.threads.messages.query(thread, "message_none"),
        lambda: SDK.threads.messages.update(thread, "message_none", "x"),
        lambda: SDK.threads.messages.files(thread, "message_none"),
    ):
        code, message = refused(call)
        assert (code, "message" in message) == (GONE, True)


def test_message_of_a_busy_thread_is_not_for_its_run() -> None:
    """A message can be added while a run waits; the next run answers it."""
    run = begin("/call get_weather {}")
    SDK.threads.messages.create(run.thread_id, "meanwhile")
    assert len(SDK.threads.messages.list(run.thread_id).data) == 2
    SDK.threads.runs.cancel(run.id, run.thread_id)
    again = begin("", thread_id=run.thread_id)
    assert again.final_answer.message.content[0].text.value == "meanwhile"
