"""Faults of the local server: its answers go wrong as answers do, so that you see what you do then.

    async with LocalServer(faults=Faults(Lose(every=3), Chop(size=7))) as server:
        ...                                                      # some calls
        server.faults.add(Cut(operation="CreateRun", after_bytes=120))
        ...                                                      # some more
        server.faults.clear()
        print(server.faults.done)

Instead of the work, which then is not done:

    Drop(reset=)                      the connection is closed
    Refuse(status=, retry_after=)     429, 503 or another refusal, as the wire spells it
    Html(status=)                     a page of HTML, as gateways answer

Before the work:

    Expire()                          the run expires just before its tool outputs arrive

The work is done, and the answer to it suffers:

    Lose(reset=)                      the connection is closed without a byte of the answer
    Slow(seconds=)                    the first byte comes late
    Cut(after_bytes=, reset=)         the connection is closed after so many bytes, head included
    Cut(after_events=, reset=)        ... after so many events
    Truncate(after_bytes=)            ... inside a chunk, or a body, whose length was told
    Stall(after_events=, seconds=, ping=)  no events for a time, or for ever; but signs of life
    Duplicate(event=)                 one event comes twice
    Crlf()                            lines of a stream end with CRLF
    Chop(size=, pause=)               the body comes in small pieces: characters and frames are cut

Which requests a fault is for, the same words for all:

    operation   the name of the operation, such as "CreateRun"; "" is any
    stream      True: only where a stream was asked for; False: only where not; None: both
    skip        so many requests, of those that it is for, go well first
    every       of the others, only each such one goes wrong: 3 is the third, sixth, ninth ...
    times       so many go wrong at most; None is no limit
    chance      the part of them that goes wrong, drawn by the `seed` of `Faults`: 0.1 is a tenth

A request that the server cannot read (a wrong path, a broken body, a wrong key) is refused as
always and not counted. Of the faults that stand instead of the work the first that is due is
applied, alone, and the others do not count this request. Else all that are due are applied
together; of two that end the connection, the one that comes first does.

Events are counted from 1 as they stand on the wire, DashScope's closing `done` included; pings
are not counted. What concerns events is for streams only.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from aiodashassist.core.operations import Operation
from aiodashassist.server.mishaps import Fault, Instead

__all__ = ("Faults",)


class Faults:
    """The faults of one server; changed while it runs, by the event loop's own thread.

    Args:
        faults: what goes wrong.
        seed: of the numbers that are drawn for `chance`, so that they are the same each time.

    Attributes:
        done: what went wrong, oldest first: the operation's name and the fault. What was due and
            had no effect, as a cut beyond an answer's end, is not in it.
        over: set when the waiting that faults cause is over; belongs to the server.

    Raises:
        ValueError: one of them is no fault.
    """

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.done: list[tuple[str, Fault]] = []
        self.over = asyncio.Event()
        self._random = random.Random(seed)  # noqa: S311 (to be the same each time)
        self._rules: list[_Rule] = []
        self.add(*faults)

    def __repr__(self) -> str:
        return f"Faults({', '.join(repr(rule.fault) for rule in self._rules)})"

    def add(self, *faults: Fault) -> None:
        """Let more go wrong, from the next request on; each counts from here.

        Raises:
            ValueError: one of them is no fault.
        """
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ValueError(f"{fault!r} is no fault")  # noqa: TRY004 (as all wrong arguments)
        self._rules += map(_Rule, faults)

    def clear(self) -> None:
        """No more faults; answers that are stalled or slow go on. `done` stays."""
        self._rules.clear()
        self.over.set()
        self.over = asyncio.Event()

    def due(self, operation: Operation[Any]) -> Sequence[Fault]:
        """What goes wrong with this request, which is counted: one `Instead`, or others."""
        if not self._rules:
            return ()
        name, stream = type(operation).__name__, bool(getattr(operation, "stream", False))
        fitting = [rule for rule in self._rules if rule.fault.fits(name, stream=stream)]
        for rule in fitting:
            if isinstance(rule.fault, Instead) and rule.is_due(self._random):
                return (rule.fault,)
        others = [rule for rule in fitting if not isinstance(rule.fault, Instead)]
        return tuple(rule.fault for rule in others if rule.is_due(self._random))


class _Rule:
    """A fault, and the count of what it was for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._seen = 0
        self._struck = 0

    def is_due(self, drawn: random.Random) -> bool:
        """Whether this request, one that the fault is for, goes wrong."""
        fault = self.fault
        self._seen += 1
        after = self._seen - fault.skip
        if after <= 0 or after % fault.every or self._struck == fault.times:
            return False
        if fault.chance < 1 and drawn.random() >= fault.chance:
            return False
        self._struck += 1
        return True
