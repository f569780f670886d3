"""DashScope's HTTP surface as one table: operation -> method, path, parameters (dashscope.md §2).

Everything hangs directly below the base URL. Updates are POST; PATCH and PUT are never used.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec.structs import replace

from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.encoding import ask, json_body, query_of
from aiodashassist.core.operations import Operation
from aiodashassist.core.plain import cause
from aiodashassist.core.provider import Request
from aiodashassist.errors import ConfigError, InvalidArgument, UnsupportedOperation
from aiodashassist.providers.dashscope.files import form_of

__all__ = ("RENAMED", "ROUTES", "Route", "base_url", "check", "encode", "find")

HOSTS = {
    "cn": "https://dashscope.aliyuncs.com/api/v1",
    "intl": "https://dashscope-intl.aliyuncs.com/api/v1",
    "us": "https://dashscope-us.aliyuncs.com/api/v1",
}
# Hosts that carry the workspace in their name (dashscope.md §1.1).
MAAS_REGIONS = ("ap-southeast-1", "us-east-1", "cn-hongkong", "eu-central-1", "ap-northeast-1")


def base_url(region: str, workspace: str | None) -> str:
    """The base URL of a region (dashscope.md §1.1).

    Raises:
        ConfigError: an unknown region, or one whose host needs a workspace.
    """
    if region in HOSTS:
        return HOSTS[region]
    if region == "cn-beijing":
        return HOSTS["cn"]
    if region not in MAAS_REGIONS:
        known = ", ".join((*HOSTS, "cn-beijing", *MAAS_REGIONS))
        raise ConfigError(f"unknown region {region!r}; known: {known}")
    if not workspace:
        raise ConfigError(f"the host of region {region!r} needs a workspace")
    if not re.fullmatch(r"[A-Za-z0-9-]+", workspace):  # anything else would name another host
        raise ConfigError(f"the host of region {region!r} cannot carry this workspace in its name")
    return f"https://{workspace}.{region}.maas.aliyuncs.com/api/v1"


METADATA = frozenset({"metadata"})
FILE_ID = frozenset({"file_id"})
UPLOAD = frozenset({"files", "purpose", "description"})
PAGE = frozenset({"page_size", "page_no"})
LIST = frozenset({"page_size", "order", "after", "before"})
MESSAGE = frozenset({"role", "content", "file_ids", "metadata"})
THREAD = frozenset({"messages", "metadata"})
SAMPLING = frozenset({"temperature", "top_p", "top_k", "max_tokens"})
ASSISTANT = SAMPLING | {
    "model", "name", "description", "instructions", "tools", "file_ids", "metadata",
}  # fmt: skip
# From `max_prompt_tokens` on only the Java SDK has them (dashscope.md §2.2).
RUN = SAMPLING | {
    "assistant_id", "model", "instructions", "additional_instructions", "override_tools",
    "metadata", "truncation_strategy", "max_prompt_tokens", "max_completion_tokens",
    "additional_messages", "tool_choice", "response_format", "parallel_tool_calls",
}  # fmt: skip

RENAMED = {"override_tools": "tools", "page_size": "limit"}
"""Parameters whose wire name differs from ours, but for `/files`, where it does not."""


class Route(msgspec.Struct, frozen=True):
    """Method, path below the base URL, and the parameters that this call has a place for."""

    method: str
    path: str
    accepts: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = msgspec.field(default_factory=lambda: RENAMED)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the path, the outer before the inner."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a path of this route looks like."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))


ASSISTANT_FILE = "/assistants/{assistant_id}/files"
MESSAGE_FILE = "/threads/{thread_id}/messages/{message_id}/files"
RUN_PATH = "/threads/{thread_id}/runs/{run_id}"
MESSAGE_PATH = "/threads/{thread_id}/messages/{message_id}"

ROUTES: dict[type[Operation[Any]], Route] = {
    ops.CreateAssistant:    Route("POST", "/assistants", ASSISTANT),
    ops.ListAssistants:     Route("GET", "/assistants", LIST),
    ops.RetrieveAssistant:  Route("GET", "/assistants/{assistant_id}"),
    ops.UpdateAssistant:    Route("POST", "/assistants/{assistant_id}", ASSISTANT),
    ops.DeleteAssistant:    Route("DELETE", "/assistants/{assistant_id}"),
    ops.AttachFile:         Route("POST", ASSISTANT_FILE, FILE_ID),
    ops.ListAssistantFiles: Route("GET", ASSISTANT_FILE, LIST),
    ops.RetrieveAssistantFile: Route("GET", ASSISTANT_FILE + "/{file_id}"),
    ops.DetachFile:         Route("DELETE", ASSISTANT_FILE + "/{file_id}"),
    ops.CreateThread:       Route("POST", "/threads", THREAD),
    # before /threads/{thread_id}: a thread's id is never "runs"
    ops.CreateThreadAndRun: Route("POST", "/threads/runs", RUN | {"thread", "stream"}),
    ops.RetrieveThread:     Route("GET", "/threads/{thread_id}"),
    ops.UpdateThread:       Route("POST", "/threads/{thread_id}", METADATA),
    ops.DeleteThread:       Route("DELETE", "/threads/{thread_id}"),
    ops.CreateMessage:      Route("POST", "/threads/{thread_id}/messages", MESSAGE),
    ops.ListMessages:       Route("GET", "/threads/{thread_id}/messages", LIST),
    ops.RetrieveMessage:    Route("GET", MESSAGE_PATH),
    ops.UpdateMessage:      Route("POST", MESSAGE_PATH, METADATA),
    ops.ListMessageFiles:   Route("GET", MESSAGE_FILE, LIST),
    ops.RetrieveMessageFile: Route("GET", MESSAGE_FILE + "/{file_id}"),
    ops.CreateRun:          Route("POST", "/threads/{thread_id}/runs", RUN | {"stream"}),
    ops.ListRuns:           Route("GET", "/threads/{thread_id}/runs", LIST),
    ops.RetrieveRun:        Route("GET", RUN_PATH),
    ops.UpdateRun:          Route("POST", RUN_PATH, METADATA),
    ops.SubmitOutputs:
        Route("POST", RUN_PATH + "/submit_tool_outputs", frozenset({"tool_outputs", "stream"})),
    ops.CancelRun:          Route("POST", RUN_PATH + "/cancel"),
    ops.ListSteps:          Route("GET", RUN_PATH + "/steps", LIST),
    ops.RetrieveStep:       Route("GET", RUN_PATH + "/steps/{step_id}"),
    ops.CreateFiles:        Route("POST", "/files", UPLOAD, {}),
    ops.ListFiles:          Route("GET", "/files", PAGE, {}),
    ops.RetrieveFile:       Route("GET", "/files/{file_id}"),
    ops.DeleteFile:         Route("DELETE", "/files/{file_id}"),
}  # fmt: skip

_PATTERNS = [(kind, route.method, route.pattern) for kind, route in ROUTES.items()]


def find(method: str, path: str) -> tuple[type[Operation[Any]], dict[str, Any]] | str:
    """Which operation a request line means, and its ids; else `url` or `method`: what is wrong."""
    known = False
    for kind, verb, pattern in _PATTERNS:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        known = True
        if verb == method:
            return kind, {name: unquote(value) for name, value in found.groupdict().items()}
    return "method" if known else "url"


def encode(operation: Operation[Any]) -> Request:
    """The request for an operation; see `Provider.encode`."""
    name = type(operation).__name__
    route = ROUTES.get(type(operation))
    if route is None:
        raise UnsupportedOperation(f"DashScope has no {name}")
    asked = ask(
        operation,
        provider="DashScope",
        ids=route.ids,
        accepts=route.accepts,
        needs=NEEDS.get(type(operation), ()),
    )
    check(asked.given)
    wire = {route.renamed.get(key, key): value for key, value in asked.given.items()}
    if isinstance(operation, ops.SubmitOutputs):
        wire["tool_outputs"] = [
            {"output": one.output, "tool_call_id": one.tool_call_id}
            for one in operation.tool_outputs
        ]
    path = route.path.format_map({key: _segment(key, value) for key, value in asked.ids.items()})
    request = Request(method=route.method, path=path, headers=asked.extra_headers, operation=name)
    if isinstance(operation, ops.CreateFiles):
        form = form_of(wire.pop("files"), {**asked.extra_body, **wire})
        return replace(request, query=query_of(asked.extra_query), form=form)
    if route.method != "POST":
        if asked.extra_body:
            raise InvalidArgument(f"{name} has no body: extra_body has no place in it")
        return replace(request, query=query_of({**asked.extra_query, **wire}))
    body = (
        json_body({**asked.extra_body, **wire}, name) if route.accepts or asked.extra_body else None
    )
    return replace(request, query=query_of(asked.extra_query), body=body)


NEEDS: dict[type[Operation[Any]], tuple[str, ...]] = {
    ops.CreateAssistant: ("model",),
    ops.AttachFile: ("file_id",),
    ops.CreateMessage: ("content",),
    ops.CreateRun: ("assistant_id",),
    ops.CreateThreadAndRun: ("assistant_id",),
    ops.CreateFiles: ("files",),
}


def _segment(name: str, value: str) -> str:
    """An id as one segment of a path; dots alone would be resolved on the way."""
    checks.identifier(name, value)
    try:
        quoted = quote(value, safe="")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{name} cannot be written in a URL: {error}") from cause(error)
    if quoted in (".", ".."):
        raise InvalidArgument(f"{name} must not be {quoted!r}")
    return quoted


def check(given: Mapping[str, Any]) -> None:
    """The limits that DashScope documents (dashscope.md §2, §3, §6.3); None is not given.

    Raises:
        InvalidArgument: a value beyond its limit, in messages and threads inside too.
    """
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"expected an object, not {type(given).__name__}")
    for name, value in given.items():
        if value is not None and name in CHECKS:
            CHECKS[name](name, value)
    if given.get("after") and given.get("before"):
        raise InvalidArgument("after and before exclude each other")


def _check_content(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidArgument(f"{name} must be a text, and not empty")


def _check_cursor(name: str, value: Any) -> None:
    """An id; the empty text is sent as the official SDK sends it (dashscope.md §2)."""
    if value != "":
        checks.identifier(name, value)


def _check_messages(name: str, value: Any) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidArgument(f"{name} must be a list, not {type(value).__name__}")
    for message in value:
        check(message)
        if message.get("content") is None:
            raise InvalidArgument(f"a message in {name} needs content")


def _check_truncation(name: str, value: Any) -> None:
    """Only `last_messages` is supported, as the documents have it (dashscope.md §2.2)."""
    try:
        plain_value = msgspec.to_builtins(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name} cannot be written as JSON: {error}") from cause(error)
    if not isinstance(plain_value, Mapping):
        raise InvalidArgument(f"{name} must be an object, not {type(value).__name__}")
    checks.one_of(f"{name}.type", plain_value.get("type"), ("last_messages",))
    count = plain_value.get("last_messages")
    if count is not None:
        checks.whole(f"{name}.last_messages", count, "[1, inf)")


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "assistant_id": checks.identifier,
    "file_id": checks.identifier,
    "content": _check_content,
    "metadata": lambda _, value: checks.metadata(value),
    "thread": lambda _, value: check(value),
    "messages": _check_messages,
    "additional_messages": _check_messages,
    "truncation_strategy": _check_truncation,
    "order": lambda name, value: checks.one_of(name, value, ("asc", "desc")),
    "temperature": lambda name, value: checks.between(name, value, "[0, 2)"),
    "top_p": lambda name, value: checks.between(name, value, "(0, 1]"),
    "after": _check_cursor,
    "before": _check_cursor,
    "page_no": lambda name, value: checks.whole(name, value, "[1, inf)"),
    "page_size": lambda name, value: checks.whole(name, value, "[1, 100]"),
    "top_k": lambda name, value: checks.whole(name, value, "[0, inf)"),
    "max_tokens": lambda name, value: checks.whole(name, value, "[1, inf)"),
}
