"""The tasks of one stream, and a wait for them that can be interrupted."""

import asyncio

import pytest

from aiodashassist.errands import Errands
from aiodashassist.errors import StreamInterrupted, TotalTimeout


async def number() -> int:
    """A task that is soon done."""
    await asyncio.sleep(0)
    return 7


async def endless() -> None:
    """A task that is never done."""
    await asyncio.Event().wait()


async def test_a_wait_ends_with_the_first_that_is_done() -> None:
    """The others go on."""
    errands = Errands()
    short, long = errands.begin(number()), errands.begin(endless())
    await errands.wait({short, long})

    assert short.result() == 7
    assert not long.done()
    await asyncio.wait(errands.cancel())


async def test_a_wait_can_be_interrupted_and_begun_again() -> None:
    """`interrupt` wakes whoever waits, cancels nothing, and does not last."""
    errands = Errands()
    errands.interrupt()
    task = errands.begin(endless())
    for _ in range(2):
        waiting = asyncio.create_task(errands.wait({task}))
        await asyncio.sleep(0)
        errands.interrupt()
        errands.interrupt()
        await asyncio.wait_for(waiting, 1)

    assert not task.done()
    await asyncio.wait(errands.cancel())


async def test_a_wait_that_is_cancelled_cancels_nothing() -> None:
    """What is waited for outlives who waits."""
    errands = Errands()
    task = errands.begin(number())
    waiting = asyncio.create_task(errands.wait({task}))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await task == 7


async def test_cancelling_spares_one_and_takes_in_those_of_others() -> None:
    """All tasks are cancelled, adopted ones too, but for the one that is spared."""
    errands = Errands()
    spared, other = errands.begin(endless()), errands.begin(endless())
    adopted = asyncio.create_task(endless())
    errands.adopt([adopted])
    cancelled = errands.cancel({spared, None})
    await asyncio.wait(cancelled)

    assert cancelled == {other, adopted}
    assert not spared.done()
    await asyncio.wait(errands.cancel())
    assert errands.cancel() == set()


async def test_an_error_that_nobody_waits_for_is_no_warning() -> None:
    """A task may fail when whoever began it has gone: it is not reported as lost."""

    async def fail() -> None:
        raise RuntimeError

    errands = Errands()
    errands.begin(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert errands.cancel() == set()


async def test_a_failure_ends_every_wait() -> None:
    """The wait under way and all later ones raise it, and so does who checks; no task ends."""
    errands, error = Errands(), TotalTimeout("late")
    errands.check()
    task = errands.begin(endless())
    waiting = asyncio.create_task(errands.wait({task}))
    await asyncio.sleep(0)
    errands.fail(error)
    with pytest.raises(TotalTimeout) as during:
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(TotalTimeout) as after:
        await errands.wait({task})
    with pytest.raises(TotalTimeout) as checked:
        errands.check()

    assert during.value is after.value is checked.value is error
    assert not task.done()
    await asyncio.wait(errands.cancel())


async def test_the_first_failure_counts() -> None:
    """What comes after it is its consequence."""
    errands, error = Errands(), TotalTimeout("late")
    errands.fail(error)
    errands.fail(StreamInterrupted("closed"))
    with pytest.raises(TotalTimeout) as caught:
        errands.check()

    assert caught.value is error
