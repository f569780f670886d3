"""What a service does not have, for every client: said before anything is sent."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from aiodashassist import (
    APIError,
    AssistantsClient,
    CallInfo,
    InvalidArgument,
    ModelParameters,
    PluginTool,
    RagTool,
    ToolOutput,
    TruncationStrategy,
    UnsupportedOperation,
    UnsupportedParameter,
    UserInfo,
    UserLoc,
)
from aiodashassist.core.params import (
    AssistantParams,
    CancelParams,
    Extras,
    FileListParams,
    FileParams,
    ListParams,
    MessageExtras,
    MessageUpdate,
    MetadataUpdate,
    RunParams,
    ThreadCreation,
)

Ask: TypeAlias = Callable[..., Any]

SAMPLES: dict[str, Any] = {
    "additional_messages": [{"role": "user", "content": "x"}],
    "after": "x",
    "assistant_id": "x",
    "before": "x",
    "content": "x",
    "extra_body": {"a": 1},
    "extra_headers": {"X-A": "b"},
    "extra_query": {"a": "b"},
    "file_ids": ["x"],
    "max_completion_tokens": 5,
    "max_prompt_tokens": 5,
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "x"}],
    "metadata": {"k": "v"},
    "model_parameters": ModelParameters(),
    "order": "asc",
    "override_tools": [],
    "page_no": 1,
    "page_size": 5,
    "parallel_tool_calls": True,
    "response_format": "text",
    "sync": False,
    "temperature": 0.5,
    "tool_choice": "auto",
    "tool_output": ToolOutput(output="x", tool_call_id="x", run_id="x"),
    "tools": [],
    "top_k": 5,
    "top_p": 0.5,
    "truncation_strategy": TruncationStrategy(last_messages=5),
    "user_info": UserInfo(name="x"),
    "user_loc": UserLoc(uip="127.0.0.1"),
}
"""A good value of each parameter that is not a plain text."""
PLAIN = {"model": "m", "name": "n"}
ON_THREAD = {"messages": [{"role": "user", "content": "x"}]}

CALLS: dict[str, tuple[Ask, Any, dict[str, Any]]] = {
    "assistants.create": (lambda c, **p: c.assistants.create(**p), AssistantParams, PLAIN),
    "assistants.update": (lambda c, **p: c.assistants.update("x", **p), AssistantParams, PLAIN),
    "assistants.list": (lambda c, **p: c.assistants.list(**p), ListParams, {}),
    "assistants.retrieve": (lambda c, **p: c.assistants.retrieve("x", **p), Extras, {}),
    "assistants.delete": (lambda c, **p: c.assistants.delete("x", **p), Extras, {}),
    "assistants.files.create": (
        lambda c, **p: c.assistants.files.create("x", "y", **p), Extras, {},
    ),
    "assistants.files.retrieve": (
        lambda c, **p: c.assistants.files.retrieve("x", "y", **p), Extras, {},
    ),
    "assistants.files.list": (lambda c, **p: c.assistants.files.list("x", **p), ListParams, {}),
    "assistants.files.delete": (
        lambda c, **p: c.assistants.files.delete("x", "y", **p), Extras, {},
    ),
    "threads.create": (lambda c, **p: c.threads.create(**p), ThreadCreation, {}),
    "threads.retrieve": (lambda c, **p: c.threads.retrieve("x", **p), Extras, {}),
    "threads.update": (lambda c, **p: c.threads.update("x", **p), MetadataUpdate, {}),
    "threads.delete": (lambda c, **p: c.threads.delete("x", **p), Extras, {}),
    "threads.create_and_run": (
        lambda c, **p: c.threads.create_and_run(**({"thread": ON_THREAD} | p)),
        RunParams,
        {"assistant_id": "x"},
    ),
    "messages.create": (
        lambda c, **p: c.threads.messages.create("x", "y", **p), MessageExtras, {},
    ),
    "messages.retrieve": (lambda c, **p: c.threads.messages.retrieve("x", "y", **p), Extras, {}),
    "messages.update": (lambda c, **p: c.threads.messages.update("x", "y", **p), MessageUpdate, {}),
    "messages.list": (lambda c, **p: c.threads.messages.list("x", **p), ListParams, {}),
    "messages.files.list": (
        lambda c, **p: c.threads.messages.files.list("x", "y", **p), ListParams, {},
    ),
    "messages.files.retrieve": (
        lambda c, **p: c.threads.messages.files.retrieve("x", "y", "z", **p), Extras, {},
    ),
    "runs.create": (
        lambda c, **p: c.threads.runs.create("x", **p), RunParams, {"assistant_id": "x"},
    ),
    "runs.retrieve": (lambda c, **p: c.threads.runs.retrieve("x", "y", **p), Extras, {}),
    "runs.update": (lambda c, **p: c.threads.runs.update("x", "y", **p), MetadataUpdate, {}),
    "runs.list": (lambda c, **p: c.threads.runs.list("x", **p), ListParams, {}),
    "runs.cancel": (lambda c, **p: c.threads.runs.cancel("x", "y", **p), CancelParams, {}),
    "runs.submit_tool_outputs": (
        lambda c, **p: c.threads.runs.submit_tool_outputs(
            "x", "y", tool_outputs=[ToolOutput(output="z")], **p
        ),
        Extras,
        {},
    ),
    "runs.steps.list": (lambda c, **p: c.threads.runs.steps.list("x", "y", **p), ListParams, {}),
    "runs.steps.retrieve": (
        lambda c, **p: c.threads.runs.steps.retrieve("x", "y", "z", **p), Extras, {},
    ),
    "files.create": (lambda c, **p: c.files.create(b"x", **p), FileParams, {}),
    "files.retrieve": (lambda c, **p: c.files.retrieve("x", **p), Extras, {}),
    "files.list": (lambda c, **p: c.files.list(**p), FileListParams, {}),
    "files.delete": (lambda c, **p: c.files.delete("x", **p), Extras, {}),
    "files.content": (lambda c, **p: c.files.content("x", **p), Extras, {}),
    "files.download": (lambda c, **p: c.files.download("x", to="nowhere/", **p), Extras, {}),
}  # fmt: skip
"""Call -> how it is made, what it can be given, and what every service needs."""
EVERY = [(name, given) for name, (_, kind, _) in CALLS.items() for given in kind.__annotations__]


async def verdict(
    client: AssistantsClient, told: list[CallInfo], name: str, given: dict[str, Any]
) -> type[Exception] | None:
    """Make a call; why it is not of this service, or None: then it was sent."""
    ask, _, needed = CALLS[name]
    try:
        await ask(client, **{**needed, **given})
    except (UnsupportedOperation, UnsupportedParameter, InvalidArgument) as error:
        assert told == []
        return type(error)
    except APIError:
        pass  # there is no such thing
    assert len(told) == 1
    return None


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_sent_or_is_not_there(
    client: AssistantsClient, told: list[CallInfo], name: str
) -> None:
    """One request, or UnsupportedOperation and none."""
    assert await verdict(client, told, name, {}) in (None, UnsupportedOperation)


@pytest.mark.parametrize(("name", "parameter"), EVERY)
async def test_a_parameter_is_sent_or_has_no_place(
    client: AssistantsClient, told: list[CallInfo], name: str, parameter: str
) -> None:
    """One request, or UnsupportedParameter (of a call that is not there, UnsupportedOperation)."""
    bare = await verdict(client, told, name, {})
    told.clear()
    given = {parameter: SAMPLES.get(parameter, "x")}
    if (name, parameter) == ("threads.create_and_run", "additional_messages"):
        given["thread"] = None  # a run may have one message that is new, wherever it stands
    full = await verdict(client, told, name, given)

    if bare is not None:
        assert full is bare
    elif parameter == "extra_body":
        assert full in (None, InvalidArgument)  # of a request that has no body
    elif parameter.startswith("extra_") or parameter in CALLS[name][2]:
        assert full is None
    else:
        assert full in (None, UnsupportedParameter)


@pytest.mark.parametrize(
    "tool",
    [PluginTool("calculator"), RagTool(prompt_ra={"pipeline_id": "x"})],
    ids=lambda t: t.type,
)
async def test_a_kind_of_tool_is_sent_or_has_no_place(
    client: AssistantsClient, told: list[CallInfo], tool: Any
) -> None:
    """As a parameter: what only another service has is refused, and nothing is sent."""
    found = await verdict(client, told, "assistants.create", {"tools": [tool]})

    assert found in (None, UnsupportedParameter)


BAD_IDS: list[Any] = ["", None, 5, b"x"]


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_what_is_no_id_is_never_sent(
    client: AssistantsClient, told: list[CallInfo], bad: Any
) -> None:
    """InvalidArgument that names it, for calls, lists and streams."""
    asks: list[Callable[[], Any]] = [
        lambda: client.assistants.retrieve(bad),
        lambda: client.threads.messages.list(bad),
        lambda: client.threads.runs.retrieve("x", bad),
        lambda: client.files.delete(bad),
        lambda: client.ask("x", assistant_id=bad),
        lambda: client.threads.runs.wait(bad, "x"),
    ]
    for ask in asks:
        with pytest.raises(InvalidArgument, match="_id"):
            await ask()
    with pytest.raises(InvalidArgument, match="run_id"):
        client.threads.runs.attach("x", bad)

    assert told == []
