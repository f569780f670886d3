"""The README's table "official call -> ours" leaves out no call of the SDKs, and makes up none."""

import re
from pathlib import Path

import pytest
from recorder import Recorder

README = Path(__file__).resolve().parents[2] / "README.md"
CLASSES = {
    "dashscope": {
        "Assistants": "assistants.assistants.Assistants",
        "assistants.Files": "assistants.files.Files",
        "Files": "files.Files",
        "Threads": "threads.threads.Threads",
        "Messages": "threads.messages.messages.Messages",
        "messages.Files": "threads.messages.files.Files",
        "Runs": "threads.runs.runs.Runs",
        "Steps": "threads.runs.steps.Steps",
    },
    "appbuilder": {
        "assistants": "core.assistant.assistants.assistants.Assistants",
        "assistants.files": "core.assistant.assistants.files.Files",
        "threads": "core.assistant.threads.threads.Threads",
        "threads.messages": "core.assistant.threads.messages.messages.Messages",
        "threads.runs": "core.assistant.threads.runs.runs.Runs",
        "threads.runs.steps": "core.assistant.threads.runs.steps.Steps",
    },
}
"""As the table calls them -> the SDK's class."""
NO_CALLS = {"threads.runs.runs.Runs.convert_stream_object"}  # reads what was answered


def named(column: int) -> list[str]:
    """The names in a column; `.name` goes on with the name before it."""
    text = README.read_text(encoding="utf-8")
    rows = text.split("| ours: `client.` |")[1].split("\n\n")[0].strip().splitlines()[1:]
    names: list[str] = []
    for row in rows:
        for word in re.findall(r"`([\w.]+)`", row.strip("|").split("|")[column]):
            stem = names[-1].rpartition(".")[0] if word.startswith(".") else ""
            names.append(stem + word)
    return names


@pytest.mark.parametrize(("column", "sdk"), [(0, "dashscope"), (1, "appbuilder")])
def test_the_table_has_every_call(column: int, sdk: str, recorders: dict[str, Recorder]) -> None:
    """Each public method of the SDK's classes is in its column, and nothing else is."""
    parts = [name.rpartition(".") for name in named(column)]

    labels = {f"{CLASSES[sdk][stem]}.{method}" for stem, _, method in parts}

    assert labels == recorders[sdk].known.keys() - NO_CALLS
