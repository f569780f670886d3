"""What a run leaves behind: its events, and its steps and messages, stored as they grow."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator

from msgspec.structs import replace

from aiodashassist.core.events import (
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
)
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.models import (
    RESTING,
    TERMINAL,
    Content,
    FinalAnswer,
    FinalMessage,
    LastError,
    Message,
    MessageCreation,
    Run,
    RunStep,
    StepDetails,
    Text,
)
from aiodashassist.core.tooling import PluginCall, ToolCall
from aiodashassist.server.engines import UsePlugin, chunks
from aiodashassist.server.store import Store

__all__ = ("STAMPS", "EventLog", "Writer", "new_id", "now")

STAMPS = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
    "expired": "expired_at",
}
GROWING = ("code_interpreter", "quark_search", "text_to_image", "calculator")
"""The plugins that show their calls as these grow; no other does (dashscope.md §5.4)."""


def now() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def new_id(prefix: str) -> str:
    """An id as the wire has them (dashscope.md §3)."""
    return f"{prefix}_{uuid.uuid4()}"


class EventLog:
    """The events of one run so far; any number of readers follow it, each at its own pace.

    Every event passes the strict run machine, so what is streamed is what the protocol allows.
    """

    def __init__(self) -> None:
        self._machine = RunMachine(strict=True)
        self._events: list[Event] = []
        self._more = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Add an event and wake the readers.

        Raises:
            ProtocolError: the run cannot say this now.
        """
        self._machine.receive(event)
        self._events.append(event)
        self._more.set()
        self._more = asyncio.Event()

    async def follow(self, start: int, *, through: bool = False) -> AsyncGenerator[Event, None]:
        """Events from `start` on, up to the one with which the run rests; `through` to its end."""
        last = TERMINAL if through else RESTING
        for index in range(start, 1 << 62):
            while index >= len(self._events):
                await self._more.wait()
            event = self._events[index]
            yield event
            if isinstance(event, RunEvent) and event.status in last:
                return


class Writer:
    """Writes a run's steps and messages, to the store and to the log; one step is open at a time.

    Attributes:
        words: pieces of text written so far.
        answer: the last message that was completed, as a run that is waited for has it.
    """

    def __init__(self, store: Store, workspace: str, run: Run, log: EventLog) -> None:
        self.words = 0
        self.answer: FinalAnswer | None = None
        self._store = store
        self._workspace = workspace
        self._run = run  # its ids; where it is now, the execution knows
        self._log = log
        self._step: RunStep | None = None  # under way
        self._message: Message | None = None  # being written
        self._parts: list[str] = []

    def say(self, text: str) -> None:
        """Write more text, into a new message unless one is open."""
        message = self._message or self.open_message()
        self._parts.append(text)
        self.words += 1
        self._log.append(MessageDelta(message_id=message.id, text=text))

    def open_message(self) -> Message:
        """Begin a message, and its step."""
        message = Message(
            id=new_id("message"),
            created_at=now(),
            thread_id=self._run.thread_id,
            role="assistant",
            assistant_id=self._run.assistant_id,
            run_id=self._run.id,
        )
        creation = MessageCreation(message_id=message.id)
        self._open_step(StepDetails(type="message_creation", message_creation=creation))
        self._message, self._parts = message, []
        self._log.append(MessageEvent(name="created", status="in_progress", message=message))
        self._log.append(MessageEvent(status="in_progress", message=message))
        return message

    async def use(self, plugin: UsePlugin) -> None:
        """Write the step of a plugin; what is open is completed before."""
        self.close("completed")
        step = self._open_step(StepDetails(type="tool_calls"))
        await asyncio.sleep(0)  # readers and other runs come to their turn
        if plugin.type in GROWING:
            pieces = [PluginCall(arguments=chunk) for chunk in chunks(plugin.arguments)]
            # The output comes whole, then once more as an empty text (dashscope.md §5.4).
            for piece in (*pieces, PluginCall(output=plugin.output), PluginCall(output="")):
                call = ToolCall(type=plugin.type, plugin=piece)
                self._log.append(StepDelta(step_id=step.id, tool_calls=(call,)))
                await asyncio.sleep(0)
        whole = PluginCall(arguments=plugin.arguments, output=plugin.output)
        self.end_calls((ToolCall(type=plugin.type, plugin=whole),))

    def open_calls(self) -> None:
        """Begin the step of a round of calls; what is open is completed before."""
        self.close("completed")
        self._open_step(StepDetails(type="tool_calls"))

    def end_calls(self, calls: tuple[ToolCall, ...]) -> None:
        """Complete the open step with these calls and their outputs."""
        self._end_step("completed", StepDetails(type="tool_calls", tool_calls=calls))

    def close(self, status: str, error: LastError | None = None) -> None:
        """End what is open, as a run that comes to `status` leaves it."""
        if self._message is not None:
            self._end_message("completed" if status == "completed" else "incomplete")
        if self._step is not None:
            step_status = status if status in STAMPS else "completed"
            self._end_step(step_status, self._step.step_details, error)

    def _end_message(self, status: str) -> None:
        assert self._message is not None  # noqa: S101 (for the type checker)
        stamp = "completed_at" if status == "completed" else "incomplete_at"
        self._log.append(MessageDelta(message_id=self._message.id))  # the last is empty (§5.4)
        content = (Content(text=Text(value="".join(self._parts))),)
        message = replace(self._message, content=content, **{stamp: now()})
        self._message = None
        said = FinalMessage(message_id=message.id, content=content)
        self.answer = FinalAnswer(message=said) if status == "completed" else None
        self._store.put(self._workspace, message, message.thread_id or "")
        self._log.append(MessageEvent(status=status, message=message))

    def _open_step(self, details: StepDetails) -> RunStep:
        step = RunStep(
            id=new_id("step"),
            created_at=now(),
            assistant_id=self._run.assistant_id,
            thread_id=self._run.thread_id,
            run_id=self._run.id,
            type=details.type,
            status="in_progress",
            step_details=details,
        )
        self._step = step
        self._store.put(self._workspace, step, self._run.id)
        self._log.append(StepEvent(name="created", status="in_progress", step=step))
        self._log.append(StepEvent(status="in_progress", step=step))
        return step

    def _end_step(
        self, status: str, details: StepDetails | None, error: LastError | None = None
    ) -> None:
        assert self._step is not None  # noqa: S101 (for the type checker)
        step = replace(
            self._step,
            status=status,
            step_details=details,
            last_error=error,
            **{STAMPS[status]: now()},
        )
        self._step = None
        self._store.put(self._workspace, step, self._run.id)
        self._log.append(StepEvent(status=status, step=step))
