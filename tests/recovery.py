"""What tests of broken streams share: runs to be broken, and a look at all that came of one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, repeat
from typing import Any, Protocol, TypeAlias

import pytest
from msgspec import Struct

from aiodashassist import (
    AppBuilder,
    DashScope,
    Event,
    Message,
    MessageDelta,
    MessageEvent,
    Retry,
    Run,
    RunEvent,
    RunResult,
    RunStep,
    RunStream,
    StepEvent,
    StreamRecovered,
    ToolContext,
    ToolFinished,
    Toolset,
    ToolStarted,
)
from aiodashassist.core.operations import Operation
from aiodashassist.server.store import Store
from tests.in_process import Break, Fault, InProcess

Client: TypeAlias = DashScope | AppBuilder

Kind: TypeAlias = type[DashScope] | type[AppBuilder]

PROVIDERS: tuple[Kind, ...] = (DashScope, AppBuilder)
SAFETY = 30  # seconds for one run; it takes a few thousandths of one


class Talk(Struct, frozen=True, kw_only=True):
    """A question that steers the offline engine, and what must come of it.

    Attributes:
        name: for the ids of tests.
        question: what the user says.
        text: all that the run says.
        rounds: the outputs of each round of calls, as the tools below give them.
        empty_call_ids: whether calls have no ids on the wire.
    """

    name: str
    question: str
    text: str
    rounds: tuple[tuple[str, ...], ...] = ()
    empty_call_ids: bool = False


PLAIN = Talk(name="plain", question="/say 你好,世界🌍!", text="你好,世界🌍!")
TOOLS = Talk(
    name="tools",
    question="""\
/say 先看天气。
/call weather {"city": "杭州"}
/call weather {"city": "北京"}
/then
/call weather {"city": "上海"}
/then
/say 都是晴天🌞!""",
    text="先看天气。都是晴天🌞!",
    rounds=(("杭州:晴", "北京:晴"), ("上海:晴",)),
)
ALIKE = Talk(
    name="alike",
    question="/call tick {}\n/then\n/call tick {}\n/then\n/say 完",
    text="完",
    rounds=(("1",), ("2",)),
    empty_call_ids=True,
)
TALKS = (PLAIN, TOOLS, ALIKE)


class Made(Counter[str]):
    """How often each call was made, by its `call_id`."""


tools = Toolset()


@tools.register
async def weather(context: ToolContext[Made], city: str) -> str:
    """The weather of a city."""
    context.deps[context.call_id] += 1
    await asyncio.sleep(0)
    return f"{city}:晴"


@tools.register
async def tick(context: ToolContext[Made]) -> str:
    """How many calls there were."""
    context.deps[context.call_id] += 1
    await asyncio.sleep(0)
    return str(context.deps.total())


class Heard(Struct, frozen=True, kw_only=True):
    """All that came of a stream."""

    events: list[Event]
    result: RunResult
    made: Made

    @property
    def recovered(self) -> list[StreamRecovered]:
        """What was said of its breaks."""
        return [event for event in self.events if isinstance(event, StreamRecovered)]


@contextmanager
def named(place: str) -> Iterator[None]:
    """Have a failure tell where it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(place)
        raise


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is read back without a pause between two looks."""
    monkeypatch.setattr("aiodashassist.polling.pauses", lambda: repeat(0.0))


class World:
    """A client of a server without sockets, whose streams break as they are told.

    Attributes:
        harness: the server.
        client: its client.
        breaks: how a stream breaks, by its number among those of the runs here.
        on: asked for what goes wrong with any other request.
        thread_id: the newest thread.
    """

    def __init__(self, harness: InProcess, client: Client, assistant_id: str) -> None:
        self.harness = harness
        self.client = client
        self.breaks: dict[int, Break] = {}
        self.on: Callable[[Operation[Any]], Fault | None] = lambda _operation: None
        self.thread_id = ""
        self._assistant_id = assistant_id
        self._streams = 0
        harness.fault = self._fault

    async def asked(self, question: str, **params: Any) -> RunStream:
        """A stream, to be entered, of a run that answers a question on a new thread."""
        self._streams = 0
        self.harness.exchanges.clear()
        self.thread_id = await thread_of(self.client, question)
        return streamed(self.client, self.thread_id, self._assistant_id, **params)

    async def heard(self, question: str, patience: float | None = SAFETY) -> Heard:
        """All of such a run; more patience is for virtual time."""
        made = Made()
        async with asyncio.timeout(patience):
            return await heard_of(await self.asked(question, deps=made), made)

    async def sizes(self, question: str) -> list[list[int]]:
        """The bytes of each event of each stream of such a run, when nothing breaks."""
        before, self.breaks = self.breaks, {}
        await self.heard(question)
        self.breaks = before
        return [one.sizes for one in self.harness.exchanges if one.stream]

    def count(self, name: str) -> int:
        """How many such requests there were since the newest thread was begun."""
        return [one.name for one in self.harness.exchanges].count(name)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the newest thread, as the server has them."""
        return self.harness.store.all("", Run, self.thread_id)

    @property
    def run(self) -> Run:
        """The one run of the newest thread."""
        (run,) = self.runs
        return run

    async def check_left(self) -> None:
        """Nothing is left behind of the runs so far."""
        while self.harness.pumps:
            await asyncio.sleep(0)
        assert not self.harness.unclosed
        assert not self.harness.live_runs
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def _fault(self, operation: Operation[Any], _index: int) -> Fault | None:
        other = self.on(operation)
        if not getattr(operation, "stream", False):
            return other
        number = self._streams
        self._streams += 1
        return self.breaks.get(number, other)


@asynccontextmanager
async def world(
    kind: Kind, *, client: Mapping[str, Any] = {}, **harness: Any
) -> AsyncIterator[World]:
    """A world; `client` are options of the client, the others those of the server."""
    usual = {"retry": Retry(first_delay=0)}
    async with (
        InProcess(**harness) as made,
        made.client(kind, **{**usual, **(client or {})}) as one,
    ):
        yield World(made, one, await assistant_of(one))


class Served(Protocol):
    """A server whose store can be looked into."""

    store: Store


async def assistant_of(client: Client) -> str:
    """An assistant to run."""
    return (await client.assistants.create(model="m", name="tester")).id


async def thread_of(client: Client, question: str) -> str:
    """A thread with a question on it."""
    thread_id = (await client.threads.create()).id
    await client.threads.messages.create(thread_id, content=question)
    return thread_id


def streamed(client: Client, thread_id: str, assistant_id: str, **params: Any) -> RunStream:
    """The stream of a run with the tools above."""
    usual: dict[str, Any] = {"assistant_id": assistant_id, "tools": tools, "deps": Made()}
    return client.threads.runs.stream(thread_id, **{**usual, **params})


async def listen(client: Client, thread_id: str, assistant_id: str) -> Heard:
    """Stream a run to its end."""
    made = Made()
    return await heard_of(streamed(client, thread_id, assistant_id, deps=made), made)


async def heard_of(stream: RunStream, made: Made) -> Heard:
    """All of a stream; `made` are its tools' `deps`."""
    async with stream:
        events = [event async for event in stream]
        return Heard(events=events, result=await stream.result(), made=made)


def check(heard: Heard, server: Served, thread_id: str, talk: Talk) -> None:
    """All of a completed run came once, and it is the one run of its thread."""
    store = server.store
    (run,) = store.all("", Run, thread_id)
    assert run.status == heard.result.run.status == "completed"
    _check_run(heard, run, len(talk.rounds))
    _check_text(heard, store.all("", Message, thread_id), talk)
    _check_tools(heard, store.all("", RunStep, run.id), talk)


def _check_run(heard: Heard, run: Run, rounds: int) -> None:
    """It completes once, as the last that is said of it, and nothing is said again."""
    moves = [event for event in heard.events if isinstance(event, RunEvent)]
    assert [move.status for move in moves].count("requires_action") == rounds
    for told in heard.recovered:
        at = heard.events.index(told)
        before = [event.status for event in heard.events[:at] if isinstance(event, RunEvent)]
        after = [event.status for event in heard.events[at:] if isinstance(event, RunEvent)]
        assert after[0] == "requires_action" or after[:1] != before[-1:]
    assert [move.status for move in moves].count("completed") == 1
    assert moves[-1].status == "completed"
    assert {move.run.id for move in moves} == {run.id} == {heard.result.run.id}


def _check_text(heard: Heard, stored: Sequence[Message], talk: Talk) -> None:
    """Each message came once: joined deltas, the whole and the stored one are equal."""
    kept = [(message.id, message.text) for message in stored if message.role == "assistant"]
    said: dict[str, str] = {}
    whole: list[tuple[str, str]] = []
    for event in heard.events:
        match event:
            case MessageDelta(message_id=message_id, text=text):
                assert message_id not in dict(whole)  # nothing after its end
                said[message_id] = said.get(message_id, "") + text
            case MessageEvent(status="completed", message=message):
                whole.append((message.id, message.text))
    assert kept == list(said.items()) == whole
    assert kept == [(message.id, message.text) for message in heard.result.messages]
    assert "".join(said.values()) == heard.result.text == talk.text


def _check_tools(heard: Heard, steps: Sequence[RunStep], talk: Talk) -> None:
    """Each call was made once and told once, and its output taken once, in its own round."""
    rounds = [step for step in steps if step.type == "tool_calls"]
    assert [tuple(call.output for call in _calls(step)) for step in rounds] == list(talk.rounds)
    began = [event.call.call_id for event in heard.events if isinstance(event, ToolStarted)]
    ended = [event for event in heard.events if isinstance(event, ToolFinished)]
    assert [event.call.call_id for event in ended] == began
    assert [event.output.output for event in ended] == [*chain(*talk.rounds)]
    assert heard.made == dict.fromkeys(began, 1)
    if talk.empty_call_ids:
        assert began == [f"{step.id}:{i}" for step in rounds for i in range(len(_calls(step)))]
    made = [(call.call_id, call.output) for call in heard.result.tool_calls]
    assert made == [(event.call.call_id, event.output.output) for event in ended]
    over = [event for event in heard.events if isinstance(event, StepEvent)]
    over = [event for event in over if event.status == "completed"]
    assert [event.step.id for event in over] == [step.id for step in steps]
    assert [step.id for step in heard.result.steps] == [step.id for step in steps]


def _calls(step: RunStep) -> Sequence[Any]:
    return step.step_details.tool_calls if step.step_details is not None else ()
