"""A local server whose answers go wrong at random: a process of its own, so that figures are ours.

Its first line is its URL. At the end of its input it stops, and its last line is what it has seen.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from aiodashassist.core.models import Run, Thread
from aiodashassist.server import (
    Chop,
    Crlf,
    Cut,
    Drop,
    Expire,
    Faults,
    Html,
    LocalServer,
    Lose,
    Refuse,
    Slow,
    Stall,
    Truncate,
)

__all__ = ("main",)

# An event that comes twice is not among them: text that is said twice cannot be told from that.
FAULTS = (
    Drop(chance=0.01),
    Refuse(status=429, chance=0.01),
    Refuse(status=429, retry_after="1", chance=0.01),
    Refuse(status=500, chance=0.01),
    Refuse(status=503, chance=0.01),
    Html(status=502, chance=0.002),
    Expire(chance=0.01),
    Lose(chance=0.01),
    Lose(reset=True, chance=0.01),
    Cut(after_bytes=100, chance=0.01),
    Cut(after_events=4, chance=0.03),
    Cut(after_events=12, reset=True, chance=0.03),
    Truncate(after_bytes=700, stream=True, chance=0.03),
    Slow(seconds=0.3, chance=0.02),
    Stall(after_events=6, seconds=0.7, chance=0.03),
    Chop(size=37, chance=0.05),
    Crlf(chance=0.1),
)


async def serve(seed: int) -> None:
    """Serve until the input ends."""
    async with LocalServer(faults=Faults(*FAULTS, seed=seed)) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(_seen(server)), flush=True)


def _seen(server: LocalServer) -> dict[str, Any]:
    """The faults by kind, the runs by status, and the threads that have more runs than one."""
    store = server.store
    runs = [store.all("", Run, thread.id) for thread in store.all("", Thread)]
    return {
        "faults": Counter(type(fault).__name__ for _, fault in server.faults.done),
        "runs": Counter(run.status for of_thread in runs for run in of_thread),
        "twice": sum(len(of_thread) > 1 for of_thread in runs),
    }


def main() -> None:
    """Serve, with the seed that is given."""
    asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
