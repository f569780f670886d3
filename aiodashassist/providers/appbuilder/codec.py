"""AppBuilder's wire -> core: objects. Every quirk of their fields is read here.

What all wires have in common is in `core/decoding.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from aiodashassist.core.decoding import (
    NO_TIMES,
    ObjectReader,
    as_object,
    converted,
    each,
    read_action_by,
    read_contents,
    read_function,
    read_odd_tool,
    without_nulls,
)
from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Deleted,
    LastError,
    Message,
    Model,
    Run,
    RunStep,
    Thread,
)
from aiodashassist.core.tooling import FunctionCall, Tool, ToolCall

__all__ = ("model", "page", "read_calls", "read_error", "read_tools")

M = TypeVar("M", bound=Model)

LONGEST = 18  # digits of a number: int() refuses a text of thousands
SECONDS = 100_000_000_000  # a time below it is one of seconds: as milliseconds it was in 1973


def read_tools(value: object) -> tuple[Tool, ...]:
    """Declared tools; only functions are documented, others stay dicts (§3.2)."""
    return tuple(
        read_function({**item, "type": "function"}) if _is_function(item) else read_odd_tool(item)
        for item in map(as_object, each(value))
    )


def read_calls(value: object) -> tuple[ToolCall, ...]:
    """The calls of a run or a step, in order (§3.9); an output of `""` is the SDK's for none."""
    return tuple(_call(without_nulls(item)) for item in each(value))


def read_error(value: object) -> LastError | None:
    """Why something failed; a bare text is its message, an empty one is none (§3.10)."""
    if isinstance(value, str):
        return LastError(message=value) if value else None
    plain = without_nulls(value)
    given = {
        key: str(plain[key]) for key in ("code", "type", "message") if plain.get(key, "") != ""
    }
    return LastError(**given) if given else None


def _is_function(item: Mapping[str, Any]) -> bool:
    return item.get("type") in (None, "", "function")


def _call(item: Mapping[str, Any]) -> ToolCall:
    function = {k: v for k, v in without_nulls(item.get("function") or {}).items() if v != ""}
    known = {"id": item.get("id") or "", "type": item.get("type") or "function"}
    return converted({**known, "function": converted(function, FunctionCall)}, ToolCall)


def _details(value: object) -> dict[str, Any]:
    details = without_nulls(value)
    if "message_creation" in details:
        details["message_creation"] = without_nulls(details["message_creation"])
    for name in ("tool_calls", "tool_info"):
        if name in details:
            details[name] = READERS[name](details[name])
    return details


def _answer(value: object) -> dict[str, Any]:
    """The final answer: its content was one object, then a list (§3.9)."""
    answer = without_nulls(value)
    message = without_nulls(answer.get("message") or {})
    return {
        **answer,
        "message": {**message, "content": read_contents(message.get("content") or ())},
    }


def _infos(value: object) -> tuple[dict[str, Any], ...]:
    return tuple(dict(as_object(item)) for item in each(value))


def _timed(kind: type[Model], data: object) -> object:
    """A file's `create_at` is in seconds, all other times are in milliseconds (§3.0, §7 #3)."""
    if kind is not File or not isinstance(data, Mapping):
        return data
    made = data.get("create_at")
    if isinstance(made, str) and made.isascii() and made.isdigit() and len(made) <= LONGEST:
        made = int(made)
    if isinstance(made, bool) or not isinstance(made, int | float) or made in NO_TIMES:
        return data
    return {**data, "create_at": int(made * 1000) if 0 < made < SECONDS else made}


def _finished(obj: M) -> M:
    """A step whose own type is null is of the type that its details have (§3.10)."""
    if isinstance(obj, RunStep) and obj.step_details is not None and obj.type is None:
        return replace(obj, type=obj.step_details.type or None)
    return obj


READERS: dict[str, Callable[[Any], Any]] = {"tool_calls": read_calls, "tool_info": _infos}
COMMON = frozenset({"account_id", "gmt_crete", "gmt_update", "is_deleted"})
TUNED = frozenset({"temperature", "top_p", "top_k", "max_tokens"})
FOREIGN: dict[Any, frozenset[str]] = {
    Assistant: COMMON | TUNED,
    Thread: COMMON,
    AssistantFile: COMMON,
    MessageFile: frozenset(),
    File: frozenset({"url", "md5", "description"}),
    Message: frozenset({"tool_calls", "plugin_call", "from_"}),
    Run: COMMON | TUNED | {
        "expires_at", "usage", "max_prompt_tokens", "max_completion_tokens", "truncation_strategy",
        "tool_choice", "stop", "enable_search", "incomplete_details",
    },
    RunStep: frozenset({"usage", "expires_at"}),
}  # fmt: skip
"""Fields that only the other API has."""
ALIASES = {
    "create_at": "created_at",
    # Nobody has seen which of the three it is (§3.10, §7 #5).
    "step_datail": "step_details",
    "step_detail": "step_details",
}
NESTED: dict[str, Callable[[Any], Any]] = {
    "tools": read_tools,
    "content": read_contents,
    "required_action": read_action_by(read_calls),
    "step_details": _details,
    "final_answer": _answer,
    "last_error": read_error,
}


class _Reader(ObjectReader):
    def model(self, kind: type[M], data: object) -> M:
        if kind is Deleted and isinstance(data, Mapping):
            data = {**data, "deleted": bool(data.get("deleted"))}  # the SDK's default is no
        return _finished(super().model(kind, _timed(kind, data)))


_READER = _Reader(aliases=ALIASES, foreign=FOREIGN, nested=NESTED)
model, page = _READER.model, _READER.page
