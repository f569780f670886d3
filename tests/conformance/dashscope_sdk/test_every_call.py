"""Nothing of the SDK is left out: what the suite must have called when it has run to its end."""

from typing import Any

from dashscope_sdk.recorder import Recorder, find_classes


class Sample:
    """A class of calls, as the SDK has them."""

    SUB_PATH = "samples"

    @classmethod
    def get(cls, target: str, limit: int | None = None, **kwargs: Any) -> Any:
        """Found, but for what is "none"."""
        return None if target == "none" else {**kwargs, "target": target, "limit": limit}

    @classmethod
    def never(cls) -> None:
        """Not called."""


class Heir(Sample):
    """A class that inherits its calls."""


def test_recorder_sees_what_was_called_and_how() -> None:
    """A method counts when it is called and when it is answered, each with its parameters."""
    recorder = Recorder()
    recorder.watch(Heir)
    get, never = (f"{__name__}.Heir.{name}" for name in ("get", "never"))
    passed_on = {"headers", "base_address", "request_timeout"}
    assert recorder.known == {get: {"target", "limit", *passed_on}, never: set()}
    assert Heir.get("none") is None
    assert (recorder.given, recorder.answered) == ({get: {"target"}}, set())
    assert Heir.get("a", headers={}) == {"target": "a", "limit": None, "headers": {}}
    assert (recorder.given, recorder.answered) == ({get: {"target", "headers"}}, {get})
    assert Sample.get("b") == {"target": "b", "limit": None}


def test_all_classes_of_the_sdk_are_watched(recorder: Recorder) -> None:
    """The eight classes that the protocol has are found, and no class more."""
    assert {f"{cls.__module__}.{cls.__name__}" for cls in find_classes()} == {
        "dashscope.assistants.assistants.Assistants",
        "dashscope.assistants.files.Files",
        "dashscope.files.Files",
        "dashscope.threads.messages.files.Files",
        "dashscope.threads.messages.messages.Messages",
        "dashscope.threads.runs.runs.Runs",
        "dashscope.threads.runs.steps.Steps",
        "dashscope.threads.threads.Threads",
    }
    assert {"assistants.assistants.Assistants.cancel", "files.Files.upload"} <= set(recorder.known)


def test_every_method_was_answered(whole_run: Recorder) -> None:
    """Each public method of the SDK, aliases and inherited ones too, has been called well."""
    assert [label for label in whole_run.known if label not in whole_run.answered] == []


def test_every_parameter_was_given(whole_run: Recorder) -> None:
    """Each parameter of each method has been given at least once."""
    given = whole_run.given
    known = whole_run.known.items()
    missing = {label: sorted(names - given.get(label, set())) for label, names in known}
    assert {label: names for label, names in missing.items() if names} == {}
