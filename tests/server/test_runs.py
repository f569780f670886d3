"""The runs of the local server: they go on by themselves, and rest as the protocol says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from aiodashassist import APIError, DashScope, Run, RunEvent, RunParams, ToolOutput
from aiodashassist.core.models import TERMINAL
from aiodashassist.server import LocalServer
from aiodashassist.server.engines import Move, Say, Turn
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.runs import Runs
from aiodashassist.server.store import Store


async def begun(client: DashScope, assistant_id: str, text: str) -> Run:
    """A run that nobody listens to."""
    return await client.threads.create_and_run(
        assistant_id=assistant_id, thread={"messages": [{"role": "user", "content": text}]}
    )


async def rested(client: DashScope, run: Run) -> Run:
    """The run as soon as it rests."""
    async with asyncio.timeout(10):
        while run.status not in TERMINAL | {"requires_action"}:
            await asyncio.sleep(0)
            run = await client.threads.runs.retrieve(run.thread_id or "", run.id)
    return run


async def test_a_run_goes_on_without_a_listener(client: DashScope, assistant_id: str) -> None:
    """Created without a stream, it completes, with its message, steps and usage."""
    run = await begun(client, assistant_id, "你好")
    assert run.status == "in_progress"
    done = await rested(client, run)

    assert done.status == "completed"
    assert done.completed_at is not None
    assert done.usage is not None
    assert done.usage.total_tokens == 3
    thread_id = done.thread_id or ""
    newest = (await client.threads.messages.list(thread_id)).data[0]
    assert (newest.text, newest.role, newest.run_id) == ("你好", "assistant", run.id)
    steps = (await client.threads.runs.steps.list(thread_id, run.id)).data
    assert [(step.type, step.status) for step in steps] == [("message_creation", "completed")]


async def test_a_client_that_leaves_does_not_stop_its_run(
    client: DashScope, assistant_id: str
) -> None:
    """A stream that is left with `on_exit="leave"` changes nothing for its run."""
    async with client.stream("x" * 400, assistant_id=assistant_id, on_exit="leave") as stream:
        await anext(stream)
        run = stream.snapshot.run
    assert run is not None

    assert (await rested(client, run)).status == "completed"


async def test_outputs_of_a_polled_run_let_it_go_on(client: DashScope, assistant_id: str) -> None:
    """Without streams: poll, submit by id or by order, poll again."""
    run = await rested(client, await begun(client, assistant_id, "/call a\n/call b"))
    first, second = run.tool_calls
    thread_id = run.thread_id or ""
    outputs = [
        ToolOutput(tool_call_id=second.id, output="2"),
        ToolOutput(tool_call_id="", output="1"),
    ]
    answered = await client.threads.runs.submit_tool_outputs(
        thread_id, run.id, tool_outputs=outputs
    )
    done = await rested(client, answered)

    assert first.id != second.id
    assert answered.status == "in_progress"
    assert answered.required_action is not None
    assert answered.tool_calls == ()
    assert done.status == "completed"
    assert (await client.threads.messages.list(thread_id)).data[0].text == "a -> 1\nb -> 2"


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_anything_but_one_output_a_call_is_refused(
    client: DashScope, assistant_id: str, count: int
) -> None:
    """Partial and surplus outputs are refused, and the run still waits."""
    run = await rested(client, await begun(client, assistant_id, "/call a\n/call b"))
    outputs = [ToolOutput(output="x")] * count
    with pytest.raises(APIError):
        await client.threads.runs.submit_tool_outputs(
            run.thread_id or "", run.id, tool_outputs=outputs
        )

    assert (await rested(client, run)).status == "requires_action"


async def test_outputs_for_a_run_that_does_not_wait_are_refused(
    client: DashScope, assistant_id: str
) -> None:
    """Submitting twice, or to a run that has ended, says what its status is."""
    run = await rested(client, await begun(client, assistant_id, "done"))
    with pytest.raises(APIError, match="it is completed"):
        await client.threads.runs.submit_tool_outputs(
            run.thread_id or "", run.id, tool_outputs=[ToolOutput(output="x")]
        )


async def test_a_busy_thread_refuses_a_second_run(client: DashScope, assistant_id: str) -> None:
    """One active run a thread; the refusal says which, and adds no message."""
    run = await begun(client, assistant_id, "/wait 30")
    params: RunParams = {
        "assistant_id": assistant_id,
        "additional_messages": [{"role": "user", "content": "no"}],
    }
    thread_id = run.thread_id or ""
    with pytest.raises(APIError, match=f"active run: {run.id}"):
        await client.threads.runs.create(thread_id, **params)
    assert len((await client.threads.messages.list(thread_id)).data) == 1

    await client.threads.runs.cancel(thread_id, run.id)
    assert (await client.threads.runs.create(thread_id, **params)).status == "in_progress"


async def test_cancelling_twice_is_no_error_and_an_ended_run_stays(
    client: DashScope, assistant_id: str
) -> None:
    """A cancelled run is answered as it is; one that completed cannot be cancelled."""
    run = await begun(client, assistant_id, "/say x\n/wait 30")
    thread_id = run.thread_id or ""
    first = await client.threads.runs.cancel(thread_id, run.id)
    second = await client.threads.runs.cancel(thread_id, run.id)
    done = await rested(client, await begun(client, assistant_id, "done"))

    assert first.status == second.status == "cancelled"
    assert first.cancelled_at is not None
    with pytest.raises(APIError, match="it is completed"):
        await client.threads.runs.cancel(done.thread_id or "", done.id)


async def test_a_waiting_run_expires() -> None:
    """`requires_action` does not wait for ever: run and step expire."""
    async with LocalServer(expire_after=0.01) as server, server.client(DashScope) as client:
        assistant = await client.assistants.create(model="m")
        run = await rested(client, await begun(client, assistant.id, "/call a"))
        async with asyncio.timeout(10):
            while run.status != "expired":
                await asyncio.sleep(0)
                run = await client.threads.runs.retrieve(run.thread_id or "", run.id)
        steps = (await client.threads.runs.steps.list(run.thread_id or "", run.id)).data

    assert steps[0].status == "expired"
    assert steps[0].expired_at is not None


async def test_deleting_a_thread_ends_its_run(client: DashScope, assistant_id: str) -> None:
    """A thread goes with the run that is active on it."""
    run = await begun(client, assistant_id, "/wait 30")
    await client.threads.delete(run.thread_id or "")

    with pytest.raises(APIError, match="thread has been deleted"):
        await client.threads.runs.retrieve(run.thread_id or "", run.id)


async def test_metadata_of_a_run_under_way_is_kept(client: DashScope, assistant_id: str) -> None:
    """What is changed while it executes is there when it ends."""
    run = await begun(client, assistant_id, "/call a")
    thread_id = run.thread_id or ""
    await client.threads.runs.update(thread_id, run.id, metadata={"k": "v"})
    waiting = await rested(client, run)
    await client.threads.runs.submit_tool_outputs(
        thread_id, run.id, tool_outputs=[ToolOutput(output="x")]
    )
    done = await rested(client, await client.threads.runs.retrieve(thread_id, run.id))
    changed = await client.threads.runs.update(thread_id, run.id, metadata={"k": "w"})
    same = await client.threads.runs.update(thread_id, run.id)

    assert waiting.metadata == done.metadata == {"k": "v"}
    assert changed.metadata == same.metadata == {"k": "w"}


class BrokenEngine:
    """Says something and then fails."""

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """One word, and an error."""
        yield Say("so far")
        raise RuntimeError(turn.run.id)


@pytest.fixture
async def broken() -> AsyncIterator[DashScope]:
    """A client of a server whose engine fails."""
    async with LocalServer(engine=BrokenEngine()) as server, server.client(DashScope) as client:
        yield client


async def test_a_fault_of_the_engine_fails_the_run(
    broken: DashScope, caplog: pytest.LogCaptureFixture
) -> None:
    """The run fails with `server_error` after its text; the fault is in the server's log."""
    assistant = await broken.assistants.create(model="m")
    async with broken.stream("x", assistant_id=assistant.id) as stream:
        events = [event async for event in stream]
        text = stream.snapshot.text

    last = events[-1]
    assert isinstance(last, RunEvent)
    assert last.run.last_error is not None
    assert (last.status, last.run.last_error.code, text) == ("failed", "server_error", "so far")
    assert "RuntimeError" in caplog.text


class Untidy:
    """An engine whose cleanup fails when its run is cancelled."""

    def __init__(self) -> None:
        self.at_work = asyncio.Event()
        self.ended = asyncio.Event()

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """Say something, and never come to an end."""
        yield Say("so far")
        self.at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
            raise RuntimeError("the cleanup failed")


async def test_a_cancelled_run_stays_so_whatever_its_engine_does() -> None:
    """A fault in the engine's cleanup comes after the end of the run, and changes nothing."""
    engine = Untidy()
    async with LocalServer(engine=engine) as server, server.client(DashScope) as client:
        assistant = await client.assistants.create(model="m")
        thread = await client.threads.create(messages=[{"content": "x"}])
        run = await client.threads.runs.create(thread.id, assistant_id=assistant.id)
        await engine.at_work.wait()
        await client.threads.runs.cancel(thread.id, run.id)
        await engine.ended.wait()

        assert (await client.threads.runs.retrieve(thread.id, run.id)).status == "cancelled"


async def test_the_run_under_way_on_a_thread_is_known() -> None:
    """From its beginning to its end, waiting for outputs included; there is one a thread."""
    runs = Runs(Store(), OfflineEngine(), expire_after=600, empty_call_ids=False)
    assert runs.active_on("t") == ""
    execution = runs.begin("", Run(id="run_1", thread_id="t"))
    assert (runs.active_on("t"), runs.active_on("other")) == ("run_1", "")
    async with asyncio.timeout(10):
        await execution.rest()
        while runs.active_on("t"):
            await asyncio.sleep(0)
        await runs.close()

    assert execution.run.status == "completed"
