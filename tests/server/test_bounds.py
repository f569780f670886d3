"""Bodies that are too large, too deep or broken, on both wires: refused, and the next is served."""

import asyncio
import gzip
import logging
from typing import Any

import pytest

from aiodashassist.core.models import Assistant
from aiodashassist.server import LocalServer
from tests.server.raw_client import ASSISTANTS, Came, asking, came, connected, read_all

MIB = 1 << 20
WIRES = ("dashscope", "appbuilder")
GOOD = {"model": "m", "name": "n"}
DEEP = b"[" * 100_000 + b"]" * 100_000
BROKEN = {
    "broken": b"{broken",
    "half": b'{"model":',
    "two": b"{}{}",
    "deep": DEEP,
    "deep inside": b'{"model":"m","name":"n","metadata":{"a":%b}}' % DEEP,
    "open": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "not UTF-8": b'{"model":"\xff","name":"n"}',
}


def with_body(wire: str, body: bytes, *headers: str) -> bytes:
    """A request with these bytes as body."""
    head = asking(ASSISTANTS[wire]).replace(b"Content-Length: 0\r\n", b"")
    if not any("chunked" in header for header in headers):
        headers = (*headers, f"Content-Length: {len(body)}")
    return head[:-2] + "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + body


def chunked(size: int) -> bytes:
    """A body of so many bytes in chunks, with its end."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    return chunk * (size // 65536) + b"0\r\n\r\n"


LARGE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "with its length": (b" " * (16 * MIB + 1), ()),
    "in chunks": (chunked(17 * MIB), ("Transfer-Encoding: chunked",)),
    "packed": (gzip.compress(b" " * 64 * MIB), ("Content-Encoding: gzip",)),
    "packed, in chunks": (
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed := gzip.compress(b" " * 64 * MIB)), packed),
        ("Content-Encoding: gzip", "Transfer-Encoding: chunked"),
    ),
}


async def check_alive(server: LocalServer, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was made, nothing was logged as an error, and a good request is served."""
    assert server.store.all("", Assistant) == ()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert (await came(server, asking(ASSISTANTS[wire], GOOD))).json["object"] == "assistant"


def error_of(reply: Came, wire: str) -> Any:
    """The error of an answer, from the envelope that its wire has for it."""
    if wire == "appbuilder" and reply.status == 200:  # its own, with 200 (appbuilder.md §6.1)
        assert reply.json.keys() == {"error"}
        return reply.json["error"]
    assert reply.json.keys() == {
        "code", "message", "request_id" if wire == "dashscope" else "requestId",
    }  # fmt: skip
    return reply.json


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", LARGE)
async def test_a_body_of_more_than_16_mib_is_refused(
    server: LocalServer, wire: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """413, whether its length is told or not, and unpacked where it is packed."""
    body, headers = LARGE[name]
    reply = await came(server, with_body(wire, body, *headers))

    assert reply.status == 413
    assert error_of(reply, wire)["code"] == "RequestTooLarge"
    await check_alive(server, wire, caplog)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_body_without_end_is_not_read_to_its_end(
    server: LocalServer, wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it has come to 16 MiB it is refused, though more is still to come."""
    unfinished = with_body(wire, chunked(17 * MIB)[:-5], "Transfer-Encoding: chunked")

    def ask() -> Came:
        with connected(server) as connection:
            connection.sendall(unfinished)
            head = connection.recv(65536)  # while the body goes on
            connection.sendall(b"0\r\n\r\n")
            return Came(head + read_all(connection).data, reset=False)

    reply = await asyncio.to_thread(ask)
    assert reply.status == 413
    await check_alive(server, wire, caplog)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", BROKEN)
async def test_a_body_that_cannot_be_read_is_the_documented_error(
    server: LocalServer, wire: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """400 on DashScope's wire (§6.3); on AppBuilder's its envelope for errors, which has 200."""
    reply = await came(server, with_body(wire, BROKEN[name]))
    error = error_of(reply, wire)

    expected = (400, "InvalidParameter") if wire == "dashscope" else (200, "invalid_parameter")
    assert (reply.status, error["code"]) == expected
    assert len(error["message"]) < 1000
    await check_alive(server, wire, caplog)
