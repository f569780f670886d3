"""AppBuilder's `/v2/storage/files` as the local server speaks it (appbuilder.md §2.2, §3.3)."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from aiodashassist.core.disposition import attachment
from aiodashassist.core.files import File, Form
from aiodashassist.core.operations import CreateFiles
from aiodashassist.core.params import FileParams
from aiodashassist.core.provider import Refusal
from aiodashassist.providers.appbuilder.routes import PART, PURPOSE

__all__ = ("file_headers", "read_form", "spell_file")

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
IMAGES = ("png", "jpg", "jpeg", "gif", "bmp", "webp", "tiff")
KINDS = {
    "txt": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8", "csv": "text/csv",
    "html": "text/html", "json": "application/json", "pdf": "application/pdf", "jpg": "image/jpeg",
    **{ending: f"image/{ending}" for ending in IMAGES if ending != "jpg"},
}  # fmt: skip
BYTES = "application/octet-stream"
APPROVED = 1  # of AuditStatus (§4)


def secured(filename: str) -> str:
    """A name as the service keeps it: ASCII letters, digits, `_`, `.`, `-` (§3.3).

    It uses werkzeug's `secure_filename`, which drops the rest; the documented example, of which
    nothing but the ending is left, is kept as `file`.
    """
    clean = _ascii(filename).strip("._")
    last = filename.rpartition("/")[2]
    stem = _ascii(last.rpartition(".")[0] or last)
    return clean if stem.strip("._") else "file"


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return UNSAFE.sub("", "_".join(plain.replace("/", " ").split()))


def read_form(form: Form, query: Mapping[str, str]) -> CreateFiles:
    """The upload that a form asks for: one part, `file`; what it is for is in the query (§2.2).

    Raises:
        Refusal: no file, several, or one under another name.
    """
    files = [upload for name, upload in form.files if name == PART]
    if len(files) != 1 or len(form.files) != 1:
        raise Refusal("invalid", "exactly one part named 'file' is expected", subject="file")
    upload = replace(files[0], filename=secured(files[0].filename))
    return CreateFiles(files=(upload,), params=FileParams(purpose=query.get("purpose") or PURPOSE))


def spell_file(file: File, *, created: bool) -> dict[str, Any]:
    """A file as the wire has it: its time is in seconds; a new one has two fields less (§3.3)."""
    body = {
        "id": file.id,
        "bytes": file.bytes or 0,
        "object": "file",
        "purpose": file.purpose or "",
        "create_at": (file.created_at or 0) // 1000,
        "filename": file.filename or "",
        "classification_id": file.classification_id or "",
    }
    if created:
        return body
    kind = "image" if _ending(file) in IMAGES else "document"
    censored = APPROVED if file.censored is None else file.censored
    return {**body, "censored": censored, "file_type": file.file_type or kind}


def file_headers(file: File) -> dict[str, str]:
    """What a file's bytes are answered with; the name tells that they are no error (§2.2)."""
    name = file.filename or file.id
    return {
        "Content-Type": KINDS.get(_ending(file), BYTES),
        "Content-Disposition": attachment(name, secured(name)),
    }


def _ending(file: File) -> str:
    return (file.filename or "").rpartition(".")[2].lower()
