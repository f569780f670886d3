"""The only room of the client that does I/O: operations out, results and bytes in.

The only client import of aiohttp. Foreign exceptions are translated here and nowhere else, every
clock but the stream's is here, and the key is put on a request here, just before it leaves.
"""

import asyncio
import sys
import time
import uuid
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, contextmanager, suppress
from copy import copy
from io import BytesIO
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiodashassist.body import EVENT_STREAM, Body
from aiodashassist.clocks import within
from aiodashassist.config import Config
from aiodashassist.core.marks import mark_of, marked, marks_in
from aiodashassist.core.models import Run
from aiodashassist.core.operations import (
    CreateRun,
    CreateThreadAndRun,
    ListOperation,
    Operation,
)
from aiodashassist.core.provider import Provider, Request, Response
from aiodashassist.core.reconcile import Seen
from aiodashassist.discretion import bare, secrets_in, tokens_in, without
from aiodashassist.downloads import Arrival
from aiodashassist.duties import Duties
from aiodashassist.errors import (
    AssistError,
    ConnectError,
    DecodeError,
    FirstEventTimeout,
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    ResponseTooLarge,
    StreamInterrupted,
    TotalTimeout,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
)
from aiodashassist.hooks import Telling
from aiodashassist.sending import Experience, Sending, Unrepeatable
from aiodashassist.turns import Turns
from aiodashassist.uploads import Outgoing

__all__ = ("HttpSession", "Pool", "Session", "translated")

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A", bound=Operation[Any])

HttpSession: TypeAlias = aiohttp.ClientSession

USER_AGENT = "aiodashassist"
LARGE = 1 << 20  # bytes
LONGEST_ERROR = 1 << 16  # bytes; an answer to a download that is longer is the file
MOST_TOKENS = 100  # of plugins' users that are kept out of errors
SLOWEST = 16 * 1024  # bytes a second, at which a body may be taken
FOREIGN = (aiohttp.ClientError, OSError, ValueError)  # ValueError: a header that cannot be sent
READING = (*FOREIGN, RuntimeError)  # the last for a connection that aiohttp has just given up
UNCONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientProxyConnectionError,
    ConnectionRefusedError,
)
NO_HEADERS: Mapping[str, str] = {}
RUNS = (CreateRun, CreateThreadAndRun)


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


class Session:
    """One provider at one place with one key: executes operations.

    Attributes:
        duties: what must still be done before the connections are closed.
        turns: how many requests there are at a time.
        experience: what was learned from the requests before.
    """

    def __init__(self, provider: Provider, config: Config, pool: Pool) -> None:
        self.provider = provider
        self.config = config
        self.pool = pool
        self.duties = Duties()
        limits = config.limits
        self.turns = Turns(limits.max_concurrent_requests, limits.requests_per_minute)
        self.experience = Experience(config.retry.budget)
        self._unsupported: set[type[Operation[Any]]] = set()
        self._tokens: dict[str, None] = {}  # of plugins' users, that were sent; the newest

    def configured(self, config: Config) -> "Session":
        """The same, reached in another way: what is open and what is known is shared."""
        other = copy(self)
        other.config = config
        return other

    async def call(self, operation: Operation[T]) -> T:
        """Ask and decode the answer, as often as it takes and may be asked.

        Raises:
            AssistError: every failure is one of ours.
        """
        result: T = await self._through(self.marked(operation), self._call)
        self.experience.known.see(result)
        return result

    async def open(self, operation: Operation[Run], lost: AssistError | None = None) -> Body | Run:
        """Ask for a stream; the run itself, where the answer was lost and it was found.

        Args:
            operation: what is asked for, marked already.
            lost: how a stream that this had opened broke before the run was known.

        Raises:
            AssistError: every failure is one of ours; FirstEventTimeout if no answer begins.
        """
        sending = self._sending(operation)
        with self._locating(operation):
            opened: Body | Run = await sending.through(lambda n: self._open(operation, n), lost)
        return opened

    async def fetch(self, operation: Operation[T], take: Callable[[Arrival], Awaitable[R]]) -> R:
        """Ask for bytes, and have `take` take them as they come; what it raises is the caller's.

        Raises:
            AssistError: every failure of the call is one of ours.
        """
        try:
            result: R = await self._through(operation, lambda op, n: self._fetch(op, n, take))
        except Unrepeatable as late:
            failure = late.error
        else:
            return result
        raise failure

    def marked(self, operation: A) -> A:
        """The operation, with what it is found by should its answer be lost."""
        if not self.config.retry.reconcile or type(operation) not in self.provider.marks:
            return operation
        return operation if mark_of(operation) else marked(operation, uuid.uuid4().hex)

    async def _through(
        self, operation: Operation[Any], once: Callable[[Any, int], Awaitable[R]]
    ) -> R | Any:
        """Have an operation answered within the total time."""
        total = within(self.config.timeouts.total, TotalTimeout, "the call took longer than")
        with self._locating(operation):
            async with total:
                return await self._sending(operation).through(lambda n: once(operation, n))

    @contextmanager
    def _locating(self, operation: Operation[Any]) -> Iterator[None]:
        """Have errors tell where they happened, and show nothing of the frames beneath."""
        before = sys.exception()
        try:
            yield
        except AssistError as error:
            bare(error, before)
            self._located(error, operation, NO_HEADERS, None)
            raise

    def _sending(self, operation: Operation[Any]) -> Sending:
        size = self.provider.largest_page
        return Sending(operation, self.config.retry, self.experience, self._seen, size)

    async def _seen(self, operation: Operation[Any]) -> Seen:
        """A look at what is there, for an inquiry."""
        seen: Seen = await self._sending(operation).through(lambda n: self._look(operation, n))
        return seen

    async def _look(self, operation: Operation[Any], attempt: int) -> Seen:
        response, result = await self._answer(operation, attempt)
        is_list = isinstance(operation, ListOperation)
        return Seen(result, marks_in(response.body) if is_list else ())

    async def _call(self, operation: Operation[T], attempt: int) -> T:
        response, result = await self._answer(operation, attempt)
        mark = mark_of(operation)
        if mark is not None and mark.encode() not in response.body:
            self.experience.unkept.add(type(operation))
        return result

    async def _answer(self, operation: Operation[T], attempt: int) -> tuple[Response, T]:
        """One attempt at a call: the answer, and what it decodes into."""
        timeouts = self.config.timeouts
        # The answer to such a call comes when the run rests, which may take a while.
        waits = self.provider.blocks and isinstance(operation, RUNS)
        silence = timeouts.idle if waits else timeouts.read
        clocks = aiohttp.ClientTimeout(total=None, connect=timeouts.connect, sock_read=silence)
        async with self.turns.turn():
            with self._asking(operation, attempt) as (request, told):
                response = await self._exchange(request, clocks, told)
                self._raise_error(operation, response)
                result = self._decoded(operation, response)
                told.request_id = getattr(result, "request_id", None) or told.request_id
                return response, result

    async def _open(self, operation: Operation[Run], attempt: int) -> Body:
        """One attempt at a stream."""
        timeouts = self.config.timeouts
        clocks = aiohttp.ClientTimeout(total=None, connect=timeouts.connect)
        async with self.turns.turn():
            began = asyncio.get_running_loop().time()
            with self._asking(operation, attempt) as (request, told):
                late = within(timeouts.first_event, FirstEventTimeout, "no answer began within")
                async with late:
                    response = await self._send(request, clocks, told)
                if response.status != 200 or self._is_too_large(response):
                    with _closing(response):
                        raise await self._no_stream(operation, response, b"")

                async def unframed(begun: bytes) -> AssistError:
                    error = await self._no_stream(operation, response, begun)
                    return self._located(error, operation, request.headers, told.request_id)

                waited = asyncio.get_running_loop().time() - began
                incoming = _Incoming(response, told.request_id)
                body = Body(incoming, _lower(response), waited, unframed)
                if not body.is_labelled:
                    await self._look_ahead(body)
                    body.waited = asyncio.get_running_loop().time() - began
        return body

    async def _fetch(
        self,
        operation: Operation[Any],
        attempt: int,
        take: Callable[[Arrival], Awaitable[R]],
    ) -> R:
        """One attempt at bytes; there is no other when some of them have been taken."""
        timeouts = self.config.timeouts
        clocks = aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, sock_read=timeouts.read
        )
        arrived = False
        try:
            async with self.turns.turn():
                with self._asking(operation, attempt) as (request, told):
                    response = await self._send(request, clocks, told)
                    with _closing(response):
                        async with aclosing(_pieces(response)) as pieces:
                            arrival = await self._arrival(operation, response, pieces)
                            arrived = True
                            return await take(arrival)
        except AssistError as error:
            if not arrived:
                raise
            failure = error
        raise Unrepeatable(failure)

    async def _look_ahead(self, body: Body) -> None:
        """Look at an answer of another type, so that an error is told before it is iterated."""
        limit = self.config.timeouts.first_event
        rest = None if limit is None else max(0, limit - body.waited)
        try:
            async with within(rest, FirstEventTimeout, "after its head nothing came for"):
                await body.begin()
        except BaseException:
            body.close()
            raise

    @contextmanager
    def _asking(self, operation: Operation[Any], attempt: int) -> Iterator[tuple[Request, Telling]]:
        """The request for an operation; hooks are told of it, and errors where they happened."""
        self._check_supported(operation)
        before = sys.exception()
        request = self.provider.encode(operation)
        self._learn(request)
        told = Telling(self.config.on_request, self.config.on_response, request, attempt)
        try:
            with told:
                yield request, told
        except AssistError as error:
            bare(error, before)
            self._located(error, operation, request.headers, told.request_id)
            raise

    async def _arrival(
        self,
        operation: Operation[Any],
        response: aiohttp.ClientResponse,
        pieces: AsyncGenerator[bytes, None],
    ) -> Arrival:
        """Bytes that are no error; where they may be one, the provider sees the first of them."""
        headers, status = _lower(response), response.status
        if status != 200:
            self._raise_error(operation, await self._read(response))
            raise RemoteProtocolError(f"expected a file, got status {status}")
        # What is packed on its way has another length than what is written.
        size = None if "content-encoding" in headers else response.content_length
        begun = b""
        while not self.provider.is_file(headers, begun) and len(begun) <= LONGEST_ERROR:
            piece = await anext(pieces, b"")
            begun += piece
            if not piece:
                self._raise_error(operation, Response(status=status, headers=headers, body=begun))
                break
        return Arrival(headers=headers, size=size, pieces=_after(begun, pieces))

    def _is_too_large(self, response: aiohttp.ClientResponse) -> bool:
        """Whether an answer says so of itself; a stream does not know how long it will be."""
        return (response.content_length or 0) > self.config.limits.max_response_bytes

    async def _no_stream(
        self, operation: Operation[Any], response: aiohttp.ClientResponse, begun: bytes
    ) -> AssistError:
        """The error for an answer that is no event stream."""
        try:
            read = self.config.timeouts.read
            async with within(read, RequestTimeout, "the answer was not complete within"):
                answer = await self._read(response, begun)
            self._raise_error(operation, answer)
        except AssistError as error:
            return error
        kind = response.headers.get("Content-Type") or "no type"
        told = f"status {response.status} and {kind}"
        if response.status == 200 and EVENT_STREAM in kind.lower():
            told = "an answer without a frame that says it is one"
        return RemoteProtocolError(f"expected an event stream, got {told}")

    async def _exchange(
        self, request: Request, clocks: aiohttp.ClientTimeout, told: Telling
    ) -> Response:
        # aiohttp's own timer does not go on after an interim answer such as 100.
        answer = asyncio.timeout(_patience(request, clocks))
        try:
            async with answer:
                response = await self._send(request, clocks, told, answer)
        except TimeoutError as error:
            if not answer.expired():
                raise
            raise RequestTimeout(f"no answer began within {clocks.sock_read} s") from error
        try:
            return await self._read(response)
        finally:
            response.release()

    async def _send(
        self,
        request: Request,
        clocks: aiohttp.ClientTimeout,
        told: Telling,
        answer: asyncio.Timeout | None = None,
    ) -> aiohttp.ClientResponse:
        config = self.config
        parts = self._parts(request, answer)
        http = self.pool.http()
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
        told.request_id = self.provider.request_id(response.headers)
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
        return response

    def _headers(self, request: Request) -> CIMultiDict[str]:
        config = self.config
        headers = CIMultiDict({"User-Agent": USER_AGENT})
        headers.update(self.provider.headers(config.key, config.workspace))
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
        read = self.config.timeouts.read

        def sent() -> None:
            if read is not None and answer is not None:
                with suppress(RuntimeError):  # the answer came before all was sent
                    answer.reschedule(asyncio.get_running_loop().time() + read)

        last = len(files) - 1
        return [
            _FilePart(name, Outgoing(upload, read), sent if i == last else None)
            for i, (name, upload) in enumerate(files)
        ]

    async def _read(self, response: aiohttp.ClientResponse, begun: bytes = b"") -> Response:
        """A whole answer, bounded; one that says it is larger is not read at all."""
        limit = self.config.limits.max_response_bytes
        pieces, size, failure = [begun], len(begun), None
        too_large = self._is_too_large(response) or size > limit
        try:
            while not too_large and (piece := await response.content.readany()):
                pieces.append(piece)
                size += len(piece)
                too_large = size > limit
        except READING as error:
            response.close()
            failure = translated(error, None)
        if failure is not None:
            raise failure
        if too_large:
            response.close()
            raise ResponseTooLarge(
                f"the answer is larger than Limits.max_response_bytes ({limit} bytes)"
            )
        return Response(
            status=response.status,
            headers=_lower(response),
            body=b"".join(pieces),
            at=time.time(),
        )

    def _raise_error(self, operation: Operation[Any], response: Response) -> None:
        error = self.provider.error(operation, response)
        if error is None:
            return
        shown = without(response, self._secrets())
        if shown is not response:
            error = self.provider.error(operation, shown) or error
        if self.provider.unsupported(operation, error):
            self._unsupported.add(type(operation))
            told = self._unsupported_error(operation)
            raise told.located(request_id=error.request_id) from error
        raise error

    def _decoded(self, operation: Operation[T], response: Response) -> T:
        """The result; an error, which shows how the answer begins, is of one without a key."""
        with suppress(DecodeError):
            return self.provider.decode(operation, response)
        return self.provider.decode(operation, without(response, self._secrets()))

    def scrub(self, error: AssistError, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Take the key out of an error, should the service have quoted it.

        Also the one that stands in a header of the user's own.
        """
        for secret in self._secrets(headers):
            error.forget(secret)

    def _secrets(self, headers: Mapping[str, str] = NO_HEADERS) -> list[str]:
        config = self.config
        return secrets_in(config.key, (*config.headers.items(), *headers.items()), self._tokens)

    def _learn(self, request: Request) -> None:
        """Take note of the tokens that a request carries: a service may quote them later."""
        self._tokens.update(dict.fromkeys(tokens_in(request.body)))
        while len(self._tokens) > MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]

    def _located(
        self,
        error: AssistError,
        operation: Operation[Any],
        headers: Mapping[str, str],
        request_id: str | None,
    ) -> AssistError:
        self.scrub(error, headers)
        return error.located(
            run_id=getattr(operation, "run_id", None),
            thread_id=getattr(operation, "thread_id", None),
            request_id=request_id,
        )

    def _check_supported(self, operation: Operation[Any]) -> None:
        if type(operation) in self._unsupported:
            raise self._unsupported_error(operation)

    def _unsupported_error(self, operation: Operation[Any]) -> UnsupportedOperation:
        name = type(operation).__name__
        return UnsupportedOperation(f"this {self.provider.name} service has no {name}")


def _lower(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer as they come."""
    failure = None
    try:
        while piece := await response.content.readany():
            yield piece
    except READING as error:
        failure = translated(error, None)
    if failure is not None:
        raise failure


async def _after(begun: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """What was read already, and then the rest."""
    if begun:
        yield begun
    async for piece in pieces:
        yield piece


@contextmanager
def _closing(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Drop the connection afterwards, or give it back where the answer was read to its end."""
    try:
        yield
    finally:
        response.close()


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


def _patience(request: Request, clocks: aiohttp.ClientTimeout) -> float | None:
    """Seconds for a request to be sent and its answer to begin; a form has clocks of its own."""
    if request.form is not None or clocks.connect is None or clocks.sock_read is None:
        return None
    return clocks.connect + clocks.sock_read + len(request.body or b"") / SLOWEST


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
