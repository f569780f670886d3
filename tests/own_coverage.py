"""Checks that each pure module is covered, branches included, by its own test file alone.

    coverage run -m pytest && python -m tests.own_coverage

Reads the coverage data with its contexts, one a test. A module without functions, such
as one of plain structs, has nothing to cover and is exempt. The package as a whole must reach
`WHOLE` per cent. Exit status 1, with a line for each gap.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PURE = ("core", "providers")
WHOLE = 95.0


def own_test(module: Path) -> Path:
    """The test file of a module: tests/core/test_sse.py for aiodashassist/core/sse.py."""
    inner = module.relative_to(ROOT / "aiodashassist")
    name = f"{inner.parent.name}" if inner.stem == "__init__" else inner.stem
    return ROOT / "tests" / inner.parent / f"test_{name}.py"


def has_code(module: Path) -> bool:
    """Whether there is a function in it, methods included."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


def report(*options: str) -> dict[str, Any]:
    """The report of coverage.py, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(out), *options]
        subprocess.run(command, cwd=ROOT, check=True)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def gaps(module: Path) -> str | None:
    """What the module's own tests leave out; None where that is nothing."""
    test = own_test(module)
    name = module.relative_to(ROOT).as_posix()
    if not test.exists():
        return f"{name}: has no test file {test.relative_to(ROOT).as_posix()}"
    # Contexts are the ids of tests (conftest.py); `^$` is what ran before the first of them.
    own = re.escape(test.relative_to(ROOT).as_posix())
    figures = report(f"--include={name}", f"--contexts=^{own}::,^$")["files"][name]
    lines = figures["missing_lines"]
    branches = [f"{start}->{end}" for start, end in figures["missing_branches"]]
    return f"{name}: lines {lines} branches {branches}" if lines or branches else None


def main() -> int:
    """Print the gaps; the exit status."""
    modules = [
        path
        for room in PURE
        for path in sorted((ROOT / "aiodashassist" / room).rglob("*.py"))
        if has_code(path)
    ]
    found = [gap for gap in map(gaps, modules) if gap is not None]
    whole = report()["totals"]["percent_covered"]
    if whole < WHOLE:
        found.append(f"the package: {whole:.2f} %, less than {WHOLE} %")
    for gap in found:
        print(gap)
    print(f"{len(modules)} pure modules by their own tests; the package: {whole:.2f} %")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
