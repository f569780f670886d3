"""Sends an operation until it is answered, or may not be sent any more.

The rules are `core/retry.py`'s, and what to ask about a lost answer is `core/reconcile.py`'s; here
is what waits and asks.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.known import Known, Past
from aiodashassist.core.marks import mark_of
from aiodashassist.core.models import Deleted, Message, Run
from aiodashassist.core.operations import Operation
from aiodashassist.core.reconcile import (
    Finding,
    Found,
    NotReceived,
    Seen,
    Unclear,
    inquiry,
    whereabouts,
)
from aiodashassist.core.retry import (
    LOOKS,
    Attempts,
    Budget,
    Failure,
    Follow,
    failure_of,
    follow,
)
from aiodashassist.core.settings import Retry
from aiodashassist.errors import (
    APIError,
    AssistError,
    ConfigError,
    FirstEventTimeout,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
)

__all__ = ("Experience", "Once", "Sending", "Unrepeatable")

logger = logging.getLogger(__name__)

R = TypeVar("R")

Once: TypeAlias = Callable[[int], Awaitable[R]]
"""One attempt, of the number that it is given."""
Ask: TypeAlias = Callable[[Operation[Any]], Awaitable[Seen]]
"""Asks for something that changes nothing, as often as it takes."""

HEARD = (APIError, ProtocolError)  # there was an answer, of whatever kind
DELETIONS = (ops.DeleteAssistant, ops.DeleteFile, ops.DeleteThread, ops.DetachFile)
MAKING = (ops.CreateMessage, ops.CreateRun, ops.CreateThreadAndRun)


class Unrepeatable(Exception):
    """An attempt failed when part of its answer had been handed out.

    Attributes:
        error: how.
    """

    def __init__(self, error: AssistError) -> None:
        super().__init__()
        self.error = error


class Experience:
    """What all requests of a client share.

    Attributes:
        budget: attempts beyond the first.
        known: the messages and runs that were seen.
        unkept: operations whose mark the service did not keep.
    """

    def __init__(self, budget: int) -> None:
        self.budget = Budget(budget)
        self.known = Known()
        self.unkept: set[type[Operation[Any]]] = set()
        self._pauses: set[asyncio.Future[None]] = set()
        self._closed = False

    async def pause(self, seconds: float) -> None:
        """Let so many seconds pass, or less if the client is closed meanwhile."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _end, over)
        self._pauses.add(over)
        try:
            await over
        finally:
            timer.cancel()
            self._pauses.discard(over)

    def close(self) -> None:
        """End all pauses: whoever goes on is told that the client is closed."""
        self._closed = True
        for over in self._pauses:
            _end(over)


class Sending:
    """One operation on its way.

    Args:
        operation: as it is sent, with its mark.
        retry: the rules.
        experience: what is shared.
        ask: how to look what became of it.
        page_size: of the lists that are looked through.
    """

    def __init__(
        self,
        operation: Operation[Any],
        retry: Retry,
        experience: Experience,
        ask: Ask,
        page_size: int,
    ) -> None:
        self._operation = operation
        self._retry = retry
        self._experience = experience
        self._ask = ask
        self._page_size = page_size
        self._began = _now()
        self._attempts = Attempts(retry, experience.budget, self._began)
        self._past = Past(experience.known, experience.known.moment)
        self._is_repeatable = follow(operation, Failure.LOST) is Follow.AGAIN
        self._doubt = False  # an attempt before may have been received after all
        self._lost: AssistError | None = None  # how an attempt got no answer at all
        self._dated = True  # whether it is known when the first attempt was sent
        self._begun = False  # its answer had: it was received, whatever is found of it
        self._is_out = False  # an attempt is on its way
        self._is_last = False

    @property
    def is_out(self) -> bool:
        """Whether it may have been received: it is on its way, or was, and got no answer."""
        return self._is_out or self._doubt or self._begun

    def leaves(self) -> None:
        """An attempt is on its way, after it had waited for its turn."""
        self._is_out = True

    def end(self) -> None:
        """Nobody waits any more: what was not received is not sent again."""
        self._is_last = True

    async def through(self, once: Once[R], lost: AssistError | None = None) -> R | Any:
        """What an attempt gives; what came of a lost one, as it is found.

        Args:
            once: the attempt.
            lost: how the first attempt failed already, at some time before.

        Raises:
            OutcomeUnknown: an answer was lost, and nothing tells what became of it.
            AssistError: it failed for good.
        """
        if lost is not None:
            self._past, self._dated = Past(self._experience.known, 0), False
            self._begun = True
        while True:
            error = lost
            if error is None:
                try:
                    result = await once(self._attempts.number)
                except AssistError as failure:
                    error = failure
                else:
                    self._experience.budget.give()
                    return self._learned(result)
            lost = None
            found = await self._after(error)
            if found is not None:
                return self._learned(found.result)

    def _learned(self, result: R) -> R:
        """A result; what came of this request did not come of another."""
        if isinstance(self._operation, MAKING) and isinstance(result, Run | Message):
            self._experience.known.add(result.id)
        return result

    async def _after(self, error: AssistError) -> Found | None:
        """After a failed attempt: what came of it all the same, or None when it is time for more.

        Raises:
            AssistError: nothing came of it, and it is not sent again.
        """
        failure = failure_of(error)
        follows = follow(self._operation, failure)
        if follows is Follow.STOP:
            return await self._settled(error)
        if follows is Follow.LOOK:
            if isinstance(error, HEARD) and not self._retry.reconcile:
                raise error
            finding = await self._look()
            if isinstance(finding, Found):
                return finding
            if isinstance(finding, Unclear) or failure is Failure.SILENT or self._begun:
                raise self._unknown(error, finding)
        if failure in (Failure.LOST, Failure.SILENT):
            self._doubt = True
            self._lost = self._lost if isinstance(error, HEARD) else error
        if self._is_last and not self._doubt:
            raise error
        self._is_out = False
        number = self._attempts.number
        pause = self._attempts.next(error, _now(), random.random())  # noqa: S311 (nothing secret)
        if pause is None:
            return await self._given_up(error)
        name = type(self._operation).__name__
        logger.debug("%s: attempt %d failed: %r; again in %.2f s", name, number, error, pause)
        await self._experience.pause(pause)
        return await self._last_look(error) if self._doubt and not self._is_repeatable else None

    async def _last_look(self, error: AssistError) -> Found | None:
        """Just before it is sent again: a lost attempt may have arrived meanwhile."""
        finding = await self._asked()
        if isinstance(finding, Unclear):
            raise self._unknown(error, finding)
        return finding if isinstance(finding, Found) else None

    async def _given_up(self, error: AssistError) -> Found:
        """There are no more attempts; one that was never answered may have been received."""
        if self._lost is None or self._is_repeatable:
            raise error
        finding = NotReceived() if self._lost is error else await self._asked()
        if isinstance(finding, Found):
            return finding
        raise self._unknown(self._lost, finding)

    async def _settled(self, error: AssistError) -> Found:
        """A last word, which may be due to an attempt before that was received after all."""
        operation = self._operation
        if self._doubt and isinstance(error, APIError):
            if isinstance(operation, DELETIONS) and isinstance(error, NotFound):
                return Found(_deleted(operation))
            if not self._is_repeatable:
                found = await self._last_look(error)
                if found is not None:
                    return found
        raise error

    async def _look(self) -> Finding:
        """Look what became of a lost attempt; one that is not seen yet may be on its way.

        Looks keep their distance: there is more chance in the pauses between attempts.
        """
        if not self._retry.reconcile:
            return Unclear("it is not looked for: Retry(reconcile=False)")
        finding = await self._asked()
        for further in range(1, LOOKS):
            if not isinstance(finding, NotReceived) or self._attempts.is_late(_now()):
                break
            chance = (1 + random.random()) / 2  # noqa: S311 (nothing secret in it)
            await self._experience.pause(self._attempts.pause(chance, further))
            finding = await self._asked()
        return finding

    async def _asked(self) -> Finding:
        """Make the inquiry."""
        operation, experience = self._operation, self._experience
        if mark_of(operation) is not None and type(operation) in experience.unkept:
            return Unclear("the service does not keep what it would be found by")
        asking = inquiry(operation, self._past, self._page_size)
        if asking is None:
            return Unclear("there is no way to look it up")
        try:
            asked = next(asking)
            while True:
                asked = asking.send(self._since(await self._ask(asked)))
        except StopIteration as end:
            finding: Finding = end.value
            return finding
        except ConfigError:  # no word of the service: this client cannot ask
            raise
        except AssistError as error:
            return Unclear(f"looking it up failed: {error}")

    def _since(self, seen: Seen) -> Seen:
        """What was seen, with when the first attempt was sent by the clock of the service."""
        if not seen.now or not self._dated:
            return seen
        waited = _now() - self._began
        return replace(seen, began=seen.now - waited * 1000)

    def _unknown(self, error: AssistError, finding: Finding) -> AssistError:
        """The error for an outcome that nobody knows."""
        where = whereabouts(self._operation)
        if isinstance(error, FirstEventTimeout):  # a clock that ran out is told as such
            words = f"{error.message}; whether the run was begun is not known: {where}"
            return FirstEventTimeout(words, request_id=error.request_id)
        name = type(self._operation).__name__
        how = "the service failed" if isinstance(error, HEARD) else "the answer was lost"
        why = finding.why if isinstance(finding, Unclear) else "it may still be on its way"
        words = f"{name}: {how} ({error}), and {why}; {where}"
        unknown = OutcomeUnknown(words, request_id=error.request_id)
        unknown.__cause__ = error
        return unknown


def _now() -> float:
    """Seconds by the clock of the loop."""
    return asyncio.get_running_loop().time()


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def _deleted(operation: Operation[Any]) -> Deleted:
    """The answer to a deletion that was done when its answer was lost."""
    obj_id = next(
        getattr(operation, name)
        for name in ("file_id", "assistant_id", "thread_id")
        if hasattr(operation, name)
    )
    return Deleted(id=obj_id, deleted=True)
