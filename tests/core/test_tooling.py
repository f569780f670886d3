"""Declarations of tools, and calls of either kind."""

from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    ToolCall,
    ToolOutput,
    UserAuth,
)
from aiodashassist.errors import InvalidArgument


@pytest.mark.parametrize(
    ("tool", "wire"),
    [
        (
            FunctionTool(function=FunctionDefinition(name="add")),
            {"type": "function", "function": {"name": "add"}},
        ),
        (
            FunctionTool(function=FunctionDefinition(name="add", description="", parameters={})),
            {"type": "function", "function": {"name": "add", "description": "", "parameters": {}}},
        ),
        (PluginTool("quark_search"), {"type": "quark_search"}),
        (
            PluginTool("mine", auth=UserAuth(user_token="secret")),
            {"type": "mine", "auth": {"type": "user_http", "user_token": "secret"}},
        ),
        (RagTool(prompt_ra={"k": 1}), {"type": "rag", "prompt_ra": {"k": 1}}),
        (
            RagTool(prompt_ra={}, auth=UserAuth(user_token="secret", type="own")),
            {"type": "rag", "prompt_ra": {}, "auth": {"type": "own", "user_token": "secret"}},
        ),
    ],
)
def test_a_declaration_is_what_the_wire_has(tool: Any, wire: dict[str, Any]) -> None:
    """A declared tool is written with its type and without what was not given."""
    assert msgspec.to_builtins(tool) == wire
    assert tool.type == wire["type"]
    assert msgspec.convert(wire, type(tool)) == tool


@pytest.mark.parametrize(
    "tool",
    [
        PluginTool("mine", auth=UserAuth(user_token="secret")),
        RagTool(prompt_ra={}, auth=UserAuth(user_token="secret")),
    ],
)
def test_a_token_is_in_no_repr(tool: PluginTool | RagTool) -> None:
    """A declaration can be printed and logged."""
    shown = f"{tool} {tool!r} {tool.auth}"
    assert "secret" not in shown
    assert "***" in shown


AUTH = {"type": "own", "user_token": "secret"}


@pytest.mark.parametrize("auth", [AUTH, MappingProxyType(AUTH)])
@pytest.mark.parametrize("kind", [PluginTool, RagTool])
def test_a_token_in_the_wires_own_object_is_in_no_repr(kind: Any, auth: Any) -> None:
    """`auth` given as the wire has it is kept as `UserAuth`, and sent as it was."""
    given: dict[str, Any] = {"prompt_ra": {}} if kind is RagTool else {"type": "mine"}
    tool = kind(**given, auth=auth)

    assert tool.auth == UserAuth(user_token="secret", type="own")
    assert "secret" not in f"{tool} {tool!r}"
    assert msgspec.to_builtins(tool)["auth"] == AUTH
    assert kind(**given, auth=tool.auth).auth is tool.auth


@pytest.mark.parametrize(
    "auth", [{}, {"type": "own"}, {"user_token": 5}, {"user_token": "secret", "type": None},
             "secret", ["secret"], 5],
)  # fmt: skip
@pytest.mark.parametrize("kind", [PluginTool, RagTool])
def test_authentication_that_is_none_is_refused(kind: Any, auth: Any) -> None:
    """What is no `UserAuth` and cannot be one is told by what is wrong, without the token."""
    given: dict[str, Any] = {"prompt_ra": {}} if kind is RagTool else {"type": "mine"}
    with pytest.raises(InvalidArgument, match="auth: ") as caught:
        kind(**given, auth=auth)
    assert "secret" not in str(caught.value)


def test_a_token_is_in_no_rich_print() -> None:
    """A printer that asks for the fields one by one is told no more than `repr` tells."""
    auth = UserAuth(user_token="secret")
    assert "secret" not in str(list(auth.__rich_repr__()))


@pytest.mark.parametrize(
    ("call", "name", "arguments", "output"),
    [
        (ToolCall(function=FunctionCall(name="add", arguments="[1]")), "add", "[1]", None),
        (ToolCall(function=FunctionCall(name="add", output="3")), "add", "", "3"),
        (
            ToolCall(type="quark_search", plugin=PluginCall(arguments="{}", output="[]")),
            "quark_search",
            "{}",
            "[]",
        ),
        (ToolCall(type="quark_search", plugin=PluginCall()), "quark_search", "", None),
        (ToolCall(type="quark_search"), "quark_search", "", None),
        (ToolCall(), "function", "", None),
    ],
)
def test_a_call_says_what_was_called(
    call: ToolCall, name: str, arguments: str, output: str | None
) -> None:
    """Name, arguments and output are those of the function, or of the plugin."""
    assert (call.name, call.arguments, call.output) == (name, arguments, output)


def test_an_output_is_for_a_call_whose_id_may_be_unknown() -> None:
    """Call and run are named only where the wire names them; both may be empty."""
    output = ToolOutput(output="rain")

    assert (output.tool_call_id, output.run_id) == ("", "")
    assert output == ToolOutput(output="rain", tool_call_id="", run_id="")
    assert output != ToolOutput(output="rain", run_id="run_1")
