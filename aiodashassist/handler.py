"""A function as a tool: what is known of it, whom to ask before it runs, what it can ask for."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeAlias, TypeVar

from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, ToolCall
from aiodashassist.errors import InvalidArgument
from aiodashassist.schema import Parameters, describe, read_parameters

__all__ = ("Approve", "Handler", "ToolContext", "check_approve", "is_async")

Deps = TypeVar("Deps")

Approve: TypeAlias = Callable[[ToolCall], bool | str | Awaitable[bool | str]]
"""Whether a call may run. `True` lets it; `False` or a text is the refusal that the model reads;
`PauseRun` leaves the call to the caller. Plain functions are asked in a worker thread."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolContext(Generic[Deps]):
    """What a tool can know of the call it answers; given to a parameter annotated with it.

    Attributes:
        run_id: the run that asks.
        thread_id: the thread it runs on.
        call_id: the call; never empty and unique in the run.
        deps: what was given as `deps=` with the run.

    Args:
        progress: takes what is emitted, from any thread; without it, as in a context that a test
            makes, emitting does nothing.
    """

    __slots__ = ("_progress", "call_id", "deps", "run_id", "thread_id")

    def __init__(
        self,
        *,
        run_id: str,
        thread_id: str | None,
        call_id: str,
        deps: Deps,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.run_id = run_id
        self.thread_id = thread_id
        self.call_id = call_id
        self.deps = deps
        self._progress = progress

    async def emit(self, data: Any) -> None:
        """Tell how far the call is: a `ToolProgress` event of the stream.

        After the call has its output (a timeout gives it one) this does nothing.
        """
        if self._progress is not None:
            self._progress(data)
            await asyncio.sleep(0)  # a tool that does nothing else must not hold the loop

    def emit_from_thread(self, data: Any) -> None:
        """Do what `emit` does, for plain functions: they run in a thread."""
        if self._progress is not None:
            self._progress(data)


class Handler:
    """One function as a tool.

    Attributes:
        function: the function itself.
        name: how the model calls it.
        description: what the model reads about it.
        timeout: seconds for one call; None leaves it to `Timeouts.tool`.
        approve: asked before each call; None lets every call run.
        parameters: its schema and decoder.
        is_async: whether it runs on the loop rather than in a thread.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Approve | None = None,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", ""))
        if not NAME.fullmatch(self.name):
            raise InvalidArgument(
                f"a tool's name has 1 to 64 letters, digits, _ and -: {self.name!r} does not; "
                "pass name="
            )
        if timeout is not None and timeout <= 0:
            raise InvalidArgument(f"{self.name}: timeout must be more than 0 seconds")
        self.description = describe(function) if description is None else description
        self.timeout = timeout
        self.approve = check_approve(approve)
        self.parameters: Parameters = read_parameters(function, ToolContext)
        self.is_async = is_async(function)

    def __repr__(self) -> str:
        return f"Handler({self.name})"

    @property
    def definition(self) -> FunctionTool:
        """What is declared to the service."""
        return FunctionTool(
            function=FunctionDefinition(
                name=self.name,
                description=self.description or None,
                parameters=self.parameters.schema,
            )
        )


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function is certain to be async, and so belongs on the loop."""
    called = function if inspect.isroutine(function) else getattr(function, "func", function)
    return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(
        getattr(called, "__call__", None)  # noqa: B004 (an object with an async __call__)
    )


def check_approve(approve: Approve | None) -> Approve | None:
    """What was given as `approve=`.

    Raises:
        InvalidArgument: it cannot be called.
    """
    if approve is not None and not callable(approve):
        raise InvalidArgument(
            f"approve must be a function of the call, not {type(approve).__name__}"
        )
    return approve
