"""Cancelled at every suspension point, in every way: nothing leaks, runs end, the client goes on.

See `tests/cancelling.py` for what a point is, and `tests/scenes.py` for what is cut short. Each
walk prints how many points there were.
"""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from aiodashassist import Event, LocalProtocolError, RunStream, TransportError
from aiodashassist.core.models import TERMINAL
from aiodashassist.core.operations import CancelRun
from tests.cancelling import CANCELS, WAYS, Way, done, the_loop, walk
from tests.in_process import Break
from tests.recovery import PROVIDERS, Heard, Kind, Made, check, world
from tests.scenes import CANCEL, SCENES, TOOLS, Scene, Stage, staged

STRIDE = 41  # points, in the usual suite
OTHERS = 31  # points, in the slow run, for all but the plain cancellation
MOMENT = 1e-6  # virtual seconds; nothing takes as long without a pause

TURNS = 30  # of the loop, in which all happens that takes no time
PATIENT = (WAYS["twice"], WAYS["left waiting"])  # they do not wait for what winds up

HOWS = [(way, False) for way in WAYS] + [("once", True), ("timeout", True)]

EACH_KIND = pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: kind.__name__)
EACH_SCENE = pytest.mark.parametrize("name", SCENES)


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No warning, such as of a run that could not be ended in time."""
    yield
    assert [one.getMessage() for one in caplog.get_records("call")] == []


def title_of(kind: Kind, name: str, how: str = "cancelled", *, late: bool = False) -> str:
    """What a walk is called."""
    return f"{kind.__name__}, {name}, {how}{', late' * late}"


# --- what is left ---


async def quiet(stage: Stage, tasks: set[asyncio.Task[Any]], patience: float) -> None:
    """Wait until nobody is at work any more but others and the server's runs; nothing is held."""
    harness, until = stage.ours.harness, the_loop().time() + patience
    while True:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        left = [
            one for one in asyncio.all_tasks() - tasks if one.get_name() not in harness.live_runs
        ]
        if not left:
            break
        assert the_loop().time() < until, f"left at work: {left}"
        await asyncio.sleep(0.1)
    assert not harness.unclosed
    assert not harness.pumps


def check_runs(stage: Stage, play: Scene, before: Mapping[str, str], sent: int) -> None:
    """One run at most was begun, and it has ended unless it was to be left; others went on."""
    (*begun,) = stage.runs.keys() - before
    assert len(begun) <= 1
    ended = [one for one in begun if stage.runs[one] in TERMINAL]
    operations = [one.operation for one in stage.ours.harness.exchanges[sent:]]
    cancelled = [one.run_id for one in operations if isinstance(one, CancelRun)]
    assert play.leaves or ended == begun
    assert not (play.leaves and cancelled)
    assert play.others or set(cancelled) <= {*begun}


async def check_usable(stage: Stage) -> None:
    """The client asks and is answered, on the same thread."""
    stage.ours.breaks, stage.ours.on = {}, lambda _operation: None
    thread_id = stage.thread_id or (await stage.client.threads.create()).id
    session = stage.client.threads.session(thread_id)
    answer = await session.ask("/say still here", assistant_id=stage.assistant_id)
    assert answer.text == "still here"


# --- cancelled ---


async def cancelled_once(kind: Kind, play: Scene, way: Way) -> None:
    """Play a scene, have it cancelled, and look at what is left."""
    points = the_loop().points
    async with staged(kind, play) as stage:
        work = await play.begin(stage)
        tasks, before = asyncio.all_tasks(), stage.runs
        sent = len(stage.ours.harness.exchanges)
        task = await way(work)
        if points.struck is None:
            task.result()
            return
        check_end(task, way)
        took = the_loop().time() - points.struck
        assert took <= play.takes + MOMENT, f"it took {took} s"
        await quiet(stage, tasks, CANCEL if way in PATIENT else 0)
        check_runs(stage, play, before, sent)
        assert max(stage.made.values(), default=0) <= 1
        await check_usable(stage)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def check_end(task: asyncio.Task[Any], way: Way) -> None:
    """The cancellation comes out; a limit may be over as the work is done."""
    if way in CANCELS.values():
        assert task.cancelled()
    else:
        assert not task.cancelled()
        assert type(task.exception()) in (TimeoutError, type(None))


@EACH_SCENE
@EACH_KIND
def test_whoever_is_cancelled_leaves_nothing_behind(
    kind: Kind, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No task, no open answer, no run; the client goes on. At some points, other ones each day."""
    point = partial(cancelled_once, kind, SCENES[name], WAYS["once"])
    walk(point, title_of(kind, name), capsys, stride=STRIDE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_SCENE
@EACH_KIND
@pytest.mark.parametrize(("way", "late"), HOWS)
def test_whoever_is_cancelled_anywhere_leaves_nothing_behind(
    kind: Kind, name: str, way: str, late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at every point, and at some also twice, late, and by limits around the call."""
    point = partial(cancelled_once, kind, SCENES[name], WAYS[way])
    stride = 1 if way == "once" and not late else OTHERS
    walk(point, title_of(kind, name, way, late=late), capsys, late=late, stride=stride)


# --- closed ---


async def closed_once(kind: Kind, play: Scene) -> None:
    """Play a scene, close its client meanwhile, and look at what is left."""
    points = the_loop().points
    closing: list[asyncio.Task[None]] = []
    async with staged(kind, play) as stage:
        work = await play.begin(stage)
        tasks, before = asyncio.all_tasks(), stage.runs
        sent = len(stage.ours.harness.exchanges)

        def close() -> None:
            closing.append(asyncio.create_task(stage.client.close()))

        task = await done(work, close)
        if points.struck is None:
            task.result()
            return
        took = the_loop().time() - points.struck
        assert took <= play.closes + MOMENT, f"it took {took} s"
        assert isinstance(task.exception(), LocalProtocolError | TransportError | None)
        await closing[0]
        assert the_loop().time() - points.struck <= play.closes + MOMENT
        await quiet(stage, tasks, 0)
        check_runs(stage, play, before, sent)


@EACH_SCENE
@EACH_KIND
def test_closing_the_client_ends_what_others_do(
    kind: Kind, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, whatever they wait for, with an error of ours; nothing is left behind."""
    point = partial(closed_once, kind, SCENES[name])
    walk(point, title_of(kind, name, "closed"), capsys, stride=STRIDE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_SCENE
@EACH_KIND
def test_closing_the_client_anywhere_ends_what_others_do(
    kind: Kind, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at every third point, every other one late."""
    point = partial(closed_once, kind, SCENES[name])
    walk(point, title_of(kind, name, "closed"), capsys, stride=3)


# --- only the next event is given up ---


async def next_once(kind: Kind, way: Way, breaks: bool) -> None:
    """Listen to a run, give up waiting for an event once, and go on."""
    async with world(kind) as ours:
        if breaks:
            sizes = (await ours.sizes(TOOLS.question))[0]
            ours.breaks = {0: Break(after=sum(sizes[: len(sizes) // 3]))}
        made, events = Made(), list[Event]()
        async with await ours.asked(TOOLS.question, deps=made) as stream:
            while True:
                task = await way(next_of(stream))
                if task.cancelled() or isinstance(task.exception(), TimeoutError):
                    continue
                event = task.result()
                if event is None:
                    break
                events.append(event)
            heard = Heard(events=events, result=await stream.result(), made=made)
        check(heard, ours.harness, ours.thread_id, TOOLS)
        assert bool(heard.recovered) == breaks
        await ours.check_left()


async def next_of(stream: RunStream) -> Event | None:
    """The next event."""
    return await anext(stream, None)


EACH_COURSE = pytest.mark.parametrize("breaks", [False, True], ids=["whole", "broken"])


@EACH_KIND
@EACH_COURSE
def test_whoever_gives_up_an_event_loses_none(
    kind: Kind, breaks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text, tools and messages come once each, wherever the wait for an event was cancelled."""
    point = partial(next_once, kind, WAYS["once"], breaks)
    walk(point, title_of(kind, "events"), capsys, stride=STRIDE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH_KIND
@EACH_COURSE
@pytest.mark.parametrize(("way", "late"), HOWS)
def test_whoever_gives_up_an_event_anywhere_loses_none(
    kind: Kind, breaks: bool, way: str, late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at every point, and in every way."""
    point = partial(next_once, kind, WAYS[way], breaks)
    stride = 1 if way == "once" and not late else OTHERS
    walk(point, title_of(kind, "events", way, late=late), capsys, late=late, stride=stride)
