"""Where the bytes of files are: written as they come, gone when they are not wanted."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiodashassist.core.files import Form
from aiodashassist.server.disk import Disk


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which disks make theirs."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    """Bytes, piece by piece."""
    for piece in given:
        yield piece


def found(folders: Path) -> list[Path]:
    """Every file that is kept."""
    return [path for path in folders.rglob("*") if path.is_file()]


def kept(folders: Path) -> list[bytes]:
    """The bytes of every file that is kept."""
    return [path.read_bytes() for path in found(folders)]


def modes(folders: Path) -> list[int]:
    """Who may look into each folder."""
    return [path.stat().st_mode & 0o077 for path in folders.iterdir()]


async def test_a_file_is_written_as_it_comes(folders: Path) -> None:
    """Its bytes, its size and their MD5; its name is not that of a file here."""
    disk = Disk(100)
    upload = await disk.write("../../x", pieces(b"ab", b"", b"c"))

    assert (upload.filename, upload.size) == ("../../x", 3)
    assert upload.content.md5 == hashlib.md5(b"abc").hexdigest()
    assert kept(folders) == [b"abc"]
    assert [path.name for path in found(folders)] == [upload.content.id]


async def test_a_file_at_the_limit_is_kept_and_a_larger_one_is_not(folders: Path) -> None:
    """Of a file that is too large its size is known, and nothing is kept."""
    disk = Disk(3)
    good = await disk.write("good", pieces(b"abc"))
    large = await disk.write("large", pieces(b"abc", b"d", b"e"))

    assert good.content is not None
    assert (large.size, large.content) == (5, None)
    assert kept(folders) == [b"abc"]


async def test_what_is_beyond_the_limit_is_not_even_written(folders: Path) -> None:
    """A file without end does not fill the disk."""
    disk, sizes = Disk(10), []

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"12345"
            sizes.append(sum(map(len, kept(folders))))

    await disk.write("endless", endless())
    assert max(sizes) <= 10
    assert kept(folders) == []


@pytest.mark.parametrize("error", [RuntimeError("lost"), asyncio.CancelledError()])
async def test_a_file_that_breaks_off_is_removed(folders: Path, error: BaseException) -> None:
    """What is not whole is not kept, and the error goes on."""
    disk = Disk(100)

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise error

    with pytest.raises(type(error)):
        await disk.write("broken", broken())
    assert kept(folders) == []


async def test_files_are_removed_one_by_one(folders: Path) -> None:
    """A file, those of a form, and what is not there at all."""
    disk = Disk(3)
    one = await disk.write("one", pieces(b"1"))
    two = await disk.write("two", pieces(b"2"))
    large = await disk.write("large", pieces(b"1234"))
    disk.remove(one.content.id)
    assert kept(folders) == [b"2"]
    disk.remove(one.content.id)
    disk.discard(Form(files=(("files", two), ("files", large))))
    assert kept(folders) == []


async def test_its_folder_is_made_when_needed_and_gone_when_closed(folders: Path) -> None:
    """Nothing is left behind; a closed disk can be used again, with another folder."""
    disk = Disk(100)
    assert modes(folders) == []
    disk.close()
    await disk.write("a", pieces(b"a"))
    assert modes(folders) == [0]
    disk.close()
    disk.close()
    assert modes(folders) == []
    await disk.write("b", pieces(b"b"))
    assert kept(folders) == [b"b"]


async def test_two_disks_have_nothing_in_common(folders: Path) -> None:
    """Closing one leaves the other's files alone."""
    one, two = Disk(100), Disk(100)
    await one.write("a", pieces(b"a"))
    await two.write("b", pieces(b"b"))
    one.close()

    assert kept(folders) == [b"b"]


def sweep(folders: Path) -> None:
    """Remove all folders, as systems do with temporary ones."""
    for path in folders.iterdir():
        shutil.rmtree(path)


async def test_a_folder_that_somebody_removed_is_made_anew(folders: Path) -> None:
    """Systems clean up their temporary folders; files that went with it can still be removed."""
    disk = Disk(100)
    gone = await disk.write("a", pieces(b"a"))
    sweep(folders)
    await disk.write("b", pieces(b"b"))

    assert kept(folders) == [b"b"]
    assert modes(folders) == [0]
    disk.remove(gone.content.id)
    disk.close()
    assert modes(folders) == []


async def test_a_folder_that_goes_while_a_file_is_written_harms_no_other(folders: Path) -> None:
    """The file that was being written can be taken away, and the next one is kept."""
    disk = Disk(3)

    async def swept() -> AsyncIterator[bytes]:
        yield b"abc"
        sweep(folders)
        yield b"d"

    assert (await disk.write("large", swept())).content is None
    await disk.write("b", pieces(b"b"))
    assert kept(folders) == [b"b"]


def test_removing_after_the_close_makes_no_new_folder(folders: Path) -> None:
    """An upload that breaks off at the very end leaves nothing behind."""
    disk = Disk(100)
    disk.close()
    disk.remove("file_x")

    assert list(folders.iterdir()) == []
