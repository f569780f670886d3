"""Which error class an AppBuilder error is (appbuilder.md §6).

Errors come with 200 under the key `error`, with any other status in no known form, flat as
`code`, `message`, `requestId` from the gateway, and as a bare `null` for what is not there. No
vocabulary of codes is documented: where the status says nothing, the words are read.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from aiodashassist.core.decoding import BROKEN
from aiodashassist.core.events import ErrorEvent
from aiodashassist.core.failures import class_of, seconds, shown
from aiodashassist.core.operations import DownloadFile, Operation, ReadFile
from aiodashassist.core.provider import Response
from aiodashassist.errors import (
    APIError,
    AuthenticationError,
    BadRequest,
    Conflict,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)
from aiodashassist.providers.appbuilder.routes import ids_of

__all__ = ("answer_error", "kind_of", "may_be_error", "request_id_of", "stream_error")

REQUEST_ID = "x-appbuilder-request-id"  # (§1.4)
FILES = (ReadFile, DownloadFile)
PRECONDITIONS = (412, 428)  # the documents say the one, the SDK's code the other (§6.2)
WORDS: tuple[tuple[type[APIError], str], ...] = (
    (NotFound, r"not.?(found|exist)|no.?such|不存在|未找到"),
    (RateLimited, r"rate.?limit|too.?many|throttl|qps|quota(?!t)|超限|限流"),
    (PermissionDenied, r"permission|forbidden|denied|arrear|无权|欠费"),
    (
        AuthenticationError,
        r"authenticat|authoriz|(?<![a-z])iam(?![a-z])|credential|invalid.?token|鉴权|认证",
    ),
    (Conflict, r"conflict|冲突"),
    (ServerError, r"internal|server.?error|unavailable|timed.?out|系统|内部错误"),
)
"""Class -> what its code, type or message has in it; the first that fits."""
PATTERNS = [(kind, re.compile(words, re.IGNORECASE)) for kind, words in WORDS]


def kind_of(status: int | None, code: str, kind: str, message: str) -> type[APIError]:
    """The class of an error; `status` is None where it says nothing: 200, or inside a stream."""
    if status in PRECONDITIONS:
        return Conflict
    if status is not None and (status != 400 or not (code or kind or message)):
        return class_of(status)
    named = f"{code} {kind}"
    for cls, pattern in PATTERNS:
        if pattern.search(named):
            return cls
    # What is named wins over what is said, where it is a word; but that says best what is missing.
    said = PATTERNS[:1] if any(map(str.isalpha, named)) else PATTERNS
    return next((cls for cls, pattern in said if pattern.search(message)), BadRequest)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The service's id of a request."""
    return headers.get(REQUEST_ID) or headers.get("x-bce-request-id")


def answer_error(operation: Operation[Any], response: Response) -> APIError | None:
    """The error that an answer is; None for a good one, and for one that cannot be read."""
    good = 200 <= response.status < 300
    is_file = isinstance(operation, FILES)
    if good and is_file and not may_be_error(response.headers, response.body):
        return None
    body = _body(response)
    if good and body is None:
        return _nothing(operation, response)
    status = None if good else response.status
    told = _told(body, status, whole=good and is_file)
    if told is None:
        if good:
            return None
        told = Told()
    said = told.message or shown(response)
    param = f" ({told.param})" if told.param and told.param not in said else ""
    return kind_of(status, told.code, told.type, told.message)(
        f"{said}{param}",
        status=response.status,
        code=told.code or told.type,
        retry_after=seconds(response),
        request_id=told.request_id or request_id_of(response.headers),
    )


def stream_error(event: ErrorEvent) -> APIError:
    """The exception for an error that a stream reported."""
    kind = kind_of(None, event.code, "", event.message)
    return (ServerError if kind is BadRequest else kind)(
        event.message or "the service reported an error in the stream",
        code=event.code,
        request_id=event.request_id,
    )


def may_be_error(headers: Mapping[str, str], begun: bytes) -> bool:
    """Whether a good answer to a request for a file may be an error all the same (§2.2).

    Not where it is named as one, and not where it is no JSON.
    """
    begins = begun.lstrip()
    return "content-disposition" not in headers and begins[:1] in (b"", b"{", b"n")


def _nothing(operation: Operation[Any], response: Response) -> APIError | None:
    """`null`: what a query for an unknown file is answered with (§6.3); no wrong id, no error."""
    is_json = "json" in response.headers.get("content-type", "").lower()
    if not ids_of(type(operation)) or (isinstance(operation, FILES) and not is_json):
        return None
    return NotFound(
        "the service answered with nothing: there is no such object",
        status=response.status,
        request_id=request_id_of(response.headers),
    )


class Told(Struct, frozen=True, kw_only=True):
    """What an error body says, as texts."""

    code: str = ""
    type: str = ""
    message: str = ""
    param: str = ""
    request_id: str = ""


def _told(body: object, status: int | None, *, whole: bool) -> Told | None:
    """What an error body says; None where it is none.

    With `whole` it must be all that one has: what else looks like it may be a file of the user's.
    """
    if not isinstance(body, Mapping):
        return None
    inner = body.get("error")
    if whole and not isinstance(inner, Mapping | None):
        return None
    if inner and not isinstance(inner, Mapping):
        inner = {"message": str(inner)}
    if not inner:
        flat = body.get("code") and body.keys() & {"message", "msg"}
        if not flat or (status is None and (body.get("id") or body.get("data") is not None)):
            return None
        inner = body
    if whole and not (inner.get("message") and (inner is not body or body.get("requestId"))):
        return None
    texts = {name: str(inner.get(name) or "") for name in ("code", "type")}
    return Told(
        **texts,
        message=str(inner.get("message") or inner.get("msg") or ""),
        param=str(inner.get("param") or inner.get("params") or ""),
        request_id=str(body.get("requestId") or body.get("request_id") or ""),
    )


def _body(response: Response) -> object:
    """The JSON of an answer, framed or not; an empty object for one that is none."""
    text = response.body
    if "text/event-stream" in response.headers.get("content-type", ""):
        lines = (line for line in text.splitlines() if line.startswith(b"data:"))
        text = next(lines, text).removeprefix(b"data:")
    try:
        return msgspec.json.decode(text)
    except BROKEN:
        return {}
