"""The kinds of faults: what they are for, and what cannot be said of them."""

from typing import Any

import pytest

from aiodashassist.server import (
    Chop,
    Crlf,
    Cut,
    Drop,
    Duplicate,
    Expire,
    Fault,
    Html,
    Lose,
    Refuse,
    Slow,
    Stall,
    Truncate,
)

GOOD: list[Fault] = [
    Drop(),
    Refuse(),
    Html(),
    Expire(),
    Lose(),
    Slow(seconds=1),
    Cut(after_bytes=0),
    Cut(after_events=0),
    Truncate(after_bytes=0),
    Stall(after_events=0),
    Duplicate(event=1),
    Crlf(),
    Chop(size=1),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Lose, {"operation": "Nothing"}, "there is no operation 'Nothing'"),
        (Lose, {"operation": "ListOperation"}, "there is no operation"),
        (Lose, {"skip": -1}, "skip must be a whole number, at least 0"),
        (Lose, {"skip": 0.5}, "skip must be a whole number"),
        (Lose, {"every": 0}, "every must be a whole number, at least 1"),
        (Lose, {"every": True}, "every must be a whole number"),
        (Lose, {"times": 0}, "times must be a whole number, at least 1"),
        (Lose, {"chance": 1.1}, "chance must be a number from 0 to 1"),
        (Lose, {"chance": -0.1}, "chance must be"),
        (Lose, {"chance": float("nan")}, "chance must be"),
        (Lose, {"chance": "1"}, "chance must be"),
        (Lose, {"stream": "yes"}, "stream must be True, False or None"),
        (Refuse, {"status": 200}, "status must be 408, 429 or from 500 to 599"),
        (Refuse, {"status": 404}, "status must be"),
        (Refuse, {"status": 600}, "status must be"),
        (Refuse, {"status": "429"}, "status must be"),
        (Refuse, {"retry_after": "1\r\nX: y"}, "retry_after must be the value of a header"),
        (Refuse, {"retry_after": 1}, "retry_after must be"),
        (Html, {"status": 204}, "status must be 200 or from 400 to 599"),
        (Html, {"status": 301}, "status must be"),
        (Expire, {"operation": "CreateRun"}, "operation must be 'SubmitOutputs'"),
        (Expire, {"operation": ""}, "operation must be 'SubmitOutputs'"),
        (Slow, {"seconds": 0}, "seconds must be a number of seconds, more than 0"),
        (Slow, {"seconds": float("nan")}, "seconds must be"),
        (Slow, {"seconds": "1"}, "seconds must be"),
        (Slow, {"seconds": True}, "seconds must be"),
        (Cut, {}, "one of after_bytes and after_events"),
        (Cut, {"after_bytes": 1, "after_events": 1}, "one of after_bytes and after_events"),
        (Cut, {"after_bytes": -1}, "after_bytes must be a whole number, at least 0"),
        (Cut, {"after_events": -1}, "after_events must be a whole number, at least 0"),
        (Cut, {"after_events": 1, "stream": False}, "stream must not be False"),
        (Truncate, {"after_bytes": -1}, "after_bytes must be"),
        (Stall, {"after_events": -1}, "after_events must be"),
        (Stall, {"after_events": 1, "seconds": 0}, "seconds must be"),
        (Stall, {"after_events": 1, "ping": 0}, "ping must be"),
        (Stall, {"after_events": 1, "stream": False}, "stream must not be False"),
        (Duplicate, {"event": 0}, "event must be a whole number, at least 1"),
        (Crlf, {"stream": False}, "stream must not be False"),
        (Chop, {"size": 0}, "size must be a whole number, at least 1"),
        (Chop, {"size": 1, "pause": -1}, "pause must be"),
        (Chop, {"size": 1, "pause": float("nan")}, "pause must be"),
        (Chop, {"size": 1, "pause": "1"}, "pause must be"),
    ],
)
def test_what_makes_no_sense_is_a_value_error_at_once(
    kind: type[Fault], arguments: dict[str, Any], words: str
) -> None:
    """Each wrong argument is named, when the fault is made."""
    with pytest.raises(ValueError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("fault", GOOD, ids=repr)
def test_a_fault_is_for_what_it_says(fault: Fault) -> None:
    """The name and the kind of answer are looked at; events are in streams only."""
    events = isinstance(fault, Stall | Duplicate | Crlf) or "after_events" in repr(fault)
    outputs = isinstance(fault, Expire)

    assert fault.fits("SubmitOutputs", stream=True)
    assert fault.fits("SubmitOutputs", stream=False) is not events
    assert fault.fits("CreateRun", stream=True) is not outputs


@pytest.mark.parametrize(
    ("fault", "fitting"),
    [
        (Lose(), {("CreateRun", True), ("CreateRun", False), ("ListRuns", False)}),
        (Lose(operation="CreateRun"), {("CreateRun", True), ("CreateRun", False)}),
        (Lose(stream=True), {("CreateRun", True)}),
        (Lose(stream=False), {("CreateRun", False), ("ListRuns", False)}),
        (Lose(stream=False, operation="CreateRun"), {("CreateRun", False)}),
        (Cut(after_bytes=1, stream=False), {("CreateRun", False), ("ListRuns", False)}),
        (Cut(after_events=1), {("CreateRun", True)}),
        (Crlf(operation="ListRuns"), set()),
    ],
)
def test_name_and_stream_are_asked_for_together(
    fault: Fault, fitting: set[tuple[str, bool]]
) -> None:
    """A fault fits where all that it says fits."""
    asked = [("CreateRun", True), ("CreateRun", False), ("ListRuns", False)]

    assert {(name, stream) for name, stream in asked if fault.fits(name, stream=stream)} == fitting


def test_what_is_shown_of_a_fault_is_what_was_said() -> None:
    """Its representation leaves out what is as usual, and can be typed in again."""
    fault = Cut(operation="CreateRun", after_events=3, reset=True)

    assert repr(fault) == "Cut(operation='CreateRun', after_events=3, reset=True)"
    assert eval(repr(fault)) == fault


def test_a_fault_stays_as_it_is() -> None:
    """It is a value: it can be kept, compared and used again."""
    with pytest.raises(AttributeError):
        Lose().reset = True  # type: ignore[misc]
    assert Lose() == Lose()
    assert len({Lose(), Lose(), Lose(reset=True)}) == 2
