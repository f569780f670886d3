"""Error answers: what their reading has in common on every wire."""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

from aiodashassist.core.provider import Response
from aiodashassist.errors import (
    APIError,
    AuthenticationError,
    BadRequest,
    Conflict,
    DecodeError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)

__all__ = ("class_of", "dated", "seconds", "shown", "unreadable")

BY_STATUS: dict[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
DIGITS = 9  # of seconds; more are for ever
GLIMPSE = 60  # characters of an answer that cannot be read
JSON = (b"{", b"[", b'"')
SHOWN = 200  # characters of a body that is not JSON


def class_of(status: int) -> type[APIError]:
    """The class that a status alone means."""
    return BY_STATUS.get(status) or (ServerError if status >= 500 else BadRequest)


def seconds(response: Response) -> float | None:
    """The `Retry-After` of an answer in seconds, which may be a date; None for what is neither.

    A date is measured by the clock of the answer itself where it tells its own.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= DIGITS else math.inf
    until = _epoch(value)
    if until is None:
        return None
    now = dated(response) or response.at
    return max(0.0, until - now)


def dated(response: Response) -> float:
    """When an answer was given by its own clock, in epoch seconds; 0 where it does not tell."""
    return _epoch(response.headers.get("date", "")) or 0.0


def _epoch(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # garbage, or a year that no clock can hold
        return None


def shown(response: Response) -> str:
    """The beginning of a body, for an error's message."""
    text = " ".join(response.body[: 4 * SHOWN].decode("utf-8", "replace").split())
    return text[:SHOWN] or f"the service answered with status {response.status} and no text"


def unreadable(response: Response, error: DecodeError) -> DecodeError:
    """An answer that is no JSON, told by what it is and how it begins: a wrong host's, mostly."""
    kind = response.headers.get("content-type") or "no type"
    begins = f"it has {len(response.body)} bytes"
    if response.body.lstrip()[:1] not in JSON:  # what broke off is somebody's message
        glimpse = "".join(c if c.isprintable() else "?" for c in shown(response)[:GLIMPSE])
        begins = f"it begins {glimpse!r}" if response.body else "it is empty"
    told = DecodeError(f"status {response.status}, {kind}: {error.message}; {begins}")
    told.garbled = True
    return told
