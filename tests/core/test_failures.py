"""Error answers: their class by status, the wait asked for, and what is shown of a body."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.failures import class_of, dated, seconds, shown, unreadable
from aiodashassist.core.provider import Response
from aiodashassist.errors import (
    APIError,
    AuthenticationError,
    BadRequest,
    Conflict,
    DecodeError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, BadRequest),
        (400, BadRequest),
        (401, AuthenticationError),
        (402, BadRequest),
        (403, PermissionDenied),
        (404, NotFound),
        (405, BadRequest),
        (409, Conflict),
        (413, BadRequest),
        (422, BadRequest),
        (429, RateLimited),
        (499, BadRequest),
        (500, ServerError),
        (502, ServerError),
        (599, ServerError),
    ],
)
def test_a_status_alone_has_its_class(status: int, kind: type[APIError]) -> None:
    """From 500 on it is the service's fault, else the request's; five have a class of their own."""
    assert class_of(status) is kind


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
AT = 1445412480.0  # the same


def waiting(retry_after: str | None, at: float = 0.0, **headers: str) -> float | None:
    """The wait that an answer asks for."""
    if retry_after is not None:
        headers["retry-after"] = retry_after
    return seconds(Response(status=429, headers=headers, at=at))


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0.0),
        ("5", 5.0),
        ("0120", 120.0),
        ("9" * 9, 999_999_999.0),
        (" 5\t", 5.0),
        ("9" * 10, math.inf),
        ("9" * 4000, math.inf),
        ("-1", None),
        ("-99999999999", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("5, 6", None),
        ("", None),
        ("  ", None),
        ("٣", None),
        ("²", None),
        ("soon", None),
        ("2015-10-21T07:28:00Z", None),
        ("Wed, 31 Feb 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +9999", None),
        (None, None),
    ],
)
def test_the_wait_asked_for_is_in_seconds(header: str | None, wait: float | None) -> None:
    """Whole seconds are read, too many of them as for ever; what is neither is no wait."""
    assert waiting(header, at=AT) == wait


@pytest.mark.parametrize(
    ("until", "wait"),
    [
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wednesday, 21-Oct-15 07:28:30 GMT", 30.0),
        ("Wed Oct 21 07:28:30 2015", 30.0),
        ("Wed, 21 Oct 2015 09:28:30 +0200", 30.0),
        ("Thu, 22 Oct 2015 07:28:00 GMT", 86_400.0),
        (DATE, 0.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
    ],
)
def test_a_date_to_wait_for_is_measured_by_the_clock_of_the_answer(until: str, wait: float) -> None:
    """In each of the three forms of HTTP; one that is past is no wait; our clock does not count."""
    assert waiting(until, at=AT + 5_000, date=DATE) == wait


@pytest.mark.parametrize("date", ["", "today", "0", "Wed, 21 Oct 99999 07:28:00 GMT"])
def test_an_answer_that_tells_no_time_is_measured_by_our_clock(date: str) -> None:
    """Then the time when it came counts."""
    until = "Wed, 21 Oct 2015 07:28:30 GMT"

    assert waiting(until, at=AT + 10, date=date) == 20.0
    assert waiting(until, at=AT + 10) == 20.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_is_too_odd_to_be_read(retry_after: str, date: str) -> None:
    """Whatever a service sends, the wait is none, or a number that is not negative."""
    wait = waiting(retry_after, date=date)

    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({"date": DATE}, AT),
        ({"date": "Wed, 21 Oct 2015 09:28:00 +0200"}, AT),
        ({"date": "today"}, 0.0),
        ({"date": ""}, 0.0),
        ({}, 0.0),
    ],
)
def test_an_answer_is_dated_by_its_own_clock(headers: dict[str, str], at: float) -> None:
    """Ours is no substitute: where it tells no time, there is none."""
    assert dated(Response(status=200, headers=headers, at=5.0)) == at


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"denied", "denied"),
        (b"<html>\r\n  <b>\t502</b>\n</html>\n", "<html> <b> 502</b> </html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("文".encode() * 1000, "文" * 200),
        (b" " * 799 + b"x", "x"),
        (b" " * 800 + b"x", "the service answered with status 500 and no text"),
        (b"", "the service answered with status 500 and no text"),
        (b" \n", "the service answered with status 500 and no text"),
    ],
)
def test_a_body_is_shown_by_its_beginning(body: bytes, text: str) -> None:
    """One line of at most 200 characters; where there is none, a sentence of ours."""
    assert shown(Response(status=500, body=body)) == text


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, b"<html>\n <p>Hi</p>", {"content-type": "text/html"},
         "status 200, text/html: not JSON; it begins '<html> <p>Hi</p>'"),
        (201, b"", {}, "status 201, no type: not JSON; it is empty"),
        (200, b"", {"content-type": "text/html"}, "status 200, text/html: not JSON; it is empty"),
        (200, "文".encode() * 61, {}, f"status 200, no type: not JSON; it begins '{'文' * 60}'"),
        (200, b"a\x1b[2Jb\x00c", {}, "status 200, no type: not JSON; it begins 'a?[2Jb?c'"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_says_whose_it_is(
    status: int, body: bytes, headers: dict[str, str], words: str
) -> None:
    """Status, type and the first 60 characters, with nothing a terminal would obey."""
    answer = Response(status=status, headers=headers, body=body)
    error = unreadable(answer, DecodeError("not JSON"))

    assert (type(error), error.message) == (DecodeError, words)


@pytest.mark.parametrize("body", [b'{"text":"private', b' [1, "private', b'"private'])
def test_json_that_broke_off_shows_nothing_of_itself(body: bytes) -> None:
    """It is somebody's message: only its length is told."""
    error = unreadable(Response(status=200, body=body), DecodeError("not JSON"))

    assert error.message == f"status 200, no type: not JSON; it has {len(body)} bytes"


@given(st.binary(max_size=1000))
def test_whatever_comes_is_one_short_line(body: bytes) -> None:
    """No body makes a message long, empty, or more than one line."""
    answer = Response(status=500, body=body)

    assert 0 < len(shown(answer)) <= 200
    assert len(shown(answer).splitlines()) == 1
    assert unreadable(answer, DecodeError("x")).message.isprintable()
