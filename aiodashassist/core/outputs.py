"""Tool outputs: what a value is as one, and which output answers which call.

An output finds its call by id, and by order where ids are empty (dashscope.md §2.4).
"""

import re
from collections.abc import Sequence

import msgspec

from aiodashassist.core.plain import plain
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import InvalidArgument

__all__ = ("check_outputs", "error_text", "known_outputs", "match_outputs", "written")

LONE = re.compile("[\ud800-\udfff]")  # half of a pair: it cannot travel


def written(result: object) -> str:
    """A tool's result as an output: text as it is, anything else as JSON."""
    if isinstance(result, str):
        text = str.__str__(result)  # also of a class of its own, such as a marked-up text
    else:
        text = msgspec.json.encode(result, enc_hook=plain).decode()
    text.encode()  # a lone surrogate cannot travel
    return text


def error_text(reason: str) -> str:
    """The output of a call that went wrong."""
    return msgspec.json.encode({"error": reason}).decode()


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
    given = _by_name(outputs)
    matched = []
    for call in calls:
        output = _taken(given, call, call.call_id or call.id, call.id, "")  # "" go by order
        if output is None:
            raise InvalidArgument(f"no tool output for the call {call.call_id or call.id}")
        matched.append(output)
    return tuple(matched)


def known_outputs(
    calls: Sequence[ToolCall], outputs: Sequence[ToolOutput]
) -> list[ToolOutput | None]:
    """For each call the output that is known already, with the wire's id; None where none is.

    An output names its call, by `call_id` or by the wire's id.

    Raises:
        InvalidArgument: an output names none of the calls, or one that has an output already.
    """
    given = _by_name(outputs)
    known = [_taken(given, call, *filter(None, (call.call_id, call.id))) for call in calls]
    left = [name for name, rest in given.items() if rest]
    if left and left[0] and any(left[0] in (call.call_id, call.id) for call in calls):
        raise InvalidArgument(f"there are two tool outputs for the call {left[0]}")
    if left:
        names = ", ".join(call.call_id for call in calls)
        raise InvalidArgument(f"the tool output for {left[0]!r} answers none of the calls {names}")
    return known


def check_outputs(name: str, outputs: object) -> tuple[ToolOutput, ...]:
    """Outputs that can be sent.

    Raises:
        InvalidArgument: no list of `ToolOutput`, or one whose output or id is no text.
    """
    if not isinstance(outputs, list | tuple) or not all(isinstance(o, ToolOutput) for o in outputs):
        raise InvalidArgument(f"{name} must be a list of ToolOutput")
    for output in outputs:
        for text in (output.output, output.tool_call_id, output.run_id):
            if not isinstance(text, str) or LONE.search(text):
                raise InvalidArgument(f"{name}: an output and its ids must be texts")
    return tuple(outputs)


def _by_name(outputs: Sequence[ToolOutput]) -> dict[str, list[ToolOutput]]:
    given: dict[str, list[ToolOutput]] = {}
    for output in outputs:
        given.setdefault(output.tool_call_id, []).append(output)
    return given


def _taken(given: dict[str, list[ToolOutput]], call: ToolCall, *names: str) -> ToolOutput | None:
    """The first output under one of these names; it is not there for another call."""
    found = next((given[name] for name in names if given.get(name)), None)
    return ToolOutput(tool_call_id=call.id, output=found.pop(0).output) if found else None
