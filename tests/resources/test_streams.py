"""What a stream is given for its tools is checked before anything is sent."""

from typing import Any

import pytest

from aiodashassist import DashScope, ToolOutput
from aiodashassist.errors import InvalidArgument


async def note(text: str) -> str:
    """Note a text."""
    return text


@pytest.mark.parametrize("outputs", ["text", [{"output": "x"}], ToolOutput(output="x")], ids=str)
async def test_given_outputs_must_be_a_list_of_outputs(client: DashScope, outputs: Any) -> None:
    """Anything else is refused before a byte is sent."""
    with pytest.raises(InvalidArgument, match="list of ToolOutput"):
        client.threads.runs.attach("thread_1", "run_1", outputs=outputs)


@pytest.mark.parametrize("tools", [None, [note]])
async def test_an_approval_must_be_a_function(client: DashScope, tools: Any) -> None:
    """A run's approval that cannot be asked is refused before a byte is sent."""
    with pytest.raises(InvalidArgument, match="approve must be a function"):
        client.threads.runs.stream("thread_1", assistant_id="a", tools=tools, approve=True)  # type: ignore[arg-type]
