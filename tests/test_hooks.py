"""`on_request` and `on_response`: what a client tells of its requests."""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest

from aiodashassist import (
    AssistError,
    AuthenticationError,
    BadRequest,
    CallInfo,
    ConfigError,
    DashScope,
    DecodeError,
    FirstEventTimeout,
    LocalProtocolError,
    NotFound,
    OutcomeUnknown,
    RemoteProtocolError,
    ServerError,
    Timeouts,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
    tool,
)
from aiodashassist.hooks import check_hook
from aiodashassist.server import LocalServer
from tests.raw_server import END, STREAM, RawServer, Received, Writer, answering, chunk, whole
from tests.retrying import ONCE

KEY = "sk-very-secret-0123456789"


class Told:
    """What both hooks were told, in order: requests without a status, answers with seconds."""

    def __init__(self) -> None:
        self.requests: list[CallInfo] = []
        self.responses: list[CallInfo] = []
        self.order: list[str] = []

    def before(self, info: CallInfo) -> None:
        """A request is to be sent."""
        self.requests.append(info)
        self.order.append("request")

    def after(self, info: CallInfo) -> None:
        """It is over."""
        self.responses.append(info)
        self.order.append("response")

    @property
    def hooks(self) -> dict[str, Any]:
        """Both, as options of a client."""
        return {"on_request": self.before, "on_response": self.after}


async def test_each_request_is_told_before_and_after_it(server: LocalServer) -> None:
    """Method, path, operation, attempt; then also status, request id and seconds."""
    told = Told()
    async with server.client(DashScope, **told.hooks) as client:
        thread = await client.threads.create()
        await client.threads.messages.create(thread.id, "hi")

    assert told.order == ["request", "response"] * 2
    first, second = told.requests
    assert first == CallInfo(operation="CreateThread", method="POST", path="/threads", attempt=1)
    assert (second.operation, second.path) == ("CreateMessage", f"/threads/{thread.id}/messages")
    for asked, answered in zip(told.requests, told.responses, strict=True):
        assert (asked.status, asked.request_id, asked.seconds) == (None, None, None)
        assert answered.status == 200
        assert answered.seconds is not None
        assert answered.seconds >= 0
        names = (answered.operation, answered.method, answered.path, answered.attempt)
        assert names == (asked.operation, asked.method, asked.path, asked.attempt)
    assert told.responses[0].request_id == thread.request_id is not None


@tool
async def look() -> str:
    """Look."""
    return "seen"


async def test_the_requests_of_a_stream_are_told(server: LocalServer) -> None:
    """Each answer that streams is over, for the hooks, when it has begun."""
    told = Told()
    async with server.client(DashScope, **told.hooks) as client:
        made = await client.assistants.create(model="m")
        async with client.stream("/call look", assistant_id=made.id, tools=[look]) as stream:
            begun = [info.operation for info in told.responses]
            assert (await stream.result()).text == "look -> seen"

    assert begun == ["CreateAssistant", "CreateThread", "CreateMessage", "CreateRun"]
    assert [info.operation for info in told.responses] == [*begun, "SubmitOutputs"]
    assert [info.status for info in told.responses] == [200] * 5


async def silent(_request: Received, _writer: Writer) -> None:
    """Answers nothing, for ever."""
    await asyncio.Event().wait()


async def begin(client: DashScope, *, streams: bool) -> None:
    """Ask for a run, in either way."""
    if streams:
        async with client.threads.runs.stream("t", assistant_id="a"):
            pass
    else:
        await client.threads.runs.create("t", assistant_id="a")


def refusing(status: str, code: str) -> Any:
    """An answer that is an error."""
    body = b'{"code":"%b","message":"no","request_id":"req-1"}' % code.encode()
    return answering(whole(body, status))


FAILURES: list[tuple[Any, type[AssistError], int | None, str | None]] = [
    (refusing("400 Bad Request", "InvalidParameter"), BadRequest, 400, "req-1"),
    (refusing("401 Unauthorized", "InvalidApiKey"), AuthenticationError, 401, "req-1"),
    (refusing("500 Oh", "InternalError"), ServerError, 500, "req-1"),
    (answering(whole(b"[]")), AssistError, 200, None),
    (answering(whole(b"", "302 Found")), UnexpectedRedirect, 302, None),
    (answering(b"", close=True), OutcomeUnknown, None, None),
]


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(("answer", "error", "status", "request_id"), FAILURES)
async def test_every_failure_has_its_one_answer(
    answer: Any, error: type[AssistError], status: int | None, request_id: str | None, streams: bool
) -> None:
    """With the status where one came, and the request id where it was told."""
    told = Told()
    async with (
        RawServer(answer) as server,
        DashScope(KEY, base_url=server.url, retry=ONCE, **told.hooks) as client,
    ):
        with pytest.raises(error):
            await begin(client, streams=streams)

    assert told.order == ["request", "response"]
    info = told.responses[0]
    assert (info.operation, info.status, info.request_id) == ("CreateRun", status, request_id)
    assert info.seconds is not None


@pytest.mark.parametrize("streams", [True, False])
async def test_a_timeout_is_an_answer_that_never_came(streams: bool) -> None:
    """No status and no id, but the seconds that were waited."""
    told = Told()
    timeouts = Timeouts(read=0.05, first_event=0.05)
    async with (
        RawServer(silent) as server,
        DashScope(KEY, base_url=server.url, timeouts=timeouts, retry=ONCE, **told.hooks) as client,
    ):
        with pytest.raises(FirstEventTimeout if streams else OutcomeUnknown) as caught:
            await begin(client, streams=streams)
        assert isinstance(caught.value if streams else caught.value.__cause__, TimeoutError)

    assert told.order == ["request", "response"]
    info = told.responses[0]
    assert (info.status, info.request_id) == (None, None)
    assert info.seconds is not None
    assert info.seconds > 0


async def test_a_cancelled_request_has_its_answer_too() -> None:
    """Whoever counts what is under way comes out even."""
    told = Told()
    asked = asyncio.Event()

    async def hold(_request: Received, _writer: Writer) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with (
        RawServer(hold) as server,
        DashScope(KEY, base_url=server.url, **told.hooks) as client,
    ):
        task = asyncio.create_task(client.threads.create())
        await asyncio.wait_for(asked.wait(), 5)
        assert told.order == ["request"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert told.order == ["request", "response"]
    assert told.responses[0].status is None


async def test_a_stream_that_breaks_later_is_no_second_answer() -> None:
    """What comes after a stream's beginning is told by the stream."""
    told = Told()
    async with (
        RawServer(answering(STREAM, chunk(b"event:done\ndata:[DONE]\n\n"), END)) as server,
        DashScope(KEY, base_url=server.url, retry=ONCE, **told.hooks) as client,
    ):
        with pytest.raises(TransportError):
            async with client.threads.runs.stream("t", assistant_id="a") as stream:
                await stream.result()

    assert told.order == ["request", "response"]
    assert told.responses[0].status == 200


async def test_what_is_not_sent_is_not_told() -> None:
    """A call that is refused here, or known not to be there, is no request."""
    told = Told()
    async with (
        LocalServer(can_cancel=False) as server,
        server.client(DashScope, **told.hooks) as client,
    ):
        for _ in range(2):
            with pytest.raises(UnsupportedOperation):
                await client.threads.runs.cancel("t", "r")
        assert [info.operation for info in told.responses] == ["CancelRun"]
        with pytest.raises(AssistError):
            await client.threads.retrieve("")
        assert len(told.requests) == 1


async def test_nothing_secret_is_told() -> None:
    """Neither key nor header, body or query is in what a hook gets, in whatever form."""
    told = Told()
    async with (
        RawServer(refusing("400 Bad Request", "InvalidParameter")) as server,
        DashScope(KEY, base_url=server.url, headers={"X-Own": "hush-1"}, **told.hooks) as client,
    ):
        with pytest.raises(BadRequest):
            await client.threads.update(
                "t", metadata={"k": "hush-2"}, extra_query={"q": "hush-3"},
                extra_headers={"X-More": "hush-4"}, extra_body={"b": "hush-5"},
            )  # fmt: skip
        with pytest.raises(BadRequest):
            await client.threads.messages.list("t", after="hush-6")

    told_of = repr(told.requests) + repr(told.responses)
    assert "UpdateThread" in told_of
    assert KEY not in told_of
    assert "hush" not in told_of


@pytest.mark.parametrize("error", [ValueError("no"), LookupError(), AssertionError()])
async def test_a_hook_that_raises_harms_nothing(
    server: LocalServer, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with the operation, and the call goes on; also where the call itself fails."""

    def fail(_info: CallInfo) -> None:
        raise error

    async with server.client(DashScope, on_request=fail, on_response=fail) as client:
        made = await client.assistants.create(model="m")
        assert (await client.ask("hi", assistant_id=made.id)).text == "hi"
        with pytest.raises(NotFound):
            await client.threads.retrieve("nobody")

    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2 * 5
    assert {record.name for record in logged} == {"aiodashassist.hooks"}
    assert "CreateAssistant" in logged[0].getMessage()
    assert all(record.exc_info and record.exc_info[1] is error for record in logged)


async def later(_info: CallInfo) -> None:
    """A hook that nobody would wait for."""


class Later:
    """An object that is an async function."""

    async def __call__(self, _info: CallInfo) -> None:
        """Nobody would wait for it."""

    async def method(self, _info: CallInfo) -> None:
        """Nobody would wait for it."""


@pytest.mark.parametrize(
    "hook",
    [later, Later(), Later().method, functools.partial(later), functools.partial(Later().method),
     "no function", 5],
)  # fmt: skip
@pytest.mark.parametrize("name", ["on_request", "on_response"])
def test_an_async_hook_is_refused_when_the_client_is_built(name: str, hook: Any) -> None:
    """Nobody would wait for its result; what cannot be called is told in the same words."""
    options: dict[str, Any] = {name: hook}
    with pytest.raises(ConfigError) as caught:
        DashScope("sk-x", **options)
    assert str(caught.value) == f"{name} must be a plain function (not an async one)"


class Counter:
    """A plain object that can be called."""

    def __call__(self, _info: CallInfo) -> str:
        """What it returns is ignored."""
        return "ignored"


@pytest.mark.parametrize("hook", [None, print, Counter(), [].append, functools.partial(print, "x")])
def test_plain_functions_of_any_kind_are_hooks(hook: Callable[[CallInfo], object] | None) -> None:
    """Functions, methods, objects that can be called, and none at all."""
    assert check_hook("on_request", hook) is hook


async def test_a_hook_of_the_client_serves_its_copies(server: LocalServer) -> None:
    """A light copy tells the same hooks."""
    told = Told()
    async with server.client(DashScope, **told.hooks) as client:
        await client.with_options(workspace="ws").threads.create()

    assert told.order == ["request", "response"]


async def test_a_closed_client_has_an_answer_for_each_request_it_told(server: LocalServer) -> None:
    """Where nothing could be sent any more, both hooks or neither are told."""
    told = Told()
    client = server.client(DashScope, **told.hooks)
    await client.close()
    with pytest.raises(LocalProtocolError):
        await client.threads.create()

    assert told.order in ([], ["request", "response"])


@pytest.mark.parametrize(
    ("body", "error"), [(b"{", DecodeError), (b'{"id": 5}', DecodeError), (b"", DecodeError)]
)
async def test_an_answer_that_cannot_be_read_has_its_status(
    body: bytes, error: type[AssistError]
) -> None:
    """The status came; what was in the answer is another matter."""
    told = Told()
    async with (
        RawServer(answering(whole(body))) as server,
        DashScope(KEY, base_url=server.url, retry=ONCE, **told.hooks) as client,
    ):
        with pytest.raises(error):
            await client.threads.create()

    assert [info.status for info in told.responses] == [200]


async def test_a_stream_that_is_none_is_told_with_its_status() -> None:
    """JSON where events were asked for is a refused stream."""
    told = Told()
    async with (
        RawServer(answering(whole(b'{"id":"run_1"}'))) as server,
        DashScope(KEY, base_url=server.url, retry=ONCE, **told.hooks) as client,
    ):
        with pytest.raises(RemoteProtocolError):
            await begin(client, streams=True)

    assert [(info.operation, info.status) for info in told.responses] == [("CreateRun", 200)]
