"""The tasks of one stream, and a wait for them that can be interrupted.

Plain tasks, in no group: whoever begins them need not be the one who waits, or who ends them.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any, TypeVar

from aiodashassist.errors import AssistError

__all__ = ("Errands",)

T = TypeVar("T")


class Errands:
    """Tasks that are begun here and waited for elsewhere; a wait cancels none of them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._interrupted: asyncio.Future[None] | None = None
        self._failure: AssistError | None = None

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def adopt(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Answer for tasks that others began."""
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._over)

    async def wait(self, waits: Iterable[asyncio.Future[Any]]) -> None:
        """Until one of these is done, or `interrupt` is called.

        Raises:
            AssistError: what `fail` was given, before or meanwhile.
        """
        self.check()
        if self._interrupted is None or self._interrupted.done():
            self._interrupted = asyncio.get_running_loop().create_future()
        await asyncio.wait({*waits, self._interrupted}, return_when=asyncio.FIRST_COMPLETED)
        self.check()

    def fail(self, error: AssistError) -> None:
        """Have every wait, now and later, raise this error; the first one given counts."""
        self._failure = self._failure or error
        self.interrupt()

    def check(self) -> None:
        """Raise what `fail` was given."""
        if self._failure is not None:
            raise self._failure

    def interrupt(self) -> None:
        """Wake whoever waits, to look around."""
        if self._interrupted is not None and not self._interrupted.done():
            self._interrupted.set_result(None)

    def cancel(self, spared: Collection[asyncio.Task[Any] | None] = ()) -> set[asyncio.Task[Any]]:
        """Cancel all but some; those to wait for."""
        cancelled = {task for task in self._tasks if task not in spared}
        for task in cancelled:
            task.cancel()
        return cancelled

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits is told; there may be nobody left who does
