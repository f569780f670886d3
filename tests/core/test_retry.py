"""What follows a failure: once for each failure and each kind of operation, and how long after."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist import errors
from aiodashassist.core import operations as ops
from aiodashassist.core.files import Upload
from aiodashassist.core.operations import Operation
from aiodashassist.core.retry import (
    REPEATABLE,
    Attempts,
    Budget,
    Failure,
    Follow,
    failure_of,
    follow,
)
from aiodashassist.core.settings import Retry
from aiodashassist.errors import (
    AssistError,
    BadRequest,
    Conflict,
    ConnectError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
    TransportError,
)

REPEATED = {
    "CancelRun", "CreateThread", "DeleteAssistant", "DeleteFile", "DeleteThread", "DetachFile",
    "DownloadFile", "ListAssistantFiles", "ListAssistants", "ListFiles", "ListMessageFiles",
    "ListMessages", "ListRuns", "ListSteps", "ReadFile", "RetrieveAssistant",
    "RetrieveAssistantFile", "RetrieveFile", "RetrieveMessage", "RetrieveMessageFile",
    "RetrieveRun", "RetrieveStep", "RetrieveThread", "UpdateAssistant", "UpdateMessage",
    "UpdateRun", "UpdateThread",
}  # fmt: skip
"""Done twice, it comes to the same."""
SINGLE = {
    "AttachFile", "CreateAssistant", "CreateFiles", "CreateMessage", "CreateRun",
    "CreateThreadAndRun", "SubmitOutputs",
}  # fmt: skip
"""Done twice, there are two of something."""
KINDS = sorted(set(ops.__all__) - {"Operation", "ListOperation"})


def upload(size: int | None = 1) -> Upload:
    """A file; without a size it is an iterator's, which is used up when it was sent."""
    return Upload(filename="a.txt", size=size, content=lambda: (_ for _ in ()))


def made(name: str) -> Operation[Any]:
    """An operation of this name, with the least that it needs."""
    kind = getattr(ops, name)
    given: dict[str, Any] = {
        field: "x" for field in kind.__struct_fields__ if field.endswith("_id")
    }
    if name == "CreateFiles":
        given["files"] = (upload(),)
    if name == "SubmitOutputs":
        given["tool_outputs"] = ()
    if "params" in kind.__struct_fields__:
        given["params"] = {}
    operation: Operation[Any] = kind(**given)
    return operation


def garbled() -> errors.DecodeError:
    """An answer that is no JSON: a gateway's page, or the half of one."""
    error = errors.DecodeError("garbled")
    error.garbled = True
    return error


FOLLOWS = {
    #                  repeated       single         an upload      one used up
    Failure.UNSENT: (Follow.AGAIN, Follow.AGAIN, Follow.AGAIN, Follow.AGAIN),
    Failure.REFUSED: (Follow.AGAIN, Follow.AGAIN, Follow.AGAIN, Follow.STOP),
    Failure.LOST: (Follow.AGAIN, Follow.LOOK, Follow.LOOK, Follow.LOOK),
    Failure.SILENT: (Follow.AGAIN, Follow.LOOK, Follow.LOOK, Follow.LOOK),
    Failure.FINAL: (Follow.STOP, Follow.STOP, Follow.STOP, Follow.STOP),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("failure", list(Failure))
def test_what_follows_is_told_by_failure_and_kind(failure: Failure, name: str) -> None:
    """What may be done twice is sent again, what may not is looked for where it may be done."""
    repeated, single, *_ = FOLLOWS[failure]

    assert follow(made(name), failure) is (repeated if name in REPEATED else single)


def test_every_operation_is_of_one_kind() -> None:
    """A new operation does not go by unnoticed: whether it may be done twice is a decision."""
    assert set(KINDS) == REPEATED | SINGLE
    assert not REPEATED & SINGLE


def test_reading_a_list_is_repeatable_whatever_is_listed() -> None:
    """Every list is a `ListOperation` or the files', so that none is forgotten."""
    lists = [getattr(ops, name) for name in KINDS if name.startswith("List")]

    assert all(issubclass(kind, REPEATABLE) for kind in lists)


@pytest.mark.parametrize("failure", list(Failure))
def test_an_upload_is_sent_again_only_if_it_can_be_read_again(failure: Failure) -> None:
    """What an iterator gave is gone when a request was refused; one not sent has it still."""
    _, _, whole, used_up = FOLLOWS[failure]

    assert follow(ops.CreateFiles(files=(upload(3),)), failure) is whole
    assert follow(ops.CreateFiles(files=(upload(3), upload(None))), failure) is used_up


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectError("refused"), Failure.UNSENT),
        (TransportError("broke"), Failure.LOST),
        (errors.StreamInterrupted("broke"), Failure.LOST),
        (errors.IdleTimeout("late"), Failure.LOST),
        (errors.RequestTimeout("late"), Failure.SILENT),
        (errors.FirstEventTimeout("late"), Failure.SILENT),
        (errors.TotalTimeout("late"), Failure.FINAL),
        (errors.ResponseTooLarge("large"), Failure.FINAL),
        (errors.UnexpectedRedirect("away"), Failure.FINAL),
        (errors.OutcomeUnknown("who knows"), Failure.FINAL),
        (garbled(), Failure.LOST),
        (errors.DecodeError("of another shape"), Failure.FINAL),
        (errors.RemoteProtocolError("odd"), Failure.LOST),
        (errors.LocalProtocolError("closed"), Failure.FINAL),
        (errors.InvalidArgument("empty"), Failure.FINAL),
        (errors.UnsupportedOperation("none"), Failure.FINAL),
        (errors.RunFailed("failed"), Failure.FINAL),
        (RateLimited("slow", status=429), Failure.REFUSED),
        (RateLimited("slow", status=200), Failure.REFUSED),
        (RateLimited("slow", status=500, code="ModelServingError"), Failure.REFUSED),
        (ServerError("down", status=503), Failure.REFUSED),
        (PermissionDenied("unpaid", status=429, code="PrepaidBillOverdue"), Failure.FINAL),
        (BadRequest("late", status=408), Failure.LOST),
        (ServerError("late", status=408, code="RequestTimeOut"), Failure.LOST),
        (ServerError("oops", status=500), Failure.LOST),
        (ServerError("oops", status=507), Failure.LOST),
        (ServerError("oops", status=599), Failure.LOST),
        (BadRequest("odd", status=500), Failure.LOST),
        (ServerError("oops", status=200), Failure.LOST),
        (ServerError("oops"), Failure.LOST),
        (ServerError("bad gateway", status=502), Failure.SILENT),
        (ServerError("late", status=504), Failure.SILENT),
        (ServerError("late", status=500, code="RequestTimeOut"), Failure.SILENT),
        (ServerError("late", status=500, code="InternalError.Timeout"), Failure.SILENT),
        (ServerError("late", status=200, code="timeout"), Failure.SILENT),
        (BadRequest("bad", status=400), Failure.FINAL),
        (BadRequest("bad", status=400, code="InvalidParameter.Timeout"), Failure.FINAL),
        (BadRequest("bad"), Failure.FINAL),
        (errors.AuthenticationError("key", status=401), Failure.FINAL),
        (NotFound("gone", status=404), Failure.FINAL),
        (NotFound("gone", status=400), Failure.FINAL),
        (Conflict("busy", status=409), Failure.FINAL),
        (BadRequest("large", status=413), Failure.FINAL),
        (BadRequest("closed", status=499), Failure.FINAL),
    ],
)  # fmt: skip
def test_an_error_tells_of_its_work(error: AssistError, failure: Failure) -> None:
    """Not received, refused, maybe done, maybe under way, or answered for good."""
    assert failure_of(error) is failure


def test_every_error_of_the_transport_is_decided() -> None:
    """A new class below TransportError means "may have been done" unless it is decided here."""
    decided = {
        ConnectError, errors.RequestTimeout, errors.FirstEventTimeout, errors.IdleTimeout,
        errors.TotalTimeout, errors.StreamInterrupted, errors.ResponseTooLarge,
        errors.UnexpectedRedirect, errors.OutcomeUnknown,
    }  # fmt: skip

    assert set(TransportError.__subclasses__()) == decided


def attempts(budget: int = 100, began: float = 0.0, **rules: Any) -> Attempts:
    """The attempts of one request."""
    return Attempts(Retry(**rules), Budget(budget), began)


LOST = TransportError("broke")


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 100), st.floats(0, 100), st.integers(1, 60))
def test_a_pause_is_drawn_from_all_of_its_range(
    chance: float, first: float, longest: float, number: int
) -> None:
    """From nothing to a bound that doubles with each attempt up to the longest: full jitter."""
    tried = attempts(first_delay=first, longest_delay=longest)
    tried.number = number
    bound = min(longest, first * 2 ** (number - 1))

    assert tried.pause(0.0) == 0
    assert tried.pause(1.0) == pytest.approx(bound)
    assert tried.pause(chance) == pytest.approx(chance * bound)


def test_no_number_of_attempts_is_too_large_for_a_pause() -> None:
    """After thousands of doublings the longest pause is still the bound."""
    tried = attempts(first_delay=0.5, longest_delay=20)
    tried.number = 5000

    assert tried.pause(1.0) == 20


def test_the_bounds_of_the_pauses_double() -> None:
    """The second attempt waits up to `first_delay`, each later one twice as long, then no more."""
    tried = attempts(first_delay=0.5, longest_delay=3, attempts=6, max_elapsed=None)

    assert [tried.next(LOST, 0.0, 1.0) for _ in range(6)] == [0.5, 1.0, 2.0, 3.0, 3.0, None]
    assert tried.number == 6


def test_a_look_takes_further_doublings() -> None:
    """What is looked for again is given longer, without counting as an attempt."""
    tried = attempts(first_delay=0.5, longest_delay=20)

    assert [tried.pause(1.0, further) for further in (0, 1, 2)] == [0.5, 1.0, 2.0]
    assert tried.number == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_there_are_as_many_attempts_as_allowed(count: int) -> None:
    """The first counts: with 1 nothing is sent again."""
    tried = attempts(attempts=count, max_elapsed=None)
    while tried.next(LOST, 0.0, 0.5) is not None:
        pass

    assert tried.number == count


@pytest.mark.parametrize(
    ("asked", "chance", "pause"),
    [(None, 0.0, 0.0), (None, 0.5, 1.0), (0.0, 0.5, 1.0), (7.0, 0.5, 7.0), (0.5, 0.5, 1.0)],
)
def test_no_pause_is_shorter_than_the_service_asks_for(
    asked: float | None, chance: float, pause: float
) -> None:
    """`Retry-After` is the least; where the drawn pause is longer, that one."""
    error = RateLimited("slow", status=429, retry_after=asked)

    assert attempts(first_delay=2).next(error, 0.0, chance) == pause


@pytest.mark.parametrize(
    ("now", "asked", "pause"),
    [
        (9.0, 1.0, 1.0),
        (9.0, 1.001, None),
        (10.0, None, 0.0),
        (10.001, None, None),
        (0.0, 11.0, None),
        (0.0, math.inf, None),
    ],
)
def test_no_attempt_begins_after_max_elapsed(
    now: float, asked: float | None, pause: float | None
) -> None:
    """A pause that would end later is not begun: it is given up at once."""
    error = RateLimited("slow", status=429, retry_after=asked)
    tried = attempts(began=100.0, max_elapsed=10)

    assert tried.next(error, 100.0 + now, 0.0) == pause


@pytest.mark.parametrize(
    ("asked", "pause"), [(3600.0, 3600.0), (3600.1, None), (1e9, None), (math.inf, None)]
)
def test_an_hour_is_the_longest_that_is_waited(asked: float, pause: float | None) -> None:
    """Also without max_elapsed: who asks for more has said no."""
    error = RateLimited("slow", status=429, retry_after=asked)

    assert attempts(max_elapsed=None).next(error, 0.0, 0.5) == pause


def test_a_pause_without_a_bound_is_none() -> None:
    """Delays that are infinite make no number to wait for, whatever is drawn."""
    tried = attempts(first_delay=math.inf, longest_delay=math.inf, max_elapsed=None)

    assert tried.next(LOST, 0.0, 0.0) is None
    assert tried.next(LOST, 0.0, 0.5) is None


def test_other_errors_ask_for_nothing() -> None:
    """Only an answer can say how long to wait."""
    assert attempts(first_delay=0).next(LOST, 0.0, 0.9) == 0


def test_a_budget_is_shared_and_given_back() -> None:
    """Each further attempt takes one; where there is none left, there is no further attempt."""
    budget = Budget(2)
    one, other = (Attempts(Retry(), budget, 0.0) for _ in range(2))

    assert one.next(LOST, 0.0, 0.0) is not None
    assert other.next(LOST, 0.0, 0.0) is not None
    assert one.next(LOST, 0.0, 0.0) is None
    budget.give()
    budget.give()
    assert other.next(LOST, 0.0, 0.0) is not None
    assert (one.number, other.number) == (2, 3)


def test_four_good_answers_give_three_attempts_back() -> None:
    """Where more than every third request fails, less and less is left."""
    budget = Budget(3)
    taken = [budget.take() for _ in range(4)]
    left = []
    for _ in range(4):
        budget.give()
        left.append(budget.take())

    assert taken == [True, True, True, False]
    assert left == [False, True, True, True]


def test_a_budget_holds_no_more_than_its_size() -> None:
    """Good answers do not add up to more attempts than there were."""
    budget = Budget(2)
    for _ in range(5):
        budget.give()

    assert [budget.take() for _ in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("limit", "now", "late"), [(10, 110.0, False), (10, 110.1, True), (None, 1e9, False)]
)
def test_the_time_for_all_attempts_ends(limit: float | None, now: float, late: bool) -> None:
    """Counted from the first; None is for ever."""
    assert attempts(began=100.0, max_elapsed=limit).is_late(now) is late


@pytest.mark.parametrize("rules", [{"attempts": 1}, {"max_elapsed": 0, "first_delay": 0}])
def test_an_attempt_that_is_not_made_takes_nothing(rules: dict[str, Any]) -> None:
    """The budget is there for those who may go on."""
    budget = Budget(1)

    assert Attempts(Retry(**rules), budget, 0.0).next(LOST, 1.0, 0.0) is None
    assert budget.take()
