"""Requests that fail are sent again where that doubles nothing; what the server keeps is the truth.

Over real sockets where connections break, without them where statuses and times matter.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import msgspec
import pytest

from aiodashassist import AppBuilder, CallInfo, DashScope, Limits, Retry, Timeouts, Toolset
from aiodashassist.core.decoding import MARK
from aiodashassist.core.files import AssistantFile, File
from aiodashassist.core.marks import mark_of
from aiodashassist.core.models import Assistant, Content, Message, Run, RunStep, Text, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import (
    APIError,
    BadRequest,
    ConnectError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    TotalTimeout,
    TransportError,
)
from aiodashassist.server import Cut, Drop, Fault, Html, LocalServer, Lose, Refuse
from tests import in_process, virtual_time
from tests.in_process import Dropped, InProcess, Lost, Status
from tests.raw_server import RawServer, Received, Writer, head, whole
from tests.retrying import AT_ONCE

Client: TypeAlias = DashScope | AppBuilder
Kind: TypeAlias = type[DashScope] | type[AppBuilder]
KINDS: tuple[Kind, ...] = (DashScope, AppBuilder)
DASHSCOPE_ONLY = pytest.mark.parametrize("kind", [DashScope])
APPBUILDER_ONLY = pytest.mark.parametrize("kind", [AppBuilder])


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each client in turn."""
    found: Kind = request.param
    return found


class Told(list[CallInfo]):
    """What `on_request` was told of."""

    def count_of(self, operation: str) -> int:
        """How often an operation was sent."""
        return [one.operation for one in self].count(operation)

    def attempts_at(self, operation: str) -> list[int]:
        """The numbers of its attempts."""
        return [one.attempt for one in self if one.operation == operation]


class Scene:
    """A client with an assistant, and a thread on which a question waits for its run."""

    def __init__(self, client: Client, store: Any) -> None:
        self.client = client
        self.store = store
        self.told = Told()
        self.assistant_id = self.thread_id = self.message_id = ""

    async def set(self) -> "Scene":
        """Make all of it."""
        self.assistant_id = (await self.client.assistants.create(model="m", name="n")).id
        self.thread_id = (await self.client.threads.create()).id
        self.message_id = (await self.say("hello")).id
        self.told.clear()
        return self

    async def say(self, text: str) -> Message:
        """Add a message."""
        return await self.client.threads.messages.create(self.thread_id, text)

    async def run(self) -> Run:
        """Begin a run."""
        created = self.client.threads.runs.create(self.thread_id, assistant_id=self.assistant_id)
        return await created

    def kept(self, kind: type[Any]) -> tuple[Any, ...]:
        """What the server keeps of a kind, on the thread where it belongs there."""
        parent = self.thread_id if kind in (Message, Run) else ""
        found: tuple[Any, ...] = self.store.all("", kind, parent)
        return found


@pytest.fixture
async def scene(kind: Kind, server: LocalServer) -> AsyncIterator[Scene]:
    """On a real server; nothing is waited for between attempts."""
    told = Told()
    async with server.client(kind, retry=AT_ONCE, on_request=told.append) as client:
        made = Scene(client, server.store)
        made.told = told
        yield await made.set()


async def inside(harness: InProcess, kind: Kind, **options: Any) -> Scene:
    """On a server without sockets."""
    told = Told()
    usual: dict[str, Any] = {"retry": AT_ONCE, "on_request": told.append}
    made = Scene(harness.client(kind, **{**usual, **options}), harness.store)
    made.told = told
    return await made.set()


def going_wrong(name: str, *faults: in_process.Fault | None, harness: InProcess) -> None:
    """The next requests of this name go wrong so, one after the other."""
    left = list(faults)

    def fault(operation: Operation[Any], _index: int) -> in_process.Fault | None:
        return left.pop(0) if left and type(operation).__name__ == name else None

    harness.fault = fault


# What may be done twice.


FAULTS: list[Any] = [
    (Drop, {}), (Drop, {"reset": True}), (Lose, {}), (Lose, {"reset": True}),
    (Refuse, {"status": 408}), (Refuse, {"status": 429}), (Refuse, {"status": 500}),
    (Refuse, {"status": 503}), (Html, {"status": 502}), (Html, {"status": 504}),
    (Cut, {"after_bytes": 30}), (Cut, {"after_bytes": 250}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "given"), FAULTS, ids=[f"{one.__name__}-{given}" for one, given in FAULTS]
)
async def test_what_may_be_done_twice_survives(
    fault: Callable[..., Fault], given: dict[str, Any], scene: Scene, server: LocalServer
) -> None:
    """Reading, listing, changing and making an empty thread: one fault each is not noticed."""
    threads, thread_id = scene.client.threads, scene.thread_id
    names = ["RetrieveThread", "ListMessages", "UpdateThread", "CreateThread"]
    for name in names:
        server.faults.add(fault(operation=name, times=1, **given))
    await threads.retrieve(thread_id)
    await threads.messages.list(thread_id)
    await threads.update(thread_id, metadata={"a": "b"})
    await threads.create()

    assert [name for name, _ in server.faults.done] == names
    assert scene.kept(Thread)[0].metadata == {"a": "b"}


@pytest.mark.parametrize("reset", [False, True])
async def test_a_deletion_whose_answer_was_lost_is_done(
    reset: bool, scene: Scene, server: LocalServer
) -> None:
    """It finds nothing when it is sent again, and that is no error then."""
    client = scene.client
    for name in ("DeleteThread", "DeleteAssistant"):
        server.faults.add(Lose(operation=name, times=1, reset=reset))

    assert (await client.threads.delete(scene.thread_id)).id == scene.thread_id
    assert (await client.assistants.delete(scene.assistant_id)).deleted

    assert scene.kept(Thread) == scene.kept(Assistant) == ()
    with pytest.raises(NotFound):
        await client.threads.delete(scene.thread_id)


async def test_a_file_whose_deletion_was_lost_is_deleted(scene: Scene, server: LocalServer) -> None:
    """Detached from its assistant, and then deleted: each lost once."""
    client = scene.client
    file = await client.files.create(b"text", filename="a.txt", purpose="file-extract")
    await client.assistants.files.create(scene.assistant_id, file.id)
    for name in ("DetachFile", "DeleteFile"):
        server.faults.add(Lose(operation=name, times=1))

    assert (await client.assistants.files.delete(scene.assistant_id, file.id)).id == file.id
    assert (await client.files.delete(file.id)).id == file.id
    assert scene.kept(File) == ()


async def test_a_cancellation_that_was_lost_is_sent_again(
    scene: Scene, server: LocalServer
) -> None:
    """A run that is cancelled already is no error."""
    threads = scene.client.threads
    await scene.say("/call f {}")
    run = await scene.run()
    server.faults.add(Lose(operation="CancelRun", times=1))

    assert (await threads.runs.cancel(scene.thread_id, run.id)).status == "cancelled"
    assert scene.told.attempts_at("CancelRun") == [1, 2]


@APPBUILDER_ONLY
async def test_a_download_is_asked_for_again_before_its_first_byte(
    scene: Scene, server: LocalServer, tmp_path: Path
) -> None:
    """Afterwards part of it has been handed out: it fails, and leaves no file."""
    client = scene.client
    assert isinstance(client, AppBuilder)
    file = await client.files.create(b"x" * 5000, filename="a.txt")
    server.faults.add(Refuse(operation="DownloadFile", status=500, times=1))
    server.faults.add(Drop(operation="DownloadFile", times=1))
    server.faults.add(Refuse(operation="ReadFile", status=429, times=1))

    assert (await client.files.content(file.id)).data == b"x" * 5000
    path = await client.files.download(file.id, to=tmp_path / "whole")
    assert path.read_bytes() == b"x" * 5000
    assert scene.told.attempts_at("DownloadFile") == [1, 2, 3]

    scene.told.clear()
    server.faults.add(Cut(operation="DownloadFile", after_bytes=3000))
    with pytest.raises(TransportError):
        await client.files.download(file.id, to=tmp_path / "part")
    assert scene.told.attempts_at("DownloadFile") == [1]
    assert os.listdir(tmp_path) == ["whole"]


async def test_nobody_there_is_tried_again_and_told(kind: Kind, server: LocalServer) -> None:
    """As often as there are attempts; what makes something, too, for it was not received."""
    url = server.url + kind.local_path
    await server.close()
    told = Told()
    rules = Retry(attempts=3, first_delay=0)
    async with kind("key", base_url=url, retry=rules, on_request=told.append) as client:
        for call in (client.threads.retrieve("t"), client.assistants.create(model="m", name="n")):
            with pytest.raises(ConnectError):
                await call

    assert told.attempts_at("RetrieveThread") == [1, 2, 3]
    assert told.attempts_at("CreateAssistant") == [1, 2, 3]
    assert len(told) == 6


async def test_hooks_are_told_of_each_attempt(scene: Scene, server: LocalServer) -> None:
    """Before and after, with its number and its status."""
    after: list[CallInfo] = []
    server.faults.add(Refuse(operation="UpdateThread", status=429, times=1))
    server.faults.add(Drop(operation="UpdateThread", times=1))
    server.faults.add(Refuse(operation="UpdateThread", status=500, times=1))
    async with server.client(type(scene.client), retry=AT_ONCE, on_response=after.append) as client:
        await client.threads.update(scene.thread_id, metadata={})

    assert [(one.attempt, one.status) for one in after] == [(1, 429), (2, None), (3, 500), (4, 200)]


async def test_a_last_word_is_asked_for_once(scene: Scene) -> None:
    """Neither a missing object nor a bad request is asked for again."""
    with pytest.raises(NotFound):
        await scene.client.threads.retrieve("none")
    with pytest.raises(APIError):
        await scene.client.threads.runs.create(scene.thread_id, assistant_id="none")

    assert [one.attempt for one in scene.told] == [1, 1]


async def test_with_one_attempt_each_failure_is_told(scene: Scene, server: LocalServer) -> None:
    """Also of what could be done twice."""
    client = scene.client.with_options(retry=Retry(attempts=1))
    server.faults.add(Refuse(operation="UpdateThread", status=500))
    with pytest.raises(ServerError):
        await client.threads.update(scene.thread_id, metadata={})

    assert scene.told.count_of("UpdateThread") == 1


async def test_a_budget_is_shared_by_copies_and_refilled(kind: Kind) -> None:
    """A service that is down is not hammered by one client more than by another; it comes back."""
    async with InProcess() as harness:
        scene = await inside(harness, kind, retry=Retry(first_delay=0, budget=3))
        other = scene.client.with_options(timeouts=Timeouts(read=5))
        threads = [one.threads for one in (scene.client, other)]
        harness.fault = lambda _operation, _index: Status(status=500)

        async def tried(which: int) -> int:
            scene.told.clear()
            with pytest.raises(ServerError):
                await threads[which].retrieve(scene.thread_id)
            return len(scene.told)

        assert [await tried(0), await tried(1), await tried(0)] == [4, 1, 1]
        harness.fault = lambda _operation, _index: None
        for _ in range(3):
            await threads[1].retrieve(scene.thread_id)
        harness.fault = lambda _operation, _index: Status(status=500)
        assert [await tried(0), await tried(1)] == [3, 1]


# Times.


def asked_at(
    kind: Kind,
    *faults: in_process.Fault | None,
    retry: Retry | None = None,
    **options: Any,
) -> tuple[list[float], BaseException | None]:
    """When a thread was asked for that meets these faults, in virtual seconds, and its error."""

    async def main() -> tuple[list[float], BaseException | None]:
        loop, times = asyncio.get_running_loop(), []
        async with InProcess() as harness:
            scene = await inside(harness, kind, retry=retry or Retry(), **options)
            going_wrong("RetrieveThread", *faults, harness=harness)
            began = loop.time()
            harness_fault = harness.fault

            def noted(operation: Operation[Any], index: int) -> in_process.Fault | None:
                times.append(loop.time() - began)
                return harness_fault(operation, index)

            harness.fault = noted
            error: BaseException | None = None
            try:
                await scene.client.threads.retrieve(scene.thread_id)
            except (APIError, TransportError) as failure:
                error = failure
            await scene.client.close()
            return [*times, loop.time() - began], error

    return virtual_time.run(main())


def busy(retry_after: str, **headers: str) -> Status:
    """Refused for a while."""
    return Status(status=429, headers={"Retry-After": retry_after, **headers})


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("fault", "least", "most"),
    [
        (busy("7"), 7.0, 7.0),
        (busy("Wed, 21 Oct 2015 07:28:09 GMT", Date=DATE), 9.0, 9.0),
        (busy("Wed, 21 Oct 2015 07:27:00 GMT", Date=DATE), 0.0, 0.5),
        (Status(status=503, headers={"Retry-After": "11"}), 11.0, 11.0),
        (Status(status=500, headers={"Retry-After": "12"}), 12.0, 12.0),
        (busy("0"), 0.0, 0.5),
        (busy("-3"), 0.0, 0.5),
        (busy("soon"), 0.0, 0.5),
        (busy(""), 0.0, 0.5),
        (Status(status=429), 0.0, 0.5),
        (Dropped(), 0.0, 0.5),
    ],
)
def test_the_service_is_given_the_time_it_asks_for(
    fault: in_process.Fault, least: float, most: float, kind: Kind
) -> None:
    """In seconds or by a date, measured by its own clock; what is neither asks for nothing."""
    (first, second, ended), error = asked_at(kind, fault)

    assert error is None
    assert first == 0
    assert least <= second <= most
    assert ended == second


@pytest.mark.parametrize("wait", ["61", "999999999", "9" * 30, "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_wait_beyond_all_patience_is_not_begun(wait: str, kind: Kind) -> None:
    """The refusal is raised at once, and says how long was asked for."""
    times, error = asked_at(kind, busy(wait))

    assert times == [0.0, 0.0]
    assert isinstance(error, RateLimited)
    assert (error.retry_after or 0) > 60


def test_full_jitter_stays_within_its_bounds(kind: Kind) -> None:
    """Each pause is below a bound that doubles, and they are not all the same."""
    random.seed(7)  # the same each time
    rules = Retry(attempts=8, first_delay=1, longest_delay=16, max_elapsed=None)
    all_pauses = []
    for _ in range(20):
        times, error = asked_at(kind, *[Dropped()] * 8, retry=rules)
        pauses = [after - before for before, after in pairwise(times[:-1])]
        assert isinstance(error, TransportError)
        assert all(0 <= pause <= bound for pause, bound in zip(pauses, BOUNDS, strict=True))
        all_pauses.append(pauses)

    for pauses_of_one, bound in zip(zip(*all_pauses, strict=True), BOUNDS, strict=True):
        assert max(pauses_of_one) > bound / 2 > min(pauses_of_one)


BOUNDS = (1, 2, 4, 8, 16, 16, 16)


def test_no_attempt_begins_after_max_elapsed(kind: Kind) -> None:
    """However many attempts there might be."""
    rules = Retry(attempts=1000, max_elapsed=30, budget=1000)
    times, error = asked_at(kind, *[Status(status=500)] * 1000, retry=rules)

    assert isinstance(error, ServerError)
    assert 3 < len(times) < 1000
    assert times[-1] <= 30


def test_the_total_time_bounds_all_attempts_together(kind: Kind) -> None:
    """Not each of them: its clock goes on during the pauses."""
    times, error = asked_at(kind, *[busy("4")] * 9, timeouts=Timeouts(total=10))

    assert isinstance(error, TotalTimeout)
    assert times == [0.0, 4.0, 8.0, 10.0]


def test_who_waits_for_another_attempt_holds_no_turn(kind: Kind) -> None:
    """With one request at a time another may go meanwhile."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with InProcess() as harness:
            limits = Limits(max_concurrent_requests=1)
            scene = await inside(harness, kind, limits=limits, retry=Retry())
            going_wrong("RetrieveThread", busy("30"), harness=harness)
            began = loop.time()
            waiting = asyncio.create_task(scene.client.threads.retrieve(scene.thread_id))
            while not scene.told:
                await asyncio.sleep(0)
            await scene.client.assistants.retrieve(scene.assistant_id)
            between = loop.time() - began
            await waiting
            await scene.client.close()
            return between, loop.time() - began

    assert virtual_time.run(main()) == (0.0, 30.0)


# What makes something.


MAKES: dict[str, tuple[type[Any], Callable[[Scene], Awaitable[Any]]]] = {
    "CreateAssistant": (
        Assistant,
        lambda scene: scene.client.assistants.create(model="x", name="y"),
    ),
    "CreateMessage": (Message, lambda scene: scene.say("hello")),
    "CreateRun": (Run, lambda scene: scene.run()),
}
"""The message says what the one before it says: it is not to be taken for that one."""
MAKING = pytest.mark.parametrize("name", MAKES)
LOOKED_FOR = pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in KINDS
        for name in MAKES
        if (kind, name) != (AppBuilder, "CreateAssistant")
    ],
)
"""What bears an id, and what is new on a thread; nothing says whose an assistant is."""


@LOOKED_FOR
@pytest.mark.parametrize("reset", [False, True])
async def test_what_was_done_is_found(
    reset: bool, name: str, scene: Scene, server: LocalServer
) -> None:
    """Its answer was lost: it is looked up, told as if it had been heard, and not made again."""
    made, make = MAKES[name]
    before = len(scene.kept(made))
    server.faults.add(Lose(operation=name, times=1, reset=reset))
    result = await make(scene)

    assert type(result) is made
    assert [one.id for one in scene.kept(made)[before:]] == [result.id]
    assert scene.told.attempts_at(name) == [1]


@LOOKED_FOR
@pytest.mark.parametrize("reset", [False, True])
async def test_what_was_not_received_is_sent_again_once(
    reset: bool, name: str, scene: Scene, server: LocalServer
) -> None:
    """Its connection was lost before the work: it is not there, and so it is made."""
    made, make = MAKES[name]
    before = len(scene.kept(made))
    server.faults.add(Drop(operation=name, times=1, reset=reset))
    result = await make(scene)

    assert len(scene.kept(made)) == before + 1
    assert result.id == scene.kept(made)[-1].id
    assert scene.told.attempts_at(name) == [1, 2]


@LOOKED_FOR
async def test_what_is_lost_again_and_again_is_made_once(
    name: str, scene: Scene, server: LocalServer
) -> None:
    """Dropped twice, then done and lost."""
    made, make = MAKES[name]
    before = len(scene.kept(made))
    server.faults.add(Drop(operation=name, times=2))
    server.faults.add(Lose(operation=name, times=1))
    await make(scene)

    assert len(scene.kept(made)) == before + 1
    assert scene.told.attempts_at(name) == [1, 2, 3]


@MAKING
@pytest.mark.parametrize("status", [429, 503])
async def test_what_was_refused_is_sent_again_without_a_look(
    status: int, name: str, scene: Scene, server: LocalServer
) -> None:
    """It was not begun."""
    server.faults.add(Refuse(operation=name, status=status, times=2))
    await MAKES[name][1](scene)

    assert [(one.operation, one.attempt) for one in scene.told] == [(name, 1), (name, 2), (name, 3)]


KEY: Any = aiohttp.client_reqrep.ConnectionKey("host", 80, False, True, None, None, None)


def no_host() -> Exception:
    """A name that is not known."""
    return aiohttp.ClientConnectorDNSError(KEY, OSError("no such host"))


def no_connection() -> Exception:
    """A connection that is refused."""
    return aiohttp.ClientConnectorError(KEY, OSError("refused"))


@MAKING
@pytest.mark.parametrize("error", [no_host, no_connection, aiohttp.ConnectionTimeoutError])
async def test_what_was_never_sent_is_sent_again_without_a_look(
    error: Callable[[], Exception], name: str, kind: Kind
) -> None:
    """No connection, for whatever reason."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong(name, Dropped(error=error), Dropped(error=error), harness=harness)
        await MAKES[name][1](scene)
        await scene.client.close()

    assert [(one.operation, one.attempt) for one in scene.told] == [(name, 1), (name, 2), (name, 3)]


@LOOKED_FOR
async def test_what_failed_is_looked_for(name: str, kind: Kind) -> None:
    """A 500 after the work was done is no reason to do it twice; nor is a gateway's 502."""
    made, make = MAKES[name]
    for status in (500, 502, 504, 408):
        async with InProcess() as harness:
            scene = await inside(harness, kind)
            before = len(scene.kept(made))
            going_wrong(name, Status(status=status, done=True), harness=harness)
            result = await make(scene)
            await scene.client.close()

        assert result.id == scene.kept(made)[-1].id
        assert len(scene.kept(made)) == before + 1


@LOOKED_FOR
@pytest.mark.parametrize(
    "fault",
    [Status(status=504), Status(status=502), Dropped(error=aiohttp.SocketTimeoutError)],
    ids=["504", "502", "silence"],
)
async def test_what_may_come_later_is_not_sent_again(
    fault: in_process.Fault, name: str, kind: Kind
) -> None:
    """Nobody knows what the service does behind a silence: it is not there, and may come."""
    made, make = MAKES[name]
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        before = len(scene.kept(made))
        going_wrong(name, fault, harness=harness)
        with pytest.raises(OutcomeUnknown, match="may still be on its way"):
            await make(scene)
        await scene.client.close()

    assert scene.told.attempts_at(name) == [1]
    assert len(scene.kept(made)) == before


@LOOKED_FOR
async def test_what_came_after_a_silence_is_found(name: str, kind: Kind) -> None:
    """The service did it, and was not heard."""
    made, make = MAKES[name]
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong(name, Lost(error=aiohttp.SocketTimeoutError), harness=harness)
        result = await make(scene)
        await scene.client.close()

    assert result.id == scene.kept(made)[-1].id
    assert scene.told.attempts_at(name) == [1]


@APPBUILDER_ONLY
@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_a_lost_assistant_without_a_mark_is_not_known(
    fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """Two could be alike: it is said where to look."""
    server.faults.add(fault(operation="CreateAssistant"))
    with pytest.raises(OutcomeUnknown, match=r"look at assistants\.list\(\)"):
        await scene.client.assistants.create(model="m", name="n")

    assert scene.told.attempts_at("CreateAssistant") == [1]
    assert len(scene.kept(Assistant)) == (2 if fault is Lose else 1)


@MAKING
async def test_without_reconciling_a_lost_answer_is_not_known(name: str, kind: Kind) -> None:
    """Nothing is looked for, nothing is sent again, and no id was sent to be found by."""
    async with InProcess() as harness:
        scene = await inside(harness, kind, retry=Retry(first_delay=0, reconcile=False))
        going_wrong(name, Lost(), harness=harness)
        with pytest.raises(OutcomeUnknown, match="reconcile=False") as caught:
            await MAKES[name][1](scene)
        await scene.client.close()

    assert [one.operation for one in scene.told] == [name]
    assert isinstance(caught.value.__cause__, TransportError)
    assert MARK not in repr([one.operation for one in harness.exchanges])


@LOOKED_FOR
async def test_a_look_that_fails_leaves_it_unknown(
    name: str, scene: Scene, server: LocalServer
) -> None:
    """What was made stays, and is not made twice."""
    made, make = MAKES[name]
    before = len(scene.kept(made))
    server.faults.add(Lose(operation=name, times=1))
    for listed in ("ListAssistants", "ListMessages", "ListRuns"):
        server.faults.add(Refuse(operation=listed, status=500))
    with pytest.raises(OutcomeUnknown, match=r"looking it up failed.*look at "):
        await make(scene)

    assert len(scene.kept(made)) == before + 1
    assert scene.told.attempts_at(name) == [1]


@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_a_file_is_attached_once(
    fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """It is found by its id among the assistant's, or attached again."""
    file = await scene.client.files.create(b"text", filename="a.txt", purpose="file-extract")
    server.faults.add(fault(operation="AttachFile", times=1))
    attached = await scene.client.assistants.files.create(scene.assistant_id, file.id)

    assert attached.id == file.id
    assert len(server.store.all("", AssistantFile, scene.assistant_id)) == 1
    assert scene.told.count_of("AttachFile") == (1 if fault is Lose else 2)


@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_a_lost_upload_is_not_known(
    fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """Two files could have one name: it is said where to look."""
    server.faults.add(fault(operation="CreateFiles"))
    with pytest.raises(OutcomeUnknown, match=r"look at files\.list\(\)"):
        await scene.client.files.create(b"text", filename="a.txt", purpose="file-extract")

    assert scene.told.attempts_at("CreateFiles") == [1]
    assert len(scene.kept(File)) == (1 if fault is Lose else 0)


async def test_an_upload_is_sent_again_after_a_refusal_if_it_can_be(
    scene: Scene, server: LocalServer, tmp_path: Path
) -> None:
    """Bytes and paths can be read again; what an iterator gave is gone."""

    async def pieces() -> AsyncIterator[bytes]:
        taken.append(1)
        yield b"text"

    taken: list[int] = []
    path = tmp_path / "b.txt"
    path.write_bytes(b"text")
    for source in (b"text", path):
        server.faults.add(Refuse(operation="CreateFiles", status=429, times=1))
        file = await scene.client.files.create(source, filename="a.txt", purpose="file-extract")
        assert file.filename == "a.txt"
    assert scene.told.attempts_at("CreateFiles") == [1, 2, 1, 2]

    server.faults.add(Refuse(operation="CreateFiles", status=429, times=1))
    with pytest.raises(RateLimited):
        await scene.client.files.create(pieces(), filename="a.txt", purpose="file-extract")
    assert scene.told.attempts_at("CreateFiles")[4:] == [1]
    assert (len(scene.kept(File)), taken) == (2, [1])


@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_a_lost_thread_with_its_run_is_not_known(
    fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """No list shows the thread: it is said how to do it so that it can be looked for."""
    server.faults.add(fault(operation="CreateThreadAndRun"))
    with pytest.raises(OutcomeUnknown, match="create the thread first, then the run"):
        await scene.client.threads.create_and_run(
            assistant_id=scene.assistant_id,
            thread={"messages": [{"role": "user", "content": "hello"}]},
        )

    assert scene.told.attempts_at("CreateThreadAndRun") == [1]
    assert len(scene.kept(Thread)) == (2 if fault is Lose else 1)


QUESTIONS: list[str] = ["CreateThread", "CreateMessage", "CreateRun"]


@pytest.mark.parametrize("fault", [Lose, Drop])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_asking_survives_any_loss(
    name: str, fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """One message, one run, one answer, whichever of the three requests is lost."""
    server.faults.add(fault(operation=name, times=1))
    result = await scene.client.ask("hello", assistant_id=scene.assistant_id)

    assert result.text == "hello"
    scene.thread_id = result.thread_id or ""
    assert [message.role for message in scene.kept(Message)] == ["user", "assistant"]
    assert [run.id for run in scene.kept(Run)] == [result.run.id]


async def test_asking_the_same_twice_is_answered_twice(scene: Scene, server: LocalServer) -> None:
    """With every message and every run lost: the second is not taken for the first."""
    for name in ("CreateMessage", "CreateRun"):
        server.faults.add(Lose(operation=name))
    results = [
        await scene.client.ask("again", assistant_id=scene.assistant_id, thread_id=scene.thread_id)
        for _ in range(3)
    ]

    assert [result.text for result in results] == ["again"] * 3
    assert [run.id for run in scene.kept(Run)] == [result.run.id for result in results]
    texts = [message.text for message in scene.kept(Message)]
    assert texts == ["hello"] + ["again"] * 6


# Rounds of tools.


TWO_ALIKE = "/call tick {}\n/then\n/call tick {}\n/then\n/say done"
"""Two rounds with the same call."""


@pytest.mark.parametrize("fault", [Lose, Drop])
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("output", ["same", "other"])
async def test_the_outputs_of_a_stream_are_taken_once(
    output: str, skip: int, fault: Callable[..., Fault], kind: Kind
) -> None:
    """Without ids of calls, and with an identical next round: its step tells which it is."""
    made: list[str] = []
    tools = Toolset()

    @tools.register
    async def tick() -> str:
        """Tick."""
        made.append("x" if output == "same" else str(len(made)))
        return made[-1]

    async with LocalServer(empty_call_ids=True) as server:
        server.faults.add(fault(operation="SubmitOutputs", skip=skip, times=1))
        told = Told()
        async with server.client(kind, retry=AT_ONCE, on_request=told.append) as client:
            scene = await Scene(client, server.store).set()
            result = await client.ask(TWO_ALIKE, assistant_id=scene.assistant_id, tools=tools)
        steps = server.store.all("", RunStep, result.run.id)

    calls = [step.step_details.tool_calls for step in steps if step.step_details is not None]
    assert [call.output for step in calls for call in step] == made
    assert (result.text, len(made)) == ("done", 2)
    assert told.count_of("SubmitOutputs") == (2 if fault is Lose else 3)


async def waiting_run(scene: Scene, question: str) -> Run:
    """A run that waits for outputs."""
    await scene.say(question)
    run = await scene.run()
    return await scene.client.threads.runs.wait(scene.thread_id, run.id)


def outputs_of(run: Run, *texts: str) -> list[ToolOutput]:
    """Outputs for what a run waits for."""
    return [
        ToolOutput(tool_call_id=call.id, output=text)
        for call, text in zip(run.tool_calls, texts, strict=True)
    ]


@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_outputs_that_are_submitted_by_hand_are_taken_once(
    fault: Callable[..., Fault], scene: Scene, server: LocalServer
) -> None:
    """The next round has calls of its own: whether the first was taken can be seen."""
    runs, thread_id = scene.client.threads.runs, scene.thread_id
    run = await waiting_run(scene, TWO_ALIKE)
    for text in ("one", "two"):
        server.faults.add(fault(operation="SubmitOutputs", times=1))
        outputs = outputs_of(run, text)
        await runs.submit_tool_outputs(thread_id, run.id, tool_outputs=outputs)
        run = await runs.wait(thread_id, run.id)

    steps = server.store.all("", RunStep, run.id)
    calls = [step.step_details.tool_calls for step in steps if step.step_details is not None]
    assert run.status == "completed"
    assert [call.output for step in calls for call in step] == ["one", "two"]


@pytest.mark.parametrize("fault", [Lose, Drop])
async def test_outputs_by_hand_for_calls_without_ids(
    fault: Callable[..., Fault], kind: Kind
) -> None:
    """What was not received is sent again; what may have been taken by a twin is not known.

    By hand nothing says which step the outputs are for.
    """
    async with LocalServer(empty_call_ids=True) as server:
        server.faults.add(fault(operation="SubmitOutputs", times=1))
        async with server.client(kind, retry=AT_ONCE) as client:
            scene = await Scene(client, server.store).set()
            run = await waiting_run(scene, TWO_ALIKE)
            submitted = client.threads.runs.submit_tool_outputs(
                scene.thread_id, run.id, tool_outputs=outputs_of(run, "one")
            )
            if fault is Drop:
                await submitted
            else:
                with pytest.raises(OutcomeUnknown, match="waits for one just like it"):
                    await submitted
        steps = server.store.all("", RunStep, run.id)

    calls = [step.step_details.tool_calls for step in steps if step.step_details is not None]
    assert [call.output for step in calls for call in step] == ["one"]


async def test_the_last_outputs_by_hand_are_known_by_the_run(kind: Kind) -> None:
    """One that waits no more has taken them, with or without ids."""
    async with LocalServer(empty_call_ids=True) as server:
        server.faults.add(Lose(operation="SubmitOutputs", times=1))
        async with server.client(kind, retry=AT_ONCE) as client:
            scene = await Scene(client, server.store).set()
            run = await waiting_run(scene, "/call f {}")
            run = await client.threads.runs.submit_tool_outputs(
                scene.thread_id, run.id, tool_outputs=outputs_of(run, "one")
            )

    assert run.status in ("queued", "in_progress", "completed")


@APPBUILDER_ONLY
async def test_going_on_by_a_new_request_is_not_known_when_lost(
    scene: Scene, server: LocalServer
) -> None:
    """It goes on with a run that there was before: that it is there says nothing."""
    client = scene.client
    assert isinstance(client, AppBuilder)
    await scene.say("/call f {}")
    run = await scene.run()
    server.faults.add(Lose(operation="CreateRun", times=1))
    with pytest.raises(OutcomeUnknown):
        await client.threads.runs.create(
            scene.thread_id,
            assistant_id=scene.assistant_id,
            tool_output=outputs_of(run, "one")[0],
        )

    assert len(scene.kept(Run)) == 1


# Somebody else.


def said(text: str) -> Message:
    """What somebody else says, now."""
    content = (Content(text=Text(value=text)),)
    return Message(id=f"message_{text}", role="user", created_at=9_999_999_999_999, content=content)


@APPBUILDER_ONLY
@pytest.mark.parametrize("name", ["CreateMessage", "CreateRun"])
@pytest.mark.parametrize("done", [True, False])
async def test_a_foreign_writer_leaves_it_unknown(done: bool, name: str, kind: Kind) -> None:
    """Without marks what is new on the thread may be somebody else's.

    Unless nothing is there that could be ours: then it was not received.
    """
    made, make = MAKES[name]
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        before = len(scene.kept(made))

        def fault(operation: Operation[Any], index: int) -> in_process.Fault | None:
            if type(operation).__name__ != name or scene.told.count_of(name) > 1:
                return None
            return Lost(error=foreign) if done else Dropped(error=foreign)

        def foreign() -> Exception:
            harness.store.put("", said("theirs"), scene.thread_id)
            return aiohttp.ServerDisconnectedError()

        harness.fault = fault
        if done:
            with pytest.raises(OutcomeUnknown, match="somebody else"):
                await make(scene)
        else:
            await make(scene)
        await scene.client.close()

    foreign_ones = 1 if made is Message else 0
    assert len(scene.kept(made)) == before + 1 + foreign_ones
    assert scene.told.count_of(name) == (1 if done else 2)


@APPBUILDER_ONLY
@pytest.mark.parametrize("name", ["CreateMessage", "CreateRun"])
async def test_what_another_task_lists_meanwhile_may_be_ours(name: str, kind: Kind) -> None:
    """It is seen before its answer is known to be lost: that makes it no older than the request."""
    made, make = MAKES[name]
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        before = len(scene.kept(made))
        going_wrong(name, Lost(), harness=harness)
        request = harness.request

        async def listed_meanwhile(*given: Any, **options: Any) -> Any:
            try:
                return await request(*given, **options)
            except aiohttp.ServerDisconnectedError:
                harness.request = request  # type: ignore[method-assign]
                await scene.client.threads.runs.list(scene.thread_id)
                await scene.client.threads.messages.list(scene.thread_id)
                raise

        harness.request = listed_meanwhile  # type: ignore[method-assign]
        result = await make(scene)
        await scene.client.close()

    assert [one.id for one in scene.kept(made)[before:]] == [result.id]


@APPBUILDER_ONLY
async def test_two_who_ask_at_a_time_are_told_apart(kind: Kind) -> None:
    """The second's run begins while the first's is lost: it is not given to the first.

    The first is sent again then, which the local server refuses: an answer comes after its message.
    """
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong("CreateRun", Dropped(), harness=harness)
        request, ask, results = harness.request, scene.client.ask, []
        given: dict[str, Any] = {"assistant_id": scene.assistant_id, "thread_id": scene.thread_id}

        async def with_another(*asked: Any, **options: Any) -> Any:
            try:
                return await request(*asked, **options)
            except aiohttp.ServerDisconnectedError:
                harness.request = request  # type: ignore[method-assign]
                results.append(await ask("second", **given))
                raise

        harness.request = with_another  # type: ignore[method-assign]
        with pytest.raises(BadRequest, match="last message"):
            await ask("first", **given)
        await scene.client.close()

    assert [result.text for result in results] == ["second"]
    assert [one.id for one in scene.kept(Run)] == [results[0].run.id]


@APPBUILDER_ONLY
async def test_the_same_asked_by_others_before_is_not_ours(
    scene: Scene, server: LocalServer
) -> None:
    """Another process has asked the very same: its run is not told as the answer to ours."""
    (question,) = scene.kept(Message)
    old = msgspec.structs.replace(question, created_at=1_600_000_000_000)
    server.store.put("", old, scene.thread_id)
    theirs = Run(
        id="run_theirs",
        status="completed",
        assistant_id=scene.assistant_id,
        thread_id=scene.thread_id,
        created_at=1_600_000_000_500,
    )
    server.store.put("", theirs, scene.thread_id)
    server.faults.add(Drop(operation="CreateRun"))
    async with server.client(AppBuilder, retry=AT_ONCE) as other:  # knows nothing of the thread
        with pytest.raises(OutcomeUnknown, match="may be another one"):
            await other.threads.runs.create(
                scene.thread_id,
                assistant_id=scene.assistant_id,
                additional_messages=[{"role": "user", "content": "hello"}],
            )


@APPBUILDER_ONLY
async def test_a_run_that_brings_its_question_is_found_by_it(
    scene: Scene, server: LocalServer
) -> None:
    """The last question of the thread is what was sent with the run."""
    server.faults.add(Lose(operation="CreateRun"))
    run = await scene.client.threads.runs.create(
        scene.thread_id,
        assistant_id=scene.assistant_id,
        additional_messages=[{"role": "user", "content": "hello"}],
    )

    assert [one.id for one in scene.kept(Run)] == [run.id]
    assert len([one for one in scene.kept(Message) if one.role == "user"]) == 2


def forgetful(*lost: str) -> Callable[[Operation[Any], int], in_process.Fault | None]:
    """A service that keeps no metadata; the answers to these are lost."""

    def fault(operation: Operation[Any], _index: int) -> in_process.Fault | None:
        params: Any = getattr(operation, "params", {})
        params.pop("metadata", None)
        return Lost() if type(operation).__name__ in lost else None

    return fault


@DASHSCOPE_ONLY
@MAKING
async def test_a_service_that_keeps_no_marks_is_found_out(name: str, kind: Kind) -> None:
    """By the first answer that shows none: what is lost later is not looked for in vain."""
    made, make = MAKES[name]
    async with InProcess() as harness:
        harness.fault = forgetful()
        scene = await inside(harness, kind)
        await make(scene)
        if made is Run:
            await scene.client.threads.runs.wait(scene.thread_id, scene.kept(Run)[0].id)
        before = len(scene.kept(made))
        harness.fault = forgetful(name)
        scene.told.clear()
        with pytest.raises(OutcomeUnknown, match="does not keep"):
            await make(scene)
        await scene.client.close()

    assert [one.operation for one in scene.told] == [name]
    assert len(scene.kept(made)) == before + 1


@DASHSCOPE_ONLY
@MAKING
async def test_a_service_of_which_nothing_is_known_is_not_trusted(name: str, kind: Kind) -> None:
    """Where the first answer is lost: one like it, without a mark, may be it."""
    made, make = MAKES[name]
    async with InProcess() as harness:
        harness.fault = forgetful()
        scene = await inside(harness, kind)
        before = len(scene.kept(made))
        harness.fault = forgetful(name)
        told = Told()
        scene.client = harness.client(kind, retry=AT_ONCE, on_request=told.append)
        with pytest.raises(OutcomeUnknown, match="without the operation id"):
            await make(scene)
        await scene.client.close()

    assert told.attempts_at(name) == [1]
    assert len(scene.kept(made)) == before + 1


# The operation id.


def sweep(value: Any) -> str:
    """All that an object says, its unknown fields included."""
    return repr(msgspec.to_builtins(value, enc_hook=repr)) + repr(value)


@DASHSCOPE_ONLY
async def test_no_object_shows_the_operation_id(kind: Kind) -> None:
    """Of answers, lists and events; on the wire, and on the server, it is there."""
    own = {"mine": "1"}
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        client, thread_id, assistant_id = scene.client, scene.thread_id, scene.assistant_id
        threads = client.threads
        assistant = await client.assistants.create(model="m", name="x", metadata=own)
        message = await threads.messages.create(thread_id, "/say hi", metadata=own)
        async with threads.runs.stream(
            thread_id, assistant_id=assistant_id, metadata=own
        ) as stream:
            events = [event async for event in stream]
            result = await stream.result()
        run = await threads.runs.create(thread_id, assistant_id=assistant_id, metadata=own)
        whole = await threads.create_and_run(
            assistant_id=assistant_id, metadata=own, thread={"metadata": own}
        )
        objects: list[Any] = [
            assistant, message, run, whole, result.run, result.message, *result.messages,
            await client.assistants.retrieve(assistant.id),
            await client.assistants.list(),
            await threads.messages.retrieve(thread_id, message.id),
            await threads.messages.list(thread_id),
            await threads.runs.retrieve(thread_id, run.id),
            await threads.runs.list(thread_id),
            await threads.retrieve(thread_id),
            await threads.runs.wait(thread_id, run.id),
        ]  # fmt: skip
        await client.close()

    assert [one.metadata for one in objects[:5]] == [own] * 5
    assert len(events) > 5
    assert MARK not in "".join(map(sweep, [*objects, *events]))
    assert MARK.partition(".")[0] not in "".join(map(sweep, [*objects, *events]))
    kept = [*scene.kept(Assistant), *scene.kept(Run)]
    marks = [one.metadata[MARK] for one in kept]
    asked = [one.metadata[MARK] for one in scene.kept(Message) if one.role == "user"]
    assert len(set(marks + asked)) == len(marks + asked) == 6


@APPBUILDER_ONLY
async def test_nothing_is_marked_where_no_list_shows_it(kind: Kind) -> None:
    """All is sent as it was given."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        await scene.run()
        await scene.client.ask("hello", assistant_id=scene.assistant_id)
        await scene.client.close()

    sent = [one.operation for one in harness.exchanges]
    assert len(sent) > 5
    assert MARK not in repr([getattr(one, "params", None) for one in sent])


@DASHSCOPE_ONLY
async def test_the_operation_id_is_one_for_all_attempts(kind: Kind) -> None:
    """So that whichever of them was done is found."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong("CreateRun", Status(status=429), Dropped(), Status(status=500), harness=harness)
        await scene.run()
        await scene.client.close()

    sent = [one.operation for one in harness.exchanges if one.name == "CreateRun"]
    marks = {mark_of(one) for one in sent if one is not None}
    assert (len(sent), len(marks)) == (4, 1)


SIXTEEN = {f"key{number}": "x" for number in range(16)}


@DASHSCOPE_ONLY
async def test_metadata_that_are_full_are_sent_as_they_are(kind: Kind) -> None:
    """There is no place for an id: what is lost is looked for as where there are none."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        messages, runs = scene.client.threads.messages, scene.client.threads.runs
        going_wrong("CreateMessage", Lost(), harness=harness)
        message = await messages.create(scene.thread_id, "full", metadata=SIXTEEN)
        going_wrong("CreateRun", Lost(), harness=harness)
        run = await runs.create(scene.thread_id, assistant_id=scene.assistant_id, metadata=SIXTEEN)
        going_wrong("CreateAssistant", Lost(), harness=harness)
        with pytest.raises(OutcomeUnknown):
            await scene.client.assistants.create(model="m", name="n", metadata=SIXTEEN)
        await scene.client.close()

    assert message.metadata == run.metadata == SIXTEEN
    assert scene.kept(Message)[1].metadata == SIXTEEN
    assert [one.metadata for one in scene.kept(Run)] == [SIXTEEN]
    assert scene.kept(Assistant)[-1].metadata == SIXTEEN


@DASHSCOPE_ONLY
async def test_metadata_from_elsewhere_bring_no_mark(kind: Kind) -> None:
    """Copied as another SDK shows them they carry another object's mark: that is not found."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        raw = scene.kept(Assistant)[0].metadata
        going_wrong("CreateAssistant", Lost(), harness=harness)
        made = await scene.client.assistants.create(model="m", name="n", metadata=raw)
        await scene.client.close()

    assert MARK in raw
    assert made.id != scene.assistant_id
    assert len(scene.kept(Assistant)) == 2


# On the wire itself.


async def test_a_connection_that_closes_in_the_middle_of_an_answer() -> None:
    """The first answer breaks off, the second is whole; the same request is sent both times."""
    body = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{"a":"b"}}'

    async def answer(_request: Received, writer: Writer) -> None:
        if len(server.requests) == 1:
            writer.write(head(length=len(body)) + body[:20])
            writer.close()
        else:
            writer.write(whole(body))

    async with RawServer(answer) as server:
        client = DashScope("key", base_url=server.url + "/api/v1", retry=AT_ONCE)
        async with client:
            thread = await client.threads.update("thread_1", metadata={"a": "b"})
        first, second = server.requests

    assert thread.metadata == {"a": "b"}
    assert first == second
    assert json.loads(first.body) == {"metadata": {"a": "b"}}


async def test_an_error_inside_a_good_answer_is_one() -> None:
    """AppBuilder's own faults come with status 200: what reads is sent again."""
    thread = b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{}}'
    broken = b'{"error":{"code":"1","type":"internal_error","message":"oops","param":""}}'

    async def answer(_request: Received, writer: Writer) -> None:
        writer.write(whole(broken if len(server.requests) < 3 else thread))

    async with (
        RawServer(answer) as server,
        AppBuilder("key", base_url=server.url, retry=AT_ONCE) as client,
    ):
        assert (await client.threads.retrieve("thread_1")).id == "thread_1"

    assert len(server.requests) == 3


async def test_looks_are_made_with_the_callers_own_headers(kind: Kind) -> None:
    """Whoever names a tenant in a header is shown that tenant's objects only."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong("CreateMessage", Lost(), harness=harness)
        headers: list[Any] = []
        request = harness.request

        async def noted(method: str, url: Any, **given: Any) -> Any:
            headers.append(given["headers"].get("X-Tenant"))
            return await request(method, url, **given)

        harness.request = noted  # type: ignore[method-assign]
        scene.told.clear()
        own = {"X-Tenant": "1"}
        await scene.client.threads.messages.create(scene.thread_id, "x", extra_headers=own)
        await scene.client.close()

    assert scene.told[1].operation == "ListMessages"
    assert headers == ["1"] * len(scene.told)


async def test_a_bad_request_stays_one(kind: Kind) -> None:
    """What the service refuses for good is not looked for either."""
    async with InProcess() as harness:
        scene = await inside(harness, kind)
        going_wrong("CreateMessage", Status(status=400), harness=harness)
        with pytest.raises(BadRequest):
            await scene.say("x")
        await scene.client.close()

    assert [one.operation for one in scene.told] == ["CreateMessage"]
