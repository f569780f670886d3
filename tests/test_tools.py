"""Functions as tools: the decorator, the set, and what is handed over as tools."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, PluginTool, RagTool
from aiodashassist.errors import InvalidArgument
from aiodashassist.handler import Handler, ToolContext
from aiodashassist.tools import Toolset, declared, handlers, tool
from tests import future_tools

Function = Callable[..., Any]


def plain(city: str) -> str:
    """Weather of a city."""
    return city


async def quick(city: str) -> str:
    """Weather of a city, soon."""
    return city


class Oracle:
    """Answers."""

    async def __call__(self, question: str) -> str:
        """Answer."""
        return question

    async def later(self, question: str) -> str:
        """Answer later."""
        return question

    def now(self, question: str) -> str:
        """Answer now."""
        return question


def names(toolset: Toolset) -> list[str]:
    """The names in a set, in order."""
    return [handler.name for handler in toolset]


def test_a_decorated_function_stays_itself() -> None:
    """Both forms of the decorators give the function back, and it can be called as before."""
    toolset = Toolset()

    def one(city: str) -> str:
        return city

    assert tool(one) is one
    assert tool(name="other", timeout=1)(one) is one
    assert toolset.register(one) is one
    assert toolset.register(name="other")(one) is one
    assert one("x") == "x"


def test_the_decorators_settings_are_kept() -> None:
    """Name, description and timeout given to a decorator hold wherever the function is used."""

    @tool(name="weather", description="Weather.", timeout=5)
    def one(city: str) -> str:
        return city

    toolset = Toolset(one)
    handler = toolset.get("weather")
    assert handler is not None
    assert (handler.name, handler.description, handler.timeout) == ("weather", "Weather.", 5)
    assert names(handlers([one])) == ["weather"]


def test_name_and_description_come_from_the_function() -> None:
    """Without settings a tool has the name and the docstring of its function, and no timeout."""
    handler = Handler(plain)
    assert (handler.name, handler.description) == ("plain", "Weather of a city.")
    assert handler.timeout is None
    assert handler.function is plain


def test_a_definition_is_what_is_declared() -> None:
    """A tool is declared with its name, its description and its schema."""
    assert Handler(plain).definition == FunctionTool(
        function=FunctionDefinition(
            name="plain",
            description="Weather of a city.",
            parameters={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        )
    )


def test_an_empty_description_is_not_declared() -> None:
    """A tool that has nothing to say of itself declares no description."""
    assert Handler(plain, description="").definition.function.description is None


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: None, None),
        (functools.partial(plain), None),
        (Oracle(), None),
        (plain, "two words"),
        (plain, "天气"),
        (plain, "x" * 65),
        (plain, "line\n"),
    ],
    ids=["lambda", "partial", "object", "space", "chinese", "long", "newline"],
)
def test_a_name_that_no_service_takes_is_refused(function: Function, name: str | None) -> None:
    """A tool's name has 1 to 64 letters, digits, `_` and `-`; who has none must pass one."""
    with pytest.raises(InvalidArgument, match="pass name="):
        Handler(function, name=name)


@pytest.mark.parametrize("name", ["a", "get-weather_2", "x" * 64])
def test_a_name_that_every_service_takes_is_accepted(name: str) -> None:
    """Letters, digits, `_` and `-` are a name, up to 64 of them."""
    assert Handler(functools.partial(plain), name=name).name == name


@pytest.mark.parametrize("timeout", [0, -1.5])
def test_a_timeout_is_more_than_nothing(timeout: float) -> None:
    """A timeout of no time is refused, naming the tool."""
    with pytest.raises(InvalidArgument, match="plain: timeout"):
        Handler(plain, timeout=timeout)


def wrapped_quick(*args: Any, **kwargs: Any) -> Awaitable[str]:
    """Gives what `quick` gives, without being async itself."""
    return quick(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, False),
        (quick, True),
        (functools.partial(quick, city="x"), True),
        (functools.partial(plain, city="x"), False),
        (functools.partial(Oracle(), question="x"), True),
        (Oracle(), True),
        (Oracle().later, True),
        (Oracle().now, False),
        (functools.wraps(quick)(wrapped_quick), False),
    ],
    ids=str,
)
def test_what_is_async_runs_on_the_loop(function: Function, expected: object) -> None:
    """Only what is certainly async is run on the loop; the rest goes to a thread."""
    assert Handler(function, name="tool").is_async is expected


def test_a_function_that_takes_no_mark_belongs_in_a_set() -> None:
    """A bound method cannot be marked, and the error says where to put it; a set takes it."""
    with pytest.raises(InvalidArgument, match="later takes no mark: give it to a Toolset"):
        tool(Oracle().later)
    assert names(Toolset(Oracle().later)) == ["later"]


def test_a_function_that_cannot_be_described_is_refused_at_once() -> None:
    """The decorators refuse when the function is defined, not when the model calls it."""

    def bad(value: complex) -> None: ...

    for decorate in (tool, Toolset().register, Toolset):
        with pytest.raises(InvalidArgument, match="bad"):
            decorate(bad)


def test_a_wrapper_is_not_bypassed() -> None:
    """A decorator around a tool is run with it: the mark of the tool inside is not taken for it."""

    @tool
    def inner(city: str) -> str:
        """Weather of a city."""
        return city

    @functools.wraps(inner)
    def guarded(city: str) -> str:
        return "checked " + inner(city)

    handler = Toolset(guarded).get("inner")
    assert handler is not None
    assert handler.function is guarded


def test_a_set_knows_its_tools_by_name_in_order() -> None:
    """A set gives, counts, lists and declares its tools in the order added."""
    toolset = Toolset(quick, plain)
    assert names(toolset) == ["quick", "plain"]
    assert len(toolset) == 2
    assert "plain" in toolset
    assert "other" not in toolset
    assert 5 not in toolset
    assert toolset.get("other") is None
    assert [each.function.name for each in toolset.definitions] == ["quick", "plain"]


def test_an_empty_set_is_a_set() -> None:
    """A set without tools has no definitions."""
    assert len(Toolset()) == 0
    assert Toolset().definitions == []


def test_a_name_is_taken_once() -> None:
    """Another function of the same name is refused; the same function may come again."""
    toolset = Toolset(plain, plain)
    toolset.register(timeout=3)(plain)
    assert names(toolset) == ["plain"]
    with pytest.raises(InvalidArgument, match="a tool named 'plain' already"):
        toolset.register(name="plain")(quick)
    handler = toolset.get("plain")
    assert handler is not None
    assert handler.function is plain


def test_the_same_method_may_come_again() -> None:
    """A bound method is a new object each time, but it is the same function."""
    oracle = Oracle()
    assert names(Toolset(oracle.now, oracle.now)) == ["now"]
    with pytest.raises(InvalidArgument, match="now"):
        Toolset(oracle.now, Oracle().now)


def test_sets_are_joined_and_stay_as_they_were() -> None:
    """`a | b` is a new set with both; of two tools with one name, b's is kept."""

    def other(city: str) -> str:
        return city

    a, b = Toolset(plain, quick), Toolset()
    b.register(name="plain")(other)
    joined = a | b
    assert names(joined) == ["plain", "quick"]
    handler = joined.get("plain")
    assert handler is not None
    assert handler.function is other
    assert (names(a), names(b)) == (["plain", "quick"], ["plain"])


def test_a_repr_names_the_tools() -> None:
    """The repr of a set and of a tool shows names and nothing else."""
    assert repr(Toolset(plain, quick)) == "Toolset(plain, quick)"
    assert repr(Handler(plain)) == "Handler(plain)"


def test_handlers_are_a_set() -> None:
    """A set is taken as it is; functions and sets in a list become one set."""
    toolset = Toolset(plain)
    assert handlers(toolset) is toolset
    assert names(handlers([quick, toolset])) == ["quick", "plain"]
    assert names(handlers(each for each in (quick, future_tools.forecast))) == [
        "quick",
        "forecast",
    ]
    assert len(handlers([])) == 0


@pytest.mark.parametrize("item", ["quark_search", PluginTool("quark_search"), {}, None], ids=repr)
def test_only_functions_are_handlers(item: object) -> None:
    """What cannot be called cannot be a local tool."""
    with pytest.raises(InvalidArgument, match=f"{type(item).__name__} is no function"):
        handlers([plain, item])


def test_two_handlers_of_one_name_are_refused() -> None:
    """A list in which two functions have one name is refused, and not settled in silence."""
    other = Toolset()
    other.register(name="plain")(quick)
    with pytest.raises(InvalidArgument, match="plain"):
        handlers([plain, other])


def test_declarations_may_be_mixed() -> None:
    """Sets, functions, plugins and the wire's own dicts are declared side by side, in order."""
    plugin, rag, wire = PluginTool("quark_search"), RagTool(prompt_ra={}), {"type": "new"}
    definition = Handler(plain).definition
    items = [plugin, Toolset(quick), plain, definition, rag, wire]
    quick_too = Handler(quick).definition
    assert declared(items) == [plugin, quick_too, definition, definition, rag, wire]
    assert declared(Toolset(plain)) == [definition]
    assert declared([]) == []


@pytest.mark.parametrize("item", ["quark_search", None, 5], ids=repr)
def test_what_is_no_tool_is_not_declared(item: object) -> None:
    """Anything else is refused, naming its type."""
    with pytest.raises(InvalidArgument, match=f"{type(item).__name__} cannot be declared"):
        declared([item])


def test_a_context_says_what_it_was_told() -> None:
    """A context holds the run, the thread, the call and the dependencies."""
    context = ToolContext(run_id="r", thread_id=None, call_id="c", deps=5)
    assert (context.run_id, context.thread_id, context.call_id, context.deps) == ("r", None, "c", 5)


async def test_a_context_of_ones_own_emits_nothing() -> None:
    """In a test of a tool, a context needs no stream: what it emits goes nowhere."""
    context = ToolContext(run_id="r", thread_id=None, call_id="c", deps=5)
    await context.emit({"done": 1})
    context.emit_from_thread({"done": 2})


async def test_what_is_emitted_is_taken_in_order() -> None:
    """Both ways to emit hand over the very object, one after the other."""
    taken: list[object] = []
    data = {"done": 1}
    context = ToolContext(run_id="r", thread_id=None, call_id="c", deps=None, progress=taken.append)
    await context.emit(data)
    context.emit_from_thread("more")
    assert taken == [data, "more"]
    assert taken[0] is data


def always(_call: object) -> bool:
    """Approve."""
    return True


def test_an_approval_is_kept_with_its_tool() -> None:
    """`approve=` of a decorator, a set or a handler is the tool's; without it there is none."""

    def guarded(city: str) -> str:
        return city

    toolset = Toolset(tool(approve=always)(guarded))
    toolset.register(name="other", approve=always)(plain)
    kept = [handler.approve for handler in toolset]
    assert kept == [always, always]
    assert Handler(plain, approve=always).approve is always
    assert Handler(plain).approve is None


@pytest.mark.parametrize("approve", [True, "yes", 5], ids=repr)
def test_an_approval_must_be_a_function(approve: Any) -> None:
    """What cannot be asked is refused when the tool is made, naming its type."""
    with pytest.raises(InvalidArgument, match=f"not {type(approve).__name__}"):
        Handler(plain, approve=approve)
