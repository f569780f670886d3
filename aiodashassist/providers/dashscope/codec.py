"""DashScope's wire -> core: objects. Every quirk of their fields is read here.

What all wires have in common is in `core/decoding.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aiodashassist.core.decoding import (
    BROKEN,
    ObjectReader,
    as_object,
    converted,
    each,
    read_action_by,
    read_contents,
    read_function,
    read_odd_tool,
    without_nulls,
    without_nulls_inside,
)
from aiodashassist.core.files import File
from aiodashassist.core.models import Assistant, Run
from aiodashassist.core.tooling import (
    FunctionCall,
    PluginCall,
    PluginTool,
    RagTool,
    Tool,
    ToolCall,
)
from aiodashassist.errors import DecodeError

__all__ = ("model", "page", "read_calls", "read_tools")

# Live assistants had the text "None" here (dashscope.md §3.1).
NUMBERS = frozenset({"temperature", "top_p", "top_k", "max_tokens"})


def read_tools(value: object) -> tuple[Tool, ...]:
    """Declared tools (§3.9); one of no known shape stays a dict."""
    return tuple(_tool(as_object(item)) for item in each(value))


def _tool(item: Mapping[str, Any]) -> Tool:
    given = item.get("type")
    if given == "function":
        return read_function(item)
    kind: Any = RagTool if given == "rag" else PluginTool
    plain = without_nulls_inside(item)
    known = kind is not PluginTool or plain.keys() <= {"type", "description", "auth"}
    try:
        tool: Tool = msgspec.convert(plain, kind) if known else read_odd_tool(item)
    except (*BROKEN, DecodeError):
        return dict(item)
    return tool


def read_calls(value: object) -> tuple[ToolCall, ...]:
    """The calls of a run or a step, in order (§3.6)."""
    return tuple(_call(as_object(item)) for item in each(value))


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
    call = without_nulls(inner.get(name, {}))
    fields: dict[str, Any] = {"id": item.get("id") or "", "type": kind or name}
    if name == "function":
        fields["function"] = converted(call, FunctionCall)
    else:
        call.setdefault("arguments", call.pop("input", None))
        fields["plugin"] = converted(call, PluginCall)
    return converted(fields, ToolCall)


def _details(value: object) -> dict[str, Any]:
    details = without_nulls(value)
    if "message_creation" in details:
        details["message_creation"] = without_nulls(details["message_creation"])
    if "tool_calls" in details:
        details["tool_calls"] = read_calls(details["tool_calls"])
    return details


def _usage(value: object) -> dict[str, Any]:
    """Either naming of the tokens (§7.10)."""
    usage = without_nulls(value)
    usage.setdefault("input_tokens", usage.get("prompt_tokens"))
    usage.setdefault("output_tokens", usage.get("completion_tokens"))
    return usage


def _last_error(value: object) -> dict[str, Any] | None:
    """None where all its texts are empty; a bare string is its message (§7.16)."""
    if isinstance(value, str):
        return {"message": value}
    return {key: item for key, item in without_nulls(value).items() if item != ""} or None


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
    "required_action": read_action_by(read_calls),
    "step_details": _details,
    "usage": _usage,
    "last_error": _last_error,
    "truncation_strategy": as_object,
}


def _says_none(name: str, value: object) -> bool:
    return name in NUMBERS and value == "None"


_READER = ObjectReader(aliases=ALIASES, foreign=FOREIGN, nested=NESTED, absent=_says_none)
model, page = _READER.model, _READER.page
