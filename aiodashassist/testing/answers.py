"""An answer that comes from no socket: what the session uses of aiohttp's own, and no more."""

import asyncio
from collections.abc import Callable, Mapping

from multidict import CIMultiDict

__all__ = ("Answer", "Arriving")


class Arriving:
    """A body on its way: whoever makes the answer feeds it, the session reads it.

    It behaves as aiohttp's: an error is raised before what has arrived, which `_read_nowait` gives.
    """

    def __init__(self) -> None:
        self._buffer: list[bytes] = []
        self._ended = False
        self._broken: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._at_end: list[Callable[[], object]] = []

    def feed(self, data: bytes) -> None:
        """More of it has arrived."""
        if data:
            self._buffer.append(data)
            self._wake()

    def end(self) -> None:
        """All of it has arrived."""
        self._ended = True
        self._wake()
        for told in self._at_end:
            told()
        self._at_end.clear()

    async def readany(self) -> bytes:
        """All that has arrived and was not read; `b""` at the end."""
        if self._broken is not None:
            raise self._broken
        while not self._buffer and not self._ended:
            if self._waiter is not None:
                raise RuntimeError("another coroutine is already waiting for incoming data")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._read_nowait(-1)

    @property
    def is_held(self) -> bool:
        """Whether some of it has arrived that was not read."""
        return bool(self._buffer)

    def is_eof(self) -> bool:
        """Whether all of it has arrived."""
        return self._ended

    def at_eof(self) -> bool:
        """Whether all of it was read."""
        return self._ended and not self._buffer

    def on_eof(self, told: Callable[[], object]) -> None:
        """Call this when all of it has arrived."""
        if self._ended:
            told()
        else:
            self._at_end.append(told)

    def exception(self) -> BaseException | None:
        """What broke it."""
        return self._broken

    def set_exception(self, error: BaseException) -> None:
        """It broke: whoever waits for more is told so."""
        self._broken = error
        self._at_end.clear()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _read_nowait(self, size: int) -> bytes:
        """All that is there, also of a broken body; only `-1` is ever asked for."""
        del size
        found = b"".join(self._buffer)
        self._buffer.clear()
        return found

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Answer:
    """An answer; its body is fed to `content`.

    Attributes:
        status: of HTTP.
        headers: by name, in whatever case.
        content: its body.
        connection: None, since there is none.
        closed: whether it was closed or given back.

    Args:
        status: see above.
        headers: see above.
        content: see above; an empty one that is still to be fed where none is given.
        left: called once, when it is closed or given back.
    """

    connection = None

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        content: Arriving | None = None,
        left: Callable[[], object] | None = None,
    ) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.content = content if content is not None else Arriving()
        self.closed = False
        self._left = left

    @property
    def content_length(self) -> int | None:
        """As the headers tell it."""
        told = self.headers.get("Content-Length", "")
        return int(told) if told.isascii() and told.isdigit() else None

    def close(self) -> None:
        """Drop it; whoever reads is told so."""
        if self.closed:
            return
        self.closed = True
        if self.content.exception() is None:
            self.content.set_exception(ConnectionError("the answer was closed"))
        if self._left is not None:
            self._left()

    def release(self) -> None:
        """Give it back."""
        self.close()
