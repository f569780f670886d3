"""The parser against the standard's cases, a plain reading of the standard, and its own limits."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.errors import ResponseTooLarge
from tests.core.scaling import growth
from tests.core.sse_cases import CASES, SHORT, Case, Said, said

LINE_END = re.compile("\r\n|\r|\n")
PIECES = (
    b"data:", b"data: ", b"data", b"event:", b"event: ", b"id:", b"retry:", b":", b" ", b"\r",
    b"\n", b"\r\n", b"\n\n", b"\0", b"\xef\xbb\xbf", b"\xff", b"x", b"1000", b"{}", b"[DONE]",
    "杭州".encode(), b"\xe6\x9d", "😀".encode(), b"\xf0\x9f", "\u2028\x85".encode(),
    b"event:a\ndata:b\n\n",
)  # fmt: skip
STREAMS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)


def each_case(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Parametrise by cases, named by their rules."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.rule) for case in cases])


def pieces_of(stream: bytes, size: int) -> list[bytes]:
    """The stream in pieces of one size."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def cut(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream cut at some places; some pieces may be empty."""
    places = [0, *sorted(place % (len(stream) + 1) for place in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def feed(parser: SSEParser, chunks: Iterable[bytes]) -> tuple[Said, ...]:
    """What the chunks say."""
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    return tuple((frame.event, frame.text, frame.id) for frame in frames)


def read(chunks: Iterable[bytes]) -> tuple[tuple[Said, ...], str, int | None]:
    """All that a fresh parser makes of the chunks."""
    parser = SSEParser()
    return feed(parser, chunks), parser.last_id, parser.retry


def expected(case: Case) -> tuple[tuple[Said, ...], str, int | None]:
    """All that a parser must make of a case."""
    return case.frames, case.last_id, case.retry


def by_the_book(stream: bytes) -> tuple[tuple[Said, ...], str]:
    """The standard's own steps in plain words, on the whole stream at once."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unfinished = LINE_END.split(text)
    frames: list[Said] = []
    kind, data, coming_id, last_id = "", list[str](), "", ""
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            last_id = coming_id
            if data:
                frames.append((kind or "message", "\n".join(data), last_id))
            kind, data = "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            coming_id = value
    return tuple(frames), last_id


@each_case(CASES)
def test_a_case_fed_whole(case: Case) -> None:
    """A whole stream says what the standard says."""
    assert read([case.stream]) == expected(case)


@each_case(CASES)
def test_a_case_fed_in_pieces(case: Case) -> None:
    """Short streams byte by byte, long ones in pieces that end at odd places: the same."""
    size = 1 if case in SHORT else 4093
    assert read(pieces_of(case.stream, size)) == expected(case)


@each_case(SHORT)
def test_a_case_fed_in_two(case: Case) -> None:
    """No place to cut a stream in two makes a difference."""
    for place in range(len(case.stream) + 1):
        assert read([case.stream[:place], case.stream[place:]]) == expected(case), place


@given(case=st.sampled_from(SHORT), cuts=CUTS)
def test_a_case_fed_at_random_cuts(case: Case, cuts: list[int]) -> None:
    """No set of cuts makes a difference."""
    assert read(cut(case.stream, cuts)) == expected(case)


@each_case(CASES)
def test_a_case_with_trailing_data(case: Case) -> None:
    """An event that never ends is not delivered, and what was delivered stays."""
    assert read([case.stream, b"\ndata: cut off\nid: lost\nda"])[0] == case.frames


@each_case(case for case in CASES if case.ended)
def test_a_case_with_another_event_behind(case: Case) -> None:
    """No stream spoils the event that follows it."""
    frames, last_id, _ = read([case.stream, b"data: behind\n\n"])
    assert frames == (*case.frames, *said("behind", last_id=case.last_id))
    assert last_id == case.last_id


@given(stream=STREAMS, cuts=CUTS)
def test_no_cut_makes_a_difference(stream: bytes, cuts: list[int]) -> None:
    """Any bytes in any chunks give the frames of the whole."""
    whole = read([stream])
    assert read(cut(stream, cuts)) == whole
    assert read(pieces_of(stream, 1)) == whole


@given(stream=STREAMS)
def test_any_bytes_are_read_by_the_book(stream: bytes) -> None:
    """The quick way through the usual block agrees with the standard's own steps."""
    frames, last_id, _ = read([stream])
    assert (frames, last_id) == by_the_book(stream)


def test_empty_chunks_say_nothing() -> None:
    """An empty chunk changes nothing, between a CR and its LF either."""
    assert feed(SSEParser(), [b"", b"data: a\r", b"", b"\n\r", b"", b"\n", b""]) == said("a")


def test_a_frame_is_there_as_soon_as_it_ends() -> None:
    """A frame is returned by the call that completes it; a CR is not held back for its LF."""
    parser = SSEParser()
    assert feed(parser, [b"event:a\ndata:1\n"]) == ()
    assert feed(parser, [b"\n"]) == (("a", "1", ""),)
    assert feed(parser, [b"data:2\r\r"]) == said("2")
    assert feed(parser, [b"\ndata:3\n\n"]) == said("3")


def test_the_last_id_is_that_of_finished_blocks() -> None:
    """An id counts only from the blank line that ends its block."""
    parser = SSEParser()
    feed(parser, [b"id: 1\ndata: a\n\nid: 2\n"])
    assert parser.last_id == "1"
    feed(parser, [b"\n"])
    assert parser.last_id == "2"


def test_the_usual_block_bears_the_last_id() -> None:
    """An id stays for blocks without one, in the usual shape too."""
    stream = b"id: 1\ndata: a\n\nevent: b\ndata: c\n\n"
    assert feed(SSEParser(), [stream]) == (("message", "a", "1"), ("b", "c", "1"))


@pytest.mark.parametrize("digits", [19, 5_000, 100_000])
def test_an_absurd_retry_time_is_none(digits: int) -> None:
    """A retry time of thousands of digits is no time, and no error."""
    stream = b"retry: 2000\nretry: " + b"9" * digits + b"\ndata: x\n\n"
    assert read([stream]) == (said("x"), "", 2000)


@pytest.mark.parametrize(
    ("stream", "rest"),
    [
        (b"data:1", Frame("message", b"1")),
        (b"data:1\n", Frame("message", b"1")),
        (b"data:1\r", Frame("message", b"1")),
        (b"event:e\ndata:1\ndata:2", Frame("e", b"1\n2")),
        (b"data:0\n\nid:x\ndata:1", Frame("message", b"1", "x")),
        (b"\xef\xbb\xbfdata:1", Frame("message", b"1")),
        (b"data:0\n\ndata", Frame("message", b"")),
        (b"data:0\n\n", None),
        (b"", None),
        (b"\xef\xbb\xbf", None),
        (b"data:0\n\nevent:e", None),
        (b"data:0\n\n: comment", None),
    ],
)
def test_what_the_end_left_can_be_asked_for(stream: bytes, rest: Frame | None) -> None:
    """The event without its blank line, however it was cut; once, and only if there is data."""
    for pieces in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        parser = SSEParser()
        frames = [frame for piece in pieces for frame in parser.feed(piece)]
        assert len(frames) == stream.count(b"data:0\n\n")
        assert parser.rest() == rest
        assert parser.rest() is None


@pytest.mark.parametrize("last", [b"data:" + b"x" * 15, b"data:xx\ndata:" + b"x" * 8])
def test_the_rest_may_be_as_large_as_any_event(last: bytes) -> None:
    """The limit is that of events with a blank line behind them."""
    whole, cut_off = SSEParser(20), SSEParser(20)
    (frame,) = whole.feed(last + b"\n\n")
    assert cut_off.feed(last) == []

    assert cut_off.rest() == frame


@pytest.mark.parametrize("last", [b"data:" + b"x" * 30, b"data:xxxxx\ndata:xxxxxxxxx"])
def test_there_is_no_rest_of_too_large_an_event(last: bytes) -> None:
    """What was refused, or would be, is not handed out by another way."""
    parser = SSEParser(20)
    with contextlib.suppress(ResponseTooLarge):
        parser.feed(last)

    assert parser.rest() is None


def test_a_frame_keeps_its_bytes() -> None:
    """A frame's data are the stream's bytes; only its text replaces what is not UTF-8."""
    assert SSEParser().feed(b"data: \xff\n\n") == [Frame("message", b"\xff")]


def usual(size: int) -> bytes:
    """A usual block with this many bytes of data."""
    return b"event:e\ndata:" + b"y" * size + b"\n\n"


def plain(size: int) -> bytes:
    """A block without a type."""
    return b"data:" + b"y" * size + b"\n\n"


def many_lines(size: int) -> bytes:
    """A block of several lines of data."""
    return (b"data:" + b"y" * 94 + b"\n") * (size // 95) + b"\n"


def long_type(size: int) -> bytes:
    """A block whose type takes all the room."""
    return b"event:" + b"y" * size + b"\ndata:y\n\n"


def long_comment(size: int) -> bytes:
    """A comment, and a block behind it."""
    return b":" + b"y" * size + b"\ndata:y\n\n"


def limited(stream: bytes, size: int) -> tuple[tuple[Said, ...], bool]:
    """What a parser with a limit of 1000 bytes says of a stream, and whether it refuses it."""
    parser, frames = SSEParser(max_event_bytes=1000), list[Said]()
    try:
        for chunk in (*pieces_of(stream, size), b""):
            frames += feed(parser, [chunk])
    except ResponseTooLarge:
        return tuple(frames), True
    return tuple(frames), False


SHAPES = pytest.mark.parametrize("shape", [usual, plain, many_lines, long_type, long_comment])
SIZES = (1, 7, 100, 1 << 20)


@SHAPES
@pytest.mark.parametrize("size", SIZES)
def test_events_within_the_limit_are_taken(shape: Callable[[int], bytes], size: int) -> None:
    """Below the limit an event is taken, and so is the next: the count starts anew each time."""
    frames, refused = limited(b"data:first\n\n" + shape(900) * 5, size)
    assert len(frames) == 6
    assert not refused


@pytest.mark.parametrize("shape", [usual, plain, many_lines, long_type])
@pytest.mark.parametrize("size", SIZES)
def test_an_event_beyond_the_limit_is_refused(shape: Callable[[int], bytes], size: int) -> None:
    """Beyond the limit an event is an error; the frames before it are delivered first."""
    frames, refused = limited(usual(1) + plain(2) + shape(1100) + b"data:never\n\n", size)
    assert frames == (("e", "y", ""), *said("yy"))
    assert refused


@SHAPES
def test_the_limit_is_the_same_for_any_cut(shape: Callable[[int], bytes]) -> None:
    """Whether an event is too large depends on its bytes, not on how they were cut."""
    for length in range(970, 1021):
        outcomes = {limited(usual(1) + shape(length), size) for size in SIZES}
        assert len(outcomes) == 1, length


def test_a_stream_with_too_large_an_event_is_over() -> None:
    """After the error nothing is read any more."""
    parser = SSEParser(max_event_bytes=10)
    with pytest.raises(ResponseTooLarge, match=r"max_event_bytes \(10 bytes\)"):
        parser.feed(plain(100))
    with pytest.raises(ResponseTooLarge):
        parser.feed(plain(1))


def test_an_endless_line_is_refused() -> None:
    """A line that never ends takes no more room than an event may, whatever it is."""
    parser = SSEParser(max_event_bytes=1000)
    for _ in range(10):
        assert parser.feed(b":" + b"." * 99) == []
    with pytest.raises(ResponseTooLarge):
        parser.feed(b".")


def test_comments_that_end_take_no_room() -> None:
    """Pings without number are no event that is too large."""
    parser = SSEParser(max_event_bytes=100)
    for _ in range(100):
        assert parser.feed(b": ping") == []
        assert parser.feed(b"\n") == []
    assert feed(parser, [b"data: a\n\n"]) == said("a")


FRAME = 'event:thread.message.delta\ndata:{"text":"杭州"}\n\n'.encode()
SHAPES_OF_WORK: dict[str, Callable[[int], bytes]] = {
    "usual frames": lambda count: FRAME * count,
    "short lines": lambda count: b"data:x\r\n" * 3 * count,
    "one line": lambda count: b"data:" + b"x" * (60 * count),
    "comments": lambda count: b":\n" * (10 * count),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES_OF_WORK)
@pytest.mark.parametrize("piece", [1 << 30, 16])
def test_the_time_is_linear(name: str, piece: int) -> None:
    """Twice the bytes take twice the time, whole and in small chunks."""
    make = SHAPES_OF_WORK[name]
    prepared = {count: pieces_of(make(count), piece) for count in (10_000, 20_000)}

    def work(count: int) -> None:
        parser = SSEParser(max_event_bytes=1 << 30)
        for chunk in prepared[count]:
            parser.feed(chunk)
        parser.feed(b"\n\n")

    assert growth(work, 10_000) <= 2.3
