"""A streamed answer as bytes, and what it is: its first bytes tell, whatever its type says."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from aiodashassist.errors import AssistError

__all__ = ("EVENT_STREAM", "Body", "Incoming")

EVENT_STREAM = "text/event-stream"
BOM = b"\xef\xbb\xbf"
NULL = b"null"
UNFRAMED = (b"{", b"[", b'"', b"<", NULL)  # JSON and HTML begin so; no field of a frame does
FIELDS = (b":", b"data", b"event", b"id", b"retry", NULL)
LONGEST_BLANK = 1 << 10  # bytes before an answer begins; more of them are a stream's


class Incoming(Protocol):
    """The bytes of an answer as they come."""

    async def next(self) -> bytes:
        """The next bytes; `b""` at the end.

        Raises:
            StreamInterrupted: the connection broke.
        """

    def close(self) -> None:
        """Take no more of them."""


class Body:
    """The bytes of a streamed answer; `read` gives `b""` at its end.

    Services put their errors where a stream should be, unframed (appbuilder.md §6.5), and no
    document says which type a stream has (§5.1).

    Attributes:
        headers: of the answer; names in lower case.
        waited: seconds from sending the request to the answer's beginning.

    Args:
        incoming: the bytes.
        headers: see above.
        waited: see above.
        unframed: gives the error for an answer that is no event stream, from its beginning.
    """

    def __init__(
        self,
        incoming: Incoming,
        headers: Mapping[str, str],
        waited: float,
        unframed: Callable[[bytes], Coroutine[Any, Any, AssistError]],
    ) -> None:
        self.headers = headers
        self.waited = waited
        self._incoming = incoming
        self._unframed = unframed
        self._held = b""
        self._begun = False
        self._refused: asyncio.Task[AssistError] | None = None  # what it says, if it is no stream

    @property
    def is_labelled(self) -> bool:
        """Whether its type says that it is an event stream."""
        return EVENT_STREAM in self.headers.get("content-type", "").lower()

    async def begin(self) -> None:
        """Read until it is known what it is.

        Raises:
            AssistError: it is no event stream, or broke.
        """
        while not self._begun and self._refused is None:
            arrived = await self._incoming.next()
            self._held += arrived
            begins = self._held.removeprefix(BOM).lstrip()
            if begins.startswith(UNFRAMED) or not (
                self.is_labelled or _may_be_framed(begins, arrived)
            ):
                self._refused = asyncio.get_running_loop().create_task(self._unframed(begins))
            undecided = BOM.startswith(self._held) or NULL.startswith(begins)
            self._begun = not (arrived and undecided and len(self._held) < LONGEST_BLANK)
        if self._refused is not None:
            await asyncio.wait({self._refused})  # cancels it not: what it has read is not lost
            raise self._refused.result()

    async def read(self) -> bytes:
        """The next bytes; all that arrived before the connection broke, then the error.

        Raises:
            StreamInterrupted: the connection broke.
            AssistError: it is no event stream.
        """
        if not self._begun or self._refused is not None:
            await self.begin()
        if self._held:
            held, self._held = self._held, b""
            return held
        return await self._incoming.next()

    def close(self) -> None:
        """Drop the connection, or give it back where the answer was read to its end."""
        self._incoming.close()


def _may_be_framed(begins: bytes, arrived: bytes) -> bool:
    """Whether an answer of another type can be an event stream, as far as it has come."""
    if not begins:
        return bool(arrived)
    return any(begins.startswith(name) or name.startswith(begins) for name in FIELDS)
