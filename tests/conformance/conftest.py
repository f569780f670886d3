"""One local server in a process of its own, for the official SDKs of both vendors."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import SERVE, serving, serving_with
from wire import KEY, Wire

# Read by AppBuilder's SDK when it is imported: it prints what it logs.
os.environ["APPBUILDER_LOGLEVEL"] = "error"

from appbuilder_sdk.recording import RECORDER as APPBUILDER
from dashscope_sdk.recording import RECORDER as DASHSCOPE
from recorder import Recorder

HERE = Path(__file__).resolve().parent
RECORDERS = {recorder.sdk.name: recorder for recorder in (DASHSCOPE, APPBUILDER)}
LAST = "test_every_call.py"
DESELECTED = pytest.StashKey[bool]()


def pytest_configure() -> None:
    """Watch the SDKs before the first test module takes a method of them."""
    for recorder in RECORDERS.values():
        for cls in recorder.sdk.find_classes():
            recorder.watch(cls)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back on all tests comes after them."""
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note that not all tests run."""
    if items:
        items[0].config.stash[DESELECTED] = True


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The one server of both suites, which takes any key."""
    with serving(tmp_path_factory.mktemp("open") / "stderr.txt", *SERVE) as url:
        yield url


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes one key only."""
    log = tmp_path_factory.mktemp("locked") / "stderr.txt"
    with serving(log, *SERVE, "--api-key", KEY) as url:
        yield url


@pytest.fixture(scope="session")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes files of 1,000 bytes, cannot cancel and gives no ids to calls.

    So the live service of DashScope was seen and is documented.
    """
    log = tmp_path_factory.mktemp("narrow") / "stderr.txt"
    options = {"max_file_bytes": 1000, "can_cancel": False, "empty_call_ids": True}
    with serving_with(log, **options) as url:
        yield url


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def wire(server: str) -> Wire:
    """The open server without an SDK."""
    return Wire(server)


@pytest.fixture
def locked_wire(locked_server: str) -> Wire:
    """The locked server without an SDK."""
    return Wire(locked_server)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs find the servers, whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def recorders() -> dict[str, Recorder]:
    """What has been called of each SDK so far."""
    return RECORDERS


@pytest.fixture
def whole_run(
    request: pytest.FixtureRequest, recorders: dict[str, Recorder]
) -> dict[str, Recorder]:
    """What a run of the whole suite has called of the SDKs; a part of it proves nothing."""
    collected = {item.path for item in request.session.items}
    parts = any("::" in argument for argument in request.config.args)
    deselected = request.config.stash.get(DESELECTED, False)
    if parts or deselected or collected != set(HERE.rglob("test_*.py")):
        pytest.skip("only a part of the suite runs")
    return recorders
