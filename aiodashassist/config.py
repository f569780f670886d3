"""How a client reaches its service, and where that is looked up when it is not given."""

import os
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

from msgspec import Struct, field

from aiodashassist.core.settings import Limits, Timeouts
from aiodashassist.errors import ConfigError
from aiodashassist.hooks import Hook

__all__ = ("Config", "check_headers", "check_key", "check_transport", "dashscope_key", "first")

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Config(Struct, frozen=True, kw_only=True):
    """How to reach a service; its repr shows neither key nor headers."""

    base_url: str
    key: str
    workspace: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
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


def check_headers(headers: Mapping[str, str]) -> None:
    """Headers of the user's own.

    Raises:
        ConfigError: a name or a value that is no text.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigError(f"the header {name!r} must be a text")


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
