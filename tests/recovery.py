"""What tests of broken streams share: runs to be broken, and a look at all that came of one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from aiodashassist import (
    AppBuilder,
    DashScope,
    Event,
    Message,
    MessageDelta,
    MessageEvent,
    Run,
    RunEvent,
    RunResult,
    RunStep,
    StreamRecovered,
    ToolContext,
    ToolFinished,
    Toolset,
    ToolStarted,
)
from aiodashassist.server.store import Store

PROVIDERS = (DashScope, AppBuilder)
Client = DashScope | AppBuilder


class Talk(Struct, frozen=True, kw_only=True):
    """A question that steers the offline engine, and what must come of it.

    Attributes:
        name: for the test's id.
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


class Hands:
    """The tools of one run, and what they were called for.

    Attributes:
        tools: to be given to the run.
        made: the calls, by `call_id`, with how often each was made.
    """

    def __init__(self) -> None:
        self.tools = Toolset()
        self.made: Counter[str] = Counter()
        self.tools.register(self.weather)
        self.tools.register(self.tick)

    async def weather(self, context: ToolContext[None], city: str) -> str:
        """The weather of a city."""
        self.made[context.call_id] += 1
        await asyncio.sleep(0)
        return f"{city}:晴"

    async def tick(self, context: ToolContext[None]) -> str:
        """How many calls there were."""
        self.made[context.call_id] += 1
        await asyncio.sleep(0)
        return str(self.made.total())


class Heard(Struct, frozen=True, kw_only=True):
    """All that a stream gave."""

    events: list[Event]
    result: RunResult
    hands: Hands

    @property
    def recoveries(self) -> list[StreamRecovered]:
        """How often it was said that the stream broke."""
        return [event for event in self.events if isinstance(event, StreamRecovered)]


class Server(Protocol):
    """What the local server and the one without sockets have in common."""

    store: Store


async def assistant_of(client: Client) -> str:
    """An assistant to run."""
    return (await client.assistants.create(model="m", name="tester")).id


async def thread_of(client: Client, question: str) -> str:
    """A thread with a question on it."""
    thread = await client.threads.create()
    await client.threads.messages.create(thread.id, content=question)
    return thread.id


async def listen(client: Client, thread_id: str, assistant_id: str) -> Heard:
    """Stream a run to its end."""
    hands = Hands()
    stream = client.threads.runs.stream(
        thread_id, assistant_id=assistant_id, tools=hands.tools
    )
    async with stream:
        events = [event async for event in stream]
        return Heard(events=events, result=await stream.result(), hands=hands)


def check(heard: Heard, server: Server, thread_id: str, talk: Talk) -> None:
    """All of a completed run came through once, and it is the thread's one run."""
    store = server.store
    (run,) = store.all("", Run, thread_id)
    assert run.status == heard.result.run.status == "completed"
    _check_text(heard, store.all("", Message, thread_id), talk)
    _check_run(heard, run)
    _check_tools(heard, store.all("", RunStep, run.id), talk)


def _check_text(heard: Heard, stored: Sequence[Message], talk: Talk) -> None:
    """Each message came once, joined deltas, whole and stored ones being equal, in order."""
    told = {message.id: message.text for message in stored if message.role == "assistant"}
    said: dict[str, str] = {}
    for event in heard.events:
        if isinstance(event, MessageDelta):
            said[event.message_id] = said.get(event.message_id, "") + event.text
    whole = [
        event.message
        for event in heard.events
        if isinstance(event, MessageEvent) and event.status == "completed"
    ]
    assert list(told.items()) == list(said.items())
    assert list(told.items()) == [(message.id, message.text) for message in whole]
    assert "".join(told.values()) == heard.result.text == talk.text
    assert [(m.id, m.text) for m in heard.result.messages] == list(told.items())


def _check_run(heard: Heard, run: Run) -> None:
    """It completes once, as the last that is said of it, and breaks are told at most once."""
    moves = [event for event in heard.events if isinstance(event, RunEvent)]
    assert [move.status for move in moves].count("completed") == 1
    assert moves[-1].status == "completed"
    assert {move.run.id for move in moves} == {run.id} == {heard.result.run.id}
    assert len(heard.recoveries) <= 1


def _check_tools(heard: Heard, steps: Sequence[RunStep], talk: Talk) -> None:
    """Each call was made once, told once, and its output taken once, in its own round."""
    rounds = [
        tuple(call.output for call in step.step_details.tool_calls)
        for step in steps
        if step.type == "tool_calls" and step.step_details is not None
    ]
    assert rounds == list(talk.rounds)
    wanted = [output for outputs in talk.rounds for output in outputs]
    began = [event.call.call_id for event in heard.events if isinstance(event, ToolStarted)]
    ended = [event for event in heard.events if isinstance(event, ToolFinished)]
    assert sorted(event.output.output for event in ended) == sorted(wanted)
    assert len(set(began)) == len(began) == len(wanted)
    assert heard.hands.made == dict.fromkeys(began, 1)
    assert [call.output for call in heard.result.tool_calls] == wanted
    assert [step.id for step in heard.result.steps] == [step.id for step in steps]
    assert {step.status for step in heard.result.steps} <= {"completed"}
    ends = [event.step.id for event in heard.events if _ends(event)]
    assert sorted(ends) == sorted(step.id for step in steps)


def _ends(event: Event) -> bool:
    """Whether it says that a step has ended."""
    from aiodashassist import StepEvent

    return isinstance(event, StepEvent) and event.status == "completed"


def noted(heard: Heard) -> list[Any]:
    """The events as they are shown when a check fails."""
    return [type(event).__name__ for event in heard.events]
