"""Assistants: every call of the SDK, and what the SDK cannot say by the wire."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from dashscope import Assistants, Runs
from dashscope.common.error import InvalidParameter, ModelRequired
from dashscope_sdk.calls import (
    INVALID,
    WEATHER,
    begin,
    check_paging,
    error_of,
    gone,
    ids_of,
    new_assistant,
    new_workspace,
)
from wire import UUID, Wire

CREATE = pytest.mark.parametrize("create", [Assistants.create, Assistants.call])
RETRIEVE = pytest.mark.parametrize("retrieve", [Assistants.retrieve, Assistants.get])


@CREATE
def test_created_assistant_has_what_was_given(create: Callable[..., Any]) -> None:
    """Every parameter of the SDK comes back in the assistant that it made."""
    made = create(
        model="qwen-max",
        name="天气",
        description="answers",
        instructions="Be brief.",
        tools=[{"type": "code_interpreter"}, WEATHER],
        file_ids=["file-1"],
        metadata={"team": "a"},
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        max_tokens=100,
    )
    assert made.status_code == 200
    assert re.fullmatch(f"asst_{UUID}", made.id)
    assert re.fullmatch(UUID, made.request_id)
    assert (made.object, made.model, made.name) == ("assistant", "qwen-max", "天气")
    assert (made.description, made.instructions) == ("answers", "Be brief.")
    assert (made.file_ids, made.metadata) == (["file-1"], {"team": "a"})
    assert (made.temperature, made.top_p, made.top_k, made.max_tokens) == (0.5, 0.9, 3, 100)
    assert [tool.type for tool in made.tools] == ["code_interpreter", "function"]
    assert made.tools[1].function.name == "get_weather"
    assert made.tools[1].function.parameters == WEATHER["function"]["parameters"]


@CREATE
def test_assistant_needs_only_a_model(create: Callable[..., Any]) -> None:
    """What was not given is empty as the live service has it, and times are milliseconds."""
    made = create(model="qwen-plus")
    assert (made.name, made.description, made.instructions) == ("", "", "")
    assert (made.tools, made.file_ids, made.metadata) == ([], [], {})
    assert (made.temperature, made.top_p, made.top_k, made.max_tokens) == (None,) * 4
    assert len(str(made.created_at)) == 13


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "quark_search"},
        {"type": "area_to_weather_date", "description": "a plugin of one's own"},
        {"type": "calculator", "auth": {"type": "user_http", "user_token": "bearer-token"}},
        {
            "type": "rag",
            "prompt_ra": {
                "pipeline_id": ["p1"],
                "multiknowledge_rerank_top_n": 10,
                "rerank_top_n": 5,
                "parameters": {
                    "type": "object",
                    "properties": {"query_word": {"type": "str", "value": "${document1}"}},
                },
            },
        },
        WEATHER,
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "f", "strict": True}},
        {"type": "function", "function": {"name": "f"}, "auth": {"type": "user_http"}},
    ],
    ids=[
        "plugin",
        "own plugin",
        "plugin with auth",
        "rag",
        "function",
        "bare function",
        "function with more inside",
        "function with more beside",
    ],
)
def test_tools_come_back_as_they_were_declared(tool: dict[str, Any], wire: Wire) -> None:
    """The tools of an assistant are an echo of what was sent."""
    made = new_assistant(tools=[tool])
    assert wire.call("GET", f"/assistants/{made.id}").json["tools"] == [tool]


@RETRIEVE
def test_assistant_is_read_back_as_made(retrieve: Callable[..., Any]) -> None:
    """Reading an assistant gives what creating it gave."""
    made = new_assistant(name="n", metadata={"a": "b"}, tools=[WEATHER])
    read = retrieve(made.id)
    assert (read.status_code, read.id, read.name) == (200, made.id, "n")
    assert (read.metadata, read.created_at) == ({"a": "b"}, made.created_at)
    assert read.tools[0].function.name == "get_weather"


def test_update_changes_what_is_given_and_keeps_the_rest() -> None:
    """An update of the SDK, which always sends `file_ids: []` and a null, clears nothing."""
    made = new_assistant(
        name="old",
        description="kept",
        instructions="kept",
        tools=[WEATHER],
        file_ids=["f"],
        metadata={"a": "b"},
        top_k=2,
    )
    assert Assistants.update(made.id, name="new", temperature=0.1).status_code == 200
    read = Assistants.get(made.id)
    assert (read.name, read.temperature, read.top_k) == ("new", 0.1, 2)
    assert (read.description, read.instructions) == ("kept", "kept")
    assert (read.file_ids, read.metadata, len(read.tools)) == (["f"], {"a": "b"}, 1)
    assert read.created_at == made.created_at


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "qwen-max"),
        ("name", "n"),
        ("description", "d"),
        ("instructions", "i"),
        ("tools", []),
        ("file_ids", ["file-9"]),
        ("metadata", {"c": "d"}),
        ("top_p", 0.2),
        ("top_k", 0),
        ("temperature", 0),
        ("max_tokens", 1),
    ],
)
def test_update_takes_every_field(field: str, value: Any) -> None:
    """Each field can be changed alone; an empty list of tools clears them."""
    made = new_assistant(tools=[WEATHER], metadata={"a": "b"})
    assert Assistants.update(made.id, **{field: value})[field] == value
    assert Assistants.get(made.id)[field] == value


def test_description_is_cleared_by_an_empty_text(wire: Wire) -> None:
    """The SDK leaves empty texts out; on the wire one clears the field."""
    made = new_assistant(description="d")
    path = f"/assistants/{made.id}"
    assert wire.call("POST", path, {"description": ""}).json["description"] == ""
    assert Assistants.get(made.id).description == ""


def test_deleted_assistant_is_gone() -> None:
    """Deleting answers with the id, and then no call knows it."""
    made = new_assistant()
    deleted = Assistants.delete(made.id)
    assert (deleted.status_code, deleted.id, deleted.deleted) == (200, made.id, True)
    assert deleted.object == "assistant.deleted"
    assert error_of(Assistants.get(made.id)) == gone("assistant")
    assert error_of(Assistants.delete(made.id)) == gone("assistant")


@pytest.mark.parametrize(
    "call", [Assistants.retrieve, Assistants.get, Assistants.update, Assistants.delete]
)
def test_unknown_assistant_is_a_400(call: Callable[..., Any]) -> None:
    """An id that does not exist is a bad request, not a 404."""
    assert error_of(call("asst_none")) == gone("assistant")


def test_assistants_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    workspace = new_workspace()
    made = [new_assistant(workspace=workspace).id for _ in range(3)]
    check_paging(lambda **query: Assistants.list(workspace=workspace, **query), made)


def test_listed_assistant_is_whole_but_names_no_request() -> None:
    """An item has the fields of an assistant; the request's id stands in the list only."""
    workspace = new_workspace()
    new_assistant(workspace=workspace, name="n", tools=[WEATHER])
    page = Assistants.list(workspace=workspace)
    (item,) = page.data
    assert (item.object, item.name, item.tools[0].type) == ("assistant", "n", "function")
    assert item.request_id is None
    assert re.fullmatch(UUID, page.request_id)


def test_twenty_are_listed_where_no_limit_is_given() -> None:
    """A page without a limit has twenty items; one with a limit has up to a hundred."""
    workspace = new_workspace()
    for _ in range(21):
        new_assistant(workspace=workspace)
    page = Assistants.list(workspace=workspace)
    assert (len(page.data), page.has_more) == (20, True)
    page = Assistants.list(workspace=workspace, limit=100)
    assert (len(page.data), page.has_more) == (21, False)


def test_empty_list_has_no_ends() -> None:
    """A list of nothing is a list."""
    page = Assistants.list(workspace=new_workspace())
    assert (ids_of(page), page.has_more) == ([], False)
    assert (page.first_id, page.last_id) == (None, None)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 0}, "Limit must be between 1 and 100"),
        ({"limit": 101}, "Limit must be between 1 and 100"),
        ({"order": "up"}, "Order must be 'asc' or 'desc'"),
        ({"after": "asst_none"}, gone("assistant")[2]),
        ({"before": "asst_none"}, gone("assistant")[2]),
    ],
    ids=str,
)
def test_bad_list_query_is_refused(query: dict[str, Any], message: str) -> None:
    """A limit, an order or a cursor that cannot be is a 400 with the documented words."""
    assert error_of(Assistants.list(**query)) == (400, INVALID, message)


def test_cursors_exclude_each_other() -> None:
    """One list has one cursor."""
    made = new_assistant().id
    status, code, message = error_of(Assistants.list(after=made, before=made))
    assert (status, code) == (400, INVALID)
    assert "after" in message
    assert "before" in message


@pytest.mark.parametrize("limit", ["-1", "x", "00501", "1.5"])
def test_limit_that_is_no_number_from_1_to_100_is_refused(limit: str, wire: Wire) -> None:
    """The SDK refuses a negative limit itself; on the wire any text can be a limit."""
    with pytest.raises(InvalidParameter):
        Assistants.list(limit=-1)
    answer = wire.call("GET", f"/assistants?limit={limit}")
    assert (answer.status, answer.json["code"]) == (400, INVALID)
    assert answer.json["message"] == "Limit must be between 1 and 100"


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 2},
        {"temperature": -0.1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_tokens": 0},
        {"name": 7},
        {"tools": "none"},
        {"tools": [{"type": "function", "function": {"name": "search"}}]},
        {"tools": [{"type": "function"}]},
        {"metadata": {str(number): "v" for number in range(17)}},
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {"k": "v" * 513}},
    ],
    ids=lambda params: next(iter(params)),
)
def test_bad_parameter_is_refused(params: dict[str, Any]) -> None:
    """A value beyond its documented limits makes no assistant, and changes none."""
    workspace = new_workspace()
    made = new_assistant(workspace=workspace)
    for refused in (
        Assistants.create(model="qwen-plus", workspace=workspace, **params),
        Assistants.update(made.id, workspace=workspace, **params),
    ):
        status, code, message = error_of(refused)
        assert (status, code) == (400, INVALID)
        assert message
    (item,) = Assistants.list(workspace=workspace).data
    assert (item.id, item.name, item.tools, item.metadata) == (made.id, "", [], {})


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"model": None}], ids=str)
def test_assistant_without_a_model_is_refused(body: dict[str, Any], wire: Wire) -> None:
    """The SDK asks for a model before it sends; so does the wire."""
    with pytest.raises(ModelRequired):
        Assistants.create(model="")
    answer = wire.call("POST", "/assistants", body)
    assert (answer.status, answer.json["code"]) == (400, INVALID)


@pytest.mark.parametrize("tail", ["?a=b", "#a", "/"], ids=["query", "fragment", "slash"])
def test_sdk_does_not_quote_an_id(tail: str, wire: Wire) -> None:
    """What the SDK puts into a path is not quoted: part of an id can be lost or lead elsewhere.

    On the wire a quoted id is the whole id, which nobody has.
    """
    made = new_assistant().id
    answer = Assistants.get(made + tail)
    assert (answer.status_code == 200) == (tail != "/")
    if tail == "/":
        assert error_of(answer) == (400, INVALID, "Invalid URL provided in your request.")
    refused = wire.call("GET", f"/assistants/{made}{quote(tail, safe='')}")
    assert (refused.status, refused.json["message"]) == (400, gone("assistant")[2])


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=str)
def test_number_that_json_has_not_is_refused(number: float) -> None:
    """The SDK writes NaN and Infinity, which are no JSON; the server takes no such body."""
    refused = Assistants.create(model="qwen-plus", temperature=number)
    assert error_of(refused)[:2] == (400, INVALID)


def test_assistants_have_no_cancel(wire: Wire) -> None:
    """The SDK's `Assistants.cancel` is a leftover of a base class: there is no such path.

    With the `path` of a run it cancels the run, as any POST there does.
    """
    made = new_assistant().id
    nowhere = (400, INVALID, "Invalid URL provided in your request.")
    assert error_of(Assistants.cancel(made)) == nowhere
    answer = wire.call("POST", f"/assistants/{made}/cancel")
    assert (answer.status, answer.json["code"], answer.json["message"]) == nowhere
    run = begin("/wait 60")
    path = f"threads/{run.thread_id}/runs/{run.id}/cancel"
    assert Assistants.cancel(made, path=path).output["status"] == "cancelled"
    assert Runs.get(run.id, thread_id=run.thread_id).status == "cancelled"
