"""Gives a client the answers of a cassette: all of the client is used, only its session is not."""

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any, TypeVar

from yarl import URL

from aiodashassist.core.decoding import MARK
from aiodashassist.core.provider import Request
from aiodashassist.errors import ConfigError
from aiodashassist.services import AppBuilder, DashScope
from aiodashassist.testing.answers import Answer, Arriving
from aiodashassist.testing.cassette import (
    Answered,
    Asked,
    Body,
    Cassette,
    CassetteError,
    Exchange,
    Failed,
    NotRecorded,
)
from aiodashassist.testing.matching import difference
from aiodashassist.testing.scrubbing import Scrubber

__all__ = ("replay",)

C = TypeVar("C", bound=DashScope | AppBuilder)

GRACE = 1.0  # seconds until a client is told that the one that was recorded did not wait here
HERE = "the recording ends here: its client went on no more"
MARKED = re.compile(rb'"%b"\s*:\s*"([^"\\]+)"' % re.escape(MARK).encode())
FAULTS: dict[str, Callable[[str], OSError]] = {
    "refused": ConnectionRefusedError,
    "lost": ConnectionResetError,
    "broken": ConnectionResetError,
    "silent": TimeoutError,
    "left": ConnectionResetError,
}


def replay(
    cassette: Cassette | str | os.PathLike[str],
    kind: type[C],
    *,
    strict: bool = True,
    timings: bool = False,
    **options: Any,
) -> C:
    """A client whose answers are those of a cassette, from its beginning.

        async with replay("weather.json", DashScope) as client:
            await client.ask(...)

    A request gets the first answer, not given yet, to the same one: of the same method, path, query
    and body. Ids of operations in the metadata do not count, and what is blotted out on the
    cassette may be anything. Pieces of a stream that came after the outputs of tools were sent,
    come after they are sent again.

    Args:
        cassette: recorded by `record`, or the path of a file.
        kind: `DashScope` or `AppBuilder`, as it was recorded.
        strict: whether a request that says something else than any recorded one is an error, and
            not given the first answer to one of its method and path.
        timings: whether all takes as long as it did, where the cassette knows.
        options: of the client.

    Returns:
        The client, to be used with `async with`. It raises `NotRecorded` for a request that the
        cassette has no answer for, and names the first field that is not as recorded.

    Raises:
        CassetteError: the file is no cassette, or one of another service.
        ConfigError: an option that the client cannot have, such as a session.
        OSError: it cannot be read.
    """
    if not isinstance(cassette, Cassette):
        cassette = Cassette.load(cassette)
    if "session" in options:
        raise ConfigError("a client that is replayed has a session of its own")
    player = _Player(cassette.exchanges, strict=strict, timings=timings)
    usual = {"base_url": "http://127.0.0.1" + kind.local_path, "api_key": "none"}
    client: C = kind(**{**usual, "session": player, **options})
    provider = client._session.provider.name  # noqa: SLF001
    if provider != cassette.provider:
        raise CassetteError(f"the cassette is of {cassette.provider}, the client of {provider}")
    return client


class _Player:
    """Stands in for aiohttp's session.

    Attributes:
        closed: False, always: there is nothing to close.
    """

    closed = False

    def __init__(self, exchanges: tuple[Exchange, ...], *, strict: bool, timings: bool) -> None:
        self._exchanges = exchanges
        self._strict = strict
        self._timings = timings
        self._used: set[int] = set()
        self._open: set[_Played] = set()
        self._marks: dict[bytes, bytes] = {}  # as recorded -> as sent now

    async def request(
        self, _method: str, _url: URL, *, trace_request_ctx: Request, **_options: Any
    ) -> Answer:
        """As aiohttp's."""
        began = asyncio.get_running_loop().time() if self._timings else None
        exchange = self._take(trace_request_ctx)
        await asyncio.sleep(0)  # as any request lets others come to their turn
        if exchange.answer is None:
            raise await self._failure(exchange.failure or Failed(kind="lost"))
        answer = exchange.answer
        if self._timings:
            await asyncio.sleep(answer.began)
        content = _Played(answer, self._pieces(answer), self._used, began)
        self._open.add(content)

        def left() -> None:
            self._open.discard(content)

        return Answer(answer.status, answer.all_headers(), content, left)

    def _take(self, request: Request) -> Exchange:
        """The exchange for a request; with that it is used up."""
        number = self._find(request)
        self._used.add(number)
        exchange = self._exchanges[number]
        before, now = _mark(exchange.request.body), _mark(Body.of(request.body or b""))
        if before and now:
            self._marks[before] = now
        for content in tuple(self._open):
            content.look()
        return exchange

    def _find(self, request: Request) -> int:
        """The number of the exchange for a request.

        Raises:
            NotRecorded: there is none.
        """
        asked = Asked.of(request, Scrubber())  # which knows no secrets but by their names
        alike = [
            number
            for number, exchange in enumerate(self._exchanges)
            if (exchange.request.method, exchange.request.path) == (asked.method, asked.path)
        ]
        left = [number for number in alike if number not in self._used]
        differs: list[str] = []
        for number in left:
            found = difference(self._exchanges[number].request, asked)
            if found is None:
                return number
            differs.append(found)
        if left and not self._strict:
            return left[0]
        why = f"all {len(alike)} that it has were given" if alike else "it has none"
        if differs:
            why = f"{differs[0]} is not as recorded, and with strict=False does not count"
        what = f"{asked.operation} ({asked.method} {asked.path})"
        raise NotRecorded(f"the cassette has no answer to {what}: {why}")

    def _pieces(self, answer: Answered) -> deque[bytes]:
        """The body as it came, with the marks that this client looks for."""
        pieces = answer.pieces()
        whole = answer.body.data
        for before, now in self._marks.items():
            whole = whole.replace(before, now)
        cuts = [0, *accumulate(len(piece) for piece in pieces[:-1]), len(whole)]
        return deque(whole[start:end] for start, end in pairwise(cuts) if start < end)

    async def _failure(self, failed: Failed) -> OSError:
        """What is raised instead of an answer, as soon as it was."""
        wait = failed.after if self._timings else 0.0
        await asyncio.sleep(wait + GRACE if failed.kind == "left" else wait)
        return _fault(failed.kind, failed.words)


class _Played(Arriving):
    """The body of a recorded answer: a piece at a time, each when it is read.

    Args:
        answer: as recorded.
        pieces: of its body.
        used: the exchanges that were asked for so far.
        began: when this one was, if it is to take as long as it did.
    """

    def __init__(
        self, answer: Answered, pieces: deque[bytes], used: set[int], began: float | None
    ) -> None:
        super().__init__()
        self._answer = answer
        self._pieces = pieces
        self._used = used
        self._began = began
        self._number = 0  # of the next piece
        self._since: float | None = None  # when there was nothing left to come
        self._timer: asyncio.TimerHandle | None = None

    async def readany(self) -> bytes:
        """See `Arriving.readany`."""
        self.look()
        return await super().readany()

    def look(self) -> None:
        """Have the next piece come, if it may by now; called again when that may have changed."""
        waits_for = self._answer.waits.get(self._number)
        if self.is_held or self.is_eof() or self.exception() is not None:
            return
        if waits_for is not None and waits_for not in self._used:
            return
        loop = asyncio.get_running_loop()
        due = self._due(loop.time())
        if due > loop.time():
            self._stop()
            self._timer = loop.call_at(due, self.look)
            return
        self._number += 1
        if self._pieces:
            self.feed(self._pieces.popleft())
        elif self._answer.end == "whole":
            self.end()
        else:
            self.set_exception(_fault(self._answer.end, self._answer.words))

    def set_exception(self, error: BaseException) -> None:
        """See `Arriving.set_exception`."""
        self._stop()
        super().set_exception(error)

    def _due(self, now: float) -> float:
        """When the next piece, or the end, is to come."""
        due = now
        if self._began is not None:
            times = self._answer.times if self._pieces else ()
            due = self._began + (*times[self._number :], self._answer.ended)[0]
        if self._pieces or self._answer.end != "left":
            return due
        if self._since is None:
            self._since = max(now, due)
        return self._since + GRACE

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _fault(kind: str, words: str) -> OSError:
    """What a session takes for a broken connection of this kind."""
    return FAULTS[kind](HERE if kind == "left" else words)


def _mark(body: Body | None) -> bytes | None:
    """The id of an operation that a body has."""
    found = MARKED.search(body.data) if body is not None else None
    return found[1] if found else None
