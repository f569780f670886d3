"""Values that JSON knows, of classes that the encoder does not: subclasses of plain types."""

from typing import Any

__all__ = ("cause", "plain")


def plain(value: Any) -> Any:
    """The plain value of a text or number of a class of its own, such as a marked-up text.

    Raises:
        TypeError: it is none of these.
    """
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value) if kind is not str else str.__str__(value)
    raise TypeError(f"objects of type {type(value).__name__} cannot be written as JSON")


def cause(error: Exception) -> Exception | None:
    """What an error of ours may be raised from: not what holds a whole text, as these errors do."""
    return None if isinstance(error, UnicodeError) else error
