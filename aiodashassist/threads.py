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

BUSY = "busy: every worker thread is held by a call that timed out"


class WorkerThreads:
    """At most `size` threads for one client, made when needed.

    Python waits at its exit for threads that are still at work.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: ThreadPoolExecutor | None = None
        self._waited: set[Future[Any]] = set()  # somebody waits for the result
        self._left: set[Future[Any]] = set()  # at work, but nobody waits any more
        self._refused: set[Future[Any]] = set()  # waited for a thread that will not be free

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread, in a copy of the caller's context variables.

        A call that is cancelled before its turn came is never made.

        Raises:
            ToolError: every thread is held by a call that nobody waits for any more.
        """
        if self._all_held():
            raise ToolError(BUSY)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="aiodashassist")
        future = self._pool.submit(contextvars.copy_context().run, _contained, function)
        self._waited.add(future)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future in self._refused:
                raise ToolError(BUSY) from None
            if future.running():
                self._left.add(future)
                self._refuse_the_queue()
            raise
        finally:
            self._waited.discard(future)
            self._refused.discard(future)

    def close(self) -> None:
        """Let the threads end as soon as they are done; does not wait."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _all_held(self) -> bool:
        self._left = {future for future in self._left if not future.done()}
        return len(self._left) >= self._size

    def _refuse_the_queue(self) -> None:
        """Do not let calls wait for threads of which none will be free."""
        if self._all_held():
            self._refused.update(future for future in self._waited if future.cancel())


def _contained(function: Callable[[], T]) -> T:
    """A future cannot hold a StopIteration: it would never be done."""
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error
