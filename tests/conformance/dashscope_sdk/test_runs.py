"""Runs without a stream: every call of the SDK, and the function-call loop by polling."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dashscope
import pytest
from dashscope import Assistants, Messages, Runs, Steps
from dashscope.common.error import InputRequired, TimeoutException
from dashscope_sdk.calls import (
    INVALID,
    WEATHER,
    begin,
    calls_of,
    check_paging,
    error_of,
    finish,
    gone,
    new_assistant,
    new_thread,
    outputs_for,
    stream,
)
from wire import UUID

CREATE = pytest.mark.parametrize("create", [Runs.create, Runs.call])
RETRIEVE = pytest.mark.parametrize("retrieve", [Runs.retrieve, Runs.get])
TWO_CALLS = '/call get_weather {"city": "杭州"}\n/call get_time {"zone": "Asia/Shanghai"}'


def answer_of(run: Any) -> str:
    """The text of the newest message of a run's thread."""
    return str(Messages.list(run.thread_id, limit=1).data[0].content[0].text.value)


@CREATE
def test_created_run_is_answered_at_once(create: Callable[..., Any]) -> None:
    """The answer is the run in progress, with what it has from its assistant."""
    assistant = new_assistant(instructions="Be brief.", tools=[WEATHER])
    made = create(new_thread("hello").id, assistant_id=assistant.id)
    assert (made.status_code, made.object, made.status) == (200, "thread.run", "in_progress")
    assert re.fullmatch(f"run_{UUID}", made.id)
    assert re.fullmatch(UUID, made.request_id)
    assert len(str(made.created_at)) == 13
    assert (made.assistant_id, made.model) == (assistant.id, "qwen-plus")
    assert (made.instructions, made.metadata) == ("Be brief.", {})
    assert made.tools[0].function.name == "get_weather"


@CREATE
def test_run_overrides_its_assistant(create: Callable[..., Any]) -> None:
    """Every parameter of the SDK is kept by the run, and the assistant stays as it was."""
    assistant = new_assistant(instructions="old", temperature=1, tools=[WEATHER])
    made = create(
        new_thread("hello").id,
        assistant_id=assistant.id,
        model="qwen-max",
        instructions="new",
        additional_instructions="more",
        tools=[{"type": "calculator"}],
        metadata={"a": "b"},
        top_p=0.5,
        top_k=7,
        temperature=0,
        max_tokens=50,
    )
    run = Runs.wait(made.id, thread_id=made.thread_id)
    assert (run.model, run.instructions, run.metadata) == ("qwen-max", "new\nmore", {"a": "b"})
    assert run.tools == [{"type": "calculator"}]
    assert (run.top_p, run.top_k, run.temperature, run.max_tokens) == (0.5, 7, 0, 50)


@CREATE
def test_extra_body_joins_the_body(create: Callable[..., Any]) -> None:
    """`extra_body` can send what the SDK has no name for, and what the SDK has one for."""
    strategy = {"type": "last_messages", "last_messages": 10}
    made = create(
        new_thread("hello").id,
        assistant_id=new_assistant().id,
        model="not sent",
        top_k=7,
        extra_body={
            "truncation_strategy": strategy,
            "nobody_knows": [1],
            "model": "sent",
            "top_k": 1,
        },
    )
    run = Runs.wait(made.id, thread_id=made.thread_id)
    assert (run.truncation_strategy, run.model) == (strategy, "sent")
    assert run.top_k == 7, "of the sampling the call's own wins"


def test_extra_body_joins_the_other_bodies() -> None:
    """`extra_body` is sent with a new thread, and with outputs, whose own it can replace."""
    made = Runs.create_thread_and_run(
        assistant_id=new_assistant().id,
        extra_body={
            "thread": {"messages": [{"role": "user", "content": "/call f {}"}]},
            "temperature": 0.5,
        },
    )
    run = Runs.wait(made.id, thread_id=made.thread_id)
    assert (run.status, run.temperature) == ("requires_action", 0.5)
    outputs = outputs_for(run, "rain")
    ids = {"thread_id": run.thread_id, "tool_outputs": [{"output": "not sent"}]}
    Runs.submit_tool_outputs(run.id, extra_body={"tool_outputs": outputs}, **ids)
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert (run.status, answer_of(run)) == ("completed", "f -> rain")


@RETRIEVE
def test_completed_run_is_read_with_times_and_usage(retrieve: Callable[..., Any]) -> None:
    """A run that was read back has zeros and `{}` for none, and its usage."""
    done = finish("hello")
    run = retrieve(done.id, thread_id=done.thread_id)
    assert (run.status_code, run.id, run.status) == (200, done.id, "completed")
    assert (run.required_action, run.last_error) == ({}, {})
    assert (run.expires_at, run.cancelled_at, run.failed_at) == (0, 0, 0)
    assert run.completed_at >= run.created_at
    assert run.usage["input_tokens"] > 0
    assert run.usage["total_tokens"] == run.usage["input_tokens"] + run.usage["output_tokens"]


def test_wait_ends_with_the_answer_in_the_thread() -> None:
    """After `wait` the run is complete and its text is the newest message."""
    run = finish("Hello, 你好!")
    assert (run.status, answer_of(run)) == ("completed", "Hello, 你好!")


def test_required_action_has_the_calls_whole() -> None:
    """A run that waits shows each function with its arguments as JSON."""
    run = finish(TWO_CALLS)
    assert run.status == "requires_action"
    assert run.required_action.type == "submit_tool_outputs"
    first, second = calls_of(run)
    assert (first.type, first.function.name) == ("function", "get_weather")
    assert first.function.arguments == '{"city": "杭州"}'
    assert second.function.name == "get_time"
    assert first.id != second.id


def test_function_calls_by_polling() -> None:
    """Wait, submit all outputs of a round, wait again: two rounds, the first of two calls."""
    run = finish(f'{TWO_CALLS}\n/then\n/call get_weather {{"city": "Paris"}}')
    ids = {"thread_id": run.thread_id}
    submitted = Runs.submit_tool_outputs(
        run.id, tool_outputs=outputs_for(run, "rain", "noon"), **ids
    )
    assert (submitted.status_code, submitted.status) == (200, "in_progress")
    assert len(calls_of(submitted)) == 2, "the answer still shows what was required"
    run = Runs.wait(run.id, **ids)
    assert [call.function.arguments for call in calls_of(run)] == ['{"city": "Paris"}']
    Runs.submit_tool_outputs(run.id, tool_outputs=outputs_for(run, "sun"), **ids)
    run = Runs.wait(run.id, **ids)
    assert (run.status, run.required_action) == ("completed", {})
    assert answer_of(run) == "get_weather -> sun"
    listed = Steps.list(run.id, order="asc", **ids).data
    details = [step.step_details for step in listed[:2]]
    assert [[call.function.output for call in each.tool_calls] for each in details] == [
        ["rain", "noon"],
        ["sun"],
    ]


def test_outputs_are_matched_by_id_in_any_order() -> None:
    """An output belongs to the call that it names."""
    run = finish(TWO_CALLS)
    outputs = outputs_for(run, "rain", "noon")[::-1]
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert answer_of(run) == "get_weather -> rain\nget_time -> noon"


@pytest.mark.parametrize(
    "named",
    [{}, {"tool_call_id": ""}, {"tool_call_id": None}],
    ids=["without id", "empty id", "null"],
)
def test_outputs_without_ids_are_matched_by_order(named: dict[str, Any]) -> None:
    """An output need not name its call, as in the vendor's own samples."""
    run = finish(TWO_CALLS)
    outputs = [{**named, "output": "rain"}, {**named, "output": "noon"}]
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert answer_of(run) == "get_weather -> rain\nget_time -> noon"


@pytest.mark.parametrize(
    "choose",
    [
        lambda outputs: outputs[:1],
        lambda outputs: [*outputs, outputs[0]],
        lambda outputs: [outputs[0], outputs[0]],
        lambda outputs: [outputs[0], {"tool_call_id": "call_none", "output": "x"}],
        lambda outputs: [outputs[0], {**outputs[1], "output": 7}],
        lambda outputs: [outputs[0], {"tool_call_id": outputs[1]["tool_call_id"]}],
    ],
    ids=["too few", "too many", "one twice", "unknown", "number", "no output"],
)
def test_wrong_outputs_are_refused_and_right_ones_then_taken(choose: Callable[..., Any]) -> None:
    """All outputs of a round come in one request; a refused one changes nothing."""
    run = finish(TWO_CALLS)
    right = outputs_for(run, "rain", "noon")
    refused = Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=choose(right))
    assert error_of(refused)[:2] == (400, INVALID)
    assert Runs.get(run.id, thread_id=run.thread_id).status == "requires_action"
    taken = Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=right)
    assert taken.status_code == 200


def test_outputs_are_taken_once() -> None:
    """A run that does not wait for outputs refuses them."""
    run = finish("/call get_weather {}")
    outputs = outputs_for(run, "rain")
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    Runs.wait(run.id, thread_id=run.thread_id)
    again = Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    assert error_of(again)[:2] == (400, INVALID)
    with pytest.raises(InputRequired):
        Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=[])


def test_message_added_while_a_run_waits_does_not_disturb_it() -> None:
    """A run goes on with what it was asked, whatever the thread is told meanwhile."""
    run = finish("/call get_weather {}")
    Messages.create(run.thread_id, content="And tomorrow?")
    outputs = outputs_for(run, "rain")
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert (run.status, run.last_error) == ("completed", {})
    assert answer_of(run) == "get_weather -> rain"


def test_run_goes_on_without_its_assistant() -> None:
    """An assistant that is deleted while its run waits takes nothing from the run."""
    run = finish("/call get_weather {}")
    Assistants.delete(run.assistant_id)
    outputs = outputs_for(run, "rain")
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    assert Runs.wait(run.id, thread_id=run.thread_id).status == "completed"


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("/fail server_error it broke", "failed", {"code": "server_error", "message": "it broke"}),
        ("/expire", "expired", {}),
        ("/say Hel\n/fail rate_limit_exceeded slow", "failed",
         {"code": "rate_limit_exceeded", "message": "slow"}),
    ],
    ids=["failed", "expired", "failed with text"],
)  # fmt: skip
def test_run_that_ends_badly_says_so(text: str, status: str, error: dict[str, str]) -> None:
    """`wait` ends with every terminal status, and the error is in the run."""
    run = finish(text)
    assert (run.status, run.last_error) == (status, error)
    assert (run.failed_at > 0) == (status == "failed")


def test_wait_does_not_know_incomplete() -> None:
    """The SDK's `wait` takes an incomplete run for one under way: only its timeout ends it."""
    run = stream("/incomplete")[0][1]
    assert Runs.get(run.id, thread_id=run.thread_id).status == "incomplete"
    with pytest.raises(TimeoutException):
        Runs.wait(run.id, thread_id=run.thread_id, timeout_seconds=0)


def test_update_replaces_metadata_and_a_null_keeps_it() -> None:
    """An update with metadata replaces it; without, the SDK sends a null, which keeps it."""
    run = finish("hello", metadata={"a": "b"})
    ids = {"thread_id": run.thread_id}
    assert Runs.update(run.id, metadata={"c": "d"}, **ids).metadata == {"c": "d"}
    kept = Runs.update(run.id, **ids)
    assert (kept.status_code, kept.metadata) == (200, {"c": "d"})


def test_metadata_of_a_run_under_way_is_kept_to_its_end() -> None:
    """What is changed while a run waits is still there when it has completed."""
    run = finish("/call get_weather {}")
    ids = {"thread_id": run.thread_id}
    assert Runs.update(run.id, metadata={"a": "b"}, **ids).status == "requires_action"
    Runs.submit_tool_outputs(run.id, tool_outputs=outputs_for(run, "rain"), **ids)
    run = Runs.wait(run.id, **ids)
    assert (run.status, run.metadata) == ("completed", {"a": "b"})


@pytest.mark.parametrize("text", ["/wait 60", "/call get_weather {}"], ids=["silent", "waiting"])
def test_cancelled_run_stays_cancelled(text: str) -> None:
    """A run under way can be cancelled, and more than once; its thread is free again."""
    run = begin(text)
    ids = {"thread_id": run.thread_id}
    cancelled = Runs.cancel(run.id, **ids)
    assert (cancelled.status_code, cancelled.id, cancelled.status) == (200, run.id, "cancelled")
    read = Runs.wait(run.id, **ids)
    assert (read.status, read.required_action) == ("cancelled", {})
    assert read.cancelled_at >= read.created_at
    assert Runs.cancel(run.id, **ids).status == "cancelled"
    Messages.create(run.thread_id, content="hello")
    again = Runs.create(run.thread_id, assistant_id=run.assistant_id)
    assert Runs.wait(again.id, **ids).status == "completed"


def test_ended_run_cannot_be_cancelled() -> None:
    """A run that has completed is not cancelled after the fact."""
    run = finish("hello")
    assert error_of(Runs.cancel(run.id, thread_id=run.thread_id))[:2] == (400, INVALID)
    assert Runs.get(run.id, thread_id=run.thread_id).status == "completed"


@pytest.mark.parametrize("text", ["/wait 60", "/call get_weather {}"], ids=["silent", "waiting"])
def test_busy_thread_refuses_a_second_run(text: str) -> None:
    """While a run is active another is refused, and the message says which is in the way."""
    run = begin(text)
    refused = Runs.create(run.thread_id, assistant_id=run.assistant_id)
    status, code, message = error_of(refused)
    assert (status, code) == (400, INVALID)
    assert run.id in message
    Runs.cancel(run.id, thread_id=run.thread_id)


@pytest.mark.parametrize(
    "call",
    [
        Runs.retrieve,
        Runs.get,
        Runs.wait,
        Runs.update,
        Runs.cancel,
        lambda run, **ids: Runs.submit_tool_outputs(run, tool_outputs=[{"output": ""}], **ids),
        Steps.list,
        lambda run, **ids: Steps.get("step_x", run_id=run, **ids),
    ],
)
def test_unknown_run_is_a_400(call: Callable[..., Any]) -> None:
    """An id that does not exist is a bad request with the documented words."""
    assert error_of(call("run_none", thread_id=new_thread("x").id)) == gone("run")


def test_run_needs_an_assistant_that_exists() -> None:
    """An unknown assistant is a bad request with the documented words."""
    refused = Runs.create(new_thread("x").id, assistant_id="asst_none")
    assert error_of(refused) == gone("assistant")


@pytest.mark.parametrize(
    "params", [{"temperature": 2}, {"top_p": 0}, {"top_k": -1}, {"max_tokens": 0}], ids=str
)
def test_bad_parameter_is_refused(params: dict[str, Any]) -> None:
    """A value beyond its documented limits begins no run."""
    thread = new_thread("x").id
    refused = Runs.create(thread, assistant_id=new_assistant().id, **params)
    assert error_of(refused)[:2] == (400, INVALID)
    assert Runs.list(thread).data == []


def test_runs_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    first = finish("a")
    made = [first.id]
    for _ in range(2):
        run = Runs.create(first.thread_id, assistant_id=first.assistant_id)
        made.append(Runs.wait(run.id, thread_id=first.thread_id).id)
    check_paging(lambda **query: Runs.list(first.thread_id, **query), made)


def test_listed_run_is_whole() -> None:
    """An item of the list has what reading the run gives, calls included."""
    run = finish("/call get_weather {}")
    (item,) = Runs.list(run.thread_id).data
    assert (item.object, item.id, item.status) == ("thread.run", run.id, "requires_action")
    assert calls_of(item)[0].id == calls_of(run)[0].id
    assert (item.last_error, item.completed_at) == ({}, 0)


def test_runs_of_many_threads_do_not_mix() -> None:
    """Eight runs side by side each answer their own question."""
    texts = [f"/call f {{}}\n/then\n/say answer {number}" for number in range(8)]

    def play(text: str) -> str:
        run = finish(text)
        outputs = outputs_for(run, "x")
        Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
        return answer_of(Runs.wait(run.id, thread_id=run.thread_id))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(play, texts)) == [f"answer {number}" for number in range(8)]


def test_service_without_cancelling_says_so(
    narrow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the documents there is no such call: the path leads nowhere, and the run goes on."""
    monkeypatch.setattr(dashscope, "base_http_api_url", narrow_server)
    run = finish("/call f {}")
    refused = Runs.cancel(run.id, thread_id=run.thread_id)
    assert error_of(refused) == (400, INVALID, "Invalid URL provided in your request.")
    assert Runs.get(run.id, thread_id=run.thread_id).status == "requires_action"


def test_calls_without_ids_are_answered_by_order(
    narrow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live service was seen to leave the ids of calls empty: outputs then go by order."""
    monkeypatch.setattr(dashscope, "base_http_api_url", narrow_server)
    run = finish(TWO_CALLS)
    assert [call.id for call in calls_of(run)] == ["", ""]
    outputs = outputs_for(run, "rain", "noon")
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert answer_of(run) == "get_weather -> rain\nget_time -> noon"
