"""Which output answers which call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.outputs import match_outputs
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import InvalidArgument


def calls_of(*ids: tuple[str, str]) -> list[ToolCall]:
    """Calls by the wire's id and ours."""
    return [ToolCall(id=wire, call_id=ours) for wire, ours in ids]


def outputs_of(*pairs: tuple[str, str]) -> list[ToolOutput]:
    """Outputs by the id they name and their text."""
    return [ToolOutput(tool_call_id=name, output=text) for name, text in pairs]


def matched(calls: list[ToolCall], *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    """The outputs in the order of the calls, by id and text."""
    outputs = match_outputs(calls, outputs_of(*pairs))
    return [(output.tool_call_id, output.output) for output in outputs]


TWO = calls_of(("a", "a"), ("b", "b"))
NAMELESS = calls_of(("", "step_1:0"), ("", "step_1:1"))
REPEATED = calls_of(("a", "a"), ("a", "step_1:1"))


@pytest.mark.parametrize(
    ("calls", "pairs", "expected"),
    [
        (TWO, [("a", "1"), ("b", "2")], [("a", "1"), ("b", "2")]),
        (TWO, [("b", "2"), ("a", "1")], [("a", "1"), ("b", "2")]),
        (TWO, [("", "1"), ("", "2")], [("a", "1"), ("b", "2")]),
        (TWO, [("", "1"), ("a", "2")], [("a", "2"), ("b", "1")]),
        (NAMELESS, [("", "1"), ("", "2")], [("", "1"), ("", "2")]),
        (NAMELESS, [("step_1:1", "2"), ("step_1:0", "1")], [("", "1"), ("", "2")]),
        (NAMELESS, [("", "2"), ("step_1:0", "1")], [("", "1"), ("", "2")]),
        (REPEATED, [("step_1:1", "2"), ("a", "1")], [("a", "1"), ("a", "2")]),
        (calls_of(("a", "")), [("a", "")], [("a", "")]),
        ([], [], []),
    ],
)
def test_outputs_are_matched_by_id_then_by_order(
    calls: list[ToolCall], pairs: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> None:
    """An output finds its call by either id, or by order where it names none."""
    assert matched(calls, *pairs) == expected


def test_repeated_ids_are_matched_by_order() -> None:
    """Two calls with one id of the wire take the outputs of that id in their order."""
    assert matched(REPEATED, ("a", "1"), ("a", "2")) == [("a", "1"), ("a", "2")]


@pytest.mark.parametrize("pairs", [[], [("a", "1")], [("a", "1"), ("b", "2"), ("", "3")]])
def test_each_call_takes_one_output(pairs: list[tuple[str, str]]) -> None:
    """Too few or too many outputs are refused."""
    with pytest.raises(InvalidArgument, match=f"2 tool outputs are expected, not {len(pairs)}"):
        matched(TWO, *pairs)


@pytest.mark.parametrize(
    ("calls", "missing"),
    [(TWO, "b"), (calls_of(("a", "a"), ("", "s:1")), "s:1"), (calls_of(("a", ""), ("b", "")), "b")],
)
def test_an_output_for_no_call_is_refused(calls: list[ToolCall], missing: str) -> None:
    """An output that names an unknown call leaves a call without one, which is named."""
    with pytest.raises(InvalidArgument, match=f"no tool output for the call {missing}"):
        matched(calls, ("a", "1"), ("unknown", "2"))


@given(order=st.permutations(range(5)), by_wire=st.lists(st.booleans(), min_size=5, max_size=5))
def test_named_outputs_come_in_any_order(order: list[int], by_wire: list[bool]) -> None:
    """Whatever their order and whichever id they use, named outputs find their calls."""
    calls = calls_of(*((f"wire_{number}", f"ours_{number}") for number in range(5)))
    pairs = [(f"wire_{n}" if by_wire[n] else f"ours_{n}", str(n)) for n in order]
    assert matched(calls, *pairs) == [(f"wire_{n}", str(n)) for n in range(5)]
