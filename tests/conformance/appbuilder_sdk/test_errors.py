"""Errors: inside a 200, with a status, and what the SDK makes of them."""

import json
import re

import pytest
from appbuilder.core._exception import (
    AssistantServerException,
    BaseRPCException,
    NotFoundException,
)
from appbuilder_sdk.calls import GONE, INVALID, SDK, new_thread, refused
from appbuilder_sdk.every_call import LISTS, MAKERS, OTHERS, QUERY, STREAMS, VEILED, Nothing
from appbuilder_sdk.test_access import told_by
from wire import UUID, Wire

FLAT = {"code", "message", "requestId"}


@pytest.mark.parametrize("call", OTHERS)
def test_unknown_ids_are_an_error_inside_a_200(call: str) -> None:
    """What does not exist is told by code, message and type, and the SDK raises."""
    code, _ = refused(OTHERS[call], Nothing())
    assert code == GONE


def test_calls_that_ask_first_raise_their_own() -> None:
    """Whatever the answer to their first question, there is no such file."""
    for call in VEILED.values():
        with pytest.raises(FileNotFoundError):
            call(Nothing())
    with pytest.raises(ValueError, match="is not exist"):
        QUERY["files.query"](Nothing())


def test_stream_of_nothing_is_one_empty_message() -> None:
    """The SDK takes the error of a stream for an event; the wire has the error."""
    (event,) = STREAMS["runs.stream_run"](Nothing())
    assert event.model_dump() == SDK.type.StreamRunMessage().model_dump()
    with STREAMS["runs.stream_run_with_handler"](Nothing()) as events:
        (event,) = events
    assert event.message_id == ""


def test_refused_stream_is_plain(wire: Wire) -> None:
    """What cannot begin is refused before the stream, as any other call."""
    body = {"assistant_id": "asst_none", "thread_id": new_thread("x"), "stream": True}
    answer = wire.post("/v2/threads/runs", body)
    assert answer.content_type.startswith("application/json")
    assert answer.json["error"]["code"] == GONE


def test_error_has_what_the_sdk_reads(wire: Wire) -> None:
    """Code, message, type and param under one key, and nothing beside it."""
    for body, code in (({"assistant_id": "asst_none"}, GONE), ({}, INVALID)):
        answer = wire.post("/v2/assistants/query", body)
        assert (answer.status, list(answer.json)) == (200, ["error"])
        error = answer.json["error"]
        assert set(error) == {"code", "message", "type", "param"}
        assert error["code"] == code
        assert error["type"]


def test_exception_has_code_and_description() -> None:
    """The SDK's exception tells the code, and all the rest in one text."""
    with pytest.raises(AssistantServerException) as caught:
        SDK.assistants.query("asst_none")
    assert caught.value.code == GONE
    assert str(caught.value) == caught.value.description


def test_unknown_path_is_a_404(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that leads nowhere has a status of its own, and a flat body."""
    monkeypatch.setenv("GATEWAY_URL", f"{server}/v2/nothing")
    for call in {**MAKERS, **LISTS, **STREAMS}.values():
        with pytest.raises(NotFoundException) as caught:
            call(Nothing())
        assert told_by(caught.value)["status"] == "404"


@pytest.mark.parametrize(
    "path",
    ["/v2/", "/v2/nothing", "/v2/threads/", "/v2/threads/runs/none", "/v2/assistants/asst_x"],
)
def test_no_other_path_is_served(path: str, wire: Wire) -> None:
    """Ids are never in a path, and no path ends with a slash."""
    answer = wire.post(path, {})
    assert (answer.status, set(answer.json)) == (404, FLAT)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v2/assistants", "/v2/threads/query", "/v2/storage/files"])
def test_every_call_is_a_post(method: str, path: str, wire: Wire) -> None:
    """Another method is refused, with the flat body."""
    answer = wire.call(method, path)
    assert (answer.status, set(answer.json)) == (405, FLAT)


def test_body_beyond_the_limit_is_refused() -> None:
    """A body of more than 16 MiB is a 413, which the SDK knows no class for."""
    with pytest.raises(BaseRPCException) as caught:
        SDK.threads.create([{"content": "x" * (16 * 1024 * 1024 + 1)}])
    assert type(caught.value) is BaseRPCException
    assert told_by(caught.value)["status"] == "413"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"7", b'"x"', b"\xff", b"[" * 100_000, b'{"messages": 1}', b'{"messages": [1]}'],
    ids=lambda body: repr(body[:20]),
)
def test_body_that_cannot_be_read_is_refused(body: bytes, wire: Wire) -> None:
    """What is no JSON object, or has a field of the wrong kind, is an error inside a 200."""
    answer = wire.post("/v2/threads", body)
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)


def test_answers_name_their_requests(wire: Wire) -> None:
    """Every answer has an id of its own, good ones, errors and refusals alike, in a header."""
    answers = [
        wire.post("/v2/assistants/list", {}),
        wire.post("/v2/assistants/query", {"assistant_id": "asst_none"}),
        wire.post("/v2/storage/files/query", {"file_id": "file_none"}),
        wire.post("/v2/nothing", {}),
        wire.post("/v2/assistants/list", {}, Authorization=""),
    ]
    ids = [answer.headers["x-appbuilder-request-id"] for answer in answers]
    assert len(set(ids)) == len(answers)
    for answer in answers[3:]:
        assert json.loads(answer.body)["requestId"] == answer.headers["x-appbuilder-request-id"]
    assert all(re.fullmatch(UUID, request_id) for request_id in ids)
