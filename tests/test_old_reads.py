"""A service whose answers are older than what it did: a run is read back right all the same."""

import random
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from aiodashassist import OutcomeUnknown, Retry
from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Refusal
from aiodashassist.server.desk import Desk
from aiodashassist.server.store import Store
from tests.in_process import Break, Status
from tests.recovery import PROVIDERS, TALKS, World, check, named, no_pauses, world

READS = (ops.RetrieveRun, ops.ListSteps, ops.ListMessages, ops.ListRuns)
CLIENT = {"retry": Retry(first_delay=0, attempts=6, budget=1000)}

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


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
        self._past: list[dict[Any, Any]] = []
        self._at = 0
        wire = 0 if isinstance(ours.client, PROVIDERS[0]) else 1
        self._service = ours.harness._services[wire]
        ours.on = self.answer

    def answer(self, operation: Operation[Any]) -> Status | None:
        """The answer to a read; everything else is done as always."""
        harness = self._ours.harness
        self._past.append({key: dict(kept) for key, kept in harness.store._shelves.items()})
        if not self.is_open or not isinstance(operation, READS):
            return None
        newest = len(self._past) - 1
        self._at = max(self._at, newest - self._chance.randint(0, self._most), 0)
        store = Store()
        store._shelves = self._past[self._at]
        desk = Desk(store, harness._runs, harness._disk, can_cancel=True)
        try:
            result = desk.execute("", operation, needs_user=self._service.needs_user)
        except Refusal:
            return None  # it is not there yet at all
        return Status(status=200, body=self._service.answer(operation, result, "r"))


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


async def test_reads_may_be_older_than_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Text once, each tool once, whatever is read late; a run that is not found is `unknown`."""
    await try_seeds(range(150), capsys)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_reads_may_be_older_in_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, for thousands."""
    await try_seeds(range(1_000, 6_000), capsys)
