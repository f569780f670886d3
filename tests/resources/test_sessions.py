"""`client.threads.session`: who waits for whom, what is asked, and how refusals are read."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
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
from aiodashassist.errors import APIError, AuthenticationError, BadRequest
from aiodashassist.resources import holds
from aiodashassist.resources.sessions import ATTEMPTS, ThreadSession
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
    """However it ends; one that nobody answers expires. Looks become ever less frequent."""

    async def work(client: DashScope, thread_id: str, _assistant_id: str) -> None:
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
