"""What the operations do, asked through a client; the wire's words are tested with the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    BadRequest,
    DashScope,
    MessageParams,
    NotFound,
    PluginTool,
    Run,
    RunEvent,
    ThreadEvent,
    ToolOutput,
    TruncationStrategy,
    tool,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.params import RunParams
from aiodashassist.server import LocalServer
from aiodashassist.server.desk import Desk, Started
from aiodashassist.server.disk import Disk
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.runs import Runs
from aiodashassist.server.store import Store


@tool
async def get_time() -> str:
    """The time."""
    return "12:00"


async def test_an_assistant_is_kept_as_made_and_changed(client: DashScope) -> None:
    """Create, retrieve, update in part, clear a text and the tools, delete."""
    made = await client.assistants.create(
        model="qwen-max", name="n", instructions="i", tools=[get_time], metadata={"k": "v"},
        temperature=0.5, top_p=0.9, top_k=5, max_tokens=99, file_ids=["f"], description="d",
    )  # fmt: skip
    read = await client.assistants.retrieve(made.id)
    changed = await client.assistants.update(
        made.id, name="m", description="", tools=[PluginTool("calculator")]
    )
    cleared = await client.assistants.update(made.id, tools=[])

    assert (read.temperature, read.top_p, read.top_k, read.max_tokens) == (0.5, 0.9, 5, 99)
    assert (read.file_ids, read.metadata, read.description) == (("f",), {"k": "v"}, "d")
    assert (changed.name, changed.description, changed.instructions) == ("m", None, "i")
    assert changed.tools == (PluginTool("calculator"),)
    assert cleared.tools == ()
    assert (await client.assistants.delete(made.id)).deleted
    with pytest.raises(NotFound):
        await client.assistants.delete(made.id)


async def test_a_thread_is_kept_with_its_messages(client: DashScope) -> None:
    """Create with messages, change metadata, read messages, delete all."""
    thread = await client.threads.create(
        messages=[{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    )
    changed = await client.threads.update(thread.id, metadata={"k": "v"})
    messages = (await client.threads.messages.list(thread.id, order="asc")).data
    await client.threads.messages.update(thread.id, messages[0].id, metadata={"m": "1"})
    read = await client.threads.messages.retrieve(thread.id, messages[0].id)

    assert (await client.threads.retrieve(thread.id)).metadata == changed.metadata == {"k": "v"}
    assert [(m.role, m.text) for m in messages] == [("user", "一"), ("assistant", "二")]
    assert read.metadata == {"m": "1"}
    assert (await client.threads.delete(thread.id)).deleted
    with pytest.raises(NotFound):
        await client.threads.messages.list(thread.id)


async def test_a_run_inherits_from_its_assistant_and_overrides(client: DashScope) -> None:
    """What the run does not say is the assistant's; additional instructions are appended."""
    made = await client.assistants.create(
        model="qwen-max", instructions="base", temperature=0.5, tools=[get_time]
    )
    thread = await client.threads.create()
    run = await client.threads.runs.create(
        thread.id, assistant_id=made.id, additional_instructions="more", metadata={"k": "v"}
    )
    read = await client.threads.runs.retrieve(thread.id, run.id)
    assert (read.model, read.instructions, read.temperature) == ("qwen-max", "base\nmore", 0.5)
    assert read.tools == made.tools
    assert read.metadata == {"k": "v"}

    await client.ask("wait for the first", assistant_id=made.id)
    other = await client.threads.create()
    run = await client.threads.runs.create(
        other.id,
        assistant_id=made.id,
        model="qwen-plus",
        instructions="other",
        override_tools=[],
        temperature=0,
        additional_messages=[{"role": "user", "content": "added"}],
    )
    read = await client.threads.runs.retrieve(other.id, run.id)
    assert (read.model, read.instructions, read.temperature) == ("qwen-plus", "other", 0)
    assert read.tools == ()
    oldest = (await client.threads.messages.list(other.id, order="asc")).data[0]
    assert oldest.text == "added"


KEPT: dict[str, Any] = {
    "model": "qwen-plus",
    "instructions": "mine",
    "metadata": {"k": "v"},
    "temperature": 0,
    "top_p": 0.25,
    "top_k": 0,
    "max_tokens": 7,
    "max_prompt_tokens": 300,
    "max_completion_tokens": 400,
    "truncation_strategy": TruncationStrategy(type="last_messages", last_messages=3),
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_object"},
}


async def test_a_run_keeps_every_field_that_it_was_given(client: DashScope) -> None:
    """Whichever SDK sends it: as given, in the answer, when it is read and in a list."""
    made = await client.assistants.create(
        model="m", instructions="theirs", temperature=1, top_p=1, top_k=9, max_tokens=9
    )
    thread = await client.threads.create()
    run = await client.threads.runs.create(
        thread.id, assistant_id=made.id, override_tools=[PluginTool("calculator")], **KEPT
    )
    read = await client.threads.runs.retrieve(thread.id, run.id)
    (listed,) = (await client.threads.runs.list(thread.id)).data

    for shown in (read, listed):
        assert {name: getattr(shown, name) for name in KEPT} == KEPT
        assert (shown.assistant_id, shown.tools) == (made.id, (PluginTool("calculator"),))


def test_no_field_of_a_run_is_left_out() -> None:
    """The test before has every field of §2.2 that an answer has a place for."""
    shown = RunParams.__annotations__.keys() & set(Run.__struct_fields__)
    others = {"assistant_id", "thought_instructions", "chat_instructions"}  # AppBuilder's two

    assert shown - others == KEPT.keys()


async def test_runs_and_steps_are_listed(client: DashScope, assistant_id: str) -> None:
    """Runs newest first; a step can be read by its id."""
    first = await client.ask("一", assistant_id=assistant_id)
    thread_id = first.thread_id or ""
    second = await client.ask("二", assistant_id=assistant_id, thread_id=thread_id)

    runs = [run.id async for run in client.threads.runs.list(thread_id)]
    assert runs == [second.run.id, first.run.id]
    step = second.steps[0]
    read = await client.threads.runs.steps.retrieve(thread_id, second.run.id, step.id)
    assert (read.id, read.run_id, read.status) == (step.id, second.run.id, "completed")


@pytest.mark.parametrize("thread_id", ["thread_none"])
async def test_nothing_is_made_on_what_is_not_there(
    client: DashScope, assistant_id: str, thread_id: str
) -> None:
    """Messages, runs and steps need their parents; a refused call leaves nothing behind."""
    threads = client.threads
    with pytest.raises(NotFound, match="thread"):
        await threads.messages.create(thread_id, "x")
    with pytest.raises(NotFound, match="thread"):
        await threads.runs.create(thread_id, assistant_id=assistant_id)
    with pytest.raises(NotFound, match="thread"):
        await threads.runs.list(thread_id)
    with pytest.raises(NotFound, match="assistant"):
        await threads.create_and_run(assistant_id="nobody")
    thread = await threads.create()
    with pytest.raises(NotFound, match="run has"):
        await threads.runs.steps.list(thread.id, "nobody")
    result = await client.ask("x", assistant_id=assistant_id)
    with pytest.raises(NotFound, match="run step"):
        await threads.runs.steps.retrieve(result.thread_id or "", result.run.id, "nobody")
    with pytest.raises(APIError, match="message has been deleted"):
        await threads.messages.retrieve(thread.id, "nobody")


async def test_an_assistant_has_the_files_it_was_made_with(client: DashScope) -> None:
    """`file_ids` and the list of attached files are one and the same, whichever is changed."""
    files = client.assistants.files
    made = await client.assistants.create(model="m", file_ids=["f1", "f2", "f1"])
    assert [file.id async for file in files.list(made.id, order="asc")] == ["f1", "f2"]
    first = await files.retrieve(made.id, "f2")

    await client.assistants.update(made.id, file_ids=["f2", "f3"])
    assert [file.id async for file in files.list(made.id, order="asc")] == ["f2", "f3"]
    assert (await files.retrieve(made.id, "f2")).created_at == first.created_at
    await client.assistants.update(made.id, name="other")
    assert [file.id async for file in files.list(made.id, order="asc")] == ["f2", "f3"]
    await files.delete(made.id, "f2")
    assert (await client.assistants.retrieve(made.id)).file_ids == ("f3",)
    await client.assistants.delete(made.id)
    with pytest.raises(NotFound, match="assistant has"):
        await files.list(made.id)


async def test_a_thread_takes_the_files_of_its_messages_with_it(client: DashScope) -> None:
    """What was attached to a message is gone with the thread."""
    thread = await client.threads.create(messages=[{"content": "x", "file_ids": ["f"]}])
    (message,) = (await client.threads.messages.list(thread.id)).data
    files = client.threads.messages.files
    assert (await files.retrieve(thread.id, message.id, "f")).message_id == message.id

    await client.threads.delete(thread.id)
    with pytest.raises(NotFound):
        await files.retrieve(thread.id, message.id, "f")


# --- runs as another wire begins and goes on with them (appbuilder.md §3.8, §5.6) ---


@pytest.fixture
async def builder(server: LocalServer) -> AsyncIterator[AppBuilder]:
    """A client of the other wire, on the same server."""
    async with server.client(AppBuilder) as made:
        yield made


@pytest.mark.parametrize("messages", [[], ["user", "assistant"]])
async def test_a_run_may_need_a_word_of_the_user(
    client: DashScope, builder: AppBuilder, assistant_id: str, messages: list[str]
) -> None:
    """Where the last message is nobody's, or not the user's, a run does not begin there."""
    said: Any = [{"role": role, "content": "x"} for role in messages]
    thread = await client.threads.create(messages=said)
    with pytest.raises(BadRequest, match="last message of the thread must be the user's"):
        await builder.threads.runs.create(thread.id, assistant_id=assistant_id)
    assert (await client.threads.runs.list(thread.id)).data == ()

    added: list[MessageParams] = [{"content": "added"}]
    run = await builder.threads.runs.create(
        thread.id, assistant_id=assistant_id, additional_messages=added
    )
    assert run.final_answer is not None
    assert run.final_answer.text == "added"
    assert (await client.threads.runs.create(thread.id, assistant_id=assistant_id)).id


async def test_what_is_not_there_is_missing_before_anything_else(
    client: DashScope, builder: AppBuilder, assistant_id: str
) -> None:
    """An unknown thread, and an unknown assistant on a thread without messages, are named."""
    thread = await client.threads.create()
    with pytest.raises(NotFound, match="thread"):
        await builder.threads.runs.create("thread_none", assistant_id=assistant_id)
    with pytest.raises(NotFound, match="assistant"):
        await builder.threads.runs.create(thread.id, assistant_id="asst_none")


async def waiting(builder: AppBuilder, assistant_id: str, text: str) -> Run:
    """A run that waits for outputs."""
    thread = await builder.threads.create(messages=[{"role": "user", "content": text}])
    run = await builder.threads.runs.create(thread.id, assistant_id=assistant_id)
    assert run.status == "requires_action"
    return run


@pytest.mark.parametrize("named", [True, False])
async def test_a_run_goes_on_with_the_output_of_its_call(
    builder: AppBuilder, assistant_id: str, named: bool
) -> None:
    """It is the run that is named, or the one under way on the thread; the answer is its rest."""
    text = "/call first\n/then\n/call second\n/then\n/say done"
    run = await waiting(builder, assistant_id, text)
    seen = []
    for output in ("1", "2"):
        (call,) = run.tool_calls
        seen.append(call.name)
        given = ToolOutput(output=output, tool_call_id=call.id, run_id=run.id if named else "")
        run = await builder.threads.runs.create(
            run.thread_id or "", assistant_id=assistant_id, tool_output=given
        )

    assert seen == ["first", "second"]
    assert run.status == "completed"
    assert run.final_answer is not None
    assert run.final_answer.text == "done"
    steps = await builder.threads.runs.steps.list(run.thread_id or "", run.id, order="asc")
    assert [step.type for step in steps.data] == ["tool_calls", "tool_calls", "message_creation"]


async def test_a_run_that_goes_on_is_streamed_from_there(
    builder: AppBuilder, assistant_id: str
) -> None:
    """The stream begins with the run anew, and has only what comes after the output."""
    run = await waiting(builder, assistant_id, "/say before\n/call f\n/then\n/say after")
    output = ToolOutput(output="1", tool_call_id=run.tool_calls[0].id, run_id=run.id)
    async with builder.threads.runs.stream(
        run.thread_id or "", assistant_id=assistant_id, tool_output=output
    ) as stream:
        events = [event async for event in stream]
        result = await stream.result()

    assert isinstance(events[0], RunEvent)
    assert (events[0].run.id, events[0].status) == (run.id, "queued")
    assert (result.run.status, result.text) == ("completed", "after")


async def test_an_output_that_fits_no_run_is_refused(
    builder: AppBuilder, assistant_id: str
) -> None:
    """A run that is unknown or does not wait, another's call, one of two; messages beside it."""
    one = await waiting(builder, assistant_id, "/call a")
    two = await waiting(builder, assistant_id, "/call a\n/call b")
    idle = await builder.threads.create(messages=[{"role": "user", "content": "x"}])
    runs = builder.threads.runs
    call_id = one.tool_calls[0].id
    added: list[MessageParams] = [{"content": "x"}]
    refused: list[tuple[str, ToolOutput, dict[str, Any], type[APIError]]] = [
        (idle.id, ToolOutput(output="1", tool_call_id=call_id), {}, NotFound),
        (idle.id, ToolOutput(output="1", tool_call_id=call_id, run_id=one.id), {}, NotFound),
        (one.thread_id or "", ToolOutput(output="1", tool_call_id="call_x"), {}, BadRequest),
        (
            two.thread_id or "",
            ToolOutput(output="1", tool_call_id=two.tool_calls[0].id),
            {},
            BadRequest,
        ),
        (
            one.thread_id or "",
            ToolOutput(output="1", tool_call_id=call_id),
            {"additional_messages": added},
            BadRequest,
        ),
    ]
    for thread_id, output, more, kind in refused:
        with pytest.raises(kind) as caught:
            await runs.create(thread_id, assistant_id=assistant_id, tool_output=output, **more)
        assert type(caught.value) is kind
    for run in (one, two):
        read = await runs.retrieve(run.thread_id or "", run.id)
        assert read.status == "requires_action"
    other = await builder.assistants.create(model="m", name="other")
    with pytest.raises(BadRequest, match="another assistant's"):
        await runs.create(
            one.thread_id or "",
            assistant_id=other.id,
            tool_output=ToolOutput(output="1", tool_call_id=call_id),
        )
    done = await runs.create(idle.id, assistant_id=assistant_id)
    output = ToolOutput(output="1", tool_call_id="c", run_id=done.id)
    with pytest.raises(BadRequest, match="it is completed"):
        await runs.create(idle.id, assistant_id=assistant_id, tool_output=output)


async def test_outputs_for_another_run_are_refused(builder: AppBuilder, assistant_id: str) -> None:
    """Where outputs say which run they are for, it is the one that is asked; it still waits."""
    run = await waiting(builder, assistant_id, "/call a")
    submit = builder.threads.runs.submit_tool_outputs
    thread_id, call_id = run.thread_id or "", run.tool_calls[0].id
    wrong = ToolOutput(output="1", tool_call_id=call_id, run_id="run_other")
    with pytest.raises(BadRequest, match="another run"):
        await submit(thread_id, run.id, tool_outputs=[wrong])
    right = ToolOutput(output="1", tool_call_id=call_id, run_id=run.id)
    answered = await submit(thread_id, run.id, tool_outputs=[right])

    assert answered.status == "in_progress"


async def test_a_busy_thread_is_told_before_its_last_message(
    client: DashScope, builder: AppBuilder, assistant_id: str
) -> None:
    """While a run is under way its own message may be the last; that is not what is wrong."""
    run = await waiting(builder, assistant_id, "/say first\n/call a")
    last = (await client.threads.messages.list(run.thread_id or "")).data[0]
    assert last.role == "assistant"
    with pytest.raises(BadRequest, match=f"active run: {run.id}"):
        await builder.threads.runs.create(run.thread_id or "", assistant_id=assistant_id)


async def test_a_message_is_given_other_words_and_files(builder: AppBuilder) -> None:
    """What it says and what it has is what was given last; its place and role stay."""
    thread = await builder.threads.create(
        messages=[{"role": "user", "content": "old", "file_ids": ["f1", "f2"]}]
    )
    (message,) = (await builder.threads.messages.list(thread.id)).data
    await builder.threads.messages.update(
        thread.id, message.id, content="新", file_ids=["f2", "f3"]
    )
    read = await builder.threads.messages.retrieve(thread.id, message.id)
    files = builder.threads.messages.files.list(thread.id, message.id, order="asc")

    assert (read.text, read.file_ids, read.role) == ("新", ("f2", "f3"), "user")
    assert read.created_at == message.created_at
    assert [file.id async for file in files] == ["f2", "f3"]


async def test_a_run_inherits_how_its_assistant_answers(
    client: DashScope, builder: AppBuilder
) -> None:
    """The three instructions and the format too, where the run does not say; `""` says so."""
    made = await builder.assistants.create(
        model="m", name="n", instructions="i", thought_instructions="t", chat_instructions="c",
        response_format="json_object",
    )  # fmt: skip
    thread = await builder.threads.create(messages=[{"role": "user", "content": "x"}])
    texts = []
    given: Any
    for given in ({}, {"instructions": "", "thought_instructions": "own"}):
        run = await builder.threads.runs.create(thread.id, assistant_id=made.id, **given)
        read = await builder.threads.runs.retrieve(thread.id, run.id)
        texts.append((read.instructions, read.thought_instructions, read.chat_instructions))
        shown = await client.threads.runs.retrieve(thread.id, run.id)  # only this wire shows it
        assert shown.response_format == "json_object"
        await builder.threads.messages.create(thread.id, "more")

    assert texts == [("i", "t", "c"), (None, "own", "c")]


# --- what a run's beginning is, before any wire answers it ---


async def test_a_started_run_is_told_from_its_beginning_or_from_its_outputs() -> None:
    """Events that come before are told first; then those from the start on, to rest or end."""
    store = Store()
    runs = Runs(store, OfflineEngine(), expire_after=600, empty_call_ids=False)
    desk = Desk(store, runs, Disk(1))
    assistant: Any = desk.execute("w", ops.CreateAssistant(params={"model": "m"}))
    begun = desk.execute(
        "w",
        ops.CreateThreadAndRun(
            params={"assistant_id": assistant.id},
            thread={"messages": [{"content": "/call f\n/then\n/say done"}]},
            stream=True,
        ),
    )
    assert isinstance(begun, Started)
    assert (begun.stream, begun.answer, begun.start) == (True, None, 0)
    async with asyncio.timeout(10):
        resting = [event async for event in begun.events(through=False)]
        run = begun.execution.run
        output = ToolOutput(output="1", tool_call_id=run.tool_calls[0].id)
        submitted = desk.execute(
            "w",
            ops.SubmitOutputs(
                thread_id=run.thread_id or "", run_id=run.id, tool_outputs=(output,), stream=True
            ),
        )
        assert isinstance(submitted, Started)
        after = [event async for event in submitted.events(through=False)]
        whole = [event async for event in begun.events(through=True)]
        await runs.close()

    assert isinstance(whole[0], ThreadEvent)
    assert whole == [*resting, *after]
    assert [getattr(events[-1], "status", "") for events in (resting, after)] == [
        "requires_action",
        "completed",
    ]
    assert submitted.answer is not None
    assert submitted.answer.required_action == run.required_action
