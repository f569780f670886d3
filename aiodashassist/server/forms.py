"""Forms with files, read from a request piece by piece: the files go to the disk as they come."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from aiodashassist.core.disposition import parameters
from aiodashassist.core.files import Form, Upload
from aiodashassist.core.provider import Refusal
from aiodashassist.server.disk import Disk

__all__ = ("patiently", "read_form")

T = TypeVar("T")

PATIENCE = 60.0  # seconds for a piece; a broken chunk is not told, the body then just stops
PIECE = 64 * 1024  # bytes read at a time
MAX_FIELD = 64 * 1024  # bytes of a text field
MAX_PARTS = 100
BROKEN = (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError)


async def read_form(request: web.Request, disk: Disk) -> Form:
    """A `multipart/form-data` body; what came before a refusal is not kept.

    Raises:
        Refusal: it is no such body, or a broken one.
    """
    parts = _reader(request)
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, Upload]] = []
    try:
        while (found := await patiently(parts.next())) is not None:
            part = _checked(found, len(fields) + len(files))
            name, filename = _names(part)
            if filename is None:
                fields.append((name, await _text(part)))
            else:
                files.append((name, await disk.write(filename, _pieces(part))))
    except BaseException as error:
        disk.discard(Form(files=tuple(files)))
        if isinstance(error, BROKEN):
            raise Refusal("invalid") from error
        raise
    return Form(fields=tuple(fields), files=tuple(files))


async def patiently(reading: Coroutine[Any, Any, T]) -> T:
    """What a client has still to send.

    Raises:
        Refusal: it was silent for too long.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            return await reading
    except TimeoutError:
        raise Refusal("invalid", f"Nothing more of the body came for {PATIENCE:g} s.") from None


class _Part(BodyPartReader):
    """A part whose own length is left alone: the boundary ends it (RFC 7578 §4.8)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "subtype": "form-data"})


class _Parts(MultipartReader):
    part_reader_cls = _Part


def _reader(request: web.Request) -> _Parts:
    kind, semicolon, rest = request.headers.get("Content-Type", "").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise Refusal("invalid")
    try:
        # Of a form aiohttp would read the names itself, and warn of many that are good.
        return _Parts({"Content-Type": f"multipart/mixed{semicolon}{rest}"}, request.content)
    except ValueError as error:
        raise Refusal("invalid") from error


def _checked(part: object, before: int) -> BodyPartReader:
    if not isinstance(part, BodyPartReader):  # a multipart inside
        raise Refusal("invalid")
    if before >= MAX_PARTS:
        raise Refusal("too_large")
    return part


def _names(part: BodyPartReader) -> tuple[str, str | None]:
    """The name of a part and that of its file, where it is one."""
    found = parameters(part.headers.get("Content-Disposition", ""))
    if not found.get("name"):
        raise Refusal("invalid")
    filename = found.get("filename")
    return found["name"], filename if filename is None else _last_segment(filename)


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await patiently(part.read_chunk(PIECE)):
        yield piece


async def _text(part: BodyPartReader) -> str:
    found = b""
    async for piece in _pieces(part):
        found += piece
        if len(found) > MAX_FIELD:
            raise Refusal("too_large", f"A field of the form is larger than {MAX_FIELD} bytes.")
    return found.decode()


def _last_segment(filename: str) -> str:
    """A name without folders, which are the sender's business; never empty."""
    name = re.split(r"[/\\]", filename)[-1].encode("utf-8", "replace").decode()
    return name or "file"
