"""A run that is paused by one process and finished by another, with a server in a third."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiodashassist import DashScope

PATIENCE = 40  # seconds that a process has to do its part
ANSWER = "weather -> 杭州 晴\npay -> paid 5"

SERVE = [sys.executable, "-m", "aiodashassist", "serve", "--port", "0"]
EMPTY_IDS = """
import asyncio
from aiodashassist.server import LocalServer

async def main():
    async with LocalServer(empty_call_ids=True) as server:
        print(f"serving {server.url}", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

TOOLS = """
import asyncio, json, sys
from pathlib import Path
from aiodashassist import DashScope, PauseRun, ToolOutput, tool

name, url, folder, pausing = sys.argv[1:]
state = Path(folder, "state.json")

def note(line):
    with Path(folder, "log").open("a", encoding="utf-8") as log:
        log.write(f"{name} {line}\\n")

@tool
async def weather(city: str) -> str:
    "The weather of a city."
    note(f"weather {city}")
    return f"{city} 晴"

@tool
async def pay(amount: int) -> str:
    "Pay."
    if name == "A" and pausing != "approve":
        raise PauseRun
    note(f"pay {amount}")
    return f"paid {amount}"

def approve(call):
    if name == "A" and pausing == "approve" and call.name == "pay":
        raise PauseRun
    return True

def client():
    return DashScope("local", base_url=url + "/api/v1")

"""

FIRST = (
    TOOLS
    + """
QUESTION = '''\\
/say 看看
/call weather {"city": "上海"}
/then
/call weather {"city": "杭州"}
/call pay {"amount": 5}'''

async def main():
    async with client() as dashscope:
        made = await dashscope.assistants.create(model="qwen-max")
        async with dashscope.stream(
            QUESTION, assistant_id=made.id, tools=[weather, pay], approve=approve
        ) as stream:
            result = await stream.result()
            assert [call.name for call in stream.pending_calls] == ["pay"]
            outputs = [[o.tool_call_id, o.output] for o in stream.completed_outputs]
            known = {"thread": result.thread_id, "run": result.run.id, "outputs": outputs}
            state.write_text(json.dumps(known), encoding="utf-8")
            if pausing == "killed":
                print("written", flush=True)
                await asyncio.Event().wait()

asyncio.run(main())
"""
)

SECOND = (
    TOOLS
    + """
async def main():
    known = json.loads(state.read_text(encoding="utf-8"))
    outputs = [ToolOutput(tool_call_id=i, output=o) for i, o in known["outputs"]]
    async with client() as dashscope, dashscope.threads.runs.attach(
        known["thread"], known["run"], tools=[weather, pay], approve=approve, outputs=outputs
    ) as stream:
        result = await stream.result()
        said = {"text": result.text, "calls": [call.output for call in result.tool_calls]}
        print(json.dumps(said))

asyncio.run(main())
"""
)

ENSURE = """
import asyncio, sys
from aiodashassist import DashScope

async def main():
    async with DashScope("local", base_url=sys.argv[1] + "/api/v1") as client:
        sys.stdin.readline()
        made = await client.assistants.ensure(name="helper", model="qwen-max")
        print(made.id)

print("ready", flush=True)
asyncio.run(main())
"""


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment
    ) as begun:
        try:
            yield begun
        finally:
            begun.kill()


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """A server in a process of its own, which says where in its first line."""
    with process(*command) as server:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("serving ").strip()


def finished(begun: subprocess.Popen[str]) -> str:
    """What a process printed until it ended well."""
    printed, _ = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 0
    return printed


@pytest.mark.parametrize("pausing", ["tool", "approve", "killed"])
@pytest.mark.parametrize("ids", ["given", "empty"])
def test_a_run_paused_by_one_process_is_finished_by_another(
    tmp_path: Path, pausing: str, ids: str
) -> None:
    """Its tools half done, by pause or by kill: each tool is executed once, and the answer full."""
    command = SERVE if ids == "given" else [sys.executable, "-c", EMPTY_IDS]
    with serving(*command) as url:
        arguments = (url, str(tmp_path), pausing)
        with process(sys.executable, "-c", FIRST, "A", *arguments) as first:
            if pausing == "killed":
                assert first.stdout is not None
                assert first.stdout.readline() == "written\n"
                first.kill()
                first.communicate(timeout=PATIENCE)
            else:
                finished(first)
        with process(sys.executable, "-c", SECOND, "B", *arguments) as second:
            said = json.loads(finished(second))

    assert said == {"text": f"看看{ANSWER}", "calls": ["上海 晴", "杭州 晴", "paid 5"]}
    log = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert log == ["A weather 上海", "A weather 杭州", "B pay 5"]


async def test_processes_that_ensure_together_agree(tmp_path: Path) -> None:
    """Three processes that begin at once get the same assistant, and leave only that one."""
    del tmp_path
    with serving(*SERVE) as url:
        command = (sys.executable, "-c", ENSURE, url)
        with process(*command) as one, process(*command) as two, process(*command) as three:
            workers = (one, two, three)
            for worker in workers:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            ids = {finished(worker).strip() for worker in workers}
        async with DashScope("local", base_url=url + "/api/v1") as client:
            left = [assistant.id async for assistant in client.assistants.list()]

    assert list(ids) == left
