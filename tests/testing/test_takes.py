"""aiodashassist/testing/takes.py."""

from typing import Any

import pytest

from aiodashassist.core.provider import Request
from aiodashassist.testing.cassette import Answered, Body, Exchange, Failed
from aiodashassist.testing.scrubbing import Scrubber
from aiodashassist.testing.takes import Take

REQUEST = Request(method="POST", path="/threads/t/runs", operation="CreateRun", body=b"{}")


def answered(*pieces: bytes) -> Take:
    """A take whose answer has come so far."""
    take = Take(REQUEST, timings=False)
    take.begun(200, {"Content-Type": "x"})
    for piece in pieces:
        take.came(piece)
    return take


def shown(take: Take) -> Answered:
    """The answer as it stands on the cassette."""
    exchange = take.exchange(Scrubber())
    assert exchange.answer is not None
    return exchange.answer


async def test_what_is_said_first_of_the_end_holds() -> None:
    """A body that was read to its end is whole, whatever becomes of its connection then."""
    take = answered(b"all", b"")
    take.broke(ConnectionResetError("later"))
    take.ended("left")

    assert (shown(take).end, shown(take).words) == ("whole", "")


async def test_a_body_that_broke_says_how() -> None:
    """How the connection broke is kept, in the words of whoever saw it, or its class's name."""
    said, silent = answered(b"some"), answered(b"some")
    said.broke(ConnectionResetError("by  the\npeer"))
    silent.broke(ConnectionResetError())

    assert (shown(said).end, shown(said).words) == ("broken", "by the peer")
    assert shown(silent).words == "ConnectionResetError"


async def test_a_body_that_comes_with_the_error_is_kept() -> None:
    """What aiohttp still held of a broken body is a piece like the others."""
    take = answered(b"one")
    take.broke(ConnectionResetError("x"))
    take.came(b"two")

    assert shown(take) == Answered(
        status=200,
        headers={"Content-Type": "x"},
        body=Body.of(b"onetwo"),
        chunks=(3, 3),
        end="broken",
        words="x",
    )


@pytest.mark.parametrize(("run_id", "waits"), [("run_1", {1: 7}), ("run_2", {}), ("", {})])
async def test_only_what_is_done_to_its_own_run_counts(run_id: str, waits: dict[int, int]) -> None:
    """The next piece waits for a request that does something to a run that the answer names."""
    take = answered(b"run_1 begins")
    take.acted_on(run_id, 7)
    take.came(b"more")
    take.came(b"and more")

    assert shown(take).waits == waits


async def test_nothing_that_was_read_before_waits() -> None:
    """An answer that is over waits for nothing; one that says nothing more, for nothing either."""
    over, silent = answered(b"run_1", b""), answered(b"run_1")
    over.acted_on("run_1", 7)
    silent.acted_on("run_1", 7)

    assert shown(over).waits == shown(silent).waits == {}


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConnectionRefusedError("no"), "refused", "no"),
        (ConnectionResetError("gone"), "lost", "gone"),
        (TimeoutError("late"), "silent", "late"),
        (KeyboardInterrupt(), "left", ""),
        (None, "left", ""),
    ],
)
async def test_why_no_answer_came_is_told(error: Any, kind: Any, words: str) -> None:
    """A request without an answer says why, and that nobody waits any more is no fault."""
    take = Take(REQUEST, timings=False)
    if error is not None:
        take.failed(error)
    exchange = take.exchange(Scrubber())

    assert exchange == Exchange(request=exchange.request, failure=Failed(kind=kind, words=words))
