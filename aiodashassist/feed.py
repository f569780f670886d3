"""One streamed answer: bytes in, events out, with the clock that watches its silence."""

from collections import deque
from typing import Protocol

from aiodashassist.body import Body
from aiodashassist.clocks import SilenceClock
from aiodashassist.core.decoding import parse
from aiodashassist.core.events import Event
from aiodashassist.core.provider import EventReader
from aiodashassist.core.settings import Limits, Timeouts
from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.errors import (
    AssistError,
    DecodeError,
    FirstEventTimeout,
    IdleTimeout,
    TransportError,
)

__all__ = ("EventFeed", "Feed")


class Feed(Protocol):
    """Where a run's events come from.

    Attributes:
        breaks_off: whether closing it ends a `next` that waits. Where not, `next` is called in a
            task, to be cancelled.
    """

    breaks_off: bool

    async def next(self) -> Event | None:
        """The next event; None where there are no more."""

    def close(self) -> None:
        """Drop it, and what has not been read."""

    def bear_silence(self, *, patient: bool) -> None:
        """Whether silence is borne without limit, because the service waits for us."""


class EventFeed:
    """The events of one streamed answer.

    `next` can be cancelled without losing anything. Only events count for the clock: comments and
    pings do not.
    """

    breaks_off = True

    def __init__(self, body: Body, read: EventReader, timeouts: Timeouts, limits: Limits) -> None:
        self._patient = False
        self._blocked = False
        self._body = body
        self._read_frame = read
        self._parser = SSEParser(limits.max_event_bytes)
        self._frames: deque[Frame] = deque()
        self._events: deque[Event] = deque()
        self._ended = False
        self._idle = timeouts.idle
        self._late: AssistError = FirstEventTimeout(
            f"no event came within {timeouts.first_event} s"
        )
        self._silent = False
        self._clock = SilenceClock(timeouts.first_event, self._expire, spent=body.waited)

    async def next(self) -> Event | None:
        """The next event; None at the end of the answer.

        Raises:
            TransportError: it broke, was silent for too long, or an event is too large.
            DecodeError: an event cannot be read.
        """
        while True:
            if self._events:
                return self._events.popleft()
            if self._frames:
                self._events.extend(self._read_frame(self._frames.popleft()))
                if self._events:
                    self._heard()
            elif self._ended:
                if not self._take_rest():
                    return None
            else:
                chunk = await self._read()
                self._ended = not chunk
                self._frames.extend(self._parser.feed(chunk))

    def close(self) -> None:
        """Stop the clock and drop what has not been read."""
        self._clock.stop()
        self._body.close()

    def bear_silence(self, *, patient: bool) -> None:
        """Whether silence is borne without limit, because the service waits for us."""
        self._patient = patient
        if patient:
            self._clock.waited()
        elif self._blocked:
            self._clock.waiting()

    def _take_rest(self) -> bool:
        """Whether the end left an event without its blank line; one that broke off is none."""
        frame = self._parser.rest()
        if frame is None:
            return False
        try:
            parse(frame.data)
            self._events.extend(self._read_frame(frame))
        except DecodeError:
            return False
        return bool(self._events)

    async def _read(self) -> bytes:
        self._blocked = True
        if not self._patient:
            self._clock.waiting()
        try:
            return await self._body.read()
        except TransportError as error:
            if self._silent:
                raise self._late from error
            raise
        finally:
            self._blocked = False
            self._clock.waited()

    def _heard(self) -> None:
        if not isinstance(self._late, IdleTimeout):
            self._late = IdleTimeout(f"no event came for {self._idle} s")
        self._clock.restart(self._idle)

    def _expire(self) -> None:
        self._silent = True
        self._body.close()
