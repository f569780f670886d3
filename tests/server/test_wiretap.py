"""Answers that go wrong, to the byte, as a client on a real socket gets them."""

import asyncio
import re
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from aiodashassist import AppBuilder, DashScope, Run, Thread, ToolOutput
from aiodashassist.core.operations import CreateThread
from aiodashassist.core.sse import SSEParser
from aiodashassist.server import (
    Chop,
    Crlf,
    Cut,
    Drop,
    Duplicate,
    Fault,
    Faults,
    LocalServer,
    Lose,
    Refuse,
    Slow,
    Stall,
    Truncate,
)
from aiodashassist.server.answers import Answer
from aiodashassist.server.wiretap import Wiretap
from tests.server.raw_client import (
    ASSISTANTS,
    LAST,
    SAFETY,
    Came,
    asking,
    came,
    chunks,
    connected,
    read_all,
    read_until,
    running,
    same,
)

WIRES = ("dashscope", "appbuilder")
TEXT = "/say 你好, 世界 😀!"  # in several deltas, with characters of three and four bytes
PINGS = {"dashscope": b": ping\n\n", "appbuilder": b"event: ping\n\n"}
wires = pytest.mark.parametrize("wire", WIRES)


def frames(came: Came) -> list[bytes]:
    """The whole frames of a stream, be it broken or not."""
    found, _ = chunks(came.body)
    return re.findall(rb".*?(?:\n\n|\r\n\r\n)", b"".join(found), re.DOTALL)


async def with_fault(server: LocalServer, fault: Fault, request: bytes) -> Came:
    """The answer to a request that this is to happen to."""
    server.faults.clear()
    server.faults.done.clear()
    server.faults.add(fault)
    reply = await came(server, request)
    server.faults.clear()
    return reply


# --- cut after bytes ---


@wires
async def test_json_is_cut_after_every_byte(server: LocalServer, wire: str) -> None:
    """So many bytes come, those of the answer, from none to all of them; it is told each time."""
    request = asking(ASSISTANTS[wire], {"model": "m", "name": "n"})
    whole = (await came(server, request)).data
    for count in range(len(whole) + 1):
        fault = Cut(after_bytes=count)
        reply = await with_fault(server, fault, request)
        assert (len(reply.data), reply.reset) == (count, False)
        assert same(reply.data, whole)
        assert server.faults.done == [("CreateAssistant", fault)]
    reply = await with_fault(server, Cut(after_bytes=len(whole) + 1), request)
    assert len(reply.data) == len(whole)
    assert server.faults.done == []


@wires
@pytest.mark.parametrize("reset", [False, True])
async def test_a_stream_is_cut_around_every_boundary(
    server: LocalServer, assistant_id: str, wire: str, reset: bool
) -> None:
    """In the head, and two bytes about each end of a chunk's length and of its data."""
    request = running(wire, assistant_id, TEXT)
    whole = await came(server, request)
    marks = {0, 1, 9, len(whole.head) - 3, len(whole.data) - 3}
    at, (found, last) = len(whole.head), chunks(whole.body)
    assert last == LAST
    for data in found:
        begins = at + len(b"%x\r\n" % len(data))
        at = begins + len(data) + 2
        marks |= {near + step for near in (begins, at) for step in range(-2, 3)}
    assert at == len(whole.data) - len(LAST)
    for count in sorted(marks):
        fault = Cut(after_bytes=count, reset=reset)
        reply = await with_fault(server, fault, request)
        assert (len(reply.data), reply.reset) == (count, reset)
        assert same(reply.data, whole.data)
        assert server.faults.done == [("CreateThreadAndRun", fault)]
    assert len(marks) >= 80


@pytest.mark.slow
@pytest.mark.timeout(300)
@wires
async def test_a_stream_is_cut_after_every_byte(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """From none to all of them."""
    request = running(wire, assistant_id, "hi")
    whole = (await came(server, request)).data
    for count in range(len(whole) + 1):
        reply = await with_fault(server, Cut(after_bytes=count), request)
        assert len(reply.data) == count
        assert same(reply.data, whole)


async def test_the_bytes_of_a_file_are_cut(server: LocalServer) -> None:
    """A download is an answer like others, and too large for one write."""
    data = bytes(range(256)) * 4000
    async with server.client(AppBuilder) as builder:
        file = await builder.files.create(data, filename="a.bin")
    request = asking("/v2/storage/files/download", {"file_id": file.id})
    whole = await came(server, request)
    assert whole.body == data
    for count in (0, 100, len(whole.head), len(whole.head) + 700_000, len(whole.data)):
        reply = await with_fault(server, Cut(after_bytes=count), request)
        assert same(reply.data, whole.data)
        assert len(reply.data) == count
    for fault in (Truncate(after_bytes=600_001), Chop(size=100_000)):
        reply = await with_fault(server, fault, request)
        assert reply.body == data[: getattr(fault, "after_bytes", None)]
        assert server.faults.done == [("DownloadFile", fault)]


@wires
async def test_an_answer_that_ends_before_the_cut_keeps_its_connection(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """It is whole, nothing went wrong, and the next request is answered on it."""
    request = running(wire, assistant_id, TEXT, keep=True)
    server.faults.add(Cut(after_bytes=10**6), Cut(after_events=1000), Truncate(after_bytes=10**6))
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(request)
            data = await asyncio.to_thread(read_until, connection, LAST)
            assert data.endswith(LAST)

    assert server.faults.done == []


# --- cut after events ---


@wires
@pytest.mark.parametrize("text", [TEXT, "/call f\n/call g"])
async def test_a_stream_is_cut_after_every_event(
    server: LocalServer, assistant_id: str, wire: str, text: str
) -> None:
    """So many frames come, whole, and no end of the body; the closing `done` is one of them."""
    if wire == "appbuilder" and "/call" in text:
        text = TEXT + "\n/expire"  # its stream would stay open
    request = running(wire, assistant_id, text)
    whole = await came(server, request)
    count = len(frames(whole))
    assert count >= 7
    for number in range(count + 1):
        fault = Cut(after_events=number, reset=number % 2 == 1)
        reply = await with_fault(server, fault, request)
        assert reply.reset is fault.reset
        assert (len(frames(reply)), chunks(reply.body)[1]) == (number, b"")
        assert same(reply.data, whole.data)
        assert server.faults.done == [("CreateThreadAndRun", fault)]
    reply = await with_fault(server, Cut(after_events=count + 1), request)
    assert len(reply.data) == len(whole.data)
    assert server.faults.done == []


async def test_events_that_are_written_together_are_two(
    server: LocalServer, assistant_id: str
) -> None:
    """AppBuilder's wire has two for the end of a tool's step; the cut falls between them."""
    request = running("appbuilder", assistant_id, "/call f\n/then\n/say x")
    server.faults.add(Cut(operation="CreateThreadAndRun", after_events=4))
    with connected(server) as connection:
        connection.sendall(request)
        begun = await asyncio.to_thread(read_until, connection, b'"event_type":"tool_calls"')
        (thread,) = server.store.all("", Thread)
        (run,) = server.store.all("", Run, thread.id)
        async with server.client(AppBuilder) as builder:
            outputs = [ToolOutput(output="1")]
            await builder.threads.runs.submit_tool_outputs(thread.id, run.id, tool_outputs=outputs)
        ended = await asyncio.to_thread(read_all, connection)

    assert (begun + ended.data).count(b"event: ") == 4
    assert b'"event_type":"tool_submitted_output"' in ended.data
    assert b'"event_type":"tool_step_end"' not in ended.data


# --- truncated ---


@wires
async def test_json_is_truncated_after_every_byte(server: LocalServer, wire: str) -> None:
    """The head has the whole length, and so many bytes come after it, fewer than that."""
    request = asking(ASSISTANTS[wire], {"model": "m", "name": "n"})
    whole = await came(server, request)
    length = b"\r\nContent-Length: %d\r\n" % len(whole.body)
    assert length in whole.head
    for count in (0, 1, 100, len(whole.body) - 1):
        fault = Truncate(after_bytes=count)
        reply = await with_fault(server, fault, request)
        assert length in reply.head
        assert (len(reply.body), reply.reset) == (count, False)
        assert same(reply.body, whole.body)
        assert server.faults.done == [("CreateAssistant", fault)]
    reply = await with_fault(server, Truncate(after_bytes=len(whole.body)), request)
    assert len(reply.body) == len(whole.body)
    assert server.faults.done == []


@wires
async def test_a_stream_is_truncated_inside_a_chunk(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """Also where the count falls between two: then the next one's length is told, and no more."""
    request = running(wire, assistant_id, TEXT)
    found, _ = chunks((await came(server, request)).body)
    text, ends = b"".join(found), [0]
    for data in found:
        ends.append(ends[-1] + len(data))
    counts = {near + step for near in ends for step in (-1, 0, 1)}
    for count in sorted(counts & set(range(len(text)))):
        fault = Truncate(after_bytes=count)
        reply = await with_fault(server, fault, request)
        before, rest = chunks(reply.body)
        size, _, begun = rest.partition(b"\r\n")
        assert int(size, 16) == len(found[len(before)]) > len(begun)
        assert same(b"".join(before) + begun, text)
        assert (sum(map(len, before)) + len(begun), reply.reset) == (count, False)
        assert server.faults.done == [("CreateThreadAndRun", fault)]
    await with_fault(server, Truncate(after_bytes=len(text)), request)
    assert server.faults.done == []


# --- framed otherwise ---


@wires
@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_stream_is_chopped(
    server: LocalServer, assistant_id: str, wire: str, size: int
) -> None:
    """Its chunks are so small, and the same text together: characters and frames are cut."""
    request = running(wire, assistant_id, TEXT)
    whole, _ = chunks((await came(server, request)).body)
    reply = await with_fault(server, Chop(size=size), request)
    found, last = chunks(reply.body)

    assert last == LAST
    assert max(map(len, found)) == size
    assert len(found) == sum(-(-len(frame) // size) for frame in whole)
    assert same(b"".join(found), b"".join(whole))
    assert len(b"".join(found)) == len(b"".join(whole))
    assert server.faults.done == [("CreateThreadAndRun", Chop(size=size))]


@wires
async def test_json_is_chopped(server: LocalServer, wire: str) -> None:
    """It comes in pieces, with the head and the length that it has otherwise."""
    request = asking(ASSISTANTS[wire], {"model": "m", "name": "n"})
    whole = await came(server, request)
    reply = await with_fault(server, Chop(size=3), request)

    assert same(reply.data, whole.data)
    assert len(reply.data) == len(whole.data)


async def test_pieces_come_one_by_one(server: LocalServer) -> None:
    """A client of the same loop gets them so; with a pause between them nobody else can join."""
    server.faults.add(Chop(size=100, pause=0.01))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[-1]))
    writer.write(asking("/api/v1/assistants", {"model": "m"}))
    pieces = []
    async with asyncio.timeout(SAFETY):
        while piece := await reader.read(65536):
            pieces.append(len(piece))
    writer.close()
    await writer.wait_closed()

    assert len(pieces) >= 3
    assert all(size <= 100 for size in pieces[1:])


async def test_what_fits_into_a_piece_is_not_chopped(server: LocalServer) -> None:
    """Nothing went wrong."""
    reply = await with_fault(server, Chop(size=10_000), asking("/api/v1/threads", {}))

    assert reply.status == 200
    assert server.faults.done == []


@wires
async def test_every_event_can_come_twice(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """The same frame again, right after it, and no other."""
    request = running(wire, assistant_id, TEXT)
    usual = frames(await came(server, request))
    for number in range(1, len(usual) + 1):
        reply = await with_fault(server, Duplicate(event=number), request)
        found = frames(reply)
        assert found[number - 1] == found[number]
        del found[number]
        assert all(map(same, found, usual))
        assert len(found) == len(usual)
        assert reply.data.endswith(LAST)
        assert server.faults.done == [("CreateThreadAndRun", Duplicate(event=number))]
    await with_fault(server, Duplicate(event=len(usual) + 1), request)
    assert server.faults.done == []


@wires
async def test_lines_end_with_crlf(server: LocalServer, assistant_id: str, wire: str) -> None:
    """All of them, and nothing else changes."""
    request = running(wire, assistant_id, TEXT)
    usual = b"".join(frames(await came(server, request)))
    found = b"".join(frames(await with_fault(server, Crlf(), request)))

    assert found.count(b"\n") == found.count(b"\r\n") == usual.count(b"\n")
    assert same(found.replace(b"\r\n", b"\n"), usual)
    assert SSEParser().feed(found) != []
    assert server.faults.done == [("CreateThreadAndRun", Crlf())]


@wires
async def test_several_happen_to_one_answer(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """Small pieces of CRLF lines, one event twice, and a cut after so many bytes of all that."""
    request = running(wire, assistant_id, TEXT)
    usual = frames(await came(server, request))
    happens = (Duplicate(event=2), Crlf(), Chop(size=5), Cut(after_bytes=6000))
    server.faults.add(*happens)
    reply = await came(server, request)
    found, _ = chunks(reply.body)
    expected = b"".join([usual[0], usual[1], *usual[1:]]).replace(b"\n", b"\r\n")

    assert len(reply.data) == 6000
    assert all(len(chunk) <= 5 for chunk in found)
    assert same(b"".join(found), expected)
    assert len(b"".join(found)) > len(usual[0]) + 2 * len(usual[1])
    assert {fault for _, fault in server.faults.done} == set(happens)


# --- silence ---


@wires
async def test_a_stalled_stream_shows_signs_of_life(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """After so many events there are only pings, until it goes on; then all the others come."""
    request = running(wire, assistant_id, TEXT)
    usual = frames(await came(server, request))
    ping, stall = PINGS[wire], Stall(after_events=3, ping=0.001)
    server.faults.add(stall)
    with connected(server) as connection:
        connection.sendall(request)
        data = await asyncio.to_thread(read_until, connection, ping, 5)
        server.faults.clear()
        data += (await asyncio.to_thread(read_all, connection)).data
    found = frames(Came(data, reset=False))
    pings = [number for number, frame in enumerate(found) if frame == ping]

    assert pings == [*range(3, 3 + len(pings))]
    assert len(pings) >= 5
    told = [frame for frame in found if frame != ping]
    assert all(map(same, told, usual))
    assert len(told) == len(usual)
    assert server.faults.done == [("CreateThreadAndRun", stall)]


@wires
@pytest.mark.parametrize("after", [0, 7])
async def test_a_stall_can_be_silent_and_short(
    server: LocalServer, assistant_id: str, wire: str, after: int
) -> None:
    """Without pings nothing is to be seen of it afterwards; it ends by itself."""
    request = running(wire, assistant_id, TEXT)
    whole = await came(server, request)
    stall = Stall(after_events=after, seconds=0.01, ping=None)
    reply = await with_fault(server, stall, request)

    assert same(reply.data, whole.data)
    assert len(reply.data) == len(whole.data)
    assert server.faults.done == [("CreateThreadAndRun", stall)]


async def test_pings_are_no_events(server: LocalServer, assistant_id: str) -> None:
    """What is counted is the same whether there is silence in between or not."""
    request = running("appbuilder", assistant_id, TEXT)
    server.faults.add(
        Stall(after_events=2, seconds=0.05, ping=0.001),
        Stall(after_events=3, seconds=0.05, ping=0.001),
        Duplicate(event=4),
        Cut(after_events=5),
    )
    found = frames(await came(server, request))
    told = [frame for frame in found if frame != PINGS["appbuilder"]]

    assert len(found) > len(told) + 2
    assert len(told) == 6
    assert told[3] == told[4]
    assert len(server.faults.done) == 4


@wires
async def test_a_slow_answer_is_that_of_work_that_was_done(server: LocalServer, wire: str) -> None:
    """Not a byte comes before its time, which is over once the faults are cleared."""
    slow = Slow(seconds=1000)
    server.faults.add(slow)
    request = asking(ASSISTANTS[wire], {"model": "m", "name": "n"})
    with connected(server) as connection:
        connection.sendall(request)
        async with asyncio.timeout(SAFETY):
            while not server.faults.done:
                await asyncio.sleep(0)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        connection.settimeout(SAFETY)
        server.faults.clear()
        reply = await asyncio.to_thread(read_all, connection)

    assert reply.json["object"] == "assistant"
    assert server.faults.done == [("CreateAssistant", slow)]


@wires
async def test_a_slow_answer_comes_by_itself(
    server: LocalServer, assistant_id: str, wire: str
) -> None:
    """Streams too, and what else is to happen to them."""
    request = running(wire, assistant_id, TEXT)
    server.faults.add(Slow(seconds=0.01), Lose(times=1))

    assert (await came(server, request)).data == b""
    assert (await came(server, request)).data.endswith(LAST)
    assert len(server.faults.done) == 3


@pytest.mark.parametrize(
    "fault",
    [Stall(after_events=2), Stall(after_events=2, ping=None), Slow(seconds=1000)],
    ids=repr,
)
async def test_whoever_leaves_a_silent_answer_ends_it(
    server: LocalServer, assistant_id: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """No task of the server waits on, and nothing is logged."""
    before = asyncio.all_tasks()
    server.faults.add(fault)
    connection = connected(server)
    connection.sendall(running("dashscope", assistant_id, TEXT))
    async with asyncio.timeout(SAFETY):
        while not server.faults.done:
            await asyncio.sleep(0)
        connection.close()
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


@pytest.mark.parametrize(
    "fault",
    [Stall(after_events=2), Stall(after_events=2, ping=None), Slow(seconds=1000)],
    ids=repr,
)
async def test_closing_the_server_ends_what_is_silent(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not broken off: all the rest of it comes."""
    server = LocalServer()
    await server.start()
    async with server.client(DashScope) as client:
        made = await client.assistants.create(model="m")
    server.faults.add(fault)
    with connected(server) as connection:
        connection.sendall(running("dashscope", made.id, TEXT))
        async with asyncio.timeout(SAFETY):
            while not server.faults.done:
                await asyncio.sleep(0)
        await server.close()
        reply = await asyncio.to_thread(read_all, connection)

    assert reply.data.endswith(LAST)
    assert frames(reply)[-1] == b"event:done\ndata:[DONE]\n\n"
    assert caplog.records == []


async def test_a_server_can_start_again_with_its_faults() -> None:
    """Silence is as long as before it was closed."""
    server = LocalServer()
    for _ in range(2):
        async with server:
            server.faults.add(Slow(seconds=1000))
            with connected(server) as connection:
                connection.sendall(asking("/api/v1/threads", {}))
                async with asyncio.timeout(SAFETY):
                    while not server.faults.done:
                        await asyncio.sleep(0)
                for _ in range(20):
                    await asyncio.sleep(0)
                connection.setblocking(False)
                with pytest.raises(BlockingIOError):
                    connection.recv(1)
            server.faults.clear()
            server.faults.done.clear()


# --- one answer only ---


async def test_the_next_answer_on_a_connection_is_as_ever(
    server: LocalServer, assistant_id: str
) -> None:
    """Nothing of what happened to the one is left for the other."""
    threads = asking("/api/v1/threads", {}, keep=True)
    asked = (assistant_id, TEXT)
    happens = [
        (Chop(size=2, times=1), threads),
        (Refuse(times=1), threads),
        (Stall(after_events=1, seconds=0.01, times=1), running("dashscope", *asked, keep=True)),
        (Crlf(times=1), running("appbuilder", *asked, keep=True)),
    ]
    with connected(server) as connection:
        for fault, request in happens:
            server.faults.add(fault)
            connection.sendall(request)
            ends = b"request_id" if request is threads else LAST
            await asyncio.to_thread(read_until, connection, ends)
            # Two at once: the second is read while the first is answered.
            connection.sendall(running("dashscope", *asked, keep=True) * 2)
            data = await asyncio.to_thread(read_until, connection, LAST, 2)
            assert data.count(b"event:done\ndata:[DONE]\n\n") == 2
            assert b"ping" not in data
        connection.sendall(asking("/api/v1/threads", {}))
        assert b'"object":"thread"' in (await asyncio.to_thread(read_all, connection)).data

    assert [fault for _, fault in server.faults.done] == [fault for fault, _ in happens]


async def test_a_client_that_has_left_already_cannot_be_left(
    server: LocalServer, client: DashScope, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was to happen to its answer, nobody is there to see it, and nothing is logged."""
    made = await client.assistants.create(model="m")
    server.faults.add(Slow(seconds=1000), Cut(after_bytes=3), Truncate(after_bytes=3), Crlf())
    before = asyncio.all_tasks()
    with connected(server) as connection:
        connection.sendall(running("dashscope", made.id, TEXT))
        async with asyncio.timeout(SAFETY):
            while not server.faults.done:
                await asyncio.sleep(0)
    async with asyncio.timeout(SAFETY):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)

    assert [type(fault) for _, fault in server.faults.done] == [Slow]
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


async def test_where_nobody_listens_nothing_goes_wrong() -> None:
    """The client had left before anything could happen to its answer."""
    happens = (Drop(), Lose(), Cut(after_bytes=1), Cut(after_events=0), Truncate(after_bytes=0))
    connection = SimpleNamespace(transport=None)
    request = cast("web.Request", SimpleNamespace(protocol=connection))
    faults = Faults()
    body = web.Response(body=b"abc")
    with Wiretap(request, CreateThread(), happens, faults, ping=b"") as tap:
        tap.hang_up(Drop())
        async with asyncio.timeout(SAFETY):
            await tap.slow()
        response, pieces = tap.spoil(Answer(body))
        assert pieces is not None
        assert [piece async for piece in pieces] == [b"abc"]

    assert response.content_length == 3
    assert connection.transport is None
    assert faults.done == []
