"""Which error class a DashScope error is: decided by code and message, not by status alone.

DashScope says "does not exist" with 400 (dashscope.md §6.2) and refuses unpaid accounts with 400
and 429 (§6.3); a body can be JSON, HTML or an SSE frame (§6.5).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aiodashassist.core.decoding import BROKEN
from aiodashassist.core.events import ErrorEvent
from aiodashassist.core.failures import class_of, seconds, shown
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
from aiodashassist.providers.dashscope import files

__all__ = (
    "answer_error",
    "kind_of",
    "says_no_such_call",
    "stream_error",
    "upload_error",
)

BY_CODE: dict[str, type[APIError]] = {
    "InvalidApiKey": AuthenticationError,
    "NOT AUTHORIZED": AuthenticationError,
    "Arrearage": PermissionDenied,
    "AccessDenied": PermissionDenied,
    "Model.AccessDenied": PermissionDenied,
    "App.AccessDenied": PermissionDenied,
    "Workspace.AccessDenied": PermissionDenied,
    "Endpoint.AccessDenied": PermissionDenied,
    "AllocationQuota": PermissionDenied,
    "CommodityNotPurchased": PermissionDenied,
    "PrepaidBillOverdue": PermissionDenied,
    "PostpaidBillOverdue": PermissionDenied,
    "ModelNotFound": NotFound,
    "WorkSpaceNotFound": NotFound,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "Throttling": RateLimited,
    "InvalidParameter": BadRequest,
    "DataInspectionFailed": BadRequest,
    "InternalError": ServerError,
    "SystemError": ServerError,
    "ModelServiceFailed": ServerError,
    "ModelServingError": ServerError,
    "ModelUnavailable": ServerError,
    "RequestTimeOut": ServerError,
    "InvokePluginFailed": ServerError,
    "RewriteFailed": ServerError,
    "RetrivalFailed": ServerError,
    "AppProcessFailed": ServerError,
}
"""Code, or the part before its dot -> class (dashscope.md §6.3)."""

MISSING = ("does not exist", "not exist.", "has been deleted", "can not be found")


def kind_of(status: int | None, code: str, message: str) -> type[APIError]:
    """The class of an error; `status` is None inside a stream."""
    if status in (None, 400, 404):
        if any(words in message for words in MISSING):
            return NotFound
        if message.startswith("API key or Uid is missing"):
            return AuthenticationError
    kind = BY_CODE.get(code) or BY_CODE.get(code.partition(".")[0])
    if kind is not None:
        return kind
    if status is None:
        return ServerError
    return class_of(status)


def answer_error(response: Response) -> APIError | None:
    """The error that an answer is; None for a good one.

    A 200 that has `code` and `message` but no `id` and no `data` is an error too.
    """
    good = 200 <= response.status < 300
    body = _body(response)
    inner = body.get("error")
    if isinstance(inner, Mapping) and not body.keys() & {"id", "data"}:
        body = {**body, **inner}
    told = body.get("code") and body.keys() & {"message", "msg"}
    if good and (not told or body.get("id") or body.get("data") is not None):
        return None
    code = str(body.get("code") or "")
    message = str(body.get("message") or body.get("msg") or "") or shown(response)
    request_id = body.get("request_id") or body.get("requestId")
    kind = kind_of(response.status if not good else None, code, message)
    return kind(
        message,
        status=response.status,
        code=code,
        retry_after=seconds(response),
        request_id=str(request_id) if request_id else response.headers.get("x-request-id"),
    )


def upload_error(response: Response) -> APIError | None:
    """The error that the answer to an upload is: a file not taken is told in a 200 (§2.5)."""
    error = answer_error(response)
    if error is not None:
        return error
    body = _body(response)
    refused = files.failed_of(body)
    if not refused:
        return None
    words = "; ".join(f"{one.filename}: {one.message or one.code}" for one in refused)
    request_id = body.get("request_id")
    return kind_of(400, refused[0].code, refused[0].message)(
        f"not uploaded: {words}",
        status=response.status,
        code=refused[0].code,
        request_id=str(request_id) if request_id else None,
    )


def stream_error(event: ErrorEvent) -> APIError:
    """The exception for an `error` frame."""
    kind = kind_of(None, event.code, event.message)
    return kind(
        event.message or "the service reported an error in the stream",
        code=event.code,
        request_id=event.request_id,
    )


def says_no_such_call(error: APIError) -> bool:
    """Whether an error is about the URL or the method rather than an object (§7.1)."""
    if error.status in (404, 405):
        return True
    words = ("Invalid URL", "Request method")
    return error.status == 400 and error.message.startswith(words)


def _body(response: Response) -> dict[str, Any]:
    text = response.body
    if "text/event-stream" in response.headers.get("content-type", ""):
        lines = [line for line in text.split(b"\n") if line.startswith(b"data:")]
        text = lines[0].removeprefix(b"data:") if lines else text  # or not framed at all
    try:
        body = msgspec.json.decode(text)
    except BROKEN:
        return {}
    return body if isinstance(body, dict) else {}
