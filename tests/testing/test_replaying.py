"""aiodashassist/testing/replaying.py."""

import asyncio
import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aiodashassist import (
    AppBuilder,
    ConfigError,
    ConnectError,
    DashScope,
    MessageDelta,
    NotFound,
    PluginTool,
    RequestTimeout,
    Retry,
    RunEvent,
    StreamRecovered,
    Timeouts,
    Toolset,
    TransportError,
    UserAuth,
)
from aiodashassist.core.decoding import MARK
from aiodashassist.server import LocalServer
from aiodashassist.server.mishaps import Cut, Lose, Refuse
from aiodashassist.testing import Cassette, CassetteError, NotRecorded, record, replay
from aiodashassist.testing.answers import Answer
from aiodashassist.testing.cassette import Answered, Asked, Body, Exchange, Failed
from aiodashassist.testing.replaying import _Played
from tests import virtual_time
from tests.raw_server import RawServer, answering
from tests.testing.conversations import KINDS, TOOLS, Client, talk

ONCE = Retry(attempts=1, reconcile=False)
AT_ONCE = Retry(first_delay=0)


def asked(path: str, body: object = None, *, method: str = "POST", operation: str = "X") -> Asked:
    """A request."""
    sent = None if body is None else Body.of(json.dumps(body).encode())
    return Asked(operation=operation, method=method, path=path, body=sent)


def told(body: object, **given: Any) -> Answered:
    """An answer."""
    return Answered(status=200, body=Body.of(json.dumps(body).encode()), **given)


def thread(thread_id: str, **given: Any) -> Exchange:
    """The creation of a thread, asked for with these fields."""
    answer = told({"id": thread_id, "object": "thread", "metadata": {}, "request_id": "r"})
    return Exchange(request=asked("/threads", given), answer=answer)


def cassette(*exchanges: Exchange, provider: str = "DashScope") -> Cassette:
    """A cassette of these."""
    return Cassette(provider, exchanges)


@pytest.mark.parametrize("timings", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_conversation_is_the_same_again(
    kind: type[Client], timings: bool, server: LocalServer, tmp_path: Path
) -> None:
    """Two rounds of tools, recorded and replayed, have the same events and the same result."""
    path = tmp_path / "c.json"
    async with server.client(kind) as client:
        with record(client, path, timings=True):
            recorded = await talk(client)
    await server.close()
    async with replay(path, kind, timings=timings) as client:
        replayed = await talk(client)

    assert replayed == recorded
    assert len(replayed[0]) > 20
    assert replayed[1].text.endswith("as far as anybody can tell.")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_replay_can_be_recorded(kind: type[Client], server: LocalServer) -> None:
    """What is replayed comes in the pieces that it came in: recorded again, it is the same."""
    async with server.client(kind, retry=Retry(reconcile=False)) as client:
        with record(client) as first:
            await talk(client)
    async with replay(first, kind, retry=Retry(reconcile=False)) as client:
        with record(client) as second:
            await talk(client)

    assert second.exchanges == first.exchanges


async def test_a_cassette_can_be_replayed_often(client: DashScope) -> None:
    """Each client begins at the beginning; one that is used by two is used up by neither."""
    with record(client) as recorded:
        made = await client.threads.create()
    for _ in range(2):
        async with replay(recorded, DashScope) as again:
            assert await again.threads.create() == made


@pytest.mark.parametrize("kind", KINDS)
async def test_two_runs_at_a_time_are_the_same_again(
    kind: type[Client], server: LocalServer
) -> None:
    """Conversations that were recorded side by side are each as they were."""
    texts = ['/call get_weather {"city": "A"}', '/call get_weather {"city": "B"}\n/then\n/say b']
    async with server.client(kind) as client:
        with record(client) as recorded:
            before = await asyncio.gather(*(talk(client, text) for text in texts))
    async with replay(recorded, kind) as client:
        after = await asyncio.gather(*(talk(client, text) for text in texts))

    assert [result.text for _, result in after] == [result.text for _, result in before]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_is_the_same_again(kind: type[Client], server: LocalServer) -> None:
    """An answer that is an error is raised as it was."""
    async with server.client(kind) as client:
        with record(client) as recorded, pytest.raises(NotFound) as first:
            await client.threads.retrieve("none")
    async with replay(recorded, kind) as client:
        with pytest.raises(NotFound) as second:
            await client.threads.retrieve("none")

    assert str(second.value) == str(first.value)
    assert second.value.request_id == first.value.request_id is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broken_stream_breaks_again(kind: type[Client], server: LocalServer) -> None:
    """A stream that broke is read back in the replay as it was, with the same events."""
    server.faults.add(Cut(operation="CreateRun", after_events=4))
    async with server.client(kind, retry=AT_ONCE) as client:
        with record(client) as recorded:
            before = await talk(client, "/say one two three four five six")
    async with replay(recorded, kind, retry=AT_ONCE) as client:
        after = await talk(client, "/say one two three four five six")

    assert [type(event) for event in before[0] if isinstance(event, StreamRecovered)]
    assert after == before


@pytest.mark.parametrize("operation", ["CreateAssistant", "CreateMessage", "CreateRun"])
async def test_a_lost_answer_is_found_again(operation: str, server: LocalServer) -> None:
    """The id under which a lost request is looked up is another one in the replay, and is found."""
    server.faults.add(Lose(operation=operation))
    async with server.client(DashScope, retry=AT_ONCE) as client:
        with record(client) as recorded:
            before = await talk(client)
    async with replay(recorded, DashScope, retry=AT_ONCE) as client:
        with record(client) as again:
            after = await talk(client)
    failures = [one.failure.kind for one in recorded.exchanges if one.failure is not None]

    assert failures == ["lost"]
    assert after == before
    assert len(again.exchanges) == len(recorded.exchanges)
    bodies = [[one.request.body for one in tape.exchanges] for tape in (recorded, again)]
    marks = [{MARK in body.data.decode() for body in tape if body} for tape in bodies]
    assert marks == [{True, False}] * 2
    assert bodies[0] != bodies[1]


async def test_what_was_refused_is_refused_again(server: LocalServer) -> None:
    """An attempt that was refused and the one after it are both there, in their order."""
    server.faults.add(Refuse(operation="CreateThread", status=429, times=2))
    async with server.client(DashScope, retry=AT_ONCE) as client:
        with record(client) as recorded:
            made = await client.threads.create()
    statuses: list[int | None] = []

    def note(info: Any) -> None:
        statuses.append(info.status)

    async with replay(recorded, DashScope, retry=AT_ONCE, on_response=note) as client:
        assert await client.threads.create() == made
    assert statuses == [429, 429, 200]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("refused", ConnectError), ("lost", TransportError), ("silent", RequestTimeout)],
)
async def test_a_failure_is_the_same_again(kind: Any, error: type[TransportError]) -> None:
    """A connection that was refused or lost, or a silence, is again what it was."""
    failed = Failed(kind=kind, words="what was said")
    tape = cassette(Exchange(request=asked("/threads", {}), failure=failed))
    async with replay(tape, DashScope, retry=ONCE) as client:
        with pytest.raises(error) as caught:
            await client.threads.create()

    assert type(caught.value) is error
    assert kind == "silent" or "what was said" in str(caught.value)


@pytest.mark.parametrize("end", ["broken", "silent"])
async def test_a_body_that_broke_breaks_again(end: Any) -> None:
    """An answer of which only a part came is an error again."""
    answer = replace(told({"id": "thread_1"}), end=end, words="it broke")
    tape = cassette(Exchange(request=asked("/threads/t", method="GET"), answer=answer))
    async with replay(tape, DashScope, retry=ONCE) as client:
        with pytest.raises(TransportError) as caught:
            await client.threads.retrieve("t")

    assert isinstance(caught.value, RequestTimeout) == (end == "silent")


async def test_the_same_request_comes_first() -> None:
    """A request gets the answer to the same one, wherever on the cassette that is."""
    tape = cassette(
        thread("thread_a", metadata={"for": "a"}), thread("thread_b", metadata={"for": "b"})
    )
    async with replay(tape, DashScope) as client:
        second = await client.threads.create(metadata={"for": "b"})
        first = await client.threads.create(metadata={"for": "a"})

    assert (first.id, second.id) == ("thread_a", "thread_b")


async def test_the_order_of_a_body_does_not_matter() -> None:
    """Bodies are compared as JSON and not as bytes."""
    tape = cassette(thread("thread_a"), thread("thread_b", metadata={"x": "1", "y": "2"}))
    async with replay(tape, DashScope) as client:
        made = await client.threads.create(metadata={"y": "2", "x": "1"})

    assert made.id == "thread_b"


@pytest.mark.parametrize("kind", KINDS)
async def test_another_question_is_not_answered(kind: type[Client], server: LocalServer) -> None:
    """A request that says something else is an error that names the field, and nothing in it."""
    async with server.client(kind) as client:
        assistant = await client.assistants.create(model="m", name="n")
        with record(client) as recorded:
            await client.ask("one", assistant_id=assistant.id)
    async with replay(recorded, kind) as client:
        with pytest.raises(
            NotRecorded, match=r"CreateMessage .* body\.content is not as"
        ) as caught:
            await client.ask("private words", assistant_id=assistant.id)
    async with replay(recorded, kind) as client:
        with pytest.raises(NotRecorded, match=r"CreateRun .* body\.assistant_id is not as"):
            await client.ask("one", assistant_id="asst_other")

    assert "private" not in f"{caught.value!s} {caught.value!r} {caught.value.__dict__}"


@pytest.mark.parametrize("kind", KINDS)
async def test_other_outputs_of_tools_are_not_answered(
    kind: type[Client], server: LocalServer
) -> None:
    """A tool that does not say what it said is noticed, in the middle of its run."""

    async def get_weather(city: str) -> str:
        return f"rain in {city}"

    text = '/call get_weather {"city": "A"}'
    async with server.client(kind) as client:
        with record(client) as recorded:
            await talk(client, text)
    async with replay(recorded, kind) as client:
        with pytest.raises(NotRecorded, match=r"body\.tool_outputs\[0\]\.output is not as"):
            await talk(client, text, TOOLS | Toolset(get_weather))


async def test_another_request_gets_what_is_next() -> None:
    """With `strict=False` the first that is left of the same method and path answers."""
    tape = cassette(thread("thread_a", metadata={"a": "1"}), thread("thread_b"))
    async with replay(tape, DashScope, strict=False) as client:
        made = [await client.threads.create(metadata={"z": "1"}) for _ in range(2)]

    assert [one.id for one in made] == ["thread_a", "thread_b"]


async def test_a_query_counts() -> None:
    """Two requests with the same path and other queries are not the same."""
    pages = {
        limit: told({"object": "list", "data": [], "has_more": False, "request_id": limit})
        for limit in ("5", "7")
    }
    tape = cassette(
        *(
            Exchange(
                request=Asked(
                    operation="ListAssistants",
                    method="GET",
                    path="/assistants",
                    query={"limit": limit},
                ),
                answer=answer,
            )
            for limit, answer in pages.items()
        )
    )
    async with replay(tape, DashScope) as client:
        assert (await client.assistants.list(page_size=7)).request_id == "7"
        assert (await client.assistants.list(page_size=5)).request_id == "5"


async def test_marks_and_users_tokens_do_not_count(server: LocalServer) -> None:
    """A request is the same with another id of its operation, or none, and another token."""

    def plugin(token: str) -> PluginTool:
        return PluginTool("my_plugin", auth=UserAuth(user_token=token))

    async with server.client(DashScope) as client:
        with record(client) as recorded:
            for name in ("a", "b"):
                await client.assistants.create(model="m", name=name, tools=[plugin("token-one")])
    for retry in (Retry(), Retry(reconcile=False)):
        async with replay(recorded, DashScope, retry=retry) as client:
            again = await client.assistants.create(model="m", name="b", tools=[plugin("two")])
            assert again.name == "b"


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_blotted_out_does_not_count(
    kind: type[Client], server: LocalServer, tmp_path: Path
) -> None:
    """A program that sends its secrets, or others, again is the same program."""

    async def use(client: Client, secret: str) -> str:
        query, body = {"access_token": secret}, {"api_key": secret, "nested": [{"secret": secret}]}
        made = await client.threads.create(extra_query=query, extra_body=body)
        said = json.dumps({"password": secret})
        await client.threads.messages.create(made.id, f"{said} and {secret}")
        return made.id

    async with server.client(kind) as client:
        with record(client, tmp_path / "c.json"):
            before = await use(client, "secret-number-1")
    for secret in ("secret-number-1", "another-and-longer-secret"):
        async with replay(tmp_path / "c.json", kind) as client:
            assert await use(client, secret) == before


async def test_a_body_that_is_no_json_is_compared_as_it_is() -> None:
    """Whatever a body is, the same one is found; nesting without end is no JSON."""
    for body in (b"not json", b"[" * 100_000):
        tape = cassette(
            thread("thread_a"),
            Exchange(
                request=Asked(operation="X", method="POST", path="/threads", body=Body.of(body)),
                answer=told({"id": "thread_b"}),
            ),
        )
        async with replay(tape, DashScope, strict=False) as client:
            assert (await client.threads.create(extra_body={"x": 1})).id == "thread_a"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_that_is_not_on_the_cassette_is_told(
    kind: type[Client], server: LocalServer
) -> None:
    """The error names the request, and nothing of what it says."""
    async with server.client(kind) as client:
        with record(client) as recorded:
            made = await client.threads.create()
    async with replay(recorded, kind) as client:
        with pytest.raises(NotRecorded, match=r"CreateMessage \(POST .*it has none") as caught:
            await client.threads.messages.create(made.id, "private words")
        await client.threads.create()
        with pytest.raises(NotRecorded, match=r"CreateThread .*all 1 that it has were given"):
            await client.threads.create()

    assert "private" not in f"{caught.value!s} {caught.value!r} {caught.value.__dict__}"


async def test_a_stream_that_is_not_on_the_cassette_is_told(
    client: DashScope, assistant_id: str
) -> None:
    """A run that was not recorded is an error of the cassette, and is not tried again."""
    with record(client) as recorded:
        made = await client.threads.create()
    asked_for: list[str] = []

    def note(info: Any) -> None:
        asked_for.append(info.operation)

    async with replay(recorded, DashScope, on_request=note) as again:
        with pytest.raises(NotRecorded, match="CreateRun"):
            async with again.threads.runs.stream(made.id, assistant_id=assistant_id):
                pass
    assert asked_for == ["CreateRun"]


async def test_files_are_replayed(server: LocalServer, tmp_path: Path) -> None:
    """An upload is known by names and sizes, and a download gives the recorded bytes."""
    data = bytes(range(256)) * 100
    async with server.client(AppBuilder) as client:
        with record(client) as recorded:
            other = await client.files.create(b"other", filename="a.bin")
            file = await client.files.create(data, filename="a.bin")
            content = await client.files.content(file.id)
            await client.files.download(file.id, to=tmp_path / "first")
    async with replay(recorded, AppBuilder) as client:
        assert await client.files.create(data, filename="a.bin") == file
        assert await client.files.create(b"OTHER", filename="a.bin") == other
        assert await client.files.content(file.id) == content
        await client.files.download(file.id, to=tmp_path / "second")

    assert (tmp_path / "second").read_bytes() == data


async def test_a_name_in_another_encoding_is_replayed(tmp_path: Path) -> None:
    """A header that is no UTF-8 is on the cassette as it was: it names the file."""
    named = "attachment; filename=天气.txt".encode("gbk")
    answer = b"HTTP/1.1 200 OK\r\nContent-Disposition: %b\r\nContent-Length: 2\r\n\r\nhi" % named
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    async with (
        RawServer(answering(answer)) as server,
        AppBuilder("sk-x", base_url=server.url, retry=ONCE) as client,
    ):
        with record(client, tmp_path / "c.json"):
            first = await client.files.download("file_1", to=tmp_path / "first")
    async with replay(tmp_path / "c.json", AppBuilder) as client:
        second = await client.files.download("file_1", to=tmp_path / "second")

    assert first is not None
    assert second is not None
    assert second.name == first.name
    (recorded,) = Cassette.load(tmp_path / "c.json").exchanges
    assert recorded.answer is not None
    assert recorded.answer.raw_headers == {"Content-Disposition": named}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_was_left_is_left_again(
    kind: type[Client], server: LocalServer
) -> None:
    """A program that leaves where it left when it was recorded meets nothing unusual."""
    text = "/say one two three\n/wait 60"

    async def leave(client: Client) -> list[object]:
        assistant = await client.assistants.create(model="m", name="n")
        events: list[object] = []
        async with client.stream(text, assistant_id=assistant.id) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, MessageDelta):
                    break
        return events

    async with server.client(kind) as client:
        with record(client) as recorded:
            before = await leave(client)
    async with replay(recorded, kind) as client:
        with record(client) as again:
            assert await leave(client) == before

    operations = [[one.request.operation for one in tape.exchanges] for tape in (recorded, again)]
    assert operations[0] == operations[1]
    assert operations[0][-1] == "CancelRun"


FRAME = b'event:thread.run.in_progress\ndata:{"id":"run_1","status":"in_progress"}\n\n'


def left_stream(**given: Any) -> Cassette:
    """A cassette with a stream that its client left after one event."""
    answer = Answered(
        status=200,
        headers={"Content-Type": "text/event-stream"},
        body=Body.of(FRAME),
        end="left",
        **given,
    )
    request = asked("/threads/t/runs", {"assistant_id": "a", "stream": True})
    return cassette(Exchange(request=request, answer=answer))


def test_who_reads_on_where_the_recording_ends_is_told() -> None:
    """After a second of silence, for whoever is only slower, the stream breaks."""

    async def main() -> float:
        async with replay(left_stream(), DashScope, retry=ONCE) as client:
            stream = client.threads.runs.stream("t", assistant_id="a", on_exit="leave")
            async with stream:
                event = await anext(stream)
                assert isinstance(event, RunEvent)
                with pytest.raises(NotRecorded, match="RetrieveRun"):  # it is read back
                    await anext(stream)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(1, abs=0.1)


def test_who_waits_where_nobody_waited_is_told() -> None:
    """A request whose answer was not waited for is silent for a second, and then an error."""

    async def main() -> float:
        failed = Failed(kind="left")
        tape = cassette(Exchange(request=asked("/threads", {}), failure=failed))
        async with replay(tape, DashScope, retry=ONCE) as client:
            with pytest.raises(TransportError, match="the recording ends here"):
                await client.threads.create()
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(1, abs=0.1)


def timed() -> Cassette:
    """An answer in two pieces: begun after 2 s, the pieces after 3 and 5, the end after 6."""
    body = json.dumps({"id": "thread_1", "request_id": "r"}).encode()
    answer = Answered(
        status=200,
        body=Body.of(body),
        chunks=(4, len(body) - 4),
        began=2,
        times=(3, 5),
        ended=6,
    )
    return cassette(Exchange(request=asked("/threads/t", method="GET"), answer=answer))


@pytest.mark.parametrize(("timings", "seconds"), [(True, 6), (False, 0)])
def test_timings_are_kept_where_they_are_asked_for(timings: bool, seconds: float) -> None:
    """With timings each piece comes when it came; without, all comes at once."""

    async def main() -> float:
        async with replay(timed(), DashScope, timings=timings) as client:
            assert (await client.threads.retrieve("t")).id == "thread_1"
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(seconds, abs=0.1)


async def test_one_piece_comes_at_a_time() -> None:
    """However often it is looked whether more may come, a read gives one piece."""
    answer = Answered(status=200, body=Body.of(b"onetwo"), chunks=(3, 3))
    played = _Played(answer, deque(answer.pieces()), set(), None)
    played.look()
    played.look()

    assert [await played.readany() for _ in range(3)] == [b"one", b"two", b""]


async def test_no_timer_is_left_behind() -> None:
    """An answer that is closed while a piece is still to come waits for it no more."""
    answer = Answered(status=200, body=Body.of(b"one"), times=(60,), ended=60)
    played = _Played(answer, deque(answer.pieces()), set(), asyncio.get_running_loop().time())
    played.look()
    timer = played._timer
    Answer(200, {}, played).close()

    assert timer is not None
    assert timer.cancelled()


@pytest.mark.parametrize(("limit", "late"), [(2.5, True), (7, False)])
def test_the_clocks_of_the_client_run(limit: float, late: bool) -> None:
    """A client that is less patient than the recorded one gives up, and leaves nothing behind."""

    async def main() -> None:
        clocks = Timeouts(total=limit)
        async with replay(timed(), DashScope, timings=True, timeouts=clocks) as client:
            if late:
                with pytest.raises(TransportError, match=str(limit)):
                    await client.threads.retrieve("t")
            else:
                await client.threads.retrieve("t")

    virtual_time.run(main())


@pytest.mark.parametrize(("kind", "after"), [("lost", 3), ("left", 4)])
def test_a_failure_takes_its_time(kind: Any, after: float) -> None:
    """With timings a failure comes when it came, and the end of a recording a second later."""

    async def main() -> float:
        failed = Failed(kind=kind, after=3)
        tape = cassette(Exchange(request=asked("/threads", {}), failure=failed))
        async with replay(tape, DashScope, timings=True, retry=ONCE) as client:
            with pytest.raises(TransportError):
                await client.threads.create()
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(after, abs=0.1)


def test_a_timed_stream_that_was_left_ends_a_second_later() -> None:
    """The silence of a stream that was left is as long as it was, and one second more."""

    async def main() -> float:
        tape = left_stream(began=1, times=(2,), ended=5)
        async with replay(tape, DashScope, timings=True, retry=ONCE) as client:
            stream = client.threads.runs.stream("t", assistant_id="a", on_exit="leave")
            async with stream:
                await anext(stream)
                with pytest.raises(NotRecorded, match="RetrieveRun"):  # it is read back
                    await anext(stream)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(6, abs=0.1)


async def test_a_piece_waits_for_what_it_came_after(server: LocalServer) -> None:
    """On a stream that stays open nothing comes of tool outputs before they are sent again."""

    async def get_weather(city: str) -> str:
        for _ in range(100):  # time enough for all that does not wait
            await asyncio.sleep(0)
        return f"sunny in {city}"

    text = '/call get_weather {"city": "A"}\n/then\n/call get_weather {"city": "B"}'
    async with server.client(AppBuilder) as client:
        with record(client) as recorded:
            before = await talk(client, text)
    async with replay(recorded, AppBuilder) as client:
        after = await talk(client, text, TOOLS | Toolset(get_weather))

    assert after == before


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cassette_fits_one_service(kind: type[Client], tmp_path: Path) -> None:
    """A cassette of one service is refused to a client of the other; a wrong file is told."""
    path = tmp_path / "c.json"
    other = next(one for one in KINDS if one is not kind)
    cassette(provider=other.__name__).save(path)

    with pytest.raises(CassetteError, match=f"of {other.__name__}, the client of {kind.__name__}"):
        replay(path, kind)
    path.write_text("{}")
    with pytest.raises(CassetteError, match="is no cassette"):
        replay(path, kind)


async def test_the_session_is_the_cassettes() -> None:
    """A session of the user's own cannot be replayed; other options are the client's."""
    with pytest.raises(ConfigError, match="session"):
        replay(cassette(), DashScope, session=None)
    with pytest.raises(ConfigError, match="no option"):
        replay(cassette(), DashScope, sessions=None)
    async with replay(cassette(), DashScope, base_url="https://h/x", api_key="sk-mine") as client:
        assert "https://h/x" in repr(client)


async def test_nothing_is_looked_up_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay needs no key, and sends none: neither key nor URL come from the environment."""
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", "not a url")
    monkeypatch.setenv("GATEWAY_URL", "http://[")
    for kind in KINDS:
        async with replay(cassette(provider=kind.__name__), kind) as client:
            assert "127.0.0.1" in repr(client)


async def said(client: Client, assistant_id: str, *, ask: bool) -> None:
    """Ask for the result, or read the events."""
    if ask:
        await client.ask("one two three", assistant_id=assistant_id)
        return
    async with client.stream("one two three", assistant_id=assistant_id) as stream:
        async for _ in stream:
            pass


@pytest.mark.parametrize("ask", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_cannot_be_read_back_is_told(
    kind: type[Client], ask: bool, server: LocalServer
) -> None:
    """Where a stream breaks and the cassette has nothing more, that is what is told."""
    server.faults.add(Cut(operation="CreateRun", after_events=4))
    async with server.client(kind, retry=AT_ONCE) as client:
        assistant = await client.assistants.create(model="m", name="n")
        with record(client) as recorded:
            await client.ask("one two three", assistant_id=assistant.id)
    kept = [one for one in recorded.exchanges if one.request.operation.startswith("Create")]
    async with replay(Cassette(kind.__name__, kept), kind, retry=AT_ONCE) as client:
        with pytest.raises(NotRecorded, match=r"no answer to RetrieveRun .*it has none"):
            await said(client, assistant.id, ask=ask)


@pytest.mark.parametrize("operation", ["CreateMessage", "CreateRun"])
async def test_a_lost_answer_that_cannot_be_looked_up_is_told(
    operation: str, server: LocalServer
) -> None:
    """Where an answer is lost and the cassette does not say what became of it, that is told."""
    server.faults.add(Lose(operation=operation))
    async with server.client(DashScope, retry=AT_ONCE) as client:
        assistant = await client.assistants.create(model="m", name="n")
        with record(client) as recorded:
            await client.ask("one two three", assistant_id=assistant.id)
    kept = [one for one in recorded.exchanges if one.request.operation.startswith("Create")]
    async with replay(Cassette("DashScope", kept), DashScope, retry=AT_ONCE) as client:
        with pytest.raises(NotRecorded, match="no answer to List"):
            await client.ask("one two three", assistant_id=assistant.id)
