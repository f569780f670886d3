"""The local server's HTTP: requests to operations, results to answers and streams.

Provider-neutral: a `Service` spells the wire. A client that leaves does not stop its run.
"""

import asyncio
import hmac
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
from aiohttp import web
from multidict import CIMultiDictProxy

from aiodashassist.core.events import Event
from aiodashassist.core.files import Form
from aiodashassist.core.models import Run
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal, Service
from aiodashassist.server.desk import Desk, Started
from aiodashassist.server.disk import Disk
from aiodashassist.server.files import Kept
from aiodashassist.server.forms import patiently, read_form

__all__ = ("make_app",)

logger = logging.getLogger(__name__)

PIECE = 256 * 1024  # bytes read at a time
MAX_BODY = 16 * 1024 * 1024  # bytes; the gateway's limit (dashscope.md §1.5)
JSON = "application/json"
EVENT_STREAM = "text/event-stream;charset=UTF-8"


def make_app(
    desk: Desk,
    disk: Disk,
    services: Sequence[Service],
    api_key: str | None,
    *,
    ping_after: float | None,
) -> web.Application:
    """The application: every path below a service's prefix is that service's.

    A slash before the prefix may be doubled: a base URL that ends with one is put before paths as
    it is (appbuilder.md §1.1).

    Args:
        desk: who executes operations.
        disk: where the files of a form are written as they come.
        services: the wires to speak.
        api_key: the one key that is accepted; None accepts any.
        ping_after: seconds of silence in a stream, for services that have a ping; None for none.
    """
    app = web.Application(client_max_size=MAX_BODY)
    for service in services:
        handler = _Handler(desk, disk, service, api_key, ping_after)
        for prefix in (service.prefix, "/" + service.prefix):
            app.router.add_route("*", prefix + r"{path:(?:/(?s:.*))?}", handler.answer)
    return app


class _Handler:
    def __init__(
        self,
        desk: Desk,
        disk: Disk,
        service: Service,
        api_key: str | None,
        ping_after: float | None,
    ) -> None:
        self._desk = desk
        self._disk = disk
        self._service = service
        self._api_key = api_key
        self._ping_after = ping_after

    async def answer(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        operation: Operation[Any] | None = None
        try:
            workspace, operation = await self._read(request)
            needs_user = self._service.needs_user
            result = self._desk.execute(workspace, operation, needs_user=needs_user)
        except Refusal as refusal:
            response = self._refused(refusal, request_id, operation)
            if request.content.exception() is not None:
                response.force_close()  # what comes after a broken body cannot be read
            return response
        except ConnectionError:
            logger.debug("the client of request %s left", request_id)
            return web.Response(status=400)  # which nobody reads
        except Exception:
            logger.exception("request %s failed", request_id)
            return self._refused(Refusal("internal"), request_id)
        if isinstance(result, Kept):
            return await self._send(request, result, request_id)
        if isinstance(result, Started):
            if result.stream:
                return await self._stream(request, result, request_id)
            result = await self._started(result)
        headers = self._service.headers(None, request_id)
        body = self._service.answer(operation, result, request_id)
        return web.Response(body=body, content_type=JSON, headers=headers)

    async def _started(self, started: Started) -> Run:
        """The answer to a run's creation, or to its outputs, that is no stream."""
        if started.answer is not None:
            return started.answer
        execution = started.execution
        return await execution.rest() if self._service.blocks else execution.run

    async def _read(self, request: web.Request) -> tuple[str, Operation[Any]]:
        headers = _lower(request.headers)
        self._authenticate(self._service.key(headers))
        path = "/" + request.rel_url.raw_path.lstrip("/")
        path = path.removeprefix(self._service.prefix)
        body: bytes | Form
        if self._service.takes_form(request.method, path):
            body = await read_form(request, self._disk)
        else:
            body = await _whole(request)
        try:
            operation = self._service.parse(request.method, path, request.query, body)
        except BaseException:  # a fault of ours, too, must leave no file behind
            if isinstance(body, Form):
                self._disk.discard(body)
            raise
        return self._service.workspace(headers), operation

    def _authenticate(self, key: str | None) -> None:
        if key is None:
            raise Refusal("key_missing")
        # A header may hold bytes that are no text.
        given = key.encode(errors="surrogateescape")
        if self._api_key is not None and not hmac.compare_digest(given, self._api_key.encode()):
            raise Refusal("key_wrong")

    def _refused(
        self, refusal: Refusal, request_id: str, operation: Operation[Any] | None = None
    ) -> web.Response:
        status, body = self._service.refuse(refusal, request_id, operation)
        headers = self._service.headers(None, request_id)
        return web.Response(status=status, body=body, content_type=JSON, headers=headers)

    async def _send(self, request: web.Request, kept: Kept, request_id: str) -> web.StreamResponse:
        """A file's bytes; all of them, whatever the headers of the request say of ranges."""
        response = web.StreamResponse(headers=self._service.headers(kept.file, request_id))
        response.content_length = kept.file.bytes
        try:
            file = await anyio.open_file(kept.path, "rb")
        except OSError:  # whatever cleans up temporary folders
            logger.exception("request %s: the bytes of file %s are gone", request_id, kept.file.id)
            return self._refused(Refusal("internal"), request_id)
        async with file:
            try:
                await response.prepare(request)
                while piece := await file.read(PIECE):
                    await response.write(piece)
                await response.write_eof()
            except ConnectionError:
                logger.debug("the client of request %s left", request_id)
        return response

    async def _stream(
        self, request: web.Request, started: Started, request_id: str
    ) -> web.StreamResponse:
        service = self._service
        usual = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers={**service.headers(None, request_id), **usual})
        write = service.writer(request_id)
        events = started.events(through=not service.reopens)
        patience = self._ping_after if service.ping else None
        async with aclosing(_with_silence(events, patience)) as told:
            try:
                await response.prepare(request)
                async for event in told:
                    frames = write(event) if event is not None else service.ping
                    if frames:
                        await response.write(frames)
                if closing := service.closing():
                    await response.write(closing)
                await response.write_eof()
            except ConnectionError:
                logger.debug("the client of request %s left", request_id)
        return response


async def _with_silence(
    events: AsyncGenerator[Event, None], patience: float | None
) -> AsyncGenerator[Event | None, None]:
    """The events, with None for every so many seconds of silence; None bears all of it."""
    reading: asyncio.Future[Event] | None = None
    async with aclosing(events):
        try:
            while patience is not None:
                reading = reading or asyncio.ensure_future(anext(events))
                await asyncio.wait({reading}, timeout=patience)
                if not reading.done():
                    yield None
                    continue
                try:
                    event = await reading
                except StopAsyncIteration:
                    return
                reading = None
                yield event
            async for event in events:
                yield event
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})


async def _whole(request: web.Request) -> bytes:
    """A body, bounded; one that says it is larger is not read at all."""
    if (request.content_length or 0) > MAX_BODY:
        raise Refusal("too_large")
    try:
        return await patiently(request.read())
    except web.HTTPRequestEntityTooLarge:
        raise Refusal("too_large") from None
    except web.RequestPayloadError:
        request.content.feed_eof()  # else aiohttp reads on, and logs the same error as its own
        raise Refusal("invalid") from None


def _lower(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
