"""Values of classes of their own that are texts or numbers all the same."""

from decimal import Decimal

import pytest

from aiodashassist.core.plain import cause, plain


class Text(str):
    """A text with a voice of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Count(int):
    """A number of something."""


class Share(float):
    """A part of something."""


@pytest.mark.parametrize(
    ("value", "expected"), [(Text("a"), "a"), (Count(3), 3), (Share(0.5), 0.5)]
)
def test_a_subclass_is_its_plain_value(value: object, expected: object) -> None:
    """Texts and numbers keep their value, and lose their class."""
    found = plain(value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [object(), Decimal(1), b"x", [1]])
def test_anything_else_is_refused(value: object) -> None:
    """What JSON does not know is told by its class."""
    with pytest.raises(TypeError, match=type(value).__name__):
        plain(value)


def test_what_holds_a_whole_text_is_no_cause() -> None:
    """An error of an encoding has the text in it, which may be a secret; others have not."""
    error = ValueError("x")

    assert cause(error) is error
    for text, encoding in (("\ud800", "utf-8"), ("名", "ascii")):
        with pytest.raises(UnicodeEncodeError) as caught:
            text.encode(encoding)
        assert cause(caught.value) is None
    with pytest.raises(UnicodeDecodeError) as decoding:
        b"\xff".decode()
    assert cause(decoding.value) is None
