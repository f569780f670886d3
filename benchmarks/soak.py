"""Many streams for a minute, while answers go wrong: `python -m benchmarks.soak`.

    python -m benchmarks.soak --streams 1000 --seconds 60 --provider both

Every stream is a question on a new thread; some have a round of tools, some are left early. It
fails (status 1) if an answer is wrong, a tool runs twice or a thread has two runs, if an error is
none of those that the documents name for such trouble, if anything warns or logs an error, if
memory grows after the warm-up, or if a task, a connection or a descriptor is left.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import random
import resource
import subprocess
import sys
import time
import uuid
import warnings
from collections import Counter
from typing import Any

from msgspec import Struct, field

from aiodashassist import AppBuilder, DashScope, Retry, Timeouts, Toolset
from aiodashassist.core.known import MEMORY
from aiodashassist.errors import (
    AssistError,
    RateLimited,
    RunExpired,
    ServerError,
    TransportError,
)
from aiodashassist.events import MessageDelta, StreamRecovered

__all__ = ("main",)

KINDS: dict[str, list[Any]] = {
    "dashscope": [DashScope],
    "appbuilder": [AppBuilder],
    "both": [DashScope, AppBuilder],
}
DOCUMENTED = (TransportError, RateLimited, ServerError, RunExpired)
TOO_LATE = "it is expired"  # says the server of a run whose outputs it refuses, with a BadRequest
DESCRIPTORS = 20_000
WARM_UP = 1 / 2  # of the time
GROWTH = 0.05  # of the memory, from the end of the warm-up to the last sample
LAST = 60  # seconds that the streams have to end
PATIENT = Retry(first_delay=0.1, longest_delay=2, budget=1000)
SLOW = Timeouts(cancel=30)  # of a machine that has nothing left for anybody
STAGGER = 4  # seconds in which all streams are begun
EARLY = 0.05  # the part of the streams that is left early
LIBC = ctypes.CDLL(None)
SPOKEN = "床前明月光, 疑是地上霜. 举头望明月, 低头思故乡. "


class Tally(Struct):
    """What came of the streams of one client.

    Attributes:
        begun: streams.
        answered: rightly.
        left: early, on purpose.
        recovered: breaks that a stream went on after.
        wrong: answers, or tool calls made twice.
        errors: by class.
        strange: errors that no document names for such trouble, as they were told.
    """

    begun: int = 0
    answered: int = 0
    left: int = 0
    recovered: int = 0
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)


class Watch:
    """What must not happen, and how much memory there is."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0
        self.samples: list[tuple[float, float, float]] = []  # seconds, MB, blocks
        self.complaints: Counter[str] = Counter()
        warnings.simplefilter("error")
        sys.unraisablehook = self._unraisable
        handler = logging.Handler(logging.WARNING)
        handler.emit = self._logged  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)

    def _unraisable(self, what: Any) -> None:
        """A warning in a destructor ends here."""
        self.complaints[f"{type(what.exc_value).__name__}: {what.exc_value}"] += 1

    def _logged(self, record: logging.LogRecord) -> None:
        self.complaints[f"{record.levelname} of {record.name}: {record.msg}"] += 1

    async def sample(self, until: float) -> None:
        """Note the memory, once a second."""
        while time.monotonic() < until:
            self.most = max(self.most, self.open)
            self.samples.append((time.monotonic(), memory(), sys.getallocatedblocks()))
            await asyncio.sleep(1)

    def trend(self, column: int) -> tuple[float, float, float]:
        """A sample's value after the warm-up, at the end and a minute, by least squares."""
        tail = self.samples[int(len(self.samples) * WARM_UP) :]
        mean_t = sum(one[0] for one in tail) / len(tail)
        mean = sum(one[column] for one in tail) / len(tail)
        spread = sum((one[0] - mean_t) ** 2 for one in tail) or 1.0
        slope = sum((one[0] - mean_t) * (one[column] - mean) for one in tail) / spread
        half = (tail[-1][0] - tail[0][0]) / 2
        return mean - slope * half, mean + slope * half, slope * 60


class Asker:
    """Asks one question after the other, each on a thread of its own."""

    def __init__(self, client: Any, assistant_id: str, tally: Tally, watch: Watch) -> None:
        self._client = client
        self._assistant_id = assistant_id
        self._tally = tally
        self._watch = watch
        self._calls = 0
        self._tools = Toolset()
        self._tools.register(name="look")(self._look)

    async def _look(self, what: str) -> str:
        """Look something up."""
        self._calls += 1
        await asyncio.sleep(0.01)
        return f"{what} seen"

    async def go_on(self, until: float) -> None:
        """Ask until the time is over; not all at once, for a listener's queue is short."""
        await asyncio.sleep(random.uniform(0, STAGGER))
        while time.monotonic() < until:
            self._tally.begun += 1
            self._watch.open += 1
            try:
                await self._ask()
            except AssistError as error:
                name = type(error).__name__
                self._tally.errors[name] += 1
                if not isinstance(error, DOCUMENTED) and TOO_LATE not in str(error):
                    self._tally.strange.append(f"{name}: {error}")
            finally:
                self._watch.open -= 1

    async def _ask(self) -> None:
        number = random.randrange(10**6)
        said = SPOKEN * random.randint(1, 3)
        wait = round(random.uniform(0.5, 3), 2)
        with_tools = random.random() < 0.5
        call = [f'/call look {{"what": "{number}"}}'] if with_tools else []
        question = "\n".join([f"/say {number}", f"/wait {wait}", *call, f"/say {said}"])
        leave_at = random.randrange(30) if random.random() < EARLY else None
        self._calls = 0
        text = []
        stream = self._client.stream(question, assistant_id=self._assistant_id, tools=self._tools)
        async with stream:
            count = 0
            async for event in stream:
                count += 1
                self._tally.recovered += isinstance(event, StreamRecovered)
                if isinstance(event, MessageDelta):
                    text.append(event.text)
                if count == leave_at:
                    self._tally.left += 1
                    return
            result = await stream.result()
        right = "".join(text) == result.text == f"{number}{said}"
        self._tally.answered += right
        self._tally.wrong += not right or self._calls != with_tools


def memory() -> float:
    """MB that are resident; the most that ever were where the system has no /proc.

    What is free and only not given back is no leak: glibc is asked for it first.
    """
    if trim := getattr(LIBC, "malloc_trim", None):
        trim(0)
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            return int(told.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def descriptors() -> int:
    """How many are open, where the system tells."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


async def soak(clients: list[Any], streams: int, seconds: float, watch: Watch) -> dict[str, Tally]:
    """Keep so many streams going for so long; what came of them, by client."""
    before = descriptors()
    tallies = {type(client).__name__: Tally() for client in clients}
    async with asyncio.timeout(seconds + LAST):
        try:
            await _streaming(clients, streams, seconds, watch, tallies)
        finally:
            for client in clients:
                await client.close()
    for _ in range(10):
        await asyncio.sleep(0)  # what is closed has its callbacks
    gc.collect()
    await asyncio.sleep(0)
    if tasks := len(asyncio.all_tasks()) - 1:
        watch.complaints["tasks left"] += tasks
    if (left := descriptors() - before) > 0:
        watch.complaints["descriptors left"] += left
    return tallies


async def _streaming(
    clients: list[Any], streams: int, seconds: float, watch: Watch, tallies: dict[str, Tally]
) -> None:
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.sample(until))
        for client in clients:
            tally, assistant = tallies[type(client).__name__], await _assistant(client)
            for _ in range(streams // len(clients)):
                asker = Asker(client, assistant, tally, watch)
                group.create_task(asker.go_on(until))


async def _assistant(client: Any) -> str:
    """An assistant, however many attempts it takes; and a memory that is full from the start.

    A client remembers ids of messages and runs, so many and no more (`core/known.py`): that it
    fills up would hide what grows without bound.
    """
    for _ in range(MEMORY):
        client._session.experience.known.add(f"run_{uuid.uuid4()}")  # noqa: SLF001
    while True:
        try:
            made = await client.assistants.create(model="qwen-max", name="soak")
        except DOCUMENTED:
            continue
        return str(made.id)


def report(tallies: dict[str, Tally], watch: Watch, seen: dict[str, Any]) -> list[str]:
    """Print what there is to say; the reasons to fail."""
    print(f"{'':<12}{'streams':>9}{'answered':>9}{'recovered':>10}{'left':>7}{'errors':>7}")
    for name, tally in tallies.items():
        numbers = f"{tally.begun:>9}{tally.answered:>9}{tally.recovered:>10}{tally.left:>7}"
        print(f"{name:<12}{numbers}{tally.errors.total():>7}")
        for error, count in tally.errors.most_common():
            print(f"{'':<14}{error} {count}")
    print(f"at a time   {watch.most} at most")
    begins, ends, slope = watch.trend(1)
    print(f"memory      {begins:.1f} MB, then {ends:.1f} MB at the end: {slope:+.2f} MB a minute")
    first, last, more = (value / 1000 for value in watch.trend(2))
    print(f"objects     {first:.0f} thousand, then {last:.0f} at the end: {more:+.1f} a minute")
    print("faults      " + ", ".join(f"{name} {n}" for name, n in sorted(seen["faults"].items())))
    print("runs        " + ", ".join(f"{name} {n}" for name, n in sorted(seen["runs"].items())))
    reasons = [f"{count}x {what}" for what, count in watch.complaints.most_common(20)]
    for name, tally in tallies.items():
        reasons += [f"{name}: {words}" for words in tally.strange[:10]]
        if tally.wrong:
            reasons.append(f"{name}: {tally.wrong} wrong answers or calls")
        if not tally.answered:
            reasons.append(f"{name}: nothing was answered")
    if seen["twice"]:
        reasons.append(f"{seen['twice']} threads have more runs than one")
    if ends > begins * (1 + GROWTH):
        reasons.append("the memory grows")
    return reasons


def main() -> None:
    """Soak; status 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--provider", choices=KINDS, default="both")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))  # which the server inherits
    random.seed(given.seed)
    watch = Watch()
    command = [sys.executable, "-m", "benchmarks.faulty_server", str(given.seed)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        clients = [
            kind(base_url=url + kind.local_path, api_key="local", retry=PATIENT, timeouts=SLOW)
            for kind in KINDS[given.provider]
        ]
        work = soak(clients, given.streams, given.seconds, watch)
        try:
            tallies = asyncio.run(work)
        finally:
            server.stdin.close()
        seen = json.loads(server.stdout.readline())
    gc.collect()
    reasons = report(tallies, watch, seen)
    print("\n".join(["FAILED", *reasons]) if reasons else "ok")
    sys.exit(bool(reasons))


if __name__ == "__main__":
    main()
