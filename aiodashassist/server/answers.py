"""Answers on their way out: good ones, refusals, files, and what stands in for them."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple, TypeAlias

import anyio
from aiohttp import web

from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal, Service
from aiodashassist.server.files import Kept
from aiodashassist.server.mishaps import Html, Refuse

__all__ = ("Answer", "Pieces", "deliver", "instead", "pieces_of", "refused")

logger = logging.getLogger(__name__)

Pieces: TypeAlias = AsyncGenerator[bytes, None]
"""The body of an answer."""

PIECE = 256 * 1024  # bytes read at a time
TROUBLES: Mapping[int, Refusal] = {
    408: Refusal("timeout"),
    429: Refusal("throttled"),
    503: Refusal("unavailable"),
}
"""Status -> what is wrong; any other is a fault of the server."""
PAGE = """\
<html>
<head><title>Bad Gateway</title></head>
<body><center><h1>Bad Gateway</h1></center><hr><center>gateway</center></body>
</html>
"""


class Answer(NamedTuple):
    """What is sent; `pieces` is None where the body is in the response."""

    response: web.StreamResponse
    pieces: Pieces | None = None


async def deliver(request: web.Request, answer: Answer, request_id: str) -> web.StreamResponse:
    """Send it, as far as somebody reads it."""
    response, pieces = answer
    if pieces is None:
        return response  # which aiohttp sends
    async with aclosing(pieces):
        try:
            await response.prepare(request)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            logger.debug("the client of request %s left", request_id)
    return response


def refused(
    service: Service, refusal: Refusal, request_id: str, operation: Operation[Any] | None = None
) -> web.Response:
    """A refusal, in the words of its wire."""
    status, body = service.refuse(refusal, request_id, operation)
    headers = service.headers(None, request_id)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def instead(
    service: Service, fault: Refuse | Html, operation: Operation[Any], request_id: str
) -> web.Response:
    """What a fault answers instead of the work."""
    if isinstance(fault, Html):
        return web.Response(status=fault.status, text=PAGE, content_type="text/html")
    refusal = TROUBLES.get(fault.status, Refusal("internal"))
    response = refused(service, refusal, request_id, operation)
    response.set_status(fault.status)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = fault.retry_after
    return response


async def pieces_of(kept: Kept) -> Pieces:
    """The bytes of a file, after an empty piece that says it is open.

    Raises:
        OSError: it is gone, as whatever cleans up temporary folders may have it.
    """
    async with await anyio.open_file(kept.path, "rb") as file:
        yield b""
        while piece := await file.read(PIECE):
            yield piece
