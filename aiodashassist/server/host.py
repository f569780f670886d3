"""Which hosts the server answers to, so that no web page can speak to it under a name of its own.

A page of any site can have its name point to this machine once it is loaded, and is then of the
same origin as this server (DNS rebinding). It cannot change the `Host` of what it asks, which is
that name. An IP address and `localhost` are no such names.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

__all__ = ("Hosts", "plain_name")

NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
HOST = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<other>[^\[\]:]*))(?::\d{0,5})?", re.ASCII)


class Hosts:
    """The names that the server answers to besides `localhost`; to IP addresses it always does.

    Args:
        names: more names, without ports.
        own: where the server listens; a name, as opposed to an address, is one of them.

    Raises:
        ValueError: one of the names is no name of a host.
    """

    def __init__(self, names: Iterable[str] = (), *, own: str = "localhost") -> None:
        if isinstance(names, str):
            raise ValueError("allowed hosts must be a sequence of names")  # noqa: TRY004 (as below)
        self._names = {"localhost", _normal(own), *map(plain_name, names)} - {""}

    def know(self, sent: Sequence[str]) -> bool:
        """Whether to answer to a request with these values of `Host`."""
        found = HOST.fullmatch(sent[0]) if len(sent) == 1 else None
        if found is None:
            return False
        six, other = found["six"], found["other"]
        if six is not None:
            return _is_address(six, ipaddress.IPv6Address)
        name = _normal(other)
        return name in self._names or _is_address(name, ipaddress.IPv4Address)


def plain_name(given: str) -> str:
    """A name as names are compared: in lower case, without the dot of the root.

    Raises:
        ValueError: it is no name of a host; ports, wildcards and letters beyond ASCII have no
            place in one.
    """
    name = _normal(given)
    if NAME.fullmatch(name) is None:
        raise ValueError(f"{given!r} is no name of a host, such as 'assistants.test'")
    return name


def _normal(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
