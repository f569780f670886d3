"""Bytes in, frames out: the event stream format of the WHATWG, read over bytes.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Linear in the bytes fed, whatever the cuts: pieces of an unfinished line are kept in a list and
joined once, when its end comes. The usual block (an event line, one data line, a blank line) is
taken by one expression; every other goes line by line through the general algorithm.
"""

import re

from msgspec import Struct

from aiodashassist.errors import ResponseTooLarge

__all__ = ("Frame", "SSEParser")

BOM = b"\xef\xbb\xbf"
USUAL = re.compile(rb"event: ?([^\r\n]*)\ndata: ?([^\r\n]*)\n\n")
LINE_END = re.compile(rb"\r\n?|\n")
MAX_DIGITS = 18  # of a retry time: int() refuses a text of thousands of digits


class Frame(Struct, frozen=True, gc=False):
    """One event as framed: its type, its data as bytes, and the last event id."""

    event: str
    data: bytes
    id: str = ""

    @property
    def text(self) -> str:
        """The data as text; what is not UTF-8 becomes U+FFFD, as the standard says."""
        return self.data.decode("utf-8", "replace")


class SSEParser:
    """A push parser: `feed` takes any cut of the stream and returns the frames it completed.

    An event that the stream's end leaves without its blank line is dropped, as the standard says.

    Attributes:
        last_id: the id that the last dispatched block left behind.
        retry: the reconnection time the stream asked for, milliseconds.
    """

    def __init__(self, max_event_bytes: int = 16 * 1024 * 1024) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self._max = max_event_bytes
        self._pieces: list[bytes] = []  # of the line that has no end yet
        self._started = False  # whether the first line, which may bear a BOM, was read
        self._after_cr = False  # a LF that comes now belongs to the CR before it
        self._overflow: ResponseTooLarge | None = None
        self._id = ""
        self._event = b""
        self._data: list[bytes] = []
        self._blank = True  # whether nothing of an event was read since the last blank line
        self._size = 0  # bytes kept for the event under way

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes.

        Raises:
            ResponseTooLarge: an event beyond `max_event_bytes`; once, the frames before it
                were returned.
        """
        if self._overflow is not None:
            raise self._overflow
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            frames: list[Frame] = []
        else:
            if self._pieces:
                self._size -= sum(map(len, self._pieces))
                chunk = b"".join((*self._pieces, chunk))
                self._pieces.clear()
            frames = self._split(chunk)
        if self._overflow is not None and not frames:
            raise self._overflow
        return frames

    def rest(self) -> Frame | None:
        """The event that the stream's end left without its blank line.

        The standard drops it; a wire that ends its streams by closing them may mean it.
        """
        line = b"".join(self._pieces)
        self._pieces.clear()
        self._size -= len(line)
        if line and self._overflow is None:
            self._line(line)
        return self._dispatch() if self._overflow is None else None

    def _split(self, buffer: bytes) -> list[Frame]:
        frames: list[Frame] = []
        position, end = 0, len(buffer)
        usual, line_end = USUAL.match, LINE_END.search
        while position < end:
            if self._blank and self._started and (block := usual(buffer, position)):
                position = block.end()
                name, data = block.groups()
                if block.end() - block.start() - 3 > self._max:  # but for the line ends
                    self._overrun()
                    break
                frames.append(Frame(_text(name) or "message", data, self.last_id))
                continue
            found = line_end(buffer, position)
            if found is None:
                self._keep(buffer[position:])
                break
            frame = self._line(buffer[position : found.start()])
            position = found.end()
            if frame is not None:
                frames.append(frame)
            if self._overflow is not None:
                break
            # A CR that ends the buffer may be half of a CRLF.
            self._after_cr = position == end and buffer.endswith(b"\r")
        return frames

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._max:
                self._overrun()

    def _overrun(self) -> None:
        self._overflow = ResponseTooLarge(
            f"an event is larger than Limits.max_event_bytes ({self._max} bytes)"
        )
        self._pieces.clear()
        self._data.clear()

    def _line(self, line: bytes) -> Frame | None:
        if self._size + len(line) > self._max:
            self._overrun()
            return None
        if not self._started:
            self._started = True
            line = line.removeprefix(BOM)
        if not line:
            return self._dispatch()
        self._blank = False
        name, _, value = line.partition(b":")
        if name in (b"data", b"event"):
            self._size += len(line)
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = _text(value)
        elif name == b"retry" and value.isdigit() and len(value) <= MAX_DIGITS:
            self.retry = int(value)

    def _dispatch(self) -> Frame | None:
        self.last_id = self._id
        frame = None
        if self._data:
            data = b"\n".join(self._data)
            frame = Frame(_text(self._event) or "message", data, self.last_id)
            self._data.clear()
        self._event = b""
        self._blank = True
        self._size = 0
        return frame


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
