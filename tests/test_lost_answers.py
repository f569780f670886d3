"""Answers are lost after the work was done: each question gets one run all the same, and an answer.

The local server loses them on real sockets; what it keeps is the truth.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec import Struct, field

from aiodashassist import AppBuilder, DashScope, RateLimited, Retry, ServerError, Toolset
from aiodashassist.core.models import Message, Run, RunStep, Thread
from aiodashassist.errors import AssistError, TransportError
from aiodashassist.server import Cut, Drop, Fault, Html, LocalServer, Lose, Refuse
from tests.providers.test_contract import CLIENTS, Kind

AT_A_TIME = 20
# Twenty at a time hit every third answer as dice do: four losses in a row of one request are no
# rarity among thousands. Whoever wants all to succeed has to be persistent.
PERSISTENT = Retry(attempts=20, first_delay=0, budget=10_000)
HASTY = Retry(first_delay=0)


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each client in turn."""
    return request.param


@pytest.fixture(autouse=True)
def errors_of_the_loop(caplog: pytest.LogCaptureFixture) -> Any:
    """Nothing is logged as an error, by asyncio neither."""
    yield
    gc.collect()
    phases = ("setup", "call", "teardown")
    records = [record for phase in phases for record in caplog.get_records(phase)]
    assert not [record.getMessage() for record in records if record.levelname == "ERROR"]


class Asking(Struct):
    """Questions, what was told to whoever asked, and how often each tool call was made."""

    right: int = 0
    errors: list[AssistError] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    async def ask(self, client: Any, assistant_id: str, numbers: Sequence[int]) -> None:
        """Ask each of these questions; every other one needs a tool, every fourth needs two rounds."""
        tools = Toolset()

        @tools.register
        async def note(key: str) -> str:
            """Note."""
            self.calls[key] += 1
            return f"noted {key}"

        places = asyncio.Semaphore(AT_A_TIME)

        async def one(number: int) -> None:
            async with places:
                question, answer = _question(number)
                try:
                    result = await client.ask(question, assistant_id=assistant_id, tools=tools)
                except AssistError as error:
                    self.errors.append(error)
                else:
                    assert result.text == answer
                    self.right += 1

        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(one(number))


def _question(number: int) -> tuple[str, str]:
    """A question, and what is to be answered."""
    call = f'/call note {{"key": "{number}"}}'
    if number % 4 == 0:
        return f"{call}\n/then\n{call.replace(str(number), f'{number}b')}", f"note -> noted {number}b"
    if number % 2 == 0:
        return call, f"note -> noted {number}"
    return f"{number}: 你好吗?", f"{number}: 你好吗?"


def kept(server: LocalServer, kind: type[Any]) -> list[list[Any]]:
    """What the server keeps of a kind, thread by thread."""
    store = server.store
    return [list(store.all("", kind, thread.id)) for thread in store.all("", Thread)]
