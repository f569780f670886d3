"""An answer on its way to the socket, where faults happen to it."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from aiohttp import web

from aiodashassist.core.operations import Operation
from aiodashassist.server.answers import Answer, Pieces
from aiodashassist.server.faults import Faults
from aiodashassist.server.mishaps import (
    Chop,
    Crlf,
    Cut,
    Drop,
    Duplicate,
    Fault,
    Lose,
    Slow,
    Stall,
    Truncate,
)
from aiodashassist.server.tap import Tap

__all__ = ("Wiretap",)

F = TypeVar("F", bound=Fault)

COMMENT = b": ping\n\n"  # other DashScope services send comments (dashscope.md §5.2)
GLANCE = 0.25  # seconds after which a silent answer looks whether anybody still listens


class Wiretap:
    """One answer that goes wrong. A context: it sits on the connection inside of it only.

    Args:
        request: what is answered.
        operation: what was asked.
        due: what goes wrong.
        faults: where that comes from, to be told what was done.
        ping: what the wire sends as a ping; `b""` for nothing.
    """

    def __init__(
        self,
        request: web.Request,
        operation: Operation[Any],
        due: Sequence[Fault],
        faults: Faults,
        *,
        ping: bytes,
    ) -> None:
        self._protocol = request.protocol
        self._name = type(operation).__name__
        self._due = due
        self._done = faults.done
        self._over = faults.over  # that of now: it is another one once this is set
        self._ping = ping
        self._tap: Tap | None = None  # None also where the client has left already

    def __enter__(self) -> Self:
        transport = self._protocol.transport
        if transport is not None:
            self._tap = tap = Tap(transport, self.note)
            self._protocol.transport = cast("asyncio.Transport", tap)
            for fault in self._all(Lose):
                tap.end_at(0, fault)
            for cut in self._all(Cut):
                if cut.after_bytes is not None:
                    tap.end_at(cut.after_bytes, cut)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tap is not None and self._protocol.transport is not None:
            self._protocol.transport = self._tap.transport

    def note(self, fault: Fault) -> None:
        """This went wrong."""
        self._done.append((self._name, fault))

    def hang_up(self, fault: Drop | Cut) -> None:
        """Close the connection."""
        if self._tap is not None:
            self._tap.end(fault)

    async def slow(self) -> None:
        """Let the time go by that comes before the first byte."""
        for fault in self._all(Slow):
            self.note(fault)
            await self._pass(fault.seconds)

    def spoil(self, answer: Answer) -> Answer:
        """The answer as it is to be sent."""
        response, pieces = answer
        if pieces is None:
            response, pieces = _in_pieces(cast("web.Response", response))
        elif response.content_length is None:  # a stream
            for cut in self._all(Cut):
                if cut.after_events is not None:
                    pieces = self._cut(pieces, cut)
            for stall in self._all(Stall):
                pieces = self._stalled(pieces, stall)
            for twice in self._all(Duplicate):
                pieces = self._repeated(pieces, twice)
            for crlf in self._all(Crlf):
                pieces = self._with_crlf(pieces, crlf)
        for chop in self._all(Chop):
            pieces = self._chopped(pieces, chop)
        for truncate in self._all(Truncate):
            pieces = self._truncated(pieces, truncate, response)
        return Answer(response, pieces)

    def _all(self, kind: type[F]) -> list[F]:
        return [fault for fault in self._due if isinstance(fault, kind)]

    @property
    def _gone(self) -> bool:
        transport = self._protocol.transport
        return transport is None or transport.is_closing()

    async def _pass(self, seconds: float) -> None:
        until = _clock() + seconds
        while await self._quiet(until, GLANCE):
            pass

    async def _quiet(self, until: float, step: float) -> bool:
        """Wait for so long, or for less if that is enough; whether there is more to wait."""
        left = until - _clock()
        if left <= 0 or self._gone or self._over.is_set():
            return False
        try:
            async with asyncio.timeout(min(left, step)):
                await self._over.wait()
        except TimeoutError:
            return True
        return False

    async def _counted(self, pieces: Pieces) -> AsyncGenerator[tuple[bytes, int | None], None]:
        """Frame by frame with their numbers, None for pings; before the first is the head's, 0."""
        count = 0
        yield b"", 0
        async with aclosing(pieces):
            async for piece in pieces:
                for lines in piece.split(b"\n\n")[:-1]:
                    frame = lines + b"\n\n"
                    is_ping = frame in (self._ping, COMMENT)
                    count += not is_ping
                    yield frame, None if is_ping else count

    async def _cut(self, pieces: Pieces, fault: Cut) -> Pieces:
        async with aclosing(self._counted(pieces)) as frames:
            async for frame, number in frames:
                yield frame
                if number == fault.after_events:
                    self.hang_up(fault)
                    return

    async def _stalled(self, pieces: Pieces, fault: Stall) -> Pieces:
        async with aclosing(self._counted(pieces)) as frames:
            async for frame, number in frames:
                yield frame
                if number != fault.after_events:
                    continue
                self.note(fault)
                until = math.inf if fault.seconds is None else _clock() + fault.seconds
                while await self._quiet(until, fault.ping or GLANCE):
                    if fault.ping is not None:
                        yield self._ping or COMMENT

    async def _repeated(self, pieces: Pieces, fault: Duplicate) -> Pieces:
        async with aclosing(self._counted(pieces)) as frames:
            async for frame, number in frames:
                yield frame
                if number == fault.event:
                    self.note(fault)
                    yield frame

    async def _with_crlf(self, pieces: Pieces, fault: Crlf) -> Pieces:
        self.note(fault)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece.replace(b"\n", b"\r\n")

    async def _chopped(self, pieces: Pieces, fault: Chop) -> Pieces:
        noted = False
        async with aclosing(pieces):
            async for piece in pieces:
                if not noted and len(piece) > fault.size:
                    noted = True
                    self.note(fault)
                for start in range(0, len(piece), fault.size):
                    yield piece[start : start + fault.size]
                    await asyncio.sleep(0)  # or it is all one piece again before it is read
                    await self._pass(fault.pause)

    async def _truncated(
        self, pieces: Pieces, fault: Truncate, response: web.StreamResponse
    ) -> Pieces:
        left = fault.after_bytes
        async with aclosing(pieces):
            async for piece in pieces:
                if self._tap is not None and len(piece) > left >= 0:
                    length = b"%x\r\n" % len(piece) if _is_chunked(response) else b""
                    self._tap.end_at(self._tap.sent + len(length) + left, fault)
                left -= len(piece)
                yield piece


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _is_chunked(response: web.StreamResponse) -> bool:
    return response.headers.get("Transfer-Encoding") == "chunked"


def _in_pieces(whole: web.Response) -> tuple[web.StreamResponse, Pieces]:
    """An answer without its body, and its body as the one piece of it."""
    body = cast("bytes", whole.body)
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)

    async def pieces() -> Pieces:
        yield body

    return response, pieces()
