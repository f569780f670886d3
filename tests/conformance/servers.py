"""Local servers, each in a process of its own.

Their interpreter is named by the environment variable AIODASHASSIST_PYTHON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("AIODASHASSIST_PYTHON", str(ROOT / ".venv/bin/python"))
SAID = "serving "
SERVE = ("-m", "aiodashassist", "serve", "--port", "0")
# A server as the command line does not make it: its options come as JSON.
CUSTOM = """
import asyncio, contextlib, json, signal, sys
from aiodashassist.server import LocalServer

async def serve():
    stopped = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with LocalServer(**json.loads(sys.argv[1])) as server:
        print(f"serving {server.url}", flush=True)
        await stopped.wait()

asyncio.run(serve())
"""


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


@contextmanager
def serving_with(log: Path, **options: Any) -> Iterator[str]:
    """The URL of a server that is made with options."""
    with serving(log, "-c", CUSTOM, json.dumps(options)) as url:
        yield url
