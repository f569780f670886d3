"""The session: what leaves, what comes back, and what every failure becomes."""

import asyncio
import gc
import json
import os
import pickle
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from traceback import TracebackException
from typing import Any

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from aiodashassist import AppBuilder, CallInfo, Client, DashScope, Limits, Retry, Timeouts
from aiodashassist.body import Body
from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.discretion import bare
from aiodashassist.downloads import Arrival
from aiodashassist.errors import (
    APIError,
    AssistError,
    AuthenticationError,
    BadRequest,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    InvalidArgument,
    LocalProtocolError,
    NotFound,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    ServerError,
    StreamInterrupted,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
)
from tests import virtual_time
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head, whole
from tests.retrying import ONCE

KEY = "sk-very-secret-0123456789"
THREAD = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{},"request_id":"req"}'
# A POST: aiohttp asks a second time by itself when an idempotent request meets a dead connection.
OPERATION = ops.UpdateThread(thread_id="thread_1", params={"metadata": {}})
RUN = ops.CreateRun(thread_id="thread_1", params={"assistant_id": "a"}, stream=True)


def made(url: str, **options: Any) -> DashScope:
    """A client of a raw server; it asks once."""
    return DashScope(KEY, base_url=url + "/api/v1", **{"retry": ONCE, **options})


def session_of(client: Client) -> Session:
    """The client's session, to ask it operations directly."""
    return client._session


async def silent(_request: Received, _writer: Writer) -> None:
    """Answers nothing, for ever."""
    await asyncio.Event().wait()


async def opened(session: Session) -> Body:
    """A stream that the service has begun."""
    body = await session.open(RUN)
    assert isinstance(body, Body)
    return body


async def _read_all(session: Session) -> None:
    """Open a stream and read it to its end."""
    body = await opened(session)
    try:
        while await body.read():
            pass
    finally:
        body.close()


def lost_by(error: BaseException) -> BaseException | None:
    """How the answer was lost, where nobody knows what became of the request."""
    assert type(error) is OutcomeUnknown
    return error.__cause__


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
        (answering(whole(b'{"code":"InvalidParameter","message":"x"}')), APIError),
        (answering(whole(b"<html>", kind="text/html")), RemoteProtocolError),
        (answering(whole(b"data:1\n\n", "201 Created", "text/event-stream")), RemoteProtocolError),
    ],
)
async def test_what_is_no_stream_is_an_error_and_not_an_empty_stream(
    answer: Any, kind: type[AssistError]
) -> None:
    """A JSON error, HTML or another status where a stream was asked for is told."""
    assert isinstance(await failure(answer, RUN), kind)


async def test_a_failure_of_the_service_where_a_stream_was_asked_for_is_told() -> None:
    """Where nobody is to look what became of the run, what was heard is all there is to say."""
    error = await failure(answering(whole(b'{"code":"InternalError","message":"x"}')), RUN)

    assert isinstance(error, ServerError)
    assert "200 InternalError: x" in str(error)


async def test_a_refusal_that_does_not_end_is_a_request_timeout() -> None:
    """A stream refused with a body that stops coming is not waited for without limit."""
    error = await failure(
        answering(head("400 Bad", length=100) + b"{"), RUN, timeouts=Timeouts(read=0.05)
    )

    assert isinstance(lost_by(error), RequestTimeout)


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
        ConnectionResetError("reset"),
        ssl.SSLError("tls"),
        ValueError("a header with a line break"),
    ],
)
async def test_no_foreign_exception_escapes(foreign: Exception) -> None:
    """What aiohttp and the system raise becomes ours, with the cause kept."""
    with aioresponses() as mocked:
        mocked.get("https://dashscope.aliyuncs.com/api/v1/threads/t", exception=foreign)
        async with DashScope(KEY, retry=ONCE) as client:
            with pytest.raises(TransportError) as caught:
                await client.threads.retrieve("t")

    assert caught.value.__cause__ is foreign


async def test_what_quotes_a_url_is_not_kept() -> None:
    """There may be a key in it."""
    foreign = aiohttp.InvalidURL("http://u:hush@x")
    with aioresponses() as mocked:
        mocked.get("https://dashscope.aliyuncs.com/api/v1/threads/t", exception=foreign)
        async with DashScope(KEY, retry=ONCE) as client:
            with pytest.raises(ConnectError, match="base_url is not a URL") as caught:
                await client.threads.retrieve("t")

    assert below(caught.value) == []


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


@pytest.mark.parametrize(
    ("retry", "path", "kind"),
    [
        (ONCE, "threads", TransportError),
        (Retry(reconcile=False), "threads/t/messages", OutcomeUnknown),
        (Retry(reconcile=False), "threads/t/runs", OutcomeUnknown),
    ],
)
async def test_requests_are_sent_exactly_once(
    retry: Retry, path: str, kind: type[AssistError]
) -> None:
    """A POST whose answer is lost is not repeated behind the caller's back."""
    calls: list[str] = []

    def answer(url: Any, **_: Any) -> CallbackResult:
        calls.append(str(url))
        raise aiohttp.ServerDisconnectedError

    with aioresponses() as mocked:
        mocked.post(f"https://dashscope.aliyuncs.com/api/v1/{path}", callback=answer, repeat=True)
        async with DashScope(KEY, retry=retry) as client:
            asked: dict[str, Callable[[], Awaitable[Any]]] = {
                "threads": client.threads.create,
                "threads/t/messages": lambda: client.threads.messages.create("t", "x"),
                "threads/t/runs": lambda: client.threads.runs.create("t", assistant_id="a"),
            }
            with pytest.raises(TransportError) as caught:
                await asked[path]()

    assert type(caught.value) is kind
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
    kind = answering(whole(b"<x>", kind=KEY))
    redirect = f"HTTP/1.1 302 Found\r\nLocation: http://u:{KEY}@h/{KEY}\r\n\r\n".encode()
    errors = [await failure(kind, RUN), await failure(answering(redirect))]

    assert all(KEY not in f"{error} {error!r}" for error in errors)
    assert [type(error) for error in errors] == [RemoteProtocolError, UnexpectedRedirect]


# --- uploads: on a socket that takes as much as the test wants ---

Handler = Callable[[asyncio.StreamReader, Writer], Awaitable[None]]
TAKEN = b'{"request_id":"r","data":{"uploaded_files":[{"file_id":"f","name":"n"}]}}'
LARGE = 20 << 20  # bytes; more than any socket takes by itself


@asynccontextmanager
async def taking(handler: Handler) -> AsyncIterator[str]:
    """A server that hands its connections to `handler`; gives its address."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        tasks.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
        await server.wait_closed()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of a request."""
    return await reader.readuntil(b"\r\n\r\n")


async def body_of(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The whole body of a request, as it came."""
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    return await reader.readuntil(b"\r\n0\r\n\r\n")


@asynccontextmanager
async def sound() -> AsyncIterator[list[object]]:
    """A check that nothing stays behind: no task, no open file, no line in the loop's log."""
    told: list[object] = []
    before = asyncio.all_tasks()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    yield told
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.001)
    gc.collect()
    await asyncio.sleep(0)
    assert told == []


async def upload_failure(
    handler: Handler, source: Any, progress: Any = None, **options: Any
) -> BaseException:
    """What an upload ends in; the client works afterwards, and nothing stays behind."""
    first = [handler]

    async def first_then_good(reader: asyncio.StreamReader, writer: Writer) -> None:
        if first:
            await first.pop()(reader, writer)
        else:
            await answering(whole(THREAD))(Received("", {}, await head_of(reader)), writer)

    async with sound(), taking(first_then_good) as url, made(url, **options) as client:
        with pytest.raises(BaseException) as caught:  # noqa: PT011 (whatever it is)
            await client.files.create(source, progress=progress)
        again = client.with_options(retry=Retry(first_delay=0))  # the connection may be gone
        assert (await again.threads.retrieve("thread_1")).id == "thread_1"
    return caught.value


async def swallow(reader: asyncio.StreamReader, _writer: Writer) -> None:
    """Takes everything and answers nothing."""
    while await reader.read(1 << 16):
        pass


async def stall(reader: asyncio.StreamReader, _writer: Writer) -> None:
    """Takes the head, and then nothing more."""
    await head_of(reader)
    await asyncio.Event().wait()


def deny(*, close: bool) -> Handler:
    """Answers 401 as soon as the head is there."""

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        await head_of(reader)
        body = b'{"code":"InvalidApiKey","message":"no","request_id":"q"}'
        writer.write(whole(body, "401 No"))
        await writer.drain()
        if not close:
            await asyncio.Event().wait()

    return handler


async def cut(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Resets the connection in the middle of the body."""
    await head_of(reader)
    await reader.readexactly(1 << 20)
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, _writer: Writer) -> None:
    """Ends the connection before the body."""
    await head_of(reader)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that takes no room."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


async def captured(source: Any, **params: Any) -> tuple[bytes, bytes]:
    """Head and body of an upload."""
    seen: list[bytes] = []

    async def capture(reader: asyncio.StreamReader, writer: Writer) -> None:
        head = await head_of(reader)
        seen.extend([head, await body_of(reader, head)])
        writer.write(whole(TAKEN))
        await writer.drain()

    async with sound(), taking(capture) as url, made(url) as client:
        assert (await client.files.create(source, **params)).id == "f"
    return seen[0], seen[1]


async def pieces(*given: Any) -> AsyncIterator[Any]:
    """Pieces, one after the other; one that is an exception is raised."""
    for piece in given:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


def parts_of(head: bytes, body: bytes) -> list[tuple[bytes, bytes]]:
    """Disposition and data of each part."""
    boundary = re.search(rb"multipart/form-data; boundary=(\S+)", head)
    assert boundary is not None
    *parts, end = body.split(b"--" + boundary[1])[1:]
    assert end == b"--\r\n"
    found = []
    for part in parts:
        heads, _, data = part.partition(b"\r\n\r\n")
        (disposition,) = re.findall(rb"Content-Disposition: (.*)", heads)
        found.append((disposition.rstrip(b"\r"), data.removesuffix(b"\r\n")))
    return found


async def test_an_upload_is_a_form_with_its_texts_first() -> None:
    """Length, type of the body, parts in the official SDK's order; `purpose` only when given."""
    head, body = await captured(b"abc", filename="a.txt", description="说明", purpose="batch")
    bare_head, bare = await captured(b"abc")

    assert head.startswith(b"POST /api/v1/files HTTP/1.1\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert b"application/json; charset" in head.split(b"Accept: ")[1][:30]
    assert head.lower().count(b"content-type") == 1
    assert parts_of(head, body) == [
        (b'form-data; name="descriptions"', "说明".encode()),
        (b'form-data; name="purpose"', b"batch"),
        (b'form-data; name="files"; filename="a.txt"', b"abc"),
    ]
    assert parts_of(bare_head, bare) == [(b'form-data; name="files"; filename="file"', b"abc")]


async def test_an_upload_takes_fields_headers_and_query_of_its_own() -> None:
    """What is not named joins the form, and the caller's headers win."""
    head, body = await captured(
        b"x", extra_body={"new": [1]}, extra_headers={"X-Mine": "1"}, extra_query={"q": "1"}
    )

    assert head.startswith(b"POST /api/v1/files?q=1 HTTP/1.1\r\n")
    assert b"X-Mine: 1\r\n" in head
    assert parts_of(head, body)[0] == (b'form-data; name="new"', b"[1]")


async def test_what_has_no_size_is_sent_in_chunks() -> None:
    """The length of an iterator is not known, and so not told."""
    head, body = await captured(pieces(b"one", b"two"))

    assert b"Transfer-Encoding: chunked\r\n" in head
    assert b"content-length" not in head.lower()
    assert b"\r\n3\r\none\r\n3\r\ntwo\r\n" in body


@pytest.mark.parametrize("source", [b"", pieces(), pieces(b"")], ids=["bytes", "none", "empty"])
async def test_an_empty_file_is_a_file(source: Any) -> None:
    """A part without bytes."""
    head, body = await captured(source)

    assert b'name="files"; filename="file"\r\n\r\n' in body
    assert b"boundary=" in head


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("天气 报告.txt", "天气 报告.txt"),
        ("👨‍👩‍👧.txt", "👨‍👩‍👧.txt"),
        ("100%.txt", "100%.txt"),
        ("a;b='c'.txt", "a;b='c'.txt"),
        ("../../x", "../../x"),
        ("x" * 1000, "x" * 1000),
        ("a\\b.txt", "a\\b.txt"),
        ('say "hi".txt', "say %22hi%22.txt"),
    ],
)
async def test_a_file_s_name_is_sent_as_the_official_sdk_sends_it(name: str, sent: str) -> None:
    """UTF-8 as it is; only quotes are written otherwise, as browsers and urllib3 do."""
    head, body = await captured(b"abc", filename=name)

    assert parts_of(head, body) == [
        (f'form-data; name="files"; filename="{sent}"'.encode(), b"abc")
    ]


async def test_a_path_is_sent_whole_and_told_as_it_goes(large: Path) -> None:
    """What progress hears grows, and ends with the size."""
    told: list[tuple[int, int]] = []
    head, body = await captured(large, progress=lambda *one: told.append(one))

    assert b'filename="large.bin"' in body
    assert len(parts_of(head, body)[0][1]) == LARGE
    assert [one for one, _ in told] == sorted({one for one, _ in told})
    assert (told[-1], {size for _, size in told}) == ((LARGE, LARGE), {LARGE})


@pytest.mark.parametrize("close", [True, False])
async def test_an_answer_that_comes_before_the_body_is_taken(large: Path, close: bool) -> None:
    """A key that is refused at once is told at once, not when all is sent."""
    error = await upload_failure(deny(close=close), large, timeouts=Timeouts(read=10))

    assert isinstance(error, AuthenticationError)
    assert (error.status, error.request_id) == (401, "q")


async def test_a_service_that_takes_nothing_is_a_request_timeout(large: Path) -> None:
    """`Timeouts.read` bounds how long a piece may wait to be taken."""
    error = await upload_failure(stall, large, timeouts=Timeouts(read=0.2))

    assert isinstance(lost_by(error), RequestTimeout)
    assert "0.2 s" in str(error)


async def test_a_service_that_takes_all_and_is_silent_is_a_request_timeout() -> None:
    """After the last byte the silence of the answer counts."""
    error = await upload_failure(swallow, b"abc", timeouts=Timeouts(read=0.2))

    assert isinstance(lost_by(error), RequestTimeout)


async def test_total_bounds_an_upload(large: Path) -> None:
    """However slowly it goes."""
    error = await upload_failure(stall, large, timeouts=Timeouts(total=0.2))

    assert isinstance(error, TotalTimeout)


@pytest.mark.parametrize("handler", [cut, hang_up])
@pytest.mark.parametrize("kind", ["path", "bytes", "iterator"])
async def test_a_connection_that_breaks_in_mid_upload_is_told(
    large: Path, handler: Handler, kind: str
) -> None:
    """Whatever is sent: an error of ours, and not the system's; it may have been taken whole."""
    blocks = (bytes(1 << 20) for _ in range(LARGE >> 20))
    sources = {"path": large, "bytes": bytes(LARGE), "iterator": pieces(*blocks)}
    error = await upload_failure(handler, sources[kind])

    assert type(lost_by(error)) is TransportError


MINE: list[Exception] = [
    KeyError("mine"),
    OSError("mine"),
    TimeoutError("mine"),
    ValueError("mine"),
    aiohttp.ClientPayloadError("mine"),
    BadRequest("mine"),
]


@pytest.mark.parametrize("mine", MINE, ids=lambda error: type(error).__name__)
async def test_what_an_iterator_raises_reaches_the_caller(mine: Exception) -> None:
    """The caller's own exception, itself; also one that the connection could have raised."""
    error = await upload_failure(swallow, pieces(b"x" * 1000, mine))

    assert error is mine


async def test_an_iterator_of_texts_is_told() -> None:
    """What is no bytes is an InvalidArgument, at the piece that is none."""
    error = await upload_failure(swallow, pieces(b"x", "text"))

    assert isinstance(error, InvalidArgument)


async def test_what_progress_raises_reaches_the_caller(large: Path) -> None:
    """And ends the upload."""
    mine = KeyError("enough")

    def stop(*_: object) -> None:
        raise mine

    assert await upload_failure(swallow, large, stop) is mine


@pytest.mark.parametrize("size", [0, 1000, 2 * LARGE])
async def test_a_file_that_changes_while_it_is_sent_is_told(large: Path, size: int) -> None:
    """One that grows or shrinks does not fit the length that was told."""
    error = await upload_failure(swallow, large, lambda *_: os.truncate(large, size))

    assert isinstance(error, InvalidArgument)
    assert "large.bin changed while it was sent" in str(error)


async def test_a_file_that_is_gone_is_told(large: Path) -> None:
    """Between the look at its size and its sending it may vanish."""
    error = await upload_failure(swallow, large, on_request=lambda _: large.unlink(missing_ok=True))

    assert isinstance(error, InvalidArgument)
    assert "no longer be read" in str(error)


async def test_a_cancelled_upload_leaves_nothing_behind(large: Path) -> None:
    """No task, no open file, no warning; the client goes on."""
    reached = asyncio.Event()

    async def taken(reader: asyncio.StreamReader, _writer: Writer) -> None:
        await head_of(reader)
        reached.set()
        await asyncio.Event().wait()

    async with sound(), taking(taken) as url, made(url) as client:
        task = asyncio.create_task(client.files.create(large))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_key_is_in_no_error_of_an_upload(large: Path) -> None:
    """Neither in its words nor in what hangs on it."""
    for handler in (cut, hang_up, deny(close=True)):
        seen: BaseException | None = await upload_failure(handler, large)
        while seen is not None:
            assert KEY not in f"{seen!r} {seen} {vars(seen)}"
            seen = seen.__cause__ or seen.__context__


async def test_an_upload_whose_answer_cannot_be_read_is_told() -> None:
    """HTML, and a success that names no file, are no file."""
    for body in (b"<html>", b"{}", b'{"data":{}}', b'{"data":{"uploaded_files":[]}}'):
        error = await failure_of_upload(whole(body))
        assert isinstance(error, DecodeError), body


async def test_a_file_that_was_not_taken_is_an_error() -> None:
    """`failed_uploads` in a 200: the file, why, and the request (§2.5)."""
    failed = {"name": "n", "code": "BadRequest.TooLarge", "message": "too large"}
    body = {"request_id": "r", "data": {"uploaded_files": [], "failed_uploads": [failed]}}
    error = await failure_of_upload(whole(json.dumps(body).encode()))

    assert isinstance(error, BadRequest)
    assert (error.status, error.code, error.request_id) == (200, "BadRequest.TooLarge", "r")
    assert "n: too large" in str(error)


async def failure_of_upload(answer: bytes) -> BaseException:
    """What an upload ends in that is answered so."""

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        await body_of(reader, await head_of(reader))
        writer.write(answer)
        await writer.drain()

    return await upload_failure(handler, b"abc")


# --- uploads that nobody waits for any more ---


def at_work(client: DashScope) -> list[Any]:
    """The transports of the connections that are in use."""
    connector: Any = session_of(client).pool.http().connector
    return [protocol.transport for protocol in connector._acquired if protocol.transport]


async def stalled(client: DashScope) -> list[Any]:
    """The transports, once one of them holds what the service does not take."""
    async with asyncio.timeout(10):
        while not any(transport.get_write_buffer_size() for transport in at_work(client)):
            await asyncio.sleep(0.001)
    return [transport.get_extra_info("socket") for transport in at_work(client)]


async def assert_closed(sockets: list[Any]) -> None:
    """Each socket is closed, as soon as the loop has come round."""
    assert sockets
    async with asyncio.timeout(10):
        while any(one.fileno() != -1 for one in sockets):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["path", "bytes", "iterator", "JSON"])
async def test_closing_the_client_ends_an_upload_that_stalls(large: Path, kind: str) -> None:
    """It does not wait until the service takes the rest, which may be never."""
    blocks = (bytes(1 << 20) for _ in range(LARGE >> 20))
    sources = {"path": large, "bytes": bytes(LARGE), "iterator": pieces(*blocks)}
    async with sound(), taking(stall) as url:
        client = made(url, timeouts=Timeouts(read=None, total=None))
        if kind == "JSON":
            call = asyncio.create_task(client.threads.messages.create("t", "x" * LARGE))
        else:
            call = asyncio.create_task(client.files.create(sources[kind]))  # type: ignore[arg-type]
        sockets = await stalled(client)
        async with asyncio.timeout(10):
            await client.close()
            with pytest.raises(OutcomeUnknown) as caught:
                await call
        assert type(lost_by(caught.value)) is TransportError
        await assert_closed(sockets)


@pytest.mark.parametrize("kind", ["path", "JSON"])
@pytest.mark.parametrize("end", ["cancel", "read", "total"])
async def test_an_upload_that_is_given_up_leaves_no_socket_open(
    large: Path, end: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the client stays open: what the service would not take is not kept for it."""
    monkeypatch.setattr("aiodashassist.session.SLOWEST", 1 << 40)
    clocks = {"cancel": Timeouts(), "total": Timeouts(total=1), "read": Timeouts(connect=1, read=1)}
    ends = {"cancel": asyncio.CancelledError, "total": TotalTimeout, "read": OutcomeUnknown}
    async with sound(), taking(stall) as url, made(url, timeouts=clocks[end]) as client:
        if kind == "JSON":
            call: Any = asyncio.create_task(client.threads.messages.create("t", "x" * LARGE))
        else:
            call = asyncio.create_task(client.files.create(large))
        sockets = await stalled(client)
        if end == "cancel":
            call.cancel()
        with pytest.raises(ends[end]) as caught:
            async with asyncio.timeout(10):
                await call
        assert end != "read" or isinstance(lost_by(caught.value), RequestTimeout)
        await assert_closed(sockets)
        assert at_work(client) == []


# --- interim answers ---

INTERIM = ["100 Continue", "103 Early Hints"]


def interim(status: str) -> Any:
    """Answers with what is no answer yet, and then with nothing."""
    return answering(f"HTTP/1.1 {status}\r\n\r\n".encode())


@pytest.mark.parametrize("status", INTERIM)
@pytest.mark.parametrize("size", [3, 1 << 20, 3 << 20])
async def test_an_upload_answered_by_an_interim_answer_alone_is_a_request_timeout(
    status: str, size: int
) -> None:
    """The last byte begins the clock of the answer, and an interim one does not stop it."""
    async with (
        RawServer(interim(status)) as server,
        made(server.url, timeouts=Timeouts(read=0.2)) as client,
    ):
        with pytest.raises(OutcomeUnknown) as caught:
            async with asyncio.timeout(10):
                await client.files.create(bytes(size))

    assert isinstance(lost_by(caught.value), RequestTimeout)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", INTERIM)
@pytest.mark.parametrize("size", [3, 1 << 20, 3 << 20])
async def test_a_body_answered_by_an_interim_answer_alone_is_a_request_timeout(
    status: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large: a body has the time that it takes at the slowest, and then the answer's."""
    monkeypatch.setattr("aiodashassist.session.SLOWEST", 1 << 30)
    async with (
        RawServer(interim(status)) as server,
        made(server.url, timeouts=Timeouts(connect=1, read=0.2)) as client,
    ):
        with pytest.raises(OutcomeUnknown) as caught:
            async with asyncio.timeout(10):
                await client.threads.messages.create("t", "x" * size)

    assert isinstance(lost_by(caught.value), RequestTimeout)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", INTERIM)
async def test_an_answer_after_an_interim_one_is_the_answer(status: str) -> None:
    """Of a small call, a large one and an upload."""
    first = f"HTTP/1.1 {status}\r\n\r\n".encode()
    calls: list[tuple[bytes, Callable[[DashScope], Awaitable[Any]]]] = [
        (THREAD, lambda client: client.threads.update("t", metadata={})),
        (THREAD, lambda client: client.threads.messages.create("t", "x" * (2 << 20))),
        (TAKEN, lambda client: client.files.create(bytes(2 << 20))),
    ]
    for body, call in calls:
        async with RawServer(answering(first, whole(body))) as server, made(server.url) as client:
            assert (await call(client)).id in ("thread_1", "f")


# --- headers of the user's own ---

OWN = "tok-of-the-user-0123456789"
QUOTING = json.dumps(
    {"code": f"C {OWN}", "message": f"m {KEY} {OWN}", "request_id": f"r {OWN} {KEY}"}
).encode()
WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "quoted": (answering(whole(QUOTING, "400 Bad")), {}),
    "no HTTP": (answering(b"nonsense\r\n\r\n", close=True), {}),
    "a bad chunk": (answering(head() + b"zzz\r\n", close=True), {}),
    "half an answer": (answering(head(length=1000) + b"{", close=True), {}),
    "cut": (answering(close=True), {}),
    "silent": (silent, {"timeouts": Timeouts(read=0.1, first_event=0.1)}),
    "late": (silent, {"timeouts": Timeouts(total=0.1, first_event=0.1)}),
    "interim": (
        interim(INTERIM[0]),
        {"timeouts": Timeouts(connect=0.1, read=0.1, first_event=0.1)},
    ),
    "a quoting type": (answering(whole(b"x", kind=f"{OWN} {KEY}")), {}),
    "no proxy": (silent, {"proxy": "http://127.0.0.1:9"}),
    "no time to connect": (
        silent,
        {"proxy": "http://127.0.0.1:9", "timeouts": Timeouts(connect=1e-9)},
    ),
}


async def told_to(client: DashScope, how: str, extras: Any) -> None:
    """One of the three ways in which something is asked."""
    if how == "upload":
        await client.files.create(b"abc", **extras)
    elif how == "call":
        await client.threads.update("t", metadata={}, **extras)
    else:
        async with client.threads.runs.stream("t", assistant_id="a", **extras) as stream:
            await stream.result()


def below(error: BaseException) -> list[BaseException]:
    """All that hangs on an error."""
    found: list[BaseException] = []
    rest = [error.__cause__, error.__context__]
    while rest:
        one = rest.pop()
        if one is not None and one not in found:
            found.append(one)
            rest += [one.__cause__, one.__context__]
    return found


@pytest.mark.parametrize("how", ["call", "upload", "stream"])
@pytest.mark.parametrize("given", ["headers", "extra_headers", "the key itself"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_key_is_in_what_an_error_tells_or_drags_along(
    way: str, given: str, how: str
) -> None:
    """Neither in its text nor in a variable of the frames beneath it, whoever gave the key."""
    answer, options = WAYS[way]
    headers = {"authorization" if how == "call" else "Authorization": f"Bearer {OWN}"}
    options = {**options, "headers": headers if given == "headers" else {}}
    extras = {"extra_headers": headers} if given == "extra_headers" else {}
    secrets = (KEY,) if given == "the key itself" else (KEY, OWN)
    async with RawServer(answer) as server, made(server.url, **options) as client:
        with pytest.raises(AssistError) as caught:
            async with asyncio.timeout(10):
                await told_to(client, how, extras)

    for secret in secrets:
        assert secret not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
        for one in below(caught.value):
            told = TracebackException.from_exception(one, capture_locals=True)
            assert secret not in "".join(told.format(chain=False))


@pytest.mark.parametrize("way", ["no HTTP", "late", "cut"])
@pytest.mark.parametrize("how", ["call", "upload", "stream"])
async def test_what_the_caller_was_handling_keeps_its_frames(way: str, how: str) -> None:
    """An error that comes while another is handled drags it along, and leaves it as it was."""
    (answer, options), mine = WAYS[way], KeyError("mine")

    def thrown(error: Exception) -> None:
        raise error

    async with RawServer(answer) as server, made(server.url, **options) as client:
        try:
            thrown(mine)
        except KeyError:
            with pytest.raises(AssistError) as caught:
                await told_to(client, how, {})

    assert mine in below(caught.value)
    assert mine.__traceback__ is not None


async def test_what_is_no_key_is_not_blotted_out() -> None:
    """An empty or a short `Authorization`, and any other header, is left alone in an error."""
    for value in ("", " ", "Bearer", "Bearer good", "good"):
        error = await failure(
            refusal("400 Bad", "X", "a good Bearer of 0123456789"),
            headers={"Authorization": value, "X-Number": "0123456789"},
        )
        assert "a good Bearer of 0123456789" in str(error)


@pytest.mark.parametrize("where", ["headers", "extra_headers", "both"])
@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
async def test_a_content_type_of_the_user_s_own_does_not_break_an_upload(
    where: str, name: str
) -> None:
    """The form's own, with its boundary, is sent; where no form is, the user's is."""
    seen: list[tuple[bytes, bytes]] = []
    mine = {name: "text/mine"}

    async def capture(reader: asyncio.StreamReader, writer: Writer) -> None:
        for answer in (TAKEN, THREAD):
            heads = await head_of(reader)
            seen.append((heads, await body_of(reader, heads)))
            writer.write(whole(answer))
            await writer.drain()

    extras: Any = {} if where == "headers" else {"extra_headers": mine}
    headers = {} if where == "extra_headers" else mine
    async with taking(capture) as url, made(url, headers=headers) as client:
        await client.files.create(b"abc", **extras)
        await client.threads.update("t", metadata={}, **extras)
    (form_head, form), (json_head, _) = seen

    assert parts_of(form_head, form) == [(b'form-data; name="files"; filename="file"', b"abc")]
    assert form_head.lower().count(b"content-type:") == 1
    assert re.findall(rb"(?i)content-type: (.*)\r", json_head) == [b"text/mine"]


@pytest.mark.parametrize("progress", [5, asyncio.sleep])
async def test_a_progress_that_cannot_be_called_is_told_before_anything_is_sent(
    progress: Any,
) -> None:
    """Not in the middle of the upload."""
    async with RawServer(answering(whole(TAKEN))) as server, made(server.url) as client:
        with pytest.raises(InvalidArgument, match="progress"):
            await client.files.create(b"abc", progress=progress)

    assert server.requests == []


def test_causes_that_go_round_in_a_circle_are_stripped_once() -> None:
    """Whatever the caller's own exceptions look like, this comes to an end."""
    first, second, error = ValueError("a"), ValueError("b"), ConnectError("c")
    first.__cause__, second.__cause__, error.__cause__ = second, first, first
    bare(error, None)

    assert error.__cause__ is first


# --- answers that are called event streams and are none ---

REFUSED = b'{"code":"InvalidApiKey","message":"no","request_id":"req-9"}'
ENVELOPE = (
    b'{"error":{"code":"not_found","message":"There is no such thread.","type":"x","param":null}}'
)
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
            await _read_all(session_of(client))

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
        body = await session_of(client).open(RUN)
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
        body = await session_of(client).open(RUN)
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


# --- runs that are answered when they rest ---

FINISHED = b'{"id":"run_1","object":"run.result","thread_id":"t","status":"completed"}'
CREATE = ops.CreateRun(thread_id="t", params={"assistant_id": "a"})
WITH_THREAD = ops.CreateThreadAndRun(
    params={"assistant_id": "a"}, thread={"messages": [{"content": "x"}]}
)


@pytest.mark.parametrize("operation", [CREATE, WITH_THREAD])
async def test_a_run_that_blocks_has_the_patience_of_idle(operation: Any) -> None:
    """On a wire that answers when the run rests, silence is borne longer than of other calls."""
    other = ops.RetrieveRun(thread_id="t", run_id="run_1")
    released = asyncio.Event()

    async def answer(request: Received, writer: Writer) -> None:
        await (released.wait() if request.line.startswith("POST /v2/threads/runs ") else silent(
            request, writer
        ))  # fmt: skip
        writer.write(whole(FINISHED))

    timeouts = Timeouts(read=0.1, idle=60, connect=60)
    async with (
        asyncio.timeout(30),
        RawServer(answer) as server,
        AppBuilder(KEY, server.url, timeouts=timeouts, retry=ONCE) as client,
    ):
        session = session_of(client)
        creating = asyncio.create_task(session.call(operation))
        for call in (other, other):  # both out of patience before the run is answered
            with pytest.raises(RequestTimeout):
                await session.call(call)
        released.set()
        assert (await creating).status == "completed"


async def test_a_run_that_blocks_for_too_long_is_a_request_timeout() -> None:
    """`idle` bounds it, and None does not; `read` has nothing to say."""
    timeouts = Timeouts(read=None, idle=0.1, connect=0.1)
    async with (
        asyncio.timeout(30),
        RawServer(silent) as server,
        AppBuilder(KEY, server.url, timeouts=timeouts, retry=ONCE) as client,
    ):
        with pytest.raises(OutcomeUnknown) as caught:
            await session_of(client).call(CREATE)

    assert isinstance(lost_by(caught.value), RequestTimeout)
    assert caught.value.thread_id == "t"
    assert "Timeouts.read" not in caught.value.message


async def test_where_runs_do_not_block_read_is_the_clock() -> None:
    """DashScope answers at once that a run was begun."""
    error = await failure(silent, CREATE, timeouts=Timeouts(read=0.1, idle=None, connect=0.1))

    assert isinstance(lost_by(error), RequestTimeout)


# --- bytes that are fetched ---

DOWNLOAD = ops.DownloadFile(file_id="file_1")
LONG_ERROR = b" " * (1 << 16) + ENVELOPE
NAMED = "Content-Disposition: attachment; filename=a.json"


def bytes_of(
    *lines: str, body: bytes = b"", status: str = "200 OK", kind: str = "application/pdf"
) -> Any:
    """An answer with these headers."""
    told = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *lines])
    return answering(f"{told}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def marked(begun: bytes) -> bytes:
    """The head of an answer, with the name of a file: it is none that has to be looked at."""
    return begun.replace(b"\r\n\r\n", f"\r\n{NAMED}\r\n\r\n".encode())


async def taken(arrival: Arrival) -> tuple[Arrival, bytes]:
    """All of it."""
    return arrival, b"".join([piece async for piece in arrival.pieces])


async def fetched(answer: Any, take: Any = taken, **options: Any) -> Any:
    """What `take` makes of an answer; the client works afterwards."""
    async with (
        asyncio.timeout(30),
        RawServer(answer) as server,
        AppBuilder(KEY, server.url, **{"retry": ONCE, **options}) as client,
    ):
        return await session_of(client).fetch(DOWNLOAD, take)


async def test_bytes_are_taken_as_they_come() -> None:
    """Headers in lower case, the size that was told, and the bytes; all that `take` gives back."""
    arrival, data = await fetched(bytes_of(NAMED, "X-Odd: Z", body=b"abc"))

    assert (data, arrival.size) == (b"abc", 3)
    assert arrival.headers["content-disposition"] == "attachment; filename=a.json"
    assert arrival.headers["x-odd"] == "Z"


async def test_bytes_whose_number_is_not_told_are_taken_all_the_same() -> None:
    """A chunked answer has no size; each piece is handed out before the next one is sent."""
    took = asyncio.Event()

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(marked(head(kind="application/pdf")) + chunk(b"one"))
        await writer.drain()
        await took.wait()
        writer.write(chunk(b"two") + END)

    async def take(arrival: Arrival) -> tuple[int | None, list[bytes]]:
        pieces = []
        async for piece in arrival.pieces:
            pieces.append(piece)
            took.set()
        return arrival.size, pieces

    assert await fetched(answer, take) == (None, [b"one", b"two"])


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (bytes_of(NAMED, body=ENVELOPE, kind="application/json"), len(ENVELOPE)),
        (bytes_of(body=b'{"a":1}', kind="application/json"), 7),
        (bytes_of(body=b'{"error":1}', kind="application/json"), 11),
        (bytes_of(body=b"null", kind="text/plain"), 4),
        (bytes_of(body=LONG_ERROR, kind="application/json"), len(LONG_ERROR)),
    ],
    ids=["named", "no error", "an error of another kind", "a text", "very long"],
)
async def test_a_file_may_look_like_an_error(answer: Any, size: int) -> None:
    """What has a file's name, what tells no error, and what is too long for one, are files."""
    arrival, data = await fetched(answer)

    assert arrival.size == len(data) == size


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (bytes_of(body=ENVELOPE, kind="application/json"), NotFound, "no such thread"),
        (bytes_of(body=ENVELOPE, kind="text/plain"), NotFound, "no such thread"),
        (bytes_of(body=b"null", kind="application/json; charset=utf-8"), NotFound, "nothing"),
        (bytes_of(status="404 No", body=b"<html>", kind="text/html"), NotFound, "<html>"),
        (bytes_of(status="503 No", body=b"later"), ServerError, "later"),
        (bytes_of(status="206 Partial", body=b"abc"), RemoteProtocolError, "got status 206"),
        (bytes_of("Location: http://a.example/x", status="302 Found"), UnexpectedRedirect,
         "a.example"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_file_is_not_taken(
    answer: Any, kind: type[AssistError], words: str
) -> None:
    """An error in a 200, another status, and a redirect are told before a byte is handed out."""
    takes: list[Arrival] = []

    async def take(arrival: Arrival) -> None:
        takes.append(arrival)

    with pytest.raises(kind, match=words):
        await fetched(answer, take)
    assert takes == []


async def test_a_file_that_breaks_off_is_told_after_what_came() -> None:
    """What had come was handed out; the error is one of ours, without a foreign frame."""
    pieces: list[bytes] = []

    async def take(arrival: Arrival) -> None:
        async for piece in arrival.pieces:
            pieces.append(piece)  # noqa: PERF401  # what came before the error counts

    half = marked(head(length=10, kind="image/png")) + b"abc"
    with pytest.raises(TransportError) as caught:
        await fetched(answering(half, close=True), take)
    assert b"".join(pieces) == b"abc"
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None


@pytest.mark.parametrize(
    ("timeouts", "kind"),
    [
        (Timeouts(read=0.1), RequestTimeout),
        (Timeouts(total=0.1, read=None), TotalTimeout),
    ],
)
async def test_a_file_that_stops_is_told(timeouts: Timeouts, kind: type[AssistError]) -> None:
    """Silence in the middle of it is bounded by `read`, all of it by `total`."""
    answer = answering(head(length=10, kind="image/png") + b"abc")
    with pytest.raises(kind) as caught:
        await fetched(answer, timeouts=timeouts)
    assert type(caught.value) is kind


async def test_a_file_may_be_larger_than_an_answer_and_an_error_may_not() -> None:
    """What is handed out piece by piece needs no limit, JSON neither; an error has one."""
    limits = Limits(max_response_bytes=1000)
    for kind, size in (("image/png", 5000), ("application/json", 5000), ("text/json", 1 << 20)):
        _, data = await fetched(bytes_of(body=b"x" * size, kind=kind), limits=limits)
        assert len(data) == size

    with pytest.raises(ResponseTooLarge):
        await fetched(bytes_of(body=b"x" * 5000, status="500 No"), limits=limits)


async def test_what_take_raises_is_the_callers_and_drops_the_connection() -> None:
    """The rest is not read: the connection is closed, and a next call opens another."""
    left = asyncio.Event()

    async def answer(request: Received, writer: Writer) -> None:
        if "query" in request.line:
            writer.write(whole(b'{"id":"t"}'))
            return
        writer.write(head(length=1 << 30, kind="image/png") + b"abc")
        await writer.drain()
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0)
        left.set()

    async def take(arrival: Arrival) -> None:
        await anext(arrival.pieces)
        raise KeyError("mine")

    async with (
        asyncio.timeout(30),
        RawServer(answer) as server,
        AppBuilder(KEY, server.url, retry=ONCE) as client,
    ):
        with pytest.raises(KeyError, match="mine") as caught:
            await session_of(client).fetch(DOWNLOAD, take)
        await left.wait()
        assert (await client.threads.retrieve("t")).id == "t"
    assert caught.value.__context__ is None


async def test_the_key_is_in_no_error_of_a_file() -> None:
    """A service that quotes it does not get it printed."""
    told = {"code": "x", "message": f"no {KEY}", "type": "x"}
    quoted = json.dumps({"error": told}).encode()
    with pytest.raises(BadRequest) as caught:
        await fetched(bytes_of(body=quoted, kind="application/json"))
    assert KEY not in f"{caught.value} {caught.value!r}"


async def test_a_fetch_is_told_to_the_hooks() -> None:
    """As a request and an answer, like every call."""
    told: list[CallInfo] = []
    await fetched(bytes_of(body=b"abc"), on_request=told.append, on_response=told.append)

    assert [(info.operation, info.status) for info in told] == [
        ("DownloadFile", None),
        ("DownloadFile", 200),
    ]
