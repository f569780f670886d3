"""How runs end that do not complete, for every client."""

from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AssistantsClient,
    MessageDelta,
    MessageEvent,
    RunCancelled,
    RunError,
    RunEvent,
    RunExpired,
    RunFailed,
    RunIncomplete,
)
from aiodashassist.core.models import TERMINAL
from tests.providers.test_contract import a_thread, status_of

ENDINGS: list[tuple[str, tuple[type[RunError], ...]]] = [
    ("/fail server_error too 热", (RunFailed,)),
    ("/expire", (RunExpired,)),
    ("/incomplete", (RunIncomplete, RunFailed)),  # AppBuilder knows no such end
]


@pytest.mark.parametrize(("line", "errors"), ENDINGS, ids=["fail", "expire", "incomplete"])
async def test_a_bad_end_is_told_and_raised(
    client: AssistantsClient,
    assistant_id: str,
    line: str,
    errors: tuple[type[RunError], ...],
) -> None:
    """The events tell it, `result` raises it, with the text before it and where it was."""
    async with client.stream(f"/say half\n{line}", assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        with pytest.raises(errors) as caught:
            await stream.result()
    error, last = caught.value, events[-1]

    assert isinstance(last, RunEvent)
    assert last.status == error.status in TERMINAL
    assert (error.text, error.run_id, error.thread_id) == ("half", last.run.id, last.run.thread_id)
    assert error.request_id
    assert await status_of(client, error.thread_id, error.run_id) == error.status
    ends = [e.message for e in events if isinstance(e, MessageEvent) and e.status != "in_progress"]
    assert [message.text for message in ends] == ["half"]
    if line.startswith("/fail"):
        assert "server_error: too 热" in str(error)


async def test_a_cancelled_run_ends_its_stream(client: AssistantsClient, assistant_id: str) -> None:
    """`cancel` in mid-stream: the stream goes on to `cancelled`; `result` raises RunCancelled."""
    statuses: list[str] = []
    async with client.stream("/say begun\n/wait 30", assistant_id=assistant_id) as stream:
        async for event in stream:
            if isinstance(event, MessageDelta) and "cancelled" not in statuses:
                await stream.cancel()
            if isinstance(event, RunEvent):
                statuses.append(event.status)
        with pytest.raises(RunCancelled) as caught:
            await stream.result()

    assert statuses[-1] == "cancelled"
    assert statuses.count("cancelled") == 1
    assert caught.value.text
    again = await client.threads.runs.cancel(
        caught.value.thread_id or "", caught.value.run_id or ""
    )
    assert again.status == "cancelled"


@pytest.mark.parametrize(("on_exit", "status"), [("cancel", "cancelled"), ("leave", "in_progress")])
async def test_leaving_early(
    client: AssistantsClient, assistant_id: str, on_exit: Any, status: str
) -> None:
    """Who leaves the block cancels the remote run, unless `on_exit` is "leave"."""
    async with client.stream(
        "/say begun\n/wait 30", assistant_id=assistant_id, on_exit=on_exit
    ) as stream:
        async for _ in stream.text_stream:
            break
        run = stream.snapshot.run
    assert run is not None

    assert await status_of(client, run.thread_id, run.id) == status


async def test_a_busy_thread_is_refused(client: AssistantsClient, assistant_id: str) -> None:
    """A second run on a thread is refused while the first is active, and welcome afterwards."""
    thread_id = await a_thread(client, "/say begun\n/wait 30")
    params: Any = {"assistant_id": assistant_id}
    async with client.threads.runs.stream(thread_id, **params) as stream:
        await anext(stream)
        with pytest.raises(APIError, match="active run"):
            await client.threads.runs.create(thread_id, **params)
        with pytest.raises(APIError, match="active run"):
            async with client.threads.runs.stream(thread_id, **params) as other:
                await other.result()
        await stream.cancel()
    await client.threads.messages.create(thread_id, "/say free")
    async with client.threads.runs.stream(thread_id, **params) as stream:
        assert (await stream.result()).text == "free"
