"""Streams that break on real sockets, closed and reset, wherever an answer has an edge."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct

from aiodashassist import Retry
from aiodashassist.server import Cut, LocalServer
from aiodashassist.server.tap import Tap
from tests.recovery import (
    PLAIN,
    PROVIDERS,
    SAFETY,
    TOOLS,
    Client,
    Kind,
    Talk,
    assistant_of,
    check,
    listen,
    named,
    no_pauses,
    thread_of,
)

NEVER = 1 << 40  # bytes that no answer has
NAMES = (re.compile(rb'"event_type":"(\w+)"'), re.compile(rb"event: ?(\S+)"))  # AppBuilder's first

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


class Wire(Struct):
    """A streamed answer as it stands on the socket.

    Attributes:
        head: bytes of its head, the empty line included.
        frames: of each event where its chunk begins, its data begins and its data ends.
        kinds: of each event, in order.
        length: of all of it.
    """

    head: int
    frames: list[tuple[int, int, int]]
    kinds: list[bytes]
    length: int
    lines: list[int]

    @property
    def rest(self) -> int:
        """Bytes up to the end of the event with which the run rests; `done` may come after it."""
        return self.frames[-2 if self.kinds[-1] == b"done" else -1][2]

    def in_head(self) -> set[int]:
        """Before and after the end of each line of the head, and right at its beginning."""
        return {0, 1, *(at + by for at in self.lines for by in (-1, 0, 1))}

    def at_edges(self) -> set[int]:
        """Up to two bytes around the beginnings and ends of events and of their chunks."""
        edges = (at + by for frame in self.frames for at in frame for by in range(-2, 3))
        return {self.length, *(at for at in edges if at <= self.length)}

    def within(self, number: int) -> set[int]:
        """Each byte of an event's chunk."""
        begin, _, end = self.frames[number]
        return set(range(begin, end + 1))


def wire_of(sent: bytes) -> Wire:
    """An answer in chunks, one an event, taken apart."""
    head = at = sent.index(b"\r\n\r\n") + 4
    frames, kinds = [], []
    while sent[at : at + 1] != b"0":
        begin = sent.index(b"\r\n", at) + 2
        end = begin + int(sent[at : begin - 2], 16)
        frames.append((at, begin, end))
        kinds.append(next(found[1] for name in NAMES if (found := name.search(sent, begin, end))))
        at = end + 2
    lines = [found.end() for found in re.finditer(b"\r\n", sent[:head])]
    return Wire(head=head, frames=frames, kinds=kinds, length=len(sent), lines=lines)


class Sweep:
    """One conversation with a local server, again and again, each time broken elsewhere."""

    def __init__(self, server: LocalServer, client: Client, talk: Talk) -> None:
        self.server = server
        self.client = client
        self.talk = talk
        self.tried = 0
        self._assistant_id = ""

    async def wires(self, monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
        """The streams of the conversation, as they are when nothing breaks."""
        sent: list[list[bytes]] = []

        class Recorder(Tap):
            def write(self, data: bytes) -> None:
                sent[-1].append(data)
                super().write(data)

        def tapped(*given: object) -> Tap:
            sent.append([])
            return Recorder(*given)  # type: ignore[arg-type]

        self._assistant_id = await assistant_of(self.client)
        with monkeypatch.context() as patch:
            patch.setattr("aiodashassist.server.wiretap.Tap", tapped)
            assert await self.once(Cut(stream=True, after_bytes=NEVER)) == 0
        return [wire_of(b"".join(pieces)) for pieces in sent]

    async def once(self, cut: Cut) -> int:
        """One run, broken so; how often it recovered."""
        self.server.faults.clear()
        thread_id = await thread_of(self.client, self.talk.question)
        self.server.faults.add(cut)
        async with asyncio.timeout(SAFETY):
            heard = await listen(self.client, thread_id, self._assistant_id)
        self.server.faults.clear()
        check(heard, self.server, thread_id, self.talk)
        run = await self.client.threads.runs.retrieve(thread_id, heard.result.run.id)
        assert run.status == "completed"  # the client is as usable as before
        assert not self.server._runs._live
        connector = self.client._pool.http().connector
        assert connector is not None
        assert not connector._acquired
        return len(heard.recovered)

    async def over(self, number: int, wire: Wire, places: Iterable[int]) -> None:
        """Break the stream of this number at these places, by closing and by a reset."""
        for after in sorted(places):
            for reset in (False, True):
                cut = Cut(stream=True, skip=number, times=1, after_bytes=after, reset=reset)
                with named(f"stream {number}, {cut}"):
                    recovered = await self.once(cut)
                    # What a reset overtakes may have been lost before it was read.
                    assert recovered <= (after < wire.rest or reset)
                    assert recovered >= (after < wire.rest - 2)
                self.tried += 1


@asynccontextmanager
async def sweeping(kind: Kind, talk: Talk) -> AsyncIterator[Sweep]:
    """A server and a client for a sweep; nothing is left of them afterwards."""
    async with (
        LocalServer() as server,
        server.client(kind, retry=Retry(first_delay=0)) as client,
    ):
        yield Sweep(server, client, talk)
    gc.collect()  # what was not closed warns now
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def some(places: Iterable[int], count: int) -> list[int]:
    """So many of them, evenly spread."""
    sorted_ = sorted(places)
    return sorted_[:: max(1, len(sorted_) // count)]


EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
EACH_TALK = pytest.mark.parametrize("talk", [PLAIN, TOOLS], ids=lambda talk: talk.name)


@EACH_KIND
@EACH_TALK
async def test_a_few_edges(kind: Kind, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that breaks in its head, or around an event, is read on, and nothing is lost."""
    async with sweeping(kind, talk) as sweep:
        for number, wire in enumerate(await sweep.wires(monkeypatch)):
            await sweep.over(number, wire, some(wire.in_head(), 6))
            await sweep.over(number, wire, some(wire.at_edges(), 12))


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_KIND
@EACH_TALK
async def test_every_edge(
    kind: Kind,
    talk: Talk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wherever an answer has an edge, in its head or around an event, breaking costs nothing."""
    async with sweeping(kind, talk) as sweep:
        for number, wire in enumerate(await sweep.wires(monkeypatch)):
            await sweep.over(number, wire, wire.in_head() | wire.at_edges())
    with capsys.disabled():
        print(f"\n{kind.__name__} {talk.name}: {sweep.tried} edges tried")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@EACH_KIND
async def test_every_byte_of_each_kind_of_event(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One event of every kind there is, broken after each of its bytes, costs nothing."""
    seen: set[bytes] = set()
    async with sweeping(kind, TOOLS) as sweep:
        for number, wire in enumerate(await sweep.wires(monkeypatch)):
            for place, name in enumerate(wire.kinds):
                if name not in seen:
                    seen.add(name)
                    await sweep.over(number, wire, wire.within(place))
    with capsys.disabled():
        print(f"\n{kind.__name__}: {sweep.tried} bytes of {len(seen)} kinds tried")
