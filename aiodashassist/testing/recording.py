"""Writes down what a client asks and is answered, as it goes by."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiodashassist.client import Client
from aiodashassist.core.provider import Request
from aiodashassist.errors import LocalProtocolError
from aiodashassist.testing.cassette import Cassette, Exchange
from aiodashassist.testing.scrubbing import Scrubber
from aiodashassist.testing.takes import Take

__all__ = ("record",)

ACTS = ("SubmitOutputs", "CancelRun")  # what is done to a run while its stream may be open
RUN = re.compile("/runs/([^/?]+)")


@contextmanager
def record(
    client: Client, path: str | os.PathLike[str] | None = None, *, timings: bool = False
) -> Iterator[Cassette]:
    """Record all requests of a client and of its copies (`with_options`), and their answers.

        with record(client, "weather.json"):
            await client.ask(...)

    The cassette can be replayed and saved at any time. Streams are recorded as they are read,
    broken and refused connections as such. Of an upload it has names and sizes, of a download the
    bytes.

    What was said is on it; request headers, keys and cookies never are. Nor is what has the name of
    a secret: `auth`, `key`, `session`, `token` and the like in a query or a form; a field of a body
    whose name ends with `token`, `secret`, `password`, `api_key`, `access_key`, `private_key`,
    `authorization`, `cookie`, `credential` or `signature`. All these, if they have 8 characters or
    more, are blotted out wherever they are quoted, too. A secret without such a name stays, and so
    does one by whose name it would be known, if a model streams both in pieces.

    Args:
        client: whose requests.
        path: where the cassette is saved at the end, also after an error; None saves it nowhere.
        timings: whether to note when each answer and each of its pieces came.

    Raises:
        LocalProtocolError: the client is being recorded already.
        OSError: the file cannot be written.
    """
    pool = client._pool  # noqa: SLF001 (what all copies of a client have in common)
    if pool.wrap is not None:
        raise LocalProtocolError("the client is being recorded already")
    recorder = _Recorder(timings=timings)
    cassette = Cassette(client._session.provider.name, recorder)  # noqa: SLF001
    pool.wrap = recorder.around
    try:
        yield cassette
    finally:
        pool.wrap = None
        if path is not None:
            cassette.save(path)


class _Recorder:
    """What was recorded so far; secrets are taken out when it is asked for.

    By then all of them are known: one that is quoted early may be used late.
    """

    def __init__(self, *, timings: bool) -> None:
        self._timings = timings
        self._scrubber = Scrubber()
        self._takes: list[Take] = []

    def around(self, http: Any) -> "_Listening":
        """A session that is listened to."""
        return _Listening(http, self)

    def begin(self, request: Request, headers: Mapping[str, str]) -> Take:
        """A request is about to be sent."""
        self._scrubber.learn(headers)
        self._scrubber.learn_named(request.query.items())
        self._scrubber.learn_named(request.form.fields if request.form is not None else ())
        self._scrubber.learn_body(request.body or b"")
        if request.operation in ACTS:
            for take in self._takes:
                take.acted_on(_run_of(request), len(self._takes))
        take = Take(request, timings=self._timings)
        self._takes.append(take)
        return take

    def __iter__(self) -> Iterator[Exchange]:
        """All exchanges, without secrets."""
        for take in self._takes:
            self._scrubber.learn_body(b"".join(take.pieces))
        return iter([take.exchange(self._scrubber) for take in self._takes])

    def __len__(self) -> int:
        return len(self._takes)


class _Listening:
    """aiohttp's session, listened to."""

    def __init__(self, http: Any, recorder: _Recorder) -> None:
        self._http = http
        self._recorder = recorder

    async def request(
        self,
        method: str,
        url: Any,
        *,
        headers: Mapping[str, str],
        trace_request_ctx: Request,
        **options: Any,
    ) -> "_Answer":
        """As aiohttp's."""
        take = self._recorder.begin(trace_request_ctx, headers)
        options |= {"headers": headers, "trace_request_ctx": trace_request_ctx}
        try:
            response = await self._http.request(method, url, **options)
        except BaseException as error:
            take.failed(error)
            raise
        take.begun(response.status, response.headers)
        return _Answer(response, take)


class _Answer:
    """aiohttp's answer, listened to."""

    def __init__(self, response: Any, take: Take) -> None:
        self.content = _Content(response.content, take)
        self._response = response
        self._take = take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def close(self) -> None:
        """Drop it."""
        self._left()
        self._response.close()

    def release(self) -> None:
        """Give it back."""
        self._left()
        self._response.release()

    def _left(self) -> None:
        read = self._response.content.at_eof() and self._response.content.exception() is None
        self._take.ended("whole" if read else "left")


class _Content:
    """The body of aiohttp's answer, listened to."""

    def __init__(self, content: Any, take: Take) -> None:
        self._content = content
        self._take = take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def readany(self) -> bytes:
        """More of it."""
        try:
            piece: bytes = await self._content.readany()
        except Exception as error:
            self._take.broke(error)
            raise
        self._take.came(piece)
        return piece

    def _read_nowait(self, size: int) -> bytes:
        """What came together with the error that broke it."""
        piece: bytes = self._content._read_nowait(size)  # noqa: SLF001 (as the session asks for it)
        if piece:
            self._take.came(piece)
        return piece


def _run_of(request: Request) -> str:
    """The run that a request does something to: its body names it, or its path."""
    try:
        body = json.loads(request.body or b"")
    except (ValueError, RecursionError):
        body = None
    run_id = body.get("run_id") if isinstance(body, dict) else None
    found = RUN.search(request.path)
    return run_id if isinstance(run_id, str) else found[1] if found else ""
