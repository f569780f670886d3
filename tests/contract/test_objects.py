"""What is made is kept, for every client: assistants, threads, messages."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiodashassist import (
    AssistantsClient,
    FunctionTool,
    NotFound,
)
from tests.providers.test_contract import a_thread, echo


async def test_an_assistant_lives(client: AssistantsClient) -> None:
    """It is made, read, listed, changed and deleted; then it is not there."""
    made = await client.assistants.create(
        model="a-model", name="小助手", description="d", instructions="请简短😀", tools=[echo]
    )
    read = await client.assistants.retrieve(made.id)
    listed = (await client.assistants.list()).data
    changed = await client.assistants.update(made.id, name="another", tools=[])
    deleted = await client.assistants.delete(made.id)

    for one in (made, read, listed[0]):
        assert (one.id, one.name, one.instructions) == (made.id, "小助手", "请简短😀")
        (declared,) = one.tools
        assert isinstance(declared, FunctionTool)
        assert declared.function.name == "echo"
        assert one.created_at == made.created_at is not None
    assert (changed.id, changed.name, changed.tools) == (made.id, "another", ())
    assert (deleted.id, deleted.deleted) == (made.id, True)
    with pytest.raises(NotFound):
        await client.assistants.retrieve(made.id)


async def test_who_ensures_an_assistant_finds_it(client: AssistantsClient) -> None:
    """The same again makes no other one; another configuration changes it, or makes one."""
    params: Any = {"name": "tester", "model": "a-model", "instructions": "one"}
    first, again = [await client.assistants.ensure(**params) for _ in range(2)]
    changed = await client.assistants.ensure(**{**params, "instructions": "two"})
    other = await client.assistants.ensure(
        **{**params, "instructions": "three"}, on_change="create"
    )

    assert first.id == again.id == changed.id != other.id
    assert [first.instructions, changed.instructions] == ["one", "two"]
    assert len((await client.assistants.list()).data) == 2


async def test_workers_that_ensure_together_agree(client: AssistantsClient) -> None:
    """Eight at a time settle on one assistant, and leave no other."""
    ensuring = (client.assistants.ensure(name="tester", model="a-model") for _ in range(8))
    found = await asyncio.gather(*ensuring)

    assert len({one.id for one in found}) == 1
    assert [one.id for one in (await client.assistants.list()).data] == [found[0].id]


async def test_a_thread_lives(client: AssistantsClient) -> None:
    """It is made with metadata, read, changed and deleted; then it is not there."""
    made = await client.threads.create(metadata={"用户": "一"})
    changed = await client.threads.update(made.id, metadata={"k": "v"})
    read = await client.threads.retrieve(made.id)
    deleted = await client.threads.delete(made.id)

    assert made.metadata == {"用户": "一"}
    assert changed.metadata == read.metadata == {"k": "v"}
    assert (changed.id, read.id, read.created_at) == (made.id, made.id, made.created_at)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    with pytest.raises(NotFound):
        await client.threads.retrieve(made.id)


async def test_messages_are_kept(client: AssistantsClient) -> None:
    """In the order they were added, with their text whatever its script."""
    thread_id = await a_thread(client, "第一")
    made = await client.threads.messages.create(thread_id, "second 😀\n\t\u2028")
    read = await client.threads.messages.retrieve(thread_id, made.id)
    newest = (await client.threads.messages.list(thread_id)).data
    oldest = (await client.threads.messages.list(thread_id, order="asc")).data

    assert made.text == read.text == "second 😀\n\t\u2028"
    assert (read.role, read.thread_id, read.created_at) == ("user", thread_id, made.created_at)
    assert [message.text for message in oldest] == ["第一", made.text]
    assert newest == oldest[::-1]


UNKNOWN: dict[str, Callable[[AssistantsClient, str, str], Any]] = {
    "assistant": lambda c, *_: c.assistants.retrieve("nobody"),
    "assistant to update": lambda c, *_: c.assistants.update("nobody", model="m", name="n"),
    "assistant to delete": lambda c, *_: c.assistants.delete("nobody"),
    "thread": lambda c, *_: c.threads.retrieve("nobody"),
    "thread to update": lambda c, *_: c.threads.update("nobody", metadata={}),
    "thread to delete": lambda c, *_: c.threads.delete("nobody"),
    "thread to write on": lambda c, *_: c.threads.messages.create("nobody", "x"),
    "message": lambda c, _, t: c.threads.messages.retrieve(t, "nobody"),
    "messages": lambda c, *_: c.threads.messages.list("nobody"),
    "messages after": lambda c, _, t: c.threads.messages.list(t, after="nobody"),
    "run": lambda c, _, t: c.threads.runs.retrieve(t, "nobody"),
    "runs": lambda c, *_: c.threads.runs.list("nobody"),
    "run to cancel": lambda c, _, t: c.threads.runs.cancel(t, "nobody"),
    "steps": lambda c, _, t: c.threads.runs.steps.list(t, "nobody"),
    "thread to run on": lambda c, a, _: c.threads.runs.create("nobody", assistant_id=a),
    "assistant to run": lambda c, _, t: c.threads.runs.create(t, assistant_id="nobody"),
    "assistant to ask": lambda c, *_: c.ask("x", assistant_id="nobody"),
    "file": lambda c, *_: c.files.retrieve("nobody"),
    "file to delete": lambda c, *_: c.files.delete("nobody"),
    "file to detach": lambda c, a, _: c.assistants.files.delete(a, "nobody"),
}


@pytest.mark.parametrize("ask", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_what_is_not_there_is_not_found(
    client: AssistantsClient,
    assistant_id: str,
    ask: Callable[[AssistantsClient, str, str], Any],
) -> None:
    """Whatever status and words a service has for it."""
    thread_id = await a_thread(client, "x")
    with pytest.raises(NotFound) as caught:
        await ask(client, assistant_id, thread_id)

    assert caught.value.request_id


async def test_every_answer_names_its_request(client: AssistantsClient, assistant_id: str) -> None:
    """Objects, pages and results have the ids of their requests; no two are the same."""
    made = await client.assistants.retrieve(assistant_id)
    thread = await client.threads.create()
    page = await client.assistants.list()
    result = await client.ask("x", assistant_id=assistant_id)
    ids = [made.request_id, thread.request_id, page.request_id, *result.request_ids]

    assert all(ids)
    assert len(set(ids)) == len(ids) >= 4
