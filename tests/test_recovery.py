"""A broken stream goes on: what is said of it, what comes after it, and what ends it for good."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import accumulate
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from aiodashassist import (
    APIError,
    AppBuilder,
    DashScope,
    ErrorEvent,
    Event,
    MessageDelta,
    RateLimited,
    Run,
    RunEvent,
    RunStep,
    StepEvent,
    StreamRecovered,
    ToolFinished,
    ToolOutput,
    ToolRoundsExceeded,
    Toolset,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server.engines import Move, Turn
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.writing import EventLog
from tests.in_process import Break, Dropped, Fault, InProcess, Lost, Status
from tests.recovery import (
    ALIKE,
    PLAIN,
    PROVIDERS,
    SAFETY,
    TOOLS,
    Kind,
    Made,
    World,
    check,
    heard_of,
    no_pauses,
    world,
)

EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
PROMPTLY = pytest.mark.usefixtures(no_pauses.__name__)
DENIED = Status(status=401, body=b'{"code":"InvalidApiKey","message":"Invalid API-key provided."}')


def after_recovery(events: list[Event]) -> list[Event]:
    """What came after the break was told."""
    at = next(i for i, event in enumerate(events) if isinstance(event, StreamRecovered))
    return events[at + 1 :]


def texts(events: list[Event]) -> list[str]:
    """The pieces of text that were handed out."""
    return [event.text for event in events if isinstance(event, MessageDelta) and event.text]


def ends_after(sizes: list[int], events: int) -> Break:
    """The stream is broken when so many events have come; a negative number counts from its end."""
    return Break(after=sum(sizes[:events]))


# --- what is said of a break ---


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "the stream ended before the run was at rest"),
        (aiohttp.ClientPayloadError, "the stream broke: ClientPayloadError"),
    ],
)
async def test_a_break_is_told_with_its_reason_and_the_run_as_it_was_found(
    kind: Kind, error: Any, reason: str
) -> None:
    """`StreamRecovered` says how the stream broke, and has the run as it was read."""
    async with world(kind) as ours:
        ours.breaks = {0: Break(after=2000, error=error)}
        heard = await ours.heard(PLAIN.question)
        (told,) = heard.recovered
        assert told.reason == reason
        assert told.name == ""
        assert told.run.id == ours.run.id
        assert told.run.thread_id == ours.thread_id
        check(heard, ours.harness, ours.thread_id, PLAIN)


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("missing", [1, 2, 3])
async def test_between_the_last_text_and_the_end_there_is_none_to_hand_out(
    kind: Kind, missing: int
) -> None:
    """A break when all the text had come brings the end of message, step and run, and no text."""
    async with world(kind) as ours:
        ((*sizes,),) = await ours.sizes(PLAIN.question)
        left = missing + 1 if kind is DashScope else min(missing, 2)  # `done` is an event more
        ours.breaks = {0: ends_after(sizes, -left)}
        heard = await ours.heard(PLAIN.question)
        check(heard, ours.harness, ours.thread_id, PLAIN)
        assert "".join(texts(heard.events)) == PLAIN.text
        after = after_recovery(heard.events)
        assert not texts(after)
        assert isinstance(after[-1], RunEvent)


@EACH_KIND
@PROMPTLY
async def test_the_text_alone_goes_on_over_a_break(kind: Kind) -> None:
    """`text_stream` gives the missing rest of a text, and nothing twice."""
    async with world(kind) as ours:
        ((*sizes,),) = await ours.sizes(PLAIN.question)
        ours.breaks = {0: ends_after(sizes, -5 if kind is DashScope else -3)}
        async with await ours.asked(PLAIN.question) as stream:
            pieces = [piece async for piece in stream.text_stream]
        assert "".join(pieces) == PLAIN.text
        assert len(pieces) > 1


@PROMPTLY
async def test_each_stream_of_a_run_may_break() -> None:
    """The stream that a submission opens breaks and is read back like the first."""
    async with world(DashScope) as ours:
        for after in (0, 700, 2000, 4000):
            ours.breaks = {number: Break(after=after) for number in range(3)}
            heard = await ours.heard(TOOLS.question)
            check(heard, ours.harness, ours.thread_id, TOOLS)
            assert len(heard.recovered) == 3
            assert ours.count("SubmitOutputs") == 2


@EACH_KIND
@PROMPTLY
async def test_what_is_read_back_may_be_lost_on_its_way_too(kind: Kind) -> None:
    """Each look at the run is repeated like any read, and nothing comes twice for that."""
    async with world(kind) as ours:
        lost = {"RetrieveRun": 2, "ListSteps": 2, "ListMessages": 2}

        def losing(operation: Operation[Any]) -> Fault | None:
            name = type(operation).__name__
            lost[name] = lost.get(name, 0) - 1
            return Lost() if lost[name] >= 0 else None

        ours.on = losing
        ours.breaks = {0: Break(after=2000)}
        heard = await ours.heard(TOOLS.question)
        check(heard, ours.harness, ours.thread_id, TOOLS)
        assert max(lost.values()) < 0


@PROMPTLY
@pytest.mark.parametrize("chunks", ["delta", "cumulative", "whole"])
async def test_however_messages_are_cut_their_text_comes_once(chunks: str) -> None:
    """Whatever AppBuilder's chunks are, a break in the middle of a message doubles nothing."""
    async with world(AppBuilder, message_chunks=chunks) as ours:
        question = "/say 一二三四五六七八九十,一二三四五六七八九十。"
        ((*sizes,),) = await ours.sizes(question)
        for after in accumulate(sizes):
            ours.breaks = {0: Break(after=after)}
            heard = await ours.heard(question)
            check(heard, ours.harness, ours.thread_id, replace(PLAIN, text=question[5:]))


@EACH_KIND
@PROMPTLY
async def test_steps_of_plugins_come_once(kind: Kind) -> None:
    """A break between the growing calls of a vendor's plugin leaves each step with one end."""
    question = """\
/plugin quark_search {"input": {"query": "天气"}} {"output": {"found": 3}}
/say 找到了。
/plugin calculator {"input": "1+1"} {"output": "2"}
/say 是2。"""
    async with world(kind) as ours:
        whole = await ours.heard(question)
        sizes = next(one.sizes for one in ours.harness.exchanges if one.stream)
        for after in accumulate(sizes):
            ours.breaks = {0: Break(after=after)}
            heard = await ours.heard(question)
            steps = ours.harness.store.all("", RunStep, ours.run.id)
            ended = [event for event in heard.events if isinstance(event, StepEvent)]
            ended = [event for event in ended if event.status == "completed"]
            assert [event.step.id for event in ended] == [step.id for step in steps]
            assert heard.result.text == whole.result.text == "找到了。是2。"
            if kind is DashScope:  # AppBuilder's wire does not tell of plugins
                assert [call.output for call in heard.result.tool_calls] == ['{"found":3}', "2"]


# --- in the middle of a tool round ---


@PROMPTLY
@pytest.mark.parametrize("posted", [False, True])
async def test_a_stream_that_stays_open_breaks_while_a_round_is_under_way(*, posted: bool) -> None:
    """Tools at work go on, outputs on their way arrive: no call is made again."""
    told, made = asyncio.Event(), Made()
    ours_tools = Toolset()

    @ours_tools.register
    async def wait() -> str:
        """Wait until the break was told, or do not."""
        made["wait"] += 1
        if not posted:
            await told.wait()
        return "done"

    async with world(AppBuilder) as ours:
        question = "/call wait {}\n/then\n/say 完"
        begun = await begun_with(ours, question)
        ours.breaks = {0: Break(after=begun + posted)}  # with the first byte of what comes after
        order = []
        async with asyncio.timeout(SAFETY), await ours.asked(question, tools=ours_tools) as stream:
            async for event in stream:
                if isinstance(event, StreamRecovered):
                    told.set()
                if isinstance(event, StreamRecovered | ToolFinished):
                    order.append(type(event))
            result = await stream.result()
        assert result.text == "完"
        assert order == (
            [ToolFinished, StreamRecovered] if posted else [StreamRecovered, ToolFinished]
        )
        assert made == {"wait": 1}
        assert ours.count("SubmitOutputs") == 1
        await ours.check_left()


async def begun_with(ours: World, question: str) -> int:
    """The bytes up to the event with which AppBuilder's stream asks for its first calls."""
    async with await ours.asked(question, tools=None) as stream:
        async for _ in stream:
            pass
        (streamed_,) = [one for one in ours.harness.exchanges if one.stream]
        return streamed_.length


@PROMPTLY
@pytest.mark.parametrize("fault", [Lost(), Dropped()], ids=["after the work", "before it"])
async def test_stream_and_submission_may_be_lost_together(fault: Fault) -> None:
    """AppBuilder's outputs are taken once, though their answer is lost and the stream broken."""
    async with world(AppBuilder, empty_call_ids=True) as ours:
        begun = await begun_with(ours, ALIKE.question)
        faults = [fault]
        ours.breaks = {0: Break(after=begun + 1 if isinstance(fault, Lost) else begun)}
        ours.on = lambda operation: (
            faults.pop() if faults and isinstance(operation, ops.SubmitOutputs) else None
        )
        heard = await ours.heard(ALIKE.question)
        check(heard, ours.harness, ours.thread_id, ALIKE)
        assert not faults


@PROMPTLY
async def test_a_service_that_is_slow_to_tell_that_outputs_were_taken() -> None:
    """DashScope: a run that still seems to wait for outputs it has is looked at once more."""
    async with world(DashScope, empty_call_ids=True) as ours:
        store, old = ours.harness.store, list[Run]()

        def stale(operation: Operation[Any]) -> Fault | None:
            if isinstance(operation, ops.SubmitOutputs):
                old[:] = [store.get("", Run, operation.run_id, operation.thread_id)] * 3
            if isinstance(operation, ops.RetrieveRun) and old:
                run = old.pop()
                return Status(status=200, body=DashScopeService().answer(operation, run, "r"))
            return None

        ours.on = stale
        ours.breaks = {1: Break(after=0), 2: Break(after=0)}
        heard = await ours.heard(ALIKE.question)
        check(heard, ours.harness, ours.thread_id, ALIKE)
        assert ours.count("SubmitOutputs") == 2


@PROMPTLY
async def test_a_run_that_is_answered_while_it_is_read_back() -> None:
    """AppBuilder: calls that are read before the outputs arrive are not those of the next round."""
    question = '/call weather {"city": "甲"}\n/then\n/call weather {"city": "乙"}\n/then\n/say 完'
    async with world(AppBuilder, empty_call_ids=True) as ours:
        begun = await begun_with(ours, question)
        reading = asyncio.Event()
        ours.breaks = {0: Break(after=begun)}

        class Slow(InProcess):
            """Lists steps only when the next round was asked for."""

        original = ours.harness.request

        async def request(method: str, url: Any, **given: Any) -> Any:
            if url.path.endswith("submit_tool_outputs"):
                await reading.wait()
            if url.path.endswith("steps/list") and not reading.is_set():
                reading.set()
                while len(ours.harness.store.all("", RunStep, ours.run.id)) < 2:
                    await asyncio.sleep(0)
            return await original(method, url, **given)

        ours.harness.request = request  # type: ignore[method-assign]
        heard = await ours.heard(question)
        outputs = [event.output.output for event in heard.events if isinstance(event, ToolFinished)]
        assert outputs == ["甲:晴", "乙:晴"]
        assert heard.result.text == "完"
        assert ours.count("SubmitOutputs") == 2


@EACH_KIND
@PROMPTLY
async def test_rounds_are_counted_over_a_break(kind: Kind) -> None:
    """More rounds than `max_rounds` end the stream, although the run was read back meanwhile."""
    async with world(kind) as ours:
        ours.breaks = {0: Break(after=2000)}
        made = Made()
        with pytest.raises(ToolRoundsExceeded):
            await heard_of(await ours.asked(TOOLS.question, deps=made, max_rounds=1), made)
        assert made.total() == 2


@EACH_KIND
@PROMPTLY
async def test_the_users_own_calls_wait_over_a_break(kind: Kind) -> None:
    """Calls that are left to the user are pending after a break, and can be answered."""
    async with world(kind) as ours:
        ours.breaks = {0: Break(after=1500), 1: Break(after=0)}
        async with await ours.asked(ALIKE.question, tools=None) as stream:
            for output in ("1", "2"):
                async for _ in stream:
                    pass
                (call,) = stream.pending_calls
                await stream.submit([ToolOutput(tool_call_id=call.call_id, output=output)])
            result = await stream.result()
        assert result.text == "完"
        assert [call.output for call in result.tool_calls] == ["1", "2"]


# --- an error that is told in the stream ---


class Grumbling(OfflineEngine):
    """Reports an error in the stream after its first words; the run goes on."""

    log: EventLog
    code = "Throttling"

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """See `Engine.respond`."""
        said = False
        async for move in super().respond(turn):
            yield move
            if not said:
                said = True
                self.log.append(ErrorEvent(code=self.code, message="too much to do"))


@EACH_KIND
@PROMPTLY
async def test_an_error_in_the_stream_is_told_and_then_the_run_read_back(kind: Kind) -> None:
    """An `error` frame is an event, then comes the break, whose reason it is, and the rest."""
    async with grumbling(kind) as ours:
        heard = await ours.heard(PLAIN.question)
        check(heard, ours.harness, ours.thread_id, PLAIN)
        at = [isinstance(event, ErrorEvent) for event in heard.events].index(True)
        assert heard.events[at].message == "too much to do"
        told = heard.events[at + 1]
        assert isinstance(told, StreamRecovered)
        assert "too much to do" in told.reason
        await ours.check_left()


@EACH_KIND
@PROMPTLY
async def test_an_error_in_the_stream_is_raised_where_the_run_cannot_be_read(kind: Kind) -> None:
    """If the run cannot be read back the reported error is raised, with the text so far."""
    async with grumbling(kind) as ours:
        ours.on = lambda operation: DENIED if isinstance(operation, ops.RetrieveRun) else None
        events = []
        async with await ours.asked(PLAIN.question) as stream:
            with pytest.raises(RateLimited if kind is DashScope else APIError) as caught:
                async for event in stream:
                    events.append(event)
            with pytest.raises(APIError):
                await stream.result()
        assert isinstance(events[-1], ErrorEvent)
        assert caught.value.message == "too much to do"
        assert caught.value.text == "".join(texts(events)) != ""
        assert caught.value.run_id == ours.run.id


def grumbling(kind: Kind) -> Any:
    """A world whose streams report an error."""
    engine = Grumbling()
    made = world(kind, engine=engine)

    class Entered:
        async def __aenter__(self) -> World:
            ours: World = await made.__aenter__()
            runs = ours.harness._runs
            begin = runs.begin

            def noted(workspace: str, run: Run) -> Any:
                execution = begin(workspace, run)
                engine.log = execution.log
                return execution

            runs.begin = noted  # type: ignore[method-assign]
            return ours

        async def __aexit__(self, *error: object) -> None:
            await made.__aexit__(*error)

    return Entered()
