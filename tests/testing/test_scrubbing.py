"""aiodashassist/testing/scrubbing.py."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.testing.scrubbing import Scrubber, without_secrets

KEY = 'sk-1234/5678"abcdé\\😀'
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=24)
QUIET = st.text("xyz .,:", max_size=12)


def scrubber(secret: str = KEY) -> Scrubber:
    """One that knows this key."""
    made = Scrubber()
    made.learn({"Authorization": secret})
    return made


def unicoded(text: str) -> str:
    """A text as the strictest JSON has it: every character escaped."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02X}{units[i + 1]:02x}" for i in range(0, len(units), 2))


SPELLINGS = {
    "as it is": lambda key: key,
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON, as UTF-8": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "in JSON, with slashes escaped": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "in JSON, all escaped": unicoded,
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1][2:-2],
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL, in small letters": lambda key: quote(key, safe="").lower(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
@pytest.mark.parametrize("key", [KEY, "sk-proj-0123456789abcdef", "line\nbreak\tand tab"])
def test_a_key_goes_in_every_spelling(spelling: object, key: str) -> None:
    """A key that is quoted is blotted out, however it is spelled, and nothing else is."""
    assert callable(spelling)
    if " " in key:
        key = key.replace(" ", "-")
    spelled = spelling(key).encode()
    data = b"before " + spelled + b" after"
    cleaned = scrubber(key).data(data)

    assert cleaned == b"before " + b"*" * len(spelled) + b" after"


@given(secret=SECRETS, before=QUIET, after=QUIET)
def test_any_secret_goes_and_the_length_stays(secret: str, before: str, after: str) -> None:
    """Whatever the secret, what is left has none of it, is as long, and still is JSON."""
    made = Scrubber()
    made.learn_body(json.dumps({"user_token": secret}).encode())
    data = json.dumps({"message": f"{before}{secret}{after}", "n": 1}).encode()
    cleaned = made.data(data)

    assert len(cleaned) == len(data)
    assert secret not in json.loads(cleaned)["message"]
    assert json.loads(cleaned)["n"] == 1


@given(secret=SECRETS, cuts=st.lists(st.integers(0, 40), max_size=6), cumulative=st.booleans())
def test_a_secret_goes_that_was_streamed(secret: str, cuts: list[int], cumulative: bool) -> None:
    """A secret that came in several events is blotted out in each of them, however they cut it."""
    text = f"it is {secret}, keep it"
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    starts = [0, *ends[:-1]]
    deltas = [
        text[0 if cumulative else start : end] for start, end in zip(starts, ends, strict=True)
    ]
    frames = [f"data:{json.dumps({'value': delta, 'id': 'm'})}\n\n" for delta in deltas]
    made = Scrubber()
    made.learn_body(json.dumps({"user_token": secret}).encode())
    cleaned = made.data("".join(frames).encode()).decode()
    said = [json.loads(line[5:])["value"] for line in cleaned.split("\n") if line]

    assert len(cleaned.encode()) == len("".join(frames).encode())
    assert all(secret not in one for one in said)
    assert secret not in "".join(said)
    assert cumulative or "".join(said).endswith(", keep it")


def test_a_good_part_of_a_secret_goes() -> None:
    """Where a stream broke off in the middle of a key, what had come of it is blotted out."""
    key = "sk-0123456789abcdef"
    data = b'data:{"value":"my key is sk-0123456789'
    assert scrubber(key).data(data) == b'data:{"value":"my key is *************'


def test_what_is_no_json_string_goes_as_a_whole() -> None:
    """Where the letters of a string cannot be told apart, all of it is blotted out."""
    data = b'data:{"value":"\xffsk-01234"}\n\ndata:{"value":"56789abcdef"}\n\n'
    cleaned = scrubber("sk-0123456789abcdef").data(data)

    assert b"sk-" not in cleaned
    assert b"789" not in cleaned
    assert len(cleaned) == len(data)


@pytest.mark.parametrize(
    ("body", "cleaned"),
    [
        ('{"auth":{"user_token":"t-1"}}', '{"auth":{"user_token":"***"}}'),
        ('{"user_token" : "a\\"b"}', '{"user_token" : "****"}'),
        ('{"user_token":""}', '{"user_token":""}'),
        ('{"user_token":"cut o', '{"user_token":"*****'),
        ('{"text":"{\\"user_token\\":\\"t-1\\"}"}', '{"text":"{\\"user_token\\":\\"***\\"}"}'),
        ('{"user_token":"a\\\\","x":"y"}', '{"user_token":"***","x":"y"}'),
        (
            '{"text":"{\\"user_token\\":\\"a\\\\\\\\\\",\\"x\\":1}"}',
            '{"text":"{\\"user_token\\":\\"*****\\",\\"x\\":1}"}',
        ),
        ('{"user_token":null,"x":"y"}', '{"user_token":null,"x":"y"}'),
    ],
)
def test_a_users_token_goes_wherever_it_is_named(body: str, cleaned: str) -> None:
    """The token of a plugin's user is blotted out by its name, however short (§3.9)."""
    assert Scrubber().data(body.encode()).decode() == cleaned


NAMES = (
    "token", "access_token", "x-token", "secret", "client_secret", "password", "passwd", "api_key",
    "apiKey", "API-KEY", "secret_access_key", "private_key", "Authorization", "credentials",
    "credential", "signature", "Cookie", "我的_token",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["x", "sk-12345678"])
def test_a_body_tells_what_is_secret_by_its_names(name: str, value: str) -> None:
    """What is named like a secret is blotted out, also in JSON inside of JSON, and is learnt."""
    made = Scrubber()
    data = json.dumps({"a": "b", name: value, "in": json.dumps({name: value})}, ensure_ascii=False)
    cleaned = json.loads(made.data(data.encode()))
    made.learn_body(data.encode())

    blot = "*" * len(value)
    assert cleaned == {"a": "b", name: blot, "in": json.dumps({name: blot})}
    assert ("sk-12345678" in made.text("is not valid: sk-12345678")) == (value == "x")


@pytest.mark.parametrize(
    "name", ["keyword", "author", "max_tokens", "tokens", "secretary", "key", "session_id", "auth"]
)
def test_a_body_keeps_what_is_only_named_alike(name: str) -> None:
    """A tool may look for keywords of an author: a name of a field must say more."""
    data = json.dumps({name: "something else", "total_token": 12}).encode()
    made = Scrubber()
    made.learn_body(data)

    assert made.data(data) == data


@pytest.mark.parametrize(
    ("body", "cleaned"),
    [
        (
            'data:{"arguments":"{\\"password\\":\\"hun"}\n\ndata:{"arguments":"ter\\"}"}\n\n',
            'data:{"arguments":"{\\"password\\":\\"***"}\n\ndata:{"arguments":"ter\\"}"}\n\n',
        ),
        ('{"password":"cut off\ndata:{"x":"y"}', '{"password":"*******\ndata:{"x":"y"}'),
        (
            '{"a":"{\\"password\\":\\"x\\\\\\\\","b":"y"}',
            '{"a":"{\\"password\\":\\"*****","b":"y"}',
        ),
        (
            '{"a":"{\\"b\\":\\"{\\\\\\"token\\\\\\":\\\\\\"x\\"}","b":"y"}',
            '{"a":"{\\"b\\":\\"{\\\\\\"token\\\\\\":\\\\\\"*\\"}","b":"y"}',
        ),
    ],
    ids=["in a frame", "by a line", "after backslashes", "two deep"],
)
def test_a_value_that_is_cut_off_ends_where_it_was_cut(body: str, cleaned: str) -> None:
    """Of a text in pieces, only the piece goes: the frame around it can still be read."""
    assert Scrubber().data(body.encode()).decode() == cleaned


def test_no_body_is_slow() -> None:
    """Quotes and backslashes without end are read once, or the test never ends."""
    for data in (b"\\" * 300_000, b'"token":"' + b"\\" * 300_000, b'"' * 300_000, b'"a' * 200_000):
        assert len(Scrubber().data(data)) == len(data)


def test_a_query_tells_what_is_secret_by_its_names() -> None:
    """In queries and forms, names of secrets are those of headers; what they hold is learnt."""
    made = Scrubber()
    made.learn_named([("X-Session", "a long secret"), ("limit", "as many as there are")])

    assert made.named("X-Session", "short") == "*****"
    assert made.named("limit", "of a long secret") == "of *************"
    assert made.text("as many as there are") == "as many as there are"


def test_a_users_token_goes_wherever_it_is_quoted() -> None:
    """A token that was seen by its name is blotted out in other bodies, too."""
    made = Scrubber()
    made.learn_body(json.dumps({"text": json.dumps({"user_token": "token-123"})}).encode())

    assert made.text("the token token-123 is not valid") == "the token ********* is not valid"


@pytest.mark.parametrize(
    ("name", "value", "quoted"),
    [
        ("Authorization", "Bearer sk-12345678", "sk-12345678"),
        ("authorization", "sk-12345678", "sk-12345678"),
        ("X-Appbuilder-Authorization", "Bearer sk-12345678", "sk-12345678"),
        ("X-Api-Key", "sk-12345678", "sk-12345678"),
        ("Cookie", "a=1; session=abcdefgh; b=2", "abcdefgh"),
    ],
)
def test_headers_tell_what_is_secret(name: str, value: str, quoted: str) -> None:
    """Keys and cookies are known by the headers of the requests that carry them."""
    made = Scrubber()
    made.learn({name: value})

    assert quoted not in made.text(f"not valid: {quoted}.")


def test_other_headers_and_short_words_are_no_secrets() -> None:
    """A header that is named like none is no secret, nor is a key that may be any word."""
    made = Scrubber()
    made.learn({"Authorization": "Bearer local", "User-Agent": "aiodashassist", "Cookie": "a=b"})

    assert made.text("local aiodashassist") == "local aiodashassist"


def test_headers_of_an_answer_that_are_named_like_secrets_are_not_kept() -> None:
    """Cookies and tokens that the service sets are left out; the id of the request is not."""
    headers = {
        "Set-Cookie": "session=x",
        "X-Auth-Token": "x",
        "X-Appbuilder-Request-Id": "1",
        "Content-Type": "application/json",
    }
    assert without_secrets(headers) == {
        "X-Appbuilder-Request-Id": "1",
        "Content-Type": "application/json",
    }


def test_a_string_that_is_no_json_is_read_as_it_stands() -> None:
    """An escape that JSON does not know hides no key: the string goes as a whole."""
    cleaned = scrubber("sk-0123456789abcdef").data(b'{"x":"\\q sk-0123456789abcdef","y":1}')

    assert cleaned == b'{"x":"' + b"*" * 22 + b'","y":1}'


def test_bytes_that_are_no_text_are_left_alone() -> None:
    """A body with nothing secret in it is the same, whatever it is."""
    data = bytes(range(256)) * 4
    assert scrubber().data(data) == data
