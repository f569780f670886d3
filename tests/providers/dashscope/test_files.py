"""`/files` both ways: forms and envelopes out, whatever comes back in, numbers for cursors."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.files import FailedUpload, File, Form, Upload, Uploads
from aiodashassist.core.models import Deleted, Page
from aiodashassist.core.operations import (
    CreateFiles,
    DeleteFile,
    ListFiles,
    Operation,
    RetrieveFile,
)
from aiodashassist.core.provider import Refusal
from aiodashassist.errors import DecodeError, InvalidArgument
from aiodashassist.providers.dashscope import files
from tests.providers.dashscope.damage import JSON, damaged

UPLOAD = Upload(filename="a.txt", size=3, content=None)
CREATE = CreateFiles(files=(UPLOAD,))
LIST = ListFiles()
RETRIEVE = RetrieveFile(file_id="f")
DELETE = DeleteFile(file_id="f")
# 2023-11-15 06:13:20 in Beijing
STAMP, CLOCK = 1_700_000_000_000, "2023-11-15 06:13:20"
WIRE = {
    "file_id": "f", "name": "a.txt", "description": "d", "url": "https://u", "size": 3,
    "md5": "5", "purpose": "batch", "gmt_create": CLOCK,
}  # fmt: skip
FILE = File(
    id="f", filename="a.txt", description="d", url="https://u", bytes=3, md5="5", purpose="batch",
    created_at=STAMP,
)  # fmt: skip

# --- forms ---


def test_texts_come_before_files_and_only_what_is_given() -> None:
    """The official SDK's order and names; `purpose` is sent when it is given (§2.5)."""
    full = files.form_of([UPLOAD, UPLOAD], {"description": "说明", "purpose": ""})

    assert full == Form(
        fields=(("descriptions", "说明"), ("purpose", "")),
        files=(("files", UPLOAD), ("files", UPLOAD)),
    )
    assert files.form_of([UPLOAD], {"purpose": None}) == Form(files=(("files", UPLOAD),))


def test_a_field_that_cannot_be_written_is_refused() -> None:
    """By the name that the wire has for it, before a byte is sent."""
    with pytest.raises(InvalidArgument, match="descriptions cannot be written"):
        files.form_of([UPLOAD], {"description": object()})


def test_what_is_named_wins_over_the_wires_own_name() -> None:
    """`description` is the wire's `descriptions`: one field, not two."""
    form = files.form_of([], {"descriptions": "theirs", "new": "n", "description": "ours"})

    assert form.fields == (("descriptions", "ours"), ("new", "n"))


def test_a_form_is_read_as_it_was_meant() -> None:
    """Unknown texts are left alone; of several texts of one name the first counts."""
    form = Form(
        fields=(("descriptions", "one"), ("descriptions", "two"), ("x", "y"), ("purpose", "p")),
        files=(("files", UPLOAD), ("files", UPLOAD)),
    )

    assert files.read_form(form) == CreateFiles(
        files=(UPLOAD, UPLOAD), params={"purpose": "p", "description": "one"}
    )
    assert files.read_form(Form(files=(("files", UPLOAD),))) == CREATE


@pytest.mark.parametrize(
    "parts", [(), (("file", UPLOAD),), (("files", UPLOAD), ("other", UPLOAD)), (("Files", UPLOAD),)]
)
def test_a_form_without_files_or_with_others_is_refused(parts: Any) -> None:
    """The part is called `files`, and nothing else is a file (§2.5)."""
    with pytest.raises(Refusal) as caught:
        files.read_form(Form(fields=(("files", "text"),), files=parts))

    assert (caught.value.kind, "files" in caught.value.message) == ("invalid", True)


# --- the page that is asked for ---


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ({}, {}),
        ({"page_no": "", "page_size": ""}, {}),
        ({"page_no": "1"}, {"page_no": 1}),
        ({"page_no": "999999999", "page_size": "100"}, {"page_no": 999999999, "page_size": 100}),
        ({"page_size": "1", "limit": "5", "after": "x"}, {"page_size": 1}),
    ],
)
def test_a_page_is_read_from_its_numbers(query: dict[str, str], page: Any) -> None:
    """What is empty or of other lists is not there."""
    assert files.read_query(query) == ListFiles(page=page)


@pytest.mark.parametrize("value", ["0", "-1", "01", "1.0", "ten", " 1", "²", "٣", "9" * 5000])
@pytest.mark.parametrize("name", ["page_no", "page_size"])
def test_a_number_that_is_none_is_refused(name: str, value: str) -> None:
    """The refusal names the parameter."""
    with pytest.raises(Refusal, match=f"invalid: {name}"):
        files.read_query({name: value})


def test_a_page_has_at_most_100_files() -> None:
    """101 is refused for the size, and fine for the number (§2.5)."""
    assert files.read_query({"page_no": "101"}) == ListFiles(page={"page_no": 101})
    with pytest.raises(Refusal, match="page_size"):
        files.read_query({"page_size": "101"})


# --- answers, as they come ---


def read(operation: Operation[Any], data: Any, **rest: Any) -> Any:
    """What an answer's data is read as."""
    return files.decode(operation, {"request_id": "r", "data": data, **rest})


def test_a_file_is_read() -> None:
    """The wire's names become ours, the clock of Beijing becomes milliseconds (§2.5)."""
    file = read(RETRIEVE, {**WIRE, "new": [1]})

    assert file.extra == {"new": [1]}
    assert (file.request_id, file.object) == ("r", "file")
    for name in ("id", "filename", "description", "url", "bytes", "md5", "purpose", "created_at"):
        assert getattr(file, name) == getattr(FILE, name)


NAMES = {
    "name": "filename", "size": "bytes", "gmt_create": "created_at", "description": "description",
    "url": "url", "md5": "md5", "purpose": "purpose",
}  # fmt: skip


@pytest.mark.parametrize("none", [None, "", ...])
@pytest.mark.parametrize("wire", NAMES)
def test_what_a_file_lacks_is_none(wire: str, none: Any) -> None:
    """Null, an empty text and a field that is not there are all "unknown"."""
    data = {key: value for key, value in {**WIRE, wire: none}.items() if value is not ...}
    file = read(RETRIEVE, data)

    assert getattr(file, NAMES[wire]) is None
    assert file.extra == {}


@pytest.mark.parametrize(
    ("made", "stamp", "extra"),
    [
        ("2023-11-15 06:13:20", STAMP, {}),
        (STAMP, STAMP, {}),
        (0, None, {"gmt_create": 0}),
        ("1970-01-01 08:00:00", None, {"gmt_create": "1970-01-01 08:00:00"}),
        ("2023-11-15T06:13:20", None, {"gmt_create": "2023-11-15T06:13:20"}),
        ("0000-01-01 00:00:00", None, {"gmt_create": "0000-01-01 00:00:00"}),
        ("9999-12-31 23:59:59", 253_402_271_999_000, {}),
        ("yesterday", None, {"gmt_create": "yesterday"}),
        ([2023], None, {"gmt_create": [2023]}),
        (1.5, None, {"gmt_create": 1.5}),
    ],
)
def test_a_time_is_milliseconds_or_kept_as_it_came(made: Any, stamp: Any, extra: Any) -> None:
    """A time that is written in no known way can still be read in `extra`."""
    file = read(RETRIEVE, {"file_id": "f", "gmt_create": made})

    assert (file.created_at, file.extra) == (stamp, extra)


def test_a_listed_file_has_a_number_beside_its_id() -> None:
    """`id` is not the file's where there is a `file_id`; alone it is (§2.5)."""
    both = read(RETRIEVE, {"id": 7, "file_id": "f"})
    alone = read(RETRIEVE, {"id": "f"})

    assert (both.id, both.extra) == ("f", {"id": 7})
    assert (alone.id, alone.extra) == ("f", {})


def test_fields_of_another_api_are_extra() -> None:
    """What only AppBuilder documents may come in any shape."""
    file = read(RETRIEVE, {"file_id": "f", "censored": "no", "file_type": 5})

    assert (file.censored, file.file_type) == (None, None)
    assert file.extra == {"censored": "no", "file_type": 5}


def test_an_upload_is_read() -> None:
    """The files that were taken, by id and name; failures are told beside them."""
    taken = [{"file_id": "f", "name": "a"}, {"file_id": "g", "name": None}]
    data = {"uploaded_files": taken, "failed_uploads": [{"name": "b", "code": "c", "message": "m"}]}

    assert read(CREATE, data) == Uploads(
        files=(File(id="f", filename="a"), File(id="g")),
        failed=(FailedUpload(filename="b", code="c", message="m"),),
        request_id="r",
    )


@pytest.mark.parametrize("none", [{}, {"uploaded_files": []}, {"uploaded_files": None}])
def test_an_upload_that_names_no_file_is_a_decode_error(none: Any) -> None:
    """A success without a file is none that could be given back."""
    with pytest.raises(DecodeError, match="names no uploaded file"):
        read(CREATE, none)


@pytest.mark.parametrize("data", [None, [], "x", {"failed_uploads": 5}, {"failed_uploads": None}])
def test_no_failures_are_found_where_there_are_none(data: Any) -> None:
    """A body that is no such answer has none; an entry that is no object is passed over."""
    assert files.failed_of({"data": data}) == ()
    assert files.failed_of({}) == ()
    assert files.failed_of({"data": {"failed_uploads": [5, {"name": "a"}]}}) == (
        FailedUpload(filename="a"),
    )


def test_a_deletion_is_answered_by_a_request_id_alone() -> None:
    """Which file it was, the request knows (§2.5)."""
    assert files.decode(DELETE, {"request_id": "r"}) == Deleted(
        id="f", object="file.deleted", request_id="r"
    )


@pytest.mark.parametrize(
    ("given_id", "request_id"), [(None, None), ("", None), (5, "5"), ("r", "r")]
)
def test_a_request_id_is_a_text_or_none(given_id: Any, request_id: str | None) -> None:
    """Whatever stands in its place."""
    assert files.decode(DELETE, {"request_id": given_id}).request_id == request_id
    assert files.decode(RETRIEVE, {"request_id": given_id, "data": WIRE}).request_id == request_id


@pytest.mark.parametrize("body", [None, [], "x", 5])
@pytest.mark.parametrize("operation", [CREATE, LIST, RETRIEVE, DELETE])
def test_an_answer_that_is_no_object_is_a_decode_error(operation: Any, body: Any) -> None:
    """An envelope is an object."""
    with pytest.raises(DecodeError, match="expected an object"):
        files.decode(operation, body)


@pytest.mark.parametrize("data", [None, [], "x", 5])
@pytest.mark.parametrize("operation", [CREATE, LIST, RETRIEVE])
def test_an_envelope_without_data_is_a_decode_error(operation: Any, data: Any) -> None:
    """What is asked for lies under `data`."""
    with pytest.raises(DecodeError, match="under data"):
        read(operation, data)


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        (RETRIEVE, {}),
        (RETRIEVE, {"file_id": None, "name": "a"}),
        (RETRIEVE, {"file_id": 5}),
        (RETRIEVE, {"file_id": ["f"]}),
        (RETRIEVE, {"file_id": "f", "size": "big"}),
        (RETRIEVE, {"file_id": "f", "name": ["a"]}),
        (RETRIEVE, {"file_id": "f", "url": 5}),
        (CREATE, {"uploaded_files": "f"}),
        (CREATE, {"uploaded_files": ["f"]}),
        (CREATE, {"uploaded_files": [None]}),
        (CREATE, {"uploaded_files": {"file_id": "f"}}),
        (LIST, {"files": 5}),
        (LIST, {"files": ["f"]}),
        (LIST, {"files": [{}]}),
        (LIST, {"files": [], "total": "many"}),
        (LIST, {"files": [], "page_no": "first"}),
    ],
)
def test_a_field_that_cannot_be_read_is_a_decode_error(operation: Any, data: Any) -> None:
    """What is no file, or not what a file has, is told as such."""
    with pytest.raises(DecodeError):
        read(operation, data)


# --- lists ---


def listed(count: int, **numbers: Any) -> Page[File]:
    """A page of so many files."""
    found = [{"id": i, "file_id": f"f{i}"} for i in range(count)]
    page: Page[File] = read(LIST, {"files": found, **numbers})
    return page


def test_a_page_of_files_is_read() -> None:
    """Files in their order, its number, and how many there are."""
    page = listed(2, page_no=3, page_size=2, total=7)

    assert [file.id for file in page.data] == ["f0", "f1"]
    assert (page.page_no, page.total, page.has_more) == (3, 7, True)
    assert (page.first_id, page.last_id, page.request_id) == ("f0", "f1", "r")


@pytest.mark.parametrize(
    ("count", "numbers", "more"),
    [
        (2, {"page_no": 1, "page_size": 2, "total": 3}, True),
        (2, {"page_no": 1, "page_size": 2, "total": 2}, False),
        (1, {"page_no": 2, "page_size": 2, "total": 3}, False),
        (2, {"page_no": "1", "page_size": 2, "total": "3"}, True),
        (2, {"page_size": 2, "total": 3}, True),
        (2, {"page_no": 1, "total": 3}, True),
        (2, {"page_no": 1, "page_size": 0, "total": 2}, False),
        (2, {"page_no": 1, "page_size": "2", "total": 3}, True),
        (2, {"page_no": 1, "page_size": 2}, True),
        (1, {"page_no": 1, "page_size": 2}, False),
        (2, {}, True),
        (0, {}, False),
        (0, {"page_no": 1, "page_size": 2, "total": 9}, False),
    ],
)
def test_whether_there_is_more_the_total_tells(count: int, numbers: Any, more: bool) -> None:
    """Without a total a full page may have a next one; an empty page never has."""
    assert listed(count, **numbers).has_more is more


def test_a_page_without_a_number_is_the_first() -> None:
    """A missing or null list is an empty one; a page without a number is the one asked for."""
    assert read(ListFiles(page={"page_no": 3}), {"files": [{"file_id": "f"}]}).page_no == 3
    assert listed(1).page_no == 1
    for nothing in ({}, {"files": None}, {"files": [], "total": 0}):
        page = read(LIST, nothing)
        assert (page.data, page.first_id, page.last_id, page.page_no) == ((), None, None, 1)


# --- answers, as the local server gives them ---


def test_a_file_is_answered_with_every_field() -> None:
    """What is unknown is an empty text; the time is that of Beijing (§2.5)."""
    assert files.answer(RETRIEVE, FILE) == {"data": WIRE}
    bare = files.answer(RETRIEVE, File(id="f", filename="n", bytes=0, created_at=STAMP + 999))
    assert bare == {
        "data": {
            "file_id": "f", "name": "n", "size": 0, "gmt_create": CLOCK, "description": "",
            "url": "", "md5": "", "purpose": "",
        }
    }  # fmt: skip


def test_an_upload_is_answered_by_id_and_name() -> None:
    """Taken and failed files each in a list of their own (§2.5)."""
    result = Uploads(files=(FILE,), failed=(FailedUpload(filename="b", code="c", message="m"),))

    assert files.answer(CREATE, result) == {
        "data": {
            "uploaded_files": [{"file_id": "f", "name": "a.txt"}],
            "failed_uploads": [{"name": "b", "code": "c", "message": "m"}],
        }
    }


def test_a_deletion_is_answered_with_nothing() -> None:
    """The request id is all there is."""
    assert files.answer(DELETE, Deleted(id="f")) == {}


@pytest.mark.parametrize(
    ("page", "size", "numbers"),
    [({}, 10, [1]), ({"page_size": 5}, 5, [1]), ({"page_size": 5, "page_no": 3}, 5, [11])],
)
def test_a_page_is_answered_with_its_numbers(page: Any, size: int, numbers: list[int]) -> None:
    """Files are numbered through all pages; a page has 10 where nothing is said (§2.5)."""
    result = Page(data=(FILE,), page_no=page.get("page_no", 1), total=99)
    data = files.answer(ListFiles(page=page), result)["data"]

    assert (data["total"], data["page_size"], data["page_no"]) == (99, size, result.page_no)
    assert [item["id"] for item in data["files"]] == numbers
    assert {**data["files"][0], "id": None} == {**WIRE, "id": None}


FULL: list[tuple[Operation[Any], Any]] = [
    (RETRIEVE, {"request_id": "r", "data": WIRE}),
    (CREATE, {"data": {"uploaded_files": [WIRE], "failed_uploads": [{"name": "n"}]}}),
    (LIST, {"data": {"files": [{**WIRE, "id": 1}], "page_no": 1, "page_size": 1, "total": 2}}),
    (DELETE, {"request_id": "r"}),
]


@given(st.sampled_from(FULL), st.data())
def test_a_damaged_answer_is_read_or_a_decode_error(
    full: tuple[Operation[Any], Any], data: st.DataObject
) -> None:
    """Whatever is wrong with an answer, no other exception comes of it."""
    operation, whole = full
    body = damaged(data, whole)
    assert isinstance(files.failed_of(body), tuple)
    try:
        result = files.decode(operation, body)
    except DecodeError:
        return
    assert isinstance(result, operation.result if operation is not LIST else Page)


@given(JSON)
def test_any_json_is_read_or_a_decode_error(value: Any) -> None:
    """Also what has nothing to do with files."""
    for operation in (CREATE, LIST, RETRIEVE, DELETE):
        for body in (value, {"data": value}, {"data": {"files": [value], "page_no": value}}):
            with contextlib.suppress(DecodeError):
                files.decode(operation, body)
