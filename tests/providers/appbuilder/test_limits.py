"""Every documented limit at its edge and one beyond, naming the field and the limit."""

from typing import Any

import pytest

from aiodashassist.core.models import TruncationStrategy
from aiodashassist.core.params import ModelParameters, SamplingParameters, UserInfo, UserLoc
from aiodashassist.core.tooling import (
    FunctionDefinition,
    FunctionTool,
    PluginTool,
    RagTool,
    ToolOutput,
)
from aiodashassist.errors import InvalidArgument, UnsupportedParameter
from aiodashassist.providers.appbuilder import limits

TOOL = FunctionTool(function=FunctionDefinition(name="f"))
PAIRS = {str(number): "v" for number in range(16)}
CHAT = "model_parameters.chat_parameters"


def chat(**sampling: Any) -> dict[str, Any]:
    """Parameters of the chat."""
    return {"model_parameters": {"chat_parameters": sampling}}


WITHIN: list[dict[str, Any]] = [
    {},
    {"name": None, "tools": None, "temperature": None},
    {"name": "n"}, {"name": "n" * 128}, {"name": "名" * 128}, {"name": "a-Z_0名"},
    {"description": ""}, {"description": "d" * 512},
    {"instructions": ""}, {"instructions": "名" * 4096},
    {"thought_instructions": "i" * 4096}, {"chat_instructions": "i" * 4096},
    {"model": "any"},
    {"response_format": "text"}, {"response_format": "json_object"},
    {"tools": []}, {"tools": [TOOL] * 10}, {"tools": ({"type": "any"},)},
    {"override_tools": [TOOL] * 11},  # of a run's no limit is documented
    {"file_ids": []}, {"file_ids": ["f"] * 10}, {"file_ids": ("f",)},
    {"metadata": {}}, {"metadata": PAIRS}, {"metadata": {"k" * 64: "v" * 512}},
    {"metadata": {"": ""}},
    {"content": ""}, {"content": "c" * 10_000},
    {"messages": []}, {"messages": [{"content": ""}]},
    {"messages": [{"content": "c", "role": "user", "file_ids": ["f"] * 10}]},
    {"messages": [{"content": "c", "file_ids": None, "role": None}]},
    {"additional_messages": [{"content": "c"}]},
    {"thread": {}}, {"thread": {"messages": [{"content": "c"}], "metadata": PAIRS}},
    {"order": "asc"}, {"order": "desc"},
    {"page_size": 1}, {"page_size": 2**31 - 1},
    {"after": "a"}, {"after": ""}, {"before": "b"}, {"before": ""},
    {"temperature": 5e-324}, {"temperature": 1}, {"top_p": 0}, {"top_p": 1},
    {"model_parameters": {}}, {"model_parameters": {"chat_parameters": None}},
    chat(temperature=1, top_p=0, penalty_score=1), chat(penalty_score=2), chat(temperature=None),
    {"model_parameters": {"thought_parameters": {"temperature": 0.01, "top_p": 0}}},
    {
        "model_parameters": ModelParameters(
            chat_parameters=SamplingParameters(temperature=0.5),
            thought_parameters=SamplingParameters(penalty_score=1.5),
        )
    },
    {"tool_output": ToolOutput(output="")},
    {"tool_outputs": (ToolOutput(output=""),)},
    {"user_info": {}}, {"user_info": {"id": "i", "name": None, "baidu_id": ""}},
    {"user_info": UserInfo(id="i", nickname="n", watermark="w", intro="t")},
    {"user_loc": {"loc": "{}", "uip": "1.2.3.4", "uipv6": "::1"}}, {"user_loc": UserLoc(loc="x")},
    {"sync": True}, {"sync": False},
    {"role": "user"}, {"role": "assistant"},
    {"assistant_id": "a"},
    {"stream": True, "files": (), "purpose": "p"},
]  # fmt: skip


@pytest.mark.parametrize("given", WITHIN, ids=lambda given: repr(given)[:50])
def test_what_is_within_its_limits_is_taken(given: dict[str, Any]) -> None:
    """The edge itself; None is not given, and an empty value is one."""
    limits.check(given)


BEYOND: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name must have 1 to 128"),
    ({"name": "n" * 129}, "name must have 1 to 128"),
    ({"name": "a b"}, "name must have 1 to 128"),
    ({"name": "a\n"}, "name must have 1 to 128"),
    ({"name": "a.b"}, "name must have 1 to 128"),
    ({"name": "\u4dff"}, "name must have 1 to 128"),
    ({"name": "\u9fa6"}, "name must have 1 to 128"),
    ({"name": "é"}, "name must have 1 to 128"),
    ({"name": 5}, "name must have 1 to 128"),
    ({"description": "d" * 513}, "description has 513 characters; at most 512"),
    ({"description": 5}, "description must be a text, not int"),
    ({"instructions": "i" * 4097}, "instructions has 4097 characters; at most 4096"),
    ({"thought_instructions": "i" * 4097}, "thought_instructions has 4097 characters"),
    ({"chat_instructions": "i" * 4097}, "chat_instructions has 4097 characters"),
    ({"chat_instructions": b"i"}, "chat_instructions must be a text, not bytes"),
    ({"model": 5}, "model must be a text, not int"),
    ({"response_format": "json"}, "response_format must be one of text, json_object"),
    ({"response_format": {"type": "text"}}, "response_format must be one of"),
    ({"tools": [TOOL] * 11}, "tools has 11 items; at most 10"),
    ({"override_tools": TOOL}, "override_tools must be a list, not FunctionTool"),
    ({"tools": TOOL}, "tools must be a list, not FunctionTool"),
    ({"tools": "f"}, "tools must be a list, not str"),
    ({"tools": ["f"]}, "tools must be declarations, not str"),
    ({"file_ids": ["f"] * 11}, "file_ids has 11 items; at most 10"),
    ({"file_ids": "f"}, "file_ids must be a list, not str"),
    ({"file_ids": b"f"}, "file_ids must be a list, not bytes"),
    ({"file_ids": [""]}, "file_ids must be a non-empty string"),
    ({"file_ids": [5]}, "file_ids must be a non-empty string"),
    ({"metadata": {**PAIRS, "x": "v"}}, "metadata has 17 pairs; at most 16"),
    ({"metadata": {"k" * 65: "v"}}, "metadata keys are strings of at most 64"),
    ({"metadata": {"k": "v" * 513}}, r"metadata\['k'\] has 513 characters; at most 512"),
    ({"metadata": {"k": 5}}, "metadata"),
    ({"metadata": {"k": None}}, "metadata"),
    ({"metadata": []}, "metadata must be a mapping"),
    ({"content": 5}, "content must be a text, not int"),
    ({"content": [{"type": "text"}]}, "content must be a text, not list"),
    ({"messages": "hi"}, "messages must be a list, not str"),
    ({"messages": ["hi"]}, "expected an object, not str"),
    ({"messages": [{"role": "user"}]}, "a message in messages needs content"),
    ({"messages": [{"content": None}]}, "a message in messages needs content"),
    ({"messages": [{"content": 5}]}, "content must be a text"),
    ({"messages": [{"content": "c", "file_ids": ["f"] * 11}]}, "file_ids has 11 items"),
    ({"additional_messages": [{}]}, "a message in additional_messages needs content"),
    ({"thread": []}, "expected an object, not list"),
    ({"thread": {"messages": [{}]}}, "a message in messages needs content"),
    ({"thread": {"metadata": {**PAIRS, "x": "v"}}}, "metadata has 17 pairs"),
    ({"order": "ASC"}, "order must be one of asc, desc"),
    ({"page_size": 0}, r"page_size must be in \[1, inf\), not 0"),
    ({"page_size": 1.5}, "page_size must be a whole number"),
    ({"page_size": True}, "page_size must be a number, not bool"),
    ({"page_size": "5"}, "page_size must be a number, not str"),
    ({"after": 5}, "after must be a non-empty string"),
    ({"before": 5}, "before must be a non-empty string"),
    ({"temperature": 0}, r"temperature must be in \(0, 1\], not 0"),
    ({"temperature": 1.0001}, r"temperature must be in \(0, 1\]"),
    ({"temperature": float("nan")}, "temperature must be in"),
    ({"temperature": "1"}, "temperature must be a number, not str"),
    ({"top_p": -0.1}, r"top_p must be in \[0, 1\]"),
    ({"top_p": 1.1}, r"top_p must be in \[0, 1\]"),
    (chat(temperature=0), rf"{CHAT}.temperature must be in \(0, 1\]"),
    (chat(top_p=2), rf"{CHAT}.top_p must be in \[0, 1\]"),
    (chat(penalty_score=0.9), rf"{CHAT}.penalty_score must be in \[1, 2\]"),
    (chat(penalty_score=2.1), rf"{CHAT}.penalty_score must be in \[1, 2\]"),
    (chat(top_k=1), f"{CHAT} has no 'top_k'; it has temperature, top_p, penalty_score"),
    (
        {"model_parameters": {"thought_parameters": {"temperature": 0}}},
        "model_parameters.thought_parameters.temperature must be in",
    ),
    ({"model_parameters": {"temperature": 1}}, "model_parameters has no 'temperature'"),
    ({"model_parameters": {"chat_parameters": []}}, f"{CHAT} must be an object, not list"),
    ({"model_parameters": []}, "model_parameters must be an object, not list"),
    ({"model_parameters": TruncationStrategy()}, "model_parameters has no 'type'"),
    ({"model_parameters": object()}, "model_parameters cannot be written as JSON"),
    ({"tool_output": {"output": "x"}}, "tool_output must be a ToolOutput, not dict"),
    ({"tool_output": ToolOutput(output=5)}, "tool_output: an output and its ids must be texts"),  # type: ignore[arg-type]
    ({"tool_output": ToolOutput(output="", tool_call_id=None)}, "tool_output: an output"),  # type: ignore[arg-type]
    ({"tool_output": ToolOutput(output="", run_id=5)}, "tool_output: an output"),  # type: ignore[arg-type]
    ({"tool_outputs": ()}, "tool_outputs"),
    ({"user_info": {"age": "5"}}, "user_info has no 'age'; it has id, name, nickname"),
    ({"user_info": {"id": 5}}, "user_info.id must be a text, not int"),
    ({"user_info": "me"}, "user_info must be an object, not str"),
    ({"user_loc": {"id": "x"}}, "user_loc has no 'id'; it has loc, uip, uipv6"),
    ({"user_loc": {"loc": {}}}, "user_loc.loc must be a text, not dict"),
    ({"sync": 1}, "sync must be True or False, not int"),
    ({"role": "system"}, "role must be one of user, assistant"),
    ({"role": 5}, "role must be one of"),
    ({"messages": [{"content": "c", "role": "tool"}]}, "role must be one of"),
    ({"assistant_id": ""}, "assistant_id must be a non-empty string"),
    ({"assistant_id": 5}, "assistant_id must be a non-empty string"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "says"), BEYOND, ids=lambda value: repr(value)[:50])
def test_what_is_beyond_its_limit_is_refused(given: dict[str, Any], says: str) -> None:
    """One beyond, or of another type: the field and the limit are named."""
    with pytest.raises(InvalidArgument, match=says):
        limits.check(given)


@pytest.mark.parametrize("field", ["tools", "override_tools"])
@pytest.mark.parametrize(
    ("tool", "kind"), [(PluginTool("quark_search"), "quark_search"), (RagTool(prompt_ra={}), "rag")]
)
def test_tools_of_another_api_have_no_place(field: str, tool: Any, kind: str) -> None:
    """Only functions are documented (§3.2)."""
    with pytest.raises(UnsupportedParameter, match=f"no tools of type '{kind}' in {field}"):
        limits.check({field: [TOOL, tool]})


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_what_is_no_object_is_refused(given: Any) -> None:
    """Whatever it is that is given."""
    with pytest.raises(InvalidArgument, match="expected an object"):
        limits.check(given)


def test_an_object_without_end_is_refused() -> None:
    """It cannot be written."""
    endless: dict[str, Any] = {}
    endless["chat_parameters"] = endless

    with pytest.raises(InvalidArgument, match="model_parameters cannot be written as JSON"):
        limits.check({"model_parameters": endless})


def test_every_limit_is_tried_on_both_sides() -> None:
    """No row of the table is left out above."""
    within = {name for given in WITHIN for name in given}
    beyond = {name for given, _ in BEYOND for name in given}

    assert set(limits.CHECKS) <= within
    assert set(limits.CHECKS) <= beyond
