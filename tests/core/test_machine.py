"""The run machine: the whole table, tolerance towards the wire, and rounds of tool calls."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    UnknownEvent,
)
from aiodashassist.core.machine import CallTools, Finished, RunMachine
from aiodashassist.core.models import (
    Message,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Thread,
)
from aiodashassist.core.tooling import FunctionCall, PluginCall, ToolCall, ToolOutput
from aiodashassist.errors import LocalProtocolError, RemoteProtocolError

EARLY_ENDS = ("cancelling", "cancelled", "failed", "expired")
ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")
MAY_FOLLOW: dict[str, tuple[str, ...]] = {
    "": ("queued",),
    "queued": ("in_progress", *EARLY_ENDS),
    "in_progress": ("requires_action", "completed", "incomplete", *EARLY_ENDS),
    "requires_action": ("queued", "in_progress", *EARLY_ENDS),
    "cancelling": ENDS,
}
WAYS: dict[str, tuple[str, ...]] = {
    "": (),
    "queued": ("queued",),
    "in_progress": ("queued", "in_progress"),
    "requires_action": ("queued", "in_progress", "requires_action"),
    "cancelling": ("queued", "cancelling"),
    "completed": ("queued", "in_progress", "completed"),
    "incomplete": ("queued", "in_progress", "incomplete"),
    "failed": ("queued", "failed"),
    "cancelled": ("queued", "cancelling", "cancelled"),
    "expired": ("queued", "expired"),
}
STATUSES = tuple(status for status in WAYS if status)


def run_of(status: str, *wire_ids: str, run_id: str = "run_1") -> Run:
    """A run that waits for calls with these ids, or for none."""
    calls = tuple(ToolCall(id=name, function=FunctionCall(name="add")) for name in wire_ids)
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    return Run(id=run_id, status=status, required_action=action if calls else None)


def moved(status: str, run_id: str = "run_1") -> RunEvent:
    """The run comes to a status; where it waits, it waits for one call."""
    ids = ("call_1",) if status == "requires_action" else ()
    return RunEvent(status=status, run=run_of(status, *ids, run_id=run_id))


def waits(*wire_ids: str) -> RunEvent:
    """The run waits for calls with these ids."""
    return RunEvent(status="requires_action", run=run_of("requires_action", *wire_ids))


def stepped(step_id: str, status: str = "in_progress", kind: str = "tool_calls") -> StepEvent:
    """A step comes to a status."""
    return StepEvent(status=status, step=RunStep(id=step_id, type=kind, run_id="run_1"))


def shown(step_id: str, *calls: ToolCall, status: str = "completed") -> StepEvent:
    """A step of tool calls that shows these."""
    details = StepDetails(type="tool_calls", tool_calls=calls)
    step = RunStep(id=step_id, type="tool_calls", run_id="run_1", step_details=details)
    return StepEvent(status=status, step=step)


def functions(*wire_ids: str) -> list[ToolCall]:
    """Calls of functions as a step shows them."""
    return [ToolCall(id=name, function=FunctionCall(name="add", output="3")) for name in wire_ids]


def machine_after(events: Iterable[Event | str], *, strict: bool = False) -> RunMachine:
    """A machine that has taken these events; a text is a status of the run."""
    machine = RunMachine(strict=strict)
    for event in events:
        machine.receive(moved(event) if isinstance(event, str) else event)
    return machine


def call_ids(machine: RunMachine) -> list[str]:
    """The ids of the calls that the machine asks for; empty where it asks for none."""
    action = machine.next_action()
    return [call.call_id for call in action.calls] if isinstance(action, CallTools) else []


@pytest.mark.parametrize("before", WAYS)
@pytest.mark.parametrize("after", STATUSES)
def test_a_strict_machine_keeps_to_the_table(before: str, after: str) -> None:
    """Of all jumps exactly those of the table are taken, and a status said once more."""
    machine = machine_after(WAYS[before], strict=True)
    if before in ENDS:
        with pytest.raises(RemoteProtocolError, match=f"RunEvent after the run was {before}"):
            machine.receive(moved(after))
    elif after == before or after in MAY_FOLLOW[before]:
        machine.receive(moved(after))
        assert machine.status == after
    else:
        with pytest.raises(LocalProtocolError, match=f"from {before!r} to {after!r}"):
            machine.receive(moved(after))
        assert machine.status == before


@pytest.mark.parametrize("before", WAYS)
@pytest.mark.parametrize("after", [*STATUSES, "paused"])
def test_a_tolerant_machine_takes_every_jump(before: str, after: str) -> None:
    """Towards the wire only an end is final; even a status that nobody knows is taken."""
    machine = RunMachine()
    if before:
        machine.receive(moved(before))
    if before in ENDS:
        with pytest.raises(RemoteProtocolError, match=f"after the run was {before}"):
            machine.receive(moved(after))
    else:
        machine.receive(moved(after))
    assert machine.status == (before if before in ENDS else after)


@pytest.mark.parametrize("status", ["paused", "completed_at", "QUEUED"])
def test_a_strict_machine_knows_no_other_status(status: str) -> None:
    """A word that is no status is refused where we are strict."""
    for before in ("", "queued", "in_progress"):
        with pytest.raises(LocalProtocolError):
            machine_after(WAYS[before], strict=True).receive(moved(status))


@pytest.mark.parametrize("status", ENDS)
def test_an_ended_run_is_finished(status: str) -> None:
    """An end is what the machine says next, with the run as last seen."""
    machine = machine_after(["queued", "in_progress", status])
    assert machine.next_action() == Finished(status=status, run=run_of(status))


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "paused"])
def test_a_run_under_way_needs_nothing(status: str) -> None:
    """While the run is under way there is only more to read."""
    assert machine_after([status]).next_action() is None


def test_a_fresh_machine_knows_nothing() -> None:
    """Before the first event there is no run, no status and nothing to do."""
    machine = RunMachine()
    assert (machine.status, machine.run, machine.run_id, machine.rounds) == ("", None, None, 0)
    assert machine.next_action() is None


def test_the_event_s_status_is_believed() -> None:
    """The status of the event counts, not that of its object."""
    machine = machine_after([RunEvent(status="completed", run=run_of("in_progress"))])
    assert machine.status == "completed"
    assert isinstance(machine.next_action(), Finished)


OF_THE_RUN: tuple[Event, ...] = (
    moved("completed"),
    stepped("step_1"),
    StepDelta(step_id="step_1"),
    MessageEvent(status="completed", message=Message(id="message_1")),
    MessageDelta(message_id="message_1", text="more"),
    ThreadEvent(thread=Thread(id="thread_1")),
)
BESIDE_THE_RUN: tuple[Event, ...] = (
    UnknownEvent(name="thread.run.evaluated"),
    ErrorEvent(code="InternalError"),
    ToolStarted(call=ToolCall()),
    ToolProgress(call=ToolCall(), data=1),
    ToolFinished(call=ToolCall(), output=ToolOutput(output="")),
)


@pytest.mark.parametrize("event", OF_THE_RUN, ids=lambda event: type(event).__name__)
def test_nothing_of_the_run_comes_after_its_end(event: Event) -> None:
    """An event of the run after its end breaks the protocol, and the error names the run."""
    machine = machine_after(["queued", "failed"])
    with pytest.raises(RemoteProtocolError, match=f"{type(event).__name__} after") as caught:
        machine.receive(event)
    assert caught.value.run_id == "run_1"
    assert machine.status == "failed"


@pytest.mark.parametrize("event", BESIDE_THE_RUN, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("strict", [False, True])
def test_what_says_nothing_of_the_run_may_come_at_any_time(event: Event, *, strict: bool) -> None:
    """Unknown events, errors and our own tool events move nothing, after the end either."""
    assert machine_after([event], strict=strict).status == ""
    machine = machine_after(["queued", "failed", event], strict=strict)
    assert machine.next_action() == Finished(status="failed", run=run_of("failed"))


@pytest.mark.parametrize(
    "event",
    [
        moved("in_progress", run_id="run_2"),
        StepEvent(status="in_progress", step=RunStep(id="step_1", run_id="run_2")),
        MessageEvent(status="in_progress", message=Message(id="message_1", run_id="run_2")),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("strict", [False, True])
def test_another_run_is_refused(event: Event, *, strict: bool) -> None:
    """An event of another run breaks the protocol, and the error names ours."""
    machine = machine_after(["queued"], strict=strict)
    with pytest.raises(RemoteProtocolError, match="another run, run_2") as caught:
        machine.receive(event)
    assert caught.value.run_id == "run_1"
    assert machine.status == "queued"


@pytest.mark.parametrize(
    "event",
    [
        moved("queued"),
        stepped("step_1"),
        MessageEvent(status="in_progress", message=Message(id="message_1", run_id="run_1")),
    ],
    ids=lambda event: type(event).__name__,
)
def test_any_event_tells_the_run(event: Event) -> None:
    """The run is known from the first event that names it; one that does not is taken."""
    nameless = MessageEvent(status="in_progress", message=Message(id="message_1"))
    machine = machine_after([nameless])
    assert machine.run_id is None
    machine.receive(event)
    machine.receive(nameless)
    assert machine.run_id == "run_1"


@pytest.mark.parametrize("event", OF_THE_RUN[1:], ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("strict", [False, True])
def test_only_run_events_move_the_run(event: Event, *, strict: bool) -> None:
    """Steps, messages and their deltas leave the status and a round that waits."""
    machine = machine_after(["queued", "in_progress", "requires_action"], strict=strict)
    before = machine.next_action()
    machine.receive(event)
    assert machine.status == "requires_action"
    assert machine.next_action() == before


def test_the_wire_s_ids_are_kept() -> None:
    """A call whose id is new in the run goes by that id; the call is otherwise unchanged."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("a", "b")])
    action = machine.next_action()
    assert isinstance(action, CallTools)
    assert [(call.id, call.call_id, call.name) for call in action.calls] == [
        ("a", "a", "add"),
        ("b", "b", "add"),
    ]


@pytest.mark.parametrize(
    ("wire_ids", "expected"),
    [
        (("", ""), ["step_1:0", "step_1:1"]),
        (("a", "a"), ["a", "step_1:1"]),
        (("a", "", "b", "a"), ["a", "step_1:1", "b", "step_1:3"]),
    ],
)
def test_empty_and_repeated_ids_are_made_up(wire_ids: tuple[str, ...], expected: list[str]) -> None:
    """An empty or repeated id becomes step and index; the wire's own id stays beside it."""
    machine = machine_after(["in_progress", stepped("step_1"), waits(*wire_ids)])
    action = machine.next_action()
    assert isinstance(action, CallTools)
    assert call_ids(machine) == expected
    assert tuple(call.id for call in action.calls) == wire_ids


def test_ids_are_unique_over_rounds() -> None:
    """An id that an earlier round had is made up in a later one."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("a")])
    machine.answered()
    for event in (stepped("step_1", "completed"), moved("in_progress"), stepped("step_2")):
        machine.receive(event)
    machine.receive(waits("a", "b"))
    assert call_ids(machine) == ["step_2:0", "b"]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_the_ids_of_an_earlier_round_are_used(status: str) -> None:
    """A step that ended elsewhere, before this stream, has used the ids of its calls."""
    events = (shown("step_1", *functions("a", ""), status=status), stepped("step_2"))
    assert call_ids(machine_after([*events, waits("a", "b", "")])) == ["step_2:0", "b", "step_2:2"]


def test_the_ids_of_the_round_under_way_are_free() -> None:
    """A step in progress that shows its calls already does not take their ids from them."""
    under_way = shown("step_1", *functions("a"), status="in_progress")
    assert call_ids(machine_after([under_way, waits("a")])) == ["a"]


def test_the_id_of_a_plugin_s_call_is_not_used() -> None:
    """Plugins wait for no output: their ids, and their places in a step, count for nothing."""
    plugin = ToolCall(id="a", type="quark_search", plugin=PluginCall(output="[]"))
    events = [shown("step_1", plugin, *functions("", "b")), stepped("step_2")]
    assert call_ids(machine_after([*events, waits("a", "step_1:0", "b")])) == [
        "a",
        "step_2:1",
        "step_2:2",
    ]


WIRE_IDS = st.sampled_from(["", "a", "b", "step_1:0", "step_1:1", "step_2:0", "run_1:1:0"])
ROUNDS = st.lists(st.lists(WIRE_IDS, min_size=1, max_size=4), min_size=1, max_size=4)


@given(rounds=ROUNDS, with_steps=st.booleans())
def test_ids_are_unique_whatever_the_wire_says(
    rounds: list[list[str]], *, with_steps: bool
) -> None:
    """No two calls of a run share an id, and none is empty: made up ids make way for others."""
    machine = machine_after(["in_progress"])
    seen: list[str] = []
    for number, wire_ids in enumerate(rounds, 1):
        if with_steps:
            machine.receive(stepped(f"step_{number}"))
        machine.receive(waits(*wire_ids))
        seen += call_ids(machine)
        machine.answered()
        machine.receive(moved("in_progress"))
    assert all(seen)
    assert len(set(seen)) == len(seen) == sum(map(len, rounds))


@given(rounds=ROUNDS)
def test_a_resumed_run_has_the_ids_of_the_streamed_one(rounds: list[list[str]]) -> None:
    """Whoever takes up a run later, from its steps, gives its calls the same ids."""
    *earlier, last = rounds
    streamed, resumed = machine_after(["in_progress"]), RunMachine()
    for number, wire_ids in enumerate(earlier, 1):
        over = shown(f"step_{number}", *functions(*wire_ids))
        streamed.receive(stepped(f"step_{number}"))
        streamed.receive(waits(*wire_ids))
        streamed.answered()
        for event in (over, moved("in_progress")):
            streamed.receive(event)
        resumed.receive(over)
    for machine in (streamed, resumed):
        machine.receive(stepped("step_last"))
        machine.receive(waits(*last))
    assert call_ids(resumed) == call_ids(streamed)
    assert len(call_ids(resumed)) == len(last)


def test_two_identical_rounds_are_two() -> None:
    """Rounds are told apart by their steps: the same call with an empty id is asked twice."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("")])
    assert call_ids(machine) == ["step_1:0"]
    machine.answered()
    for event in (stepped("step_1", "completed"), stepped("step_2"), waits("")):
        machine.receive(event)
    assert call_ids(machine) == ["step_2:0"]
    assert machine.rounds == 1


def test_rounds_without_steps_are_told_apart_by_the_status_between() -> None:
    """A wire without step events has its rounds too; they are named by run and number."""
    machine = machine_after(["in_progress", waits("", "")])
    assert call_ids(machine) == ["run_1:0:0", "run_1:0:1"]
    machine.answered()
    machine.receive(moved("in_progress"))
    machine.receive(waits(""))
    assert call_ids(machine) == ["run_1:1:0"]
    machine.answered()
    assert machine.rounds == 2


def asks(round_: str, *wire_ids: str) -> RunEvent:
    """The run waits for calls, of a round that is named."""
    run = run_of("requires_action", *wire_ids)
    return RunEvent(status="requires_action", run=run, round=round_)


def test_a_named_round_is_answered_once() -> None:
    """A wire that says which round it is asks for it as often as it likes."""
    machine = machine_after([asks("r1", "a")])
    machine.receive(asks("r1", "a"))
    assert call_ids(machine) == ["a"]
    machine.answered()
    for status in ("requires_action", "in_progress", "queued"):
        machine.receive(asks("r1", "a") if status == "requires_action" else moved(status))
        machine.receive(asks("r1", "a"))
        assert machine.next_action() is None

    machine.receive(asks("r2", "b"))
    assert call_ids(machine) == ["b"]
    assert machine.rounds == 1


def test_a_round_that_is_asked_for_while_another_is_answered_comes_next() -> None:
    """In their order, each once; the ids of their calls are new in the run."""
    machine = machine_after([asks("r1", "a"), asks("r2", "a"), asks("r3", "c")])
    machine.receive(asks("r2", "a"))
    seen = []
    while machine.next_action() is not None:
        seen.append(call_ids(machine))
        machine.answered()

    assert seen == [["a"], ["run_1:1:0"], ["c"]]
    assert machine.rounds == 3


@pytest.mark.parametrize("status", ["in_progress", "cancelling", "failed"])
def test_rounds_to_come_are_forgotten_where_the_run_goes_on(status: str) -> None:
    """A run that does not wait any more wants none of them."""
    machine = machine_after([asks("r1", "a"), asks("r2", "b"), status])
    assert not isinstance(machine.next_action(), CallTools)
    if status == "in_progress":
        machine.answered()
        assert machine.next_action() is None


def test_a_round_without_a_name_waits_for_no_other() -> None:
    """Where rounds have no names, what is asked for meanwhile is the same one."""
    machine = machine_after([waits("a"), waits("b")])
    assert call_ids(machine) == ["a"]
    machine.answered()

    assert machine.next_action() is None


def test_a_round_repeated_before_its_answer_is_the_same() -> None:
    """Said once more before the answer, a round keeps its calls and their ids."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("a", "")])
    before = machine.next_action()
    machine.receive(waits("a", ""))
    assert machine.next_action() == before


def test_an_answered_round_is_not_asked_again() -> None:
    """After the answer there is nothing to do, and the round is counted."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("a")])
    machine.answered()
    assert machine.next_action() is None
    assert machine.rounds == 1


@pytest.mark.parametrize(
    "again",
    [
        (waits("a"),),
        (stepped("step_1"), waits("a")),
        (moved("in_progress"), stepped("step_1"), waits("a")),
    ],
    ids=["the status", "the step and the status", "the step after another status"],
)
def test_an_answered_step_is_never_asked_again(again: tuple[Event, ...]) -> None:
    """A round said once more after its answer is not a second one."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("a")])
    machine.answered()
    for event in again:
        machine.receive(event)
    assert machine.next_action() is None


def test_a_late_end_of_an_earlier_step_leaves_the_round_its_step() -> None:
    """The end of an answered step does not hide the step that is under way."""
    machine = machine_after(["in_progress", stepped("step_1"), waits("")])
    machine.answered()
    for event in (stepped("step_2"), stepped("step_1", "completed"), waits("")):
        machine.receive(event)
    assert call_ids(machine) == ["step_2:0"]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_step_that_ended_names_no_round(status: str) -> None:
    """A plugin's step that is over is not the step of the calls that come after it."""
    events = ("in_progress", stepped("step_1"), stepped("step_1", status), waits(""))
    assert call_ids(machine_after(events)) == ["run_1:0:0"]


def test_the_step_of_a_message_names_no_round() -> None:
    """Only a step of tool calls names a round, whatever steps come beside it."""
    message = stepped("step_2", kind="message_creation")
    over = stepped("step_2", "completed", kind="message_creation")
    assert call_ids(machine_after(["in_progress", message, waits("")])) == ["run_1:0:0"]
    assert call_ids(machine_after([stepped("step_1"), message, over, waits("")])) == ["step_1:0"]


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "expired"])
def test_a_round_is_over_when_the_run_goes_on(status: str) -> None:
    """A run that goes on without our answer no longer asks for it."""
    machine = machine_after(["in_progress", waits("a"), status])
    assert not isinstance(machine.next_action(), CallTools)
    assert machine.rounds == 0


@pytest.mark.parametrize("action", [None, RequiredAction()], ids=["no action", "no calls"])
def test_waiting_for_nothing_breaks_the_protocol(action: RequiredAction | None) -> None:
    """A run that waits for tools and names none could never go on."""
    run = Run(id="run_1", status="requires_action", required_action=action)
    with pytest.raises(RemoteProtocolError, match="names none") as caught:
        RunMachine().receive(RunEvent(status="requires_action", run=run))
    assert caught.value.run_id == "run_1"


class Walk:
    """A plain model of a run: where it is, what it waits for, what was answered."""

    def __init__(self) -> None:
        self.status = ""
        self.asked: list[str] = []
        self.rounds = 0
        self.steps = 0

    def goes_to(self, status: str) -> list[Event]:
        """The events of a legal move, noted."""
        events: list[Event] = []
        if status == "requires_action" and self.status != status:
            self.steps += 1
            self.asked = [f"call_{self.steps}", f"step_{self.steps}:1"]
            events = [stepped(f"step_{self.steps}")]
        elif status != "requires_action":
            self.asked = []
        self.status = status
        ids = (f"call_{self.steps}", "") if status == "requires_action" else ()
        return [*events, RunEvent(status=status, run=run_of(status, *ids))]

    def answers(self) -> list[Event]:
        """What follows an answer, noted."""
        self.rounds += 1
        self.asked = []
        return [stepped(f"step_{self.steps}", "completed"), *self.goes_to("queued")]


@given(choices=st.lists(st.integers(0, 1 << 10), max_size=40), strict=st.booleans())
def test_a_legal_walk_is_followed(choices: list[int], *, strict: bool) -> None:
    """On any legal walk the machine is where a plain model is, and asks for the same calls."""
    machine, walk = RunMachine(strict=strict), Walk()
    for choice in choices:
        if walk.asked and choice % 2:
            machine.answered()
            assert machine.next_action() is None
            events = walk.answers()
        elif walk.status in ENDS:
            events = [BESIDE_THE_RUN[choice % len(BESIDE_THE_RUN)]]
        else:
            follows = [*MAY_FOLLOW[walk.status], *filter(None, [walk.status])]
            events = walk.goes_to(follows[choice % len(follows)])
        for event in events:
            machine.receive(event)
        assert (machine.status, machine.rounds) == (walk.status, walk.rounds)
        assert call_ids(machine) == walk.asked
        assert isinstance(machine.next_action(), Finished) == (walk.status in ENDS)


def test_a_run_that_is_cancelled_has_no_round_any_more() -> None:
    """Neither the one that waits nor those asked for after it are answered, also if told again."""
    machine = RunMachine()
    machine.receive(asks("1", "a"))
    machine.receive(asks("2", "b"))

    machine.cancelled()

    assert machine.next_action() is None
    machine.receive(asks("1", "a"))
    machine.receive(asks("2", "b"))
    assert machine.next_action() is None
    machine.receive(asks("3", "c"))
    assert machine.next_action() is not None


def test_a_step_that_waits_when_its_run_is_cancelled_is_not_asked_for_again() -> None:
    """Where no round has a name the step is what is known of it."""
    machine = RunMachine()
    step = RunStep(id="step_1", run_id="run_1", type="tool_calls")
    machine.receive(StepEvent(status="in_progress", step=step))
    machine.receive(RunEvent(status="requires_action", run=run_of("requires_action", "a")))

    machine.cancelled()
    machine.receive(RunEvent(status="requires_action", run=run_of("requires_action", "a")))

    assert machine.next_action() is None


def test_the_step_that_waits_can_be_asked_for() -> None:
    """It is that of the calls, from its first event to its end."""
    machine = machine_after([stepped("step_1")])
    assert machine.step_id == "step_1"
    machine.receive(stepped("step_1", "completed"))
    assert machine.step_id is None


# --- what is read, which may be older than what was done since ---


def answered(*rounds: Iterable[Event]) -> RunMachine:
    """A machine whose rounds, each asked for by these events, were answered."""
    machine = RunMachine()
    for events in rounds:
        for event in events:
            machine.receive(event)
        machine.answered()
        machine.receive(moved("in_progress"))
    return machine


@pytest.mark.parametrize(
    ("wire_ids", "repeats"),
    [(("a",), True), (("a", "b"), True), (("c",), True), (("a", "d"), False), ((), False)],
)
def test_calls_that_were_all_answered_before_are_a_repetition(
    wire_ids: tuple[str, ...], *, repeats: bool
) -> None:
    """Calls of any round before count, in any number; no calls at all repeat nothing."""
    machine = answered([waits("a", "b")], [stepped("step_1"), waits("c")])
    assert machine.repeats(run_of("requires_action", *wire_ids)) is repeats


def test_before_the_first_answer_nothing_is_old() -> None:
    """Calls that wait, and calls never seen, were not answered."""
    machine = machine_after([stepped("step_1"), waits("a")])
    for step_id in ("", "step_1", "step_2"):
        assert not machine.has_answered(run_of("requires_action", "a"), step_id, lists_calls=True)
    assert not machine.repeats(run_of("requires_action", "a"))


@pytest.mark.parametrize(
    ("step_id", "wire_id", "old"),
    [("step_1", "", True), ("step_1", "b", True), ("step_2", "", False), ("step_2", "b", False)],
)
def test_a_round_that_is_read_is_known_by_its_step(
    step_id: str, wire_id: str, *, old: bool
) -> None:
    """Where its step is listed it is old if the outputs of that step were sent, and only then."""
    machine = answered([stepped("step_1"), waits("")])
    run = run_of("requires_action", wire_id)
    assert machine.has_answered(run, step_id, lists_calls=True) is old


def test_a_step_of_more_than_one_round_is_old_for_its_old_calls() -> None:
    """A stream that names its rounds may have several in a step; each was answered by itself."""
    first = RunEvent(status="requires_action", run=run_of("requires_action", "a"), round="1")
    machine = answered([stepped("step_1"), first])
    assert machine.has_answered(run_of("requires_action", "a"), "step_1", lists_calls=True)
    assert not machine.has_answered(run_of("requires_action", "b"), "step_1", lists_calls=True)


@pytest.mark.parametrize(
    ("wire_id", "lists_calls", "old"),
    [("a", True, True), ("a", False, True), ("b", True, False), ("b", False, False)],
)
def test_without_a_step_a_round_is_known_by_its_ids(
    wire_id: str, *, lists_calls: bool, old: bool
) -> None:
    """Where no step is under way, calls with ids are old if all of them were answered."""
    machine = answered([waits("a")])
    run = run_of("requires_action", wire_id)
    assert machine.has_answered(run, "", lists_calls=lists_calls) is old


@pytest.mark.parametrize("lists_calls", [True, False])
def test_calls_without_ids_are_old_where_another_round_would_have_a_step(
    *, lists_calls: bool
) -> None:
    """The same calls without ids are another round only where no steps of calls are listed."""
    machine = answered([waits("")])
    run = run_of("requires_action", "")
    assert machine.has_answered(run, "", lists_calls=lists_calls) is lists_calls
