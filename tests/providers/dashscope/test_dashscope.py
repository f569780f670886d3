"""The client's half of DashScope as one value: headers, requests, answers, errors, frames."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import ErrorEvent, MessageDelta
from aiodashassist.core.models import Assistant, Page, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import ListParams
from aiodashassist.core.provider import Provider, Response
from aiodashassist.core.sse import Frame
from aiodashassist.errors import (
    APIError,
    BadRequest,
    DecodeError,
    InvalidArgument,
    NotFound,
    RateLimited,
)
from aiodashassist.providers.dashscope import DashScopeProvider
from aiodashassist.providers.dashscope.serve import DashScopeService
from tests.providers.dashscope.values import OPERATIONS, results
from tests.transcripts import DASHSCOPE

PROVIDER: Provider = DashScopeProvider()
CANCEL = ops.CancelRun(thread_id="t", run_id="r")
RETRIEVE = ops.RetrieveThread(thread_id="thread_1")
STEP = ops.RetrieveStep(thread_id="t", run_id="r", step_id="s")


def test_it_says_what_it_is() -> None:
    """Its name, and how its runs and its updates work: the wire's ways (§5, §2.1)."""
    assert PROVIDER.name == "DashScope"
    assert (PROVIDER.reopens, PROVIDER.blocks, PROVIDER.replaces) == (True, False, False)


def test_its_largest_page_is_one_that_every_list_takes() -> None:
    """As many as can be asked for, and not one more (§2)."""
    lists: list[Operation[Any]] = []
    for more in (0, 1):
        page: ListParams = {"page_size": PROVIDER.largest_page + more}
        lists = [
            ops.ListAssistants(page=page),
            ops.ListMessages(thread_id="t", page=page),
            ops.ListSteps(thread_id="t", run_id="r", page=page),
        ]
        for operation in lists if not more else ():
            assert PROVIDER.encode(operation).query == {"limit": str(PROVIDER.largest_page)}
    for operation in lists:
        with pytest.raises(InvalidArgument, match="page_size"):
            PROVIDER.encode(operation)


@pytest.mark.parametrize("workspace", [None, ""])
def test_every_request_has_the_headers_of_the_sdks(workspace: str | None) -> None:
    """Key, type and `Accept` as both SDKs send them; no workspace unless one is named (§1.3)."""
    assert PROVIDER.headers("sk-1", workspace) == {
        "Authorization": "Bearer sk-1",
        "Accept": "application/json; charset=utf-8",
        "Content-Type": "application/json; charset=utf-8",
    }


def test_a_workspace_has_its_header() -> None:
    """The header's exact capitals are those of the documents (§1.3)."""
    assert PROVIDER.headers("sk-1", "llm-x")["X-DashScope-WorkSpace"] == "llm-x"


def test_a_call_is_encoded() -> None:
    """An operation becomes a request, or is refused."""
    assert PROVIDER.encode(RETRIEVE).path == "/threads/thread_1"
    with pytest.raises(InvalidArgument):
        PROVIDER.encode(ops.RetrieveThread(thread_id=""))


def test_an_answer_is_decoded_into_the_calls_result() -> None:
    """An object, with the id of its request."""
    body = b'{"id":"thread_1","object":"thread","created_at":5,"request_id":"r"}'

    thread = PROVIDER.decode(RETRIEVE, Response(status=200, body=body))
    assert thread == Thread(id="thread_1", created_at=5, request_id="r")


def test_a_list_is_decoded_into_a_page() -> None:
    """A page of the call's objects."""
    body = b'{"object":"list","data":[{"id":"a"}],"has_more":false,"request_id":"r"}'

    page = PROVIDER.decode(ops.ListAssistants(), Response(status=200, body=body))
    assert page == Page(data=(Assistant(id="a"),), request_id="r")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"[" * 100_000])
@pytest.mark.parametrize("operation", [RETRIEVE, CANCEL, STEP])
def test_an_unreadable_answer_is_a_decode_error(operation: Operation[Any], body: bytes) -> None:
    """What is not the object asked for is a DecodeError."""
    with pytest.raises(DecodeError):
        PROVIDER.decode(operation, Response(status=200, body=body))


def test_an_answer_of_another_host_says_what_it_is() -> None:
    """What is no JSON is told by its status, its type and how it begins."""
    page = Response(status=200, headers={"content-type": "text/html"}, body=b"<html>Log in")
    with pytest.raises(DecodeError, match=r"status 200, text/html: .*it begins '<html>Log in'"):
        PROVIDER.decode(RETRIEVE, page)


def test_a_list_without_data_is_a_decode_error() -> None:
    """An object that is no list envelope is not taken for an empty list."""
    with pytest.raises(DecodeError):
        PROVIDER.decode(ops.ListAssistants(), Response(status=200, body=b'{"request_id":"r"}'))


def test_a_refusal_is_an_error() -> None:
    """A 400 about a missing object is NotFound, whatever was asked (§11.3 c)."""
    body = (DASHSCOPE / "refused.json").read_bytes()
    error = PROVIDER.error(RETRIEVE, Response(status=400, body=body))

    assert type(error) is NotFound
    assert error.message == "The specified assistant has been deleted or does not exist."
    assert error.request_id == "0f4c0f3e-5a86-9c1b-8d3b-6f1f7a2b9c04"


def test_a_good_answer_is_no_error() -> None:
    """The object asked for is no error."""
    assert PROVIDER.error(RETRIEVE, Response(status=200, body=b'{"id":"thread_1"}')) is None


def test_an_error_frame_becomes_an_exception() -> None:
    """The class is decided as for an answer, and the request is named."""
    event = ErrorEvent(code="Throttling.RateQuota", message="wait", request_id="r")
    error = PROVIDER.stream_error(event)

    assert (type(error), error.status, error.request_id) == (RateLimited, None, "r")


@pytest.mark.parametrize(
    ("operation", "error", "unsupported"),
    [
        (CANCEL, NotFound("Not found!", status=404), True),
        (CANCEL, BadRequest("Invalid URL provided in your request.", status=400), True),
        (
            CANCEL,
            NotFound("The specified run has been deleted or does not exist.", status=400),
            False,
        ),
        (RETRIEVE, NotFound("Not found!", status=404), False),
    ],
)
def test_only_cancelling_may_be_missing(
    operation: Operation[Any], error: APIError, unsupported: bool
) -> None:
    """Of all calls only this one is documented as missing (§7.1)."""
    assert PROVIDER.unsupported(operation, error) is unsupported


@pytest.mark.parametrize("told", [{"x-request-id": "r"}, {}])
def test_a_request_s_id_may_be_in_a_header(told: dict[str, str]) -> None:
    """It is in the bodies, too, but not in each of them (§6.1)."""
    assert PROVIDER.request_id({"content-type": "x", **told}) == told.get("x-request-id")


def test_there_are_no_files_to_be_told_from_errors() -> None:
    """No call gives a file's bytes: whatever comes is taken for what it says (§2.5)."""
    assert PROVIDER.is_file({"content-type": "application/json"}, b"{")


def test_a_reader_reads_frames() -> None:
    """A stream's reader says what a frame says."""
    read = PROVIDER.reader({})
    data = b'{"id":"m","delta":{"content":[{"type":"text","text":{"value":"hi"}}]}}'

    (event,) = read(Frame("thread.message.delta", data))
    assert isinstance(event, MessageDelta)
    assert event.text == "hi"


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_answer_of_the_local_server_reads_back(
    kind: type[Operation[Any]], data: st.DataObject
) -> None:
    """What the local server answers to a call decodes into what it meant."""
    operation, result = data.draw(OPERATIONS[kind]), data.draw(results(kind))
    body = DashScopeService().answer(operation, result, "req-1")

    response = Response(status=200, body=body)
    assert PROVIDER.error(operation, response) is None
    assert PROVIDER.decode(operation, response) == replace(result, request_id="req-1")
