"""Files of the platform: every call of the SDK, and what the SDK cannot say by the wire."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dashscope
import pytest
from dashscope import Files
from dashscope.common.error import InvalidFileFormat
from dashscope_sdk.calls import INVALID, error_of, file_of, gone, new_file, new_workspace, upload
from wire import UUID, Wire


def read(file_id: str, **params: Any) -> dict[str, Any]:
    """A file as it is read back."""
    answer = Files.get(file_id, **params)
    assert answer.status_code == 200
    assert re.fullmatch(UUID, answer.request_id)
    return dict(answer.output)


def listed(**params: Any) -> list[str]:
    """The names in a list."""
    answer = Files.list(**params)
    assert answer.status_code == 200
    return [file["name"] for file in answer.output["files"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"hello\n"),
        ("binary.bin", bytes(range(256)) * 300),
        ("报告.md", "# 你好, 世界\n".encode()),
        ("a b;c=d%41'.txt", b"x"),
        ("👩‍💻 ünï.txt", b"x"),
        ("no-suffix", b""),
        ("--boundary--.txt", b"\r\n--boundary--\r\n\r\n--"),
    ],
    ids=["text", "binary", "Chinese", "punctuation", "emoji", "empty", "like a boundary"],
)
def test_uploaded_file_is_whole(name: str, content: bytes, tmp_path: Path) -> None:
    """A file arrives with its name, and the server's MD5 and size are those of its bytes."""
    answer = upload(tmp_path, name, content)
    assert answer.status_code == 200
    assert re.fullmatch(UUID, answer.request_id)
    (made,) = answer.output["uploaded_files"]
    assert (made, answer.output["failed_uploads"]) == (
        {"file_id": made["file_id"], "name": name},
        [],
    )
    file = read(made["file_id"])
    assert (file["file_id"], file["name"], file["size"]) == (made["file_id"], name, len(content))
    assert file["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert re.fullmatch(r"\d{4}(-\d\d){2} \d\d(:\d\d){2}", file["gmt_create"])


def test_quote_in_a_name_stays_as_the_sdk_escapes_it(tmp_path: Path) -> None:
    """The SDK writes a quote as `%22`, as browsers do; the server takes a name as it is told."""
    made = file_of(upload(tmp_path, '"a".txt', b"x"))
    assert read(made)["name"] == "%22a%22.txt"


@pytest.mark.parametrize("description", ['说明: "a"; b\nc', "", None], ids=repr)
def test_description_comes_back(description: str | None, tmp_path: Path) -> None:
    """The description, which the SDK sends before the file, is kept; none is an empty text."""
    made = file_of(upload(tmp_path, "a.txt", b"x", description=description))
    assert read(made)["description"] == (description or "")


def test_sdk_never_sends_the_purpose(wire: Wire, tmp_path: Path) -> None:
    """`Files.upload` takes a purpose and drops it; on the wire it is kept."""
    assert read(new_file(tmp_path, purpose="assistants"))["purpose"] == ""
    answer = wire.send_form(
        "/files",
        [("purpose", "file-extract"), ("descriptions", "说明")],
        [("files", ("报告.md", b"x"))],
    )
    (made,) = answer.json["data"]["uploaded_files"]
    file = read(made["file_id"])
    assert (file["purpose"], file["description"]) == ("file-extract", "说明")


@pytest.mark.parametrize(
    ("content", "error"), [(b"no json", InvalidFileFormat), (b"\xff\xfe", UnicodeDecodeError)]
)
def test_sdk_takes_a_file_for_training_data(
    content: bytes, error: type[Exception], tmp_path: Path
) -> None:
    """Without a purpose the SDK wants JSON lines, and sends nothing else, not even binary."""
    here = {"workspace": new_workspace()}
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(error):
        Files.upload(str(path), **here)
    assert listed(**here) == []
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')
    assert file_of(Files.upload(str(path), **here))
    assert listed(**here) == ["a.jsonl"]


def test_one_form_can_have_many_files(wire: Wire) -> None:
    """The SDK sends one file a request; the wire takes several, in their order."""
    files = [("files", (f"{name}.txt", name.encode())) for name in "abc"]
    data = wire.send_form("/files", [], files).json["data"]
    assert [item["name"] for item in data["uploaded_files"]] == ["a.txt", "b.txt", "c.txt"]
    assert [read(item["file_id"])["md5"] for item in data["uploaded_files"]] == [
        hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in "abc"
    ]


@pytest.mark.parametrize(
    "part",
    [b'name="purpose"', b'name="files"', b'name="document"; filename="a.txt"'],
    ids=["no file", "a text for a file", "another name"],
)
def test_form_without_files_is_refused(part: bytes, wire: Wire) -> None:
    """The files have to be there, and in the parts that are theirs."""
    form = b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n\r\nx\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = wire.call("POST", "/files", form, kind)
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    part = b'name="files"; filename="a.txt"'
    form = b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n\r\nx\r\n--b--\r\n"
    assert wire.call("POST", "/files", form, kind).status == 200


def test_file_beyond_the_limit_is_told_in_a_200(
    narrow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too large fails inside a success, with the documented code."""
    monkeypatch.setattr(dashscope, "base_http_api_url", narrow_server)
    here = {"workspace": new_workspace()}
    assert file_of(upload(tmp_path, "fits.bin", bytes(1000), **here))
    answer = upload(tmp_path, "大.bin", bytes(1001), **here)
    assert (answer.status_code, answer.output["uploaded_files"]) == (200, [])
    (failed,) = answer.output["failed_uploads"]
    assert (failed["name"], failed["code"]) == ("大.bin", "BadRequest.TooLarge")
    assert "1000" in failed["message"]
    assert listed(**here) == ["fits.bin"]


def test_one_file_of_a_form_can_fail(narrow_server: str) -> None:
    """The files that fit are taken, whatever becomes of the others."""
    files = [("files", ("large", bytes(2000))), ("files", ("small", b"x"))]
    data = Wire(narrow_server).send_form("/files", [], files).json["data"]
    assert [item["name"] for item in data["uploaded_files"]] == ["small"]
    assert [item["name"] for item in data["failed_uploads"]] == ["large"]


def test_files_are_listed_by_the_number_of_the_page(tmp_path: Path) -> None:
    """Pages are counted from 1, newest file first, and each says how many there are in all."""
    here = {"workspace": new_workspace()}
    for name in "abcde":
        upload(tmp_path, name, b"x", **here)
    assert listed(**here) == list("edcba")
    page = Files.list(page=2, page_size=2, **here).output
    assert (page["total"], page["page_no"], page["page_size"]) == (5, 2, 2)
    assert [(file["id"], file["name"]) for file in page["files"]] == [(3, "c"), (4, "b")]
    assert listed(page=3, page_size=2, **here) == ["a"]
    assert listed(page=4, page_size=2, **here) == []


def test_ten_files_are_listed_where_no_size_is_given(wire: Wire, tmp_path: Path) -> None:
    """The SDK always asks for pages of ten; the wire has the same where nobody asks."""
    workspace = new_workspace()
    for number in range(11):
        upload(tmp_path, f"{number}", b"x", workspace=workspace)
    assert listed(workspace=workspace) == [f"{number}" for number in range(10, 0, -1)]
    data = wire.call("GET", "/files", headers={"X-DashScope-WorkSpace": workspace}).json["data"]
    assert [data[name] for name in ("total", "page_no", "page_size")] == [11, 1, 10]
    assert len(data["files"]) == 10


def test_listed_file_is_whole(tmp_path: Path) -> None:
    """A listed file has what reading it gives, and a number of its own beside."""
    here = {"workspace": new_workspace()}
    made = new_file(tmp_path, description="d", **here)
    (item,) = Files.list(**here).output["files"]
    assert item == {"id": 1, **read(made, **here)}


@pytest.mark.parametrize(
    "query",
    [{"page": 0}, {"page": -1}, {"page": "x"}, {"page_size": 0}, {"page_size": 101}],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any]) -> None:
    """A page from 1 on, a size from 1 to 100."""
    assert error_of(Files.list(**query))[:2] == (400, INVALID)


def test_deleted_file_is_gone(wire: Wire, tmp_path: Path) -> None:
    """Deleting is answered by a request id alone, and then no call knows the file."""
    here = {"workspace": new_workspace()}
    made, kept = new_file(tmp_path, **here), new_file(tmp_path, **here)
    deleted = Files.delete(made, **here)
    assert (deleted.status_code, deleted.output) == (200, {})
    assert re.fullmatch(UUID, deleted.request_id)
    assert error_of(Files.get(made, **here)) == gone("file")
    assert error_of(Files.delete(made, **here)) == gone("file")
    assert [file["file_id"] for file in Files.list(**here).output["files"]] == [kept]
    answer = wire.call("DELETE", f"/files/{new_file(tmp_path)}")
    assert (answer.status, list(answer.json)) == (200, ["request_id"])


@pytest.mark.parametrize("call", [Files.get, Files.delete])
def test_unknown_file_is_a_400(call: Callable[..., Any]) -> None:
    """An id that does not exist is a bad request, as everywhere."""
    assert error_of(call("file_none")) == gone("file")


def test_sdk_reads_an_answer_as_an_envelope(wire: Wire, tmp_path: Path) -> None:
    """What the SDK gives as `output` lies under `data` on the wire, beside the request's id."""
    made = new_file(tmp_path)
    for path in (f"/files/{made}", "/files?page_no=1&page_size=1"):
        body = wire.call("GET", path).json
        assert sorted(body) == ["data", "request_id"]
    assert wire.call("GET", f"/files/{made}").json["data"] == read(made)
