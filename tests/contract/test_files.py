"""Files, for every client: uploaded, listed, attached to assistants and messages, deleted."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import AssistantsClient, NotFound


async def pieces() -> AsyncIterator[bytes]:
    """A file that is not there as a whole."""
    for number in range(3):
        yield b"%d" % number * 1000


@pytest.fixture
async def file_id(client: AssistantsClient) -> str:
    """An uploaded file."""
    return (await client.files.create(b"some bytes", filename="notes.txt")).id


def ids(items: Sequence[Any]) -> list[str]:
    """Their ids."""
    return [item.id for item in items]


@pytest.mark.parametrize("source", ["path", "bytes", "iterator", "empty"])
async def test_a_file_lives(client: AssistantsClient, tmp_path: Path, source: str) -> None:
    """It is uploaded from anywhere, read, listed and deleted; then it is not there."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * 3000)
    given: dict[str, Any] = {"path": path, "bytes": b"x" * 3000, "iterator": pieces(), "empty": b""}
    told: list[int] = []
    made = await client.files.create(
        given[source], filename="notes.txt", progress=lambda sent, _: told.append(sent)
    )
    read = await client.files.retrieve(made.id)
    listed = [file async for file in client.files.list()]
    deleted = await client.files.delete(made.id)

    size = 0 if source == "empty" else 3000
    assert (made.filename, read.filename, listed[0].filename) == ("notes.txt",) * 3
    assert (read.id, ids(listed)) == (made.id, [made.id])
    assert (read.bytes, listed[0].bytes) == (size, size)
    assert read.created_at == listed[0].created_at is not None
    assert (deleted.id, deleted.deleted) == (made.id, True)
    assert max(told, default=0) == size
    with pytest.raises(NotFound):
        await client.files.retrieve(made.id)


async def test_files_are_attached_to_assistants(
    client: AssistantsClient, assistant_id: str, file_id: str
) -> None:
    """Attached, listed and detached again; the file itself stays."""
    attached = await client.assistants.files.create(assistant_id, file_id)
    listed = (await client.assistants.files.list(assistant_id)).data
    known = (await client.assistants.retrieve(assistant_id)).file_ids
    detached = await client.assistants.files.delete(assistant_id, file_id)

    assert (attached.id, attached.assistant_id) == (file_id, assistant_id)
    assert ids(listed) == list(known) == [file_id]
    assert (detached.id, detached.deleted) == (file_id, True)
    assert (await client.assistants.files.list(assistant_id)).data == ()
    assert (await client.assistants.retrieve(assistant_id)).file_ids == ()
    assert (await client.files.retrieve(file_id)).id == file_id


async def test_an_assistant_is_made_with_files(client: AssistantsClient, file_id: str) -> None:
    """Its `file_ids` are attached."""
    made = await client.assistants.create(model="m", name="n", file_ids=[file_id])

    assert made.file_ids == (file_id,)
    assert ids((await client.assistants.files.list(made.id)).data) == [file_id]


async def test_messages_have_files(client: AssistantsClient, file_id: str) -> None:
    """A message comes with its own."""
    thread = await client.threads.create(
        messages=[{"role": "user", "content": "x", "file_ids": [file_id]}]
    )
    (first,) = (await client.threads.messages.list(thread.id)).data
    second = await client.threads.messages.create(thread.id, "y", file_ids=[file_id])
    bare = await client.threads.messages.create(thread.id, "z")

    assert (first.file_ids, second.file_ids, bare.file_ids) == ((file_id,), (file_id,), ())
    for message in (first, second):
        (file,) = (await client.threads.messages.files.list(thread.id, message.id)).data
        assert (file.id, file.message_id) == (file_id, message.id)
    assert (await client.threads.messages.files.list(thread.id, bare.id)).data == ()
