"""A transport that closes after so many bytes."""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from aiodashassist.server.mishaps import Cut, Drop, Lose, Truncate

__all__ = ("Ending", "Tap")

Ending: TypeAlias = Drop | Lose | Cut | Truncate
# What close() has to know so that it sends RST: linger, for 0 seconds.
AT_ONCE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Tap:
    """Stands in for a transport: it lets so many bytes through, and then closes it."""

    def __init__(self, transport: asyncio.Transport, note: Callable[[Ending], None]) -> None:
        self.transport = transport
        self.sent = 0
        self._note = note
        self._ends: list[tuple[int, Ending]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def end_at(self, sent: int, fault: Ending) -> None:
        """Close once so many bytes have been sent."""
        self._ends.append((sent, fault))

    def end(self, fault: Ending) -> None:
        """Close now; what was written before is still sent."""
        if self.transport.is_closing():
            return
        self._note(fault)
        if getattr(fault, "reset", False):
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.close()

    def write(self, data: bytes) -> None:
        """As a transport's."""
        if self._ends:
            at, fault = min(self._ends, key=lambda end: end[0])
            left = at - self.sent
            if len(data) >= left:
                self.transport.write(data[:left])
                self.end(fault)
                return
        self.sent += len(data)
        self.transport.write(data)

    def writelines(self, data: Iterable[bytes]) -> None:
        """As a transport's."""
        self.write(b"".join(data))
