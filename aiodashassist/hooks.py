"""What a client tells of its requests: to be counted, timed and logged by whoever runs it."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from msgspec import Struct

from aiodashassist.core.provider import Request
from aiodashassist.errors import ConfigError
from aiodashassist.handler import is_async

__all__ = ("CallInfo", "Hook", "Telling", "check_hook")

logger = logging.getLogger(__name__)


class CallInfo(Struct, frozen=True, kw_only=True):
    """A request, or what became of it; never a body, a query or a key.

    Attributes:
        operation: what is asked, such as `CreateRun`.
        method: of HTTP.
        path: below the base URL, with the ids in it.
        attempt: 1 for the first; a request that is sent again is told of again.
        status: of HTTP; None before the answer, and where none came.
        request_id: the service's id of the request, where the answer told it.
        seconds: from sending to the whole answer, of a stream to its beginning; None before.
    """

    operation: str
    method: str
    path: str
    attempt: int = 1
    status: int | None = None
    request_id: str | None = None
    seconds: float | None = None


Hook: TypeAlias = Callable[[CallInfo], object]
"""A plain function. What it raises is logged and harms no request; what it returns is ignored."""


def check_hook(name: str, hook: Hook | None) -> Hook | None:
    """A hook that can be called.

    Raises:
        ConfigError: it is no function, or an async one, whose result nobody would wait for.
    """
    if hook is not None and (not callable(hook) or is_async(hook)):
        raise ConfigError(f"{name} must be a plain function (not an async one)")
    return hook


class Telling:
    """Tells the hooks of one attempt: before it, and once after it, however it ended.

    Attributes:
        status: of the answer, as soon as it is known.
        request_id: of the answer.
    """

    def __init__(
        self, before: Hook | None, after: Hook | None, request: Request, attempt: int = 1
    ) -> None:
        self._attempt = attempt
        self.status: int | None = None
        self.request_id: str | None = None
        self._before = before
        self._after = after
        self._request = request
        self._began = 0.0

    def __enter__(self) -> Self:
        self._tell(self._before, None)
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.request_id = self.request_id or getattr(error, "request_id", None)
        self._tell(self._after, time.monotonic() - self._began)

    def _tell(self, hook: Hook | None, seconds: float | None) -> None:
        if hook is None:
            return
        request = self._request
        info = CallInfo(
            operation=request.operation,
            method=request.method,
            path=request.path,
            attempt=self._attempt,
            status=self.status,
            request_id=self.request_id,
            seconds=seconds,
        )
        try:
            hook(info)
        except Exception:
            logger.exception("a hook failed on %s", request.operation)
