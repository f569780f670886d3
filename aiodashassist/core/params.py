"""The parameters of the calls, declared once.

Methods take them by `**params: Unpack[...]`. They name every parameter of either API; a provider
that has no place for one raises `UnsupportedParameter`. None is "not sent"; `""`, `[]` and `{}`
are sent as they are, since on both wires they mean something.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from aiodashassist.core.models import TruncationStrategy

__all__ = (
    "AssistantParams",
    "ListParams",
    "MessageExtras",
    "MessageParams",
    "MessageUpdate",
    "RunParams",
    "ThreadParams",
)


class AssistantParams(TypedDict, total=False):
    """What an assistant is made of (dashscope.md §2 A1, appbuilder.md §3.1)."""

    model: str | None
    name: str | None
    description: str | None
    instructions: str | None
    tools: Any  # a list of declarations; `resources` also take a Toolset and functions
    file_ids: Sequence[str] | None
    metadata: Mapping[str, Any] | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    response_format: Any
    thought_instructions: str | None
    chat_instructions: str | None


class MessageExtras(TypedDict, total=False):
    """What a message can have besides its content and role."""

    file_ids: Sequence[str] | None
    metadata: Mapping[str, Any] | None


class MessageParams(MessageExtras, total=False):
    """A message to be added to a thread (dashscope.md §2.3)."""

    role: str
    content: Required[str]


class MessageUpdate(TypedDict, total=False):
    """What can be changed of a message: metadata on DashScope, the rest on AppBuilder."""

    metadata: Mapping[str, Any] | None
    content: str | None
    file_ids: Sequence[str] | None


class ThreadParams(TypedDict, total=False):
    """What a thread starts with (dashscope.md §2 T1)."""

    messages: Sequence[MessageParams] | None
    metadata: Mapping[str, Any] | None


class RunParams(TypedDict, total=False):
    """What a run can be given (dashscope.md §2.2, appbuilder.md §3.8).

    `override_tools` is the wire's `tools`: declarations that replace the assistant's.
    """

    assistant_id: Required[str]
    model: str | None
    instructions: str | None
    additional_instructions: str | None
    additional_messages: Sequence[MessageParams] | None
    override_tools: Any
    metadata: Mapping[str, Any] | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    truncation_strategy: TruncationStrategy | None
    tool_choice: Any
    parallel_tool_calls: bool | None
    response_format: Any
    thought_instructions: str | None
    chat_instructions: str | None
    model_parameters: Mapping[str, Any] | None
    user_info: Mapping[str, Any] | None
    user_loc: Mapping[str, Any] | None


class ListParams(TypedDict, total=False):
    """How a list is read: `page_size` is the wire's `limit`, the cursors are ids."""

    page_size: int | None
    order: str | None
    after: str | None
    before: str | None
