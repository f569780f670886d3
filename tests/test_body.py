"""The bytes of a streamed answer: what is one, what is none, and how it ends."""

import asyncio
import json
from typing import Any

import pytest

from aiodashassist import AppBuilder, Limits, Timeouts
from aiodashassist.errors import (
    AssistError,
    AuthenticationError,
    FirstEventTimeout,
    NotFound,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    StreamInterrupted,
    TransportError,
)
from tests import virtual_time
from tests.asking import (
    ENVELOPE,
    KEY,
    RUN,
    failure,
    made,
    opened,
    read_all,
    session_of,
)
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head
from tests.retrying import ONCE


async def test_a_broken_stream_body_is_an_interruption() -> None:
    """A connection that ends inside a chunked answer is StreamInterrupted."""
    async with (
        RawServer(answering(STREAM, chunk(b"data:1\n\n"), close=True)) as server,
        made(server.url) as client,
    ):
        body = await opened(session_of(client))
        first = await body.read()
        with pytest.raises(StreamInterrupted):
            await body.read()
        body.close()

    assert first == b"data:1\n\n"


async def test_a_stream_body_ends_with_nothing() -> None:
    """The end of an answer reads as `b""`, and the connection serves the next request."""
    async with (
        RawServer(answering(STREAM, chunk(b"data:1\n\n"), END)) as server,
        made(server.url) as client,
    ):
        session = session_of(client)
        for _ in range(2):
            body = await opened(session)
            pieces = [await body.read(), await body.read()]
            body.close()
            assert pieces == [b"data:1\n\n", b""]
        connector = session.pool.http().connector

    assert connector is not None
    assert len(server.requests) == 2


async def test_a_media_type_has_no_case() -> None:
    """`Text/Event-Stream` is an event stream."""
    async with (
        RawServer(answering(head(kind="Text/Event-Stream"), chunk(b"data:1\n\n"), END)) as server,
        made(server.url) as client,
    ):
        body = await opened(session_of(client))
        assert await body.read() == b"data:1\n\n"
        body.close()


# --- answers that are called event streams and are none ---

REFUSED = b'{"code":"InvalidApiKey","message":"no","request_id":"req-9"}'
BOM = b"\xef\xbb\xbf"
CUTS: dict[str, list[bytes]] = {
    "whole": [REFUSED],
    "byte by byte": [REFUSED[i : i + 1] for i in range(len(REFUSED))],
    "in two": [REFUSED[:7], REFUSED[7:]],
    "blanks before": [b"\r\n \t" + REFUSED],
    "blanks before, byte by byte": [b"\n", b" ", REFUSED[:1], REFUSED[1:]],
    "BOM before": [BOM + REFUSED],
    "BOM and blanks before": [BOM + b"\n" + REFUSED],
    "blanks behind": [REFUSED + b"\n\n"],
}


def unframed(pieces: list[bytes], *more: bytes, close: bool = False) -> Any:
    """An answer that says it is an event stream, in these chunks."""
    return answering(STREAM, *map(chunk, pieces), *more, close=close)


@pytest.mark.parametrize("pieces", CUTS.values(), ids=CUTS)
async def test_json_that_is_called_an_event_stream_is_the_error_it_tells(
    pieces: list[bytes],
) -> None:
    """However it is cut, and whatever blanks there are: class, status and request are known."""
    error = await failure(unframed(pieces, END), RUN)

    assert isinstance(error, AuthenticationError)
    assert (error.status, error.code, error.message) == (200, "InvalidApiKey", "no")
    assert error.request_id == "req-9"


async def test_another_services_envelope_is_read_as_its_own() -> None:
    """On AppBuilder errors come so (appbuilder.md §6.5); a header names the request."""
    marked = STREAM.replace(b"\r\n\r\n", b"\r\nX-Appbuilder-Request-Id: req-8\r\n\r\n")
    async with (
        RawServer(answering(marked, chunk(ENVELOPE), END)) as server,
        AppBuilder(KEY, server.url, retry=ONCE) as client,
    ):
        with pytest.raises(NotFound, match="There is no such thread") as caught:
            await read_all(session_of(client))

    assert (caught.value.status, caught.value.request_id) == (200, "req-8")


async def test_an_object_that_is_no_error_is_no_stream_either() -> None:
    """It is said what was expected and what came."""
    error = await failure(unframed([b'{"id":"run_1","status":"queued"}'], END), RUN)

    assert type(error) is RemoteProtocolError
    assert "got an answer without a frame" in error.message


async def test_json_that_is_cut_off_is_a_broken_connection() -> None:
    """Half an error is not shown as if it were one."""
    error = await failure(unframed([REFUSED[:20]], close=True), RUN)

    assert type(error) is TransportError


@pytest.mark.parametrize("length", [None, 1 << 30])
async def test_json_without_end_does_not_fill_the_memory(length: int | None) -> None:
    """It is bounded as any answer is that is no stream, whether it tells its size or not."""
    large = b'{"a":"' + b"x" * 5000
    begun = head(kind="text/event-stream", length=length)
    body = large if length else chunk(large)
    limits = Limits(max_response_bytes=1000)
    error = await failure(answering(begun, body), RUN, limits=limits)

    assert type(error) is ResponseTooLarge


async def test_json_that_does_not_end_is_a_request_timeout() -> None:
    """The rest of it is waited for as for any answer that is no stream."""
    error = await failure(unframed([REFUSED[:20]]), RUN, timeouts=Timeouts(read=0.1))

    assert type(error) is RequestTimeout


def trickling(*pieces: bytes, every: float, begun: bytes = STREAM) -> Any:
    """Waits before each chunk, and then for ever."""

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(begun)
        for piece in pieces:
            await asyncio.sleep(every)
            writer.write(chunk(piece))
        await asyncio.Event().wait()

    return answer


def test_json_that_is_read_in_pieces_survives_a_cancelled_read() -> None:
    """What had come is not lost, so that it is the error it tells; and each read tells it again."""
    pieces = [REFUSED[:10], REFUSED[10:20], REFUSED[20:] + b"\r\n"]
    marked = head(kind="text/event-stream", length=len(b"".join(pieces)))

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(marked)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(3)

    async def main() -> list[tuple[type[AssistError], str]]:
        told = []
        async with RawServer(answer) as server, made(server.url) as client:
            body = await opened(session_of(client))
            with pytest.raises(TimeoutError):  # after the second piece
                async with asyncio.timeout(4):
                    await body.read()
            for _ in range(2):
                with pytest.raises(AssistError) as caught:
                    await body.read()
                told.append((type(caught.value), caught.value.message))
            body.close()
        return told

    assert virtual_time.run(main()) == [(AuthenticationError, "no")] * 2


def test_a_block_is_left_at_once_after_an_error_that_did_not_end() -> None:
    """No run is looked for in an answer of which it is known that it is no stream."""

    async def main() -> tuple[float, float]:
        time = asyncio.get_running_loop().time
        timeouts = Timeouts(read=3, cancel=50, first_event=100)
        async with (
            RawServer(trickling(REFUSED[:20], every=0)) as server,
            made(server.url, timeouts=timeouts) as client,
        ):
            async with client.threads.runs.stream("t", assistant_id="a") as stream:
                with pytest.raises(RequestTimeout):
                    await anext(stream)
                told = time()
            return told, time() - told

    told, left = virtual_time.run(main())

    assert told == pytest.approx(3)
    assert left == pytest.approx(0)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data:", b'{"id":"x"}\n\n'],
        [b"\n\n", b"data:1\n\n", b"{\n\n"],
        [BOM + b'data:{"id":"x"}\n\n', b"{}"],
        [b": {\n\n", b"{"],
    ],
)
async def test_an_event_stream_may_have_braces_anywhere_else(pieces: list[bytes]) -> None:
    """Only the first byte that is no blank tells; what comes is handed out as it came."""
    async with RawServer(unframed(pieces, END)) as server, made(server.url) as client:
        body = await opened(session_of(client))
        read = []
        while arrived := await body.read():
            read.append(arrived)
        body.close()

    assert b"".join(read) == b"".join(pieces)


PLAIN = head(kind="text/plain")
OF_A_RUN = b'event:thread.run.%b\ndata:{"id":"run_1","thread_id":"t","status":"%b"}\n\n'
EVENTS = OF_A_RUN % (b"created", b"queued") + OF_A_RUN % (b"completed", b"completed")
PING = b": ping\n\n"


@pytest.mark.parametrize("pieces", [[EVENTS], [EVENTS[:2], EVENTS[2:]]], ids=["whole", "cut"])
@pytest.mark.parametrize("limit", [10, None])
def test_the_first_event_of_a_stream_of_another_type_may_be_slow(
    limit: float | None, pieces: list[bytes]
) -> None:
    """`first_event` bounds it, and `read` has nothing to say; half a field's name may be one."""

    async def main() -> str:
        async with (
            RawServer(trickling(*pieces, every=4, begun=PLAIN)) as server,
            made(server.url, timeouts=Timeouts(first_event=limit, read=1)) as client,
            client.threads.runs.stream("t", assistant_id="a") as stream,
        ):
            return str((await stream.result()).run.status)

    assert virtual_time.run(main()) == "completed"


@pytest.mark.parametrize("pieces", [[], [PING], [b"\n", PING]])
@pytest.mark.parametrize("read", [1, None])
def test_a_stream_of_another_type_that_says_nothing_is_a_first_event_timeout(
    pieces: list[bytes], read: float | None
) -> None:
    """After its head, and after what is no event; all of it is one wait, from the request on."""

    async def main() -> float:
        time = asyncio.get_running_loop().time
        answer = trickling(*pieces, every=4, begun=PLAIN)
        async with (
            RawServer(answer) as server,
            made(server.url, timeouts=Timeouts(first_event=10, read=read)) as client,
        ):
            began = time()
            with pytest.raises(FirstEventTimeout) as caught:
                async with client.threads.runs.stream(
                    "t", assistant_id="a", on_exit="leave"
                ) as stream:
                    await stream.result()
            assert caught.value.thread_id == "t"
            return time() - began

    assert virtual_time.run(main()) == pytest.approx(10)


async def test_a_stream_knows_the_headers_of_its_answer() -> None:
    """A reader may need them: names in lower case."""
    marked = STREAM.replace(b"\r\n\r\n", b"\r\nX-Some-ID: Req-8\r\n\r\n")
    async with RawServer(answering(marked, END)) as server, made(server.url) as client:
        body = await opened(session_of(client))
        body.close()

    assert body.headers["x-some-id"] == "Req-8"
    assert body.headers["content-type"] == "text/event-stream"


async def test_whoever_streams_is_told_where_and_without_the_key() -> None:
    """The error of such an answer names the thread, and not the key that it quotes."""
    quoted = json.dumps({"code": "InvalidApiKey", "message": f"no: {KEY}", "request_id": "q"})
    async with RawServer(unframed([quoted.encode()], END)) as server, made(server.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            async with client.threads.runs.stream("thread_1", assistant_id="a") as stream:
                await stream.result()

    assert (caught.value.thread_id, caught.value.request_id) == ("thread_1", "q")
    assert KEY not in f"{caught.value} {caught.value!r}"
