"""The run so far, folded from its events. Linear: text is kept in parts and joined on demand."""

from msgspec.structs import replace

from aiodashassist.core.events import (
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    ThreadEvent,
    ToolFinished,
)
from aiodashassist.core.models import Content, Message, Run, RunStep, Text, Thread
from aiodashassist.core.result import RunResult
from aiodashassist.core.tooling import FunctionCall, ToolCall

__all__ = ("Snapshot",)


class Snapshot:
    """Folds events into the run so far.

    Attributes:
        run: the run as last seen.
        thread: the thread, where the call created it.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.thread: Thread | None = None
        self._messages: dict[str, Message | None] = {}  # in the order begun
        self._parts: dict[str, list[str]] = {}
        self._steps: dict[str, RunStep] = {}
        self._functions: list[ToolCall] = []
        self._request_ids: dict[str, None] = {}

    def receive(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case MessageDelta(message_id=message_id, text=text):
                self._parts.setdefault(message_id, []).append(text)
                self._messages.setdefault(message_id, None)
            case MessageEvent(message=message):
                self._messages[message.id] = message
                self._note(message.request_id)
            case RunEvent(status=status, run=run):
                # The event's name is right where the object disagrees (dashscope.md §7.8).
                self.run = run if run.status == status else replace(run, status=status)
                self._note(run.request_id)
            case StepEvent(step=step):
                self._steps[step.id] = step
                self._note(step.request_id)
            case ThreadEvent(thread=thread):
                self.thread = thread
                self._note(thread.request_id)
            case ToolFinished(call=call, output=output):
                self.called(call, output.output)

    def missing(self, event: MessageEvent) -> MessageDelta | None:
        """The text of a message that its deltas left out; None where nothing is missing."""
        message = event.message
        had = "".join(self._parts.get(message.id, ()))
        if not message.text.startswith(had):
            return None
        rest = message.text[len(had) :]
        return MessageDelta(message_id=message.id, text=rest) if rest else None

    def called(self, call: ToolCall, output: str) -> None:
        """Take the output of a call that was made here."""
        function = FunctionCall(name=call.name, arguments=call.arguments, output=output)
        self._functions.append(ToolCall(id=call.id, function=function, call_id=call.call_id))

    @property
    def text(self) -> str:
        """All text so far, of all messages in the order they were begun."""
        return "".join(self.text_of(message_id) for message_id in self._messages)

    def text_of(self, message_id: str) -> str:
        """One message's text so far; `""` for a message not seen."""
        parts = self._parts.get(message_id)
        if parts is not None:
            if len(parts) > 1:
                parts[:] = ["".join(parts)]
            return parts[0]
        message = self._messages.get(message_id)
        return message.text if message is not None else ""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages so far; one not completed has the text that has come."""
        return tuple(self._message(message_id) for message_id in self._messages)

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """The steps so far, as last seen."""
        return tuple(self._steps.values())

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Calls that have an output: functions as run here, then the vendor's plugins."""
        details = [step.step_details for step in self._steps.values()]
        calls = [call for detail in details if detail is not None for call in detail.tool_calls]
        plugins = (call for call in calls if call.plugin and call.output is not None)
        return (*self._functions, *plugins)

    def result(self, pending_calls: tuple[ToolCall, ...] = ()) -> RunResult | None:
        """The whole as one value; None before the run's first event."""
        if self.run is None:
            return None
        messages = self.messages
        return RunResult(
            run=self.run,
            thread_id=self.run.thread_id or (self.thread.id if self.thread else None),
            messages=messages,
            message=messages[-1] if messages else None,
            steps=self.steps,
            text=self.text,
            usage=self.run.usage,
            tool_calls=self.tool_calls,
            pending_calls=pending_calls,
            request_ids=tuple(self._request_ids),
        )

    def _message(self, message_id: str) -> Message:
        message = self._messages[message_id]
        text = self.text_of(message_id)
        if message is not None and (message.text or not text):
            return message
        content = (Content(text=Text(value=text)),)
        if message is None:
            return Message(id=message_id, role="assistant", content=content)
        return replace(message, content=content)

    def _note(self, request_id: str | None) -> None:
        if request_id:
            self._request_ids[request_id] = None
