"""Work that must be done although nobody waits for it any more, such as cancelling a run."""

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ("Duties",)


class Duties:
    """Tasks that outlive whoever began them; the client waits for them when it closes."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin the work, in a task that no caller's cancellation reaches."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, patience: float | None) -> None:
        """Wait for all of it, at most `patience` seconds; what is left then is cancelled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
            for task in self._tasks:
                task.cancel()
