"""The request of every call, byte for byte, and the way back from a request line to its call."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.files import FileContent, Form, Upload
from aiodashassist.core.models import Thread, TruncationStrategy
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import Extras, FileParams, ListParams
from aiodashassist.core.tooling import (
    FunctionDefinition,
    FunctionTool,
    PluginTool,
    RagTool,
    ToolOutput,
    UserAuth,
)
from aiodashassist.errors import (
    AssistError,
    ConfigError,
    InvalidArgument,
    UnsupportedOperation,
    UnsupportedParameter,
)
from aiodashassist.providers.dashscope import routes

RUN_PATH = "/threads/thread_1/runs/run_1"
MESSAGE_PATH = "/threads/thread_1/messages/message_1"
PAGE: ListParams = {"page_size": 20, "order": "asc", "after": "x"}
QUERY = {"limit": "20", "order": "asc", "after": "x"}
RUN: dict[str, Any] = {"thread_id": "thread_1", "run_id": "run_1"}
MESSAGE: dict[str, Any] = {"thread_id": "thread_1", "message_id": "message_1"}
ATTACHED: dict[str, Any] = {"assistant_id": "asst_1", "file_id": "file_1"}
UPLOAD = Upload(filename="名.txt", size=3, content=None)
STRATEGY = TruncationStrategy(type="last_messages", last_messages=5)


def numbered(**page: Any) -> Operation[Any]:
    """A list that goes by numbers."""
    return ops.ListFiles(page=page)  # type: ignore[arg-type]


# operation, method, path, query, body: every row of dashscope.md §2 that has an operation
CALLS: dict[str, tuple[Operation[Any], str, str, dict[str, str], Any]] = {
    "A1": (
        ops.CreateAssistant(params={"model": "qwen-max", "name": "n", "file_ids": ["f"]}),
        "POST", "/assistants", {}, {"model": "qwen-max", "name": "n", "file_ids": ["f"]},
    ),
    "A2": (ops.ListAssistants(page=PAGE), "GET", "/assistants", QUERY, None),
    "A3": (ops.RetrieveAssistant(assistant_id="asst_1"), "GET", "/assistants/asst_1", {}, None),
    "A4": (
        ops.UpdateAssistant(assistant_id="asst_1", params={"description": "", "tools": []}),
        "POST", "/assistants/asst_1", {}, {"description": "", "tools": []},
    ),
    "A5": (ops.DeleteAssistant(assistant_id="asst_1"), "DELETE", "/assistants/asst_1", {}, None),
    "T1": (
        ops.CreateThread(params={"messages": [{"content": "hi"}], "metadata": {"a": "b"}}),
        "POST", "/threads", {}, {"messages": [{"content": "hi"}], "metadata": {"a": "b"}},
    ),
    "T1 empty": (ops.CreateThread(), "POST", "/threads", {}, {}),
    "T2": (ops.RetrieveThread(thread_id="thread_1"), "GET", "/threads/thread_1", {}, None),
    "T3": (
        ops.UpdateThread(thread_id="thread_1", params={"metadata": {}}),
        "POST", "/threads/thread_1", {}, {"metadata": {}},
    ),
    "T4": (ops.DeleteThread(thread_id="thread_1"), "DELETE", "/threads/thread_1", {}, None),
    "M1": (
        ops.CreateMessage(thread_id="thread_1", params={"role": "user", "content": "你好"}),
        "POST", "/threads/thread_1/messages", {}, {"role": "user", "content": "你好"},
    ),
    "M2": (
        ops.ListMessages(thread_id="thread_1", page=PAGE),
        "GET", "/threads/thread_1/messages", QUERY, None,
    ),
    "M3": (ops.RetrieveMessage(**MESSAGE), "GET", MESSAGE_PATH, {}, None),
    "M4": (
        ops.UpdateMessage(**MESSAGE, params={"metadata": {"k": "v"}}),
        "POST", MESSAGE_PATH, {}, {"metadata": {"k": "v"}},
    ),
    "R1": (
        ops.CreateRun(
            thread_id="thread_1",
            params={
                "assistant_id": "asst_1",
                "additional_instructions": "be brief",
                "additional_messages": [{"content": "more", "role": "assistant"}],
                "override_tools": [PluginTool("quark_search")],
                "temperature": 0,
                "truncation_strategy": STRATEGY,
            },
            stream=True,
        ),
        "POST", "/threads/thread_1/runs", {},
        {
            "assistant_id": "asst_1",
            "additional_instructions": "be brief",
            "additional_messages": [{"content": "more", "role": "assistant"}],
            "tools": [{"type": "quark_search"}],
            "temperature": 0,
            "truncation_strategy": {"type": "last_messages", "last_messages": 5},
            "stream": True,
        },
    ),
    "R2": (
        ops.CreateThreadAndRun(
            params={"assistant_id": "asst_1"}, thread={"messages": [{"content": "hi"}]}
        ),
        "POST", "/threads/runs", {},
        {
            "assistant_id": "asst_1",
            "thread": {"messages": [{"content": "hi"}]},
            "stream": False,
        },
    ),
    "R2 no thread": (
        ops.CreateThreadAndRun(params={"assistant_id": "asst_1"}, stream=True),
        "POST", "/threads/runs", {}, {"assistant_id": "asst_1", "stream": True},
    ),
    "R3": (
        ops.ListRuns(thread_id="thread_1", page={"before": "run_9", "order": "desc"}),
        "GET", "/threads/thread_1/runs", {"before": "run_9", "order": "desc"}, None,
    ),
    "R4": (ops.RetrieveRun(**RUN), "GET", RUN_PATH, {}, None),
    "R5": (
        ops.UpdateRun(**RUN, params={"metadata": {"a": 1}}),
        "POST", RUN_PATH, {}, {"metadata": {"a": 1}},
    ),
    "R5 nothing": (ops.UpdateRun(**RUN, params={}), "POST", RUN_PATH, {}, {}),
    "R6": (
        ops.SubmitOutputs(
            **RUN, tool_outputs=(ToolOutput(output="rain"), ToolOutput(output="", tool_call_id="c"))
        ),
        "POST", RUN_PATH + "/submit_tool_outputs", {},
        {
            "tool_outputs": [
                {"output": "rain", "tool_call_id": ""}, {"output": "", "tool_call_id": "c"},
            ],
            "stream": False,
        },
    ),
    "R6 of a run": (
        ops.SubmitOutputs(
            **RUN, tool_outputs=(ToolOutput(output="x", tool_call_id="c", run_id="run_1"),)
        ),
        "POST", RUN_PATH + "/submit_tool_outputs", {},
        {"tool_outputs": [{"output": "x", "tool_call_id": "c"}], "stream": False},
    ),
    "R7": (ops.CancelRun(**RUN), "POST", RUN_PATH + "/cancel", {}, None),
    "RS1": (ops.ListSteps(**RUN), "GET", RUN_PATH + "/steps", {}, None),
    "RS2": (ops.RetrieveStep(**RUN, step_id="step_1"), "GET", RUN_PATH + "/steps/step_1", {}, None),
    "AF1": (
        ops.AttachFile(**ATTACHED), "POST", "/assistants/asst_1/files", {}, {"file_id": "file_1"},
    ),
    "AF2": (
        ops.ListAssistantFiles(assistant_id="asst_1", page=PAGE),
        "GET", "/assistants/asst_1/files", QUERY, None,
    ),
    "AF3": (
        ops.RetrieveAssistantFile(**ATTACHED), "GET", "/assistants/asst_1/files/file_1", {}, None,
    ),
    "AF4": (ops.DetachFile(**ATTACHED), "DELETE", "/assistants/asst_1/files/file_1", {}, None),
    "MF1": (
        ops.ListMessageFiles(**MESSAGE, page=PAGE), "GET", MESSAGE_PATH + "/files", QUERY, None,
    ),
    "MF2": (
        ops.RetrieveMessageFile(**MESSAGE, file_id="file_1"),
        "GET", MESSAGE_PATH + "/files/file_1", {}, None,
    ),
    "F1": (
        ops.CreateFiles(files=(UPLOAD,), params={"purpose": "batch", "description": "d"}),
        "POST", "/files", {},
        Form(fields=(("purpose", "batch"), ("descriptions", "d")), files=(("files", UPLOAD),)),
    ),
    "F1 bare": (
        ops.CreateFiles(files=(UPLOAD, UPLOAD)),
        "POST", "/files", {}, Form(files=(("files", UPLOAD), ("files", UPLOAD))),
    ),
    "F2": (
        ops.ListFiles(page={"page_no": 2, "page_size": 100}),
        "GET", "/files", {"page_no": "2", "page_size": "100"}, None,
    ),
    "F2 first": (ops.ListFiles(), "GET", "/files", {}, None),
    "F3": (ops.RetrieveFile(file_id="file_1"), "GET", "/files/file_1", {}, None),
    "F4": (ops.DeleteFile(file_id="file_1"), "DELETE", "/files/file_1", {}, None),
}  # fmt: skip

every_call = pytest.mark.parametrize(
    ("operation", "method", "path", "query", "body"), CALLS.values(), ids=CALLS
)


@every_call
def test_each_call_has_its_line_and_body(
    operation: Operation[Any], method: str, path: str, query: dict[str, str], body: Any
) -> None:
    """A call becomes the method, path, query and body that the service documents."""
    request = routes.encode(operation)

    sent = request.form if request.body is None else json.loads(request.body)
    assert (request.method, request.path, request.query, sent) == (method, path, query, body)
    assert request.operation == type(operation).__name__
    assert request.headers == {}


@every_call
def test_each_line_leads_back_to_its_call(
    operation: Operation[Any], method: str, path: str, query: dict[str, str], body: Any
) -> None:
    """`find` names the operation that a request line was made from, and its ids."""
    del query, body
    ids = {name: getattr(operation, name) for name in routes.ROUTES[type(operation)].ids}

    assert routes.find(method, path) == (type(operation), ids)


def test_every_call_is_in_the_table() -> None:
    """The table above leaves out no operation that DashScope has."""
    assert {type(call[0]) for call in CALLS.values()} == set(routes.ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("PATCH", "/assistants/asst_1", "method"),
        ("PUT", "/threads/thread_1", "method"),
        ("GET", "/threads", "method"),
        ("DELETE", "/threads/t/messages/m", "method"),
        ("GET", RUN_PATH + "/cancel", "method"),
        ("GET", "", "url"),
        ("GET", "/", "url"),
        ("GET", "/threads/", "url"),
        ("GET", "/assistants/asst_1/", "url"),
        ("GET", "/services/assistants", "url"),
        ("POST", RUN_PATH + "/submit", "url"),
        ("GET", "/Assistants", "url"),
    ],
)
def test_a_line_of_no_call_says_what_is_wrong(method: str, path: str, fault: str) -> None:
    """An unknown path is `url`; a known one with another method is `method`."""
    assert routes.find(method, path) == fault


@pytest.mark.parametrize(
    ("given_id", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("../assistants", "..%2Fassistants"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("a b\n", "a%20b%0A"),
        ("线程", "%E7%BA%BF%E7%A8%8B"),
        ("asst_1-2.3~", "asst_1-2.3~"),
    ],
)
def test_an_id_is_one_segment_of_the_path(given_id: str, quoted: str) -> None:
    """Whatever an id contains is quoted, and unquoted on the way back."""
    request = routes.encode(ops.RetrieveThread(thread_id=given_id))

    assert request.path == "/threads/" + quoted
    assert routes.find("GET", request.path) == (ops.RetrieveThread, {"thread_id": given_id})


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_any_ids_come_back(thread_id: str, run_id: str, step_id: str) -> None:
    """The path of a call gives back its ids, or the ids are refused before anything is sent."""
    operation = ops.RetrieveStep(thread_id=thread_id, run_id=run_id, step_id=step_id)
    try:
        path = routes.encode(operation).path
    except InvalidArgument:
        return
    ids = {"thread_id": thread_id, "run_id": run_id, "step_id": step_id}
    assert path.isascii()
    assert urlsplit("http://host" + path).path == path
    assert routes.find("GET", path) == (ops.RetrieveStep, ids)


@pytest.mark.parametrize("dots", [".", ".."])
def test_an_id_of_dots_does_not_climb(dots: str) -> None:
    """`.` and `..` would be resolved on the way to the service: they are refused."""
    with pytest.raises(InvalidArgument, match="run_id"):
        routes.encode(ops.RetrieveRun(thread_id="thread_1", run_id=dots))


@pytest.mark.parametrize("wrong", ["", None, 5, b"run_1"])
def test_an_id_is_a_text(wrong: Any) -> None:
    """An id that is empty or no text is refused, naming the field."""
    with pytest.raises(InvalidArgument, match="run_id"):
        routes.encode(ops.RetrieveRun(thread_id="thread_1", run_id=wrong))


@pytest.mark.parametrize(
    "operation",
    [
        ops.RetrieveRun(thread_id="thread_1", run_id="\ud800"),
        ops.CreateMessage(thread_id="thread_1", params={"content": "\ud800"}),
        ops.UpdateRun(**RUN, params={"metadata": {"a": object()}}),
    ],
)
def test_what_cannot_be_written_is_refused(operation: Operation[Any]) -> None:
    """Half a surrogate pair, or an object that JSON has no form for, is an InvalidArgument."""
    with pytest.raises(InvalidArgument):
        routes.encode(operation)


ABSENT: dict[str, Any] = {"assistant_id": None, "content": None}
SILENT: Any = {}


def run(**params: Any) -> Operation[Any]:
    """A run with parameters."""
    fields: Any = {"assistant_id": "a", **params}
    return ops.CreateRun(thread_id="t", params=fields)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (ops.CreateRun(thread_id="t", params=ABSENT), "assistant_id"),  # type: ignore[arg-type]
        (ops.CreateThreadAndRun(params=ABSENT), "assistant_id"),  # type: ignore[arg-type]
        (ops.CreateMessage(thread_id="t", params=ABSENT), "content"),  # type: ignore[arg-type]
        (ops.CreateFiles(files=None), "files"),  # type: ignore[arg-type]
        (ops.AttachFile(assistant_id="a", file_id=None), "file_id"),  # type: ignore[arg-type]
        (
            ops.CreateThread(params={"messages": [{"content": "hi"}, {"role": "user"}]}),  # type: ignore[typeddict-item]
            "a message in messages needs content",
        ),
        (run(additional_messages=[ABSENT]), "a message in additional_messages needs content"),
        (
            ops.CreateThreadAndRun(params={"assistant_id": "a"}, thread={"messages": [SILENT]}),
            "a message in messages needs content",
        ),
    ],
)
def test_what_a_call_cannot_do_without_is_not_none(operation: Operation[Any], field: str) -> None:
    """A run names its assistant and a message has content; None for either is refused."""
    with pytest.raises(InvalidArgument, match=field):
        routes.encode(operation)


class MoveThread(Operation[Thread], frozen=True, kw_only=True):
    """A call that no service has."""

    result = Thread
    thread_id: str


def test_a_call_without_a_route_is_unsupported() -> None:
    """An operation that DashScope does not have raises before anything is sent."""
    with pytest.raises(UnsupportedOperation, match="MoveThread"):
        routes.encode(MoveThread(thread_id="thread_1"))
    assert ops.ReadFile.result is FileContent
    with pytest.raises(UnsupportedOperation, match="ReadFile"):
        routes.encode(ops.ReadFile(file_id="file_1"))


EXTRAS: Extras = {
    "extra_body": {"new": [1], "top_k": 1},
    "extra_headers": {"X-Mine": "1"},
    "extra_query": {"debug": True, "none": None},
}


def test_what_is_not_named_reaches_the_request() -> None:
    """Body, headers and query are added to; what is named wins over `extra_body`."""
    request = routes.encode(run(top_k=7, **EXTRAS))

    assert json.loads(request.body or b"") == {
        "assistant_id": "a", "new": [1], "top_k": 7, "stream": False,
    }  # fmt: skip
    assert (request.headers, request.query) == ({"X-Mine": "1"}, {"debug": "true"})


def test_a_call_without_parameters_has_extras_of_its_own() -> None:
    """A request with nothing to say can be given a body, a query and headers all the same."""
    request = routes.encode(ops.CancelRun(**RUN, extras=EXTRAS))

    assert json.loads(request.body or b"") == {"new": [1], "top_k": 1}
    assert (request.headers, request.query) == ({"X-Mine": "1"}, {"debug": "true"})


def test_a_body_where_there_is_none_is_refused() -> None:
    """A GET and a DELETE have no body that more could be put into; an empty one is none."""
    for asks in (ops.RetrieveThread, ops.DeleteThread):
        with pytest.raises(InvalidArgument, match=f"{asks.__name__} has no body: extra_body"):
            routes.encode(asks(thread_id="t", extras={"extra_body": {"a": 1}}))
        assert routes.encode(asks(thread_id="t", extras={"extra_body": {}})).body is None


def test_what_is_not_named_joins_a_list_and_a_form() -> None:
    """A list is added to in its query, where what is named wins; a form in its texts."""
    page: Any = {"page_size": 5, "extra_query": {"limit": 9, "by": "name"}}
    assert routes.encode(ops.ListAssistants(page=page)).query == {"limit": "5", "by": "name"}

    params: FileParams = {
        "purpose": "p",
        "extra_body": {"purpose": "q", "new": "n", "no": None},
        "extra_headers": {"X-Mine": "1"},
    }
    request = routes.encode(ops.CreateFiles(files=(UPLOAD,), params=params))
    assert request.form == Form(fields=(("purpose", "p"), ("new", "n")), files=(("files", UPLOAD),))
    assert (request.body, request.headers) == (None, {"X-Mine": "1"})


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (ops.CreateAssistant(params={"model": "m", "thought_instructions": "x"}), "thought_"),
        (ops.CreateAssistant(params={"model": "m", "response_format": "text"}), "response_format"),
        (ops.UpdateAssistant(assistant_id="a", params={"chat_instructions": ""}), "chat_"),
        (ops.UpdateMessage(**MESSAGE, params={"content": "x"}), "content"),
        (ops.UpdateMessage(**MESSAGE, params={"file_ids": []}), "file_ids"),
        (
            ops.UpdateThread(thread_id="t", params={"messages": []}),  # type: ignore[typeddict-unknown-key]
            "messages",
        ),
        (numbered(order="asc"), "order"),
        (numbered(after="f"), "after"),
        (ops.CreateRun(thread_id="t", params={"assistant_id": "a", "user_info": {}}), "user_info"),
        (ops.CreateRun(thread_id="t", params={"assistant_id": "a", "user_loc": {}}), "user_loc"),
        (
            ops.CreateThreadAndRun(params={"assistant_id": "a", "model_parameters": {}}),
            "model_parameters",
        ),
    ],
)
def test_a_parameter_without_a_place_is_unsupported(operation: Operation[Any], name: str) -> None:
    """A parameter of another API is named in the error; none is dropped in silence."""
    with pytest.raises(UnsupportedParameter, match=name):
        routes.encode(operation)


@pytest.mark.parametrize(
    "name",
    [
        "model", "instructions", "additional_instructions", "additional_messages",
        "max_prompt_tokens", "max_completion_tokens", "tool_choice", "response_format",
        "parallel_tool_calls", "metadata",
    ],
)  # fmt: skip
def test_a_run_takes_what_either_sdk_sends(name: str) -> None:
    """Every field of dashscope.md §2.2 has a place in the body of a run."""
    values: dict[str, Any] = {
        "metadata": {},
        "additional_messages": [],
        "parallel_tool_calls": True,
    }
    value = values.get(name, 1)
    params: Any = {"assistant_id": "a", name: value}

    body = routes.encode(ops.CreateRun(thread_id="t", params=params)).body
    assert body is not None
    assert json.loads(body)[name] == value


def test_none_is_not_sent() -> None:
    """None means "not given"; an empty text, list or object and zero are sent as they are."""
    operation = ops.UpdateAssistant(
        assistant_id="a",
        params={
            "model": None, "name": "", "tools": [], "metadata": {}, "top_k": 0, "file_ids": None,
        },
    )  # fmt: skip
    assert routes.encode(operation).body == b'{"name":"","tools":[],"metadata":{},"top_k":0}'


def test_none_inside_a_message_is_not_given() -> None:
    """A message of a new thread may say None for its metadata and files, as one of its own may."""
    operation = ops.CreateThread(
        params={"messages": [{"content": "hi", "metadata": None, "file_ids": None}]}
    )
    body = json.loads(routes.encode(operation).body or b"")

    (message,) = body["messages"]
    assert {key: value for key, value in message.items() if value is not None} == {"content": "hi"}


def test_a_body_is_plain_utf8() -> None:
    """Text that is not ASCII is sent as UTF-8, not escaped."""
    request = routes.encode(ops.CreateMessage(thread_id="t", params={"content": "天气"}))

    assert request.body == '{"content":"天气"}'.encode()


def test_tools_are_declared_as_the_wire_has_them() -> None:
    """Functions, plugins with their authentication, retrieval and plain dicts (§3.9)."""
    schema = {"type": "object", "properties": {}}
    function = FunctionDefinition(name="f", description="d", parameters=schema)
    tools = [
        FunctionTool(function=function),
        PluginTool("my_plugin", description="p", auth=UserAuth(user_token="bearer-token")),
        RagTool(prompt_ra={"pipeline_id": ["p1"]}),
        {"type": "new", "limit": 1},
    ]
    body = routes.encode(ops.CreateAssistant(params={"model": "m", "tools": tools})).body
    assert body is not None
    assert json.loads(body)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": schema},
        },
        {
            "type": "my_plugin",
            "description": "p",
            "auth": {"type": "user_http", "user_token": "bearer-token"},
        },
        {"type": "rag", "prompt_ra": {"pipeline_id": ["p1"]}},
        {"type": "new", "limit": 1},
    ]


MANY = {str(number): "" for number in range(17)}
ENDLESS: dict[str, Any] = {}
ENDLESS["self"] = ENDLESS


def assistant(**params: Any) -> Operation[Any]:
    """An assistant with parameters."""
    return ops.CreateAssistant(params={"model": "m", **params})  # type: ignore[typeddict-item]


def said(content: Any) -> Operation[Any]:
    """A message of this content."""
    return ops.CreateMessage(thread_id="t", params={"content": content})


def listed(**page: Any) -> Operation[Any]:
    """A list with parameters."""
    return ops.ListAssistants(page=page)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (numbered(page_size=0), "page_size"),
        (numbered(page_size=101), "page_size"),
        (numbered(page_size="10"), "page_size"),
        (numbered(page_no=0), "page_no"),
        (numbered(page_no=-1), "page_no"),
        (numbered(page_no=1.0), "page_no"),
        (numbered(page_no=True), "page_no"),
        (ops.AttachFile(assistant_id="a", file_id=""), "file_id"),
        (ops.AttachFile(assistant_id="", file_id="f"), "assistant_id"),
        (ops.RetrieveFile(file_id=""), "file_id"),
        (ops.DeleteFile(file_id=".."), "file_id"),
        (listed(page_size=0), "page_size"),
        (listed(page_size=101), "page_size"),
        (listed(page_size="5"), "page_size"),
        (listed(page_size=True), "page_size"),
        (listed(page_size=1.5), "page_size"),
        (listed(order="newest"), "order"),
        (listed(after="a", before="b"), "after and before"),
        (assistant(temperature=-0.1), "temperature"),
        (assistant(temperature=2), "temperature"),
        (assistant(temperature=float("nan")), "temperature"),
        (assistant(top_p=0), "top_p"),
        (assistant(top_p=1.01), "top_p"),
        (assistant(top_k=-1), "top_k"),
        (assistant(max_tokens=0), "max_tokens"),
        (assistant(metadata=MANY), "metadata"),
        (assistant(metadata={"k" * 65: ""}), "metadata"),
        (assistant(metadata={"k": "v" * 513}), "metadata"),
        (assistant(metadata=[]), "metadata"),
        (run(truncation_strategy="last_messages"), "truncation_strategy must be an object"),
        (run(truncation_strategy={"last_messages": 5}), "truncation_strategy.type"),
        (run(truncation_strategy={"type": "auto"}), "truncation_strategy.type"),
        (
            run(truncation_strategy={"type": "last_messages", "last_messages": 0}),
            "truncation_strategy.last_messages",
        ),
        (run(temperature=2), "temperature"),
        (run(metadata=MANY), "metadata"),
        (run(assistant_id=""), "assistant_id"),
        (run(assistant_id=7), "assistant_id"),
        (ops.UpdateRun(**RUN, params={"metadata": MANY}), "metadata"),
        (said(""), "content must be a text, and not empty"),
        (said(5), "content must be a text, and not empty"),
        (said(["hi"]), "content must be a text, and not empty"),
        (said(b"hi"), "content must be a text, and not empty"),
        (said({"type": "text"}), "content must be a text, and not empty"),
        (ops.CreateThread(params={"messages": [{"content": 5}]}), "content"),  # type: ignore[typeddict-item]
        (listed(after=5), "after must be a non-empty string"),
        (listed(after=["a"]), "after must be a non-empty string"),
        (listed(before=0), "before must be a non-empty string"),
        (listed(before=b"b"), "before must be a non-empty string"),
        (run(truncation_strategy=object()), "truncation_strategy cannot be written as JSON"),
        (run(truncation_strategy=ENDLESS), "truncation_strategy cannot be written as JSON"),
        (run(truncation_strategy=[5]), "truncation_strategy must be an object, not list"),
        (ops.CreateThread(params={"messages": [{"content": ""}]}), "content"),
        (ops.CreateThread(params={"messages": [{"content": "x", "metadata": MANY}]}), "metadata"),
        (
            ops.CreateThreadAndRun(
                params={"assistant_id": "a"}, thread={"messages": [{"content": ""}]}
            ),
            "content",
        ),
        (
            ops.CreateThreadAndRun(params={"assistant_id": "a"}, thread={"metadata": MANY}),
            "metadata",
        ),
        (run(additional_messages=[{"content": ""}]), "content"),
        (run(additional_messages=[{"content": "x", "metadata": MANY}]), "metadata"),
    ],
)
def test_a_value_beyond_its_limit_is_refused(operation: Operation[Any], field: str) -> None:
    """A documented limit is checked before a byte is sent, and the error names the field."""
    with pytest.raises(InvalidArgument, match=field):
        routes.encode(operation)


@pytest.mark.parametrize(
    "operation",
    [
        listed(page_size=1),
        numbered(page_size=1, page_no=1),
        numbered(page_size=100, page_no=10**6),
        listed(page_size=100, order="desc", after=""),
        listed(after="", before="b"),
        listed(after="a", before=""),
        listed(after=None, before=None),
        run(truncation_strategy={"type": "last_messages"}),
        run(truncation_strategy={"type": "last_messages", "last_messages": None}),
        run(truncation_strategy=TruncationStrategy(last_messages=1)),
        assistant(temperature=0, top_p=1, top_k=0, max_tokens=1),
        assistant(temperature=1.999, top_p=0.001, top_k=10**6, max_tokens=10**9),
        assistant(metadata=dict(list(MANY.items())[:16])),
        assistant(metadata={"k" * 64: "v" * 512, "n": 5, "o": {"deep": "v" * 513}}),
    ],
)
def test_a_value_at_its_limit_is_sent(operation: Operation[Any]) -> None:
    """The limits themselves are allowed."""
    assert routes.encode(operation).method in ("GET", "POST")


@pytest.mark.parametrize(
    "operation",
    [
        ops.CreateThread(params={"messages": ["hi"]}),  # type: ignore[list-item]
        ops.CreateThreadAndRun(params={"assistant_id": "a"}, thread="hi"),  # type: ignore[arg-type]
    ],
)
def test_messages_of_the_wrong_shape_are_refused(operation: Operation[Any]) -> None:
    """A bare text for a message or a thread is an error of this library's own."""
    with pytest.raises(AssistError):
        routes.encode(operation)


@pytest.mark.parametrize(
    ("region", "workspace", "url"),
    [
        ("cn", None, "https://dashscope.aliyuncs.com/api/v1"),
        ("cn-beijing", None, "https://dashscope.aliyuncs.com/api/v1"),
        ("cn-beijing", "ws", "https://dashscope.aliyuncs.com/api/v1"),
        ("intl", None, "https://dashscope-intl.aliyuncs.com/api/v1"),
        ("us", "ws", "https://dashscope-us.aliyuncs.com/api/v1"),
        ("ap-southeast-1", "ws", "https://ws.ap-southeast-1.maas.aliyuncs.com/api/v1"),
        ("us-east-1", "ws", "https://ws.us-east-1.maas.aliyuncs.com/api/v1"),
        ("cn-hongkong", "ws", "https://ws.cn-hongkong.maas.aliyuncs.com/api/v1"),
        ("eu-central-1", "ws", "https://ws.eu-central-1.maas.aliyuncs.com/api/v1"),
        ("ap-northeast-1", "ws", "https://ws.ap-northeast-1.maas.aliyuncs.com/api/v1"),
    ],
)
def test_a_region_has_its_host(region: str, workspace: str | None, url: str) -> None:
    """The hosts of dashscope.md §1.1, with the workspace in the name where it belongs there."""
    assert routes.base_url(region, workspace) == url


@pytest.mark.parametrize(
    ("region", "workspace", "says"),
    [
        ("mars", "ws", "unknown region 'mars'"),
        ("", None, "unknown region"),
        ("us-east-1", None, "needs a workspace"),
        ("us-east-1", "", "needs a workspace"),
        ("us-east-1", "evil.example/#", "cannot carry this workspace"),
        ("us-east-1", "a.b", "cannot carry this workspace"),
    ],
)
def test_a_region_without_a_host_is_a_config_error(
    region: str, workspace: str | None, says: str
) -> None:
    """An unknown region, and one that needs a workspace and has none, are refused."""
    with pytest.raises(ConfigError, match=says):
        routes.base_url(region, workspace)


@pytest.mark.parametrize("messages", [5, "text", {"role": "user"}])
def test_messages_must_be_a_list(messages: Any) -> None:
    """What is no list of messages is told by name."""
    with pytest.raises(InvalidArgument, match="messages must be a list"):
        routes.encode(ops.CreateThread(params={"messages": messages}))


def test_texts_of_a_class_of_their_own_are_written() -> None:
    """A marked-up text travels as the text it is."""

    class Marked(str):
        __slots__ = ()

    request = routes.encode(ops.CreateMessage(thread_id="t", params={"content": Marked("甲")}))

    assert request.body == '{"content":"甲"}'.encode()
