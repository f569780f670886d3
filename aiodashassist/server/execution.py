"""One run, executed: the engine's moves in, the run's events out, everything stored on the way.

An execution goes on whether anybody listens or not.
"""

import asyncio
import logging
from contextlib import aclosing
from typing import Any

from msgspec.structs import replace

from aiodashassist.core.events import RunEvent
from aiodashassist.core.models import (
    LastError,
    Message,
    RequiredAction,
    Run,
    SubmitToolOutputs,
    TruncationStrategy,
    Usage,
)
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.server.engines import CallFunctions, End, Engine, Say, Turn, UsePlugin
from aiodashassist.server.store import Store
from aiodashassist.server.writing import STAMPS, EventLog, Writer, new_id, now

__all__ = ("Execution",)

logger = logging.getLogger(__name__)

AGES = 1e9  # seconds; a run that never expires
SEEN = 10  # messages of the thread, unless the run says otherwise (dashscope.md §2.2)


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
        self._writer = Writer(store, workspace, run, self.log)
        # As the run found them: what is said meanwhile is not for this run.
        thread = store.all(workspace, Message, run.thread_id or "")
        self._messages = _newest(thread, run.truncation_strategy)
        self._rounds: list[tuple[ToolCall, ...]] = []
        self._answered = asyncio.Event()

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
            if not self.run.is_terminal:  # it may have been cancelled meanwhile
                self.end("failed", "server_error", "The engine failed; see the server's log.")

    def answer(self, calls: tuple[ToolCall, ...]) -> None:
        """Take the outputs of the round and let the run go on, at once."""
        self._rounds.append(calls)
        self._writer.end_calls(calls)
        self._move("queued", required_action=None, expires_at=None)
        self._move("in_progress")
        self._answered.set()

    def end(self, status: str, code: str = "", message: str = "") -> None:
        """End the run, with what is open of it."""
        error = LastError(code=code, message=message) if status == "failed" else None
        self._writer.close(status, error)
        stamp: dict[str, Any] = {STAMPS[status]: now()} if status in STAMPS else {}
        answer = self._writer.answer if status == "completed" else None
        self._move(
            status,
            required_action=None,
            expires_at=None,
            last_error=error,
            usage=self._usage(),
            final_answer=answer,
            **stamp,
        )

    async def rest(self) -> Run:
        """Wait until the run has ended, or waits for outputs; the run as it is then."""
        async with aclosing(self.log.follow(len(self.log) - 1)) as events:
            async for _ in events:
                pass
        return self.run

    def cancel(self) -> None:
        """End the run as cancelled, by way of `cancelling`."""
        self._move("cancelling")
        self.end("cancelled")

    async def _turn(self) -> bool:
        """Play one turn; whether the run is over."""
        turn = Turn(run=self.run, messages=self._messages, rounds=tuple(self._rounds))
        said = self._writer.words
        async with aclosing(self._engine.respond(turn)) as moves:
            async for move in moves:
                match move:
                    case Say(text=text):
                        self._writer.say(text)
                        await asyncio.sleep(0)  # readers and other runs come to their turn
                    case UsePlugin():
                        await self._writer.use(move)
                    case CallFunctions(calls=calls):
                        self._call(calls)
                        return False
                    case End(status=status, code=code, message=message):
                        self.end(status, code, message)
                        return True
        if self._writer.words == said:
            self._writer.open_message()  # an answer without text is an empty message
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

    def _call(self, functions: tuple[FunctionCall, ...]) -> None:
        ids = ["" if self._empty_call_ids else new_id("call") for _ in functions]
        calls = tuple(
            ToolCall(id=call_id, function=function)
            for call_id, function in zip(ids, functions, strict=True)
        )
        self._answered.clear()
        self._writer.open_calls()
        action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
        # Whether the live service says so is not known (dashscope.md §8); a client can use it.
        until = now() + int(min(self._expire_after, AGES) * 1000)
        self._move("requires_action", required_action=action, expires_at=until)

    def _move(self, status: str, *, name: str = "", **changes: Any) -> None:
        self.run = replace(self.run, status=status, **changes)
        self._store.put(self._workspace, self.run, self.run.thread_id or "")
        self.log.append(RunEvent(name=name, status=status, run=self.run))

    def _usage(self) -> Usage:
        """Pieces of text, for want of a model's tokens: deterministic and never zero-sized."""
        asked = sum(len(message.text) for message in self._messages if message.role == "user")
        words = self._writer.words
        return Usage(input_tokens=asked, output_tokens=words, total_tokens=asked + words)


def _newest(
    messages: tuple[Message, ...], strategy: TruncationStrategy | None
) -> tuple[Message, ...]:
    """The messages that a run sees: the thread's last ones, ten by default (§2.2)."""
    count = strategy.last_messages if strategy is not None else None
    return messages[max(0, len(messages) - (SEEN if count is None else count)) :]
