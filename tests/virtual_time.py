"""A loop whose time jumps to the next timer as soon as nothing else is left to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ("VirtualTimeLoop", "run")

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]


class JumpingSelector(selectors.SelectSelector):
    """Takes no time to wait, and notes how long it would have taken."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        """What is ready at once; if nothing is, the time is over in no time."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the loop waits for something that will never happen")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that begins at 0 and waits for no timer; not for use with threads."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made, as its timers see them."""
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
