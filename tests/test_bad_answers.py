"""What a service may answer: whatever it is, a clear error of ours, and a client that goes on."""

import asyncio
import gzip
import json
import logging
import pickle
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest

from aiodashassist import DashScope, Limits, Timeouts, tool
from aiodashassist.errors import (
    APIError,
    AssistError,
    AuthenticationError,
    BadRequest,
    DecodeError,
    FirstEventTimeout,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    ServerError,
    StreamInterrupted,
    TransportError,
    UnexpectedRedirect,
)
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head, whole
from tests.retrying import ONCE

KEY = "sk-very-secret-0123456789"
THREAD = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{},"request_id":"req"}'
OTHER = whole(b'{"id":"not asked for"}')
SAFETY = 20  # seconds; nothing here takes one
MIB = 1 << 20
GIB = 1 << 30


def made(url: str, **options: Any) -> DashScope:
    """A client of a raw server; it asks once, with no patience longer than a test's."""
    options.setdefault("timeouts", Timeouts(connect=5, read=10, first_event=10, idle=10))
    return DashScope(KEY, base_url=url + "/api/v1", **{"retry": ONCE, **options})


class Once:
    """Answers the first request so, every other with a good thread."""

    def __init__(self, answer: Any) -> None:
        self._answer: Any = answer
        self.writers: list[Writer] = []

    async def __call__(self, request: Received, writer: Writer) -> None:
        """Answer."""
        self.writers.append(writer)
        answer, self._answer = self._answer, answering(whole(THREAD))
        await answer(request, writer)


async def changed(client: DashScope) -> str:
    """A call by POST, which aiohttp never sends twice by itself: the id it was answered with."""
    return (await client.threads.update("thread_1", metadata={})).id


async def streamed(client: DashScope) -> list[str]:
    """A stream read to its end: the names of its events."""
    async with client.threads.runs.stream("t", assistant_id="a", on_exit="leave") as stream:
        return [event.name async for event in stream]


async def outcome(answer: Any, ask: Any = changed, **options: Any) -> Any:
    """What a call comes to when it is answered so: its result, or its error.

    Afterwards the same client asks again, and gets what answers that request.
    """
    async with (
        asyncio.timeout(SAFETY),
        RawServer(Once(answer)) as server,
        made(server.url, **options) as client,
    ):
        try:
            found = await ask(client)
        except AssistError as error:
            found = error
        count = len(server.requests)
        assert await changed(client) == "thread_1"
        assert len(server.requests) == count + 1
    return found


def encoded(body: bytes, how: str, kind: str = "application/json") -> bytes:
    """A whole answer whose body is said to be encoded."""
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\n%b" % (
        how.encode(),
        whole(body, kind=kind).partition(b"\r\n")[2],
    )


def line(status: str, *headers: str, body: bytes = b"") -> bytes:
    """An answer with these headers and no other."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode() + body


def nested(depth: int) -> bytes:
    """JSON of that depth."""
    return b"[" * depth + b"]" * depth


def bomb(size: int) -> bytes:
    """A gzip body that comes to `size` MiB of spaces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(size)), packer.flush()])


async def reset(_request: Received, writer: Writer) -> None:
    """Resets the connection."""
    writer.transport.abort()


BODIES: dict[str, tuple[bytes, str]] = {
    "HTML": (b"<html>", "not JSON"),
    "empty": (b"", "not JSON"),
    "null": (b"null", "an object"),
    "list": (b"[]", "an object"),
    "text": (b'"x"', "an object"),
    "number": (b"5", "an object"),
    "no id": (b"{}", "id"),
    "id null": (b'{"id":null}', "id"),
    "id a number": (b'{"id":5}', "id"),
    "deep": (nested(5_000), "not JSON"),
    "very deep": (nested(100_000), "not JSON"),
    "deep inside": (b'{"id":"t","metadata":{"a":%b}}' % nested(5_000), "not JSON"),
    "not UTF-8": (b'{"id":"\xff"}', "not JSON"),
    "BOM": (b"\xef\xbb\xbf" + THREAD, "not JSON"),
    "UTF-16": (THREAD.decode().encode("utf-16"), "not JSON"),
    "half a surrogate pair": (b'{"id":"\\ud800"}', "not JSON"),
    "a NUL as it is": (b'{"id":"\0"}', "not JSON"),
    "1e400": (b'{"id":"t","created_at":1e400}', "not JSON"),
    "NaN": (b'{"id":"t","created_at":NaN}', "not JSON"),
    "half": (THREAD[:20], "not JSON"),
    "two": (THREAD + THREAD, "not JSON"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_thread_is_a_decode_error(name: str) -> None:
    """A 200 with a body that cannot be read says so."""
    body, words = BODIES[name]
    error = await outcome(answering(whole(body)))

    assert type(error) is DecodeError
    assert words in str(error)
    if words == "not JSON":  # whose answer it is can be seen
        assert "status 200, application/json" in str(error)
        assert ("it is empty" in str(error)) == (not body)
    assert len(str(error)) < 500
    assert error.thread_id == "thread_1"


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        (b'{"id":"a","id":"b"}', "id", "b"),
        (b'{"id":"\\u0000"}', "id", "\0"),
        (b'{"id":"t","created_at":-0}', "created_at", None),
        (b'{"id":"t","created_at":1%b}' % (b"0" * 40), "created_at", 10**40),
        (b'{"id":"t","metadata":{"a":1e308}}', "metadata", {"a": 1e308}),
        (b'{"id":"t","metadata":{"a":%b}}' % nested(20), "metadata", {"a": json.loads(nested(20))}),
    ],
    ids=["duplicate key", "NUL", "-0", "10**40", "1e308", "depth 20"],
)
async def test_odd_json_is_read_as_it_stands(body: bytes, name: str, value: Any) -> None:
    """Of two equal keys the last counts; NUL, -0, great numbers and some depth are JSON."""
    async with RawServer(answering(whole(body))) as server, made(server.url) as client:
        thread = await client.threads.retrieve("t")

    assert getattr(thread, name) == value


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "404 No", "500 X", "503 X", "999 X"])
@pytest.mark.parametrize("name", BODIES)
async def test_an_error_answer_is_an_api_error_whatever_its_body(name: str, status: str) -> None:
    """An error's body may be anything: the status still tells, and there are always words."""
    error = await outcome(answering(whole(BODIES[name][0], status)))

    assert isinstance(error, APIError)
    assert error.status == int(status[:3])
    assert error.message
    assert len(str(error)) < 500


UNCLEAR = "the connection broke before the answer was whole"
HTTP: dict[str, tuple[Any, type[AssistError], str]] = {
    "closed at once": (answering(close=True), TransportError, UNCLEAR),
    "reset": (reset, TransportError, UNCLEAR),
    "no HTTP": (answering(b"\x15\x03\x01\0\x02\x02\x28", close=True), TransportError, UNCLEAR),
    "HTTP/0.9": (answering(THREAD, close=True), TransportError, UNCLEAR),
    "HTTP/2": (answering(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), TransportError, UNCLEAR),
    "half a head": (answering(b"HTTP/1.1 200 O", close=True), TransportError, UNCLEAR),
    "status of letters": (answering(whole(THREAD, "abc X")), TransportError, UNCLEAR),
    "status 1000": (answering(whole(THREAD, "1000 X")), TransportError, UNCLEAR),
    "status 99": (answering(whole(THREAD, "099 X")), RemoteProtocolError, "99"),
    "status 0": (answering(whole(THREAD, "000 X")), RemoteProtocolError, "0"),
    "status 101": (answering(line("101 Switching")), RemoteProtocolError, "101"),
    "another protocol": (
        answering(line("101 Switching", "Connection: upgrade", "Upgrade: x", body=OTHER)),
        RemoteProtocolError,
        "101",
    ),
    "204": (answering(line("204 No")), DecodeError, "not JSON"),
    "205": (answering(line("205 Reset", "Content-Length: 0")), DecodeError, "not JSON"),
    "300": (answering(whole(THREAD, "300 Many")), UnexpectedRedirect, "the same host"),
    "302": (
        answering(line("302 Found", "Location: http://elsewhere.example/x", "Content-Length: 0")),
        UnexpectedRedirect,
        "elsewhere.example",
    ),
    "304": (answering(line("304 Same")), UnexpectedRedirect, "the same host"),
    "200 and an error": (
        answering(whole(b'{"code":"InvalidParameter","message":"x"}')),
        BadRequest,
        "InvalidParameter",
    ),
    "999": (answering(whole(THREAD, "999 X")), ServerError, "999"),
    "length too long, closed": (
        answering(head(length=len(THREAD) + 9) + THREAD, close=True), TransportError, UNCLEAR,
    ),
    "length too short": (answering(head(length=10) + THREAD), TransportError, UNCLEAR),
    "length 1 GiB": (answering(head(length=GIB)), ResponseTooLarge, "max_response_bytes"),
    "length 1 GiB of an error": (
        answering(head("500 X", length=GIB)), ResponseTooLarge, "max_response_bytes",
    ),
    "length beyond all": (answering(head(length=10**30)), TransportError, UNCLEAR),
    "length negative": (answering(head(length=-1)), TransportError, UNCLEAR),
    "two lengths": (
        answering(line("200 OK", "Content-Length: 5", "Content-Length: 7", body=b"1234567")),
        TransportError,
        UNCLEAR,
    ),
    "length and chunks": (
        answering(line("200 OK", "Content-Length: 5", "Transfer-Encoding: chunked", body=END)),
        TransportError,
        UNCLEAR,
    ),
    "chunk of no size": (answering(head(), b"zz\r\n"), TransportError, UNCLEAR),
    "chunk of negative size": (answering(head(), b"-5\r\n{}"), TransportError, UNCLEAR),
    "chunk beyond all": (answering(head(), b"f" * 17 + b"\r\n{}"), TransportError, UNCLEAR),
    "chunk without end": (answering(head(), b"2\r\n{}XX"), TransportError, UNCLEAR),
    "chunk cut": (answering(head(), b"5\r\n{", close=True), TransportError, UNCLEAR),
    "chunks cut": (answering(head(), chunk(THREAD), close=True), TransportError, UNCLEAR),
    "trailers of 1 MiB": (
        answering(head(), chunk(THREAD), b"0\r\nX: " + b"y" * MIB), TransportError, UNCLEAR,
    ),
    "header of 1 MiB": (
        answering(line("200 OK", "X: " + "y" * MIB, "Content-Length: 0")), TransportError, UNCLEAR,
    ),
    "100,000 headers": (
        answering(line("200 OK", *["X: y"] * 100_000, "Content-Length: 0")),
        TransportError,
        UNCLEAR,
    ),
    "status line of 1 MiB": (answering(b"HTTP/1.1 200 " + b"y" * MIB), TransportError, UNCLEAR),
    "NUL in a header": (answering(line("200 OK", "X: a\0b")), TransportError, UNCLEAR),
    "gzip that is none": (answering(encoded(b"nonsense", "gzip")), TransportError, "gzip"),
    "deflate that is none": (answering(encoded(b"nonsense", "deflate")), TransportError, "deflate"),
    "gzip cut": (answering(encoded(gzip.compress(THREAD)[:-12], "gzip")), DecodeError, "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", HTTP)
async def test_an_answer_that_breaks_the_rules_of_http_is_an_error_of_ours(name: str) -> None:
    """Heads, lengths, chunks and codings that lie: a clear error, and a client that goes on."""
    answer, kind, words = HTTP[name]
    error = await outcome(answer)

    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        answering(whole(THREAD, "201 Created")),
        answering(whole(THREAD, kind="text/html")),
        answering(line("200 OK", f"Content-Length: {len(THREAD)}", body=THREAD)),
        answering(line("100 Continue"), whole(THREAD)),
        answering(line("103 Early Hints", "Link: x"), whole(THREAD)),
        answering(encoded(gzip.compress(THREAD), "gzip")),
        answering(encoded(zlib.compress(THREAD), "deflate")),
        answering(line("200 OK", body=THREAD), close=True),
        answering(whole(THREAD) + OTHER),
    ],
    ids=["201", "as HTML", "no type", "100", "103", "gzip", "deflate", "no length", "two answers"],
)
async def test_an_answer_that_is_only_unusual_is_read(answer: Any) -> None:
    """What HTTP allows is taken, and nothing of it is left for the next request."""
    assert await outcome(answer) == "thread_1"


@pytest.mark.parametrize("rest", [OTHER, b"garbage", THREAD], ids=["answer", "garbage", "JSON"])
async def test_what_comes_after_an_answer_is_not_the_next_answer(rest: bytes) -> None:
    """What a service sends on a connection that waits for nothing is not taken for an answer."""
    once = Once(answering(whole(THREAD)))
    async with (
        asyncio.timeout(SAFETY), RawServer(once) as server, made(server.url) as client,
    ):  # fmt: skip
        assert await changed(client) == "thread_1"
        connector: Any = client._session.pool.http().connector
        ((kept, _),) = next(iter(connector._conns.values()))
        once.writers[0].write(rest)
        while kept.is_connected() and not kept.should_close:
            await asyncio.sleep(0)
        assert await changed(client) == "thread_1"


STALLED: dict[str, Any] = {
    "nothing": answering(),
    "half a head": answering(b"HTTP/1.1 200 O"),
    "only a 100": answering(line("100 Continue")),
    "length too long": answering(head(length=500) + THREAD),
    "chunks without end": answering(head(), chunk(THREAD)),
    "an error without end": answering(head("500 X", length=500) + b"{"),
}


@pytest.mark.parametrize("name", STALLED)
async def test_an_answer_that_stops_is_a_request_timeout(name: str) -> None:
    """`Timeouts.read` ends the wait, wherever in the answer the service falls silent."""
    error = await outcome(STALLED[name], timeouts=Timeouts(connect=0.2, read=0.2))

    assert type(error) is RequestTimeout


async def test_an_answer_before_the_request_was_read_is_the_answer() -> None:
    """A service may refuse a body without reading it, and hang up."""
    refusal = whole(b'{"code":"TooLarge","message":"no"}', "413 Large")

    async def refuse(_reader: asyncio.StreamReader, writer: Writer) -> None:
        writer.write(refusal)
        await writer.drain()
        writer.close()

    raw = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(SAFETY), raw, made(url) as client:
        with pytest.raises(AssistError) as small:
            await changed(client)
        with pytest.raises(AssistError) as large:
            await client.threads.messages.create("t", "x" * (8 * MIB))

    for error in (small.value, large.value):
        assert isinstance(error, BadRequest | TransportError)


RUN = {"id": "run_1", "thread_id": "t", "status": "queued"}


def event(name: str, data: Any) -> bytes:
    """An event of a stream."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"event:%b\ndata:%b\n\n" % (name.encode(), body)


BEGUN = event("thread.run.created", RUN)
DONE = event("done", b"[DONE]")
OVER = event("thread.run.completed", {**RUN, "status": "completed"}) + DONE
DELTA = b'{"id":"m","delta":{"content":[{"type":"text","text":{"value":"%b"}}]}}'


def events(*pieces: bytes, kind: str = "text/event-stream") -> Any:
    """A stream of these bytes, each a chunk."""
    return answering(head(kind=kind), *map(chunk, pieces), END)


STREAMS: dict[str, tuple[Any, type[AssistError], str]] = {
    "JSON": (answering(whole(json.dumps(RUN).encode())), RemoteProtocolError, "application/json"),
    "HTML": (answering(whole(b"<html>", kind="text/html")), RemoteProtocolError, "text/html"),
    "text": (events(b"overloaded", kind="text/plain"), RemoteProtocolError, "text/plain"),
    "text like a field": (
        events(b"exceeded", kind="text/plain"), RemoteProtocolError, "text/plain",
    ),
    "204": (
        answering(line("204 No", "Content-Type: text/event-stream")), RemoteProtocolError, "204",
    ),
    "302": (
        answering(line("302 Found", "Location: http://a.example/", "Content-Length: 0")),
        UnexpectedRedirect,
        "a.example",
    ),
    "an error as a stream": (
        answering(
            head("500 X", kind="text/event-stream"), chunk(event("error", {"code": "C"})), END
        ),
        ServerError,
        "500 C",
    ),
    "JSON of 1 GiB": (answering(head(length=GIB)), ResponseTooLarge, "max_response_bytes"),
    "an error of 1 GiB": (
        answering(head("401 X", length=GIB)), ResponseTooLarge, "max_response_bytes",
    ),
    "empty": (events(), StreamInterrupted, "at rest"),
    "cut": (answering(STREAM, chunk(BEGUN), close=True), StreamInterrupted, "broke"),
    "reset": (reset, OutcomeUnknown, UNCLEAR),
    "chunk of no size": (answering(STREAM, chunk(BEGUN), b"zz\r\n"), TransportError, "broke"),
    "not UTF-8": (events(event("thread.run.created", b"\xff")), DecodeError, "not JSON"),
    "text not UTF-8": (
        events(BEGUN, event("thread.message.delta", DELTA % b"\xff")), DecodeError, "not JSON",
    ),
    "half a surrogate pair": (
        events(BEGUN, event("thread.message.delta", DELTA % b"\\ud800")), DecodeError, "not JSON",
    ),
    "deep": (events(event("thread.run.created", nested(5_000))), DecodeError, "not JSON"),
    "very deep": (events(event("thread.run.created", nested(100_000))), DecodeError, "not JSON"),
    "very deep delta": (
        events(BEGUN, event("thread.message.delta", nested(100_000))), DecodeError, "not JSON",
    ),
    "null": (events(event("thread.run.created", b"null")), DecodeError, "an object"),
    "gzip that is none": (
        answering(encoded(b"nonsense", "gzip", "text/event-stream")), StreamInterrupted, "gzip",
    ),
    "gzip cut": (
        answering(encoded(gzip.compress(BEGUN + OVER)[:20], "gzip", "text/event-stream")),
        StreamInterrupted,
        "at rest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_that_is_none_is_an_error_of_ours(name: str) -> None:
    """Another type, a broken body, events that cannot be read: told, and the client goes on.

    Where no stream has begun, nothing tells whether the run has.
    """
    answer, kind, words = STREAMS[name]
    error = await outcome(answer, streamed)

    assert isinstance(error, kind)
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        events(b"\xef\xbb\xbf" + BEGUN, OVER),
        events(BEGUN, OVER, kind="text/plain"),
        events(b"\n", BEGUN, OVER, kind="application/json"),
        answering(line("200 OK", "Transfer-Encoding: chunked"), chunk(BEGUN + OVER), END),
        events(BEGUN, event("thread.of.tomorrow", nested(100_000)), OVER),
        events(b"id:a\0b\nretry:x\nfield\n" + BEGUN, OVER),
        answering(encoded(gzip.compress(BEGUN + OVER), "gzip", "text/event-stream")),
        answering(head(kind="text/event-stream", length=9999) + BEGUN + OVER, close=True),
    ],
    ids=[
        "BOM",
        "as text",
        "as JSON",
        "no type",
        "unknown and deep",
        "odd fields",
        "gzip",
        "cut after the end",
    ],
)
async def test_a_stream_that_is_only_odd_is_read(answer: Any) -> None:
    """What can be read is read; a connection that breaks after the run's end does no harm."""
    names = await outcome(answer, streamed)

    assert names[0] == "thread.run.created"
    assert names[-1] == "thread.run.completed"


@pytest.mark.parametrize("sent", [b"", b": ping\n\n"], ids=["nothing", "pings"])
async def test_a_stream_that_says_nothing_is_a_first_event_timeout(sent: bytes) -> None:
    """Neither silence nor pings are waited for without limit."""
    answer = answering(STREAM, *([chunk(sent)] if sent else []))
    error = await outcome(answer, streamed, timeouts=Timeouts(first_event=0.2))

    assert type(error) is FirstEventTimeout


WAITS = {
    **RUN,
    "status": "requires_action",
    "required_action": {
        "submit_tool_outputs": {
            "tool_calls": [{"id": "", "function": {"name": "gated", "arguments": "{}"}}]
        }
    },
}


async def test_a_run_that_seems_to_go_on_still_gets_its_outputs() -> None:
    """`in_progress` after `requires_action` ends no tool: only outputs open the next stream."""
    gate = asyncio.Event()
    posted: list[Any] = []

    @tool
    async def gated() -> str:
        """Wait for the gate."""
        await gate.wait()
        return "through"

    moves = event("thread.run.in_progress", {**RUN, "status": "in_progress"})
    first = events(BEGUN, event("thread.run.requires_action", WAITS), moves, DONE)

    async def answer(request: Received, writer: Writer) -> None:
        submits = "submit_tool_outputs" in request.line
        if submits:
            posted.append(json.loads(request.body)["tool_outputs"])
        await (events(OVER) if submits else first)(request, writer)

    async with (
        asyncio.timeout(SAFETY),
        RawServer(answer) as server,
        made(server.url) as client,
        client.threads.runs.stream("t", assistant_id="a", tools=[gated]) as stream,
    ):
        async for told in stream:
            if told.name == "thread.run.in_progress":
                gate.set()
        result = await stream.result()

    assert [[one["output"] for one in outputs] for outputs in posted] == [["through"]]
    assert result.run.status == "completed"
    assert len(server.requests) == 2


def endless(first: bytes, again: bytes, head: bytes) -> Any:
    """An answer that goes on for 40 MiB, or until the client has had enough."""

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(head + (chunk(first) if first else b""))
        for _ in range(40 * MIB // len(again)):
            writer.write(chunk(again))
            await writer.drain()
        writer.write(END)

    return answer


def packed(kind: str) -> bytes:
    """60 MiB in 60 KiB."""
    return encoded(bomb(60), "gzip", kind)


LARGE: dict[str, tuple[Any, Any]] = {
    "one line": (streamed, endless(b"data:", b"x" * 65_536, STREAM)),
    "many lines": (streamed, endless(b"event:x\n", (b"data:" + b"x" * 999 + b"\n") * 64, STREAM)),
    "no field": (streamed, endless(b"", b"x" * 65_536, STREAM)),
    "packed stream": (streamed, answering(packed("text/event-stream"))),
    "JSON": (changed, endless(b'{"id":"', b"x" * 65_536, head())),
    "JSON for a stream": (streamed, endless(b'{"id":"', b"x" * 65_536, head())),
    "error": (changed, endless(b'{"code":"', b"x" * 65_536, head("500 X"))),
    "error for a stream": (streamed, endless(b'{"code":"', b"x" * 65_536, head("500 X"))),
    "packed JSON": (changed, answering(packed("application/json"))),
}


@pytest.mark.parametrize("name", LARGE)
async def test_what_is_too_large_is_told_before_it_fills_the_memory(name: str) -> None:
    """An answer, or an event, beyond its limit is `ResponseTooLarge`; little more was held."""
    ask, answer = LARGE[name]
    limits = Limits(max_response_bytes=MIB, max_event_bytes=MIB)
    tracemalloc.start()
    try:
        error = await outcome(answer, ask, limits=limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert type(error) is ResponseTooLarge
    assert "Limits.max_" in str(error)
    assert peak < 16 * MIB


async def test_comments_without_end_are_no_event_and_fill_no_memory() -> None:
    """Comments are dropped as they come, however many there are."""
    comments = (b":" + b"x" * 999 + b"\n") * 64
    pieces = [BEGUN, *[comments] * 160, b"\n", OVER]
    tracemalloc.start()
    try:
        names = await outcome(events(*pieces), streamed, limits=Limits(max_event_bytes=MIB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert names == ["thread.run.created", "thread.run.completed"]
    assert peak < 16 * MIB


ACTION = {"type": "submit_tool_outputs"}


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
async def test_arguments_of_any_depth_are_an_error_that_the_model_reads(depth: int) -> None:
    """A tool is not called with arguments that cannot be read; the run goes on."""

    @tool
    def weigh(cargo: list[str]) -> str:
        """Weigh it."""
        return "heavy"

    arguments = '{"cargo":' + "[" * depth + "]" * depth + "}"
    call = {"id": "c", "type": "function", "function": {"name": "weigh", "arguments": arguments}}
    waiting = {**RUN, "status": "requires_action"} | {
        "required_action": {**ACTION, "submit_tool_outputs": {"tool_calls": [call]}}
    }
    first = events(BEGUN, event("thread.run.requires_action", waiting), event("done", b"[DONE]"))
    answers = [first, events(OVER)]

    async def answer(request: Received, writer: Writer) -> None:
        await answers.pop(0)(request, writer)

    async with asyncio.timeout(SAFETY), RawServer(answer) as server, made(server.url) as client:
        runs = client.threads.runs
        async with runs.stream("t", assistant_id="a", tools=[weigh]) as stream:
            names = [event.name async for event in stream]
        (output,) = json.loads(server.requests[1].body)["tool_outputs"]

    assert names[-1] == "thread.run.completed"
    assert output["tool_call_id"] == "c"
    assert "error" in output["output"]
    assert len(output["output"]) < 1000


@pytest.mark.parametrize("ask", [changed, streamed])
async def test_a_wrong_key_is_told_without_the_key(
    ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that quotes the key gets it into no text, repr, cause, pickle or log line."""
    body = json.dumps(
        {"code": f"InvalidApiKey.{KEY}", "message": f"Invalid: {KEY}", "request_id": f"r-{KEY}"}
    )
    caplog.set_level(logging.DEBUG)
    error = await outcome(answering(whole(body.encode(), f"401 {KEY}")), ask)

    assert type(error) is AuthenticationError
    assert "Invalid" in str(error)
    seen: BaseException | None = error
    while seen is not None:
        assert KEY not in f"{seen} {seen!r} {seen.__dict__} {seen.args}"
        seen = seen.__cause__ or seen.__context__
    assert KEY.encode() not in pickle.dumps(error)
    assert KEY not in caplog.text


IDS = (
    "a/b", "a?b", "a#b", "%2f", "a%2Fb", "a b", "线程", "a\\b", "a;b", "a+b", "a&b=c", "~", "a:b@c",
    "a\r\nX: y", "a\0b", "../..", "..%2f..", "...", "x" * 10_000, "字" * 1_000, "%", "{run_id}",
)  # fmt: skip


@pytest.mark.parametrize("odd", IDS, ids=lambda odd: ascii(odd)[:20])
async def test_an_id_addresses_exactly_its_object(odd: str) -> None:
    """Whatever stands in an id stays in its one segment of the path, and is that id there."""
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        await client.threads.retrieve(odd)
        await client.threads.runs.retrieve(odd, odd)
        await client.threads.runs.steps.retrieve("t", odd, odd)
        await client.assistants.files.delete(odd, odd)
        await client.files.delete(odd)
        lines = [request.line.split(" ") for request in server.requests]

    assert all(len(parts) == 3 for parts in lines)
    paths = [[unquote(segment) for segment in path.split("/")[3:]] for _, path, _ in lines]
    assert paths == [
        ["threads", odd],
        ["threads", odd, "runs", odd],
        ["threads", "t", "runs", odd, "steps", odd],
        ["assistants", odd, "files", odd],
        ["files", odd],
    ]


@pytest.mark.parametrize("none", ["", ".", "..", "\ud800", None, 5, b"x", ["x"], True])
async def test_what_is_no_id_is_refused_before_it_is_sent(none: Any) -> None:
    """An empty id, dots alone, and what is no text: the field is named, nothing is asked."""
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        for call in (
            client.threads.retrieve(none),
            client.threads.runs.retrieve("t", none),
            client.threads.runs.steps.retrieve("t", "r", none),
            client.assistants.delete(none),
            client.threads.messages.create(none, "x"),
            client.threads.runs.submit_tool_outputs("t", none, tool_outputs=[]),
            client.files.retrieve(none),
        ):
            with pytest.raises(InvalidArgument, match="_id "):
                await call
        with pytest.raises(InvalidArgument, match="thread_id"):
            async with client.threads.runs.stream(none, assistant_id="a") as stream:
                await anext(stream)

    assert server.requests == []


@pytest.fixture
async def asked() -> AsyncIterator[tuple[RawServer, DashScope]]:
    """A service that gives threads, and a client of it."""
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        yield server, client


@pytest.mark.parametrize("size", [0, 101, -1, 10**30, True, False, 1.0, "5", "", float("nan"), []])
async def test_a_page_size_beyond_its_limits_is_refused(
    size: Any, asked: tuple[RawServer, DashScope]
) -> None:
    """A page has 1 to 100 items, said by a whole number; nothing else is sent."""
    server, client = asked
    for pages in (
        client.assistants.list(page_size=size),
        client.threads.messages.list("t", page_size=size),
        client.files.list(page_size=size),
    ):
        with pytest.raises(InvalidArgument, match="page_size"):
            await pages

    assert server.requests == []


CYCLE: dict[str, Any] = {}
CYCLE["cycle"] = CYCLE


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "x" for number in range(17)},
        {"k" * 65: "x"},
        {"键" * 65: "x"},
        {"a": "x" * 513},
        {"a": "值" * 513},
        {1: "x"},
        {None: "x"},
        {b"a": "x"},
        {"a": object()},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\ud800"},
        CYCLE,
        [("a", "b")],
        "text",
        5,
    ],
    ids=lambda value: ascii(value)[:20],
)
async def test_metadata_beyond_its_limits_is_refused(
    metadata: Any, asked: tuple[RawServer, DashScope]
) -> None:
    """16 pairs, keys of 64 and values of 512 characters, all of it JSON; nothing else is sent."""
    server, client = asked
    for call in (
        client.threads.create(metadata=metadata),
        client.threads.update("t", metadata=metadata),
        client.assistants.create(model="m", metadata=metadata),
        client.threads.messages.create("t", "x", metadata=metadata),
        client.threads.runs.create("t", assistant_id="a", metadata=metadata),
        client.threads.create(messages=[{"content": "x", "metadata": metadata}]),
    ):
        with pytest.raises(InvalidArgument):
            await call

    assert server.requests == []


async def test_metadata_up_to_its_limits_is_sent(asked: tuple[RawServer, DashScope]) -> None:
    """Limits count characters, not bytes."""
    server, client = asked
    metadata = {f"{number:02}" + "键" * 62: "值" * 512 for number in range(16)}
    await client.threads.create(metadata=metadata)

    assert json.loads(server.requests[0].body) == {"metadata": metadata}


async def test_unknown_ids_are_not_found(client: DashScope) -> None:
    """Every kind of object that is not there is `NotFound`, though the status is 400 (§6.2)."""
    thread = (await client.threads.create()).id
    threads, assistants = client.threads, client.assistants
    for call in (
        assistants.retrieve("x"),
        assistants.update("x", name="n"),
        assistants.delete("x"),
        assistants.files.retrieve("x", "x"),
        threads.retrieve("x"),
        threads.delete("x"),
        threads.messages.retrieve(thread, "x"),
        threads.messages.files.retrieve(thread, "x", "x"),
        threads.runs.retrieve(thread, "x"),
        threads.runs.create(thread, assistant_id="x"),
        threads.runs.create("x", assistant_id="x"),
        threads.runs.cancel(thread, "x"),
        threads.runs.steps.retrieve(thread, "x", "x"),
        client.files.retrieve("x"),
        client.files.delete("x"),
    ):
        with pytest.raises(NotFound):
            await call
    assert (await client.threads.retrieve(thread)).id == thread
