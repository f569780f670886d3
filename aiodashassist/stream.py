"""The iterator that users hold: a run's events over all its tool rounds, and its orderly end."""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import anyio
from msgspec import Struct, field

from aiodashassist.calls import Session
from aiodashassist.core.events import Event, MessageDelta
from aiodashassist.core.models import Run
from aiodashassist.core.operations import CancelRun
from aiodashassist.core.outputs import check_outputs
from aiodashassist.core.result import RunResult, ending
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.discretion import bare
from aiodashassist.errors import AssistError, LocalProtocolError, ToolRoundsExceeded
from aiodashassist.exchange import Opening
from aiodashassist.jobs import Bench
from aiodashassist.loop import RunLoop

__all__ = ("RunStream", "StreamOptions", "TextStream")

logger = logging.getLogger(__name__)


class StreamOptions(Struct, frozen=True, kw_only=True):
    """How a stream behaves.

    Attributes:
        bench: what tool calls work with; None leaves the calls to the user.
        max_rounds: rounds of calls that are answered.
        on_exit: what leaving early does to the remote run.
        outputs: made elsewhere, before: for the first round of calls that the stream takes up. The
            calls they name, by `call_id` or the wire's id, are not run, and have no events here;
            one that names no call of that round is an error. A run that never asks for calls, such
            as one that has ended, has no use for them.
        headers: the user's own for the run's creation: a key in them is kept out of errors.
    """

    bench: Bench | None = None
    max_rounds: int = 32
    on_exit: Literal["cancel", "leave"] = "cancel"
    outputs: tuple[ToolOutput, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"StreamOptions(max_rounds={self.max_rounds}, on_exit={self.on_exit!r})"


class RunStream:
    """A run's events, over all its tool rounds: an async context manager and iterator.

        async with client.threads.runs.stream(thread_id, assistant_id=...) as stream:
            async for event in stream: ...
            result = await stream.result()

    Iterating raises transport and protocol errors, never a `RunError`: how a run ended, the events
    tell and `result()` raises. Leaving the block early cancels the remote run. A stream may be
    entered in one task, iterated in another and closed in a third.
    """

    def __init__(self, session: Session, opening: Opening, options: StreamOptions) -> None:
        self._session = session
        self._opening = opening
        self._options = options
        self._loop: RunLoop | None = None
        self._failure: AssistError | None = None
        self._busy = False
        self._closed = False
        self._last_duty: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise LocalProtocolError("a stream can be entered once: ask for a new one")
        options = self._options
        self._loop = RunLoop(self._session, options.bench, options.max_rounds, options.outputs)
        self._session.duties.opened(self)
        try:
            await self._loop.begin(self._opening)
        except BaseException as error:
            if isinstance(error, AssistError):
                self._failed(error)
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            TransportError: the connection broke or a clock ran out; `text` has what came before.
            ProtocolError: an event cannot be read, or must not come.
            APIError: the service reported an error in the stream, or refused the tool outputs.
            InvalidArgument: an output that the stream was given answers no call of the run.
        """
        if self._busy:
            raise LocalProtocolError("the stream is being iterated by another task")
        if self._failure is not None:
            raise self._failure
        loop = self._entered
        if self._closed:
            raise StopAsyncIteration
        self._busy = True
        before = sys.exception()
        try:
            event = await loop.next()
        except AssistError as error:
            if self._closed:  # by another task, while this one was reading
                raise StopAsyncIteration from None
            bare(error, before)
            if loop.pending_calls:  # their outputs did not arrive, and can be sent again
                self._located(error)
            else:
                self._failed(error)
            raise
        finally:
            self._busy = False
        if event is None:
            raise StopAsyncIteration
        return event

    @property
    def snapshot(self) -> Snapshot:
        """The run so far."""
        return self._entered.snapshot

    @property
    def pending_calls(self) -> tuple[ToolCall, ...]:
        """The calls that wait for the user, after an iteration that ended with them.

        These are all calls of a stream without tools, or those whose tool or approval raised
        `PauseRun`. The run is at rest: it is not cancelled when the block is left.
        """
        return self._entered.pending_calls

    @property
    def completed_outputs(self) -> tuple[ToolOutput, ...]:
        """The outputs of the calls beside the `pending_calls`, each by its call's `call_id`.

        They are not sent yet: `submit` sends them along. Where the outputs of a round could not be
        delivered, and the iteration raised, these are all of them: a later `attach` can be given
        them, so that no tool runs twice.
        """
        return self._entered.completed_outputs

    @property
    def text_stream(self) -> "TextStream":
        """The text alone, as it comes: an async iterator of `str`."""
        return TextStream(self)

    async def result(self) -> RunResult:
        """Read to the end and say what the run came to.

        Raises:
            RunError: the run did not complete: RunFailed, RunExpired, RunCancelled,
                RunIncomplete, ToolRoundsExceeded.
            AssistError: whatever iterating raises.
        """
        async for _ in self:
            pass
        loop = self._entered
        if loop.exceeded:
            words = f"the run asked for more than {self._options.max_rounds} rounds of tool calls"
            raise self._located(ToolRoundsExceeded(words, status=loop.machine.status))
        result = loop.snapshot.result(loop.pending_calls, loop.completed_outputs)
        if result is None or not loop.at_rest:
            raise self._located(LocalProtocolError("the stream was closed before its run's end"))
        error = ending(result, loop.machine.status)
        if error is not None:
            raise self._located(error)
        return result

    async def submit(self, outputs: Sequence[ToolOutput]) -> None:
        """Answer the `pending_calls`, all of them and no others; the iteration can then go on.

        The `completed_outputs` are sent with them, as one round.

        Args:
            outputs: one for each call; matched by `tool_call_id` (a call's `call_id` or `id`),
                and by order where that is empty.

        Raises:
            LocalProtocolError: no calls are pending.
            InvalidArgument: the outputs are not those of the calls.
            AssistError: they could not be sent.
        """
        loop = self._entered
        if self._closed:
            raise LocalProtocolError("no calls wait for outputs")
        before = sys.exception()
        try:
            await loop.submit(check_outputs("outputs", outputs))
        except AssistError as error:
            bare(error, before)
            self._located(error)
            raise

    async def cancel(self) -> Run:
        """Cancel the remote run; the stream goes on to its last event, `cancelled`.

        Raises:
            LocalProtocolError: no event came yet, so that the run is not known.
            UnsupportedOperation: the service cannot cancel runs.
        """
        loop = self._entered
        if loop.machine.run_id is None:
            raise LocalProtocolError("the run is not known before its first event")
        run = await self._session.call(
            CancelRun(thread_id=loop.thread_id or "", run_id=loop.machine.run_id)
        )
        loop.was_cancelled(run)
        return run

    async def close(self) -> None:
        """End it: tools are cancelled, the connection is dropped, the run cancelled remotely.

        The last only if the run is not at rest and `on_exit` is "cancel". All of it is bounded by
        `Timeouts.cancel`, and goes on even if the caller is cancelled meanwhile.
        """
        loop = self._loop
        if not self._closed and loop is not None:
            find = loop.to_be_found and self._options.on_exit == "cancel"
            if find:  # a run is only known by its first event
                loop.stop()
            else:
                loop.drop()
            tasks = loop.cancel_tasks(find=find)
            if tasks or find or self._must_cancel(loop):
                work = self._wind_up(loop, tasks, find=find)
                self._last_duty = self._session.duties.begin(work)
        self._closed = True
        self._session.duties.closed(self)
        if self._last_duty is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait({self._last_duty})

    @property
    def _entered(self) -> RunLoop:
        if self._loop is None:
            raise LocalProtocolError("use `async with` before anything else, or it would leak")
        return self._loop

    def _must_cancel(self, loop: RunLoop) -> bool:
        known = loop.machine.run_id is not None
        return known and not loop.at_rest and self._options.on_exit == "cancel"

    async def _wind_up(self, loop: RunLoop, tasks: set[asyncio.Task[Any]], *, find: bool) -> None:
        run_id = loop.machine.run_id
        try:
            async with asyncio.timeout(self._session.config.timeouts.cancel):
                try:
                    if find:
                        await loop.find_run()
                    if self._must_cancel(loop):
                        await self.cancel()
                except AssistError as error:
                    logger.debug("run %s is left without being cancelled: %r", run_id, error)
                if tasks:
                    await asyncio.wait(tasks)
        except TimeoutError:
            logger.warning("run %s: not all could be ended within Timeouts.cancel", run_id)
        except Exception:  # nobody waits for the result of a duty
            logger.exception("run %s: it could not be wound up", run_id)
        finally:
            loop.drop()

    def _failed(self, error: AssistError) -> None:
        """Note an error, with all that is known of where it happened; iterating raises it again."""
        self._failure = self._located(error)

    def _located(self, error: AssistError) -> AssistError:
        loop = self._entered
        self._session.scrub(error, self._options.headers)
        return error.located(
            run_id=loop.machine.run_id, thread_id=loop.thread_id, text=loop.snapshot.text
        )


class TextStream:
    """The text of a stream's messages, piece by piece, in order."""

    def __init__(self, stream: RunStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            event = await self._stream.__anext__()
            if isinstance(event, MessageDelta) and event.text:
                return event.text
