"""One streamed answer: frames to events, with its clock."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from aiodashassist import (
    Event,
    FirstEventTimeout,
    IdleTimeout,
    Limits,
    ResponseTooLarge,
    StreamInterrupted,
    Timeouts,
    UnknownEvent,
)
from aiodashassist.body import Body
from aiodashassist.core.sse import Frame
from aiodashassist.feed import EventFeed
from tests.scripted import ScriptedBody


def read(frame: Frame) -> Sequence[Event]:
    """As many events as the frame's data says; pings are none."""
    count = int(frame.data)
    return tuple(UnknownEvent(name=frame.event, data=number) for number in range(count))


def feed_of(body: ScriptedBody, *, max_event_bytes: int = 100, **timeouts: float) -> EventFeed:
    """A feed over scripted bytes."""
    limits = Limits(max_event_bytes=max_event_bytes)
    return EventFeed(cast("Body", body), read, Timeouts(**timeouts), limits)


async def test_a_frame_may_say_several_things_or_nothing() -> None:
    """Events come one by one, in order; a frame without events is passed over."""
    body = ScriptedBody()
    body.feed(b"data:2\n\ndata:0\n\nda", b"ta:1\n\n", b"")
    feed = feed_of(body)

    events = [await feed.next() for _ in range(4)]

    assert [getattr(event, "data", None) for event in events] == [0, 1, 0, None]
    assert await feed.next() is None
    feed.close()


async def test_what_came_before_a_huge_event_is_handed_out_first() -> None:
    """The frames of a chunk are delivered before the error of its last one."""
    body = ScriptedBody()
    body.feed(b"data:1\n\ndata:" + b"x" * 200, b"")
    feed = feed_of(body)

    assert await feed.next() is not None
    with pytest.raises(ResponseTooLarge):
        await feed.next()
    feed.close()


async def test_the_first_silence_counts_what_the_answer_took_to_begin() -> None:
    """`first_event` is counted from the request, not from the answer's head."""
    body = ScriptedBody()
    body.waited = 59.99
    feed = feed_of(body, first_event=60)

    with pytest.raises(FirstEventTimeout, match="60"):
        await feed.next()


async def test_after_the_first_event_the_idle_clock_counts() -> None:
    """Silence after an event is IdleTimeout, and the body is dropped."""
    body = ScriptedBody()
    body.feed(b"data:1\n\n", b"data:0\n\n")
    feed = feed_of(body, idle=0.02)
    await feed.next()

    with pytest.raises(IdleTimeout, match=r"0\.02"):
        await feed.next()

    assert body.closed


async def test_silence_that_is_borne_begins_to_count_in_the_middle_of_a_wait() -> None:
    """A read under way is watched again as soon as our part is done."""
    body = ScriptedBody()
    feed = feed_of(body, first_event=0.02)
    feed.bear_silence(patient=True)
    reading = asyncio.create_task(feed.next())
    await asyncio.sleep(0.05)
    assert not reading.done()

    feed.bear_silence(patient=False)
    with pytest.raises(FirstEventTimeout):
        await reading


async def test_a_break_is_told_as_it_is() -> None:
    """An interruption that no clock caused stays one."""
    body = ScriptedBody()
    body.close()

    with pytest.raises(StreamInterrupted):
        await feed_of(body).next()


async def test_a_cancelled_next_loses_nothing() -> None:
    """Bytes that come after a cancellation are still read."""
    body = ScriptedBody()
    feed = feed_of(body)
    waiting = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    body.feed(b"data:1\n\n")

    assert await feed.next() is not None
    feed.close()


async def test_silence_that_is_borne_does_not_count() -> None:
    """While the service waits for us its silence has no end, before a wait and in it."""
    body = ScriptedBody()
    feed = feed_of(body, first_event=0.01)
    feed.bear_silence(patient=True)
    reading = asyncio.create_task(feed.next())
    await asyncio.sleep(0.05)
    assert not reading.done()
    body.feed(b"data:1\n\n")

    assert isinstance(await asyncio.wait_for(reading, 5), UnknownEvent)
    feed.close()
