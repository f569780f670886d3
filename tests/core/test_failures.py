"""Error answers: their class by status, the wait asked for, and what is shown of a body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.failures import class_of, seconds, shown, unreadable
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


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0.0),
        ("5", 5.0),
        ("0120", 120.0),
        ("9" * 9, 999_999_999.0),
        ("9" * 10, None),
        ("9" * 400, None),
        ("-1", None),
        ("1.5", None),
        (" 5", None),
        ("", None),
        ("٣", None),
        ("²", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        (None, None),
    ],
)
def test_the_wait_asked_for_is_in_seconds(header: str | None, wait: float | None) -> None:
    """Whole seconds are read; a date, a number beyond all waiting or anything else is no wait."""
    assert seconds(header) == wait


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


@given(st.binary(max_size=1000))
def test_whatever_comes_is_one_short_line(body: bytes) -> None:
    """No body makes a message long, empty, or more than one line."""
    answer = Response(status=500, body=body)

    assert 0 < len(shown(answer)) <= 200
    assert len(shown(answer).splitlines()) == 1
    assert unreadable(answer, DecodeError("x")).message.isprintable()
