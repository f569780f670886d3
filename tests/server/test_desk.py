"""What the operations do, asked through a client; the wire's words are tested with the wire."""

from typing import Any

import pytest

from aiodashassist import APIError, DashScope, NotFound, PluginTool, Run, TruncationStrategy, tool
from aiodashassist.core.params import RunParams


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
