"""The run so far, folded from its events. Linear: text is kept in parts and joined on demand."""

from collections.abc import Iterable
from itertools import chain

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
from aiodashassist.core.tooling import FunctionCall, ToolCall, ToolOutput

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
        self._ended: dict[str, str] = {}  # message -> completed, or incomplete
        self._parts: dict[str, list[str]] = {}
        self._steps: dict[str, RunStep] = {}
        self._shown: dict[str, tuple[ToolCall, ...]] = {}  # made calls, by the step that shows them
        self._made: list[ToolCall] = []  # here, and not shown by their step yet
        self._request_ids: dict[str, None] = {}

    def receive(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case MessageDelta(message_id=message_id, text=text):
                self._parts.setdefault(message_id, []).append(text)
                self._messages.setdefault(message_id, None)
            case MessageEvent(status=status, message=message):
                self._messages[message.id] = message
                if status != "in_progress":
                    self._ended[message.id] = status
                self._note(message.request_id)
            case RunEvent(status=status, run=run):
                # The event's name is right where the object disagrees (dashscope.md §7.8).
                self.run = run if run.status == status else replace(run, status=status)
                self._note(run.request_id)
            case StepEvent(status=status, step=step):
                known = step if step.status == status else replace(step, status=status)
                self._steps[step.id] = known
                self._show(step)
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

    @property
    def told(self) -> set[tuple[str, str]]:
        """What has come of steps and messages, as their ids with the last status of each."""
        begun = "in_progress"  # a step that did not say what it is has not told what matters
        steps = (step for step in self._steps.values() if step.type or step.status != begun)
        return {(step.id, step.status or "") for step in steps} | set(self._ended.items())

    def recognised(self, messages: Iterable[Message]) -> list[Message]:
        """Messages that were read back, each under the id that it had in the stream.

        A list may have other ids (appbuilder.md §8): then a message is one of the stream's, the
        next in order, if it begins with what came of that.
        """
        listed = list(messages)
        here = {message.id for message in listed}
        gone = [message_id for message_id in self._messages if message_id not in here]
        known = []
        for message in listed:
            strange = message.id not in self._messages
            if strange and gone and message.text.startswith(self.text_of(gone[0])):
                known.append(replace(message, id=gone.pop(0)))
            else:
                known.append(message)
        return known

    def broken_off(self, messages: Iterable[Message]) -> bool:
        """Whether text of a message has come that did not end, and is none of these."""
        here = {message.id for message in messages}
        begun = (one for one in self._parts if one not in self._ended and one not in here)
        return any(self.text_of(message_id) for message_id in begun)

    def called(self, call: ToolCall, output: str) -> None:
        """Take the output of a call that was made here, or that was given."""
        if call.call_id and call.call_id in {shown.call_id for shown in self._all_shown()}:
            return
        function = FunctionCall(name=call.name, arguments=call.arguments, output=output)
        self._made.append(ToolCall(id=call.id, function=function, call_id=call.call_id))

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
        """Calls that have an output, functions and plugins, as their steps came.

        A function run here stands once, with its `call_id`: in its step, or at the end as long as
        its step was not shown.
        """
        made: dict[str, list[ToolCall]] = {}
        for call in self._made:
            named_by = call.call_id.rpartition(":")[0]
            made.setdefault(named_by if named_by in self._steps else "", []).append(call)
        places = ((*self._shown.get(step, ()), *made.get(step, ())) for step in self._steps)
        return (*chain.from_iterable(places), *made.get("", ()))

    def result(
        self,
        pending_calls: tuple[ToolCall, ...] = (),
        completed_outputs: tuple[ToolOutput, ...] = (),
    ) -> RunResult | None:
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
            completed_outputs=completed_outputs,
            request_ids=tuple(self._request_ids),
        )

    def _all_shown(self) -> list[ToolCall]:
        return [call for step_id in self._steps for call in self._shown.get(step_id, ())]

    def _show(self, step: RunStep) -> None:
        """Take the calls that a step shows as made; a step may come again."""
        calls = step.step_details.tool_calls if step.step_details is not None else ()
        if all(call.output is None for call in calls):
            return
        before = [call for call in self._shown.get(step.id, ()) if call.function is not None]
        self._made = [*before, *self._made]
        self._shown[step.id] = ()
        functions = 0
        for call in calls:
            place = f"{step.id}:{functions}"
            functions += call.function is not None
            if call.output is not None:
                self._shown[step.id] += (self._settled(call, place),)

    def _settled(self, call: ToolCall, place: str) -> ToolCall:
        """A call as its step shows it; one made here stays as it was made."""
        if call.function is None:
            return call
        names = (call.id, call.name)
        alike = [o for o in self._made if o.call_id == place or (o.id, o.name) == names]
        if alike:
            ours = min(alike, key=lambda o: (o.call_id != place, o.call_id != call.id, o.call_id))
            self._made.remove(ours)
            return ours
        used = {shown.call_id for shown in self._all_shown()}
        return replace(call, call_id=place if call.id in used else call.id or place)

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
