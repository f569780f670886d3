"""What a client can ask: one frozen value per request, each naming its result.

So a request can be logged, retried, recorded and served. Ids are fields; the rest of a call is
its `params`, and `extras` what the caller adds to this one request where there are no params. How
an operation is spelled on a wire is the provider's business.
"""

from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct, field

from aiodashassist.core.files import AssistantFile, File, FileContent, MessageFile, Upload, Uploads
from aiodashassist.core.models import Assistant, Deleted, Message, Page, Run, RunStep, Thread
from aiodashassist.core.params import (
    AssistantParams,
    CancelParams,
    Extras,
    FileListParams,
    FileParams,
    ListParams,
    MessageParams,
    MessageUpdate,
    MetadataUpdate,
    RunParams,
    ThreadParams,
)
from aiodashassist.core.tooling import ToolOutput

__all__ = (
    "AttachFile",
    "CancelRun",
    "CreateAssistant",
    "CreateFiles",
    "CreateMessage",
    "CreateRun",
    "CreateThread",
    "CreateThreadAndRun",
    "DeleteAssistant",
    "DeleteFile",
    "DeleteThread",
    "DetachFile",
    "DownloadFile",
    "ListAssistantFiles",
    "ListAssistants",
    "ListFiles",
    "ListMessageFiles",
    "ListMessages",
    "ListOperation",
    "ListRuns",
    "ListSteps",
    "Operation",
    "ReadFile",
    "RetrieveAssistant",
    "RetrieveAssistantFile",
    "RetrieveFile",
    "RetrieveMessage",
    "RetrieveMessageFile",
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
    """A request; `result` is the class that its answer decodes into.

    `hint` is never sent: an id by which it is found out what became of the request. Of a run, the
    message that it answers; of tool outputs, the step that they are for.
    """

    result: ClassVar[Any]
    extras: Extras = field(default_factory=Extras)
    hint: str = ""


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


class AttachFile(Operation[AssistantFile], frozen=True, kw_only=True):
    """Attach a file to an assistant."""

    result = AssistantFile
    assistant_id: str
    file_id: str


class ListAssistantFiles(ListOperation[AssistantFile], frozen=True, kw_only=True):
    """The files attached to an assistant."""

    result = AssistantFile
    assistant_id: str


class RetrieveAssistantFile(Operation[AssistantFile], frozen=True, kw_only=True):
    """Read one file attached to an assistant."""

    result = AssistantFile
    assistant_id: str
    file_id: str


class DetachFile(Operation[Deleted], frozen=True, kw_only=True):
    """Take a file from an assistant; the file itself stays."""

    result = Deleted
    assistant_id: str
    file_id: str


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
    params: MetadataUpdate


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


class ListMessageFiles(ListOperation[MessageFile], frozen=True, kw_only=True):
    """The files attached to a message."""

    result = MessageFile
    thread_id: str
    message_id: str


class RetrieveMessageFile(Operation[MessageFile], frozen=True, kw_only=True):
    """Read one file attached to a message."""

    result = MessageFile
    thread_id: str
    message_id: str
    file_id: str


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
    params: MetadataUpdate


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
    params: CancelParams = field(default_factory=CancelParams)


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


class CreateFiles(Operation[Uploads], frozen=True, kw_only=True):
    """Upload files; one that is not taken is told in a good answer, and an error here (§2.5)."""

    result = Uploads
    files: tuple[Upload, ...]
    params: FileParams = field(default_factory=FileParams)


class ListFiles(Operation[Page[File]], frozen=True, kw_only=True):
    """The files of the workspace, by the number of the page."""

    result = File
    page: FileListParams = field(default_factory=FileListParams)


class RetrieveFile(Operation[File], frozen=True, kw_only=True):
    """Read what is known of one file."""

    result = File
    file_id: str


class DeleteFile(Operation[Deleted], frozen=True, kw_only=True):
    """Delete a file."""

    result = Deleted
    file_id: str


class ReadFile(Operation[FileContent], frozen=True, kw_only=True):
    """Read a file's bytes, and of what kind they are; AppBuilder only."""

    result = FileContent
    file_id: str


class DownloadFile(Operation[FileContent], frozen=True, kw_only=True):
    """Read a file's bytes piece by piece, and under which name to keep them; AppBuilder only."""

    result = FileContent
    file_id: str
