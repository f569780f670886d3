"""The run so far: text in order, messages, steps, calls and request ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.events import (
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    StreamRecovered,
    ThreadEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    UnknownEvent,
)
from aiodashassist.core.models import (
    Content,
    ImageFile,
    Message,
    Run,
    RunStep,
    StepDetails,
    Text,
    Thread,
    Usage,
)
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.tooling import FunctionCall, PluginCall, ToolCall, ToolOutput
from tests.core.scaling import growth


def after(*events: Event) -> Snapshot:
    """A snapshot that has taken these events."""
    snapshot = Snapshot()
    for event in events:
        snapshot.receive(event)
    return snapshot


def delta(message_id: str, text: str) -> MessageDelta:
    """More text of a message."""
    return MessageDelta(message_id=message_id, text=text)


def message(message_id: str, *texts: str, status: str = "in_progress") -> MessageEvent:
    """A message with these parts of text."""
    content = tuple(Content(text=Text(value=text)) for text in texts)
    return MessageEvent(status=status, message=Message(id=message_id, content=content))


def run(status: str = "in_progress", **fields: object) -> RunEvent:
    """The run with a status."""
    made = Run(id="run_1", status=status, thread_id="thread_1", **fields)  # type: ignore[arg-type]
    return RunEvent(status=status, run=made)


def step(step_id: str, *calls: ToolCall, status: str = "completed") -> StepEvent:
    """A step with these calls."""
    details = StepDetails(type="tool_calls", tool_calls=calls)
    return StepEvent(status=status, step=RunStep(id=step_id, status=status, step_details=details))


def test_a_fresh_snapshot_is_empty() -> None:
    """Before any event there is nothing, and no result."""
    snapshot = Snapshot()
    assert (snapshot.run, snapshot.thread, snapshot.text) == (None, None, "")
    assert (snapshot.messages, snapshot.steps, snapshot.tool_calls) == ((), (), ())
    assert snapshot.result() is None


def test_there_is_no_result_before_the_run_is_known() -> None:
    """Text and a thread make no result; a run does."""
    snapshot = after(ThreadEvent(thread=Thread(id="thread_1")), delta("message_1", "Hi"))
    assert snapshot.result() is None
    snapshot.receive(run())
    assert snapshot.result() is not None


@given(deltas=st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=3)), max_size=20))
def test_text_is_that_of_the_messages_in_order(deltas: list[tuple[str, str]]) -> None:
    """Deltas are joined for each message, and messages stand in the order they were begun."""
    snapshot = Snapshot()
    texts: dict[str, str] = {}
    for message_id, text in deltas:
        snapshot.receive(delta(message_id, text))
        texts[message_id] = texts.get(message_id, "") + text
        assert snapshot.text_of(message_id) == texts[message_id]
    assert snapshot.text == "".join(texts.values())
    assert [made.text for made in snapshot.messages] == list(texts.values())


def test_a_message_has_its_place_from_its_first_event() -> None:
    """A message that was begun first stands first, even if its text comes later."""
    snapshot = after(message("a"), message("b"), delta("b", "two"), delta("a", "one "))
    assert snapshot.text == "one two"


def test_a_message_not_seen_has_no_text() -> None:
    """Asking for the text of an unknown message is no error."""
    assert after(delta("a", "x")).text_of("b") == ""


def test_a_message_without_deltas_has_its_own_text() -> None:
    """A message that came whole counts as it is."""
    snapshot = after(message("a", "Hello, ", "world", status="completed"))
    assert snapshot.text == snapshot.text_of("a") == "Hello, world"


def test_a_completed_message_is_kept_as_it_came() -> None:
    """A completed message replaces what was made of its deltas, and its text is not doubled."""
    image = Content(type="image_file", image_file=ImageFile(file_id="file_1"))
    whole = Message(id="a", role="assistant", content=(Content(text=Text(value="Hello")), image))
    snapshot = after(
        message("a"),
        delta("a", "Hel"),
        delta("a", "lo"),
        MessageEvent(status="completed", message=whole),
    )
    assert snapshot.messages == (whole,)
    assert snapshot.text == "Hello"


def test_an_unfinished_message_has_the_text_that_came() -> None:
    """A message that was begun has all its own fields and the text so far."""
    begun = Message(id="a", role="assistant", run_id="run_1", created_at=5)
    snapshot = after(MessageEvent(status="in_progress", message=begun), delta("a", "Hel"))
    (made,) = snapshot.messages
    assert (made.text, made.role, made.run_id, made.created_at) == ("Hel", "assistant", "run_1", 5)


def test_an_unfinished_message_with_empty_content_has_the_text_that_came() -> None:
    """A message begun with an empty part of text does not hide its deltas."""
    snapshot = after(message("a", ""), delta("a", "Hel"), delta("a", "lo"))
    assert [made.text for made in snapshot.messages] == ["Hello"]


def test_deltas_alone_make_a_message() -> None:
    """Text of a message that was never announced is a message of the assistant."""
    (made,) = after(delta("a", "Hel"), delta("a", "lo")).messages
    assert (made.id, made.role, made.text) == ("a", "assistant", "Hello")


def test_run_and_thread_are_the_last_seen() -> None:
    """Later events replace what earlier ones said of the run."""
    snapshot = after(ThreadEvent(thread=Thread(id="thread_1")), run("queued"), run("in_progress"))
    assert snapshot.thread == Thread(id="thread_1")
    assert snapshot.run is not None
    assert snapshot.run.status == "in_progress"


def test_steps_are_the_last_seen_in_the_order_begun() -> None:
    """A step keeps its place and takes its newest form."""
    snapshot = after(step("1", status="in_progress"), step("2"), step("1"))
    assert [(made.id, made.status) for made in snapshot.steps] == [
        ("1", "completed"),
        ("2", "completed"),
    ]


def test_calls_are_functions_run_here_and_plugins() -> None:
    """A function counts with the output it got here, a plugin with that of its step."""
    search = ToolCall(type="quark_search", plugin=PluginCall(arguments="{}", output="[]"))
    asked = ToolCall(id="c", call_id="step_1:0", function=FunctionCall(name="f", arguments="[1]"))
    told = ToolOutput(tool_call_id="c", output="3")
    echoed = ToolCall(id="c", function=FunctionCall(name="f", output="3"))
    snapshot = after(
        step("1", search),
        ToolStarted(call=asked),
        ToolFinished(call=asked, output=told),
        step("2", echoed),
        StepEvent(status="completed", step=RunStep(id="3")),
    )
    done = FunctionCall(name="f", arguments="[1]", output="3")
    assert snapshot.tool_calls == (search, ToolCall(id="c", call_id="step_1:0", function=done))


def made(wire_id: str, output: str | None = "3", call_id: str = "", name: str = "f") -> ToolCall:
    """A call of a function, as a step shows it or as it is known here."""
    function = FunctionCall(name=name, output=output)
    return ToolCall(id=wire_id, call_id=call_id, function=function)


def run_here(wire_id: str, call_id: str, output: str = "3", name: str = "f") -> ToolFinished:
    """A function was run here."""
    call = made(wire_id, None, call_id, name)
    return ToolFinished(call=call, output=ToolOutput(tool_call_id=wire_id, output=output))


def told(snapshot: Snapshot) -> list[tuple[str, str | None]]:
    """The calls made, by our id and output."""
    return [(call.call_id, call.output) for call in snapshot.tool_calls]


def test_calls_stand_in_the_order_of_their_steps() -> None:
    """Rounds of functions and plugins stand as they came, each call once, the newest at the end."""
    search = ToolCall(type="quark_search", plugin=PluginCall(arguments="{}", output="[]"))
    snapshot = after(step("1", status="in_progress"), run_here("a", "a", "A"))
    assert told(snapshot) == [("a", "A")]
    for event in (step("1", made("a", "A")), step("2", search), run_here("b", "b", "B")):
        snapshot.receive(event)
    assert told(snapshot) == [("a", "A"), ("", "[]"), ("b", "B")]


def test_a_step_has_its_calls_in_order_whichever_was_done_first() -> None:
    """Once its step is shown, a round stands in the order of its calls, not of their ends."""
    snapshot = after(run_here("", "1:1", "B"), run_here("", "1:0", "A"))
    assert told(snapshot) == [("1:1", "B"), ("1:0", "A")]
    snapshot.receive(step("1", made("", "A"), made("", "B")))
    assert told(snapshot) == [("1:0", "A"), ("1:1", "B")]


def test_calls_of_earlier_rounds_are_known_by_their_steps() -> None:
    """A step that ended before this stream gives its calls, with the ids that they had."""
    snapshot = after(
        step("1", made("a", "A"), made("", "B"), made("a", "C")),
        step("2", made("a", None), status="in_progress"),
        run_here("a", "2:0", "D"),
    )
    expected = [("a", "A"), ("1:1", "B"), ("1:2", "C"), ("2:0", "D")]
    assert told(snapshot) == expected
    snapshot.receive(step("2", made("a", "D")))
    assert told(snapshot) == expected


def test_a_step_that_comes_again_gives_its_calls_once() -> None:
    """A step may be shown twice, of calls made here or elsewhere."""
    steps = (step("1", made("a", "A")), step("2", made("b", "B")))
    snapshot = after(*steps, run_here("c", "c", "C"), step("3", made("c", "C")), *steps)
    snapshot.receive(step("3", made("c", "C")))
    assert told(snapshot) == [("a", "A"), ("b", "B"), ("c", "C")]


def test_a_call_keeps_its_id_when_its_step_comes_again() -> None:
    """A call that was named after the run, not the step, goes by that name however often shown."""
    snapshot = after(run_here("", "run_1:0:0", "A"), step("1", made("", "A")))
    snapshot.receive(step("1", made("", "A")))
    assert told(snapshot) == [("run_1:0:0", "A")]


def test_a_repeated_id_finds_the_call_of_its_step() -> None:
    """Of two calls with one id of the wire, a step shows its own, also where a step was missed."""
    snapshot = after(run_here("a", "a", "A"), run_here("a", "2:0", "B"), step("2", made("a", "B")))
    assert told(snapshot) == [("2:0", "B"), ("a", "A")]


def test_a_repeated_id_in_a_step_is_told_apart_by_place() -> None:
    """The first of two calls with one id has that id, whichever was done first."""
    snapshot = after(run_here("a", "1:1", "B"), run_here("a", "a", "A"))
    snapshot.receive(step("1", made("a", "A"), made("a", "B")))
    assert told(snapshot) == [("a", "A"), ("1:1", "B")]


def test_an_output_that_its_step_has_shown_is_not_taken_twice() -> None:
    """Where the step comes before the news that the outputs arrived, the call stands once."""
    snapshot = after(step("1", made("a", "A")))
    snapshot.called(made("a", None, "a"), "A")
    assert told(snapshot) == [("a", "A")]


def test_a_step_may_show_some_outputs_before_others() -> None:
    """Of a step that is answered in part only the calls with an output are made."""
    snapshot = after(step("1", made("a", "A"), made("b", None), status="in_progress"))
    assert told(snapshot) == [("a", "A")]
    snapshot.receive(run_here("b", "b", "B"))
    assert told(snapshot) == [("a", "A"), ("b", "B")]


def test_plugins_do_not_count_in_the_places_of_functions() -> None:
    """A function's made up id has its place among the functions of its step."""
    search = ToolCall(type="quark_search", plugin=PluginCall(arguments="{}", output="[]"))
    snapshot = after(run_here("", "1:0", "A"), step("1", search, made("", "A")))
    assert told(snapshot) == [("", "[]"), ("1:0", "A")]


def test_a_round_whose_step_was_not_announced_stands_once() -> None:
    """A call that was named after the run is the one that its step shows, in the right place."""
    snapshot = after(run_here("", "run_1:0:1", "B"), run_here("", "run_1:0:0", "A"))
    snapshot.receive(step("1", made("", "A"), made("", "B")))
    assert told(snapshot) == [("run_1:0:0", "A"), ("run_1:0:1", "B")]


def test_a_plugin_without_an_output_is_no_call_made() -> None:
    """Of calls only those with an output count; a plugin still at work has none."""
    search = ToolCall(type="quark_search", plugin=PluginCall(arguments="{}"))
    assert after(step("1", search, status="in_progress")).tool_calls == ()


def test_a_call_answered_by_the_user_counts() -> None:
    """An output given by hand stands like one of a tool."""
    snapshot = Snapshot()
    snapshot.called(ToolCall(id="c", function=FunctionCall(name="f")), "3")
    assert [(call.name, call.output) for call in snapshot.tool_calls] == [("f", "3")]


def test_request_ids_are_kept_once_in_order() -> None:
    """Each request counts once, from whatever object tells it; objects without one add none."""
    snapshot = after(
        ThreadEvent(thread=Thread(id="t", request_id="r1")),
        run(request_id="r1"),
        StepEvent(status="completed", step=RunStep(id="s", request_id="r2")),
        MessageEvent(status="completed", message=Message(id="m", request_id="r3")),
        run(request_id=""),
        run(),
        run(request_id="r1"),
    )
    result = snapshot.result()
    assert result is not None
    assert result.request_ids == ("r1", "r2", "r3")


@pytest.mark.parametrize(
    "event",
    [
        UnknownEvent(name="new"),
        ErrorEvent(code="E"),
        StreamRecovered(reason="broke", run=Run(id="run_2")),
        ToolStarted(call=ToolCall()),
        ToolProgress(call=ToolCall(), data=1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_other_events_change_nothing(event: Event) -> None:
    """What says nothing of the run leaves the snapshot as it is."""
    assert after(run(), delta("a", "x"), event).result() == after(run(), delta("a", "x")).result()


def test_the_result_is_the_whole() -> None:
    """The result has the run's thread and usage, all messages and the last, and what waits."""
    usage = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
    waiting = (ToolCall(id="c", call_id="c"),)
    snapshot = after(
        delta("a", "one "), step("1"), delta("b", "two"), run("completed", usage=usage)
    )
    outputs = (ToolOutput(tool_call_id="d", output="5"),)
    result = snapshot.result(waiting, outputs)
    assert result is not None
    assert (result.thread_id, result.usage, result.text) == ("thread_1", usage, "one two")
    assert [made.id for made in result.messages] == ["a", "b"]
    assert result.message == result.messages[-1]
    assert (result.run, result.steps) == (snapshot.run, snapshot.steps)
    assert (result.pending_calls, result.completed_outputs) == (waiting, outputs)
    assert result.tool_calls == ()


def test_a_run_without_messages_has_no_last_one() -> None:
    """Where nothing was said there is no message and no text."""
    result = after(run("completed")).result()
    assert result is not None
    assert (result.message, result.messages, result.text) == (None, (), "")


@pytest.mark.slow
@pytest.mark.parametrize("messages", [1, 100])
def test_text_grows_in_linear_time(messages: int) -> None:
    """Twice the deltas take twice the time, to take in and to join."""
    deltas = [delta(f"message_{number % messages}", "some text") for number in range(1000)]

    def work(count: int) -> None:
        snapshot = Snapshot()
        for _ in range(count):
            for event in deltas:
                snapshot.receive(event)
        assert len(snapshot.text) == 9 * 1000 * count

    assert growth(work, 50) <= 2.3


@pytest.mark.parametrize(
    ("parts", "text", "rest"),
    [
        ([], "whole", "whole"),
        (["so ", "far"], "so far, so good", ", so good"),
        (["all"], "all", None),
        (["other"], "text", None),
        ([], "", None),
    ],
)
def test_the_text_that_deltas_left_out_is_known(
    parts: list[str], text: str, rest: str | None
) -> None:
    """A completed message may say more than its deltas did; never less, and nothing twice."""
    snapshot = Snapshot()
    for part in parts:
        snapshot.receive(MessageDelta(message_id="m", text=part))
    message = Message(id="m", content=(Content(text=Text(value=text)),))

    missing = snapshot.missing(MessageEvent(status="completed", message=message))

    assert (missing.text if missing is not None else None) == rest


def test_what_was_told_has_the_last_status_of_each() -> None:
    """Of steps and ended messages; a message that did not end has not been told."""
    calls = RunStep(id="1", type="tool_calls", status="in_progress")
    nameless = RunStep(id="2", status="in_progress")  # what it is was not said yet
    snapshot = after(
        StepEvent(status="in_progress", step=calls),
        StepEvent(status="in_progress", step=nameless),
        message("a", "A", status="completed"),
        message("b", "B", status="incomplete"),
        message("c"),
        delta("d", "D"),
    )
    ended = {("a", "completed"), ("b", "incomplete")}
    assert snapshot.told == {("1", "in_progress"), *ended}
    snapshot.receive(StepEvent(status="completed", step=nameless))
    snapshot.receive(StepEvent(status="completed", step=calls))
    assert snapshot.told == {("1", "completed"), ("2", "completed"), *ended}


def listed(**texts: str) -> list[Message]:
    """Messages as a list has them, by id."""
    return [
        Message(id=name, content=(Content(text=Text(value=text)),)) for name, text in texts.items()
    ]


def named(messages: list[Message]) -> list[tuple[str, str]]:
    """Ids and texts."""
    return [(one.id, one.text) for one in messages]


@pytest.mark.parametrize(
    ("read", "known"),
    [
        ({"a": "one", "b": "two"}, ["a", "b"]),  # the ids of the stream
        ({"x": "one", "y": "two"}, ["a", "b"]),  # others, in order
        ({"a": "one", "y": "two"}, ["a", "b"]),
        ({"x": "one", "b": "two"}, ["a", "b"]),
        ({"x": "two"}, ["x"]),  # not the next one: it begins otherwise
        ({"x": "one", "y": "two", "z": "three"}, ["a", "b", "z"]),  # more than had come
        ({"x": "zero", "y": "one", "z": "two"}, ["x", "a", "b"]),
    ],
)
def test_a_message_that_is_read_back_is_known_by_its_beginning(
    read: dict[str, str], known: list[str]
) -> None:
    """A list may have other ids than the stream (appbuilder.md §8): the stream's are kept."""
    snapshot = after(delta("a", "on"), delta("b", "tw"))

    assert named(snapshot.recognised(listed(**read))) == list(
        zip(known, read.values(), strict=True)
    )


def test_a_message_is_broken_off_if_text_of_it_came_and_no_end() -> None:
    """One that ended, or is among those read back, is not; nor is one without text."""
    snapshot = after(delta("a", "so far"), delta("b", ""), message("c", "C", status="completed"))

    assert snapshot.broken_off([])
    assert snapshot.broken_off(listed(c="C"))
    assert not snapshot.broken_off(listed(a="so far and on"))
    assert not after(delta("b", ""), message("c", "C", status="completed")).broken_off([])
