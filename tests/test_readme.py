"""The README is true: its programs run, and its commands are the ones that CI runs."""

import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import aiodashassist
from aiodashassist import AppBuilder, DashScope
from aiodashassist.server import LocalServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
VENDOR = ROOT / "tests" / "conformance" / "dashscope_sdk" / "vendor_loop.py"
QUESTION = '/call get_weather {"city": "杭州"}\n/then\n/call get_weather {"city": "A", "unit": "f"}'
ANSWER = "get_weather -> A: 21 °F, sunny"


def block(words: str) -> str:
    """The one Python block that has these words."""
    (found,) = [code for code in PYTHON if words in code]
    return found


def printed_by(program: str) -> str:
    """What a program prints; it must end well and complain of nothing."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_every_python_block_is_run_by_a_test() -> None:
    """A new block needs a test: these seven have theirs, the vendor's in the conformance suite."""
    assert len(PYTHON) == 7


def test_the_program_with_a_tool_runs_as_it_stands() -> None:
    """A newcomer's first program prints the tool's output and the answer."""
    program = block("MessageDelta(text=text)")

    assert (
        printed_by(program) == "[get_weather gave 杭州: 晴, 24 °C]\nget_weather -> 杭州: 晴, 24 °C"
    )
    assert len([line for line in program.splitlines() if line.strip()]) <= 20


def test_one_program_runs_on_both_services() -> None:
    """The shown program prints the same answer twice; the type checker reads the same text."""
    program = block("AssistantsClient")
    file = (ROOT / "tests" / "one_program.py").read_text(encoding="utf-8")

    assert file.partition("\n\n")[2] == program
    assert printed_by(program) == "add -> 42\nadd -> 42\n"
    body = program.partition("async def answer")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 15


def calls_in(column: str) -> list[str]:
    """The names that a column of the table has; `.name` goes on with the name before it."""
    names: list[str] = []
    for word in re.findall(r"`([\w.]+)`", column):
        stem = names[-1].rpartition(".")[0] if word.startswith(".") else ""
        names.append(stem + word)
    return names


def test_the_table_of_calls_names_what_is_there() -> None:
    """Each of our names is a method of both clients, and no method is left out."""
    table = README.split("| ours: `client.` |")[1].split("\n\n")[0].strip().splitlines()[1:]
    ours = {name for row in table for name in calls_in(row.strip("|").split("|")[2])}
    resources = ("assistants", "assistants.files", "files", "threads", "threads.messages",
                 "threads.messages.files", "threads.runs", "threads.runs.steps")  # fmt: skip
    for client in (DashScope("sk-x"), AppBuilder("sk-x")):
        methods = {
            f"{name}.{method}"
            for name in resources
            for method in dir(attrgetter(name)(client))
            if not method.startswith("_") and callable(attrgetter(f"{name}.{method}")(client))
        }
        only_ours = {"assistants.ensure", "threads.session"}
        assert ours == (methods - only_ours) | {"stream.cancel"}


async def test_our_loop_does_what_the_vendors_does(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds of calls through the shown program; the conformance suite runs the vendor's."""
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", server.dashscope_url)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "any")
    names: dict[str, Any] = {}
    exec(block("return answer.text"), names)

    assert await names["run_loop"](QUESTION) == ANSWER


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (True, "look_up -> 7 is paid\nrefund -> 7 is refunded"),
        (
            "not without a receipt",
            'look_up -> 7 is paid\nrefund -> {"error":"not without a receipt"}',
        ),
    ],
)
async def test_a_run_stops_for_a_human_and_goes_on(
    client: DashScope, assistant_id: str, decision: bool | str, answer: str
) -> None:
    """The shown functions leave the refund to a decision, and never look the order up twice."""
    names: dict[str, Any] = {}
    exec(block("leave_to_a_human"), names)
    question = '/call look_up {"order": "7"}\n/call refund {"order": "7"}'

    paused = await names["begin"](client, assistant_id, question)
    assert [call.name for call in paused.pending_calls] == ["refund"]
    assert [output.output for output in paused.completed_outputs] == ["7 is paid"]
    del names["tools"]._handlers["look_up"]  # whoever looks up again fails
    done = await names["go_on"](client, paused, decision)

    assert (done.run.status, done.text) == ("completed", answer)


def test_the_shown_test_passes_where_nothing_but_the_package_is_set_up(tmp_path: Path) -> None:
    """Pytest finds the fixtures by itself, and the faults of the server are survived."""
    (tmp_path / "test_shown.py").write_text(block("test_a_question_survives"), encoding="utf-8")
    settings = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(settings)
    options = ["-W", "error", "-p", "no:cacheprovider", "-q"]

    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "pytest", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


async def test_the_shown_conversation_is_kept_and_played_again(
    client: DashScope, assistant_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded is answered again, by nobody but the file."""
    names: dict[str, Any] = {}
    exec(block("record(client"), names)
    monkeypatch.chdir(tmp_path)

    assert await names["keep"](client, assistant_id) == "你好"
    await client.close()
    assert await names["play"](assistant_id) == "你好"


def test_the_vendors_loop_is_shown_as_it_is_run() -> None:
    """What stands in the README is the script of the conformance suite, to the letter."""
    script = VENDOR.read_text(encoding="utf-8")

    assert block("from dashscope import").strip() == script.split("if __name__")[0].strip()


def test_the_first_two_commands_are_one_line_each() -> None:
    """Set up and run the main job; set up and run the tests."""
    match = re.search(r"^## Start\s*$(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match is not None
    commands = re.findall(r"```sh\n(.*?)```", match[1], re.DOTALL)[:2]

    assert [len(command.strip().splitlines()) for command in commands] == [1, 1]
    assert "aiodashassist demo" in commands[0]
    assert "pytest" in commands[1]


def test_the_map_names_what_is_there() -> None:
    """Every module and room at the top of the package is on the README's map, and exists."""
    package = ROOT / "aiodashassist"
    rooms = {
        path.name + ("/" if path.is_dir() else "")
        for path in package.iterdir()
        if not path.name.startswith("_") and path.suffix in ("", ".py")
    }
    table = README.split("| room | what it is |")[1].split("\n\n")[0]
    named = {name.split("/")[0] + ("/" if "/" in name else "") for name in
             re.findall(r"`([\w/.]+)`", table)}  # fmt: skip

    assert named == rooms - {"events.py"}


def test_the_public_names_are_complete_and_unique() -> None:
    """`__all__` is sorted without regard to case, has no doubles, and each name is there."""
    names = list(aiodashassist.__all__)

    assert len(set(names)) == len(names)
    assert all(hasattr(aiodashassist, name) for name in names)
    assert set(aiodashassist.errors.__all__) <= set(names)
    assert set(aiodashassist.core.events.__all__) <= set(names)
