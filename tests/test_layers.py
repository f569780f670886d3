"""The house keeps its walls: who may import whom, and where there may be no await."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "aiodashassist"
NAME = PACKAGE.name

# From the ground up; a room may import its own layer and those below. `server` stands beside
# the client on top of `providers`; neither knows the other.
LAYERS = (
    ("errors",),
    ("core.tooling",),
    (
        "core.models",
        "core.settings",
        "core.sse",
        "core.checks",
        "core.outputs",
        "core.plain",
        "core.disposition",
    ),
    ("core.events", "core.params", "core.result", "core.files", "core.decoding"),
    ("core.operations",),
    (
        "core.provider",
        "core.machine",
        "core.snapshot",
        "core.encoding",
        "core.failures",
        "core.known",
        "core.marks",
        "core.reconcile",
        "core.retry",
    ),
    (
        "providers",
        "schema",
        "handler",
        "tools",
        "config",
        "clocks",
        "turns",
        "threads",
        "duties",
        "errands",
        "pages",
        "hooks",
        "uploads",
        "downloads",
        "discretion",
        "body",
        "sending",
    ),
    ("session", "jobs"),
    ("calls",),
    ("dispatch",),
    ("feed", "retelling", "ensure"),
    ("polling",),
    ("exchange",),
    ("source",),
    ("loop",),
    ("stream",),
    ("resources",),
    ("client",),
    ("services",),
    ("cli",),
    ("testing",),
)
BESIDE = ("server",)
TOP = ("cli", "testing")  # may know the server, and the package itself
AIOHTTP = ("session", "server")
PURE = ("core", "providers", "errors")
# All that a pure room needs.
QUIET = {
    "collections",
    "copy",
    "datetime",
    "email",
    "enum",
    "itertools",
    "math",
    "msgspec",
    "re",
    "typing",
    "unicodedata",
    "urllib",
}
DOORS = {"", "__main__", "events", "core", "face"}  # the package's own doors: re-exports only


def module_name(path: Path) -> str:
    """`core.sse` for aiodashassist/core/sse.py, `""` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def within(name: str, room: str) -> bool:
    """Whether a module is in a room."""
    return name == room or name.startswith(room + ".")


def imports(tree: ast.AST, name: str = "") -> Iterator[str]:
    """Every module that a module imports, inside functions too; not under `if TYPE_CHECKING:`."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = f"{NAME}.{name}".split(".")[: -node.level or None] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from (item if is_module(item) else module for item in names)


def waits(tree: ast.AST) -> bool:
    """Whether there is anything asynchronous in it."""
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
    return any(
        isinstance(node, kinds) or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in ast.walk(tree)
    )


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of ours rather than a name in one."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def level(name: str) -> int | None:
    """The layer of a module; None for one that stands beside."""
    for height, rooms in enumerate(LAYERS):
        if any(within(name, room) for room in rooms):
            return height
    return None


def faults(name: str, source: str) -> list[str]:
    """What a module does that its room does not allow."""
    tree = ast.parse(source)
    found = []
    everything = set(imports(tree, name))
    ours = {item.removeprefix(NAME).lstrip(".") for item in everything if item.startswith(NAME)}
    if name not in DOORS:
        found += [f"{name} imports {other}" for other in ours if not allowed(name, other)]
    outside = {item.split(".")[0] for item in everything} - {NAME}
    if any(within(name, room) for room in PURE):
        found += [f"{name} imports {other}" for other in sorted(outside - QUIET)]
        found += [f"{name} awaits"] if waits(tree) else []
    if "aiohttp" in outside and not any(within(name, room) for room in AIOHTTP):
        found.append(f"{name} imports aiohttp")
    return found


def allowed(name: str, other: str) -> bool:
    """Whether a module may import another of ours."""
    mine, theirs = level(name), level(other)
    if within(name, "providers") and within(other, "providers"):
        return name.split(".")[1:2] == other.split(".")[1:2] or other == "providers"
    if any(within(name, room) for room in BESIDE):
        ground = level("providers") or 0
        return within(other, "server") or (theirs is not None and theirs <= ground)
    if any(within(other, room) for room in BESIDE):
        return any(within(name, room) for room in TOP)
    if mine is None or theirs is None:
        return other == "" and any(within(name, room) for room in TOP)
    return theirs <= mine


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=[module_name(path) or NAME for path in MODULES])
def test_imports_go_down_and_pure_rooms_do_not_wait(path: Path) -> None:
    """A module imports its own layer and those below; pure rooms have no await and no I/O."""
    assert faults(module_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=[module_name(path) or NAME for path in MODULES])
def test_every_module_has_its_layer(path: Path) -> None:
    """A new room must be given its place in the list of layers."""
    name = module_name(path)
    beside = any(within(name, room) for room in BESIDE)

    assert name in DOORS or beside or level(name) is not None


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core.machine", "from aiodashassist.session import Session"),
        ("core.sse", "async def feed(): ..."),
        ("core.sse", "import asyncio"),
        ("core.models", "def now():\n    import time"),
        ("providers.dashscope.codec", "async def f():\n    await g()"),
        ("providers.dashscope.codec", "from aiodashassist.providers.appbuilder import codec"),
        ("providers.dashscope.codec", "from aiodashassist.client import DashScope"),
        ("dispatch", "from aiodashassist.stream import RunStream"),
        ("server.app", "from aiodashassist.client import DashScope"),
        ("client", "from aiodashassist.server import LocalServer"),
        ("stream", "import aiohttp"),
        ("resources.runs", "from aiodashassist.cli import app"),
        ("cli.serve", "from aiodashassist.testing import replay"),
        ("client", "from aiodashassist.testing import cassette"),
        ("testing.replaying", "import aiohttp"),
        ("core.sse", "from ..session import Session"),
        ("core.sse", "from .. import session"),
        ("server.app", "from aiodashassist import DashScope"),
        ("core.machine", "if not TYPE_CHECKING:\n    from aiodashassist.session import Session"),
        ("core.sse", "x = [i async for i in y]"),
        ("core.sse", "import uuid"),
    ],
)
def test_a_broken_wall_is_seen(name: str, source: str) -> None:
    """Each kind of fault is found when it is there."""
    assert faults(name, source) != []
