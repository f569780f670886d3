"""The messages of a stream, which end where something else begins."""

import pytest

from aiodashassist import Content, Message, MessageDelta, MessageEvent
from aiodashassist.core.events import Event
from aiodashassist.core.models import ImageFile, Run, Text
from aiodashassist.providers.appbuilder.chunks import ChunkMode
from aiodashassist.providers.appbuilder.messages import StreamedMessages

RUN = Run(id="run_1", thread_id="thread_1", assistant_id="asst_1")


def text(value: str) -> Content:
    """A part of a message."""
    return Content(text=Text(value=value))


def message(message_id: str, said: str = "") -> Message:
    """A message of the run, as the stream makes it up."""
    return Message(
        id=message_id,
        role="assistant",
        thread_id="thread_1",
        assistant_id="asst_1",
        run_id="run_1",
        request_id="r",
        content=(text(said),) if said else (),
    )


def delta(message_id: str, said: str) -> MessageDelta:
    """More of a message."""
    return MessageDelta(message_id=message_id, text=said, content=(text(said),), name="message")


def test_a_message_ends_where_its_step_does_with_all_its_text() -> None:
    """The completed message equals the joined deltas, and is told once."""
    messages = StreamedMessages("auto", "r")

    assert messages.begin("m", RUN, "message_creation") == (
        MessageEvent(status="in_progress", message=message("m"), name="message_creation"),
    )
    assert messages.say("m", [text("西湖")], RUN) == (delta("m", "西湖"),)
    assert messages.say("m", [text("很美")], RUN) == (delta("m", "很美"),)
    assert messages.end("completed") == (
        MessageEvent(status="completed", message=message("m", "西湖很美")),
    )
    assert messages.end("completed") == ()


def test_a_message_that_was_not_announced_begins_with_its_text() -> None:
    """Its beginning is made up, and has no name of the wire's; the run may not be known either."""
    began = MessageEvent(status="in_progress", message=message("m"))

    assert StreamedMessages("delta", "r").say("m", [text("a")], RUN) == (began, delta("m", "a"))
    unknown, _ = StreamedMessages("delta", None).say("m", [text("a")], None)
    assert unknown == MessageEvent(status="in_progress", message=Message(id="m", role="assistant"))


def test_a_message_ends_where_the_next_begins() -> None:
    """One without text is complete and empty."""
    messages = StreamedMessages("auto", "r")
    messages.begin("m", RUN)

    ended, began = messages.begin("n", RUN)

    assert ended == MessageEvent(status="completed", message=message("m"))
    assert began == MessageEvent(status="in_progress", message=message("n"))


def test_a_message_that_goes_on_after_another_keeps_its_text() -> None:
    """It is complete a second time, with all its text; no text is handed out twice."""
    messages = StreamedMessages("delta", "r")
    events: list[Event] = []
    for message_id, said in (("m", "1"), ("n", "2"), ("m", "3")):
        events += messages.say(message_id, [text(said)], RUN)
    events += messages.end("incomplete")

    assert "".join(e.text for e in events if isinstance(e, MessageDelta)) == "123"
    assert [e for e in events if isinstance(e, MessageEvent) and e.status != "in_progress"] == [
        MessageEvent(status="completed", message=message("m", "1")),
        MessageEvent(status="completed", message=message("n", "2")),
        MessageEvent(status="incomplete", message=message("m", "13")),
    ]


@pytest.mark.parametrize(
    ("mode", "chunks", "said"),
    [
        ("cumulative", ["a", "ab", "abc"], ["a", "b", "c"]),
        ("auto", ["12345678", "123456789"], ["12345678", "9"]),
        ("delta", ["12345678", "123456789"], ["12345678", "123456789"]),
    ],
)
def test_a_delta_has_only_what_is_new(mode: ChunkMode, chunks: list[str], said: list[str]) -> None:
    """Its text and its content alike, whatever the chunks repeat."""
    messages = StreamedMessages(mode, "r")
    messages.begin("m", RUN)

    assert [messages.say("m", [text(chunk)], RUN) for chunk in chunks] == [
        (delta("m", new),) for new in said
    ]


def test_parts_without_text_stay() -> None:
    """An image is handed on; it says nothing."""
    messages = StreamedMessages("auto", "r")
    messages.begin("m", RUN)
    image = Content(type="image_file", image_file=ImageFile(file_id="f"))

    (event,) = messages.say("m", [text("a"), image, text("b")], RUN)

    assert isinstance(event, MessageDelta)
    assert (event.text, event.content) == ("ab", (text("a"), image, text("b")))
