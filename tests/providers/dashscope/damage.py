"""JSON as the wire may send it: whole objects, any value at all, and any damage to the whole."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.files import Upload
from aiodashassist.core.models import Assistant, Deleted, Message, Run, RunStep, Thread
from aiodashassist.core.operations import Operation

SAY = {"type": "text", "text": {"value": "hi", "annotations": []}}
FULL: list[tuple[type[Any], Any]] = [
    (
        Assistant,
        {
            "id": "asst_1", "object": "assistant", "created_at": 1, "model": "m", "name": "n",
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {}}},
                {"type": "rag", "prompt_ra": {"pipeline_id": []}},
                {"type": "p", "auth": {"type": "user_http", "user_token": "t"}},
            ],
            "file_ids": ["f"], "metadata": {"a": "b"}, "temperature": "None", "top_k": 1,
        },
    ),
    (
        Run,
        {
            "id": "run_1", "status": "queued", "last_error": {"code": "", "message": ""},
            "required_action": {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {
                    "tool_calls": [{"id": "", "type": "function", "function": {"name": "f"}}]
                },
            },
            "usage": {"prompt_tokens": 1}, "truncation_strategy": {"type": "last_messages"},
            "completed_at": 0, "stop": "", "incomplete_details": {"reason": "r"},
        },
    ),
    (
        Message,
        {
            "id": "m", "role": "user", "incomplete_details": {}, "plugin_call": {}, "status": {},
            "content": [{"type": "text", "text": {"value": "v", "annotations": []}}],
            "tool_calls": [{"type": "p", "p": {"input": "i", "output": "o"}}], "from": "",
        },
    ),
    (
        RunStep,
        {
            "id": "s", "type": "tool_calls", "completed_at": -1, "usage": {},
            "step_details": {
                "type": "tool_calls", "tool_calls": [{"type": "p", "p": {"input": "i"}}],
                "message_creation": {"message_id": "m"},
            },
        },
    ),
    (Thread, {"id": "t", "created_at": 1, "metadata": {}, "is_deleted": False}),
    (Deleted, {"id": "t", "object": "thread.deleted", "deleted": True}),
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["", "None", "0", "-1", "function", "text", 10**30, -(2**63)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text()
            | st.sampled_from(["type", "id", "text", "value", "function", "input", "tool_calls"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: its container and its key or index."""
    here: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        here = [(value, key) for key in value]
    elif isinstance(value, list):
        here = [(value, index) for index in range(len(value))]
    return here + [place for container, key in here for place in places(container[key])]


def damaged(data: st.DataObject, whole: Any) -> Any:
    """A JSON value with one to three of its places replaced, removed or joined by another."""
    value = json.loads(json.dumps(whole))
    for _ in range(data.draw(st.integers(1, 3))):
        known = places(value)
        if not known:
            return value
        container, key = data.draw(st.sampled_from(known))
        action = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del container[key]
        elif action == "add" and isinstance(container, dict):
            container[data.draw(st.text())] = data.draw(JSON)
        else:
            container[key] = data.draw(JSON)
    return value


WHOLE = {kind.__name__: body for kind, body in FULL}
FILE = {
    "file_id": "f", "id": 1, "name": "n", "description": "", "url": "", "size": 1, "md5": "",
    "purpose": "", "gmt_create": "2024-04-30 12:00:00",
}  # fmt: skip
ATTACHED = {"id": "f", "object": "assistant.file", "created_at": 1, "assistant_id": "a"}
LEGACY = {"account_id": "sk", "gmt_crete": "", "gmt_update": "", "is_deleted": False}
OF_MESSAGE = {"id": "f", "object": "thread.message.file", "created_at": 1, "message_id": "m"}
UPLOADED = {
    "data": {
        "uploaded_files": [{"file_id": "f", "name": "n"}],
        "failed_uploads": [],
    }
}
FILES = {"data": {"total": 1, "page_no": 1, "page_size": 10, "files": [FILE]}}
BARE: dict[str, tuple[Operation[Any], Any]] = {
    "Assistant": (ops.RetrieveAssistant(assistant_id="a"), {**WHOLE["Assistant"], **LEGACY}),
    "AssistantFile": (ops.AttachFile(assistant_id="a", file_id="f"), {**ATTACHED, **LEGACY}),
    "Thread": (ops.RetrieveThread(thread_id="t"), {**WHOLE["Thread"], **LEGACY}),
    "Message": (ops.RetrieveMessage(thread_id="t", message_id="m"), WHOLE["Message"]),
    "MessageFile": (
        ops.RetrieveMessageFile(thread_id="t", message_id="m", file_id="f"), OF_MESSAGE,
    ),
    "Run": (ops.RetrieveRun(thread_id="t", run_id="r"), WHOLE["Run"]),
    "RunStep": (ops.RetrieveStep(thread_id="t", run_id="r", step_id="s"), WHOLE["RunStep"]),
    "Deleted": (ops.DeleteThread(thread_id="t"), WHOLE["Deleted"]),
    "File": (ops.RetrieveFile(file_id="f"), {"data": FILE}),
    "Uploads": (
        ops.CreateFiles(files=(Upload(filename="n", size=1, content=None),)), UPLOADED,
    ),
    "Deleted file": (ops.DeleteFile(file_id="f"), {}),
    "Page of Files": (ops.ListFiles(), FILES),
}  # fmt: skip
LISTS: dict[str, Operation[Any]] = {
    "Assistant": ops.ListAssistants(),
    "AssistantFile": ops.ListAssistantFiles(assistant_id="a"),
    "Message": ops.ListMessages(thread_id="t"),
    "MessageFile": ops.ListMessageFiles(thread_id="t", message_id="m"),
    "Run": ops.ListRuns(thread_id="t"),
    "RunStep": ops.ListSteps(thread_id="t", run_id="r"),
}


def _envelope(item: Any) -> Any:
    return {"object": "list", "data": [item], "first_id": "a", "last_id": "b", "has_more": True}


ANSWERS: dict[str, tuple[Operation[Any], Any]] = {
    name: (operation, {**body, "request_id": "q"})
    for name, (operation, body) in {
        **BARE,
        **{f"Page of {kind}s": (asks, _envelope(BARE[kind][1])) for kind, asks in LISTS.items()},
    }.items()
}
"""Every kind of answer: what asks for it, and the whole of its body (dashscope.md §3)."""

ERRORS: dict[str, Any] = {
    "flat": {"code": "InvalidParameter", "message": "Model not exist.", "request_id": "q"},
    "wrapped": {"error": {"code": "c", "message": "m"}, "requestId": "q", "msg": "n"},
}
DELTA = {"role": "assistant", "content": [SAY], "file_ids": []}
CALL = {"type": "quark_search", "quark_search": {"arguments": "{", "output": ""}}
STEP_DELTA = {"step_details": {"type": "tool_calls", "tool_calls": [CALL]}}
EVENTS: dict[str, Any] = {
    "thread.created": WHOLE["Thread"],
    "thread.run.created": WHOLE["Run"],
    "thread.run.requires_action": WHOLE["Run"],
    "thread.run.step.created": WHOLE["RunStep"],
    "thread.run.step.completed": WHOLE["RunStep"],
    "thread.run.step.delta": {"id": "s", "object": "x", "delta": STEP_DELTA, "request_id": "q"},
    "thread.message.created": WHOLE["Message"],
    "thread.message.completed": WHOLE["Message"],
    "thread.message.delta": {"id": "m", "object": "x", "delta": DELTA, "request_id": "q"},
    "error": {"code": "c", "message": "m", "request_id": "q", "error": {"code": "d"}},
    "thread.of.tomorrow": {"id": "x", "more": [1]},
}
"""Every kind of frame (dashscope.md §5.4), and one that nobody knows."""

ABSENT = object()
WRONG: tuple[Any, ...] = (
    ABSENT, None, True, False, 0, -1, 7, 10**30, 1.5, 1e308, "", "x", "None", "0", "\0", [], [None],
    ["x"], [[]], [{}], [7], {}, {"x": None}, {"x": {}}, {"type": []}, {"id": {}},
)  # fmt: skip
"""What stands where something else should: nothing, null, and every type of JSON."""


def misfits(whole: Any, fields: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The whole with each of its places, and each of the `fields`, wrong in every way, in turn."""
    missing = {name: None for name in fields if name not in whole}
    text = json.dumps({**whole, **missing})
    for number in range(len(places(json.loads(text)))):
        for wrong in WRONG:
            value = json.loads(text)
            container, key = places(value)[number]
            if wrong is ABSENT:
                del container[key]
            else:
                container[key] = wrong
            yield f"{key}={'nothing' if wrong is ABSENT else wrong!r}", value


# As `JSON`, but quick to draw: the sweeps want ten thousand of each kind.
ODD = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
NAMES = st.sampled_from(["type", "id", "text", "value", "function", "input", "tool_calls", "data"])
FLAT = (
    ODD
    | st.sampled_from(WRONG[1:])
    | st.lists(ODD, max_size=2)
    | st.dictionaries(NAMES | st.text(max_size=3), ODD, max_size=2)
)
BLOWS = st.lists(
    st.tuples(st.integers(0, 63), st.sampled_from(["replace", "remove", "add"]), FLAT),
    min_size=1,
    max_size=3,
)
"""Where something is damaged, how, and what comes there."""


def struck(whole: Any, blows: list[tuple[int, str, Any]]) -> Any:
    """A JSON value after these blows."""
    value = json.loads(json.dumps(whole))
    for number, action, drawn in blows:
        new = deepcopy(drawn)
        known = places(value)
        if not known:
            break
        container, key = known[number % len(known)]
        if action == "remove":
            del container[key]
        elif action == "add" and isinstance(container, dict):
            container[f"{key}_"] = new
        else:
            container[key] = new
    return value
