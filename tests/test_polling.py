"""A run that is read again and again: when it is looked at, and what is made up of it."""

import asyncio
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import pytest

from aiodashassist import (
    Content,
    Event,
    Message,
    MessageDelta,
    MessageEvent,
    NotFound,
    Page,
    RequiredAction,
    Run,
    RunEvent,
    RunStep,
    StepEvent,
    ToolOutput,
    Toolset,
    ToolStarted,
    tool,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.models import (
    MessageCreation,
    StepDetails,
    SubmitToolOutputs,
    Text,
)
from aiodashassist.core.operations import Operation
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.jobs import Bench
from aiodashassist.polling import PolledRun, pauses
from aiodashassist.providers.dashscope import DashScopeProvider
from aiodashassist.stream import RunStream, StreamOptions
from aiodashassist.threads import WorkerThreads
from tests.scripted import ScriptedSession, StaysOpen
from tests.virtual_time import run

BEGAN = 1_000  # epoch milliseconds at which the run was made


def at(status: str, *calls: ToolCall) -> Run:
    """The run at a status, with the calls that it waits for."""
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    waits = action if calls else None
    return Run(id="run_1", thread_id="t", created_at=BEGAN, status=status, required_action=waits)


def call(name: str, call_id: str = "") -> ToolCall:
    """A call that waits."""
    return ToolCall(id=call_id, function=FunctionCall(name=name, arguments="{}"))


def said(message_id: str, text: str, **given: Any) -> Message:
    """A message of the run."""
    content = (Content(text=Text(value=text)),)
    usual: dict[str, Any] = {"run_id": "run_1", "created_at": BEGAN + 1, "role": "assistant"}
    return Message(id=message_id, content=content, **{**usual, **given})


def wrote(step_id: str, message_id: str, status: str | None = "completed") -> RunStep:
    """A step that wrote a message."""
    details = StepDetails(
        type="message_creation", message_creation=MessageCreation(message_id=message_id)
    )
    return RunStep(
        id=step_id, run_id="run_1", type="message_creation", status=status, step_details=details
    )


def called(step_id: str, status: str) -> RunStep:
    """A step that calls tools."""
    details = StepDetails(type="tool_calls")
    return RunStep(
        id=step_id, run_id="run_1", type="tool_calls", status=status, step_details=details
    )


class Service(ScriptedSession):
    """A service that tells the run as it is; notes when it was looked at."""

    def __init__(self, *, reopens: bool = True) -> None:
        super().__init__(DashScopeProvider() if reopens else StaysOpen())
        self.run = at("in_progress")
        self.steps: list[RunStep] = []
        self.messages: list[Message] = []  # of the thread, the oldest first
        self.looks: list[float] = []
        self.on_submit: Callable[[], None] = lambda: None

    async def call(self, operation: Operation[Any]) -> Any:
        """What is asked for."""
        self.asked.append(operation)
        if self.error is not None:
            raise self.error
        match operation:
            case ops.RetrieveRun():
                self.looks.append(asyncio.get_running_loop().time())
                return self.run
            case ops.ListSteps():
                return Page(data=tuple(self.steps))
            case ops.ListMessages(page=page):
                return self._page(page)
        self.on_submit()
        return self.run

    def _page(self, page: Any) -> Page[Message]:
        assert page["order"] == "desc"
        newest = self.messages[::-1]
        start = [m.id for m in newest].index(page["after"]) + 1 if "after" in page else 0
        shown = tuple(newest[start : start + page["page_size"]])
        return Page(data=shown, has_more=start + len(shown) < len(newest))

    def feed(self) -> PolledRun:
        """A feed of the run."""
        return PolledRun(self.typed(), "t", "run_1")

    def count(self, kind: type[Operation[Any]]) -> int:
        """How often such a thing was asked."""
        return len([asked for asked in self.asked if isinstance(asked, kind)])


def told(events: list[Event | None]) -> list[tuple[str, str]]:
    """What a list of events says: the kind or id, and the status."""
    found = []
    for event in events:
        match event:
            case RunEvent(status=status):
                found.append(("run", status))
            case StepEvent(status=status, step=step):
                found.append((step.id, status))
            case MessageEvent(status=status, message=message):
                found.append((message.id, status))
            case other:
                found.append((repr(other), ""))
    return found


async def all_of(feed: PolledRun) -> list[tuple[str, str]]:
    """All events of a feed that ends."""
    events = []
    while (event := await feed.next()) is not None:
        events.append(event)
    return told(list(events))


def test_pauses_grow_to_a_limit_and_are_never_in_step() -> None:
    """From 0.2 s by half to 5 s, a fifth up or down; two that wait draw different ones."""
    middles = [min(0.2 * 1.5**number, 5.0) for number in range(40)]
    drawn, others = list(islice(pauses(), 40)), list(islice(pauses(), 40))

    for pause, middle in zip(drawn, middles, strict=True):
        assert 0.8 * middle <= pause <= 1.2 * middle
    assert drawn != others


def test_a_run_that_does_not_change_is_looked_at_ever_less_often() -> None:
    """A minute of sameness is one event and few looks; a change makes them frequent again."""

    async def main() -> None:
        service = Service()
        feed = service.feed()
        assert told([await feed.next()]) == [("run", "in_progress")]
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(60)
        assert not waiting.done()
        assert 15 <= len(service.looks) <= 25
        gaps = [later - sooner for sooner, later in pairwise(service.looks)]
        assert gaps[0] <= 0.24
        assert 4 <= gaps[-1] <= 6
        service.run = at("cancelling")
        assert told([await waiting]) == [("run", "cancelling")]
        looks = len(service.looks)
        service.run = at("cancelled")
        await feed.next()
        assert service.looks[looks] - service.looks[looks - 1] <= 0.24

    run(main())


def test_a_run_without_a_status_is_not_asked_without_a_pause() -> None:
    """What the service leaves out must not make a storm of requests."""

    async def main() -> int:
        service = Service()
        service.run = at("")
        feed = service.feed()
        assert told([await feed.next()]) == [("run", "")]
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(60)
        waiting.cancel()
        return len(service.looks)

    assert run(main()) <= 25


def test_a_status_that_nobody_knows_is_told_and_waited_through() -> None:
    """Only the resting ones end the looking."""

    async def main() -> list[tuple[str, str]]:
        service = Service()
        feed = service.feed()
        events = []
        for status in ("", "queued", "pondering", "in_progress", "completed"):
            service.run = at(status)
            events.append(await feed.next())
        events.append(await feed.next())
        return told(events)

    assert run(main()) == [
        ("run", ""), ("run", "queued"), ("run", "pondering"), ("run", "in_progress"),
        ("run", "completed"), ("None", ""),
    ]  # fmt: skip


def test_all_that_a_run_said_comes_at_its_rest_in_the_order_of_its_steps() -> None:
    """A message comes before the step that wrote it; those without a step come last."""

    async def main() -> list[tuple[str, str]]:
        service = Service()
        service.run = at("completed")
        service.messages = [
            said("asked", "?", run_id=None, created_at=BEGAN - 1),
            said("m2", "2"),
            said("m1", "1"),
            said("stray", "3"),
        ]
        service.steps = [wrote("s1", "m1"), called("s2", "completed"), wrote("s3", "m2", None)]
        return await all_of(service.feed())

    assert run(main()) == [
        ("m1", "completed"), ("s1", "completed"), ("s2", "completed"), ("m2", "completed"),
        ("s3", "completed"), ("stray", "completed"), ("run", "completed"),
    ]  # fmt: skip


@pytest.mark.parametrize("left", [{"incomplete_at": 5}, {"status": "incomplete"}])
def test_a_message_that_was_left_is_told_as_such(left: dict[str, Any]) -> None:
    """Its time or its status says so."""

    async def main() -> list[tuple[str, str]]:
        service = Service()
        service.run = at("failed")
        service.messages = [said("m1", "ha", **left)]
        return await all_of(service.feed())

    assert run(main()) == [("m1", "incomplete"), ("run", "failed")]


@pytest.mark.parametrize(("size", "pages"), [(1, 1), (150, 2)])
def test_the_thread_is_read_back_to_the_runs_beginning_and_no_further(
    size: int, pages: int
) -> None:
    """300 older messages are not asked for; the user's later ones are passed over."""

    async def main() -> tuple[Service, list[tuple[str, str]]]:
        service = Service()
        service.run = at("completed")
        older = [said(f"old{n}", "x", run_id="run_0", created_at=n) for n in range(300)]
        mine = [said(f"m{n}", "x") for n in range(size)]
        later = said("later", "?", run_id=None, created_at=BEGAN + 9)
        service.messages = [*older, *mine, later]
        return service, await all_of(service.feed())

    service, events = run(main())

    assert service.count(ops.ListMessages) == pages
    assert events == [*((f"m{n}", "completed") for n in range(size)), ("run", "completed")]


def test_a_message_that_only_a_step_names_is_the_runs() -> None:
    """Where messages do not say whose they are, the steps that wrote them do (appbuilder.md §3.6).

    One that nobody names is not the run's, and does not end the reading unless it is older.
    """

    async def main() -> list[tuple[str, str]]:
        service = Service()
        service.run = at("completed")
        service.messages = [
            said("older", "x", run_id=None, created_at=BEGAN - 1),
            said("m1", "1", run_id=None),
            said("asked", "?", run_id=None),
            said("m2", "2", run_id=""),
        ]
        service.steps = [wrote("s1", "m1"), called("s2", "completed"), wrote("s3", "m2")]
        return await all_of(service.feed())

    assert run(main()) == [
        ("m1", "completed"), ("s1", "completed"), ("s2", "completed"), ("m2", "completed"),
        ("s3", "completed"), ("run", "completed"),
    ]  # fmt: skip


class SmallPages(DashScopeProvider):
    """A wire whose lists give seven objects at most."""

    largest_page = 7


def test_lists_are_read_in_the_largest_pages_of_the_wire() -> None:
    """No list is asked for more than it gives; all of a longer one is read."""

    async def main() -> tuple[Service, list[tuple[str, str]]]:
        service = Service()
        service.provider = SmallPages()
        service.run = at("completed")
        service.messages = [said(f"m{n}", "x") for n in range(20)]
        return service, await all_of(service.feed())

    service, events = run(main())
    lists = [
        asked for asked in service.asked if isinstance(asked, ops.ListSteps | ops.ListMessages)
    ]

    assert [asked.page.get("page_size") for asked in lists] == [7, 7, 7, 7]
    assert events == [*((f"m{n}", "completed") for n in range(20)), ("run", "completed")]


def test_a_message_without_a_time_does_not_end_the_reading() -> None:
    """Only one that is known to be older than the run does."""

    async def main() -> list[tuple[str, str]]:
        service = Service()
        service.run = at("completed")
        service.messages = [said("m1", "x"), said("later", "?", run_id=None, created_at=None)]
        return await all_of(service.feed())

    assert run(main()) == [("m1", "completed"), ("run", "completed")]


def test_what_was_told_is_not_told_again() -> None:
    """At its next rest a run tells only what is new of it."""

    async def main() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        service = Service(reopens=False)
        service.run = at("requires_action", call("f"))
        service.messages, service.steps = [said("m1", "1")], [wrote("s1", "m1")]
        feed = service.feed()
        first = told([await feed.next() for _ in range(3)])
        service.run = at("completed")
        service.messages.append(said("m2", "2"))
        service.steps.append(wrote("s2", "m2"))
        return first, await all_of(feed)

    first, second = run(main())

    assert first == [("m1", "completed"), ("s1", "completed"), ("run", "requires_action")]
    assert second == [("m2", "completed"), ("s2", "completed"), ("run", "completed")]


@pytest.mark.parametrize("status", ["requires_action", "completed", "expired", "incomplete"])
def test_a_run_at_rest_has_no_more_events(status: str) -> None:
    """Where outputs open a stream, waiting for them ends the feed as an ending does."""

    async def main() -> None:
        service = Service()
        service.run = at(status)
        feed = service.feed()
        await feed.next()
        looks = len(service.looks)
        assert await feed.next() is None
        assert await feed.next() is None
        assert len(service.looks) == looks

    run(main())


@tool
async def look() -> str:
    """Look."""
    return "seen"


def stays_open(service: Service, handler: Any = look) -> RunStream:
    """An attached stream of a provider that opens no new one for outputs."""
    tools = Toolset(handler)
    bench = Bench(tools=tools, threads=WorkerThreads(1))

    async def opening() -> Operation[Run]:
        return ops.RetrieveRun(thread_id="t", run_id="run_1")

    return RunStream(service.typed(), opening, StreamOptions(bench=bench))


@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("seen", [True, False])
def test_polling_goes_on_after_outputs_where_they_open_no_stream(steps: bool, seen: bool) -> None:
    """Each round is answered once, also if the next one is asked for between two looks."""

    async def main() -> list[list[str]]:
        service = Service(reopens=False)
        rounds = 0

        def ask() -> None:
            nonlocal rounds
            rounds += 1
            if rounds > 3:
                service.run = at("completed")
                service.messages = [said("m1", "end")]
                return
            # The service gives its calls no ids, but the steps tell them apart.
            service.run = at("requires_action", call("look", "" if steps else f"call_{rounds}"))
            if steps:
                service.steps = [called(f"s{n}", "completed") for n in range(rounds)]
                service.steps[-1] = called(f"s{rounds - 1}", "in_progress")

        async def later() -> None:
            service.run = at("in_progress")
            await asyncio.sleep(30)
            ask()

        def submitted() -> None:
            if seen:
                tasks.append(asyncio.create_task(later()))
            else:
                ask()

        tasks: list[asyncio.Task[None]] = []
        service.on_submit = submitted
        ask()
        async with stays_open(service) as stream:
            result = await stream.result()
        assert result.text == "end"
        await asyncio.gather(*tasks)
        return service.submissions

    assert run(main()) == [["seen"]] * 3


@pytest.mark.parametrize("after", [0, 3])
def test_leaving_while_tools_are_at_work_ends_all(after: int) -> None:
    """Neither the tools nor the polling beside them go on, and the run is cancelled remotely."""
    ended = []

    @tool
    async def sleep() -> str:
        """Sleep for long."""
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)
        return "awake"

    async def main() -> None:
        service = Service(reopens=False)
        service.run = at("requires_action", call("sleep"))
        async with stays_open(service, sleep) as stream:
            async for event in stream:
                if isinstance(event, ToolStarted):
                    break
            reading = asyncio.create_task(stream.result())
            await asyncio.sleep(after)
            reading.cancel()
            await asyncio.wait({reading})
        assert service.cancelled
        looks = len(service.looks)
        await asyncio.sleep(60)
        assert len(service.looks) == looks
        assert len(asyncio.all_tasks()) == 1

    run(main())

    assert ended == [True]


def test_a_round_that_is_not_taken_in_yet_is_not_answered_twice() -> None:
    """After the outputs the run may still be shown as waiting for them."""

    async def main() -> list[list[str]]:
        service = Service(reopens=False)
        service.run = at("requires_action", call("look", "c"))
        service.steps = [called("s", "in_progress")]
        async with stays_open(service) as stream:
            reading = asyncio.create_task(stream.result())
            await asyncio.sleep(30)
            assert len(service.looks) > 5
            service.steps = [called("s", "completed")]
            service.run = at("completed")
            await reading
        return service.submissions

    assert run(main()) == [["seen"]]


def test_calls_left_to_the_caller_are_gone_on_with_by_polling() -> None:
    """`submit` sends the outputs, and what the run says then is polled."""

    async def main() -> str:
        service = Service(reopens=False)
        service.run = at("requires_action", call("look"))

        def done() -> None:
            service.run = at("completed")
            service.messages = [said("m1", "end")]

        service.on_submit = done

        async def opening() -> Operation[Run]:
            return ops.RetrieveRun(thread_id="t", run_id="run_1")

        async with RunStream(service.typed(), opening, StreamOptions()) as stream:
            assert [c.call_id for c in (await stream.result()).pending_calls] == ["run_1:0:0"]
            await stream.submit([ToolOutput(output="mine")])
            texts = [event.text async for event in stream if isinstance(event, MessageDelta)]
        assert service.submissions == [["mine"]]
        return "".join(texts)

    assert run(main()) == "end"


def test_a_run_that_cannot_be_read_says_so() -> None:
    """The error of a look is the feed's, at the first look and at a later one."""

    async def main() -> None:
        service = Service()
        feed = service.feed()
        await feed.next()
        service.error = NotFound("gone", status=400)
        for _ in range(2):
            with pytest.raises(NotFound):
                await feed.next()

    run(main())


def test_closing_forgets_what_was_not_taken() -> None:
    """After it nothing that was read before is told."""

    async def main() -> list[tuple[str, str]]:
        service = Service()
        service.run = at("completed")
        service.messages = [said("m1", "1"), said("m2", "2")]
        feed = service.feed()
        await feed.next()
        feed.close()
        return await all_of(feed)

    assert run(main()) == []
