"""The request of every call, byte for byte, and what a call has no place for."""

import json
from typing import Any

import pytest

from aiodashassist.core import operations as ops
from aiodashassist.core.files import Form, Upload
from aiodashassist.core.models import TruncationStrategy
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import (
    Extras,
    ListParams,
    ModelParameters,
    SamplingParameters,
    UserInfo,
)
from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, ToolOutput
from aiodashassist.errors import InvalidArgument, UnsupportedOperation, UnsupportedParameter
from aiodashassist.providers.appbuilder import routes

TOOL = FunctionTool(function=FunctionDefinition(name="f", description="天气", parameters={}))
PAGE: ListParams = {"page_size": 20, "order": "asc", "after": "x", "before": ""}
LISTED = b'"limit":20,"order":"asc","after":"x","before":""'
RUN: dict[str, Any] = {"thread_id": "t", "run_id": "r"}
MESSAGE: dict[str, Any] = {"thread_id": "t", "message_id": "m"}
MOUNTED: dict[str, Any] = {"assistant_id": "a", "file_id": "f"}
UPLOAD = Upload(filename="名.txt", size=3, content=None)


def run(**params: Any) -> Operation[Any]:
    """A run on a thread, with parameters."""
    fields: Any = {"assistant_id": "a", **params}
    return ops.CreateRun(thread_id="t", params=fields)


def started(thread: Any, **params: Any) -> Operation[Any]:
    """A run on a new thread, with parameters."""
    fields: Any = {"assistant_id": "a", **params}
    return ops.CreateThreadAndRun(thread=thread, params=fields)


# operation, path, body: every row of appbuilder.md §2
CALLS: dict[str, tuple[Operation[Any], str, bytes]] = {
    "assistants.create": (
        ops.CreateAssistant(
            params={
                "model": "ERNIE-4.0-8K", "name": "助手", "description": "", "tools": [TOOL],
                "response_format": "text", "instructions": "i", "thought_instructions": "t",
                "chat_instructions": "c", "file_ids": [], "metadata": {"k": "v"},
            }
        ),
        "/assistants",
        '{"model":"ERNIE-4.0-8K","name":"助手","description":"","tools":[{"type":"function",'
        '"function":{"name":"f","description":"天气","parameters":{}}}],"response_format":"text",'
        '"instructions":"i","thought_instructions":"t","chat_instructions":"c","file_ids":[],'
        '"metadata":{"k":"v"}}'.encode(),
    ),
    "assistants.update": (
        ops.UpdateAssistant(assistant_id="a", params={"model": "m", "instructions": ""}),
        "/assistants/update", b'{"assistant_id":"a","model":"m","instructions":""}',
    ),
    "assistants.update nothing": (
        ops.UpdateAssistant(assistant_id="a", params={}),
        "/assistants/update", b'{"assistant_id":"a"}',
    ),
    "assistants.list": (
        ops.ListAssistants(page=PAGE), "/assistants/list", b"{%b}" % LISTED,
    ),
    "assistants.list bare": (ops.ListAssistants(), "/assistants/list", b"{}"),
    "assistants.query": (
        ops.RetrieveAssistant(assistant_id="a"), "/assistants/query", b'{"assistant_id":"a"}',
    ),
    "assistants.delete": (
        ops.DeleteAssistant(assistant_id="a"), "/assistants/delete", b'{"assistant_id":"a"}',
    ),
    "assistants.mount_files": (
        ops.AttachFile(**MOUNTED), "/assistants/files", b'{"assistant_id":"a","file_id":"f"}',
    ),
    "assistants.mounted_files_list": (
        ops.ListAssistantFiles(assistant_id="a", page=PAGE),
        "/assistants/files/list", b'{"assistant_id":"a",%b}' % LISTED,
    ),
    "assistants.unmount_files": (
        ops.DetachFile(**MOUNTED), "/assistants/files/delete",
        b'{"assistant_id":"a","file_id":"f"}',
    ),
    "files.list": (ops.ListFiles(), "/storage/files/list", b"{}"),
    "files.query": (ops.RetrieveFile(file_id="f"), "/storage/files/query", b'{"file_id":"f"}'),
    "files.delete": (ops.DeleteFile(file_id="f"), "/storage/files/delete", b'{"file_id":"f"}'),
    "files.download": (
        ops.DownloadFile(file_id="f"), "/storage/files/download", b'{"file_id":"f"}',
    ),
    "files.content": (ops.ReadFile(file_id="f"), "/storage/files/content", b'{"file_id":"f"}'),
    "threads.create": (
        ops.CreateThread(
            params={"messages": [{"content": "hi", "role": "user"}], "metadata": {"k": "v"}}
        ),
        "/threads", b'{"messages":[{"content":"hi","role":"user"}],"metadata":{"k":"v"}}',
    ),
    "threads.create bare": (ops.CreateThread(), "/threads", b'{"messages":[]}'),
    "threads.query": (ops.RetrieveThread(thread_id="t"), "/threads/query", b'{"thread_id":"t"}'),
    "threads.update": (
        ops.UpdateThread(thread_id="t", params={"metadata": {"k": "v"}}),
        "/threads/update", b'{"thread_id":"t","metadata":{"k":"v"}}',
    ),
    "threads.delete": (ops.DeleteThread(thread_id="t"), "/threads/delete", b'{"thread_id":"t"}'),
    "messages.create": (
        ops.CreateMessage(
            thread_id="t", params={"role": "user", "content": "你好", "file_ids": ["f"]}
        ),
        "/threads/messages",
        '{"thread_id":"t","role":"user","content":"你好","file_ids":["f"]}'.encode(),
    ),
    "messages.update": (
        ops.UpdateMessage(**MESSAGE, params={"content": "", "file_ids": []}),
        "/threads/messages/update",
        b'{"thread_id":"t","message_id":"m","content":"","file_ids":[]}',
    ),
    "messages.list": (
        ops.ListMessages(thread_id="t", page=PAGE),
        "/threads/messages/list", b'{"thread_id":"t",%b}' % LISTED,
    ),
    "messages.query": (
        ops.RetrieveMessage(**MESSAGE), "/threads/messages/query",
        b'{"thread_id":"t","message_id":"m"}',
    ),
    "messages.files": (
        ops.ListMessageFiles(**MESSAGE, page=PAGE), "/threads/messages/files/list",
        b'{"thread_id":"t","message_id":"m",%b}' % LISTED,
    ),
    "runs.run": (run(), "/threads/runs", b'{"thread_id":"t","assistant_id":"a","stream":false}'),
    "runs.stream_run": (
        ops.CreateRun(thread_id="t", params={"assistant_id": "a"}, stream=True),
        "/threads/runs", b'{"thread_id":"t","assistant_id":"a","stream":true}',
    ),
    "runs.run on a new thread": (
        started({"messages": [{"content": "hi"}], "metadata": {"k": "v"}}),
        "/threads/runs",
        b'{"assistant_id":"a","stream":false,%b}'
        % b'"thread":{"messages":[{"content":"hi"}],"metadata":{"k":"v"}}',
    ),
    "runs.run with a tool's output": (
        run(tool_output=ToolOutput(output="rain", tool_call_id="c", run_id="r")),
        "/threads/runs",
        b'{"thread_id":"t","assistant_id":"a",%b,"stream":false}'
        % b'"tool_output":{"output":"rain","tool_call_id":"c","run_id":"r"}',
    ),
    "runs.submit_tool_outputs": (
        ops.SubmitOutputs(
            **RUN, stream=True, tool_outputs=(ToolOutput(output="雨", tool_call_id="c"),)
        ),
        "/threads/runs/submit_tool_outputs",
        '{"thread_id":"t","run_id":"r",'
        '"tool_outputs":[{"output":"雨","tool_call_id":"c","run_id":""}]}'.encode(),
    ),
    "runs.cancel": (
        ops.CancelRun(**RUN), "/threads/runs/cancel", b'{"thread_id":"t","run_id":"r"}',
    ),
    "runs.cancel at once": (
        ops.CancelRun(**RUN, params={"sync": True}),
        "/threads/runs/cancel", b'{"thread_id":"t","run_id":"r","sync":true}',
    ),
    "runs.list": (
        ops.ListRuns(thread_id="t", page=PAGE),
        "/threads/runs/list", b'{"thread_id":"t",%b}' % LISTED,
    ),
    "runs.query": (
        ops.RetrieveRun(**RUN), "/threads/runs/query", b'{"thread_id":"t","run_id":"r"}',
    ),
    "runs.steps.list": (
        ops.ListSteps(**RUN, page=PAGE),
        "/threads/runs/steps/list", b'{"thread_id":"t","run_id":"r",%b}' % LISTED,
    ),
    "runs.steps.query": (
        ops.RetrieveStep(**RUN, step_id="s"),
        "/threads/runs/steps/query", b'{"thread_id":"t","run_id":"r","step_id":"s"}',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("operation", "path", "body"), CALLS.values(), ids=CALLS)
def test_each_call_has_its_path_and_body(operation: Operation[Any], path: str, body: bytes) -> None:
    """A POST with exactly these bytes; ids are in the body (§2)."""
    request = routes.encode(operation)

    assert (request.method, request.path, request.body) == ("POST", f"/v2{path}", body)
    assert (request.query, request.headers, request.form) == ({}, {}, None)
    assert request.operation == type(operation).__name__


@pytest.mark.parametrize(
    ("params", "purpose"),
    [({}, "assistant"), ({"purpose": None}, "assistant"), ({"purpose": "看"}, "看"),
     ({"purpose": ""}, "")],
)  # fmt: skip
def test_an_upload_is_a_form(params: Any, purpose: str) -> None:
    """One part, `file`; what it is for is in the query (§2.2)."""
    request = routes.encode(ops.CreateFiles(files=(UPLOAD,), params=params))

    assert (request.method, request.path) == ("POST", "/v2/storage/files")
    assert (request.query, request.body) == ({"purpose": purpose}, None)
    assert request.form == Form(files=(("file", UPLOAD),))


@pytest.mark.parametrize("count", [0, 2])
def test_an_upload_is_one_file(count: int) -> None:
    """There is one part (§2.2)."""
    with pytest.raises(InvalidArgument, match=f"one file a request, not {count}"):
        routes.encode(ops.CreateFiles(files=(UPLOAD,) * count))


def test_every_call_is_in_the_table() -> None:
    """The tables above leave out none of the 31 operations; two share a path (§2)."""
    tried = {type(operation) for operation, _, _ in CALLS.values()} | {ops.CreateFiles}

    assert tried == set(routes.ROUTES)
    assert len(routes.ROUTES) == 31
    assert len({route.path for route in routes.ROUTES.values()}) == 30


# --- runs ---


def body_of(operation: Operation[Any]) -> dict[str, Any]:
    """A body's JSON."""
    found: dict[str, Any] = json.loads(routes.encode(operation).body or b"")
    return found


def test_a_run_has_every_field_of_the_wire() -> None:
    """Tools under the wire's name, messages in a thread, all else as it is called (§3.8)."""
    given = {
        "model": "m", "response_format": "json_object", "instructions": "",
        "thought_instructions": "t", "chat_instructions": "c", "metadata": {"k": "v"},
        "user_info": UserInfo(id="i"), "user_loc": {"uip": "1.2.3.4"},
        "model_parameters": ModelParameters(
            thought_parameters=SamplingParameters(penalty_score=1.5)
        ),
    }  # fmt: skip
    body = body_of(run(override_tools=[TOOL], additional_messages=[{"content": "more"}], **given))

    assert body == {
        "thread_id": "t", "assistant_id": "a", "stream": False, **given,
        "user_info": {"id": "i"},
        "model_parameters": {"thought_parameters": {"penalty_score": 1.5}},
        "thread": {"messages": [{"content": "more"}]},
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "天气", "parameters": {}},
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 0.5}, {"chat_parameters": {"temperature": 0.5}}),
        ({"temperature": 1, "top_p": 0}, {"chat_parameters": {"temperature": 1, "top_p": 0}}),
        (
            {"top_p": 0.5, "model_parameters": {"thought_parameters": {"top_p": 0.1}}},
            {"thought_parameters": {"top_p": 0.1}, "chat_parameters": {"top_p": 0.5}},
        ),
        (
            {"top_p": 0.5, "model_parameters": {"chat_parameters": None}},
            {"chat_parameters": {"top_p": 0.5}},
        ),
        (
            {
                "temperature": 0.5,
                "model_parameters": ModelParameters(
                    chat_parameters=SamplingParameters(penalty_score=1.5)
                ),
            },
            {"chat_parameters": {"penalty_score": 1.5, "temperature": 0.5}},
        ),
        (
            {"top_p": 0.5, "model_parameters": {"chat_parameters": {"top_p": None}}},
            {"chat_parameters": {"top_p": 0.5}},
        ),
        ({"model_parameters": {}}, {}),
    ],
)
def test_sampling_is_that_of_the_chat(given: Any, sent: Any) -> None:
    """By its own name it goes where the wire has it, beside what is there (§3.8)."""
    assert body_of(run(**given))["model_parameters"] == sent


def test_sampling_is_given_once() -> None:
    """Which of two were meant nobody can know."""
    with pytest.raises(InvalidArgument, match="top_p is given twice"):
        routes.encode(run(top_p=0.5, model_parameters={"chat_parameters": {"top_p": 0.5}}))


@pytest.mark.parametrize(
    ("thread", "more", "sent"),
    [
        ({"messages": [{"content": "a"}]}, None, ["a"]),
        ({"messages": None}, [{"content": "b"}], ["b"]),
        (None, [{"content": "b"}], ["b"]),
        ({"messages": [{"content": "a"}]}, [], ["a"]),
    ],
)
def test_messages_of_a_run_stand_in_its_thread(thread: Any, more: Any, sent: list[str]) -> None:
    """Those of a new thread, and those that come with the run (§3.8)."""
    messages = body_of(started(thread, additional_messages=more))["thread"]["messages"]

    assert [message["content"] for message in messages] == sent


@pytest.mark.parametrize(
    "operation",
    [
        started({"messages": [{"content": "a"}]}, additional_messages=[{"content": "b"}]),
        started({"messages": [{"content": "a"}, {"content": "b"}]}),
        run(additional_messages=[{"content": "a"}, {"content": "b"}]),
        run(additional_messages=[{"content": "a", "role": "assistant"}]),
    ],
)
def test_a_run_takes_one_message_of_the_users(operation: Operation[Any]) -> None:
    """One round only, the service says (§3.8)."""
    with pytest.raises(InvalidArgument, match="one message with it, of role user"):
        routes.encode(operation)


@pytest.mark.parametrize("thread", [None, {}, {"messages": []}, {"metadata": {"k": "v"}}])
def test_a_run_on_a_new_thread_has_a_message(thread: Any) -> None:
    """Without one there is nothing to answer (§3.8)."""
    with pytest.raises(InvalidArgument, match="needs a message of the user's"):
        routes.encode(started(thread))


def test_a_run_without_messages_has_no_thread() -> None:
    """An empty list of them is none."""
    assert "thread" not in body_of(run(additional_messages=[]))


# --- what is not sent, and what is added ---


def test_none_is_not_sent() -> None:
    """None means "not given"; an empty text, list or object is sent as it is."""
    operation = ops.UpdateAssistant(
        assistant_id="a",
        params={"model": None, "instructions": "", "tools": [], "metadata": {}, "file_ids": None},
    )

    assert routes.encode(operation).body == (
        b'{"assistant_id":"a","instructions":"","tools":[],"metadata":{}}'
    )


EXTRAS: Extras = {
    "extra_body": {"new": [1], "thread_id": "other", "stream": 5},
    "extra_headers": {"X-Mine": "1"},
    "extra_query": {"debug": True, "none": None},
}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (run(**EXTRAS), {"thread_id": "t", "assistant_id": "a", "stream": False, "new": [1]}),
        (
            ops.RetrieveThread(thread_id="t", extras=EXTRAS),
            {"thread_id": "t", "new": [1], "stream": 5},
        ),
        (
            ops.ListRuns(thread_id="t", page={"page_size": 5, **EXTRAS}),  # type: ignore[typeddict-item]
            {"thread_id": "t", "limit": 5, "new": [1], "stream": 5},
        ),
    ],
)
def test_what_is_not_named_reaches_the_request(operation: Operation[Any], body: Any) -> None:
    """Body, headers and query are added to; what is named wins over `extra_body`."""
    request = routes.encode(operation)

    assert json.loads(request.body or b"") == body
    assert (request.headers, request.query) == ({"X-Mine": "1"}, {"debug": "true"})


def test_what_is_not_named_joins_a_form() -> None:
    """As texts; the purpose that is named wins over the query's."""
    params: Any = {
        "purpose": "p", "extra_body": {"new": 1, "no": None}, "extra_headers": {"X-Mine": "1"},
        "extra_query": {"purpose": "q", "by": "name"},
    }  # fmt: skip
    request = routes.encode(ops.CreateFiles(files=(UPLOAD,), params=params))

    assert request.form == Form(fields=(("new", "1"),), files=(("file", UPLOAD),))
    assert request.query == {"purpose": "p", "by": "name"}
    assert request.headers == {"X-Mine": "1"}


# --- refusals ---


@pytest.mark.parametrize(
    "operation",
    [
        ops.RetrieveAssistantFile(**MOUNTED),
        ops.RetrieveMessageFile(**MESSAGE, file_id="f"),
        ops.UpdateRun(**RUN, params={"metadata": {}}),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_a_call_that_this_api_has_not_is_unsupported(operation: Operation[Any]) -> None:
    """It raises before anything is sent, and is named."""
    with pytest.raises(UnsupportedOperation, match=f"AppBuilder has no {type(operation).__name__}"):
        routes.encode(operation)


def test_no_other_call_is_missing() -> None:
    """These three, of all operations that there are."""
    every = {getattr(ops, name) for name in ops.__all__} - {ops.Operation, ops.ListOperation}

    assert every - set(routes.ROUTES) == {
        ops.RetrieveAssistantFile, ops.RetrieveMessageFile, ops.UpdateRun,
    }  # fmt: skip


ASSISTANT = ("temperature", "top_p", "top_k", "max_tokens")
OF_RUN = {
    "additional_instructions": "x", "top_k": 1, "max_tokens": 1, "max_prompt_tokens": 1,
    "max_completion_tokens": 1, "truncation_strategy": TruncationStrategy(), "tool_choice": "auto",
    "parallel_tool_calls": False,
}  # fmt: skip
FOREIGN: list[tuple[str, Operation[Any]]] = [
    *(
        (name, ops.CreateAssistant(params={"model": "m", "name": "n", name: 1}))  # type: ignore[misc]
        for name in ASSISTANT
    ),
    *(
        (name, ops.UpdateAssistant(assistant_id="a", params={name: 1}))  # type: ignore[misc]
        for name in ASSISTANT
    ),
    *((name, run(**{name: value})) for name, value in OF_RUN.items()),
    *((name, started({"messages": [{"content": "x"}]}, **{name: value}))
      for name, value in OF_RUN.items()),
    ("metadata", ops.CreateMessage(thread_id="t", params={"content": "x", "metadata": {}})),
    ("metadata", ops.UpdateMessage(**MESSAGE, params={"metadata": {}})),
    ("page_size", ops.ListFiles(page={"page_size": 1})),
    ("page_no", ops.ListFiles(page={"page_no": 1})),
    ("description", ops.CreateFiles(files=(UPLOAD,), params={"description": "x"})),
    ("tools", run(tools=[])),
    ("page_no", ops.ListRuns(thread_id="t", page={"page_no": 1})),  # type: ignore[typeddict-unknown-key]
]  # fmt: skip


@pytest.mark.parametrize(("name", "operation"), FOREIGN)
def test_a_parameter_without_a_place_is_unsupported(name: str, operation: Operation[Any]) -> None:
    """A parameter of another API is named in the error; none is dropped in silence."""
    call = type(operation).__name__

    with pytest.raises(UnsupportedParameter, match=f"no place for '{name}' in {call}"):
        routes.encode(operation)


ABSENT: Any = {"model": "m", "name": None, "assistant_id": None, "content": None}


@pytest.mark.parametrize(
    ("operation", "needed"),
    [
        (ops.CreateAssistant(params={"name": "n"}), "model"),
        (ops.CreateAssistant(params={"model": "m"}), "name"),
        (ops.CreateAssistant(params=ABSENT), "name"),
        (ops.CreateRun(thread_id="t", params={}), "assistant_id"),  # type: ignore[typeddict-item]
        (ops.CreateThreadAndRun(params={}), "assistant_id"),  # type: ignore[typeddict-item]
        (ops.CreateMessage(thread_id="t", params={"role": "user"}), "content"),  # type: ignore[typeddict-item]
        (ops.CreateFiles(files=None), "files"),  # type: ignore[arg-type]
    ],
)
def test_what_a_call_cannot_do_without_is_asked_for(operation: Operation[Any], needed: str) -> None:
    """By name; None is not given."""
    with pytest.raises(InvalidArgument, match=f"{type(operation).__name__} needs {needed}"):
        routes.encode(operation)


@pytest.mark.parametrize("wrong", ["", None, 5, b"r"])
@pytest.mark.parametrize("name", ["thread_id", "run_id", "step_id"])
def test_an_id_is_a_text(name: str, wrong: Any) -> None:
    """An id that is empty or no text is refused, naming the field."""
    with pytest.raises(InvalidArgument, match=f"{name} must be a non-empty string"):
        routes.encode(ops.RetrieveStep(**{**RUN, "step_id": "s", name: wrong}))


@pytest.mark.parametrize("odd", ["../x", "a/b", "a b\n", "50%", "线程", "."])
def test_any_text_is_an_id(odd: str) -> None:
    """It is in the body, where nothing has to be quoted."""
    assert body_of(ops.RetrieveThread(thread_id=odd)) == {"thread_id": odd}


@pytest.mark.parametrize(
    ("kind", "size", "allowed"),
    [
        (ops.ListMessages, 1, True),
        (ops.ListMessages, 20, True),
        (ops.ListMessages, 21, False),
        (ops.ListMessages, 0, False),
        (ops.ListMessageFiles, 20, True),
        (ops.ListMessageFiles, 21, False),
        (ops.ListRuns, 2**31 - 1, True),
        (ops.ListRuns, 0, False),
    ],
)
def test_a_page_has_its_limit(kind: Any, size: int, allowed: bool) -> None:
    """1 to 20 messages, and files of one; other lists have no known limit (§2.4, §7 #1)."""
    ids = dict.fromkeys(routes.ids_of(kind), "x")
    operation = kind(**ids, page={"page_size": size})

    if allowed:
        assert body_of(operation)["limit"] == size
        return
    with pytest.raises(InvalidArgument, match="page_size must be in"):
        routes.encode(operation)


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        (ops.CreateAssistant(params={"model": "m", "name": "a b"}), "name must have"),
        (ops.UpdateThread(thread_id="t", params={"metadata": {"k": "v" * 513}}), "metadata"),
        (ops.CreateThread(params={"messages": [{"role": "user"}]}), "needs content"),  # type: ignore[typeddict-item]
        (run(temperature=0), "temperature must be in"),
        (ops.SubmitOutputs(**RUN, tool_outputs=()), "tool_outputs"),
        (ops.CreateMessage(thread_id="t", params={"content": "\ud800"}), "cannot be written"),
        (ops.RetrieveThread(thread_id="\ud800"), "cannot be written"),
        (
            ops.RetrieveThread(thread_id="t", extras={"extra_body": {"a": object()}}),
            "RetrieveThread cannot be written as JSON",
        ),
        (
            ops.RetrieveThread(thread_id="t", extras={"extra_headers": {"a": "b\r\n"}}),
            "must be one line of text",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(operation: Operation[Any], says: str) -> None:
    """Limits are checked, and so is what has no bytes."""
    with pytest.raises(InvalidArgument, match=says):
        routes.encode(operation)


def test_ids_are_the_fields_of_that_name() -> None:
    """Every `*_id`, in the order of the call."""
    assert routes.ids_of(ops.RetrieveStep) == ("thread_id", "run_id", "step_id")
    assert routes.ids_of(ops.ListAssistants) == ()
