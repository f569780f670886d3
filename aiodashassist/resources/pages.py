"""Lists: await one for its first page, or iterate over every item of every page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from aiodashassist.core.models import Page
from aiodashassist.core.params import ListParams

__all__ = ("Paginator",)


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


class Paginator(Generic[T]):
    """A list that is asked for when it is awaited or iterated, page by page.

    `await` gives the first `Page`; `async for` gives the items of all pages. Cursors go on in the
    order of the list; with `before=` each next page lies before the one already read.
    """

    def __init__(
        self,
        fetch: Callable[[ListParams], Awaitable[Page[T]]],
        params: ListParams,
        max_items: int | None = None,
    ) -> None:
        self._fetch = fetch
        self._params = params
        self._max_items = max_items

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._params).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        params, left = self._params, self._max_items
        while left is None or left > 0:
            page = await self._fetch(params)
            for item in page.data:
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield item
            following = self._following(params, page)
            if following is None:
                return
            params = following

    def _following(self, params: ListParams, page: Page[T]) -> ListParams | None:
        if not page.has_more or not page.data:
            return None
        if params.get("before"):
            return {**params, "before": page.first_id or page.data[0].id}
        return {**params, "after": page.last_id or page.data[-1].id}
