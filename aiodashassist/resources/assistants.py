"""`client.assistants`."""

from typing import Any, Unpack, cast

from aiodashassist.core import operations as ops
from aiodashassist.core.models import Assistant, Deleted
from aiodashassist.core.params import AssistantParams, ListParams
from aiodashassist.resources.pages import Paginator
from aiodashassist.session import Session
from aiodashassist.tools import declared

__all__ = ("Assistants",)


class Assistants:
    """Assistants: a model with instructions and tools (dashscope.md §2 A1 to A5).

    Every method raises `APIError` for what the service refuses (`NotFound` for an unknown id),
    `TransportError` where it cannot be heard, and `InvalidArgument` before sending nonsense.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(self, **params: Unpack[AssistantParams]) -> Assistant:
        """Make an assistant. `tools` declares: a `Toolset`, functions, plugins, wire dicts."""
        return await self._session.call(ops.CreateAssistant(params=_prepared(params)))

    async def retrieve(self, assistant_id: str) -> Assistant:
        """Read one."""
        return await self._session.call(ops.RetrieveAssistant(assistant_id=assistant_id))

    async def update(self, assistant_id: str, **params: Unpack[AssistantParams]) -> Assistant:
        """Change what is given. `tools=[]` takes all tools away (dashscope.md §2.1)."""
        operation = ops.UpdateAssistant(assistant_id=assistant_id, params=_prepared(params))
        return await self._session.call(operation)

    async def delete(self, assistant_id: str) -> Deleted:
        """Delete one."""
        return await self._session.call(ops.DeleteAssistant(assistant_id=assistant_id))

    def list(
        self, *, max_items: int | None = None, **page: Unpack[ListParams]
    ) -> Paginator[Assistant]:
        """All of the workspace, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(ops.ListAssistants(page=page)), page, max_items
        )


def _prepared(params: AssistantParams) -> AssistantParams:
    sent: dict[str, Any] = {**params}
    if sent.get("tools") is not None:
        sent["tools"] = declared(sent["tools"])
    return cast("AssistantParams", sent)
