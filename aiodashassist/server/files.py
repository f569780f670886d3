"""What the operations on files do: the platform's files, and where they are attached."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aiodashassist.core import operations as ops
from aiodashassist.core.files import AssistantFile, FailedUpload, File, MessageFile, Upload, Uploads
from aiodashassist.core.models import Assistant, Deleted, Message, Page, Thread
from aiodashassist.core.operations import Operation
from aiodashassist.server.disk import Disk
from aiodashassist.server.store import Store
from aiodashassist.server.writing import now

__all__ = ("Files", "Kept")

DEFAULT_PAGE = 10  # files (dashscope.md §2.5)


class Kept(Struct, frozen=True):
    """An answer that is a file's bytes, and where they are."""

    file: File
    path: Path


class Files:
    """Keeps files, and the lists of those that assistants and messages have.

    Attributes:
        acts: operation -> what does it.
    """

    def __init__(self, store: Store, disk: Disk) -> None:
        self._store = store
        self._disk = disk
        self.acts: dict[type[Operation[Any]], Callable[[str, Any], Any]] = {
            ops.CreateFiles: self._create,
            ops.ListFiles: self._list,
            ops.RetrieveFile: lambda ws, op: store.get(ws, File, op.file_id),
            ops.DeleteFile: self._delete,
            ops.ReadFile: self._read,
            ops.DownloadFile: self._read,
            ops.AttachFile: self._attach,
            ops.ListAssistantFiles: self._list_attached,
            ops.RetrieveAssistantFile: self._attached,
            ops.DetachFile: self._detach,
            ops.ListMessageFiles: self._list_of_message,
            ops.RetrieveMessageFile: self._of_message,
        }

    def attach_all(self, workspace: str, assistant: Assistant) -> None:
        """Make the list of an assistant's files that of its `file_ids`.

        Any id is taken: no document says what becomes of an unknown one (dashscope.md §8).
        """
        known = self._store.all(workspace, AssistantFile, assistant.id)
        for file in known:
            if file.id not in assistant.file_ids:
                self._store.delete(workspace, AssistantFile, file.id, assistant.id)
        had = {file.id for file in known}
        for file_id in assistant.file_ids:
            if file_id not in had:
                self._put_attached(workspace, assistant.id, file_id)

    def attach_to_message(self, workspace: str, message: Message) -> None:
        """Make the list of a message's files that of its `file_ids`."""
        for file in self._store.all(workspace, MessageFile, message.id):
            if file.id not in message.file_ids:
                self._store.delete(workspace, MessageFile, file.id, message.id)
        had = {file.id for file in self._store.all(workspace, MessageFile, message.id)}
        for file_id in message.file_ids:
            if file_id not in had:
                file = MessageFile(id=file_id, created_at=now(), message_id=message.id)
                self._store.put(workspace, file, message.id)

    def _create(self, workspace: str, op: ops.CreateFiles) -> Uploads:
        made, failed = [], []
        for upload in op.files:
            if upload.content is None:
                message = f"The file is larger than {self._disk.max_file_bytes} bytes."
                code = "BadRequest.TooLarge"
                failed.append(FailedUpload(filename=upload.filename, code=code, message=message))
            else:
                made.append(self._made(workspace, upload, op))
        return Uploads(files=tuple(made), failed=tuple(failed))

    def _made(self, workspace: str, upload: Upload, op: ops.CreateFiles) -> File:
        file = File(
            id=upload.content.id,
            filename=upload.filename,
            bytes=upload.size,
            created_at=now(),
            md5=upload.content.md5,
            purpose=op.params.get("purpose"),
            description=op.params.get("description"),
        )
        self._store.put(workspace, file)
        return file

    def _list(self, workspace: str, op: ops.ListFiles) -> Page[File]:
        """Newest first; no document says so, but all other lists are."""
        files = self._store.all(workspace, File)[::-1]
        number, size = op.page.get("page_no") or 1, op.page.get("page_size") or DEFAULT_PAGE
        data = files[(number - 1) * size : number * size]
        return Page(data=data, page_no=number, total=len(files))

    def _delete(self, workspace: str, op: ops.DeleteFile) -> Deleted:
        self._store.delete(workspace, File, op.file_id)
        self._disk.remove(op.file_id)
        return Deleted(id=op.file_id, object="file.deleted")

    def _read(self, workspace: str, op: ops.ReadFile | ops.DownloadFile) -> Kept:
        file = self._store.get(workspace, File, op.file_id)
        return Kept(file, self._disk.place(file.id))

    def _attach(self, workspace: str, op: ops.AttachFile) -> AssistantFile:
        assistant = self._store.get(workspace, Assistant, op.assistant_id)
        self._store.get(workspace, File, op.file_id)
        if op.file_id in assistant.file_ids:
            return self._store.get(workspace, AssistantFile, op.file_id, assistant.id)
        file_ids = (*assistant.file_ids, op.file_id)
        self._store.put(workspace, replace(assistant, file_ids=file_ids))
        return self._put_attached(workspace, assistant.id, op.file_id)

    def _put_attached(self, workspace: str, assistant_id: str, file_id: str) -> AssistantFile:
        file = AssistantFile(id=file_id, created_at=now(), assistant_id=assistant_id)
        self._store.put(workspace, file, assistant_id)
        return file

    def _list_attached(self, workspace: str, op: ops.ListAssistantFiles) -> Page[AssistantFile]:
        self._store.get(workspace, Assistant, op.assistant_id)
        return self._store.page(workspace, AssistantFile, op.page, op.assistant_id)

    def _attached(self, workspace: str, op: ops.RetrieveAssistantFile) -> AssistantFile:
        self._store.get(workspace, Assistant, op.assistant_id)
        return self._store.get(workspace, AssistantFile, op.file_id, op.assistant_id)

    def _detach(self, workspace: str, op: ops.DetachFile) -> Deleted:
        assistant = self._store.get(workspace, Assistant, op.assistant_id)
        self._store.delete(workspace, AssistantFile, op.file_id, op.assistant_id)
        kept = tuple(file_id for file_id in assistant.file_ids if file_id != op.file_id)
        self._store.put(workspace, replace(assistant, file_ids=kept))
        return Deleted(id=op.file_id, object="assistant.file.deleted")

    def _list_of_message(self, workspace: str, op: ops.ListMessageFiles) -> Page[MessageFile]:
        self._message(workspace, op)
        return self._store.page(workspace, MessageFile, op.page, op.message_id)

    def _of_message(self, workspace: str, op: ops.RetrieveMessageFile) -> MessageFile:
        self._message(workspace, op)
        return self._store.get(workspace, MessageFile, op.file_id, op.message_id)

    def _message(self, workspace: str, op: ops.ListMessageFiles | ops.RetrieveMessageFile) -> None:
        self._store.get(workspace, Thread, op.thread_id)
        self._store.get(workspace, Message, op.message_id, op.thread_id)
