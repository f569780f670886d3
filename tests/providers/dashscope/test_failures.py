"""Which class an error is: by code and message, whatever its status and shape."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.events import ErrorEvent
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
from aiodashassist.providers.dashscope.failures import (
    answer_error,
    kind_of,
    says_no_such_call,
    stream_error,
    upload_error,
)

INVALID = "InvalidParameter"

# dashscope.md §6.2: all of them HTTP 400, InvalidParameter
ASSISTANT_ERRORS: list[tuple[str, type[APIError]]] = [
    ("The messages information cannot be empty.", BadRequest),
    ("The specified run step does not exist.", NotFound),
    ("The specified run has been deleted or does not exist.", NotFound),
    ("The specified message file not exist.", NotFound),
    ("The specified message has been deleted or does not exist.", NotFound),
    ("The specified thread has been deleted or does not exist.", NotFound),
    ("The specified assistant file has been deleted or does not exist.", NotFound),
    ("The specified assistant has been deleted or does not exist.", NotFound),
    ("Order must be 'asc' or 'desc'", BadRequest),
    ("Limit must be between 1 and 100", BadRequest),
    ("Invalid URL provided in your request.", BadRequest),
    (
        "API key or Uid is missing. Please provide a valid API key or Uid.",
        AuthenticationError,
    ),
]

# dashscope.md §6.3
PLATFORM_ERRORS: list[tuple[int, str, str, type[APIError]]] = [
    (400, INVALID, "Required parameter(s) missing or invalid", BadRequest),
    (400, INVALID, "Required body invalid, please check the request body format.", BadRequest),
    (400, INVALID, "Temperature should be in [0.0, 2.0)", BadRequest),
    (400, INVALID, "Range of top_p should be (0.0, 1.0]", BadRequest),
    (400, INVALID, "Request method 'GET' is not supported.", BadRequest),
    (400, INVALID, "Tool names are not allowed to be [search]", BadRequest),
    (400, INVALID, "Model not exist.", NotFound),
    (400, "Arrearage", "Access denied, please make sure your account is in good standing.",
     PermissionDenied),
    (400, "DataInspectionFailed", "Input data may contain inappropriate content.", BadRequest),
    (401, "InvalidApiKey", "Invalid API-key provided.", AuthenticationError),
    (401, "NOT AUTHORIZED", "Access denied", AuthenticationError),
    (403, "AccessDenied", "Access denied.", PermissionDenied),
    (403, "AccessDenied.Unpurchased", "Access to model denied.", PermissionDenied),
    (403, "Model.AccessDenied", "Model access denied.", PermissionDenied),
    (403, "App.AccessDenied", "App access denied.", PermissionDenied),
    (403, "Workspace.AccessDenied", "Workspace access denied.", PermissionDenied),
    (403, "Endpoint.AccessDenied", "Endpoint access denied.", PermissionDenied),
    (403, "AllocationQuota.FreeTierOnly", "The free tier has been exhausted.", PermissionDenied),
    (404, "ModelNotFound", "Model can not be found.", NotFound),
    (404, "WorkSpaceNotFound", "WorkSpace can not be found.", NotFound),
    (404, "NotFound", "Not found!", NotFound),
    (409, "Conflict", "It exists already.", Conflict),
    (413, "", "Request Entity Too Large", BadRequest),
    (429, "Throttling", "Requests throttling triggered.", RateLimited),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded.", RateLimited),
    (429, "Throttling.BurstRate", "Request rate increased too quickly.", RateLimited),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded.", RateLimited),
    (429, "CommodityNotPurchased", "Commodity has not purchased yet.", PermissionDenied),
    (429, "PrepaidBillOverdue", "The prepaid bill is overdue.", PermissionDenied),
    (429, "PostpaidBillOverdue", "The postpaid bill is overdue.", PermissionDenied),
    (500, "InternalError", "An internal error has occured.", ServerError),
    (500, "InternalError.Algo", "An internal error has occured.", ServerError),
    (500, "InternalError.Timeout", "Timed out.", ServerError),
    (500, "SystemError", "System error.", ServerError),
    (500, "ModelServiceFailed", "Failed to request model service.", ServerError),
    (500, "RequestTimeOut", "Request timed out.", ServerError),
    (500, "InvokePluginFailed", "Failed to invoke plugin.", ServerError),
    (500, "RewriteFailed", "Failed to rewrite.", ServerError),
    (500, "RetrivalFailed", "Failed to retrieve.", ServerError),
    (500, "AppProcessFailed", "Failed to process.", ServerError),
    (500, "ModelServingError", "Too many requests.", ServerError),
    (503, "ModelServingError", "Too many requests.", ServerError),
    (503, "ModelUnavailable", "Model is unavailable, please try again later.", ServerError),
]  # fmt: skip

EVERY = [(400, INVALID, text, kind) for text, kind in ASSISTANT_ERRORS] + PLATFORM_ERRORS
every_error = pytest.mark.parametrize(
    ("status", "code", "text", "kind"), EVERY, ids=[f"{row[0]} {row[1]} {row[2]}" for row in EVERY]
)


def answered(status: int, body: Any, **headers: str) -> APIError:
    """The error that an answer is; a body of bytes is taken as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = answer_error(Response(status=status, headers=named, body=content))
    assert error is not None
    return error


@every_error
def test_every_documented_error_has_its_class(
    status: int, code: str, text: str, kind: type[APIError]
) -> None:
    """Each row of dashscope.md §6.2 and §6.3, with what it said."""
    error = answered(status, {"code": code, "message": text, "request_id": "r"})

    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, code, text)
    assert (error.request_id, error.retry_after) == ("r", None)


CODED = [(code, text, kind) for _, code, text, kind in EVERY if code]


@pytest.mark.parametrize(("code", "text", "kind"), CODED)
def test_an_error_without_a_status_has_the_same_class(
    code: str, text: str, kind: type[APIError]
) -> None:
    """Inside a stream, or in a 200, code and message alone decide the class."""
    frame = stream_error(ErrorEvent(code=code, message=text, request_id="r"))
    answer = answered(200, {"code": code, "message": text})

    assert (type(frame), type(answer)) == (kind, kind)
    assert (frame.status, frame.code, frame.message) == (None, code, text)
    assert (frame.request_id, answer.status) == ("r", 200)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (404, NotFound),
        (429, RateLimited),
        (503, ServerError),
        (None, ServerError),
    ],
)
@pytest.mark.parametrize("code", ["", "Unheard", "Unheard.Of"])
def test_an_unknown_code_goes_by_its_status(
    status: int | None, code: str, kind: type[APIError]
) -> None:
    """Where the code says nothing the status does; inside a stream it is the service's fault."""
    assert kind_of(status, code, "Something.") is kind


def test_not_found_may_come_with_its_own_status() -> None:
    """A missing object is NotFound with a 404 as well, whatever the code beside it."""
    text = "The specified run has been deleted or does not exist."

    assert kind_of(404, INVALID, text) is NotFound


def test_a_dotted_code_may_be_known_whole() -> None:
    """The whole code is looked up before the part in front of its dot."""
    assert kind_of(400, "Model.AccessDenied", "") is PermissionDenied
    assert kind_of(400, "Model.Unheard", "") is BadRequest


HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\n  <body>\n</body></html>"


@pytest.mark.parametrize(
    ("status", "body", "content_type", "kind", "said"),
    [
        (502, HTML, "text/html", ServerError, ("",
         "<html> <head><title>502 Bad Gateway</title></head> <body> </body></html>")),
        (403, b"denied", "text/plain", PermissionDenied, ("", "denied")),
        (403, b'{"code":"AccessDenied","message":"no"}', "text/plain", PermissionDenied,
         ("AccessDenied", "no")),
        (500, b"", "", ServerError, ("", "the service answered with status 500 and no text")),
        (500, b" \n", "", ServerError, ("", "the service answered with status 500 and no text")),
        (400, b'{"request_id":"r"}', "", BadRequest, ("", '{"request_id":"r"}')),
        (400, b'{"code":"X"}', "", BadRequest, ("X", '{"code":"X"}')),
        (400, b'{"code":7,"msg":"old"}', "", BadRequest, ("7", "old")),
        (400, b"[1]", "", BadRequest, ("", "[1]")),
        (400, b'"text"', "", BadRequest, ("", '"text"')),
        (500, b"\xff\xfe", "", ServerError, ("", "\ufffd\ufffd")),
        (500, b"[" * 5000, "", ServerError, ("", "[" * 200)),
        (400, b'{"error":{"code":"InvalidApiKey","message":"no"},"requestId":"q"}', "",
         AuthenticationError, ("InvalidApiKey", "no")),
        (400, b'{"error":"broken"}', "", BadRequest, ("", '{"error":"broken"}')),
        (429, b'event:error\ndata:{"code":"Throttling","message":"wait"}\n\n',
         "text/event-stream;charset=UTF-8", RateLimited, ("Throttling", "wait")),
        (429, b'id:1\r\ndata: {"code":"Throttling","message":"wait"}\r\n\r\ndata:{}\r\n',
         "text/event-stream", RateLimited, ("Throttling", "wait")),
        (200, b' \n{"code":"Throttling","message":"data: x"}', "text/event-stream", RateLimited,
         ("Throttling", "data: x")),
        (503, b"event:error\n\n", "text/event-stream", ServerError, ("", "event:error")),
        (503, b"data:oh no\n\n", "text/event-stream", ServerError, ("", "data:oh no")),
    ],
)  # fmt: skip
def test_a_body_of_any_shape_is_an_error(
    status: int, body: bytes, content_type: str, kind: type[APIError], said: tuple[str, str]
) -> None:
    """HTML, text, JSON of other shapes, and an event stream (dashscope.md §6.1, §6.5)."""
    error = answered(status, body, content_type=content_type)

    assert type(error) is kind
    assert (error.status, (error.code, error.message)) == (status, said)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"run_1","code":"x","message":"y"}',
        b'{"data":[],"code":"x","message":"y"}',
        b'{"data":{},"code":"x","msg":"y"}',
        b'{"id":"run_1","data":null,"code":"x","msg":"y"}',
        b'{"code":"","message":"y","request_id":"r"}',
        b'{"code":"x"}',
        b'{"request_id":"r"}',
        b"{}",
        b"[]",
        b"",
        b"<html>",
    ],
)
@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_good_answer_is_no_error(status: int, body: bytes) -> None:
    """An answer with a good status is one, unless it has a code and a message and no object."""
    assert answer_error(Response(status=status, body=body)) is None


@pytest.mark.parametrize(
    "body",
    [
        {"code": "InternalError", "message": "", "request_id": "r"},
        {"code": "InternalError", "message": "broken"},
        {"error": {"code": "InternalError", "message": "broken"}},
        {"code": "InternalError", "message": "broken", "data": None},
        {"code": "InternalError", "msg": "broken", "data": None, "success": False},
        {"code": "InternalError", "message": "broken", "id": None},
        {"code": "InternalError", "msg": "broken", "id": ""},
    ],
)
def test_an_error_may_come_with_a_good_status(body: Any) -> None:
    """A 200 that holds nothing but an error is that error (§6.1)."""
    error = answer_error(Response(status=200, body=json.dumps(body).encode()))

    assert type(error) is ServerError
    assert (error.status, error.code) == (200, "InternalError")


@pytest.mark.parametrize(("header", "wait"), [("5", 5.0), ("soon", None)])
def test_the_wait_asked_for_is_told(header: str, wait: float | None) -> None:
    """`Retry-After` is read where it is a number of seconds."""
    assert answered(429, {"code": "Throttling"}, retry_after=header).retry_after == wait


@pytest.mark.parametrize(
    ("body", "headers", "request_id"),
    [
        ({"request_id": "a", "requestId": "b"}, {"x_request_id": "c"}, "a"),
        ({"request_id": None, "requestId": "b"}, {"x_request_id": "c"}, "b"),
        ({"request_id": ""}, {"x_request_id": "c"}, "c"),
        ({"request_id": 5}, {}, "5"),
        ({}, {}, None),
    ],
)
def test_the_request_id_is_found(
    body: dict[str, Any], headers: dict[str, str], request_id: str | None
) -> None:
    """The request's id is in the body under either name, or in a header."""
    assert answered(400, body, **headers).request_id == request_id


def test_a_frame_without_words_says_so() -> None:
    """An `error` frame with no message has a sentence of ours."""
    error = stream_error(ErrorEvent())

    assert type(error) is ServerError
    assert error.message == "the service reported an error in the stream"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NotFound("anything", status=404), True),
        (BadRequest("anything", status=405), True),
        (BadRequest("Invalid URL provided in your request.", status=400), True),
        (BadRequest("Request method 'POST' is not supported.", status=400), True),
        (NotFound("The specified run has been deleted or does not exist.", status=400), False),
        (BadRequest("The run cannot be cancelled.", status=400), False),
        (BadRequest("Invalid URL provided in your request.", status=None), False),
        (ServerError("Request method unknown", status=500), False),
    ],
)
def test_a_missing_call_is_told_from_a_missing_object(error: APIError, says: bool) -> None:
    """404, 405, and a 400 about URL or method, mean that there is no such call (§7.1)."""
    assert says_no_such_call(error) is says


TAKEN = {"file_id": "f", "name": "good.txt"}


def uploaded(status: int, body: Any) -> APIError | None:
    """The error that the answer to an upload is."""
    return upload_error(Response(status=status, body=json.dumps(body).encode()))


@pytest.mark.parametrize("taken", [[], [TAKEN]], ids=["all refused", "one taken"])
def test_a_file_that_was_not_taken_is_an_error(taken: Any) -> None:
    """A 200 that tells of a failed upload is its error: file, words, code and request (§2.5)."""
    failed = {"name": "big.txt", "code": "BadRequest.TooLarge", "message": "too large"}
    body = {"request_id": "r", "data": {"uploaded_files": taken, "failed_uploads": [failed]}}
    error = uploaded(200, body)

    assert type(error) is BadRequest
    assert error.message == "not uploaded: big.txt: too large"
    assert (error.status, error.code, error.request_id) == (200, "BadRequest.TooLarge", "r")


@pytest.mark.parametrize(
    ("failed", "kind", "words"),
    [
        ([{"name": "a"}], BadRequest, "a: "),
        ([{"name": "a", "code": "C"}], BadRequest, "a: C"),
        ([{"name": None, "code": None, "message": None}], BadRequest, ": "),
        ([{}], BadRequest, ": "),
        ([{"name": 5, "code": 6, "message": 7}], BadRequest, "5: 7"),
        ([{"name": "a", "code": "Throttling", "message": "m"}], RateLimited, "a: m"),
        ([{"name": "a", "message": "x"}, {"name": "b", "message": "y"}], BadRequest, "a: x; b: y"),
        (["text", {"name": "a", "message": "x"}], BadRequest, "a: x"),
    ],
)
def test_a_failed_upload_may_say_little(failed: Any, kind: type[APIError], words: str) -> None:
    """Whatever is missing of it, it is an error; the code decides its class as elsewhere."""
    error = uploaded(200, {"data": {"failed_uploads": failed}})

    assert type(error) is kind
    assert error.message == f"not uploaded: {words}"
    assert error.request_id is None


@pytest.mark.parametrize(
    "data",
    [
        {"uploaded_files": [TAKEN], "failed_uploads": []},
        {"uploaded_files": [TAKEN], "failed_uploads": None},
        {"uploaded_files": [TAKEN], "failed_uploads": "none"},
        {"uploaded_files": [TAKEN], "failed_uploads": [None]},
        {"uploaded_files": [TAKEN]},
        {},
        None,
        [],
    ],
)
def test_an_upload_without_a_failed_one_is_no_error(data: Any) -> None:
    """No list of failures, or one with nothing in it that could be read, is none."""
    assert uploaded(200, {"data": data, "request_id": "r"}) is None


def test_a_refused_upload_is_an_error_like_any_other() -> None:
    """What the service says of the request as a whole comes first."""
    failed = [{"name": "a", "code": "b", "message": "c"}]
    error = uploaded(
        401, {"code": "InvalidApiKey", "message": "no", "data": {"failed_uploads": failed}}
    )

    assert type(error) is AuthenticationError


def test_the_older_envelope_is_no_error() -> None:
    """`code` 0 and `success` beside the data are no failure (§2.5)."""
    body = {"code": 0, "msg": "ok", "success": True, "data": {"uploaded_files": [TAKEN]}}

    assert uploaded(200, body) is None


@given(
    st.integers(300, 599),
    st.binary(max_size=300) | st.text().map(lambda text: json.dumps({"code": text}).encode()),
    st.dictionaries(
        st.sampled_from(["content-type", "retry-after", "x-request-id"]),
        st.text() | st.just("text/event-stream"),
    ),
)
def test_any_bad_answer_is_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """A bad status is an APIError with a message, whatever the body and headers hold."""
    error = answer_error(Response(status=status, headers=headers, body=body))

    assert isinstance(error, APIError)
    assert error.status == status
    assert error.message
