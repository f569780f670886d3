"""The public names; `aiodashassist` has them all, and imports this when the first is asked for."""

from aiodashassist.client import Client
from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    StreamRecovered,
    ThreadEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    UnknownEvent,
)
from aiodashassist.core.files import (
    AssistantFile,
    File,
    FileContent,
    MessageFile,
)
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    LastError,
    Message,
    Page,
    RequiredAction,
    Run,
    RunStep,
    Thread,
    TruncationStrategy,
    Usage,
)
from aiodashassist.core.params import (
    AssistantParams,
    CancelParams,
    Extras,
    FileListParams,
    FileParams,
    ListParams,
    MessageParams,
    MessageUpdate,
    ModelParameters,
    RunParams,
    SamplingParameters,
    ThreadParams,
    UserInfo,
    UserLoc,
)
from aiodashassist.core.result import RunResult
from aiodashassist.core.settings import Limits, Retry, Timeouts
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    ToolCall,
    ToolOutput,
    UserAuth,
)
from aiodashassist.errors import (
    APIError,
    AssistError,
    AuthenticationError,
    BadRequest,
    ConfigError,
    Conflict,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    IdleTimeout,
    InvalidArgument,
    LocalProtocolError,
    NotFound,
    OutcomeUnknown,
    PauseRun,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    RunCancelled,
    RunError,
    RunExpired,
    RunFailed,
    RunIncomplete,
    ServerError,
    StreamInterrupted,
    ToolArgumentsError,
    ToolError,
    ToolNotFound,
    ToolRoundsExceeded,
    ToolTimeout,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
    UnsupportedParameter,
)
from aiodashassist.handler import Approve, ToolContext
from aiodashassist.hooks import CallInfo
from aiodashassist.pages import Paginator
from aiodashassist.resources.sessions import ThreadSession
from aiodashassist.services import AppBuilder, AssistantsClient, DashScope
from aiodashassist.stream import RunStream
from aiodashassist.tools import Toolset, tool

__all__ = (
    "APIError", "AppBuilder", "Approve", "AssistError", "Assistant", "AssistantFile",
    "AssistantParams", "AssistantsClient", "AuthenticationError", "BadRequest", "CallInfo",
    "CancelParams", "Client", "ConfigError", "Conflict", "ConnectError", "Content", "DashScope",
    "DecodeError", "Deleted", "ErrorEvent", "Event", "Extras", "File", "FileContent",
    "FileListParams", "FileParams", "FinalAnswer", "FirstEventTimeout", "FunctionCall",
    "FunctionDefinition", "FunctionTool", "IdleTimeout", "InvalidArgument", "LastError", "Limits",
    "ListParams", "LocalProtocolError", "Message", "MessageDelta", "MessageEvent", "MessageFile",
    "MessageParams", "MessageUpdate", "ModelParameters", "NotFound", "OutcomeUnknown", "Page",
    "Paginator", "PauseRun", "PermissionDenied", "PluginCall", "PluginTool", "ProtocolError",
    "RagTool", "RateLimited", "RemoteProtocolError", "RequestTimeout", "RequiredAction",
    "ResponseTooLarge", "Retry", "Run", "RunCancelled", "RunError", "RunEvent", "RunExpired",
    "RunFailed", "RunIncomplete", "RunParams", "RunResult", "RunStep", "RunStream",
    "SamplingParameters", "ServerError", "StepDelta", "StepEvent", "StreamInterrupted",
    "StreamRecovered", "Thread", "ThreadEvent", "ThreadParams", "ThreadSession", "Timeouts",
    "ToolArgumentsError", "ToolCall", "ToolContext", "ToolError", "ToolFinished", "ToolNotFound",
    "ToolOutput", "ToolProgress", "ToolRoundsExceeded", "ToolStarted", "ToolTimeout", "Toolset",
    "TotalTimeout", "TransportError", "TruncationStrategy", "UnexpectedRedirect", "UnknownEvent",
    "UnsupportedOperation", "UnsupportedParameter", "Usage", "UserAuth", "UserInfo", "UserLoc",
    "tool",
)  # fmt: skip
