"""One run, executed: the engine's moves in, the run's events out, everything stored on the way.

An execution goes on whether anybody listens or not. Every event passes the strict run machine, so
what this server streams is what the protocol allows.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec.structs import replace

from aiodashassist.core.events import Event, MessageDelta, MessageEvent, RunEvent, StepEvent
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.models import (
    TERMINAL,
    Content,
    LastError,
    Message,
    MessageCreation,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Usage,
)
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.server.engines import CallFunctions, End, Engine, Say, Turn
from aiodashassist.server.store import Store

__all__ = ("EventLog", "Execution", "new_id", "now")

logger = logging.getLogger(__name__)

STAMPS = {"completed": "completed_at", "failed": "failed_at", "cancelled": "cancelled_at"}


def now() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def new_id(prefix: str) -> str:
    """An id as the wire has them (dashscope.md §3)."""
    return f"{prefix}_{uuid.uuid4()}"


class EventLog:
    """The events of one run so far; any number of readers follow it, each at its own pace."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._more = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Add an event and wake the readers."""
        self._events.append(event)
        self._more.set()
        self._more = asyncio.Event()

    async def follow(self, start: int) -> AsyncGenerator[Event, None]:
        """Events from `start` on, up to the one with which the run rests."""
        for index in range(start, 1 << 62):
            while index >= len(self._events):
                await self._more.wait()
            event = self._events[index]
            yield event
            if isinstance(event, RunEvent) and event.status in TERMINAL | {"requires_action"}:
                return


class Execution:
    """One run from its first event to its last.

    Attributes:
        run: the run as it is now.
        log: its events.
    """

    def __init__(
        self,
        store: Store,
        workspace: str,
        run: Run,
        engine: Engine,
        *,
        expire_after: float,
        empty_call_ids: bool,
    ) -> None:
        self.run = run
        self.log = EventLog()
        self._store = store
        self._workspace = workspace
        self._engine = engine
        self._expire_after = expire_after
        self._empty_call_ids = empty_call_ids
        self._machine = RunMachine(strict=True)
        # As the run found them: what is said meanwhile is not for this run.
        self._messages = store.all(workspace, Message, run.thread_id or "")
        self._rounds: list[tuple[ToolCall, ...]] = []
        self._answered = asyncio.Event()
        self._step: RunStep | None = None  # under way
        self._message: Message | None = None  # being written
        self._parts: list[str] = []
        self._words = 0

    def begin(self) -> None:
        """Take the run to `in_progress`, which is how a creation is answered."""
        self._move("queued", name="created")
        self._move("queued")
        self._move("in_progress")

    async def go(self) -> None:
        """Execute to the end; a fault of the engine fails the run."""
        try:
            while not await self._turn():
                await self._outputs()
                if self.run.is_terminal:
                    return
        except Exception:
            logger.exception("the engine failed in run %s", self.run.id)
            self.end("failed", "server_error", "The engine failed; see the server's log.")

    def answer(self, calls: tuple[ToolCall, ...]) -> None:
        """Take the outputs of the round and let the run go on, at once."""
        self._rounds.append(calls)
        details = StepDetails(type="tool_calls", tool_calls=calls)
        self._end_step("completed", details)
        self._move("queued", required_action=None)
        self._move("in_progress")
        self._answered.set()

    def end(self, status: str, code: str = "", message: str = "") -> None:
        """End the run, with what is open of it."""
        error = LastError(code=code, message=message) if status == "failed" else None
        step_status = status if status in ("failed", "cancelled", "expired") else "completed"
        if self._message is not None:
            self._end_message("completed" if status == "completed" else "incomplete")
        if self._step is not None:
            self._end_step(step_status, self._step.step_details, error)
        stamp: dict[str, Any] = {STAMPS[status]: now()} if status in STAMPS else {}
        self._move(status, required_action=None, last_error=error, usage=self._usage(), **stamp)

    def cancel(self) -> None:
        """End the run as cancelled, by way of `cancelling`."""
        self._move("cancelling")
        self.end("cancelled")

    async def _turn(self) -> bool:
        """Play one turn; whether the run is over."""
        turn = Turn(run=self.run, messages=self._messages, rounds=tuple(self._rounds))
        async with aclosing(self._engine.respond(turn)) as moves:
            async for move in moves:
                match move:
                    case Say(text=text):
                        self._say(text)
                        await asyncio.sleep(0)  # readers and other runs come to their turn
                    case CallFunctions(calls=calls):
                        self._call(calls)
                        return False
                    case End(status=status, code=code, message=message):
                        self.end(status, code, message)
                        return True
        if self._message is None:
            self._open_message()  # an answer without text is an empty message
        self.end("completed")
        return True

    async def _outputs(self) -> None:
        """Wait for the outputs of the round, but not for ever."""
        try:
            async with asyncio.timeout(self._expire_after):
                await self._answered.wait()
        except TimeoutError:
            if not self._answered.is_set():  # else the answer came in the same moment
                self.end("expired")

    def _say(self, text: str) -> None:
        if self._message is None:
            self._open_message()
        assert self._message is not None  # noqa: S101 (for the type checker)
        self._parts.append(text)
        self._words += 1
        self._publish(MessageDelta(message_id=self._message.id, text=text))

    def _open_message(self) -> None:
        message = Message(
            id=new_id("message"),
            created_at=now(),
            thread_id=self.run.thread_id,
            role="assistant",
            assistant_id=self.run.assistant_id,
            run_id=self.run.id,
        )
        creation = MessageCreation(message_id=message.id)
        self._open_step(StepDetails(type="message_creation", message_creation=creation))
        self._message, self._parts = message, []
        self._publish(MessageEvent(name="created", status="in_progress", message=message))
        self._publish(MessageEvent(status="in_progress", message=message))

    def _end_message(self, status: str) -> None:
        assert self._message is not None  # noqa: S101 (for the type checker)
        stamp = "completed_at" if status == "completed" else "incomplete_at"
        self._publish(MessageDelta(message_id=self._message.id))  # the last delta is empty (§5.4)
        content = (Content(text=Text(value="".join(self._parts))),)
        message = replace(self._message, content=content, **{stamp: now()})
        self._message = None
        self._store.put(self._workspace, message, message.thread_id or "")
        self._publish(MessageEvent(status=status, message=message))

    def _call(self, functions: tuple[FunctionCall, ...]) -> None:
        if self._message is not None:
            self._end_message("completed")
            self._end_step("completed", self._step.step_details if self._step else None)
        ids = ["" if self._empty_call_ids else new_id("call") for _ in functions]
        calls = tuple(
            ToolCall(id=call_id, function=function)
            for call_id, function in zip(ids, functions, strict=True)
        )
        self._answered.clear()
        self._open_step(StepDetails(type="tool_calls"))
        action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
        self._move("requires_action", required_action=action)

    def _open_step(self, details: StepDetails) -> None:
        step = RunStep(
            id=new_id("step"),
            created_at=now(),
            assistant_id=self.run.assistant_id,
            thread_id=self.run.thread_id,
            run_id=self.run.id,
            type=details.type,
            status="in_progress",
            step_details=details,
        )
        self._step = step
        self._store.put(self._workspace, step, self.run.id)
        self._publish(StepEvent(name="created", status="in_progress", step=step))
        self._publish(StepEvent(status="in_progress", step=step))

    def _end_step(
        self, status: str, details: StepDetails | None, error: LastError | None = None
    ) -> None:
        assert self._step is not None  # noqa: S101 (for the type checker)
        stamps = {**STAMPS, "expired": "expired_at"}
        step = replace(
            self._step,
            status=status,
            step_details=details,
            last_error=error,
            **{stamps[status]: now()},
        )
        self._step = None
        self._store.put(self._workspace, step, self.run.id)
        self._publish(StepEvent(status=status, step=step))

    def _move(self, status: str, *, name: str = "", **changes: Any) -> None:
        self.run = replace(self.run, status=status, **changes)
        self._store.put(self._workspace, self.run, self.run.thread_id or "")
        self._publish(RunEvent(name=name, status=status, run=self.run))

    def _publish(self, event: Event) -> None:
        self._machine.receive(event)
        self.log.append(event)

    def _usage(self) -> Usage:
        """Pieces of text, for want of a model's tokens: deterministic and never zero-sized."""
        asked = sum(len(message.text) for message in self._messages if message.role == "user")
        return Usage(
            input_tokens=asked, output_tokens=self._words, total_tokens=asked + self._words
        )
