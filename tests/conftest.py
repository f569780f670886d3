"""What every test stands on: no keys from the machine, a fresh local server, a client of it."""

import gc
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import coverage
import pytest
from hypothesis import settings

from aiodashassist import DashScope
from aiodashassist.server import LocalServer

# The vendors' SDKs pin a great deal: their suite has a virtual environment of its own (.ci/run).
collect_ignore = ["conformance"]

# How long an example takes is the machine's business; in CI the examples are always the same.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")

VARIABLES = (
    "APPBUILDER_TOKEN",
    "DASHSCOPE_API_KEY",
    "DASHSCOPE_API_KEY_FILE_PATH",
    "DASHSCOPE_HTTP_BASE_URL",
    "DASHSCOPE_WORKSPACE_ID",
    "GATEWAY_URL",
)


def pytest_collection_finish() -> None:
    """What is there before the first test is not its garbage: no `gc.collect` looks through it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Under coverage, note which test runs a line: fixtures, tasks and threads included."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid)
    return (yield)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees a key, or a home, of whoever runs it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """A fresh local server on a free port."""
    async with LocalServer() as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[DashScope]:
    """A client of the fresh local server."""
    async with server.client(DashScope) as made:
        yield made


@pytest.fixture
async def assistant_id(client: DashScope) -> str:
    """An assistant on the fresh local server."""
    return (await client.assistants.create(model="qwen-max", name="tester")).id
