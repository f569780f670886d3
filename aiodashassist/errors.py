"""Every exception of the library. This room imports nothing of ours.

AssistError                 run_id, thread_id, request_id, text: None where unknown
    ConfigError             no key, a key over plain http, an unknown region
    InvalidArgument         a ValueError: an empty id, a value beyond a documented limit
    UnsupportedOperation    this provider has no such call
    UnsupportedParameter    this provider has no place for that parameter
    TransportError          nothing usable was heard
        ConnectError  RequestTimeout  FirstEventTimeout  IdleTimeout  TotalTimeout
        StreamInterrupted  ResponseTooLarge  UnexpectedRedirect
        OutcomeUnknown
    APIError                the service said no: status, code, message, retry_after
        BadRequest  AuthenticationError  PermissionDenied  NotFound  Conflict
        RateLimited  ServerError
    ProtocolError           RemoteProtocolError (the service broke the rules),
                            LocalProtocolError (the caller did), DecodeError
    RunError                the run ended badly: status, code
        RunFailed  RunExpired  RunCancelled  RunIncomplete  ToolRoundsExceeded
    ToolError               raised by a tool to speak to the model
        ToolNotFound  ToolArgumentsError  ToolTimeout

PauseRun                    a signal and no error: raised by a tool or an approval, its call is left
                            to the caller

No error holds a key. What a run had said when it broke is `text`, an attribute to read: no `str`,
no `repr`, no log line and no pickle has it. Every error can be pickled. The message of an APIError
is the service's own, and may quote what was sent; keys and tokens are blotted out of it.
"""

import re
from copy import deepcopy
from typing import Any, Self, TypeVar

__all__ = (
    "APIError",
    "AssistError",
    "AuthenticationError",
    "BadRequest",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "DecodeError",
    "FirstEventTimeout",
    "IdleTimeout",
    "InvalidArgument",
    "LocalProtocolError",
    "NotFound",
    "OutcomeUnknown",
    "PauseRun",
    "PermissionDenied",
    "ProtocolError",
    "RateLimited",
    "RemoteProtocolError",
    "RequestTimeout",
    "ResponseTooLarge",
    "RunCancelled",
    "RunError",
    "RunExpired",
    "RunFailed",
    "RunIncomplete",
    "ServerError",
    "StreamInterrupted",
    "ToolArgumentsError",
    "ToolError",
    "ToolNotFound",
    "ToolRoundsExceeded",
    "ToolTimeout",
    "TotalTimeout",
    "TransportError",
    "UnexpectedRedirect",
    "UnsupportedOperation",
    "UnsupportedParameter",
)


class AssistError(Exception):
    """The root of all errors that this library raises.

    Attributes:
        message: what went wrong and, where there is something to do, what to do.
        run_id: the run it happened in.
        thread_id: the thread it happened in.
        request_id: the service's id of the request, to quote when asking its support.
        text: all text the run had delivered before. Never part of `str()`, `repr()` or a pickle.
    """

    def __init__(
        self,
        message: str = "",
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        request_id: str | None = None,
        text: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.run_id = run_id
        self.thread_id = thread_id
        self.request_id = request_id
        self.text = text

    def __str__(self) -> str:
        where = [f"{name} {value}" for name, value in self._where() if value]
        sentence = self.message or type(self).__name__
        return f"{sentence} ({', '.join(where)})" if where else sentence

    def _where(self) -> list[tuple[str, str | None]]:
        return [("run", self.run_id), ("request", self.request_id)]

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default protocol; what was said is not kept.
        return _rebuild, (type(self), self.args, {**self.__dict__, "text": None})

    def __copy__(self) -> Self:
        """The same error once more; unlike a pickle it keeps the text, for it goes nowhere."""
        return _rebuild(type(self), self.args, self.__dict__.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """See `__copy__`."""
        return _rebuild(type(self), self.args, deepcopy(self.__dict__, memo))

    def located(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        request_id: str | None = None,
        text: str | None = None,
    ) -> Self:
        """The same error, told where it happened; what it knows already is kept."""
        self.run_id = self.run_id or run_id
        self.thread_id = self.thread_id or thread_id
        self.request_id = self.request_id or request_id
        self.text = self.text if self.text is not None else text
        return self

    def forget(self, secret: str) -> None:
        """Blot a secret out of everything but `text`, should the service have quoted it.

        In capitals or not: a key that stood for a host is told in small letters.
        """
        for name, value in vars(self).items():
            if isinstance(value, str) and name != "text":
                setattr(self, name, re.sub(re.escape(secret), "***", value, flags=re.IGNORECASE))
        self.args = (self.message,)


E = TypeVar("E", bound=AssistError)


def _rebuild(cls: type[E], args: tuple[Any, ...], state: dict[str, Any]) -> E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(AssistError):
    """The client cannot be built or used as configured."""


class InvalidArgument(AssistError, ValueError):
    """A value that cannot be sent; the message names the field and its limit."""


class UnsupportedOperation(AssistError):
    """This provider has no such call."""


class UnsupportedParameter(AssistError):
    """This provider has no place for that parameter."""


class TransportError(AssistError):
    """Nothing usable was heard from the service."""


class ConnectError(TransportError):
    """No connection: refused, unreachable, name not found, TLS failed, or not in time."""


class RequestTimeout(TransportError, TimeoutError):
    """An answer that is not a stream did not come within `Timeouts.read` seconds."""


class FirstEventTimeout(TransportError, TimeoutError):
    """A stream's first event did not come within `Timeouts.first_event` seconds."""


class IdleTimeout(TransportError, TimeoutError):
    """No event came for `Timeouts.idle` seconds, and the run, read back, went on no more either.

    Comments and pings do not count.
    """


class TotalTimeout(TransportError, TimeoutError):
    """The whole call took longer than `Timeouts.total` seconds."""


class StreamInterrupted(TransportError):
    """The stream ended before the run was at rest, and the run could not be read back.

    `text` is what had been delivered.
    """


class ResponseTooLarge(TransportError):
    """An answer or an event is larger than `Limits` allows."""


class UnexpectedRedirect(TransportError):
    """The service answered with a redirect, which would carry the key elsewhere."""


class OutcomeUnknown(TransportError):
    """The answer was lost, and whether the work was done could not be learned.

    The message says where to look; its cause is how the answer was lost. Nothing was sent again
    that could have been done before.
    """


class APIError(AssistError):
    """The service answered with an error.

    Attributes:
        status: HTTP status; None for an error inside a stream.
        code: the service's own code, `""` where it gave none.
        retry_after: seconds the service asks to wait, if it says so.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str = "",
        retry_after: float | None = None,
        **where: str | None,
    ) -> None:
        super().__init__(message, **where)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def __str__(self) -> str:
        head = " ".join(str(part) for part in (self.status, self.code) if part)
        return f"{head}: {super().__str__()}" if head else super().__str__()


class BadRequest(APIError):
    """The request is not acceptable as it stands (400, 413, 422)."""


class AuthenticationError(APIError):
    """The key is missing or not valid for this service and region (401)."""


class PermissionDenied(APIError):
    """The key may not do this, or the account's billing is not in order (403)."""


class NotFound(APIError):
    """No such object. DashScope says so with status 400 (dashscope.md §6.2)."""


class Conflict(APIError):
    """The object is in a state that does not allow this (409)."""


class RateLimited(APIError):
    """Too many requests (429)."""


class ServerError(APIError):
    """The service failed (5xx)."""


class ProtocolError(AssistError):
    """The rules of the conversation were broken."""


class RemoteProtocolError(ProtocolError):
    """The service sent something that its protocol does not allow."""


class LocalProtocolError(ProtocolError):
    """The library is used in a way it does not allow."""


class DecodeError(ProtocolError):
    """The service's answer cannot be read.

    Attributes:
        garbled: whether it is no JSON at all: a page of a gateway, or the half of an answer.
    """

    garbled = False


class RunError(AssistError):
    """The run ended otherwise than completed.

    Attributes:
        status: the run's last status.
        code: the code of the run's last error, where it gave one.
    """

    def __init__(
        self, message: str = "", *, status: str = "", code: str = "", **where: str | None
    ) -> None:
        super().__init__(message, **where)
        self.status = status
        self.code = code


class RunFailed(RunError):
    """The run ended as `failed`; the message is its last error."""


class RunExpired(RunError):
    """The run ended as `expired`, mostly for want of tool outputs."""


class RunCancelled(RunError):
    """The run ended as `cancelled`."""


class RunIncomplete(RunError):
    """The run ended as `incomplete`."""


class ToolRoundsExceeded(RunError):
    """The run asked for more rounds of tool calls than `max_rounds` allows."""


class ToolError(AssistError):
    """Raised by a tool: its text is shown to the model. Other exceptions' texts are not."""


class ToolNotFound(ToolError):
    """The model called a tool that is not there."""


class ToolArgumentsError(ToolError):
    """The model's arguments do not fit the tool's parameters."""


class ToolTimeout(ToolError):
    """The tool did not finish in time."""


class PauseRun(Exception):
    """Raised by a tool, or by `approve=`: this call gets no output here and now.

    The other calls of the round finish; then the iteration ends with `pending_calls` and
    `completed_outputs`, and the run waits for whoever answers. What it is raised with is nobody's
    business: neither the model nor the log sees it.
    """
