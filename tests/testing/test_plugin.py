"""aiodashassist/testing/plugin.py: here, and as users' suites run it, in programs of their own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aiodashassist import AppBuilder, ConnectError, DashScope, Retry
from aiodashassist.core.retry import Attempts, Budget
from aiodashassist.server import Drop, LocalServer
from aiodashassist.testing import plugin
from aiodashassist.testing.plugin import appbuilder, dashscope, local_server

__all__ = ("appbuilder", "dashscope", "local_server")  # where the plugin is not installed

ROOT = Path(__file__).parents[2]
ENTRY = "[pytest11]\naiodashassist = aiodashassist.testing.plugin\n"
METADATA = "Metadata-Version: 2.1\nName: aiodashassist-plugin\nVersion: 0\n"
TIMEOUT = 60

ASYNCIO = """
import asyncio
import pytest

@pytest.mark.asyncio
async def test_answers(dashscope, appbuilder, local_server):
    for client in (dashscope, appbuilder):
        assistant = await client.assistants.create(model="m", name="n")
        assert (await client.ask("hi", assistant_id=assistant.id)).text == "hi"
    assert str(local_server.url) in repr(dashscope)
"""
AUTO = ASYNCIO.replace("@pytest.mark.asyncio\n", "")
ANYIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
""" + ASYNCIO.replace("mark.asyncio", "mark.anyio")


async def test_the_clients_are_of_the_server(
    request: pytest.FixtureRequest, dashscope: DashScope, appbuilder: AppBuilder
) -> None:
    """Both clients reach the one server of the test."""
    server: LocalServer = request.getfixturevalue("local_server")
    await dashscope.threads.create()
    await appbuilder.threads.create()

    assert server.dashscope_url in repr(dashscope)
    assert server.appbuilder_url in repr(appbuilder)


async def test_the_clients_send_again_at_once(
    request: pytest.FixtureRequest, dashscope: DashScope, appbuilder: AppBuilder
) -> None:
    """A test that loses a request does not wait for its second attempt: there are no pauses."""
    server: LocalServer = request.getfixturevalue("local_server")
    for client in (dashscope, appbuilder):
        server.faults.add(Drop(operation="CreateThread", times=1))
        retry = client._session.config.retry
        attempts = Attempts(retry, Budget(1), 0)

        assert (await client.threads.create()).id
        assert attempts.next(ConnectError("x"), 0, 1) == 0
        assert retry == Retry(first_delay=0)


def test_without_pytest_asyncio_anyio_opens_them(
    request: pytest.FixtureRequest, anyio_backend: object
) -> None:
    """Where a test is anyio's, so are its fixtures."""
    server: LocalServer = request.getfixturevalue("local_server")
    client: DashScope = request.getfixturevalue("dashscope")
    other: AppBuilder = request.getfixturevalue("appbuilder")

    assert anyio_backend == "asyncio"
    assert server.dashscope_url in repr(client)
    assert server.appbuilder_url in repr(other)


def test_a_plain_test_has_no_loop(request: pytest.FixtureRequest) -> None:
    """A test that is not async cannot have them: nothing would be served."""
    with pytest.raises(pytest.fail.Exception, match="local_server is for async tests"):
        request.getfixturevalue("local_server")


@pytest.mark.parametrize(
    ("marker", "backend", "outcome", "words"),
    [
        (SimpleNamespace(kwargs={}), "asyncio", pytest.fail, "set asyncio_mode to strict"),
        (None, "trio", pytest.skip, "not on trio"),
    ],
)
def test_who_cannot_have_them_is_told(
    marker: object, backend: str, outcome: Any, words: str
) -> None:
    """A test that two plugins run fails, one on another backend is skipped; both say why."""
    request: Any = SimpleNamespace(
        fixturenames=["anyio_backend"],
        node=SimpleNamespace(get_closest_marker=lambda _name: marker),
        getfixturevalue=lambda _name: backend,
    )
    with pytest.raises(outcome.Exception, match=words):
        plugin._opened(request, "local_server")


class Config:
    """A stub of pytest's configuration, with a pytest-asyncio and perhaps without its settings."""

    def __init__(self, *loaded: str, settings: dict[str, str] | None = None) -> None:
        self.pluginmanager = self
        self.loaded = {name: object() for name in loaded}
        self.settings = settings

    def hasplugin(self, name: str) -> bool:
        return name in self.loaded

    def register(self, made: object, name: str) -> None:
        self.loaded[name] = made

    def getini(self, name: str) -> str:
        if self.settings is None:
            raise ValueError(f"unknown configuration value: {name!r}")
        return self.settings[name]


def installed(
    monkeypatch: pytest.MonkeyPatch, version: object, scoped: bool = True
) -> list[dict[str, Any]]:
    """Put a stub of pytest-asyncio in its place; what its fixtures were made with."""
    made: list[dict[str, Any]] = []

    def note(**options: Any) -> Any:
        made.append(options)
        return lambda function: function

    def old(*, name: str) -> Any:
        return note(name=name)

    stub: Any = ModuleType("pytest_asyncio")
    stub.fixture = note if scoped else old
    if version is not None:
        stub.__version__ = version
    monkeypatch.setitem(sys.modules, "pytest_asyncio", stub)
    return made


@pytest.mark.parametrize(
    ("version", "scoped", "fixtures"),
    [
        ("0.23.8", False, 0),
        ("0.24.0", True, 15),
        ("1.0.0", True, 15),
        ("1.1.0", True, 0),
        ("1.1.0a1", True, 0),
        ("12.0", True, 0),
        ("unknown", True, 0),
        (None, True, 0),
    ],
)
def test_to_configure_never_raises(
    version: object, scoped: bool, fixtures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is installed, a run goes on; fixtures are made early only where they have to be."""
    made = installed(monkeypatch, version, scoped)
    config: Any = Config("asyncio")
    plugin.pytest_configure(config)

    assert len(made) == fixtures
    assert len({one["loop_scope"] for one in made}) == fixtures // 3


def test_without_pytest_asyncio_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytest-asyncio is installed and not loaded, nothing is made for it."""
    made = installed(monkeypatch, "1.0.0")
    plugin.pytest_configure(Config())  # type: ignore[arg-type]

    assert not made


def asking(config: Config, **given: Any) -> Any:
    """A test of pytest-asyncio that asks for a fixture; it gets the fixture's name."""
    marker = SimpleNamespace(kwargs=given)
    return SimpleNamespace(
        config=config,
        fixturenames=[],
        node=SimpleNamespace(get_closest_marker=lambda _name: marker),
        getfixturevalue=lambda name: name,
    )


@pytest.mark.parametrize(
    ("settings", "given", "scope"),
    [
        (None, {}, "function"),
        ({}, {}, "function"),
        ({"asyncio_default_test_loop_scope": ""}, {}, "function"),
        ({"asyncio_default_test_loop_scope": "module"}, {}, "module"),
        ({"asyncio_default_test_loop_scope": "module"}, {"loop_scope": "class"}, "class"),
        (None, {"scope": "session"}, "session"),
    ],
)
def test_only_the_loop_that_is_asked_for_has_fixtures(
    settings: dict[str, str] | None, given: dict[str, str], scope: str, monkeypatch: Any
) -> None:
    """The loop is that of the marker, else that of the settings, where there are any."""
    made = installed(monkeypatch, "1.2.0")
    config = Config("asyncio", settings=settings)
    for _ in range(2):
        assert plugin._opened(asking(config, **given), "dashscope") == f"_asyncio_{scope}_dashscope"

    assert [one["loop_scope"] for one in made] == [scope] * 3


def test_who_asks_a_pytest_asyncio_that_is_too_old_is_told(monkeypatch: Any) -> None:
    """A fixture that cannot be made fails its test, and no other, and says what it needs."""
    installed(monkeypatch, "0.23.8", scoped=False)

    with pytest.raises(pytest.fail.Exception, match=r"dashscope needs pytest-asyncio 0\.24"):
        plugin._opened(asking(Config("asyncio")), "dashscope")


def test_a_marker_alone_runs_no_test() -> None:
    """A test that is marked for pytest-asyncio where there is none is told so."""
    with pytest.raises(pytest.fail.Exception, match="is for async tests"):
        plugin._opened(asking(Config()), "dashscope")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a suite, with the plugin installed beside it."""
    entry = tmp_path / "site" / "aiodashassist_plugin-0.dist-info"
    entry.mkdir(parents=True)
    (entry / "entry_points.txt").write_text(ENTRY)
    (entry / "METADATA").write_text(METADATA)
    (tmp_path / "suite").mkdir()
    return tmp_path / "suite"


def run(folder: Path, *options: str, strict: bool = True) -> str:
    """Run a suite; what pytest said. With `strict` every warning is an error."""
    path = os.pathsep.join([str(ROOT), str(folder.parent / "site")])
    known = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "PYTHONPATH": path}
    warnings = ("-W", "error") if strict else ()
    done = subprocess.run(
        [sys.executable, *warnings, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=known,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.stdout + done.stderr


LOOP = ("-o", "asyncio_default_fixture_loop_scope=function")


@pytest.mark.parametrize(
    ("suite", "options"),
    [
        (ASYNCIO, LOOP),
        (ASYNCIO, (*LOOP, "-o", "asyncio_mode=auto")),
        (AUTO, (*LOOP, "-o", "asyncio_mode=auto")),
        (AUTO, (*LOOP, "-o", "asyncio_mode=auto", "-p", "no:anyio")),
        (ANYIO, ("-p", "no:asyncio")),
        (ANYIO, LOOP),
    ],
    ids=["strict", "auto, marked", "auto", "without anyio", "anyio", "anyio beside asyncio"],
)
def test_the_fixtures_work_in_every_mode(
    suite: str, options: tuple[str, ...], folder: Path
) -> None:
    """A test gets a server and clients of it, whoever runs async tests, without a warning."""
    (folder / "test_it.py").write_text(suite)

    assert "1 passed" in run(folder, *options)


def test_the_fixtures_are_opened_in_the_loop_of_the_test(folder: Path) -> None:
    """Tests that share a loop have servers and clients that live in it, fresh for each test."""
    (folder / "test_it.py").write_text("""
import pytest

@pytest.mark.asyncio(loop_scope="module")
async def test_one(dashscope):
    await dashscope.assistants.create(model="m")

@pytest.mark.asyncio(loop_scope="module")
async def test_two(dashscope):
    assert not (await dashscope.assistants.list()).data

class TestSome:
    @pytest.mark.asyncio(loop_scope="class")
    async def test_three(self, dashscope):
        await dashscope.assistants.list()

@pytest.mark.asyncio
async def test_four(appbuilder):
    await appbuilder.assistants.list()
""")

    assert "4 passed" in run(folder, *LOOP, "-o", "asyncio_default_test_loop_scope=session")


def test_all_is_closed_after_the_test(folder: Path) -> None:
    """Clients are closed before their server, and both when the test has ended."""
    (folder / "test_it.py").write_text("""
import pytest
from aiodashassist import LocalProtocolError

kept = []

@pytest.mark.asyncio(loop_scope="module")
async def test_one(dashscope, appbuilder, local_server):
    await dashscope.threads.create()
    kept.extend([dashscope, appbuilder, local_server])

@pytest.mark.asyncio(loop_scope="module")
async def test_two():
    for client in kept[:2]:
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.threads.create()
    with pytest.raises(RuntimeError, match="not running"):
        kept[2].url
""")

    assert "2 passed" in run(folder, *LOOP)


def test_faults_can_be_injected(folder: Path) -> None:
    """`local_server.faults` makes the server fail, and the client copes."""
    (folder / "test_it.py").write_text("""
import pytest
from aiodashassist import RateLimited, Retry
from aiodashassist.server import Refuse

@pytest.mark.asyncio
async def test_limits(dashscope, local_server):
    local_server.faults.add(Refuse(status=429))
    with pytest.raises(RateLimited):
        await dashscope.with_options(retry=Retry(attempts=1)).threads.create()
""")

    assert "1 passed" in run(folder, *LOOP)


def test_a_server_of_ones_own_is_used(folder: Path) -> None:
    """A `local_server` in the suite's conftest.py is what the clients reach."""
    (folder / "conftest.py").write_text("""
import pytest_asyncio
from aiodashassist.server import LocalServer

@pytest_asyncio.fixture
async def local_server():
    async with LocalServer(api_key="sk-of-the-suite") as server:
        yield server
""")
    (folder / "test_it.py").write_text("""
import pytest
from aiodashassist import AuthenticationError

@pytest.mark.asyncio
async def test_key(dashscope):
    await dashscope.threads.create()
    with pytest.raises(AuthenticationError):
        await dashscope.with_options(api_key="sk-another").threads.create()
""")

    assert "1 passed" in run(folder, *LOOP)


def test_a_test_that_two_plugins_run_is_told(folder: Path) -> None:
    """Where pytest-asyncio takes a test of anyio's, too, it fails at once and says what to do."""
    (folder / "test_it.py").write_text(ANYIO)
    said = run(folder, *LOOP, "-o", "asyncio_mode=auto")

    assert "set asyncio_mode to strict" in said


OLD = """
import sys
from types import ModuleType

plugin = ModuleType("pytest_asyncio.plugin")
stub = ModuleType("pytest_asyncio")
stub.__version__ = "0.23.8"
stub.plugin = plugin

def fixture(*, name=None):
    raise AssertionError("nobody asks")

stub.fixture = fixture
sys.modules |= {"pytest_asyncio": stub, "pytest_asyncio.plugin": plugin}

def pytest_addoption(parser, pluginmanager):
    pluginmanager.register(plugin, "asyncio")
"""


def test_a_suite_that_has_no_use_for_it_runs_on(folder: Path) -> None:
    """With a pytest-asyncio that is too old, tests that ask for nothing pass, as without us."""
    (folder / "old_asyncio.py").write_text(OLD)
    (folder / "test_it.py").write_text("""
def test_nothing(pytestconfig):
    import pytest_asyncio

    assert pytest_asyncio.__version__ == "0.23.8"
    assert pytestconfig.pluginmanager.hasplugin("aiodashassist")
    assert pytestconfig.pluginmanager.hasplugin("asyncio")
""")

    assert "1 passed" in run(
        folder, "-p", "old_asyncio", "-p", "no:pytest_asyncio", "--trace-config"
    )


def test_hidden_fixtures_are_only_those_asked_for(folder: Path) -> None:
    """`pytest --fixtures -v` of a suite shows the three fixtures, and nothing behind them."""
    (folder / "test_it.py").write_text(ASYNCIO)
    said = run(folder, *LOOP, "--fixtures", "-v")

    assert "dashscope -- " in said
    assert "_asyncio_" not in said
    assert "_anyio_" not in said


def test_nothing_is_imported_before_it_is_asked_for(folder: Path) -> None:
    """A suite that has no use for the plugin pays nothing for it: no aiohttp, no client."""
    (folder / "test_it.py").write_text("""
import sys

def test_light(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("aiodashassist")
    assert "aiohttp" not in sys.modules
    assert [name for name in sys.modules if name.startswith("aiodashassist")] == [
        "aiodashassist", "aiodashassist.testing", "aiodashassist.testing.plugin"
    ]
""")

    assert "1 passed" in run(folder, *LOOP)


def test_the_package_names_its_plugin() -> None:
    """The plugin is found by the package's entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"aiodashassist": "aiodashassist.testing.plugin"}
