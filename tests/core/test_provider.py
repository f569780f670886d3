"""The values that providers and the local server exchange."""

import copy

from aiodashassist.core.provider import Refusal, Request, Response


def test_a_refusal_says_what_is_wrong() -> None:
    """A refusal has its kind, its words and its subject."""
    refusal = Refusal("missing", "There is no such run.", subject="run")
    assert (refusal.kind, refusal.message, refusal.subject) == (
        "missing",
        "There is no such run.",
        "run",
    )
    assert str(refusal) == "There is no such run."


def test_a_refusal_without_words_is_its_kind() -> None:
    """Where there is nothing more to say, the kind is printed and the message is empty."""
    refusal = Refusal("too_large")
    assert (str(refusal), refusal.message, refusal.subject) == ("too_large", "", "")


def test_a_refusal_can_be_copied() -> None:
    """A copied refusal is as good as the first."""
    refusal = Refusal("missing", "There is no such run.", subject="run")
    assert vars(copy.copy(refusal)) == vars(refusal)


def test_a_request_needs_a_method_and_a_path() -> None:
    """Without more, a request has no query and no body; an answer no headers and an empty body."""
    request, response = Request(method="GET", path="/x"), Response(status=200)
    assert (request.query, request.body, request.operation) == ({}, None, "")
    assert (response.headers, response.body) == ({}, b"")


def test_what_a_service_answered_is_in_no_repr() -> None:
    """A body, and headers, may quote a key: how much it is can be logged."""
    answer = Response(status=200, headers={"x-key": "secret"}, body=b"secret")

    assert repr(answer) == "Response(status=200, 6 bytes)"


def test_what_is_asked_is_in_no_repr() -> None:
    """A body, a query and headers may have a secret: how much it is can be logged."""
    asked = Request(
        method="POST", path="/x", query={"q": "secret"}, headers={"X": "secret"}, body=b"secret"
    )

    assert repr(asked) == "Request(POST /x, 6 bytes)"
    assert repr(Request(method="GET", path="/x")) == "Request(GET /x, 0 bytes)"
