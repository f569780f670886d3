"""The client: how it is built, and the one call for the common case."""

import asyncio
from typing import Any

import pytest

from aiodashassist import (
    AuthenticationError,
    CallInfo,
    ConfigError,
    DashScope,
    InvalidArgument,
    LocalProtocolError,
    Retry,
    RunEvent,
    RunFailed,
    Timeouts,
    ToolFinished,
    ToolOutput,
    Toolset,
    TotalTimeout,
    UnsupportedOperation,
    UnsupportedParameter,
    tool,
)
from aiodashassist.server import LocalServer
from tests.raw_server import RawServer, answering, whole
from tests.retrying import ONCE


def base_url(client: DashScope) -> str:
    """Where the client sends."""
    return client._session.config.base_url


@tool
async def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"{city} 晴"


@pytest.mark.parametrize(
    ("region", "workspace", "host"),
    [
        (None, None, "https://dashscope.aliyuncs.com"),
        ("cn", None, "https://dashscope.aliyuncs.com"),
        ("cn-beijing", "ws", "https://dashscope.aliyuncs.com"),
        ("intl", None, "https://dashscope-intl.aliyuncs.com"),
        ("us", None, "https://dashscope-us.aliyuncs.com"),
        ("eu-central-1", "ws", "https://ws.eu-central-1.maas.aliyuncs.com"),
    ],
)
def test_a_region_has_its_host(region: str | None, workspace: str | None, host: str) -> None:
    """Regions are those of dashscope.md §1.1."""
    client = DashScope("sk-x", workspace, region=region)

    assert base_url(client) == f"{host}/api/v1"


@pytest.mark.parametrize("region", ["mars", "ap-southeast-1"])
def test_an_unknown_region_or_one_that_needs_a_workspace_is_refused(region: str) -> None:
    """A host that cannot be known is a ConfigError."""
    with pytest.raises(ConfigError, match=region):
        DashScope("sk-x", region=region)


def test_the_environment_gives_base_url_and_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both variables are read; a region or URL that is given wins."""
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", "https://example.org/api/v1")
    monkeypatch.setenv("DASHSCOPE_WORKSPACE_ID", "ws-env")

    client = DashScope("sk-x")
    assert base_url(client) == "https://example.org/api/v1"
    assert client._session.config.workspace == "ws-env"
    assert "intl" in base_url(DashScope("sk-x", region="intl"))
    assert base_url(DashScope("sk-x", base_url="https://b.org")) == "https://b.org"


async def test_ask_answers(client: DashScope, assistant_id: str) -> None:
    """One call makes thread, message and run, calls the tools, and returns the result."""
    answer = await client.ask(
        '/call get_weather {"city": "杭州"}', assistant_id=assistant_id, tools=[get_weather]
    )

    assert answer.text == "get_weather -> 杭州 晴"
    assert answer.usage is not None
    assert answer.message is not None
    assert answer.message.text == answer.text
    assert [call.output for call in answer.tool_calls] == ["杭州 晴"]
    assert answer.thread_id is not None
    messages = await client.threads.messages.list(answer.thread_id, order="asc")
    assert [message.role for message in messages.data] == ["user", "assistant"]


async def test_ask_goes_on_with_a_thread(client: DashScope, assistant_id: str) -> None:
    """`thread_id=` continues a conversation."""
    first = await client.ask("一", assistant_id=assistant_id)
    second = await client.ask("二", assistant_id=assistant_id, thread_id=first.thread_id)

    assert second.thread_id == first.thread_id
    assert first.thread_id is not None
    messages = [m.text async for m in client.threads.messages.list(first.thread_id, order="asc")]
    assert messages == ["一", "一", "二", "二"]


async def test_ask_raises_how_a_run_ended(client: DashScope, assistant_id: str) -> None:
    """A failed run is RunFailed with its code, its ids and the text that came before."""
    with pytest.raises(RunFailed, match="server_error: too warm") as caught:
        await client.ask("/say half\n/fail server_error too warm", assistant_id=assistant_id)

    error = caught.value
    assert (error.code, error.status, error.text) == ("server_error", "failed", "half")
    assert error.run_id is not None
    assert error.thread_id is not None
    assert error.request_id is not None


async def test_ask_leaves_calls_to_a_caller_without_tools(
    client: DashScope, assistant_id: str
) -> None:
    """With no tools anywhere the result has `pending_calls`, and the run goes on waiting."""
    result = await client.ask("/call f {}", assistant_id=assistant_id)

    assert [call.name for call in result.pending_calls] == ["f"]
    assert result.thread_id is not None
    outputs = [ToolOutput(tool_call_id=result.pending_calls[0].id, output="1")]
    run = await client.threads.runs.submit_tool_outputs(
        result.thread_id, result.run.id, tool_outputs=outputs
    )
    assert run.status == "in_progress"


async def test_the_clients_tools_serve_runs_that_name_none(server: LocalServer) -> None:
    """`tools=` of the client is the default; `tools=None` of a run leaves calls to the caller."""
    tools = Toolset(get_weather)
    async with server.client(DashScope, tools=tools) as client:
        made = await client.assistants.create(model="qwen-max", tools=tools)
        question = '/call get_weather {"city": "x"}'
        assert (await client.ask(question, assistant_id=made.id)).text == "get_weather -> x 晴"
        result = await client.ask(question, assistant_id=made.id, tools=None)

    assert result.pending_calls != ()


def test_two_hundred_runs_share_one_client_and_leave_one_task() -> None:
    """200 concurrent runs complete, each with its own output; then one task is left."""
    question = '/call get_weather {{"city": "{}"}}'

    async def main() -> tuple[list[str], int]:
        async with LocalServer() as server, server.client(DashScope) as client:
            made = await client.assistants.create(model="qwen-max")
            asks = (
                client.ask(question.format(n), assistant_id=made.id, tools=[get_weather])
                for n in range(200)
            )
            texts = [result.text for result in await asyncio.gather(*asks)]
        return texts, len(asyncio.all_tasks())

    texts, tasks = asyncio.run(main())

    assert texts == [f"get_weather -> {number} 晴" for number in range(200)]
    assert tasks == 1


async def test_a_stream_on_a_new_thread_calls_tools(client: DashScope, assistant_id: str) -> None:
    """`client.stream` takes what `ask` takes and gives the stream."""
    question = '/call get_weather {"city": "x"}'
    async with client.stream(question, assistant_id=assistant_id, tools=[get_weather]) as stream:
        finished = [event async for event in stream if isinstance(event, ToolFinished)]

    assert [event.output.output for event in finished] == ["x 晴"]


@pytest.mark.parametrize(
    "options",
    [{"temperature": 9}, {"thought_instructions": "x"}, {"assistant_id": ""}, {"content": ""}],
)
async def test_what_cannot_be_asked_leaves_nothing_behind(
    client: DashScope, assistant_id: str, options: dict[str, object]
) -> None:
    """A run that cannot be asked for is refused before its message is sent."""
    thread = await client.threads.create()
    given: dict[str, Any] = {"content": "hi", "assistant_id": assistant_id, **options}
    with pytest.raises((InvalidArgument, UnsupportedParameter)):
        await client.ask(thread_id=thread.id, **given)

    assert (await client.threads.messages.list(thread.id)).data == ()


@pytest.mark.parametrize("content", [5, ["a"], b"a", None, "", {"type": "text"}])
async def test_what_is_no_text_leaves_no_thread_behind(server: LocalServer, content: Any) -> None:
    """It is refused before the new thread is made, by `ask` and by `stream`."""
    told: list[CallInfo] = []
    async with server.client(DashScope, on_request=told.append) as client:
        with pytest.raises(InvalidArgument, match="content"):
            await client.ask(content, assistant_id="a")
        with pytest.raises(InvalidArgument, match="content"):
            client.stream(content, assistant_id="a")

    assert told == []


async def test_texts_of_a_class_of_their_own_are_texts(
    client: DashScope, assistant_id: str
) -> None:
    """Marked-up texts and the like can be asked, and given by tools, alone and inside."""

    class Marked(str):
        """A text with more to it."""

        __slots__ = ()

    @tool
    async def mark() -> str:
        """Give a marked text."""
        return Marked("甲")

    @tool
    async def marks() -> dict[str, str]:
        """Give one inside."""
        return {"k": Marked("乙")}

    question = Marked("/call mark\n/call marks")
    result = await client.ask(question, assistant_id=assistant_id, tools=[mark, marks])

    assert result.text == 'mark -> 甲\nmarks -> {"k":"乙"}'


async def test_closing_the_client_closes_its_streams(server: LocalServer) -> None:
    """A stream that nobody closed is closed with the client, and its run is cancelled."""
    client = server.client(DashScope)
    made = await client.assistants.create(model="m")
    stream = client.stream("/say x\n/wait 30", assistant_id=made.id)
    await stream.__aenter__()
    await anext(stream)
    run = stream.snapshot.run
    assert run is not None
    await client.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)

    async with server.client(DashScope) as other:
        read = await other.threads.runs.retrieve(run.thread_id or "", run.id)
    assert read.status == "cancelled"


async def test_a_close_that_is_cancelled_still_closes(server: LocalServer) -> None:
    """Cancelled while it waits for its duties, the client's connections are closed all the same."""
    client = server.client(DashScope)
    await client.assistants.list()
    client._session.duties.begin(asyncio.Event().wait())  # type: ignore[arg-type]
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    assert client._pool._http is not None
    assert client._pool._http.closed
    await client._session.duties.finish(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_rounds": "x", "tools": [get_weather]}, "max_rounds"),
        ({"concurrency": 1.5, "tools": [get_weather]}, "concurrency"),
        ({"tools": 5}, "tools must be a list"),
        ({"concurrency": 0, "tools": [get_weather]}, "concurrency"),
        ({"on_exit": "explode"}, "on_exit"),
        ({"tools": ["get_weather"]}, "no function"),
    ],
)
async def test_nonsense_is_refused_before_anything_is_sent(
    client: DashScope, options: dict[str, object], words: str
) -> None:
    """Options that cannot be meant are InvalidArgument when the stream is made."""
    with pytest.raises(InvalidArgument, match=words):
        client.stream("x", assistant_id="a", **options)  # type: ignore[arg-type]


async def test_a_closed_client_cannot_stream(server: LocalServer) -> None:
    """A stream of a closed client is told so when it is entered."""
    client = server.client(DashScope)
    await client.close()

    with pytest.raises(LocalProtocolError, match="closed"):
        async with client.stream("x", assistant_id="a"):
            pass


async def test_a_light_copy_has_its_own_key_workspace_and_headers() -> None:
    """What is given is the copy's, what is not stays, and the original is what it was."""
    async with (
        RawServer(answering(whole(b'{"id":"thread_1"}'))) as server,
        DashScope("sk-1", "ws-1", base_url=server.url, headers={"X-A": "1", "X-B": "1"}) as client,
    ):
        tenant = client.with_options(
            api_key="sk-2", workspace="ws-2", headers={"X-B": "2", "X-C": "2"}
        )
        again = tenant.with_options(workspace=None, headers={"X-D": "3"})
        for one in (client, tenant, again, client):
            await one.threads.retrieve("thread_1")

    names = ("authorization", "x-dashscope-workspace", "x-a", "x-b", "x-c", "x-d")
    sent = [[request.headers.get(name) for name in names] for request in server.requests]
    first = ["bearer sk-1", "ws-1", "1", "1", None, None]
    assert sent == [
        first,
        ["bearer sk-2", "ws-2", "1", "2", "2", None],
        ["bearer sk-2", None, "1", "2", "2", "3"],
        first,
    ]


async def test_a_light_copy_with_nothing_given_is_the_same(server: LocalServer) -> None:
    """Its settings and its connections are the client's."""
    async with server.client(DashScope, tools=Toolset(get_weather)) as client:
        twin = client.with_options()
        assert type(twin) is DashScope
        assert twin._session.config == client._session.config
        await twin.threads.create()
        assert twin._session.pool.http() is client._session.pool.http()
        made = await twin.assistants.create(model="m")
        answer = await twin.ask('/call get_weather {"city": "x"}', assistant_id=made.id)
        assert answer.text == "get_weather -> x 晴"


async def test_a_light_copys_key_is_the_one_that_counts() -> None:
    """A wrong one is refused by the service, for the copy alone."""
    async with LocalServer(api_key="right") as server, server.client(DashScope) as client:
        with pytest.raises(AuthenticationError):
            await client.with_options(api_key="wrong").threads.create()
        await client.threads.create()
        wrong = server.client(DashScope, api_key="wrong")
        await wrong.with_options(api_key="right").threads.create()
        await wrong.close()


async def test_workspaces_of_light_copies_do_not_see_each_other(client: DashScope) -> None:
    """A copy a tenant: what one makes the other does not find."""
    one, two = (client.with_options(workspace=name) for name in ("one", "two"))
    made = await one.assistants.create(model="m")

    assert [found.id async for found in one.assistants.list()] == [made.id]
    assert [found.id async for found in two.assistants.list()] == []


async def test_a_light_copy_has_its_own_patience_and_tools(
    client: DashScope, assistant_id: str
) -> None:
    """Timeouts and default handlers are replaced, for the copy alone."""
    hasty = client.with_options(timeouts=Timeouts(total=0.05))
    with pytest.raises(TotalTimeout):
        await hasty.ask("/wait 30", assistant_id=assistant_id)
    handy = client.with_options(tools=Toolset(get_weather))
    question = '/call get_weather {"city": "x"}'
    assert (await handy.ask(question, assistant_id=assistant_id)).text == "get_weather -> x 晴"

    assert (await client.ask(question, assistant_id=assistant_id)).pending_calls != ()
    assert handy._session.config.timeouts == client._session.config.timeouts == Timeouts()


async def test_a_light_copy_may_ask_more_often(client: DashScope) -> None:
    """Its rules of retries are its own; what is shared is how often all may ask again."""
    copied = client.with_options(retry=ONCE)

    assert (copied._session.config.retry, client._session.config.retry) == (ONCE, Retry())
    assert copied._session.experience is client._session.experience


async def test_closing_a_light_copy_closes_nothing(client: DashScope, assistant_id: str) -> None:
    """Neither `close` nor its block ends the client's connections or streams."""
    copied = client.with_options(headers={"X-A": "1"})
    async with copied.stream("/say x\n/call f {}", assistant_id=assistant_id) as stream:
        await anext(stream)
        await copied.close()
        async with copied.with_options():
            pass
        assert (await stream.result()).text == "x"

    await copied.threads.create()
    await client.threads.create()


async def test_closing_the_client_closes_the_streams_of_its_copies(server: LocalServer) -> None:
    """What a copy, or a copy of it, opened ends with the client; the copies are closed, too."""
    client = server.client(DashScope)
    made = await client.assistants.create(model="m")
    copied = client.with_options(timeouts=Timeouts(idle=30))
    streams = [one.stream("/say x\n/wait 30", assistant_id=made.id)
               for one in (copied, copied.with_options())]  # fmt: skip
    runs = []
    for stream in streams:
        await stream.__aenter__()
        assert isinstance(await anext(stream), RunEvent)
        runs.append(stream.snapshot.run)
    await client.close()
    for stream in streams:
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    with pytest.raises(LocalProtocolError, match="closed"):
        await copied.threads.create()

    async with server.client(DashScope) as other:
        for run in runs:
            assert run is not None
            read = await other.threads.runs.retrieve(run.thread_id or "", run.id)
            assert read.status == "cancelled"


async def test_what_the_service_lacks_is_remembered_by_all_copies() -> None:
    """A call that one of them tried in vain is not tried by the others."""
    told: list[Any] = []
    async with (
        LocalServer(can_cancel=False) as server,
        server.client(DashScope, on_request=told.append) as client,
    ):
        for one in (client.with_options(), client, client.with_options(workspace="ws")):
            with pytest.raises(UnsupportedOperation):
                await one.threads.runs.cancel("t", "r")

    assert len(told) == 1


@pytest.mark.parametrize(
    ("built", "workspace", "expected"),
    [
        ({"region": "eu-central-1"}, "two", "https://two.eu-central-1.maas.aliyuncs.com/api/v1"),
        ({"region": "intl"}, "two", "https://dashscope-intl.aliyuncs.com/api/v1"),
        ({}, "two", "https://dashscope.aliyuncs.com/api/v1"),
        ({"base_url": "https://example.org"}, "two", "https://example.org"),
        ({"base_url": "https://e.org", "region": "eu-central-1"}, "two", "https://e.org"),
    ],
)
def test_a_host_that_carries_the_workspace_follows_it(
    built: dict[str, Any], workspace: str, expected: str
) -> None:
    """A base URL that was given stays; the copy of a copy follows as well."""
    client = DashScope("sk-x", "one", **built)
    copied = client.with_options(workspace=workspace)

    assert base_url(copied) == expected
    assert base_url(copied.with_options(api_key="sk-y")) == expected
    assert base_url(copied.with_options(workspace="one")) == base_url(client)


def test_a_base_url_of_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was given, if not in the call."""
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", "https://example.org/api/v1")
    copied = DashScope("sk-x").with_options(workspace="ws")

    assert base_url(copied) == "https://example.org/api/v1"


def test_a_light_copy_shows_no_key() -> None:
    """Neither its own nor the client's, nor a header."""
    client = DashScope("sk-very-secret-1")
    copied = client.with_options(api_key="sk-very-secret-2", headers={"X-A": "hush"})
    shown = f"{copied!r} {copied} {copied._session.config!r}"

    assert shown.startswith("DashScope(base_url=")
    assert "secret" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": ""}, "key"),
        ({"api_key": None}, "key"),
        ({"api_key": "sk 1"}, "key"),
        ({"api_key": "sk\nX: y"}, "key"),
        ({"api_key": 5}, "key"),
        ({"headers": {"X": 1}}, "'X'"),
        ({"headers": {1: "x"}}, "1"),
        ({"workspace": None}, "workspace"),
        ({"workspace": ""}, "workspace"),
        ({"workspace": 5}, "workspace"),
        ({"workspace": "a\r\nb"}, "workspace"),
        ({"workspace": "evil.example/#"}, "workspace"),
        ({"headers": None}, "headers"),
        ({"headers": {"X": "a\r\nb"}}, "'X'"),
        ({"timeouts": None}, "timeouts"),
        ({"timeouts": 5}, "timeouts"),
        ({"retry": None}, "retry"),
        ({"retry": 3}, "retry"),
        ({"tools": 5}, "tools"),
        ({"timeout": 5}, "'timeout'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], words: str) -> None:
    """When the copy is made: a key, a header, or no workspace for a host that needs one."""
    client = DashScope("sk-very-secret-1", "one", region="eu-central-1")
    with pytest.raises(ConfigError, match=words) as caught:
        client.with_options(**settings)

    assert "secret" not in str(caught.value)


async def test_a_header_of_a_copy_replaces_the_clients_in_whatever_case() -> None:
    """Headers have no case: the copy's is sent, once."""
    client = DashScope("sk-x", headers={"X-Tenant": "one", "X-Other": "1"})
    copied = client.with_options(headers={"x-tenant": "two"})

    assert copied._session.config.headers == {"X-Other": "1", "x-tenant": "two"}


@pytest.mark.parametrize(
    "options",
    [{"timeout": 5}, {"timeouts": 5}, {"limits": {}}, {"tools": 5}, {"headers": {"X": "a\nb"}},
     {"retry": 3}, {"retry": None}, {"retries": 3},
     {"headers": None}, {"workspace": "a\nb"},
     {"region": "eu-central-1", "workspace": 5}, {"region": "us-east-1", "workspace": "e.org/#"}],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """A slip of the pen is told when the client is built, not by what does not happen later."""
    with pytest.raises(ConfigError):
        DashScope("sk-x", **options)
