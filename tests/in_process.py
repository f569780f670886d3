"""The local server without sockets: a stand-in for the `session` that clients are given.

    async with InProcess() as harness:
        async with harness.client(DashScope) as client: ...

What a request does and how it is answered is as in aiodashassist/server/app.py, an event a chunk.
Bodies are JSON: there are no uploads.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from io import BytesIO
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

import aiohttp
from msgspec import Struct, field
from yarl import URL

from aiodashassist import AppBuilder, DashScope
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal, Service
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from aiodashassist.providers.appbuilder.writer import WrittenChunks
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server.desk import Desk, Started
from aiodashassist.server.disk import Disk
from aiodashassist.server.engines import Engine
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.runs import Runs
from aiodashassist.server.store import Store
from aiodashassist.testing.answers import Answer

C = TypeVar("C", bound=DashScope | AppBuilder)

HOST = "http://127.0.0.1"
JSON = "application/json"
EVENT_STREAM = "text/event-stream;charset=UTF-8"


class Break(Struct, frozen=True, kw_only=True):
    """The body stops after so many bytes: with an error, or (None) as if that were all of it."""

    after: int
    error: Callable[[], Exception] | None = lambda: aiohttp.ClientPayloadError("broken off")


class Lost(Struct, frozen=True, kw_only=True):
    """The work is done, but no answer comes."""

    error: Callable[[], Exception] = aiohttp.ServerDisconnectedError


class Dropped(Struct, frozen=True, kw_only=True):
    """The connection is lost before the work is done; the client cannot tell it from `Lost`."""

    error: Callable[[], Exception] = aiohttp.ServerDisconnectedError


class Status(Struct, frozen=True, kw_only=True):
    """An answer of this status instead, before the work or (`done`) after it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"code":"Fault","message":"injected"}'
    done: bool = False


Fault: TypeAlias = Break | Lost | Dropped | Status


class Exchange(Struct, kw_only=True, eq=False):
    """One request, and what became of it.

    `sizes` has the bytes of each chunk of the body as the client got them, `whole` says whether
    all of the body was sent.
    """

    index: int
    operation: Operation[Any] | None = None
    answer: Answer | None = None
    stream: bool = False
    sizes: list[int] = field(default_factory=list)
    whole: bool = False

    @property
    def name(self) -> str:
        """The name of its operation."""
        return type(self.operation).__name__

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(self.sizes)


class InProcess:
    """A desk with a store and runs, and the wires of both services, reached by `request`.

    Attributes:
        fault: asked for each request that can be read, with its operation and its number (from 0).
        exchanges: all requests, in order.
        store: what the server keeps.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        expire_after: float = 600,
        empty_call_ids: bool = False,
        can_cancel: bool = True,
        message_chunks: WrittenChunks = "delta",
    ) -> None:
        self.closed = False
        self.fault: Callable[[Operation[Any], int], Fault | None] = lambda _operation, _index: None
        self.exchanges: list[Exchange] = []
        self.store = Store()
        self._disk = Disk(1 << 30)
        self._runs = Runs(
            self.store,
            engine or OfflineEngine(),
            expire_after=expire_after,
            empty_call_ids=empty_call_ids,
        )
        self._desk = Desk(self.store, self._runs, self._disk, can_cancel=can_cancel)
        self._services: tuple[Service, ...] = (
            DashScopeService(),
            AppBuilderService(message_chunks),
        )
        self._pumps: set[asyncio.Task[None]] = set()

    def client(self, kind: type[C], **options: Any) -> C:
        """A client of this server."""
        usual: dict[str, Any] = {
            "base_url": HOST + kind.local_path,
            "api_key": "local",
            "session": cast("aiohttp.ClientSession", self),
        }
        return kind(**{**usual, **options})

    @property
    def unclosed(self) -> list[Exchange]:
        """The answers that were neither closed nor given back."""
        return [one for one in self.exchanges if one.answer and not one.answer.closed]

    @property
    def pumps(self) -> int:
        """How many streams are still being written."""
        return len(self._pumps)

    @property
    def live_runs(self) -> list[str]:
        """The runs whose tasks have not ended."""
        return list(self._runs._live)

    async def close(self) -> None:
        """Cancel the runs, and let what is open end."""
        await self._runs.close()
        if self._pumps:
            await asyncio.wait(self._pumps)
        self._disk.close()
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        url: URL,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | BytesIO | None = None,
        headers: Mapping[str, str],
        **_options: Any,
    ) -> Answer:
        """As `aiohttp.ClientSession.request`: the answer as soon as its head is there."""
        exchange = Exchange(index=len(self.exchanges))
        self.exchanges.append(exchange)
        body = data.getvalue() if isinstance(data, BytesIO) else data or b""
        await asyncio.sleep(0)  # on its way there
        request_id = str(uuid.uuid4())
        service, path = self._service(url.raw_path)
        lower = {name.lower(): value for name, value in headers.items()}
        result: Any = None
        try:
            operation = service.parse(method, path, params or {}, body)
            exchange.operation = operation
            fault = self.fault(operation, exchange.index)
            if isinstance(fault, Dropped):
                raise fault.error()
            if not isinstance(fault, Status) or fault.done:
                workspace, needs_user = service.workspace(lower), service.needs_user
                result = self._desk.execute(workspace, operation, needs_user=needs_user)
        except Refusal as refusal:
            status, body = service.refuse(refusal, request_id, exchange.operation)
            return await self._told(exchange, status, service.headers(None, request_id), body)
        if isinstance(fault, Status):
            return await self._told(exchange, fault.status, fault.headers, fault.body)
        if isinstance(result, Started):
            if result.stream:
                return await self._streamed(exchange, service, result, request_id, fault)
            execution = result.execution
            begun = await execution.rest() if service.blocks else execution.run
            result = result.answer or begun
        body = service.answer(operation, result, request_id)
        return await self._told(exchange, 200, service.headers(None, request_id), body, fault)

    def _service(self, path: str) -> tuple[Service, str]:
        for service in self._services:
            if path.startswith(service.prefix):
                return service, path.removeprefix(service.prefix)
        raise AssertionError(f"{path} is below no service's prefix")

    async def _told(
        self,
        exchange: Exchange,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        fault: Fault | None = None,
    ) -> Answer:
        """An answer whose body is there with its head."""
        answer = await self._answered(exchange, status, {"Content-Type": JSON, **headers}, fault)
        answer.headers.setdefault("Content-Length", str(len(body)))
        if not _fed(exchange, answer, body, fault):
            answer.content.end()
            exchange.whole = True
        return answer

    async def _streamed(
        self,
        exchange: Exchange,
        service: Service,
        started: Started,
        request_id: str,
        fault: Fault | None,
    ) -> Answer:
        """An answer whose body comes as the run goes on."""
        exchange.stream = True
        headers = {**service.headers(None, request_id), "Content-Type": EVENT_STREAM}
        answer = await self._answered(exchange, 200, headers, fault)
        frames = _frames(service, started, request_id)
        pump = asyncio.get_running_loop().create_task(_pump(frames, exchange, answer, fault))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        answer._left = pump.cancel
        return answer

    async def _answered(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], fault: Fault | None
    ) -> Answer:
        """The answer's head, when it has arrived."""
        await asyncio.sleep(0)  # on its way back
        if isinstance(fault, Lost):
            raise fault.error()
        exchange.answer = answer = Answer(status, headers)
        return answer


async def _frames(
    service: Service, started: Started, request_id: str
) -> AsyncGenerator[bytes, None]:
    """What a stream writes, piece by piece."""
    write = service.writer(request_id)
    async with aclosing(started.events(through=not service.reopens)) as events:
        async for event in events:
            if frames := write(event):
                yield frames
    if closing := service.closing():
        yield closing


async def _pump(
    frames: AsyncGenerator[bytes, None], exchange: Exchange, answer: Answer, fault: Fault | None
) -> None:
    async with aclosing(frames):
        if _fed(exchange, answer, b"", fault):
            return
        async for piece in frames:
            if _fed(exchange, answer, piece, fault):
                return
        answer.content.end()
        exchange.whole = True


def _fed(exchange: Exchange, answer: Answer, piece: bytes, fault: Fault | None) -> bool:
    """Send a piece of the body, or as much as may come; whether it broke off with it."""
    left = fault.after - exchange.length if isinstance(fault, Break) else len(piece) + 1
    piece = piece[:left]
    if piece:
        exchange.sizes.append(len(piece))
        answer.content.feed(piece)
    if len(piece) < left or not isinstance(fault, Break):
        return False
    if fault.error is None:
        answer.content.end()
    else:
        answer.content.set_exception(fault.error())
    return True
