"""Files of assistants: every call of the SDK."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dashscope import Assistants, Files
from dashscope.assistants.files import Files as AssistantFiles
from dashscope.common.error import InputRequired
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

CREATE = pytest.mark.parametrize("create", [AssistantFiles.create, AssistantFiles.call])


@CREATE
def test_attached_file_names_its_assistant(create: Callable[..., Any], tmp_path: Path) -> None:
    """Attaching answers with the file's own id, and the assistant then has it."""
    made, file = new_assistant().id, new_file(tmp_path)
    attached = create(made, file_id=file)
    assert (attached.status_code, attached.object) == (200, "assistant.file")
    assert (attached.id, attached.assistant_id) == (file, made)
    assert len(str(attached.created_at)) == 13
    assert re.fullmatch(UUID, attached.request_id)
    assert Assistants.get(made).file_ids == [file]
    assert ids_of(AssistantFiles.list(made)) == [file]


@CREATE
def test_file_is_attached_once(create: Callable[..., Any], tmp_path: Path) -> None:
    """Attaching what is attached gives what is there."""
    made, file = new_assistant().id, new_file(tmp_path)
    first, again = create(made, file_id=file), create(made, file_id=file)
    assert (again.status_code, again.created_at) == (200, first.created_at)
    assert ids_of(AssistantFiles.list(made)) == [file]


@CREATE
def test_what_is_not_there_is_not_attached(create: Callable[..., Any], tmp_path: Path) -> None:
    """Both the file and the assistant have to exist, and the SDK wants both named."""
    made, file = new_assistant().id, new_file(tmp_path)
    assert error_of(create(made, file_id="file_none")) == gone("file")
    assert error_of(create("asst_none", file_id=file)) == gone("assistant")
    assert Assistants.get(made).file_ids == []
    for ids in ((made, ""), ("", file)):
        with pytest.raises(InputRequired):
            create(ids[0], file_id=ids[1])


@pytest.mark.parametrize("body", [{}, {"file_id": ""}, {"file_id": 7}, {"file_id": None}], ids=str)
def test_attaching_needs_an_id(body: dict[str, Any], wire: Wire) -> None:
    """The SDK asks for a file's id before it sends; the wire refuses what is none."""
    answer = wire.call("POST", f"/assistants/{new_assistant().id}/files", body)
    assert (answer.status, answer.json["code"]) == (400, INVALID)


def test_attached_file_is_read_back() -> None:
    """`retrieve` gives what attaching gave."""
    made = new_assistant(file_ids=["file-1"]).id
    read = AssistantFiles.retrieve("file-1", assistant_id=made)
    assert (read.status_code, read.id, read.assistant_id) == (200, "file-1", made)
    assert (read.object, len(str(read.created_at))) == ("assistant.file", 13)
    assert re.fullmatch(UUID, read.request_id)


def test_get_gives_the_bare_file() -> None:
    """`AssistantFiles.get` has neither status nor request id, which `retrieve` has."""
    made = new_assistant(file_ids=["file-1"]).id
    got = AssistantFiles.get("file-1", assistant_id=made)
    read = AssistantFiles.retrieve("file-1", assistant_id=made)
    names = ("id", "object", "created_at", "assistant_id")
    assert [got[name] for name in names] == [read[name] for name in names]
    assert "status_code" not in got
    assert "request_id" not in got


@pytest.mark.parametrize(
    ("assistant", "message"),
    [
        (None, gone("assistant file")[2]),
        ("asst_none", gone("assistant")[2]),
    ],
    ids=["file", "assistant"],
)
def test_get_hides_every_error(assistant: str | None, message: str, wire: Wire) -> None:
    """`AssistantFiles.get` is None whatever is wrong; the wire and `retrieve` say what it is."""
    made = assistant or new_assistant().id
    assert AssistantFiles.get("file_none", assistant_id=made) is None
    answer = wire.call("GET", f"/assistants/{made}/files/file_none")
    found = (answer.status, answer.json["code"], answer.json["message"])
    assert found == (400, INVALID, message)
    assert error_of(AssistantFiles.retrieve("file_none", assistant_id=made)) == found


def test_get_asks_for_an_empty_id(wire: Wire) -> None:
    """Only `retrieve` and `create` of the SDK refuse an empty id; sent, it leads nowhere."""
    made = new_assistant(file_ids=["file-1"]).id
    with pytest.raises(InputRequired):
        AssistantFiles.retrieve("", assistant_id=made)
    assert AssistantFiles.get("", assistant_id=made) is None
    nowhere = (400, INVALID, "Invalid URL provided in your request.")
    assert error_of(AssistantFiles.delete("", assistant_id=made)) == nowhere
    assert error_of(AssistantFiles.list("")) == nowhere
    answer = wire.call("GET", f"/assistants/{made}/files/")
    assert (answer.status, answer.json["code"], answer.json["message"]) == nowhere


def test_files_are_listed_page_by_page(tmp_path: Path) -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    made = new_assistant().id
    files = [new_file(tmp_path) for _ in range(3)]
    for file in files:
        AssistantFiles.create(made, file_id=file)
    check_paging(lambda **query: AssistantFiles.list(made, **query), files)
    item = AssistantFiles.list(made).data[0]
    assert (item.object, item.assistant_id) == ("assistant.file", made)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 0}, "Limit must be between 1 and 100"),
        ({"limit": 101}, "Limit must be between 1 and 100"),
        ({"order": "up"}, "Order must be 'asc' or 'desc'"),
        ({"after": "file_none"}, gone("assistant file")[2]),
        ({"before": "file_none"}, gone("assistant file")[2]),
    ],
    ids=str,
)
def test_bad_list_query_is_refused(query: dict[str, Any], message: str) -> None:
    """A limit, an order or a cursor that cannot be is a 400 with the documented words."""
    assert error_of(AssistantFiles.list(new_assistant().id, **query)) == (400, INVALID, message)


def test_detached_file_is_still_a_file(tmp_path: Path) -> None:
    """Detaching takes the file from the assistant only, and others keep it."""
    file = new_file(tmp_path)
    made, other = (new_assistant(file_ids=["file-1", file]).id for _ in range(2))
    gone_now = AssistantFiles.delete(file, assistant_id=made)
    assert (gone_now.status_code, gone_now.id, gone_now.deleted) == (200, file, True)
    assert ids_of(AssistantFiles.list(made)) == ["file-1"]
    assert Assistants.get(made).file_ids == ["file-1"]
    assert error_of(AssistantFiles.retrieve(file, assistant_id=made)) == gone("assistant file")
    assert error_of(AssistantFiles.delete(file, assistant_id=made)) == gone("assistant file")
    assert AssistantFiles.retrieve(file, assistant_id=other).status_code == 200
    assert Files.get(file).status_code == 200


@pytest.mark.parametrize("call", [AssistantFiles.retrieve, AssistantFiles.delete])
def test_unknown_assistant_comes_before_the_file(call: Callable[..., Any]) -> None:
    """Below an assistant that does not exist every call says so."""
    assert error_of(call("file_none", assistant_id="asst_none")) == gone("assistant")
    assert error_of(AssistantFiles.list("asst_none")) == gone("assistant")


def test_files_follow_the_ids_of_an_update() -> None:
    """An update with `file_ids` replaces the files; the `[]` that every other sends does not."""
    made = new_assistant(file_ids=["a", "b"]).id
    kept = AssistantFiles.retrieve("b", assistant_id=made).created_at
    Assistants.update(made, file_ids=["b", "c"])
    assert sorted(ids_of(AssistantFiles.list(made))) == ["b", "c"]
    assert AssistantFiles.retrieve("b", assistant_id=made).created_at == kept
    Assistants.update(made, name="n")
    assert sorted(ids_of(AssistantFiles.list(made))) == ["b", "c"]
