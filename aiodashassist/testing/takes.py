"""One exchange while it happens, until it stands on a cassette."""

import asyncio
from collections.abc import Mapping

from aiodashassist.core.provider import Request
from aiodashassist.errors import AssistError, ConnectError, RequestTimeout
from aiodashassist.session import translated
from aiodashassist.testing.cassette import (
    ESCAPED,
    Answered,
    Asked,
    Body,
    End,
    Exchange,
    Failed,
    Failing,
)
from aiodashassist.testing.scrubbing import Scrubber, without_secrets

__all__ = ("Take",)

EXACT = 3  # digits of a second


class Take:
    """One exchange while it happens.

    Attributes:
        pieces: of the answer's body, as they were read.
    """

    def __init__(self, request: Request, *, timings: bool) -> None:
        self.pieces: list[bytes] = []
        self._request = request
        self._timings = timings
        self._sent = asyncio.get_running_loop().time()
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._began = 0.0
        self._times: list[float] = []
        self._waits: dict[int, int] = {}
        self._act: int | None = None  # which nothing of the answer came after so far
        self._end: End | None = None
        self._failed: Failing | None = None
        self._words = ""
        self._ended = 0.0

    def begun(self, status: int, headers: Mapping[str, str]) -> None:
        """Its answer has begun."""
        self._status, self._headers, self._began = status, headers, self._now()

    def acted_on(self, run_id: str, number: int) -> None:
        """A request is sent that does something to a run; it may be the one that is told here."""
        if self._end is None and run_id and run_id.encode() in b"".join(self.pieces):
            self._act = number

    def came(self, piece: bytes) -> None:
        """More of the body; `b""` is its end."""
        if not piece:
            self.ended("whole")
        else:
            self._heard()
            self.pieces.append(piece)
            self._times.append(self._now())

    def broke(self, error: Exception) -> None:
        """It broke."""
        ours = translated(error, None)
        if self._end is None:
            self._words = _words(ours)
        self.ended("silent" if isinstance(ours, RequestTimeout) else "broken")

    def failed(self, error: BaseException) -> None:
        """No answer came."""
        self._failed, self._ended = "left", self._now()
        if isinstance(error, Exception):
            ours = translated(error, None)
            kinds: dict[type, Failing] = {ConnectError: "refused", RequestTimeout: "silent"}
            self._failed, self._words = kinds.get(type(ours), "lost"), _words(ours)

    def ended(self, end: End) -> None:
        """Nothing more of it will be read; what is said first, holds."""
        if self._end is None:
            self._heard()
            self._end, self._ended = end, self._now()

    def exchange(self, scrubber: Scrubber) -> Exchange:
        """As it stands on the cassette."""
        request = Asked.of(self._request, scrubber)
        words = scrubber.text(self._words)
        if self._status is None:
            kind = self._failed or "left"
            return Exchange(
                request=request, failure=Failed(kind=kind, words=words, after=self._ended)
            )
        sizes = tuple(len(piece) for piece in self.pieces)
        headers = {
            name: scrubber.data(value.encode(errors=ESCAPED))
            for name, value in without_secrets(self._headers).items()
        }
        plain = {name: value.decode() for name, value in headers.items() if _is_text(value)}
        answer = Answered(
            status=self._status,
            headers=plain,
            raw_headers={name: value for name, value in headers.items() if name not in plain},
            body=Body.of(scrubber.data(b"".join(self.pieces))),
            chunks=sizes if len(sizes) > 1 else (),
            waits=dict(self._waits),
            end=self._end or "left",
            words=words,
            began=self._began,
            times=tuple(self._times) if self._timings else (),
            ended=self._ended,
        )
        return Exchange(request=request, answer=answer)

    def _heard(self) -> None:
        if self._act is not None:
            self._waits[len(self.pieces)] = self._act
            self._act = None

    def _now(self) -> float:
        """Seconds since the request, where they are wanted."""
        if not self._timings:
            return 0.0
        return round(asyncio.get_running_loop().time() - self._sent, EXACT)


def _words(error: AssistError) -> str:
    """What aiohttp said, without what the session adds, and will add to it again."""
    cause = error.__cause__
    return error.message if cause is None else " ".join(str(cause).split()) or type(cause).__name__


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
