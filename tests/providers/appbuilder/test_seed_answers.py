"""The vendor's document "Assistant SDK API说明": each field of each class of its answers.

Then files, which are no JSON.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aiodashassist import (
    AppBuilder,
    NotFound,
    RequestTimeout,
    Timeouts,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.files import FileContent, Uploads
from aiodashassist.core.models import (
    Page,
)
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from aiodashassist.server import LocalServer
from tests.providers.appbuilder.seed_document import (
    ANSWERS,
    MADE,
    METHODS,
    RETRIEVED,
    STORAGE,
    TOLD,
    UPLOADED,
    answer,
    decoded,
    make,
)
from tests.raw_server import RawServer, Received, Writer
from tests.retrying import ONCE


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[AppBuilder]:
    """A client of the fresh local server."""
    async with server.client(AppBuilder) as made:
        yield made


FIELDS = [(name, field) for name, row in ANSWERS.items() for field in row.fields]
every_field = pytest.mark.parametrize(
    ("name", "field"), FIELDS, ids=[f"{name}.{field}" for name, field in FIELDS]
)


@every_field
def test_a_field_of_an_answer_is_read(name: str, field: str) -> None:
    """It is the attribute of its name, in our units; nothing of the body is left over."""
    row = ANSWERS[name]
    result = decoded(row.operation, row.body)

    assert getattr(result, row.fields[field].name) == row.fields[field].value
    assert result.extra == {}


def _nothing(value: Any) -> Any:
    """What the classes have by default for a value of this kind."""
    return 0 if isinstance(value, int) else type(value)()


CERTAIN = {("id", "null"), ("id", "default"), ("id", "absent"), ("data", "absent")}
"""What an answer cannot be without."""
SAID = {
    f"{name}.{field}, {said}": (name, field, said)
    for name, field in FIELDS
    for said in ("default", "null", "absent")
    if (field, said) not in CERTAIN and field not in ("deleted", "has_more")
}


@pytest.mark.parametrize(("name", "field", "said"), SAID.values(), ids=SAID)
def test_a_field_may_say_nothing(name: str, field: str, said: str) -> None:
    """Its default in the document, null and absence are one: None, or nothing in a list."""
    row = ANSWERS[name]
    body = row.body
    body[field] = _nothing(body[field]) if said == "default" else None
    if said == "absent":
        del body[field]
    result = decoded(row.operation, body)

    bare = row.kind(**({} if row.kind is Page else {"id": "x"}))
    nothing = getattr(bare, row.fields[field].name)
    if field in ("bytes", "censored") and said == "default":
        nothing = 0  # which is no time: a file of no bytes, one that was not audited (§4)
    assert getattr(result, row.fields[field].name) == nothing


TRUTHS = [(name, field) for name, field in FIELDS if field in ("deleted", "has_more")]


@pytest.mark.parametrize(
    ("name", "field"), TRUTHS, ids=[f"{name}.{field}" for name, field in TRUTHS]
)
def test_a_no_is_read(name: str, field: str) -> None:
    """The document's default is False, which is said and read as such."""
    row = ANSWERS[name]
    result = decoded(row.operation, {**row.body, field: False})
    assert getattr(result, field) is False

    said = json.loads(AppBuilderService().answer(row.operation, result, "r"))
    assert said[field] is False


@every_field
def test_the_local_server_answers_with_every_field(name: str, field: str) -> None:
    """An answer has it, with its value; a run that was made has what a real one had (§3.9)."""
    row = ANSWERS[name]
    body = json.loads(AppBuilderService().answer(row.operation, row.result, "r"))
    if field not in TOLD.get(name, row.fields):
        assert field not in body
        body = json.loads(AppBuilderService().answer(RETRIEVED, row.result, "r"))
        # Seen so, whatever the run had (§3.9).
        seen: dict[str, Any] = {"tools": [], "file_ids": None}
        assert body[field] == seen.get(field, row.fields[field].wire)
        return

    told, wire = body[field], row.fields[field].wire
    if field == "data":  # an assistant's model is told, too, as it was in the beginning (§3.1)
        (told,), (wire,) = told, wire
        told = {key: told[key] for key in wire}
    assert told == wire


# --- files: what is no JSON ---


@pytest.mark.parametrize(
    ("given", "query"),
    [({}, "assistant"), ({"purpose": "assistant"}, "assistant"), ({"purpose": "别的"}, "别的")],
    ids=["default", "given", "another"],
)
async def test_an_upload_is_one_part_and_a_purpose(
    tmp_path: Path, given: dict[str, str], query: str
) -> None:
    """files.create: `file_path` is the part `file` with its basename; `purpose` a query (§2.2)."""
    path = tmp_path / "数据.txt"
    path.write_bytes(b"hello")
    async with RawServer(answer) as server, AppBuilder("k", server.url) as client:
        await client.files.create(path, **given)  # type: ignore[arg-type]

    (request,) = server.requests
    assert request.line == f"POST {STORAGE}?purpose={quote(query)} HTTP/1.1"
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    assert request.body.lower().count(b"--" + boundary.encode()) == 2  # one part, and the end
    assert 'name="file"; filename="数据.txt"'.encode() in request.body
    assert b"\r\n\r\nhello\r\n" in request.body


async def test_a_path_of_no_file_is_refused(client: AppBuilder, tmp_path: Path) -> None:
    """files.create, "Raises ValueError": nothing is uploaded from nowhere."""
    with pytest.raises(ValueError, match=r"none\.txt"):
        await client.files.create(tmp_path / "none.txt")

    assert (await client.files.list()).data == ()


@pytest.mark.parametrize("field", UPLOADED)
def test_a_field_of_an_uploaded_file_is_read(field: str) -> None:
    """AssistantFilesCreateResponse: neither `censored` nor `file_type` are in it (§3.3)."""
    operation = ops.CreateFiles(files=())
    (file,) = decoded(operation, {name: row.wire for name, row in UPLOADED.items()}).files
    assert getattr(file, UPLOADED[field].name) == UPLOADED[field].value

    told = json.loads(AppBuilderService().answer(operation, Uploads(files=(file,)), "r"))
    assert told == {name: row.wire for name, row in UPLOADED.items()}


@pytest.mark.parametrize("status", range(-1, 6))
def test_every_status_of_a_check_is_one(status: int) -> None:
    """AuditStatus: the document names the type only; -1 and 0 are values, too (§4)."""
    row = ANSWERS["AssistantFilesQueryResponse"]
    file = decoded(row.operation, {**row.body, "censored": status})
    assert file.censored == status

    assert json.loads(AppBuilderService().answer(row.operation, file, "r"))["censored"] == status


@pytest.mark.parametrize("field", ["content_type", "content"])
def test_a_field_of_a_content_is_read(field: str) -> None:
    """AssistantFilesContentResponse is no body: a header, and the bytes (§2.2)."""
    content = decoded(MADE["files.content"], b"\0{}", **{"content-type": "text/csv"})
    assert content == FileContent(data=b"\0{}", content_type="text/csv")

    ours = {"content_type": "content_type", "content": "data"}[field]
    assert getattr(content, ours) == {"content_type": "text/csv", "content": b"\0{}"}[field]


async def test_the_local_server_gives_files_back(
    client: AppBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`file_path` is `to`: a folder, with a slash or without; the working one as any other."""
    kept = await client.files.create(b"1,2", filename="a.csv")
    content = await client.files.content(kept.id)
    assert (content.data, content.content_type) == (b"1,2", "text/csv")

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    assert await client.files.download(kept.id, to=".") == Path("a.csv")
    assert await client.files.download(kept.id, to=f"{there}/") == there / "a.csv"
    assert await client.files.download(kept.id, to=there / "b.csv") == there / "b.csv"
    for path in (here / "a.csv", there / "a.csv", there / "b.csv"):
        assert path.read_bytes() == b"1,2"


@pytest.mark.parametrize("name", ["files.query", "files.delete", "files.download", "files.content"])
async def test_an_unknown_file_is_not_found(client: AppBuilder, name: str) -> None:
    """The document's ValueError and FileNotFoundError; a query is answered by null (§6.3)."""
    with pytest.raises(NotFound):
        await make(client, METHODS[name], {"file_id": "file_none"})


@pytest.mark.parametrize("name", ["files.download", "files.content"])
async def test_a_file_is_waited_for_as_long_as_is_said(name: str) -> None:
    """`timeout` is a setting of the client, for this call or all; it is never sent."""

    async def silent(_request: Received, _writer: Writer) -> None:
        await asyncio.Event().wait()

    async with RawServer(silent) as server, AppBuilder("k", server.url) as client:
        hasty = client.with_options(timeouts=Timeouts(read=0.01), retry=ONCE)
        with pytest.raises(RequestTimeout):
            await make(hasty, METHODS[name], {"file_id": "file_x"})

    assert {json.dumps(json.loads(request.body)) for request in server.requests} == {
        '{"file_id": "file_x"}'
    }
