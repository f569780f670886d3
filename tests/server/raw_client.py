"""A client that takes an answer as the bytes that came, and says how the connection ended.

It reads from a blocking socket in a thread: asyncio drops what it has read once there is a reset.
"""

import asyncio
import json
import re
import socket
from typing import Any, NamedTuple

from aiodashassist.server import LocalServer

SAFETY = 30  # seconds; nothing here takes one
VARYING = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b\d{13}\b|Date: [^\r]*"
)


class Came(NamedTuple):
    """What came, and whether the connection was reset rather than closed."""

    data: bytes
    reset: bool

    @property
    def head(self) -> bytes:
        """Up to the empty line, with it."""
        return self.data[: self.data.index(b"\r\n\r\n") + 4]

    @property
    def body(self) -> bytes:
        """All after the head, as it came."""
        return self.data[len(self.head) :]

    @property
    def status(self) -> int:
        """The status of the answer; 0 where there is none."""
        return int(self.data.split(b" ")[1]) if self.data else 0

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def asking(
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    keep: bool = False,
    host: str = "localhost",
) -> bytes:
    """A whole request; the connection is to be closed after it, unless it is to be kept."""
    raw = json.dumps(body).encode() if body is not None else b""
    lines = [
        f"{method} {path} HTTP/1.1", f"Host: {host}", "Authorization: Bearer x",
        f"Content-Length: {len(raw)}", f"Connection: {'keep-alive' if keep else 'close'}",
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + raw


def connected(server: LocalServer) -> socket.socket:
    """A blocking connection to the server."""
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), SAFETY)


def read_all(connection: socket.socket) -> Came:
    """All that comes until the connection ends."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        return Came(data, reset=True)
    return Came(data, reset=False)


def read_until(connection: socket.socket, words: bytes, count: int = 1) -> bytes:
    """What comes until these words came so often, and whatever came with them."""
    data = b""
    while data.count(words) < count:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


async def came(server: LocalServer, request: bytes) -> Came:
    """The answer to one request on a connection of its own."""

    def ask() -> Came:
        with connected(server) as connection:
            connection.sendall(request)
            return read_all(connection)

    return await asyncio.to_thread(ask)


def chunks(body: bytes) -> tuple[list[bytes], bytes]:
    """The chunks of a body, and what is left once they are no longer whole."""
    found = []
    while (end := body.find(b"\r\n")) > 0:
        size = int(body[:end], 16)
        if size == 0 or len(body) < end + 2 + size + 2:
            break
        found.append(body[end + 2 : end + 2 + size])
        assert body[end + 2 + size :].startswith(b"\r\n")
        body = body[end + 2 + size + 2 :]
    return found, body


LAST = b"0\r\n\r\n"
"""The end of a body in chunks."""


def same(one: bytes, other: bytes) -> bool:
    """Whether two answers are the same but for ids, times and the date; one may be cut off."""
    if len(one) > len(other):
        return False
    masked = bytearray(one)
    for varying in VARYING.finditer(other):
        part = slice(varying.start(), min(varying.end(), len(one)))
        masked[part] = other[part]
    return bytes(masked) == other[: len(one)]


RUNS = {"dashscope": "/api/v1/threads/runs", "appbuilder": "/v2/threads/runs"}
"""Wire -> where a run is begun together with its thread."""
ASSISTANTS = {"dashscope": "/api/v1/assistants", "appbuilder": "/v2/assistants"}


def running(
    wire: str, assistant_id: str, text: str, *, stream: bool = True, keep: bool = False
) -> bytes:
    """A request that begins a thread and a run on it."""
    thread = {"messages": [{"role": "user", "content": text}]}
    body = {"assistant_id": assistant_id, "stream": stream, "thread": thread}
    return asking(RUNS[wire], body, keep=keep)
