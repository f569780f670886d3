"""Short ways to drive the SDK."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import appbuilder
import pytest
from appbuilder.core._exception import AssistantServerException
from wire import UUID

SDK = appbuilder.assistant  # `SDK.threads.runs.run(...)`, as the vendor's examples have it

INVALID = "invalid_parameter"
GONE = "not_found"

BEGIN = ["run_begin"]
SAY = ["tool_step_begin", "message_creation", "message", "tool_step_end"]
ASK = ["tool_step_begin", "tool_calls"]
GO_ON = ["tool_submitted_output", "tool_step_end"]
END = ["run_end"]

FUNCTION = {
    "name": "get_weather",
    "description": "查询天气 (current weather of a city)",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "城市"}},
        "required": ["city"],
    },
}
WEATHER = {"type": "function", "function": FUNCTION}
CALL = '/call get_weather {"city":"杭州"}'


def point_at(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK talk to a server that takes any key."""
    monkeypatch.setenv("GATEWAY_URL", base)
    monkeypatch.setenv("APPBUILDER_TOKEN", "any-key")
    for name in ("SECRET_KEY_PREFIX", "APPBUILDER_SDK_MCP_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    # With traces on, errors are raised anew, with other texts.
    for name in ("APPBUILDER_SDK_TRACE_ENABLE", "ENABLE_SENTRY_TRACE"):
        monkeypatch.delenv(name, raising=False)


def new_assistant(**params: Any) -> Any:
    """An assistant."""
    return SDK.assistants.create(**{"name": "test", "description": "", **params})


def new_thread(*texts: str) -> str:
    """A thread with messages of the user, by its id."""
    return str(SDK.threads.create([{"content": text} for text in texts]).id)


def begin(text: str, **params: Any) -> Any:
    """A run on a thread of its own, as it rests."""
    given = {"assistant_id": new_assistant().id, "thread_id": new_thread(text), **params}
    return SDK.threads.runs.run(**given)


def stream(text: str, **params: Any) -> Any:
    """The events of a run on a thread of its own, as they come."""
    given = {"assistant_id": new_assistant().id, "thread_id": new_thread(text), **params}
    return SDK.threads.runs.stream_run(**given)


def go_on(run: Any, output: str, **params: Any) -> Any:
    """The run that waits for the output of one call, continued in the way without a stream."""
    (call,) = calls_of(run)
    return SDK.threads.runs.run(
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        tool_output={"tool_call_id": call.id, "output": output, "run_id": run.id},
        **params,
    )


def submit(run: Any, calls: Sequence[Any], *outputs: str) -> Any:
    """The answer to outputs, one a call."""
    pairs = zip(calls, outputs, strict=True)
    given = [{"tool_call_id": call.id, "output": output} for call, output in pairs]
    ids = {"run_id": run.id, "thread_id": run.thread_id}
    return SDK.threads.runs.submit_tool_outputs(tool_outputs=given, **ids)


def calls_of(run: Any) -> list[Any]:
    """The calls that a run waits for."""
    assert run.required_action.type == "submit_tool_outputs"
    return list(run.required_action.submit_tool_outputs.tool_calls)


def run_of(events: Sequence[Any]) -> Any:
    """The run of a stream, as the first event told it."""
    assert (events[0].event_type, events[0].status) == ("run_begin", "queued")
    return events[0].details.run_object


def follow(events: Any, answer: Callable[[Any], str]) -> list[Any]:
    """All events; each call is answered, while the stream is open, as soon as it is asked for."""
    seen: list[Any] = []
    for event in events:
        seen.append(event)
        if event.status == "requires_action":
            calls = event.details.tool_calls
            submit(run_of(seen), calls, *map(answer, calls))
    return seen


def upload(folder: Path, name: str = "a.txt", content: bytes = b"hello", **params: Any) -> Any:
    """A file as the upload was answered."""
    path = folder / name
    path.write_bytes(content)
    return SDK.assistants.files.create(str(path), **params)


def kind_of(event: Any) -> str:
    """What an event is: the type of a status, or `message`."""
    return str(event.event_type if event.event == "status" else event.event)


def order_of(events: Iterable[Any]) -> list[str]:
    """The kinds of events, with a row of the same as one."""
    return [kind for kind, _ in groupby(map(kind_of, events))]


def text_of(events: Iterable[Any]) -> str:
    """The joined text of all pieces of messages."""
    pieces = [event for event in events if event.event == "message"]
    return "".join(piece.content[-1].text.value for piece in pieces)


def answer_of(run: Any) -> str:
    """The text of a run's final answer."""
    (content,) = run.final_answer.message.content
    assert (run.final_answer.type, content.type) == ("message", "text")
    return str(content.text.value)


def ids_of(page: Any) -> list[str]:
    """The ids of a page."""
    assert page.object == "list"
    return [item.id for item in page.data]


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, str]:
    """Code and message of the error by which a call is answered; it names the request, too."""
    with pytest.raises(AssistantServerException) as caught:
        call(*args, **kwargs)
    told = re.fullmatch(
        rf"request_id=({UUID}), code=([\w.]+), message=(.+), type=(\w+), params=(.*) ",
        caught.value.description,
    )
    assert told, caught.value.description
    assert told[3] == caught.value.code
    return told[3], told[4]


def check_paging(list_page: Callable[..., Any], made: Sequence[str]) -> None:
    """Three objects, in the order made, are listed and paged."""
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
    nothing = list_page(after=one)
    assert (ids_of(nothing), nothing.has_more) == ([], False)
