"""AppBuilder's JSON, whole: every answer, every error, every event of a stream, with all fields.

How a whole is damaged does not depend on the wire: see the module of the same name next door.
"""

import json
from typing import Any

from aiodashassist.core import operations as ops
from aiodashassist.core.files import Upload
from aiodashassist.core.operations import Operation
from aiodashassist.core.sse import Frame

SAY = {"type": "text", "text": {"value": "hi", "annotations": []}}
FUNCTION = {
    "type": "function",
    "function": {
        "name": "f", "description": "d", "parameters": {"type": "object"}, "responses": None,
        "examples": [[{"role": "user", "content": "c", "function_call": None}]],
    },
}  # fmt: skip
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}", "output": "o"}}
INFO = {"type": "t", "name": "n", "arguments": "{}", "output": "o"}
ACTION = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}}
ANSWER = {"type": "message", "message": {"message_id": "m", "content": [SAY]}}
WHY = {"type": "server_error", "message": "no"}
TIMES = {
    "created_at": 1713122932350, "started_at": 1, "expired_at": 0, "cancelled_at": 0,
    "failed_at": 0, "completed_at": 2,
}  # fmt: skip
ASSISTANT: dict[str, Any] = {
    "id": "a", "object": "assistant", "name": "n", "description": "d", "model": "m",
    "instructions": "i", "thought_instructions": "t", "chat_instructions": "c", "tools": [FUNCTION],
    "created_at": 5, "response_format": "text", "file_ids": ["f"], "metadata": {"k": "v"},
}  # fmt: skip
THREAD: dict[str, Any] = {"id": "t", "object": "thread", "created_at": 5, "metadata": {"k": "v"}}
MESSAGE: dict[str, Any] = {
    "id": "m", "object": "thread.message", "role": "user", "content": [SAY], "created_at": 5,
    "thread_id": "t", "assistant_id": "", "run_id": "", "file_ids": ["f"],
}  # fmt: skip
RUN: dict[str, Any] = {
    "id": "r", "object": "thread.run", "assistant_id": "a", "thread_id": "t", "model": "m",
    "instructions": "i", "thought_instructions": "t", "chat_instructions": "c", "tools": [FUNCTION],
    "file_ids": None, "status": "queued", "required_action": ACTION, "last_error": WHY,
    "final_answer": ANSWER, "log_id": "l", **TIMES,
}  # fmt: skip
STEP: dict[str, Any] = {
    "id": "s", "object": "thread.run.step", "assistant_id": "a", "thread_id": "t", "run_id": "r",
    "status": "in_progress", "last_error": "", "type": None, **TIMES,
    "step_datail": {
        "type": "tool_calls", "message_creation": {"message_id": "m"},
        "action_info": {"toolName": "t", "actionName": "n", "actionContent": "c"},
        "tool_calls": [CALL], "tool_info": [INFO],
    },
}  # fmt: skip
FILE: dict[str, Any] = {
    "id": "f", "bytes": 1, "object": "file", "purpose": "assistant", "create_at": 1713122932,
    "filename": "n.txt", "classification_id": "x", "censored": 1, "file_type": "document",
}  # fmt: skip
OF_ASSISTANT = {"id": "f", "object": "assistant.file", "created_at": 5, "assistant_id": "a"}
OF_MESSAGE = {"id": "f", "object": "thread.message.file", "created_at": 5, "message_id": "m"}
DELETED = {"id": "t", "object": "thread.deleted", "deleted": True}

SINGLE: dict[str, tuple[Operation[Any], Any]] = {
    "Assistant": (ops.RetrieveAssistant(assistant_id="a"), ASSISTANT),
    "AssistantFile": (ops.AttachFile(assistant_id="a", file_id="f"), OF_ASSISTANT),
    "Thread": (ops.RetrieveThread(thread_id="t"), THREAD),
    "Message": (ops.RetrieveMessage(thread_id="t", message_id="m"), MESSAGE),
    "Run": (ops.RetrieveRun(thread_id="t", run_id="r"), RUN),
    "RunStep": (ops.RetrieveStep(thread_id="t", run_id="r", step_id="s"), STEP),
    "Deleted": (ops.DeleteThread(thread_id="t"), DELETED),
    "File": (ops.RetrieveFile(file_id="f"), FILE),
    "Uploads": (ops.CreateFiles(files=(Upload(filename="n", size=1, content=None),)), FILE),
}
LISTS: dict[str, tuple[Operation[Any], Any]] = {
    "Page of Assistants": (ops.ListAssistants(), ASSISTANT),
    "Page of AssistantFiles": (ops.ListAssistantFiles(assistant_id="a"), OF_ASSISTANT),
    "Page of Messages": (ops.ListMessages(thread_id="t"), MESSAGE),
    "Page of MessageFiles": (ops.ListMessageFiles(thread_id="t", message_id="m"), OF_MESSAGE),
    "Page of Runs": (ops.ListRuns(thread_id="t"), RUN),
    "Page of RunSteps": (ops.ListSteps(thread_id="t", run_id="r"), STEP),
    "Page of Files": (ops.ListFiles(), FILE),
}
ENDS = {"object": "list", "first_id": "a", "last_id": "b", "has_more": True}
ANSWERS: dict[str, tuple[Operation[Any], Any]] = {
    **SINGLE,
    **{name: (operation, {**ENDS, "data": [item]}) for name, (operation, item) in LISTS.items()},
}
"""Every kind of answer: what asks for it, and the whole of its body (appbuilder.md §3)."""

ERRORS: dict[str, Any] = {
    "own": {"error": {"code": "c", "message": "m", "type": "t", "param": "p"}},
    "flat": {"code": "c", "message": "m", "requestId": "q"},
    "old": {"error": {"code": "c", "message": "m", "type": "t", "params": "p"}, "request_id": "q"},
}
"""Every shape of an error's body (appbuilder.md §6.1)."""


def status(kind: str, state: str, **details: Any) -> dict[str, Any]:
    """The body of a `status` event (§5.3); the first of the details is their type."""
    filled = {"type": next(iter(details), ""), **details}
    said = "begin. logId:log-1"
    return {
        "status": state, "send_id": 1, "message": said, "event_type": kind, "details": filled,
    }  # fmt: skip


def chunk(text: str, message_id: str = "m") -> dict[str, Any]:
    """The body of a `message` event (§5.3)."""
    content = [{"type": "text", "text": {"value": text}}]
    return {
        "status": "completed", "send_id": 2, "is_end": 0, "message_id": message_id,
        "message_index": "", "content": content,
    }  # fmt: skip


def frame(name: str, body: Any) -> Frame:
    """A frame with this JSON."""
    return Frame(name, json.dumps(body).encode())


EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "run_begin": ("status", status("run_begin", "queued", run_object=RUN)),
    "tool_step_begin": (
        "status", status("tool_step_begin", "in_progress", run_step_object=STEP),
    ),
    "tool_calls": ("status", status("tool_calls", "requires_action", tool_calls=[CALL])),
    "tool_submitted_output": (
        "status", status("tool_submitted_output", "in_progress", tool_calls=[CALL]),
    ),
    "tool_step_end": ("status", status("tool_step_end", "completed", run_step_object=STEP)),
    "message_creation": (
        "status",
        status("message_creation", "in_progress", message_creation={"message_id": "m"}),
    ),
    "message": ("message", chunk("hi")),
    "run_cancelling": ("status", status("run_cancelling", "cancelling", run_object=RUN)),
    "run_end": ("status", status("run_end", "failed", run_object=RUN, error_info=WHY)),
    "ping": ("ping", {"time": 5}),
    "error": ("error", ERRORS["own"]),
    "of_tomorrow": ("status", status("of_tomorrow", "thinking", thought={"more": [1]})),
    "tomorrow": ("tomorrow", {"more": [1]}),
}  # fmt: skip
"""Every kind of event (§5.3), and two that nobody knows."""
