"""`aiodashassist.events`: the events under the name that the contract gives them."""

import aiodashassist
from aiodashassist import events
from aiodashassist.core import events as core


def test_the_events_are_those_of_the_package() -> None:
    """The same classes, under both names."""
    assert set(events.__all__) == set(core.__all__)
    for name in core.__all__:
        assert getattr(events, name) is getattr(core, name) is getattr(aiodashassist, name)
