"""How the time of a piece of work grows with its size."""

import gc
import time
from collections.abc import Callable

__all__ = ("growth",)


def growth(work: Callable[[int], object], size: int, rounds: int = 15) -> float:
    """How many times longer the work of twice the size takes, by the quietest of several rounds.

    The two sizes of a round are measured one right after the other, since a machine that is busy
    with something else is busy for longer than that.
    """
    gc.disable()
    try:
        return min(1 / _seconds(work, size) * _seconds(work, 2 * size) for _ in range(rounds))
    finally:
        gc.enable()


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.process_time()
    work(size)
    return time.process_time() - began
