"""Assistants: every call of the SDK."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    FUNCTION,
    GONE,
    INVALID,
    SDK,
    WEATHER,
    ids_of,
    new_assistant,
    refused,
    upload,
)
from pydantic import ValidationError
from wire import UUID, Wire

# As the SDK sends them where nothing is given.
USUAL = {
    "description": "",
    "instructions": "你是百度制作的AI助手",
    "thought_instructions": "",
    "chat_instructions": "",
    "response_format": "text",
    "tools": [],
    "file_ids": [],
}
GIVEN = {
    "name": "天气_助手-1",
    "description": "说明: it tells the weather",
    "instructions": "Be brief. 简短。",
    "thought_instructions": "Think.",
    "chat_instructions": "Talk.",
    "response_format": "json_object",
    "metadata": {"键": "值", "b": ""},
}


def fields_of(assistant: Any, names: Any) -> dict[str, Any]:
    """Some fields of an assistant, as plain values."""
    return {name: assistant.model_dump()[name] for name in names}


def test_assistant_needs_name_and_description() -> None:
    """The rest has the SDK's own values; metadata that was never set is null."""
    made = SDK.assistants.create("Abc-_123", "")
    assert isinstance(made, SDK.type.AssistantCreateResponse)
    assert (made.object, made.name, made.metadata) == ("assistant", "Abc-_123", None)
    assert fields_of(made, USUAL) == USUAL
    assert re.fullmatch(f"asst_{UUID}", made.id)
    assert len(str(made.created_at)) == 13


def test_every_parameter_is_kept(tmp_path: Any) -> None:
    """What was given is answered, read back and listed, in Chinese as well."""
    file = upload(tmp_path).id
    made = SDK.assistants.create(model="ERNIE-4.0-8K", tools=[WEATHER], file_ids=[file], **GIVEN)
    assert fields_of(made, GIVEN) == GIVEN
    assert made.file_ids == [file]
    assert [tool.function.name for tool in made.tools] == ["get_weather"]
    read = SDK.assistants.query(made.id)
    assert isinstance(read, SDK.type.AssistantQueryResponse)
    assert read.model_dump() == made.model_dump()
    assert SDK.assistants.list(limit=1).data[0].model_dump() == made.model_dump()


def test_declared_function_comes_back_as_it_was() -> None:
    """Parameters, responses and examples of a function are the assistant's own business."""
    call = {"name": "get_weather", "arguments": '{"city":"北京"}'}
    function = {
        **FUNCTION,
        "responses": {"type": "object", "properties": {"text": {"type": "string"}}, "required": []},
        "examples": [[{"role": "user", "content": "北京的天气?", "function_call": call}]],
    }
    made = new_assistant(tools=[{"type": "function", "function": function}])
    (tool,) = SDK.assistants.query(made.id).tools
    assert tool.type == "function"
    assert tool.function.model_dump() == function


def test_ten_tools_can_be_declared() -> None:
    """The documented number of tools is taken, in their order."""
    tools = [{**WEATHER, "function": {**FUNCTION, "name": f"f{number}"}} for number in range(10)]
    made = new_assistant(tools=tools)
    assert [tool.function.name for tool in made.tools] == [f"f{number}" for number in range(10)]


def test_update_replaces_what_is_not_given(tmp_path: Any) -> None:
    """An update without a field empties it, as the service does; only metadata is kept."""
    file = upload(tmp_path).id
    made = new_assistant(tools=[WEATHER], file_ids=[file], **{**GIVEN, "name": "old"})
    changed = SDK.assistants.update(made.id, "ERNIE-4.0-8K", "new", "d")
    assert isinstance(changed, SDK.type.AssistantUpdateResponse)
    assert (changed.id, changed.model) == (made.id, "ERNIE-4.0-8K")
    assert (changed.name, changed.created_at) == ("new", made.created_at)
    assert fields_of(changed, USUAL) == {**USUAL, "description": "d", "instructions": ""}
    assert changed.metadata == GIVEN["metadata"]
    read = SDK.assistants.query(made.id)
    names = (*USUAL, "metadata", "created_at", "name")
    assert fields_of(read, names) == fields_of(changed, names)


def test_update_takes_every_parameter(tmp_path: Any) -> None:
    """What an update gives is what the assistant then has."""
    made = new_assistant(metadata={"old": "1"})
    file = upload(tmp_path).id
    changed = SDK.assistants.update(
        assistant_id=made.id, model="m", tools=[WEATHER], file_ids=[file], **GIVEN
    )
    assert changed.model == "m"
    for assistant in (changed, SDK.assistants.query(made.id)):
        assert fields_of(assistant, GIVEN) == GIVEN
        assert (assistant.file_ids, len(assistant.tools)) == ([file], 1)


def test_wire_keeps_name_and_model_that_are_not_given(wire: Wire) -> None:
    """The SDK always sends both; without them an update leaves them as they are."""
    made = new_assistant(name="kept", model="kept-model")
    answer = wire.post("/v2/assistants/update", {"assistant_id": made.id, "description": "d"}).json
    assert (answer["name"], answer["model"], answer["description"]) == ("kept", "kept-model", "d")


def test_list_is_of_the_newest_twenty() -> None:
    """Without parameters the newest come first, twenty of them."""
    made = [new_assistant().id for _ in range(21)]
    page = SDK.assistants.list()
    assert isinstance(page, SDK.type.AssistantListResponse)
    assert ids_of(page) == made[:0:-1]
    assert (page.first_id, page.last_id, page.has_more) == (made[-1], made[1], True)


def test_assistants_are_listed_page_by_page() -> None:
    """Cursors go on in the order of the list."""
    one, two, three = (new_assistant().id for _ in range(3))
    list_page = SDK.assistants.list
    assert ids_of(list_page(limit=2, order="desc", after="", before="")) == [three, two]
    assert ids_of(list_page(limit=1, after=two)) == [one]
    assert ids_of(list_page(before=one)) == [three, two]
    back = list_page(limit=1, before=one)
    assert (ids_of(back), back.has_more) == ([two], True)
    rest = list_page(order="asc", after=one)
    assert (ids_of(rest), rest.has_more) == ([two, three], False)
    assert (rest.first_id, rest.last_id) == (two, three)
    assert list_page(order="asc", limit=1).data[0].created_at <= rest.data[0].created_at
    assert ids_of(list_page(limit=2147483647))[:3] == [three, two, one]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, INVALID),
        ({"limit": -1}, INVALID),
        ({"after": "asst_none"}, GONE),
        ({"before": "asst_none"}, GONE),
    ],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit of at least one, and cursors that exist."""
    assert refused(SDK.assistants.list, **query)[0] == code


def test_deleted_assistant_is_gone() -> None:
    """Deleting is answered as it was observed, and then no call knows the assistant."""
    made, kept = new_assistant().id, new_assistant().id
    deleted = SDK.assistants.delete(made)
    assert isinstance(deleted, SDK.type.AssistantDeleteResponse)
    assert (deleted.id, deleted.object, deleted.deleted) == (made, "assistant.deleted", True)
    assert refused(SDK.assistants.query, made)[0] == GONE
    assert refused(SDK.assistants.delete, made)[0] == GONE
    assert ids_of(SDK.assistants.list(limit=1)) == [kept]


def test_sdk_counts_its_own_errors() -> None:
    """Of seven bad values the SDK tells all, and sends nothing."""
    newest = new_assistant().id
    with pytest.raises(ValidationError) as caught:
        SDK.assistants.create(
            model="m",
            name="Abc-_123@",
            description="test" * 512,
            response_format="other",
            instructions="test" * 4096,
            thought_instructions="test" * 4096,
            chat_instructions="test" * 4096,
            file_ids=["test"] * 11,
        )
    assert caught.value.error_count() == 7
    assert ids_of(SDK.assistants.list(limit=1)) == [newest]


@pytest.mark.parametrize(
    "metadata", [{"k" * 65: "v"}, {"k": "v" * 513}, {"k": 7}, {"key" * 64: "value" * 512}], ids=repr
)
def test_metadata_is_checked_by_the_server(metadata: dict[str, Any]) -> None:
    """The SDK counts the pairs; keys and values are left to the server, whose error names them."""
    for call in (new_assistant, lambda **given: SDK.assistants.update("a", "m", "n", "", **given)):
        code, message = refused(call, metadata=metadata)
        assert (code, "metadata" in message) == (INVALID, True)


def test_longest_metadata_is_taken() -> None:
    """Sixteen pairs, keys of 64 and values of 512 characters, Chinese ones as well."""
    metadata = {f"{number:02}" + "键" * 62: "值" * 512 for number in range(16)}
    assert new_assistant(metadata=metadata).metadata == metadata


@pytest.mark.parametrize(
    ("field", "longest", "too_much"),
    [
        ("name", "名" * 128, "名" * 129),
        ("name", "a-Z_0", "a b"),
        ("name", "a", "a@"),
        ("description", "说" * 512, "说" * 513),
        ("instructions", "说" * 4096, "说" * 4097),
        ("thought_instructions", "说" * 4096, "说" * 4097),
        ("chat_instructions", "说" * 4096, "说" * 4097),
        ("response_format", "json_object", "json"),
        ("tools", [WEATHER] * 10, [WEATHER] * 11),
        ("tools", [], [{"type": "code_interpreter"}]),
        ("file_ids", ["f"] * 10, ["f"] * 11),
        ("metadata", {str(i): "" for i in range(16)}, {str(i): "" for i in range(17)}),
        ("name", "a", 7),
        ("file_ids", ["f"], [7]),
    ],
)
def test_limits_are_the_documented_ones(
    field: str, longest: Any, too_much: Any, wire: Wire
) -> None:
    """The SDK checks them, too; the wire takes what is just within, and refuses what is beyond."""
    body = {"model": "m", "name": "test"}
    made = wire.post("/v2/assistants", {**body, field: longest}).json
    assert "error" not in made
    for path, ids in (("", {}), ("/update", {"assistant_id": made["id"]})):
        answer = wire.post(f"/v2/assistants{path}", {**body, **ids, field: too_much})
        assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
        assert field in answer.json["error"]["message"]


@pytest.mark.parametrize("call", ["query", "delete"])
def test_empty_id_is_no_id(call: str) -> None:
    """The SDK sends an empty id as it is; the server says that it is missing."""
    ask: Callable[..., Any] = getattr(SDK.assistants, call)
    code, message = refused(ask, "")
    assert (code, "assistant_id" in message) == (INVALID, True)
