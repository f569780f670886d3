"""What errors must not show."""

import pytest

from aiodashassist.core.provider import Response
from aiodashassist.discretion import bare, secrets_in, without

KEY = "bce-v3/ALTAK-x/0123456789"


def test_a_key_is_looked_for_in_every_spelling() -> None:
    """As it is, with the slashes that JSON may escape, and as a URL has it."""
    assert secrets_in(KEY, []) == [
        KEY, r"bce-v3\/ALTAK-x\/0123456789", "bce-v3%2FALTAK-x%2F0123456789",
    ]  # fmt: skip
    assert secrets_in("sk-0123456789", []) == ["sk-0123456789"]


def test_a_key_of_the_users_own_is_one_too() -> None:
    """It stands in `Authorization`, in any case, after the scheme; what is no text is none."""
    headers = [("AUTHORIZATION", "Bearer mine-0123"), ("X-Other", "a b"), ("authorization", 5)]

    assert secrets_in("", headers) == ["mine-0123"]  # type: ignore[arg-type]


def test_a_short_key_is_no_secret() -> None:
    """The local server's may be any word of a message."""
    assert secrets_in("local", [("Authorization", "Bearer short")]) == []


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
