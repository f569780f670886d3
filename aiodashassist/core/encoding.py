"""Operations into requests: what the writing of every wire stands on.

What is given of an operation, apart from its ids and from the caller's extras; whether the wire
has a place for it; and bodies and queries as bytes and texts.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from aiodashassist.core import checks
from aiodashassist.core.operations import Operation
from aiodashassist.core.plain import cause, plain
from aiodashassist.errors import InvalidArgument, UnsupportedParameter

__all__ = ("Asked", "ask", "form_fields", "json_body", "query_of")

PARTS = ("extras", "params", "page")
NAME = re.compile(r"[^\x00-\x1f\x7f\"\\\ud800-\udfff]+")


class Asked(Struct, frozen=True, kw_only=True):
    """An operation, taken apart.

    Attributes:
        ids: those that were asked for apart; not checked yet.
        given: what is given, by our names; None is not.
        extra_body, extra_headers, extra_query: the caller's own.
    """

    ids: dict[str, Any]
    given: dict[str, Any]
    extra_body: Mapping[str, Any]
    extra_headers: Mapping[str, str]
    extra_query: Mapping[str, Any]


def ask(
    operation: Operation[Any],
    *,
    provider: str,
    ids: Collection[str],
    accepts: Collection[str],
    needs: Iterable[str] = (),
) -> Asked:
    """What an operation asks for.

    Args:
        operation: the operation.
        provider: the name of the API, for messages.
        ids: fields that are wanted apart.
        accepts: what else this call has a place for.
        needs: what it cannot do without.

    Raises:
        InvalidArgument: something that is needed is not given, or headers cannot be sent.
        UnsupportedParameter: this API has no place for a parameter.
    """
    name = type(operation).__name__
    fields = msgspec.structs.asdict(operation)
    del fields["hint"]
    apart = {key: fields.pop(key) for key in ids}
    params = {key: value for part in PARTS for key, value in fields.pop(part, {}).items()}
    params.update(fields)
    extras = {key: _taken(params, key) for key in ("extra_body", "extra_headers", "extra_query")}
    given = {key: value for key, value in params.items() if value is not None}
    for key in needs:
        if key not in given:
            raise InvalidArgument(f"{name} needs {key}")
    for key in given:
        if key not in accepts:
            raise UnsupportedParameter(f"{provider} has no place for {key!r} in {name}")
    checks.headers(extras["extra_headers"])
    return Asked(ids=apart, given=given, **extras)


def _taken(params: dict[str, Any], name: str) -> Mapping[str, Any]:
    given = params.pop(name, None)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{name} must be a mapping, not {type(given).__name__}")
    return given


def query_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Texts, numbers and truth values as a URL has them; None is not sent.

    Raises:
        InvalidArgument: another value, or one that cannot be written.
    """
    query = {}
    for key, value in given.items():
        if value is None:
            continue
        if not isinstance(key, str) or not isinstance(value, str | int | float):
            raise InvalidArgument(
                f"the query has names and plain values, not {type(value).__name__} ({key!r:.60})"
            )
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            (key + text).encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"{key!r} cannot be written in a URL: {error}") from cause(error)
        query[key] = text
    return query


def json_body(wire: Mapping[str, Any], name: str) -> bytes:
    """A body as JSON; `name` is the operation's, for the message.

    Raises:
        InvalidArgument: a value that JSON cannot say.
    """
    try:
        return msgspec.json.encode(wire, enc_hook=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name} cannot be written as JSON: {error}") from cause(error)


def form_fields(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The texts of a form: a value that is no text is written as JSON; None is not sent.

    Raises:
        InvalidArgument: a name or a value that cannot be written.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    return tuple((name, _text(name, value)) for name, value in given.items())


def _text(name: str, value: Any) -> str:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidArgument(f"no field of a form is named {name!r:.60}")
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=plain)
        return (text.encode() if isinstance(text, str) else text).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name} cannot be written: {error}") from cause(error)
