"""Where the events of a run come from: its stream, and after a break the run read back."""

import asyncio
from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AssistError,
    ErrorEvent,
    Event,
    LocalProtocolError,
    Run,
    RunEvent,
    StreamInterrupted,
    StreamRecovered,
    TotalTimeout,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.operations import Operation
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.errands import Errands
from aiodashassist.exchange import Lost
from aiodashassist.source import Source
from tests.recovery import no_pauses
from tests.scripted import ScriptedSession, opening

BEGUN = b'event:thread.run.in_progress\ndata:{"id":"run_1","thread_id":"thread_1"}\n\n'
STRANGE = b'event:strange\ndata:"news"\n\n'
READ_BACK = [StreamRecovered, RunEvent]

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


class Reader:
    """A source as the loop uses it: what is read, the machine takes in."""

    def __init__(self, session: ScriptedSession | None = None) -> None:
        self.session = session or ScriptedSession()
        self.errands = Errands()
        self.machine = RunMachine()
        self.source = Source(self.session.typed(), self.errands, self.machine, Snapshot())
        self.session.run = Run(id="run_1", thread_id="thread_1", status="completed")

    async def opened(self, *chunks: bytes) -> Source:
        """The source, opened, with these bytes to be read."""
        await self.source.begin(opening)
        self.session.body.feed(*chunks)
        return self.source

    async def next(self) -> Event | None:
        """What comes next."""
        event = await self.source.next()
        if event is not None:
            self.machine.receive(event)
        return event

    async def rest(self) -> list[type[Event]]:
        """What comes until the run is at its end."""
        found = list[type[Event]]()
        while self.machine.next_action() is None:
            event = await self.next()
            if event is not None:
                found.append(type(event))
        return found

    def asked(self, kind: type[Operation[Any]]) -> int:
        """How many such requests there were."""
        return len([asked for asked in self.session.asked if isinstance(asked, kind)])


async def test_what_is_opened_is_read() -> None:
    """The events come as they are in the stream, and the thread is that of the request."""
    reader = Reader()
    source = await reader.opened(STRANGE, BEGUN)
    assert source.thread_id == "thread_1"
    assert source.is_open
    names = [getattr(await reader.next(), "name", "") for _ in range(2)]
    assert names == ["strange", "thread.run.in_progress"]


async def test_a_run_is_to_be_found_from_its_request_to_its_first_event() -> None:
    """Before it was asked for, and once an event named it, there is nothing to be found."""
    reader = Reader()
    assert not reader.source.to_be_found
    source = await reader.opened(STRANGE, BEGUN)
    assert source.to_be_found
    await reader.next()
    assert source.to_be_found
    await reader.next()
    assert not source.to_be_found


@pytest.mark.parametrize("known", [True, False], ids=["known", "lost"])
async def test_a_stream_that_ends_early_is_read_back(*, known: bool) -> None:
    """After a break there is no event at once, and then the run as it is read."""
    reader = Reader()
    await reader.opened(*([BEGUN, b""] if known else [b""]))
    if known:
        assert isinstance(await reader.next(), RunEvent)
        assert await reader.next() is None
        assert await reader.rest() == READ_BACK
        assert reader.asked(ops.CreateRun) == 1
    else:  # the session of these tests finds no run
        assert await reader.next() is None
        with pytest.raises(StreamInterrupted, match="ended before"):
            await reader.next()


async def test_an_answer_that_was_lost_and_found_is_read_back() -> None:
    """A run that was found is followed like one whose stream broke, and its id is known."""
    reader = Reader()
    reader.source.take(Lost(reader.session.run))
    assert (reader.source.thread_id, reader.machine.run_id) == ("thread_1", "run_1")
    told = await reader.next()
    assert isinstance(told, StreamRecovered)
    assert told.reason == "the answer was lost, and the run found"
    assert await reader.rest() == [RunEvent]


async def test_a_run_that_is_read_back_is_not_read_back_again() -> None:
    """What has no stream has no stream that could break: its end too early is an error."""
    reader = Reader()
    reader.source.take(Lost(reader.session.run))
    await reader.next()
    await reader.next()
    with pytest.raises(StreamInterrupted, match="ended before"):
        await reader.next()


async def test_whoever_ended_the_stream_is_the_reason_of_its_break() -> None:
    """A connection that is dropped because time is over, or on closing, is no break."""
    reader = Reader()
    source = await reader.opened(BEGUN)
    await reader.next()
    reader.errands.fail(TotalTimeout("over"))
    source.hang_up()
    with pytest.raises(TotalTimeout):
        await reader.next()
    assert reader.session.body.closed


async def test_a_reported_error_is_followed_by_the_run() -> None:
    """The stream is left where the service reported an error, and the run read back."""
    reader = Reader()
    source = await reader.opened(BEGUN)
    await reader.next()
    source.reported(ErrorEvent(code="InternalError", message="sorry"))
    assert reader.session.body.closed
    told = await reader.next()
    assert isinstance(told, StreamRecovered)
    assert told.reason == "sorry"
    assert await reader.rest() == [RunEvent]


@pytest.mark.parametrize("known", [True, False])
async def test_a_reported_error_is_an_error_where_nothing_can_be_read_back(*, known: bool) -> None:
    """Before the run is known, and once it is read back, the error is raised."""
    reader = Reader()
    if known:
        reader.source.take(Lost(reader.session.run))
    else:
        await reader.opened()
    with pytest.raises(APIError, match="sorry"):
        reader.source.reported(ErrorEvent(code="InternalError", message="sorry"))


async def test_the_read_beside_other_work_is_one_and_bears_silence() -> None:
    """Asked twice it is the same read; it is told when it has come to something."""
    reader = Reader()
    assert reader.source.beside() == set()
    source = await reader.opened(BEGUN)
    await reader.next()
    (reading,) = source.beside()
    assert source.beside() == {reading}
    assert reading in source.finding
    await asyncio.sleep(0)
    assert not source.has_read
    reader.session.body.feed(STRANGE)
    await asyncio.wait({reading})
    assert source.has_read
    assert await source.read() is reading.result()
    assert not source.has_read


async def test_a_cancelled_read_loses_nothing() -> None:
    """A read that is cancelled while the run is unknown goes on, and is the next one's."""
    reader = Reader()
    source = await reader.opened()
    waiting = asyncio.create_task(source.next())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    reader.session.body.feed(BEGUN)
    assert isinstance(await source.next(), RunEvent)


@pytest.mark.parametrize("last", [(), (b"",)], ids=["broken", "ended"])
async def test_a_stream_that_only_has_to_end_may_end_in_any_way(last: tuple[bytes, ...]) -> None:
    """What still comes is told; then its end is no error, and it is left."""
    reader = Reader()
    source = await reader.opened(BEGUN, STRANGE, *last)
    await reader.next()
    assert await source.read_to_end() is not None
    if not last:
        source.shut()
    assert await source.read_to_end() is None
    assert not source.is_open
    assert await source.read() is None


async def test_finding_reads_on_until_the_run_is_known() -> None:
    """Whoever leaves early can have the run found by its stream's first events."""
    reader = Reader()
    source = await reader.opened(STRANGE, BEGUN)
    found = []
    while source.to_be_found:
        event = await source.find()
        assert event is not None
        reader.machine.receive(event)
        found.append(event)
    assert len(found) == 2
    assert reader.machine.run_id == "run_1"


async def test_finding_waits_for_a_stream_that_is_only_about_to_open() -> None:
    """An opening whose waiter was cancelled goes on, and is where the run is found."""
    gate = asyncio.Event()

    async def slowly() -> Operation[Run]:
        await gate.wait()
        return await opening()

    reader = Reader()
    waiting = asyncio.create_task(reader.source.begin(slowly))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert not reader.source.to_be_found  # nothing was asked for
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reader.source.to_be_found
    assert await reader.source.find() is None
    assert reader.source.is_open


@pytest.mark.parametrize("ends", [True, False])
async def test_finding_looks_up_a_run_whose_stream_broke(*, ends: bool) -> None:
    """A break before the first event does not end the finding; that nothing is there does."""
    reader = Reader()
    source = await reader.opened(*([b""] if ends else []))
    if not ends:
        source.shut()
    assert await source.find() is None
    assert source.to_be_found
    with pytest.raises(StreamInterrupted):
        await source.find()


async def test_patience_ends_also_where_nothing_is_open() -> None:
    """There need not be a stream whose silence counts again."""
    reader = Reader()
    reader.source.end_patience()
    reader.source.leave()
    assert not reader.source.is_open


async def test_an_opening_that_fails_is_told_once() -> None:
    """Who waits for the opening gets its error, and nothing is open then."""
    reader = Reader()

    async def fails() -> Operation[Run]:
        raise LocalProtocolError("no")

    with pytest.raises(AssistError, match="no"):
        await reader.source.begin(fails)
    assert not reader.source.is_open
    assert not reader.source.to_be_found
