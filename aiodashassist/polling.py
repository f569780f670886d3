"""A run that is read again and again: how one is followed that has no stream, or not ours.

Neither service opens the stream of a run a second time. What a stream would have said is made up
from the run, its steps and its messages, as soon as the run rests.
"""

import logging
import random
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from msgspec import Struct

from aiodashassist.calls import Session
from aiodashassist.core.events import Event, RunEvent, StreamRecovered
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.models import RESTING, TERMINAL, Run
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.errors import APIError, AssistError, ConfigError, IdleTimeout
from aiodashassist.retelling import Kept, Retelling

__all__ = ("Break", "PolledRun", "pauses")

T = TypeVar("T")

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 5.0  # seconds
GROWTH = 1.5
FAILED = TERMINAL - {"completed"}
GLANCES = 3  # more, at a run of which not all is there yet; some things never are
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
        machine: knows which rounds of calls were answered.
    """

    breaks_off = False

    def __init__(
        self,
        session: Session,
        thread_id: str,
        run_id: str,
        broken: Break | None = None,
        machine: RunMachine | None = None,
    ) -> None:
        self._session = session
        self._run_id = run_id
        self._machine = machine or RunMachine()
        self._broken = broken
        before = broken.snapshot if broken is not None else None
        self._retelling = Retelling(session, thread_id, run_id, before)
        self._looked = False
        # None is no status at all; a run may be without one.
        self._status = (broken.status or None) if broken is not None else None
        # What a run asked for before the break has its outputs: the stream was the answer to them.
        self._answered = self._status == "requires_action"
        run = broken.run if broken is not None else None
        self._calls = _calls(run) if run is not None else ()
        self._step = self._machine.step_id  # of the calls
        self._events: deque[Event] = deque()
        self._pauses = pauses()
        self._patient = False
        self._silence = 0.0  # seconds that were waited since the run went on
        self._trace: object = None  # of a run that is under way: it changes when the run goes on
        self._glances = 0  # at a run that rests, for what is not kept of it yet

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
        await self._session.experience.pause(pause)
        self._silence += pause
        if watched and idle is not None and self._silence >= idle:
            await self._check_progress(idle)

    async def _check_progress(self, idle: float) -> None:
        """A run that writes and calls goes on, although its status does not tell.

        Raises:
            IdleTimeout: it has not gone on since it was looked at last.
        """
        before, self._trace = self._trace, await self._read_back(self._retelling.trace())
        if self._trace == before and not self._patient:
            broken = self._broken
            if broken is not None and isinstance(broken.error, APIError):
                raise broken.error
            raise IdleTimeout(f"the stream broke, and the run has not gone on for {idle} s since")
        self._silence = 0.0

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
        run = await self._retelling.run()
        if not self._looked and self._broken is not None:
            self._events.append(StreamRecovered(reason=self._broken.error.message, run=run))
            if run.status not in RESTING:
                self._trace = await self._retelling.trace()
        if run.status == "requires_action":
            await self._waits(run)
        elif run.status in RESTING:
            await self._has_ended(run)
        elif run.status != self._status:
            self._moves(run)

    def _moves(self, run: Run, round_: str = "") -> None:
        """Tell where the run is now."""
        self._events.append(RunEvent(status=run.status, run=run, round=round_))
        self._status, self._calls, self._answered = run.status, _calls(run), False
        self._pauses, self._silence, self._glances = pauses(), 0.0, 0

    async def _has_ended(self, run: Run) -> None:
        kept = await self._retelling.kept(run)
        if self._is_behind(run, kept):
            return
        self._events.extend(self._retelling.new(kept))
        self._moves(run)

    async def _waits(self, run: Run) -> None:
        """The run waits for outputs: for those of a round that was not told yet, or of an old one.

        Between two looks a run can be answered and ask for the next round.
        """
        kept = await self._retelling.kept(run)
        self._events.extend(self._retelling.new(kept))
        is_other = kept.calling not in ("", self._step)
        if is_other:
            run = await self._retelling.run()  # it may have named the calls of the round before
        if run.status != "requires_action":
            return
        if self._machine.has_answered(run, kept.calling, lists_calls=kept.lists_calls):
            return
        is_other = is_other or run.status != self._status or _calls(run) != self._calls
        repeats = self._machine.repeats(run)  # or the run is older than its steps
        if is_other and not self._is_behind(run, kept, seems=repeats):
            self._step = kept.calling
            self._moves(run, "" if kept.calling else f"read {self._machine.rounds}")

    def _is_behind(self, run: Run, kept: Kept, *, seems: bool = False) -> bool:
        """Whether there should be more of a run that rests, so that it is looked at again.

        Some things never are there: it is not looked for them for ever.

        Raises:
            AssistError: how the stream broke, if a message of the run is not there for all looking:
                its text would be missing, and nobody told.
        """
        if not seems and not self._retelling.is_behind(run, kept):
            return False
        self._glances += 1
        if self._glances <= GLANCES:
            return True
        # Where the run goes on here, or has failed, what is missing may come, or never was.
        goes_on = run.status == "requires_action" and not self._session.provider.reopens
        if self._broken is None or goes_on or run.status in FAILED:
            return False
        if kept.lacks_messages or self._broken.snapshot.broken_off(kept.messages):
            raise self._broken.error
        return False


def _calls(run: Run) -> tuple[tuple[str, str, str], ...]:
    """What a run waits for; a stream and an answer may spell it differently but for this."""
    return tuple((call.id, call.name, call.arguments) for call in run.tool_calls)
