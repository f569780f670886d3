"""What a client may send: whatever it is, a clear answer, and a server that serves the next."""

import asyncio
import gzip
import json
import logging
from typing import Any, NamedTuple

import aiohttp
import pytest

from aiodashassist import DashScope
from aiodashassist.core.models import RESTING
from aiodashassist.server import LocalServer
from tests.providers.dashscope.damage import misfits

SAFETY = 20  # seconds; nothing here takes one
MIB = 1 << 20
SHAPE = {"code", "message", "request_id"}


class Reply(NamedTuple):
    """An answer as it came; status 0 where the server hung up without one."""

    status: int
    kind: str
    body: bytes


async def _read(reader: asyncio.StreamReader) -> Reply:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
        while raw.startswith(b"HTTP/1.1 100"):
            raw = await reader.readuntil(b"\r\n\r\n")
        first, *rest = raw.decode("latin-1").strip().split("\r\n")
        headers = dict(part.lower().split(": ", 1) for part in rest)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, "", b"")
    return Reply(int(first.split(" ")[1]), headers.get("content-type", ""), body)


async def connected(server: LocalServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw connection to the server."""
    host, port = server.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def told(server: LocalServer, *pieces: bytes, leave: bool = False) -> Reply:
    """The answer to these bytes; `leave` ends what is sent, so that no more is waited for.

    A request that expects a 100 gets it before the rest is sent.
    """
    async with asyncio.timeout(SAFETY):
        reader, writer = await connected(server)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if b"100-continue" in piece and len(pieces) > 1:
                    await reader.readuntil(b"\r\n\r\n")
            if leave:
                writer.write_eof()
        except ConnectionError:
            pass  # it has heard enough
        reply = await _read(reader)
        writer.close()
    return reply


def asking(
    method: str = "POST", path: str = "/threads", *headers: str, body: bytes = b"{}", key: str = "x"
) -> bytes:
    """A whole request; `headers` with a length or a coding of their own replace the usual."""
    lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    if not any(name in header for header in headers for name in ("Content-Length", "chunked")):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


async def check_alive(server: LocalServer) -> None:
    """The server answers a good request."""
    reply = await told(server, asking())
    assert reply.status == 200
    assert json.loads(reply.body)["object"] == "thread"


def check_refusal(reply: Reply, status: int = 400) -> dict[str, Any]:
    """An error of the documented shape (dashscope.md §6.1)."""
    assert (reply.status, reply.kind.partition(";")[0]) == (status, "application/json")
    body: dict[str, Any] = json.loads(reply.body)
    assert body.keys() == SHAPE
    assert all(isinstance(text, str) and text for text in body.values())
    return body


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as an error, but for aiohttp's own word on what is no HTTP."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    return [words for words in found if not words.startswith("Error handling request from")]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("X: y", 400),
        ("Authorization:", 400),
        ("Authorization: Bearer", 400),
        ("Authorization: Bearer  ", 400),
        ("Authorization: Basic sk-right", 400),
        ("Authorization: sk-right", 400),
        ("Authorization: Bearer sk-wrong", 401),
        ("Authorization: Bearer \xff\xfe", 401),
        ("Authorization: Bearer sk-right sk-right", 401),
        ("Authorization: bearer sk-right", 200),
    ],
)
async def test_only_the_right_key_is_let_in(header: str, status: int) -> None:
    """No key is 400 and a wrong one 401 (§6.2, §6.3), before anything else is looked at."""
    async with LocalServer(api_key="sk-right") as server:
        for path in ("/threads", "/nonsense"):
            request = asking(path=path).replace(
                b"Authorization: Bearer x", header.encode("latin-1")
            )
            reply = await told(server, request)
            if status != 200:
                assert "sk-right" not in str(check_refusal(reply, status))
            else:
                assert reply.status == (200 if path == "/threads" else 400)


GONE = "The specified {} has been deleted or does not exist."


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/", "Invalid URL"),
        ("GET", "//", "Invalid URL"),
        ("GET", "/nonsense", "Invalid URL"),
        ("GET", "/threads/", "Invalid URL"),
        ("GET", "/threads//", "Invalid URL"),
        ("GET", "/threads/a/b", "Invalid URL"),
        ("GET", "/threads/../assistants", "Invalid URL"),
        ("GET", "/threads/a/runs/b/steps/c/d", "Invalid URL"),
        ("GET", "/threads/%2F", GONE.format("thread")),
        ("GET", "/threads/a%2Fb", GONE.format("thread")),
        ("GET", "/threads/a%2Fruns%2Fb", GONE.format("thread")),
        ("GET", "/threads/%2e%2e", GONE.format("thread")),
        ("GET", "/threads/%", GONE.format("thread")),
        ("GET", "/threads/%zz", GONE.format("thread")),
        ("GET", "/threads/%ff", GONE.format("thread")),
        ("GET", "/threads/a%00b", GONE.format("thread")),
        ("GET", "/assistants/" + "x" * 8000, GONE.format("assistant")),
        ("GET", "/threads#x", "Request method 'GET' is not supported."),
        ("PUT", "/threads", "Request method 'PUT' is not supported."),
        ("PATCH", "/threads/a", "Request method 'PATCH' is not supported."),
        ("DELETE", "/threads", "Request method 'DELETE' is not supported."),
        ("OPTIONS", "/assistants", "Request method 'OPTIONS' is not supported."),
        ("GET", "/assistants?limit=0", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=101", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=-1", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=abc", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=1.5", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=%205", "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=1" + "0" * 5000, "Limit must be between 1 and 100"),
        ("GET", "/assistants?limit=%D9%A3", "Limit must be between 1 and 100"),
        ("GET", "/assistants?order=x", "Order must be 'asc' or 'desc'"),
        ("GET", "/assistants?order=ASC", "Order must be 'asc' or 'desc'"),
        ("GET", "/assistants?after=a&before=b", "exclude each other"),
        ("GET", "/assistants?after=a", GONE.format("assistant")),
        ("GET", "/assistants?before=%ff", GONE.format("assistant")),
        ("GET", "/files?page_no=0", "page_no"),
        ("GET", "/files?page_no=" + "9" * 4000, "page_no"),
        ("GET", "/files?page_size=101", "page_size"),
        ("GET", "/files?page_size=x", "page_size"),
    ],
    ids=lambda value: value[:40],
)
async def test_a_line_that_asks_for_nothing_is_refused(
    server: LocalServer, method: str, path: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown paths, methods, ids, pages: 400 with the words of dashscope.md §6.2."""
    body = check_refusal(await told(server, asking(method, path, body=b"")))

    assert body["code"] == "InvalidParameter"
    assert words in body["message"]
    await check_alive(server)
    assert errors(caplog) == []


def nested(depth: int) -> bytes:
    """JSON of that depth."""
    return b"[" * depth + b"]" * depth


POSTS = (
    "/assistants", "/assistants/{a}", "/assistants/{a}/files", "/threads", "/threads/{t}",
    "/threads/{t}/messages", "/threads/{t}/messages/{m}", "/threads/{t}/runs", "/threads/runs",
    "/threads/{t}/runs/{r}", "/threads/{t}/runs/{r}/submit_tool_outputs",
)  # fmt: skip
BODIES: dict[str, bytes] = {
    "broken": b"{broken",
    "half": b'{"metadata":',
    "two": b"{}{}",
    "list": b"[]",
    "list of objects": b"[{}]",
    "number": b"5",
    "true": b"true",
    "text": b'"x"',
    "deep": nested(5_000),
    "deep inside": b'{"metadata":{"a":%b}}' % nested(5_000),
    "very deep": nested(100_000),
    "open": b"[" * 100_000,
    "not UTF-8": b'{"metadata":{"a":"\xff"}}',
    "half a surrogate pair": b'{"metadata":{"a":"\\ud800"}}',
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "1e400": b'{"metadata":{"a":1e400}}',
    "NaN": b'{"metadata":{"a":NaN}}',
    "a number of 5,000 digits": b'{"metadata":{"a":1%b}}' % (b"0" * 5_000),
    "NULs": b"\0" * 100,
    "a form": b"metadata=x&model=y",
}


class Made(NamedTuple):
    """What stands in paths: the ids of one of each."""

    a: str
    t: str
    m: str
    r: str
    file_id: str


@pytest.fixture
async def things(client: DashScope) -> Made:
    """An assistant, a thread, a message, a run and a file."""
    assistant = (await client.assistants.create(model="m")).id
    thread = (await client.threads.create()).id
    message = (await client.threads.messages.create(thread, "x")).id
    run = (await client.threads.runs.create(thread, assistant_id=assistant)).id
    await client.threads.runs.wait(thread, run)
    return Made(assistant, thread, message, run, (await client.files.create(b"x")).id)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_object_is_refused(
    server: LocalServer, things: Made, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On every path that takes a body, one that is no JSON object is 400 and no fault."""
    for path in POSTS:
        request = asking("POST", path.format(**things._asdict()), body=BODIES[name])
        assert check_refusal(await told(server, request))["code"] == "InvalidParameter"
    await check_alive(server)
    assert errors(caplog) == []


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b'""', b"{}", b'{"a":1,"a":2}'])
async def test_a_body_that_says_nothing_is_an_empty_one(server: LocalServer, body: bytes) -> None:
    """The official SDK sends an empty text for no thread at all (§2.1); more is let be."""
    assert (await told(server, asking(body=body))).status == 200


async def test_of_two_equal_keys_the_last_counts(server: LocalServer) -> None:
    """As everywhere in JSON."""
    reply = await told(server, asking(body=b'{"metadata":{"a":"1"},"metadata":{"b":"2"}}'))

    assert json.loads(reply.body)["metadata"] == {"b": "2"}


TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}},
    {"type": "quark_search", "auth": {"type": "user_http", "user_token": "t"}},
    {"type": "rag", "prompt_ra": {"pipeline_id": ["p"]}},
]
MESSAGE = {"role": "user", "content": "x", "file_ids": ["f"], "metadata": {"a": "b"}}
ASSISTANT = {
    "model": "m", "name": "n", "description": "d", "instructions": "i", "tools": TOOLS,
    "file_ids": ["f"], "metadata": {"a": "b"}, "temperature": 1, "top_p": 1, "top_k": 1,
    "max_tokens": 1,
}  # fmt: skip
RUN = {
    "assistant_id": "{a}", "model": "m", "instructions": "i", "additional_instructions": "j",
    "tools": TOOLS, "metadata": {"a": "b"}, "stream": False, "temperature": 1, "top_p": 1,
    "top_k": 1, "max_tokens": 1, "additional_messages": [MESSAGE], "tool_choice": "auto",
    "truncation_strategy": {"type": "last_messages", "last_messages": 1},
    "max_prompt_tokens": 1, "max_completion_tokens": 1, "response_format": "json_object",
    "parallel_tool_calls": True,
}  # fmt: skip
METADATA = {"metadata": {"a": "b"}}
FIELDS: dict[str, tuple[str, Any]] = {
    "A1": ("/assistants", ASSISTANT),
    "A4": ("/assistants/{a}", ASSISTANT),
    "AF1": ("/assistants/{a}/files", {"file_id": "{file_id}"}),
    "T1": ("/threads", {"messages": [MESSAGE], "metadata": {"a": "b"}}),
    "T3": ("/threads/{t}", METADATA),
    "M1": ("/threads/{t}/messages", MESSAGE),
    "M4": ("/threads/{t}/messages/{m}", METADATA),
    "R1": ("/threads/{t}/runs", RUN),
    "R2": ("/threads/runs", {**RUN, "thread": {"messages": [MESSAGE], "metadata": {}}}),
    "R5": ("/threads/{t}/runs/{r}", METADATA),
    "R6": (
        "/threads/{t}/runs/{r}/submit_tool_outputs",
        {"tool_outputs": [{"tool_call_id": "c", "output": "o"}], "stream": False},
    ),
}


async def waiting_run(client: DashScope, things: Made) -> Made:
    """A run of a new thread that waits for the output of one call."""
    thread = (await client.threads.create(messages=[{"role": "user", "content": "/call f"}])).id
    run = (await client.threads.runs.create(thread, assistant_id=things.a)).id
    while (await client.threads.runs.retrieve(thread, run)).status not in RESTING:
        await asyncio.sleep(0)
    return things._replace(t=thread, r=run)


@pytest.mark.parametrize("name", FIELDS)
async def test_every_field_of_every_request_may_be_wrong(
    server: LocalServer,
    client: DashScope,
    things: Made,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Absent, null, or of each type of JSON: 200, or 400 of the documented shape; never a fault."""
    path, whole = FIELDS[name]
    statuses = set()
    async with (
        asyncio.timeout(50), aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http,
    ):  # fmt: skip
        for what, body in [("the whole", whole), *misfits(whole)]:
            if name == "R6":
                things = await waiting_run(client, things)
            elif name == "R1":  # a thread of its own, or it is only told that another is busy
                things = things._replace(t=(await client.threads.create()).id)
            text = json.dumps(body)
            for ours, given in things._asdict().items():
                text = text.replace(f"{{{ours}}}", given)
            url = server.dashscope_url + path.format(**things._asdict())
            async with http.post(url, data=text.encode()) as answer:
                raw = await answer.read()
            assert answer.status in (200, 400), what
            if answer.status == 400:
                check_refusal(Reply(400, answer.content_type, raw))
            elif answer.content_type == "application/json":
                assert json.loads(raw)["request_id"], what
            else:
                assert raw.endswith(b"data:[DONE]\n\n"), what
            assert what != "the whole" or answer.status == (400 if name == "R6" else 200)
            statuses.add(answer.status)
    await check_alive(server)

    assert statuses == {200, 400}
    assert errors(caplog) == []


@pytest.mark.parametrize(
    "metadata",
    [{str(n): "x" for n in range(17)}, {"键" * 65: "x"}, {"a": "值" * 513}],
    ids=["17 pairs", "key of 65", "value of 513"],
)
async def test_metadata_beyond_its_limits_is_refused(
    server: LocalServer, things: Made, metadata: Any
) -> None:
    """16 pairs, keys of 64 and values of 512 characters (§3), wherever metadata can stand."""
    message = {"role": "user", "content": "x", "metadata": metadata}
    asked = {
        "/assistants": {"model": "m", "metadata": metadata},
        "/threads": {"messages": [message]},
        "/threads/{t}": {"metadata": metadata},
        "/threads/{t}/messages": message,
        "/threads/runs": {"assistant_id": things.a, "thread": {"metadata": metadata}},
        "/threads/{t}/runs/{r}": {"metadata": metadata},
    }
    for path, body in asked.items():
        raw = json.dumps(body, ensure_ascii=False).encode()
        reply = await told(server, asking("POST", path.format(**things._asdict()), body=raw))
        assert "metadata" in check_refusal(reply)["message"]


@pytest.mark.parametrize(
    "outputs",
    [
        None, [], {}, "x", [None], ["x"], [[]], [{}], [{"tool_call_id": ""}], [{"output": 5}],
        [{"output": None}], [{"output": {}}], [{"output": "x", "tool_call_id": 5}],
        [{"output": "x", "tool_call_id": "another"}], [{"output": "x"}, {"output": "x"}],
    ],
)  # fmt: skip
async def test_outputs_that_answer_nothing_are_refused(
    server: LocalServer, client: DashScope, things: Made, outputs: Any
) -> None:
    """A run that waits for one output gets exactly that (§2.4), and goes on waiting till then."""
    waiting = await waiting_run(client, things)
    path = "/threads/{t}/runs/{r}/submit_tool_outputs".format(**waiting._asdict())
    for stream in (False, True):
        body = json.dumps({"tool_outputs": outputs, "stream": stream}).encode()
        check_refusal(await told(server, asking("POST", path, body=body)))
    good = json.dumps({"tool_outputs": [{"output": "x"}]}).encode()
    assert (await told(server, asking("POST", path, body=good))).status == 200


async def test_a_message_of_nearly_16_mib_is_taken(server: LocalServer, things: Made) -> None:
    """The limit is that of the body; one byte more is 413 (§1.5)."""
    path = f"/threads/{things.t}/messages"
    frame = len(b'{"role":"user","content":""}')
    for size, status in ((16 * MIB - frame, 200), (16 * MIB - frame + 1, 413)):
        body = b'{"role":"user","content":"%b"}' % (b"x" * size)
        reply = await told(server, asking("POST", path, body=body))
        assert reply.status == status
    check_refusal(reply, 413)
    await check_alive(server)


PIECE = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
CHUNKED = asking("POST", "/threads", "Transfer-Encoding: chunked", body=b"")
LARGE: dict[str, tuple[bytes, ...]] = {
    "said": (asking("POST", "/threads", f"Content-Length: {17 * MIB}", body=b""),),
    "said, 1 GiB": (asking("POST", "/threads", f"Content-Length: {1 << 30}", body=b""),),
    "expected": (
        asking("POST", "/threads", f"Content-Length: {1 << 30}", "Expect: 100-continue", body=b""),
    ),
    "sent": (asking(body=b" " * (17 * MIB)),),
    "chunks": (CHUNKED, *[PIECE] * 17),
    "chunks without end": (CHUNKED, *[PIECE] * 40),
    "packed": (
        asking("POST", "/threads", "Content-Encoding: gzip", body=gzip.compress(b" " * 100 * MIB)),
    ),
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_body_of_more_than_16_mib_is_refused(
    server: LocalServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that says so before it is read, every other as soon as it has come to so much."""
    check_refusal(await told(server, *LARGE[name]), 413)
    await check_alive(server)
    assert errors(caplog) == []


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_that_cannot_be_unpacked_is_refused(
    server: LocalServer, coding: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is 400, once, and nobody's fault but the client's."""
    request = asking("POST", "/threads", f"Content-Encoding: {coding}", body=b"nonsense")
    check_refusal(await told(server, request))
    await check_alive(server)
    assert errors(caplog) == []


EXPECTING = asking(
    "POST", "/threads", "Transfer-Encoding: chunked", "Expect: 100-continue", body=b""
)
BROKEN: dict[str, tuple[bytes, ...]] = {
    "a chunk of no size": (EXPECTING, b"zz\r\n"),
    "a chunk of no size, later": (EXPECTING, b"2\r\n{}\r\nzz\r\n"),
    "a length too long": (asking("POST", "/threads", "Content-Length: 100"),),
    "chunks without an end": (CHUNKED, b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_body_that_stops_is_not_waited_for_without_limit(
    server: LocalServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that stays but sends no more, or nothing that can be read, is refused."""
    monkeypatch.setattr("aiodashassist.server.forms.PATIENCE", 0.1)
    check_refusal(await told(server, *BROKEN[name]))
    monkeypatch.undo()
    await check_alive(server)


@pytest.mark.parametrize(
    "pieces",
    [*BROKEN.values(), (asking()[:40],), (b"P",), ()],
    ids=[*BROKEN, "half a head", "a letter", "nothing"],
)
async def test_a_client_that_stops_and_leaves_gets_nothing(
    server: LocalServer, pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """A request that its sender does not finish is no request, and no fault."""
    reply = await told(server, *pieces, leave=True)

    assert reply.status in (0, 400)
    await check_alive(server)
    assert errors(caplog) == []


GARBAGE: dict[str, bytes] = {
    "no HTTP": b"garbage\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01" * 20 + b"\r\n\r\n",
    "NULs": b"\0" * 100 + b"\r\n\r\n",
    "HTTP/3": asking().replace(b"HTTP/1.1", b"HTTP/3.0"),
    "an unknown method": asking("FOO"),
    "a space in the path": asking("GET", "/threads/ a"),
    "bytes in the path": asking("GET", "/threads/\xe4"),
    "a path of 9,000": asking("GET", "/threads/" + "x" * 9_000),
    "a header without a colon": asking("POST", "/threads", "nocolon"),
    "a header with a NUL": asking("POST", "/threads", "X: a\0b"),
    "a header of 1 MiB": asking("POST", "/threads", "X: " + "y" * MIB),
    "50,000 headers": asking("POST", "/threads", *["X: y"] * 50_000),
    "no host": asking().replace(b"Host: localhost\r\n", b""),
    "a negative length": asking("POST", "/threads", "Content-Length: -1"),
    "a length of letters": asking("POST", "/threads", "Content-Length: two"),
    "a length beyond all": asking("POST", "/threads", "Content-Length: 1" + "0" * 30),
    "two lengths": asking("POST", "/threads", "Content-Length: 2", "Content-Length: 3"),
    "length and chunks": asking(
        "POST", "/threads", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_no_http_is_refused_at_once(server: LocalServer, name: str) -> None:
    """It is 400 or the end of the connection, never a hang or a 500."""
    reply = await told(server, GARBAGE[name])

    assert reply.status in (0, 400)
    await check_alive(server)


@pytest.mark.parametrize(
    "header",
    [
        "X-DashScope-WorkSpace: \xff\xfe",
        "X-DashScope-WorkSpace: " + "w" * 8_000,
        "Content-Type: \xff; charset=nonsense",
        "Content-Type: application/json; charset=utf-16",
        "Content-Encoding: nonsense",
        "Accept: nothing",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x",
        "Range: bytes=5-1",
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_header_that_means_nothing_here_does_no_harm(
    server: LocalServer, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What the wire does not know of is let be."""
    assert (await told(server, asking("POST", "/threads", header))).status == 200
    await check_alive(server)
    assert errors(caplog) == []


async def test_two_requests_at_once_are_two_answers(server: LocalServer) -> None:
    """Pipelined requests are answered in their order; garbage after them ends the connection."""
    async with asyncio.timeout(SAFETY):
        reader, writer = await connected(server)
        writer.write(asking() + asking("GET", "/assistants", body=b""))
        first, second = await _read(reader), await _read(reader)
        writer.write(b"garbage\r\n\r\n")
        third = await _read(reader)
        writer.close()

    assert json.loads(first.body)["object"] == "thread"
    assert json.loads(second.body)["object"] == "list"
    assert third.status in (0, 400)
    await check_alive(server)


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    """An upload of these parts."""
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    kind = f"Content-Type: multipart/form-data; boundary={boundary.decode()}"
    return asking("POST", "/files", kind, body=body + b"--%b--\r\n" % boundary)


FILE = b'Content-Disposition: form-data; name="files"; filename="x"\r\n\r\nhello'
FORMS: dict[str, bytes] = {
    "JSON": asking("POST", "/files", "Content-Type: application/json"),
    "no type": asking("POST", "/files"),
    "no boundary": form(FILE).replace(b"; boundary=b", b""),
    "another boundary": form(FILE).replace(b"boundary=b", b"boundary=c"),
    "a boundary of 100": form(FILE, boundary=b"x" * 100),
    "nothing": form(),
    "no body": asking("POST", "/files", "Content-Type: multipart/form-data; boundary=b", body=b""),
    "no file": form(b'Content-Disposition: form-data; name="purpose"\r\n\r\nx'),
    "another name": form(FILE.replace(b'"files"', b'"file"')),
    "no name": form(FILE.replace(b'name="files"; ', b"")),
    "no header": form(b"\r\nhello"),
    "a header without a colon": form(b"nocolon\r\n" + FILE),
    "a header with bytes": form(FILE.replace(b"form-data", b"\xff\0")),
    "a header of 100,000": form(b"X: " + b"y" * 100_000 + b"\r\n" + FILE),
    "10,000 headers": form(b"X: y\r\n" * 10_000 + FILE),
    "a form in the form": form(
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n"
    ),
    "a text not UTF-8": form(b'Content-Disposition: form-data; name="purpose"\r\n\r\n\xff', FILE),
    "garbage": asking(
        "POST", "/files", "Content-Type: multipart/form-data; boundary=b", body=b"\0\xff" * 500
    ),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_that_is_none_is_refused(
    server: LocalServer, client: DashScope, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An upload without a file, without a form, or with a broken one: 400, and nothing is kept."""
    check_refusal(await told(server, FORMS[name]))

    assert [file async for file in client.files.list()] == []
    await check_alive(server)
    assert errors(caplog) == []


async def leave_after(server: LocalServer, request: bytes, *, rudely: bool) -> None:
    """Send so much and go, with a reset or without."""
    _, writer = await connected(server)
    writer.write(request)
    await writer.drain()
    if rudely:
        writer.transport.abort()
    writer.close()


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", ["JSON", "form", "stream"])
async def test_a_client_may_leave_at_every_point(
    server: LocalServer, things: Made, name: str, rudely: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """After each byte of a request the client may be gone: no fault, and the next is served."""
    run = json.dumps({"assistant_id": things.a, "stream": True}).encode()
    request = {
        "JSON": asking(),
        "form": form(FILE),
        "stream": asking("POST", "/threads/runs", body=run),
    }[name]
    async with asyncio.timeout(50):
        for length in range(0, len(request) + 1, 1 if len(request) < 150 else 3):
            await leave_after(server, request[:length], rudely=rudely)
        await leave_after(server, request, rudely=rudely)
        await check_alive(server)

    assert errors(caplog) == []


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
async def test_a_client_may_leave_at_every_point_of_a_stream(
    server: LocalServer, client: DashScope, rudely: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever leaves in the middle of a stream stops nothing: its run comes to its end."""
    made = (await client.assistants.create(model="m")).id
    for count in range(0, 6_000, 500):
        thread = (await client.threads.create(messages=[{"role": "user", "content": "x" * 99}])).id
        body = json.dumps({"assistant_id": made, "stream": True}).encode()
        async with asyncio.timeout(SAFETY):
            reader, writer = await connected(server)
            writer.write(asking("POST", f"/threads/{thread}/runs", body=body))
            await reader.readexactly(count or 1)
            if rudely:
                writer.transport.abort()
            writer.close()
            (run,) = (await client.threads.runs.list(thread)).data
            assert (await client.threads.runs.wait(thread, run.id)).status == "completed"

    assert errors(caplog) == []
