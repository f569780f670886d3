"""The one loop: reads a run's events, has its tools called, sends their outputs, reads on.

Only this room knows the order of the stages. It pulls; nothing beneath it calls back, and tool
outputs come back as a value, the next operation. After a round of tools it goes on in the
provider's way: with a new stream, or reading on while the outputs travel beside it.

No cancel scope and no task group stays open between two calls of `next`, so that a stream can be
iterated in one task and closed in another. What runs in between (tools, outputs on their way, a
read on a stream that stays open) are plain tasks that the loop owns; a cancelled `next` cancels
none of them and loses nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiodashassist.calls import Session
from aiodashassist.clocks import Alarm, expiry
from aiodashassist.core.events import ErrorEvent, Event, MessageEvent, RunEvent
from aiodashassist.core.machine import CallTools, Finished, RunMachine
from aiodashassist.core.models import Run
from aiodashassist.core.operations import SubmitOutputs
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.dispatch import Round
from aiodashassist.errands import Errands
from aiodashassist.errors import (
    AssistError,
    DecodeError,
    LocalProtocolError,
    StreamInterrupted,
    TotalTimeout,
    TransportError,
)
from aiodashassist.exchange import Lost, Opening
from aiodashassist.feed import Feed
from aiodashassist.jobs import Bench
from aiodashassist.source import Source

__all__ = ("RunLoop",)

logger = logging.getLogger(__name__)

LINGER = 1.0  # seconds that a stream which has said all has to end, for its connection's sake


class RunLoop:
    """One run from its opening to its rest.

    Attributes:
        machine: where the run is.
        snapshot: what it has said and done.
        exceeded: whether the run asked for more rounds than it was allowed.

    Args:
        session: what sends operations.
        bench: what tool calls work with; None leaves them to the user.
        max_rounds: rounds of calls that are answered.
        outputs: made elsewhere, for the first round that is taken up.
    """

    def __init__(
        self,
        session: Session,
        bench: Bench | None,
        max_rounds: int,
        outputs: Sequence[ToolOutput] = (),
    ) -> None:
        self.machine = RunMachine()
        self.snapshot = Snapshot()
        self.exceeded = False
        self._session = session
        self._bench = bench
        self._max_rounds = max_rounds
        self._given = outputs
        self._errands = Errands()
        self._source = Source(session, self._errands, self.machine, self.snapshot)
        self._alarm = Alarm(session.config.timeouts.total, self._overdue)
        self._later: deque[Event] = deque()  # to be handed out before anything else is read
        self._round: Round | None = None  # at work, or its outputs are on their way
        self._paused: Round | None = None  # the user has calls of it to answer
        self._submitted: Round | None = None  # the user's answers are on their way
        self._undelivered: Round | None = None  # its outputs have not arrived yet
        self._posting: asyncio.Task[Feed | Lost | None] | None = None
        self._leave_at: float | None = None  # when a stream that has said all is left
        self._ended = False
        self._cancelled: Run | None = None  # here: what it asks for from then on is nobody's

    @property
    def pending_calls(self) -> tuple[ToolCall, ...]:
        """Calls that wait for the user."""
        return self._paused.pending if self._paused is not None else ()

    @property
    def completed_outputs(self) -> tuple[ToolOutput, ...]:
        """What the other calls of that round gave, by `call_id`; of one not delivered, all."""
        round_ = self._paused or self._undelivered
        return round_.completed if round_ is not None else ()

    @property
    def at_rest(self) -> bool:
        """Whether the run has ended, or waits for the user."""
        return self._paused is not None or isinstance(self.machine.next_action(), Finished)

    @property
    def thread_id(self) -> str | None:
        """The thread, as soon as it is known."""
        return self._source.thread_id

    @property
    def to_be_found(self) -> bool:
        """Whether a run was asked for that is not known yet: its first event is still to come."""
        return self._source.to_be_found

    async def begin(self, opening: Opening) -> None:
        """Open the stream; if this is cancelled the opening goes on, for `find_run`."""
        await self._source.begin(opening)

    async def next(self) -> Event | None:
        """The next event of the run, or of a tool; None when there is nothing more to do."""
        while True:
            if self._later:
                return self._later.popleft()
            if self._ended:
                return None
            self._errands.check()
            try:
                event = await self._step()
            except TransportError:
                self._errands.check()  # a clock or a close dropped it: then that is the reason
                raise
            if event is not None:
                return event

    async def submit(self, outputs: Sequence[ToolOutput]) -> None:
        """Answer the `pending_calls`; they stay pending where their outputs do not arrive."""
        if self._paused is None:
            raise LocalProtocolError("no calls wait for outputs")
        self._errands.check()
        self._posting = self._post(self._paused.submit(outputs))
        self._submitted, self._paused, self._ended = self._paused, None, False
        await self._delivered()

    def was_cancelled(self, run: Run) -> None:
        """The run was cancelled: its calls are nobody's any more.

        A provider that reopens has no stream to say so while calls wait, so it is said here; the
        other says it on the stream that is open.
        """
        action = self.machine.next_action()
        if isinstance(action, Finished):
            return
        self._cancelled = run
        if not (action or self._round or self._posting):
            return
        self._drop_round()
        self.machine.cancelled()
        self._paused, self._undelivered, self._ended = None, None, False
        if self._source.reopens:
            self._source.shut()
            self._later.append(self._received(RunEvent(status="cancelled", run=run)))
        else:
            self._source.end_patience()
        self._errands.interrupt()

    def _drop_round(self) -> None:
        """End a round that nobody waits for; its outputs are not sent."""
        if self._round is not None:
            self._errands.adopt(self._round.cancel())
        self._round = self._posting = self._submitted = None

    async def find_run(self) -> None:
        """Read on until the run is known, so that it can be cancelled; errors end it quietly."""
        try:
            while self._source.to_be_found:
                event = await self._source.find()
                if event is not None:
                    self._received(event)
        except AssistError as error:
            logger.debug("left before the run was known: %r", error)

    def stop(self) -> None:
        """Nobody may read on, but for `find_run`; whoever waits is woken."""
        self._alarm.stop()
        self._source.ask_no_more()
        self._errands.fail(StreamInterrupted("the stream was closed"))

    def drop(self) -> None:
        """Stop, and drop the connection; at once, without waiting."""
        self.stop()
        self._source.hang_up()

    def cancel_tasks(self, *, find: bool) -> set[asyncio.Task[Any]]:
        """Cancel whatever still runs for this loop; the tasks to wait for.

        With `find`, what is needed to find the run is spared.
        """
        self._drop_round()
        return self._errands.cancel(self._source.finding if find else ())

    async def _step(self) -> Event | None:
        """Do the next thing; an event to hand out, or None to look again."""
        if self._round is not None:
            return await self._attend(self._round)
        if self._posting is not None:
            await self._delivered()
            return None
        match self.machine.next_action():
            case Finished():
                return await self._last_words(ended=True)
            case CallTools() if self._cancelled is not None:  # it had asked for them before
                self.was_cancelled(self._cancelled)
                return None
            case CallTools(calls=calls):
                self._take_up(calls)
                return None
        return await self._read_on()

    async def _read_on(self) -> Event | None:
        """The next event of a run that goes on, read from wherever it can be."""
        event = await self._source.next()
        if event is None:
            return None
        received = self._received(event)
        if isinstance(event, ErrorEvent) and not self.at_rest:
            try:
                self._source.reported(event)
            except AssistError as error:
                self._errands.fail(error)  # when the event has been handed out
        return received

    def _take_up(self, calls: tuple[ToolCall, ...]) -> None:
        """Begin a round of tools; without a bench there is nobody at work in it."""
        if self._bench is not None and self.machine.rounds >= self._max_rounds:
            self.exceeded, self._ended = True, True
            return
        run_id, given = self.machine.run_id or "", self._given
        self._round = Round(
            calls,
            self._bench,
            run_id=run_id,
            thread_id=self.thread_id,
            given=given,
            until=expiry(self.machine.run),
        )
        self._given = ()
        for call, output in self._round.given:
            self.snapshot.called(call, output.output)

    async def _attend(self, round_: Round) -> Event | None:
        """While tools run and their outputs travel; a stream that stays open is read on."""
        action = self.machine.next_action()
        told = None if isinstance(action, Finished) else round_.take()
        if told is not None:  # nothing comes after the run's last word
            self.snapshot.receive(told)
            return told
        beside = self._posting is None and not self._source.reopens
        went_on = action is None and (round_.pending or beside)
        if isinstance(action, Finished) or went_on:
            self._drop_round()  # the run ended, or went on, without waiting for them
            self._undelivered = None
            self._source.end_patience()
            return None
        if round_.finished and self._posting is None:
            return await self._settle(round_)
        if self._posting is not None and self._posting.done():
            self._round = None
            await self._delivered()
            self._undelivered = None
            return None
        await self._errands.wait({self._posting or round_.news(), *self._source.beside()})
        return await self._read_beside() if self._source.has_read else None

    async def _settle(self, round_: Round) -> Event | None:
        """The tools of a round are done: send their outputs, or leave the rest to the user."""
        if self._source.reopens and self._source.is_open:
            return await self._last_words(ended=False)
        if not round_.pending:
            self.machine.answered()
            self._undelivered = round_
            self._posting = self._post(round_.outputs())
        elif self._source.has_read:
            return await self._read_beside()
        else:
            self._paused, self._round, self._ended = round_, None, True
        return None

    async def _read_beside(self) -> Event | None:
        """What the stream says while tools are at work; one that reopens may just end."""
        if not self._source.reopens:
            return await self._read_on()
        event = await self._source.read_to_end()
        return None if event is None else self._received(event)

    async def _last_words(self, *, ended: bool) -> Event | None:
        """What a stream says after its run is at rest: mostly nothing but its end."""
        now = asyncio.get_running_loop().time()
        self._leave_at = self._leave_at or now + LINGER
        event = None
        try:
            if now < self._leave_at:
                async with asyncio.timeout_at(self._leave_at):
                    event = await self._source.read()
        except (TransportError, DecodeError, TimeoutError) as error:
            logger.debug("a stream that had said all did not end well: %r", error)
        if event is not None:
            return self._received(event)
        self._source.leave()
        self._leave_at = None
        self._ended = ended
        return None

    def _received(self, event: Event) -> Event:
        """Take an event in; what is to be handed out first."""
        self.machine.receive(event)
        missing = self.snapshot.missing(event) if isinstance(event, MessageEvent) else None
        if missing is not None:  # text is handed out as deltas, once, whatever the wire does
            self.snapshot.receive(missing)
            self._later.append(event)
        self.snapshot.receive(event)
        if self.thread_id is None and self.machine.run is not None:
            self._source.thread_id = self.machine.run.thread_id
        if isinstance(event, RunEvent):
            self._session.experience.known.add(event.run.id)
            if self.at_rest:
                self._alarm.stop()
        return missing or event

    def _post(self, outputs: tuple[ToolOutput, ...]) -> asyncio.Task[Feed | Lost | None]:
        """Send the outputs of a round, in a task that no cancelled `next` cancels."""
        operation = SubmitOutputs(
            thread_id=self.thread_id or "",
            run_id=self.machine.run_id or "",
            tool_outputs=outputs,
            stream=self._source.reopens,
            hint=self.machine.step_id or "",
        )
        return self._source.deliver(operation)

    async def _delivered(self) -> None:
        """Wait until the outputs have arrived; where that opens a new stream, read that one."""
        if self._posting is not None:
            posting = self._posting
            while not posting.done():
                await self._errands.wait({posting})
                if self._posting is not posting:
                    return  # the run was cancelled meanwhile
            self._posting = None
            submitted, self._submitted = self._submitted, None
            try:
                feed = posting.result()
            except AssistError:
                self._paused, self._ended = submitted, submitted is not None
                raise
            if submitted is not None:
                self.machine.answered()
                for call, answer in submitted.submitted:
                    self.snapshot.called(call, answer.output)
            if feed is not None:
                self._source.take(feed)
                self._leave_at = None
        self._source.end_patience()

    def _overdue(self) -> None:
        """The total time is over; a run that is not known yet has still to be found."""
        total = self._session.config.timeouts.total
        self._errands.fail(TotalTimeout(f"the run took longer than {total} s"))
        if self.machine.run_id is not None:
            self._source.hang_up()
