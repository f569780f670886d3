"""DashScope's wire -> core: frames. Every quirk of a stream's events is read here.

Tolerant: an event of an unknown name is kept, an `error` frame of any shape is an event; the
objects inside are read by `codec.py`. What still does not fit is a DecodeError, never another
exception.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from aiodashassist.core.decoding import BROKEN, parse, read_contents
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
from aiodashassist.core.models import Content, Message, Run, RunStep, Thread
from aiodashassist.core.sse import Frame
from aiodashassist.errors import DecodeError
from aiodashassist.providers.dashscope.codec import model, read_calls
from aiodashassist.providers.dashscope.wire import WireMessageDelta

__all__ = ("read_frame",)

RUN_STATUSES = (
    "queued", "in_progress", "requires_action", "cancelling", "cancelled", "failed", "completed",
    "expired", "incomplete",
)  # fmt: skip
STEP_STATUSES = ("in_progress", "completed", "failed", "cancelled", "expired")
MESSAGE_STATUSES = ("in_progress", "completed", "incomplete")


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
    return message_id, read_contents(content or ())


def _step_delta(name: str, body: Mapping[str, Any]) -> StepDelta:
    delta = body.get("delta")
    details = delta.get("step_details") if isinstance(delta, Mapping) else None
    calls = details.get("tool_calls") if isinstance(details, Mapping) else None
    step_id = body.get("id")
    if not isinstance(step_id, str):
        raise DecodeError(f"event {name}: no step id")
    return StepDelta(step_id=step_id, tool_calls=read_calls(calls or ()), name=name)


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


DELTA = msgspec.json.Decoder(WireMessageDelta)
EVENTS: dict[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "thread.created": _thread_event,
    "thread.run.step.delta": _step_delta,
    **{f"thread.run.{status}": _run_event for status in ("created", *RUN_STATUSES)},
    **{f"thread.run.step.{status}": _step_event for status in ("created", *STEP_STATUSES)},
    **{f"thread.message.{status}": _message_event for status in ("created", *MESSAGE_STATUSES)},
}
"""The events of dashscope.md §5.4, and `thread.run.incomplete`, which no list has (§7.15)."""
