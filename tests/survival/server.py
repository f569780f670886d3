"""A server without sockets whose requests fail, and that is slow to show what was done."""

import asyncio
from typing import Any, TypeVar

import aiohttp
from msgspec import Struct

from aiodashassist.core.models import Message, Model, Page, Run, RunStep, Thread
from aiodashassist.core.operations import ListSteps, Operation, RetrieveRun, SubmitOutputs
from aiodashassist.core.params import ListParams
from aiodashassist.server.store import Store
from tests.in_process import Break, Fault, InProcess

__all__ = ("Server", "Trouble", "now")

T = TypeVar("T", bound=Model)

BEGIN = 1_750_000_000_000  # epoch milliseconds
FOREVER = 10**6  # seconds


class Trouble(Struct):
    """What goes wrong: after so many requests of this name (`""`: any) so many of them fail so."""

    fault: Fault
    name: str
    after: int
    times: int

    def is_due(self, operation: Operation[Any]) -> bool:
        """Whether this request fails, which is counted."""
        if self.name not in {"", type(operation).__name__}:
            return False
        # Only a stream has no length, so that nothing tells that it ended early.
        clean = isinstance(self.fault, Break) and self.fault.error is None
        if clean and not getattr(operation, "stream", False):
            return False
        self.after -= 1
        due = self.after < 0 < self.times
        self.times -= due
        return due


class Late:
    """Runs as they were before their last outputs were taken.

    Attributes:
        shown: the run that was shown so last, if it was.
    """

    def __init__(self) -> None:
        self.shown = ""
        self._times: dict[str, int] = {}
        self._runs: dict[str, Run] = {}
        self._steps = Store()

    def keep(self, run: Run, steps: tuple[RunStep, ...], times: int) -> None:
        """Show it so many times more."""
        self._runs[run.id], self._times[run.id] = run, times
        for step in steps:
            self._steps.put("", step, run.id)

    def run(self, run_id: str) -> Run | None:
        """The run as it was, if it is still to be shown so."""
        late = self._times.get(run_id, 0) > 0
        self.shown = run_id if late else ""
        if late:
            self._times[run_id] -= 1
        return self._runs[run_id] if late else None

    def steps(self, run_id: str, page: ListParams) -> Page[RunStep]:
        """Its steps as they were."""
        return self._steps.page("", RunStep, page, run_id)


class Server:
    """A server without sockets, and what goes wrong with it.

    Attributes:
        harness: it.
        plan: what goes wrong with the requests to come.
        lag: how often a run is shown as it was before outputs were taken; if it is, a stream that
            is open breaks as they are.
        fired: how much has gone wrong so far.
    """

    def __init__(self, *, empty_call_ids: bool, cumulative: bool) -> None:
        self.harness = InProcess(
            expire_after=FOREVER,
            empty_call_ids=empty_call_ids,
            message_chunks="cumulative" if cumulative else "delta",
        )
        self.plan: list[Trouble] = []
        self.lag = 0
        self.fired = 0
        self._late = Late()
        self._streamed = 0
        desk = self.harness._desk
        self._execute, desk.execute = desk.execute, self._slowly  # type: ignore[method-assign]
        self.harness.fault = self._fault

    def catch_up(self) -> None:
        """What was late is there."""
        self._late = Late()

    def threads(self) -> tuple[Thread, ...]:
        """All threads."""
        return self.harness.store.all("", Thread)

    def messages(self, thread_id: str) -> tuple[Message, ...]:
        """Those of a thread."""
        return self.harness.store.all("", Message, thread_id)

    def runs(self, thread_id: str) -> tuple[Run, ...]:
        """Those of a thread."""
        return self.harness.store.all("", Run, thread_id)

    def run(self, thread_id: str, run_id: str) -> Run:
        """One of them."""
        return self.harness.store.get("", Run, run_id, thread_id)

    def rounds(self, run_id: str) -> list[RunStep]:
        """The steps in which a run asked for calls."""
        steps = self.harness.store.all("", RunStep, run_id)
        return [step for step in steps if step.type == "tool_calls"]

    def _fault(self, operation: Operation[Any], _index: int) -> Fault | None:
        """What goes wrong with this request: the first that is due."""
        if isinstance(operation, SubmitOutputs):
            self.catch_up()  # what asks for these outputs was shown
        due = [trouble.fault for trouble in self.plan if trouble.is_due(operation)]
        self.fired += bool(due)
        return due[0] if due else None

    def _slowly(self, workspace: str, operation: Operation[Any], **options: Any) -> Any:
        """Do it; what is shown of it may be late, but never behind what the streams have said."""
        match operation:
            case SubmitOutputs(thread_id=thread_id, run_id=run_id):
                before = self.harness.store.get("", Run, run_id, thread_id)
                steps = self.harness.store.all("", RunStep, run_id)
                result = self._execute(workspace, operation, **options)
                self._late.keep(before, steps, self.lag)
                if self.lag:
                    self._cut_open_streams()
                self._streamed = self._said_in_streams()
                return result
            case RetrieveRun(run_id=run_id):
                if self._said_in_streams() > self._streamed:
                    self.catch_up()
                late = self._late.run(run_id)
                return late or self._execute(workspace, operation, **options)
            case ListSteps(run_id=run_id) if run_id == self._late.shown:
                return self._late.steps(run_id, operation.page)
        return self._execute(workspace, operation, **options)

    def _cut_open_streams(self) -> None:
        for exchange in self.harness.exchanges:
            answer = exchange.answer
            if exchange.stream and answer is not None and not answer.closed:
                answer.content.set_exception(aiohttp.ClientPayloadError("broken off"))
                self.fired += 1

    def _said_in_streams(self) -> int:
        return sum(exchange.length for exchange in self.harness.exchanges if exchange.stream)


def now() -> int:
    """Epoch milliseconds, by the clock of the loop."""
    return BEGIN + round(asyncio.get_running_loop().time() * 1000)
