"""Checks of values before they are sent; each names the field and its limit."""

import re
from collections.abc import Mapping
from typing import Any

from aiodashassist.errors import InvalidArgument

__all__ = ("between", "headers", "identifier", "metadata", "one_of", "whole")

# Both APIs document the same three (dashscope.md §3, appbuilder.md §3.1).
METADATA_PAIRS = 16
METADATA_KEY = 64
METADATA_VALUE = 512
DEEPEST = 100  # levels inside a value
UNSENDABLE = re.compile("[\r\n\0\ud800-\udfff]")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's name (RFC 9110, 5.6.2)
FRAMING = ("content-length", "transfer-encoding")  # only the connection knows


def identifier(name: str, value: object) -> None:
    """An id.

    Raises:
        InvalidArgument: it is empty or no string.
    """
    if not isinstance(value, str) or not value:
        kind = "" if isinstance(value, str) else f", not {type(value).__name__}"
        raise InvalidArgument(f"{name} must be a non-empty string{kind}")


def metadata(value: Mapping[str, Any]) -> None:
    """Metadata within the documented limits.

    Raises:
        InvalidArgument: more than 16 pairs, a key over 64 or a value over 512 characters, NaN or
            infinity in a value, or one nested too deep.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument("metadata must be a mapping")
    if len(value) > METADATA_PAIRS:
        raise InvalidArgument(f"metadata has {len(value)} pairs; at most {METADATA_PAIRS}")
    for key, item in value.items():
        if not isinstance(key, str) or len(key) > METADATA_KEY:
            raise InvalidArgument(f"metadata keys are strings of at most {METADATA_KEY} characters")
        if not _finite(item, 0):
            raise InvalidArgument(f"metadata[{key!r}] holds what JSON cannot: NaN, or no end")
        if isinstance(item, str) and len(item) > METADATA_VALUE:
            raise InvalidArgument(
                f"metadata[{key!r}] has {len(item)} characters; at most {METADATA_VALUE}"
            )


def _finite(value: object, depth: int) -> bool:
    """Whether it has an end, and no NaN or infinity: those would be sent as null, in silence."""
    if isinstance(value, float):
        return value - value == 0
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return True
    inside = value.values() if isinstance(value, Mapping) else value
    return depth < DEEPEST and all(_finite(item, depth + 1) for item in inside)


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
        InvalidArgument: a name or a value that is no text, has a line break in it, or cannot be
            written as UTF-8; a name that is no token, or says how long the body is.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"headers must be a mapping, not {type(value).__name__}")
    for name, item in value.items():
        for text in (name, item):
            if not isinstance(text, str) or UNSENDABLE.search(text):
                raise InvalidArgument(f"the header {name!r:.60} must be one line of text")
        if TOKEN.fullmatch(name) is None:
            raise InvalidArgument(f"no header is named {name!r:.60}")
        if name.lower() in FRAMING:
            raise InvalidArgument(f"{name} is not yours to say: it is the connection's")
