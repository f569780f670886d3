"""One tool call, and how it is made.

The tool is looked up and its arguments are read, the call is approved where somebody wants to be
asked, then it waits for a seat and runs.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from aiodashassist.core.events import ToolFinished, ToolProgress, ToolStarted
from aiodashassist.core.outputs import error_text
from aiodashassist.core.tooling import ToolCall
from aiodashassist.errors import ToolArgumentsError, ToolError, ToolNotFound, ToolTimeout
from aiodashassist.handler import Approve, Handler, ToolContext, is_async
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Toolset

__all__ = ("Bench", "Job", "ToolEvent")

logger = logging.getLogger(__name__)

ToolEvent: TypeAlias = ToolStarted | ToolProgress | ToolFinished

REASON = 500  # characters; a model's own nonsense is quoted in it
REFUSED = "the call was refused"


class Bench(Struct, frozen=True, kw_only=True):
    """What the calls of a run work with.

    Attributes:
        tools: the handlers, by name.
        threads: where plain functions run.
        deps: given to tools that take a `ToolContext`.
        concurrency: calls of one round that run at a time.
        timeout: seconds for a call whose tool has no timeout of its own.
        max_arguments_bytes: bound of a call's arguments.
        approve: asked before each call, after the tool's own `approve`; None asks nobody.
    """

    tools: Toolset
    threads: WorkerThreads
    deps: Any = None
    concurrency: int = 16
    timeout: float | None = None
    max_arguments_bytes: int = 1024 * 1024
    approve: Approve | None = None


class Job:
    """One call, with the tool that it is made with.

    Attributes:
        call: the call.
        seconds: how long the tool took; known when it has ended.

    Args:
        call: the call.
        bench: what it works with.
        run_id: the run that asks.
        thread_id: the thread it runs on.
        tell: takes the events of the call.
        until: when the run expires, by the loop's clock: no output is of use after it.
    """

    def __init__(
        self,
        call: ToolCall,
        bench: Bench,
        run_id: str,
        thread_id: str | None,
        tell: Callable[[ToolEvent], None],
        *,
        until: float | None = None,
    ) -> None:
        self.call = call
        self.seconds = 0.0
        self._bench = bench
        self._run_id = run_id
        self._thread_id = thread_id
        self._tell = tell
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._began: float | None = None
        self._over = False

    async def run(self, seats: asyncio.Semaphore) -> object:
        """What the tool gives.

        Raises:
            ToolError: there is no such tool, its arguments do not fit, it is refused, or it takes
                too long; tools raise it too.
            PauseRun: the call is left to the caller.
        """
        found = self._found()
        if isinstance(found, tuple):
            await self._approved(found[0])
        async with seats:
            self._began = self._loop.time()
            self._tell(ToolStarted(call=self.call))
            if not isinstance(found, tuple):
                raise found
            return await self._result(*found)

    def end(self) -> None:
        """The call is over; what the tool emits from now on is nobody's."""
        self._over = True
        if self._began is not None:
            self.seconds = self._loop.time() - self._began

    def told(self, error: BaseException) -> str:
        """What the model reads of an error: of a crash nothing, for it may hold secrets."""
        if isinstance(error, ToolError):
            try:
                reason = error.message
                if type(error) is not ToolError and len(reason) > REASON:  # our own words
                    reason = reason[:REASON] + "..."
                return error_text(reason)
            except (AttributeError, TypeError, ValueError):  # it holds no text that can travel
                pass
        logger.error("tool %s crashed in run %s", self.call.name, self._run_id, exc_info=error)
        return error_text(f"{self.call.name} failed")

    def _found(self) -> tuple[Handler, dict[str, Any]] | Exception:
        """The tool and what it is called with, or why there is no such call to be made."""
        try:
            return self._read()
        except Exception as error:  # noqa: BLE001 (types of the user's own may raise anything)
            return error

    def _read(self) -> tuple[Handler, dict[str, Any]]:
        bench, call = self._bench, self.call
        handler = bench.tools.get(call.name)
        if handler is None:
            known = ", ".join(known.name for known in bench.tools)
            raise ToolNotFound(f"there is no tool {call.name!r}; there are: {known or 'none'}")
        if len(call.arguments.encode("utf-8", "replace")) > bench.max_arguments_bytes:
            raise ToolArgumentsError(f"arguments over {bench.max_arguments_bytes} bytes")
        arguments = handler.parameters.decode(call.arguments)
        if handler.parameters.context is not None:
            arguments[handler.parameters.context] = ToolContext(
                run_id=self._run_id,
                thread_id=self._thread_id,
                call_id=call.call_id,
                deps=bench.deps,
                progress=self._emit,
            )
        return handler, arguments

    async def _approved(self, handler: Handler) -> None:
        """Ask the tool's own `approve`, then the run's; both must say yes."""
        for approve in (handler.approve, self._bench.approve):
            if approve is not None:
                question = functools.partial(approve, self.call)
                verdict = await self._called(question, on_loop=is_async(approve))
                if self._over:  # the round was cancelled, and whoever was asked did not notice
                    raise asyncio.CancelledError
                if verdict is not True:
                    raise _refusal(verdict)

    async def _result(self, handler: Handler, arguments: dict[str, Any]) -> object:
        function = functools.partial(handler.function, **arguments)
        seconds = self._patience(handler)
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await self._called(function, on_loop=handler.is_async)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise ToolTimeout(f"{handler.name} timed out after {seconds:g} s") from error

    def _patience(self, handler: Handler) -> float | None:
        """Seconds that the tool may take: no more than the run waits."""
        seconds = self._bench.timeout if handler.timeout is None else handler.timeout
        if self._until is None:
            return seconds
        left = max(0.0, self._until - self._loop.time())
        return left if seconds is None else min(seconds, left)

    async def _called(self, function: Callable[[], Any], *, on_loop: bool) -> object:
        result = function() if on_loop else await self._bench.threads.run(function)
        return await result if inspect.isawaitable(result) else result

    def _emit(self, data: Any) -> None:
        """From any thread; those of the loop itself are in order with what its tool does next."""
        if threading.get_ident() == self._loop_thread:
            self._progressed(data)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                self._loop.call_soon_threadsafe(self._progressed, data)

    def _progressed(self, data: Any) -> None:
        if not self._over:
            self._tell(ToolProgress(call=self.call, data=data))


def _refusal(verdict: object) -> Exception:
    """The error that an approval other than `True` is; anything but a refusal is a mistake."""
    if verdict is False:
        return ToolError(REFUSED)
    if isinstance(verdict, str):
        return ToolError(str.__str__(verdict) or REFUSED)
    kind = type(verdict).__name__
    return TypeError(f"approve must give True, False or a text, not {kind}")
