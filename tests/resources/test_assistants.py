"""`client.assistants`: what is sent, exactly, and what comes back."""

from typing import Any

import pytest

from aiodashassist import Assistant, DashScope, InvalidArgument, PluginTool, Toolset, tool
from tests.resources.pinned import pinned

ANSWER = {"id": "asst_1", "object": "assistant", "model": "qwen-max", "request_id": "req"}


@tool
async def get_weather(city: str) -> str:
    """Current weather of a city."""
    return city


DECLARED = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


async def test_create_sends_what_is_given_and_declares_tools() -> None:
    """Functions, toolsets, plugins and wire dicts are declared; None is not sent, `""` is."""
    tools: list[Any] = [get_weather, PluginTool("quark_search"), {"type": "own", "x": 1}]
    assistant = await pinned(
        lambda client: client.assistants.create(
            model="qwen-max", name=None, description="", tools=tools, temperature=0.5
        ),
        "POST",
        "/assistants",
        body={
            "model": "qwen-max",
            "description": "",
            "tools": [DECLARED, {"type": "quark_search"}, {"type": "own", "x": 1}],
            "temperature": 0.5,
        },
        answer=ANSWER,
    )

    assert isinstance(assistant, Assistant)
    assert (assistant.id, assistant.model, assistant.request_id) == ("asst_1", "qwen-max", "req")


@pytest.mark.parametrize("tools", [Toolset(get_weather), [Toolset(get_weather)]])
async def test_a_toolset_is_declared_as_its_functions(tools: Any) -> None:
    """A toolset stands for its definitions, alone or in a list."""
    await pinned(
        lambda client: client.assistants.create(model="m", tools=tools),
        "POST",
        "/assistants",
        body={"model": "m", "tools": [DECLARED]},
        answer=ANSWER,
    )


async def test_update_sends_only_what_is_given() -> None:
    """Updates are POST; `tools=[]` takes all tools away."""
    await pinned(
        lambda client: client.assistants.update("asst_1", name="n", tools=[], metadata={"k": "v"}),
        "POST",
        "/assistants/asst_1",
        body={"name": "n", "tools": [], "metadata": {"k": "v"}},
        answer=ANSWER,
    )


async def test_retrieve_and_delete_name_the_assistant() -> None:
    """The id is in the path, and nothing in a body."""
    await pinned(
        lambda client: client.assistants.retrieve("asst_1"), "GET", "/assistants/asst_1",
        answer=ANSWER,
    )  # fmt: skip
    deleted = await pinned(
        lambda client: client.assistants.delete("asst_1"), "DELETE", "/assistants/asst_1",
        answer={"id": "asst_1", "object": "assistant.deleted", "deleted": True},
    )  # fmt: skip

    assert deleted.deleted
    assert deleted.object == "assistant.deleted"


async def test_list_sends_its_page() -> None:
    """`page_size` is the wire's `limit`; cursors and order are passed on."""

    async def call(client: DashScope) -> Any:
        return await client.assistants.list(page_size=2, order="asc", after="asst_0")

    page = await pinned(
        call,
        "GET",
        "/assistants?after=asst_0&limit=2&order=asc",
        answer={"object": "list", "data": [ANSWER], "first_id": "asst_1", "has_more": False},
    )

    assert [assistant.id for assistant in page.data] == ["asst_1"]


async def test_what_is_no_tool_is_refused() -> None:
    """A text is no declaration."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="str"):
            await client.assistants.create(model="m", tools=["get_weather"])


@pytest.mark.parametrize("given", ["", None, 3])
async def test_an_id_must_be_a_text(given: Any) -> None:
    """An empty id, or what is no text, is InvalidArgument before anything is sent."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="assistant_id"):
            await client.assistants.retrieve(given)
