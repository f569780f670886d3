"""What must not be on a cassette: keys, tokens, passwords, cookies, in whatever spelling.

A blot is as long as what it covers, so that a body keeps its length, and so do its chunks.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from aiodashassist.discretion import NAMED_SECRET, SHORTEST

__all__ = ("Scrubber", "without_secrets")

# Fields of a body are named more carefully than headers and queries: there are tools that look for
# a `keyword` or an `author`. How deep a JSON text is inside of JSON texts is told by the
# backslashes before its quotes.
FIELD = re.compile(
    rb'(\\{0,63})"(?:[^"\\\n]|\\{1,8}u){0,64}'
    rb"(?i:token|secret|passwd|password|api[_-]?key|access[_-]?key|private[_-]?key"
    rb'|authorization|cookie|credentials?|signature)\1"\s*:\s*\1"'
)
QUOTE = re.compile(rb'(?<!\\)\\*"|\n')
STRING = re.compile(rb'"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)
SPELLED = re.compile(
    rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]+",
    re.DOTALL,
)
SHORT = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that may be kept."""
    return {name: value for name, value in headers.items() if not NAMED_SECRET.search(name)}


class Scrubber:
    """Blots out what it has been told is secret."""

    def __init__(self) -> None:
        self._secrets: dict[str, re.Pattern[bytes]] = {}

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take what stands in headers of a request that are named like a secret."""
        for name, value in headers.items():
            if NAMED_SECRET.search(name):
                self._add(value.rpartition(" ")[2])
            if "cookie" in name.lower():
                for cookie in value.split(";"):
                    self._add(cookie.partition("=")[2].strip())

    def learn_named(self, fields: Iterable[tuple[str, str]]) -> None:
        """Take what stands in a query or a form under names of secrets."""
        for name, value in fields:
            if NAMED_SECRET.search(name):
                self._add(value)

    def learn_body(self, data: bytes) -> None:
        """Take what a body has under names of secrets, as tokens of users (dashscope.md §3.9)."""
        for value in _values(data):
            said = data[value.start : value.end]
            for _ in range((value.slashes + 1).bit_length()):
                said = _decoded(said).encode(errors="surrogatepass")
            self._add(said.decode(errors="surrogatepass"))

    def data(self, data: bytes) -> bytes:
        """A body without them."""
        spans = [(value.start, value.end) for value in _values(data)]
        for pattern in self._secrets.values():
            spans += [found.span() for found in pattern.finditer(data)]
        return _blotted(data, [*spans, *_scattered(data, self._secrets)])

    def text(self, text: str) -> str:
        """A text without them; what cannot be written as UTF-8 is a question mark."""
        return self.data(text.encode(errors="replace")).decode()

    def named(self, name: str, text: str) -> str:
        """What a query or a form has under this name, without them."""
        return "*" * len(text) if NAMED_SECRET.search(name) else self.text(text)

    def _add(self, secret: str) -> None:
        if len(secret) >= SHORTEST and secret not in self._secrets:
            self._secrets[secret] = re.compile(b"".join(map(_spellings, secret)), re.DOTALL)


class _Value(NamedTuple):
    """A value by whose name it is secret: where it is, and the backslashes before its quotes."""

    start: int
    end: int
    slashes: int


def _values(data: bytes) -> Iterator[_Value]:
    """All of them; a value that is cut off ends with the text that it stands in."""
    for found in FIELD.finditer(data):
        slashes = len(found[1])
        yield _Value(found.end(), _end(data, found.end(), slashes), slashes)


def _end(data: bytes, start: int, slashes: int) -> int:
    """Where a string ends: at its own quote, or at that of a string which it stands in.

    Before the quote that ends a string there are its own backslashes, and before them whole escaped
    backslashes that belong to what it says.
    """
    outer = [(1 << depth) - 1 for depth in range(slashes.bit_length())]
    for found in QUOTE.finditer(data, start):
        run = found.end() - found.start() - 1
        if found[0] == b"\n":  # there is none in JSON
            return found.start()
        for own in (*outer, slashes):
            if run % (2 * own + 2) == own:
                return found.end() - 1 - own
    return len(data)


class _String(NamedTuple):
    """A JSON string: what it says, how it is written, and where in the body."""

    says: str
    raw: bytes
    start: int

    def spans(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Where these characters of it stand in the body."""
        letters = list(SPELLED.finditer(self.raw))
        if len(letters) != len(self.says):  # not written as JSON is: all of it, then
            yield self.start, self.start + len(self.raw)
            return
        for letter in letters[max(0, begin) : max(0, end)]:
            yield self.start + letter.start(), self.start + letter.end()


def _scattered(data: bytes, secrets: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Secrets that come in pieces: text that was streamed, each piece of it in an event.

    The strings of one name, one after the other, are read as one text. A string may also end with
    a good part of a secret, where each holds all the text so far.
    """
    texts: dict[bytes, list[_String]] = {}
    for found in STRING.finditer(data):
        string = _String(_decoded(found[2]), found[2], found.start(2))
        texts.setdefault(found[1], []).append(string)
    for strings in texts.values():
        text = "".join(string.says for string in strings)
        for secret in secrets:
            for found_at in re.finditer(re.escape(secret), text):
                yield from _across(strings, *found_at.span())
            for string in strings:
                if size := _ending(string.says, secret):
                    yield from string.spans(len(string.says) - size, len(string.says))


def _across(strings: Iterable[_String], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where characters of the joined text stand in the body."""
    before = 0
    for string in strings:
        after = before + len(string.says)
        if before < end and begin < after:
            yield from string.spans(begin - before, end - before)
        before = after


def _ending(text: str, secret: str) -> int:
    """How many characters of a secret's beginning a text ends with; 0 where they are few."""
    if text[-1:] not in secret:
        return 0
    sizes = range(len(secret) - 1, SHORTEST - 1, -1)
    return next((size for size in sizes if text.endswith(secret[:size])), 0)


def _decoded(raw: bytes) -> str:
    """What stands in a JSON string; as it is, where that is none."""
    text = raw.decode(errors="replace")
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _spellings(letter: str) -> bytes:
    """A pattern for a character: as it is, as in JSON (inside of JSON, too), as in a URL."""
    raw = letter.encode(errors="surrogatepass")
    units = letter.encode("utf-16-be", errors="surrogatepass").hex()
    escaped = "".join(rf"\\+u(?i:{units[i : i + 4]})" for i in range(0, len(units), 4))
    quoted = "".join(f"%(?i:{byte:02x})" for byte in raw)
    short = rf"|\\+{SHORT[letter]}" if letter in SHORT else ""
    before = rb"\\*" if letter in '"/\\' else b""
    return b"(?:%b%b|%b)" % (before, re.escape(raw), f"{escaped}|{quoted}{short}".encode())


def _blotted(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    found = bytearray(data)
    for start, end in spans:
        found[start:end] = b"*" * (end - start)
    return bytes(found)
