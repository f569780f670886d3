"""The error that a run's ending is."""

import pytest

from aiodashassist.core.models import LastError, Run
from aiodashassist.core.result import RunResult, ending
from aiodashassist.errors import RunCancelled, RunError, RunExpired, RunFailed, RunIncomplete


def result_of(last_error: LastError | None = None) -> RunResult:
    """What a run came to."""
    run = Run(id="run_1", request_id="request_1", last_error=last_error)
    return RunResult(run=run, thread_id="thread_1", text="so far")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("failed", RunFailed),
        ("expired", RunExpired),
        ("cancelled", RunCancelled),
        ("incomplete", RunIncomplete),
    ],
)
def test_a_bad_ending_is_an_error(status: str, kind: type[RunError]) -> None:
    """Each bad ending has its own error, which knows the run and what it had said."""
    error = ending(result_of(), status)
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, "", f"the run is {status}")
    assert (error.run_id, error.thread_id, error.request_id, error.text) == (
        "run_1",
        "thread_1",
        "request_1",
        "so far",
    )


@pytest.mark.parametrize("status", ["completed", "requires_action", "in_progress", ""])
def test_any_other_status_is_no_error(status: str) -> None:
    """A run that completed, or waits, is no failure."""
    assert ending(result_of(LastError(code="old", message="old")), status) is None


@pytest.mark.parametrize(
    ("last_error", "code", "message"),
    [
        (LastError(code="Busy", message="Try later."), "Busy", "Busy: Try later."),
        (LastError(code="Busy"), "Busy", "Busy"),
        (LastError(message="Try later."), "", "Try later."),
        (LastError(), "", "the run is failed"),
        (LastError(type="limit", message="m"), "limit", "limit: m"),
        (LastError(code="", type="limit"), "limit", "limit"),
        (LastError(code="Busy", type="limit"), "Busy", "Busy"),
    ],
)
def test_the_last_error_is_told(last_error: LastError, code: str, message: str) -> None:
    """The run's own words are the message, as far as it has any; a type is as good as a code."""
    error = ending(result_of(last_error), "failed")
    assert error is not None
    assert (error.code, error.message) == (code, message)
