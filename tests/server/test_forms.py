"""Forms as they come over HTTP: good ones of any sender, broken ones, and what is left of those."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiodashassist import DashScope
from aiodashassist.server import LocalServer

FORM = "multipart/form-data; boundary=B"
FILE = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nabc\r\n'
TEXT = b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
END = b"--B--\r\n"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    """A server whose files are below the test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with LocalServer(max_file_bytes=1000) as running:
        yield running


def kept(folder: Path) -> list[bytes]:
    """The bytes of every file that the server keeps."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def folders(folder: Path) -> list[Path]:
    """The folders below."""
    return [path for path in folder.rglob("*") if path.is_dir()]


async def posted(
    server: LocalServer, body: bytes, kind: str | None = FORM, key: str = "x"
) -> tuple[int, Any]:
    """Status and JSON of an upload written by hand."""
    headers = {"Authorization": f"Bearer {key}"}
    if kind is not None:
        headers["Content-Type"] = kind
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as http,
        http.post(server.dashscope_url + "/files", data=BytesIO(body), headers=headers) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def assert_well(server: LocalServer, tmp_path: Path) -> None:
    """The server keeps nothing, lists nothing, and takes the next upload."""
    assert kept(tmp_path) == []
    async with server.client(DashScope) as client:
        assert (await client.files.list()).data == ()
        made = await client.files.create(b"after")
        assert kept(tmp_path) == [b"after"]
        await client.files.delete(made.id)
    assert kept(tmp_path) == []


async def test_a_form_written_by_hand_is_taken(server: LocalServer, tmp_path: Path) -> None:
    """Texts before the file or behind it, a preamble and an epilogue."""
    status, answer = await posted(server, b"hello\r\n" + FILE + TEXT + END + b"bye\r\n")

    assert status == 200
    (taken,) = answer["data"]["uploaded_files"]
    assert taken["name"] == "a.txt"
    assert kept(tmp_path) == [b"abc"]
    async with server.client(DashScope) as client:
        assert (await client.files.retrieve(taken["file_id"])).purpose == "batch"


def part(disposition: str, data: bytes = b"abc", more: str = "") -> bytes:
    """One part with this disposition."""
    return f"--B\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="files"; filename="天气 报告.txt"', "天气 报告.txt"),
        ('form-data; name="files"; filename="a;b;c.txt"', "a;b;c.txt"),
        ('form-data; name="files"; filename="a; name=x; filename=y"', "a; name=x; filename=y"),
        ('form-data; name="files"; filename="100%22.txt"', "100%22.txt"),
        ('form-data; name="files"; filename="a\\"b.txt"', 'a"b.txt'),
        ('form-data; name="files"; filename="C:\\dir\\a.txt"', "a.txt"),
        ('form-data; name="files"; filename="C:\\dir\\"', "file"),
        ('form-data; name="files"; filename="a;b\\"', "file"),
        ('form-data; name="files"; filename="a\\" ', "file"),
        ('form-data; filename="a\\"b"; name="files"', 'a"b'),
        ('form-data; name="files"; filename="../../etc/passwd"', "passwd"),
        ('form-data; name="files"; filename="/"', "file"),
        ('form-data; name="files"; filename=""', "file"),
        ('form-data; name="files"; filename=".."', ".."),
        ("form-data; name=files; filename=a.txt", "a.txt"),
        ('FORM-DATA;NAME="files";FileName="a.txt" ', "a.txt"),
        ('form-data; filename="a.txt"; name="files"', "a.txt"),
        ('form-data; name="files"; filename="x"; filename*=UTF-8\'\'%E5%90%8D.txt', "名.txt"),
        ("form-data; name=\"files\"; filename*=utf-8'zh'a%2Fb.txt", "b.txt"),
        ('form-data; name="files"; filename="' + "名" * 2000 + '"', "名" * 2000),
    ],
)
async def test_a_file_s_name_is_read_as_it_was_written(
    server: LocalServer, tmp_path: Path, disposition: str, name: str
) -> None:
    """Names of any sender; of one with folders the last segment, never a place on the disk."""
    status, answer = await posted(server, part(disposition) + END)

    assert status == 200
    assert answer["data"]["uploaded_files"][0]["name"] == name
    assert kept(tmp_path) == [b"abc"]
    assert len(folders(tmp_path)) == 1


async def test_a_client_s_name_may_end_in_a_backslash(server: LocalServer, tmp_path: Path) -> None:
    """The client writes it as it is, before the closing quote."""
    async with server.client(DashScope) as client:
        made = await client.files.create(b"abc", filename="folder\\")
        assert (await client.files.retrieve(made.id)).filename == "file"

    assert kept(tmp_path) == [b"abc"]


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
async def test_a_field_that_is_too_large_is_told_as_such(
    server: LocalServer, tmp_path: Path, size: int, status: int
) -> None:
    """It is the field that is over its limit, and not the file; the limit itself is good."""
    text = part('form-data; name="descriptions"', b"x" * size)
    answered, answer = await posted(server, FILE + text + END)

    assert answered == status
    assert len(kept(tmp_path)) == (1 if status == 200 else 0)
    if status == 413:
        assert answer["code"] == "RequestTooLarge"
        assert answer["message"] == "A field of the form is larger than 65536 bytes."


async def test_bytes_of_another_encoding_are_replaced(server: LocalServer) -> None:
    """A name that is no UTF-8 is a name all the same."""
    latin = part('form-data; name="files"; filename="?"').replace(b'"?"', b'"caf\xe9"')
    status, answer = await posted(server, latin + END)

    assert (status, answer["data"]["uploaded_files"][0]["name"]) == (200, "caf?")


@pytest.mark.parametrize("length", ["3", "2", "999", "-1", "many"])
async def test_a_part_ends_at_its_boundary(
    server: LocalServer, tmp_path: Path, length: str
) -> None:
    """The length that some senders give a part does not matter."""
    more = f"Content-Length: {length}\r\nContent-Type: text/plain\r\n"
    status, _ = await posted(server, part('form-data; name="files"; filename="a"', more=more) + END)

    assert (status, kept(tmp_path)) == (200, [b"abc"])


async def test_what_looks_like_a_boundary_is_not_one(server: LocalServer, tmp_path: Path) -> None:
    """Dashes, line breaks and a boundary in mid-line are the file's own."""
    data = b"--B--\r\n--C\r\n\r\n x--B\r\n\r\n"[5:]
    await posted(server, part('form-data; name="files"; filename="a"', data) + END)

    assert kept(tmp_path) == [data]


async def test_several_files_are_taken_in_one_request(server: LocalServer, tmp_path: Path) -> None:
    """The part may be repeated (§2.5)."""
    status, answer = await posted(server, FILE + FILE.replace(b"abc", b"def") + END)

    assert (status, len(answer["data"]["uploaded_files"])) == (200, 2)
    assert sorted(kept(tmp_path)) == [b"abc", b"def"]


async def test_a_file_that_is_too_large_is_told_and_not_kept(
    server: LocalServer, tmp_path: Path
) -> None:
    """It fails alone; the other one of the request is taken (§2.5)."""
    large = FILE.replace(b"abc", b"x" * 1001).replace(b"a.txt", b"large.txt")
    status, answer = await posted(server, FILE + large + END)

    assert (status, kept(tmp_path)) == (200, [b"abc"])
    (failed,) = answer["data"]["failed_uploads"]
    assert (failed["name"], failed["code"]) == ("large.txt", "BadRequest.TooLarge")
    assert "1000 bytes" in failed["message"]


INNER = (
    b'--B\r\nContent-Disposition: form-data; name="files"\r\n'
    b"Content-Type: multipart/mixed; boundary=I\r\n\r\n--I\r\n\r\nabc\r\n--I--\r\n"
)
BAD: dict[str, tuple[bytes, str | None, int]] = {
    "no type": (FILE + END, None, 400),
    "JSON": (b"{}", "application/json", 400),
    "no boundary": (FILE + END, "multipart/form-data", 400),
    "an empty boundary": (FILE + END, "multipart/form-data; boundary=", 400),
    "a long boundary": (FILE + END, "multipart/form-data; boundary=" + "B" * 71, 400),
    "another boundary": (FILE + END, "multipart/form-data; boundary=C", 400),
    "another multipart": (FILE + END, "multipart/mixed; boundary=B", 400),
    "nothing": (b"", FORM, 400),
    "no parts": (END, FORM, 400),
    "no end": (FILE, FORM, 400),
    "half a file": (FILE[:-5], FORM, 400),
    "half a head": (FILE + b"--B\r\nContent-Dis", FORM, 400),
    "no line break": (FILE + b"--B", FORM, 400),
    "broken head": (FILE + b"--B\r\nno colon\r\n\r\nx\r\n" + END, FORM, 400),
    "endless head": (FILE + b"--B\r\nX: " + b"x" * 100_000 + END, FORM, 400),
    "many heads": (FILE + b"--B\r\n" + b"X: x\r\n" * 1000 + b"\r\n" + END, FORM, 400),
    "inside another": (FILE + INNER + END, FORM, 400),
    "no disposition": (FILE + b"--B\r\nX: x\r\n\r\nabc\r\n" + END, FORM, 400),
    "no name": (FILE + part('form-data; filename="a"') + END, FORM, 400),
    "an empty name": (FILE + part('form-data; name=""; filename="a"') + END, FORM, 400),
    "no file": (TEXT + END, FORM, 400),
    "a text for a file": (part('form-data; name="files"') + END, FORM, 400),
    "another name": (FILE.replace(b'"files"', b'"file"') + END, FORM, 400),
    "one of another name": (FILE + FILE.replace(b'"files"', b'"file"') + END, FORM, 400),
    "a text that is none": (FILE + part('form-data; name="purpose"', b"\xff") + END, FORM, 400),
    "a large text": (FILE + part('form-data; name="purpose"', b"x" * (1 << 20)) + END, FORM, 413),
    "101 files": (FILE * 101 + END, FORM, 413),
    "101 texts": (FILE + TEXT * 100 + END, FORM, 413),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
async def test_a_form_that_cannot_be_read_is_refused(
    server: LocalServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    case: tuple[bytes, str | None, int],
) -> None:
    """400, or 413 where it is too much; nothing of it is kept, and the next one is taken."""
    body, kind, status = case
    answered, answer = await posted(server, body, kind)

    assert answered == status
    assert answer["code"] == ("RequestTooLarge" if status == 413 else "InvalidParameter")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    await assert_well(server, tmp_path)


async def test_a_hundred_files_are_not_too_many(server: LocalServer, tmp_path: Path) -> None:
    """The limit itself is good."""
    status, answer = await posted(server, FILE * 100 + END)

    assert (status, len(answer["data"]["uploaded_files"])) == (200, 100)
    assert len(kept(tmp_path)) == 100


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_that_is_cut_off_leaves_nothing(
    server: LocalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, chunked: bool
) -> None:
    """A sender that goes away in the middle of a file is no fault, and its half is not kept."""
    host, port = server.url.removeprefix("http://").split(":")
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000000"
    head = (
        f"POST /api/v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n{length}\r\n"
    )
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{head}Content-Type: {FORM}\r\n\r\n".encode())
    body = FILE + FILE[:-2]
    async with asyncio.timeout(10):
        while len(kept(tmp_path)) < 2:  # a reader waits for more than it gives
            writer.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
            await writer.drain()
            await asyncio.sleep(0.01)
            body = b"more"
        writer.close()
        await writer.wait_closed()
        while kept(tmp_path):
            await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    await assert_well(server, tmp_path)


async def test_with_a_wrong_key_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not upload does not fill the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with LocalServer(api_key="sk-right") as server:
        assert (await posted(server, FILE + END, key="sk-wrong"))[0] == 401
        assert folders(tmp_path) == []
        await assert_well(server, tmp_path)
