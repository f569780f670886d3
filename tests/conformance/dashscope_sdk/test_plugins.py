"""Plugins as the SDK reads them: their deltas, their steps, and what a list says of them."""

from typing import Any

import pytest
from dashscope import Runs, Steps
from dashscope.threads.thread_types import RunStep, RunStepDelta
from dashscope_sdk.calls import (
    ANSWER,
    ASK,
    BEGIN,
    GO_ON,
    OPEN_STEP,
    SAY,
    Event,
    finish,
    order_of,
    outputs_for,
    stream,
    text_of,
)
from wire import Wire

SEARCH = '/plugin quark_search {"input": {"query": "杭州天气"}} {"output": {"results": ["晴"]}}'
GIVEN, GAVE = '{"query":"杭州天气"}', '{"results":["晴"]}'
DELTA = "thread.run.step.delta"
WHOLE = [*OPEN_STEP, "thread.run.step.completed"]
GROWN = [*OPEN_STEP, DELTA, "thread.run.step.completed"]


def growing(events: list[Event]) -> list[Any]:
    """The calls in the deltas of plugins."""
    deltas = [data for name, data in events if name == DELTA]
    assert all(type(data) is RunStepDelta for data in deltas)
    assert all(data.delta.step_details.type == "tool_calls" for data in deltas)
    return [call for data in deltas for call in data.delta.step_details.tool_calls]


def called(events: list[Event]) -> list[Any]:
    """The calls in the completed steps of tools."""
    steps = [data for name, data in events if name == "thread.run.step.completed"]
    return [
        call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls
    ]


def test_plugin_has_the_documented_order() -> None:
    """The step of a plugin, with its deltas, comes before that of the message."""
    events = stream(f"{SEARCH}\n/say 好")
    assert order_of(events) == [*BEGIN, *GROWN, *ANSWER]
    assert text_of(events) == "好"


def test_plugin_grows_piece_by_piece() -> None:
    """Arguments in pieces, the output whole, then an empty output without a type."""
    events = stream(SEARCH)
    *arguments, output, late = growing(events)
    assert len(arguments) > 2
    assert all(list(call) == ["type", "quark_search"] for call in arguments)
    assert {call["type"] for call in arguments} == {"quark_search"}
    assert all(list(call["quark_search"]) == ["arguments"] for call in arguments)
    assert "".join(call["quark_search"]["arguments"] for call in arguments) == GIVEN
    assert output == {"type": "quark_search", "quark_search": {"output": GAVE}}
    assert late == {"quark_search": {"output": ""}}


def test_completed_plugin_step_says_that_it_is_in_progress() -> None:
    """The event is right, the object lags behind; the whole call is there, with an empty id."""
    events = dict(stream(f"{SEARCH}\n/fail server_error x"))
    step = events["thread.run.step.completed"]
    assert type(step) is RunStep
    assert (step.status, step.completed_at) == ("in_progress", None)
    assert events[DELTA].id == step.id
    (call,) = step.step_details.tool_calls
    plugin = {"arguments": GIVEN, "output": GAVE}
    assert call == {"id": "", "type": "quark_search", "quark_search": plugin}


def test_code_interpreter_is_an_object_of_the_sdk() -> None:
    """The one plugin that the SDK has a class for, growing and whole."""
    code = '/plugin code_interpreter {"input": {"code": "print(6*7)"}} {"output": "42"}'
    events = stream(code)
    *arguments, output, late = growing(events)
    given = "".join(call.code_interpreter.arguments for call in arguments)
    assert given == '{"code":"print(6*7)"}'
    assert (output.type, output.code_interpreter.output) == ("code_interpreter", "42")
    assert late == {"code_interpreter": {"output": ""}}
    (whole,) = called(events)
    assert (whole.code_interpreter.arguments, whole.code_interpreter.output) == (given, "42")


@pytest.mark.parametrize("kind", ["github_search", "my_plugin"])
def test_other_plugins_show_no_deltas(kind: str) -> None:
    """Most plugins come whole with their completed step."""
    events = stream(f'/plugin {kind} {{"input": 1}} {{"output": 2}}\n/say x')
    assert order_of(events) == [*BEGIN, *WHOLE, *ANSWER]
    assert called(events) == [
        {"id": "", "type": kind, kind: {"arguments": "1", "output": "2"}},
    ]


def test_plugins_stand_between_rounds_of_calls() -> None:
    """Text, a plugin, a round, and in the stream after its outputs a plugin again."""
    events = stream(f"/say a\n{SEARCH}\n/call get_weather {{}}\n{SEARCH}\n/say b")
    assert order_of(events) == [*BEGIN, *SAY, *GROWN, *ASK]
    paused = events[-1][1]
    after = list(
        Runs.submit_tool_outputs(
            paused.id,
            thread_id=paused.thread_id,
            tool_outputs=outputs_for(paused, "rain"),
            stream=True,
        )
    )
    assert order_of(after) == [*GO_ON, *GROWN, *ANSWER]
    assert text_of(after) == "b"


def test_read_plugin_step_is_completed() -> None:
    """Read by its id a plugin's step has its time, its status and its whole call."""
    run = finish(SEARCH)
    listed = Steps.list(run.id, thread_id=run.thread_id, order="asc").data[0]
    step = Steps.retrieve(listed.id, thread_id=run.thread_id, run_id=run.id)
    assert (step.type, step.status) == ("tool_calls", "completed")
    assert step.completed_at > 0
    (call,) = step.step_details.tool_calls
    assert call["quark_search"] == {"arguments": GIVEN, "output": GAVE}


def test_listed_search_has_its_input() -> None:
    """In a list a search has `input`; a calculator, whose list was seen too, has its output."""
    run = finish(f'{SEARCH}\n/plugin calculator {{"input": "1+1"}} {{"output": "2"}}')
    data = Steps.list(run.id, thread_id=run.thread_id, order="asc").data
    search, calculator = (step.step_details.tool_calls[0] for step in data[:2])
    assert search["quark_search"] == {"input": GIVEN, "output": GAVE}
    assert calculator["calculator"] == {"arguments": "1+1", "output": "2"}


def test_delta_is_a_frame_like_the_documents(wire: Wire) -> None:
    """Behind the SDK's back: the exact data of a late delta, but for its ids."""
    assistant = wire.call("POST", "/assistants", {"model": "m"}).json["id"]
    content = '/plugin calculator {"input": "1"} {"output": "2"}'
    answer = wire.call(
        "POST",
        "/threads/runs",
        {
            "assistant_id": assistant,
            "stream": True,
            "thread": {"messages": [{"role": "user", "content": content}]},
        },
    )
    late = [data for name, data in answer.frames if name == DELTA][-1]
    fixed = '"object":"thread.run.step.delta","delta":{"step_details":{"type":"tool_calls",'
    assert f'{fixed}"tool_calls":[{{"calculator":{{"output":""}}}}]}}}},"request_id":"' in late
