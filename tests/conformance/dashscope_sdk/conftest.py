"""DashScope's SDK, pointed at the local server: all that the suite knows of it is `/api/v1`."""

import pytest
from dashscope_sdk.calls import point_at

PREFIX = "/api/v1"


@pytest.fixture(scope="session")
def server(server: str) -> str:
    """The base URL of the open server."""
    return server + PREFIX


@pytest.fixture(scope="session")
def locked_server(locked_server: str) -> str:
    """The base URL of the locked server."""
    return locked_server + PREFIX


@pytest.fixture(scope="session")
def narrow_server(narrow_server: str) -> str:
    """The base URL of the narrow server."""
    return narrow_server + PREFIX


@pytest.fixture
def silent(silent: str) -> str:
    """The base URL of the server that never answers."""
    return silent + PREFIX


@pytest.fixture(autouse=True)
def _sdk(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the open server, whatever the environment says."""
    point_at(server, monkeypatch)
