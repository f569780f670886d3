"""Files of the platform: every call of the SDK, downloads included."""

import re
from pathlib import Path
from typing import Any

import pytest
from appbuilder.core._exception import HTTPConnectionException
from appbuilder_sdk.calls import GONE, INVALID, SDK, new_assistant, point_at, refused, upload
from wire import UUID, Wire

FIELDS = ("id", "bytes", "object", "purpose", "create_at", "filename", "classification_id")


def fields_of(file: Any) -> dict[str, Any]:
    """What a file has in every answer."""
    return {name: file.model_dump()[name] for name in FIELDS}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.txt", b"hello\n", "document"),
        ("report_1-2.PDF", bytes(range(256)) * 300, "document"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "image"),
        ("picture.JPG", b"\xff\xd8\xff", "image"),
        ("no-suffix", b"", "document"),
    ],
)
def test_uploaded_file_is_whole(name: str, content: bytes, kind: str, tmp_path: Path) -> None:
    """A file is answered, queried, listed and read as it was sent."""
    made = upload(tmp_path, name, content)
    assert isinstance(made, SDK.type.AssistantFilesCreateResponse)
    assert re.fullmatch(f"file_{UUID}", made.id)
    assert (made.object, made.bytes, made.filename) == ("file", len(content), name)
    assert len(str(made.create_at)) == 10, "seconds, where all other times are milliseconds"
    read = SDK.assistants.files.query(file_id=made.id)
    assert isinstance(read, SDK.type.AssistantFilesQueryResponse)
    assert fields_of(read) == fields_of(made)
    assert (read.censored, read.file_type) == (SDK.type.AuditStatus.APPROVED, kind)
    page = SDK.assistants.files.list()
    assert isinstance(page, SDK.type.AssistantFilesListResponse)
    assert page.object == "list"
    (listed,) = [file for file in page.data if file.id == made.id]
    assert listed.model_dump() == read.model_dump()
    assert SDK.assistants.files.content(made.id).content == content


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("报告.pdf", "file"),
        ("报告report.pdf", "report.pdf"),
        ("my report.pdf", "my_report.pdf"),
        ("a b;c=d%41'.txt", "a_bcd41.txt"),
        ("__a..txt", "a..txt"),
        ("--boundary--.txt", "--boundary--.txt"),
    ],
)
def test_name_is_made_safe(name: str, kept: str, tmp_path: Path) -> None:
    """The service drops what is not ASCII, and keeps a file of which nothing is left as `file`."""
    made = upload(tmp_path, name, b"x")
    assert (made.filename, SDK.assistants.files.query(made.id).filename) == (kept, kept)


@pytest.mark.parametrize(("given", "kept"), [({}, "assistant"), ({"purpose": "知识"}, "知识")])
def test_purpose_is_in_the_query(given: dict[str, str], kept: str, tmp_path: Path) -> None:
    """What a file is for is kept; without a word it is for assistants."""
    made = upload(tmp_path, **given)
    assert (made.purpose, SDK.assistants.files.query(made.id).purpose) == (kept, kept)


def test_purpose_need_not_be_sent(wire: Wire) -> None:
    """The SDK always sends it; the server has the same default."""
    answer = wire.send_form("/v2/storage/files", [], [("file", ("a.txt", b"x"))])
    assert (answer.status, answer.json["purpose"]) == (200, "assistant")


def test_file_that_is_not_there_is_not_sent() -> None:
    """The SDK looks for the file before it sends."""
    with pytest.raises(ValueError, match="not exists"):
        SDK.assistants.files.create(file_path="test")


@pytest.mark.parametrize("name", ["files", "document"])
def test_part_of_a_form_has_its_name(name: str, wire: Wire) -> None:
    """Only the part `file` is a file."""
    answer = wire.send_form("/v2/storage/files", [], [(name, ("a.txt", b"x"))])
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)


def test_form_has_one_file(wire: Wire) -> None:
    """A form of two files, or of none, is refused."""
    two = [("file", ("a.txt", b"x")), ("file", ("b.txt", b"x"))]
    for fields, files in (([], two), ([("purpose", "assistant")], [("other", ("a", b""))])):
        answer = wire.send_form("/v2/storage/files", fields, files)
        assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)


def test_list_has_all_files(tmp_path: Path, wire: Wire) -> None:
    """There are no pages, and so neither first nor last nor more."""
    made = [upload(tmp_path).id for _ in range(25)]
    listed = {file.id for file in SDK.assistants.files.list().data}
    assert set(made) <= listed
    assert list(wire.post("/v2/storage/files/list", {}).json) == ["object", "data"]


def test_deleted_file_is_gone(tmp_path: Path) -> None:
    """After deleting no call knows the file."""
    made = upload(tmp_path).id
    deleted = SDK.assistants.files.delete(file_id=made)
    assert isinstance(deleted, SDK.type.AssistantFilesDeleteResponse)
    assert (deleted.id, deleted.deleted) == (made, True)
    with pytest.raises(ValueError, match="is not exist"):
        SDK.assistants.files.query(made)
    assert made not in {file.id for file in SDK.assistants.files.list().data}


def test_unknown_file_is_null(wire: Wire) -> None:
    """A query for what is not there is answered by 200 and null, of which the SDK makes an error.

    So do the calls that ask first.
    """
    with pytest.raises(ValueError, match="is not exist"):
        SDK.assistants.files.query("test")
    for call in (SDK.assistants.files.content, SDK.assistants.files.download):
        with pytest.raises(FileNotFoundError):
            call("test_not_exist")
    answer = wire.post("/v2/storage/files/query", {"file_id": "test"})
    assert (answer.status, answer.json) == (200, None)


@pytest.mark.parametrize("call", ["query", "content", "download"])
def test_id_is_a_text(call: str) -> None:
    """The SDK refuses what is none."""
    with pytest.raises(TypeError):
        getattr(SDK.assistants.files, call)(file_id=123)


@pytest.mark.parametrize("ending", ["txt", "png", "pdf", "bin"])
def test_content_has_its_type(ending: str, tmp_path: Path) -> None:
    """`content` gives the bytes, and the type that the answer names."""
    content = bytes(range(256))
    made = upload(tmp_path, f"a.{ending}", content)
    read = SDK.assistants.files.content(file_id=made.id, timeout=30)
    assert isinstance(read, SDK.type.AssistantFilesContentResponse)
    assert read.content == content
    types = {"txt": "text/plain", "png": "image/png", "pdf": "application/pdf"}
    assert read.content_type.startswith(types.get(ending, "application/octet-stream"))


@pytest.mark.parametrize(
    ("name", "saved"),
    [("a-1_b.tar.gz", "a-1_b.tar.gz"), ("报告 1.md", "1.md"), ("说明.md", "file")],
)
def test_download_is_saved_under_its_name(name: str, saved: str, tmp_path: Path) -> None:
    """The bytes lie in the folder, under the name that the header ends with and no other."""
    content = "你好, 世界\n".encode() * 999
    made = upload(tmp_path, name, content)
    folder = tmp_path / "folder"
    folder.mkdir()
    SDK.assistants.files.download(file_id=made.id, file_path=f"{folder}/", timeout=30)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(saved, content)]


def test_download_without_a_folder_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No path means the current folder; an empty file is a file."""
    made = upload(tmp_path, "empty.txt", b"")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    SDK.assistants.files.download(made.id)
    assert (tmp_path / "here" / "empty.txt").read_bytes() == b""


def test_folder_without_a_slash_becomes_a_part_of_the_name(tmp_path: Path) -> None:
    """The SDK only joins the two texts."""
    made = upload(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    SDK.assistants.files.download(made.id, str(folder))
    assert (tmp_path / "foldera.txt").read_bytes() == b"hello"


def test_download_wants_a_folder_that_is_there(tmp_path: Path) -> None:
    """The SDK looks at where the file is to lie."""
    made = upload(tmp_path).id
    download = SDK.assistants.files.download
    with pytest.raises(TypeError):
        download(made, 123)
    with pytest.raises(ValueError, match="empty"):
        download("", f"{tmp_path}/")
    with pytest.raises(FileNotFoundError):
        download(made, f"{tmp_path}/none/")
    with pytest.raises(ValueError, match="directory"):
        download(made, str(tmp_path / "a.txt"))


def test_silence_ends_a_download(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timeout` bounds the request for the bytes; the query before it waits for ever."""
    made = upload(tmp_path).id
    real = SDK.assistants.files.query
    monkeypatch.setattr(
        "appbuilder.core.assistant.assistants.files.Files.query", lambda _, file: real(file)
    )
    point_at(silent, monkeypatch)
    for call in (SDK.assistants.files.content, SDK.assistants.files.download):
        with pytest.raises(HTTPConnectionException):
            call(made, timeout=0.02)


def test_only_a_query_is_answered_by_nothing(wire: Wire) -> None:
    """Every other call for an unknown file is told by an error, which names no file to save."""
    assert refused(SDK.assistants.files.delete, "file_none")[0] == GONE
    made = new_assistant().id
    for path, ids in (
        ("/storage/files/download", {}),
        ("/storage/files/content", {}),
        ("/storage/files/delete", {}),
        ("/assistants/files", {"assistant_id": made}),
    ):
        answer = wire.post(f"/v2{path}", {"file_id": "file_none", **ids})
        assert (answer.status, "content-disposition" in answer.headers) == (200, False)
        assert answer.json["error"]["code"] == GONE


def test_file_beyond_the_limit_is_refused(
    narrow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too large is an error inside a 200, which the SDK raises."""
    point_at(narrow_server, monkeypatch)
    assert upload(tmp_path, "fits.bin", bytes(1000)).bytes == 1000
    _, message = refused(upload, tmp_path, "large.bin", bytes(1001))
    assert "1000" in message
    names = [file.filename for file in SDK.assistants.files.list().data]
    assert ("fits.bin" in names, "large.bin" in names) == (True, False)
