"""Each clock of `Timeouts` has an error of its own, at its time; `None` switches it off.

A service that takes a thousand seconds for something, real sockets, virtual time.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from msgspec.structs import replace

from aiodashassist import (
    APIError,
    AppBuilder,
    AssistError,
    ConnectError,
    DashScope,
    Event,
    FirstEventTimeout,
    IdleTimeout,
    OutcomeUnknown,
    RequestTimeout,
    Run,
    RunExpired,
    Timeouts,
    ToolFinished,
    Toolset,
    ToolTimeout,
    TotalTimeout,
)
from aiodashassist.server import Fault, Faults, LocalServer, Slow, Stall
from tests import virtual_time
from tests.recovery import PROVIDERS, Client, Kind, assistant_of, thread_of
from tests.retrying import ONCE

LATE = 1000.0  # seconds
NONE = Timeouts(
    connect=None, read=None, first_event=None, idle=None, tool=None, cancel=None, total=None
)
QUESTION = f"/say 一\n/wait {LATE:g}\n/say 二"

EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


class Slowly(AbstractResolver):
    """Knows one address, and takes its time to tell it."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The address."""
        await asyncio.sleep(LATE)
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Asked(Struct):
    """What a call came to, and how long it took."""

    seconds: float
    error: BaseException | None = None
    result: Any = None


async def asked(work: Awaitable[Any]) -> Asked:
    """How a call ends."""
    began = now()
    try:
        result = await work
    except AssistError as error:
        return Asked(now() - began, error=error)
    return Asked(now() - began, result=result)


class Place(Struct):
    """Where a call is made."""

    client: Client
    assistant_id: str
    thread_id: str


async def reading(place: Place) -> str:
    """A plain call."""
    return (await place.client.threads.retrieve(place.thread_id)).id


async def writing(place: Place) -> str:
    """A call that creates something."""
    return (await place.client.threads.create()).id


async def streaming(place: Place) -> str:
    """A run."""
    stream = place.client.threads.runs.stream(place.thread_id, assistant_id=place.assistant_id)
    async with stream:
        return (await stream.result()).text


async def blocking(place: Place) -> str:
    """A run that is answered when it rests."""
    runs = place.client.threads.runs
    return (await runs.create(place.thread_id, assistant_id=place.assistant_id)).status


class Case(Struct, frozen=True, kw_only=True):
    """A clock, and a service that is too slow for it.

    Attributes:
        clock: its name.
        work: what is asked.
        fault: what is slow beside the run; None is nothing.
        error: of the clock.
        times: how often the clock runs out until it is told.
        kinds: the clients that have it.
    """

    clock: str
    work: Callable[[Place], Awaitable[str]]
    error: type[AssistError]
    fault: Fault | None = None
    times: int = 1
    kinds: tuple[Kind, ...] = PROVIDERS

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.clock}-{self.work.__name__}-{type(self.fault).__name__}"


CASES = [
    Case(
        clock="read",
        work=reading,
        error=RequestTimeout,
        fault=Slow(operation="RetrieveThread", seconds=LATE),
    ),
    Case(
        clock="read",
        work=writing,
        error=RequestTimeout,
        fault=Slow(operation="CreateThread", seconds=LATE),
    ),
    Case(
        clock="first_event",
        work=streaming,
        error=FirstEventTimeout,
        fault=Slow(operation="CreateRun", seconds=LATE),
    ),
    Case(
        clock="first_event",
        work=streaming,
        error=FirstEventTimeout,
        fault=Stall(after_events=0, seconds=LATE, ping=7),
    ),
    # The run is read back, and has not gone on after as long again.
    Case(
        clock="idle",
        work=streaming,
        error=IdleTimeout,
        fault=Stall(after_events=4, seconds=2 * LATE, ping=7),
        times=2,
    ),
    Case(clock="idle", work=streaming, error=IdleTimeout, times=2),
    # What became of the run is not looked up here.
    Case(clock="idle", work=blocking, error=OutcomeUnknown, kinds=(AppBuilder,)),
    Case(clock="total", work=streaming, error=TotalTimeout),
    Case(clock="total", work=blocking, error=TotalTimeout, kinds=(AppBuilder,)),
    Case(
        clock="total",
        work=reading,
        error=TotalTimeout,
        fault=Slow(operation="RetrieveThread", seconds=LATE),
    ),
]
EACH_CASE = pytest.mark.parametrize(
    ("kind", "case"),
    [
        pytest.param(kind, case, id=f"{kind.__name__}-{case.id}")
        for case in CASES
        for kind in case.kinds
    ],
)


async def played(kind: Kind, case: Case, timeouts: Timeouts) -> Asked:
    """A call to a slow service, under these clocks."""
    async with LocalServer() as server, server.client(kind, retry=ONCE, timeouts=NONE) as client:
        assistant_id = await assistant_of(client)
        thread_id = await thread_of(client, QUESTION)
        if case.fault is not None:
            server.faults.add(case.fault)
        hasty = client.with_options(timeouts=timeouts)
        found = await asked(case.work(Place(hasty, assistant_id, thread_id)))
        server.faults.clear()
        return found


@EACH_CASE
def test_a_clock_has_its_time_and_its_error(kind: Kind, case: Case) -> None:
    """It alone ends what takes a thousand seconds: when it has run out, and by its own error."""
    timeouts = replace(NONE, **{case.clock: 50.0}, cancel=5.0)
    found = virtual_time.run(played(kind, case, timeouts))

    assert type(found.error) is case.error
    assert found.seconds == pytest.approx(50 * case.times, abs=6)
    assert "50" in str(found.error)


@EACH_CASE
def test_none_switches_a_clock_off(kind: Kind, case: Case) -> None:
    """Without clocks a thousand seconds are waited for, and the call ends well."""
    found = virtual_time.run(played(kind, case, NONE))

    assert found.error is None
    assert found.seconds >= LATE


# --- connect ---


@EACH_KIND
@pytest.mark.parametrize("seconds", [50.0, None])
def test_connect_bounds_the_way_to_a_connection(kind: Kind, seconds: float | None) -> None:
    """The look-up of the host's name included."""

    async def main() -> Asked:
        connector = aiohttp.TCPConnector(resolver=Slowly())
        async with (
            LocalServer(allowed_hosts=("slow.test",)) as server,
            aiohttp.ClientSession(connector=connector) as own,
            kind(
                "key",
                base_url=server.url.replace("127.0.0.1", "slow.test") + kind.local_path,
                allow_http=True,
                session=own,
                retry=ONCE,
                timeouts=replace(NONE, connect=seconds),
            ) as client,
        ):
            return await asked(client.threads.create())

    found = virtual_time.run(main())
    if seconds is None:
        assert found.error is None
        assert found.seconds >= LATE
    else:
        assert type(found.error) is ConnectError
        assert "50" in str(found.error)
        assert found.seconds == pytest.approx(50, abs=1)


# --- cancel ---


@EACH_KIND
@pytest.mark.parametrize("seconds", [50.0, None])
def test_cancel_bounds_the_winding_up(kind: Kind, seconds: float | None) -> None:
    """Whoever leaves waits no longer for the run to be cancelled, and is told nothing of it."""

    async def main() -> float:
        timeouts = replace(NONE, cancel=seconds)
        slow = Slow(operation="CancelRun", seconds=LATE)
        async with (
            LocalServer(faults=Faults(slow)) as server,
            server.client(kind, timeouts=timeouts) as client,
        ):
            assistant_id = await assistant_of(client)
            async with client.stream("/wait 5000", assistant_id=assistant_id) as stream:
                await anext(stream)
                began = now()
            return now() - began

    left = virtual_time.run(main())
    assert left == pytest.approx(seconds or LATE, abs=1)


# --- tool ---


def sleeping(seconds: float, timeout: float | None) -> Toolset:
    """A tool that takes so long, with a timeout of its own or not."""
    tools = Toolset()

    @tools.register(timeout=timeout)
    async def sleep() -> str:
        """Sleep."""
        await asyncio.sleep(seconds)
        return "rested"

    return tools


class Called(Struct):
    """What became of a call, and of its run."""

    ended: ToolFinished
    run: Run
    text: str


async def called(client: Client, tools: Toolset) -> Called:
    """Have a run call the tool `sleep`."""
    assistant_id = await assistant_of(client)
    async with client.stream("/call sleep {}", assistant_id=assistant_id, tools=tools) as stream:
        events: list[Event] = [event async for event in stream]
        (ended,) = [event for event in events if isinstance(event, ToolFinished)]
        run = stream.snapshot.run
        assert run is not None
        return Called(ended, run, stream.snapshot.text)


@EACH_KIND
@pytest.mark.parametrize(
    ("usual", "own", "seconds"),
    [(50.0, None, 50.0), (50.0, 20.0, 20.0), (20.0, 50.0, 50.0), (None, 50.0, 50.0)],
)
def test_tool_bounds_each_call_and_the_model_is_told(
    kind: Kind, usual: float | None, own: float | None, seconds: float
) -> None:
    """A tool's own timeout is stronger; the run goes on with an output that says what happened."""

    async def main() -> Called:
        timeouts = replace(NONE, tool=usual)
        async with LocalServer() as server, server.client(kind, timeouts=timeouts) as client:
            return await called(client, sleeping(LATE, own))

    found = virtual_time.run(main())
    assert type(found.ended.error) is ToolTimeout
    assert found.ended.duration == pytest.approx(seconds)
    assert f"timed out after {seconds:g} s" in found.text
    assert found.run.status == "completed"


@EACH_KIND
def test_without_a_clock_a_tool_has_all_the_time_there_is(kind: Kind) -> None:
    """As long as its run waits."""

    async def main() -> Called:
        async with (
            LocalServer(expire_after=2 * LATE) as server,
            server.client(kind, timeouts=NONE) as client,
        ):
            return await called(client, sleeping(LATE, None))

    found = virtual_time.run(main())
    assert found.ended.error is None
    assert found.text == "sleep -> rested"


# --- a tool, and the run that expires ---


BEGIN = 1_750_000_000.0  # epoch seconds


@pytest.fixture
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock on the wall goes as that of the loop does."""
    monkeypatch.setattr(time, "time", lambda: BEGIN + now())
    monkeypatch.setattr(time, "time_ns", lambda: int((BEGIN + now()) * 1e9))


@pytest.mark.usefixtures(_one_clock.__name__)
@pytest.mark.parametrize("waits", [0.1, 30.0, 99.4])
@pytest.mark.parametrize(
    ("usual", "own", "seconds"),
    [
        (None, None, 100.0),
        (500.0, None, 100.0),
        (None, 500.0, 100.0),
        (50.0, None, 50.0),
        (500.0, 50.0, 50.0),
    ],
)
def test_a_tool_has_no_longer_than_its_run_waits(
    usual: float | None, own: float | None, seconds: float, waits: float
) -> None:
    """`expires_at` bounds it: what came later would be no output of the run any more."""

    async def main() -> ToolFinished:
        timeouts = replace(NONE, tool=usual)
        async with (
            LocalServer(expire_after=100) as server,
            server.client(DashScope, timeouts=timeouts) as client,
        ):
            return await taken_up(client, sleeping(LATE, own), waits)

    ended = virtual_time.run(main())
    assert type(ended.error) is ToolTimeout
    most = min(seconds, 100 - waits)
    assert 0.9 * most - 0.001 <= ended.duration <= most + 0.001  # the output has to travel, too


async def taken_up(client: Client, tools: Toolset, waits: float) -> ToolFinished:
    """What became of a call that had waited for so long, in virtual time."""
    assistant_id = await assistant_of(client)
    async with client.stream("/call sleep {}", assistant_id=assistant_id, tools=None) as stream:
        async for _ in stream:
            pass
        run = stream.snapshot.run
    assert run is not None
    await asyncio.sleep(waits)
    found: list[ToolFinished] = []
    async with client.threads.runs.attach(run.thread_id or "", run.id, tools=tools) as stream:
        with suppress(APIError):  # it expired just before its outputs came
            async for event in stream:
                if isinstance(event, ToolFinished):
                    found.append(event)  # noqa: PERF401 (also where it ends with an error)
    (ended,) = found
    return ended


@EACH_KIND
def test_where_no_expiry_is_told_a_tool_is_not_bounded(kind: Kind) -> None:
    """Streams tell none (dashscope.md §3.5), nor does AppBuilder at all; but how the run ended."""

    async def main() -> tuple[float, AssistError]:
        async with LocalServer(expire_after=100) as server, server.client(kind) as client:
            assistant_id = await assistant_of(client)
            began, tools = now(), sleeping(500, None)
            with pytest.raises(AssistError, match="expired") as caught:
                await client.ask("/call sleep {}", assistant_id=assistant_id, tools=tools)
            return now() - began, caught.value

    seconds, error = virtual_time.run(main())
    if kind is AppBuilder:  # its stream is open meanwhile
        assert isinstance(error, RunExpired)
        assert seconds == pytest.approx(100, abs=1)
    else:
        assert seconds == pytest.approx(500, abs=1)
