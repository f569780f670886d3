"""What a client does, in scenes that tests cut short: plain, over broken streams, in lines.

They are played against the local server without sockets, in virtual time: pauses cost nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from msgspec import Struct

from aiodashassist import Limits, Retry, Run, Thread, Timeouts, ToolContext, Toolset
from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.testing import Cassette, record
from tests.in_process import Break, Fault, Lost, Status
from tests.recovery import Kind, Made, Talk, World, assistant_of, thread_of, tools, world

__all__ = ("CANCEL", "PLAIN", "SCENES", "TOOLS", "Scene", "Stage", "Work", "staged")

Work: TypeAlias = Coroutine[Any, Any, None]

CANCEL = 5.0  # seconds, the usual `Timeouts.cancel`
HELD = 30  # seconds that somebody else holds what is waited for
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

slow = Toolset()


@slow.register
async def weather(context: ToolContext[Made], city: str) -> str:
    """The weather of a city, after a while."""
    context.deps[context.call_id] += 1
    try:
        await asyncio.sleep(3)
    finally:
        await asyncio.sleep(1)  # it has something to put in order
    return f"{city}:晴"


class Stage:
    """Where a scene is played.

    Attributes:
        ours: the world.
        made: the calls of tools.
        thread_id: the thread of the scene; `""` where it makes a new one.
        others: the tasks of others.
    """

    def __init__(self, ours: World, assistant_id: str) -> None:
        self.ours = ours
        self.client = ours.client
        self.assistant_id = assistant_id
        self.made = Made()
        self.thread_id = ""
        self.others: list[asyncio.Task[None]] = []

    @property
    def runs(self) -> dict[str, str]:
        """The runs of all threads, and their statuses."""
        store = self.ours.harness.store
        threads = store.all("", Thread)
        return {run.id: run.status for one in threads for run in store.all("", Run, one.id)}

    async def hold(self, what: AbstractAsyncContextManager[object]) -> None:
        """Have somebody else hold something for a while, from now on."""
        held = asyncio.Event()

        async def holding() -> None:
            async with what:
                held.set()
                await asyncio.sleep(HELD)

        self.others.append(asyncio.create_task(holding()))
        await held.wait()

    async def begin_other(self) -> str:
        """Begin a run on the thread that takes a while, and leave it; its id."""
        self.thread_id = await thread_of(self.client, f"/wait {HELD}\n/say other")
        stream = self.client.threads.runs.stream(
            self.thread_id, assistant_id=self.assistant_id, on_exit="leave"
        )
        async with stream:
            await anext(stream)
            run = stream.snapshot.run
        assert run is not None
        return run.id

    async def ask(self, talk: Talk) -> None:
        """Ask, and be answered rightly."""
        result = await self.client.ask(
            talk.question, assistant_id=self.assistant_id, tools=tools, deps=self.made
        )
        assert result.text == talk.text
        assert len(self.made) == sum(map(len, talk.rounds))

    async def streamed(self, talk: Talk, **params: Any) -> Work:
        """Reads a stream of a run that answers a question on a new thread."""
        stream = await self.ours.asked(talk.question, deps=self.made, **params)
        self.thread_id = self.ours.thread_id

        async def work() -> None:
            async with stream:
                async for _ in stream:
                    pass
                assert (await stream.result()).text == talk.text

        return work()

    async def visit(self, **options: Any) -> None:
        """Say something on the thread, and ask, in a session."""
        async with self.client.threads.session(self.thread_id, **options) as session:
            await session.say("hi")
            result = await session.ask(
                TOOLS.question, assistant_id=self.assistant_id, tools=tools, deps=self.made
            )
            assert result.text == TOOLS.text


class First:
    """The first request of each of these kinds goes wrong."""

    def __init__(self, fault: Fault, *kinds: type[Operation[Any]]) -> None:
        self._fault = fault
        self._kinds = set(kinds)

    def __call__(self, operation: Operation[Any]) -> Fault | None:
        """Whether this one does."""
        if type(operation) not in self._kinds:
            return None
        self._kinds.remove(type(operation))
        return self._fault


Begin: TypeAlias = Callable[[Stage], Awaitable[Work]]


class Scene(Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        begin: sets the stage, and gives the work that is to be cut short.
        client: options of its client.
        leaves: whether a run that was begun goes on when it is left.
        takes: seconds that it may take to wind up, of which pauses are part.
        closes: seconds until it learns that the client was closed.
        others: whether it may cancel the runs of others.
    """

    begin: Begin
    client: dict[str, Any]
    leaves: bool = False
    takes: float = 0.0
    closes: float = 0.0
    others: bool = False


SCENES: dict[str, Scene] = {}


def scene(client: dict[str, Any] | None = None, **marks: Any) -> Callable[[Begin], Begin]:
    """Take note of a scene."""

    def noted(begin: Begin) -> Begin:
        name = begin.__name__.replace("_", " ")
        SCENES[name] = Scene(begin=begin, client=client or {}, **marks)
        return begin

    return noted


@scene()
async def plain(stage: Stage) -> Work:
    """A question and its answer."""
    return stage.ask(PLAIN)


@scene()
async def tool_rounds(stage: Stage) -> Work:
    """An answer after two rounds of tools."""
    return stage.ask(TOOLS)


@scene()
async def cut_in_the_middle(stage: Stage) -> Work:
    """A stream that breaks, and a run that is read back."""
    ((*sizes,),) = await stage.ours.sizes(PLAIN.question)
    stage.ours.breaks = {0: Break(after=sum(sizes[: len(sizes) // 2]))}
    return await stage.streamed(PLAIN)


@scene()
async def cut_before_the_first_event(stage: Stage) -> Work:
    """A stream that breaks before its run is known: that is looked up."""
    stage.ours.breaks = {0: Break(after=1)}
    return await stage.streamed(PLAIN)


@scene()
async def cut_in_tool_rounds(stage: Stage) -> Work:
    """A stream that breaks just before it asks for tools, and the next one as it begins."""
    sizes = await stage.ours.sizes(TOOLS.question)
    asked = len(sizes[0]) if len(sizes) > 1 else len(sizes[0]) // 3
    stage.ours.breaks = {0: Break(after=sum(sizes[0][: asked - 2])), 1: Break(after=2)}
    return await stage.streamed(TOOLS)


@scene(takes=1, closes=1)
async def read_back_while_tools_work(stage: Stage) -> Work:
    """A run that is read back, and whose tools take their time."""
    sizes = await stage.ours.sizes(TOOLS.question)
    stage.ours.breaks = {0: Break(after=sum(sizes[0][:12]))}
    return await stage.streamed(TOOLS, tools=slow)


@scene({"retry": Retry()}, takes=CANCEL, closes=CANCEL)
async def lost_answers(stage: Stage) -> Work:
    """The first answer of each kind is lost: looks, pauses, another attempt."""
    stage.ours.on = First(
        Lost(),
        ops.CreateThread,
        ops.CreateMessage,
        ops.CreateRun,
        ops.SubmitOutputs,
        ops.RetrieveRun,
        ops.CancelRun,
    )
    return stage.ask(TOOLS)


@scene({"timeouts": Timeouts(idle=60)})
async def stalled(stage: Stage) -> Work:
    """A stream that falls silent, and is left for that."""
    return stage.ask(Talk(name="", question="/say 一\n/wait 90\n/say 二", text="一二"))


@scene()
async def refused(stage: Stage) -> Work:
    """Each request is refused once, and has a while to wait."""
    status = Status(status=429, headers={"Retry-After": str(HELD)})
    stage.ours.on = First(status, ops.CreateThread, ops.CreateRun)
    return stage.ask(PLAIN)


@scene({"limits": Limits(max_concurrent_requests=1)})
async def waiting_for_a_turn(stage: Stage) -> Work:
    """All seats are taken for a while."""
    await stage.hold(stage.client._session.turns.turn())
    return stage.ask(TOOLS)


@scene({"limits": Limits(max_concurrent_requests=1)})
async def waiting_for_a_turn_with_the_run(stage: Stage) -> Work:
    """Thread and message are there when all seats are taken."""
    work = await stage.streamed(PLAIN)
    await stage.hold(stage.client._session.turns.turn())
    return work


@scene({"limits": Limits(requests_per_minute=2)})
async def waiting_for_the_minute(stage: Stage) -> Work:
    """The run is the third request of its minute."""
    await asyncio.sleep(61)
    return stage.ask(PLAIN)


@scene(closes=HELD)  # when its turn comes
async def waiting_for_a_thread(stage: Stage) -> Work:
    """Another session of the process is on the thread."""
    stage.thread_id = (await stage.client.threads.create()).id
    await stage.hold(stage.client.threads.session(stage.thread_id))
    return stage.visit()


@scene()
async def waiting_for_the_run_of_another(stage: Stage) -> Work:
    """A run of somebody else is active on the thread, and waited for."""
    await stage.begin_other()
    return stage.visit()


@scene(others=True)
async def cancelling_the_run_of_another(stage: Stage) -> Work:
    """It is cancelled."""
    await stage.begin_other()
    return stage.visit(on_active="cancel")


@scene(leaves=True)
async def waiting_for_a_run(stage: Stage) -> Work:
    """A run that goes on by itself is waited for."""
    run_id = await stage.begin_other()

    async def work() -> None:
        run = await stage.client.threads.runs.wait(stage.thread_id, run_id)
        assert run.status == "completed"

    return work()


@scene()
async def recorded(stage: Stage) -> Work:
    """A recording is made meanwhile: what there is of it can be read."""

    async def work() -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "cassette.json")
            try:
                with record(stage.client, path):
                    await stage.ask(TOOLS)
            finally:
                Cassette.load(path)

    return work()


@scene(leaves=True)
async def left(stage: Stage) -> Work:
    """A run that is to go on when its stream is left."""
    return await stage.streamed(PLAIN, on_exit="leave")


@scene(leaves=True)
async def left_while_it_is_looked_up(stage: Stage) -> Work:
    """Such a run, when its stream had broken."""
    stage.ours.breaks = {0: Break(after=1)}
    return await stage.streamed(PLAIN, on_exit="leave")


@asynccontextmanager
async def staged(kind: Kind, play: Scene) -> AsyncIterator[Stage]:
    """A stage for a scene; nothing is left of it afterwards."""
    async with world(kind, client=play.client) as ours:
        stage = Stage(ours, await assistant_of(ours.client))
        yield stage
        for task in stage.others:
            task.cancel()
        await asyncio.gather(*stage.others, return_exceptions=True)
