"""The vendor's document "Assistant SDK API说明" as tables: its methods, its classes.

Each of its 27 methods is a call of ours, under the name that `METHODS` says. Where it is wrong or
says less than the service was seen to do, the tables follow appbuilder.md and name the place. The
upload of a file is no JSON: see `test_seed_answers.py`.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from aiodashassist import (
    AppBuilder,
    FunctionDefinition,
    FunctionTool,
    RunStream,
    ToolOutput,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    FinalMessage,
    LastError,
    Message,
    Page,
    RequiredAction,
    Run,
    SubmitToolOutputs,
    Text,
    Thread,
)
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Response
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.providers.appbuilder import AppBuilderProvider
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from tests.raw_server import END, STREAM, RawServer, Received, Writer, chunk, whole
from tests.retrying import ONCE

FUNCTION: dict[str, Any] = {
    "name": "get_cur_whether",
    "description": "查询天气",
    "parameters": {
        "type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
    },
    "responses": {"type": "object", "properties": {"value": {"type": "string"}}, "required": None},
    "examples": [[{"role": "user", "content": "北京?", "function_call": {"name": "f"}}]],
}  # fmt: skip
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
DECLARED = FunctionTool(function=FunctionDefinition(**FUNCTION))
MESSAGE: dict[str, Any] = {"role": "user", "content": "北京的天气?", "file_ids": ["file_x"]}
OUTPUT: dict[str, Any] = {"tool_call_id": "call_x", "output": "30 摄氏度", "run_id": "run_x"}
SAMPLING: dict[str, Any] = {
    "chat_parameters": {"temperature": 0.8, "top_p": 0.8, "penalty_score": 1.0},
    "thought_parameters": {"temperature": 0.01, "top_p": 0, "penalty_score": 1.0},
}
USER: dict[str, Any] = {
    "id": "u", "name": "n", "nickname": "k", "watermark": "w", "intro": "i", "baidu_id": "b",
}  # fmt: skip
LOCATION: dict[str, Any] = {"loc": '{"city":"北京"}', "uip": "127.0.0.1", "uipv6": "::1"}


# --- requests: the document's method -> ours, and what is sent for each parameter ---

NO_TEXTS = {f"{name}instructions": ("", "") for name in ("", "thought_", "chat_")}
"""The three texts of an assistant and of a run, by default."""


class Parameter(NamedTuple):
    """A parameter as our call takes it, and as the body has it."""

    ours: dict[str, Any]
    wire: dict[str, Any]


class Method(NamedTuple):
    """A method of the document.

    Attributes:
        ours: our method.
        kind: the operation that it makes.
        path: where the request goes.
        needed: parameters that our call cannot do without, by our names.
        always: what the body has in any case.
        parameters: the others of the document, by its names.
    """

    ours: str
    kind: type[Operation[Any]]
    path: str
    needed: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)
    always: dict[str, Any] = {}  # noqa: RUF012
    parameters: dict[str, Parameter] = {}  # noqa: RUF012

    @property
    def given(self) -> dict[str, Any]:
        """All parameters, by our names."""
        return {**self.needed, **_joined(part.ours for part in self.parameters.values())}

    @property
    def body(self) -> dict[str, Any]:
        """The body with all parameters."""
        return {**self.always, **_joined(part.wire for part in self.parameters.values())}


def _joined(parts: Any) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


def same(**values: Any) -> dict[str, Parameter]:
    """Parameters that have one name and one form."""
    return {name: Parameter({name: value}, {name: value}) for name, value in values.items()}


def method(
    ours: str, kind: Any, path: str, needed: dict[str, Any], parameters: Any = None, **always: Any
) -> Method:
    """A method whose needed parameters are sent as they are given."""
    return Method(ours, kind, path, needed, {**needed, **always}, parameters or {})


ASSISTANT = {
    **same(
        model="ERNIE-4.0-8K", name="天气_helper-1", description="d", response_format="json_object",
        instructions="i", thought_instructions="t", chat_instructions="c",
    ),
    "tools": Parameter({"tools": (DECLARED,)}, {"tools": [TOOL]}),
    **same(file_ids=["file_x"], metadata={"k": "v"}),
}  # fmt: skip
LIST = {
    "limit": Parameter({"page_size": 5}, {"limit": 5}),
    **same(order="asc", after="id_a", before="id_b"),
}
RUN = {
    **same(
        model="ERNIE-4.0-8K", response_format="json_object", instructions="i",
        thought_instructions="t", chat_instructions="c",
    ),
    "tools": Parameter({"override_tools": (DECLARED,)}, {"tools": [TOOL]}),
    **same(
        metadata={"k": "v"}, model_parameters=SAMPLING, user_info=USER, user_loc=LOCATION,
    ),
}  # fmt: skip
INLINE = Parameter({"additional_messages": [MESSAGE]}, {"thread": {"messages": [MESSAGE]}})
GOES_ON = Parameter({"tool_output": ToolOutput(**OUTPUT)}, {"tool_output": OUTPUT})
ON_THREAD = {"assistant_id": "asst_x", "thread_id": "thread_x"}
NEW_THREAD: dict[str, Any] = {"assistant_id": "asst_x", "thread": {"messages": [MESSAGE]}}
OF_MESSAGE = {"thread_id": "thread_x", "message_id": "msg_x"}
OF_RUN: dict[str, Any] = {"thread_id": "thread_w", "run_id": "run_x"}
ASSISTANTS, STORAGE, THREADS = "/v2/assistants", "/v2/storage/files", "/v2/threads"
METHODS: dict[str, Method] = {
    "assistants.create": Method(
        "assistants.create", ops.CreateAssistant, ASSISTANTS, parameters=ASSISTANT
    ),
    "assistants.update": method(
        "assistants.update", ops.UpdateAssistant, ASSISTANTS + "/update",
        {"assistant_id": "asst_x"}, ASSISTANT,
    ),
    "assistants.list": method(
        "assistants.list", ops.ListAssistants, ASSISTANTS + "/list", {}, LIST
    ),
    "assistants.query": method(
        "assistants.retrieve", ops.RetrieveAssistant, ASSISTANTS + "/query",
        {"assistant_id": "asst_x"},
    ),
    "assistants.delete": method(
        "assistants.delete", ops.DeleteAssistant, ASSISTANTS + "/delete", {"assistant_id": "asst_x"}
    ),
    "assistants.mount_files": method(
        "assistants.files.create", ops.AttachFile, ASSISTANTS + "/files",
        {"assistant_id": "asst_x", "file_id": "file_x"},
    ),
    # Its request in the document is that of unmount_files (§7 #2).
    "assistants.mounted_files_list": method(
        "assistants.files.list", ops.ListAssistantFiles, ASSISTANTS + "/files/list",
        {"assistant_id": "asst_x"}, LIST,
    ),
    "assistants.unmount_files": method(
        "assistants.files.delete", ops.DetachFile, ASSISTANTS + "/files/delete",
        {"assistant_id": "asst_x", "file_id": "file_x"},
    ),
    "files.list": method("files.list", ops.ListFiles, STORAGE + "/list", {}),
    "files.query": method(
        "files.retrieve", ops.RetrieveFile, STORAGE + "/query", {"file_id": "file_x"}
    ),
    "files.delete": method(
        "files.delete", ops.DeleteFile, STORAGE + "/delete", {"file_id": "file_x"}
    ),
    "files.download": method(
        "files.download", ops.DownloadFile, STORAGE + "/download", {"file_id": "file_x"}
    ),
    "files.content": method(
        "files.content", ops.ReadFile, STORAGE + "/content", {"file_id": "file_x"}
    ),
    "threads.create": method(
        "threads.create", ops.CreateThread, THREADS, {}, same(messages=[MESSAGE]), messages=[]
    ),
    "threads.query": method(
        "threads.retrieve", ops.RetrieveThread, THREADS + "/query", {"thread_id": "thread_x"}
    ),
    "threads.delete": method(
        "threads.delete", ops.DeleteThread, THREADS + "/delete", {"thread_id": "thread_x"}
    ),
    # The SDK loses the metadata on the way (§7 #7).
    "threads.update": method(
        "threads.update", ops.UpdateThread, THREADS + "/update", {"thread_id": "thread_x"},
        same(metadata={"k": "v"}),
    ),
    "messages.create": method(
        "threads.messages.create", ops.CreateMessage, THREADS + "/messages",
        {"thread_id": "thread_x", "content": "你好"}, same(role="user", file_ids=["file_x"]),
        role="user",
    ),
    "messages.list": method(
        "threads.messages.list", ops.ListMessages, THREADS + "/messages/list",
        {"thread_id": "thread_x"}, LIST,
    ),
    "messages.query": method(
        "threads.messages.retrieve", ops.RetrieveMessage, THREADS + "/messages/query", OF_MESSAGE
    ),
    "messages.update": method(
        "threads.messages.update", ops.UpdateMessage, THREADS + "/messages/update", OF_MESSAGE,
        same(content="再见", file_ids=["file_x"]),
    ),
    "messages.files": method(
        "threads.messages.files.list", ops.ListMessageFiles, THREADS + "/messages/files/list",
        OF_MESSAGE, LIST,
    ),
    "runs.run": method(
        "threads.runs.create", ops.CreateRun, THREADS + "/runs", ON_THREAD,
        {**RUN, "thread": INLINE, "tool_output": GOES_ON}, stream=False,
    ),
    "runs.run, new thread": method(
        "threads.create_and_run", ops.CreateThreadAndRun, THREADS + "/runs", NEW_THREAD, RUN,
        stream=False,
    ),
    "runs.stream_run": method(
        "threads.runs.stream", ops.CreateRun, THREADS + "/runs", ON_THREAD,
        {**RUN, "thread": INLINE, "tool_output": GOES_ON}, stream=True,
    ),
    "runs.stream_run, new thread": method(
        "threads.create_and_stream", ops.CreateThreadAndRun, THREADS + "/runs", NEW_THREAD, RUN,
        stream=True,
    ),
    "runs.submit_tool_outputs": Method(
        "threads.runs.submit_tool_outputs", ops.SubmitOutputs,
        THREADS + "/runs/submit_tool_outputs",
        {**OF_RUN, "tool_outputs": (ToolOutput(**OUTPUT),)}, {**OF_RUN, "tool_outputs": [OUTPUT]},
    ),
    "runs.cancel": method("threads.runs.cancel", ops.CancelRun, THREADS + "/runs/cancel", OF_RUN),
}  # fmt: skip
NEEDED = {"assistants.create": ("model", "name")}  # of what it has in its parameters


def of_one(name: str, part: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A call with one parameter besides those that are needed, and its body."""
    row = METHODS[name]
    parts = [row.parameters[key] for key in {*NEEDED.get(name, ()), part}]
    ours, wire = _joined(p.ours for p in parts), _joined(p.wire for p in parts)
    return {**row.needed, **ours}, {**row.always, **wire}


def operation_of(row: Method, given: Mapping[str, Any]) -> Operation[Any]:
    """The operation that asks for a call; a stream says so by itself."""
    own = {key: value for key, value in given.items() if key in row.kind.__struct_fields__}
    rest = {key: value for key, value in given.items() if key not in own}
    place = "page" if issubclass(row.kind, ops.ListOperation) else "params"
    if "stream" in row.always:
        own["stream"] = row.always["stream"]
    if rest:
        own[place] = rest
    return row.kind(**own)


def understood(path: str, body: object) -> dict[str, Any]:
    """What the local server understands of a request, by our names."""
    sent = json.dumps(body).encode()
    operation = AppBuilderService().parse("POST", path.removeprefix("/v2"), {}, sent)
    fields = msgspec.structs.asdict(operation)
    del fields["extras"], fields["hint"]
    parts = [fields.pop(name, {}) for name in ("params", "page")]
    return {**fields, **_joined(parts)}


BEGUN = b'"event_type":"run_begin","details":{"run_object":{"id":"run_x"}}'
ENDED = b'"event_type":"run_end","details":{"run_object":{"id":"run_x"}}'
ONE_RUN = b'event: status\ndata: {"status":"queued",%b}\n\n' % BEGUN
ONE_RUN += b'event: status\ndata: {"status":"completed",%b}\n\n' % ENDED
ANSWER = b'{"id":"run_x","object":"list","data":[],"has_more":false}'  # good for any of them


async def answer(request: Received, writer: Writer) -> None:
    """A good answer to whatever is asked."""
    streamed = b'"stream":true' in request.body
    writer.write(STREAM + chunk(ONE_RUN) + END if streamed else whole(ANSWER))


async def make(client: AppBuilder, row: Method, given: Mapping[str, Any]) -> Any:
    """Make a call of ours to its end."""
    more = {"to": BytesIO()} if row.ours == "files.download" else {}
    made = attrgetter(row.ours)(client)(**given, **more)
    if not isinstance(made, RunStream):
        return await made
    async with made as stream:
        return [event async for event in stream]


async def sent(row: Method, given: Mapping[str, Any]) -> Any:
    """The body of the one request that our call makes, by way of a real socket."""
    async with RawServer(answer) as server, AppBuilder("k", server.url, retry=ONCE) as client:
        await make(client, row, given)
    (request,) = server.requests
    assert request.line == f"POST {row.path} HTTP/1.1"
    assert request.headers["authorization"] == "bearer k"
    assert request.headers["content-type"] == "application/json"
    return json.loads(request.body)


# --- answers: the classes of the document, field by field ---

MILLISECONDS = 1713122932350
SECONDS = 1713122932


class Field(NamedTuple):
    """A field as the body has it, and our attribute with its value."""

    wire: Any
    name: str
    value: Any


class Answer(NamedTuple):
    """A class of the document: an operation that is answered by it, our class, its fields."""

    operation: Operation[Any]
    kind: Any
    fields: dict[str, Field]

    @property
    def body(self) -> dict[str, Any]:
        """A whole body."""
        return {name: field.wire for name, field in self.fields.items()}

    @property
    def result(self) -> Any:
        """What we make of it."""
        return self.kind(**{field.name: field.value for field in self.fields.values()})


def alike(**values: Any) -> dict[str, Field]:
    """Fields that have one name and one form."""
    return {name: Field(value, name, value) for name, value in values.items()}


def deleted(object: str) -> dict[str, Field]:
    """The fields of a deletion."""
    return alike(id="x", object=object, deleted=True)


def listed(kind: Any, fields: dict[str, Field]) -> dict[str, Field]:
    """The fields of a list with one object."""
    item = {name: field.wire for name, field in fields.items()}
    read = kind(**{field.name: field.value for field in fields.values()})
    data = Field([item], "data", (read,))
    return {"data": data, **alike(object="list", first_id="x", last_id="y", has_more=True)}


CONTENT: dict[str, Any] = {"type": "text", "text": {"value": "你好", "annotations": ["a"]}}
READ_CONTENT = Content(type="text", text=Text(value="你好", annotations=["a"]))
CALL: dict[str, Any] = {
    "id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"},
}  # fmt: skip
READ_CALL = ToolCall(id="call-1", function=FunctionCall(name="f", arguments="{}"))
SOME_TOOLS = Field([TOOL], "tools", (DECLARED,))
SOME_FILES = Field(["file_x"], "file_ids", ("file_x",))
INSTRUCTIONS = alike(instructions="i", thought_instructions="t", chat_instructions="c")
AN_ASSISTANT = {
    **alike(
        id="asst_x", object="assistant", name="n", description="d", created_at=MILLISECONDS,
        response_format="json_object", metadata={"k": "v"},
    ),
    **INSTRUCTIONS, "tools": SOME_TOOLS, "file_ids": SOME_FILES,
}  # fmt: skip
# Its class has a model and no object (§3.1).
CHANGED = {**{k: v for k, v in AN_ASSISTANT.items() if k != "object"}, **alike(model="m")}
ATTACHED = alike(
    id="file_x", object="assistant.file", created_at=MILLISECONDS, assistant_id="asst_x"
)
# The document takes it for the class before; but it is a message that has it (§7 #4).
OF_A_MESSAGE = alike(
    id="file_x", object="thread.message.file", created_at=MILLISECONDS, message_id="msg_x"
)
UPLOADED = {
    **alike(
        id="file_x", bytes=7, object="file", purpose="assistant", filename="a.txt",
        classification_id="app",
    ),
    # The one time in seconds, under a name of its own (§7 #3).
    "create_at": Field(SECONDS, "created_at", SECONDS * 1000),
}  # fmt: skip
A_FILE = {**UPLOADED, **alike(censored=1, file_type="document")}
A_THREAD = alike(id="thread_x", object="thread", created_at=MILLISECONDS, metadata={"k": "v"})
A_MESSAGE = {
    **alike(
        id="msg_x", object="thread.message", role="user", created_at=MILLISECONDS,
        thread_id="thread_x", assistant_id="asst_x", run_id="run_x",
    ),
    "content": Field([CONTENT], "content", (READ_CONTENT,)), "file_ids": SOME_FILES,
}  # fmt: skip
TIMES = ("started_at", "expired_at", "cancelled_at", "failed_at", "completed_at")
A_RUN = {
    **alike(
        id="run_x", assistant_id="asst_x", thread_id="thread_x", status="completed",
        created_at=MILLISECONDS, **{name: MILLISECONDS + n for n, name in enumerate(TIMES, 1)},
    ),
    "required_action": Field(
        {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}},
        "required_action",
        RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=(READ_CALL,))),
    ),
    "last_error": Field(
        {"type": "t", "message": "m"}, "last_error", LastError(type="t", message="m")
    ),
}  # fmt: skip
RUN_RESULT = {
    **A_RUN,
    **alike(object="run.result"),
    "final_answer": Field(
        {"type": "message", "message": {"message_id": "msg_y", "content": [CONTENT]}},
        "final_answer",
        FinalAnswer(message=FinalMessage(message_id="msg_y", content=(READ_CONTENT,))),
    ),
}
# Those that are told where a run is read, and not where it is made (§3.9).
READ_LATER = {**alike(model="m"), **INSTRUCTIONS, "tools": SOME_TOOLS, "file_ids": SOME_FILES}
WITH_A_RUN = {**RUN_RESULT, **READ_LATER}
RETRIEVED = ops.RetrieveRun(**OF_RUN)
MADE: dict[str, Operation[Any]] = {
    name: operation_of(row, row.given) for name, row in METHODS.items()
}
ANSWERS: dict[str, Answer] = {
    "AssistantCreateResponse": Answer(MADE["assistants.create"], Assistant, AN_ASSISTANT),
    "AssistantUpdateResponse": Answer(MADE["assistants.update"], Assistant, CHANGED),
    "AssistantListResponse": Answer(
        MADE["assistants.list"], Page, listed(Assistant, AN_ASSISTANT)
    ),
    "AssistantQueryResponse": Answer(MADE["assistants.query"], Assistant, AN_ASSISTANT),
    "AssistantDeleteResponse": Answer(
        MADE["assistants.delete"], Deleted, deleted("assistant.deleted")
    ),
    "AssistantFilesResponse": Answer(MADE["assistants.mount_files"], AssistantFile, ATTACHED),
    # Shown as AssistantFilesContentResponse, which is a slip (§7 #2).
    "AssistantMountedFilesListResponse": Answer(
        MADE["assistants.mounted_files_list"], Page, listed(AssistantFile, ATTACHED)
    ),
    "AssistantFilesDeleteResponse, unmounted": Answer(
        MADE["assistants.unmount_files"], Deleted, deleted("assistant.file.deleted")
    ),
    "AssistantFilesListResponse": Answer(
        MADE["files.list"], Page,
        {name: field for name, field in listed(File, A_FILE).items() if name in ("object", "data")},
    ),
    "AssistantFilesQueryResponse": Answer(MADE["files.query"], File, A_FILE),
    "AssistantFilesDeleteResponse": Answer(
        MADE["files.delete"], Deleted, deleted("file.deleted")
    ),
    "ThreadCreateResponse": Answer(MADE["threads.create"], Thread, A_THREAD),
    "ThreadQueryResponse": Answer(MADE["threads.query"], Thread, A_THREAD),
    "ThreadDeleteResponse": Answer(MADE["threads.delete"], Deleted, deleted("thread.deleted")),
    "ThreadUpdateResponse": Answer(MADE["threads.update"], Thread, A_THREAD),
    "AssistantMessageCreateResponse": Answer(MADE["messages.create"], Message, A_MESSAGE),
    "AssistantMessageListResponse": Answer(
        MADE["messages.list"], Page, listed(Message, A_MESSAGE)
    ),
    "AssistantMessageQueryResponse": Answer(MADE["messages.query"], Message, A_MESSAGE),
    "AssistantMessageUpdateResponse": Answer(MADE["messages.update"], Message, A_MESSAGE),
    "AssistantMessageFilesResponse": Answer(
        MADE["messages.files"], Page, listed(MessageFile, OF_A_MESSAGE)
    ),
    "RunResult, run": Answer(MADE["runs.run"], Run, WITH_A_RUN),
    "RunResult, submit_tool_outputs": Answer(MADE["runs.submit_tool_outputs"], Run, WITH_A_RUN),
    "RunResult, cancel": Answer(MADE["runs.cancel"], Run, WITH_A_RUN),
}  # fmt: skip


def decoded(operation: Operation[Any], body: Any, **headers: str) -> Any:
    """What the client makes of an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status=200, headers=headers, body=raw)
    provider = AppBuilderProvider()
    assert provider.error(operation, response) is None
    return provider.decode(operation, response)


# What the local server says otherwise than the fields have it.
TOLD = {
    "RunResult, run": RUN_RESULT,
    "RunResult, submit_tool_outputs": RUN_RESULT,
    "RunResult, cancel": RUN_RESULT,
}
