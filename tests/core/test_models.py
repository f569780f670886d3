"""The objects: what is never None, what the conveniences say."""

from collections.abc import Callable

import pytest

from aiodashassist.core.models import (
    TERMINAL,
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    FinalMessage,
    ImageFile,
    Message,
    Model,
    Page,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Thread,
)
from aiodashassist.core.tooling import ToolCall

KINDS: list[Callable[..., Model]] = [Assistant, Thread, Message, Run, RunStep, Deleted]
COLLECTIONS = {"tools", "file_ids", "metadata", "content", "tool_calls", "data", "extra"}

every_kind = pytest.mark.parametrize("make", KINDS)


@every_kind
def test_an_object_is_an_id_and_what_is_known(make: Callable[..., Model]) -> None:
    """An id is all that an object needs; collections and metadata are empty, never None."""
    made = make(id="x")
    values = {name: getattr(made, name) for name in made.__struct_fields__}
    assert values["id"] == "x"
    assert not any(values[name] for name in COLLECTIONS & values.keys())
    assert None not in [values[name] for name in COLLECTIONS & values.keys()]


@every_kind
def test_an_object_cannot_be_changed(make: Callable[..., Model]) -> None:
    """Objects are values."""
    with pytest.raises(AttributeError):
        make(id="x").id = "y"  # type: ignore[attr-defined]


@every_kind
def test_objects_share_nothing(make: Callable[..., Model]) -> None:
    """Each object has unknown fields of its own."""
    one, other = make(id="x"), make(id="x")
    assert one == other
    one.extra["new"] = 1
    assert other.extra == {}


def test_a_page_without_items_is_empty() -> None:
    """A page needs nothing; it is the last one."""
    page = Page[Thread]()
    assert (page.data, page.has_more, page.first_id, page.last_id) == ((), False, None, None)


def test_a_message_s_text_is_all_of_its_parts() -> None:
    """Parts of text are joined; an image has none."""
    content = (
        Content(text=Text(value="one ")),
        Content(type="image_file", image_file=ImageFile(file_id="file_1")),
        Content(text=Text(value="two")),
        Content(),
    )
    assert Message(id="x", content=content).text == "one two"
    assert Message(id="x").text == ""


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired", "incomplete"])
def test_an_ended_run_is_terminal(status: str) -> None:
    """These five are the ends, and no others."""
    assert Run(id="x", status=status).is_terminal
    assert len(TERMINAL) == 5


@pytest.mark.parametrize(
    "status", ["", "queued", "in_progress", "requires_action", "cancelling", "unheard_of"]
)
def test_a_run_under_way_is_not_terminal(status: str) -> None:
    """A run that waits, or is about to be cancelled, is not over."""
    assert not Run(id="x", status=status).is_terminal


def test_a_final_answer_s_text_is_all_of_its_message() -> None:
    """Parts of text are joined, others have none; it may say nothing (appbuilder.md §3.9)."""
    content = (Content(text=Text(value="晴")), Content(type="image"), Content(text=Text(value="!")))
    answer = FinalAnswer(message=FinalMessage(message_id="m", content=content))

    assert Run(id="x", final_answer=answer).final_answer == answer
    assert answer.text == "晴!"
    assert (FinalAnswer().type, FinalAnswer().text) == ("message", "")
    assert FinalAnswer().message == FinalMessage(message_id="", content=())


def test_a_run_s_calls_are_those_it_waits_for() -> None:
    """An action that is still there after its answer counts no more: the status decides."""
    calls = (ToolCall(id="a"), ToolCall(id="b"))
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    assert Run(id="x", status="requires_action", required_action=action).tool_calls == calls
    assert Run(id="x", status="in_progress", required_action=action).tool_calls == ()
    assert Run(id="x", status="requires_action").tool_calls == ()


def test_details_of_a_step_have_calls_always() -> None:
    """A step that wrote a message has no calls, which is an empty tuple; nor tools of a service."""
    details = StepDetails(type="message_creation")

    assert (details.tool_calls, details.tool_info, details.action_info) == ((), (), None)


def test_a_repr_shows_only_what_is_there() -> None:
    """An object with thirty unknown fields is printed as the few it has."""
    assert repr(Run(id="x", status="queued")) == "Run(id='x', status='queued')"
