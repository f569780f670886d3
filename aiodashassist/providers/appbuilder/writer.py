"""Core -> AppBuilder's wire: one stream, as the local server speaks it (appbuilder.md §5).

This wire has fewer events than a run has: a queued run that is in progress, a message that is
complete, the growing calls of a plugin are not told. Order and texts are those that were observed;
what surrounds a function call is reconstructed (§11.2).
"""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import msgspec

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    UnknownEvent,
)
from aiodashassist.core.models import TERMINAL, Run
from aiodashassist.providers.appbuilder.spelling import spell_call, spell_run, spell_step

__all__ = ("PING", "StreamWriter", "WrittenChunks")

WrittenChunks: TypeAlias = Literal["delta", "cumulative", "whole"]
"""How a message's text is cut: what is new, all so far, or all at once as it was observed."""

PING = b"event: ping\n\n"  # its payload is unknown; readers must take it without one (§5.2)


Told: TypeAlias = Iterable[tuple[str, dict[str, Any]]]


class StreamWriter:
    """Writes one stream; `send_id` counts its events from 1 (§5.3).

    Args:
        chunks: how messages are cut.
        request_id: the log id in the texts.
    """

    def __init__(self, chunks: WrittenChunks, request_id: str) -> None:
        self._chunks = chunks
        self._log_id = request_id
        self._sent = 0
        self._begun = False
        self._parts: list[str] = []  # of the message that is open

    def write(self, event: Event) -> bytes:
        """An event, framed; no bytes for one that this wire does not say."""
        return b"".join(self._frame(name, body) for name, body in self._told(event))

    def _frame(self, name: str, body: dict[str, Any]) -> bytes:
        self._sent += 1
        data = msgspec.json.encode({**body, "send_id": self._sent})
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)

    def _told(self, event: Event) -> Told:  # noqa: PLR0911 (one a kind)
        match event:
            case RunEvent(status=status, run=run):
                return self._run(status, run)
            case StepEvent():
                return self._step(event)
            case MessageEvent():
                return self._message(event)
            case MessageDelta(message_id=message_id, text=text):
                return self._text(message_id, text)
            case ErrorEvent(code=code, message=text):
                return [("error", {"error": {"code": code, "message": text, "type": code}})]
            case UnknownEvent(name=name, data=data):
                return [(name, data if isinstance(data, dict) else {"data": data})]
        return []

    def _run(self, status: str, run: Run) -> Told:
        details = {"run_object": spell_run(run, "stream")}
        if status in TERMINAL:
            spelled = details["run_object"]
            said = f"run end. logId:{self._log_id}"
            if spelled["last_error"] is not None:
                details["error_info"] = spelled["last_error"]
            return [("status", _status("run_end", spelled["status"], said, details))]
        if status == "cancelling":
            return [("status", _status("run_cancelling", status, "run cancelling", details))]
        if status == "requires_action":
            calls = [spell_call(call) for call in run.tool_calls]
            asked = _status("tool_calls", status, "tool calls", {"tool_calls": calls})
            return [("status", asked)]
        if self._begun:
            return []
        self._begun = True  # also where a stream goes on with a run that was begun before (§5.5)
        begun = {"run_object": {**details["run_object"], "status": "queued"}}
        said = f"begin to run. logId:{self._log_id}"
        return [("status", _status("run_begin", "queued", said, begun))]

    def _step(self, event: StepEvent) -> Told:
        step, details = event.step, {"run_step_object": spell_step(event.step, "stream")}
        if event.name == "created":
            begins = _status("tool_step_begin", "in_progress", "begin to run step", details)
            return [("status", begins)]
        if event.status == "in_progress":
            return []
        ends = _status("tool_step_end", event.status, "step end", details)
        calls = step.step_details.tool_calls if step.step_details is not None else ()
        outputs = [spell_call(call) for call in calls if call.function is not None]
        if not outputs:
            return [("status", ends)]
        taken = {"tool_calls": outputs}
        submitted = _status("tool_submitted_output", "in_progress", "tool output submitted", taken)
        return [("status", submitted), ("status", ends)]

    def _message(self, event: MessageEvent) -> Told:
        message = event.message
        if event.name == "created":
            self._parts = []
            details = {"message_creation": {"message_id": message.id}}
            begins = _status("message_creation", "in_progress", "message created", details)
            return [("status", begins)]
        if event.status == "in_progress" or self._chunks != "whole" or not message.text:
            return []
        return [_chunk(message.id, message.text)]

    def _text(self, message_id: str, text: str) -> Told:
        if self._chunks == "whole" or not text:  # the server's last delta is empty
            return []
        if self._chunks == "cumulative":
            self._parts.append(text)
            text = "".join(self._parts)
        return [_chunk(message_id, text)]


def _chunk(message_id: str, text: str) -> tuple[str, dict[str, Any]]:
    """Text of a message; `is_end` was 0 in the only one that was ever seen (§5.3)."""
    return "message", {
        "status": "completed",
        "is_end": 0,
        "message_id": message_id,
        "message_index": "",
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
    }


def _status(kind: str, status: str, said: str, details: dict[str, Any]) -> dict[str, Any]:
    """A `status` event; the details say first which of their members is filled (§5.3)."""
    filled = {"type": next(iter(details)), **details}
    return {"status": status, "message": said, "event_type": kind, "details": filled}
