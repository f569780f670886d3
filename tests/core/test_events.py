"""The kinds of events."""

from typing import get_args

from aiodashassist.core import events
from aiodashassist.core.events import Event, ToolFinished, ToolProgress, ToolStarted
from aiodashassist.core.tooling import ToolCall, ToolOutput


def test_event_is_every_kind() -> None:
    """The union that users match on has every kind of the room, and no other."""
    assert {kind.__name__ for kind in get_args(Event)} == set(events.__all__) - {"Event"}


def test_our_own_events_have_no_name() -> None:
    """Events that the wire does not have bear no name of the wire."""
    call, output = ToolCall(call_id="c"), ToolOutput(output="3")
    ours = (ToolStarted(call=call), ToolProgress(call=call), ToolFinished(call=call, output=output))
    assert [event.name for event in ours] == [""] * 3
