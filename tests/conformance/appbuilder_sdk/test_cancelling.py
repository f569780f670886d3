"""Cancelling: runs that wait, run and have ended, in streams and without."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    CALL,
    GONE,
    INVALID,
    SDK,
    begin,
    go_on,
    ids_of,
    new_assistant,
    new_thread,
    order_of,
    refused,
    run_of,
    stream,
    text_of,
)
from pydantic import ValidationError


@pytest.mark.parametrize("how", [{}, {"sync": True}, {"sync": False}], ids=str)
def test_run_that_waits_is_cancelled(how: dict[str, bool]) -> None:
    """Cancelling is answered by the run, with the time; the thread is free again."""
    run = begin(CALL)
    cancelled = SDK.threads.runs.cancel(run_id=run.id, thread_id=run.thread_id, **how)
    assert isinstance(cancelled, SDK.type.RunResult)
    assert (cancelled.id, cancelled.status) == (run.id, "cancelled")
    assert cancelled.cancelled_at > 0
    assert SDK.threads.runs.query(run.thread_id, run.id).status == "cancelled"
    assert refused(go_on, run, "rain")[0] == INVALID
    assert begin("", thread_id=run.thread_id).status == "requires_action"


def test_cancelling_twice_is_once() -> None:
    """A run that is cancelled already is answered as it is."""
    run = begin(CALL)
    first, again = (SDK.threads.runs.cancel(run.id, run.thread_id, sync=True) for _ in range(2))
    assert again.model_dump() == first.model_dump()


@pytest.mark.parametrize("text", ["hello", "/fail server_error x", "/expire"])
def test_run_that_has_ended_otherwise_is_not(text: str) -> None:
    """What has ended stays as it ended."""
    run = begin(text)
    code, message = refused(SDK.threads.runs.cancel, run.id, run.thread_id)
    assert (code, run.status in message) == (INVALID, True)
    assert SDK.threads.runs.query(run.thread_id, run.id).status == run.status


def test_unknown_run_is_not_found() -> None:
    """An unknown run, or one of another thread, is not found; an empty id is not sent."""
    run = begin(CALL)
    assert refused(SDK.threads.runs.cancel, "run_none", run.thread_id)[0] == GONE
    assert refused(SDK.threads.runs.cancel, run.id, new_thread())[0] == GONE
    for ids in (("", "t"), ("r", "")):
        with pytest.raises(ValidationError):
            SDK.threads.runs.cancel(*ids)


def test_blocking_call_returns_the_cancelled_run() -> None:
    """A call of `run` that waits for its answer gets it when the run is cancelled elsewhere."""
    assistant, thread = new_assistant().id, new_thread("/wait 60")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(SDK.threads.runs.run, assistant, thread)
        while not (runs := ids_of(SDK.threads.runs.list(thread))):
            assert not waiting.done()
        SDK.threads.runs.cancel(runs[0], thread)
        run = waiting.result(timeout=30)
    assert (run.id, run.object, run.status) == (runs[0], "run.result", "cancelled")
    assert run.cancelled_at > 0


def test_every_event_may_cancel() -> None:
    """A reader may cancel at each event but the first, the last one included.

    So the vendor's own test does.
    """
    events: list[Any] = []
    for event in stream("/say Hel\n/wait 60"):
        events.append(event)
        if event.status != "queued":
            run = run_of(events)
            SDK.threads.runs.cancel(run_id=run.id, thread_id=run.thread_id)
    assert (events[-1].status, events[-1].event_type) == ("cancelled", "run_end")
    assert events[-1].details.run_object.cancelled_at != 0


def test_cancelled_stream_says_so_and_ends() -> None:
    """The stream tells of the cancelling, ends what is open, and closes."""
    events: list[Any] = []
    for event in stream("/say Hel\n/wait 60"):
        events.append(event)
        if text_of(events) == "Hel" and event.event == "message":
            run = run_of(events)
            SDK.threads.runs.cancel(run.id, run.thread_id)
    begun = ["run_begin", "tool_step_begin", "message_creation", "message"]
    assert order_of(events) == [*begun, "run_cancelling", "tool_step_end", "run_end"]
    assert [event.status for event in events[-3:]] == ["cancelling", "cancelled", "cancelled"]
    assert text_of(events) == "Hel"
    assert SDK.threads.runs.query(run.thread_id, run.id).status == "cancelled"


def test_stream_that_waits_for_outputs_is_cancelled() -> None:
    """A round whose outputs never come ends with the run."""
    events: list[Any] = []
    for event in stream(CALL):
        events.append(event)
        if event.status == "requires_action":
            run = run_of(events)
            SDK.threads.runs.cancel(run.id, run.thread_id)
    assert order_of(events)[-3:] == ["run_cancelling", "tool_step_end", "run_end"]
    assert "tool_submitted_output" not in order_of(events)
    assert events[-1].status == "cancelled"


def test_deleting_a_thread_ends_its_stream() -> None:
    """What runs on a thread that is deleted is cancelled."""
    events: list[Any] = []
    for event in stream("/wait 60"):
        events.append(event)
        if event.event_type == "run_begin":
            assert SDK.threads.delete(run_of(events).thread_id).deleted is True
    assert order_of(events) == ["run_begin", "run_cancelling", "run_end"]
    assert events[-1].status == "cancelled"
