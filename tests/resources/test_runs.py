"""`client.threads.runs` and its steps: what is sent, exactly."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from aiodashassist import (
    CallInfo,
    DashScope,
    DecodeError,
    InvalidArgument,
    NotFound,
    PluginTool,
    RagTool,
    Run,
    ServerError,
    Timeouts,
    ToolOutput,
    Toolset,
    TotalTimeout,
    TransportError,
    TruncationStrategy,
    UnsupportedParameter,
    UserAuth,
    tool,
)
from aiodashassist.server import LocalServer
from tests import virtual_time
from tests.raw_server import RawServer, Received, Writer, whole
from tests.resources.pinned import pinned

ANSWER = {"id": "run_1", "thread_id": "t", "assistant_id": "a", "status": "in_progress"}
STEP = {"id": "step_1", "run_id": "run_1", "type": "message_creation", "status": "completed"}


@tool
async def get_time() -> str:
    """The time."""
    return "12:00"


async def test_create_sends_every_parameter_of_the_wire() -> None:
    """All of dashscope.md §2.2 has its place; `override_tools` is the wire's `tools`."""
    run = await pinned(
        lambda client: client.threads.runs.create(
            "t",
            assistant_id="a",
            model="qwen-max",
            instructions="",
            additional_instructions="more",
            additional_messages=[{"role": "user", "content": "x"}],
            override_tools=[get_time, PluginTool("calculator")],
            metadata={"k": "v"},
            temperature=0,
            top_p=1,
            top_k=0,
            max_tokens=1,
            max_prompt_tokens=2,
            max_completion_tokens=3,
            truncation_strategy=TruncationStrategy(last_messages=5),
            tool_choice="auto",
            parallel_tool_calls=False,
            response_format="json_object",
        ),
        "POST",
        "/threads/t/runs",
        body={
            "assistant_id": "a",
            "model": "qwen-max",
            "instructions": "",
            "additional_instructions": "more",
            "additional_messages": [{"role": "user", "content": "x"}],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "get_time",
                        "description": "The time.",
                        "parameters": {
                            "type": "object",
                            "properties": {},
                            "required": [],
                            "additionalProperties": False,
                        },
                    },
                },
                {"type": "calculator"},
            ],
            "metadata": {"k": "v"},
            "temperature": 0,
            "top_p": 1,
            "top_k": 0,
            "max_tokens": 1,
            "max_prompt_tokens": 2,
            "max_completion_tokens": 3,
            "truncation_strategy": {"type": "last_messages", "last_messages": 5},
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "response_format": "json_object",
            "stream": False,
        },
        answer=ANSWER,
    )

    assert (run.id, run.status, run.is_terminal) == ("run_1", "in_progress", False)


async def test_submit_sends_all_outputs_with_the_wires_ids() -> None:
    """All outputs travel in one request; empty ids travel as they are."""
    await pinned(
        lambda client: client.threads.runs.submit_tool_outputs(
            "t",
            "run_1",
            tool_outputs=[ToolOutput(output="1"), ToolOutput(tool_call_id="c", output="二")],
        ),
        "POST",
        "/threads/t/runs/run_1/submit_tool_outputs",
        body={
            "tool_outputs": [
                {"output": "1", "tool_call_id": ""},
                {"output": "二", "tool_call_id": "c"},
            ],
            "stream": False,
        },
        answer=ANSWER,
    )


async def test_retrieve_update_and_cancel_name_the_run() -> None:
    """The ids are in the path; cancelling has no body (§2.1)."""
    path = "/threads/t/runs/run_1"
    await pinned(lambda c: c.threads.runs.retrieve("t", "run_1"), "GET", path, answer=ANSWER)
    await pinned(
        lambda c: c.threads.runs.update("t", "run_1", metadata={"k": "v"}), "POST", path,
        body={"metadata": {"k": "v"}}, answer=ANSWER,
    )  # fmt: skip
    await pinned(
        lambda c: c.threads.runs.update("t", "run_1"), "POST", path, body={}, answer=ANSWER
    )
    await pinned(
        lambda c: c.threads.runs.cancel("t", "run_1"), "POST", path + "/cancel", answer=ANSWER
    )


async def test_runs_and_steps_are_listed_and_read() -> None:
    """Lists take pages; a step is named by thread, run and its own id."""

    async def runs(client: DashScope) -> Any:
        return await client.threads.runs.list("t", page_size=100)

    async def steps(client: DashScope) -> Any:
        return await client.threads.runs.steps.list("t", "run_1", order="desc")

    answer = {"data": [ANSWER], "has_more": False}
    page = await pinned(runs, "GET", "/threads/t/runs?limit=100", answer=answer)
    assert page.data[0].id == "run_1"
    path = "/threads/t/runs/run_1/steps"
    page = await pinned(steps, "GET", path + "?order=desc", answer={"data": [STEP]})
    assert page.data[0].type == "message_creation"
    step = await pinned(
        lambda c: c.threads.runs.steps.retrieve("t", "run_1", "step_1"),
        "GET",
        path + "/step_1",
        answer=STEP,
    )
    assert step.status == "completed"


@pytest.mark.parametrize(
    "params",
    [
        {"thought_instructions": "x"},
        {"chat_instructions": ""},
        {"model_parameters": {}},
        {"user_info": {}},
        {"user_loc": {}},
    ],
)
async def test_the_other_providers_parameters_are_refused(params: Any) -> None:
    """What DashScope has no place for is UnsupportedParameter before anything is sent."""
    async with DashScope("sk-x") as client:
        with pytest.raises(UnsupportedParameter, match=next(iter(params))):
            await client.threads.runs.create("t", assistant_id="a", **params)


async def test_outputs_must_be_a_list() -> None:
    """What is no list is InvalidArgument."""
    outputs: Any = 5
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="tool_outputs"):
            await client.threads.runs.submit_tool_outputs("t", "r", tool_outputs=outputs)


async def test_a_run_needs_an_assistant() -> None:
    """An empty assistant id is InvalidArgument."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="assistant_id"):
            await client.threads.runs.create("t", assistant_id="")


@pytest.mark.parametrize("stream", [True, False])
async def test_handlers_belong_to_streams(stream: bool) -> None:
    """`tools=` of a run without a stream is refused, with what to write instead."""
    options: Any = {"assistant_id": "a", "tools": [get_time]}
    async with DashScope("sk-x") as client:
        if stream:
            client.threads.runs.stream("t", **options)
            client.threads.create_and_stream(**options)
            return
        with pytest.raises(UnsupportedParameter, match="override_tools"):
            await client.threads.runs.create("t", **options)
        with pytest.raises(UnsupportedParameter, match="override_tools"):
            await client.threads.create_and_run(**options)
        with pytest.raises(UnsupportedParameter, match="max_rounds"):
            await client.threads.runs.create("t", assistant_id="a", max_rounds=1)  # type: ignore[call-arg]


JAVA: dict[str, Any] = {
    "max_prompt_tokens": 7,
    "max_completion_tokens": 8,
    "tool_choice": {"type": "function"},
    "response_format": "json_object",
}


async def test_what_only_javas_sdk_sends_is_taken_and_shown(
    client: DashScope, assistant_id: str
) -> None:
    """The local server keeps those parameters (dashscope.md §2.2) and shows them in the run."""
    added: Any = [{"role": "user", "content": "/say added"}]
    thread = await client.threads.create(messages=[{"role": "user", "content": "/say first"}])
    run = await client.threads.runs.create(
        thread.id,
        assistant_id=assistant_id,
        additional_messages=added,
        parallel_tool_calls=True,
        truncation_strategy=TruncationStrategy(last_messages=3),
        **JAVA,
    )
    done = await client.threads.runs.wait(thread.id, run.id)

    assert {name: getattr(done, name) for name in JAVA} == JAVA
    assert done.truncation_strategy == TruncationStrategy(last_messages=3)
    texts = [message.text async for message in client.threads.messages.list(thread.id)]
    assert texts == ["added", "/say added", "/say first"]


@pytest.mark.parametrize(
    "strategy",
    [
        TruncationStrategy(last_messages=3),
        {"type": "last_messages", "last_messages": 3},
        {"type": "last_messages", "last_messages": 3, "own": 1},
    ],
)
async def test_a_truncation_strategy_may_be_a_dict(strategy: Any) -> None:
    """It is sent as it stands."""
    sent = strategy if isinstance(strategy, dict) else {"type": "last_messages", "last_messages": 3}
    await pinned(
        lambda c: c.threads.runs.create("t", assistant_id="a", truncation_strategy=strategy),
        "POST",
        "/threads/t/runs",
        body={"assistant_id": "a", "truncation_strategy": sent, "stream": False},
        answer=ANSWER,
    )


async def test_a_truncated_thread_is_what_the_run_sees(
    client: DashScope, assistant_id: str
) -> None:
    """With one message only the newest is read: the answer and its cost are that one's."""
    said: Any = [{"role": "user", "content": "x" * 100}, {"role": "user", "content": "hi"}]
    thread = await client.threads.create(messages=said)
    strategy: Any = {"type": "last_messages", "last_messages": 1}
    for given, asked in ((strategy, 2), (None, 102)):
        run = await client.threads.runs.create(
            thread.id, assistant_id=assistant_id, truncation_strategy=given
        )
        usage = (await client.threads.runs.wait(thread.id, run.id)).usage
        assert usage is not None
        assert usage.input_tokens == asked


TOKEN = "token-0123456789"
SECRET_TOOLS = [
    PluginTool("mine", auth=UserAuth(user_token=TOKEN)),
    RagTool(prompt_ra={"pipeline_id": ["p"]}, auth=UserAuth(user_token=TOKEN)),
    {"type": "own", "auth": {"type": "user_http", "user_token": TOKEN}, "more": 1},
]


@pytest.mark.parametrize("own", SECRET_TOOLS)
async def test_a_plugins_token_is_sent_and_never_shown(
    own: Any, client: DashScope, assistant_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It travels in the body; of what comes back, no print, error or log has it."""
    sent: list[Any] = []

    async def echo(request: Received, writer: Writer) -> None:
        sent.append(json.loads(request.body))
        writer.write(whole(json.dumps({"id": "run_1", "tools": sent[-1]["tools"]}).encode()))

    caplog.set_level("DEBUG")
    async with RawServer(echo) as server, DashScope("sk-x", base_url=server.url) as other:
        run = await other.threads.runs.create("t", assistant_id="a", override_tools=[own])
    real = await client.threads.create_and_run(assistant_id=assistant_id, override_tools=[own])
    made = await client.assistants.create(model="m", tools=[own])

    assert sent[0]["tools"][0]["auth"] == {"type": "user_http", "user_token": TOKEN}
    for echoed in (run.tools[0], real.tools[0], made.tools[0]):
        auth = echoed["auth"] if isinstance(echoed, dict) else echoed.auth  # type: ignore[union-attr]
        assert isinstance(auth, UserAuth)
        assert auth.user_token == TOKEN
    assert TOKEN not in f"{run} {run!r} {real} {real!r} {made} {made.tools!r} {caplog.text}"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (get_time, ["function"]),
        (Toolset(get_time), ["function"]),
        ([Toolset(get_time), {"type": "own"}, PluginTool("p")], ["function", "own", "p"]),
        ([], []),
    ],
)
async def test_the_assistants_tools_can_be_replaced_for_a_run(
    client: DashScope, given: Any, sent: list[str]
) -> None:
    """Functions, toolsets, plugins and dicts; an empty list takes all away."""
    made = await client.assistants.create(model="m", tools=[PluginTool("calculator")])
    run = await client.threads.create_and_run(assistant_id=made.id, override_tools=given)
    usual = await client.threads.create_and_run(assistant_id=made.id)

    kinds = [one["type"] if isinstance(one, dict) else one.type for one in run.tools]
    assert kinds == sent
    assert usual.tools == (PluginTool("calculator"),)


async def test_no_tools_can_be_declared_from_nonsense(client: DashScope) -> None:
    """What is no declaration is refused before the run is asked for."""
    with pytest.raises(InvalidArgument, match="int"):
        await client.threads.runs.create("t", assistant_id="a", override_tools=[5])
    with pytest.raises(InvalidArgument, match="int"):
        client.threads.runs.stream("t", assistant_id="a", override_tools=[5])


Waiting = Callable[[DashScope, str, str], Awaitable[None]]


def waited(
    question: str, then: Waiting, *, timeouts: Timeouts | None = None, **options: Any
) -> list[CallInfo]:
    """Begin a run and do something with it, in virtual time; the requests that were sent."""
    told: list[CallInfo] = []

    async def main() -> None:
        async with (
            LocalServer(**options) as server,
            server.client(
                DashScope, timeouts=timeouts or Timeouts(), on_request=told.append
            ) as client,
        ):
            made = await client.assistants.create(model="m")
            thread = await client.threads.create(messages=[{"role": "user", "content": question}])
            run = await client.threads.runs.create(thread.id, assistant_id=made.id)
            await then(client, thread.id, run.id)

    virtual_time.run(main())
    return told


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("/wait 30\n/say x", "completed"),
        ("/wait 30\n/fail server_error no", "failed"),
        ("/wait 30\n/expire", "expired"),
        ("/wait 30\n/incomplete", "incomplete"),
        ("/wait 30\n/call f {}", "requires_action"),
        ("/say x", "completed"),
    ],
)
def test_waiting_ends_when_the_run_rests(question: str, status: str) -> None:
    """However it ended, or waits for outputs: no ending is an error; looks are few."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        run = await client.threads.runs.wait(thread_id, run_id)
        assert (run.id, run.status) == (run_id, status)

    told = waited(question, then)

    assert len([info for info in told if info.operation == "RetrieveRun"]) <= 15


@pytest.mark.parametrize("expire_after", [20])
def test_a_wait_for_a_run_that_nobody_answers_is_at_once_over(expire_after: float) -> None:
    """`requires_action` is a rest; later the run expires, and that is one as well."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        assert (await client.threads.runs.wait(thread_id, run_id)).status == "requires_action"
        await asyncio.sleep(expire_after + 1)
        assert (await client.threads.runs.wait(thread_id, run_id)).status == "expired"

    waited("/call f {}", then, expire_after=expire_after)


def test_a_cancelled_run_ends_the_waiting() -> None:
    """Whoever waits is told of it as of any ending."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        waiting = asyncio.create_task(client.threads.runs.wait(thread_id, run_id))
        await asyncio.sleep(10)
        assert not waiting.done()
        await client.threads.runs.cancel(thread_id, run_id)
        assert (await waiting).status == "cancelled"

    waited("/wait 500", then)


@pytest.mark.parametrize(("timeout", "total", "limit"), [(7, None, 7), (None, 9, 9), (7, 9, 7)])
def test_waiting_is_bounded(timeout: float | None, total: float | None, limit: float) -> None:
    """By `timeout`, else by `Timeouts.total`; the error names run, thread and limit."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TotalTimeout, match=rf"within {limit} s") as caught:
            await client.threads.runs.wait(thread_id, run_id, timeout=timeout)
        assert loop.time() - began == pytest.approx(limit)
        assert (caught.value.run_id, caught.value.thread_id) == (run_id, thread_id)
        run = await client.threads.runs.retrieve(thread_id, run_id)
        assert run.status == "in_progress"

    waited("/wait 500", then, timeouts=Timeouts(total=total))


@pytest.mark.parametrize("timeout", [10**400, float("inf"), 1e308])
def test_a_wait_may_be_as_long_as_it_likes(timeout: float) -> None:
    """A time beyond what a clock can hold is as good as none, also beside `Timeouts.total`."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        run = await client.threads.runs.wait(thread_id, run_id, timeout=timeout)
        assert run.status == "completed"

    waited("/wait 500\n/say x", then, timeouts=Timeouts(total=7))


def statuses(*names: str) -> Any:
    """An answer for each look: a run that comes to these statuses, and stays at the last."""
    left = list(names)

    async def answer(_request: Received, writer: Writer) -> None:
        status = left.pop(0) if len(left) > 1 else left[0]
        body = {"id": "r", "thread_id": "t", "status": status}
        writer.write(whole(json.dumps(body).encode()))

    return answer


def looked(answer: Any, **waiting: Any) -> tuple[Run, list[float]]:
    """Wait for a run of a service that answers so; when it was looked at, in virtual seconds."""
    looks: list[float] = []

    async def main() -> Run:
        def note(_info: CallInfo) -> None:
            looks.append(asyncio.get_running_loop().time())

        async with (
            RawServer(answer) as server,
            DashScope("sk-x", base_url=server.url, on_request=note) as client,
        ):
            return await client.threads.runs.wait("t", "r", **waiting)

    return virtual_time.run(main()), looks


def gaps(times: Sequence[float]) -> list[float]:
    """What lies between them."""
    return [later - sooner for sooner, later in pairwise(times)]


def test_pauses_grow_and_are_never_quite_the_same() -> None:
    """From 0.2 s to 5 s, each a little more or less: many who wait do not ask in step."""
    names = ["in_progress"] * 30 + ["completed"]
    first, second = (looked(statuses(*names))[1] for _ in range(2))

    assert len(first) == len(second) == 31
    assert gaps(first)[0] == pytest.approx(0.2, rel=0.21)
    for gap in gaps(first)[-10:]:
        assert gap == pytest.approx(5, rel=0.21)
    assert gaps(first) != gaps(second)


def test_a_status_that_nobody_knows_is_waited_through() -> None:
    """So are those under way; only resting ends it."""
    run, looks = looked(statuses("queued", "pondering", "", "cancelling", "cancelled"))

    assert run.status == "cancelled"
    assert len(looks) == 5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            whole(
                b'{"code":"InvalidParameter","message":"The specified run has been deleted or '
                b'does not exist."}', "400 Bad Request",
            ),
            NotFound,
        ),
        (whole(b'{"code":"InternalError","message":"oh"}', "500 Oh"), ServerError),
        (whole(b"<html>"), DecodeError),
        (b"", TransportError),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_read_ends_the_waiting(answer: bytes, error: type[Exception]) -> None:
    """With the error of the look, and where it happened."""

    async def fail(_request: Received, writer: Writer) -> None:
        writer.write(answer)
        if not answer:
            writer.close()

    with pytest.raises(error) as caught:
        looked(fail)

    ids = (getattr(caught.value, name) for name in ("run_id", "thread_id"))
    assert tuple(ids) == ("r", "t")


@pytest.mark.parametrize("ids", [("", "r"), ("t", "")])
async def test_waiting_needs_ids(ids: tuple[str, str]) -> None:
    """An empty id is InvalidArgument before anything is sent."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="_id"):
            await client.threads.runs.wait(*ids)


@pytest.mark.parametrize("timeout", [0, 0.0, -1, float("nan"), -float("inf"), "5", True])
async def test_a_time_that_is_none_is_refused(timeout: Any) -> None:
    """What cannot be waited for is InvalidArgument before anything is sent."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="timeout"):
            await client.threads.runs.wait("t", "r", timeout=timeout)


@pytest.mark.parametrize("after", [0, 0.1, 30])
def test_waiting_can_be_cancelled(after: float) -> None:
    """At once, in the middle of a look or of a pause; the client goes on."""

    async def then(client: DashScope, thread_id: str, run_id: str) -> None:
        waiting = asyncio.create_task(client.threads.runs.wait(thread_id, run_id))
        await asyncio.sleep(after)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        run = await client.threads.runs.retrieve(thread_id, run_id)
        assert run.status == "in_progress"

    waited("/wait 500", then)
