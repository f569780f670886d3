"""The local server's HTTP: authentication, workspaces, errors and streams on the wire."""

import asyncio
import io
import json
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from aiodashassist import (
    AppBuilder,
    AuthenticationError,
    DashScope,
    MessageParams,
    NotFound,
    ToolOutput,
    UnsupportedOperation,
)
from aiodashassist.core.sse import SSEParser
from aiodashassist.server import LocalServer
from aiodashassist.server.app import _with_silence
from aiodashassist.server.engines import Move, Say, Turn
from aiodashassist.server.store import Store


async def asked(
    server: LocalServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of a plain request."""
    headers.setdefault("Authorization", "Bearer x")
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
    data = io.BytesIO(raw) if raw is not None else None
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, server.dashscope_url + path, data=data, headers=headers) as answer,
    ):
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("GET", "/nonsense", None, "Invalid URL provided in your request."),
        ("GET", "/threads/a/b/c/d", None, "Invalid URL provided in your request."),
        ("PATCH", "/assistants", None, "Request method 'PATCH' is not supported."),
        ("POST", "/assistants", b"{broken", "Required body invalid"),
        ("POST", "/assistants", b"[1]", "Required body invalid"),
        ("POST", "/assistants", {"name": "x"}, "Required parameter(s) missing: model"),
        ("GET", "/assistants?limit=0", None, "Limit must be between 1 and 100"),
        ("GET", "/assistants?order=up", None, "Order must be 'asc' or 'desc'"),
        ("GET", "/assistants/a", None, "The specified assistant has been deleted or does not"),
        ("GET", "/threads/t", None, "The specified thread has been deleted or does not exist."),
        ("GET", "/files/f", None, "The specified file has been deleted or does not exist."),
        ("DELETE", "/files/f", None, "The specified file has been deleted or does not exist."),
        ("GET", "/files?page_size=0", None, "Required parameter(s) invalid: page_size"),
        ("GET", "/files?page_size=101", None, "Required parameter(s) invalid: page_size"),
        ("GET", "/files?page_no=0", None, "Required parameter(s) invalid: page_no"),
        ("GET", "/files?page_no=-1", None, "Required parameter(s) invalid: page_no"),
        ("POST", "/files", {}, "Required body invalid"),
        ("POST", "/files/f", {}, "Request method 'POST' is not supported."),
        ("POST", "/assistants/a/files", {}, "Required body invalid"),
        ("POST", "/assistants/a/files", {"file_id": ""}, "file_id must be a non-empty string"),
    ],
)
async def test_a_request_that_cannot_be_served_has_the_documented_error(
    server: LocalServer, method: str, path: str, body: Any, message: str
) -> None:
    """400 InvalidParameter with the words of dashscope.md §6.2, and a request id."""
    status, answer = await asked(server, method, path, body)

    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert answer["message"].startswith(message)
    assert answer["request_id"]


async def test_a_missing_key_and_a_wrong_key_are_told_apart() -> None:
    """No key is 400 at this layer (§6.2); a wrong one is 401 (§6.3)."""
    async with LocalServer(api_key="sk-right") as server:
        status, answer = await asked(server, "GET", "/assistants", Authorization="Basic x")
        assert (status, answer["message"][:26]) == (400, "API key or Uid is missing.")
        status, answer = await asked(server, "GET", "/assistants", Authorization="Bearer no")
        assert (status, answer["code"]) == (401, "InvalidApiKey")
        async with server.client(DashScope) as client:
            assert (await client.assistants.list()).data == ()
        async with server.client(DashScope, api_key="wrong") as client:
            with pytest.raises(AuthenticationError):
                await client.assistants.list()


async def test_a_body_that_cannot_be_decoded_is_refused(server: LocalServer) -> None:
    """A body that is not what its encoding says is 400."""
    status, answer = await asked(server, "POST", "/threads", b"abc", **{"Content-Encoding": "gzip"})
    assert (status, answer["code"]) == (400, "InvalidParameter")


async def test_an_id_with_a_line_break_is_an_id(server: LocalServer) -> None:
    """Whatever stands in a path is answered by the service, not by its framework."""
    status, answer = await asked(server, "GET", "/threads/a%0Ab")

    assert (status, answer["message"][:20]) == (400, "The specified thread")


async def test_a_client_that_leaves_in_mid_body_is_no_fault(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A request cut off inside its body leaves no error in the log."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/threads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n")
    writer.write(b"Content-Length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_workspaces_are_isolated(server: LocalServer) -> None:
    """What is made in one workspace is not found in another (§1.4)."""
    async with (
        server.client(DashScope, workspace="one") as one,
        server.client(DashScope, workspace="two") as two,
    ):
        made = await one.assistants.create(model="m")
        thread = await one.threads.create()
        assert (await one.assistants.retrieve(made.id)).id == made.id
        assert (await two.assistants.list()).data == ()
        with pytest.raises(NotFound):
            await two.assistants.retrieve(made.id)
        with pytest.raises(NotFound):
            await two.threads.runs.create(thread.id, assistant_id=made.id)
        file = await one.files.create(b"x")
        assert (await two.files.list()).data == ()
        for call in (two.files.retrieve, two.files.delete):
            with pytest.raises(NotFound):
                await call(file.id)
        assert (await one.files.retrieve(file.id)).bytes == 1


async def test_a_body_beyond_the_limit_is_refused(server: LocalServer) -> None:
    """More than 16 MiB is 413."""
    status, answer = await asked(server, "POST", "/threads", b" " * (16 * 1024 * 1024 + 1))

    assert status == 413
    assert "16 MiB" in answer["message"]


async def test_a_fault_of_the_server_is_a_500_that_tells_nothing(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is logged, and answered with the documented error."""

    def fail(*_: object) -> None:
        raise RuntimeError("inner secret")

    monkeypatch.setattr(Store, "page", fail)
    status, answer = await asked(server, "GET", "/assistants")

    assert (status, answer["code"]) == (500, "InternalError")
    assert "secret" not in answer["message"]
    assert "inner secret" in caplog.text


async def test_cancelling_can_be_switched_off() -> None:
    """As the documents say: there is no such endpoint (§7.1)."""
    async with LocalServer(can_cancel=False) as server, server.client(DashScope) as client:
        with pytest.raises(UnsupportedOperation):
            await client.threads.runs.cancel("t", "r")


async def test_a_stream_is_framed_as_the_official_parser_needs_it(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """No space after a colon, one data line an event, `[DONE]` last, UTF-8 not escaped (§5.2)."""
    thread = await client.threads.create(messages=[{"role": "user", "content": "你好"}])
    body = {"assistant_id": assistant_id, "stream": True}
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http,
        http.post(f"{server.dashscope_url}/threads/{thread.id}/runs", json=body) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        raw = await answer.text()

    blocks = raw.split("\n\n")
    assert blocks.pop() == ""
    assert blocks[-1] == "event:done\ndata:[DONE]"
    for block in blocks[:-1]:
        event, data = block.split("\n")
        assert event.startswith("event:thread.")
        assert json.loads(data.removeprefix("data:"))["request_id"]
    assert "你好" in raw


async def test_closing_the_server_ends_its_streams(caplog: pytest.LogCaptureFixture) -> None:
    """Runs are cancelled, their streams end with that event, and no task is left."""
    server = LocalServer()
    await server.start()
    async with server.client(DashScope) as client:
        made = await client.assistants.create(model="m")
        async with client.stream("/say x\n/wait 30", assistant_id=made.id) as stream:
            await anext(stream)
            closing = asyncio.create_task(server.close())
            events = [event async for event in stream]
            await closing

    assert events[-1].name == "thread.run.cancelled"
    assert caplog.records == []


async def test_a_client_that_resets_its_connection_is_no_fault(
    server: LocalServer, client: DashScope, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that goes away in mid-stream leaves no error in the log."""
    made = await client.assistants.create(model="m")
    thread = await client.threads.create(messages=[{"role": "user", "content": "x" * 4000}])
    body = {"assistant_id": made.id, "stream": True}
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http:
        answer = await http.post(f"{server.dashscope_url}/threads/{thread.id}/runs", json=body)
        await answer.content.readany()
        answer.close()
    async with asyncio.timeout(10):
        while (await client.threads.runs.list(thread.id)).data[0].status != "completed":
            await asyncio.sleep(0)

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_form_that_means_nothing_is_not_kept(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file under a wrong name is written while it comes, and removed when it is refused."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    form = aiohttp.FormData()
    form.add_field("document", io.BytesIO(b"abc"), filename="a.txt")
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http,
        http.post(server.dashscope_url + "/files", data=form) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidParameter")

    assert files_below(tmp_path) == []


def files_below(folder: Path) -> list[Path]:
    """The files in all folders below."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_file_may_be_larger_than_a_body(server: LocalServer, client: DashScope) -> None:
    """The limit of 16 MiB is for JSON; a file is read piece by piece."""
    size = 17 * 1024 * 1024
    made = await client.files.create(bytes(size))

    assert (await client.files.retrieve(made.id)).bytes == size


# --- two wires at once ---

ASSISTANT = {"model": "m", "name": "n"}
REQUEST_ID = "X-Appbuilder-Request-Id"


async def posted(server: LocalServer, path: str, body: Any) -> tuple[int, Any, Any]:
    """Status, headers and JSON of a POST to a path of the host."""
    headers = {"Authorization": "Bearer x"}
    url = URL(server.url + path, encoded=True)
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(url, json=body) as answer,
    ):
        return answer.status, answer.headers, await answer.json()


@pytest.mark.parametrize("slashes", ["/", "//"])
@pytest.mark.parametrize("path", ["api/v1/assistants", "v2/assistants"])
async def test_a_slash_before_the_prefix_may_be_doubled(
    server: LocalServer, slashes: str, path: str
) -> None:
    """A base URL that ends with one is put before paths as it is (appbuilder.md §1.1)."""
    status, _, answer = await posted(server, slashes + path, ASSISTANT)

    assert (status, answer["object"]) == (200, "assistant")


@pytest.mark.parametrize("path", ["/v2//assistants", "/v2/assistants/", "//v2//assistants"])
async def test_other_slashes_count(server: LocalServer, path: str) -> None:
    """They make another path, which there is not; it is refused in the words of its wire."""
    status, _, answer = await posted(server, path, ASSISTANT)

    assert (status, answer["code"]) == (404, "NotFound")


async def test_the_request_s_id_is_where_each_wire_has_it(server: LocalServer) -> None:
    """In a header of good and bad answers, or in the body; every request has one of its own."""
    seen = set()
    for body in (ASSISTANT, ASSISTANT, {"model": 5}):
        _, headers, answer = await posted(server, "/v2/assistants", body)
        assert "request_id" not in answer
        seen.add(headers[REQUEST_ID])
        _, headers, answer = await posted(server, "/api/v1/assistants", body)
        assert REQUEST_ID not in headers
        seen.add(answer["request_id"])

    assert len(seen) == 6


async def test_a_run_is_answered_at_once_or_at_its_rest(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """One wire says that a run was begun, the other what became of it (appbuilder.md §3.8)."""
    async with server.client(AppBuilder) as builder:
        for text, status in (("hi", "completed"), ("/call f", "requires_action")):
            thread = await client.threads.create(messages=[{"role": "user", "content": text}])
            rested = await builder.threads.runs.create(thread.id, assistant_id=assistant_id)
            assert rested.status == status
        other = await client.threads.create(messages=[{"role": "user", "content": "hi"}])
        begun = await client.threads.runs.create(other.id, assistant_id=assistant_id)
        outputs = [ToolOutput(output="1")]
        answered = await builder.threads.runs.submit_tool_outputs(
            thread.id, rested.id, tool_outputs=outputs
        )

    assert (begun.status, answered.status) == ("in_progress", "in_progress")


async def test_the_bytes_of_a_file_are_an_answer_of_their_own(server: LocalServer) -> None:
    """As they were sent, with their type, their name and the request's id; one file a request."""
    data = bytes(range(256)) * 5000
    async with server.client(AppBuilder) as builder:
        file = await builder.files.create(data, filename="a.png")
        headers = {"Authorization": "Bearer x"}
        for way in ("content", "download"):
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.post(
                    f"{server.url}/v2/storage/files/{way}", json={"file_id": file.id}
                ) as answer,
            ):
                assert (answer.status, await answer.read()) == (200, data)
                assert answer.content_type == "image/png"
                assert answer.headers["Content-Disposition"] == "attachment; filename=a.png"
                assert answer.headers[REQUEST_ID]
                assert answer.content_length == len(data)


# --- silence ---


class Gated:
    """An engine that says a word, waits until it is let go on, and says another."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """Two words."""
        del turn
        yield Say("before")
        await self.gate.wait()
        yield Say("after")


async def test_silence_is_filled_with_pings_where_the_wire_has_them() -> None:
    """As long as it lasts; the events come in between, whole and in order."""
    engine = Gated()
    async with (
        asyncio.timeout(30),
        LocalServer(engine=engine, ping_after=0.01) as server,
        server.client(DashScope) as client,
        aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http,
    ):
        made = await client.assistants.create(model="m")
        said: list[MessageParams] = [{"role": "user", "content": "x"}]
        threads = [(await client.threads.create(messages=said)).id for _ in range(2)]
        body = {"assistant_id": made.id, "stream": True}
        silent = f"{server.dashscope_url}/threads/{threads[1]}/runs"
        async with (
            http.post(f"{server.url}/v2/threads/runs", json={**body, "thread_id": threads[0]}) as a,
            http.post(silent, json=body) as b,
        ):
            begun = b""
            while begun.count(b"event: ping") < 3:
                begun += await a.content.readany()
            engine.gate.set()
            pinged, other = begun + await a.read(), await b.read()

    frames = [frame for frame in SSEParser().feed(pinged) if frame.event != "ping"]
    written = [json.loads(frame.data).get("event_type", frame.event) for frame in frames]
    texts = [frame.data for frame in frames if frame.event == "message"]
    assert (written[0], written[-1]) == ("run_begin", "run_end")
    assert [b"before" in text for text in texts] == [True, False]
    assert pinged.index(b"before") < pinged.index(b"ping") < pinged.index(b"after")
    assert b"ping" not in other
    assert b"before" in other
    assert b"after" in other


async def told(*events: Any, ended: asyncio.Event | None = None) -> AsyncGenerator[Any, None]:
    """These events; at an `asyncio.Event` it is waited for, and an exception is raised."""
    try:
        for event in events:
            if isinstance(event, asyncio.Event):
                await event.wait()
            elif isinstance(event, Exception):
                raise event
            else:
                yield event
    finally:
        if ended is not None:
            ended.set()


@pytest.mark.parametrize("patience", [None, 0.001, 60])
async def test_events_are_passed_on_as_they_come(patience: float | None) -> None:
    """However patient one is, none is lost and none comes twice."""
    gate = asyncio.Event()
    seen: list[Any] = []
    async with asyncio.timeout(30):
        async for event in _with_silence(told(1, 2, gate, 3), patience):
            seen.append(event)
            if seen.count(None) == (3 if patience == 0.001 else 0):
                gate.set()

    assert [event for event in seen if event is not None] == [1, 2, 3]
    if patience == 0.001:
        assert seen[2:5] == [None, None, None]
    else:
        assert None not in seen


@pytest.mark.parametrize("patience", [None, 60])
async def test_what_goes_wrong_with_the_events_is_told(patience: float | None) -> None:
    """An error of theirs is passed on, and they are closed."""
    ended = asyncio.Event()
    events = _with_silence(told(1, KeyError("mine"), ended=ended), patience)
    assert await anext(events) == 1  # type: ignore[comparison-overlap]
    with pytest.raises(KeyError, match="mine"):
        await anext(events)
    assert ended.is_set()


@pytest.mark.parametrize("patience", [None, 60, 0.001])
async def test_whoever_leaves_leaves_nothing_behind(patience: float | None) -> None:
    """Closed between two events, and cancelled while it waits for one: the events are closed."""
    for waits in (False, True):
        ended = asyncio.Event()
        events = _with_silence(told(1, asyncio.Event(), ended=ended), patience)
        assert await anext(events) == 1  # type: ignore[comparison-overlap]
        if waits:
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        async with asyncio.timeout(10):
            await events.aclose()
        assert ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
