"""Files on their way here: whole or not there, under a safe name, never over another one."""

import asyncio
import gc
import gzip
import io
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    AssistError,
    FileContent,
    InvalidArgument,
    Limits,
    NotFound,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    Timeouts,
    TotalTimeout,
    TransportError,
)
from aiodashassist.core.operations import DownloadFile
from aiodashassist.downloads import Arrival
from aiodashassist.server import LocalServer
from tests import virtual_time
from tests.raw_server import RawServer, Received, Writer, answering, whole
from tests.retrying import AT_ONCE

BYTES = bytes(range(256)) * 400  # more than an error ever has
PATIENCE = 10  # seconds; nothing here takes one
MIB = 1 << 20


def answer(
    body: bytes = BYTES,
    disposition: str | bytes | None = "attachment; filename=notes.txt",
    kind: str = "application/octet-stream",
    length: int | None = None,
) -> bytes:
    """A file, as a service answers with it."""
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: " + kind.encode()]
    lines.append(b"Content-Length: %d" % (len(body) if length is None else length))
    if disposition is not None:
        raw = disposition.encode() if isinstance(disposition, str) else disposition
        lines.append(b"Content-Disposition: " + raw)
    return b"\r\n".join([*lines, b"", b""]) + body


async def downloaded(served: Any, to: Any, **options: Any) -> Any:
    """Download what is answered so; the client can go on afterwards."""
    usual = served if callable(served) else answering(served)
    given: Any = {name: options.pop(name) for name in ("timeouts", "limits") if name in options}
    async with (
        RawServer(usual) as server,
        AppBuilder("k", server.url, retry=AT_ONCE, **given) as client,
    ):
        return await client.files.download("f", to=to, **options)


def left(folder: Path) -> list[str]:
    """The names of all that is in a folder, and below."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class Sink:
    """Takes bytes as a coroutine."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        """Take more."""
        await asyncio.sleep(0)
        self.pieces.append(data)


# --- where it goes ---


async def test_a_file_is_written_to_a_path(tmp_path: Path) -> None:
    """As it is, under the name that was said; the path comes back."""
    path = tmp_path / "mine.bin"
    for to in (path, str(tmp_path / "text.bin")):
        found = await downloaded(answer(), to)
        assert found == Path(to)
        assert found.read_bytes() == BYTES

    assert left(tmp_path) == ["mine.bin", "text.bin"]


async def test_a_file_is_written_into_a_folder(tmp_path: Path) -> None:
    """Under the name that the service gives it."""
    found = await downloaded(answer(), tmp_path)

    assert found == tmp_path / "notes.txt"
    assert found.read_bytes() == BYTES
    assert left(tmp_path) == ["notes.txt"]


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """With a slash at its end it is one, without it is a file's path in one that there is."""
    with pytest.raises(InvalidArgument, match="missing"):
        await downloaded(answer(), f"{tmp_path}/missing/")
    with pytest.raises(InvalidArgument, match="missing"):
        await downloaded(answer(), tmp_path / "missing" / "a.txt")

    assert left(tmp_path) == []
    assert (await downloaded(answer(), tmp_path / "missing")).read_bytes() == BYTES


async def test_a_writable_takes_the_bytes() -> None:
    """A plain one, or one whose `write` is a coroutine; there is no path then."""
    plain, sink = io.BytesIO(), Sink()

    assert await downloaded(answer(), plain) is None
    assert await downloaded(answer(), sink) is None
    assert plain.getvalue() == b"".join(sink.pieces) == BYTES


async def test_an_open_file_takes_the_bytes(tmp_path: Path) -> None:
    """It is the caller's: it is not closed."""
    with (tmp_path / "a").open("wb") as file:
        await downloaded(answer(), file)
        assert not file.closed

    assert (tmp_path / "a").read_bytes() == BYTES


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Nothing is no error."""
    assert (await downloaded(answer(b""), tmp_path)).read_bytes() == b""


@pytest.mark.parametrize("to", [None, 5, object(), b"a path"])
async def test_what_cannot_be_written_to_is_refused(to: Any) -> None:
    """Before anything is asked for."""
    async with RawServer(answering(answer())) as server, AppBuilder("k", server.url) as client:
        with pytest.raises(InvalidArgument, match="to must be"):
            await client.files.download("f", to=to)
        assert server.requests == []


@pytest.mark.parametrize("to", ["a\0b", "x" * 300, "/dev/null/x"])
async def test_a_path_that_cannot_be_is_told(tmp_path: Path, to: str) -> None:
    """As InvalidArgument, whatever the system says."""
    with pytest.raises(InvalidArgument, match="cannot be written"):
        await downloaded(answer(), tmp_path / to if not to.startswith("/") else to)

    assert left(tmp_path) == []


# --- under which name ---

HOSTILE: dict[str, str | bytes] = {
    "above": "attachment; filename=../../evil.txt",
    "far above": 'attachment; filename="../../../../../../etc/passwd"',
    "absolute": 'attachment; filename="/etc/passwd"',
    "backslashes": r'attachment; filename="..\..\evil.txt"',
    "a drive": r'attachment; filename="C:\evil.txt"',
    "a stream of NTFS": 'attachment; filename="a.txt:evil"',
    "dots": 'attachment; filename=".."',
    "one dot": 'attachment; filename="."',
    "a slash alone": 'attachment; filename="/"',
    "nothing": 'attachment; filename=""',
    "blanks": 'attachment; filename="   "',
    "reserved": 'attachment; filename="CON"',
    "reserved with an ending": 'attachment; filename="nul.txt"',
    "hidden": 'attachment; filename=".bashrc"',
    "quoted in percents": "attachment; filename*=UTF-8''..%2F..%2Fevil.txt",
    "backslashes in percents": "attachment; filename*=UTF-8''..%5C..%5Cevil.txt",
    "zero in percents": "attachment; filename*=UTF-8''evil%00.txt",
    "lines in percents": "attachment; filename*=UTF-8''a%0d%0ab.txt",
    "directions in percents": "attachment; filename*=UTF-8''a%E2%80%AEtxt.exe",
    "very long": f'attachment; filename="{"长" * 500}.txt"',
    "no UTF-8": b"attachment; filename=\xff\xfe.txt",
    "escaped quote": r'attachment; filename="a\"; filename=../b"',
    "two names": "attachment; filename=../a; filename=../b",
    "no such thing": "attachment",
    "no sense": ";;;=;",
}


@pytest.mark.parametrize("disposition", HOSTILE.values(), ids=HOSTILE.keys())
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, disposition: str | bytes) -> None:
    """Whatever the service says: one plain file in the folder that was given."""
    folder = tmp_path / "inner"
    folder.mkdir()
    found = await downloaded(answer(disposition=disposition), folder)

    assert found.parent == folder
    assert left(tmp_path) == ["inner", f"inner/{found.name}"]
    assert found.read_bytes() == BYTES
    assert not found.is_symlink()
    assert found.name not in ("", ".", "..", "CON", "nul.txt", ".bashrc")
    assert found.name.isprintable()
    assert not set(found.name) & set('/\\:*?"<>|\0')
    assert len(found.name.encode()) <= 255


NAMES: dict[str, tuple[str | bytes | None, str]] = {
    "bare": ("attachment; filename=notes.txt", "notes.txt"),
    "quoted": ('attachment; filename="my notes.txt"', "my notes.txt"),
    "Chinese as it is": ('attachment; filename="报告 1.txt"', "报告 1.txt"),
    "bare Chinese": ("attachment;filename=报告.txt", "报告.txt"),
    "RFC 5987": (f"attachment; filename*=UTF-8''{quote('报告😀.txt')}", "报告😀.txt"),
    "both": (f"attachment; filename=plain.txt; filename*=UTF-8''{quote('报告.txt')}", "报告.txt"),
    "in capitals": ('Attachment; FileName="a.txt"', "a.txt"),
    "inline": ('inline; filename="a.txt"', "a.txt"),
    "not told": (None, "f"),
    "not in it": ("attachment", "f"),
}


@pytest.mark.parametrize(("disposition", "name"), NAMES.values(), ids=NAMES.keys())
async def test_a_good_name_is_kept(
    tmp_path: Path, disposition: str | bytes | None, name: str
) -> None:
    """In every spelling that services use; without one the file's id is it."""
    assert (await downloaded(answer(disposition=disposition), tmp_path)).name == name


async def test_what_the_caller_named_is_not_the_services(tmp_path: Path) -> None:
    """A path is a path: no header changes it."""
    found = await downloaded(answer(disposition="attachment; filename=../b"), tmp_path / "a")

    assert left(tmp_path) == [found.name] == ["a"]


async def test_a_hostile_id_names_no_other_place(tmp_path: Path) -> None:
    """Where the service tells no name the file's id is made safe, too."""
    folder = tmp_path / "inner"
    folder.mkdir()
    async with (
        RawServer(answering(answer(disposition=None))) as server,
        AppBuilder("k", server.url) as client,
    ):
        found = await client.files.download("../evil", to=folder)

    assert found.parent == folder
    assert left(tmp_path) == ["inner", f"inner/{found.name}"]


# --- over what ---


async def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    """At a path that is known before anything is asked for; in a folder, before all is read."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"old")
    unfinished = answering(answer(length=len(BYTES) + 1))  # whoever reads it all waits for ever
    async with RawServer(unfinished) as server, AppBuilder("k", server.url) as client:
        with pytest.raises(InvalidArgument, match="overwrite=True"):
            await client.files.download("f", to=path)
        assert server.requests == []
        with pytest.raises(InvalidArgument, match="overwrite=True"):
            await client.files.download("f", to=tmp_path)

    assert path.read_bytes() == b"old"
    assert left(tmp_path) == ["notes.txt"]


async def test_a_file_that_is_there_is_replaced_if_that_is_said(tmp_path: Path) -> None:
    """As a whole: until all is here, the old one is."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"old")
    with pytest.raises(TransportError):
        await downloaded(answering(answer(length=len(BYTES) + 1), close=True), path, overwrite=True)
    assert path.read_bytes() == b"old"

    for to in (path, tmp_path):
        await downloaded(answer(), to, overwrite=True)
        assert path.read_bytes() == BYTES
    assert left(tmp_path) == ["notes.txt"]


async def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """What another wrote while the bytes came stays."""
    path = tmp_path / "notes.txt"
    begun = asyncio.Event()

    async def served(_request: Received, writer: Writer) -> None:
        writer.write(answer()[:-1])
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        path.write_bytes(b"another's")
        writer.write(BYTES[-1:])

    with pytest.raises(InvalidArgument, match="overwrite=True"):
        await downloaded(served, path, progress=lambda *_: begun.set())

    assert path.read_bytes() == b"another's"
    assert left(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("dangling", [True, False])
async def test_a_link_is_not_followed(tmp_path: Path, dangling: bool) -> None:
    """Refused; with `overwrite` the link is replaced, and what it led to is not touched."""
    target, folder = tmp_path / "target", tmp_path / "inner"
    folder.mkdir()
    if not dangling:
        target.write_bytes(b"precious")
    link = folder / "notes.txt"
    link.symlink_to(target)
    with pytest.raises(InvalidArgument, match="overwrite=True"):
        await downloaded(answer(), folder)
    assert link.is_symlink()

    await downloaded(answer(), folder, overwrite=True)
    assert not link.is_symlink()
    assert link.read_bytes() == BYTES
    assert target.exists() is not dangling
    if not dangling:
        assert target.read_bytes() == b"precious"


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """One that has the file's name is in the way, with `overwrite` too."""
    (tmp_path / "notes.txt").mkdir()
    for overwrite in (False, True):
        with pytest.raises(InvalidArgument):
            await downloaded(answer(), tmp_path, overwrite=overwrite)

    assert left(tmp_path) == ["notes.txt"]


async def test_only_files_are_replaced(tmp_path: Path) -> None:
    """A pipe or a device that has the name stays what it is, with `overwrite` too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for overwrite in (False, True):
        with pytest.raises(InvalidArgument):
            await downloaded(answer(), pipe, overwrite=overwrite)

    assert pipe.is_fifo()
    assert left(tmp_path) == ["pipe"]


# --- what goes wrong on the way ---


def cut(how: str) -> Any:
    """A connection that breaks in the middle."""

    async def served(_request: Received, writer: Writer) -> None:
        if how == "chunked":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + b"%x\r\n%b\r\n" % (len(BYTES), BYTES))
        else:
            writer.write(answer(length=len(BYTES) * 2))
        await writer.drain()
        if how == "reset":
            writer.transport.abort()
        else:
            writer.close()

    return served


@pytest.mark.parametrize("how", ["closed", "reset", "chunked"])
async def test_a_cut_connection_leaves_nothing(tmp_path: Path, how: str) -> None:
    """A file is whole, or not there; a writable has got what came."""
    with pytest.raises(TransportError):
        await downloaded(cut(how), tmp_path / "a")
    sink = Sink()
    with pytest.raises(TransportError):
        await downloaded(cut(how), sink)

    assert left(tmp_path) == []
    assert BYTES.startswith(b"".join(sink.pieces))


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """Neither a file nor a part of one, nor a task."""
    begun = asyncio.Event()
    before = asyncio.all_tasks()

    async def served(_request: Received, writer: Writer) -> None:
        writer.write(answer(length=len(BYTES) * 2))
        await asyncio.Event().wait()

    async with RawServer(served) as server, AppBuilder("k", server.url) as client:
        arriving = client.files.download("f", to=tmp_path / "a", progress=lambda *_: begun.set())
        task = asyncio.create_task(arriving)
        # The last piece is told when the next is asked for: this one has been written by now.
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        assert len(left(tmp_path)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left(tmp_path) == []

    assert asyncio.all_tasks() == before


async def test_progress_is_told_of_what_is_written(tmp_path: Path) -> None:
    """Bytes so far and of all: ever more, up to the whole; unknown where it is not told."""
    told: list[tuple[int, int | None]] = []
    await downloaded(answer(), tmp_path / "a", progress=lambda *given: told.append(given))
    assert told[-1] == (len(BYTES), len(BYTES))
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize("how", ["chunked", "packed"])
async def test_progress_says_none_where_the_size_is_not_told(how: str) -> None:
    """What is packed on its way has another length than what is written."""
    told: list[tuple[int, int | None]] = []
    packed = gzip.compress(BYTES)
    served = {
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BYTES), BYTES),
        "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
        + b"%d\r\n\r\n%b" % (len(packed), packed),
    }
    sink = io.BytesIO()
    await downloaded(served[how], sink, progress=lambda *given: told.append(given))

    assert sink.getvalue() == BYTES
    assert told[-1] == (len(BYTES), None)


class StopHere(Exception):
    """The caller's own."""


async def test_what_progress_raises_is_the_callers(tmp_path: Path) -> None:
    """It ends the download, reaches the caller as it is, and nothing is left."""

    def stop(_done: int, _all: int | None) -> None:
        raise StopHere

    with pytest.raises(StopHere):
        await downloaded(answer(), tmp_path / "a", progress=stop)

    assert left(tmp_path) == []


async def test_what_a_writable_raises_is_the_callers() -> None:
    """As it is; the connection is closed."""

    class Full:
        def write(self, _data: bytes) -> None:
            raise StopHere

    with pytest.raises(StopHere):
        await downloaded(answer(), Full())


@contextmanager
def unclosed() -> Iterator[list[str]]:
    """The generators that are left to the garbage collector meanwhile, by name."""
    hooks = sys.get_asyncgen_hooks()
    found: list[str] = []

    def finalize(generator: Any) -> None:
        found.append(generator.__qualname__)
        if hooks.finalizer is not None:
            hooks.finalizer(generator)

    gc.collect()  # what others left
    sys.set_asyncgen_hooks(finalizer=finalize)
    try:
        yield found
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def test_a_download_that_fails_closes_what_it_reads_from(tmp_path: Path) -> None:
    """Also of an answer that was looked at first, and before or after a piece was handed on."""

    class Full:
        def write(self, _data: bytes) -> None:
            raise StopHere

    # JSON without a name: it is read until it cannot be an error any more.
    large = answer(b'{"a":"' + b"x" * 200_000 + b'"}', None, "application/json")
    with unclosed() as left_open:
        with pytest.raises(InvalidArgument):
            await downloaded(large, tmp_path / "missing" / "a.json")
        with pytest.raises(StopHere):
            await downloaded(large, Full())
        with pytest.raises(StopHere):
            await downloaded(answer(), Full())

    assert left_open == []


async def test_bytes_that_nobody_takes_are_closed() -> None:
    """Whoever wants none of them may raise before the first."""

    async def refuse(_arrival: Arrival) -> None:
        raise StopHere

    large = answer(b'{"a":"' + b"x" * 200_000 + b'"}', None, "application/json")
    with unclosed() as left_open:
        async with (
            RawServer(answering(large)) as server,
            AppBuilder("k", server.url) as client,
        ):
            with pytest.raises(StopHere):
                await client._session.fetch(DownloadFile(file_id="f"), refuse)

    assert left_open == []


async def test_progress_has_to_be_a_plain_function(tmp_path: Path) -> None:
    """Refused, and nothing is left."""

    async def progress(_done: int, _all: int | None) -> None:
        """Nobody would wait for it."""

    for bad in (progress, 5):
        with pytest.raises(InvalidArgument, match="progress"):
            await downloaded(answer(), tmp_path / "a", progress=bad)

    assert left(tmp_path) == []


ERRORS: dict[str, tuple[bytes, type[AssistError]]] = {
    "an error with 200": (
        whole(b'{"error":{"code":"not_found","message":"m","type":"t"}}'),
        NotFound,
    ),
    "flat with 200": (whole(b'{"code":"not_found","message":"m","requestId":"r"}'), NotFound),
    "null": (whole(b"null"), NotFound),
    "flat": (whole(b'{"code":"Forbidden","message":"no"}', "403 Forbidden"), APIError),
    "broken": (whole(b"oh", "500 Oh", "text/plain"), APIError),
    "no answer for a file": (whole(b"", "204 No Content"), RemoteProtocolError),
}


@pytest.mark.parametrize(("served", "error"), ERRORS.values(), ids=ERRORS.keys())
async def test_an_error_is_no_file(tmp_path: Path, served: bytes, error: type[AssistError]) -> None:
    """What the official client would have saved as the file is told, and nothing is written."""
    with pytest.raises(error):
        await downloaded(served, tmp_path)
    sink = Sink()
    with pytest.raises(error):
        await downloaded(served, sink)
    async with (
        RawServer(answering(served)) as server,
        AppBuilder("k", server.url, retry=AT_ONCE) as client,
    ):
        if error is not RemoteProtocolError:
            with pytest.raises(error):
                await client.files.content("f")

    assert (left(tmp_path), sink.pieces) == ([], [])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"error":{"code":"not_found","message":"a saved log","type":"t"}}', True),
        (b'{"error":"","rows":[]}', False),
        (b"null", True),
        (b'{"id":"x"}', False),
        (b"[1,2]", False),
    ],
)
async def test_json_can_be_a_file(tmp_path: Path, body: bytes, named: bool) -> None:
    """One that is named as a file is one, whatever it says; another where it is no error."""
    served = answer(body, "attachment; filename=a.json" if named else None, "application/json")
    found = await downloaded(served, tmp_path)
    async with RawServer(answering(served)) as server, AppBuilder("k", server.url) as client:
        content = await client.files.content("f")

    assert found.name == ("a.json" if named else "f")
    assert found.read_bytes() == content.data == body
    assert content == FileContent(data=body, content_type="application/json")


async def test_content_is_bounded_and_a_download_is_not(tmp_path: Path) -> None:
    """`Limits.max_response_bytes` is of what is held in memory."""
    limits = Limits(max_response_bytes=1000)
    async with (
        RawServer(answering(answer())) as server,
        AppBuilder("k", server.url, limits=limits) as client,
    ):
        with pytest.raises(ResponseTooLarge):
            await client.files.content("f")
        assert (await client.files.download("f", to=tmp_path)).read_bytes() == BYTES


def trickling(gap: float, pieces: int) -> Any:
    """A file that comes slowly, or stops coming."""

    async def served(_request: Received, writer: Writer) -> None:
        writer.write(answer(b"", length=pieces))
        for _ in range(pieces):
            await asyncio.sleep(gap)
            writer.write(b"x")

    return served


@pytest.mark.parametrize(
    ("gap", "timeouts", "error", "limit"),
    [
        (500, Timeouts(read=20), RequestTimeout, 20),
        (5, Timeouts(read=20, total=30), TotalTimeout, 30),
    ],
)
def test_clocks_end_a_download(
    gap: float, timeouts: Timeouts, error: type[AssistError], limit: float
) -> None:
    """`read` bounds each silence, `total` all of it; slow alone is no fault."""

    async def main(patience: Timeouts) -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        sink, found = Sink(), None
        began = loop.time()
        try:
            await downloaded(trickling(gap, 10), sink, timeouts=patience)
        except AssistError as raised:
            found = raised
        return found or b"".join(sink.pieces), loop.time() - began

    found, seconds = virtual_time.run(main(timeouts))
    assert type(found) is error
    assert seconds == pytest.approx(limit, abs=1)
    if gap == 5:
        assert virtual_time.run(main(Timeouts(read=20)))[0] == b"x" * 10


# --- with the local server ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of its own."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("name", "kept"),
    [("notes.txt", "notes.txt"), ("my notes.txt", "my_notes.txt"), ("报告.pdf", "file")],
)
async def test_what_was_uploaded_is_downloaded(
    server: LocalServer, folder: Path, name: str, kept: str
) -> None:
    """Byte for byte, under the name that the service keeps (§3.3)."""
    async with server.client(AppBuilder) as client:
        made = await client.files.create(BYTES, filename=name)
        path = await client.files.download(made.id, to=folder)
        content = await client.files.content(made.id)

    assert path == folder / kept
    assert path.read_bytes() == content.data == BYTES
    assert content.request_id


async def test_what_is_not_there_is_not_found(server: LocalServer, folder: Path) -> None:
    """For both ways to read a file; nothing is written."""
    async with server.client(AppBuilder) as client:
        with pytest.raises(NotFound):
            await client.files.download("nobody", to=folder)
        with pytest.raises(NotFound):
            await client.files.content("nobody")

    assert left(folder) == []


async def test_ten_at_a_time_do_not_meet(server: LocalServer, folder: Path) -> None:
    """Each is whole under its own name; for one name one wins, and the others are told."""
    async with server.client(AppBuilder) as client:
        bodies = [BYTES + b"%d" % number for number in range(10)]
        made = [await client.files.create(body, filename=f"{body[-1]}.txt") for body in bodies]
        own = [client.files.download(file.id, to=folder) for file in made]
        paths = await asyncio.gather(*own)
        same = [client.files.download(file.id, to=folder / "one") for file in made]
        found = await asyncio.gather(*same, return_exceptions=True)

    assert [path.read_bytes() for path in paths] == bodies
    assert [type(one) for one in found if isinstance(one, Exception)] == [InvalidArgument] * 9
    assert (folder / "one").read_bytes().startswith(BYTES)
    assert len(left(folder)) == 11


@pytest.mark.slow
async def test_a_large_file_needs_little_memory(folder: Path) -> None:
    """A hundred times what is held: it is written as it comes."""
    size = 256 * MIB

    async def served(_request: Received, writer: Writer) -> None:
        writer.write(answer(b"", length=size))
        for _ in range(size // MIB):
            writer.write(b"x" * MIB)
            await writer.drain()

    async with RawServer(served) as server, AppBuilder("k", server.url) as client:
        tracemalloc.start()
        try:
            path = await client.files.download("f", to=folder)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert path.stat().st_size == size
    assert peak < 16 * MIB
