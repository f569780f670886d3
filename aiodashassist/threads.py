"""Worker threads for tools that are plain functions.

A thread cannot be stopped: a call that times out goes on in its thread until it is done. So the
threads are counted, not the calls that wait for them, and when every thread is held by such a
call the next one is told so instead of waiting for ever.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from aiodashassist.errors import ToolError

__all__ = ("WorkerThreads",)

T = TypeVar("T")


class WorkerThreads:
    """At most `size` threads for one client, made when needed.

    Python waits at its exit for threads that are still at work.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: ThreadPoolExecutor | None = None
        self._left: set[Future[Any]] = set()  # at work, but nobody waits for the result

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread, in a copy of the caller's context variables.

        A call that is cancelled before its turn came is never made.

        Raises:
            ToolError: every thread is held by a call that nobody waits for any more.
        """
        self._left = {future for future in self._left if not future.done()}
        if len(self._left) >= self._size:
            raise ToolError("busy: every worker thread is held by a call that timed out")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="aiodashassist")
        future = self._pool.submit(contextvars.copy_context().run, function)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.running():
                self._left.add(future)
            raise

    def close(self) -> None:
        """Let the threads end as soon as they are done; does not wait."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
