"""Files of messages: every call of the SDK."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dashscope import Files, Messages, Runs, Threads
from dashscope.common.error import InputRequired
from dashscope.threads.messages.files import Files as MessageFiles
from dashscope_sdk.calls import (
    INVALID,
    check_paging,
    error_of,
    gone,
    ids_of,
    new_assistant,
    new_file,
)
from wire import UUID, Wire

RETRIEVE = pytest.mark.parametrize("retrieve", [MessageFiles.retrieve, MessageFiles.get])
UNKNOWN = (400, INVALID, "The specified message file not exist.")


def new_message(*file_ids: str) -> dict[str, str]:
    """A message with files on a thread of its own: the ids of both."""
    thread = Threads.create().id
    message = Messages.create(thread, content="x", file_ids=list(file_ids))
    assert message.file_ids == list(file_ids)
    return {"message_id": message.id, "thread_id": thread}


@RETRIEVE
def test_file_of_a_message_is_read(retrieve: Callable[..., Any], tmp_path: Path) -> None:
    """A message's file has the file's own id, and names its message."""
    file = new_file(tmp_path)
    ids = new_message("file-1", file)
    read = retrieve(file, **ids)
    assert (read.status_code, read.object) == (200, "thread.message.file")
    assert (read.id, read.message_id) == (file, ids["message_id"])
    assert len(str(read.created_at)) == 13
    assert re.fullmatch(UUID, read.request_id)


@RETRIEVE
def test_unknown_file_is_a_400(retrieve: Callable[..., Any], tmp_path: Path) -> None:
    """A file that is not the message's is refused with the documented words, though it exists."""
    ids = new_message("file-1")
    for unknown in ("file_none", new_file(tmp_path)):
        assert error_of(retrieve(unknown, **ids)) == UNKNOWN
    nowhere = {**ids, "message_id": "message_none"}
    assert error_of(retrieve("file-1", **nowhere)) == gone("message")


@pytest.mark.parametrize("missing", ["file_id", "message_id", "thread_id"])
@RETRIEVE
def test_sdk_wants_all_three_ids(retrieve: Callable[..., Any], missing: str) -> None:
    """An empty id is refused before anything is sent."""
    ids = {"file_id": "f", "message_id": "m", "thread_id": "t", missing: ""}
    with pytest.raises(InputRequired):
        retrieve(ids.pop("file_id"), **ids)


def test_files_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    ids = new_message("a", "b", "c")
    message = ids.pop("message_id")
    check_paging(lambda **query: MessageFiles.list(message, **ids, **query), ["a", "b", "c"])
    item = MessageFiles.list(message, **ids).data[0]
    assert (item.object, item.message_id) == ("thread.message.file", message)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"limit": 0}, (400, INVALID, "Limit must be between 1 and 100")),
        ({"limit": 101}, (400, INVALID, "Limit must be between 1 and 100")),
        ({"order": "down"}, (400, INVALID, "Order must be 'asc' or 'desc'")),
        ({"after": "file_none"}, UNKNOWN),
        ({"before": "file_none"}, UNKNOWN),
    ],
    ids=str,
)
def test_bad_list_query_is_refused(query: dict[str, Any], answer: tuple[int, str, str]) -> None:
    """A limit, an order or a cursor that cannot be is a 400 with the documented words."""
    assert error_of(MessageFiles.list(**new_message("file-1"), **query)) == answer


def test_refused_list_has_no_data(wire: Wire) -> None:
    """An error of `MessageFiles.list` has no `data` at all, where other lists have an empty one."""
    thread = Threads.create().id
    refused = MessageFiles.list("message_none", thread_id=thread)
    assert error_of(refused) == gone("message")
    assert "data" not in refused
    assert Messages.list("thread_none").data == []
    answer = wire.call("GET", f"/threads/{thread}/messages/message_none/files")
    assert list(answer.json) == ["code", "message", "request_id"]


@pytest.mark.parametrize("missing", ["message_id", "thread_id"])
def test_list_wants_both_ids(missing: str) -> None:
    """An empty id is refused before anything is sent."""
    with pytest.raises(InputRequired):
        MessageFiles.list(**{"message_id": "m", "thread_id": "t", missing: ""})


def test_message_without_files_has_none() -> None:
    """A list of nothing is a list."""
    page = MessageFiles.list(**new_message())
    assert (ids_of(page), page.has_more) == ([], False)
    assert (page.first_id, page.last_id) == (None, None)


def test_messages_of_a_new_thread_have_their_files() -> None:
    """Files can come with the thread, and with the run that makes it."""
    messages = [{"role": "user", "content": "hi", "file_ids": ["a"]}]
    run = Runs.create_thread_and_run(assistant_id=new_assistant().id, thread={"messages": messages})
    for thread in (Threads.create(messages=messages).id, run.thread_id):
        message = Messages.list(thread, order="asc").data[0].id
        assert ids_of(MessageFiles.list(message, thread_id=thread)) == ["a"]


def test_files_belong_to_their_message() -> None:
    """A file of one message is none of another, nor found below another thread."""
    one, two = new_message("a"), new_message("b")
    assert error_of(MessageFiles.get("b", **one)) == UNKNOWN
    mixed = {**one, "thread_id": two["thread_id"]}
    assert error_of(MessageFiles.get("a", **mixed)) == gone("message")
    assert error_of(MessageFiles.list(**mixed)) == gone("message")


def test_deleted_thread_takes_the_list_and_not_the_file(tmp_path: Path) -> None:
    """With a thread its messages' lists of files go; the files are the platform's."""
    file = new_file(tmp_path)
    ids = new_message(file)
    Threads.delete(ids["thread_id"])
    assert error_of(MessageFiles.list(**ids))[:2] == (400, INVALID)
    assert error_of(MessageFiles.get(file, **ids))[:2] == (400, INVALID)
    assert Files.get(file).status_code == 200
