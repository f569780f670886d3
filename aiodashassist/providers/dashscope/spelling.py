"""Core -> DashScope's wire: objects and events, spelled as the live service was seen to do it.

Which fields an object has, and how it says "none", depends on the call (dashscope.md §3.5, §3.6,
§7.6): null in streams, `{}` and 0 in a run that is read, -1 and empty texts in listed steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

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
from aiodashassist.core.files import AssistantFile, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Deleted,
    LastError,
    Message,
    Model,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    Thread,
    Usage,
)
from aiodashassist.core.tooling import PluginCall, ToolCall

__all__ = ("SHORT_RUN", "spell", "spell_event", "spell_item")

Style = Mapping[str, Any]
"""Field -> how it is spelled when there is none; null where the field is not named."""

ASSISTANT = (
    "id", "object", "created_at", "model", "name", "description", "instructions", "tools",
    "file_ids", "metadata", "temperature", "top_p", "top_k", "max_tokens",
)  # fmt: skip
THREAD = ("id", "object", "created_at", "metadata")
DELETED = ("id", "object", "deleted")
ASSISTANT_FILE = ("id", "object", "created_at", "assistant_id")
MESSAGE_FILE = ("id", "object", "created_at", "message_id")
MESSAGE = (
    "id", "object", "created_at", "thread_id", "incomplete_details", "completed_at",
    "incomplete_at", "role", "content", "assistant_id", "run_id", "file_ids", "metadata",
)  # fmt: skip
READ_MESSAGE = (*MESSAGE, "name", "plugin_call", "tool_calls", "status")
RUN_TIMES = ("expires_at", "started_at", "cancelled_at", "failed_at", "completed_at")
RUN = (
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "required_action",
    "last_error", *RUN_TIMES, "model", "instructions", "tools", "file_ids", "metadata", "usage",
    "temperature", "top_p", "top_k", "max_tokens", "truncation_strategy",
)  # fmt: skip
# Shown where they were given; newer live runs have the third (§3.5).
JAVA_RUN = ("max_prompt_tokens", "max_completion_tokens", "tool_choice", "response_format")
SHORT_RUN = (
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "model", "instructions",
    "tools", "metadata",
)  # fmt: skip
STEP = (
    "id", "object", "created_at", "assistant_id", "thread_id", "run_id", "type", "status",
    "step_details", "last_error", "expired_at", "cancelled_at", "failed_at", "completed_at",
    "metadata", "usage",
)  # fmt: skip

TEXTS: Style = {"name": "", "description": "", "instructions": ""}
READ_MESSAGE_STYLE: Style = {
    "incomplete_details": {}, "assistant_id": "", "run_id": "", "name": "", "plugin_call": {},
    "status": "",
}  # fmt: skip
RUN_STYLE: Style = {"instructions": ""}
READ_RUN_STYLE: Style = {
    **RUN_STYLE,
    "required_action": {},
    "last_error": {},
    **dict.fromkeys(RUN_TIMES, 0),
}
LISTED_STEP_STYLE: Style = {
    "last_error": {"code": "", "message": ""}, "expired_at": 0, "cancelled_at": -1,
    "failed_at": -1, "completed_at": -1, "usage": {},
}  # fmt: skip

LATE = PluginCall(output="")  # all that is said after a plugin's output (§5.4)

READ: dict[type[Model], tuple[tuple[str, ...], Style]] = {
    Assistant: (ASSISTANT, TEXTS),
    Thread: (THREAD, {}),
    Deleted: (DELETED, {}),
    Message: (READ_MESSAGE, READ_MESSAGE_STYLE),
    Run: (RUN, READ_RUN_STYLE),
    RunStep: (STEP, {}),
    AssistantFile: (ASSISTANT_FILE, {}),
    MessageFile: (MESSAGE_FILE, {}),
}


def spell(obj: Model, fields: tuple[str, ...] | None = None) -> dict[str, Any]:
    """An object as an answer has it; `fields` where the call answers with fewer."""
    usual, style = READ[type(obj)]
    return _spelled(obj, fields or usual, style)


def spell_item(obj: Model) -> dict[str, Any]:
    """An object as a list has it."""
    if isinstance(obj, RunStep):
        return _listed(obj)
    return spell(obj)


def spell_event(event: Event) -> tuple[str, dict[str, Any]]:  # noqa: PLR0911 (one a kind)
    """An event's name and data on the wire.

    `event.name` is taken as it is where it is the wire's own; `created` marks a beginning, which
    this wire has an event of its own for.
    """
    match event:
        case MessageDelta(message_id=message_id):
            content = [_part(part) for part in event.content] or [_text(event.text)]
            delta = {"role": "assistant", "content": content, "file_ids": []}
            name = "thread.message.delta"
            return name, {"id": message_id, "object": name, "delta": delta}
        case StepDelta(step_id=step_id, tool_calls=calls):
            details = {"type": "tool_calls", "tool_calls": [_growing(call) for call in calls]}
            name = "thread.run.step.delta"
            return name, {"id": step_id, "object": name, "delta": {"step_details": details}}
        case RunEvent(run=run):
            # Times are null in a stream even when the run has completed (§3.5).
            timeless = msgspec.structs.replace(run, **dict.fromkeys(RUN_TIMES))
            return _name("thread.run", event), _spelled(timeless, RUN, RUN_STYLE)
        case StepEvent(step=step):
            return _name("thread.run.step", event), _spelled(_streamed(step), STEP, {})
        case MessageEvent(message=message):
            return _name("thread.message", event), _spelled(message, MESSAGE, {})
        case ThreadEvent(thread=thread):
            return "thread.created", _spelled(thread, THREAD, {})
        case ErrorEvent(code=code, message=text):
            return "error", {"code": code, "message": text}
        case UnknownEvent(name=name, data=data):
            return name, data if isinstance(data, dict) else {"data": data}
    raise TypeError(f"{type(event).__name__} is not an event of this wire")


def _listed(step: RunStep) -> dict[str, Any]:
    """A step as a list has it: there a search has `input` for `arguments` (§3.6, §7.11)."""
    body = _spelled(step, STEP, LISTED_STEP_STYLE)
    for call in (body["step_details"] or {}).get("tool_calls", ()):
        search = call.get("quark_search", {})
        if "arguments" in search:
            call["quark_search"] = {"input": search.pop("arguments"), **search}
    return body


def _streamed(step: RunStep) -> RunStep:
    """A step as a stream has it: one of tools has no time when it completes (§5.5).

    One of a plugin even says that it is still under way; the event's name is right (§5.5, §7.8).
    """
    if step.type != "tool_calls":
        return step
    calls = step.step_details.tool_calls if step.step_details is not None else ()
    plugins = any(call.plugin is not None for call in calls)
    status = "in_progress" if plugins and step.status == "completed" else step.status
    return msgspec.structs.replace(step, completed_at=None, status=status)


def _name(prefix: str, event: RunEvent | StepEvent | MessageEvent) -> str:
    if event.name.startswith("thread."):
        return event.name
    return f"{prefix}.{event.name or event.status}"


def _spelled(obj: Model, fields: tuple[str, ...], style: Style) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in fields:
        value = getattr(obj, name)
        if value is None:
            body[name] = style.get(name)
        else:
            body[name] = VALUES[name](value) if name in VALUES else value
    if isinstance(obj, Run):
        given = {name: getattr(obj, name) for name in JAVA_RUN}
        body.update({name: value for name, value in given.items() if value is not None})
    return body


def _text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def _part(part: Any) -> dict[str, Any]:
    plain = msgspec.to_builtins(part)
    return {key: value for key, value in plain.items() if value is not None}


def _call(call: ToolCall) -> dict[str, Any]:
    """A call with its details under `function`, or under the plugin's own name (§3.6)."""
    if call.plugin is not None:
        return {"id": call.id, "type": call.type, call.type: _part(call.plugin)}
    return {"id": call.id, "type": "function", "function": _part(call.function)}


def _growing(call: ToolCall) -> dict[str, Any]:
    """A call in a delta: no id was ever seen, and in the late ones no type (§5.4)."""
    body = _call(call)
    if not call.id:
        del body["id"]
    if call.plugin == LATE:
        del body["type"]
    return body


def _action(action: RequiredAction) -> dict[str, Any]:
    calls = [_call(call) for call in action.submit_tool_outputs.tool_calls]
    return {"type": action.type, "submit_tool_outputs": {"tool_calls": calls}}


def _details(details: StepDetails) -> dict[str, Any]:
    if details.message_creation is not None:
        creation = {"message_id": details.message_creation.message_id}
        return {"type": details.type, "message_creation": creation}
    return {"type": details.type, "tool_calls": [_call(call) for call in details.tool_calls]}


def _last_error(error: LastError) -> dict[str, Any]:
    return {"code": error.code or "", "message": error.message or ""}


def _usage(usage: Usage) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "total_tokens")
    return {name: getattr(usage, name) for name in names}


VALUES: dict[str, Callable[[Any], Any]] = {
    "required_action": _action,
    "step_details": _details,
    "last_error": _last_error,
    "usage": _usage,
    "content": lambda parts: [_part(part) for part in parts],
    "tool_calls": lambda calls: [_call(call) for call in calls],
}
