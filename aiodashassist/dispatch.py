"""Runs tool calls side by side: each ends in one output or is left to the caller.

Whatever a tool does, and whatever `approve` does, gives one output; only `PauseRun` gives none.
Calls run in plain tasks, not in a task group: a stream may be iterated in one task and closed in
another, and no scope survives that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from aiodashassist.core.events import ToolFinished
from aiodashassist.core.outputs import known_outputs, match_outputs, written
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import PauseRun
from aiodashassist.jobs import Bench, Job, ToolEvent

__all__ = ("Round",)


class Round:
    """The calls of one `requires_action`, from the first start to the last output.

    Attributes:
        given: the calls whose outputs were known before, and those; they are not run.
        submitted: the calls that the caller has answered, and the answers.

    Args:
        calls: the calls.
        bench: what they work with; None leaves them to the caller.
        run_id: the run that asks.
        thread_id: the thread it runs on.
        given: outputs made elsewhere.
        until: when the run expires, by the loop's clock; None where that is not known.

    Raises:
        InvalidArgument: a given output answers none of the calls; then nothing was run.
    """

    def __init__(
        self,
        calls: Sequence[ToolCall],
        bench: Bench | None,
        *,
        run_id: str,
        thread_id: str | None,
        given: Sequence[ToolOutput] = (),
        until: float | None = None,
    ) -> None:
        self._calls = tuple(calls)
        self._outputs = known_outputs(calls, given)
        self.given = self._answered()
        self.submitted: tuple[tuple[ToolCall, ToolOutput], ...] = ()
        self._events: deque[ToolEvent] = deque()
        self._news: asyncio.Future[None] | None = None
        self._cancelled = False
        self._jobs: dict[int, Job] = {}  # at work, by the places of their calls
        if bench is not None:
            self._seats = asyncio.Semaphore(bench.concurrency)
            for i in self._missing():
                self._jobs[i] = Job(
                    self._calls[i], bench, run_id, thread_id, self._tell, until=until
                )
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._answer(i, job)) for i, job in self._jobs.items()]

    @property
    def finished(self) -> bool:
        """Whether no call is at work any more: each has its output or is left to the caller."""
        return not self._jobs

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """The calls that are left to the caller."""
        return tuple(self._calls[i] for i in self._missing() if i not in self._jobs)

    @property
    def completed(self) -> tuple[ToolOutput, ...]:
        """The outputs so far, each by its call's `call_id`, which is never empty or twice."""
        return tuple(
            ToolOutput(tool_call_id=call.call_id, output=output.output)
            for call, output in self._answered()
        )

    def outputs(self) -> tuple[ToolOutput, ...]:
        """The outputs, in the order of the calls and with the wire's ids."""
        return tuple(output for _, output in self._answered())

    def submit(self, outputs: Sequence[ToolOutput]) -> tuple[ToolOutput, ...]:
        """The outputs of all calls, with the caller's for those that were left to it.

        Raises:
            InvalidArgument: these are not the outputs of the pending calls.
        """
        pending = self.pending
        self.submitted = tuple(zip(pending, match_outputs(pending, outputs), strict=True))
        answers = iter(self.submitted)
        return tuple(output if output is not None else next(answers)[1] for output in self._outputs)

    def take(self) -> ToolEvent | None:
        """The next event that has not been taken."""
        return self._events.popleft() if self._events else None

    def news(self) -> asyncio.Future[None]:
        """A future that is done when there is an event to take, or the round is finished."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
            if self._events or self.finished:
                self._news.set_result(None)
        return self._news

    def cancel(self) -> list[asyncio.Task[None]]:
        """Cancel what still runs; the tasks to wait for."""
        self._cancelled = True
        for job in self._jobs.values():
            job.end()
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            task.cancel()
        return running

    async def _answer(self, index: int, job: Job) -> None:
        text: str | None
        error: BaseException | None
        try:
            text, error = await self._outcome(job)
        except GeneratorExit as given:  # a future that gives it closes the coroutines beneath
            text, error = job.told(given), given
        finally:
            job.end()
        self._jobs.pop(index)
        if text is None:
            self._wake()
            return
        output = ToolOutput(tool_call_id=job.call.id, output=text)
        self._outputs[index] = output
        self._tell(ToolFinished(call=job.call, output=output, error=error, duration=job.seconds))

    async def _outcome(self, job: Job) -> tuple[str | None, BaseException | None]:
        """The output's text and, where it is an error, what went wrong; no text for a pause."""
        try:
            return written(await job.run(self._seats)), None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # whatever a tool raises, the run goes on
            if self._cancelled and isinstance(error, asyncio.CancelledError):
                raise  # ours; any other is the tool's own
            return None if _pauses(error) else job.told(error), error

    def _tell(self, event: ToolEvent) -> None:
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _missing(self) -> list[int]:
        return [i for i, output in enumerate(self._outputs) if output is None]

    def _answered(self) -> tuple[tuple[ToolCall, ToolOutput], ...]:
        pairs = zip(self._calls, self._outputs, strict=True)
        return tuple((call, output) for call, output in pairs if output is not None)


def _pauses(error: BaseException) -> bool:
    """Whether it is `PauseRun`, also out of a task group of the tool's own."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(PauseRun)[1] is None
    return isinstance(error, PauseRun)
