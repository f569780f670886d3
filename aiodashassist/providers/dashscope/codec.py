"""DashScope's wire -> core: objects. Every quirk of their fields is read here.

Tolerant: an unknown field goes to `extra`, every spelling of "no value" becomes None, numbers are
taken as text too. What still does not fit is a DecodeError, never another exception.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from aiodashassist.core.files import File
from aiodashassist.core.models import Assistant, Content, Model, Page, Run
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    Tool,
    ToolCall,
    UserAuth,
)
from aiodashassist.errors import DecodeError

__all__ = (
    "BROKEN",
    "each",
    "model",
    "page",
    "parse",
    "read_calls",
    "read_contents",
    "read_tools",
)

T = TypeVar("T")
M = TypeVar("M", bound=Model)

# Live assistants had the text "None" here (dashscope.md §3.1).
NUMBERS = frozenset({"temperature", "top_p", "top_k", "max_tokens"})
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse(body: bytes) -> Any:
    """JSON as plain objects.

    Raises:
        DecodeError: it is not JSON, or too deep.
    """
    try:
        return msgspec.json.decode(body)
    except BROKEN as error:
        raise DecodeError(f"not JSON: {error}") from error


def model(kind: type[M], data: object) -> M:
    """An object of a core class from its wire form.

    Raises:
        DecodeError: it is no JSON object, has no id, or a field has an impossible type.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(f"expected an object for {kind.__name__}, not {type(data).__name__}")
    names = kind.__struct_fields__
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    wire_name: str
    for wire_name, value in data.items():
        name = ALIASES.get(wire_name, wire_name)
        if name not in names or name == "extra" or name in FOREIGN.get(kind, ()):
            extra[wire_name] = value
        elif not _absent(name, value):
            known[name] = NESTED[name](value) if name in NESTED else value
    return _converted({**known, "extra": extra}, kind)


def page(kind: type[M], body: object) -> Page[M]:
    """A list envelope and its items (dashscope.md §3.7)."""
    if not isinstance(body, Mapping) or "data" not in body:
        raise DecodeError("expected a list envelope")
    items = body["data"]
    data = tuple(model(kind, item) for item in each(items or ()))
    rest = {k: v for k, v in body.items() if k != "data"}
    return msgspec.structs.replace(model(Page, rest), data=data)


def _absent(name: str, value: object) -> bool:
    """Whether a value is one of the wire's ways to say "none" (dashscope.md §7.6)."""
    if value is None or value in ("", {}, []):
        return True
    if name.endswith("_at"):
        return value in (0, -1, "0", "-1")
    return name in NUMBERS and value == "None"


def each(value: object) -> Sequence[Any]:
    """The items of a list.

    Raises:
        DecodeError: it is no list.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise DecodeError(f"expected a list, not {type(value).__name__}")


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise DecodeError(f"expected an object, not {type(value).__name__}")


def _plain(value: object) -> dict[str, Any]:
    """An object without its nulls."""
    return {key: item for key, item in _object(value).items() if item is not None}


def read_tools(value: object) -> tuple[Tool, ...]:
    """Declared tools (§3.9); one of no known shape stays a dict."""
    return tuple(_tool(_object(item)) for item in each(value))


def _tool(item: Mapping[str, Any]) -> Tool:
    given = item.get("type")
    named = given if isinstance(given, str) else ""
    kind: Any = {"function": FunctionTool, "rag": RagTool}.get(named, PluginTool)
    plain = {key: _plain(v) if isinstance(v, Mapping) else v for key, v in _plain(item).items()}
    known = kind is not PluginTool or plain.keys() <= {"type", "description", "auth"}
    try:
        tool: Tool = msgspec.convert(plain, kind) if known else _odd_tool(item)
    except BROKEN:
        return dict(item)
    return tool


def _odd_tool(item: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that has more than this library knows; its token is kept out of sight all the same."""
    if not isinstance(item.get("auth"), Mapping):
        return dict(item)
    return {**item, "auth": msgspec.convert(_plain(item["auth"]), UserAuth)}


def read_contents(value: object) -> tuple[Content, ...]:
    """The parts of a message; a single object instead of a list is taken (§7.3)."""
    parts = [value] if isinstance(value, Mapping) else each(value)
    return tuple(_content(_object(part)) for part in parts)


def _content(part: Mapping[str, Any]) -> Content:
    inner = {key: _plain(part[key]) for key in ("text", "image_file") if part.get(key)}
    return _converted({"type": part.get("type") or "text", **inner}, Content)


def read_calls(value: object) -> tuple[ToolCall, ...]:
    """The calls of a run or a step, in order (§3.6)."""
    return tuple(_call(_object(item)) for item in each(value))


def _call(item: Mapping[str, Any]) -> ToolCall:
    """A call: of a function, or of a plugin under the plugin's own name (§3.6).

    The late deltas of a plugin have no type, and one print has the literal key `plugin_name`
    (§5.4, §7.11): the only object among the fields is then the call.
    """
    kind = item.get("type")
    if kind is not None and not isinstance(kind, str):
        raise DecodeError(f"a call's type must be a text, not {type(kind).__name__}")
    inner = {key: value for key, value in item.items() if isinstance(value, Mapping)}
    name = kind if kind in inner else next(iter(inner), kind or "function")
    call = _plain(inner.get(name, {}))
    fields: dict[str, Any] = {"id": item.get("id") or "", "type": kind or name}
    if name == "function":
        fields["function"] = _converted(call, FunctionCall)
    else:
        call.setdefault("arguments", call.pop("input", None))
        fields["plugin"] = _converted(call, PluginCall)
    return _converted(fields, ToolCall)


def _action(value: object) -> dict[str, Any]:
    action = _plain(value)
    submit = _plain(action.get("submit_tool_outputs") or {})
    calls = read_calls(submit.get("tool_calls") or ())
    return {**action, "submit_tool_outputs": {"tool_calls": calls}}


def _details(value: object) -> dict[str, Any]:
    details = _plain(value)
    if "message_creation" in details:
        details["message_creation"] = _plain(details["message_creation"])
    if "tool_calls" in details:
        details["tool_calls"] = read_calls(details["tool_calls"])
    return details


def _usage(value: object) -> dict[str, Any]:
    """Either naming of the tokens (§7.10)."""
    usage = _plain(value)
    usage.setdefault("input_tokens", usage.get("prompt_tokens"))
    usage.setdefault("output_tokens", usage.get("completion_tokens"))
    return usage


def _last_error(value: object) -> dict[str, Any] | None:
    """None where all its texts are empty; a bare string is its message (§7.16)."""
    if isinstance(value, str):
        return {"message": value}
    return {key: item for key, item in _plain(value).items() if item != ""} or None


def _converted(data: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind, strict=False)
    except BROKEN as error:
        raise DecodeError(f"{kind.__name__}: {error}") from error


FOREIGN: dict[Any, frozenset[str]] = {
    File: frozenset({"classification_id", "censored", "file_type"}),
    Assistant: frozenset({"response_format", "thought_instructions", "chat_instructions"}),
    Run: frozenset({"thought_instructions", "chat_instructions", "final_answer", "log_id"}),
}
"""Fields that only the other API has."""
ALIASES = {"create_at": "created_at", "from": "from_", "his_more": "has_more"}
"""Words of the documents' tables, and one that Python has taken (§7.2)."""
NESTED: dict[str, Callable[[Any], Any]] = {
    "tools": read_tools,
    "content": read_contents,
    "tool_calls": read_calls,
    "required_action": _action,
    "step_details": _details,
    "usage": _usage,
    "last_error": _last_error,
    "truncation_strategy": _object,
}
