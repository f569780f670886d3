"""JSON as the wire may send it: whole objects, any value at all, and any damage to the whole."""

import json
from typing import Any

from hypothesis import strategies as st

from aiodashassist.core.models import Assistant, Deleted, Message, Run, RunStep, Thread

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
