"""Clients of servers that answer whatever a test says: what asks them, and what comes of it."""

import asyncio
import json
from typing import Any

import pytest

from aiodashassist import Client, DashScope
from aiodashassist.body import Body
from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.errors import (
    AssistError,
    OutcomeUnknown,
)
from tests.raw_server import RawServer, Received, Writer, answering, whole
from tests.retrying import ONCE

KEY = "sk-very-secret-0123456789"
THREAD = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{},"request_id":"req"}'
OPERATION = ops.UpdateThread(thread_id="thread_1", params={"metadata": {}})
RUN = ops.CreateRun(thread_id="thread_1", params={"assistant_id": "a"}, stream=True)


def made(url: str, **options: Any) -> DashScope:
    """A client of a raw server; it asks once."""
    return DashScope(KEY, base_url=url + "/api/v1", **{"retry": ONCE, **options})


def session_of(client: Client) -> Session:
    """The client's session, to ask it operations directly."""
    return client._session


async def silent(_request: Received, _writer: Writer) -> None:
    """Answers nothing, for ever."""
    await asyncio.Event().wait()


async def opened(session: Session) -> Body:
    """A stream that the service has begun."""
    body = await session.open(RUN)
    assert isinstance(body, Body)
    return body


async def read_all(session: Session) -> None:
    """Open a stream and read it to its end."""
    body = await opened(session)
    try:
        while await body.read():
            pass
    finally:
        body.close()


def lost_by(error: BaseException) -> BaseException | None:
    """How the answer was lost, where nobody knows what became of the request."""
    assert type(error) is OutcomeUnknown
    return error.__cause__


async def failure(answer: Any, operation: Any = OPERATION, **options: Any) -> AssistError:
    """The error that a call ends in when the service answers so; the client works afterwards."""
    answers = [answer, answering(whole(THREAD))]

    async def first_then_good(request: Received, writer: Writer) -> None:
        await (answers.pop(0) if len(answers) > 1 else answers[0])(request, writer)

    async with RawServer(first_then_good) as server, made(server.url, **options) as client:
        session = session_of(client)
        with pytest.raises(AssistError) as caught:
            await (read_all(session) if operation is RUN else session.call(operation))
        later = made(server.url, session=session.pool.http())
        assert (await later.threads.retrieve("thread_1")).id == "thread_1"
    return caught.value


def refusal(status: str, code: str, message: str) -> Any:
    """An error answer of the service."""
    body = json.dumps({"code": code, "message": message, "request_id": "req"}).encode()
    return answering(whole(body, status))


INTERIM = ["100 Continue", "103 Early Hints"]


def interim(status: str) -> Any:
    """Answers with what is no answer yet, and then with nothing."""
    return answering(f"HTTP/1.1 {status}\r\n\r\n".encode())


def below(error: BaseException) -> list[BaseException]:
    """All that hangs on an error."""
    found: list[BaseException] = []
    rest = [error.__cause__, error.__context__]
    while rest:
        one = rest.pop()
        if one is not None and one not in found:
            found.append(one)
            rest += [one.__cause__, one.__context__]
    return found


ENVELOPE = (
    b'{"error":{"code":"not_found","message":"There is no such thread.","type":"x","param":null}}'
)
