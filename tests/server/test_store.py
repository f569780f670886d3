"""What the local server keeps: apart by workspace, in order, with all that belongs to it."""

import pytest

from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import Assistant, Message, Run, RunStep, Thread
from aiodashassist.core.params import ListParams
from aiodashassist.core.provider import Refusal
from aiodashassist.server.store import Store


def filled(count: int) -> Store:
    """A store with threads t0, t1, ... in workspace w."""
    store = Store()
    for number in range(count):
        store.put("w", Thread(id=f"t{number}"))
    return store


def ids(store: Store, **params: str | int) -> list[str]:
    """The ids on a page of threads."""
    page = store.page("w", Thread, ListParams(**params))  # type: ignore[typeddict-item]
    return [thread.id for thread in page.data]


def test_workspaces_do_not_see_each_other() -> None:
    """An object is found in its workspace only, and listed there only."""
    store = filled(1)

    assert store.get("w", Thread, "t0").id == "t0"
    with pytest.raises(Refusal) as caught:
        store.get("other", Thread, "t0")
    assert (caught.value.kind, caught.value.subject) == ("missing", "thread")
    assert store.page("other", Thread, {}).data == ()


def test_a_child_is_found_under_its_parent_only() -> None:
    """A message of another thread is missing."""
    store = filled(2)
    store.put("w", Message(id="m"), "t0")

    assert store.get("w", Message, "m", "t0").id == "m"
    with pytest.raises(Refusal):
        store.get("w", Message, "m", "t1")


def test_replacing_keeps_the_place() -> None:
    """An object that changes is not moved to the end."""
    store = filled(3)
    store.put("w", Thread(id="t1", metadata={"k": "v"}))

    assert [thread.id for thread in store.all("w", Thread)] == ["t0", "t1", "t2"]
    assert store.get("w", Thread, "t1").metadata == {"k": "v"}


def test_deleting_takes_all_that_belongs_to_it() -> None:
    """A thread goes with its messages, runs and their steps."""
    store = filled(1)
    store.put("w", Message(id="m"), "t0")
    store.put("w", Run(id="r"), "t0")
    store.put("w", RunStep(id="s"), "r")
    store.delete("w", Thread, "t0")

    assert store.all("w", Message, "t0") == ()
    assert store.all("w", Run, "t0") == ()
    assert store.all("w", RunStep, "r") == ()
    with pytest.raises(Refusal):
        store.delete("w", Thread, "t0")


def test_pages_go_on_in_the_order_of_the_list() -> None:
    """Newest first by default; cursors are exclusive and follow the order shown."""
    store = filled(5)

    assert ids(store) == ["t4", "t3", "t2", "t1", "t0"]
    assert ids(store, order="asc", page_size=2) == ["t0", "t1"]
    assert ids(store, order="asc", page_size=2, after="t1") == ["t2", "t3"]
    assert ids(store, page_size=2, after="t3") == ["t2", "t1"]
    assert ids(store, page_size=2, before="t1") == ["t3", "t2"]
    assert ids(store, before="t4") == []


def test_a_page_says_whether_there_is_more() -> None:
    """`has_more` is about the direction that is read; ids are those shown."""
    store = filled(5)
    first = store.page("w", Thread, {"page_size": 2})
    last = store.page("w", Thread, {"page_size": 3, "after": "t3"})
    back = store.page("w", Thread, {"page_size": 2, "before": "t1"})
    empty = Store().page("w", Thread, {})

    assert (first.has_more, first.first_id, first.last_id) == (True, "t4", "t3")
    assert (last.has_more, back.has_more) == (False, True)
    assert (empty.has_more, empty.first_id, empty.last_id) == (False, None, None)


@pytest.mark.parametrize("cursor", ["after", "before"])
def test_a_cursor_that_is_no_object_of_the_list_is_missing(cursor: str) -> None:
    """A foreign cursor is refused rather than taken for the beginning."""
    with pytest.raises(Refusal):
        ids(filled(1), **{cursor: "nobody"})


def test_attachments_go_with_what_they_are_attached_to() -> None:
    """An assistant's and a message's files go with them; the file itself stays."""
    store = filled(1)
    store.put("w", File(id="f"))
    store.put("w", Assistant(id="a"))
    store.put("w", AssistantFile(id="f"), "a")
    store.put("w", Message(id="m"), "t0")
    store.put("w", MessageFile(id="f"), "m")
    store.delete("w", Assistant, "a")
    store.delete("w", Thread, "t0")

    assert store.all("w", AssistantFile, "a") == ()
    assert store.all("w", MessageFile, "m") == ()
    assert store.get("w", File, "f").id == "f"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [(File, "file"), (AssistantFile, "assistant file"), (MessageFile, "message file")],
)
def test_a_missing_file_is_told_by_its_kind(kind: type[File], subject: str) -> None:
    """Each wire has words of its own for each."""
    with pytest.raises(Refusal) as caught:
        Store().get("w", kind, "f", "parent")
    assert (caught.value.kind, caught.value.subject) == ("missing", subject)
