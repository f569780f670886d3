"""When a request is sent again: pure policy, without a clock and without chance of its own.

A failure says whether the work may have been done; the operation says whether doing it twice would
matter. Only together they say what may follow (`Follow`).
"""

from enum import Enum, auto
from typing import Any

from aiodashassist.core import operations as ops
from aiodashassist.core.operations import Operation
from aiodashassist.core.settings import Retry
from aiodashassist.errors import (
    APIError,
    AssistError,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    OutcomeUnknown,
    RateLimited,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    ServerError,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
)

__all__ = ("LOOKS", "Attempts", "Budget", "Failure", "Follow", "failure_of", "follow")

LOOKS = 3  # at what became of a request, before it counts as not received: it may be on its way
GATEWAYS = (502, 504)  # whoever says so does not know what the service behind it does
OUT_OF_TIME = "timeout"  # in a code: it was given up, and may be under way (dashscope.md §6.3)
GIVEN_BACK = 0.75  # for a good answer: where more than every third fails, less and less is left
LONGEST_ASKED = 3600.0  # seconds; who asks for more is not waited for
LONGEST = 64  # doublings; more of them no float can hold

REPEATABLE: tuple[type[Operation[Any]], ...] = (
    ops.ListOperation,
    ops.ListFiles,
    ops.RetrieveAssistant,
    ops.RetrieveAssistantFile,
    ops.RetrieveFile,
    ops.RetrieveMessage,
    ops.RetrieveMessageFile,
    ops.RetrieveRun,
    ops.RetrieveStep,
    ops.RetrieveThread,
    ops.ReadFile,
    ops.DownloadFile,
    ops.DeleteAssistant,
    ops.DeleteFile,
    ops.DeleteThread,
    ops.DetachFile,
    ops.UpdateAssistant,
    ops.UpdateMessage,
    ops.UpdateRun,
    ops.UpdateThread,
    ops.CancelRun,
    ops.CreateThread,  # an empty thread that nobody knows harms nobody
)
"""What may be done twice: it comes to the same."""


class Failure(Enum):
    """What a failed request tells of its work."""

    UNSENT = auto()  # it was not received
    REFUSED = auto()  # it was received and not begun
    LOST = auto()  # the answer is lost, the connection gone: the work may have been done
    SILENT = auto()  # no answer in time: the work may still be under way
    FINAL = auto()  # it was answered, or nobody waits any longer


BY_CLASS: tuple[tuple[type[AssistError], Failure], ...] = (
    (ConnectError, Failure.UNSENT),
    (TotalTimeout, Failure.FINAL),
    (ResponseTooLarge, Failure.FINAL),
    (UnexpectedRedirect, Failure.FINAL),
    (OutcomeUnknown, Failure.FINAL),
    (RequestTimeout, Failure.SILENT),
    (FirstEventTimeout, Failure.SILENT),
    (TransportError, Failure.LOST),
    (RemoteProtocolError, Failure.LOST),  # somebody between answered, with what is no answer
)
"""The first that fits; what is none of these was answered."""


class Follow(Enum):
    """What may follow a failure."""

    AGAIN = auto()  # send it again
    LOOK = auto()  # look what became of it first
    STOP = auto()


def failure_of(error: AssistError) -> Failure:
    """What an error tells of the work."""
    if isinstance(error, APIError):
        return _of_status(error)
    if isinstance(error, DecodeError) and error.garbled:
        return Failure.LOST
    return next((told for kind, told in BY_CLASS if isinstance(error, kind)), Failure.FINAL)


def _of_status(error: APIError) -> Failure:
    """What an answer tells; 429 and 503 refuse, if it is not for want of money.

    AppBuilder puts its own faults into answers of status 200 (appbuilder.md §6.1).
    """
    status = error.status or 0
    if isinstance(error, RateLimited) or status == 503:
        return Failure.REFUSED
    if status == 408:  # the request did not arrive as a whole
        return Failure.LOST
    if status < 500 and not isinstance(error, ServerError):
        return Failure.FINAL
    given_up = status in GATEWAYS or OUT_OF_TIME in error.code.lower()
    return Failure.SILENT if given_up else Failure.LOST


def follow(operation: Operation[Any], failure: Failure) -> Follow:
    """What may follow when an operation failed so."""
    if failure is Failure.FINAL:
        return Follow.STOP
    if failure is Failure.REFUSED and isinstance(operation, ops.CreateFiles):
        # What an iterator gave is gone.
        again = all(file.size is not None for file in operation.files)
        return Follow.AGAIN if again else Follow.STOP
    if failure in (Failure.UNSENT, Failure.REFUSED) or isinstance(operation, REPEATABLE):
        return Follow.AGAIN
    return Follow.LOOK


class Budget:
    """Attempts beyond the first that all requests of a client share.

    Args:
        size: how many there are at most; four good answers give three back.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left: float = size

    def take(self) -> bool:
        """Take one; whether there was any."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give(self) -> None:
        """Give back for a good answer."""
        self._left = min(self._size, self._left + GIVEN_BACK)


class Attempts:
    """The attempts of one request.

    Attributes:
        number: of the attempt under way, from 1.

    Args:
        retry: the rules.
        budget: what all requests share.
        began: when the first attempt began, in seconds of any clock.
    """

    def __init__(self, retry: Retry, budget: Budget, began: float) -> None:
        self.number = 1
        self._retry = retry
        self._budget = budget
        self._began = began

    def next(self, error: AssistError, now: float, chance: float) -> float | None:
        """Seconds to wait before the next attempt; None where there is none.

        Args:
            error: how this one failed; its `retry_after` is the least that is waited.
            now: by the clock of `began`.
            chance: at least 0 and less than 1: where in its range the pause is.
        """
        asked = error.retry_after if isinstance(error, APIError) else None
        pause = max(self.pause(chance), asked or 0.0)
        limit = self._retry.max_elapsed
        if self.number >= self._retry.attempts or not pause <= LONGEST_ASKED:
            return None
        if limit is not None and now + pause - self._began > limit:
            return None
        if not self._budget.take():
            return None
        self.number += 1
        return pause

    def is_late(self, now: float) -> bool:
        """Whether the time for all attempts is over."""
        limit = self._retry.max_elapsed
        return limit is not None and now - self._began > limit

    def pause(self, chance: float, further: int = 0) -> float:
        """Seconds, drawn from all of the range; `further` doublings of it beyond the attempts'."""
        doublings = min(self.number - 1 + further, LONGEST)
        return chance * min(self._retry.longest_delay, self._retry.first_delay * 2.0**doublings)
