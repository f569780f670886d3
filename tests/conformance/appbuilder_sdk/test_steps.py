"""Run steps: every call of the SDK."""

import re
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    CALL,
    GONE,
    INVALID,
    SDK,
    begin,
    check_paging,
    go_on,
    ids_of,
    refused,
)
from pydantic import ValidationError
from wire import UUID


def steps_of(run: Any) -> list[Any]:
    """The steps of a run, oldest first."""
    page = SDK.threads.runs.steps.list(run.thread_id, run.id, order="asc")
    assert isinstance(page, SDK.thread_type.RunStepListResponse)
    return list(page.data)


def test_plain_answer_is_one_step() -> None:
    """The one step of a plain answer is complete, and leads to its message."""
    run = begin("hello")
    (step,) = steps_of(run)
    assert isinstance(step, SDK.type.RunStepResult)
    assert re.fullmatch(f"step_{UUID}", step.id)
    assert (step.object, step.status) == ("thread.run.step", "completed")
    assert (step.run_id, step.thread_id) == (run.id, run.thread_id)
    assert step.assistant_id == run.assistant_id
    assert step.step_datail.type == "message_creation"
    message = step.step_datail.message_creation.message_id
    assert message == run.final_answer.message.message_id


def test_nothing_is_spelled_as_it_was_observed() -> None:
    """No error is an empty text, no type is null, and a time that has not come is 0."""
    (step,) = steps_of(begin("hello"))
    assert (step.last_error, step.type, step.started_at) == ("", None, 0)
    assert (step.expired_at, step.cancelled_at, step.failed_at) == (0, 0, 0)
    assert len(str(step.created_at)) == len(str(step.completed_at)) == 13


def test_step_is_read_as_listed() -> None:
    """Reading one step gives what the list gave, but for the assistant, which is null."""
    run = go_on(begin(CALL), "rain")
    for listed in steps_of(run):
        step = SDK.threads.runs.steps.query(
            thread_id=run.thread_id, run_id=run.id, step_id=listed.id
        )
        assert step.model_dump() == {**listed.model_dump(), "assistant_id": None}


def test_answered_calls_are_in_their_step() -> None:
    """A step of calls has each with its arguments and output; the answer is another step."""
    run = go_on(begin(CALL), "晴")
    calls, answer = steps_of(run)
    assert (calls.status, calls.step_datail.type) == ("completed", "tool_calls")
    (call,) = calls.step_datail.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert (call.function.arguments, call.function.output) == ('{"city":"杭州"}', "晴")
    assert answer.step_datail.message_creation.message_id


def test_step_of_an_open_round_is_in_progress() -> None:
    """Until the outputs are there the step is not complete."""
    (step,) = steps_of(begin(CALL))
    assert (step.status, step.completed_at) == ("in_progress", 0)


def test_steps_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    run = go_on(go_on(begin(f"{CALL}\n/then\n{CALL}"), "1"), "2")
    ids = {"thread_id": run.thread_id, "run_id": run.id}
    made = [step.id for step in steps_of(run)]
    check_paging(lambda **query: SDK.threads.runs.steps.list(**ids, **query), made)


@pytest.mark.parametrize(
    ("query", "code"),
    [({"limit": 0}, INVALID), ({"after": "step_none"}, GONE), ({"before": "step_none"}, GONE)],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit of at least one, and cursors that exist."""
    run = begin("hello")
    assert refused(SDK.threads.runs.steps.list, run.thread_id, run.id, **query)[0] == code


def test_unknown_step_is_not_found() -> None:
    """A step that does not exist, or is another run's, is not found."""
    run, other = begin("hello"), begin("hello")
    for unknown in ("step_none", steps_of(other)[0].id):
        assert refused(SDK.threads.runs.steps.query, run.thread_id, run.id, unknown)[0] == GONE
    assert refused(SDK.threads.runs.steps.list, run.thread_id, "run_none")[0] == GONE
    assert refused(SDK.threads.runs.steps.query, run.thread_id, "run_none", "step")[0] == GONE


@pytest.mark.parametrize("ids", [("", "r", "s"), ("t", "", "s"), ("t", "r", "")], ids=str)
def test_sdk_wants_all_ids(ids: tuple[str, ...]) -> None:
    """An empty id is refused before anything is sent."""
    with pytest.raises(ValidationError):
        SDK.threads.runs.steps.query(*ids)
    if all(ids[:2]):
        return
    with pytest.raises(ValidationError):
        SDK.threads.runs.steps.list(*ids[:2])


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("/say Hel\n/fail server_error 坏了", "failed", ("server_error", "坏了")),
        ("/say Hel\n/expire", "expired", None),
    ],
)
def test_step_ends_as_its_run(text: str, status: str, error: Any) -> None:
    """What is open when a run ends badly ends the same way, and says why."""
    (step,) = steps_of(begin(text))
    assert (step.status, step.completed_at) == (status, 0)
    assert getattr(step, f"{status}_at") > 0
    if error is None:
        assert step.last_error == ""
    else:
        assert (step.last_error.type, step.last_error.message) == error


def test_cancelled_round_is_a_cancelled_step() -> None:
    """Cancelling a run that waits cancels the step of its round."""
    run = begin(CALL)
    SDK.threads.runs.cancel(run.id, run.thread_id)
    (step,) = steps_of(run)
    assert step.status == "cancelled"
    assert step.cancelled_at > 0


def test_plugin_is_told_as_tool_info() -> None:
    """A step of the vendor's own tool has it beside the calls of functions."""
    run = begin('/plugin search {"input": "天气"} {"output": "晴"}\n/say done')
    plugin, answer = steps_of(run)
    (info,) = plugin.step_datail.tool_info
    assert (info.type, plugin.step_datail.tool_calls) == ("search", [])
    assert ids_of(SDK.threads.runs.steps.list(run.thread_id, run.id)) == [answer.id, plugin.id]
