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

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("AIODASHASSIST_PYTHON", str(ROOT / ".venv/bin/python"))
SAID = "serving "


@contextmanager
def serving(log: Path, *options: str) -> Iterator[str]:
    """The URL of a server under way; it has to end well, and to have complained of nothing."""
    command = [PYTHON, "-m", "aiodashassist", "serve", "--port", "0", *options]
    with log.open("w+") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
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
    with serving(tmp_path_factory.mktemp("open") / "stderr.txt") as url:
        yield url + "/api/v1"


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes one key only."""
    with serving(tmp_path_factory.mktemp("locked") / "stderr.txt", "--api-key", KEY) as url:
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
