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


def test_calls_of_another_step_are_new() -> None:
    """Also with the ids of the one before."""
    rounds = CallRounds()
    rounds.ask([A])
    name = rounds.name
    rounds.begin_step()

    assert rounds.calls == ()
    assert rounds.ask([A]) == (A,)
    assert rounds.name != name


def test_calls_without_ids_go_by_their_place() -> None:
    """Two of one list are two; the list once more is the same."""
    rounds = CallRounds()
    empty = [call(""), call("")]

    assert len(rounds.ask(empty)) == 2
    name = rounds.name
    assert len(rounds.ask(empty)) == 2
    assert rounds.name == name
    assert rounds.answer([]) == ()


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


def test_outputs_that_name_no_call_are_those_of_all() -> None:
    """What the event shows nobody has seen (§5.3): silent, or with calls that nobody asked for."""
    for told in ([], [call("x", "out")], [call("", "out")]):
        rounds = CallRounds()
        rounds.ask([A, B])
        assert rounds.answer(told) == ()
        assert rounds.calls == (A, B)


def test_outputs_of_nothing_leave_nothing() -> None:
    """No call was asked for."""
    assert CallRounds().answer([A]) == ()


LISTS = st.lists(st.sampled_from(["a", "b", "c"]).map(call), min_size=1, max_size=3)


@given(st.lists(LISTS, max_size=5))
def test_each_call_of_a_step_is_in_one_round(lists: list[list[ToolCall]]) -> None:
    """However often it is told: what is known makes no round, what is new makes one."""
    rounds, known = CallRounds(), set[str]()
    for told in lists:
        before, new = rounds.name, list(dict.fromkeys(i for i in ids(told) if i not in known))
        asked = rounds.ask(told)
        assert ids(asked) == (new or list(dict.fromkeys(ids(told))))
        assert (rounds.name != before) == bool(new)
        known.update(new)
        rounds.answer([replace(one, function=FunctionCall(output="o")) for one in asked])
    assert set(ids(rounds.calls)) == known
