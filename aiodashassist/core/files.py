"""Files: what is uploaded, what a service keeps of it, and where it is attached.

The sources are dashscope.md §2.5, §3.2, §3.4 and appbuilder.md §3.3, §3.4.
"""

from typing import Any

from msgspec import Struct

from aiodashassist.core.models import Model

__all__ = (
    "AssistantFile",
    "FailedUpload",
    "File",
    "FileContent",
    "Form",
    "MessageFile",
    "Upload",
    "Uploads",
)


class File(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A file that the service keeps.

    An upload is answered with its id and name only (dashscope.md §2.5): `retrieve` has the rest.
    """

    id: str
    object: str = "file"
    filename: str | None = None
    bytes: int | None = None
    created_at: int | None = None
    purpose: str | None = None
    description: str | None = None
    url: str | None = None
    md5: str | None = None
    classification_id: str | None = None
    censored: int | None = None
    file_type: str | None = None


class AssistantFile(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A file attached to an assistant; `id` is the file's (dashscope.md §3.2)."""

    id: str
    object: str = "assistant.file"
    created_at: int | None = None
    assistant_id: str | None = None
    account_id: str | None = None
    gmt_crete: str | None = None
    gmt_update: str | None = None
    is_deleted: bool | None = None


class MessageFile(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A file attached to a message; `id` is the file's (dashscope.md §3.4)."""

    id: str
    object: str = "thread.message.file"
    created_at: int | None = None
    message_id: str | None = None


class FileContent(Struct, frozen=True, kw_only=True):
    """A file's bytes, what kind they are, and the id of the request that gave them."""

    data: bytes
    content_type: str | None = None
    request_id: str | None = None

    def __repr__(self) -> str:
        return f"FileContent({len(self.data)} bytes, content_type={self.content_type!r})"


class FailedUpload(Struct, frozen=True, kw_only=True):
    """A file that was not taken, and why (dashscope.md §2.5)."""

    filename: str = ""
    code: str = ""
    message: str = ""


class Uploads(Model, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What became of the files of one upload."""

    files: tuple[File, ...] = ()
    failed: tuple[FailedUpload, ...] = ()


class Upload(Struct, frozen=True, kw_only=True):
    """A file on its way.

    Attributes:
        filename: as the service is told it.
        size: bytes; None where it is not known before the end.
        content: where the bytes are. On a client a function that gives them as an async iterator,
            piece by piece; on the server the place they were written to.
    """

    filename: str
    size: int | None
    content: Any

    def __repr__(self) -> str:
        return f"Upload(filename={self.filename!r}, size={self.size})"


class Form(Struct, frozen=True, kw_only=True):
    """A body of named fields and files, sent as `multipart/form-data`."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, Upload], ...] = ()
