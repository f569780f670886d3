"""Streamed runs: `stream_run`, and function calls while the stream stays open."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    ASK,
    BEGIN,
    CALL,
    END,
    GO_ON,
    SAY,
    SDK,
    WEATHER,
    begin,
    calls_of,
    follow,
    kind_of,
    new_assistant,
    new_thread,
    order_of,
    refused,
    run_of,
    stream,
    submit,
    text_of,
    upload,
)

SAYINGS = pytest.mark.parametrize("text", ["hello world", "你好, 世界! 👩‍💻 e\u0301", "a\n\nb"])


@SAYINGS
def test_plain_answer_is_the_observed_order(text: str) -> None:
    """Six kinds of events, counted from 1, and the connection closes after the last."""
    events = list(stream(text))
    assert order_of(events) == [*BEGIN, *SAY, *END]
    assert [event.send_id for event in events] == list(range(1, len(events) + 1))
    assert text_of(events) == text
    last = events[-1]
    assert isinstance(last, SDK.type.StreamRunStatus)
    assert (last.status, last.event_type) == ("completed", "run_end")


def test_statuses_of_events_are_those_observed() -> None:
    """Only the first event is queued; a step begins in progress and ends complete."""
    events = list(stream("hello"))
    statuses = [(event.event_type, event.status) for event in events if event.event == "status"]
    assert statuses == [
        ("run_begin", "queued"),
        ("tool_step_begin", "in_progress"),
        ("message_creation", "in_progress"),
        ("tool_step_end", "completed"),
        ("run_end", "completed"),
    ]
    assert all(event.message for event in events if event.event == "status")


def test_details_are_named_by_their_type() -> None:
    """Each status carries the one object that it is about."""
    events = [event for event in stream("hello") if event.event == "status"]
    details = {event.event_type: event.details.model_dump() for event in events}
    assert {kind: detail["type"] for kind, detail in details.items()} == {
        "run_begin": "run_object",
        "tool_step_begin": "run_step_object",
        "message_creation": "message_creation",
        "tool_step_end": "run_step_object",
        "run_end": "run_object",
    }
    for detail in details.values():
        filled = [name for name, value in detail.items() if name != "type" and value is not None]
        assert filled == [detail["type"]]


def test_run_at_the_begin_and_at_the_end() -> None:
    """Both are the whole run, without the answer; at the end its instructions are masked."""
    made = new_assistant(instructions="secret").id
    events = list(stream("hello", assistant_id=made))
    first, last = events[0].details.run_object, events[-1].details.run_object
    assert (first.id, first.thread_id) == (last.id, last.thread_id)
    assert (first.object, last.object) == ("thread.run", "thread.run")
    assert (first.assistant_id, last.assistant_id) == (made, made)
    assert (first.instructions, last.instructions) == ("secret", "***")
    assert (first.completed_at, first.final_answer, last.final_answer) == (0, None, None)
    assert last.completed_at >= last.created_at > 0
    read = SDK.threads.runs.query(first.thread_id, first.id)
    assert (read.status, read.completed_at) == ("completed", last.completed_at)


def test_step_and_message_are_those_of_the_lists() -> None:
    """What the stream names can be read afterwards, with the text that was streamed."""
    events = list(stream("hello"))
    run = run_of(events)
    told = {event.event_type: event.details for event in events if event.event == "status"}
    (step,) = SDK.threads.runs.steps.list(run.thread_id, run.id).data
    assert told["tool_step_begin"].run_step_object.id == step.id
    ended = told["tool_step_end"].run_step_object
    assert (ended.id, ended.status, ended.completed_at) == (step.id, "completed", step.completed_at)
    message = told["message_creation"].message_creation.message_id
    assert {event.message_id for event in events if event.event == "message"} == {message}
    read = SDK.threads.messages.query(run.thread_id, message)
    assert (read.role, read.content[0].text.value) == ("assistant", "hello")


def test_every_parameter_is_taken(tmp_path: Any) -> None:
    """All that the SDK can send with a streamed run is taken."""
    types = SDK.public_type
    thread = new_thread("one")
    events = list(
        SDK.threads.runs.stream_run(
            assistant_id=new_assistant(file_ids=[upload(tmp_path).id]).id,
            thread_id=thread,
            thread=SDK.type.AssistantThread(messages=[{"content": "二"}]),
            model="ERNIE-4.0T-8K",
            response_format="text",
            instructions="i",
            thought_instructions="t",
            chat_instructions="c",
            tools=[WEATHER],
            metadata={"k": "v"},
            tool_output=None,
            model_parameters=types.AssistantModelParameters(),
            user_info={"id": "u", "intro": "i", "watermark": "w"},
            user_loc={"loc": "{}", "uip": "127.0.0.1"},
        )
    )
    assert text_of(events) == "二"
    run = run_of(events)
    assert (run.thread_id, run.model, run.instructions) == (thread, "ERNIE-4.0T-8K", "i")


def test_thread_is_made_with_the_run() -> None:
    """Without the id of a thread the run begins one, which the first event names."""
    events = list(stream("", thread_id="", thread={"messages": [{"content": "hi"}]}))
    assert text_of(events) == "hi"
    assert len(SDK.threads.messages.list(run_of(events).thread_id).data) == 2


def test_stream_stays_open_while_outputs_are_given() -> None:
    """The outputs go over another connection, and the same stream ends with the answer."""
    events = follow(stream(CALL), lambda _: "晴")
    assert order_of(events) == [*BEGIN, *ASK, *GO_ON, *SAY, *END]
    assert [event.send_id for event in events] == list(range(1, len(events) + 1))
    assert text_of(events) == "get_weather -> 晴"
    asked = [event for event in events if event.status == "requires_action"]
    (call,) = asked[0].details.tool_calls
    assert (asked[0].event_type, asked[0].details.type) == ("tool_calls", "tool_calls")
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert (call.function.arguments, call.function.output) == ('{"city":"杭州"}', "")


def test_submitting_is_answered_by_the_run() -> None:
    """The answer to outputs is plain, while the stream goes on."""
    seen: list[Any] = []
    for event in stream(CALL):
        seen.append(event)
        if event.status == "requires_action":
            answer = submit(run_of(seen), event.details.tool_calls, "rain")
            assert isinstance(answer, SDK.type.RunResult)
            assert answer.id == run_of(seen).id
    assert seen[-1].status == "completed"


def test_submitted_outputs_are_told() -> None:
    """The stream says which outputs it was given, and ends the step of the calls."""
    events = follow(stream(CALL), lambda _: "rain")
    taken, ended = events[3], events[4]
    assert order_of([taken, ended]) == GO_ON
    (call,) = taken.details.tool_calls
    assert (call.function.name, call.function.output) == ("get_weather", "rain")
    assert (taken.status, taken.details.type) == ("in_progress", "tool_calls")
    begun = events[1].details.run_step_object
    assert (ended.details.run_step_object.id, ended.status) == (begun.id, "completed")


def test_rounds_follow_each_other_in_one_stream() -> None:
    """Two rounds, the first of two calls, are one stream; every call has its own id."""
    events = follow(
        stream("/call a {}\n/call b {}\n/then\n/call c {}"), lambda call: call.function.name.upper()
    )
    assert order_of(events) == [*BEGIN, *ASK, *GO_ON, *ASK, *GO_ON, *SAY, *END]
    rounds = [event.details.tool_calls for event in events if event.status == "requires_action"]
    assert [[call.function.name for call in calls] for calls in rounds] == [["a", "b"], ["c"]]
    assert len({call.id for calls in rounds for call in calls}) == 3
    assert text_of(events) == "c -> C"
    run = run_of(events)
    assert len(SDK.threads.runs.steps.list(run.thread_id, run.id).data) == 3


def test_text_before_a_call_is_a_message_of_its_own() -> None:
    """What is said before the calls is complete before their step begins."""
    events = follow(stream(f"/say 稍等。\n{CALL}\n/then\n/say done"), lambda _: "rain")
    assert order_of(events) == [*BEGIN, *SAY, *ASK, *GO_ON, *SAY, *END]
    assert text_of(events) == "稍等。done"
    created = [event for event in events if kind_of(event) == "message_creation"]
    assert len({event.details.message_creation.message_id for event in created}) == 2


def test_plugin_of_the_vendor_is_a_step_between() -> None:
    """A step of another kind than calls and messages begins and ends, and asks for nothing."""
    events = list(stream('/plugin search {"input": "q"} {"output": "a"}\n/say done'))
    order = order_of(events)
    assert order[:3] == [*BEGIN, "tool_step_begin", "tool_step_end"]
    assert order[-5:] == [*SAY, *END]
    assert "requires_action" not in {event.status for event in events}


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("/fail rate_limit 慢一点", "failed", ("rate_limit", "慢一点")),
        ("/incomplete", "failed", None),
        ("/expire", "expired", None),
    ],
)
def test_stream_of_a_run_that_ends_badly(text: str, status: str, error: Any) -> None:
    """What was said stays; the run ends with the status, and a failure says why twice.

    So does the step that was open, but for an incomplete run, which this wire does not know.
    """
    events = list(stream(f"/say Hel\n{text}"))
    assert order_of(events) == [*BEGIN, *SAY, *END]
    assert text_of(events) == "Hel"
    assert events[-1].status == status
    if error is not None or status == "expired":
        assert events[-2].status == status
    run = events[-1].details.run_object
    assert (run.status, getattr(run, f"{status}_at") > 0, run.completed_at) == (status, True, 0)
    told = events[-1].details.error_info
    assert (told is None) == (status != "failed")
    if status == "failed":
        assert told == run.last_error
        assert error in (None, (told.type, told.message))


def test_run_goes_on_when_its_reader_leaves() -> None:
    """Closing the connection does not end the run, which can be answered in the other way."""
    events = stream(f"/say Hel\n{CALL}")
    run = next(events).details.run_object
    events.close()
    while (read := SDK.threads.runs.query(run.thread_id, run.id)).status == "in_progress":
        pass
    assert read.status == "requires_action"
    output = {"tool_call_id": calls_of(read)[0].id, "output": "rain", "run_id": run.id}
    done = SDK.threads.runs.run(run.assistant_id, run.thread_id, tool_output=output)
    assert done.status == "completed"


def test_run_in_a_stream_can_be_answered_by_another_call() -> None:
    """An output that comes by `run` lets the open stream go on as well."""
    seen: list[Any] = []
    for event in stream(CALL):
        seen.append(event)
        if event.status == "requires_action":
            run = run_of(seen)
            output = {"tool_call_id": event.details.tool_calls[0].id, "output": "rain"}
            done = SDK.threads.runs.run(run.assistant_id, run.thread_id, tool_output=output)
            assert done.status == "completed"
    assert order_of(seen) == [*BEGIN, *ASK, *GO_ON, *SAY, *END]


def test_busy_thread_refuses_a_second_stream() -> None:
    """The refusal is no stream, of which the SDK makes one empty message; the wire is plain."""
    run = begin(CALL)
    more = {"messages": [{"content": "x"}]}
    (event,) = stream("", assistant_id=run.assistant_id, thread_id=run.thread_id, thread=more)
    assert event.model_dump() == SDK.type.StreamRunMessage().model_dump()
    _, told = refused(SDK.threads.runs.run, run.assistant_id, run.thread_id, more)
    assert run.id in told


def test_streams_do_not_mix() -> None:
    """Runs side by side each have their own events, calls and text."""

    def ask(number: int) -> list[Any]:
        return follow(stream(f'/call f {{"n":{number}}}'), lambda call: call.function.arguments)

    with ThreadPoolExecutor(8) as threads:
        streams = list(threads.map(ask, range(16)))
    for number, events in enumerate(streams):
        assert text_of(events) == f'f -> {{"n":{number}}}'
        assert order_of(events) == [*BEGIN, *ASK, *GO_ON, *SAY, *END]
    assert len({run_of(events).id for events in streams}) == 16
