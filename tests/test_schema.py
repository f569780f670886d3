"""Parameters: what the model is shown, what it is held to, and what is refused at once."""

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import math
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta, Struct, UnsetType, field

from aiodashassist.errors import InvalidArgument, ToolArgumentsError
from aiodashassist.handler import ToolContext
from aiodashassist.schema import Parameters, describe, read_parameters
from tests import future_tools

T = TypeVar("T")
NOTHING = object()
Function = Callable[..., Any]


class Colour(enum.Enum):
    """A choice of words."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """A choice of numbers."""

    LOW = 1
    HIGH = 2


class Point(Struct):
    """A struct."""

    x: int
    y: int = 0


class Line(Struct):
    """A struct of structs, one of them twice."""

    start: Point
    end: Point
    via: list[Point] = []
    colour: Colour = Colour.RED


class Closed(Struct, forbid_unknown_fields=True):
    """A struct that takes no other keys."""

    x: int


class Circle(Struct, tag=True):
    """One of two tagged structs."""

    radius: float


class Square(Struct, tag=True):
    """The other."""

    side: float


class Words(Struct):
    """A struct whose fields are named as a schema's own words."""

    title: str
    properties: dict[str, int]
    enum: list[str]
    default: int = 1
    ref: int = field(name="$id", default=0)


@dataclasses.dataclass
class Order:
    """A dataclass."""

    id: str
    count: int = 1


class Address(TypedDict):
    """A typed dict."""

    street: str
    floor: NotRequired[int]


class Node(Struct):
    """A struct that contains itself."""

    next: Optional["Node"] = None


class Left(Struct):
    """A struct that contains itself by way of another."""

    right: "Right | None" = None


class Right(Struct):
    """The other one."""

    left: Left | None = None


class Box(Struct, Generic[T]):
    """A generic struct."""

    content: T


def taking(hint: Any, default: Any = NOTHING, doc: str | None = None) -> Function:
    """A function of one parameter, `value`, with that annotation."""

    def function(value: Any) -> Any:
        return value

    function.__annotations__ = {"value": hint}
    function.__doc__ = doc
    if default is not NOTHING:
        function.__defaults__ = (default,)
    return function


def read(function: Function) -> Parameters:
    """The parameters of a function."""
    return read_parameters(function, ToolContext)


def shown(function: Function) -> dict[str, Any]:
    """What the model is shown of each parameter."""
    properties = read(function).schema["properties"]
    assert isinstance(properties, dict)
    return properties


def described(function: Function) -> dict[str, Any]:
    """The description of each parameter."""
    return {name: schema.get("description") for name, schema in shown(function).items()}


POINT = {
    "type": "object",
    "description": "A struct.",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
}

COLOUR = {"enum": ["green", "red"], "description": "A choice of words."}

TYPES: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, {"type": "null"}),
    (list[str], {"type": "array", "items": {"type": "string"}}),
    (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
    (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
    (dict[str, Any], {"type": "object"}),
    (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (
        int | list[int],
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    ),
    (Literal["c", "f"], {"enum": ["c", "f"]}),
    (Literal[1, 2], {"enum": [1, 2]}),
    (Colour, COLOUR),
    (Level, {"enum": [1, 2], "description": "A choice of numbers."}),
    (dt.date, {"type": "string", "format": "date"}),
    (dt.timedelta, {"type": "string", "format": "duration"}),
    (decimal.Decimal, {"type": "string", "format": "decimal"}),
    (uuid.UUID, {"type": "string", "format": "uuid"}),
    (Point, POINT),
    (list[Point], {"type": "array", "items": POINT}),
    (
        Box[int],
        {
            "type": "object",
            "description": "A generic struct.",
            "properties": {"content": {"type": "integer"}},
            "required": ["content"],
        },
    ),
    (
        Order,
        {
            "type": "object",
            "description": "A dataclass.",
            "properties": {"id": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            "required": ["id"],
        },
    ),
    (
        Address,
        {
            "type": "object",
            "description": "A typed dict.",
            "properties": {"street": {"type": "string"}, "floor": {"type": "integer"}},
            "required": ["street"],
        },
    ),
    (
        Line,
        {
            "type": "object",
            "description": "A struct of structs, one of them twice.",
            "properties": {
                "start": POINT,
                "end": POINT,
                "via": {"type": "array", "items": POINT, "default": []},
                "colour": COLOUR | {"default": "red"},
            },
            "required": ["start", "end"],
        },
    ),
    (Annotated[str, "City name"], {"type": "string", "description": "City name"}),
    (Annotated[int, Meta(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
    (
        Annotated[str, "A word", Meta(min_length=2)],
        {"type": "string", "description": "A word", "minLength": 2},
    ),
    (Annotated[Point, "Where"], POINT | {"description": "Where"}),
    (Annotated[Colour, Meta(description="Hue")], {"enum": ["green", "red"], "description": "Hue"}),
    (Annotated[int, NOTHING], {"type": "integer"}),
    (Annotated[Any, "Whatever it is"], {"description": "Whatever it is"}),
    (
        Words,
        {
            "type": "object",
            "description": "A struct whose fields are named as a schema's own words.",
            "properties": {
                "title": {"type": "string"},
                "properties": {"type": "object", "additionalProperties": {"type": "integer"}},
                "enum": {"type": "array", "items": {"type": "string"}},
                "default": {"type": "integer", "default": 1},
                "$id": {"type": "integer", "default": 0},
            },
            "required": ["title", "properties", "enum"],
        },
    ),
]


@pytest.mark.parametrize(("hint", "expected"), TYPES, ids=lambda value: str(value)[:40])
def test_schema_of_a_type(hint: Any, expected: dict[str, Any]) -> None:
    """A type is shown as JSON Schema says it, with what it points at written out."""
    assert shown(taking(hint))["value"] == expected


def test_a_signature_is_a_closed_object() -> None:
    """The schema is an object: no default means required, and no other keys are allowed."""

    def search(customer: str, limit: int = 10, *, deep: bool = False) -> None: ...

    assert read(search).schema == {
        "type": "object",
        "properties": {
            "customer": {"type": "string"},
            "limit": {"type": "integer", "default": 10},
            "deep": {"type": "boolean", "default": False},
        },
        "required": ["customer"],
        "additionalProperties": False,
    }


def test_no_parameters_are_an_empty_object() -> None:
    """A function without parameters has an object without properties."""

    def now() -> None: ...

    parameters = read(now)
    assert parameters.schema["properties"] == {}
    assert parameters.schema["required"] == []
    assert parameters.decode("") == {}


@pytest.mark.parametrize(
    "hint",
    [hint for hint, _ in TYPES] + [Circle | Square, list[Circle | Square]],
    ids=lambda value: str(value)[:40],
)
def test_no_references_at_any_depth(hint: Any) -> None:
    """Neither `$ref` nor `$defs` nor a path into them is left anywhere in a schema."""
    text = json.dumps(read(taking(hint)).schema, allow_nan=False)
    assert "$ref" not in text
    assert "$defs" not in text


def test_titles_of_types_are_dropped() -> None:
    """The names of structs and enums are Python's, and are not shown."""
    assert "title" not in shown(taking(Line))["value"]
    assert "title" not in shown(taking(Colour))["value"]


def test_parameters_may_have_the_names_of_schema_words() -> None:
    """Names such as `title`, `properties` and `default` are names like any other."""

    def odd(
        *,
        title: str,
        properties: int,
        default: int,
        enum: str,
        items: Point,
        self: int,
        func: int = 0,
    ) -> None: ...

    names = ["title", "properties", "default", "enum", "items", "self", "func"]
    assert list(shown(odd)) == names
    given = {"title": "t", "properties": 1, "default": 2, "enum": "e", "items": {"x": 1}, "self": 3}
    assert read(odd).decode(json.dumps(given)) == given | {"items": Point(1)}


def test_parameters_may_have_chinese_names() -> None:
    """A name in any script that Python allows is the model's too, and its choices are named."""

    def weather(城市: Literal["杭州", "北京"]) -> None: ...  # noqa: N803, PLC2401

    assert shown(weather) == {"城市": {"enum": ["北京", "杭州"]}}
    with pytest.raises(ToolArgumentsError, match="allowed: '北京', '杭州'"):
        read(weather).decode('{"城市": "x"}')


def test_the_context_is_not_the_models() -> None:
    """A parameter annotated with the context is in no schema, and cannot be given by the model."""

    def look(ctx: ToolContext[int], city: str) -> None: ...

    def plain(city: str, context: ToolContext) -> None: ...  # type: ignore[type-arg]

    for function, name in ((look, "ctx"), (plain, "context")):
        parameters = read(function)
        assert parameters.context == name
        assert list(parameters.schema["properties"]) == ["city"]
        with pytest.raises(ToolArgumentsError, match=f"unknown field `{name}`"):
            parameters.decode(json.dumps({"city": "x", name: {}}))


def test_the_context_is_known_behind_a_note() -> None:
    """A note beside the context does not make it the model's."""

    def look(ctx: Annotated[ToolContext[int], "what is known"], city: str) -> None: ...

    assert list(shown(look)) == ["city"]


def test_a_second_context_is_refused() -> None:
    """Only one context can be filled, so a function that asks for two is refused."""

    def look(one: ToolContext[int], two: ToolContext[int]) -> None: ...

    with pytest.raises(InvalidArgument, match="look"):
        read(look)


GOOGLE = """Find orders.

    They may be old: some are.

    Args:
        customer: the customer's id
        limit (int): how many, 10 at most:
            or fewer
    """
NUMPY = """Find orders.

    They may be old: some are.

    Parameters
    ----------
    customer : str
        the customer's id
    limit : int, optional
        how many, 10 at most:
        or fewer
    """
REST = """Find orders.

    They may be old: some are.

    :param customer: the customer's id
    :param int limit: how many, 10 at most:
        or fewer
    :returns: the orders
    """
GOOGLE_ZH = """查询订单。

    只查最近一年:更早的不在。

    Args:
        customer: 客户编号,如“C-1”
        limit (int): 最多几条
    """
NUMPY_ZH = """查询订单。

    只查最近一年:更早的不在。

    Parameters
    ----------
    customer : str
        客户编号,如“C-1”
    limit : int
        最多几条
    """
REST_ZH = """查询订单。

    只查最近一年:更早的不在。

    :param customer: 客户编号,如“C-1”
    :param limit: 最多几条
    """


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_docstrings_describe_in_english(doc: str) -> None:
    """Each style of docstring describes the function and its parameters."""

    def search(customer: str, limit: int) -> None: ...

    search.__doc__ = doc
    assert describe(search) == "Find orders.\n\nThey may be old: some are."
    assert described(search) == {
        "customer": "the customer's id",
        "limit": "how many, 10 at most:\nor fewer",
    }


@pytest.mark.parametrize("doc", [GOOGLE_ZH, NUMPY_ZH, REST_ZH], ids=["google", "numpy", "rest"])
def test_docstrings_describe_in_chinese(doc: str) -> None:
    """Each style of docstring may be written in Chinese."""

    def search(customer: str, limit: int) -> None: ...

    search.__doc__ = doc
    assert describe(search) == "查询订单。\n\n只查最近一年:更早的不在。"
    assert described(search) == {"customer": "客户编号,如“C-1”", "limit": "最多几条"}


def test_a_note_is_stronger_than_the_docstring() -> None:
    """`Annotated` describes a parameter where the docstring does so too."""

    def search(a: Annotated[str, "note"], b: Annotated[int, Meta(ge=1)], c: int) -> None:
        """Find.

        Args:
            a: doc
            b: doc
            c: doc of c
        """

    assert described(search) == {"a": "note", "b": "doc", "c": "doc of c"}


def test_a_note_inside_an_optional_describes() -> None:
    """A note is not lost when the noted type is one of a union."""
    hint = Optional[Annotated[str, "City name"]]  # noqa: UP045
    assert "City name" in json.dumps(shown(taking(hint, None)))


def test_a_meta_on_a_field_describes() -> None:
    """A struct's field is described by its `Meta`, at any depth."""

    class Place(Struct):
        city: Annotated[str, Meta(description="City name")]

    properties = shown(taking(list[Place]))["value"]["items"]["properties"]
    assert properties["city"] == {"type": "string", "description": "City name"}


def test_no_docstring_describes_nothing() -> None:
    """Without a docstring the description is empty, and no parameter has one."""
    assert describe(taking(int)) == ""
    assert described(taking(int)) == {"value": None}


WORDS = ["Args:", "Parameters", "----", ":param value", ":param:", "value", ":", "：", "(", "\n"]


@example([": :param value"])
@given(st.lists(st.sampled_from([*WORDS, "\n    ", "Returns:", "Raises:", "- ", "`", ".. x::"])))
def test_no_docstring_is_an_obstacle(words: list[str]) -> None:
    """A function can be read whatever its docstring looks like."""
    function = taking(int, doc=" ".join(words))
    assert isinstance(describe(function), str)
    assert list(shown(function)) == ["value"]


@pytest.mark.parametrize(
    ("hint", "default", "expected"),
    [
        (str, "c", "c"),
        (int | None, None, None),
        (Colour, Colour.GREEN, "green"),
        (list[int], [1, 2], [1, 2]),
        (dt.date, dt.date(2024, 5, 1), "2024-05-01"),
        (Point, Point(1, 2), {"x": 1, "y": 2}),
        (Order, Order("a"), {"id": "a", "count": 1}),
    ],
    ids=str,
)
def test_defaults_are_shown(hint: Any, default: Any, expected: object) -> None:
    """A default is shown as JSON says it, and the parameter is not required."""
    parameters = read(taking(hint, default))
    assert parameters.schema["properties"]["value"]["default"] == expected
    assert parameters.schema["required"] == []


def test_a_default_that_json_cannot_say_is_not_shown() -> None:
    """A default of any kind may stand; the model is only shown what JSON can say."""
    parameters = read(taking(int | None, NOTHING_SENT))
    assert "default" not in parameters.schema["properties"]["value"]
    assert parameters.decode("{}") == {}


NOTHING_SENT = complex(1, 2)


@pytest.mark.parametrize("default", [math.inf, -math.inf, math.nan])
def test_a_default_is_strict_json(default: float) -> None:
    """Infinity and NaN are no JSON: the schema does not hold them."""
    json.dumps(read(taking(float, default)).schema, allow_nan=False)


def test_what_is_left_out_keeps_the_functions_own_default() -> None:
    """What the model leaves out is not passed, so Python's own default applies."""
    marker = [1]

    def search(limit: int = 10, seen: list[int] = marker) -> tuple[int, list[int]]:
        return limit, seen

    arguments = read(search).decode('{"limit": 3}')
    assert arguments == {"limit": 3}
    assert search(**arguments)[1] is marker


def test_null_is_a_value() -> None:
    """A given null is passed where the type allows it, and refused where it does not."""
    assert read(taking(int | None, 5)).decode('{"value": null}') == {"value": None}
    with pytest.raises(ToolArgumentsError, match="got `null`"):
        read(taking(int, 5)).decode('{"value": null}')


REFUSED = [
    object,
    Path,
    Callable[[int], int],
    complex,
    type,
    list[Path],
    dict[str, complex],
    Point | Order,
    list[Point | Address],
    str | bytes,
    Node,
    list[Node],
    Left,
    T,
    list[T],  # type: ignore[valid-type]
    dict[str, list[T]],  # type: ignore[valid-type]
    Box[T],  # type: ignore[valid-type]
    Box,
    Any,  # unless something says what it is
    5,
    any,
]


@pytest.mark.parametrize("hint", REFUSED, ids=str)
@pytest.mark.parametrize("default", [NOTHING, None], ids=["required", "optional"])
def test_what_json_cannot_say_is_refused(hint: Any, default: object) -> None:
    """A type that JSON Schema cannot say is refused, and never turned into a string in silence."""
    with pytest.raises(InvalidArgument, match=r"^function: "):
        read(taking(hint, default))


@pytest.mark.parametrize("hint", REFUSED, ids=str)
def test_a_refusal_names_the_parameter(hint: Any) -> None:
    """Of a function with many parameters, a refusal names the one to change."""
    with pytest.raises(InvalidArgument, match="value"):
        read(taking(hint))


@pytest.mark.parametrize("hint", REFUSED[:-3], ids=str)
def test_a_description_does_not_make_it_sayable(hint: Any) -> None:
    """What is refused stays so when a note or a docstring describes it."""
    doc = "Do.\n\nArgs:\n    value: what is meant"
    for function in (taking(Annotated[hint, "what is meant"]), taking(hint, doc=doc)):
        with pytest.raises(InvalidArgument):
            read(function)


def anything(*args: int) -> None:
    """Takes what comes."""


def keywords(**kwargs: int) -> None:
    """Takes any name."""


def positional(a: int, /) -> None:
    """Takes no name."""


def untyped(a, b: int) -> None:  # type: ignore[no-untyped-def]
    """Takes whatever."""


def unresolvable(a: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Takes what is not there."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (anything, ["args"]),
        (keywords, ["kwargs"]),
        (positional, ["a", "positional-only"]),
        (untyped, ["a", "needs a type"]),
        (unresolvable, ["Missing"]),
    ],
)
def test_what_cannot_be_called_by_name_is_refused(function: Function, words: list[str]) -> None:
    """Each parameter must be passed by name and have a type that can be found."""
    with pytest.raises(InvalidArgument) as caught:
        read(function)
    assert all(word in caught.value.message for word in [function.__name__, *words])


@pytest.mark.parametrize("function", [len, print, max, iter, math.hypot, dict], ids=str)
def test_builtins_are_refused_by_name(function: Function) -> None:
    """A function of C, with a signature or without, is refused like any other."""
    with pytest.raises(InvalidArgument, match=function.__name__):
        read(function)


class Shop:
    """A shop."""

    def find(self, ctx: ToolContext[int], name: str) -> None:
        """Find it."""

    @classmethod
    def open(cls, name: str) -> None:
        """Open it."""

    @staticmethod
    def close(name: str) -> None:
        """Close it."""

    def __call__(self, name: str) -> str:
        """Call it."""
        return name


@pytest.mark.parametrize("function", [Shop().find, Shop.open, Shop.close, Shop()], ids=str)
def test_methods_and_callable_objects(function: Function) -> None:
    """A bound method and an object with `__call__` are functions without `self`."""
    assert shown(function) == {"name": {"type": "string"}}


def test_an_unbound_method_is_refused() -> None:
    """A method without its object is refused, naming `self`."""
    with pytest.raises(InvalidArgument, match=r"find: parameter self"):
        read(Shop.find)


def search(customer: str, limit: int = 10, *, deep: bool = False) -> tuple[str, int, bool]:
    """Find orders.

    Args:
        customer: whose
        limit: how many
        deep: whether to look everywhere
    """
    return customer, limit, deep


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (functools.partial(search, "me"), ["limit", "deep"]),
        (functools.partial(search, limit=3), ["customer", "deep"]),
        (functools.partial(functools.partial(search, "me"), deep=True), ["limit"]),
        (functools.partial(Shop(), name="x"), []),
    ],
    ids=str,
)
def test_bound_arguments_are_not_the_models(function: Function, names: list[str]) -> None:
    """What a partial function was given is neither shown nor to be chosen."""
    parameters = read(function)
    assert list(parameters.schema["properties"]) == names
    for name in {"customer", "limit", "deep", "name"} - set(names):
        with pytest.raises(ToolArgumentsError, match=f"unknown field `{name}`"):
            parameters.decode(json.dumps({name: 0}))


def test_a_partial_function_is_described_by_its_function() -> None:
    """The docstring of a partial function is that of the function, not of `functools.partial`."""
    bound = functools.partial(search, limit=3)
    assert describe(bound) == "Find orders."
    assert described(bound)["customer"] == "whose"


def test_a_wrapped_function_is_read_through() -> None:
    """A decorator that uses `functools.wraps` hides nothing."""

    @functools.wraps(search)
    def wrapper(*args: Any, **kwargs: Any) -> object:
        return search(*args, **kwargs)

    assert read(wrapper).schema == read(search).schema
    assert describe(wrapper) == "Find orders."


def test_annotations_may_be_strings() -> None:
    """With `from __future__ import annotations` everything is found all the same."""
    parameters = read(future_tools.forecast)
    assert parameters.context == "ctx"
    assert parameters.schema["properties"]["unit"] == {
        "enum": ["c", "f"],
        "description": "Scale",
        "default": "c",
    }
    assert parameters.decode('{"place": {"city": "x"}}') == {"place": future_tools.Place("x")}


@pytest.mark.parametrize(
    ("hint", "given", "expected"),
    [
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (dt.date, "2024-05-01", dt.date(2024, 5, 1)),
        (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
        (Line, {"start": {"x": 1}, "end": {"x": 2}}, Line(Point(1), Point(2))),
        (Order, {"id": "a"}, Order("a")),
        (Address, {"street": "s"}, {"street": "s"}),
        (set[int], [1, 1], {1}),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (float, 1, 1.0),
        (Circle | Square, {"type": "Square", "side": 2}, Square(2.0)),
        (Any | UnsetType, 3, 3),
    ],
    ids=str,
)
def test_arguments_become_the_annotated_types(hint: Any, given: object, expected: object) -> None:
    """What the model writes arrives as what the function asks for."""
    function = taking(Annotated[hint, "described"])
    assert read(function).decode(json.dumps({"value": given})) == {"value": expected}


@pytest.mark.parametrize(
    ("hint", "given", "reason"),
    [
        (int, "1", "Expected `int`, got `str` - at `$.value`"),
        (int, 1.5, "Expected `int`"),
        (str, None, "Expected `str`, got `null`"),
        (Point, {"x": "1"}, "Expected `int`, got `str` - at `$.value.x`"),
        (Point, {}, "missing required field `x` - at `$.value`"),
        (Annotated[int, Meta(ge=1)], 0, "Expected `int` >= 1"),
        (dt.date, "soon", "Invalid RFC3339 encoded date"),
        (Closed, {"x": 1, "z": 2}, "unknown field `z` - at `$.value`"),
        (int, 10**5000, "out of range"),
    ],
    ids=["str", "float", "null", "nested", "missing", "bound", "date", "unknown", "huge"],
)
def test_wrong_values_are_refused_with_the_reason(hint: Any, given: object, reason: str) -> None:
    """What does not fit is refused, and the model is told where and why."""
    text = json.dumps({"value": given}) if given != 10**5000 else '{"value": 1' + "0" * 5000 + "}"
    with pytest.raises(ToolArgumentsError) as caught:
        read(taking(hint)).decode(text)
    assert caught.value.message.startswith("invalid arguments: ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        (Literal["c", "f"], "k"),
        (Literal["c", "f"] | None, "k"),
        (Annotated[Literal["c", "f"], "described"], "k"),
        (list[Literal["c", "f"]], ["c", "k"]),
        (list[Literal["c", "f"] | None], ["k"]),
        (dict[str, Literal["c", "f"]], {"key": "k"}),
    ],
    ids=str,
)
def test_the_allowed_choices_are_named(hint: Any, given: object) -> None:
    """A choice that is none of the allowed ones is refused with all that are."""
    with pytest.raises(ToolArgumentsError, match=r"'k'.*; allowed: 'c', 'f'$"):
        read(taking(hint)).decode(json.dumps({"value": given}))


def test_the_allowed_choices_of_a_field_are_named() -> None:
    """The choices of a struct's field are named as well, or nothing is said of choices."""
    given = {"start": {"x": 1}, "end": {"x": 1}, "colour": "blue"}
    with pytest.raises(ToolArgumentsError) as caught:
        read(taking(Line)).decode(json.dumps({"value": given}))
    assert caught.value.message.endswith("allowed: 'green', 'red'")


def test_the_choices_of_an_enum_are_its_values() -> None:
    """Of an enum the values are named, since those are what the model can write."""
    with pytest.raises(ToolArgumentsError, match=r"allowed: 1, 2$"):
        read(taking(Level)).decode('{"value": 3}')


def test_unknown_keys_are_refused_at_the_top_level_only() -> None:
    """Below the top level a type says itself whether it takes other keys."""
    parameters = read(taking(Point))
    assert parameters.decode('{"value": {"x": 1, "z": 2}}') == {"value": Point(1)}
    with pytest.raises(ToolArgumentsError, match="unknown field `z`"):
        parameters.decode('{"value": {"x": 1}, "z": 2}')


@pytest.mark.parametrize("text", ["", " ", "\n\t", "{}"])
def test_empty_arguments_are_no_arguments(text: str) -> None:
    """An empty text stands for an empty object; what is required is still missed."""
    assert read(taking(int, 1)).decode(text) == {}
    with pytest.raises(ToolArgumentsError, match="missing required field `value`"):
        read(taking(int)).decode(text)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"value": 1',
        "null",
        "[]",
        "1",
        "'x'",
        '{"value": 1} x',
        "{'value': 1}",
        "{value: 1}",
        "\ufeff{}",
        '{"value": NaN}',
        "\x00",
        "__import__('os')",
    ],
)
def test_broken_json_is_refused(text: str) -> None:
    """What is no JSON object is refused, and never evaluated."""
    with pytest.raises(ToolArgumentsError, match=r"^invalid arguments: "):
        read(taking(int, 1)).decode(text)


@pytest.mark.parametrize("hint", [Annotated[Any, "any"], list[Any], int, Point], ids=str)
@pytest.mark.parametrize("opening", ["[", '{"x":'])
def test_deep_nesting_is_refused(hint: Any, opening: str) -> None:
    """JSON nested 100,000 deep is refused without harm."""
    with pytest.raises(ToolArgumentsError):
        read(taking(hint)).decode('{"value": ' + opening * 100_000)


@pytest.mark.parametrize(
    "text", ['{"value": "\ud800"}', '{"value": "\\ud800"}', '{"\udfff": 1}', "\ud800"], ids=ascii
)
def test_lone_surrogates_are_refused(text: str) -> None:
    """Half a character is no text: it is refused like any other broken JSON."""
    with pytest.raises(ToolArgumentsError, match=r"^invalid arguments: "):
        read(taking(str)).decode(text)


def test_the_last_of_two_equal_keys_counts() -> None:
    """A key that is there twice is taken as most readers of JSON take it: the last one counts."""
    assert read(taking(int)).decode('{"value": 1, "value": 2}') == {"value": 2}


SEVERAL = [
    read(function)
    for function in (
        taking(int),
        taking(Annotated[Any, "any"]),
        taking(Line | None, None),
        taking(dict[str, list[Literal["a"]]], None),
        search,
    )
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["value", "start", "x", "customer"]) | st.text(), inner)
    ),
)


@given(JSON.map(json.dumps) | st.text() | JSON.map(lambda value: json.dumps({"value": value})))
@example('{"value": "\\ud800"}')
@example("\ud800")
def test_any_text_ends_in_arguments_or_a_refusal(text: str) -> None:
    """Whatever the model writes, the end is a dict of arguments or a `ToolArgumentsError`."""
    for parameters in SEVERAL:
        try:
            arguments = parameters.decode(text)
        except ToolArgumentsError as error:
            assert error.message.startswith("invalid arguments: ")  # noqa: PT017
        else:
            assert arguments.keys() <= parameters.schema["properties"].keys()
