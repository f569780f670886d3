"""Worker threads: how many, whose context, and what becomes of calls that nobody waits for."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from aiodashassist.errors import ToolError
from aiodashassist.threads import WorkerThreads

PATIENCE = 10  # seconds after which a test that hangs is ended


class Blocker:
    """A function that holds its thread until it is let go."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.started = asyncio.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        """Say that it runs, and hold."""
        self._loop.call_soon_threadsafe(self.started.set)
        self.release.wait(PATIENCE)
        return "released"


@pytest.fixture(name="blocker")
async def fixture_blocker() -> AsyncIterator[Blocker]:
    """A blocker that is let go at the end of the test."""
    blocker = Blocker()
    yield blocker
    blocker.release.set()


@pytest.fixture(name="make")
async def fixture_make() -> AsyncIterator[Callable[[int], WorkerThreads]]:
    """Makes worker threads that are closed at the end of the test."""
    made: list[WorkerThreads] = []

    def make(size: int) -> WorkerThreads:
        made.append(WorkerThreads(size))
        return made[-1]

    yield make
    for threads in made:
        threads.close()


Make = Callable[[int], WorkerThreads]


async def test_a_call_gives_its_value(make: Make) -> None:
    """A function runs in a thread that is not the loop's, and its value comes back."""
    threads = make(1)
    assert await threads.run(lambda: 6 * 7) == 42
    assert await threads.run(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), ToolError("x")], ids=repr)
async def test_a_call_gives_its_exception(make: Make, error: BaseException) -> None:
    """What a function raises is raised to the caller, the very same object."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await make(1).run(fail)
    assert caught.value is error


async def test_a_call_that_ends_an_iteration_comes_back(make: Make) -> None:
    """`StopIteration`, which no future takes, ends the call all the same."""

    def first() -> int:
        return next(iter(list[int]()))

    async with asyncio.timeout(1):
        with pytest.raises((RuntimeError, StopIteration)):
            await make(1).run(first)


async def test_a_call_sees_the_callers_context(make: Make) -> None:
    """Context variables are the caller's, and a change in the thread stays in the thread."""
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("caller's")
    threads = make(1)

    def look() -> str:
        seen = variable.get()
        variable.set("thread's")
        return seen

    assert await threads.run(look) == "caller's"
    assert variable.get() == "caller's"
    assert await threads.run(look) == "caller's"


async def test_calls_run_side_by_side_up_to_the_size(make: Make) -> None:
    """As many calls run at a time as there are threads, and never more."""
    threads, lock, meeting = make(2), threading.Lock(), threading.Barrier(2, timeout=PATIENCE)
    running: list[int] = []
    most = 0

    def work(number: int) -> int:
        nonlocal most
        with lock:
            running.append(number)
            most = max(most, len(running))
        meeting.wait()  # passes only if two are here at a time
        with lock:
            running.remove(number)
        return number

    calls = [threads.run(functools.partial(work, number)) for number in range(6)]
    assert await asyncio.gather(*calls) == list(range(6))
    assert most == 2


async def test_a_call_that_is_cancelled_in_the_queue_is_never_made(
    make: Make, blocker: Blocker
) -> None:
    """A call that was given up before its turn does not run when its turn comes."""
    threads, made = make(1), list[str]()
    first = asyncio.create_task(threads.run(blocker))
    await blocker.started.wait()
    second = asyncio.create_task(threads.run(lambda: made.append("second")))
    third = asyncio.create_task(threads.run(lambda: made.append("third")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second}, timeout=PATIENCE)
    blocker.release.set()
    assert await first == "released"
    await third
    assert second.cancelled()
    assert made == ["third"]


async def abandon(threads: WorkerThreads, blocker: Blocker) -> None:
    """Leave a call at work in its thread with nobody waiting for it."""
    call = asyncio.create_task(threads.run(blocker))
    await blocker.started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_busy_when_every_thread_is_held(make: Make, blocker: Blocker) -> None:
    """When calls that nobody waits for hold every thread, the next call is told so at once."""
    threads = make(1)
    await abandon(threads, blocker)
    with pytest.raises(ToolError, match="busy"):
        await threads.run(int)


async def test_not_busy_while_a_thread_is_free(make: Make, blocker: Blocker) -> None:
    """As long as one thread is free, calls are made."""
    threads = make(2)
    await abandon(threads, blocker)
    assert await threads.run(lambda: 1) == 1


async def test_not_busy_any_more_when_a_thread_is_free_again(make: Make, blocker: Blocker) -> None:
    """A thread that comes back is used again."""
    threads = make(1)
    await abandon(threads, blocker)
    (left,) = threads._left
    blocker.release.set()
    await asyncio.wrap_future(left)
    assert await threads.run(lambda: 1) == 1


async def test_a_call_in_the_queue_is_told_too(make: Make, blocker: Blocker) -> None:
    """A call that already waits when the last thread is lost does not wait for ever."""
    threads = make(1)
    first = asyncio.create_task(threads.run(blocker))
    await blocker.started.wait()
    second = asyncio.create_task(threads.run(int))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(ToolError, match="busy"):
            await second


async def test_calls_that_are_waited_for_are_not_busy(make: Make, blocker: Blocker) -> None:
    """A queue behind calls that somebody waits for is a queue, and moves on."""
    threads = make(1)
    first = asyncio.create_task(threads.run(blocker))
    await blocker.started.wait()
    second = asyncio.create_task(threads.run(lambda: "second"))
    await asyncio.sleep(0)
    assert not second.done()
    blocker.release.set()
    assert await first == "released"
    assert await second == "second"


async def test_closing_waits_for_nobody(make: Make, blocker: Blocker) -> None:
    """Closing returns at once: the call at work ends in peace, those in the queue are cancelled."""
    threads = make(1)
    first = asyncio.create_task(threads.run(blocker))
    await blocker.started.wait()
    second = asyncio.create_task(threads.run(int))
    await asyncio.sleep(0)
    threads.close()
    await asyncio.wait({second}, timeout=PATIENCE)
    assert second.cancelled()
    assert not first.done()
    blocker.release.set()
    assert await first == "released"


async def test_closing_ends_the_threads(make: Make) -> None:
    """After closing no thread of ours is left."""
    threads = make(1)
    thread = await threads.run(threading.current_thread)
    assert thread.name.startswith("aiodashassist")
    threads.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_closing_can_be_repeated() -> None:
    """Closing what was never used, or is closed already, does nothing."""
    threads = WorkerThreads(1)
    threads.close()
    threads.close()
