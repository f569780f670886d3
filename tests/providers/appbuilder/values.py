"""Core objects, operations and runs in the form in which this wire can say all of them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import Event, RunEvent
from aiodashassist.core.files import AssistantFile, File, MessageFile, Upload, Uploads
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    FinalMessage,
    LastError,
    Message,
    MessageCreation,
    Model,
    Page,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Thread,
)
from aiodashassist.core.operations import ListOperation, Operation
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    ToolCall,
    ToolOutput,
)
from aiodashassist.server.engines import CallFunctions, Move, Turn
from aiodashassist.server.execution import Execution
from aiodashassist.server.store import Store

anything = st.text(max_size=12)
words = st.text(min_size=1, max_size=12)  # an empty text is one of the ways to say "none"
maybe_words = st.none() | words
times = st.integers(1, 2**62)
maybe_times = st.none() | times
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | anything,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(anything, inner, max_size=2),
    max_leaves=4,
)
json_objects = st.dictionaries(anything, json_values, max_size=3)
metadata = st.dictionaries(st.text(max_size=64), anything, min_size=1, max_size=3)
id_lists = st.lists(words, max_size=2).map(tuple)
names = st.text("名aZ0_-", min_size=1, max_size=12)

functions = st.builds(
    FunctionDefinition,
    name=words,
    description=st.none() | anything,
    parameters=st.none() | json_objects,
    responses=st.none() | json_objects,
    examples=st.none() | st.lists(json_values, max_size=2),
)
tools = st.builds(FunctionTool, function=functions)
tool_lists = st.lists(tools, max_size=2).map(tuple)
calls = st.builds(
    ToolCall,
    id=anything,
    function=st.builds(FunctionCall, name=anything, arguments=anything, output=maybe_words),
)
call_lists = st.lists(calls, max_size=2).map(tuple)
texts = st.builds(Text, value=anything, annotations=st.lists(json_values, max_size=2))
contents = st.lists(st.builds(Content, text=texts), max_size=2).map(tuple)
last_errors = st.builds(LastError, type=words, message=maybe_words)
actions = st.builds(
    RequiredAction, submit_tool_outputs=st.builds(SubmitToolOutputs, tool_calls=call_lists)
)
answers = st.builds(
    FinalAnswer, message=st.builds(FinalMessage, message_id=anything, content=contents)
)
details = st.one_of(
    st.builds(
        StepDetails,
        type=st.just("message_creation"),
        message_creation=st.builds(MessageCreation, message_id=anything),
    ),
    st.builds(StepDetails, type=st.just("tool_calls"), tool_calls=call_lists),
)

assistants = st.builds(
    Assistant,
    id=words,
    created_at=maybe_times,
    name=maybe_words,
    description=maybe_words,
    model=maybe_words,
    instructions=maybe_words,
    thought_instructions=maybe_words,
    chat_instructions=maybe_words,
    response_format=st.sampled_from(["text", "json_object"]),
    tools=tool_lists,
    file_ids=id_lists,
    metadata=st.just({}) | metadata,
)
threads = st.builds(Thread, id=words, created_at=maybe_times, metadata=st.just({}) | metadata)
messages = st.builds(
    Message,
    id=words,
    created_at=maybe_times,
    role=maybe_words,
    content=contents,
    thread_id=maybe_words,
    assistant_id=maybe_words,
    run_id=maybe_words,
    file_ids=id_lists,
)
STATUSES = ["queued", "in_progress", "requires_action", "completed", "failed", "cancelled"]
run_fields: dict[str, Any] = {
    "id": words,
    "thread_id": maybe_words,
    "assistant_id": maybe_words,
    "status": st.sampled_from(STATUSES),
    "created_at": maybe_times,
    "expired_at": maybe_times,
    "cancelled_at": maybe_times,
    "failed_at": maybe_times,
    "completed_at": maybe_times,
    "required_action": st.none() | actions,
    "last_error": st.none() | last_errors,
}
run_results = st.builds(
    Run,
    **run_fields,
    started_at=times,
    final_answer=st.none() | answers,
    object=st.just("run.result"),
).map(lambda run: replace(run, log_id=run.id))
runs = st.builds(
    Run,
    **run_fields,
    started_at=maybe_times,
    model=maybe_words,
    instructions=maybe_words,
    thought_instructions=maybe_words,
    chat_instructions=maybe_words,
)
step_fields: dict[str, Any] = {
    "id": words,
    "thread_id": maybe_words,
    "run_id": maybe_words,
    "status": maybe_words,
    "created_at": maybe_times,
    "started_at": maybe_times,
    "completed_at": maybe_times,
    "last_error": st.none() | last_errors,
    "step_details": st.none() | details,
}


def typed(step: RunStep) -> RunStep:
    """A step of the type of its details, as it is read."""
    return replace(step, type=step.step_details.type if step.step_details is not None else None)


steps = st.builds(RunStep, **step_fields).map(typed)
listed_steps = st.builds(RunStep, **step_fields, assistant_id=maybe_words).map(typed)
file_fields: dict[str, Any] = {
    "id": words,
    "filename": maybe_words,
    "bytes": st.integers(0, 2**50),
    "created_at": st.integers(1, 99_999_999_999).map(lambda seconds: seconds * 1000),
    "purpose": maybe_words,
    "classification_id": maybe_words,
}
new_files = st.builds(File, **file_fields)
files = st.builds(File, **file_fields, censored=st.integers(-1, 5), file_type=words)
attached = st.builds(AssistantFile, id=words, created_at=maybe_times, assistant_id=maybe_words)
noted = st.builds(MessageFile, id=words, created_at=maybe_times, message_id=maybe_words)
deletions = st.builds(Deleted, id=words, object=maybe_words, deleted=st.booleans())

READ: dict[type[Model], st.SearchStrategy[Any]] = {
    Assistant: assistants,
    AssistantFile: attached,
    Thread: threads,
    Message: messages,
    MessageFile: noted,
    Run: runs,
    RunStep: steps,
    File: files,
    Deleted: deletions,
}
RESULTS = (ops.CreateRun, ops.CreateThreadAndRun, ops.SubmitOutputs, ops.CancelRun)


def results(kind: type[Operation[Any]]) -> st.SearchStrategy[Any]:
    """What a call is answered with."""
    if kind in RESULTS:
        return run_results
    if kind is ops.CreateFiles:
        return st.builds(lambda file: Uploads(files=(file,)), new_files)
    if kind is ops.ListFiles:
        return st.builds(lambda found: Page(data=tuple(found)), st.lists(files, max_size=2))
    if not issubclass(kind, ListOperation):
        return READ[kind.result]
    items = listed_steps if kind is ops.ListSteps else READ[kind.result]
    return st.builds(
        Page,
        data=st.lists(items, max_size=2).map(tuple),
        has_more=st.booleans(),
        first_id=maybe_words,
        last_id=maybe_words,
    )


# --- operations, in the form in which a server reads them back ---


def params(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Parameters, any of which may be left out."""
    return st.fixed_dictionaries({}, optional=optional)


full_lists = st.lists(words, min_size=1, max_size=2)
declared = st.lists(tools, min_size=1, max_size=2).map(tuple)
formats = st.sampled_from(["text", "json_object"])
replaced = {
    "description": words,
    "instructions": anything,
    "thought_instructions": anything,
    "chat_instructions": anything,
    "response_format": formats,
    "tools": declared,
    "file_ids": full_lists,
}
list_params = params(
    page_size=st.integers(1, 20), order=st.sampled_from(["asc", "desc"]), after=words, before=words
)
new_messages = st.fixed_dictionaries(
    {"content": anything}, optional={"role": st.just("user"), "file_ids": full_lists}
)
one_message = st.lists(new_messages, min_size=1, max_size=1)
sampling = st.fixed_dictionaries(
    {"temperature": st.floats(0, 1, exclude_min=True)},
    optional={"top_p": st.floats(0, 1), "penalty_score": st.floats(1, 2)},
)
run_params: dict[str, Any] = {
    "model": words,
    "instructions": anything,
    "thought_instructions": anything,
    "chat_instructions": anything,
    "response_format": formats,
    "override_tools": declared,
    "metadata": metadata,
    "model_parameters": st.fixed_dictionaries(
        {"chat_parameters": sampling}, optional={"thought_parameters": sampling}
    ),
    "user_info": st.fixed_dictionaries({"id": words}, optional={"nickname": words}),
    "user_loc": st.fixed_dictionaries({"loc": words}),
}
outputs = st.builds(ToolOutput, output=anything, tool_call_id=anything, run_id=anything)
asst, thread, run = {"assistant_id": words}, {"thread_id": words}, {
    "thread_id": words, "run_id": words,
}  # fmt: skip
message = {"thread_id": words, "message_id": words}
ALL_FILES = ops.ListFiles(page={"page_size": 2**31 - 1})

OPERATIONS: dict[type[Operation[Any]], st.SearchStrategy[Any]] = {
    ops.CreateAssistant: st.builds(
        ops.CreateAssistant,
        params=st.fixed_dictionaries(
            {"model": words, "name": names}, optional={**replaced, "metadata": metadata}
        ),
    ),
    ops.UpdateAssistant: st.builds(
        ops.UpdateAssistant,
        **asst,
        params=st.fixed_dictionaries(
            replaced, optional={"model": words, "name": names, "metadata": metadata}
        ),
    ),
    ops.ListAssistants: st.builds(ops.ListAssistants, page=list_params),
    ops.RetrieveAssistant: st.builds(ops.RetrieveAssistant, **asst),
    ops.DeleteAssistant: st.builds(ops.DeleteAssistant, **asst),
    ops.AttachFile: st.builds(ops.AttachFile, **asst, file_id=words),
    ops.ListAssistantFiles: st.builds(ops.ListAssistantFiles, **asst, page=list_params),
    ops.DetachFile: st.builds(ops.DetachFile, **asst, file_id=words),
    ops.CreateFiles: st.builds(
        ops.CreateFiles,
        files=st.builds(
            Upload,
            filename=st.sampled_from(["a.txt", "b_2.pdf", "file"]),
            size=st.none() | st.integers(0, 9),
            content=st.none(),
        ).map(lambda upload: (upload,)),
        params=st.fixed_dictionaries({"purpose": words}),
    ),
    ops.ListFiles: st.just(ops.ListFiles()),
    ops.RetrieveFile: st.builds(ops.RetrieveFile, file_id=words),
    ops.DeleteFile: st.builds(ops.DeleteFile, file_id=words),
    ops.DownloadFile: st.builds(ops.DownloadFile, file_id=words),
    ops.ReadFile: st.builds(ops.ReadFile, file_id=words),
    ops.CreateThread: st.builds(
        ops.CreateThread,
        params=params(messages=st.lists(new_messages, min_size=1, max_size=2), metadata=metadata),
    ),
    ops.RetrieveThread: st.builds(ops.RetrieveThread, **thread),
    ops.UpdateThread: st.builds(ops.UpdateThread, **thread, params=params(metadata=metadata)),
    ops.DeleteThread: st.builds(ops.DeleteThread, **thread),
    ops.CreateMessage: st.builds(ops.CreateMessage, **thread, params=new_messages),
    ops.UpdateMessage: st.builds(
        ops.UpdateMessage,
        **message,
        params=st.fixed_dictionaries({"file_ids": full_lists}, optional={"content": anything}),
    ),
    ops.ListMessages: st.builds(ops.ListMessages, **thread, page=list_params),
    ops.RetrieveMessage: st.builds(ops.RetrieveMessage, **message),
    ops.ListMessageFiles: st.builds(ops.ListMessageFiles, **message, page=list_params),
    ops.CreateRun: st.builds(
        ops.CreateRun,
        **thread,
        params=st.fixed_dictionaries(
            asst,
            optional={**run_params, "additional_messages": one_message, "tool_output": outputs},
        ),
        stream=st.booleans(),
    ),
    ops.CreateThreadAndRun: st.builds(
        ops.CreateThreadAndRun,
        thread=st.fixed_dictionaries({"messages": one_message}, optional={"metadata": metadata}),
        params=st.fixed_dictionaries(asst, optional=run_params),
        stream=st.booleans(),
    ),
    ops.SubmitOutputs: st.builds(
        ops.SubmitOutputs,
        **run,
        tool_outputs=st.lists(outputs, min_size=1, max_size=2).map(tuple),
    ),
    ops.CancelRun: st.builds(ops.CancelRun, **run, params=params(sync=st.booleans())),
    ops.ListRuns: st.builds(ops.ListRuns, **thread, page=list_params),
    ops.RetrieveRun: st.builds(ops.RetrieveRun, **run),
    ops.ListSteps: st.builds(ops.ListSteps, **run, page=list_params),
    ops.RetrieveStep: st.builds(ops.RetrieveStep, **run, step_id=words),
}


# --- runs, as the local server executes them ---


class Scripted:
    """An engine that plays these moves: one list a turn."""

    def __init__(self, turns: Sequence[Sequence[Move]]) -> None:
        self._turns = turns

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """The moves of the turn; after the last there is nothing to be said."""
        for move in self._turns[len(turn.rounds)] if len(turn.rounds) < len(self._turns) else ():
            yield move


NEW_RUN = Run(
    id="run_1", thread_id="thread_1", assistant_id="asst_1", created_at=1713122932350, model="m",
    instructions="clear",
)  # fmt: skip


def answered(asked: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls with their outputs."""
    return tuple(
        replace(call, function=replace(call.function, output=f"out {call.name}"))
        for call in asked
        if call.function is not None
    )


def played(turns: Sequence[Sequence[Move]], *, cancel: bool = False) -> list[Event]:
    """The events of a run of these turns, from a real execution; every round is answered.

    Args:
        turns: the moves, turn by turn.
        cancel: whether it is cancelled where it waits for the first time.
    """

    async def play() -> list[Event]:
        execution = Execution(
            Store(), "", NEW_RUN, Scripted(turns), expire_after=60, empty_call_ids=False
        )
        execution.begin()
        task = asyncio.create_task(execution.go())
        while not (resting := await execution.rest()).is_terminal:
            if cancel:
                execution.cancel()
                task.cancel()
                break
            execution.answer(answered(resting.tool_calls))
        await asyncio.wait({task})
        return [event async for event in execution.log.follow(0, through=True)]

    return asyncio.run(play())


def rounds_of(turns: Sequence[Sequence[Move]]) -> list[list[tuple[str, str]]]:
    """Names and arguments of the calls that these turns ask for, round by round."""
    return [
        [(call.name, call.arguments) for call in move.calls]
        for moves in turns
        for move in moves
        if isinstance(move, CallFunctions)
    ]


def statuses(events: Sequence[Event]) -> list[str]:
    """The statuses of a run, the same in a row told once."""
    told = [event.status for event in events if isinstance(event, RunEvent)]
    return [status for index, status in enumerate(told) if told[index - 1 : index] != [status]]
