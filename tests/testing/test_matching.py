"""aiodashassist/testing/matching.py."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.decoding import MARK
from aiodashassist.testing.cassette import Asked, Body, FormFile, FormSent
from aiodashassist.testing.matching import difference

TEXTS = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
BLOT = "*" * 12


def asked(body: Any = None, **given: Any) -> Asked:
    """A request with this body, as JSON or as these bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = None if body is None else Body.of(data)
    return Asked(operation="X", method="POST", path="/x", body=sent, **given)


def form(*fields: tuple[str, str], files: tuple[FormFile, ...] = ()) -> Asked:
    """A request with this form."""
    return asked(form=FormSent(fields=fields, files=files))


@given(body=JSON)
def test_the_same_is_the_same(body: Any) -> None:
    """A request differs from itself in nothing, in whatever order its fields are."""
    turned = dict(reversed(body.items())) if isinstance(body, dict) else body
    assert difference(asked(body), asked(turned)) is None


@given(before=JSON, now=JSON)
def test_another_body_differs(before: Any, now: Any) -> None:
    """Bodies that say something else differ, and it is told where."""
    found = difference(asked({"x": before}), asked({"x": now}))

    assert (found is None) == (before == now)
    assert found is None or found.startswith("body.x")


@pytest.mark.parametrize(
    ("before", "now", "where"),
    [
        ({"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {"c": "y"}}, "body.b.c"),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "body.a[1].b"),
        ({"a": [1]}, {"a": [1, 2]}, "body.a"),
        ({"a": 1}, {}, "body.a"),
        ({}, {"a": None}, "body.a"),
        ({"a": "1"}, {"a": 1}, "body.a"),
        ({}, None, "body"),
        (None, b"x", "body"),
        (b"x", b"y", "body"),
        (b"[" * 100_000, b"[" * 99_999, "body"),
        ({"a": 1, "b": 1}, {"b": 2, "a": 2}, "body.a"),
    ],
)
def test_the_first_field_that_differs_is_named(before: Any, now: Any, where: str) -> None:
    """The difference is told by the names of fields and the numbers of items."""
    assert difference(asked(before), asked(now)) == where


def test_a_query_and_a_form_count() -> None:
    """A query or a form is told by its names, a file by its field, its name and its size."""
    file = FormFile(field="file", filename="a", size=1)
    other = FormFile(field="file", filename="a", size=2)

    assert difference(asked(query={"limit": "1"}), asked(query={"limit": "2"})) == "query.limit"
    assert difference(form(("a", "1"), ("b", "1")), form(("a", "1"), ("b", "2"))) == "form.b[0]"
    assert difference(form(files=(file,)), form(files=(other,))) == "form.file[0].size"
    assert difference(form(), asked()) == "form"
    assert difference(form(("a", "1"), files=(file,)), form(("a", "1"), files=(file,))) is None


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000])
def test_what_is_no_json_is_compared_by_its_bytes(body: bytes) -> None:
    """Whatever a body is, the same one is the same; nesting without end is no JSON."""
    assert difference(asked(body), asked(body)) is None


def test_what_is_nested_too_deep_to_compare_differs() -> None:
    """A body that can be read, and is too deep to be walked through, is told and raises nothing."""
    deep, other = (b"[" * 700 + end + b"]" * 700 for end in (b"1", b"2"))

    assert difference(asked(deep), asked(other)) == "body"


@pytest.mark.parametrize("metadata", [{MARK: "op_2"}, {}, None])
def test_ids_of_operations_do_not_count(metadata: Any) -> None:
    """An operation has another id each time, or none; metadata of nothing else are none."""
    now = {"x": 1} if metadata is None else {"x": 1, "metadata": metadata}

    assert difference(asked({"x": 1, "metadata": {MARK: "op_1"}}), asked(now)) is None
    assert difference(asked({"metadata": {MARK: "a", "k": "1"}}), asked({"metadata": {}})) == (
        "body.metadata"
    )


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (f"my key is {BLOT}.", "my key is sk-0123456789-longer-than-it.", True),
        (BLOT, "whatever\nit is", True),
        (f"{BLOT} and {BLOT}!", "one-secret and another!", True),
        (f"{BLOT} and {BLOT} or {BLOT}", "one and two or three", True),
        (f"{BLOT} and {BLOT} or {BLOT}", "one or two and three", False),
        (f"my key is {BLOT}.", "your key is sk-0123456789.", False),
        (f"my key is {BLOT}.", "my key is sk-0123456789", False),
        ("***", "*", True),
        ("***", "abc", False),
        ("a *b* c", "a *b* d", False),
        ("what.ever", "whatsever", False),
    ],
)
def test_a_blot_may_be_anything(before: str, now: str, same: bool) -> None:
    """Where a secret was, there may be another one; short ones are blotted out in both."""
    assert (difference(asked({"x": before}), asked({"x": now})) is None) == same


def test_many_blots_are_no_trouble() -> None:
    """A text that is all blots is compared in no time that grows with what might fit."""
    before = f"{BLOT}a" * 2000 + "b"
    assert difference(asked({"x": before}), asked({"x": "a" * 4000 + "c"})) == "body.x"
