"""Answers are lost after the work was done: each question gets one run all the same, and an answer.

The local server loses them on real sockets; what it keeps is the truth.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from typing import Any, TypeVar

import pytest

from aiodashassist import Retry, Toolset, polling
from aiodashassist.core.models import Message, Model, Run, RunStep, Thread
from aiodashassist.errors import AssistError, TransportError
from aiodashassist.server import Cut, Drop, Fault, Faults, LocalServer, Lose, Refuse
from tests.providers.test_contract import CLIENTS, Kind

pytestmark = pytest.mark.timeout(300)

T = TypeVar("T", bound=Model)

AT_A_TIME = 20
# Twenty at a time meet every third loss as they would meet dice: among thousands of requests some
# are lost four times in a row, which is as often as one is sent by default.
PERSISTENT = Retry(first_delay=0, attempts=40, budget=10_000)
HASTY = Retry(first_delay=0)


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each client in turn."""
    return request.param


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither by the library nor by asyncio, which logs errors that nobody has looked at."""
    yield
    gc.collect()
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [one.getMessage() for one in records if one.levelname == "ERROR"] == []


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at a run."""
    monkeypatch.setattr(polling, "pauses", lambda: repeat(0.001))


class Asking:
    """Questions, and what came of them.

    Attributes:
        threads: of the questions that were answered, all of them rightly.
        errors: of the others.
        calls: how often each tool call was made.
    """

    def __init__(self, client: Any, assistant_id: str) -> None:
        self.threads: list[str] = []
        self.errors: list[AssistError] = []
        self.calls: Counter[str] = Counter()
        self._client = client
        self._assistant_id = assistant_id
        self._tools = Toolset()
        self._tools.register(name="note")(self._note)

    async def ask(self, count: int, at_a_time: int = AT_A_TIME) -> None:
        """So many different questions."""
        places = asyncio.Semaphore(at_a_time)

        async def one(number: int) -> None:
            async with places:
                await self._ask(number)

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))

    async def _note(self, key: str) -> str:
        """Note something."""
        self.calls[key] += 1
        return f"{key} noted"

    async def _ask(self, number: int) -> None:
        question, answer = exchanged(number)
        try:
            result = await self._client.ask(
                question, assistant_id=self._assistant_id, tools=self._tools
            )
        except AssistError as error:
            self.errors.append(error)
            return
        assert result.text == answer
        self.threads.append(result.thread_id)


def exchanged(number: int) -> tuple[str, str]:
    """A question and its answer: with a call, with two rounds of them, or (mostly) with none."""
    call = '/call note {"key": "%s"}'
    if number % 4 == 1:
        return call % number, f"note -> {number} noted"
    if number % 4 == 3:
        rounds = [call % f"{number}a", call % f"{number}b", "/then", call % f"{number}c"]
        return "\n".join(rounds), f"note -> {number}c noted"
    return f"{number}: 你好吗?", f"{number}: 你好吗?"


def called(count: int) -> Counter[str]:
    """The calls that so many questions lead to, each of them once."""
    once = [str(number) for number in range(1, count, 4)]
    thrice = [f"{number}{letter}" for number in range(3, count, 4) for letter in "abc"]
    return Counter([*once, *thrice])


def kept(server: LocalServer, kind: type[T], thread_id: str) -> tuple[T, ...]:
    """What the server keeps on a thread."""
    return server.store.all("", kind, thread_id)


def check_answered(server: LocalServer, thread_id: str) -> None:
    """The thread has one question, one completed run and one answer; each call has its output."""
    (run,) = kept(server, Run, thread_id)
    assert run.status == "completed"
    assert [message.role for message in kept(server, Message, thread_id)] == ["user", "assistant"]
    for step in server.store.all("", RunStep, run.id):
        calls = step.step_details.tool_calls if step.step_details is not None else ()
        for call in calls:
            key = call.arguments.split('"')[3]
            assert call.output == f"{key} noted"


def check_all_answered(server: LocalServer, asking: Asking, count: int) -> None:
    """So many questions, so many runs and right answers; other threads are empty."""
    assert asking.errors == []
    assert len(asking.threads) == len(set(asking.threads)) == count
    assert asking.calls == called(count)
    for thread_id in asking.threads:
        check_answered(server, thread_id)
    for thread in server.store.all("", Thread):  # a creation that was lost has left one, too
        if thread.id not in asking.threads:
            assert not kept(server, Run, thread.id)
            assert not kept(server, Message, thread.id)


async def asked(
    kind: Kind, server: LocalServer, retry: Retry, *faults: Fault, count: int, at_a_time: int
) -> Asking:
    """Questions to a server where this goes wrong."""
    async with server.client(kind, retry=retry) as client:
        assistant = await client.assistants.create(model="qwen-max", name="tester")
        server.faults.add(*faults)
        asking = Asking(client, assistant.id)
        await asking.ask(count, at_a_time)
        server.faults.clear()
        return asking


TROUBLES: dict[str, list[Fault]] = {
    "every third is lost": [Lose(every=3)],
    "every second is reset": [Lose(every=2, reset=True)],
    "all sorts": [
        Drop(chance=0.05),
        Refuse(status=429, chance=0.1),
        Refuse(status=429, retry_after="0", chance=0.05),
        Refuse(status=500, chance=0.05),
        Refuse(status=503, chance=0.05),
        Lose(chance=0.15),
        Lose(chance=0.15, reset=True),
        Cut(after_bytes=100, chance=0.1),
        Cut(after_events=3, chance=0.3, reset=True),
    ],
}


@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.parametrize(
    ("trouble", "count"),
    [
        ("every third is lost", 80),
        pytest.param("every third is lost", 500, marks=pytest.mark.slow),
        ("every second is reset", 80),
        ("all sorts", 80),
        pytest.param("every second is reset", 500, marks=pytest.mark.slow),
        pytest.param("all sorts", 500, marks=pytest.mark.slow),
    ],
)
async def test_each_question_has_one_run_and_its_answer(
    kind: Kind, trouble: str, count: int
) -> None:
    """Whatever is lost, refused or cut, so many questions have so many runs and right answers."""
    async with LocalServer(faults=Faults(seed=5)) as server:
        asking = await asked(
            kind, server, PERSISTENT, *TROUBLES[trouble], count=count, at_a_time=AT_A_TIME
        )
        assert len(server.faults.done) > count
        check_all_answered(server, asking, count)


@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.slow)])
async def test_four_attempts_are_enough_for_a_third_of_the_answers(kind: Kind, count: int) -> None:
    """Where really every third answer is lost, the default number of attempts loses nothing."""
    async with LocalServer() as server:
        asking = await asked(kind, server, HASTY, Lose(every=3), count=count, at_a_time=1)
        assert len(server.faults.done) > count
        check_all_answered(server, asking, count)


@pytest.mark.slow
async def test_the_defaults_lose_nothing(kind: Kind) -> None:
    """With the pauses that clients make by default it is the same."""

    async def of_one_server() -> None:
        # Each lane has a server of its own, so that every third answer is just that.
        async with LocalServer() as server:
            asking = await asked(kind, server, Retry(), Lose(every=3), count=4, at_a_time=1)
            check_all_answered(server, asking, 4)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(of_one_server())


@pytest.mark.usefixtures("_short_pauses")
async def test_who_gives_up_says_so_and_has_done_nothing_twice(kind: Kind) -> None:
    """Where more is lost than is borne, each question ends in one answer or in one error.

    There is never a second run or call, and no run or message of which nobody was told.
    """
    count = 80
    async with LocalServer() as server:
        asking = await asked(kind, server, HASTY, Lose(every=2), count=count, at_a_time=AT_A_TIME)
        assert len(asking.threads) + len(asking.errors) == count
        assert asking.errors
        assert all(isinstance(error, TransportError) for error in asking.errors)
        assert set(asking.calls.values()) == {1}
        for thread_id in asking.threads:
            check_answered(server, thread_id)
        failed = {error.thread_id for error in asking.errors}
        for thread in server.store.all("", Thread):
            if thread.id in failed:
                assert len(kept(server, Run, thread.id)) <= 1
                asked_for = [one for one in kept(server, Message, thread.id) if one.role == "user"]
                assert len(asked_for) <= 1
            elif thread.id not in asking.threads:
                assert not kept(server, Run, thread.id)
                assert not kept(server, Message, thread.id)


async def test_a_reset_connection_is_not_logged_as_an_error(kind: Kind) -> None:
    """That a connection is reset which a stream has left behind is told by the request alone."""
    async with LocalServer() as server, server.client(kind, retry=HASTY) as client:
        assistant = await client.assistants.create(model="qwen-max", name="tester")
        await client.ask("你好", assistant_id=assistant.id)
        server.faults.add(Lose(reset=True, times=1))
        await client.threads.create()
        assert len(server.faults.done) == 1
