"""Checks of values before they are sent; each names the field and its limit."""

from collections.abc import Mapping
from typing import Any

from aiodashassist.errors import InvalidArgument

__all__ = ("between", "headers", "identifier", "metadata", "one_of", "whole")

# Both APIs document the same three (dashscope.md §3, appbuilder.md §3.1).
METADATA_PAIRS = 16
METADATA_KEY = 64
METADATA_VALUE = 512
BREAKS = frozenset("\r\n\0")


def identifier(name: str, value: object) -> None:
    """An id.

    Raises:
        InvalidArgument: it is empty or no string.
    """
    if not isinstance(value, str) or not value:
        raise InvalidArgument(f"{name} must be a non-empty string, not {value!r:.40}")


def metadata(value: Mapping[str, Any]) -> None:
    """Metadata within the documented limits.

    Raises:
        InvalidArgument: more than 16 pairs, a key over 64 or a value over 512 characters.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument("metadata must be a mapping")
    if len(value) > METADATA_PAIRS:
        raise InvalidArgument(f"metadata has {len(value)} pairs; at most {METADATA_PAIRS}")
    for key, item in value.items():
        if not isinstance(key, str) or len(key) > METADATA_KEY:
            raise InvalidArgument(f"metadata keys are strings of at most {METADATA_KEY} characters")
        if isinstance(item, float):
            between(f"metadata[{key!r}]", item, "(-inf, inf)")  # else it would be sent as null
        if isinstance(item, str) and len(item) > METADATA_VALUE:
            raise InvalidArgument(
                f"metadata[{key!r}] has {len(item)} characters; at most {METADATA_VALUE}"
            )


def between(name: str, value: float, interval: str) -> None:
    """A number within an interval, written as in mathematics: `[0, 2)`, `[1, inf)`.

    Raises:
        InvalidArgument: the value is no number or outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(f"{name} must be a number, not {type(value).__name__}")
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    if not (above and below):
        raise InvalidArgument(f"{name} must be in {interval}, not {value}")


def whole(name: str, value: float, interval: str) -> None:
    """A whole number within an interval.

    Raises:
        InvalidArgument: the value is no whole number or outside.
    """
    between(name, value, interval)
    if not isinstance(value, int):
        raise InvalidArgument(f"{name} must be a whole number, not {value}")


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """One of a few words.

    Raises:
        InvalidArgument: another one.
    """
    if value not in allowed:
        raise InvalidArgument(f"{name} must be one of {', '.join(allowed)}")


def headers(value: object) -> None:
    """Headers that can be sent.

    Raises:
        InvalidArgument: a name or a value that is no text, or has a line break in it.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"headers must be a mapping, not {type(value).__name__}")
    for name, item in value.items():
        for text in (name, item):
            if not isinstance(text, str) or not BREAKS.isdisjoint(text):
                raise InvalidArgument(f"the header {name!r:.60} must be one line of text")
