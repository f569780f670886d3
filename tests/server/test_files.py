"""What the operations on files do, without HTTP: the store and the disk agree."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiodashassist.core import operations as ops
from aiodashassist.core.files import AssistantFile, File, MessageFile, Upload
from aiodashassist.core.models import Assistant, Message, Thread
from aiodashassist.core.provider import Refusal
from aiodashassist.server.disk import Disk
from aiodashassist.server.files import Files, Kept
from aiodashassist.server.store import Store


class Cabinet:
    """Store, disk and the operations on them, in workspace `w`."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.disk = Disk(3)
        self.files = Files(self.store, self.disk)
        self._folder = folder

    async def upload(self, *contents: bytes, **params: Any) -> Any:
        """Upload files."""
        uploads = tuple([await self._written(content) for content in contents])
        return self.do(ops.CreateFiles(files=uploads, params=params))  # type: ignore[arg-type]

    async def _written(self, content: bytes) -> Upload:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        return await self.disk.write(content.decode(), pieces())

    def do(self, operation: Any) -> Any:
        """Execute an operation."""
        return self.files.acts[type(operation)]("w", operation)

    @property
    def kept(self) -> list[bytes]:
        """The bytes on the disk."""
        found = [path for path in self._folder.rglob("*") if path.is_file()]
        return sorted(path.read_bytes() for path in found)


@pytest.fixture
def cabinet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cabinet:
    """One that keeps its files below the test's own folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Cabinet(tmp_path)


async def test_an_upload_is_kept_with_all_that_is_known(cabinet: Cabinet) -> None:
    """Name, size, MD5, purpose, description and time."""
    result = await cabinet.upload(b"abc", purpose="p", description="d")
    (file,) = result.files

    assert result.failed == ()
    assert (file.filename, file.bytes, file.purpose, file.description) == ("abc", 3, "p", "d")
    assert file.md5 == "900150983cd24fb0d6963f7d28e17f72"
    assert len(str(file.created_at)) == 13
    assert cabinet.do(ops.RetrieveFile(file_id=file.id)) == file
    assert cabinet.kept == [b"abc"]


async def test_files_of_one_upload_fail_one_by_one(cabinet: Cabinet) -> None:
    """One that is too large is told; the others are kept (§2.5)."""
    result = await cabinet.upload(b"a", b"large", b"b")

    assert [file.filename for file in result.files] == ["a", "b"]
    (failed,) = result.failed
    assert (failed.filename, failed.code) == ("large", "BadRequest.TooLarge")
    assert cabinet.kept == [b"a", b"b"]


async def test_deleting_a_file_takes_its_bytes(cabinet: Cabinet) -> None:
    """And leaves the other's; what is not there cannot be deleted."""
    one, two = (await cabinet.upload(b"a", b"b")).files
    deleted = cabinet.do(ops.DeleteFile(file_id=one.id))

    assert (deleted.id, deleted.object, deleted.deleted) == (one.id, "file.deleted", True)
    assert cabinet.kept == [b"b"]
    with pytest.raises(Refusal):
        cabinet.do(ops.DeleteFile(file_id=one.id))
    with pytest.raises(Refusal):
        cabinet.files.acts[ops.DeleteFile]("other", ops.DeleteFile(file_id=two.id))
    assert cabinet.kept == [b"b"]


@pytest.mark.parametrize("file_id", ["../x", "/etc/passwd", ".", ""])
async def test_an_id_is_no_path(cabinet: Cabinet, tmp_path: Path, file_id: str) -> None:
    """Only what was kept can be deleted, whatever an id looks like."""
    other = tmp_path / "x"
    Path.write_bytes(other, b"mine")
    await cabinet.upload(b"a")
    with pytest.raises(Refusal):
        cabinet.do(ops.DeleteFile(file_id=file_id))

    assert cabinet.kept == [b"a", b"mine"]


@pytest.mark.parametrize(
    ("page", "ids"),
    [
        ({}, ["f11", "f10", "f9", "f8", "f7", "f6", "f5", "f4", "f3", "f2"]),
        ({"page_no": 2}, ["f1", "f0"]),
        ({"page_size": 2}, ["f11", "f10"]),
        ({"page_size": 5, "page_no": 3}, ["f1", "f0"]),
        ({"page_size": 6, "page_no": 3}, []),
    ],
)
def test_files_are_listed_newest_first(cabinet: Cabinet, page: Any, ids: list[str]) -> None:
    """Ten a page unless asked otherwise; the number and the total are told (§2.5)."""
    for number in range(12):
        cabinet.store.put("w", File(id=f"f{number}"))
    found = cabinet.do(ops.ListFiles(page=page))

    assert [file.id for file in found.data] == ids
    assert (found.page_no, found.total) == (page.get("page_no", 1), 12)


def test_a_list_of_files_is_that_of_an_assistant(cabinet: Cabinet) -> None:
    """What was attached before keeps its place and time; what is no longer named is gone."""
    cabinet.store.put("w", AssistantFile(id="f1", created_at=1), "a")
    cabinet.store.put("w", AssistantFile(id="f2", created_at=2), "a")
    cabinet.files.attach_all("w", Assistant(id="a", file_ids=("f3", "f2", "f3")))

    found = cabinet.store.all("w", AssistantFile, "a")
    assert [file.id for file in found] == ["f2", "f3"]
    assert found[0].created_at == 2
    assert found[1].assistant_id == "a"


def test_attaching_adds_to_the_assistant_and_detaching_takes_from_it(cabinet: Cabinet) -> None:
    """The assistant names what is attached; attaching twice changes nothing."""
    cabinet.store.put("w", Assistant(id="a", file_ids=("old",)))
    cabinet.store.put("w", AssistantFile(id="old"), "a")
    cabinet.store.put("w", File(id="f"))
    first = cabinet.do(ops.AttachFile(assistant_id="a", file_id="f"))

    assert cabinet.do(ops.AttachFile(assistant_id="a", file_id="f")) == first
    assert cabinet.store.get("w", Assistant, "a").file_ids == ("old", "f")
    detached = cabinet.do(ops.DetachFile(assistant_id="a", file_id="old"))
    assert (detached.id, detached.deleted) == ("old", True)
    assert cabinet.store.get("w", Assistant, "a").file_ids == ("f",)
    assert cabinet.store.get("w", File, "f").id == "f"


def test_a_message_has_the_files_it_was_made_with(cabinet: Cabinet) -> None:
    """They are found under their message, in its thread only."""
    message = Message(id="m", thread_id="t", file_ids=("f",))
    for thread_id in ("t", "other"):
        cabinet.store.put("w", Thread(id=thread_id))
    cabinet.store.put("w", message, "t")
    cabinet.files.attach_to_message("w", message)

    found = cabinet.do(ops.ListMessageFiles(thread_id="t", message_id="m"))
    assert [(file.id, file.message_id) for file in found.data] == [("f", "m")]
    read = cabinet.do(ops.RetrieveMessageFile(thread_id="t", message_id="m", file_id="f"))
    assert isinstance(read, MessageFile)
    with pytest.raises(Refusal) as caught:
        cabinet.do(ops.RetrieveMessageFile(thread_id="other", message_id="m", file_id="f"))
    assert caught.value.subject == "message"


@pytest.mark.parametrize("asks", [ops.ReadFile, ops.DownloadFile])
async def test_the_bytes_of_a_file_are_where_they_are_kept(cabinet: Cabinet, asks: Any) -> None:
    """What is known of it, and a path to its bytes; only what was kept, in its workspace."""
    one, two = (await cabinet.upload(b"a", b"b")).files
    kept = cabinet.do(asks(file_id=one.id))

    assert isinstance(kept, Kept)
    assert (kept.file, Path.read_bytes(kept.path)) == (one, b"a")
    cabinet.do(ops.DeleteFile(file_id=one.id))
    for workspace, file_id in (("w", one.id), ("other", two.id), ("w", "../x"), ("w", "")):
        with pytest.raises(Refusal) as caught:
            cabinet.files.acts[asks](workspace, asks(file_id=file_id))
        assert (caught.value.kind, caught.value.subject) == ("missing", "file")


def test_a_list_of_files_is_that_of_a_message(cabinet: Cabinet) -> None:
    """What was there keeps its time and place; what is no longer named is gone."""
    cabinet.store.put("w", MessageFile(id="f1", created_at=1), "m")
    cabinet.store.put("w", MessageFile(id="f2", created_at=2), "m")
    cabinet.files.attach_to_message("w", Message(id="m", file_ids=("f3", "f2", "f3")))

    found = cabinet.store.all("w", MessageFile, "m")
    assert [(file.id, file.message_id) for file in found] == [("f2", None), ("f3", "m")]
    assert found[0].created_at == 2
    cabinet.files.attach_to_message("w", Message(id="m"))
    assert cabinet.store.all("w", MessageFile, "m") == ()
