"""A run retold from what is kept of it: what is new, in which order, and what cannot be all."""

from typing import Any

import pytest

from aiodashassist import Content, Event, Message, MessageDelta, MessageEvent, Page, Run, RunStep
from aiodashassist.core import operations as ops
from aiodashassist.core.events import StepEvent
from aiodashassist.core.models import (
    FinalAnswer,
    FinalMessage,
    MessageCreation,
    StepDetails,
    Text,
)
from aiodashassist.core.operations import Operation
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.retelling import Kept, Retelling
from tests.scripted import ScriptedSession

RUN = Run(id="run_1", thread_id="t", created_at=1_000, status="completed")
WAITS = Run(id="run_1", thread_id="t", created_at=1_000, status="requires_action")


def said(message_id: str, text: str = "x", **given: Any) -> Message:
    """A message of the run."""
    usual: dict[str, Any] = {"run_id": "run_1", "created_at": 1_001, "role": "assistant"}
    return Message(id=message_id, content=(Content(text=Text(value=text)),), **{**usual, **given})


def wrote(message_id: str, status: str = "completed") -> RunStep:
    """The step that wrote a message."""
    creation = MessageCreation(message_id=message_id)
    details = StepDetails(type="message_creation", message_creation=creation)
    return RunStep(
        id=f"of {message_id}", type="message_creation", status=status, step_details=details
    )


def called(step_id: str, status: str = "completed") -> RunStep:
    """A step of calls."""
    return RunStep(id=step_id, type="tool_calls", status=status)


class Keeper(ScriptedSession):
    """A service that keeps steps and messages."""

    def __init__(self, steps: list[RunStep], messages: list[Message]) -> None:
        super().__init__()
        self.steps = steps
        self.messages = messages

    async def call(self, operation: Operation[Any]) -> Any:
        """All of a list, messages newest first."""
        match operation:
            case ops.ListSteps():
                return Page(data=tuple(self.steps))
            case ops.ListMessages():
                return Page(data=tuple(reversed(self.messages)))
        return self.run


def retelling(session: ScriptedSession, *before: Event) -> Retelling:
    """The retelling of the run; of one that a stream had told of, where there are events."""
    snapshot = Snapshot()
    for event in before:
        snapshot.receive(event)
    return Retelling(session.typed(), "t", "run_1", snapshot if before else None)


async def told(session: ScriptedSession, *before: Event, run: Run = RUN) -> list[tuple[str, str]]:
    """What is new: the ids of steps and messages, and their statuses."""
    ours = retelling(session, *before)
    return named(ours.new(await ours.kept(run)))


def named(events: list[Event]) -> list[tuple[str, str]]:
    """The ids of steps and messages, and their statuses."""
    found = []
    for event in events:
        match event:
            case StepEvent(status=status, step=step):
                found.append((step.id, status))
            case MessageEvent(status=status, message=message):
                found.append((message.id, status))
    return found


async def test_a_message_comes_before_its_step_and_others_last() -> None:
    """What a step wrote was whole before the step was; what no step claims comes at the end."""
    keeper = Keeper([wrote("b"), called("s"), wrote("a")], [said("a"), said("b"), said("c")])
    assert await told(keeper) == [
        ("b", "completed"), ("of b", "completed"), ("s", "completed"),
        ("a", "completed"), ("of a", "completed"), ("c", "completed"),
    ]  # fmt: skip


async def test_nothing_is_told_twice() -> None:
    """Neither what was told by the stream comes again nor what was retold."""
    keeper = Keeper([called("s", "in_progress")], [])
    ours = retelling(keeper, StepEvent(status="completed", step=wrote("a")))
    assert named(ours.new(await ours.kept(WAITS))) == [("s", "in_progress")]
    keeper.steps = [wrote("a"), called("s")]
    assert named(ours.new(await ours.kept(RUN))) == [("s", "completed")]
    assert ours.new(await ours.kept(RUN)) == []


async def test_what_has_ended_does_not_begin_again() -> None:
    """A list that is older than the stream does not take a step back."""
    ended = StepEvent(status="completed", step=called("s"))
    assert await told(Keeper([called("s", "in_progress")], []), ended) == []


async def test_a_step_without_a_status_has_ended() -> None:
    """A list that gives none gives it of what is over."""
    keeper = Keeper([RunStep(id="s", type="tool_calls")], [])
    assert await told(keeper) == [("s", "completed")]


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (said("a", incomplete_at=5), "completed"),
        (said("a", status="incomplete"), "completed"),
        (said("a"), "failed"),
        (said("a"), "expired"),
        (said("a"), "cancelled"),
    ],
)
async def test_a_message_that_was_left_is_incomplete(message: Message, step: str) -> None:
    """It says so itself, or the step that wrote it did not come to its end."""
    assert (await told(Keeper([wrote("a", step)], [message])))[0] == ("a", "incomplete")


async def test_a_message_goes_on_under_the_id_that_it_had() -> None:
    """A list with other ids does not make a message two, nor take it from its step."""
    keeper = Keeper([wrote("msg")], [said("msg", "all of it")])
    new = await told(keeper, MessageDelta(message_id="chatmsg", text="all"))
    assert new == [("chatmsg", "completed"), ("of msg", "completed")]


@pytest.mark.parametrize("listed", [False, True])
async def test_the_runs_answer_is_a_message_that_no_list_shows(*, listed: bool) -> None:
    """What only the run has is taken from there; what is listed too is not taken twice."""
    content = (Content(text=Text(value="x")),)
    answer = FinalAnswer(message=FinalMessage(message_id="final", content=content))
    run = Run(id="run_1", status="completed", created_at=1_000, final_answer=answer)
    keeper = Keeper([], [said("listed")] if listed else [])
    assert await told(keeper, run=run) == [("listed" if listed else "final", "completed")]


@pytest.mark.parametrize(
    ("steps", "calling", "lists_calls"),
    [
        ([], "", False),
        ([wrote("a", "in_progress")], "", False),
        ([called("s")], "", True),
        ([called("s"), called("t", "in_progress")], "t", True),
    ],
)
def test_the_step_of_the_calls_is_the_one_under_way(
    steps: list[RunStep], calling: str, *, lists_calls: bool
) -> None:
    """A step of calls that is over is none that waits, and shows that there are such steps."""
    kept = Kept(steps, [], {})
    assert (kept.calling, kept.lists_calls) == (calling, lists_calls)


WHOLE = [wrote("a"), called("s"), wrote("b")]


@pytest.mark.parametrize(
    ("run", "steps", "messages", "behind"),
    [
        (RUN, WHOLE, ["a", "b"], False),
        (RUN, [], ["a"], False),  # not every service says which step wrote what
        (RUN, [], [], True),  # what completed has said something
        (RUN, WHOLE, ["a"], True),
        (RUN, WHOLE[:2], ["a"], True),  # after calls there is an answer
        (RUN, WHOLE[:2], ["a", "b"], True),
        (RUN, [*WHOLE, wrote("c", "in_progress")], ["a", "b", "c"], True),
        (WAITS, [wrote("a"), called("s", "in_progress")], ["a"], False),
        (WAITS, [wrote("a"), called("s", "in_progress")], [], True),
        (WAITS, [], [], False),
        (Run(id="run_1", status="failed"), [], [], False),  # it may have failed at once
        (Run(id="run_1", status="failed"), [wrote("a", "in_progress")], ["a"], True),
    ],
)
async def test_what_is_kept_may_be_behind_its_run(
    run: Run, steps: list[RunStep], messages: list[str], *, behind: bool
) -> None:
    """Steps without their messages, messages without their steps, no end: there is more to come."""
    ours = retelling(Keeper(steps, [said(name) for name in messages]))
    assert ours.is_behind(run, await ours.kept(run)) is behind


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (MessageDelta(message_id="a", text="x"), False),
        (MessageDelta(message_id="gone", text="other"), True),
        (StepEvent(status="in_progress", step=called("s", "in_progress")), False),
        (StepEvent(status="in_progress", step=called("gone", "in_progress")), True),
        (StepEvent(status="completed", step=called("gone")), False),  # it was told to its end
    ],
)
async def test_what_the_stream_had_begun_must_be_there(before: Event, *, behind: bool) -> None:
    """A message or a step whose end is still to be told is waited for."""
    ours = retelling(Keeper([wrote("a"), called("s", "in_progress")], [said("a")]), before)
    assert ours.is_behind(WAITS, await ours.kept(WAITS)) is behind
