"""What an assistant can be given as tools, and what a run asks of them.

Declarations (`FunctionTool`, `PluginTool`, `RagTool`) travel to the service; calls and outputs
come and go while a run is under way. The functions behind them live in `tools.py`.
"""

from typing import TYPE_CHECKING, Any

from msgspec import Struct, ValidationError, convert
from msgspec.structs import force_setattr

from aiodashassist.errors import InvalidArgument

__all__ = (
    "FunctionCall",
    "FunctionDefinition",
    "FunctionTool",
    "PluginCall",
    "PluginTool",
    "RagTool",
    "Tool",
    "ToolCall",
    "ToolOutput",
    "UserAuth",
)


class FunctionDefinition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function as the model sees it; `parameters` is a JSON Schema (dashscope.md §3.9)."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    responses: dict[str, Any] | None = None
    examples: list[Any] | None = None


class FunctionTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function that the caller runs (dashscope.md §3.9)."""

    function: FunctionDefinition

    @property
    def type(self) -> str:
        """Always `function`."""
        return "function"


class UserAuth(Struct, frozen=True, kw_only=True):
    """User-level authentication for a plugin; the token is in no repr (dashscope.md §3.9)."""

    user_token: str
    type: str = "user_http"

    def __repr__(self) -> str:
        return f"UserAuth(type={self.type!r}, user_token='***')"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("type", self.type), ("user_token", "***")]


def _keep_from_sight(tool: "PluginTool | RagTool") -> None:
    """Authentication given as the wire's own object becomes one whose token is in no repr."""
    given: Any = tool.auth
    if given is not None and not isinstance(given, UserAuth):
        said = ""
        try:
            force_setattr(tool, "auth", convert(given, UserAuth))
        except ValidationError as error:
            said = str(error)
        if said:  # outside the handler: the frames beneath hold the token
            raise InvalidArgument(f"auth: {said}")


class PluginTool(Struct, frozen=True, omit_defaults=True):
    """A tool that the vendor runs, such as `quark_search` (dashscope.md §4.4)."""

    type: str
    description: str | None = None
    auth: UserAuth | None = None

    def __post_init__(self) -> None:
        _keep_from_sight(self)


class RagTool(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="rag"):
    """Retrieval over knowledge bases; `prompt_ra` as the wire has it (dashscope.md §3.9).

    That document shows `auth` on plugins only; it is sent here where given.
    """

    prompt_ra: dict[str, Any]
    auth: UserAuth | None = None

    def __post_init__(self) -> None:
        _keep_from_sight(self)

    @property
    def type(self) -> str:
        """Always `rag`."""
        return "rag"


if TYPE_CHECKING:
    Tool = FunctionTool | PluginTool | RagTool | dict[str, Any]
else:
    # A declared tool; a dict where its shape is none that this library knows. msgspec has no
    # decoder for such a union: the providers read it themselves.
    Tool = Any


class FunctionCall(Struct, frozen=True, kw_only=True):
    """Which function, with which arguments (JSON text), and what it gave, once it has."""

    name: str = ""
    arguments: str = ""
    output: str | None = None


class PluginCall(Struct, frozen=True, kw_only=True):
    """What a vendor's plugin was given and what it gave, both JSON text."""

    arguments: str | None = None
    output: str | None = None


class ToolCall(Struct, frozen=True, kw_only=True):
    """One call of a tool.

    Attributes:
        id: the wire's id; may be empty, and may repeat (dashscope.md §8).
        type: `function`, or the plugin's type.
        function: the call, where the caller runs it.
        plugin: the call, where the vendor runs it.
        call_id: never empty and unique in the run, for calls that wait for an output.
    """

    id: str = ""
    type: str = "function"
    function: FunctionCall | None = None
    plugin: PluginCall | None = None
    call_id: str = ""

    @property
    def name(self) -> str:
        """The function's name, or the plugin's type."""
        return self.function.name if self.function is not None else self.type

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        call = self.function or self.plugin
        return (call.arguments if call is not None else None) or ""

    @property
    def output(self) -> str | None:
        """The output, where the call has one."""
        call = self.function or self.plugin
        return call.output if call is not None else None


class ToolOutput(Struct, frozen=True, kw_only=True):
    """The answer to one call; `tool_call_id` is the wire's id and may be empty.

    `run_id` is the run that a new request goes on with: the `tool_output=` of AppBuilder's
    `runs.create` (appbuilder.md §5.6).
    """

    output: str
    tool_call_id: str = ""
    run_id: str = ""
