"""The vendor's own pages: every call, parameter and sample that they show for assistants.

The old page on assistants (S0), the old one on their files (S1), the later one on assistants with
its HTTP, Python and Java editions (S2): dashscope.md §0 names them. Then all fields of all bodies
of dashscope.md §2, and all parameters of all its lists.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from aiodashassist import BadRequest, DashScope, InvalidArgument, NotFound
from aiodashassist.core import operations as ops
from aiodashassist.core.files import AssistantFile
from aiodashassist.core.models import Assistant, Deleted, Page, TruncationStrategy
from aiodashassist.core.operations import Operation
from aiodashassist.core.provider import Response
from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, PluginTool, ToolOutput
from aiodashassist.providers.dashscope import DashScopeProvider, routes
from aiodashassist.providers.dashscope.serve import DashScopeService
from aiodashassist.server import LocalServer
from tests.raw_server import RawServer, answering, whole
from tests.resources.pinned import pinned

Call = Callable[[DashScope], Awaitable[Any]]

HELPFUL = "You are a helpful assistant. When asked a question, use tools wherever possible."
BIG_ADD: dict[str, Any] = {
    "name": "big_add",
    "description": "Add to number",
    "parameters": {
        "type": "object",
        "properties": {
            "left": {"type": "integer", "description": "The left operator"},
            "right": {"type": "integer", "description": "The right operator."},
        },
        "required": ["left", "right"],
    },
}
TOOLS: list[Any] = [{"type": "search"}, {"type": "function", "function": BIG_ADD}]
DECLARED = (PluginTool("search"), FunctionTool(function=FunctionDefinition(**BIG_ADD)))
SMART: dict[str, Any] = {
    "model": "qwen-max", "name": "smart helper", "description": "A tool helper.",
    "instructions": HELPFUL, "tools": TOOLS,
}  # fmt: skip
INTELLIGENT: dict[str, Any] = {
    "model": "qwen-max", "name": "Intelligent assistant",
    "description": "This is an intelligent assistant",
    "instructions": "You are an intelligent assistant that can call different tools.",
    "tools": [{"type": "code_interpreter"}], "metadata": {},
}  # fmt: skip
GUIDE: dict[str, Any] = {
    "model": "qwen-max", "name": "intelligent guide", "description": "a smart guide",
    "instructions": "You are a helpful assistant.",
}  # fmt: skip
SEARCHER: dict[str, Any] = {
    "instructions": "You are a search assistant", "name": "New Applications-AssistantsAPI",
    "description": "", "model": "qwen-max",
}  # fmt: skip
WHOLE: dict[str, Any] = {
    **SMART, "file_ids": ["file_x"], "metadata": {"k": "v"}, "temperature": 0.7, "top_p": 0.8,
    "top_k": 50,
}  # fmt: skip
CHANGES = {key: WHOLE[key] for key in (*SMART, "file_ids", "metadata")}

# --- calls: document and edition -> our call, method, path with query, body ---

CALLS: dict[str, tuple[Call, str, str, Any]] = {
    "S0 Assistants.create": (
        lambda c: c.assistants.create(**SMART), "POST", "/assistants", SMART,
    ),
    "S0 and S2, every parameter of create": (
        lambda c: c.assistants.create(**WHOLE), "POST", "/assistants", WHOLE,
    ),
    "S0 Assistants.retrieve": (
        lambda c: c.assistants.retrieve("asst_x"), "GET", "/assistants/asst_x", None,
    ),
    "S0 Assistants.list": (
        lambda c: c.assistants.list(page_size=1, order="desc", after="", before=""),
        "GET", "/assistants?limit=1&order=desc&after=&before=", None,
    ),
    "S0 Assistants.update": (
        lambda c: c.assistants.update("asst_x", model="new_model_name"),
        "POST", "/assistants/asst_x", {"model": "new_model_name"},
    ),
    "S0 and S2, every parameter of update": (
        lambda c: c.assistants.update("asst_x", **CHANGES),
        "POST", "/assistants/asst_x", CHANGES,
    ),
    "S0 Assistants.delete": (
        lambda c: c.assistants.delete("asst_x"), "DELETE", "/assistants/asst_x", None,
    ),
    "S1 AssistantFiles.create, Java createFile": (
        lambda c: c.assistants.files.create("asst_x", "file_x"),
        "POST", "/assistants/asst_x/files", {"file_id": "file_x"},
    ),
    "S1 AssistantFiles.retrieve, Java retrieveFile": (
        lambda c: c.assistants.files.retrieve("asst_x", "file_x"),
        "GET", "/assistants/asst_x/files/file_x", None,
    ),
    "S1 AssistantFiles.list": (
        lambda c: c.assistants.files.list(
            "asst_x", page_size=1, order="desc", after="", before=""
        ),
        "GET", "/assistants/asst_x/files?limit=1&order=desc&after=&before=", None,
    ),
    "S1 Java listFiles": (
        lambda c: c.assistants.files.list("asst_x"),
        "GET", "/assistants/asst_x/files", None,
    ),
    "S1 Files.delete": (
        lambda c: c.assistants.files.delete("asst_x", "file_x"),
        "DELETE", "/assistants/asst_x/files/file_x", None,
    ),
    "S2 HTTP create": (
        lambda c: c.assistants.create(**INTELLIGENT), "POST", "/assistants", INTELLIGENT,
    ),
    "S2 Python create": (lambda c: c.assistants.create(**SMART), "POST", "/assistants", SMART),
    "S2 Java create": (lambda c: c.assistants.create(**GUIDE), "POST", "/assistants", GUIDE),
    "S2 HTTP list": (
        lambda c: c.assistants.list(page_size=2, order="desc"),
        "GET", "/assistants?limit=2&order=desc", None,
    ),
    "S2 Python list": (
        lambda c: c.assistants.list(page_size=1, order="desc"),
        "GET", "/assistants?limit=1&order=desc", None,
    ),
    "S2 Java list": (
        lambda c: c.assistants.list(page_size=10), "GET", "/assistants?limit=10", None,
    ),
    "S2 HTTP, Python and Java retrieve": (
        lambda c: c.assistants.retrieve("asst_x"), "GET", "/assistants/asst_x", None,
    ),
    "S2 HTTP update": (
        lambda c: c.assistants.update("asst_x", **SEARCHER),
        "POST", "/assistants/asst_x", SEARCHER,
    ),
    "S2 Python update": (
        lambda c: c.assistants.update("asst_x", model="new_model_name"),
        "POST", "/assistants/asst_x", {"model": "new_model_name"},
    ),
    "S2 Java update": (
        lambda c: c.assistants.update("asst_x", **GUIDE),
        "POST", "/assistants/asst_x", GUIDE,
    ),
    "S2 HTTP, Python and Java delete": (
        lambda c: c.assistants.delete("asst_x"), "DELETE", "/assistants/asst_x", None,
    ),
}  # fmt: skip
ANSWER = {"id": "x", "object": "list", "data": [], "has_more": False}  # good for any of them
every_call = pytest.mark.parametrize(("call", "method", "path", "body"), CALLS.values(), ids=CALLS)


@every_call
async def test_a_documented_call_sends_what_its_page_shows(
    call: Call, method: str, path: str, body: Any
) -> None:
    """Method, path, query and body are those of the page, whichever edition it is."""
    await pinned(call, method, path, body=body, answer=ANSWER)


@every_call
async def test_a_documented_call_takes_a_key_and_a_workspace(
    call: Call, method: str, path: str, body: Any
) -> None:
    """`api_key` and `workspace`, which every table has, travel as headers and nowhere else."""
    del body
    async with (
        RawServer(answering(whole(json.dumps(ANSWER).encode()))) as server,
        DashScope("sk-first", base_url=server.url) as client,
    ):
        await call(client.with_options(api_key="sk-sub", workspace="llm-ws"))
        await call(client)

    given, usual = server.requests
    assert given.line.split() == [method, path, "HTTP/1.1"]
    assert given.headers["authorization"] == "bearer sk-sub"
    assert given.headers["x-dashscope-workspace"] == "llm-ws"
    assert b"llm-ws" not in given.body
    assert usual.headers["authorization"] == "bearer sk-first"
    assert "x-dashscope-workspace" not in usual.headers


async def http(server: LocalServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a request with the two headers of S2's samples; bytes are sent as is."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-local"}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, server.dashscope_url + path, data=data) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize("name", CALLS)
async def test_the_local_server_takes_a_documented_call(
    server: LocalServer, client: DashScope, name: str
) -> None:
    """Sent as the page has it, the call is answered with what was asked, under its own names."""
    kept = (await client.files.create(b"x")).id
    made = (await client.assistants.create(model="qwen-max", file_ids=[kept])).id
    _, method, *parts = CALLS[name]
    text = json.dumps(parts).replace("asst_x", made).replace("file_x", kept)
    path, body = json.loads(text)
    status, answer = await http(server, method, path, body)

    assert (status, bool(answer["request_id"])) == (200, True)
    of_file = "/files" in path
    if method == "DELETE":
        assert (answer["id"], answer["deleted"]) == (kept if of_file else made, True)
        return
    shown = answer
    if "data" in answer:
        (shown,) = answer["data"]
        assert (answer["object"], answer["has_more"]) == ("list", False)
        assert answer["first_id"] == answer["last_id"] == shown["id"]
    asked = body or {"id": made}
    if of_file:
        asked = {"id": kept, "assistant_id": made, "object": "assistant.file"}
    assert {key: shown[key] for key in asked} == asked


async def test_a_call_finds_only_what_is_in_its_workspace(client: DashScope) -> None:
    """Of a workspace all documented calls work there, and in no other (§1.4)."""
    ours, theirs = client.with_options(workspace="ours"), client.with_options(workspace="theirs")
    kept = await ours.files.create(b"x")
    made = await ours.assistants.create(model="qwen-max")
    await ours.assistants.files.create(made.id, kept.id)
    calls: list[Call] = [
        lambda c: c.assistants.retrieve(made.id),
        lambda c: c.assistants.update(made.id, name="n"),
        lambda c: c.assistants.files.create(made.id, kept.id),
        lambda c: c.assistants.files.retrieve(made.id, kept.id),
        lambda c: c.assistants.files.list(made.id),
        lambda c: c.assistants.files.delete(made.id, kept.id),
        lambda c: c.assistants.delete(made.id),
    ]
    assert [item.id async for item in ours.assistants.list()] == [made.id]
    for stranger in (theirs, client):
        assert (await stranger.assistants.list()).data == ()
        for call in calls:
            with pytest.raises(NotFound):
                await call(stranger)
    for call in calls:
        assert await call(ours)


@pytest.mark.parametrize("params", [{}, {"model": ""}, {"model": None}])
async def test_an_assistant_needs_a_model(client: DashScope, params: Any) -> None:
    """The one parameter of `create` that every page requires is asked for by name."""
    with pytest.raises((BadRequest, InvalidArgument), match="model"):
        await client.assistants.create(name="n", **params)

    assert (await client.assistants.list()).data == ()


async def test_the_trailing_comma_of_a_page_is_no_json(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """S2's sample of an update ends in a comma: as it stands it is refused, and changes nothing."""
    body = b'{"name": "New Applications-AssistantsAPI", "model": "qwen-plus",}'
    status, answer = await http(server, "POST", f"/assistants/{assistant_id}", body)

    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert (await client.assistants.retrieve(assistant_id)).name == "tester"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/threads"),
        ("DELETE", "/threads/t/messages/m"),
        ("DELETE", "/threads/t/runs/r"),
        ("DELETE", "/threads/t/runs/r/steps/s"),
        *[
            (method, path)
            for method in ("PUT", "PATCH")
            for path in (
                "/assistants/a", "/threads/t", "/threads/t/messages/m", "/threads/t/runs/r",
            )
        ],
    ],
)  # fmt: skip
async def test_there_is_no_such_call(
    server: LocalServer, client: DashScope, method: str, path: str
) -> None:
    """Threads are not listed, only a parent is deleted, an update is always POST (§2)."""
    status, answer = await http(server, method, path, None if method == "GET" else {})

    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert answer["message"] == f"Request method '{method}' is not supported."
    threads = client.threads
    assert not hasattr(threads, "list")
    assert not any(hasattr(x, "delete") for x in (threads.messages, threads.runs))
    assert not hasattr(threads.runs.steps, "delete")


# --- samples of answers ---

NOTHING = dict.fromkeys(("temperature", "top_p", "top_k", "max_tokens"))
MANY: list[Any] = [{"type": name} for name in ("search", "text_to_image", "code_interpreter")]
FIRST: dict[str, Any] = {
    "id": "asst_0678aa33", "object": "assistant", "created_at": 1711435564909,
    "model": "qwen-max", "name": "Intelligent Assistant",
    "description": "This is an intelligent assistant", "instructions": "Use tools.",
    "tools": MANY, "metadata": {},
}  # fmt: skip
READ_FIRST = Assistant(
    id="asst_0678aa33", created_at=1711435564909, model="qwen-max", name="Intelligent Assistant",
    description="This is an intelligent assistant", instructions="Use tools.",
    tools=(PluginTool("search"), PluginTool("text_to_image"), PluginTool("code_interpreter")),
)  # fmt: skip
CREATED: dict[str, Any] = {
    "id": "asst_49079f4b", "object": "assistant", "created_at": 1711713885724, **INTELLIGENT,
    **NOTHING, "request_id": "b1778226",
}  # fmt: skip
OLD: dict[str, Any] = {
    "account_id": "sk-450bfd95", "is_deleted": False, "status_code": 200,
    "gmt_crete": "2024-03-25 11:31:56", "gmt_update": "2024-03-25 11:31:57",
}  # fmt: skip
READ_OLD: dict[str, Any] = {
    "account_id": "sk-450bfd95", "is_deleted": False, "gmt_crete": "2024-03-25 11:31:56",
    "gmt_update": "2024-03-25 11:31:57", "extra": {"status_code": 200},
}  # fmt: skip
RETRIEVE = ops.RetrieveAssistant(assistant_id="a")
SAMPLES: dict[str, tuple[Operation[Any], dict[str, Any], Any]] = {
    "S0 assistant": (
        ops.CreateAssistant(params={"model": "m"}),
        {
            **SMART, **OLD, "created_at": 1711098751346, "file_ids": [], "id": "asst_5da58c10",
            "metadata": {}, "object": "assistant", "request_id": "dd1f5cf5",
        },
        Assistant(
            id="asst_5da58c10", created_at=1711098751346, model="qwen-max", name="smart helper",
            description="A tool helper.", instructions=HELPFUL, tools=DECLARED,
            request_id="dd1f5cf5", **READ_OLD,
        ),
    ),
    "S1 assistant file": (
        ops.AttachFile(assistant_id="a", file_id="f"),
        {
            **OLD, "assistant_id": "asst_86d4f453", "created_at": 1711337516571, "id": "file_id",
            "object": "assistant.file", "request_id": "be15d81a",
        },
        AssistantFile(
            id="file_id", assistant_id="asst_86d4f453", created_at=1711337516571,
            request_id="be15d81a", **READ_OLD,
        ),
    ),
    "S2 HTTP create, the assistant object": (
        RETRIEVE, CREATED,
        Assistant(
            id="asst_49079f4b", created_at=1711713885724, model="qwen-max",
            name="Intelligent assistant", description="This is an intelligent assistant",
            instructions=INTELLIGENT["instructions"], tools=(PluginTool("code_interpreter"),),
            request_id="b1778226",
        ),
    ),
    "S2 Python create": (
        RETRIEVE,
        {
            **SMART, **dict.fromkeys(NOTHING, "None"), "id": "asst_714cac72",
            "object": "assistant", "created_at": 1726033638848, "file_ids": [], "metadata": {},
            "request_id": "00f5962e", "status_code": 200,
        },
        Assistant(
            id="asst_714cac72", created_at=1726033638848, model="qwen-max", name="smart helper",
            description="A tool helper.", instructions=HELPFUL, tools=DECLARED,
            request_id="00f5962e", extra={"status_code": 200},
        ),
    ),
    "S2 an assistant with all that its table has": (
        RETRIEVE,
        {
            **{key: value for key, value in FIRST.items() if key != "created_at"},
            "create_at": 1711435564909, "file_ids": ["f"], "metadata": {"k": "v"},
            "temperature": 0.7, "top_p": 0.8, "top_k": 50, "max_tokens": 1500,
        },
        Assistant(
            id="asst_0678aa33", created_at=1711435564909, model="qwen-max",
            name="Intelligent Assistant", description="This is an intelligent assistant",
            instructions="Use tools.", tools=READ_FIRST.tools, file_ids=("f",),
            metadata={"k": "v"}, temperature=0.7, top_p=0.8, top_k=50, max_tokens=1500,
        ),
    ),
    "S2 list": (
        ops.ListAssistants(),
        {
            "object": "list",
            "data": [
                FIRST,
                {
                    "id": "asst_7af23142", "object": "assistant", "created_at": 1711422620443,
                    "model": "qwen-max", "name": "helpful assistant", "description": "",
                    "instructions": "You are a helpful assistant.",
                    "tools": [{"type": "text_to_image"}], "file_ids": [], "metadata": {},
                },
            ],
            "first_id": "asst_0678aa33", "last_id": "asst_7af23142", "has_more": True,
            "request_id": "bc257359", "status_code": 200,
        },
        Page(
            data=(
                READ_FIRST,
                Assistant(
                    id="asst_7af23142", created_at=1711422620443, model="qwen-max",
                    name="helpful assistant", instructions="You are a helpful assistant.",
                    tools=(PluginTool("text_to_image"),),
                ),
            ),
            first_id="asst_0678aa33", last_id="asst_7af23142", has_more=True,
            request_id="bc257359", extra={"status_code": 200},
        ),
    ),
    "S2 update": (
        ops.UpdateAssistant(assistant_id="a", params={}),
        {**FIRST, **SEARCHER, "request_id": "b0993831"},
        Assistant(
            id="asst_0678aa33", created_at=1711435564909, model="qwen-max",
            name="New Applications-AssistantsAPI", instructions="You are a search assistant",
            tools=READ_FIRST.tools, request_id="b0993831",
        ),
    ),
    "S2 delete": (
        ops.DeleteAssistant(assistant_id="a"),
        {
            "id": "asst_0678aa33", "object": "assistant.deleted", "deleted": True,
            "request_id": "6af9320f", "status_code": 200,
        },
        Deleted(
            id="asst_0678aa33", object="assistant.deleted", request_id="6af9320f",
            extra={"status_code": 200},
        ),
    ),
    "S0 delete": (
        ops.DeleteAssistant(assistant_id="a"), {"id": "a", "deleted": False},
        Deleted(id="a", deleted=False),
    ),
    "S1 delete": (
        ops.DetachFile(assistant_id="a", file_id="f"), {"id": "f", "deleted": True},
        Deleted(id="f"),
    ),
    "S1 list": (
        ops.ListAssistantFiles(assistant_id="a"),
        {"data": [{"id": "f"}], "first_id": "f", "last_id": "f", "has_more": True},
        Page(data=(AssistantFile(id="f"),), first_id="f", last_id="f", has_more=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("operation", "body", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_a_documented_answer_is_read(
    operation: Operation[Any], body: dict[str, Any], expected: Any
) -> None:
    """Every field of the pages' samples and tables is in its place; a success is no error."""
    response = Response(status=200, body=json.dumps(body).encode())

    assert DashScopeProvider().error(operation, response) is None
    assert DashScopeProvider().decode(operation, response) == expected


@pytest.mark.parametrize(
    ("operation", "word", "value"),
    [
        (RETRIEVE, "gmt_created", "2024-03-22 17:12:31"),
        (RETRIEVE, "gmt_modified", "2024-03-22 17:12:31"),
        (ops.AttachFile(assistant_id="a", file_id="f"), "gmt_created", "2024-03-22 17:12:31"),
        (ops.AttachFile(assistant_id="a", file_id="f"), "gmt_modified", "2024-03-22 17:12:31"),
        (RETRIEVE, "status_code", 200),
        (RETRIEVE, "code", ""),
        (RETRIEVE, "message", ""),
        (RETRIEVE, "message", "ignored"),
    ],
)
def test_words_that_only_tables_have_can_be_read(
    operation: Operation[Any], word: str, value: Any
) -> None:
    """What no body ever had under that name is kept in `extra`, and makes no error (§3.1, §7.2)."""
    body = {"id": "x", "data": [], word: value}
    response = Response(status=200, body=json.dumps(body).encode())
    assert DashScopeProvider().error(operation, response) is None

    assert DashScopeProvider().decode(operation, response).extra[word] == value


async def test_a_failed_call_has_code_and_message(server: LocalServer, client: DashScope) -> None:
    """`code`, `message` and the status tell of a failure; only the status is not in the body."""
    status, body = await http(server, "GET", "/assistants/asst_none")
    with pytest.raises(NotFound) as caught:
        await client.assistants.retrieve("asst_none")

    error = caught.value
    assert body.keys() == {"code", "message", "request_id"}
    assert (error.status, error.code, error.message) == (status, body["code"], body["message"])
    assert (status, body["code"]) == (400, "InvalidParameter")
    assert body["message"] == "The specified assistant has been deleted or does not exist."
    assert error.request_id


async def test_the_local_server_answers_as_the_samples(server: LocalServer) -> None:
    """Its objects have the fields of the samples in that order, `file_ids` always among them."""
    _, created = await http(server, "POST", "/assistants", INTELLIGENT)
    path = f"/assistants/{created['id']}"
    _, read = await http(server, "GET", path)
    _, listed = await http(server, "GET", "/assistants?limit=2&order=desc")
    _, updated = await http(server, "POST", path, SEARCHER)
    _, deleted = await http(server, "DELETE", path)

    whole_object = {"file_ids": [], **CREATED}
    for answer, changes in ((created, {}), (read, {}), (updated, SEARCHER)):
        own = {name: answer[name] for name in ("id", "created_at", "request_id")}
        assert answer == {**whole_object, **changes, **own}
        assert [name for name in answer if name != "file_ids"] == list(CREATED)
        assert isinstance(own["created_at"], int)
        assert len(str(own["created_at"])) == 13
        assert own["id"] == created["id"]
    assert list(listed) == ["object", "data", "first_id", "last_id", "has_more", "request_id"]
    assert {**listed["data"][0], "request_id": read["request_id"]} == read
    assert "request_id" not in listed["data"][0]
    assert deleted == {
        "id": created["id"], "object": "assistant.deleted", "deleted": True,
        "request_id": deleted["request_id"],
    }  # fmt: skip


# --- all fields of all bodies (dashscope.md §2, §2.2 to §2.4) ---

PLUGIN = PluginTool("quark_search")
MESSAGE: dict[str, Any] = {
    "role": "assistant", "content": "天气", "file_ids": ["f"], "metadata": {"k": "v"},
}  # fmt: skip
ASSISTANT: dict[str, Any] = {
    "model": "m", "name": "n", "description": "d", "instructions": "i",
    "tools": [{"type": "quark_search"}], "file_ids": ["f"], "metadata": {"k": "v"},
    "temperature": 0.5, "top_p": 0.6, "top_k": 7, "max_tokens": 8,
}  # fmt: skip
RUN: dict[str, Any] = {
    "assistant_id": "a", "model": "m", "instructions": "i", "additional_instructions": "j",
    "tools": [{"type": "quark_search"}], "metadata": {"k": "v"}, "temperature": 0.5,
    "top_p": 0.6, "top_k": 7, "max_tokens": 8,
    "truncation_strategy": {"type": "last_messages", "last_messages": 9},
    "additional_messages": [MESSAGE], "max_prompt_tokens": 10, "max_completion_tokens": 11,
    "tool_choice": "auto", "response_format": "json_object", "parallel_tool_calls": True,
}  # fmt: skip
THREAD: dict[str, Any] = {"messages": [MESSAGE], "metadata": {"t": "v"}}
METADATA: dict[str, Any] = {"metadata": {"k": "v"}}
RUN_GIVEN: Any = {
    **{key: value for key, value in RUN.items() if key != "tools"},
    "override_tools": [PLUGIN], "truncation_strategy": TruncationStrategy(last_messages=9),
}  # fmt: skip
ASSISTANT_GIVEN: Any = {**ASSISTANT, "tools": [PLUGIN]}
OF_RUN: dict[str, Any] = {"thread_id": "t", "run_id": "r"}
GIVEN: Any = MESSAGE
THREAD_GIVEN: Any = THREAD
BODIES: dict[str, tuple[Operation[Any], dict[str, Any]]] = {
    "A1": (ops.CreateAssistant(params=ASSISTANT_GIVEN), ASSISTANT),
    "A4": (ops.UpdateAssistant(assistant_id="a", params=ASSISTANT_GIVEN), ASSISTANT),
    "AF1": (ops.AttachFile(assistant_id="a", file_id="f"), {"file_id": "f"}),
    "T1": (ops.CreateThread(params=THREAD_GIVEN), THREAD),
    "T3": (ops.UpdateThread(thread_id="t", params={"metadata": {"k": "v"}}), METADATA),
    "M1": (ops.CreateMessage(thread_id="t", params=GIVEN), MESSAGE),
    "M4": (
        ops.UpdateMessage(thread_id="t", message_id="m", params={"metadata": {"k": "v"}}),
        METADATA,
    ),
    "R1": (
        ops.CreateRun(thread_id="t", params=RUN_GIVEN, stream=True), {**RUN, "stream": True},
    ),
    "R2": (
        ops.CreateThreadAndRun(params=RUN_GIVEN, thread=THREAD_GIVEN, stream=True),
        {**RUN, "thread": THREAD, "stream": True},
    ),
    "R5": (ops.UpdateRun(**OF_RUN, params={"metadata": {"k": "v"}}), METADATA),
    "R6": (
        ops.SubmitOutputs(
            **OF_RUN, tool_outputs=(ToolOutput(output="o", tool_call_id="c"),), stream=True
        ),
        {"tool_outputs": [{"tool_call_id": "c", "output": "o"}], "stream": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("operation", "body"), BODIES.values(), ids=BODIES)
def test_every_field_of_a_body_has_its_name_on_the_wire(
    operation: Operation[Any], body: dict[str, Any]
) -> None:
    """The client writes, and the local server reads, each field of §2 by the name it has there."""
    request = routes.encode(operation)
    assert json.loads(request.body or b"") == body

    sent = json.dumps(body).encode()
    assert DashScopeService().parse(request.method, request.path, {}, sent) == operation


@pytest.mark.parametrize("new", [False, True])
async def test_a_run_keeps_every_field_it_was_given(
    client: DashScope, assistant_id: str, new: bool
) -> None:
    """On a thread or with one, the run that is read back shows all of §2.2 that a run has."""
    runs = client.threads.runs
    given = {**RUN_GIVEN, "assistant_id": assistant_id}
    if new:
        begun = await client.threads.create_and_run(**given, thread=THREAD_GIVEN)
    else:
        thread = await client.threads.create(**THREAD)
        begun = await runs.create(thread.id, **given)
    run = await runs.retrieve(begun.thread_id or "", begun.id)

    same = set(RUN) - {
        "additional_instructions", "additional_messages", "instructions", "tools",
        "truncation_strategy", "parallel_tool_calls", "assistant_id",
    }  # fmt: skip
    assert {name: getattr(run, name) for name in same} == {name: RUN[name] for name in same}
    assert (run.assistant_id, run.instructions, run.tools) == (assistant_id, "i\nj", (PLUGIN,))
    assert run.truncation_strategy == TruncationStrategy(last_messages=9)
    thread = await client.threads.retrieve(run.thread_id or "")
    assert thread.metadata == {"t": "v"}
    messages = (await client.threads.messages.list(thread.id, order="asc")).data[:2]
    assert [(m.text, m.role, m.file_ids, m.metadata) for m in messages] == [
        ("天气", "assistant", ("f",), {"k": "v"})
    ] * 2


# --- all parameters of all lists (dashscope.md §2) ---

LISTS: dict[str, tuple[type[Operation[Any]], dict[str, str], str]] = {
    "A2": (ops.ListAssistants, {}, "/assistants"),
    "AF2": (ops.ListAssistantFiles, {"assistant_id": "a"}, "/assistants/a/files"),
    "M2": (ops.ListMessages, {"thread_id": "t"}, "/threads/t/messages"),
    "MF1": (
        ops.ListMessageFiles, {"thread_id": "t", "message_id": "m"},
        "/threads/t/messages/m/files",
    ),
    "R3": (ops.ListRuns, {"thread_id": "t"}, "/threads/t/runs"),
    "RS1": (ops.ListSteps, OF_RUN, "/threads/t/runs/r/steps"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "wire"),
    [
        ({"page_size": 5}, {"limit": "5"}),
        ({"order": "asc"}, {"order": "asc"}),
        ({"after": "x"}, {"after": "x"}),
        ({"before": "x"}, {"before": "x"}),
    ],
    ids=["limit", "order", "after", "before"],
)
@pytest.mark.parametrize(("kind", "ids", "path"), LISTS.values(), ids=LISTS)
def test_every_list_has_every_parameter(
    kind: Any, ids: dict[str, str], path: str, ours: dict[str, Any], wire: dict[str, str]
) -> None:
    """The client writes, and the local server reads, each by its name on the wire."""
    operation = kind(**ids, page=ours)
    request = routes.encode(operation)

    assert (request.method, request.path, request.query) == ("GET", path, wire)
    assert DashScopeService().parse("GET", path, wire, b"") == operation


PLUGINS = """
/plugin a {"input": 1} {"output": 2}
/plugin b {"input": 1} {"output": 2}
/say x
"""


async def three(client: DashScope, name: str) -> tuple[Any, list[str], list[str]]:
    """A list's method, the ids it takes, and the ids of the three things in it, oldest first."""
    assistants, threads = client.assistants, client.threads
    if name == "A2":
        made = [(await assistants.create(model="m")).id for _ in range(3)]
        return assistants.list, [], made
    owner = (await assistants.create(model="m", file_ids=["f1", "f2", "f3"])).id
    if name == "AF2":
        return assistants.files.list, [owner], ["f1", "f2", "f3"]
    thread = (await threads.create()).id
    if name == "M2":
        made = [(await threads.messages.create(thread, "x")).id for _ in range(3)]
        return threads.messages.list, [thread], made
    if name == "MF1":
        message = await threads.messages.create(thread, "x", file_ids=["f1", "f2", "f3"])
        return threads.messages.files.list, [thread, message.id], ["f1", "f2", "f3"]
    made = []
    for _ in range(3):
        result = await client.ask(PLUGINS, assistant_id=owner, thread_id=thread)
        made.append(result.run.id)
    if name == "R3":
        return threads.runs.list, [thread], made
    return threads.runs.steps.list, [thread, made[0]], await steps_of(client, thread, made[0])


async def steps_of(client: DashScope, thread_id: str, run_id: str) -> list[str]:
    """A run's steps, in the order in which they were done."""
    found = [step async for step in client.threads.runs.steps.list(thread_id, run_id)]
    plugins = {
        call.type: step.id
        for step in found
        if step.step_details is not None
        for call in step.step_details.tool_calls
    }
    (said,) = (step.id for step in found if step.type == "message_creation")
    return [plugins["a"], plugins["b"], said]


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_of_the_local_server_heeds_its_parameters(
    client: DashScope, name: str
) -> None:
    """Newest first unless told; `limit`, `after` and `before` go by the order of the list."""
    method, ids, made = await three(client, name)

    async def shown(**page: Any) -> list[str]:
        return [item.id for item in (await method(*ids, **page)).data]

    assert await shown() == await shown(order="desc") == made[::-1]
    assert await shown(order="asc") == made
    assert await shown(order="asc", after=made[0]) == made[1:]
    assert await shown(order="asc", before=made[2]) == made[:2]
    assert await shown(after=made[2]) == [made[1], made[0]]
    assert await shown(before=made[0]) == [made[2], made[1]]
    assert await shown(before=made[0], page_size=1) == [made[1]]
    first = await method(*ids, page_size=2)
    assert [item.id for item in first.data] == [made[2], made[1]]
    assert (first.has_more, first.first_id, first.last_id) == (True, made[2], made[1])
    assert (await method(*ids, page_size=2, after=made[1])).has_more is False


async def test_a_page_of_the_local_server_has_twenty_where_no_limit_is_given(
    client: DashScope,
) -> None:
    """No default is documented; twenty is what the examples of the documents use (§2)."""
    thread = await client.threads.create(messages=[{"content": str(n)} for n in range(21)])
    page = await client.threads.messages.list(thread.id)

    assert (len(page.data), page.has_more) == (20, True)
    assert (page.data[0].text, page.data[-1].text) == ("20", "1")


@pytest.mark.parametrize(
    "operation", [ops.ListAssistants(), ops.ListAssistantFiles(assistant_id="a")]
)
def test_the_tables_word_for_more_is_heeded(operation: Operation[Any]) -> None:
    """No body was seen with it (§7.2); a list that had it would else end in silence."""
    body = b'{"data": [{"id": "x"}], "his_more": true}'
    page = DashScopeProvider().decode(operation, Response(status=200, body=body))

    assert page.has_more
