"""AppBuilder (Baidu Qianfan): the wire of appbuilder.md, for a client."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from aiodashassist.core.decoding import parse, without_nulls
from aiodashassist.core.events import ErrorEvent
from aiodashassist.core.failures import unreadable
from aiodashassist.core.files import File, FileContent, Uploads
from aiodashassist.core.models import Page
from aiodashassist.core.operations import (
    CancelRun,
    CreateFiles,
    DownloadFile,
    ListFiles,
    ListOperation,
    Operation,
    ReadFile,
    SubmitOutputs,
)
from aiodashassist.core.provider import EventReader, Request, Response
from aiodashassist.errors import APIError, DecodeError
from aiodashassist.providers.appbuilder import codec, failures, routes
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.frames import StreamReader
from aiodashassist.providers.appbuilder.limits import LONGEST_PAGE

__all__ = ("AppBuilderProvider",)

T = TypeVar("T")


class AppBuilderProvider:
    """The client's half of AppBuilder.

    Args:
        message_chunks: whether the chunks of a message are new text (`delta`), all text so far
            (`cumulative`), or whichever they look like (`auto`); the wire does not say (§5.3).
    """

    name = "AppBuilder"
    reopens = False
    blocks = True
    replaces = True
    largest_page = LONGEST_PAGE
    # Messages have no metadata, and no answer was ever seen to show those of a run (§2.3, §3.9).
    marks: frozenset[type[Operation[Any]]] = frozenset()

    def __init__(self, message_chunks: ChunkMode = "auto") -> None:
        self._message_chunks = message_chunks

    def headers(self, key: str, workspace: str | None) -> Mapping[str, str]:
        """Authentication (§1.2); there are no workspaces. `Accept` is what the SDK sends (§1.3)."""
        del workspace
        return {
            "Authorization": f"Bearer {key}",
            "Accept": "*/*",
            "Content-Type": "application/json",
        }

    def encode(self, operation: Operation[Any]) -> Request:
        """See `Provider.encode`."""
        return routes.encode(operation)

    def decode(self, operation: Operation[T], response: Response) -> T:
        """See `Provider.decode`; the id of the request is in a header (§1.4)."""
        request_id = self.request_id(response.headers)
        if isinstance(operation, ReadFile | DownloadFile):
            kind = response.headers.get("content-type")
            content = FileContent(data=response.body, content_type=kind, request_id=request_id)
            return cast("T", content)
        try:
            result = _read(operation, _parsed(operation, response))
        except DecodeError as error:
            raise error.located(request_id=request_id) from error.__cause__
        return cast("T", replace(result, request_id=request_id))

    def error(self, operation: Operation[Any], response: Response) -> APIError | None:
        """See `Provider.error`."""
        return failures.answer_error(operation, response)

    def stream_error(self, event: ErrorEvent) -> APIError:
        """See `Provider.stream_error`."""
        return failures.stream_error(event)

    def unsupported(self, operation: Operation[Any], error: APIError) -> bool:
        """None: every call of the table is documented."""
        del operation, error
        return False

    def is_file(self, headers: Mapping[str, str], begun: bytes) -> bool:
        """See `Provider.is_file`."""
        return not failures.may_be_error(headers, begun)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See `Provider.request_id`; no body has it (§1.4)."""
        return failures.request_id_of(headers)

    def reader(self, headers: Mapping[str, str]) -> EventReader:
        """See `Provider.reader`: it knows what it has read, for the wire repeats nothing."""
        return StreamReader(self._message_chunks, self.request_id(headers)).read


def _parsed(operation: Operation[Any], response: Response) -> object:
    if isinstance(operation, SubmitOutputs | CancelRun) and not response.body.strip():
        return {}
    try:
        return parse(response.body)
    except DecodeError as error:
        raise unreadable(response, error) from error


def _read(operation: Operation[Any], body: object) -> Any:
    if isinstance(operation, CreateFiles):
        return Uploads(files=(codec.model(File, body),))
    if isinstance(operation, SubmitOutputs | CancelRun) and isinstance(body, Mapping):
        # It was done, whatever the answer leaves out; nothing is recorded of it (§8).
        body = {"id": operation.run_id, **without_nulls(body)}
    if isinstance(operation, ListOperation | ListFiles):
        page: Page[Any] = codec.page(operation.result, body)
        return page
    return codec.model(operation.result, body)
