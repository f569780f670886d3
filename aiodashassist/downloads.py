"""Files on their way here: written piece by piece, under a safe name, never over another one."""

import errno
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import anyio
import anyio.to_thread
from msgspec import Struct

from aiodashassist.core.disposition import parameters, safe_name
from aiodashassist.errors import InvalidArgument
from aiodashassist.uploads import Progress, check_progress

__all__ = ("Arrival", "Destination", "Writable", "check_destination", "kept")


class Writable(Protocol):
    """What bytes can be written to; plainly, or as a coroutine."""

    def write(self, data: bytes, /) -> Awaitable[object] | object:
        """Take more."""


Destination = str | os.PathLike[str] | Writable


class Arrival(Struct, frozen=True, kw_only=True):
    """Bytes that begin to arrive.

    Attributes:
        headers: of the answer; names in lower case.
        size: of all bytes; None where it is not told.
        pieces: the bytes; they can be taken once.
    """

    headers: Mapping[str, str]
    size: int | None
    pieces: AsyncGenerator[bytes, None]


async def check_destination(to: Destination, *, overwrite: bool, progress: Progress | None) -> None:
    """What can be told before anything is asked for.

    Raises:
        InvalidArgument: nothing can be written there, or what there is would be overwritten.
    """
    check_progress(progress)
    if not isinstance(to, str | os.PathLike):
        if not callable(getattr(to, "write", None)):
            raise InvalidArgument(
                f"to must be a path, a directory or a writable, not {type(to).__name__}"
            )
        return
    if not os.fspath(to):
        raise InvalidArgument("to must not be empty")
    with _translated():
        await anyio.to_thread.run_sync(_refuse_taken, Path(os.fsdecode(to)), overwrite)


def _refuse_taken(path: Path, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path) and not path.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


async def kept(
    arrival: Arrival,
    to: Destination,
    usual: str,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> Path | None:
    """Write what arrives.

    Args:
        arrival: the bytes.
        to: a path, a directory (the service's name is used in it, made safe) or a writable.
        usual: the name in a directory where the service tells none.
        overwrite: whether a file that there is may be replaced.
        progress: told of the bytes written and of all bytes.

    Returns:
        The path; None for a writable.

    Raises:
        InvalidArgument: the file is there already, or cannot be written. Nothing is left of one
            that was not written to its end.
    """
    pieces = _told(arrival.pieces, arrival.size, progress)
    async with aclosing(arrival.pieces), aclosing(pieces) as told:
        if not isinstance(to, str | os.PathLike):
            await _into(to, told)
            return None
        with _translated():
            path = await anyio.to_thread.run_sync(_path, to, arrival.headers, usual)
        await _write(path, told, overwrite=overwrite)
        return path


@contextmanager
def _translated() -> Iterator[None]:
    """What the file system says no to, as our own error."""
    try:
        yield
    except FileExistsError as error:
        raise InvalidArgument(f"{error.filename} is there already: say overwrite=True") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise InvalidArgument(f"the file cannot be written: {error}") from error


def _path(to: str | os.PathLike[str], headers: Mapping[str, str], usual: str) -> Path:
    """Where to write: in a directory under a safe name, else where it was said."""
    given = os.fsdecode(to)
    path = Path(given)
    if not path.is_dir() and not given.endswith(("/", os.sep)):
        return path
    named = parameters(headers.get("content-disposition", "")).get("filename")
    return path / safe_name(named, usual)


async def _write(path: Path, pieces: AsyncIterator[bytes], *, overwrite: bool) -> None:
    """All of it, or nothing: it is written beside its place and put there when it is whole."""
    part = path.with_name(f".part-{secrets.token_hex(8)}")
    with _translated():
        opened = _opened(part, path, overwrite=overwrite)
    try:
        file = anyio.wrap_file(opened)
        async for piece in pieces:
            with _translated():
                await file.write(piece)
        with _translated():
            await file.flush()
            opened.close()
            _put(part, path, overwrite=overwrite)
    finally:
        with suppress(OSError):  # of what could not be flushed, and is given up
            opened.close()
        part.unlink(missing_ok=True)


def _opened(part: Path, path: Path, *, overwrite: bool) -> BinaryIO:
    """The file that is written first; refused before anything is read, where it is in vain."""
    _refuse_taken(path, overwrite)
    if path.exists() and not path.is_file():  # a device would be gone
        raise OSError(errno.EINVAL, "it is there already, and is no file", str(path))
    return part.open("xb")


def _put(part: Path, path: Path, *, overwrite: bool) -> None:
    """Put what was written in its place, with the mode of what it replaces."""
    if not overwrite:
        path.open("xb").close()  # fails where there is one by now
    elif path.exists():
        shutil.copymode(path, part)
    part.replace(path)


async def _into(writable: Writable, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        written = writable.write(piece)
        if isinstance(written, Awaitable):
            await written


async def _told(
    pieces: AsyncIterator[bytes], size: int | None, progress: Progress | None
) -> AsyncGenerator[bytes, None]:
    """The pieces; each is reported once the next is asked for, so when it was written."""
    done = 0
    async for piece in pieces:
        yield piece
        done += len(piece)
        if progress is not None:
            progress(done, size)
