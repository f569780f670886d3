"""The wire as the local server speaks it: who asks and for what, answers, refusals."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.events import Event, MessageDelta, RunEvent
from aiodashassist.core.files import AssistantFile, FailedUpload, File, Form, Upload, Uploads
from aiodashassist.core.models import Assistant, Deleted, Message, Page, Run, RunStep, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal, Response, Service
from aiodashassist.core.sse import SSEParser
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import APIError
from aiodashassist.providers.appbuilder import failures, routes
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from aiodashassist.providers.appbuilder.spelling import spell
from aiodashassist.providers.appbuilder.writer import PING
from tests.providers.appbuilder.values import OPERATIONS, anything, json_values

SERVICE: Service = AppBuilderService()
UPLOAD = Upload(filename="a.txt", size=3, content=None)
FILE = File(id="f", filename="a.txt", bytes=3, created_at=1713122932000)
PATHS = {kind: route.path.removeprefix("/v2") for kind, route in routes.ROUTES.items()}
OF_RUN: dict[str, Any] = {"thread_id": "t", "run_id": "r"}
START: dict[str, Any] = {"thread_id": "t", "params": {"assistant_id": "a"}}


def asked(path: str, body: Any, **query: str) -> Operation[Any]:
    """The operation of a request."""
    return SERVICE.parse("POST", path, query, json.dumps(body).encode())


def refused(method: str, path: str, body: bytes | Form = b"{}") -> Refusal:
    """How a request is refused."""
    with pytest.raises(Refusal) as caught:
        SERVICE.parse(method, path, {}, body)
    return caught.value


def answered(operation: Operation[Any], result: Any) -> Any:
    """An answer's JSON."""
    return json.loads(SERVICE.answer(operation, result, "req-1"))


# --- who asks ---


def test_it_says_what_it_is() -> None:
    """It lives right below the host; a stream stays open, and a run is waited for (§1.1, §5.5)."""
    assert (SERVICE.prefix, SERVICE.reopens, SERVICE.blocks) == ("/v2", False, True)
    assert (SERVICE.needs_user, SERVICE.ping, SERVICE.closing()) == (True, PING, b"")


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer bce-v3/x", "bce-v3/x"),
        ("bearer  x ", "x"),
        ("Bearer a b", "a b"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic x", None),
        ("x", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("name", ["authorization", "x-appbuilder-authorization"])
def test_the_key_is_the_bearer_token(name: str, header: str, key: str | None) -> None:
    """Under either of the names that the SDK sends it with (§1.2)."""
    assert SERVICE.key({name: header}) == key


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Bearer a", "x-appbuilder-authorization": "Bearer b"}, "a"),
        ({"authorization": "Basic a", "x-appbuilder-authorization": "Bearer b"}, "b"),
        ({"x-api-key": "Bearer a"}, None),
    ],
)
def test_the_documented_header_comes_first(headers: dict[str, str], key: str | None) -> None:
    """The other counts where that one has no token."""
    assert SERVICE.key(headers) == key


@given(st.dictionaries(st.sampled_from(["authorization", "x-appbuilder-authorization"]), anything))
def test_any_header_gives_a_key_or_none(headers: dict[str, str]) -> None:
    """Whatever its value is."""
    key = SERVICE.key(headers)

    assert key is None or (key and key == key.strip())


def test_there_are_no_workspaces() -> None:
    """Whatever the headers are."""
    assert SERVICE.workspace({"x-dashscope-workspace": "x", "authorization": "Bearer a"}) == ""


# --- what is asked ---


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_each_path_leads_to_its_call(kind: type[Operation[Any]], data: st.DataObject) -> None:
    """What the client encodes is what is asked for; of two calls on one path the body tells."""
    request = routes.encode(data.draw(OPERATIONS[kind]))
    path = request.path.removeprefix(SERVICE.prefix)

    body = request.form or request.body or b""
    assert type(SERVICE.parse(request.method, path, request.query, body)) is kind
    assert SERVICE.takes_form("POST", path) is (kind is ops.CreateFiles)


@pytest.mark.parametrize("thread_id", [None, ""])
def test_a_run_without_a_threads_id_is_on_a_new_thread(thread_id: Any) -> None:
    """`""` is what the SDK sends for none (§3.8)."""
    body = {"thread_id": thread_id, "assistant_id": "a", "thread": {"messages": [{"content": "x"}]}}

    assert isinstance(asked("/threads/runs", body), ops.CreateThreadAndRun)
    assert isinstance(asked("/threads/runs", {**body, "thread_id": "t"}), ops.CreateRun)


def test_a_form_is_an_upload() -> None:
    """Its purpose is in the query (§2.2)."""
    form = Form(files=(("file", UPLOAD),))

    assert SERVICE.parse("POST", "/storage/files", {"purpose": "p"}, form) == ops.CreateFiles(
        files=(UPLOAD,), params={"purpose": "p"}
    )
    assert refused("POST", "/storage/files", Form()).kind == "invalid"
    assert refused("POST", "/storage/files", b'{"files":[1]}').kind == "invalid"


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/storage/files", True),
        ("GET", "/storage/files", False),
        ("POST", "/storage/files/list", False),
        ("POST", "/storage/files/", False),
        ("POST", "/assistants/files", False),
        ("POST", "/nowhere", False),
    ],
)
def test_only_an_upload_is_a_form(method: str, path: str, form: bool) -> None:
    """All other bodies are JSON (§2.2)."""
    assert SERVICE.takes_form(method, path) is form


@pytest.mark.parametrize(
    "path",
    ["/", "", "/threads/", "/threads/t", "/assistants/query/", "/storage", "//threads",
     "/Threads", "/threads%2Fquery", "/threads/runs/update", "/assistants/files/query"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_refused(method: str, path: str) -> None:
    """No such URL, whatever the method."""
    assert refused(method, path).kind == "url"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "post"])
@pytest.mark.parametrize("path", PATHS.values())
def test_every_call_is_a_post(method: str, path: str) -> None:
    """No other method is known (§2)."""
    assert refused(method, path).kind == "method"


# --- answers ---


@pytest.mark.parametrize(
    ("operation", "flavour"),
    [
        (ops.CreateRun(**START), "result"),
        (ops.CreateThreadAndRun(params={"assistant_id": "a"}), "result"),
        (ops.SubmitOutputs(**OF_RUN, tool_outputs=(ToolOutput(output=""),)), "result"),
        (ops.CancelRun(**OF_RUN), "result"),
        (ops.RetrieveRun(**OF_RUN), "query"),
    ],
)
def test_a_run_is_answered_in_its_flavour(operation: Operation[Any], flavour: Any) -> None:
    """Made or moved it is a result, else it is read (§3.9)."""
    run = Run(id="r", status="completed", created_at=5)

    assert answered(operation, run) == spell(run, flavour)


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (ops.RetrieveAssistant(assistant_id="a"), Assistant(id="a")),
        (ops.CreateAssistant(params={"model": "m"}), Assistant(id="a")),
        (ops.RetrieveThread(thread_id="t"), Thread(id="t")),
        (ops.RetrieveMessage(thread_id="t", message_id="m"), Message(id="m")),
        (ops.RetrieveStep(**OF_RUN, step_id="s"), RunStep(id="s")),
        (ops.AttachFile(assistant_id="a", file_id="f"), AssistantFile(id="f")),
        (ops.DeleteThread(thread_id="t"), Deleted(id="t", object="thread.deleted")),
    ],
)
def test_an_object_is_answered_as_it_is_read(operation: Operation[Any], result: Any) -> None:
    """No request id is in it: that is in a header (§1.4)."""
    assert answered(operation, result) == spell(result, "query")


def test_a_file_that_was_made_has_two_fields_less() -> None:
    """Its audit is not known yet (§2.2)."""
    made = answered(ops.CreateFiles(files=(UPLOAD,)), Uploads(files=(FILE,)))
    read = answered(ops.RetrieveFile(file_id="f"), FILE)

    assert set(read) - set(made) == {"censored", "file_type"}
    assert (made["id"], made["create_at"], read["censored"]) == ("f", 1713122932, 1)


def test_an_upload_that_was_not_taken_is_an_error() -> None:
    """In the envelope of all others (§6.1)."""
    failed = FailedUpload(filename="a.txt", code="too_large", message="more than 5 bytes")

    assert answered(ops.CreateFiles(files=(UPLOAD,)), Uploads(failed=(failed,))) == {
        "error": {
            "code": "too_large", "message": "more than 5 bytes", "type": "invalid_request_error",
            "param": "file",
        }
    }  # fmt: skip


def test_a_list_is_answered_in_its_envelope() -> None:
    """Items in the flavour of lists, and the ends (§3.7)."""
    page = Page(data=(Run(id="r"),), first_id="r", last_id="r", has_more=True)
    empty = answered(ops.ListRuns(thread_id="t"), Page())

    assert answered(ops.ListRuns(thread_id="t"), page) == {
        "object": "list", "data": [spell(Run(id="r"), "list")], "first_id": "r", "last_id": "r",
        "has_more": True,
    }  # fmt: skip
    assert empty == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


def test_a_list_of_files_has_only_its_data() -> None:
    """With all fields of each (§2.2)."""
    page = Page(data=(FILE,), first_id="f", last_id="f", has_more=False)

    assert answered(ops.ListFiles(), page) == {"object": "list", "data": [spell(FILE, "query")]}


def test_an_answer_names_its_request_in_a_header() -> None:
    """A file's also says what it is and its name (§1.4, §2.2)."""
    assert SERVICE.headers(None, "req-1") == {"X-Appbuilder-Request-Id": "req-1"}
    assert SERVICE.headers(FILE, "req-1") == {
        "X-Appbuilder-Request-Id": "req-1",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": "attachment; filename=a.txt",
    }


@pytest.mark.parametrize(("chunks", "last"), [("delta", "b"), ("cumulative", "ab")])
def test_each_stream_has_a_writer_of_its_own(chunks: Any, last: str) -> None:
    """Which counts from 1, and cuts messages as the service was told."""
    service = AppBuilderService(message_chunks=chunks)
    for _ in range(2):
        write = service.writer("req-1")
        events: list[Event] = [RunEvent(status="queued", run=Run(id="r")),
                  *(MessageDelta(message_id="m", text=text) for text in "ab")]  # fmt: skip
        frames = SSEParser().feed(b"".join(map(write, events)))
        bodies = [json.loads(frame.data) for frame in frames]
        assert [body["send_id"] for body in bodies] == [1, 2, 3]
        assert bodies[0]["message"] == "begin to run. logId:req-1"
        assert bodies[-1]["content"][0]["text"]["value"] == last


# --- refusals ---


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal("url"), 404, "NotFound"),
        (Refusal("method"), 405, "MethodNotAllowed"),
        (Refusal("key_missing"), 401, "UnAuthorized"),
        (Refusal("key_wrong"), 401, "UnAuthorized"),
        (Refusal("too_large"), 413, "RequestTooLarge"),
        (Refusal("internal"), 500, "InternalServerError"),
        (Refusal("too_large", "5 bytes at most"), 413, "RequestTooLarge"),
    ],
)
def test_the_gateway_refuses_flat(refusal: Refusal, status: int, code: str) -> None:
    """With a status of its own, and the request in the body (§6.1)."""
    told, body = SERVICE.refuse(refusal, "req-1")

    flat = json.loads(body)
    assert (told, list(flat)) == (status, ["code", "message", "requestId"])
    assert (flat["code"], flat["requestId"]) == (code, "req-1")
    assert flat["message"]
    if refusal.message:
        assert flat["message"] == refusal.message


@pytest.mark.parametrize(
    ("refusal", "code", "message", "param"),
    [
        (Refusal("missing", subject="thread"), "not_found", "The thread does not exist.", "thread"),
        (Refusal("missing", subject="file"), "not_found", "The file does not exist.", "file"),
        (Refusal("invalid"), "invalid_parameter", "The request is invalid.", None),
        (Refusal("invalid", "because"), "invalid_parameter", "because", None),
        (Refusal("invalid", "because", subject="file"), "invalid_parameter", "because", "file"),
        (Refusal("limit", "1 to 20"), "invalid_parameter", "1 to 20", None),
        (Refusal("empty"), "invalid_parameter", "The request is invalid.", None),
    ],
)  # fmt: skip
def test_the_api_refuses_with_status_200(
    refusal: Refusal, code: str, message: str, param: str | None
) -> None:
    """All four members are there, or the SDK dies (§6.1)."""
    status, body = SERVICE.refuse(refusal, "req-1")

    assert status == 200
    assert json.loads(body) == {
        "error": {"code": code, "message": message, "type": "invalid_request_error", "param": param}
    }


def test_an_unknown_file_is_null_where_it_is_read() -> None:
    """What the official tests were answered with; no other call was tried there (§6.3)."""
    missing = Refusal("missing", subject="file")

    assert SERVICE.refuse(missing, "req-1", ops.RetrieveFile(file_id="f")) == (200, b"null")
    for other in (ops.DeleteFile(file_id="f"), ops.AttachFile(assistant_id="a", file_id="f")):
        status, body = SERVICE.refuse(missing, "req-1", other)
        assert (status, json.loads(body)["error"]["code"]) == (200, "not_found")


@pytest.mark.parametrize(
    "kind",
    ["missing", "invalid", "limit", "order", "empty", "url", "method", "key_missing", "key_wrong",
     "too_large", "internal"],
)  # fmt: skip
def test_a_client_takes_every_refusal_for_an_error(kind: Any) -> None:
    """Whatever its form: both halves of the wire agree that it is one."""
    retrieve = ops.RetrieveFile(file_id="f")
    status, body = SERVICE.refuse(Refusal(kind, subject="file"), "req-1", retrieve)

    response = Response(status=status, headers={"x-appbuilder-request-id": "req-1"}, body=body)
    error = failures.answer_error(retrieve, response)
    assert isinstance(error, APIError)
    assert error.request_id == "req-1"


# --- anything at all ---

FIELDS = st.sampled_from(
    [
        "model", "name", "tools", "metadata", "messages", "content", "thread", "assistant_id",
        "thread_id", "run_id", "message_id", "file_id", "step_id", "stream", "tool_outputs",
        "tool_output", "output", "tool_call_id", "type", "function", "role", "limit", "order",
        "after", "before", "model_parameters", "chat_parameters", "temperature", "user_info",
        "file_ids", "files", "sync", "instructions", "response_format", "additional_messages",
    ]
)  # fmt: skip
TELLING = st.sampled_from(["user", "assistant", "function", "asc", "text", "t", "", 1, 21])
BODIES = st.recursive(
    json_values | TELLING,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=12,
)
IDS = ["thread_id", "assistant_id", "run_id", "message_id", "file_id", "step_id"]
NEEDED = dict.fromkeys([*IDS, "content", "model"], "x")
FILLED = st.dictionaries(FIELDS, BODIES, max_size=4).map(lambda given: {**NEEDED, **given})
FORMS = st.builds(
    Form,
    fields=st.lists(st.tuples(anything, anything), max_size=2).map(tuple),
    files=st.lists(
        st.tuples(
            st.just("file") | anything,
            st.builds(Upload, filename=anything, size=st.none(), content=st.none()),
        ),
        max_size=2,
    ).map(tuple),
)
MARKS: Any = [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]


@pytest.mark.parametrize("examples", MARKS)
def test_any_request_is_an_operation_or_a_refusal(examples: int) -> None:
    """Nothing that a client can send is a fault of the server."""

    @given(
        st.sampled_from(["POST", "POST", "POST", "GET"]),
        st.sampled_from(list(PATHS.values())) | anything.map(lambda text: "/" + text),
        st.dictionaries(st.just("purpose"), anything),
        (BODIES | FILLED).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
        FORMS,
    )
    @settings(max_examples=examples, deadline=None, database=None)
    def check(method: str, path: str, query: dict[str, str], body: bytes, form: Form) -> None:
        content = form if SERVICE.takes_form(method, path) else body
        try:
            operation = SERVICE.parse(method, path, query, content)
        except Refusal as refusal:
            status, told = SERVICE.refuse(refusal, "req-1")
            assert status in (200, 404, 405)
            assert json.loads(told)
        else:
            assert type(operation) in routes.ROUTES

    check()


@pytest.mark.parametrize("path", PATHS.values())
@given(body=FILLED)
@settings(max_examples=25, deadline=None)
def test_any_fields_at_any_path_are_an_operation_or_a_refusal(path: str, body: Any) -> None:
    """Each path in turn, with all ids there and anything else wrong."""
    try:
        operation = asked(path, body)
    except Refusal:
        return
    assert PATHS[type(operation)] == path
