"""The client's half of AppBuilder as one value: headers, requests, answers, errors, frames."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import ErrorEvent, MessageDelta
from aiodashassist.core.files import File, FileContent, Upload, Uploads
from aiodashassist.core.models import Assistant, Page, Run, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Provider, Response
from aiodashassist.core.sse import Frame
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import (
    BadRequest,
    DecodeError,
    InvalidArgument,
    NotFound,
    RateLimited,
)
from aiodashassist.providers.appbuilder import AppBuilderProvider
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from tests.providers.appbuilder.damage import FILE, chunk, frame
from tests.providers.appbuilder.values import OPERATIONS, results
from tests.transcripts.appbuilder import APPBUILDER

PROVIDER: Provider = AppBuilderProvider()
RETRIEVE = ops.RetrieveThread(thread_id="t")
BYTES = (ops.ReadFile(file_id="f"), ops.DownloadFile(file_id="f"))


def answer(body: bytes, **headers: str) -> Response:
    """A good answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=200, headers={"x-appbuilder-request-id": "q", **named}, body=body)


def test_it_says_what_it_is() -> None:
    """A run goes on in its own stream, and is answered when it rests (§5.5, §2.5)."""
    assert (PROVIDER.name, PROVIDER.reopens, PROVIDER.blocks) == ("AppBuilder", False, True)
    assert PROVIDER.largest_page == 20


@pytest.mark.parametrize("workspace", [None, "", "llm-x"])
def test_every_request_has_the_headers_of_the_sdk(workspace: str | None) -> None:
    """Key, type and `Accept`, and no workspace: there are none (§1.2, §1.3)."""
    assert PROVIDER.headers("bce-v3/x", workspace) == {
        "Authorization": "Bearer bce-v3/x",
        "Accept": "*/*",
        "Content-Type": "application/json",
    }


def test_a_call_is_encoded() -> None:
    """An operation becomes a request, or is refused."""
    assert PROVIDER.encode(RETRIEVE).path == "/v2/threads/query"
    with pytest.raises(InvalidArgument):
        PROVIDER.encode(ops.RetrieveThread(thread_id=""))


def test_an_answer_is_decoded_into_the_calls_result() -> None:
    """An object, with the id of its request, which is in a header (§1.4)."""
    thread = PROVIDER.decode(RETRIEVE, answer(b'{"id":"t","object":"thread","created_at":5}'))

    assert thread == Thread(id="t", created_at=5, request_id="q")


def test_an_answer_without_the_header_has_no_request() -> None:
    """It is not made up."""
    assert PROVIDER.decode(RETRIEVE, Response(status=200, body=b'{"id":"t"}')).request_id is None


@pytest.mark.parametrize(
    ("operation", "kind"), [(ops.ListAssistants(), Assistant), (ops.ListFiles(), File)]
)
def test_a_list_is_decoded_into_a_page(operation: Any, kind: Any) -> None:
    """A page of the call's objects, that of files without its ends (§2.2, §3.7)."""
    page = PROVIDER.decode(operation, answer(b'{"object":"list","data":[{"id":"x"}]}'))

    assert page == Page(data=(kind(id="x"),), request_id="q")


def test_an_upload_is_decoded_into_its_file() -> None:
    """The new file lies flat in the answer (§2.2)."""
    operation = ops.CreateFiles(files=(Upload(filename="n", size=1, content=None),))
    uploads = PROVIDER.decode(operation, answer(json.dumps(FILE).encode()))

    (file,) = uploads.files
    assert uploads.request_id == "q"
    assert (file.id, file.created_at, uploads.failed) == ("f", 1713122932000, ())


@pytest.mark.parametrize("operation", BYTES)
def test_a_file_is_its_bytes(operation: Operation[Any]) -> None:
    """As they came, with their type; JSON that is a file is one (§2.2)."""
    for body in (b"", b"\xff\x00", b'{"error":{"code":"c"}}'):
        named = answer(body, content_type="text/csv")
        assert PROVIDER.decode(operation, named) == FileContent(
            data=body, content_type="text/csv", request_id="q"
        )
    assert PROVIDER.decode(operation, Response(status=200, body=b"x")) == FileContent(data=b"x")


@pytest.mark.parametrize(
    "operation",
    [
        RETRIEVE,
        ops.ListAssistants(),
        ops.CreateFiles(files=()),
        ops.RetrieveRun(thread_id="t", run_id="r"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"null", b"5", b"[" * 100_000])
def test_an_unreadable_answer_is_a_decode_error(operation: Operation[Any], body: bytes) -> None:
    """What is not what was asked for is a DecodeError, and names its request."""
    with pytest.raises(DecodeError) as caught:
        PROVIDER.decode(operation, answer(body))

    assert caught.value.request_id == "q"


def test_an_answer_of_another_host_says_what_it_is() -> None:
    """What is no JSON is told by its status, its type and how it begins."""
    page = answer(b"<html>Log in", content_type="text/html")
    with pytest.raises(DecodeError, match=r"status 200, text/html: .*it begins '<html>Log in'"):
        PROVIDER.decode(RETRIEVE, page)


def test_a_refusal_is_an_error() -> None:
    """With 200 as with any other status (§6.1)."""
    error = PROVIDER.error(RETRIEVE, answer((APPBUILDER / "refused.json").read_bytes()))

    assert type(error) is BadRequest
    assert (error.request_id, error.code) == ("q", "invalid_parameter")
    assert PROVIDER.error(RETRIEVE, answer(b'{"id":"t"}')) is None


@pytest.mark.parametrize(
    ("headers", "begun", "is_file"),
    [
        ({"content-type": "text/plain"}, b"text", True),
        ({"content-type": "application/json"}, b"[1]", True),
        ({}, b"\xff", True),
        ({"content-disposition": "attachment"}, b'{"error":', True),
        ({"content-type": "text/plain"}, b'{"error":', False),
        ({"content-type": "application/json"}, b" null", False),
        ({}, b"", False),
    ],
)
def test_a_file_is_told_by_its_name_or_by_its_beginning(
    headers: dict[str, str], begun: bytes, is_file: bool
) -> None:
    """What may be JSON, and has no name, may be an error (§2.2)."""
    assert PROVIDER.is_file(headers, begun) is is_file


@pytest.mark.parametrize(
    ("body", "run"),
    [
        (b"", Run(id="r", request_id="q")),
        (b" ", Run(id="r", request_id="q")),
        (b"{}", Run(id="r", request_id="q")),
        (b'{"id":null,"status":"queued"}', Run(id="r", status="queued",
                                               request_id="q")),
        (b'{"id":"x","thread_id":"y"}', Run(id="x", thread_id="y", request_id="q")),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "operation",
    [
        ops.CancelRun(thread_id="t", run_id="r"),
        ops.SubmitOutputs(thread_id="t", run_id="r", tool_outputs=(ToolOutput(output=""),)),
    ],
    ids=["cancel", "submit"],
)
def test_what_was_done_was_done(operation: Operation[Any], body: bytes, run: Run) -> None:
    """Nothing is recorded of these answers: an id that they leave out is known (§8)."""
    assert PROVIDER.decode(operation, answer(body)) == run


def test_headers_tell_the_request() -> None:
    """Under either of two names, or not at all (§1.4)."""
    assert PROVIDER.request_id({"x-appbuilder-request-id": "q"}) == "q"
    assert PROVIDER.request_id({"x-bce-request-id": "b"}) == "b"
    assert PROVIDER.request_id({}) is None


def test_an_error_frame_becomes_an_exception() -> None:
    """The class is decided as for an answer, and the request is named."""
    error = PROVIDER.stream_error(ErrorEvent(code="rate_limit", message="wait", request_id="q"))

    assert (type(error), error.status, error.request_id) == (RateLimited, None, "q")


def test_no_call_is_missing() -> None:
    """No error says that a documented call is not there."""
    assert PROVIDER.unsupported(RETRIEVE, NotFound("no such path", status=404)) is False


def test_a_reader_is_of_one_stream() -> None:
    """It knows what it has read; the next one knows nothing of it."""
    first = PROVIDER.reader({"x-appbuilder-request-id": "q"})
    bodies = [frame("message", chunk("hi")), frame("message", chunk(" you"))]

    assert [len(first(body)) for body in bodies] == [2, 1]
    (begun, _) = PROVIDER.reader({})(bodies[0])
    assert begun.message.request_id is None  # type: ignore[union-attr]
    (begun, _) = PROVIDER.reader({"x-bce-request-id": "b"})(bodies[0])
    assert begun.message.request_id == "b"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("mode", "text"), [("auto", "89"), ("delta", "0123456789"), ("cumulative", "89")]
)
def test_a_reader_takes_chunks_as_it_was_told(mode: ChunkMode, text: str) -> None:
    """The mode is the provider's (§5.3)."""
    read = AppBuilderProvider(message_chunks=mode).reader({})
    read(frame("message", chunk("01234567")))

    (delta,) = read(frame("message", chunk("0123456789")))
    assert isinstance(delta, MessageDelta)
    assert delta.text == text


def test_a_frame_that_cannot_be_read_names_its_request() -> None:
    """The id of the stream's own request."""
    with pytest.raises(DecodeError) as caught:
        PROVIDER.reader({"x-appbuilder-request-id": "q"})(Frame("status", b"{"))

    assert caught.value.request_id == "q"


ANSWERED = [kind for kind in OPERATIONS if kind not in (ops.ReadFile, ops.DownloadFile)]


@pytest.mark.parametrize("kind", ANSWERED, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_answer_of_the_local_server_reads_back(
    kind: type[Operation[Any]], data: st.DataObject
) -> None:
    """What the local server answers to a call decodes into what it meant."""
    operation, result = data.draw(OPERATIONS[kind]), data.draw(results(kind))
    body = AppBuilderService().answer(operation, result, "unused")

    assert PROVIDER.error(operation, answer(body)) is None
    got = PROVIDER.decode(operation, answer(body))
    assert got == replace(result, request_id="q")
    assert isinstance(got, Uploads | Page | operation.result)
