"""The services there are, each with a client of its own, and what all of them have in common."""

from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, Unpack

from aiodashassist.client import Client, ClientOptions, Settings
from aiodashassist.config import (
    appbuilder_key,
    appbuilder_url,
    bare_key,
    check_workspace,
    dashscope_key,
    first,
)
from aiodashassist.core.result import RunResult
from aiodashassist.errors import ConfigError
from aiodashassist.providers.appbuilder import AppBuilderProvider
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.routes import HOST as APPBUILDER
from aiodashassist.providers.dashscope import DashScopeProvider
from aiodashassist.providers.dashscope.routes import base_url as dashscope_url
from aiodashassist.resources.assistants import Assistants
from aiodashassist.resources.files import Files
from aiodashassist.resources.streams import StreamParams
from aiodashassist.resources.threads import Threads
from aiodashassist.stream import RunStream

__all__ = ("AppBuilder", "AssistantsClient", "DashScope")


class AssistantsClient(Protocol):
    """What a client of any service can do: code that is written against it runs on each.

    A call that a service does not have raises `UnsupportedOperation`, a parameter that it has no
    place for `UnsupportedParameter`, both before anything is sent.
    """

    assistants: Assistants
    threads: Threads
    files: Files

    def stream(
        self, content: str, *, thread_id: str | None = None, **params: Unpack[StreamParams]
    ) -> RunStream:
        """See `Client.stream`."""

    async def ask(
        self, content: str, *, thread_id: str | None = None, **params: Unpack[StreamParams]
    ) -> RunResult:
        """See `Client.ask`."""

    def with_options(self, **settings: Unpack[Settings]) -> Self:
        """See `Client.with_options`."""

    async def close(self) -> None:
        """See `Client.close`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class DashScope(Client):
    """A client of DashScope's Assistant API (Alibaba Cloud Model Studio).

    Args:
        api_key: else `DASHSCOPE_API_KEY`, else a key file (dashscope.md §1.2).
        workspace: else `DASHSCOPE_WORKSPACE_ID`; needed for keys of a sub-workspace only.
        base_url: else `DASHSCOPE_HTTP_BASE_URL`, else the host of `region`.
        region: `cn`, `intl`, `us`, or a region with hosts of its own such as `ap-southeast-1`,
            which then need a workspace (dashscope.md §1.1). A key is valid in its region only.
        options: see `ClientOptions`.

    Raises:
        ConfigError: no key, an unknown region, or a key that would travel over plain http.
    """

    local_path: ClassVar[str] = "/api/v1"

    def __init__(
        self,
        api_key: str | None = None,
        workspace: str | None = None,
        base_url: str | None = None,
        *,
        region: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        workspace = check_workspace(first(workspace, "DASHSCOPE_WORKSPACE_ID"))
        if base_url is None and region is None:
            base_url = first(None, "DASHSCOPE_HTTP_BASE_URL")
        self._region = region or "cn" if base_url is None else None
        url = base_url or dashscope_url(region or "cn", workspace)
        key = dashscope_key(api_key)
        super().__init__(DashScopeProvider(), url, key, workspace, options)

    def _url_of(self, workspace: str | None) -> str | None:
        return None if self._region is None else dashscope_url(self._region, workspace)


class AppBuilder(Client):
    """A client of AppBuilder's Assistant API (Baidu Qianfan).

    Args:
        api_key: else `APPBUILDER_TOKEN` (appbuilder.md §1.2); the word `Bearer` before it is not
            part of it.
        base_url: else `GATEWAY_URL`, else the public host (appbuilder.md §1.1).
        message_chunks: whether the chunks of a streamed message are new text (`delta`) or all of
            it so far (`cumulative`). The service does not say, and `auto` looks: a chunk is
            cumulative if it is longer than, and begins with, all text before it, and that is at
            least 8 characters; what was found holds for the message. Where a stream's text
            repeats itself, say `cumulative`.
        options: see `ClientOptions`.

    Raises:
        ConfigError: no key, or a key that would travel over plain http.
    """

    local_path: ClassVar[str] = ""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        message_chunks: ChunkMode = "auto",
        **options: Unpack[ClientOptions],
    ) -> None:
        if message_chunks not in ("auto", "delta", "cumulative"):
            raise ConfigError("message_chunks must be 'auto', 'delta' or 'cumulative'")
        key, url = appbuilder_key(api_key), appbuilder_url(base_url) or APPBUILDER
        super().__init__(AppBuilderProvider(message_chunks), url, key, None, options)

    def with_options(self, **settings: Unpack[Settings]) -> Self:
        """See `Client.with_options`.

        Raises:
            ConfigError: also a workspace, which AppBuilder does not have.
        """
        if settings.get("workspace") is not None:
            raise ConfigError("AppBuilder has no workspaces")
        if "api_key" in settings:
            settings["api_key"] = bare_key(settings["api_key"])
        return super().with_options(**settings)


if TYPE_CHECKING:  # the type checker keeps the promise of AssistantsClient
    _clients: tuple[type[AssistantsClient], ...] = (DashScope, AppBuilder)
