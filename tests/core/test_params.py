"""Which parameters a call cannot do without, and the values of some."""

from typing import Any

import msgspec
import pytest

from aiodashassist.core import params
from aiodashassist.core.tooling import ToolOutput

INNER = {"MessageParams", "ThreadParams"}
"""Parts of a request: a message in a new thread, a thread in a new run."""
VALUES = (
    params.ModelParameters,
    params.SamplingParameters,
    params.UserInfo,
    params.UserLoc,
)
"""Values of single parameters."""
REQUESTS = [
    name
    for name in params.__all__
    if name not in INNER and name not in {value.__name__ for value in VALUES}
]


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("AssistantFields", set()),
        ("AssistantParams", set()),
        ("Extras", set()),
        ("FileListParams", set()),
        ("FileParams", set()),
        ("ListParams", set()),
        ("MessageExtras", set()),
        ("MessageParams", {"content"}),
        ("MessageUpdate", set()),
        ("MetadataUpdate", set()),
        ("RunParams", {"assistant_id"}),
        ("ThreadCreation", set()),
        ("ThreadParams", set()),
        ("CancelParams", set()),
    ],
)
def test_only_what_a_call_needs_is_required(name: str, required: set[str]) -> None:
    """A message has content and a run an assistant; all else may be left out."""
    assert name in params.__all__
    assert getattr(params, name).__required_keys__ == required


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_can_be_given_more(name: str) -> None:
    """Whatever is one request takes body, headers and query of its own."""
    fields = getattr(params, name).__annotations__.keys()

    assert {"extra_body", "extra_headers", "extra_query"} <= fields


@pytest.mark.parametrize("name", sorted(INNER))
def test_what_is_inside_of_a_request_has_nothing_of_the_kind(name: str) -> None:
    """A message or a thread in another request is a value: it is not searched for extras."""
    fields = getattr(params, name).__annotations__.keys()

    assert fields.isdisjoint(params.Extras.__annotations__)


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_has_only_what_is_given(kind: Any) -> None:
    """What is None is not sent, and an object as the wire has it reads as the same value."""
    assert msgspec.json.encode(kind()) == b"{}"
    for name in kind.__struct_fields__:
        inner = params.SamplingParameters(top_p=0.5) if name.endswith("_parameters") else 0.5
        given = inner if kind in VALUES[:2] else "x"
        wire = msgspec.to_builtins(kind(**{name: given}))
        assert wire.keys() == {name}
        assert msgspec.convert(wire, kind) == kind(**{name: given})


def test_every_named_parameter_of_a_run_can_be_read() -> None:
    """A run's parameters are a type that msgspec decodes, structs or the wire's own objects."""
    given: dict[str, Any] = {
        "assistant_id": "a",
        "model_parameters": {"chat_parameters": {"top_p": 1}},
        "user_info": {"id": "1"},
        "user_loc": None,
        "tool_output": {"output": "x", "run_id": "r"},
    }
    read = msgspec.convert(given, params.RunParams)

    assert read["model_parameters"] == given["model_parameters"]
    assert read["tool_output"] == ToolOutput(output="x", run_id="r")
