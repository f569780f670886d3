"""What a client can ask: one frozen value per request, each naming its result.

A request can so be logged, retried, recorded and served. Ids are fields; the rest of a call is
its `params`. How an operation is spelled on a wire is the provider's business.
"""

from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct, field

from aiodashassist.core.models import Assistant, Deleted, Message, Page, Run, RunStep, Thread
from aiodashassist.core.params import (
    AssistantParams,
    ListParams,
    MessageParams,
    MessageUpdate,
    RunParams,
    ThreadParams,
)
from aiodashassist.core.tooling import ToolOutput

__all__ = (
    "CancelRun",
    "CreateAssistant",
    "CreateMessage",
    "CreateRun",
    "CreateThread",
    "CreateThreadAndRun",
    "DeleteAssistant",
    "DeleteThread",
    "ListAssistants",
    "ListMessages",
    "ListOperation",
    "ListRuns",
    "ListSteps",
    "Operation",
    "RetrieveAssistant",
    "RetrieveMessage",
    "RetrieveRun",
    "RetrieveStep",
    "RetrieveThread",
    "SubmitOutputs",
    "UpdateAssistant",
    "UpdateMessage",
    "UpdateRun",
    "UpdateThread",
)

T = TypeVar("T")


class Operation(Struct, Generic[T], frozen=True, kw_only=True):
    """A request; `result` is the class that its answer decodes into."""

    result: ClassVar[Any]


class ListOperation(Operation[Page[T]], Generic[T], frozen=True, kw_only=True):
    """A request for one page; `result` is the class of its items."""

    page: ListParams = field(default_factory=ListParams)


class CreateAssistant(Operation[Assistant], frozen=True, kw_only=True):
    """Make an assistant."""

    result = Assistant
    params: AssistantParams


class ListAssistants(ListOperation[Assistant], frozen=True, kw_only=True):
    """The assistants of the workspace."""

    result = Assistant


class RetrieveAssistant(Operation[Assistant], frozen=True, kw_only=True):
    """Read one assistant."""

    result = Assistant
    assistant_id: str


class UpdateAssistant(Operation[Assistant], frozen=True, kw_only=True):
    """Change what is given of an assistant."""

    result = Assistant
    assistant_id: str
    params: AssistantParams


class DeleteAssistant(Operation[Deleted], frozen=True, kw_only=True):
    """Delete an assistant."""

    result = Deleted
    assistant_id: str


class CreateThread(Operation[Thread], frozen=True, kw_only=True):
    """Begin a conversation."""

    result = Thread
    params: ThreadParams = field(default_factory=ThreadParams)


class RetrieveThread(Operation[Thread], frozen=True, kw_only=True):
    """Read one thread."""

    result = Thread
    thread_id: str


class UpdateThread(Operation[Thread], frozen=True, kw_only=True):
    """Change a thread's metadata."""

    result = Thread
    thread_id: str
    params: ThreadParams


class DeleteThread(Operation[Deleted], frozen=True, kw_only=True):
    """Delete a thread with its messages, runs and steps."""

    result = Deleted
    thread_id: str


class CreateMessage(Operation[Message], frozen=True, kw_only=True):
    """Add a message to a thread."""

    result = Message
    thread_id: str
    params: MessageParams


class ListMessages(ListOperation[Message], frozen=True, kw_only=True):
    """The messages of a thread."""

    result = Message
    thread_id: str


class RetrieveMessage(Operation[Message], frozen=True, kw_only=True):
    """Read one message."""

    result = Message
    thread_id: str
    message_id: str


class UpdateMessage(Operation[Message], frozen=True, kw_only=True):
    """Change a message."""

    result = Message
    thread_id: str
    message_id: str
    params: MessageUpdate


class CreateRun(Operation[Run], frozen=True, kw_only=True):
    """Run an assistant on a thread; with `stream` the answer is the run's events."""

    result = Run
    thread_id: str
    params: RunParams
    stream: bool = False


class CreateThreadAndRun(Operation[Run], frozen=True, kw_only=True):
    """Begin a conversation and run an assistant on it, in one request."""

    result = Run
    thread: ThreadParams | None = None
    params: RunParams
    stream: bool = False


class ListRuns(ListOperation[Run], frozen=True, kw_only=True):
    """The runs of a thread."""

    result = Run
    thread_id: str


class RetrieveRun(Operation[Run], frozen=True, kw_only=True):
    """Read one run."""

    result = Run
    thread_id: str
    run_id: str


class UpdateRun(Operation[Run], frozen=True, kw_only=True):
    """Change a run's metadata."""

    result = Run
    thread_id: str
    run_id: str
    metadata: dict[str, Any] | None = None


class SubmitOutputs(Operation[Run], frozen=True, kw_only=True):
    """Answer the calls that a run waits for, all in one request (dashscope.md §2.4)."""

    result = Run
    thread_id: str
    run_id: str
    tool_outputs: tuple[ToolOutput, ...]
    stream: bool = False


class CancelRun(Operation[Run], frozen=True, kw_only=True):
    """Cancel a run; DashScope's documents say there is no such call (dashscope.md §7.1)."""

    result = Run
    thread_id: str
    run_id: str


class ListSteps(ListOperation[RunStep], frozen=True, kw_only=True):
    """The steps of a run."""

    result = RunStep
    thread_id: str
    run_id: str


class RetrieveStep(Operation[RunStep], frozen=True, kw_only=True):
    """Read one step."""

    result = RunStep
    thread_id: str
    run_id: str
    step_id: str
