"""AppBuilder's wire -> core: frames. Every quirk of a stream's events is read here (§5).

The wire tells little: a run's status events name no run but at its begin and end, nothing says
that a message is complete, and a step does not say what it is. So the reader of a stream knows
what it has read, and completes each object from that.

Tolerant: an event of an unknown name or type is kept, an error of any shape is an event. What
cannot be read is a DecodeError, never silence, and never the event before it once more.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from aiodashassist.core.decoding import BROKEN, as_object, parse, read_contents
from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    RunEvent,
    StepEvent,
    UnknownEvent,
)
from aiodashassist.core.models import (
    TERMINAL,
    Content,
    LastError,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
)
from aiodashassist.core.sse import Frame
from aiodashassist.core.tooling import ToolCall
from aiodashassist.errors import DecodeError
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.codec import model, read_calls, read_error
from aiodashassist.providers.appbuilder.messages import StreamedMessages
from aiodashassist.providers.appbuilder.rounds import CallRounds
from aiodashassist.providers.appbuilder.wire import WireChunk

__all__ = ("StreamReader",)

Body: TypeAlias = Mapping[str, Any]

LOG_ID = re.compile(r"logId:\s*([\w-]+)")
MASKED = "***"  # the instructions, once a run has ended (§3.9, §7 #16)
BEGINNINGS = ("queued", "in_progress")  # of a step
CHUNK = msgspec.json.Decoder(WireChunk)


class StreamReader:
    """Reads one stream.

    Args:
        mode: how the chunks of a message are to be taken.
        request_id: of the request that the stream answers; each object gets it.
    """

    def __init__(self, mode: ChunkMode = "auto", request_id: str | None = None) -> None:
        self._request_id = request_id
        self._run: Run | None = None
        self._step: RunStep | None = None  # under way
        self._rounds = CallRounds()
        self._reason: LastError | None = None  # of a step, or told before the run's end
        self._messages = StreamedMessages(mode, request_id)

    def read(self, frame: Frame) -> Sequence[Event]:
        """What a frame says; nothing for a ping, whatever its data (§5.2).

        Raises:
            DecodeError: it cannot be read.
        """
        if frame.event == "message":
            try:
                chunk = CHUNK.decode(frame.data)
            except BROKEN:  # nulls, other events without a name, and what cannot be read
                return self._slowly(frame)
            content = chunk.content
            parts = (content,) if isinstance(content, Content) else content or ()
            return self._messages.say(chunk.message_id, parts, self._run)
        return () if frame.event == "ping" else self._slowly(frame)

    def _slowly(self, frame: Frame) -> Sequence[Event]:
        try:
            return self._events(frame)
        except DecodeError as error:
            raise error.located(request_id=self._request_id) from error.__cause__

    def _events(self, frame: Frame) -> Sequence[Event]:
        if frame.data == b"[DONE]":  # not of this wire; a gateway's between, at most
            return ()
        name, body = frame.event, _body(frame)
        if not isinstance(body, Mapping):
            return (UnknownEvent(name=name, data=body),)
        if body.get("error") or name == "error" or _is_flat_error(body):
            return (self._error(name, body),)
        if name == "status" or body.get("event_type") or body.get("details"):
            return self._status(body)
        if name == "message" or "message_id" in body:
            return self._odd_message(body)
        return (UnknownEvent(name=name, data=dict(body)),)

    def _error(self, name: str, body: Body) -> ErrorEvent:
        given = body.get("error")
        inner = given if isinstance(given, Mapping) else body
        code, said = inner.get("code") or inner.get("type"), inner.get("message") or given
        return ErrorEvent(
            code=str(code or ""),
            message=str(said or ""),
            request_id=str(body.get("requestId") or "") or self._request_id,
            name=name,
        )

    def _odd_message(self, body: Body) -> Sequence[Event]:
        message_id = body.get("message_id") or self._messages.open_id
        if not isinstance(message_id, str) or not message_id:
            raise DecodeError("event message: no message id")
        return self._messages.say(message_id, read_contents(body.get("content") or ()), self._run)

    def _status(self, body: Body) -> Sequence[Event]:
        """A `status` event, by its type; one of no known type, by what its details hold."""
        details = as_object(body.get("details") or {}, "the details of a status")
        name = str(body.get("event_type") or "")
        kind = name if name in EVENTS else _kind_of(details, body.get("status"))
        if not kind:
            return self._unknown(name, body, details)
        return EVENTS[kind](self, name or "status", body, details)

    def _unknown(self, name: str, body: Body, details: Body) -> Sequence[Event]:
        error = read_error(details.get("error_info") or "")
        if error is not None:
            code, said = error.code or error.type or "", error.message or ""
            event = ErrorEvent(
                code=code, message=said, request_id=self._request_id, name=name or "status"
            )
            return (event,)
        return (UnknownEvent(name=name or "status", data=dict(body)),)

    def _run_moves(self, name: str, body: Body, details: Body) -> Sequence[Event]:
        """A run begins, is about to be cancelled, or has ended; its messages end before it."""
        run = self._known_run(body, details)
        told = details.get("run_object") or {}
        ended = "failed" if details.get("error_info") else STATUSES.get(name, run.status)
        status = str(body.get("status") or told.get("status") or ended or "queued")
        if status == "requires_action" and run.required_action is not None:
            self._run = run
            calls = run.required_action.submit_tool_outputs.tool_calls
            return (self._requires(name, self._rounds.ask(calls)),)
        self._run = run = replace(run, status=status, required_action=None)
        if status not in TERMINAL:
            return (RunEvent(status=status, run=run, name=name),)
        if run.last_error is None and status in ("failed", "expired"):
            self._run = run = replace(run, last_error=self._reason)
        before = self._messages.end("completed" if status == "completed" else "incomplete")
        return (*before, RunEvent(status=status, run=run, name=name))

    def _known_run(self, body: Body, details: Body) -> Run:
        """The run of an event, completed from what is known of it."""
        told = details.get("run_object")
        run = model(Run, told) if told else self._begun
        if self._run is not None and run.id == self._run.id:
            run = _completed(run, self._run)
        self._reason = read_error(details.get("error_info") or "") or self._reason
        log = LOG_ID.search(str(body.get("message") or ""))
        if log is not None and run.log_id is None:
            run = replace(run, log_id=log[1])
        return replace(run, request_id=self._request_id)

    @property
    def _begun(self) -> Run:
        if self._run is None:
            raise DecodeError("event status: it names no run, and none was begun before")
        return self._run

    def _calls_asked(self, name: str, _body: Body, details: Body) -> Sequence[Event]:
        """The run waits for outputs: only now its step is known to be one of calls (§5.3)."""
        calls = self._rounds.ask(read_calls(details.get("tool_calls") or ()))
        waits = self._requires(name, calls)
        if self._step is None:
            return (waits,)
        self._step = self._detailed(self._step)
        return (StepEvent(status="in_progress", step=self._step), waits)

    def _requires(self, name: str, calls: tuple[ToolCall, ...]) -> RunEvent:
        action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
        self._run = run = replace(self._begun, status="requires_action", required_action=action)
        return RunEvent(status=run.status, run=run, name=name, round=self._rounds.name)

    def _outputs_taken(self, name: str, _body: Body, details: Body) -> Sequence[Event]:
        """Outputs came; whatever the details show, they are no calls to be made (§5.3)."""
        left = self._rounds.answer(read_calls(details.get("tool_calls") or ()))
        if left:
            return (self._requires(name, left),)
        self._run = replace(self._begun, status="in_progress", required_action=None)
        return (RunEvent(status="in_progress", run=self._run, name=name),)

    def _step_moves(self, name: str, body: Body, details: Body) -> Sequence[Event]:
        """A step begins or ends; the message that it wrote ends before it."""
        told = model(RunStep, details.get("run_step_object"))
        if self._run is None and told.run_id is not None:  # whose beginning was not told
            self._run = Run(id=told.run_id, thread_id=told.thread_id, status="in_progress")
        error = read_error(details.get("error_info") or "") or told.last_error
        self._reason = error or self._reason
        told = replace(told, last_error=error, request_id=self._request_id)
        status = str(body.get("status") or told.status or "")
        if name == "tool_step_begin" or (name != "tool_step_end" and status in BEGINNINGS):
            self._step = told
            self._rounds.begin_step()
            return (StepEvent(status=status or "in_progress", step=told, name=name),)
        step = self._detailed(told)
        if self._step is not None and self._step.id == step.id:
            self._step = None
        ended = status or "completed"
        before = self._messages.end("completed" if ended == "completed" else "incomplete")
        return (*before, StepEvent(status=ended, step=step, name=name))

    def _detailed(self, step: RunStep) -> RunStep:
        """The step that is under way with the calls that it was seen to ask for."""
        calls = self._rounds.calls if self._step is not None and self._step.id == step.id else ()
        if not calls or step.step_details is not None:
            return step
        details = StepDetails(type="tool_calls", tool_calls=calls)
        return replace(step, type="tool_calls", step_details=details)

    def _message_begins(self, name: str, _body: Body, details: Body) -> Sequence[Event]:
        creation = as_object(details.get("message_creation"), "message_creation")
        message_id = creation.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise DecodeError("event message_creation: no message id")
        return self._messages.begin(message_id, self._run, name)


def _body(frame: Frame) -> object:
    """The JSON of a frame; the text of one that may be anything."""
    known = frame.event in ("status", "message")
    try:
        body = parse(frame.data)
    except DecodeError as error:
        if known:
            raise DecodeError(f"event {frame.event}: {error.message}") from error
        body = frame.text
    if known:
        return as_object(body, f"event {frame.event}")
    if frame.event == "error" and not isinstance(body, Mapping):
        return {"message": body if isinstance(body, str) else frame.text}
    return body


def _is_flat_error(body: Body) -> bool:
    """Whether it is the gateway's own envelope (§6.1)."""
    others = {"message_id", "content", "event_type", "details"}
    return bool(body.get("code")) and "message" in body and not body.keys() & others


def _kind_of(details: Body, status: object) -> str:
    """The type that an event of no known type is read as, by the member that is filled."""
    filled = next((name for name in DETAILS if details.get(name)), "")
    if filled == "tool_calls" and status != "requires_action":
        return ""  # no calls to be made
    return DETAILS.get(filled, "")


def _completed(run: Run, known: Run) -> Run:
    """A run with what was known of it and is not told again; masked instructions are not news."""
    fields = ("assistant_id", "thread_id", "created_at", "started_at", "model", "log_id")
    blank = {name: getattr(known, name) for name in fields if getattr(run, name) is None}
    if run.instructions in (None, MASKED):
        blank["instructions"] = known.instructions or run.instructions
    if not run.tools:
        blank["tools"] = known.tools
    return replace(run, **blank)


EVENTS: dict[str, Callable[[StreamReader, str, Body, Body], Sequence[Event]]] = {
    "run_begin": StreamReader._run_moves,  # noqa: SLF001 (the reader's own table)
    "run_cancelling": StreamReader._run_moves,  # noqa: SLF001
    "run_end": StreamReader._run_moves,  # noqa: SLF001
    "tool_step_begin": StreamReader._step_moves,  # noqa: SLF001
    "tool_step_end": StreamReader._step_moves,  # noqa: SLF001
    "tool_calls": StreamReader._calls_asked,  # noqa: SLF001
    "tool_submitted_output": StreamReader._outputs_taken,  # noqa: SLF001
    "message_creation": StreamReader._message_begins,  # noqa: SLF001
}
"""The types of `status` events (§5.3)."""
DETAILS = {
    "run_object": "run_end",
    "run_step_object": "tool_step_end",
    "tool_calls": "tool_calls",
    "message_creation": "message_creation",
}
"""Member of the details -> the type that an event of an unknown type is read as."""
STATUSES = {"run_begin": "queued", "run_cancelling": "cancelling", "run_end": "completed"}
"""What an event without a status says of the run."""
