"""How a client reaches its service, and where that is looked up when it is not given."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from ssl import SSLContext
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct, field

from aiodashassist.core import checks
from aiodashassist.core.settings import Limits, Retry, Timeouts
from aiodashassist.errors import ConfigError, InvalidArgument
from aiodashassist.hooks import Hook

__all__ = (
    "Config",
    "appbuilder_key",
    "appbuilder_url",
    "bare_key",
    "check_headers",
    "check_key",
    "check_kind",
    "check_limits",
    "check_names",
    "check_proxy",
    "check_retry",
    "check_timeouts",
    "check_transport",
    "check_workspace",
    "dashscope_key",
    "first",
    "joined",
)

T = TypeVar("T")

UNLIMITED = ("max_concurrent_requests", "requests_per_minute")  # unless they are given
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Config(Struct, frozen=True, kw_only=True):
    """How to reach a service; its repr shows neither key nor headers."""

    base_url: str
    key: str
    workspace: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=Limits)
    proxy: str | None = None
    ssl: SSLContext | bool = True
    on_request: Hook | None = None
    on_response: Hook | None = None

    def __repr__(self) -> str:
        return f"Config(base_url={self.base_url!r}, workspace={self.workspace!r})"


def first(given: str | None, variable: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """What was given, else what the environment says; `""` counts as nothing."""
    return given or environ.get(variable) or None


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers of the user's own.

    Raises:
        ConfigError: a name or a value that is no text, or has a line break in it.
    """
    said = ""
    try:
        checks.headers(headers)
    except InvalidArgument as error:
        said = error.message
    if said:  # outside the handler: the frames beneath hold the headers
        raise ConfigError(said)
    return headers


def check_workspace(workspace: str | None) -> str | None:
    """A workspace that can be sent.

    Raises:
        ConfigError: it is no text, or has characters that no header has.
    """
    if workspace is not None and not (isinstance(workspace, str) and workspace.isprintable()):
        raise ConfigError("the workspace must be a text of one line")
    return workspace


def check_names(given: Collection[str], known: Collection[str]) -> None:
    """Options that there are.

    Raises:
        ConfigError: one that there is not, such as a slip of the pen.
    """
    for name in given:
        if name not in known:
            raise ConfigError(f"there is no option {name!r}; there are: {', '.join(known)}")


def check_kind(name: str, value: T, kind: type[T]) -> T:
    """An option of the class that it must have.

    Raises:
        ConfigError: it has another one.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {kind.__name__}(...), not {type(value).__name__}")
    return value


def check_proxy(proxy: str | None) -> str | None:
    """The URL of a proxy; it may hold a password, and is never quoted.

    Raises:
        ConfigError: it is none.
    """
    try:
        parts = urlsplit(proxy or "http://localhost")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (TypeError, ValueError, AttributeError):
        good = False
    if not good:
        raise ConfigError("proxy must be an http or https URL")
    return proxy


def check_limits(limits: Limits) -> Limits:
    """Bounds that can be kept.

    Raises:
        ConfigError: it is no `Limits`, or has a bound that is none.
    """
    check_kind("limits", limits, Limits)
    try:
        for name in Limits.__struct_fields__:
            bound = getattr(limits, name)
            if bound is not None or name not in UNLIMITED:
                checks.whole(name, bound, "[0, inf)" if name == "max_rounds" else "[1, inf)")
    except InvalidArgument as error:
        raise ConfigError(f"Limits: {error.message}") from error
    return limits


def check_timeouts(timeouts: Timeouts) -> Timeouts:
    """Clocks that can be set.

    Raises:
        ConfigError: it is no `Timeouts`, or has a time that is none.
    """
    check_kind("timeouts", timeouts, Timeouts)
    try:
        for name in Timeouts.__struct_fields__:
            seconds = getattr(timeouts, name)
            if seconds is not None:
                checks.between(name, seconds, "[0, inf]")
    except InvalidArgument as error:
        raise ConfigError(f"Timeouts: {error.message}") from error
    return timeouts


def check_retry(retry: Retry) -> Retry:
    """Rules that can be kept.

    Raises:
        ConfigError: it is no `Retry`, or has a value that is none.
    """
    check_kind("retry", retry, Retry)
    try:
        checks.whole("attempts", retry.attempts, "[1, inf)")
        checks.whole("budget", retry.budget, "[0, inf)")
        for name in ("first_delay", "longest_delay", "max_elapsed"):
            seconds = getattr(retry, name)
            if seconds is not None or name != "max_elapsed":
                checks.between(name, seconds, "[0, inf]")
    except InvalidArgument as error:
        raise ConfigError(f"Retry: {error.message}") from error
    return retry


def joined(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Headers with others added that win; case does not matter to a header."""
    names = {name.lower() for name in more}
    return {**{k: v for k, v in headers.items() if k.lower() not in names}, **more}


def check_key(key: str) -> str:
    """A key that can be sent.

    Raises:
        ConfigError: it is empty, no text, or has characters that no key has.
    """
    if not isinstance(key, str) or not key:
        raise ConfigError("the API key must be a text, and not empty")
    if not key.isprintable() or not key.isascii() or " " in key:
        raise ConfigError("the API key has characters that no key has")
    return key


def dashscope_key(given: str | None) -> str:
    """The key, looked up where the official SDK does (dashscope.md §1.2).

    The argument, `DASHSCOPE_API_KEY`, the file named by `DASHSCOPE_API_KEY_FILE_PATH`, and
    `~/.dashscope/api_key`, in this order.

    Raises:
        ConfigError: there is none, or it cannot be a key.
    """
    key = first(given, "DASHSCOPE_API_KEY")
    if key is None:
        named = os.environ.get("DASHSCOPE_API_KEY_FILE_PATH")
        key = _read(Path(named) if named else Path.home() / ".dashscope" / "api_key")
    key = (key or "").strip()
    if not key:
        raise ConfigError(
            "no API key: pass api_key=, set DASHSCOPE_API_KEY, or put it into "
            "~/.dashscope/api_key; the local server takes any"
        )
    return check_key(key)


def appbuilder_key(given: str | None) -> str:
    """The key: the argument, or `APPBUILDER_TOKEN`, either with `Bearer` or without (§1.2).

    Raises:
        ConfigError: there is none, or it cannot be a key.
    """
    key = bare_key(first(given, "APPBUILDER_TOKEN") or "")
    if not key:
        raise ConfigError(
            "no API key: pass api_key= or set APPBUILDER_TOKEN; the local server takes any"
        )
    return check_key(key)


def bare_key(given: str) -> str:
    """A key without the word `Bearer` before it, which AppBuilder's SDK takes, too (§1.2)."""
    return re.sub(r"^\s*Bearer(\s+|$)", "", given).strip() if isinstance(given, str) else given


def appbuilder_url(given: str | None) -> str | None:
    """The base URL: the argument, or `GATEWAY_URL`, which may have no scheme (§1.1)."""
    url = first(given, "GATEWAY_URL")
    return f"https://{url}" if url and not given and not url.startswith("http") else url


def check_transport(base_url: str, *, allow_http: bool) -> None:
    """Refuse to let a key travel in the clear.

    Raises:
        ConfigError: the URL is none, or is plain http to a host that is not this machine.
    """
    try:
        parts = urlsplit(base_url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        good = False
    if not good:
        raise ConfigError("base_url must be an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("base_url must not hold a user or a password")
    if "?" in base_url or "#" in base_url or " " in base_url or not base_url.isprintable():
        raise ConfigError("base_url must be no more than scheme, host and path")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_http:
        raise ConfigError(
            f"the key would travel unencrypted to {parts.hostname}: use https, or say "
            "allow_http=True"
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
