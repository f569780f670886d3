"""The vendor's document "Assistant SDK API说明": what the local server does when it is asked so."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from aiodashassist import (
    AppBuilder,
    BadRequest,
    InvalidArgument,
    MessageDelta,
    RunEvent,
    ToolOutput,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.models import (
    Run,
)
from aiodashassist.providers.appbuilder import routes
from aiodashassist.server import LocalServer
from tests.providers.appbuilder.seed_document import (
    ANSWERS,
    ASSISTANTS,
    DECLARED,
    METHODS,
    NO_TEXTS,
    RUN,
    THREADS,
    TOLD,
    Field,
    make,
    of_one,
    sent,
)


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[AppBuilder]:
    """A client of the fresh local server."""
    async with server.client(AppBuilder) as made:
        yield made


WORLD = ("asst_x", "file_x", "thread_x", "msg_x", "thread_w", "run_x", "call_x")
SHOWN: dict[str, str] = {
    "assistants.create": "AssistantCreateResponse",
    "assistants.update": "AssistantUpdateResponse",
    "assistants.list": "AssistantListResponse",
    "assistants.query": "AssistantQueryResponse",
    "assistants.delete": "AssistantDeleteResponse",
    "assistants.mount_files": "AssistantFilesResponse",
    "assistants.mounted_files_list": "AssistantMountedFilesListResponse",
    "assistants.unmount_files": "AssistantFilesDeleteResponse, unmounted",
    "files.list": "AssistantFilesListResponse",
    "files.query": "AssistantFilesQueryResponse",
    "files.delete": "AssistantFilesDeleteResponse",
    "threads.create": "ThreadCreateResponse",
    "threads.query": "ThreadQueryResponse",
    "threads.delete": "ThreadDeleteResponse",
    "threads.update": "ThreadUpdateResponse",
    "messages.create": "AssistantMessageCreateResponse",
    "messages.list": "AssistantMessageListResponse",
    "messages.query": "AssistantMessageQueryResponse",
    "messages.update": "AssistantMessageUpdateResponse",
    "messages.files": "AssistantMessageFilesResponse",
    "runs.run": "RunResult, run",
    "runs.run, new thread": "RunResult, run",
    "runs.submit_tool_outputs": "RunResult, submit_tool_outputs",
    "runs.cancel": "RunResult, cancel",
}


async def world(client: AppBuilder) -> dict[str, str]:
    """One of each object: an assistant and a message with a file, a run that waits for a call."""
    kept = (await client.files.create(b"x", filename="a.txt")).id
    made = (await client.assistants.create(model="m", name="n", file_ids=[kept])).id
    threads = client.threads
    thread = (await threads.create()).id
    message = (await threads.messages.create(thread, "hi", file_ids=[kept])).id
    run = await threads.create_and_run(
        assistant_id=made, thread={"messages": [{"content": '/call f {"a": 1}'}]}
    )
    ids = (kept, thread, message, run.thread_id or "", run.id, run.tool_calls[0].id)
    return dict(zip(WORLD, (made, *ids), strict=True))


async def http(server: LocalServer, path: str, body: Any) -> Any:
    """The JSON of an answer; it has status 200 and names its request."""
    headers = {"Authorization": "Bearer local"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.appbuilder_url + path, json=body) as answer,
    ):
        assert (answer.status, bool(answer.headers["X-Appbuilder-Request-Id"])) == (200, True)
        return await answer.json()


@pytest.mark.parametrize("name", SHOWN)
async def test_the_local_server_does_what_a_method_says(
    server: LocalServer, client: AppBuilder, name: str
) -> None:
    """Asked with all of its parameters, it answers with the class, and with what was given."""
    row = METHODS[name]
    left = ("after", "before", "tool_output")
    text = json.dumps({key: value for key, value in row.body.items() if key not in left})
    for kind, known in (await world(client)).items():
        text = text.replace(f'"{kind}"', f'"{known}"')
    body = json.loads(text)
    answer = await http(server, row.path, body)

    shown = ANSWERS[SHOWN[name]].fields
    wanted = TOLD.get(SHOWN[name], shown)
    assert answer.keys() >= wanted.keys()
    if "data" in answer:
        assert answer["object"] == "list"
        (wire,), (item, *_) = shown["data"].wire, answer["data"]
        assert item.keys() >= wire.keys()
        own = item.keys() & ({"assistant_id", "message_id", "thread_id"} & body.keys())
        assert {key: item[key] for key in own} == {key: body[key] for key in own}
        return
    assert answer["object"] == shown.get("object", Field("assistant", "", "")).wire
    if answer.get("deleted"):
        assert answer["id"] in body.values()
    given = body.keys() & shown.keys() & answer.keys() - {"content"}
    assert {key: answer[key] for key in given} == {key: body[key] for key in given}
    if "content" in answer:
        said = {"value": body.get("content", "hi"), "annotations": []}
        assert answer["content"] == [{"type": "text", "text": said}]


@pytest.mark.parametrize("part", [*RUN, "thread_id"])
@pytest.mark.parametrize("name", ["runs.run", "runs.stream_run"])
async def test_a_run_shows_what_it_was_given(
    server: LocalServer, client: AppBuilder, name: str, part: str
) -> None:
    """It tells little of it, and that when it is read (§3.9); sampling and users change nothing."""
    known = await world(client)
    given, _ = of_one(name, part) if part in RUN else (METHODS[name].needed, {})
    given = {**given, "assistant_id": known["asst_x"], "thread_id": known["thread_x"]}
    made = await make(client, METHODS[name], given)
    run_id = made.id if isinstance(made, Run) else made[-1].run.id

    ids = {"thread_id": known["thread_x"], "run_id": run_id}
    told = await http(server, THREADS + "/runs/query", ids)
    kept = server.store.get("", Run, run_id, known["thread_x"])
    if part in ("model", "thread_id", *NO_TEXTS):
        assert told[part] == given[part]
    elif part == "tools":
        assert (told["tools"], kept.tools) == ([], (DECLARED,))
    elif part in ("metadata", "response_format"):
        assert getattr(kept, part) == given[part]
    assert (told["status"], told["object"]) == ("completed", "thread.run")


@pytest.mark.parametrize("name", [n for n, row in METHODS.items() if "limit" in row.parameters])
async def test_a_list_of_the_local_server_heeds_its_parameters(
    server: LocalServer, client: AppBuilder, name: str
) -> None:
    """Newest first unless told; `limit`, `after` and `before` go by the order of the list."""
    known = await world(client)
    path, always = METHODS[name].path, METHODS[name].needed
    kept = [known["file_x"], *[(await client.files.create(b"x")).id for _ in range(2)]]
    assistants, messages = client.assistants, client.threads.messages
    made = kept
    if name == "assistants.list":
        new = [(await assistants.create(model="m", name="n")).id for _ in range(2)]
        made = [known["asst_x"], *new]
    elif name == "assistants.mounted_files_list":
        for file in kept[1:]:
            await assistants.files.create(known["asst_x"], file)
    elif name == "messages.list":
        new = [(await messages.create(known["thread_x"], "x")).id for _ in range(2)]
        made = [known["msg_x"], *new]
    else:
        await messages.update(known["thread_x"], known["msg_x"], content="x", file_ids=kept)

    async def shown(**page: Any) -> list[str]:
        body = {**{key: known[value] for key, value in always.items()}, **page}
        return [item["id"] for item in (await http(server, path, body))["data"]]

    assert await shown() == await shown(order="desc", limit=20) == made[::-1]
    assert await shown(after="", before="") == made[::-1]
    assert await shown(order="asc") == made
    assert await shown(limit=1) == made[2:]
    assert await shown(order="asc", after=made[0]) == made[1:]
    assert await shown(order="asc", before=made[2]) == made[:2]
    assert await shown(after=made[2]) == [made[1], made[0]]
    assert await shown(before=made[0], limit=1) == [made[1]]


# --- runs ---

CALLS = """
/call f {"a": 1}
/then
/call g {}
/say 好的 that is done now
"""


async def test_a_run_is_answered_when_it_rests(server: LocalServer, client: AppBuilder) -> None:
    """runs.run: it waits, goes on with a `tool_output`, call by call, and has its answer (§5.6)."""
    known = await world(client)
    made = {"assistant_id": known["asst_x"], "thread": {"messages": [{"content": CALLS}]}}
    told = await http(server, THREADS + "/runs", made)
    ids = {"assistant_id": known["asst_x"], "thread_id": told["thread_id"]}
    first = told["id"]
    for name, arguments in (("f", '{"a": 1}'), ("g", "{}")):
        assert (told["object"], told["status"]) == ("run.result", "requires_action")
        assert told["final_answer"] is told["last_error"] is None
        (call,) = told["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert call["function"] == {"name": name, "arguments": arguments}
        output = {"tool_call_id": call["id"], "output": "o", "run_id": first}
        told = await http(server, THREADS + "/runs", {**ids, "tool_output": output})

    assert (told["id"], told["status"], told["required_action"]) == (first, "completed", None)
    said = told["final_answer"]["message"]
    assert (told["final_answer"]["type"], said["message_id"][:8]) == ("message", "message_")
    (content,) = said["content"]
    assert content["text"]["value"] == "好的 that is done now"
    assert told["completed_at"] >= told["started_at"] >= told["created_at"] > 0
    assert told["expired_at"] == told["cancelled_at"] == told["failed_at"] == 0


async def test_our_run_goes_on_with_an_output(client: AppBuilder) -> None:
    """The same by our methods: `tool_output` goes on with the run, `final_answer` is its end."""
    known = await world(client)
    runs, thread = client.threads.runs, known["thread_w"]
    waiting = await runs.retrieve(thread, known["run_x"])
    assert (waiting.status, waiting.final_answer) == ("requires_action", None)
    output = ToolOutput(tool_call_id=waiting.tool_calls[0].id, output="晴", run_id=waiting.id)
    run = await runs.create(thread, assistant_id=known["asst_x"], tool_output=output)

    assert (run.id, run.object, run.status) == (waiting.id, "run.result", "completed")
    assert run.final_answer is not None
    assert run.final_answer.text == "f -> 晴"
    assert run.required_action is None


STATUS = {"status", "send_id", "message", "event_type", "details"}
CHUNK = {"status", "send_id", "is_end", "message_id", "message_index", "content"}


async def test_a_stream_is_of_statuses_and_messages(
    server: LocalServer, client: AppBuilder
) -> None:
    """runs.stream_run: StreamRunStatus and StreamRunMessage, each with its fields (§5.3)."""
    known = await world(client)
    body = {"assistant_id": known["asst_x"], "thread_id": known["thread_x"]}
    told = [frame async for frame in raw_stream(server, body)]

    assert {name: body.keys() for name, body in told} == {"status": STATUS, "message": CHUNK}
    assert [body["send_id"] for _, body in told] == list(range(1, len(told) + 1))
    assert [body["event_type"] for name, body in told if name == "status"] == [
        "run_begin", "tool_step_begin", "message_creation", "tool_step_end", "run_end",
    ]  # fmt: skip


async def test_our_stream_is_of_statuses_and_messages(client: AppBuilder) -> None:
    """Statuses are events of the run, its steps and messages; messages are deltas of text."""
    known = await world(client)
    async with client.threads.runs.stream(
        known["thread_x"], assistant_id=known["asst_x"]
    ) as stream:
        events = [event async for event in stream]

    assert [e.status for e in events if isinstance(e, RunEvent)] == ["queued", "completed"]
    assert "".join(e.text for e in events if isinstance(e, MessageDelta)) == "hi"


async def raw_stream(server: LocalServer, body: Any) -> AsyncIterator[tuple[str, Any]]:
    """The frames of a stream as they come: name and data."""
    headers = {"Authorization": "Bearer local"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.url + THREADS + "/runs", json={**body, "stream": True}) as answer,
    ):
        name = ""
        async for line in answer.content:
            field, _, value = line.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


async def test_outputs_are_submitted_beside_the_stream(
    server: LocalServer, client: AppBuilder
) -> None:
    """runs.submit_tool_outputs: answered by the run, while its stream goes on (§5.5)."""
    body = {"assistant_id": (await world(client))["asst_x"]}
    seen = []
    async for _, told in raw_stream(server, {**body, "thread": {"messages": [{"content": CALLS}]}}):
        details = told.get("details", {})
        if told.get("event_type") == "run_begin":
            run = details["run_object"]
        if told.get("event_type") == "tool_calls":
            outputs = [ToolOutput(tool_call_id=c["id"], output="o") for c in details["tool_calls"]]
            answered = await client.threads.runs.submit_tool_outputs(
                run["thread_id"], run["id"], tool_outputs=outputs
            )
            assert (answered.id, answered.object) == (run["id"], "run.result")
            assert answered.status in ("queued", "in_progress")
        seen.append(told.get("event_type", "text"))

    asked = ["tool_step_begin", "tool_calls", "tool_submitted_output", "tool_step_end"]
    assert seen[:9] == ["run_begin", *asked, *asked]
    assert "text" in seen
    assert (seen.count("tool_calls"), seen[-1], told["status"]) == (2, "run_end", "completed")


async def test_a_stream_is_broken_off_by_a_cancellation(
    server: LocalServer, client: AppBuilder
) -> None:
    """runs.cancel: the run's stream ends, with that status; once more is no error (§5.7)."""
    body = {"assistant_id": (await world(client))["asst_x"]}
    seen, answers = [], []
    async for _, told in raw_stream(server, {**body, "thread": {"messages": [{"content": CALLS}]}}):
        if told.get("event_type") == "run_begin":
            run = told["details"]["run_object"]
        elif told["status"] != "in_progress":
            answers.append(await client.threads.runs.cancel(run["thread_id"], run["id"]))
        seen.append(told["event_type"])

    assert seen[:4] == ["run_begin", "tool_step_begin", "tool_calls", "run_cancelling"]
    assert {(a.id, a.status, a.object) for a in answers} == {(run["id"], "cancelled", "run.result")}
    assert (seen[-1], told["status"]) == ("run_end", "cancelled")
    ended = told["details"]["run_object"]
    assert answers[-1].cancelled_at == ended["cancelled_at"] > 0
    assert (answers[-1].completed_at, ended["completed_at"]) == (None, 0)


async def refused(server: LocalServer, path: str, body: Any) -> str:
    """The code of the error that an answer with status 200 is (§6.1)."""
    error = (await http(server, path, body))["error"]
    assert error.keys() == {"code", "message", "type", "param"}
    return str(error["code"])


@pytest.mark.parametrize("thread", [None, {}, {"messages": []}], ids=["none", "empty", "silent"])
async def test_a_run_needs_a_thread(server: LocalServer, client: AppBuilder, thread: Any) -> None:
    """runs.run, "Raises ValueError": thread_id and thread cannot both be empty."""
    with pytest.raises(ValueError, match="thread"):
        await client.threads.create_and_run(assistant_id="asst_x", thread=thread)

    body = {"assistant_id": (await world(client))["asst_x"], "thread_id": "", "thread": thread}
    assert await refused(server, THREADS + "/runs", body) == "invalid_parameter"


async def test_the_last_message_is_the_users(server: LocalServer, client: AppBuilder) -> None:
    """Notes 2 and 3 of runs.run: the thread's history alone, or with the messages of the run."""
    known = await world(client)
    runs, ids = client.threads.runs, {"assistant_id": known["asst_x"]}
    thread = known["thread_x"]
    await runs.create(thread, **ids)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="last message"):
        await runs.create(thread, **ids)  # type: ignore[arg-type]
    again = await runs.create(
        thread, assistant_id=known["asst_x"], additional_messages=[{"content": "又"}]
    )
    assert again.final_answer is not None
    assert again.final_answer.text == "又"

    told = {"messages": [{"role": "assistant", "content": "x"}]}
    body = {**ids, "thread_id": thread, "thread": told}
    assert await refused(server, THREADS + "/runs", body) == "invalid_parameter"


async def test_a_message_is_the_users(server: LocalServer, client: AppBuilder) -> None:
    """The document lets `role` be assistant, the service does not (§7 #10); the client sends it."""
    known = await world(client)
    given = {"thread_id": "thread_x", "content": "x", "role": "assistant"}
    assert await sent(METHODS["messages.create"], given) == given

    body = {**given, "thread_id": known["thread_x"]}
    assert await refused(server, THREADS + "/messages", body) == "invalid_parameter"
    assert await refused(server, THREADS, {"messages": [given]}) == "invalid_parameter"


async def test_outputs_are_at_least_one(server: LocalServer, client: AppBuilder) -> None:
    """AssistantSubmitToolOutputsRequest: the list and the ids in it have a least length of 1."""
    with pytest.raises(InvalidArgument, match="tool_outputs"):
        await client.threads.runs.submit_tool_outputs("t", "r", tool_outputs=[])

    known = await world(client)
    ids = {"thread_id": known["thread_w"], "run_id": known["run_x"]}
    wrong: list[dict[str, Any]] = [{}, {"tool_outputs": []}, {"tool_outputs": None}]
    for outputs in wrong:
        path = THREADS + "/runs/submit_tool_outputs"
        assert await refused(server, path, {**ids, **outputs}) == "invalid_parameter"


@pytest.mark.parametrize("name", ["runs.submit_tool_outputs", "runs.cancel"])
@pytest.mark.parametrize("part", ["thread_id", "run_id"])
@pytest.mark.parametrize("value", ["", None], ids=["empty", "null"])
async def test_an_id_has_a_least_length(
    server: LocalServer, name: str, part: str, value: Any
) -> None:
    """AssistantSubmitToolOutputsRequest and AssistantRunCancelRequest: 1; no id is no call."""
    row = METHODS[name]

    assert await refused(server, row.path, {**row.body, part: value}) == "invalid_parameter"


async def test_a_name_may_be_missing_on_the_wire(server: LocalServer) -> None:
    """The client wants one, as the SDK; the HTTP document does not (§7 #11)."""
    with pytest.raises(InvalidArgument, match="name"):
        routes.encode(ops.CreateAssistant(params={"model": "m"}))

    made = await http(server, ASSISTANTS, {"model": "m"})
    nothing = dict.fromkeys(("name", "description", *NO_TEXTS), "")
    assert {name: made[name] for name in nothing} == nothing
    assert (made["response_format"], made["tools"], made["file_ids"]) == ("text", [], [])
    assert made["metadata"] is None  # where none was ever set (§3.1)
