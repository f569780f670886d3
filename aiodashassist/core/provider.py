"""What a provider must be able to do, for the client and for the local server. All of it pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct, field

from aiodashassist.core.events import ErrorEvent, Event
from aiodashassist.core.files import File, Form
from aiodashassist.core.models import Page
from aiodashassist.core.operations import Operation
from aiodashassist.core.sse import Frame
from aiodashassist.errors import APIError

__all__ = ("EventReader", "EventWriter", "Provider", "Refusal", "Request", "Response", "Service")

T = TypeVar("T")

EventReader = Callable[[Frame], Sequence[Event]]
"""One stream's reader: what a frame says; nothing for a ping or a closing mark.

Raises DecodeError for a frame that cannot be read.
"""
EventWriter = Callable[[Event], bytes]
"""One stream's writer: an event, framed; no bytes for what this wire does not say."""


class Request(Struct, frozen=True, kw_only=True):
    """An encoded operation. Keys and hosts are added by the session: this can be logged.

    `headers` are the caller's own; the body is one of `body` and `form`, or neither.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    form: Form | None = None
    operation: str = ""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path}, {len(self.body or b'')} bytes)"


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer; header names in lower case; `at` is when it came, in epoch seconds."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    at: float = 0.0

    def __repr__(self) -> str:
        return f"Response(status={self.status}, {len(self.body)} bytes)"


class Provider(Protocol):
    """One API as a client sees it.

    Attributes:
        name: how the provider is called in messages.
        reopens: how a run goes on after its tool outputs were sent. True: its stream has ended,
            and sending them opens a new one. False: its stream stays open, and they are sent
            beside it.
        blocks: whether a run that is created without a stream is answered only when it rests.
        replaces: whether an update of an assistant takes away what it does not name.
        largest_page: objects that every list of this API gives on one page, if asked to.
        marks: what is made with metadata that its lists show.
    """

    name: str
    reopens: bool
    blocks: bool
    replaces: bool
    largest_page: int
    marks: frozenset[type[Operation[Any]]]

    def headers(self, key: str, workspace: str | None) -> Mapping[str, str]:
        """The headers of every request."""

    def encode(self, operation: Operation[Any]) -> Request:
        """The request that asks for it.

        Raises:
            InvalidArgument: an empty id, a value beyond a documented limit.
            UnsupportedOperation: this API has no such call.
            UnsupportedParameter: this API has no place for a parameter.
        """

    def decode(self, operation: Operation[T], response: Response) -> T:
        """The result of a successful answer.

        Raises:
            APIError: the answer is an error after all.
            DecodeError: it cannot be read.
        """

    def error(self, operation: Operation[Any], response: Response) -> APIError | None:
        """The error that an answer is; None where it is none."""

    def stream_error(self, event: ErrorEvent) -> APIError:
        """The exception for an error reported inside a stream."""

    def unsupported(self, operation: Operation[Any], error: APIError) -> bool:
        """Whether this error says that the service has no such call at all."""

    def is_file(self, headers: Mapping[str, str], begun: bytes) -> bool:
        """Whether the answer to a download is no error for sure, by headers and first bytes."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The service's id of a request, where the headers of its answer tell it."""

    def reader(self, headers: Mapping[str, str]) -> EventReader:
        """A reader for one stream, whose answer had these headers; names in lower case."""


class Refusal(Exception):
    """The local server says no; each wire has its own words for it.

    Attributes:
        kind: what is wrong. `missing`: no such `subject`. `invalid`: see the message.
            `limit`, `order`: a list's parameters. `empty`: a message without content.
            `url`, `method`: no such call. `key_missing`, `key_wrong`: authentication.
            `host`: the server is not known by that name. `too_large`: the body. `internal`: a
            fault of the server; `timeout`, `throttled`, `unavailable`: what it may suffer from.
        subject: which kind of object, for `missing`.
    """

    def __init__(
        self,
        kind: Literal[
            "missing",
            "invalid",
            "limit",
            "order",
            "empty",
            "url",
            "method",
            "key_missing",
            "key_wrong",
            "host",
            "too_large",
            "internal",
            "timeout",
            "throttled",
            "unavailable",
        ],
        message: str = "",
        *,
        subject: str = "",
    ) -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.message = message
        self.subject = subject


class Service(Protocol):
    """One API as a server speaks it: the inverse of `Provider`.

    Attributes:
        prefix: the path under which it is served.
        reopens: as the `Provider`'s: whether a stream ends where a run waits for tool outputs.
        blocks: as the `Provider`'s: whether a run is answered when it rests.
        needs_user: whether a run begins only where the last message is the user's.
        ping: what is sent in a stream that is silent for long; `b""` for nothing.
    """

    prefix: str
    reopens: bool
    blocks: bool
    needs_user: bool
    ping: bytes

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The key a request brought; header names in lower case."""

    def workspace(self, headers: Mapping[str, str]) -> str:
        """The workspace that a request means; header names in lower case."""

    def takes_form(self, method: str, path: str) -> bool:
        """Whether the body of this call is a form with files, to be read piece by piece."""

    def parse(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | Form
    ) -> Operation[Any]:
        """The operation that a request asks for; `path` is below the prefix, still quoted.

        Raises:
            Refusal: the request is not acceptable.
        """

    def answer(
        self, operation: Operation[Any], result: Struct | Page[Any], request_id: str
    ) -> bytes:
        """The body of a successful answer."""

    def headers(self, file: File | None, request_id: str) -> Mapping[str, str]:
        """The headers of an answer besides the usual; `file` is that whose bytes it is."""

    def writer(self, request_id: str) -> EventWriter:
        """A writer for one stream."""

    def closing(self) -> bytes:
        """What ends a stream."""

    def refuse(
        self, refusal: Refusal, request_id: str, operation: Operation[Any] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of an error answer; to `operation`, where the request was read."""
