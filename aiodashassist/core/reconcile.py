"""What became of a request whose answer was lost: what to ask, and what the answers mean.

An inquiry is a generator: it yields operations, is sent what they gave, and returns its finding. It
never asks for anything that changes something. Where objects carry a mark they are found by it;
elsewhere by what is new on the thread, unless somebody else may have written it.

What no inquiry can see: a request that arrives after the last look, and, without marks, somebody
who says or runs the very same at the very same time.
"""

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from aiodashassist.core import operations as ops
from aiodashassist.core.known import Past
from aiodashassist.core.marks import mark_of
from aiodashassist.core.models import Assistant, Message, Run, RunStep
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import Extras, ListParams
from aiodashassist.core.tooling import ToolCall

__all__ = ("Found", "Inquiry", "NotReceived", "Seen", "Unclear", "inquiry", "whereabouts")

PAGES = 5  # of a list, newest first
APART = 1_000  # milliseconds that the clocks of one service may differ
SLACK = 10_000  # milliseconds that its clock may be ahead of what its answers are dated by
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
    """What an inquiry is sent.

    Attributes:
        result: of what it asked for.
        marks: of a list, those of its objects.
        now: when it was answered, in epoch milliseconds by the service's clock; 0: not told.
        began: when the lost request was sent, likewise.
    """

    result: Any
    marks: tuple[str | None, ...] = ()
    now: float = 0.0
    began: float = 0.0


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


def inquiry(operation: Operation[Any], past: Past, page_size: int) -> Inquiry | None:
    """How to learn what became of an operation; None where there is no way.

    Args:
        operation: as it was sent, with its mark.
        past: what was there before.
        page_size: the largest page of the provider.
    """
    extras = _extras(operation)
    page: ListParams = {
        "order": "desc",
        "page_size": page_size,
        "extra_headers": extras["extra_headers"],
        "extra_query": extras["extra_query"],
    }
    if mark_of(operation) is not None:
        return _by_mark(operation, past, page)
    match operation:
        case ops.AttachFile():
            return _attached(operation, page)
        case ops.CreateMessage():
            return _new_message(operation, past, page)
        case ops.CreateRun() if not operation.params.get("tool_output"):
            return _new_run(operation, past, page)
        case ops.SubmitOutputs():
            return _outputs(operation, page)
    return None


def whereabouts(operation: Operation[Any]) -> str:
    """Where somebody can look who wants to know what became of an operation."""
    words = WHEREABOUTS.get(type(operation), "nothing that can be read tells")
    ids = {name: getattr(operation, name, "") for name in ("assistant_id", "thread_id", "run_id")}
    return words.format_map({name: repr(value) for name, value in ids.items()})


def _extras(operation: Operation[Any]) -> Extras:
    """The caller's own headers and query: whoever is asked with them has to be asked so again."""
    params: Extras = getattr(operation, "params", operation.extras)
    return {
        "extra_headers": params.get("extra_headers"),
        "extra_query": params.get("extra_query"),
    }


def _pages(
    listed: Callable[[ListParams], ops.ListOperation[Any]], page: ListParams
) -> Generator[Operation[Any], Seen, tuple[list[Any], list[str | None], bool, Seen]]:
    """The newest objects of a list, their marks, whether that is all, and the last answer."""
    objects: list[Any] = []
    marks: list[str | None] = []
    for _ in range(PAGES):
        seen = yield listed(page)
        data = seen.result.data
        objects += data
        marks += seen.marks if len(seen.marks) == len(data) else (None,) * len(data)
        if not data or not seen.result.has_more:
            return objects, marks, True, seen
        page = {**page, "after": seen.result.last_id or data[-1].id}
    # What came just now is among the newest, if they do come first.
    times = [obj.created_at or 0 for obj in objects]
    in_order = times == sorted(times, reverse=True) and times[0] > times[-1]
    return objects, marks, in_order, seen


def _by_mark(operation: Operation[Any], past: Past, page: ListParams) -> Inquiry:
    mark = mark_of(operation)
    thread_id = getattr(operation, "thread_id", "")
    lists: dict[type[Operation[Any]], Callable[[ListParams], ops.ListOperation[Any]]] = {
        ops.CreateAssistant: lambda page: ops.ListAssistants(page=page),
        ops.CreateMessage: lambda page: ops.ListMessages(thread_id=thread_id, page=page),
        ops.CreateRun: lambda page: ops.ListRuns(thread_id=thread_id, page=page),
    }
    if type(operation) not in lists:
        return Unclear("it has begun a thread that no list shows")
    objects, marks, enough, seen = yield from _pages(lists[type(operation)], page)
    if mark in marks:
        return Found(objects[marks.index(mark)])
    if not enough:
        return Unclear(f"it is none of the first {len(objects)}, and there are more")
    if not any(marks) and any(_is_twin(obj, operation, past, seen) for obj in objects):
        # The list may show no marks at all: whether it does, the first with a mark tells.
        return Unclear("one like it is there, without the operation id that it would be found by")
    return NotReceived()


def _is_twin(obj: Any, operation: Operation[Any], past: Past, seen: Seen) -> bool:
    """Whether an object may have come of an operation, but for its mark."""
    params: Any = getattr(operation, "params", {})
    match obj:
        case Message():
            alike = _says(obj, params)
        case Run():
            alike = obj.assistant_id in (None, params.get("assistant_id"))
        case _:
            assistant: Assistant = obj
            alike = (assistant.name, assistant.model) == (params.get("name"), params.get("model"))
    return alike and not past.excludes(obj.id) and _is_fresh(obj, seen)


def _attached(operation: ops.AttachFile, page: ListParams) -> Inquiry:
    assistant_id = operation.assistant_id
    files, _, enough, _ = yield from _pages(
        lambda page: ops.ListAssistantFiles(assistant_id=assistant_id, page=page), page
    )
    for file in files:
        if file.id == operation.file_id:
            return Found(file)
    return NotReceived() if enough else Unclear("the assistant has too many files to look through")


def _new_message(operation: ops.CreateMessage, past: Past, page: ListParams) -> Inquiry:
    """Without marks: the newest message, if it says the same and no run has begun since.

    One that was answered, or was known before, is an older one that says the same. What came of
    other requests of this client may have been told while the runs were read.
    """
    thread_id = operation.thread_id
    seen = yield ops.ListMessages(thread_id=thread_id, page=page)
    alike = [message for message in seen.result.data if _says(message, operation.params)]
    if all(past.excludes(message.id) for message in alike):
        return NotReceived()
    runs = yield ops.ListRuns(thread_id=thread_id, page=page)
    alike = [message for message in alike if not past.excludes(message.id)]
    if not alike:
        return NotReceived()
    newest = alike[0]
    if newest is not seen.result.data[0]:
        return Unclear("somebody else writes on the thread")
    since = [run for run in runs.result.data if (run.created_at or math.inf) > _time(newest)]
    surely = newest.created_at and all(_time(run) > _time(newest) + APART for run in since)
    if since and surely and all(past.had(run.id) for run in since):
        return NotReceived()  # it is older than a run of ours, and so than this request
    if since:
        return Unclear("somebody else runs on the thread")
    return Found(newest) if _is_fresh(newest, seen) else Unclear("an older message says the same")


def _says(message: Message, params: Any) -> bool:
    same = message.text == params.get("content") and message.role == (params.get("role") or "user")
    return same and list(message.file_ids) == list(params.get("file_ids") or ())


def _new_run(operation: ops.CreateRun, past: Past, page: ListParams) -> Inquiry:
    """Without marks: the only new run since the thread's last question, if that is ours.

    The runs are read first: whose run is among them has asked before the messages are read.
    """
    thread_id, params = operation.thread_id, operation.params
    seen = yield ops.ListRuns(thread_id=thread_id, page=page)
    asked = yield ops.ListMessages(thread_id=thread_id, page=page)
    new = [run for run in seen.result.data if not past.excludes(run.id)]
    last = next((message for message in asked.result.data if message.role == "user"), None)
    ours = last is not None and _is_ours(last, operation, past)
    given = bool(params.get("additional_messages"))
    if not new and not (given and ours):
        return NotReceived()
    if last is None or not ours:
        return Unclear(f"run {new[0].id} is there, and may be somebody else's")
    since = [run for run in new if (run.created_at or math.inf) >= _time(last) - APART]
    if not since:  # they answer older questions
        return Unclear("its message is there, and no run of it") if given else NotReceived()
    run, *others = since
    follows = bool(run.created_at and last.created_at) and (given or _time(run) >= _time(last))
    alike = run.assistant_id in (None, params.get("assistant_id"))
    if others or not follows or not alike or not _is_fresh(run, seen):
        return Unclear(f"run {run.id} is there, and may be another one")
    return Found(run)


def _is_ours(last: Message, operation: ops.CreateRun, past: Past) -> bool:
    """Whether a thread's last question is the one that a run was to answer."""
    given = operation.params.get("additional_messages")
    if given:
        return not past.excludes(last.id) and _says(last, given[-1])
    return last.id == operation.hint if operation.hint else past.made(last.id)


def _outputs(operation: ops.SubmitOutputs, page: ListParams) -> Inquiry:
    """A round is known by its step; where that is not known, by its calls and their outputs."""
    thread_id, run_id = operation.thread_id, operation.run_id
    asked = yield ops.RetrieveRun(thread_id=thread_id, run_id=run_id, extras=_extras(operation))
    run: Run = asked.result
    if run.status != "requires_action":
        return Found(run)
    steps, *_ = yield from _pages(
        lambda page: ops.ListSteps(thread_id=thread_id, run_id=run_id, page=page), page
    )
    return _of_round(operation, run, steps)


def _of_round(operation: ops.SubmitOutputs, run: Run, steps: Sequence[RunStep]) -> Finding:
    """Whether the round that a run waits for is the one that was answered, or the next."""
    sent = [output.tool_call_id for output in operation.tool_outputs]
    if _are_others(sent, [call.id for call in run.tool_calls]):
        return Found(run)
    asking = next((step for step in steps if step.id == operation.hint), None)
    if asking is not None and asking.status:
        return Found(run) if asking.status in ENDED else NotReceived()
    if any(_may_have_taken(step, operation) for step in steps):
        return Unclear("the run has made such a round, and waits for one just like it")
    return NotReceived()


def _are_others(sent: Sequence[str], ids: Sequence[str]) -> bool:
    """Whether outputs are for other calls than these; where they have no ids, nobody knows."""
    return all(sent) and all(ids) and not set(sent) & set(ids)


def _may_have_taken(step: RunStep, operation: ops.SubmitOutputs) -> bool:
    """Whether a step that is over may be the one that took the outputs."""
    made: Iterable[ToolCall] = step.step_details.tool_calls if step.step_details else ()
    calls = [call for call in made if call.function is not None]
    sent = [output.tool_call_id for output in operation.tool_outputs]
    if step.status == "in_progress" or _are_others(sent, [call.id for call in calls]):
        return False
    given = [call.output or "" for call in calls]  # not every list shows what a call gave
    return not all(given) or sorted(given) == sorted(one.output for one in operation.tool_outputs)


def _time(obj: Run | Message) -> int:
    return obj.created_at or 0


def _is_fresh(obj: Run | Message | Assistant, seen: Seen) -> bool:
    """Whether an object may be as new as the lost request; where nothing tells, it may."""
    return (obj.created_at or 0) >= seen.began - SLACK
