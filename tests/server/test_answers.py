"""Answers on their way out: what stands instead of the work, and files that are gone."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from aiodashassist import AppBuilder
from aiodashassist.core.models import Assistant
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server import Html, LocalServer, Refuse, Slow
from tests.server.raw_client import ASSISTANTS, SAFETY, asking, came, connected, running

WIRES = ("dashscope", "appbuilder")
MADE = {"model": "m", "name": "n"}


def made(server: LocalServer) -> tuple[Assistant, ...]:
    """The assistants on the server."""
    return server.store.all("", Assistant)


CODES = {
    ("dashscope", 408): "RequestTimeOut",
    ("dashscope", 429): "Throttling",
    ("dashscope", 500): "InternalError",
    ("dashscope", 503): "ModelUnavailable",
    ("dashscope", 504): "InternalError",
    ("appbuilder", 408): "RequestTimeout",
    ("appbuilder", 429): "TooManyRequests",
    ("appbuilder", 500): "InternalServerError",
    ("appbuilder", 503): "ServiceUnavailable",
    ("appbuilder", 599): "InternalServerError",
}


@pytest.mark.parametrize(("wire", "status"), CODES)
@pytest.mark.parametrize("retry_after", [None, "3", "Wed, 21 Oct 2026 07:28:00 GMT", "-1 \u20ac"])
async def test_a_refusal_is_the_wire_s_own(
    server: LocalServer, wire: str, status: int, retry_after: str | None
) -> None:
    """Its envelope and code, `Retry-After` to the letter or not at all; nothing is done."""
    fault = Refuse(status=status, retry_after=retry_after)
    server.faults.add(fault)
    reply = await came(server, asking(ASSISTANTS[wire], MADE))

    said = {
        line.split(": ")[0]: line.split(": ", 1)[-1] for line in reply.head.decode().split("\r\n")
    }
    assert (reply.status, said["Content-Type"]) == (status, "application/json")
    assert said.get("Retry-After") == retry_after
    assert reply.json["code"] == CODES[wire, status]
    assert reply.json["message"]
    assert reply.json["request_id" if wire == "dashscope" else "requestId"]
    assert made(server) == ()
    assert server.faults.done == [("CreateAssistant", fault)]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [200, 404, 502])
async def test_html_is_what_gateways_say(server: LocalServer, wire: str, status: int) -> None:
    """A page, where JSON or a stream was asked for; nothing is done."""
    server.faults.add(Html(status=status))
    for request in (asking(ASSISTANTS[wire], MADE), running(wire, "a", "hi")):
        reply = await came(server, request)
        assert reply.status == status
        assert b"Content-Type: text/html" in reply.head
        assert reply.body.startswith(b"<html>")

    assert made(server) == ()
    assert [name for name, _ in server.faults.done] == ["CreateAssistant", "CreateThreadAndRun"]


async def test_a_file_whose_bytes_are_gone_is_a_fault_of_the_server(
    server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told before anything is sent: 500 in the words of the wire, and why in the log."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with server.client(AppBuilder) as builder:
        file = await builder.files.create(b"abc", filename="a.txt")
    remove_all(tmp_path)
    reply = await came(server, asking("/v2/storage/files/download", {"file_id": file.id}))

    assert (reply.status, reply.json["code"]) == (500, "InternalServerError")
    assert "FileNotFoundError" in caplog.text


def remove_all(folder: Path) -> None:
    """Delete the files in all folders below."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


async def test_a_file_is_closed_when_nobody_waits_for_it(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """One that was opened for an answer of which not a byte was sent."""
    async with server.client(AppBuilder) as builder:
        file = await builder.files.create(b"abc", filename="a.txt")
    server.faults.add(Slow(operation="DownloadFile", seconds=1000))
    before = asyncio.all_tasks()
    with connected(server) as connection:
        connection.sendall(asking("/v2/storage/files/download", {"file_id": file.id}))
        async with asyncio.timeout(SAFETY):
            while not server.faults.done:
                await asyncio.sleep(0)
    async with asyncio.timeout(SAFETY):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


@pytest.mark.parametrize("wire", WIRES)
async def test_a_fault_of_ours_while_a_request_is_read_is_a_500(
    server: LocalServer,
    wire: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, told in the words of the wire and without what it was; faults do not see it."""

    def fail(*_: object) -> None:
        raise RuntimeError("inner secret")

    server.faults.add(Refuse())
    for service in (DashScopeService, AppBuilderService):
        monkeypatch.setattr(service, "parse", fail)
    reply = await came(server, asking(ASSISTANTS[wire], MADE))

    assert (reply.status, reply.json["code"]) == (500, CODES[wire, 500])
    assert b"secret" not in reply.data
    assert "inner secret" in caplog.text
    assert server.faults.done == []
