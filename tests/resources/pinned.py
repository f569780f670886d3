"""Pins what a resource sends: one request, exactly, and what it makes of the answer."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from aioresponses import CallbackResult, aioresponses

from aiodashassist import DashScope

BASE = "https://dashscope.aliyuncs.com/api/v1"
T = TypeVar("T")


class _Writer:
    """aiohttp's responses count what was written of the request; a mocked one wrote nothing."""

    output_size = 0


class PinnedResponse(aiohttp.ClientResponse):
    """A mocked answer that has the writer which newer versions of aiohttp ask for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _Writer())
        super().__init__(*args, **kwargs)


async def pinned(
    call: Callable[[DashScope], Awaitable[T]],
    method: str,
    path: str,
    *,
    body: Any = None,
    answer: Any,
) -> T:
    """Make the call; it must send exactly this, once. Gives the call's result.

    `path` is below the base URL, with its query.
    """
    sent: list[Any] = []

    def note(_url: Any, **options: Any) -> CallbackResult:
        sent.append(options["data"])
        return CallbackResult(payload=answer, response_class=PinnedResponse)

    with aioresponses() as mocked:
        mocked.add(BASE + path, method, callback=note, response_class=PinnedResponse)
        async with DashScope("sk-x") as client:
            result = await call(client)
    assert [json.loads(data) if data is not None else None for data in sent] == [body]
    return result
