"""Work that must be done although nobody waits for it any more, such as cancelling a run."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

__all__ = ("Duties",)


class Closable(Protocol):
    """What must be closed before the client is."""

    async def close(self) -> None:
        """Close it; twice is no error."""


class Duties:
    """Tasks that outlive whoever began them, and streams that nobody has closed yet."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Closable] = set()

    @property
    def streams(self) -> tuple[Closable, ...]:
        """Those that are open."""
        return tuple(self._open)

    def opened(self, stream: Closable) -> None:
        """A stream was opened: finishing closes it."""
        self._open.add(stream)

    def closed(self, stream: Closable) -> None:
        """It was closed by its user, as it should be."""
        self._open.discard(stream)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin the work, in a task that no caller's cancellation reaches."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, patience: float | None) -> None:
        """Close what is open and do what is to be done, in at most `patience` seconds.

        What is left then is cancelled.
        """
        for stream in list(self._open):
            self.begin(stream.close())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
            for task in self._tasks:
                task.cancel()
