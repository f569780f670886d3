"""Which output answers which call, and what a value is as an output."""

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.outputs import (
    check_outputs,
    error_text,
    known_outputs,
    match_outputs,
    written,
)
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


def known(calls: list[ToolCall], *pairs: tuple[str, str]) -> list[tuple[str, str] | None]:
    """What is known of each call, by id and text."""
    outputs = known_outputs(calls, outputs_of(*pairs))
    return [(output.tool_call_id, output.output) if output else None for output in outputs]


@pytest.mark.parametrize(
    ("calls", "pairs", "expected"),
    [
        (TWO, [], [None, None]),
        (TWO, [("b", "2")], [None, ("b", "2")]),
        (TWO, [("b", "2"), ("a", "1")], [("a", "1"), ("b", "2")]),
        (NAMELESS, [("step_1:1", "2")], [None, ("", "2")]),
        (REPEATED, [("step_1:1", "2")], [None, ("a", "2")]),
        (REPEATED, [("a", "1")], [("a", "1"), None]),
        (REPEATED, [("a", "1"), ("a", "2")], [("a", "1"), ("a", "2")]),
        (calls_of(("a", "step_2:0")), [("a", "1")], [("a", "1")]),
        ([], [], []),
    ],
)
def test_outputs_made_before_are_known(
    calls: list[ToolCall], pairs: list[tuple[str, str]], expected: list[tuple[str, str] | None]
) -> None:
    """An output made elsewhere is that of the call that it names, by either id."""
    assert known(calls, *pairs) == expected


@pytest.mark.parametrize(
    ("calls", "pairs", "named"),
    [
        (TWO, [("a", "1"), ("c", "2")], "'c' answers none of the calls a, b"),
        (TWO, [("", "1")], "'' answers none"),
        (NAMELESS, [("", "1")], "'' answers none of the calls step_1:0, step_1:1"),
        (TWO, [("a", "1"), ("a", "2")], "there are two tool outputs for the call a"),
        (calls_of(("a", "s:0")), [("s:0", "1"), ("a", "2")], "two tool outputs for the call a"),
        (TWO, [("", "1"), ("", "2")], "'' answers none of the calls a, b"),
        ([], [("a", "1")], "'a' answers none"),
    ],
)
def test_an_output_made_before_must_name_its_call(
    calls: list[ToolCall], pairs: list[tuple[str, str]], named: str
) -> None:
    """An output that names no call, or one that has its output, is refused and named."""
    with pytest.raises(InvalidArgument, match=named):
        known(calls, *pairs)


OUTPUT = ToolOutput(output="1", tool_call_id="a")


@pytest.mark.parametrize("outputs", [[], [OUTPUT], (OUTPUT, ToolOutput(output=""))])
def test_outputs_that_can_be_sent_are_taken(outputs: Any) -> None:
    """A list or a tuple of them is given back as a tuple, in its order; texts may be empty."""
    assert check_outputs("outputs", outputs) == tuple(outputs)


@pytest.mark.parametrize(
    "outputs",
    [
        5,
        None,
        {OUTPUT: 1},
        iter([OUTPUT]),
        OUTPUT,
        "text",
        "",
        b"",
        [{}],
        [{"output": "1"}],
        [OUTPUT, None],
    ],
)
def test_what_is_no_list_of_outputs_is_refused(outputs: Any) -> None:
    """One value that is none is enough; the argument is named."""
    with pytest.raises(InvalidArgument, match="tool_outputs must be a list of ToolOutput"):
        check_outputs("tool_outputs", outputs)


@pytest.mark.parametrize(
    "fields",
    [{"output": 5}, {"output": None}, {"output": b"1"}, {"output": "a\ud800"}, {"output": "\udfff"},
     {"tool_call_id": 5}, {"tool_call_id": None}, {"tool_call_id": "\ud800"}, {"run_id": 5},
     {"run_id": "\ud800"}],
)  # fmt: skip
def test_an_output_that_cannot_travel_is_refused(fields: Any) -> None:
    """Output and id are texts without half a pair; the good ones before it do not help."""
    wrong = ToolOutput(**{"output": "1", **fields})
    with pytest.raises(InvalidArgument, match="outputs: an output and its ids must be texts"):
        check_outputs("outputs", [OUTPUT, wrong])


class Colour(str, enum.Enum):  # noqa: UP042 (as users write it)
    """A choice."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [("text", "text"), (Colour.RED, "red"), (None, "null"), ({"城市": [1.5]}, '{"城市":[1.5]}')],
    ids=str,
)
def test_a_value_is_text_or_json(value: object, text: str) -> None:
    """Text is the output as it is; anything else is written as JSON."""
    assert written(value) == text


@pytest.mark.parametrize("value", [object(), "\ud800", {(1, 2): 3}], ids=["object", "half", "key"])
def test_a_value_that_cannot_travel_is_an_error(value: object) -> None:
    """What is neither text nor JSON is refused here, and not on the wire."""
    with pytest.raises((TypeError, UnicodeEncodeError)):
        written(value)


def test_an_error_is_json_that_the_model_reads() -> None:
    """The reason is the one field of an object, whatever characters it has."""
    assert json.loads(error_text('no "city" 杭州')) == {"error": 'no "city" 杭州'}
