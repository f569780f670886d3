"""`client.files`, `client.assistants.files` and `client.threads.messages.files`."""

import os
from pathlib import Path
from typing import Unpack, overload

from msgspec.structs import replace

from aiodashassist.calls import Session
from aiodashassist.core import operations as ops
from aiodashassist.core.files import AssistantFile, File, FileContent, MessageFile
from aiodashassist.core.models import Deleted
from aiodashassist.core.params import Extras, FileListParams, FileParams, ListParams
from aiodashassist.downloads import Arrival, Destination, Writable, check_destination, kept
from aiodashassist.pages import Paginator
from aiodashassist.uploads import Progress, Source, upload_of

__all__ = ("AssistantFiles", "Files", "MessageFiles")


class Files:
    """The files of the workspace (dashscope.md §2.5, appbuilder.md §2.2)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self,
        source: Source,
        *,
        filename: str | None = None,
        progress: Progress | None = None,
        **params: Unpack[FileParams],
    ) -> File:
        """Upload a file, piece by piece: its size does not matter to memory.

        Args:
            source: a path, bytes, or an async iterator of bytes (its length is not told then).
            filename: else the path's name; `file` for bytes and iterators.
            progress: a plain function of the bytes sent and of all bytes (None where unknown),
                called as they are sent. What it raises ends the upload and reaches the caller.
            params: `purpose`, such as `file-extract`; `description` (DashScope only).

        Returns:
            The file as the answer has it: on DashScope its id and name.

        Raises:
            InvalidArgument: the file cannot be read, or changed meanwhile.
            APIError: the service did not take it (also where it says so in a 200).
        """
        upload = await upload_of(source, filename, progress)
        operation = ops.CreateFiles(files=(upload,), params=params)
        uploads = await self._session.call(operation)
        return replace(uploads.files[0], request_id=uploads.request_id)

    async def retrieve(self, file_id: str, **extras: Unpack[Extras]) -> File:
        """Read what is known of one."""
        return await self._session.call(ops.RetrieveFile(file_id=file_id, extras=extras))

    def list(
        self, *, max_items: int | None = None, **page: Unpack[FileListParams]
    ) -> Paginator[File]:
        """All of the workspace.

        DashScope's pages have numbers here instead of cursors; AppBuilder's list has no pages.
        """
        return Paginator(lambda page: self._session.call(ops.ListFiles(page=page)), page, max_items)

    async def delete(self, file_id: str, **extras: Unpack[Extras]) -> Deleted:
        """Delete one."""
        return await self._session.call(ops.DeleteFile(file_id=file_id, extras=extras))

    async def content(self, file_id: str, **extras: Unpack[Extras]) -> FileContent:
        """Read a file's bytes.

        Raises:
            UnsupportedOperation: DashScope gives no file back.
        """
        return await self._session.call(ops.ReadFile(file_id=file_id, extras=extras))

    @overload
    async def download(
        self, file_id: str, *, to: str | os.PathLike[str], overwrite: bool = False,
        progress: Progress | None = None, **extras: Unpack[Extras],
    ) -> Path: ...  # fmt: skip

    @overload
    async def download(
        self, file_id: str, *, to: Writable, overwrite: bool = False,
        progress: Progress | None = None, **extras: Unpack[Extras],
    ) -> None: ...  # fmt: skip

    async def download(
        self, file_id: str, *, to: Destination, overwrite: bool = False,
        progress: Progress | None = None, **extras: Unpack[Extras],
    ) -> Path | None:  # fmt: skip
        """Write a file's bytes somewhere, piece by piece: its size does not matter to memory.

        Args:
            file_id: the file.
            to: a path; a directory, in which the service's name for the file is used, made safe;
                or what has a `write`, plain (called on the event loop) or async.
            overwrite: whether a file that there is may be replaced.
            progress: a plain function of the bytes written and of all bytes (None where unknown).
            extras: see `Extras`.

        Returns:
            The path that was written; None for a writable. A file is whole, or not there.

        Raises:
            UnsupportedOperation: DashScope gives no file back.
            InvalidArgument: the file is there already, or cannot be written.
        """
        operation = ops.DownloadFile(file_id=file_id, extras=extras)

        async def take(arrival: Arrival) -> Path | None:
            return await kept(arrival, to, file_id, overwrite=overwrite, progress=progress)

        self._session.provider.encode(operation)  # what there is not is said first
        await check_destination(to, overwrite=overwrite, progress=progress)
        return await self._session.fetch(operation, take)


class AssistantFiles:
    """The files attached to assistants (dashscope.md §2 AF1 to AF4)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self, assistant_id: str, file_id: str, **extras: Unpack[Extras]
    ) -> AssistantFile:
        """Attach an uploaded file to an assistant."""
        operation = ops.AttachFile(assistant_id=assistant_id, file_id=file_id, extras=extras)
        return await self._session.call(operation)

    async def retrieve(
        self, assistant_id: str, file_id: str, **extras: Unpack[Extras]
    ) -> AssistantFile:
        """Read one."""
        operation = ops.RetrieveAssistantFile(
            assistant_id=assistant_id, file_id=file_id, extras=extras
        )
        return await self._session.call(operation)

    def list(
        self, assistant_id: str, *, max_items: int | None = None, **page: Unpack[ListParams]
    ) -> Paginator[AssistantFile]:
        """All of the assistant, newest first unless `order="asc"`."""
        return Paginator(
            lambda page: self._session.call(
                ops.ListAssistantFiles(assistant_id=assistant_id, page=page)
            ),
            page,
            max_items,
        )

    async def delete(self, assistant_id: str, file_id: str, **extras: Unpack[Extras]) -> Deleted:
        """Take a file from an assistant; the file itself stays."""
        operation = ops.DetachFile(assistant_id=assistant_id, file_id=file_id, extras=extras)
        return await self._session.call(operation)


class MessageFiles:
    """The files attached to messages (dashscope.md §2 MF1, MF2); a message comes with its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def retrieve(
        self, thread_id: str, message_id: str, file_id: str, **extras: Unpack[Extras]
    ) -> MessageFile:
        """Read one."""
        operation = ops.RetrieveMessageFile(
            thread_id=thread_id, message_id=message_id, file_id=file_id, extras=extras
        )
        return await self._session.call(operation)

    def list(
        self, thread_id: str, message_id: str, *, max_items: int | None = None,
        **page: Unpack[ListParams],
    ) -> Paginator[MessageFile]:  # fmt: skip
        """All of the message."""
        return Paginator(
            lambda page: self._session.call(
                ops.ListMessageFiles(thread_id=thread_id, message_id=message_id, page=page)
            ),
            page,
            max_items,
        )
