"""Core -> AppBuilder's wire: objects, spelled as the service was seen to do it (§3).

A run and a step have three flavours each: answered at once, read or listed, and in a stream.
Times are milliseconds, and 0 where there is none.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec

from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    LastError,
    Message,
    Model,
    Run,
    RunStep,
    StepDetails,
    Thread,
)
from aiodashassist.core.tooling import ToolCall
from aiodashassist.providers.appbuilder.files import spell_file

__all__ = (
    "Flavour",
    "spell",
    "spell_call",
    "spell_contents",
    "spell_error",
    "spell_run",
    "spell_step",
)

Flavour: TypeAlias = Literal["result", "query", "list", "stream"]
"""Where a run or a step is told: the answer to its call, read, in a list, in a stream (§3.9)."""

TIMES = ("started_at", "expired_at", "cancelled_at", "failed_at", "completed_at")
MASKED = "***"


def spell(obj: Any, flavour: Flavour) -> dict[str, Any]:
    """An object as an answer has it."""
    if isinstance(obj, Run):
        return spell_run(obj, flavour)
    if isinstance(obj, RunStep):
        return spell_step(obj, flavour)
    return SPELLERS[type(obj)](obj)


def spell_run(run: Run, flavour: Flavour) -> dict[str, Any]:
    """A run in one of its three flavours (§3.9); the second has two kinds."""
    # This wire knows no `incomplete`: such a run has failed.
    status = "failed" if run.status == "incomplete" else run.status
    error = run.last_error
    if run.status == "incomplete":
        error = LastError(code="incomplete", message="The answer is incomplete.")
    body = {
        "id": run.id,
        "object": "run.result" if flavour == "result" else "thread.run",
        "assistant_id": run.assistant_id or "",
        "thread_id": run.thread_id or "",
        "status": status,
        "required_action": _action(run),
        "last_error": spell_error(error) if error is not None else None,
        "final_answer": None,
        "created_at": run.created_at or 0,
        **{name: getattr(run, name) or 0 for name in TIMES},
    }
    if run.status == "incomplete":
        body["failed_at"] = run.created_at or 0
    if flavour in ("result", "stream"):
        body["started_at"] = run.started_at or run.created_at or 0
    if flavour == "result":
        return {**body, "log_id": run.id, "final_answer": _answer(run)}
    ended = flavour == "stream" and run.is_terminal
    return {
        **body,
        "model": run.model or "",
        "instructions": MASKED if ended else run.instructions or "",
        "thought_instructions": run.thought_instructions or "",
        "chat_instructions": run.chat_instructions or "",
        "tools": None if flavour == "list" else [],
        "file_ids": None,
    }


def spell_step(step: RunStep, flavour: Flavour) -> dict[str, Any]:
    """A step; its type is told nowhere, its details under the SDK's own spelling (§3.10)."""
    none = None if flavour == "stream" else ""
    error = none if step.last_error is None else spell_error(step.last_error)
    body = {
        "id": step.id,
        "object": "thread.run.step",
        "assistant_id": None if flavour == "query" else step.assistant_id or "",
        "thread_id": step.thread_id or "",
        "run_id": step.run_id or "",
        "status": step.status or "",
        "created_at": step.created_at or 0,
        **{name: getattr(step, name) or 0 for name in TIMES},
        "last_error": error,
    }
    if flavour == "stream":
        return body
    details = _details(step.step_details) if step.step_details is not None else None
    return {**body, "type": None, "step_datail": details}


def spell_call(call: ToolCall) -> dict[str, Any]:
    """A call; its output is only there once it has one (§3.9)."""
    function: dict[str, Any] = {"name": call.name, "arguments": call.arguments}
    if call.output is not None:
        function["output"] = call.output
    return {"id": call.id, "type": "function", "function": function}


def spell_contents(parts: tuple[Content, ...]) -> list[dict[str, Any]]:
    """The parts of a message; this wire knows only text (§4)."""
    texts = [part.text for part in parts if part.text is not None]
    return [{"type": "text", "text": msgspec.to_builtins(text)} for text in texts]


def spell_error(error: LastError) -> dict[str, Any]:
    """Why something failed (§3.9)."""
    return {"type": error.type or error.code or "", "message": error.message or ""}


def _assistant(obj: Assistant) -> dict[str, Any]:
    return {
        "id": obj.id,
        "object": "assistant",
        "name": obj.name or "",
        "description": obj.description or "",
        "model": obj.model or "",
        "instructions": obj.instructions or "",
        "thought_instructions": obj.thought_instructions or "",
        "chat_instructions": obj.chat_instructions or "",
        "response_format": obj.response_format or "text",
        "tools": [msgspec.to_builtins(tool) for tool in obj.tools],
        "file_ids": list(obj.file_ids),
        "metadata": obj.metadata or None,  # null where none was ever set (§3.1)
        "created_at": obj.created_at or 0,
    }


def _message(obj: Message) -> dict[str, Any]:
    return {
        "id": obj.id,
        "object": "thread.message",
        "role": obj.role or "",
        "content": spell_contents(obj.content),
        "created_at": obj.created_at or 0,
        "thread_id": obj.thread_id or "",
        "assistant_id": obj.assistant_id or "",
        "run_id": obj.run_id or "",
        "file_ids": list(obj.file_ids),
    }


def _thread(obj: Thread) -> dict[str, Any]:
    made = obj.created_at or 0
    return {"id": obj.id, "object": "thread", "created_at": made, "metadata": obj.metadata}


def _attached(obj: AssistantFile | MessageFile) -> dict[str, Any]:
    owner = "assistant_id" if isinstance(obj, AssistantFile) else "message_id"
    known = {name: getattr(obj, name) for name in ("id", "object", "created_at", owner)}
    return {**known, "created_at": obj.created_at or 0}


def _deleted(obj: Deleted) -> dict[str, Any]:
    return {"id": obj.id, "object": obj.object or "", "deleted": obj.deleted}


def _action(run: Run) -> dict[str, Any] | None:
    action = run.required_action
    if action is None:
        return None
    calls = [spell_call(call) for call in action.submit_tool_outputs.tool_calls]
    return {"type": action.type, "submit_tool_outputs": {"tool_calls": calls}}


def _answer(run: Run) -> dict[str, Any] | None:
    answer = run.final_answer
    if answer is None:
        return None
    said = {
        "content": spell_contents(answer.message.content),
        "message_id": answer.message.message_id,
    }
    return {"type": answer.type, "message": said}


def _details(details: StepDetails) -> dict[str, Any]:
    """A vendor's plugin is told as `tool_info` (§3.10)."""
    calls = details.tool_calls
    created = details.message_creation
    plugins = [
        {"type": call.type, "name": call.name, "arguments": call.arguments, "output": call.output}
        for call in calls
        if call.plugin is not None
    ]
    return {
        "type": details.type,
        "message_creation": {"message_id": created.message_id} if created is not None else None,
        "action_info": None,
        "tool_calls": [spell_call(call) for call in calls if call.plugin is None],
        "tool_info": plugins,
    }


SPELLERS: dict[type[Model], Callable[[Any], dict[str, Any]]] = {
    Assistant: _assistant,
    Thread: _thread,
    Message: _message,
    AssistantFile: _attached,
    MessageFile: _attached,
    Deleted: _deleted,
    File: lambda file: spell_file(file, created=False),
}
