"""The id of a request in the metadata of what it makes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.decoding import MARK
from aiodashassist.core.marks import MARKED, mark_of, marked, marks_in
from aiodashassist.core.operations import Operation

METADATA = {str(number): "x" for number in range(16)}


def asked(name: str, **params: Any) -> Operation[Any]:
    """One of the operations that can carry a mark."""
    kinds: dict[str, Callable[[Any], Operation[Any]]] = {
        "assistant": lambda given: ops.CreateAssistant(params=given),
        "message": lambda given: ops.CreateMessage(thread_id="t", params=given),
        "run": lambda given: ops.CreateRun(thread_id="t", params=given),
        "thread and run": lambda given: ops.CreateThreadAndRun(params=given),
    }
    return kinds[name](params)


NAMES = ("assistant", "message", "run", "thread and run")


def metadata_of(operation: Operation[Any]) -> Any:
    """What an operation sends as metadata."""
    params: Any = getattr(operation, "params", {})
    return params.get("metadata")


@pytest.mark.parametrize("name", NAMES)
def test_a_mark_is_added_to_the_metadata(name: str) -> None:
    """The caller's pairs stay, the caller's own objects are not changed."""
    own = {"a": "1"}
    before = asked(name, metadata=own, model="x")
    after = marked(before, "m1")

    assert type(after) in MARKED
    assert metadata_of(after) == {"a": "1", MARK: "m1"}
    assert getattr(after, "params", {})["model"] == "x"
    assert own == {"a": "1"}
    assert metadata_of(before) is own
    assert (mark_of(before), mark_of(after)) == (None, "m1")


@pytest.mark.parametrize("given", [{}, {"metadata": None}, {"metadata": {}}])
def test_metadata_that_are_not_given_are_made(given: dict[str, Any]) -> None:
    """None and nothing are no reason to go unmarked."""
    assert metadata_of(marked(asked("run", **given), "m1")) == {MARK: "m1"}


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": METADATA},
        {"metadata": {**METADATA, MARK: "old"}},
        {"metadata": "no mapping"},
        {"metadata": None, "extra_body": {"metadata": {}}},
        {"extra_body": {"metadata": None}},
    ],
)
def test_where_there_is_no_place_nothing_is_changed(given: dict[str, Any]) -> None:
    """16 pairs are the most that metadata have; a body of the caller's own is not ours."""
    operation = asked("message", **given)

    assert marked(operation, "m1") is operation


@pytest.mark.parametrize("body", [None, {}, {"other": 1}, "no mapping"])
def test_another_body_of_the_callers_own_leaves_the_place(body: object) -> None:
    """Only metadata in it would stand in the way."""
    assert mark_of(marked(asked("run", extra_body=body), "m1")) == "m1"


def test_fifteen_pairs_leave_the_place() -> None:
    """The mark is the sixteenth; one that is there already is replaced, and counts once."""
    fifteen = dict(list(METADATA.items())[1:])
    again = marked(asked("run", metadata={**fifteen, MARK: "old"}), "m2")

    assert len(metadata_of(marked(asked("run", metadata=fifteen), "m1"))) == 16
    assert metadata_of(again) == {**fifteen, MARK: "m2"}


def test_a_mark_from_elsewhere_is_replaced() -> None:
    """Metadata copied from another object carry that object's mark: it would be found for ours."""
    assert mark_of(marked(asked("run", metadata={MARK: "another's"}), "m1")) == "m1"


@pytest.mark.parametrize(
    "operation",
    [
        ops.CreateThread(params={"metadata": {}}),
        ops.UpdateRun(thread_id="t", run_id="r", params={"metadata": {}}),
        ops.SubmitOutputs(thread_id="t", run_id="r", tool_outputs=()),
        ops.ListRuns(thread_id="t"),
    ],
)
def test_other_operations_carry_none(operation: Operation[Any]) -> None:
    """What is not looked for by its mark is sent as it was given."""
    assert marked(operation, "m1") is operation
    assert mark_of(operation) is None


@pytest.mark.parametrize("metadata", [None, {}, {MARK: 5}, {MARK: None}, "m1", {"a": "m1"}])
def test_what_is_no_text_under_the_key_is_no_mark(metadata: object) -> None:
    """Only a text under this one key is one."""
    assert mark_of(asked("run", metadata=metadata)) is None


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ({"data": [{"metadata": {MARK: "a"}}, {"metadata": {"x": MARK}}, {"metadata": {}}]},
         ("a", None, None)),
        ({"data": [{}, {"metadata": None}, {"metadata": "a"}, None, "x", {"metadata": {MARK: 1}}]},
         (None,) * 6),
        ({"data": []}, ()),
        ({"data": None}, ()),
        ({"data": {"metadata": {MARK: "a"}}}, ()),
        ({}, ()),
        ([{"metadata": {MARK: "a"}}], ()),
        (None, ()),
    ],
)  # fmt: skip
def test_the_marks_of_a_list_are_in_the_order_of_its_objects(
    body: object, marks: tuple[str | None, ...]
) -> None:
    """One for each object, None where it has none that is a text; no list has none."""
    assert marks_in(json.dumps(body).encode()) == marks


@given(st.binary())
def test_an_answer_that_cannot_be_read_has_no_marks(body: bytes) -> None:
    """Whatever comes instead of a list is no list."""
    assert marks_in(b"x" + body) == ()
