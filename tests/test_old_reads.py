"""A service whose answers are older than what it did: a run is read back right all the same."""

import random
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from aiodashassist import DashScope, OutcomeUnknown, Retry
from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal
from aiodashassist.server.desk import Desk
from aiodashassist.server.store import Store
from tests.in_process import Break, Status
from tests.recovery import (
    ALIKE,
    PROVIDERS,
    TALKS,
    TOOLS,
    Kind,
    Talk,
    World,
    check,
    named,
    no_pauses,
    world,
)

READS = (ops.RetrieveRun, ops.ListSteps, ops.ListMessages, ops.ListRuns)
CLIENT = {"retry": Retry(first_delay=0, attempts=6, budget=1000)}

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


Shelves = dict[Any, dict[str, Any]]


def shelves_of(ours: World) -> Shelves:
    """What the server keeps, as it is now."""
    return {key: dict(kept) for key, kept in ours.harness.store._shelves.items()}


def answer_from(shelves: Shelves, ours: World, operation: Operation[Any]) -> Status | None:
    """The answer to a read as things were; None where it is not there at all."""
    harness = ours.harness
    service = harness._services[0 if isinstance(ours.client, DashScope) else 1]
    store = Store()
    store._shelves = shelves
    desk = Desk(store, harness._runs, harness._disk, can_cancel=True)
    try:
        result = desk.execute("", operation, needs_user=service.needs_user)
    except Refusal:
        return None
    return Status(status=200, body=service.answer(operation, result, "r"))


class Replica:
    """Answers whoever reads as things were some requests ago; it never goes back in time itself.

    Args:
        ours: the world whose reads it answers, once it is open.
        chance: how far it is behind.
        most: so many requests at most.
    """

    def __init__(self, ours: World, chance: random.Random, most: int) -> None:
        self.is_open = False
        self._ours = ours
        self._chance = chance
        self._most = most
        self._past: list[Shelves] = []
        self._at = 0
        ours.on = self.answer

    def answer(self, operation: Operation[Any]) -> Status | None:
        """The answer to a read; everything else is done as always."""
        self._past.append(shelves_of(self._ours))
        if not self.is_open or not isinstance(operation, READS):
            return None
        newest = len(self._past) - 1
        self._at = max(self._at, newest - self._chance.randint(0, self._most), 0)
        return answer_from(self._past[self._at], self._ours, operation)


async def broken_and_read_late(seed: int) -> bool:
    """A run whose streams break anywhere, read from a replica; whether it came to its end."""
    chance = random.Random(seed)
    kind, talk = chance.choice(PROVIDERS), chance.choice(TALKS)
    nameless = talk.empty_call_ids or chance.random() < 0.3
    talk = replace(talk, empty_call_ids=False)  # calls are named by the step where that is seen
    async with world(kind, client=CLIENT, empty_call_ids=nameless) as ours:
        replica = Replica(ours, chance, most=chance.choice([1, 2, 4, 8, 20]))
        for number in range(3):
            error = chance.choice([None, aiohttp.ClientPayloadError])
            after = chance.randrange(9_000)
            if chance.random() < 0.7:
                ours.breaks[number] = Break(after=after, error=error)
        replica.is_open = True
        try:
            heard = await ours.heard(talk.question)
        except OutcomeUnknown:  # a run that no list shows for all looking
            assert len(ours.runs) == 1
            return False
        replica.is_open = False
        check(heard, ours.harness, ours.thread_id, talk)
        assert ours.count("SubmitOutputs") == len(talk.rounds)
        await ours.check_left()
    return True


async def try_seeds(seeds: range, capsys: pytest.CaptureFixture[str]) -> None:
    """Try so many runs; nearly all must come to their end."""
    ended = 0
    for seed in seeds:
        with named(f"seed {seed}"):
            ended += await broken_and_read_late(seed)
    with capsys.disabled():
        print(f"\n{ended} of {len(seeds)} runs read from a replica came to their end")
    assert ended > 0.97 * len(seeds)


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("talk", [TOOLS, ALIKE], ids=lambda talk: talk.name)
async def test_outputs_may_be_known_late_to_whoever_reads(kind: Kind, talk: Talk) -> None:
    """As long as all that is read is older than the outputs, their calls are not made again."""
    async with world(kind, empty_call_ids=talk.empty_call_ids) as ours:
        before, left = Shelves(), 0

        def frozen(operation: Operation[Any]) -> Status | None:
            nonlocal before, left
            if isinstance(operation, ops.SubmitOutputs):
                before, left = shelves_of(ours), 40
            if not left or not isinstance(operation, READS):
                return None
            left -= 1
            return answer_from(before, ours, operation)

        ours.on = frozen
        for after in (0, 1_500, 3_000, 4_500):
            ours.breaks = {number: Break(after=after) for number in range(3)}
            heard = await ours.heard(talk.question)
            check(heard, ours.harness, ours.thread_id, talk)
            assert ours.count("SubmitOutputs") == 2


async def test_reads_may_be_older_than_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Text once, each tool once, whatever is read late; a run that is not found is `unknown`."""
    await try_seeds(range(150), capsys)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_reads_may_be_older_in_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, for thousands."""
    await try_seeds(range(1_000, 6_000), capsys)
