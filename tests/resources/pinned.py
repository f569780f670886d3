"""Pins what a resource sends: one request, exactly, and what it makes of the answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, overload

import aiohttp
from aioresponses import CallbackResult, aioresponses

from aiodashassist import AppBuilder, Client, DashScope
from aiodashassist.core.decoding import MARK

BASE = "https://dashscope.aliyuncs.com/api/v1"
BASES: dict[type[Client], str] = {DashScope: BASE, AppBuilder: "https://appbuilder.baidu.com"}
T = TypeVar("T")
C = TypeVar("C", bound=Client)


class _Writer:
    """aiohttp's responses count what was written of the request; a mocked one wrote nothing."""

    output_size = 0


class PinnedResponse(aiohttp.ClientResponse):
    """A mocked answer that has the writer which newer versions of aiohttp ask for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _Writer())
        super().__init__(*args, **kwargs)


@overload
async def pinned(
    call: Callable[[DashScope], Awaitable[T]],
    method: str,
    path: str,
    *,
    body: Any = None,
    answer: Any,
    headers: Mapping[str, str] | None = None,
) -> T: ...


@overload
async def pinned(
    call: Callable[[C], Awaitable[T]],
    method: str,
    path: str,
    *,
    client: type[C],
    body: Any = None,
    answer: Any,
    headers: Mapping[str, str] | None = None,
) -> T: ...


async def pinned(
    call: Callable[[Any], Awaitable[T]],
    method: str,
    path: str,
    *,
    client: Any = DashScope,
    body: Any = None,
    answer: Any,
    headers: Mapping[str, str] | None = None,
) -> T:
    """Make the call; it must send exactly this, once. Gives the call's result.

    `path` is below the base URL of the client, with its query; `headers` are the answer's. The
    body is without the id that it would be found by, were its answer lost.
    """
    sent: list[Any] = []

    def note(_url: Any, **options: Any) -> CallbackResult:
        sent.append(options["data"])
        return CallbackResult(
            body=json.dumps(answer), headers=dict(headers or {}), response_class=PinnedResponse
        )

    with aioresponses() as mocked:
        mocked.add(BASES[client] + path, method, callback=note, response_class=PinnedResponse)
        async with client("sk-x") as made:
            result = await call(made)
    assert [unmarked(data, body) if data is not None else None for data in sent] == [body]
    return result


def unmarked(data: bytes, given: Any) -> Any:
    """A body without the id; metadata that have nothing else are gone unless they were given."""
    body = json.loads(data)
    metadata = body.get("metadata")
    marked = isinstance(metadata, dict) and metadata.pop(MARK, None) is not None
    if marked and not metadata and "metadata" not in given:
        del body["metadata"]
    return body
