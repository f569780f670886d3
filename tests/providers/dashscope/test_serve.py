"""The wire as the local server speaks it: requests in, answers, frames and refusals out."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import ErrorEvent, Event, MessageDelta, RunEvent, UnknownEvent
from aiodashassist.core.files import AssistantFile, File, Form, MessageFile, Upload, Uploads
from aiodashassist.core.models import Deleted, Message, Page, Run, RunStep, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal, Service
from aiodashassist.core.sse import SSEParser
from aiodashassist.core.tooling import (
    FunctionDefinition,
    FunctionTool,
    PluginTool,
    RagTool,
    ToolOutput,
)
from aiodashassist.providers.dashscope import frames, routes
from aiodashassist.providers.dashscope.serve import REFUSALS, DashScopeService
from tests.providers.dashscope.values import (
    OPERATIONS,
    anything,
    events,
    json_objects,
    json_values,
    words,
)

SERVICE: Service = DashScopeService()
BAD_BODY = "Required body invalid, please check the request body format."
RUN = "/threads/t/runs/r"


def asked(method: str, path: str, body: Any = b"", **query: str) -> Operation[Any]:
    """The operation of a request; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SERVICE.parse(method, path, query, content)


def refused(method: str, path: str, body: Any = b"", **query: str) -> Refusal:
    """How a request is refused."""
    with pytest.raises(Refusal) as caught:
        asked(method, path, body, **query)
    return caught.value


# --- who asks ---


def test_it_lives_below_the_services_own_path() -> None:
    """The prefix is the path of the real base URL."""
    assert SERVICE.prefix == "/api/v1"


def test_it_says_how_its_runs_are_answered() -> None:
    """A stream ends at tool calls, a run is answered at once, and silence stays silent (§5)."""
    assert (SERVICE.reopens, SERVICE.blocks, SERVICE.needs_user) == (True, False, False)
    assert SERVICE.ping == b""


@pytest.mark.parametrize("file", [None, File(id="f", filename="a.txt")])
def test_no_answer_has_a_header_of_its_own(file: File | None) -> None:
    """The request's id is in the body (§6.1)."""
    assert SERVICE.headers(file, "req-1") == {}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer sk-1", "sk-1"),
        ("bearer  sk-1 ", "sk-1"),
        ("Bearer a b", "a b"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic sk-1", None),
        ("sk-1", None),
        ("", None),
    ],
)
def test_the_key_is_the_bearer_token(header: str, key: str | None) -> None:
    """Any other authorization is none."""
    assert SERVICE.key({"authorization": header}) == key


def test_no_header_means_no_key_and_the_keys_own_workspace() -> None:
    """Both headers may be missing."""
    assert (SERVICE.key({}), SERVICE.workspace({})) == (None, "")
    assert SERVICE.workspace({"x-dashscope-workspace": "llm-x"}) == "llm-x"


# --- what is asked ---

SDK: dict[str, tuple[str, str, bytes, Operation[Any]]] = {
    "Threads.create": ("POST", "/threads", b'""', ops.CreateThread()),
    "Threads.update": (
        "POST", "/threads/t", b'{"metadata": null}',
        ops.UpdateThread(thread_id="t", params={}),
    ),
    "Assistants.create": (
        "POST", "/assistants", b'{"model": "qwen-max", "file_ids": [], "metadata": null}',
        ops.CreateAssistant(params={"model": "qwen-max", "file_ids": []}),
    ),
    "Assistants.update": (
        "POST", "/assistants/a", b'{"name": "n", "file_ids": [], "metadata": null}',
        ops.UpdateAssistant(assistant_id="a", params={"name": "n"}),
    ),
    "Assistants.update tools": (
        "POST", "/assistants/a", b'{"tools": [], "file_ids": [], "metadata": null}',
        ops.UpdateAssistant(assistant_id="a", params={"tools": []}),
    ),
    "HTTP update description": (
        "POST", "/assistants/a", b'{"description": ""}',
        ops.UpdateAssistant(assistant_id="a", params={"description": ""}),
    ),
    "Messages.create": (
        "POST", "/threads/t/messages", '{"content": "你好", "role": "user"}'.encode(),
        ops.CreateMessage(thread_id="t", params={"content": "你好", "role": "user"}),
    ),
    "Messages.update": (
        "POST", "/threads/t/messages/m", b'{"metadata": {"a": "b"}}',
        ops.UpdateMessage(thread_id="t", message_id="m", params={"metadata": {"a": "b"}}),
    ),
    "Runs.create": (
        "POST", "/threads/t/runs", b'{"assistant_id": "a", "stream": false}',
        ops.CreateRun(thread_id="t", params={"assistant_id": "a"}),
    ),
    "Runs.create extra_body": (
        "POST", "/threads/t/runs", b'{"assistant_id": "a", "stream": true, "new": {"x": [1]}}',
        ops.CreateRun(thread_id="t", params={"assistant_id": "a"}, stream=True),
    ),
    "Java run": (
        "POST", "/threads/t/runs", b'{"assistant_id": "a", "response_format": "json_object"}',
        ops.CreateRun(
            thread_id="t", params={"assistant_id": "a", "response_format": "json_object"}
        ),
    ),
    "Runs.create_thread_and_run": (
        "POST", "/threads/runs",
        b'{"assistant_id": "a", "thread": {"messages": [{"role": "user", "content": "x"}]}}',
        ops.CreateThreadAndRun(
            params={"assistant_id": "a"}, thread={"messages": [{"role": "user", "content": "x"}]}
        ),
    ),
    "Runs.submit_tool_outputs": (
        "POST", RUN + "/submit_tool_outputs",
        b'{"tool_outputs": [{"output": "rain"}], "stream": false}',
        ops.SubmitOutputs(
            thread_id="t", run_id="r", tool_outputs=(ToolOutput(output="rain"),)
        ),
    ),
    "Runs.cancel": ("POST", RUN + "/cancel", b"", ops.CancelRun(thread_id="t", run_id="r")),
    "Runs.update": (
        "POST", RUN, b'{"metadata": null}', ops.UpdateRun(thread_id="t", run_id="r", params={}),
    ),
    "blank": ("GET", RUN, b" \r\n", ops.RetrieveRun(thread_id="t", run_id="r")),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "operation"), SDK.values(), ids=SDK)
def test_bodies_of_the_official_sdks_are_taken(
    method: str, path: str, body: bytes, operation: Operation[Any]
) -> None:
    """The exact bodies of dashscope.md §2.1; a null or an empty `file_ids` clears nothing."""
    assert asked(method, path, body) == operation


def test_empty_cursors_of_the_sdk_are_none() -> None:
    """The SDK sends `after=&before=` (§2)."""
    operation = asked("GET", "/assistants", limit="2", order="desc", after="", before="")

    assert operation == ops.ListAssistants(page={"page_size": 2, "order": "desc"})


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ({}, {}),
        ({"limit": "1"}, {"page_size": 1}),
        ({"limit": "100", "order": "asc"}, {"page_size": 100, "order": "asc"}),
        ({"limit": "", "order": ""}, {}),
        ({"before": "x", "unknown": "1"}, {"before": "x"}),
    ],
)
def test_a_list_has_its_parameters(query: dict[str, str], page: Any) -> None:
    """`limit` is the page's size; what is empty or unknown is not there."""
    assert asked("GET", "/threads/t/messages", **query) == ops.ListMessages(
        thread_id="t", page=page
    )


def test_quoted_ids_are_read() -> None:
    """An id that was quoted for the path is itself again."""
    operation = asked("DELETE", "/threads/a%2Fb%20%E7%BA%BF")

    assert operation == ops.DeleteThread(thread_id="a/b 线")


def test_tools_of_a_run_replace_the_assistants() -> None:
    """The wire's `tools` on a run is our `override_tools`, read into tools (§3.9)."""
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "quark_search"},
        {"type": "rag", "prompt_ra": {"pipeline_id": []}},
        {"type": "new", "limit": 1},
    ]
    operation = asked("POST", "/threads/t/runs", {"assistant_id": "a", "tools": tools})

    assert isinstance(operation, ops.CreateRun)
    assert operation.params["override_tools"] == [
        FunctionTool(function=FunctionDefinition(name="f", parameters={})),
        PluginTool("quark_search"),
        RagTool(prompt_ra={"pipeline_id": []}),
        {"type": "new", "limit": 1},
    ]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f", "strict": True}},
        {"type": "function", "function": {"name": "f", "description": None}},
        {"type": "quark_search", "auth": {"type": "user_http", "user_token": "t", "realm": "r"}},
        {"type": "rag", "prompt_ra": {"pipeline_id": None}},
    ],
)
def test_a_tool_with_more_is_kept_as_it_came(tool: dict[str, Any]) -> None:
    """Tools are echoed as they were declared, so nothing of one may be lost (§3.1)."""
    operation = asked("POST", "/assistants", {"model": "m", "tools": [tool]})

    assert isinstance(operation, ops.CreateAssistant)
    assert operation.params["tools"] == [tool]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/threads", {"messages": [{"content": "x", "metadata": None}]}, "messages"),
        ("/threads", {"messages": [{"content": "x", "file_ids": None}]}, "messages"),
        ("/threads/runs", {"assistant_id": "a", "thread": {"metadata": None}}, "thread"),
        ("/threads/runs", {"assistant_id": "a", "thread": None}, "thread"),
        (RUN + "/submit_tool_outputs",
         {"tool_outputs": [{"output": "x", "tool_call_id": None}]}, "tool_outputs"),
        ("/threads/t/runs", {"assistant_id": "a", "override_tools": 5}, "override_tools"),
        ("/threads/t/runs", {"assistant_id": "a", "user_info": 5}, "user_info"),
        ("/assistants", {"model": "m", "thought_instructions": 5}, "thought_instructions"),
    ],
)  # fmt: skip
def test_nulls_and_unknown_fields_are_borne(path: str, body: Any, field: str) -> None:
    """A null is "not given" at any depth; a field that DashScope has not is passed over (§2.1)."""
    assert field in body
    assert asked("POST", path, body)


# --- refusals ---


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "/assistants", b"{", BAD_BODY),
        ("POST", "/assistants", b"\xff", BAD_BODY),
        ("POST", "/assistants", b"[" * 100_000, BAD_BODY),
        ("POST", "/assistants", [], BAD_BODY),
        ("POST", "/assistants", '"text"', BAD_BODY),
        ("POST", "/assistants", b"5", BAD_BODY),
        ("POST", "/assistants", b'{"model":5}', BAD_BODY),
        ("POST", "/assistants", {"model": "m", "tools": {}}, BAD_BODY),
        ("POST", "/assistants", {"model": "m", "tools": [5]}, BAD_BODY),
        ("POST", "/assistants", {}, "Required parameter(s) missing: model"),
        ("POST", "/assistants", {"model": ""}, "Required parameter(s) missing: model"),
        ("POST", "/assistants", {"model": None}, "Required parameter(s) missing: model"),
        ("POST", "/assistants", b'""', "Required parameter(s) missing: model"),
        ("POST", "/assistants", {"model": "m", "tools": [{}]},
         "Required parameter(s) invalid: tools"),
        ("POST", "/assistants", {"model": "m", "tools": [{"type": "function"}]},
         "Required parameter(s) invalid: tools"),
        ("POST", "/assistants", {"model": "m", "tools": [{"type": "rag"}]},
         "Required parameter(s) invalid: tools"),
        ("POST", "/assistants", {"model": "m", "tools": [{"type": ["function"]}]},
         "Required parameter(s) invalid: tools"),
        ("POST", "/assistants", {"model": "m", "tools": [{"type": ""}]},
         "Required parameter(s) invalid: tools"),
        ("POST", "/assistants/a",
         {"tools": [{"type": "function", "function": {"name": "search"}}]},
         "Tool names are not allowed to be [search]"),
        ("POST", "/assistants/a", {"tools": [{"type": "function", "function": {"name": ""}}]},
         "Tool names are not allowed to be []"),
        ("POST", "/assistants/a", {"temperature": 2}, "temperature must be in [0, 2), not 2.0"),
        ("POST", "/threads", {"messages": "hi"}, BAD_BODY),
        ("POST", "/threads", b'{"messages":' + b"[" * 800 + b"]" * 800 + b"}", BAD_BODY),
        ("POST", "/threads", b'{"messages":[' * 300 + b"]}" * 300, BAD_BODY),
        ("POST", "/threads", {"messages": [{"role": "user"}]}, BAD_BODY),
        ("POST", "/threads", {"messages": [{"content": "x", "role": "system"}]},
         "role must be user or assistant"),
        ("POST", "/threads/t", {"metadata": 5}, BAD_BODY),
        ("POST", "/threads/t", {"metadata": {str(number): "" for number in range(17)}},
         "metadata has 17 pairs; at most 16"),
        ("POST", "/threads/t/messages", {"role": "user"}, BAD_BODY),
        ("POST", "/threads/t/messages", {"content": [1]}, BAD_BODY),
        ("POST", "/threads/t/messages", {"content": "x", "role": "tool"},
         "role must be user or assistant"),
        ("POST", "/threads/t/runs", {}, BAD_BODY),
        ("POST", "/threads/t/runs", {"assistant_id": ""},
         "assistant_id must be a non-empty string"),
        ("POST", "/threads/t/runs", {"assistant_id": "a", "stream": "true"}, BAD_BODY),
        ("POST", "/threads/runs", {"assistant_id": "a", "thread": []}, BAD_BODY),
        ("POST", "/threads/runs", {"assistant_id": "a", "thread": ""}, BAD_BODY),
        ("POST", RUN, {"metadata": []}, BAD_BODY),
        ("POST", RUN, {"metadata": {"k": "v" * 513}},
         "metadata['k'] has 513 characters; at most 512"),
        ("POST", RUN + "/submit_tool_outputs", {}, BAD_BODY),
        ("POST", RUN + "/submit_tool_outputs", {"tool_outputs": []},
         "tool_outputs must not be empty"),
        ("POST", RUN + "/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "c"}]},
         BAD_BODY),
        ("POST", RUN + "/submit_tool_outputs", {"tool_outputs": [{"output": {}}]}, BAD_BODY),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_body_of_the_wrong_shape_is_refused(method: str, path: str, body: Any, says: str) -> None:
    """What a call cannot be made of is refused as invalid, with the reason first (§6.3)."""
    refusal = refused(method, path, body)

    assert refusal.kind == "invalid"
    assert refusal.message.startswith(says)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/threads/t/messages", {"content": ""}),
        ("/threads", {"messages": [{"content": "x"}, {"content": ""}]}),
        ("/threads/runs", {"assistant_id": "a", "thread": {"messages": [{"content": ""}]}}),
        ("/threads/t/runs", {"assistant_id": "a", "additional_messages": [{"content": ""}]}),
    ],
)
def test_an_empty_message_is_refused(path: str, body: Any) -> None:
    """A message without content has a refusal of its own, wherever it is (§6.2)."""
    assert refused("POST", path, body).kind == "empty"


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "1.0", "ten", " 5", "²", "٣", "9" * 30, "00999", "01000",
     "0001" + "9" * 5000],
    ids=lambda limit: limit[:9],
)  # fmt: skip
def test_a_limit_is_between_1_and_100(limit: str) -> None:
    """Whatever the digits, a page has 1 to 100 items (§6.2)."""
    assert refused("GET", "/assistants", limit=limit).kind == "limit"


@pytest.mark.parametrize("order", ["ASC", "newest", " asc"])
def test_an_order_is_asc_or_desc(order: str) -> None:
    """No other order is known (§6.2)."""
    assert refused("GET", RUN + "/steps", order=order).kind == "order"


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/files", True),
        ("GET", "/files", False),
        ("POST", "/files/f", False),
        ("POST", "/files/", False),
        ("POST", "/assistants/a/files", False),
        ("POST", "/threads", False),
    ],
)
def test_only_an_upload_is_a_form(method: str, path: str, form: bool) -> None:
    """All other bodies are JSON; attaching names a file and sends none (§2 AF1, §2.5)."""
    assert SERVICE.takes_form(method, path) is form


def test_a_form_is_read_as_an_upload() -> None:
    """The files, and the texts that stand beside them."""
    upload = Upload(filename="n", size=1, content=None)
    form = Form(fields=(("purpose", "p"), ("other", "o")), files=(("files", upload),))

    assert SERVICE.parse("POST", "/files", {}, form) == ops.CreateFiles(
        files=(upload,), params={"purpose": "p"}
    )


def test_a_form_without_files_is_refused() -> None:
    """There is nothing to keep."""
    with pytest.raises(Refusal) as caught:
        SERVICE.parse("POST", "/files", {}, Form(fields=(("purpose", "p"),)))

    assert (caught.value.kind, "files" in caught.value.message) == ("invalid", True)


def test_a_list_of_files_has_its_page() -> None:
    """It goes by numbers, and knows no cursors (§2.5)."""
    assert asked("GET", "/files", page_no="2", page_size="5", after="x") == ops.ListFiles(
        page={"page_no": 2, "page_size": 5}
    )
    assert refused("GET", "/files", page_no="0").kind == "invalid"


@pytest.mark.parametrize("body", [{}, {"file_id": None}, {"file_id": ""}, {"file_id": 5}, []])
def test_what_is_attached_has_an_id(body: Any) -> None:
    """A body that names no file is refused (§2 AF1)."""
    assert refused("POST", "/assistants/a/files", body).kind == "invalid"
    assert asked("POST", "/assistants/a/files", {"file_id": "f", "more": 1}) == ops.AttachFile(
        assistant_id="a", file_id="f"
    )


def test_two_cursors_are_refused() -> None:
    """`after` and `before` exclude each other (§2)."""
    refusal = refused("GET", "/assistants", after="a", before="b")

    assert (refusal.kind, refusal.message) == ("invalid", "after and before exclude each other")


@pytest.mark.parametrize("path", ["/", "/threads/", "/services/x", RUN + "/submit", "//threads"])
def test_an_unknown_path_is_refused(path: str) -> None:
    """No such URL (§6.2)."""
    assert refused("GET", path).kind == "url"


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/threads/t"), ("GET", "/threads"), ("HEAD", RUN)]
)
def test_an_unknown_method_is_refused_by_name(method: str, path: str) -> None:
    """The refusal names the method, as the service does (§6.3)."""
    refusal = refused(method, path)

    assert (refusal.kind, refusal.message) == (
        "method",
        f"Request method '{method}' is not supported.",
    )


MISSING = "The specified {} has been deleted or does not exist."
INTERNAL = "An internal error has occured, please try again later or contact service support."


@pytest.mark.parametrize(
    ("refusal", "status", "code", "message"),
    [
        (Refusal("empty"), 400, "InvalidParameter",
         "The messages information cannot be empty."),
        (Refusal("missing", subject="step"), 400, "InvalidParameter",
         "The specified run step does not exist."),
        (Refusal("missing", subject="run"), 400, "InvalidParameter", MISSING.format("run")),
        (Refusal("missing", subject="message"), 400, "InvalidParameter",
         MISSING.format("message")),
        (Refusal("missing", subject="thread"), 400, "InvalidParameter",
         MISSING.format("thread")),
        (Refusal("missing", subject="assistant file"), 400, "InvalidParameter",
         MISSING.format("assistant file")),
        (Refusal("missing", subject="message file"), 400, "InvalidParameter",
         "The specified message file not exist."),
        (Refusal("missing", subject="file"), 400, "InvalidParameter", MISSING.format("file")),
        (Refusal("missing", subject="assistant"), 400, "InvalidParameter",
         MISSING.format("assistant")),
        (Refusal("order"), 400, "InvalidParameter", "Order must be 'asc' or 'desc'"),
        (Refusal("limit"), 400, "InvalidParameter", "Limit must be between 1 and 100"),
        (Refusal("url"), 400, "InvalidParameter", "Invalid URL provided in your request."),
        (Refusal("method", "Request method 'GET' is not supported."), 400, "InvalidParameter",
         "Request method 'GET' is not supported."),
        (Refusal("key_missing"), 400, "InvalidParameter",
         "API key or Uid is missing. Please provide a valid API key or Uid."),
        (Refusal("key_wrong"), 401, "InvalidApiKey", "Invalid API-key provided."),
        (Refusal("invalid"), 400, "InvalidParameter", BAD_BODY),
        (Refusal("invalid", "because"), 400, "InvalidParameter", "because"),
        (Refusal("too_large"), 413, "RequestTooLarge",
         "The request body is larger than 16 MiB."),
        (Refusal("internal"), 500, "InternalError", INTERNAL),
    ],
)  # fmt: skip
def test_a_refusal_has_its_status_code_and_words(
    refusal: Refusal, status: int, code: str, message: str
) -> None:
    """The exact words of dashscope.md §6, flat, with the request's id and nothing else."""
    answered, body = SERVICE.refuse(refusal, "req-1")

    assert answered == status
    assert json.loads(body) == {"code": code, "message": message, "request_id": "req-1"}
    assert refusal.kind == "missing" or refusal.kind in REFUSALS


# --- answers and frames ---


def test_an_object_is_answered_with_its_request() -> None:
    """The request's id stands at the top of an object (§2)."""
    body = SERVICE.answer(ops.RetrieveThread(thread_id="t"), Thread(id="t", created_at=5), "req-1")

    assert body == (
        b'{"id":"t","object":"thread","created_at":5,"metadata":{},"request_id":"req-1"}'
    )


def test_a_list_is_answered_in_its_envelope() -> None:
    """Items have no request id of their own; a listed step has its own "none"s (§3.6, §3.7)."""
    page = Page(data=(RunStep(id="s"),), first_id="s", last_id="s", has_more=True)
    body = json.loads(SERVICE.answer(ops.ListSteps(thread_id="t", run_id="r"), page, "req-1"))

    (item,) = body.pop("data")
    assert body == {
        "object": "list", "first_id": "s", "last_id": "s", "has_more": True, "request_id": "req-1",
    }  # fmt: skip
    assert "request_id" not in item
    assert (item["completed_at"], item["expired_at"], item["usage"]) == (-1, 0, {})


SHORT = [
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "model", "instructions",
    "tools", "metadata", "request_id",
]  # fmt: skip


@pytest.mark.parametrize(
    "operation",
    [
        ops.CreateRun(thread_id="t", params={"assistant_id": "a"}),
        ops.CreateThreadAndRun(params={"assistant_id": "a"}),
    ],
)
def test_a_new_run_is_answered_short(operation: Operation[Any]) -> None:
    """The first answer has fewer fields than any later one (§3.5)."""
    body = json.loads(SERVICE.answer(operation, Run(id="r"), "req-1"))

    assert list(body) == SHORT


def test_a_run_after_its_outputs_is_answered_whole() -> None:
    """The answer to tool outputs has `{}` for no error and 0 for no time (§3.5)."""
    operation = ops.SubmitOutputs(thread_id="t", run_id="r", tool_outputs=(ToolOutput(output="x"),))
    body = json.loads(SERVICE.answer(operation, Run(id="r", status="in_progress"), "req-1"))

    assert (body["last_error"], body["completed_at"], body["usage"]) == ({}, 0, None)
    assert len(body) > len(SHORT)


def answered(operation: Operation[Any], result: Any) -> Any:
    """An answer's JSON."""
    return json.loads(SERVICE.answer(operation, result, "req-1"))


def test_files_are_answered_under_data() -> None:
    """The platform's files have an envelope of their own; a deletion tells nothing (§2.5)."""
    file = File(id="f", filename="n", bytes=5, created_at=1_700_000_000_000)
    deleted = Deleted(id="f", object="file.deleted")
    page = Page(data=(file,), page_no=2, total=3)

    whole = answered(ops.RetrieveFile(file_id="f"), file)
    assert (whole["data"]["file_id"], whole["data"]["name"], whole["request_id"]) == (
        "f", "n", "req-1",
    )  # fmt: skip
    assert answered(ops.DeleteFile(file_id="f"), deleted) == {"request_id": "req-1"}
    assert answered(ops.CreateFiles(files=()), Uploads(files=(file,))) == {
        "data": {"uploaded_files": [{"file_id": "f", "name": "n"}], "failed_uploads": []},
        "request_id": "req-1",
    }
    listed = answered(ops.ListFiles(page={"page_size": 1, "page_no": 2}), page)["data"]
    assert (listed["total"], listed["page_size"], listed["page_no"]) == (3, 1, 2)
    assert [(item["id"], item["file_id"]) for item in listed["files"]] == [(2, "f")]


def test_attached_files_are_answered_like_other_objects() -> None:
    """The files of assistants and of messages lie flat, in the usual list (§3.2, §3.4)."""
    attached = AssistantFile(id="f", created_at=5, assistant_id="a")
    noted = MessageFile(id="f", created_at=5, message_id="m")
    page = Page(data=(noted,), first_id="f", last_id="f")

    assert answered(ops.AttachFile(assistant_id="a", file_id="f"), attached) == {
        "id": "f", "object": "assistant.file", "created_at": 5, "assistant_id": "a",
        "request_id": "req-1",
    }  # fmt: skip
    body = answered(ops.ListMessageFiles(thread_id="t", message_id="m"), page)
    assert body["data"] == [
        {"id": "f", "object": "thread.message.file", "created_at": 5, "message_id": "m"}
    ]
    assert (body["object"], body["has_more"]) == ("list", False)


def test_other_objects_are_answered_whole() -> None:
    """A message and a deletion have their own fields."""
    message = SERVICE.answer(
        ops.RetrieveMessage(thread_id="t", message_id="m"), Message(id="m"), "req-1"
    )
    deleted = SERVICE.answer(
        ops.DeleteThread(thread_id="t"), Deleted(id="t", object="thread.deleted"), "req-1"
    )
    assert json.loads(message)["plugin_call"] == {}
    assert deleted == (b'{"id":"t","object":"thread.deleted","deleted":true,"request_id":"req-1"}')


def test_a_frame_has_no_space_after_its_colons() -> None:
    """One event line, one data line, UTF-8 as it is, a blank line: or the official SDK dies."""
    assert SERVICE.writer("req-1")(ErrorEvent(code="c", message="天气\n")) == (
        'event:error\ndata:{"code":"c","message":"天气\\n","request_id":"req-1"}\n\n'.encode()
    )


def test_a_stream_closes_with_its_mark() -> None:
    """The closing mark is no JSON, and no event."""
    assert SERVICE.closing() == b"event:done\ndata:[DONE]\n\n"
    (frame,) = SSEParser().feed(SERVICE.closing())
    assert frames.read_frame(frame) == ()


# --- there and back ---


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_operation_comes_back(kind: type[Operation[Any]], data: st.DataObject) -> None:
    """The server reads from a request the operation that the client made it of."""
    operation = data.draw(OPERATIONS[kind])
    request = routes.encode(operation)

    body = request.form or request.body or b""
    got = SERVICE.parse(request.method, request.path, request.query, body)
    assert got == operation
    assert SERVICE.takes_form(request.method, request.path) == (request.form is not None)


def test_every_operation_is_tried() -> None:
    """No route is left out of the property above."""
    assert set(OPERATIONS) == set(routes.ROUTES)


def read_back(event: Event) -> Event:
    """An event over the wire."""
    framed = SERVICE.writer("req-1")(event)
    assert framed.startswith(b"event:")
    assert framed.count(b"\n") == 3
    (frame,) = SSEParser().feed(framed)
    (got,) = frames.read_frame(frame)
    return got


def stamped(event: Event) -> Event:
    """An event whose object bears the request's id, as a frame's always does (§5.2)."""
    for field in ("thread", "run", "step", "message"):
        obj = getattr(event, field, None)
        if isinstance(obj, Thread | Run | RunStep | Message):
            return replace(event, **{field: replace(obj, request_id="req-1")})
    return event


@given(events)
@settings(max_examples=200, deadline=None)
def test_every_event_comes_back(event: Event) -> None:
    """What the server frames reads as the same event, with the request's id."""
    assert read_back(event) == stamped(event)


@given(anything, anything)
def test_every_error_comes_back(code: str, message: str) -> None:
    """An `error` frame has its code, its words and its request."""
    event = ErrorEvent(code=code, message=message, name="error")

    assert read_back(event) == replace(event, request_id="req-1")


@given(json_objects)
@settings(deadline=None)
def test_an_unknown_event_comes_back(data: dict[str, Any]) -> None:
    """An event of no known name keeps its data, and gains the request's id."""
    event = UnknownEvent(name="thread.paused", data=data)

    assert read_back(event) == replace(event, data={**data, "request_id": "req-1"})


def test_a_delta_without_parts_comes_back_as_its_text() -> None:
    """The server's own deltas name only their text."""
    got = read_back(MessageDelta(message_id="m", text="hi"))

    assert isinstance(got, MessageDelta)
    assert (got.message_id, got.text) == ("m", "hi")


def test_the_servers_own_names_become_the_wires() -> None:
    """An event that begins something is `created` on the wire."""
    got = read_back(RunEvent(status="queued", run=Run(id="r", status="queued"), name="created"))

    assert isinstance(got, RunEvent)
    assert (got.name, got.status) == ("thread.run.created", "queued")


METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT"])
PATHS = st.sampled_from(
    [route.path.format_map(dict.fromkeys(route.ids, "x")) for route in routes.ROUTES.values()]
) | words.map(lambda text: "/" + text)
FIELDS = st.sampled_from(
    [
        "model", "tools", "metadata", "messages", "content", "thread", "assistant_id", "stream",
        "tool_outputs", "output", "type", "function", "name", "role", "temperature",
    ]
)  # fmt: skip
BODIES = (
    st.binary(max_size=20)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.recursive(
        json_values,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=5),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "order", "after", "before", "page_no", "page_size"]),
    anything | st.sampled_from(["0", "1", "100", "101"]),
)
PART_NAMES = st.sampled_from(["files", "purpose", "descriptions"]) | anything


FORMS = st.builds(
    Form,
    fields=st.lists(st.tuples(PART_NAMES, anything), max_size=3).map(tuple),
    files=st.lists(
        st.tuples(
            PART_NAMES, st.builds(Upload, filename=anything, size=st.none(), content=st.none())
        ),
        max_size=3,
    ).map(tuple),
)


@given(METHODS, PATHS, QUERIES, BODIES, FORMS)
@settings(max_examples=500, deadline=None)
def test_any_request_is_an_operation_or_a_refusal(
    method: str, path: str, query: dict[str, str], body: bytes, form: Form
) -> None:
    """Nothing that a client can send is a fault of the server."""
    try:
        given_body = form if SERVICE.takes_form(method, path) else body
        operation = SERVICE.parse(method, path, query, given_body)
    except Refusal as refusal:
        status, _ = SERVICE.refuse(refusal, "req-1")
        assert status == 400
    else:
        assert type(operation) in routes.ROUTES


def test_an_upload_that_is_no_form_is_refused() -> None:
    """The files of an upload are in a form; a body of bytes is none."""
    with pytest.raises(Refusal) as caught:
        SERVICE.parse("POST", "/files", {}, b"{}")
    assert caught.value.kind == "invalid"
