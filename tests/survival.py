"""A small world for tests/test_survival.py: a server, a client of it, and what was meant to be.

Whatever a client is asked for is noted as an intention before, with what was told of it afterwards.
`World.check` holds the notes against what the server keeps, which is the truth.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal, TypeAlias, TypeVar

import aiohttp
from msgspec import Struct

from aiodashassist import AppBuilder, RunStream, ToolContext, ToolError, Toolset
from aiodashassist.core.models import Message, Page, Run, RunStep, Thread
from aiodashassist.core.operations import ListSteps, Operation, RetrieveRun, SubmitOutputs
from aiodashassist.core.params import ListParams
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
from aiodashassist.server.store import Store
from tests.in_process import Break, Fault, InProcess

T = TypeVar("T")
Kind: TypeAlias = Any  # a client's class

SERIAL = re.compile(r"<(\d+)>")
TROUBLE = (TransportError, RateLimited, ServerError)  # what a caller is told of faults
APART = 5.0  # seconds between two steps, in virtual time
BEGIN = 1_750_000_000_000  # epoch milliseconds
BORNE = 3  # faults in one call, of which a caller is told nothing
NEVER = "never begun"


class Told(Struct):
    """A message that was to be written; `stored` is whether somebody was told that it is."""

    thread_id: str
    text: str
    stored: bool = False


class Intention(Struct):
    """A run that was meant to be.

    Attributes:
        thread_id: where.
        rounds: how many calls there are in each.
        before: the runs that were on the thread already.
        status: how it ended, as the caller was told; `""` where nobody was told.
        outputs: what its calls gave and the service may not have.
        unsent: whether the service certainly does not have them.
        again: calls that may be made once more, since whoever made them was gone.
        cancelled: whether somebody may have cancelled it.
    """

    thread_id: str
    rounds: tuple[int, ...]
    before: frozenset[str]
    status: str = ""
    outputs: tuple[ToolOutput, ...] = ()
    unsent: bool = False
    again: int = 0
    cancelled: bool = False

    def forget(self) -> None:
        """Whoever made its calls is gone, and so may be what the round under way gave."""
        self.again += max(self.rounds, default=0)


class Made(Struct, frozen=True):
    """A call that was made, by a tool or by hand."""

    run_id: str
    key: str


class Act(Struct, frozen=True):
    """What is done in the middle of a stream, after so many events; a pause is at the calls."""

    what: Literal["cancel", "leave", "pause"]
    at: int


class Trouble(Struct):
    """What goes wrong: after so many requests of this name (`""`: any) so many of them fail so."""

    fault: Fault
    name: str
    after: int
    times: int

    def is_due(self, operation: Operation[Any]) -> bool:
        """Whether this request fails, which is counted."""
        if self.name not in {"", type(operation).__name__}:
            return False
        # Only a stream has no length, so that nothing tells that it ended early.
        clean = isinstance(self.fault, Break) and self.fault.error is None
        if clean and not getattr(operation, "stream", False):
            return False
        self.after -= 1
        due = self.after < 0 < self.times
        self.times -= due
        return due


class Late:
    """Runs as they were before the last outputs were taken.

    Attributes:
        shown: the run that was shown so last, if it was.
    """

    def __init__(self) -> None:
        self.shown = ""
        self._times: dict[str, int] = {}
        self._runs: dict[str, Run] = {}
        self._steps = Store()

    def keep(self, run: Run, steps: tuple[RunStep, ...], times: int) -> None:
        """Show it so many times more."""
        self._runs[run.id], self._times[run.id] = run, times
        for step in steps:
            self._steps.put("", step, run.id)

    def run(self, run_id: str) -> Run | None:
        """The run as it was, if it is still to be shown so."""
        late = self._times.get(run_id, 0) > 0
        self.shown = run_id if late else ""
        if late:
            self._times[run_id] -= 1
        return self._runs[run_id] if late else None

    def steps(self, run_id: str, page: ListParams) -> Page[RunStep]:
        """Its steps as they were."""
        return self._steps.page("", RunStep, page, run_id)


class World:
    """A server, the newest client of it, and all that was meant to be.

    Attributes:
        plan: what goes wrong with requests to come.
        fired: how much has gone wrong so far.
        lag: how often a run is shown as it was before outputs were taken; if so, a stream that is
            open breaks as they are.
        threads: the conversations.
        made: the calls, by the serial number that their output has.
    """

    def __init__(self, kind: Kind, *, empty_call_ids: bool, cumulative: bool) -> None:
        self.harness = InProcess(
            expire_after=10**6,
            empty_call_ids=empty_call_ids,
            message_chunks="cumulative" if cumulative else "delta",
        )
        # Nothing but AppBuilder's wire leaves that open, and short texts do not tell.
        self._options = (
            {"message_chunks": "cumulative"} if cumulative and kind is AppBuilder else {}
        )
        self.harness.fault = self._fault
        self.lag = 0
        self._late = Late()
        self._streamed = 0
        self._execute, self.harness._desk.execute = self.harness._desk.execute, self._lagging
        self.plan: list[Trouble] = []
        self.fired = 0
        self.threads: list[str] = []
        self.made: dict[int, Made] = {}
        self._told: list[Told] = []
        self._intentions: list[Intention] = []
        self._kind = kind
        self._numbers = count(1)
        self._tools = Toolset()
        self._tools.register(name="note")(self._note)
        self._client: Any = self.harness.client(kind, **self._options)
        self._assistant_id = ""

    async def begin(self) -> None:
        """Make the assistant, and a conversation."""
        made = await self._client.assistants.create(model="qwen-max", name="survivor")
        self._assistant_id = made.id
        await self.create_thread()

    async def renew(self) -> None:
        """The client is gone, and all that it knew; another one takes its place."""
        await self._client.close()
        self._client = self.harness.client(self._kind, **self._options)

    @property
    def open(self) -> list[Intention]:
        """The intentions of which nobody was told how they ended."""
        return [one for one in self._intentions if not one.status]

    @property
    def unsent(self) -> list[Intention]:
        """Those whose calls were made, and the outputs not sent."""
        return [one for one in self.open if one.unsent]

    @property
    def free(self) -> list[str]:
        """The threads on which no run can be under way."""
        taken = {one.thread_id for one in self.open}
        return [thread_id for thread_id in self.threads if thread_id not in taken]

    # --- what can be done ---

    async def create_thread(self) -> None:
        """Begin a conversation."""
        with self._bearing():
            thread = await self._client.threads.create()
            self.threads.append(thread.id)

    async def say(self, thread_id: str, text: str = "") -> bool:
        """Write a message; whether it was acknowledged."""
        told = self._noted(thread_id, text or f"message {next(self._numbers)}")
        with self._bearing():
            message = await self._client.threads.messages.create(thread_id, told.text)
            told.stored = True
            (kept,) = self._alike(told)
            assert kept.id == message.id
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
        intention = Intention(thread_id, rounds, frozenset(self._runs_on(thread_id)))
        intention.cancelled = on_exit == "cancel"
        self._intentions.append(intention)
        question = _question(next(self._numbers), rounds, alike=alike, good=good)
        tools = self._tools if by == "tool" else None
        given: dict[str, Any] = {"tools": tools, "on_exit": on_exit}
        act = Act("pause", 0) if by == "nobody" else act
        client, assistant_id = self._client, self._assistant_id
        if way == "ask":
            told = self._noted(thread_id, question)
            stream = client.stream(
                question, thread_id=thread_id, assistant_id=assistant_id, **given
            )
            await self._follow(stream, intention, act)
            told.stored = bool(self._runs_of(intention))  # no run is begun before that is known
            return
        if not await self.say(thread_id, question):
            intention.status = NEVER
        elif way == "stream":
            stream = client.threads.runs.stream(thread_id, assistant_id=assistant_id, **given)
            await self._follow(stream, intention, act)
        else:
            with self._bearing():
                run = await client.threads.runs.create(thread_id, assistant_id=assistant_id)
                stream = client.threads.runs.attach(thread_id, run.id, **given)
                await self._follow(stream, intention, act)

    async def settle(self, intention: Intention, act: Act | None = None) -> None:
        """Look for the run of an intention that is open, and go on with it, as a new process does.

        What its calls gave, if that was not lost, is given to it, so that they are not made again.
        """
        run_ids = self._runs_of(intention)
        if not run_ids:
            intention.status = NEVER
            return
        intention.unsent = False
        stream = self._client.threads.runs.attach(
            intention.thread_id, run_ids[0], tools=self._tools, outputs=intention.outputs
        )
        try:
            await self._follow(stream, intention, act)
        except InvalidArgument:  # they had arrived: they are for no call that the run waits for
            assert intention.outputs
            intention.outputs = ()
            await self.settle(intention)

    async def submit(self, intention: Intention) -> None:
        """Answer the calls of a run that was left with them, without a stream."""
        (run_id,) = self._runs_of(intention)
        calls = self._run(intention, run_id).tool_calls
        outputs = [
            ToolOutput(tool_call_id=call.id, output=output.output)
            for call, output in zip(calls, intention.outputs, strict=True)
        ]
        intention.unsent = False
        with self._bearing(OutcomeUnknown):  # two rounds that are alike are not told apart
            await self._client.threads.runs.submit_tool_outputs(
                intention.thread_id, run_id, tool_outputs=outputs
            )
            intention.outputs = ()

    async def cancel(self, intention: Intention) -> None:
        """Cancel the run of an intention that is open."""
        for run in self._kept(Run, intention.thread_id):
            if run.id in self._runs_of(intention) and not run.is_terminal:
                intention.cancelled, intention.unsent = True, False
                with self._bearing():
                    await self._client.threads.runs.cancel(intention.thread_id, run.id)
                    assert self._run(intention, run.id).status == "cancelled"

    async def finish(self) -> None:
        """Nothing goes wrong any more: all that is open comes to its end."""
        self.plan.clear()
        self.lag = 0
        await self.renew()
        for intention in self.open:
            await self.settle(intention)
            assert intention.status

    async def close(self) -> None:
        """Close the client and the server."""
        await self._client.close()
        await self.harness.close()

    # --- what must hold ---

    async def check(self) -> None:
        """Hold the notes against what the server keeps."""
        await asyncio.sleep(APART)  # what was closed is let go
        self._late = Late()  # and what was late is there
        assert self.harness.unclosed == []
        at_work = asyncio.all_tasks() - {asyncio.current_task()}
        assert {task.get_name() for task in at_work} == set(self.harness.live_runs)
        self._check_messages()
        used: Counter[int] = Counter()
        for intention in self._intentions:
            run_ids = self._runs_of(intention)
            assert len(run_ids) <= 1, "one intention, two runs"
            if intention.status not in {"", NEVER}:
                assert run_ids, "a run that somebody was told of is gone"
            for run_id in run_ids:
                used += self._checked_run(intention, run_id)
        assert set(used.values()) <= {1}, "one output, two calls"

    def _check_messages(self) -> None:
        """What was acknowledged is stored once; nothing is stored twice, nor by nobody."""
        for told in self._told:
            assert len(self._alike(told)) in ({1} if told.stored else {0, 1}), told
        texts = {(told.thread_id, told.text) for told in self._told}
        for thread in self.harness.store.all("", Thread):
            for message in self._kept(Message, thread.id):
                assert message.role == "assistant" or (thread.id, message.text) in texts

    def _checked_run(self, intention: Intention, run_id: str) -> Counter[int]:
        """Check a run and its calls; the serial numbers of the outputs that its steps took."""
        run = self._run(intention, run_id)
        if intention.status:
            assert run.status == intention.status
        assert run.status != "cancelled" or intention.cancelled
        steps = [
            step
            for step in self.harness.store.all("", RunStep, run_id)
            if step.type == "tool_calls"
        ]
        asked = sum(intention.rounds[: len(steps)])
        made = sum(call.run_id == run_id for call in self.made.values())
        assert made <= asked + intention.again, "a call was made twice"
        taken = [call for step in steps for call in _calls(step)]
        if run.status == "completed":
            assert len(steps) == len(intention.rounds)
            assert len(taken) == asked <= made
        serials = [int(serial) for call in taken for serial in SERIAL.findall(call.output or "")]
        assert len(serials) == len(taken)
        for call, serial in zip(taken, serials, strict=True):
            assert self.made[serial].run_id == run_id
            assert f'"{self.made[serial].key}"' in call.arguments
        return Counter(serials)

    # --- following a run ---

    async def _follow(self, stream: RunStream, intention: Intention, act: Act | None) -> None:
        """Read a run to its end, and note how it ended."""
        fired, cancels = self.fired, stream._options.on_exit == "cancel"
        try:
            with self._bearing():
                await self._read(stream, intention, act)
                if cancels and fired == self.fired and not stream.pending_calls:
                    assert self._run(intention, self._runs_of(intention)[0]).is_terminal
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
                    if isinstance(event, MessageDelta):
                        said.append(event.text)
                    ends += _ends(event)
                    if act is not None and act.at == seen and act.what == "leave":
                        intention.forget()
                        return
                    if act is not None and act.at == seen:
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
        (run_id,) = self._runs_of(intention)
        assert result.run.id == run_id
        assert len(ends) == len(set(ends)), "it ended twice"
        kept = [one for one in self._kept(Message, intention.thread_id) if one.run_id == run_id]
        assert "".join(said) == result.text == "".join(message.text for message in kept)
        intention.status = "completed"

    async def _cancel_within(self, stream: RunStream, intention: Intention) -> None:
        intention.cancelled = True
        try:
            await stream.cancel()
        except BadRequest:  # it has ended meanwhile
            (run_id,) = self._runs_of(intention)
            assert self._run(intention, run_id).is_terminal

    async def _note(self, context: ToolContext[Any], key: str, good: bool) -> str:
        """Note something."""
        serial = self._make(context.run_id, key)
        await asyncio.sleep(0)
        if not good:
            raise ToolError(f"<{serial}> is no good")
        return f"<{serial}>"

    def _by_hand(self, calls: tuple[ToolCall, ...], intention: Intention) -> tuple[ToolOutput, ...]:
        """Make these calls."""
        (run_id,) = self._runs_of(intention)
        keys = [call.arguments.split('"')[3] for call in calls]
        outputs = [f"<{self._make(run_id, key)}>" for key in keys]
        return tuple(
            ToolOutput(tool_call_id=call.call_id, output=output)
            for call, output in zip(calls, outputs, strict=True)
        )

    def _make(self, run_id: str, key: str) -> int:
        serial = next(self._numbers)
        self.made[serial] = Made(run_id, key)
        return serial

    @contextmanager
    def _bearing(self, *also: type[AssistError]) -> Iterator[None]:
        """A failure is told as one of transport, and only where more went wrong than is borne."""
        before = self.fired
        try:
            yield
        except TROUBLE as error:
            if self.fired - before <= (0 if isinstance(error, also) else BORNE):
                raise

    def _fault(self, operation: Operation[Any], _index: int) -> Fault | None:
        """What goes wrong with this request: the first that is due."""
        if isinstance(operation, SubmitOutputs):
            self._late = Late()  # what asks for these outputs was shown already
        due = [trouble.fault for trouble in self.plan if trouble.is_due(operation)]
        self.fired += bool(due)
        return due[0] if due else None

    def _lagging(self, workspace: str, operation: Operation[Any], **options: Any) -> Any:
        """Do it; but the service is slow to show that outputs were taken.

        What it shows is not older than what its streams have said.
        """
        match operation:
            case SubmitOutputs(thread_id=thread_id, run_id=run_id):
                before = self.harness.store.get("", Run, run_id, thread_id)
                steps = self.harness.store.all("", RunStep, run_id)
                result = self._execute(workspace, operation, **options)
                self._late.keep(before, steps, self.lag)
                if self.lag:
                    self._cut_open_streams()
                self._streamed = self._said_in_streams()
                return result
            case RetrieveRun(run_id=run_id):
                if self._said_in_streams() > self._streamed:
                    self._late = Late()
                late = self._late.run(run_id)
                return late or self._execute(workspace, operation, **options)
            case ListSteps(run_id=run_id) if run_id == self._late.shown:
                return self._late.steps(run_id, operation.page)
        return self._execute(workspace, operation, **options)

    def _cut_open_streams(self) -> None:
        """The connection of a stream that stays open while calls are made breaks."""
        for exchange in self.harness.exchanges:
            answer = exchange.answer
            if exchange.stream and answer is not None and not answer.closed:
                answer.content.set_exception(aiohttp.ClientPayloadError("broken off"))
                self.fired += 1

    def _said_in_streams(self) -> int:
        """How many bytes have come in streams."""
        return sum(exchange.length for exchange in self.harness.exchanges if exchange.stream)

    # --- what the server keeps ---

    def _noted(self, thread_id: str, text: str) -> Told:
        told = Told(thread_id, text)
        self._told.append(told)
        return told

    def _alike(self, told: Told) -> list[Message]:
        return [one for one in self._kept(Message, told.thread_id) if one.text == told.text]

    def _kept(self, kind: type[T], thread_id: str) -> tuple[T, ...]:
        return self.harness.store.all("", kind, thread_id)  # type: ignore[type-var]

    def _run(self, intention: Intention, run_id: str) -> Run:
        return self.harness.store.get("", Run, run_id, intention.thread_id)

    def _runs_on(self, thread_id: str) -> list[str]:
        return [run.id for run in self._kept(Run, thread_id)]

    def _runs_of(self, intention: Intention) -> list[str]:
        """The runs that began after it was meant to be, and before the next one was."""
        place = self._intentions.index(intention)
        later = self._intentions[place + 1 :]
        since = next((one.before for one in later if one.thread_id == intention.thread_id), None)
        run_ids = self._runs_on(intention.thread_id) if since is None else since
        return [run_id for run_id in run_ids if run_id not in intention.before]


def now() -> int:
    """Epoch milliseconds, by the clock of the loop."""
    return BEGIN + round(asyncio.get_running_loop().time() * 1000)


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


def _calls(step: RunStep) -> tuple[ToolCall, ...]:
    return step.step_details.tool_calls if step.step_details is not None else ()
