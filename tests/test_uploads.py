"""What can be uploaded, how it is cut into pieces, and what is told of it meanwhile."""

import asyncio
import os
from array import array
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pytest

from aiodashassist import InvalidArgument
from aiodashassist.core.files import Upload
from aiodashassist.uploads import PIECE, upload_of


async def sent(upload: Upload) -> bytes:
    """All bytes of an upload."""
    return b"".join([piece async for piece in upload.content()])


async def of(*pieces: Any) -> AsyncIterator[Any]:
    """Pieces, one after the other."""
    for piece in pieces:
        yield piece


def open_files() -> set[str]:
    """What this process has open, where the system tells it."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    found = set()
    for entry in folder.iterdir():
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue  # the listing's own
    return found


LARGE = bytes(range(256)) * (PIECE // 256) + b"end"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of more than one piece."""
    found = tmp_path / "天气 a;b.txt"
    found.write_bytes(LARGE)
    return found


class Elsewhere(os.PathLike[str]):
    """A path of a class of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


class InBytes(os.PathLike[bytes]):
    """A path that is told in bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self._path)


@pytest.mark.parametrize("as_path", [str, Path, Elsewhere, InBytes])
async def test_a_path_has_its_name_size_and_bytes(path: Path, as_path: Any) -> None:
    """Any form of path; a name that is given wins over its own."""
    upload = await upload_of(as_path(path), None, None)
    named = await upload_of(as_path(path), "other.txt", None)

    assert (upload.filename, upload.size) == ("天气 a;b.txt", len(LARGE))
    assert await sent(upload) == LARGE
    assert await sent(upload) == LARGE, "it can be sent once more"
    assert named.filename == "other.txt"


@pytest.mark.parametrize(
    "source",
    [
        LARGE,
        bytearray(LARGE),
        memoryview(LARGE),
        memoryview(LARGE)[:],
        memoryview(LARGE + b"x")[:-1],
    ],
)
async def test_bytes_are_sent_in_pieces(source: Any) -> None:
    """Any kind of bytes is called `file` unless it is named."""
    upload = await upload_of(source, None, None)
    pieces = [piece async for piece in upload.content()]

    assert (upload.filename, upload.size) == ("file", len(LARGE))
    assert [len(piece) for piece in pieces] == [PIECE, 3]
    assert b"".join(pieces) == LARGE


async def test_a_view_of_other_numbers_is_its_bytes() -> None:
    """The size of a view is counted in bytes, not in its items."""
    upload = await upload_of(memoryview(array("I", [1, 2, 3])), None, None)

    assert upload.size == len(await sent(upload)) == array("I").itemsize * 3


async def test_bytes_that_change_later_are_sent_as_they_were() -> None:
    """A buffer that is filled anew before it is sent does no harm."""
    source = bytearray(b"old")
    upload = await upload_of(source, None, None)
    source[:] = b"new, and longer"

    assert await sent(upload) == b"old"


async def test_an_iterator_has_no_size() -> None:
    """Its length is not known; large pieces are cut, empty ones passed over."""
    upload = await upload_of(of(b"ab", b"", bytearray(b"c"), memoryview(b"d"), LARGE), None, None)
    pieces = [piece async for piece in upload.content()]

    assert (upload.filename, upload.size) == ("file", None)
    assert [len(piece) for piece in pieces] == [2, 1, 1, PIECE, 3]
    assert all(type(piece) is bytes for piece in pieces)


@pytest.mark.parametrize("piece", ["text", None, 5, [b"a"], {"a": 1}])
async def test_an_iterator_gives_bytes(piece: Any) -> None:
    """Text and anything else is told when it comes, after what was good."""
    upload = await upload_of(of(b"good", piece), None, None)
    pieces = upload.content()

    assert await anext(pieces) == b"good"
    with pytest.raises(InvalidArgument, match=f"not of {type(piece).__name__}"):
        await anext(pieces)


async def test_what_an_iterator_raises_is_its_own() -> None:
    """No exception of the caller's is turned into another."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionResetError("mine")

    with pytest.raises(ConnectionResetError, match="mine"):
        await sent(await upload_of(broken(), None, None))


@pytest.mark.parametrize(
    "source", [None, 5, ["a"], [b"a"], open, iter([b"a"]), {"a": 1}, object(), True]
)
async def test_what_is_no_file_is_refused(source: Any) -> None:
    """A plain iterator would block the loop, a list is no bytes: both are told."""
    with pytest.raises(InvalidArgument, match="a file is a path, bytes or an async iterator"):
        await upload_of(source, None, None)


@pytest.mark.parametrize(
    "name", ["天气.txt", "👨‍👩‍👧.txt", 'a"b', "a;b=c", "a\\b", "100%22", "x" * 5000, "../../x", " "]
)
async def test_a_name_is_any_line_of_text(name: str) -> None:
    """It is sent as it is given."""
    assert (await upload_of(b"", name, None)).filename == name


@pytest.mark.parametrize("name", ["a\nb", "a\r", "\0", "\x7f", "\ud83d", "a\udc80", b"a", 5])
async def test_a_name_that_cannot_be_sent_is_refused(name: Any) -> None:
    """A line break would begin a header; half a surrogate pair has no bytes."""
    with pytest.raises(InvalidArgument, match="filename must be one line of text"):
        await upload_of(b"", name, None)


async def test_a_path_whose_name_is_no_text_needs_one(tmp_path: Path) -> None:
    """A file named in another encoding is uploaded under a name that is given."""
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    try:
        with open(odd, "wb") as file:  # noqa: ASYNC230 (bytes are no Path)
            file.write(b"x")
    except OSError:
        return  # a file system of texts only
    with pytest.raises(InvalidArgument, match="filename"):
        await upload_of(os.fsdecode(odd), None, None)
    assert await sent(await upload_of(os.fsdecode(odd), "cafe", None)) == b"x"


def unreadable(folder: Path) -> dict[str, Any]:
    """Paths at which there is nothing to read."""
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    return {
        "missing": folder / "none",
        "empty": "",
        "a folder": folder,
        "inside a file": folder / "file" / "x",
        "a pipe": folder / "pipe",
        "a loop": folder / "loop",
        "a device": "/dev/zero",
        "no path": "a\0b",
        "a long one": "x" * 10_000,
        "pure": PurePosixPath("/nowhere/at/all"),
    }


async def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Before anything is sent, with the system's own reason; a pipe is not waited for."""
    for name, path in unreadable(tmp_path).items():
        with pytest.raises(InvalidArgument) as caught:
            await asyncio.wait_for(upload_of(path, None, None), 10)
        assert str(caught.value).startswith("the file cannot be read"), name


async def test_a_file_that_may_not_be_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that is missing is told before anything is sent."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidArgument, match="Permission denied"):
        await upload_of(path, None, None)


async def test_a_file_that_is_gone_when_it_is_sent_is_told(path: Path) -> None:
    """What was there when it was asked for need not be there any more."""
    upload = await upload_of(path, None, None)
    os.unlink(path)

    with pytest.raises(InvalidArgument, match="no longer be read"):
        await sent(upload)


async def test_progress_is_told_as_the_pieces_are_taken() -> None:
    """After each piece, once the next is asked for; the last time it is all."""
    told: list[tuple[int, int | None]] = []
    upload = await upload_of(LARGE, None, lambda *progress: told.append(progress))
    pieces = upload.content()

    await anext(pieces)
    assert told == []
    await anext(pieces)
    assert told == [(PIECE, len(LARGE))]
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    assert told == [(PIECE, len(LARGE)), (len(LARGE), len(LARGE))]


async def test_progress_without_a_size_has_none() -> None:
    """Of an iterator only what was sent is known."""
    told: list[tuple[int, int | None]] = []
    await sent(await upload_of(of(b"a", b"bc"), None, lambda *one: told.append(one)))

    assert told == [(1, None), (3, None)]


async def test_what_progress_raises_ends_the_sending(path: Path) -> None:
    """And the file is closed."""

    def stop(*_: object) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        await sent(await upload_of(path, None, stop))
    assert str(path) not in open_files()


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_at_any_point_leaves_no_file_open(
    path: Path, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it is just being opened: then nobody is left to close it."""
    opened: list[IO[Any]] = []  # held, so that nothing but a close can close them
    really_open = Path.open

    def noted(self: Path, *how: Any) -> IO[Any]:
        opened.append(really_open(self, *how))
        return opened[-1]

    monkeypatch.setattr(Path, "open", noted)
    upload = await upload_of(path, None, None)
    measured = len(opened)
    task = asyncio.create_task(sent(upload))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(10):
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0.001)  # a thread may be about to open it
    await asyncio.sleep(0)

    assert task.cancelled()
    assert len(opened) - measured <= 1
    assert all(file.closed for file in opened)
    assert str(path) not in open_files()


class Counting:
    """A progress function that is an object."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def __call__(self, sent: int, _size: int | None) -> None:
        """Note it."""
        self.told.append(sent)


class Awaited:
    """One whose call is async."""

    async def __call__(self, _sent: int, _size: int | None) -> None:
        """Never called."""
        raise AssertionError("nobody waits for it")


async def later(_sent: int, _size: int | None) -> None:
    """An async function."""
    raise AssertionError("nobody waits for it")


@pytest.mark.parametrize(
    "progress", [5, "print", [print], object(), later, partial(later, 1), Awaited()], ids=repr
)
async def test_progress_is_a_plain_function(progress: Any) -> None:
    """What cannot be called, or would have to be awaited, is refused before it is needed."""
    with pytest.raises(InvalidArgument, match=r"progress must be a plain function \(not an async"):
        await upload_of(b"abc", None, progress)


async def test_progress_may_be_any_plain_callable() -> None:
    """A method, a partial, an object with a plain call."""
    counting, told = Counting(), list[int]()
    for progress in (
        counting,
        counting.__call__,
        partial(lambda _, sent, __: told.append(sent), 0),
    ):
        await sent(await upload_of(b"abc", None, progress))

    assert (counting.told, told) == ([3, 3], [3])
