"""One local server, two wires: what is made through one client is read through the other."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from aiodashassist import (
    AppBuilder,
    AssistantsClient,
    Client,
    DashScope,
    FunctionTool,
    NotFound,
    RunEvent,
    ToolOutput,
    tool,
)
from aiodashassist.server import LocalServer


class Two(NamedTuple):
    """A client of each service, on one server."""

    one: Any
    other: Any


@pytest.fixture(
    params=[(DashScope, AppBuilder), (AppBuilder, DashScope)], ids=lambda p: p[0].__name__
)
async def two(server: LocalServer, request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    """What `one` makes `other` reads."""
    first, second = request.param
    async with server.client(first) as one, server.client(second) as other:
        yield Two(one, other)


@tool
async def echo(text: str) -> str:
    """Give back the text."""
    return text


async def asked(client: AssistantsClient, question: str, **options: Any) -> Any:
    """A run's result."""
    made = await client.assistants.create(model="m", name="n")
    return await client.ask(question, assistant_id=made.id, **options)


def same(made: Any, read: Any, *names: str) -> None:
    """These fields are the same."""
    assert [getattr(read, name) for name in names] == [getattr(made, name) for name in names]


async def test_an_assistant_is_the_same_from_both_sides(two: Two) -> None:
    """With its name, instructions, tools, files and metadata; what one deletes is gone."""
    made = await two.one.assistants.create(
        model="m", name="小助手", description="d", instructions="简短", tools=[echo],
        metadata={"k": "v"},
    )  # fmt: skip
    read = await two.other.assistants.retrieve(made.id)
    listed = (await two.other.assistants.list()).data

    names = ("id", "name", "description", "instructions", "metadata", "created_at", "file_ids")
    same(made, read, *names)
    same(made, listed[0], *names)
    for one in (made, read, listed[0]):
        (declared,) = one.tools
        assert isinstance(declared, FunctionTool)
        assert declared.function.name == "echo"
        assert (declared.function.parameters or {})["required"] == ["text"]
    changed = await two.other.assistants.update(made.id, model="m", name="other", instructions="")
    assert (await two.one.assistants.retrieve(made.id)).name == changed.name == "other"
    await two.other.assistants.delete(made.id)
    with pytest.raises(NotFound):
        await two.one.assistants.retrieve(made.id)


async def test_what_one_service_lacks_is_kept_for_the_other(server: LocalServer) -> None:
    """Sampling is DashScope's, the other instructions are AppBuilder's; neither is lost."""
    async with server.client(DashScope) as dashscope, server.client(AppBuilder) as appbuilder:
        warm = await dashscope.assistants.create(model="m", name="n", temperature=0.5)
        wise = await appbuilder.assistants.create(model="m", name="n", thought_instructions="think")
        assert (await appbuilder.assistants.retrieve(warm.id)).name == "n"
        assert (await dashscope.assistants.retrieve(wise.id)).name == "n"

        await dashscope.assistants.update(wise.id, name="o")
        assert (await appbuilder.assistants.retrieve(wise.id)).thought_instructions == "think"
        assert (await dashscope.assistants.retrieve(warm.id)).temperature == 0.5


async def test_a_thread_and_its_messages_are_the_same(two: Two) -> None:
    """Messages, their files and the thread's metadata, in the same order."""
    file = await two.one.files.create(b"x", filename="a.txt")
    made = await two.one.threads.create(
        messages=[{"role": "user", "content": "第一 😀", "file_ids": [file.id]}],
        metadata={"k": "v"},
    )
    message = await two.other.threads.messages.create(made.id, "second")
    read = await two.other.threads.retrieve(made.id)

    same(made, read, "id", "metadata", "created_at")
    texts = []
    for client in two:
        listed = (await client.threads.messages.list(made.id, order="asc")).data
        texts.append([(one.id, one.text, one.role, one.file_ids) for one in listed])
        (first, _) = listed
        files = (await client.threads.messages.files.list(made.id, first.id)).data
        assert [(one.id, one.message_id) for one in files] == [(file.id, first.id)]
    assert texts[0] == texts[1]
    assert texts[0][1] == (message.id, "second", "user", ())


async def test_a_run_is_the_same_from_both_sides(two: Two) -> None:
    """Its status and times, its steps with their calls, and its answer."""
    result = await asked(two.one, '/call echo {"text": "你好"}\n/then\n/say 好', tools=[echo])
    where = (result.thread_id, result.run.id)
    runs = [await client.threads.runs.retrieve(*where) for client in two]
    steps = [(await client.threads.runs.steps.list(*where, order="asc")).data for client in two]
    answers = [(await client.threads.messages.list(where[0])).data[0] for client in two]

    same(*runs, "id", "status", "created_at", "completed_at", "assistant_id", "thread_id")
    assert runs[0].status == "completed"
    for mine, others in zip(*steps, strict=True):
        same(mine, others, "id", "status", "type", "created_at", "completed_at")
    for client_steps in steps:
        (call,) = client_steps[0].step_details.tool_calls
        assert (call.name, call.arguments, call.output) == ("echo", '{"text": "你好"}', "你好")
    same(*answers, "id", "text", "role", "run_id", "assistant_id")
    assert answers[0].text == "好"


@pytest.mark.parametrize(
    ("line", "status"), [("/fail server_error 坏了", "failed"), ("/expire", "expired")]
)
async def test_a_bad_end_is_the_same_from_both_sides(two: Two, line: str, status: str) -> None:
    """With why it was, and when."""
    made = await two.one.assistants.create(model="m", name="n")
    async with two.one.stream(f"/say half\n{line}", assistant_id=made.id) as stream:
        events = [event async for event in stream]
    told = next(event.run for event in events[::-1] if isinstance(event, RunEvent))
    runs = [await client.threads.runs.retrieve(told.thread_id, told.id) for client in two]

    assert {run.status for run in (told, *runs)} == {status}
    same(*runs, "failed_at", "completed_at", "created_at")
    if status == "failed":
        assert runs[0].failed_at is not None
        for run in (told, *runs):
            assert run.last_error is not None
            assert run.last_error.message == "坏了"
            assert (run.last_error.code or run.last_error.type) == "server_error"


async def test_an_incomplete_run_fails_for_a_service_that_knows_no_such_end(
    server: LocalServer,
) -> None:
    """DashScope has `incomplete`, AppBuilder sees `failed` (appbuilder.md §4)."""
    async with server.client(DashScope) as dashscope, server.client(AppBuilder) as appbuilder:
        made = await dashscope.assistants.create(model="m", name="n")
        async with dashscope.stream("/incomplete", assistant_id=made.id) as stream:
            events = [event async for event in stream]
        run = next(event.run for event in events[::-1] if isinstance(event, RunEvent))
        read = await appbuilder.threads.runs.retrieve(run.thread_id or "", run.id)

    assert (run.status, read.status) == ("incomplete", "failed")


async def test_a_run_that_waits_can_be_answered_from_the_other_side(two: Two) -> None:
    """Calls, outputs and what follows are the same, whichever wire brought them."""
    result = await asked(two.one, "/call a {}\n/call b {}")
    where = (result.thread_id, result.run.id)
    run = await two.other.threads.runs.retrieve(*where)
    assert [(call.id, call.name) for call in run.tool_calls] == [
        (call.id, call.name) for call in result.pending_calls
    ]
    outputs = [ToolOutput(tool_call_id=c.id, output=c.name.upper()) for c in run.tool_calls]
    await two.other.threads.runs.submit_tool_outputs(*where, tool_outputs=outputs)
    done = await two.one.threads.runs.wait(*where)

    assert done.status == "completed"
    answer = (await two.one.threads.messages.list(where[0])).data[0]
    assert answer.text == "a -> A\nb -> B"


async def test_a_run_is_followed_and_cancelled_from_the_other_side(two: Two) -> None:
    """`attach` goes on with a run of the other service; its end is told to both."""
    paused = await asked(two.one, '/say 先\n/call echo {"text": "x"}\n/then\n/say 后')
    where = (paused.thread_id, paused.run.id)
    async with two.other.threads.runs.attach(*where, tools=[echo]) as stream:
        result = await stream.result()
    waiting = await asked(two.one, "/call f")
    cancelled = await two.other.threads.runs.cancel(waiting.thread_id, waiting.run.id)

    assert result.text == "先后"
    assert [call.output for call in result.tool_calls] == ["x"]
    assert cancelled.status == "cancelled"
    read = await two.one.threads.runs.retrieve(waiting.thread_id, waiting.run.id)
    assert (read.status, read.cancelled_at) == ("cancelled", cancelled.cancelled_at)


async def test_a_stream_ends_with_what_the_other_side_did(two: Two) -> None:
    """A run that the other client cancels ends the stream that follows it."""
    made = await two.one.assistants.create(model="m", name="n")
    async with two.one.stream("/say begun\n/wait 30", assistant_id=made.id) as stream:
        async for _ in stream.text_stream:
            break
        run = stream.snapshot.run
        await two.other.threads.runs.cancel(run.thread_id, run.id)
        events = [event async for event in stream]

    assert isinstance(events[-1], RunEvent)
    assert events[-1].status == "cancelled"


async def test_a_file_is_the_same_from_both_sides(two: Two) -> None:
    """Its name, size and time (kept to the second by AppBuilder's wire, §3.3)."""
    made = await two.one.files.create(b"12345", filename="notes.txt", purpose="assistant")
    mine, others = [await client.files.retrieve(made.id) for client in two]

    same(mine, others, "id", "bytes", "filename")
    assert mine.bytes == 5
    assert mine.created_at // 1000 == others.created_at // 1000
    assert [file.id async for file in two.other.files.list()] == [made.id]
    await two.other.files.delete(made.id)
    with pytest.raises(NotFound):
        await two.one.files.retrieve(made.id)


async def test_what_dashscope_took_appbuilder_gives_back(server: LocalServer) -> None:
    """DashScope has no way to read a file's bytes; the server keeps them all the same."""
    async with server.client(DashScope) as dashscope, server.client(AppBuilder) as appbuilder:
        made = await dashscope.files.create("内容".encode(), filename="笔记.txt")
        content = await appbuilder.files.content(made.id)

    assert content.data.decode() == "内容"


async def test_workspaces_are_dashscopes(server: LocalServer) -> None:
    """AppBuilder's wire has none: it sees what is in no workspace."""
    async with server.client(DashScope) as dashscope, server.client(AppBuilder) as appbuilder:
        inside = dashscope.with_options(workspace="ws")
        made = await inside.assistants.create(model="m", name="n")
        with pytest.raises(NotFound):
            await appbuilder.assistants.retrieve(made.id)
        other = await appbuilder.assistants.create(model="m", name="n")
        with pytest.raises(NotFound):
            await inside.assistants.retrieve(other.id)


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
async def test_both_wires_have_one_key(kind: type[Client]) -> None:
    """The key that the server was given counts for each."""
    async with LocalServer(api_key="right-key") as server:
        made: Any = kind
        async with server.client(made) as client:
            assert (await client.threads.create()).id
