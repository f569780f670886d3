"""`client.threads`, and with a run in one call."""

from typing import Unpack

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Deleted, Run, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import (
    Extras,
    MetadataUpdate,
    RunParams,
    ThreadCreation,
    ThreadParams,
)
from aiodashassist.resources.messages import Messages
from aiodashassist.resources.runs import Runs
from aiodashassist.resources.sessions import OnActive, ThreadSession
from aiodashassist.resources.streams import StreamParams, Streams, prepared, sent_of
from aiodashassist.stream import RunStream

__all__ = ("Threads",)


class Threads:
    """Conversations (dashscope.md §2 T1 to T4, R2)."""

    def __init__(self, session: Session, streams: Streams) -> None:
        self.messages = Messages(session)
        self.runs = Runs(session, streams)
        self._session = session
        self._streams = streams

    async def create(self, **params: Unpack[ThreadCreation]) -> Thread:
        """Begin a conversation, with messages and metadata if you like."""
        return await self._session.call(ops.CreateThread(params=params))

    async def retrieve(self, thread_id: str, **extras: Unpack[Extras]) -> Thread:
        """Read one."""
        return await self._session.call(ops.RetrieveThread(thread_id=thread_id, extras=extras))

    async def update(self, thread_id: str, **params: Unpack[MetadataUpdate]) -> Thread:
        """Change a thread's metadata."""
        return await self._session.call(ops.UpdateThread(thread_id=thread_id, params=params))

    async def delete(self, thread_id: str, **extras: Unpack[Extras]) -> Deleted:
        """Delete one, with its messages, runs and steps."""
        return await self._session.call(ops.DeleteThread(thread_id=thread_id, extras=extras))

    async def create_and_run(
        self, *, thread: ThreadParams | None = None, **params: Unpack[RunParams]
    ) -> Run:
        """Begin a conversation and a run on it, in one request."""
        operation = ops.CreateThreadAndRun(thread=thread, params=prepared(params))
        return await self._session.call(operation)

    def create_and_stream(
        self, *, thread: ThreadParams | None = None, **params: Unpack[StreamParams]
    ) -> RunStream:
        """Begin a conversation and stream a run on it, in one request."""
        operation = ops.CreateThreadAndRun(thread=thread, params=sent_of(params), stream=True)

        async def opening() -> Operation[Run]:
            return operation

        return self._streams.make(opening, params)

    def session(self, thread_id: str, *, on_active: OnActive = "wait") -> ThreadSession:
        """One conversation at a time on a thread: its messages and runs, one after the other.

        Args:
            thread_id: the thread.
            on_active: what is done about a run of others that is active there: `wait` until it has
                ended, also one that waits for tool outputs of others (one that this client has left
                with its calls is a `Conflict`), at most for `Timeouts.total`; `cancel` it; or
                `raise` a `Conflict`.

        Raises:
            InvalidArgument: an id that cannot be one, or another word.
        """
        return ThreadSession(self._session, self._streams, thread_id, on_active)
