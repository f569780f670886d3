"""AppBuilder's SDK, pointed at the local server by the environment, as a user does it."""

import pytest
from appbuilder_sdk.calls import point_at


@pytest.fixture(autouse=True)
def _sdk(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the open server, whatever the environment says."""
    point_at(server, monkeypatch)
