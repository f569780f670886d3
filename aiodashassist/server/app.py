"""The local server's HTTP: requests to operations, results to answers and streams.

Provider-neutral: a `Service` spells the wire. A client that leaves does not stop its run.
"""

import asyncio
import hmac
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDictProxy

from aiodashassist.core.events import Event
from aiodashassist.core.files import Form
from aiodashassist.core.models import Run
from aiodashassist.core.operations import CreateFiles, Operation, SubmitOutputs
from aiodashassist.core.provider import Refusal, Service
from aiodashassist.server.answers import Answer, Pieces, deliver, instead, pieces_of, refused
from aiodashassist.server.desk import Desk, Started
from aiodashassist.server.disk import Disk
from aiodashassist.server.faults import Faults
from aiodashassist.server.files import Kept
from aiodashassist.server.forms import patiently, read_form
from aiodashassist.server.host import Hosts
from aiodashassist.server.mishaps import Drop, Expire, Fault, Html, Instead, Refuse
from aiodashassist.server.wiretap import Wiretap

__all__ = ("make_app",)

logger = logging.getLogger(__name__)

MAX_BODY = 16 * 1024 * 1024  # bytes; the gateway's limit (dashscope.md §1.5)
EVENT_STREAM = "text/event-stream;charset=UTF-8"


def make_app(
    desk: Desk,
    disk: Disk,
    services: Sequence[Service],
    api_key: str | None,
    *,
    ping_after: float | None,
    hosts: Hosts,
    faults: Faults,
    expire: Callable[[str], bool],
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
        hosts: the names under which it answers.
        faults: what goes wrong.
        expire: lets a run expire that waits for outputs.
    """
    guard = _guard(services, hosts)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[guard])
    for service in services:
        handler = _Handler(
            desk, disk, service, api_key, ping_after=ping_after, faults=faults, expire=expire
        )
        for prefix in (service.prefix, "/" + service.prefix):
            app.router.add_route("*", prefix + r"{path:(?:/(?s:.*))?}", handler.answer)
    return app


def _guard(services: Sequence[Service], hosts: Hosts) -> Middleware:
    """Refuses whoever asks under another name, before anything else is looked at."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hosts.know(request.headers.getall("Host", ())):
            return await handler(request)
        path = "/" + request.rel_url.raw_path.lstrip("/")
        for service in services:
            if f"{path}/".startswith(service.prefix + "/"):
                return refused(service, Refusal("host"), str(uuid.uuid4()))
        return web.Response(status=403, text="403: Forbidden")

    return guard


class _Handler:
    def __init__(
        self,
        desk: Desk,
        disk: Disk,
        service: Service,
        api_key: str | None,
        *,
        ping_after: float | None,
        faults: Faults,
        expire: Callable[[str], bool],
    ) -> None:
        self._desk = desk
        self._disk = disk
        self._service = service
        self._api_key = api_key
        self._ping_after = ping_after
        self._faults = faults
        self._expire = expire

    async def answer(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        try:
            workspace, operation = await self._read(request)
        except Refusal as refusal:
            response = refused(self._service, refusal, request_id)
            if request.content.exception() is not None:
                response.force_close()  # what comes after a broken body cannot be read
            return response
        except ConnectionError:
            logger.debug("the client of request %s left", request_id)
            return web.Response(status=400)  # which nobody reads
        except Exception:
            logger.exception("request %s failed", request_id)
            return refused(self._service, Refusal("internal"), request_id)
        if due := self._faults.due(operation):
            return await self._go_wrong(request, workspace, operation, request_id, due)
        answer = await self._work(workspace, operation, request_id)
        return await deliver(request, answer, request_id)

    async def _go_wrong(
        self,
        request: web.Request,
        workspace: str,
        operation: Operation[Any],
        request_id: str,
        due: Sequence[Fault],
    ) -> web.StreamResponse:
        with Wiretap(request, operation, due, self._faults, ping=self._service.ping) as tap:
            first = due[0]
            if isinstance(first, Instead):
                self._drop_files(operation)
            if isinstance(first, Drop):
                tap.hang_up(first)
                return web.Response(status=500)  # which nobody reads
            if isinstance(first, Refuse | Html):
                tap.note(first)
                return instead(self._service, first, operation, request_id)
            for fault in due:
                if isinstance(fault, Expire) and self._let_expire(operation):
                    tap.note(fault)
            answer = await self._work(workspace, operation, request_id)
            try:
                await tap.slow()
                return await deliver(request, tap.spoil(answer), request_id)
            finally:
                if answer.pieces is not None:
                    await answer.pieces.aclose()  # also where nothing of it was asked for

    def _drop_files(self, operation: Operation[Any]) -> None:
        """The files that came with a request which is not served must not stay."""
        if isinstance(operation, CreateFiles):
            self._disk.discard(Form(files=tuple(("", upload) for upload in operation.files)))

    def _let_expire(self, operation: Operation[Any]) -> bool:
        return isinstance(operation, SubmitOutputs) and self._expire(operation.run_id)

    async def _work(self, workspace: str, operation: Operation[Any], request_id: str) -> Answer:
        service = self._service
        try:
            result = self._desk.execute(workspace, operation, needs_user=service.needs_user)
            if isinstance(result, Kept):
                return await self._bytes(result, request_id)
        except Refusal as refusal:
            return Answer(refused(service, refusal, request_id, operation))
        except Exception:
            logger.exception("request %s failed", request_id)
            return Answer(refused(service, Refusal("internal"), request_id))
        if isinstance(result, Started):
            if result.stream:
                return self._stream(result, request_id)
            result = await self._started(result)
        headers = service.headers(None, request_id)
        body = service.answer(operation, result, request_id)
        return Answer(web.Response(body=body, content_type="application/json", headers=headers))

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

    async def _bytes(self, kept: Kept, request_id: str) -> Answer:
        """A file's bytes; all of them, whatever the headers of the request say of ranges."""
        response = web.StreamResponse(headers=self._service.headers(kept.file, request_id))
        response.content_length = kept.file.bytes
        pieces = pieces_of(kept)
        await anext(pieces)
        return Answer(response, pieces)

    def _stream(self, started: Started, request_id: str) -> Answer:
        service = self._service
        usual = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers={**service.headers(None, request_id), **usual})
        return Answer(response, self._frames(started, request_id))

    async def _frames(self, started: Started, request_id: str) -> Pieces:
        service = self._service
        write = service.writer(request_id)
        events = started.events(through=not service.reopens)
        patience = self._ping_after if service.ping else None
        async with aclosing(_with_silence(events, patience)) as told:
            async for event in told:
                frames = write(event) if event is not None else service.ping
                if frames:
                    yield frames
        if closing := service.closing():
            yield closing


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
