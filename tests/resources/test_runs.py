"""`client.threads.runs` and its steps: what is sent, exactly."""

from typing import Any

import pytest

from aiodashassist import (
    DashScope,
    InvalidArgument,
    PluginTool,
    ToolOutput,
    TruncationStrategy,
    UnsupportedParameter,
    tool,
)
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
