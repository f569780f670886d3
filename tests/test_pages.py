"""Lists: the first page, every item of every page, and how cursors go on."""

import weakref
from typing import Any

import pytest

from aiodashassist import (
    DashScope,
    File,
    InvalidArgument,
    NotFound,
    Page,
    Paginator,
    RemoteProtocolError,
    Thread,
)
from aiodashassist.core.params import FileListParams, ListParams


class Book:
    """A list of threads, served page by page; notes what was asked."""

    def __init__(self, count: int, size: int, *, named: bool = True) -> None:
        self.asked: list[ListParams] = []
        self._ids = [f"t{number}" for number in range(count)]
        self._size = size
        self._named = named

    async def fetch(self, params: ListParams) -> Page[Thread]:
        """The page after, or before, the cursor."""
        self.asked.append(params)
        before, after = params.get("before"), params.get("after")
        if before:
            end = self._ids.index(before)
            start = max(0, end - self._size)
            more = start > 0
        else:
            start = self._ids.index(after) + 1 if after else 0
            end = start + self._size
            more = end < len(self._ids)
        data = tuple(Thread(id=thread_id) for thread_id in self._ids[start:end])
        if not data or not self._named:
            return Page(data=data, has_more=more)
        return Page(data=data, has_more=more, first_id=data[0].id, last_id=data[-1].id)


async def test_awaiting_gives_the_first_page() -> None:
    """One page, one request."""
    book = Book(5, 2)
    page = await Paginator(book.fetch, {"page_size": 2})

    assert [thread.id for thread in page.data] == ["t0", "t1"]
    assert page.has_more
    assert book.asked == [{"page_size": 2}]


@pytest.mark.parametrize("named", [True, False])
async def test_iterating_gives_every_item_once(named: bool) -> None:
    """Pages follow each other by the last id, which may have to be taken from the data."""
    book = Book(5, 2, named=named)
    ids = [thread.id async for thread in Paginator(book.fetch, {"order": "asc"})]

    assert ids == ["t0", "t1", "t2", "t3", "t4"]
    assert book.asked[1:] == [{"order": "asc", "after": "t1"}, {"order": "asc", "after": "t3"}]


async def test_before_goes_backwards_page_by_page() -> None:
    """With `before` each next page lies before the one already read."""
    book = Book(5, 2)
    ids = [thread.id async for thread in Paginator(book.fetch, {"before": "t4"})]

    assert ids == ["t2", "t3", "t0", "t1"]


@pytest.mark.parametrize(("most", "requests"), [(0, 0), (2, 1), (3, 2), (99, 3)])
async def test_max_items_bounds_the_total(most: int, requests: int) -> None:
    """No more items than asked for, and no request for what nobody wants."""
    book = Book(5, 2)
    items = [thread async for thread in Paginator(book.fetch, {}, max_items=most)]

    assert len(items) == min(most, 5)
    assert len(book.asked) == requests


async def test_an_empty_page_that_promises_more_ends_the_list() -> None:
    """A service that says `has_more` without data is not asked for ever."""

    async def fetch(_params: ListParams) -> Page[Thread]:
        return Page(has_more=True)

    assert [item async for item in Paginator(fetch, {})] == []


async def test_lists_of_the_local_server_go_on_in_their_order(
    client: DashScope, assistant_id: str
) -> None:
    """Newest first by default, cursors in the order of the list, over several pages."""
    made = [(await client.assistants.create(model="m", name=str(n))).id for n in range(7)]

    newest = [a.id async for a in client.assistants.list(page_size=3)]
    oldest = [a.id async for a in client.assistants.list(page_size=3, order="asc")]
    page = await client.assistants.list(page_size=3, order="asc", after=made[1])

    assert newest == [*reversed(made), assistant_id]
    assert oldest == [assistant_id, *made]
    assert [a.id for a in page.data] == made[2:5]
    assert (page.first_id, page.last_id, page.has_more) == (made[2], made[4], True)
    with pytest.raises(NotFound):
        await client.assistants.list(after="nobody")


class Numbered:
    """A list that goes by the number of its page; notes what was asked."""

    def __init__(self, count: int, size: int, *, stuck: bool = False) -> None:
        self.asked: list[FileListParams] = []
        self._ids = [f"f{number}" for number in range(count)]
        self._size = size
        self._stuck = stuck

    async def fetch(self, params: FileListParams) -> Page[File]:
        """The page of this number; a list that is stuck has only the first."""
        self.asked.append(params)
        number = 1 if self._stuck else params.get("page_no") or 1
        end = number * self._size
        data = tuple(File(id=file_id) for file_id in self._ids[end - self._size : end])
        more = self._stuck or end < len(self._ids)
        return Page(data=data, has_more=more, page_no=number)


async def test_a_list_of_numbers_goes_on_by_number() -> None:
    """From the page that was asked for, each one by the next number, and the rest as it was."""
    book = Numbered(5, 2)
    params: FileListParams = {"page_size": 2, "page_no": 2}
    ids = [file.id async for file in Paginator(book.fetch, params)]

    assert ids == ["f2", "f3", "f4"]
    assert book.asked == [params, {"page_size": 2, "page_no": 3}]
    assert [file.id async for file in Paginator(Numbered(5, 2).fetch, {})] == [
        "f0", "f1", "f2", "f3", "f4",
    ]  # fmt: skip


async def test_a_list_that_repeats_a_page_is_told() -> None:
    """What a service gives twice in a row it would give for ever: that is an error, not a loop."""
    book = Numbered(2, 2, stuck=True)
    files = aiter(Paginator(book.fetch, {}))

    assert [(await anext(files)).id for _ in range(2)] == ["f0", "f1"]
    with pytest.raises(RemoteProtocolError, match="does not go on"):
        await anext(files)
    assert len(book.asked) == 2


async def test_a_cursor_that_is_not_heeded_is_told() -> None:
    """The same for lists that have cursors."""

    async def fetch(_params: ListParams) -> Page[Thread]:
        return Page(data=(Thread(id="t"),), has_more=True)

    with pytest.raises(RemoteProtocolError, match="does not go on"):
        _ = [item async for item in Paginator(fetch, {})]


@pytest.mark.parametrize(
    ("start", "around"),
    [({}, {None: "b", "b": "a", "a": "b"}), ({"before": "z"}, {"z": "b", "b": "a", "a": "b"})],
    ids=["after", "before"],
)
async def test_a_list_that_goes_round_in_a_circle_is_told(
    start: ListParams, around: dict[str | None, str]
) -> None:
    """Two pages that follow each other would be read for ever: the second time is told."""
    asked: list[str | None] = []

    async def fetch(params: ListParams) -> Page[Thread]:
        cursor = params.get("before") or params.get("after")
        asked.append(cursor)
        return Page(data=(Thread(id=around[cursor]),), has_more=True)

    threads = aiter(Paginator(fetch, start))
    assert [(await anext(threads)).id for _ in range(3)] == ["b", "a", "b"]
    with pytest.raises(RemoteProtocolError, match="goes round in a circle"):
        await anext(threads)
    assert asked == [*around]


async def test_a_list_can_be_read_again() -> None:
    """Each iteration begins at the beginning; awaiting does not move it."""
    book = Numbered(3, 2)
    found = Paginator(book.fetch, {})
    first = await found

    for _ in range(2):
        assert [file.id async for file in found] == ["f0", "f1", "f2"]
    assert [file.id for file in first.data] == ["f0", "f1"]


@pytest.mark.parametrize("most", [-1, 1.5, "3", True, float("inf")])
def test_a_bound_is_a_whole_number(most: Any) -> None:
    """What cannot be counted to is refused when the list is made, before it is asked for."""
    with pytest.raises(InvalidArgument, match="max_items"):
        Paginator(Book(5, 2).fetch, {}, max_items=most)


async def test_only_one_page_is_held() -> None:
    """What was read of a list does not stay in memory."""
    held: list[weakref.ref[Any]] = []

    class Watched(list[Thread]):
        pass

    async def fetch(params: ListParams) -> Any:
        start = int(params.get("after") or 0)
        data = Watched(Thread(id=str(start + number)) for number in range(1, 11))
        held.append(weakref.ref(data))
        return _Loose(data, start < 90)

    seen = 0
    async for _ in Paginator(fetch, {}):
        seen += 1
        assert sum(ref() is not None for ref in held) <= 2  # the one read, and the next
    assert (seen, len(held)) == (100, 10)


class _Loose:
    """A page whose data can be watched."""

    page_no = first_id = last_id = None

    def __init__(self, data: list[Thread], has_more: bool) -> None:
        self.data = data
        self.has_more = has_more


async def test_a_list_that_answers_another_page_than_asked_is_told() -> None:
    """A number that is not heeded would never come to an end."""

    async def fetch(_params: FileListParams) -> Page[File]:
        return Page(data=(File(id="f"),), has_more=True, page_no=1, total=9)

    with pytest.raises(RemoteProtocolError, match="same page"):
        _ = [file async for file in Paginator(fetch, {})]


async def test_new_items_in_front_are_no_fault_of_a_numbered_list() -> None:
    """What moved to the next page comes twice: the wire has no cursor that could prevent it."""
    pages = {1: ("b", "a"), 2: ("b", "a"), 3: ("z",)}  # two were added after the first

    async def fetch(params: FileListParams) -> Page[File]:
        number = params.get("page_no") or 1
        data = tuple(File(id=file_id) for file_id in pages[number])
        return Page(data=data, has_more=number < 3, page_no=number, total=5)

    found = [file.id async for file in Paginator(fetch, {})]
    assert found == ["b", "a", "b", "a", "z"]
