"""The messages of a stream: each begins once, grows, and ends whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.events import Event, MessageDelta, MessageEvent
from aiodashassist.core.models import Content, Message, Run, Text
from aiodashassist.providers.appbuilder.messages import StreamedMessages

RUN = Run(id="r", thread_id="t", assistant_id="a")


def part(value: str) -> Content:
    """A part of a message."""
    return Content(text=Text(value=value))


def made(**fields: object) -> Message:
    """A message as it is known from a stream."""
    known = {"id": "m", "role": "assistant", "request_id": "q", **fields}
    return Message(**known)  # type: ignore[arg-type]


def fresh() -> StreamedMessages:
    """The messages of a new stream."""
    return StreamedMessages("delta", "q")


def test_a_message_is_of_its_run() -> None:
    """Its ids, its role and its request are known; its name is the wire's."""
    (begun,) = fresh().begin("m", RUN, "message_creation")

    whole = made(thread_id="t", assistant_id="a", run_id="r")
    assert begun == MessageEvent(status="in_progress", message=whole, name="message_creation")


def test_a_message_of_no_run_is_of_none() -> None:
    """Nothing is made up."""
    assert fresh().begin("m", None) == (MessageEvent(status="in_progress", message=made()),)


def test_a_message_begins_once() -> None:
    """Whether it was told or came with its text."""
    messages = fresh()

    assert len(messages.begin("m", RUN)) == 1
    assert messages.begin("m", RUN) == ()
    assert len(messages.say("m", [part("x")], RUN)) == 1
    other = fresh()
    assert len(other.say("m", [part("x")], RUN)) == 2
    assert other.begin("m", RUN) == ()


def test_what_is_said_is_a_delta() -> None:
    """With its parts as they came, and only those with text in its text."""
    messages = fresh()
    messages.begin("m", RUN)
    parts = (part("a"), Content(type="other"), part("b"))

    assert messages.say("m", parts, RUN) == (
        MessageDelta(message_id="m", text="ab", content=parts, name="message"),
    )


def test_what_is_known_is_not_said_again() -> None:
    """Of a cumulative chunk only what is new is content."""
    messages = StreamedMessages("cumulative", None)
    messages.say("m", [part("a")], RUN)

    (delta,) = messages.say("m", [part("a"), part("b")], RUN)
    assert delta == MessageDelta(message_id="m", text="b", content=(part("b"),), name="message")


def test_an_end_has_all_the_text() -> None:
    """And says how it is; after it there is none."""
    messages = fresh()
    messages.begin("m", None)
    messages.say("m", [part("a")], None)
    messages.say("m", [part("b")], None)

    whole = made(content=(part("ab"),))
    assert messages.end("incomplete") == (MessageEvent(status="incomplete", message=whole),)
    assert messages.end("completed") == ()


def test_an_end_without_text_has_no_content() -> None:
    """An empty message is completed, too."""
    messages = fresh()
    messages.begin("m", None)

    assert messages.end("completed") == (MessageEvent(status="completed", message=made()),)


def test_nothing_ends_where_nothing_began() -> None:
    """A run may say nothing."""
    assert fresh().end("completed") == ()


def test_messages_end_together() -> None:
    """In the order in which they began: the wire does not say which is complete (§5.4)."""
    messages = fresh()
    messages.say("m", [part("a")], None)
    (begun,) = messages.begin("n", None)
    messages.say("m", [part("b")], None)

    assert isinstance(begun, MessageEvent)
    assert begun.message.id == "n"
    assert messages.end("completed") == (
        MessageEvent(status="completed", message=made(content=(part("ab"),))),
        MessageEvent(status="completed", message=made(id="n")),
    )


def test_a_message_that_ended_goes_on_where_it_was() -> None:
    """What it had is known: it is not handed out again, and is in its next end."""
    messages = StreamedMessages("cumulative", "q")
    messages.say("m", [part("ab")], None)
    messages.end("completed")

    begun, delta = messages.say("m", [part("abc")], None)
    assert begun == MessageEvent(status="in_progress", message=made())
    assert isinstance(delta, MessageDelta)
    assert delta.text == "c"
    (ended,) = messages.end("completed")
    assert isinstance(ended, MessageEvent)
    assert ended.message.text == "abc"


def test_the_open_message_is_the_one_that_began_last() -> None:
    """And none after their end."""
    messages = fresh()
    assert messages.open_id == ""

    messages.begin("m", None)
    messages.begin("n", None)
    messages.say("m", [part("x")], None)
    assert messages.open_id == "n"
    messages.end("completed")
    assert messages.open_id == ""


IDS = st.sampled_from(["m", "n", "o"])


@pytest.mark.parametrize("mode", ["auto", "delta", "cumulative"])
@given(st.lists(st.tuples(IDS, st.text("ab", max_size=9)), max_size=12))
def test_interleaved_messages_end_whole(mode: str, said: list[tuple[str, str]]) -> None:
    """The last that is heard of each is all of its deltas, and none is open at the end."""
    messages = StreamedMessages(mode, None)  # type: ignore[arg-type]
    events: list[Event] = []
    for message_id, value in said:
        events += messages.say(message_id, [part(value)], None)
    events += messages.end("completed")

    deltas: dict[str, str] = {}
    last: dict[str, MessageEvent] = {}
    for event in events:
        if isinstance(event, MessageDelta):
            deltas[event.message_id] = deltas.get(event.message_id, "") + event.text
        elif isinstance(event, MessageEvent):
            last[event.message.id] = event
    assert {name: event.message.text for name, event in last.items()} == deltas
    assert {event.status for event in last.values()} <= {"completed"}
