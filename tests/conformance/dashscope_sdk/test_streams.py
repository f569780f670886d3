"""Streams as the SDK reads them: order, text, rounds, endings, refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from dashscope import Messages, Runs, Threads
from dashscope.threads.thread_types import Run, RunStep, ThreadMessage
from dashscope_sdk.calls import (
    ANSWER,
    ASK,
    BEGIN,
    GO_ON,
    INVALID,
    KINDS,
    OPEN_STEP,
    SAY,
    Event,
    begin,
    calls_of,
    error_of,
    gone,
    new_assistant,
    new_thread,
    order_of,
    outputs_for,
    stream,
    text_of,
)


def submit(run: Any, *outputs: str) -> list[Event]:
    """The stream that the outputs of a round open."""
    return list(
        Runs.submit_tool_outputs(
            run.id,
            thread_id=run.thread_id,
            tool_outputs=outputs_for(run, *outputs),
            stream=True,
        )
    )


@pytest.mark.parametrize("create", [Runs.create, Runs.call])
def test_plain_answer_has_the_documented_order(create: Callable[..., Any]) -> None:
    """The events of an answer come in the order that was observed, and the text is whole."""
    thread = new_thread("Hello, 你好!")
    events = list(create(thread.id, assistant_id=new_assistant().id, stream=True))
    assert order_of(events) == [*BEGIN, *ANSWER]
    assert text_of(events) == "Hello, 你好!"
    assert sum(name == "thread.message.delta" for name, _ in events) > 2


def test_every_event_is_an_object_of_the_sdk() -> None:
    """Each event becomes the class that the SDK has for it, of this run and with status 200."""
    events = list(
        Runs.create_thread_and_run(
            assistant_id=new_assistant().id,
            thread={"messages": [{"role": "user", "content": "hello"}]},
            stream=True,
        )
    )
    run = events[1][1]
    for name, data in events:
        assert name is not None
        assert type(data) is next(KINDS[kind] for kind in KINDS if name.startswith(kind))
        assert data.status_code == 200
        assert data.request_id == run.request_id
        if isinstance(data, RunStep | ThreadMessage):
            assert (data.run_id, data.thread_id) == (run.id, run.thread_id)


def test_thread_comes_first_where_the_call_makes_it() -> None:
    """A call that makes thread and run streams the thread, and then as any run."""
    events = list(
        Runs.create_thread_and_run(
            assistant_id=new_assistant().id,
            thread={
                "messages": [{"role": "user", "content": "hello"}],
                "metadata": {"a": "b"},
            },
            stream=True,
        )
    )
    assert order_of(events) == ["thread.created", *BEGIN, *ANSWER]
    thread = events[0][1]
    assert (thread.object, thread.metadata) == ("thread", {"a": "b"})
    assert thread.id == events[1][1].thread_id
    assert text_of(events) == "hello"


def test_statuses_of_the_runs_are_those_of_their_events() -> None:
    """A run's event carries the run as it is; `created` carries a queued one."""
    runs = [data for _, data in stream("hello") if isinstance(data, Run)]
    assert [run.status for run in runs] == ["queued", "queued", "in_progress", "completed"]
    assert len({run.id for run in runs}) == 1
    assert runs[-1].usage["total_tokens"] > 0
    assert runs[0].usage is None


def test_completed_message_is_the_joined_deltas() -> None:
    """The message is empty when it begins, and whole when it is complete, then and later."""
    events = dict(stream("Hello, 你好!"))
    assert events["thread.message.created"].content == []
    assert events["thread.message.in_progress"].content == []
    message = events["thread.message.completed"]
    assert message.content[0].text.value == "Hello, 你好!"
    assert events["thread.message.delta"].id == message.id
    assert events["thread.message.delta"].delta.content.text.value == "", "the last delta"
    read = Messages.get(message.id, thread_id=message.thread_id)
    assert read.content[0].text.value == "Hello, 你好!"
    step = events["thread.run.step.completed"]
    assert step.step_details.message_creation["message_id"] == message.id


def test_round_of_calls_pauses_the_stream() -> None:
    """The calls arrive whole with `requires_action`, which is the last event of the stream."""
    events = stream('/call get_weather {"city": "杭州"}\n/call get_time {}')
    assert order_of(events) == [*BEGIN, *ASK]
    run = events[-1][1]
    assert run.status == "requires_action"
    assert [call.function.name for call in calls_of(run)] == ["get_weather", "get_time"]
    assert calls_of(run)[0].function.arguments == '{"city": "杭州"}'


def test_outputs_open_a_new_stream_of_the_same_run() -> None:
    """The stream after the outputs begins with the completed step and goes on to the end."""
    paused = stream("/call get_weather {}\n/call get_time {}")[-1][1]
    events = submit(paused, "rain", "noon")
    assert order_of(events) == [*GO_ON, *ANSWER]
    step = events[0][1]
    assert (step.type, step.status) == ("tool_calls", "completed")
    assert [call.function.output for call in step.step_details.tool_calls] == ["rain", "noon"]
    assert text_of(events) == "get_weather -> rain\nget_time -> noon"
    end = events[-1][1]
    assert (end.id, end.required_action) == (paused.id, None)
    assert end.request_id != paused.request_id


def test_answered_tool_step_has_no_time_in_the_stream() -> None:
    """A tool step that its outputs completed is streamed with `completed_at` null."""
    paused = stream("/call get_weather {}")[-1][1]
    step = submit(paused, "rain")[0][1]
    assert (step.status, step.completed_at) == ("completed", None)


def test_two_rounds_are_three_streams() -> None:
    """Every round of outputs opens a stream; calls of the second have ids of their own."""
    first = stream("/call a {}\n/call b {}\n/then\n/call c {}")[-1][1]
    middle = submit(first, "1", "2")
    assert order_of(middle) == [*GO_ON, *ASK]
    second = middle[-1][1]
    assert [call.function.name for call in calls_of(second)] == ["c"]
    ids = [call.id for run in (first, second) for call in calls_of(run)]
    assert len(set(ids)) == 3
    last = submit(second, "3")
    assert order_of(last) == [*GO_ON, *ANSWER]
    assert text_of(last) == "c -> 3"


def test_text_before_a_round_is_a_message_of_its_own() -> None:
    """What is said before the calls is completed before the tool step begins."""
    events = stream("/say One moment\n/call get_weather {}")
    assert order_of(events) == [*BEGIN, *SAY, *ASK]
    assert text_of(events) == "One moment"


def test_polled_run_can_be_answered_with_a_stream() -> None:
    """A run begun without a stream can go on with one, and the other way round."""
    run = begin("/call a {}\n/then\n/call b {}\n/then\n/say done")
    run = Runs.wait(run.id, thread_id=run.thread_id)
    paused = submit(run, "1")[-1][1]
    Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs_for(paused, "2"))
    assert Runs.wait(run.id, thread_id=run.thread_id).status == "completed"


def test_empty_thread_is_answered_with_an_empty_message() -> None:
    """With nothing to say there is still a message, with one empty delta."""
    events = list(Runs.create_thread_and_run(assistant_id=new_assistant().id, stream=True))
    assert order_of(events) == ["thread.created", *BEGIN, *ANSWER]
    assert text_of(events) == ""


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("/fail server_error it broke", "thread.run.failed"),
        ("/expire", "thread.run.expired"),
    ],
)
def test_run_that_ends_badly_ends_its_stream(text: str, end: str) -> None:
    """A failed or expired run ends its stream with the event of that name."""
    events = stream(text)
    assert order_of(events) == [*BEGIN, end]
    run = events[-1][1]
    assert run.status == end.rpartition(".")[2]
    failed = end == "thread.run.failed"
    assert run.last_error == ({"code": "server_error", "message": "it broke"} if failed else None)


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_bad_end_closes_message_and_step_first(status: str) -> None:
    """What was said stays: the message is incomplete and its step ends as the run."""
    verb = {"failed": "/fail server_error it broke", "expired": "/expire"}[status]
    events = stream(f"/say Hel\n{verb}")
    assert order_of(events) == [
        *BEGIN,
        *OPEN_STEP,
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.incomplete",
        f"thread.run.step.{status}",
        f"thread.run.{status}",
    ]
    assert text_of(events) == "Hel"
    message = dict(events)["thread.message.incomplete"]
    assert message.content[0].text.value == "Hel"
    assert message.incomplete_at > 0


def test_incomplete_run_is_an_event_that_the_sdk_does_not_know() -> None:
    """The SDK yields an event without a class of its own as the plain dict."""
    name, data = stream("/incomplete")[-1]
    assert (name, data["status"], data["status_code"]) == (
        "thread.run.incomplete",
        "incomplete",
        200,
    )


def test_cancelling_ends_an_open_stream() -> None:
    """A run cancelled from another connection says so in its stream and ends it."""
    events: list[Event] = []
    for name, data in begin("/say Hel\n/wait 60", stream=True):
        events.append((name, data))
        if text_of(events) == "Hel" and name == "thread.message.delta":
            run = events[0][1]
            Runs.cancel(run.id, thread_id=run.thread_id)
    assert order_of(events)[-6:] == [
        "thread.message.delta",
        "thread.run.cancelling",
        "thread.message.delta",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
    ]
    assert dict(events)["thread.run.cancelling"]["status"] == "cancelling", "a plain dict"
    assert events[-1][1].status == "cancelled"


def test_deleting_a_thread_ends_its_stream() -> None:
    """What runs on a thread that is deleted is cancelled."""
    events: list[Event] = []
    for event in begin("/wait 60", stream=True):
        events.append(event)
        if event[0] == "thread.run.in_progress":
            assert Threads.delete(event[1].thread_id).deleted is True
    assert order_of(events) == [*BEGIN, "thread.run.cancelling", "thread.run.cancelled"]


def test_run_goes_on_when_its_reader_leaves() -> None:
    """Closing the connection of a stream does not end the run."""
    events = begin("/say Hel\n/call get_weather {}", stream=True)
    run = next(events)[1]
    del events
    run = Runs.wait(run.id, thread_id=run.thread_id)
    assert run.status == "requires_action"


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (
            lambda: Runs.create("thread_none", assistant_id=new_assistant().id, stream=True),
            gone("thread"),
        ),
        (
            lambda: Runs.create(new_thread("x").id, assistant_id="asst_none", stream=True),
            gone("assistant"),
        ),
        (
            lambda: Runs.create_thread_and_run(assistant_id="asst_none", stream=True),
            gone("assistant"),
        ),
        (
            lambda: Runs.submit_tool_outputs(
                "run_none",
                thread_id=new_thread("x").id,
                tool_outputs=[{"output": ""}],
                stream=True,
            ),
            gone("run"),
        ),
    ],
    ids=["thread", "assistant", "thread and run", "outputs"],
)
def test_refusal_of_a_stream_is_a_plain_answer(
    ask: Callable[[], Any], answer: tuple[int, str, str]
) -> None:
    """What cannot begin is refused before the stream; the SDK yields the error as one item."""
    ((name, error),) = list(ask())
    assert name is None
    assert error_of(error) == answer


def test_busy_thread_refuses_a_second_stream() -> None:
    """While a run waits, a streamed one is refused as any other."""
    run = stream("/call get_weather {}")[-1][1]
    ((name, error),) = list(Runs.create(run.thread_id, assistant_id=run.assistant_id, stream=True))
    assert (name, error_of(error)[:2]) == (None, (400, INVALID))
    assert order_of(submit(run, "rain")) == [*GO_ON, *ANSWER]
