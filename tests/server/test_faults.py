"""What goes wrong on purpose: which requests it strikes, and what it does to the work."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiodashassist import AppBuilder, DashScope, Run, Thread, ToolOutput
from aiodashassist.core.models import RESTING, Assistant
from aiodashassist.core.operations import (
    CreateRun,
    CreateThread,
    Operation,
    RetrieveThread,
)
from aiodashassist.core.params import RunParams
from aiodashassist.errors import APIError, BadRequest
from aiodashassist.server import (
    Cut,
    Drop,
    Expire,
    Fault,
    Faults,
    Html,
    LocalServer,
    Lose,
    Refuse,
    Slow,
)
from tests.server.raw_client import (
    ASSISTANTS,
    LAST,
    asking,
    came,
    connected,
    read_all,
    read_until,
    running,
)

WIRES = ("dashscope", "appbuilder")
MADE = {"model": "m", "name": "n"}
PLAIN = CreateRun(thread_id="t", params=RunParams(assistant_id="a"))
STREAM = CreateRun(thread_id="t", params=RunParams(assistant_id="a"), stream=True)
THREAD: Operation[Any] = RetrieveThread(thread_id="t")


def struck(faults: Faults, count: int = 12, operation: Operation[Any] = THREAD) -> list[int]:
    """Which of so many requests go wrong, from 1."""
    return [number for number in range(1, count + 1) if faults.due(operation)]


# --- which requests ---


@pytest.mark.parametrize(
    ("fault", "numbers"),
    [
        (Lose(), [*range(1, 13)]),
        (Lose(every=3), [3, 6, 9, 12]),
        (Lose(skip=2), [*range(3, 13)]),
        (Lose(times=2), [1, 2]),
        (Lose(skip=1, times=1), [2]),
        (Lose(skip=1, every=3), [4, 7, 10]),
        (Lose(skip=1, every=3, times=2), [4, 7]),
        (Lose(skip=12), []),
        (Lose(chance=0), []),
        (Lose(chance=1, every=5), [5, 10]),
    ],
)
def test_requests_are_counted(fault: Fault, numbers: list[int]) -> None:
    """Some go well first, of the others each so-manyth goes wrong, and so many at most."""
    assert struck(Faults(fault)) == numbers


def test_only_what_a_fault_is_for_is_counted() -> None:
    """Requests of other names, and other kinds of answers, in between change nothing."""
    faults = Faults(Lose(operation="CreateRun", stream=True, every=2))
    asked = [STREAM, THREAD, PLAIN, CreateThread(), STREAM, PLAIN, STREAM, STREAM]

    assert [bool(faults.due(one)) for one in asked] == [False] * 4 + [True, False, False, True]


def test_chance_is_drawn_by_the_seed() -> None:
    """About so many, the same for the same seed, others for another."""
    drawn = [struck(Faults(Lose(chance=0.3), seed=seed), 2000) for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert all(500 < len(numbers) < 700 for numbers in drawn)


def test_chance_is_of_those_that_are_due() -> None:
    """It is drawn for what the other words leave, and `times` counts what went wrong."""
    numbers = struck(Faults(Lose(chance=0.5, every=2, skip=1, times=20)), 500)

    assert len(numbers) == 20
    assert all(number % 2 == 1 and number > 2 for number in numbers)


def test_each_fault_counts_on_its_own() -> None:
    """Also one that is equal to another, and one that is added later."""
    faults = Faults(Lose(every=2))
    faults.due(THREAD)
    faults.add(Lose(every=2), Slow(seconds=1, times=1))

    assert faults.due(THREAD) == (Lose(every=2), Slow(seconds=1, times=1))
    assert faults.due(THREAD) == (Lose(every=2),)
    assert faults.due(THREAD) == (Lose(every=2),)


def test_all_that_are_due_come_together() -> None:
    """In the order in which they were given."""
    faults = Faults(Slow(seconds=1), Cut(after_events=1), Lose(every=2), Cut(after_bytes=1))

    assert faults.due(STREAM) == (Slow(seconds=1), Cut(after_events=1), Cut(after_bytes=1))
    assert faults.due(PLAIN) == (Slow(seconds=1), Lose(every=2), Cut(after_bytes=1))


@pytest.mark.parametrize("first", [Drop(every=2), Refuse(every=2), Html(every=2)])
def test_what_stands_instead_of_the_work_comes_alone(first: Fault) -> None:
    """The first that is due; for those that come after it the request was none."""
    faults = Faults(Lose(every=2), first, Refuse(status=503, every=2))

    found = [faults.due(THREAD) for _ in range(4)]

    # The second is refused, so that the third is the second for the other two.
    assert found == [(), (first,), (Refuse(status=503, every=2),), (first,)]
    assert faults.due(THREAD) == (Lose(every=2),)


def test_there_are_no_faults_by_themselves() -> None:
    """Nothing goes wrong where nothing was said, and after all was taken back."""
    faults = Faults()
    assert struck(faults) == []
    faults.add(Lose())
    assert struck(faults, 1) == [1]
    faults.clear()
    assert struck(faults) == []
    assert repr(faults) == "Faults()"


@pytest.mark.parametrize("given", [Lose, "Lose", None, 429, [Lose()]])
def test_what_is_no_fault_is_a_value_error(given: Any) -> None:
    """It is told at once, and nothing of what was given with it is added."""
    faults = Faults()
    with pytest.raises(ValueError, match="is no fault"):
        Faults(given)
    with pytest.raises(ValueError, match="is no fault"):
        faults.add(Lose(), given)
    assert struck(faults) == []


def test_faults_show_what_they_are() -> None:
    """As they were given."""
    assert repr(Faults(Lose(every=3), Refuse())) == "Faults(Lose(every=3), Refuse())"


# --- what becomes of the work ---


def made(server: LocalServer) -> tuple[Assistant, ...]:
    """The assistants on the server."""
    return server.store.all("", Assistant)


def runs_of(server: LocalServer) -> list[Run]:
    """The runs on the server, of all threads."""
    threads = server.store.all("", Thread)
    return [run for thread in threads for run in server.store.all("", Run, thread.id)]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("reset", [False, True])
async def test_a_dropped_request_is_not_done(server: LocalServer, wire: str, reset: bool) -> None:
    """No byte comes, the connection ends as it is told to, and nothing is on the server."""
    fault = Drop(reset=reset, times=1)
    server.faults.add(fault)
    request = asking(ASSISTANTS[wire], MADE)

    assert await came(server, request) == (b"", reset)
    assert made(server) == ()
    assert server.faults.done == [("CreateAssistant", fault)]
    assert (await came(server, request)).json["object"] == "assistant"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("reset", [False, True])
async def test_a_lost_answer_is_that_of_work_that_was_done(
    server: LocalServer, wire: str, reset: bool
) -> None:
    """No byte comes, the connection ends as it is told to, and the server has done it."""
    fault = Lose(reset=reset, times=1)
    server.faults.add(fault)
    request = asking(ASSISTANTS[wire], MADE)

    assert await came(server, request) == (b"", reset)
    assert len(made(server)) == 1
    assert server.faults.done == [("CreateAssistant", fault)]
    assert (await came(server, request)).json["object"] == "assistant"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_whose_answer_is_lost_goes_on(
    server: LocalServer, client: DashScope, assistant_id: str, wire: str, stream: bool
) -> None:
    """A stream as well: it has begun, nobody is told, and it comes to its end."""
    server.faults.add(Lose(operation="CreateThreadAndRun"))

    assert (await came(server, running(wire, assistant_id, "hi", stream=stream))).data == b""
    (run,) = runs_of(server)
    rested = await client.threads.runs.wait(run.thread_id or "", run.id)
    assert rested.status == "completed"
    assert len(server.store.all("", Thread)) == 1


@pytest.mark.parametrize("fault", [Drop(), Refuse(), Html(), Lose()])
async def test_the_files_of_what_was_not_done_are_gone(
    server: LocalServer, fault: Fault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They were written while they came; only those of work that was done stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.faults.add(fault)
    form = aiohttp.FormData()
    for name in ("a.txt", "b.txt"):
        form.add_field("files", b"abc", filename=name)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as http:
        try:
            async with http.post(server.dashscope_url + "/files", data=form) as answer:
                await answer.read()
        except aiohttp.ServerDisconnectedError:
            pass

    assert len(files_below(tmp_path)) == (2 if fault == Lose() else 0)
    assert server.faults.done == [("CreateFiles", fault)]


def files_below(folder: Path) -> list[Path]:
    """The files in all folders below."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
async def test_a_run_expires_just_before_its_outputs(
    server: LocalServer, client: DashScope, assistant_id: str, kind: type[DashScope | AppBuilder]
) -> None:
    """They are refused, as those of any run that does not wait for them."""
    thread = await client.threads.create(messages=[{"role": "user", "content": "/call f"}])
    run = await client.threads.runs.create(thread.id, assistant_id=assistant_id)
    while (await client.threads.runs.retrieve(thread.id, run.id)).status not in RESTING:
        pass
    server.faults.add(Expire(times=1))
    async with server.client(kind) as other:
        runs = other.threads.runs
        with pytest.raises(BadRequest, match="it is expired"):
            await runs.submit_tool_outputs(thread.id, run.id, tool_outputs=[ToolOutput(output="1")])
        ended = await runs.retrieve(thread.id, run.id)

    assert (ended.status, ended.tool_calls) == ("expired", ())
    assert server.faults.done == [("SubmitOutputs", Expire(times=1))]
    # The thread is free again, and so is the run's task.
    again = await client.threads.runs.create(thread.id, assistant_id=assistant_id)
    assert again.status == "in_progress"


async def test_a_stream_that_waits_for_outputs_hears_that_its_run_expired(
    server: LocalServer, assistant_id: str
) -> None:
    """On the wire where it stays open it ends with that."""
    server.faults.add(Expire())
    with connected(server) as connection:
        connection.sendall(running("appbuilder", assistant_id, "/call f"))
        begun = await asyncio.to_thread(read_until, connection, b'"event_type":"tool_calls"')
        (run,) = runs_of(server)
        body = {"thread_id": run.thread_id, "run_id": run.id}
        outputs = [{"tool_call_id": "", "output": "1"}]
        path = "/v2/threads/runs/submit_tool_outputs"
        reply = await came(server, asking(path, {**body, "tool_outputs": outputs}))
        ended = await asyncio.to_thread(read_all, connection)

    assert "it is expired" in reply.json["error"]["message"]
    assert b'"status":"expired"' not in begun
    *_, last = ended.data.split(b"event: ")
    assert b'"event_type":"run_end"' in last
    assert b'"status":"expired"' in last
    assert ended.data.endswith(LAST)
    assert server.faults.done == [("SubmitOutputs", Expire())]


async def test_a_run_that_does_not_wait_cannot_expire(
    server: LocalServer, client: DashScope, assistant_id: str
) -> None:
    """One that has ended, and one that there is not: nothing went wrong on purpose."""
    server.faults.add(Expire())
    result = await client.ask("hi", assistant_id=assistant_id)
    outputs = [ToolOutput(output="1")]
    for run_id, words in ((result.run.id, "it is completed"), ("run_x", "does not exist")):
        with pytest.raises(APIError, match=words):
            await client.threads.runs.submit_tool_outputs(
                result.thread_id or "", run_id, tool_outputs=outputs
            )

    assert server.faults.done == []
    assert runs_of(server)[0].status == "completed"


@pytest.mark.parametrize("wire", WIRES)
async def test_what_cannot_be_read_is_not_counted(server: LocalServer, wire: str) -> None:
    """A wrong path, a broken body, a missing key and a strange host are refused as ever."""
    server.faults.add(Drop(every=2))
    path = ASSISTANTS[wire]
    good = asking(path, MADE)
    bad = [
        asking(path + "/x/y/z", MADE),
        asking(path, [1]),
        good.replace(b"Authorization: Bearer x\r\n", b""),
        asking(path, MADE, host="evil.test"),
    ]
    for request in bad:
        assert (await came(server, request)).data != b""
    assert (await came(server, good)).status == 200
    for request in bad:
        assert (await came(server, request)).data != b""
    assert (await came(server, good)).data == b""
    assert len(server.faults.done) == 1


async def test_what_is_refused_can_suffer_too(server: LocalServer) -> None:
    """The answer of a call that finds nothing is an answer like others."""
    server.faults.add(Lose(times=1), Cut(after_bytes=17, skip=1))
    request = asking("/api/v1/threads/t", method="GET")

    assert (await came(server, request)).data == b""
    assert (await came(server, request)).data == b"HTTP/1.1 400 Bad "


async def test_faults_are_changed_while_the_server_runs() -> None:
    """What was given to it, what is added, and nothing once they were cleared."""
    faults = Faults(Refuse(times=1))
    async with LocalServer(faults=faults) as server:
        assert server.faults is faults
        request = asking("/api/v1/threads", {})
        statuses = [(await came(server, request)).status for _ in range(2)]
        server.faults.add(Refuse(status=503))
        statuses.append((await came(server, request)).status)
        server.faults.clear()
        statuses.append((await came(server, request)).status)

    assert statuses == [429, 200, 503, 200]
    assert [fault for _, fault in faults.done] == [Refuse(times=1), Refuse(status=503)]


async def test_every_third_answer_lost_is_every_third_call_done(server: LocalServer) -> None:
    """None is done twice and none is left out, whatever is lost of them."""
    server.faults.add(Lose(every=3))
    replies = [await came(server, asking("/api/v1/assistants", MADE)) for _ in range(30)]

    assert [number for number, reply in enumerate(replies, 1) if not reply.data] == [
        *range(3, 31, 3)
    ]
    assert len(made(server)) == 30
    assert len(server.faults.done) == 10


async def test_what_goes_wrong_on_purpose_is_not_logged(
    server: LocalServer, assistant_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No warning and no error: the server is well."""
    for fault in (
        Drop(), Drop(reset=True), Lose(), Lose(reset=True), Refuse(), Html(),
        Cut(after_bytes=20), Cut(after_bytes=300, reset=True), Cut(after_events=2),
    ):  # fmt: skip
        server.faults.clear()
        server.faults.add(fault)
        for wire in WIRES:
            await came(server, running(wire, assistant_id, "hi"))
            await came(server, asking(ASSISTANTS[wire], MADE))

    assert len(server.faults.done) == 34  # that of events is for streams only
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
