"""What a request to the local server asks for: a body into an operation (appbuilder.md §2).

The official SDK sends every field, with null, `""`, `[]` or `{}` for what was not given; so these
say "not given", but where the notes know better: the instructions of a run (§3.8, §7 #9).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from aiodashassist.core import operations as ops
from aiodashassist.core.decoding import parse
from aiodashassist.core.operations import ListOperation, Operation
from aiodashassist.core.params import RunParams
from aiodashassist.core.provider import Refusal
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import DecodeError, InvalidArgument
from aiodashassist.providers.appbuilder.codec import read_tools
from aiodashassist.providers.appbuilder.limits import LONGEST_PAGE, check
from aiodashassist.providers.appbuilder.routes import (
    NEEDS,
    RENAMED,
    ROUTES,
    SAMPLING,
    SHORT_LISTS,
    ids_of,
)

__all__ = ("read_operation",)

NOTHING: tuple[Any, ...] = (None, "", [], {})
T = TypeVar("T")

ALL = 2**31 - 1  # files; their list has no pages (§2.2)
REPLACED: Mapping[str, Any] = {
    "description": "", "instructions": "", "thought_instructions": "", "chat_instructions": "",
    "response_format": "text", "tools": [], "file_ids": [],
}  # fmt: skip
"""What an update makes of a field that it does not give (§3.1)."""
OURS = (*RENAMED, *SAMPLING, "additional_messages")
TOLD = ("instructions", "thought_instructions", "chat_instructions", "content", "output")
"""Texts that mean something when they are empty."""


def read_operation(kinds: Sequence[type[Operation[Any]]], body: bytes) -> Operation[Any]:
    """The operation that a JSON body asks for; of two on one path the body says which.

    Raises:
        Refusal: it is not acceptable.
    """
    if ops.CreateFiles in kinds:
        raise Refusal("invalid", "a file is uploaded as multipart/form-data")
    try:
        given = _given(parse(body) if body.strip() else {})
        kind = kinds[0] if "thread_id" in given else kinds[-1]
        return _operation(kind, given)
    except InvalidArgument as error:
        said = error.message
        for ours, wire in RENAMED.items():
            said = said.replace(ours, wire)  # whoever asked knows the wire's words
        raise Refusal("invalid", said) from error
    except (DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise Refusal("invalid", f"The request body is invalid: {error}") from error


def _given(body: Any) -> dict[str, Any]:
    """What a body gives, without what says that nothing is given."""
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidArgument("the request body must be a JSON object")
    return {
        name: value
        for name, value in body.items()
        if value not in NOTHING or (value == "" and name in TOLD)
    }


def _operation(kind: Any, given: dict[str, Any]) -> Operation[Any]:
    for name in (*ids_of(kind), *NEEDS.get(kind, ())):
        # The HTTP document has no need of a name (§7 #11).
        if name not in given and name != "name":
            raise InvalidArgument(f"{name} is required")
    given = _ours(kind, given)
    ids: dict[str, Any] = {name: _typed(name, given.pop(name), str) for name in ids_of(kind)}
    if issubclass(kind, ListOperation):
        page: Operation[Any] = kind(**ids, page=_page(kind, given))
        return page
    if kind is ops.ListFiles:
        return ops.ListFiles(page={"page_size": ALL})
    if kind is ops.SubmitOutputs:
        return ops.SubmitOutputs(
            thread_id=ids["thread_id"],
            run_id=ids["run_id"],
            tool_outputs=_outputs(given.get("tool_outputs", ())),
        )
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    fields: dict[str, Any] = {}
    if kind in (ops.CreateRun, ops.CreateThreadAndRun):
        fields = _run(kind, given)
    if "params" in types:
        wanted = {name: given[name] for name in ROUTES[kind].accepts if name in given}
        fields["params"] = _params(kind, types["params"], wanted)
    operation: Operation[Any] = kind(**ids, **fields)
    return operation


def _ours(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What is given, by the names of this library; the wire does not know them as its own."""
    known = {name: value for name, value in given.items() if name not in OURS}
    for ours, wire in RENAMED.items():
        if ours in ROUTES[kind].accepts and wire in known:
            known[ours] = known.pop(wire)
    return known


def _run(kind: type[Operation[Any]], given: dict[str, Any]) -> dict[str, Any]:
    """A run's body: its messages stand in an inline thread, of one round (§3.8).

    The thread is taken out of `given`; messages for a thread that there is become its additional
    ones.
    """
    fields: dict[str, Any] = {"stream": _typed("stream", given.pop("stream", False), bool)}
    thread = given.pop("thread", None)
    if "tool_output" in given and kind is ops.CreateThreadAndRun:
        raise InvalidArgument("tool_output goes on with a run, and needs its thread_id")
    if thread is None and kind is ops.CreateThreadAndRun:
        raise InvalidArgument("thread is required where there is no thread_id")
    if thread is None:
        return fields
    if not isinstance(thread, dict):
        raise InvalidArgument("thread must be an object")
    inline = _params(ops.CreateThread, dict[str, Any], _given(thread))
    if len(inline.get("messages", ())) != 1:
        raise InvalidArgument("thread must have exactly one message, of role user")
    if kind is ops.CreateThreadAndRun:
        fields["thread"] = inline
    else:
        given["additional_messages"] = inline["messages"]
    return fields


def _params(kind: type[Operation[Any]], type: Any, given: dict[str, Any]) -> Any:
    if kind is ops.UpdateAssistant:
        given = {**REPLACED, **given}
    for name in ("tools", "override_tools"):
        if name in given:
            given[name] = _declared(name, given[name])
    if kind is ops.UpdateMessage:
        given.setdefault("file_ids", [])  # replaced, too: the SDK sends an empty list (§2.4)
    if "tool_output" in given:
        given["tool_output"] = _outputs([given["tool_output"]])[0]
    if "messages" in given:
        messages = _typed("messages", given["messages"], list[dict[str, Any]])
        given["messages"] = [_given(message) for message in messages]
    for message in (given, *given.get("messages", ())):
        if message.get("role", "user") != "user":
            raise InvalidArgument("role must be user")
    params = msgspec.convert(given, dict[str, Any] if type is RunParams else type)
    check(params)
    return params


def _declared(name: str, value: Any) -> Any:
    """Tools; only functions, and each with a name (§3.2)."""
    tools = read_tools(value)
    for tool in tools:
        if isinstance(tool, dict) or not tool.function.name:  # type: ignore[union-attr]
            raise InvalidArgument(f"{name} must be functions, each with a name")
    return tools


def _outputs(value: Any) -> tuple[ToolOutput, ...]:
    items = _typed("tool_outputs", value, list[dict[str, Any]])
    given = [{name: part for name, part in item.items() if part is not None} for item in items]
    return _typed("tool_outputs", given, tuple[ToolOutput, ...])


def _typed(name: str, value: Any, kind: type[T]) -> T:
    """A value of the type that it must have.

    Raises:
        InvalidArgument: it has another one; the name is said.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"{name}: {error}") from error


def _page(kind: type[Operation[Any]], given: Mapping[str, Any]) -> Any:
    names = ("page_size", "order", "after", "before")
    page = {name: given[name] for name in names if name in given}
    check(page)
    if kind in SHORT_LISTS and page.get("page_size", 1) > LONGEST_PAGE:
        raise InvalidArgument(f"limit must be between 1 and {LONGEST_PAGE}")
    return page
