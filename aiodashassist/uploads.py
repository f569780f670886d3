"""What can be uploaded: a path, bytes or an async iterator, read only as fast as it is taken."""

import asyncio
import os
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import anyio
import anyio.to_thread

from aiodashassist.clocks import within
from aiodashassist.core.files import Upload
from aiodashassist.errors import InvalidArgument, RequestTimeout
from aiodashassist.handler import is_async

__all__ = ("Outgoing", "Progress", "Source", "check_progress", "upload_of")

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | AsyncIterable[bytes]
Progress: TypeAlias = Callable[[int, int | None], object]
"""A plain function of the bytes sent so far and of all bytes; the last None where unknown."""

PIECE = 256 * 1024  # bytes read at a time
UNSENDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class Outgoing:
    """A file being sent, as fast as the service takes it.

    Attributes:
        upload: the file.
        failure: why it could not be sent, where that was not the connection's fault.

    Args:
        upload: the file.
        patience: seconds in which the service may take nothing of it; None bears all.
    """

    def __init__(self, upload: Upload, patience: float | None) -> None:
        self.upload = upload
        self.failure: Exception | None = None
        self._patience = patience
        self._broken = False  # the connection

    async def send(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand over the pieces; what `write` raises is the connection's fault.

        Raises:
            InvalidArgument: the file is not as long as it was said to be.
            RequestTimeout: nothing of it was taken for too long.
            Exception: whatever the caller's iterator or progress function raises.
        """
        try:
            async with aclosing(self.upload.content()) as pieces:
                await self._send(pieces, write)
        except Exception as error:
            if not self._broken:
                self.failure = error
            raise

    async def _send(
        self, pieces: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        size, sent = self.upload.size, 0
        async for piece in pieces:
            sent += len(piece)
            if size is not None and sent > size:
                break
            words = "the service took nothing of the upload for"
            async with within(self._patience, RequestTimeout, words):
                await self._pass_on(piece, write)
        if size is not None and sent != size:
            raise InvalidArgument(f"{self.upload.filename} changed while it was sent")

    async def _pass_on(self, piece: bytes, write: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            await write(piece)
        except Exception:
            self._broken = True
            raise


def check_progress(progress: object) -> None:
    """A function that can be told of progress, or None.

    Raises:
        InvalidArgument: it is none, or an async one.
    """
    if progress is not None and (not callable(progress) or is_async(progress)):
        raise InvalidArgument("progress must be a plain function (not an async one)")


async def upload_of(source: Source, filename: str | None, progress: Progress | None) -> Upload:
    """A file ready to be sent.

    Args:
        source: a path as text or `Path`; bytes; an async iterator of bytes, which is used up.
        filename: as the service is told it; else the path's name, or `file`.
        progress: called after each piece was taken by the connection.

    Raises:
        InvalidArgument: nothing that can be read, or a name that cannot be sent.
    """
    check_progress(progress)
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        return _upload(filename or "file", len(data), lambda: _of_bytes(data), progress)
    if isinstance(source, str | os.PathLike):
        path = Path(os.fsdecode(source))
        size = await _size(path)
        return _upload(filename or path.name, size, lambda: _of_file(path), progress)
    if isinstance(source, AsyncIterable):
        return _upload(filename or "file", None, lambda: _of_iterator(source), progress)
    raise InvalidArgument(
        f"a file is a path, bytes or an async iterator of bytes, not {type(source).__name__}"
    )


def _upload(
    filename: str,
    size: int | None,
    pieces: Callable[[], AsyncGenerator[bytes, None]],
    progress: Progress | None,
) -> Upload:
    if not isinstance(filename, str) or UNSENDABLE.search(filename):
        raise InvalidArgument(f"filename must be one line of text: {filename!r:.80}")
    return Upload(filename=filename, size=size, content=lambda: _told(pieces(), size, progress))


async def _size(path: Path) -> int:
    """The size of a file that can be read."""
    try:
        return await anyio.to_thread.run_sync(_measured, path)
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"the file cannot be read: {error}") from error


def _measured(path: Path) -> int:
    if path.exists() and not path.is_file():  # a pipe would be waited for, without end
        raise ValueError(f"{str(path)!r} is no file")
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END)


async def _told(
    pieces: AsyncGenerator[bytes, None], size: int | None, progress: Progress | None
) -> AsyncGenerator[bytes, None]:
    """The pieces; each is reported once the next is asked for, so when it is on its way."""
    sent = 0
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
            sent += len(piece)
            if progress is not None:
                progress(sent, size)


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


async def _of_bytes(data: bytes) -> AsyncGenerator[bytes, None]:
    for piece in _cut(data):
        yield piece


async def _of_file(path: Path) -> AsyncGenerator[bytes, None]:
    try:
        # Closed here and not in a thread, which a second cancellation would not wait for.
        with await _opened(path) as opened:
            file = anyio.wrap_file(opened)
            while piece := await file.read(PIECE):
                yield piece
    except OSError as error:
        raise InvalidArgument(f"the file can no longer be read: {error}") from error


async def _opened(path: Path) -> BinaryIO:
    """The file; one that is opened for nobody, who was cancelled meanwhile, is closed again."""
    opening = asyncio.ensure_future(anyio.to_thread.run_sync(path.open, "rb"))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_again)
        raise


def _close_again(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _of_iterator(source: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    async for given in source:
        if not isinstance(given, bytes | bytearray | memoryview):
            raise InvalidArgument(f"a file is made of bytes, not of {type(given).__name__}")
        for piece in _cut(bytes(given)):
            yield piece
