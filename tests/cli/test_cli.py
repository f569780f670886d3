"""The command line: what it prints, and the status it exits with."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys

import pytest

from aiodashassist import (
    Content,
    DashScope,
    ErrorEvent,
    MessageDelta,
    Thread,
    ThreadEvent,
    ToolCall,
    ToolProgress,
    UnknownEvent,
)
from aiodashassist.cli import run
from aiodashassist.cli.demo import _line, _show, show_demo


def started(*arguments: str) -> "subprocess.Popen[str]":
    """`python -m aiodashassist ...` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "aiodashassist", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def test_demo_shows_the_whole_run_and_succeeds() -> None:
    """Two calls side by side, a second round, every event, the answer; plain text in a pipe."""
    process = started("demo")
    out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    order = [
        "requires_action waits for get_weather, get_air_quality",
        "ToolStarted get_weather",
        "ToolStarted get_air_quality",
        "ToolFinished",
        "ToolFinished",
        "requires_action waits for suggest_walk",
        "ToolFinished suggest_walk",
        "thread.message.delta",
        "thread.run.completed",
        "suggest_walk -> 西湖",
        "3 tool calls",
    ]
    position = 0
    for words in order:
        later = [" ".join(line.split()) for line in lines[position:]]
        position += next(i for i, line in enumerate(later) if words in line) + 1
    assert "\x1b" not in out


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_first_and_ends_cleanly(sign: signal.Signals) -> None:
    """The first line is the address; a signal ends it with status 0 and no traceback."""
    process = started("serve", "--port", "0", "--api-key", "sk-right")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("serving http://127.0.0.1:")

    async def ask() -> None:
        url = first.split()[1] + "/api/v1"
        async with DashScope("sk-right", base_url=url) as client:
            made = await client.assistants.create(model="m")
            assert (await client.ask("你好", assistant_id=made.id)).text == "你好"

    asyncio.run(ask())
    process.send_signal(sign)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_serve_answers_to_the_names_that_are_allowed() -> None:
    """Each `--allowed-host` is one, besides the usual; a strange one is 403."""
    names = ("--allowed-host", "one.test", "--allowed-host", "Two.test")
    process = started("serve", "--port", "0", *names)
    assert process.stdout is not None
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    found = {}
    try:
        for host in ("one.test", "two.test:80", "localhost", "three.test"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {"Host": host, "Authorization": "Bearer x"}
            connection.request("POST", "/api/v1/threads", b"{}", headers)
            found[host] = connection.getresponse().status
            connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)

    assert found == {"one.test": 200, "two.test:80": 200, "localhost": 200, "three.test": 403}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--port", "x"],
        ["serve", "extra", "--what"],
        ["serve", "--port", "99999"],
        ["serve", "--allowed-host"],
        ["serve", "--allowed-host", "box.test:80"],
        ["serve", "--allowed-host", "good.test", "--allowed-host", "*.test"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood is said on standard error, with status 2."""
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out + captured.err != ""


def test_a_port_that_is_taken_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails says why in one line, with status 1."""
    process = started("serve", "--port", "0")
    assert process.stdout is not None
    port = process.stdout.readline().rsplit(":", 1)[1].strip()
    try:
        assert run(["serve", "--port", port]) == 1
    finally:
        process.terminate()
        process.communicate(timeout=20)

    assert capsys.readouterr().err.startswith("error: ")


def test_version_and_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Both succeed."""
    assert run(["--version"]) == 0
    assert run(["--help"]) == 0
    assert "demo" in capsys.readouterr().out


async def test_the_demo_runs_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    """The same without a process, so that its lines are seen to run."""
    await show_demo()

    assert "thread.run.completed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ThreadEvent(thread=Thread(id="thread_1")), "thread_1"),
        (ErrorEvent(code="c", message="m"), "c: m"),
        (UnknownEvent(name="x"), ""),
        (ToolProgress(call=ToolCall(type="t"), data=0.5), "t: 0.5"),
        (MessageDelta(message_id="m", text="", content=(Content(),)), "(end)"),
    ],
)
def test_every_event_has_its_line(event: ThreadEvent, words: str) -> None:
    """Events that the demo's own run does not have can be shown too."""
    assert _line(event)[1] == words


def test_colours_are_for_terminals() -> None:
    """On a terminal a line has colours; in a pipe it has none."""
    from io import StringIO

    from rich.console import Console

    event = MessageDelta(message_id="m", text="[x]你", name="thread.message.delta")
    shown = {}
    for terminal in (True, False):
        out = StringIO()
        _show(Console(file=out, force_terminal=terminal, soft_wrap=True), event, 1.0)
        shown[terminal] = out.getvalue()

    assert "\x1b[" in shown[True]
    assert shown[False].split() == ["1.000", "thread.message.delta", "'[x]你'"]
