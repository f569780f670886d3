"""The client: one session, one provider, the resources."""

from collections.abc import Mapping
from copy import copy
from ssl import SSLContext
from types import TracebackType
from typing import Self, TypedDict, Unpack

from msgspec.structs import replace

from aiodashassist.calls import Session
from aiodashassist.config import (
    Config,
    check_headers,
    check_key,
    check_kind,
    check_limits,
    check_names,
    check_proxy,
    check_retry,
    check_timeouts,
    check_transport,
    check_workspace,
    joined,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Run
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Provider
from aiodashassist.core.result import RunResult
from aiodashassist.core.settings import Limits, Retry, Timeouts
from aiodashassist.hooks import Hook, check_hook
from aiodashassist.resources.assistants import Assistants
from aiodashassist.resources.files import Files
from aiodashassist.resources.sessions import asked
from aiodashassist.resources.streams import StreamParams, Streams
from aiodashassist.resources.threads import Threads
from aiodashassist.session import HttpSession, Pool
from aiodashassist.stream import RunStream
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Toolset

__all__ = ("Client", "ClientOptions", "Settings")


class ClientOptions(TypedDict, total=False):
    """What every client can be given.

    `tools` are the handlers of runs that are given none. `timeouts` and `limits` bound what is
    waited for and taken, `retry` says what is sent again. `proxy` and `ssl` are passed to aiohttp.
    `headers` are added to every request and win over the usual ones. `allow_http` lets the key
    travel over plain http. `session` is your own `aiohttp.ClientSession`: it is used and never
    closed. `on_request` and `on_response` are plain functions that are told of every request and
    of what became of it, by a `CallInfo`, without bodies and keys.
    """

    tools: Toolset
    timeouts: Timeouts
    retry: Retry
    limits: Limits
    proxy: str | None
    ssl: SSLContext | bool
    headers: Mapping[str, str]
    allow_http: bool
    session: HttpSession | None
    on_request: Hook | None
    on_response: Hook | None


class Settings(TypedDict, total=False):
    """What a light copy of a client can have of its own.

    `headers` are added to those of the client; `tools` replace the client's.
    """

    api_key: str
    workspace: str | None
    timeouts: Timeouts
    retry: Retry
    headers: Mapping[str, str]
    tools: Toolset


class Client:
    """What the clients of all providers have in common.

    Use it as an async context manager, or call `close`. It opens its connections on first use and
    belongs to one event loop.

    Attributes:
        assistants: `create retrieve list update delete ensure`, with `assistants.files`.
        threads: `create retrieve update delete create_and_run create_and_stream`, with
            `threads.messages`, `threads.messages.files`, `threads.runs`, `threads.runs.steps`.
        files: `create retrieve list delete content download`
    """

    assistants: Assistants
    threads: Threads
    files: Files

    def __init__(
        self,
        provider: Provider,
        base_url: str,
        key: str,
        workspace: str | None,
        options: ClientOptions,
    ) -> None:
        check_transport(base_url, allow_http=options.get("allow_http", False))
        check_names(options, ClientOptions.__annotations__)
        config = Config(
            base_url=base_url,
            key=key,
            workspace=workspace,
            headers=check_headers(options.get("headers", {})),
            timeouts=check_timeouts(options.get("timeouts", Timeouts())),
            retry=check_retry(options.get("retry", Retry())),
            limits=check_limits(options.get("limits", Limits())),
            proxy=check_proxy(options.get("proxy")),
            ssl=options.get("ssl", True),
            on_request=check_hook("on_request", options.get("on_request")),
            on_response=check_hook("on_response", options.get("on_response")),
        )
        tools = check_kind("tools", options.get("tools", Toolset()), Toolset)
        self._pool = Pool(options.get("session"))
        self._threads = WorkerThreads(config.limits.max_threads)
        self._is_copy = False
        self._furnish(Session(provider, config, self._pool), tools)

    def _furnish(self, session: Session, tools: Toolset) -> None:
        """Make the resources, all on one session."""
        self._session = session
        self._tools = tools
        self._streams = Streams(session, tools, self._threads)
        self.assistants = Assistants(session)
        self.threads = Threads(session, self._streams)
        self.files = Files(session)

    def with_options(self, **settings: Unpack[Settings]) -> Self:
        """A light copy on the same connections: for one call, one tenant, one patience.

        What is not given stays as it is. Closing the copy does nothing; what it opened is closed
        with the client it came from.

        Raises:
            ConfigError: a key, a header or a workspace that cannot be used, an option that there
                is not or that is of another class.
        """
        check_names(settings, Settings.__annotations__)
        known = self._session.config
        headers = check_headers(settings.get("headers", {}))
        workspace = check_workspace(settings.get("workspace", known.workspace))
        config = replace(
            known,
            base_url=self._url_of(workspace) or known.base_url,
            key=check_key(settings.get("api_key", known.key)),
            workspace=workspace,
            timeouts=check_timeouts(settings.get("timeouts", known.timeouts)),
            retry=check_retry(settings.get("retry", known.retry)),
            headers=joined(known.headers, headers),
        )
        tools = check_kind("tools", settings.get("tools", self._tools), Toolset)
        return self._copied(self._session.configured(config), tools)

    def _copied(self, session: Session, tools: Toolset) -> Self:
        other = copy(self)
        other._is_copy = True  # noqa: SLF001 (one of its own kind)
        other._furnish(session, tools)  # noqa: SLF001
        return other

    def _url_of(self, workspace: str | None) -> str | None:
        """The base URL for a workspace, where hosts are named by it."""
        del workspace
        return None

    def __repr__(self) -> str:
        session = getattr(self, "_session", None)  # None where it could not be made
        url = session.config.base_url if session is not None else ""
        return f"{type(self).__name__}(base_url={url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the streams that are still open, then the connections; twice is no error.

        A copy made by `with_options` closes nothing.
        """
        if self._is_copy:
            return
        try:
            await self._session.duties.finish(self._session.config.timeouts.cancel)
        finally:
            self._session.turns.close()
            self._session.experience.close()
            self._threads.close()
            await self._pool.close()

    def stream(
        self, content: str, *, thread_id: str | None = None, **params: Unpack[StreamParams]
    ) -> RunStream:
        """Say something on a thread, a new one if none is given, and stream the answer.

        Takes every keyword of `threads.runs.stream`.
        """
        # A run that cannot be asked for must not leave a thread and a message behind.
        run = asked(self._session, "new" if thread_id is None else thread_id, content, params)

        async def opening() -> Operation[Run]:
            thread = thread_id
            if thread is None:
                thread = (await self.threads.create()).id
            asked = await self.threads.messages.create(thread, content)
            return ops.CreateRun(thread_id=thread, params=run, stream=True, hint=asked.id)

        return self._streams.make(opening, params)

    async def ask(
        self, content: str, *, thread_id: str | None = None, **params: Unpack[StreamParams]
    ) -> RunResult:
        """Say something on a thread and wait for the answer; tools are called meanwhile.

        Returns:
            The result, with `pending_calls` where calls are left to the caller.

        Raises:
            RunError: the run did not complete.
            AssistError: any other failure.
        """
        async with self.stream(content, thread_id=thread_id, **params) as stream:
            return await stream.result()
