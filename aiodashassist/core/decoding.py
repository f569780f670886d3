"""Plain JSON into our objects: what the reading of every wire stands on.

Tolerant: an unknown field goes to `extra`, every spelling of "no value" becomes None, numbers are
taken as text too. What still does not fit is a DecodeError, never another exception. How a wire
spells things it says in the tables of its `ObjectReader`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aiodashassist.core.models import Content, Model, Page
from aiodashassist.core.plain import cause
from aiodashassist.core.tooling import FunctionTool, Tool, UserAuth
from aiodashassist.errors import DecodeError

__all__ = (
    "BROKEN",
    "MARK",
    "NO_TIMES",
    "ObjectReader",
    "as_object",
    "converted",
    "each",
    "parse",
    "read_action_by",
    "read_contents",
    "read_function",
    "read_odd_tool",
    "without_nulls",
    "without_nulls_inside",
)

T = TypeVar("T")
M = TypeVar("M", bound=Model)

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MARK = "aiodashassist.op"
"""The key in metadata under which a request says which one it is (`core/marks.py`)."""
NO_TIMES = (0, -1, "0", "-1")
"""What stands for a time that is none (dashscope.md §7.6, appbuilder.md §3.0)."""


def parse(body: bytes) -> Any:
    """JSON as plain objects.

    Raises:
        DecodeError: it is not JSON, or too deep.
    """
    try:
        return msgspec.json.decode(body)
    except BROKEN as error:
        raise DecodeError(f"not JSON: {error}") from cause(error)


def each(value: object) -> Sequence[Any]:
    """The items of a list.

    Raises:
        DecodeError: it is no list.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise DecodeError(f"expected a list, not {type(value).__name__}")


def as_object(value: object, what: str = "") -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        DecodeError: it is none.
    """
    if isinstance(value, Mapping):
        return value
    named = f" for {what}" if what else ""
    raise DecodeError(f"expected an object{named}, not {type(value).__name__}")


def without_nulls(value: object) -> dict[str, Any]:
    """An object without its nulls."""
    return {key: item for key, item in as_object(value).items() if item is not None}


def without_nulls_inside(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without its nulls, and without those of the objects in it."""
    return {
        key: without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in without_nulls(item).items()
    }


def converted(data: Any, kind: type[T]) -> T:
    """Plain data as a struct.

    Raises:
        DecodeError: a field has an impossible type.
    """
    try:
        return msgspec.convert(data, kind, strict=False)
    except BROKEN as error:
        raise DecodeError(f"{kind.__name__}: {error}") from cause(error)


def read_contents(value: object) -> tuple[Content, ...]:
    """The parts of a message; one object instead of a list is taken (dashscope.md §7.3)."""
    parts = [value] if isinstance(value, Mapping) else each(value)
    return tuple(_content(as_object(part)) for part in parts)


def _without_mark(metadata: object) -> object:
    """Metadata as the user gave them."""
    if not isinstance(metadata, Mapping) or MARK not in metadata:
        return metadata
    return {key: value for key, value in metadata.items() if key != MARK}


def _content(part: Mapping[str, Any]) -> Content:
    inner = {key: without_nulls(part[key]) for key in ("text", "image_file") if part.get(key)}
    return converted({"type": part.get("type") or "text", **inner}, Content)


def read_function(item: Mapping[str, Any]) -> Tool:
    """A declared function; one of no known shape stays a dict."""
    try:
        return msgspec.convert(without_nulls_inside(item), FunctionTool)
    except BROKEN:
        return dict(item)


def read_action_by(read_calls: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """How what a run waits for is read, on a wire that has its calls read so."""

    def read_action(value: Any) -> dict[str, Any]:
        action = without_nulls(value)
        submit = without_nulls(action.get("submit_tool_outputs") or {})
        calls = read_calls(submit.get("tool_calls") or ())
        return {**action, "submit_tool_outputs": {"tool_calls": calls}}

    return read_action


def read_odd_tool(item: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that is more than this library knows; its token is kept out of sight all the same."""
    if not isinstance(item.get("auth"), Mapping):
        return dict(item)
    return {**item, "auth": converted(without_nulls(item["auth"]), UserAuth)}


class ObjectReader:
    """Reads the objects of one wire.

    Args:
        aliases: the wire's names of fields -> ours.
        foreign: fields of a class that only another API has: they go to `extra`.
        nested: how the value of a field is read.
        absent: whether a value of a field says "none", beside null, `""`, `{}`, `[]` and, for
            times, 0 and -1.
    """

    def __init__(
        self,
        *,
        aliases: Mapping[str, str],
        foreign: Mapping[Any, frozenset[str]],
        nested: Mapping[str, Callable[[Any], Any]],
        absent: Callable[[str, object], bool] = lambda _name, _value: False,
    ) -> None:
        self._aliases = aliases
        self._foreign = foreign
        self._nested = {"metadata": _without_mark, **nested}
        self._says_none = absent

    def model(self, kind: type[M], data: object) -> M:
        """An object of a core class from its wire form.

        Raises:
            DecodeError: it is no JSON object, has no id, or a field has an impossible type.
        """
        names, foreign = kind.__struct_fields__, self._foreign.get(kind, ())
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for wire_name, value in as_object(data, kind.__name__).items():
            name = self._aliases.get(wire_name, wire_name)
            if name not in names or name == "extra" or name in foreign:
                extra[wire_name] = value
            elif not self._absent(name, value):
                known[name] = self._nested[name](value) if name in self._nested else value
        return converted({**known, "extra": extra}, kind)

    def page(self, kind: type[M], body: object) -> Page[M]:
        """A list envelope and its items (dashscope.md §3.7, appbuilder.md §3.7)."""
        if not isinstance(body, Mapping) or "data" not in body:
            raise DecodeError("expected a list envelope")
        data = tuple(self.model(kind, item) for item in each(body["data"] or ()))
        rest = {key: value for key, value in body.items() if key != "data"}
        return replace(self.model(Page, rest), data=data)

    def _absent(self, name: str, value: object) -> bool:
        if value is None or value in ("", {}, []):
            return True
        if name.endswith("_at"):
            return value in NO_TIMES
        return self._says_none(name, value)
