"""The parameters of the calls, declared once.

Methods take them by `**params: Unpack[...]`. They name every parameter of either API; a provider
that has no place for one raises `UnsupportedParameter`. None is "not sent"; `""`, `[]` and `{}`
are sent as they are, since on both wires they mean something.

`extra_body`, `extra_headers` and `extra_query` reach what is not named. What is named wins over
`extra_body`; `extra_headers` win over every other header. They belong to one request: of a stream
they go with the creation of the run, and `with_options(headers=...)` reaches every request.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Required, TypeAlias, TypedDict

from msgspec import Struct

from aiodashassist.core.models import TruncationStrategy
from aiodashassist.core.tooling import ToolOutput

__all__ = (
    "AssistantFields",
    "AssistantParams",
    "CancelParams",
    "Extras",
    "FileListParams",
    "FileParams",
    "ListParams",
    "MessageExtras",
    "MessageParams",
    "MessageUpdate",
    "MetadataUpdate",
    "ModelParameters",
    "RunParams",
    "SamplingParameters",
    "ThreadCreation",
    "ThreadParams",
    "UserInfo",
    "UserLoc",
)


class SamplingParameters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the words are chosen (appbuilder.md §3.8): what is None is not sent.

    Attributes:
        temperature: above 0, at most 1; more is more random.
        top_p: from 0 to 1; more is more various.
        penalty_score: from 1 to 2; more repeats less.
    """

    temperature: float | None = None
    top_p: float | None = None
    penalty_score: float | None = None


class ModelParameters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a run's model answers, and how it thinks what to do (appbuilder.md §3.8)."""

    chat_parameters: SamplingParameters | None = None
    thought_parameters: SamplingParameters | None = None


class UserInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asks; it reaches the model and the tools of the service (appbuilder.md §3.8)."""

    id: str | None = None
    name: str | None = None
    nickname: str | None = None
    watermark: str | None = None
    intro: str | None = None
    baidu_id: str | None = None


class UserLoc(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where they are: `loc` is JSON text, `uip` and `uipv6` are addresses (appbuilder.md §3.8)."""

    loc: str | None = None
    uip: str | None = None
    uipv6: str | None = None


if TYPE_CHECKING:
    Parameters: TypeAlias = ModelParameters | Mapping[str, Any]
    Info: TypeAlias = UserInfo | Mapping[str, Any]
    Location: TypeAlias = UserLoc | Mapping[str, Any]
else:
    # A struct, or an object as the wire has it: msgspec has no decoder for such a union.
    Parameters = Info = Location = Any


class Extras(TypedDict, total=False):
    """What a single request can be given beyond what is named."""

    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, Any] | None


class AssistantFields(Extras, total=False):
    """What an assistant is made of, but for its name."""

    model: str | None
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


class AssistantParams(AssistantFields, total=False):
    """What an assistant is made of (dashscope.md §2 A1, appbuilder.md §3.1)."""

    name: str | None


class MessageExtras(Extras, total=False):
    """What a message can have besides its content and role."""

    file_ids: Sequence[str] | None
    metadata: Mapping[str, Any] | None


class MessageParams(TypedDict, total=False):
    """A message to be added to a thread (dashscope.md §2.3)."""

    role: str
    content: Required[str]
    file_ids: Sequence[str] | None
    metadata: Mapping[str, Any] | None


class MessageUpdate(Extras, total=False):
    """What can be changed of a message: metadata on DashScope, the rest on AppBuilder (§2.4)."""

    metadata: Mapping[str, Any] | None
    content: str | None
    file_ids: Sequence[str] | None


class ThreadParams(TypedDict, total=False):
    """What a thread starts with (dashscope.md §2 T1)."""

    messages: Sequence[MessageParams] | None
    metadata: Mapping[str, Any] | None


class ThreadCreation(ThreadParams, Extras, total=False):
    """What a request for a thread can be given."""


class MetadataUpdate(Extras, total=False):
    """What can be changed of a thread and of a run (dashscope.md §2 T3, R5)."""

    metadata: Mapping[str, Any] | None


class RunParams(Extras, total=False):
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
    model_parameters: Parameters | None
    user_info: Info | None
    user_loc: Location | None
    tool_output: ToolOutput | None


class CancelParams(Extras, total=False):
    """How a run is cancelled: with `sync` the answer comes when it is (appbuilder.md §2.5)."""

    sync: bool | None


class ListParams(Extras, total=False):
    """How a list is read: `page_size` is the wire's `limit`, the cursors are ids."""

    page_size: int | None
    order: str | None
    after: str | None
    before: str | None


class FileParams(Extras, total=False):
    """What an uploaded file is said to be (dashscope.md §2.5)."""

    purpose: str | None
    description: str | None


class FileListParams(Extras, total=False):
    """How the list of files is read: by the number of the page, 1 the first (dashscope.md §2.5)."""

    page_size: int | None
    page_no: int | None
