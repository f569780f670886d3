"""Sending an operation until it is answered: attempts, pauses, looks, and when to stop.

In virtual time. An attempt and a look take no time, so that every second is a pause.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aiodashassist.core import operations as ops
from aiodashassist.core.decoding import MARK
from aiodashassist.core.models import Content, Deleted, Message, Page, Run, Text
from aiodashassist.core.operations import Operation
from aiodashassist.core.reconcile import Seen
from aiodashassist.core.settings import Retry
from aiodashassist.errors import (
    AssistError,
    BadRequest,
    ConfigError,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    ServerError,
    TransportError,
)
from aiodashassist.sending import Experience, Sending, Unrepeatable
from tests import virtual_time

READ = ops.RetrieveThread(thread_id="t")
DELETE = ops.DeleteThread(thread_id="t")
BEGIN = ops.CreateRun(thread_id="t", params={"assistant_id": "a", "metadata": {MARK: "m"}})
"""A run that is found by its mark."""
FOUND = Run(id="found")
LOST = TransportError("broke", request_id="q")
UNSENT = ConnectError("refused")
REFUSED = RateLimited("slow", status=429)
SILENT = RequestTimeout("late")
FAILED = ServerError("oops", status=500)
DENIED = BadRequest("busy", status=400)
ODD = DecodeError("of another shape")
GARBLED = DecodeError("a page")
GARBLED.garbled = True

START = 1024.0
"""When all begins, in seconds of the virtual clock."""
Look = Run | AssistError | None
"""What a look shows: the run, an error, or (None) that nothing is there."""


def said(obj_id: str, at: int) -> Message:
    """A message of a thread without marks."""
    content = (Content(text=Text(value="hi")),)
    return Message(id=obj_id, role="user", created_at=at, content=content)


SAY = ops.CreateMessage(thread_id="t", params={"content": "hi"})
ASK = ops.CreateRun(thread_id="t", params={"assistant_id": "a"})


class Sent:
    """An operation that was sent, and what came of it.

    Attributes:
        result: what it gave; None if it failed.
        error: how it failed.
        attempts: when each was made, in seconds from the first.
        numbers: which number each was told.
        looks: when each was made.
        ended: when it was over.
    """

    def __init__(self) -> None:
        self.result: Any = None
        self.error: AssistError | None = None
        self.attempts: list[float] = []
        self.numbers: list[int] = []
        self.looks: list[float] = []
        self.ended = 0.0

    @property
    def kind(self) -> type[BaseException] | None:
        """The class of the error."""
        return type(self.error) if self.error is not None else None


def send(
    operation: Operation[Any],
    *outcomes: Any,
    looks: Sequence[Look] = (),
    experience: Experience | None = None,
    lost: AssistError | None = None,
    ask: Callable[[Operation[Any]], Seen] | None = None,
    **rules: Any,
) -> Sent:
    """Send it; the attempts have these outcomes, and the looks show this; the last for ever."""
    sent = Sent()

    def now() -> float:
        return asyncio.get_running_loop().time() - START

    async def once(number: int) -> Any:
        sent.attempts.append(now())
        sent.numbers.append(number)
        outcome = outcomes[min(len(sent.attempts), len(outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def look(question: Operation[Any]) -> Seen:
        sent.looks.append(now())
        if ask is not None:
            return ask(question)
        assert isinstance(question, ops.ListRuns)
        shown = looks[min(len(sent.looks), len(looks)) - 1] if looks else None
        if isinstance(shown, AssistError):
            raise shown
        return Seen(Page(data=(shown,)), ("m",)) if shown else Seen(Page(data=()), ())

    async def main() -> None:
        await asyncio.sleep(START)
        shared = experience or Experience(100)
        sending = Sending(operation, Retry(**rules), shared, look, 20)
        try:
            sent.result = await sending.through(once, lost)
        except AssistError as error:
            sent.error = error
        sent.ended = now()

    virtual_time.run(main())
    return sent


@pytest.fixture(autouse=True)
def _longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pauses are as long as they may be."""
    monkeypatch.setattr(random, "random", lambda: 1.0)


def test_a_good_answer_is_the_end() -> None:
    """One attempt, and no look."""
    sent = send(READ, "thread")

    assert (sent.result, sent.numbers, sent.looks) == ("thread", [1], [])


@pytest.mark.parametrize("error", [LOST, UNSENT, REFUSED, SILENT, FAILED])
def test_what_may_be_done_twice_is_sent_again(error: AssistError) -> None:
    """After ever longer pauses, and without a look; each attempt is told its number."""
    sent = send(READ, error, error, error, "thread")

    assert sent.result == "thread"
    assert sent.attempts == [0.0, 0.5, 1.5, 3.5]
    assert (sent.numbers, sent.looks) == ([1, 2, 3, 4], [])


def test_the_last_error_is_raised() -> None:
    """When the attempts are used up."""
    sent = send(READ, UNSENT, REFUSED, LOST, attempts=3)

    assert sent.error is LOST
    assert len(sent.attempts) == 3


def test_a_last_word_is_not_asked_for_twice() -> None:
    """What was answered is answered."""
    sent = send(READ, DENIED)

    assert sent.error is DENIED
    assert sent.attempts == [0.0]


def test_with_one_attempt_nothing_is_sent_again() -> None:
    """Neither what may be done twice nor what was refused."""
    assert send(READ, LOST, attempts=1).attempts == [0.0]
    assert send(BEGIN, REFUSED, attempts=1).error is REFUSED


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_pauses_are_drawn(chance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to the bound, each for itself."""
    monkeypatch.setattr(random, "random", lambda: chance)
    sent = send(READ, LOST, LOST, "thread")

    assert sent.attempts == pytest.approx([0.0, 0.5 * chance, 1.5 * chance])


def test_pauses_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for all."""
    drawn = iter([0.9, 0.1, 0.5])
    monkeypatch.setattr(random, "random", lambda: next(drawn))
    sent = send(READ, LOST, LOST, LOST, "thread")

    assert sent.attempts == pytest.approx([0.0, 0.45, 0.55, 1.55])


@pytest.mark.parametrize("operation", [READ, BEGIN])
def test_the_service_is_given_the_time_it_asks_for(operation: Operation[Any]) -> None:
    """`Retry-After` is the least that is waited."""
    busy = RateLimited("slow", status=429, retry_after=7.0)
    sent = send(operation, busy, ServerError("down", status=503, retry_after=30.0), FOUND)

    assert sent.result is FOUND
    assert sent.attempts == [0.0, 7.0, 37.0]


def test_a_wait_beyond_the_patience_is_not_begun() -> None:
    """The error comes at once."""
    busy = RateLimited("slow", status=429, retry_after=61.0)
    sent = send(READ, busy)

    assert sent.error is busy
    assert (sent.attempts, sent.ended) == ([0.0], 0.0)


def test_no_attempt_begins_after_max_elapsed() -> None:
    """Counted from the first; None is for ever."""
    rules: dict[str, Any] = {"attempts": 10, "first_delay": 10, "longest_delay": 10}

    assert send(READ, LOST, max_elapsed=35, **rules).attempts == [0.0, 10.0, 20.0, 30.0]
    assert len(send(READ, LOST, max_elapsed=None, **rules).attempts) == 10


def test_a_budget_is_shared_and_refilled() -> None:
    """Requests that fail use it up together; each good answer gives one attempt back."""
    shared = Experience(4)

    assert len(send(READ, LOST, experience=shared).attempts) == 4
    assert len(send(BEGIN, UNSENT, experience=shared).attempts) == 2
    assert len(send(READ, LOST, experience=shared).attempts) == 1
    for _ in range(2):
        send(READ, "thread", experience=shared)
    assert len(send(READ, LOST, experience=shared).attempts) == 2


def test_an_attempt_is_logged_without_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    """Which operation, how it failed, when it is sent again; nothing of its parameters."""
    message = ops.CreateMessage(thread_id="t", params={"content": "private"})
    with caplog.at_level(logging.DEBUG, "aiodashassist"):
        send(message, UNSENT, Message(id="m"))

    [record] = [one for one in caplog.records if one.name == "aiodashassist.sending"]
    assert record.getMessage().startswith("CreateMessage: attempt 1 failed: ConnectError(")
    assert record.getMessage().endswith("again in 0.50 s")
    assert "private" not in record.getMessage()


# Deletions.


@pytest.mark.parametrize(
    ("operation", "obj_id"),
    [
        (ops.DeleteAssistant(assistant_id="a"), "a"),
        (ops.DeleteFile(file_id="f"), "f"),
        (ops.DeleteThread(thread_id="t"), "t"),
        (ops.DetachFile(assistant_id="a", file_id="f"), "f"),
    ],
)
@pytest.mark.parametrize("error", [LOST, SILENT, FAILED])
def test_a_deletion_that_then_finds_nothing_has_been_done(
    error: AssistError, operation: Operation[Any], obj_id: str
) -> None:
    """The attempt before was received after all; it is answered as if it had been heard."""
    sent = send(operation, error, REFUSED, NotFound("gone", status=400))

    assert sent.result == Deleted(id=obj_id, deleted=True)


@pytest.mark.parametrize("before", [(), (REFUSED,), (UNSENT, REFUSED)])
def test_a_deletion_of_nothing_is_an_error(before: Sequence[AssistError]) -> None:
    """Where no attempt before can have been received."""
    gone = NotFound("gone", status=400)

    assert send(DELETE, *before, gone).error is gone


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (READ, NotFound("gone", status=400)),
        (ops.UpdateThread(thread_id="t", params={}), NotFound("gone", status=400)),
        (DELETE, DENIED),
        (DELETE, ODD),
    ],
)
def test_nothing_else_is_taken_for_done(operation: Operation[Any], error: AssistError) -> None:
    """Not what was only read or changed, and not for another error."""
    assert send(operation, LOST, error).error is error


# What makes something.


@pytest.mark.parametrize("error", [UNSENT, REFUSED, ServerError("down", status=503)])
def test_what_was_not_begun_is_sent_again_without_a_look(error: AssistError) -> None:
    """It was not received, or refused before any work."""
    sent = send(BEGIN, error, error, FOUND)

    assert sent.result is FOUND
    assert (sent.attempts, sent.looks) == ([0.0, 0.5, 1.5], [])


@pytest.mark.parametrize("error", [LOST, FAILED, SILENT, GARBLED, BadRequest("late", status=408)])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_was_done_is_found_and_not_sent_again(before: int, error: AssistError) -> None:
    """At the first look or a later one: it may have been on its way."""
    sent = send(BEGIN, error, looks=[None] * before + [FOUND])

    assert sent.result is FOUND
    assert len(sent.attempts) == 1
    assert sent.looks == [0.0, 1.0, 3.0][: before + 1]


def test_looks_keep_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least half of what they may wait, whatever is drawn; else all could come too early."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    sent = send(BEGIN, LOST, FOUND)

    assert sent.looks == [0.0, 0.5, 1.5, 1.5]
    assert sent.attempts == [0.0, 1.5]


def test_what_is_not_there_is_sent_again_once() -> None:
    """After three looks and one more just before, so that it cannot have come meanwhile."""
    sent = send(BEGIN, LOST, Run(id="second"))

    assert sent.result == Run(id="second")
    assert sent.attempts == [0.0, 3.5]
    assert sent.looks == [0.0, 1.0, 3.0, 3.5]


def test_what_comes_during_the_pause_is_not_sent_again() -> None:
    """The last look is made when the pause is over."""
    sent = send(BEGIN, LOST, looks=[None, None, None, FOUND])

    assert sent.result is FOUND
    assert (sent.attempts, sent.looks[-1]) == ([0.0], 3.5)


def test_a_refusal_after_a_lost_attempt_is_looked_through_too() -> None:
    """The attempt that was lost may have arrived while the next one was refused."""
    sent = send(BEGIN, LOST, REFUSED, looks=[None, None, None, None, FOUND])

    assert sent.result is FOUND
    assert len(sent.attempts) == 2
    assert len(sent.looks) == 5


def test_what_failed_without_doubt_is_not_looked_for() -> None:
    """Refusals leave nothing to find, however many."""
    sent = send(BEGIN, REFUSED, UNSENT, REFUSED, DENIED)

    assert sent.error is DENIED
    assert sent.looks == []


@pytest.mark.parametrize("error", [SILENT, ServerError("late", status=504)])
def test_what_may_be_under_way_is_not_sent_again(error: AssistError) -> None:
    """Silence, or a gateway's word, says nothing of the service behind: it may come later still."""
    sent = send(BEGIN, error)

    assert sent.kind is OutcomeUnknown
    assert sent.attempts == [0.0]
    assert len(sent.looks) == 3
    assert "may still be on its way" in str(sent.error)


def test_a_clock_that_ran_out_is_told_as_such() -> None:
    """A stream that did not begin in time: found all the same, or FirstEventTimeout.

    It says where to look, for the run may be there.
    """
    late = FirstEventTimeout("late", request_id="q")
    assert send(BEGIN, late, looks=[FOUND]).result is FOUND

    for reconcile in (True, False):
        sent = send(BEGIN, late, reconcile=reconcile)
        assert sent.kind is FirstEventTimeout
        assert "look at threads.runs.list('t')" in str(sent.error)
        assert str(sent.error).startswith("late; ")
        assert sent.error is not None
        assert sent.error.request_id == "q"


def test_what_nobody_knows_says_where_to_look() -> None:
    """With how the answer was lost as its cause, and the id of the request."""
    sent = send(BEGIN, LOST, attempts=1)

    assert sent.kind is OutcomeUnknown
    assert sent.error is not None
    assert sent.error.__cause__ is LOST
    assert sent.error.request_id == "q"
    assert "CreateRun: the answer was lost" in sent.error.message
    assert "look at threads.runs.list('t')" in sent.error.message
    assert len(sent.looks) == 3


@pytest.mark.parametrize("error", [FAILED, GARBLED])
def test_an_error_that_was_answered_is_raised_as_such(error: AssistError) -> None:
    """It was received, it failed, and nothing of it is there."""
    sent = send(BEGIN, error, attempts=2)

    assert sent.error is error
    assert len(sent.attempts) == 2


def test_an_answer_that_says_nothing_is_told_as_a_failure() -> None:
    """Nothing was lost; but what was answered does not tell whether the work was done."""
    sent = send(ops.CreateFiles(files=()), FAILED)

    assert sent.kind is OutcomeUnknown
    assert "CreateFiles: the service failed (500: oops), and there is no way" in str(sent.error)


def test_looking_ends_with_the_time_for_attempts() -> None:
    """A first look is always made; after max_elapsed no other is waited for."""
    rules: dict[str, Any] = {"first_delay": 10, "longest_delay": 100}

    assert send(BEGIN, SILENT, max_elapsed=0, **rules).looks == [0.0, 20.0]
    assert send(BEGIN, SILENT, max_elapsed=20, **rules).looks == [0.0, 20.0, 60.0]
    assert send(BEGIN, SILENT, max_elapsed=19, **rules).looks == [0.0, 20.0]


@pytest.mark.parametrize("error", [LOST, SILENT])
def test_without_reconciling_nothing_is_looked_for(error: AssistError) -> None:
    """And nothing is sent again that may have been done."""
    sent = send(BEGIN, error, reconcile=False)

    assert sent.kind is OutcomeUnknown
    assert (sent.attempts, sent.looks) == ([0.0], [])
    assert "Retry(reconcile=False)" in str(sent.error)


@pytest.mark.parametrize("error", [FAILED, ServerError("late", status=504), GARBLED])
def test_without_reconciling_an_answer_is_raised_as_it_is(error: AssistError) -> None:
    """Whoever looks for nothing is told what was heard; it is not sent again either."""
    sent = send(BEGIN, error, reconcile=False)

    assert sent.error is error
    assert (sent.attempts, sent.looks) == ([0.0], [])


def test_without_reconciling_what_was_not_begun_is_sent_again() -> None:
    """That needs no look."""
    assert send(BEGIN, REFUSED, UNSENT, FOUND, reconcile=False).result is FOUND
    assert send(READ, LOST, "thread", reconcile=False).result == "thread"


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (ops.CreateThreadAndRun(params={"assistant_id": "a"}), "create the thread first"),
        (ops.CreateFiles(files=()), "look at files.list()"),
        (ops.CreateAssistant(params={}), "look at assistants.list()"),
    ],
)
def test_what_cannot_be_looked_for_is_not_known(operation: Operation[Any], words: str) -> None:
    """It leaves no trace that could be found: one attempt, and the words where to look."""
    sent = send(operation, LOST)

    assert sent.kind is OutcomeUnknown
    assert (sent.attempts, sent.looks) == ([0.0], [])
    assert "there is no way to look it up" in str(sent.error)
    assert words in str(sent.error)


def test_a_service_that_keeps_no_marks_is_not_searched_for_them() -> None:
    """Once its answer has shown that it keeps none of this kind."""
    shared = Experience(10)
    shared.unkept.add(ops.CreateRun)
    sent = send(BEGIN, LOST, experience=shared)

    assert sent.kind is OutcomeUnknown
    assert sent.looks == []
    assert "does not keep" in str(sent.error)

    shared.unkept = {ops.CreateMessage}
    assert send(BEGIN, LOST, looks=[FOUND], experience=shared).result is FOUND


def test_what_bears_no_mark_is_looked_for_by_what_is_new() -> None:
    """Whatever the service does with marks."""
    shared = Experience(10)
    shared.unkept.add(ops.CreateMessage)

    def ask(question: Operation[Any]) -> Seen:
        is_run = isinstance(question, ops.ListRuns)
        return Seen(Page(data=() if is_run else (said("m", 5),)))

    assert send(SAY, LOST, ask=ask, experience=shared).result == said("m", 5)


@pytest.mark.parametrize("when", [0, 2, 3])
def test_a_look_that_fails_leaves_it_unknown(when: int) -> None:
    """At whichever look: nothing is sent again without knowing."""
    no_list = ServerError("no list", status=500)
    sent = send(BEGIN, LOST, looks=[None] * when + [no_list])

    assert sent.kind is OutcomeUnknown
    assert len(sent.attempts) == 1
    assert len(sent.looks) == when + 1
    assert "looking it up failed: 500: no list" in str(sent.error)


def test_a_client_that_cannot_ask_says_so() -> None:
    """An error that is no word of the service is no reason for doubt: it is raised as it is."""
    cannot = ConfigError("this client plays a recording")
    sent = send(BEGIN, LOST, looks=[cannot])

    assert sent.error is cannot
    assert len(sent.attempts) == 1


def test_a_refusal_may_be_due_to_the_attempt_before() -> None:
    """As "the thread has an active run" is: that run is ours."""
    sent = send(BEGIN, LOST, DENIED, looks=[None] * 4 + [FOUND])

    assert sent.result is FOUND
    assert len(sent.attempts) == 2


def test_a_refusal_of_its_own_is_raised() -> None:
    """Where nothing of the attempt before is there."""
    assert send(BEGIN, LOST, DENIED).error is DENIED


def test_a_refusal_that_cannot_be_explained_leaves_it_unknown() -> None:
    """It may be due to the attempt before."""
    sent = send(BEGIN, LOST, DENIED, looks=[*[None] * 4, TransportError("no list")])

    assert sent.kind is OutcomeUnknown
    assert sent.error is not None
    assert sent.error.__cause__ is DENIED


def test_an_error_that_is_no_answer_is_raised_as_it_is() -> None:
    """Also after a lost attempt: it is no sign of the work."""
    sent = send(BEGIN, LOST, ODD)

    assert sent.error is ODD
    assert len(sent.looks) == 4  # those before the second attempt


@pytest.mark.parametrize("last", [REFUSED, UNSENT])
def test_a_lost_attempt_stays_in_doubt_to_the_end(last: AssistError) -> None:
    """What came after it was not begun; but the first may have been, and nobody knows."""
    sent = send(BEGIN, LOST, last, attempts=3)

    assert sent.kind is OutcomeUnknown
    assert sent.error is not None
    assert sent.error.__cause__ is LOST
    assert len(sent.attempts) == 3


def test_a_lost_attempt_is_looked_for_to_the_end() -> None:
    """When the attempts are used up, once more."""
    sent = send(BEGIN, LOST, REFUSED, attempts=2, looks=[None] * 4 + [FOUND])

    assert sent.result is FOUND


def test_after_answered_failures_a_refusal_is_raised() -> None:
    """Nothing was lost: each attempt was answered, and nothing came of it."""
    sent = send(BEGIN, FAILED, REFUSED, attempts=2)

    assert sent.error is REFUSED


def test_reading_is_in_no_doubt() -> None:
    """What may be done twice is told by its last error alone."""
    assert send(READ, LOST, REFUSED, attempts=2).error is REFUSED


# What had been lost before.


def test_a_request_that_was_lost_before_is_looked_for_first() -> None:
    """A stream that broke before it told of its run: that was the first attempt."""
    sent = send(BEGIN, "unused", looks=[FOUND], lost=LOST)

    assert sent.result is FOUND
    assert sent.attempts == []


def test_a_request_that_was_lost_before_is_never_sent_again() -> None:
    """Its answer had begun, so that it was received: what no list shows may come later."""
    sent = send(BEGIN, "unused", lost=LOST)

    assert sent.kind is OutcomeUnknown
    assert (sent.attempts, len(sent.looks)) == ([], 3)


# What is known.


@pytest.mark.parametrize(("shown", "found"), [("before", False), ("since", True), ("made", False)])
def test_what_was_seen_before_is_not_found(shown: str, found: bool) -> None:
    """Nor what came of another request, whenever; what was only seen since may be it."""
    shared = Experience(10)
    shared.known.see(Message(id="before"))
    send(SAY, Message(id="made"), experience=shared)

    def ask(question: Operation[Any]) -> Seen:
        shared.known.see(Message(id="since"))
        is_run = isinstance(question, ops.ListRuns)
        return Seen(Page(data=() if is_run else (said(shown, 5),)))

    sent = send(SAY, LOST, Message(id="new"), ask=ask, experience=shared)

    assert sent.result == (said("since", 5) if found else Message(id="new"))


@pytest.mark.parametrize("lost", [None, LOST])
def test_what_came_of_a_request_is_known(lost: AssistError | None) -> None:
    """Also if it was found: the next lost request does not find it again."""
    shared = Experience(10)
    run = Run(id="r", assistant_id="a", created_at=9)

    def ask(question: Operation[Any]) -> Seen:
        shown: Any = run if isinstance(question, ops.ListRuns) else said("m", 5)
        return Seen(Page(data=(shown,)))

    shared.known.add("m")
    assert send(ASK, LOST, ask=ask, experience=shared, lost=lost).result is run
    assert send(ASK, LOST, ask=ask, experience=shared, attempts=1).kind is OutcomeUnknown


def test_what_is_read_is_not_taken_for_ours() -> None:
    """A run that is retrieved was begun by anybody."""
    shared = Experience(10)
    send(ops.RetrieveRun(thread_id="t", run_id="r"), Run(id="r"), experience=shared)

    assert shared.known.sight("r") is None


def test_a_stream_tells_of_its_run_later() -> None:
    """What opens is no object: there is nothing to be known of it yet."""
    shared, body = Experience(10), object()

    assert send(BEGIN, body, experience=shared).result is body
    assert shared.known.moment == 0


@pytest.mark.parametrize(
    ("at", "found"), [(89_999, False), (90_000, True), (100_000, True), (120_000, True)]
)
def test_an_object_older_than_the_request_is_not_found(at: int, found: bool) -> None:
    """By the service's clock: a look tells its time, and how long ago it was sent is known."""

    def ask(question: Operation[Any]) -> Seen:
        late = 100 + asyncio.get_running_loop().time() - START
        if isinstance(question, ops.ListRuns):
            return Seen(Page(data=()), now=late * 1000)
        return Seen(Page(data=(said("m", at),)), now=late * 1000)

    sent = send(SAY, UNSENT, LOST, ask=ask)

    assert sent.result == (said("m", at) if found else None)
    assert sent.looks[0] > 0
    assert sent.kind is (None if found else OutcomeUnknown)


def test_when_a_request_was_sent_that_was_lost_before_is_not_known() -> None:
    """Then no object is too old, and nothing that was only seen is known: it may be it."""
    shared = Experience(10)
    shared.known.see(Message(id="m"))

    def ask(question: Operation[Any]) -> Seen:
        shown = () if isinstance(question, ops.ListRuns) else (said("m", 5),)
        return Seen(Page(data=shown), now=100_000.0)

    assert send(SAY, LOST, ask=ask, lost=LOST, experience=shared).result == said("m", 5)


# What is none of this module's business.


def test_an_attempt_that_cannot_be_repeated_ends_it() -> None:
    """Part of the answer had been handed out."""

    async def main() -> None:
        async def once(_number: int) -> None:
            raise Unrepeatable(LOST)

        async def look(_question: Operation[Any]) -> Seen:
            raise AssertionError("nothing is to be looked for")

        with pytest.raises(Unrepeatable) as caught:
            await Sending(READ, Retry(), Experience(9), look, 20).through(once)
        assert caught.value.error is LOST

    virtual_time.run(main())


async def paused(act: Callable[[Experience, asyncio.Task[Any]], object]) -> AssistError:
    """What an endless pause between two attempts ends in, when this is done meanwhile."""
    failed, shared = asyncio.Event(), Experience(9)

    async def once(number: int) -> None:
        failed.set()
        raise LOST if number == 1 else ODD

    async def look(_question: Operation[Any]) -> Seen:
        raise AssertionError("nothing is to be looked for")

    rules = Retry(first_delay=3000, longest_delay=3000, max_elapsed=None)
    task = asyncio.create_task(Sending(READ, rules, shared, look, 20).through(once))
    await failed.wait()
    act(shared, task)
    with pytest.raises(AssistError) as caught:
        await task
    return caught.value


async def test_a_pause_can_be_cancelled() -> None:
    """Whoever waits for the next attempt is free to go."""
    with pytest.raises(asyncio.CancelledError):
        await paused(lambda _shared, task: task.cancel())


async def test_a_pause_ends_when_the_client_is_closed() -> None:
    """The next attempt is made at once: it is told that the client is closed."""
    assert await paused(lambda shared, _task: shared.close()) is ODD


async def test_after_the_close_there_are_no_pauses() -> None:
    """An attempt that fails only then does not wait either."""
    shared = Experience(9)
    shared.close()
    await shared.pause(3000)


async def test_a_pause_that_has_just_ended_bears_a_close() -> None:
    """Its time is over, and whoever waited for it has not gone on yet."""
    shared = Experience(9)
    pause = asyncio.create_task(shared.pause(0))
    await asyncio.sleep(0)
    shared.close()
    shared.close()
    await pause
