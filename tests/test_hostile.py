"""Services that mean harm: bombs, and what would have the client ask, write or keep something else.

What a broken service may answer is in `test_bad_answers.py`, names of files in `test_downloads.py`.
"""

import asyncio
import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    AssistError,
    BadRequest,
    ConfigError,
    DashScope,
    DecodeError,
    InvalidArgument,
    Limits,
    MessageDelta,
    ResponseTooLarge,
    Retry,
    RunStream,
    ServerError,
    Timeouts,
    TransportError,
    UnexpectedRedirect,
    tool,
)
from tests.raw_server import END, STREAM, Answer, RawServer, Received, Writer, answering, chunk

Client: TypeAlias = DashScope | AppBuilder
Kind: TypeAlias = type[DashScope] | type[AppBuilder]
Ask: TypeAlias = Callable[[Any], Awaitable[Any]]

KINDS: tuple[Kind, ...] = (DashScope, AppBuilder)
KEY = "sk-very-secret-0123456789"
ONCE = Retry(attempts=1, reconcile=False)
SAFETY = 30  # seconds; nothing here takes one
MIB = 1 << 20
OBJECT = b'{"id":"good","data":[],"status":"completed"}'


def made(kind: Kind, url: str, **options: Any) -> Client:
    """A client of a raw server, that asks once."""
    patience = Timeouts(connect=5, read=10, first_event=10, idle=10, cancel=1)
    return kind(KEY, base_url=url, **{"retry": ONCE, "timeouts": patience, **options})


def answer(
    body: bytes, status: str = "200 OK", kind: str = "application/json", *headers: str
) -> bytes:
    """A whole answer with these headers, too."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, *headers, "", "")).encode() + body


async def outcome(kind: Kind, served: Answer, ask: Ask, **options: Any) -> Any:
    """What a call comes to: its result, or its error, which is one of ours."""
    async with (
        asyncio.timeout(SAFETY),
        RawServer(served) as server,
        made(kind, server.url, **options) as client,
    ):
        try:
            return await ask(client)
        except AssistError as error:
            return error


async def changed(client: Client) -> Any:
    """A POST."""
    return await client.threads.update("t", metadata={})


async def read(client: Client) -> Any:
    """A GET, on DashScope."""
    return await client.threads.retrieve("t")


async def listed(client: Client) -> Any:
    """A list."""
    return [one async for one in client.threads.messages.list("t")]


async def streamed(client: Client, **more: Any) -> Any:
    """The events of a stream."""
    async with stream_of(client, **more) as stream:
        return [event async for event in stream]


def stream_of(client: Client, **more: Any) -> RunStream:
    """A stream that leaves its run alone."""
    return client.threads.runs.stream("t", assistant_id="a", on_exit="leave", **more)


async def uploaded(client: Client) -> Any:
    """An upload."""
    return await client.files.create(b"abc")


async def contents(client: Client) -> Any:
    """A file, in memory."""
    return await client.files.content("f")


class Sink:
    """Takes bytes and keeps none."""

    size = 0

    def write(self, data: bytes) -> None:
        """Take more."""
        self.size += len(data)


async def downloaded(client: Client) -> int:
    """A file, on its way to somewhere else."""
    sink = Sink()
    await client.files.download("f", to=sink)
    return sink.size


ASKS: dict[Kind, tuple[Ask, ...]] = {
    DashScope: (changed, read, listed, streamed, uploaded),
    AppBuilder: (changed, read, listed, streamed, uploaded, contents, downloaded),
}
PAIRS = [(kind, ask) for kind in KINDS for ask in ASKS[kind]]
each_call = pytest.mark.parametrize(
    ("kind", "ask"), PAIRS, ids=lambda value: getattr(value, "__name__", "")
)
each_kind = pytest.mark.parametrize("kind", KINDS)


# --- bombs of bytes ---


def packed(body: bytes, coding: str) -> bytes:
    """A body, as small as it gets."""
    if coding == "gzip":
        return gzip.compress(body, 9)
    if coding == "deflate":
        return zlib.compress(body, 9)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)  # as some send it
    return packer.compress(body) + packer.flush()


LIMITS = Limits(max_response_bytes=MIB, max_event_bytes=MIB)
BEGINS: dict[str, tuple[Ask, bytes, str, str]] = {
    "an answer": (changed, b'{"id":"', "200 OK", "application/json"),
    "an error": (changed, b'{"code":"', "500 X", "application/json"),
    "a list": (listed, b'{"data":[', "200 OK", "application/json"),
    "a stream": (streamed, b"data:", "200 OK", "text/event-stream"),
    "lines of a stream": (streamed, b"event: x\ndata:" + b"\ndata:" * 9, "200 OK", "text/plain"),
    "JSON for a stream": (streamed, b'{"id":"', "200 OK", "application/json"),
    "an error for a stream": (streamed, b'{"code":"', "400 X", "application/json"),
    "a file": (contents, b"", "200 OK", "application/octet-stream"),
}


BOMBS = [(kind, name) for kind in KINDS for name in BEGINS if BEGINS[name][0] in ASKS[kind]]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize(("kind", "name"), BOMBS)
async def test_ten_packed_kilobytes_do_not_fill_the_memory(
    kind: Kind, name: str, coding: str
) -> None:
    """What unpacks to more than its limit is `ResponseTooLarge`, and little of it was unpacked."""
    ask, begin, status, media = BEGINS[name]
    bomb = packed(begin + b" " * (10 * MIB), coding)
    encoding = f"Content-Encoding: {coding.rpartition(' ')[2]}"
    served = answering(answer(bomb, status, media, encoding))
    tracemalloc.start()
    try:
        error = await outcome(kind, served, ask, limits=LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(bomb) < 12_000
    assert type(error) is ResponseTooLarge
    assert peak < 6 * MIB


@pytest.mark.parametrize("begin", [b"", b'{"code":"'], ids=["bytes", "like an error"])
async def test_a_packed_file_is_written_in_pieces(begin: bytes, tmp_path: Path) -> None:
    """A download may be of any size; no more than a little of it is in memory."""
    bomb = packed(begin + b" " * (10 * MIB), "gzip")
    served = answering(answer(bomb, "200 OK", "text/plain", "Content-Encoding: gzip"))

    async def to_disk(client: AppBuilder) -> Any:
        return await client.files.download("f", to=tmp_path / "f")

    tracemalloc.start()
    try:
        path = await outcome(AppBuilder, served, to_disk, limits=LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert path.stat().st_size == len(begin) + 10 * MIB
    assert peak < 6 * MIB


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "none"])
@each_kind
async def test_a_coding_that_was_not_offered_is_an_error(kind: Kind, coding: str) -> None:
    """Nobody unpacks twice, and what nobody can unpack is told."""
    twice = gzip.compress(gzip.compress(OBJECT))
    served = answering(answer(twice, "200 OK", "application/json", f"Content-Encoding: {coding}"))
    error = await outcome(kind, served, changed)

    assert isinstance(error, TransportError | DecodeError)


# --- bombs of depth ---


def nested(depth: int) -> bytes:
    """JSON of that depth."""
    return b"[" * depth + b"]" * depth


# Around the limit of the interpreter what is read in one place may be too deep in the next one.
DEPTHS = (100, 500, *range(880, 1_010, 2), 5_000, 100_000)
DEEP: dict[str, tuple[Ask, bytes, str]] = {
    "metadata": (changed, b'{"id":"t","metadata":{"a":%b}}', "200 OK"),
    "an unknown field": (changed, b'{"id":"t","unknown":%b}', "200 OK"),
    "a list": (listed, b'{"data":%b}', "200 OK"),
    "content in a list": (listed, b'{"data":[{"id":"m","content":%b}]}', "200 OK"),
    "tools": (lambda c: c.assistants.retrieve("a"), b'{"id":"a","tools":%b}', "200 OK"),
    "a tool": (
        lambda c: c.assistants.retrieve("a"),
        b'{"id":"a","tools":[{"type":"function","function":{"name":"n","parameters":%b}}]}',
        "200 OK",
    ),
    "a run": (
        lambda c: c.threads.runs.retrieve("t", "r"),
        b'{"id":"r","last_error":%b,"required_action":{"submit_tool_outputs":{"tool_calls":%b}}}',
        "200 OK",
    ),
    "a step": (
        lambda c: c.threads.runs.steps.retrieve("t", "r", "s"),
        b'{"id":"s","step_details":{"tool_calls":[%b]}}',
        "200 OK",
    ),
    "an upload": (uploaded, b'{"id":"f","data":{"uploaded_files":%b}}', "200 OK"),
    "a code": (changed, b'{"code":%b,"message":"no"}', "400 B"),
    "a message": (changed, b'{"code":"C","message":%b}', "500 B"),
    "an error in a good answer": (changed, b'{"error":{"code":%b,"message":%b}}', "200 OK"),
    "an error of a stream": (streamed, b'{"code":"C","message":%b,"requestId":%b}', "200 OK"),
}


@pytest.mark.parametrize("where", DEEP)
@each_kind
async def test_an_answer_may_be_of_any_depth(kind: Kind, where: str) -> None:
    """It is read, or it is an error of ours that tells its status; none is a `RecursionError`."""
    ask, template, status = DEEP[where]
    depth = 0

    async def deep(_request: Received, writer: Writer) -> None:
        writer.write(answer(template.replace(b"%b", nested(depth)), status))

    last: Any = None
    async with (
        asyncio.timeout(SAFETY), RawServer(deep) as server, made(kind, server.url) as client,
    ):  # fmt: skip
        for depth in DEPTHS:  # noqa: B007 (it is what is served)
            try:
                last = await ask(client)
            except AssistError as error:
                last = error

    assert isinstance(last, APIError if status != "200 OK" else AssistError)
    assert len(str(last)) < 1_000


RUN = {"id": "run_1", "thread_id": "t", "status": "queued"}


def event(name: str, data: Any) -> bytes:
    """An event of a stream; `bytes` are its data as they are."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"event: %b\ndata: %b\n\n" % (name.encode(), body)


def status(kind: str, at: str, **details: Any) -> bytes:
    """A `status` event of AppBuilder's (appbuilder.md §5.3)."""
    return event("status", {"event_type": kind, "status": at, "details": details})


BEGUN: dict[Kind, bytes] = {
    DashScope: event("thread.run.created", RUN),
    AppBuilder: status("run_begin", "queued", run_object=RUN),
}
ENDED: dict[Kind, bytes] = {
    DashScope: event("thread.run.completed", {**RUN, "status": "completed"}),
    AppBuilder: status("run_end", "completed", run_object={**RUN, "status": "completed"}),
}
EVENTS: dict[Kind, dict[str, bytes]] = {
    DashScope: {
        "text": event("thread.message.delta", b'{"id":"m","delta":{"content":%b}}'),
        "a message": event("thread.message.created", b'{"id":"m","content":%b}'),
        "a run": event("thread.run.in_progress", b'{"id":"run_1","metadata":{"a":%b}}'),
        "a step": event("thread.run.step.created", b'{"id":"s","step_details":%b}'),
        "a step's delta": event(
            "thread.run.step.delta",
            b'{"id":"s","delta":{"step_details":{"tool_calls":[{"function":%b}]}}}',
        ),
        "an unknown event": event("thread.of.tomorrow", b"%b"),
        "an error": event("error", b'{"code":%b,"message":%b}'),
    },
    AppBuilder: {
        "text": event("message", b'{"message_id":"m","content":%b}'),
        "an unknown status": event("status", b'{"event_type":%b,"details":{}}'),
        "details": event("status", b'{"event_type":"run_end","details":%b}'),
        "a run": event(
            "status",
            b'{"event_type":"run_begin","status":%b,"details":{"run_object":{"id":"run_1"}}}',
        ),
        "a log id": event(
            "status",
            b'{"event_type":"run_begin","message":%b,"details":{"run_object":{"id":"run_1"}}}',
        ),
        "calls": event("status", b'{"event_type":"tool_calls","details":{"tool_calls":[%b]}}'),
        "an unknown event": event("tomorrow", b"%b"),
        "an error": event("error", b'{"error":{"code":%b,"message":%b}}'),
    },
}
PLACES = [(kind, name) for kind in KINDS for name in EVENTS[kind]]


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_an_event_may_be_of_any_depth(
    kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read, or it is an error of ours; none is a `RecursionError`."""
    monkeypatch.setattr("aiodashassist.polling.pauses", lambda: itertools.repeat(0.0))
    depth = 0

    async def deep(request: Received, writer: Writer) -> None:
        if request.line.startswith("POST") and "/runs " in request.line:
            bomb = EVENTS[kind][name].replace(b"%b", nested(depth))
            writer.write(STREAM + chunk(BEGUN[kind] + bomb + ENDED[kind]) + END)
        else:  # the run is read back after an error
            writer.write(answer(json.dumps({**RUN, "status": "completed", "data": []}).encode()))

    last: Any = None
    async with (
        asyncio.timeout(SAFETY), RawServer(deep) as server, made(kind, server.url) as client,
    ):  # fmt: skip
        for depth in DEPTHS:  # noqa: B007 (it is what is served)
            try:
                last = await streamed(client)
            except AssistError as error:
                last = error

    assert type(last) is (list if name in ("an unknown event", "an error") else DecodeError)


@tool
async def weigh(cargo: list[str]) -> str:
    """Weigh it."""
    return "heavy"


def asking(kind: Kind, arguments: str, **more: Any) -> bytes:
    """A run that asks for the tool."""
    call = {"id": "c", "type": "function", "function": {"name": "weigh", "arguments": arguments}}
    if kind is AppBuilder:
        return status("tool_calls", "requires_action", tool_calls=[call])
    action = {"submit_tool_outputs": {"tool_calls": [call]}}
    waits = {**RUN, "status": "requires_action", "required_action": action, **more}
    return event("thread.run.requires_action", waits)


async def weighed(kind: Kind, asks: bytes) -> str:
    """The output of a tool that is asked for so; the run then completes."""
    sent: list[str] = []
    taken = asyncio.Event()

    async def serve(request: Received, writer: Writer) -> None:
        if "submit" in request.line:
            sent.extend(one["output"] for one in json.loads(request.body)["tool_outputs"])
            taken.set()
            ends = STREAM + chunk(ENDED[kind]) + END
            writer.write(ends if kind is DashScope else answer(b"{}"))
            return
        writer.write(STREAM + chunk(BEGUN[kind] + asks))
        if kind is AppBuilder:
            await writer.drain()
            await taken.wait()
            moves = status("tool_submitted_output", "in_progress", tool_calls=[{"id": "c"}])
            writer.write(chunk(moves + ENDED[kind]))
        writer.write(END)

    result = await outcome(kind, serve, lambda client: streamed(client, tools=[weigh]))
    assert isinstance(result, list), result
    return sent[0]


@each_kind
async def test_arguments_may_be_of_any_depth(kind: Kind) -> None:
    """The model reads that they cannot be read, and the run goes on."""
    for depth in (100, *range(900, 1_010, 10), 5_000, 100_000):
        arguments = '{"cargo":' + nested(depth).decode() + "}"
        output = await weighed(kind, asking(kind, arguments))

        assert "error" in json.loads(output)
        assert len(output) < 1_000


# --- odd JSON ---


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ('{"cargo":["a"],"cargo":["b","c"]}', "heavy"),
        ('{"cargo":["\\ud800"]}', "invalid arguments"),
        ('{"cargo":NaN}', "invalid arguments"),
        ('{"cargo":' + "1" * 5_000 + "}", "invalid arguments"),
        ('{"cargo":[],"__class__":"x"}', "__class__"),
        ('{"cargo":[],"self":1}', "self"),
    ],
    ids=["twice", "half a pair", "NaN", "5,000 digits", "__class__", "self"],
)
@each_kind
async def test_odd_arguments_are_read_as_json_is(kind: Kind, arguments: str, output: str) -> None:
    """The last of two equal keys counts; what is no JSON, or no parameter, the model is told."""
    assert output in await weighed(kind, asking(kind, arguments))


NUMBERS = ("0", "-1", "1" + "0" * 30, "1" + "0" * 4_000, "1" + "0" * 5_000, "1e308", "1e400", "NaN")
FIELDS = ("created_at", "started_at", "expires_at", "expired_at")


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number[:5]}, {len(number)}")
@pytest.mark.parametrize("field", FIELDS)
@each_kind
async def test_numbers_of_any_size_are_read_or_refused(kind: Kind, field: str, number: str) -> None:
    """Also those that clocks are set by; a tool that was asked for is answered."""
    asks = asking(kind, '{"cargo":[]}', **{field: 5})
    mark = f'"{field}": 5'.encode()
    asks = asks.replace(mark, b'"%b": %b' % (field.encode(), number.encode()))
    begun = BEGUN[kind].replace(
        b'"id": "run_1"', b'"id": "run_1", "%b": %b' % (field.encode(), number.encode())
    )

    async def serve(request: Received, writer: Writer) -> None:
        if "submit" in request.line:
            ends = STREAM + chunk(ENDED[kind]) + END
            writer.write(ends if kind is DashScope else answer(b"{}"))
        else:
            rest = b"" if kind is DashScope else ENDED[kind]
            writer.write(STREAM + chunk(begun + asks + rest) + END)

    result = await outcome(kind, serve, lambda client: streamed(client, tools=[weigh]))

    assert isinstance(result, list | DecodeError)


@pytest.mark.parametrize("number", ["1" + "0" * 4_000, "1" + "0" * 5_000, "1e400", "NaN"])
@pytest.mark.parametrize("answered", ["400 B", "500 B"])
@each_kind
async def test_an_error_made_of_numbers_tells_its_status(
    kind: Kind, answered: str, number: str
) -> None:
    """Whatever stands for a code."""
    body = f'{{"code":{number},"message":{number},"request_id":{number}}}'.encode()
    error = await outcome(kind, answering(answer(body, answered)), changed)

    assert type(error) is (BadRequest if answered == "400 B" else ServerError)


@each_kind
async def test_of_two_equal_keys_the_last_counts(kind: Kind) -> None:
    """In answers and in events, as nearly everywhere."""
    twice = b'"id":"a","id":"b"'
    text = b'[{"type":"text","text":{"value":"a","value":"b"}}]'
    says = {
        DashScope: event("thread.message.delta", b'{%b,"delta":{"content":%b}}' % (twice, text)),
        AppBuilder: event(
            "message", b'{"message_id":"a","message_id":"b","content":[],"content":%b}' % text
        ),
    }[kind]
    stream = answering(STREAM + chunk(BEGUN[kind] + says + ENDED[kind]) + END)
    events = await outcome(kind, stream, streamed)
    page = await outcome(kind, answering(answer(b'{"data":[],"data":[{%b}]}' % twice)), listed)

    deltas = [(one.message_id, one.text) for one in events if isinstance(one, MessageDelta)]
    assert deltas == [("b", "b")]
    assert [one.id for one in page] == ["b"]


TEXTS: dict[str, tuple[bytes, str | None]] = {
    "half a pair": (b"\\ud800", None),
    "a pair": (b"\\ud83d\\ude00", "😀"),
    "a pair the wrong way round": (b"\\ude00\\ud83d", None),
    "no UTF-8": (b"\xff", None),
    "half a pair as bytes": (b"\xed\xa0\x80", None),
    "too long for its sign": (b"\xc0\xaf", None),
    "NUL": (b"\\u0000", "\0"),
    "a line break": (b"\\r\\n\\r\\ndata: x", "\r\n\r\ndata: x"),
}


@pytest.mark.parametrize("name", TEXTS)
@each_kind
async def test_text_is_unicode_or_an_error(kind: Kind, name: str) -> None:
    """In answers and in events; nothing is replaced in silence."""
    written, text = TEXTS[name]
    part = b'[{"type":"text","text":{"value":"%b"}}]' % written
    says = {
        DashScope: event("thread.message.delta", b'{"id":"m","delta":{"content":%b}}' % part),
        AppBuilder: event("message", b'{"message_id":"m","content":%b}' % part),
    }[kind]
    stream = answering(STREAM + chunk(BEGUN[kind] + says + ENDED[kind]) + END)
    events = await outcome(kind, stream, streamed)
    page = answering(answer(b'{"data":[{"id":"m","content":%b}]}' % part))
    messages = await outcome(kind, page, listed)

    if text is None:
        assert [type(events), type(messages)] == [DecodeError, DecodeError]
    else:
        assert [one.text for one in events if isinstance(one, MessageDelta)] == [text]
        assert [one.text for one in messages] == [text]


# --- what would have the client ask something else ---

IDS = ("../../x?y=1#z", "a\r\nX: y", "a b", "%2e%2e", "a/b", "\u202e", "线程", "x" * 5_000)


@pytest.mark.parametrize("given", IDS, ids=lambda given: ascii(given)[:15])
async def test_an_id_that_the_service_gave_stays_in_its_place(given: str) -> None:
    """The thread of an `ask` is one segment of the next paths, whatever it is called."""
    served = answering(answer(json.dumps({"id": given, "status": "completed"}).encode()))
    async with RawServer(served) as server, made(DashScope, server.url) as client:
        with pytest.raises(AssistError):  # it is no stream
            await client.ask("x", assistant_id="a")
        targets = [request.line.split(" ") for request in server.requests]

    assert [len(target) for target in targets] == [3, 3, 3]
    paths = [[unquote(part) for part in target[1].split("/")] for target in targets]
    assert paths == [
        ["", "threads"], ["", "threads", given, "messages"], ["", "threads", given, "runs"],
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["..", "."])
async def test_an_id_that_is_a_path_is_not_asked_for(given: str) -> None:
    """What no segment can hold is an error, and nothing more is sent."""
    served = answering(answer(json.dumps({"id": given}).encode()))
    async with RawServer(served) as server, made(DashScope, server.url) as client:
        with pytest.raises(InvalidArgument):
            await client.ask("x", assistant_id="a")

    assert len(server.requests) == 1


@pytest.mark.parametrize("cursor", ["a&limit=1", "a\r\nX: y", "#", "?", "%0d%0a", "a+b", "线"])
@each_kind
async def test_a_cursor_that_the_service_gave_stays_in_its_place(kind: Kind, cursor: str) -> None:
    """It is the value of `after` in the next request, and nothing else."""
    pages = [
        {"data": [{"id": "m1"}], "has_more": True, "last_id": cursor},
        {"data": [{"id": "m2"}], "has_more": False, "last_id": "m2"},
    ]

    async def serve(_request: Received, writer: Writer) -> None:
        writer.write(answer(json.dumps(pages.pop(0)).encode()))

    async with RawServer(serve) as server, made(kind, server.url) as client:
        assert [one.id for one in await listed(client)] == ["m1", "m2"]
        asked = server.requests[1]

    verb, target, _ = asked.line.split(" ")
    path, _, query = target.partition("?")
    if kind is DashScope:
        assert (verb, path) == ("GET", "/threads/t/messages")
        name, _, value = query.partition("=")
        assert (name, unquote(value.replace("+", " "))) == ("after", cursor)
    else:
        assert (verb, target) == ("POST", "/v2/threads/messages/list")
        assert json.loads(asked.body) == {"thread_id": "t", "after": cursor}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@each_call
async def test_no_redirect_is_followed(kind: Kind, ask: Ask, code: int) -> None:
    """The key, and what is said, stay with the service that they are for."""
    async with RawServer(answering(answer(OBJECT))) as other:
        moved = answer(b"", f"{code} Moved", "text/plain", f"Location: {other.url}/threads/t")
        error = await outcome(kind, answering(moved), ask)

    assert type(error) is UnexpectedRedirect
    assert other.requests == []


@each_call
async def test_a_cookie_is_not_kept(kind: Kind, ask: Ask) -> None:
    """Neither for the next request nor for the next tenant, whatever came with it."""
    cookies = ("Set-Cookie: a=b; Path=/", "Set-Cookie: [bad=\x7f", "Set-Cookie: ;;=;")
    first = [answer(OBJECT, "200 OK", "application/json", *cookies)]

    async def serve(_request: Received, writer: Writer) -> None:
        writer.write(first.pop() if first else answer(OBJECT))

    async with RawServer(serve) as server:
        # By its name: a jar of aiohttp's takes no cookies of bare addresses.
        named = server.url.replace("127.0.0.1", "localhost")
        client = made(kind, named)
        for _ in range(2):
            with suppress(AssistError):  # not every call is answered so
                await ask(client)
        await client.close()
        assert len(server.requests) >= 2
        assert not any("cookie" in request.headers for request in server.requests)


# --- what would be taken for something else ---

EVIL = answer(b'{"id":"evil","data":[{"id":"evil"}],"status":"completed"}')
FIRST: dict[str, tuple[Ask, bytes]] = {
    "an answer": (changed, answer(OBJECT)),
    "an error": (changed, answer(b'{"code":"C","message":"m"}', "400 B")),
    "no content": (read, b"HTTP/1.1 204 No\r\n\r\n"),
    "not modified": (read, b"HTTP/1.1 304 Same\r\nContent-Length: 99\r\n\r\n"),
    "a redirect": (read, answer(b"", "302 Found", "text/plain", "Location: /x")),
    "an error for a stream": (streamed, answer(b'{"code":"C","message":"m"}', "400 B")),
    "an upload": (uploaded, answer(b'{"id":"f","data":{"uploaded_files":[{"file_id":"f"}]}}')),
}


@pytest.mark.parametrize("name", FIRST)
@each_kind
async def test_a_second_answer_is_nobodys(kind: Kind, name: str) -> None:
    """What a service sends after an answer is not taken for the answer to the next request."""
    ask, first = FIRST[name]
    answers = [first + EVIL]

    async def serve(_request: Received, writer: Writer) -> None:
        writer.write(answers.pop() if answers else answer(OBJECT))

    async with RawServer(serve) as server, made(kind, server.url) as client:
        with suppress(AssistError):
            await ask(client)
        found = [(await client.threads.retrieve("t")).id for _ in range(3)]

    assert found == ["good"] * 3


@pytest.mark.parametrize("ask", [streamed, downloaded])
async def test_a_second_answer_after_bytes_is_nobodys(ask: Ask) -> None:
    """Nor is what comes after a stream, or after a file."""
    stream = STREAM + chunk(BEGUN[AppBuilder] + ENDED[AppBuilder]) + END
    file = answer(b"abc", "200 OK", "application/octet-stream")
    answers = [(stream if ask is streamed else file) + EVIL]

    async def serve(_request: Received, writer: Writer) -> None:
        writer.write(answers.pop() if answers else answer(OBJECT))

    async with RawServer(serve) as server, made(AppBuilder, server.url) as client:
        assert await ask(client)
        found = [(await client.threads.retrieve("t")).id for _ in range(3)]

    assert found == ["good"] * 3


HUGE: dict[str, str] = {
    "one header": f"X: {'y' * MIB}",
    "many headers": "\r\n".join(["X: y"] * 100_000),
    "one name": f"{'x' * MIB}: y",
    "a cookie": f"Set-Cookie: a={'y' * MIB}",
}


@pytest.mark.parametrize("name", HUGE)
@each_call
async def test_a_huge_head_is_an_error(kind: Kind, ask: Ask, name: str) -> None:
    """It is not read to its end."""
    error = await outcome(kind, answering(answer(OBJECT, "200 OK", "text/plain", HUGE[name])), ask)

    assert isinstance(error, TransportError)
    assert len(str(error)) < 500


# --- what would be written into a request ---

INJECTED = "x\r\nX-Evil: 1"


async def test_no_setting_of_a_client_adds_a_header() -> None:
    """Keys, workspaces and headers with a line break are refused when the client is built."""
    usual: dict[str, Any] = {"api_key": KEY, "base_url": "http://127.0.0.1:9"}
    given: tuple[dict[str, Any], ...] = (
        {"api_key": INJECTED},
        {"workspace": INJECTED},
        {"headers": {"X-Good": INJECTED}},
        {"headers": {INJECTED: "x"}},
    )
    for settings in given:
        with pytest.raises(ConfigError):
            DashScope(**{**usual, **settings})
        with pytest.raises(ConfigError):
            DashScope(**usual).with_options(**settings)
    for settings in given[:1] + given[2:]:
        with pytest.raises(ConfigError):
            AppBuilder(**{**usual, **settings})


@each_kind
async def test_no_value_of_a_call_adds_a_header(kind: Kind) -> None:
    """What has a line break in it travels quoted, or in the body, or not at all."""
    calls: list[Ask] = [
        lambda c: c.threads.retrieve(INJECTED),
        lambda c: c.threads.retrieve("t", extra_query={"q": INJECTED, INJECTED: "q"}),
        lambda c: c.threads.messages.create("t", INJECTED),
        lambda c: c.assistants.create(model=INJECTED, name=INJECTED, instructions=INJECTED),
        lambda c: c.files.create(b"abc", purpose=INJECTED),
        lambda c: c.files.create(b"abc", filename=INJECTED),
        lambda c: c.files.create(b"abc", filename='a"; name="b'),
        lambda c: c.threads.retrieve("t", extra_headers={"X-Good": INJECTED}),
    ]
    async with RawServer(answering(answer(OBJECT))) as server, made(kind, server.url) as client:
        for call in calls:
            with suppress(AssistError):
                await call(client)
        heads = [request.headers for request in server.requests]
        bodies = [request.body for request in server.requests]

    assert len(heads) >= 5
    assert not any("x-evil" in head for head in heads)
    assert not any(b"\r\nX-Evil" in body.partition(b"\r\n\r\n")[0] for body in bodies)
    assert not any(b'filename="a"; name="b"' in body for body in bodies)


FRAMING = (
    {"Content-Length": "5"},
    {"content-length": "0"},
    {"Transfer-Encoding": "chunked"},
    {"X: y": "z"},
    {"X y": "z"},
    {"": "z"},
    {"X\x00": "z"},
)


@pytest.mark.parametrize("headers", FRAMING, ids=str)
@each_kind
async def test_no_header_of_the_callers_own_breaks_a_request(
    kind: Kind, headers: dict[str, str]
) -> None:
    """How long a body is, only the connection says; and a name is one word."""
    async with RawServer(answering(answer(OBJECT))) as server, made(kind, server.url) as client:
        with pytest.raises(InvalidArgument):
            await client.threads.update("t", metadata={"a": "b"}, extra_headers=headers)
        with pytest.raises(ConfigError):
            client.with_options(headers=headers)
        with pytest.raises(ConfigError):
            made(kind, server.url, headers=headers)

    assert server.requests == []


@pytest.mark.parametrize("rest", ["/?a=b", "/#a", "/a b", "/\r\nX: y", "/\n", "/\0", "\t"])
@each_kind
async def test_a_base_url_is_no_more_than_a_place(kind: Kind, rest: str) -> None:
    """With a query or a fragment the paths of requests would be in it; blanks break a request."""
    with pytest.raises(ConfigError):
        kind(KEY, base_url=f"http://127.0.0.1:9{rest}")


# --- what would be written to disk ---


def below(folder: Path) -> list[Path]:
    """All that is in a folder."""
    return sorted(folder.rglob("*"))


GOOD, EVIL_NAME = "attachment; filename=good.txt", "attachment; filename=../b"
NAMES = (
    (GOOD, EVIL_NAME),
    (EVIL_NAME, GOOD),
    ("attachment; filename=.part-0123456789abcdef",),
    (r"attachment; filename=..\..\b",),
    ("attachment; filename*=UTF-8''%2e%2e%2f%2e%2e%2fb",),
    ("attachment; filename*=UTF-8''%252e%252e%252fb",),
    ("attachment; filename=" + "../" * 500 + "b",),
    ("inline; name=../b",),
)


@pytest.mark.parametrize("names", NAMES)
async def test_a_file_is_in_its_folder_whatever_the_headers(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """One plain file, and nothing beside it, also where another of that name is there."""
    folder = tmp_path / "inner"
    folder.mkdir()
    headers = [f"Content-Disposition: {name}" for name in names]
    served = answering(answer(b"abc", "200 OK", "application/octet-stream", *headers))

    async def to_folder(client: AppBuilder) -> Any:
        return await client.files.download("f", to=folder)

    path = await outcome(AppBuilder, served, to_folder)
    again = await outcome(AppBuilder, served, to_folder)

    assert path.parent == folder
    assert isinstance(again, InvalidArgument)  # it does not overwrite
    assert below(tmp_path) == [folder, path]
    assert path.read_bytes() == b"abc"


async def test_a_folder_may_change_while_a_file_arrives(tmp_path: Path) -> None:
    """A link that is put in the way meanwhile is not followed, with `overwrite` neither."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"old")
    path = tmp_path / "f"
    for overwrite in (False, True):
        begun = asyncio.Event()

        async def serve(_request: Received, writer: Writer, begun: Any = begun) -> None:
            whole_file = answer(b"abc" * 1_000, "200 OK", "application/octet-stream")
            writer.write(whole_file[:-1])
            async with asyncio.timeout(SAFETY):
                await begun.wait()
            path.symlink_to(precious)
            writer.write(whole_file[-1:])

        async def to_path(
            client: AppBuilder, begun: Any = begun, overwrite: bool = overwrite
        ) -> Any:
            return await client.files.download(
                "f", to=path, overwrite=overwrite, progress=lambda *_: begun.set()
            )

        found = await outcome(AppBuilder, serve, to_path)
        assert precious.read_bytes() == b"old"
        if overwrite:
            assert not path.is_symlink()
            assert path.read_bytes() == b"abc" * 1_000
        else:
            assert isinstance(found, InvalidArgument)
            path.unlink()


# --- what would take for ever ---


@pytest.mark.parametrize("word", ["run ", "active ", "run\n", "activerun "])
async def test_a_refusal_of_any_length_is_read_in_a_moment(word: str) -> None:
    """A thread session looks whether it says that a run is active: once, not once for each word."""
    refusal = answer(json.dumps({"code": "C", "message": word * 100_000}).encode(), "400 B")

    async def serve(request: Received, writer: Writer) -> None:
        runs = "/runs " in request.line and request.line.startswith("POST")
        writer.write(refusal if runs else answer(OBJECT))

    async def asked(client: Client) -> Any:
        return await client.threads.session("t").ask("x", assistant_id="a")

    assert type(await outcome(DashScope, serve, asked)) is BadRequest


async def test_a_stream_in_pieces_of_one_byte_is_the_same() -> None:
    """Neither the number of chunks nor their size makes a difference."""
    text = event(
        "thread.message.delta",
        {"id": "m", "delta": {"content": [{"type": "text", "text": {"value": "半句话😀"}}]}},
    )
    body = BEGUN[DashScope] + text + ENDED[DashScope]
    pieces = b"".join(chunk(body[i : i + 1]) for i in range(len(body)))
    events = await outcome(DashScope, answering(STREAM + pieces + END), streamed)

    assert [one.text for one in events if isinstance(one, MessageDelta)] == ["半句话😀"]
