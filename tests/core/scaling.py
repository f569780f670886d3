"""How the time of a piece of work grows with its size."""

import gc
import time
from collections.abc import Callable

__all__ = ("growth",)


def growth(work: Callable[[int], object], size: int, rounds: int = 7) -> float:
    """How many times longer the work of twice the size takes; the best of several rounds each."""
    small, large = [], []
    gc.disable()
    try:
        for _ in range(rounds):
            small.append(_seconds(work, size))
            large.append(_seconds(work, 2 * size))
    finally:
        gc.enable()
    return min(large) / min(small)


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.process_time()
    work(size)
    return time.process_time() - began
