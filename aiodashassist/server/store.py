"""What the local server keeps. In memory; the methods are those that a database would have.

Objects are the frozen structs of `core.models`; each has a workspace, and a parent where it
belongs to another object: a thread has messages and runs, a run has steps, files are attached.
"""

from typing import Any, TypeVar, cast

from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import Assistant, Message, Model, Page, Run, RunStep, Thread
from aiodashassist.core.params import ListParams
from aiodashassist.core.provider import Refusal

__all__ = ("Store",)

T = TypeVar("T", bound=Model)

SUBJECTS: dict[type[Model], str] = {
    Assistant: "assistant",
    Thread: "thread",
    Message: "message",
    Run: "run",
    RunStep: "step",
    File: "file",
    AssistantFile: "assistant file",
    MessageFile: "message file",
}
CHILDREN: dict[type[Model], tuple[type[Model], ...]] = {
    Assistant: (AssistantFile,),
    Thread: (Message, Run),
    Message: (MessageFile,),
    Run: (RunStep,),
}
DEFAULT_LIMIT = 20  # what the documents' examples use (dashscope.md §2)


class Store:
    """All objects of all workspaces; workspaces never see each other's."""

    def __init__(self) -> None:
        # (workspace, kind, parent) -> id -> object, in the order made
        self._shelves: dict[tuple[str, type[Model], str], dict[str, Model]] = {}

    def put(self, workspace: str, obj: Model, parent: str = "") -> None:
        """Keep an object; one with the same id is replaced and keeps its place."""
        self._shelves.setdefault((workspace, type(obj), parent), {})[_id(obj)] = obj

    def get(self, workspace: str, kind: type[T], obj_id: str, parent: str = "") -> T:
        """One object.

        Raises:
            Refusal: there is none with this id, under this parent, in this workspace.
        """
        obj = self._shelf(workspace, kind, parent).get(obj_id)
        if obj is None:
            raise Refusal("missing", subject=SUBJECTS[kind])
        return cast("T", obj)

    def delete(self, workspace: str, kind: type[Model], obj_id: str, parent: str = "") -> None:
        """Delete an object and all that belongs to it.

        Raises:
            Refusal: there is none.
        """
        self.get(workspace, kind, obj_id, parent)
        for child in CHILDREN.get(kind, ()):
            for child_id in list(self._shelf(workspace, child, obj_id)):
                self.delete(workspace, child, child_id, obj_id)
            self._shelves.pop((workspace, child, obj_id), None)
        del self._shelves[workspace, kind, parent][obj_id]

    def all(self, workspace: str, kind: type[T], parent: str = "") -> tuple[T, ...]:
        """All objects of a kind under a parent, oldest first."""
        return cast("tuple[T, ...]", tuple(self._shelf(workspace, kind, parent).values()))

    def page(self, workspace: str, kind: type[T], params: ListParams, parent: str = "") -> Page[T]:
        """One page; cursors go on in the order of the list, which is newest first by default.

        Raises:
            Refusal: a cursor that is no object of this list.
        """
        ids = list(self._shelf(workspace, kind, parent))
        if params.get("order") != "asc":
            ids.reverse()
        limit = params.get("page_size") or DEFAULT_LIMIT
        after, before = params.get("after"), params.get("before")
        if before:
            end = _position(ids, before, kind)
            start = max(0, end - limit)
            more = start > 0
        else:
            start = _position(ids, after, kind) + 1 if after else 0
            end = start + limit
            more = end < len(ids)
        data = tuple(self.get(workspace, kind, obj_id, parent) for obj_id in ids[start:end])
        ends: dict[str, Any] = {"first_id": _id(data[0]), "last_id": _id(data[-1])} if data else {}
        return Page(data=data, has_more=more, **ends)

    def _shelf(self, workspace: str, kind: type[Model], parent: str) -> dict[str, Model]:
        return self._shelves.get((workspace, kind, parent), {})


def _id(obj: Model) -> str:
    return cast("str", getattr(obj, "id"))  # noqa: B009 (Model itself has no id)


def _position(ids: list[str], cursor: str, kind: type[Model]) -> int:
    try:
        return ids.index(cursor)
    except ValueError:
        raise Refusal("missing", subject=SUBJECTS[kind]) from None
