"""The clocks: a scope around one call, and plain timers for streams.

No scope may stay open between two events of a stream, so what watches it is a timer of the loop.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiodashassist.core.models import Run
from aiodashassist.discretion import bare
from aiodashassist.errors import AssistError

__all__ = ("Alarm", "SilenceClock", "expiry", "within")

FAR = 10**15  # epoch milliseconds; a float cannot hold every number that JSON can


@asynccontextmanager
async def within(seconds: float | None, late: type[AssistError], words: str) -> AsyncIterator[None]:
    """A time limit whose error is ours: `words` and the seconds; None is no limit."""
    before, failure = sys.exception(), None
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        failure = late(f"{words} {seconds} s")
        failure.__cause__ = error
        bare(failure, before)
    if failure is not None:
        raise failure


def expiry(run: Run | None) -> float | None:
    """When a run expires, by the loop's clock; None where that is not told.

    The service tells it by its own clock. One that is over already while the run still waits says
    that the clocks differ, and nothing else.
    """
    if run is None or run.expires_at is None:
        return None
    left = min(run.expires_at, FAR) / 1000 - time.time()
    return asyncio.get_running_loop().time() + left if left > 0 else None


class Alarm:
    """Rings once, when a time is over.

    Args:
        seconds: from now; None never rings.
        ring: what to do then.
    """

    def __init__(self, seconds: float | None, ring: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, ring)

    def stop(self) -> None:
        """Do not ring any more."""
        if self._timer is not None:
            self._timer.cancel()


class SilenceClock:
    """Counts the time spent waiting for an event; the time that nobody waits does not count.

    One timer, moved lazily: it looks when it rings, and re-arms itself for the rest.

    Args:
        limit: seconds of silence to bear; None bears all.
        expired: called once, when they are over.
        spent: seconds of the first silence that are over already.
    """

    def __init__(
        self, limit: float | None, expired: Callable[[], None], *, spent: float = 0.0
    ) -> None:
        self._limit = limit
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None  # when the wait under way began
        self._spent = spent

    def waiting(self) -> None:
        """A wait begins."""
        if self._limit is None or self._since is not None:
            return
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit - self._spent, self._look)

    def waited(self) -> None:
        """The wait is over; it counts unless an event came."""
        if self._since is not None:
            self._spent += self._loop.time() - self._since
            self._since = None

    def restart(self, limit: float | None) -> None:
        """An event came: the whole patience begins anew."""
        self._spent = 0.0
        if limit != self._limit:
            self._limit = limit
            self.stop()

    def stop(self) -> None:
        """Watch no more, until the next wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._since is None or self._limit is None:
            return
        over = self._since + (self._limit - self._spent)
        if self._loop.time() >= over:
            self._expired()
        else:
            self._timer = self._loop.call_at(over, self._look)
