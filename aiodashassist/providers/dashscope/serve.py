"""DashScope's wire as the local server speaks it: requests in, answers and frames out.

Strict where dashscope.md is silent: a body of the wrong shape is refused, a role other than user
and assistant too. Tolerant where the official SDKs are known to need it (§2.1): an empty JSON
string as body, nulls, unknown fields (`extra_body` can add any, the Java SDK adds
`response_format`), cursors that are empty texts.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from aiodashassist.core import operations as ops
from aiodashassist.core.decoding import parse
from aiodashassist.core.events import Event
from aiodashassist.core.files import File, Form
from aiodashassist.core.models import Model, Page
from aiodashassist.core.operations import ListOperation, Operation
from aiodashassist.core.provider import EventWriter, Refusal
from aiodashassist.core.tooling import Tool, ToolOutput
from aiodashassist.errors import DecodeError, InvalidArgument
from aiodashassist.providers.dashscope import codec, files, routes, spelling

__all__ = ("DashScopeService",)

BAD_BODY = "Required body invalid, please check the request body format."
NO_CONTENT = "The messages information cannot be empty."
GONE = "The specified {} has been deleted or does not exist."
MISSING = {
    "step": "The specified run step does not exist.",
    "message file": "The specified message file not exist.",
}
INVALID = "InvalidParameter"
OBJECTS = ("thread", "messages", "additional_messages", "tool_outputs")
REFUSALS: dict[str, tuple[int, str, str]] = {
    "invalid": (400, INVALID, BAD_BODY),
    "limit": (400, INVALID, "Limit must be between 1 and 100"),
    "order": (400, INVALID, "Order must be 'asc' or 'desc'"),
    "empty": (400, INVALID, NO_CONTENT),
    "url": (400, INVALID, "Invalid URL provided in your request."),
    "method": (400, INVALID, "Request method is not supported."),
    "key_missing": (
        400, INVALID, "API key or Uid is missing. Please provide a valid API key or Uid.",
    ),
    "key_wrong": (401, "InvalidApiKey", "Invalid API-key provided."),
    "host": (403, "AccessDenied", "The host name of the request is not allowed (--allowed-host)."),
    "too_large": (413, "RequestTooLarge", "The request body is larger than 16 MiB."),
    "timeout": (408, "RequestTimeOut", "Request timed out, please try again later."),
    "throttled": (429, "Throttling", "Requests throttling triggered."),
    "unavailable": (
        503, "ModelUnavailable", "Model is unavailable, please try again later.",
    ),
    "internal": (
        500, "InternalError",
        "An internal error has occured, please try again later or contact service support.",
    ),
}  # fmt: skip
"""Kind of refusal -> status, code and usual message (dashscope.md §6)."""


class DashScopeService:
    """The server's half of DashScope; holds no state."""

    prefix = "/api/v1"
    reopens = True
    blocks = False
    needs_user = False  # no document says so
    ping = b""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The bearer token."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def workspace(self, headers: Mapping[str, str]) -> str:
        """The named workspace, or `""`: the key's own (§1.4)."""
        return headers.get("x-dashscope-workspace", "")

    def takes_form(self, method: str, path: str) -> bool:
        """Only the upload of files is no JSON (§2.5)."""
        found = routes.find(method, path)
        return not isinstance(found, str) and found[0] is ops.CreateFiles

    def parse(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | Form
    ) -> Operation[Any]:
        """See `Service.parse`."""
        if isinstance(body, Form):
            return files.read_form(body)
        found = routes.find(method, path)
        if found == "method":
            raise Refusal("method", f"Request method '{method}' is not supported.")
        if isinstance(found, str):
            raise Refusal("url")
        kind, ids = found
        if issubclass(kind, ListOperation):
            return kind(**ids, page=_page(query))
        if kind is ops.ListFiles:
            return files.read_query(query)
        if kind is ops.CreateFiles:
            raise Refusal("invalid")  # no form
        try:
            return kind(**ids, **_fields(kind, _json(body)))
        except InvalidArgument as error:
            raise Refusal("invalid", error.message) from error
        except (DecodeError, msgspec.ValidationError, RecursionError) as error:
            raise Refusal("invalid", f"{BAD_BODY} {error}") from error

    def answer(
        self, operation: Operation[Any], result: msgspec.Struct | Page[Any], request_id: str
    ) -> bytes:
        """See `Service.answer`."""
        if isinstance(operation, files.OPERATIONS):
            body: dict[str, Any] = files.answer(operation, result)
        elif isinstance(result, Page):
            items = [spelling.spell_item(item) for item in result.data]
            body = {
                "object": "list",
                "data": items,
                "first_id": result.first_id,
                "last_id": result.last_id,
                "has_more": result.has_more,
            }
        else:
            assert isinstance(result, Model)  # noqa: S101 (for the type checker)
            creates = isinstance(operation, ops.CreateRun | ops.CreateThreadAndRun)
            body = spelling.spell(result, spelling.SHORT_RUN if creates else None)
        return msgspec.json.encode({**body, "request_id": request_id})

    def headers(self, file: File | None, request_id: str) -> Mapping[str, str]:
        """None: the bodies have the request's id."""
        del file, request_id
        return {}

    def writer(self, request_id: str) -> EventWriter:
        """Events, framed without a space after the colons, or the official SDK dies (§5.2)."""

        def write(event: Event) -> bytes:
            name, data = spelling.spell_event(event)
            json = msgspec.json.encode({**data, "request_id": request_id})
            return b"event:%b\ndata:%b\n\n" % (name.encode(), json)

        return write

    def closing(self) -> bytes:
        """The closing mark, whose data is not JSON (§5.2)."""
        return b"event:done\ndata:[DONE]\n\n"

    def refuse(
        self, refusal: Refusal, request_id: str, operation: Operation[Any] | None = None
    ) -> tuple[int, bytes]:
        """See `Service.refuse`; a missing object is a 400 here (§6.2)."""
        del operation
        if refusal.kind == "missing":
            subject = refusal.subject
            status, code = 400, INVALID
            message = MISSING.get(subject) or GONE.format(subject)
        else:
            status, code, usual = REFUSALS[refusal.kind]
            message = refusal.message or usual
        body = {"code": code, "message": message, "request_id": request_id}
        return status, msgspec.json.encode(body)


def _json(body: bytes) -> dict[str, Any]:
    """A request's body without its nulls; `Threads.create()` sends an empty text (§2.1)."""
    if not body.strip():
        return {}
    parsed = parse(body)
    if parsed in ("", None):
        return {}
    if not isinstance(parsed, dict):
        raise InvalidArgument(BAD_BODY)
    found: dict[str, Any] = _without_nulls(parsed)
    return found


def _without_nulls(value: Any) -> Any:
    """A body without nulls, also in the objects inside it; metadata and tools stay as they are."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_nulls(item) if key in OBJECTS else item
        for key, item in value.items()
        if item is not None
    }


def _page(query: Mapping[str, str]) -> Any:
    page: dict[str, Any] = {name: query[name] for name in ("after", "before") if query.get(name)}
    if len(page) > 1:
        raise Refusal("invalid", "after and before exclude each other")
    if limit := query.get("limit"):
        if re.fullmatch(r"[1-9]\d?|100", limit, re.ASCII) is None:
            raise Refusal("limit")
        page["page_size"] = int(limit)
    if order := query.get("order"):
        if order not in ("asc", "desc"):
            raise Refusal("order")
        page["order"] = order
    return page


def _fields(kind: type[Operation[Any]], body: dict[str, Any]) -> dict[str, Any]:
    """The fields of an operation from its body; the ids are in the path."""
    types = {item.name: item.type for item in msgspec.structs.fields(kind)}
    fields: dict[str, Any] = {}
    if kind is ops.SubmitOutputs:
        outputs = msgspec.convert(body.get("tool_outputs"), tuple[ToolOutput, ...])
        if not outputs:
            raise InvalidArgument("tool_outputs must not be empty")
        fields["tool_outputs"] = outputs
    if "file_id" in routes.ROUTES[kind].accepts:
        fields["file_id"] = msgspec.convert(body.get("file_id"), str)
        routes.check(fields)
    if "params" in types:
        fields["params"] = _params(kind, types["params"], body)
    if "stream" in types:
        fields["stream"] = msgspec.convert(body.get("stream", False), bool)
    if body.get("thread") is not None and "thread" in types:
        fields["thread"] = _params(ops.CreateThread, types["thread"], body["thread"])
    return fields


def _params(kind: type[Operation[Any]], type: Any, body: Any) -> Any:
    if not isinstance(body, dict):
        raise InvalidArgument(BAD_BODY)
    wire_names = {routes.RENAMED.get(name, name): name for name in routes.ROUTES[kind].accepts}
    given = {wire_names[key]: value for key, value in body.items() if key in wire_names}
    if kind is ops.UpdateAssistant and not given.get("file_ids"):
        given.pop("file_ids", None)  # the SDK always sends an empty list (§2.1)
    if kind is ops.CreateAssistant and not given.get("model"):
        raise InvalidArgument("Required parameter(s) missing: model")
    params = msgspec.convert(given, type)
    for name in ("tools", "override_tools"):
        if name in params:
            params[name] = _declared(params[name])
    if kind is ops.CreateMessage:
        _check_message(params)
    for name in ("messages", "additional_messages"):
        for message in params.get(name) or ():
            _check_message(message)
    routes.check(params)
    return params


def _check_message(message: Mapping[str, Any]) -> None:
    if not message["content"]:
        raise Refusal("empty")
    if message.get("role", "user") not in ("user", "assistant"):
        raise InvalidArgument("role must be user or assistant")


def _declared(value: list[Any]) -> list[Tool]:
    """Tools as declared; a function needs a name, and not this one (§3.9).

    A tool that has more than this library knows is kept as it came, to be echoed so (§3.1).
    """
    tools = codec.read_tools(value)
    for tool, sent in zip(tools, value, strict=True):
        if not isinstance(sent.get("type"), str) or not sent["type"]:
            raise InvalidArgument("Required parameter(s) invalid: tools")
        if isinstance(tool, dict) and (tool.get("type") in ("function", "rag")):
            raise InvalidArgument("Required parameter(s) invalid: tools")
        function = getattr(tool, "function", None)
        if function is not None and function.name in ("", "search"):
            raise InvalidArgument(f"Tool names are not allowed to be [{function.name}]")
    pairs = zip(tools, value, strict=True)
    return [tool if msgspec.to_builtins(tool) == sent else sent for tool, sent in pairs]
