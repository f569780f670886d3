"""The kinds of events."""

from typing import get_args

from aiodashassist.core import events
from aiodashassist.core.events import Event, ToolFinished, ToolStarted
from aiodashassist.core.tooling import ToolCall, ToolOutput


def test_event_is_every_kind() -> None:
    """The union that users match on has every kind of the room, and no other."""
    assert {kind.__name__ for kind in get_args(Event)} == set(events.__all__) - {"Event"}


def test_our_own_events_have_no_name() -> None:
    """Events that the wire does not have bear no name of the wire."""
    call, output = ToolCall(call_id="c"), ToolOutput(output="3")
    assert ToolStarted(call=call).name == ToolFinished(call=call, output=output).name == ""
