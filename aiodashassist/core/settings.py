"""How long to wait, how much to take, how often to ask."""

from msgspec import Struct

__all__ = ("Limits", "Retry", "Timeouts")

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


class Retry(Struct, frozen=True, kw_only=True):
    """How often a request is sent, and what is done where its answer is lost; times in seconds.

    A pause is drawn from nothing up to a bound that doubles from `first_delay` to `longest_delay`,
    so that many clients do not come back in step; it is never shorter than the service asks for.

    Attributes:
        attempts: of one request, the first included; 1 never sends it again.
        first_delay: bound of the first pause.
        longest_delay: bound of any pause.
        max_elapsed: from the first attempt; no other begins later. None is for ever.
        budget: attempts beyond the first that all requests of a client share, and its copies: each
            takes one, four good answers give three back. So a service that is down, or fails more
            than it answers, is left in peace. What a copy is given here does not count.
        reconcile: whether it is looked up what became of a request whose answer was lost. On
            DashScope assistants, messages and runs carry an id for that in their metadata
            (`aiodashassist.op`).
    """

    attempts: int = 4
    first_delay: float = 0.5
    longest_delay: float = 20
    max_elapsed: float | None = 60
    budget: int = 100
    reconcile: bool = True


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds; sizes in bytes.

    Attributes:
        max_rounds: rounds of tool calls in one run.
        concurrency: tool calls of one round that run at a time.
        max_threads: threads that a client gives to plain (not async) tools.
        max_response_bytes: an answer that is not a stream.
        max_event_bytes: one event of a stream.
        max_arguments_bytes: the arguments of one tool call.
        max_concurrent_requests: requests under way at a time, each until its answer is whole, a
            stream's until it begins; None is no limit. Who waits longest is next. An upload has
            its turn as long as it takes: its iterator must not wait for another one. The
            request that cancels a run waits for nobody: it alone can exceed this and the next.
        requests_per_minute: requests that begin in any 60 seconds; None is no limit.
    """

    max_rounds: int = 32
    concurrency: int = 16
    max_threads: int = 64
    max_response_bytes: int = 64 * MIB
    max_event_bytes: int = 16 * MIB
    max_arguments_bytes: int = MIB
    max_concurrent_requests: int | None = None
    requests_per_minute: int | None = None
