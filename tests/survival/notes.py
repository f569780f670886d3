"""What was meant to be, and what was told of it, to be held against what the server keeps."""

import re
from collections import Counter

from msgspec import Struct

from aiodashassist.core.models import Message, Run
from aiodashassist.core.tooling import ToolOutput
from tests.survival.server import Server

__all__ = ("NEVER", "Intention", "Notes", "Told")

NEVER = "never begun"
SERIAL = re.compile(r"<(\d+)>")


class Told(Struct):
    """A message that was to be written; `stored` is whether somebody was told that it is."""

    thread_id: str
    text: str
    stored: bool = False


class Intention(Struct, eq=False):
    """A run that was meant to be.

    Attributes:
        thread_id: where.
        rounds: how many calls there are in each.
        before: the runs that were on the thread already.
        cancelled: whether somebody may have cancelled it.
        status: how it ended, as the caller was told; `""` where nobody was told.
        outputs: what its calls gave and the service may not have.
        unsent: whether the service certainly does not have them.
        again: calls that may be made once more, since whoever made them was gone.
    """

    thread_id: str
    rounds: tuple[int, ...]
    before: frozenset[str]
    cancelled: bool
    status: str = ""
    outputs: tuple[ToolOutput, ...] = ()
    unsent: bool = False
    again: int = 0

    def forget(self) -> None:
        """Whoever made its calls is gone, and so may be what the round under way gave."""
        self.again += max(self.rounds, default=0)


class Made(Struct, frozen=True):
    """A call that was made, by a tool or by hand."""

    run_id: str
    key: str


class Notes:
    """All messages and runs that were meant, and all calls that were made.

    Args:
        server: where they should be.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._told: list[Told] = []
        self._intentions: list[Intention] = []
        self._made: list[Made] = []

    @property
    def open(self) -> list[Intention]:
        """The intentions of which nobody was told how they ended."""
        return [one for one in self._intentions if not one.status]

    def say(self, thread_id: str, text: str) -> Told:
        """A message is about to be written."""
        told = Told(thread_id, text)
        self._told.append(told)
        return told

    def mean(self, thread_id: str, rounds: tuple[int, ...], *, cancelled: bool) -> Intention:
        """A run is about to be asked for."""
        before = frozenset(run.id for run in self._server.runs(thread_id))
        intention = Intention(thread_id, rounds, before, cancelled)
        self._intentions.append(intention)
        return intention

    def make(self, run_id: str, key: str) -> str:
        """A call is made; what it gives, which no other call does."""
        self._made.append(Made(run_id, key))
        return f"<{len(self._made) - 1}>"

    def stored(self, told: Told) -> list[Message]:
        """The messages that say so."""
        return [one for one in self._server.messages(told.thread_id) if one.text == told.text]

    def runs_of(self, intention: Intention) -> list[Run]:
        """The runs that began after it was meant, and before the next one on its thread was."""
        later = self._intentions[self._intentions.index(intention) + 1 :]
        since = next((one.before for one in later if one.thread_id == intention.thread_id), None)
        return [
            run
            for run in self._server.runs(intention.thread_id)
            if run.id not in intention.before and (since is None or run.id in since)
        ]

    def run_of(self, intention: Intention) -> Run:
        """The one that there is."""
        (run,) = self.runs_of(intention)
        return run

    def check(self) -> None:
        """Nothing is there twice, nothing that somebody was told of is missing."""
        self._check_messages()
        used: Counter[int] = Counter()
        for intention in self._intentions:
            runs = self.runs_of(intention)
            assert len(runs) <= 1, "one intention, two runs"
            assert runs or intention.status in {"", NEVER}, "a run is gone"
            for run in runs:
                self._check_run(intention, run)
                used += self._checked_calls(intention, run)
        assert set(used.values()) <= {1}, "one output, two calls"

    def _check_messages(self) -> None:
        for told in self._told:
            count = len(self.stored(told))
            assert count == 1 or (count == 0 and not told.stored), told
        texts = {(told.thread_id, told.text) for told in self._told}
        for thread in self._server.threads():
            for message in self._server.messages(thread.id):
                assert message.role == "assistant" or (thread.id, message.text) in texts

    def _check_run(self, intention: Intention, run: Run) -> None:
        assert run.status == intention.status or not intention.status
        assert run.status != "cancelled" or intention.cancelled
        if run.status == "completed":
            assert len(self._server.rounds(run.id)) == len(intention.rounds)

    def _checked_calls(self, intention: Intention, run: Run) -> Counter[int]:
        """Check the calls of a run; the numbers of those whose outputs it took."""
        steps = self._server.rounds(run.id)
        asked = sum(intention.rounds[: len(steps)])
        made = sum(call.run_id == run.id for call in self._made)
        assert made <= asked + intention.again, "a call was made twice"
        details = [step.step_details for step in steps if step.step_details is not None]
        calls = [call for detail in details for call in detail.tool_calls]
        numbers = [int(number) for call in calls for number in SERIAL.findall(call.output or "")]
        assert len(numbers) == len(calls)
        assert run.status != "completed" or len(calls) == asked
        for call, number in zip(calls, numbers, strict=True):
            assert self._made[number].run_id == run.id
            assert f'"{self._made[number].key}"' in call.arguments, "another call's output"
        return Counter(numbers)
