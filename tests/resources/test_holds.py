"""Holds of threads: who waits for whom, and who would wait for itself."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from aiodashassist import LocalProtocolError
from aiodashassist.resources import holds
from aiodashassist.resources.holds import Hold, hold
from tests.test_cancellation import at_suspension, at_turn

PATIENCE = 10  # seconds; nothing here takes one
URL = "https://service.example/api"


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """When nobody is on a thread, nothing is kept of it."""
    yield
    gc.collect()
    assert not holds._threads


class Visitor:
    """Takes a turn, notes that it has it, and stays until it is let go."""

    def __init__(self, there: Hold, begun: list["Visitor"]) -> None:
        self.may_leave = asyncio.Event()
        self._there = there
        self._begun = begun

    async def visit(self) -> None:
        """Come, stay and go."""
        async with self._there.turn():
            self._begun.append(self)
            await self.may_leave.wait()


async def quiet() -> None:
    """Let everything happen that can happen now."""
    for _ in range(20):
        await asyncio.sleep(0)


def in_line(there: list[Hold]) -> tuple[list[Visitor], list[Visitor], list[asyncio.Task[None]]]:
    """A visitor for each hold, in a task of its own; and those who have their turn."""
    begun: list[Visitor] = []
    visitors = [Visitor(one, begun) for one in there]
    return visitors, begun, [asyncio.create_task(one.visit()) for one in visitors]


async def is_free(there: Hold) -> bool:
    """Whether another task gets a turn at once."""
    (visitor,), begun, (task,) = in_line([there])
    visitor.may_leave.set()
    await quiet()
    task.cancel()
    await asyncio.wait([task])
    return begun == [visitor]


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    """One at a time, whether they are of one hold or of several."""
    shared = hold(URL, "t")
    visitors, begun, tasks = in_line([shared, shared, shared])
    await quiet()
    others, _, other_tasks = in_line([hold(URL, "t"), hold(URL, "t")])
    for count, visitor in enumerate(visitors, 1):
        await quiet()
        assert begun == visitors[:count]
        visitor.may_leave.set()
    for one in others:
        one.may_leave.set()
    await asyncio.wait_for(asyncio.gather(*tasks, *other_tasks), PATIENCE)


async def test_a_hold_is_kept_while_its_session_is_entered() -> None:
    """Its calls come in, before and after the first; others only when all of it is left."""
    ours, theirs = hold(URL, "t"), hold(URL, "t")
    ours.enter()
    assert await is_free(theirs)  # it holds the thread from its first turn
    async with ours.turn():
        pass
    assert await is_free(ours)
    assert not await is_free(theirs)
    (last,), begun, (task,) = in_line([ours])
    await quiet()
    ours.leave()
    assert begun == [last]
    assert not await is_free(theirs)  # a call goes on
    last.may_leave.set()
    await task
    assert await is_free(theirs)


async def test_a_turn_in_a_turn_of_the_same_task_is_an_error() -> None:
    """Told at once, of its own hold and of others of the thread; the turn it has goes on."""
    ours, theirs = hold(URL, "t"), hold(URL, "t")
    for _ in range(2):
        async with ours.turn():
            for there in (ours, theirs):
                with pytest.raises(LocalProtocolError, match="leave it first, or ask in another"):
                    async with asyncio.timeout(PATIENCE), there.turn():
                        pass
            assert not await is_free(ours)
        assert await is_free(theirs)
        async with theirs.turn():
            pass


async def test_a_task_that_has_entered_a_session_does_not_wait_for_another() -> None:
    """Told at once; the session's own turns are free to it, and others when it has left."""
    ours, theirs = hold(URL, "t"), hold(URL, "t")
    ours.enter()
    async with ours.turn():
        pass
    with pytest.raises(LocalProtocolError, match="entered another session"):
        async with asyncio.timeout(PATIENCE), theirs.turn():
            pass
    async with ours.turn():
        pass
    ours.leave()
    async with theirs.turn():
        pass


async def test_a_task_of_a_session_does_not_wait_for_another_in_its_turn() -> None:
    """The turn is what counts, also where another task has entered the session."""
    ours, theirs = hold(URL, "t"), hold(URL, "t")
    ours.enter()

    async def nested() -> None:
        async with asyncio.timeout(PATIENCE), ours.turn(), theirs.turn():
            pass

    with pytest.raises(LocalProtocolError, match="stream"):
        await asyncio.create_task(nested())
    ours.leave()
    assert await is_free(theirs)


async def test_what_a_task_has_left_to_others_is_theirs() -> None:
    """A turn that was taken in a task which has ended is waited for; it may end in another."""
    ours = hold(URL, "t")
    turn = ours.turn()
    await asyncio.create_task(turn.__aenter__())
    waiting = in_line([ours, hold(URL, "t")])
    for one in waiting[0]:
        one.may_leave.set()
    await quiet()
    assert waiting[1] == []
    await asyncio.create_task(turn.__aexit__(None, None, None))
    await asyncio.wait_for(asyncio.gather(*waiting[2]), PATIENCE)


async def test_only_who_is_on_the_thread_would_wait_for_itself() -> None:
    """A session that is entered, and has had no turn yet, is in nobody's way."""
    ours = hold(URL, "t")
    (holder,), _, (holding,) = in_line([hold(URL, "t")])
    await quiet()
    ours.enter()
    asyncio.get_running_loop().call_soon(holder.may_leave.set)
    async with asyncio.timeout(PATIENCE), hold(URL, "t").turn():
        pass
    ours.leave()
    await holding


async def test_a_turn_that_fails_is_over() -> None:
    """An error, or a cancelled body, gives the thread back."""
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with hold(URL, "t").turn():
                raise error
    assert await is_free(hold(URL, "t"))


async def test_threads_services_and_spellings() -> None:
    """Another thread or service is another place; a slash at the end of a URL is none."""
    async with hold(URL, "t").turn():
        assert await is_free(hold(URL, "u"))
        assert await is_free(hold("https://other.example/api", "t"))
        assert not await is_free(hold(URL + "/", "t"))
        async with hold(URL, "u").turn():  # this task's, too
            pass


Cancel = Callable[[int, Coroutine[Any, Any, None]], Any]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("cancel", "least"), [(at_suspension, 1), (at_turn, 3)])
async def test_one_that_is_cancelled_anywhere_takes_no_place_along(
    cancel: Cancel, least: int, shared: bool
) -> None:
    """At each moment in turn: who stands behind it comes next, and the thread is free then."""
    at, reached = 0, True
    while reached:
        at += 1
        ours = hold(URL, "t")
        (holder,), begun, tasks = in_line([ours])
        victim = Visitor(ours if shared else hold(URL, "t"), begun)
        victim.may_leave.set()
        await quiet()

        async def scene(
            victim: Visitor = victim,
            holder: Visitor = holder,
            tasks: list[asyncio.Task[None]] = tasks,
        ) -> None:
            visitors, _, more = in_line([hold(URL, "t")])
            visitors[0].may_leave.set()
            tasks += more
            asyncio.get_running_loop().call_soon(holder.may_leave.set)
            await victim.visit()

        reached = await cancel(at, scene())
        holder.may_leave.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        assert await is_free(hold(URL, "t")), f"cancelled at {at}"
    assert at > least
