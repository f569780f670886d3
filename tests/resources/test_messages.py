"""`client.threads.messages`: what is sent, exactly."""

from typing import Any

import pytest

from aiodashassist import DashScope, InvalidArgument, UnsupportedParameter
from tests.resources.pinned import pinned

ANSWER = {
    "id": "message_1",
    "thread_id": "t",
    "role": "user",
    "content": [{"type": "text", "text": {"value": "你好", "annotations": []}}],
}


async def test_create_sends_content_and_role() -> None:
    """Content is plain text; the role is `user` unless said."""
    message = await pinned(
        lambda client: client.threads.messages.create("t", "你好", metadata={"k": "v"}),
        "POST",
        "/threads/t/messages",
        body={"content": "你好", "role": "user", "metadata": {"k": "v"}},
        answer=ANSWER,
    )

    assert message.text == "你好"


async def test_update_sends_metadata() -> None:
    """DashScope lets the metadata of a message be changed."""
    await pinned(
        lambda client: client.threads.messages.update("t", "message_1", metadata={"k": "v"}),
        "POST",
        "/threads/t/messages/message_1",
        body={"metadata": {"k": "v"}},
        answer=ANSWER,
    )


async def test_content_cannot_be_changed_on_dashscope() -> None:
    """A parameter that only the other API has is refused before anything is sent."""
    async with DashScope("sk-x") as client:
        with pytest.raises(UnsupportedParameter, match="content"):
            await client.threads.messages.update("t", "m", content="other")


async def test_retrieve_and_list_read() -> None:
    """Reading names thread and message in the path."""
    await pinned(
        lambda client: client.threads.messages.retrieve("t", "message_1"), "GET",
        "/threads/t/messages/message_1", answer=ANSWER,
    )  # fmt: skip

    async def call(client: DashScope) -> Any:
        return [item.id async for item in client.threads.messages.list("t")]

    ids = await pinned(
        call, "GET", "/threads/t/messages", answer={"data": [ANSWER], "has_more": False}
    )

    assert ids == ["message_1"]


async def test_an_empty_message_is_refused() -> None:
    """The service says that messages cannot be empty (§6.2); so do we, before sending."""
    async with DashScope("sk-x") as client:
        with pytest.raises(InvalidArgument, match="content"):
            await client.threads.messages.create("t", "")
