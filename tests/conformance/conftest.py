"""A local server in a process of its own, and the official SDK pointed at it.

The server's interpreter is named by the environment variable AIODASHASSIST_PYTHON.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dashscope
import pytest
from dashscope_sdk.calls import KEY, Wire
from dashscope_sdk.recorder import RECORDER, Recorder, find_classes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = os.environ.get("AIODASHASSIST_PYTHON", str(ROOT / ".venv/bin/python"))
SAID = "serving "
SERVE = ("-m", "aiodashassist", "serve", "--port", "0")
# As the live service was seen and is documented: no ids of calls, no cancelling. Few bytes a file.
NARROW = """
import asyncio, contextlib, signal
from aiodashassist.server import LocalServer

async def serve():
    stopped = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with LocalServer(max_file_bytes=1000, can_cancel=False, empty_call_ids=True) as server:
        print(f"serving {server.url}", flush=True)
        await stopped.wait()

asyncio.run(serve())
"""
LAST = "test_every_call.py"
DESELECTED = pytest.StashKey[bool]()


def pytest_configure() -> None:
    """Watch the SDK before the first test module takes a method of it."""
    for cls in find_classes():
        RECORDER.watch(cls)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back on all tests comes after them."""
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note that not all tests run."""
    if items:
        items[0].config.stash[DESELECTED] = True


@contextmanager
def serving(log: Path, *arguments: str) -> Iterator[str]:
    """The URL of a server under way; it has to end well, and to have complained of nothing."""
    with log.open("w+") as errors:
        process = subprocess.Popen(
            [PYTHON, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith(SAID + "http://127.0.0.1:"), (line, log.read_text())
            yield line.removeprefix(SAID).strip()
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert not log.read_text(), log.read_text()
    assert process.returncode == 0 or sys.platform == "win32"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes any key."""
    with serving(tmp_path_factory.mktemp("open") / "stderr.txt", *SERVE) as url:
        yield url + "/api/v1"


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes one key only."""
    log = tmp_path_factory.mktemp("locked") / "stderr.txt"
    with serving(log, *SERVE, "--api-key", KEY) as url:
        yield url + "/api/v1"


@pytest.fixture(scope="session")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes files of 1,000 bytes, cannot cancel and gives no ids to calls."""
    with serving(tmp_path_factory.mktemp("narrow") / "stderr.txt", "-c", NARROW) as url:
        yield url + "/api/v1"


@pytest.fixture
def wire(server: str) -> Wire:
    """The open server without the SDK."""
    return Wire(server)


@pytest.fixture
def locked_wire(locked_server: str) -> Wire:
    """The locked server without the SDK."""
    return Wire(locked_server)


@pytest.fixture(autouse=True)
def _sdk(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the open server, whatever the environment says."""
    monkeypatch.setattr(dashscope, "base_http_api_url", server)
    monkeypatch.setattr(dashscope, "api_key", "any-key")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def recorder() -> Recorder:
    """What has been called of the SDK so far."""
    return RECORDER


@pytest.fixture
def whole_run(request: pytest.FixtureRequest) -> Recorder:
    """What a run of the whole suite has called of the SDK; a part of it proves nothing."""
    collected = {item.path for item in request.session.items}
    parts = any("::" in argument for argument in request.config.args)
    deselected = request.config.stash.get(DESELECTED, False)
    if parts or deselected or collected != set(HERE.rglob("test_*.py")):
        pytest.skip("only a part of the suite runs")
    return RECORDER
