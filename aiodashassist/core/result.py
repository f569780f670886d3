"""What a run came to, and the error that its ending is."""

from msgspec import Struct

from aiodashassist.core.models import Message, Run, RunStep, Usage
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import RunCancelled, RunError, RunExpired, RunFailed, RunIncomplete

__all__ = ("RunResult", "ending")

RUN_ERRORS: dict[str, type[RunError]] = {
    "failed": RunFailed,
    "expired": RunExpired,
    "cancelled": RunCancelled,
    "incomplete": RunIncomplete,
}


class RunResult(Struct, frozen=True, kw_only=True):
    """What a run came to.

    Attributes:
        run: the run as last seen.
        thread_id: the thread it ran on.
        messages: what it wrote, in order.
        message: the last of these.
        steps: its steps, in order.
        text: the text of all its messages, in order, as it was streamed.
        usage: tokens spent, where the service says so.
        tool_calls: the calls made, with their outputs.
        pending_calls: the calls that wait for the caller; then the run is not over.
        completed_outputs: what the other calls of that round gave, each by its `call_id`; not yet
            sent, and to be handed over where the run is gone on with.
        request_ids: the service's ids of the requests it took.
    """

    run: Run
    thread_id: str | None = None
    messages: tuple[Message, ...] = ()
    message: Message | None = None
    steps: tuple[RunStep, ...] = ()
    text: str = ""
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    pending_calls: tuple[ToolCall, ...] = ()
    completed_outputs: tuple[ToolOutput, ...] = ()
    request_ids: tuple[str, ...] = ()


def ending(result: RunResult, status: str) -> RunError | None:
    """The error that a run's last status is; None where it completed or waits."""
    kind = RUN_ERRORS.get(status)
    if kind is None:
        return None
    last = result.run.last_error
    code = (last.code or last.type or "") if last else ""  # each API has one of them
    said = ": ".join(filter(None, (code, last.message))) if last else ""
    return kind(
        said or f"the run is {status}",
        status=status,
        code=code,
        run_id=result.run.id,
        thread_id=result.thread_id,
        request_id=result.run.request_id,
        text=result.text,
    )
