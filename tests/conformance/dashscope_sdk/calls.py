"""Short ways to drive the SDK."""

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import dashscope
import pytest
from dashscope import Assistants, Files, Messages, Runs, Threads
from dashscope.threads.thread_types import Run, RunStep, Thread, ThreadMessage, ThreadMessageDelta
from wire import UUID

INVALID = "InvalidParameter"
GONE = "The specified {} has been deleted or does not exist."

Event = tuple[str | None, Any]

BEGIN = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
OPEN_STEP = ["thread.run.step.created", "thread.run.step.in_progress"]
SAY = [
    *OPEN_STEP,
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
]
ANSWER = [*SAY, "thread.run.completed"]
ASK = [*OPEN_STEP, "thread.run.requires_action"]
GO_ON = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
KINDS = {
    "thread.run.step": RunStep,
    "thread.run": Run,
    "thread.message.delta": ThreadMessageDelta,
    "thread.message": ThreadMessage,
    "thread": Thread,
}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def point_at(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK talk to a server that takes any key."""
    monkeypatch.setattr(dashscope, "base_http_api_url", base)
    monkeypatch.setattr(dashscope, "api_key", "any-key")


def new_assistant(**params: Any) -> Any:
    """An assistant."""
    return Assistants.create(model="qwen-plus", **params)


def new_thread(text: str) -> Any:
    """A thread with one message of the user."""
    thread = Threads.create()
    Messages.create(thread.id, content=text)
    return thread


def begin(text: str, **params: Any) -> Any:
    """A run, as first answered, on a thread of its own."""
    return Runs.create(new_thread(text).id, assistant_id=new_assistant().id, **params)


def finish(text: str, **params: Any) -> Any:
    """A run that rests, on a thread of its own."""
    run = begin(text, **params)
    return Runs.wait(run.id, thread_id=run.thread_id)


def stream(text: str, **params: Any) -> list[Event]:
    """The events of a run, on a thread of its own."""
    return list(begin(text, stream=True, **params))


def upload(folder: Path, name: str, content: bytes, **params: Any) -> Any:
    """The answer to the upload of a file."""
    path = folder / name
    path.write_bytes(content)
    return Files.upload(str(path), **{"purpose": "assistants", **params})


def file_of(answer: Any) -> str:
    """The id of the one file that was uploaded."""
    assert answer.status_code == 200
    assert answer.output["failed_uploads"] == []
    (file,) = answer.output["uploaded_files"]
    return str(file["file_id"])


def new_file(folder: Path, **params: Any) -> str:
    """A file, by its id."""
    return file_of(upload(folder, "a.txt", b"hello", **params))


def calls_of(run: Any) -> list[Any]:
    """The calls that a run waits for."""
    return list(run.required_action.submit_tool_outputs.tool_calls)


def outputs_for(run: Any, *outputs: str) -> list[dict[str, str]]:
    """One output a call."""
    return [
        {"tool_call_id": call.id, "output": output}
        for call, output in zip(calls_of(run), outputs, strict=True)
    ]


def order_of(events: Iterable[Event]) -> list[str | None]:
    """The names of events, with a row of the same name as one."""
    return [name for name, _ in groupby(name for name, _ in events)]


def text_of(events: Iterable[Event]) -> str:
    """The joined text of all deltas."""
    deltas = [data for name, data in events if name == "thread.message.delta"]
    return "".join(data.delta.content.text.value for data in deltas)


def ids_of(page: Any) -> list[str]:
    """The ids of a page."""
    assert page.status_code == 200
    return [item.id for item in page.data]


def error_of(answer: Any) -> tuple[int, str, str]:
    """Status, code and message of an answer that is an error; it names the request, too."""
    assert re.fullmatch(UUID, answer["request_id"])
    return answer["status_code"], answer["code"], answer["message"]


def gone(subject: str) -> tuple[int, str, str]:
    """What is said of an object that does not exist."""
    return 400, INVALID, GONE.format(subject)


def new_workspace() -> str:
    """A workspace that nobody has used."""
    return f"ws-{uuid.uuid4()}"


def check_paging(list_page: Callable[..., Any], made: Sequence[str]) -> None:
    """Three objects, in the order made, are listed and paged as the documents say."""
    one, two, three = made
    assert ids_of(list_page()) == [three, two, one]
    assert ids_of(list_page(order="desc")) == [three, two, one]
    assert ids_of(list_page(order="asc")) == [one, two, three]
    assert ids_of(list_page(limit=2, order="desc", after="", before="")) == [three, two]
    first = list_page(limit=2)
    assert (first.object, first.first_id, first.last_id) == ("list", three, two)
    assert first.has_more is True
    rest = list_page(limit=2, after=first.last_id)
    assert (ids_of(rest), rest.has_more) == ([one], False)
    assert (rest.first_id, rest.last_id) == (one, one)
    assert ids_of(list_page(order="asc", limit=1, after=one)) == [two]
    back = list_page(limit=1, before=one)
    assert (ids_of(back), back.has_more) == ([two], True)
    assert list_page(limit=2, before=one).has_more is False
    assert ids_of(list_page(after=one)) == []
