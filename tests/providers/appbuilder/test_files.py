"""`/v2/storage/files` as the local server speaks it: names, forms, times, headers."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiodashassist.core.disposition import parameters
from aiodashassist.core.files import File, Form, Upload
from aiodashassist.core.operations import CreateFiles
from aiodashassist.core.provider import Refusal
from aiodashassist.providers.appbuilder import files


def upload(filename: str = "a.txt") -> Upload:
    """A file on its way."""
    return Upload(filename=filename, size=3, content="there")


# --- names ---


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("a.txt", "a.txt"),
        ("My report (final).pdf", "My_report_final.pdf"),
        ("a  b\tc.txt", "a_b_c.txt"),
        ("报告2024.pdf", "2024.pdf"),
        ("résumé.pdf", "resume.pdf"),
        ("Ｆｕｌｌ.pdf", "Full.pdf"),
        ("a\x00b\x07.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x.txt", "a_Set-Cookie_x.txt"),
        ('a";b.txt', "ab.txt"),
        ("../../etc/passwd", "etc_passwd"),
        ("dir/a.txt", "dir_a.txt"),
        (".hidden", "hidden"),
        ("__a__.txt", "a__.txt"),
        ("a.tar.gz", "a.tar.gz"),
        ("no_ending", "no_ending"),
        ("文档.pdf", "file"),
        ("文档", "file"),
        ("", "file"),
        (".", "file"),
        ("...", "file"),
        ("_._", "file"),
        (".pdf", "pdf"),
        ("\ud800.pdf", "file"),
    ],
)
def test_a_name_is_kept_as_the_service_keeps_it(given_name: str, kept: str) -> None:
    """By werkzeug's rule; a name of which nothing but the ending is left is `file` (§3.3)."""
    assert files.secured(given_name) == kept


@given(st.text())
def test_any_name_becomes_a_safe_one(name: str) -> None:
    """It is not empty, has no path in it, and is one token of a header."""
    kept = files.secured(name)

    assert kept
    assert files.UNSAFE.search(kept) is None
    assert kept not in (".", "..")
    assert files.secured(kept) == kept


# --- forms ---


def test_a_form_is_an_upload() -> None:
    """One part, `file`; what it is for is in the query (§2.2)."""
    form = Form(fields=(("other", "text"),), files=(("file", upload("报告 2.txt")),))

    assert files.read_form(form, {"purpose": "vision", "x": "y"}) == CreateFiles(
        files=(upload("2.txt"),), params={"purpose": "vision"}
    )


@pytest.mark.parametrize("query", [{}, {"purpose": ""}])
def test_the_purpose_is_the_assistant(query: dict[str, str]) -> None:
    """Where none is named (§2.2)."""
    made = files.read_form(Form(files=(("file", upload()),)), query)

    assert made.params == {"purpose": "assistant"}


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (("files", upload()),),
        (("File", upload()),),
        (("file", upload()), ("file", upload())),
        (("file", upload()), ("other", upload())),
    ],
)
def test_another_form_is_refused(parts: Any) -> None:
    """No file, several, or one under another name (§2.2)."""
    with pytest.raises(Refusal) as caught:
        files.read_form(Form(fields=(("file", "text"),), files=parts), {})

    assert (caught.value.kind, caught.value.subject) == ("invalid", "file")
    assert "'file'" in caught.value.message


# --- objects ---

FILE = File(id="f", bytes=3, purpose="assistant", created_at=1713122932999, filename="a.txt")
SPELLED = {
    "id": "f", "bytes": 3, "object": "file", "purpose": "assistant", "create_at": 1713122932,
    "filename": "a.txt", "classification_id": "",
}  # fmt: skip


def test_a_new_file_has_two_fields_less() -> None:
    """Its time is in seconds, under a name of its own (§3.3, §7 #3)."""
    assert files.spell_file(FILE, created=True) == SPELLED


def test_a_file_that_is_read_was_audited() -> None:
    """The SDK's model needs `censored`; 1 is approved (§3.3, §4)."""
    assert files.spell_file(FILE, created=False) == {
        **SPELLED, "censored": 1, "file_type": "document",
    }  # fmt: skip


def test_what_is_known_of_a_file_is_told() -> None:
    """Its own audit, type and application; 0 is an audit that was not made."""
    known = File(id="f", censored=0, file_type="video", classification_id="app")

    assert files.spell_file(known, created=False) == {
        "id": "f", "bytes": 0, "object": "file", "purpose": "", "create_at": 0, "filename": "",
        "classification_id": "app", "censored": 0, "file_type": "video",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("a.png", "image"),
        ("a.JPG", "image"),
        ("a.jpeg", "image"),
        ("a.pdf", "document"),
        ("png", "image"),
        ("png.txt", "document"),
        (None, "document"),
    ],
)
def test_a_file_is_an_image_or_a_document(filename: str | None, kind: str) -> None:
    """By its ending: the two types that were observed (§3.3)."""
    told = files.spell_file(File(id="f", filename=filename), created=False)

    assert told["file_type"] == kind


# --- headers ---


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.MD", "text/markdown; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.jpg", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.pdf", "application/pdf"),
        ("a.unknown", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_bytes_are_of_a_kind(filename: str | None, content_type: str) -> None:
    """By the name's ending; without one they are just bytes (§2.2)."""
    assert files.file_headers(File(id="f", filename=filename))["Content-Type"] == content_type


@example(".")
@example("..")
@given(st.none() | st.text())
def test_the_name_is_all_after_the_last_equals_sign(filename: str | None) -> None:
    """The SDK takes all that stands after the last `filename=`, and no quotes (§2.2)."""
    header = files.file_headers(File(id="file-1", filename=filename))["Content-Disposition"]

    taken = header.split("filename=")[-1]
    assert taken in (filename, files.secured(filename or "file-1"))
    assert taken.strip(".")
    assert header.isascii()
    assert header.isprintable()
    assert parameters(header)["filename"]


def test_a_file_without_a_name_has_its_id() -> None:
    """Something has to be the name."""
    headers = files.file_headers(File(id="file-1"))

    assert headers["Content-Disposition"] == "attachment; filename=file-1"
