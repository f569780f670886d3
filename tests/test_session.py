"""The session: what leaves, what comes back, and what every failure of the wire becomes."""

import asyncio
import gc
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from aiodashassist import DashScope, Limits, Retry, Timeouts
from aiodashassist.errors import (
    AuthenticationError,
    BadRequest,
    ConnectError,
    DecodeError,
    InvalidArgument,
    LocalProtocolError,
    NotFound,
    OutcomeUnknown,
    RequestTimeout,
    ResponseTooLarge,
    StreamInterrupted,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
)
from tests.asking import (
    INTERIM,
    KEY,
    OPERATION,
    RUN,
    THREAD,
    below,
    failure,
    interim,
    lost_by,
    made,
    read_all,
    refusal,
    session_of,
    silent,
)
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head, whole
from tests.retrying import ONCE


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
            await read_all(session_of(client))
    gc.collect()
    await asyncio.sleep(0)

    assert told == []


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
