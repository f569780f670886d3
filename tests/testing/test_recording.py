"""aiodashassist/testing/recording.py."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import (
    AssistError,
    AuthenticationError,
    BadRequest,
    ConnectError,
    DashScope,
    LocalProtocolError,
    MessageDelta,
    NotFound,
    PluginTool,
    RequestTimeout,
    Retry,
    Timeouts,
    TransportError,
    UserAuth,
)
from aiodashassist.providers.appbuilder.writer import WrittenChunks
from aiodashassist.server import LocalServer
from aiodashassist.server.mishaps import Lose
from aiodashassist.testing import Cassette, record
from aiodashassist.testing.cassette import Answered, Failed, FormFile
from tests.raw_server import (
    END,
    STREAM,
    Answer,
    RawServer,
    Received,
    Writer,
    answering,
    chunk,
    head,
    whole,
)
from tests.testing.conversations import KINDS, Client, talk

ONCE = Retry(attempts=1, reconcile=False)
KEY = "sk-0123456789abcdef/x"


@asynccontextmanager
async def reaching(answer: Answer, **options: Any) -> AsyncIterator[DashScope]:
    """A client of a server that answers so."""
    async with RawServer(answer) as server:
        known = {"base_url": server.url, "retry": ONCE, **options}
        async with DashScope(KEY, **known) as client:
            yield client


def answer_of(cassette: Cassette, number: int = 0) -> Answered:
    """The answer of an exchange."""
    answer = cassette.exchanges[number].answer
    assert answer is not None
    return answer


def failure_of(cassette: Cassette, number: int = 0) -> Failed:
    """Why an exchange has no answer."""
    failure = cassette.exchanges[number].failure
    assert failure is not None
    return failure


@pytest.mark.parametrize("kind", KINDS)
async def test_all_that_is_asked_is_on_the_cassette(
    kind: type[Client], server: LocalServer
) -> None:
    """Every request is there in the order sent, with what was answered, a stream in its pieces."""
    async with server.client(kind) as client:
        with record(client) as cassette:
            _, result = await talk(client)
        await client.threads.create()
    asked = [exchange.request.operation for exchange in cassette.exchanges]
    streamed = answer_of(cassette, 3)

    assert asked == [
        "CreateAssistant", "CreateThread", "CreateMessage", "CreateRun",
        "SubmitOutputs", "SubmitOutputs",
    ]  # fmt: skip
    assert cassette.provider == kind.__name__
    assert {answer_of(cassette, number).end for number in range(6)} == {"whole"}
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert len(streamed.pieces()) > 1
    assert b"".join(streamed.pieces()) == streamed.body.data
    assert result.run.id.encode() in streamed.body.data
    assert json.loads(answer_of(cassette, 1).body.data)["id"] == result.thread_id
    assert not streamed.times
    assert streamed.began == streamed.ended == 0


async def test_what_follows_tool_outputs_is_marked(server: LocalServer) -> None:
    """On a stream that stays open, the pieces that came after a round's outputs wait for them."""
    async with server.client(KINDS[1]) as client:
        with record(client) as cassette:
            await talk(client)
    stream = answer_of(cassette, 3)
    pieces = stream.pieces()

    assert sorted(stream.waits.values()) == [4, 5]
    for number in stream.waits:
        assert (
            b"requires_action" in b"".join(pieces[:number]) or b"tool_calls" in pieces[number - 1]
        )
        assert b"submitted" in b"".join(pieces[number:])


async def test_outputs_of_another_run_are_not_waited_for(server: LocalServer) -> None:
    """Two runs at a time: what is done to one is nothing that the other's stream waits for."""
    async with server.client(KINDS[1]) as client:
        with record(client) as cassette:
            await asyncio.gather(talk(client), talk(client))
    runs = {
        json.loads(exchange.request.body.data)["run_id"]
        for exchange in cassette.exchanges
        if exchange.request.operation == "SubmitOutputs" and exchange.request.body
    }
    assert len(runs) == 2
    for exchange in cassette.exchanges:
        if exchange.request.operation != "CreateRun" or exchange.answer is None:
            continue
        assert len(exchange.answer.waits) == 2
        for number in exchange.answer.waits.values():
            body = cassette.exchanges[number].request.body
            assert body is not None
            run_id = json.loads(body.data)["run_id"]
            assert run_id.encode() in exchange.answer.body.data


async def test_an_end_is_marked_that_follows_a_cancellation() -> None:
    """Where nothing but the end of a stream came after its run was cancelled, the end waits."""
    cancelled = asyncio.Event()

    async def answer(request: Received, writer: Writer) -> None:
        if "/cancel" in request.line:
            cancelled.set()
            writer.write(whole(b'{"id":"run_1","status":"cancelling","request_id":"r"}'))
            return
        run = b'{"id":"run_1","thread_id":"t","status":"queued","request_id":"r"}'
        writer.write(STREAM + chunk(b"event:thread.run.created\ndata:" + run + b"\n\n"))
        await writer.drain()
        await cancelled.wait()
        writer.write(END)

    async with reaching(answer) as client:
        with record(client) as cassette:
            stream = client.threads.runs.stream("t", assistant_id="a", on_exit="leave")
            async with stream:
                await anext(stream)
                await stream.cancel()
                with pytest.raises(AssistError):
                    await stream.result()

    assert len(answer_of(cassette).pieces()) == 1
    assert answer_of(cassette).waits == {1: 1}


async def test_a_cassette_is_saved_at_the_end(client: DashScope, tmp_path: Path) -> None:
    """With a path, the file is there afterwards, also if the block raised."""
    with pytest.raises(NotFound), record(client, tmp_path / "c.json"):
        await client.threads.retrieve("none")

    assert len(Cassette.load(tmp_path / "c.json").exchanges) == 1


async def test_a_cassette_can_be_saved_meanwhile(client: DashScope, tmp_path: Path) -> None:
    """What was recorded so far can be saved; recording goes on."""
    with record(client) as cassette:
        await client.threads.create()
        cassette.save(tmp_path / "c.json")
        await client.threads.create()

    assert len(Cassette.load(tmp_path / "c.json").exchanges) == 1
    assert len(cassette.exchanges) == 2


async def test_copies_are_recorded_and_strangers_are_not(server: LocalServer) -> None:
    """A copy made by `with_options` is the same client; another client is not."""
    async with server.client(DashScope) as client, server.client(DashScope) as other:
        with record(client) as cassette:
            await client.with_options(timeouts=Timeouts(read=5)).threads.create()
            await other.threads.create()

    assert len(cassette.exchanges) == 1


async def test_a_recording_knows_how_long_it_is(client: DashScope) -> None:
    """The repr of a cassette that is being recorded counts the requests so far."""
    with record(client) as cassette:
        assert "0 exchanges" in repr(cassette)
        await client.threads.create()
        assert "1 exchanges" in repr(cassette)


async def test_a_client_is_recorded_once_at_a_time(client: DashScope) -> None:
    """A second recording is refused; after the first, there can be another."""
    with record(client) as first:
        with pytest.raises(LocalProtocolError, match="recorded already"), record(client):
            pass
        await client.threads.create()
    with record(client) as second:
        await client.threads.create()
        await client.threads.create()

    assert (len(first.exchanges), len(second.exchanges)) == (1, 2)


async def test_a_refused_connection_is_recorded_as_such() -> None:
    """Where there is no service, the cassette says so."""
    async with RawServer(answering(b"")) as server:
        url = server.url
    async with DashScope(KEY, base_url=url, retry=ONCE) as client:
        with record(client) as cassette, pytest.raises(ConnectError):
            await client.threads.create()

    assert failure_of(cassette).kind == "refused"
    assert failure_of(cassette).words.startswith("Cannot connect to host 127.0.0.1")


async def test_a_lost_answer_is_recorded_as_such(server: LocalServer) -> None:
    """Where the connection was closed before the answer, the cassette says so."""
    server.faults.add(Lose(operation="CreateMessage"))
    async with server.client(DashScope, retry=ONCE) as client:
        thread = await client.threads.create()
        with record(client) as cassette, pytest.raises(TransportError):
            await client.threads.messages.create(thread.id, "x")

    assert failure_of(cassette).kind == "lost"
    assert cassette.exchanges[0].request.operation == "CreateMessage"


async def test_silence_is_recorded_as_such() -> None:
    """Where a clock of the connection ran out, the cassette says so."""

    async def silent(_request: Received, _writer: Writer) -> None:
        await asyncio.Event().wait()

    async with reaching(silent, timeouts=Timeouts(read=0.05, connect=60)) as client:
        with record(client) as cassette, pytest.raises(RequestTimeout):
            await client.threads.retrieve("t")

    assert failure_of(cassette).kind == "silent"


async def test_a_broken_body_is_recorded_as_such() -> None:
    """What came before a connection broke is on the cassette, with how it broke."""
    begun = head(length=100) + b'{"id":"thread'
    async with reaching(answering(begun, close=True)) as client:
        with record(client) as cassette, pytest.raises(TransportError):
            await client.threads.retrieve("t")
    found = answer_of(cassette)

    assert found.end == "broken"
    assert found.words
    assert found.body.data == b'{"id":"thread'


async def test_a_broken_stream_is_recorded_to_its_last_byte() -> None:
    """All that came of a stream is there, also what aiohttp holds when it tells of the end."""

    async def answer(request: Received, writer: Writer) -> None:
        if "/messages" in request.line:
            writer.write(whole(b'{"id":"message_1","request_id":"r"}'))
            return
        writer.write(STREAM + chunk(b"event:thread.run.created\n") + b"20\r\nda")
        writer.close()

    async with reaching(answer) as client:
        with record(client) as cassette, pytest.raises(AssistError):
            await client.ask("x", thread_id="t", assistant_id="a")
    streams = [one.answer for one in cassette.exchanges if one.request.operation == "CreateRun"]

    assert streams[0] is not None
    assert streams[0].end == "broken"
    assert streams[0].body.data == b"event:thread.run.created\nda"


async def test_an_answer_that_is_left_is_recorded_as_such(
    client: DashScope, assistant_id: str
) -> None:
    """Where the user leaves a stream, the cassette ends there and says so."""
    with record(client) as cassette:
        async with client.stream("/say one\n/wait 60", assistant_id=assistant_id) as stream:
            async for event in stream:
                if isinstance(event, MessageDelta):
                    break
    asked = [exchange.request.operation for exchange in cassette.exchanges]

    assert asked == ["CreateThread", "CreateMessage", "CreateRun", "CancelRun"]
    assert answer_of(cassette, 2).end == "left"
    assert answer_of(cassette, 3).end == "whole"


async def test_a_call_that_is_cancelled_is_recorded_as_such() -> None:
    """A request that nobody waited for is on the cassette, without an answer."""
    arrived = asyncio.Event()

    async def silent(_request: Received, _writer: Writer) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with reaching(silent) as client:
        with record(client) as cassette:
            task = asyncio.create_task(client.threads.create())
            await arrived.wait()
            assert failure_of(cassette) == Failed(kind="left")
            task.cancel()
            await asyncio.wait({task})

    assert failure_of(cassette) == Failed(kind="left")


@pytest.mark.parametrize(("body", "end"), [(b"", "whole"), (b"elsewhere", "left")])
async def test_an_answer_that_is_not_read_is_whole_if_there_is_nothing_more(
    body: bytes, end: str
) -> None:
    """An answer that is closed unread, such as a redirect, is whole if it is empty, else left."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: %d\r\n\r\n%b"
    async with reaching(answering(moved % (len(body), body))) as client:
        with record(client) as cassette, pytest.raises(TransportError):
            await client.threads.create()
    found = answer_of(cassette)

    assert (found.status, found.headers["Location"]) == (302, "http://x/")
    assert (found.end, found.body.data) == (end, b"")


async def test_files_come_without_the_bytes_of_uploads(server: LocalServer) -> None:
    """Of an upload names and sizes are kept, of a download the bytes."""
    data = b"\xff\x00 private bytes"
    async with server.client(KINDS[1]) as client:
        with record(client) as cassette:
            file = await client.files.create(data, filename="notes.bin", purpose="assistant")
            assert (await client.files.content(file.id)).data == data
    upload = cassette.exchanges[0].request.form

    assert upload is not None
    assert upload.files == (FormFile(field="file", filename="notes.bin", size=len(data)),)
    assert ("purpose", "assistant") in (
        *upload.fields,
        *cassette.exchanges[0].request.query.items(),
    )
    assert cassette.exchanges[0].request.body is None
    assert answer_of(cassette, 1).body.data == data


@pytest.mark.parametrize("kind", KINDS)
async def test_timings_say_when_each_piece_came(kind: type[Client], server: LocalServer) -> None:
    """With timings there is a time for each piece, in order, between the beginning and the end."""
    async with server.client(kind) as client:
        with record(client, timings=True) as cassette:
            await talk(client, "/say one\n/say two\n/wait 0.01\n/say three")
    for exchange in cassette.exchanges:
        assert exchange.answer is not None
        found = exchange.answer
        times = [found.began, *found.times, found.ended]
        assert len(found.times) == len(found.pieces())
        assert times == sorted(times)
    assert answer_of(cassette, 3).ended >= 0.01


@pytest.mark.parametrize(
    ("kind", "chunks"), [(KINDS[0], "delta"), (KINDS[1], "delta"), (KINDS[1], "cumulative")]
)
async def test_no_secret_is_on_a_cassette(
    kind: type[Client], chunks: WrittenChunks, tmp_path: Path
) -> None:
    """Keys of all copies, users' tokens and cookies are nowhere, though the service echoes them."""
    other, cookie, token = "sk-another-tenant-1", "cookie-of-the-user", "token-of-a-user-1"
    told = f"my key is {KEY} and the other one {other}"
    secrets = [KEY, other, cookie]
    path = tmp_path / "c.json"
    async with LocalServer(message_chunks=chunks) as server:
        headers = {"Cookie": f"a=b; c={cookie}"}
        async with server.client(kind, api_key=KEY, headers=headers) as client:
            with record(client, path):
                if isinstance(client, DashScope):  # the other has no such tokens
                    plugin = PluginTool("my_plugin", auth=UserAuth(user_token=token))
                    await client.assistants.create(model="m", tools=[plugin])
                    await client.assistants.list()
                    told += f", {token} is the token"
                    secrets.append(token)
                await talk(client, told)
                await talk(client.with_options(api_key=other), f"/say {told}, {cookie}")
                await talk(client, f'/call get_weather {{"city": "{KEY}"}}')
                await client.threads.create(metadata={"x": KEY})
    text = path.read_text(encoding="utf-8")
    exchanges = Cassette.load(path).exchanges
    # What was streamed in pieces, put together.
    said = [
        one
        for exchange in exchanges
        if exchange.answer is not None
        for one in _strings(exchange.answer.body.data)
    ]

    assert "my key is" in text
    assert "Authorization" not in text
    for secret in (*secrets, *(secret[:8] for secret in secrets), KEY.replace("/", "\\/")):
        assert secret not in text
    assert any("my key is" in one for one in said)
    assert not [one for one in said for secret in secrets if secret in one]


def _strings(body: bytes) -> list[str]:
    """The strings of a stream's frames, those of each name put together."""
    found: dict[str, list[str]] = {}

    def walk(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)
        elif isinstance(value, str):
            found.setdefault(name, []).append(value)

    for line in body.decode().split("\n"):
        if line.startswith("data:") and line != "data:[DONE]":
            walk(json.loads(line[5:]), "")
    return ["".join(texts) for texts in found.values()]


async def test_a_key_that_the_service_quotes_is_not_on_the_cassette() -> None:
    """An error that quotes the key, in its body or a header, is recorded without it."""
    said = json.dumps({"code": "InvalidApiKey", "message": f"Invalid key {KEY}", "request_id": "r"})
    head = f"HTTP/1.1 401 No\r\nX-Said: {KEY}\r\nSet-Cookie: c=12345678\r\nContent-Length: "
    answer = f"{head}{len(said)}\r\n\r\n{said}".encode()
    async with reaching(answering(answer)) as client:
        with record(client) as cassette, pytest.raises(AuthenticationError):
            await client.threads.create(extra_query={"k": KEY})
    found = answer_of(cassette)

    assert json.loads(found.body.data)["message"] == "Invalid key " + "*" * len(KEY)
    assert found.headers["X-Said"] == "*" * len(KEY)
    assert "Set-Cookie" not in found.headers
    assert cassette.exchanges[0].request.query == {"k": "*" * len(KEY)}


async def test_a_secret_is_known_by_its_name(tmp_path: Path) -> None:
    """What a query, a body or a form has under the name of a secret is on no cassette."""
    query, body, sent = "token-of-a-query", "key-of-a-body", "secret-of-a-form"
    said = json.dumps({"code": "X", "message": f"bad {query}, {body}, {sent}", "request_id": "r"})
    path = tmp_path / "c.json"
    async with reaching(answering(whole(said.encode(), "400 Bad Request"))) as client:
        with record(client, path):
            for given in (
                client.threads.create(
                    extra_query={"access_token": query, "sign": "s", "auth": "short"},
                    extra_body={"options": {"api_key": body}},
                ),
                client.files.create(b"x", filename="a", extra_body={"client_secret": sent}),
            ):
                with pytest.raises(BadRequest):
                    await given
    text = path.read_text(encoding="utf-8")
    first, second = (one.request for one in Cassette.load(path).exchanges)

    assert first.query == {"access_token": "*" * len(query), "sign": "s", "auth": "*****"}
    assert second.form is not None
    assert ("client_secret", "*" * len(sent)) in second.form.fields
    for secret in (query, body, sent):
        assert secret not in text
    assert f"bad {'*' * len(query)}, {'*' * len(body)}, " in text


@pytest.mark.parametrize("echoed", [False, True])
async def test_a_users_token_that_is_quoted_elsewhere_is_not_on_the_cassette(echoed: bool) -> None:
    """A token that was sent, or came with an object, is blotted out where an error quotes it."""
    token = "token-of-a-user-1"
    tool = {"type": "my_plugin", "auth": {"type": "user_http", "user_token": token}}
    said = json.dumps({"code": "InvalidParameter", "message": f"bad: {token}", "request_id": "r"})
    listed = json.dumps({"data": [{"id": "asst_1", "tools": [tool]}], "request_id": "r"})

    async def answer(request: Received, writer: Writer) -> None:
        if request.line.startswith("GET"):
            writer.write(whole(listed.encode()))
        else:
            writer.write(whole(said.encode(), "400 Bad Request"))

    async with reaching(answer) as client:
        with record(client) as cassette:
            with pytest.raises(BadRequest):
                await client.assistants.create(model="m", tools=[] if echoed else [tool])
            if echoed:
                await client.assistants.list()

    assert json.loads(answer_of(cassette).body.data)["message"] == "bad: " + "*" * len(token)


async def test_recording_changes_nothing(server: LocalServer) -> None:
    """The client gets what it would have got, and leaves no connection open."""
    async with server.client(DashScope) as client:
        plain, _ = await talk(client)
        with record(client):
            recorded, _ = await talk(client)

    assert Counter(map(type, recorded)) == Counter(map(type, plain))


async def test_a_stream_is_read_on_after_the_recording(
    client: DashScope, assistant_id: str
) -> None:
    """A stream that is open when the recording ends goes on, and its cassette with it."""
    with record(client) as cassette:
        stream = client.stream("one two three four", assistant_id=assistant_id)
        await stream.__aenter__()
    result = await stream.result()
    await stream.close()

    assert result.text == "one two three four"
    assert answer_of(cassette, 2).end == "whole"


async def test_an_event_stream_of_bytes_alone_is_recorded() -> None:
    """Whatever the pieces are, the body on the cassette is what was sent, byte by byte."""
    frame = 'event:thread.run.created\ndata:{"天":1}\n\n'.encode()
    pieces = [chunk(frame[start : start + 1]) for start in range(len(frame))]
    async with reaching(answering(STREAM, *pieces, END)) as client:
        with record(client) as cassette, pytest.raises(AssistError):
            async with client.threads.runs.stream("t", assistant_id="a") as stream:
                await stream.result()

    assert answer_of(cassette).body.data == frame
