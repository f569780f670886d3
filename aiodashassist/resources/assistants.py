"""`client.assistants`."""

from typing import Any, Unpack, cast

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Assistant, Deleted
from aiodashassist.core.params import AssistantFields, AssistantParams, Extras, ListParams
from aiodashassist.ensure import OnChange, ensured
from aiodashassist.pages import Paginator
from aiodashassist.resources.files import AssistantFiles
from aiodashassist.tools import declared

__all__ = ("Assistants",)


class Assistants:
    """Assistants: a model with instructions and tools (dashscope.md §2, appbuilder.md §2.1).

    Every method raises `APIError` for what the service refuses (`NotFound` for an unknown id),
    `TransportError` where it cannot be heard, and `InvalidArgument` before sending nonsense.
    """

    def __init__(self, session: Session) -> None:
        self.files = AssistantFiles(session)
        self._session = session

    async def create(self, **params: Unpack[AssistantParams]) -> Assistant:
        """Make an assistant. `tools` declares: a `Toolset`, functions, plugins, wire dicts."""
        return await self._session.call(ops.CreateAssistant(params=_prepared(params)))

    async def ensure(
        self, *, name: str, on_change: OnChange = "update", **params: Unpack[AssistantFields]
    ) -> Assistant:
        """The assistant of this name and configuration, made if there is none.

        Workers that start together agree on one: it is found by its name and by a hash of its
        configuration, which is kept in its metadata (`aiodashassist.config`, one of the 16 pairs);
        whoever makes one looks once more, settles on the oldest, and deletes its own if that is
        another. This is a best effort: it relies on the service listing what it has just made,
        and workers with different configurations change each other's with "update". An assistant
        that was not made by `ensure` is never taken nor changed.

        Args:
            name: what to find it by.
            on_change: where there is one of this name with another configuration: `update` the
                oldest, or `create` one beside it. An update takes away instructions,
                description and tools that are not given any more; on DashScope sampling
                parameters and files stay, since its wire has no way to clear them, and that is
                logged.
            params: those of `create`.
        """
        given = _prepared(cast("AssistantParams", {**params, "name": name}))
        return await ensured(self._session, given, on_change)

    async def retrieve(self, assistant_id: str, **extras: Unpack[Extras]) -> Assistant:
        """Read one."""
        operation = ops.RetrieveAssistant(assistant_id=assistant_id, extras=extras)
        return await self._session.call(operation)

    async def update(self, assistant_id: str, **params: Unpack[AssistantParams]) -> Assistant:
        """Change what is given; `tools=[]` takes all tools away (dashscope.md §2.1).

        AppBuilder's update replaces the assistant: texts, tools and files that are not given are
        gone afterwards (appbuilder.md §3.1). Give all of them.
        """
        operation = ops.UpdateAssistant(assistant_id=assistant_id, params=_prepared(params))
        return await self._session.call(operation)

    async def delete(self, assistant_id: str, **extras: Unpack[Extras]) -> Deleted:
        """Delete one."""
        operation = ops.DeleteAssistant(assistant_id=assistant_id, extras=extras)
        return await self._session.call(operation)

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
