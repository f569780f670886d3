"""Functions as tools: the decorator, and the set."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload

from aiodashassist.core.tooling import FunctionTool, PluginTool, RagTool, Tool
from aiodashassist.errors import InvalidArgument
from aiodashassist.handler import Approve, Handler

__all__ = ("Toolset", "declared", "handlers", "tool")

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__aiodashassist_tool__"


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
    approve: Approve | None = ...,
) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    approve: Approve | None = None,
) -> Any:
    """Make a function a tool; it stays callable as itself.

    Args:
        function: the function, async or plain. Its annotations become the schema, its docstring
            the descriptions.
        name: how the model calls it; the function's name where not given.
        description: what the model reads; the docstring where not given.
        timeout: seconds for one call.
        approve: asked with each `ToolCall` whose arguments fit, before it runs: `True` runs it,
            `False` or a text is the refusal that the model reads. Async, or plain and then in a
            worker thread. The run's own `approve=` is asked after it; both must say yes. It may
            raise `PauseRun`; neither `timeout` nor `concurrency` counts while it is asked.

    Raises:
        InvalidArgument: its parameters cannot be described.
    """

    def mark(function: F) -> F:
        handler = Handler(
            function, name=name, description=description, timeout=timeout, approve=approve
        )
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
        approve: Approve | None = ...,
    ) -> Callable[[F], F]: ...
    def register(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Approve | None = None,
    ) -> Any:
        """Add a function; it stays callable as itself. The arguments are those of `tool`.

        Raises:
            InvalidArgument: it cannot be described, or the name is taken.
        """

        def add(function: F) -> F:
            self._add(
                Handler(
                    function, name=name, description=description, timeout=timeout, approve=approve
                )
            )
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
