"""AppBuilder's wire as the local server speaks it: requests in, answers and frames out.

Strict where appbuilder.md is silent: a body of the wrong shape is refused, a role other than user
too (§7 #10), and a run's inline thread has one message (§3.8). Tolerant where the official SDK is
known to need it (§2): null and absent alike, and empty texts, lists and objects for what is not
given. That it answers nearly every refusal with 200 is the service's own way (§6.1).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aiodashassist.core import operations as ops
from aiodashassist.core.files import File, Form
from aiodashassist.core.models import Page
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import EventWriter, Refusal
from aiodashassist.providers.appbuilder import files, spelling
from aiodashassist.providers.appbuilder.asking import read_operation
from aiodashassist.providers.appbuilder.routes import PART, PREFIX, ROUTES
from aiodashassist.providers.appbuilder.writer import PING, StreamWriter, WrittenChunks

__all__ = ("AppBuilderService",)

PATHS: dict[str, list[type[Operation[Any]]]] = {
    route.path.removeprefix(PREFIX): [
        kind for kind, other in ROUTES.items() if other.path == route.path
    ]
    for route in ROUTES.values()
}
"""Path below the prefix -> what can be meant by it."""
RESULTS = (ops.CreateRun, ops.CreateThreadAndRun, ops.SubmitOutputs, ops.CancelRun)
GATEWAY: dict[str, tuple[int, str, str]] = {
    "url": (404, "NotFound", "The requested path does not exist."),
    "method": (405, "MethodNotAllowed", "Only POST is supported."),
    "key_missing": (401, "UnAuthorized", "The request has no Authorization: Bearer."),
    "key_wrong": (401, "UnAuthorized", "The token is invalid."),
    "host": (403, "Forbidden", "The host name of the request is not allowed (--allowed-host)."),
    "too_large": (413, "RequestTooLarge", "The request body is larger than 16 MiB."),
    "timeout": (408, "RequestTimeout", "The request timed out, please try again later."),
    "throttled": (429, "TooManyRequests", "Too many requests, please try again later."),
    "unavailable": (503, "ServiceUnavailable", "The service is unavailable for the moment."),
    "internal": (500, "InternalServerError", "An internal error occurred."),
}
"""Kind of refusal -> status, code and message; such answers are flat (§6.1, reconstructed)."""
INVALID = "invalid_parameter"
NOT_FOUND = "not_found"


class AppBuilderService:
    """The server's half of AppBuilder.

    Args:
        message_chunks: how the text of messages is cut in streams.
    """

    prefix = PREFIX
    reopens = False
    blocks = True
    needs_user = True  # (§3.8)
    ping = PING

    def __init__(self, message_chunks: WrittenChunks = "delta") -> None:
        self._message_chunks = message_chunks

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The token; the SDK sends it twice, under two names (§1.2)."""
        for name in ("authorization", "x-appbuilder-authorization"):
            scheme, _, token = headers.get(name, "").partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return token.strip()
        return None

    def workspace(self, headers: Mapping[str, str]) -> str:
        """There are none: everything is in that of the key."""
        del headers
        return ""

    def takes_form(self, method: str, path: str) -> bool:
        """Only the upload of a file is no JSON (§2.2)."""
        return method == "POST" and PATHS.get(path) == [ops.CreateFiles]

    def parse(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | Form
    ) -> Operation[Any]:
        """See `Service.parse`."""
        kinds = PATHS.get(path)
        if kinds is None:
            raise Refusal("url")
        if method != "POST":
            raise Refusal("method")
        if isinstance(body, Form):
            return files.read_form(body, query)
        return read_operation(kinds, body)

    def answer(
        self, operation: Operation[Any], result: msgspec.Struct | Page[Any], request_id: str
    ) -> bytes:
        """See `Service.answer`; the request's id is in a header."""
        del request_id
        if isinstance(result, Page):
            body: Any = _listed(operation, result)
        elif isinstance(operation, ops.CreateFiles):
            body = _uploaded(result)
        else:
            body = spelling.spell(result, "result" if isinstance(operation, RESULTS) else "query")
        return msgspec.json.encode(body)

    def headers(self, file: File | None, request_id: str) -> Mapping[str, str]:
        """The request's id (§1.4); of a file also what it is and its name."""
        known = {"X-Appbuilder-Request-Id": request_id}
        return known if file is None else {**known, **files.file_headers(file)}

    def writer(self, request_id: str) -> EventWriter:
        """See `Service.writer`."""
        return StreamWriter(self._message_chunks, request_id).write

    def closing(self) -> bytes:
        """Nothing: the stream just ends (§5.2)."""
        return b""

    def refuse(
        self, refusal: Refusal, request_id: str, operation: Operation[Any] | None = None
    ) -> tuple[int, bytes]:
        """See `Service.refuse`."""
        known = GATEWAY.get(refusal.kind)
        if known is not None:
            status, code, usual = known
            said = refusal.message or usual
            flat = {"code": code, "message": said, "requestId": request_id}
            return status, msgspec.json.encode(flat)
        if refusal.kind == "missing" and isinstance(operation, ops.RetrieveFile):
            return 200, b"null"  # what the official tests were answered with (§6.3)
        if refusal.kind == "missing":
            gone = f"The {refusal.subject} does not exist."
            return 200, msgspec.json.encode(_error(NOT_FOUND, gone, refusal.subject))
        said = refusal.message or "The request is invalid."
        return 200, msgspec.json.encode(_error(INVALID, said, refusal.subject))


def _error(code: str, message: str, param: str) -> dict[str, Any]:
    """The Assistant API's own envelope (§6.1)."""
    kind = "invalid_request_error"
    said = {"code": code, "message": message, "type": kind, "param": param or None}
    return {"error": said}


def _listed(operation: Operation[Any], page: Page[Any]) -> dict[str, Any]:
    """A list; that of files has no more than its data (§2.2)."""
    data = [spelling.spell(item, "list") for item in page.data]
    if isinstance(operation, ops.ListFiles):
        return {"object": "list", "data": data}
    ends = {"first_id": page.first_id or "", "last_id": page.last_id or ""}
    return {"object": "list", "data": data, **ends, "has_more": page.has_more}


def _uploaded(result: Any) -> dict[str, Any]:
    """The file that was taken; one that was not is an error."""
    for failed in result.failed:
        return _error(failed.code, failed.message, PART)
    return files.spell_file(result.files[0], created=True)
