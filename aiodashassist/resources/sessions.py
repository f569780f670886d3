"""`client.threads.session`: one after the other on a thread, also beside other processes.

Within this process a lock keeps the thread to one session at a time (`holds.py`). Others are seen
only by their runs: one that is active on the thread is waited for, cancelled or reported.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from types import TracebackType
from typing import Literal, Self, TypeAlias, Unpack, cast

from aiodashassist.calls import Session
from aiodashassist.clocks import within
from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Message, Run
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import MessageExtras, RunParams
from aiodashassist.core.result import RunResult
from aiodashassist.errors import (
    APIError,
    BadRequest,
    Conflict,
    LocalProtocolError,
    TotalTimeout,
)
from aiodashassist.exchange import Opening
from aiodashassist.polling import pauses
from aiodashassist.resources.holds import Hold, hold
from aiodashassist.resources.messages import Messages
from aiodashassist.resources.streams import Handling, StreamParams, Streams, sent_of
from aiodashassist.stream import RunStream
from aiodashassist.tools import handlers

__all__ = ("OnActive", "ThreadSession", "asked")

OnActive: TypeAlias = Literal["wait", "cancel", "raise"]
"""What is done about a run that is active on the thread."""

ATTEMPTS = 5  # to begin a run where others begin theirs
# In a row, about half a second: a stream that was left may be just about to cancel its run, and a
# service may be slow to say that a run has its outputs.
LOOKS = 3  # at a run that nobody answers, before it is given up
# No document says what is answered then (dashscope.md §8); these are the usual words.
ACTIVE_RUN = re.compile(r"\bactive run\b", re.IGNORECASE)
RUN = re.compile(r"\brun\b", re.IGNORECASE)
ACTIVE = re.compile(r"\bactive\b", re.IGNORECASE)


class ThreadSession:
    """A thread to itself: while it is entered, no other session of this process is on the thread.

        async with client.threads.session(thread_id) as session:
            await session.ask("...", assistant_id=assistant.id)

    Sessions of one thread are entered first come, first served; the clients need not be the same,
    only their service and event loop. A session that is not entered does so for each of its calls.
    Tasks may share one: its calls are made one after the other. So what is called while a stream
    of the session is open waits until that stream's block is left: a tool of its run must not call
    the session. The task that has opened the stream, or entered the session, would wait for itself:
    it gets a LocalProtocolError.

    Other processes, and calls that are not made through sessions, are not kept out. They are seen
    by their runs: on entering and before each run, the newest run of the thread is looked at. A run
    that this client itself has left with calls that nobody answers is not waited for, as it would
    only expire: it is a Conflict, unless `on_active` is "cancel".

    Attributes:
        thread_id: the thread.
    """

    def __init__(
        self, session: Session, streams: Streams, thread_id: str, on_active: OnActive
    ) -> None:
        checks.identifier("thread_id", thread_id)
        checks.one_of("on_active", on_active, ("wait", "cancel", "raise"))
        self.thread_id = thread_id
        self._on_active = on_active
        self._session = session
        self._streams = streams
        self._messages = Messages(session)
        self._hold: Hold | None = None  # since it was entered

    async def __aenter__(self) -> Self:
        """Wait for the thread.

        Raises:
            LocalProtocolError: it is entered already, or this task has another session's turn.
            Conflict: a run is active, and `on_active` is "raise"; or it waits for tool outputs that
                this client was left to give, and `on_active` is "wait".
            TotalTimeout: it was active for longer than `Timeouts.total`.
            UnsupportedOperation: it cannot be cancelled at this service.
            AssistError: the thread's runs cannot be read.
        """
        if self._hold is not None:
            raise LocalProtocolError("the session is entered already: ask for another one")
        entered = self._hold = self._new_hold()
        entered.enter()
        try:
            async with entered.turn():
                await self._make_way()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let others on the thread, as soon as the calls that are under way have ended."""
        self._leave()

    async def say(
        self, content: str, role: str = "user", **params: Unpack[MessageExtras]
    ) -> Message:
        """Add a message, as `threads.messages.create` does.

        Raises:
            AssistError: as entering and `threads.messages.create` do.
        """
        entered = self._hold
        async with (entered or self._new_hold()).turn():
            if entered is None:
                await self._make_way()
            return await self._messages.create(self.thread_id, content, role, **params)

    def stream(
        self, content: str, **params: Unpack[StreamParams]
    ) -> AbstractAsyncContextManager[RunStream]:
        """Say something and stream the answer: `async with session.stream(...) as stream`.

        Takes every keyword of `client.stream`. The thread is busy until the block is left.

        Raises:
            AssistError: on entering, as entering the session and a `RunStream` do; also the
                service's refusal of the run, where others went first again and again. The message
                then stands on the thread, without an answer.
        """
        run = asked(self._session, self.thread_id, content, params)
        handling = cast("Handling", {**params})
        tools = params.get("tools")
        if tools is not None:  # an iterator is read once, and the run may be asked for again
            handling["tools"] = handlers(tools)
        self._streams.make(self._opening(content, run), handling)  # what is wrong is told at once
        return self._streaming(content, run, handling)

    async def ask(self, content: str, **params: Unpack[StreamParams]) -> RunResult:
        """Say something and wait for the answer; tools are called meanwhile.

        Returns:
            The result, with `pending_calls` where calls are left to the caller.

        Raises:
            RunError: the run did not complete.
            AssistError: any other failure.
        """
        async with self.stream(content, **params) as stream:
            return await stream.result()

    @asynccontextmanager
    async def _streaming(
        self, content: str, run: RunParams, handling: Handling
    ) -> AsyncIterator[RunStream]:
        async with (self._hold or self._new_hold()).turn():
            await self._make_way()
            stream = await self._opened(self._opening(content, run), handling)
            try:
                yield stream
            finally:
                await stream.close()

    async def _opened(self, opening: Opening, handling: Handling) -> RunStream:
        """The stream of the run; another process may begin one first, a few times."""
        for pause in islice(pauses(), ATTEMPTS):
            try:
                return await self._streams.make(opening, handling).__aenter__()
            except APIError as error:
                refusal = error
            says_so = _says_active(refusal.message)
            # The words are a service's own: in case of doubt, the thread's runs tell.
            if not says_so and not isinstance(refusal, BadRequest | Conflict):
                break
            was_active = await self._make_way()
            if not was_active and not says_so:
                break
            if not was_active:  # it has ended; or it will be seen soon
                await self._session.experience.pause(pause)
        raise refusal

    def _opening(self, content: str, run: RunParams) -> Opening:
        """Adds the message, once, and gives the operation that begins the run."""
        said: Message | None = None

        async def opening() -> Operation[Run]:
            nonlocal said
            if said is None:
                said = await self._messages.create(self.thread_id, content)
            return ops.CreateRun(thread_id=self.thread_id, params=run, stream=True, hint=said.id)

        return opening

    async def _make_way(self) -> bool:
        """Wait until no run is active on the thread, or see to it; whether one was."""
        run = await self._active()
        if run is None:
            return False
        total = self._session.config.timeouts.total
        try:
            async with within(total, TotalTimeout, "the thread was not free within"):
                while run is not None:
                    await self._deal_with(run)
                    run = await self._active()
        except TotalTimeout as error:
            error.located(run_id=run.id if run is not None else None, thread_id=self.thread_id)
            raise
        return True

    async def _active(self) -> Run | None:
        """The thread's newest run, if it has not ended: older ones were no hindrance to it."""
        page = await self._session.call(
            ops.ListRuns(thread_id=self.thread_id, page={"page_size": 1, "order": "desc"})
        )
        return next((run for run in page.data[:1] if not run.is_terminal), None)

    async def _deal_with(self, run: Run) -> None:
        """Wait until a run has ended, one that waits for others' tool outputs included."""
        if self._on_active == "raise":
            raise self._conflict(
                "the thread has an active run: wait until it has ended, or cancel it; "
                "on_active='wait' and on_active='cancel' do so",
                run,
            )
        if self._on_active == "cancel" and run.status != "cancelling":
            await self._cancel(run)
        looks = 0
        for pause in pauses():
            run = await self._read(run)
            if run.is_terminal:
                return
            looks = looks + 1 if self._on_active == "wait" and self._is_left(run) else 0
            if looks == LOOKS:
                raise self._conflict(
                    "the thread's run waits for the outputs of its calls, and this client has left "
                    "it so: give them by runs.submit_tool_outputs, go on with it by runs.attach, "
                    "or cancel it; on_active='cancel' does so",
                    run,
                )
            await self._session.experience.pause(pause)

    def _is_left(self, run: Run) -> bool:
        """Whether a run of this client waits for outputs that nobody is about to give.

        A stream of the client that is open, and that left no call to the user, answers by itself.
        """
        sight = self._session.experience.known.sight(run.id)
        if run.status != "requires_action" or sight is None or not sight.made:
            return False
        answered = {
            stream.snapshot.run.id
            for stream in self._session.duties.streams
            if isinstance(stream, RunStream) and stream.snapshot.run and not stream.pending_calls
        }
        return run.id not in answered

    def _conflict(self, words: str, run: Run) -> Conflict:
        return Conflict(words, run_id=run.id, thread_id=self.thread_id)

    async def _cancel(self, run: Run) -> None:
        try:
            await self._session.call(ops.CancelRun(thread_id=self.thread_id, run_id=run.id))
        except APIError:
            if not (await self._read(run)).is_terminal:  # else it ended by itself meanwhile
                raise

    async def _read(self, run: Run) -> Run:
        return await self._session.call(ops.RetrieveRun(thread_id=self.thread_id, run_id=run.id))

    def _new_hold(self) -> Hold:
        self._session.pool.http()  # one that is closed is told so before it waits for others
        return hold(self._session.config.base_url, self.thread_id)

    def _leave(self) -> None:
        entered, self._hold = self._hold, None
        if entered is not None:
            entered.leave()


def asked(session: Session, thread_id: str, content: str, params: StreamParams) -> RunParams:
    """What is sent to ask for a run that answers a message.

    Both are checked: a run that cannot be asked for must not leave a message behind.

    Raises:
        AssistError: one of them cannot be sent.
    """
    run = sent_of(params)
    message = ops.CreateMessage(thread_id=thread_id, params={"content": content, "role": "user"})
    for operation in (message, ops.CreateRun(thread_id=thread_id, params=run, stream=True)):
        session.provider.encode(operation)
    return run


def _says_active(words: str) -> bool:
    """Whether a refusal says that a run is active; it is read once, however long it is."""
    run = RUN.search(words)
    if run is not None and ACTIVE.search(words, run.end()) is not None:
        return True
    return ACTIVE_RUN.search(words) is not None
