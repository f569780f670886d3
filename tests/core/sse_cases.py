"""Conformance cases of the event stream format: what a stream says, however it is cut.

The facts are those of the WHATWG's text, of its web platform tests and of LaunchDarkly's contract
tests; the wording is our own.
"""

from typing import NamedTuple

__all__ = ("BOM", "CASES", "SHORT", "Case", "Said", "said")

BOM = b"\xef\xbb\xbf"
LONG_COMMENT = b":" + b"x" * 2048

Said = tuple[str, str, str]
"""A frame: its type, its data as text, the last event id."""


class Case(NamedTuple):
    """A stream and what it says.

    Attributes:
        rule: what the case shows.
        stream: the bytes.
        frames: the frames, in order.
        last_id: the last event id afterwards.
        retry: the reconnection time afterwards.
        ended: whether the stream ends between two events.
    """

    rule: str
    stream: bytes
    frames: tuple[Said, ...]
    last_id: str = ""
    retry: int | None = None
    ended: bool = True


def said(*texts: str, last_id: str = "") -> tuple[Said, ...]:
    """Frames of the usual type that share their last event id."""
    return tuple(("message", text, last_id) for text in texts)


BYTE_ORDER_MARK = (
    Case(
        "one mark at the very start is no data, a later one spoils its field name",
        BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n",
        said("1", "3"),
    ),
    Case(
        "of two marks at the start only the first is dropped",
        BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n",
        said("2", "3"),
    ),
    Case("a mark inside a value stays", BOM + b"data: " + BOM + b"Hello\n\n", said("\ufeffHello")),
    Case("a comment may follow the mark", BOM + b":comment\ndata: Hello\n\n", said("Hello")),
    Case("nothing but the mark says nothing", BOM, ()),
)

LINES = (
    Case(
        "comments of any length and line end are dropped",
        b"data:1\r:\0\n:\r\ndata:2\n"
        + LONG_COMMENT
        + b"\rdata:3\n:data:fail\r"
        + LONG_COMMENT
        + b"\ndata:4\n\n",
        said("1\n2\n3\n4"),
    ),
    Case(
        "CRLF, LF and CR can be mixed",
        b"data:test\r\ndata\ndata:test\r\n\r\n",
        said("test\n\ntest"),
    ),
    Case(
        "a lone CR at the end of the stream ends the event",
        b"data:test\r\ndata\ndata:test\r\n\r",
        said("test\n\ntest"),
    ),
    Case(
        "each event may have its own line ends",
        b"data: cr\r\rdata: lf\n\ndata: crlf\r\n\r\n",
        said("cr", "lf", "crlf"),
    ),
    Case(
        "further blank lines say nothing",
        b"data: event 1\r\n\r\n\r\n\r\ndata: event 2\r\n\r\n",
        said("event 1", "event 2"),
    ),
    Case(
        "other separators of Unicode and ASCII end no line",
        "data: a\u2028b\u0085c\x0bd\x0ce\n\n".encode(),
        said("a\u2028b\u0085c\x0bd\x0ce"),
    ),
)

FIELDS = (
    Case("empty data is data", b"data:\n\ndata\ndata\n\ndata:test\n\n", said("", "\n", "test")),
    Case("a field may have no colon", b"data\n\ndata\ndata\n\n", said("", "\n")),
    Case(
        "names are matched exactly",
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        b" data:32\ndata:4\n\n",
        said("\0\n 2\n1\n3\n\n4"),
    ),
    Case(
        "unknown fields are dropped",
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        said("test\n\ntest"),
    ),
    Case(
        "a block of unknown fields says nothing",
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\n"
        b"data:end\n\n",
        said("msg\nmsg", "", "end"),
    ),
    Case(
        "one space after the colon is dropped, a tab is not",
        b"data:\ttest\rdata: \ndata:test\n\n",
        said("\ttest\n\ntest"),
    ),
    Case(
        "a second space belongs to the value",
        b"event:  greeting\ndata:  Hello\n\n",
        ((" greeting", " Hello", ""),),
    ),
    Case(
        "fields come in any order",
        b"data: Hello\nid: abc\nevent: greeting\n\n",
        (("greeting", "Hello", "abc"),),
        last_id="abc",
    ),
    Case(
        "an empty first line of data stays",
        b"data:\ndata: line2\ndata: line3\n\n",
        said("\nline2\nline3"),
    ),
    Case(
        "an empty line between lines of data stays",
        b"data: line1\rdata:\rdata: line3\r\r",
        said("line1\n\nline3"),
    ),
    Case("a closing mark is ordinary data", b"data: [DONE]\n\n", said("[DONE]")),
)

TYPES = (
    Case(
        "a type is for one event only",
        b"event:test\ndata:x\n\ndata:x\n\n",
        (("test", "x", ""), *said("x")),
    ),
    Case("an empty type is the usual one", b"event: \ndata:data\n\n", said("data")),
    Case(
        "a type without data says nothing and is forgotten",
        b"event: x\n\ndata: a\n\n",
        said("a"),
    ),
)

IDS = (
    Case(
        "an event without its blank line is dropped, with its id",
        b"retry:1000\ndata:test1\n\nid:test\ndata:test2",
        said("test1"),
        retry=1000,
        ended=False,
    ),
    Case(
        "an id may be any text", "id: …\ndata:hello\n\n".encode(), said("hello", last_id="…"), "…"
    ),
    Case("an id stays", b"id: 1\ndata: 1\n\ndata:2\n\n", said("1", "2", last_id="1"), "1"),
    Case(
        "a new id replaces the old one",
        b"id: 1\ndata: 1\n\nid: 2\ndata:2\n\ndata:3\n\n",
        (*said("1", last_id="1"), *said("2", "3", last_id="2")),
        "2",
    ),
    Case(
        "an empty id ends the old one",
        b"id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n",
        (*said("1", last_id="1"), *said("2", "3")),
    ),
    Case("an id with NUL is none", b"id: a\0bc\ndata: Hello\n\n", said("Hello")),
    Case(
        "an id with NUL leaves the old one",
        b"id: ok\ndata:1\n\nid: a\0b\ndata:2\n\n",
        said("1", "2", last_id="ok"),
        "ok",
    ),
    Case(
        "an id alone counts for what follows", b"id: 7\n\ndata: a\n\n", said("a", last_id="7"), "7"
    ),
)

RETRIES = (
    Case("a retry time is a number", b"retry:3000\ndata:x\n\n", said("x"), retry=3000),
    Case(
        "a retry time with a letter is none",
        b"retry:2000\nretry:1000x\ndata:x\n\n",
        said("x"),
        retry=2000,
    ),
    Case("an empty retry time is none", b"retry\ndata:test\n\n", said("test")),
    Case(
        "signs, points and foreign digits make no retry time",
        "retry:-1\nretry:1.5\nretry:٣\ndata:x\n\n".encode(),
        said("x"),
    ),
)

BYTES = (
    Case("NUL in data stays", b"data:\0\n\n", said("\0")),
    Case("text is UTF-8", "data:ok…\n\n".encode(), said("ok…")),
    Case("characters of several bytes stay whole", "data: €豆腐\n\n".encode(), said("€豆腐")),
    Case("characters beyond the first plane stay whole", "data: 😀\n\n".encode(), said("😀")),
    Case(
        "what is not UTF-8 is replaced, and the stream goes on",
        b"data: x\xff\n\ndata: y\n\n",
        said("x\ufffd", "y"),
    ),
)

SIZES = (
    Case(
        "many events stay in order",
        b"".join(b"data: m%d\n\n" % number for number in range(100)),
        said(*(f"m{number}" for number in range(100))),
    ),
    Case(
        "an event of 5 MiB is one event",
        b"data: " + b"y" * (5 * 1024 * 1024) + b"\n\n",
        said("y" * (5 * 1024 * 1024)),
    ),
)

CASES = (*BYTE_ORDER_MARK, *LINES, *FIELDS, *TYPES, *IDS, *RETRIES, *BYTES, *SIZES)
SHORT = tuple(case for case in CASES if len(case.stream) < 10_000)
