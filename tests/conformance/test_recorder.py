"""The recorder, by which the suite proves that it leaves nothing out."""

from collections.abc import Iterator
from typing import Any

import pytest
from recorder import Recorder, Sdk


class Sample:
    """A class of calls, as SDKs have them."""

    @classmethod
    def get(cls, target: str, limit: int | None = None, **kwargs: Any) -> Any:
        """Found, but for what is "none"."""
        return None if target == "none" else {**kwargs, "target": target, "limit": limit}

    def follow(self, target: str) -> Iterator[str | None]:
        """A stream of two items, the last of which is None for what is "none"."""
        yield "first"
        yield None if target == "none" else target

    @classmethod
    def never(cls) -> None:
        """Not called."""

    @property
    def steps(self) -> str:
        """No method."""
        return "steps"


class Heir(Sample):
    """A class that inherits its calls."""


GET, FOLLOW, NEVER = (f"{__name__}.Heir.{name}" for name in ("get", "follow", "never"))


@pytest.fixture
def sample() -> Iterator[Recorder]:
    """A recorder that watches the sample, which is let alone afterwards."""
    recorder = Recorder(
        Sdk(
            name="sdk",
            modules=(),
            makes_calls=lambda _: True,
            went_well=lambda answer: answer is not None,
            passed_on=("headers",),
        )
    )
    recorder.watch(Heir)
    yield recorder
    for name in ("get", "follow", "never"):
        delattr(Heir, name)


def test_recorder_knows_methods_and_parameters(sample: Recorder) -> None:
    """Public methods of either kind are known, with what `**kwargs` stands for."""
    expected = {GET: {"target", "limit", "headers"}, FOLLOW: {"target"}, NEVER: set()}
    assert sample.known == expected
    assert (sample.given, sample.answered) == ({}, set())


def test_recorder_sees_what_was_called_and_how(sample: Recorder) -> None:
    """A method counts when it is called and when it is answered, each with its parameters."""
    assert Heir.get("none") is None
    assert (sample.given, sample.answered) == ({GET: {"target"}}, set())
    assert Heir.get("a", headers={}) == {"target": "a", "limit": None, "headers": {}}
    assert (sample.given, sample.answered) == ({GET: {"target", "headers"}}, {GET})
    assert Sample.get("b") == {"target": "b", "limit": None}


def test_stream_is_answered_at_its_end(sample: Recorder) -> None:
    """A stream counts when it was read to its end, and that was a good one."""
    assert list(Heir().follow("none")) == ["first", None]
    stream = Heir().follow(target="a")
    assert next(stream) == "first"
    assert (sample.given, sample.answered) == ({FOLLOW: {"target"}}, set())
    assert list(stream) == ["a"]
    assert sample.answered == {FOLLOW}


def test_calls_of_the_sdk_itself_do_not_count(sample: Recorder) -> None:
    """What a method of the SDK calls is not what the suite has called."""
    names = {"__name__": "sdk.calls", "Heir": Heir}
    exec("answer = Heir.get('a')", names)
    assert names["answer"] == {"target": "a", "limit": None}
    assert (sample.given, sample.answered) == ({}, set())
