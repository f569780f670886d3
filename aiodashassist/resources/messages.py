"""`client.threads.messages`."""

from typing import Unpack, cast

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Message
from aiodashassist.core.params import (
    Extras,
    ListParams,
    MessageExtras,
    MessageParams,
    MessageUpdate,
)
from aiodashassist.pages import Paginator
from aiodashassist.resources.files import MessageFiles

__all__ = ("Messages",)


class Messages:
    """The messages of a thread (dashscope.md §2 M1 to M4)."""

    def __init__(self, session: Session) -> None:
        self.files = MessageFiles(session)
        self._session = session

    async def create(
        self, thread_id: str, content: str, role: str = "user", **params: Unpack[MessageExtras]
    ) -> Message:
        """Add a message; DashScope documents only the role `user` (dashscope.md §2.3)."""
        sent = cast("MessageParams", {"content": content, "role": role, **params})
        operation = ops.CreateMessage(thread_id=thread_id, params=sent)
        return await self._session.call(operation)

    async def retrieve(self, thread_id: str, message_id: str, **extras: Unpack[Extras]) -> Message:
        """Read one."""
        operation = ops.RetrieveMessage(thread_id=thread_id, message_id=message_id, extras=extras)
        return await self._session.call(operation)

    async def update(
        self, thread_id: str, message_id: str, **params: Unpack[MessageUpdate]
    ) -> Message:
        """Change what the wire lets be changed.

        That is the `metadata` on DashScope, and on AppBuilder `content` and `file_ids`; the files
        that are not given are gone afterwards there.
        """
        operation = ops.UpdateMessage(thread_id=thread_id, message_id=message_id, params=params)
        return await self._session.call(operation)

    def list(
        self, thread_id: str, *, max_items: int | None = None, **page: Unpack[ListParams]
    ) -> Paginator[Message]:
        """All of the thread, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(ops.ListMessages(thread_id=thread_id, page=page)),
            page,
            max_items,
        )
