"""AppBuilder's SDK, pointed at the local server by the environment, as a user does it."""

from collections.abc import Iterator

import pytest
from appbuilder_sdk.calls import point_at
from servers import serving_with


@pytest.fixture(scope="session")
def cumulative_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose pieces of text are all the text so far."""
    log = tmp_path_factory.mktemp("cumulative") / "stderr.txt"
    with serving_with(log, message_chunks="cumulative") as url:
        yield url


@pytest.fixture(scope="session")
def whole_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose messages come at once, and that fills every silence with pings."""
    log = tmp_path_factory.mktemp("whole") / "stderr.txt"
    with serving_with(log, message_chunks="whole", ping_after=0.02) as url:
        yield url


@pytest.fixture(scope="session")
def hasty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server where runs do not wait for outputs."""
    log = tmp_path_factory.mktemp("hasty") / "stderr.txt"
    with serving_with(log, expire_after=0) as url:
        yield url


@pytest.fixture(autouse=True)
def _sdk(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the open server, whatever the environment says."""
    point_at(server, monkeypatch)
