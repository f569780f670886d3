"""Whether a request is the one that was recorded, and if not, where it differs."""

import json
import re
from typing import Any

from aiodashassist.core.decoding import MARK
from aiodashassist.discretion import SHORTEST
from aiodashassist.testing.cassette import Asked, FormSent

__all__ = ("difference",)

BLOT = re.compile(r"\*+")
LONG_BLOT = re.compile(rf"\*{{{SHORTEST},}}")


def difference(recorded: Asked, sent: Asked) -> str | None:
    """The first field in which two requests differ, such as `body.content`; None for none.

    Both are without secrets. What is blotted out in the recorded one may be anything, and ids of
    operations do not count.
    """
    pairs = (
        ("query", recorded.query, sent.query),
        ("body", _body(recorded), _body(sent)),
        ("form", _form(recorded.form), _form(sent.form)),
    )
    for name, before, now in pairs:
        try:
            found = _first(before, now, name)
        except RecursionError:  # nobody's words are nested so deep
            found = name
        if found is not None:
            return found
    return None


def _first(before: Any, now: Any, name: str) -> str | None:
    """Where two values differ first; `name` is theirs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            inner = f"{name}.{key}"
            if (key in before) != (key in now):
                return inner
            if (found := _first(before[key], now[key], inner)) is not None:
                return found
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        differing = (_first(*pair, f"{name}[{at}]") for at, pair in pairs)
        return next((one for one in differing if one is not None), None)
    if isinstance(before, str) and isinstance(now, str):
        return None if _fits(before, now) else name
    return None if before == now else name


def _fits(before: str, now: str) -> bool:
    """Whether two texts are the same; a blot is as long as what it covers, and may cover it."""
    if BLOT.sub("*", before) == BLOT.sub("*", now):
        return True
    first, *rest = map(re.escape, LONG_BLOT.split(before))
    if not rest:
        return False
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])  # each found once: no going back
    return re.fullmatch(f"{first}{between}.*{rest[-1]}", now, re.DOTALL) is not None


def _body(asked: Asked) -> Any:
    """What a body says; its bytes, where it is no JSON."""
    if asked.body is None:
        return None
    data = asked.body.data
    try:
        return _without_marks(json.loads(data))
    except (ValueError, RecursionError):
        return data


def _without_marks(value: Any) -> Any:
    """A body without the ids of operations, which are others each time."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_marks(inner) for key, inner in value.items() if key != MARK}
    if kept.get("metadata") == {}:  # with nothing but a mark in it, or none
        del kept["metadata"]
    return kept


def _form(form: FormSent | None) -> Any:
    """A form, by the names of its fields."""
    if form is None:
        return None
    found: dict[str, list[Any]] = {}
    for name, value in form.fields:
        found.setdefault(name, []).append(value)
    for file in form.files:
        found.setdefault(file.field, []).append({"filename": file.filename, "size": file.size})
    return found
