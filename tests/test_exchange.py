"""What the loop sends, and that nothing it opened is lost."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from aiodashassist.body import Body
from aiodashassist.core.events import UnknownEvent
from aiodashassist.core.models import Run
from aiodashassist.core.operations import (
    CreateThreadAndRun,
    Operation,
    RetrieveRun,
    SubmitOutputs,
)
from aiodashassist.core.provider import EventReader
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import AssistError, ServerError
from aiodashassist.exchange import Exchange
from aiodashassist.feed import EventFeed
from aiodashassist.polling import PolledRun
from aiodashassist.providers.dashscope import DashScopeProvider
from aiodashassist.sending import Sending
from aiodashassist.stream import RunStream, StreamOptions
from tests.scripted import ScriptedBody, ScriptedSession, opening


class Slow(ScriptedSession):
    """Opens a stream only when it is let."""

    def __init__(self) -> None:
        super().__init__(DashScopeProvider())
        self.gate = asyncio.Event()
        self.refusal: Exception | None = None
        self.bodies: list[ScriptedBody] = []

    async def open(
        self,
        operation: Operation[Any],
        lost: AssistError | None = None,
        sending: Sending | None = None,
    ) -> Body:
        """Wait for the gate; then a stream of its own, or an error."""
        self.asked.append(operation)
        if sending is not None:
            sending.leaves()
        if lost is not None:
            raise lost
        await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.bodies.append(ScriptedBody())
        return cast("Body", self.bodies[-1])


def outputs(*, stream: bool) -> SubmitOutputs:
    """The outputs of a round."""
    return SubmitOutputs(
        thread_id="t", run_id="r", tool_outputs=(ToolOutput(output="1"),), stream=stream
    )


async def test_beginning_says_when_the_run_was_asked_for_and_where() -> None:
    """What comes before the request does not count; the thread is known where it is named."""
    session = Slow()
    exchange = Exchange(session.typed())
    task = asyncio.create_task(exchange.begin(opening))
    assert not exchange.asked
    await asyncio.sleep(0)
    assert exchange.asked
    session.gate.set()
    await task

    assert exchange.thread_id == "thread_1"


async def test_a_run_with_its_thread_has_no_thread_yet() -> None:
    """A request that makes the thread cannot name it."""
    session = Slow()
    session.gate.set()
    exchange = Exchange(session.typed())

    async def both() -> Operation[Run]:
        return CreateThreadAndRun(params={"assistant_id": "a"}, stream=True)

    await exchange.begin(both)

    assert exchange.thread_id is None


async def test_outputs_open_a_stream_or_go_beside_it() -> None:
    """The operation says which."""
    session = Slow()
    session.gate.set()
    exchange = Exchange(session.typed())

    assert await exchange.deliver(outputs(stream=True)) is not None
    assert await exchange.deliver(outputs(stream=False)) is None


async def test_hanging_up_closes_what_is_open_and_what_opens_later() -> None:
    """A stream that arrives when nobody wants it any more is closed at once."""
    session = Slow()
    exchange = Exchange(session.typed())
    session.gate.set()
    await exchange.begin(opening)
    session.gate.clear()
    later = asyncio.create_task(exchange.deliver(outputs(stream=True)))
    await asyncio.sleep(0)
    exchange.hang_up()
    session.gate.set()
    await later

    assert [body.closed for body in session.bodies] == [True, True]


@pytest.mark.parametrize("end", [b"", ServerError("no", status=500)])
async def test_a_run_that_cannot_be_found_is_left(end: bytes | Exception) -> None:
    """Cancelled while it opens, a stream that ends or is refused has nothing to cancel."""
    session = Slow()
    stream = RunStream(session.typed(), opening, StreamOptions())
    entering = asyncio.create_task(stream.__aenter__())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    entering.cancel()
    if isinstance(end, Exception):
        session.refusal = end
    session.gate.set()
    while not session.bodies and not isinstance(end, Exception):
        await asyncio.sleep(0)
    for body in session.bodies:
        body.feed(b"")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(entering, 5)

    assert not session.cancelled
    assert all(body.closed for body in session.bodies)


async def attaching() -> Operation[Run]:
    """A run that is under way has no stream: it is read."""
    return RetrieveRun(thread_id="thread_1", run_id="run_1")


async def test_a_run_that_is_read_is_polled_until_outputs_open_a_stream() -> None:
    """Nothing is sent to begin with; what the outputs open is a stream like any other."""
    session = Slow()
    session.gate.set()
    exchange = Exchange(session.typed())
    feed = await exchange.begin(attaching)
    assert isinstance(feed, PolledRun)
    assert not feed.breaks_off
    assert (exchange.asked, exchange.thread_id, session.asked) == (True, "thread_1", [])

    assert isinstance(await exchange.deliver(outputs(stream=True)), EventFeed)


async def test_hanging_up_drops_what_a_polled_run_has_told() -> None:
    """Events that nobody took are gone with it."""
    session = Slow()
    exchange = Exchange(session.typed())
    feed = await exchange.begin(attaching)
    assert isinstance(feed, PolledRun)
    told = await asyncio.wait_for(feed.next(), 5)
    assert told is not None
    feed._events.append(told)
    exchange.hang_up()

    assert not feed._events


class Marking(DashScopeProvider):
    """A wire whose events bear what the head of their answer says."""

    def reader(self, headers: Mapping[str, str]) -> EventReader:
        """Reads every frame as the id of the request."""
        return lambda frame: (UnknownEvent(name=frame.event, data=headers["x-request-id"]),)


class Numbered(Slow):
    """Numbers its answers in their heads."""

    async def open(
        self,
        operation: Operation[Any],
        lost: AssistError | None = None,
        sending: Sending | None = None,
    ) -> Body:
        """A stream of one frame."""
        body = await super().open(operation, lost, sending)
        self.bodies[-1].headers = {"x-request-id": f"q{len(self.bodies)}"}
        self.bodies[-1].feed(b"data:1\n\n", b"")
        return body


async def test_a_stream_is_read_with_the_headers_of_its_own_answer() -> None:
    """Each stream of a run has a reader of its own, that knows the head of its answer."""
    session = Numbered()
    session.provider = Marking()
    session.gate.set()
    exchange = Exchange(session.typed())
    told = []
    for opens in (exchange.begin(opening), exchange.deliver(outputs(stream=True))):
        feed = await opens
        assert isinstance(feed, EventFeed)
        told.append(await feed.next())
        feed.close()

    assert [getattr(event, "data", None) for event in told] == ["q1", "q2"]
