"""Calls: what an answer means, what an error says and does not say, the clocks of a call."""

import asyncio
import json
import pickle
from collections.abc import Awaitable, Callable
from contextlib import suppress
from traceback import TracebackException
from typing import Any

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from aiodashassist import AppBuilder, CallInfo, DashScope, Limits, Retry, Timeouts
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
    NotFound,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    ServerError,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
)
from tests.asking import (
    ENVELOPE,
    INTERIM,
    KEY,
    RUN,
    below,
    failure,
    interim,
    lost_by,
    made,
    refusal,
    session_of,
    silent,
)
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, head, whole
from tests.retrying import ONCE


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


async def test_the_key_is_in_no_protocol_error() -> None:
    """A service that puts the key into a header or a redirect does not get it printed."""
    kind = answering(whole(b"<x>", kind=KEY))
    redirect = f"HTTP/1.1 302 Found\r\nLocation: http://u:{KEY}@h/{KEY}\r\n\r\n".encode()
    errors = [await failure(kind, RUN), await failure(answering(redirect))]

    assert all(KEY not in f"{error} {error!r}" for error in errors)
    assert [type(error) for error in errors] == [RemoteProtocolError, UnexpectedRedirect]


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


def test_causes_that_go_round_in_a_circle_are_stripped_once() -> None:
    """Whatever the caller's own exceptions look like, this comes to an end."""
    first, second, error = ValueError("a"), ValueError("b"), ConnectError("c")
    first.__cause__, second.__cause__, error.__cause__ = second, first, first
    bare(error, None)

    assert error.__cause__ is first


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
