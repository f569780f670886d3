"""Lists: await one for its first page, or iterate over every item of every page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from aiodashassist.core import checks
from aiodashassist.core.models import Page
from aiodashassist.errors import RemoteProtocolError

__all__ = ("Paginator",)


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


class Paginator(Generic[T]):
    """A list that is asked for when it is awaited or iterated, page by page.

    `await` gives the first `Page`; `async for` gives the items of all pages. Cursors go on in the
    order of the list; with `before=` each next page lies before the one already read. Lists that
    have no cursors go on by the number of the page. Only one page is held at a time.

    Args:
        fetch: asks for one page.
        params: how the list is read.
        max_items: how many items at most, when iterated; None gives all.

    Raises:
        InvalidArgument: `max_items` is no whole number, or below 0.
    """

    def __init__(
        self,
        fetch: Callable[[Any], Awaitable[Page[T]]],
        params: Mapping[str, Any],
        max_items: int | None = None,
    ) -> None:
        if max_items is not None:
            checks.whole("max_items", max_items, "[0, inf)")
        self._fetch = fetch
        self._params = params
        self._max_items = max_items

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._params).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        params: Mapping[str, Any] | None = self._params
        left, seen = self._max_items, None
        asked: set[str] = set()  # cursors
        while params is not None and left != 0:
            page = await self._fetch(params)
            first = page.data[0].id if page.data else None
            if (first and first == seen and page.total is None) or _another(page, params):
                raise RemoteProtocolError("the list does not go on: it gives the same page again")
            seen = first
            for item in page.data:
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield item
            params = self._following(params, page)
            cursor = params.get("before") or params.get("after") if params is not None else None
            if cursor in asked:
                raise RemoteProtocolError("the list does not go on: it goes round in a circle")
            asked.add(cursor or "")

    def _following(self, params: Mapping[str, Any], page: Page[T]) -> Mapping[str, Any] | None:
        if not page.has_more or not page.data:
            return None
        if page.page_no is not None:
            return {**params, "page_no": page.page_no + 1}
        if params.get("before"):
            return {**params, "before": page.first_id or page.data[0].id}
        return {**params, "after": page.last_id or page.data[-1].id}


def _another(page: Page[Any], params: Mapping[str, Any]) -> bool:
    """Whether this is a page of another number than the one that was asked for.

    What it begins with does not tell: with as many new items as a page has, that comes twice.
    """
    asked = params.get("page_no")
    return asked is not None and page.page_no is not None and page.page_no != asked
