"""Makes the streams of a client: what a run's tools work with when the call does not say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, cast

from aiodashassist.calls import Session
from aiodashassist.core import checks
from aiodashassist.core.outputs import check_outputs
from aiodashassist.core.params import RunParams
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.errors import InvalidArgument, UnsupportedParameter
from aiodashassist.exchange import Opening
from aiodashassist.handler import Approve, check_approve
from aiodashassist.jobs import Bench
from aiodashassist.stream import RunStream, StreamOptions
from aiodashassist.threads import WorkerThreads
from aiodashassist.tools import Toolset, declared, handlers

__all__ = ("Handlers", "Handling", "StreamParams", "Streams", "prepared", "sent_of")

Handlers: TypeAlias = Toolset | Callable[..., Any] | Iterable[object]
"""Local handlers: a `Toolset`, a function, or a list of both. Typed as objects, since type checkers
take a plain list of different functions for no list of callables."""


class Handling(TypedDict, total=False):
    """How a stream is handled here.

    `tools` are local handlers, never sent: not given, they are the client's; None leaves the
    calls to the caller. `deps` is handed to tools that take a `ToolContext`. `approve` is asked
    with each `ToolCall` before it runs, after the tool's own (see `tool`): both must say yes.
    `concurrency` bounds the calls of a round that run at a time, `max_rounds` the rounds. `on_exit`
    says what leaving early does to the remote run.
    """

    tools: Handlers | None
    deps: Any
    approve: Approve | None
    concurrency: int | None
    max_rounds: int | None
    on_exit: Literal["cancel", "leave"]


class StreamParams(RunParams, Handling, total=False):
    """What a run can be given, and how its stream is handled here."""


LOCAL = Handling.__annotations__.keys()


class Streams:
    """Makes `RunStream`s; `tools` are the handlers of runs that are given none."""

    def __init__(self, session: Session, tools: Toolset, threads: WorkerThreads) -> None:
        self._session = session
        self._tools = tools
        self._threads = threads

    def make(
        self, opening: Opening, params: Handling, *, outputs: Sequence[ToolOutput] = ()
    ) -> RunStream:
        """A stream that `opening` opens, handled as `params` say.

        `outputs` were made elsewhere; see `StreamOptions`.
        """
        limits = self._session.config.limits
        on_exit = params.get("on_exit", "cancel")
        if on_exit not in ("cancel", "leave"):
            raise InvalidArgument("on_exit must be 'cancel' or 'leave'")
        rounds = _or(params.get("max_rounds"), limits.max_rounds)
        checks.whole("max_rounds", rounds, "[0, inf)")
        options = StreamOptions(
            bench=self._bench(params),
            max_rounds=rounds,
            on_exit=on_exit,
            outputs=check_outputs("outputs", outputs),
            headers=_headers(params),
        )
        return RunStream(self._session, opening, options)

    def _bench(self, params: Handling) -> Bench | None:
        approve = check_approve(params.get("approve"))
        given = params.get("tools", self._tools or None)
        if given is None:
            return None
        limits = self._session.config.limits
        concurrency = _or(params.get("concurrency"), limits.concurrency)
        checks.whole("concurrency", concurrency, "[1, inf)")
        return Bench(
            tools=handlers(given),
            threads=self._threads,
            deps=params.get("deps"),
            concurrency=concurrency,
            timeout=self._session.config.timeouts.tool,
            max_arguments_bytes=limits.max_arguments_bytes,
            approve=approve,
        )


def sent_of(params: StreamParams) -> RunParams:
    """What is sent of a stream's parameters: all but those that are handled here."""
    return prepared(cast("RunParams", {k: v for k, v in params.items() if k not in LOCAL}))


def prepared(params: RunParams) -> RunParams:
    """A run's parameters as they are sent; functions among `override_tools` are declared.

    Raises:
        UnsupportedParameter: `tools`, which only streams have; `stream`, which is a method.
    """
    sent: dict[str, Any] = {**params}
    if "tools" in sent:
        raise UnsupportedParameter(
            "tools= are local handlers, which only streams have; declarations that replace the "
            "assistant's are override_tools="
        )
    if "stream" in sent:
        raise UnsupportedParameter(
            "there is no stream=: a run is streamed by runs.stream, and by client.stream"
        )
    if sent.get("override_tools") is not None:
        sent["override_tools"] = declared(sent["override_tools"])
    return cast("RunParams", sent)


def _headers(params: Handling) -> Mapping[str, str]:
    """The user's own headers; what is none is refused when it is sent."""
    given = cast("StreamParams", params).get("extra_headers")
    return given if isinstance(given, Mapping) else {}


def _or(given: int | None, usual: int) -> int:
    return usual if given is None else given
