"""The clients: what AppBuilder's is built from, and what all have in common."""

import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    AssistantsClient,
    AuthenticationError,
    Client,
    ConfigError,
    DashScope,
    Timeouts,
    Toolset,
    tool,
)
from aiodashassist.server import LocalServer
from tests.raw_server import RawServer, Received, Writer, answering, head, whole

KEY = "bce-v3/ALTAK-secret/0123456789"
HOST = "https://appbuilder.baidu.com"
THREAD = whole(b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{}}')


def base_url(client: Client) -> str:
    """Where the client sends."""
    return client._session.config.base_url


def key(client: Client) -> str:
    """What it authenticates with."""
    return client._session.config.key


@pytest.fixture(autouse=True)
def _no_settings_of_appbuilder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's key and host."""
    for name in ("APPBUILDER_TOKEN", "GATEWAY_URL"):
        monkeypatch.delenv(name, raising=False)


@tool
async def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"{city} 晴"


async def common(client: AssistantsClient) -> str:
    """A program that knows no service: the type checker says that each client fits."""
    made = await client.assistants.create(model="m", name="n", tools=[get_weather])
    answer = await client.ask(
        '/call get_weather {"city": "杭州"}', assistant_id=made.id, tools=[get_weather]
    )
    return answer.text


async def test_one_program_runs_on_every_service(server: LocalServer) -> None:
    """What is written against `AssistantsClient` runs on both, to the same end."""
    async with server.client(DashScope) as one, server.client(AppBuilder) as other:
        texts = [await common(one), await common(other)]

    assert texts == ["get_weather -> 杭州 晴"] * 2


@pytest.mark.parametrize(
    ("given", "variable", "found"),
    [
        (KEY, None, KEY),
        (KEY, "other", KEY),
        (None, KEY, KEY),
        ("", KEY, KEY),
        (f"Bearer {KEY}", None, KEY),
        (None, f"Bearer {KEY}", KEY),
        (None, f"  Bearer   {KEY}\n", KEY),
    ],
)
def test_the_key_is_given_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str | None, found: str
) -> None:
    """Argument, then `APPBUILDER_TOKEN`; the word before it is not part of it (§1.2)."""
    if variable is not None:
        monkeypatch.setenv("APPBUILDER_TOKEN", variable)

    assert key(AppBuilder(given)) == found


@pytest.mark.parametrize("nothing", [None, "", "  ", "Bearer", "Bearer  "])
def test_no_key_is_a_config_error_when_the_client_is_built(
    monkeypatch: pytest.MonkeyPatch, nothing: str | None
) -> None:
    """It says what to set; the word alone is no key."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "that of another service")
    with pytest.raises(ConfigError, match="APPBUILDER_TOKEN"):
        AppBuilder(nothing)
    monkeypatch.setenv("APPBUILDER_TOKEN", nothing or "")
    with pytest.raises(ConfigError, match="APPBUILDER_TOKEN"):
        AppBuilder()


@pytest.mark.parametrize("bad", ["sk\nX-Evil: 1", "s k", "密钥", "sk\x00", "Basic abc", b"sk", 5])
def test_what_cannot_be_a_key_is_refused(bad: Any) -> None:
    """It would not go through a header; it is not shown."""
    with pytest.raises(ConfigError) as caught:
        AppBuilder(bad)

    assert str(bad) not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "variable", "found"),
    [
        (None, None, HOST),
        (None, "", HOST),
        ("", None, HOST),
        ("https://a.example", None, "https://a.example"),
        ("https://a.example", "https://b.example", "https://a.example"),
        (None, "https://b.example", "https://b.example"),
        (None, "b.example", "https://b.example"),
        (None, "b.example:8443/path/", "https://b.example:8443/path/"),
        (None, "http://127.0.0.1:5/", "http://127.0.0.1:5/"),
    ],
)
def test_the_base_url_is_given_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str | None, found: str
) -> None:
    """Argument, then `GATEWAY_URL`, which may have no scheme, then the public host (§1.1)."""
    if variable is not None:
        monkeypatch.setenv("GATEWAY_URL", variable)

    assert base_url(AppBuilder("k", given)) == found


@pytest.mark.parametrize(
    "url", ["http://example.org", "example.org", "ftp://example.org", "https://u:p@example.org"]
)
def test_a_base_url_that_cannot_be_used_is_refused(url: str) -> None:
    """No URL, a password in it, or one over which the key would travel in the clear."""
    with pytest.raises(ConfigError):
        AppBuilder("k", url)


def test_plain_http_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For another machine it has to be said, also where the environment names it."""
    monkeypatch.setenv("GATEWAY_URL", "http://example.org")
    with pytest.raises(ConfigError, match="allow_http"):
        AppBuilder("k")

    assert base_url(AppBuilder("k", allow_http=True)) == "http://example.org"


@pytest.mark.parametrize("ending", ["", "/", "/gateway", "/gateway/"])
async def test_paths_are_below_the_base_url(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Whether it ends with a slash or not, there is one between (§1.1)."""
    async with RawServer(answering(THREAD)) as server:
        monkeypatch.setenv("GATEWAY_URL", server.url + ending)
        async with AppBuilder("k") as client:
            await client.threads.create()
    (request,) = server.requests

    assert request.line == f"POST {ending.rstrip('/')}/v2/threads HTTP/1.1"


async def test_the_headers_are_those_of_the_documents() -> None:
    """The key once, as the documents say (§1.2); JSON; no word of event streams (§1.3)."""
    async with (
        RawServer(answering(THREAD)) as server,
        AppBuilder("Bearer my-key", server.url) as client,
    ):
        await client.threads.create()
    sent = server.requests[0].headers

    assert sent["authorization"] == "bearer my-key"
    assert (sent["accept"], sent["content-type"]) == ("*/*", "application/json")
    assert "x-dashscope-workspace" not in sent
    assert [name for name, value in sent.items() if "my-key" in value] == ["authorization"]


@pytest.mark.parametrize("mode", ["auto", "delta", "cumulative"])
def test_message_chunks_are_one_of_three(mode: Any) -> None:
    """These can be said."""
    assert repr(AppBuilder("k", message_chunks=mode)) == f"AppBuilder(base_url='{HOST}')"


@pytest.mark.parametrize("mode", ["whole", "", None, 5, [], "AUTO"])
def test_other_message_chunks_are_refused(mode: Any) -> None:
    """A ConfigError that names the three."""
    with pytest.raises(ConfigError, match=r"auto.*delta.*cumulative"):
        AppBuilder("k", message_chunks=mode)


@pytest.mark.parametrize("name", ["workspace", "region", "retries", "apikey"])
def test_an_option_that_there_is_not_is_refused(name: str) -> None:
    """DashScope's too."""
    options: dict[str, Any] = {name: "x"}
    with pytest.raises((ConfigError, TypeError), match=name):
        AppBuilder("k", **options)


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
def test_no_key_is_shown(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by the client, nor by its settings, nor by a copy."""
    client = kind(KEY)
    shown = f"{client!r} {client} {client._session.config!r} {client.with_options()!r}"
    assert KEY not in shown
    assert "secret" not in shown
    assert KEY not in caplog.text


QUOTING: dict[str, tuple[Any, Callable[[str], bytes], int]] = {
    "DashScope": (DashScope, lambda key: b'{"code":"X","message":"bad %b"}' % key.encode(), 401),
    "AppBuilder": (
        AppBuilder, lambda key: b'{"error":{"code":"x","message":"bad %b"}}' % key.encode(), 200,
    ),
    "AppBuilder's gateway": (
        AppBuilder, lambda key: b'{"code":"X","message":"bad %b"}' % key.encode(), 403,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTING)
async def test_a_key_that_the_service_quotes_is_not_told(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By no error, its pickle or the log; for calls and streams."""
    kind, body, status = QUOTING[name]
    answer = answering(whole(body(KEY), f"{status} X"))
    caplog.set_level(logging.DEBUG)
    async with RawServer(answer) as server, kind(KEY, base_url=server.url) as client:
        with pytest.raises(APIError, match="bad") as of_call:
            await client.threads.retrieve("t")
        with pytest.raises(APIError, match="bad") as of_stream:
            async with client.threads.runs.stream("t", assistant_id="a") as stream:
                await stream.result()

    for caught in (of_call, of_stream):
        assert KEY not in repr(caught.value) + str(caught.value)
        assert KEY.encode() not in pickle.dumps(caught.value)
    assert KEY not in caplog.text


async def test_a_light_copy_has_its_own_key_headers_and_patience() -> None:
    """What is given is the copy's; the rest, and the original, stay as they were."""
    async with (
        RawServer(answering(THREAD)) as server,
        AppBuilder("one", server.url, headers={"X-A": "1", "X-B": "1"}) as client,
    ):
        copied = client.with_options(
            api_key="two", headers={"X-B": "2"}, timeouts=Timeouts(read=5), tools=Toolset()
        )
        for each in (client, copied, client):
            await each.threads.create()
        assert type(copied) is AppBuilder
        assert copied._session.config.timeouts.read == 5
        assert client._session.config.timeouts == Timeouts()

    names = ("authorization", "x-a", "x-b")
    sent = [tuple(request.headers[name] for name in names) for request in server.requests]
    assert sent == [("bearer one", "1", "1"), ("bearer two", "1", "2"), ("bearer one", "1", "1")]


async def test_a_light_copys_key_is_the_one_that_counts() -> None:
    """A wrong one is refused, for the copy alone."""
    async with LocalServer(api_key="right") as server, server.client(AppBuilder) as client:
        with pytest.raises(AuthenticationError):
            await client.with_options(api_key="wrong").threads.create()
        await client.threads.create()


async def test_appbuilder_has_no_workspaces() -> None:
    """To a copy none can be given; saying that there is none is no error."""
    async with AppBuilder("k") as client:
        with pytest.raises(ConfigError, match="workspace"):
            client.with_options(workspace="ws")
        assert key(client.with_options(workspace=None, api_key="other")) == "other"


async def test_a_light_copy_reads_messages_in_the_same_way() -> None:
    """`message_chunks` is the client's and its copies'."""
    content = b'[{"type":"text","text":{"value":"12345678"}}]'  # three times, or once
    message = b'event: message\ndata: {"message_id":"m","content":%b}\n\n' % content
    body = _status(b"run_begin", b"queued") + message * 3 + _status(b"run_end", b"completed")
    texts = {}
    for mode in ("delta", "cumulative"):
        made: Any = {"message_chunks": mode}
        async with (
            RawServer(answering(whole(body, kind="text/event-stream"))) as server,
            AppBuilder("k", server.url, **made) as client,
        ):
            copied = client.with_options(headers={"X-A": "1"})
            async with copied.threads.runs.stream("t", assistant_id="a") as stream:
                texts[mode] = (await stream.result()).text

    assert texts == {"delta": "12345678" * 3, "cumulative": "12345678"}


def _status(kind: bytes, status: bytes) -> bytes:
    run = b'{"id":"r","thread_id":"t","status":"%b"}' % status
    details = b'{"type":"run_object","run_object":%b}' % run
    return b'event: status\ndata: {"status":"%b","event_type":"%b","details":%b}\n\n' % (
        status, kind, details,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
async def test_a_redirect_takes_no_key_elsewhere(kind: Any) -> None:
    """It is not followed."""

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(head("302 Found", length=0).replace(b"\r\n\r\n", b"\r\nLocation: /x\r\n\r\n"))

    async with RawServer(answer) as server, kind(KEY, base_url=server.url) as client:
        with pytest.raises(Exception, match="redirect") as caught:
            await client.threads.create()

    assert type(caught.value).__name__ == "UnexpectedRedirect"
    assert len(server.requests) == 1
