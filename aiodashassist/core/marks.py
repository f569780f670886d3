"""The id that a request carries in the metadata of what it makes, to be found by if it is lost.

The service keeps it with the object. Objects are decoded without it (`core/decoding.py`).
"""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from aiodashassist.core.checks import METADATA_PAIRS
from aiodashassist.core.decoding import MARK, parse
from aiodashassist.core.operations import (
    CreateAssistant,
    CreateMessage,
    CreateRun,
    CreateThreadAndRun,
    Operation,
)
from aiodashassist.errors import DecodeError

__all__ = ("MARKED", "mark_of", "marked", "marks_in")

A = TypeVar("A", bound=Operation[Any])

MARKED = (CreateAssistant, CreateMessage, CreateRun, CreateThreadAndRun)


def marked(operation: A, mark: str) -> A:
    """The operation with a mark in its metadata; as it is where there is no place for one.

    Metadata have 16 pairs at most, and the caller's own body, where it has metadata, is not ours.
    A mark that is there already came with metadata copied from elsewhere: it is another object's.
    """
    if not isinstance(operation, MARKED):
        return operation
    params = cast("Mapping[str, Any]", operation.params)
    metadata, body = params.get("metadata"), params.get("extra_body")
    if metadata is None:
        metadata = {}
    foreign = isinstance(body, Mapping) and "metadata" in body
    if foreign or not isinstance(metadata, Mapping):
        return operation
    if len(metadata.keys() - {MARK}) >= METADATA_PAIRS:
        return operation
    given: Any = {**params, "metadata": {**metadata, MARK: mark}}
    return cast("A", replace(operation, params=given))


def mark_of(operation: Operation[Any]) -> str | None:
    """The mark of an operation."""
    params: Mapping[str, Any] = getattr(operation, "params", {})
    return _mark(params)


def marks_in(body: bytes) -> tuple[str | None, ...]:
    """The marks of the objects of a list's answer, in their order."""
    try:
        answer = parse(body)
    except DecodeError:
        return ()
    data = answer.get("data") if isinstance(answer, Mapping) else None
    return tuple(_mark(item) for item in data) if isinstance(data, list) else ()


def _mark(item: object) -> str | None:
    """The mark in the metadata of an object."""
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    mark = metadata.get(MARK) if isinstance(metadata, Mapping) else None
    return mark if isinstance(mark, str) else None
