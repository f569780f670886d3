"""aiodashassist/testing/answers.py."""

import asyncio

import pytest

from aiodashassist.testing.answers import Answer, Arriving


async def test_what_has_arrived_is_read_at_once() -> None:
    """A read gives all that has arrived since the last, and `b""` at the end."""
    body = Arriving()
    body.feed(b"one ")
    body.feed(b"")
    body.feed(b"two")

    assert body.is_held
    assert await body.readany() == b"one two"
    assert not body.is_held
    body.end()
    assert await body.readany() == b""


async def test_a_read_waits_for_more() -> None:
    """A read of an empty body waits until something comes; one that is cancelled loses nothing."""
    body = Arriving()
    reading = asyncio.create_task(body.readany())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    again = asyncio.create_task(body.readany())
    await asyncio.sleep(0)
    body.feed(b"x")

    assert await again == b"x"


async def test_the_end_wakes_who_waits() -> None:
    """A read that waits ends with the body."""
    body = Arriving()
    reading = asyncio.create_task(body.readany())
    await asyncio.sleep(0)
    body.end()

    assert await reading == b""


async def test_two_cannot_read_at_a_time() -> None:
    """As with aiohttp's own, a second reader is an error: who would get the bytes?"""
    body = Arriving()
    reading = asyncio.create_task(body.readany())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already waiting"):
        await body.readany()
    body.end()
    await reading


async def test_an_error_comes_before_what_is_held() -> None:
    """A broken body raises at once; what had come is still there for who knows to ask."""
    body = Arriving()
    body.feed(b"last words")
    body.set_exception(ConnectionResetError("gone"))

    with pytest.raises(ConnectionResetError):
        await body.readany()
    assert isinstance(body.exception(), ConnectionResetError)
    assert body._read_nowait(-1) == b"last words"
    assert body._read_nowait(-1) == b""


async def test_an_error_wakes_who_waits() -> None:
    """A read that waits is told that the body broke."""
    body = Arriving()
    reading = asyncio.create_task(body.readany())
    await asyncio.sleep(0)
    body.set_exception(ConnectionResetError("gone"))

    with pytest.raises(ConnectionResetError):
        await reading


async def test_the_end_is_known_before_it_is_read() -> None:
    """`is_eof` says that all has arrived, `at_eof` that all was read."""
    body = Arriving()
    body.feed(b"x")
    body.end()

    assert body.is_eof()
    assert not body.at_eof()
    await body.readany()
    assert body.at_eof()


async def test_whoever_asks_is_told_of_the_end() -> None:
    """`on_eof` calls at the end, at once where it is over, and not after the body broke."""
    told: list[str] = []
    body, broken = Arriving(), Arriving()
    body.on_eof(lambda: told.append("before"))
    broken.on_eof(lambda: told.append("never"))
    broken.set_exception(ConnectionResetError())
    broken.end()
    body.end()
    body.on_eof(lambda: told.append("after"))

    assert told == ["before", "after"]


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"content-length": "12"}, 12),
        ({"Content-Length": "twelve"}, None),
        ({"Content-Length": "²"}, None),
        ({}, None),
    ],
)
async def test_the_length_is_what_the_headers_say(
    headers: dict[str, str], length: int | None
) -> None:
    """The length of a body is told by its header, where that has a number."""
    assert Answer(200, headers).content_length == length


@pytest.mark.parametrize("leave", [Answer.close, Answer.release])
async def test_an_answer_is_left_once(leave: object) -> None:
    """Closing or giving back wakes the reader, and tells whoever makes the answer, once."""
    told: list[str] = []
    answer = Answer(200, {}, left=lambda: told.append("left"))
    reading = asyncio.create_task(answer.content.readany())
    await asyncio.sleep(0)
    assert not answer.closed
    assert callable(leave)
    leave(answer)
    answer.close()

    with pytest.raises(ConnectionError):
        await reading
    assert answer.closed
    assert told == ["left"]


async def test_closing_does_not_hide_why_it_broke() -> None:
    """The first error of a body stays."""
    answer = Answer(200, {})
    answer.content.set_exception(ConnectionResetError("first"))
    answer.close()

    with pytest.raises(ConnectionResetError, match="first"):
        await answer.content.readany()
