"""Which calls of a stream are new, which come again, and which still wait."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.providers.appbuilder.rounds import CallRounds


def call(call_id: str, output: str | None = None) -> ToolCall:
    """A call, with its output where there is one."""
    return ToolCall(id=call_id, function=FunctionCall(name="f", output=output))


def ids(calls: Sequence[ToolCall]) -> list[str]:
    """The ids of calls."""
    return [one.id for one in calls]


A, B, C = call("a"), call("b"), call("c")


def test_new_calls_are_a_round() -> None:
    """They are asked for, and the round has a name of its own."""
    rounds = CallRounds()

    assert not rounds.calls
    assert rounds.ask([A, B]) == (A, B)
    first = rounds.name
    assert ids(rounds.calls) == ["a", "b"]
    assert rounds.ask([C]) == (C,)
    assert rounds.name != first
    assert ids(rounds.calls) == ["a", "b", "c"]


def test_calls_that_come_again_are_the_same_round() -> None:
    """Nothing is run twice: the name tells."""
    rounds = CallRounds()
    rounds.ask([A, B])
    name = rounds.name

    assert (rounds.ask([A, B]), rounds.name) == ((A, B), name)
    assert (rounds.ask([B]), rounds.name) == ((B,), name)
    rounds.answer([])
    assert (rounds.ask([A, B]), rounds.name) == ((A, B), name)


def test_of_old_and_new_calls_only_the_new_are_asked_for() -> None:
    """A list that grows asks for what it grew by."""
    rounds = CallRounds()
    rounds.ask([A])
    name = rounds.name

    assert rounds.ask([A, B]) == (B,)
    assert rounds.name != name


def test_another_step_has_calls_of_its_own() -> None:
    """What waited before it waits no more."""
    rounds = CallRounds()
    rounds.ask([A])
    rounds.begin_step()

    assert not rounds.calls
    assert rounds.ask([B]) == (B,)
    assert ids(rounds.calls) == ["b"]
    assert rounds.answer([]) == ()


def test_a_call_is_known_in_the_whole_run() -> None:
    """Its id names its step (§3.0): told again in another step, it was made before."""
    rounds = CallRounds()
    rounds.ask([A])
    name = rounds.name
    rounds.begin_step()

    assert (rounds.ask([A]), rounds.name) == ((A,), name)
    assert not rounds.calls


def test_an_id_alone_makes_no_call_known() -> None:
    """Ids may repeat: another function, or other arguments, are another call."""
    rounds = CallRounds()
    rounds.ask([A])
    other = ToolCall(id="a", function=FunctionCall(name="g"))
    more = ToolCall(id="a", function=FunctionCall(name="f", arguments="{}"))

    assert rounds.ask([A, other]) == (other,)
    assert rounds.ask([more, A]) == (more,)
    assert len(rounds.calls) == 3


def test_two_calls_that_are_alike_are_two() -> None:
    """In one event; the event once more is the same two."""
    rounds = CallRounds()
    nameless = [call(""), call("")]

    for alike in ([A, A], nameless):
        assert len(rounds.ask(alike)) == 2
        name = rounds.name
        assert len(rounds.ask(alike)) == 2
        assert rounds.name == name


def test_calls_without_ids_are_new_after_their_outputs() -> None:
    """And in another step: nothing else tells them apart."""
    rounds = CallRounds()
    rounds.ask([call("")])
    first = rounds.name
    rounds.answer([])
    assert rounds.ask([call("")]) == (call(""),)
    second = rounds.name
    rounds.begin_step()
    rounds.ask([call("")])

    assert len({first, second, rounds.name}) == 3


def test_outputs_are_kept_with_their_calls() -> None:
    """What the event shows is what the step did."""
    rounds = CallRounds()
    rounds.ask([A, B])

    assert rounds.answer([call("b", "out"), call("a", "out")]) == ()
    assert [one.output for one in rounds.calls] == ["out", "out"]
    assert ids(rounds.calls) == ["a", "b"]


def test_outputs_that_come_one_by_one_leave_the_others_waiting() -> None:
    """Until none is left."""
    rounds = CallRounds()
    rounds.ask([A, B, C])

    assert ids(rounds.answer([call("b", "out")])) == ["a", "c"]
    assert ids(rounds.answer([call("a", "out")])) == ["c"]
    assert rounds.answer([call("c", "out")]) == ()


def test_outputs_that_name_no_call_are_those_of_a_round() -> None:
    """What the event shows nobody has seen (§5.3): it was the first round that waits."""
    for told in ([], [call("x", "out")], [call("", "out")]):
        rounds = CallRounds()
        rounds.ask([A, B])
        rounds.ask([C])
        assert rounds.answer(told) == (C,)
        assert rounds.answer(told) == ()
        assert rounds.calls == (A, B, C)


def test_outputs_of_a_later_round_leave_the_first_waiting() -> None:
    """They are told by their calls, whichever round these are of."""
    rounds = CallRounds()
    rounds.ask([A, B])
    rounds.ask([C])

    assert ids(rounds.answer([call("c", "out"), call("a", "out")])) == ["b"]
    assert [one.output for one in rounds.calls] == ["out", None, "out"]


def test_late_outputs_of_an_older_step_leave_the_present_one_waiting() -> None:
    """They name calls that are known, and none of those that wait."""
    rounds = CallRounds()
    rounds.ask([A])
    rounds.begin_step()
    rounds.ask([B])

    assert rounds.answer([call("a", "1")]) == (B,)
    assert rounds.answer([call("b", "2")]) == ()


def test_outputs_of_nothing_leave_nothing() -> None:
    """No call was asked for."""
    assert CallRounds().answer([A]) == ()


CALLS = st.sampled_from(["a", "b", "c"]).map(call)
LISTS = st.lists(CALLS, min_size=1, max_size=3, unique_by=lambda one: one.id)


@given(st.lists(st.tuples(LISTS, st.booleans()), max_size=6))
def test_each_call_is_in_one_round(events: list[tuple[list[ToolCall], bool]]) -> None:
    """However often it is told: what is known makes no round, what is new makes one."""
    rounds, known = CallRounds(), set[str]()
    for told, step in events:
        before, new = rounds.name, [one for one in ids(told) if one not in known]
        asked = rounds.ask(told)
        assert ids(asked) == (new or ids(told))
        assert (rounds.name != before) == bool(new)
        known.update(new)
        if step:
            rounds.begin_step()
        else:
            rounds.answer([replace(one, function=FunctionCall(output="o")) for one in asked])
