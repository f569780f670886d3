"""AppBuilder's calls: what each sends, exactly, and what comes of the answer (appbuilder.md §2)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from aiodashassist import (
    APIError,
    AppBuilder,
    Assistant,
    AssistantFile,
    BadRequest,
    Deleted,
    File,
    FileContent,
    FinalAnswer,
    FunctionTool,
    LastError,
    Message,
    MessageFile,
    ModelParameters,
    NotFound,
    Page,
    Run,
    RunEvent,
    RunStep,
    SamplingParameters,
    Thread,
    ToolOutput,
    UnsupportedOperation,
    UserInfo,
    UserLoc,
    tool,
)
from aiodashassist.server import LocalServer
from tests.raw_server import RawServer, answering, whole
from tests.resources.pinned import pinned

REQUEST = {"X-Appbuilder-Request-Id": "req-1"}
Call = Callable[[AppBuilder], Awaitable[Any]]


@tool
async def get_time(zone: str) -> str:
    """The time."""
    return zone


DECLARED: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time.",
        "parameters": {
            "type": "object",
            "properties": {"zone": {"type": "string"}},
            "required": ["zone"],
            "additionalProperties": False,
        },
    },
}

# Answers as they were observed (§3, §11.2); ids are shortened.
ASSISTANT = {
    "id": "asst_1", "object": "assistant", "name": "小助手", "description": "", "tools": [],
    "instructions": "简短", "created_at": 1713122932350, "thought_instructions": "",
    "chat_instructions": "", "response_format": "text", "file_ids": ["file-1"], "metadata": None,
}  # fmt: skip
THREAD = {"id": "thread_1", "object": "thread", "created_at": 1713122932350, "metadata": {}}
MESSAGE = {
    "id": "msg_1", "object": "thread.message", "role": "user", "created_at": 1713122932350,
    "content": [{"type": "text", "text": {"value": "你好", "annotations": []}}],
    "thread_id": "thread_1", "assistant_id": "", "run_id": "", "file_ids": [],
}  # fmt: skip
RUN: dict[str, Any] = {
    "id": "run_1", "object": "thread.run", "assistant_id": "asst_1", "thread_id": "thread_1",
    "model": "ERNIE-4.0-8K", "instructions": "简短", "tools": [], "file_ids": None,
    "status": "completed", "required_action": None, "last_error": None, "final_answer": None,
    "created_at": 1713122932350, "started_at": 0, "expired_at": 0, "cancelled_at": 0,
    "failed_at": 0, "completed_at": 1713122942400,
}  # fmt: skip
STEP = {
    "id": "step-1", "object": "thread.run.step", "assistant_id": None, "thread_id": "thread_1",
    "run_id": "run_1", "status": "completed", "created_at": 1713122932396, "started_at": 0,
    "expired_at": 0, "cancelled_at": 0, "failed_at": 0, "completed_at": 1713122942400,
    "last_error": "", "type": None, "step_datail": None,
}  # fmt: skip
FILE = {
    "id": "file-1", "bytes": 5, "object": "file", "purpose": "assistant", "create_at": 1713122932,
    "filename": "file", "classification_id": "app", "censored": 1, "file_type": "document",
}  # fmt: skip
DELETED = {"id": "x", "object": "assistant.deleted", "deleted": True}
ATTACHED = {
    "id": "file-1", "object": "assistant.file", "created_at": 1713122932350,
    "assistant_id": "asst_1",
}  # fmt: skip
NOTED = {
    "id": "file-1", "object": "thread.message.file", "created_at": 1713122932350,
    "message_id": "msg_1",
}  # fmt: skip


def listed(item: Any) -> Any:
    """A list of one."""
    return {
        "object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"],
        "has_more": False,
    }  # fmt: skip


PAGING = {"limit": 5, "order": "asc", "after": "a", "before": "b"}
GIVEN: Any = {"page_size": 5, "order": "asc", "after": "a", "before": "b"}
IDS = {"thread_id": "t", "run_id": "r"}

CALLS: dict[str, tuple[Call, str, Any, Any]] = {
    "assistants.retrieve": (
        lambda c: c.assistants.retrieve("a"), "/assistants/query", {"assistant_id": "a"}, ASSISTANT,
    ),
    "assistants.delete": (
        lambda c: c.assistants.delete("a"), "/assistants/delete", {"assistant_id": "a"}, DELETED,
    ),
    "assistants.files.create": (
        lambda c: c.assistants.files.create("a", "f"), "/assistants/files",
        {"assistant_id": "a", "file_id": "f"}, ATTACHED,
    ),
    "assistants.files.delete": (
        lambda c: c.assistants.files.delete("a", "f"), "/assistants/files/delete",
        {"assistant_id": "a", "file_id": "f"}, DELETED,
    ),
    "threads.create": (lambda c: c.threads.create(), "/threads", {"messages": []}, THREAD),
    "threads.create with messages": (
        lambda c: c.threads.create(
            messages=[{"role": "user", "content": "你好", "file_ids": ["f"]}], metadata={"k": "v"}
        ),
        "/threads",
        {
            "messages": [{"role": "user", "content": "你好", "file_ids": ["f"]}],
            "metadata": {"k": "v"},
        },
        THREAD,
    ),
    "threads.retrieve": (
        lambda c: c.threads.retrieve("t"), "/threads/query", {"thread_id": "t"}, THREAD,
    ),
    "threads.update": (
        lambda c: c.threads.update("t", metadata={"k": "v"}), "/threads/update",
        {"thread_id": "t", "metadata": {"k": "v"}}, {**THREAD, "metadata": None},
    ),
    "threads.delete": (
        lambda c: c.threads.delete("t"), "/threads/delete", {"thread_id": "t"}, DELETED,
    ),
    "messages.create": (
        lambda c: c.threads.messages.create("t", "你好", file_ids=["f"]), "/threads/messages",
        {"thread_id": "t", "role": "user", "content": "你好", "file_ids": ["f"]}, MESSAGE,
    ),
    "messages.retrieve": (
        lambda c: c.threads.messages.retrieve("t", "m"), "/threads/messages/query",
        {"thread_id": "t", "message_id": "m"}, MESSAGE,
    ),
    "messages.update": (
        lambda c: c.threads.messages.update("t", "m", content="", file_ids=[]),
        "/threads/messages/update",
        {"thread_id": "t", "message_id": "m", "content": "", "file_ids": []}, MESSAGE,
    ),
    "runs.retrieve": (
        lambda c: c.threads.runs.retrieve("t", "r"), "/threads/runs/query", IDS, RUN,
    ),
    "runs.cancel": (
        lambda c: c.threads.runs.cancel("t", "r"), "/threads/runs/cancel", IDS, RUN,
    ),
    "runs.cancel and wait": (
        lambda c: c.threads.runs.cancel("t", "r", sync=True), "/threads/runs/cancel",
        {**IDS, "sync": True}, RUN,
    ),
    "steps.retrieve": (
        lambda c: c.threads.runs.steps.retrieve("t", "r", "s"), "/threads/runs/steps/query",
        {**IDS, "step_id": "s"}, STEP,
    ),
    "files.retrieve": (
        lambda c: c.files.retrieve("f"), "/storage/files/query", {"file_id": "f"}, FILE,
    ),
    "files.delete": (
        lambda c: c.files.delete("f"), "/storage/files/delete", {"file_id": "f"}, DELETED,
    ),
}  # fmt: skip
"""Call -> path below `/v2`, the body, and a good answer."""
LISTS: dict[str, tuple[Callable[[AppBuilder], Any], str, Any, Any, Any]] = {
    "assistants": (
        lambda c: c.assistants.list(**GIVEN), "/assistants/list", {}, ASSISTANT, Assistant,
    ),
    "assistants.files": (
        lambda c: c.assistants.files.list("a", **GIVEN), "/assistants/files/list",
        {"assistant_id": "a"}, ATTACHED, AssistantFile,
    ),
    "messages": (
        lambda c: c.threads.messages.list("t", **GIVEN), "/threads/messages/list",
        {"thread_id": "t"}, MESSAGE, Message,
    ),
    "messages.files": (
        lambda c: c.threads.messages.files.list("t", "m", **GIVEN),
        "/threads/messages/files/list", {"thread_id": "t", "message_id": "m"}, NOTED, MessageFile,
    ),
    "runs": (
        lambda c: c.threads.runs.list("t", **GIVEN), "/threads/runs/list", {"thread_id": "t"},
        RUN, Run,
    ),
    "steps": (
        lambda c: c.threads.runs.steps.list("t", "r", **GIVEN), "/threads/runs/steps/list", IDS,
        STEP, RunStep,
    ),
}  # fmt: skip
OBJECTS: dict[str, type[Any]] = {
    "assistant": Assistant, "thread": Thread, "thread.message": Message, "thread.run": Run,
    "thread.run.step": RunStep, "file": File, "assistant.file": AssistantFile,
    "assistant.deleted": Deleted,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_sends_exactly_this(name: str) -> None:
    """One POST; ids are in its body; the answer is an object with the request's id (§1.4, §2)."""
    call, path, body, answer = CALLS[name]
    made = await pinned(
        call, "POST", "/v2" + path, client=AppBuilder, body=body, answer=answer, headers=REQUEST
    )

    assert type(made) is OBJECTS[answer["object"]]
    assert (made.id, made.request_id) == (answer["id"], "req-1")


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_sends_exactly_this(name: str) -> None:
    """`page_size` is the wire's `limit`; the cursors and the order have their own names (§3.7)."""
    make, path, ids, item, kind = LISTS[name]

    async def call(client: AppBuilder) -> Page[Any]:
        page: Page[Any] = await make(client)
        return page

    page = await pinned(
        call, "POST", "/v2" + path, client=AppBuilder, body={**ids, **PAGING}, answer=listed(item),
        headers=REQUEST,
    )  # fmt: skip
    assert [type(one) for one in page.data] == [kind]
    assert (page.first_id, page.last_id, page.has_more) == (item["id"], item["id"], False)
    assert page.request_id == "req-1"


async def test_files_are_listed_without_pages() -> None:
    """Nothing is sent, and the answer has no more than its data (§2.2)."""

    async def call(client: AppBuilder) -> Page[File]:
        return await client.files.list()

    page = await pinned(
        call, "POST", "/v2/storage/files/list", client=AppBuilder, body={},
        answer={"object": "list", "data": [FILE]},
    )  # fmt: skip
    assert [file.id for file in page.data] == ["file-1"]
    assert (page.has_more, page.first_id) == (False, None)


@pytest.mark.parametrize("update", [False, True])
async def test_an_assistant_is_sent_with_all_it_has(update: bool) -> None:
    """Every field of §3.1 under its name; tools are declared; `""` and `[]` are sent."""
    params: Any = {
        "model": "ERNIE-4.0-8K", "name": "小助手", "description": "", "response_format": "text",
        "instructions": "简短", "thought_instructions": "", "chat_instructions": "c",
        "file_ids": [], "metadata": {"k": "v"},
    }  # fmt: skip
    answer = {**ASSISTANT, "model": "ERNIE-4.0-8K"} if update else ASSISTANT
    made = await pinned(
        lambda c: (
            c.assistants.update("a", tools=[get_time], **params)
            if update
            else c.assistants.create(tools=[get_time], **params)
        ),
        "POST",
        "/v2/assistants/update" if update else "/v2/assistants",
        client=AppBuilder,
        body={**params, "tools": [DECLARED], **({"assistant_id": "a"} if update else {})},
        answer=answer,
    )
    assert (made.name, made.instructions, made.file_ids) == ("小助手", "简短", ("file-1",))
    assert (made.metadata, made.created_at, made.tools) == ({}, 1713122932350, ())


async def test_a_run_is_sent_with_all_it_can_have() -> None:
    """Every field of §3.8; messages become the inline thread, sampling the chat's parameters."""
    await pinned(
        lambda c: c.threads.runs.create(
            "t",
            assistant_id="a",
            model="ERNIE-4.0T-8K",
            response_format="json_object",
            instructions="",
            thought_instructions="t",
            chat_instructions="c",
            override_tools=[get_time],
            metadata={"k": "v"},
            additional_messages=[{"role": "user", "content": "x"}],
            temperature=0.5,
            top_p=0,
            model_parameters=ModelParameters(
                chat_parameters=SamplingParameters(penalty_score=2),
                thought_parameters=SamplingParameters(temperature=1),
            ),
            user_info=UserInfo(id="u", name="n"),
            user_loc=UserLoc(uip="127.0.0.1"),
        ),
        "POST",
        "/v2/threads/runs",
        client=AppBuilder,
        body={
            "thread_id": "t",
            "assistant_id": "a",
            "model": "ERNIE-4.0T-8K",
            "response_format": "json_object",
            "instructions": "",
            "thought_instructions": "t",
            "chat_instructions": "c",
            "tools": [DECLARED],
            "metadata": {"k": "v"},
            "thread": {"messages": [{"role": "user", "content": "x"}]},
            "model_parameters": {
                "chat_parameters": {"penalty_score": 2, "temperature": 0.5, "top_p": 0},
                "thought_parameters": {"temperature": 1},
            },
            "user_info": {"id": "u", "name": "n"},
            "user_loc": {"uip": "127.0.0.1"},
            "stream": False,
        },
        answer=RUN,
    )


async def test_a_run_on_a_new_thread_is_sent_without_its_id() -> None:
    """The same path, and the thread inline (§3.8)."""
    message: Any = {"role": "user", "content": "x"}
    await pinned(
        lambda c: c.threads.create_and_run(assistant_id="a", thread={"messages": [message]}),
        "POST",
        "/v2/threads/runs",
        client=AppBuilder,
        body={"assistant_id": "a", "thread": {"messages": [message]}, "stream": False},
        answer=RUN,
    )


@pytest.mark.parametrize("as_list", [False, True])
async def test_a_run_that_was_waited_for_has_its_answer(as_list: bool) -> None:
    """The `final_answer` has its text, whether its content is one object or a list (§3.9)."""
    content = {"type": "text", "text": {"value": "北京30度"}}
    message = {"message_id": "chatmsg_1", "content": [content] if as_list else content}
    run = await pinned(
        lambda c: c.threads.runs.create("t", assistant_id="a"),
        "POST",
        "/v2/threads/runs",
        client=AppBuilder,
        body={"thread_id": "t", "assistant_id": "a", "stream": False},
        answer={
            **RUN, "object": "run.result", "log_id": "caa7",
            "final_answer": {"type": "message", "message": message},
        },
    )  # fmt: skip

    assert isinstance(run.final_answer, FinalAnswer)
    assert run.final_answer.text == "北京30度"
    assert run.final_answer.message.message_id == "chatmsg_1"
    assert (run.object, run.log_id, run.status) == ("run.result", "caa7", "completed")
    assert (run.started_at, run.failed_at, run.file_ids) == (None, None, ())
    assert run.completed_at == 1713122942400


async def test_a_run_that_waits_is_gone_on_with_in_a_new_call() -> None:
    """`tool_output` names the call and the run (§5.6)."""
    arguments = '{"location":"北京"}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    run = await pinned(
        lambda c: c.threads.runs.create(
            "t",
            assistant_id="a",
            tool_output=ToolOutput(output="30", tool_call_id="c", run_id="r"),
        ),
        "POST",
        "/v2/threads/runs",
        client=AppBuilder,
        body={
            "thread_id": "t",
            "assistant_id": "a",
            "tool_output": {"tool_call_id": "c", "output": "30", "run_id": "r"},
            "stream": False,
        },
        answer={**RUN, "status": "requires_action", "required_action": action},
    )

    assert [(c.id, c.name, c.arguments) for c in run.tool_calls] == [("c", "f", arguments)]


async def test_all_outputs_are_submitted_together() -> None:
    """Each with its ids; there is no stream to be asked for (§2.5)."""
    outputs = [
        ToolOutput(output="1", tool_call_id="c"),
        ToolOutput(output="二", tool_call_id="d", run_id="r"),
    ]
    await pinned(
        lambda c: c.threads.runs.submit_tool_outputs("t", "r", tool_outputs=outputs),
        "POST",
        "/v2/threads/runs/submit_tool_outputs",
        client=AppBuilder,
        body={
            **IDS,
            "tool_outputs": [
                {"tool_call_id": "c", "output": "1", "run_id": ""},
                {"tool_call_id": "d", "output": "二", "run_id": "r"},
            ],
        },
        answer=RUN,
    )


async def test_what_is_given_beside_the_names_is_sent() -> None:
    """`extra_body` and `extra_query` reach what is not named; what is named wins."""
    await pinned(
        lambda c: c.threads.retrieve(
            "t", extra_body={"thread_id": "other", "new": 1}, extra_query={"q": "1"}
        ),
        "POST",
        "/v2/threads/query?q=1",
        client=AppBuilder,
        body={"thread_id": "t", "new": 1},
        answer=THREAD,
    )


async def test_a_file_is_read_with_its_quirks() -> None:
    """`create_at` is in seconds and becomes milliseconds; what was audited is told (§3.3)."""
    file = await pinned(
        lambda c: c.files.retrieve("f"),
        "POST",
        "/v2/storage/files/query",
        client=AppBuilder,
        body={"file_id": "f"},
        answer=FILE,
    )

    assert file.created_at == 1713122932_000
    assert (file.bytes, file.purpose, file.filename) == (5, "assistant", "file")
    assert (file.censored, file.file_type, file.classification_id) == (1, "document", "app")


async def test_a_step_is_read_with_its_quirks() -> None:
    """The error of a step that went well is `""`, and its detail is misspelled (§3.10)."""
    detail = {"type": "message_creation", "message_creation": {"message_id": "chatmsg_1"}}
    step = await pinned(
        lambda c: c.threads.runs.steps.retrieve("t", "r", "s"),
        "POST",
        "/v2/threads/runs/steps/query",
        client=AppBuilder,
        body={**IDS, "step_id": "s"},
        answer={**STEP, "step_datail": detail},
    )

    assert (step.last_error, step.type, step.assistant_id) == (None, "message_creation", None)
    assert step.step_details is not None
    assert step.step_details.message_creation is not None
    assert step.step_details.message_creation.message_id == "chatmsg_1"


async def test_a_failed_run_says_why() -> None:
    """Its `last_error` has a type and a message (§3.9)."""
    run = await pinned(
        lambda c: c.threads.runs.retrieve("t", "r"),
        "POST",
        "/v2/threads/runs/query",
        client=AppBuilder,
        body=IDS,
        answer={**RUN, "status": "failed", "last_error": {"type": "server_error", "message": "m"}},
    )

    assert run.last_error == LastError(type="server_error", message="m")


async def test_what_is_null_is_not_there() -> None:
    """The answer `null` to a query is NotFound, with the request's id (§6.3)."""
    with pytest.raises(NotFound) as caught:
        await pinned(
            lambda c: c.files.retrieve("f"), "POST", "/v2/storage/files/query", client=AppBuilder,
            body={"file_id": "f"}, answer=None, headers=REQUEST,
        )  # fmt: skip

    assert caught.value.request_id == "req-1"


async def test_an_error_with_200_is_an_error() -> None:
    """The service puts its errors into answers with 200 (§6.1)."""
    error = {"code": "x_not_found", "message": "assistant 不存在", "type": "t", "param": "id"}
    with pytest.raises(NotFound, match="assistant 不存在") as caught:
        await pinned(
            lambda c: c.assistants.retrieve("a"), "POST", "/v2/assistants/query",
            client=AppBuilder, body={"assistant_id": "a"}, answer={"error": error},
            headers=REQUEST,
        )  # fmt: skip

    assert (caught.value.code, caught.value.status) == ("x_not_found", 200)
    assert caught.value.request_id == "req-1"


async def test_a_file_is_uploaded_as_the_sdk_does() -> None:
    """A form with one part, `file`, with the name as it is; the purpose is in the query (§2.2)."""
    answer = {key: value for key, value in FILE.items() if key not in ("censored", "file_type")}
    async with (
        RawServer(answering(whole(json.dumps(answer).encode()))) as server,
        AppBuilder("sk-x", server.url) as client,
    ):
        usual = await client.files.create(b"bytes", filename='报告 "1".txt')
        await client.files.create(b"bytes", purpose="other things")
    first, second = server.requests

    assert (usual.id, usual.censored) == ("file-1", None)
    assert first.line == "POST /v2/storage/files?purpose=assistant HTTP/1.1"
    assert second.line == "POST /v2/storage/files?purpose=other+things HTTP/1.1"
    kind, _, boundary = first.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = first.body.split(b"--" + boundary.encode())
    assert len(parts) == 3
    head, _, content = parts[1].partition(b"\r\n\r\n")
    disposition = 'form-data; name="file"; filename="报告 %221%22.txt"'.encode()
    assert disposition in head
    assert content == b"bytes\r\n"


async def test_a_files_content_is_its_bytes() -> None:
    """With the type that the service says; an unnamed answer that is no error is a file, too."""
    async with (
        RawServer(answering(whole(b'[1, "2"]', kind="application/json"))) as server,
        AppBuilder("sk-x", server.url) as client,
    ):
        content = await client.files.content("f")
    (request,) = server.requests

    assert content == FileContent(data=b'[1, "2"]', content_type="application/json")
    assert request.line == "POST /v2/storage/files/content HTTP/1.1"
    assert request.body == b'{"file_id":"f"}'


MISSING: dict[str, Call] = {
    "RetrieveAssistantFile": lambda c: c.assistants.files.retrieve("a", "f"),
    "RetrieveMessageFile": lambda c: c.threads.messages.files.retrieve("t", "m", "f"),
    "UpdateRun": lambda c: c.threads.runs.update("t", "r", metadata={}),
}


@pytest.mark.parametrize("name", MISSING)
async def test_what_the_service_lacks_is_not_asked_for(name: str) -> None:
    """UnsupportedOperation, which names the call."""
    async with AppBuilder("sk-x") as client:
        with pytest.raises(UnsupportedOperation, match=name):
            await MISSING[name](client)


async def test_a_declared_tool_is_read_as_it_was_sent() -> None:
    """Its schema, and what only this wire has of it (§3.2)."""
    function = {**DECLARED["function"], "responses": None, "examples": None}
    made = await pinned(
        lambda c: c.assistants.retrieve("a"),
        "POST",
        "/v2/assistants/query",
        client=AppBuilder,
        body={"assistant_id": "a"},
        answer={**ASSISTANT, "tools": [{"type": "function", "function": function}]},
    )
    (declared,) = made.tools

    assert isinstance(declared, FunctionTool)
    assert declared.function.name == "get_time"
    assert declared.function.parameters == DECLARED["function"]["parameters"]


# --- against the local server ---


@pytest.fixture
async def service(server: LocalServer) -> AsyncIterator[AppBuilder]:
    """A client of the fresh local server."""
    async with server.client(AppBuilder) as made:
        yield made


async def asked(client: AppBuilder, question: str, **options: Any) -> tuple[str, str, Run]:
    """A run that was asked for on a new thread, as it is answered."""
    made = await client.assistants.create(model="m", name="n")
    thread = await client.threads.create(messages=[{"role": "user", "content": question}])
    run = await client.threads.runs.create(thread.id, assistant_id=made.id, **options)
    return made.id, thread.id, run


async def test_a_run_is_answered_when_it_rests(service: AppBuilder) -> None:
    """With its answer, which is the thread's last message (§2.5, §3.9)."""
    _, thread_id, run = await asked(service, "/say 你好 and more")
    (answer, _) = (await service.threads.messages.list(thread_id)).data

    assert (run.object, run.status) == ("run.result", "completed")
    assert run.final_answer is not None
    assert run.final_answer.text == answer.text == "你好 and more"
    assert run.final_answer.message.message_id == answer.id
    assert run.completed_at is not None
    assert run.log_id


@pytest.mark.parametrize("with_run_id", [True, False])
async def test_calls_are_answered_by_a_run_after_the_other(
    service: AppBuilder, with_run_id: bool
) -> None:
    """The way without a stream: the same run, call by call, until it is complete (§5.6)."""
    assistant_id, thread_id, run = await asked(service, '/call f {"a": 1}\n/then\n/call g')
    for name in ("f", "g"):
        assert (run.status, run.final_answer) == ("requires_action", None)
        (call,) = run.tool_calls
        assert call.name == name
        output = ToolOutput(
            output=name.upper(), tool_call_id=call.id, run_id=run.id if with_run_id else ""
        )
        before, run = (
            run,
            await service.threads.runs.create(
                thread_id, assistant_id=assistant_id, tool_output=output
            ),
        )
        assert (run.id, run.created_at) == (before.id, before.created_at)

    assert run.status == "completed"
    assert run.final_answer is not None
    assert run.final_answer.text == "g -> G"


async def test_a_run_that_waits_is_gone_on_with_in_a_stream(service: AppBuilder) -> None:
    """`tool_output` of a stream: it begins anew with the same run, and tools serve the rest."""
    assistant_id, thread_id, run = await asked(
        service, '/call f\n/then\n/call get_time {"zone": "z"}'
    )
    output = ToolOutput(output="F", tool_call_id=run.tool_calls[0].id, run_id=run.id)
    async with service.threads.runs.stream(
        thread_id, assistant_id=assistant_id, tool_output=output, tools=[get_time]
    ) as stream:
        first = await anext(stream)
        result = await stream.result()

    assert isinstance(first, RunEvent)
    assert (first.name, first.run.id) == ("run_begin", run.id)
    assert result.run.id == run.id
    assert result.text == "get_time -> z"


async def test_an_output_for_nothing_is_refused(service: AppBuilder) -> None:
    """Where no run waits, where the call is another one, and where the run is unknown."""
    assistant_id, thread_id, run = await asked(service, "/call f")
    call = run.tool_calls[0].id
    for output in (
        ToolOutput(output="x", tool_call_id="another", run_id=run.id),
        ToolOutput(output="x", tool_call_id=call, run_id="another"),
    ):
        with pytest.raises(APIError):
            await service.threads.runs.create(
                thread_id, assistant_id=assistant_id, tool_output=output
            )
    assert (await service.threads.runs.retrieve(thread_id, run.id)).status == "requires_action"

    good = ToolOutput(output="x", tool_call_id=call, run_id=run.id)
    await service.threads.runs.create(thread_id, assistant_id=assistant_id, tool_output=good)
    with pytest.raises(APIError, match="does not wait"):
        await service.threads.runs.create(thread_id, assistant_id=assistant_id, tool_output=good)


async def test_the_users_word_has_to_be_the_last(service: AppBuilder) -> None:
    """A run after an answer needs a new message (§3.8), which can come with it."""
    assistant_id, thread_id, _ = await asked(service, "x")
    with pytest.raises(BadRequest, match="last message"):
        await service.threads.runs.create(thread_id, assistant_id=assistant_id)
    run = await service.threads.runs.create(
        thread_id,
        assistant_id=assistant_id,
        additional_messages=[{"role": "user", "content": "again"}],
    )

    assert run.final_answer is not None
    assert run.final_answer.text == "again"


async def test_a_message_is_changed(service: AppBuilder) -> None:
    """Its text and its files (§2.4)."""
    thread = await service.threads.create()
    made = await service.threads.messages.create(thread.id, "old")
    changed = await service.threads.messages.update(
        thread.id, made.id, content="新", file_ids=["f"]
    )
    read = await service.threads.messages.retrieve(thread.id, made.id)

    assert (changed.text, read.text) == ("新", "新")
    assert read.file_ids == ("f",)
    files = (await service.threads.messages.files.list(thread.id, made.id)).data
    assert [file.id for file in files] == ["f"]


@pytest.mark.parametrize("sync", [None, False, True])
async def test_a_run_that_waits_is_cancelled(service: AppBuilder, sync: bool | None) -> None:
    """Twice is no error; a run that has ended otherwise cannot be."""
    _, thread_id, run = await asked(service, "/call f")
    for _ in range(2):
        cancelled = await service.threads.runs.cancel(thread_id, run.id, sync=sync)
        assert (cancelled.id, cancelled.status) == (run.id, "cancelled")
    _, other, done = await asked(service, "x")

    with pytest.raises(APIError, match="completed"):
        await service.threads.runs.cancel(other, done.id)


async def test_an_update_replaces_what_it_does_not_name(service: AppBuilder) -> None:
    """Texts, tools and files go; name, model and metadata stay (§3.1)."""
    made = await service.assistants.create(
        model="m", name="n", description="d", instructions="i", thought_instructions="t",
        tools=[get_time], metadata={"k": "v"},
    )  # fmt: skip
    changed = await service.assistants.update(made.id, description="other")
    read = await service.assistants.retrieve(made.id)

    for one in (changed, read):
        assert (one.name, one.description, one.metadata) == ("n", "other", {"k": "v"})
        assert not one.instructions
        assert not one.thought_instructions
        assert one.tools == ()


async def test_a_run_that_is_answered_without_a_status_is_given_as_it_is() -> None:
    """Only a run that was found after its answer was lost is waited for."""
    run = await pinned(
        lambda c: c.threads.runs.create("t", assistant_id="a"), "POST", "/v2/threads/runs",
        client=AppBuilder, body={"thread_id": "t", "assistant_id": "a", "stream": False},
        answer={"id": "run_1"},
    )  # fmt: skip

    assert (run.id, run.status) == ("run_1", "")
