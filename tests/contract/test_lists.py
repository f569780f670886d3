"""Lists, for every client: over more objects than a page has, in both directions."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import pytest

from aiodashassist import AssistantsClient, Paginator
from tests.providers.test_contract import a_thread, an_assistant, echo

MANY = 45
PAGE = 20

Lister: TypeAlias = Callable[..., Paginator[Any]]
Made: TypeAlias = tuple[list[str], Lister]


async def assistants(client: AssistantsClient) -> Made:
    """Assistants, and their list."""
    made = [await an_assistant(client) for _ in range(MANY)]
    return made, client.assistants.list


async def messages(client: AssistantsClient) -> Made:
    """Messages of a thread."""
    thread = await client.threads.create()
    made = [await client.threads.messages.create(thread.id, str(n)) for n in range(MANY)]
    return [m.id for m in made], lambda **page: client.threads.messages.list(thread.id, **page)


async def runs(client: AssistantsClient) -> Made:
    """Runs of a thread."""
    assistant_id, thread_id = await an_assistant(client), await a_thread(client, "x")
    made = [
        (await client.ask("x", assistant_id=assistant_id, thread_id=thread_id)).run.id
        for _ in range(MANY)
    ]
    return made, lambda **page: client.threads.runs.list(thread_id, **page)


async def steps(client: AssistantsClient) -> Made:
    """Steps of a run."""
    assistant_id = await an_assistant(client)
    question = '/call echo {"text": "x"}\n/then\n' * (MANY - 1) + "/say done"
    done = await client.ask(question, assistant_id=assistant_id, tools=[echo], max_rounds=MANY)
    return [step.id for step in done.steps], lambda **page: client.threads.runs.steps.list(
        done.thread_id or "", done.run.id, **page
    )


async def attached(client: AssistantsClient) -> Made:
    """Files of an assistant."""
    assistant_id = await an_assistant(client)
    made = [(await client.files.create(b"x")).id for _ in range(MANY)]
    for file_id in made:
        await client.assistants.files.create(assistant_id, file_id)
    return made, lambda **page: client.assistants.files.list(assistant_id, **page)


KINDS = [assistants, messages, runs, steps, attached]


@pytest.mark.parametrize("make", KINDS)
async def test_a_list_is_read_whole(
    client: AssistantsClient, make: Callable[[AssistantsClient], Awaitable[Made]]
) -> None:
    """Every object comes once: newest first, or oldest first; pages, bounds and cursors fit."""
    made, listed = await make(client)
    newest = made[::-1]

    assert len(made) == MANY
    assert await every(listed()) == newest
    assert await every(listed(order="asc", page_size=PAGE)) == made
    assert await every(listed(max_items=PAGE + 1, page_size=7)) == newest[: PAGE + 1]
    page = await listed(page_size=PAGE)
    assert ids(page.data) == newest[:PAGE]
    assert (page.has_more, page.first_id, page.last_id) == (True, newest[0], newest[PAGE - 1])
    assert await every(listed(after=newest[PAGE - 1], page_size=PAGE)) == newest[PAGE:]
    assert ids((await listed(before=newest[10], page_size=PAGE)).data) == newest[:10]
    last = await listed(order="asc", after=made[-4], page_size=PAGE)
    assert (ids(last.data), last.has_more) == (made[-3:], False)


async def test_all_files_are_listed(client: AssistantsClient) -> None:
    """Whether the list has pages or not; `max_items` bounds it."""
    made = [(await client.files.create(b"x", filename=f"f{n}.txt")).id for n in range(MANY)]

    assert sorted(await every(client.files.list())) == sorted(made)
    assert len(await every(client.files.list(max_items=12))) == 12


async def every(listed: Paginator[Any]) -> list[str]:
    """The ids of all pages' objects."""
    return [item.id async for item in listed]


def ids(items: Sequence[Any]) -> list[str]:
    """Their ids."""
    return [item.id for item in items]
