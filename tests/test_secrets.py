"""Nothing that is raised, logged or pickled shows a key, a user's token or what was said.

Two services that quote whatever secret they are sent, in every place where they can, are asked in
every way there is; so is the local server. All errors that come of it are swept, with all beneath
them, and so are all lines of the root logger, asyncio's debug mode and aiohttp included.

What may show something all the same:
an error's `text`, which is no part of any text or pickle; the service's own words, which are what
an `APIError` and a `RunError` say, as far as they quote no key and no token; what a tool's error
says to the model; the exception of a tool's crash, which is logged; the variables of whoever was
handed a secret by the caller; and asyncio's debug mode, which tells of slow tasks with the first
and the last characters of what they gave: of that no key.
"""

import asyncio
import io
import json
import logging
import pickle
import re
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import count, cycle, product
from pathlib import Path
from traceback import TracebackException
from typing import Any, Literal, NamedTuple, TypeAlias

import pytest

from aiodashassist import (
    AppBuilder,
    AssistError,
    DashScope,
    Limits,
    PluginTool,
    Retry,
    Timeouts,
    ToolError,
    ToolFinished,
    ToolOutput,
    UserAuth,
    errors,
    tool,
)
from aiodashassist.server import Drop, LocalServer, Lose, Refuse, Slow
from aiodashassist.testing import Cassette, record, replay
from tests.raw_server import END, STREAM, Answer, RawServer, Received, Writer, chunk, whole

Client: TypeAlias = DashScope | AppBuilder
Kind: TypeAlias = type[DashScope] | type[AppBuilder]
Ask: TypeAlias = Callable[..., Awaitable[object]]

KINDS: tuple[Kind, ...] = (DashScope, AppBuilder)
TESTS = str(Path(__file__).parent)
SAFETY = 20  # seconds; nothing here takes one

# Each is made of one word many times over, so that a part of it is found as well.
KEY = "bce-v3/" + "OkapI" * 3 + "/" + "OkapI" * 3
OWN = "tok-" + "TapiR" * 6
TOKEN = "usr-" + "QuolL" * 6
SAID = "numbat " * 8
WORDS = {
    "the key": "okapi",
    "a key of the caller's own": "tapir",
    "a user's token": "quoll",
    "what was said": "numbat",
}
KEYS = ("okapi", "tapir", "quoll")


# --- the sweep ---


def chain(error: BaseException) -> list[BaseException]:
    """An error, and all that hangs on it."""
    found: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        rest += [one.__cause__, one.__context__]
        rest += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return found


def texts(error: BaseException) -> Iterator[tuple[str, str]]:
    """All that an error is shown as, and what it is shown in."""
    for one in chain(error):
        name = type(one).__name__
        kept = {key: value for key, value in vars(one).items() if key != "text"}
        yield f"str of {name}", str(one)
        yield f"repr of {name}", repr(one)
        yield f"attributes of {name}", f"{kept} {one.args}"
    yield "traceback", "".join(traceback.format_exception(error))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(error, protocol)
        again = pickle.loads(pickled)
        yield f"pickle {protocol}", pickled.decode("latin-1")
        yield f"unpickled {protocol}", f"{again} {again!r} {vars(again)}"


def variables(error: BaseException) -> Iterator[tuple[str, str]]:
    """The variables of an error's own frames, but for those of tests."""
    for frame in TracebackException.from_exception(error, capture_locals=True).stack:
        if not frame.filename.startswith(TESTS):
            for name, value in (frame.locals or {}).items():
                yield f"{name} in {frame.name} of {Path(frame.filename).name}", value


class Sweep(logging.Handler):
    """What was swept, and what was found.

    Attributes:
        errors: name and class of each error.
        found: what shows a secret, and where.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.errors: list[tuple[str, type[BaseException]]] = []
        self.found: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Sweep a line of the log."""
        self.lines += 1
        spared = {"what was said"} if record.name == "asyncio" else set()
        self._look(record.name, [("log", f"{self.format(record)} {record.args!r}")], spared=spared)

    def error(self, name: str, error: BaseException, hidden: tuple[str, ...] = KEYS) -> None:
        """Sweep an error; `hidden` are the secrets that no variable of its own frames has.

        A tool's error is for the model, and quotes what that has said.
        """
        self.errors.append((name, type(error)))
        own = {"what was said"} if isinstance(error, ToolError) else set()
        self._look(name, texts(error), spared=own)
        self._look(name, variables(error), words=hidden)
        for one in chain(error)[1:]:
            self._look(name, variables(one), words=KEYS)

    def file(self, name: str, path: Path) -> None:
        """Sweep a file that may show what was said, and no key."""
        self._look(name, [("file", path.read_text())], words=KEYS)

    def warned(self, caught: list[warnings.WarningMessage]) -> None:
        """Sweep warnings."""
        self._look("warnings", [("warning", str(one.message)) for one in caught])

    def _look(
        self, name: str, shown: Any, *, words: tuple[str, ...] | None = None, spared: Any = ()
    ) -> None:
        for where, text in shown:
            low = text.lower()
            for what, word in WORDS.items():
                if (words is None or word in words) and what not in spared and word in low:
                    at = low.index(word)
                    near = text[max(0, at - 60) : at + 30]
                    self.found.append(f"{name}: {what} in {where}: ...{near}")


@contextmanager
def sweeping() -> Iterator[Sweep]:
    """A sweep that hears all of the root logger, and takes warnings."""
    sweep, root = Sweep(), logging.getLogger()
    level, handlers = root.level, root.handlers
    root.handlers = [sweep]
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield sweep
        sweep.warned(caught)
    finally:
        root.setLevel(level)
        root.handlers = handlers


# --- a service that quotes ---

QUOTED = b"%Q"  # in an answer: whatever secret the request has
ESCAPED = b"%E"  # the same, as URLs and JSON may spell it
SPOKEN = b"%S"  # in an answer: what is said
JSON = "application/json"
TOKENS = re.compile(rb'"user_token":"([^"]+)"')


def filled(template: bytes, request: Received) -> bytes:
    """An answer to a request; headers of requests come in lower case."""
    given = [request.headers.get(name, "") for name in ("authorization", "x-api-key")]
    keys = [key.encode() for key in (KEY, OWN) if key.lower() in " ".join(given)]
    quoted = b" ".join([*keys, *TOKENS.findall(request.body)])
    escaped = b" ".join(quoted.replace(b"/", slash) for slash in (b"%2F", b"%2f", b"\\/"))
    filled_in = template.replace(QUOTED, quoted).replace(ESCAPED, escaped)
    return filled_in.replace(SPOKEN, SAID.encode())


def told(body: bytes, status: str = "200 OK", kind: str = JSON) -> Answer:
    """A whole answer."""

    async def answer(request: Received, writer: Writer) -> None:
        status_line, type_line = (filled(s.encode(), request).decode() for s in (status, kind))
        writer.write(whole(filled(body, request), status_line, type_line))

    return answer


def raw(*pieces: bytes) -> Answer:
    """These bytes, and then the connection is closed."""

    async def answer(request: Received, writer: Writer) -> None:
        for piece in pieces:
            writer.write(filled(piece, request))
            await writer.drain()
        writer.close()

    return answer


async def silent(_request: Received, _writer: Writer) -> None:
    """Answers nothing, for ever."""
    await asyncio.Event().wait()


def refusal(kind: Kind) -> bytes:
    """An error as the service spells it, quoting wherever it can."""
    if kind is DashScope:
        return b'{"code":"C.%Q","message":"no %Q","request_id":"r-%Q"}'
    inner = b'{"code":"C%Q","type":"t%Q","message":"no %Q","param":"p %Q"}'
    return b'{"error":%b,"requestId":"r-%%Q"}' % inner


class Way(NamedTuple):
    """How a service answers; `quiet`: it quotes nothing."""

    answer: Answer
    options: Mapping[str, Any] = {}
    quiet: bool = False


STATUSES = ("400 B", "401 B", "403 B", "404 B", "409 B", "413 B", "429 B", "500 B", "503 B")
ALL = b"%Q %S"


def ways(kind: Kind) -> dict[str, Way]:
    """The ways in which a request goes wrong."""
    no = refusal(kind)
    soon = Timeouts(connect=5, read=0.02, first_event=0.02, idle=0.02, cancel=0.02)
    late = Timeouts(total=0.02, cancel=0.02)
    return {
        **{f"refused {status}": Way(told(no, status)) for status in STATUSES},
        **{
            f"plainly refused {status}": Way(told(b'{"code":"C","message":"no"}', status), {}, True)
            for status in ("400 B", "429 B", "502 B")
        },
        "an error in a good answer": Way(told(no)),
        "HTML": Way(told(b"<html>%Q</html>", kind="text/html")),
        "other spellings": Way(told(b"<a href=%E>", kind="text/html")),
        "other spellings and 500": Way(told(b"<a href=%E>", "500 B", "text/html")),
        "HTML and 500": Way(told(b"<html>%Q</html>", "500 B", "text/html")),
        "a type that quotes": Way(told(b"x", kind="text/%Q")),
        "a reason that quotes": Way(told(b"", "418 %Q")),
        "headers that quote": Way(
            raw(
                b"HTTP/1.1 400 B\r\nX-Request-Id: %Q\r\nX-Appbuilder-Request-Id: %Q\r\n"
                b"Retry-After: %Q\r\nSet-Cookie: %Q[x]=%Q; a(%Q=1\r\nContent-Length: 0\r\n\r\n"
            )
        ),
        "a redirect": Way(raw(b"HTTP/1.1 302 F\r\nLocation: http://u:%Q@h/%Q\r\n\r\n")),
        "a redirect to a key": Way(raw(b"HTTP/1.1 302 F\r\nLocation: http://%Q/\r\n\r\n")),
        "no HTTP": Way(raw(b"%Q %S\r\n\r\n")),
        "a header that is none": Way(raw(b"HTTP/1.1 200 OK\r\n%Q %S\r\n\r\n")),
        "a status that is none": Way(raw(b"HTTP/1.1 abc %Q %S\r\n\r\n")),
        "no gzip": Way(raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + ALL)),
        "a chunk that is none": Way(raw(whole(b"")[:15], b"\r\n"[:0], STREAM[17:], ALL)),
        "half an answer": Way(raw(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"a":"%Q %S')),
        "cut": Way(raw(), {}, True),
        "silent": Way(silent, {"timeouts": soon}, True),
        "late": Way(silent, {"timeouts": late}, True),
        "large": Way(told(ALL), {"limits": Limits(max_response_bytes=50)}),
        "half JSON": Way(told(b'{"id":"%Q %S')),
        "no UTF-8": Way(told(b'{"id":"%Q %S\xff"}')),
        "a list": Way(told(b'["%Q %S"]')),
        "a text": Way(told(b'"%Q %S"')),
        "an id that is none": Way(told(b'{"id":{"x":"%Q %S"}}')),
        "fields of other types": Way(
            told(
                b'{"id":"t","created_at":"%Q %S","status":["%Q %S"],"tools":"%Q %S","usage":"%S",'
                b'"content":"%Q %S","metadata":"%Q %S","data":[{"id":["%Q %S"]}],"bytes":"%S"}'
            )
        ),
    }


# --- what is asked ---


HOWS = ("key", "options", "named", "extra")


def authorised(how: str, client: Client) -> tuple[Client, dict[str, Any]]:
    """A client, and what a call is given, with the key in one of four places."""
    headers = {"Authorization": f"Bearer {OWN}"}
    if how == "named":
        headers = {"X-Api-Key": OWN}
    if how in ("options", "named"):
        return client.with_options(headers=headers), {}
    return client, {"extra_headers": headers} if how == "extra" else {}


def plugins() -> list[PluginTool]:
    """A plugin with its user's token."""
    return [PluginTool("quark_search", auth=UserAuth(user_token=TOKEN))]


async def listed(client: Client, **more: Any) -> object:
    """A list, read to its end."""
    return [one async for one in client.threads.messages.list("t", **more)]


async def streamed(client: Client, **more: Any) -> object:
    """A run, streamed."""
    async with client.threads.runs.stream(
        "t", assistant_id="a", instructions=SAID, **more
    ) as stream:
        return await stream.result()


async def attached(client: Client) -> object:
    """A run that is under way."""
    async with client.threads.runs.attach("t", "r") as stream:
        return await stream.result()


async def in_session(client: Client, **more: Any) -> object:
    """A run on a thread of its own."""
    async with client.threads.session("t") as session:
        return await session.ask(SAID, assistant_id="a", **more)


NOTE = {"note": SAID}
OUTPUTS = [ToolOutput(tool_call_id="c", output=SAID)]
BOTH: dict[str, Ask] = {
    "retrieve": lambda c, **m: c.threads.retrieve("t", **m),
    "delete": lambda c, **m: c.threads.delete("t", **m),
    "list": listed,
    "message": lambda c, **m: c.threads.messages.create("t", SAID, **m),
    "thread": lambda c, **m: c.threads.create(
        messages=[{"role": "user", "content": SAID}], metadata=NOTE, **m
    ),
    "run": lambda c, **m: c.threads.runs.create(
        "t", assistant_id="a", instructions=SAID, metadata=NOTE, **m
    ),
    "stream": streamed,
    "ask": lambda c, **m: c.ask(SAID, thread_id="t", assistant_id="a", **m),
    "session": in_session,
    "outputs": lambda c, **m: c.threads.runs.submit_tool_outputs(
        "t", "r", tool_outputs=OUTPUTS, **m
    ),
    "cancel": lambda c, **m: c.threads.runs.cancel("t", "r", **m),
    "upload": lambda c, **m: c.files.create(SAID.encode(), **m),
    "attach": lambda c, **_: attached(c),
    "wait": lambda c, **_: c.threads.runs.wait("t", "r"),
}
CALLS: dict[Kind, dict[str, Ask]] = {
    DashScope: {
        **BOTH,
        "assistant": lambda c, **m: c.assistants.create(
            model="m", instructions=SAID, tools=plugins(), metadata=NOTE, **m
        ),
        "ensure": lambda c, **m: c.assistants.ensure(
            name="n", model="m", instructions=SAID, tools=plugins(), **m
        ),
        "override": lambda c, **m: c.threads.runs.create(
            "t", assistant_id="a", override_tools=plugins(), **m
        ),
    },
    AppBuilder: {
        **BOTH,
        "ensure": lambda c, **m: c.assistants.ensure(name="n", model="m", instructions=SAID, **m),
        "change": lambda c, **m: c.threads.messages.update("t", "m", content=SAID, **m),
        "content": lambda c, **m: c.files.content("f", **m),
        "download": lambda c, **m: c.files.download("f", to=io.BytesIO(), **m),
    },
}


@asynccontextmanager
async def served(kind: Kind, answer: Answer, **options: Any) -> AsyncIterator[Client]:
    """A client of a raw server."""
    usual: dict[str, Any] = {
        "retry": Retry(attempts=2, first_delay=0),
        "timeouts": Timeouts(connect=5, read=5, first_event=5, idle=5, cancel=0.2),
    }
    async with (
        RawServer(answer) as server,
        kind(KEY, base_url=server.url, **{**usual, **options}) as client,
    ):
        yield client


async def swept(
    sweep: Sweep, name: str, work: Awaitable[object], hidden: tuple[str, ...] = KEYS
) -> None:
    """Sweep the error that some work ends in, if it does; it must be one of ours."""
    failure = None
    try:
        async with asyncio.timeout(SAFETY):
            await work
    except AssistError as error:
        failure = error
    if failure is not None:
        sweep.error(name, failure, hidden)


async def sweep_calls(sweep: Sweep, kind: Kind, part: int = 1, only: str = "") -> None:
    """Every call, answered in every way or only in one, with the key in each place in turn.

    With `part` only every so manieth of them.
    """
    turns = count()
    for number, (name, way) in enumerate(ways(kind).items()):
        if only not in ("", name):
            continue
        async with served(kind, way.answer, **way.options) as client:
            for place, (call, ask) in enumerate(CALLS[kind].items(), number):
                if next(turns) % part:
                    continue
                how = HOWS[place % len(HOWS)]
                given, more = authorised(how, client)
                seen = ("okapi", "quoll") if how == "extra" else KEYS
                label = f"{kind.__name__} {call} {name} {how}"
                await swept(sweep, label, ask(given, **more), seen if way.quiet else ())


# --- streams ---


def frame(name: str, body: Any) -> bytes:
    """An event of a stream; `bytes` are its data as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


BAD = "%Q %S"
RUN = {"id": "run_1", "thread_id": "t", "status": "queued"}
CALL = {
    "id": "c",
    "type": "function",
    "function": {"name": "hear", "arguments": '{"text": "%S"}'},
}
WAITS = {**RUN, "status": "requires_action"} | {
    "required_action": {"submit_tool_outputs": {"tool_calls": [CALL]}}
}
WHY = {"code": "C%Q", "type": "t", "message": "m %Q"}


def status(kind: str, at: str, **details: Any) -> bytes:
    """A `status` event of AppBuilder's (appbuilder.md §5.3)."""
    return frame("status", {"event_type": kind, "status": at, "details": details})


FRAMES: dict[Kind, dict[str, bytes]] = {
    DashScope: {
        "begins": frame("thread.run.created", RUN),
        "says": frame(
            "thread.message.delta",
            {"id": "m", "delta": {"content": [{"type": "text", "text": {"value": "%S"}}]}},
        ),
        "waits": frame("thread.run.requires_action", WAITS),
        "completed": frame("thread.run.completed", {**RUN, "status": "completed"}),
        "another run": frame("thread.run.in_progress", {**RUN, "id": "run_2"}),
        "failed": frame("thread.run.failed", {**RUN, "status": "failed", "last_error": WHY}),
        "error": frame("error", {**WHY, "request_id": "r%Q"}),
        "no UTF-8": frame("thread.message.delta", b'{"id":"%Q %S\xff"}'),
        "half JSON": frame("thread.message.delta", b'{"id":"%Q %S'),
        "no text": frame("thread.message.delta", {"id": [BAD], "delta": BAD}),
        "no run": frame("thread.run.in_progress", {"id": "run_1", "status": [BAD], "tools": BAD}),
        "no calls": frame(
            "thread.run.step.created",
            {"id": "s", "step_details": {"tool_calls": [{"type": {"x": BAD}}]}},
        ),
    },
    AppBuilder: {
        "begins": status("run_begin", "queued", run_object=RUN),
        "says": frame(
            "message", {"message_id": "m", "content": [{"type": "text", "text": {"value": "%S"}}]}
        ),
        "waits": status("tool_calls", "requires_action", tool_calls=[CALL]),
        "completed": status("run_end", "completed", run_object={**RUN, "status": "completed"}),
        "another run": status("run_begin", "in_progress", run_object={**RUN, "id": "run_2"}),
        "failed": status(
            "run_end", "failed", run_object={**RUN, "status": "failed"}, error_info=WHY
        ),
        "error": frame("error", {"error": WHY, "requestId": "r%Q"}),
        "no UTF-8": frame("message", b'{"message_id":"%Q %S\xff"}'),
        "half JSON": frame("message", b'{"message_id":"%Q %S'),
        "no text": frame("message", {"message_id": [BAD], "content": BAD}),
        "no run": frame("status", {"event_type": "run_end", "details": BAD}),
        "no calls": status("tool_calls", "requires_action", tool_calls=[{"type": {"x": BAD}}]),
    },
}
BREAKS: dict[str, tuple[bytes, ...]] = {
    "cut": (),
    "a bad chunk": (b"2\r\nxx%Q %S\r\n",),
    "its end": (END,),
}
GOES_ON = json.dumps({**RUN, "status": "in_progress", "data": []}).encode()
BACKS: dict[str, Answer] = {
    "cut": raw(),
    "no UTF-8": told(b'{"id":"%Q %S\xff"}'),
    "silence": told(GOES_ON),
}


@tool
async def hear(text: str) -> str:
    """Take what is said, and say it."""
    return text


def broken(kind: Kind, last: str, breaks: str, back: str) -> Answer:
    """A stream that breaks after this event, and how the run is then read back."""
    known = FRAMES[kind]
    begun = () if last in ("", "error") else (known["begins"], known["says"])
    events = b"".join((*begun, known.get(last, b"")))

    async def answer(request: Received, writer: Writer) -> None:
        if not re.match(r"POST \S+/runs ", request.line):
            await BACKS[back](request, writer)
            return
        writer.write(STREAM + chunk(filled(events, request)))
        for piece in BREAKS[breaks]:
            writer.write(filled(piece, request))
        await writer.drain()
        writer.close()

    return answer


async def iterated(sweep: Sweep, client: Client, **more: Any) -> object:
    """A stream, read to its end; what its events make of a service's words is swept as well."""
    async with client.threads.runs.stream("t", assistant_id="a", **more) as stream:
        async for event in stream:
            if isinstance(event, ToolFinished) and event.error is not None:
                sweep.error(f"the tool of {more}", event.error)
            if hasattr(event, "reason"):
                sweep.warned([warnings.WarningMessage(event.reason, UserWarning, "", 0)])
        return await stream.result()


async def sweep_streams(sweep: Sweep, kind: Kind, part: int = 1) -> None:
    """Streams that end, break or say nonsense, and whose runs cannot be read back either."""
    hows = cycle(HOWS)
    soon = Timeouts(read=0.02, first_event=0.02, cancel=0.02)
    async with served(kind, silent, timeouts=soon) as client:
        await swept(sweep, f"{kind.__name__} stream: silence", streamed(client))
    async with served(kind, broken(kind, "another run", "its end", "cut")) as client:
        await swept(sweep, f"{kind.__name__} stream: another run", streamed(client))
    patience = Timeouts(connect=5, read=5, first_event=5, idle=0.02, cancel=0.2)
    for last, breaks, back in list(product(("", *FRAMES[kind]), BREAKS, BACKS))[::part]:
        how = next(hows)
        async with served(kind, broken(kind, last, breaks, back), timeouts=patience) as client:
            given, more = authorised(how, client)
            label = f"{kind.__name__} stream: {last}, {breaks}, {back}, {how}"
            await swept(sweep, label, iterated(sweep, given, tools=[hear], **more), ())


# --- what is refused before it is sent ---

HALF = SAID + "\ud800"  # half of a pair: it cannot travel


async def made(kind: Kind, **options: Any) -> object:
    """A client that cannot be built."""
    return kind(KEY, **options)


async def copied(client: Client, **settings: Any) -> object:
    """A copy that cannot be made."""
    return client.with_options(**settings)


REFUSED: dict[str, Ask] = {
    "half a pair in a message": lambda c: c.threads.messages.create("t", HALF),
    "half a pair in metadata": lambda c: c.threads.create(metadata={"note": HALF}),
    "half a pair in a thread": lambda c: c.threads.create(
        messages=[{"role": "user", "content": HALF}]
    ),
    "half a pair in instructions": lambda c: c.assistants.create(
        model="m", name="n", instructions=HALF
    ),
    "half a pair in ensure": lambda c: c.assistants.ensure(name="n", model="m", instructions=HALF),
    "half a pair in an output": lambda c: c.threads.runs.submit_tool_outputs(
        "t", "r", tool_outputs=[ToolOutput(output=HALF)]
    ),
    "half a pair in a query": lambda c: c.threads.create(extra_query={"q": HALF}),
    "half a pair in a body": lambda c: c.threads.create(extra_body={"q": HALF}),
    "long metadata": lambda c: c.threads.create(metadata={"note": SAID * 20}),
    "NaN in metadata": lambda c: c.threads.create(metadata={"note": [SAID, float("nan")]}),
    "an object in a body": lambda c: c.threads.create(extra_body={"q": {SAID: object()}}),
    "content that is a list": lambda c: c.threads.messages.create("t", [SAID]),
    "content in the place of an id": lambda c: c.threads.messages.create([SAID], "t"),
    "outputs that are none": lambda c: c.threads.runs.submit_tool_outputs(
        "t", "r", tool_outputs=[SAID]
    ),
    "a list in a query": lambda c: c.threads.create(extra_query={"token": [TOKEN]}),
    "a token that is none": lambda c: c.assistants.create(
        model="m", name="n", tools=[{"type": "q", "auth": {"user_token": TOKEN, "x": object()}}]
    ),
    "a tool that is none": lambda c: c.assistants.create(model="m", name="n", tools=[TOKEN]),
    "a number that is none": lambda c: c.threads.runs.create(
        "t", assistant_id="a", temperature=SAID
    ),
    "an order that is none": lambda c: listed(c, order=SAID),
    "a parameter that is none": lambda c: c.threads.runs.create("t", assistant_id="a", asked=SAID),
    "attach and a question": lambda c: c.threads.runs.attach("t", "r", instructions=SAID),
    "a copy with a broken key": lambda c: copied(c, api_key=f"{KEY} {KEY}"),
    "a copy with another option": lambda c: copied(c, api_key=KEY, other=1),
    "a copy with a broken header": lambda c: copied(c, headers={"Authorization": f"{OWN}\n"}),
    "a call that only one has": lambda c: (
        c.files.content("f") if isinstance(c, DashScope) else c.threads.runs.update("t", "r")
    ),
}
UNMADE: dict[str, dict[str, Any]] = {
    "http": {"base_url": "http://example.org"},
    "another option": {"other": 1},
    "a number for timeouts": {"timeouts": 5},
    "a broken header": {"headers": {"Authorization": f"{OWN}\r\n"}},
    "a password in the URL": {"base_url": f"https://user:{OWN}@example.org"},
    "a broken proxy": {"proxy": f"http://user:{OWN}@[oops"},
}


async def unconnected(kind: Kind, **options: Any) -> object:
    """A service that nobody can be connected with."""
    once = Retry(attempts=1, reconcile=False)
    async with kind(KEY, base_url="http://127.0.0.1:9", retry=once, **options) as client:
        return await client.threads.messages.create("t", SAID)


async def sweep_refusals(sweep: Sweep, kind: Kind) -> None:
    """What the library itself says no to; who was handed a secret has it in its variables."""
    client = kind(KEY, base_url="http://127.0.0.1:9")
    for name, ask in REFUSED.items():

        async def asked(ask: Ask = ask) -> None:
            await ask(client)

        await swept(sweep, f"{kind.__name__} {name}", asked(), ())
    for name, options in UNMADE.items():
        given = {"base_url": "https://example.org", **options}
        await swept(sweep, f"{kind.__name__} with {name}", made(kind, **given), ())
    for name, proxy in (("nobody", None), ("a proxy", f"http://user:{OWN}@127.0.0.1:9")):
        await swept(sweep, f"{kind.__name__} and {name}", unconnected(kind, proxy=proxy))
    await client.close()
    closed = client.threads.messages.create("t", SAID)
    await swept(sweep, f"{kind.__name__} closed", closed)


# --- the local server ---


@tool
async def choose(one: Literal["a", "b"]) -> str:
    """Choose."""
    return SAID + one


@tool(timeout=0.02)
async def sleep() -> str:
    """Sleep for ever."""
    return str(await asyncio.Event().wait())


TOOLS = [hear, choose, sleep]
HEARD = f'/call hear {{"text": "{SAID}"}}'
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "fails": (f"/say {SAID}\n/fail code why", {}),
    "expires": (f"/say {SAID}\n/expire", {}),
    "is incomplete": (f"/say {SAID}\n/incomplete", {}),
    "asks too often": (f"{HEARD}\n/then\n{HEARD}", {"max_rounds": 1}),
    "has its say in a total time": (f"/say {SAID}\n/wait 60", {}),
    "calls what is not there": (f'/call none {{"text": "{SAID}"}}\n/then\n/fail c m', {}),
    "makes a wrong choice": (f'/call choose {{"one": "{SAID}"}}\n/then\n/fail c m', {}),
    "waits for a tool": ("/call sleep {}\n/then\n/fail c m", {}),
    "refuses": (f"{HEARD}\n/then\n/fail c m", {"approve": lambda _call: SAID}),
    "does not know what to say": (f"{HEARD}\n/then\n/fail c m", {"approve": lambda _call: 5}),
}


async def asked(sweep: Sweep, client: Client, assistant_id: str, question: str, more: Any) -> None:
    """A run on the local server."""
    if "/wait" in question:
        client = client.with_options(timeouts=Timeouts(total=0.1))
    async with client.stream(question, assistant_id=assistant_id, tools=TOOLS, **more) as stream:
        async for event in stream:
            if isinstance(event, ToolFinished) and event.error is not None:
                sweep.error(f"the tool in {question[:20]}", event.error)
        await stream.result()


async def cancelled(client: Client, assistant_id: str) -> None:
    """A run that is cancelled when it has said something."""
    question = f"/say {SAID}\n/wait 60"
    async with client.stream(question, assistant_id=assistant_id) as stream:
        async for _ in stream.text_stream:
            await stream.cancel()
        await stream.result()


async def misused(client: Client, assistant_id: str) -> None:
    """Outputs that nobody has asked for."""
    async with client.stream(SAID, assistant_id=assistant_id) as stream:
        await stream.submit(OUTPUTS)


async def in_the_way(client: Client, assistant_id: str, **options: Any) -> None:
    """A thread whose run waits for somebody else."""
    thread = (await client.threads.create()).id
    async with client.stream(HEARD, thread_id=thread, assistant_id=assistant_id) as stream:
        async for _ in stream:
            pass
        async with client.threads.session(thread, **options) as other:
            await other.ask(SAID, assistant_id=assistant_id)


CREATE: Ask = lambda c: c.assistants.create(model="m", name="n", instructions=SAID)  # noqa: E731
FAULTS: dict[str, tuple[Any, Ask]] = {
    "an upload is lost": (
        Lose(operation="CreateFiles"), lambda c, _: c.files.create(SAID.encode()),
    ),
    "a run with its thread is lost": (
        Lose(operation="CreateThreadAndRun"),
        lambda c, a: c.threads.create_and_run(
            assistant_id=a, thread={"messages": [{"role": "user", "content": SAID}]}
        ),
    ),
    "nothing is answered": (Drop(), lambda c, a: c.ask(SAID, assistant_id=a)),
    "too much is asked": (Refuse(status=429), lambda c, a: c.ask(SAID, assistant_id=a)),
    "the service is down": (Refuse(status=503), lambda c, a: c.ask(SAID, assistant_id=a)),
    "an answer is slow": (
        Slow(seconds=60, operation="CreateThread"),
        lambda c, _: c.with_options(timeouts=Timeouts(read=0.02)).threads.create(metadata=NOTE),
    ),
    "a first event is slow": (
        Slow(seconds=60, operation="CreateRun"),
        lambda c, a: c.with_options(timeouts=Timeouts(first_event=0.1)).ask(SAID, assistant_id=a),
    ),
}  # fmt: skip


async def sweep_local_server(sweep: Sweep, kind: Kind, cassette: Path) -> None:
    """What becomes of runs, of lost answers, of thread sessions and of recordings."""
    retry = Retry(attempts=2, first_delay=0, longest_delay=0)
    async with LocalServer() as server, server.client(kind, api_key=KEY, retry=retry) as client:
        with record(client, cassette):
            tools = plugins() if kind is DashScope else []
            made = await client.assistants.create(
                model="m", name="n", instructions=SAID, tools=tools
            )
            for name, (question, more) in QUESTIONS.items():
                work = asked(sweep, client, made.id, question, more)
                await swept(sweep, f"{kind.__name__} run {name}", work)
            others = {
                "is cancelled": cancelled(client, made.id),
                "is misused": misused(client, made.id),
                "is in the way": in_the_way(client, made.id, on_active="raise"),
                "is waited for": in_the_way(
                    client.with_options(timeouts=Timeouts(total=0.1)), made.id
                ),
            }
            for name, work in others.items():
                await swept(sweep, f"{kind.__name__} run {name}", work)
            for name, (fault, ask) in FAULTS.items():
                server.faults.add(fault)
                await swept(sweep, f"{kind.__name__}: {name}", ask(client, made.id))
                server.faults.clear()
    async with LocalServer(api_key=KEY) as server, server.client(kind, api_key=OWN) as other:
        await swept(sweep, f"{kind.__name__} with another key", other.threads.retrieve("t"))
    sweep.file("cassette", cassette)
    async with replay(Cassette.load(cassette), kind, retry=retry) as player:
        await swept(sweep, "never asked", player.threads.messages.create("t", SAID))
        for name, ask in {"once": CREATE, "twice": CREATE}.items():
            await swept(sweep, f"{kind.__name__} replays {name}", ask(player))


# --- the tests ---


def leaves(kind: type[AssistError]) -> set[type[AssistError]]:
    """The errors that have no others below them."""
    below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    return set().union(*map(leaves, below)) if below else {kind}


NEVER: dict[Kind, set[type[AssistError]]] = {
    DashScope: set(),
    AppBuilder: {errors.RunIncomplete},  # its runs have no such ending
}


@contextmanager
def debugging() -> Iterator[None]:
    """The event loop in its debug mode, in which it tells of every task."""
    loop = asyncio.get_running_loop()
    before = loop.slow_callback_duration
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    yield
    loop.set_debug(False)
    loop.slow_callback_duration = before


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [5, pytest.param(1, marks=pytest.mark.slow)])
async def test_no_error_and_no_log_shows_a_secret(
    kind: Kind, part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every class of error there is, from every call, of a service that quotes what it can."""
    with sweeping() as sweep, debugging():
        await sweep_calls(sweep, kind, part)
        await sweep_streams(sweep, kind, part)
        await sweep_refusals(sweep, kind)
        await sweep_local_server(sweep, kind, tmp_path / "cassette.json")
    classes = {cls for _, cls in sweep.errors}
    with capsys.disabled():
        print(
            f"\n{kind.__name__}: {len(sweep.errors)} errors of {len(classes)} classes and "
            f"{sweep.lines} lines of the log were swept"
        )

    assert sweep.found == []
    assert len(set(sweep.errors)) >= 60
    assert leaves(AssistError) - NEVER[kind] <= classes


async def test_a_token_is_known_for_as_long_as_the_client() -> None:
    """Where a service quotes what it was sent by a request before, a copy's included."""
    refused = told(f'{{"code":"C","message":"no {TOKEN}"}}'.encode(), "400 B")
    failed = json.dumps({**RUN, "status": "failed", "last_error": {"message": f"no {TOKEN}"}})
    ended = frame("thread.run.failed", failed.encode())
    answers = [told(b'{"id":"a"}'), refused, raw(STREAM, chunk(ended), END)]
    sweep = Sweep()

    async def answer(request: Received, writer: Writer) -> None:
        await answers.pop(0)(request, writer)

    async with served(DashScope, answer) as client:
        await client.with_options(workspace="w").assistants.create(model="m", tools=plugins())
        await swept(sweep, "retrieve", client.assistants.retrieve("a"), ())
        await swept(sweep, "stream", streamed(client), ())

    assert [cls for _, cls in sweep.errors] == [errors.BadRequest, errors.RunFailed]
    assert sweep.found == []


# --- the sweep itself ---


def marked(**attributes: Any) -> AssistError:
    """An error with these attributes."""
    error = errors.ConnectError("no connection")
    vars(error).update(attributes)
    return error


def noted() -> AssistError:
    """An error with a note."""
    error = errors.ConnectError("no connection")
    error.add_note(KEY)
    return error


def over(cause: BaseException, *, raised: bool = True) -> AssistError:
    """An error with something beneath it."""
    error = errors.ConnectError("no connection")
    error.__context__ = cause
    error.__cause__ = cause if raised else None
    return error


PLANTED: dict[str, Callable[[], AssistError]] = {
    "in the message": lambda: errors.ConnectError(f"no connection for {KEY}"),
    "in part": lambda: errors.ConnectError(f"no connection for {KEY[12:20]}"),
    "in another case": lambda: errors.ConnectError(f"no connection for {KEY.lower()}"),
    "in the code": lambda: errors.BadRequest("no", code=KEY),
    "in the id of the request": lambda: marked(request_id=KEY),
    "in another attribute": lambda: marked(url=KEY),
    "in a note": noted,
    "in a cause": lambda: over(ValueError(KEY)),
    "in a context": lambda: over(ValueError(KEY), raised=False),
    "in an argument of a cause": lambda: over(
        UnicodeEncodeError("utf-8", f"{KEY}\ud800", len(KEY), len(KEY) + 1, "half a pair")
    ),
    "in a group": lambda: over(ExceptionGroup("some", [ValueError("a"), ValueError(KEY)])),
}


@pytest.mark.parametrize("place", PLANTED)
def test_what_an_error_shows_is_found(place: str) -> None:
    """Wherever it stands, in whatever case, and also where it is only a part."""
    clean, sweep = Sweep(), Sweep()
    clean.error("clean", errors.ConnectError("no connection"))
    sweep.error("planted", PLANTED[place]())

    assert clean.found == []
    assert sweep.found
    assert all("the key" in found for found in sweep.found)


@pytest.mark.parametrize("where", ["above", "below"])
def test_what_a_variable_holds_is_found(where: str) -> None:
    """In the frames of the library, be they the error's own or those of what lies beneath it."""
    code = "def fail(headers):\n    raise ValueError('no')"
    rooms: dict[str, Any] = {}
    exec(compile(code, "/library/room.py", "exec"), rooms)
    try:
        rooms["fail"]({"Authorization": KEY})
    except ValueError as caught:
        error: BaseException = caught
    sweep = Sweep()
    sweep.error("planted", error if where == "above" else over(error))

    (found,) = sweep.found
    assert found.startswith("planted: the key in headers in fail of room.py")


def test_what_a_pickle_keeps_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a run that broke is in no pickle; if it were, it would be found."""
    error = errors.StreamInterrupted("cut", text=SAID)
    clean, sweep = Sweep(), Sweep()
    clean.error("clean", error)
    monkeypatch.setattr(
        AssistError, "__reduce__", lambda self: (errors._rebuild, (type(self), (), vars(self)))
    )
    sweep.error("planted", error)

    assert clean.found == []
    assert any("pickle 2" in found for found in sweep.found)
    assert any("unpickled 5" in found for found in sweep.found)


def test_what_is_logged_and_warned_of_is_found() -> None:
    """The text of a line, its arguments, the exception with it, and warnings."""
    with sweeping() as sweep:
        logging.getLogger("somebody").debug("a line of %s", KEY)
        logging.getLogger("somebody").debug("%.3s", OWN)
        logging.getLogger("somebody").error("crashed", exc_info=ValueError(TOKEN))
        logging.getLogger("somebody").info(SAID)
        logging.getLogger("asyncio").debug("a task gave %s", SAID)
        warnings.warn(KEY, stacklevel=1)

    found = [line.partition(": ")[2].partition(" in ")[0] for line in sweep.found]
    assert found == [*WORDS, "the key"]


LEAKS: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "answers are shown as they are": (("calls.without",), lambda response, _: response, "HTML"),
    "errors are shown as they are": (
        ("calls.Session.scrub",), lambda *_: None, "a type that quotes",
    ),
    "frames are kept": (("calls.bare", "session.bare"), lambda *_: None, "no HTTP"),
    "tokens are shown": (
        ("core.tooling.UserAuth.__repr__",), lambda auth: auth.user_token, "plainly refused 400 B",
    ),
    "tokens are forgotten": (("calls.tokens_in",), lambda _: [], "refused 400 B"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
async def test_a_library_that_leaks_is_found_out(
    leak: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of its precautions the sweep finds what it kept back, and with it, nothing."""
    places, other, way = LEAKS[leak]
    with sweeping() as clean:
        await sweep_calls(clean, DashScope, only=way)
    for place in places:
        monkeypatch.setattr(f"aiodashassist.{place}", other)
    with sweeping() as sweep:
        await sweep_calls(sweep, DashScope, only=way)

    assert clean.found == []
    assert sweep.found
