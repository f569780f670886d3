"""A session whose answers are written by the test, for a provider whose stream stays open."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from aiodashassist import AssistError, Limits, Timeouts
from aiodashassist.body import Body
from aiodashassist.calls import Session
from aiodashassist.config import Config
from aiodashassist.core.models import Page, Run
from aiodashassist.core.operations import (
    CancelRun,
    CreateRun,
    ListOperation,
    Operation,
    SubmitOutputs,
)
from aiodashassist.core.reconcile import Seen
from aiodashassist.duties import Duties
from aiodashassist.errors import StreamInterrupted
from aiodashassist.providers.dashscope import DashScopeProvider
from aiodashassist.sending import Experience, Sending


class StaysOpen(DashScopeProvider):
    """DashScope's events, on a stream that stays open across tool calls."""

    reopens = False


class ScriptedBody:
    """Bytes that the test feeds."""

    waited = 0.0
    headers: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = False

    def feed(self, *chunks: bytes) -> None:
        """More bytes; `b""` is the end."""
        for chunk in chunks:
            self._chunks.put_nowait(chunk)

    async def read(self) -> bytes:
        """The next bytes."""
        chunk = await self._chunks.get()
        if chunk is None:
            raise StreamInterrupted("closed")
        return chunk

    def close(self) -> None:
        """Wake whoever reads, with an error."""
        self.closed = True
        self._chunks.put_nowait(None)


class ScriptedSession:
    """Takes operations and notes them; `call` may be replaced to do more.

    A run that is read back is `run`; of a stream that broke before its run was known, nothing is
    found. With an `error` nothing can be read.
    """

    def __init__(self, provider: DashScopeProvider | None = None, **timeouts: Any) -> None:
        self.provider = provider or StaysOpen()
        self.config = Config(
            base_url="http://x", key="x", timeouts=Timeouts(**timeouts), limits=Limits()
        )
        self.duties = Duties()
        self.experience = Experience(0)
        self.run = Run(id="run_1", thread_id="thread_1", status="in_progress")
        self.body = ScriptedBody()
        self.asked: list[Operation[Any]] = []
        self.submitted = asyncio.Event()
        self.error: Exception | None = None

    def sending(self, operation: Operation[Any]) -> Sending:
        """An operation on its way, which leaves at once."""
        return Sending(operation, self.config.retry, self.experience, self.look, 1)

    async def look(self, operation: Operation[Any]) -> Seen:
        """What a look sees: nothing."""
        raise NotImplementedError(type(operation).__name__)

    async def open(
        self,
        operation: Operation[Any],
        lost: AssistError | None = None,
        sending: Sending | None = None,
    ) -> Body:
        """The stream."""
        self.asked.append(operation)
        if sending is not None:
            sending.leaves()
        if lost is not None:
            raise lost
        return cast("Body", self.body)

    async def call(self, operation: Operation[Any]) -> Run | Page[Any]:
        """The run, or an empty list."""
        self.asked.append(operation)
        if isinstance(operation, SubmitOutputs):
            self.submitted.set()
        if self.error is not None:
            raise self.error
        return Page() if isinstance(operation, ListOperation) else self.run

    def marked(self, operation: Operation[Any]) -> Operation[Any]:
        """The operation as it is: nothing is looked for by its mark."""
        return operation

    def scrub(self, _error: AssistError, _headers: object = None) -> None:
        """There is no key here to be taken out."""

    @property
    def submissions(self) -> list[list[str]]:
        """The outputs sent so far, a list a round."""
        sent = [asked for asked in self.asked if isinstance(asked, SubmitOutputs)]
        return [[output.output for output in one.tool_outputs] for one in sent]

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled remotely."""
        return any(isinstance(asked, CancelRun) for asked in self.asked)

    def typed(self) -> Session:
        """Itself, for the type checker."""
        return cast("Session", self)


async def opening() -> Operation[Run]:
    """The operation that opens the stream."""
    return CreateRun(thread_id="thread_1", params={"assistant_id": "a"}, stream=True)
