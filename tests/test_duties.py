"""Work that outlives whoever began it."""

import asyncio

from aiodashassist import DashScope, Timeouts
from aiodashassist.duties import Duties


async def test_finishing_waits_but_not_for_ever() -> None:
    """What can be done is done; what is left after the patience is cancelled."""
    duties = Duties()
    done: list[str] = []

    async def short() -> None:
        await asyncio.sleep(0)
        done.append("short")

    async def endless() -> None:
        await asyncio.Event().wait()

    duties.begin(short())
    task = duties.begin(endless())
    await duties.finish(0.02)

    assert done == ["short"]
    assert task.cancelling()
    await asyncio.wait({task})


async def test_nothing_to_do_is_finished_at_once() -> None:
    """No duties, no waiting."""
    await asyncio.wait_for(Duties().finish(60), 1)


async def test_a_client_finishes_its_duties_before_it_closes() -> None:
    """A run that is being cancelled still has its connections."""
    client = DashScope("sk-x", base_url="http://127.0.0.1:9", timeouts=Timeouts(cancel=1))
    closed: list[bool] = []

    async def look() -> None:
        await asyncio.sleep(0)
        closed.append(client._pool._closed)

    client._session.duties.begin(look())
    await client.close()

    assert closed == [False]
    assert client._pool._closed
