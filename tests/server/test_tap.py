"""A transport that closes after so many bytes."""

import asyncio
import socket
from typing import Any

import pytest

from aiodashassist.server.mishaps import Cut, Lose, Truncate
from aiodashassist.server.tap import Ending, Tap


class Socket:
    """Notes the options that are set."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int, bytes]] = []

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        """As a socket's."""
        self.options.append((level, name, value))


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = 0
        self.socket = Socket()

    def write(self, data: Any) -> None:
        """As a transport's."""
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        """As a transport's."""
        self.closed += 1

    def is_closing(self) -> bool:
        """As a transport's."""
        return self.closed > 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As a transport's."""
        return self.socket if name == "socket" else default


def tapped() -> tuple[Tap, Transport, list[Ending]]:
    """A tap, what it sits on, and what it tells."""
    transport, told = Transport(), list[Ending]()
    return Tap(transport, told.append), transport, told


@pytest.mark.parametrize("count", range(8))
def test_so_many_bytes_go_through(count: int) -> None:
    """However they are written; then it closes, once, and says why."""
    tap, transport, told = tapped()
    cut = Cut(after_bytes=count)
    tap.end_at(count, cut)
    for data in (b"ab", b"", b"c", b"defg"):
        if not tap.is_closing():
            tap.write(data)

    assert b"".join(transport.written) == b"abcdefg"[:count]
    assert (transport.closed, told) == (1, [cut])


def test_what_ends_before_is_not_cut() -> None:
    """A shorter answer goes through, and nothing is told."""
    tap, transport, told = tapped()
    tap.end_at(8, Cut(after_bytes=8))
    tap.write(b"abcdefg")

    assert (transport.written, transport.closed, told) == ([b"abcdefg"], 0, [])
    assert tap.sent == 7


def test_the_nearest_end_is_the_one() -> None:
    """Of several it is that which comes first, whichever was named first."""
    tap, transport, told = tapped()
    tap.end_at(5, Cut(after_bytes=5))
    tap.end_at(2, Truncate(after_bytes=1))
    tap.end_at(3, Lose())
    tap.write(b"abcdefg")

    assert b"".join(transport.written) == b"ab"
    assert told == [Truncate(after_bytes=1)]


def test_lines_are_one_write() -> None:
    """What is written in parts is counted as a whole."""
    tap, transport, told = tapped()
    tap.end_at(3, Lose())
    tap.writelines([b"ab", b"cd"])

    assert b"".join(transport.written) == b"abc"
    assert told == [Lose()]


def test_only_a_reset_is_asked_of_the_socket() -> None:
    """SO_LINGER of 0 seconds is what makes close() send RST."""
    seen = []
    for fault in (Lose(), Lose(reset=True)):
        tap, transport, _ = tapped()
        tap.end(fault)
        seen.append([option[:2] for option in transport.socket.options])

    assert seen == [[], [(socket.SOL_SOCKET, socket.SO_LINGER)]]


def test_what_is_closed_is_not_closed_again() -> None:
    """A client that has left cannot be left: nothing is told of it."""
    tap, transport, told = tapped()
    transport.close()
    tap.end(Lose(reset=True))

    assert (transport.closed, told, transport.socket.options) == (1, [], [])


def test_all_else_is_the_transport_s() -> None:
    """Whatever is asked of it that it does not change."""
    tap, transport, _ = tapped()

    assert tap.get_extra_info("peername", "nobody") == "nobody"
    assert tap.is_closing() is False
    tap.close()
    assert transport.closed == 1
