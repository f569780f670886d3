"""AppBuilder's streams over a socket, from servers that misbehave, and in each manner of chunks."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    AssistError,
    AuthenticationError,
    BadRequest,
    DecodeError,
    ErrorEvent,
    FirstEventTimeout,
    IdleTimeout,
    MessageDelta,
    MessageEvent,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RemoteProtocolError,
    RunEvent,
    ServerError,
    StreamInterrupted,
    Timeouts,
    ToolFinished,
    ToolStarted,
    TransportError,
    UnknownEvent,
    tool,
)
from aiodashassist.server import LocalServer
from aiodashassist.server.engines import Move, Say, Turn
from tests import virtual_time
from tests.raw_server import (
    END,
    STREAM,
    Answer,
    RawServer,
    Received,
    Writer,
    answering,
    chunk,
    whole,
)
from tests.retrying import ONCE

KIND = "text/event-stream"
RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "assistant_id": "a"}
STEP = {"id": "step-1", "run_id": "run_1", "thread_id": "thread_1"}
CALL = {"id": "c", "type": "function", "function": {"name": "echo", "arguments": '{"text":"x"}'}}
PING = b"event: ping\n\n"
SECOND_CALL = {**CALL, "id": "d"}


def frame(name: str, body: Any) -> bytes:
    """One event."""
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def status(kind: str, status: str, **details: Any) -> bytes:
    """A `status` event (§5.3)."""
    return frame("status", {"status": status, "event_type": kind, "details": details})


def run_at(kind: str, status_: str, **more: Any) -> bytes:
    """A run's event."""
    return status(kind, status_, type="run_object", run_object={**RUN, "status": status_, **more})


def said(text: str, message_id: str = "chatmsg_1") -> bytes:
    """Some text."""
    content = [{"type": "text", "text": {"value": text}}]
    return frame("message", {"message_id": message_id, "content": content})


BEGIN = run_at("run_begin", "queued")
STEP_BEGINS = status("tool_step_begin", "in_progress", run_step_object=STEP)
STEP_ENDS = status("tool_step_end", "completed", run_step_object=STEP)
CREATION = status("message_creation", "in_progress", message_creation={"message_id": "chatmsg_1"})
CALLS = status("tool_calls", "requires_action", tool_calls=[CALL])
TAKEN = status("tool_submitted_output", "in_progress", tool_calls=[CALL])
FINISHED = run_at("run_end", "completed")
HALF = BEGIN + STEP_BEGINS + CREATION + said("半句话")
WHOLE = HALF + STEP_ENDS + FINISHED


@tool
async def echo(text: str) -> str:
    """Give back the text."""
    return text


def stream_of(client: AppBuilder, **options: Any) -> Any:
    """A stream that leaves its run alone."""
    options.setdefault("on_exit", "leave")
    return client.threads.runs.stream("thread_1", assistant_id="a", **options)


async def note(stream: Any, into: list[Any]) -> None:
    """Read to the end, and keep what came before it."""
    async for event in stream:
        into.append(event)  # noqa: PERF401 (what came counts, also where the end is an error)


def unreadable(stream: Answer) -> Answer:
    """Answers a run with this stream, and refuses to have it read back."""
    refused = answering(whole(b'{"error":{"code":"not_found","message":"m"}}'))

    async def answer(request: Received, writer: Writer) -> None:
        is_query = request.line.split()[1].endswith("/query")
        await (refused if is_query else stream)(request, writer)

    return answer


async def read_all(answer: Any, **options: Any) -> list[Any]:
    """The events of a stream that is answered so, by a service that can be asked nothing else."""
    async with (
        RawServer(unreadable(answer)) as server,
        AppBuilder("k", server.url, retry=ONCE) as client,
        stream_of(client, **options) as stream,
    ):
        return [event async for event in stream]


async def failing(answer: Any, kind: type[AssistError], **options: Any) -> Any:
    """The error that a stream ends with which is answered so."""
    with pytest.raises(kind) as caught:
        await read_all(answer, **options)
    assert type(caught.value) is kind
    return caught.value


async def test_a_recorded_stream_is_read_whatever_its_cuts() -> None:
    """Whole, and byte by byte: the same events; the text in one piece (§11.1)."""
    one = await read_all(answering(whole(WHOLE, kind=KIND)))
    cut = [chunk(WHOLE[i : i + 1]) for i in range(len(WHOLE))]
    other = await read_all(answering(STREAM, *cut, END))

    assert one == other
    assert [type(event).__name__ for event in one] == [
        "RunEvent", "StepEvent", "MessageEvent", "MessageDelta", "MessageEvent", "StepEvent",
        "RunEvent",
    ]  # fmt: skip
    assert [event.text for event in one if isinstance(event, MessageDelta)] == ["半句话"]


MALFORMED: dict[str, bytes] = {
    "a message that is no JSON": b"event: message\ndata: {oops\n\n",
    "a message cut short": said("more")[:-20] + b"\n\n",
    "a message that is a list": frame("message", []),
    "a message that is null": frame("message", None),
    "a message whose id is a number": frame("message", {"message_id": 5, "content": []}),
    "a status that is no JSON": b"event: status\ndata: status\n\n",
    "a status that is a number": frame("status", 5),
    "a status whose details are a text": frame("status", {"event_type": "run_end", "details": "x"}),
    "a run without an id": status("run_end", "completed", run_object={"status": "completed"}),
    "a step that is not there": status("tool_step_end", "completed", run_step_object=None),
    "a creation without an id": status("message_creation", "in_progress", message_creation={}),
    "what is not UTF-8": b'event: message\ndata: {"message_id":"\xff"}\n\n',
}


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
async def test_an_event_that_cannot_be_read_is_told(bad: bytes) -> None:
    """DecodeError, with the run, the thread and the text so far; no event is made up for it."""
    told: list[Any] = []
    async with (
        RawServer(answering(whole(HALF + bad + FINISHED, kind=KIND))) as server,
        AppBuilder("k", server.url) as client,
        stream_of(client) as stream,
    ):
        with pytest.raises(DecodeError) as caught:
            await note(stream, told)
        with pytest.raises(DecodeError):
            await anext(stream)
    error = caught.value

    assert (error.run_id, error.thread_id, error.text) == ("run_1", "thread_1", "半句话")
    assert len(told) == 4
    assert isinstance(told[-1], MessageDelta)


REFUSED: dict[str, tuple[bytes, str, type[AssistError]]] = {
    "unknown": (b'{"error":{"code":"not_found","message":"m"}}', "200 OK", NotFound),
    "busy": (b'{"error":{"code":"x","message":"active run"}}', "200 OK", BadRequest),
    "limited": (b'{"error":{"code":"","message":"QPS\xe8\xb6\x85\xe9\x99\x90"}}', "200 OK",
                RateLimited),
    "flat": (b'{"code":"IamSignatureInvalid","message":"no","requestId":"r"}', "401 Unauthorized",
             AuthenticationError),
    "flat with 200": (b'{"code":"not_found","message":"no","requestId":"r"}', "200 OK", NotFound),
    "broken": (b'{"code":"x","message":"oh"}', "503 Oh", ServerError),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", KIND, "text/plain"])
@pytest.mark.parametrize(("body", "code", "error"), REFUSED.values(), ids=REFUSED.keys())
async def test_an_error_without_a_frame_is_the_error_it_is(
    body: bytes, code: str, error: type[AssistError], kind: str
) -> None:
    """Whatever it is called, and in one piece or byte by byte (§6.5)."""
    await failing(answering(whole(body, code, kind)), error)
    head = STREAM.replace(b"200 OK", code.encode()).replace(KIND.encode(), kind.encode())
    pieces = [chunk(b" \n"), *(chunk(body[i : i + 1]) for i in range(len(body)))]
    found = await failing(answering(head, *pieces, END), error)

    assert isinstance(found, APIError)


NO_STREAM: dict[str, tuple[bytes, str, type[AssistError]]] = {
    "null": (b"null", "application/json", NotFound),
    "null as a stream": (b"null", KIND, NotFound),
    "HTML": (b"<html>", "text/html", RemoteProtocolError),
    "HTML as a stream": (b"<html>", KIND, RemoteProtocolError),
    "a run": (json.dumps(RUN).encode(), "application/json", RemoteProtocolError),
    "a run as a stream": (json.dumps(RUN).encode(), KIND, RemoteProtocolError),
    "nothing": (b"", "application/json", RemoteProtocolError),
    "nothing as a stream": (b"", KIND, StreamInterrupted),
}


@pytest.mark.parametrize(("body", "kind", "error"), NO_STREAM.values(), ids=NO_STREAM.keys())
async def test_what_is_no_stream_is_an_error(
    body: bytes, kind: str, error: type[AssistError]
) -> None:
    """Each says what it was that came."""
    found = await failing(answering(whole(body, kind=kind)), error)

    assert found.thread_id == "thread_1"


async def test_an_error_frame_is_an_event_and_then_an_error() -> None:
    """The event tells it; if the run cannot be read back, the iteration ends with its class."""
    events: list[Any] = []
    body = HALF + frame("error", {"error": {"code": "rate_limit", "message": "too many"}})
    async with (
        RawServer(unreadable(answering(whole(body, kind=KIND)))) as server,
        AppBuilder("k", server.url) as client,
        stream_of(client) as stream,
    ):
        with pytest.raises(RateLimited) as caught:
            await note(stream, events)

    assert isinstance(events[-1], ErrorEvent)
    assert (caught.value.run_id, caught.value.text) == ("run_1", "半句话")


async def reset(_request: Received, writer: Writer) -> None:
    """Half an answer, and then no connection."""
    writer.write(STREAM + chunk(HALF))
    await writer.drain()
    writer.transport.abort()


BREAKS: dict[str, Any] = {
    "in a frame": answering(STREAM, chunk(HALF + said("more")[:-9]), close=True),
    "in a character": answering(STREAM, chunk(HALF + "event: message\ndata: 你".encode()[:-1]),
                                close=True),
    "between frames": answering(STREAM, chunk(HALF), close=True),
    "at an end of the answer": answering(whole(HALF, kind=KIND)),
    "by a reset": reset,
    "after a ping": answering(STREAM, chunk(HALF + PING), close=True),
    "after [DONE]": answering(whole(HALF + b"data: [DONE]\n\n", kind=KIND)),
}  # fmt: skip


@pytest.mark.parametrize("answer", BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_ends_early_is_interrupted(answer: Any) -> None:
    """Whatever way it ended, if the run cannot be read back: all that came, and where it was."""
    error = await failing(answer, StreamInterrupted)

    assert (error.run_id, error.thread_id, error.text) == ("run_1", "thread_1", "半句话")


async def test_what_is_unknown_breaks_nothing() -> None:
    """Events, types and pings that nobody knows, before and after the run's last word."""
    odd = [
        frame("telemetry", {"a": 1}),
        b"event: ping\ndata: {}\n\n",
        b"event: ping\ndata: not JSON\n\n",
        status("run_pondering", "in_progress"),
        b": a comment\n\n",
        b"id: 5\nretry: 10\n\n",
    ]
    body = BEGIN + b"".join(odd) + WHOLE[len(BEGIN) :] + PING
    events = await read_all(answering(whole(body, kind=KIND)))

    unknown = [event.name for event in events if isinstance(event, UnknownEvent)]
    assert unknown == ["telemetry", "run_pondering"]
    assert isinstance(events[-1], RunEvent)
    assert events[-1].status == "completed"


@pytest.mark.parametrize(
    ("status_", "ended"), [("completed", "completed"), ("failed", "incomplete")]
)
async def test_a_message_ends_before_its_run(status_: str, ended: str) -> None:
    """Also where no step's end stands between: the wire never says that it is whole (§5.3)."""
    body = HALF + said("。") + run_at("run_end", status_)
    *_, message, run = await read_all(answering(whole(body, kind=KIND)))

    assert isinstance(message, MessageEvent)
    assert (message.name, message.status, message.message.text) == ("", ended, "半句话。")
    assert isinstance(run, RunEvent)
    assert run.status == status_


async def test_an_event_of_another_run_is_refused() -> None:
    """The stream is of one run."""
    other = status("run_end", "completed", run_object={**RUN, "id": "run_2"})
    error = await failing(answering(whole(HALF + other, kind=KIND)), RemoteProtocolError)

    assert error.run_id == "run_1"


class Service:
    """A service whose stream stops at calls, until their outputs come or are refused.

    Args:
        submitted: the answer to the outputs.
        then: what the stream says afterwards; None: it says nothing more, and stays open.
        at_once: whether the stream goes on without waiting for outputs.
    """

    def __init__(self, submitted: bytes, then: bytes | None, *, at_once: bool = False) -> None:
        self.outputs: list[Any] = []
        self.paths: list[str] = []
        self._submitted = submitted
        self._then = then
        self._answered = asyncio.Event()
        if at_once:
            self._answered.set()

    async def __call__(self, request: Received, writer: Writer) -> None:
        """Answer."""
        path = request.line.split()[1]
        self.paths.append(path)
        if path.endswith("submit_tool_outputs"):
            self.outputs.append(json.loads(request.body)["tool_outputs"])
            writer.write(self._submitted)
            self._answered.set()
        elif path.endswith("cancel"):
            writer.write(whole(json.dumps({**RUN, "status": "cancelled"}).encode()))
        else:
            writer.write(STREAM + chunk(BEGIN + STEP_BEGINS + CALLS))
            await self._answered.wait()
            if self._then is None:
                await asyncio.Event().wait()
            writer.write(chunk(self._then or b"") + END)


ACCEPTED = whole(json.dumps({**RUN, "status": "in_progress"}).encode())


async def test_outputs_travel_beside_the_stream() -> None:
    """They are posted once, on another connection, and the stream goes on (§5.5)."""
    answer_text = CREATION + said("完")
    service = Service(ACCEPTED, PING + TAKEN + STEP_ENDS + answer_text + FINISHED)
    events = await read_all(service, tools=[echo])

    assert service.outputs == [[{"tool_call_id": "c", "output": "x", "run_id": ""}]]
    assert service.paths == ["/v2/threads/runs", "/v2/threads/runs/submit_tool_outputs"]
    finished = [event.output.output for event in events if isinstance(event, ToolFinished)]
    assert finished == ["x"]
    assert isinstance(events[-1], RunEvent)


async def test_calls_that_are_told_twice_are_made_once() -> None:
    """A `tool_calls` event that comes again, and outputs that show the calls, ask for nothing."""
    service = Service(ACCEPTED, CALLS + TAKEN + TAKEN + STEP_ENDS + FINISHED)
    events = await read_all(service, tools=[echo])

    assert len(service.outputs) == 1
    assert len([event for event in events if isinstance(event, ToolFinished)]) == 1


UNDELIVERED: dict[str, tuple[bytes, type[AssistError]]] = {
    "refused": (whole(b'{"error":{"code":"invalid","message":"no"}}'), BadRequest),
    "unknown": (whole(b"null"), NotFound),
    "broken": (whole(b"oh", "500 Oh", "text/plain"), ServerError),
    "HTML": (whole(b"<html>", kind="text/html"), DecodeError),
}


@pytest.mark.parametrize(("submitted", "error"), UNDELIVERED.values(), ids=UNDELIVERED.keys())
async def test_outputs_that_cannot_be_delivered_are_kept(
    submitted: bytes, error: type[AssistError]
) -> None:
    """The error is told, and the outputs can be taken along: no tool has to run twice."""
    async with (
        RawServer(Service(submitted, None)) as server,
        AppBuilder("k", server.url, retry=ONCE) as client,
        stream_of(client, tools=[echo]) as stream,
    ):
        with pytest.raises(error) as caught:
            await stream.result()
        kept = [(output.tool_call_id, output.output) for output in stream.completed_outputs]

    assert kept == [("c", "x")]
    assert (caught.value.run_id, caught.value.thread_id) == ("run_1", "thread_1")


async def test_a_stream_that_ends_while_its_tools_work_is_interrupted() -> None:
    """With a run that cannot be read back it is told, and the tool is ended."""
    ended: list[str] = []

    @tool(name="echo")
    async def endless(text: str) -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(text)
        return ""

    error = await failing(Service(ACCEPTED, PING, at_once=True), StreamInterrupted, tools=[endless])

    assert (error.run_id, ended) == ("run_1", ["x"])


async def test_a_stream_that_ends_after_its_outputs_is_interrupted() -> None:
    """The outputs came, and nothing more: the end is early, and nothing tells of the run."""
    error = await failing(Service(ACCEPTED, PING), StreamInterrupted, tools=[echo])

    assert error.run_id == "run_1"


async def test_a_run_that_ends_while_tools_work_ends_them() -> None:
    """Its last word is told; the tool is cancelled and nothing is submitted."""

    @tool(name="echo")
    async def endless(text: str) -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return text

    service = Service(ACCEPTED, run_at("run_end", "expired"), at_once=True)
    events = await read_all(service, tools=[endless])

    assert isinstance(events[-1], RunEvent)
    assert events[-1].status == "expired"
    assert service.outputs == []


async def test_leaving_cancels_the_run_by_its_ids() -> None:
    """They are in the body of the call (§2.5)."""
    service = Service(ACCEPTED, None)
    async with RawServer(service) as server, AppBuilder("k", server.url) as client:
        async with stream_of(client, on_exit="cancel", tools=None) as stream:
            await anext(stream)
        cancelling = server.requests[-1]

    assert cancelling.line.split()[1] == "/v2/threads/runs/cancel"
    assert json.loads(cancelling.body) == {"thread_id": "thread_1", "run_id": "run_1"}


def pinging(begin: bytes, every: float = 1) -> Callable[[Received, Writer], Awaitable[None]]:
    """Says something, and then nothing but pings."""

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(STREAM + (chunk(begin) if begin else b""))
        while not writer.transport.is_closing():
            writer.write(chunk(PING))
            await asyncio.sleep(every)

    return answer


@pytest.mark.parametrize(
    ("begin", "error", "limit"), [(HALF, IdleTimeout, 20), (b"", FirstEventTimeout, 10)]
)
def test_pings_are_no_news(begin: bytes, error: type[AssistError], limit: float) -> None:
    """A stream that only pings is silent: the clock of its events runs out."""

    async def main() -> float:
        loop, clocks = asyncio.get_running_loop(), Timeouts(idle=20, first_event=10)
        async with (
            RawServer(unreadable(pinging(begin))) as server,
            AppBuilder("k", server.url, retry=ONCE, timeouts=clocks) as client,
            stream_of(client) as stream,
        ):
            began = loop.time()
            with pytest.raises(error):
                await stream.result()
            return loop.time() - began

    assert virtual_time.run(main()) == pytest.approx(limit, abs=1)


def test_silence_is_borne_while_a_tool_works() -> None:
    """The service waits for us: pings or not, the clock stands still."""

    @tool(name="echo")
    async def slow(text: str) -> str:
        """Take much longer than the clock."""
        await asyncio.sleep(500)
        return text

    async def main() -> str:
        service = Service(ACCEPTED, TAKEN + STEP_ENDS + CREATION + said("x") + FINISHED)
        async with (
            RawServer(service) as server,
            AppBuilder("k", server.url, timeouts=Timeouts(idle=20)) as client,
            stream_of(client, tools=[slow]) as stream,
        ):
            return str((await stream.result()).text)

    assert virtual_time.run(main()) == "x"


TEXTS = ("今天天气不错，", "明天 tomorrow", "也不错😀", "。")
TEXT = "".join(TEXTS)


class Talker:
    """An engine that says the same, in pieces as a model would."""

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """See `Engine.respond`."""
        del turn
        yield Say("1234567890")
        for text in TEXTS:
            yield Say(text)


FITTING = [
    ("delta", "delta"),
    ("delta", "auto"),
    ("cumulative", "cumulative"),
    ("cumulative", "auto"),
    ("whole", "delta"),
    ("whole", "cumulative"),
    ("whole", "auto"),
]


@pytest.mark.parametrize(("written", "read"), FITTING)
async def test_text_comes_once_however_it_is_cut(written: Any, read: Any) -> None:
    """Deltas, message, result and the thread say the same, in each manner of the service (§5.3)."""
    async with (
        LocalServer(engine=Talker(), message_chunks=written) as server,
        server.client(AppBuilder, message_chunks=read) as client,
    ):
        made = await client.assistants.create(model="m", name="n")
        async with client.stream("x", assistant_id=made.id) as stream:
            events = [event async for event in stream]
            result = await stream.result()
        stored = (await client.threads.messages.list(result.thread_id or "")).data[0]

    deltas = [event.text for event in events if isinstance(event, MessageDelta)]
    (ended,) = [
        e.message for e in events if isinstance(e, MessageEvent) and e.status != "in_progress"
    ]
    assert result.text == stored.text == ended.text == "".join(deltas) == "1234567890" + TEXT
    assert len(deltas) == (1 if written == "whole" else 5)


async def test_short_beginnings_have_to_be_settled() -> None:
    """`auto` takes chunks before the eighth character as new; `cumulative` knows better."""
    texts = {}
    for read in ("auto", "cumulative"):
        mode: Any = read
        body = BEGIN + CREATION + said("ab") + said("abcdefghij") + said("abcdefghijk") + FINISHED
        async with (
            RawServer(answering(whole(body, kind=KIND))) as server,
            AppBuilder("k", server.url, message_chunks=mode) as client,
            stream_of(client) as stream,
        ):
            texts[read] = (await stream.result()).text

    assert texts["cumulative"] == "abcdefghijk"
    assert texts["auto"].startswith("ababcdefghij")


async def test_a_broken_connection_before_an_answer_is_told() -> None:
    """Nothing was heard at all: the run may have begun."""
    error = await failing(answering(close=True), OutcomeUnknown)

    assert type(error.__cause__) is TransportError


PATIENCE = 20  # seconds; nothing here takes one
SECOND_STEP = {**STEP, "id": "step-2"}


def calling(
    call_id: str, text: str, kind: str = "tool_calls", state: str = "requires_action"
) -> bytes:
    """A status event about one call of `echo`."""
    function = {"name": "echo", "arguments": json.dumps({"text": text})}
    return status(kind, state, tool_calls=[{**CALL, "id": call_id, "function": function}])


def taken(call_id: str, text: str) -> bytes:
    """The service has the output of that call."""
    return calling(call_id, text, "tool_submitted_output", "in_progress")


class Script:
    """A service whose stream says these parts; it waits at an event, and at None for outputs."""

    def __init__(self, *parts: bytes | asyncio.Event | None) -> None:
        self.outputs: list[list[str]] = []
        self.paths: list[str] = []
        self._parts = parts
        self._posted = asyncio.Semaphore(0)

    async def __call__(self, request: Received, writer: Writer) -> None:
        """Answer."""
        path = request.line.split()[1]
        self.paths.append(path)
        if path.endswith("submit_tool_outputs"):
            outputs = json.loads(request.body)["tool_outputs"]
            self.outputs.append([one["output"] for one in outputs])
            writer.write(ACCEPTED)
            self._posted.release()
        elif path.endswith("cancel"):
            writer.write(whole(json.dumps({**RUN, "status": "cancelling"}).encode()))
        else:
            writer.write(STREAM)
            for part in self._parts:
                if isinstance(part, bytes):
                    writer.write(chunk(part))
                else:
                    await (self._posted.acquire() if part is None else part.wait())
            writer.write(END)


async def test_a_cancelled_run_begins_no_round_that_was_asked_for_before() -> None:
    """Calls that were to come after those at work are neither made nor answered."""
    ran: list[str] = []
    told: list[Any] = []
    at_work, cancelled = asyncio.Event(), asyncio.Event()

    @tool(name="echo")
    async def endless(text: str) -> str:
        """Wait for ever."""
        ran.append(text)
        at_work.set()
        await asyncio.Event().wait()
        return text

    both = calling("c", "first") + calling("d", "second")
    over = run_at("run_cancelling", "cancelling") + run_at("run_end", "cancelled")
    service = Script(BEGIN + STEP_BEGINS + both, cancelled, over)
    async with (
        asyncio.timeout(PATIENCE),
        RawServer(service) as server,
        AppBuilder("k", server.url) as client,
        stream_of(client, tools=[endless]) as stream,
    ):
        async for event in stream:
            told.append(event)
            if isinstance(event, RunEvent) and event.round == "round 2":
                await at_work.wait()
                await stream.cancel()
                cancelled.set()

    assert isinstance(told[-1], RunEvent)
    assert told[-1].status == "cancelled"
    assert (ran, service.outputs) == (["first"], [])
    assert len([event for event in told if isinstance(event, ToolStarted)]) == 1
    assert service.paths == ["/v2/threads/runs", "/v2/threads/runs/cancel"]


async def test_late_word_of_older_outputs_does_not_end_the_present_round() -> None:
    """The outputs of the step before are taken while the next one's tool works: it goes on."""
    gate = asyncio.Event()

    @tool(name="echo")
    async def gated(text: str) -> str:
        """The second time wait for the gate."""
        if text == "second":
            await gate.wait()
        return text

    service = Script(
        BEGIN + STEP_BEGINS + calling("c", "first"),
        None,
        STEP_ENDS + status("tool_step_begin", "in_progress", run_step_object=SECOND_STEP),
        calling("d", "second") + taken("c", "first"),
        None,
        taken("d", "second") + status("tool_step_end", "completed", run_step_object=SECOND_STEP),
        FINISHED,
    )
    async with (
        asyncio.timeout(PATIENCE),
        RawServer(service) as server,
        AppBuilder("k", server.url) as client,
        stream_of(client, tools=[gated]) as stream,
    ):
        async for event in stream:
            if event.name == "tool_submitted_output":
                gate.set()
        result = await stream.result()

    assert service.outputs == [["first"], ["second"]]
    assert result.run.status == "completed"


async def test_a_round_that_somebody_else_answered_is_dropped() -> None:
    """Outputs are told as taken before ours were sent: the tool ends, and the run goes on."""
    ended = asyncio.Event()

    @tool(name="echo")
    async def endless(text: str) -> str:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return text

    service = Script(
        BEGIN + STEP_BEGINS + CALLS, TAKEN, ended, STEP_ENDS + CREATION + said("完") + FINISHED
    )
    async with (
        asyncio.timeout(PATIENCE),
        RawServer(service) as server,
        AppBuilder("k", server.url) as client,
        stream_of(client, tools=[endless], on_exit="cancel") as stream,
    ):
        result = await stream.result()

    assert (result.run.status, result.text) == ("completed", "完")
    assert service.paths == ["/v2/threads/runs"]


def test_silence_counts_again_after_a_round_was_dropped() -> None:
    """No tool works any more: the service that says nothing is silent."""

    @tool(name="echo")
    async def endless(text: str) -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return text

    async def main() -> list[str]:
        service = Script(BEGIN + STEP_BEGINS + CALLS, TAKEN, asyncio.Event())
        async with (
            RawServer(unreadable(service)) as server,
            AppBuilder("k", server.url, timeouts=Timeouts(idle=20)) as client,
            stream_of(client, tools=[endless]) as stream,
        ):
            with pytest.raises(IdleTimeout):
                await stream.result()
        return service.paths

    assert virtual_time.run(main()) == ["/v2/threads/runs"]


TEXTS_THAT_ARE_NONE = ["overloaded", "exceeded", "\n dates: none"]


@pytest.mark.parametrize("text", TEXTS_THAT_ARE_NONE)
async def test_a_text_without_a_frame_is_told_with_its_type(text: str) -> None:
    """In one piece or byte by byte; what a stream's field could begin like, too."""
    body = text.encode()
    plain = STREAM.replace(KIND.encode(), b"text/plain")
    cut = [chunk(body[i : i + 1]) for i in range(len(body))]
    for answer in (answering(whole(body, kind="text/plain")), answering(plain, *cut, END)):
        error = await failing(answer, RemoteProtocolError)

        assert "text/plain" in error.message
        assert error.thread_id == "thread_1"
