"""Function calls without a stream: outputs by `tool_output` and by `submit_tool_outputs`."""

from typing import Any

import pytest
from appbuilder_sdk.calls import (
    CALL,
    GONE,
    INVALID,
    SDK,
    WEATHER,
    answer_of,
    begin,
    calls_of,
    go_on,
    new_assistant,
    order_of,
    refused,
    submit,
    text_of,
)
from pydantic import ValidationError

TWO_CALLS = f'{CALL}\n/call get_time {{"zone":"Asia/Shanghai"}}'


def finished(run: Any) -> Any:
    """A run that was left to go on, read until it rests."""
    while True:
        run = SDK.threads.runs.query(run.thread_id, run.id)
        if run.status not in ("queued", "in_progress"):
            return run


def last_text(run: Any) -> str:
    """The newest message of a run's thread."""
    return str(SDK.threads.messages.list(run.thread_id, limit=1).data[0].content[0].text.value)


def test_run_stops_at_a_call() -> None:
    """A run that needs an output says which call it waits for."""
    run = begin(CALL, assistant_id=new_assistant(tools=[WEATHER]).id)
    assert (run.object, run.status) == ("run.result", "requires_action")
    assert (run.final_answer, run.last_error, run.completed_at) == (None, None, 0)
    (call,) = calls_of(run)
    assert call.id
    assert (call.type, call.function.name, call.function.output) == ("function", "get_weather", "")
    assert call.function.arguments == '{"city":"杭州"}'
    read = SDK.threads.runs.query(run.thread_id, run.id)
    assert (read.status, read.required_action) == ("requires_action", run.required_action)


@pytest.mark.parametrize("named", [True, False], ids=["run named", "run not named"])
def test_second_call_of_run_brings_the_output(named: bool) -> None:
    """The same run goes on and is answered when it rests again, whether the output names it."""
    run = begin(CALL)
    (call,) = calls_of(run)
    output = SDK.type.ToolOutput(
        tool_call_id=call.id, output="晴, 24 °C", run_id=run.id if named else ""
    )
    done = SDK.threads.runs.run(run.assistant_id, run.thread_id, tool_output=output)
    assert (done.id, done.object, done.status) == (run.id, "run.result", "completed")
    assert (done.required_action, answer_of(done)) == (None, "get_weather -> 晴, 24 °C")
    assert done.created_at == run.created_at
    assert done.started_at >= run.started_at
    assert done.completed_at >= done.started_at


@pytest.mark.parametrize("named", [True, False], ids=["run named", "run not named"])
def test_output_can_be_answered_by_a_stream(named: bool) -> None:
    """Asked for a stream, the second call tells the rest of the run, which begins anew."""
    run = begin(CALL)
    (call,) = calls_of(run)
    output = {"tool_call_id": call.id, "output": "rain", "run_id": run.id if named else ""}
    events = list(SDK.threads.runs.stream_run(run.assistant_id, run.thread_id, tool_output=output))
    assert events[0].details.run_object.id == run.id
    order = order_of(events)
    assert (order[0], order[-1]) == ("run_begin", "run_end")
    assert order[-4:-1] == ["message_creation", "message", "tool_step_end"]
    assert text_of(events) == "get_weather -> rain"
    assert events[-1].details.run_object.status == "completed"


def test_each_round_is_one_more_call() -> None:
    """A run can ask again, with a call of its own; an output may be empty."""
    first = begin(f"{CALL}\n/then\n/call get_time {{}}")
    second = go_on(first, "")
    assert (second.id, second.status) == (first.id, "requires_action")
    assert [call.function.name for call in calls_of(second)] == ["get_time"]
    assert calls_of(second)[0].id != calls_of(first)[0].id
    assert answer_of(go_on(second, "正午")) == "get_time -> 正午"


def test_run_that_fails_later_says_so() -> None:
    """What goes wrong after the outputs is in the answer to them."""
    run = go_on(begin(f"{CALL}\n/then\n/fail server_error broke"), "rain")
    assert (run.status, run.last_error.message, run.final_answer) == ("failed", "broke", None)


def test_output_for_another_call_is_refused() -> None:
    """The call has to be the one that the run waits for, and the run goes on waiting."""
    run = begin(CALL)
    ids = {"assistant_id": run.assistant_id, "thread_id": run.thread_id}
    for output, code in (
        ({"tool_call_id": "call_none", "output": "x", "run_id": run.id}, INVALID),
        ({"tool_call_id": calls_of(run)[0].id, "output": "x", "run_id": "run_none"}, GONE),
    ):
        assert refused(SDK.threads.runs.run, tool_output=output, **ids)[0] == code
    assert go_on(run, "rain").status == "completed"


def test_output_for_nothing_is_refused() -> None:
    """A run that has ended takes no outputs in either way."""
    run = begin(CALL)
    done = go_on(run, "rain")
    assert refused(go_on, run, "rain")[0] == INVALID
    assert refused(submit, done, calls_of(run), "rain")[0] == INVALID


def test_one_output_does_not_answer_two_calls() -> None:
    """All outputs of a round come together, for which there is the other call."""
    run = begin(TWO_CALLS)
    one, two = calls_of(run)
    output = {"tool_call_id": one.id, "output": "rain", "run_id": run.id}
    code, _ = refused(SDK.threads.runs.run, run.assistant_id, run.thread_id, tool_output=output)
    assert code == INVALID
    submit(run, [one, two], "rain", "noon")
    assert finished(run).status == "completed"
    assert last_text(run) == "get_weather -> rain\nget_time -> noon"


def test_outputs_are_submitted_apart() -> None:
    """`submit_tool_outputs` is answered at once by the run; it goes on by itself."""
    run = begin(CALL)
    (call,) = calls_of(run)
    output = SDK.type.ToolOutput(tool_call_id=call.id, output="rain", run_id=run.id)
    taken = SDK.threads.runs.submit_tool_outputs(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=[output]
    )
    assert isinstance(taken, SDK.type.RunResult)
    assert (taken.id, taken.thread_id) == (run.id, run.thread_id)
    assert taken.assistant_id == run.assistant_id
    assert finished(run).status == "completed"
    assert last_text(run) == "get_weather -> rain"


def test_outputs_may_come_in_any_order() -> None:
    """The ids tell which output belongs to which call."""
    run = begin(TWO_CALLS)
    one, two = calls_of(run)
    submit(run, [two, one], "noon", "rain")
    assert finished(run).status == "completed"
    assert last_text(run) == "get_weather -> rain\nget_time -> noon"


def test_submitting_needs_ids_and_outputs() -> None:
    """The SDK refuses empty ids and an empty list; the server refuses what it does not know."""
    output = [{"tool_call_id": "c", "output": "x"}]
    for given in (("", "t", output), ("r", "", output), ("r", "t", [])):
        with pytest.raises(ValidationError):
            SDK.threads.runs.submit_tool_outputs(*given)
    run = begin(CALL)
    assert refused(SDK.threads.runs.submit_tool_outputs, "r", run.thread_id, output)[0] == GONE
    refusal = refused(SDK.threads.runs.submit_tool_outputs, run.id, run.thread_id, output)
    assert refusal[0] == INVALID
