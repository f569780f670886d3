"""The clocks of a stream, in virtual time."""

import asyncio
import time

import pytest

from aiodashassist.clocks import Alarm, SilenceClock, expiry
from aiodashassist.core.models import Run
from tests.virtual_time import run


class Bell:
    """Notes the times at which it was rung."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> None:
        """Ring."""
        self.times.append(asyncio.get_running_loop().time())


def test_an_alarm_rings_once_when_its_time_is_over() -> None:
    """An alarm rings at its time, not before and not again."""

    async def main() -> None:
        ring = Bell()
        Alarm(5, ring)
        await asyncio.sleep(4)
        assert ring.times == []
        await asyncio.sleep(2)
        assert ring.times == [5]
        await asyncio.sleep(100)
        assert ring.times == [5]

    run(main())


@pytest.mark.parametrize("seconds", [None, 5])
def test_an_alarm_that_is_stopped_or_unset_never_rings(seconds: float | None) -> None:
    """A stopped alarm, and one without a time, stay silent; both can be stopped again."""

    async def main() -> None:
        ring = Bell()
        alarm = Alarm(seconds, ring)
        alarm.stop()
        alarm.stop()
        await asyncio.sleep(100)
        assert ring.times == []

    run(main())


def test_an_alarm_can_be_stopped_after_it_rang() -> None:
    """Stopping too late does no harm."""

    async def main() -> None:
        ring = Bell()
        alarm = Alarm(1, ring)
        await asyncio.sleep(2)
        alarm.stop()
        assert ring.times == [1]

    run(main())


def test_silence_ends_at_its_limit() -> None:
    """A wait without an event expires when the limit is over, once."""

    async def main() -> None:
        expired = Bell()
        SilenceClock(10, expired).waiting()
        await asyncio.sleep(9)
        assert expired.times == []
        await asyncio.sleep(100)
        assert expired.times == [10]

    run(main())


def test_only_waiting_counts_as_silence() -> None:
    """The time that nobody waits does not count, however long; the waits add up."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired)
        for _ in range(3):  # 3 s of silence and 50 s of something else, thrice
            clock.waiting()
            await asyncio.sleep(3)
            clock.waited()
            await asyncio.sleep(50)
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == [3 * 53 + 1]

    run(main())


def test_the_timer_is_moved_when_it_rings_too_early() -> None:
    """A timer that was armed for an earlier wait does not cut a later one short."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired)
        clock.waiting()
        await asyncio.sleep(2)
        clock.waited()
        await asyncio.sleep(4)
        clock.waiting()  # at 6, with 8 s left; the timer of the first wait rings at 10
        await asyncio.sleep(100)
        assert expired.times == [14]

    run(main())


def test_an_event_restarts_the_whole_patience() -> None:
    """After an event the silence is counted from nothing."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired)
        for _ in range(5):
            clock.waiting()
            await asyncio.sleep(9)
            clock.waited()
            clock.restart(10)
        assert expired.times == []
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == [55]

    run(main())


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(60, 5, [7]), (5, 60, [62]), (60, None, []), (None, 5, [7])],
)
def test_a_restart_can_change_the_limit(
    first: float | None, second: float | None, expected: list[float]
) -> None:
    """A limit that is made shorter, longer, absent or present holds from the next wait on."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(first, expired)
        clock.waiting()
        await asyncio.sleep(2)
        clock.waited()
        clock.restart(second)
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == expected

    run(main())


@pytest.mark.parametrize(("spent", "expected"), [(0, 10), (7, 3), (10, 0), (25, 0)])
def test_what_was_spent_before_counts(spent: float, expected: float) -> None:
    """Silence that was borne before the clock was made shortens the first silence."""

    async def main() -> None:
        expired = Bell()
        SilenceClock(10, expired, spent=spent).waiting()
        await asyncio.sleep(100)
        assert expired.times == [expected]

    run(main())


def test_what_was_spent_before_counts_for_the_first_silence_only() -> None:
    """After an event, what was spent before is forgotten."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired, spent=9)
        clock.restart(10)
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == [10]

    run(main())


def test_no_limit_never_expires() -> None:
    """Without a limit all silence is borne."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(None, expired)
        clock.waiting()
        await asyncio.sleep(1e6)
        clock.waited()
        assert expired.times == []

    run(main())


def test_a_stopped_clock_watches_again_from_the_next_wait() -> None:
    """Stopping is silent and can be repeated; the next wait goes on with what is left."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired)
        clock.waiting()
        await asyncio.sleep(4)
        clock.stop()
        clock.stop()
        clock.waited()
        await asyncio.sleep(100)
        assert expired.times == []
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == [110]

    run(main())


def test_the_end_of_a_wait_that_did_not_begin_counts_nothing() -> None:
    """`waited` without `waiting` changes nothing."""

    async def main() -> None:
        expired = Bell()
        clock = SilenceClock(10, expired)
        await asyncio.sleep(5)
        clock.waited()
        clock.waiting()
        await asyncio.sleep(100)
        assert expired.times == [15]

    run(main())


def test_a_run_s_expiry_is_told_by_the_loop_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service tells milliseconds since 1970 (dashscope.md §3.5); the loop counts its own."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)

    async def main() -> float | None:
        await asyncio.sleep(7)
        return expiry(Run(id="run_1", expires_at=1_000_600_000))

    assert run(main()) == pytest.approx(7 + 600)


@pytest.mark.parametrize(
    "given", [None, Run(id="run_1"), Run(id="run_1", expires_at=999_000_000)],
    ids=["no run", "not told", "long over"],
)  # fmt: skip
async def test_an_expiry_that_is_not_told_is_none(
    given: Run | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is over while the run still waits tells only that two clocks differ."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)

    assert expiry(given) is None
