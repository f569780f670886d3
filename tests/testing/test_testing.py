"""aiodashassist/testing/__init__.py: the names, which come when they are asked for."""

import pytest

from aiodashassist import testing
from aiodashassist.testing.cassette import Cassette, CassetteError, NotRecorded
from aiodashassist.testing.recording import record
from aiodashassist.testing.replaying import replay


def test_every_name_is_what_it_says() -> None:
    """Each public name is the object of its module."""
    found = {name: getattr(testing, name) for name in testing.__all__}

    assert found == {
        "Cassette": Cassette,
        "CassetteError": CassetteError,
        "NotRecorded": NotRecorded,
        "record": record,
        "replay": replay,
    }


def test_another_name_is_an_error() -> None:
    """There are no other names."""
    with pytest.raises(AttributeError, match="has no attribute 'replays'"):
        testing.replays  # noqa: B018
