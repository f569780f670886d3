"""A run retold from what its service keeps of it: the run, its steps and its messages.

What is kept may lag behind: a list need not show at once what a run or a stream has told already.
"""

from collections.abc import Iterable

from msgspec import Struct

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.events import Event, MessageEvent, StepEvent
from aiodashassist.core.models import FinalMessage, Message, Page, Run, RunStep
from aiodashassist.core.params import ListParams
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.pages import Paginator

__all__ = ("Kept", "Retelling")

LEFT = ("failed", "expired", "cancelled")  # statuses of a step that did not come to its end


class Kept(Struct, frozen=True):
    """What there is of a run besides the run; messages have the ids that the stream gave them."""

    steps: list[RunStep]
    messages: list[Message]
    written: dict[str, str]  # message -> the step that wrote it

    @property
    def calling(self) -> str:
        """The step of calls that is under way; `""` for none."""
        under_way = (step.id for step in self.steps if _is_under_way(step) and _calls(step))
        return next(under_way, "")

    @property
    def lists_calls(self) -> bool:
        """Whether any step of calls is there."""
        return any(map(_calls, self.steps))

    @property
    def is_uneven(self) -> bool:
        """Whether there are messages without their steps, or steps without their messages."""
        return self.lacks_messages or (bool(self._written) and self._written < len(self.messages))

    @property
    def lacks_messages(self) -> bool:
        """Whether more messages were written than there are."""
        return self._written > len(self.messages)

    @property
    def _written(self) -> int:
        """How many messages were written; 0 also where the steps do not say it."""
        return len({_written_by(step) for step in self.steps} - {""})

    @property
    def ends(self) -> bool:
        """Whether it has an end, as what has completed must: a message, all steps being done."""
        calls_last = bool(self.steps) and _calls(self.steps[-1])
        return bool(self.messages) and not calls_last


class Retelling:
    """Reads what is kept of a run, and tells of it what was not told before.

    Args:
        session: what asks.
        thread_id: the thread.
        run_id: the run.
        before: what a stream had told of the run.
    """

    def __init__(
        self, session: Session, thread_id: str, run_id: str, before: Snapshot | None
    ) -> None:
        self._session = session
        self._thread_id = thread_id
        self._run_id = run_id
        self._before = before
        self._told = before.told if before is not None else set()
        self._size = session.provider.largest_page

    async def run(self) -> Run:
        """The run as it is."""
        return await self._session.call(
            ops.RetrieveRun(thread_id=self._thread_id, run_id=self._run_id)
        )

    async def trace(self) -> object:
        """Something that changes when the run goes on."""
        run = await self.run()
        steps = [(step.id, step.status) for step in await self._listed_steps()]
        messages = await self._listed_messages(run, set())
        return run.status, steps, [(message.id, len(message.text)) for message in messages]

    async def kept(self, run: Run) -> Kept:
        """What there is of a run."""
        steps = await self._listed_steps()
        writers = {_written_by(step): step.id for step in steps}
        listed = await self._listed_messages(run, writers)
        known = self._before.recognised(listed) if self._before is not None else listed
        written = {
            now.id: writers[was.id]
            for was, now in zip(listed, known, strict=True)
            if was.id in writers
        }
        return Kept(steps, known, written)

    def is_behind(self, run: Run, kept: Kept) -> bool:
        """Whether a run that rests has done more than what is kept of it shows."""
        ended = run.status != "requires_action"
        under_way = ended and any(map(_is_under_way, kept.steps))
        endless = run.status == "completed" and not kept.ends
        return under_way or endless or kept.is_uneven or self.lacks_told(kept)

    def lacks_told(self, kept: Kept) -> bool:
        """Whether something is not there that the stream has told of, and not told to its end."""
        before = self._before
        if before is None:
            return False
        here = {step.id for step in kept.steps}
        begun = (step for step in before.steps if _is_under_way(step) and step.id not in here)
        return any(begun) or before.broken_off(kept.messages)

    def new(self, kept: Kept) -> list[Event]:
        """What was not told before, in order."""
        events: list[Event] = []
        by_step = {kept.written.get(message.id, message.id): message for message in kept.messages}
        for step in kept.steps:
            message = by_step.pop(step.id, None)
            if message is not None:
                events += self._new(message.id, _message_event(message, step.status))
            events += self._new(step.id, StepEvent(status=step.status or "completed", step=step))
        for message in by_step.values():  # no step claims them
            events += self._new(message.id, _message_event(message))
        return events

    def _new(self, obj_id: str, event: StepEvent | MessageEvent) -> list[Event]:
        told = {status for known, status in self._told if known == obj_id}
        if event.status in told or (told - {"in_progress"} and event.status == "in_progress"):
            return []
        self._told.add((obj_id, event.status))
        return [event]

    async def _listed_steps(self) -> list[RunStep]:
        listed = Paginator(self._steps, {"order": "asc", "page_size": self._size})
        return [step async for step in listed]

    async def _listed_messages(self, run: Run, written: Iterable[str]) -> list[Message]:
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


def _written_by(step: RunStep) -> str:
    """The message that a step wrote; `""` for none."""
    creation = step.step_details.message_creation if step.step_details is not None else None
    return creation.message_id if creation is not None else ""


def _is_under_way(step: RunStep) -> bool:
    return step.status == "in_progress"


def _calls(step: RunStep) -> bool:
    return step.type == "tool_calls"


def _message_event(message: Message, step: str | None = None) -> MessageEvent:
    """An incomplete message has the time when it was left (dashscope.md §3.4).

    AppBuilder's has none: there it is known by the status of its step.
    """
    left = message.incomplete_at is not None or message.status == "incomplete" or step in LEFT
    return MessageEvent(status="incomplete" if left else "completed", message=message)
