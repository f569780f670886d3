"""What each service does not have: which calls, and which parameters of a call.

`tests/contract/test_missing.py` says that nothing is sent then; here stands what it is, by the
documents (dashscope.md §2, appbuilder.md §2, §3), and what is said of it.
"""

from typing import Any

import pytest

from aiodashassist import (
    AppBuilder,
    AssistantsClient,
    CallInfo,
    DashScope,
    InvalidArgument,
    PluginTool,
    RagTool,
    UnsupportedOperation,
    UnsupportedParameter,
)
from aiodashassist.server import LocalServer
from tests.contract.test_missing import CALLS, SAMPLES, verdict
from tests.providers.test_contract import Kind

CALLS_MISSING: dict[Kind, set[str]] = {
    DashScope: {"files.content", "files.download"},
    AppBuilder: {"assistants.files.retrieve", "messages.files.retrieve", "runs.update"},
}
OF_RUNS: dict[Kind, set[str]] = {
    DashScope: {
        "thought_instructions", "chat_instructions", "model_parameters", "user_info", "user_loc",
        "tool_output",
    },
    AppBuilder: {
        "additional_instructions", "top_k", "max_tokens", "max_prompt_tokens",
        "max_completion_tokens", "truncation_strategy", "tool_choice", "parallel_tool_calls",
    },
}  # fmt: skip
OF_ASSISTANTS: dict[Kind, set[str]] = {
    DashScope: {"response_format", "thought_instructions", "chat_instructions"},
    AppBuilder: {"temperature", "top_p", "top_k", "max_tokens"},
}
MISSING: dict[Kind, dict[str, set[str]]] = {
    DashScope: {
        "messages.update": {"content", "file_ids"},
        "runs.cancel": {"sync"},
    },
    AppBuilder: {
        "messages.create": {"metadata"},
        "messages.update": {"metadata"},
        "files.create": {"description"},
        "files.list": {"page_size", "page_no"},
    },
}
for _kind, _missing in MISSING.items():
    for _name in ("runs.create", "threads.create_and_run"):
        _missing[_name] = OF_RUNS[_kind]
    for _name in ("assistants.create", "assistants.update"):
        _missing[_name] = OF_ASSISTANTS[_kind]

KINDS = pytest.mark.parametrize("kind", MISSING, ids=lambda kind: kind.__name__)


async def tried(kind: Kind, name: str, given: dict[str, Any]) -> type[Exception] | None:
    """What becomes of a call."""
    told: list[CallInfo] = []
    async with LocalServer() as server, server.client(kind, on_request=told.append) as client:
        return await verdict(client, told, name, given)


@KINDS
async def test_the_calls_that_a_service_lacks(kind: Kind) -> None:
    """These, and no others."""
    found = {name for name in CALLS if await tried(kind, name, {}) is UnsupportedOperation}

    assert found == CALLS_MISSING[kind]


@KINDS
@pytest.mark.parametrize("name", CALLS)
async def test_the_parameters_that_a_call_has_no_place_for(kind: Kind, name: str) -> None:
    """These, and no others; None is "not given" for each of them."""
    found = set()
    for parameter in CALLS[name][1].__annotations__:
        given = {parameter: SAMPLES.get(parameter, "x")}
        if await tried(kind, name, given) is UnsupportedParameter:
            found.add(parameter)
            assert await tried(kind, name, {parameter: None}) is None

    assert found == MISSING[kind].get(name, set())


@KINDS
async def test_a_stream_has_the_same_places_as_a_run(kind: Kind) -> None:
    """Each way to stream a run refuses what `runs.create` refuses, before anything is sent."""
    told: list[CallInfo] = []
    client: AssistantsClient
    async with LocalServer() as server, server.client(kind, on_request=told.append) as client:
        for parameter in OF_RUNS[kind]:
            params: Any = {"assistant_id": "a", parameter: SAMPLES.get(parameter, "x")}
            message: Any = {"role": "user", "content": "x"}
            with pytest.raises(UnsupportedParameter, match=parameter):
                await client.ask("x", **params)
            with pytest.raises(UnsupportedParameter, match=parameter):
                client.stream("x", **params)
            with pytest.raises(UnsupportedParameter, match=parameter):
                async with client.threads.runs.stream("t", **params):
                    pass
            with pytest.raises(UnsupportedParameter, match=parameter):
                async with client.threads.create_and_stream(
                    thread={"messages": [message]}, **params
                ):
                    pass

    assert told == []


@KINDS
async def test_what_is_said_names_the_service_and_the_parameter(kind: Kind) -> None:
    """So that it can be found in the code that gave it."""
    (parameter, *_) = sorted(OF_RUNS[kind])
    async with kind("a-key") as client:
        with pytest.raises(UnsupportedParameter, match=f"{kind.__name__}.*{parameter}"):
            await client.threads.runs.create("t", assistant_id="a", **{parameter: "x"})
        for name in CALLS_MISSING[kind]:
            with pytest.raises(UnsupportedOperation, match=f"{kind.__name__} has no "):
                await CALLS[name][0](client)


@pytest.mark.parametrize(
    "tool", [PluginTool("calculator"), RagTool(prompt_ra={"pipeline_id": "x"})]
)
async def test_the_vendors_own_tools_are_dashscopes(tool: Any) -> None:
    """AppBuilder documents functions alone (§3.2), for an assistant and for a run."""
    async with AppBuilder("a-key") as client:
        with pytest.raises(UnsupportedParameter, match=tool.type):
            await client.assistants.create(model="m", name="n", tools=[tool])
        with pytest.raises(UnsupportedParameter, match=tool.type):
            await client.threads.runs.create("t", assistant_id="a", override_tools=[tool])

    assert await tried(DashScope, "assistants.create", {"tools": [tool]}) is None


@KINDS
@pytest.mark.parametrize("name", ["temprature", "stream", "tools"])
async def test_what_is_no_parameter_at_all_is_refused(kind: Kind, name: str) -> None:
    """A slip of the pen is told, and never sent; `stream` is a method of its own."""
    assert await tried(kind, "runs.create", {name: True}) is UnsupportedParameter


async def test_what_appbuilder_needs_is_asked_for() -> None:
    """An assistant's model and name, and a message of a run on a new thread (§3.1, §3.8)."""
    async with AppBuilder("a-key") as client:
        with pytest.raises(InvalidArgument, match="name"):
            await client.assistants.create(model="m")
        with pytest.raises(InvalidArgument, match="model"):
            await client.assistants.create(name="n")
        with pytest.raises(InvalidArgument, match="message"):
            await client.threads.create_and_run(assistant_id="a")
