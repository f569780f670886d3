"""What a client is, whichever: its key, its end, its loop."""

import asyncio

import pytest

from aiodashassist import (
    AssistantsClient,
    AuthenticationError,
    LocalProtocolError,
)
from aiodashassist.server import LocalServer
from tests.providers.test_contract import Kind


async def test_a_wrong_key_is_an_authentication_error(kind: Kind) -> None:
    """For a call and for a stream; the key is not in the error."""
    async with (
        LocalServer(api_key="the-right-key") as server,
        server.client(kind, api_key="a-wrong-key") as client,
    ):
        with pytest.raises(AuthenticationError) as of_call:
            await client.threads.create()
        with pytest.raises(AuthenticationError) as of_stream:
            async with client.threads.runs.stream("t", assistant_id="a") as stream:
                await stream.result()

    for caught in (of_call, of_stream):
        assert "a-wrong-key" not in repr(caught.value)
        assert caught.value.request_id


async def test_a_closed_client_says_so(server: LocalServer, kind: Kind) -> None:
    """Whatever is asked of it; closing it twice is no error."""
    client: AssistantsClient = server.client(kind)
    await client.threads.create()
    await client.close()
    await client.close()

    with pytest.raises(LocalProtocolError, match="closed"):
        await client.threads.create()
    with pytest.raises(LocalProtocolError, match="closed"):
        await client.ask("x", assistant_id="a")


async def test_a_client_belongs_to_one_loop(client: AssistantsClient) -> None:
    """From a second event loop it says "loop", and it goes on in its own."""
    await client.threads.create()

    async def elsewhere() -> None:
        with pytest.raises(LocalProtocolError, match="loop"):
            await client.threads.create()

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert (await client.threads.create()).id
