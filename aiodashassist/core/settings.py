"""How long to wait and how much to take."""

from msgspec import Struct

__all__ = ("Limits", "Timeouts")

MIB = 1024 * 1024


class Timeouts(Struct, frozen=True, kw_only=True):
    """Clocks, all in seconds; None switches one off.

    Attributes:
        connect: to get a connection, name look-up and TLS included.
        read: the silence of an answer that is not a stream. An upload counts from its last byte;
            before that, it is how long the service may take nothing of it. Only `total` bounds any
            other body that the service does not take.
        first_event: from sending a request to its stream's first event.
        idle: between two events of a stream. Comments and pings do not count as events, and the
            time that the caller spends on an event does not count as silence.
        tool: one tool call, unless the tool was registered with a timeout of its own.
        cancel: winding up when a stream is left early: the remote run is cancelled within it.
        total: a whole call; of a stream, the whole run with its tools.
    """

    connect: float | None = 10
    read: float | None = 60
    first_event: float | None = 60
    idle: float | None = 120
    tool: float | None = None
    cancel: float | None = 5
    total: float | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds; sizes in bytes.

    Attributes:
        max_rounds: rounds of tool calls in one run.
        concurrency: tool calls of one round that run at a time.
        max_threads: threads that a client gives to plain (not async) tools.
        max_response_bytes: an answer that is not a stream.
        max_event_bytes: one event of a stream.
        max_arguments_bytes: the arguments of one tool call.
    """

    max_rounds: int = 32
    concurrency: int = 16
    max_threads: int = 64
    max_response_bytes: int = 64 * MIB
    max_event_bytes: int = 16 * MIB
    max_arguments_bytes: int = MIB
