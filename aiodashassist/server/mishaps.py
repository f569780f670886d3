"""The kinds of faults, each with what it needs to know; `faults.py` has them in one list."""

from msgspec import Struct

from aiodashassist.core import operations

__all__ = (
    "Chop",
    "Crlf",
    "Cut",
    "Drop",
    "Duplicate",
    "Expire",
    "Fault",
    "Html",
    "Instead",
    "Lose",
    "Refuse",
    "Slow",
    "Stall",
    "Truncate",
)

NAMES = frozenset(operations.__all__) - {"Operation", "ListOperation"}
TOLD = frozenset({408, 429, *range(500, 600)})


class Fault(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What all faults share: which requests they are for; see the module for the words.

    Raises:
        ValueError: an argument makes no sense.
    """

    operation: str = ""
    stream: bool | None = None
    skip: int = 0
    every: int = 1
    times: int | None = None
    chance: float = 1.0

    def __post_init__(self) -> None:
        if self.operation and self.operation not in NAMES:
            raise ValueError(f"there is no operation {self.operation!r}; see core/operations.py")
        _at_least("skip", self.skip, 0)
        _at_least("every", self.every, 1)
        if self.times is not None:
            _at_least("times", self.times, 1)
        if not _is_number(self.chance) or not 0 <= self.chance <= 1:
            raise ValueError("chance must be a number from 0 to 1")
        if self.stream not in (None, True, False):
            raise ValueError("stream must be True, False or None")

    def fits(self, name: str, *, stream: bool) -> bool:
        """Whether it is for an operation of this name, which asks for a stream or not."""
        return self.operation in ("", name) and self.stream in (None, stream)


class Instead(Fault, frozen=True, kw_only=True):
    """A fault that stands instead of the work."""


class Drop(Instead, frozen=True, kw_only=True):
    """The connection is closed before anything was done; `reset` sends RST instead of FIN."""

    reset: bool = False


class Refuse(Instead, frozen=True, kw_only=True):
    """A refusal in the wire's own words: 408, 429 or any 5xx.

    DashScope documents codes for 429, 500 and 503 (dashscope.md §6.3). What AppBuilder says with
    other statuses than 200 is not known (appbuilder.md §6.2): it says it as its gateway would.

    Attributes:
        status: the HTTP status.
        retry_after: the value of `Retry-After`, sent as it is; None for no such header, as
            DashScope documents none (dashscope.md §6.4).
    """

    status: int = 429
    retry_after: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in TOLD:
            raise ValueError("status must be 408, 429 or from 500 to 599")
        value = self.retry_after
        if value is not None and not (isinstance(value, str) and value.isprintable()):
            raise ValueError("retry_after must be the value of a header, a printable text, or None")


class Html(Instead, frozen=True, kw_only=True):
    """A page of HTML where JSON or a stream was expected; `status` 200, or from 400 to 599."""

    status: int = 502

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status != 200 and self.status not in range(400, 600):
            raise ValueError("status must be 200 or from 400 to 599")


class Expire(Fault, frozen=True, kw_only=True):
    """The run expires just before its outputs are taken, which are then refused."""

    operation: str = "SubmitOutputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.operation != "SubmitOutputs":
            raise ValueError("operation must be 'SubmitOutputs': nothing else brings outputs")


class Lose(Fault, frozen=True, kw_only=True):
    """The work is done, no byte of the answer comes; `reset` sends RST instead of FIN."""

    reset: bool = False


class Slow(Fault, frozen=True, kw_only=True):
    """The work is done, and the first byte of the answer comes so many seconds later."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _more_than_nothing("seconds", self.seconds)


class Cut(Fault, frozen=True, kw_only=True):
    """The connection is closed in the middle of the answer; one of the first two is given.

    An answer that is no longer than that comes whole.

    Attributes:
        after_bytes: so many bytes were sent, from the first byte of the answer's head.
        after_events: so many events were sent, in a stream; 0 is only its head.
        reset: RST is sent instead of FIN.
    """

    after_bytes: int | None = None
    after_events: int | None = None
    reset: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.after_bytes is None) == (self.after_events is None):
            raise ValueError("give one of after_bytes and after_events")
        if self.after_bytes is not None:
            _at_least("after_bytes", self.after_bytes, 0)
        if self.after_events is not None:
            _at_least("after_events", self.after_events, 0)
            _check_stream(self)

    def fits(self, name: str, *, stream: bool) -> bool:
        """See `Fault.fits`; events are in streams only."""
        has = stream or self.after_events is None
        return has and super().fits(name, stream=stream)


class Truncate(Fault, frozen=True, kw_only=True):
    """The connection is closed after so many bytes of the body; its head has told of more.

    It falls inside a chunk: where it would fall between two, the length of the next is told. A
    body that is no longer than that comes whole.
    """

    after_bytes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("after_bytes", self.after_bytes, 0)


class Chop(Fault, frozen=True, kw_only=True):
    """The body comes in pieces of so many bytes, in a stream a chunk each.

    Attributes:
        size: bytes of a piece.
        pause: seconds between two pieces; with 0 only others come to their turn.
    """

    size: int
    pause: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("size", self.size, 1)
        if not _is_number(self.pause) or not self.pause >= 0:
            raise ValueError("pause must be a number of seconds, at least 0")


class OfStream(Fault, frozen=True, kw_only=True):
    """A fault that only a stream can have."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_stream(self)

    def fits(self, name: str, *, stream: bool) -> bool:
        """See `Fault.fits`."""
        return stream and super().fits(name, stream=stream)


class Stall(OfStream, frozen=True, kw_only=True):
    """A stream falls silent; its run goes on, and what it said meanwhile comes afterwards.

    Attributes:
        after_events: so many events were sent before.
        seconds: how long; None is for ever, until `Faults.clear`, or until somebody hangs up.
        ping: seconds between two signs of life, comments on DashScope's wire and pings on
            AppBuilder's; None for none.
    """

    after_events: int
    seconds: float | None = None
    ping: float | None = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("after_events", self.after_events, 0)
        for name, value in (("seconds", self.seconds), ("ping", self.ping)):
            if value is not None:
                _more_than_nothing(name, value)


class Duplicate(OfStream, frozen=True, kw_only=True):
    """The event of this number, from 1, is sent twice."""

    event: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("event", self.event, 1)


class Crlf(OfStream, frozen=True, kw_only=True):
    """Every line of a stream ends with CRLF instead of LF."""


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}")


def _more_than_nothing(name: str, seconds: float) -> None:
    if not _is_number(seconds) or not seconds > 0:
        raise ValueError(f"{name} must be a number of seconds, more than 0")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_stream(fault: Fault) -> None:
    if fault.stream is False:
        raise ValueError("stream must not be False: there are events in streams only")
