"""Executes operations: an operation out, its result in.

What goes over the wire and how it comes, `session.py` knows; when it is sent again, `sending.py`.
Here is what an answer means, the clocks of a call, and what errors say and do not say.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from copy import copy
from typing import Any, TypeVar

from aiodashassist.body import EVENT_STREAM, Body
from aiodashassist.clocks import within
from aiodashassist.config import Config
from aiodashassist.core.failures import dated
from aiodashassist.core.marks import mark_of, marked, marks_in
from aiodashassist.core.models import Run
from aiodashassist.core.operations import (
    CancelRun,
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
    DecodeError,
    FirstEventTimeout,
    RemoteProtocolError,
    RequestTimeout,
    TotalTimeout,
    UnsupportedOperation,
)
from aiodashassist.hooks import Telling
from aiodashassist.sending import Experience, Sending, Unrepeatable
from aiodashassist.session import Answer, Pool, Wire
from aiodashassist.turns import Turns

__all__ = ("Session",)

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A", bound=Operation[Any])

LONGEST_ERROR = 1 << 16  # bytes; an answer to a download that is longer is the file
MOST_TOKENS = 1000  # of plugins' users that are kept out of errors
NO_HEADERS: Mapping[str, str] = {}
RUNS = (CreateRun, CreateThreadAndRun)


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
        self.duties = Duties()
        limits = config.limits
        self.turns = Turns(limits.max_concurrent_requests, limits.requests_per_minute)
        self.experience = Experience(config.retry.budget)
        self.pool = pool
        self._wire = Wire(provider, config, pool)
        self._unsupported: set[type[Operation[Any]]] = set()
        self._tokens: dict[str, None] = {}  # of plugins' users, that were sent; the newest

    def configured(self, config: Config) -> "Session":
        """The same, reached in another way: what is open and what is known is shared."""
        other = copy(self)
        other.config, other._wire = config, Wire(self.provider, config, self.pool)  # noqa: SLF001
        return other

    async def call(self, operation: Operation[T]) -> T:
        """Ask and decode the answer, as often as it takes and may be asked.

        Raises:
            AssistError: every failure is one of ours.
        """
        result: T = await self._through(self.marked(operation), self._call)
        self.experience.known.see(result)
        return result

    async def open(
        self,
        operation: Operation[Run],
        lost: AssistError | None = None,
        sending: Sending | None = None,
    ) -> Body | Run:
        """Ask for a stream; the run itself, where the answer was lost and it was found.

        Args:
            operation: what is asked for, marked already.
            lost: how a stream that this had opened broke before the run was known.
            sending: it on its way, for whoever wants to know how far it has come.

        Raises:
            AssistError: every failure is one of ours; FirstEventTimeout if no answer begins.
        """
        way = sending or self.sending(operation)
        with self._locating(operation):
            opened: Body | Run = await way.through(lambda n: self._open(operation, n, way), lost)
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
        return marked(operation, uuid.uuid4().hex)

    async def _through(
        self, operation: Operation[Any], once: Callable[[Any, int], Awaitable[R]]
    ) -> R | Any:
        """Have an operation answered within the total time."""
        total = within(self.config.timeouts.total, TotalTimeout, "the call took longer than")
        with self._locating(operation):
            async with total:
                return await self.sending(operation).through(lambda n: once(operation, n))

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

    def sending(self, operation: Operation[Any]) -> Sending:
        """An operation on its way, as often as it takes."""
        size = self.provider.largest_page
        return Sending(operation, self.config.retry, self.experience, self._seen, size)

    async def _seen(self, operation: Operation[Any]) -> Seen:
        """A look at what is there, for an inquiry."""
        seen: Seen = await self.sending(operation).through(lambda n: self._look(operation, n))
        return seen

    async def _look(self, operation: Operation[Any], attempt: int) -> Seen:
        response, result = await self._answer(operation, attempt)
        is_list = isinstance(operation, ListOperation)
        return Seen(result, marks_in(response.body) if is_list else (), dated(response) * 1000)

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
        request = self._request(operation)
        async with self.turns.turn(urgent=isinstance(operation, CancelRun)):
            with self._asking(operation, request, attempt) as told:
                answer = await self._wire.ask(request, told, silence)
                try:
                    response = await answer.read()
                finally:
                    answer.release()
                self._raise_error(operation, response)
                result = self._decoded(operation, response)
                told.request_id = getattr(result, "request_id", None) or told.request_id
                return response, result

    async def _open(self, operation: Operation[Run], attempt: int, sending: Sending) -> Body:
        """One attempt at a stream."""
        first_event = self.config.timeouts.first_event
        request = self._request(operation)
        async with self.turns.turn():
            sending.leaves()
            began = asyncio.get_running_loop().time()
            with self._asking(operation, request, attempt) as told:
                async with within(first_event, FirstEventTimeout, "no answer began within"):
                    answer = await self._wire.send(request, told)
                if answer.status != 200 or answer.is_too_large:
                    with closing(answer):
                        raise await self._no_stream(operation, answer)

                async def unframed(begun: bytes) -> AssistError:
                    error = await self._no_stream(operation, answer, begun)
                    return self._located(error, operation, request.headers, told.request_id)

                waited = asyncio.get_running_loop().time() - began
                body = Body(answer.incoming(), answer.headers, waited, unframed)
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
        arrived = False
        request = self._request(operation)
        try:
            with self._asking(operation, request, attempt) as told:
                async with self.turns.turn():  # whoever takes the bytes may ask for more
                    answer = await self._wire.send(request, told, self.config.timeouts.read)
                with closing(answer):
                    async with aclosing(answer.pieces()) as pieces:
                        arrival = await self._arrival(operation, answer, pieces)
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

    def _request(self, operation: Operation[Any]) -> Request:
        """The request for an operation; what cannot be asked, or not here, takes no turn."""
        self._check_supported(operation)
        request = self.provider.encode(operation)
        self._learn(request)
        self.pool.http()
        return request

    @contextmanager
    def _asking(
        self, operation: Operation[Any], request: Request, attempt: int
    ) -> Iterator[Telling]:
        """A request for an operation; hooks are told of it, and errors where they happened."""
        before = sys.exception()
        told = Telling(self.config.on_request, self.config.on_response, request, attempt)
        try:
            with told:
                yield told
        except AssistError as error:
            bare(error, before)
            self._located(error, operation, request.headers, told.request_id)
            raise

    async def _arrival(
        self, operation: Operation[Any], answer: Answer, pieces: AsyncGenerator[bytes, None]
    ) -> Arrival:
        """Bytes that are no error; where they may be one, the provider sees the first of them."""
        headers, status = answer.headers, answer.status
        if status != 200:
            self._raise_error(operation, await answer.read())
            raise RemoteProtocolError(f"expected a file, got status {status}")
        begun = b""
        while not self.provider.is_file(headers, begun) and len(begun) <= LONGEST_ERROR:
            piece = await anext(pieces, b"")
            begun += piece
            if not piece:
                self._raise_error(operation, Response(status=status, headers=headers, body=begun))
                break
        return Arrival(headers=headers, size=answer.length, pieces=_after(begun, pieces))

    async def _no_stream(
        self, operation: Operation[Any], answer: Answer, begun: bytes = b""
    ) -> AssistError:
        """The error for an answer that is no event stream."""
        try:
            read = self.config.timeouts.read
            async with within(read, RequestTimeout, "the answer was not complete within"):
                whole = await answer.read(begun)
            self._raise_error(operation, whole)
        except AssistError as error:
            return error
        kind = answer.headers.get("content-type") or "no type"
        told = f"status {answer.status} and {kind}"
        if answer.status == 200 and EVENT_STREAM in kind.lower():
            told = "an answer without a frame that says it is one"
        return RemoteProtocolError(f"expected an event stream, got {told}")

    def _raise_error(self, operation: Operation[Any], response: Response) -> None:
        error = self.provider.error(operation, response)
        if error is None:
            return
        shown = without(response, self._secrets(_headers(operation)))
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
        shown = without(response, self._secrets(_headers(operation)))
        return self.provider.decode(operation, shown)

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
        for token in tokens_in(request.body):
            self._tokens.pop(token, None)
            self._tokens[token] = None
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
            run_id=_id(operation, "run_id"),
            thread_id=_id(operation, "thread_id"),
            request_id=request_id,
        )

    def _check_supported(self, operation: Operation[Any]) -> None:
        if type(operation) in self._unsupported:
            raise self._unsupported_error(operation)

    def _unsupported_error(self, operation: Operation[Any]) -> UnsupportedOperation:
        name = type(operation).__name__
        return UnsupportedOperation(f"this {self.provider.name} service has no {name}")


async def _after(begun: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """What was read already, and then the rest."""
    if begun:
        yield begun
    async for piece in pieces:
        yield piece


def _headers(operation: Operation[Any]) -> Mapping[str, str]:
    """The caller's own headers of an operation; they may hold another key."""
    parts = (getattr(operation, name, NO_HEADERS) for name in ("extras", "params", "page"))
    given = next(filter(None, (part.get("extra_headers") for part in parts)), None)
    return given if isinstance(given, Mapping) else NO_HEADERS


def _id(operation: Operation[Any], name: str) -> str | None:
    """An id of an operation; what was given for one and is no text, errors do not have."""
    value = getattr(operation, name, None)
    return value if isinstance(value, str) else None
