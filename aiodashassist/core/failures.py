"""Error answers: what their reading has in common on every wire."""

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

__all__ = ("class_of", "seconds", "shown", "unreadable")

BY_STATUS: dict[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
GLIMPSE = 60  # characters of an answer that cannot be read
SHOWN = 200  # characters of a body that is not JSON


def class_of(status: int) -> type[APIError]:
    """The class that a status alone means."""
    return BY_STATUS.get(status) or (ServerError if status >= 500 else BadRequest)


def seconds(value: str | None) -> float | None:
    """A `Retry-After` in seconds; None for any other form."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return float(value)


def shown(response: Response) -> str:
    """The beginning of a body, for an error's message."""
    text = " ".join(response.body[: 4 * SHOWN].decode("utf-8", "replace").split())
    return text[:SHOWN] or f"the service answered with status {response.status} and no text"


def unreadable(response: Response, error: DecodeError) -> DecodeError:
    """An answer that is no JSON, told by what it is and how it begins: a wrong host's, mostly."""
    kind = response.headers.get("content-type") or "no type"
    glimpse = "".join(c if c.isprintable() else "?" for c in shown(response)[:GLIMPSE])
    begins = f"it begins {glimpse!r}" if response.body else "it is empty"
    return DecodeError(f"status {response.status}, {kind}: {error.message}; {begins}")
