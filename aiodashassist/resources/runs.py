"""`client.threads.runs` and `client.threads.runs.steps`."""

from collections.abc import Sequence
from typing import Unpack

from aiodashassist.calls import Session
from aiodashassist.clocks import within
from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.models import RESTING, Run, RunStep
from aiodashassist.core.operations import Operation
from aiodashassist.core.outputs import check_outputs
from aiodashassist.core.params import CancelParams, Extras, ListParams, MetadataUpdate, RunParams
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import TotalTimeout, UnsupportedParameter
from aiodashassist.pages import Paginator
from aiodashassist.polling import pauses
from aiodashassist.resources.streams import (
    LOCAL,
    Handling,
    StreamParams,
    Streams,
    prepared,
    sent_of,
)
from aiodashassist.stream import RunStream

__all__ = ("Runs", "Steps")

AGES = 1e9  # seconds, about thirty years; more than that no clock of the loop can hold


class Steps:
    """The steps of a run (dashscope.md §2 RS1, RS2)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def retrieve(
        self, thread_id: str, run_id: str, step_id: str, **extras: Unpack[Extras]
    ) -> RunStep:
        """Read one."""
        operation = ops.RetrieveStep(
            thread_id=thread_id, run_id=run_id, step_id=step_id, extras=extras
        )
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
        """Begin a run and return it as first answered.

        On DashScope it goes on by itself. AppBuilder answers when the run rests: with its
        `final_answer`, or waiting for outputs; a next call goes on with it that gives them as
        `tool_output` (appbuilder.md §5.6). Whoever is cancelled while waiting leaves the run under
        way: `list` finds it, and `cancel` ends it.
        """
        operation = ops.CreateRun(thread_id=thread_id, params=prepared(params))
        run = await self._session.call(operation)
        if self._session.provider.blocks and run.status not in {"", *RESTING}:
            return await self.wait(thread_id, run.id)  # the answer was lost, and the run found
        return run

    def stream(self, thread_id: str, **params: Unpack[StreamParams]) -> RunStream:
        """Run, stream the events and have the tools called, over all their rounds."""
        operation = ops.CreateRun(thread_id=thread_id, params=sent_of(params), stream=True)

        async def opening() -> Operation[Run]:
            return operation

        return self._streams.make(opening, params)

    async def retrieve(self, thread_id: str, run_id: str, **extras: Unpack[Extras]) -> Run:
        """Read one."""
        operation = ops.RetrieveRun(thread_id=thread_id, run_id=run_id, extras=extras)
        return await self._session.call(operation)

    async def update(self, thread_id: str, run_id: str, **params: Unpack[MetadataUpdate]) -> Run:
        """Change a run's metadata."""
        operation = ops.UpdateRun(thread_id=thread_id, run_id=run_id, params=params)
        return await self._session.call(operation)

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, *, tool_outputs: Sequence[ToolOutput],
        **extras: Unpack[Extras],
    ) -> Run:  # fmt: skip
        """Answer the calls that a run waits for, all at once; it goes on by itself.

        The answer may still show what was required: go by its status (dashscope.md §3.5).
        """
        outputs = check_outputs("tool_outputs", tool_outputs)
        operation = ops.SubmitOutputs(
            thread_id=thread_id, run_id=run_id, tool_outputs=outputs, extras=extras
        )
        return await self._session.call(operation)

    async def cancel(self, thread_id: str, run_id: str, **params: Unpack[CancelParams]) -> Run:
        """Cancel a run; one that is cancelled already is no error.

        With `sync=True` AppBuilder answers when it is cancelled (appbuilder.md §2.5).

        Raises:
            UnsupportedOperation: the service has no such call: DashScope's documents say so,
                its SDK has it (dashscope.md §7.1). It is tried once and then remembered.
        """
        operation = ops.CancelRun(thread_id=thread_id, run_id=run_id, params=params)
        return await self._session.call(operation)

    def attach(
        self, thread_id: str, run_id: str, *, outputs: Sequence[ToolOutput] = (),
        **handling: Unpack[Handling],
    ) -> RunStream:  # fmt: skip
        """Follow a run that is under way, or done, begun by whatever process.

        Neither API opens a run's stream a second time: until it rests the run is read again and
        again, and what it said comes as soon as it does. Its tools are called as in a stream, and
        with the answer to them DashScope's stream goes on live. All that the run said is handed
        out, also what was said before. Only `Timeouts.total` bounds how long a run may take.

        Two streams that attach to one waiting run both call its tools; the service takes the
        outputs of one, and refuses the other's.

        Args:
            thread_id: its thread.
            run_id: the run.
            outputs: made before, such as another stream's `completed_outputs`; their calls are
                not made again. They are for the calls that the run waits for first.
            handling: as for `stream`; but leaving early leaves the run, unless `on_exit` is
                "cancel".

        Raises:
            InvalidArgument: an id that cannot be one. From the stream: an output for no call.
            UnsupportedParameter: a keyword that is none of these.
        """
        for name in handling.keys() - LOCAL:
            raise UnsupportedParameter(f"attach has no place for {name!r}")
        operation = ops.RetrieveRun(thread_id=thread_id, run_id=run_id)
        self._session.provider.encode(operation)

        async def opening() -> Operation[Run]:
            return operation

        handled: Handling = {"on_exit": "leave", **handling}
        return self._streams.make(opening, handled, outputs=outputs)

    async def wait(self, thread_id: str, run_id: str, *, timeout: float | None = None) -> Run:
        """Read a run again and again, ever less often, until it rests.

        A run rests when it has ended, however it ended, or waits for tool outputs
        (`requires_action`): see its `status`. A look that fails ends the wait; the run goes on.

        Args:
            thread_id: its thread.
            run_id: the run.
            timeout: seconds to wait at most, more than 0; else `Timeouts.total`.

        Raises:
            TotalTimeout: it did not rest in time; it goes on by itself.
            InvalidArgument: an id that cannot be one, or a time that is none.
        """
        if timeout is not None:
            checks.between("timeout", timeout, "(0, inf]")
        limit = self._session.config.timeouts.total if timeout is None else min(timeout, AGES)
        try:
            async with within(limit, TotalTimeout, "the run did not rest within"):
                for pause in pauses():
                    run = await self.retrieve(thread_id, run_id)
                    if run.status in RESTING:
                        break
                    await self._session.experience.pause(pause)
        except TotalTimeout as error:
            error.located(run_id=run_id, thread_id=thread_id)
            raise
        return run

    def list(
        self, thread_id: str, *, max_items: int | None = None, **page: Unpack[ListParams]
    ) -> Paginator[Run]:
        """All of the thread, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(ops.ListRuns(thread_id=thread_id, page=page)),
            page,
            max_items,
        )
