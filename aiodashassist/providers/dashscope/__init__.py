"""DashScope (Alibaba Cloud Model Studio): the wire of dashscope.md, for a client."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from aiodashassist.core.decoding import parse
from aiodashassist.core.events import ErrorEvent
from aiodashassist.core.failures import unreadable
from aiodashassist.core.marks import MARKED
from aiodashassist.core.operations import CancelRun, CreateFiles, ListOperation, Operation
from aiodashassist.core.provider import EventReader, Request, Response
from aiodashassist.errors import APIError, DecodeError
from aiodashassist.providers.dashscope import codec, failures, files, frames, routes

__all__ = ("DashScopeProvider",)

T = TypeVar("T")


class DashScopeProvider:
    """The client's half of DashScope; holds no state, so one serves any number of clients."""

    name = "DashScope"
    reopens = True
    blocks = False
    replaces = False
    largest_page = 100
    marks: frozenset[type[Operation[Any]]] = frozenset(MARKED)

    def headers(self, key: str, workspace: str | None) -> Mapping[str, str]:
        """Authentication and workspace (§1.3). `Accept` is what both SDKs send, streams too."""
        headers = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json; charset=utf-8",
            "Content-Type": "application/json; charset=utf-8",
        }
        if workspace:
            headers["X-DashScope-WorkSpace"] = workspace
        return headers

    def encode(self, operation: Operation[Any]) -> Request:
        """See `Provider.encode`."""
        return routes.encode(operation)

    def decode(self, operation: Operation[T], response: Response) -> T:
        """See `Provider.decode`."""
        try:
            body = parse(response.body)
        except DecodeError as error:
            raise unreadable(response, error) from error
        if isinstance(operation, files.OPERATIONS):
            return cast("T", files.decode(operation, body))
        if isinstance(operation, ListOperation):
            return cast("T", codec.page(operation.result, body))
        return cast("T", codec.model(operation.result, body))

    def error(self, operation: Operation[Any], response: Response) -> APIError | None:
        """See `Provider.error`."""
        if isinstance(operation, CreateFiles):
            return failures.upload_error(response)
        return failures.answer_error(response)

    def stream_error(self, event: ErrorEvent) -> APIError:
        """See `Provider.stream_error`."""
        return failures.stream_error(event)

    def unsupported(self, operation: Operation[Any], error: APIError) -> bool:
        """Only cancelling is documented as missing (§7.1)."""
        return isinstance(operation, CancelRun) and failures.says_no_such_call(error)

    def is_file(self, headers: Mapping[str, str], begun: bytes) -> bool:
        """Never asked: there are no downloads."""
        del headers, begun
        return True

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See `Provider.request_id`; bodies have it, too."""
        return headers.get("x-request-id")

    def reader(self, headers: Mapping[str, str]) -> EventReader:
        """See `Provider.reader`: a frame says all there is to know."""
        del headers
        return frames.read_frame
