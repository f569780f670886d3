"""A run that is read again and again: how one is followed that has no stream, or not ours.

Neither service opens the stream of a run a second time. What a stream would have said is made up
from the run, its steps and its messages, as soon as the run rests.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from msgspec import Struct

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.events import (
    Event,
    MessageEvent,
    RunEvent,
    StepEvent,
    StreamRecovered,
)
from aiodashassist.core.models import RESTING, FinalMessage, Message, Page, Run, RunStep
from aiodashassist.core.params import ListParams
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.errors import APIError, AssistError, ConfigError, IdleTimeout
from aiodashassist.pages import Paginator

__all__ = ("Break", "PolledRun", "pauses")

T = TypeVar("T")

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 5.0  # seconds
GROWTH = 1.5
LEFT = ("failed", "expired", "cancelled")  # statuses of a step that did not come to its end
JITTER = 0.2  # of a pause, up or down, so that many who wait do not ask in step


def pauses() -> Iterator[float]:
    """Seconds to wait between two looks: ever longer, never quite the same."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (nothing secret in it)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


class Break(Struct, frozen=True, kw_only=True):
    """How the stream broke that a run is read back for, and what had come of it.

    Attributes:
        error: how; raised where the run cannot be read back.
        snapshot: what had come, as it grows.
        run: the run as it was last seen.
        status: of the run.
    """

    error: AssistError
    snapshot: Snapshot
    run: Run | None = None
    status: str = ""


class PolledRun:
    """The events of a run that is polled: every change of its status, and all it said at its rest.

    A feed like that of a stream. `next` is to be called in a task of its own, since closing does
    not end one that waits.

    Args:
        session: what asks.
        thread_id: the thread.
        run_id: the run.
        broken: the stream that it is read back for: what had come does not come again, and a run
            that does not go on for `Timeouts.idle` is given up. Without one silence is no fault.
    """

    breaks_off = False

    def __init__(
        self, session: Session, thread_id: str, run_id: str, broken: Break | None = None
    ) -> None:
        self._session = session
        self._thread_id = thread_id
        self._run_id = run_id
        self._broken = broken
        self._looked = False
        # None is no status at all; a run may be without one.
        self._status = (broken.status or None) if broken is not None else None
        # What a run asked for before the break has its outputs: the stream was the answer to them.
        self._answered = self._status == "requires_action"
        run = broken.run if broken is not None else None
        self._round = _round(run) if run is not None else ()
        self._events: deque[Event] = deque()
        self._told = broken.snapshot.told if broken is not None else set()
        self._pauses = pauses()
        self._patient = False
        self._silence = 0.0  # seconds that were waited since the run went on
        self._trace: object = None  # of a run that is under way: it changes when the run goes on
        self._size = session.provider.largest_page

    async def next(self) -> Event | None:
        """The next event; None where the run goes on only in another stream, or not at all.

        Raises:
            AssistError: the run cannot be read; of one that is read back, how its stream broke.
            IdleTimeout: a run that is read back does not go on.
        """
        while not self._events:
            if self._looked and self._status in RESTING and self._is_over():
                return None
            if self._looked:
                await self._pause()
            await self._look()
        return self._events.popleft()

    def close(self) -> None:
        """Forget what was not taken."""
        self._events.clear()

    def bear_silence(self, *, patient: bool) -> None:
        """Whether silence is borne without limit, because the service waits for us."""
        self._patient = patient
        self._silence = 0.0

    def _is_over(self) -> bool:
        """Whether nothing more comes here; a run may be slow to say that it has its outputs."""
        waits = self._status == "requires_action"
        return not waits or (self._session.provider.reopens and not self._answered)

    async def _pause(self) -> None:
        """Wait for the next look; only this waiting is the service's silence."""
        pause, idle = next(self._pauses), self._session.config.timeouts.idle
        watched = self._broken is not None and not self._patient and idle is not None
        if watched and idle is not None:
            pause = min(pause, max(idle - self._silence, 0.0))
        await asyncio.sleep(pause)
        self._silence += pause
        if watched and idle is not None and self._silence >= idle:
            await self._check_progress(idle)

    async def _check_progress(self, idle: float) -> None:
        """A run that writes and calls goes on, although its status does not tell.

        Raises:
            IdleTimeout: it has not gone on since it was looked at last.
        """
        before, self._trace = self._trace, await self._read_back(self._traced())
        if self._trace == before and not self._patient:
            broken = self._broken
            if broken is not None and isinstance(broken.error, APIError):
                raise broken.error
            raise IdleTimeout(f"the stream broke, and the run has not gone on for {idle} s since")
        self._silence = 0.0

    async def _traced(self) -> object:
        run = await self._retrieved()
        steps = [(step.id, step.status) for step in await self._listed_steps()]
        messages = await self._messages(run, set())
        return run.status, steps, [(message.id, len(message.text)) for message in messages]

    async def _read_back(self, reading: Coroutine[Any, Any, T]) -> T:
        """What is read; where it cannot be, the error is how the stream broke."""
        try:
            return await reading
        except AssistError as error:
            if self._broken is None or isinstance(error, ConfigError):  # no word of the service
                raise
            failure = error
        logger.debug("run %s cannot be read back: %r", self._run_id, failure)
        self._broken.error.__cause__ = failure  # how it broke, its words tell
        raise self._broken.error

    async def _look(self) -> None:
        await self._read_back(self._looked_at())
        self._looked = True

    async def _looked_at(self) -> None:
        run = await self._retrieved()
        again = self._looked and run.status == self._status
        if not self._looked and self._broken is not None:
            self._events.append(StreamRecovered(reason=self._broken.error.message, run=run))
            if run.status not in RESTING:
                self._trace = await self._traced()
        if again and run.status != "requires_action":
            return
        said = await self._said(run) if run.status in RESTING else []
        self._events.extend(said)
        # Between two looks a run can be answered and ask for the next round: then what was read
        # before the steps may still name the calls of the round before.
        asks = any(map(_asks, said))
        if asks:
            run = await self._retrieved()
            if run.status != "requires_action":
                return
        if run.status != self._status or _round(run) != self._round or asks:
            self._events.append(RunEvent(status=run.status, run=run))
            self._status, self._round, self._answered = run.status, _round(run), False
            self._pauses, self._silence = pauses(), 0.0

    async def _retrieved(self) -> Run:
        return await self._session.call(
            ops.RetrieveRun(thread_id=self._thread_id, run_id=self._run_id)
        )

    async def _listed_steps(self) -> list[RunStep]:
        listed = Paginator(self._steps, {"order": "asc", "page_size": self._size})
        return [step async for step in listed]

    async def _said(self, run: Run) -> list[Event]:
        """What the run did and said, in order, without what was told before."""
        steps = await self._listed_steps()
        listed = await self._messages(run, {_written_by(step) for step in steps})
        known = self._recognised(run, listed)
        messages = {was.id: now for was, now in zip(listed, known, strict=True)}
        events: list[Event] = []
        for step in steps:
            message = messages.pop(_written_by(step), None)
            if message is not None:
                events += self._new(message.id, _message_event(message, step.status))
            events += self._new(step.id, StepEvent(status=_status_of(step), step=step))
        for message in messages.values():  # no step claims them
            events += self._new(message.id, _message_event(message))
        return events

    def _recognised(self, run: Run, listed: list[Message]) -> list[Message]:
        """The messages as the stream named them.

        Raises:
            AssistError: how it broke, if the run has completed and a message it had begun is not
                there: its end would be missing, and nobody told.
        """
        if self._broken is None:
            return listed
        known = self._broken.snapshot.recognised(listed)
        if run.status == "completed" and self._broken.snapshot.broken_off(known):
            raise self._broken.error
        return known

    def _new(self, obj_id: str, event: StepEvent | MessageEvent) -> list[Event]:
        if (obj_id, event.status) in self._told:
            return []
        self._told.add((obj_id, event.status))
        return [event]

    async def _messages(self, run: Run, written: set[str]) -> list[Message]:
        """The run's messages, the oldest first; the thread may have many more, and older ones.

        They have its id, or a step names them: AppBuilder's were never seen (appbuilder.md §3.6).
        One that only the run's final answer has is taken from there (§3.9).
        """
        found: list[Message] = []
        async for message in Paginator(self._thread, {"order": "desc", "page_size": self._size}):
            if message.run_id == run.id or message.id in written:
                found.append(message)
            elif message.created_at and message.created_at < (run.created_at or 0):
                break
        found.reverse()
        final = run.final_answer.message if run.final_answer is not None else FinalMessage()
        last = Message(id=final.message_id, role="assistant", content=final.content, run_id=run.id)
        if last.id and not any(one.id == last.id or one.text == last.text for one in found):
            found.append(last)
        return found

    async def _steps(self, page: ListParams) -> Page[RunStep]:
        return await self._session.call(
            ops.ListSteps(thread_id=self._thread_id, run_id=self._run_id, page=page)
        )

    async def _thread(self, page: ListParams) -> Page[Message]:
        return await self._session.call(ops.ListMessages(thread_id=self._thread_id, page=page))


def _round(run: Run) -> tuple[tuple[str, str, str], ...]:
    """What a run waits for; a stream and an answer may spell it differently but for this."""
    return tuple((call.id, call.name, call.arguments) for call in run.tool_calls)


def _written_by(step: RunStep) -> str:
    """The message that a step wrote; `""` for none."""
    creation = step.step_details.message_creation if step.step_details is not None else None
    return creation.message_id if creation is not None else ""


def _asks(event: Event) -> bool:
    """Whether it is a step that waits for the outputs of its calls."""
    if not isinstance(event, StepEvent):
        return False
    return event.step.type == "tool_calls" and event.status == "in_progress"


def _status_of(step: RunStep) -> str:
    return step.status or "completed"


def _message_event(message: Message, step: str | None = None) -> MessageEvent:
    """An incomplete message has the time when it was left (dashscope.md §3.4).

    AppBuilder's has none: there it is known by the status of its step.
    """
    left = message.incomplete_at is not None or message.status == "incomplete" or step in LEFT
    return MessageEvent(status="incomplete" if left else "completed", message=message)
