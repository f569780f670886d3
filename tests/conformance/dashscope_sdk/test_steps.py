"""Run steps: every call of the SDK."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from dashscope import Messages, Runs, Steps
from dashscope.common.error import InputRequired
from dashscope_sdk.calls import INVALID, check_paging, error_of, finish, outputs_for
from wire import UUID, Wire

UNKNOWN = (400, INVALID, "The specified run step does not exist.")


def answered(text: str) -> Any:
    """A run whose every round was answered, to its end."""
    run = finish(text)
    while run.status == "requires_action":
        Runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "rain")
        )
        run = Runs.wait(run.id, thread_id=run.thread_id)
    return run


def test_message_step_names_its_message() -> None:
    """The step of a plain answer leads to the message that it made."""
    run = finish("hello")
    (step,) = Steps.list(run.id, thread_id=run.thread_id).data
    assert re.fullmatch(f"step_{UUID}", step.id)
    assert (step.object, step.type, step.status) == (
        "thread.run.step",
        "message_creation",
        "completed",
    )
    assert (step.run_id, step.thread_id) == (run.id, run.thread_id)
    assert step.assistant_id == run.assistant_id
    message = step.step_details.message_creation["message_id"]
    read = Messages.get(message, thread_id=run.thread_id)
    assert read.content[0].text.value == "hello"


def test_tool_step_has_calls_and_outputs() -> None:
    """The step of an answered round has each call with its arguments and output."""
    run = answered('/call get_weather {"city": "杭州"}')
    step = Steps.list(run.id, thread_id=run.thread_id, order="asc").data[0]
    assert (step.type, step.status) == ("tool_calls", "completed")
    (call,) = step.step_details.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert (call.function.arguments, call.function.output) == ('{"city": "杭州"}', "rain")


def test_step_of_an_open_round_is_in_progress() -> None:
    """Until the outputs are there the tool step has no calls yet and is not complete."""
    run = finish("/call get_weather {}")
    (step,) = Steps.list(run.id, thread_id=run.thread_id).data
    assert (step.type, step.status) == ("tool_calls", "in_progress")
    assert step.step_details.tool_calls == []


@pytest.mark.parametrize("retrieve", [Steps.retrieve, Steps.get])
def test_step_is_read_as_listed(retrieve: Callable[..., Any]) -> None:
    """Reading one step gives what the list gave; `Steps.get` works since 2.0.2."""
    run = answered("/call get_weather {}")
    for listed in Steps.list(run.id, thread_id=run.thread_id).data:
        step = retrieve(listed.id, thread_id=run.thread_id, run_id=run.id)
        assert (step.status_code, step.id, step.type) == (200, listed.id, listed.type)
        assert re.fullmatch(UUID, step.request_id)
        assert str(step.step_details) == str(listed.step_details)


@pytest.mark.parametrize("retrieve", [Steps.retrieve, Steps.get])
def test_unknown_step_is_a_400(retrieve: Callable[..., Any]) -> None:
    """A step that does not exist, or is another run's, is refused with the documented words."""
    run, other = finish("hello"), finish("hello")
    step = Steps.list(other.id, thread_id=other.thread_id).data[0].id
    for unknown in ("step_none", step):
        answer = retrieve(unknown, thread_id=run.thread_id, run_id=run.id)
        assert error_of(answer) == UNKNOWN


def test_steps_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    run = answered("/call get_weather {}\n/then\n/call get_weather {}")
    ids = {"thread_id": run.thread_id}
    made = [step.id for step in Steps.list(run.id, order="asc", **ids).data]
    check_paging(lambda **query: Steps.list(run.id, **ids, **query), made)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"limit": 0}, (400, INVALID, "Limit must be between 1 and 100")),
        ({"limit": 101}, (400, INVALID, "Limit must be between 1 and 100")),
        ({"order": "down"}, (400, INVALID, "Order must be 'asc' or 'desc'")),
        ({"after": "step_none"}, UNKNOWN),
    ],
    ids=str,
)
def test_bad_list_query_is_refused(query: dict[str, Any], answer: tuple[int, str, str]) -> None:
    """A limit, an order or a cursor that cannot be is a 400 with the documented words."""
    run = finish("hello")
    assert error_of(Steps.list(run.id, thread_id=run.thread_id, **query)) == answer


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("/say Hel\n/fail server_error broke", "failed", ("server_error", "broke")),
        ("/say Hel\n/expire", "expired", ("", "")),
    ],
    ids=["failed", "expired"],
)
def test_step_ends_as_its_run(text: str, status: str, error: tuple[str, str]) -> None:
    """What is open when a run ends badly ends the same way; a list spells no error as empty."""
    run = finish(text)
    (step,) = Steps.list(run.id, thread_id=run.thread_id).data
    assert (run.status, step.status) == (status, status)
    assert (step.last_error.code, step.last_error.message) == error


def test_cancelled_round_is_a_cancelled_step() -> None:
    """Cancelling a run that waits cancels the step of its round."""
    run = finish("/call get_weather {}")
    Runs.cancel(run.id, thread_id=run.thread_id)
    (step,) = Steps.list(run.id, thread_id=run.thread_id).data
    assert (step.type, step.status) == ("tool_calls", "cancelled")
    assert step.cancelled_at > 0


def test_listed_and_read_steps_spell_none_in_their_own_ways(wire: Wire) -> None:
    """A list has empty texts, 0 and -1 for none, a single step has nulls, as the service does."""
    run = finish("hello")
    path = f"/threads/{run.thread_id}/runs/{run.id}/steps"
    (listed,) = wire.call("GET", path).json["data"]
    assert listed["last_error"] == {"code": "", "message": ""}
    assert (listed["expired_at"], listed["cancelled_at"], listed["failed_at"]) == (0, -1, -1)
    assert listed["completed_at"] > 0
    assert (listed["usage"], "request_id" in listed) == ({}, False)
    read = wire.call("GET", f"{path}/{listed['id']}").json
    assert [read[name] for name in ("last_error", "expired_at", "cancelled_at", "failed_at")] == [
        None
    ] * 4
    assert read["completed_at"] == listed["completed_at"]


def test_list_sends_an_empty_thread(wire: Wire) -> None:
    """`Steps.list` checks only one of its two ids; the wire has no such path."""
    run = finish("hello")
    with pytest.raises(InputRequired):
        Steps.list("", thread_id=run.thread_id)
    nowhere = (400, INVALID, "Invalid URL provided in your request.")
    assert error_of(Steps.list(run.id, thread_id="")) == nowhere
    assert wire.call("GET", f"/threads//runs/{run.id}/steps").json["message"] == nowhere[2]
