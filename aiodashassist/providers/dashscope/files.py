"""DashScope's `/files`, both ways: a service with an envelope of its own (dashscope.md §2.5).

Its answers lie under `data`, its list goes by the number of the page, its times are texts of the
clock in Beijing, and a file that was not taken is told in an answer that is a success.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec.structs import replace

from aiodashassist.core.decoding import each
from aiodashassist.core.encoding import form_fields
from aiodashassist.core.files import FailedUpload, File, Form, Upload, Uploads
from aiodashassist.core.models import Deleted, Page
from aiodashassist.core.operations import (
    CreateFiles,
    DeleteFile,
    ListFiles,
    Operation,
    RetrieveFile,
)
from aiodashassist.core.params import FileListParams, FileParams
from aiodashassist.core.provider import Refusal
from aiodashassist.errors import DecodeError
from aiodashassist.providers.dashscope import codec

__all__ = ("OPERATIONS", "answer", "decode", "failed_of", "form_of", "read_form", "read_query")

# A live object has both `created_at` and `gmt_crete`: they are eight hours apart (§3.2, S1).
BEIJING = timezone(timedelta(hours=8))
CLOCK = "%Y-%m-%d %H:%M:%S"
# Ours -> the wire's; a listed file has an `id` too, which is not the file's (§2.5).
NAMES = {"id": "file_id", "filename": "name", "bytes": "size", "created_at": "gmt_create"}
OPERATIONS = (CreateFiles, ListFiles, RetrieveFile, DeleteFile)
PART = "files"
FIELDS = {"description": "descriptions"}
PAGE_SIZE = 10  # where none is asked for (§2.5)
NUMBER = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def form_of(files: Sequence[Upload], fields: Mapping[str, Any]) -> Form:
    """An upload's body: the texts first, as the official SDK has them (§2.5).

    Raises:
        InvalidArgument: a name or a value that cannot be written.
    """
    texts = form_fields({FIELDS.get(name, name): value for name, value in fields.items()})
    return Form(fields=texts, files=tuple((PART, upload) for upload in files))


def read_form(form: Form) -> CreateFiles:
    """The upload that a form asks for; unknown fields are left alone.

    Raises:
        Refusal: no file, or one under another name.
    """
    files = tuple(upload for name, upload in form.files if name == PART)
    if not files or len(files) != len(form.files):
        raise Refusal("invalid", "Required parameter(s) missing or invalid: files")
    texts = dict(reversed(form.fields))  # of several descriptions the first
    params = FileParams()
    if "purpose" in texts:
        params["purpose"] = texts["purpose"]
    if "descriptions" in texts:
        params["description"] = texts["descriptions"]
    return CreateFiles(files=files, params=params)


def read_query(query: Mapping[str, str]) -> ListFiles:
    """The page that a query asks for.

    Raises:
        Refusal: a number that is none, or a size beyond 100.
    """
    page = FileListParams()
    for name in ("page_no", "page_size"):
        value = query.get(name)
        if not value:
            continue
        if NUMBER.fullmatch(value) is None or (name == "page_size" and int(value) > 100):
            raise Refusal("invalid", f"Required parameter(s) invalid: {name}")
        page[name] = int(value)
    return ListFiles(page=page)


def decode(operation: Operation[Any], body: object) -> Any:
    """The result of a successful answer to one of the `OPERATIONS`.

    Raises:
        DecodeError: it cannot be read.
    """
    if not isinstance(body, Mapping):
        raise DecodeError(f"expected an object, not {type(body).__name__}")
    given = body.get("request_id")
    request_id = str(given) if given else None
    if isinstance(operation, DeleteFile):  # answered by a request id alone (§2.5)
        return Deleted(id=operation.file_id, object="file.deleted", request_id=request_id)
    data = body.get("data")
    if not isinstance(data, Mapping):
        raise DecodeError("expected an object under data")
    if isinstance(operation, CreateFiles):
        return replace(_uploads(data), request_id=request_id)
    if isinstance(operation, ListFiles):
        asked = operation.page.get("page_no") or 1
        return replace(_page(data, asked), request_id=request_id)
    return replace(_file(data), request_id=request_id)


def failed_of(body: Mapping[str, Any]) -> tuple[FailedUpload, ...]:
    """The files that were not taken; none in a body that is no such answer."""
    data = body.get("data")
    items = data.get("failed_uploads") if isinstance(data, Mapping) else None
    if not isinstance(items, list):
        return ()
    return tuple(
        FailedUpload(
            filename=str(item.get("name") or ""),
            code=str(item.get("code") or ""),
            message=str(item.get("message") or ""),
        )
        for item in items
        if isinstance(item, Mapping)
    )


def answer(operation: Operation[Any], result: Any) -> dict[str, Any]:
    """What the answer to one of the `OPERATIONS` has beside its request id."""
    if isinstance(result, Deleted):
        return {}
    if isinstance(result, Uploads):
        taken = [{"file_id": file.id, "name": file.filename} for file in result.files]
        failed = [
            {"name": item.filename, "code": item.code, "message": item.message}
            for item in result.failed
        ]
        return {"data": {"uploaded_files": taken, "failed_uploads": failed}}
    if not isinstance(operation, ListFiles):
        return {"data": _spelled(result)}
    size, number = operation.page.get("page_size") or PAGE_SIZE, result.page_no
    before = (number - 1) * size
    files = [{"id": before + i, **_spelled(file)} for i, file in enumerate(result.data, start=1)]
    return {"data": {"total": result.total, "page_size": size, "page_no": number, "files": files}}


def _spelled(file: File) -> dict[str, Any]:
    plain = {wire: getattr(file, ours) for ours, wire in NAMES.items()}
    made = datetime.fromtimestamp((file.created_at or 0) / 1000, BEIJING)
    others = {name: getattr(file, name) or "" for name in ("description", "url", "md5", "purpose")}
    return {**plain, **others, "gmt_create": made.strftime(CLOCK)}


def _file(data: object) -> File:
    """A file as the wire describes it."""
    if not isinstance(data, Mapping):
        raise DecodeError(f"expected an object for File, not {type(data).__name__}")
    rest = {key: value for key, value in data.items() if key not in NAMES.values()}
    known = {ours: data[wire] for ours, wire in NAMES.items() if data.get(wire) not in (None, "")}
    number = rest.pop("id", None) if "id" in known else None
    made = known.get("created_at")
    if made is not None:
        known["created_at"] = _milliseconds(made)
    file = codec.model(File, {**rest, **known})
    left = {"id": number, "gmt_create": made if file.created_at is None else None}
    more = {name: value for name, value in left.items() if value is not None}
    return replace(file, extra={**file.extra, **more})


def _uploads(data: Mapping[str, Any]) -> Uploads:
    files = tuple(_file(item) for item in each(data.get("uploaded_files") or ()))
    if not files:
        raise DecodeError("the answer names no uploaded file")
    return Uploads(files=files, failed=failed_of({"data": data}))


def _page(data: Mapping[str, Any], asked: int) -> Page[File]:
    """A page; whether there are more the total tells, and where there is none, a full page."""
    files = tuple(_file(item) for item in each(data.get("files") or ()))
    numbers = {name: data.get(name) for name in ("page_no", "total")}
    page: Page[File] = codec.model(Page, numbers)
    size = data.get("page_size")
    number = page.page_no or asked
    size = size if isinstance(size, int) and size > 0 else len(files)
    more = len(files) >= size if page.total is None else number * size < page.total
    return replace(
        page,
        data=files,
        has_more=bool(files) and more,
        first_id=files[0].id if files else None,
        last_id=files[-1].id if files else None,
        page_no=number,
    )


def _milliseconds(made: object) -> int | None:
    """Epoch milliseconds of a time on the wire; None where it is written in no known way."""
    if isinstance(made, int):
        return made
    if not isinstance(made, str):
        return None
    try:
        return int(datetime.strptime(made, CLOCK).replace(tzinfo=BEIJING).timestamp()) * 1000
    except (ValueError, OverflowError):
        return None
