"""`client.threads.runs` and `client.threads.runs.steps`."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from aiodashassist.core import operations as ops
from aiodashassist.core.models import Run, RunStep
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import ListParams, RunParams
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import InvalidArgument
from aiodashassist.resources.pages import Paginator
from aiodashassist.resources.streams import StreamParams, Streams, prepared, sent_of
from aiodashassist.session import Session
from aiodashassist.stream import RunStream

__all__ = ("Runs", "Steps")


class Steps:
    """The steps of a run (dashscope.md §2 RS1, RS2)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def retrieve(self, thread_id: str, run_id: str, step_id: str) -> RunStep:
        """Read one."""
        operation = ops.RetrieveStep(thread_id=thread_id, run_id=run_id, step_id=step_id)
        return await self._session.call(operation)

    def list(
        self, thread_id: str, run_id: str, *, max_items: int | None = None,
        **page: Unpack[ListParams],
    ) -> Paginator[RunStep]:  # fmt: skip
        """All of the run, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(
                ops.ListSteps(thread_id=thread_id, run_id=run_id, page=page)
            ),
            page,
            max_items,
        )


class Runs:
    """Runs: executions of an assistant on a thread (dashscope.md §2 R1 to R7)."""

    def __init__(self, session: Session, streams: Streams) -> None:
        self.steps = Steps(session)
        self._session = session
        self._streams = streams

    async def create(self, thread_id: str, **params: Unpack[RunParams]) -> Run:
        """Begin a run and return it as first answered; it goes on by itself."""
        operation = ops.CreateRun(thread_id=thread_id, params=prepared(params))
        return await self._session.call(operation)

    def stream(self, thread_id: str, **params: Unpack[StreamParams]) -> RunStream:
        """Run, stream the events and have the tools called, over all their rounds."""
        operation = ops.CreateRun(thread_id=thread_id, params=sent_of(params), stream=True)

        async def opening() -> Operation[Run]:
            return operation

        return self._streams.make(opening, params)

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Read one."""
        return await self._session.call(ops.RetrieveRun(thread_id=thread_id, run_id=run_id))

    async def update(
        self, thread_id: str, run_id: str, *, metadata: Mapping[str, Any] | None = None
    ) -> Run:
        """Change a run's metadata."""
        given = dict(metadata) if metadata is not None else None
        operation = ops.UpdateRun(thread_id=thread_id, run_id=run_id, metadata=given)
        return await self._session.call(operation)

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, *, tool_outputs: Sequence[ToolOutput]
    ) -> Run:
        """Answer the calls that a run waits for, all at once; it goes on by itself.

        The answer may still show what was required: go by its status (dashscope.md §3.5).
        """
        if not isinstance(tool_outputs, Sequence):
            raise InvalidArgument("tool_outputs must be a list of ToolOutput")
        operation = ops.SubmitOutputs(
            thread_id=thread_id, run_id=run_id, tool_outputs=tuple(tool_outputs)
        )
        return await self._session.call(operation)

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Cancel a run.

        Raises:
            UnsupportedOperation: the service has no such call: DashScope's documents say so,
                its SDK has it (dashscope.md §7.1). It is tried once and then remembered.
        """
        return await self._session.call(ops.CancelRun(thread_id=thread_id, run_id=run_id))

    def list(
        self, thread_id: str, *, max_items: int | None = None, **page: Unpack[ListParams]
    ) -> Paginator[Run]:
        """All of the thread, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(ops.ListRuns(thread_id=thread_id, page=page)),
            page,
            max_items,
        )
