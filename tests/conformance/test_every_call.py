"""Nothing of the SDKs is left out: what the suite must have called when it has run to its end."""

import pytest
from recorder import Recorder

DASHSCOPE = {
    "assistants.assistants.Assistants",
    "assistants.files.Files",
    "files.Files",
    "threads.messages.files.Files",
    "threads.messages.messages.Messages",
    "threads.runs.runs.Runs",
    "threads.runs.steps.Steps",
    "threads.threads.Threads",
}
APPBUILDER = {
    "core.assistant.assistants.assistants.Assistants",
    "core.assistant.assistants.files.Files",
    "core.assistant.threads.messages.messages.Messages",
    "core.assistant.threads.runs.runs.Runs",
    "core.assistant.threads.runs.steps.Steps",
    "core.assistant.threads.threads.Threads",
}


@pytest.mark.parametrize(
    ("name", "classes"), [("dashscope", DASHSCOPE), ("appbuilder", APPBUILDER)]
)
def test_all_classes_of_the_sdk_are_watched(
    name: str, classes: set[str], recorders: dict[str, Recorder]
) -> None:
    """The classes that the protocol has are found, and no class more."""
    found = recorders[name].sdk.find_classes()
    assert {f"{cls.__module__}.{cls.__name__}" for cls in found} == {
        f"{name}.{cls}" for cls in classes
    }
    assert {label.rpartition(".")[0] for label in recorders[name].known} == classes


@pytest.mark.parametrize("name", ["dashscope", "appbuilder"])
def test_every_method_was_answered(name: str, whole_run: dict[str, Recorder]) -> None:
    """Each public method of the SDK, aliases and inherited ones too, has been called well."""
    recorder = whole_run[name]
    assert [label for label in recorder.known if label not in recorder.answered] == []


@pytest.mark.parametrize("name", ["dashscope", "appbuilder"])
def test_every_parameter_was_given(name: str, whole_run: dict[str, Recorder]) -> None:
    """Each parameter of each method has been given at least once."""
    recorder = whole_run[name]
    given = recorder.given
    missing = {
        label: sorted(names - given.get(label, set())) for label, names in recorder.known.items()
    }
    assert {label: names for label, names in missing.items() if names} == {}
