"""Every call of the SDK, ready to be made anywhere."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from appbuilder_sdk.calls import CALL, SDK, calls_of, new_assistant, upload


@dataclass
class World:
    """One of each object, made when it is first asked for.

    Attributes:
        folder: where files are written before they are uploaded, and after they came back.
    """

    folder: Path

    @property
    def here(self) -> str:
        """The folder as the SDK wants it."""
        return f"{self.folder}/"

    @cached_property
    def path(self) -> str:
        """The path of a file that can be uploaded."""
        path = self.folder / "b.txt"
        path.write_text("hello")
        return str(path)

    @cached_property
    def file(self) -> str:
        """A file."""
        return str(upload(self.folder).id)

    @cached_property
    def assistant(self) -> str:
        """An assistant that has the file."""
        return str(new_assistant(file_ids=[self.file]).id)

    @cached_property
    def thread(self) -> str:
        """A thread with one message, which has the file and asks for a call."""
        message = {"content": CALL, "file_ids": [self.file]}
        return str(SDK.threads.create([message]).id)

    @cached_property
    def message(self) -> str:
        """The message."""
        return str(SDK.threads.messages.list(self.thread).data[0].id)

    @cached_property
    def run(self) -> str:
        """A run that waits for an output."""
        return str(SDK.threads.runs.run(self.assistant, self.thread).id)

    @cached_property
    def call(self) -> str:
        """The call that it waits for."""
        return str(calls_of(SDK.threads.runs.query(self.thread, self.run))[0].id)

    @cached_property
    def step(self) -> str:
        """The step of the round that it waits for."""
        return str(SDK.threads.runs.steps.list(self.thread, self.run).data[0].id)


class Nothing:
    """No object of any kind: a world of ids that nobody knows."""

    path = __file__
    here = "/"

    def __getattr__(self, kind: str) -> str:
        return f"{kind}_none"


def _submit(world: Any) -> Any:
    outputs = [{"tool_call_id": world.call, "output": "rain"}]
    return SDK.threads.runs.submit_tool_outputs(world.run, world.thread, outputs)


PLAIN = {"messages": [{"content": "x"}]}
"""A message that asks for no call, so that its run comes to an end."""

MAKERS: dict[str, Callable[[Any], Any]] = {
    "assistants.create": lambda _: SDK.assistants.create("test", ""),
    "files.create": lambda w: SDK.assistants.files.create(w.path),
    "threads.create": lambda _: SDK.threads.create(),
}
"""The calls that need nothing, and make something."""

LISTS: dict[str, Callable[[Any], Any]] = {
    "assistants.list": lambda _: SDK.assistants.list(),
    "files.list": lambda _: SDK.assistants.files.list(),
}
"""The calls that need nothing, and list what there is."""

OTHERS: dict[str, Callable[[Any], Any]] = {
    "assistants.query": lambda w: SDK.assistants.query(w.assistant),
    "assistants.update": lambda w: SDK.assistants.update(w.assistant, "m", "test", ""),
    "assistants.delete": lambda w: SDK.assistants.delete(w.assistant),
    "assistants.mounted_files_list": lambda w: SDK.assistants.mounted_files_list(w.assistant),
    "files.delete": lambda w: SDK.assistants.files.delete(w.file),
    "threads.query": lambda w: SDK.threads.query(w.thread),
    "threads.update": lambda w: SDK.threads.update(w.thread),
    "threads.delete": lambda w: SDK.threads.delete(w.thread),
    "messages.create": lambda w: SDK.threads.messages.create(w.thread, "x"),
    "messages.list": lambda w: SDK.threads.messages.list(w.thread),
    "messages.query": lambda w: SDK.threads.messages.query(w.thread, w.message),
    "messages.update": lambda w: SDK.threads.messages.update(w.thread, w.message, "x"),
    "messages.files": lambda w: SDK.threads.messages.files(w.thread, w.message),
    "runs.run": lambda w: SDK.threads.runs.run(w.assistant, w.thread),
    "runs.list": lambda w: SDK.threads.runs.list(w.thread),
    "runs.query": lambda w: SDK.threads.runs.query(w.thread, w.run),
    "runs.cancel": lambda w: SDK.threads.runs.cancel(w.run, w.thread),
    "runs.submit_tool_outputs": _submit,
    "steps.list": lambda w: SDK.threads.runs.steps.list(w.thread, w.run),
    "steps.query": lambda w: SDK.threads.runs.steps.query(w.thread, w.run, w.step),
}
"""The calls that need an object which is there, and tell why they were refused."""

VEILED: dict[str, Callable[[Any], Any]] = {
    "assistants.mount_files": lambda w: SDK.assistants.mount_files(w.assistant, w.file),
    "assistants.unmount_files": lambda w: SDK.assistants.unmount_files(w.assistant, w.file),
    "files.download": lambda w: SDK.assistants.files.download(w.file, w.here),
    "files.content": lambda w: SDK.assistants.files.content(w.file),
}
"""The calls that ask first, and make one error of every refusal: FileNotFoundError."""

STREAMS: dict[str, Callable[[Any], Any]] = {
    "runs.stream_run": lambda w: SDK.threads.runs.stream_run(w.assistant, w.thread, PLAIN),
    "runs.stream_run_with_handler": lambda w: SDK.threads.runs.stream_run_with_handler(
        w.assistant, w.thread, PLAIN
    ),
}
"""The calls that are answered by a stream."""

QUERY = {"files.query": lambda w: SDK.assistants.files.query(w.file)}
"""The call that is answered by null where there is nothing."""

EVERY = {**MAKERS, **LISTS, **OTHERS, **QUERY, **VEILED, **STREAMS}
