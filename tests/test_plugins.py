"""Plugins of the vendor's, from the service's bytes to the result that a user holds."""

import json
from typing import Any

import aiohttp
import pytest

from aiodashassist import (
    DashScope,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ToolFinished,
    tool,
)
from aiodashassist.core.sse import SSEParser
from aiodashassist.core.tooling import PluginCall, ToolCall
from aiodashassist.server import LocalServer
from tests.raw_server import END, STREAM, RawServer, answering, chunk, whole
from tests.transcripts import DASHSCOPE

SEARCH = '/plugin quark_search {"input": {"query": "杭州天气"}} {"output": {"results": ["晴"]}}'
SEARCHED = PluginCall(arguments='{"query":"杭州天气"}', output='{"results":["晴"]}')
SUM = '/plugin calculator {"input": "1+1"} {"output": "2"}'
SUMMED = PluginCall(arguments="1+1", output="2")


@tool
async def echo(text: str) -> str:
    """Give back the text."""
    return text


async def events_of(client: DashScope, assistant_id: str, text: str, **options: Any) -> list[Event]:
    """All events of a run."""
    async with client.stream(text, assistant_id=assistant_id, **options) as stream:
        return [event async for event in stream]


def told(events: list[Event]) -> list[str]:
    """The names of events, the same ones in a row told once, without the run's beginning."""
    names = [event.name or type(event).__name__ for event in events]
    return [name for index, name in enumerate(names) if names[index - 1 : index] != [name]][3:]


OPEN = ["thread.run.step.created", "thread.run.step.in_progress"]
GROWN = [*OPEN, "thread.run.step.delta", "thread.run.step.completed"]
WHOLE = [*OPEN, "thread.run.step.completed"]
TEXT = [
    *OPEN,
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
]
ROUND = [*OPEN, "thread.run.requires_action", "ToolStarted", "ToolFinished"]
GO_ON = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]


# --- on the local server ---


async def test_a_plugins_call_is_seen_growing(client: DashScope, assistant_id: str) -> None:
    """Its pieces make up the call that its completed step has, and the result too."""
    async with client.stream(SEARCH, assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert told(events) == [*GROWN, *TEXT, "thread.run.completed"]
    deltas = [event for event in events if isinstance(event, StepDelta)]
    calls = [call for delta in deltas for call in delta.tool_calls]
    done = next(e for e in events if isinstance(e, StepEvent) and e.status == "completed")
    assert {delta.step_id for delta in deltas} == {done.step.id}
    assert {(call.id, call.type) for call in calls} == {("", "quark_search")}
    assert "".join(call.arguments for call in calls) == SEARCHED.arguments
    outputs = [call.output for call in calls if call.output is not None]
    assert outputs == [SEARCHED.output, ""]
    assert (done.step.status, done.step.completed_at) == ("in_progress", None)
    assert done.step.step_details is not None
    assert [call.plugin for call in done.step.step_details.tool_calls] == [SEARCHED]
    assert [(call.name, call.plugin) for call in result.tool_calls] == [("quark_search", SEARCHED)]
    assert result.text == f"quark_search -> {SEARCHED.output}"


async def test_a_plugin_that_shows_no_deltas_has_its_step(
    client: DashScope, assistant_id: str
) -> None:
    """Most plugins come whole, with the completed step."""
    text = '/plugin my_plugin {"input": [1]}\n/say 好'
    async with client.stream(text, assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert told(events) == [*WHOLE, *TEXT, "thread.run.completed"]
    assert [(call.name, call.arguments, call.output) for call in result.tool_calls] == [
        ("my_plugin", "[1]", "{}")
    ]
    assert result.text == "好"


async def test_plugins_and_rounds_of_tools_take_turns(client: DashScope, assistant_id: str) -> None:
    """Before, between and after rounds of calls, with text of their own; tools run as always."""
    call = '/call echo {"text": "甲"}'
    text = f"/say a\n{SEARCH}\n{call}\n{SUM}\n{call}\n{SUM}\n/say b"
    async with client.stream(text, assistant_id=assistant_id, tools=[echo]) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert told(events) == [
        *TEXT, *GROWN, *ROUND, *GO_ON, *GROWN, *ROUND, *GO_ON, *GROWN, *TEXT,
        "thread.run.completed",
    ]  # fmt: skip
    finished = [event for event in events if isinstance(event, ToolFinished)]
    assert [event.output.output for event in finished] == ["甲", "甲"]
    made = sorted((call.name, call.output or "") for call in result.tool_calls)
    assert made == [
        ("calculator", "2"),
        ("calculator", "2"),
        ("echo", "甲"),
        ("echo", "甲"),
        ("quark_search", SEARCHED.output),
    ]
    assert [message.text for message in result.messages] == ["a", "b"]
    kinds = [step.type for step in result.steps]
    assert kinds == ["message_creation", *["tool_calls"] * 5, "message_creation"]


async def test_what_came_of_plugins_and_calls_is_told(client: DashScope, assistant_id: str) -> None:
    """With nothing to say, a line each, in the order of the lines."""
    text = f'{SUM}\n/call echo {{"text": "甲"}}\n{SEARCH}'
    result = await client.ask(text, assistant_id=assistant_id, tools=[echo])

    assert result.text == f"calculator -> 2\necho -> 甲\nquark_search -> {SEARCHED.output}"


async def test_text_after_a_plugin_is_a_new_message(client: DashScope, assistant_id: str) -> None:
    """Two messages with a plugin between them, each with its own text."""
    events = await events_of(client, assistant_id, f"/say one\n{SUM}\n/say two")

    assert told(events) == [*TEXT, *GROWN, *TEXT, "thread.run.completed"]
    done = [e.message for e in events if isinstance(e, MessageEvent) and e.status == "completed"]
    assert [message.text for message in done] == ["one", "two"]
    deltas = [event for event in events if isinstance(event, MessageDelta)]
    for message in done:
        assert "".join(d.text for d in deltas if d.message_id == message.id) == message.text


@pytest.mark.parametrize("status", ["failed", "expired"])
async def test_a_run_that_ends_badly_keeps_its_plugins(
    client: DashScope, assistant_id: str, status: str
) -> None:
    """The plugin's step is done; the run ends as it was told to."""
    verb = {"failed": "/fail server_error broke", "expired": "/expire"}[status]
    async with client.stream(f"{SUM}\n{verb}", assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
        snapshot = stream.snapshot

    assert told(events) == [*GROWN, f"thread.run.{status}"]
    assert [call.plugin for call in snapshot.tool_calls] == [SUMMED]


async def test_leaving_while_a_plugin_grows_cancels_the_run(
    client: DashScope, assistant_id: str
) -> None:
    """A stream that is left ends its run, and the step that was open."""
    endless = json.dumps({"input": "9" * 200_000})
    async with client.stream(f"/plugin calculator {endless}", assistant_id=assistant_id) as stream:
        async for event in stream:
            if isinstance(event, StepDelta):
                break
        run = stream.snapshot.run
    assert run is not None
    thread_id = run.thread_id or ""
    ended = await client.threads.runs.retrieve(thread_id, run.id)
    (step,) = (await client.threads.runs.steps.list(thread_id, run.id)).data

    assert ended.status == "cancelled"
    assert (step.type, step.status) == ("tool_calls", "cancelled")
    assert step.cancelled_at is not None


async def test_a_read_step_has_the_plugins_call(client: DashScope, assistant_id: str) -> None:
    """Listed or read by its id, the call is the same, and the step is completed with its time."""
    result = await client.ask(SEARCH, assistant_id=assistant_id)
    thread_id, run_id = result.thread_id or "", result.run.id
    steps = client.threads.runs.steps
    _, listed = (await steps.list(thread_id, run_id)).data
    read = await steps.retrieve(thread_id, run_id, listed.id)

    for step in (listed, read):
        assert step.step_details is not None
        calls = [ToolCall(type="quark_search", plugin=SEARCHED)]
        assert list(step.step_details.tool_calls) == calls
        assert (step.status, step.type) == ("completed", "tool_calls")
        assert step.completed_at is not None


# --- on the wire ---


async def wire(url: str, method: str, path: str, body: Any = None) -> bytes:
    """The bytes of an answer."""
    headers = {"Authorization": "Bearer local"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url + path, json=body) as response,
    ):
        return await response.read()


async def posted(server: LocalServer, assistant_id: str, text: str) -> list[tuple[str, Any]]:
    """The frames of a thread and run in one call; the closing mark as text."""
    thread = {"messages": [{"role": "user", "content": text}]}
    body = {"assistant_id": assistant_id, "stream": True, "thread": thread}
    return frames(await wire(server.dashscope_url, "POST", "/threads/runs", body))


def frames(stream: bytes) -> list[tuple[str, Any]]:
    """The frames of a stream, as plain objects."""
    parsed = SSEParser().feed(stream)
    return [(f.event, f.text if f.event == "done" else json.loads(f.data)) for f in parsed]


def shape(value: Any) -> Any:
    """A value without what differs from run to run: names, nulls, and the kinds of the rest."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return None if value is None else type(value).__name__


def shapes(stream: list[tuple[str, Any]]) -> list[Any]:
    """The shapes of frames in order, the same ones in a row once; types and statuses whole."""
    found: list[Any] = []
    for name, data in stream:
        kind = (data.get("status"), data.get("type")) if isinstance(data, dict) else data
        item = (name, kind, shape(data))
        if found[-1:] != [item]:
            found.append(item)
    return found


async def test_the_local_server_streams_what_was_observed(
    server: LocalServer, client: DashScope
) -> None:
    """Event for event and field for field as in the transcript, but for ids, times and texts."""
    assistant = await client.assistants.create(
        model="qwen-max", instructions="你是一个有用的助手。", tools=[{"type": "quark_search"}]
    )
    ours = await posted(server, assistant.id, f"{SEARCH}\n/say 杭州今天晴。")
    seen = frames((DASHSCOPE / "plugin_run.sse").read_bytes())

    assert shapes(ours) == shapes(seen)


async def test_a_delta_says_no_more_than_was_observed(
    server: LocalServer, assistant_id: str
) -> None:
    """No id, no index and no nulls in a call; the last one has no type (§5.4)."""
    stream = await posted(server, assistant_id, SUM)
    deltas = [data["delta"] for name, data in stream if name == "thread.run.step.delta"]

    assert [delta["step_details"]["type"] for delta in deltas] == ["tool_calls"] * 3
    assert [delta["step_details"]["tool_calls"] for delta in deltas] == [
        [{"type": "calculator", "calculator": {"arguments": "1+1"}}],
        [{"type": "calculator", "calculator": {"output": "2"}}],
        [{"calculator": {"output": ""}}],
    ]


async def test_listed_steps_have_the_shape_of_the_transcript(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """A listed search has `input`, a read one `arguments` (§3.6)."""
    result = await client.ask(f"{SEARCH}\n/say x", assistant_id=assistant_id)
    path = f"/threads/{result.thread_id}/runs/{result.run.id}/steps"
    listed = json.loads(await wire(server.dashscope_url, "GET", path))
    step_id = listed["data"][1]["id"]
    read = json.loads(await wire(server.dashscope_url, "GET", f"{path}/{step_id}"))
    seen = json.loads((DASHSCOPE / "listed_steps.json").read_bytes())

    assert shape(listed) == shape(seen)
    (call,) = read["step_details"]["tool_calls"]
    plugin = {"arguments": SEARCHED.arguments, "output": SEARCHED.output}
    assert call == {"id": "", "type": "quark_search", "quark_search": plugin}
    assert (read["status"], read["completed_at"] is None) == ("completed", False)


# --- from bytes of outside origin ---


async def test_the_transcript_of_a_run_gives_its_result() -> None:
    """What the service was seen to send ends in the text and the plugin's call."""
    stream = (DASHSCOPE / "plugin_run.sse").read_bytes()
    async with (
        RawServer(answering(STREAM, chunk(stream), END)) as raw,
        DashScope(base_url=raw.url, api_key="k") as client,
        client.threads.create_and_stream(assistant_id="asst_A") as running,
    ):
        events = [event async for event in running]
        result = await running.result()

    last = events[-1]
    assert isinstance(last, RunEvent)
    assert (last.status, result.text, result.thread_id) == ("completed", "杭州今天晴。", "thread_T")
    output = '{"success": true, "results": ["晴"]}'
    plugin = PluginCall(arguments='{"query": "杭州天气"}', output=output)
    assert [(call.name, call.plugin) for call in result.tool_calls] == [("quark_search", plugin)]
    completed = [e for e in events if isinstance(e, StepEvent) and e.status == "completed"]
    assert [event.step.id for event in completed] == ["step_P", "step_S"]


async def test_the_transcript_of_a_list_gives_the_call() -> None:
    """A listed step whose search has `input` is read as one with `arguments` (§7.11)."""
    body = (DASHSCOPE / "listed_steps.json").read_bytes()
    async with (
        RawServer(answering(whole(body))) as raw,
        DashScope(base_url=raw.url, api_key="k") as client,
    ):
        page = await client.threads.runs.steps.list("thread_T", "run_R")

    step = page.data[1]
    assert step.step_details is not None
    (call,) = step.step_details.tool_calls
    assert call.arguments == '{"query": "杭州天气"}'
    assert (step.expired_at, step.cancelled_at, step.last_error) == (None, None, None)
