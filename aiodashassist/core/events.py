"""What a run's stream can say.

`name` is the wire's own event name, `""` for events that this library adds. Order is the wire's.
A new kind of event on the wire becomes an `UnknownEvent`; it never breaks a stream.
"""

from typing import Any, TypeAlias

from msgspec import Struct

from aiodashassist.core.models import Content, Message, Run, RunStep, Thread
from aiodashassist.core.tooling import ToolCall, ToolOutput

__all__ = (
    "ErrorEvent",
    "Event",
    "MessageDelta",
    "MessageEvent",
    "RunEvent",
    "StepDelta",
    "StepEvent",
    "StreamRecovered",
    "ThreadEvent",
    "ToolFinished",
    "ToolProgress",
    "ToolStarted",
    "UnknownEvent",
)


class ThreadEvent(Struct, frozen=True, kw_only=True):
    """The thread that the call created."""

    thread: Thread
    name: str = ""


class RunEvent(Struct, frozen=True, kw_only=True):
    """The run has come to `status`: believe it over `run.status` (dashscope.md §7.8).

    `round` says which round of calls a run waits for, on a wire where its step does not: the same
    round is never answered twice.
    """

    status: str
    run: Run
    name: str = ""
    round: str = ""


class StepEvent(Struct, frozen=True, kw_only=True):
    """A step has come to `status`: believe it over `step.status` (dashscope.md §7.8)."""

    status: str
    step: RunStep
    name: str = ""


class StepDelta(Struct, frozen=True, kw_only=True):
    """More of a plugin's arguments or output (dashscope.md §5.4)."""

    step_id: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""


class MessageEvent(Struct, frozen=True, kw_only=True):
    """A message was begun, completed, or left incomplete."""

    status: str
    message: Message
    name: str = ""


class MessageDelta(Struct, frozen=True, kw_only=True, gc=False):
    """More text of a message; `text` is what is new, `""` in the last one (dashscope.md §5.4)."""

    message_id: str
    text: str = ""
    content: tuple[Content, ...] = ()
    name: str = ""


class ToolStarted(Struct, frozen=True, kw_only=True):
    """A tool of ours was started for a call; where approval is asked for, it was given.

    A call whose tool raises `PauseRun` has no `ToolFinished`.
    """

    call: ToolCall
    name: str = ""


class ToolProgress(Struct, frozen=True, kw_only=True):
    """A tool of ours tells how far it is: what it gave to `ToolContext.emit`, as it is."""

    call: ToolCall
    data: Any = None
    name: str = ""


class ToolFinished(Struct, frozen=True, kw_only=True):
    """A call has its output: the tool of ours is done, or the call was refused.

    A call that was not approved has this event and no `ToolStarted`; one whose approval raises
    `PauseRun` has neither.

    Attributes:
        call: the call.
        output: what the model will read.
        error: why the output is an error, with the full exception of a crash; else None.
        duration: seconds from its `ToolStarted`; 0 without one.
    """

    call: ToolCall
    output: ToolOutput
    error: BaseException | None = None
    duration: float = 0.0
    name: str = ""


class StreamRecovered(Struct, frozen=True, kw_only=True):
    """The stream broke, and the run is read back instead; what was handed out comes no more.

    Attributes:
        reason: how it broke.
        run: the run as it was found.
    """

    reason: str
    run: Run
    name: str = ""


class ErrorEvent(Struct, frozen=True, kw_only=True):
    """The service reported an error inside the stream."""

    code: str = ""
    message: str = ""
    request_id: str | None = None
    name: str = ""


class UnknownEvent(Struct, frozen=True, kw_only=True):
    """An event that this library does not know; `data` is its JSON, or its text."""

    name: str
    data: Any = None


Event: TypeAlias = (
    ThreadEvent
    | RunEvent
    | StepEvent
    | StepDelta
    | MessageEvent
    | MessageDelta
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | StreamRecovered
    | ErrorEvent
    | UnknownEvent
)
