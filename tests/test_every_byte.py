"""A run's stream that ends after every byte of it in turn: nothing is lost, nothing done twice."""

import os
from datetime import date

import aiohttp
import pytest
from msgspec import Struct

from aiodashassist import AppBuilder, DashScope, Thread
from tests.in_process import Break, Exchange
from tests.recovery import TALKS, Heard, Kind, Talk, World, check, named, no_pauses, world

STRIDE = 97  # bytes, in the usual suite
TODAY = 0 if "CI" in os.environ else date.today().toordinal()  # noqa: DTZ011 (any number does)
HOWS = ("ends", "breaks")

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


class Case(Struct, frozen=True):
    """One of the streams of a run: its first, or the one that a submission opens."""

    kind: Kind
    talk: Talk
    stream: int

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.talk.name}-{self.stream}"


CASES = [
    *(Case(DashScope, talk, i) for talk in TALKS for i in range(1 + len(talk.rounds))),
    *(Case(AppBuilder, talk, 0) for talk in TALKS),
]
EACH_CASE = pytest.mark.parametrize("number", range(len(CASES)), ids=list(map(str, CASES)))


async def run_once(world: World, talk: Talk) -> Heard:
    """One run, on a thread of its own, and all that can be asked of it."""
    heard = await world.heard(talk.question)
    check(heard, world.harness, world.thread_id, talk)
    assert world.count("SubmitOutputs") == len(talk.rounds)
    await world.check_left()
    world.harness.store.delete("", Thread, world.thread_id)
    return heard


def end_of_run(stream: Exchange, case: Case) -> int:
    """The length of a stream up to its run's rest; on DashScope's wire `done` comes after it."""
    closing = stream.sizes[-1] if case.kind is DashScope else 0
    return stream.length - closing


async def sweep(case: Case, how: str, first: int, stride: int) -> int:
    """Break the stream of a case after each `stride`-th byte; how many places that were."""
    talk, error = case.talk, None if how == "ends" else aiohttp.ClientPayloadError
    async with world(case.kind, empty_call_ids=talk.empty_call_ids) as ours:
        assert not (await run_once(ours, talk)).recovered
        stream = [one for one in ours.harness.exchanges if one.stream][case.stream]
        # An end may fall before the empty line of the last event, which is then whole.
        last = end_of_run(stream, case) - (2 if how == "ends" else 0)
        places = {*range(first, stream.length + 1, stride), *range(last - 2, last + 2)}
        places = {after for after in places if after <= stream.length}
        for after in sorted(places):
            ours.breaks = {case.stream: Break(after=after, error=error)}
            with named(f"{case} {how} after {after} bytes"):
                heard = await run_once(ours, talk)
                assert len(heard.recovered) == (after < last)
    return len(places)


async def try_places(
    number: int, strides: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Sweep over the stream of a case, in both ways, and say over how many places."""
    case = CASES[number]
    for how, stride in strides.items():
        first = (TODAY + 13 * number) % stride
        tried = await sweep(case, how, first, stride)
        with capsys.disabled():
            print(f"\n{case} {how}: {tried} places, each {stride} from {first} on")


@EACH_CASE
async def test_now_and_then_a_byte(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """After each 97th byte, beginning with another one each day: as after every byte."""
    await try_places(number, dict.fromkeys(HOWS, STRIDE), capsys)


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_CASE
async def test_every_byte(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """After every byte that it ends after, each text, call, step and message comes once.

    A connection that breaks hands out the same bytes: it is tried after every seventh, as are both
    ways where the rounds of a run are alike.
    """
    alike = CASES[number].talk.name == "alike"
    await try_places(number, {"ends": 7 if alike else 1, "breaks": 7}, capsys)
