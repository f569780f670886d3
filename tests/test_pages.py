"""Lists: the first page, every item of every page, and how cursors go on."""

import pytest

from aiodashassist import DashScope, NotFound, Page, Paginator, Thread
from aiodashassist.core.params import ListParams


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
