"""Errors: every row of appbuilder.md §6, and every shape in which they come."""

import json
from typing import Any

import pytest

from aiodashassist.core import operations as ops
from aiodashassist.core.events import ErrorEvent
from aiodashassist.core.files import Upload
from aiodashassist.core.operations import Operation
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
from aiodashassist.providers.appbuilder import failures
from tests.transcripts.appbuilder import APPBUILDER

THREAD = ops.RetrieveThread(thread_id="t")
JSON = "application/json"


def answered(
    body: Any, status: int = 200, operation: Operation[Any] = THREAD, **headers: str
) -> APIError | None:
    """The error that an answer with this body is; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-type": JSON, **named}
    return failures.answer_error(operation, Response(status=status, headers=given, body=content))


def failed(body: Any, status: int = 200, **more: Any) -> APIError:
    """The same, where it has to be one."""
    error = answered(body, status, **more)
    assert error is not None
    return error


# --- what is no error ---


@pytest.mark.parametrize(
    "body",
    [
        {"id": "t"},
        {"id": "t", "code": "x", "message": "y"},
        {"data": [], "code": "x", "message": "y"},
        {"code": 0, "message": "ok"},
        {"code": "", "message": "ok"},
        {"code": "x"},
        {"id": "r", "error": None},
        {"id": "r", "error": ""},
        {"id": "r", "last_error": {"type": "t", "message": "m"}},
        {"error": []},
        {"error": 0},
        [],
        "text",
        5,
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_good_answer_is_none(body: Any) -> None:
    """What is not said in a known form is no error; decoding will tell what it is not."""
    assert answered(body) is None


# --- the Assistant API's own envelope, with status 200 ---


def test_an_error_comes_with_status_200() -> None:
    """Code, type, message and param under `error` (§6.1)."""
    error = failed((APPBUILDER / "refused.json").read_bytes(), x_appbuilder_request_id="req-1")

    assert type(error) is BadRequest
    assert (error.status, error.code) == (200, "invalid_parameter")
    assert error.message == "metadata: value is too long"
    assert error.request_id == "req-1"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": "c", "message": "m", "type": "t", "param": None}, "c", "m"),
        ({"code": "c", "message": "m", "type": "t", "param": "limit"}, "c", "m (limit)"),
        ({"code": "c", "message": "m", "type": "t", "params": "limit"}, "c", "m (limit)"),
        ({"code": "c", "message": "limit is 0", "param": "limit"}, "c", "limit is 0"),
        ({"code": None, "message": "m", "type": "t"}, "t", "m"),
        ({"code": 400, "message": "m"}, "400", "m"),
        ({"code": "c", "msg": "m"}, "c", "m"),
        ({"message": "m", "param": ["a"]}, "", "m (['a'])"),
        ("out of order", "", "out of order"),
        (5, "", "5"),
        (["a"], "", "['a']"),
    ],
)
def test_an_error_has_many_shapes(error: Any, code: str, message: str) -> None:
    """What is there is told; the type stands for a code that is missing."""
    told = failed({"error": error})

    assert (told.code, told.message, told.status) == (code, message, 200)


def test_an_error_that_says_nothing_shows_its_body() -> None:
    """A message is never empty."""
    assert failed({"error": {"code": "c"}}).message == '{"error": {"code": "c"}}'
    named = failed({"error": {"code": "c", "param": "limit"}})
    assert named.message == '{"error": {"code": "c", "param": "limit"}}'
    assert failed(b"", 500).message == "the service answered with status 500 and no text"
    assert failed(b"<html>\n <b>502</b>", 502).message == "<html> <b>502</b>"


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        ({"error": {"code": "c", "message": "m"}, "requestId": "q"}, "q"),
        ({"error": {"code": "c", "message": "m"}, "request_id": "q"}, "q"),
        ({"error": {"code": "c", "message": "m"}}, "header"),
        ({"code": "c", "message": "m", "requestId": "q"}, "q"),
        ({"code": "c", "message": "m", "requestId": None}, "header"),
    ],
)
def test_the_request_is_named(body: Any, request_id: str) -> None:
    """In the body, or else in the header (§1.4)."""
    assert failed(body, x_appbuilder_request_id="header").request_id == request_id


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"x-appbuilder-request-id": "a", "x-bce-request-id": "b"}, "a"),
        ({"x-bce-request-id": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_header_has_two_names(headers: dict[str, str], request_id: str | None) -> None:
    """Both are those that the SDK sends and reads (§1.3, §1.4)."""
    assert failures.request_id_of(headers) == request_id


# --- the flat envelope of the gateway ---


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("said", ["message", "msg"])
def test_a_flat_error_is_read(status: int, said: str) -> None:
    """`code`, `message` and `requestId` at the top, whatever the status (§6.1)."""
    error = failed({"code": "110", said: "invalid token", "requestId": "q"}, status)

    assert type(error) is AuthenticationError
    assert (error.code, error.message, error.request_id) == ("110", "invalid token", "q")


def test_a_flat_error_of_a_bad_status_may_have_data() -> None:
    """Only a good answer with an id or with data is taken for an object."""
    assert failed({"code": "c", "message": "m", "data": [], "id": "x"}, 500).code == "c"


# --- statuses ---

STATUSES: dict[int, type[APIError]] = {
    400: BadRequest, 401: AuthenticationError, 403: PermissionDenied, 404: NotFound,
    405: BadRequest, 409: Conflict, 411: BadRequest, 412: Conflict, 413: BadRequest,
    422: BadRequest, 424: BadRequest, 428: Conflict, 429: RateLimited, 500: ServerError,
    502: ServerError, 503: ServerError, 504: ServerError, 507: ServerError,
}  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'{"a":1}', b'"x"'])
@pytest.mark.parametrize("status", STATUSES)
def test_a_bad_status_is_an_error_whatever_the_body(status: int, body: bytes) -> None:
    """Every row of §6.2; the form of such a body is not known."""
    error = failed(body, status)

    assert type(error) is STATUSES[status]
    assert (error.status, error.code) == (status, "")


def test_a_bad_status_wins_over_the_words() -> None:
    """Only 400 leaves open what it is."""
    told = {"error": {"code": "not_found", "message": "no such thread"}}

    assert [type(failed(told, status)) for status in (400, 403, 429, 500, 412)] == [
        NotFound, PermissionDenied, RateLimited, ServerError, Conflict,
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), [("5", 5.0), ("soon", None), ("", None)])
def test_how_long_to_wait_is_read(value: str, seconds: float | None) -> None:
    """`Retry-After` in seconds."""
    assert failed(b"", 429, retry_after=value).retry_after == seconds


# --- words ---

WORDS: list[tuple[type[APIError], str]] = [
    (NotFound, "not_found"), (NotFound, "NotFound"), (NotFound, "ThreadNotExist"),
    (NotFound, "No such assistant"), (NotFound, "thread does not exist"),
    (NotFound, "会话不存在"), (NotFound, "未找到该文件"),
    (RateLimited, "rate_limit_exceeded"), (RateLimited, "Too Many Requests"),
    (RateLimited, "QPS超限"), (RateLimited, "quota exceeded"), (RateLimited, "限流"),
    (RateLimited, "Throttling"),
    (PermissionDenied, "permission_denied"), (PermissionDenied, "Forbidden"),
    (PermissionDenied, "账户欠费"), (PermissionDenied, "无权访问"), (PermissionDenied, "Arrearage"),
    (AuthenticationError, "AuthenticationFailed"), (AuthenticationError, "UnAuthorized"),
    (AuthenticationError, "IAM error"), (AuthenticationError, "鉴权失败"),
    (AuthenticationError, "认证失败"), (AuthenticationError, "bad credential"),
    (AuthenticationError, "invalid token"),
    (Conflict, "conflict"), (Conflict, "状态冲突"),
    (ServerError, "internal_error"), (ServerError, "server_error"), (ServerError, "系统繁忙"),
    (ServerError, "内部错误"), (ServerError, "service unavailable"), (ServerError, "timed out"),
    (BadRequest, "invalid_parameter"), (BadRequest, "name must have 1 to 128 letters"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words"), WORDS, ids=[words for _, words in WORDS])
def test_words_tell_the_class(kind: type[APIError], words: str) -> None:
    """As code, as type or as message: no vocabulary is documented (§6.1)."""
    assert type(failed({"error": {"code": words, "message": "m"}})) is kind
    assert type(failed({"error": {"code": "", "type": words, "message": "m"}})) is kind
    assert type(failed({"error": {"code": "336000", "message": words}})) is kind
    assert type(failed({"code": "336000", "message": words}, 400)) is kind


@pytest.mark.parametrize(
    "message",
    [
        "unterminated quotation mark in tools",
        "the parameter diameter is out of range",
        "name must not begin with Miami",
    ],
)
def test_a_word_inside_of_another_tells_nothing(message: str) -> None:
    """A quotation is no quota, and a diameter has nothing to do with IAM."""
    assert type(failed({"error": {"code": "invalid_parameter", "message": message}})) is BadRequest


def test_the_code_wins_over_the_message() -> None:
    """What is named is surer than what is said."""
    error = {"code": "not_found", "message": "internal: permission table has no such row"}

    assert type(failed({"error": error})) is NotFound


def test_no_words_at_all_are_a_bad_request() -> None:
    """With 400 as without a status."""
    assert failures.kind_of(400, "", "", "") is BadRequest
    assert failures.kind_of(None, "", "", "") is BadRequest


# --- nothing: unknown ids ---


@pytest.mark.parametrize(
    "operation",
    [
        ops.RetrieveFile(file_id="f"),
        ops.DeleteFile(file_id="f"),
        ops.ReadFile(file_id="f"),
        ops.DownloadFile(file_id="f"),
        THREAD,
        ops.ListRuns(thread_id="t"),
    ],
)
def test_null_says_that_there_is_no_such_object(operation: Operation[Any]) -> None:
    """What the official tests were answered with for an unknown file (§6.3)."""
    error = failed(b"null", operation=operation, x_appbuilder_request_id="q")

    assert type(error) is NotFound
    assert (error.status, error.request_id) == (200, "q")
    assert "no such object" in error.message


@pytest.mark.parametrize("operation", [ops.ListAssistants(), ops.ListFiles(), ops.CreateThread()])
def test_null_is_no_error_where_nothing_was_named(operation: Operation[Any]) -> None:
    """No id can have been wrong; that the answer cannot be read, decoding tells."""
    assert answered(b"null", operation=operation) is None


# --- files ---

FILES = pytest.mark.parametrize(
    "operation", [ops.ReadFile(file_id="f"), ops.DownloadFile(file_id="f")]
)
ERROR = {"error": {"code": "not_found", "message": "no such file", "type": "t", "param": None}}


@FILES
def test_a_file_that_is_json_is_no_error(operation: Operation[Any]) -> None:
    """One that is named as a file may hold what an error would; a text may be `null`."""
    body = json.dumps(ERROR).encode()

    assert (
        answered(body, operation=operation, content_disposition="attachment; filename=a.json")
        is None
    )
    assert answered(b"null", operation=operation, content_type="text/plain") is None
    assert answered(b"[1]", operation=operation) is None


@FILES
def test_an_error_instead_of_a_file_is_one(operation: Operation[Any]) -> None:
    """With 200 too: the official client would have kept it as the file (§2.2)."""
    assert type(failed(ERROR, operation=operation)) is NotFound
    charset = failed(ERROR, operation=operation, content_type="application/json; charset=utf-8")
    assert type(charset) is NotFound
    assert type(failed(ERROR, operation=operation, content_type="text/plain")) is NotFound
    assert type(failed(ERROR, 500, operation=operation, content_type="text/plain")) is ServerError
    flat = failed({"code": "c", "message": "m"}, 400, operation=operation)
    assert (flat.code, flat.message) == ("c", "m")  # with a bad status it is no file


@FILES
def test_json_without_a_name_that_is_no_error_is_a_file(operation: Operation[Any]) -> None:
    """Only what says that it is an error is one."""
    assert answered({"rows": [1]}, operation=operation) is None
    for like in ("broken", 5, {}, {"code": "c"}, {"code": "c", "message": ""}):
        assert answered({"error": like}, operation=operation) is None
    assert answered({"code": "c", "message": "m"}, operation=operation) is None
    flat = {"code": "c", "message": "m", "requestId": "q"}
    assert type(failed(flat, operation=operation)) is BadRequest


def test_an_upload_that_is_refused_is_an_error() -> None:
    """A file is made by an answer like all others."""
    upload = ops.CreateFiles(files=(Upload(filename="n", size=1, content=None),))

    assert type(failed({"error": {"code": "c", "message": "m"}}, operation=upload)) is BadRequest


# --- streams ---


@pytest.mark.parametrize(
    "body",
    [
        b'event: error\ndata: {"error":{"code":"c","message":"m"}}\n\n',
        b'data:{"error":{"code":"c","message":"m"}}\n\nevent: ping\ndata: x\n\n',
        b'event: error\r\ndata: {"error":{"code":"c","message":"m"}}\r\n\r\n',
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_an_error_may_come_framed(body: bytes, status: int) -> None:
    """What was asked for as a stream may be refused as one."""
    error = failed(body, status, content_type="text/event-stream;charset=UTF-8")

    assert (error.code, error.message) == ("c", "m")


def test_a_stream_without_data_is_unreadable() -> None:
    """It is told by its status, and how it begins."""
    error = failed(b": keep\n\n", 500, content_type="text/event-stream")
    only = failed(b"no data: here", 500, content_type="text/event-stream")

    assert (error.code, error.message) == ("", ": keep")
    assert (only.code, only.message) == ("", "no data: here")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("not_found", "m", NotFound),
        ("", "QPS超限", RateLimited),
        ("server_error", "m", ServerError),
        ("c", "m", ServerError),
        ("", "", ServerError),
    ],
)
def test_an_error_in_a_stream_is_the_services(
    code: str, message: str, kind: type[APIError]
) -> None:
    """The request was taken: what nothing else is said of is no bad request."""
    error = failures.stream_error(ErrorEvent(code=code, message=message, request_id="q"))

    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (None, code, "q")
    assert error.message == (message or "the service reported an error in the stream")
