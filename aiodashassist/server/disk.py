"""Where the local server keeps the bytes of files: a folder of its own, removed when it closes."""

import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import anyio
from msgspec import Struct

from aiodashassist.core.files import Form, Upload
from aiodashassist.server.writing import new_id

__all__ = ("Disk", "Written")


class Written(Struct, frozen=True, kw_only=True):
    """A file that was written: under which id, and the MD5 of its bytes."""

    id: str
    md5: str


class Disk:
    """Writes files piece by piece, so that their size does not matter to memory.

    Attributes:
        max_file_bytes: of a larger file nothing is kept.
    """

    def __init__(self, max_file_bytes: int) -> None:
        self.max_file_bytes = max_file_bytes
        self._folder: Path | None = None

    async def write(self, filename: str, pieces: AsyncIterator[bytes]) -> Upload:
        """Keep a file; one that is too large has no `content`. One that breaks off is removed."""
        size, md5 = 0, hashlib.md5(usedforsecurity=False)  # the wire has an MD5 (dashscope.md §2.5)
        file_id = new_id("file")
        try:
            # Opened here and not in a thread: one that is cancelled would leave a file behind.
            with self._open(file_id) as opened:
                file = anyio.wrap_file(opened)
                async for piece in pieces:
                    size += len(piece)
                    if size <= self.max_file_bytes:
                        md5.update(piece)
                        await file.write(piece)
        except BaseException:
            self.remove(file_id)
            raise
        if size > self.max_file_bytes:
            self.remove(file_id)
            return Upload(filename=filename, size=size, content=None)
        content = Written(id=file_id, md5=md5.hexdigest())
        return Upload(filename=filename, size=size, content=content)

    def remove(self, file_id: str) -> None:
        """Delete the bytes of a file; once all is deleted there is nothing to do."""
        if self._folder is not None:
            (self._folder / file_id).unlink(missing_ok=True)

    def discard(self, form: Form) -> None:
        """Delete what came with a form that was refused."""
        for _, upload in form.files:
            if upload.content is not None:
                self.remove(upload.content.id)

    def close(self) -> None:
        """Delete everything."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def place(self, file_id: str) -> Path:
        """Where the bytes of a file are, or are to be."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="aiodashassist-"))
        self._folder.mkdir(mode=0o700, exist_ok=True)  # whatever cleans up temporary folders
        return self._folder / file_id

    def _open(self, file_id: str) -> BinaryIO:
        return self.place(file_id).open("wb")
