"""What holds for every provider: one suite of behaviour over every client that there is.

A client is a subclass of `Client` that the package exports. Its provider's folder is found through
it, so that a new folder below `providers` needs a client and no line here. `tests/contract` goes on
where this file ends.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import aiodashassist
from aiodashassist import (
    AssistantsClient,
    CallInfo,
    Client,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    ThreadEvent,
    ToolContext,
    ToolFinished,
    ToolStarted,
    tool,
)
from aiodashassist.core.machine import NEXT
from aiodashassist.core.models import TERMINAL
from aiodashassist.server import LocalServer

PROVIDERS = Path(aiodashassist.__file__).parent / "providers"
PATIENCE = 10  # seconds; nothing here takes one

Kind: TypeAlias = Any  # a client's class; each has parameters of its own


def exported() -> list[Kind]:
    """The clients that the package gives to its users."""
    things = [getattr(aiodashassist, name) for name in aiodashassist.__all__]
    return [
        thing
        for thing in things
        if isinstance(thing, type) and issubclass(thing, Client) and thing is not Client
    ]


def folder(kind: Kind) -> str:
    """The folder of the client's provider."""
    provider = type(kind("a-key")._session.provider)
    return str(provider.__module__).removeprefix("aiodashassist.providers.").partition(".")[0]


CLIENTS = exported()


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each client in turn."""
    return request.param


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    """When the client and the server are closed, nobody is at work."""
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def server(_no_task_is_left: None) -> AsyncIterator[LocalServer]:
    """A fresh local server; what its clients have opened is closed before it is."""
    async with LocalServer() as running:
        yield running
        await without_connections(running)


@pytest.fixture
def told() -> list[CallInfo]:
    """The requests that `client` sends."""
    return []


@pytest.fixture
async def client(
    server: LocalServer, kind: Kind, told: list[CallInfo]
) -> AsyncIterator[AssistantsClient]:
    """A client of the fresh local server."""
    async with server.client(kind, on_request=told.append) as made:
        yield made


@pytest.fixture
async def assistant_id(client: AssistantsClient) -> str:
    """An assistant."""
    return await an_assistant(client)


async def without_connections(server: LocalServer) -> None:
    """Wait until no connection to a server is open."""
    running: Any = server._runner.server
    async with asyncio.timeout(PATIENCE):
        while any(connection.transport for connection in running.connections):
            await asyncio.sleep(0)


async def an_assistant(client: AssistantsClient) -> str:
    """An assistant with as little as every service needs."""
    return (await client.assistants.create(model="a-model", name="tester")).id


async def a_thread(client: AssistantsClient, question: str) -> str:
    """A thread that begins with a question."""
    return (await client.threads.create(messages=[{"role": "user", "content": question}])).id


async def status_of(client: AssistantsClient, thread_id: str | None, run_id: str | None) -> str:
    """A run's status as the server has it."""
    return (await client.threads.runs.retrieve(thread_id or "", run_id or "")).status


@tool
async def echo(ctx: ToolContext[Any], text: str) -> str:
    """Give back the text."""
    if ctx.deps is not None:
        ctx.deps.append(ctx.call_id)
    return text


def test_each_provider_has_its_client() -> None:
    """Every folder below `providers` is the home of one exported client's provider."""
    folders = [path.parent.name for path in PROVIDERS.glob("*/__init__.py")]

    assert sorted(folder(kind) for kind in CLIENTS) == sorted(folders)
    assert len(folders) >= 2


async def test_a_run_is_created_and_waited_for(client: AssistantsClient, assistant_id: str) -> None:
    """It completes; its answer, its steps and the run itself can be read and are listed."""
    thread_id = await a_thread(client, "你好😀 hello")
    made = await client.threads.runs.create(thread_id, assistant_id=assistant_id)
    run = await client.threads.runs.wait(thread_id, made.id)
    answer, question = (await client.threads.messages.list(thread_id)).data
    (step,) = (await client.threads.runs.steps.list(thread_id, run.id)).data
    read = await client.threads.runs.steps.retrieve(thread_id, run.id, step.id)

    assert (run.id, run.status, run.thread_id) == (made.id, "completed", thread_id)
    assert run.assistant_id == assistant_id
    assert (answer.role, answer.text) == ("assistant", question.text)
    assert read.id == step.id
    assert (step.run_id, step.status) == (run.id, "completed")
    assert [one.id for one in (await client.threads.runs.list(thread_id)).data] == [run.id]


async def test_a_thread_and_its_run_are_made_at_once(
    client: AssistantsClient, assistant_id: str
) -> None:
    """One request begins both; with it the thread is known."""
    message: Any = {"role": "user", "content": "hi"}
    made = await client.threads.create_and_run(
        assistant_id=assistant_id, thread={"messages": [message]}
    )
    run = await client.threads.runs.wait(made.thread_id or "", made.id)

    assert run.status == "completed"
    texts = [m.text for m in (await client.threads.messages.list(made.thread_id or "")).data]
    assert texts == ["hi", "hi"]


async def test_a_thread_is_made_and_its_run_streamed(
    client: AssistantsClient, assistant_id: str
) -> None:
    """The stream begins with the thread or the run, and comes to the same."""
    message: Any = {"role": "user", "content": "hi"}
    async with client.threads.create_and_stream(
        assistant_id=assistant_id, thread={"messages": [message]}
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert isinstance(events[0], ThreadEvent | RunEvent)
    assert (result.text, result.run.status) == ("hi", "completed")
    assert (await client.threads.retrieve(result.thread_id or "")).id == result.thread_id


async def test_messages_can_come_with_a_run(client: AssistantsClient, assistant_id: str) -> None:
    """`additional_messages` are added to the thread, and are what is answered."""
    thread_id = await a_thread(client, "first")
    async with client.threads.runs.stream(
        thread_id,
        assistant_id=assistant_id,
        additional_messages=[{"role": "user", "content": "second"}],
    ) as stream:
        result = await stream.result()

    assert result.text == "second"
    messages = (await client.threads.messages.list(thread_id, order="asc")).data
    assert [message.text for message in messages] == ["first", "second", "second"]


async def test_ask_goes_on_with_a_thread(client: AssistantsClient, assistant_id: str) -> None:
    """`ask` begins a thread, and with `thread_id` goes on with it."""
    first = await client.ask("一", assistant_id=assistant_id)
    second = await client.ask("二", assistant_id=assistant_id, thread_id=first.thread_id)

    assert (first.text, second.text) == ("一", "二")
    assert first.thread_id == second.thread_id
    assert first.run.id != second.run.id
    listed = (await client.threads.messages.list(first.thread_id or "", order="asc")).data
    assert [message.text for message in listed] == ["一", "一", "二", "二"]


ROUNDS = """/say before the calls 你好😀
/call echo {"text": "一"}
/call echo {"text": "two"}
/then
/call echo {"text": "three"}
/say after them"""


async def events_of(client: AssistantsClient, assistant_id: str) -> list[Event]:
    """A run with text, two rounds of calls, and text again."""
    async with client.stream(ROUNDS, assistant_id=assistant_id, tools=[echo]) as stream:
        return [event async for event in stream]


def may_follow(status: str) -> set[str]:
    """The statuses that can come after one, where a wire leaves out what lies between."""
    reached: set[str] = set()
    new = {status}
    while new:
        new = set().union(*(NEXT[one] for one in new)) - reached
        reached |= new
    return reached


async def test_the_run_goes_the_way_of_the_machine(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Every status can follow the one before it, and what ends the run ends the stream."""
    events = await events_of(client, assistant_id)
    statuses = [event.status for event in events if isinstance(event, RunEvent)]

    assert statuses[0] == "queued"
    assert statuses.count("requires_action") == 2
    for before, after in zip(["", *statuses], statuses, strict=False):
        assert after == before or after in may_follow(before)
    assert [status for status in statuses if status in TERMINAL] == ["completed"]
    assert isinstance(events[-1], RunEvent)


async def test_what_begins_ends_and_in_order(client: AssistantsClient, assistant_id: str) -> None:
    """Steps and messages begin before they end, one at a time, each once."""
    events = await events_of(client, assistant_id)
    steps = [event for event in events if isinstance(event, StepEvent)]
    messages = [event for event in events if isinstance(event, MessageEvent | MessageDelta)]

    order: dict[str, list[str]] = {}
    for step in steps:
        order.setdefault(step.step.id, []).append(step.status)
    assert [set(one[:-1]) for one in order.values()] == [{"in_progress"}] * 4
    assert [one[-1] for one in order.values()] == ["completed"] * 4
    told: dict[str, list[str]] = {}
    for event in messages:
        known = event.message.id if isinstance(event, MessageEvent) else event.message_id
        told.setdefault(known, []).append(getattr(event, "status", "delta"))
    assert len(told) == 2
    for one in told.values():
        assert (one[0], one[-1], one.count("completed")) == ("in_progress", "completed", 1)
        assert "delta" in one


async def test_calls_stand_between_the_question_for_them_and_what_follows(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Each tool starts after `requires_action` and ends before the run goes on."""
    waits, open_calls, answered = False, set[str](), []
    for event in await events_of(client, assistant_id):
        match event:
            case RunEvent(status=status):
                assert not open_calls
                waits = status == "requires_action"
            case ToolStarted(call=call):
                assert waits
                open_calls.add(call.call_id)
            case ToolFinished(call=call, output=output):
                open_calls.remove(call.call_id)
                answered.append(output.output)

    assert sorted(answered) == sorted(["一", "two", "three"])


async def test_the_text_is_told_once_and_is_the_stored_one(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Deltas, completed messages, the result and the thread's messages say the same."""
    async with client.stream(ROUNDS, assistant_id=assistant_id, tools=[echo]) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    deltas: dict[str, str] = {}
    for event in events:
        if isinstance(event, MessageDelta):
            deltas[event.message_id] = deltas.get(event.message_id, "") + event.text
    ended = [e.message for e in events if isinstance(e, MessageEvent) and e.status == "completed"]
    stored = (await client.threads.messages.list(result.thread_id or "", order="asc")).data[1:]

    assert list(deltas.values()) == ["before the calls 你好😀", "after them"]
    assert {message.id: message.text for message in ended} == deltas
    assert [(message.id, message.text) for message in stored] == list(deltas.items())
    assert result.text == "".join(deltas.values())
    assert result.message is not None
    assert result.message.text == "after them"


async def test_the_text_alone(client: AssistantsClient, assistant_id: str) -> None:
    """`text_stream` gives the text in pieces, none of them empty."""
    text = "很长的一句话，with 😀 and more"
    async with client.stream(f"/say {text}", assistant_id=assistant_id) as stream:
        pieces = [piece async for piece in stream.text_stream]

    assert "".join(pieces) == text
    assert len(pieces) > 1
    assert all(pieces)
