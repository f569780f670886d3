"""Whatever goes wrong, whoever is gone: one run for each that was meant, one answer for each call.

Hypothesis makes up histories: conversations, messages, runs with tools or with calls that are
answered by hand, cancellations, answers lost before and after the work, streams cut anywhere,
clients that vanish at any point and others that go on. After each step the server is looked at.
"""

from collections.abc import Coroutine, Sequence
from copy import copy
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiodashassist.server import desk, execution, writing
from tests.in_process import Break, Dropped, Lost, Status
from tests.providers.test_contract import CLIENTS
from tests.survival.server import Trouble, now
from tests.survival.world import Act, World
from tests.test_cancellation import at_suspension
from tests.virtual_time import VirtualTimeLoop

STEPS = 20
PLACES = st.integers(0, 99)  # of one among those that there are
CRASHES = st.none() | st.integers(1, 80)  # suspensions
ACTS = st.none() | st.builds(Act, what=st.sampled_from(["cancel", "leave"]), at=st.integers(1, 40))
FAULTS = st.one_of(
    st.just(Lost()),
    st.just(Dropped()),
    st.builds(Break, after=st.integers(0, 5000)),
    st.builds(partial(Break, error=None), after=st.integers(0, 5000)),
    st.sampled_from(
        [
            Status(status=429),
            Status(status=503, headers={"Retry-After": "3"}),
            Status(status=500),
            Status(status=500, done=True),
            Status(status=502, done=True),
        ]
    ),
)
PLANS = st.lists(
    st.builds(
        Trouble,
        fault=FAULTS,
        name=st.sampled_from(["", "CreateMessage", "CreateRun", "SubmitOutputs", "RetrieveRun"]),
        after=st.integers(0, 4),
        times=st.sampled_from([1, 1, 1, 2, 3, 9]),
    ),
    max_size=3,
)


class Survival(RuleBasedStateMachine):
    """What can happen; all time is virtual."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.world: World

    def do(
        self, work: Coroutine[Any, Any, object], plan: Sequence[Trouble] = (), lag: int = 0
    ) -> None:
        """Do it on the loop of this history, while this goes wrong."""
        self.world.server.plan = [copy(trouble) for trouble in plan]
        self.world.server.lag = lag
        self.loop.run_until_complete(work)

    @initialize(
        kind=st.sampled_from(CLIENTS),
        empty_call_ids=st.booleans(),
        cumulative=st.booleans(),
    )
    def begin(self, kind: Any, **options: Any) -> None:
        """A server of either kind, and its first client."""
        self.world = World(kind, **options)
        self.do(self.world.begin())

    @rule(plan=PLANS)
    def create_thread(self, plan: list[Trouble]) -> None:
        """A conversation is begun."""
        self.do(self.world.create_thread(), plan)

    @rule(place=PLACES, plan=PLANS)
    def say(self, place: int, plan: list[Trouble]) -> None:
        """A message is written, also where a run is under way."""
        threads = self.world.threads
        self.do(self.world.say(threads[place % len(threads)]), plan)

    @precondition(lambda self: self.world.free)
    @rule(
        place=PLACES,
        rounds=st.sampled_from([(2, 2), (1, 1), (2,), (1,), ()]),
        how=st.fixed_dictionaries(
            {
                "way": st.sampled_from(["ask", "stream", "create"]),
                "alike": st.booleans(),
                "good": st.booleans(),
                "by": st.sampled_from(["tool", "hand", "nobody"]),
                "on_exit": st.sampled_from(["cancel", "leave"]),
                "act": ACTS,
            }
        ),
        crash=CRASHES,
        trouble=st.tuples(PLANS, st.integers(0, 2)),
    )
    def ask(
        self,
        place: int,
        rounds: tuple[int, ...],
        how: dict[str, Any],
        crash: int | None,
        trouble: tuple[list[Trouble], int],
    ) -> None:
        """A run is begun and followed, to its end or to that of the client."""
        free = self.world.free
        work = self.world.ask(free[place % len(free)], rounds, **how)
        self.do(self.until(work, crash), *trouble)

    @precondition(lambda self: self.world.open)
    @rule(place=PLACES, act=ACTS, crash=CRASHES, plan=PLANS)
    def settle(self, place: int, act: Act | None, crash: int | None, plan: list[Trouble]) -> None:
        """Somebody goes on with a run that was left."""
        left = self.world.open
        self.do(self.until(self.world.settle(left[place % len(left)], act), crash), plan)

    @precondition(lambda self: self.world.unsent)
    @rule(place=PLACES, plan=PLANS)
    def submit(self, place: int, plan: list[Trouble]) -> None:
        """Calls that were left are answered."""
        left = self.world.unsent
        self.do(self.world.submit(left[place % len(left)]), plan)

    @precondition(lambda self: self.world.open)
    @rule(place=PLACES, plan=PLANS)
    def cancel(self, place: int, plan: list[Trouble]) -> None:
        """A run that was left is cancelled."""
        left = self.world.open
        self.do(self.world.cancel(left[place % len(left)]), plan)

    async def until(self, work: Coroutine[Any, Any, None], crash: int | None) -> None:
        """Do it to its end, or have the client vanish at this suspension."""
        if crash is None:
            await work
        elif await at_suspension(crash, work):
            await self.world.renew()

    @invariant()
    def what_was_meant_is_what_there_is(self) -> None:
        """See `World.check`."""
        self.do(self.world.check())

    def teardown(self) -> None:
        """When nothing goes wrong any more, everything comes to its end."""
        try:
            if hasattr(self, "world"):
                self.do(self.world.finish())
        finally:
            self.loop.close()


@pytest.mark.timeout(900)  # a failing history takes its time to be made short
@pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_runs_survive(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No history leads to a run, a message, a call or an output that is there twice, or lost."""
    for module in (desk, execution, writing):
        monkeypatch.setattr(module, "now", now)
    run_state_machine_as_test(
        Survival,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
