"""`client.files`, and the files of assistants and messages: what is sent, and what comes back."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import (
    Assistant,
    AssistantFile,
    BadRequest,
    DashScope,
    File,
    InvalidArgument,
    MessageFile,
    NotFound,
    Paginator,
    RemoteProtocolError,
    UnsupportedOperation,
)
from aiodashassist.server import LocalServer
from tests.resources.pinned import pinned

ATTACHED = {
    "id": "f", "object": "assistant.file", "created_at": 5, "assistant_id": "a", "request_id": "r",
}  # fmt: skip
NOTED = {"id": "f", "object": "thread.message.file", "created_at": 5, "message_id": "m"}
KEPT = {"request_id": "r", "data": {"file_id": "f", "name": "n", "size": 3}}


def listed(*items: Any) -> Any:
    """A list envelope."""
    return {"object": "list", "data": list(items), "first_id": "f", "last_id": "f"}


# --- exact requests ---


async def test_a_file_is_read_by_its_id() -> None:
    """The id is in the path; what is known comes from the envelope."""
    file = await pinned(lambda c: c.files.retrieve("f"), "GET", "/files/f", answer=KEPT)

    assert file == File(id="f", filename="n", bytes=3, request_id="r")


async def test_a_file_is_deleted_by_its_id() -> None:
    """The answer is a request id alone (§2.5)."""
    deleted = await pinned(
        lambda c: c.files.delete("f"), "DELETE", "/files/f", answer={"request_id": "r"}
    )

    assert (deleted.id, deleted.deleted, deleted.request_id) == ("f", True, "r")


async def test_files_are_listed_by_numbers() -> None:
    """`page_no` and `page_size` are the wire's own names here (§2.5)."""
    data = {"total": 3, "page_size": 2, "page_no": 2, "files": [{"id": 3, "file_id": "f"}]}

    async def call(client: DashScope) -> Any:
        return await client.files.list(page_no=2, page_size=2, extra_query={"by": "name"})

    page = await pinned(
        call, "GET", "/files?by=name&page_no=2&page_size=2",
        answer={"request_id": "r", "data": data},
    )  # fmt: skip
    assert [(file.id, file.extra) for file in page.data] == [("f", {"id": 3})]
    assert (page.page_no, page.total, page.has_more) == (2, 3, False)


async def test_a_file_is_attached_to_an_assistant() -> None:
    """Its id is all that is sent (§2 AF1)."""
    attached = await pinned(
        lambda c: c.assistants.files.create("a", "f"), "POST", "/assistants/a/files",
        body={"file_id": "f"}, answer=ATTACHED,
    )  # fmt: skip

    assert attached == AssistantFile(id="f", created_at=5, assistant_id="a", request_id="r")


async def test_an_attached_file_is_read_and_taken_away() -> None:
    """Both ids are in the path, the assistant's before the file's (§2 AF3, AF4)."""
    path = "/assistants/a/files/f"
    read = await pinned(
        lambda c: c.assistants.files.retrieve("a", "f"), "GET", path, answer=ATTACHED
    )
    taken = await pinned(
        lambda c: c.assistants.files.delete("a", "f"), "DELETE", path,
        answer={"id": "f", "deleted": True},
    )  # fmt: skip

    assert (read.id, read.assistant_id) == ("f", "a")
    assert (taken.id, taken.deleted, taken.object) == ("f", True, None)


async def test_attached_files_are_listed_like_other_objects() -> None:
    """By cursors, unlike the files themselves (§2 AF2, MF1)."""

    async def of_assistant(client: DashScope) -> Any:
        return await client.assistants.files.list("a", page_size=2, order="asc", after="x")

    async def of_message(client: DashScope) -> Any:
        return await client.threads.messages.files.list("t", "m", before="x")

    page = await pinned(
        of_assistant, "GET", "/assistants/a/files?after=x&limit=2&order=asc",
        answer=listed(ATTACHED),
    )  # fmt: skip
    assert [type(file) for file in page.data] == [AssistantFile]
    page = await pinned(
        of_message, "GET", "/threads/t/messages/m/files?before=x", answer=listed(NOTED)
    )
    assert page.data == (MessageFile(id="f", created_at=5, message_id="m"),)


async def test_a_file_of_a_message_is_read() -> None:
    """Three ids, the outer before the inner (§2 MF2)."""
    read = await pinned(
        lambda c: c.threads.messages.files.retrieve("t", "m", "f"),
        "GET", "/threads/t/messages/m/files/f", answer=NOTED,
    )  # fmt: skip

    assert read == MessageFile(id="f", created_at=5, message_id="m")


async def test_a_file_is_not_given_back() -> None:
    """DashScope has neither: told without a request."""
    async with DashScope("sk-x") as client:
        with pytest.raises(UnsupportedOperation, match="ReadFile"):
            await client.files.content("f")
        with pytest.raises(UnsupportedOperation, match="DownloadFile"):
            await client.files.download("f", to=".")


CALLS: dict[str, Callable[[DashScope], Any]] = {
    "page_size 0": lambda c: c.files.list(page_size=0),
    "page_size 101": lambda c: c.files.list(page_size=101),
    "page_no 0": lambda c: c.files.list(page_no=0),
    "no file": lambda c: c.files.retrieve(""),
    "no file to delete": lambda c: c.files.delete(""),
    "nothing to attach": lambda c: c.assistants.files.create("a", ""),
    "no assistant": lambda c: c.assistants.files.create("", "f"),
    "limit 101": lambda c: c.assistants.files.list("a", page_size=101),
    "no message": lambda c: c.threads.messages.files.list("t", ""),
    "no source": lambda c: c.files.create(None),  # type: ignore[arg-type]
    "no text": lambda c: c.files.create(b"", purpose="\ud800"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_cannot_be_asked_is_told_before_anything_is_sent(
    call: Callable[[DashScope], Any],
) -> None:
    """No address is ever looked up."""
    async with DashScope("sk-x", base_url="http://127.0.0.1:9/api/v1") as client:
        with pytest.raises(InvalidArgument):
            await call(client)


# --- against the local server ---


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder below which a server keeps files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def kept(folder: Path) -> list[bytes]:
    """The bytes of every file that a server keeps."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def fill(path: Path, content: bytes, size: int | None = None) -> None:
    """Write a file; one that is larger than its content ends with a hole."""
    path.write_bytes(content)
    os.truncate(path, len(content) if size is None else size)


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    """Bytes, piece by piece."""
    for piece in given:
        yield piece


LARGE = bytes(range(256)) * 4096


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "bytearray", "view", "iterator"])
async def test_whatever_is_uploaded_arrives(
    disk: Path, tmp_path: Path, client: DashScope, kind: str
) -> None:
    """To the byte, whatever form it had."""
    path = tmp_path / "天气 a;b.bin"
    fill(path, LARGE)
    sources: dict[str, Any] = {
        "path": path,
        "text": str(path),
        "bytes": LARGE,
        "bytearray": bytearray(LARGE),
        "view": memoryview(LARGE),
        "iterator": pieces(LARGE[:5], LARGE[5:]),
    }
    made = await client.files.create(sources[kind], purpose="file-extract", description="说明")
    read = await client.files.retrieve(made.id)

    assert kept(disk) == [LARGE]
    assert made.filename == (path.name if kind in ("path", "text") else "file")
    assert (read.bytes, read.filename) == (len(LARGE), made.filename)
    assert (read.purpose, read.description) == ("file-extract", "说明")
    assert read.created_at is not None
    await client.files.delete(made.id)
    assert kept(disk) == []
    with pytest.raises(NotFound):
        await client.files.retrieve(made.id)
    with pytest.raises(NotFound):
        await client.files.delete(made.id)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("天气 报告.txt", "天气 报告.txt"),
        ("👨‍👩‍👧.txt", "👨‍👩‍👧.txt"),
        ("a;b;c=d.txt", "a;b;c=d.txt"),
        ("'single'.txt", "'single'.txt"),
        ("100%41.txt", "100%41.txt"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("x" * 5000, "x" * 5000),
        (" ", " "),
    ],
)
async def test_a_file_s_name_arrives(disk: Path, client: DashScope, name: str, known: str) -> None:
    """As it was given, but for folders, which are the sender's business."""
    made = await client.files.create(b"abc", filename=name)

    assert made.filename == (await client.files.retrieve(made.id)).filename == known
    assert kept(disk) == [b"abc"]


async def test_a_file_that_is_too_large_is_an_error_and_not_kept(disk: Path) -> None:
    """The service says so in a 200: an error all the same, with file, code and request."""
    async with LocalServer(max_file_bytes=3) as server, server.client(DashScope) as client:
        with pytest.raises(BadRequest, match=r"large\.bin") as caught:
            await client.files.create(b"abcd", filename="large.bin")
        assert (caught.value.code, caught.value.status) == ("BadRequest.TooLarge", 200)
        assert caught.value.request_id
        assert kept(disk) == []
        assert (await client.files.list()).data == ()
        assert (await client.files.create(b"abc")).id


async def test_files_are_listed_over_all_pages(disk: Path, client: DashScope) -> None:
    """Newest first, ten a page unless asked otherwise, every one once (§2.5)."""
    made = [(await client.files.create(b"", filename=str(number))).id for number in range(12)]
    first = await client.files.list()
    third = await client.files.list(page_size=5, page_no=3)

    assert (len(first.data), first.has_more, first.total) == (10, True, 12)
    assert ([file.id for file in third.data], third.has_more) == (made[1::-1], False)
    assert [file.id async for file in client.files.list(page_size=5)] == made[::-1]
    assert [file.id async for file in client.files.list(page_size=5, page_no=2)] == made[6::-1]
    assert [file.id async for file in client.files.list(page_size=5, max_items=7)] == (made[:-8:-1])
    beyond = await client.files.list(page_no=99)
    assert (beyond.data, beyond.has_more, beyond.total) == ((), False, 12)
    assert len(kept(disk)) == 12


async def test_files_are_attached_listed_and_detached(client: DashScope, assistant_id: str) -> None:
    """Attaching twice is once; taking away leaves the file itself."""
    attached = client.assistants.files
    ids = [(await client.files.create(b"")).id for _ in range(3)]
    for file_id in (*ids, ids[0]):
        assert (await attached.create(assistant_id, file_id)).id == file_id

    assert (await client.assistants.retrieve(assistant_id)).file_ids == tuple(ids)
    assert [file.id async for file in attached.list(assistant_id, page_size=2)] == ids[::-1]
    oldest = await attached.list(assistant_id, order="asc", page_size=2, after=ids[0])
    assert [file.id for file in oldest.data] == ids[1:]
    assert (await attached.retrieve(assistant_id, ids[1])).assistant_id == assistant_id
    assert (await attached.delete(assistant_id, ids[1])).deleted
    assert (await client.assistants.retrieve(assistant_id)).file_ids == (ids[0], ids[2])
    with pytest.raises(NotFound, match="assistant file"):
        await attached.retrieve(assistant_id, ids[1])
    with pytest.raises(NotFound, match="assistant file"):
        await attached.delete(assistant_id, ids[1])
    assert (await client.files.retrieve(ids[1])).id == ids[1]


async def test_nothing_is_attached_that_is_not_there(client: DashScope, assistant_id: str) -> None:
    """Neither an unknown file, nor anything to an unknown assistant; each is told by its kind."""
    attached = client.assistants.files
    file_id = (await client.files.create(b"")).id
    with pytest.raises(NotFound, match="specified file"):
        await attached.create(assistant_id, "nothing")
    for call in (
        attached.create("nobody", file_id),
        attached.retrieve("nobody", file_id),
        attached.delete("nobody", file_id),
        attached.list("nobody"),
    ):
        with pytest.raises(NotFound, match="specified assistant has"):
            await call
    assert (await attached.list(assistant_id)).data == ()


async def test_a_message_brings_its_files(client: DashScope) -> None:
    """They are read and listed, and belong to this message alone."""
    threads = client.threads
    thread = await threads.create(messages=[{"content": "a", "file_ids": ["f1"]}])
    message = await threads.messages.create(thread.id, "b", file_ids=["f2", "f3"])
    bare = await threads.messages.create(thread.id, "c")
    files = threads.messages.files

    assert [file.id async for file in files.list(thread.id, message.id, order="asc")] == [
        "f2",
        "f3",
    ]
    assert (await files.list(thread.id, bare.id)).data == ()
    read = await files.retrieve(thread.id, message.id, "f2")
    assert (read.id, read.message_id) == ("f2", message.id)
    with pytest.raises(NotFound, match="message file"):
        await files.retrieve(thread.id, message.id, "f1")
    with pytest.raises(NotFound, match="message has"):
        await files.list(thread.id, "nobody")
    with pytest.raises(NotFound, match="thread has"):
        await files.retrieve("nobody", message.id, "f2")


async def test_a_cancelled_upload_leaves_nothing_on_the_server(
    disk: Path, client: DashScope
) -> None:
    """Half a file is neither kept nor listed, and the client goes on."""
    half = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield LARGE
        half.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(client.files.create(slowly()))
    await half.wait()
    async with asyncio.timeout(10):
        while not kept(disk):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while kept(disk):
            await asyncio.sleep(0.01)

    assert (await client.files.list()).data == ()
    assert (await client.files.create(b"x")).id


async def test_uploads_go_side_by_side(disk: Path, client: DashScope) -> None:
    """Each file is its own."""
    contents = [bytes([number]) * 300_000 for number in range(10)]
    made = await asyncio.gather(*(client.files.create(content) for content in contents))

    assert len({file.id for file in made}) == 10
    assert sorted(kept(disk)) == contents


# --- memory ---


@pytest.fixture
def process(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The local server as a process of its own."""
    command = [sys.executable, "-m", "aiodashassist", "serve", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        yield running
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)


def address(process: "subprocess.Popen[str]") -> str:
    """Where the server is."""
    assert process.stdout is not None
    return process.stdout.readline().split()[1] + "/api/v1"


def high_water(pid: int) -> int | None:
    """The most memory that a process ever had, in bytes; None where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else None


MIB = 1 << 20


@pytest.mark.slow
async def test_the_size_of_a_file_does_not_matter_to_memory(
    process: "subprocess.Popen[str]", tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """200 MiB pass through client and server in pieces of a few kilobytes."""
    path = tmp_path / "sparse.bin"
    fill(path, b"", 200 * MIB)
    async with DashScope("sk-x", base_url=address(process)) as client:
        await client.files.create(bytes(MIB))  # what is loaded once
        before = high_water(process.pid)
        tracemalloc.start()
        try:
            made = await client.files.create(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        after = high_water(process.pid)
        assert (await client.files.retrieve(made.id)).bytes == 200 * MIB

    grown = None if before is None or after is None else after - before
    record_property("client_peak", peak)
    record_property("server_grown", grown)
    assert peak < 6 * MIB
    assert grown is None or grown < 60 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "assistants"])
async def test_the_length_of_a_list_does_not_matter_to_memory(
    server: LocalServer, record_property: Callable[[str, object], None], kind: str
) -> None:
    """10,000 objects, a hundred a page, by number or by cursor, need no more room than 1,000."""
    for number in range(10_000):
        server.store.put("", File(id=f"f{number}", filename="n" * 50, bytes=1, created_at=1000))
        server.store.put("", Assistant(id=f"a{number}", name="n" * 50, created_at=1000))

    async def peak(count: int) -> int:
        tracemalloc.start()
        try:
            async with server.client(DashScope) as client:
                seen = 0
                resource: Any = getattr(client, kind)
                async for _ in resource.list(page_size=100, max_items=count):
                    seen += 1
            assert seen == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(1_000)  # what is loaded once
    few, many = await peak(1_000), await peak(10_000)
    record_property("peaks", (few, many))
    assert many <= 1.5 * few + MIB


async def test_a_list_that_repeats_its_page_is_told() -> None:
    """A service that does not know the number gives the same page again: no endless loop."""
    data = {"files": [{"file_id": "f"}], "page_size": 1}
    page = await pinned(
        lambda c: c.files.list(page_size=1), "GET", "/files?page_size=1",
        answer={"data": data},
    )  # fmt: skip

    async def fetch(_params: Any) -> Any:
        return page

    found = Paginator(fetch, {})
    with pytest.raises(RemoteProtocolError, match="same page"):
        _ = [file async for file in found]
