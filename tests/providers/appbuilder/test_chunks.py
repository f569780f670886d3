"""What a message's chunks add, and where the wire leaves it open."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.providers.appbuilder.chunks import TELLING, ChunkMode, MessageChunks
from tests.core.scaling import growth


def taken(mode: ChunkMode, *chunks: str) -> list[str]:
    """What each chunk adds."""
    message = MessageChunks(mode)
    return [message.new_in(chunk) for chunk in chunks]


LONG = "0123456789"
CASES: dict[str, tuple[ChunkMode, list[str], list[str]]] = {
    "nothing": ("auto", [], []),
    "whole": ("auto", [LONG], [LONG]),
    "deltas": ("auto", ["ab", "cd", "ef"], ["ab", "cd", "ef"]),
    "long deltas": ("auto", [LONG, "abc", "de"], [LONG, "abc", "de"]),
    "cumulative": ("auto", [LONG, LONG + "ab", LONG + "abc"], [LONG, "ab", "c"]),
    "cumulative from 8": ("auto", [LONG[:8], LONG[:9]], [LONG[:8], "8"]),
    "short first": ("auto", [LONG[:7], LONG[:9]], [LONG[:7], LONG[:9]]),
    "the same again": ("auto", [LONG, LONG], [LONG, LONG]),
    "once deltas, always deltas": ("auto", [LONG, "x", LONG + "x!"], [LONG, "x", LONG + "x!"]),
    "once cumulative, always": ("auto", [LONG, LONG + "a", LONG], [LONG, "a", ""]),
    "nothing tells nothing": ("auto", [LONG, "", LONG + "a"], [LONG, "", "a"]),
    "empty first": ("auto", ["", LONG, LONG + "a"], ["", LONG, "a"]),
    "told: deltas": ("delta", [LONG, LONG + "a", ""], [LONG, LONG + "a", ""]),
    "told: cumulative": ("cumulative", ["a", "ab", "ab", "abc"], ["a", "b", "", "c"]),
    "shorter": ("cumulative", ["abc", "ab", "abcd"], ["abc", "", "d"]),
    "goes on differently": ("cumulative", ["abc", "xyz", "abcxyz!"], ["abc", "", "xyz!"]),
    "corrected": ("cumulative", ["abc", "aXcd", "aXcde"], ["abc", "d", "e"]),
    "found, then other": ("auto", [LONG, LONG + "a", "z", "zy"], [LONG, "a", "z", "y"]),
    "found, then longer": ("auto", [LONG, LONG + "a", "z" * 12], [LONG, "a", "z" * 12]),
    "empty in between": ("cumulative", ["ab", "", "abc"], ["ab", "", "c"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_chunk_adds(name: str) -> None:
    """By the mode, and where it is open by the first comparison that tells."""
    mode, chunks, new = CASES[name]

    assert taken(mode, *chunks) == new


@pytest.mark.parametrize("mode", ["auto", "delta", "cumulative"])
@given(chunks=st.lists(st.text("ab", max_size=10), max_size=6))
def test_the_text_is_what_was_added(mode: ChunkMode, chunks: list[str]) -> None:
    """Nothing that was given is taken back."""
    message = MessageChunks(mode)
    added = ""
    for chunk in chunks:
        added += message.new_in(chunk)
        assert message.text == added


@given(st.lists(st.text(max_size=10), max_size=6))
def test_told_modes_are_never_wrong(deltas: list[str]) -> None:
    """A message cut either way is itself, if the mode is told."""
    assert taken("delta", *deltas) == deltas
    assert "".join(taken("cumulative", *accumulate(deltas))) == "".join(deltas)


@given(st.text(min_size=TELLING, max_size=20), st.lists(st.text(max_size=5), max_size=6))
def test_auto_finds_cumulative_chunks(first: str, rest: list[str]) -> None:
    """Where the first chunk is long enough, whatever the others are."""
    whole = [first, *rest]

    told = list(dict.fromkeys(accumulate(whole)))  # a server says nothing where nothing is new
    assert "".join(taken("auto", *told)) == "".join(whole)


@given(st.lists(st.text(max_size=TELLING - 1), max_size=6))
def test_auto_finds_short_deltas(deltas: list[str]) -> None:
    """No chunk of a few characters is longer than all before it and those 8 or more."""
    assert taken("auto", *deltas) == deltas


def test_auto_is_wrong_of_short_beginnings() -> None:
    """A cumulative message that begins with less than 8 characters repeats itself (§5.3)."""
    chunks = ["Hi", "Hi, you", "Hi, you there"]

    assert taken("auto", *chunks) == chunks
    assert "".join(taken("cumulative", *chunks)) == "Hi, you there"


def test_auto_is_wrong_of_a_delta_that_repeats_all() -> None:
    """A delta that begins with all text before it loses that: the mode settles it (§5.3)."""
    chunks = ["ha ha ha ", "ha ha ha ha!"]

    assert "".join(taken("auto", *chunks)) == "ha ha ha ha!"
    assert taken("delta", *chunks) == chunks


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["delta", "auto"])
def test_deltas_are_linear(mode: ChunkMode) -> None:
    """Twice the deltas take twice the time, whether that was told or found."""

    def work(count: int) -> str:
        message = MessageChunks(mode)
        for _ in range(count):
            message.new_in("word ")
        return message.text

    assert growth(work, 100_000) <= 2.3
