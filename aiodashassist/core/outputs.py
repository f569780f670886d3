"""Which output answers which call: by id, and by order where ids are empty (dashscope.md §2.4)."""

from collections.abc import Sequence

from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import InvalidArgument

__all__ = ("match_outputs",)


def match_outputs(
    calls: Sequence[ToolCall], outputs: Sequence[ToolOutput]
) -> tuple[ToolOutput, ...]:
    """One output for each call, in the order of the calls and with the wire's ids.

    An output may name its call by the wire's id or by `call_id`.

    Raises:
        InvalidArgument: a call has no output, or an output has no call.
    """
    if len(outputs) != len(calls):
        raise InvalidArgument(f"{len(calls)} tool outputs are expected, not {len(outputs)}")
    given: dict[str, list[ToolOutput]] = {}  # "" are those that go by order
    for output in outputs:
        given.setdefault(output.tool_call_id, []).append(output)
    matched = []
    for call in calls:
        names = (call.call_id or call.id, call.id, "")
        found = next((given[name] for name in names if given.get(name)), None)
        if found is None:
            raise InvalidArgument(f"no tool output for the call {call.call_id or call.id}")
        matched.append(ToolOutput(tool_call_id=call.id, output=found.pop(0).output))
    return tuple(matched)
