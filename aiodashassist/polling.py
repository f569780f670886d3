"""A run that is read again and again: how one is followed that has no stream, or not ours.

Neither service opens the stream of a run a second time. What a stream would have said is made up
from the run, its steps and its messages, as soon as the run rests.
"""

import asyncio
import random
from collections import deque
from collections.abc import Collection, Iterator

from aiodashassist.core import operations as ops
from aiodashassist.core.events import Event, MessageEvent, RunEvent, StepEvent
from aiodashassist.core.models import RESTING, Message, Page, RequiredAction, Run, RunStep
from aiodashassist.core.params import ListParams
from aiodashassist.pages import Paginator
from aiodashassist.session import Session

__all__ = ("PolledRun", "pauses")

FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 5.0  # seconds
GROWTH = 1.5
JITTER = 0.2  # of a pause, up or down, so that many who wait do not ask in step


def pauses() -> Iterator[float]:
    """Seconds to wait between two looks: ever longer, never quite the same."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (nothing secret in it)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


class PolledRun:
    """The events of a run that is polled: every change of its status, and all it said at its rest.

    A feed like that of a stream; the service's silence is no fault here. `next` is to be called in
    a task of its own, since closing does not end one that waits.
    """

    breaks_off = False

    def __init__(self, session: Session, thread_id: str, run_id: str) -> None:
        self._session = session
        self._thread_id = thread_id
        self._run_id = run_id
        self._status: str | None = None  # not looked at yet
        self._action: RequiredAction | None = None
        self._events: deque[Event] = deque()
        self._told: set[tuple[str, str]] = set()  # (id, status) of steps, and messages
        self._pauses = pauses()
        self._size = session.provider.largest_page

    async def next(self) -> Event | None:
        """The next event; None where the run goes on only in another stream, or not at all.

        Raises:
            AssistError: the run cannot be read.
        """
        while not self._events:
            if self._status in RESTING and self._is_over():
                return None
            if self._status is not None:
                await asyncio.sleep(next(self._pauses))
            await self._look()
        return self._events.popleft()

    def close(self) -> None:
        """Forget what was not taken."""
        self._events.clear()

    def bear_silence(self, *, patient: bool) -> None:
        """Nothing to do: silence is always borne."""

    def _is_over(self) -> bool:
        return self._status != "requires_action" or self._session.provider.reopens

    async def _look(self) -> None:
        run = await self._session.call(
            ops.RetrieveRun(thread_id=self._thread_id, run_id=self._run_id)
        )
        if run.status == self._status != "requires_action":
            return
        said = await self._said(run) if run.status in RESTING else []
        self._events.extend(said)
        # Between two looks a run can be answered and ask for the next round.
        action, asks = run.required_action, any(map(_asks, said))
        if run.status != self._status or action != self._action or asks:
            self._events.append(RunEvent(status=run.status, run=run))
            self._status, self._action, self._pauses = run.status, action, pauses()

    async def _said(self, run: Run) -> list[Event]:
        """What the run did and said, in order, without what was told before."""
        listed = Paginator(self._steps, {"order": "asc", "page_size": self._size})
        steps = [step async for step in listed]
        messages = {message.id: message for message in await self._messages(run, steps)}
        events: list[Event] = []
        for step in steps:
            message = messages.pop(_written_by(step), None)
            if message is not None:
                events += self._new(message.id, _message_event(message))
            events += self._new(step.id, StepEvent(status=_status_of(step), step=step))
        for message in messages.values():  # no step claims them
            events += self._new(message.id, _message_event(message))
        return events

    def _new(self, obj_id: str, event: StepEvent | MessageEvent) -> list[Event]:
        if (obj_id, event.status) in self._told:
            return []
        self._told.add((obj_id, event.status))
        return [event]

    async def _messages(self, run: Run, steps: Collection[RunStep]) -> list[Message]:
        """The run's messages, the oldest first; the thread may have many more, and older ones.

        They have its id, or a step names them: AppBuilder's were never seen (appbuilder.md §3.6).
        """
        found: list[Message] = []
        written = {_written_by(step) for step in steps}
        async for message in Paginator(self._thread, {"order": "desc", "page_size": self._size}):
            if message.run_id == run.id or message.id in written:
                found.insert(0, message)
            elif message.created_at and message.created_at < (run.created_at or 0):
                break
        return found

    async def _steps(self, page: ListParams) -> Page[RunStep]:
        return await self._session.call(
            ops.ListSteps(thread_id=self._thread_id, run_id=self._run_id, page=page)
        )

    async def _thread(self, page: ListParams) -> Page[Message]:
        return await self._session.call(ops.ListMessages(thread_id=self._thread_id, page=page))


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


def _message_event(message: Message) -> MessageEvent:
    """An incomplete message has the time when it was left (dashscope.md §3.4)."""
    left = message.incomplete_at is not None or message.status == "incomplete"
    return MessageEvent(status="incomplete" if left else "completed", message=message)
