"""`extra_body`, `extra_headers`, `extra_query`: on the methods of every resource, by walking them.

`runs.attach`, `runs.wait` and `threads.session` have none. Where a call sends several
requests (`ask`, `stream`) they are of the one that creates the run, and so they are of a stream on
a thread of its own (`create_and_stream`); only `assistants.ensure` has them on all of its requests.
The exact requests are seen by a raw server.
"""

import contextlib
import inspect
import json
from collections.abc import Callable
from typing import Any, get_args, get_type_hints
from urllib.parse import parse_qs

import pytest

from aiodashassist import (
    AssistError,
    CallInfo,
    DashScope,
    InvalidArgument,
    Paginator,
    RunStream,
    ToolOutput,
    UnsupportedOperation,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.params import Extras
from tests.raw_server import RawServer, Received, Writer, whole
from tests.retrying import ONCE

RESOURCES = (
    "assistants", "assistants.files", "threads", "threads.messages", "threads.messages.files",
    "threads.runs", "threads.runs.steps", "files",
)  # fmt: skip
# What is given where a method wants it; ids are made from their names.
ARGUMENTS: dict[str, Any] = {
    "content": "hi",
    "name": "helper",
    "source": b"bytes",
    "to": "nowhere",
    "tool_outputs": [ToolOutput(output="1")],
}
# These make no request of their own, or many: they have no extras.
WITHOUT = {"threads.runs.attach", "threads.runs.wait", "threads.session"}
UNSUPPORTED = {"files.content", "files.download"}
SEVERAL = {"ask", "stream"}  # the thread's and the message's requests come first


def named(client: DashScope, name: str) -> Callable[..., Any]:
    """A method by its path from the client."""
    found: Any = client
    for part in name.split("."):
        found = getattr(found, part)
    method: Callable[..., Any] = found
    return method


def methods() -> list[str]:
    """Every public method of every resource, and the two of the client that run."""
    client = DashScope("sk-x")
    found = list(SEVERAL)
    for resource in RESOURCES:
        holder: Any = named(client, resource)
        public = [name for name in dir(type(holder)) if not name.startswith("_")]
        found += [f"{resource}.{name}" for name in public if callable(getattr(holder, name))]
    return sorted(found)


def keywords(method: Callable[..., Any]) -> Any:
    """The TypedDict of a method's keywords; None where it takes none."""
    kinds = inspect.signature(method).parameters.values()
    rest = [given.name for given in kinds if given.kind is inspect.Parameter.VAR_KEYWORD]
    return get_args(get_type_hints(method, include_extras=True)[rest[0]])[0] if rest else None


async def called(client: DashScope, name: str, **extras: Any) -> None:
    """Call a method with as little as it needs; errors of the answer are not looked at."""
    method = named(client, name)
    positional, given = [], dict(extras)
    for parameter in inspect.signature(method).parameters.values():
        value = ARGUMENTS.get(parameter.name, f"{parameter.name}-1")
        if (
            parameter.kind is inspect.Parameter.VAR_KEYWORD
            or parameter.default is not inspect._empty
        ):
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            given[parameter.name] = value
        else:
            positional.append(value)
    typed = keywords(method)
    for key in typed.__required_keys__ if typed else ():
        given[key] = f"{key}-1"
    if name in ("assistants.create", "assistants.ensure"):
        given["model"] = "model-1"  # which an update can do without
    result = method(*positional, **given)
    if isinstance(result, RunStream):
        async with result:
            return
    if isinstance(result, Paginator):
        assert [item async for item in result] == []
        return
    await result


async def answer(request: Received, writer: Writer) -> None:
    """Whatever was asked: an empty list, or an object."""
    verb, target, _ = request.line.split(" ")
    path = target.partition("?")[0].split("/")
    body: Any = {"id": "thread_1", "data": {"uploaded_files": [{"file_id": "f", "name": "n"}]}}
    if verb == "GET" and path[-1] in LISTS:
        body = {"data": {"files": []} if path == ["", "files"] else []}
    writer.write(whole(json.dumps(body).encode()))


LISTS = {"assistants", "messages", "runs", "steps", "files"}
EXTRAS = {
    "extra_headers": {"X-Own": "h"},
    "extra_query": {"own": "q&=?", "none": None, "two": 2},
}


def query_of(request: Received) -> dict[str, list[str]]:
    """The query of a request, read."""
    return parse_qs(request.line.split(" ")[1].partition("?")[2], strict_parsing=False)


async def requests(name: str, **extras: Any) -> list[Received]:
    """What a method sends."""
    async with (
        RawServer(answer) as server,
        DashScope("sk-x", base_url=server.url, retry=ONCE) as client,
    ):
        with contextlib.suppress(AssistError):  # an answer for all does not suit all
            await called(client, name, **extras)
        return server.requests


WITH = [name for name in methods() if name not in WITHOUT | UNSUPPORTED]


def test_every_method_that_asks_has_them() -> None:
    """All but those that make no single request; they are in the signature, for type checkers."""
    client = DashScope("sk-x")
    lacking = set()
    for name in methods():
        typed = keywords(named(client, name))
        if typed is None or not Extras.__annotations__.keys() <= typed.__annotations__.keys():
            lacking.add(name)

    assert lacking == WITHOUT
    assert len(WITH) > 35


@pytest.mark.parametrize("name", WITH)
async def test_headers_and_query_reach_the_request(name: str) -> None:
    """Quoted as a query must be; None is not sent. Of several requests it is the run's."""
    sent = await requests(name, **EXTRAS)

    beside = sent if name == "assistants.ensure" else sent[-1:]
    assert sent
    for request in beside:
        assert request.headers["x-own"] == "h"
        assert query_of(request).items() >= {"own": ["q&=?"], "two": ["2"]}.items()
        assert "none" not in query_of(request)
    for request in sent[: len(sent) - len(beside)]:
        assert "x-own" not in request.headers
        assert query_of(request) == {}
    if name in SEVERAL:
        assert sent[-1].line.startswith("POST /threads/thread_1/runs?")


@pytest.mark.parametrize("name", WITH)
async def test_bodies_take_more_and_what_has_none_says_so(name: str) -> None:
    """A POST has it in its body; a GET or DELETE refuses it before anything is sent."""
    verb = (await requests(name))[-1].line.split(" ")[0]
    if verb != "POST" and name != "assistants.ensure":
        async with DashScope("sk-x") as client:
            with pytest.raises(InvalidArgument, match="extra_body"):
                await called(client, name, extra_body={"own": 1})
        for nothing in (None, dict[str, Any]()):
            assert (await requests(name, extra_body=nothing))[-1].body == b""
        return
    sent = [one for one in await requests(name, extra_body={"own": "二"}) if one.body]
    body = sent[-1].body
    if name == "files.create":
        assert 'name="own"\r\n\r\n二\r\n' in body.decode()
    else:
        assert json.loads(body)["own"] == "二"
    assert all(b"own" not in request.body for request in sent[:-1])


@pytest.mark.parametrize("name", WITH)
@pytest.mark.parametrize(
    "extras",
    [
        {"extra_body": "x"}, {"extra_body": [1]}, {"extra_query": "a=b"}, {"extra_query": 5},
        {"extra_headers": [("X", "y")]}, {"extra_headers": {"X": "a\r\nEvil: b"}},
        {"extra_headers": {"X\n": "a"}}, {"extra_headers": {"X": 1}}, {"extra_headers": {1: "x"}},
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_refused_before_anything_is(
    name: str, extras: dict[str, Any]
) -> None:
    """What is no mapping, no text, or has a line break in it is InvalidArgument."""
    told: list[CallInfo] = []
    async with DashScope("sk-x", on_request=told.append) as client:
        with pytest.raises(InvalidArgument):
            await called(client, name, **extras)

    assert told == []


async def test_a_call_that_the_service_lacks_stays_unsupported() -> None:
    """Extras make nothing out of it."""
    async with DashScope("sk-x") as client:
        for name in UNSUPPORTED:
            with pytest.raises(UnsupportedOperation):
                await called(client, name, **EXTRAS)


Call = Callable[[DashScope], Any]
DEEP: Any = {
    "messages": [{"role": "user", "content": "x", "extra_body": {"deep": 1}}],
    "extra_body": {"deep": 2},
    "extra_headers": {"X-Deep": "3"},
}
CONTESTED: list[tuple[Call, dict[str, Any]]] = [
    (
        lambda c: c.assistants.create(
            model="m", tools=[], extra_body={"model": "x", "tools": [1], "name": "kept"}
        ),
        {"model": "m", "tools": [], "name": "kept"},
    ),
    (
        lambda c: c.threads.update("t", metadata={"k": "v"}, extra_body={"metadata": {"x": 1}}),
        {"metadata": {"k": "v"}},
    ),
    (
        lambda c: c.threads.messages.create(
            "t", "hi", extra_body={"content": "x", "role": "system"}
        ),
        {"content": "hi", "role": "user"},
    ),
    (
        lambda c: c.threads.runs.create(
            "t", assistant_id="a", top_p=None, extra_body={"stream": True, "top_p": 0.5, "seed": 1}
        ),
        {"assistant_id": "a", "stream": False, "top_p": 0.5, "seed": 1},
    ),
    (
        lambda c: c.threads.runs.submit_tool_outputs(
            "t", "r", tool_outputs=[ToolOutput(output="1")], extra_body={"tool_outputs": []}
        ),
        {"tool_outputs": [{"output": "1", "tool_call_id": ""}], "stream": False},
    ),
    (
        lambda c: c.assistants.files.create("a", "file-1", extra_body={"file_id": "x", "own": 1}),
        {"file_id": "file-1", "own": 1},
    ),
    (
        lambda c: c.threads.create_and_run(
            assistant_id="a",
            thread=DEEP,
            extra_body={"own": 1, "thread": None},
        ),
        {
            "assistant_id": "a", "stream": False, "own": 1,
            "thread": DEEP,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "body"), CONTESTED)
async def test_what_is_named_wins_and_only_the_outside_is_searched(
    call: Call, body: dict[str, Any]
) -> None:
    """A name that is given beats the same one in `extra_body`; inside of values nothing is read."""
    async with (
        RawServer(answer) as server,
        DashScope("sk-x", base_url=server.url, retry=ONCE) as client,
    ):
        with contextlib.suppress(AssistError):
            await call(client)
        assert [json.loads(one.body) for one in server.requests] == [body]
        assert "x-deep" not in server.requests[0].headers


async def test_what_is_named_wins_in_a_query_too() -> None:
    """And the query goes with every page."""
    pages = iter([b'{"data":[{"id":"a1"}],"has_more":true}', b'{"data":[],"has_more":false}'])

    async def page(_request: Received, writer: Writer) -> None:
        writer.write(whole(next(pages)))

    async with RawServer(page) as server, DashScope("sk-x", base_url=server.url) as client:
        listed = client.assistants.list(
            page_size=7, extra_query={"limit": 9, "own": "1"}, extra_headers={"X-Own": "2"}
        )
        assert [one.id async for one in listed] == ["a1"]
        asked = [query_of(one) for one in server.requests]
        once = {"limit": ["7"], "own": ["1"]}
        assert asked == [once, {**once, "after": ["a1"]}]
        assert [one.headers["x-own"] for one in server.requests] == ["2", "2"]


OWN_HEADERS = {
    "AUTHORIZATION": "own-auth",
    "x-dashscope-workspace": "own-ws",
    "x-client": "own-client",
    "USER-AGENT": "own-agent",
    "content-type": "application/own",
}


async def test_headers_win_over_all_others_whatever_their_case() -> None:
    """Over the key's, the workspace's, the client's and the usual ones; none is sent twice."""
    options: Any = {"headers": {"X-Client": "of-client"}}
    async with (
        RawServer(answer) as server,
        DashScope("sk-x", "ws", base_url=server.url, **options) as client,
    ):
        await client.threads.update("t", metadata={}, extra_headers=OWN_HEADERS)
        await client.threads.retrieve("t")
        own, usual = (request.headers for request in server.requests)
        asked = ops.UpdateThread(thread_id="t", params={"extra_headers": OWN_HEADERS})
        put_together = client._session._wire._headers(client._session.provider.encode(asked))

    for name, value in OWN_HEADERS.items():
        assert own[name.lower()] == value
        assert put_together.getall(name) == [value]
    assert (usual["authorization"], usual["x-client"]) == ("bearer sk-x", "of-client")
