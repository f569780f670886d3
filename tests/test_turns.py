"""The turns of requests: how many at a time, how many a minute, in whose order."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist import AppBuilder, BadRequest, DashScope, Limits, LocalProtocolError
from aiodashassist.server import LocalServer
from aiodashassist.turns import LATE, MINUTE, Turns
from tests import virtual_time
from tests.raw_server import RawServer, Received, Writer, whole
from tests.test_cancellation import at_suspension, at_turn

PATIENCE = 10  # seconds; nothing here takes one


class Visitor:
    """Takes a turn, notes when it began, and holds it for a time, or until it is let go."""

    def __init__(
        self,
        turns: Turns,
        begun: list["Visitor"],
        seconds: float | None = None,
        *,
        urgent: bool = False,
    ) -> None:
        self.began: float | None = None
        self.leave = asyncio.Event()
        self.is_urgent = urgent
        self._turns = turns
        self._begun = begun
        self._seconds = seconds

    async def visit(self) -> None:
        """Come, stay and go."""
        async with self._turns.turn(urgent=self.is_urgent):
            self.began = asyncio.get_running_loop().time()
            self._begun.append(self)
            if self._seconds is None:
                await self.leave.wait()
            else:
                await asyncio.sleep(self._seconds)


async def quiet() -> None:
    """Let everything happen that can happen now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def free_seats(turns: Turns) -> int:
    """How many turns can begin at once."""
    begun: list[Visitor] = []
    tasks = [asyncio.create_task(Visitor(turns, begun).visit()) for _ in range(20)]
    await quiet()
    count = len(begun)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return count


def test_without_limits_a_turn_costs_nothing() -> None:
    """There is no wait, no loop is needed, and one object does for all turns."""
    turns = Turns()
    turn = turns.turn()

    assert turns.turn() is turns.turn(urgent=True) is turn
    for _ in range(1000):
        with pytest.raises(StopIteration):
            turn.__aenter__().__await__().send(None)


@pytest.mark.parametrize("limit", [1, 3, 20, 50])
async def test_no_more_turns_than_allowed_are_open_at_a_time(limit: int) -> None:
    """Whoever is beyond the limit waits until another has left, and all come in the end."""
    turns, begun = Turns(limit), list[Visitor]()
    visitors = [Visitor(turns, begun) for _ in range(20)]
    tasks = [asyncio.create_task(visitor.visit()) for visitor in visitors]
    for number, visitor in enumerate(visitors):
        await quiet()
        assert begun == visitors[: number + limit]  # in the order in which they came
        visitor.leave.set()
    await asyncio.gather(*tasks)

    assert begun == visitors


async def test_seats_that_become_free_at_once_are_all_taken() -> None:
    """Several leave in one moment: as many come in, though only the first in line is told."""
    turns, begun = Turns(3), list[Visitor]()
    visitors = [Visitor(turns, begun) for _ in range(7)]
    tasks = [asyncio.create_task(visitor.visit()) for visitor in visitors]
    await quiet()
    for visitor in visitors[:3]:
        visitor.leave.set()
    await quiet()
    assert begun == visitors[:6]
    for visitor in visitors[3:]:
        visitor.leave.set()
    await asyncio.gather(*tasks)


async def test_a_turn_that_fails_is_over() -> None:
    """An error, or a cancelled body, gives the seat back."""
    turns = Turns(2)
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with turns.turn():
                raise error

    assert await free_seats(turns) == 2


async def test_a_newcomer_does_not_overtake() -> None:
    """One that was told it may go, but has not gone yet, goes before who comes just then."""
    turns, begun = Turns(1), list[Visitor]()
    holder, first, newcomer = (Visitor(turns, begun) for _ in range(3))
    first.leave.set()
    newcomer.leave.set()
    tasks = [asyncio.create_task(one.visit()) for one in (holder, first)]
    await quiet()
    holder.leave.set()
    while turns._line and not next(iter(turns._line)).done():
        await asyncio.sleep(0)
    assert first not in begun  # told, and not gone
    await newcomer.visit()
    await asyncio.gather(*tasks)

    assert begun == [holder, first, newcomer]


def begun_at(limit: int | None, minute: int | None, visits: list[tuple[float, float]]) -> Any:
    """When visitors began that came at a time and stayed for a time, in virtual seconds."""

    async def main() -> list[float | None]:
        turns, begun = Turns(limit, minute), list[Visitor]()
        visitors = [Visitor(turns, begun, seconds) for _, seconds in visits]

        async def come(visitor: Visitor, at: float) -> None:
            await asyncio.sleep(at)
            await visitor.visit()

        async with asyncio.TaskGroup() as group:
            for number, (at, _) in enumerate(visits):  # timers of one time have no order
                group.create_task(come(visitors[number], at + number * 1e-6))
        assert turns._timer is None
        return [visitor.began for visitor in visitors]

    return virtual_time.run(main())


def test_only_so_many_begin_within_a_minute() -> None:
    """The first come at once, and each other a minute after the one so many before it."""
    times = begun_at(None, 5, [(0, 0)] * 23)

    assert times[:5] == pytest.approx([0] * 5, abs=1e-4)
    for sooner, later in zip(times, times[5:], strict=False):
        assert MINUTE <= later - sooner <= MINUTE + 2 * LATE


def test_the_minute_slides() -> None:
    """What counts is when each began, not a clock's full minutes; idle time is not saved up."""
    times = begun_at(None, 2, [(0, 0), (59, 0), (59.5, 0), (61, 0), (300, 0), (300, 0), (300, 0)])

    expected = [0, 59, 60, 119, 300, 300, 360]
    assert times == pytest.approx(expected, abs=3 * LATE)


@given(
    limit=st.none() | st.integers(1, 4),
    minute=st.none() | st.integers(1, 6),
    visits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), max_size=25),
)
def test_turns_begin_as_soon_as_both_limits_and_the_line_allow(
    limit: int | None, minute: int | None, visits: list[tuple[int, int]]
) -> None:
    """Every turn begins at the first moment that the rules leave, reckoned without a loop."""
    visits = sorted(visits, key=lambda visit: visit[0])
    expected: list[float] = []
    seats = [0.0] * (limit or len(visits))
    for at, seconds in visits:
        rules = [float(at), *expected[-1:], heapq.heappop(seats)]
        if minute is not None and len(expected) >= minute:
            rules.append(expected[-minute] + MINUTE)
        expected.append(max(rules))
        heapq.heappush(seats, expected[-1] + seconds)

    times = begun_at(limit, minute, [(float(at), float(stay)) for at, stay in visits])

    assert times == pytest.approx(expected, abs=2 * LATE * len(visits) + 1e-6)
    assert all(sooner <= later for sooner, later in pairwise(times))
    if minute is not None:
        # Sums and differences of floats are rounded.
        assert all(b - a > MINUTE - 1e-9 for a, b in zip(times, times[minute:], strict=False))


async def test_what_is_urgent_begins_at_once_and_takes_a_seat() -> None:
    """Though none is free and others wait; they come when fewer are open than may be."""
    turns, begun = Turns(2), list[Visitor]()
    holders, waiting = [Visitor(turns, begun) for _ in range(2)], Visitor(turns, begun)
    urgent = [Visitor(turns, begun, urgent=True) for _ in range(2)]
    everyone = [*holders, waiting, *urgent]
    tasks = [asyncio.create_task(one.visit()) for one in everyone]
    await quiet()
    assert begun == [*holders, *urgent]
    for one in (holders[0], urgent[0]):
        one.leave.set()
        await quiet()
        assert waiting not in begun
    urgent[1].leave.set()
    await quiet()
    assert begun[-1] is waiting
    for one in everyone:
        one.leave.set()
    await asyncio.gather(*tasks)
    assert await free_seats(turns) == 2


async def test_what_is_urgent_leaves_a_seat_that_was_promised_alone() -> None:
    """Who was told that it may go goes, though something urgent begins just then."""
    turns, begun = Turns(1), list[Visitor]()
    holder, first = Visitor(turns, begun), Visitor(turns, begun)
    tasks = [asyncio.create_task(one.visit()) for one in (holder, first)]
    await quiet()
    holder.leave.set()
    while turns._line and not next(iter(turns._line)).done():
        await asyncio.sleep(0)
    async with turns.turn(urgent=True):
        await quiet()
        assert begun == [holder, first]
    first.leave.set()
    await asyncio.gather(*tasks)
    assert await free_seats(turns) == 1


def test_what_is_urgent_has_its_place_in_the_minute() -> None:
    """It begins when it comes; others, also those who wait already, begin later for it."""

    async def main() -> None:
        turns, begun = Turns(None, 2), list[Visitor]()
        await Visitor(turns, begun, 0).visit()
        await asyncio.sleep(30)
        await Visitor(turns, begun, 0).visit()
        waiting = [Visitor(turns, begun, 0) for _ in range(2)]
        tasks = [asyncio.create_task(one.visit()) for one in waiting]
        await asyncio.sleep(10)
        await Visitor(turns, begun, 0, urgent=True).visit()
        await asyncio.gather(*tasks)
        times = [one.began for one in begun]
        assert times == pytest.approx([0, 30, 40, 90, 100], abs=3 * LATE)
        assert turns._timer is None

    virtual_time.run(main())


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_an_urgent_turn_that_fails_is_over(error: type[BaseException]) -> None:
    """The seat it took is given back."""
    turns = Turns(1)
    with pytest.raises(error):
        async with turns.turn(urgent=True):
            raise error

    assert await free_seats(turns) == 1


async def test_nothing_is_so_urgent_that_a_closed_client_does_it() -> None:
    """It is told that the client is closed, as any other."""
    turns = Turns(1)
    turns.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        async with turns.turn(urgent=True):
            pass


@given(
    limit=st.none() | st.integers(1, 3),
    minute=st.none() | st.integers(1, 5),
    visits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90), st.booleans()), max_size=20),
)
def test_only_what_is_urgent_exceeds_the_limits(
    limit: int | None, minute: int | None, visits: list[tuple[int, int, bool]]
) -> None:
    """It begins as it comes; any other begins, and only where both limits have room for it."""
    begun: list[Visitor] = []
    came: dict[Visitor, float] = {}
    left: dict[Visitor, float] = {}

    async def main() -> None:
        turns, loop = Turns(limit, minute), asyncio.get_running_loop()

        async def come(at: float, stay: float, *, urgent: bool) -> None:
            await asyncio.sleep(at)
            visitor = Visitor(turns, begun, stay, urgent=urgent)
            came[visitor] = loop.time()
            await visitor.visit()
            left[visitor] = loop.time()

        async with asyncio.TaskGroup() as group:
            for number, (at, stay, urgent) in enumerate(visits):  # timers of one time have no order
                group.create_task(come(at + number * 3e-5, stay, urgent=urgent))

    virtual_time.run(main())

    assert len(begun) == len(visits)
    for number, visitor in enumerate(begun):
        began, before = visitor.began or 0, begun[:number]
        if visitor.is_urgent:
            assert began == came[visitor]
            continue
        assert limit is None or sum(left[one] > began for one in before) < limit
        # Sums and differences of floats are rounded.
        lately = [one for one in before if (one.began or 0) > began - MINUTE + 1e-9]
        assert minute is None or len(lately) < minute


Cancel = Callable[[int, Coroutine[Any, Any, None]], Any]


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 1), (at_turn, 3)])
async def test_a_visitor_cancelled_anywhere_takes_no_seat_along(
    limit: int, cancel: Cancel, least: int
) -> None:
    """At each moment in turn: who stands behind comes next, and all seats are free in the end."""
    at, reached = 0, True
    while reached:
        at += 1
        turns, begun = Turns(limit), list[Visitor]()
        holders = [Visitor(turns, begun) for _ in range(limit)]
        victim, other, last = Visitor(turns, begun), Visitor(turns, begun), Visitor(turns, begun)
        for one in (victim, other, last):
            one.leave.set()
        tasks = [asyncio.create_task(one.visit()) for one in holders]
        await quiet()

        async def let_go(holder: Visitor = holders[0]) -> None:
            await asyncio.sleep(0)
            holder.leave.set()

        async def scene(
            victim: Visitor = victim,
            followers: tuple[Visitor, ...] = (other, last),
            tasks: list[asyncio.Task[None]] = tasks,
            let_go: Callable[[], Coroutine[Any, Any, None]] = let_go,
        ) -> None:
            # They come when the victim stands in the line already.
            tasks.extend(asyncio.create_task(one.visit()) for one in followers)
            tasks.append(asyncio.create_task(let_go()))
            await victim.visit()

        reached = await cancel(at, scene())
        for holder in holders:
            holder.leave.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)
        assert [one for one in begun if one is not victim] == [*holders, other, last]
        assert await free_seats(turns) == limit, f"cancelled at {at}"

    assert at > least


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("moment", [-30.0, -1e-6, -5e-10, 5e-10, 1e-6], ids=str)
def test_a_visitor_cancelled_anytime_takes_no_place_in_the_minute(
    moment: float, limit: int | None
) -> None:
    """Before, in the tick in which it may go, and after it has gone.

    Who stands behind it begins when it would have begun without it, unless it had gone.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns, begun = Turns(limit, 2), list[Visitor]()
        victim, *others = (Visitor(turns, begun, 0) for _ in range(5))
        await others[0].visit()
        await asyncio.sleep(10)
        await others[1].visit()
        tasks = [asyncio.create_task(one.visit()) for one in (victim, *others[2:])]
        await quiet()
        assert turns._timer is not None
        place, when = next(iter(turns._line)), turns._timer.when()
        told = []

        def cancel() -> None:
            told.append(place.done())
            tasks[0].cancel()

        loop.call_at(when + moment, cancel)
        await asyncio.wait(tasks)
        went = victim.began is not None
        assert went == (moment > 1e-9)
        assert told == [moment > 0]  # 5e-10: told that it may go, and cancelled before it went
        assert tasks[0].cancelled() != went
        times = [one.began for one in begun]
        expected = [0, 10, MINUTE, MINUTE + 10] + [2 * MINUTE] * went
        assert times == pytest.approx(expected, abs=3 * LATE)
        assert turns._timer is None
        assert not turns._line

    virtual_time.run(main())


async def test_those_who_leave_the_line_leave_its_order_alone() -> None:
    """Cancelled in the middle, at its head and at its end; the others come in their order."""
    turns, begun = Turns(1), list[Visitor]()
    holder, *visitors = (Visitor(turns, begun) for _ in range(10))
    tasks = [asyncio.create_task(one.visit()) for one in (holder, *visitors)]
    await quiet()
    gone = (4, 1, 5, 9)
    for number in gone:
        tasks[number].cancel()
    for one in (holder, *visitors):
        one.leave.set()
    await asyncio.wait(tasks)

    assert begun == [holder, *(visitors[n] for n in range(9) if n + 1 not in gone)]
    assert all(tasks[number].cancelled() for number in gone)


async def test_closing_sends_away_who_waits_and_who_comes() -> None:
    """They are told that the client is closed; a turn that is open ends as it would have."""
    turns, begun = Turns(1, 100), list[Visitor]()
    holder, *visitors = (Visitor(turns, begun) for _ in range(4))
    tasks = [asyncio.create_task(one.visit()) for one in (holder, *visitors)]
    await quiet()
    tasks[2].cancel()
    turns.close()
    turns.close()
    newcomer = asyncio.create_task(Visitor(turns, begun).visit())
    await asyncio.wait([*tasks[1:], newcomer], timeout=PATIENCE)

    assert tasks[2].cancelled()
    for task in (tasks[1], tasks[3], newcomer):
        with pytest.raises(LocalProtocolError, match="closed"):
            task.result()
    holder.leave.set()
    await tasks[0]
    assert begun == [holder]


def test_closing_ends_the_wait_for_the_minute() -> None:
    """Nobody waits for a minute that has no use any more, and no timer is left."""

    async def main() -> None:
        turns, begun = Turns(None, 1), list[Visitor]()
        await Visitor(turns, begun, 0).visit()
        task = asyncio.create_task(Visitor(turns, begun, 0).visit())
        await quiet()
        timer = turns._timer
        turns.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            await task
        assert asyncio.get_running_loop().time() == 0
        assert timer is not None
        assert timer.cancelled()

    virtual_time.run(main())


@pytest.mark.parametrize("limit", [1, 4])
async def test_a_client_and_its_copies_have_so_many_requests_under_way(limit: int) -> None:
    """All that they ask for together, never more; everything is answered."""
    counts, full = [0], asyncio.Event()
    at_once = 0

    async def slow(_request: Received, writer: Writer) -> None:
        nonlocal at_once
        at_once += 1
        counts.append(at_once)
        if at_once >= limit:
            full.set()
        await full.wait()  # nobody is answered before as many have come as may
        await quiet()
        at_once -= 1
        writer.write(whole(b'{"id": "thread_1"}'))

    async with (
        asyncio.timeout(PATIENCE),
        RawServer(slow) as server,
        DashScope(
            "sk-x", base_url=server.url, limits=Limits(max_concurrent_requests=limit)
        ) as client,
    ):
        copies = [client, client.with_options(api_key="sk-y"), client.with_options()]
        await asyncio.gather(*(copies[n % 3].threads.retrieve(f"t{n}") for n in range(12)))

    assert len(counts) == 13
    assert max(counts) == limit


async def test_an_open_stream_is_no_request_under_way() -> None:
    """It is one until it begins: others can ask, and stream, while it is open."""
    async with (
        LocalServer() as server,
        server.client(DashScope, limits=Limits(max_concurrent_requests=1)) as client,
    ):
        made = await client.assistants.create(model="m")
        async with (
            asyncio.timeout(PATIENCE),
            client.stream("/say one", assistant_id=made.id) as first,
            client.stream("/say two", assistant_id=made.id) as second,
        ):
            texts = [(await one.result()).text for one in (second, first)]
            asked = await client.ask("/say three", assistant_id=made.id)

    assert [*texts, asked.text] == ["two", "one", "three"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_client_begins_so_many_requests_a_minute(fails: bool) -> None:
    """As the service sees them; failed ones count, and are a request each."""
    times: list[float] = []
    good, bad = b'{"id": "thread_1"}', b'{"code": "InvalidParameter", "message": "no"}'

    async def note(_request: Received, writer: Writer) -> None:
        times.append(asyncio.get_running_loop().time())
        writer.write(whole(bad, "400 Bad Request") if fails else whole(good))

    async def main() -> None:
        async with (
            RawServer(note) as server,
            DashScope("sk-x", base_url=server.url, limits=Limits(requests_per_minute=3)) as client,
        ):
            calls = [client.threads.retrieve(f"t{n}") for n in range(10)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(answer, BadRequest) == fails for answer in answers)

    virtual_time.run(main())

    expected = [MINUTE * (number // 3) for number in range(10)]
    assert times == pytest.approx(expected, abs=0.1)


def test_closing_a_client_ends_the_wait_for_its_turns() -> None:
    """Whoever waits is told that it is closed, and not after a minute."""

    async def main() -> None:
        async def answer(_request: Received, writer: Writer) -> None:
            writer.write(whole(b'{"id": "thread_1"}'))

        async with RawServer(answer) as server:
            limits = Limits(requests_per_minute=1)
            client = DashScope("sk-x", base_url=server.url, limits=limits)
            await client.threads.retrieve("t")
            waiting = asyncio.create_task(client.threads.retrieve("t"))
            await quiet()
            await client.close()
            with pytest.raises(LocalProtocolError, match="closed"):
                await waiting
            assert len(server.requests) == 1
        assert asyncio.get_running_loop().time() < MINUTE / 2

    virtual_time.run(main())


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
def test_a_run_that_is_left_is_cancelled_though_the_minute_is_full(kind: type[DashScope]) -> None:
    """The request that cancels it waits for no turn; those that follow wait for it."""

    async def main() -> None:
        async with LocalServer() as server, server.client(kind) as other:
            made = await other.assistants.create(model="m", name="n")
            thread = await other.threads.create()
            limits = Limits(requests_per_minute=2)
            async with server.client(kind, limits=limits) as client:
                async with client.stream(
                    "/say x\n/wait 300", thread_id=thread.id, assistant_id=made.id
                ) as stream:
                    await anext(stream)
                assert asyncio.get_running_loop().time() < MINUTE / 2
                (run,) = (await other.threads.runs.list(thread.id)).data
                assert run.status == "cancelled"
                await client.threads.retrieve(thread.id)
                assert asyncio.get_running_loop().time() >= MINUTE

    virtual_time.run(main())
