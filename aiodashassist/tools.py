"""Functions as tools: the decorator, the set, and the context that a tool can ask for."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, overload

from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, PluginTool, RagTool, Tool
from aiodashassist.errors import InvalidArgument
from aiodashassist.schema import Parameters, describe, read_parameters

__all__ = ("Handler", "ToolContext", "Toolset", "declared", "handlers", "tool")

Deps = TypeVar("Deps")
F = TypeVar("F", bound=Callable[..., Any])

MARK = "__aiodashassist_tool__"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolContext(Generic[Deps]):
    """What a tool can know of the call it answers; given to a parameter annotated with it.

    Attributes:
        run_id: the run that asks.
        thread_id: the thread it runs on.
        call_id: the call; never empty and unique in the run.
        deps: what was given as `deps=` with the run.
    """

    __slots__ = ("call_id", "deps", "run_id", "thread_id")

    def __init__(self, *, run_id: str, thread_id: str | None, call_id: str, deps: Deps) -> None:
        self.run_id = run_id
        self.thread_id = thread_id
        self.call_id = call_id
        self.deps = deps


class Handler:
    """One function as a tool.

    Attributes:
        function: the function itself.
        name: how the model calls it.
        description: what the model reads about it.
        timeout: seconds for one call; None leaves it to `Timeouts.tool`.
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
        self.parameters: Parameters = read_parameters(function, ToolContext)
        called = function if inspect.isroutine(function) else getattr(function, "func", function)
        self.is_async = inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(
            getattr(called, "__call__", None)  # noqa: B004 (an object with an async __call__)
        )

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


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = ...,
    description: str | None = ...,
    timeout: float | None = ...,
) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
) -> Any:
    """Make a function a tool; it stays callable as itself.

    Args:
        function: the function, async or plain. Its annotations become the schema, its docstring
            the descriptions.
        name: how the model calls it; the function's name where not given.
        description: what the model reads; the docstring where not given.
        timeout: seconds for one call.

    Raises:
        InvalidArgument: its parameters cannot be described.
    """

    def mark(function: F) -> F:
        handler = Handler(function, name=name, description=description, timeout=timeout)
        try:
            setattr(function, MARK, handler)
        except AttributeError:
            raise InvalidArgument(f"{handler.name} takes no mark: give it to a Toolset") from None
        return function

    return mark if function is None else mark(function)


class Toolset:
    """Tools by name: `@tools.register` adds one, `a | b` joins (of two with a name, b's is kept).

    Args:
        functions: functions, decorated or not, to begin with.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._handlers: dict[str, Handler] = {}
        for function in functions:
            mark: Handler | None = getattr(function, MARK, None)
            # A wrapper made with functools.wraps bears the mark of what it wraps.
            if mark is None or mark.function != function:
                mark = Handler(function)
            self._add(mark)

    @overload
    def register(self, function: F, /) -> F: ...
    @overload
    def register(
        self,
        function: None = None,
        /,
        *,
        name: str | None = ...,
        description: str | None = ...,
        timeout: float | None = ...,
    ) -> Callable[[F], F]: ...
    def register(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Add a function; it stays callable as itself. The arguments are those of `tool`.

        Raises:
            InvalidArgument: it cannot be described, or the name is taken.
        """

        def add(function: F) -> F:
            self._add(Handler(function, name=name, description=description, timeout=timeout))
            return function

        return add if function is None else add(function)

    @property
    def definitions(self) -> list[FunctionTool]:
        """What is declared to the service, in the order added."""
        return [handler.definition for handler in self]

    def get(self, name: str) -> Handler | None:
        """The tool of that name."""
        return self._handlers.get(name)

    def _add(self, handler: Handler) -> None:
        known = self._handlers.get(handler.name)
        if known is not None and known.function != handler.function:
            raise InvalidArgument(f"there is a tool named {handler.name!r} already")
        self._handlers[handler.name] = handler

    def __or__(self, other: "Toolset") -> "Toolset":
        joined = Toolset()
        joined._handlers = {**self._handlers, **other._handlers}
        return joined

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def __len__(self) -> int:
        return len(self._handlers)

    def __contains__(self, name: object) -> bool:
        return name in self._handlers

    def __repr__(self) -> str:
        return f"Toolset({', '.join(self._handlers)})"


def handlers(tools: Toolset | Callable[..., Any] | Iterable[object]) -> Toolset:
    """The local handlers that a run is given.

    Raises:
        InvalidArgument: something that is no function, or two functions of one name.
    """
    if isinstance(tools, Toolset):
        return tools
    joined = Toolset()
    for item in _listed(tools):
        if not callable(item) and not isinstance(item, Toolset):
            raise InvalidArgument(f"{type(item).__name__} is no function: it cannot be a tool")
        for handler in item if isinstance(item, Toolset) else Toolset(item):
            joined._add(handler)  # noqa: SLF001 (the same house)
    return joined


def _listed(tools: Toolset | Callable[..., Any] | Iterable[Any]) -> Iterable[Any]:
    if isinstance(tools, Toolset) or callable(tools):
        return [tools]
    if not isinstance(tools, Iterable):
        raise InvalidArgument(f"tools must be a list, not {type(tools).__name__}")
    return tools


def declared(tools: Toolset | Callable[..., Any] | Iterable[Any]) -> list[Tool]:
    """The declarations in a mixed list: toolsets, functions, plugins and wire dicts.

    Raises:
        InvalidArgument: something that cannot be declared.
    """
    found: list[Tool] = []
    for item in _listed(tools):
        if isinstance(item, Toolset):
            found.extend(item.definitions)
        elif isinstance(item, FunctionTool | PluginTool | RagTool | dict):
            found.append(item)
        elif callable(item):
            found.extend(Toolset(item).definitions)
        else:
            raise InvalidArgument(f"{type(item).__name__} cannot be declared as a tool")
    return found
