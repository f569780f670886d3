"""What each operation does: operations in, objects out. Knows no wire and no HTTP."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.events import Event, RunEvent, ThreadEvent
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    Message,
    Page,
    Run,
    RunStep,
    Text,
    Thread,
)
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import MessageParams, RunParams, ThreadParams
from aiodashassist.core.provider import Refusal
from aiodashassist.core.tooling import ToolOutput
from aiodashassist.server.disk import Disk
from aiodashassist.server.execution import Execution
from aiodashassist.server.files import Files
from aiodashassist.server.runs import Runs
from aiodashassist.server.store import Store
from aiodashassist.server.writing import new_id, now

__all__ = ("Desk", "Started")

GIVEN = (RunParams.__annotations__.keys() & set(Run.__struct_fields__)) - {"metadata"}
INHERITED = (
    "model", "instructions", "tools", "temperature", "top_p", "top_k", "max_tokens",
    "response_format", "thought_instructions", "chat_instructions",
)  # fmt: skip


class Started(Struct, kw_only=True):
    """A run that was begun, or goes on; each wire has its own way to answer that.

    Attributes:
        execution: the run.
        stream: whether its events were asked for.
        start: the first of them.
        before: events that come before it.
        answer: the answer that is no stream; None for a run that was begun: it is as it is then,
            or, on a wire that blocks, as it rests.
    """

    execution: Execution
    stream: bool
    start: int = 0
    before: tuple[Event, ...] = ()
    answer: Run | None = None

    async def events(self, *, through: bool) -> AsyncGenerator[Event, None]:
        """The events up to the run's rest; `through` to its end."""
        for event in self.before:
            yield event
        async with aclosing(self.execution.log.follow(self.start, through=through)) as events:
            async for event in events:
                yield event


class Desk:
    """Executes operations on a store.

    Args:
        store: where everything is kept.
        runs: who executes runs.
        disk: where the bytes of files are kept.
        can_cancel: whether runs can be cancelled; DashScope's documents say no (§7.1).
    """

    def __init__(self, store: Store, runs: Runs, disk: Disk, *, can_cancel: bool = True) -> None:
        self._store = store
        self._runs = runs
        self._files = Files(store, disk)
        self._acts: dict[type[Operation[Any]], Callable[[str, Any], Any]] = {
            ops.CreateAssistant: self._create_assistant,
            ops.ListAssistants: lambda ws, op: store.page(ws, Assistant, op.page),
            ops.RetrieveAssistant: lambda ws, op: store.get(ws, Assistant, op.assistant_id),
            ops.UpdateAssistant: self._update_assistant,
            ops.DeleteAssistant: self._delete_assistant,
            ops.CreateThread: lambda ws, op: self._new_thread(ws, op.params),
            ops.RetrieveThread: lambda ws, op: store.get(ws, Thread, op.thread_id),
            ops.UpdateThread: self._update_thread,
            ops.DeleteThread: self._delete_thread,
            ops.CreateMessage: self._create_message,
            ops.ListMessages: self._list_messages,
            ops.RetrieveMessage: self._message,
            ops.UpdateMessage: self._update_message,
            ops.CreateRun: self._create_run,
            ops.CreateThreadAndRun: self._create_thread_and_run,
            ops.ListRuns: self._list_runs,
            ops.RetrieveRun: self._run,
            ops.UpdateRun: self._update_run,
            ops.SubmitOutputs: self._submit_outputs,
            ops.ListSteps: self._list_steps,
            ops.RetrieveStep: self._retrieve_step,
            **self._files.acts,
        }
        if can_cancel:
            self._acts[ops.CancelRun] = lambda ws, op: runs.cancel(self._run(ws, op))

    def execute(
        self, workspace: str, operation: Operation[Any], *, needs_user: bool = False
    ) -> Struct | Started:
        """Do it.

        Args:
            workspace: where.
            operation: what.
            needs_user: whether a run begins only where the last message is the user's.

        Raises:
            Refusal: it cannot be done.
        """
        act = self._acts.get(type(operation))
        if act is None:
            raise Refusal("url")
        if needs_user and isinstance(operation, ops.CreateRun):
            self._check_last(workspace, operation)
        result: Struct | Started = act(workspace, operation)
        return result

    def _check_last(self, workspace: str, op: ops.CreateRun) -> None:
        """Messages that come with a run are the user's; else the thread's last one has to be."""
        if op.params.get("additional_messages") or op.params.get("tool_output"):
            return
        self._store.get(workspace, Thread, op.thread_id)
        self._store.get(workspace, Assistant, op.params["assistant_id"])
        self._runs.check_free(op.thread_id)
        messages = self._store.all(workspace, Message, op.thread_id)
        if not messages or messages[-1].role != "user":
            raise Refusal("invalid", "The last message of the thread must be the user's.")

    def _create_assistant(self, workspace: str, op: ops.CreateAssistant) -> Assistant:
        assistant = Assistant(id=new_id("asst"), created_at=now(), **_given(op.params))
        return self._keep_assistant(workspace, assistant)

    def _update_assistant(self, workspace: str, op: ops.UpdateAssistant) -> Assistant:
        assistant = self._store.get(workspace, Assistant, op.assistant_id)
        return self._keep_assistant(workspace, replace(assistant, **_given(op.params)))

    def _keep_assistant(self, workspace: str, assistant: Assistant) -> Assistant:
        self._store.put(workspace, assistant)
        self._files.attach_all(workspace, assistant)
        return assistant

    def _delete_assistant(self, workspace: str, op: ops.DeleteAssistant) -> Deleted:
        self._store.delete(workspace, Assistant, op.assistant_id)
        return Deleted(id=op.assistant_id, object="assistant.deleted")

    def _new_thread(self, workspace: str, params: ThreadParams) -> Thread:
        thread = Thread(
            id=new_id("thread"), created_at=now(), metadata=dict(params.get("metadata") or {})
        )
        self._store.put(workspace, thread)
        for message in params.get("messages") or ():
            self._new_message(workspace, thread.id, message)
        return thread

    def _update_thread(self, workspace: str, op: ops.UpdateThread) -> Thread:
        thread = self._store.get(workspace, Thread, op.thread_id)
        thread = replace(thread, **_given(op.params))
        self._store.put(workspace, thread)
        return thread

    def _delete_thread(self, workspace: str, op: ops.DeleteThread) -> Deleted:
        self._store.get(workspace, Thread, op.thread_id)
        self._runs.leave(op.thread_id)
        self._store.delete(workspace, Thread, op.thread_id)
        return Deleted(id=op.thread_id, object="thread.deleted")

    def _new_message(self, workspace: str, thread_id: str, params: MessageParams) -> Message:
        message = Message(
            id=new_id("message"),
            created_at=now(),
            thread_id=thread_id,
            role=params.get("role") or "user",
            content=(Content(text=Text(value=params["content"])),),
            file_ids=tuple(params.get("file_ids") or ()),
            metadata=dict(params.get("metadata") or {}),
        )
        self._store.put(workspace, message, thread_id)
        self._files.attach_to_message(workspace, message)
        return message

    def _create_message(self, workspace: str, op: ops.CreateMessage) -> Message:
        # Taken while a run is active, too: no document refuses it (dashscope.md §8).
        self._store.get(workspace, Thread, op.thread_id)
        return self._new_message(workspace, op.thread_id, op.params)

    def _list_messages(self, workspace: str, op: ops.ListMessages) -> Page[Message]:
        self._store.get(workspace, Thread, op.thread_id)
        return self._store.page(workspace, Message, op.page, op.thread_id)

    def _message(self, workspace: str, op: ops.RetrieveMessage | ops.UpdateMessage) -> Message:
        self._store.get(workspace, Thread, op.thread_id)
        return self._store.get(workspace, Message, op.message_id, op.thread_id)

    def _update_message(self, workspace: str, op: ops.UpdateMessage) -> Message:
        given = _given(op.params)
        if "content" in given:
            given["content"] = (Content(text=Text(value=given["content"])),)
        message = replace(self._message(workspace, op), **given)
        self._store.put(workspace, message, op.thread_id)
        self._files.attach_to_message(workspace, message)
        return message

    def _create_run(self, workspace: str, op: ops.CreateRun) -> Struct:
        thread = self._store.get(workspace, Thread, op.thread_id)
        output = op.params.get("tool_output")
        if output is not None:
            return self._go_on(workspace, op, output)
        return self._begin(workspace, thread, op.params, stream=op.stream, announce=False)

    def _go_on(self, workspace: str, op: ops.CreateRun, output: ToolOutput) -> Started:
        """Answer the one call that a run waits for, and follow it anew (appbuilder.md §5.6)."""
        if op.params.get("additional_messages"):
            raise Refusal("invalid", "tool_output goes on with a run, which takes no messages.")
        run_id = output.run_id or self._runs.active_on(op.thread_id)
        run = self._store.get(workspace, Run, run_id, op.thread_id)
        if run.assistant_id != op.params["assistant_id"]:
            raise Refusal("invalid", "The run is another assistant's.", subject="assistant_id")
        execution, start, _ = self._runs.submit(run, (output,))
        begins = RunEvent(status="queued", run=execution.run)
        return Started(execution=execution, stream=op.stream, start=start, before=(begins,))

    def _create_thread_and_run(self, workspace: str, op: ops.CreateThreadAndRun) -> Struct:
        self._store.get(workspace, Assistant, op.params["assistant_id"])
        thread = self._new_thread(workspace, op.thread or ThreadParams())
        return self._begin(workspace, thread, op.params, stream=op.stream, announce=True)

    def _begin(
        self, workspace: str, thread: Thread, params: RunParams, *, stream: bool, announce: bool
    ) -> Started:
        assistant = self._store.get(workspace, Assistant, params["assistant_id"])
        self._runs.check_free(thread.id)
        for message in params.get("additional_messages") or ():
            self._new_message(workspace, thread.id, message)
        execution = self._runs.begin(workspace, _new_run(assistant, thread, params))
        before = (ThreadEvent(thread=thread),) if announce else ()
        return Started(execution=execution, stream=stream, before=before)

    def _run(self, workspace: str, op: Any) -> Run:
        self._store.get(workspace, Thread, op.thread_id)
        return self._store.get(workspace, Run, op.run_id, op.thread_id)

    def _list_runs(self, workspace: str, op: ops.ListRuns) -> Page[Run]:
        self._store.get(workspace, Thread, op.thread_id)
        return self._store.page(workspace, Run, op.page, op.thread_id)

    def _update_run(self, workspace: str, op: ops.UpdateRun) -> Run:
        run = self._run(workspace, op)
        if op.params.get("metadata") is not None:
            run = replace(run, **_given(op.params))
            self._store.put(workspace, run, op.thread_id)
            self._runs.change(run)
        return run

    def _submit_outputs(self, workspace: str, op: ops.SubmitOutputs) -> Struct:
        run = self._run(workspace, op)
        if any(output.run_id not in ("", run.id) for output in op.tool_outputs):
            raise Refusal("invalid", "A tool output is for another run.", subject="run_id")
        execution, start, answered = self._runs.submit(run, op.tool_outputs)
        return Started(execution=execution, stream=op.stream, start=start, answer=answered)

    def _list_steps(self, workspace: str, op: ops.ListSteps) -> Page[RunStep]:
        self._run(workspace, op)
        return self._store.page(workspace, RunStep, op.page, op.run_id)

    def _retrieve_step(self, workspace: str, op: ops.RetrieveStep) -> RunStep:
        self._run(workspace, op)
        return self._store.get(workspace, RunStep, op.step_id, op.run_id)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as an object keeps them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in params.items()}


def _new_run(assistant: Assistant, thread: Thread, params: RunParams) -> Run:
    """A run has what it was given, and the rest from its assistant (dashscope.md §2.2)."""
    given = _given({**params, "tools": params.get("override_tools")})
    fields = {name: getattr(assistant, name) for name in INHERITED}
    if given.get("tools") is not None:
        fields["tools"] = given["tools"]
    # What only the Java SDK sends is kept and shown, too, and changes nothing here (§2.2).
    fields.update({name: given[name] for name in GIVEN if given.get(name) is not None})
    if added := params.get("additional_instructions"):
        fields["instructions"] = "\n".join(filter(None, (fields["instructions"], added)))
    return Run(
        id=new_id("run"),
        created_at=now(),
        thread_id=thread.id,
        file_ids=assistant.file_ids,
        metadata=dict(params.get("metadata") or {}),
        **fields,
    )
