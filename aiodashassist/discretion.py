"""What errors must not show: keys, in whatever spelling, and the frames that hold them."""

import re
from collections.abc import Iterable
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from aiodashassist.core.provider import Response

__all__ = ("NAMED_SECRET", "bare", "secrets_in", "tokens_in", "without")

NAMED_SECRET = re.compile(
    "auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE
)
"""What headers and fields are named like that hold a secret."""
SHORTEST = 8  # characters; a shorter key is the local server's, and may be any word of a message
BLOT = "***"
TOKEN = re.compile(rb'"user_token"\s*:\s*"((?:[^"\\]|\\.)*)"')


def secrets_in(
    key: str, headers: Iterable[tuple[str, str]], tokens: Iterable[str] = ()
) -> list[str]:
    """The key, those in headers of the user's own, and tokens, as JSON and URLs may spell them."""
    own = [
        one
        for name, value in headers
        if isinstance(value, str) and NAMED_SECRET.search(str(name))
        for one in _held_by(name, value)
    ]
    keys = [one for one in (key, *own, *tokens) if len(one) >= SHORTEST]
    spelled = [(one, one.replace("/", "\\/"), quote(one, safe="")) for one in keys]
    # The longest first: a key may begin with another one.
    return sorted(dict.fromkeys(form for forms in spelled for form in forms), key=len, reverse=True)


def _held_by(name: str, value: str) -> list[str]:
    """The secrets of a header: each cookie's, or what follows a word such as `Bearer`."""
    if name.lower() == "cookie":
        return [cookie.partition("=")[2].strip() for cookie in value.split(";")]
    return [value.rpartition(" ")[2]]


def tokens_in(body: bytes | None) -> list[str]:
    """The tokens of plugins' users in the body of a request (dashscope.md §3.9)."""
    if not body or b'"user_token"' not in body:
        return []
    return [msgspec.json.decode(b'"%b"' % found, type=str) for found in TOKEN.findall(body)]


def without(response: Response, secrets: Iterable[str]) -> Response:
    """An answer that may be shown: errors quote its beginning, and could cut a key in two."""
    body, headers = response.body, response.headers
    for secret in secrets:
        in_body = re.compile(re.escape(secret.encode(errors="replace")), re.IGNORECASE)
        in_text = re.compile(re.escape(secret), re.IGNORECASE)
        if in_body.search(body):
            body = in_body.sub(BLOT.encode(), body)
        if any(in_text.search(value) for value in headers.values()):
            headers = {name: in_text.sub(BLOT, value) for name, value in headers.items()}
    if body is response.body and headers is response.headers:
        return response
    return replace(response, body=body, headers=headers)


def bare(error: BaseException, before: BaseException | None) -> None:
    """Take the frames from all beneath an error: whoever reports local variables has the key there.

    What the caller was handling before is beneath it, too, and the caller's own.
    """
    met: set[int] = set()  # causes may go round in a circle
    seen = error.__cause__ or error.__context__
    while seen is not None and seen is not before and id(seen) not in met:
        met.add(id(seen))
        seen.__traceback__ = None
        if isinstance(seen, UnicodeDecodeError | UnicodeEncodeError):
            seen.args, seen.object = (seen.reason,), type(seen.object)()  # it was all of the text
            seen.start = seen.end = 0
        seen = seen.__cause__ or seen.__context__
