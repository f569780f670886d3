"""Who of this process is on a thread: one hold at a time, and in which tasks.

A hold is waited for in the order in which its users came. Who would wait for itself is told so.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from aiodashassist.errors import LocalProtocolError

__all__ = ("Hold", "hold")


class _Thread:
    """A thread in use: its lock, and the hold that has it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holder: Hold | None = None


class Hold:
    """The lock of one thread, held from the first turn until the last of its users has left.

    The users are an entered session and its calls, of which one at a time has its turn.

    Attributes:
        turn_of: the task whose turn it is; that of a stream is over when its block is left.
        entered_in: the task that has entered the session.
    """

    def __init__(self, thread: _Thread) -> None:
        self.turn_of: asyncio.Task[Any] | None = None
        self.entered_in: asyncio.Task[Any] | None = None
        self._thread = thread
        self._turns = asyncio.Lock()
        self._users = 0

    def enter(self) -> None:
        """The session is one more user."""
        self.entered_in = asyncio.current_task()
        self._users += 1

    def leave(self) -> None:
        """The session is none any more; its calls that are under way still are."""
        self.entered_in = None
        self._go()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A call's turn.

        Raises:
            LocalProtocolError: on entering: this task would wait for a block that it is in itself.
        """
        self._check_task()
        self._users += 1
        try:
            async with self._turns:
                if self._thread.holder is not self:
                    await self._thread.lock.acquire()
                    self._thread.holder = self
                self.turn_of = asyncio.current_task()
                try:
                    yield
                finally:
                    self.turn_of = None
        finally:
            self._go()

    def _go(self) -> None:
        """One user less."""
        self._users -= 1
        if not self._users and self._thread.holder is self:
            self._thread.holder = None
            self._thread.lock.release()

    def _check_task(self) -> None:
        """No task waits for itself; one that another task waits for is not known here."""
        task, holder = asyncio.current_task(), self._thread.holder
        if holder is None:
            return
        if holder.turn_of is task:
            raise LocalProtocolError(
                "this task has opened a stream of a session of the thread, and its block is not "
                "left yet: leave it first, or ask in another task"
            )
        if holder is not self and holder.entered_in is task:
            raise LocalProtocolError(
                "this task has entered another session of the thread: use that one, or leave its "
                "block first"
            )


Place: TypeAlias = tuple[asyncio.AbstractEventLoop, str, str]  # loop, base URL, thread
_threads: WeakValueDictionary[Place, _Thread] = WeakValueDictionary()  # those in use


def hold(base_url: str, thread_id: str) -> Hold:
    """A hold of a thread; what is kept of it vanishes with the last one."""
    place = (asyncio.get_running_loop(), base_url.rstrip("/"), thread_id)
    return Hold(_threads.setdefault(place, _Thread()))
