"""`client.threads`: what is sent, exactly."""

from aiodashassist import Run, Thread
from tests.resources.pinned import pinned

ANSWER = {"id": "thread_1", "object": "thread", "created_at": 1, "metadata": {}}


async def test_create_sends_messages_and_metadata() -> None:
    """Both are optional; nothing given is an empty object."""
    thread = await pinned(
        lambda client: client.threads.create(
            messages=[{"role": "user", "content": "你好"}], metadata={"k": "v"}
        ),
        "POST",
        "/threads",
        body={"messages": [{"role": "user", "content": "你好"}], "metadata": {"k": "v"}},
        answer=ANSWER,
    )
    await pinned(lambda c: c.threads.create(), "POST", "/threads", body={}, answer=ANSWER)

    assert isinstance(thread, Thread)


async def test_retrieve_update_and_delete_name_the_thread() -> None:
    """The id is in the path; an update sends the metadata."""
    path = "/threads/thread_1"
    await pinned(lambda c: c.threads.retrieve("thread_1"), "GET", path, answer=ANSWER)
    await pinned(
        lambda c: c.threads.update("thread_1", metadata={}), "POST", path, body={"metadata": {}},
        answer=ANSWER,
    )  # fmt: skip
    deleted = await pinned(
        lambda c: c.threads.delete("thread_1"), "DELETE", path,
        answer={"id": "thread_1", "object": "thread.deleted", "deleted": True},
    )  # fmt: skip

    assert deleted.deleted


async def test_create_and_run_sends_the_thread_with_the_run() -> None:
    """Thread and run travel in one request."""
    run = await pinned(
        lambda client: client.threads.create_and_run(
            assistant_id="a", thread={"messages": [{"role": "user", "content": "x"}]}, top_k=3
        ),
        "POST",
        "/threads/runs",
        body={
            "thread": {"messages": [{"role": "user", "content": "x"}]},
            "assistant_id": "a",
            "top_k": 3,
            "stream": False,
        },
        answer={"id": "run_1", "thread_id": "thread_1", "status": "in_progress"},
    )

    assert isinstance(run, Run)
    assert run.thread_id == "thread_1"


async def test_a_thread_is_not_required_to_run() -> None:
    """Without `thread` none is sent."""
    await pinned(
        lambda client: client.threads.create_and_run(assistant_id="a"),
        "POST",
        "/threads/runs",
        body={"assistant_id": "a", "stream": False},
        answer={"id": "run_1"},
    )
