"""What a run's loop sends: the request that opens its stream, and the outputs of its tools."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from aiodashassist.calls import Session
from aiodashassist.core.machine import RunMachine
from aiodashassist.core.models import Run
from aiodashassist.core.operations import (
    CreateRun,
    CreateThreadAndRun,
    Operation,
    RetrieveRun,
    SubmitOutputs,
)
from aiodashassist.errors import AssistError
from aiodashassist.feed import EventFeed, Feed
from aiodashassist.polling import Break, PolledRun
from aiodashassist.sending import Sending

__all__ = ("Exchange", "Lost", "Opening")

Opening: TypeAlias = Callable[[], Awaitable[Operation[Run]]]
"""Gives the operation that begins the run, after whatever must be done before it.

Its answer is the stream; that of a `RetrieveRun` is not, and the run is polled.
"""


class Lost(Struct, frozen=True):
    """The answer that would have been a stream was lost; the run was found all the same."""

    run: Run


class Exchange:
    """Opens a run's streams; what is open is closed when it hangs up, taken up or not.

    Attributes:
        reopens: whether the provider goes on with a new stream after a round of tools.
        thread_id: the thread that the run was asked for on, where the request says so.
        run_id: the run, where it was under way before.

    Args:
        session: what sends operations.
        machine: knows which rounds were answered.
    """

    def __init__(self, session: Session, machine: RunMachine | None = None) -> None:
        self.reopens = session.provider.reopens
        self.thread_id: str | None = None
        self.run_id: str | None = None
        self._session = session
        self._machine = machine
        self._operation: Operation[Run] | None = None  # that has begun the run
        self._sending: Sending | None = None  # it on its way, the last time
        self._feed: Feed | None = None  # the newest
        self._hung_up = False

    @property
    def asked(self) -> bool:
        """Whether the request for the run may have been received, or the run was there before."""
        return self.run_id is not None or (self._sending is not None and self._sending.is_out)

    def ask_no_more(self) -> None:
        """What was not received is not sent again: nobody waits any more."""
        if self._sending is not None:
            self._sending.end()

    async def begin(self, opening: Opening) -> Feed | Lost:
        """Ask for the run, and open its stream."""
        operation = self._session.marked(await opening())
        self.thread_id = getattr(operation, "thread_id", None)
        if isinstance(operation, RetrieveRun):
            self.run_id = operation.run_id
            return self.poll(operation.thread_id, operation.run_id)
        self._operation = operation
        self._sending = self._session.sending(operation)
        return await self._open(operation, None, self._sending)

    async def again(self, error: AssistError, thread_id: str | None) -> Feed | Lost:
        """After a stream that broke before it told of its run: that run, as it is looked up.

        Args:
            error: how it broke.
            thread_id: the thread, where the stream told of that.

        Raises:
            AssistError: the run is not there, or it cannot be known; `error` where there is no
                other reason.
        """
        operation = self._operation
        if operation is None or not self._session.config.retry.reconcile:
            raise error
        if isinstance(operation, CreateThreadAndRun) and thread_id is not None:
            operation = CreateRun(thread_id=thread_id, params=operation.params, stream=True)
        self._sending = self._session.sending(operation)
        return await self._open(operation, error, self._sending)

    def poll(self, thread_id: str, run_id: str, broken: Break | None = None) -> Feed:
        """Follow a run that has no stream, or none any more."""
        self._feed = PolledRun(self._session, thread_id, run_id, broken, self._machine)
        return self._feed

    async def deliver(self, operation: SubmitOutputs) -> Feed | Lost | None:
        """Send the outputs of a round; the stream that this opens, where it opens one."""
        if operation.stream:
            return await self._open(operation)
        await self._session.call(operation)
        return None

    def hang_up(self) -> None:
        """Close the stream, also one that is only about to open."""
        self._hung_up = True
        if self._feed is not None:
            self._feed.close()

    async def _open(
        self,
        operation: Operation[Run],
        lost: AssistError | None = None,
        sending: Sending | None = None,
    ) -> Feed | Lost:
        body = await self._session.open(operation, lost, sending)
        if isinstance(body, Run):
            return Lost(body)
        config = self._session.config
        feed = EventFeed(
            body, self._session.provider.reader(body.headers), config.timeouts, config.limits
        )
        self._feed = feed  # the loop has left the one before it
        if self._hung_up:
            feed.close()
        return feed
