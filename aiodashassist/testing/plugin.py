"""A plugin for pytest: a local server for each test, and clients of it.

    local_server    a `LocalServer` on a free port; `local_server.faults` makes it fail
    dashscope       a `DashScope` client of it, closed after the test
    appbuilder      an `AppBuilder` client of it

    async def test_answers(dashscope): ...

The clients send again at once, without pauses: `Retry(first_delay=0)`.

pytest finds it by itself. It works with pytest-asyncio (0.24 or newer) in either mode, and with
anyio's plugin on its asyncio backend. A `local_server` of your own, in a conftest.py, is what the
clients then use.

pytest imports this at its start, whether anybody asks for it or not: all else is imported later.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from aiodashassist import AppBuilder, DashScope
    from aiodashassist.server import LocalServer

__all__ = ("appbuilder", "dashscope", "local_server")

SCOPES = ("function", "class", "module", "package", "session")
"""Whose event loop a test of pytest-asyncio may run in; what it uses must be opened there."""
ASKING = (1, 1)
"""The first pytest-asyncio that takes fixtures when a test asks, and not when it is collected."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures that an older pytest-asyncio has to see before it collects tests.

    Nothing is raised here, whatever is installed: it would end the run of a suite that has no use
    for us. Who asks for a fixture is told.
    """
    with suppress(Exception):
        if _has_pytest_asyncio(config) and _version_of_pytest_asyncio() < ASKING:
            for scope in SCOPES:
                _register_asyncio(config, scope)


@pytest.fixture
def local_server(request: pytest.FixtureRequest) -> "LocalServer":
    """A fresh local server on a free port, closed after the test."""
    return cast("LocalServer", _opened(request, "local_server"))


@pytest.fixture
def dashscope(request: pytest.FixtureRequest) -> "DashScope":
    """A DashScope client of the test's local server, closed after the test."""
    return cast("DashScope", _opened(request, "dashscope"))


@pytest.fixture
def appbuilder(request: pytest.FixtureRequest) -> "AppBuilder":
    """An AppBuilder client of the test's local server, closed after the test."""
    return cast("AppBuilder", _opened(request, "appbuilder"))


def _register(
    config: pytest.Config, flavour: str, fixture: Callable[..., Any], **options: Any
) -> None:
    """Make the async fixtures in a flavour of their own, where they are not there yet."""

    async def opened_server() -> AsyncIterator[Any]:
        from aiodashassist.server import LocalServer  # noqa: PLC0415

        async with LocalServer() as server:
            yield server

    async def opened_dashscope(local_server: Any) -> AsyncIterator[Any]:
        from aiodashassist import DashScope, Retry  # noqa: PLC0415

        async with local_server.client(DashScope, retry=Retry(first_delay=0)) as client:
            yield client

    async def opened_appbuilder(local_server: Any) -> AsyncIterator[Any]:
        from aiodashassist import AppBuilder, Retry  # noqa: PLC0415

        async with local_server.client(AppBuilder, retry=Retry(first_delay=0)) as client:
            yield client

    holder = ModuleType(f"aiodashassist_{flavour}")
    if config.pluginmanager.hasplugin(holder.__name__):
        return
    made = {
        "local_server": opened_server,
        "dashscope": opened_dashscope,
        "appbuilder": opened_appbuilder,
    }
    for name, function in made.items():
        known_as = f"_{flavour}_{name}"
        setattr(holder, known_as, fixture(name=known_as, **options)(function))
    config.pluginmanager.register(holder, holder.__name__)


def _register_asyncio(config: pytest.Config, scope: str) -> None:
    """Make the fixtures that are opened in one of pytest-asyncio's loops.

    Raises:
        TypeError: pytest-asyncio is older than 0.24, and its fixtures have no loop of their own.
    """
    import pytest_asyncio  # noqa: PLC0415 (only where it is there)

    _register(config, f"asyncio_{scope}", pytest_asyncio.fixture, loop_scope=scope)


def _opened(request: pytest.FixtureRequest, name: str) -> object:
    """The fixture of this name in the flavour of the test: opened in the loop that it runs in."""
    marker = request.node.get_closest_marker("asyncio")  # in auto mode every async test has one
    if "anyio_backend" in request.fixturenames:
        if marker is not None:  # the fixture would be opened in the loop of the one that is left
            words = "pytest-asyncio and anyio both run this test: set asyncio_mode to strict"
            pytest.fail(words, pytrace=False)
        backend = request.getfixturevalue("anyio_backend_name")
        if backend != "asyncio":
            pytest.skip(f"aiodashassist runs on asyncio, not on {backend}")
        _register(request.config, "anyio", pytest.fixture)
        return request.getfixturevalue(f"_anyio_{name}")
    if marker is None or not _has_pytest_asyncio(request.config):
        words = f"{name} is for async tests, run by pytest-asyncio or marked with pytest.mark.anyio"
        pytest.fail(words, pytrace=False)
    scope = _loop_scope(request.config, marker)
    try:
        _register_asyncio(request.config, scope)
    except TypeError:
        pytest.fail(f"{name} needs pytest-asyncio 0.24 or newer", pytrace=False)
    return request.getfixturevalue(f"_asyncio_{scope}_{name}")


def _loop_scope(config: pytest.Config, marker: pytest.Mark) -> str:
    """Whose event loop a test of pytest-asyncio runs in."""
    usual = None
    with suppress(ValueError, KeyError):  # before 0.26 there is no such setting
        usual = config.getini("asyncio_default_test_loop_scope")
    given = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")  # the older word for it
    return str(given or usual or "function")


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    """Whether it runs tests here, by whatever name it was loaded."""
    return any(map(config.pluginmanager.hasplugin, ("asyncio", "pytest_asyncio.plugin")))


def _version_of_pytest_asyncio() -> tuple[int, ...]:
    """Its first two numbers."""
    import pytest_asyncio  # noqa: PLC0415 (only where it is there)

    return tuple(int(number) for number in pytest_asyncio.__version__.split(".")[:2])
