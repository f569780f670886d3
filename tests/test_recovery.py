"""A broken stream goes on: what is said of it, what comes after it, and what ends it for good."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import Any

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from aiodashassist import (
    APIError,
    AppBuilder,
    AuthenticationError,
    DashScope,
    ErrorEvent,
    Event,
    IdleTimeout,
    Message,
    MessageDelta,
    MessageEvent,
    OutcomeUnknown,
    RateLimited,
    Retry,
    Run,
    RunCancelled,
    RunError,
    RunEvent,
    RunExpired,
    RunFailed,
    RunStep,
    RunStream,
    StepEvent,
    StreamInterrupted,
    StreamRecovered,
    ThreadEvent,
    Timeouts,
    ToolFinished,
    ToolOutput,
    ToolRoundsExceeded,
    Toolset,
    TotalTimeout,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.models import TERMINAL
from aiodashassist.core.operations import Operation
from aiodashassist.providers.appbuilder.spelling import spell
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server import LocalServer, Stall
from aiodashassist.server.engines import Move, Turn
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.runs import Runs
from tests import virtual_time
from tests.in_process import Break, Dropped, Fault, Lost, Status
from tests.recovery import (
    ALIKE,
    PLAIN,
    PROVIDERS,
    SAFETY,
    TOOLS,
    Heard,
    Kind,
    Made,
    World,
    assistant_of,
    check,
    heard_of,
    listen,
    named,
    no_pauses,
    streamed,
    thread_of,
    tools,
    world,
)
from tests.test_cancellation import at_suspension, at_turn

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


def statuses(events: list[Event]) -> list[str]:
    """Where the run was said to be."""
    return [event.status for event in events if isinstance(event, RunEvent)]


async def drain(stream: RunStream, events: list[Event]) -> None:
    """Read to the end, noting what came before an error too."""
    async for event in stream:
        events.append(event)  # noqa: PERF401 (a comprehension would lose them)


def ends_after(sizes: list[int], events: int) -> Break:
    """The stream is broken when so many events have come; a negative number counts from its end."""
    return Break(after=sum(sizes[:events]))


async def after_one(ours: World) -> Break:
    """The stream breaks after its first piece of text, which is one character."""
    ((*sizes,),) = await ours.sizes("/say 一")
    is_dashscope = isinstance(ours.client, DashScope)
    return Break(after=sum(sizes[: 8 if is_dashscope else 4]))


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
@pytest.mark.parametrize(
    ("written", "read"), [("delta", "delta"), ("cumulative", "cumulative"), ("whole", "auto")]
)
async def test_however_messages_are_cut_their_text_comes_once(written: str, read: str) -> None:
    """Whatever AppBuilder's chunks are, a break in the middle of a message doubles nothing."""
    reading = {"message_chunks": read}
    async with world(AppBuilder, client=reading, message_chunks=written) as ours:
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
        events = list[Event]()
        async with asyncio.timeout(SAFETY), await ours.asked(question, tools=ours_tools) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, StreamRecovered):
                    told.set()
            result = await stream.result()
        order = [type(e) for e in events if isinstance(e, StreamRecovered | ToolFinished)]
        assert result.text == "完"
        assert order == (
            [ToolFinished, StreamRecovered] if posted else [StreamRecovered, ToolFinished]
        )
        assert made == {"wait": 1}
        assert statuses(events).count("requires_action") == 1
        assert ours.count("SubmitOutputs") == 1
        await ours.check_left()


async def begun_with(ours: World, question: str) -> int:
    """The bytes up to the event with which AppBuilder's stream asks for its first calls."""
    async with await ours.asked(question, tools=None) as stream:
        async for _ in stream:
            pass
        (begun,) = [one.length for one in ours.harness.exchanges if one.stream]
        await stream.cancel()
        return begun


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
        store, known = ours.harness.store, list[Run]()

        def stale(operation: Operation[Any]) -> Fault | None:
            if isinstance(operation, ops.SubmitOutputs):
                known[:] = [store.get("", Run, operation.run_id, operation.thread_id)] * 3
            if not isinstance(operation, ops.RetrieveRun) or not known:
                return None
            return Status(status=200, body=DashScopeService().answer(operation, known.pop(), "r"))

        ours.on = stale
        ours.breaks = {1: Break(after=0), 2: Break(after=0)}
        heard = await ours.heard(ALIKE.question)
        check(heard, ours.harness, ours.thread_id, ALIKE)
        assert not known
        assert ours.count("SubmitOutputs") == 2


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("first", [0, 5_000], ids=["from the start", "after a round"])
async def test_a_service_that_lists_no_steps(kind: Kind, first: int) -> None:
    """Where no step is listed rounds are known by their calls: each is answered, and once."""
    async with world(kind) as ours:
        empty = Status(status=200, body=b'{"object":"list","data":[],"has_more":false}')
        ours.on = lambda operation: empty if isinstance(operation, ops.ListSteps) else None
        ours.breaks = {0: Break(after=first), 1: Break(after=0), 2: Break(after=0)}
        if first and kind is DashScope:
            del ours.breaks[0]  # its first stream ends with the first round
        heard = await ours.heard(TOOLS.question)
        assert heard.result.text == "".join(texts(heard.events)) == TOOLS.text
        outputs = [event.output.output for event in heard.events if isinstance(event, ToolFinished)]
        assert outputs == ["杭州:晴", "北京:晴", "上海:晴"]
        assert ours.count("SubmitOutputs") == 2


@PROMPTLY
async def test_a_run_that_is_answered_while_it_is_read_back() -> None:
    """AppBuilder: calls that are read before the outputs arrive are not those of the next round."""
    question = '/call weather {"city": "甲"}\n/then\n/call weather {"city": "乙"}\n/then\n/say 完'
    async with world(AppBuilder, empty_call_ids=True) as ours:
        begun = await begun_with(ours, question)
        reading = asyncio.Event()
        ours.breaks = {0: Break(after=begun)}

        original = ours.harness.request

        async def request(method: str, url: Any, **given: Any) -> Any:
            """List steps only when the next round was asked for."""
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
async def test_calls_of_a_run_that_ended_while_it_was_read_are_not_made(kind: Kind) -> None:
    """A run that is cancelled between two reads of a look has no calls to be made."""
    async with world(kind) as ours:
        runs, made = ours.harness._runs, Made()

        def cancelling(operation: Operation[Any]) -> None:
            if isinstance(operation, ops.ListMessages) and ours.run.status == "requires_action":
                runs.cancel(ours.run)

        ours.on = cancelling
        ours.breaks = {0: Break(after=1000)}
        with pytest.raises(RunCancelled):
            await heard_of(await ours.asked(ALIKE.question, deps=made), made)
        assert not made


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

    runs: Runs

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """See `Engine.respond`."""
        said = False
        async for move in super().respond(turn):
            yield move
            if not said:
                said = True
                log = self.runs._live[turn.run.id].log
                log.append(ErrorEvent(code="Throttling", message="too much to do"))


@asynccontextmanager
async def grumbling(kind: Kind, **options: Any) -> AsyncIterator[World]:
    """A world whose streams report an error; `options` are the client's."""
    engine = Grumbling()
    async with world(kind, engine=engine, client=options) as ours:
        engine.runs = ours.harness._runs
        yield ours


@EACH_KIND
@PROMPTLY
async def test_an_error_in_the_stream_is_told_and_then_the_run_read_back(kind: Kind) -> None:
    """An `error` frame is an event, then comes the break, whose reason it is, and the rest."""
    async with grumbling(kind) as ours:
        heard = await ours.heard(PLAIN.question)
        check(heard, ours.harness, ours.thread_id, PLAIN)
        reported = [event for event in heard.events if isinstance(event, ErrorEvent)]
        assert [event.message for event in reported] == ["too much to do"]
        (told,) = heard.recovered
        assert heard.events.index(told) == heard.events.index(reported[0]) + 1
        assert "too much to do" in told.reason
        await ours.check_left()


@EACH_KIND
@PROMPTLY
async def test_an_error_in_the_stream_is_raised_where_the_run_cannot_be_read(kind: Kind) -> None:
    """If the run cannot be read back the reported error is raised, with the text so far."""
    async with grumbling(kind) as ours:
        ours.on = lambda operation: DENIED if isinstance(operation, ops.RetrieveRun) else None
        events = list[Event]()
        async with await ours.asked(PLAIN.question) as stream:
            with pytest.raises(RateLimited if kind is DashScope else APIError) as caught:
                await drain(stream, events)
            with pytest.raises(APIError):
                await stream.result()
        assert isinstance(events[-1], ErrorEvent)
        assert caught.value.message == "too much to do"
        assert caught.value.text == "".join(texts(events)) != ""
        assert caught.value.run_id == ours.run.id


# --- silence ---


@EACH_KIND
def test_an_idle_clock_that_runs_out_is_a_break(kind: Kind) -> None:
    """A stream that falls silent is left after `idle`, and what came meanwhile is read back."""

    async def main() -> None:
        async with world(kind, client={"timeouts": Timeouts(idle=60)}) as ours:
            heard = await ours.heard("/say 一\n/wait 90\n/say 二", None)
            (told,) = heard.recovered
            assert told.reason == "no event came for 60 s"
            assert texts(heard.events) == ["一", "二"]
            assert heard.result.text == "一二"
            await ours.check_left()

    virtual_time.run(main())


@EACH_KIND
def test_a_run_that_does_not_go_on_for_another_idle_is_given_up(kind: Kind) -> None:
    """After a second `idle` without any progress `IdleTimeout` is raised, and the run cancelled."""

    async def main() -> None:
        async with world(kind, client={"timeouts": Timeouts(idle=60)}) as ours:
            began, events = now(), list[Event]()
            async with await ours.asked("/say 一\n/wait 1000\n/say 二") as stream:
                with pytest.raises(IdleTimeout, match="60") as caught:
                    await drain(stream, events)
                assert now() - began == pytest.approx(120, abs=1)
            assert caught.value.text == "一"
            assert not texts(after_recovery(events))
            assert ours.run.status == "cancelled"
            await ours.check_left()

    virtual_time.run(main())


@EACH_KIND
def test_a_reported_error_is_raised_where_the_run_does_not_go_on(kind: Kind) -> None:
    """After an `error` frame and an `idle` without progress the reported error is raised."""

    async def main() -> None:
        async with grumbling(kind, timeouts=Timeouts(idle=60)) as ours:
            events = list[Event]()
            async with await ours.asked("/say 一\n/wait 1000") as stream:
                with pytest.raises(APIError, match="too much to do") as caught:
                    await drain(stream, events)
            assert caught.value.text == "一"
            assert now() == pytest.approx(60, abs=1)
            assert ours.run.status == "cancelled"

    virtual_time.run(main())


@EACH_KIND
def test_a_broken_streams_run_has_as_long_as_it_goes_on(kind: Kind) -> None:
    """A run whose status stays the same is not given up as long as steps are added to it."""
    plugins = ["/wait 50", '/plugin look {"input": ""} {"output": "x"}'] * 5

    async def main() -> None:
        async with world(kind, client={"timeouts": Timeouts(idle=60)}) as ours:
            ours.breaks = {0: Break(after=1200)}
            began = now()
            heard = await ours.heard("\n".join([*plugins, "/say 完"]), None)
            assert now() - began >= 250
            assert heard.result.text == "完"
            assert len(heard.recovered) == 1

    virtual_time.run(main())


@EACH_KIND
def test_tools_have_all_the_time_there_is_over_a_break(kind: Kind) -> None:
    """While a run that is read back waits for tools the service's silence is no silence."""
    slow = Toolset()

    @slow.register
    async def sleep() -> str:
        """Take long."""
        await asyncio.sleep(500)
        return "rested"

    async def main() -> None:
        async with world(kind, client={"timeouts": Timeouts(idle=60)}) as ours:
            ours.breaks = {0: Break(after=1200)}
            events = list[Event]()
            async with await ours.asked("/call sleep {}", tools=slow) as stream:
                await drain(stream, events)
                result = await stream.result()
            assert result.text == "sleep -> rested"
            assert statuses(events).count("requires_action") == 1

    virtual_time.run(main())


@PROMPTLY
@EACH_KIND
async def test_pings_do_not_keep_a_stalled_stream(kind: Kind) -> None:
    """A stream that only pings is silent: it is left, and its run read back."""
    async with (
        LocalServer() as server,
        server.client(kind, retry=Retry(first_delay=0), timeouts=Timeouts(idle=0.3)) as client,
    ):
        server.faults.add(Stall(after_events=4, ping=0.02))
        thread_id = await thread_of(client, PLAIN.question)
        async with asyncio.timeout(SAFETY):
            heard = await listen(client, thread_id, await assistant_of(client))
        check(heard, server, thread_id, PLAIN)
        (told,) = heard.recovered
        assert told.reason == "no event came for 0.3 s"


@EACH_KIND
def test_no_event_at_all_is_a_break_too(kind: Kind) -> None:
    """A stream without a first event within `first_event` has its run looked up and read back."""

    async def main() -> None:
        timeouts = Timeouts(first_event=60)
        async with world(kind, client={"timeouts": timeouts}) as ours:
            hold_back(ours)
            heard = await ours.heard(PLAIN.question, None)
            check(heard, ours.harness, ours.thread_id, PLAIN)
            (told,) = heard.recovered
            assert told.reason == "no event came within 60 s"

    virtual_time.run(main())


def hold_back(ours: World) -> None:
    """Let no byte of a stream arrive."""
    request = ours.harness.request

    async def held(*given: Any, **options: Any) -> Any:
        answer: Any = await request(*given, **options)
        if "event-stream" in answer.headers["Content-Type"]:
            answer.content.feed = lambda _data: None
            answer.content.end = lambda: None
        return answer

    ours.harness.request = held  # type: ignore[method-assign]


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


# --- runs that cannot be read back ---


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("error", [None, aiohttp.ClientPayloadError], ids=["ends", "breaks"])
async def test_the_break_is_raised_where_the_run_cannot_be_read(kind: Kind, error: Any) -> None:
    """If the run cannot be read it is the break that is raised, and again; why, is its cause."""
    async with world(kind) as ours:
        ((*sizes,),) = await ours.sizes(PLAIN.question)
        said = sum(sizes[: -5 if kind is DashScope else -3])
        ours.breaks = {0: Break(after=said, error=error)}
        ours.on = lambda operation: DENIED if isinstance(operation, ops.RetrieveRun) else None
        events = list[Event]()
        async with await ours.asked(PLAIN.question) as stream:
            with pytest.raises(StreamInterrupted, match=r"the stream (broke|ended)") as caught:
                await drain(stream, events)
            with pytest.raises(StreamInterrupted) as again:
                await anext(stream)
        assert not any(isinstance(event, StreamRecovered) for event in events)
        raised = caught.value
        assert again.value is raised
        assert raised.text
        assert PLAIN.text.startswith(raised.text)
        assert (raised.run_id, raised.thread_id) == (ours.run.id, ours.thread_id)
        assert isinstance(raised.__cause__, AuthenticationError)
        await ours.check_left()


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("begun", [True, False])
async def test_a_message_that_is_not_there_is_not_taken_for_whole(
    kind: Kind, *, begun: bool
) -> None:
    """A message that a completed run wrote, as stream or step tell, but no list: the break."""

    def forget(ours: World) -> None:
        for message in ours.harness.store.all("", Message, ours.thread_id):
            if message.role == "assistant":
                ours.harness.store.delete("", Message, message.id, ours.thread_id)

    async with world(kind) as ours:
        ((*sizes,),) = await ours.sizes(PLAIN.question)
        left = -5 if kind is DashScope else -3
        ours.breaks = {0: ends_after(sizes, left if begun else 1)}
        ours.on = lambda operation: (
            forget(ours) if isinstance(operation, ops.ListMessages) else None
        )
        events = list[Event]()
        async with await ours.asked(PLAIN.question) as stream:
            with pytest.raises(StreamInterrupted) as caught:
                await drain(stream, events)
        assert "completed" not in [e.status for e in events if isinstance(e, MessageEvent)]
        assert bool(caught.value.text) is begun
        assert PLAIN.text.startswith(caught.value.text or "")


# --- lists that are behind their run ---


class Late:
    """Hides a thread's answers from so many looks at its messages after its run has ended."""

    def __init__(self, ours: World, looks: int) -> None:
        self.looks = looks
        self._ours = ours
        ours.on = self.answer

    def answer(self, operation: Operation[Any]) -> Fault | None:
        """An empty list, or none of its own."""
        runs = self._ours.runs
        is_it = isinstance(operation, ops.ListMessages) and runs and runs[0].is_terminal
        if not is_it or not self.looks:
            return None
        self.looks -= 1
        return Status(status=200, body=b'{"object":"list","data":[],"has_more":false}')


@EACH_KIND
@pytest.mark.parametrize("attached", [False, True])
def test_what_a_list_shows_late_is_waited_for(kind: Kind, *, attached: bool) -> None:
    """A run that has completed is looked at again where its message is not listed yet."""

    async def main() -> None:
        async with world(kind) as ours:
            late = Late(ours, looks=3)
            ours.breaks = {0: Break(after=1200)}
            stream = await ours.asked(PLAIN.question, on_exit="leave")
            if attached:
                async with stream:
                    await anext(stream)
                stream = ours.client.threads.runs.attach(ours.thread_id, ours.run.id)
            heard = await heard_of(stream, Made())
            check(heard, ours.harness, ours.thread_id, PLAIN)
            assert not late.looks

    virtual_time.run(main())


@EACH_KIND
def test_what_a_list_never_shows_is_not_waited_for_for_ever(kind: Kind) -> None:
    """After some looks an attached run is told as it is kept, though nothing is listed of it."""

    async def main() -> None:
        async with world(kind) as ours:
            async with await ours.asked(PLAIN.question) as stream:
                await stream.result()
            late = Late(ours, looks=100)
            began = now()
            attached = ours.client.threads.runs.attach(ours.thread_id, ours.run.id)
            heard = await heard_of(attached, Made())
            assert heard.result.text == ""
            assert now() - began < 2
            assert late.looks == 96

    virtual_time.run(main())


@EACH_KIND
def test_identical_rounds_are_told_apart_though_they_are_read(kind: Kind) -> None:
    """A round just like the one before, without ids, is another once its step stays the newest."""

    async def main() -> None:
        async with world(kind, empty_call_ids=True) as ours:
            ours.breaks = {number: Break(after=0) for number in range(3)}
            heard = await ours.heard(ALIKE.question)
            check(heard, ours.harness, ours.thread_id, ALIKE)
            assert now() < 10

    virtual_time.run(main())


# --- messages that are listed otherwise than they were streamed (appbuilder.md §8 #10) ---


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("question", [PLAIN.question, TOOLS.question], ids=["one", "two"])
async def test_messages_may_have_other_ids_in_the_list(kind: Kind, question: str) -> None:
    """A message that is listed under another id goes on under its own, and comes once."""
    text = PLAIN.text if question == PLAIN.question else TOOLS.text

    def rename(ours: World) -> None:
        store = ours.harness.store
        for message in store.all("", Message, ours.thread_id):
            if message.role == "assistant" and not message.id.startswith("msg_"):
                store.delete("", Message, message.id, ours.thread_id)
                store.put("", replace(message, id=f"msg_{message.id}"), ours.thread_id)

    async with world(kind) as ours:
        sizes = await ours.sizes(question)
        ours.on = lambda operation: (
            rename(ours) if isinstance(operation, ops.ListMessages) else None
        )
        for stream in range(len(sizes)):
            for after in accumulate(sizes[stream]):
                ours.breaks = {stream: Break(after=after)}
                heard = await ours.heard(question)
                assert heard.result.text == "".join(texts(heard.events)) == text
                whole = [event for event in heard.events if isinstance(event, MessageEvent)]
                whole = [event for event in whole if event.status == "completed"]
                assert "".join(event.message.text for event in whole) == text
                assert len({event.message.id for event in whole}) == len(whole)


@PROMPTLY
async def test_a_message_that_only_the_runs_answer_has_is_taken_from_there() -> None:
    """AppBuilder: what no list shows, a completed run's `final_answer` may (§3.9)."""
    async with world(AppBuilder) as ours:
        ((*sizes,),) = await ours.sizes(PLAIN.question)
        ours.breaks = {0: ends_after(sizes, -3)}

        def only_answer(operation: Operation[Any]) -> Fault | None:
            store = ours.harness.store
            if isinstance(operation, ops.RetrieveRun) and ours.run.status == "completed":
                return Status(status=200, body=msgspec.json.encode(spell(ours.run, "result")))
            if isinstance(operation, ops.ListMessages):
                for message in store.all("", Message, ours.thread_id):
                    if message.role == "assistant":
                        store.delete("", Message, message.id, ours.thread_id)
            return None

        ours.on = only_answer
        heard = await ours.heard(PLAIN.question)
        assert len(heard.recovered) == 1
        assert heard.result.text == "".join(texts(heard.events)) == PLAIN.text
        assert len(heard.result.messages) == 1


@EACH_KIND
@PROMPTLY
async def test_only_the_runs_own_messages_are_read(kind: Kind) -> None:
    """What else stands on the thread, before the run and after it, is not handed out."""
    async with world(kind) as ours:
        thread_id = await thread_of(ours.client, "/say 以前")
        assistant_id = await assistant_of(ours.client)
        await heard_of(streamed(ours.client, thread_id, assistant_id), Made())
        for number in range(25):  # more than a page of AppBuilder's
            await ours.client.threads.messages.create(thread_id, content=f"第{number}个")
        await ours.client.threads.messages.create(thread_id, content=PLAIN.question)
        ours.breaks = {0: Break(after=1500)}
        ours._streams = 0
        later = Message(id="message_later", role="user", thread_id=thread_id, created_at=1 << 45)
        ours.on = lambda operation: (
            ours.harness.store.put("", later, thread_id)
            if isinstance(operation, ops.ListMessages)
            else None
        )
        heard = await heard_of(streamed(ours.client, thread_id, assistant_id), Made())
        assert len(heard.recovered) == 1
        assert heard.result.text == "".join(texts(heard.events)) == PLAIN.text


# --- runs that end otherwise ---


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize(
    ("ending", "error"),
    [("/fail server_error boom", RunFailed), ("/expire", RunExpired)],
)
async def test_a_run_that_ends_badly_during_a_break(
    kind: Kind, ending: str, error: type[RunError]
) -> None:
    """The ending is told as an event, and raised by `result` with all of the text."""
    question = f"/say 一二三四五六七八九十\n{ending}"
    async with world(kind) as ours:
        events: list[Event]
        for after in (0, 900, 1500, 2500):
            ours.breaks, events = {0: Break(after=after)}, []
            async with await ours.asked(question) as stream:
                await drain(stream, events)
                with pytest.raises(error) as caught:
                    await stream.result()
            last = events[-1]
            assert isinstance(last, RunEvent)
            assert last.status == caught.value.status == ours.run.status
            assert caught.value.text == "".join(texts(events)) == "一二三四五六七八九十"
            whole = [event for event in events if isinstance(event, MessageEvent)]
            assert [event.status for event in whole].count("incomplete") == 1
            await ours.check_left()


@EACH_KIND
@PROMPTLY
async def test_a_failed_run_need_not_keep_its_message(kind: Kind) -> None:
    """What a failed run had begun to write may be gone: it is its failure that is told."""
    question = "/say 一二三四五六七八九十\n/fail server_error boom"
    async with world(kind) as ours:
        ours.breaks = {0: Break(after=5_000 if kind is DashScope else 2_000)}
        empty = Status(status=200, body=b'{"object":"list","data":[],"has_more":false}')
        ours.on = lambda operation: empty if isinstance(operation, ops.ListMessages) else None
        events = list[Event]()
        async with await ours.asked(question) as stream:
            await drain(stream, events)
            with pytest.raises(RunFailed, match="boom") as caught:
                await stream.result()
        assert isinstance(events[-1], RunEvent)
        assert caught.value.text == "".join(texts(events)) != ""


@EACH_KIND
def test_a_run_that_somebody_cancels_during_a_break(kind: Kind) -> None:
    """A run that was cancelled elsewhere ends its stream with that."""

    async def main() -> None:
        async with world(kind) as ours:
            ours.breaks = {0: await after_one(ours)}
            events = list[Event]()
            async with await ours.asked("/say 一\n/wait 50\n/say 二") as stream:
                async for event in stream:
                    events.append(event)
                    if isinstance(event, StreamRecovered):
                        await ours.client.threads.runs.cancel(ours.thread_id, ours.run.id)
                with pytest.raises(RunCancelled):
                    await stream.result()
            assert statuses(events)[-2:] == ["in_progress", "cancelled"]
            assert statuses(events).count("in_progress") == 1
            assert "".join(texts(events)) == "一"

    virtual_time.run(main())


@EACH_KIND
def test_the_stream_itself_can_cancel_a_run_that_is_read_back(kind: Kind) -> None:
    """`stream.cancel` during recovery: the stream goes on to its last event, `cancelled`."""

    async def main() -> None:
        async with world(kind) as ours:
            ours.breaks = {0: await after_one(ours)}
            events = list[Event]()
            async with await ours.asked("/say 一\n/wait 50\n/say 二") as stream:
                async for event in stream:
                    events.append(event)
                    if isinstance(event, StreamRecovered):
                        await stream.cancel()
            assert statuses(events)[-1] == "cancelled"
            assert ours.run.status == "cancelled"
            await ours.check_left()

    virtual_time.run(main())


# --- clocks and leaving ---


@EACH_KIND
def test_the_total_time_goes_on_over_a_break(kind: Kind) -> None:
    """`Timeouts.total` ends a run that is being read back, and cancels it."""

    async def main() -> None:
        timeouts = Timeouts(idle=None, total=100)
        async with world(kind, client={"timeouts": timeouts}) as ours:
            ours.breaks = {0: await after_one(ours)}
            began = now()
            async with await ours.asked("/say 一\n/wait 1000") as stream:
                with pytest.raises(TotalTimeout) as caught:
                    await drain(stream, [])
                assert now() - began == pytest.approx(100, abs=1)
            assert caught.value.text == "一"
            assert ours.run.status == "cancelled"
            await ours.check_left()

    virtual_time.run(main())


@EACH_KIND
@pytest.mark.parametrize("on_exit", ["cancel", "leave"])
def test_whoever_leaves_a_recovery_leaves_no_run_behind(kind: Kind, on_exit: str) -> None:
    """Leaving the block while the run is read back cancels it, unless it is to be left."""

    async def main() -> None:
        async with world(kind) as ours:
            ours.breaks = {0: await after_one(ours)}
            async with await ours.asked("/say 一\n/wait 5", on_exit=on_exit) as stream:
                async for event in stream:
                    if isinstance(event, StreamRecovered):
                        break
            assert ours.run.status == ("cancelled" if on_exit == "cancel" else "in_progress")
            await asyncio.sleep(10)
            await ours.check_left()

    virtual_time.run(main())


@EACH_KIND
def test_leaving_a_recovery_takes_no_longer_than_it_may(kind: Kind) -> None:
    """A cancellation that is not answered is given up after `Timeouts.cancel`."""

    async def main() -> None:
        async with world(kind, client={"timeouts": Timeouts(cancel=5)}) as ours:
            ours.breaks = {0: Break(after=1200)}
            request = ours.harness.request

            async def stuck(method: str, url: Any, **given: Any) -> Any:
                if url.path.endswith("/cancel"):
                    await asyncio.sleep(1000)
                return await request(method, url, **given)

            ours.harness.request = stuck  # type: ignore[method-assign]
            async with await ours.asked("/say 一\n/wait 300") as stream:
                async for event in stream:
                    if isinstance(event, StreamRecovered):
                        break
                began = now()
            assert now() - began == pytest.approx(5)
            assert ours.run.status == "in_progress"

    virtual_time.run(main())


@EACH_KIND
def test_a_cancelled_look_loses_nothing(kind: Kind) -> None:
    """An iteration that is cancelled while the run is read back can be gone on with."""

    async def main() -> None:
        async with world(kind) as ours:
            ours.breaks = {0: await after_one(ours)}
            events = list[Event]()
            async with await ours.asked("/say 一\n/wait 50\n/say 二") as stream:
                while True:
                    try:
                        async with asyncio.timeout(0.07):
                            events.append(await anext(stream))
                    except TimeoutError:
                        continue
                    except StopAsyncIteration:
                        break
                result = await stream.result()
            assert result.text == "".join(texts(events)) == "一二"
            assert len([e for e in events if isinstance(e, StreamRecovered)]) == 1

    virtual_time.run(main())


# --- another process, another way to begin ---


@EACH_KIND
@PROMPTLY
async def test_after_a_crash_a_run_is_attached_to(kind: Kind) -> None:
    """Whoever attaches gets all text once, and makes only the calls that were not made before."""
    async with world(kind) as ours:
        made = Made()
        crashing = await ours.asked(TOOLS.question, deps=made, on_exit="leave")
        async with crashing as stream:
            async for event in stream:
                if isinstance(event, RunEvent) and event.status == "in_progress" and made:
                    break  # the first round was answered
        assert made.total() == 2
        async with ours.client.threads.runs.attach(
            ours.thread_id, ours.run.id, tools=tools, deps=made
        ) as stream:
            heard = Heard(
                events=[event async for event in stream], result=await stream.result(), made=made
            )
        assert set(made.values()) == {1}
        assert made.total() == 3
        assert heard.result.text == "".join(texts(heard.events)) == TOOLS.text
        assert ours.count("SubmitOutputs") == 2
        await ours.check_left()


@PROMPTLY
async def test_a_thread_and_run_that_nobody_told_of_cannot_be_found() -> None:
    """A `create_and_stream` that breaks before its first event is `OutcomeUnknown`."""
    for kind in PROVIDERS:
        async with world(kind) as ours:
            ours.breaks = {0: Break(after=10)}
            with pytest.raises(OutcomeUnknown, match="create the thread first"):
                await created_and_heard(ours, PLAIN.question)
            assert ours.count("CreateThreadAndRun") == 1


async def created_and_heard(ours: World, question: str) -> Heard:
    """A run on a thread that it creates."""
    made = Made()
    stream = ours.client.threads.create_and_stream(
        assistant_id=await assistant_of(ours.client),
        thread={"messages": [{"role": "user", "content": question}]},
        tools=tools,
        deps=made,
    )
    return await heard_of(stream, made)


@EACH_KIND
@PROMPTLY
async def test_a_thread_that_was_told_of_is_enough_to_find_the_run(kind: Kind) -> None:
    """A `create_and_stream` that breaks after its first event is read back, and begun once."""
    async with world(kind) as ours:
        await created_and_heard(ours, TOOLS.question)
        first, *_ = next(one.sizes for one in ours.harness.exchanges if one.stream)
        for after in (first, first + 10, first + 2000):
            ours._streams, ours.breaks = 0, {0: Break(after=after)}
            ours.harness.exchanges.clear()
            heard = await created_and_heard(ours, TOOLS.question)
            thread_id = heard.result.thread_id
            assert thread_id is not None
            check(heard, ours.harness, thread_id, TOOLS)
            assert len(heard.recovered) == 1
            assert ours.count("CreateThreadAndRun") == 1
            assert ours.count("CreateRun") == 0
            threads = [event for event in heard.events if isinstance(event, ThreadEvent)]
            assert len(threads) == (kind is DashScope)


# --- cancelled anywhere ---


@EACH_KIND
@PROMPTLY
@pytest.mark.parametrize("cancel", [at_suspension, at_turn])
@pytest.mark.parametrize("after", [0, 2000, 4000])
async def test_a_recovery_cancelled_anywhere_leaves_nothing_behind(
    kind: Kind,
    after: int,
    cancel: Callable[[int, Coroutine[Any, Any, None]], Awaitable[bool]],
) -> None:
    """At each moment in turn: tasks and answers end, and so does the run at the service."""
    async with world(kind) as ours:
        statuses, at, reached = set[str](), 1, True
        while reached:
            ours.breaks = {number: Break(after=after) for number in range(3)}
            stream = await ours.asked(TOOLS.question)
            with named(f"cancelled at {at}"):
                reached = await cancel(at, read_all(stream))
                statuses |= {run.status for run in ours.runs}
                assert statuses <= TERMINAL
                await ours.check_left()
            at += 1
        assert statuses == {"cancelled", "completed"}
        ours.breaks = {}
        check(await ours.heard(TOOLS.question), ours.harness, ours.thread_id, TOOLS)


async def read_all(stream: RunStream) -> None:
    """A stream from its opening to its end."""
    async with stream:
        assert (await stream.result()).text == TOOLS.text


@EACH_KIND
@PROMPTLY
async def test_a_run_whose_stream_had_opened_is_not_begun_again(kind: Kind) -> None:
    """A stream that opened and broke was asked for, though no list shows its run: it is unknown."""
    async with world(kind) as ours:
        empty = Status(status=200, body=b'{"object":"list","data":[],"has_more":false}')
        ours.on = lambda operation: empty if isinstance(operation, ops.ListRuns) else None
        ours.breaks = {0: Break(after=0)}
        with pytest.raises(OutcomeUnknown):
            await ours.heard(PLAIN.question)
        assert ours.count("CreateRun") == 1
        assert len(ours.runs) == 1
