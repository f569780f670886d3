"""Checks before sending: what is taken, what is refused, and that the field is named."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from aiodashassist.core.checks import between, headers, identifier, metadata, one_of, whole
from aiodashassist.errors import InvalidArgument


@pytest.mark.parametrize("value", ["a", "thread_1", " "])
def test_an_id_is_any_text(value: str) -> None:
    """A text that is not empty passes."""
    identifier("thread_id", value)


@pytest.mark.parametrize("value", ["", None, 0, 7, b"thread_1", ["thread_1"]])
def test_an_id_that_is_none_is_refused(value: object) -> None:
    """An empty or non-text id is refused by name."""
    with pytest.raises(InvalidArgument, match="thread_id must be a non-empty string"):
        identifier("thread_id", value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {f"key {number}": "" for number in range(16)},
        {"k" * 64: "v" * 512},
        {"键" * 64: "值" * 512},
        {"": 5, "nested": {"a": "v" * 1000}},
    ],
    ids=["none", "16 pairs", "longest", "characters, not bytes", "other values"],
)
def test_metadata_within_the_limits_is_taken(value: dict[str, Any]) -> None:
    """16 pairs, keys of 64 and values of 512 characters are still good."""
    metadata(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({f"key {number}": "" for number in range(17)}, "17 pairs; at most 16"),
        ({"k" * 65: ""}, "keys are strings of at most 64 characters"),
        ({5: ""}, "keys are strings of at most 64 characters"),
        ({"key": "v" * 513}, r"metadata\['key'\] has 513 characters; at most 512"),
        ([("key", "value")], "metadata must be a mapping"),
        ("key", "metadata must be a mapping"),
    ],
)
def test_metadata_beyond_the_limits_is_refused(value: Any, reason: str) -> None:
    """One more is too much, and the message has the limit."""
    with pytest.raises(InvalidArgument, match=reason):
        metadata(value)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (0, "[0, 2)"),
        (1.999, "[0, 2)"),
        (0.001, "(0, 1]"),
        (1, "(0, 1]"),
        (1, "[1, inf)"),
        (10**400, "[1, inf)"),
        (100, "[1, 100]"),
    ],
)
def test_a_number_inside_is_taken(value: float, interval: str) -> None:
    """A square bracket has its end inside."""
    between("top_p", value, interval)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (2, "[0, 2)"),
        (-0.001, "[0, 2)"),
        (0, "(0, 1]"),
        (1.001, "(0, 1]"),
        (float("nan"), "[0, 2)"),
        (float("inf"), "[1, inf)"),
        (0, "[1, 100]"),
    ],
)
def test_a_number_outside_is_refused(value: float, interval: str) -> None:
    """A round bracket has its end outside; field, limit and value are told."""
    with pytest.raises(InvalidArgument) as caught:
        between("top_p", value, interval)
    assert str(caught.value) == f"top_p must be in {interval}, not {value}"


@pytest.mark.parametrize("value", [True, False, "1", None, [1]])
def test_what_is_no_number_is_refused(value: Any) -> None:
    """A bool is no number here, nor is a text of digits."""
    with pytest.raises(InvalidArgument, match="top_p must be a number, not "):
        between("top_p", value, "[0, 2)")


def test_one_of_a_few_words_is_taken() -> None:
    """An allowed word passes."""
    one_of("order", "asc", ("asc", "desc"))


@pytest.mark.parametrize("value", ["", "ASC", "up", None, 1])
def test_another_word_is_refused(value: object) -> None:
    """Any other is refused, and the message lists what is allowed."""
    with pytest.raises(InvalidArgument, match="order must be one of asc, desc"):
        one_of("order", value, ("asc", "desc"))


def test_a_refusal_is_a_value_error() -> None:
    """Who expects Python's own error for bad values gets it."""
    with pytest.raises(ValueError, match="thread_id"):
        identifier("thread_id", "")


@pytest.mark.parametrize("value", [1.0, 1.5, True, "1", 0, 101])
def test_a_whole_number_is_one_within_its_interval(value: float) -> None:
    """Fractions, texts and truths are no whole numbers."""
    whole("limit", 1, "[1, 100]")
    with pytest.raises(InvalidArgument, match="limit"):
        whole("limit", value, "[1, 100]")


@pytest.mark.parametrize(
    "value", [{}, {"X-Mine": ""}, {"x": "值 \t;"}, MappingProxyType({"X": "1"})]
)
def test_headers_of_one_line_are_taken(value: Any) -> None:
    """Any text in one line is a header, in any mapping."""
    headers(value)


@pytest.mark.parametrize("value", [None, "X: 1", [("X", "1")], 5])
def test_headers_are_a_mapping(value: Any) -> None:
    """What is none is refused by its type, not shown: it may hold a secret."""
    with pytest.raises(
        InvalidArgument, match=f"headers must be a mapping, not {type(value).__name__}"
    ):
        headers(value)


@pytest.mark.parametrize(
    "value",
    [{"X": 1}, {"X": None}, {"X": b"1"}, {1: "x"}, {"X": "a\nb"}, {"X": "a\rb"}, {"X\n": "1"},
     {"X": "a\0b"}, {"X": "a\ud800"}, {"X": "\udfff"}, {"X\udc80": "1"}],
)  # fmt: skip
def test_a_header_that_cannot_be_sent_is_refused(value: Any) -> None:
    """One that is no text, or would begin another header, is named; its value is not shown."""
    with pytest.raises(InvalidArgument, match="must be one line of text") as caught:
        headers({**value, "Secret": "hush"})
    assert repr(next(iter(value))) in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "around",
    [
        lambda value: value,
        lambda value: [1.5, value],
        lambda value: (value, "x"),
        lambda value: {value},
        lambda value: frozenset({value}),
        lambda value: MappingProxyType({"b": value}),
        lambda value: {"b": [{"c": ("x", [value])}]},
    ],
    ids=["alone", "list", "tuple", "set", "frozen set", "mapping", "deep"],
)
def test_a_number_that_json_does_not_have_is_refused(
    value: float, around: Callable[[object], object]
) -> None:
    """NaN and infinity would be sent as null, in silence, wherever they are."""
    with pytest.raises(InvalidArgument, match=r"metadata\['a'\] holds what JSON cannot"):
        metadata({"good": around(1.5), "a": around(value)})
    metadata({"a": around(1.5)})


def nested(levels: int, value: object = "x") -> object:
    """A value inside so many levels, lists and objects by turns."""
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def test_metadata_has_an_end() -> None:
    """A hundred levels are good, one more is too many."""
    metadata({"a": nested(100)})
    with pytest.raises(InvalidArgument, match=r"metadata\['a'\] holds what JSON cannot"):
        metadata({"a": nested(101)})


@pytest.mark.parametrize("count", [1, 2])
def test_metadata_does_not_hold_itself(count: int) -> None:
    """A list that is its own item, once or twice, is refused and not walked for ever."""
    circle: list[object] = []
    circle.extend([circle] * count)
    with pytest.raises(InvalidArgument, match="metadata"):
        metadata({"a": circle})


@pytest.mark.parametrize("name", ["", " ", "X Y", "X:", "X,", "(X)", "名", "X=1", '"X"', "X/Y"])
def test_the_name_of_a_header_is_a_token(name: str) -> None:
    """Another would be sent as something else, or as no header; its value is not shown."""
    with pytest.raises(InvalidArgument, match="no header is named") as caught:
        headers({"X-Good": "1", name: "hush"})
    assert repr(name) in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
def test_how_long_a_body_is_is_not_the_users_to_say(name: str) -> None:
    """Two lengths of one request are how requests are smuggled."""
    with pytest.raises(InvalidArgument, match=name):
        headers({name: "5"})
