"""Core objects, events and operations in the form in which this wire can say all of them."""

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import (
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepDelta,
    StepEvent,
    ThreadEvent,
)
from aiodashassist.core.files import AssistantFile, File, MessageFile, Upload, Uploads
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    ImageFile,
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
    TruncationStrategy,
    Usage,
)
from aiodashassist.core.operations import ListOperation, Operation
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    ToolCall,
    ToolOutput,
    UserAuth,
)
from aiodashassist.providers.dashscope import frames

anything = st.text(max_size=12)
words = st.text(min_size=1, max_size=12)  # an empty text is one of the ways to say "none"
maybe_words = st.none() | words
maybe_text = st.none() | anything
ids = words.filter(lambda value: value not in (".", "..", "runs"))
times = st.integers(1, 2**62)
maybe_times = st.none() | times
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | anything,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(anything, inner, max_size=2),
    max_leaves=4,
)
json_objects = st.dictionaries(anything, json_values, max_size=3)
full_objects = st.dictionaries(anything, json_values, min_size=1, max_size=2)
metadata = st.dictionaries(st.text(max_size=64), json_values, max_size=3)
id_lists = st.lists(words, max_size=2).map(tuple)

plugins = words.filter(lambda name: name not in ("function", "rag", "id", "type"))
functions = st.builds(
    FunctionDefinition,
    name=words.filter(lambda name: name != "search"),
    description=maybe_text,
    parameters=st.none() | json_objects,
)
tools = st.one_of(
    st.builds(FunctionTool, function=functions),
    st.builds(
        PluginTool,
        plugins,
        description=maybe_text,
        auth=st.none() | st.builds(UserAuth, user_token=words),
    ),
    st.builds(RagTool, prompt_ra=st.dictionaries(words, st.lists(json_values, max_size=2))),
    st.fixed_dictionaries({"type": plugins, "limit": anything}),
)
tool_lists = st.lists(tools, max_size=2).map(tuple)

function_calls = st.builds(
    ToolCall,
    id=anything,
    function=st.builds(FunctionCall, name=anything, arguments=anything, output=maybe_text),
)
plugin_calls = st.builds(
    ToolCall,
    id=anything,
    type=plugins,
    plugin=st.builds(PluginCall, arguments=maybe_text, output=maybe_text),
)
call_lists = st.lists(function_calls | plugin_calls, max_size=2).map(tuple)

texts = st.builds(Text, value=anything, annotations=st.lists(json_values, max_size=2))
parts = st.one_of(
    st.builds(Content, text=texts),
    st.builds(Content, type=st.just("image_file"), image_file=st.builds(ImageFile, file_id=words)),
)
contents = st.lists(parts, max_size=2).map(tuple)
tokens = st.none() | st.integers(0, 2**40)
usages = st.builds(Usage, input_tokens=tokens, output_tokens=tokens, total_tokens=tokens)
last_errors = st.builds(LastError, code=maybe_words, message=maybe_words).filter(
    lambda error: error != LastError()
)
strategies = st.builds(TruncationStrategy, type=words, last_messages=st.integers(0, 100))
actions = st.builds(
    RequiredAction, submit_tool_outputs=st.builds(SubmitToolOutputs, tool_calls=call_lists)
)
details = st.one_of(
    st.builds(
        StepDetails,
        type=st.just("message_creation"),
        message_creation=st.builds(MessageCreation, message_id=anything),
    ),
    st.builds(StepDetails, type=st.just("tool_calls"), tool_calls=call_lists),
)
sampling: dict[str, Any] = {
    "temperature": st.none() | floats,
    "top_p": st.none() | floats,
    "top_k": st.none() | st.integers(0, 2**40),
    "max_tokens": st.none() | st.integers(0, 2**40),
}

assistants = st.builds(
    Assistant,
    id=words,
    created_at=maybe_times,
    model=maybe_words,
    name=maybe_words,
    description=maybe_words,
    instructions=maybe_words,
    tools=tool_lists,
    file_ids=id_lists,
    metadata=metadata,
    **sampling,
)
threads = st.builds(Thread, id=words, created_at=maybe_times, metadata=metadata)
deletions = st.builds(Deleted, id=words, object=maybe_words, deleted=st.booleans())
message_fields: dict[str, Any] = {
    "id": words,
    "created_at": maybe_times,
    "thread_id": maybe_words,
    "role": maybe_words,
    "content": contents,
    "assistant_id": maybe_words,
    "run_id": maybe_words,
    "file_ids": id_lists,
    "metadata": metadata,
    "incomplete_details": st.none() | full_objects,
    "completed_at": maybe_times,
    "incomplete_at": maybe_times,
}
streamed_messages = st.builds(Message, **message_fields)
messages = st.builds(
    Message,
    **message_fields,
    status=maybe_words,
    name=maybe_words,
    plugin_call=st.none() | full_objects,
    tool_calls=call_lists,
)
short_run_fields: dict[str, Any] = {
    "id": words,
    "created_at": maybe_times,
    "thread_id": maybe_words,
    "assistant_id": maybe_words,
    "status": anything,
    "model": maybe_words,
    "instructions": maybe_words,
    "tools": tool_lists,
    "metadata": metadata,
}
streamed_run_fields: dict[str, Any] = {
    **short_run_fields,
    "required_action": st.none() | actions,
    "last_error": st.none() | last_errors,
    "file_ids": id_lists,
    "usage": st.none() | usages,
    "truncation_strategy": st.none() | strategies,
    **sampling,
}
RUN_TIMES = ("expires_at", "started_at", "cancelled_at", "failed_at", "completed_at")
short_runs = st.builds(Run, **short_run_fields)
streamed_runs = st.builds(Run, **streamed_run_fields)
runs = st.builds(Run, **streamed_run_fields, **dict.fromkeys(RUN_TIMES, maybe_times))
steps = st.builds(
    RunStep,
    id=words,
    created_at=maybe_times,
    assistant_id=maybe_words,
    thread_id=maybe_words,
    run_id=maybe_words,
    type=st.sampled_from([None, "message_creation", "tool_calls"]),
    status=maybe_words,
    step_details=st.none() | details,
    last_error=st.none() | last_errors,
    expired_at=maybe_times,
    cancelled_at=maybe_times,
    failed_at=maybe_times,
    completed_at=maybe_times,
    metadata=metadata,
    usage=st.none() | usages,
)
# In a stream a step of tools has no time.


def streamable(step: RunStep) -> bool:
    """Whether a stream says it so: a step of tools has no time, a plugin's is never completed."""
    calls = step.step_details.tool_calls if step.step_details is not None else ()
    plugins = any(call.plugin is not None for call in calls)
    done = step.completed_at is not None or (plugins and step.status == "completed")
    return step.type != "tool_calls" or not done


streamed_steps = steps.filter(streamable)
# A file's time is a text of the clock, in seconds; of one that is listed the wire has a number.
clock_times = st.integers(1, 253_000_000_000).map(lambda seconds: seconds * 1000)
files = st.builds(
    File,
    id=words,
    filename=maybe_words,
    bytes=st.integers(0, 2**50),
    created_at=clock_times,
    purpose=maybe_words,
    description=maybe_words,
    url=maybe_words,
    md5=maybe_words,
)
file_lists = st.lists(files, max_size=2).map(
    lambda found: tuple(replace(file, extra={"id": i}) for i, file in enumerate(found, start=1))
)
file_pages = file_lists.map(
    lambda found: Page(
        data=found,
        page_no=1,
        total=len(found),
        first_id=found[0].id if found else None,
        last_id=found[-1].id if found else None,
    )
)
# Of a file that was taken its id and name are told; one that was not makes the answer an error.
uploads = st.builds(
    Uploads,
    files=st.lists(st.builds(File, id=words, filename=maybe_words), min_size=1, max_size=2).map(
        tuple
    ),
)
DELETED_FILE = "file-名/1"
"""The one file that is deleted here: its answer does not say which it was."""
OBJECTS: dict[type[Model], st.SearchStrategy[Any]] = {
    AssistantFile: st.builds(
        AssistantFile, id=words, created_at=maybe_times, assistant_id=maybe_words
    ),
    MessageFile: st.builds(MessageFile, id=words, created_at=maybe_times, message_id=maybe_words),
    Assistant: assistants,
    Thread: threads,
    Deleted: deletions,
    Message: messages,
    Run: runs,
    RunStep: steps,
}


def pages(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Page[Any]]:
    """Pages of such items."""
    return st.builds(
        Page,
        data=st.lists(items, max_size=2).map(tuple),
        has_more=st.booleans(),
        first_id=maybe_words,
        last_id=maybe_words,
    )


def results(operation: type[Operation[Any]]) -> st.SearchStrategy[Any]:
    """What a call is answered with."""
    if operation in (ops.CreateRun, ops.CreateThreadAndRun):
        return short_runs
    if operation is ops.ListFiles:
        return file_pages
    if operation is ops.DeleteFile:
        return st.just(Deleted(id=DELETED_FILE, object="file.deleted"))
    if operation is ops.CreateFiles:
        return uploads
    if operation is ops.RetrieveFile:
        return files
    items = OBJECTS[operation.result]
    return pages(items) if issubclass(operation, ListOperation) else items


# --- events: as decoded, so with the wire's own names ---


def run_event(status: str, run: Run) -> RunEvent:
    """An event of a run."""
    name = f"thread.run.{status}"
    return RunEvent(
        name=name, run=run, status=(run.status or "queued") if status == "created" else status
    )


def step_event(status: str, step: RunStep) -> StepEvent:
    """An event of a step."""
    name = f"thread.run.step.{status}"
    return StepEvent(
        name=name,
        step=step,
        status=(step.status or "in_progress") if status == "created" else status,
    )


def message_event(status: str, message: Message) -> MessageEvent:
    """An event of a message; one in a stream has no status of its own."""
    name = f"thread.message.{status}"
    return MessageEvent(
        name=name, message=message, status="in_progress" if status == "created" else status
    )


def message_delta(message_id: str, content: tuple[Content, ...]) -> MessageDelta:
    """A delta whose text is that of its parts."""
    text = "".join(part.text.value for part in content if part.text is not None)
    return MessageDelta(
        message_id=message_id, text=text, content=content, name="thread.message.delta"
    )


events: st.SearchStrategy[Event] = st.one_of(
    st.builds(ThreadEvent, thread=threads, name=st.just("thread.created")),
    st.builds(run_event, st.sampled_from(["created", *frames.RUN_STATUSES]), streamed_runs),
    st.builds(step_event, st.sampled_from(["created", *frames.STEP_STATUSES]), streamed_steps),
    st.builds(
        message_event, st.sampled_from(["created", *frames.MESSAGE_STATUSES]), streamed_messages
    ),
    st.builds(message_delta, words, st.lists(parts, min_size=1, max_size=2).map(tuple)),
    st.builds(
        StepDelta, step_id=words, tool_calls=call_lists, name=st.just("thread.run.step.delta")
    ),
)


# --- operations ---


def params(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Parameters, any of which may be left out."""
    return st.fixed_dictionaries({}, optional=optional)


texts_of_ids = st.lists(anything, max_size=2)
limits = {
    "temperature": st.floats(0, 2, exclude_max=True),
    "top_p": st.floats(0, 1, exclude_min=True),
    "top_k": st.integers(0, 2**40),
    "max_tokens": st.integers(1, 2**40),
}
new_messages = st.fixed_dictionaries(
    {"content": words},
    optional={
        "role": st.sampled_from(["user", "assistant"]),
        "file_ids": texts_of_ids,
        "metadata": metadata,
    },
)
message_lists = st.lists(new_messages, max_size=2)
new_threads = params(messages=message_lists, metadata=metadata)
declared = st.lists(tools, max_size=2)
assistant_fields = {
    "name": anything,
    "description": anything,
    "instructions": anything,
    "tools": declared,
    "metadata": metadata,
    **limits,
}
run_params = st.fixed_dictionaries(
    {"assistant_id": words},
    optional={
        "model": anything,
        "instructions": anything,
        "additional_instructions": anything,
        "additional_messages": message_lists,
        "override_tools": declared,
        "metadata": metadata,
        "truncation_strategy": st.builds(
            TruncationStrategy, last_messages=st.none() | st.integers(1, 100)
        ),
        "max_prompt_tokens": st.integers(0, 100),
        "max_completion_tokens": st.integers(0, 100),
        "tool_choice": json_values.filter(lambda value: value is not None),
        "response_format": json_values.filter(lambda value: value is not None),
        "parallel_tool_calls": st.booleans(),
        **limits,
    },
)
page_fields = {
    "page_size": st.integers(1, 100),
    "order": st.sampled_from(["asc", "desc"]),
}
list_params = params(**page_fields, after=words) | params(**page_fields, before=words)
of_thread = {"thread_id": ids}
of_run = {"thread_id": ids, "run_id": ids}
of_message = {"thread_id": ids, "message_id": ids}

OPERATIONS: dict[type[Operation[Any]], st.SearchStrategy[Any]] = {
    ops.CreateAssistant: st.builds(
        ops.CreateAssistant,
        params=st.fixed_dictionaries(
            {"model": words}, optional={**assistant_fields, "file_ids": texts_of_ids}
        ),
    ),
    ops.ListAssistants: st.builds(ops.ListAssistants, page=list_params),
    ops.RetrieveAssistant: st.builds(ops.RetrieveAssistant, assistant_id=ids),
    ops.UpdateAssistant: st.builds(
        ops.UpdateAssistant,
        assistant_id=ids,
        params=params(
            **assistant_fields, model=anything, file_ids=st.lists(words, min_size=1, max_size=2)
        ),
    ),
    ops.DeleteAssistant: st.builds(ops.DeleteAssistant, assistant_id=ids),
    ops.CreateThread: st.builds(ops.CreateThread, params=new_threads),
    ops.CreateThreadAndRun: st.builds(
        ops.CreateThreadAndRun,
        params=run_params,
        thread=st.none() | new_threads,
        stream=st.booleans(),
    ),
    ops.RetrieveThread: st.builds(ops.RetrieveThread, **of_thread),
    ops.UpdateThread: st.builds(ops.UpdateThread, **of_thread, params=params(metadata=metadata)),
    ops.DeleteThread: st.builds(ops.DeleteThread, **of_thread),
    ops.CreateMessage: st.builds(ops.CreateMessage, **of_thread, params=new_messages),
    ops.ListMessages: st.builds(ops.ListMessages, **of_thread, page=list_params),
    ops.RetrieveMessage: st.builds(ops.RetrieveMessage, **of_message),
    ops.UpdateMessage: st.builds(ops.UpdateMessage, **of_message, params=params(metadata=metadata)),
    ops.CreateRun: st.builds(ops.CreateRun, **of_thread, params=run_params, stream=st.booleans()),
    ops.ListRuns: st.builds(ops.ListRuns, **of_thread, page=list_params),
    ops.RetrieveRun: st.builds(ops.RetrieveRun, **of_run),
    ops.UpdateRun: st.builds(ops.UpdateRun, **of_run, params=params(metadata=metadata)),
    ops.SubmitOutputs: st.builds(
        ops.SubmitOutputs,
        **of_run,
        tool_outputs=st.lists(
            st.builds(ToolOutput, output=anything, tool_call_id=anything), min_size=1, max_size=2
        ).map(tuple),
        stream=st.booleans(),
    ),
    ops.CancelRun: st.builds(ops.CancelRun, **of_run),
    ops.ListSteps: st.builds(ops.ListSteps, **of_run, page=list_params),
    ops.RetrieveStep: st.builds(ops.RetrieveStep, **of_run, step_id=ids),
    ops.AttachFile: st.builds(ops.AttachFile, assistant_id=ids, file_id=words),
    ops.ListAssistantFiles: st.builds(ops.ListAssistantFiles, assistant_id=ids, page=list_params),
    ops.RetrieveAssistantFile: st.builds(ops.RetrieveAssistantFile, assistant_id=ids, file_id=ids),
    ops.DetachFile: st.builds(ops.DetachFile, assistant_id=ids, file_id=ids),
    ops.ListMessageFiles: st.builds(ops.ListMessageFiles, **of_message, page=list_params),
    ops.RetrieveMessageFile: st.builds(ops.RetrieveMessageFile, **of_message, file_id=ids),
    ops.CreateFiles: st.builds(
        ops.CreateFiles,
        files=st.lists(
            st.builds(
                Upload,
                filename=anything,
                size=st.none() | st.integers(0, 2**50),
                content=st.none(),
            ),
            min_size=1,
            max_size=2,
        ).map(tuple),
        params=params(purpose=anything, description=anything),
    ),
    # At least 2 a page: what `results` draws is one whole page.
    ops.ListFiles: st.builds(
        ops.ListFiles, page=params(page_size=st.integers(2, 100), page_no=st.integers(1, 10**6))
    ),
    ops.RetrieveFile: st.builds(ops.RetrieveFile, file_id=ids),
    ops.DeleteFile: st.builds(ops.DeleteFile, file_id=st.just(DELETED_FILE)),
}
