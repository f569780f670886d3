"""Thread sessions, for every client: one after the other, whoever else is on the thread."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import pytest

from aiodashassist import (
    AssistantsClient,
    CallInfo,
    Conflict,
    LocalProtocolError,
    MessageDelta,
    RunStream,
    ToolOutput,
    ToolStarted,
    tool,
)
from aiodashassist.core.models import TERMINAL
from aiodashassist.resources import holds, sessions
from aiodashassist.resources.sessions import OnActive, ThreadSession
from aiodashassist.server import LocalServer
from aiodashassist.server.engines import End, Move, Say, Turn
from tests.providers.test_contract import PATIENCE, Kind, an_assistant, echo, status_of
from tests.test_cancellation import at_suspension, at_turn, held, settled, tasks_at_work


class Watch:
    """Notes what a client asks for, and lets a test wait for that."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, info: CallInfo) -> None:
        """Take note."""
        self.names.append(info.operation)
        self._news.set()

    async def seen(self, name: str, times: int = 1) -> None:
        """Until it was asked for so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.names.count(name) < times:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def watch() -> Watch:
    """What `watched` asks for."""
    return Watch()


@pytest.fixture
async def watched(server: LocalServer, kind: Kind, watch: Watch) -> AsyncIterator[AssistantsClient]:
    """Another client of the server, of which it is known what it asks for."""
    async with server.client(kind, on_request=watch) as made:
        yield made


@pytest.fixture
async def thread_id(client: AssistantsClient) -> str:
    """A thread without messages."""
    return (await client.threads.create()).id


@pytest.fixture(autouse=True)
async def _no_lock_is_left(_no_task_is_left: None) -> AsyncIterator[None]:
    """When nobody is on a thread, nothing is kept of it."""
    yield
    await no_lock_is_left()


async def no_lock_is_left() -> None:
    """Until nothing holds a lock any more; each is free at once."""
    assert not any(one.lock.locked() for one in holds._threads.values())
    async with asyncio.timeout(PATIENCE):
        while holds._threads:
            await asyncio.sleep(0)
            gc.collect()  # an error that was raised may be a circle with what it came through


async def conversation(client: AssistantsClient, thread_id: str) -> list[tuple[str | None, str]]:
    """Who said what, the oldest first."""
    listed = client.threads.messages.list(thread_id, order="asc", page_size=20)
    return [(message.role, message.text) async for message in listed]


@asynccontextmanager
async def a_waiting_run(
    client: AssistantsClient, thread_id: str, assistant_id: str
) -> AsyncIterator[RunStream]:
    """A run that others have begun, and that waits for tool outputs."""
    await client.threads.messages.create(thread_id, "/call f {}\n/then\n/say theirs")
    async with client.threads.runs.stream(
        thread_id, assistant_id=assistant_id, on_exit="leave", tools=None
    ) as stream:
        async for _ in stream:
            pass
        assert stream.pending_calls
        yield stream


Sharing = Callable[[AssistantsClient, str], Callable[[], ThreadSession]]


def apart(client: AssistantsClient, thread_id: str) -> Callable[[], ThreadSession]:
    """Each task has a session of its own, of copies of the client."""
    return lambda: client.with_options(headers={"X-Own": "1"}).threads.session(thread_id)


def one(client: AssistantsClient, thread_id: str) -> Callable[[], ThreadSession]:
    """All tasks have the same session."""
    session = client.threads.session(thread_id)
    return lambda: session


@pytest.mark.parametrize("sharing", [apart, one])
@pytest.mark.parametrize("entered", [True, False])
async def test_twenty_tasks_on_one_thread_take_turns(
    client: AssistantsClient,
    assistant_id: str,
    thread_id: str,
    sharing: Sharing,
    entered: bool,
) -> None:
    """Every question is followed by its answer, in the order in which they were asked."""
    make = sharing(client, thread_id)

    async def ask(number: int, session: ThreadSession) -> str:
        question = f"/say {number} one\n/call echo {{}}\n/then\n/say {number} two"
        if entered and sharing is apart:
            async with session:
                return (await session.ask(question, assistant_id=assistant_id, tools=[])).text
        return (await session.ask(question, assistant_id=assistant_id, tools=[])).text

    async def all_of_them() -> list[str]:
        tasks = [asyncio.create_task(ask(number, make())) for number in range(20)]
        return await asyncio.gather(*tasks)

    if entered and sharing is one:
        async with make():
            texts = await all_of_them()
    else:
        texts = await all_of_them()

    assert texts == [f"{number} one{number} two" for number in range(20)]
    said = await conversation(client, thread_id)
    expected = [
        (role, number)
        for number in range(20)
        for role in ("user", "assistant", "assistant")  # it says something before the call, too
    ]
    assert [role for role, _ in said] == [role for role, _ in expected]
    assert [int(text.removeprefix("/say ").split()[0]) for _, text in said] == [
        number for _, number in expected
    ]


async def test_clients_of_one_service_keep_out_of_each_others_way(
    client: AssistantsClient, watched: AssistantsClient, assistant_id: str, thread_id: str
) -> None:
    """The lock is the process's, not the client's: their questions and answers alternate."""
    texts = await asyncio.gather(
        *(
            made.threads.session(thread_id).ask(f"/say {number}", assistant_id=assistant_id)
            for number in range(5)
            for made in (client, watched)
        )
    )

    assert [result.text for result in texts] == [str(n) for n in range(5) for _ in range(2)]
    roles = [role for role, _ in await conversation(client, thread_id)]
    assert roles == ["user", "assistant"] * 10


async def test_a_thread_is_busy_until_its_stream_is_left(
    client: AssistantsClient, assistant_id: str, thread_id: str
) -> None:
    """Others come when the block is left, not when the run has ended; with every event inside."""
    order: list[str] = []
    other = client.threads.session(thread_id)
    async with client.threads.session(thread_id).stream(
        "/say first", assistant_id=assistant_id
    ) as stream:
        waiting = asyncio.create_task(other.ask("/say second", assistant_id=assistant_id))
        events = [event async for event in stream]
        assert (await stream.result()).text == "first"
        await client.threads.retrieve(thread_id)  # time enough for the other
        order.append("left")
        assert not waiting.done()
    result = await waiting

    assert "".join(event.text for event in events if isinstance(event, MessageDelta)) == "first"
    assert result.text == "second"
    assert [text for _, text in await conversation(client, thread_id)] == [
        "/say first", "first", "/say second", "second",
    ]  # fmt: skip


async def test_an_active_run_is_waited_for(
    client: AssistantsClient,
    watched: AssistantsClient,
    watch: Watch,
    assistant_id: str,
    thread_id: str,
) -> None:
    """Also one that waits for tool outputs: until it has ended nothing is said on the thread."""
    async with a_waiting_run(client, thread_id, assistant_id) as theirs:
        asking = asyncio.create_task(
            watched.threads.session(thread_id).ask("/say ours", assistant_id=assistant_id)
        )
        await watch.seen("RetrieveRun", 3)
        assert "CreateMessage" not in watch.names
        await theirs.submit([ToolOutput(output="1")])
        assert (await theirs.result()).text == "theirs"
        assert (await asking).text == "ours"

    assert [text for _, text in await conversation(client, thread_id)][1:] == [
        "theirs", "/say ours", "ours",
    ]  # fmt: skip


async def test_an_active_run_is_cancelled(
    client: AssistantsClient, watched: AssistantsClient, assistant_id: str, thread_id: str
) -> None:
    """With "cancel" it ends as cancelled, and the thread is ours."""
    async with a_waiting_run(client, thread_id, assistant_id) as theirs:
        run = theirs.snapshot.run
        async with watched.threads.session(thread_id, on_active="cancel") as session:
            assert run is not None
            assert await status_of(client, thread_id, run.id) == "cancelled"
            result = await session.ask("/say ours", assistant_id=assistant_id)

    assert result.text == "ours"


async def test_an_active_run_is_reported(
    client: AssistantsClient,
    watched: AssistantsClient,
    watch: Watch,
    assistant_id: str,
    thread_id: str,
) -> None:
    """With "raise" entering, asking and saying are a Conflict, before anything is done."""
    session = watched.threads.session(thread_id, on_active="raise")

    async def enter() -> None:
        async with session:
            pass

    async with a_waiting_run(client, thread_id, assistant_id) as theirs:
        run = theirs.snapshot.run
        assert run is not None
        calls: list[Coroutine[Any, Any, Any]] = [
            enter(),
            session.ask("hi", assistant_id=assistant_id),
            session.say("hi"),
        ]
        for call in calls:
            with pytest.raises(Conflict, match="on_active='wait'") as caught:
                await call
            assert (caught.value.run_id, caught.value.thread_id) == (run.id, thread_id)
            assert caught.value.status is None
        assert set(watch.names) == {"ListRuns"}
        assert await status_of(client, thread_id, run.id) == "requires_action"
        await client.threads.runs.cancel(thread_id, run.id)

    async with session:
        assert (await session.ask("/say ours", assistant_id=assistant_id)).text == "ours"


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at active runs follow upon each other."""
    monkeypatch.setattr(sessions, "pauses", lambda: repeat(0.0))


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("way", ["attach", "cancel", "on_active"])
async def test_a_run_of_ours_that_nobody_answers_is_reported(
    client: AssistantsClient, told: list[CallInfo], assistant_id: str, thread_id: str, way: str
) -> None:
    """Nobody else can end it: it is a Conflict that names it, and no wait; and see what helps."""
    session = client.threads.session(thread_id)
    async with asyncio.timeout(PATIENCE):
        question = '/call echo {"text": "1"}\n/then\n/say theirs'
        first = await session.ask(question, assistant_id=assistant_id, tools=None)
        assert first.pending_calls
        with pytest.raises(Conflict, match="on_active='cancel'") as caught:
            await session.ask("/say ours", assistant_id=assistant_id)
        assert (caught.value.run_id, caught.value.thread_id) == (first.run.id, thread_id)
        assert [info.operation for info in told].count("CreateMessage") == 1
        assert await status_of(client, thread_id, first.run.id) == "requires_action"
        if way == "attach":
            async with client.threads.runs.attach(thread_id, first.run.id, tools=[echo]) as stream:
                assert (await stream.result()).text == "theirs"
        elif way == "cancel":
            await client.threads.runs.cancel(thread_id, first.run.id)
        else:
            session = client.threads.session(thread_id, on_active="cancel")
        result = await session.ask("/say ours", assistant_id=assistant_id)

    assert result.text == "ours"
    ended = "completed" if way == "attach" else "cancelled"
    assert await status_of(client, thread_id, first.run.id) == ended


@pytest.mark.usefixtures("_no_pauses")
async def test_a_run_whose_tools_are_at_work_is_waited_for(
    client: AssistantsClient, told: list[CallInfo], assistant_id: str, thread_id: str
) -> None:
    """An open stream of the same client answers its run: that is no run that nobody answers."""

    def looks() -> int:
        return [info.operation for info in told].count("RetrieveRun")

    @tool
    async def slow() -> str:
        """Give a word, when the run has been seen to wait for it long enough."""
        enough = looks() + 5 * sessions.LOOKS
        while looks() < enough:
            await asyncio.sleep(0)
        return "word"

    async with (
        asyncio.timeout(PATIENCE),
        client.stream(
            "/call slow {}\n/then\n/say theirs",
            thread_id=thread_id,
            assistant_id=assistant_id,
            tools=[slow],
        ) as stream,
    ):
        async for event in stream:
            if isinstance(event, ToolStarted):
                asking = asyncio.create_task(
                    client.threads.session(thread_id).ask("/say ours", assistant_id=assistant_id)
                )
        assert (await stream.result()).text == "theirs"
        assert (await asking).text == "ours"


async def test_who_has_a_stream_open_cannot_ask_for_more_in_its_block(
    client: AssistantsClient, assistant_id: str, thread_id: str
) -> None:
    """It would wait for its own end: it is told so, and asks when it has left."""
    session = client.threads.session(thread_id)
    async with asyncio.timeout(PATIENCE):
        async with session.stream("/say one", assistant_id=assistant_id) as stream:
            async for _ in stream:
                with pytest.raises(LocalProtocolError, match="leave it first"):
                    await session.ask("no", assistant_id=assistant_id)
        assert (await session.ask("/say two", assistant_id=assistant_id)).text == "two"

    texts = [text for _, text in await conversation(client, thread_id)]
    assert texts == ["/say one", "one", "/say two", "two"]


async def test_a_run_that_others_begin_in_between_is_seen(
    client: AssistantsClient, watched: AssistantsClient, assistant_id: str, thread_id: str
) -> None:
    """It is looked for before each run, not only on entering; messages can be added meanwhile."""
    async with watched.threads.session(thread_id, on_active="raise") as session:
        async with a_waiting_run(client, thread_id, assistant_id) as theirs:
            with pytest.raises(Conflict):
                await session.ask("/say ours", assistant_id=assistant_id)
            said = await session.say("beside it")
            run = theirs.snapshot.run
            assert run is not None
            await client.threads.runs.cancel(thread_id, run.id)
        result = await session.ask("/say ours", assistant_id=assistant_id)

    assert (said.role, said.text, said.thread_id) == ("user", "beside it", thread_id)
    assert result.text == "ours"
    texts = [text for _, text in await conversation(client, thread_id)]
    assert texts[1:] == ["beside it", "/say ours", "ours"]


class Rivals:
    """An engine that keeps the runs of others going until they may fail."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """Theirs are known by their instructions; ours are echoed."""
        if turn.run.instructions == "theirs":
            await self.may_end.wait()
            yield End(status="failed", code="c", message="m")
        else:
            yield Say(turn.messages[-1].text)


@pytest.mark.parametrize("on_active", ["wait", "cancel", "raise"])
async def test_a_run_that_others_begin_first_is_dealt_with(kind: Kind, on_active: OnActive) -> None:
    """Ours is refused then: what `on_active` says is done, and the message is not said again."""
    engine, watch, runs = Rivals(), Watch(), list[str]()
    async with (
        LocalServer(engine=engine) as server,
        server.client(kind) as client,
        server.client(kind, on_request=watch) as ours,
    ):
        assistant_id = await an_assistant(client)
        thread_id = (await client.threads.create()).id
        send, hints = ours._session.open, list[str]()

        async def open_late(operation: Any, *more: Any) -> Any:
            """They begin their run between our message and ours."""
            hints.append(operation.hint)
            if not runs:
                async with client.threads.runs.stream(
                    thread_id, assistant_id=assistant_id, instructions="theirs", on_exit="leave"
                ) as stream:
                    await anext(stream)
                    assert stream.snapshot.run is not None
                    runs.append(stream.snapshot.run.id)
            return await send(operation, *more)

        ours._session.open = open_late
        session = ours.threads.session(thread_id, on_active=on_active)
        asking = asyncio.create_task(session.ask("ours", assistant_id=assistant_id))
        if on_active == "wait":
            await watch.seen("RetrieveRun", 2)
            engine.may_end.set()
        said = [("user", "ours")]
        if on_active == "raise":
            with pytest.raises(Conflict) as caught:
                await asking
            assert [caught.value.run_id] == runs
        else:
            assert (await asking).text == "ours"
            said += [("assistant", "ours")]
        assert await conversation(client, thread_id) == said
        assert watch.names.count("CreateMessage") == 1
        (message,) = (await client.threads.messages.list(thread_id, order="asc", page_size=1)).data
        assert set(hints) == {message.id}  # by which a run whose answer is lost is known
        assert len(hints) == (1 if on_active == "raise" else 2)
        statuses = {"wait": "failed", "cancel": "cancelled", "raise": "in_progress"}
        assert await status_of(client, thread_id, runs[0]) == statuses[on_active]


async def test_a_wait_that_is_cancelled_leaves_the_thread_to_others(
    client: AssistantsClient,
    watched: AssistantsClient,
    watch: Watch,
    assistant_id: str,
    thread_id: str,
) -> None:
    """In the line, and while a run is waited for: who stands behind comes next."""
    async with a_waiting_run(client, thread_id, assistant_id):
        polling, in_line = (
            asyncio.create_task(
                watched.threads.session(thread_id).ask("never", assistant_id=assistant_id)
            )
            for _ in range(2)
        )
        await watch.seen("RetrieveRun", 2)
        last = asyncio.create_task(
            watched.threads.session(thread_id, on_active="cancel").ask(
                "/say last", assistant_id=assistant_id
            )
        )
        await asyncio.sleep(0)
        for task in (in_line, polling):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await last).text == "last"

    assert watch.names.count("CreateMessage") == 1


TWO_ROUNDS = """/say begun
/call echo {"text": "1"}
/then
/call echo {"text": "2"}
/then
/say done"""


async def a_visit(client: AssistantsClient, thread_id: str, assistant_id: str) -> None:
    """A session with a message, and a run with two rounds of tools."""
    async with client.threads.session(thread_id, on_active="cancel") as session:
        await session.say("hi")
        result = await session.ask(TWO_ROUNDS, assistant_id=assistant_id, tools=[echo])
        assert result.text == "begundone"


@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 8), (at_turn, 40)])
async def test_a_session_cancelled_anywhere_leaves_nothing_behind(
    client: Any,
    assistant_id: str,
    cancel: Callable[[int, Coroutine[Any, Any, None]], Any],
    least: int,
) -> None:
    """At each moment in turn: the thread is free, no run and no task goes on, nothing is held."""
    await client.ask("warm up", assistant_id=assistant_id)
    thread_id = (await client.threads.create()).id
    tasks, at, reached = tasks_at_work(), 0, True
    while reached:
        at += 1 + at // 20
        reached = await cancel(at, a_visit(client, thread_id, assistant_id))
        await no_lock_is_left()
        await settled(tasks)
        assert not held(client), f"cancelled at {at}"
        async for run in client.threads.runs.list(thread_id, page_size=20):
            assert run.status in TERMINAL, f"cancelled at {at}"

    assert at > least
    await a_visit(client, thread_id, assistant_id)
