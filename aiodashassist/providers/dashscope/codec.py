"""DashScope's wire -> core: answers and frames. Every quirk of the wire is read here.

Tolerant: an unknown field goes to `extra`, every spelling of "no value" becomes None, numbers are
taken as text too. What still does not fit is a DecodeError, never another exception.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
    UnknownEvent,
)
from aiodashassist.core.models import Assistant, Content, Message, Page, Run, RunStep, Thread
from aiodashassist.core.sse import Frame
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    Tool,
    ToolCall,
)
from aiodashassist.errors import DecodeError
from aiodashassist.providers.dashscope.wire import WireMessageDelta

__all__ = ("model", "page", "parse", "read_frame", "read_tools")

T = TypeVar("T")

RUN_STATUSES = (
    "queued", "in_progress", "requires_action", "cancelling", "cancelled", "failed", "completed",
    "expired", "incomplete",
)  # fmt: skip
STEP_STATUSES = ("in_progress", "completed", "failed", "cancelled", "expired")
MESSAGE_STATUSES = ("in_progress", "completed", "incomplete")
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


def model(kind: type[T], data: object, **fixed: Any) -> T:
    """An object of a core class from its wire form.

    Raises:
        DecodeError: it is no JSON object, has no id, or a field has an impossible type.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(f"expected an object for {kind.__name__}, not {type(data).__name__}")
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    wire_name: str
    for wire_name, value in data.items():
        name = ALIASES.get(wire_name, wire_name)
        if name not in names or name == "extra" or name in FOREIGN.get(kind, ()):
            extra[wire_name] = value
        elif not _absent(name, value):
            known[name] = NESTED[name](value) if name in NESTED else value
    if "extra" in names:
        known["extra"] = extra
    try:
        return msgspec.convert({**known, **fixed}, kind, strict=False)
    except BROKEN as error:
        raise DecodeError(f"{kind.__name__}: {error}") from error


def page(kind: type[T], body: object) -> Page[T]:
    """A list envelope and its items (dashscope.md §3.7)."""
    if not isinstance(body, Mapping) or "data" not in body:
        raise DecodeError("expected a list envelope")
    items = body["data"]
    data = tuple(model(kind, item) for item in _each(items or ()))
    rest = {k: v for k, v in body.items() if k != "data"}
    return msgspec.structs.replace(model(Page, rest), data=data)


def read_frame(frame: Frame) -> Sequence[Event]:
    """What a frame says; nothing for the closing `done`, whose data is not JSON (§5.2)."""
    name = frame.event
    if name == "thread.message.delta":
        return (_message_delta(name, frame),)
    if name == "done" or frame.data == b"[DONE]":
        return ()
    if name == "error":
        return (_error(frame),)
    read = EVENTS.get(name)
    if read is None:
        try:
            return (UnknownEvent(name=name, data=parse(frame.data)),)
        except DecodeError:
            return (UnknownEvent(name=name, data=frame.text),)
    return (read(name, _body(name, frame)),)


def _body(name: str, frame: Frame) -> Mapping[str, Any]:
    body = parse(frame.data)
    if not isinstance(body, Mapping):
        raise DecodeError(f"event {name}: expected an object, not {type(body).__name__}")
    return body


def _message_delta(name: str, frame: Frame) -> MessageDelta:
    try:
        wire = DELTA.decode(frame.data)
        message_id, content = wire.id, wire.delta.content
        parts = (content,) if isinstance(content, Content) else tuple(content or ())
    except BROKEN:  # the slow reading takes what the fast one does not, nulls mostly
        message_id, parts = _odd_message_delta(name, _body(name, frame))
    text = "".join([part.text.value for part in parts if part.text is not None])
    return MessageDelta(message_id=message_id, text=text, content=parts, name=name)


def _odd_message_delta(name: str, body: Mapping[str, Any]) -> tuple[str, tuple[Content, ...]]:
    delta, message_id = body.get("delta"), body.get("id")
    if not isinstance(message_id, str):
        raise DecodeError(f"event {name}: no message id")
    content = delta.get("content") if isinstance(delta, Mapping) else None
    return message_id, _contents(content or ())


def _step_delta(name: str, body: Mapping[str, Any]) -> StepDelta:
    delta = body.get("delta")
    details = delta.get("step_details") if isinstance(delta, Mapping) else None
    calls = details.get("tool_calls") if isinstance(details, Mapping) else None
    step_id = body.get("id")
    if not isinstance(step_id, str):
        raise DecodeError(f"event {name}: no step id")
    return StepDelta(step_id=step_id, tool_calls=_calls(calls or ()), name=name)


def _error(frame: Frame) -> ErrorEvent:
    try:
        body = parse(frame.data)
    except DecodeError:
        body = None
    if not isinstance(body, Mapping):
        return ErrorEvent(message=frame.text, name=frame.event)
    inner = body.get("error")
    if isinstance(inner, Mapping):
        body = {**body, **inner}
    request_id = body.get("request_id") or body.get("requestId")
    return ErrorEvent(
        code=str(body.get("code") or ""),
        message=str(body.get("message") or ""),
        request_id=str(request_id) if request_id else None,
        name=frame.event,
    )


def _absent(name: str, value: object) -> bool:
    """Whether a value is one of the wire's ways to say "none" (dashscope.md §7.6)."""
    if value is None or value in ("", {}, []):
        return True
    if name.endswith("_at"):
        return value in (0, -1, "0", "-1")
    return name in NUMBERS and value == "None"


def _each(value: object) -> Sequence[Any]:
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
    return tuple(_tool(_object(item)) for item in _each(value))


def _tool(item: Mapping[str, Any]) -> Tool:
    kind: Any = {"function": FunctionTool, "rag": RagTool}.get(str(item.get("type")), PluginTool)
    plain = {key: _plain(v) if isinstance(v, Mapping) else v for key, v in _plain(item).items()}
    if kind is PluginTool and not plain.keys() <= {"type", "description", "auth"}:
        return dict(item)
    try:
        tool: Tool = msgspec.convert(plain, kind)
    except BROKEN:
        return dict(item)
    return tool


def _contents(value: object) -> tuple[Content, ...]:
    """The parts of a message; a single object instead of a list is taken (§7.3)."""
    parts = [value] if isinstance(value, Mapping) else _each(value)
    return tuple(_content(_object(part)) for part in parts)


def _content(part: Mapping[str, Any]) -> Content:
    inner = {key: _plain(part[key]) for key in ("text", "image_file") if part.get(key)}
    return _converted({"type": part.get("type") or "text", **inner}, Content)


def _calls(value: object) -> tuple[ToolCall, ...]:
    return tuple(_call(_object(item)) for item in _each(value))


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
    calls = _calls(submit.get("tool_calls") or ())
    return {**action, "submit_tool_outputs": {"tool_calls": calls}}


def _details(value: object) -> dict[str, Any]:
    details = _plain(value)
    if "message_creation" in details:
        details["message_creation"] = _plain(details["message_creation"])
    if "tool_calls" in details:
        details["tool_calls"] = _calls(details["tool_calls"])
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


def _thread_event(name: str, body: Mapping[str, Any]) -> ThreadEvent:
    return ThreadEvent(thread=model(Thread, body), name=name)


def _run_event(name: str, body: Mapping[str, Any]) -> RunEvent:
    status = name.rpartition(".")[2]
    if status == "created":
        run = model(Run, body)
        return RunEvent(status=run.status or "queued", run=run, name=name)
    return RunEvent(status=status, run=model(Run, body), name=name)


def _step_event(name: str, body: Mapping[str, Any]) -> StepEvent:
    status, step = name.rpartition(".")[2], model(RunStep, body)
    if status == "created":
        status = step.status or "in_progress"
    return StepEvent(status=status, step=step, name=name)


def _message_event(name: str, body: Mapping[str, Any]) -> MessageEvent:
    status, message = name.rpartition(".")[2], model(Message, body)
    if status == "created":
        status = message.status or "in_progress"
    return MessageEvent(status=status, message=message, name=name)


FOREIGN: dict[Any, frozenset[str]] = {
    Assistant: frozenset({"response_format", "thought_instructions", "chat_instructions"}),
    Run: frozenset({"thought_instructions", "chat_instructions", "final_answer", "log_id"}),
}
"""Fields that only the other API has."""
ALIASES = {"create_at": "created_at", "from": "from_"}
NESTED: dict[str, Callable[[Any], Any]] = {
    "tools": read_tools,
    "content": _contents,
    "tool_calls": _calls,
    "required_action": _action,
    "step_details": _details,
    "usage": _usage,
    "last_error": _last_error,
    "truncation_strategy": _object,
}
DELTA = msgspec.json.Decoder(WireMessageDelta)
EVENTS: dict[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "thread.created": _thread_event,
    "thread.run.step.delta": _step_delta,
    **{f"thread.run.{status}": _run_event for status in ("created", *RUN_STATUSES)},
    **{f"thread.run.step.{status}": _step_event for status in ("created", *STEP_STATUSES)},
    **{f"thread.message.{status}": _message_event for status in ("created", *MESSAGE_STATUSES)},
}
"""The events of dashscope.md §5.4, and `thread.run.incomplete`, which no list has (§7.15)."""
