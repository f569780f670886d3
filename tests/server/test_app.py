"""The local server's HTTP: authentication, workspaces, errors and streams on the wire."""

import asyncio
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiodashassist import AuthenticationError, DashScope, NotFound, UnsupportedOperation
from aiodashassist.server import LocalServer
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
    writer.write(b"POST /api/v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n")
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
