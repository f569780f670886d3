"""Answers and streams with anything wrong in them: read, or a DecodeError; errors stay errors."""

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
    StepEvent,
    UnknownEvent,
)
from aiodashassist.core.files import FileContent
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.models import Page
from aiodashassist.core.operations import (
    DownloadFile,
    ListFiles,
    ListOperation,
    Operation,
    ReadFile,
)
from aiodashassist.core.provider import Response
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.errors import APIError, DecodeError, RemoteProtocolError
from aiodashassist.providers.appbuilder import AppBuilderProvider
from aiodashassist.providers.appbuilder.frames import StreamReader
from tests.providers.appbuilder.damage import ANSWERS, ERRORS, EVENTS, frame
from tests.providers.dashscope.damage import BLOWS, FLAT, misfits, struck
from tests.transcripts.appbuilder import APPBUILDER

PROVIDER = AppBuilderProvider()
KNOWN: dict[str, tuple[type[Event], ...]] = {
    "run_begin": (RunEvent, MessageEvent),
    "tool_step_begin": (StepEvent, MessageEvent),
    "tool_calls": (StepEvent, RunEvent),
    "tool_submitted_output": (RunEvent,),
    "tool_step_end": (StepEvent, MessageEvent),
    "message_creation": (MessageEvent,),
    "message": (MessageEvent, MessageDelta),
    "run_cancelling": (RunEvent, MessageEvent),
    "run_end": (RunEvent, MessageEvent),
    "ping": (),
    "error": (ErrorEvent,),
    "of_tomorrow": (UnknownEvent,),
    "tomorrow": (UnknownEvent,),
}
ANY = tuple({kind for kinds in KNOWN.values() for kind in kinds})
NEVER_BROKEN = ("ping", "error")
FEW, MANY = 100, 10_000
MARKS: Any = [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]


def answered(operation: Operation[Any], body: bytes) -> Any:
    """What a 200 with this body comes to: an object of the operation's kind, or an error."""
    response = Response(status=200, headers={"content-type": "application/json"}, body=body)
    error = PROVIDER.error(operation, response)
    if error is not None:
        assert isinstance(error, APIError)
        assert b"error" in body or b"code" in body or body == b"null"
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


def said(kind: str, name: str, data: bytes) -> Sequence[Event]:
    """What a frame in the middle of a stream comes to: events, or nothing readable.

    However damaged an event is, the next one is read.
    """
    reader = StreamReader()
    for before in ("run_begin", "tool_step_begin"):
        reader.read(frame(*EVENTS[before]))
    events: Sequence[Event] = ()
    try:
        events = reader.read(Frame(name, data))
    except DecodeError:
        assert kind not in NEVER_BROKEN
    else:
        assert events or name == "ping" or data == b"[DONE]" or kind == "message_creation"
    assert all(isinstance(event, ANY) for event in events)
    for event in events:
        assert_sound(event)
    after = reader.read(frame(*EVENTS["message"]))
    assert isinstance(after[-1], MessageDelta)
    return events


def assert_sound(event: Event) -> None:
    """That an event's texts are texts, and its object has an id."""
    if isinstance(event, RunEvent | StepEvent | MessageEvent):
        obj: Any = getattr(event, "run", None) or getattr(event, "step", None)
        obj = obj or getattr(event, "message", None)
        assert isinstance(event.status, str)
        assert isinstance(event.name, str)
        assert obj is not None
        assert obj.id
    elif isinstance(event, ErrorEvent):
        assert isinstance(event.code, str)
        assert isinstance(event.message, str)
        assert event.request_id is None or isinstance(event.request_id, str)
    elif isinstance(event, MessageDelta):
        assert isinstance(event.text, str)


# --- whole ---


@pytest.mark.parametrize("name", ANSWERS)
def test_the_whole_answer_is_read(name: str) -> None:
    """Undamaged, every answer is an object of its kind and no error."""
    operation, whole = ANSWERS[name]

    assert not isinstance(answered(operation, json.dumps(whole).encode()), str)


@pytest.mark.parametrize("kind", EVENTS)
def test_the_whole_event_is_read(kind: str) -> None:
    """Undamaged, every event is one of its kind."""
    name, whole = EVENTS[kind]
    events = said(kind, name, json.dumps(whole).encode())

    assert bool(events) is (kind != "ping")
    assert all(isinstance(event, KNOWN[kind]) for event in events)


def test_every_kind_is_known() -> None:
    """No event of the table is left out."""
    assert set(KNOWN) == set(EVENTS)


# --- every place of the whole, wrong in every way ---


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


@pytest.mark.parametrize("kind", EVENTS)
def test_every_field_of_every_event_may_be_wrong(kind: str) -> None:
    """Each field absent, null, or of each type of JSON: events, or a DecodeError."""
    name, whole = EVENTS[kind]
    for what, body in misfits(whole):
        try:
            said(kind, name, json.dumps(body).encode())
        except Exception as error:
            raise AssertionError(what) from error


@pytest.mark.parametrize("status", [200, 400, 401, 404, 412, 429, 500, 999])
@pytest.mark.parametrize("shape", ERRORS)
def test_every_field_of_an_error_may_be_wrong(shape: str, status: int) -> None:
    """With a bad status it is an APIError with a message; with 200 that, or unreadable."""
    for what, body in misfits(ERRORS[shape]):
        data = json.dumps(body).encode()
        try:
            answered(ANSWERS["Thread"][0], data) if status == 200 else refused(status, data)
        except Exception as error:
            raise AssertionError(what) from error


@pytest.mark.parametrize("operation", [ReadFile(file_id="f"), DownloadFile(file_id="f")])
@given(body=st.binary(max_size=40) | FLAT.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_file(operation: Operation[Any], body: bytes) -> None:
    """As they are, unless JSON says that they are an error."""
    named = Response(status=200, headers={"content-type": "text/plain"}, body=body)
    unnamed = Response(status=200, headers={"content-type": "application/json"}, body=body)

    assert PROVIDER.error(operation, named) is None
    assert PROVIDER.decode(operation, named) == FileContent(data=body, content_type="text/plain")
    error = PROVIDER.error(operation, unnamed)
    assert error is None or body == b"null" or b"error" in body or b"code" in body


@given(body=st.binary(max_size=60) | st.sampled_from([b"data:", b"\ndata:{}", b"x data: y", b"\r"]))
def test_any_framed_body_is_taken(body: bytes) -> None:
    """An answer that says it is a stream, and is anything."""
    headers = {"content-type": "text/event-stream"}
    for status in (200, 500):
        error = PROVIDER.error(
            ANSWERS["Thread"][0], Response(status=status, headers=headers, body=body)
        )
        assert isinstance(error, APIError) or status == 200


# --- depth ---


def nested(depth: int) -> bytes:
    """JSON that is that deep."""
    return b'{"a":' * depth + b"1" + b"}" * depth


PLACES: dict[str, bytes] = {
    "Thread": b'{"id":"t","created_at":%b}',
    "Run": b'{"id":"r","tools":[{"type":%b}]}',
    "Assistant": b'{"id":"a","tools":[{"function":{"name":"f","parameters":%b}}]}',
    "Message": b'{"id":"m","content":[{"text":%b}]}',
    "RunStep": b'{"id":"s","step_datail":{"tool_calls":[{"type":%b}]}}',
    "File": b'{"id":"f","create_at":%b}',
    "Uploads": b'{"id":"f","bytes":%b}',
    "Page of Files": b'{"first_id":%b,"data":[]}',
}


@pytest.mark.parametrize("name", PLACES)
def test_no_depth_is_too_deep_for_an_answer(name: str) -> None:
    """Near the depth where the interpreter gives up, just there, and far beyond it."""
    for depth in (*range(880, 1000), 5_000, 100_000):
        answered(ANSWERS[name][0], PLACES[name] % nested(depth))


def test_no_depth_is_too_deep_for_an_error_and_for_an_event() -> None:
    """An error stays an APIError, an `error` frame an event; the others are read or are not."""
    for depth in (*range(880, 1000, 3), 5_000, 100_000):
        deep = nested(depth)
        refused(400, b'{"error":{"code":%b,"message":%b,"param":%b}}' % (deep, deep, deep))
        for kind, (name, _) in EVENTS.items():
            said(kind, name, deep)
            event_type = kind.encode()
            said(kind, name, b'{"event_type":"%b","details":%b}' % (event_type, deep))


# --- at random ---


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
    statuses = (400, 403, 404, 428, 500)

    fuzz(refused, examples, [(status, shape) for status in statuses for shape in shapes])


GROUPS: dict[str, list[str]] = {}
for known in EVENTS:
    GROUPS.setdefault(KNOWN[known][0].__name__ if KNOWN[known] else known, []).append(known)


@pytest.mark.parametrize("examples", MARKS)
@pytest.mark.parametrize("group", GROUPS)
def test_a_damaged_event_is_read_or_a_decode_error(group: str, examples: int) -> None:
    """Whatever stands in a frame: events, or a DecodeError; and the next one is read."""

    def check(kind: str, data: bytes) -> None:
        said(kind, EVENTS[kind][0], data)

    wholes = [(kind, EVENTS[kind][1]) for kind in GROUPS[group]]
    fuzz(
        check, examples, [(kind, bodies(whole) | st.binary(max_size=40)) for kind, whole in wholes]
    )


FILES = sorted(APPBUILDER.glob("*.sse"))
TOUCHES = st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    "examples", [FEW, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_damaged_stream_is_read_or_a_protocol_error(path: Any, examples: int) -> None:
    """Bytes of a transcript overwritten anywhere: every event is sound, or its fault is told."""
    whole = path.read_bytes()

    @given(TOUCHES)
    @settings(max_examples=examples, deadline=None, database=None)
    def check(touches: list[tuple[int, bytes]]) -> None:
        data = bytearray(whole)
        for place, new in touches:
            data[place % len(data) : place % len(data) + len(new)] = new
        reader, machine, snapshot = StreamReader(), RunMachine(), Snapshot()
        for framed in SSEParser().feed(bytes(data)):
            try:
                events = reader.read(framed)
            except DecodeError:
                continue
            for event in events:
                assert_sound(event)
                snapshot.receive(event)
                try:
                    machine.receive(event)
                except RemoteProtocolError:
                    return
        snapshot.result()

    check()
