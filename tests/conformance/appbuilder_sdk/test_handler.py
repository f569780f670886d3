"""Streamed runs by the SDK's own handler class: `stream_run_with_handler`."""

import inspect
from typing import Any

import pytest
from appbuilder import AssistantEventHandler, AssistantStreamManager
from appbuilder_sdk.calls import (
    ASK,
    BEGIN,
    CALL,
    END,
    GO_ON,
    SAY,
    SDK,
    WEATHER,
    new_assistant,
    new_thread,
    order_of,
    point_at,
    text_of,
)

HOOKS = [
    name
    for name, _ in inspect.getmembers(AssistantEventHandler, inspect.isfunction)
    if not name.startswith("_") and name != "until_done"
]


class Recording(AssistantEventHandler):
    """Notes every event that a hook is given, and what the context then says."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.context: list[dict[str, Any]] = []

    def hear(self, hook: str, event: Any) -> None:
        """Note an event."""
        context = self.stream_run_context
        assert context.current_event is event
        self.heard.append((hook, event))
        self.context.append(
            {
                "hook": hook,
                "assistant": context.current_assistant_id,
                "thread": context.current_thread_id,
                "run": context.current_run_id,
                "step": context.current_run_step_id,
                "calls": context.current_tool_calls,
            }
        )

    @property
    def events(self) -> list[Any]:
        """The events that were heard."""
        return [event for _, event in self.heard]


def _hook(name: str) -> Any:
    def hear(self: Recording, event: Any) -> None:
        self.hear(name, event)

    return hear


for _name in HOOKS:
    setattr(Recording, _name, _hook(_name))


class Answering(Recording):
    """Answers every round of calls from within the hook, as the vendor's examples do."""

    def tool_calls(self, status_event: Any) -> None:
        """Submit an output for each call."""
        self.hear("tool_calls", status_event)
        context = self.stream_run_context
        answer = SDK.threads.runs.submit_tool_outputs(
            run_id=context.current_run_id,
            thread_id=context.current_thread_id,
            tool_outputs=[
                {"tool_call_id": call.id, "output": f"{call.function.name}!"}
                for call in context.current_tool_calls
            ],
        )
        assert answer.id == context.current_run_id


class Cancelling(Recording):
    """Cancels the run as soon as it has said something."""

    def messages(self, messages_event: Any) -> None:
        """Cancel."""
        self.hear("messages", messages_event)
        context = self.stream_run_context
        SDK.threads.runs.cancel(context.current_run_id, context.current_thread_id)


def follow(text: str, handler: Any = None, **params: Any) -> Any:
    """A run on a thread of its own, by a handler."""
    given = {"assistant_id": new_assistant().id, "thread_id": new_thread(text), **params}
    return SDK.threads.runs.stream_run_with_handler(event_handler=handler, **given)


def test_plain_answer_calls_a_hook_an_event() -> None:
    """Each event is given to the hook of its name, in the observed order, and is yielded."""
    handler = Recording()
    manager = follow("你好", handler)
    assert isinstance(manager, AssistantStreamManager)
    with manager as events:
        assert events is handler
        yielded = list(events)
    assert yielded == handler.events
    assert order_of(yielded) == [*BEGIN, *SAY, *END]
    assert [hook for hook, _ in handler.heard] == [
        "run_begin",
        "tool_step_begin",
        "message_creation",
        "messages",
        "tool_step_end",
        "run_end",
    ]
    assert text_of(yielded) == "你好"


def test_context_knows_the_run() -> None:
    """From the first event on the ids of run, thread and assistant are known; steps have theirs."""
    assistant, thread = new_assistant().id, new_thread("hello")
    handler = Recording()
    with follow("", handler, assistant_id=assistant, thread_id=thread) as events:
        events.until_done()
    run = handler.events[0].details.run_object.id
    for context in handler.context:
        assert (context["run"], context["thread"]) == (run, thread)
        assert (context["assistant"], context["calls"]) == (assistant, None)
    (step,) = SDK.threads.runs.steps.list(thread, run).data
    steps = {context["hook"]: context["step"] for context in handler.context}
    assert (steps["tool_step_begin"], steps["tool_step_end"]) == (step.id, step.id)
    assert (steps["run_begin"], steps["messages"]) == (None, None)


def test_rounds_of_calls_are_answered_in_the_hook() -> None:
    """Outputs are submitted while the stream is open; two rounds are one stream."""
    handler = Answering()
    text = '/call a {"city":"杭州"}\n/call b {}\n/then\n/call c {}'
    with follow(text, handler) as events:
        events.until_done()
    assert order_of(handler.events) == [*BEGIN, *ASK, *GO_ON, *ASK, *GO_ON, *SAY, *END]
    asked = [context["calls"] for context in handler.context if context["hook"] == "tool_calls"]
    assert [[call.function.name for call in calls] for calls in asked] == [["a", "b"], ["c"]]
    assert asked[0][0].function.arguments == '{"city":"杭州"}'
    taken = [event for hook, event in handler.heard if hook == "tool_submitted_output"]
    outputs = [[call.function.output for call in event.details.tool_calls] for event in taken]
    assert outputs == [["a!", "b!"], ["c!"]]
    assert text_of(handler.events) == "c -> c!"
    assert handler.events[-1].details.run_object.status == "completed"


def test_run_is_cancelled_in_the_hook() -> None:
    """A cancelled run tells so by a hook of its own, and ends the stream."""
    handler = Cancelling()
    with follow("/say Hel\n/wait 60", handler) as events:
        events.until_done()
    hooks = [hook for hook, _ in handler.heard]
    assert hooks[-3:] == ["run_cancelling", "tool_step_end", "run_end"]
    assert handler.events[-1].status == "cancelled"


def test_every_hook_is_called() -> None:
    """The SDK has nine hooks, and there is an event for each."""
    heard: set[str] = set()
    for text, handler in ((CALL, Answering()), ("/say Hel\n/wait 60", Cancelling())):
        with follow(text, handler) as events:
            events.until_done()
        heard.update(hook for hook, _ in handler.heard)
    assert sorted(heard) == HOOKS
    assert len(HOOKS) == 9


def test_events_are_taken_one_by_one() -> None:
    """The handler is an iterator; after the last event there is no more."""
    with follow("hello", Recording()) as events:
        first = next(events)
        rest = list(events)
        assert first.event_type == "run_begin"
        assert order_of(rest) == [*SAY, *END]
        with pytest.raises(StopIteration):
            next(events)


def test_handler_need_not_be_given() -> None:
    """Without one the SDK's own is used, whose hooks do nothing."""
    with follow("hello") as events:
        assert order_of(events) == [*BEGIN, *SAY, *END]


def test_every_parameter_is_taken() -> None:
    """All that the SDK can send with a run is taken here, too."""
    thread = new_thread("one")
    handler = Recording()
    with SDK.threads.runs.stream_run_with_handler(
        assistant_id=new_assistant().id,
        thread_id=thread,
        thread=SDK.type.AssistantThread(messages=[{"content": "二"}]),
        model="DeepSeek-V3.1",
        response_format="text",
        instructions="i",
        thought_instructions="t",
        chat_instructions="c",
        tools=[WEATHER],
        metadata={"k": "v"},
        tool_output=None,
        event_handler=handler,
        model_parameters=SDK.public_type.AssistantModelParameters(),
        user_info=SDK.type.AssistantUserInfo(name="n"),
        user_loc=SDK.type.AssistantUserLoc(uip="127.0.0.1"),
    ) as events:
        events.until_done()
    assert text_of(handler.events) == "二"
    run = handler.events[0].details.run_object
    assert (run.thread_id, run.model, run.instructions) == (thread, "DeepSeek-V3.1", "i")


def test_output_lets_a_run_go_on_by_a_handler() -> None:
    """A run that waits is continued by a second call with its output."""
    assistant, thread = new_assistant().id, new_thread(CALL)
    run = SDK.threads.runs.run(assistant, thread)
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    handler = Recording()
    output = {"tool_call_id": call.id, "output": "rain", "run_id": run.id}
    where = {"assistant_id": assistant, "thread_id": thread}
    with follow("", handler, tool_output=output, **where) as events:
        events.until_done()
    assert handler.context[0]["run"] == run.id
    assert text_of(handler.events) == "get_weather -> rain"
    assert handler.heard[-1][0] == "run_end"


@pytest.mark.parametrize(
    ("text", "status"),
    [("/fail server_error x", "failed"), ("/incomplete", "failed"), ("/expire", "expired")],
)
def test_bad_end_is_an_end(text: str, status: str) -> None:
    """A run that ends badly calls the last hook with its status."""
    handler = Recording()
    with follow(text, handler) as events:
        events.until_done()
    assert [(hook, event.status) for hook, event in handler.heard] == [
        ("run_begin", "queued"),
        ("run_end", status),
    ]


def test_pings_are_yielded_as_they_are(whole_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a stream waits it is kept alive; the handler yields what a ping holds, raw."""
    point_at(whole_server, monkeypatch)
    handler = Recording()
    pings = 0
    with follow(CALL, handler) as events:
        for event in events:
            if isinstance(event, str):
                pings += 1
                if pings == 2:
                    asked = handler.context[-1]
                    outputs = [{"tool_call_id": asked["calls"][0].id, "output": "rain"}]
                    SDK.threads.runs.submit_tool_outputs(asked["run"], asked["thread"], outputs)
    assert pings >= 2
    assert order_of(handler.events) == [*BEGIN, *ASK, *GO_ON, *SAY, *END]


def test_fault_of_a_hook_ends_the_stream_in_silence() -> None:
    """The SDK logs what a hook raises, and goes on as if the run had ended; it has not."""

    class Faulty(Recording):
        def tool_calls(self, status_event: Any) -> None:
            self.hear("tool_calls", status_event)
            raise RuntimeError("of the user's own")

    handler = Faulty()
    with follow(CALL, handler) as events:
        yielded = list(events)
    assert order_of(yielded) == ["run_begin", "tool_step_begin"]
    context = handler.context[-1]
    assert SDK.threads.runs.query(context["thread"], context["run"]).status == "requires_action"


def test_refusal_is_an_empty_message() -> None:
    """An error inside a 200 is no stream; the handler makes one empty message of it."""
    handler = Recording()
    with follow("x", handler, assistant_id="asst_none") as events:
        events.until_done()
    assert [hook for hook, _ in handler.heard] == ["messages"]
    assert handler.events[0].model_dump() == SDK.type.StreamRunMessage().model_dump()
