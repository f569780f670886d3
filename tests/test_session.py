"""The session: what leaves, what comes back, and what every failure becomes."""

import asyncio
import gc
import json
import pickle
import ssl
from typing import Any

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from aiodashassist import DashScope, Limits, Timeouts
from aiodashassist.core import operations as ops
from aiodashassist.errors import (
    APIError,
    AssistError,
    AuthenticationError,
    BadRequest,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    StreamInterrupted,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
)
from aiodashassist.session import Body, Session
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head, whole

KEY = "sk-very-secret-0123456789"
THREAD = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{},"request_id":"req"}'
# A POST: aiohttp asks a second time by itself when an idempotent request meets a dead connection.
OPERATION = ops.UpdateThread(thread_id="thread_1", params={"metadata": {}})
RUN = ops.CreateRun(thread_id="thread_1", params={"assistant_id": "a"}, stream=True)


def made(url: str, **options: Any) -> DashScope:
    """A client of a raw server."""
    return DashScope(KEY, base_url=url + "/api/v1", **options)


def session_of(client: DashScope) -> Session:
    """The client's session, to ask it operations directly."""
    return client._session


async def silent(_request: Received, _writer: Writer) -> None:
    """Answers nothing, for ever."""
    await asyncio.Event().wait()


async def _read_all(session: Session) -> None:
    """Open a stream and read it to its end."""
    body = await session.open(RUN)
    try:
        while await body.read():
            pass
    finally:
        body.close()


async def failure(answer: Any, operation: Any = OPERATION, **options: Any) -> AssistError:
    """The error that a call ends in when the service answers so; the client works afterwards."""
    answers = [answer, answering(whole(THREAD))]

    async def first_then_good(request: Received, writer: Writer) -> None:
        await (answers.pop(0) if len(answers) > 1 else answers[0])(request, writer)

    async with RawServer(first_then_good) as server, made(server.url, **options) as client:
        session = session_of(client)
        with pytest.raises(AssistError) as caught:
            await (_read_all(session) if operation is RUN else session.call(operation))
        later = made(server.url, session=session.pool.http())
        assert (await later.threads.retrieve("thread_1")).id == "thread_1"
    return caught.value


async def test_a_request_has_key_workspace_and_the_headers_of_the_wire() -> None:
    """Authorization, workspace, Accept and Content-Type are as the official SDK sends them."""
    async with (
        RawServer(answering(whole(THREAD))) as server,
        made(server.url, workspace="ws", headers={"X-Mine": "1"}) as client,
    ):
        await client.threads.create(metadata={"名": "值"})
        request = server.requests[0]

    assert request.line == "POST /api/v1/threads HTTP/1.1"
    assert json.loads(request.body) == {"metadata": {"名": "值"}}
    expected = {
        "authorization": f"bearer {KEY}",
        "x-dashscope-workspace": "ws",
        "accept": "application/json; charset=utf-8",
        "content-type": "application/json; charset=utf-8",
        "user-agent": "aiodashassist",
        "x-mine": "1",
    }
    assert expected.items() <= request.headers.items()


async def test_a_request_without_a_body_has_no_content_type() -> None:
    """Reading and cancelling send no body, and do not claim one."""
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        await client.threads.retrieve("thread_1")

    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


async def test_a_large_body_is_sent_whole_and_without_a_warning() -> None:
    """A message of several megabytes arrives to the letter."""
    content = "字" * 1_000_000
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        await client.threads.messages.create("t", content)

    assert json.loads(server.requests[0].body) == {"content": content, "role": "user"}


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    """Slashes, dots and question marks of an id are quoted, and quoted once."""
    async with RawServer(answering(whole(THREAD))) as server, made(server.url) as client:
        await client.threads.retrieve("../a?b=c/名%41")

    assert server.requests[0].line == (
        "GET /api/v1/threads/..%2Fa%3Fb%3Dc%2F%E5%90%8D%2541 HTTP/1.1"
    )


def refusal(status: str, code: str, message: str) -> Any:
    """An error answer of the service."""
    body = json.dumps({"code": code, "message": message, "request_id": "req"}).encode()
    return answering(whole(body, status))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refusal("400 Bad", "InvalidParameter", "Model not exist."), NotFound, "not exist"),
        (refusal("401 No", "InvalidApiKey", "Invalid API-key."), AuthenticationError, "API-key"),
        (answering(whole(b"<html>gone</html>", "502 Bad")), APIError, "<html>"),
        (answering(whole(b"<html>", kind="text/html")), DecodeError, "JSON"),
        (answering(whole(b"[" * 100_000)), DecodeError, "JSON"),
        (answering(whole(b"\xff\xfe")), DecodeError, "JSON"),
        (answering(whole(b"null")), DecodeError, "object"),
        (answering(head(length=1000) + b"{", close=True), TransportError, "whole"),
        (answering(head() + chunk(b"{"), close=True), TransportError, "whole"),
        (answering(close=True), TransportError, "before the answer"),
        (answering(b"nonsense\r\n\r\n", close=True), TransportError, "before the answer"),
        (
            answering(b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/x\r\n\r\n"),
            UnexpectedRedirect,
            "evil.example",
        ),
    ],
)
async def test_every_bad_answer_is_an_error_of_ours(
    answer: Any, kind: type[AssistError], words: str
) -> None:
    """Whatever comes instead of an answer ends in our own class, and the client is usable."""
    error = await failure(answer)

    assert isinstance(error, kind)
    assert words in str(error)
    assert error.thread_id == "thread_1"


async def test_an_answer_beyond_the_limit_is_not_read() -> None:
    """`Limits.max_response_bytes` bounds an answer, whatever its head says."""
    error = await failure(
        answering(head(length=1 << 30) + b"x" * 5000, close=True),
        limits=Limits(max_response_bytes=1000),
    )

    assert isinstance(error, ResponseTooLarge)


async def test_a_silent_service_is_a_request_timeout() -> None:
    """`Timeouts.read` bounds the silence of an answer."""
    error = await failure(silent, timeouts=Timeouts(read=0.05))

    assert isinstance(error, RequestTimeout)
    assert isinstance(error, TimeoutError)


async def test_total_bounds_the_whole_call() -> None:
    """`Timeouts.total` ends a call that is neither silent nor done."""
    error = await failure(silent, timeouts=Timeouts(total=0.05))

    assert isinstance(error, TotalTimeout)
    assert "0.05 s" in str(error)


async def test_a_stream_whose_answer_does_not_begin_is_a_first_event_timeout() -> None:
    """`Timeouts.first_event` counts from the request on."""
    error = await failure(silent, RUN, timeouts=Timeouts(first_event=0.05))

    assert isinstance(error, FirstEventTimeout)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("400 Bad", "InvalidParameter", "Nonsense."), BadRequest),
        (answering(whole(b'{"code":"InternalError","message":"x"}')), APIError),
        (answering(whole(b"<html>", kind="text/html")), RemoteProtocolError),
        (answering(whole(b"data:1\n\n", "201 Created", "text/event-stream")), RemoteProtocolError),
    ],
)
async def test_what_is_no_stream_is_an_error_and_not_an_empty_stream(
    answer: Any, kind: type[AssistError]
) -> None:
    """A JSON error, HTML or another status where a stream was asked for is told."""
    assert isinstance(await failure(answer, RUN), kind)


async def test_a_refusal_that_does_not_end_is_a_request_timeout() -> None:
    """A stream refused with a body that stops coming is not waited for without limit."""
    error = await failure(
        answering(head("400 Bad", length=100) + b"{"), RUN, timeouts=Timeouts(read=0.05)
    )

    assert isinstance(error, RequestTimeout)


async def test_a_refused_connection_is_a_connect_error() -> None:
    """Nobody listening is a ConnectError that says where."""
    async with RawServer(silent) as server:
        url = server.url
    async with made(url) as client:
        with pytest.raises(ConnectError, match="no connection"):
            await client.threads.retrieve("thread_1")


@pytest.mark.parametrize(
    "foreign",
    [
        aiohttp.ConnectionTimeoutError("connect"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.InvalidURL("x"),
        ConnectionResetError("reset"),
        ssl.SSLError("tls"),
        ValueError("a header with a line break"),
    ],
)
async def test_no_foreign_exception_escapes(foreign: Exception) -> None:
    """What aiohttp and the system raise becomes ours, with the cause kept."""
    with aioresponses() as mocked:
        mocked.get("https://dashscope.aliyuncs.com/api/v1/threads/t", exception=foreign)
        async with DashScope(KEY) as client:
            with pytest.raises(TransportError) as caught:
                await client.threads.retrieve("t")

    assert caught.value.__cause__ is foreign


async def test_the_key_is_in_no_error_even_if_the_service_echoes_it() -> None:
    """A body that quotes the key is shown without it."""
    error = await failure(refusal("401 No", "InvalidApiKey", f"bad key {KEY} given"))

    assert KEY not in str(error) + repr(error)
    assert "bad key *** given" in str(error)


async def test_the_key_is_in_no_part_of_an_error() -> None:
    """Neither in code and request id, nor in the causes that hang on it, nor in a pickle."""
    body = json.dumps({"code": f"C {KEY}", "message": "m", "request_id": f"r {KEY}"}).encode()
    bad_chunk = head() + b"zzz\r\n"
    errors = [
        await failure(answering(whole(body, "400 Bad"))),
        await failure(answering(b"nonsense\r\n\r\n", close=True)),
        await failure(answering(bad_chunk, close=True)),
        await failure(answering(STREAM + b"zzz\r\n", close=True), RUN),
    ]
    for error in errors:
        seen: BaseException | None = error
        while seen is not None:
            assert KEY not in f"{seen!r} {seen} {seen.__dict__}"
            assert seen.__context__ is None or KEY not in repr(seen.__context__)
            seen = seen.__cause__
        assert KEY.encode() not in pickle.dumps(error)


async def test_a_redirect_to_nonsense_is_a_redirect() -> None:
    """A Location that is no URL is told without being quoted."""
    error = await failure(answering(b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\n\r\n"))

    assert isinstance(error, UnexpectedRedirect)
    assert "no URL" in str(error)


async def test_the_users_session_does_not_change_the_errors() -> None:
    """A session that raises for a status, or is closed, still gives our errors."""
    words = "The specified thread has been deleted or does not exist."
    async with (
        RawServer(refusal("400 Bad", "InvalidParameter", words)) as server,
        aiohttp.ClientSession(raise_for_status=True) as own,
    ):
        client = made(server.url, session=own)
        with pytest.raises(NotFound):
            await client.threads.retrieve("t")
        await own.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.threads.retrieve("t")


async def test_neither_client_nor_config_shows_the_key() -> None:
    """No repr holds the key or headers."""
    async with made("https://example.org", headers={"X-Token": "hush"}) as client:
        shown = repr(client) + repr(session_of(client).config) + repr(vars(client))

    assert KEY not in shown
    assert "hush" not in shown


async def test_a_call_the_service_does_not_have_is_tried_once() -> None:
    """Cancelling on a service without that endpoint is unsupported, and remembered (§7.1)."""
    async with (
        RawServer(refusal("400 Bad", "InvalidParameter", "Invalid URL provided.")) as server,
        made(server.url) as client,
    ):
        for _ in range(2):
            with pytest.raises(UnsupportedOperation, match="DashScope"):
                await client.threads.runs.cancel("t", "r")

    assert len(server.requests) == 1


async def test_cancelling_an_unknown_run_is_not_found() -> None:
    """A missing run says nothing about the endpoint (§7.1)."""
    words = "The specified run has been deleted or does not exist."
    async with (
        RawServer(refusal("400 Bad", "InvalidParameter", words)) as server,
        made(server.url) as client,
    ):
        for _ in range(2):
            with pytest.raises(NotFound):
                await client.threads.runs.cancel("t", "r")

    assert len(server.requests) == 2


async def test_a_closed_client_says_closed() -> None:
    """Using a client after `close` is told plainly; closing twice is no error."""
    client = made("http://127.0.0.1:9")
    await client.close()
    await client.close()

    with pytest.raises(LocalProtocolError, match="closed"):
        await client.threads.retrieve("t")


def test_a_second_event_loop_says_loop() -> None:
    """A client belongs to the loop it was first used in."""

    async def use(client: DashScope) -> None:
        with pytest.raises(ConnectError):
            await client.threads.retrieve("t")

    async def use_again(client: DashScope) -> None:
        with pytest.raises(LocalProtocolError, match="loop"):
            await client.threads.retrieve("t")

    client = made("http://127.0.0.1:9")
    with asyncio.Runner() as runner:
        runner.run(use(client))
        with asyncio.Runner() as other:
            other.run(use_again(client))
        runner.run(client.close())


async def test_the_users_own_session_is_used_and_not_closed() -> None:
    """A session that was given stays open."""
    async with RawServer(answering(whole(THREAD))) as server, aiohttp.ClientSession() as own:
        async with made(server.url, session=own) as client:
            await client.threads.retrieve("thread_1")

        assert session_of(client).pool.http is not None
        assert not own.closed


async def test_a_broken_stream_body_is_an_interruption() -> None:
    """A connection that ends inside a chunked answer is StreamInterrupted."""
    async with (
        RawServer(answering(STREAM, chunk(b"data:1\n\n"), close=True)) as server,
        made(server.url) as client,
    ):
        body = await session_of(client).open(RUN)
        first = await body.read()
        with pytest.raises(StreamInterrupted):
            await body.read()
        body.close()

    assert isinstance(body, Body)
    assert first == b"data:1\n\n"


async def test_a_stream_body_ends_with_nothing() -> None:
    """The end of an answer reads as `b""`, and the connection serves the next request."""
    async with (
        RawServer(answering(STREAM, chunk(b"data:1\n\n"), END)) as server,
        made(server.url) as client,
    ):
        session = session_of(client)
        for _ in range(2):
            body = await session.open(RUN)
            pieces = [await body.read(), await body.read()]
            body.close()
            assert pieces == [b"data:1\n\n", b""]
        connector = session.pool.http().connector

    assert connector is not None
    assert len(server.requests) == 2


async def test_requests_are_sent_exactly_once() -> None:
    """A POST whose answer is lost is not repeated behind the caller's back."""
    calls: list[str] = []

    def answer(url: Any, **_: Any) -> CallbackResult:
        calls.append(str(url))
        raise aiohttp.ServerDisconnectedError

    with aioresponses() as mocked:
        mocked.post("https://dashscope.aliyuncs.com/api/v1/threads", callback=answer, repeat=True)
        async with DashScope(KEY) as client:
            with pytest.raises(TransportError):
                await client.threads.create()

    assert len(calls) == 1


async def slowly(request: Received, writer: Writer, pieces: list[bytes]) -> None:
    """Write pieces one after the other, each in a packet of its own, and then be silent."""
    del request
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    await asyncio.Event().wait()


def in_pieces(*pieces: bytes) -> Any:
    """An answer that comes piece by piece, and does not end."""
    return lambda request, writer: slowly(request, writer, list(pieces))


@pytest.mark.parametrize("operation", [OPERATION, RUN])
async def test_an_answer_that_cannot_be_read_further_ends_at_once(operation: Any) -> None:
    """A chunk that is none, in mid-answer, is an error and not a silence without end."""
    answer = in_pieces(STREAM if operation is RUN else head(), chunk(b"data"), b"ZZZ\r\n")
    error = await asyncio.wait_for(failure(answer, operation), 10)

    assert isinstance(error, TransportError)


async def test_closing_the_client_ends_what_others_wait_for() -> None:
    """A call under way in another task ends with an error of ours when the client is closed."""
    async with RawServer(in_pieces(head(length=100) + b'{"id"')) as server:
        client = made(server.url)
        call = asyncio.create_task(client.threads.retrieve("t"))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(TransportError):
            await asyncio.wait_for(call, 5)


async def test_a_kept_connection_collects_nothing() -> None:
    """Many calls on one connection leave nothing behind on it."""
    answer = answering(head() + chunk(THREAD), END)
    async with RawServer(answer) as server, made(server.url) as client:
        for _ in range(20):
            await client.threads.retrieve("t")
        connector: Any = session_of(client).pool.http().connector
        (kept,) = connector._conns.values()
        protocol = kept[0][0]
        assert len(kept) == 1
        assert len(protocol.closed._callbacks or []) == 0


async def test_a_reset_is_told_once() -> None:
    """A connection that is reset is our error, and no other line in the loop's log."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def reset(_request: Received, writer: Writer) -> None:
        writer.write(STREAM + chunk(b"data:1\n\n"))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()

    async with RawServer(reset) as server, made(server.url) as client:
        with pytest.raises(StreamInterrupted):
            await _read_all(session_of(client))
    gc.collect()
    await asyncio.sleep(0)

    assert told == []


async def test_a_media_type_has_no_case() -> None:
    """`Text/Event-Stream` is an event stream."""
    async with (
        RawServer(answering(head(kind="Text/Event-Stream"), chunk(b"data:1\n\n"), END)) as server,
        made(server.url) as client,
    ):
        body = await session_of(client).open(RUN)
        assert await body.read() == b"data:1\n\n"
        body.close()


async def test_the_key_is_in_no_protocol_error() -> None:
    """A service that puts the key into a header or a redirect does not get it printed."""
    kind = answering(whole(b"x", kind=KEY))
    redirect = f"HTTP/1.1 302 Found\r\nLocation: http://u:{KEY}@h/{KEY}\r\n\r\n".encode()
    errors = [await failure(kind, RUN), await failure(answering(redirect))]

    assert all(KEY not in f"{error} {error!r}" for error in errors)
    assert [type(error) for error in errors] == [RemoteProtocolError, UnexpectedRedirect]
