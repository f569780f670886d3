"""AppBuilder's HTTP surface as one table: operation -> path and parameters (appbuilder.md §2).

Every call is a POST; ids are never in the path, always in the body. Only the upload of a file is
no JSON.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.encoding import Asked, ask, form_fields, json_body, query_of
from aiodashassist.core.files import Form
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Request
from aiodashassist.errors import InvalidArgument, UnsupportedOperation
from aiodashassist.providers.appbuilder.limits import LONGEST_PAGE, check

__all__ = (
    "HOST",
    "PART",
    "PREFIX",
    "RENAMED",
    "ROUTES",
    "SAMPLING",
    "SHORT_LISTS",
    "Route",
    "encode",
    "ids_of",
)

HOST = "https://appbuilder.baidu.com"
PREFIX = "/v2"  # directly below the host (§1.1)
PART = "file"  # of an upload's form; there is no other (§2.2)
PURPOSE = "assistant"  # the SDK's and the service's default (§2.2)

LIST = frozenset({"page_size", "order", "after", "before"})
METADATA = frozenset({"metadata"})
SAMPLING = frozenset({"temperature", "top_p"})
INSTRUCTIONS = frozenset({"instructions", "thought_instructions", "chat_instructions"})
ASSISTANT = INSTRUCTIONS | {
    "model", "name", "description", "response_format", "tools", "file_ids", "metadata",
}  # fmt: skip
RUN = INSTRUCTIONS | SAMPLING | {
    "assistant_id", "model", "response_format", "override_tools", "metadata", "stream",
    "additional_messages", "model_parameters", "tool_output", "user_info", "user_loc",
}  # fmt: skip

RENAMED = {"override_tools": "tools", "page_size": "limit"}
"""Parameters whose wire name differs from ours."""


class Route(msgspec.Struct, frozen=True):
    """The path below the host, and what this call has a place for besides its ids."""

    path: str
    accepts: frozenset[str] = frozenset()


ROUTES: dict[type[Operation[Any]], Route] = {
    ops.CreateAssistant:    Route("/v2/assistants", ASSISTANT),
    ops.UpdateAssistant:    Route("/v2/assistants/update", ASSISTANT),
    ops.ListAssistants:     Route("/v2/assistants/list", LIST),
    ops.RetrieveAssistant:  Route("/v2/assistants/query"),
    ops.DeleteAssistant:    Route("/v2/assistants/delete"),
    ops.AttachFile:         Route("/v2/assistants/files"),
    ops.ListAssistantFiles: Route("/v2/assistants/files/list", LIST),
    ops.DetachFile:         Route("/v2/assistants/files/delete"),
    ops.CreateFiles:        Route("/v2/storage/files", frozenset({"files", "purpose"})),
    ops.ListFiles:          Route("/v2/storage/files/list"),
    ops.RetrieveFile:       Route("/v2/storage/files/query"),
    ops.DeleteFile:         Route("/v2/storage/files/delete"),
    ops.DownloadFile:       Route("/v2/storage/files/download"),
    ops.ReadFile:           Route("/v2/storage/files/content"),
    ops.CreateThread:       Route("/v2/threads", METADATA | {"messages"}),
    ops.RetrieveThread:     Route("/v2/threads/query"),
    ops.UpdateThread:       Route("/v2/threads/update", METADATA),
    ops.DeleteThread:       Route("/v2/threads/delete"),
    ops.CreateMessage:
        Route("/v2/threads/messages", frozenset({"role", "content", "file_ids"})),
    ops.UpdateMessage:
        Route("/v2/threads/messages/update", frozenset({"content", "file_ids"})),
    ops.ListMessages:       Route("/v2/threads/messages/list", LIST),
    ops.RetrieveMessage:    Route("/v2/threads/messages/query"),
    ops.ListMessageFiles:   Route("/v2/threads/messages/files/list", LIST),
    # one path: with a thread's id the run is on that thread, without one on a new thread (§3.8)
    ops.CreateRun:          Route("/v2/threads/runs", RUN),
    ops.CreateThreadAndRun: Route("/v2/threads/runs", RUN | {"thread"}),
    ops.SubmitOutputs:
        Route("/v2/threads/runs/submit_tool_outputs", frozenset({"tool_outputs", "stream"})),
    ops.CancelRun:          Route("/v2/threads/runs/cancel", frozenset({"sync"})),
    ops.ListRuns:           Route("/v2/threads/runs/list", LIST),
    ops.RetrieveRun:        Route("/v2/threads/runs/query"),
    ops.ListSteps:          Route("/v2/threads/runs/steps/list", LIST),
    ops.RetrieveStep:       Route("/v2/threads/runs/steps/query"),
}  # fmt: skip

NEEDS: dict[type[Operation[Any]], tuple[str, ...]] = {
    ops.CreateAssistant: ("model", "name"),  # the HTTP page needs the one, the SDK both (§7 #11)
    ops.CreateFiles: ("files",),
    ops.CreateMessage: ("content",),
    ops.CreateRun: ("assistant_id",),
    ops.CreateThreadAndRun: ("assistant_id",),
}


SHORT_LISTS = (ops.ListMessages, ops.ListMessageFiles)


def ids_of(kind: type[Operation[Any]]) -> tuple[str, ...]:
    """The ids that are fields of an operation."""
    return tuple(name for name in kind.__struct_fields__ if name.endswith("_id"))


def encode(operation: Operation[Any]) -> Request:
    """The request for an operation; see `Provider.encode`."""
    kind = type(operation)
    name = kind.__name__
    route = ROUTES.get(kind)
    if route is None:
        raise UnsupportedOperation(f"AppBuilder has no {name}")
    asked = ask(
        operation,
        provider="AppBuilder",
        ids=ids_of(kind),
        accepts=route.accepts,
        needs=NEEDS.get(kind, ()),
    )
    for key, value in asked.ids.items():
        checks.identifier(key, value)
    check(asked.given)
    if kind in SHORT_LISTS and "page_size" in asked.given:
        checks.whole("page_size", asked.given["page_size"], f"[1, {LONGEST_PAGE}]")
    request = Request(
        method="POST",
        path=route.path,
        query=query_of(asked.extra_query),
        headers=asked.extra_headers,
        operation=name,
    )
    if isinstance(operation, ops.CreateFiles):
        return _upload(request, asked)
    wire = {**asked.extra_body, **asked.ids, **_wire(operation, asked.given)}
    return replace(request, body=json_body(wire, name))


def _upload(request: Request, asked: Asked) -> Request:
    files = asked.given["files"]
    if len(files) != 1:
        raise InvalidArgument(f"AppBuilder takes one file a request, not {len(files)}")
    purpose = query_of({"purpose": asked.given.get("purpose", PURPOSE)})
    form = Form(fields=form_fields(asked.extra_body), files=((PART, files[0]),))
    return replace(request, query={**request.query, **purpose}, form=form)


def _wire(operation: Operation[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, under the wire's names and in its places."""
    wire = {RENAMED.get(key, key): value for key, value in given.items()}
    if isinstance(operation, ops.CreateRun | ops.CreateThreadAndRun):
        return _run(operation, wire)
    if isinstance(operation, ops.CreateThread):
        return {"messages": [], **wire}  # the SDK always sends a list (§2)
    if isinstance(operation, ops.SubmitOutputs):
        return {"tool_outputs": wire["tool_outputs"]}  # never a stream of its own (§5.5)
    return wire


def _run(operation: ops.CreateRun | ops.CreateThreadAndRun, wire: dict[str, Any]) -> dict[str, Any]:
    """A run's body: messages go into an inline thread, sampling into the chat parameters (§3.8)."""
    thread = dict(wire.pop("thread", {}))
    messages = [*(thread.get("messages") or ()), *wire.pop("additional_messages", ())]
    if len(messages) > 1 or any(one.get("role", "user") != "user" for one in messages):
        raise InvalidArgument("a run takes one message with it, of role user: add others before")
    if messages:
        wire["thread"] = {**thread, "messages": messages}
    elif isinstance(operation, ops.CreateThreadAndRun):
        raise InvalidArgument("a run on a new thread needs a message of the user's in thread")
    sampling = {name: wire.pop(name) for name in SAMPLING if name in wire}
    if sampling:
        wire["model_parameters"] = _sampled(wire.get("model_parameters", {}), sampling)
    return wire


def _sampled(parameters: Any, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """The model's parameters with those of the chat that were given by their own names."""
    known = dict(msgspec.to_builtins(parameters))
    chat = dict(known.get("chat_parameters") or {})
    for name in sampling:
        if chat.get(name) is not None:
            raise InvalidArgument(f"{name} is given twice: by itself and in model_parameters")
    return {**known, "chat_parameters": {**chat, **sampling}}
