"""The one room of the client that speaks HTTP: requests out, answers in as they come.

The only client import of aiohttp. Foreign exceptions are translated here and nowhere else, and the
key is put on a request here, just before it leaves. What answers mean, `calls.py` knows.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiodashassist.config import Config
from aiodashassist.core.provider import Provider, Request, Response
from aiodashassist.discretion import bare
from aiodashassist.errors import (
    AssistError,
    ConnectError,
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    StreamInterrupted,
    TransportError,
    UnexpectedRedirect,
)
from aiodashassist.hooks import Telling
from aiodashassist.uploads import Outgoing

__all__ = ("Answer", "HttpSession", "Pool", "Wire", "translated")

HttpSession: TypeAlias = aiohttp.ClientSession

USER_AGENT = "aiodashassist"
LARGE = 1 << 20  # bytes
SLOWEST = 16 * 1024  # bytes a second, at which a body may be taken
FOREIGN = (aiohttp.ClientError, OSError, ValueError)  # ValueError: a header that cannot be sent
READING = (*FOREIGN, RuntimeError)  # the last for a connection that aiohttp has just given up
UNCONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,  # it refused to connect
    ConnectionRefusedError,
)


class _Connector(aiohttp.TCPConnector):
    """Does not go on with a kept connection on which something came that was not asked for.

    aiohttp would take it for the answer to the next request.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        connection = await super().connect(req, traces, timeout)
        # `_buffer` holds whole answers that nobody read; a new connection has none.
        while getattr(connection.protocol, "_buffer", None):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        return connection

    def _release(self, key: Any, protocol: Any, **options: Any) -> None:
        """Give a connection back; one that was left in the middle of a body is dropped at once.

        To close it would be to wait, perhaps for ever, until the service takes the rest.
        """
        transport = protocol.transport
        if options.get("should_close") and transport and transport.get_write_buffer_size():
            _see_loss(protocol)
            transport.abort()
        super()._release(key, protocol, **options)

    def _close(self, **options: Any) -> Any:
        for protocol in list(self._acquired):  # in use, and nobody waits for the answers any more
            transport = getattr(protocol, "transport", None)  # one being made may have none
            if transport is not None:
                _see_loss(protocol)
                transport.abort()
        return super()._close(**options)


class Pool:
    """The one `aiohttp.ClientSession` of a client, opened on first use.

    Attributes:
        wrap: put around the session where it is asked for, such as by a recording.

    Args:
        own: the user's session, which is used and never closed; None opens one.
    """

    def __init__(self, own: HttpSession | None = None) -> None:
        self.wrap: Callable[[Any], Any] | None = None
        self._own = own
        self._http = own
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def http(self) -> HttpSession:
        """The session.

        Raises:
            LocalProtocolError: the client is closed, or belongs to another event loop.
        """
        if self._closed:
            raise LocalProtocolError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise LocalProtocolError(
                "the client belongs to another event loop: build one client for each loop"
            )
        if self._own is not None and self._own.closed:
            raise LocalProtocolError("the session that was given to the client is closed")
        if self._http is None:
            # Open streams hold their connections: a limit would let them starve each other.
            self._http = aiohttp.ClientSession(
                connector=_Connector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
            # It would send a lost DELETE again, unseen, and find nothing; it has no public way.
            self._http._retry_connection = False  # noqa: SLF001
        return self._http if self.wrap is None else self.wrap(self._http)

    async def close(self) -> None:
        """Close the connections; whatever is asked afterwards is told so."""
        self._closed = True
        if self._http is not None and self._own is None:
            await self._http.close()


class _Incoming:
    """The bytes of an answer as they come, from a connection that may break."""

    def __init__(self, response: aiohttp.ClientResponse, request_id: str | None) -> None:
        self._response = response
        self._request_id = request_id
        self._closed = False

    async def next(self) -> bytes:
        """The next bytes; all that arrived before the connection broke, then the error."""
        before, broken = sys.exception(), None
        try:
            arrived = await self._response.content.readany()
        except READING as error:
            arrived = self._arrived()
            words = f"the stream broke: {_words(error)}"
            broken = StreamInterrupted(words, request_id=self._request_id)
            broken.__cause__ = _harmless(error)
            bare(broken, before)
        if broken is not None and not arrived:
            raise broken
        return arrived

    def close(self) -> None:
        """Drop the connection, or give it back where the answer was read to its end."""
        self._closed = True
        self._response.close()

    def _arrived(self) -> bytes:
        """What aiohttp still holds of a broken connection: it raises first, and has no public way.

        A run's last event and a reset often come in one tick: without this the event is lost.
        """
        take = getattr(self._response.content, "_read_nowait", None)
        return b"" if take is None or self._closed else take(-1)


class Answer:
    """One answer, from the moment its head is here.

    Attributes:
        status: of HTTP.
        headers: names in lower case.

    Args:
        response: the answer.
        limit: bytes that a whole body may have.
        request_id: the service's id of the request.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, limit: int, request_id: str | None
    ) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._limit = limit
        self._request_id = request_id

    @property
    def length(self) -> int | None:
        """Bytes of the body, where it says so; what is packed has another length unpacked."""
        return None if "content-encoding" in self.headers else self._response.content_length

    @property
    def is_too_large(self) -> bool:
        """Whether it says so of itself; a stream does not know how long it will be."""
        return (self._response.content_length or 0) > self._limit

    def incoming(self) -> "_Incoming":
        """The bytes of a stream."""
        return _Incoming(self._response, self._request_id)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes of a file.

        Raises:
            TransportError: the connection broke, or was silent for too long.
        """
        failure = None
        try:
            while piece := await self._response.content.readany():
                yield piece
        except READING as error:
            failure = translated(error, None)
        if failure is not None:
            raise failure

    async def read(self, begun: bytes = b"") -> Response:
        """All of it, bounded; what says that it is larger is not read at all.

        Raises:
            ResponseTooLarge: it is too large.
            TransportError: the connection broke, or was silent for too long.
        """
        pieces, size, failure = [begun], len(begun), None
        too_large = self.is_too_large or size > self._limit
        try:
            while not too_large and (piece := await self._response.content.readany()):
                pieces.append(piece)
                size += len(piece)
                too_large = size > self._limit
        except READING as error:
            self._response.close()
            failure = translated(error, None)
        if failure is not None:
            raise failure
        if too_large:
            self._response.close()
            raise ResponseTooLarge(
                f"the answer is larger than Limits.max_response_bytes ({self._limit} bytes)"
            )
        body = b"".join(pieces)
        return Response(status=self.status, headers=self.headers, body=body, at=time.time())

    def close(self) -> None:
        """Drop the connection, or give it back where the answer was read to its end."""
        self._response.close()

    def release(self) -> None:
        """Give the connection back, also where there is something left to read."""
        self._response.release()


class _FilePart(aiohttp.Payload):
    """One file of a form, as aiohttp sends it."""

    def __init__(self, name: str, file: Outgoing, sent: Callable[[], None] | None) -> None:
        super().__init__(file, filename=file.upload.filename)
        self.name = name
        self.file = file
        self._size = file.upload.size
        self._sent = sent

    def set_content_disposition(
        self,
        disptype: str,
        quote_fields: bool = True,
        _charset: str = "utf-8",
        **params: str,
    ) -> None:
        """Name the file as browsers and the official SDK do: as it is, but for quotes."""
        quoted = {key: value.replace('"', "%22") for key, value in params.items()}
        named = [f'{key}="{value}"' for key, value in quoted.items()]
        self.headers["Content-Disposition"] = "; ".join([disptype, *named])

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refused: the whole is never in memory."""
        raise TypeError("a file is not read as a whole")

    async def write(self, writer: aiohttp.abc.AbstractStreamWriter) -> None:
        """Send it."""
        await self.file.send(writer.write)
        if self._sent is not None:
            self._sent()


class Wire:
    """Sends the requests of one provider to one place with one key."""

    def __init__(self, provider: Provider, config: Config, pool: Pool) -> None:
        self._provider = provider
        self._config = config
        self._pool = pool

    async def ask(self, request: Request, told: Telling, silence: float | None) -> Answer:
        """Send it, and wait until the answer begins; no longer than it may be silent.

        Args:
            request: what is sent.
            told: is told of the answer.
            silence: seconds.

        Raises:
            AssistError: no answer began.
        """
        # aiohttp's own timer does not go on after an interim answer such as 100.
        answer = asyncio.timeout(_patience(request, self._config.timeouts.connect, silence))
        try:
            async with answer:
                return await self.send(request, told, silence, answer)
        except TimeoutError as error:
            if not answer.expired():
                raise
            raise RequestTimeout(f"no answer began within {silence} s") from error

    async def send(
        self,
        request: Request,
        told: Telling,
        silence: float | None = None,
        answer: asyncio.Timeout | None = None,
    ) -> Answer:
        """Send it; `answer` is the clock of its answer, which begins when the last file is sent.

        Raises:
            AssistError: there is no answer, or a redirect.
        """
        config = self._config
        clocks = aiohttp.ClientTimeout(
            total=None, connect=config.timeouts.connect, sock_read=silence
        )
        parts = self._parts(request, answer)
        http = self._pool.http()
        failure = None
        try:
            response = await http.request(
                request.method,
                _url(config.base_url, request.path),
                params=request.query or None,
                data=_data(request, parts),
                headers=self._headers(request),
                timeout=clocks,
                proxy=config.proxy,
                ssl=config.ssl,
                allow_redirects=False,
                raise_for_status=False,
                trace_request_ctx=request,  # for the hooks of the user's own session
            )
        except FOREIGN as error:
            failure = next((part.file.failure for part in parts if part.file.failure), None)
            failure = failure or translated(error, clocks)
        if failure is not None:  # outside the handler, so that no exception with headers hangs on
            raise failure
        told.status = response.status
        told.request_id = self._provider.request_id(response.headers)
        if response.status < 200:
            response.close()
            raise RemoteProtocolError(f"{response.status} is no status of an answer")
        _tell_when_lost(response)
        if 300 <= response.status < 400:
            response.close()
            raise UnexpectedRedirect(
                f"the service redirects to {_host(response.headers.get('Location', ''))}; that is "
                "not followed, since it would carry the key elsewhere: check base_url"
            )
        return Answer(response, config.limits.max_response_bytes, told.request_id)

    def _headers(self, request: Request) -> CIMultiDict[str]:
        config = self._config
        headers = CIMultiDict({"User-Agent": USER_AGENT})
        headers.update(self._provider.headers(config.key, config.workspace))
        if request.body is None:
            headers.popall("Content-Type", None)
        headers.update(config.headers)
        headers.update(request.headers)
        if request.form is not None:  # its boundary stands there
            headers.popall("Content-Type", None)
        return headers

    def _parts(self, request: Request, answer: asyncio.Timeout | None) -> list[_FilePart]:
        """The files of a form; when the last one is sent, the clock of the answer begins."""
        files = request.form.files if request.form is not None else ()
        read = self._config.timeouts.read

        def sent() -> None:
            if read is not None and answer is not None:
                with suppress(RuntimeError):  # the answer came before all was sent
                    answer.reschedule(asyncio.get_running_loop().time() + read)

        last = len(files) - 1
        return [
            _FilePart(name, Outgoing(upload, read), sent if i == last else None)
            for i, (name, upload) in enumerate(files)
        ]


def translated(error: Exception, clocks: aiohttp.ClientTimeout | None) -> AssistError:
    """A foreign exception as one of ours, to be raised where no handler adds it again."""
    ours = _ours(error, clocks)
    ours.__cause__ = _harmless(error)
    return ours


def _tell_when_lost(response: aiohttp.ClientResponse) -> None:
    """Have a broken connection end its reads.

    When aiohttp's parser gives up in the middle of an answer, or its session is closed, it drops
    the connection and its timers, and tells nobody who waits for more.
    """
    connection = response.connection
    closed = getattr(connection and connection.protocol, "closed", None)
    content = response.content

    def lost(_closed: asyncio.Future[None]) -> None:
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was dropped"))

    if closed is not None:
        closed.remove_done_callback(_seen)  # one is enough for all answers of a connection
        closed.add_done_callback(_seen)
        closed.add_done_callback(lost)
        content.on_eof(lambda: closed.remove_done_callback(lost) and None)


def _seen(closed: asyncio.Future[None]) -> None:
    """However a connection is lost, a kept one too: whoever uses it is told by the read."""
    if not closed.cancelled():
        closed.exception()


def _patience(request: Request, connect: float | None, silence: float | None) -> float | None:
    """Seconds for a request to be sent and its answer to begin; a form has clocks of its own."""
    if request.form is not None or connect is None or silence is None:
        return None
    return connect + silence + len(request.body or b"") / SLOWEST


def _harmless(error: Exception) -> Exception | None:
    """The exception, unless it holds the request's headers, or a URL, and so a key."""
    return None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error


def _see_loss(protocol: Any) -> None:
    """Nobody waits for this connection to take more: until 3.13 aiohttp would log its loss."""
    waiter = getattr(protocol, "_drain_waiter", None)
    if waiter is not None:
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())


def _host(location: str) -> str:
    """Where a redirect leads."""
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "no URL"


def _ours(error: Exception, clocks: aiohttp.ClientTimeout | None) -> AssistError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        seconds = clocks.connect if clocks else None
        return ConnectError(f"no connection within {seconds} s")
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        limit = f"{clocks.sock_read} s" if clocks else "Timeouts.read"
        return RequestTimeout(f"the service was silent for longer than {limit}")
    if isinstance(error, UNCONNECTED):
        return ConnectError(f"no connection: {_words(error)}")
    if isinstance(error, aiohttp.InvalidURL):
        return ConnectError("no connection: base_url is not a URL")
    return TransportError(f"the connection broke before the answer was whole: {_words(error)}")


def _words(error: Exception) -> str:
    """What a foreign exception says; some say nothing, some too much."""
    said = "" if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return " ".join(said.split()) or type(error).__name__


def _data(
    request: Request, parts: Sequence[_FilePart]
) -> bytes | BytesIO | aiohttp.FormData | None:
    """A body; a large one as a file: aiohttp writes it piece by piece then, and warns of bytes."""
    if request.form is None:
        body = request.body
        return body if body is None or len(body) < LARGE else BytesIO(body)
    # Names are sent as they are, like the official SDK's: quoted ones would be taken literally.
    form = aiohttp.FormData(quote_fields=False)
    for name, value in request.form.fields:
        form.add_field(name, value)
    for part in parts:
        form.add_field(part.name, part, filename=part.file.upload.filename)
    return form


def _url(base: str, path: str) -> URL:
    """The URL as it is: ids in the path are quoted already, and must not be quoted again."""
    return URL(base.rstrip("/") + path, encoded=True)
