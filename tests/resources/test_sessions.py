"""`client.threads.session`: who waits for whom, what is asked, and how refusals are read."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from aiodashassist import (
    AppBuilder,
    AssistError,
    CallInfo,
    Conflict,
    DashScope,
    InvalidArgument,
    LocalProtocolError,
    NotFound,
    RateLimited,
    Retry,
    RunStream,
    Timeouts,
    ToolOutput,
    TotalTimeout,
    UnsupportedOperation,
    UnsupportedParameter,
    tool,
)
from aiodashassist.core.known import Known
from aiodashassist.errors import APIError, AuthenticationError, BadRequest
from aiodashassist.resources import holds
from aiodashassist.resources.sessions import ATTEMPTS, LOOKS, ThreadSession
from aiodashassist.server import LocalServer
from tests import virtual_time
from tests.raw_server import END, STREAM, RawServer, Received, Writer, chunk, whole
from tests.resources.pinned import pinned

PATIENCE = 10  # seconds; nothing here takes one


@pytest.fixture(autouse=True)
async def _no_lock_is_left() -> AsyncIterator[None]:
    """When nobody is on a thread, nothing is kept of it."""
    yield
    async with asyncio.timeout(PATIENCE):
        while holds._threads:
            await asyncio.sleep(0)
            gc.collect()


@pytest.fixture
async def thread_id(client: DashScope) -> str:
    """A thread without messages."""
    return (await client.threads.create()).id


@pytest.fixture
async def session(client: DashScope, thread_id: str) -> ThreadSession:
    """A session of that thread."""
    return client.threads.session(thread_id)


async def texts(client: DashScope, thread_id: str) -> list[str]:
    """What was said on a thread, the oldest first."""
    return [m.text async for m in client.threads.messages.list(thread_id, order="asc")]


async def quiet(client: DashScope, thread_id: str) -> None:
    """Time enough for what can go on to do so: a few requests there and back."""
    for _ in range(3):
        await client.threads.retrieve(thread_id)


def page(*statuses: str) -> dict[str, Any]:
    """A page of runs with these statuses."""
    return {"data": [{"id": f"run_{n}", "status": one} for n, one in enumerate(statuses)]}


async def entered(session: ThreadSession) -> None:
    """Enter it, and leave it."""
    async with session:
        pass


@pytest.mark.parametrize("on_active", ["wait", "cancel", "raise"])
@pytest.mark.parametrize(
    "answer", [page(), page("completed"), page("expired", "in_progress"), page("incomplete")]
)
async def test_the_newest_run_is_asked_for_and_no_other(answer: Any, on_active: Any) -> None:
    """It is one request; where the newest has ended, older ones are no hindrance."""
    await pinned(
        lambda client: entered(client.threads.session("t", on_active=on_active)),
        "GET",
        "/threads/t/runs?limit=1&order=desc",
        answer=answer,
    )


async def test_appbuilder_is_asked_its_own_way() -> None:
    """The same request as AppBuilder has it."""
    await pinned(
        lambda client: entered(client.threads.session("t")),
        "POST",
        "/v2/threads/runs/list",
        client=AppBuilder,
        body={"thread_id": "t", "limit": 1, "order": "desc"},
        answer=page(),
    )


@pytest.mark.parametrize("thread_id", ["", None, 5])
async def test_a_thread_needs_an_id(thread_id: Any) -> None:
    """What cannot be one is InvalidArgument, before a session is there."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="thread_id"):
            client.threads.session(thread_id)


@pytest.mark.parametrize("on_active", ["", "Wait", None, ["wait"]])
async def test_what_is_done_about_active_runs_is_one_of_three(on_active: Any) -> None:
    """Another word is InvalidArgument."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="wait, cancel, raise"):
            client.threads.session("t", on_active=on_active)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"assistant_id": ""}, InvalidArgument, "assistant_id"),
        ({"assistant_id": "a", "on_exit": "stay"}, InvalidArgument, "on_exit"),
        ({"assistant_id": "a", "tools": [5]}, InvalidArgument, "int"),
        ({"assistant_id": "a", "max_rounds": -1}, InvalidArgument, "max_rounds"),
        ({"assistant_id": "a", "stream": True}, UnsupportedParameter, "stream"),
        ({"assistant_id": "a", "thread_id": "t"}, UnsupportedParameter, "thread_id"),
        ({"assistant_id": "a", "extra_headers": {"X": "a\nb"}}, InvalidArgument, "header"),
    ],
)
async def test_what_cannot_be_asked_is_told_before_anything_is_sent(
    params: Any, error: type[AssistError], words: str
) -> None:
    """By `stream` itself, before its block is entered, and by `ask`."""
    async with DashScope("sk-x") as client:
        session = client.threads.session("t")
        with pytest.raises(error, match=words):
            session.stream("hi", **params)
        with pytest.raises(error, match=words):
            await session.ask("hi", **params)
    assert client._session.pool._http is None  # no connection was ever wanted


async def test_a_closed_client_says_so_and_waits_for_nobody(
    client: DashScope, server: LocalServer, thread_id: str
) -> None:
    """Also where the thread is held by another client; a session that is entered is told, too."""
    closed = server.client(DashScope)
    session = closed.threads.session((await client.threads.create()).id)
    async with client.threads.session(thread_id), session:
        await closed.close()
        inside = [session.say("hi"), session.ask("hi", assistant_id="a")]
        other = closed.threads.session(thread_id)
        for call in [*inside, other.say("hi"), other.ask("hi", assistant_id="a"), entered(other)]:
            with pytest.raises(LocalProtocolError, match="closed"):
                await asyncio.wait_for(call, PATIENCE)


def test_a_session_belongs_to_its_clients_loop() -> None:
    """In another loop it says so, and does not wait there."""
    made: list[ThreadSession] = []

    async def first() -> None:
        async with LocalServer() as server:
            client = server.client(DashScope)
            made.append(client.threads.session((await client.threads.create()).id))
            await client._pool._http.close()  # type: ignore[union-attr]

    asyncio.run(first())
    with pytest.raises(LocalProtocolError, match="loop"):
        asyncio.run(entered(made[0]))


async def test_a_session_is_entered_once_at_a_time(client: DashScope, thread_id: str) -> None:
    """Twice is an error, and no wait for ever; when it was left it can be entered again."""
    session = client.threads.session(thread_id)
    for _ in range(2):
        async with session:
            with pytest.raises(LocalProtocolError, match="entered already"):
                await session.__aenter__()
            await session.say("hi")

    assert await texts(client, thread_id) == ["hi", "hi"]


Again = Callable[[ThreadSession, str], Awaitable[Any]]
AGAIN: list[Any] = [
    pytest.param(lambda session, a: session.say("hi"), id="say"),
    pytest.param(lambda session, a: session.ask("hi", assistant_id=a), id="ask"),
    pytest.param(lambda session, a: session.stream("hi", assistant_id=a).__aenter__(), id="stream"),
    pytest.param(lambda session, a: entered(session), id="enter"),
]


@pytest.fixture(params=["its own", "another", "another client's"])
async def other(
    request: pytest.FixtureRequest, client: DashScope, server: LocalServer, session: ThreadSession
) -> AsyncIterator[ThreadSession]:
    """A session of the same thread: the same object, a second one, or one of another client."""
    async with server.client(DashScope) as second:
        yield {
            "its own": session,
            "another": client.threads.session(session.thread_id),
            "another client's": second.threads.session(session.thread_id),
        }[request.param]


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("is_entered", [True, False])
async def test_who_has_a_stream_open_does_not_wait_for_its_end(
    session: ThreadSession,
    other: ThreadSession,
    assistant_id: str,
    again: Again,
    is_entered: bool,
) -> None:
    """Whatever its task asks of a session of the thread is an error at once.

    The stream goes on, and the thread is free as soon as its block is left.
    """
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        if is_entered:
            await stack.enter_async_context(session)
        async with session.stream("/say x", assistant_id=assistant_id) as stream:
            await anext(stream)
            with pytest.raises(LocalProtocolError, match=r"leave it first|entered already"):
                await again(other, assistant_id)
            assert (await stream.result()).text == "x"
        await session.say("after it")
        await stack.aclose()
        await other.say("and after all")


async def test_what_is_asked_too_early_is_not_sent(
    client: DashScope, session: ThreadSession, assistant_id: str
) -> None:
    """A question in the block of a stream leaves no message behind."""
    async with session.stream("/say x", assistant_id=assistant_id) as stream:
        for call in (session.say("no"), session.ask("no", assistant_id=assistant_id)):
            with pytest.raises(LocalProtocolError):
                await call
        await stream.result()

    assert await texts(client, session.thread_id) == ["/say x", "x"]


@pytest.mark.parametrize("again", AGAIN)
async def test_who_has_entered_a_session_does_not_wait_for_another(
    client: DashScope, assistant_id: str, thread_id: str, again: Again
) -> None:
    """It is an error at once, with words that say which one to use; the session goes on."""
    async with asyncio.timeout(PATIENCE):
        async with client.threads.session(thread_id) as session:
            with pytest.raises(LocalProtocolError, match="entered another session of the thread"):
                await again(client.threads.session(thread_id), assistant_id)
            await session.say("still here")
        await entered(client.threads.session(thread_id))

    assert await texts(client, thread_id) == ["still here"]


async def test_a_session_and_its_stream_can_go_from_task_to_task(
    client: DashScope, assistant_id: str, thread_id: str
) -> None:
    """Entered in one, used in a second, left in a third: web frameworks do that."""
    session = client.threads.session(thread_id)

    async def in_a_task(work: Awaitable[Any]) -> Any:
        async def do() -> Any:
            return await work

        return await asyncio.create_task(do())

    await in_a_task(session.__aenter__())
    block = session.stream("/say x", assistant_id=assistant_id)
    stream: RunStream = await in_a_task(block.__aenter__())
    result = await in_a_task(stream.result())
    await in_a_task(block.__aexit__(None, None, None))
    await in_a_task(session.__aexit__(None, None, None))

    assert result.text == "x"
    assert not any(one.lock.locked() for one in holds._threads.values())


async def test_a_call_under_way_keeps_the_thread(
    client: DashScope, assistant_id: str, thread_id: str
) -> None:
    """A session that is left while a task of it still streams is free when that has ended."""
    session = client.threads.session(thread_id)
    async with session:
        block = session.stream("/call f {}\n/then\n/say x", assistant_id=assistant_id)
        stream = await block.__aenter__()
        assert (await stream.result()).pending_calls
    late = asyncio.create_task(session.say("later"))
    await asyncio.sleep(0)
    other = asyncio.create_task(client.threads.session(thread_id).say("last"))
    await quiet(client, thread_id)
    assert len(await texts(client, thread_id)) == 1
    assert not late.done()
    await stream.submit([ToolOutput(output="1")])
    assert (await stream.result()).text == "x"
    await block.__aexit__(None, None, None)
    await asyncio.gather(late, other)

    assert (await texts(client, thread_id))[1:] == ["x", "later", "last"]


async def test_calls_made_while_a_session_is_being_entered_are_part_of_it(
    client: DashScope, thread_id: str
) -> None:
    """They do not wait behind it for ever, though its block waits for them."""
    holder, session = client.threads.session(thread_id), client.threads.session(thread_id)

    async def use() -> None:
        async with session:
            await saying

    async with holder:
        using = asyncio.create_task(use())
        await asyncio.sleep(0)
        saying = asyncio.create_task(session.say("inside"))
        await quiet(client, thread_id)
        await holder.say("first")
    await asyncio.wait_for(using, PATIENCE)

    assert await texts(client, thread_id) == ["first", "inside"]


async def test_an_entering_that_fails_takes_no_call_along(
    client: DashScope, thread_id: str
) -> None:
    """Those that shared the session go on by themselves."""
    holder, session = client.threads.session(thread_id), client.threads.session(thread_id)
    async with holder:
        entering = asyncio.create_task(entered(session))
        await asyncio.sleep(0)
        saying = asyncio.create_task(session.say("inside"))
        await quiet(client, thread_id)
        entering.cancel()
        await asyncio.wait([entering])
        assert entering.cancelled()
        assert not saying.done()
    await asyncio.wait_for(saying, PATIENCE)
    await asyncio.wait_for(entered(session), PATIENCE)

    assert await texts(client, thread_id) == ["inside"]


async def test_sessions_come_in_the_order_in_which_they_came(
    client: DashScope, thread_id: str
) -> None:
    """Whoever waits longest is next, whether a session is entered or speaks by itself."""

    async def speak(number: int) -> None:
        if number % 2:
            await client.threads.session(thread_id).say(f"{number}")
            return
        async with client.threads.session(thread_id) as session:
            await session.say(f"{number}")
            await session.say(f"{number} again")

    async with client.threads.session(thread_id):
        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(speak(number)))
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    said = [["0", "0 again"], ["1"], ["2", "2 again"], ["3"], ["4", "4 again"], ["5"]]
    assert await texts(client, thread_id) == [text for one in said for text in one]


async def test_threads_and_services_of_their_own_do_not_wait_for_each_other(
    client: DashScope, server: LocalServer, thread_id: str
) -> None:
    """Another thread is free, and so is one of the same id elsewhere."""
    other_id = (await client.threads.create()).id
    async with (
        LocalServer() as elsewhere,
        elsewhere.client(DashScope) as stranger,
        client.threads.session(thread_id),
    ):
        await asyncio.wait_for(client.threads.session(other_id).say("hi"), PATIENCE)
        with pytest.raises(NotFound):
            await asyncio.wait_for(stranger.threads.session(thread_id).say("hi"), PATIENCE)


async def test_a_service_is_the_same_with_a_slash_at_its_end(
    client: DashScope, server: LocalServer, thread_id: str
) -> None:
    """What is spelled so or so is one place."""
    slashed = DashScope("local", base_url=server.dashscope_url + "/")
    async with slashed:
        await slashed.threads.retrieve(thread_id)
        async with client.threads.session(thread_id):
            saying = asyncio.create_task(slashed.threads.session(thread_id).say("hi"))
            await quiet(client, thread_id)
            await quiet(slashed, thread_id)
            assert not saying.done()
        await asyncio.wait_for(saying, PATIENCE)


async def test_a_service_that_cannot_cancel_says_so(assistant_id: str) -> None:
    """UnsupportedOperation goes through, and the thread is free."""
    async with LocalServer(can_cancel=False) as server, server.client(DashScope) as client:
        made = await client.assistants.create(model="m")
        thread = await client.threads.create(messages=[{"role": "user", "content": "/call f {}"}])
        run = await client.threads.runs.create(thread.id, assistant_id=made.id)
        for _ in range(2):
            with pytest.raises(UnsupportedOperation):
                await entered(client.threads.session(thread.id, on_active="cancel"))
        waiting = await client.threads.runs.wait(thread.id, run.id)
        await client.threads.runs.submit_tool_outputs(
            thread.id, run.id, tool_outputs=[ToolOutput(output="1")]
        )
        await asyncio.wait_for(entered(client.threads.session(thread.id)), PATIENCE)
    assert waiting.status == "requires_action"


async def test_an_error_in_the_block_ends_its_run(
    client: DashScope, assistant_id: str, thread_id: str
) -> None:
    """The run is cancelled as by any stream that is left early, and the thread is free."""
    session = client.threads.session(thread_id, on_active="raise")

    async def fail() -> None:
        async with session.stream("/say x\n/wait 30", assistant_id=assistant_id) as stream:
            await anext(stream)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    run = (await client.threads.runs.list(thread_id)).data[0]

    assert run.status == "cancelled"
    assert (await session.ask("/say y", assistant_id=assistant_id)).text == "y"


def forget(client: DashScope) -> None:
    """Make all runs those of others: nobody has seen them."""
    client._session.experience.known = Known()


def in_virtual_time(
    work: Callable[[DashScope, str, str], Awaitable[None]],
    *,
    question: str,
    timeouts: Timeouts | None = None,
    expire_after: float = 600,
) -> list[str]:
    """Do something on a thread with an active run, in virtual time; what was asked for."""
    names: list[str] = []

    def note(info: CallInfo) -> None:
        names.append(info.operation)

    async def main() -> None:
        async with LocalServer(expire_after=expire_after) as server:
            options: Any = {"timeouts": timeouts or Timeouts(), "on_request": note}
            async with server.client(DashScope, **options) as client:
                made = await client.assistants.create(model="m")
                thread = await client.threads.create(
                    messages=[{"role": "user", "content": question}]
                )
                await client.threads.runs.create(thread.id, assistant_id=made.id)
                names.clear()
                await work(client, thread.id, made.id)

    virtual_time.run(main())
    return names


@pytest.mark.parametrize(
    ("question", "seconds"),
    [("/wait 300\n/say x", 300), ("/call f {}", 200), ("/wait 9\n/fail c", 9)],
)
def test_a_run_is_waited_for_until_it_has_ended(question: str, seconds: float) -> None:
    """However it ends; one of others that nobody answers expires. Looks become less frequent."""

    async def work(client: DashScope, thread_id: str, _assistant_id: str) -> None:
        forget(client)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with client.threads.session(thread_id):
            assert seconds - 1 <= loop.time() - began <= seconds + 7
            run = (await client.threads.runs.list(thread_id)).data[0]
            assert run.is_terminal

    names = in_virtual_time(work, question=question, expire_after=200)

    assert names.count("RetrieveRun") <= 10 + seconds / 4


def test_a_wait_for_a_run_is_bounded() -> None:
    """By `Timeouts.total`; the error names run and thread, and the thread is free for others."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        loop, session = asyncio.get_running_loop(), client.threads.session(thread_id)
        run = (await client.threads.runs.list(thread_id)).data[0]
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: entered(session),
            lambda: session.say("hi"),
            lambda: session.ask("hi", assistant_id=assistant_id),
        ]
        for call in calls:
            began = loop.time()
            with pytest.raises(TotalTimeout, match="the thread was not free within 7 s") as caught:
                await call()
            assert loop.time() - began == pytest.approx(7, abs=0.1)
            assert (caught.value.run_id, caught.value.thread_id) == (run.id, thread_id)
        await entered(client.threads.session(thread_id, on_active="cancel"))

    names = in_virtual_time(work, question="/wait 5000", timeouts=Timeouts(total=7))
    assert "CreateMessage" not in names


PAUSED = "/call f {}\n/then\n/say theirs"


def test_a_run_that_its_client_has_left_with_its_calls_is_no_reason_to_wait() -> None:
    """It is a Conflict that names the run and what can be done, long before the run expires."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        loop, session = asyncio.get_running_loop(), client.threads.session(thread_id)
        run = (await client.threads.runs.list(thread_id)).data[0]
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: entered(session),
            lambda: session.say("hi"),
            lambda: session.ask("hi", assistant_id=assistant_id),
        ]
        for call in calls:
            began = loop.time()
            with pytest.raises(Conflict) as caught:
                await call()
            assert loop.time() - began < 2
            assert (caught.value.run_id, caught.value.thread_id) == (run.id, thread_id)
            for word in (run.id, "submit_tool_outputs", "attach", "on_active='cancel'"):
                assert word in str(caught.value)
        copy = client.with_options(headers={"X-Own": "1"})  # is the same client
        with pytest.raises(Conflict):
            await entered(copy.threads.session(thread_id))

    names = in_virtual_time(work, question=PAUSED)

    assert "CreateMessage" not in names
    assert "CancelRun" not in names


@tool
async def f() -> str:
    """Give a word."""
    return "word"


@pytest.mark.parametrize("way", ["submit", "attach", "cancel", "on_active"])
def test_what_a_conflict_tells_to_do_helps(way: str) -> None:
    """Each of the ways that its words name ends the run, and the next question is answered."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        runs, session = client.threads.runs, client.threads.session(thread_id)
        with pytest.raises(Conflict) as caught:
            await session.ask("/say ours", assistant_id=assistant_id)
        run_id = caught.value.run_id or ""
        if way == "submit":
            outputs = [ToolOutput(output="1")]
            await runs.submit_tool_outputs(thread_id, run_id, tool_outputs=outputs)
        elif way == "attach":
            async with runs.attach(thread_id, run_id, tools=[f]) as stream:
                assert (await stream.result()).text == "theirs"
        elif way == "cancel":
            await runs.cancel(thread_id, run_id)
        else:
            session = client.threads.session(thread_id, on_active="cancel")
        assert (await session.ask("/say ours", assistant_id=assistant_id)).text == "ours"
        said = (await texts(client, thread_id))[-2:]
        assert said == ["/say ours", "ours"]

    in_virtual_time(work, question=PAUSED)


def test_the_calls_that_a_session_leaves_to_its_caller_are_told_by_the_next_question() -> None:
    """`ask` without tools gives pending calls; who asks on instead of answering them is told."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        async with client.threads.session(thread_id, on_active="cancel") as session:
            result = await session.ask(PAUSED, assistant_id=assistant_id, tools=None)
            assert result.pending_calls
        async with client.threads.session((await client.threads.create()).id) as session:
            result = await session.ask(PAUSED, assistant_id=assistant_id, tools=None)
            with pytest.raises(Conflict) as caught:
                await session.ask("/say on", assistant_id=assistant_id)
            assert caught.value.run_id == result.run.id

    in_virtual_time(work, question="/say hi")


def test_a_run_whose_tools_are_at_work_here_is_waited_for() -> None:
    """A stream of the same client that is open answers it, however long that takes."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        @tool
        async def f() -> str:
            """Give a word, at last."""
            await asyncio.sleep(90)
            return "word"

        thread_id = (await client.threads.create()).id
        theirs = asyncio.create_task(
            client.ask(PAUSED, thread_id=thread_id, assistant_id=assistant_id, tools=[f])
        )
        run: Any = None
        while run is None or run.status != "requires_action":
            run = next(iter((await client.threads.runs.list(thread_id)).data), None)
        session = client.threads.session(thread_id)
        assert (await session.ask("/say ours", assistant_id=assistant_id)).text == "ours"
        assert theirs.done()
        assert (await theirs).text == "theirs"
        assert (await texts(client, thread_id))[-3:] == ["theirs", "/say ours", "ours"]

    in_virtual_time(work, question="/say hi")


def test_a_stream_that_waits_for_its_user_is_not_waited_for() -> None:
    """It has handed out its calls: whether they are ever answered, nobody knows."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        thread_id = (await client.threads.create()).id
        async with client.stream(
            PAUSED, thread_id=thread_id, assistant_id=assistant_id, tools=None
        ) as stream:
            run = (await stream.result()).run
            with pytest.raises(Conflict) as caught:
                await client.threads.session(thread_id).say("hi")
            assert caught.value.run_id == run.id
            await stream.submit([ToolOutput(output="1")])
            assert (await stream.result()).text == "theirs"
            await client.threads.session(thread_id).say("hi")

    in_virtual_time(work, question="/say hi")


def test_an_open_stream_of_another_run_answers_nothing() -> None:
    """The run that nobody answers is a Conflict, whatever else the client streams."""

    async def work(client: DashScope, thread_id: str, assistant_id: str) -> None:
        async with client.stream("/wait 30\n/say x", assistant_id=assistant_id) as stream:
            await anext(stream)
            with pytest.raises(Conflict):
                await entered(client.threads.session(thread_id))

    in_virtual_time(work, question=PAUSED)


class Service:
    """Answers each call with the next of its answers; the last one stays."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, request: Received, writer: Writer) -> None:
        """Answer a request."""
        verb, target, _ = request.line.split(" ")
        path = target.partition("?")[0].removeprefix("/threads/t").strip("/").split("/")
        name = {"messages": "say", "cancel": "cancel"}.get(path[-1])
        if name is None:
            name = "run" if verb == "POST" else "list" if path == ["runs"] else "read"
        self.asked.append(name)
        left = self.answers[name]
        answer = left.pop(0) if len(left) > 1 else left[0]
        writer.write(answer if isinstance(answer, bytes) else whole(json.dumps(answer).encode()))


def refusal(message: str, status: str = "400 Bad Request", code: str = "InvalidParameter") -> bytes:
    """An answer that is an error."""
    return whole(json.dumps({"code": code, "message": message}).encode(), status)


def streamed(**run: Any) -> bytes:
    """The stream of a run that completes at once."""
    shown = {"id": "run_9", "thread_id": "t", **run}
    frames = "".join(
        f"event:thread.run.{status}\ndata:{json.dumps({**shown, 'status': status})}\n\n"
        for status in ("created", "queued", "in_progress", "completed")
    )
    return STREAM + chunk((frames + "event:done\ndata:[DONE]\n\n").encode()) + END


SAID = {"id": "message_1", "thread_id": "t", "role": "user"}
WAITS = ["requires_action"]
NOTHING, ACTIVE = page("completed"), page("in_progress")
ENDED = {"id": "run_0", "status": "completed"}
BUSY = refusal("The thread already has an active run: run_0.")


def asked_of(service: Service, on_active: Any = "wait", **params: Any) -> str:
    """Ask a service; the status of the run that answered."""

    async def main() -> str:
        async with (
            RawServer(service) as server,
            DashScope(
                "sk-x", base_url=server.url, retry=Retry(attempts=1, reconcile=False)
            ) as client,
        ):
            session = client.threads.session("t", on_active=on_active)
            return (await session.ask("hi", assistant_id="a", **params)).run.status

    return virtual_time.run(main())


@pytest.mark.parametrize(
    "words",
    [
        "The thread already has an active run: run_0 (status queued).",
        "Thread thread_1 already has an active run run_0.",
        "Can't add messages to thread_1 while a run run_0 is active.",
        "Can't do this while a RUN\nrun_0 is still ACTIVE",
    ],
)
@pytest.mark.parametrize("where", ["say", "run"])
def test_a_refusal_that_says_so_is_no_error(words: str, where: str) -> None:
    """What was refused is sent again, and only that: the run may have ended before it was seen."""
    answers: dict[str, list[Any]] = {"list": [NOTHING], "say": [SAID], "run": [streamed()]}
    answers[where] = [refusal(words), *answers[where]]
    service = Service(**answers)

    assert asked_of(service) == "completed"
    again = ["say", "run"] if where == "say" else ["run"]
    assert service.asked == ["list", "say", *["run"] * (where == "run"), "list", *again]


@pytest.mark.parametrize(
    "answer",
    [
        refusal("线程忙"),
        refusal("busy", "409 Conflict", "Conflict"),
        refusal("busy", "422 Unprocessable"),
    ],
)
def test_a_refusal_in_words_that_nobody_knows_is_read_by_the_threads_runs(answer: bytes) -> None:
    """One that is active is dealt with; where there is none the refusal is an error like any."""
    service = Service(
        list=[NOTHING, ACTIVE, NOTHING], read=[ENDED], say=[SAID], run=[answer, streamed()]
    )
    assert asked_of(service) == "completed"
    assert service.asked == ["list", "say", "run", "list", "read", "list", "run"]

    service = Service(list=[NOTHING], say=[SAID], run=[answer])
    with pytest.raises((BadRequest, Conflict)) as caught:
        asked_of(service)
    assert caught.value.thread_id == "t"
    assert service.asked == ["list", "say", "run", "list"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal("no such key", "401 Unauthorized", "InvalidApiKey"), AuthenticationError),
        (refusal("the assistant does not exist."), NotFound),
        (refusal("slow down", "429 Too Many", "Throttling"), RateLimited),
    ],
)
def test_other_errors_are_told_at_once(answer: bytes, error: type[APIError]) -> None:
    """Nothing is looked for, cancelled or sent again."""
    service = Service(list=[NOTHING], say=[SAID], run=[answer])
    with pytest.raises(error):
        asked_of(service, "cancel")

    assert service.asked == ["list", "say", "run"]


def test_a_run_that_is_refused_again_and_again_is_given_up() -> None:
    """A few times at most, with growing pauses; the message was said once."""
    times: list[float] = []

    class Timed(Service):
        async def __call__(self, request: Received, writer: Writer) -> None:
            await super().__call__(request, writer)
            if self.asked[-1] == "run":
                times.append(asyncio.get_running_loop().time())

    service = Timed(list=[NOTHING], say=[SAID], run=[BUSY])
    with pytest.raises(BadRequest, match="already has an active run"):
        asked_of(service)

    assert service.asked.count("run") == ATTEMPTS
    assert service.asked.count("say") == 1
    assert times == sorted(times)
    assert 1 < times[-1] - times[0] < 10


def test_a_run_may_be_refused_several_times() -> None:
    """The fourth attempt may be the one that is taken."""
    service = Service(list=[NOTHING], say=[SAID], run=[BUSY, BUSY, BUSY, streamed()])

    assert asked_of(service) == "completed"
    assert service.asked.count("say") == 1


def test_a_refused_run_can_be_a_conflict() -> None:
    """With "raise", where the run that is in the way is seen."""
    service = Service(list=[NOTHING, ACTIVE], say=[SAID], run=[BUSY])
    with pytest.raises(Conflict) as caught:
        asked_of(service, "raise")

    assert (caught.value.run_id, caught.value.thread_id) == ("run_0", "t")
    assert service.asked == ["list", "say", "run", "list"]


def test_tools_are_given_once() -> None:
    """An iterator of tools is read once, though the run is asked for again."""
    outputs: list[Any] = []

    @tool
    async def f() -> str:
        """Give a word."""
        outputs.append("called")
        return "word"

    calls = [{"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    shown = {"id": "run_9", "thread_id": "t", "required_action": action}
    asks = "".join(
        f"event:thread.run.{status}\ndata:{json.dumps({**shown, 'status': status})}\n\n"
        for status in ("created", "in_progress", "requires_action")
    )
    calling = STREAM + chunk((asks + "event:done\ndata:[DONE]\n\n").encode()) + END
    service = Service(list=[NOTHING], say=[SAID], run=[BUSY, calling, streamed()])

    assert asked_of(service, tools=iter([f])) == "completed"
    assert outputs == ["called"]


@pytest.mark.parametrize("status", ["completed", "in_progress"])
def test_a_run_that_ends_before_it_is_cancelled_is_no_error(status: str) -> None:
    """The refusal to cancel it counts only where it goes on."""
    read = [{"id": "run_0", "status": status}]
    service = Service(
        list=[ACTIVE, NOTHING], read=read, cancel=[refusal("it is over")], say=[SAID],
        run=[streamed()],
    )  # fmt: skip
    if status == "in_progress":
        with pytest.raises(BadRequest, match="it is over"):
            asked_of(service, "cancel")
    else:
        assert asked_of(service, "cancel") == "completed"


@pytest.mark.parametrize(("first", "asked"), [("cancelling", 0), ("in_progress", 1), ("queued", 1)])
def test_a_run_is_cancelled_once_and_waited_for(first: str, asked: int) -> None:
    """Until it has ended; one that is being cancelled already is only waited for."""
    read = [{"id": "run_0", "status": one} for one in ("in_progress", "cancelling", "cancelled")]
    service = Service(
        list=[page(first), NOTHING], read=read, cancel=[{"id": "run_0", "status": "cancelling"}],
        say=[SAID], run=[streamed()],
    )  # fmt: skip

    assert asked_of(service, "cancel") == "completed"
    assert service.asked.count("cancel") == asked
    assert service.asked.count("read") == 3


def after_a_waiting_run(seen: list[str], *, is_ours: bool) -> Service:
    """A question where a run waits for outputs, is seen with these statuses, and then ends."""
    run = {"id": "run_0", "thread_id": "t", "status": "queued"}
    read = [{**run, "status": status} for status in [*seen, "completed"]]
    answers = [run, streamed()] if is_ours else [streamed()]
    service = Service(list=[page("requires_action"), NOTHING], read=read, say=[SAID], run=answers)

    async def main() -> None:
        async with RawServer(service) as server, DashScope("x", base_url=server.url) as client:
            if is_ours:
                await client.threads.runs.create("t", assistant_id="a")
            await client.threads.session("t").ask("hi", assistant_id="a")

    virtual_time.run(main())
    return service


@pytest.mark.parametrize(
    ("seen", "is_ours"),
    [
        (WAITS * 2, True),
        ([*WAITS * 2, "in_progress"] * 3, True),
        (WAITS * 20, False),
    ],
)
def test_a_run_may_be_slow_to_go_on(seen: list[str], is_ours: bool) -> None:
    """A stream of ours may be just about to cancel it, or its outputs may have been sent."""
    service = after_a_waiting_run(seen, is_ours=is_ours)

    assert service.asked.count("read") == len(seen) + 1


def test_a_run_that_is_seen_to_wait_again_and_again_is_left() -> None:
    """So many looks in a row tell that nobody answers it."""
    with pytest.raises(Conflict) as caught:
        after_a_waiting_run([*WAITS, "in_progress", *WAITS * LOOKS], is_ours=True)

    assert caught.value.run_id == "run_0"


def test_run_after_run_of_others_is_dealt_with() -> None:
    """The thread is ours only when its newest run has ended."""
    service = Service(
        list=[ACTIVE, ACTIVE, page("queued"), NOTHING], read=[ENDED], say=[SAID], run=[streamed()]
    )

    assert asked_of(service) == "completed"
    assert service.asked.count("list") == 4
    assert service.asked.count("read") == 3


def test_a_thread_that_cannot_be_looked_at_is_an_error() -> None:
    """That of the look; nothing is said."""
    service = Service(list=[refusal("The specified thread does not exist.")])
    with pytest.raises(NotFound) as caught:
        asked_of(service)

    assert caught.value.thread_id == "t"
    assert service.asked == ["list"]
