"""Streams that are kept alive while nothing happens, for every client whose wire has pings."""

import asyncio
import threading
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
from aiohttp import web

from aiodashassist import AssistantsClient, ToolOutput, tool
from aiodashassist.server import LocalServer
from tests.providers.test_contract import CLIENTS, PATIENCE, Kind, an_assistant, folder

PINGS = 3  # that come while something is slow


def ping_of(kind: Kind) -> bytes:
    """What the local server sends on this client's wire when it is silent for long."""
    module = import_module(f"aiodashassist.providers.{folder(kind)}.serve")
    services = [thing for thing in vars(module).values() if hasattr(thing, "ping")]
    (service,) = [thing for thing in services if thing.__module__ == module.__name__]
    return bytes(service.ping)


class Watch:
    """Counts the pings that the server sends, and can be waited for, from threads too."""

    def __init__(self, ping: bytes) -> None:
        self.enough = asyncio.Event()
        self.enough_here = threading.Event()
        self._ping = ping
        self._sent = 0

    def see(self, data: bytes) -> None:
        """Something is sent."""
        self._sent += data == self._ping
        if self._sent >= PINGS:
            self.enough.set()
            self.enough_here.set()


@pytest.fixture(params=[k for k in CLIENTS if ping_of(k)], ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each client whose wire has pings."""
    return request.param


@pytest.fixture
async def watch(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Of what the server sends."""
    watch = Watch(ping_of(kind))
    write = web.StreamResponse.write

    async def watched(self: web.StreamResponse, data: Any) -> None:
        await write(self, data)
        watch.see(bytes(data))

    monkeypatch.setattr(web.StreamResponse, "write", watched)
    return watch


@pytest.fixture
async def client(kind: Kind) -> AsyncIterator[AssistantsClient]:
    """A client of a server that cannot bear silence."""
    async with LocalServer(ping_after=0.01) as server, server.client(kind) as made:
        yield made


async def test_pings_come_while_tools_are_slow(client: AssistantsClient, watch: Watch) -> None:
    """An async tool, a plain one and an approval take their time; the text is not touched."""

    @tool
    async def slow() -> str:
        """Take longer than a few pings."""
        async with asyncio.timeout(PATIENCE):
            await watch.enough.wait()
        return "slow"

    @tool
    def slow_too() -> str:
        """The same in a thread."""
        return "slow too" if watch.enough_here.wait(PATIENCE) else ""

    async def approve(_call: object) -> bool:
        async with asyncio.timeout(PATIENCE):
            await watch.enough.wait()
        return True

    question = "/say 你好\n/call slow\n/call slow_too\n/then\n/say done"
    assistant_id = await an_assistant(client)
    result = await client.ask(
        question, assistant_id=assistant_id, tools=[slow, slow_too], approve=approve
    )

    assert [call.output for call in result.tool_calls] == ["slow", "slow too"]
    assert result.text == "你好done"


async def test_pings_come_while_the_user_is_slow(client: AssistantsClient, watch: Watch) -> None:
    """Calls that are left to the caller are answered long after, and the run goes on."""
    assistant_id = await an_assistant(client)
    async with client.stream("/call f", assistant_id=assistant_id) as stream:
        async for _ in stream:
            pass
        async with asyncio.timeout(PATIENCE):
            await watch.enough.wait()
        await stream.submit([ToolOutput(output="late")])
        result = await stream.result()

    assert result.text == "f -> late"


async def test_pings_say_nothing(client: AssistantsClient, watch: Watch) -> None:
    """Between two pieces of text they are no events; cancelling ends the silence."""
    assistant_id = await an_assistant(client)
    async with client.stream("/say x\n/wait 30", assistant_id=assistant_id) as stream:
        first = await anext(stream.text_stream)
        reading = asyncio.create_task(anext(stream))
        async with asyncio.timeout(PATIENCE):
            await watch.enough.wait()
        assert not reading.done()
        await stream.cancel()
        await reading

    assert first == "x"
