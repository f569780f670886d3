"""The runs under way: begins them, answers them, cancels them, and lets readers follow them."""

import asyncio

from msgspec.structs import replace

from aiodashassist.core.models import Run
from aiodashassist.core.outputs import match_outputs
from aiodashassist.core.provider import Refusal
from aiodashassist.core.tooling import FunctionCall, ToolCall, ToolOutput
from aiodashassist.errors import InvalidArgument
from aiodashassist.server.engines import Engine
from aiodashassist.server.execution import Execution
from aiodashassist.server.store import Store

__all__ = ("Runs",)


class Runs:
    """The executions of a server, each in a task of its own.

    Args:
        store: where runs, steps and messages are kept.
        engine: who answers.
        expire_after: seconds that a run waits for tool outputs.
        empty_call_ids: leave the ids of calls empty, as the live service was seen to do.
    """

    def __init__(
        self, store: Store, engine: Engine, *, expire_after: float, empty_call_ids: bool
    ) -> None:
        self._store = store
        self._engine = engine
        self._expire_after = expire_after
        self._empty_call_ids = empty_call_ids
        self._live: dict[str, Execution] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._threads: dict[str, Execution] = {}  # thread -> its newest execution

    def check_free(self, thread_id: str) -> None:
        """Whether a run can begin on a thread.

        Raises:
            Refusal: another run of the thread is still active.
        """
        other = self._threads.get(thread_id)
        if other is not None and not other.run.is_terminal:
            message = f"The thread already has an active run: {other.run.id}"
            raise Refusal("invalid", f"{message} (status {other.run.status}).")

    def begin(self, workspace: str, run: Run) -> Execution:
        """Begin a run on a thread that is free."""
        execution = Execution(
            self._store,
            workspace,
            run,
            self._engine,
            expire_after=self._expire_after,
            empty_call_ids=self._empty_call_ids,
        )
        execution.begin()
        task = asyncio.get_running_loop().create_task(execution.go(), name=run.id)
        self._live[run.id], self._tasks[run.id] = execution, task
        self._threads[run.thread_id or ""] = execution
        task.add_done_callback(lambda _: self._forget(execution))
        return execution

    def submit(self, run: Run, outputs: tuple[ToolOutput, ...]) -> tuple[Execution, int, Run]:
        """Take the outputs of a round; also from where to follow, and the run as answered.

        Raises:
            Refusal: the run does not wait for outputs, or these are not those of its calls.
        """
        execution = self._live.get(run.id)
        if run.status != "requires_action" or execution is None:
            raise Refusal("invalid", f"The run does not wait for tool outputs: it is {run.status}.")
        calls = _answered(run.tool_calls, outputs)
        start = len(execution.log)
        execution.answer(calls)
        # The answer still shows what was required (dashscope.md §3.5).
        return execution, start, replace(execution.run, required_action=run.required_action)

    def cancel(self, run: Run) -> Run:
        """Cancel a run; one that was cancelled before is answered as it is.

        Raises:
            Refusal: the run has ended otherwise.
        """
        if run.status == "cancelled":
            return run
        execution = self._live.get(run.id)
        if run.is_terminal or execution is None:
            raise Refusal("invalid", f"The run cannot be cancelled: it is {run.status}.")
        self._tasks[run.id].cancel()
        execution.cancel()
        return execution.run

    def expire(self, run_id: str) -> bool:
        """Let a run expire, as if its time was over; whether it was one that waits for outputs."""
        execution = self._live.get(run_id)
        if execution is None or execution.run.status != "requires_action":
            return False
        self._tasks[run_id].cancel()
        execution.end("expired")
        return True

    def leave(self, thread_id: str) -> None:
        """Cancel what runs on a thread that is to be deleted."""
        execution = self._threads.get(thread_id)
        if execution is not None and not execution.run.is_terminal:
            self.cancel(execution.run)

    def active_on(self, thread_id: str) -> str:
        """The run that is under way on a thread; `""` for none."""
        execution = self._threads.get(thread_id)
        return execution.run.id if execution is not None else ""

    def change(self, run: Run) -> None:
        """A run's metadata was changed: an execution under way keeps it."""
        if run.id in self._live:
            execution = self._live[run.id]
            execution.run = replace(execution.run, metadata=run.metadata)

    async def close(self) -> None:
        """Cancel all runs and wait until their tasks have ended."""
        for execution in list(self._live.values()):
            if not execution.run.is_terminal:
                self.cancel(execution.run)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _forget(self, execution: Execution) -> None:
        run = execution.run
        del self._live[run.id], self._tasks[run.id]
        if self._threads.get(run.thread_id or "") is execution:
            del self._threads[run.thread_id or ""]


def _answered(calls: tuple[ToolCall, ...], outputs: tuple[ToolOutput, ...]) -> tuple[ToolCall, ...]:
    """The calls with their outputs. Strict, for want of a document: one each (§8)."""
    try:
        matched = match_outputs(calls, outputs)
    except InvalidArgument as error:
        raise Refusal("invalid", error.message) from error
    answered = []
    for call, output in zip(calls, matched, strict=True):
        function = replace(call.function or FunctionCall(), output=output.output)
        answered.append(replace(call, function=function))
    return tuple(answered)
