"""Files of an assistant: mounting, unmounting and listing by the SDK, which asks first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    GONE,
    INVALID,
    SDK,
    check_paging,
    ids_of,
    new_assistant,
    refused,
    upload,
)
from wire import Wire


def mounted(folder: Path, count: int) -> tuple[str, list[str]]:
    """An assistant with files that were mounted one after the other."""
    made = new_assistant().id
    files = [upload(folder, f"{number}.txt").id for number in range(count)]
    for file in files:
        SDK.assistants.mount_files(made, file)
    return made, files


def test_mounted_file_names_its_assistant(tmp_path: Path) -> None:
    """Mounting answers with the file's own id, and the assistant then has it."""
    made, file = new_assistant().id, upload(tmp_path).id
    answer = SDK.assistants.mount_files(assistant_id=made, file_id=file)
    assert isinstance(answer, SDK.type.AssistantFilesResponse)
    assert (answer.id, answer.assistant_id) == (file, made)
    assert (answer.object, len(str(answer.created_at))) == ("assistant.file", 13)
    page = SDK.assistants.mounted_files_list(made)
    assert isinstance(page, SDK.type.AssistantMountedFilesListResponse)
    assert [item.model_dump() for item in page.data] == [answer.model_dump()]
    assert SDK.assistants.query(made).file_ids == [file]


def test_file_is_mounted_once(tmp_path: Path) -> None:
    """Mounting what is mounted gives what is there."""
    made, (file,) = mounted(tmp_path, 1)
    SDK.assistants.mount_files(made, file)
    assert ids_of(SDK.assistants.mounted_files_list(made)) == [file]


def test_created_assistant_has_its_files_mounted(tmp_path: Path) -> None:
    """Files that an assistant was made with are in the list as if mounted; an update drops them."""
    files = [upload(tmp_path).id, upload(tmp_path).id]
    made = new_assistant(file_ids=files).id
    assert sorted(ids_of(SDK.assistants.mounted_files_list(made))) == sorted(files)
    SDK.assistants.update(made, "m", "test", "")
    assert ids_of(SDK.assistants.mounted_files_list(made)) == []


def test_mounted_files_are_listed_page_by_page(tmp_path: Path) -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    made, files = mounted(tmp_path, 3)
    check_paging(
        lambda **query: SDK.assistants.mounted_files_list(assistant_id=made, **query), files
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [({"limit": 0}, INVALID), ({"after": "file_none"}, GONE), ({"before": "file_none"}, GONE)],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit of at least one, and cursors that exist."""
    assert refused(SDK.assistants.mounted_files_list, new_assistant().id, **query)[0] == code


def test_unmounted_file_is_only_unmounted(tmp_path: Path) -> None:
    """The assistant has the file no longer; the file is still there."""
    made, (one, two) = mounted(tmp_path, 2)
    answer = SDK.assistants.unmount_files(assistant_id=made, file_id=one)
    assert isinstance(answer, SDK.type.AssistantFilesDeleteResponse)
    assert (answer.id, answer.deleted) == (one, True)
    assert ids_of(SDK.assistants.mounted_files_list(made)) == [two]
    assert SDK.assistants.query(made).file_ids == [two]
    assert SDK.assistants.files.query(one).id == one


def test_unknown_file_is_not_found(tmp_path: Path, wire: Wire) -> None:
    """The SDK asks for the file first, and for the list; the wire says the same in its own way."""
    made, (file,) = mounted(tmp_path, 1)
    for call in (SDK.assistants.mount_files, SDK.assistants.unmount_files):
        with pytest.raises(FileNotFoundError):
            call(made, "test_not_exist")
    with pytest.raises(FileNotFoundError):
        SDK.assistants.unmount_files(new_assistant().id, file)
    ids = {"assistant_id": made, "file_id": "test_not_exist"}
    unmounting = wire.post("/v2/assistants/files/delete", ids)
    assert (unmounting.status, unmounting.json["error"]["code"]) == (200, GONE)
    assert ids_of(SDK.assistants.mounted_files_list(made)) == [file]


def test_unknown_assistant_is_told_or_hidden(tmp_path: Path) -> None:
    """Mounting and listing tell that there is no assistant; unmounting speaks of the file."""
    file = upload(tmp_path).id
    assert refused(SDK.assistants.mount_files, "asst_none", file)[0] == GONE
    assert refused(SDK.assistants.mounted_files_list, "asst_none")[0] == GONE
    with pytest.raises(FileNotFoundError):
        SDK.assistants.unmount_files("asst_none", file)


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        (("test", 123), TypeError),
        ((123, "test"), TypeError),
        (("", "test"), ValueError),
        (("test", ""), ValueError),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", ["mount_files", "unmount_files"])
def test_sdk_looks_at_the_ids(call: str, ids: Any, error: type[Exception]) -> None:
    """An id that is no text, or none at all, is refused before anything is sent."""
    ask: Callable[..., Any] = getattr(SDK.assistants, call)
    with pytest.raises(error):
        ask(*ids)
