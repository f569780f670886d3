"""How many requests a client has under way, and how many it begins in a minute.

Whoever has to wait stands in one line, and the line moves in its order: a request that needs no
waiting does not overtake it. A turn is taken by whoever has it, at the moment when it begins: one
that is cancelled while it waits, or just as it is told that it may go, has taken nothing.

What is urgent does not wait: who leaves a run must be able to cancel it at once. It counts as any
other, so that it alone can exceed the limits, and others begin later for it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import TracebackType

from aiodashassist.errors import LocalProtocolError

__all__ = ("MINUTE", "Turns")

MINUTE = 60.0  # seconds
LATE = 0.001  # seconds; a timer may ring a little early, and is not to be set again for that
FREE: AbstractAsyncContextManager[None] = nullcontext()


class Turns:
    """The turns of one client, which its copies share; they belong to the client's event loop.

        async with turns.turn(): ...

    Args:
        max_concurrent_requests: turns that are open at a time; None is no limit.
        requests_per_minute: turns that begin in any 60 seconds; None is no limit.
    """

    def __init__(
        self, max_concurrent_requests: int | None = None, requests_per_minute: int | None = None
    ) -> None:
        self._seats = max_concurrent_requests
        self._open = 0
        self._begun: deque[float] | None = None  # when the newest turns began, the oldest first
        if requests_per_minute is not None:
            self._begun = deque(maxlen=requests_per_minute)
        self._line: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def turn(self, *, urgent: bool = False) -> AbstractAsyncContextManager[None]:
        """A turn: entered when it begins, left as soon as another may.

        Args:
            urgent: begin at once, whatever the limits; for what others must not keep waiting, such
                as the cancelling of a run. It is counted as any other.

        Raises:
            LocalProtocolError: on entering, if the client was closed.
        """
        if self._seats is None and self._begun is None:
            return FREE
        # One turn is like another, so that the one object does for all.
        return self._urgent() if urgent else self

    def close(self) -> None:
        """Send away whoever waits, and whoever comes."""
        self._closed = True
        for place in self._line:
            if not place.done():
                place.set_result(None)
        self._move_on()  # no timer is left

    async def __aenter__(self) -> None:
        if not self._closed and (self._line or self._wait() != 0):
            await self._stand_in_line()
        self._begin()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @asynccontextmanager
    async def _urgent(self) -> AsyncIterator[None]:
        self._begin()
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> None:
        if self._closed:
            raise LocalProtocolError("the client is closed")
        self._open += 1
        if self._begun is not None:
            self._begun.append(asyncio.get_running_loop().time())
        self._move_on()

    def _end(self) -> None:
        self._open -= 1
        self._move_on()

    async def _stand_in_line(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._line[place] = None
        self._move_on()
        try:
            await place
        except BaseException:
            del self._line[place]
            self._move_on()  # it may have been told already that it may go
            raise
        del self._line[place]

    def _wait(self) -> float | None:
        """Seconds until a turn may begin; None if another has to end before."""
        if self._seats is not None and self._open >= self._seats:
            return None
        if self._begun is None or len(self._begun) != self._begun.maxlen:
            return 0
        return max(0, self._begun[0] + MINUTE - asyncio.get_running_loop().time())

    def _move_on(self) -> None:
        """Tell the first in line that it may go: now, or when the minute allows it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        first = next(iter(self._line), None)
        if first is None or first.done():
            return  # one that was told moves the line on itself
        wait = self._wait()
        if wait == 0:
            first.set_result(None)
        elif wait is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait + LATE, self._move_on)
