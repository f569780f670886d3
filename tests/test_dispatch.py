"""Rounds of tool calls: whatever a tool does, its call ends in exactly one output."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import enum
import json
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec import Struct

from aiodashassist.core.events import ToolFinished, ToolProgress, ToolStarted
from aiodashassist.core.tooling import FunctionCall, ToolCall, ToolOutput
from aiodashassist.dispatch import Round
from aiodashassist.errors import (
    InvalidArgument,
    PauseRun,
    ToolArgumentsError,
    ToolError,
    ToolNotFound,
    ToolTimeout,
)
from aiodashassist.handler import ToolContext
from aiodashassist.jobs import Bench
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Toolset
from tests import virtual_time

PATIENCE = 2  # seconds after which a round that hangs is given up
SECRET = "sk-0123456789"

Function = Callable[..., Any]
Events = list[ToolStarted | ToolProgress | ToolFinished]


@pytest.fixture(name="threads")
def fixture_threads() -> Iterator[WorkerThreads]:
    """Worker threads that are closed at the end of the test."""
    threads = WorkerThreads(8)
    yield threads
    threads.close()


def called(name: str, arguments: str = "", number: int = 1) -> ToolCall:
    """A call as the model makes it."""
    function = FunctionCall(name=name, arguments=arguments)
    return ToolCall(id=f"wire{number}", call_id=f"call{number}", function=function)


def begin(
    calls: list[ToolCall],
    tools: Toolset,
    threads: WorkerThreads,
    given: Sequence[ToolOutput] = (),
    **bench: Any,
) -> Round:
    """Start a round."""
    settings = Bench(tools=tools, threads=threads, **bench)
    return Round(calls, settings, run_id="run1", thread_id="thread1", given=given)


async def follow(round_: Round) -> Events:
    """All events of a round, to its end."""
    events: Events = []
    async with asyncio.timeout(PATIENCE):
        while True:
            event = round_.take()
            if event is not None:
                events.append(event)
            elif round_.finished:
                return events
            else:
                await round_.news()


async def answer(
    function: Function, threads: WorkerThreads, arguments: str = "", **bench: Any
) -> ToolFinished:
    """What one call of one tool ends in."""
    tools = Toolset()
    tools.register(name="act")(function)
    round_ = begin([called("act", arguments)], tools, threads, **bench)
    events = await follow(round_)
    started, finished = events
    assert isinstance(started, ToolStarted)
    assert isinstance(finished, ToolFinished)
    assert round_.outputs() == (finished.output,)
    assert finished.output.tool_call_id == "wire1"
    return finished


def error_of(finished: ToolFinished) -> str:
    """The error that the model reads."""
    told = json.loads(finished.output.output)
    assert list(told) == ["error"]
    return str(told["error"])


class Point(Struct):
    """A struct."""

    x: int


class Colour(str, enum.Enum):  # noqa: UP042 (as users write it)
    """A choice."""

    RED = "red"


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
        ("杭州", "杭州"),
        (Colour.RED, "red"),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2**70, str(2**70)),
        (float("nan"), "null"),
        ({"城市": ["杭州", 1.5]}, '{"城市":["杭州",1.5]}'),
        ([Point(1)], '[{"x":1}]'),
        ({1: "a"}, '{"1":"a"}'),
    ],
    ids=repr,
)
async def test_a_value_is_written(value: object, expected: str, threads: WorkerThreads) -> None:
    """Text is the output as it is; anything else is written as JSON."""

    async def on_the_loop() -> Any:
        return value

    def in_a_thread() -> Any:
        return value

    for function in (on_the_loop, in_a_thread):
        finished = await answer(function, threads)
        assert finished.output.output == expected
        assert finished.error is None


class Fatal(BaseException):
    """An error that is no `Exception`."""


class Mute(Exception):
    """An error that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError(SECRET)

    __repr__ = __str__


def raising(error: BaseException) -> Function:
    """An async tool that raises."""

    async def function() -> None:
        raise error

    return function


def raising_in_a_thread(error: BaseException) -> Function:
    """A plain tool that raises."""

    def function() -> None:
        raise error

    return function


def giving(value: object) -> Function:
    """An async tool that gives a value."""

    async def function() -> object:
        return value

    return function


CRASHES: dict[str, Function] = {
    "exception": raising(ValueError(SECRET)),
    "exception in a thread": raising_in_a_thread(ValueError(SECRET)),
    "timeout of its own": raising(TimeoutError(SECRET)),
    "timeout of its own in a thread": raising_in_a_thread(TimeoutError(SECRET)),
    "exit": raising(SystemExit(SECRET)),
    "exit in a thread": raising_in_a_thread(SystemExit(SECRET)),
    "cancelled by itself": raising(asyncio.CancelledError(SECRET)),
    "cancelled by itself in a thread": raising_in_a_thread(asyncio.CancelledError(SECRET)),
    "cancelled future in a thread": raising_in_a_thread(concurrent.futures.CancelledError(SECRET)),
    "end of an iteration": raising(StopIteration(SECRET)),
    "end of an iteration in a thread": raising_in_a_thread(StopIteration(SECRET)),
    "end of an async iteration": raising(StopAsyncIteration(SECRET)),
    "no Exception": raising(Fatal(SECRET)),
    "end of a generator": raising(GeneratorExit(SECRET)),
    "end of a generator in a thread": raising_in_a_thread(GeneratorExit(SECRET)),
    "no Exception in a thread": raising_in_a_thread(Fatal(SECRET)),
    "group": raising(ExceptionGroup(SECRET, [ValueError(SECRET)])),
    "group of no Exceptions": raising(BaseExceptionGroup(SECRET, [Fatal(SECRET)])),
    "not printable": raising(Mute()),
    "not encodable": giving(object()),
    "tuple as a key": giving({(1, 2): SECRET}),
    "cycle": giving(CYCLE),
    "lone surrogate": giving(SECRET + "\ud800"),
    "lone surrogate inside": giving([SECRET + "\ud800"]),
}


@pytest.mark.parametrize("crash", CRASHES)
async def test_a_crash_is_one_output_that_gives_nothing_away(
    crash: str, threads: WorkerThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a crash the model reads that the tool failed; the exception goes to the event and log."""
    with caplog.at_level(logging.ERROR):
        finished = await answer(CRASHES[crash], threads)
    assert finished.output.output == '{"error":"act failed"}'
    assert isinstance(finished.error, BaseException)
    (record,) = [each for each in caplog.records if each.name == "aiodashassist.jobs"]
    assert record.getMessage() == "tool act crashed in run run1"
    assert record.exc_info is not None
    assert record.exc_info[1] is finished.error


async def test_a_crash_is_told_in_full_to_the_user(
    threads: WorkerThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """The event has the very exception, and the log its text; the output has neither."""
    error = ValueError(SECRET)
    finished = await answer(raising(error), threads)
    assert finished.error is error
    assert SECRET in caplog.text
    assert SECRET not in finished.output.output


@pytest.mark.parametrize("raise_it", [raising, raising_in_a_thread])
async def test_a_tool_error_speaks_to_the_model(
    raise_it: Callable[[BaseException], Function],
    threads: WorkerThreads,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The text of a `ToolError` is shown as it is, and is no crash; its cause is not shown."""
    error = ToolError("没有这个城市")
    error.__cause__ = ValueError(SECRET)
    finished = await answer(raise_it(error), threads)
    assert finished.output.output == '{"error":"没有这个城市"}'
    assert finished.error is error
    assert not caplog.records


class Silent(ToolError):
    """A tool's error that never calls its base."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [ToolError("half \ud800"), ToolError(ValueError("x")), Silent()],  # type: ignore[arg-type]
    ids=["surrogate", "no text", "no message"],
)
async def test_a_tool_error_that_cannot_be_told_is_an_output_too(
    error: ToolError, threads: WorkerThreads
) -> None:
    """A `ToolError` whose text cannot travel ends its call like any other error."""
    assert error_of(await answer(raising(error), threads))


async def test_our_own_words_stay_short_whatever_the_model_says(threads: WorkerThreads) -> None:
    """A model's own nonsense is quoted in an error only in part; a tool's text is not cut."""

    async def plain() -> str:
        raise ToolError("x" * 2000)

    long = "k" * 100_000
    unknown = await follow(begin([called(long)], Toolset(), threads))
    assert isinstance(unknown[-1], ToolFinished)
    key = await answer(plain, threads, json.dumps({long: 1}))
    told = await answer(plain, threads)

    assert len(unknown[-1].output.output) < 600
    assert len(key.output.output) < 600
    assert len(error_of(told)) == 2000


async def test_an_unknown_tool_is_answered_with_the_known_ones(threads: WorkerThreads) -> None:
    """A call of a tool that is not there is told which there are."""
    tools = Toolset()
    tools.register(name="one")(giving(1))
    tools.register(name="two")(giving(2))
    for toolset, known in ((tools, "one, two"), (Toolset(), "none")):
        round_ = begin([called("three")], toolset, threads)
        _, finished = await follow(round_)
        assert isinstance(finished, ToolFinished)
        assert error_of(finished) == f"there is no tool 'three'; there are: {known}"
        assert isinstance(finished.error, ToolNotFound)


def double(number: int) -> int:
    """Double it."""
    return number * 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"number": "x"}', "Expected `int`, got `str` - at `$.number`"),
        ("", "missing required field `number`"),
        ('{"number": 1, "other": 2}', "unknown field `other`"),
        ("{", "truncated"),
        ('{"number": 1}\ud800', ""),
        ('{"number": ' + "[" * 100_000, ""),
    ],
    ids=["type", "missing", "unknown", "broken", "surrogate", "deep"],
)
async def test_bad_arguments_are_answered_with_the_reason(
    arguments: str, reason: str, threads: WorkerThreads
) -> None:
    """Arguments that do not fit are answered with the reason, and the tool is not called."""
    finished = await answer(double, threads, arguments)
    assert reason in error_of(finished)
    assert isinstance(finished.error, ToolArgumentsError)


@pytest.mark.parametrize(("limit", "fits"), [(13, True), (12, False)])
async def test_arguments_are_bounded(limit: int, *, fits: bool, threads: WorkerThreads) -> None:
    """Arguments over the bound are refused before they are read; the bound itself is allowed."""
    finished = await answer(double, threads, '{"number": 4}', max_arguments_bytes=limit)
    if fits:
        assert finished.output.output == "8"
    else:
        assert error_of(finished) == "arguments over 12 bytes"
        assert isinstance(finished.error, ToolArgumentsError)


async def test_arguments_are_bounded_in_bytes(threads: WorkerThreads) -> None:
    """The bound is of bytes, not of characters, whatever the characters are."""
    arguments = '{"text": "\ud800杭州"}'
    finished = await answer(giving(1), threads, arguments, max_arguments_bytes=len(arguments))
    assert error_of(finished) == f"arguments over {len(arguments)} bytes"


async def test_an_async_tool_times_out(threads: WorkerThreads) -> None:
    """A call that takes too long is cancelled, and its output says that it timed out."""
    ended: list[str] = []

    async def act() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    finished = await answer(act, threads, timeout=0.01)
    assert error_of(finished) == "act timed out after 0.01 s"
    assert isinstance(finished.error, ToolTimeout)
    assert ended == ["ended"]


async def test_a_plain_tool_times_out_and_goes_on(threads: WorkerThreads) -> None:
    """A plain function that times out goes on in its thread, and its result is dropped."""
    release, ended = threading.Event(), threading.Event()

    def act() -> str:
        release.wait(10)
        ended.set()
        return "too late"

    finished = await answer(act, threads, timeout=0.25)  # long enough for a thread to begin
    assert error_of(finished) == "act timed out after 0.25 s"
    assert not ended.is_set()
    release.set()
    assert await asyncio.to_thread(ended.wait, 10)


def test_a_tools_own_timeout_is_stronger_than_the_rounds() -> None:
    """A tool's timeout holds for it, the round's for the others; None is no limit."""

    async def main() -> list[tuple[float, bool]]:
        tools = Toolset()

        async def slow() -> None:
            await asyncio.sleep(100)

        tools.register(name="own", timeout=50)(slow)
        tools.register(name="patient", timeout=500)(slow)
        tools.register(name="other")(slow)
        threads = WorkerThreads(1)
        found = []
        for timeout in (20, None):
            calls = [called(name) for name in ("own", "patient", "other")]
            round_ = begin(calls, tools, threads, timeout=timeout)
            await asyncio.wait(round_._tasks)
            while (event := round_.take()) is not None:
                if isinstance(event, ToolFinished):
                    found.append((event.duration, event.error is None))
        return found

    first = [(20.0, False), (50.0, False), (100.0, True)]
    second = [(50.0, False), (100.0, True), (100.0, True)]
    assert virtual_time.run(main()) == first + second


async def test_a_plain_tool_may_give_an_awaitable(threads: WorkerThreads) -> None:
    """What a plain function gives to be awaited is awaited on the loop."""
    loop = asyncio.get_running_loop()

    async def inner() -> bool:
        return asyncio.get_running_loop() is loop

    def act() -> Awaitable[bool]:
        return inner()

    assert (await answer(act, threads)).output.output == "true"


async def test_plain_tools_leave_the_loop_and_async_ones_stay(threads: WorkerThreads) -> None:
    """An async tool runs in the loop's thread, a plain one in another."""

    async def on_the_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    def in_a_thread() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await answer(on_the_loop, threads)).output.output == "true"
    assert (await answer(in_a_thread, threads)).output.output == "false"


async def test_a_busy_client_is_an_output() -> None:
    """When every thread is held by a call that nobody waits for, the model is told so."""
    loop, started, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold() -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(10)

    threads = WorkerThreads(1)
    held = asyncio.create_task(threads.run(hold))
    await started.wait()
    held.cancel()
    await asyncio.wait({held})
    finished = await answer(raising_in_a_thread(ValueError()), threads)
    release.set()
    threads.close()
    assert error_of(finished).startswith("busy")


async def test_a_tool_is_given_the_context_it_asks_for(threads: WorkerThreads) -> None:
    """A context says which run, thread and call it is, and holds the run's dependencies."""

    async def act(ctx: ToolContext[list[int]], number: int = 5) -> list[Any]:
        return [ctx.run_id, ctx.thread_id, ctx.call_id, ctx.deps, number]

    finished = await answer(act, threads, deps=[1, 2])
    assert json.loads(finished.output.output) == ["run1", "thread1", "call1", [1, 2], 5]


async def test_context_variables_are_the_callers(threads: WorkerThreads) -> None:
    """Tools of both kinds see the caller's context variables; what they set stays theirs."""
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("caller's")

    async def on_the_loop() -> str:
        seen = variable.get()
        variable.set("tool's")
        return seen

    def in_a_thread() -> str:
        seen = variable.get()
        variable.set("tool's")
        return seen

    calls = [called(name) for name in ("on_the_loop", "in_a_thread") * 2]
    round_ = begin(calls, Toolset(on_the_loop, in_a_thread), threads)
    await follow(round_)
    assert [output.output for output in round_.outputs()] == ["caller's"] * 4
    assert variable.get() == "caller's"


async def test_outputs_are_in_the_order_of_the_calls(threads: WorkerThreads) -> None:
    """Whichever call ends first, the outputs stand in the order of the calls, with their ids."""
    turn = [asyncio.Event() for _ in range(4)]
    turn[3].set()

    async def act(number: int) -> int:
        await turn[number].wait()
        turn[number - 1].set()
        return number

    calls = [called("act", f'{{"number": {i}}}', i) for i in range(4)]
    round_ = begin(calls, Toolset(act), threads)
    events = await follow(round_)
    finished = [event.output.output for event in events if isinstance(event, ToolFinished)]
    assert finished == ["3", "2", "1", "0"]
    assert round_.outputs() == tuple(
        ToolOutput(tool_call_id=f"wire{i}", output=str(i)) for i in range(4)
    )


async def test_each_call_starts_once_and_then_finishes_once(threads: WorkerThreads) -> None:
    """Every call has one `ToolStarted` and, after it, one `ToolFinished`; so has a failing one."""
    calls = [called("act", number=1), called("fail", number=2), called("nowhere", number=3)]
    tools = Toolset()
    tools.register(name="act")(giving(1))
    tools.register(name="fail")(raising(ValueError()))
    events = await follow(begin(calls, tools, threads))
    for call in calls:
        kinds = [type(event) for event in events if event.call is call]
        assert kinds == [ToolStarted, ToolFinished]
    assert len(events) == 6


async def test_calls_of_a_round_run_side_by_side(threads: WorkerThreads) -> None:
    """Async and plain tools of one round run at the same time, each waiting for its like."""
    tasks, workers = asyncio.Barrier(3), threading.Barrier(3, timeout=PATIENCE)

    async def meet() -> str:
        await tasks.wait()
        return "met"

    def meet_in_threads() -> str:
        workers.wait()
        return "met"

    calls = [called(name) for name in ("meet", "meet_in_threads") * 3]
    round_ = begin(calls, Toolset(meet, meet_in_threads), threads)
    await follow(round_)
    assert Counter(output.output for output in round_.outputs()) == {"met": 6}


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_calls_than_allowed_run_at_a_time(limit: int, threads: WorkerThreads) -> None:
    """As many calls run at a time as `concurrency` says, and those that wait have not started."""
    running, most = 0, 0

    async def act() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    calls = [called("act", number=i) for i in range(7)]
    events = await follow(begin(calls, Toolset(act), threads, concurrency=limit))
    assert most == limit
    at_work = 0
    for event in events:
        at_work += 1 if isinstance(event, ToolStarted) else -1
        assert at_work <= limit


async def test_a_round_without_calls_is_finished(threads: WorkerThreads) -> None:
    """Nothing to call is nothing to wait for."""
    round_ = begin([], Toolset(), threads)
    assert round_.finished
    assert round_.outputs() == ()
    assert round_.take() is None


async def test_news_come_as_soon_as_there_is_an_event(threads: WorkerThreads) -> None:
    """`news` is pending while there is nothing to take, and done when there is something."""
    go = asyncio.Event()

    async def act() -> None:
        await go.wait()

    round_ = begin([called("act")], Toolset(act), threads)
    news = round_.news()
    assert not news.done()
    assert round_.news() is news
    await news
    assert round_.news().done()  # the event has not been taken
    assert isinstance(round_.take(), ToolStarted)
    assert round_.take() is None
    news = round_.news()
    assert not news.done()
    assert not round_.finished
    go.set()
    await news
    assert round_.finished
    assert isinstance(round_.take(), ToolFinished)


async def test_cancelling_ends_what_runs_and_starts_nothing_more(threads: WorkerThreads) -> None:
    """Cancelling ends the calls at work; those in the queue never run; what is done stays done."""
    made: list[int] = []
    at_work = asyncio.Barrier(3)

    async def act(number: int) -> int:
        made.append(number)
        if number:
            await at_work.wait()
            await asyncio.Event().wait()
        return number

    calls = [called("act", f'{{"number": {i}}}', i) for i in range(4)]
    round_ = begin(calls, Toolset(act), threads, concurrency=2)
    await at_work.wait()
    running = round_.cancel()
    assert len(running) == 3
    await asyncio.wait(running, timeout=PATIENCE)
    assert all(task.cancelled() for task in running)
    assert made == [0, 1, 2]
    assert not round_.finished
    assert [output.output for output in round_.outputs()] == ["0"]
    assert round_.cancel() == []


async def test_cancelling_before_the_start_makes_no_call(threads: WorkerThreads) -> None:
    """A round that is cancelled at once calls nothing and says nothing."""
    round_ = begin([called("act")], Toolset(), threads)
    (task,) = round_.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
    assert round_.take() is None


@pytest.mark.parametrize("error", [None, ValueError(SECRET), ToolError("no")], ids=repr)
async def test_a_tool_that_swallows_its_cancellation_harms_nobody(
    error: Exception | None, threads: WorkerThreads
) -> None:
    """A tool that turns its cancellation into something else just ends, with an output."""
    started = asyncio.Event()

    async def act() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if error is not None:
                raise error from None
        return "gone on"

    round_ = begin([called("act")], Toolset(act), threads)
    await started.wait()
    running = round_.cancel()
    await asyncio.wait(running, timeout=PATIENCE)
    assert [task.cancelled() for task in running] == [False]
    assert len(round_.outputs()) == 1


async def test_a_tool_that_turns_its_cancellation_into_a_generator_s_end_just_ends(
    threads: WorkerThreads,
) -> None:
    """Its task has no exception, which nobody would look at."""
    started = asyncio.Event()
    closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def act() -> None:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await closing

    round_ = begin([called("act")], Toolset(act), threads)
    await started.wait()
    (task,) = round_.cancel()
    asyncio.get_running_loop().call_soon(closing.set_exception, GeneratorExit(SECRET))
    await asyncio.wait({task}, timeout=PATIENCE)

    assert task.exception() is None
    assert [output.output for output in round_.outputs()] == ['{"error":"act failed"}']


async def test_a_tool_that_swallows_its_timeout_gives_its_value(threads: WorkerThreads) -> None:
    """A tool that catches the cancellation of its timeout and gives a value has given it."""

    async def act() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "in the end"
        return "never"

    finished = await answer(act, threads, timeout=0.01)
    assert (finished.output.output, finished.error) == ("in the end", None)


async def test_a_tool_that_cancels_its_own_task_is_an_output(threads: WorkerThreads) -> None:
    """A tool that cancels the task it runs in crashes; the round is not left waiting for it."""

    async def act() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    assert error_of(await answer(act, threads)) == "act failed"


async def test_blocking_tools_do_not_hold_the_loop(threads: WorkerThreads) -> None:
    """Two plain and two async tools are at work at once, and the loop goes on meanwhile.

    The plain ones meet in their threads and then block until the async ones have met on the loop:
    run one after another, or on the loop, they would never end.
    """
    in_threads, on_loop, met = threading.Barrier(2), asyncio.Barrier(2), threading.Event()

    def block() -> str:
        in_threads.wait(PATIENCE)
        return "met" if met.wait(PATIENCE) else "alone"

    async def wait() -> str:
        await on_loop.wait()
        met.set()
        return "met"

    calls = [called(name) for name in ("block", "wait") * 2]
    round_ = begin(calls, Toolset(block, wait), threads)
    await follow(round_)

    assert [output.output for output in round_.outputs()] == ["met"] * 4


# Approval


def approving(verdict: object) -> list[Function]:
    """Approvals that give this, or raise it: async, plain, and plain giving an awaitable."""

    async def on_the_loop(_call: ToolCall) -> Any:
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    def in_a_thread(_call: ToolCall) -> Any:
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    return [on_the_loop, in_a_thread, lambda call: on_the_loop(call)]  # noqa: PLW0108


async def asked(
    approve: Function, threads: WorkerThreads, *, of_run: bool = False
) -> tuple[list[str], ToolFinished | None]:
    """The kinds of events of one call that is to be approved, and how it ended, if it did."""
    tools = Toolset()
    tools.register(name="act", approve=None if of_run else approve)(giving("acted"))
    round_ = begin([called("act")], tools, threads, approve=approve if of_run else None)
    events = await follow(round_)
    last = events[-1] if events else None
    assert last is None or isinstance(last, ToolFinished)
    return [type(event).__name__ for event in events], last


@pytest.mark.parametrize("of_run", [False, True])
async def test_a_call_that_is_approved_runs(threads: WorkerThreads, *, of_run: bool) -> None:
    """`True`, of a tool's approval or of the run's, async or plain, lets the call run."""
    for approve in approving(True):
        kinds, finished = await asked(approve, threads, of_run=of_run)
        assert kinds == ["ToolStarted", "ToolFinished"]
        assert finished is not None
        assert (finished.output.output, finished.error) == ("acted", None)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (False, "the call was refused"),
        ("", "the call was refused"),
        ("not on Sundays 星期日", "not on Sundays 星期日"),
        (Colour.RED, "red"),
        (ToolError("no funds"), "no funds"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("of_run", [False, True])
async def test_a_refusal_is_what_the_model_reads(
    verdict: object,
    reason: str,
    threads: WorkerThreads,
    caplog: pytest.LogCaptureFixture,
    *,
    of_run: bool,
) -> None:
    """A refused call is finished without having been started; the refusal is no crash."""
    for approve in approving(verdict):
        kinds, finished = await asked(approve, threads, of_run=of_run)
        assert kinds == ["ToolFinished"]
        assert finished is not None
        assert error_of(finished) == reason
        assert isinstance(finished.error, ToolError)
        assert finished.error.message == reason
        assert finished.duration == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (None, TypeError),
        (1, TypeError),
        ({"ok": True}, TypeError),
        (ValueError(SECRET), ValueError),
        (SystemExit(SECRET), SystemExit),
        (GeneratorExit(SECRET), GeneratorExit),
        (TimeoutError(SECRET), TimeoutError),
    ],
    ids=repr,
)
async def test_an_approval_that_goes_wrong_runs_nothing(
    verdict: object,
    kind: type[BaseException],
    threads: WorkerThreads,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Anything but yes or no, such as a forgotten `return`, is a crash: logged, and not run."""
    for approve in approving(verdict):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            kinds, finished = await asked(approve, threads)
        assert kinds == ["ToolFinished"]
        assert finished is not None
        assert finished.output.output == '{"error":"act failed"}'
        assert isinstance(finished.error, kind)
        told = [each for each in caplog.records if each.name == "aiodashassist.jobs"]
        assert [record.getMessage() for record in told] == ["tool act crashed in run run1"]


@pytest.mark.parametrize(
    ("tools_own", "runs", "questions"),
    [(True, True, ["tool", "run"]), (True, False, ["tool", "run"]), (False, True, ["tool"])],
)
async def test_both_approvals_must_say_yes(
    threads: WorkerThreads, *, tools_own: bool, runs: bool, questions: list[str]
) -> None:
    """The tool's approval is asked first, then the run's; a no is the end of it."""
    heard: list[tuple[str, str, str]] = []

    def asking(who: str, verdict: bool) -> Function:
        async def approve(call: ToolCall) -> bool:
            heard.append((who, call.call_id, call.arguments))
            return verdict

        return approve

    tools = Toolset()
    tools.register(name="double", approve=asking("tool", tools_own))(double)
    round_ = begin([called("double", '{"number": 2}')], tools, threads, approve=asking("run", runs))
    *_, finished = await follow(round_)
    assert heard == [(who, "call1", '{"number": 2}') for who in questions]
    assert isinstance(finished, ToolFinished)
    assert (finished.error is None) is (tools_own and runs)


@pytest.mark.parametrize(
    ("name", "arguments"), [("nobody", ""), ("double", "{}"), ("double", '{"number": "x"}')]
)
async def test_nobody_is_asked_about_nonsense(
    name: str, arguments: str, threads: WorkerThreads
) -> None:
    """A call of no tool, or with arguments that do not fit, is answered without an approval."""

    async def approve(call: ToolCall) -> bool:
        raise AssertionError(call)

    tools = Toolset()
    tools.register(approve=approve)(double)
    round_ = begin([called(name, arguments)], tools, threads, approve=approve)
    started, finished = await follow(round_)
    assert isinstance(started, ToolStarted)
    assert isinstance(finished, ToolFinished)
    assert isinstance(finished.error, ToolNotFound | ToolArgumentsError)


async def test_a_call_that_waits_for_its_approval_holds_no_seat(threads: WorkerThreads) -> None:
    """With one seat, another call runs to its end while somebody thinks about the first."""
    done = asyncio.Event()

    async def approve(call: ToolCall) -> bool:
        if call.name == "first":
            await done.wait()
        return True

    async def first() -> str:
        return "first"

    async def second() -> str:
        done.set()
        return "second"

    calls = [called("first", number=1), called("second", number=2)]
    round_ = begin(calls, Toolset(first, second), threads, concurrency=1, approve=approve)
    events = await follow(round_)
    assert [event.call.name for event in events] == ["second", "second", "first", "first"]


def test_the_time_of_an_approval_is_not_the_tools() -> None:
    """Neither the timeout of a tool nor its duration begins before the call is approved."""

    async def main() -> Events:
        async def approve(_call: ToolCall) -> bool:
            await asyncio.sleep(1000)
            return True

        async def act() -> str:
            await asyncio.sleep(5)
            return "acted"

        tools = Toolset()
        tools.register(timeout=10, approve=approve)(act)
        round_ = begin([called("act")], tools, WorkerThreads(1))
        await asyncio.wait(round_._tasks)
        return list(round_._events)

    started, finished = virtual_time.run(main())
    assert isinstance(started, ToolStarted)
    assert isinstance(finished, ToolFinished)
    assert (finished.error, finished.duration) == (None, 5)


PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


async def test_approvals_see_the_callers_context(threads: WorkerThreads) -> None:
    """Async and plain approvals alike run with the context variables of who began the round."""
    seen: list[tuple[str, bool]] = []

    def look(_call: ToolCall) -> bool:
        seen.append((PLACE.get(), threading.current_thread() is threading.main_thread()))
        return True

    async def look_on_the_loop(call: ToolCall) -> bool:
        return look(call)

    token = PLACE.set("here")
    try:
        await asked(look, threads)
        await asked(look_on_the_loop, threads)
    finally:
        PLACE.reset(token)
    assert seen == [("here", False), ("here", True)]


async def test_cancelling_ends_an_approval(threads: WorkerThreads) -> None:
    """Whoever is being asked on the loop is cancelled, and the call never starts."""
    at_work, ended = asyncio.Event(), asyncio.Event()

    async def approve(_call: ToolCall) -> bool:
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    round_ = begin([called("double", '{"number": 1}')], Toolset(double), threads, approve=approve)
    await at_work.wait()
    await asyncio.wait(round_.cancel(), timeout=PATIENCE)
    assert ended.is_set()
    assert round_.take() is None


async def test_an_approval_that_ignores_its_cancellation_starts_nothing(
    threads: WorkerThreads,
) -> None:
    """A yes that comes after the round was cancelled does not run the tool."""
    at_work = asyncio.Event()

    async def approve(_call: ToolCall) -> bool:
        at_work.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return True
        return False

    round_ = begin([called("double", '{"number": 1}')], Toolset(double), threads, approve=approve)
    await at_work.wait()
    (task,) = round_.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
    assert round_.take() is None


async def test_an_approval_stuck_in_a_thread_holds_nobody(threads: WorkerThreads) -> None:
    """Cancelling does not wait for a plain approval that blocks."""
    loop, at_work, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def approve(_call: ToolCall) -> bool:
        loop.call_soon_threadsafe(at_work.set)
        return release.wait(30)

    round_ = begin([called("double", '{"number": 1}')], Toolset(double), threads, approve=approve)
    await at_work.wait()
    (task,) = round_.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
    assert not release.is_set()
    release.set()


# Pauses, given outputs, and calls that are left to the caller


def grouped() -> Function:
    """A tool that pauses out of a task group of its own."""

    async def function() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(raising(PauseRun(SECRET))())

    return function


PAUSES: dict[str, Function] = {
    "async": raising(PauseRun(SECRET)),
    "plain": raising_in_a_thread(PauseRun(SECRET)),
    "out of a group": grouped(),
}


@pytest.mark.parametrize("pause", PAUSES)
async def test_a_tool_that_pauses_gives_no_output(
    pause: str, threads: WorkerThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """A pause is neither told to the model nor logged; the call is the caller's, others finish."""
    tools = Toolset(double)
    tools.register(name="pause")(PAUSES[pause])
    calls = [called("pause", number=1), called("double", '{"number": 2}', number=2)]
    with caplog.at_level(logging.DEBUG, logger="aiodashassist"):
        round_ = begin(calls, tools, threads)
        events = await follow(round_)

    assert sorted(type(event).__name__ for event in events if event.call.call_id == "call1") == [
        "ToolStarted"
    ]
    assert [call.call_id for call in round_.pending] == ["call1"]
    assert round_.completed == (ToolOutput(tool_call_id="call2", output="4"),)
    assert round_.outputs() == (ToolOutput(tool_call_id="wire2", output="4"),)
    assert not caplog.records


async def test_a_group_with_another_error_is_a_crash(threads: WorkerThreads) -> None:
    """Only where nothing but a pause was raised is it one."""
    error = ExceptionGroup("two", [PauseRun(), ValueError(SECRET)])
    assert error_of(await answer(raising(error), threads)) == "act failed"


async def test_an_approval_that_pauses_leaves_the_call(threads: WorkerThreads) -> None:
    """A call whose approval pauses has no event at all, and nobody else is asked."""
    for approve in approving(PauseRun(SECRET)):
        tools = Toolset()
        tools.register(name="act", approve=approve)(giving("acted"))
        round_ = begin([called("act")], tools, threads, approve=raising(AssertionError()))
        assert await follow(round_) == []
        assert [call.call_id for call in round_.pending] == ["call1"]
        assert (round_.completed, round_.outputs()) == ((), ())


async def test_news_come_when_the_last_call_pauses(threads: WorkerThreads) -> None:
    """Whoever waits is woken by the end of a round that has nothing more to tell."""
    go = asyncio.Event()

    async def pause() -> None:
        await go.wait()
        raise PauseRun

    round_ = begin([called("pause")], Toolset(pause), threads)
    await round_.news()
    assert isinstance(round_.take(), ToolStarted)
    news = round_.news()
    go.set()
    async with asyncio.timeout(PATIENCE):
        await news
    assert (round_.finished, round_.take()) == (True, None)


async def test_given_outputs_are_not_run_again(threads: WorkerThreads) -> None:
    """A call whose output is known runs nothing and tells nothing; the others run."""
    ran: list[int] = []

    async def act(number: int) -> int:
        ran.append(number)
        return number

    calls = [called("act", f'{{"number": {i}}}', i) for i in range(3)]
    given = [
        ToolOutput(tool_call_id="call0", output="A"),
        ToolOutput(tool_call_id="wire2", output="C"),
    ]
    round_ = begin(calls, Toolset(act), threads, given)
    assert round_.given == (
        (calls[0], ToolOutput(tool_call_id="wire0", output="A")),
        (calls[2], ToolOutput(tool_call_id="wire2", output="C")),
    )
    events = await follow(round_)
    assert ran == [1]
    assert {event.call.call_id for event in events} == {"call1"}
    assert [output.output for output in round_.outputs()] == ["A", "1", "C"]
    assert [output.tool_call_id for output in round_.completed] == ["call0", "call1", "call2"]


async def test_a_given_output_of_no_call_is_refused_before_anything_runs(
    threads: WorkerThreads,
) -> None:
    """An output that fits no call is an error, and no call is begun."""
    tasks = len(asyncio.all_tasks())
    with pytest.raises(InvalidArgument, match="'other' answers none of the calls call1"):
        begin(
            [called("double")],
            Toolset(double),
            threads,
            [ToolOutput(tool_call_id="other", output="")],
        )
    assert len(asyncio.all_tasks()) == tasks


async def test_without_a_bench_calls_are_the_callers() -> None:
    """Nobody is at work: what was not given is pending, and the caller's answers complete it."""
    calls = [called("a", number=1), called("b", number=2), called("c", number=3)]
    given = [ToolOutput(tool_call_id="call2", output="B")]
    round_ = Round(calls, None, run_id="run1", thread_id=None, given=given)
    assert (round_.finished, round_.take()) == (True, None)
    assert round_.news().done()
    assert [call.call_id for call in round_.pending] == ["call1", "call3"]
    assert round_.completed == tuple(given)

    with pytest.raises(InvalidArgument, match="2 tool outputs are expected, not 3"):
        round_.submit([ToolOutput(output="x")] * 3)
    answers = round_.submit(
        [ToolOutput(tool_call_id="call3", output="C"), ToolOutput(tool_call_id="wire1", output="A")]
    )
    expected = [("wire1", "A"), ("wire2", "B"), ("wire3", "C")]
    assert [(answer.tool_call_id, answer.output) for answer in answers] == expected
    submitted = {call.call_id: output.output for call, output in round_.submitted}
    assert submitted == {"call1": "A", "call3": "C"}


# Progress


async def test_what_a_tool_emits_is_told_in_order(threads: WorkerThreads) -> None:
    """Progress stands between the start and the end of its call, on the loop and in a thread."""

    async def on_the_loop(ctx: ToolContext[None]) -> str:
        await ctx.emit(1)
        await ctx.emit(2)
        ctx.emit_from_thread({"of": 3})  # no thread at all, and yet in its place
        return "done"

    def in_a_thread(ctx: ToolContext[None]) -> str:
        for data in (1, 2, {"of": 3}):
            ctx.emit_from_thread(data)
        return "done"

    for function in (on_the_loop, in_a_thread):
        tools = Toolset()
        tools.register(name="act")(function)
        call = called("act")
        events = await follow(begin([call], tools, threads))
        started, *progress, finished = events
        assert isinstance(started, ToolStarted)
        assert progress == [ToolProgress(call=call, data=data) for data in (1, 2, {"of": 3})]
        assert isinstance(finished, ToolFinished)


async def test_a_tool_that_only_emits_leaves_the_loop_to_others(threads: WorkerThreads) -> None:
    """Emitting lets other tasks run: a tool in a tight loop can be stopped."""
    stop = asyncio.Event()

    async def act(ctx: ToolContext[None]) -> str:
        while not stop.is_set():
            await ctx.emit("still here")
        return "stopped"

    round_ = begin([called("act")], Toolset(act), threads)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stop.set()
    *_, finished = await follow(round_)
    assert isinstance(finished, ToolFinished)
    assert finished.output.output == "stopped"


@pytest.mark.parametrize("end", ["output", "pause", "timeout", "cancel"])
async def test_after_its_end_a_call_tells_nothing(end: str, threads: WorkerThreads) -> None:
    """What is emitted when the call has ended, in whatever way, is dropped without an error."""
    kept: list[ToolContext[None]] = []
    at_work = asyncio.Event()

    async def act(ctx: ToolContext[None]) -> str:
        kept.append(ctx)
        at_work.set()
        if end == "pause":
            raise PauseRun
        if end in ("timeout", "cancel"):
            await asyncio.Event().wait()
        return "done"

    round_ = begin(
        [called("act")], Toolset(act), threads, timeout=0.01 if end == "timeout" else None
    )
    await at_work.wait()
    if end == "cancel":
        round_.cancel()
    else:
        await asyncio.wait(round_._tasks, timeout=PATIENCE)
    told = len(round_._events)
    await kept[0].emit("late")
    await asyncio.to_thread(kept[0].emit_from_thread, "late")
    await asyncio.sleep(0)
    assert len(round_._events) == told


def test_emitting_after_the_loop_is_closed_does_nothing() -> None:
    """A thread that outlives the loop can go on emitting; nobody hears it."""
    kept: list[ToolContext[None]] = []

    async def act(ctx: ToolContext[None]) -> str:
        kept.append(ctx)
        return "done"

    async def main() -> None:
        threads = WorkerThreads(1)
        await follow(begin([called("act")], Toolset(act), threads))

    asyncio.run(main())
    emitting = threading.Thread(target=kept[0].emit_from_thread, args=("late",))
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, failed.append
    try:
        emitting.start()
        emitting.join(10)
    finally:
        threading.excepthook = before
    assert not emitting.is_alive()
    assert failed == []
