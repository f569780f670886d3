"""Where the events of a run come from: its stream, the stream after that, or the run read back.

A run is begun once. When its stream breaks it is read back; when it breaks before it told of its
run, that is looked up. What reads and opens are tasks of the loop's errands, as far as whoever
closes the stream may still need what they find.
"""

import asyncio
import logging

from aiodashassist.calls import Session
from aiodashassist.core.events import ErrorEvent, Event
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.operations import SubmitOutputs
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.errands import Errands
from aiodashassist.errors import (
    AssistError,
    FirstEventTimeout,
    IdleTimeout,
    StreamInterrupted,
    TransportError,
)
from aiodashassist.exchange import Exchange, Lost, Opening
from aiodashassist.feed import Feed
from aiodashassist.polling import Break

__all__ = ("Source",)

logger = logging.getLogger(__name__)

BREAKS = (StreamInterrupted, FirstEventTimeout, IdleTimeout)


class Source:
    """The source of one run's events.

    Attributes:
        thread_id: the thread, as soon as it is known.

    Args:
        session: what sends operations.
        errands: the tasks of the stream, and what ends its waits.
        machine: where the run is.
        snapshot: what it has said and done.
    """

    def __init__(
        self, session: Session, errands: Errands, machine: RunMachine, snapshot: Snapshot
    ) -> None:
        self.thread_id: str | None = None
        self._session = session
        self._exchange = Exchange(session, machine)
        self._errands = errands
        self._machine = machine
        self._snapshot = snapshot
        self._broken: AssistError | None = None  # how a stream broke whose run is not known yet
        self._opening: asyncio.Task[Feed | Lost] | None = None
        self._feed: Feed | None = None
        self._reading: asyncio.Task[Event | None] | None = None

    @property
    def reopens(self) -> bool:
        """Whether the provider goes on with a new stream after a round of tools."""
        return self._exchange.reopens

    @property
    def is_open(self) -> bool:
        """Whether there is anything to read."""
        return self._feed is not None

    @property
    def has_read(self) -> bool:
        """Whether the read that goes on beside other work has come to something."""
        return self._reading is not None and self._reading.done()

    @property
    def to_be_found(self) -> bool:
        """Whether a run was asked for that is not known yet: its first event is still to come."""
        asked = self.is_open or (self._opening is not None and self._exchange.asked)
        return asked and self._machine.run_id is None

    @property
    def finding(self) -> set[asyncio.Task[Feed | Lost] | asyncio.Task[Event | None] | None]:
        """The tasks by which the run is found."""
        return {self._opening, self._reading}

    async def begin(self, opening: Opening) -> None:
        """Open the stream; if this is cancelled the opening goes on, for `find`."""
        self._opening = self._errands.begin(self._exchange.begin(opening))
        await self._until_open(self._opening)

    def deliver(self, operation: SubmitOutputs) -> asyncio.Task[Feed | Lost | None]:
        """Send the outputs of a round, in a task that no cancelled `next` cancels."""
        return self._errands.begin(self._exchange.deliver(operation))

    def take(self, opened: Feed | Lost) -> None:
        """Go on with what was opened instead of what was read before."""
        self.leave()
        self.thread_id = self.thread_id or self._exchange.thread_id
        self._machine.run_id = self._machine.run_id or self._exchange.run_id
        error, self._broken = self._broken, None
        if isinstance(opened, Lost):
            self.thread_id = self.thread_id or opened.run.thread_id
            self._machine.run_id = opened.run.id
            lost = StreamInterrupted("the answer was lost, and the run found")
            self._feed = self._read_back(error or lost)
        else:
            self._feed = opened

    async def next(self) -> Event | None:
        """The next event, also of a run read back; None where the source has changed.

        Raises:
            AssistError: it broke, and there is nothing to go on with.
        """
        if self._opening is not None:
            await self._until_open(self._opening)
            return None
        try:
            event = await self.read()
        except BREAKS as error:
            self._errands.check()  # a clock or a close dropped the connection: that is the reason
            self._recover(error)
            return None
        if event is None:
            self._recover(StreamInterrupted("the stream ended before the run was at rest"))
        return event

    async def read(self) -> Event | None:
        """The next event, from the read that is under way if there is one; None at the end."""
        if self._reading is None:
            if self._feed is None:
                return None
            if self._machine.run_id is not None and self._feed.breaks_off:
                return await self._feed.next()
        # A task, until the run is known: whoever closes then reads on (`find`).
        reading = self.reading(self._feed)
        while not reading.done():
            await self._errands.wait({reading})
        self._reading = None
        return reading.result()

    async def read_to_end(self) -> Event | None:
        """The next event of a stream that only has to end; None when it has, well or not."""
        try:
            event = await self.read()
        except TransportError as error:
            logger.debug("a stream that waits for tools did not end well: %r", error)
            event = None
        if event is None:
            self.leave()
        return event

    def beside(self) -> set[asyncio.Future[Event | None]]:
        """The read that goes on beside other work; whose silence is borne meanwhile."""
        if self._feed is None:
            return set()
        self._feed.bear_silence(patient=True)
        return {self.reading(self._feed)}

    def reading(self, feed: Feed | None) -> "asyncio.Task[Event | None]":
        """The read under way; one is begun where there is none."""
        if self._reading is None:
            assert feed is not None  # noqa: S101 (for the type checker)
            self._reading = self._errands.begin(feed.next())
        return self._reading

    def end_patience(self) -> None:
        """Silence counts again: the service waits for us no more."""
        if self._feed is not None:
            self._feed.bear_silence(patient=False)

    def reported(self, event: ErrorEvent) -> None:
        """The service reported an error: the stream is left, and the run read back.

        Raises:
            APIError: the run is not known.
        """
        error = self._session.provider.stream_error(event)
        if self._machine.run_id is None or not self._is_stream:
            raise error
        self.leave()
        self._feed = self._read_back(error)

    async def find(self) -> Event | None:
        """Read on until the run is known, so that it can be cancelled; what was read.

        Raises:
            AssistError: it cannot be found.
        """
        if self._opening is not None:
            opening, self._opening = self._opening, None
            self.take(await opening)
            return None
        reading = self.reading(self._feed)
        self._reading = None
        try:
            event = await reading
        except BREAKS as error:
            self._recover(error)
            return None
        if event is None:
            self._recover(StreamInterrupted("the stream ended before the run was known"))
        return event

    def shut(self) -> None:
        """Close what is read: there is nothing to come that matters."""
        if self._feed is not None:
            self._feed.close()

    def leave(self) -> None:
        """Done with this stream; another may follow."""
        self.shut()
        self._feed = self._reading = None

    def ask_no_more(self) -> None:
        """Nobody waits any more: what was not received is not sent again."""
        self._exchange.ask_no_more()

    def hang_up(self) -> None:
        """Drop the connection, also one that is only about to be made."""
        self._exchange.hang_up()

    async def _until_open(self, opening: asyncio.Task[Feed | Lost]) -> None:
        while not opening.done():
            await self._errands.wait({opening})
        self._opening = None
        self.take(opening.result())

    @property
    def _is_stream(self) -> bool:
        """Whether what is read is a stream, and no reading back of one."""
        return self._feed is not None and self._feed.breaks_off

    def _recover(self, error: AssistError) -> None:
        """A stream broke: read its run back; it is never begun a second time.

        Raises:
            AssistError: the error, where there is nothing to go on with.
        """
        if not self._is_stream:
            raise error
        self.leave()
        if self._machine.run_id is not None:
            self._feed = self._read_back(error)
        else:
            self._broken = error
            thread = self._snapshot.thread
            known = thread.id if thread is not None else None
            self._opening = self._errands.begin(self._exchange.again(error, known))

    def _read_back(self, error: AssistError) -> Feed:
        """Follow the run without its stream, from where that broke."""
        machine = self._machine
        self._session.scrub(error)
        broken = Break(error=error, snapshot=self._snapshot, run=machine.run, status=machine.status)
        return self._exchange.poll(self.thread_id or "", machine.run_id or "", broken)
