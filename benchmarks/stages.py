"""The pure stages of a stream, beside the floor: split the bytes and decode each event, no more."""

import time
from collections.abc import Callable

import msgspec

from aiodashassist.core.machine import RunMachine
from aiodashassist.core.snapshot import Snapshot
from aiodashassist.core.sse import Frame, SSEParser
from aiodashassist.providers.dashscope.frames import read_frame
from aiodashassist.providers.dashscope.wire import WireMessageDelta

__all__ = ("main",)

EVENTS = 20_000
CHUNK = 16 * 1024
ROUNDS = 5
DELTA = (
    'event:thread.message.delta\ndata:{"id":"message_1","object":"thread.message.delta","delta":'
    '{"role":"assistant","content":[{"type":"text","text":{"value":"你好, world ","annotations":'
    '[]}}],"file_ids":[]},"request_id":"00000000-0000-0000-0000-000000000000"}\n\n'
).encode()


def floor(chunks: list[bytes]) -> None:
    """Split at blank lines and decode: wrong for most of the format, and as fast as Python gets."""
    decode = msgspec.json.Decoder(WireMessageDelta).decode
    rest = b""
    for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            decode(block.partition(b"data:")[2])


def frames(chunks: list[bytes]) -> list[Frame]:
    """Bytes to frames."""
    parser = SSEParser()
    return [frame for chunk in chunks for frame in parser.feed(chunk)]


def events(chunks: list[bytes]) -> None:
    """Bytes to events."""
    for frame in frames(chunks):
        read_frame(frame)


def everything(chunks: list[bytes]) -> None:
    """Bytes to events, with the run machine and the snapshot."""
    machine, snapshot = RunMachine(), Snapshot()
    for frame in frames(chunks):
        for event in read_frame(frame):
            machine.receive(event)
            snapshot.receive(event)
    if len(snapshot.text) != EVENTS * len("你好, world "):
        raise AssertionError("text was lost")


def best(stage: Callable[[list[bytes]], object], chunks: list[bytes]) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        stage(chunks)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print microseconds an event, and the ratio to the floor."""
    data = DELTA * EVENTS
    for size in (CHUNK, len(DELTA)):
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        print(f"{EVENTS} deltas, {size} bytes a chunk")
        least = best(floor, chunks)
        for stage in (floor, frames, events, everything):
            seconds = best(stage, chunks)
            cost = seconds / EVENTS * 1e6
            print(f"  {stage.__name__:<12}{cost:6.2f} us an event {seconds / least:6.2f}x floor")
