"""The objects of both APIs, as frozen structs.

Each field has its wire name and is None where a provider lacks it; collections and metadata are
never None. Times (`*_at`) are epoch milliseconds. What the wire adds is kept in `extra`.
The sources are dashscope.md §3 and appbuilder.md §3; the quirks are read in `providers/`.
"""

from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from aiodashassist.core.tooling import Tool, ToolCall

__all__ = (
    "RESTING",
    "TERMINAL",
    "Assistant",
    "Content",
    "Deleted",
    "FinalAnswer",
    "FinalMessage",
    "ImageFile",
    "LastError",
    "Message",
    "MessageCreation",
    "Model",
    "Page",
    "RequiredAction",
    "Run",
    "RunStep",
    "StepDetails",
    "SubmitToolOutputs",
    "Text",
    "Thread",
    "TruncationStrategy",
    "Usage",
)

TERMINAL = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})
"""The statuses that a run never leaves (dashscope.md §4.1; `incomplete` by §7.15)."""
RESTING = TERMINAL | {"requires_action"}
"""The statuses in which a run goes on only if somebody acts, or not at all."""

T = TypeVar("T")


class Model(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What all objects have: the id of the request that answered it, and unknown fields."""

    request_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Usage(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Tokens spent; either naming of the wire fills `input_tokens` and `output_tokens`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class LastError(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Why a run or a step failed."""

    code: str | None = None
    message: str | None = None
    type: str | None = None


class TruncationStrategy(Struct, frozen=True, kw_only=True):
    """How much of a thread the model sees (dashscope.md §2.2)."""

    type: str = "last_messages"
    last_messages: int | None = 10


class Assistant(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """An assistant: a model with instructions and tools (dashscope.md §3.1, appbuilder.md §3.1)."""

    id: str
    object: str = "assistant"
    created_at: int | None = None
    model: str | None = None
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    file_ids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    response_format: str | None = None
    thought_instructions: str | None = None
    chat_instructions: str | None = None
    account_id: str | None = None
    gmt_crete: str | None = None
    gmt_update: str | None = None
    is_deleted: bool | None = None


class Thread(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A conversation (dashscope.md §3.3)."""

    id: str
    object: str = "thread"
    created_at: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    account_id: str | None = None
    gmt_crete: str | None = None
    gmt_update: str | None = None
    is_deleted: bool | None = None


class Text(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A piece of text and what the vendor notes about it."""

    value: str = ""
    annotations: list[Any] = field(default_factory=list)


class ImageFile(Struct, frozen=True, kw_only=True):
    """An image, by the id of its file."""

    file_id: str = ""


class Content(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One part of a message; only `text` was ever seen live (dashscope.md §3.4)."""

    type: str = "text"
    text: Text | None = None
    image_file: ImageFile | None = None


def _joined(parts: tuple[Content, ...]) -> str:
    return "".join(part.text.value for part in parts if part.text is not None)


class Message(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A message of a thread (dashscope.md §3.4)."""

    id: str
    object: str = "thread.message"
    created_at: int | None = None
    thread_id: str | None = None
    role: str | None = None
    content: tuple[Content, ...] = ()
    assistant_id: str | None = None
    run_id: str | None = None
    file_ids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    incomplete_details: dict[str, Any] | None = None
    completed_at: int | None = None
    incomplete_at: int | None = None
    name: str | None = None
    plugin_call: dict[str, Any] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    from_: str | None = None

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        return _joined(self.content)


class FinalMessage(Struct, frozen=True, kw_only=True):
    """The message that a run ended with."""

    message_id: str = ""
    content: tuple[Content, ...] = ()


class FinalAnswer(Struct, frozen=True, kw_only=True):
    """What a run that was waited for came to (appbuilder.md §3.9)."""

    type: str = "message"
    message: FinalMessage = field(default_factory=FinalMessage)

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        return _joined(self.message.content)


class SubmitToolOutputs(Struct, frozen=True, kw_only=True):
    """The calls that a run waits for."""

    tool_calls: tuple[ToolCall, ...] = ()


class RequiredAction(Struct, frozen=True, kw_only=True):
    """What a run waits for; `submit_tool_outputs` is the only kind (dashscope.md §4.7)."""

    type: str = "submit_tool_outputs"
    submit_tool_outputs: SubmitToolOutputs = field(default_factory=SubmitToolOutputs)


class Run(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One execution of an assistant on a thread (dashscope.md §3.5, §4.1, appbuilder.md §3.9).

    `required_action` may still be filled after the outputs were sent: go by `status`.
    """

    id: str
    object: str = "thread.run"
    created_at: int | None = None
    thread_id: str | None = None
    assistant_id: str | None = None
    status: str = ""
    required_action: RequiredAction | None = None
    last_error: LastError | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    started_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    model: str | None = None
    instructions: str | None = None
    thought_instructions: str | None = None
    chat_instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    file_ids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    usage: Usage | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationStrategy | None = None
    response_format: Any = None
    tool_choice: Any = None
    stop: Any = None
    enable_search: bool | None = None
    incomplete_details: dict[str, Any] | None = None
    final_answer: FinalAnswer | None = None
    account_id: str | None = None
    log_id: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended for good."""
        return self.status in TERMINAL

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the run waits for; empty unless its status is `requires_action`."""
        if self.status != "requires_action" or self.required_action is None:
            return ()
        return self.required_action.submit_tool_outputs.tool_calls


class MessageCreation(Struct, frozen=True, kw_only=True):
    """The message that a step wrote."""

    message_id: str = ""


class StepDetails(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What a step did: wrote a message, or called tools.

    `action_info` and `tool_info` are AppBuilder's, as its wire has them (appbuilder.md §3.10).
    """

    type: str = ""
    message_creation: MessageCreation | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    action_info: dict[str, Any] | None = None
    tool_info: tuple[dict[str, Any], ...] = ()


class RunStep(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One step of a run (dashscope.md §3.6)."""

    id: str
    object: str = "thread.run.step"
    created_at: int | None = None
    assistant_id: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    type: str | None = None
    status: str | None = None
    step_details: StepDetails | None = None
    last_error: LastError | None = None
    expired_at: int | None = None
    expires_at: int | None = None
    started_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    usage: Usage | None = None


class Deleted(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The answer to a deletion (dashscope.md §3.8)."""

    id: str
    object: str | None = None
    deleted: bool = True


class Page(Model, Generic[T], frozen=True, kw_only=True, repr_omit_defaults=True):
    """One page of a list; `first_id` and `last_id` in the order shown (dashscope.md §3.7).

    `page_no` and `total` (items of all pages) are those of lists that go by number (§2.5).
    """

    data: tuple[T, ...] = ()
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None
    object: str = "list"
    page_no: int | None = None
    total: int | None = None
