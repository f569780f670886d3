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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from aiodashassist.clocks import Alarm
from aiodashassist.core.events import ErrorEvent, Event
from aiodashassist.core.machine import CallTools, Finished, RunMachine
from aiodashassist.core.models import Run
from aiodashassist.core.operations import Operation, SubmitOutputs
from aiodashassist.core.outputs import match_outputs
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.dispatch import Bench, Round
from aiodashassist.errors import AssistError, StreamInterrupted, TotalTimeout, TransportError
from aiodashassist.feed import EventFeed
from aiodashassist.session import Session

__all__ = ("Opening", "RunLoop")

logger = logging.getLogger(__name__)

T = TypeVar("T")

Opening = Callable[[], Awaitable[Operation[Run]]]
"""Gives the operation that opens the stream, after whatever must be done before it."""

LINGER = 1.0  # seconds that a stream which has said all has to end, for its connection's sake


class RunLoop:
    """One run from its opening to its rest.

    Attributes:
        machine: where the run is.
        snapshot: what it has said and done.
        pending_calls: calls that wait for the user.
        exceeded: whether the run asked for more rounds than it was allowed.
        thread_id: the thread, as soon as it is known.

    Args:
        session: what sends operations.
        bench: what tool calls work with; None leaves them to the user.
        max_rounds: rounds of calls that are answered.
    """

    def __init__(self, session: Session, bench: Bench | None, max_rounds: int) -> None:
        self.machine = RunMachine()
        self.snapshot = Snapshot()
        self.pending_calls: tuple[ToolCall, ...] = ()
        self.exceeded = False
        self.thread_id: str | None = None
        self._session = session
        self._bench = bench
        self._max_rounds = max_rounds
        self._reopens = session.provider.reopens
        self._alarm = Alarm(session.config.timeouts.total, self.drop)
        self._reported: AssistError | None = None  # by an error frame, after it was handed out
        self._opening: asyncio.Task[EventFeed] | None = None
        self._asked = False  # whether the request for the run was begun
        self._feed: EventFeed | None = None
        self._round: Round | None = None
        self._reading: asyncio.Task[Event | None] | None = None
        self._posting: asyncio.Task[EventFeed | None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    @property
    def at_rest(self) -> bool:
        """Whether the run has ended, or waits for the user."""
        return bool(self.pending_calls) or isinstance(self.machine.next_action(), Finished)

    async def begin(self, opening: Opening) -> None:
        """Open the stream; if this is cancelled the opening goes on, for `find_run`."""
        self._opening = self._spawn(self._begin(opening))
        await self._wait({self._opening})
        opened, self._opening = self._opening, None
        self._feed = opened.result()

    async def next(self) -> Event | None:
        """The next event of the run, or of a tool; None when there is nothing more to do."""
        while not self._ended:
            self._check()
            try:
                event = await self._step()
            except TransportError:
                self._check()  # the total clock drops the connection: then that is the reason
                raise
            if event is not None:
                return event
        return None

    async def submit(self, outputs: Sequence[ToolOutput]) -> None:
        """Answer the `pending_calls`."""
        calls = self.pending_calls
        answers = match_outputs(calls, outputs)
        self.machine.answered()
        self._posting = self._spawn(self._deliver(answers))
        for call, answer in zip(calls, answers, strict=True):
            self.snapshot.called(call, answer.output)
        self.pending_calls, self._ended = (), False
        await self._delivered()

    @property
    def to_be_found(self) -> bool:
        """Whether a run was asked for that is not known yet: its first event is still to come."""
        asked = self._feed is not None or (self._opening is not None and self._asked)
        return asked and self.machine.run_id is None

    async def find_run(self) -> None:
        """Read on until the run is known, so that it can be cancelled; errors end it quietly."""
        try:
            if self._opening is not None:
                self._feed = await self._opening
            while self.machine.run_id is None and self._feed is not None:
                event = await self._feed.next()
                if event is None:
                    return
                self._received(event)
        except AssistError as error:
            logger.debug("left before the run was known: %r", error)

    def drop(self) -> None:
        """Drop the connection and stop the clocks; at once, without waiting."""
        self._alarm.stop()
        if self._opening is not None:
            self._opening.cancel()
        if self._feed is not None:
            self._feed.close()

    def cancel_tasks(self) -> set[asyncio.Task[Any]]:
        """Cancel whatever still runs for this loop; the tasks to wait for.

        A request for a run that is on its way is not cancelled: its run could not be found.
        """
        if self._round is not None:
            self._tasks.update(self._round.cancel())
        tasks = {task for task in self._tasks if task is not self._opening or not self._asked}
        for task in tasks:
            task.cancel()
        return tasks

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
            case CallTools(calls=calls):
                return await self._take_up(calls)
        event = await self._read()
        if event is None:
            raise StreamInterrupted("the stream ended before the run was at rest")
        return self._received(event)

    async def _take_up(self, calls: tuple[ToolCall, ...]) -> Event | None:
        """Begin a round of tools, or leave it to the user."""
        if self._bench is None:
            if self._reopens and self._feed is not None:
                return await self._last_words(ended=False)
            self.pending_calls, self._ended = calls, True
        elif self.machine.rounds >= self._max_rounds:
            self.exceeded, self._ended = True, True
        else:
            run_id = self.machine.run_id or ""
            self._round = Round(calls, self._bench, run_id=run_id, thread_id=self.thread_id)
        return None

    async def _attend(self, round_: Round) -> Event | None:
        """While tools run and their outputs travel; a stream that stays open is read on."""
        done = round_.take()
        if done is not None:
            self.snapshot.receive(done)
            return done
        if isinstance(self.machine.next_action(), Finished):
            self._tasks.update(round_.cancel())  # the run ended without waiting for them
            self._round = self._posting = None
            return None
        if round_.finished and self._posting is None:
            if self._reopens and self._feed is not None:
                return await self._last_words(ended=False)
            self.machine.answered()
            self._posting = self._spawn(self._deliver(round_.outputs()))
        if self._posting is not None and self._posting.done():
            self._round = None
            await self._delivered()
            return None
        waits: set[asyncio.Future[Any]] = {self._posting or round_.news()}
        if self._feed is not None:
            self._feed.bear_silence(patient=True)
            if self._reading is None:
                self._reading = self._spawn(self._feed.next())
            waits.add(self._reading)
        await self._wait(waits)
        if self._reading is not None and self._reading.done():
            return await self._read_beside()
        return None

    async def _read_beside(self) -> Event | None:
        """What the stream says while tools are at work; one that reopens may just end."""
        try:
            event = await self._read()
        except TransportError:
            if not self._reopens:
                raise
            event = None
        if event is not None:
            return self._received(event)
        if not self._reopens:
            raise StreamInterrupted("the stream ended while the run's tools were at work")
        self._leave_feed()
        return None

    async def _read(self) -> Event | None:
        """The next event of the stream, from the read that is under way if there is one."""
        if self._reading is None:
            return await self._feed.next() if self._feed is not None else None
        await self._wait({self._reading})
        reading, self._reading = self._reading, None
        return reading.result()

    async def _last_words(self, *, ended: bool) -> Event | None:
        """What a stream says after its run is at rest: mostly nothing but its end."""
        event = None
        try:
            async with asyncio.timeout(LINGER):
                event = await self._read()
        except (TransportError, TimeoutError) as error:
            logger.debug("a stream that had said all did not end well: %r", error)
        if event is not None:
            return self._received(event)
        self._leave_feed()
        if ended:
            self._alarm.stop()
        self._ended = ended
        return None

    def _leave_feed(self) -> None:
        """Done with this stream; another may follow."""
        if self._feed is not None:
            self._feed.close()
        self._feed = self._reading = None

    def _received(self, event: Event) -> Event:
        self.machine.receive(event)
        self.snapshot.receive(event)
        if isinstance(event, ErrorEvent):
            self._reported = self._session.stream_error(event)
        if self.thread_id is None and self.machine.run is not None:
            self.thread_id = self.machine.run.thread_id
        return event

    async def _begin(self, opening: Opening) -> EventFeed:
        operation = await opening()
        self.thread_id = getattr(operation, "thread_id", None)
        self._asked = True
        return await self._open(operation)

    async def _open(self, operation: Operation[Run]) -> EventFeed:
        body = await self._session.open(operation)
        config = self._session.config
        return EventFeed(body, self._session.provider.reader(), config.timeouts, config.limits)

    async def _deliver(self, outputs: tuple[ToolOutput, ...]) -> EventFeed | None:
        """Send the outputs of a round; the stream that this opens, where it opens one."""
        operation = SubmitOutputs(
            thread_id=self.thread_id or "",
            run_id=self.machine.run_id or "",
            tool_outputs=outputs,
            stream=self._reopens,
        )
        if operation.stream:
            return await self._open(operation)
        await self._session.call(operation)
        return None

    async def _delivered(self) -> None:
        """Wait until the outputs have arrived; where that opens a new stream, read that one."""
        if self._posting is not None:
            await self._wait({self._posting})
            posting, self._posting = self._posting, None
            self._feed = posting.result() or self._feed
        if self._feed is not None:
            self._feed.bear_silence(patient=False)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits is told; there may be nobody left who does

    async def _wait(self, waits: set[asyncio.Future[Any]]) -> None:
        """Until one of them is done, or the total time is over; cancels none of them."""
        await asyncio.wait({*waits, self._alarm.bell}, return_when=asyncio.FIRST_COMPLETED)
        self._check()

    def _check(self) -> None:
        if self._reported is not None:
            raise self._reported
        if self._alarm.bell.done():
            total = self._session.config.timeouts.total
            raise TotalTimeout(f"the run took longer than {total} s")
