"""A server, one client after the other, and all that they do; see tests/test_survival.py."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from aiodashassist import AppBuilder, RunStream, ToolContext, ToolError, Toolset
from aiodashassist.core.tooling import ToolCall, ToolOutput
from aiodashassist.errors import (
    AssistError,
    BadRequest,
    InvalidArgument,
    OutcomeUnknown,
    RateLimited,
    RunCancelled,
    ServerError,
    TransportError,
)
from aiodashassist.events import (
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    ToolFinished,
)
from tests.survival.notes import NEVER, Intention, Notes
from tests.survival.server import Server

__all__ = ("Act", "World")

Kind: TypeAlias = Any  # a client's class

TROUBLE = (TransportError, RateLimited, ServerError)  # what a caller is told of faults
BORNE = 3  # faults in one call, of which a caller is told nothing
APART = 5.0  # seconds between two steps, in virtual time


class Act(Struct, frozen=True):
    """What is done in the middle of a stream, after so many events; a pause is at the calls."""

    what: Literal["cancel", "leave", "pause"]
    at: int


class World:
    """A server, the newest client of it, and all that was meant to be.

    Attributes:
        server: the server.
        threads: the conversations.
    """

    def __init__(self, kind: Kind, *, empty_call_ids: bool, cumulative: bool) -> None:
        self.server = Server(empty_call_ids=empty_call_ids, cumulative=cumulative)
        self.threads: list[str] = []
        self._notes = Notes(self.server)
        self._kind = kind
        # AppBuilder's wire does not say what its chunks are, and short ones do not tell.
        said = cumulative and kind is AppBuilder
        self._options = {"message_chunks": "cumulative"} if said else {}
        self._client = self._new_client()
        self._numbers = count(1)
        self._tools = Toolset()
        self._tools.register(name="note")(self._note)
        self._assistant_id = ""

    async def begin(self) -> None:
        """Make the assistant, and a conversation."""
        made = await self._client.assistants.create(model="qwen-max", name="survivor")
        self._assistant_id = made.id
        await self.create_thread()

    async def renew(self) -> None:
        """The client is gone, and all that it knew; another one takes its place."""
        await self._client.close()
        self._client = self._new_client()

    @property
    def open(self) -> list[Intention]:
        """The intentions of which nobody was told how they ended."""
        return self._notes.open

    @property
    def unsent(self) -> list[Intention]:
        """Those whose calls were made, and the outputs not sent."""
        return [one for one in self.open if one.unsent]

    @property
    def free(self) -> list[str]:
        """The threads on which no run can be under way."""
        taken = {one.thread_id for one in self.open}
        return [thread_id for thread_id in self.threads if thread_id not in taken]

    async def create_thread(self) -> None:
        """Begin a conversation."""
        with self._bearing():
            thread = await self._client.threads.create()
            self.threads.append(thread.id)

    async def say(self, thread_id: str, text: str = "") -> bool:
        """Write a message; whether it was acknowledged."""
        told = self._notes.say(thread_id, text or f"message {next(self._numbers)}")
        with self._bearing():
            message = await self._client.threads.messages.create(thread_id, told.text)
            told.stored = True
            assert [one.id for one in self._notes.stored(told)] == [message.id]
        return told.stored

    async def ask(
        self,
        thread_id: str,
        rounds: tuple[int, ...],
        *,
        way: Literal["ask", "stream", "create"],
        alike: bool,
        good: bool,
        by: Literal["tool", "hand", "nobody"],
        on_exit: Literal["cancel", "leave"],
        act: Act | None,
    ) -> None:
        """Ask something that takes these rounds of calls, and follow the run to its end.

        Args:
            thread_id: where.
            rounds: how many calls each has.
            way: in one call; with a message before; or with a run, not streamed, to attach to.
            alike: whether all calls are the same.
            good: whether the tool succeeds.
            by: who makes the calls and answers them; nobody: they are made, and left with the run.
            on_exit: what leaving does.
            act: what is done in the middle.
        """
        intention = self._notes.mean(thread_id, rounds, cancelled=on_exit == "cancel")
        question = _question(next(self._numbers), rounds, alike=alike, good=good)
        act = Act("pause", 0) if by == "nobody" else act
        run = {"assistant_id": self._assistant_id}
        given = {"tools": self._tools if by == "tool" else None, "on_exit": on_exit}
        runs = self._client.threads.runs
        if way == "ask":
            told = self._notes.say(thread_id, question)
            stream = self._client.stream(question, thread_id=thread_id, **run, **given)
            await self._follow(stream, intention, act)
            # No run is asked for before its message is known to be there.
            told.stored = bool(self._notes.runs_of(intention))
        elif not await self.say(thread_id, question):
            intention.status = NEVER
        elif way == "stream":
            await self._follow(runs.stream(thread_id, **run, **given), intention, act)
        else:
            with self._bearing():
                made = await runs.create(thread_id, **run)
                await self._follow(runs.attach(thread_id, made.id, **given), intention, act)

    async def settle(self, intention: Intention, act: Act | None = None) -> None:
        """Look for the run of an intention that is open, and go on with it, as a new process does.

        What its calls gave, if that was not lost, is given to it, so that they are not made again.
        """
        if not self._notes.runs_of(intention):
            intention.status = NEVER
            return
        run = self._notes.run_of(intention)
        intention.unsent = False
        stream = self._client.threads.runs.attach(
            intention.thread_id, run.id, tools=self._tools, outputs=intention.outputs
        )
        try:
            await self._follow(stream, intention, act)
        except InvalidArgument:  # they had arrived: they are for no call that the run waits for
            assert intention.outputs
            intention.outputs = ()
            await self.settle(intention)

    async def submit(self, intention: Intention) -> None:
        """Answer the calls of a run that was left with them, without a stream."""
        run = self._notes.run_of(intention)
        outputs = [
            ToolOutput(tool_call_id=call.id, output=output.output)
            for call, output in zip(run.tool_calls, intention.outputs, strict=True)
        ]
        intention.unsent = False
        with self._bearing(OutcomeUnknown):  # two rounds that are alike are not told apart
            await self._client.threads.runs.submit_tool_outputs(
                intention.thread_id, run.id, tool_outputs=outputs
            )
            intention.outputs = ()

    async def cancel(self, intention: Intention) -> None:
        """Cancel the run of an intention that is open."""
        for run in self._notes.runs_of(intention):
            if not run.is_terminal:
                intention.cancelled, intention.unsent = True, False
                with self._bearing():
                    await self._client.threads.runs.cancel(intention.thread_id, run.id)
                    assert self._notes.run_of(intention).status == "cancelled"

    async def check(self) -> None:
        """Hold what was meant against what there is; nobody is left at work."""
        await asyncio.sleep(APART)  # what was closed is let go
        self.server.catch_up()
        harness = self.server.harness
        assert harness.unclosed == []
        at_work = asyncio.all_tasks() - {asyncio.current_task()}
        assert {task.get_name() for task in at_work} == set(harness.live_runs)
        self._notes.check()

    async def finish(self) -> None:
        """Nothing goes wrong any more: all that is open comes to its end."""
        self.server.plan, self.server.lag = [], 0
        await self.renew()
        for intention in self.open:
            await self.settle(intention)
            assert intention.status
        await self.check()
        await self._client.close()
        await self.server.harness.close()

    def _new_client(self) -> Any:
        return self.server.harness.client(self._kind, **self._options)

    @contextmanager
    def _bearing(self, *also: type[AssistError]) -> Iterator[None]:
        """A failure is told as one of transport, and only where more went wrong than is borne."""
        before = self.server.fired
        try:
            yield
        except TROUBLE as error:
            if self.server.fired - before <= (0 if isinstance(error, also) else BORNE):
                raise

    async def _follow(self, stream: RunStream, intention: Intention, act: Act | None) -> None:
        """Read a run to its end, and note how it ended."""
        fired, cancels = self.server.fired, stream._options.on_exit == "cancel"
        try:
            with self._bearing():
                await self._read(stream, intention, act)
                if cancels and fired == self.server.fired and not stream.pending_calls:
                    assert self._notes.run_of(intention).is_terminal
                return
        except InvalidArgument:
            raise
        except RunCancelled as error:
            intention.status = error.status
            return
        except BaseException:  # cancelled, from within or without
            intention.forget()
            raise
        if stream.completed_outputs:
            intention.outputs = stream.completed_outputs
        else:
            intention.forget()

    async def _read(self, stream: RunStream, intention: Intention, act: Act | None) -> None:
        said: list[str] = []
        ends: list[tuple[str, str]] = []
        seen = 0
        async with stream:
            while True:
                async for event in stream:
                    seen += 1
                    said.append(event.text if isinstance(event, MessageDelta) else "")
                    ends += _ends(event)
                    if act is not None and act.at == seen:
                        if act.what == "leave":
                            intention.forget()
                            return
                        await self._cancel_within(stream, intention)
                if not stream.pending_calls:
                    break
                intention.outputs = self._by_hand(stream.pending_calls, intention)
                if act is not None and act.what == "pause":
                    intention.unsent = True
                    return
                await stream.submit(intention.outputs)
                intention.outputs = ()
            result = await stream.result()
        intention.status = "completed"
        run = self._notes.run_of(intention)
        assert result.run.id == run.id
        assert len(ends) == len(set(ends)), "something ended twice"
        kept = [one for one in self.server.messages(intention.thread_id) if one.run_id == run.id]
        assert "".join(said) == result.text == "".join(message.text for message in kept)

    async def _cancel_within(self, stream: RunStream, intention: Intention) -> None:
        intention.cancelled = True
        try:
            await stream.cancel()
        except BadRequest:  # it has ended meanwhile
            assert self._notes.run_of(intention).is_terminal

    async def _note(self, context: ToolContext[Any], key: str, good: bool) -> str:
        """Note something."""
        output = self._notes.make(context.run_id, key)
        await asyncio.sleep(0)
        if not good:
            raise ToolError(output)
        return output

    def _by_hand(self, calls: tuple[ToolCall, ...], intention: Intention) -> tuple[ToolOutput, ...]:
        """Make these calls."""
        run = self._notes.run_of(intention)
        return tuple(
            ToolOutput(
                tool_call_id=call.call_id,
                output=self._notes.make(run.id, call.arguments.split('"')[3]),
            )
            for call in calls
        )


def _question(number: int, rounds: tuple[int, ...], *, alike: bool, good: bool) -> str:
    """A question that nobody else asks, and that takes so many calls."""
    lines = [f"/say {number}: "]
    for place, calls in enumerate(rounds):
        for index in range(calls):
            key = str(number) if alike else f"{number}.{place}.{index}"
            lines.append(f'/call note {{"key": "{key}", "good": {str(good).lower()}}}')
        lines.append("/then")
    return "\n".join(lines)


def _ends(event: Event) -> list[tuple[str, str]]:
    """What ends with an event: the run, or one of its messages, steps and calls."""
    match event:
        case MessageEvent(status="completed" | "incomplete", message=message):
            return [("message", message.id)]
        case StepEvent(status="completed", step=step):
            return [("step", step.id)]
        case RunEvent(status="completed" | "cancelled", run=run):
            return [("run", run.id)]
        case ToolFinished(call=call):
            return [("call", call.call_id)]
    return []
