"""Every call of the SDK that makes a request, ready to be made anywhere."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dashscope import Assistants, Files, Messages, Runs, Steps, Threads
from dashscope.assistants.files import Files as AssistantFiles
from dashscope.threads.messages.files import Files as MessageFiles
from dashscope_sdk.calls import new_file


@dataclass
class World:
    """One of each object, made when it is first asked for.

    Attributes:
        folder: where files are written before they are uploaded.
        where: what every call that makes an object is given.
    """

    folder: Path
    where: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def path(self) -> str:
        """The path of a file that can be uploaded."""
        path = self.folder / "a.txt"
        path.write_text("hello")
        return str(path)

    @cached_property
    def file(self) -> str:
        """A file."""
        return new_file(self.folder, **self.where)

    @cached_property
    def assistant(self) -> str:
        """An assistant that has the file."""
        return str(Assistants.create(model="m", file_ids=[self.file], **self.where).id)

    @cached_property
    def thread(self) -> str:
        """A thread with one message, which has the file and asks for a call."""
        message = {"role": "user", "content": "/call f {}", "file_ids": [self.file]}
        return str(Threads.create(messages=[message], **self.where).id)

    @cached_property
    def message(self) -> str:
        """The message."""
        return str(Messages.list(self.thread, **self.where).data[0].id)

    @cached_property
    def run(self) -> str:
        """A run that waits for outputs."""
        ids = {"assistant_id": self.assistant, **self.where}
        return str(list(Runs.create(self.thread, stream=True, **ids))[-1][1].id)

    @cached_property
    def step(self) -> str:
        """The step of the round that it waits for."""
        return str(Steps.list(self.run, thread_id=self.thread, **self.where).data[0].id)


class Nothing:
    """No object of any kind: a world of ids that nobody knows."""

    path = __file__

    def __getattr__(self, kind: str) -> str:
        return f"{kind}_none"


def _submit(world: Any, **common: Any) -> Any:
    ids = {"thread_id": world.thread, **common}
    return Runs.submit_tool_outputs(world.run, tool_outputs=[{"output": "x"}], **ids)


def _cancel_as_assistant(world: Any, **common: Any) -> Any:
    path = f"threads/{world.thread}/runs/{world.run}/cancel"
    return Assistants.cancel(world.assistant, path=path, **common)


MAKERS: dict[str, Callable[..., Any]] = {
    "Assistants.create": lambda _, **common: Assistants.create(model="m", **common),
    "Assistants.call": lambda _, **common: Assistants.call(model="m", **common),
    "Threads.create": lambda _, **common: Threads.create(**common),
    "Threads.call": lambda _, **common: Threads.call(**common),
    "Files.upload": lambda w, **common: Files.upload(w.path, "assistants", **common),
}
"""The calls that need nothing, and make something."""

LISTS: dict[str, Callable[..., Any]] = {
    "Assistants.list": lambda _, **common: Assistants.list(**common),
    "Files.list": lambda _, **common: Files.list(**common),
}
"""The calls that need nothing, and list what there is."""

STREAMS: dict[str, Callable[..., Iterator[Any]]] = {
    "Runs.create": lambda w, **common: Runs.create(
        w.thread, assistant_id=w.assistant, stream=True, **common
    ),
    "Runs.call": lambda w, **common: Runs.call(
        w.thread, assistant_id=w.assistant, stream=True, **common
    ),
    "Runs.create_thread_and_run": lambda w, **common: Runs.create_thread_and_run(
        assistant_id=w.assistant, stream=True, **common
    ),
    "Runs.submit_tool_outputs": lambda w, **common: _submit(w, stream=True, **common),
}
"""The calls that can be answered with a stream, asked for one."""

OTHERS: dict[str, Callable[..., Any]] = {
    "Assistants.retrieve": lambda w, **common: Assistants.retrieve(w.assistant, **common),
    "Assistants.get": lambda w, **common: Assistants.get(w.assistant, **common),
    "Assistants.update": lambda w, **common: Assistants.update(w.assistant, **common),
    "Assistants.delete": lambda w, **common: Assistants.delete(w.assistant, **common),
    "Assistants.cancel": _cancel_as_assistant,
    "AssistantFiles.create": lambda w, **common: AssistantFiles.create(
        w.assistant, file_id=w.file, **common
    ),
    "AssistantFiles.call": lambda w, **common: AssistantFiles.call(
        w.assistant, file_id=w.file, **common
    ),
    "AssistantFiles.list": lambda w, **common: AssistantFiles.list(w.assistant, **common),
    "AssistantFiles.retrieve": lambda w, **common: AssistantFiles.retrieve(
        w.file, assistant_id=w.assistant, **common
    ),
    "AssistantFiles.get": lambda w, **common: AssistantFiles.get(
        w.file, assistant_id=w.assistant, **common
    ),
    "AssistantFiles.delete": lambda w, **common: AssistantFiles.delete(
        w.file, assistant_id=w.assistant, **common
    ),
    "Threads.retrieve": lambda w, **common: Threads.retrieve(w.thread, **common),
    "Threads.get": lambda w, **common: Threads.get(w.thread, **common),
    "Threads.update": lambda w, **common: Threads.update(w.thread, **common),
    "Threads.delete": lambda w, **common: Threads.delete(w.thread, **common),
    "Threads.create_and_run": lambda w, **common: Threads.create_and_run(
        assistant_id=w.assistant, **common
    ),
    "Messages.create": lambda w, **common: Messages.create(w.thread, content="x", **common),
    "Messages.call": lambda w, **common: Messages.call(w.thread, content="x", **common),
    "Messages.retrieve": lambda w, **common: Messages.retrieve(
        w.message, thread_id=w.thread, **common
    ),
    "Messages.get": lambda w, **common: Messages.get(w.message, thread_id=w.thread, **common),
    "Messages.list": lambda w, **common: Messages.list(w.thread, **common),
    "Messages.update": lambda w, **common: Messages.update(w.message, thread_id=w.thread, **common),
    "MessageFiles.list": lambda w, **common: MessageFiles.list(
        w.message, thread_id=w.thread, **common
    ),
    "MessageFiles.retrieve": lambda w, **common: MessageFiles.retrieve(
        w.file, message_id=w.message, thread_id=w.thread, **common
    ),
    "MessageFiles.get": lambda w, **common: MessageFiles.get(
        w.file, message_id=w.message, thread_id=w.thread, **common
    ),
    "Runs.create": lambda w, **common: Runs.create(w.thread, assistant_id=w.assistant, **common),
    "Runs.call": lambda w, **common: Runs.call(w.thread, assistant_id=w.assistant, **common),
    "Runs.create_thread_and_run": lambda w, **common: Runs.create_thread_and_run(
        assistant_id=w.assistant, **common
    ),
    "Runs.retrieve": lambda w, **common: Runs.retrieve(w.run, thread_id=w.thread, **common),
    "Runs.get": lambda w, **common: Runs.get(w.run, thread_id=w.thread, **common),
    "Runs.wait": lambda w, **common: Runs.wait(w.run, thread_id=w.thread, **common),
    "Runs.list": lambda w, **common: Runs.list(w.thread, **common),
    "Runs.update": lambda w, **common: Runs.update(w.run, thread_id=w.thread, **common),
    "Runs.cancel": lambda w, **common: Runs.cancel(w.run, thread_id=w.thread, **common),
    "Runs.submit_tool_outputs": _submit,
    "Steps.list": lambda w, **common: Steps.list(w.run, thread_id=w.thread, **common),
    "Steps.retrieve": lambda w, **common: Steps.retrieve(
        w.step, thread_id=w.thread, run_id=w.run, **common
    ),
    "Steps.get": lambda w, **common: Steps.get(w.step, thread_id=w.thread, run_id=w.run, **common),
    "Files.get": lambda w, **common: Files.get(w.file, **common),
    "Files.delete": lambda w, **common: Files.delete(w.file, **common),
}
"""The calls that need an object which is there."""

PLAIN = {**MAKERS, **LISTS, **OTHERS}
EVERY = {**PLAIN, **{f"{name} as a stream": call for name, call in STREAMS.items()}}


def went_well(answer: Any) -> bool:
    """Whether an answer is what was asked for; a stream is read to its end."""
    if isinstance(answer, Iterator):
        return all(name is not None for name, _ in list(answer))
    return answer is not None and getattr(answer, "status_code", 200) == 200
