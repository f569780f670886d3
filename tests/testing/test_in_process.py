"""tests/in_process.py: the server without sockets does what the server does."""

import asyncio
import json
from contextlib import nullcontext
from typing import Any

import aiohttp
import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    DashScope,
    DecodeError,
    MessageDelta,
    NotFound,
    Retry,
    TransportError,
)
from aiodashassist.core.models import Run, Thread
from aiodashassist.core.operations import CreateRun, CreateThread, Operation
from aiodashassist.server import LocalServer
from aiodashassist.testing import record
from tests.in_process import Break, Dropped, Fault, InProcess, Lost, Status
from tests.testing.conversations import KINDS, Client, talk

ONCE = Retry(attempts=1, reconcile=False)
LENGTHS: dict[type[Client], int] = {DashScope: 163, AppBuilder: 111}
"""Bytes of a new thread."""


def shape(value: Any) -> Any:
    """A JSON value with every text and number as its size: ids and times are others each time."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return len(str(value))


def frames(body: bytes) -> list[Any]:
    """What an answer says, frame by frame."""
    lines = body.decode().split("\n")
    found = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [shape(json.loads(one)) if one != "[DONE]" else one for one in found] or [
        shape(json.loads(body))
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_answers_as_the_server_does(kind: type[Client], server: LocalServer) -> None:
    """Requests, statuses, types and bodies are those of the server, and so is the result."""
    found, results = [], []
    async with InProcess() as harness:
        for client in (server.client(kind), harness.client(kind)):
            async with client:
                with record(client) as cassette:
                    _, result = await talk(client)
                    with pytest.raises(NotFound):
                        await client.threads.retrieve("none")
            results.append(result.text)
            exchanges = [(one.request, one.answer) for one in cassette.exchanges]
            found.append(
                [
                    (
                        request.operation,
                        answer and answer.status,
                        answer and answer.headers["Content-Type"].replace("; charset=utf-8", ""),
                        answer and frames(answer.body.data),
                    )
                    for request, answer in exchanges
                ]
            )

    assert found[0] == found[1]
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_has_the_same_length_each_time(kind: type[Client]) -> None:
    """A run of the same words is as long in bytes, an event a chunk, so that it can be swept."""
    lengths = []
    for _ in range(2):
        async with InProcess() as harness, harness.client(kind) as client:
            await talk(client)
            lengths.append([(one.name, one.sizes) for one in harness.exchanges])
            assert all(one.whole for one in harness.exchanges)
            assert next(one.name for one in harness.exchanges if one.stream) == "CreateRun"

    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_left_open(kind: type[Client]) -> None:
    """After a conversation all answers are closed, and no run and no stream is under way."""
    async with InProcess() as harness, harness.client(kind) as client:
        await talk(client)
        await asyncio.sleep(0)
        assert not harness.unclosed
        assert not harness.pumps
        assert not harness.live_runs


async def test_what_is_left_open_is_told() -> None:
    """A stream that is open is counted, and no more once it was left."""
    async with InProcess() as harness, harness.client(DashScope) as client:
        assistant = await client.assistants.create(model="m")
        stream = client.stream("/say one\n/wait 60", assistant_id=assistant.id)
        async with stream:
            async for event in stream:
                if isinstance(event, MessageDelta):
                    break
            assert [one.name for one in harness.unclosed] == ["CreateRun"]
            assert harness.pumps == len(harness.live_runs) == 1
        await asyncio.sleep(0)
        assert not harness.unclosed
        assert not harness.pumps
        assert not harness.live_runs


async def asked(fault: Fault, kind: type[Client] = DashScope) -> InProcess:
    """A harness after a thread was asked for, once, and this happened."""

    def strike(operation: Operation[Any], index: int) -> Fault | None:
        assert index == 0
        return fault if isinstance(operation, CreateThread) else None

    async with InProcess() as harness, harness.client(kind, retry=ONCE) as client:
        harness.fault = strike
        await client.threads.create()
        return harness


async def test_a_lost_answer_is_lost_after_the_work() -> None:
    """`Lost` and `Dropped` look the same to the client; only the first did the work."""
    made = []
    for fault in (Lost(), Dropped()):
        async with InProcess() as harness, harness.client(DashScope, retry=ONCE) as client:
            harness.fault = lambda _operation, _index, fault=fault: fault  # type: ignore[misc]
            with pytest.raises(TransportError, match="Server disconnected"):
                await client.threads.create()
            made.append(len(harness.store.all("", Thread)))
            assert not harness.unclosed

    assert made == [1, 0]


async def test_an_error_can_be_chosen() -> None:
    """The error of a fault is made when it strikes, by whatever was given."""
    with pytest.raises(TransportError, match="reset by the test"):
        await asked(Lost(error=lambda: ConnectionResetError("reset by the test")))


@pytest.mark.parametrize(("done", "threads"), [(False, 0), (True, 1)])
async def test_a_status_instead(done: bool, threads: int) -> None:
    """A status comes instead of the work, or after it, with the given headers and body."""
    async with InProcess() as harness, harness.client(DashScope, retry=ONCE) as client:
        fault = Status(status=429, headers={"Retry-After": "7"}, done=done)
        harness.fault = lambda _operation, _index: fault
        with pytest.raises(APIError) as caught:
            await client.threads.create()
        assert len(harness.store.all("", Thread)) == threads

    assert (caught.value.status, caught.value.retry_after) == (429, 7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [None, aiohttp.ClientPayloadError])
async def test_a_body_breaks_after_any_byte(kind: type[Client], error: Any) -> None:
    """A body stops after exactly so many bytes, with an error or as if it were whole."""
    for after in range(5):
        with pytest.raises(TransportError if error else DecodeError):
            await asked(Break(after=after, error=error), kind)
    with pytest.raises(TransportError) if error else nullcontext():
        await asked(Break(after=LENGTHS[kind], error=error), kind)
    await asked(Break(after=LENGTHS[kind] + 1, error=error), kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_breaks_after_any_byte(kind: type[Client]) -> None:
    """A stream gives so many bytes and no more; the run goes on without it."""
    async with InProcess() as harness, harness.client(kind) as client:
        assistant = await client.assistants.create(model="m", name="n")
        thread = await client.threads.create()
        for after in (0, 1, 700, 1 << 20):
            await client.threads.messages.create(thread.id, "one two three")
            harness.fault = lambda operation, _index, after=after: (  # type: ignore[misc]
                Break(after=after) if isinstance(operation, CreateRun) else None
            )
            body = await client._session.open(
                CreateRun(thread_id=thread.id, params={"assistant_id": assistant.id}, stream=True)
            )
            read = b""
            with pytest.raises(TransportError) if after < 1 << 20 else nullcontext():
                while piece := await body.read():  # type: ignore[union-attr]
                    read += piece
            body.close()  # type: ignore[union-attr]
            exchange = harness.exchanges[-1]
            assert len(read) == exchange.length
            assert exchange.whole == (after == 1 << 20)
            assert exchange.length == after or exchange.whole
            run = harness.store.all("", Run, thread.id)[-1]
            while harness.live_runs:
                await asyncio.sleep(0)
            assert harness.store.get("", Run, run.id, thread.id).status == "completed"
