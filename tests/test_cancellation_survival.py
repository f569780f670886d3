"""Cancelled at every suspension point, in every way: nothing leaks, runs end, the client goes on.

The scenes are played against the local server without sockets, in virtual time; see
`tests/cancelling.py` for what a point is. Each walk prints how many there were.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import pytest
from msgspec import Struct

from aiodashassist import (
    AssistError,
    Limits,
    LocalProtocolError,
    Retry,
    Run,
    Thread,
    Timeouts,
    ToolContext,
    Toolset,
    TransportError,
)
from aiodashassist.core import operations as ops
from aiodashassist.testing import record
from tests.cancelling import CANCELS, WAYS, the_loop
from tests.cancelling import run as walk_through
from tests.in_process import Break, Fault, Lost, Status
from tests.recovery import Kind, Made, PROVIDERS, Talk, World, tools, world

Work: TypeAlias = Coroutine[Any, Any, None]
Begin: TypeAlias = Callable[[World], Awaitable[Work]]

PLAIN = Talk(name="plain", question="/say 一\n/wait 1\n/say 二\n/wait 1\n/say 三", text="一二三")
TOOLS = Talk(
    name="tools",
    question="""\
/say 先看
/wait 1
/call weather {"city": "杭州"}
/call weather {"city": "北京"}
/then
/wait 1
/call weather {"city": "上海"}
/then
/wait 1
/say 完""",
    text="先看完",
    rounds=(("杭州:晴", "北京:晴"), ("上海:晴",)),
)
CANCEL = 5.0  # seconds, `Timeouts.cancel`


class Scene(Struct, frozen=True, kw_only=True):
    begin: Begin
    client: dict[str, Any]
    leaves: bool = False
    quick: bool = True

    @property
    def name(self):
        return self.begin.__name__


SCENES: dict[str, Scene] = {}


def scene(*, leaves: bool = False, **client: Any) -> Callable[[Begin], Begin]:
    def noted(begin: Begin) -> Begin:
        SCENES[begin.__name__] = Scene(begin=begin, client=client, leaves=leaves)
        return begin
    return noted


@scene()
async def plain(ours: World) -> Work:
    async def work() -> None:
        result = await ours.client.ask(PLAIN.question, assistant_id=ours._assistant_id)
        assert result.text == PLAIN.text
    return work()


@scene()
async def two_rounds(ours: World) -> Work:
    async def work() -> None:
        result = await ours.client.ask(TOOLS.question, assistant_id=ours._assistant_id, tools=tools, deps=made_of(ours))
        assert result.text == TOOLS.text
    return work()


def made_of(ours) -> Made:
    ours.made = Made()
    return ours.made


async def streamed(ours, talk=PLAIN, **params) -> Work:
    params.setdefault("deps", made_of(ours))
    stream = await ours.asked(talk.question, **params)
    async def work() -> None:
        async with stream:
            async for _ in stream: pass
            assert (await stream.result()).text == talk.text
    return work()


@scene()
async def cut_in_the_middle(ours: World) -> Work:
    ((*sizes,),) = await ours.sizes(PLAIN.question)
    ours.breaks = {0: Break(after=sum(sizes[:6]))}
    return await streamed(ours)


@scene()
async def cut_before_the_first_event(ours: World) -> Work:
    ours.breaks = {0: Break(after=1)}
    return await streamed(ours)


@scene()
async def cut_in_a_round_of_tools(ours: World) -> Work:
    sizes = await ours.sizes(TOOLS.question)
    if len(sizes) > 1:
        ours.breaks = {0: Break(after=sum(sizes[0])-3), 1: Break(after=2)}
    else:
        ours.breaks = {0: Break(after=sum(sizes[0][:20]))}
    return await streamed(ours, TOOLS)


slow = Toolset()


@slow.register
async def weather(context: ToolContext[Made], city: str) -> str:
    """The weather of a city, after a while."""
    context.deps[context.call_id] += 1
    await asyncio.sleep(3)
    return f"{city}:晴"


@scene()
async def recovered_while_tools_work(ours: World) -> Work:
    sizes = await ours.sizes(TOOLS.question)
    ours.breaks = {0: Break(after=sum(sizes[0][:16]))}
    return await streamed(ours, TOOLS, tools=slow)


class First:
    """Each kind of request goes wrong once."""
    def __init__(self, fault, *kinds) -> None:
        self.kinds = set(kinds)
        self.fault = fault
    def __call__(self, operation):
        if type(operation) in self.kinds:
            self.kinds.discard(type(operation))
            return self.fault
        return None


@scene(retry=Retry())
async def lost_answers(ours: World) -> Work:
    ours.on = First(Lost(), ops.CreateThread, ops.CreateMessage, ops.CreateRun, ops.SubmitOutputs, ops.CancelRun, ops.RetrieveRun)
    return await two_rounds(ours)


@scene(timeouts=Timeouts(idle=60))
async def stalled(ours: World) -> Work:
    async def work() -> None:
        result = await ours.client.ask("/say 一\n/wait 90\n/say 二", assistant_id=ours._assistant_id)
        assert result.text == "一二"
    return work()


@scene()
async def refused_for_a_while(ours: World) -> Work:
    ours.on = First(Status(status=429, headers={"Retry-After": "30"}), ops.CreateMessage, ops.CreateRun, )
    return await two_rounds(ours)


async def held_for(ours: World, seconds: float, entering) -> None:
    entered = asyncio.Event()
    async def hold() -> None:
        async with entering:
            entered.set()
            await asyncio.sleep(seconds)
    ours.holder = asyncio.create_task(hold())
    await entered.wait()


@scene(limits=Limits(max_concurrent_requests=1))
async def waiting_for_a_turn(ours: World) -> Work:
    await held_for(ours, 30, ours.client._session.turns.turn())
    return await two_rounds(ours)


@scene(limits=Limits(requests_per_minute=2))
async def waiting_for_the_minute(ours: World) -> Work:
    await asyncio.sleep(61)
    return await plain(ours)


@scene()
async def waiting_for_a_thread(ours: World) -> Work:
    thread_id = (await ours.client.threads.create()).id
    await held_for(ours, 30, ours.client.threads.session(thread_id))
    return await in_session(ours, thread_id)


async def in_session(ours, thread_id, **options) -> Work:
    made = made_of(ours)
    async def work() -> None:
        async with ours.client.threads.session(thread_id, **options) as session:
            await session.say("hi")
            result = await session.ask(TOOLS.question, assistant_id=ours._assistant_id, tools=tools, deps=made)
            assert result.text == TOOLS.text
    return work()

async def active(ours):
    thread_id = (await ours.client.threads.create(messages=[{"role": "user", "content": "/wait 30\n/say other"}])).id
    stream = ours.client.threads.runs.stream(thread_id, assistant_id=ours._assistant_id, on_exit="leave")
    async with stream:
        await anext(stream)
    assert stream.snapshot.run
    return thread_id, stream.snapshot.run.id

@scene()
async def waiting_for_another_run(ours: World) -> Work:
    thread_id, _ = await active(ours)
    return await in_session(ours, thread_id)

@scene()
async def cancelling_another_run(ours: World) -> Work:
    thread_id, _ = await active(ours)
    return await in_session(ours, thread_id, on_active="cancel")

@scene()
async def waiting_for_a_run(ours: World) -> Work:
    ids = await active(ours)
    async def work() -> None:
        run = await ours.client.threads.runs.wait(*ids)
        assert run.status == "completed"
    return work()


@scene()
async def recorded(ours: World) -> Work:
    async def work() -> None:
        with record(ours.client):
            await (await two_rounds(ours))
    return work()

@scene(leaves=True)
async def left(ours: World) -> Work:
    return await streamed(ours, PLAIN, on_exit="leave")

@scene(leaves=True)
async def left_in_recovery(ours: World) -> Work:
    ours.breaks = {0: Break(after=1)}
    return await streamed(ours, PLAIN, on_exit="leave")
