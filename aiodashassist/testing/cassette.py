"""What a recording is, and how it stands in a file: JSON that people can read."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol, Self, TypeAlias

import msgspec
from msgspec import Struct, field

from aiodashassist.core.provider import Request
from aiodashassist.errors import ConfigError
from aiodashassist.testing.scrubbing import Scrubber

__all__ = (
    "Answered",
    "Asked",
    "Body",
    "Cassette",
    "CassetteError",
    "Exchange",
    "Exchanges",
    "Failed",
    "FormFile",
    "FormSent",
    "NotRecorded",
)

VERSION = 1
ESCAPED = "surrogateescape"  # how aiohttp puts bytes that are no UTF-8 into a text
NUMBERS = re.compile(rb"\[\n[\s\d.,e+-]+\]")  # no string has a line break in JSON
PRIVATE = 0o600  # a new file is its owner's alone: it holds what was said
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

End: TypeAlias = Literal["whole", "broken", "silent", "left"]
Failing: TypeAlias = Literal["refused", "lost", "silent", "left"]


class CassetteError(ConfigError):
    """A file that is no cassette, or one that does not fit the client."""


class NotRecorded(CassetteError):
    """A request that the cassette has no answer for, or none that was not given yet.

    It names the request, and the field that is another than recorded, and shows nothing of either.
    """


class Body(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes: lines of text with their line breaks where they are UTF-8, else base64."""

    text: tuple[str, ...] = ()
    base64: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """These bytes."""
        try:
            lines = data.decode().split("\n")
        except UnicodeDecodeError:
            return cls(base64=data)
        ended = (*(line + "\n" for line in lines[:-1]), lines[-1])
        return cls(text=tuple(line for line in ended if line))

    @property
    def data(self) -> bytes:
        """The bytes."""
        return self.base64 or "".join(self.text).encode()


class FormFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that was uploaded, without its bytes; `size` is None where it was not known."""

    field: str
    filename: str
    size: int | None = None


class FormSent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A form as it was sent."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FormFile, ...] = ()


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request without its headers; the path is below the client's base URL."""

    operation: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Body | None = None
    form: FormSent | None = None

    @classmethod
    def of(cls, request: Request, scrubber: Scrubber) -> Self:
        """This request, without secrets in whatever a person may have put into it."""
        form = None
        if request.form is not None:
            files = (
                FormFile(field=name, filename=scrubber.text(file.filename), size=file.size)
                for name, file in request.form.files
            )
            fields = ((name, scrubber.named(name, value)) for name, value in request.form.fields)
            form = FormSent(fields=tuple(fields), files=tuple(files))
        return cls(
            operation=request.operation,
            method=request.method,
            path=scrubber.text(request.path),
            query={name: scrubber.named(name, value) for name, value in request.query.items()},
            body=None if request.body is None else Body.of(scrubber.data(request.body)),
            form=form,
        )


class Answered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer; times are seconds since the request, there only if they were asked for.

    Attributes:
        status: of HTTP.
        headers: without cookies and whatever else is named like a secret.
        raw_headers: those that are no UTF-8, such as the name of a file in another encoding.
        body: as far as it was read.
        chunks: bytes of each piece in which it came; empty where it came as one.
        waits: chunk -> exchange: a piece (or, beyond the last, the end) that came only after
            another request was sent, both counted from 0. So tool outputs come before what is
            said of them.
        end: `whole`, `broken` off by the connection, `silent` for too long, or `left` by us.
        words: how it broke.
        began: when its head came.
        times: when each piece came.
        ended: when the end came.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    raw_headers: dict[str, bytes] = field(default_factory=dict)
    body: Body = field(default_factory=Body)
    chunks: tuple[int, ...] = ()
    waits: dict[int, int] = field(default_factory=dict)
    end: End = "whole"
    words: str = ""
    began: float = 0.0
    times: tuple[float, ...] = ()
    ended: float = 0.0

    def all_headers(self) -> dict[str, str]:
        """The headers as aiohttp gives them."""
        raw = self.raw_headers.items()
        return {**self.headers, **{name: value.decode(errors=ESCAPED) for name, value in raw}}

    def pieces(self) -> list[bytes]:
        """The body as it came."""
        data, start, found = self.body.data, 0, []
        for size in self.chunks or (len(data),):
            found.append(data[start : start + size])
            start += size
        return [piece for piece in found if piece]


class Failed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That no answer came.

    Attributes:
        kind: the connection was `refused` or `lost`, the service `silent`, or nobody waited on.
        words: what was said of it.
        after: seconds since the request, if times were asked for.
    """

    kind: Failing
    words: str = ""
    after: float = 0.0


class Exchange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request, and its answer or why there was none."""

    request: Asked
    answer: Answered | None = None
    failure: Failed | None = None


class Exchanges(Protocol):
    """Exchanges, and how many there are, which costs less."""

    def __iter__(self) -> Iterator[Exchange]: ...
    def __len__(self) -> int: ...


class _File(Struct, frozen=True, kw_only=True):
    cassette: int
    provider: str
    exchanges: tuple[Exchange, ...]


class Cassette:
    """A recorded conversation: every request in the order sent, and what was answered.

    It holds what was said, but no headers of requests, no keys, no users' tokens and no cookies.

    Args:
        provider: whose wire it is.
        exchanges: all of them; while it is recorded there are ever more.
    """

    def __init__(self, provider: str, exchanges: Exchanges) -> None:
        self.provider = provider
        self._exchanges = exchanges

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file.

        Raises:
            CassetteError: it is no cassette, or of a version that is not known.
            OSError: it cannot be read.
        """
        try:
            found = msgspec.json.decode(Path(path).read_bytes(), type=_File)
        except BROKEN as error:
            raise CassetteError(f"{os.fspath(path)} is no cassette: {error}") from error
        if found.cassette != VERSION:
            raise CassetteError(f"{os.fspath(path)} is a cassette of version {found.cassette}")
        for number, exchange in enumerate(found.exchanges):
            if (fault := _fault(exchange, len(found.exchanges))) is not None:
                raise CassetteError(f"{os.fspath(path)}: exchange {number} {fault}")
        return cls(found.provider, found.exchanges)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, which is for its owner alone if it is new; folders are made.

        Raises:
            OSError: it cannot be written.
        """
        content = _File(cassette=VERSION, provider=self.provider, exchanges=self.exchanges)
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        text = NUMBERS.sub(lambda found: b" ".join(found[0].split()), text)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb", opener=_opened) as file:
            file.write(text + b"\n")

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All of them, in the order of their requests.

        Of a recording they are made anew, without secrets, each time: keep them in a variable.
        """
        return tuple(self._exchanges)

    def __repr__(self) -> str:
        return f"Cassette({self.provider}, {len(self._exchanges)} exchanges)"


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


def _fault(exchange: Exchange, count: int) -> str | None:
    """What does not fit together, should somebody have written it by hand."""
    answer = exchange.answer
    if (answer is None) == (exchange.failure is None):
        return "needs an answer or a failure"
    if answer is None:
        return None
    if answer.chunks and sum(answer.chunks) != len(answer.body.data):
        return "has chunks that are not as long as its body"
    if answer.times and len(answer.times) != len(answer.pieces()):
        return "has not a time for each chunk"
    if any(not 0 <= number < count for number in answer.waits.values()):
        return "waits for an exchange that there is not"
    return None
