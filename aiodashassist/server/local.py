"""The local server: the services' wires on a port of this machine, no key and no network needed."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar

from aiohttp import web

from aiodashassist.core.provider import Service
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from aiodashassist.providers.appbuilder.writer import WrittenChunks
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server.app import make_app
from aiodashassist.server.desk import Desk
from aiodashassist.server.disk import Disk
from aiodashassist.server.engines import Engine
from aiodashassist.server.engines.offline import OfflineEngine
from aiodashassist.server.faults import Faults
from aiodashassist.server.host import Hosts
from aiodashassist.server.runs import Runs
from aiodashassist.server.store import Store

__all__ = ("LocalServer",)

SHUTDOWN = 1.0  # seconds that open answers have to end, once all runs have


class _Client(Protocol):
    local_path: ClassVar[str]  # under which the service of this client is served

    def __init__(self, **options: Any) -> None: ...


C = TypeVar("C", bound=_Client)


class LocalServer:
    """Serves the Assistants APIs on this machine, in memory.

        async with LocalServer() as server:
            async with server.client(DashScope) as client: ...

    Args:
        host: the interface to listen on; loopback unless you say otherwise.
        port: 0 takes a free one.
        api_key: the one key that is accepted; None accepts any.
        engine: who answers; the offline engine where none is given.
        expire_after: seconds that a run waits for tool outputs before it expires.
        empty_call_ids: leave the ids of tool calls empty, as the live service was seen to do.
        can_cancel: whether there is an endpoint that cancels runs; DashScope's documents say
            there is none (dashscope.md §7.1).
        message_chunks: how AppBuilder's wire cuts messages, which nobody knows: `delta` (what is
            new), `cumulative` (all so far), or `whole` (at once, as was seen in 2024).
        ping_after: seconds of silence after which a stream of AppBuilder's wire has a `ping`; None
            for none.
        max_file_bytes: the largest file that is taken; they are kept on disk, in a folder of the
            system's temporary ones, until the server closes.
        allowed_hosts: names under which it may be asked, besides IP addresses, `localhost` and
            `host`; whoever asks under another is refused with 403, so that no web page can ask it
            (see `aiodashassist.server.host`).
        faults: what goes wrong, on purpose (see `aiodashassist.server.faults`).

    Attributes:
        store: what is kept.
        faults: what goes wrong; it can be changed while the server runs.

    Raises:
        ValueError: an argument makes no sense.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        engine: Engine | None = None,
        expire_after: float = 600,
        empty_call_ids: bool = False,
        can_cancel: bool = True,
        message_chunks: WrittenChunks = "delta",
        ping_after: float | None = 15,
        max_file_bytes: int = 512 * 1024 * 1024,
        allowed_hosts: Sequence[str] = (),
        faults: Faults | None = None,
    ) -> None:
        if message_chunks not in ("delta", "cumulative", "whole"):
            raise ValueError("message_chunks must be 'delta', 'cumulative' or 'whole'")
        if ping_after is not None and not ping_after > 0:
            raise ValueError("ping_after must be more than 0 seconds, or None")
        self._host = host
        self._port = port
        self._api_key = api_key
        self.store = Store()
        self.faults = Faults() if faults is None else faults
        self._runs = Runs(
            self.store,
            engine or OfflineEngine(),
            expire_after=expire_after,
            empty_call_ids=empty_call_ids,
        )
        services: tuple[Service, ...] = (DashScopeService(), AppBuilderService(message_chunks))
        self._disk = Disk(max_file_bytes)
        desk = Desk(self.store, self._runs, self._disk, can_cancel=can_cancel)
        self._runner = web.AppRunner(
            make_app(
                desk,
                self._disk,
                services,
                api_key,
                ping_after=ping_after,
                hosts=Hosts(allowed_hosts, own=host),
                faults=self.faults,
                expire=self._runs.expire,
            ),
            access_log=None,
            shutdown_timeout=SHUTDOWN,
        )
        self._url: str | None = None

    @property
    def url(self) -> str:
        """`http://HOST:PORT`, once the server runs."""
        if self._url is None:
            raise RuntimeError("the server is not running: use `async with LocalServer()`")
        return self._url

    @property
    def dashscope_url(self) -> str:
        """The base URL for DashScope clients, the official SDK included."""
        return self.url + DashScopeService.prefix

    @property
    def appbuilder_url(self) -> str:
        """The base URL for AppBuilder clients, the official SDK included."""
        return self.url

    def client(self, kind: type[C], **options: Any) -> C:
        """A client of this server; `options` are those of the client's class."""
        usual = {"base_url": self.url + kind.local_path, "api_key": self._api_key or "local"}
        return kind(**{**usual, **options})

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the port cannot be had.
        """
        self.faults.over = asyncio.Event()
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._url = f"http://{host}:{port}"

    async def close(self) -> None:
        """Cancel all runs, let their streams end, and stop listening."""
        self.faults.over.set()
        try:
            await self._runs.close()
            await asyncio.sleep(0)
        finally:
            try:
                await self._runner.cleanup()
            finally:
                self._disk.close()
                self._url = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
