"""Plain JSON into objects: what the reading of every wire stands on, with tables of no wire."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.decoding import (
    MARK,
    ObjectReader,
    as_object,
    converted,
    each,
    parse,
    read_action_by,
    read_contents,
    read_function,
    read_odd_tool,
    without_nulls,
)
from aiodashassist.core.models import (
    Assistant,
    Content,
    ImageFile,
    Message,
    Page,
    Run,
    Text,
    Thread,
    Usage,
)
from aiodashassist.core.tooling import FunctionDefinition, FunctionTool, UserAuth
from aiodashassist.errors import DecodeError

SAY = {"type": "text", "text": {"value": "hi"}}
READER = ObjectReader(
    aliases={"made": "created_at", "says": "content"},
    foreign={Thread: frozenset({"account_id"})},
    nested={"content": read_contents},
    absent=lambda name, value: name == "model" and value == "none at all",
)
PLAIN = ObjectReader(aliases={}, foreign={}, nested={})
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["", "0", "-1", 0, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)

# --- bytes, lists and objects ---


def test_json_is_parsed_as_plain_objects() -> None:
    """An answer's body becomes dicts, lists and numbers as they are."""
    assert parse('{"a":[1,"西",null]}'.encode()) == {"a": [1, "西", None]}


@pytest.mark.parametrize(
    "body", [b"", b"{", b'"\xff"', b"[" * 100_000], ids=["nothing", "half", "no text", "too deep"]
)
def test_what_is_no_json_is_a_decode_error(body: bytes) -> None:
    """Bytes that are no JSON, no text, or nested without end are told as such."""
    with pytest.raises(DecodeError, match="not JSON"):
        parse(body)


@pytest.mark.parametrize("items", [[], [1, None], (), ({},)])
def test_a_list_has_its_items(items: Any) -> None:
    """A list is taken as it is; so is a tuple, which is one inside of the library."""
    assert each(items) is items


@pytest.mark.parametrize("wrong", [None, "ab", {}, 5, True])
def test_what_is_no_list_is_a_decode_error(wrong: object) -> None:
    """A text is no list of its characters; what came instead is named."""
    with pytest.raises(DecodeError, match=f"expected a list, not {type(wrong).__name__}"):
        each(wrong)


@pytest.mark.parametrize("wrong", [None, "ab", [], 5, True])
def test_what_is_no_object_is_a_decode_error(wrong: object) -> None:
    """What was expected is named where it has a name, and what came instead."""
    kind = type(wrong).__name__
    with pytest.raises(DecodeError, match=f"^expected an object, not {kind}$"):
        as_object(wrong)
    with pytest.raises(DecodeError, match=f"^expected an object for a run, not {kind}$"):
        as_object(wrong, "a run")


def test_an_object_loses_its_nulls_only() -> None:
    """False, zero and what is empty are values; nulls inside of values stay."""
    given: dict[str, Any] = {"a": None, "b": 0, "c": "", "d": False, "e": [None], "f": {"x": None}}

    assert without_nulls(given) == {key: value for key, value in given.items() if key != "a"}
    assert "a" in given
    with pytest.raises(DecodeError, match="expected an object"):
        without_nulls([None])


def test_numbers_are_taken_as_text() -> None:
    """A struct is made of plain data, whichever way its numbers are written."""
    assert converted({"total_tokens": "3", "input_tokens": 1}, Usage) == Usage(
        total_tokens=3, input_tokens=1
    )


@pytest.mark.parametrize("data", [{"total_tokens": "many"}, {"total_tokens": []}, None, [1], "x"])
def test_what_does_not_fit_names_the_struct(data: Any) -> None:
    """A field of an impossible type, or no object at all, is a DecodeError."""
    with pytest.raises(DecodeError, match=r"^Usage: "):
        converted(data, Usage)


# --- parts of objects ---


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        ([], ()),
        ([SAY], (Content(text=Text(value="hi")),)),
        (SAY, (Content(text=Text(value="hi")),)),
        (
            [{"type": "image_file", "image_file": {"file_id": "f"}, "text": None}],
            (Content(type="image_file", image_file=ImageFile(file_id="f")),),
        ),
        ([{"type": "sound", "sound": {}}], (Content(type="sound"),)),
        ([{"type": None, "text": {"value": None}}], (Content(text=Text()),)),
        (
            [{"text": {"value": "a", "annotations": [1], "new": 1}}, SAY],
            (Content(text=Text(value="a", annotations=[1])), Content(text=Text(value="hi"))),
        ),
    ],
)
def test_content_is_a_list_of_parts(wire: Any, content: tuple[Content, ...]) -> None:
    """Parts of a message, in a list or alone, of known types and others (dashscope.md §7.3)."""
    assert read_contents(wire) == content


@pytest.mark.parametrize(
    "wire", [None, "hi", 5, [None], ["hi"], [[SAY]], {"text": "hi"}, {"text": {"value": 5}},
             {"type": 5}, {"type": ["text"]}],
)  # fmt: skip
def test_content_of_another_shape_is_a_decode_error(wire: Any) -> None:
    """A bare text, or a part that is no object, is no content."""
    with pytest.raises(DecodeError):
        read_contents(wire)


FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "default": None}}


@pytest.mark.parametrize(
    ("wire", "tool"),
    [
        (
            {"type": "function", "function": {**FUNCTION, "responses": None}, "strict": None},
            FunctionTool(function=FunctionDefinition(**FUNCTION)),  # type: ignore[arg-type]
        ),
        ({"type": "function"}, {"type": "function"}),
        ({"function": "f"}, {"function": "f"}),
        ({"function": {"name": 5}, "x": None}, {"function": {"name": 5}, "x": None}),
        ({"type": "x", "function": {"name": "f"}}, {"type": "x", "function": {"name": "f"}}),
    ],
)  # fmt: skip
def test_a_declared_function_is_read_or_kept(wire: Any, tool: Any) -> None:
    """Nulls are "not given", but those inside of a schema are its own; another shape stays."""
    assert read_function(wire) == tool


def test_a_tool_of_unknown_shape_is_kept_without_its_token() -> None:
    """It stays the dict it was; a token that can be told is in no repr."""
    auth = {"type": None, "user_token": "T-123"}
    tool = read_odd_tool({"type": "plug", "auth": auth, "more": None})

    assert tool == {"type": "plug", "auth": UserAuth(user_token="T-123"), "more": None}
    assert "T-123" not in repr(tool)
    for plain in ({}, {"type": "plug", "limit": 1}, {"auth": None}, {"auth": "text"}):
        assert read_odd_tool(plain) == plain
    with pytest.raises(DecodeError, match="UserAuth"):
        read_odd_tool({"auth": {"odd": 1}})


@pytest.mark.parametrize(
    ("wire", "calls"),
    [
        ({"submit_tool_outputs": {"tool_calls": [1, 2]}}, (1, 2)),
        ({"submit_tool_outputs": {"tool_calls": None}}, ()),
        ({"submit_tool_outputs": None}, ()),
        ({"submit_tool_outputs": []}, ()),
        ({}, ()),
    ],
)
def test_what_a_run_waits_for_has_its_calls(wire: Any, calls: tuple[int, ...]) -> None:
    """The calls are read as the wire has them, and all else is kept; nulls are "not there"."""
    read = read_action_by(tuple)

    assert read({**wire, "type": "t", "x": None}) == {
        "type": "t", "submit_tool_outputs": {"tool_calls": calls},
    }  # fmt: skip


@pytest.mark.parametrize(
    "wire", [None, [], {"submit_tool_outputs": [1]}, {"submit_tool_outputs": {"tool_calls": 5}}]
)
def test_a_broken_action_is_a_decode_error(wire: Any) -> None:
    """An action is an object, what is to be submitted is one, and its calls are a list."""
    with pytest.raises(DecodeError):
        read_action_by(each)(wire)


# --- whole objects ---


@pytest.mark.parametrize("none", [None, "", {}, []])
@pytest.mark.parametrize(
    ("kind", "field", "default"),
    [
        (Assistant, "model", None),
        (Assistant, "metadata", {}),
        (Assistant, "tools", ()),
        (Message, "content", ()),
        (Run, "status", ""),
        (Run, "usage", None),
    ],
)
def test_every_spelling_of_nothing_is_the_default(
    kind: Any, field: str, default: Any, none: Any
) -> None:
    """Null and what is empty are "not there": a collection is empty, all else is None."""
    assert getattr(READER.model(kind, {"id": "x", field: none}), field) == default


@pytest.mark.parametrize("none", [0, -1, "0", "-1"])
def test_a_time_that_is_none(none: Any) -> None:
    """0 and -1 are no times, under whatever name (dashscope.md §7.6, appbuilder.md §3.0)."""
    run = READER.model(Run, {"id": "x", "made": none, "failed_at": none, "top_k": none})

    assert (run.created_at, run.failed_at) == (None, None)
    assert run.top_k == int(none)


def test_a_wire_has_words_of_its_own_for_nothing() -> None:
    """What they say for one field is a value for another, and on another wire."""
    data = {"id": "x", "model": "none at all", "name": "none at all"}
    ours, theirs = READER.model(Assistant, data), PLAIN.model(Assistant, data)

    assert (ours.model, ours.name) == (None, "none at all")
    assert theirs.model == "none at all"


def test_the_wires_names_become_ours() -> None:
    """A name of the wire's own is read as ours; nested fields are read as the wire has them."""
    message = READER.model(Message, {"id": "m", "made": "7", "says": SAY})

    assert (message.created_at, message.text, message.extra) == (7, "hi", {})
    assert PLAIN.model(Message, {"id": "m", "made": 7}).extra == {"made": 7}


def test_what_is_unknown_or_foreign_is_kept_apart() -> None:
    """By the wire's names and as it came, `extra` itself too; a null is kept as well."""
    data = {"id": "t", "new": None, "extra": 1, "account_id": ["any", "shape"]}
    thread = READER.model(Thread, data)

    assert thread == Thread(id="t", extra={"new": None, "extra": 1, "account_id": ["any", "shape"]})
    with pytest.raises(DecodeError, match="Thread"):
        PLAIN.model(Thread, data)


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_no_object_is_told_by_the_name_of_its_class(data: object) -> None:
    """Where an object is asked for, a list, a text or nothing is none."""
    with pytest.raises(DecodeError, match="expected an object for Thread"):
        READER.model(Thread, data)


@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": 5}, {"id": "x", "created_at": "soon"}])
def test_an_object_without_an_id_or_with_a_broken_field_is_a_decode_error(data: object) -> None:
    """An id is what every object has."""
    with pytest.raises(DecodeError, match=r"^Thread: "):
        READER.model(Thread, data)


def test_a_page_has_its_items() -> None:
    """Items in order, cursors, and what else there is."""
    body = {"data": [{"id": "a"}, {"id": "b"}], "first_id": "a", "has_more": True, "sum": 5}

    assert READER.page(Thread, body) == Page(
        data=(Thread(id="a"), Thread(id="b")), first_id="a", has_more=True, extra={"sum": 5}
    )


@pytest.mark.parametrize("data", [None, [], "", {}])
def test_a_page_may_be_empty(data: Any) -> None:
    """Nothing, in any spelling, is no items."""
    assert READER.page(Thread, {"data": data, "last_id": ""}) == Page()


@pytest.mark.parametrize(
    "body", [None, 5, "data", [], {}, {"items": []}, {"data": 5}, {"data": {"id": "a"}},
             {"data": [None]}, {"data": [{}]}, {"data": [], "has_more": "maybe"}],
)  # fmt: skip
def test_a_broken_page_is_a_decode_error(body: Any) -> None:
    """A list that is no envelope, whose data is no list, or one of whose items is none."""
    with pytest.raises(DecodeError):
        READER.page(Thread, body)


@given(st.dictionaries(st.sampled_from(sorted(Run.__struct_fields__)) | st.text(), JSON))
def test_any_json_is_an_object_or_a_decode_error(data: dict[str, Any]) -> None:
    """Whatever stands in whichever field, no other exception comes of it."""
    try:
        run = READER.model(Run, {"id": "r", **data})
    except DecodeError:
        return
    assert isinstance(run, Run)
    assert run.extra.keys() <= data.keys()


@given(JSON)
def test_any_json_is_read_or_a_decode_error(value: Any) -> None:
    """The parts, too, have one kind of error only."""
    readers: list[Any] = [read_contents, read_function if isinstance(value, dict) else each]
    readers.append(lambda data: READER.page(Message, data))
    for read in readers:
        with contextlib.suppress(DecodeError):
            read(value)


@pytest.mark.parametrize(
    ("wire", "metadata"),
    [
        ({MARK: "1", "k": "v"}, {"k": "v"}),
        ({MARK: "1"}, {}),
        ({"k": "v", "op": "1"}, {"k": "v", "op": "1"}),
    ],
)
@pytest.mark.parametrize("kind", [Assistant, Message, Run, Thread])
def test_the_mark_of_a_request_is_in_no_object(
    kind: Any, wire: dict[str, str], metadata: dict[str, str]
) -> None:
    """Metadata are as the user gave them, whoever made the object."""
    found = PLAIN.model(kind, {"id": "x", "metadata": wire})

    assert found.metadata == metadata
    assert found.extra == {}
