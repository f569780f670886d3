"""Runs tool calls side by side: each ends in exactly one output, whatever the tool does.

Calls run in plain tasks, not in a task group: a stream may be iterated in one task and closed in
another, and no scope survives that.
"""

import asyncio
import functools
import inspect
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from aiodashassist.core.events import ToolFinished, ToolStarted
from aiodashassist.core.plain import plain
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import ToolArgumentsError, ToolError, ToolNotFound, ToolTimeout
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Handler, ToolContext, Toolset

__all__ = ("Bench", "Round")

logger = logging.getLogger(__name__)

REASON = 500  # characters; a model's own nonsense is quoted in it


class Bench(Struct, frozen=True, kw_only=True):
    """What the calls of a run work with.

    Attributes:
        tools: the handlers, by name.
        threads: where plain functions run.
        deps: given to tools that take a `ToolContext`.
        concurrency: calls of one round that run at a time.
        timeout: seconds for a call whose tool has no timeout of its own.
        max_arguments_bytes: bound of a call's arguments.
    """

    tools: Toolset
    threads: WorkerThreads
    deps: Any = None
    concurrency: int = 16
    timeout: float | None = None
    max_arguments_bytes: int = 1024 * 1024


class Round:
    """The calls of one `requires_action`, from the first start to the last output."""

    def __init__(
        self, calls: Sequence[ToolCall], bench: Bench, *, run_id: str, thread_id: str | None
    ) -> None:
        self._bench = bench
        self._run_id = run_id
        self._thread_id = thread_id
        self._events: deque[ToolStarted | ToolFinished] = deque()
        self._outputs: list[ToolOutput | None] = [None] * len(calls)
        self._news: asyncio.Future[None] | None = None
        self._cancelled = False
        self._seats = asyncio.Semaphore(bench.concurrency)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._answer(i, call)) for i, call in enumerate(calls)]

    @property
    def finished(self) -> bool:
        """Whether every call has its output."""
        return None not in self._outputs

    def outputs(self) -> tuple[ToolOutput, ...]:
        """The outputs, in the order of the calls."""
        return tuple(output for output in self._outputs if output is not None)

    def take(self) -> ToolStarted | ToolFinished | None:
        """The next event that has not been taken."""
        return self._events.popleft() if self._events else None

    def news(self) -> asyncio.Future[None]:
        """A future that is done as soon as there is an event to take."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
            if self._events:
                self._news.set_result(None)
        return self._news

    def cancel(self) -> list[asyncio.Task[None]]:
        """Cancel what still runs; the tasks to wait for."""
        self._cancelled = True
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            task.cancel()
        return running

    async def _answer(self, index: int, call: ToolCall) -> None:
        loop = asyncio.get_running_loop()
        async with self._seats:
            self._tell(ToolStarted(call=call))
            began = loop.time()
            text, error = await self._outcome(call)
        output = ToolOutput(tool_call_id=call.id, output=text)
        self._outputs[index] = output
        duration = loop.time() - began
        self._tell(ToolFinished(call=call, output=output, error=error, duration=duration))

    def _tell(self, event: ToolStarted | ToolFinished) -> None:
        self._events.append(event)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _outcome(self, call: ToolCall) -> tuple[str, BaseException | None]:
        """The output's text and, where it is an error, what went wrong."""
        try:
            return _written(await self._run(call)), None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a tool raises, the run goes on
            if self._cancelled and isinstance(error, asyncio.CancelledError):
                raise  # ours; any other is the tool's own
            return self._told(call, error), error

    def _told(self, call: ToolCall, error: BaseException) -> str:
        """What the model reads of an error: of a crash nothing, for it may hold secrets."""
        if isinstance(error, ToolError):
            try:
                reason = error.message
                if type(error) is not ToolError and len(reason) > REASON:  # our own words
                    reason = reason[:REASON] + "..."
                return _error_text(reason)
            except (AttributeError, TypeError, ValueError):  # it holds no text that can travel
                pass
        logger.error("tool %s crashed in run %s", call.name, self._run_id, exc_info=error)
        return _error_text(f"{call.name} failed")

    async def _run(self, call: ToolCall) -> object:
        bench = self._bench
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
            )
        seconds = bench.timeout if handler.timeout is None else handler.timeout
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await self._call(handler, arguments)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise ToolTimeout(f"{handler.name} timed out after {seconds:g} s") from error

    async def _call(self, handler: Handler, arguments: dict[str, Any]) -> object:
        function = functools.partial(handler.function, **arguments)
        result = function() if handler.is_async else await self._bench.threads.run(function)
        return await result if inspect.isawaitable(result) else result


def _written(result: object) -> str:
    """A result as an output: text as it is, anything else as JSON."""
    if isinstance(result, str):
        text = str.__str__(result)  # also of a class of its own, such as a marked-up text
    else:
        text = msgspec.json.encode(result, enc_hook=plain).decode()
    text.encode()  # a lone surrogate cannot travel
    return text


def _error_text(reason: str) -> str:
    return msgspec.json.encode({"error": reason}).decode()
