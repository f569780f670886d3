"""One run, executed: which messages it sees, and how it ends in the middle of things."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from aiodashassist import DashScope, StepDelta, TruncationStrategy
from aiodashassist.core.events import MessageEvent, RunEvent, StepEvent
from aiodashassist.core.models import Content, Message, Run, RunStep, Text
from aiodashassist.core.tooling import FunctionCall
from aiodashassist.server.engines import CallFunctions, End, Move, Say, Turn, UsePlugin
from aiodashassist.server.execution import Execution
from aiodashassist.server.store import Store

PLUGIN = UsePlugin(type="calculator", arguments='{"text":"1+1"}', output="2")
CALL = CallFunctions((FunctionCall(name="f"),))


class Scripted:
    """An engine that makes these moves, one list a turn, and notes the turns."""

    def __init__(self, *turns: Sequence[Move]) -> None:
        self.turns: list[Turn] = []
        self._moves = turns

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """The moves of the turn."""
        self.turns.append(turn)
        for move in self._moves[len(turn.rounds)]:
            yield move


def message(text: str, role: str = "user") -> Message:
    """A message of the thread."""
    return Message(id=text, role=role, content=(Content(text=Text(value=text)),))


def executing(
    engine: Scripted,
    messages: Sequence[Message] = (),
    strategy: TruncationStrategy | None = None,
) -> tuple[Execution, Store]:
    """A run that has begun on a thread with these messages, and its store."""
    store = Store()
    for item in messages:
        store.put("", item, "thread_1")
    run = Run(id="run_1", thread_id="thread_1", truncation_strategy=strategy)
    execution = Execution(store, "", run, engine, expire_after=60, empty_call_ids=False)
    execution.begin()
    return execution, store


# --- which messages it sees ---

TWELVE = [message(str(10 + index)) for index in range(12)]


@pytest.mark.parametrize(
    ("strategy", "seen"),
    [
        (None, TWELVE[2:]),
        (TruncationStrategy(), TWELVE[2:]),
        (TruncationStrategy(last_messages=None), TWELVE[2:]),
        (TruncationStrategy(last_messages=3), TWELVE[9:]),
        (TruncationStrategy(last_messages=1), TWELVE[11:]),
        (TruncationStrategy(last_messages=12), TWELVE),
        (TruncationStrategy(last_messages=100), TWELVE),
        (TruncationStrategy(last_messages=0), []),
        (TruncationStrategy(last_messages=-5), []),
    ],
)
async def test_a_run_sees_the_last_messages_of_its_thread(
    strategy: TruncationStrategy | None, seen: list[Message]
) -> None:
    """As many as its strategy says, ten where it says nothing (§2.2), the oldest first."""
    engine = Scripted([Say("x")])
    execution, _ = executing(engine, TWELVE, strategy)
    await execution.go()

    assert engine.turns[0].messages == tuple(seen)
    assert execution.run.usage is not None
    assert execution.run.usage.input_tokens == sum(len(item.text) for item in seen)
    assert execution.run.truncation_strategy == strategy


async def test_a_short_thread_is_seen_whole() -> None:
    """Fewer messages than the run may see are all of them; others' words cost nothing."""
    engine = Scripted([Say("x")])
    messages = [message("你好"), message("long answer", "assistant")]
    execution, _ = executing(engine, messages)
    await execution.go()

    assert engine.turns[0].messages == tuple(messages)
    assert execution.run.usage is not None
    assert execution.run.usage.input_tokens == 2


async def test_the_last_messages_are_those_at_the_runs_beginning() -> None:
    """What is added while the run waits for outputs is not seen after them either."""
    engine = Scripted([CALL], [Say("x")])
    execution, store = executing(engine, TWELVE, TruncationStrategy(last_messages=2))
    going = asyncio.get_running_loop().create_task(execution.go())
    async with asyncio.timeout(10):
        while execution.run.status != "requires_action":
            await asyncio.sleep(0)
        store.put("", message("late"), "thread_1")
        execution.answer(execution.run.tool_calls)
        await going

    assert [turn.messages for turn in engine.turns] == [tuple(TWELVE[10:])] * 2


async def test_a_client_says_how_much_a_run_sees(client: DashScope, assistant_id: str) -> None:
    """Only what was given is shown in the run, and the older message steers no more."""
    thread = await client.threads.create(
        messages=[{"role": "user", "content": "/fail"}, {"role": "assistant", "content": "no"}]
    )
    few = TruncationStrategy(last_messages=1)
    silent = await client.threads.runs.create(
        thread.id, assistant_id=assistant_id, truncation_strategy=few
    )
    async with asyncio.timeout(10):
        while silent.status != "completed":
            await asyncio.sleep(0)
            silent = await client.threads.runs.retrieve(thread.id, silent.id)
    async with client.threads.runs.stream(thread.id, assistant_id=assistant_id) as stream:
        last = [event async for event in stream][-1]

    assert silent.truncation_strategy == few
    assert isinstance(last, RunEvent)
    assert (last.status, last.run.truncation_strategy) == ("failed", None)


# --- how it ends ---


async def rest(execution: Execution) -> list[str]:
    """The run's last events, in short; it must have come to rest."""
    async with asyncio.timeout(10):
        events = [event async for event in execution.log.follow(0)]
    kinds = {StepEvent: "step", MessageEvent: "message", RunEvent: "run", StepDelta: "growing"}
    told = [f"{kinds.get(type(e), 'text')} {getattr(e, 'status', '')}".strip() for e in events]
    return told[-3:]


async def test_a_run_is_cancelled_while_a_plugin_grows() -> None:
    """The step is cancelled with its run, and nothing more is written."""
    execution, store = executing(Scripted([Say("x"), PLUGIN, Say("y")]))
    going = asyncio.get_running_loop().create_task(execution.go())
    async with asyncio.timeout(10):
        async for event in execution.log.follow(0):
            if isinstance(event, StepDelta):
                break
    going.cancel()
    execution.cancel()
    await asyncio.wait([going])

    assert going.cancelled()
    assert await rest(execution) == ["run cancelling", "step cancelled", "run cancelled"]
    said, plugin = store.all("", RunStep, "run_1")
    assert (said.status, plugin.type, plugin.status) == ("completed", "tool_calls", "cancelled")
    assert plugin.cancelled_at is not None


@pytest.mark.parametrize("status", ["failed", "expired", "incomplete"])
async def test_a_run_ends_badly_after_a_plugin(status: str) -> None:
    """A plugin's step that is done stays so, whatever becomes of the run."""
    execution, store = executing(Scripted([PLUGIN, End(status=status, code="c", message="m")]))
    await execution.go()

    assert await rest(execution) == ["growing", "step completed", f"run {status}"]
    (plugin,) = store.all("", RunStep, "run_1")
    assert (plugin.status, plugin.last_error) == ("completed", None)


async def test_an_engine_that_ends_with_a_plugin_has_answered() -> None:
    """After text and a plugin the run is over; no empty message is written behind them."""
    execution, store = executing(Scripted([Say("x"), PLUGIN]))
    await execution.go()

    assert await rest(execution) == ["growing", "step completed", "run completed"]
    assert [item.text for item in store.all("", Message, "thread_1")] == ["x"]


async def test_a_turn_without_text_is_an_empty_message() -> None:
    """Each turn answers with a message, and it comes after the plugin."""
    execution, store = executing(Scripted([Say("x"), CALL], [PLUGIN]))
    going = asyncio.get_running_loop().create_task(execution.go())
    async with asyncio.timeout(10):
        while execution.run.status != "requires_action":
            await asyncio.sleep(0)
        execution.answer(execution.run.tool_calls)
        await going

    assert [item.text for item in store.all("", Message, "thread_1")] == ["x", ""]
    kinds = [step.type for step in store.all("", RunStep, "run_1")]
    assert kinds == ["message_creation", "tool_calls", "tool_calls", "message_creation"]


# --- waiting for its rest ---


async def test_a_run_is_waited_for_until_it_rests() -> None:
    """Until it wants outputs, then until its end; of a run at rest it is known at once."""
    execution, _ = executing(Scripted([Say("x"), CALL], [Say("answer")]))
    resting = asyncio.create_task(execution.rest())
    going = asyncio.create_task(execution.go())
    async with asyncio.timeout(10):
        waiting = await resting
        assert (waiting.status, waiting.final_answer) == ("requires_action", None)
        assert await execution.rest() == waiting

        execution.answer(execution.run.tool_calls)
        ended = await execution.rest()
        assert await execution.rest() == ended
        await going

    assert ended.status == "completed"
    assert ended.final_answer is not None
    assert ended.final_answer.text == "answer"


async def test_who_waits_is_told_of_a_cancelled_run() -> None:
    """Whoever cancels it; there is no answer then."""
    execution, _ = executing(Scripted([Say("so far"), CALL], []))
    going = asyncio.create_task(execution.go())
    async with asyncio.timeout(10):
        await execution.rest()
        execution.answer(execution.run.tool_calls)
        resting = asyncio.create_task(execution.rest())
        execution.cancel()
        run = await resting
        going.cancel()
        await asyncio.wait([going])

    assert (run.status, run.final_answer) == ("cancelled", None)


@pytest.mark.parametrize("status", ["failed", "expired", "incomplete"])
async def test_only_a_completed_run_has_an_answer(status: str) -> None:
    """A message that was completed before a bad end is in the thread, but answers nothing."""
    execution, store = executing(Scripted([Say("x"), PLUGIN, End(status=status)]))
    await execution.go()

    assert (await execution.rest()).final_answer is None
    assert [item.text for item in store.all("", Message, "thread_1")] == ["x"]
