"""What a client has seen, and what was there at a moment."""

from typing import Any

import pytest

from aiodashassist.core import known as module
from aiodashassist.core.known import Known, Past
from aiodashassist.core.models import Assistant, Message, Page, Run, Thread


def past(known: Known) -> Past:
    """What is known now."""
    return Past(known, known.moment)


@pytest.mark.parametrize(
    ("result", "ids"),
    [
        (Run(id="r"), {"r"}),
        (Message(id="m"), {"m"}),
        (Page(data=(Message(id="a"), Message(id="b"))), {"a", "b"}),
        (Page(data=()), set()),
        (Thread(id="t"), set()),
        (Assistant(id="a"), set()),
        (None, set()),
    ],
)
def test_runs_and_messages_are_seen(result: Any, ids: set[str]) -> None:
    """Alone and in lists; nothing else is looked for by what is new."""
    known = Known()
    known.see(result)

    assert {one for one in ("r", "m", "a", "b", "t") if past(known).had(one)} == ids


def test_what_is_seen_later_was_not_there_before() -> None:
    """It may have come of the request that was sent in between; seeing it again changes nothing."""
    known = Known()
    known.see(Run(id="old"))
    then = past(known)
    known.see(Page(data=(Run(id="new"), Run(id="old"))))

    assert then.had("old")
    assert not then.had("new")
    assert not then.had("never seen")
    assert past(known).had("new")
    assert not then.excludes("new")
    assert then.excludes("old")


def test_what_came_of_another_request_of_ours_did_not_come_of_this_one() -> None:
    """Even if it came later: it is not there before, but it is excluded."""
    known = Known()
    then = past(known)
    known.add("theirs")

    assert then.made("theirs")
    assert not then.had("theirs")
    assert then.excludes("theirs")


@pytest.mark.parametrize("made_first", [True, False])
def test_what_was_made_here_stays_so(made_first: bool) -> None:
    """Whether it is seen in a list before or after its answer tells of it."""
    known = Known()
    if made_first:
        known.add("m")
    known.see(Message(id="m"))
    known.add("m")
    known.see(Message(id="m"))

    assert past(known).made("m")


def test_what_others_made_is_seen_only() -> None:
    """A list shows what anybody has made."""
    known = Known()
    known.see(Message(id="m"))

    assert not past(known).made("m")
    assert not past(known).made("never seen")


def test_nothing_was_there_at_the_beginning_of_time() -> None:
    """When it is not known when a request was sent, only what is ours is excluded."""
    known = Known()
    known.see(Run(id="seen"))
    known.add("made")
    then = Past(known, 0)

    assert not then.excludes("seen")
    assert then.excludes("made")


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids that were not met for longest are forgotten; one that is met again is kept."""
    monkeypatch.setattr(module, "MEMORY", 3)
    known = Known()
    for obj_id in ("a", "b", "c", "a", "d"):
        known.see(Run(id=obj_id))

    assert [past(known).had(one) for one in "abcd"] == [True, False, True, True]


def test_a_client_remembers_ten_thousand() -> None:
    """No more, whatever it lists."""
    known = Known()
    for number in range(10_001):
        known.see(Run(id=str(number)))

    assert not past(known).had("0")
    assert past(known).had("1")
    assert past(known).had("10000")
