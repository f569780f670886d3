"""What errors must not show."""

import json
from typing import Any

import pytest

from aiodashassist.core.provider import Request, Response
from aiodashassist.discretion import bare, secrets_in, tokens_in, without

KEY = "bce-v3/ALTAK-x/0123456789"


def test_a_key_is_looked_for_in_every_spelling() -> None:
    """As it is, with the slashes that JSON may escape, and as a URL has it."""
    assert set(secrets_in(KEY, [])) == {
        KEY, r"bce-v3\/ALTAK-x\/0123456789", "bce-v3%2FALTAK-x%2F0123456789",
    }  # fmt: skip
    assert secrets_in("sk-0123456789", []) == ["sk-0123456789"]


def test_a_key_of_the_users_own_is_one_too() -> None:
    """It stands in `Authorization`, in any case, after the scheme; what is no text is none."""
    headers = [("AUTHORIZATION", "Bearer mine-0123"), ("X-Other", "a b"), ("authorization", 5)]

    assert secrets_in("", headers) == ["mine-0123"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "X-Api-Key",
        "proxy-authorization",
        "X-Access-TOKEN",
        "X-Secret",
        "X-Session-Id",
        "x-signature",
    ],
)
def test_a_header_that_is_named_like_a_secret_holds_one(name: str) -> None:
    """Whatever else it is called, and with or without a word before it."""
    assert secrets_in("", [(name, "mine-0123")]) == ["mine-0123"]
    assert secrets_in("", [(name, "Token mine-0123")]) == ["mine-0123"]
    assert secrets_in("", [("X-Tenant", "mine-0123")]) == []


def test_each_cookie_is_a_secret() -> None:
    """But for their names, and for what is as short as any word."""
    cookies = "sid=first-0123; theme=dark;sid2 = second-0123 ;flag; tail=third=0123"

    assert set(secrets_in("", [("Cookie", cookies)])) == {
        "first-0123", "second-0123", "third=0123", "third%3D0123",
    }  # fmt: skip


def test_a_short_key_is_no_secret() -> None:
    """The local server's may be any word of a message."""
    assert secrets_in("local", [("Authorization", "Bearer short")]) == []


def test_tokens_are_looked_for_like_keys() -> None:
    """In every spelling, but not where they are as short as any word."""
    assert set(secrets_in("local", [], ["usr/0123456", "short"])) == {
        "usr/0123456", r"usr\/0123456", "usr%2F0123456",
    }  # fmt: skip


def test_a_key_that_begins_with_another_is_not_shown_in_part() -> None:
    """The longer one is blotted out first."""
    response = Response(status=400, body=b"x abcdefghijklmnop")

    assert without(response, secrets_in("abcdefgh", [], ["abcdefghijklmnop"])).body == b"x ***"


@pytest.mark.parametrize("token", ["usr-0123", 'with "quotes" and \\', "令牌", "", "a\u2028b"])
@pytest.mark.parametrize("spaces", [(",", ":"), (", ", ": "), (" , ", "\n:\t")])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_tokens_are_found_wherever_a_body_has_them(
    token: str, spaces: tuple[str, str], ascii_only: bool
) -> None:
    """At any depth and in every writing of JSON; what only speaks of them has none."""
    auth = {"auth": {"type": "user_http", "user_token": token}}
    said = {"content": json.dumps(auth), "user_token_name": "none", "note": "user_token"}
    body = {"tools": [auth, {"deep": [auth]}], **said}
    written = json.dumps(body, separators=spaces, ensure_ascii=ascii_only).encode()

    assert tokens_in(written) == [token, token]
    assert tokens_in(json.dumps(said).encode()) == []


@pytest.mark.parametrize("body", [None, b"", b"{}", b'"user_token"', b'{"user_token":5}'])
def test_a_body_without_tokens_has_none(body: bytes | None) -> None:
    """A name alone is none, and no number is one."""
    assert tokens_in(body) == []


@pytest.mark.parametrize("spelled", [KEY.upper(), KEY.lower(), KEY.replace("/", "%2f")])
def test_a_key_is_found_in_whatever_case(spelled: str) -> None:
    """A host is told in small letters, and some write percents so."""
    response = Response(status=400, headers={"location": f"x{spelled}"}, body=spelled.encode())

    shown = without(response, secrets_in(KEY, []))

    assert (shown.headers, shown.body) == ({"location": "x***"}, b"***")


def test_an_answer_without_a_key_is_the_same() -> None:
    """Nothing is copied for nothing."""
    response = Response(status=200, headers={"a": "b"}, body=b"{}")

    assert without(response, secrets_in(KEY, [])) is response


@pytest.mark.parametrize("spelled", secrets_in(KEY, []))
def test_a_key_is_taken_out_of_body_and_headers(spelled: str) -> None:
    """What is left can be quoted, and cut anywhere."""
    response = Response(status=400, headers={"x": f"<{spelled}>"}, body=f"[{spelled}]".encode())

    shown = without(response, secrets_in(KEY, []))

    assert (shown.status, shown.headers, shown.body) == (400, {"x": "<***>"}, b"[***]")
    only_there = without(Response(status=400, headers={"x": spelled}), secrets_in(KEY, []))
    assert only_there.headers == {"x": "***"}


def test_the_repr_of_an_answer_has_no_body() -> None:
    """A reporter of local variables shows how much there was, not what."""
    assert (
        repr(Response(status=200, body=KEY.encode())) == f"Response(status=200, {len(KEY)} bytes)"
    )


def test_the_repr_of_a_request_has_neither_headers_nor_body() -> None:
    """The caller's own headers may have a key, and a body what was said."""
    shown = repr(
        Request(method="POST", path="/threads", headers={"Authorization": KEY}, body=KEY.encode())
    )

    assert KEY not in shown
    assert "/threads" in shown


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """An error with a frame."""
    try:
        raise error from cause  # noqa: TRY301 (that is all it is for)
    except Exception as caught:  # noqa: BLE001 (any will do)
        return caught


def test_what_lies_beneath_an_error_has_no_frames() -> None:
    """All of them, up to what the caller was handling before; rings have an end."""
    before = raised(ValueError("before"))
    lowest = raised(KeyError("lowest"), before)
    middle = raised(OSError("middle"), lowest)
    error = raised(RuntimeError("top"), middle)

    bare(error, before)

    assert error.__traceback__ is not None
    assert (middle.__traceback__, lowest.__traceback__) == (None, None)
    assert before.__traceback__ is not None
    lowest.__cause__ = error
    bare(error, None)
    assert before.__traceback__ is not None


def fails(work: Any) -> Exception:
    """How some work fails."""
    try:
        work()
    except Exception as caught:  # noqa: BLE001 (any will do)
        return caught
    raise AssertionError("it does not")


@pytest.mark.parametrize(
    "cause",
    [
        fails(f"{KEY}\ud800".encode),
        fails((KEY.encode() + b"\xff").decode),
    ],
    ids=["encode", "decode"],
)
def test_an_error_of_unicode_does_not_hold_the_text(cause: Exception) -> None:
    """It says what is wrong, and no more: it would show all of the text to whoever looks."""
    before = raised(UnicodeEncodeError("utf-8", f"{KEY}\ud800", 0, 1, "mine"))
    error = raised(ValueError("top"), cause)
    error.__context__ = cause
    cause.__context__ = before

    bare(error, before)

    assert KEY not in f"{cause} {cause!r} {cause.args} {vars(cause)} {getattr(cause, 'object', '')}"
    assert KEY in repr(before)  # the caller's own
