"""Tool calls, for every client: rounds, outputs, what goes wrong, and calls left to the user."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from aiodashassist import (
    AssistantsClient,
    Event,
    InvalidArgument,
    PauseRun,
    RunEvent,
    ToolCall,
    ToolContext,
    ToolError,
    ToolFinished,
    ToolOutput,
    ToolProgress,
    ToolRoundsExceeded,
    Toolset,
    ToolStarted,
    tool,
)
from aiodashassist.server import LocalServer
from tests.providers.test_contract import PATIENCE, Kind, a_thread, an_assistant, echo, status_of

SECRET = "hunter2-token"


@tool
def shout(text: str) -> str:
    """Say it louder, in a worker thread."""
    return text.upper() + ("" if threading.current_thread() is threading.main_thread() else "!")


@tool
async def numbers(count: int) -> list[int]:
    """Count."""
    return list(range(count))


@tool
async def crash() -> str:
    """Break."""
    raise RuntimeError(SECRET)


@tool
async def refuse() -> str:
    """Break, with words for the model."""
    raise ToolError("ask again tomorrow")


def outputs_of(events: Sequence[Event]) -> dict[str, str]:
    """What each tool gave, by name."""
    finished = [event for event in events if isinstance(event, ToolFinished)]
    return {event.call.name: event.output.output for event in finished}


async def test_a_call_is_answered(client: AssistantsClient, assistant_id: str) -> None:
    """By an async or a plain handler; any value becomes text; the run completes with it."""
    question = (
        '/call echo {"text": "你好😀"}\n/call shout {"text": "a"}\n/call numbers {"count": 3}'
    )
    async with client.stream(
        question, assistant_id=assistant_id, tools=[echo, shout, numbers]
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    given = {"echo": "你好😀", "shout": "A!", "numbers": "[0,1,2]"}
    assert outputs_of(events) == given
    assert {call.name: call.output for call in result.tool_calls} == given
    assert result.text == "\n".join(f"{name} -> {output}" for name, output in given.items())


async def test_calls_of_a_round_run_side_by_side(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Three async and three plain handlers meet each other, which one after the other never do."""
    together, here = asyncio.Barrier(3), threading.Barrier(3)

    @tool
    async def meet() -> str:
        """Wait for the others."""
        async with asyncio.timeout(PATIENCE):
            await together.wait()
        return "met"

    @tool
    def gather() -> str:
        """Wait for the others, in a thread."""
        here.wait(PATIENCE)
        return "gathered"

    question = "\n".join(["/call meet"] * 3 + ["/call gather"] * 3)
    result = await client.ask(question, assistant_id=assistant_id, tools=[meet, gather])

    assert [call.output for call in result.tool_calls] == ["met"] * 3 + ["gathered"] * 3


async def test_rounds_go_on_until_no_call_is_left(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Identical rounds are rounds of their own; every call has an id that no other has."""
    question = '/call echo {"text": "x"}\n/then\n' * 5 + "/say done"
    made: list[str] = []
    result = await client.ask(question, assistant_id=assistant_id, tools=[echo], deps=made)

    assert result.text == "done"
    assert [call.output for call in result.tool_calls] == ["x"] * 5
    assert len(set(made)) == len(made) == 5
    assert all(made)


async def test_empty_ids_of_calls_do_not_matter(kind: Kind) -> None:
    """Each call is run once and has an id in the run, though the wire gives none."""
    made: list[str] = []
    async with LocalServer(empty_call_ids=True) as server, server.client(kind) as client:
        question = '/call echo {"text": "x"}\n/call echo {"text": "y"}\n/then\n' * 2
        assistant_id = await an_assistant(client)
        result = await client.ask(question, assistant_id=assistant_id, tools=[echo], deps=made)

    assert [call.output for call in result.tool_calls] == ["x", "y"] * 2
    assert [call.id for call in result.tool_calls] == [""] * 4
    assert len(set(made)) == len(made) == 4
    assert all(made)


async def test_whatever_a_tool_does_its_call_has_one_output(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Crash, own words, wrong and broken arguments, unknown tool: the model reads why, no more."""
    calls = ["crash", "refuse", 'echo {"text": 1}', "numbers {broken", "nobody {}"]
    question = "\n".join(f"/call {call}" for call in calls)
    async with client.stream(
        question, assistant_id=assistant_id, tools=[crash, refuse, echo, numbers]
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    given = outputs_of(events)

    assert result.run.status == "completed"
    assert len([event for event in events if isinstance(event, ToolFinished)]) == len(calls)
    assert given["crash"] == '{"error":"crash failed"}'
    assert "ask again tomorrow" in given["refuse"]
    assert "Expected `str`, got `int`" in given["echo"]
    assert "invalid arguments" in given["numbers"]
    assert "there is no tool 'nobody'" in given["nobody"]
    assert all("error" in json.loads(output) for output in given.values())
    stored = await client.threads.messages.list(result.thread_id or "")
    assert SECRET not in repr((result, stored, given))


async def test_tools_know_where_they_are_and_tell_how_far(
    client: AssistantsClient, assistant_id: str
) -> None:
    """The context has the ids of run, thread and call, and what was given; `emit` is an event."""
    seen: list[ToolContext[str]] = []

    @tool
    async def work(ctx: ToolContext[str]) -> str:
        """Work."""
        seen.append(ctx)
        await ctx.emit({"done": 1})
        return ctx.deps

    async with client.stream(
        "/call work", assistant_id=assistant_id, tools=work, deps="mine"
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    started, told, finished = [
        event for event in events if isinstance(event, ToolStarted | ToolProgress | ToolFinished)
    ]

    assert isinstance(told, ToolProgress)
    assert told.data == {"done": 1}
    assert started.call.call_id == told.call.call_id == finished.call.call_id == seen[0].call_id
    assert (seen[0].run_id, seen[0].thread_id) == (result.run.id, result.thread_id)
    assert result.tool_calls[0].output == "mine"


@pytest.mark.parametrize(
    ("answer", "words"), [(False, "refused"), ("too dear 太贵", "too dear 太贵")]
)
async def test_who_is_not_approved_does_not_run(
    client: AssistantsClient, assistant_id: str, answer: Any, words: str
) -> None:
    """The model reads the refusal; the other calls of the round run."""
    made: list[str] = []
    question = '/call echo {"text": "x"}\n/call shout {"text": "y"}'
    result = await client.ask(
        question,
        assistant_id=assistant_id,
        tools=[echo, shout],
        deps=made,
        approve=lambda call: answer if call.name == "echo" else True,
    )
    refused, run = result.tool_calls

    assert made == []
    assert words in json.loads(refused.output or "")["error"]
    assert run.output == "Y!"


def pausing(call: ToolCall) -> bool:
    """Leave `echo` to the user."""
    if call.name == "echo":
        raise PauseRun
    return True


PAUSED = '/call shout {"text": "a"}\n/call echo {"text": "b"}\n/then\n/say all done'


async def test_a_paused_run_goes_on_where_it_was(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Siblings finish; what waits is shown; `submit` goes on with all of the round."""
    async with client.stream(
        PAUSED, assistant_id=assistant_id, tools=[shout, echo], approve=pausing
    ) as stream:
        events = [event async for event in stream]
        paused = await stream.result()
        with pytest.raises(InvalidArgument):
            await stream.submit([])
        await stream.submit([ToolOutput(tool_call_id=stream.pending_calls[0].id, output="mine")])
        result = await stream.result()

    assert outputs_of(events) == {"shout": "A!"}
    assert [call.name for call in paused.pending_calls] == ["echo"]
    assert [output.output for output in paused.completed_outputs] == ["A!"]
    assert paused.run.status == "requires_action"
    assert [call.output for call in result.tool_calls] == ["A!", "mine"]
    assert (result.text, result.pending_calls) == ("all done", ())


async def test_a_paused_run_is_gone_on_with_later(
    client: AssistantsClient, assistant_id: str
) -> None:
    """Leaving it cancels nothing; `attach` with the outputs runs only what was not run."""
    async with client.stream(
        PAUSED, assistant_id=assistant_id, tools=[shout, echo], approve=pausing
    ) as stream:
        paused = await stream.result()
    where: Any = (paused.thread_id, paused.run.id)
    assert await status_of(client, *where) == "requires_action"

    async with client.threads.runs.attach(
        *where, tools=[shout, echo], outputs=paused.completed_outputs
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert outputs_of(events) == {"echo": "b"}
    assert [call.output for call in result.tool_calls] == ["A!", "b"]
    assert (result.text, result.run.status) == ("all done", "completed")


async def test_calls_are_the_users_where_there_are_no_tools(
    client: AssistantsClient, assistant_id: str
) -> None:
    """The iteration ends with `pending_calls`; after `submit` it goes on, round by round."""
    question = "/call a\n/call b\n/then\n/call c"
    async with client.stream(question, assistant_id=assistant_id, tools=None) as stream:
        first = [event async for event in stream]
        a, b = stream.pending_calls
        outputs = [
            ToolOutput(tool_call_id=b.call_id, output="B"),
            ToolOutput(tool_call_id=a.id, output="A"),
        ]
        await stream.submit(outputs)
        second = [event async for event in stream]
        await stream.submit([ToolOutput(output="C")])
        result = await stream.result()

    for events in (first, second):
        assert isinstance(events[-1], RunEvent)
        assert events[-1].status == "requires_action"
    assert [call.output for call in result.tool_calls] == ["A", "B", "C"]
    assert result.text == "c -> C"


async def test_outputs_can_be_submitted_without_a_stream(
    client: AssistantsClient, assistant_id: str
) -> None:
    """`submit_tool_outputs` answers what a stream has left, and the run can be waited for."""
    result = await client.ask("/call a\n/call b", assistant_id=assistant_id)
    where: Any = (result.thread_id, result.run.id)
    outputs = [
        ToolOutput(tool_call_id=call.id, output=call.name.upper()) for call in result.pending_calls
    ]
    await client.threads.runs.submit_tool_outputs(*where, tool_outputs=outputs)
    run = await client.threads.runs.wait(*where)

    assert (run.id, run.status) == (result.run.id, "completed")
    (answer, _) = (await client.threads.messages.list(*where[:1])).data
    assert answer.text == "a -> A\nb -> B"


async def test_rounds_are_bounded(client: AssistantsClient, assistant_id: str) -> None:
    """More than `max_rounds` are not answered: `result` says so, and leaving cancels the run."""
    question = '/call echo {"text": "x"}\n/then\n' * 3
    made: list[str] = []
    async with client.stream(
        question, assistant_id=assistant_id, tools=[echo], deps=made, max_rounds=2
    ) as stream:
        with pytest.raises(ToolRoundsExceeded, match="2 rounds") as caught:
            await stream.result()

    assert len(made) == 2
    assert await status_of(client, caught.value.thread_id, caught.value.run_id) == "cancelled"


async def test_the_clients_tools_serve_runs_that_name_none(server: LocalServer, kind: Kind) -> None:
    """A client's `tools` are the default; `tools=None` of a run leaves its calls to the caller."""
    client: AssistantsClient
    async with server.client(kind, tools=Toolset(shout)) as client:
        assistant_id = await an_assistant(client)
        question = '/call shout {"text": "x"}'
        answered = await client.ask(question, assistant_id=assistant_id)
        left = await client.ask(question, assistant_id=assistant_id, tools=None)

    assert answered.text == "shout -> X!"
    assert [call.name for call in left.pending_calls] == ["shout"]


async def test_a_run_under_way_can_be_followed(client: AssistantsClient, assistant_id: str) -> None:
    """`attach` calls its tools and tells all it says, as if it had been there from the start."""
    thread_id = await a_thread(client, 'x\n/say so far\n/call echo {"text": "b"}\n/then\n/say end')
    async with client.threads.runs.stream(
        thread_id, assistant_id=assistant_id, on_exit="leave"
    ) as stream:
        begun = await anext(stream)
    assert isinstance(begun, RunEvent)

    async with client.threads.runs.attach(thread_id, begun.run.id, tools=[echo]) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert outputs_of(events) == {"echo": "b"}
    assert result.text == "so farend"
    stored = (await client.threads.messages.list(thread_id, order="asc")).data[1:]
    assert [message.text for message in result.messages] == [message.text for message in stored]


async def test_a_run_that_is_done_can_be_followed(
    client: AssistantsClient, assistant_id: str
) -> None:
    """`attach` tells what it said; nothing is called again."""
    done = await client.ask('/call echo {"text": "b"}', assistant_id=assistant_id, tools=[echo])
    made: list[str] = []
    async with client.threads.runs.attach(
        done.thread_id or "", done.run.id, tools=[echo], deps=made
    ) as stream:
        result = await stream.result()

    assert (result.text, made) == ("echo -> b", [])
    assert [call.output for call in result.tool_calls] == ["b"]


async def test_cancelling_ends_tools_at_work(client: AssistantsClient, assistant_id: str) -> None:
    """A run that is cancelled while its tool works ends, and the tool is ended with it."""
    ended: list[str] = []

    @tool
    async def endless() -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return ""

    async with client.stream("/call endless", assistant_id=assistant_id, tools=endless) as stream:
        statuses = []
        async for event in stream:
            if isinstance(event, ToolStarted):
                await stream.cancel()
            if isinstance(event, RunEvent):
                statuses.append(event.status)

    assert statuses[-1] == "cancelled"
    assert ended == ["endless"]


async def test_leaving_a_round_ends_its_tools(client: AssistantsClient, assistant_id: str) -> None:
    """Who leaves while a tool works has it cancelled, and the run."""
    ended: list[str] = []
    working = asyncio.Event()

    @tool
    async def endless() -> str:
        """Wait for ever."""
        try:
            working.set()
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return ""

    async with client.stream("/call endless", assistant_id=assistant_id, tools=endless) as stream:
        async for event in stream:
            if isinstance(event, ToolStarted):
                break
        await working.wait()
        run = stream.snapshot.run
    assert run is not None

    assert ended == ["endless"]
    assert await status_of(client, run.thread_id, run.id) == "cancelled"
