"""Answers and frames with anything wrong in them: read, or a DecodeError; errors stay errors."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
    UnknownEvent,
)
from aiodashassist.core.models import Page
from aiodashassist.core.operations import ListFiles, ListOperation, Operation
from aiodashassist.core.provider import Response
from aiodashassist.core.sse import Frame
from aiodashassist.errors import APIError, DecodeError
from aiodashassist.providers.dashscope import DashScopeProvider
from tests.providers.dashscope.damage import (
    ANSWERS,
    BLOWS,
    ERRORS,
    EVENTS,
    FLAT,
    misfits,
    struck,
)

PROVIDER = DashScopeProvider()
READ = PROVIDER.reader({})
KINDS: dict[str, type[Event]] = {
    "thread.created": ThreadEvent,
    "thread.run.created": RunEvent,
    "thread.run.requires_action": RunEvent,
    "thread.run.step.created": StepEvent,
    "thread.run.step.completed": StepEvent,
    "thread.run.step.delta": StepDelta,
    "thread.message.created": MessageEvent,
    "thread.message.completed": MessageEvent,
    "thread.message.delta": MessageDelta,
    "error": ErrorEvent,
    "thread.of.tomorrow": UnknownEvent,
}
NEVER_BROKEN = ("error", "thread.of.tomorrow")
FEW, MANY = 100, 10_000
MARKS: Any = [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]


def answered(operation: Operation[Any], body: bytes) -> Any:
    """What a 200 with this body comes to: an object of the operation's kind, or an error."""
    response = Response(status=200, headers={"content-type": "application/json"}, body=body)
    error = PROVIDER.error(operation, response)
    if error is not None:
        assert isinstance(error, APIError)
        assert b"code" in body or b"failed_uploads" in body
        return str(error)
    try:
        result = PROVIDER.decode(operation, response)
    except DecodeError as unreadable:
        return str(unreadable)
    if isinstance(operation, ListOperation | ListFiles):
        assert isinstance(result, Page)
        assert all(isinstance(item, operation.result) for item in result.data)
    else:
        assert isinstance(result, operation.result)
    return result


def refused(status: int, body: bytes) -> APIError:
    """What an error answer with this body comes to."""
    response = Response(status=status, headers={}, body=body)
    error = PROVIDER.error(ANSWERS["Thread"][0], response)
    assert isinstance(error, APIError)
    assert error.message
    assert isinstance(error.code, str)
    assert error.request_id is None or isinstance(error.request_id, str)
    return error


def said(name: str, data: bytes) -> Sequence[Event]:
    """What a frame comes to: one event of its kind, or nothing readable."""
    try:
        events = READ(Frame(name, data))
    except DecodeError:
        assert name not in NEVER_BROKEN
        return ()
    if data == b"[DONE]" and name != "thread.message.delta":  # the closing mark, of any name
        return ()
    assert [type(event) for event in events] == [KINDS[name]]
    return events


@pytest.mark.parametrize("name", ANSWERS)
def test_the_whole_answer_is_read(name: str) -> None:
    """Undamaged, every answer is an object of its kind and no error."""
    operation, whole = ANSWERS[name]

    assert not isinstance(answered(operation, json.dumps(whole).encode()), str)


@pytest.mark.parametrize("name", EVENTS)
def test_the_whole_frame_is_read(name: str) -> None:
    """Undamaged, every frame is an event of its kind."""
    assert len(said(name, json.dumps(EVENTS[name]).encode())) == 1


@pytest.mark.parametrize("name", ANSWERS)
def test_every_field_of_every_answer_may_be_wrong(name: str) -> None:
    """Each field absent, null, or of each type of JSON: the object, or a DecodeError."""
    operation, whole = ANSWERS[name]
    fields = () if "data" in whole else operation.result.__struct_fields__
    for what, body in misfits(whole, fields):
        try:
            answered(operation, json.dumps(body).encode())
        except Exception as error:
            raise AssertionError(what) from error


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_of_every_frame_may_be_wrong(name: str) -> None:
    """Each field absent, null, or of each type of JSON: the event, or a DecodeError."""
    for what, body in misfits(EVENTS[name]):
        try:
            said(name, json.dumps(body).encode())
        except Exception as error:
            raise AssertionError(what) from error


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 999])
@pytest.mark.parametrize("shape", ERRORS)
def test_every_field_of_an_error_may_be_wrong(shape: str, status: int) -> None:
    """An error answer is an APIError with a message, whatever stands in its body."""
    for what, body in misfits(ERRORS[shape]):
        try:
            refused(status, json.dumps(body).encode())
        except Exception as error:
            raise AssertionError(what) from error


def nested(depth: int) -> bytes:
    """JSON that is that deep."""
    return b'{"a":' * depth + b"1" + b"}" * depth


PLACES: dict[str, bytes] = {
    "Thread": b'{"id":"t","created_at":%b}',
    "Run": b'{"id":"r","tools":[{"type":%b}]}',
    "Assistant": b'{"id":"a","tools":[{"type":"x","auth":%b}]}',
    "Message": b'{"id":"m","content":[{"text":%b}]}',
    "RunStep": b'{"id":"s","step_details":{"tool_calls":[{"type":%b}]}}',
    "File": b'{"data":{"file_id":"f","gmt_create":%b}}',
    "Uploads": b'{"data":{"uploaded_files":[],"failed_uploads":[{"name":%b}]}}',
    "Page of Files": b'{"request_id":%b,"data":{"files":[]}}',
    "Deleted file": b'{"request_id":%b}',
}


@pytest.mark.parametrize("name", PLACES)
def test_no_depth_is_too_deep_for_an_answer(name: str) -> None:
    """Near the depth where the interpreter gives up, just there, and far beyond it."""
    for depth in (*range(880, 1000), 5_000, 100_000):
        answered(ANSWERS[name][0], PLACES[name] % nested(depth))


def test_no_depth_is_too_deep_for_an_error_and_for_a_frame() -> None:
    """An error stays an APIError, an `error` frame an event, a delta is read or is not."""
    for depth in (*range(880, 1000), 5_000, 100_000):
        deep = nested(depth)
        refused(400, b'{"code":%b,"message":%b,"request_id":%b}' % (deep, deep, deep))
        for name in EVENTS:
            said(name, deep)
            said(name, b'{"id":"x","code":%b,"delta":%b}' % (deep, deep))


def bodies(whole: Any) -> st.SearchStrategy[bytes]:
    """The whole after some blows, or any other JSON."""
    hurt = BLOWS.map(lambda blows: json.dumps(struck(whole, blows)).encode())
    return hurt | FLAT.map(lambda value: json.dumps(value).encode())


def fuzz(
    check: Callable[[Any, bytes], object],
    examples: int,
    cases: Iterable[tuple[Any, st.SearchStrategy[bytes]]],
) -> None:
    """Run a check on so many examples of these cases, each with its bytes."""
    quick = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    drawn = st.one_of([st.tuples(st.just(case), data) for case, data in cases])

    def checked(example: tuple[Any, bytes]) -> None:
        check(*example)

    run: Any = given(drawn)(checked)
    quick(run)()


KINDS_OF_ANSWERS: dict[str, list[str]] = {}
for answer in ANSWERS:
    KINDS_OF_ANSWERS.setdefault(answer.split()[0], []).append(answer)
KINDS_OF_FRAMES = {
    kind.__name__: [name for name in EVENTS if KINDS[name] is kind] for kind in KINDS.values()
}


@pytest.mark.parametrize("examples", MARKS)
@pytest.mark.parametrize("kind", KINDS_OF_ANSWERS)
def test_a_damaged_answer_is_read_or_a_decode_error(kind: str, examples: int) -> None:
    """Whatever is missing, null, of another type or new: an object, or a DecodeError."""
    known = [ANSWERS[name] for name in KINDS_OF_ANSWERS[kind]]

    fuzz(answered, examples, [(operation, bodies(whole)) for operation, whole in known])


@pytest.mark.parametrize("examples", MARKS)
def test_a_damaged_error_is_an_error(examples: int) -> None:
    """Whatever an error answer holds, it is an APIError with a message."""
    shapes = [bodies(whole) | st.binary(max_size=40) for whole in ERRORS.values()]
    statuses = (400, 403, 404, 413, 500)

    fuzz(refused, examples, [(status, shape) for status in statuses for shape in shapes])


@pytest.mark.parametrize("examples", MARKS)
@pytest.mark.parametrize("kind", KINDS_OF_FRAMES)
def test_a_damaged_frame_is_read_or_a_decode_error(kind: str, examples: int) -> None:
    """Whatever stands in a frame: an event of its kind, or a DecodeError."""
    names = KINDS_OF_FRAMES[kind]

    fuzz(said, examples, [(name, bodies(EVENTS[name]) | st.binary(max_size=40)) for name in names])
