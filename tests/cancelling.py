"""Cancels a task at every suspension point of all that runs, in turn.

The points are those of every task on the loop: of the one that is cancelled, of those it waits
for, and of the server's, if that is on the loop too. So each order of events comes to its turn.
"""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from datetime import date
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

import anyio

from tests.recovery import named
from tests.virtual_time import VirtualTimeLoop

__all__ = ("CANCELS", "WAYS", "Point", "Points", "Way", "done", "run", "the_loop", "walk")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Strike: TypeAlias = Callable[[], object]
Work: TypeAlias = Coroutine[Any, Any, T]

TODAY = 0 if "CI" in os.environ else date.today().toordinal()  # noqa: DTZ011 (any number does)
FAR = 1e6  # virtual seconds; a time limit that is never over by itself


class Points:
    """Counts the suspensions of all tasks while one of them is at work, and strikes at one.

    A strike is done right when some task suspends; a late one when what that task waits for is
    there, just before it goes on.

    Attributes:
        count: the points so far.
        struck: when it was struck, by the loop's clock; None where it was not.
    """

    def __init__(self) -> None:
        self.count = 0
        self.struck: float | None = None
        self._at = 0
        self._late = False
        self._again = 0
        self._victim: asyncio.Task[Any] | None = None
        self._aside: asyncio.Task[Any] | None = None  # only looks on
        self._strike: Strike = lambda: None

    def aim(self, at: int, *, late: bool = False) -> None:
        """Strike at this point, from 1, of the next victims; 0 strikes none."""
        self._at, self._late = at, late
        self.count, self.struck, self._again, self._victim = 0, None, 0, None

    def watch(self, victim: asyncio.Task[Any], strike: Strike, *, again: int = 0) -> None:
        """Count from now on, as long as the victim is at work.

        With `again` it is struck at so many of its own next suspensions, too.
        """
        self._victim, self._strike = victim, strike
        self._again = again if self.struck is None else 0
        self._aside = asyncio.current_task()

    def suspended(self, waited: Any) -> None:
        """A task waits: for a future, or (None) for its next turn."""
        victim = self._victim
        if victim is None or victim.done() or asyncio.current_task() is self._aside:
            return
        if self.struck is not None and self._again and asyncio.current_task() is victim:
            self._again -= 1
            self._strike()
        self.count += 1
        if self.count != self._at:
            return
        if not self._late:
            self._hit()
        elif waited is None:
            asyncio.get_running_loop().call_soon(self._hit)
        else:
            waited.add_done_callback(self._hit)

    def _hit(self, _done: object = None) -> None:
        if self._victim is not None and not self._victim.done():
            self.struck = asyncio.get_running_loop().time()
            self._strike()


class _Watched(Coroutine[Any, Any, T]):
    """A coroutine whose suspensions are counted."""

    def __init__(self, work: Work[T], points: Points) -> None:
        self._work = work
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # cr_frame and the like, for those who look

    def __await__(self) -> Generator[Any, Any, T]:
        return self._work.__await__()

    def send(self, value: Any) -> Any:
        """Go on."""
        waited = self._work.send(value)
        self._points.suspended(waited)
        return waited

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        waited = self._work.throw(*error)
        self._points.suspended(waited)
        return waited

    def close(self) -> None:
        """End it."""
        self._work.close()


class WatchedLoop(VirtualTimeLoop):
    """Its tasks' suspensions are counted; it takes no time, and notes what it would complain of.

    Attributes:
        points: the count.
        far: rings the bell that is set for `FAR`.
        complaints: of tasks whose errors nobody took, and the like.
    """

    def __init__(self) -> None:
        super().__init__()
        self.points = Points()
        self.far: Strike = lambda: None
        self.complaints: list[dict[str, Any]] = []
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda _loop, context: self.complaints.append(context))

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As every loop's."""
        if when >= FAR:
            self.far = lambda: self.call_soon(callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)

    def _task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        return asyncio.Task(_Watched(work, self.points), loop=loop, **options)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own whose points are counted, in virtual time."""
    with asyncio.Runner(loop_factory=WatchedLoop) as runner:
        result = runner.run(main)
        loop = runner.get_loop()
        gc.collect()  # a task that was lost complains when it is gone
    assert isinstance(loop, WatchedLoop)
    assert not loop.complaints
    return result


def the_loop() -> WatchedLoop:
    """The loop that `run` runs on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, WatchedLoop)
    return loop


Way: TypeAlias = Callable[[Work[Any]], Awaitable[asyncio.Task[Any]]]
"""Has work done in a task that is struck in some way; gives the task when it is done."""


async def done(
    work: Work[Any], strike: Strike | None = None, *, again: int = 0
) -> asyncio.Task[Any]:
    """Have the work done in a task; it is cancelled, unless the strike is something else."""
    task = asyncio.create_task(work)
    the_loop().points.watch(task, strike or task.cancel, again=again)
    await asyncio.wait({task})
    return task


async def once(work: Work[Any]) -> asyncio.Task[Any]:
    """The task is cancelled."""
    return await done(work)


async def twice(work: Work[Any]) -> asyncio.Task[Any]:
    """It is cancelled, and once more while it winds up."""
    return await done(work, again=1)


async def timed_out(work: Work[Any]) -> asyncio.Task[Any]:
    """An `asyncio.timeout` around the work runs out."""
    scope = asyncio.timeout(None)

    async def scoped() -> Any:
        async with scope:
            return await work

    return await done(scoped(), lambda: scope.reschedule(the_loop().time()))


async def failed_after(work: Work[Any]) -> asyncio.Task[Any]:
    """A scope of anyio around the work runs out: it cancels again and again until it is left."""
    cell = anyio.CancelScope()

    async def scoped() -> Any:
        nonlocal cell
        with anyio.fail_after(None) as cell:
            return await work

    def strike() -> None:
        cell.deadline = the_loop().time()

    return await done(scoped(), strike)


async def not_waited_for(work: Work[Any]) -> asyncio.Task[Any]:
    """An `asyncio.wait_for` around the work runs out."""
    return await done(asyncio.wait_for(work, FAR), lambda: the_loop().far())


async def left_waiting(work: Work[Any]) -> asyncio.Task[Any]:
    """Whoever waits for the work by `asyncio.wait_for` is cancelled."""
    return await done(asyncio.wait_for(work, FAR))


CANCELS: dict[str, Way] = {"once": once, "twice": twice, "left waiting": left_waiting}
LIMITS: dict[str, Way] = {
    "timeout": timed_out,
    "fail_after": failed_after,
    "wait_for": not_waited_for,
}
WAYS = {**CANCELS, **LIMITS}


Point: TypeAlias = Callable[[], Awaitable[None]]
"""Plays once, and is struck at the point that was aimed at, if it comes so far."""


def walk(
    point: Point, title: str, capsys: Any, *, late: bool | None = None, stride: int = 1
) -> None:
    """Strike at each point in turn, or at each `stride`-th, and say how many these were.

    Without a word about `late`, every other strike is.
    """

    async def main() -> tuple[int, int]:
        points, struck = the_loop().points, 0
        points.aim(0)
        await point()
        count = points.count
        for at in range(1 + TODAY % min(stride, count), count + 1, stride):
            points.aim(at, late=struck % 2 == 1 if late is None else late)
            with named(f"struck at point {at} of {count}"):
                await point()
            struck += 1
        return struck, count

    struck, count = run(main())
    with capsys.disabled():
        print(f"\n{title}: {struck} of {count} points")
    assert struck
