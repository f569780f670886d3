"""Bodies of requests into operations: those of the official SDK, and all that is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal
from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, ToolOutput
from aiodashassist.providers.appbuilder import routes
from aiodashassist.providers.appbuilder.asking import read_operation
from tests.providers.appbuilder.values import ALL_FILES, OPERATIONS

RUNS = (ops.CreateRun, ops.CreateThreadAndRun)
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}
FUNCTION = FunctionTool(function=FunctionDefinition(name="f", description="d", parameters={}))
HI: Any = {"role": "user", "content": "hi"}
CURSORS = {"limit": 20, "order": "desc", "after": "", "before": ""}
PAGE: Any = {"page_size": 20, "order": "desc"}
PAIRS = {str(number): "v" for number in range(17)}
RUN: dict[str, Any] = {"thread_id": "t", "assistant_id": "a"}


def asked(kind: Any, body: Any) -> Operation[Any]:
    """The operation of a body; one that is not bytes is sent as JSON."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return read_operation(kinds, body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(kind: Any, body: Any) -> Refusal:
    """How a body is refused."""
    with pytest.raises(Refusal) as caught:
        asked(kind, body)
    return caught.value


# --- what the official SDK sends: every field, always (§2) ---

BARE_RUN: dict[str, Any] = {
    "thread_id": "", "thread": None, "model": None, "assistant_id": "a", "response_format": "text",
    "instructions": None, "thought_instructions": None, "chat_instructions": None, "stream": False,
    "tools": [], "metadata": {}, "model_parameters": None, "tool_output": None, "user_info": None,
    "user_loc": None,
}  # fmt: skip
SDK: dict[str, tuple[Any, Any, Operation[Any]]] = {
    "assistants.create": (
        ops.CreateAssistant,
        {
            "model": "ERNIE-4.0T-8K", "name": "助手", "description": "", "response_format": "text",
            "instructions": "", "thought_instructions": "", "chat_instructions": "", "tools": [],
            "file_ids": [], "metadata": {},
        },
        ops.CreateAssistant(
            params={
                "model": "ERNIE-4.0T-8K", "name": "助手", "instructions": "",
                "thought_instructions": "", "chat_instructions": "", "response_format": "text",
            }
        ),
    ),
    "assistants.update": (
        ops.UpdateAssistant,
        {"assistant_id": "a", "model": None, "name": "n", "tools": [TOOL], "metadata": {}},
        ops.UpdateAssistant(
            assistant_id="a",
            params={
                "description": "", "instructions": "", "thought_instructions": "",
                "chat_instructions": "", "response_format": "text", "tools": (FUNCTION,),
                "file_ids": [], "name": "n",
            },
        ),
    ),
    "assistants.list": (ops.ListAssistants, CURSORS, ops.ListAssistants(page=PAGE)),
    "assistants.unmount_files looks": (
        ops.ListAssistantFiles, {"assistant_id": "a", **CURSORS, "limit": 2147483647},
        ops.ListAssistantFiles(
            assistant_id="a", page={"page_size": 2147483647, "order": "desc"}
        ),
    ),
    "files.list": (ops.ListFiles, {}, ALL_FILES),
    "files.query": (ops.RetrieveFile, {"file_id": "f"}, ops.RetrieveFile(file_id="f")),
    "threads.create": (
        ops.CreateThread,
        {"messages": [{**HI, "file_ids": []}, {"content": "", "role": None, "file_ids": None}]},
        ops.CreateThread(params={"messages": [HI, {"content": ""}]}),
    ),
    "threads.create bare": (ops.CreateThread, {"messages": []}, ops.CreateThread()),
    "threads.update": (
        ops.UpdateThread, {"thread_id": "t", "metadata": {}},
        ops.UpdateThread(thread_id="t", params={}),
    ),
    "messages.create": (
        ops.CreateMessage, {"thread_id": "t", **HI, "file_ids": []},
        ops.CreateMessage(thread_id="t", params={"role": "user", "content": "hi"}),
    ),
    "messages.update": (
        ops.UpdateMessage,
        {"thread_id": "t", "message_id": "m", "content": "", "file_ids": None},
        ops.UpdateMessage(
            thread_id="t", message_id="m", params={"content": "", "file_ids": []}
        ),
    ),
    "messages.list": (
        ops.ListMessages, {"thread_id": "t", **CURSORS},
        ops.ListMessages(thread_id="t", page=PAGE),
    ),
    "runs.run": (
        RUNS, {**BARE_RUN, "thread_id": "t"},
        ops.CreateRun(
            thread_id="t", params={"assistant_id": "a", "response_format": "text"}
        ),
    ),
    "runs.run on a new thread": (
        RUNS, {**BARE_RUN, "thread": {"messages": [{**HI, "file_ids": []}]}, "stream": True},
        ops.CreateThreadAndRun(
            thread={"messages": [HI]},
            params={"assistant_id": "a", "response_format": "text"}, stream=True,
        ),
    ),
    "runs.run with all": (
        RUNS,
        {
            **RUN, "stream": True, "model": "m", "instructions": "", "tools": [TOOL],
            "thread": {"messages": [HI], "metadata": {"k": "v"}}, "metadata": {"k": "v"},
            "model_parameters": {"chat_parameters": {"temperature": 0.5}},
            "user_info": {"id": "i"}, "user_loc": {"loc": "l"},
        },
        ops.CreateRun(
            thread_id="t", stream=True,
            params={
                "assistant_id": "a", "model": "m", "instructions": "",
                "override_tools": (FUNCTION,), "additional_messages": [HI],
                "metadata": {"k": "v"}, "user_info": {"id": "i"}, "user_loc": {"loc": "l"},
                "model_parameters": {"chat_parameters": {"temperature": 0.5}},
            },
        ),
    ),
    "runs.run with a tool's output": (
        RUNS,
        {**RUN, "tool_output": {"tool_call_id": "c", "output": "", "run_id": None}},
        ops.CreateRun(
            thread_id="t",
            params={
                "assistant_id": "a", "tool_output": ToolOutput(output="", tool_call_id="c"),
            },
        ),
    ),
    "runs.submit_tool_outputs": (
        ops.SubmitOutputs,
        {
            "thread_id": "t", "run_id": "r",
            "tool_outputs": [{"tool_call_id": "c", "output": "o", "run_id": ""}],
        },
        ops.SubmitOutputs(
            thread_id="t", run_id="r", tool_outputs=(ToolOutput(output="o", tool_call_id="c"),)
        ),
    ),
    "runs.cancel": (
        ops.CancelRun, {"thread_id": "t", "run_id": "r", "sync": False},
        ops.CancelRun(thread_id="t", run_id="r", params={"sync": False}),
    ),
    "runs.steps.query": (
        ops.RetrieveStep, {"thread_id": "t", "run_id": "r", "step_id": "s"},
        ops.RetrieveStep(thread_id="t", run_id="r", step_id="s"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "operation"), SDK.values(), ids=SDK)
def test_bodies_of_the_official_sdk_are_taken(
    kind: Any, body: Any, operation: Operation[Any]
) -> None:
    """Null, `""`, `[]` and `{}` are not given, but where an empty text means something (§2)."""
    assert asked(kind, body) == operation


@pytest.mark.parametrize("body", [b"", b" \r\n", b"null", b"{}"])
def test_no_body_gives_nothing(body: bytes) -> None:
    """A list needs nothing."""
    assert asked(ops.ListAssistants, body) == ops.ListAssistants()


def test_fields_that_nobody_knows_are_passed_over() -> None:
    """Also those that only this library knows: they are no words of the wire (§3.8)."""
    ours = {
        "override_tools": [TOOL], "page_size": 0, "temperature": 5, "top_p": 5,
        "additional_messages": [{"content": "x", "role": "system"}],
    }  # fmt: skip

    assert asked(RUNS, {**RUN, **ours, "new": 1}) == ops.CreateRun(
        thread_id="t", params={"assistant_id": "a"}
    )
    assert asked(ops.ListAssistants, {**ours, "limit": 5}) == ops.ListAssistants(
        page={"page_size": 5}
    )


@pytest.mark.parametrize("field", ["instructions", "thought_instructions", "chat_instructions"])
def test_empty_instructions_of_a_run_override(field: str) -> None:
    """`""` is a value there, null is none (§3.8, §7 #9)."""
    told, silent = (asked(RUNS, {**RUN, field: value}) for value in ("", None))

    assert isinstance(told, ops.CreateRun)
    assert isinstance(silent, ops.CreateRun)
    assert (told.params.get(field), field in silent.params) == ("", False)


def test_an_update_replaces_what_it_does_not_give() -> None:
    """But for model, name and metadata (§3.1)."""
    operation = asked(ops.UpdateAssistant, {"assistant_id": "a", "metadata": {"k": "v"}})

    assert isinstance(operation, ops.UpdateAssistant)
    assert operation.params == {
        "description": "", "instructions": "", "thought_instructions": "", "chat_instructions": "",
        "response_format": "text", "tools": (), "file_ids": [], "metadata": {"k": "v"},
    }  # fmt: skip


def test_a_name_may_be_left_out() -> None:
    """The HTTP document has no need of one (§7 #11)."""
    assert asked(ops.CreateAssistant, {"model": "m"}) == ops.CreateAssistant(params={"model": "m"})


# --- refusals ---

UPDATE = {"assistant_id": "a"}
SUBMIT: dict[str, Any] = {"thread_id": "t", "run_id": "r"}
REFUSED: list[tuple[Any, Any, str]] = [
    # no object, no JSON
    (ops.RetrieveThread, b"{", "request body is invalid"),
    (ops.RetrieveThread, b"\xff", "request body is invalid"),
    (ops.RetrieveThread, b"[" * 100_000, "request body is invalid"),
    (ops.RetrieveThread, [], "must be a JSON object"),
    (ops.RetrieveThread, "text", "must be a JSON object"),
    (ops.RetrieveThread, 5, "must be a JSON object"),
    # what is needed
    (ops.RetrieveThread, {}, "thread_id is required"),
    (ops.RetrieveThread, {"thread_id": ""}, "thread_id is required"),
    (ops.RetrieveThread, {"thread_id": None}, "thread_id is required"),
    (ops.RetrieveThread, {"thread_id": 5}, "thread_id"),
    (ops.RetrieveThread, {"thread_id": {"a": 1}}, "thread_id"),
    (ops.RetrieveStep, {"thread_id": "t", "run_id": "r"}, "step_id is required"),
    (ops.CreateAssistant, {"name": "n"}, "model is required"),
    (ops.CreateMessage, {"thread_id": "t"}, "content is required"),
    (ops.CreateMessage, {"thread_id": "t", "content": None}, "content is required"),
    (ops.AttachFile, {"assistant_id": "a"}, "file_id is required"),
    (RUNS, {"thread_id": "t"}, "assistant_id is required"),
    # limits: those of the client hold here, too
    (ops.CreateAssistant, {"model": "m", "name": "a b"}, "name must have 1 to 128"),
    (ops.CreateAssistant, {"model": "m", "name": "n" * 129}, "name must have 1 to 128"),
    (ops.CreateAssistant, {"model": 5}, "model"),
    (ops.CreateAssistant, {"model": "m", "description": "d" * 513}, "at most 512"),
    (ops.CreateAssistant, {"model": "m", "instructions": "i" * 4097}, "at most 4096"),
    (ops.CreateAssistant, {"model": "m", "response_format": "json"}, "response_format"),
    (ops.CreateAssistant, {"model": "m", "tools": [TOOL] * 11}, "tools has 11 items"),
    (ops.CreateAssistant, {"model": "m", "file_ids": ["f"] * 11}, "file_ids has 11 items"),
    (ops.CreateAssistant, {"model": "m", "file_ids": [""]}, "file_ids"),
    (ops.CreateAssistant, {"model": "m", "metadata": PAIRS}, "metadata has 17 pairs"),
    (ops.CreateAssistant, {"model": "m", "metadata": {"k": 5}}, "metadata"),
    (ops.CreateAssistant, {"model": "m", "metadata": [1]}, "metadata"),
    (ops.UpdateAssistant, {**UPDATE, "chat_instructions": "i" * 4097}, "chat_instructions"),
    (ops.UpdateThread, {"thread_id": "t", "metadata": {"k": "v" * 513}}, "at most 512"),
    # tools
    (ops.CreateAssistant, {"model": "m", "tools": {"a": 1}}, "list"),
    (ops.CreateAssistant, {"model": "m", "tools": [5]}, "object"),
    (ops.CreateAssistant, {"model": "m", "tools": [{"type": "search"}]}, "tools must be functions"),
    (ops.CreateAssistant, {"model": "m", "tools": [{"type": "function"}]}, "tools must be"),
    (
        ops.CreateAssistant, {"model": "m", "tools": [{"function": {"name": ""}}]},
        "tools must be functions, each with a name",
    ),
    (RUNS, {**RUN, "tools": [{"type": "search"}]}, "tools must be functions"),
    (RUNS, {"assistant_id": "a", "thread": {"messages": [HI]}, "tool_output": {"output": "o"}},
     "tool_output goes on with a run, and needs its thread_id"),
    # messages
    (ops.CreateMessage, {"thread_id": "t", "content": ["x"]}, "content"),
    (ops.CreateMessage, {"thread_id": "t", "content": "x", "role": "assistant"}, "role must be"),
    (ops.CreateMessage, {"thread_id": "t", "content": "x", "role": 5}, "role"),
    (ops.CreateMessage, {"thread_id": "t", "content": "x", "file_ids": "f"}, "file_ids"),
    (ops.UpdateMessage, {"thread_id": "t", "message_id": "m", "content": 5}, "content"),
    (ops.CreateThread, {"messages": "hi"}, "messages"),
    (ops.CreateThread, {"messages": [5]}, "messages"),
    (ops.CreateThread, {"messages": [None]}, "messages"),
    (ops.CreateThread, {"messages": [{"role": "user"}]}, "content"),
    (ops.CreateThread, {"messages": [{"content": None}]}, "content"),
    (ops.CreateThread, {"messages": [{**HI, "role": "assistant"}]}, "role must be user"),
    (ops.CreateThread, {"messages": [{**HI, "role": ["user"]}]}, "role"),
    # runs
    (RUNS, {"assistant_id": "a"}, "thread is required where there is no thread_id"),
    (RUNS, {"assistant_id": 5, "thread_id": "t"}, "assistant_id"),
    (RUNS, {**RUN, "stream": "true"}, "stream"),
    (RUNS, {**RUN, "stream": 1}, "stream"),
    (RUNS, {**RUN, "thread": "x"}, "thread"),
    (RUNS, {**RUN, "thread": [1]}, "thread"),
    (RUNS, {**RUN, "thread": {"metadata": {"k": "v"}}}, "exactly one message"),
    (RUNS, {**RUN, "thread": {"messages": [HI, HI]}}, "exactly one message"),
    (RUNS, {**RUN, "thread": {"messages": [{**HI, "role": "assistant"}]}}, "role must be user"),
    (RUNS, {"assistant_id": "a", "thread": {"messages": "x"}}, "messages"),
    (RUNS, {**RUN, "model": 5}, "model"),
    (RUNS, {**RUN, "model_parameters": {"top_k": 1}}, "model_parameters has no 'top_k'"),
    (RUNS, {**RUN, "model_parameters": {"chat_parameters": {"temperature": 0}}}, "temperature"),
    (RUNS, {**RUN, "user_info": {"age": "x"}}, "user_info has no 'age'"),
    (RUNS, {**RUN, "user_loc": "x"}, "user_loc"),
    # outputs
    (RUNS, {**RUN, "tool_output": "x"}, "tool_output"),
    (RUNS, {**RUN, "tool_output": {"tool_call_id": "c"}}, "output"),
    (RUNS, {**RUN, "tool_output": {"output": 5}}, "output"),
    (ops.SubmitOutputs, {**SUBMIT, "tool_outputs": "x"}, "tool_outputs"),
    (ops.SubmitOutputs, {**SUBMIT, "tool_outputs": [5]}, "tool_outputs"),
    (ops.SubmitOutputs, {**SUBMIT, "tool_outputs": [{"tool_call_id": "c"}]}, "output"),
    (ops.SubmitOutputs, {**SUBMIT, "tool_outputs": [{"output": None}]}, "output"),
    (ops.SubmitOutputs, {**SUBMIT, "tool_outputs": [{"output": "o", "tool_call_id": 5}]},
     "tool_call_id"),
    (ops.CancelRun, {**SUBMIT, "sync": "true"}, "sync"),
    # lists
    (ops.ListRuns, {"thread_id": "t", "after": 5}, "after must be"),
    (ops.ListRuns, {"thread_id": "t", "before": {"a": 1}}, "before must be"),
    # files
    (ops.CreateFiles, b"", "multipart/form-data"),
    (ops.CreateFiles, {"files": [1]}, "multipart/form-data"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "says"), REFUSED, ids=lambda value: str(value)[:50])
def test_a_body_of_the_wrong_shape_is_refused(kind: Any, body: Any, says: str) -> None:
    """As invalid, and with the reason."""
    refusal = refused(kind, body)

    assert refusal.kind == "invalid"
    assert says in refusal.message
    assert "override" not in refusal.message  # a word of this library, not of the wire


@pytest.mark.parametrize("limit", [-1, 0, 1.5, True, False, "20", "x", {"a": 1}, 1e300])
@pytest.mark.parametrize("kind", [ops.ListAssistants, ops.ListMessages])
def test_a_limit_is_a_whole_number(kind: Any, limit: Any) -> None:
    """Of at least 1; a truth value is none. It is named as the wire names it."""
    refusal = refused(kind, {"thread_id": "t", "limit": limit})

    assert (refusal.kind, refusal.message.startswith("limit must be")) == ("invalid", True)


@pytest.mark.parametrize(
    ("kind", "limit", "allowed"),
    [
        (ops.ListMessages, 20, True),
        (ops.ListMessages, 21, False),
        (ops.ListMessageFiles, 20, True),
        (ops.ListMessageFiles, 21, False),
        (ops.ListSteps, 2**31, True),
    ],
)
def test_lists_of_messages_and_of_their_files_have_a_longest_page(
    kind: Any, limit: int, allowed: bool
) -> None:
    """20, by the documents (§2.4, §7 #1)."""
    ids = {"thread_id": "t", "message_id": "m", "run_id": "r"}
    if allowed:
        operation: Any = asked(kind, {**ids, "limit": limit})
        assert operation.page == {"page_size": limit}
        return
    refusal = refused(kind, {**ids, "limit": limit})
    assert (refusal.kind, refusal.message) == ("invalid", "limit must be between 1 and 20")


@pytest.mark.parametrize("order", ["ASC", "newest", 5, ["asc"]])
def test_an_order_is_asc_or_desc(order: Any) -> None:
    """No other is known (§4)."""
    refusal = refused(ops.ListAssistants, {"order": order})

    assert (refusal.kind, refusal.message) == ("invalid", "order must be one of asc, desc")


def test_no_depth_is_too_deep() -> None:
    """Near the depth where the interpreter gives up, and beyond: a refusal or an operation."""
    for depth in (*range(880, 1000, 8), 5_000):
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        for body in (
            b'{"thread_id":%b}' % deep,
            b'{"model":"m","metadata":{"k":%b}}' % deep,
            b'{"model":"m","tools":[{"function":{"name":"f","parameters":%b}}]}' % deep,
            b'{"thread_id":"t","assistant_id":"a","user_info":%b}' % deep,
            b'{"thread_id":"t","assistant_id":"a","thread":{"messages":[%b]}}' % deep,
        ):
            for kind in (ops.RetrieveThread, ops.CreateAssistant, RUNS):
                with contextlib.suppress(Refusal):
                    asked(kind, body)


# --- there and back ---

JSON_CALLS = [kind for kind in OPERATIONS if kind is not ops.CreateFiles]


@pytest.mark.parametrize("kind", JSON_CALLS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_operation_comes_back(kind: type[Operation[Any]], data: st.DataObject) -> None:
    """The server reads from a request the operation that the client made it of."""
    operation = data.draw(OPERATIONS[kind])
    body = routes.encode(operation).body

    got = asked(RUNS if kind in RUNS else kind, body)
    assert got == (ALL_FILES if kind is ops.ListFiles else operation)


def test_every_operation_is_tried() -> None:
    """No route is left out of the property above."""
    assert set(OPERATIONS) == set(routes.ROUTES)
