"""Where the key comes from, and that it does not travel in the clear."""

from pathlib import Path
from typing import Any

import pytest

from aiodashassist import ConfigError, DashScope, Limits, Retry, Timeouts
from aiodashassist.config import (
    appbuilder_key,
    appbuilder_url,
    check_limits,
    check_proxy,
    check_retry,
    check_timeouts,
    check_transport,
    dashscope_key,
    first,
)


def test_the_key_is_looked_up_in_the_official_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Argument, variable, named file, file in the home directory (dashscope.md §1.2)."""
    home = tmp_path / ".dashscope"
    home.mkdir()
    (home / "api_key").write_text("sk-home\n")
    assert dashscope_key(None) == "sk-home"

    named = tmp_path / "named"
    named.write_text(" sk-named ")
    monkeypatch.setenv("DASHSCOPE_API_KEY_FILE_PATH", str(named))
    assert dashscope_key(None) == "sk-named"

    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-variable")
    assert dashscope_key(None) == "sk-variable"
    assert dashscope_key("") == "sk-variable"
    assert dashscope_key("sk-given") == "sk-given"


def test_no_key_is_a_config_error_when_the_client_is_built() -> None:
    """A missing key is told at once, with what to do."""
    with pytest.raises(ConfigError, match="DASHSCOPE_API_KEY"):
        DashScope()


@pytest.mark.parametrize("key", ["sk\nX-Evil: 1", "sk 1", "密钥", "sk\x00", "  "])
def test_what_cannot_be_a_key_is_refused(key: str) -> None:
    """A key with line breaks, blanks or other scripts never reaches a header; it is not shown."""
    with pytest.raises(ConfigError) as caught:
        dashscope_key(key)

    assert key.strip() == "" or key not in str(caught.value)


def test_a_key_file_that_is_no_text_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unreadable file is as good as no file."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("DASHSCOPE_API_KEY_FILE_PATH", str(tmp_path / "binary"))

    with pytest.raises(ConfigError):
        dashscope_key(None)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/api", "http://127.0.0.1:1", "http://localhost/x", "http://[::1]:8642"],
)
def test_https_and_loopback_are_allowed(url: str) -> None:
    """The key may travel encrypted, or not leave the machine."""
    check_transport(url, allow_http=False)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org", "unencrypted"),
        ("http://127.0.0.1.example.org", "unencrypted"),
        ("ftp://example.org", "URL"),
        ("example.org", "URL"),
        ("http://", "URL"),
        ("https://[bad", "URL"),
        ("https://host:abc", "URL"),
        ("https://host:99999", "URL"),
        ("https://user:hunter2@host", "user or a password"),
    ],
)
def test_a_key_in_the_clear_and_a_url_that_is_none_are_refused(url: str, words: str) -> None:
    """Plain http to another host, and what is no http URL, is a ConfigError."""
    with pytest.raises(ConfigError, match=words):
        check_transport(url, allow_http=False)


def test_plain_http_can_be_allowed() -> None:
    """`allow_http=True` is the caller's decision."""
    check_transport("http://example.org", allow_http=True)
    DashScope("sk-x", base_url="http://example.org", allow_http=True)


def test_headers_must_be_texts() -> None:
    """A header that cannot be sent is a ConfigError when the client is built."""
    headers: Any = {"X": 1}
    with pytest.raises(ConfigError, match="'X'"):
        DashScope("sk-x", headers=headers)


def test_what_is_given_wins_over_the_environment() -> None:
    """An empty text counts as nothing given."""
    assert first("given", "V", {"V": "set"}) == "given"
    assert first("", "V", {"V": "set"}) == "set"
    assert first(None, "V", {"V": ""}) is None


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("bce-v3/ALTAK-x/1", "bce-v3/ALTAK-x/1"),
        ("Bearer bce-v3/x", "bce-v3/x"),
        (" Bearer  bce-v3/x\n", "bce-v3/x"),
        ("bearer-of-news", "bearer-of-news"),
    ],
)
def test_an_appbuilder_key_may_have_its_scheme(
    monkeypatch: pytest.MonkeyPatch, given: str, key: str
) -> None:
    """As an argument or as `APPBUILDER_TOKEN`, with `Bearer` or without (appbuilder.md §1.2)."""
    assert appbuilder_key(given) == key
    monkeypatch.setenv("APPBUILDER_TOKEN", given)
    assert appbuilder_key(None) == key
    assert appbuilder_key("") == key
    assert appbuilder_key("mine") == "mine"


@pytest.mark.parametrize("given", [None, "", "  ", "Bearer", "Bearer ", " Bearer \n"])
def test_an_appbuilder_key_that_is_none_is_a_config_error(given: str | None) -> None:
    """A scheme alone is no key; what to do is said."""
    with pytest.raises(ConfigError, match="APPBUILDER_TOKEN"):
        appbuilder_key(given)


@pytest.mark.parametrize("given", ["a b", "x\nX-Evil: 1", "密钥", "Bearer a b", 5, b"key"])
def test_what_cannot_be_an_appbuilder_key_is_refused(given: Any) -> None:
    """It never reaches a header, and it is not shown."""
    with pytest.raises(ConfigError) as caught:
        appbuilder_key(given)
    assert str(given) not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "variable", "url"),
    [
        (None, None, None),
        ("", "", None),
        (None, "appbuilder.example", "https://appbuilder.example"),
        (None, "appbuilder.example:8443/x/", "https://appbuilder.example:8443/x/"),
        (None, "http://127.0.0.1:8642", "http://127.0.0.1:8642"),
        (None, "https://appbuilder.example", "https://appbuilder.example"),
        ("https://given.example", "variable.example", "https://given.example"),
    ],
)
def test_an_appbuilder_url_may_have_no_scheme_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str | None, url: str | None
) -> None:
    """`GATEWAY_URL` is read as the SDK reads it; an argument wins (appbuilder.md §1.1)."""
    if variable is not None:
        monkeypatch.setenv("GATEWAY_URL", variable)
    assert appbuilder_url(given) == url


def test_an_appbuilder_url_that_is_given_has_its_scheme() -> None:
    """An argument is taken as it is: one without a scheme is refused where all URLs are."""
    assert appbuilder_url("appbuilder.example") == "appbuilder.example"
    with pytest.raises(ConfigError):
        check_transport(appbuilder_url("appbuilder.example") or "", allow_http=False)


NAN, INF = float("nan"), float("inf")
NO_WHOLE: list[Any] = [-1, 1.5, NAN, INF, "5", True, []]
NO_SECONDS: list[Any] = [-1, -0.001, NAN, "5", True, [], b"1"]


@pytest.mark.parametrize(
    "retry",
    [
        Retry(),
        Retry(attempts=1, budget=0, max_elapsed=None, reconcile=False),
        Retry(first_delay=0, longest_delay=0, max_elapsed=0),
        Retry(first_delay=0.001, longest_delay=INF, max_elapsed=INF),
    ],
)
def test_rules_of_retries_that_can_be_kept_are_taken(retry: Retry) -> None:
    """Nothing to wait for, and for ever, are times as well."""
    assert check_retry(retry) is retry


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("attempts", value) for value in (0, None, *NO_WHOLE)),
        *(("budget", value) for value in (None, *NO_WHOLE)),
        *(("first_delay", value) for value in (None, *NO_SECONDS)),
        *(("longest_delay", value) for value in (None, *NO_SECONDS)),
        *(("max_elapsed", value) for value in NO_SECONDS),
    ],
)
def test_rules_of_retries_that_cannot_be_kept_are_told(name: str, value: Any) -> None:
    """When the client is built, by their name: not when the first request fails."""
    with pytest.raises(ConfigError, match=f"Retry: {name} "):
        DashScope("sk-x", retry=Retry(**{name: value}))


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(max_rounds=0, max_concurrent_requests=None, requests_per_minute=None),
        Limits(concurrency=1, max_concurrent_requests=1, requests_per_minute=1),
    ],
)
def test_bounds_that_can_be_kept_are_taken(limits: Limits) -> None:
    """No rounds at all is a bound; where None is, there is none."""
    assert check_limits(limits) is limits


@pytest.mark.parametrize("name", Limits.__struct_fields__)
@pytest.mark.parametrize("value", NO_WHOLE)
def test_bounds_that_cannot_be_kept_are_told(name: str, value: Any) -> None:
    """By their name, when the client is built."""
    with pytest.raises(ConfigError, match=f"Limits: {name} "):
        DashScope("sk-x", limits=Limits(**{name: value}))


@pytest.mark.parametrize("name", Limits.__struct_fields__)
@pytest.mark.parametrize("value", [0, None])
def test_no_bound_is_not_the_bound_of_nothing(name: str, value: Any) -> None:
    """Zero bounds rounds alone; None is for what may be without a bound."""
    good = name == "max_rounds" if value == 0 else "request" in name
    if good:
        assert check_limits(Limits(**{name: value}))
        return
    with pytest.raises(ConfigError, match=f"Limits: {name} "):
        check_limits(Limits(**{name: value}))


@pytest.mark.parametrize("name", Timeouts.__struct_fields__)
def test_clocks_have_seconds_or_are_off(name: str) -> None:
    """Any number of seconds, for ever, or None; what is none is told by its name."""
    for good in (None, 0, 0.001, 5, INF):
        assert check_timeouts(Timeouts(**{name: good}))
    for bad in NO_SECONDS:
        with pytest.raises(ConfigError, match=f"Timeouts: {name} "):
            DashScope("sk-x", timeouts=Timeouts(**{name: bad}))


@pytest.mark.parametrize("proxy", [None, "http://p:8080", "https://user:pw@proxy.example"])
def test_a_proxy_is_a_url(proxy: str | None) -> None:
    """Of http or https; without one there is none."""
    assert check_proxy(proxy) == proxy


@pytest.mark.parametrize(
    "proxy",
    ["proxy:8080", "socks5://u:hush@p", "http://", "http://u:hush@p:0", "http://u:hush@p:x", 5,
     b"http://hush", "http://[hush"],
)  # fmt: skip
def test_what_is_no_proxy_is_told_without_its_password(proxy: Any) -> None:
    """When the client is built; the URL is not quoted."""
    with pytest.raises(ConfigError, match="proxy must be") as caught:
        DashScope("sk-x", proxy=proxy)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
