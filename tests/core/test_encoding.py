"""Operations into requests: what is given, whether it has a place, and how it is written."""

import json
from collections import UserDict
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core import operations as ops
from aiodashassist.core.encoding import Asked, ask, form_fields, json_body, query_of
from aiodashassist.core.operations import Operation
from aiodashassist.core.params import Extras
from aiodashassist.errors import InvalidArgument, UnsupportedParameter

RETRIEVE = ops.RetrieveThread(thread_id="t")


def asked(
    operation: Operation[Any],
    *accepts: str,
    ids: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Asked:
    """What an operation asks of a service called Babel."""
    return ask(operation, provider="Babel", ids=ids, accepts=accepts, needs=needs)


# --- taking operations apart ---


def test_ids_stand_apart_unchecked() -> None:
    """Each wire has a place of its own for them, and checks them there."""
    wrong: Any = None
    run = ops.UpdateRun(thread_id="t", run_id=wrong, params={"metadata": {}})

    assert asked(run, "metadata", ids=("thread_id", "run_id")) == Asked(
        ids={"thread_id": "t", "run_id": None},
        given={"metadata": {}},
        extra_body={},
        extra_headers={},
        extra_query={},
    )


def test_an_id_that_is_not_asked_for_apart_is_a_parameter() -> None:
    """A wire whose ids are in the body has them among the rest."""
    assert asked(RETRIEVE, "thread_id").given == {"thread_id": "t"}


def test_what_is_none_is_not_given() -> None:
    """An empty text, list or object, zero and False are; a stream is asked for or not."""
    params: Any = {
        "assistant_id": "a", "model": None, "instructions": "", "top_k": 0, "metadata": {},
        "override_tools": [],
    }  # fmt: skip
    run = ops.CreateRun(thread_id="t", params=params)
    wire = {key: value for key, value in params.items() if value is not None}

    assert asked(run, *wire, "thread_id", "stream").given == {
        **wire, "thread_id": "t", "stream": False,
    }  # fmt: skip


def test_a_page_s_and_a_call_s_own_extras_are_found() -> None:
    """Wherever the operation keeps them: with the parameters, the page, or by themselves."""
    extras: Any = {
        "extra_body": {"b": 1},
        "extra_headers": {"X-H": "h"},
        "extra_query": {"q": None},
    }
    page: Any = {"page_size": 5, **extras}
    params: Any = {"model": "m", **extras}
    own: tuple[Any, Any, Any] = ({"b": 1}, {"X-H": "h"}, {"q": None})
    operations: list[Operation[Any]] = [
        ops.ListAssistants(page=page),
        ops.CreateAssistant(params=params),
        ops.RetrieveThread(thread_id="t", extras=extras),
    ]
    for operation in operations:
        taken = asked(operation, "page_size", "model", "thread_id")
        assert (taken.extra_body, taken.extra_headers, taken.extra_query) == own
        assert taken.given.keys() <= {"page_size", "model", "thread_id"}


def test_extras_may_be_none() -> None:
    """None is "not given" here, too."""
    none: Extras = {"extra_body": None, "extra_headers": None, "extra_query": None}
    taken = asked(ops.RetrieveThread(thread_id="t", extras=none), ids=("thread_id",))

    assert taken == Asked(
        ids={"thread_id": "t"}, given={}, extra_body={}, extra_headers={}, extra_query={}
    )


@pytest.mark.parametrize("mapping", [MappingProxyType({"X": "y"}), UserDict({"X": "y"})])
def test_extras_may_be_any_mapping(mapping: Any) -> None:
    """What has names and values is enough."""
    extras: Any = {"extra_headers": mapping}

    assert dict(asked(ops.ListFiles(page=extras)).extra_headers) == {"X": "y"}


@pytest.mark.parametrize(
    ("extras", "says"),
    [
        ({"extra_body": [1]}, "extra_body must be a mapping, not list"),
        ({"extra_body": ""}, "extra_body must be a mapping, not str"),
        ({"extra_headers": "X: 1"}, "extra_headers must be a mapping, not str"),
        ({"extra_query": 5}, "extra_query must be a mapping, not int"),
        ({"extra_headers": {"X": 5}}, "the header 'X' must be one line of text"),
        ({"extra_headers": {"X": "a\r\nY: b"}}, "the header 'X' must be one line of text"),
    ],
)
def test_extras_that_cannot_be_sent_are_refused(extras: Any, says: str) -> None:
    """What is no mapping, or no header, is told before a byte is sent."""
    with pytest.raises(InvalidArgument, match=says):
        asked(ops.RetrieveThread(thread_id="t", extras=extras), ids=("thread_id",))


def test_what_a_call_cannot_do_without_is_named() -> None:
    """The first of what is missing, with the call; None is missing, what is empty is not."""
    needs = ("model", "name")
    whole = ops.CreateAssistant(params={"model": "", "name": "n"})
    assert asked(whole, *needs, needs=needs).given == {"model": "", "name": "n"}

    for params, missing in (({"name": "n", "model": None}, "model"), ({"model": "m"}, "name")):
        operation = ops.CreateAssistant(params=params)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match=f"CreateAssistant needs {missing}"):
            asked(operation, *needs, needs=needs)


def test_a_parameter_without_a_place_is_unsupported() -> None:
    """Who has no place for it is said, and for what; one that is not given needs no place."""
    operation = ops.CreateAssistant(params={"model": "m", "top_k": 5})
    with pytest.raises(UnsupportedParameter, match="Babel has no place for 'top_k' in CreateAss"):
        asked(operation, "model")
    assert asked(ops.CreateAssistant(params={"model": "m", "top_k": None}), "model").given == {
        "model": "m"
    }


# --- queries ---


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (1, "1"), (0, "0"), (-1.5, "-1.5"), ("", ""),
     ("True", "True"), ("名 &=", "名 &="), ("😀", "😀")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x", "名"])
def test_a_query_has_plain_values(name: str, value: object, text: str) -> None:
    """Truths are written as JSON has them, numbers and texts as they are, under any name."""
    assert query_of({name: value, "none": None}) == {name: text}


@pytest.mark.parametrize("value", [["hush"], ("hush",), {"hush": 1}, b"hush", object()])
def test_a_query_has_no_other_values(value: object) -> None:
    """What a URL has no one way to write is refused by name and class; the value is not shown."""
    kind = type(value).__name__
    with pytest.raises(InvalidArgument, match=f"plain values, not {kind} \\('x'\\)") as caught:
        query_of({"good": 1, "x": value})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", [5, None, b"x", ("x",)])
def test_a_query_has_texts_for_names(name: Any) -> None:
    """A name that is no text is shown."""
    with pytest.raises(InvalidArgument, match="the query has names and plain values") as caught:
        query_of({name: "v"})
    assert repr(name) in str(caught.value)


def test_a_long_value_is_not_shown_whole() -> None:
    """The error of a value that cannot be sent is a line, not a page."""
    with pytest.raises(InvalidArgument) as caught:
        query_of({"x": ["a"] * 1000})
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "query", [{"x": "\ud800"}, {"x": "a\udfffb"}, {"\ud800": "x"}, {"\udc00": ""}]
)
def test_half_a_pair_is_in_no_query(query: dict[str, str]) -> None:
    """Neither a value nor a name can be sent with it, and the error itself can be printed."""
    with pytest.raises(InvalidArgument, match="cannot be written in a URL") as caught:
        query_of(query)
    assert str(caught.value).isascii()


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans() | st.none()))
def test_any_query_can_be_quoted_or_is_refused(given_query: dict[str, Any]) -> None:
    """What is accepted is read back from a URL as it was."""
    try:
        query = query_of(given_query)
    except InvalidArgument:
        return
    assert query.keys() == {key for key, value in given_query.items() if value is not None}
    read = parse_qs(urlencode(query), keep_blank_values=True, strict_parsing=bool(query))
    assert read == {key: [value] for key, value in query.items()}


# --- bodies ---


class Marked(str):
    """A text of a class of its own."""

    __slots__ = ()


def test_a_body_is_plain_utf8() -> None:
    """Nothing is escaped that need not be; texts of a class of their own are texts."""
    assert json_body({"a": "天气", "b": Marked("m"), "c": None}, "CreateRun") == (
        '{"a":"天气","b":"m","c":null}'.encode()
    )


ENDLESS: dict[str, Any] = {}
ENDLESS["self"] = ENDLESS


@pytest.mark.parametrize("value", [object(), "\ud800", ENDLESS, {1: object()}])
def test_a_body_that_json_cannot_say_is_refused(value: Any) -> None:
    """An object, half a surrogate pair, what has no end: told by the name of the call."""
    with pytest.raises(InvalidArgument, match="UpdateRun cannot be written as JSON"):
        json_body({"a": value}, "UpdateRun")


# --- forms ---


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\r\n--b", "a\r\n--b"),
        ("", ""),
        (Marked("m"), "m"),
        (5, "5"),
        (0.5, "0.5"),
        (True, "true"),
        ({"a": [1, "名"]}, '{"a":[1,"名"]}'),
        ([], "[]"),
    ],
)
def test_a_value_that_is_no_text_is_written_as_json(value: Any, text: str) -> None:
    """Python's own spelling of a value is on no wire; None is not sent."""
    assert form_fields({"none": None, "x": value}) == (("x", text),)


def test_fields_keep_their_order() -> None:
    """A form is written in the order in which its fields were given."""
    assert form_fields({"b": 1, "a": 2, "名": ""}) == (("b", "1"), ("a", "2"), ("名", ""))


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\r\nb", "a\0", "\x7f", "\ud800", 5, b"a"])
def test_a_field_whose_name_cannot_be_written_is_refused(name: Any) -> None:
    """A name that would end its header, or has no bytes, is told before a byte is sent."""
    with pytest.raises(InvalidArgument, match="no field of a form is named"):
        form_fields({name: "x"})


@pytest.mark.parametrize("value", ["\ud800", object(), {"a": object()}, ["\udfff"], ENDLESS])
def test_a_value_that_cannot_be_written_is_refused(value: Any) -> None:
    """Half a surrogate pair, and what JSON has no form for, are named by their field."""
    with pytest.raises(InvalidArgument, match="purpose cannot be written"):
        form_fields({"good": "x", "purpose": value})


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_value_is_written_or_refused(value: Any) -> None:
    """No other exception comes of a value, in a form or in a body; JSON reads back."""
    for write in (lambda: form_fields({"x": value}), lambda: json_body({"x": value}, "Op")):
        try:
            written = write()
        except InvalidArgument:
            continue
        if isinstance(written, bytes):
            assert json.loads(written) == {"x": value}
        elif not isinstance(value, str) and value is not None:
            assert json.loads(written[0][1]) == value
