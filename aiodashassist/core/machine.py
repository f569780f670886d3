"""The run as a state machine: one table, events in, what to do next out.

Everything that decides what a run may do and when its tools are called lives here. The machine
does no I/O and knows no provider. Towards the wire it is tolerant: it takes every jump of status
but an event after a terminal one, or one of another run. With `strict`, as the local server uses
it, a jump that the table does not have is refused.
"""

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageEvent,
    RunEvent,
    StepEvent,
    StreamRecovered,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    UnknownEvent,
)
from aiodashassist.core.models import TERMINAL, Run, RunStep
from aiodashassist.core.tooling import ToolCall
from aiodashassist.errors import LocalProtocolError, RemoteProtocolError

__all__ = ("NEXT", "CallTools", "Finished", "RunMachine")

_BESIDE = UnknownEvent | ErrorEvent | StreamRecovered | ToolStarted | ToolProgress | ToolFinished
_ENDED_EARLY = frozenset({"cancelling", "cancelled", "failed", "expired"})

NEXT: dict[str, frozenset[str]] = {
    "": frozenset({"queued"}),
    "queued": _ENDED_EARLY | {"in_progress"},
    "in_progress": _ENDED_EARLY | {"requires_action", "completed", "incomplete"},
    "requires_action": _ENDED_EARLY | {"queued", "in_progress"},
    "cancelling": TERMINAL,
    **dict.fromkeys(TERMINAL, frozenset()),
}
"""Status -> the statuses that may follow (dashscope.md §4.1). `""` is a run not yet seen."""


Key: TypeAlias = tuple[str, str, str]
"""What a call is known by beside its step: id, name, arguments."""


class CallTools(Struct, frozen=True, kw_only=True):
    """The run waits for the outputs of these calls; each `call_id` is set and unique."""

    calls: tuple[ToolCall, ...]


class Finished(Struct, frozen=True, kw_only=True):
    """The run has ended for good."""

    status: str
    run: Run


class RunMachine:
    """One run, from its first event to its last.

    Attributes:
        status: where the run is; `""` before its first event.
        run: the run as last seen.
        run_id: its id, as soon as any event tells it.
        rounds: how many rounds of calls were answered.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.status = ""
        self.run: Run | None = None
        self.run_id: str | None = None
        self.rounds = 0
        self._strict = strict
        self._step: str | None = None  # the tool_calls step under way, where it was seen
        self._answered: set[str] = set()  # steps, or rounds, whose outputs were sent
        self._round = ""  # which one it waits for, where the wire says so
        self._given: dict[str, set[Key]] = {}  # the calls that were answered, by step
        self._later: deque[tuple[str, Run]] = deque()  # rounds asked for while one is answered
        self._call_ids: set[str] = set()
        self._named: set[str] = set()  # steps whose calls have theirs
        self._waiting: CallTools | None = None

    @property
    def step_id(self) -> str | None:
        """The step whose calls the run waits for, where it was seen."""
        return self._step

    def receive(self, event: Event) -> None:
        """Take the next event of the run.

        Raises:
            RemoteProtocolError: an event after a terminal status, one of another run, or a run
                that waits for tools but names none.
            LocalProtocolError: strict only: a jump that the table does not have.
        """
        if isinstance(event, _BESIDE):
            return  # these say nothing of the run, and nothing unknown breaks a stream
        if self.status in TERMINAL:
            kind = type(event).__name__
            raise RemoteProtocolError(f"{kind} after the run was {self.status}", run_id=self.run_id)
        match event:
            case RunEvent(status=status, run=run, round=round_):
                self._same_run(run.id)
                self._move(status, run, round_)
            case StepEvent(status=status, step=step):
                self._same_run(step.run_id)
                if step.type == "tool_calls" and status == "in_progress":
                    self._step = step.id
                elif step.type == "tool_calls":
                    self._step_ended(step)
            case MessageEvent(message=message):
                self._same_run(message.run_id)

    def next_action(self) -> CallTools | Finished | None:
        """What the run needs now; None while there is only more to read."""
        if self.status in TERMINAL and self.run is not None:
            return Finished(status=self.status, run=self.run)
        return self._waiting

    def answered(self) -> None:
        """The outputs of the round were sent; its step is never asked for again."""
        self.rounds += 1
        self._answered.update(filter(None, (self._round or self._step,)))
        if self._waiting is not None:
            self._given.setdefault(self._step or "", set()).update(_keys(self._waiting.calls))
        self._waiting = None
        if self._later:
            self._round, run = self._later.popleft()
            self._waiting = CallTools(calls=self._asked(run))

    def repeats(self, run: Run) -> bool:
        """Whether a run waits for nothing but calls that were answered before."""
        calls = _keys(run.tool_calls)
        return bool(calls) and calls <= set().union(*self._given.values())

    def has_answered(self, run: Run, step_id: str, *, lists_calls: bool) -> bool:
        """Whether what was read of a run is older than the outputs that it was given since.

        A stream tells in order. What is read may come from where the outputs are not known yet.

        Args:
            run: the run, which waits for calls.
            step_id: its step of calls that is under way; "" where none is listed.
            lists_calls: whether any step of calls is: then another round would have its own.
        """
        if step_id:
            answered = step_id in self._answered
            return answered or _keys(run.tool_calls) <= self._given.get(step_id, set())
        return self.repeats(run) and (lists_calls or all(call.id for call in run.tool_calls))

    def cancelled(self) -> None:
        """The run was asked to be cancelled: no round is answered any more."""
        later = (round_ for round_, _ in self._later)
        self._answered.update(filter(None, (self._round or self._step, *later)))
        self._later.clear()
        self._waiting = None

    def _step_ended(self, step: RunStep) -> None:
        """A step is over; the ids of its calls are used, also where they were made elsewhere."""
        if step.id == self._step:
            self._step = None
        calls = step.step_details.tool_calls if step.step_details is not None else ()
        if step.id not in self._named:
            self._name(step.id, [call for call in calls if call.function is not None])

    def _same_run(self, run_id: str | None) -> None:
        if self.run_id is None:
            self.run_id = run_id
        elif run_id is not None and run_id != self.run_id:
            raise RemoteProtocolError(f"an event of another run, {run_id}", run_id=self.run_id)

    def _move(self, status: str, run: Run, round_: str) -> None:
        if self._strict and status != self.status and status not in NEXT.get(self.status, ()):
            raise LocalProtocolError(f"a run cannot go from {self.status!r} to {status!r}")
        self.status, self.run = status, run
        if status != "requires_action":
            self._waiting = None
            self._later.clear()
            if self._step in self._answered:
                self._step = None  # what the run asks for next is another round
        elif (round_ or self._step) in self._answered:
            return  # the service is only slow to say that it has the outputs
        elif self._waiting is None:
            self._round = round_
            self._waiting = CallTools(calls=self._asked(run))
        elif round_ and round_ not in {self._round, *(known for known, _ in self._later)}:
            self._later.append((round_, run))

    def _asked(self, run: Run) -> tuple[ToolCall, ...]:
        """The calls of a round, each with an id of its own."""
        action = run.required_action
        calls = action.submit_tool_outputs.tool_calls if action is not None else ()
        if not calls:
            raise RemoteProtocolError("the run waits for tools but names none", run_id=run.id)
        return self._name(self._step or f"{run.id}:{self.rounds}", calls)

    def _name(self, step_id: str, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """The calls of a step, each with an id that is not empty and is new in the run."""
        self._named.add(step_id)
        named = []
        for index, call in enumerate(calls):
            made_up = f"{step_id}:{index}"
            call_id = call.id or made_up
            while call_id in self._call_ids:
                call_id, made_up = made_up, f"{made_up}'"
            self._call_ids.add(call_id)
            named.append(replace(call, call_id=call_id))
        return tuple(named)


def _keys(calls: Iterable[ToolCall]) -> set[Key]:
    return {(call.id, call.name, call.arguments) for call in calls}
