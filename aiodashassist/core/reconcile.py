"""What became of a request whose answer was lost: what to ask, and what the answers mean.

An inquiry is a generator: it yields operations, is sent what they gave, and returns its finding. It
never asks for anything that changes something. Where objects carry a mark they are found by it;
elsewhere by what is new on the thread, unless somebody else may have written it.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from aiodashassist.core import operations as ops
from aiodashassist.core.marks import mark_of
from aiodashassist.core.models import Message, Page, Run, RunStep
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import Extras, ListParams
from aiodashassist.core.tooling import ToolCall

__all__ = ("Found", "Inquiry", "Known", "NotReceived", "Seen", "Unclear", "inquiry", "whereabouts")

PAGES = 5  # of a list, newest first; what is not on them is not looked for any further
MEMORY = 10_000  # ids
ENDED = ("completed", "failed", "cancelled", "expired")  # of a step
WHEREABOUTS: dict[type[Operation[Any]], str] = {
    ops.CreateAssistant: "look at assistants.list()",
    ops.AttachFile: "look at assistants.files.list({assistant_id})",
    ops.CreateMessage: "look at threads.messages.list({thread_id})",
    ops.CreateRun: "look at threads.runs.list({thread_id})",
    ops.SubmitOutputs: "look at threads.runs.retrieve({thread_id}, {run_id}) and at its steps",
    ops.CreateFiles: "look at files.list()",
    ops.CreateThreadAndRun: "there may be a thread and a run that no list shows: to be able to "
    "look, create the thread first, then the run",
}


class Seen(Struct, frozen=True):
    """What an inquiry is sent: a result and, of a list, the marks of its objects."""

    result: Any
    marks: tuple[str | None, ...] = ()


class Found(Struct, frozen=True):
    """The work was done, and this came of it."""

    result: Any


class NotReceived(Struct, frozen=True):
    """Nothing came of it, as far as can be seen now."""


class Unclear(Struct, frozen=True):
    """It cannot be known, and why."""

    why: str


Finding: TypeAlias = Found | NotReceived | Unclear
Inquiry: TypeAlias = Generator[Operation[Any], Seen, Finding]


class Known:
    """The ids of messages and runs that a client has seen, the newest ten thousand of them.

    What is known was there before: it did not come of the request whose answer was lost.
    """

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __contains__(self, obj_id: str) -> bool:
        return obj_id in self._ids

    def see(self, result: object) -> None:
        """Take note of what a request gave."""
        if isinstance(result, Page):
            for obj in result.data:
                self.see(obj)
        elif isinstance(result, Run | Message):
            self.add(result.id)

    def add(self, obj_id: str) -> None:
        """Take note of an id."""
        self._ids[obj_id] = None
        if len(self._ids) > MEMORY:
            del self._ids[next(iter(self._ids))]


def inquiry(operation: Operation[Any], known: Known, page_size: int) -> Inquiry | None:
    """How to learn what became of an operation; None where there is no way.

    Args:
        operation: as it was sent, with its mark.
        known: what was there before.
        page_size: the largest page of the provider.
    """
    page: ListParams = {
        "order": "desc",
        "page_size": page_size,
        "extra_headers": _headers(operation),
    }
    if mark_of(operation) is not None:
        return _by_mark(operation, page)
    match operation:
        case ops.AttachFile():
            return _attached(operation, page)
        case ops.CreateMessage():
            return _new_message(operation, known, page)
        case ops.CreateRun() if not operation.params.get("tool_output"):
            return _new_run(operation, known, page)
        case ops.SubmitOutputs():
            return _outputs(operation, page)
    return None


def whereabouts(operation: Operation[Any]) -> str:
    """Where somebody can look who wants to know what became of an operation."""
    words = WHEREABOUTS.get(type(operation), "nothing that can be read tells")
    ids = {name: getattr(operation, name, "") for name in ("assistant_id", "thread_id", "run_id")}
    return words.format_map({name: repr(value) for name, value in ids.items()})


def _headers(operation: Operation[Any]) -> Mapping[str, str] | None:
    """The caller's own headers: whoever is asked with them has to be asked with them again."""
    params: Extras = getattr(operation, "params", operation.extras)
    return params.get("extra_headers")


def _pages(
    listed: Callable[[ListParams], ops.ListOperation[Any]], page: ListParams
) -> Generator[Operation[Any], Seen, tuple[list[tuple[Any, str | None]], bool]]:
    """The newest objects of a list with their marks, and whether that is all of it."""
    found: list[tuple[Any, str | None]] = []
    for _ in range(PAGES):
        seen = yield listed(page)
        data = seen.result.data
        marks = seen.marks if len(seen.marks) == len(data) else (None,) * len(data)
        found += zip(data, marks, strict=True)
        if not data or not seen.result.has_more:
            return found, True
        page = {**page, "after": seen.result.last_id or data[-1].id}
    return found, False


def _by_mark(operation: Operation[Any], page: ListParams) -> Inquiry:
    mark = mark_of(operation)
    thread_id = getattr(operation, "thread_id", "")
    lists: dict[type[Operation[Any]], Callable[[ListParams], ops.ListOperation[Any]]] = {
        ops.CreateAssistant: lambda page: ops.ListAssistants(page=page),
        ops.CreateMessage: lambda page: ops.ListMessages(thread_id=thread_id, page=page),
        ops.CreateRun: lambda page: ops.ListRuns(thread_id=thread_id, page=page),
    }
    if type(operation) not in lists:
        return Unclear("it has begun a thread that no list shows")
    objects, whole = yield from _pages(lists[type(operation)], page)
    for obj, carried in objects:
        if carried == mark:
            return Found(obj)
    if whole:
        return NotReceived()
    return Unclear(f"it is none of the newest {len(objects)}, and there are more")


def _attached(operation: ops.AttachFile, page: ListParams) -> Inquiry:
    assistant_id = operation.assistant_id
    objects, whole = yield from _pages(
        lambda page: ops.ListAssistantFiles(assistant_id=assistant_id, page=page), page
    )
    for file, _ in objects:
        if file.id == operation.file_id:
            return Found(file)
    return NotReceived() if whole else Unclear("the assistant has too many files to look through")


def _new_message(operation: ops.CreateMessage, known: Known, page: ListParams) -> Inquiry:
    """Without marks: the newest message, if it says the same and no run has begun since.

    One that was answered, or was known before, is an older one that says the same.
    """
    params, thread_id = operation.params, operation.thread_id
    seen = yield ops.ListMessages(thread_id=thread_id, page=page)
    new = [message for message in seen.result.data if message.id not in known]
    alike = [message for message in new if _says(message, params)]
    if not alike:
        return NotReceived()
    if alike[0] is not seen.result.data[0]:
        return Unclear("somebody else writes on the thread")
    runs = yield ops.ListRuns(thread_id=thread_id, page=page)
    since = [run for run in runs.result.data if _time(run) >= _time(alike[0])]
    if not since:
        return Found(alike[0])
    if all(run.id in known for run in since):
        return NotReceived()  # it is older than a run of ours, and so than this request
    return Unclear("somebody else runs on the thread")


def _says(message: Message, params: Any) -> bool:
    same = message.text == params.get("content") and message.role == (params.get("role") or "user")
    return same and list(message.file_ids) == list(params.get("file_ids") or ())


def _new_run(operation: ops.CreateRun, known: Known, page: ListParams) -> Inquiry:
    """Without marks: the newest run, if the thread's last question is ours."""
    thread_id = operation.thread_id
    asked = yield ops.ListMessages(thread_id=thread_id, page=page)
    questions = [message for message in asked.result.data if message.role == "user"]
    runs = yield ops.ListRuns(thread_id=thread_id, page=page)
    newest = next(iter(runs.result.data), None)
    if newest is None or newest.id in known:
        return NotReceived()
    last = questions[0] if questions else None
    if last is not None and _time(newest) < _time(last):
        return NotReceived()  # it answers an older question
    given = operation.params.get("additional_messages") or ()
    if given:
        ours = last is not None and last.id not in known and _says(last, given[-1])
    else:
        ours = last is not None and (last.id == operation.hint or last.id in known)
    if ours and newest.assistant_id in (None, operation.params.get("assistant_id")):
        return Found(newest)
    return Unclear(f"run {newest.id} is there, and may be somebody else's")


def _outputs(operation: ops.SubmitOutputs, page: ListParams) -> Inquiry:
    """A round is known by its step; where that is not known, by its calls and their outputs."""
    thread_id, run_id = operation.thread_id, operation.run_id
    extras: Extras = {"extra_headers": _headers(operation)}
    asked = yield ops.RetrieveRun(thread_id=thread_id, run_id=run_id, extras=extras)
    run: Run = asked.result
    if run.status != "requires_action":
        return Found(run)
    steps, _ = yield from _pages(
        lambda page: ops.ListSteps(thread_id=thread_id, run_id=run_id, page=page), page
    )
    return _of_round(operation, run, [step for step, _ in steps])


def _of_round(operation: ops.SubmitOutputs, run: Run, steps: list[RunStep]) -> Finding:
    """Whether the round that a run waits for is the one that was answered, or the next."""
    sent = [output.tool_call_id for output in operation.tool_outputs]
    waits = [call.id for call in run.tool_calls]
    named = all(sent) and all(waits)
    if named and not set(sent) & set(waits):
        return Found(run)
    if operation.hint:
        answered = next((step for step in steps if step.id == operation.hint), None)
        if answered is not None:
            return Found(run) if answered.status in ENDED else NotReceived()
    outputs = sorted(output.output for output in operation.tool_outputs)
    if any(_outputs_of(step) == outputs for step in steps):
        return Unclear("the run has made such a round, and waits for one just like it")
    return NotReceived()


def _outputs_of(step: RunStep) -> list[str]:
    calls: Iterable[ToolCall] = step.step_details.tool_calls if step.step_details else ()
    given = [call.output for call in calls if call.function is not None]
    return sorted(output for output in given if output is not None)


def _time(obj: Run | Message) -> int:
    return obj.created_at or 0
